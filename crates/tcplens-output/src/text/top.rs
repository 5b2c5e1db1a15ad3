//! A table of destinations: trtop's columns first, under the names of what they are. A value beyond its threshold has a `!`
//! behind it. Not the screen, which chooses columns by its width: here are all.

use std::fmt::{Display, Write};

use tcplens_core::record::{GroupBy, Peer, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::top::{Marks, Over, TopQuery, TopSnapshot, whole_of};

use crate::color::Paint;
use crate::hosts::Hosts;
use crate::human::{Bytes, Count, Duration};
use crate::report::prose;
use crate::table::{Column, Table};
use crate::time_style::TimeFormat;

/// Prints one table after the other, with a blank line between.
#[derive(Debug)]
pub struct TopText {
    time: TimeFormat,
    color: bool,
    marks: Marks,
    is_first: bool,
    hosts: Hosts,
    width: Option<usize>,
}

/// Columns by importance, as the screen has them: the last is left out first where there is little room.
const IMPORTANCE: [&str; 24] = [
    "TOTAL P95",
    "CONNECT P95",
    "SYN",
    "EST",
    "REQUESTS",
    "ERROR",
    "RETRANSMITS",
    "RTT MEAN",
    "LOST",
    "UNANSWERED",
    "RESET",
    "PROCESS P95",
    "BYTES OUT",
    "BYTES IN",
    "REUSE P95",
    "PENDING",
    "SYN-ACK",
    "SYN/s",
    "EST/s",
    "RESPONSES",
    "OPEN",
    "FIN OUT",
    "FIN IN",
    "REORDERED",
];

impl TopText {
    /// Times in that format.
    #[must_use]
    pub fn new(time: TimeFormat, color: bool, marks: Marks) -> TopText {
        TopText {
            time,
            color,
            marks,
            is_first: true,
            hosts: Hosts::default(),
            width: None,
        }
    }

    /// Tables have at most so many columns of characters, if the reader's screen has no more: what is less important is left out, and
    /// named below.
    #[must_use]
    pub fn with_width(self, width: Option<usize>) -> TopText {
        TopText { width, ..self }
    }

    /// Shows addresses so.
    #[must_use]
    pub fn with_hosts(self, hosts: Hosts) -> TopText {
        TopText { hosts, ..self }
    }

    /// Time zero of the relative style.
    pub fn set_origin(&mut self, first_packet: Timestamp) {
        self.time.set_origin(first_packet);
    }

    /// Appends what a snapshot tells that was asked for with `query`.
    pub fn encode(&mut self, query: &TopQuery, snapshot: &TopSnapshot, out: &mut Vec<u8>) {
        if snapshot.at.is_none() {
            out.extend_from_slice(b"no packets\n");
            return;
        }
        if !std::mem::take(&mut self.is_first) {
            out.push(b'\n');
        }
        self.heading(query, snapshot, out);
        let has_pending = snapshot.totals.pending.is_some();
        let mut table = Table::new(&columns(query.by, has_pending), self.color);
        for (_, peer) in &snapshot.rows {
            self.row(&mut table, &name(peer, &self.hosts), peer, has_pending);
        }
        if let Some(others) = &snapshot.others {
            self.row(&mut table, "others", others, has_pending);
        }
        self.row(&mut table, "Totals", &snapshot.totals, has_pending);
        let left_out = self
            .width
            .map(|width| table.fit(width, &IMPORTANCE))
            .unwrap_or_default();
        table.print(out);
        self.note(&left_out, out);
    }

    /// What found no room.
    fn note(&self, left_out: &[&str], out: &mut Vec<u8>) {
        if left_out.is_empty() {
            return;
        }
        let note = format!(
            "No room for {}: a wider screen, a pipe and -o have all.",
            left_out.join(", ")
        );
        let mut text = String::new();
        prose::wrap(&mut text, 0, "", &note, self.width.unwrap_or(usize::MAX));
        out.extend_from_slice(text.as_bytes());
    }

    /// `2026-11-21 01:08:22.384589Z, 10 s, by peer: 2 rows`
    fn heading(&mut self, query: &TopQuery, snapshot: &TopSnapshot, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.time.write(&mut text, snapshot.totals.time);
        if let Some(span) = snapshot.totals.window_us {
            let _ = write!(text, ", {}", Duration(span));
        }
        if query.over == Over::Start {
            text.push_str(" since the beginning");
        }
        let by = query.by.word().unwrap_or_default();
        let (shown, passing) = (snapshot.rows.len(), snapshot.passing);
        let _ = write!(text, ", by {by}: {}", Count(shown as u64));
        if shown < passing {
            let _ = write!(text, " of {}", Count(passing as u64));
        }
        text.push_str(if shown.max(passing) == 1 {
            " row"
        } else {
            " rows"
        });
        if passing < snapshot.known {
            let _ = write!(
                text,
                " (the filter takes {} of {})",
                Count(passing as u64),
                Count(snapshot.known as u64)
            );
        }
        text.push('\n');
        out.extend_from_slice(text.as_bytes());
    }

    fn row(&self, table: &mut Table, name: &str, peer: &Peer, has_pending: bool) {
        let paint = if peer.is_sum {
            Paint::Bold
        } else {
            Paint::Plain
        };
        table.cell(paint, name);
        table.cell(Paint::Plain, Count(peer.attempts));
        rate(table, peer, peer.attempts);
        self.part(table, peer, "syn_acks", peer.syn_acks);
        self.part(table, peer, "established", peer.established);
        self.part(table, peer, "resets", peer.resets);
        self.part(table, peer, "fins_out", peer.fins_out);
        self.part(table, peer, "fins_in", peer.fins_in);
        rate(table, peer, peer.established);
        self.optional(table, peer, "reuse_p95", peer.reuse_p95.map(Count));
        self.optional(
            table,
            peer,
            "connect_p95_us",
            peer.connect_p95_us.map(Duration),
        );
        self.count(table, peer, "open", peer.open);
        if has_pending {
            self.optional(table, peer, "pending", peer.pending.map(Count));
        }
        self.count(table, peer, "requests", peer.requests);
        self.count(table, peer, "responses", peer.responses);
        self.count(table, peer, "errors", peer.errors);
        self.count(table, peer, "unanswered", peer.unanswered);
        self.optional(
            table,
            peer,
            "request_p95_us",
            peer.request_p95_us.map(Duration),
        );
        self.optional(
            table,
            peer,
            "process_p95_us",
            peer.process_p95_us.map(Duration),
        );
        table.cell(zero(peer.bytes_out), Bytes(peer.bytes_out));
        table.cell(zero(peer.bytes_in), Bytes(peer.bytes_in));
        self.part(table, peer, "retransmits", peer.retransmits);
        self.optional(table, peer, "reordered", peer.reordered.map(Count));
        self.optional(table, peer, "rtt_mean_us", peer.rtt_mean_us.map(Duration));
        self.count(table, peer, "capture_losses", peer.capture_losses);
    }

    /// `4 80%!`: a counter, and its share of what it is a part of.
    fn part(&self, table: &mut Table, peer: &Peer, field: &str, count: u64) {
        // What began before the window is no share of what began in it.
        let whole = whole_of(peer, field).filter(|whole| *whole > 0 && *whole >= count);
        let (paint, mark) = self.mark(peer, field, zero(count));
        table.cell_with(paint, |text| {
            // Writing to a String cannot fail.
            let _ = match whole {
                Some(whole) if count > 0 || !mark.is_empty() => {
                    write!(text, "{} {}{mark}", Count(count), Percent(count, whole))
                }
                Some(_) | None => write!(text, "{}{mark}", Count(count)),
            };
        });
    }

    fn count(&self, table: &mut Table, peer: &Peer, field: &str, count: u64) {
        let (paint, mark) = self.mark(peer, field, zero(count));
        table.cell(paint, format_args!("{}{mark}", Count(count)));
    }

    fn optional(&self, table: &mut Table, peer: &Peer, field: &str, value: Option<impl Display>) {
        let (paint, mark) = self.mark(peer, field, Paint::Plain);
        match value {
            Some(value) => table.cell(paint, format_args!("{value}{mark}")),
            None => table.absent(),
        }
    }

    fn mark(&self, peer: &Peer, field: &str, plain: Paint) -> (Paint, &'static str) {
        if self.marks.marks(peer, field) {
            (Paint::Red, "!")
        } else {
            (plain, "")
        }
    }
}

fn columns(by: GroupBy, has_pending: bool) -> Vec<Column> {
    let title = match by {
        GroupBy::Peer => "PEER",
        GroupBy::Server => "SERVER",
        GroupBy::Client => "CLIENT",
        GroupBy::Port => "PORT",
        GroupBy::Process => "PROCESS",
        GroupBy::Container => "CONTAINER",
    };
    let mut columns = vec![
        Column::left(title, 15),
        Column::right("SYN", 5).group_of("CONNECTIONS"),
        Column::right("SYN/s", 0),
        Column::right("SYN-ACK", 8),
        Column::right("EST", 0),
        Column::right("RESET", 6),
        Column::right("FIN OUT", 0),
        Column::right("FIN IN", 0),
        Column::right("EST/s", 0),
        Column::right("REUSE P95", 0),
        Column::right("CONNECT P95", 0),
        Column::right("OPEN", 0),
    ];
    if has_pending {
        columns.push(Column::right("PENDING", 0));
    }
    columns.extend([
        Column::right("REQUESTS", 0).group_of("REQUESTS"),
        Column::right("RESPONSES", 0),
        Column::right("ERROR", 0),
        Column::right("UNANSWERED", 0),
        Column::right("TOTAL P95", 0),
        Column::right("PROCESS P95", 0),
        Column::right("BYTES OUT", 0).group_of("TRANSPORT"),
        Column::right("BYTES IN", 0),
        Column::right("RETRANSMITS", 0),
        Column::right("REORDERED", 0),
        Column::right("RTT MEAN", 0),
        Column::right("LOST", 0).group_of("CAPTURE"),
    ]);
    columns
}

/// Whom a row is about.
fn name(peer: &Peer, hosts: &Hosts) -> String {
    let unknown = || "unknown".to_owned();
    match peer.by {
        _ if peer.is_sum => peer.comm.as_deref().unwrap_or_default().to_owned(),
        GroupBy::Peer | GroupBy::Client => peer
            .ip
            .map_or_else(unknown, |ip| hosts.host(ip).to_string()),
        GroupBy::Server => match (peer.ip, peer.port) {
            (Some(ip), Some(port)) => hosts.end(ip, port).to_string(),
            _ => unknown(),
        },
        GroupBy::Port => peer.port.map_or_else(unknown, |port| port.to_string()),
        GroupBy::Process => peer.pid.map_or_else(unknown, |pid| {
            format!("{}[{pid}]", peer.comm.as_deref().unwrap_or("?"))
        }),
        GroupBy::Container => peer.container_id.as_deref().map_or_else(unknown, short),
    }
}

/// The first twelve digits of a container's number, as its tools show it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn zero(count: u64) -> Paint {
    if count == 0 { Paint::Dim } else { Paint::Plain }
}

