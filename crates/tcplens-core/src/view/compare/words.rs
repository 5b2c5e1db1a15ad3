//! What is said of a change: plain words, then the numbers behind them. Not what changed.

use std::fmt::Write;

use super::grown;
use super::pairs::Pair;
use crate::record::{Metric, Units, Verdict, Word};
use crate::view::ServerKey;
use crate::view::words::{count, duration, endpoint};

/// The stable word of a change.
pub(super) fn code(pair: &Pair) -> &'static str {
    let is_more = pair.rise > 0.0;
    let (more, less) = match pair.metric {
        Metric::Latency => ("slower", "faster"),
        Metric::SlowShare => ("more_slow", "fewer_slow"),
        Metric::Errors => ("more_errors", "fewer_errors"),
        Metric::Unanswered => ("more_unanswered", "fewer_unanswered"),
        Metric::FailedConnects => ("more_failed_connects", "fewer_failed_connects"),
        Metric::ConnectTime => ("slower_connects", "faster_connects"),
        Metric::Loss => ("more_loss", "less_loss"),
        Metric::ServerRtt => ("server_farther", "server_nearer"),
        Metric::ClientRtt => ("clients_farther", "clients_nearer"),
        Metric::RequestRate => ("more_requests", "fewer_requests"),
        Metric::Presence => ("new", "gone"),
    };
    if is_more { more } else { less }
}

/// What shows its packets.
pub(super) fn filter((ip, port): ServerKey) -> String {
    format!("host {ip} and port {port}")
}

/// What changed, and the numbers behind it.
pub(super) fn said(
    pair: &Pair,
    p: Option<f64>,
    compared: usize,
    parts: &[&Pair],
) -> (String, String) {
    let (name, them) = (name(pair), requests(pair));
    let is_more = pair.rise > 0.0;
    let percents = pair.hits.map(|[a, b]| {
        let [before, now] = pair.counts;
        [share(a, before), share(b, now)]
    });
    let [before, now] = percents.unwrap_or_default();
    let text = match pair.metric {
        Metric::Latency => format!(
            "{} {} than before: {}.",
            capital(&them),
            if is_more { "take longer" } else { "are faster" },
            times(pair)
        ),
        Metric::SlowShare => format!(
            "Of the {them}, {} are slow than before: {now} now, {before} then (slow: longer than 95 % of all of both).",
            if is_more { "more" } else { "fewer" }
        ),
        Metric::Errors => {
            format!("{now} of the {them} are answered with an error now, {before} before.")
        }
        Metric::Unanswered => format!("{now} of the {them} get no answer now, {before} before."),
        Metric::FailedConnects => {
            format!("{now} of the attempts to connect to {name} fail now, {before} before.")
        }
        Metric::ConnectTime => format!(
            "Connecting to {name} {} than before: {}.",
            if is_more { "takes longer" } else { "is faster" },
            times(pair)
        ),
        Metric::Loss => {
            format!("{now} of the packets to and from {name} get lost now, {before} before.")
        }
        Metric::ServerRtt => format!(
            "{name} is {} from here than before: {}.",
            if is_more { "farther" } else { "less far" },
            times(pair)
        ),
        Metric::ClientRtt => format!(
            "Clients of {name} are {} from here than before: {}.",
            if is_more { "farther" } else { "less far" },
            times(pair)
        ),
        Metric::RequestRate => format!(
            "There are {} {them} than before: {} now, {} then.",
            if is_more { "more" } else { "fewer" },
            rate(pair.means[1]),
            rate(pair.means[0])
        ),
        Metric::Presence if is_more => {
            format!("{} are new: there were none before.", capital(&them))
        }
        Metric::Presence => format!("{} are gone: there are none now.", capital(&them)),
    };
    (text, evidence(pair, p, compared, parts))
}

/// `10.0.0.1:80`.
fn name(pair: &Pair) -> String {
    endpoint(pair.server.0, pair.server.1)
}

/// `http requests to 10.0.0.1:80`, `redis GET requests to 10.0.0.2:6379`.
fn requests(pair: &Pair) -> String {
    let server = name(pair);
    let protocol = pair.protocol.and_then(Word::word);
    match (protocol, pair.operation.as_deref()) {
        (None, _) => format!("attempts to connect to {server}"),
        (Some(protocol), None | Some("")) => format!("{protocol} requests to {server}"),
        (Some(protocol), Some(operation)) => {
            format!("{protocol} {operation} requests to {server}")
        }
    }
}

/// With a capital letter, unless it begins with a name that is written so.
fn capital(text: &str) -> String {
    match text.split_once(' ') {
        Some(("attempts", rest)) => format!("Attempts {rest}"),
        _ => text.to_owned(),
    }
}

/// `the median went from 3.20 ms to 6.40 ms (+100 %), the slowest 5 % take 20 ms instead of 15 ms or more`.
fn times(pair: &Pair) -> String {
    let (Some([a, b]), Some([slow_a, slow_b])) = (pair.p50, pair.p95) else {
        return "its times".to_owned();
    };
    format!(
        "the median went from {} to {} ({}), the 95th percentile from {} to {} ({})",
        duration(a.ns()),
        duration(b.ns()),
        by(a.ns(), b.ns()),
        duration(slow_a.ns()),
        duration(slow_b.ns()),
        by(slow_a.ns(), slow_b.ns())
    )
}

