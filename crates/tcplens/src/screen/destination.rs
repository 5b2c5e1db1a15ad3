//! One destination: what is wrong with it, its numbers, what happened when, its slowest requests and latest connections.

use tcplens_core::record::{Verdict, Word};
use tcplens_core::time::Span;
use tcplens_core::view::Histogram;
use tcplens_core::view::top::{ConnectionLine, Detail, RequestLine};
use tcplens_output::human::{Bytes, Count, Endpoint};

use super::columns::is_span_marked;
use super::labels;
use super::look::{Symbols, Tone, percent};
use super::paint::{Pen, wrapped};
use super::plot::{Bins, heat, sparkline};
use super::state::{BELOW, State};
use super::verdict::verdict;

/// Columns of what stands before a plot.
const LEAD: u16 = 11;
/// Columns of what stands behind it.
const TRAIL: u16 = 15;

/// Draws it.
pub(super) fn paint(state: &State, pen: &mut Pen<'_>) {
    let (width, height) = pen.size();
    let Some(detail) = &state.detail else {
        let label = state.label();
        pen.text(0, 1, width, &label, Tone::Head);
        let is_gone = state.snapshot.is_some() && !state.is_stale();
        let text = if is_gone {
            "no longer among the rows: Esc goes back"
        } else {
            "waiting for its numbers"
        };
        pen.text(1, 2, width, text, Tone::Dim);
        return;
    };
    let label = pen
        .symbols
        .printable(labels::row(&detail.key, &state.hosts));
    pen.text(0, 1, width, &label, Tone::Head);
    let said = verdict(
        detail,
        &state.marks,
        state.percentile,
        pen.symbols,
        pen.clock,
    );
    if said.is_empty() {
        pen.text(0, 2, width, "nothing is beyond its threshold", Tone::Plain);
    } else {
        let said = format!("! {}", said.join(pen.symbols.dot));
        let mut lines = wrapped(&said, usize::from(width));
        if height < 22 {
            // Cut, and marked so.
            lines = vec![said];
        }
        for (y, line) in (2..4).zip(lines) {
            pen.text(0, y, width, &line, Tone::Bad);
        }
    }
    let mut y = if height < 22 { 3 } else { 4 };
    if height >= 22 {
        for line in numbers(detail, pen.symbols) {
            pen.text(0, y, width, &line, Tone::Plain);
            y += 1;
        }
    }
    if height >= 16 {
        y = plots(state, detail, y, pen);
    }
    lists(state, detail, y, height - BELOW, pen);
}

fn times(symbols: &Symbols, all: [Option<Span>; 3]) -> String {
    let times: Vec<_> = ["p50", "p95", "p99"]
        .iter()
        .zip(all)
        .filter_map(|(name, span)| Some(format!("{name} {}", symbols.span(span?))))
        .collect();
    times.join("  ")
}

/// Its numbers in three lines: connecting, requests, the way between.
fn numbers(detail: &Detail, symbols: &Symbols) -> [String; 3] {
    let peer = &detail.peer;
    let dot = symbols.dot;
    let join = |parts: Vec<Option<String>>| {
        let parts: Vec<_> = parts
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        parts.join(dot)
    };
    let some = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", Count(n)));
    let span = |name: &str, span: Option<Span>| Some(format!("{name} {}", symbols.span(span?)));
    let connecting = join(vec![
        Some(format!(
            "{} attempts, {} established",
            Count(peer.attempts),
            Count(peer.established)
        )),
        some(peer.refused, "refused"),
        some(peer.silent, "without an answer"),
        some(peer.syn_retransmits, "SYNs repeated"),
        Some(times(
            symbols,
            [
                peer.connect_p50_us,
                peer.connect_p95_us,
                peer.connect_p99_us,
            ],
        )),
        peer.pending.and_then(|n| some(n, "pending")),
    ]);
    let requests = join(vec![
        Some(format!("{} requests", Count(peer.requests))),
        some(peer.errors, "errors"),
        some(peer.unanswered, "unanswered"),
        Some(times(
            symbols,
            [
                peer.request_p50_us,
                peer.request_p95_us,
                peer.request_p99_us,
            ],
        )),
        span("max", peer.request_max_us),
        span("server p95", peer.process_p95_us),
        peer.reuse_p95.map(|n| format!("{n} per connection (p95)")),
    ]);
    let way = join(vec![
        span("round trip", peer.rtt_mean_us),
        span("least", peer.rtt_min_us),
        Some(match peer.data_segments {
            Some(segments) if segments > 0 => {
                format!(
                    "{} repeated ({} of {})",
                    percent(peer.retransmits, segments),
                    peer.retransmits,
                    Count(segments)
                )
            }
            _ => format!("{} repeated", Count(peer.retransmits)),
        }),
        peer.zero_windows.and_then(|n| some(n, "closed windows")),
        Some(format!(
            "{} out, {} in",
            Bytes(peer.bytes_out),
            Bytes(peer.bytes_in)
        )),
        some(peer.resets, "ended by RST"),
        some(peer.capture_losses, "with capture loss"),
    ]);
    [
        symbols.printable(format!("connect   {connecting}")),
        symbols.printable(format!("requests  {requests}")),
        symbols.printable(format!("network   {way}")),
    ]
}

