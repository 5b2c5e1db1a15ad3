//! The plots of a report: when requests were slow or failed, how long they took, and where their time went. None where there
//! is too little to be drawn.

use std::fmt::Write;

use tcplens_core::record::{Protocol, Verdict, Word};
use tcplens_core::time::Span;
use tcplens_core::view::{Histogram, Population, Report, ServerKey, thresholds};

use super::heat::{self, Map, Mark};
use super::{Page, scale};
use crate::bars::{Bar, Stack};
use crate::color::Paint;
use crate::human::{Count, Duration, Endpoint};

/// Requests or attempts below which a table says it all. Chosen: fewer than rows of a plot.
const LEAST: u64 = 10;

static REQUESTS: Map = Map {
    title: "How long requests took, over time",
    what: "requests",
    latency: |slice| &slice.latency,
    marks: &[
        Mark {
            name: "errors",
            what: "errors",
            count: |slice| slice.errors,
        },
        Mark {
            name: "no answer",
            what: "requests without an answer",
            count: |slice| slice.unanswered,
        },
        Mark {
            name: "connect",
            what: "failed attempts to connect",
            count: |slice| slice.failed,
        },
    ],
};

static ATTEMPTS: Map = Map {
    title: "How long connecting took, over time",
    what: "connections",
    latency: |slice| &slice.connect,
    marks: &[Mark {
        name: "failed",
        what: "failed attempts to connect",
        count: |slice| slice.failed,
    }],
};

pub(super) fn print(page: &mut Page<'_>, report: &Report) {
    let requests = report.requests().all();
    let connects = &report.handshakes().handshake;
    if requests.total.count() >= LEAST {
        heat::print(page, report.series(), &REQUESTS);
        histogram(page, "How long requests took", &requests.total);
    } else if connects.count() >= LEAST {
        heat::print(page, report.series(), &ATTEMPTS);
        histogram(page, "How long connecting took", connects);
    }
}

/// Empty rows from which on these are one.
const LEAST_GAP: usize = 3;

/// Bars of how many took how long, from 1, 2 or 5 of a unit on, with the percentiles where they lie.
fn histogram(page: &mut Page<'_>, title: &str, histogram: &Histogram) {
    let (Some(min), Some(max)) = (histogram.min(), histogram.max()) else {
        return;
    };
    let first = scale::step_of(min);
    let mut counts = vec![0_u64; (scale::step_of(max) - first + 1) as usize];
    let last = counts.len() - 1;
    let row_of = |span: Span| (scale::step_of(span).saturating_sub(first) as usize).min(last);
    for (low, high, count) in histogram.buckets() {
        let middle = Span::from_ns(low.ns() + (high.ns() - low.ns()) / 2);
        counts[row_of(middle)] += count;
    }
    // One bar is no distribution.
    if counts.iter().filter(|&&count| count > 0).count() < 2 {
        return;
    }
    let mut marks = vec![String::new(); counts.len()];
    for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("max", 1000)] {
        let Some(span) = histogram.quantile(per_mille) else {
            continue;
        };
        let mark = &mut marks[row_of(span)];
        // Writing to a String cannot fail.
        let _ = write!(
            mark,
            "{}{name} {}",
            if mark.is_empty() { "" } else { ", " },
            Duration(span)
        );
    }
    page.heading(title, "");
    let most = counts.iter().copied().max().unwrap_or(1);
    let digits = Count(most).to_string().len().max(5);
    let note = marks
        .iter()
        .map(|mark| mark.chars().count())
        .max()
        .unwrap_or(0);
    // Label, count, share, and the percentiles behind the longest bar.
    let width = page.width().min(120).saturating_sub(9 + digits + 12 + note);
    let mut row = 0;
    while row < counts.len() {
        let empty = counts[row..]
            .iter()
            .take_while(|&&count| count == 0)
            .count();
        if empty >= LEAST_GAP {
            page.text.push_str("      ...\n");
            row += empty;
            continue;
        }
        let count = counts[row];
        let number = first + u32::try_from(row).unwrap_or(u32::MAX);
        let _ = write!(
            page.text,
            "{:>9}  {:>digits$}  {:>7}  ",
            scale::step_label(number),
            Count(count).to_string(),
            per_cent(count, histogram.count())
        );
        let bar = Bar {
            value: count,
            max: most,
            width: width.max(10),
        };
        let bar = bar.with(page.options.glyphs);
        if count == 0 {
            page.text.truncate(page.text.trim_end().len());
        }
        let is_slow = scale::step(number) >= thresholds::SLOW_NS;
        page.painted(if is_slow { Paint::Yellow } else { Paint::Plain }, &bar);
        if !marks[row].is_empty() {
            page.text.push(' ');
            page.painted(Paint::Bold, &marks[row]);
        }
        page.text.push('\n');
        row += 1;
    }
}

