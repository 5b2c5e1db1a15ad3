//! What `requests` says at the end: how they went, per server and per operation how long they took; and with
//! `--histogram` tcpkit's latency buckets as bars.

use std::fmt::Write;

use tcplens_core::record::{Protocol, Status, Word};
use tcplens_core::time::Span;
use tcplens_core::view::requests::{BUCKET_EDGES_NS, BUCKETS};
use tcplens_core::view::{RequestGroup, RequestSummary};

use crate::bars::Bar;
use crate::color::Paint;
use crate::hosts::Hosts;
use crate::human::{Count, Duration};
use crate::table::{Column, Table};

/// Rows of each table, at most; what is beyond is counted.
const ROWS: usize = 10;

/// Servers, and operations, that get a histogram, at most.
const HISTOGRAMS: usize = 20;

/// What the summary says beside what requests tell themselves.
#[derive(Clone, Debug, Default)]
pub struct RequestEnd<'a> {
    /// Messages that could not be read, by protocol and reason.
    pub unparsed: &'a [(String, u64)],
    /// Holes in what requests are read from.
    pub holes: u64,
    /// Whether to colour.
    pub color: bool,
    /// How to show addresses.
    pub hosts: Hosts,
    /// Requests that do not count, for options choose others.
    pub left_out: u64,
    /// These options.
    pub chosen_by: Vec<&'static str>,
}

/// Appends how all requests went, and a table of servers and one of operations.
pub fn summary(summary: &RequestSummary, end: &RequestEnd<'_>, out: &mut Vec<u8>) {
    let all = summary.all();
    let mut text = String::new();
    sentence(&all, summary.slow_from(), end, &mut text);
    if all.gaps > 0 || end.holes > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "lost to gaps in the capture: {}, and what was in {}",
            things(all.gaps, "request"),
            things(end.holes, "hole")
        );
    }
    if !end.unparsed.is_empty() {
        let counts: Vec<_> = end
            .unparsed
            .iter()
            .map(|(what, n)| format!("{} {what}", Count(*n)))
            .collect();
        let _ = writeln!(text, "not parsed: {}", counts.join(", "));
    }
    out.extend_from_slice(text.as_bytes());
    // Without a threshold nothing is known to be slow, and nothing known not to be.
    let is_judged = summary.slow_from().is_some();
    let (by_server, by_operation) = match is_judged {
        true => (JUDGED_SERVERS, JUDGED_OPERATIONS),
        false => (SERVERS, OPERATIONS),
    };
    table(
        by_server,
        servers(summary, &end.hosts),
        is_judged,
        end.color,
        out,
    );
    table(by_operation, operations(summary), is_judged, end.color, out);
}

/// Appends tcpkit's buckets with bars, for every server and for every operation; at most 80 columns wide.
pub fn histograms(summary: &RequestSummary, hosts: &Hosts, color: bool, out: &mut Vec<u8>) {
    for (what, groups) in [
        ("server", servers(summary, hosts)),
        ("operation", operations(summary)),
    ] {
        let all = groups.len();
        for (name, group) in groups.into_iter().take(HISTOGRAMS) {
            histogram(&name, group, color, out);
        }
        if all > HISTOGRAMS {
            let more = things((all - HISTOGRAMS) as u64, what);
            out.extend_from_slice(format!("\n... and {more} more with less time.\n").as_bytes());
        }
    }
}

/// `87 requests: 80 ok, 3 error, 2 unanswered; 5 slow (100 ms or more).`
fn sentence(all: &RequestGroup, slow_from: Option<Span>, end: &RequestEnd<'_>, text: &mut String) {
    if all.requests() == 0 {
        text.push_str("no requests");
        left_out(end, text);
        return;
    }
    text.push_str(&things(all.requests(), "request"));
    let counts = [
        ("ok", all.status(Status::Ok)),
        ("with errors", all.status(Status::Error)),
        ("that no reply is owed", all.status(Status::None)),
        ("unanswered", all.unanswered()),
        (
            "undecided (no answer before the end, or cut off by a gap)",
            all.undecided,
        ),
    ];
    let mut separator = ": ";
    for (what, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
        let _ = write!(text, "{separator}{} {what}", Count(n));
        separator = ", ";
    }
    if let Some(from) = slow_from {
        let _ = write!(
            text,
            "; {} slow ({} or more)",
            Count(all.slow),
            exactly(from)
        );
    }
    left_out(end, text);
}

/// `; 82 others left out (--status)`, and the end of the line.
fn left_out(end: &RequestEnd<'_>, text: &mut String) {
    if end.left_out > 0 {
        let n = Count(end.left_out);
        let _ = write!(text, "; {n} others left out ({})", end.chosen_by.join(", "));
    }
    text.push('\n');
}

/// `100 ms`, `0.5 ms`: a threshold is not rounded.
fn exactly(span: Span) -> String {
    let ns = span.ns();
    let mut text = format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text + " ms"
}

type Groups<'s> = Vec<(String, &'s RequestGroup)>;

/// Those with most time first; of equal ones the lower address.
fn servers<'s>(summary: &'s RequestSummary, hosts: &Hosts) -> Groups<'s> {
    let mut groups: Groups<'_> = summary
        .servers()
        .map(|((ip, port), group)| (hosts.end(ip, port).to_string(), group))
        .collect();
    sort(&mut groups);
    other(&mut groups, summary.other_servers());
    groups
}

fn operations(summary: &RequestSummary) -> Groups<'_> {
    let mut groups: Groups<'_> = summary
        .operations()
        .map(|(protocol, operation, group)| (operation_name(protocol, operation), group))
        .collect();
    sort(&mut groups);
    other(&mut groups, summary.other_operations());
    groups
}

