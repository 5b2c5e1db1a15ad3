//! What was seen of everything that can be wrong, but too little of it to be called so. Said where nothing is a finding: "nothing
//! wrong" is not "nothing".

use super::thresholds::{
    LOSS_PER_MILLE, LOST, REPEATED, REQUEST_ERRORS, REQUEST_ERRORS_PER_MILLE, RESETS, SLOW_NS,
    SLOW_PER_MILLE, SLOW_REQUESTS, UNANSWERED, UNANSWERED_PER_MILLE, ZERO_WINDOW_NS,
};
use crate::record::Status;
use crate::time::Timestamp;
use crate::view::Report;
use crate::view::troubles::Trouble;
use crate::view::words::{count, duration, percent};

/// A sentence, or nothing if there was nothing.
pub(super) fn find(report: &Report, end: Option<Timestamp>) -> Option<String> {
    let parts: Vec<_> = [
        errors(report),
        unanswered(report, end),
        slow(report),
        lost(report),
        repeated(report),
        reset(report),
        closed(report),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "Seen, but too little of it to be called wrong: {}.",
            parts.join("; ")
        )
    })
}

/// ` (wrong from 3 of one cause and 5 % of one server's on)`
fn from(least: u64, per_mille: u64) -> String {
    format!(
        " (wrong from {least} of one cause and {} of one server's on)",
        percent(per_mille, 1000)
    )
}

fn errors(report: &Report) -> Option<String> {
    let n = report.requests.all().status(Status::Error);
    let from = from(REQUEST_ERRORS, REQUEST_ERRORS_PER_MILLE);
    (n > 0).then(|| format!("{} with an error{from}", count(n, "request")))
}

fn unanswered(report: &Report, end: Option<Timestamp>) -> Option<String> {
    let silent = report.troubles.silent(end);
    let silent: u64 = silent.values().map(|lookups| lookups.seen.count).sum();
    let of_servers = report.troubles.servers.values();
    let owed = of_servers.filter_map(|trouble| Some(trouble.unanswered()?.seen.count));
    let n = owed.sum::<u64>() + silent;
    let from = from(UNANSWERED, UNANSWERED_PER_MILLE);
    (n > 0).then(|| format!("{} without an answer{from}", count(n, "request")))
}

fn slow(report: &Report) -> Option<String> {
    let servers = report.troubles.servers.values();
    let n: u64 = servers.map(Trouble::all_slow).sum();
    let from = from(SLOW_REQUESTS, SLOW_PER_MILLE);
    let least = duration(SLOW_NS);
    (n > 0).then(|| format!("{} that took {least} or more{from}", count(n, "request")))
}

fn lost(report: &Report) -> Option<String> {
    let clients = report.clients.iter().map(|(_, peer)| peer.leg.lost());
    let servers = report.servers.iter().map(|(_, peer)| peer.leg.lost());
    let n: u64 = clients.chain(servers).sum();
    (n > 0).then(|| {
        format!(
            "{} lost (wrong from {LOST} and {} between here and one peer on)",
            count(n, "segment"),
            percent(LOSS_PER_MILLE, 1000)
        )
    })
}

fn repeated(report: &Report) -> Option<String> {
    let summary = &report.handshakes;
    let n = summary.syn_established.attempts + summary.synack_established.attempts;
    (n > 0).then(|| {
        format!(
            "{} with a repeated SYN or SYN-ACK (wrong from {REPEATED} of one peer on)",
            count(n, "connection attempt")
        )
    })
}

fn reset(report: &Report) -> Option<String> {
    let n: u64 = report.servers.iter().map(|(_, peer)| peer.resets).sum();
    (n > 0).then(|| {
        format!(
            "{} reset by a server (wrong from {RESETS} of one server on)",
            count(n, "connection")
        )
    })
}

fn closed(report: &Report) -> Option<String> {
    let clients = report.clients.iter().map(|(_, peer)| peer.zero_window_ns);
    let servers = report.servers.iter().map(|(_, peer)| peer.zero_window_ns);
    let ns = clients.chain(servers).fold(0, u64::saturating_add);
    (ns > 0).then(|| {
        format!(
            "receive windows closed for {} in all (wrong from {} at one peer on)",
            duration(ns),
            duration(ZERO_WINDOW_NS)
        )
    })
}
