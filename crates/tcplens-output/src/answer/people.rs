//! Rows of text: aligned by many at once, numbers in the unit that their column's name ends in.

use tcplens_core::time::Span;

use super::machine::{float, plain};
use super::value::decimal;
use super::{Column, Kind, ROWS_TOGETHER, Settings, Value};
use crate::color::Paint;
use crate::glyphs::Glyphs;
use crate::human::{Bytes, Count, Duration};
use crate::table::{Align, Table};
use crate::time_style::TimeFormat;

/// Bytes of text that wait to be aligned, about: then fewer rows are aligned together.
const BYTES_TOGETHER: usize = 1 << 20;

/// What a column's name says of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `_us`: microseconds; shown as `3.2 ms`.
    Micros,
    /// `_ns`.
    Nanos,
    /// `_bytes`: shown as `1.5 KiB`.
    Bytes,
    /// `_percent`: shown as `1.25 %`.
    Percent,
    /// A number of things, in groups of three digits.
    Things,
    /// A number that is a name (ports, numbers of frames, codes): digits as they are.
    Name,
}

impl Unit {
    /// By a column's name, and the name without the unit, as a title.
    pub(super) fn of(name: &str) -> (Unit, String) {
        let ends = [
            ("_us", Unit::Micros),
            ("_ns", Unit::Nanos),
            ("_bytes", Unit::Bytes),
            ("_percent", Unit::Percent),
        ];
        for (end, unit) in ends {
            if let Some(title) = name.strip_suffix(end) {
                return (unit, title.to_owned());
            }
        }
        let names = [
            "port", "frame", "code", "pid", "uid", "netns", "inode", "cookie", "vlan", "part",
            "type", "rank", "version", "task",
        ];
        let last = name.rsplit('_').next().unwrap_or_default();
        match names.contains(&last) {
            true => (Unit::Name, name.to_owned()),
            false => (Unit::Things, name.to_owned()),
        }
    }

    /// A number in it.
    pub(super) fn show(self, value: &Value) -> Option<String> {
        let number = value.number()?;
        let sign = if number < 0.0 { "-" } else { "" };
        let size = number.abs();
        Some(match self {
            // Beyond what a span holds nothing is measured.
            Unit::Micros => format!(
                "{sign}{}",
                Duration(Span::from_ns((size * 1e3).round() as u64))
            ),
            Unit::Nanos => format!("{sign}{}", Duration(Span::from_ns(size.round() as u64))),
            Unit::Bytes => format!("{sign}{}", Bytes(size.round() as u64)),
            Unit::Percent => format!("{number:.2} %"),
            Unit::Things | Unit::Name => match *value {
                Value::Integer(whole) if self == Unit::Things => {
                    match u64::try_from(whole.unsigned_abs()) {
                        Ok(whole) => format!("{sign}{}", Count(whole)),
                        Err(_) => whole.to_string(),
                    }
                }
                Value::Integer(whole) => whole.to_string(),
                Value::Decimal { unscaled, scale } => decimal(unscaled, scale),
                _ => rounded(number),
            },
        })
    }
}

/// Six digits that count, no trailing zeros.
fn rounded(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return float(number).unwrap_or_default();
    }
    let whole = if size >= 1.0 {
        size.log10().floor()
    } else {
        0.0
    };
    // Between 0 and 5.
    let decimals = (5.0 - whole).clamp(0.0, 5.0) as usize;
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Rows on their way into a table.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<(Kind, Unit)>,
    table: Table,
    time: TimeFormat,
    glyphs: Glyphs,
    color: bool,
    waiting: usize,
    waiting_bytes: usize,
}

impl Rows {
    pub(super) fn new(columns: &[Column], settings: &Settings) -> Rows {
        let titles = columns.iter().map(|column| {
            let align = match column.kind {
                Kind::Number => Align::Right,
                Kind::Time | Kind::Flag | Kind::Text | Kind::List => Align::Left,
            };
            let title = match column.kind {
                Kind::Number => Unit::of(&column.name).1,
                _ => column.name.clone(),
            };
            (printable(&title.to_uppercase()), align)
        });
        let units = columns
            .iter()
            .map(|column| (column.kind, Unit::of(&column.name).0));
        Rows {
            table: Table::titled(titles.collect(), settings.color),
            columns: units.collect(),
            time: TimeFormat::new(settings.time),
            glyphs: settings.glyphs,
            color: settings.color,
            waiting: 0,
            waiting_bytes: 0,
        }
    }

