//! What is kept of one side of a comparison: by server, protocol and operation, and there by unit. Not whether it differs: see
//! `pairs`. Bounded: at most [`GROUPS`] operations and as many servers, with about 20 KB each.

use std::collections::BTreeMap;

use super::coarse::Coarse;
use super::spread::{Cell, Spread};
use crate::batch::AnyRecord;
use crate::record::{Close, Connection, Handshake, Outcome, Protocol, Request, Status, Verdict};
use crate::time::{Span, Timestamp};
use crate::view::reading::{is_one_sided, legs};
use crate::view::requests::{is_undecided, took};
use crate::view::{Histogram, Population, ServerKey, handshakes};

/// Most operations of servers, and most servers. Chosen: 5 MB for either, of each side.
pub const GROUPS: usize = 256;

/// One side of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Period {
    pub(super) operations: BTreeMap<(ServerKey, Protocol), BTreeMap<Box<str>, Operation>>,
    operations_known: usize,
    pub(super) servers: BTreeMap<ServerKey, Server>,
    /// From when to when, each in turn.
    pub(super) spans: Vec<(Timestamp, Timestamp)>,
    /// Records of operations and servers beyond [`GROUPS`].
    pub left_out: u64,
    /// Requests.
    pub requests: u64,
    /// Attempts to connect of which it is known how they ended.
    pub attempts: u64,
    /// Connections, failed attempts not among them.
    pub connections: u64,
}

/// Requests of one operation of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Operation {
    pub spread: Spread<Requests>,
    pub latency: Histogram,
    pub population: Population,
}

impl Operation {
    pub(super) fn merge(&mut self, other: &Operation) {
        self.spread.merge(&other.spread);
        self.latency.merge(&other.latency);
        let (mine, more) = (&mut self.population, &other.population);
        mine.requests += more.requests;
        mine.budgeted += more.budgeted;
        for (sum, part) in mine.budget_ns.iter_mut().zip(more.budget_ns) {
            *sum = sum.saturating_add(part);
        }
    }

    /// The mean time of a request in each part of the budget, in ns.
    pub(super) fn parts(&self) -> Option<[f64; Verdict::ALL.len()]> {
        let known = self.population.budgeted;
        let mean = |part: u64| part as f64 / known as f64;
        (known > 0).then(|| self.population.budget_ns.map(mean))
    }
}

/// Requests of one unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    pub all: u64,
    /// Owed a reply, and known whether they got it.
    pub decided: u64,
    pub errors: u64,
    pub unanswered: u64,
    pub latency: Coarse,
}

impl Cell for Requests {
    fn merge(&mut self, other: &Requests) {
        self.all += other.all;
        self.decided += other.decided;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        self.latency.merge(&other.latency);
    }
}

/// Attempts and connections to one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub spread: Spread<Paths>,
    pub connect: Histogram,
    pub server_rtt: Histogram,
    pub client_rtt: Histogram,
}

/// Attempts and connections of one unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    pub attempts: u64,
    pub failed: u64,
    pub connect: Coarse,
    /// Segments with data, SYN or FIN.
    pub segments: u64,
    pub lost: u64,
    pub server_rtt: Coarse,
    pub client_rtt: Coarse,
}

impl Cell for Paths {
    fn merge(&mut self, other: &Paths) {
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.connect.merge(&other.connect);
        self.segments += other.segments;
        self.lost += other.lost;
        self.server_rtt.merge(&other.server_rtt);
        self.client_rtt.merge(&other.client_rtt);
    }
}

impl Period {
    /// Says that it was observed from then to then.
    pub fn covers(&mut self, from: Timestamp, to: Timestamp) {
        if from < to {
            self.spans.push((from, to));
        }
    }

    /// How long it was observed.
    #[must_use]
    pub fn observed(&self) -> Span {
        let spans = self.spans.iter();
        let ns = spans.filter_map(|&(from, to)| to.since(from)).map(Span::ns);
        Span::from_ns(ns.fold(0, u64::saturating_add))
    }

