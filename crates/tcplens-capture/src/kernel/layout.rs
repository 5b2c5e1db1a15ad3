//! Events as the programs write them: the twin of ebpf/tasks/state.h, whose assertions name the same offsets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcplens_core::kernel::{
    Attempt, AttemptEnd, Closed, Connection, Event, Mode, Process, Role, RoleBy, Socket, Task,
    TaskEnd, What,
};
use tcplens_core::time::Timestamp;

/// `struct event`.
const SIZE: usize = 264;
/// First bytes of the request, behind it.
const HEAD: usize = 64;
/// First bytes of the next request, behind that.
const NEXT_HEAD: usize = 16;
/// `minmax_reset(&tp->rtt_min, …, ~0U)`: no sample yet.
const NO_RTT: u32 = u32::MAX;

/// Bits of `port`.
pub(super) mod port {
    pub(in crate::kernel) const LOCAL: u8 = 1;
    pub(in crate::kernel) const PEER: u8 = 2;
    pub(in crate::kernel) const HTTP: u8 = 4;
    pub(in crate::kernel) const HTTPS: u8 = 8;
    pub(in crate::kernel) const FIRST_FRAME: u8 = 16;
    /// Of port 0: all connections are looked at.
    pub(in crate::kernel) const ALL: u8 = 32;
}

/// Bits of `flags`.
mod flag {
    pub(super) const ADOPTED: u8 = 1;
    pub(super) const REORDERED: u8 = 2;
    pub(super) const QUEUED: u8 = 4;
    pub(super) const HELD: u8 = 8;
    pub(super) const OPENED: u8 = 16;
    pub(super) const NO_T2: u8 = 32;
}

/// Bits of `closing`.
mod closing {
    pub(super) const FIN_SENT: u8 = 1;
    pub(super) const FIN_RECEIVED: u8 = 2;
    pub(super) const RST_SENT: u8 = 4;
    pub(super) const RST_RECEIVED: u8 = 8;
    pub(super) const FIN_FIRST: u8 = 16;
}

/// What the fields of an event lie in.
#[derive(Clone, Copy)]
struct Raw<'a>(&'a [u8]);

impl Raw<'_> {
    fn u64(self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    fn u32(self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    fn u16(self, at: usize) -> u16 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u16::from_ne_bytes(*bytes))
    }

    fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }
}

/// From the programs' time (CLOCK_MONOTONIC) to the time of day.
#[derive(Clone, Copy)]
pub(super) struct Offset(pub i64);

impl Offset {
    fn time(self, ns: u64) -> Timestamp {
        Timestamp(ns as i64).plus(self.0)
    }

    /// 0 is nothing that was seen.
    fn seen(self, ns: u64) -> Option<Timestamp> {
        (ns != 0).then(|| self.time(ns))
    }
}

/// An event; `None` if it is none that these programs write.
pub(super) fn event(bytes: &[u8], offset: Offset) -> Option<Event> {
    if bytes.len() < SIZE {
        return None;
    }
    let raw = Raw(bytes);
    let at = offset.time(raw.u64(96));
    let kind = raw.u8(222);
    let what = match kind {
        1 => task(raw, offset, TaskEnd::Answered),
        2 => task(raw, offset, TaskEnd::ClosedSending),
        3 => task(raw, offset, TaskEnd::ClosedReceiving),
        4 => task(raw, offset, TaskEnd::Received),
        5 => task(raw, offset, TaskEnd::ClosedWaiting),
        6 => task(raw, offset, TaskEnd::Open),
        7 => What::Connection(connection(raw, true)),
        8 => What::Connection(connection(raw, false)),
        9..=12 => What::Attempt(attempt(raw, kind)),
        _ => return None,
    };
    let mut socket = socket(raw, offset);
    // A server has no socket before its SYN-ACK is acknowledged; how long that took is measured.
    if let What::Attempt(attempt) = &what
        && attempt.end == AttemptEnd::Established
        && socket.role == Role::Server
        && let Some(us) = attempt.rtt_us
    {
        socket.began = socket.began.plus(-1000 * i64::from(us));
    }
    Some(Event { socket, at, what })
}

fn socket(raw: Raw<'_>, offset: Offset) -> Socket {
    let address = |at: usize| -> IpAddr {
        let bytes: [u8; 16] = *raw.0[at..].first_chunk().unwrap_or(&[0; 16]);
        if raw.u8(88) == 4 {
            let [a, b, c, d, ..] = bytes;
            return Ipv4Addr::new(a, b, c, d).into();
        }
        // Who listens for both has IPv4 peers so.
        Ipv6Addr::from(bytes).to_canonical()
    };
    let pid = raw.u32(28);
    Socket {
        cookie: raw.u64(0),
        netns: raw.u32(24),
        local: (address(40), raw.u16(36)),
        remote: (address(56), raw.u16(38)),
        role: match raw.u8(89) {
            port::PEER => Role::Client,
            _ => Role::Server,
        },
        role_by: match raw.u8(90) {
            0 => RoleBy::Port,
            1 => RoleBy::Opening,
            _ => RoleBy::Guess,
        },
        began: offset.time(raw.u64(16)),
        is_adopted: raw.u8(223) & flag::ADOPTED != 0,
        process: (pid != 0).then(|| Process {
            pid,
            uid: raw.u32(32),
            comm: *raw.0[72..].first_chunk().unwrap_or(&[0; 16]),
            cgroup: raw.u64(8),
        }),
    }
}

