//! What changed, as text for a terminal: the changes first, then what was compared and how small a change would have been
//! seen. Not the judgment itself: that is `tcplens_core::view::compare`.

use std::fmt::Write;

use tcplens_core::record::{Change, Metric, Word};
use tcplens_core::time::Timestamp;
use tcplens_core::view::compare::{
    Comparison, GROUPS, LEAST_SHARE_PERCENT, LEAST_TIME_PERCENT, LEVEL_PERCENT, Period,
};

use super::show::is_stream;
use super::{Page, ReportOptions, printable, things};
use crate::color::Paint;
use crate::human::{Count, Duration, Endpoint};
use crate::shell::quoted;
use crate::table::Column;
use crate::time_style::{TimeFormat, TimeStyle};

/// One side of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct ComparedSide<'a> {
    /// Files, interfaces, or the period, as the user named them.
    pub name: &'a str,
    /// What is known of it.
    pub period: &'a Period,
    /// From when to when, as far as there was anything.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// Changes shown that may be chance, at most.
const PERHAPS: usize = 5;

/// What changed, as text. The sources of `options` are those of now.
#[must_use]
pub fn render_comparison(
    comparison: &Comparison,
    before: ComparedSide<'_>,
    now: ComparedSide<'_>,
    astride: u64,
    options: ReportOptions<'_>,
) -> String {
    let mut page = Page {
        text: String::new(),
        options,
        start: TimeFormat::new(TimeStyle::Relative),
    };
    page.side("before", before);
    page.side("now", now);
    page.changes(comparison);
    page.perhaps(comparison);
    page.table_of(comparison);
    page.compared(comparison, [before.period, now.period], astride);
    page.options.glyphs.fit(&page.text).into_owned()
}

