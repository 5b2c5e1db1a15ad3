//! Records by the minute: what is kept of them when they are not, see [`Rollup`]. A request counts in the minute in which it
//! ended, an attempt in that of its conclusion, a connection in those in which its parts ended, by what each part adds. Not what
//! becomes of the rows: that is a store's.
//!
//! Exactly mergeable, whatever the order, as long as no bound is reached: rows of the same minute, server, protocol and
//! operation add up ([`Rollup::merge`]).
//!
//! Bounded: [`SERVERS`] and [`OPERATIONS`] rows of a minute, [`ROWS`] of all minutes that are open; of each server and protocol
//! [`OF_SERVER`] operations. What finds no row of its own goes to the row `other` of its server, or to one without address; see
//! [`Rollups::limit_hits`].

mod merge;
mod sums;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ServerKey;
use super::metrics::parts::Parts;
use crate::batch::AnyRecord;
use crate::record::{Close, Connection, Handshake, Protocol, Request, Rollup, Vantage};
use crate::time::{SECOND, Span, Timestamp};
use crate::view::requests::{latency, took};
use sums::{ConnectionSums, RequestSums};

/// The length of a minute, in ns.
pub const MINUTE: i64 = 60 * SECOND;
/// How long after its end a minute is worth waiting for what becomes known late, in ns. Chosen: more than a live connection
/// lingers, and than a tick.
pub const LAG: i64 = 60 * SECOND;
/// Most rows for connections of a minute, one for each server.
pub const SERVERS: usize = 4096;
/// Most rows for requests of a minute.
pub const OPERATIONS: usize = 4096;
/// Most operations of one server and protocol in a minute.
pub const OF_SERVER: usize = 128;
/// Most rows of all minutes. Chosen: with histograms of a hundred buckets each, 64 MB.
pub const ROWS: usize = 16_384;
/// The operation of those that found no row of their own.
pub const OTHER: &str = "other";

/// Takes every record; gives the rows of minutes that are over.
#[derive(Clone, Debug, Default)]
pub struct Rollups {
    /// By number: start / [`MINUTE`].
    minutes: BTreeMap<i64, Minute>,
    /// Rows in all of them.
    rows: usize,
    parts: Parts,
    hits: Hits,
}

/// What found no row of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Hits {
    servers: u64,
    operations: u64,
    lost: u64,
}

#[derive(Clone, Debug, Default)]
struct Minute {
    servers: BTreeMap<Place, Server>,
    /// Rows for requests, in the order in which they began.
    requests: Vec<RequestSums>,
    /// How many of them name a server.
    operations: usize,
    /// Rows for connections that name one.
    connections: usize,
}

/// Whose rows, in the order in which they are given. As numbers, which are compared several times for each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    vantage: Vantage,
    /// 4 or 6; 0: those without a row of their own.
    family: u8,
    ip: u128,
    port: u64,
}

#[derive(Clone, Debug, Default)]
struct Server {
    connections: Option<Box<ConnectionSums>>,
    /// By protocol and operation, which of the minute's rows; an operation that its protocol does not name is empty.
    requests: BTreeMap<Protocol, BTreeMap<Box<str>, usize>>,
}

impl Place {
    fn of(vantage: Vantage, server: Option<ServerKey>) -> Place {
        let (family, ip, port) = match server {
            None => (0, 0, 0),
            Some((IpAddr::V4(ip), port)) => (4, u128::from(ip.to_bits()), port),
            Some((IpAddr::V6(ip), port)) => (6, ip.to_bits(), port),
        };
        Place {
            vantage,
            family,
            ip,
            port,
        }
    }

    fn server(&self) -> Option<ServerKey> {
        let ip = match self.family {
            0 => return None,
            6 => IpAddr::from(Ipv6Addr::from_bits(self.ip)),
            // The lower half of the lower half; the rest is zero.
            _ => IpAddr::from(Ipv4Addr::from_bits(self.ip as u32)),
        };
        Some((ip, self.port))
    }
}