/// When things happened: sparklines and the heat map. The line below them.
fn plots(state: &State, detail: &Detail, y: u16, pen: &mut Pen<'_>) -> u16 {
    let (width, _) = pen.size();
    let room = width.saturating_sub(LEAD + TRAIL).max(1);
    let bins = Bins::of(&detail.series, usize::from(room));
    let columns = u16::try_from(bins.all.len()).unwrap_or(room);
    let times = bins.first.zip(bins.end()).map(|(first, end)| {
        let of = |at| pen.clock.of_slice(at, bins.width);
        let unit = pen.symbols.span(bins.width);
        (of(first), format!("{}  {unit} each", of(end)))
    });
    match times {
        Some((first, end)) => {
            let at = pen.text(LEAD, y, width, &first, Tone::Dim);
            let end_wide = u16::try_from(end.len()).unwrap_or(0);
            let from = (LEAD + columns).saturating_sub(8).max(at + 2);
            pen.text(
                from.min(width.saturating_sub(end_wide)),
                y,
                width,
                &end,
                Tone::Dim,
            );
        }
        None => {
            pen.text(
                LEAD,
                y,
                width,
                "no request or attempt is remembered",
                Tone::Dim,
            );
        }
    }
    let per_mille = state.percentile.per_mille();
    let quantile = |histogram: &Histogram| histogram.quantile(per_mille).map(Span::ns);
    let seconds = bins.width.ns() as f64 / 1e9;
    let symbols = pen.symbols;
    let as_span = |ns: u64| symbols.span(Span::from_ns(ns));
    let as_rate = |n: u64| super::look::rate(n as f64 / seconds.max(1e-9)) + "/s";
    type Told<'a> = &'a dyn Fn(u64) -> String;
    let is_slow =
        |field| move |ns| is_span_marked(&state.marks, &detail.peer, field, Span::from_ns(ns));
    let (is_slow_request, is_slow_connect) = (is_slow("request_p95_us"), is_slow("connect_p95_us"));
    type Marked<'a> = &'a dyn Fn(u64) -> bool;
    let as_count = |n: u64| Count(n).to_string();
    let lines: [(String, Vec<Option<u64>>, Told<'_>, Marked<'_>); 4] = [
        (
            "REQ/s".to_owned(),
            bins.all.iter().map(|bin| Some(bin.requests)).collect(),
            &as_rate,
            &|_| false,
        ),
        (
            format!("REQ {}", state.percentile.name()),
            bins.all.iter().map(|bin| quantile(&bin.latency)).collect(),
            &as_span,
            &is_slow_request,
        ),
        (
            format!("CON {}", state.percentile.name()),
            bins.all.iter().map(|bin| quantile(&bin.connect)).collect(),
            &as_span,
            &is_slow_connect,
        ),
        (
            "FAILED".to_owned(),
            bins.all.iter().map(|bin| Some(bin.failures)).collect(),
            &as_count,
            &|n| n > 0,
        ),
    ];
    let mut y = y + 1;
    for (name, values, told, is_marked) in lines {
        pen.text(0, y, LEAD - 1, &name, Tone::Head);
        pen.text(LEAD, y, columns, &sparkline(&values, symbols), Tone::Drawn);
        for (x, value) in (LEAD..).zip(&values) {
            if value.is_some_and(is_marked) {
                pen.part(x, y, 1, Tone::Bad);
            }
        }
        if let Some(most) = values.iter().flatten().max().filter(|most| **most > 0) {
            let is_beyond = is_marked(*most);
            let mark = if is_beyond { "!" } else { "" };
            let tone = if is_beyond { Tone::Bad } else { Tone::Dim };
            pen.text(
                LEAD + columns + 1,
                y,
                TRAIL,
                &format!("max {}{mark}", told(*most)),
                tone,
            );
        }
        y += 1;
    }
    let rows = state.shade_rows();
    for (at, (from, line)) in (y..).zip(heat(&bins, rows, symbols)) {
        let least = as_span(from.ns());
        let name = if at == y {
            format!("REQ {least:>6}")
        } else {
            format!("    {least:>6}")
        };
        pen.text(0, at, LEAD - 1, &name, Tone::Head);
        pen.text(LEAD, at, columns, &line, Tone::Drawn);
    }
    y + u16::try_from(rows).unwrap_or(0)
}