/// `+12 %`, `-3 %`, `8.5 times`.
fn by(before: u64, now: u64) -> String {
    if before == 0 {
        return "from nothing".to_owned();
    }
    let ratio = now as f64 / before as f64;
    if ratio >= 3.0 {
        return format!("{ratio:.1} times");
    }
    let percent = ((ratio - 1.0) * 100.0).round();
    if percent == 0.0 {
        return "as before".to_owned();
    }
    format!("{percent:+.0} %")
}

fn evidence(pair: &Pair, p: Option<f64>, compared: usize, parts: &[&Pair]) -> String {
    let one = match pair.metric {
        Metric::Latency
        | Metric::SlowShare
        | Metric::Errors
        | Metric::Unanswered
        | Metric::RequestRate => "request",
        Metric::Presence if pair.protocol.is_some() => "request",
        Metric::Presence | Metric::FailedConnects => "attempt",
        Metric::Loss => "packet",
        Metric::ConnectTime | Metric::ServerRtt | Metric::ClientRtt => "connection",
    };
    let side = |at: usize| {
        let all = count(pair.counts[at], one);
        let hits = pair.hits.map(|hits| format!("{} of ", hits[at]));
        let on = match (pair.connections[at], pair.metric) {
            (_, Metric::ConnectTime | Metric::ServerRtt | Metric::ClientRtt) => String::new(),
            (_, Metric::FailedConnects) => String::new(),
            (64.., _) => " on 64 or more connections".to_owned(),
            (n, _) => format!(" on {}", count(n, "connection")),
        };
        format!("{}{all}{on}", hits.unwrap_or_default())
    };
    let mut text = match pair.metric {
        Metric::Presence if pair.rise > 0.0 => side(1),
        Metric::Presence => side(0),
        _ => format!("{} before, {} now", side(0), side(1)),
    };
    if let (Metric::Latency, Some((part, ns, all))) = (pair.metric, grown(pair)) {
        // Means of a request in ns, far below 2^64.
        let (ns, all) = (ns as u64, all as u64);
        let more = if pair.rise > 0.0 { "more" } else { "less" };
        let (whole, place) = (duration(all), place(part));
        let _ = if ns >= all / 20 * 19 {
            write!(
                text,
                "; the {whole} that a request takes {more} on average {place}"
            )
        } else {
            let ns = duration(ns);
            write!(
                text,
                "; of {whole} that a request takes {more} on average, {ns} {place}"
            )
        };
    }
    operations(&mut text, pair, parts);
    if let Some(p) = p {
        let _ = write!(text, "; p {}", probability(p));
        if compared > 1 {
            let _ = write!(
                text,
                ", corrected for {}",
                count(compared as u64, "comparison")
            );
        }
    }
    match pair.judged.map(|judged| judged.units) {
        Some(Units::Connections) => text.push_str(
            "; by connections alone: too short a time to compare times, so it may be the moment that differs",
        ),
        Some(Units::Time) if pair.metric != Metric::RequestRate => text.push_str(
            "; by time alone: too few connections to compare these, so it may be the connections that differ",
        ),
        Some(Units::Time | Units::Both) | None => {}
    }
    text.push('.');
    text
}

/// Operations that changed alike, or that it is none of them.
fn operations(text: &mut String, pair: &Pair, parts: &[&Pair]) {
    // Writing to a String cannot fail.
    if pair.operation.is_some() || pair.protocol.is_none() || pair.metric == Metric::Presence {
        return;
    }
    if parts.is_empty() {
        text.push_str(
            "; none of its operations alone changed beyond chance: it may be another mix of them",
        );
        return;
    }
    text.push_str("; by operation: ");
    for (n, part) in parts.iter().take(3).enumerate() {
        let operation = part.operation.as_deref().unwrap_or_default();
        let _ = write!(text, "{}{operation}", if n == 0 { "" } else { ", " });
        if let Some([a, b]) = part.p50 {
            let _ = write!(text, " {} to {}", duration(a.ns()), duration(b.ns()));
        } else if let Some([a, b]) = part.hits {
            let [before, now] = part.counts;
            let _ = write!(text, " {} to {}", share(a, before), share(b, now));
        }
    }
    if parts.len() > 3 {
        let _ = write!(text, ", and {} more operations", parts.len() - 3);
    }
}

fn place(part: Verdict) -> &'static str {
    match part {
        Verdict::Client => "are the client's, sending the request",
        Verdict::Queue => "are spent behind earlier requests of the connection",
        Verdict::Server => "are spent inside the server",
        Verdict::Network => "are spent on the way",
        Verdict::Loss => "are spent until what was lost came again",
        Verdict::Window => "are spent on a receiver that does not read",
        Verdict::Transfer => "are spent on sending the response",
    }
}

fn probability(p: f64) -> String {
    if p < 0.0001 {
        "below 0.0001".to_owned()
    } else {
        format!("= {p:.4}")
    }
}

/// `12.5 %`, `0.03 %`.
fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    match percent {
        0.0 => "none".to_owned(),
        ..0.1 => format!("{percent:.3} %"),
        ..10.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// `12 in a second`, `3.1 in a minute`.
fn rate(per_second: f64) -> String {
    match per_second {
        10.0.. => format!("{per_second:.0} in a second"),
        1.0.. => format!("{per_second:.1} in a second"),
        _ => format!("{:.1} in a minute", per_second * 60.0),
    }
}