/// `redis SET`; of a protocol that has no names for them the protocol.
pub(crate) fn operation_name(protocol: Protocol, operation: &str) -> String {
    let protocol = protocol.word().unwrap_or_default();
    match operation {
        "" => protocol.to_owned(),
        _ => format!("{protocol} {operation}"),
    }
}

fn sort(groups: &mut Groups<'_>) {
    groups.sort_by_key(|(_, group)| std::cmp::Reverse((group.total.sum_ns(), group.requests())));
}

fn other<'s>(groups: &mut Groups<'s>, group: &'s RequestGroup) {
    if group.requests() > 0 {
        groups.push(("all others".to_owned(), group));
    }
}

static JUDGED_SERVERS: &[Column] = &judged("SERVER");
static JUDGED_OPERATIONS: &[Column] = &judged("OPERATION");
static SERVERS: &[Column] = &columns("SERVER");
static OPERATIONS: &[Column] = &columns("OPERATION");

const fn columns(what: &'static str) -> [Column; 8] {
    [
        Column::left(what, 21),
        Column::right("REQUESTS", 8).group(),
        Column::right("ERROR", 5),
        Column::right("UNANSWERED", 0),
        Column::right("P50", 7).group(),
        Column::right("P99", 7),
        Column::right("MAX", 7),
        Column::right("TIME", 7).group(),
    ]
}

/// With a threshold.
const fn judged(what: &'static str) -> [Column; 9] {
    [
        Column::left(what, 21),
        Column::right("REQUESTS", 8).group(),
        Column::right("ERROR", 5),
        Column::right("UNANSWERED", 0),
        Column::right("SLOW", 4),
        Column::right("P50", 7).group(),
        Column::right("P99", 7),
        Column::right("MAX", 7),
        Column::right("TIME", 7).group(),
    ]
}

fn table(
    columns: &'static [Column],
    groups: Groups<'_>,
    is_judged: bool,
    color: bool,
    out: &mut Vec<u8>,
) {
    if groups.is_empty() {
        return;
    }
    let all = groups.len();
    let mut table = Table::new(columns, color);
    for (name, group) in groups.into_iter().take(ROWS) {
        table.cell(Paint::Plain, name);
        table.cell(Paint::Plain, Count(group.requests()));
        number(&mut table, group.status(Status::Error), Paint::Red);
        number(&mut table, group.unanswered(), Paint::Red);
        if is_judged {
            number(&mut table, group.slow, Paint::Yellow);
        }
        for per_mille in [500, 990, 1000] {
            span(&mut table, group.total.quantile(per_mille));
        }
        span(&mut table, time_of(group));
    }
    out.push(b'\n');
    table.print(out);
    if all > ROWS {
        out.extend_from_slice(format!("... and {} more.\n", Count((all - ROWS) as u64)).as_bytes());
    }
}

/// All answered requests' time together; none if none was answered.
pub(crate) fn time_of(group: &RequestGroup) -> Option<Span> {
    let ns = u64::try_from(group.total.sum_ns()).unwrap_or(u64::MAX);
    (group.total.count() > 0).then_some(Span::from_ns(ns))
}

fn number(table: &mut Table, value: u64, paint: Paint) {
    table.cell(if value == 0 { Paint::Dim } else { paint }, Count(value));
}

fn span(table: &mut Table, span: Option<Span>) {
    match span {
        Some(span) => table.cell(Paint::Plain, Duration(span)),
        None => table.absent(),
    }
}

/// One name, its percentiles, and a bar for each bucket from the first to the last in use.
fn histogram(name: &str, group: &RequestGroup, color: bool, out: &mut Vec<u8>) {
    const BAR: usize = 36;
    let answered = group.total.count();
    let (before, after) = match color {
        true => Paint::Bold.sequences(),
        false => ("", ""),
    };
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut text = format!("\n{before}{name}{after}: {} answered", Count(answered));
    for (what, span) in [
        ("p50", group.total.quantile(500)),
        ("p90", group.total.quantile(900)),
        ("p99", group.total.quantile(990)),
        ("p99.9", group.total.quantile(999)),
        ("max", group.total.max()),
    ] {
        if let Some(span) = span {
            // Writing to a String cannot fail.
            let _ = write!(text, ", {what} {}", Duration(span));
        }
    }
    text.push('\n');
    let used = |n: &usize| group.buckets[*n] > 0;
    if let (Some(first), Some(last)) = ((0..BUCKETS).find(used), (0..BUCKETS).rfind(used)) {
        let most = group.buckets.iter().copied().max().unwrap_or_default();
        for n in first..=last {
            let (value, max) = (group.buckets[n], most);
            let bar = Bar {
                value,
                max,
                width: BAR,
            };
            let whole = u128::from(answered.max(1));
            let tenths = (u128::from(value) * 1000 + whole / 2) / whole;
            let line = format!(
                "{:>16} {:>12} {:>3}.{} % {bar}",
                bucket_name(n),
                Count(value).to_string(),
                tenths / 10,
                tenths % 10,
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// `up to 100 µs`, `up to 500 ms`, `above 20 s`.
fn bucket_name(n: usize) -> String {
    match BUCKET_EDGES_NS.get(n) {
        Some(&edge) => format!("up to {}", Duration(Span::from_ns(edge))),
        None => {
            let last = BUCKET_EDGES_NS[BUCKETS - 2];
            format!("above {}", Duration(Span::from_ns(last)))
        }
    }
}

/// `1 request`, `1,200 requests`.
fn things(count: u64, one: &str) -> String {
    format!(
        "{} {one}{}",
        Count(count),
        if count == 1 { "" } else { "s" }
    )
}
