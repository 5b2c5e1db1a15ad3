//! The columns of the table: what each is, which field of `peer` orders by it, and how its value is told. Which of them are
//! shown follows from the width.

use tcplens_core::record::Peer;
use tcplens_core::time::Span;
use tcplens_core::view::top::{Marks, whole_of};
use tcplens_output::human;

use super::look::{Symbols, percent, rate};

/// Which percentile is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Percentile {
    /// The median.
    P50,
    /// The 95th.
    #[default]
    P95,
    /// The 99th.
    P99,
}

impl Percentile {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        ["p50", "p95", "p99"][self as usize]
    }

    /// The one after it.
    pub(super) fn next(self) -> Percentile {
        match self {
            Percentile::P50 => Percentile::P95,
            Percentile::P95 => Percentile::P99,
            Percentile::P99 => Percentile::P50,
        }
    }

    /// Of a thousand.
    pub(super) fn per_mille(self) -> u64 {
        [500, 950, 990][self as usize]
    }
}

/// A value of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// It is not known.
    Absent,
    /// Things per second: how many, within so long.
    Rate(u64, Option<Span>),
    /// Things, and of how many, if that is known.
    Part(u64, Option<u64>),
    /// A number of things.
    Count(u64),
    /// A duration.
    Span(Span),
}

impl Cell {
    fn span(span: Option<Span>) -> Cell {
        span.map_or(Cell::Absent, Cell::Span)
    }

    fn count(count: Option<u64>) -> Cell {
        count.map_or(Cell::Absent, Cell::Count)
    }

    /// As text, and whether there is anything.
    pub(super) fn text(self, symbols: &Symbols) -> (String, bool) {
        match self {
            Cell::Absent | Cell::Rate(_, None) | Cell::Part(0, Some(0)) => ("-".to_owned(), false),
            Cell::Rate(count, Some(span)) => {
                let seconds = span.ns() as f64 / 1e9;
                let is_some = count > 0 && seconds > 0.0;
                let text = if is_some {
                    rate(count as f64 / seconds)
                } else {
                    rate(0.0)
                };
                (text, is_some)
            }
            // What began before the window is no share of what began in it: then it is their number.
            Cell::Part(part, Some(whole)) if part <= whole => (percent(part, whole), part > 0),
            Cell::Part(part, _) => (human::Short(part).to_string(), part > 0),
            Cell::Count(count) => (human::Short(count).to_string(), count > 0),
            Cell::Span(span) => (symbols.span(span), true),
        }
    }
}

/// What columns are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Opening and closing connections.
    Connections,
    /// Requests and responses.
    Requests,
    /// The way between.
    Network,
    /// What the capture itself lost.
    Capture,
}

impl Group {
    /// Its heading.
    pub(super) fn name(self) -> &'static str {
        match self {
            Group::Connections => "CONNECTIONS",
            Group::Requests => "REQUESTS",
            Group::Network => "NETWORK",
            Group::Capture => "CAPTURE",
        }
    }
}

/// One column.
pub(super) struct Column {
    /// What it is about.
    pub group: Group,
    /// Its heading; `%` stands for the percentile that is shown.
    pub name: &'static str,
    /// Columns on the screen, with the place for a `!`.
    pub width: u16,
    /// The least are shown where there is little room.
    pub rank: u8,
    /// The fields of `peer` that order by it, by percentile.
    pub fields: [&'static str; 3],
    /// It shows a share, and that orders by it; not the number behind it.
    pub is_share: bool,
    /// Its value.
    pub cell: fn(&Peer, Percentile) -> Cell,
    /// What it is, for the help.
    pub doc: &'static str,
}

impl Column {
    /// Its heading.
    pub(super) fn heading(&self, percentile: Percentile) -> String {
        self.name.replace('%', percentile.name())
    }

    /// The field of `peer` that orders by it.
    pub(super) fn field(&self, percentile: Percentile) -> &'static str {
        self.fields[percentile as usize]
    }
}

