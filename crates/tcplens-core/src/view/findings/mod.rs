//! What is wrong, ranked. Each rule looks at one aspect and drafts findings; here they are put in order.
//!
//! The order: (0) the capture misled us about most of what it shows; (1) connections or requests failed; (2) they
//! took longer than they should; (3) worth knowing: scans, resets that may be habits, long paths; (4) remarks about the
//! capture. Within a class the number of connections or requests concerned times their share decides, then the time lost;
//! but a server that others seem to wait for comes before these.

mod advice;
mod attempts;
mod below;
mod capture;
mod churn;
mod endings;
mod group;
mod held;
mod paths;
mod queue;
mod requests;
mod server;
mod special;
pub mod thresholds;

use std::cmp::Reverse;
use std::fmt::Write;
use std::net::IpAddr;

use super::troubles::Unjudged;
use super::{Report, ServerKey, Sighting, words};
use crate::record::{Finding, Health, Suspect, Vantage};
pub use advice::ADVICE;
pub(super) use advice::of as advice;
use thresholds::FINDINGS;

/// All that is wrong, and what was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Findings beyond the bound, left out.
    pub left_out: u64,
    /// What was checked, in a sentence.
    pub checked: String,
    /// What was seen of what can be wrong, but is no finding, in a sentence.
    pub below: Option<String>,
}

/// How bad a kind of finding is; see the order above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Misled,
    Failed,
    Slow,
    Note,
    Remark,
}

/// A finding that has no rank yet.
#[derive(Clone, Debug)]
struct Draft {
    class: Class,
    code: &'static str,
    /// Connections, attempts or requests concerned, of how many.
    harm: u64,
    of: u64,
    time_ns: u64,
    suspect: Suspect,
    text: String,
    evidence: String,
    filter: String,
    frames: Vec<u64>,
    /// Server address and only client, for findings that may be one of many alike.
    server: Option<IpAddr>,
    client: Option<IpAddr>,
    /// The server whose requests are slow, and the one that it seems to wait for.
    slow: Option<ServerKey>,
    cause: Option<ServerKey>,
    sighting: Sighting,
}

impl Draft {
    fn new(
        class: Class,
        code: &'static str,
        suspect: Suspect,
        sighting: &Sighting,
        of: u64,
    ) -> Draft {
        Draft {
            class,
            code,
            harm: sighting.count,
            of,
            time_ns: sighting.time_ns,
            suspect,
            text: String::new(),
            evidence: String::new(),
            filter: String::new(),
            frames: sighting.frames.least().to_vec(),
            server: None,
            client: sighting.peers.only(),
            slow: None,
            cause: None,
            sighting: sighting.clone(),
        }
    }

    fn says(mut self, text: String, evidence: String, filter: String) -> Draft {
        self.text = text;
        self.evidence = evidence;
        self.filter = filter;
        self
    }

    /// It concerns one server.
    fn about(mut self, server: IpAddr) -> Draft {
        self.server = Some(server);
        self
    }

    fn weight(&self) -> u128 {
        let harm = u128::from(self.harm);
        harm * harm * 1000 / u128::from(self.of.max(1))
    }
}

/// Applies every rule.
pub(super) fn find(report: &Report, health: &Health) -> Findings {
    let mut drafts = group::alike(report, attempts::find(report));
    drafts.extend(paths::find(report));
    drafts.extend(group::alike(report, endings::find(report)));
    drafts.extend(requests::find(report, health));
    drafts.extend(held::find(report));
    drafts.extend(churn::find(report));
    drafts.extend(capture::find(report, health));
    capture::cast_doubt(report, health, &mut drafts);
    drafts.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.text.cmp(&b.text)));
    causes_first(&mut drafts);
    let left_out = drafts.len().saturating_sub(FINDINGS) as u64;
    drafts.truncate(FINDINGS);
    let findings = drafts
        .into_iter()
        .zip(1..)
        .map(|(draft, rank)| draft.ranked(rank))
        .collect();
    Findings {
        findings,
        left_out,
        checked: checked(report, health),
        below: below::find(report, health.time),
    }
}

