//! `-m raw`: a line per TCP segment or UDP datagram, as tcpdump prints them. Not requests: nothing is paired, and no
//! protocol is read. What is neither has no line; `-v` says how many these were.
//!
//! `01:08:27.037420 IP 10.77.0.1.51392 > 10.77.0.2.6379: Flags [P.], seq 2478026490:2478026521, ack 3014921635, window 63,
//! length 31`: sequence numbers are absolute, the window is not scaled, the length is that of the payload on the wire. With
//! `-A` the payload follows after a blank, all of it, what is not printable as `\xNN`.

use std::fmt::Write;
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Transport;
use tcplens_core::roles::end;
use tcplens_core::time::Timestamp;
use tcplens_core::wire::segment::{Segment, flags};
use tcplens_output::SinkEnd;
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use super::super::lines::Target;
use super::super::{Prints, Wanted, plan, tell};
use crate::cli::{Format, RequestFormat, Requests};
use crate::observe::{Packets, Seen, View, observe};
use crate::status::usage;
use crate::{sources, status};

pub(super) fn run(command: &Requests) -> Result<ExitCode> {
    check(command)?;
    let common = &command.common;
    let words = sources::sort(common, false)?;
    let wanted = Wanted {
        handshakes: false,
        requests: false,
        connections: false,
    };
    let plan = plan(common, words, wanted, Prints::Meanwhile)?;
    let mut view = RawView {
        target: Target::open(Format::Text, &common.output, plan.live.is_some())?,
        style: common.output.time,
        time: TimeFormat::new(common.output.time),
        has_payload: command.payload,
        scratch: String::new(),
    };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        view.target.finish()?;
    }
    tell(common, &observed.health);
    Ok(status::of_run(&observed))
}

/// What is about requests means nothing here.
fn check(command: &Requests) -> Result<()> {
    let which = &command.which;
    let choices = [
        ("-f", command.format != RequestFormat::Text),
        ("-t", which.slower_than.is_some()),
        ("--operation", !which.operation.is_empty()),
        ("--status", !which.status.is_empty()),
        ("--request-bytes", which.request_bytes.is_some()),
        ("--response-bytes", which.response_bytes.is_some()),
        ("--grep", which.grep.is_some()),
        ("--columns", !command.columns.is_empty()),
        ("--histogram", command.histogram),
        ("--stats-format", command.stats_format.is_some()),
        ("--save-slow", command.save_slow.is_some()),
        ("--names", command.naming.names.is_some()),
        ("--names-file", !command.naming.names_file.is_empty()),
        ("--geoip", !command.naming.geoip.is_empty()),
    ];
    match choices.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(usage(format!(
            "{option} is about requests, -m raw prints packets; leave one of them out"
        ))),
        None => Ok(()),
    }
}

struct RawView {
    target: Target,
    style: TimeStyle,
    time: TimeFormat,
    has_payload: bool,
    /// Reused for lines.
    scratch: String,
}

impl View for RawView {
    fn record(&mut self, _record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        Ok(())
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.time.set_origin(at);
    }

    fn packets(&self) -> Packets {
        Packets::Plain
    }

    fn packet(&mut self, packet: &Seen<'_>) -> Result<(), SinkEnd> {
        let mut line = std::mem::take(&mut self.scratch);
        line.clear();
        self.line(packet, &mut line);
        if let Target::Text(lines) = &mut self.target {
            lines.write(Some(packet.segment.time), |out| {
                out.extend_from_slice(line.as_bytes());
            })?;
        }
        self.scratch = line;
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.target.idle()
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.target.reopen()
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.target.settle()
    }

    fn dropped(&self) -> u64 {
        self.target.dropped()
    }
}

impl RawView {
    fn line(&mut self, packet: &Seen<'_>, line: &mut String) {
        let (segment, payload) = (packet.segment, packet.payload);
        self.clock(line, segment.time);
        let (source, from) = end(&segment.flow, segment.from);
        let (destination, to) = end(&segment.flow, 1 - segment.from);
        let ip = match source {
            IpAddr::V4(_) => "IP",
            IpAddr::V6(_) => "IP6",
        };
        // Writing to a String cannot fail.
        let _ = write!(line, " {ip} {source}.{from} > {destination}.{to}: ");
        let length = segment.payload_length;
        match packet.transport {
            Transport::Tcp => tcp(line, segment),
            Transport::Udp => line.push_str("UDP, "),
        }
        let _ = write!(line, "length {length}");
        if self.has_payload && !payload.is_empty() {
            line.push(' ');
            escape(line, payload);
        }
        if self.has_payload && payload.len() < length as usize {
            let _ = write!(line, " [{} of {length} bytes captured]", payload.len());
        }
        line.push('\n');
    }

    /// The time of day, as tcpdump; other styles of `--time` as they are.
    fn clock(&mut self, line: &mut String, at: Timestamp) {
        self.time.write(line, at);
        if let TimeStyle::Utc | TimeStyle::Local = self.style {
            // `2026-11-21 01:08:22.384589Z`
            line.truncate(26);
            line.drain(..11.min(line.len()));
        }
    }
}

/// `Flags [P.], seq 1:2, ack 3, window 4, `; the sequence number of what takes none is left out, as tcpdump does.
fn tcp(line: &mut String, segment: &Segment) {
    const NAMES: [(u8, char); 8] = [
        (flags::FIN, 'F'),
        (flags::SYN, 'S'),
        (flags::RST, 'R'),
        (flags::PSH, 'P'),
        (flags::ACK, '.'),
        (flags::URG, 'U'),
        (flags::ECE, 'E'),
        (flags::CWR, 'W'),
    ];
    line.push_str("Flags [");
    let set = NAMES
        .iter()
        .filter(|(flag, _)| segment.flags & flag != 0)
        .map(|(_, name)| name);
    line.extend(set);
    if segment.flags == 0 {
        line.push_str("none");
    }
    line.push_str("], ");
    let (seq, length) = (segment.seq, segment.payload_length);
    if length > 0 {
        let _ = write!(line, "seq {seq}:{}, ", seq.wrapping_add(length));
    } else if segment.flags & (flags::SYN | flags::FIN | flags::RST) != 0 {
        let _ = write!(line, "seq {seq}, ");
    }
    if segment.flags & flags::ACK != 0 {
        let _ = write!(line, "ack {}, ", segment.ack);
    }
    let _ = write!(line, "window {}, ", segment.window);
}

/// Every byte: printable ASCII as it is, the backslash doubled, line ends and tabs by their letters, the rest as `\xNN`.
fn escape(line: &mut String, payload: &[u8]) {
    for &byte in payload {
        match byte {
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            b' '..=b'~' => line.push(byte.into()),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_there_once_and_none_moves_a_cursor() {
        let all: Vec<u8> = (0..=255).collect();
        let mut line = String::new();
        escape(&mut line, &all);
        assert!(line.starts_with("\\x00\\x01"));
        assert!(line.contains("\\t\\n\\x0b\\x0c\\r") && line.contains("[\\\\]"));
        assert!(line.contains("}~\\x7f\\x80") && line.ends_with("\\xfe\\xff"));
        assert!(!line.contains(char::is_control));
    }
}
