//! `sockets`: a line per socket of the kernel, as wide as there is room for; with `extended` a second one that has all else
//! that is known. What `ss -tinem` (iproute2) shows, with units, in columns, in order of trouble.

use std::cmp::Ordering;

use tcplens_core::record::{Socket, SocketState, TcpStatistics};
use tcplens_core::time::Span;

use crate::color::Paint;
use crate::fields::Fields;
use crate::hosts::Hosts;
use crate::human::{Bytes, Count, Duration, Endpoint, Short};
use crate::table::{Column, Table};
use crate::time_style::TimeFormat;
use crate::values::{Value, Values};
use chosen::Chosen;

mod amount;
mod chosen;
mod extended;
mod total;

pub use total::SocketTotal;

/// Gathers sockets, and prints them as a table that fits.
#[derive(Debug)]
pub struct SocketText {
    rows: Vec<Row>,
    values: Values,
    is_extended: bool,
    color: bool,
    hosts: Hosts,
    /// Columns that were asked for, in place of those that are here.
    chosen: Option<Chosen>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    /// By field.
    extended: Vec<(&'static str, String)>,
}

/// A column, when it gives way to others, and what it shows.
struct Choice {
    column: Column,
    /// Those with the largest number go first where there is no room; 0 stays.
    rank: u8,
    /// The fields that need not be told again where it is shown.
    fields: &'static [&'static str],
    cell: fn(&Socket<'_>) -> Cell,
}

type Cell = Option<(String, Paint)>;

impl SocketText {
    /// With second lines or without, coloured or not.
    #[must_use]
    pub fn new(is_extended: bool, color: bool) -> SocketText {
        SocketText {
            rows: Vec::new(),
            values: Values::default(),
            is_extended,
            color,
            hosts: Hosts::default(),
            chosen: None,
        }
    }

    /// With a column for each of these fields and no others, whatever the width; times in this style.
    #[must_use]
    pub fn of_fields(fields: Fields, time: TimeFormat, color: bool) -> SocketText {
        SocketText {
            chosen: Some(Chosen::new(fields, time)),
            ..SocketText::new(false, color)
        }
    }

    /// Shows addresses so.
    #[must_use]
    pub fn with_hosts(self, hosts: Hosts) -> SocketText {
        SocketText { hosts, ..self }
    }

    /// The next socket.
    pub fn add(&mut self, socket: &Socket<'_>) {
        if let Some(chosen) = &mut self.chosen {
            return chosen.add(socket);
        }
        let extended = match self.is_extended {
            true => {
                self.values.read(socket);
                extended::parts(&self.values)
            }
            false => Vec::new(),
        };
        let mut cells: Vec<_> = CHOICES.iter().map(|choice| (choice.cell)(socket)).collect();
        if !self.hosts.is_plain() {
            let remote = socket.remote_ip.zip(socket.remote_port);
            let ends = [Some((socket.local_ip, socket.local_port)), remote];
            for (cell, end) in cells.iter_mut().skip(LOCAL).zip(ends) {
                *cell = end.and_then(|(ip, port)| plain(self.hosts.end(ip, port)));
            }
        }
        self.rows.push(Row { cells, extended });
    }

    /// Appends a header and the lines of the sockets since the last call, at most `width` wide where that is possible without
    /// cutting; columns that nothing is known for are left out. Nothing, if there are none.
    pub fn print(&mut self, width: Option<usize>, out: &mut Vec<u8>) {
        if let Some(chosen) = &mut self.chosen {
            return chosen.print(self.color, out);
        }
        let shown = self.shown(width.unwrap_or(usize::MAX));
        let columns: Vec<Column> = shown.iter().map(|&n| CHOICES[n].column).collect();
        let mut table = Table::new(&columns, self.color);
        let mut ends = Vec::new();
        let mut text = Vec::new();
        for row in &self.rows {
            for &n in &shown {
                match &row.cells[n] {
                    Some((cell, paint)) => table.cell(*paint, cell),
                    None => table.absent(),
                }
            }
        }
        table.print(&mut text);
        if !self.is_extended {
            out.append(&mut text);
            self.rows.clear();
            return;
        }
        let told: Vec<&str> = shown
            .iter()
            .flat_map(|&n| CHOICES[n].fields.iter().copied())
            .collect();
        // The second lines go between those of the table, the first of which is its header.
        let mut at = 0;
        for (n, byte) in text.iter().enumerate() {
            if *byte == b'\n' {
                ends.push(at..n + 1);
                at = n + 1;
            }
        }
        let second = std::iter::once(&[][..]).chain(self.rows.iter().map(|row| &row.extended[..]));
        for (line, parts) in ends.into_iter().zip(second) {
            out.extend_from_slice(&text[line]);
            extended::print(parts, &told, width.unwrap_or(200), self.color, out);
        }
        self.rows.clear();
    }

