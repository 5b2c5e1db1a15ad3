//! What `handshakes` says at the end: per filter the outcomes, the repeats, and how long it took.

use tcplens_core::record::{Handshake, Outcome, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::color::Paint;
use tcplens_output::human::{Count, Duration};
use tcplens_output::table::{Column, Table};
use tcplens_output::time_style::TimeFormat;

use crate::latency::Latency;

static OUTCOMES: &[Column] = &[
    Column::left("FILTER", 8),
    Column::left("OUTCOME", 14),
    Column::right("ATTEMPTS", 9).group(),
    Column::right("SYN REPEATED", 0).group(),
    Column::right("SEGMENTS", 0),
    Column::right("S/A REPEATED", 0).group(),
    Column::right("SEGMENTS", 0),
];

static TIMES: &[Column] = &[
    Column::left("FILTER", 8),
    Column::left("TIME", 14),
    Column::right("ATTEMPTS", 9).group(),
    Column::right("LEAST", 8).group(),
    Column::right("50 %", 8),
    Column::right("90 %", 8),
    Column::right("99 %", 8),
    Column::right("LONGEST", 8),
];

/// Outcomes and times of the attempts that one filter counts.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// By `Outcome`.
    outcomes: [Tally; Outcome::ALL.len()],
    handshake: Latency,
    syn_to_synack: Latency,
    synack_to_ack: Latency,
}

/// Attempts of one outcome, and repeats among them.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    attempts: u64,
    syn_repeated: u64,
    syn_repeats: u64,
    synack_repeated: u64,
    synack_repeats: u64,
}

/// First and last attempt of all.
#[derive(Debug, Default)]
pub(super) struct Period {
    range: Option<(Timestamp, Timestamp)>,
}

impl Summary {
    /// Counts an attempt.
    pub(super) fn add(&mut self, handshake: &Handshake) {
        let tally = &mut self.outcomes[handshake.outcome as usize];
        tally.attempts += 1;
        tally.syn_repeated += u64::from(handshake.syn_retransmits > 0);
        tally.syn_repeats += handshake.syn_retransmits;
        tally.synack_repeated += u64::from(handshake.synack_retransmits > 0);
        tally.synack_repeats += handshake.synack_retransmits;
        let times = [
            (&mut self.handshake, handshake.handshake_us),
            (&mut self.syn_to_synack, handshake.syn_to_synack_us),
            (&mut self.synack_to_ack, handshake.synack_to_ack_us),
        ];
        for (latency, span) in times {
            if let Some(span) = span {
                latency.add(span);
            }
        }
    }

    /// How many it counted.
    pub(super) fn attempts(&self) -> u64 {
        self.total().attempts
    }

    fn total(&self) -> Tally {
        self.outcomes
            .iter()
            .fold(Tally::default(), |sum, tally| Tally {
                attempts: sum.attempts + tally.attempts,
                syn_repeated: sum.syn_repeated + tally.syn_repeated,
                syn_repeats: sum.syn_repeats + tally.syn_repeats,
                synack_repeated: sum.synack_repeated + tally.synack_repeated,
                synack_repeats: sum.synack_repeats + tally.synack_repeats,
            })
    }
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
    summaries: &mut [(&str, &mut Summary)],
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
    times(summaries, color, out);
}

fn outcomes(summaries: &mut [(&str, &mut Summary)], color: bool, out: &mut Vec<u8>) {
    let mut table = Table::new(OUTCOMES, color);
    for (name, summary) in summaries.iter_mut() {
        let of_outcomes = Outcome::ALL.iter().zip(&summary.outcomes);
        for (&outcome, tally) in of_outcomes.filter(|(_, tally)| tally.attempts > 0) {
            row(
                &mut table,
                name,
                outcome.word().unwrap_or_default(),
                paint(outcome),
                tally,
            );
        }
        row(&mut table, name, "all", Paint::Plain, &summary.total());
    }
    table.print(out);
}

fn row(table: &mut Table, name: &str, outcome: &str, paint: Paint, tally: &Tally) {
    table.cell(Paint::Plain, name);
    table.cell(paint, outcome);
    table.cell(Paint::Plain, Count(tally.attempts));
    for (attempts, segments) in [
        (tally.syn_repeated, tally.syn_repeats),
        (tally.synack_repeated, tally.synack_repeats),
    ] {
        let paint = if attempts == 0 {
            Paint::Dim
        } else {
            Paint::Yellow
        };
        table.cell(paint, Count(attempts));
        table.cell(paint, Count(segments));
    }
}

fn times(summaries: &mut [(&str, &mut Summary)], color: bool, out: &mut Vec<u8>) {
    let mut table = Table::new(TIMES, color);
    for (name, summary) in summaries.iter_mut() {
        for (what, latency) in [
            ("handshake", &mut summary.handshake),
            ("SYN to S/A", &mut summary.syn_to_synack),
            ("S/A to ACK", &mut summary.synack_to_ack),
        ] {
            table.cell(Paint::Plain, *name);
            table.cell(Paint::Plain, what);
            table.cell(Paint::Plain, Count(latency.count()));
            for percent in [0, 50, 90, 99, 100] {
                span(&mut table, latency.quantile(percent));
            }
        }
    }
    table.print(out);
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
