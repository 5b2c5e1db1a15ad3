//! `requests`: a line per request, in tcpkit's shape:
//! `2026-11-21 01:08:27.037420Z 10.77.0.1:51392 => 10.77.0.2:6379 | 0.124 ms | SET foo bar`.
//!
//! Other than in tcpkit: the time is that of the request, the milliseconds are those until the last byte of the response,
//! and a request that was not answered, or with an error, says so after them. What was asked for comes last, whatever
//! other columns there are: it alone comes from the network.

use std::fmt::Write;
use std::str::FromStr;

use tcplens_core::record::{EndedBy, Protocol, Request, SocketOwner, Status, Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::requests::{budget, took as duration};

use crate::color::Paint;
use crate::digits;
use crate::hosts::Hosts;
use crate::time_style::TimeFormat;

/// A column that is printed only when asked for, between the milliseconds and the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestColumn {
    /// `ok`, `error 404 Not Found`.
    Status,
    /// `redis`.
    Protocol,
    /// `31 > 5 B`: payload of request and response.
    Bytes,
    /// `upload 0.000 process 0.090 transfer 0.034 ms`.
    Phases,
    /// `server 0.090 network 0.020 transfer 0.014 ms`: what is not zero of the time budget.
    Budget,
    /// `server`: the largest of the budget.
    Verdict,
    /// `3, 2 queued`: ordinal on its connection, and how many were outstanding before it.
    Task,
    /// Segments retransmitted while it ran.
    Retransmits,
    /// The connection's id.
    Connection,
    /// `frame 118 > 120`: packets of its first byte and of the response's.
    Frames,
    /// `nginx[4242]`: whose socket it is, where the kernel tells; without this column it stands before the summary.
    Process,
}

impl RequestColumn {
    /// All columns, in the order of their declaration.
    pub const ALL: &'static [RequestColumn] = &[
        Self::Status,
        Self::Protocol,
        Self::Bytes,
        Self::Phases,
        Self::Budget,
        Self::Verdict,
        Self::Task,
        Self::Retransmits,
        Self::Connection,
        Self::Frames,
        Self::Process,
    ];

    /// Its name in options.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Protocol => "protocol",
            Self::Bytes => "bytes",
            Self::Phases => "phases",
            Self::Budget => "budget",
            Self::Verdict => "verdict",
            Self::Task => "task",
            Self::Retransmits => "retransmits",
            Self::Connection => "connection",
            Self::Frames => "frames",
            Self::Process => "process",
        }
    }
}

impl FromStr for RequestColumn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied();
        known
            .clone()
            .find(|column| column.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = known.map(Self::name).collect();
                format!("no column is called {text:?}; write {}", names.join(", "))
            })
    }
}

/// Prints requests as lines. Made for speed: digits go straight into the caller's buffer.
#[derive(Debug)]
pub struct RequestText {
    time: TimeFormat,
    columns: Vec<RequestColumn>,
    color: bool,
    hosts: Hosts,
    /// Reused for times and names.
    scratch: String,
}

