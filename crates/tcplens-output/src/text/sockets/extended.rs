//! The second line of a socket: all that its columns do not show. What is zero or false is left out.

use super::amount;
use crate::color::Paint;
use crate::values::{Value, Values};

/// What only joins records, or is told in better words by another field.
const LEFT_OUT: &[&str] = &[
    "time",
    "vantage",
    "connection_id",
    "uuid",
    "sequence",
    "first_seen",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "role_from",
    "family",
    "final",
    "interval_us",
    "tcp_info_bytes",
    "tcp_state",
    "tcp_options",
];

/// What there is to say of a socket: `rto 204 ms`, `cubic`, `sack`.
pub(super) fn parts(values: &Values) -> Vec<(&'static str, String)> {
    let known = values
        .iter()
        .filter(|(field, _)| !LEFT_OUT.contains(&field.name));
    known
        .filter_map(|(field, value)| {
            let plain = ["_us", "_bytes"]
                .iter()
                .find_map(|unit| field.name.strip_suffix(unit));
            let name = plain.unwrap_or(field.name);
            let text = match value {
                // A closed window is what many look for.
                Value::Count(0) if !["snd_wnd", "rcv_wnd"].contains(&field.name) => return None,
                Value::Absent | Value::Flag(false) | Value::Time(_) | Value::Id(_) => return None,
                Value::Flag(true) => name.to_owned(),
                Value::Span(span) if span.ns() == 0 => return None,
                // Nothing is shut down; nothing is wrong with congestion avoidance.
                Value::Word("none" | "open") => return None,
                value => format!("{name} {}", amount::text(field.name, value)?),
            };
            Some((field.name, text))
        })
        .collect()
}

/// Appends them, indented, in as many lines as it takes, but for the fields that are `told` already.
pub(super) fn print(
    parts: &[(&str, String)],
    told: &[&str],
    width: usize,
    color: bool,
    out: &mut Vec<u8>,
) {
    const INDENT: &str = "      ";
    let (before, after) = match color {
        true => Paint::Dim.sequences(),
        false => ("", ""),
    };
    let mut line = String::new();
    let mut end = |line: &mut String| {
        if !line.is_empty() {
            out.extend_from_slice(format!("{INDENT}{before}{line}{after}\n").as_bytes());
            line.clear();
        }
    };
    for (_, part) in parts.iter().filter(|(name, _)| !told.contains(name)) {
        // Names of processes and control groups are whoever's.
        let part: String = part.replace(char::is_control, "?");
        let length = INDENT.len() + line.chars().count() + 2 + part.chars().count();
        if !line.is_empty() && length > width {
            end(&mut line);
        }
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(&part);
    }
    end(&mut line);
}
