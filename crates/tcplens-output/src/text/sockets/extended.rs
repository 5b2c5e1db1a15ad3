//! The second line of a socket: all that its columns do not show. What is zero or false is left out.

use crate::color::Paint;
use crate::human::{Bytes, Count, Duration, Short};
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

/// Bytes whose names do not say so.
const BYTES: &[&str] = &[
    "snd_wnd",
    "rcv_wnd",
    "rcv_space",
    "rcv_ssthresh",
    "skmem_rmem_alloc",
    "skmem_rcvbuf",
    "skmem_wmem_alloc",
    "skmem_sndbuf",
    "skmem_fwd_alloc",
    "skmem_wmem_queued",
    "skmem_optmem",
    "skmem_backlog",
    "mem_rmem",
    "mem_wmem",
    "mem_fmem",
    "mem_tmem",
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
                Value::Count(0) if ["snd_wnd", "rcv_wnd"].contains(&field.name) => {
                    format!("{name} 0")
                }
                Value::Absent | Value::Count(0) | Value::Flag(false) => return None,
                Value::Flag(true) => name.to_owned(),
                // A number that names something is no amount.
                Value::Count(n) if is_name(field.name) => format!("{name} {n}"),
                Value::Count(n) if field.name.ends_with("_rate") => match field.name {
                    "retransmit_rate" => format!("{name} {}/s", Count(*n)),
                    _ => format!("{name} {} bit/s", Short(n.saturating_mul(8))),
                },
                Value::Count(n) if is_bytes(field.name) => format!("{name} {}", Bytes(*n)),
                Value::Count(n) => format!("{name} {}", Count(*n)),
                Value::Span(span) if span.ns() == 0 => return None,
                Value::Span(span) => format!("{name} {}", Duration(*span)),
                // Nothing is shut down; nothing is wrong with congestion avoidance.
                Value::Word("none" | "open") => return None,
                Value::Word(word) => format!("{name} {word}"),
                Value::Text(text) => format!("{name} {text}"),
                Value::Ip(ip) => format!("{name} {ip}"),
                Value::Time(_) | Value::Id(_) => return None,
            };
            Some((field.name, text))
        })
        .collect()
}

fn is_bytes(name: &str) -> bool {
    name.ends_with("_bytes") || name.starts_with("bytes_") || BYTES.contains(&name)
}

fn is_name(name: &str) -> bool {
    let names = [
        "socket_cookie",
        "netns",
        "ifindex",
        "uid",
        "inode",
        "cgroup_id",
        "mark",
        "class_id",
        "protocol",
    ];
    names.contains(&name)
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
