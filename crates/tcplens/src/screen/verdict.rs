//! What is wrong with a destination, in a sentence, and since when: is it connecting, or requests, or neither?

use tcplens_core::record::{Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::top::{Detail, Marks};
use tcplens_core::view::{Histogram, Slice};

use super::columns::{COLUMNS, Percentile, is_marked, is_span_marked};
use super::look::{Clock, Symbols, percent};

/// What is wrong, the most telling first; empty: nothing is marked.
pub(super) fn verdict(
    detail: &Detail,
    marks: &Marks,
    percentile: Percentile,
    symbols: &Symbols,
    clock: &Clock,
) -> Vec<String> {
    let mut said = Vec::new();
    let peer = &detail.peer;
    let is_beyond = |field: &str| {
        let column = COLUMNS.iter().find(|column| column.fields.contains(&field));
        column.is_some_and(|column| is_marked(marks, peer, column, percentile))
    };
    type Kind = fn(&Slice) -> &Histogram;
    let slow: [(_, _, [_; 3], Kind); 2] = [
        (
            "request_p95_us",
            "requests",
            [
                peer.request_p50_us,
                peer.request_p95_us,
                peer.request_p99_us,
            ],
            |slice| &slice.latency,
        ),
        (
            "connect_p95_us",
            "connecting",
            [
                peer.connect_p50_us,
                peer.connect_p95_us,
                peer.connect_p99_us,
            ],
            |slice| &slice.connect,
        ),
    ];
    for (field, what, spans, histogram) in slow {
        let Some(span) = spans[percentile as usize].filter(|_| is_beyond(field)) else {
            continue;
        };
        let is_slow = |span| is_span_marked(marks, peer, field, span);
        let mut text = format!("{what} slow: {} {}", percentile.name(), symbols.span(span));
        if let Some(since) = since(detail, percentile, histogram, is_slow) {
            text.push_str(&since.told(detail.series.width(), clock));
        }
        if field == "request_p95_us"
            && let Some((verdict, share, all)) = mostly(detail)
        {
            let word = verdict.word().unwrap_or_default();
            text.push_str(&format!(", {} of it {}", percent(share, all), blamed(word)));
        }
        said.push(text);
    }
    if peer.failed > 0 && (is_beyond("established") || is_beyond("syn_acks")) {
        let ways = [(peer.refused, "refused"), (peer.silent, "no answer")];
        let ways: Vec<_> = ways
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, way)| format!("{n} {way}"))
            .collect();
        let ways = if ways.is_empty() {
            String::new()
        } else {
            format!(" ({})", ways.join(", "))
        };
        said.push(format!(
            "{} of {} attempts failed{ways}",
            peer.failed, peer.attempts
        ));
    }
    if is_beyond("errors") {
        said.push(format!(
            "{} of {} requests answered with an error",
            peer.errors, peer.requests
        ));
    }
    if is_beyond("unanswered") {
        said.push(format!("{} requests without a response", peer.unanswered));
    }
    if is_beyond("retransmits") {
        let segments = peer.data_segments.filter(|segments| *segments > 0);
        let share = segments.map_or_else(
            || peer.retransmits.to_string(),
            |segments| percent(peer.retransmits, segments),
        );
        said.push(format!("{share} of segments repeated"));
    }
    if is_beyond("rtt_mean_us")
        && let Some(rtt) = peer.rtt_mean_us
    {
        said.push(format!("round trip {}", symbols.span(rtt)));
    }
    if is_beyond("resets") {
        said.push(format!("{} ended by RST", peer.resets));
    }
    if is_beyond("capture_losses") {
        said.push(format!(
            "the capture lost something in {}",
            peer.capture_losses
        ));
    }
    said
}

/// Where time went, in words.
fn blamed(verdict: &str) -> &'static str {
    match verdict {
        "client" => "in the client, sending",
        "queue" => "waiting for an earlier request",
        "server" => "in the server",
        "network" => "on the way",
        "loss" => "in repairing loss",
        "window" => "for a closed window",
        _ => "in sending the response",
    }
}

/// When something was beyond its threshold, slice by slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// In every slice.
    Always,
    /// From this slice on, without a break.
    From(Timestamp),
    /// Until this slice.
    Until(Timestamp),
}

impl Since {
    fn told(self, width: Span, clock: &Clock) -> String {
        let at = |at| clock.of_slice(at, width);
        match self {
            Since::Always => " all the time".to_owned(),
            Since::From(from) => format!(" since {}", at(from)),
            Since::Until(until) => format!(", last at {}", at(until)),
        }
    }
}

/// Slices without a value say nothing.
fn since(
    detail: &Detail,
    percentile: Percentile,
    histogram: impl Fn(&Slice) -> &Histogram,
    is_slow: impl Fn(Span) -> bool,
) -> Option<Since> {
    let mut slices: Vec<(Timestamp, bool)> = Vec::new();
    for (at, slice) in detail.series.iter() {
        if let Some(span) = histogram(slice).quantile(percentile.per_mille()) {
            slices.push((at, is_slow(span)));
        }
    }
    let last_good = slices.iter().rposition(|(_, is_slow)| !is_slow);
    match last_good {
        None => slices.first().map(|_| Since::Always),
        Some(good) => match slices.get(good + 1) {
            Some((at, _)) => Some(Since::From(*at)),
            None => {
                let slow = slices.iter().rev().find(|(_, is_slow)| *is_slow);
                slow.map(|(at, _)| Since::Until(*at))
            }
        },
    }
}

/// Where most of the time of its slowest requests went: that, so much of all.
fn mostly(detail: &Detail) -> Option<(Verdict, u64, u64)> {
    let mut sums = [0_u64; 7];
    for budget in detail.slowest.iter().filter_map(|line| line.budget) {
        for (sum, part) in sums.iter_mut().zip(budget) {
            *sum = sum.saturating_add(part.ns());
        }
    }
    let all = sums
        .iter()
        .fold(0, |all: u64, sum| all.saturating_add(*sum));
    let largest = Verdict::ALL
        .iter()
        .zip(sums)
        .rev()
        .max_by_key(|(_, sum)| *sum)?;
    (all > 0).then_some((*largest.0, largest.1, all))
}