    /// The columns for which there is room.
    fn shown(&self, room: usize) -> Vec<usize> {
        let mut all: Vec<(usize, usize)> = Vec::new();
        for (n, choice) in CHOICES.iter().enumerate() {
            let cells = self.rows.iter().filter_map(|row| row.cells[n].as_ref());
            let widest = cells.map(|(cell, _)| cell.chars().count()).max();
            if let Some(widest) = widest {
                all.push((n, choice.column.room(widest)));
            }
        }
        while all.iter().map(|(_, width)| width).sum::<usize>() > room.saturating_add(2) {
            let last = all.iter().enumerate();
            let last = last.max_by_key(|(_, (n, _))| CHOICES[*n].rank);
            match last {
                Some((at, (n, _))) if CHOICES[*n].rank > 0 => {
                    all.remove(at);
                }
                _ => break,
            }
        }
        all.into_iter().map(|(n, _)| n).collect()
    }
}

/// In which order sockets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOrder {
    /// Those in trouble first.
    Trouble,
    /// By the field of this position among those of the record, see [`crate::values::position`].
    Field {
        /// The position.
        position: usize,
        /// The largest first.
        descending: bool,
    },
}

/// A socket's place in an order.
#[derive(Clone, Debug)]
pub struct SocketKey {
    first: Value,
    trouble: [u64; 5],
    ends: (Option<Endpoints>, Endpoints),
}

type Endpoints = (std::net::IpAddr, u64);

impl SocketOrder {
    /// The place of a socket; `values` are used, for their memory.
    #[must_use]
    pub fn key(self, socket: &Socket<'_>, values: &mut Values) -> SocketKey {
        let first = match self {
            SocketOrder::Trouble => Value::Absent,
            SocketOrder::Field { position, .. } => {
                values.read(socket);
                values.at(position).clone()
            }
        };
        SocketKey {
            first,
            trouble: trouble(socket),
            ends: (
                socket.remote_ip.zip(socket.remote_port),
                (socket.local_ip, socket.local_port),
            ),
        }
    }

    /// Which comes first. What has no such field comes last, whatever the direction.
    #[must_use]
    pub fn compare(self, a: &SocketKey, b: &SocketKey) -> Ordering {
        let by_field = match self {
            SocketOrder::Trouble => Ordering::Equal,
            SocketOrder::Field { descending, .. } => {
                let is_absent = |key: &SocketKey| key.first == Value::Absent;
                is_absent(a).cmp(&is_absent(b)).then_with(|| {
                    let order = a.first.order(&b.first);
                    if descending { order.reverse() } else { order }
                })
            }
        };
        by_field
            .then_with(|| b.trouble.cmp(&a.trouble))
            .then_with(|| a.ends.cmp(&b.ends))
    }
}

/// How much is wrong with a socket, what matters most first.
fn trouble(socket: &Socket<'_>) -> [u64; 5] {
    let tcp = socket.tcp.as_deref();
    let number = |field: fn(&TcpStatistics) -> Option<u64>| tcp.and_then(field).unwrap_or_default();
    let is_listener = socket.state == Some(SocketState::Listen);
    if is_listener {
        let waiting = socket.accept_queue.unwrap_or_default();
        let is_full = waiting > 0 && waiting >= socket.accept_queue_max.unwrap_or(u64::MAX);
        return [u64::from(is_full), 0, waiting, 0, 0];
    }
    let in_a_row = number(|tcp| tcp.retransmits) + number(|tcp| tcp.probes);
    let now = number(|tcp| tcp.lost) + number(|tcp| tcp.retrans);
    // One unread byte may be a FIN.
    let unread = socket.rqueue_bytes.unwrap_or_default();
    let waiting = unread + number(|tcp| tcp.notsent_bytes);
    [
        in_a_row,
        now + socket.retransmit_rate.unwrap_or_default(),
        waiting,
        number(|tcp| tcp.total_retrans),
        number(|tcp| tcp.unacked),
    ]
}

