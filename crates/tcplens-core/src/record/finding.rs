//! `finding`: one thing that is wrong.

use std::net::IpAddr;

use super::{Protocol, Suspect};
use crate::time::Timestamp;

record! {
    /// One thing that is wrong, with what it costs, who is suspected, and how to see it.
    Finding as "finding" {
        /// Since when, where it has a beginning: the minute in which something became abnormal.
        time: Option<Timestamp> = time,
        /// The end of the last minute in which it was; absent where it has no beginning.
        until: Option<Timestamp> = time,
        /// 1 is the worst.
        rank: u64 = count,
        /// What kind of thing it is: a stable word such as `refused`.
        code: &'static str = word,
        /// Connections or requests concerned.
        harm: u64 = count,
        /// Who is to blame.
        suspect: Suspect = word,
        /// What is wrong, in a sentence.
        text: Option<String> = text,
        /// The numbers behind it, in a sentence.
        evidence: Option<String> = text,
        /// The expression that shows the packets concerned.
        filter: Option<String> = text,
        /// Packets to look at.
        frames: Vec<u64> = list,
        /// What to do next, in a sentence.
        advice: Option<String> = text,
        /// Of what is abnormal: the server's address. Absent where it is not about one, as all below.
        server_ip: Option<IpAddr> = ip,
        /// Its port.
        server_port: Option<u64> = count,
        /// What is spoken.
        protocol: Option<Protocol> = word,
        /// The operation.
        operation: Option<String> = text,
        /// What is abnormal about it: a stable word such as `process`.
        metric: Option<&'static str> = word,
        /// The component that is suspected, `label=name`: `rack=r17`.
        component: Option<String> = text,
        /// How probable as much is by chance, as `1.2e-9`.
        p_value: Option<String> = text,
    }
}

impl Finding {
    /// One of which no more is known yet.
    #[must_use]
    pub fn new(rank: u64, code: &'static str, harm: u64, suspect: Suspect) -> Finding {
        Finding {
            time: None,
            until: None,
            rank,
            code,
            harm,
            suspect,
            text: None,
            evidence: None,
            filter: None,
            frames: Vec::new(),
            advice: None,
            server_ip: None,
            server_port: None,
            protocol: None,
            operation: None,
            metric: None,
            component: None,
            p_value: None,
        }
    }
}
