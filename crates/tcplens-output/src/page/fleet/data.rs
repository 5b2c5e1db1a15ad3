//! The fleet page's data as one JSON document: slices of time, tables, findings, and what was read. Objects where there are few,
//! arrays where there are many; fleet/js/model.js reads them. Not a contract: it changes with the page.

use tcplens_core::record::{Protocol, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Histogram;
use tcplens_core::view::fleet::{Fleet, FleetFilter, FleetRange, Pip, Row, Sum, Table};
use tcplens_core::view::page::{Cells, cell};

use crate::human::Endpoint;
use crate::json::Json;

/// Something abnormal that a store has a finding of, as far as the page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where it was found.
    pub host: String,
    /// Since when.
    pub time: Option<Timestamp>,
    /// Until when, as far as it is known.
    pub until: Option<Timestamp>,
    /// What kind of thing it is.
    pub code: String,
    /// Who is suspected.
    pub suspect: String,
    /// What is wrong.
    pub text: String,
    /// The numbers behind it.
    pub evidence: String,
    /// The server, `10.0.0.7:6379`; empty where it is not about one.
    pub server: String,
    /// What is spoken; empty likewise.
    pub protocol: String,
    /// The operation; empty likewise.
    pub operation: String,
    /// What is abnormal about it: `process`.
    pub metric: String,
    /// The component that is suspected: `rack=r17`.
    pub component: String,
    /// How probable as much is by chance.
    pub p_value: String,
}

/// What a document says beside the rollups.
#[derive(Clone, Copy, Debug, Default)]
pub struct Store<'a> {
    /// What the store is called.
    pub name: &'a str,
    /// What it has: its first day's beginning, and the end of its newest minute.
    pub extent: Option<(Timestamp, Timestamp)>,
    /// What is abnormal in the time that is shown, the newest first.
    pub marks: &'a [Mark],
    /// How many more there are.
    pub more_marks: u64,
    /// What could not be read, in words.
    pub damages: &'a [String],
    /// How many more there are.
    pub more_damages: u64,
    /// Files, or hours, that were read.
    pub files: u64,
    /// Which of both: `files`, `hours`.
    pub parts: &'a str,
    /// How long that took.
    pub took: Span,
}

/// One document.
#[must_use]
pub fn document(fleet: &Fleet, store: &Store<'_>) -> String {
    let mut json = Json::new();
    json.open('{').name("version");
    json.string(env!("CARGO_PKG_VERSION"));
    json.name("store").string(store.name);
    range(&mut json, &fleet.range());
    filter(&mut json, fleet.filter());
    json.name("extent").open('[');
    if let Some((first, newest)) = store.extent {
        json.integer(seconds(first)).integer(seconds(newest));
    }
    json.close(']');
    json.name("rollups").number(fleet.rollups());
    json.name("files").number(store.files);
    json.name("parts").string(store.parts);
    json.name("took_ns").number(store.took.ns());
    json.name("total").open('{');
    fields(&mut json, fleet.total());
    cells(&mut json, fleet.total());
    json.close('}');
    json.name("slots").open('[');
    let first = fleet.range().from.0 / fleet.range().width_ns;
    for (number, slot) in (first..).zip(fleet.slots()) {
        if *slot != Sum::default() {
            json.open('{').name("n").integer(number);
            fields(&mut json, slot);
            cells(&mut json, slot);
            json.close('}');
        }
    }
    json.close(']');
    table(&mut json, "servers", fleet.servers(), |json, key| {
        json.name("server").string(&endpoint(*key));
    });
    table(&mut json, "operations", fleet.operations(), |json, key| {
        json.name("server").string(&endpoint(key.server));
        json.name("protocol")
            .string(key.protocol.word().unwrap_or_default());
        if let Some(operation) = &key.operation {
            json.name("operation").string(operation);
        }
    });
    table(&mut json, "hosts", fleet.hosts(), |json, host| {
        json.name("host").string(host);
    });
    json.name("marks").open('[');
    store.marks.iter().for_each(|one| mark(&mut json, one));
    json.close(']');
    json.name("more_marks").number(store.more_marks);
    json.name("damages").open('[');
    for damage in store.damages {
        json.string(damage);
    }
    json.close(']');
    json.name("more_damages").number(store.more_damages);
    json.close('}');
    json.into_string()
}

fn range(json: &mut Json, range: &FleetRange) {
    json.name("from").integer(seconds(range.from));
    json.name("to").integer(seconds(range.until));
    json.name("width").integer(range.width_ns / SECOND);
}

fn filter(json: &mut Json, filter: &FleetFilter) {
    json.name("filter").open('{');
    if let Some(host) = &filter.host {
        json.name("host").string(host);
    }
    if let Some(server) = filter.server {
        json.name("server").string(&endpoint(server));
    }
    if let Some(protocol) = filter.protocol.and_then(Protocol::word) {
        json.name("protocol").string(protocol);
    }
    if let Some(operation) = &filter.operation {
        json.name("operation").string(operation);
    }
    json.close('}');
}