impl RequestText {
    /// Prints times as `time` does, these columns, coloured or not.
    #[must_use]
    pub fn new(time: TimeFormat, columns: Vec<RequestColumn>, color: bool) -> Self {
        Self {
            time,
            columns,
            color,
            hosts: Hosts::default(),
            scratch: String::new(),
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

    /// Appends the line of one request.
    pub fn encode(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        self.scratch.clear();
        self.time.write(&mut self.scratch, request.time);
        out.extend_from_slice(self.scratch.as_bytes());
        out.push(b' ');
        self.end(out, request.client_ip, request.client_port);
        out.extend_from_slice(b" => ");
        self.end(out, request.server_ip, request.server_port);
        out.extend_from_slice(b" | ");
        let has_status = self.columns.contains(&RequestColumn::Status);
        self.painted(paint(request), out, |out| took(out, request, !has_status));
        for &column in &self.columns {
            out.extend_from_slice(b" | ");
            write_column(out, column, request);
        }
        let owner = request
            .owner
            .filter(|_| !self.columns.contains(&RequestColumn::Process));
        if let Some(owner) = owner.filter(|owner| owner.pid.is_some()) {
            out.extend_from_slice(b" | ");
            process(out, Some(owner));
        }
        out.extend_from_slice(b" | ");
        what(out, request);
        out.push(b'\n');
    }

    fn end(&mut self, out: &mut Vec<u8>, ip: std::net::IpAddr, port: u64) {
        if self.hosts.is_plain() {
            endpoint(out, ip, port);
            return;
        }
        self.scratch.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.scratch, "{}", self.hosts.end(ip, port));
        printable(out, &self.scratch);
    }

    fn painted(&self, paint: Paint, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let (before, after) = match self.color {
            true => paint.sequences(),
            false => ("", ""),
        };
        out.extend_from_slice(before.as_bytes());
        write(out);
        out.extend_from_slice(after.as_bytes());
    }
}

fn paint(request: &Request<'_>) -> Paint {
    match request.status {
        Status::Ok => Paint::Green,
        Status::None => Paint::Dim,
        Status::Error => Paint::Red,
        Status::Unanswered if request.ended_by == EndedBy::Observation => Paint::Yellow,
        Status::Unanswered => Paint::Red,
    }
}

/// `0.124 ms`, `0.124 ms, error 404 Not Found`, `no reply owed`, `unanswered (reset)`.
fn took(out: &mut Vec<u8>, request: &Request<'_>, with_error: bool) {
    match request.status {
        Status::Ok | Status::Error => {
            match duration(request) {
                Some(total) => {
                    ms(out, total);
                    out.extend_from_slice(b" ms");
                }
                // The clock went back.
                None => out.push(b'-'),
            }
            if with_error && request.status == Status::Error {
                out.extend_from_slice(b", ");
                status(out, request);
            }
            if with_error && is_other_answer(request) {
                out.extend_from_slice(b", ");
                printable(out, request.status_text.unwrap_or_default());
            }
        }
        Status::None => out.extend_from_slice(b"no reply owed"),
        Status::Unanswered => {
            out.extend_from_slice(b"unanswered (");
            out.extend_from_slice(request.ended_by.word().unwrap_or_default().as_bytes());
            out.push(b')');
        }
    }
}

/// Whether a name server answered, without an error, that it has no such name.
fn is_other_answer(request: &Request<'_>) -> bool {
    request.protocol == Protocol::Dns
        && request.status == Status::Ok
        && request.status_code.is_some_and(|code| code != 0)
}

fn status(out: &mut Vec<u8>, request: &Request<'_>) {
    out.extend_from_slice(request.status.word().unwrap_or_default().as_bytes());
    if let Some(code) = request.status_code {
        out.push(b' ');
        number(out, code);
    }
    if let Some(text) = request.status_text {
        out.push(b' ');
        printable(out, text);
    }
}

fn write_column(out: &mut Vec<u8>, column: RequestColumn, request: &Request<'_>) {
    match column {
        RequestColumn::Status => status(out, request),
        RequestColumn::Protocol => {
            out.extend_from_slice(request.protocol.word().unwrap_or_default().as_bytes());
        }
        RequestColumn::Bytes => {
            number(out, request.request_bytes);
            out.extend_from_slice(b" > ");
            number(out, request.response_bytes);
            out.extend_from_slice(b" B");
        }
        RequestColumn::Phases => {
            let phases = [
                ("upload", request.upload_us),
                ("process", request.process_us),
                ("transfer", request.transfer_us),
                // From inside the kernel this may be known where the response's first or last byte is not.
                (
                    "delivered",
                    request
                        .delivered_us
                        .filter(|_| request.transfer_us.is_none()),
                ),
            ];
            spans(out, phases.into_iter());
        }
        RequestColumn::Budget => {
            let parts = budget(request).unwrap_or_default();
            let named = Verdict::ALL.iter().zip(parts);
            spans(
                out,
                named
                    .filter(|(_, part)| part.ns() > 0)
                    .map(|(verdict, part)| (verdict.word().unwrap_or_default(), Some(part))),
            );
        }
        RequestColumn::Verdict => {
            out.extend_from_slice(request.verdict.word().unwrap_or("-").as_bytes());
        }
        RequestColumn::Task => {
            number(out, request.task);
            if request.queued > 0 {
                out.extend_from_slice(b", ");
                number(out, request.queued);
                out.extend_from_slice(b" queued");
            }
        }
        RequestColumn::Retransmits => {
            number(out, request.retransmits);
            out.extend_from_slice(b" retransmitted");
        }
        RequestColumn::Connection => out.extend_from_slice(&request.connection_id.text()),
        RequestColumn::Frames => match request.request_frame {
            Some(frame) => {
                out.extend_from_slice(b"frame ");
                number(out, frame);
                if let Some(frame) = request.response_frame {
                    out.extend_from_slice(b" > ");
                    number(out, frame);
                }
            }
            None => out.push(b'-'),
        },
        RequestColumn::Process => process(out, request.owner),
    }
}

/// `nginx[4242]`, or `-`.
fn process(out: &mut Vec<u8>, owner: Option<&SocketOwner>) {
    match owner.and_then(super::process) {
        Some(process) => printable(out, &process),
        None => out.push(b'-'),
    }
}

/// `server 0.090 network 0.020 ms`; those that are known, `-` if none is.
fn spans(out: &mut Vec<u8>, named: impl Iterator<Item = (&'static str, Option<Span>)>) {
    let start = out.len();
    for (name, span) in named {
        if let Some(span) = span {
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
            ms(out, span);
            out.push(b' ');
        }
    }
    out.extend_from_slice(if out.len() > start { b"ms" } else { b"-" });
}

/// The summary; without one the operation. Of turns, which have no words of their own, the bytes: `turn: 31 > 5 bytes`.
fn what(out: &mut Vec<u8>, request: &Request<'_>) {
    let protocol = request.protocol.word().unwrap_or_default();
    if request.protocol == Protocol::Turn {
        printable(out, request.summary.unwrap_or(protocol));
        out.extend_from_slice(b": ");
        number(out, request.request_bytes);
        out.extend_from_slice(b" > ");
        number(out, request.response_bytes);
        out.extend_from_slice(b" bytes");
        return;
    }
    printable(
        out,
        request.summary.or(request.operation).unwrap_or(protocol),
    );
}

/// Milliseconds with three decimals, cut as tcpkit cuts them.
fn ms(out: &mut Vec<u8>, span: Span) {
    let us = span.ns() / 1000;
    number(out, us / 1000);
    let rest = (us % 1000) as u32;
    out.push(b'.');
    let mut digits = [b'0'; 9];
    digits::nanos(&mut digits, rest * 1_000_000);
    out.extend_from_slice(&digits[..3]);
}

fn number(out: &mut Vec<u8>, value: u64) {
    let mut text = [0; digits::DECIMAL];
    let length = digits::decimal(&mut text, value);
    out.extend_from_slice(&text[..length]);
}

fn endpoint(out: &mut Vec<u8>, ip: std::net::IpAddr, port: u64) {
    let mut text = [0; digits::IP];
    let length = digits::ip(&mut text, ip);
    if ip.is_ipv6() {
        out.push(b'[');
    }
    out.extend_from_slice(&text[..length]);
    if ip.is_ipv6() {
        out.push(b']');
    }
    out.push(b':');
    number(out, port);
}

/// Words of parsers are escaped already; whatever else would move a cursor becomes `?`.
fn printable(out: &mut Vec<u8>, text: &str) {
    if text.contains(char::is_control) {
        out.extend_from_slice(text.replace(char::is_control, "?").as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}
