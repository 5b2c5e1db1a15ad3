//! What a monitoring system wants to know of sockets: how the kernel was asked (tcp-info's metrics), and what it told, by server.
//! Not text: that is an encoder's. Nothing is kept per socket: who calls has the look before, and hands both over; counters are
//! the differences, so that a connection is counted whole when its last word is counted.
//!
//! Bounded: [`SERVERS`](crate::view::metrics::SERVERS) servers have a row of their own, as in [`Metrics`](crate::view::Metrics),
//! [`LISTENERS`] listeners, [`SKIPPED`] kinds of attributes.

use std::collections::BTreeMap;

use super::message::{Message, kind};
use super::tcp_info;
use crate::record::Health;
use crate::time::{Span, Timestamp};
use crate::view::ServerKey;
use crate::view::metrics::HealthCounts;
use crate::view::metrics::seats::{Seats, Sign};

mod census;
mod histogram;
mod sample;
mod server;
#[cfg(test)]
mod tests;

pub use census::{Census, LISTENERS, Queue, STATES, Standing};
pub use histogram::{Edges, Histogram};
pub use sample::Sample;
pub use server::{ServerSockets, SocketCounts, Total};

/// Most kinds of attributes that are counted apart. Chosen: Linux 6.18 has 22.
pub const SKIPPED: usize = 64;

/// A family of sockets, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AF_INET.
    V4,
    /// AF_INET6; those that talk IPv4 are among it.
    V6,
}

impl Family {
    /// Both, in the order of arrays here.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];
}

/// Why the kernel's answer was not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// A message of another question.
    Sequence,
    /// A message for somebody else.
    Port,
    /// NLMSG_ERROR.
    Refused,
    /// The table changed while it was walked (NLM_F_DUMP_INTR).
    Interrupted,
    /// The kernel ran out of room for it (NLMSG_OVERRUN, ENOBUFS).
    Overrun,
    /// It is cut, or makes no sense.
    Damaged,
}

impl AnswerError {
    /// All of them, in the order of arrays here.
    pub const ALL: [AnswerError; 6] = [
        AnswerError::Sequence,
        AnswerError::Port,
        AnswerError::Refused,
        AnswerError::Interrupted,
        AnswerError::Overrun,
        AnswerError::Damaged,
    ];

    /// tcp-info's words for the first three.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            AnswerError::Sequence => "wrong seq num",
            AnswerError::Port => "wrong pid",
            AnswerError::Refused => "NLMSG_ERROR",
            AnswerError::Interrupted => "interrupted",
            AnswerError::Overrun => "overrun",
            AnswerError::Damaged => "damaged",
        }
    }
}

/// Which server a socket belongs to. The addresses are shown as they are here: who wants them anonymised gives them so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// This end where it is the server's, else the other one.
    pub server: ServerKey,
    /// Whether this end is the server's.
    pub is_server: bool,
}

/// What became of an archive so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveTotals {
    /// Files that were begun.
    pub files: u64,
    /// Attempts to write that failed.
    pub failures: u64,
    /// Lines that were dropped.
    pub dropped: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct SocketMetrics {
    /// How long it took the kernel to tell all sockets of a family, in the order of [`Family::ALL`].
    pub syscall: [Histogram; 2],
    /// From one look to the next.
    pub interval: Histogram,
    /// Sockets of a look, likewise.
    pub connections: [Histogram; 2],
    /// Sockets that were tracked after a look.
    pub cache: Histogram,
    /// Answers that were not whole, in the order of [`AnswerError::ALL`].
    pub errors: [u64; AnswerError::ALL.len()],
    /// What is written beside, if anything is.
    pub archive: Option<ArchiveTotals>,
    /// Looks at a socket that were kept: it was new or had changed.
    pub snapshots: u64,
    /// Connections that opened, or were there at the first look, and that ended.
    pub events: [u64; 2],
    /// Bits sent in a second, repeated ones included; its sum is what all sent since the beginning.
    pub send_rate: Histogram,
    /// Bits received in order in a second.
    pub receive_rate: Histogram,
    /// Attributes that were longer than what is known of them.
    pub large: [u64; LARGE.len()],
    skipped: BTreeMap<u16, u64>,
    /// Of all servers: bytes sent and received.
    totals: [Total; 2],
    /// What of these was told as rates.
    reported: [u64; 2],
    servers: Seats<ServerSockets>,
    standing: Standing,
    health: HealthCounts,
}