fn task(raw: Raw<'_>, offset: Offset, end: TaskEnd) -> What {
    let at = offset.time(raw.u64(96));
    let is_server = raw.u8(89) == port::LOCAL;
    let flags = raw.u8(223);
    let heads = |from: usize, length: u8, most: usize| {
        let end = from + usize::from(length).min(most);
        raw.0.get(from..end).unwrap_or_default().to_vec()
    };
    let bits = raw.u8(91);
    let first_frames = match bits & port::FIRST_FRAME {
        0 => Vec::new(),
        _ => (0..4)
            .map(|n| (raw.u32(228 + 4 * n), raw.u32(244 + 4 * n)))
            .collect(),
    };
    let response = offset.seen(raw.u64(120));
    // The stack's times are in µs: not later than they were told.
    let stamped = |from: usize| offset.seen(raw.u64(from)).map(|time| time.min(at));
    let (last_response, acknowledged) = (stamped(128), stamped(136));
    What::Task(Box::new(Task {
        end,
        number: u64::from(raw.u32(184)),
        first_request: offset.time(raw.u64(104)),
        // Of a client it is known when the response has come.
        last_request: offset
            .seen(raw.u64(112))
            .filter(|_| is_server || response.is_some()),
        first_response: response.filter(|_| flags & flag::NO_T2 == 0),
        last_response,
        acknowledged: acknowledged.max(last_response.filter(|_| acknowledged.is_some())),
        next: offset.seen(raw.u64(144)),
        request_bytes: raw.u64(152),
        response_bytes: raw.u64(160),
        // The ACK that ends it is not applied yet; and what a client has sent since is the next request.
        unacked_bytes: match (end, acknowledged) {
            (TaskEnd::Answered, Some(_)) | (TaskEnd::Received, _) => 0,
            _ => raw.u32(188),
        },
        unsent_bytes: raw.u32(192),
        retransmits: raw.u32(196),
        is_reordered: flags & flag::REORDERED != 0,
        is_queued: flags & flag::QUEUED != 0,
        is_held: flags & flag::HELD != 0,
        min_rtt_us: min_rtt(raw),
        rtt_us: rtt(raw),
        cwnd: raw.u32(212),
        mss: raw.u32(216),
        mode: if bits & port::HTTPS != 0 {
            Mode::Https
        } else if bits & port::HTTP != 0 {
            Mode::Http
        } else {
            Mode::Default
        },
        head: heads(SIZE, raw.u8(226), HEAD),
        next_head: heads(SIZE + HEAD, raw.u8(227), NEXT_HEAD),
        first_frames,
    }))
}

fn connection(raw: Raw<'_>, is_closed: bool) -> Connection {
    let how = raw.u8(224);
    let tasks = raw.u32(184);
    Connection {
        closed: is_closed.then(|| Closed {
            fin_sent: how & closing::FIN_SENT != 0,
            fin_received: how & closing::FIN_RECEIVED != 0,
            fin_first: how & closing::FIN_FIRST != 0,
            rst_sent: how & closing::RST_SENT != 0,
            rst_received: how & closing::RST_RECEIVED != 0,
            error: raw.u16(220),
        }),
        tasks: u64::from(tasks),
        sent_bytes: raw.u64(168),
        received_bytes: raw.u64(176),
        unacked_bytes: raw.u32(188),
        unsent_bytes: raw.u32(192),
        retransmits: raw.u32(200),
        min_rtt_us: min_rtt(raw),
        rtt_us: rtt(raw),
        cwnd: raw.u32(212),
        mss: raw.u32(216),
    }
}

fn attempt(raw: Raw<'_>, kind: u8) -> Attempt {
    let is_open = raw.u8(223) & flag::OPENED != 0;
    let again = raw.u32(200);
    let is_server = raw.u8(89) == port::LOCAL;
    Attempt {
        end: match (kind, raw.u16(220)) {
            (10, _) => AttemptEnd::SynackAgain(again),
            (11, _) => AttemptEnd::RefusedHere,
            (12, _) => AttemptEnd::Open,
            _ if is_open => AttemptEnd::Established,
            (_, 0) => AttemptEnd::Closed,
            (_, error) => AttemptEnd::Failed(error),
        },
        syn_retransmits: if is_server { 0 } else { again },
        synack_retransmits: if is_server { again } else { 0 },
        rtt_us: rtt(raw).filter(|_| is_open && again == 0),
        mss: Some(raw.u32(216)).filter(|mss| is_open && *mss > 0),
    }
}

fn min_rtt(raw: Raw<'_>) -> Option<u32> {
    Some(raw.u32(204)).filter(|rtt| *rtt != NO_RTT)
}

fn rtt(raw: Raw<'_>) -> Option<u32> {
    Some(raw.u32(208)).filter(|rtt| *rtt != 0)
}