    pub(super) fn push(&mut self, row: &[Value], out: &mut Vec<u8>) {
        for n in 0..self.columns.len() {
            let value = row.get(n).unwrap_or(&Value::Absent);
            match self.cell(n, value) {
                Some(text) => {
                    self.waiting_bytes += text.len();
                    let is_zero = value.number() == Some(0.0);
                    let paint = if is_zero { Paint::Dim } else { Paint::Plain };
                    self.table.cell(paint, self.glyphs.fit(&text));
                }
                None => self.table.absent(),
            }
        }
        self.waiting += 1;
        if self.waiting >= ROWS_TOGETHER || self.waiting_bytes >= BYTES_TOGETHER {
            self.finish(out);
        }
    }

    /// Prints the rows that wait.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.table.print(out);
        (self.waiting, self.waiting_bytes) = (0, 0);
    }

    /// A line that is no row.
    pub(super) fn note(&self, text: &str, out: &mut Vec<u8>) {
        let (before, after) = match self.color {
            true => Paint::Dim.sequences(),
            false => ("", ""),
        };
        out.extend_from_slice(format!("{before}({text}){after}\n").as_bytes());
    }

    fn cell(&mut self, column: usize, value: &Value) -> Option<String> {
        let (_, unit) = self.columns[column];
        match value {
            Value::Absent => None,
            Value::Integer(_) | Value::Decimal { .. } | Value::Float(_) => unit.show(value),
            Value::Time(at) => {
                let mut text = String::new();
                self.time.write(&mut text, *at);
                Some(short(text))
            }
            Value::Flag(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
            // As a word, lest it is taken for none.
            Value::Text(text) if text.is_empty() => Some("\"\"".to_owned()),
            Value::Text(text) => Some(text.clone()),
            Value::List(values) if values.is_empty() => None,
            Value::Map(values) if values.is_empty() => None,
            Value::List(_) | Value::Map(_) => Some(plain(value, ", ")),
        }
    }
}

/// A time of whole minutes or seconds without the zeros that say nothing.
fn short(text: String) -> String {
    let Some((head, zone)) = text.split_once(".000000") else {
        return text;
    };
    match head.strip_suffix(":00") {
        Some(minute) if minute.contains(' ') => format!("{minute}{zone}"),
        _ => format!("{head}{zone}"),
    }
}

/// Names of columns may hold whatever the query says.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_the_unit_that_their_name_ends_in() {
        let show = |name: &str, value: Value| Unit::of(name).0.show(&value).unwrap();
        let micros = Value::Decimal {
            unscaled: 3_217_482,
            scale: 3,
        };
        assert_eq!(show("p99_us", micros.clone()), "3.22 ms");
        assert_eq!(show("x", micros), "3217.482");
        assert_eq!(show("total_ns", Value::Integer(1500)), "1.5 µs");
        assert_eq!(show("request_bytes", Value::Integer(2048)), "2 KiB");
        assert_eq!(show("error_percent", Value::Float(1.0 / 3.0)), "0.33 %");
        assert_eq!(show("requests", Value::Integer(-1_234_567)), "-1,234,567");
        assert_eq!(show("server_port", Value::Integer(16_379)), "16379");
        assert_eq!(show("x", Value::Float(2.0 / 3.0)), "0.66667");
        assert_eq!(show("x", Value::Float(123_456.789)), "123457");
        assert_eq!(show("x", Value::Float(-0.5)), "-0.5");
        assert_eq!(Unit::of("x").0.show(&Value::Float(f64::NAN)), None);
    }

    #[test]
    fn round_times_are_short() {
        for (text, expected) in [
            ("2026-11-21 01:08:00.000000Z", "2026-11-21 01:08Z"),
            ("2026-11-21 01:08:22.000000Z", "2026-11-21 01:08:22Z"),
            ("2026-11-21 01:08:22.000001Z", "2026-11-21 01:08:22.000001Z"),
            ("12.000000", "12"),
        ] {
            assert_eq!(short(text.to_owned()), expected);
        }
    }
}
