//! `connections`: a line per connection. `>` is what the client sent, `<` what the server sent.

use std::fmt::Write;

use tcplens_core::record::{Close, Connection, HandshakeOutcome, Sent, Side, Vantage, Word};
use tcplens_core::time::{Span, Timestamp};

use crate::color::Paint;
use crate::hosts::Hosts;
use crate::human::{Bytes, Count, Duration};
use crate::table::{Column, Table};
use crate::time_style::TimeFormat;

/// Before the header: what the columns' names are too short for.
const LEGEND: &str = "> sent by the client, < by the server; LOST after+before this point of observation; \
                      RTT: shortest, from here to that side and back; ZEROWIN: its receive window was closed\n";

static COLUMNS: &[Column] = &[
    Column::right("TIMESTAMP", 12),
    Column::right("CLIENT", 21).group(),
    Column::right("SERVER", 21),
    Column::right("DURATION", 0).group(),
    Column::left("CLOSE", 13),
    Column::left("HANDSHAKE", 11),
    Column::right("BYTES>", 8).group(),
    Column::right("BYTES<", 8),
    Column::right("SEGS>", 6).group(),
    Column::right("SEGS<", 6),
    Column::right("RETR>", 0).group(),
    Column::right("RETR<", 0),
    Column::right("LOST>", 0),
    Column::right("LOST<", 0),
    Column::right("RTT>", 7).group(),
    Column::right("RTT<", 7),
    Column::right("ZEROWIN>", 0).group(),
    Column::right("ZEROWIN<", 0),
];

/// What the kernel of one end knows: less of segments, more of its own end.
static KERNEL_COLUMNS: &[Column] = &[
    Column::right("TIMESTAMP", 12),
    Column::right("CLIENT", 21).group(),
    Column::right("SERVER", 21),
    Column::right("DURATION", 0).group(),
    Column::left("CLOSE", 13),
    Column::left("HANDSHAKE", 11),
    Column::right("REQUESTS", 0),
    Column::right("BYTES>", 8).group(),
    Column::right("BYTES<", 8),
    Column::right("RETR", 0).group(),
    Column::right("RTT", 7),
    Column::right("UNSENT", 0).group(),
    Column::right("UNACKED", 0),
    Column::left("PROCESS", 0).group(),
];

const KERNEL_LEGEND: &str = "> sent by the client, < by the server; RETR: segments that this end sent again; RTT: \
                             shortest, to the other end and back; UNSENT, UNACKED: bytes of this end\n";

/// Prints connections as lines under one header; those of the kernel under one of their own.
#[derive(Debug)]
pub struct ConnectionText {
    table: Table,
    time: TimeFormat,
    explained: bool,
    kernel: Table,
    kernel_explained: bool,
    hosts: Hosts,
}

