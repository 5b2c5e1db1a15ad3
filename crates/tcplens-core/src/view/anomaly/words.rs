//! A trouble as a finding, in plain words with its numbers. What is said of a capture is elsewhere (`findings`).

use std::cmp::Reverse;
use std::fmt::Write;

use super::component::Share;
use super::trouble::{Family, Trouble, Whom};
use super::{InstanceKey, Judgement};
use crate::record::{AnomalyMetric, Finding, Protocol, Suspect, Word};
use crate::time::Timestamp;
use crate::view::findings::advice;
use crate::view::words::{clock, count, endpoint, grouped};

/// Metrics that the evidence names. Chosen: what is left out says the same.
const METRICS: usize = 4;

/// The order of troubles: what goes on before what is over, what fails before what is slow, then the one of more servers, of
/// more requests, the older.
pub fn rank(troubles: &mut [Trouble]) {
    troubles.sort_by_key(|trouble| {
        let class = match trouble.family() {
            Family::Errors | Family::Connect => 0,
            Family::Loss | Family::Latency => 1,
            Family::Traffic => 2,
        };
        (
            trouble.is_over,
            class,
            Reverse(trouble.servers.len()),
            Reverse(trouble.requests + trouble.attempts),
            trouble.since,
            trouble.number,
        )
    });
}

/// The finding of a trouble, as it is now.
#[must_use]
pub fn finding(trouble: &Trouble, rank: u64) -> Finding {
    let family = trouble.family();
    let code = family.code();
    let worst = trouble.worst();
    let harm = match family {
        Family::Connect => trouble.attempts.max(trouble.requests),
        Family::Loss | Family::Errors | Family::Latency | Family::Traffic => trouble.requests,
    };
    let suspect = worst.map_or(Suspect::Server, |worst| suspect(worst.metric));
    let one = match (&trouble.whom, trouble.servers.first()) {
        (Whom::Server, Some(server)) => Some(*server),
        _ => None,
    };
    let instance = worst.and_then(|worst| instance(trouble, worst));
    let of_one = one.and(instance);
    let (component, p_value) = match &trouble.whom {
        Whom::Component {
            component, ln_p, ..
        } => (Some(component.to_string()), Some(probability(*ln_p))),
        Whom::Server | Whom::All(_) => (None, None),
    };
    Finding {
        time: Some(trouble.since),
        until: Some(trouble.until),
        text: Some(text(trouble)),
        evidence: Some(evidence(trouble)),
        filter: one.map(|(ip, port)| format!("host {ip} and port {port}")),
        advice: worst.map(|worst| {
            let advice = advice(code).unwrap_or_default();
            format!("{advice} {}", query(trouble, worst))
        }),
        server_ip: one.map(|(ip, _)| ip),
        server_port: one.map(|(_, port)| port.into()),
        protocol: of_one.and_then(|instance| instance.protocol),
        operation: of_one
            .and_then(|instance| instance.operation.as_deref())
            .map(str::to_owned),
        metric: worst.and_then(|worst| worst.metric.word()),
        component,
        p_value,
        ..Finding::new(rank, code, harm, suspect)
    }
}

/// The operation, if it is one: of what is abnormal there is no other.
fn instance<'t>(trouble: &'t Trouble, worst: &'t Judgement) -> Option<&'t InstanceKey> {
    match trouble.operations.len() {
        0 => Some(&worst.instance),
        1 => trouble.operations.first(),
        _ => None,
    }
}

fn suspect(metric: AnomalyMetric) -> Suspect {
    match metric {
        AnomalyMetric::Total
        | AnomalyMetric::Process
        | AnomalyMetric::Errors
        | AnomalyMetric::Unanswered
        | AnomalyMetric::Failed => Suspect::Server,
        AnomalyMetric::Upload
        | AnomalyMetric::Transfer
        | AnomalyMetric::Network
        | AnomalyMetric::Connect
        | AnomalyMetric::Retransmits => Suspect::Network,
        AnomalyMetric::Throughput => Suspect::Client,
    }
}

/// `Since 14:03 UTC requests of redis at 10.0.0.7:6379 take 8.2 ms to process, usually about 1.1 ms.`
fn text(trouble: &Trouble) -> String {
    let when = when(trouble);
    let sentence = trouble.worst().map(sentence).unwrap_or_default();
    let servers = |share: &Share, what: &str| {
        format!(
            "{} of {} {what}",
            grouped(share.hits),
            count(share.of, "server")
        )
    };
    match &trouble.whom {
        Whom::Server => format!("{when} {sentence}."),
        Whom::Component {
            component,
            inside,
            elsewhere,
            ..
        } => {
            let others = match elsewhere.hits {
                0 => format!("none of the {} others", grouped(elsewhere.of)),
                hits => format!("{} of the {} others", grouped(hits), grouped(elsewhere.of)),
            };
            format!(
                "{when} {} are abnormal, and {others}: {}. The worst: {sentence}.",
                servers(inside, &format!("with {component}")),
                what(trouble.family())
            )
        }
        Whom::All(share) => format!(
            "{when} {} are abnormal, whatever they are part of: {}. The worst: {sentence}.",
            servers(share, "watched"),
            what(trouble.family())
        ),
    }
}