/// All of them, from left to right.
pub(super) static COLUMNS: &[Column] = &[
    Column {
        group: Group::Connections,
        name: "SYN/s",
        width: 7,
        rank: 2,
        fields: ["attempts"; 3],
        is_share: false,
        cell: |peer, _| Cell::Rate(peer.attempts, peer.window_us),
        doc: "attempts to connect per second",
    },
    Column {
        group: Group::Connections,
        name: "S-ACK",
        width: 7,
        rank: 15,
        fields: ["syn_acks"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "syn_acks", peer.syn_acks),
        doc: "attempts that were answered with SYN-ACK",
    },
    Column {
        group: Group::Connections,
        name: "EST",
        width: 6,
        rank: 3,
        fields: ["established"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "established", peer.established),
        doc: "attempts that were established",
    },
    Column {
        group: Group::Connections,
        name: "EST/s",
        width: 7,
        rank: 16,
        fields: ["established"; 3],
        is_share: false,
        cell: |peer, _| Cell::Rate(peer.established, peer.window_us),
        doc: "connections established per second",
    },
    Column {
        group: Group::Connections,
        name: "RST",
        width: 6,
        rank: 12,
        fields: ["resets"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "resets", peer.resets),
        doc: "attempts and connections that a RST ended",
    },
    Column {
        group: Group::Connections,
        name: "FIN-O",
        width: 7,
        rank: 19,
        fields: ["fins_out"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "fins_out", peer.fins_out),
        doc: "connections that the near end closed first (FIN out)",
    },
    Column {
        group: Group::Connections,
        name: "FIN-I",
        width: 7,
        rank: 20,
        fields: ["fins_in"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "fins_in", peer.fins_in),
        doc: "connections that the far end closed first (FIN in)",
    },
    Column {
        group: Group::Connections,
        name: "OPEN",
        width: 6,
        rank: 18,
        fields: ["open"; 3],
        is_share: false,
        cell: |peer, _| Cell::Count(peer.open),
        doc: "connections that are open now, of those told of in parts",
    },
    Column {
        group: Group::Connections,
        name: "REUSE",
        width: 7,
        rank: 13,
        fields: ["reuse_p95"; 3],
        is_share: false,
        cell: |peer, _| Cell::count(peer.reuse_p95),
        doc: "requests per connection that ended, of those with at least one: the 95th percentile",
    },
    Column {
        group: Group::Connections,
        name: "CON %",
        width: 9,
        rank: 1,
        fields: ["connect_p50_us", "connect_p95_us", "connect_p99_us"],
        is_share: false,
        cell: |peer, percentile| {
            Cell::span(
                [
                    peer.connect_p50_us,
                    peer.connect_p95_us,
                    peer.connect_p99_us,
                ][percentile as usize],
            )
        },
        doc: "connecting: first SYN to the ACK that established",
    },
    Column {
        group: Group::Requests,
        name: "REQ/s",
        width: 7,
        rank: 4,
        fields: ["requests"; 3],
        is_share: false,
        cell: |peer, _| Cell::Rate(peer.requests, peer.window_us),
        doc: "requests per second (out)",
    },
    Column {
        group: Group::Requests,
        name: "RSP/s",
        width: 7,
        rank: 17,
        fields: ["responses"; 3],
        is_share: false,
        cell: |peer, _| Cell::Rate(peer.responses, peer.window_us),
        doc: "responses per second (in)",
    },
    Column {
        group: Group::Requests,
        name: "REQ %",
        width: 9,
        rank: 0,
        fields: ["request_p50_us", "request_p95_us", "request_p99_us"],
        is_share: false,
        cell: |peer, percentile| {
            Cell::span(
                [
                    peer.request_p50_us,
                    peer.request_p95_us,
                    peer.request_p99_us,
                ][percentile as usize],
            )
        },
        doc: "how long answered requests took, first byte of the request to last byte of the response",
    },
    Column {
        group: Group::Requests,
        name: "SRV %",
        width: 9,
        rank: 8,
        fields: ["process_p50_us", "process_p95_us", "process_p99_us"],
        is_share: false,
        cell: |peer, percentile| {
            Cell::span(
                [
                    peer.process_p50_us,
                    peer.process_p95_us,
                    peer.process_p99_us,
                ][percentile as usize],
            )
        },
        doc: "of that, from the last byte of the request to the first of the response",
    },
    Column {
        group: Group::Requests,
        name: "MAX",
        width: 8,
        rank: 14,
        fields: ["request_max_us"; 3],
        is_share: false,
        cell: |peer, _| Cell::span(peer.request_max_us),
        doc: "the longest request",
    },
    Column {
        group: Group::Requests,
        name: "ERR",
        width: 6,
        rank: 5,
        fields: ["errors"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "errors", peer.errors),
        doc: "requests that were answered with an error",
    },
    Column {
        group: Group::Requests,
        name: "UNANS",
        width: 7,
        rank: 9,
        fields: ["unanswered"; 3],
        is_share: false,
        cell: |peer, _| Cell::Count(peer.unanswered),
        doc: "requests that a response was owed to, and that ended without one",
    },
    Column {
        group: Group::Network,
        name: "RETR",
        width: 6,
        rank: 6,
        fields: ["retransmits"; 3],
        is_share: true,
        cell: |peer, _| part(peer, "retransmits", peer.retransmits),
        doc: "segments with payload that were repeated, both ways",
    },
    Column {
        group: Group::Network,
        name: "RTT",
        width: 8,
        rank: 7,
        fields: ["rtt_mean_us"; 3],
        is_share: false,
        cell: |peer, _| Cell::span(peer.rtt_mean_us),
        doc: "round trip between here and the far end: the mean",
    },
    Column {
        group: Group::Network,
        name: "OUT B/s",
        width: 9,
        rank: 10,
        fields: ["bytes_out"; 3],
        is_share: false,
        cell: |peer, _| Cell::Rate(peer.bytes_out, peer.window_us),
        doc: "payload that the near end sent, bytes per second",
    },
    Column {
        group: Group::Network,
        name: "IN B/s",
        width: 8,
        rank: 11,
        fields: ["bytes_in"; 3],
        is_share: false,
        cell: |peer, _| Cell::Rate(peer.bytes_in, peer.window_us),
        doc: "payload that the far end sent, bytes per second",
    },
    Column {
        group: Group::Capture,
        name: "LOST",
        width: 8,
        rank: 9,
        fields: ["capture_losses"; 3],
        is_share: false,
        cell: |peer, _| Cell::Count(peer.capture_losses),
        doc: "connections and requests during which the capture itself lost something: doubt their numbers",
    },
];