/// A line of the lists.
enum Line<'a> {
    Head(String),
    Request(usize, &'a RequestLine),
    Connection(usize, &'a ConnectionLine),
}

fn lists(state: &State, detail: &Detail, from: u16, to: u16, pen: &mut Pen<'_>) {
    let (width, _) = pen.size();
    let since = detail
        .remembered_from
        .map(|at| format!(", since {}", pen.clock.short(at)));
    let since = since.unwrap_or_default();
    let slowest = detail.slowest.len();
    let mut lines = vec![Line::Head(format!("SLOWEST REQUESTS ({slowest}{since})"))];
    lines.extend(
        detail
            .slowest
            .iter()
            .enumerate()
            .map(|(n, line)| Line::Request(n, line)),
    );
    lines.push(Line::Head(format!(
        "LATEST CONNECTIONS ({}{since})",
        detail.connections.len()
    )));
    let connections = detail.connections.iter().enumerate();
    lines.extend(connections.map(|(n, line)| Line::Connection(slowest + n, line)));
    let skip = state.lines_skipped();
    let heading = |line: &Line<'_>| match line {
        Line::Head(_) => None,
        Line::Request(..) => Some(0),
        Line::Connection(..) => Some(slowest + 1),
    };
    // The heading of what is shown stays, in place of the line before the first.
    if let Some(at) = lines.get(skip).and_then(heading) {
        lines.swap(skip, at);
    }
    for (y, line) in (from..to).zip(lines.into_iter().skip(skip)) {
        match line {
            Line::Head(text) => {
                pen.text(0, y, width, &text, Tone::Head);
            }
            Line::Request(at, line) => {
                let text = request(line, pen);
                pen.text(0, y, width, &text, Tone::Plain);
                select(state, at, y, pen);
            }
            Line::Connection(at, line) => {
                let text = connection(line, pen);
                pen.text(0, y, width, &text, Tone::Plain);
                select(state, at, y, pen);
            }
        }
    }
}

fn select(state: &State, at: usize, y: u16, pen: &mut Pen<'_>) {
    if state.lines.at == at {
        pen.line(y, Tone::Selected);
    }
}

/// The largest of a time budget.
pub(super) fn largest(budget: &[Span; 7]) -> Option<&'static str> {
    let parts = Verdict::ALL.iter().zip(budget).rev();
    parts.max_by_key(|(_, span)| span.ns())?.0.word()
}

fn request(line: &RequestLine, pen: &Pen<'_>) -> String {
    let verdict = line.budget.as_ref().and_then(largest).unwrap_or("-");
    pen.symbols.printable(format!(
        " {}  {:>7}  {:<8} {:<10} {:<9} {}",
        pen.clock.short(line.time),
        pen.symbols.span(line.took),
        verdict,
        line.status.word().unwrap_or_default(),
        line.protocol.word().unwrap_or_default(),
        line.summary,
    ))
}

fn connection(line: &ConnectionLine, pen: &Pen<'_>) -> String {
    let absent = || "-".to_owned();
    pen.symbols.printable(format!(
        " {}  {:>7}  {:<13} {:<9} {:>5} req {:>9} out {:>9} in {:>4} retr  rtt {:>6}  {}",
        pen.clock.short(line.time),
        line.duration
            .map_or_else(absent, |span| pen.symbols.span(span)),
        line.close.word().unwrap_or_default(),
        line.protocol.and_then(Word::word).unwrap_or("-"),
        line.requests.map_or_else(absent, |n| n.to_string()),
        Bytes(line.bytes[0]).to_string(),
        Bytes(line.bytes[1]).to_string(),
        line.retransmits[0].saturating_add(line.retransmits[1]),
        line.server_rtt
            .map_or_else(absent, |span| pen.symbols.span(span)),
        Endpoint(line.client.0, line.client.1),
    ))
}
