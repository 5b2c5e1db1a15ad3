//! What a monitoring system wants to know: counters that only grow, and durations between fixed edges, by server and by
//! protocol. Not text: that is an encoder's. Nothing per record is kept, so that a daemon may run for months.
//!
//! Bounded: [`SERVERS`] servers have a row of their own (which ones: `seats`), of each [`PROTOCOLS`] protocols, and
//! [`REMEMBERED`] open connections are remembered (what for: `parts`). Reaching a bound is counted, see
//! [`Metrics::limit_hits`]. Where it is asked for, durations are counted by operation, too, in exponential buckets: `operations`.

mod buckets;
mod exponential;
mod operations;
pub(super) mod parts;
pub(crate) mod seats;

use crate::batch::AnyRecord;
use crate::pending::Pending;
use crate::record::{
    Close, Connection, Handshake, HandshakeOutcome, Health, Outcome, Protocol, Request, RoleFrom,
    Status, Verdict,
};
use crate::time::{Span, Timestamp};
use crate::view::ServerKey;
use crate::view::anomaly::Present;
use crate::view::requests::{budget, is_undecided, took};

pub use buckets::{Buckets, EDGES_NS};
pub use exponential::{Exponential, MOST_BUCKETS};
use operations::Bound;
pub use operations::{HISTOGRAMS, OPERATIONS, Operation, Operations};
use parts::Parts;
pub use parts::{REMEMBERED, Traffic};
pub use seats::SERVERS;
use seats::{Seats, Sign};

/// Most protocols of one server that are told apart. Chosen: a port that speaks more has been guessed at.
pub const PROTOCOLS: usize = 4;

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    servers: Seats<ServerCounts>,
    parts: Parts,
    health: HealthCounts,
    /// Attempts that nothing had answered when this was told last, and the age of the oldest.
    pending: Option<(u64, Option<Span>)>,
    /// Where that is watched.
    present: Option<Present>,
    /// Where durations are counted by operation: how many histograms that makes.
    by_operation: Option<Bound>,
    /// Rows that had gone over to others when these were counted last.
    replaced: u64,
}

/// What was counted of one server, or of all that have no row of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerCounts {
    /// Attempts, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// [`Handshake::handshake_us`].
    pub handshake: Buckets,
    /// Connections that ended, in the order of [`Close::ALL`].
    pub closed: [u64; Close::ALL.len()],
    /// What clients and what the server sent.
    pub sent: [Traffic; 2],
    /// Where durations are counted by operation: since when this row counts.
    pub since: Option<Timestamp>,
    /// Likewise: [`Handshake::handshake_us`].
    pub connect: Option<Box<Exponential>>,
    protocols: Vec<(Protocol, RequestCounts)>,
    /// All protocols beyond [`PROTOCOLS`].
    other_protocols: Option<Box<RequestCounts>>,
}

/// What was counted of requests that are alike: to one server, in one protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestCounts {
    /// Requests, in the order of [`Status::ALL`]; the undecided are not among the unanswered.
    pub statuses: [u64; Status::ALL.len()],
    /// Unanswered, and the observation ended, or lost bytes, before an answer could have been seen.
    pub undecided: u64,
    /// How long they took: [`took`].
    pub total: Buckets,
    /// [`Request::process_us`].
    pub process: Buckets,
    /// Their time budgets in ns, in the order of [`Verdict::ALL`].
    pub budget_ns: [u128; Verdict::ALL.len()],
    /// Where they are counted by operation.
    pub operations: Option<Box<Operations>>,
}

