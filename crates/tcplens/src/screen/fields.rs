//! All of one record: each field, its value, and what it means, as the record declares it.

use tcplens_core::record::{Connection, Field, Peer, Record, Request, Verdict, Word};
use tcplens_core::time::Span;
use tcplens_core::view::top::{ConnectionLine, RequestLine};
use tcplens_output::human::Count;
use tcplens_output::values::{Value, Values};

use super::destination::largest;
use super::look::Tone;
use super::paint::{Pen, wrapped};
use super::state::{BELOW, State, Subject};

/// Columns of names, and of values.
const NAME: u16 = 22;
const VALUE: u16 = 30;

/// A field as it is shown.
struct Shown {
    name: &'static str,
    value: String,
    doc: &'static str,
}

/// Draws it.
pub(super) fn paint(state: &State, subject: Subject, pen: &mut Pen<'_>) {
    let (width, height) = pen.size();
    let label = state.label();
    let Some(detail) = &state.detail else {
        pen.text(0, 1, width, &label, Tone::Head);
        pen.text(1, 2, width, "waiting for its numbers", Tone::Dim);
        return;
    };
    let (what, fields) = match subject {
        Subject::Peer => ("all numbers", of_peer(&detail.peer, pen)),
        Subject::Request(at) => match detail.slowest.get(at) {
            Some(line) => ("a request", of_request(line, pen)),
            None => ("a request that is no longer among the slowest", Vec::new()),
        },
        Subject::Connection(at) => match detail.connections.get(at) {
            Some(line) => ("a connection", of_connection(line, pen)),
            None => (
                "a connection that is no longer among the latest",
                Vec::new(),
            ),
        },
    };
    let title = pen.symbols.printable(format!("{label}: {what}"));
    pen.text(0, 1, width, &title, Tone::Head);
    // Beside the value where there is room, below it where there is none.
    let is_beside = width >= 110;
    let indent = if is_beside { NAME + VALUE } else { 4 };
    let room = usize::from(width.saturating_sub(indent + 1));
    let mut lines = Vec::new();
    for Shown { name, value, doc } in fields {
        let value = pen.symbols.printable(value);
        let mut docs = wrapped(
            &pen.symbols
                .printable(doc.replace('`', "").replace('\n', " ")),
            room,
        )
        .into_iter();
        let value_room = if is_beside {
            VALUE - 2
        } else {
            width.saturating_sub(NAME + 1)
        };
        let mut values = chunks(&value, usize::from(value_room)).into_iter();
        let first = if is_beside { docs.next() } else { None };
        lines.push((Some(name), values.next(), first));
        if !is_beside {
            lines.extend(values.by_ref().map(|value| (None, Some(value), None)));
        }
        loop {
            let (value, doc) = (values.next(), docs.next());
            if value.is_none() && doc.is_none() {
                break;
            }
            lines.push((None, value, doc));
        }
    }
    let shown = usize::from(height.saturating_sub(2 + BELOW));
    let skip = state.scroll.min(lines.len().saturating_sub(shown));
    for (y, (name, value, doc)) in (2..height - BELOW).zip(lines.into_iter().skip(skip)) {
        pen.text(0, y, NAME, name.unwrap_or_default(), Tone::Head);
        if let Some(value) = value {
            let tone = if value == "-" { Tone::Dim } else { Tone::Plain };
            pen.text(NAME, y, width, &value, tone);
        }
        if let Some(doc) = doc {
            pen.text(indent, y, width, &doc, Tone::Dim);
        }
    }
}

/// Text in pieces of at most so many characters; at least one piece.
fn chunks(text: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let chunks = characters
        .chunks(width.max(1))
        .map(|chunk| chunk.iter().collect());
    let chunks: Vec<String> = chunks.collect();
    if chunks.is_empty() {
        vec!["-".to_owned()]
    } else {
        chunks
    }
}

fn of_peer(peer: &Peer, pen: &Pen<'_>) -> Vec<Shown> {
    let mut values = Values::default();
    values.read(peer);
    let shown = values.iter().map(|(field, value)| Shown {
        name: field.name,
        value: text(field.name, value, pen),
        doc: field.doc,
    });
    shown.collect()
}

fn text(name: &str, value: &Value, pen: &Pen<'_>) -> String {
    // Numbers that are names.
    let is_name = name.ends_with("port") || name.ends_with("frame") || name == "pid";
    match value {
        Value::Absent => "-".to_owned(),
        Value::Count(count) if is_name => count.to_string(),
        Value::Count(count) => Count(*count).to_string(),
        Value::Span(span) => pen.symbols.span(*span),
        Value::Time(at) => pen.clock.full(*at),
        Value::Ip(ip) => ip.to_string(),
        Value::Word(word) => (*word).to_owned(),
        Value::Flag(is_so) => is_so.to_string(),
        Value::Text(text) => text.clone(),
        Value::Id(id) => String::from_utf8_lossy(&id.text()).into_owned(),
    }
}