impl ConnectionText {
    /// Prints times as `time` does, coloured or not.
    #[must_use]
    pub fn new(time: TimeFormat, color: bool) -> Self {
        Self {
            table: Table::new(COLUMNS, color),
            time,
            explained: false,
            kernel: Table::new(KERNEL_COLUMNS, color),
            kernel_explained: false,
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

    /// The next line begins another file: legend and header come before it again.
    pub fn begin_again(&mut self) {
        self.explained = false;
        self.table.begin_again();
    }

    /// Appends the line of one connection; before the first a legend and the header.
    pub fn encode(&mut self, connection: &Connection, out: &mut Vec<u8>) {
        if connection.vantage == Vantage::Kernel {
            self.encode_kernel(connection, out);
            return;
        }
        if !self.explained {
            self.explained = true;
            out.extend_from_slice(LEGEND.as_bytes());
        }
        let Self {
            table, time, hosts, ..
        } = self;
        let both = [&connection.client, &connection.server];
        begin(table, (time, hosts), connection);
        for sent in both {
            table.cell(zero_dim(sent.bytes, Paint::Plain), Bytes(sent.bytes));
        }
        for sent in both {
            table.cell(zero_dim(sent.segments, Paint::Plain), Count(sent.segments));
        }
        for sent in both {
            table.cell(
                zero_dim(sent.retransmits, Paint::Yellow),
                Count(sent.retransmits),
            );
        }
        for sent in both {
            lost(table, sent);
        }
        for sent in both {
            span(table, sent.rtt_min_us);
        }
        for sent in both {
            zero_windows(table, sent);
        }
        table.print(out);
    }

    fn encode_kernel(&mut self, connection: &Connection, out: &mut Vec<u8>) {
        if !self.kernel_explained {
            self.kernel_explained = true;
            out.extend_from_slice(KERNEL_LEGEND.as_bytes());
        }
        let Self {
            kernel: table,
            time,
            hosts,
            ..
        } = self;
        begin(table, (time, hosts), connection);
        count(table, connection.requests);
        let (client, server) = (&connection.client, &connection.server);
        for sent in [client, server] {
            table.cell(zero_dim(sent.bytes, Paint::Plain), Bytes(sent.bytes));
        }
        let (own, other) = match connection.tap_side {
            Side::Client => (client, server),
            _ => (server, client),
        };
        table.cell(
            zero_dim(own.retransmits, Paint::Yellow),
            Count(own.retransmits),
        );
        span(table, other.rtt_min_us);
        let path = connection.path.as_deref();
        for bytes in [
            path.and_then(|path| path.unsent_bytes),
            path.and_then(|path| path.unacked_bytes),
        ] {
            match bytes {
                Some(bytes) => table.cell(zero_dim(bytes, Paint::Red), Bytes(bytes)),
                None => table.absent(),
            }
        }
        match connection.owner.as_deref().and_then(super::process) {
            Some(process) => table.cell(Paint::Plain, process),
            None => table.absent(),
        }
        table.print(out);
    }
}

fn count(table: &mut Table, count: Option<u64>) {
    match count {
        Some(count) => table.cell(zero_dim(count, Paint::Plain), Count(count)),
        None => table.absent(),
    }
}

/// What the tables have in common: time, ends, duration, and how it began and ended.
fn begin(table: &mut Table, (time, hosts): (&mut TimeFormat, &Hosts), connection: &Connection) {
    table.cell_with(Paint::Plain, |text| time.write(text, connection.time));
    table.cell(
        Paint::Plain,
        hosts.end(connection.client_ip, connection.client_port),
    );
    table.cell(
        Paint::Plain,
        hosts.end(connection.server_ip, connection.server_port),
    );
    span(table, connection.duration_us);
    table.cell_with(close_paint(connection.close), |text| {
        write_close(text, connection)
    });
    match connection.handshake {
        Some(outcome) => table.cell_with(handshake_paint(outcome), |text| {
            text.push_str(outcome.word().unwrap_or_default());
            if connection.late {
                text.push_str(", late");
            }
        }),
        None => table.absent(),
    }
}

fn span(table: &mut Table, span: Option<Span>) {
    match span {
        Some(span) => table.cell(Paint::Plain, Duration(span)),
        None => table.absent(),
    }
}

/// Lost after the tap: repeated, and not because the receiver had it already. Before the tap: a
/// hole that was filled by a repetition.
fn lost(table: &mut Table, sent: &Sent) {
    let after = sent.retransmits.saturating_sub(sent.dsacks);
    let before = sent.fills_lost;
    let paint = zero_dim(after.saturating_add(before), Paint::Red);
    if before == 0 {
        table.cell(paint, after);
    } else {
        table.cell(paint, format_args!("{after}+{before}"));
    }
}

fn zero_windows(table: &mut Table, sent: &Sent) {
    let paint = zero_dim(sent.zero_windows, Paint::Yellow);
    if sent.zero_windows == 0 {
        table.cell(paint, 0);
    } else {
        table.cell(
            paint,
            format_args!("{} ({})", sent.zero_windows, Duration(sent.zero_window_us)),
        );
    }
}

fn zero_dim(value: u64, otherwise: Paint) -> Paint {
    if value == 0 { Paint::Dim } else { otherwise }
}

fn write_close(text: &mut String, connection: &Connection) {
    text.push_str(connection.close.word().unwrap_or_default());
    // Writing to a String cannot fail.
    if let Some(part) = connection.part {
        let _ = write!(text, ", part {part}");
    }
    if connection.capture_loss {
        text.push_str(", capture loss");
    }
}

fn close_paint(close: Close) -> Paint {
    match close {
        Close::Fin => Paint::Green,
        Close::Open => Paint::Plain,
        Close::RstByClient
        | Close::RstByServer
        | Close::Idle
        | Close::Superseded
        | Close::TimedOut => Paint::Yellow,
        Close::Failed => Paint::Red,
    }
}

fn handshake_paint(outcome: HandshakeOutcome) -> Paint {
    match outcome {
        HandshakeOutcome::Established => Paint::Green,
        HandshakeOutcome::Missed | HandshakeOutcome::OneSided => Paint::Dim,
        HandshakeOutcome::Aborted => Paint::Yellow,
        HandshakeOutcome::Refused
        | HandshakeOutcome::Unreachable
        | HandshakeOutcome::TimedOut
        | HandshakeOutcome::Unanswered
        | HandshakeOutcome::Reset
        | HandshakeOutcome::Unacknowledged => Paint::Red,
    }
}