/// Attributes whose length is known: number, most bytes, tcp-info's word.
pub const LARGE: [(u16, usize, &str); 6] = [
    (kind::MEMINFO, 16, "MemInfo"),
    (kind::INFO, tcp_info::KNOWN, "TCPInfo"),
    (kind::VEGASINFO, 16, "VegasInfo"),
    (kind::SKMEMINFO, 36, "SockMemInfo"),
    (kind::DCTCPINFO, 16, "DCTCPInfo"),
    (kind::BBRINFO, 20, "BBRInfo"),
];

impl Default for SocketMetrics {
    fn default() -> SocketMetrics {
        use histogram::{INTERVAL, RATE, SOCKETS, SYSCALL};
        SocketMetrics {
            syscall: [Histogram::new(&SYSCALL), Histogram::new(&SYSCALL)],
            interval: Histogram::new(&INTERVAL),
            connections: [Histogram::new(&SOCKETS), Histogram::new(&SOCKETS)],
            cache: Histogram::new(&SOCKETS),
            errors: [0; AnswerError::ALL.len()],
            archive: None,
            snapshots: 0,
            events: [0; 2],
            send_rate: Histogram::new(&RATE),
            receive_rate: Histogram::new(&RATE),
            large: [0; LARGE.len()],
            skipped: BTreeMap::new(),
            totals: [Total::default(); 2],
            reported: [0; 2],
            servers: Seats::default(),
            standing: Standing::default(),
            health: HealthCounts::default(),
        }
    }
}

/// How the kernel was asked.
impl SocketMetrics {
    /// It has told all sockets of a family: how long that took, and how many there were.
    pub fn polled(&mut self, family: Family, syscall: Span, sockets: u64) {
        self.syscall[family as usize].add(syscall.ns());
        self.connections[family as usize].add(sockets.saturating_mul(histogram::TENTHS));
    }

    /// A look began so long after the one before.
    pub fn interval(&mut self, interval: Span) {
        self.interval.add(interval.ns());
    }

    /// So many sockets are tracked after a look.
    pub fn cache(&mut self, sockets: u64) {
        self.cache.add(sockets.saturating_mul(histogram::TENTHS));
    }

    /// An answer was not whole.
    pub fn error(&mut self, error: AnswerError) {
        self.errors[error as usize] += 1;
    }

    /// A look at a socket was kept. Counts what of its attributes is not known.
    pub fn snapshot(&mut self, message: Message<'_>) {
        self.snapshots += 1;
        for (number, value) in message.attributes() {
            let known = LARGE.iter().position(|(known, ..)| *known == number);
            if let Some(at) = known {
                self.large[at] += u64::from(value.len() > LARGE[at].1);
            } else if !is_decoded(number)
                && (self.skipped.len() < SKIPPED || self.skipped.contains_key(&number))
            {
                *self.skipped.entry(number).or_default() += 1;
            }
        }
    }

    /// Takes what the observation says of itself.
    pub fn observe(&mut self, health: &Health) {
        self.health.take(health);
    }

    /// To be called once a second, or as often as the kernel is asked: what was sent and received since the last time becomes
    /// rates. Where that is seconds ago it is shared among them.
    pub fn rates(&mut self, elapsed: Span) {
        const SECOND: u64 = 1_000_000_000;
        let seconds = (elapsed.ns().saturating_add(SECOND / 2) / SECOND).max(1);
        for (at, histogram) in [&mut self.send_rate, &mut self.receive_rate]
            .into_iter()
            .enumerate()
        {
            let total = self.totals[at].value();
            let bits = u128::from(total.saturating_sub(self.reported[at])) * 8;
            self.reported[at] = total;
            let rate = bits / u128::from(seconds);
            histogram.add_many(u64::try_from(rate).unwrap_or(u64::MAX), seconds, bits);
        }
    }
}

