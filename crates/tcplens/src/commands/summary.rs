//! What `handshakes` says at the end: per filter the outcomes, the repeats, and how long it took.

use tcplens_core::record::{Outcome, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::{HandshakeSummary, Repeats};
use tcplens_output::color::Paint;
use tcplens_output::human::{Count, Duration};
use tcplens_output::table::{Column, Table};
use tcplens_output::time_style::TimeFormat;

static OUTCOMES: &[Column] = &[
    Column::left("FILTER", 8),
    Column::left("OUTCOME", 16),
    Column::right("ATTEMPTS", 9).group(),
];

static REPEATS: &[Column] = &[
    Column::left("FILTER", 8),
    Column::left("REPEATED", 16),
    Column::right("ATTEMPTS", 9).group(),
    Column::right("SEGMENTS", 0),
];

static TIMES: &[Column] = &[
    Column::left("FILTER", 8),
    Column::left("TIME", 16),
    Column::right("ATTEMPTS", 9).group(),
    Column::right("LEAST", 8).group(),
    Column::right("50 %", 8),
    Column::right("90 %", 8),
    Column::right("99 %", 8),
    Column::right("LONGEST", 8),
];

/// First and last attempt of all.
#[derive(Debug, Default)]
pub(super) struct Period {
    range: Option<(Timestamp, Timestamp)>,
}

impl Period {
    /// Whether there was no attempt.
    pub(super) fn is_empty(&self) -> bool {
        self.range.is_none()
    }

    /// An attempt began at `at`.
    pub(super) fn add(&mut self, at: Timestamp) {
        self.range = Some(match self.range {
            Some((first, last)) => (first.min(at), last.max(at)),
            None => (at, at),
        });
    }
}

/// Appends the summaries of all filters.
pub(super) fn print(
    summaries: &[(&str, &HandshakeSummary)],
    period: &Period,
    time: &mut TimeFormat,
    color: bool,
    out: &mut Vec<u8>,
) {
    let Some((first, last)) = period.range else {
        out.extend_from_slice(b"no attempts\n");
        return;
    };
    let mut line = String::from("first attempt ");
    time.write(&mut line, first);
    line.push_str(", last ");
    time.write(&mut line, last);
    if let Some(span) = last.since(first) {
        let ms = span.ns() / 1_000_000;
        line.push_str(&format!(
            " ({}.{:03} s)",
            ms / (SECOND as u64 / 1_000_000),
            ms % (SECOND as u64 / 1_000_000)
        ));
    }
    line.push_str("\n\n");
    out.extend_from_slice(line.as_bytes());
    outcomes(summaries, color, out);
    out.push(b'\n');
    repeats(summaries, color, out);
    times(summaries, color, out);
}

/// Appends what there is of all filters while a run goes on.
pub(crate) fn tables(summaries: &[(&str, &HandshakeSummary)], color: bool, out: &mut Vec<u8>) {
    outcomes(summaries, color, out);
    times(summaries, color, out);
}

fn outcomes(summaries: &[(&str, &HandshakeSummary)], color: bool, out: &mut Vec<u8>) {
    let mut table = Table::new(OUTCOMES, color);
    let mut row = |name: &str, what: &str, paint, attempts| {
        table.cell(Paint::Plain, name);
        table.cell(paint, what);
        table.cell(Paint::Plain, Count(attempts));
    };
    for &(name, summary) in summaries {
        row(name, "all", Paint::Plain, summary.attempts());
        for &outcome in Outcome::ALL {
            let attempts = summary.outcome(outcome);
            if attempts > 0 {
                let word = outcome.word().unwrap_or_default();
                row(name, word, paint(outcome), attempts);
            }
        }
    }
    table.print(out);
}

fn repeats(summaries: &[(&str, &HandshakeSummary)], color: bool, out: &mut Vec<u8>) {
    let mut table = Table::new(REPEATS, color);
    for &(name, summary) in summaries {
        for (what, Repeats { segments, attempts }) in [
            ("SYN, established", summary.syn_established),
            ("S/A, established", summary.synack_established),
            ("SYN, others", summary.syn_failed),
            ("S/A, others", summary.synack_failed),
        ] {
            if attempts == 0 && what.ends_with("others") {
                continue;
            }
            let paint = if attempts == 0 {
                Paint::Dim
            } else {
                Paint::Yellow
            };
            table.cell(Paint::Plain, name);
            table.cell(Paint::Plain, what);
            table.cell(paint, Count(attempts));
            table.cell(paint, Count(segments));
        }
    }
    table.print(out);
}

fn times(summaries: &[(&str, &HandshakeSummary)], color: bool, out: &mut Vec<u8>) {
    let mut table = Table::new(TIMES, color);
    for &(name, summary) in summaries {
        for (what, histogram) in [
            ("handshake", &summary.handshake),
            ("SYN to S/A", &summary.syn_to_synack),
            ("S/A to ACK", &summary.synack_to_ack),
        ] {
            if histogram.count() == 0 {
                continue;
            }
            table.cell(Paint::Plain, name);
            table.cell(Paint::Plain, what);
            table.cell(Paint::Plain, Count(histogram.count()));
            span(&mut table, histogram.min());
            for per_mille in [500, 900, 990] {
                span(&mut table, histogram.quantile(per_mille));
            }
            span(&mut table, histogram.max());
        }
    }
    let end = out.len();
    table.print(out);
    if out.len() > end {
        out.insert(end, b'\n');
    }
}

fn span(table: &mut Table, span: Option<Span>) {
    match span {
        Some(span) => table.cell(Paint::Plain, Duration(span)),
        None => table.absent(),
    }
}

fn paint(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::Established => Paint::Green,
        Outcome::Aborted => Paint::Yellow,
        Outcome::OneSided => Paint::Dim,
        Outcome::Refused
        | Outcome::Unreachable
        | Outcome::TimedOut
        | Outcome::Unanswered
        | Outcome::Reset
        | Outcome::Unacknowledged => Paint::Red,
    }
}