/// The letters of the parts of a time budget, in the order of [`Verdict::ALL`].
const PARTS: [(char, Paint); Verdict::ALL.len()] = [
    ('c', Paint::Plain),
    ('q', Paint::Yellow),
    ('S', Paint::Red),
    ('n', Paint::Green),
    ('L', Paint::Red),
    ('W', Paint::Yellow),
    ('t', Paint::Plain),
];

/// Of each server and protocol one bar, as long as any, divided as its time was.
pub(super) fn budgets(page: &mut Page<'_>, rows: &[(ServerKey, Protocol, &Population)]) {
    let budgeted: u64 = rows.iter().map(|(.., it)| it.budgeted).sum();
    if budgeted < LEAST {
        return;
    }
    let name = |(ip, port): ServerKey, protocol: Protocol| {
        format!(
            "{} {}",
            Endpoint(ip, port),
            protocol.word().unwrap_or_default()
        )
    };
    let names: Vec<_> = rows
        .iter()
        .map(|&(key, protocol, _)| name(key, protocol))
        .collect();
    let label = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let width = page.width().min(120);
    for (name, (.., population)) in names.iter().zip(rows) {
        let largest = largest(population);
        let bar = width.saturating_sub(label + 2 + 10 + 2 + 15).max(10);
        let _ = write!(page.text, "{name:label$}  ");
        let stack = Stack {
            parts: &population.budget_ns,
            width: bar,
        };
        for (part, columns) in stack.columns().into_iter().enumerate() {
            let (letter, paint) = PARTS[part];
            if columns > 0 {
                page.painted(paint, &letter.to_string().repeat(columns));
            }
        }
        let total = Duration(Span::from_ns(population.total_ns())).to_string();
        let _ = writeln!(page.text, "  {total:>8}  {largest}");
    }
    let used: Vec<_> = Verdict::ALL
        .iter()
        .zip(PARTS)
        .enumerate()
        .filter(|(part, _)| rows.iter().any(|(.., it)| it.budget_ns[*part] > 0))
        .map(|(_, (verdict, (letter, _)))| {
            format!("{letter} {}", verdict.word().unwrap_or_default())
        })
        .collect();
    page.prose(
        "",
        &format!(
            "A bar is all the time of a server's requests: {}.",
            used.join(", ")
        ),
    );
    page.text.push('\n');
}

/// `server 99 %`.
fn largest(population: &Population) -> String {
    let parts = Verdict::ALL.iter().zip(population.budget_ns);
    let largest = parts.max_by_key(|&(verdict, part)| (part, std::cmp::Reverse(*verdict)));
    let all = population.total_ns();
    match largest {
        Some((verdict, part)) if all > 0 => {
            let percent = (u128::from(part) * 100 + u128::from(all) / 2) / u128::from(all);
            format!("{} {percent} %", verdict.word().unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn per_cent(part: u64, whole: u64) -> String {
    let per_mille =
        (u128::from(part) * 1000 + u128::from(whole.max(1)) / 2) / u128::from(whole.max(1));
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}