/// Where the column of local ends stands; that of remote ends is the next.
const LOCAL: usize = 1;

static CHOICES: &[Choice] = &[
    Choice {
        column: Column::left("STATE", 0),
        rank: 0,
        fields: &["state"],
        cell: state,
    },
    Choice {
        column: Column::right("LOCAL", 0),
        rank: 0,
        fields: &["local_ip", "local_port"],
        cell: |socket| plain(Endpoint(socket.local_ip, socket.local_port)),
    },
    Choice {
        column: Column::right("REMOTE", 0),
        rank: 0,
        fields: &["remote_ip", "remote_port"],
        cell: |socket| plain(Endpoint(socket.remote_ip?, socket.remote_port?)),
    },
    Choice {
        column: Column::right("RTT", 6).group(),
        rank: 1,
        fields: &["rtt_us"],
        cell: |socket| round_trip(socket, |tcp| tcp.rtt_us),
    },
    Choice {
        column: Column::right("MIN", 6),
        rank: 10,
        fields: &["min_rtt_us"],
        cell: |socket| round_trip(socket, |tcp| tcp.min_rtt_us),
    },
    Choice {
        column: Column::right("RETR", 0).group(),
        rank: 2,
        fields: &["total_retrans", "retrans", "lost"],
        cell: retransmits,
    },
    Choice {
        column: Column::right("UNACK", 0),
        rank: 9,
        fields: &["unacked"],
        cell: |socket| {
            is_connection(socket).then_some(())?;
            count(socket.tcp.as_deref()?.unacked?)
        },
    },
    Choice {
        column: Column::right("CWND", 0),
        rank: 8,
        fields: &["snd_cwnd"],
        cell: |socket| {
            is_connection(socket).then_some(())?;
            count(socket.tcp.as_deref()?.snd_cwnd?)
        },
    },
    Choice {
        column: Column::right("SENDQ", 0).group(),
        rank: 3,
        fields: &["wqueue_bytes", "accept_queue_max"],
        cell: |socket| match socket.accept_queue_max {
            Some(most) => plain(Count(most)),
            None => queue(socket.wqueue_bytes?),
        },
    },
    Choice {
        column: Column::right("RECVQ", 0),
        rank: 4,
        fields: &["rqueue_bytes", "accept_queue"],
        cell: |socket| match socket.accept_queue {
            Some(waiting) => count(waiting),
            None => queue(socket.rqueue_bytes?),
        },
    },
    Choice {
        column: Column::right("OUT bit/s", 0).group(),
        rank: 6,
        fields: &["send_rate"],
        cell: |socket| rate(socket.send_rate?),
    },
    Choice {
        column: Column::right("IN bit/s", 0),
        rank: 7,
        fields: &["receive_rate"],
        cell: |socket| rate(socket.receive_rate?),
    },
    Choice {
        column: Column::right("DELIVERY", 0).group(),
        rank: 12,
        fields: &["delivery_rate"],
        cell: |socket| {
            is_connection(socket).then_some(())?;
            rate(socket.tcp.as_deref()?.delivery_rate?)
        },
    },
    Choice {
        column: Column::left("LIMITED", 0),
        rank: 11,
        fields: &["delivery_rate_app_limited"],
        cell: limited,
    },
    Choice {
        column: Column::right("IDLE", 0).group(),
        rank: 13,
        fields: &[],
        cell: |socket| {
            is_connection(socket).then_some(())?;
            let tcp = socket.tcp.as_deref()?;
            // Before that the kernel tells when it was started.
            (socket.state != Some(SocketState::SynSent)).then_some(())?;
            let sent = tcp.last_data_sent_us?;
            let received = tcp.last_data_recv_us?;
            plain(Duration(if sent.ns() < received.ns() {
                sent
            } else {
                received
            }))
        },
    },
    Choice {
        column: Column::left("PROCESS", 0).group(),
        rank: 5,
        fields: &["pid", "comm"],
        cell: process,
    },
    Choice {
        column: Column::left("CONTAINER", 0),
        rank: 14,
        fields: &[],
        cell: |socket| {
            let id = socket.container_id?;
            // As docker ps shows it.
            plain(id.get(..12).unwrap_or(id))
        },
    },
];

fn plain(value: impl std::fmt::Display) -> Cell {
    Some((value.to_string(), Paint::Plain))
}