/// Things of which a record tells how many there are in all.
fn part(peer: &Peer, field: &str, count: u64) -> Cell {
    Cell::Part(count, whole_of(peer, field))
}

/// Whether a value is marked. Marks of a 95th percentile are of the one that is shown.
pub(super) fn is_marked(
    marks: &Marks,
    peer: &Peer,
    column: &Column,
    percentile: Percentile,
) -> bool {
    let [_, p95, _] = column.fields;
    let field = column.field(percentile);
    // Of two columns of one field the first: a rate is no share.
    let first = COLUMNS.iter().find(|of| of.field(percentile) == field);
    if !first.is_some_and(|first| std::ptr::eq(first, column)) {
        return false;
    }
    if field == p95 || marks.marks(peer, field) {
        return marks.marks(peer, field);
    }
    let Cell::Span(span) = (column.cell)(peer, percentile) else {
        return false;
    };
    is_span_marked(marks, peer, p95, span)
}

/// Whether a duration would be marked as the value of a field of this record.
pub(super) fn is_span_marked(marks: &Marks, peer: &Peer, field: &str, span: Span) -> bool {
    let mut probe = peer.clone();
    let value = match field {
        "connect_p95_us" => &mut probe.connect_p95_us,
        "request_p95_us" => &mut probe.request_p95_us,
        "process_p95_us" => &mut probe.process_p95_us,
        _ => return false,
    };
    *value = Some(span);
    marks.marks(&probe, field)
}

/// The column that is shown first: how long requests took.
pub(super) fn slowest_first() -> usize {
    COLUMNS
        .iter()
        .position(|column| column.name == "REQ %")
        .unwrap_or_default()
}

/// Columns that find room in `width`, page by page: the most important on the first, each page from left to right as in
/// [`COLUMNS`]. Every column is on one page; a page has at least one, whatever the width.
pub(super) fn pages(width: u16) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..COLUMNS.len()).collect();
    left.sort_by_key(|&column| COLUMNS[column].rank);
    let mut pages = Vec::new();
    while !left.is_empty() {
        let mut room = width;
        let mut page = Vec::new();
        left.retain(|&column| {
            let wide = COLUMNS[column].width;
            let fits = wide <= room || page.is_empty();
            if fits {
                room = room.saturating_sub(wide);
                page.push(column);
            }
            !fits
        });
        page.sort_unstable();
        pages.push(page);
    }
    pages
}

#[cfg(test)]
mod tests {
    use tcplens_core::record::{Field, Record};

    use super::*;

    #[test]
    fn every_column_orders_by_a_field_of_peer() {
        let mut names = Vec::new();
        Peer::fields(&mut |field: &'static Field| names.push(field.name));
        for column in COLUMNS {
            for field in column.fields {
                assert!(names.contains(&field), "{field} of {}", column.name);
            }
        }
    }

    #[test]
    fn every_column_is_on_one_page_whatever_the_width() {
        for width in 0..400 {
            let mut all = pages(width).concat();
            all.sort_unstable();
            assert_eq!(all, Vec::from_iter(0..COLUMNS.len()), "{width}");
        }
        let names = |page: &[usize]| {
            let names: Vec<_> = page.iter().map(|&column| COLUMNS[column].name).collect();
            names.join(" ")
        };
        assert_eq!(
            names(&pages(58)[0]),
            "SYN/s EST CON % REQ/s REQ % ERR RETR RTT"
        );
        assert_eq!(pages(300).len(), 1);
    }
}
