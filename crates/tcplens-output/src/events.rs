//! The lines of tcp-info's event socket (m-lab/tcp-info, eventsocket/server.go): one JSON object for each connection that opens
//! (`"Event":0`) or ends (`"Event":1`), byte for byte what Go's `encoding/json` makes of it; and how they are read and shown.
//!
//! Two things are better than tcp-info's, and taken by its clients: `Interface` is in the host's order (tcp-info swaps its
//! bytes), and a connection that ends has its `ID` too (tcp-info: `null`).

use std::fmt::Write;
use std::net::IpAddr;

use tcplens_core::time::Timestamp;

use crate::digits;
use crate::human::Endpoint;
use crate::rfc3339::{self, Rfc3339};

mod read;

pub use read::{EventLine, LineEnds, read};

/// What a client sends for the connections that are open: a line of its own. tcp-info's clients send nothing, and its server
/// reads nothing.
pub const REPLAY: &str = "REPLAY";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A connection is there that was not.
    Open,
    /// It is gone.
    Close,
}

/// The ends of a connection, as they are shown: who wants them anonymised gives them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketEnds {
    /// This socket's own end.
    pub local: (IpAddr, u16),
    /// The other one.
    pub remote: (IpAddr, u16),
    /// Index of the interface that it is bound to; 0: none.
    pub interface: u32,
    /// The kernel's number for it (SO_COOKIE).
    pub cookie: u64,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketEvent {
    /// What happened.
    pub kind: EventKind,
    /// When: as seen by who polls, or as the kernel told.
    pub time: Timestamp,
    /// To which connection.
    pub ends: SocketEnds,
}

/// Writes the lines of one host.
#[derive(Clone, Debug)]
pub struct EventLines {
    /// What its UUIDs begin with, as it stands within quotes.
    prefix: String,
    clock: Rfc3339,
}

impl EventLines {
    /// Of a host whose UUIDs begin with `prefix`: `HOST_BOOT_unsafe`, say.
    #[must_use]
    pub fn new(prefix: &str) -> EventLines {
        let mut escaped = String::new();
        escape(&mut escaped, prefix);
        EventLines {
            prefix: escaped,
            clock: Rfc3339::default(),
        }
    }

    /// Appends the line of an event, its end included.
    pub fn write(&mut self, out: &mut Vec<u8>, event: &SocketEvent) {
        let SocketEvent { kind, time, ends } = event;
        out.extend_from_slice(match kind {
            EventKind::Open => b"{\"Event\":0,\"Timestamp\":\"",
            EventKind::Close => b"{\"Event\":1,\"Timestamp\":\"",
        });
        let mut text = [0; rfc3339::LENGTH];
        self.clock.write(&mut text, *time);
        out.extend_from_slice(nano(&text));
        out.extend_from_slice(b"Z\",\"UUID\":\"");
        out.extend_from_slice(self.prefix.as_bytes());
        // The cookie of an event is signed, that of a UUID is not.
        let mut rest = String::with_capacity(160);
        // Writing to a String cannot fail.
        let _ = write!(
            rest,
            "_{:016X}\",\"ID\":{{\"SPort\":{},\"DPort\":{},\"SrcIP\":\"",
            ends.cookie, ends.local.1, ends.remote.1
        );
        out.extend_from_slice(rest.as_bytes());
        address(out, ends.local.0);
        out.extend_from_slice(b"\",\"DstIP\":\"");
        address(out, ends.remote.0);
        rest.clear();
        let _ = writeln!(
            rest,
            "\",\"Interface\":{},\"Cookie\":{}}}}}",
            ends.interface,
            ends.cookie.cast_signed()
        );
        out.extend_from_slice(rest.as_bytes());
    }
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    let mut text = [0; digits::IP];
    let length = digits::ip(&mut text, ip.to_canonical());
    out.extend_from_slice(text.get(..length).unwrap_or_default());
}

/// Go's RFC3339Nano without its `Z`: no zeros at the end of the fraction, and no point without one.
fn nano(text: &[u8; rfc3339::LENGTH]) -> &[u8] {
    let mut rest = text.strip_suffix(b"Z").unwrap_or(text);
    while let Some(shorter) = rest.strip_suffix(b"0") {
        rest = shorter;
        if let Some(whole) = rest.strip_suffix(b".") {
            return whole;
        }
    }
    rest
}