fn what(family: Family) -> &'static str {
    match family {
        Family::Loss => "segments get lost",
        Family::Connect => "connecting takes longer or fails",
        Family::Errors => "requests fail",
        Family::Latency => "requests take longer",
        Family::Traffic => "there are fewer requests",
    }
}

/// `Since 14:03 UTC`, `From 14:03 to 14:20 UTC`; with dates where these differ.
fn when(trouble: &Trouble) -> String {
    let ((first_day, first), (last_day, last)) = (minute(trouble.since), minute(trouble.until));
    match (trouble.is_over, first_day == last_day) {
        (false, true) => format!("Since {first} UTC"),
        (false, false) => format!("Since {first_day} {first} UTC"),
        (true, true) => format!("From {first} to {last} UTC"),
        (true, false) => format!("From {first_day} {first} to {last_day} {last} UTC"),
    }
}

fn minute(at: Timestamp) -> (String, String) {
    let (day, mut time) = clock(at);
    time.truncate(5);
    (day, time)
}

fn sentence(worst: &Judgement) -> String {
    let key = &worst.instance;
    let server = endpoint(key.server_ip, key.server_port.into());
    let of = instance_text(key);
    let (observed, expected) = (
        value(worst.metric, worst.observed),
        value(worst.metric, worst.expected),
    );
    let usually = format!("usually about {expected}");
    match worst.metric {
        AnomalyMetric::Total => format!("requests of {of} take {observed} in all, {usually}"),
        AnomalyMetric::Process => format!("requests of {of} take {observed} to process, {usually}"),
        AnomalyMetric::Upload => format!("requests of {of} take {observed} to arrive, {usually}"),
        AnomalyMetric::Transfer => {
            format!("responses of {of} take {observed} to transfer, {usually}")
        }
        AnomalyMetric::Network => {
            format!("requests of {of} spend {observed} on the way and in losses, {usually}")
        }
        AnomalyMetric::Connect => format!("connecting to {server} takes {observed}, {usually}"),
        AnomalyMetric::Errors => format!("{observed} of the answers of {of} are errors, {usually}"),
        AnomalyMetric::Unanswered => {
            format!("{observed} of the requests of {of} get no answer, {usually}")
        }
        AnomalyMetric::Failed => {
            format!("{observed} of the attempts to connect to {server} fail, {usually}")
        }
        AnomalyMetric::Retransmits => {
            format!("{observed} of the segments from and to {server} are repeated, {usually}")
        }
        AnomalyMetric::Throughput => format!("{of} gets {observed}, {usually}"),
    }
}

/// ``` `GET /cart` of http at 10.0.0.7:80 ```, `redis at 10.0.0.7:6379`, `10.0.0.7:6379`.
fn instance_text(key: &InstanceKey) -> String {
    let server = endpoint(key.server_ip, key.server_port.into());
    match (key.protocol.and_then(Protocol::word), &key.operation) {
        (Some(protocol), Some(operation)) => format!("{operation:?} of {protocol} at {server}"),
        (Some(protocol), None) => format!("{protocol} at {server}"),
        (None, _) => server,
    }
}

fn value(metric: AnomalyMetric, value: f64) -> String {
    match metric {
        AnomalyMetric::Throughput => {
            // Counts of a minute: far below 2^53, and never negative.
            count(value.max(0.0).round() as u64, "request") + " a minute"
        }
        AnomalyMetric::Errors
        | AnomalyMetric::Unanswered
        | AnomalyMetric::Failed
        | AnomalyMetric::Retransmits => share(value),
        AnomalyMetric::Total
        | AnomalyMetric::Process
        | AnomalyMetric::Upload
        | AnomalyMetric::Transfer
        | AnomalyMetric::Network
        | AnomalyMetric::Connect => duration_us(value),
    }
}