/// Per second of the window; unknown of one without length.
fn rate(table: &mut Table, peer: &Peer, count: u64) {
    match per_second(count, peer.window_us) {
        Some(rate) => table.cell(zero(count), rate),
        None => table.absent(),
    }
}

/// `19.3`: a count per second, with one decimal below a thousand; below one with two digits that are not zero: `0.053`, and not `0.1`.
fn per_second(count: u64, window: Option<Span>) -> Option<String> {
    let ns = window?.ns();
    let second = u128::from(SECOND.unsigned_abs());
    let tenths =
        (u128::from(count) * 10 * second + u128::from(ns) / 2).checked_div(u128::from(ns))?;
    if count > 0 && tenths < 10 {
        let rate = count as f64 * 1e9 / ns as f64;
        // Digits before those that are told.
        let zeros = -rate.log10().floor().min(-1.0);
        return Some(format!("{rate:.*}", zeros as usize + 1));
    }
    Some(match tenths {
        0..10_000 => format!("{}.{}", tenths / 10, tenths % 10),
        _ => {
            let whole = (tenths + 5) / 10;
            Count(u64::try_from(whole).unwrap_or(u64::MAX)).to_string()
        }
    })
}

/// `80%`, `99.9%`; not 0 % of something, and 100 % only of all.
struct Percent(u64, u64);