impl Page<'_> {
    fn side(&mut self, which: &str, side: ComparedSide<'_>) {
        self.painted(Paint::Bold, which);
        self.text.push_str(": ");
        let period = side.period;
        let mut line = format!(
            "{}: {}, {}, {}",
            side.name,
            things(period.requests, "request"),
            things(period.attempts, "connection attempt"),
            things(period.connections, "connection")
        );
        if period.observed().ns() > 0 {
            let _ = write!(line, " in {}", Duration(period.observed()));
        }
        if let Some((first, last)) = side.span {
            line.push_str(", from ");
            if self.options.first_packet.is_none() {
                self.options.time.set_origin(first);
            }
            self.options.time.write(&mut line, first);
            line.push_str(" to ");
            self.options.time.write(&mut line, last);
        }
        line.push('.');
        self.prose("", &line);
    }

    fn changes(&mut self, comparison: &Comparison) {
        self.text.push('\n');
        let told: Vec<_> = comparison.told().collect();
        if told.is_empty() {
            let (title, paint) = match comparison.judged.is_empty() {
                true => ("Nothing could be compared.", Paint::Yellow),
                false => ("No change beyond chance.", Paint::Green),
            };
            self.painted(paint, title);
            self.text.push('\n');
            return;
        }
        self.painted(Paint::Bold, "What changed");
        self.text.push_str(" (the worst first)\n");
        let shown = told.len().min(self.options.findings);
        let digits = shown.to_string().len();
        for change in &told[..shown] {
            self.one(change, digits);
        }
        if told.len() > shown {
            let _ = writeln!(
                self.text,
                "... and {} more.",
                Count((told.len() - shown) as u64)
            );
        }
    }

    fn one(&mut self, change: &Change, digits: usize) {
        let indent = " ".repeat(digits + 2);
        let is_worse = change.suspect.is_some()
            || matches!(
                change.metric,
                Metric::FailedConnects | Metric::ConnectTime | Metric::Latency
            ) && !is_less(change);
        let paint = match change.metric {
            Metric::RequestRate | Metric::Presence => Paint::Yellow,
            _ if is_worse => Paint::Red,
            _ => Paint::Green,
        };
        let _ = write!(
            self.text,
            "\n{:>digits$}. ",
            change.rank.unwrap_or_default()
        );
        self.painted(paint, change.code);
        if let Some(suspect) = change.suspect.word() {
            let _ = write!(self.text, ", suspect: {suspect}");
        }
        self.text.push('\n');
        self.prose(&indent, change.text.as_deref().unwrap_or_default());
        self.prose(&indent, change.evidence.as_deref().unwrap_or_default());
        self.show_change(&indent, change);
    }

    /// The command that shows it as it is now, or as it was, for what is gone.
    fn show_change(&mut self, indent: &str, change: &Change) {
        if change.code == "gone" {
            return;
        }
        let (command, options) = match change.metric {
            Metric::Latency | Metric::SlowShare if !is_less(change) => {
                let slow = change.before_p95_us.or(change.after_p95_us);
                let ms = slow.map_or(100, |span| (span.ns() / 1_000_000).max(1));
                ("requests", format!(" -t {ms} --columns budget"))
            }
            Metric::Errors if !is_less(change) => ("requests", " --status error".to_owned()),
            Metric::Unanswered if !is_less(change) => {
                ("requests", " --status unanswered".to_owned())
            }
            Metric::Latency
            | Metric::SlowShare
            | Metric::Errors
            | Metric::Unanswered
            | Metric::RequestRate => ("requests", String::new()),
            Metric::FailedConnects | Metric::ConnectTime => ("handshakes", String::new()),
            Metric::Presence if change.protocol.is_some() => ("requests", String::new()),
            Metric::Presence | Metric::Loss | Metric::ServerRtt | Metric::ClientRtt => {
                ("connections", String::new())
            }
        };
        let mut line = format!("{indent}show: tcplens {command}");
        if self.options.is_kernel {
            line.push_str(" -k");
        }
        let sources = self.options.sources.iter();
        for source in sources.filter(|_| !self.options.is_kernel) {
            let option = if self.options.is_live { "-i" } else { "-r" };
            let source = if is_stream(source) {
                "FILE".to_owned()
            } else {
                quoted(source)
            };
            let _ = write!(line, " {option} {source}");
        }
        line.push_str(&options);
        if let Some(filter) = &change.filter {
            let _ = write!(line, " '{filter}'");
        }
        self.painted(Paint::Dim, &printable(&line));
        self.text.push('\n');
    }

    /// What looks different and may be chance: the least likely first.
    fn perhaps(&mut self, comparison: &Comparison) {
        let is_large = |change: &&Change| {
            change.rank.is_none()
                && !change.is_significant
                && change.p_ppm.is_some_and(|p| p < 999_999)
                && match change.ratio_per_mille {
                    Some(ratio) => !(667..1500).contains(&ratio),
                    None => change.metric != Metric::Presence || change.after_count > 0,
                }
        };
        let perhaps: Vec<_> = comparison.changes.iter().filter(is_large).collect();
        if perhaps.is_empty() {
            return;
        }
        self.heading("May be chance", "");
        for change in perhaps.iter().take(PERHAPS) {
            let line = format!("- {}", difference(change));
            self.prose("  ", &line);
        }
        if perhaps.len() > PERHAPS {
            let more = Count((perhaps.len() - PERHAPS) as u64);
            let _ = writeln!(self.text, "  ... and {more} more.");
        }
    }

    /// Latency of each server and operation, before and now; without requests, attempts.
    fn table_of(&mut self, comparison: &Comparison) {
        let mut rows: Vec<_> = comparison
            .changes
            .iter()
            .filter(|it| it.metric == Metric::Latency)
            .collect();
        if rows.is_empty() {
            rows = comparison
                .changes
                .iter()
                .filter(|it| it.metric == Metric::ConnectTime)
                .collect();
        }
        if rows.is_empty() {
            return;
        }
        rows.sort_by_key(|it| std::cmp::Reverse(it.before_count.saturating_add(it.after_count)));
        let title = match rows[0].metric {
            Metric::Latency => "How long requests took, before and now",
            _ => "How long connecting took, before and now",
        };
        self.heading(
            title,
            "P: the probability of such a difference by chance, corrected for all that was compared. SEEN FROM: a rise of all \
             times by so much would have been seen.",
        );
        let all = rows.len();
        let mut table = self.table(TABLE);
        for change in rows.into_iter().take(self.options.rows) {
            let (Some(ip), Some(port)) = (change.server_ip, change.server_port) else {
                continue;
            };
            table.cell(Paint::Plain, Endpoint(ip, port));
            let protocol = change.protocol.word().unwrap_or("connecting");
            match change.operation.as_deref() {
                Some(operation) => table.cell(Paint::Plain, format_args!("{protocol} {operation}")),
                None => table.cell(Paint::Plain, protocol),
            }
            for count in [change.before_count, change.after_count] {
                table.cell(Paint::Plain, Count(count));
            }
            let spans = [
                change.before_p50_us,
                change.after_p50_us,
                change.before_p95_us,
                change.after_p95_us,
            ];
            for span in spans {
                match span {
                    Some(span) => table.cell(Paint::Plain, Duration(span)),
                    None => table.absent(),
                }
            }
            match change.p_ppm {
                Some(p) if change.is_significant => table.cell(Paint::Bold, probability(p)),
                Some(p) => table.cell(Paint::Plain, probability(p)),
                None => table.absent(),
            }
            match change.detectable_per_mille {
                Some(ratio) => table.cell(Paint::Plain, rise(ratio)),
                None => table.absent(),
            }
        }
        self.rows(table);
        self.rest(all as u64, 0);
    }

    fn compared(&mut self, comparison: &Comparison, sides: [&Period; 2], astride: u64) {
        self.heading("What was compared", "");
        let all: u64 = comparison.judged.iter().map(|(_, n)| n).sum();
        let mut text = things(all, "comparison");
        if comparison.never > 0 {
            let never = Count(comparison.never);
            let _ = write!(text, " ({never} of what never happened, before or now)");
        }
        text.push_str(": ");
        for (n, (metric, count)) in comparison.judged.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{} {}", Count(*count), name(*metric));
        }
        if all == 0 {
            text = "Nothing.".to_owned();
        } else {
            let _ = write!(
                text,
                ". The chance that any change that is told is none is at most {LEVEL_PERCENT} %; what changed by less than \
                 {LEAST_TIME_PERCENT} % (times) or {LEAST_SHARE_PERCENT} % (shares, rates) is not told. Requests of a \
                 connection, and what happens at the same time, are not taken for independent (docs/report.md)."
            );
        }
        let mut seen: Vec<u64> = comparison
            .changes
            .iter()
            .filter(|it| it.metric == Metric::Latency)
            .filter_map(|it| it.detectable_per_mille)
            .collect();
        seen.sort_unstable();
        if let (Some(least), Some(middle)) = (seen.first(), seen.get(seen.len() / 2)) {
            let _ = write!(
                text,
                " Of latency a rise {} would have been seen, in four of five cases, where most is known",
                rise_in_words(*least)
            );
            let judged = comparison.judged.iter();
            let latency = judged.filter(|(metric, _)| *metric == Metric::Latency);
            let latency: u64 = latency.map(|(_, n)| n).sum();
            if middle > least {
                let _ = write!(
                    text,
                    ", and one {} in half of {}",
                    rise_in_words(*middle),
                    Count(seen.len() as u64)
                );
            }
            if latency > seen.len() as u64 {
                let rest = Count(latency - seen.len() as u64);
                let _ = write!(
                    text,
                    "; in {rest} more not even ten times as much would have been"
                );
            }
            text.push('.');
        }
        let notes = [
            (
                comparison.small,
                "change beyond chance is smaller than that",
                "changes beyond chance are smaller than that",
            ),
            (
                comparison.parts,
                "more is part of those told",
                "more are part of those told",
            ),
            (
                comparison.too_few,
                "pair could not be compared: too few connections or too short a time of one side, or it never happened",
                "pairs could not be compared: too few connections or too short a time of one side, or it never happened",
            ),
            (
                astride,
                "connection was there in both periods: its loss and round trips count in neither",
                "connections were there in both periods: their loss and round trips count in neither",
            ),
        ];
        for (count, one, more) in notes {
            if count > 0 {
                let what = if count == 1 { one } else { more };
                let _ = write!(text, " {} {what}.", Count(count));
            }
        }
        let left_out = sides.iter().map(|side| side.left_out).sum::<u64>();
        if left_out > 0 {
            let _ = write!(
                text,
                " Not compared: {} of servers and operations beyond the first {GROUPS}.",
                things(left_out, "record")
            );
        }
        self.prose("", &text);
    }
}