    /// Takes one record.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Request(request) => self.request(&request.record()),
            AnyRecord::Handshake(handshake) => self.handshake(handshake),
            AnyRecord::Connection(connection) => self.connection(connection),
        }
    }

    /// Takes one request.
    pub fn request(&mut self, request: &Request<'_>) {
        self.requests += 1;
        let key = ((request.server_ip, request.server_port), request.protocol);
        let name = request.operation.unwrap_or_default();
        let known = self
            .operations
            .get(&key)
            .is_some_and(|all| all.contains_key(name));
        if !known {
            if self.operations_known >= GROUPS {
                self.left_out += 1;
                return;
            }
            self.operations_known += 1;
        }
        let operation = self.operations.entry(key).or_default();
        let operation = operation.entry(name.into()).or_default();
        let took = took(request);
        took.into_iter()
            .for_each(|span| operation.latency.add(span));
        operation.population.add(request);
        let is_decided = request.status != Status::None && !is_undecided(request);
        let spread = &mut operation.spread;
        spread.add(request.connection_id, request.time, |unit| {
            unit.all += 1;
            unit.decided += u64::from(is_decided);
            unit.errors += u64::from(request.status == Status::Error);
            unit.unanswered += u64::from(is_decided && request.status == Status::Unanswered);
            took.into_iter().for_each(|span| unit.latency.add(span));
        });
    }

    fn handshake(&mut self, handshake: &Handshake) {
        if handshakes::is_undecided(handshake) || handshake.outcome == Outcome::OneSided {
            return;
        }
        self.attempts += 1;
        let key = (handshake.server_ip, handshake.server_port);
        let is_failed = handshake.outcome != Outcome::Established;
        let took = handshake.handshake_us.filter(|_| !is_failed);
        let Some(server) = self.server(key) else {
            return;
        };
        took.into_iter().for_each(|span| server.connect.add(span));
        let spread = &mut server.spread;
        spread.add(handshake.connection_id, handshake.time, |unit| {
            unit.attempts += 1;
            unit.failed += u64::from(is_failed);
            took.into_iter().for_each(|span| unit.connect.add(span));
        });
    }

    fn connection(&mut self, connection: &Connection) {
        // Counters are cumulative: the last part has all.
        if !connection.is_final || connection.close == Close::Failed || is_one_sided(connection) {
            return;
        }
        self.connections += 1;
        // Both legs have the same segments.
        let [client, server] = legs(connection);
        let lost = client.lost() + server.lost();
        let rtts = [connection.server.rtt_min_us, connection.client.rtt_min_us];
        let key = (connection.server_ip, connection.server_port);
        let Some(server) = self.server(key) else {
            return;
        };
        let histograms = [&mut server.server_rtt, &mut server.client_rtt];
        for (histogram, rtt) in histograms.into_iter().zip(rtts) {
            rtt.into_iter().for_each(|rtt| histogram.add(rtt));
        }
        let spread = &mut server.spread;
        spread.add(connection.connection_id, connection.time, |unit| {
            unit.segments += client.segments;
            // What is repeated may be more than was sent once.
            unit.lost += lost.min(client.segments);
            let both = [&mut unit.server_rtt, &mut unit.client_rtt];
            for (coarse, rtt) in both.into_iter().zip(rtts) {
                rtt.into_iter().for_each(|rtt| coarse.add(rtt));
            }
        });
    }

    fn server(&mut self, key: ServerKey) -> Option<&mut Server> {
        if self.servers.len() >= GROUPS && !self.servers.contains_key(&key) {
            self.left_out += 1;
            return None;
        }
        Some(self.servers.entry(key).or_default())
    }
}

/// One observation as two periods: one of it, the baseline, and what is before and after that.
#[derive(Clone, Debug)]
pub struct Split {
    from: Timestamp,
    to: Timestamp,
    /// The baseline.
    pub before: Period,
    /// The rest.
    pub now: Period,
    /// Connections that were there in both, of which what is counted of all their time is left out.
    pub astride: u64,
}

impl Split {
    /// The baseline is from `from` until just before `to`.
    #[must_use]
    pub fn new(from: Timestamp, to: Timestamp) -> Split {
        Split {
            from,
            to,
            before: Period::default(),
            now: Period::default(),
            astride: 0,
        }
    }

    /// Takes one record.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        let from = match record {
            AnyRecord::Request(request) => request.record().time,
            AnyRecord::Handshake(handshake) => handshake.time,
            AnyRecord::Connection(connection) => {
                let lasted = connection.duration_us.map_or(0, Span::ns);
                let lasted = i64::try_from(lasted).unwrap_or(i64::MAX);
                let (begin, end) = (connection.time, connection.time.plus(lasted));
                if [self.from, self.to]
                    .iter()
                    .any(|&edge| begin < edge && end >= edge)
                {
                    self.astride += u64::from(connection.is_final);
                    return;
                }
                begin
            }
        };
        self.side(from).add(record);
    }

    /// Takes one request.
    pub fn request(&mut self, request: &Request<'_>) {
        self.side(request.time).request(request);
    }

    /// Says that it was observed from then to then.
    pub fn covers(&mut self, first: Timestamp, last: Timestamp) {
        let (from, to) = (self.from.clamp(first, last), self.to.clamp(first, last));
        self.before.covers(from, to);
        self.now.covers(first, from);
        self.now.covers(to, last);
    }

    fn side(&mut self, at: Timestamp) -> &mut Period {
        if (self.from..self.to).contains(&at) {
            &mut self.before
        } else {
            &mut self.now
        }
    }
}