/// What a server seems to wait for is told before the server. The order of the rest stays.
fn causes_first(drafts: &mut Vec<Draft>) {
    let waiting: Vec<_> = drafts
        .iter()
        .filter_map(|draft| Some((draft.slow?, draft.cause?)))
        .collect();
    for (slow, cause) in waiting {
        let at = |drafts: &[Draft], server, waits: bool| {
            drafts.iter().position(|draft| {
                draft.slow == Some(server) && (!waits || draft.cause == Some(cause))
            })
        };
        if let (Some(effect), Some(reason)) = (at(drafts, slow, true), at(drafts, cause, false))
            && effect < reason
        {
            let reason = drafts.remove(reason);
            drafts.insert(effect, reason);
        }
    }
}

fn order(draft: &Draft) -> (Class, Reverse<u128>, Reverse<u64>, &'static str) {
    (
        draft.class,
        Reverse(draft.weight()),
        Reverse(draft.time_ns),
        draft.code,
    )
}

impl Draft {
    fn ranked(self, rank: u64) -> Finding {
        Finding {
            text: Some(self.text),
            evidence: Some(self.evidence),
            filter: Some(self.filter),
            frames: self.frames,
            advice: match self.cause {
                Some((ip, port)) => Some(format!(
                    "Look at {} first, and whether this one can wait for it less long.",
                    words::endpoint(ip, port)
                )),
                None => advice::of(self.code).map(str::to_owned),
            },
            ..Finding::new(rank, self.code, self.harm, self.suspect)
        }
    }
}

fn checked(report: &Report, health: &Health) -> String {
    let (of_requests, of_connections, rest) = match health.vantage {
        // Of what both tell, the kernel's is taken.
        Vantage::Wire if health.kernel_events.is_some() => (
            "slow, unanswered; of those that the kernel does not tell also queued, failing",
            "loss, reset, one request each; of those that the kernel does not tell also closed window, delay, pieces that wait for \
             acknowledgments",
            ", and the capture itself (bytes missing, one direction only, packets twice, clock going back).",
        ),
        Vantage::File | Vantage::Wire => (
            "slow, queued, failing, unanswered",
            "loss, reset, closed window, delay, pieces that wait for acknowledgments, one request each",
            ", and the capture itself (bytes missing, one direction only, packets twice, clock going back).",
        ),
        Vantage::Kernel | Vantage::Socket => (
            "slow, unanswered",
            "loss of what this host sent, reset, one request each",
            ". What was answered, closed windows and loss on the way here the kernel does not tell: look at packets for these.",
        ),
    };
    let requests = match report.requests.all().requests() {
        0 => String::new(),
        n => format!("{} ({of_requests}), ", words::count(n, "request")),
    };
    let mut text = format!(
        "{} (refused, unanswered, unreachable, given up, SYN or SYN-ACK repeated), {requests}{} ({of_connections}) \
         with {} and {}{rest}",
        words::count(report.handshakes.attempts(), "connection attempt"),
        words::count(report.totals.connections, "connection"),
        words::count(report.server_count(), "server"),
        words::count(report.clients.len() as u64, "client"),
    );
    let unjudged = unjudged(report);
    if !unjudged.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, " Not judged: {}.", unjudged.join("; "));
    }
    text
}

/// What may be wrong, or not: nobody can tell.
fn unjudged(report: &Report) -> Vec<String> {
    let of = |why: Unjudged| report.troubles.unjudged(why);
    let slow = words::duration(thresholds::SLOW_NS);
    let parts = [
        (
            report.handshakes.undecided,
            "attempt",
            "without an answer yet, begun within the last second".to_owned(),
        ),
        (
            of(Unjudged::SlowTurn),
            "request",
            format!(
                "of {slow} or more in protocols that are not known: either side may have waited on purpose"
            ),
        ),
        (
            of(Unjudged::Nowhere),
            "request",
            format!("of {slow} or more of which it is not known where the time went"),
        ),
        (
            of(Unjudged::UnansweredTurn),
            "request",
            "without an answer in protocols that are not known: none may be owed".to_owned(),
        ),
    ];
    let said = parts.into_iter().filter(|(n, ..)| *n > 0);
    said.map(|(n, what, why)| format!("{} {why}", words::count(n, what)))
        .collect()
}