static TABLE: &[Column] = &[
    Column::left("SERVER", 15),
    Column::left("WHAT", 10),
    Column::right("BEFORE", 6).group(),
    Column::right("NOW", 6),
    Column::right("P50", 7).group(),
    Column::right("NOW", 7),
    Column::right("P95", 7).group(),
    Column::right("NOW", 7),
    Column::right("P", 7).group(),
    Column::right("SEEN FROM", 0),
];

fn is_less(change: &Change) -> bool {
    change.ratio_per_mille.is_some_and(|ratio| ratio < 1000)
        || matches!(
            change.code,
            "gone" | "faster" | "fewer_slow" | "faster_connects"
        )
}

/// `errors of redis GET at 10.0.0.1:6379: 0 of 20 before, 3 of 25 now (p 0.21)`.
fn difference(change: &Change) -> String {
    let mut text = format!("{} of ", name(change.metric));
    if let Some(protocol) = change.protocol.word() {
        let _ = write!(text, "{protocol} ");
        if let Some(operation) = &change.operation {
            let _ = write!(text, "{operation} ");
        }
        text.push_str("at ");
    }
    if let (Some(ip), Some(port)) = (change.server_ip, change.server_port) {
        let _ = write!(text, "{}: ", Endpoint(ip, port));
    }
    let counts = [change.before_count, change.after_count];
    let said = match (
        [change.before_hits, change.after_hits],
        [change.before_p50_us, change.after_p50_us],
    ) {
        ([Some(a), Some(b)], _) => [(a, counts[0]), (b, counts[1])]
            .map(|(hits, of)| format!("{} of {}", Count(hits), Count(of))),
        (_, [Some(a), Some(b)]) => [a, b].map(|span| format!("median {}", Duration(span))),
        _ => {
            let observed = [change.before_observed_us, change.after_observed_us];
            let both = [(counts[0], observed[0]), (counts[1], observed[1])];
            both.map(|(count, span)| match span {
                Some(span) => format!("{} in {}", Count(count), Duration(span)),
                None => Count(count).to_string(),
            })
        }
    };
    let p = change.p_ppm.map_or_else(String::new, probability);
    let _ = write!(text, "{} before, {} now (p {p})", said[0], said[1]);
    text
}