/// What it told.
impl SocketMetrics {
    /// A connection was there at the first look: an event, as tcp-info has it, and not among those that opened. What it sent
    /// before is not counted, what it will send is.
    pub fn found(&mut self, at: Timestamp, place: Place) {
        self.events[0] += 1;
        self.row(at, place, Sign::Answered);
    }

    /// A connection is new: all that it has sent came since the last look. `now` is absent where nothing but its end will tell.
    pub fn opened(&mut self, at: Timestamp, place: Place, now: Option<&Sample>) {
        self.events[0] += 1;
        let sign = match now {
            // Somebody asks, nobody answered.
            Some(now) if now.is_attempt => Sign::Asked,
            _ => Sign::Answered,
        };
        self.row(at, place, sign).opened += 1;
        if let Some(now) = now {
            self.count(at, place, &Sample::default(), now);
        }
    }

    /// It has changed since `before`.
    pub fn changed(&mut self, at: Timestamp, place: Place, before: &Sample, now: &Sample) {
        self.count(at, place, before, now);
    }

    /// It has ended, for this reason (a word of few). `last` is its last word, where there is one; `before` the look before,
    /// nothing for one that was [opened](Self::opened) without.
    pub fn ended(
        &mut self,
        at: Timestamp,
        place: Place,
        (before, last): (Option<&Sample>, Option<&Sample>),
        reason: &'static str,
    ) {
        self.events[1] += 1;
        if let Some(last) = last {
            self.count(at, place, before.unwrap_or(&Sample::default()), last);
        }
        let row = self.row(at, place, Sign::None);
        row.end(reason);
        if let Some(min_rtt) = last.and_then(Sample::min_rtt) {
            row.min_rtt.add(min_rtt);
        }
    }

    /// Looks at all sockets that there are now: what there was the last time is forgotten.
    pub fn census(&mut self) -> Census<'_> {
        Census::new(&mut self.standing, &self.servers)
    }

    fn row(&mut self, at: Timestamp, place: Place, sign: Sign) -> &mut SocketCounts {
        let server = self.servers.at(place.server, sign, at);
        server.side_mut(place.is_server)
    }

    fn count(&mut self, at: Timestamp, place: Place, before: &Sample, now: &Sample) {
        let [sent, received] = &mut self.totals;
        sent.step(before.sent_bytes, now.sent_bytes);
        received.step(before.received_bytes, now.received_bytes);
        self.row(at, place, Sign::None).count(before, now);
    }
}

/// What was counted.
impl SocketMetrics {
    /// Servers with a row of their own, ascending.
    pub fn servers(&self) -> impl Iterator<Item = (ServerKey, &ServerSockets)> {
        self.servers.own()
    }

    /// All other servers as one.
    #[must_use]
    pub fn other_servers(&self) -> &ServerSockets {
        self.servers.other()
    }

    /// What there was at the last [census](Self::census).
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Attributes that are not decoded, by number.
    pub fn skipped(&self) -> impl Iterator<Item = (u16, u64)> {
        self.skipped.iter().map(|(number, count)| (*number, *count))
    }

    /// Bytes that all connections sent and received, payload, repeated bytes among those sent: of what was seen since the
    /// beginning.
    #[must_use]
    pub fn bytes(&self) -> [u64; 2] {
        self.totals.map(Total::value)
    }

    /// What the observation said of itself last.
    #[must_use]
    pub fn health(&self) -> &HealthCounts {
        &self.health
    }

    /// How often a bound was reached here; not among the `limit_hits` of [`health`](Self::health).
    #[must_use]
    pub fn limit_hits(&self) -> [(&'static str, u64); 3] {
        [
            ("metrics_other_socket_servers", self.servers.shared),
            ("metrics_replaced_socket_servers", self.servers.replaced),
            ("metrics_other_listeners", self.standing.other_listeners),
        ]
    }
}

/// Whether an attribute's content is among the fields of records.
fn is_decoded(number: u16) -> bool {
    !matches!(
        number,
        0 | kind::LOCALS
            | kind::PEERS
            | kind::MD5SIG
            | kind::ULP_INFO
            | kind::SK_BPF_STORAGES
            | 23..
    )
}