/// What is counted, but for what is zero; quantiles of what took time.
fn fields(json: &mut Json, sum: &Sum) {
    let counts = [
        ("requests", sum.requests),
        ("answered", sum.answered),
        ("errors", sum.errors),
        ("unanswered", sum.unanswered),
        ("retransmits", sum.retransmits),
        ("bytes", sum.bytes),
        ("time_ns", sum.time_ns),
        ("attempts", sum.attempts),
        ("established", sum.established),
        ("failed", sum.failed),
        ("refused", sum.refused),
        ("silent", sum.silent),
        ("syn_retransmits", sum.syn_retransmits),
        ("ended", sum.ended),
        ("resets", sum.resets),
        ("connection_bytes", sum.connection_bytes),
        ("repeated_segments", sum.repeated_segments),
        ("data_repeats", sum.data_repeats),
        ("capture_losses", sum.capture_losses),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        json.name(name).number(count);
    }
    let known = [
        ("data_segments", sum.data_segments),
        ("zero_windows", sum.zero_windows),
        ("rtt_ns", sum.rtt().map(Span::ns)),
        ("p50", quantile(&sum.latency, 500)),
        ("p95", quantile(&sum.latency, 950)),
        ("p99", quantile(&sum.latency, 990)),
        ("max", quantile(&sum.latency, 1000)),
        ("c50", quantile(&sum.connect, 500)),
        ("c99", quantile(&sum.connect, 990)),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            json.name(name).number(value);
        }
    }
    if sum.budget_ns.iter().any(|&ns| ns > 0) {
        json.name("budget").open('[');
        for ns in sum.budget_ns {
            json.number(ns);
        }
        json.close(']');
    }
}

/// The histograms, in the coarser cells that plots have.
fn cells(json: &mut Json, sum: &Sum) {
    for (name, histogram) in [("latency", &sum.latency), ("connect", &sum.connect)] {
        if histogram.count() > 0 {
            json.name(name).open('[');
            let mut last: Option<(u16, u64)> = None;
            for (ns, count) in histogram.counts() {
                let at = cell(ns);
                last = Some(match last {
                    Some((before, sum)) if before == at => (at, sum.saturating_add(count)),
                    Some(done) => {
                        pair(json, done);
                        (at, count)
                    }
                    None => (at, count),
                });
            }
            last.into_iter().for_each(|done| pair(json, done));
            json.close(']');
        }
    }
}

fn pair(json: &mut Json, (cell, count): (u16, u64)) {
    json.number(cell).number(count);
}

fn table<K: Ord + Clone>(
    json: &mut Json,
    name: &str,
    table: &Table<K>,
    key: impl Fn(&mut Json, &K),
) {
    json.name(name).open('{').name("rows").open('[');
    for (of, row) in table.rows() {
        json.open('{');
        key(json, of);
        one_row(json, row);
        json.close('}');
    }
    json.close(']');
    if *table.others() != Row::default() {
        json.name("others").open('{');
        one_row(json, table.others());
        json.close('}');
    }
    json.name("joined").number(table.joined()).close('}');
}

/// A row: what is counted, and its picture: slices of [requests, attempts, troubles, p99 in ns or 0].
fn one_row(json: &mut Json, row: &Row) {
    fields(json, &row.sum);
    if row.is_late {
        json.name("late").flag(true);
    }
    json.name("strip").open('[');
    for pip in &row.strip {
        json.open('[');
        if *pip != Pip::default() {
            json.number(pip.many)
                .number(pip.attempts)
                .number(pip.troubles)
                .number(p99(&pip.latency));
        }
        json.close(']');
    }
    json.close(']');
}

/// Within 6 %; 0 where there is nothing.
fn p99(cells: &Cells) -> u64 {
    let all: u64 = cells.iter().map(|(_, count)| u64::from(count)).sum();
    let rank = (all * 99).div_ceil(100);
    let mut below = 0;
    let cell = cells.iter().find(|&(_, count)| {
        below += u64::from(count);
        below >= rank
    });
    cell.map_or(0, |(cell, _)| Cells::middle(cell))
}

fn mark(json: &mut Json, mark: &Mark) {
    json.open('{');
    for (name, at) in [("from", mark.time), ("to", mark.until)] {
        if let Some(at) = at {
            json.name(name).integer(seconds(at));
        }
    }
    let texts = [
        ("host", &mark.host),
        ("code", &mark.code),
        ("suspect", &mark.suspect),
        ("text", &mark.text),
        ("evidence", &mark.evidence),
        ("server", &mark.server),
        ("protocol", &mark.protocol),
        ("operation", &mark.operation),
        ("metric", &mark.metric),
        ("component", &mark.component),
        ("p_value", &mark.p_value),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        json.name(name).string(text);
    }
    json.close('}');
}

fn quantile(histogram: &Histogram, per_mille: u64) -> Option<u64> {
    histogram.quantile(per_mille).map(Span::ns)
}

fn endpoint((ip, port): (std::net::IpAddr, u64)) -> String {
    Endpoint(ip, port).to_string()
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(SECOND)
}
