//! A line of JSON, as `jsonl` writes records, as the values of a record's fields: for whoever puts them into columns. Fields that
//! are not known are passed over, those that are not there are absent.

use std::borrow::Cow;

use tcplens_core::record::{
    Connection, Field, Finding, FirstFrame, Handshake, Health, Record, Request, Rollup, Socket,
};

use super::StoreKind;
use crate::archive::Stamp;
use crate::cell::Cell;
use crate::read_json::{Json, Value};

/// Reads lines of one kind.
pub(crate) struct LineReader {
    kind: StoreKind,
    fields: Vec<&'static Field>,
    cells: Vec<Cell>,
}

/// What a line holds.
pub(crate) struct Line<'a> {
    /// Whose it is, where it says so.
    pub(crate) host: Option<String>,
    /// By field, in the order of declaration.
    pub(crate) cells: &'a mut Vec<Cell>,
}

impl LineReader {
    pub(crate) fn new(kind: StoreKind) -> LineReader {
        let mut fields = Vec::new();
        let mut each = |field| fields.push(field);
        match kind {
            StoreKind::Handshake => Handshake::fields(&mut each),
            StoreKind::Request => Request::fields(&mut each),
            StoreKind::Connection => Connection::fields(&mut each),
            StoreKind::Socket => Socket::fields(&mut each),
            StoreKind::Finding => Finding::fields(&mut each),
            StoreKind::Health => Health::fields(&mut each),
            StoreKind::Rollup => Rollup::fields(&mut each),
        }
        LineReader {
            kind,
            cells: Vec::with_capacity(fields.len()),
            fields,
        }
    }

    /// Of which kind.
    #[cfg(feature = "remote")]
    pub(crate) fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Reads a line; `None`: it is no record of this kind.
    pub(crate) fn read(&mut self, line: &[u8]) -> Option<Line<'_>> {
        let LineReader {
            kind,
            fields,
            cells,
        } = self;
        cells.clear();
        cells.resize(fields.len(), Cell::None);
        let (mut host, mut is_kind, mut next) = (None, false, 0);
        let mut json = Json::new(line);
        json.object(|json, name| match name.as_ref() {
            b"host" => {
                host = Some(json.text()?);
                Some(())
            }
            b"kind" => {
                is_kind = json.string()?.as_ref() == kind.word().as_bytes();
                Some(())
            }
            name => {
                // They come in the order of declaration.
                let is_it = |n: &usize| fields[*n].name.as_bytes() == name;
                let found = (next..fields.len()).chain(0..next).find(is_it);
                let Some(n) = found else {
                    return json.skip();
                };
                next = n + 1;
                cells[n] = cell(fields[n], json)?;
                Some(())
            }
        })?;
        json.end()?;
        is_kind.then_some(Line { host, cells })
    }

    /// Where in the cells the time of a record is.
    pub(crate) fn time(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.name == "time")
    }
}

fn cell(field: &Field, json: &mut Json<'_>) -> Option<Cell> {
    Some(match field.kind {
        "count" => i64::try_from(json.number()?).map_or(Cell::None, Cell::Number),
        "span" => match json.value()? {
            Value::Other(text) => Cell::Number(nanoseconds(text)?),
            Value::Null | Value::Text(_) => return None,
        },
        "time" => Cell::Number(Stamp::parse(&json.string()?)?.at?.0),
        "flag" => match json.value()? {
            Value::Other(b"true") => Cell::Flag(true),
            Value::Other(b"false") => Cell::Flag(false),
            Value::Other(_) | Value::Null | Value::Text(_) => return None,
        },
        "counts" => {
            let mut counts = Vec::new();
            json.object(|json, reason: &Cow<'_, [u8]>| {
                let reason = String::from_utf8(reason.to_vec()).ok()?;
                counts.push((reason, json.number()?));
                Some(())
            })?;
            Cell::Counts(counts)
        }
        "list" => {
            let mut list = Vec::new();
            json.array(|json| json.number().map(|number| list.push(number)))?;
            Cell::List(list)
        }
        "frames" => {
            let mut frames = Vec::new();
            json.array(|json| {
                let mut frame = FirstFrame::default();
                json.object(|json, name| match name.as_ref() {
                    b"threshold_bytes" => json.number().map(|it| frame.threshold_bytes = it),
                    b"bytes" => json.number().map(|it| frame.bytes = Some(it)),
                    b"us" => json.number().map(|it| frame.us = Some(it)),
                    _ => json.skip(),
                })?;
                frames.push(frame);
                Some(())
            })?;
            Cell::Frames(frames)
        }
        _ => Cell::Text(json.text()?),
    })
}

/// Microseconds with up to three decimals, in ns.
fn nanoseconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 3 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let us: i64 = whole.parse().ok()?;
    let ns: i64 = format!("{fraction:0<3}").parse().ok()?;
    us.checked_mul(1000)?.checked_add(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_microseconds_with_up_to_three_decimals() {
        for (text, ns) in [
            ("0", Some(0)),
            ("12", Some(12_000)),
            ("12.5", Some(12_500)),
            ("12.345", Some(12_345)),
            ("0.001", Some(1)),
            ("12.3456", None),
            ("-1", None),
            ("1e3", None),
            (".5", None),
            ("", None),
        ] {
            assert_eq!(nanoseconds(text.as_bytes()), ns, "{text}");
        }
    }

    #[test]
    fn a_line_of_another_kind_or_that_is_torn_is_none() {
        let mut reader = LineReader::new(StoreKind::Finding);
        let line = br#"{"host":"a-b","kind":"finding","rank":1,"later":{"x":[1]},"code":"refused","frames":[3,4]}"#;
        let read = reader.read(line).unwrap();
        assert_eq!(read.host.as_deref(), Some("a-b"));
        let known: Vec<_> = read
            .cells
            .iter()
            .filter(|cell| **cell != Cell::None)
            .collect();
        let expected = [
            &Cell::Number(1),
            &Cell::Text("refused".into()),
            &Cell::List(vec![3, 4]),
        ];
        assert_eq!(known, expected);
        for length in 0..line.len() {
            assert!(reader.read(&line[..length]).is_none(), "{length}");
        }
        assert!(LineReader::new(StoreKind::Health).read(line).is_none());
    }
}