/// What is compared, in the plural where there are several.
fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::Latency => "latency",
        Metric::SlowShare => "share of slow requests",
        Metric::Errors => "errors",
        Metric::Unanswered => "unanswered",
        Metric::FailedConnects => "failed attempts to connect",
        Metric::ConnectTime => "time to connect",
        Metric::Loss => "loss",
        Metric::ServerRtt => "round trip to the server",
        Metric::ClientRtt => "round trip to clients",
        Metric::RequestRate => "rate of requests",
        Metric::Presence => "presence",
    }
}

fn probability(ppm: u64) -> String {
    let rounded = ppm.saturating_add(50) / 100;
    match ppm {
        0..100 => "<0.0001".to_owned(),
        _ => format!("{}.{:04}", rounded / 10_000, rounded % 10_000),
    }
}

/// `by 15 %`, `to 3 times as much`.
fn rise_in_words(per_mille: u64) -> String {
    match per_mille {
        ..2000 => format!("by {}", rise(per_mille).trim_start_matches('+')),
        _ => format!("to {} as much", rise(per_mille)),
    }
}

/// `+15 %`, `3 times`.
fn rise(per_mille: u64) -> String {
    match per_mille {
        ..2000 => format!("+{} %", per_mille.saturating_sub(1000).div_ceil(10)),
        _ => format!("{} times", per_mille / 1000),
    }
}
