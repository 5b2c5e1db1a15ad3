//! What is wrong with a destination, in a sentence, and since when: is it connecting, or requests, or neither?

use tcplens_core::record::{Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::top::Detail;
use tcplens_core::view::{Histogram, Slice};

use super::columns::{COLUMNS, Percentile};
use super::look::{Clock, Symbols, percent};
use super::thresholds::{Limit, Thresholds};

/// What is wrong, the most telling first; empty: nothing is beyond its threshold.
pub(super) fn verdict(
    detail: &Detail,
    thresholds: &Thresholds,
    percentile: Percentile,
    symbols: &Symbols,
    clock: &Clock,
) -> Vec<String> {
    let mut said = Vec::new();
    let peer = &detail.peer;
    let is_beyond = |limit: Limit| {
        let column = COLUMNS.iter().find(|column| column.limit == Some(limit));
        column.is_some_and(|column| thresholds.is_beyond(limit, (column.cell)(peer, percentile)))
    };
    let at = percentile as usize;
    let slow = [
        (
            Limit::Request,
            "requests",
            [peer.request_p50_us, peer.request_p95_us, peer.request_p99_us][at],
        ),
        (
            Limit::Connect,
            "connecting",
            [peer.connect_p50_us, peer.connect_p95_us, peer.connect_p99_us][at],
        ),
    ];
    for (limit, what, span) in slow {
        let Some((span, least)) = span.zip(thresholds.span(limit)).filter(|_| is_beyond(limit)) else {
            continue;
        };
        let histogram = |slice: &Slice| match limit {
            Limit::Connect => slice.connect.clone(),
            _ => slice.latency.clone(),
        };
        let since = since(detail, least, percentile, histogram);
        let mut text = format!(
            "{what} slow: {} {} (over {})",
            percentile.name(),
            symbols.span(span),
            symbols.span(least)
        );
        if let Some(since) = since {
            text.push_str(&since.told(detail.series.width(), clock));
        }
        if limit == Limit::Request
            && let Some((verdict, share, all)) = mostly(detail)
        {
            let word = verdict.word().unwrap_or_default();
            text.push_str(&format!(", {} of the slowest's time: {word}", percent(share, all)));
        }
        said.push(text);
    }
    if peer.failed > 0 && (is_beyond(Limit::Established) || is_beyond(Limit::SynAck)) {
        let ways = [(peer.refused, "refused"), (peer.silent, "no answer")];
        let ways: Vec<_> = ways
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, way)| format!("{n} {way}"))
            .collect();
        let ways = if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) };
        said.push(format!("{} of {} attempts failed{ways}", peer.failed, peer.attempts));
    }
    if is_beyond(Limit::Error) {
        said.push(format!("{} of {} requests answered with an error", peer.errors, peer.requests));
    }
    if is_beyond(Limit::Unanswered) {
        said.push(format!("{} requests without a response", peer.unanswered));
    }
    if is_beyond(Limit::Retransmits)
        && let Some(segments) = peer.data_segments
    {
        said.push(format!("{} of segments repeated", percent(peer.retransmits, segments)));
    }
    if is_beyond(Limit::Rtt)
        && let Some(rtt) = peer.rtt_mean_us
    {
        said.push(format!("round trip {}", symbols.span(rtt)));
    }
    if is_beyond(Limit::Reset) {
        said.push(format!("{} ended by RST", peer.resets));
    }
    if is_beyond(Limit::Lost) {
        said.push(format!("the capture lost something in {}", peer.capture_losses));
    }
    said
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
    least: Span,
    percentile: Percentile,
    histogram: impl Fn(&Slice) -> Histogram,
) -> Option<Since> {
    let mut slices: Vec<(Timestamp, bool)> = Vec::new();
    for (at, slice) in detail.series.iter() {
        if let Some(span) = histogram(slice).quantile(percentile.per_mille()) {
            slices.push((at, span.ns() > least.ns()));
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
    let all = sums.iter().fold(0, |all: u64, sum| all.saturating_add(*sum));
    let largest = Verdict::ALL.iter().zip(sums).rev().max_by_key(|(_, sum)| *sum)?;
    (all > 0).then_some((*largest.0, largest.1, all))
}