/// What a field of a record kind means.
fn doc<R: Record>(name: &str) -> &'static str {
    let mut found = "";
    R::fields(&mut |field: &'static Field| {
        if field.name == name {
            found = field.doc;
        }
    });
    found
}

fn shown<R: Record>(fields: Vec<(&'static str, Value)>, pen: &Pen<'_>) -> Vec<Shown> {
    let shown = fields.into_iter().map(|(name, value)| Shown {
        name,
        value: text(name, &value, pen),
        doc: doc::<R>(name),
    });
    shown.collect()
}

fn word<W: Word>(word: W) -> Value {
    word.word().map_or(Value::Absent, Value::Word)
}

fn span(span: Option<Span>) -> Value {
    span.map_or(Value::Absent, Value::Span)
}

fn count(count: Option<u64>) -> Value {
    count.map_or(Value::Absent, Value::Count)
}

/// Names of the parts of a time budget, in the order of [`Verdict::ALL`].
const BUDGET: [&str; 7] = [
    "in_client_us",
    "in_queue_us",
    "in_server_us",
    "in_network_us",
    "in_loss_us",
    "in_window_us",
    "in_transfer_us",
];
const _: () = assert!(BUDGET.len() == Verdict::ALL.len());

fn of_request(line: &RequestLine, pen: &Pen<'_>) -> Vec<Shown> {
    let mut fields = vec![
        ("time", Value::Time(line.time)),
        ("connection_id", Value::Id(line.id)),
        ("client_ip", Value::Ip(line.client.0)),
        ("client_port", Value::Count(line.client.1)),
        ("server_ip", Value::Ip(line.server.0)),
        ("server_port", Value::Count(line.server.1)),
        ("protocol", word(line.protocol)),
        ("summary", Value::Text(line.summary.to_string())),
        ("status", word(line.status)),
        ("total_us", Value::Span(line.took)),
    ];
    for (at, name) in BUDGET.into_iter().enumerate() {
        fields.push((name, span(line.budget.map(|budget| budget[at]))));
    }
    let verdict = line.budget.as_ref().and_then(largest);
    fields.push(("verdict", verdict.map_or(Value::Absent, Value::Word)));
    fields.push(("request_frame", count(line.frame)));
    shown::<Request<'_>>(fields, pen)
}

fn of_connection(line: &ConnectionLine, pen: &Pen<'_>) -> Vec<Shown> {
    let fields = vec![
        ("time", Value::Time(line.time)),
        ("connection_id", Value::Id(line.id)),
        ("client_ip", Value::Ip(line.client.0)),
        ("client_port", Value::Count(line.client.1)),
        ("server_ip", Value::Ip(line.server.0)),
        ("server_port", Value::Count(line.server.1)),
        ("close", word(line.close)),
        ("duration_us", span(line.duration)),
        ("protocol", word(line.protocol)),
        ("requests", count(line.requests)),
        ("client_bytes", Value::Count(line.bytes[0])),
        ("server_bytes", Value::Count(line.bytes[1])),
        ("client_retransmits", Value::Count(line.retransmits[0])),
        ("server_retransmits", Value::Count(line.retransmits[1])),
        ("server_rtt_mean_us", span(line.server_rtt)),
        ("first_frame", count(line.frame)),
    ];
    shown::<Connection>(fields, pen)
}

#[cfg(test)]
mod tests {
    use super::super::look::{Clock, Symbols};
    use super::super::sample;
    use super::*;
    use crate::cli::Theme;

    #[test]
    fn every_field_that_is_shown_is_one_of_its_record_and_says_what_it_means() {
        let mut buffer = ratatui::buffer::Buffer::empty(ratatui::layout::Rect::new(0, 0, 1, 1));
        let clock = Clock::new(tcplens_output::time_style::TimeStyle::Utc);
        let pen = Pen::new(&mut buffer, Theme::Mono, &Symbols::ASCII, &clock);
        let detail = sample::detail(3);
        let lines = [
            of_peer(&detail.peer, &pen),
            of_request(&detail.slowest[0], &pen),
            of_connection(&detail.connections[0], &pen),
        ];
        for shown in lines.iter().flatten() {
            assert!(!shown.doc.is_empty(), "{} is not a field", shown.name);
            assert!(!shown.value.is_empty(), "{}", shown.name);
        }
    }
}
