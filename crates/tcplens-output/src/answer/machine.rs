//! Rows for machines: JSON Lines (jsonlines.org) and CSV (RFC 4180, but lines end in `\n`), as records are written.

use super::value::decimal;
use super::{Column, Value};
use crate::csv::quote;
use crate::json::Json;
use crate::rfc3339::{self, Rfc3339};

/// An object: names as the query gives them, what is absent left out.
pub(super) fn json(out: &mut Vec<u8>, columns: &[Column], row: &[Value]) {
    let mut json = Json::new();
    json.open('{');
    for (column, value) in columns.iter().zip(row) {
        if !value.is_absent() {
            json.name(&column.name);
            json_value(&mut json, value);
        }
    }
    json.close('}');
    out.extend_from_slice(json.into_string().as_bytes());
    out.push(b'\n');
}

fn json_value(json: &mut Json, value: &Value) {
    match value {
        // Within a list, where leaving it out would move the others.
        Value::Absent => {
            json.raw("null");
        }
        Value::Integer(value) => {
            json.raw(&value.to_string());
        }
        Value::Decimal { unscaled, scale } => {
            json.raw(&decimal(*unscaled, *scale));
        }
        Value::Float(value) => {
            json.raw(&float(*value).unwrap_or_else(|| "null".to_owned()));
        }
        Value::Time(at) => {
            json.time(*at);
        }
        Value::Flag(flag) => {
            json.flag(*flag);
        }
        Value::Text(text) => {
            json.string(text);
        }
        Value::List(values) => {
            json.open('[');
            for value in values {
                json_value(json, value);
            }
            json.close(']');
        }
        Value::Map(values) => {
            json.open('{');
            for (name, value) in values {
                json.name(name);
                json_value(json, value);
            }
            json.close('}');
        }
    }
}

/// The shortest digits that read back as the same number; `None` of what is not finite.
pub(super) fn float(value: f64) -> Option<String> {
    // `{}` never writes an exponent: a number beyond that would be hundreds of digits.
    let size = value.abs();
    match value.is_finite() {
        false => None,
        true if size != 0.0 && !(1e-7..1e17).contains(&size) => Some(format!("{value:e}")),
        true => Some(value.to_string()),
    }
}

/// The line of names.
pub(super) fn csv_head(out: &mut Vec<u8>, columns: &[Column]) {
    for (n, column) in columns.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        quote(out, &column.name);
    }
    out.push(b'\n');
}

/// A line: lists are `a;b`, maps `name=a;name=b`, what is absent is empty.
pub(super) fn csv(out: &mut Vec<u8>, columns: &[Column], row: &[Value]) {
    for n in 0..columns.len() {
        if n > 0 {
            out.push(b',');
        }
        match row.get(n).unwrap_or(&Value::Absent) {
            // Empty is not absent.
            Value::Text(text) if text.is_empty() => out.extend_from_slice(b"\"\""),
            value => quote(out, &plain(value, ";")),
        }
    }
    out.push(b'\n');
}

/// A value without quotes, what is absent as nothing; `between` stands between the values of a list.
pub(super) fn plain(value: &Value, between: &str) -> String {
    match value {
        Value::Absent => String::new(),
        Value::Integer(value) => value.to_string(),
        Value::Decimal { unscaled, scale } => decimal(*unscaled, *scale),
        Value::Float(value) => float(*value).unwrap_or_default(),
        Value::Time(at) => {
            let mut text = [0; rfc3339::LENGTH];
            Rfc3339::default().write(&mut text, *at);
            String::from_utf8_lossy(&text).into_owned()
        }
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(|value| plain(value, ":")).collect();
            values.join(between)
        }
        Value::Map(values) => {
            let pairs = values.iter();
            let pairs = pairs.map(|(name, value)| format!("{name}={}", plain(value, ":")));
            pairs.collect::<Vec<_>>().join(between)
        }
    }
}
