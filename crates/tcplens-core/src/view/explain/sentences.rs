//! Sentences about a connection as a whole: who, how it began and ended, what limited it, and the figures behind that.

use super::super::words::{count, duration, endpoint, percent};
use super::words::{grouped, size, time, took};
use super::{Share, Story};
use crate::record::{Close, End, HandshakeOutcome, Protocol, Sent, Side, Word};
use crate::time::Span;

/// Where the observation stands, and the round trips of both halves of the path.
#[must_use]
pub fn vantage(story: &Story) -> String {
    let connection = &story.head.connection;
    let place = match connection.tap_side {
        Side::Client => "Seen at the client",
        Side::Server => "Seen at the server",
        Side::Both => "Seen where both ends are",
        Side::Middle => "Seen between the two",
        Side::Unknown => "Seen somewhere between the two, or at one of them",
    };
    let halves = [
        ("client", &connection.client),
        ("server", &connection.server),
    ];
    let halves: Vec<_> = halves
        .iter()
        .filter_map(|(name, sent)| Some(format!("to the {name} {}", time(sent.rtt_min_us?))))
        .collect();
    if halves.is_empty() {
        return format!("{place}.");
    }
    format!(
        "{place}; the shortest round trip from here {}.",
        halves.join(", ")
    )
}

/// How it began.
#[must_use]
pub fn opening(story: &Story) -> String {
    let Some(outcome) = story.head.connection.handshake else {
        return "Its handshake is not decided.".to_owned();
    };
    let handshake = story.head.handshake.as_ref();
    let waited = handshake
        .and_then(|handshake| handshake.wait_us)
        .map_or_else(String::new, |wait| format!(" after {}", time(wait)));
    let repeats = handshake.map_or(0, |handshake| handshake.syn_retransmits);
    let repeats = match repeats {
        0 => String::new(),
        n => format!(
            ", its SYN sent {} more",
            match n {
                1 => "once".to_owned(),
                n => format!("{n} times"),
            }
        ),
    };
    match outcome {
        HandshakeOutcome::Missed => "It had begun before the observation.".to_owned(),
        HandshakeOutcome::Established => format!("Established{waited}{repeats}."),
        HandshakeOutcome::OneSided => {
            "Established, it seems: only one direction of it was captured.".to_owned()
        }
        HandshakeOutcome::Refused => format!(
            "Refused by the server{waited}{repeats}: nothing listens on that port, or a firewall rejects."
        ),
        HandshakeOutcome::Unreachable => {
            let icmp = handshake.and_then(|handshake| {
                let (kind, code) = (handshake.icmp_type?, handshake.icmp_code?);
                let from = handshake.icmp_from?;
                Some(format!(" (ICMP type {kind} code {code} from {from})"))
            });
            format!("Unreachable{waited}{}{repeats}.", icmp.unwrap_or_default())
        }
        HandshakeOutcome::TimedOut => format!("Never answered{repeats}: timed out{waited}."),
        HandshakeOutcome::Unanswered => {
            format!("Not answered while the observation lasted{repeats}.")
        }
        HandshakeOutcome::Aborted => format!("The client gave up{waited}{repeats}."),
        HandshakeOutcome::Reset => {
            format!("The server answered, and then reset it{waited}{repeats}.")
        }
        HandshakeOutcome::Unacknowledged => {
            format!("The server answered{repeats}, and the client did not go on.")
        }
    }
}

/// How it ended; nothing if it never began.
#[must_use]
pub fn closing(story: &Story) -> Option<String> {
    let first = match story.head.closed_first {
        Some(end) => format!("the {} closed first", end.word().unwrap_or_default()),
        None => "nobody had closed".to_owned(),
    };
    Some(match story.head.connection.close {
        Close::Failed => return None,
        Close::Fin => format!("Closed by both; {first}."),
        Close::RstByClient => format!("Reset by the client; {first}."),
        Close::RstByServer => format!("Reset by the server; {first}."),
        Close::Idle => format!("Given up as idle; {first}."),
        Close::Superseded => format!("A new connection took its ports; {first}."),
        Close::TimedOut => format!("Given up by the kernel; {first}."),
        Close::Open => format!("Still open when the observation ended; {first}."),
    })
}