/// What the observation knows of itself. No count ever falls, also where those of [`Health`] do for a moment: a datagram is
/// undecoded until requests were read from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthCounts {
    /// See [`Health::time`].
    pub last_packet: Option<Timestamp>,
    /// See [`Health::packets`].
    pub packets: u64,
    /// See [`Health::bytes`].
    pub bytes: u64,
    /// See [`Health::tcp_segments`].
    pub tcp_segments: u64,
    /// See [`Health::undecoded`].
    pub undecoded: Vec<(&'static str, u64)>,
    /// See [`Health::kernel_drops`].
    pub kernel_drops: Option<u64>,
    /// See [`Health::kernel_events`].
    pub kernel_events: Option<u64>,
    /// See [`Health::event_drops`].
    pub event_drops: Option<u64>,
    /// See [`Health::cut_packets`].
    pub cut_packets: u64,
    /// See [`Health::duplicates`].
    pub duplicates: u64,
    /// See [`Health::time_reversals`].
    pub time_reversals: u64,
    /// See [`Health::connections`].
    pub connections: u64,
    /// See [`Health::evicted_connections`].
    pub evicted_connections: u64,
    /// See [`Health::unjoined_connections`].
    pub unjoined_connections: Vec<(&'static str, u64)>,
    /// See [`Health::stream_gaps`].
    pub stream_gaps: u64,
    /// See [`Health::unparsed_messages`].
    pub unparsed_messages: Vec<(&'static str, u64)>,
    /// See [`Health::limit_hits`].
    pub limit_hits: Vec<(&'static str, u64)>,
    /// See [`Health::records`].
    pub records: Vec<(&'static str, u64)>,
    /// See [`Health::records_dropped`].
    pub records_dropped: Vec<(&'static str, u64)>,
    /// See [`Health::cpu_us`].
    pub cpu: Option<Span>,
    /// See [`Health::peak_rss_bytes`].
    pub peak_rss_bytes: Option<u64>,
}

impl Metrics {
    /// Counts durations by operation, too, in exponential buckets.
    #[must_use]
    pub fn by_operation() -> Metrics {
        Metrics {
            by_operation: Some(Bound::default()),
            ..Metrics::default()
        }
    }

    /// Requests that are counted as those of all other operations, because a bound was reached.
    #[must_use]
    pub fn other_operations(&self) -> u64 {
        self.by_operation.as_ref().map_or(0, |bound| bound.shared)
    }

    /// Counts one record.
    pub fn record(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Handshake(handshake) => self.handshake(handshake),
            AnyRecord::Request(request) => self.request(&request.record()),
            AnyRecord::Connection(connection) => self.connection(connection),
        }
    }

    /// Takes what the observation says of itself now: cumulative, as in the record at its end.
    pub fn observe(&mut self, health: &Health) {
        self.health.take(health);
    }

    /// Takes what nothing has answered so far. Not by server: which ones these are changes all the time, and a scan would
    /// leave a series for each of its targets.
    pub fn pending(&mut self, pending: &Pending) {
        self.pending = Some((pending.attempts, pending.oldest));
    }

    /// Attempts that nothing had answered when that was told last; and how long ago the first SYN of the oldest was.
    #[must_use]
    pub fn pending_attempts(&self) -> (Option<u64>, Option<Span>) {
        let (attempts, oldest) = self.pending.unzip();
        (attempts, oldest.flatten())
    }

    /// Takes what is abnormal now. Of this, too, only what is so now: a series that stays would tell of what is over.
    pub fn abnormal(&mut self, present: Present) {
        self.present = Some(present);
    }

    /// What is abnormal, where that is watched.
    #[must_use]
    pub fn present(&self) -> Option<&Present> {
        self.present.as_ref()
    }

    /// Counts one attempt.
    pub fn handshake(&mut self, handshake: &Handshake) {
        let key = (handshake.server_ip, handshake.server_port);
        let sign = match handshake.outcome {
            Outcome::Established => Sign::Answered,
            Outcome::Refused
            | Outcome::Unreachable
            | Outcome::TimedOut
            | Outcome::Unanswered
            | Outcome::Aborted
            | Outcome::Reset
            | Outcome::Unacknowledged
            | Outcome::OneSided => Sign::Asked,
        };
        let end = after(handshake.time, handshake.wait_us);
        let server = self.servers.at(key, sign, end);
        server.outcomes[handshake.outcome as usize] += 1;
        if let Some(span) = handshake.handshake_us {
            server.handshake.add(span);
        }
        if self.by_operation.is_some() {
            server.since.get_or_insert(handshake.time);
            let connect = server.connect.get_or_insert_default();
            handshake
                .handshake_us
                .into_iter()
                .for_each(|span| connect.add(span));
        }
    }

    /// Counts one request.
    pub fn request(&mut self, request: &Request<'_>) {
        let key = (request.server_ip, request.server_port);
        let sign = match request.role_from {
            RoleFrom::Port => Sign::None,
            _ if request.response_bytes > 0 => Sign::Answered,
            _ => Sign::Asked,
        };
        let end = after(request.time, took(request));
        let server = self.servers.at(key, sign, end);
        if self.by_operation.is_some() {
            server.since.get_or_insert(request.time);
        }
        let counts = server.protocol_mut(request.protocol);
        if is_undecided(request) {
            counts.undecided += 1;
        } else {
            counts.statuses[request.status as usize] += 1;
        }
        if let Some(span) = took(request) {
            counts.total.add(span);
        }
        if let Some(span) = request.process_us {
            counts.process.add(span);
        }
        for (sum, part) in counts
            .budget_ns
            .iter_mut()
            .zip(budget(request).into_iter().flatten())
        {
            *sum += u128::from(part.ns());
        }
        if let Some(bound) = &mut self.by_operation {
            let operations = counts.operations.get_or_insert_default();
            if let Some(span) = took(request) {
                operations.add(request, span, bound);
            }
            if let Some(span) = request.process_us {
                operations.process.add(span);
            }
        }
        self.count_histograms();
    }

    /// A row that went over to another server took its histograms with it.
    fn count_histograms(&mut self) {
        let Some(bound) = &mut self.by_operation else {
            return;
        };
        if self.replaced == self.servers.replaced {
            return;
        }
        self.replaced = self.servers.replaced;
        let servers = self.servers.own().map(|(_, server)| server);
        let servers = servers.chain([self.servers.other()]);
        let groups = servers.flat_map(ServerCounts::protocols);
        let operations = groups.filter_map(|(_, counts)| counts.operations.as_deref());
        bound.used = operations.map(Operations::named).sum();
    }

    /// Counts what is new in a record of a connection.
    pub fn connection(&mut self, connection: &Connection) {
        let key = (connection.server_ip, connection.server_port);
        let is_first = connection.part.is_none_or(|part| part == 1);
        // A SYN-ACK alone is none: floods in our name are answered by servers that nobody here asked.
        let answered = connection.handshake == Some(HandshakeOutcome::Established)
            || connection.server.bytes > 0;
        let sign = match connection.role_from {
            // Its attempt has told all that there is to tell.
            _ if connection.close == Close::Failed => Sign::None,
            // That it is often the lower port says something, that one connection goes on does not.
            RoleFrom::Port if is_first => Sign::Asked,
            RoleFrom::Port => Sign::None,
            _ if answered => Sign::Answered,
            _ => Sign::None,
        };
        let end = after(connection.time, connection.duration_us);
        let news = self.parts.news(connection);
        let server = self.servers.at(key, sign, end);
        if self.by_operation.is_some() {
            server.since.get_or_insert(connection.time);
        }
        for (sum, more) in server.sent.iter_mut().zip(news.iter().flatten()) {
            sum.add(more);
        }
        if connection.is_final {
            server.closed[connection.close as usize] += 1;
        }
    }

    /// Servers with a row of their own, ascending.
    pub fn servers(&self) -> impl Iterator<Item = (ServerKey, &ServerCounts)> {
        self.servers.own()
    }

    /// All other servers as one.
    #[must_use]
    pub fn other_servers(&self) -> &ServerCounts {
        self.servers.other()
    }

    /// What the observation said of itself last.
    #[must_use]
    pub fn health(&self) -> &HealthCounts {
        &self.health
    }

    /// How often a bound was reached here: records of servers without a row, rows that went over to another server, parts
    /// of connections that are counted later. Not among the `limit_hits` of [`health`](Self::health).
    #[must_use]
    pub fn limit_hits(&self) -> [(&'static str, u64); 3] {
        [
            ("metrics_other_servers", self.servers.shared),
            ("metrics_replaced_servers", self.servers.replaced),
            ("metrics_postponed_parts", self.parts.postponed),
        ]
    }
}

impl ServerCounts {
    /// Requests by protocol, in the order of first sight; the last, without a protocol, are all others.
    pub fn protocols(&self) -> impl Iterator<Item = (Option<Protocol>, &RequestCounts)> {
        let known = self.protocols.iter();
        let known = known.map(|(protocol, counts)| (Some(*protocol), counts));
        known.chain(self.other_protocols.iter().map(|counts| (None, &**counts)))
    }

    fn protocol_mut(&mut self, protocol: Protocol) -> &mut RequestCounts {
        let known = self.protocols.iter().position(|(p, _)| *p == protocol);
        let at = match known {
            Some(at) => at,
            None if self.protocols.len() < PROTOCOLS => {
                self.protocols.push((protocol, RequestCounts::default()));
                self.protocols.len() - 1
            }
            None => return self.other_protocols.get_or_insert_default(),
        };
        &mut self.protocols[at].1
    }
}

impl HealthCounts {
    pub(crate) fn take(&mut self, health: &Health) {
        self.last_packet = self.last_packet.max(health.time);
        for (count, now) in [
            (&mut self.packets, health.packets),
            (&mut self.bytes, health.bytes),
            (&mut self.tcp_segments, health.tcp_segments),
            (&mut self.cut_packets, health.cut_packets),
            (&mut self.duplicates, health.duplicates),
            (&mut self.time_reversals, health.time_reversals),
            (&mut self.connections, health.connections),
            (&mut self.evicted_connections, health.evicted_connections),
            (&mut self.stream_gaps, health.stream_gaps),
        ] {
            *count = now.max(*count);
        }
        for (counts, now) in [
            (&mut self.undecoded, &health.undecoded),
            (&mut self.unjoined_connections, &health.unjoined_connections),
            (&mut self.unparsed_messages, &health.unparsed_messages),
            (&mut self.limit_hits, &health.limit_hits),
            (&mut self.records, &health.records),
            (&mut self.records_dropped, &health.records_dropped),
        ] {
            for &(reason, now) in now {
                match counts.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, count)) => *count = now.max(*count),
                    None => counts.push((reason, now)),
                }
            }
        }
        self.kernel_drops = self.kernel_drops.max(health.kernel_drops);
        self.kernel_events = self.kernel_events.max(health.kernel_events);
        self.event_drops = self.event_drops.max(health.event_drops);
        self.cpu = self.cpu.max(health.cpu_us);
        self.peak_rss_bytes = self.peak_rss_bytes.max(health.peak_rss_bytes);
    }
}

fn after(time: Timestamp, span: Option<Span>) -> Timestamp {
    let ns = span.map_or(0, Span::ns);
    time.plus(i64::try_from(ns).unwrap_or(i64::MAX))
}