impl Rollups {
    /// Counts one record, which became final at `at` by the engine clock: nothing ends later than it is known.
    pub fn add(&mut self, record: AnyRecord<'_>, at: Timestamp) {
        match record {
            AnyRecord::Handshake(handshake) => self.handshake(handshake, at),
            AnyRecord::Request(request) => self.request(&request.record(), at),
            AnyRecord::Connection(connection) => self.connection(connection, at),
        }
    }

    /// Counts one request.
    pub fn request(&mut self, request: &Request<'_>, at: Timestamp) {
        let server = (request.server_ip, request.server_port);
        let took = took(request).or_else(|| latency(request));
        let minute = minute_of(request.time, took.or(request.upload_us), at);
        let operation = request.operation.unwrap_or_default();
        let row = self.request_row(
            minute,
            request.vantage,
            Some(server),
            request.protocol,
            operation,
        );
        if let Some(row) = row {
            row.add(request);
        }
    }

    /// Counts one attempt.
    pub fn handshake(&mut self, handshake: &Handshake, at: Timestamp) {
        let server = (handshake.server_ip, handshake.server_port);
        let took = handshake.wait_us.or(handshake.handshake_us);
        let minute = minute_of(handshake.time, took, at);
        if let Some(row) = self.connection_row(minute, handshake.vantage, Some(server)) {
            row.attempt(handshake);
        }
    }

    /// Counts what is new in a record of a connection.
    pub fn connection(&mut self, connection: &Connection, at: Timestamp) {
        // Its attempt has told all that there is to tell.
        if connection.close == Close::Failed {
            return;
        }
        let server = (connection.server_ip, connection.server_port);
        let minute = minute_of(connection.time, connection.duration_us, at);
        let news = self.parts.news(connection);
        if let Some(row) = self.connection_row(minute, connection.vantage, Some(server)) {
            row.connection(connection, news);
        }
    }

    /// Counts what a row has counted.
    pub fn add_rollup(&mut self, rollup: &Rollup) {
        let minute = rollup.time.0.div_euclid(MINUTE);
        let server = rollup.server_ip.zip(rollup.server_port);
        if let Some(connections) = &rollup.connections
            && let Some(row) = self.connection_row(minute, rollup.vantage, server)
        {
            row.merge(connections, rollup.capture_losses);
        }
        if let (Some(requests), Some(protocol)) = (&rollup.requests, rollup.protocol) {
            let operation = rollup.operation.as_deref().unwrap_or_default();
            let row = self.request_row(minute, rollup.vantage, server, protocol, operation);
            if let Some(row) = row {
                row.merge(requests, rollup.capture_losses);
            }
        }
    }

    /// Counts all that `other` has counted and not given yet. What both know of connections in parts stays with each.
    pub fn merge(&mut self, mut other: Rollups) {
        self.hits.servers += other.hits.servers;
        self.hits.operations += other.hits.operations;
        self.hits.lost += other.hits.lost;
        other.take_until(Timestamp::MAX, &mut |rollup| self.add_rollup(&rollup));
    }

    /// Gives the rows of all minutes whose end is not after `until`, and forgets them; [`Timestamp::MAX`]: of all. In the order
    /// of minute, vantage, server (those without address first), and of a server connections, then protocols and operations.
    pub fn take_until(&mut self, until: Timestamp, each: &mut dyn FnMut(Rollup)) {
        let over = until.0.div_euclid(MINUTE);
        while let Some(entry) = self.minutes.first_entry() {
            if until != Timestamp::MAX && *entry.key() >= over {
                return;
            }
            let (number, mut minute) = entry.remove_entry();
            let time = Timestamp(number.saturating_mul(MINUTE));
            for (place, it) in minute.servers {
                let mut give = |rollup| {
                    self.rows = self.rows.saturating_sub(1);
                    each(rollup);
                };
                let bare = || sums::bare(time, place.vantage, place.server());
                if let Some(connections) = it.connections {
                    give(connections.rollup(bare()));
                }
                for (protocol, operations) in it.requests {
                    for (operation, row) in operations {
                        let name = Some(operation.into_string()).filter(|name| !name.is_empty());
                        let requests = std::mem::take(&mut minute.requests[row]);
                        give(requests.rollup(bare(), protocol, name));
                    }
                }
            }
        }
    }