/// What limited it, in a paragraph that goes on from those words: the verdict first, then where its lifetime went.
#[must_use]
pub fn limit(story: &Story) -> String {
    let connection = &story.head.connection;
    if connection.close == Close::Failed {
        return "it was never established, so it carried nothing.".to_owned();
    }
    let spent = &story.foot.spent;
    let all = spent.all();
    if story.foot.requests == 0 {
        let carried = connection.client.bytes + connection.server.bytes;
        let why = match carried {
            0 => "nothing: no data was seen on it",
            _ => "not known, for no request could be told apart on it",
        };
        return format!("{why}.{}", troubles(story));
    }
    let Some(limit) = spent.limit() else {
        return format!("nothing: nothing on it took any time.{}", troubles(story));
    };
    let mut parts: Vec<_> = Share::ALL
        .into_iter()
        .filter(|share| spent.of(*share) > 0)
        .collect();
    parts.sort_by_key(|share| (std::cmp::Reverse(spent.of(*share)), *share));
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|share| spent.of(*share) >= all / 1000)
        .map(|share| {
            let ns = spent.of(share);
            format!("{} {} ({})", percent(ns, all), meaning(share), duration(ns))
        })
        .collect();
    let busy = all - spent.of(Share::Idle);
    let is_idle = busy < QUICK_NS && busy < all / 10;
    let verdict = match is_idle {
        true => format!(
            "nothing much, it was idle; of the rest {} took most, {}",
            culprit(limit),
            duration(spent.of(limit))
        ),
        false => format!("{}, {}", culprit(limit), duration(spent.of(limit))),
    };
    format!(
        "{verdict}. Of its {}: {}.{}",
        duration(all),
        parts.join(", "),
        troubles(story)
    )
}

/// What is done so quickly limited nobody: 100 ms, from where on a request is called slow.
const QUICK_NS: u64 = super::super::thresholds::SLOW_NS;

/// What took the time of a share.
fn culprit(limit: Share) -> &'static str {
    match limit {
        Share::Handshake => "the handshake",
        Share::Client => "the client, sending its requests",
        Share::Queue => "waiting behind other requests",
        Share::Server => "the server",
        Share::Network => "the way to the server and back",
        Share::Loss => "loss and its repair",
        Share::Window => "a receiver that did not read (closed window)",
        Share::Transfer => "sending the responses",
        Share::Unanswered => "waiting for an answer that never came",
        Share::Unknown => "requests whose parts are not known",
        Share::Idle => "idleness",
    }
}

/// What a share of the lifetime was.
#[must_use]
pub fn meaning(share: Share) -> &'static str {
    match share {
        Share::Handshake => "handshake",
        Share::Client => "sending requests",
        Share::Queue => "waiting behind other requests",
        Share::Server => "in the server",
        Share::Network => "on the way to the server and back",
        Share::Loss => "lost and repeated",
        Share::Window => "at a closed window",
        Share::Transfer => "sending responses",
        Share::Unanswered => "waiting for answers that never came",
        Share::Unknown => "in requests whose parts are not known",
        Share::Idle => "idle (nothing was asked)",
    }
}

/// What was lost, and windows that were closed: said where no share of time says it.
fn troubles(story: &Story) -> String {
    let connection = &story.head.connection;
    let mut said = String::new();
    for (name, sent) in [
        ("client", &connection.client),
        ("server", &connection.server),
    ] {
        let again = sent.retransmits + sent.partial_retransmits + sent.fills_lost;
        if again > 0 {
            let of = sent.segments;
            said.push_str(&format!(
                " The {name} sent {} of its {} segments again.",
                grouped(again),
                grouped(of)
            ));
        }
        if sent.zero_windows > 0 {
            said.push_str(&format!(
                " The {name} did not read for {} (window closed {}).",
                time(sent.zero_window_us),
                count(sent.zero_windows, "time")
            ));
        }
    }
    said
}