/// Two digits that count: `0.35 ms`, `8.2 ms`, `120 ms`, `2.1 s`.
fn duration_us(us: f64) -> String {
    match us.max(0.0) {
        us if us < 995.0 => format!("{} µs", us.round()),
        us if us < 9_950.0 => format!("{:.1} ms", us / 1e3),
        us if us < 995_000.0 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

/// `12 %`, `0.35 %`, `0 %`; what is not zero is not said to be.
fn share(share: f64) -> String {
    match share.max(0.0) * 100.0 {
        percent if percent >= 9.95 => format!("{percent:.0} %"),
        percent if percent >= 0.995 => format!("{percent:.1} %"),
        percent if percent >= 0.005 => format!("{percent:.2} %"),
        percent if percent > 0.0 => "less than 0.01 %".to_owned(),
        _ => "0 %".to_owned(),
    }
}

/// `1.2e-9`, whatever is below a float's range.
pub(super) fn probability(ln_p: f64) -> String {
    let log10 = ln_p / std::f64::consts::LN_10;
    let exponent = log10.floor();
    let mantissa = 10_f64.powf(log10 - exponent);
    // Rounding may make ten of it.
    let (mantissa, exponent) = match mantissa >= 9.95 {
        true => (1.0, exponent + 1.0),
        false => (mantissa, exponent),
    };
    match exponent {
        0.0 => format!("{mantissa:.1}"),
        exponent => format!("{mantissa:.1}e{exponent:.0}"),
    }
}

fn evidence(trouble: &Trouble) -> String {
    let mut text = String::new();
    let mut by_servers: Vec<_> = trouble.metrics.iter().collect();
    by_servers.sort_by_key(|(_, (servers, _))| Reverse(servers.len()));
    let (shown, rest) = by_servers.split_at(by_servers.len().min(METRICS));
    let many = trouble.servers.len() > 1;
    for (n, (metric, (servers, judgement))) in shown.iter().enumerate() {
        let word = metric.word().unwrap_or_default();
        let (observed, expected) = (
            value(**metric, judgement.observed),
            value(**metric, judgement.expected),
        );
        // Writing to a String cannot fail, here and below.
        let _ = write!(
            text,
            "{}{word} {observed}, usually {expected}",
            if n == 0 { "" } else { "; " }
        );
        if many {
            let _ = write!(
                text,
                " (the worst of {})",
                count(servers.len() as u64, "server")
            );
        }
    }
    if !rest.is_empty() {
        let _ = write!(text, "; and {}", count(rest.len() as u64, "further metric"));
    }
    if let Whom::Component { ln_p, .. } = &trouble.whom {
        let _ = write!(
            text,
            "; so many of one component by chance: p = {}",
            probability(*ln_p)
        );
    }
    if trouble.operations.len() > 1 {
        let _ = write!(
            text,
            "; {} abnormal",
            count(trouble.operations.len() as u64, "operation")
        );
    }
    text.push('.');
    text
}

/// What shows its minutes, and those before, of the worst.
fn query(trouble: &Trouble, worst: &Judgement) -> String {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let columns = match Family::of(worst.metric) {
        Family::Loss => "data_segments, repeated_segments",
        Family::Connect => "attempts, failed, refused, silent",
        Family::Errors => "protocol, operation, requests, errors, unanswered",
        Family::Latency | Family::Traffic => {
            "protocol, operation, requests, process_sum_us, total_sum_us"
        }
    };
    let of_requests = match Family::of(worst.metric) {
        Family::Loss | Family::Connect => "NULL",
        Family::Errors | Family::Latency | Family::Traffic => "NOT NULL",
    };
    let (day, time) = clock(trouble.since.plus(-HOUR_NS));
    let key = &worst.instance;
    format!(
        "Its minutes: tcplens query \"SELECT time, {columns} FROM rollups WHERE server_ip = '{}' AND server_port = {} AND \
         protocol IS {of_requests} AND time >= '{day} {time}' ORDER BY time\"",
        key.server_ip, key.server_port
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_written_whatever_their_size() {
        for (p, expected) in [
            (1.0_f64.ln(), "1.0"),
            (0.02_f64.ln(), "2.0e-2"),
            (0.099_9_f64.ln(), "1.0e-1"),
            (1.24e-9_f64.ln(), "1.2e-9"),
            (-2430.0 * std::f64::consts::LN_10 - 0.7, "5.0e-2431"),
        ] {
            assert_eq!(probability(p), expected);
        }
    }

    #[test]
    fn values_have_two_digits_and_what_is_not_zero_is_not_said_to_be() {
        for (us, expected) in [
            (0.4, "0 µs"),
            (994.0, "994 µs"),
            (1_120.0, "1.1 ms"),
            (9_960.0, "10 ms"),
            (120_400.0, "120 ms"),
            (2_140_000.0, "2.1 s"),
        ] {
            assert_eq!(duration_us(us), expected);
        }
        for (of, expected) in [
            (0.0, "0 %"),
            (0.000_01, "less than 0.01 %"),
            (0.0035, "0.35 %"),
            (0.034, "3.4 %"),
            (0.12, "12 %"),
        ] {
            assert_eq!(share(of), expected);
        }
        let few = value(AnomalyMetric::Throughput, 1234.4);
        assert_eq!(few, "1,234 requests a minute");
    }
}