fn count(value: u64) -> Cell {
    let paint = if value == 0 { Paint::Dim } else { Paint::Plain };
    Some((Count(value).to_string(), paint))
}

fn queue(bytes: u64) -> Cell {
    match bytes {
        0 => Some(("0".to_owned(), Paint::Dim)),
        _ => Some((Bytes(bytes).to_string(), Paint::Yellow)),
    }
}

/// Of a connection that has measured one.
fn round_trip(socket: &Socket<'_>, of: fn(&TcpStatistics) -> Option<Span>) -> Cell {
    is_connection(socket).then_some(())?;
    let span = of(socket.tcp.as_deref()?)?;
    (span.ns() > 0).then(|| (Duration(span).to_string(), Paint::Plain))
}

/// Of bytes per second.
fn rate(bytes: u64) -> Cell {
    let paint = if bytes == 0 { Paint::Dim } else { Paint::Plain };
    Some((Short(bytes.saturating_mul(8)).to_string(), paint))
}

fn is_connection(socket: &Socket<'_>) -> bool {
    socket.state != Some(SocketState::Listen)
}

/// In ss's words.
fn state(socket: &Socket<'_>) -> Cell {
    let (word, paint) = match socket.state? {
        SocketState::Established => ("ESTAB", Paint::Green),
        SocketState::SynSent => ("SYN-SENT", Paint::Yellow),
        SocketState::SynRecv | SocketState::NewSynRecv => ("SYN-RECV", Paint::Yellow),
        SocketState::FinWait1 => ("FIN-WAIT-1", Paint::Plain),
        SocketState::FinWait2 => ("FIN-WAIT-2", Paint::Plain),
        SocketState::TimeWait => ("TIME-WAIT", Paint::Dim),
        SocketState::Close => ("CLOSED", Paint::Dim),
        SocketState::CloseWait => ("CLOSE-WAIT", Paint::Yellow),
        SocketState::LastAck => ("LAST-ACK", Paint::Plain),
        SocketState::Listen => ("LISTEN", Paint::Bold),
        SocketState::Closing => ("CLOSING", Paint::Plain),
        SocketState::BoundInactive => ("BOUND", Paint::Dim),
    };
    Some((word.to_owned(), paint))
}

/// All, and behind a plus those that are under way now.
fn retransmits(socket: &Socket<'_>) -> Cell {
    is_connection(socket).then_some(())?;
    let tcp = socket.tcp.as_deref()?;
    let all = tcp.total_retrans?;
    let now = tcp.retrans.unwrap_or_default() + tcp.lost.unwrap_or_default();
    let in_a_row = tcp.retransmits.unwrap_or_default();
    Some(match (all, now, in_a_row) {
        (0, 0, 0) => ("0".to_owned(), Paint::Dim),
        (_, 0, 0) => (Count(all).to_string(), Paint::Yellow),
        _ => (format!("{}+{now}", Count(all)), Paint::Red),
    })
}

/// What kept it from sending: the share of its busy time, or what the kernel said of the latest measurement.
fn limited(socket: &Socket<'_>) -> Cell {
    /// Below that it is not worth a word. Chosen.
    const PERCENT: u64 = 5;
    is_connection(socket).then_some(())?;
    // It waits for an answer.
    (socket.state != Some(SocketState::SynSent)).then_some(())?;
    let tcp = socket.tcp.as_deref()?;
    let busy = tcp.busy_time_us?.ns();
    let share =
        |span: Option<Span>| span.map_or(0, |span| span.ns().saturating_mul(100) / busy.max(1));
    let (window, buffer) = (share(tcp.rwnd_limited_us), share(tcp.sndbuf_limited_us));
    if window.max(buffer) >= PERCENT {
        let (word, percent) = match window >= buffer {
            true => ("window", window),
            false => ("sndbuf", buffer),
        };
        return Some((format!("{word} {percent}%"), Paint::Yellow));
    }
    match tcp.delivery_rate_app_limited {
        Some(true) => Some(("app".to_owned(), Paint::Dim)),
        _ if busy > 0 => Some(("cwnd".to_owned(), Paint::Plain)),
        _ => None,
    }
}

fn process(socket: &Socket<'_>) -> Cell {
    let pid = socket.pid?;
    plain(format_args!("{}[{pid}]", socket.comm.unwrap_or("?")))
}