/// The figures: one line for each end, and one for requests.
#[must_use]
pub fn figures(story: &Story) -> Vec<String> {
    let connection = &story.head.connection;
    let mut lines = Vec::new();
    if story.foot.requests > 0 {
        let protocol = match connection.protocol {
            None | Some(Protocol::Turn) => String::new(),
            Some(protocol) => format!(" of {}", protocol.word().unwrap_or_default()),
        };
        let mut line = format!(
            "{}{protocol}, {} answered",
            count(story.foot.requests, "request"),
            grouped(story.foot.answered)
        );
        if let Some(longest) = &story.foot.longest
            && longest.total.is_some()
        {
            line.push_str(&format!("; the longest: {}", took(longest)));
        }
        lines.push(format!("{line}."));
    }
    lines.push(sent(story, End::Client, &connection.client));
    lines.push(sent(story, End::Server, &connection.server));
    if connection.duplicates > 0 {
        lines.push(format!(
            "{} seen a second time, and counted once.",
            count(connection.duplicates, "segment")
        ));
    }
    lines
}

fn sent(story: &Story, end: End, sent: &Sent) -> String {
    let name = end.word().unwrap_or_default();
    let mut line = format!(
        "The {name} sent {} in {}",
        size(sent.bytes),
        count(sent.segments, "segment")
    );
    let lifetime = story.head.connection.duration_us.map_or(0, Span::ns);
    let per_second = |ns: u64| {
        let rate = u128::from(sent.bytes) * 1_000_000_000 / u128::from(ns.max(1));
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    if sent.bytes >= super::RATED_BYTES && lifetime > 0 {
        line.push_str(&format!(", {}/s on the whole", size(per_second(lifetime))));
    }
    if let Some(rate) = story.foot.rates[end.index()] {
        line.push_str(&format!(", {}/s while it was sending", size(rate)));
    }
    let counts = [
        (sent.retransmits, "sent again"),
        (sent.partial_retransmits, "partly again"),
        (sent.fills_lost, "lost before here and sent again"),
        (sent.fills_reordered, "overtaken on the way here"),
        (
            sent.fills - sent.fills_lost - sent.fills_reordered,
            "late, lost or overtaken",
        ),
        (sent.dsacks, "reported as needless"),
        (sent.keepalives, "probes"),
    ];
    for (n, what) in counts.into_iter().filter(|(n, _)| *n > 0) {
        line.push_str(&format!(", {} {what}", grouped(n)));
    }
    if sent.missing_bytes > 0 {
        line.push_str(&format!(
            ", {} acknowledged and never seen here",
            size(sent.missing_bytes)
        ));
    }
    if let (Some(min), Some(mean), Some(max)) = (sent.rtt_min_us, sent.rtt_mean_us, sent.rtt_max_us)
    {
        line.push_str(&format!(
            "; round trip from here to it {}, mean {}, up to {} ({} measured)",
            time(min),
            time(mean),
            time(max),
            grouped(sent.rtt_samples)
        ));
    }
    line.push('.');
    line
}

/// `10.0.0.1:40001 => 10.0.0.2:80, http`.
#[must_use]
pub fn who(story: &Story) -> String {
    let connection = &story.head.connection;
    let mut text = format!(
        "{} => {}",
        endpoint(connection.client_ip, connection.client_port),
        endpoint(connection.server_ip, connection.server_port)
    );
    if let Some(protocol) = connection.protocol.filter(|it| *it != Protocol::Turn) {
        text.push_str(&format!(", {}", protocol.word().unwrap_or_default()));
    }
    text
}