impl Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (part, whole) = (u128::from(self.0), u128::from(self.1).max(1));
        let tenths = (part * 1000 + whole / 2) / whole;
        let tenths = match tenths {
            0 if part > 0 => return f.write_str("<0.1%"),
            1000 if part < whole => 999,
            tenths => tenths,
        };
        match tenths % 10 {
            0 => write!(f, "{}%", tenths / 10),
            tenth => write!(f, "{}.{tenth}%", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_rounded_to_none_or_all() {
        for (part, whole, expected) in [
            (0, 5, "0%"),
            (4, 5, "80%"),
            (1, 3, "33.3%"),
            (9999, 10_000, "99.9%"),
            (1, 100_000, "<0.1%"),
        ] {
            assert_eq!(Percent(part, whole).to_string(), expected, "{part} {whole}");
        }
    }

    #[test]
    fn rates_are_of_the_window() {
        let window = |ms: u64| Some(Span::from_ns(ms * 1_000_000));
        for (count, window, expected) in [
            (5, window(10_000), Some("0.50")),
            (2, window(37_684), Some("0.053")),
            (1, window(1_000_000), Some("0.0010")),
            (0, window(10_000), Some("0.0")),
            (19, window(20_000), Some("1.0")),
            (12, window(1000), Some("12.0")),
            (1_234_567, window(1000), Some("1,234,567")),
            (1, window(0), None),
            (1, None, None),
        ] {
            assert_eq!(per_second(count, window).as_deref(), expected, "{count}");
        }
    }
}
