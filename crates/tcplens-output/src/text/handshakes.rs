//! `handshakes`: a line per connection attempt, with tcpeek's columns.
//!
//! Other than in tcpeek: TIME(s) has microseconds and is not cut to milliseconds, IPv6 fits,
//! RESULTS is the record's `outcome` with what is known about it.

use std::fmt::Write;
use std::net::IpAddr;

use tcplens_core::record::{Handshake, Knows, Outcome, Side, Word};
use tcplens_core::time::{SECOND, Timestamp};

use crate::color::Paint;
use crate::hosts::Hosts;
use crate::table::{Column, Table};
use crate::time_style::TimeFormat;

static COLUMNS: &[Column] = &[
    Column::right("TIME(s)", 10),
    Column::right("TIMESTAMP", 12).group(),
    Column::right("SRC IP:PORT", 21).group(),
    Column::right("DST IP:PORT", 21),
    Column::left("RESULTS", 16).group(),
    Column::right("DUP SYN", 0).group(),
    Column::right("DUP S/A", 0),
];

/// Prints handshakes as lines under one header.
#[derive(Debug)]
pub struct HandshakeText {
    table: Table,
    time: TimeFormat,
    hosts: Hosts,
}

impl HandshakeText {
    /// Prints times as `time` does, coloured or not.
    #[must_use]
    pub fn new(time: TimeFormat, color: bool) -> Self {
        Self {
            table: Table::new(COLUMNS, color),
            time,
            hosts: Hosts::default(),
        }
    }

    /// Shows addresses so.
    #[must_use]
    pub fn with_hosts(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// Sets time zero of `--time relative`.
    pub fn set_origin(&mut self, first_packet: Timestamp) {
        self.time.set_origin(first_packet);
    }

    /// The next line begins another file: the header comes before it again.
    pub fn begin_again(&mut self) {
        self.table.begin_again();
    }

    /// Appends the line of one handshake; before the first the header.
    pub fn encode(&mut self, handshake: &Handshake, out: &mut Vec<u8>) {
        let Self { table, time, hosts } = self;
        match handshake.wait_us {
            Some(wait) => {
                let us = wait.ns() / 1000;
                let second = SECOND as u64 / 1000;
                table.cell(
                    Paint::Plain,
                    format_args!("{}.{:06}", us / second, us % second),
                );
            }
            None => table.absent(),
        }
        table.cell_with(Paint::Plain, |text| time.write(text, handshake.time));
        table.cell(
            Paint::Plain,
            hosts.end(handshake.client_ip, handshake.client_port),
        );
        table.cell(
            Paint::Plain,
            hosts.end(handshake.server_ip, handshake.server_port),
        );
        table.cell_with(paint(handshake), |text| {
            write_result(text, handshake, hosts);
        });
        for (side, retransmits) in [
            (Side::Client, handshake.syn_retransmits),
            (Side::Server, handshake.synack_retransmits),
        ] {
            if handshake.vantage.knows(handshake.tap_side, side) == Knows::Little {
                table.absent();
                continue;
            }
            table.cell(
                if retransmits == 0 {
                    Paint::Dim
                } else {
                    Paint::Yellow
                },
                retransmits,
            );
        }
        table.print(out);
    }
}

fn paint(handshake: &Handshake) -> Paint {
    match handshake.outcome {
        Outcome::Established if handshake.syn_retransmits + handshake.synack_retransmits == 0 => {
            Paint::Green
        }
        Outcome::Established | Outcome::Aborted => Paint::Yellow,
        Outcome::Refused
        | Outcome::Unreachable
        | Outcome::TimedOut
        | Outcome::Unanswered
        | Outcome::Reset
        | Outcome::Unacknowledged => Paint::Red,
        Outcome::OneSided => Paint::Dim,
    }
}

/// Appends the outcome's word, and in brackets what is known about it.
fn write_result(text: &mut String, handshake: &Handshake, hosts: &Hosts) {
    text.push_str(handshake.outcome.word().unwrap_or_default());
    let mut details = Vec::new();
    match handshake.outcome {
        Outcome::Refused if handshake.rst_acceptable == Some(false) => {
            details.push("RST does not acknowledge the SYN".to_owned());
        }
        Outcome::Aborted if handshake.synack_seen => details.push("after SYN-ACK".into()),
        Outcome::Aborted => details.push("before SYN-ACK".into()),
        _ => {}
    }
    if let Some(icmp) = icmp(handshake, hosts) {
        details.push(icmp);
    } else if let (Outcome::Unreachable, Some(error)) = (handshake.outcome, handshake.error) {
        details.push(error.into());
    }
    if let Some(process) = handshake.owner.as_deref().and_then(super::process) {
        details.push(process);
    }
    if handshake.capture_loss {
        details.push("capture loss".into());
    }
    if !details.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({})", details.join(", "));
    }
}

/// `icmp 3/1 from 10.77.0.254`.
fn icmp(handshake: &Handshake, hosts: &Hosts) -> Option<String> {
    let mut text = match handshake.icmp_from.unwrap_or(handshake.client_ip) {
        IpAddr::V4(_) => format!("icmp {}", handshake.icmp_type?),
        IpAddr::V6(_) => format!("icmp6 {}", handshake.icmp_type?),
    };
    // Writing to a String cannot fail.
    if let Some(code) = handshake.icmp_code {
        let _ = write!(text, "/{code}");
    }
    if let Some(from) = handshake.icmp_from {
        let _ = write!(text, " from {}", hosts.host(from));
    }
    Some(text)
}
