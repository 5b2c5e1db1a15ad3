//! `change`: one thing that was compared between a baseline and now.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Metric, Protocol, Suspect, Units};
use crate::time::Span;

record! {
    /// One thing that `report --compare` compared between a baseline and now. Those that changed beyond chance come first,
    /// ranked, then the others. How it is judged: docs/report.md.
    Change as "change" {
        /// 1 is the worst; absent where nothing is told: not significant, too small, or part of a change that is.
        rank: Option<u64> = count,
        /// Whether it is beyond chance: the chance that any one of all that are is none is at most 5 %.
        is_significant: bool = flag "significant",
        /// What kind of change it is: a stable word such as `slower`; of what did not change, what it would have been.
        code: &'static str = word,
        /// What was compared.
        metric: Metric = word,
        /// Of which server.
        server_ip: Option<IpAddr> = ip,
        /// Its port.
        server_port: Option<u64> = count,
        /// Of requests: what they speak.
        protocol: Option<Protocol> = word,
        /// Of requests: the verb; absent where all of them were compared.
        operation: Option<Arc<str>> = text,
        /// Requests, attempts, segments or connections that were compared, of the baseline.
        before_count: u64 = count,
        /// Of now.
        after_count: u64 = count,
        /// On so many connections, of the baseline; 64 stands for any more.
        before_connections: u64 = count,
        /// Of now.
        after_connections: u64 = count,
        /// Of these, so many were hit: errors, unanswered, failed, lost, slow.
        before_hits: Option<u64> = count,
        /// Of now.
        after_hits: Option<u64> = count,
        /// Median of what is a time.
        before_p50_us: Option<Span> = span,
        /// Of now.
        after_p50_us: Option<Span> = span,
        /// 95th percentile of what is a time.
        before_p95_us: Option<Span> = span,
        /// Of now.
        after_p95_us: Option<Span> = span,
        /// How long the baseline was observed.
        before_observed_us: Option<Span> = span,
        /// How long now was.
        after_observed_us: Option<Span> = span,
        /// Now to before in thousandths: of medians, of shares, of rates; absent where before was nothing.
        ratio_per_mille: Option<u64> = count,
        /// The probability of such a difference by chance, corrected for all that was compared, in parts per million, rounded
        /// up.
        p_ppm: Option<u64> = count,
        /// What was taken for independent: `connections`, slices of `time`, or `both`, and then the more cautious answer.
        units: Option<Units> = word,
        /// A rise to so many thousandths would have been seen in four of five cases; absent where none would, or before was
        /// nothing.
        detectable_per_mille: Option<u64> = count,
        /// Who is suspected, where that can be told.
        suspect: Option<Suspect> = word,
        /// What changed, in a sentence.
        text: Option<String> = text,
        /// The numbers behind it, in a sentence.
        evidence: Option<String> = text,
        /// The expression that shows the packets concerned.
        filter: Option<String> = text,
    }
}
