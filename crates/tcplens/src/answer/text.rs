//! The answer to `summary text`: what was counted so far, for people. The same numbers as the line of JSON.

use tcplens_core::pending::Pending;
use tcplens_core::record::{Close, Health, Word};
use tcplens_core::time::Timestamp;
use tcplens_core::view::{Connections, Running};
use tcplens_output::human::{Bytes, Count, Duration, Endpoint};
use tcplens_output::rfc3339::{self, Rfc3339};
use tcplens_output::text::{RequestEnd, summary};

use crate::commands::requests::unparsed;
use crate::commands::summary as handshakes;

/// How many servers the line about attempts without an answer names.
const SERVERS: usize = 5;

/// The text, with a newline at its end.
pub(super) fn document(
    running: &Running,
    health: &Health,
    pending: Option<&Pending>,
    since: Timestamp,
) -> String {
    let mut out = Vec::new();
    let drops = health.kernel_drops.map_or_else(String::new, |drops| {
        format!(", {} dropped by kernel", Count(drops))
    });
    let mut time = [0; rfc3339::LENGTH];
    Rfc3339::default().write(&mut time, since);
    let begin = format!(
        "since {}: {} packets{drops}\n\n",
        String::from_utf8_lossy(&time),
        Count(health.packets)
    );
    out.extend_from_slice(begin.as_bytes());
    let summaries: Vec<_> = running.attempts.summaries().collect();
    handshakes::tables(&summaries, false, &mut out);
    out.push(b'\n');
    if let Some(pending) = pending.filter(|pending| pending.attempts > 0) {
        out.extend_from_slice(unanswered(pending).as_bytes());
        out.extend_from_slice(b"\n\n");
    }
    let unparsed = unparsed(health);
    let end = RequestEnd {
        unparsed: &unparsed,
        holes: health.stream_gaps,
        ..RequestEnd::default()
    };
    summary(&running.requests, &end, &mut out);
    out.extend_from_slice(connections(&running.connections).as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// The attempts that nothing has answered, in a line: how many, for how long, and to which servers most of them are.
pub(crate) fn unanswered(pending: &Pending) -> String {
    let servers = pending.busiest(SERVERS);
    let shown: u64 = servers.iter().map(|(_, waited)| waited.attempts).sum();
    let servers = servers.into_iter().map(|((ip, port), waited)| {
        let server = Endpoint(ip, port.into());
        format!("{} to {server}", waited.attempts)
    });
    let mut servers: Vec<_> = servers.collect();
    let others = pending.attempts.saturating_sub(shown);
    if others > 0 {
        servers.push(format!("{others} to others"));
    }
    let oldest = pending.oldest.unwrap_or_default();
    let s = if pending.attempts == 1 { "" } else { "s" };
    format!(
        "no answer yet to {} connection attempt{s}, the oldest {} ago: {}",
        pending.attempts,
        Duration(oldest),
        servers.join(", ")
    )
}

fn connections(connections: &Connections) -> String {
    let ends = Close::ALL.iter().filter_map(|&close| {
        let ended = connections.close(close);
        Some(format!("{} {}", Count(ended), close.word()?)).filter(|_| ended > 0)
    });
    let ends: Vec<_> = ends.collect();
    let ends = match ends.is_empty() {
        true => "none".to_owned(),
        false => ends.join(", "),
    };
    let mut text = format!("\nconnections that ended: {ends}\n");
    for (side, sums) in ["clients", "servers"].iter().zip(connections.sent) {
        text.push_str(&format!(
            "{side} sent {} in {} segments with data; {} segments came again\n",
            Bytes(sums.bytes),
            Count(sums.data_segments),
            Count(sums.retransmits)
        ));
    }
    text
}
