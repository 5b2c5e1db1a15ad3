//! What is known of one tracked socket.

use super::super::message::{HEAD, Message};
use super::super::metrics::Sample;
use crate::time::{Span, Timestamp};

/// What was seen of a socket: the last poll, and what a summary needs of those before.
#[derive(Debug)]
pub struct Entry {
    /// The last poll as it came; of one that was never polled, its end.
    raw: Vec<u8>,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// The last poll.
    pub last_seen: Timestamp,
    /// Polls that showed it; 0: only its end was told.
    pub polls: u64,
    /// Polls that were worth keeping.
    pub snapshots: u64,
    /// What a summary needs of earlier polls.
    pub extremes: Extremes,
    /// `busy_time`, `rwnd_limited`, `sndbuf_limited` of the last snapshot: they may go on without one. Zero
    /// where the kernel has none.
    limited_us: [u64; 3],
    /// What had been counted before it was first seen: no part of what was seen of it. Zeroes of one that was never polled.
    pub before: Before,
    pub(super) missing_since: Timestamp,
    /// Where the socket is that followed it in the last dump.
    pub(super) next: u32,
    pub(super) dump: u32,
    /// Complete dumps in a row that it was not in.
    pub(super) missed: u8,
    /// The statistics of the last poll belong to its state. The kernel reads the state before it has the socket's lock
    /// (tcp_get_info in net/ipv4/tcp.c): a FIN that comes meanwhile is counted, and not in the state.
    pub is_settled: bool,
}

/// Most of a tick of the kernel's clock, by which it tells ages.
const TICK: Span = Span::from_ns(10_000_000);

/// Counters of the first poll; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Payload sent, each byte once.
    pub sent: u64,
    /// `bytes_received`.
    pub received: u64,
    /// `busy_time`, `rwnd_limited`, `sndbuf_limited`, µs.
    pub limited_us: [u64; 3],
}

/// First and largest values; 0 where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extremes {
    /// Of the first poll, µs.
    pub first_rtt: u32,
    /// Of all polls, µs.
    pub max_rtt: u32,
    /// Of the first poll, segments.
    pub first_snd_cwnd: u32,
    /// Of all polls, segments.
    pub max_snd_cwnd: u32,
    /// Of all polls, bytes per second.
    pub max_delivery_rate: u64,
}

/// The counters of a poll that rates are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// When it was.
    pub at: Timestamp,
    /// Payload sent, each byte once.
    pub sent: Option<u64>,
    /// `bytes_received`.
    pub received: Option<u64>,
    /// `total_retrans`.
    pub retransmits: Option<u32>,
}

impl Polled {
    /// Of a message.
    #[must_use]
    pub fn of(at: Timestamp, message: Message<'_>) -> Polled {
        let info = message.tcp_info();
        let sent = info.and_then(|info| info.bytes_sent()?.checked_sub(info.bytes_retrans()?));
        Polled {
            at,
            sent,
            received: info.and_then(|info| info.bytes_received()),
            retransmits: info.and_then(|info| info.total_retrans()),
        }
    }
}

impl Entry {
    pub(super) fn new((at, filling): (Timestamp, Span), message: Message<'_>) -> Entry {
        let mut entry = Entry::never_polled(at, message);
        (entry.polls, entry.snapshots) = (1, 1);
        entry.is_settled = is_settled(message, filling);
        entry.limited_us = limited_us(message);
        let polled = entry.polled();
        entry.before = Before {
            sent: polled.sent.unwrap_or(0),
            received: polled.received.unwrap_or(0),
            limited_us: entry.limited_us,
        };
        entry
    }

    pub(super) fn never_polled(at: Timestamp, told: Message<'_>) -> Entry {
        let mut extremes = Extremes::default();
        // Whom the connection was taken from has no statistics of it.
        if told.remote().1 != 0 {
            extremes.take(told);
        }
        Entry {
            // Exactly as much as it takes: there are many.
            raw: [told.head(), told.attribute_bytes()].concat(),
            first_seen: at,
            last_seen: at,
            polls: 0,
            snapshots: 1,
            extremes,
            limited_us: [0; 3],
            before: Before::default(),
            missing_since: at,
            next: u32::MAX,
            dump: 0,
            missed: 0,
            is_settled: false,
        }
    }

    #[inline]
    pub(super) fn see(
        &mut self,
        (at, filling): (Timestamp, Span),
        now: Message<'_>,
        is_changed: bool,
    ) {
        self.last_seen = at;
        self.is_settled = is_settled(now, filling);
        self.polls += 1;
        if is_changed {
            self.snapshots += 1;
            self.extremes.take(now);
            // What is left of a socket has no statistics, and takes none back.
            if now.tcp_info().is_some() {
                self.limited_us = limited_us(now);
            }
        }
        let (head, attributes) = (now.head(), now.attribute_bytes());
        if self.raw.len() == HEAD + attributes.len() {
            self.raw[..HEAD].copy_from_slice(head);
            self.raw[HEAD..].copy_from_slice(attributes);
            return;
        }
        self.raw.clear();
        self.raw.reserve_exact(HEAD + attributes.len());
        self.raw.extend_from_slice(head);
        self.raw.extend_from_slice(attributes);
    }

    /// The last poll; of one that was never polled, the word of its end.
    #[inline]
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        Message::new(&self.raw).expect("made of a head and attributes")
    }

    /// The bytes of it.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The socket's number.
    #[must_use]
    pub fn cookie(&self) -> u64 {
        self.message().cookie()
    }

    pub(super) fn family(&self) -> u8 {
        self.raw[0]
    }

    /// What has been counted of it by who counts snapshots: the last poll, and times as the last snapshot told them. All other
    /// counters change with a snapshot only, by either rule.
    #[must_use]
    pub fn counted(&self) -> Sample {
        let [busy_us, rwnd_limited_us, sndbuf_limited_us] = self.limited_us.map(Some);
        Sample {
            busy_us,
            rwnd_limited_us,
            sndbuf_limited_us,
            ..Sample::of(self.message())
        }
    }

    /// The counters of the last poll.
    #[must_use]
    pub fn polled(&self) -> Polled {
        Polled::of(self.last_seen, self.message())
    }
}

/// Whether no segment had come since the kernel began to fill this in.
fn is_settled(message: Message<'_>, filling: Span) -> bool {
    let age = message.tcp_info().and_then(|info| info.last_ack_recv());
    age.is_some_and(|ms| u64::from(ms) * 1_000_000 > filling.ns().saturating_add(TICK.ns()))
}

fn limited_us(message: Message<'_>) -> [u64; 3] {
    let Some(info) = message.tcp_info() else {
        return [0; 3];
    };
    [info.busy_time(), info.rwnd_limited(), info.sndbuf_limited()].map(Option::unwrap_or_default)
}

impl Extremes {
    /// Takes what a poll says.
    pub(crate) fn take(&mut self, message: Message<'_>) {
        let Some(info) = message.tcp_info() else {
            return;
        };
        let rtt = info.rtt().unwrap_or(0);
        let cwnd = info.snd_cwnd().unwrap_or(0);
        if self.first_rtt == 0 {
            self.first_rtt = rtt;
        }
        if self.first_snd_cwnd == 0 {
            self.first_snd_cwnd = cwnd;
        }
        self.max_rtt = self.max_rtt.max(rtt);
        self.max_snd_cwnd = self.max_snd_cwnd.max(cwnd);
        let rate = info.delivery_rate().unwrap_or(0);
        self.max_delivery_rate = self.max_delivery_rate.max(rate);
    }
}
