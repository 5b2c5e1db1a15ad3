//! The foot of a report: what the observation lost or could not read. Only what is not zero.

use tcplens_core::record::Health;
use tcplens_core::view::Report;

use super::{Page, things};
use crate::human::Count;

pub(super) fn print(page: &mut Page<'_>, report: &Report, health: &Health) {
    let mut losses: Vec<String> = [
        (
            health.kernel_drops.unwrap_or(0),
            "packet",
            "dropped by the kernel",
        ),
        (
            health.event_drops.unwrap_or(0),
            "event",
            "dropped in the ring buffer: requests or connections are missing",
        ),
        (
            health.cut_packets,
            "packet",
            "cut by the snap length (counts come from headers and are right, contents are incomplete)",
        ),
        (
            health.duplicates,
            "segment",
            "seen a second time and counted once",
        ),
        (
            health.bad_checksums.unwrap_or(0),
            "packet",
            "with a wrong checksum",
        ),
        (health.time_reversals, "packet", "older than one before"),
        (
            health.evicted_connections,
            "connection",
            "given up because a table was full",
        ),
        (
            health.late_syns,
            "SYN",
            "of attempts that had been concluded",
        ),
        (
            health.late_segments,
            "segment",
            "of connections that had been reported",
        ),
        (
            report.totals().missed,
            "connection",
            "begun before the observation",
        ),
        (report.totals().open, "connection", "still open at its end"),
        (report.totals().idle, "connection", "given up as idle"),
        (
            health.stream_gaps,
            "hole",
            "in what requests are read from: some of them are missing",
        ),
        (
            report.totals().missing_bytes,
            "byte",
            "acknowledged and never seen here",
        ),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, what)| format!("{} {what}", things(count, one)))
    .collect();
    let lists = [
        ("not TCP, or not decoded", &health.undecoded),
        (
            "messages of requests that could not be read",
            &health.unparsed_messages,
        ),
        ("bounds reached", &health.limit_hits),
    ];
    for (what, counts) in lists {
        let counts: Vec<_> = counts
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(word, n)| format!("{} {word}", Count(*n)))
            .collect();
        if !counts.is_empty() {
            losses.push(format!("{what}: {}", counts.join(", ")));
        }
    }
    if let Some(offset) = health.damaged_at {
        losses.push(format!(
            "the file is damaged at byte {offset}: what follows was not read"
        ));
    }
    if losses.is_empty() {
        return;
    }
    page.heading("About this observation", "");
    page.prose("", &format!("{}.", losses.join("; ")));
}