/// As Go's encoding/json does it, HTML's characters included.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                // As above.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Appends an event as a line for people: `01:07:22.384 open UUID 10.10.0.1:5001 -> 10.10.0.2:20001`. The time is the one of
/// the line, in UTC.
pub fn write_text(out: &mut String, line: &EventLine) {
    let kind = match line.kind {
        EventKind::Open => "open",
        EventKind::Close => "close",
    };
    // As above.
    let _ = write!(out, "{} {kind:<5} ", line.clock());
    // Its end is not for a terminal to obey.
    out.extend(line.uuid.chars().filter(|c| !c.is_control()));
    if let Some(ends) = &line.ends {
        let LineEnds { local, remote } = ends;
        let _ = write!(
            out,
            " {} -> {}",
            Endpoint(local.0, local.1.into()),
            Endpoint(remote.0, remote.1.into())
        );
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// golden/tcp-info/events.jsonl.
    const GOLDEN: &str = concat!(
        r#"{"Event":0,"Timestamp":"2026-11-21T01:07:22.384589048Z","UUID":"host_1795222357_unsafe_0000000000001007","#,
        r#""ID":{"SPort":5001,"DPort":20001,"SrcIP":"10.10.0.1","DstIP":"10.10.0.2","Interface":0,"Cookie":4103}}"#,
        "\n",
        r#"{"Event":0,"Timestamp":"2026-11-21T01:07:22.384589048Z","UUID":"host_1795222357_unsafe_0000000000001008","#,
        r#""ID":{"SPort":20001,"DPort":5001,"SrcIP":"10.10.0.2","DstIP":"10.10.0.1","Interface":0,"Cookie":4104}}"#,
        "\n",
    );

    fn event(kind: EventKind, ns: i64, ends: SocketEnds) -> SocketEvent {
        SocketEvent {
            kind,
            time: Timestamp(ns),
            ends,
        }
    }

    fn ends(local: (&str, u16), remote: (&str, u16), cookie: u64) -> SocketEnds {
        SocketEnds {
            local: (local.0.parse().unwrap(), local.1),
            remote: (remote.0.parse().unwrap(), remote.1),
            interface: 0,
            cookie,
        }
    }

    fn line(prefix: &str, event: &SocketEvent) -> String {
        let mut out = Vec::new();
        EventLines::new(prefix).write(&mut out, event);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_lines_are_tcp_infos_byte_for_byte() {
        let (a, b) = (("10.10.0.1", 5001), ("10.10.0.2", 20001));
        let at = 1_795_223_242_384_589_048;
        let mut out = Vec::new();
        let mut lines = EventLines::new("host_1795222357_unsafe");
        lines.write(&mut out, &event(EventKind::Open, at, ends(a, b, 0x1007)));
        lines.write(&mut out, &event(EventKind::Open, at, ends(b, a, 0x1008)));
        assert_eq!(String::from_utf8(out).unwrap(), GOLDEN);
        let path = "../../../shared/golden/tcp-info/events.jsonl";
        match std::fs::read_to_string(path) {
            Ok(golden) => assert_eq!(golden, GOLDEN),
            Err(why) => println!("SKIPPED: {path}: {why}"),
        }
    }

    #[test]
    fn an_end_has_its_connection_a_cookie_is_signed_and_an_interface_is_not_swapped() {
        let ends = SocketEnds {
            interface: 1,
            ..ends(
                ("::ffff:10.0.0.7", 443),
                ("2001:db8::7", 65535),
                u64::MAX - 1,
            )
        };
        assert_eq!(
            line("a<b>\"&\\\n", &event(EventKind::Close, 1_500_000_000, ends)),
            concat!(
                r#"{"Event":1,"Timestamp":"1970-01-01T00:00:01.5Z","UUID":"a\u003cb\u003e\"\u0026\\\n_FFFFFFFFFFFFFFFE","#,
                r#""ID":{"SPort":443,"DPort":65535,"SrcIP":"10.0.0.7","DstIP":"2001:db8::7","Interface":1,"Cookie":-2}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_fraction_has_no_zeros_at_its_end() {
        for (ns, expected) in [
            (0, "00:00:00Z"),
            (10_000_000_000, "00:00:10Z"),
            (10_100_000_000, "00:00:10.1Z"),
            (1, "00:00:00.000000001Z"),
            (20_000_000, "00:00:00.02Z"),
        ] {
            let line = line(
                "h",
                &event(EventKind::Open, ns, ends(("::", 1), ("::1", 2), 3)),
            );
            assert!(line.contains(&format!("T{expected}\"")), "{line}");
        }
    }

    #[test]
    fn people_see_time_of_day_what_and_who() {
        let mut text = String::new();
        for line in GOLDEN.lines().take(1).chain([
            r#"{"Event":1,"Timestamp":"2026-11-21T01:07:23Z","UUID":"host_1","ID":null}"#,
            r#"{"Event":1,"Timestamp":"2026-11-21T01:07:23.5Z","UUID":"h\u001b[1m","ID":{"SPort":1,"DPort":2,"SrcIP":"::1","DstIP":"::2","Interface":0,"Cookie":-1}}"#,
        ]) {
            write_text(&mut text, &read(line).unwrap());
        }
        assert_eq!(
            text,
            "01:07:22.384 open  host_1795222357_unsafe_0000000000001007 10.10.0.1:5001 -> 10.10.0.2:20001\n\
             01:07:23.000 close host_1\n\
             01:07:23.500 close h[1m [::1]:1 -> [::2]:2\n"
        );
    }
}