    /// Whether rows have to be taken before more records come: what then finds no row is counted as `rollup_rows` only.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rows >= ROWS
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How often a bound was reached, for `health.limit_hits`: records of servers and of operations without a row of their own,
    /// records without any row, parts of connections that are counted later. Only what is not zero.
    #[must_use]
    pub fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        let hits = [
            ("rollup_servers", self.hits.servers),
            ("rollup_operations", self.hits.operations),
            ("rollup_rows", self.hits.lost),
            ("rollup_postponed_parts", self.parts.postponed),
        ];
        hits.into_iter().filter(|(_, hits)| *hits > 0).collect()
    }

    fn connection_row(
        &mut self,
        minute: i64,
        vantage: Vantage,
        mut server: Option<ServerKey>,
    ) -> Option<&mut ConnectionSums> {
        let is_full = self.is_full();
        let it = self.minutes.entry(minute).or_default();
        let is_known = |server| {
            let known = it.servers.get(&Place::of(vantage, server));
            known.is_some_and(|known| known.connections.is_some())
        };
        if server.is_some() && it.connections >= SERVERS && !is_known(server) {
            server = None;
            self.hits.servers += 1;
        }
        if !is_known(server) {
            if is_full {
                self.hits.lost += 1;
                return None;
            }
            self.rows += 1;
            it.connections += usize::from(server.is_some());
        }
        let place = Place::of(vantage, server);
        let row = it.servers.entry(place).or_default();
        Some(row.connections.get_or_insert_default())
    }

    fn request_row(
        &mut self,
        minute: i64,
        vantage: Vantage,
        mut server: Option<ServerKey>,
        protocol: Protocol,
        mut operation: &str,
    ) -> Option<&mut RequestSums> {
        let is_full = self.is_full();
        let it = self.minutes.entry(minute).or_default();
        let all = |server| {
            let known = it.servers.get(&Place::of(vantage, server));
            known.and_then(|known| known.requests.get(&protocol))
        };
        let row = |server, operation: &str| {
            let operations = all(server)?;
            operations.get(operation).copied()
        };
        let mut known = row(server, operation);
        if known.is_none() {
            if all(server).is_some_and(|operations| operations.len() >= OF_SERVER) {
                operation = OTHER;
                self.hits.operations += 1;
                known = row(server, operation);
            }
            if known.is_none() && server.is_some() && it.operations >= OPERATIONS {
                (server, operation) = (None, OTHER);
                self.hits.servers += 1;
                known = row(server, operation);
            }
        }
        let row = match known {
            Some(row) => row,
            None if is_full => {
                self.hits.lost += 1;
                return None;
            }
            None => {
                self.rows += 1;
                it.operations += usize::from(server.is_some());
                let of = it.servers.entry(Place::of(vantage, server)).or_default();
                let operations = of.requests.entry(protocol).or_default();
                operations.insert(operation.into(), it.requests.len());
                it.requests.push(RequestSums::default());
                it.requests.len() - 1
            }
        };
        it.requests.get_mut(row)
    }
}

/// The number of the minute in which something ended.
fn minute_of(time: Timestamp, took: Option<Span>, at: Timestamp) -> i64 {
    let ns = took.map_or(0, |span| i64::try_from(span.ns()).unwrap_or(i64::MAX));
    time.plus(ns).min(at).0.div_euclid(MINUTE)
}
