//! Traffic made by numbers that look like chance and are the same in every run: SplitMix64, and Box and Muller's way from it
//! to the normal distribution.

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::*;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::compare::Period;

use super::view_records::{START, connection, failed, handshake};
use super::view_requests::request;

/// What one server is asked.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    pub server: &'static str,
    pub connections: u64,
    /// Of each connection.
    pub requests: u64,
    /// How much longer the server takes.
    pub factor: f64,
    /// Standard deviations of the logarithms of latency: of connections, of moments of 10 s, of requests.
    pub connection_level: f64,
    pub moment_level: f64,
    pub request_level: f64,
    /// Share of connections of which every request is an error; of fewer than 10 connections share of requests.
    pub errors: f64,
    /// Share of attempts that fail.
    pub failing: f64,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic {
            server: "10.0.0.1",
            connections: 60,
            requests: 15,
            factor: 1.0,
            connection_level: 0.3,
            moment_level: 0.1,
            request_level: 0.5,
            errors: 0.02,
            failing: 0.02,
        }
    }
}

/// A period of 300 s of it.
pub(crate) fn period(seed: u64, traffic: &Traffic) -> Period {
    let mut period = Period::default();
    let start = START.plus(i64::try_from(seed).unwrap() * 1000 * SECOND);
    traffic.run(seed, start, 300 * SECOND, |record| period.add(record));
    // Requests are no records that can be borrowed: they are taken one by one.
    traffic.requests(seed, start, 300 * SECOND, |request| period.request(request));
    period.covers(start, start.plus(300 * SECOND));
    period
}

pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5bd1_e995)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.share().max(1e-300), self.share());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

impl Traffic {
    /// Where connection `n` begins, and its seed.
    fn begins(&self, seed: u64, n: u64, start: Timestamp, length: i64) -> (Timestamp, Chance) {
        let mut chance = Chance::of(seed << 20 | n);
        let at = (chance.share() * length as f64 * 0.9) as i64;
        (start.plus(at), chance)
    }

    fn id(&self, n: u64, begin: Timestamp) -> ConnectionId {
        ConnectionId::Packets {
            first: begin,
            flow: n as u32,
        }
    }

    /// Attempts and connections.
    pub(crate) fn run(
        &self,
        seed: u64,
        start: Timestamp,
        length: i64,
        mut take: impl FnMut(AnyRecord<'_>),
    ) {
        for n in 0..self.connections {
            let (begin, mut chance) = self.begins(seed, n, start, length);
            let half = |chance: &mut Chance| {
                Some(Span::from_ns((10e6 * (0.2 * chance.normal()).exp()) as u64))
            };
            let mut attempt = Handshake {
                time: begin,
                connection_id: self.id(n, begin),
                handshake_us: half(&mut chance),
                ..handshake(0, "192.0.2.7", self.server, 80)
            };
            if chance.share() < self.failing {
                attempt = failed(Outcome::Refused, 1, attempt);
            }
            take(AnyRecord::Handshake(&attempt));
            let mut whole = Connection {
                time: begin,
                connection_id: self.id(n, begin),
                duration_us: Some(Span::from_ns(length.unsigned_abs() / 10)),
                ..connection(0, "192.0.2.7", self.server, 80)
            };
            whole.server.rtt_min_us = half(&mut chance);
            whole.client.rtt_min_us = half(&mut chance);
            // Loss comes in bursts: most connections have none.
            if chance.share() < 0.2 {
                whole.server.retransmits = chance.next() % 9;
            }
            take(AnyRecord::Connection(&whole));
        }
    }

    /// Requests.
    pub(crate) fn requests(
        &self,
        seed: u64,
        start: Timestamp,
        length: i64,
        mut take: impl FnMut(&Request<'_>),
    ) {
        let mut moments = Chance::of(!seed);
        let mut level = 0.0;
        let levels: Vec<f64> = (0..64)
            .map(|_| {
                level = 0.6 * level + 0.8 * moments.normal();
                level
            })
            .collect();
        for n in 0..self.connections {
            let (begin, mut chance) = self.begins(seed, n, start, length);
            let own = chance.normal() * self.connection_level;
            // Where there are few connections, what fails is not theirs.
            let is_failing = self.connections >= 10 && chance.share() < self.errors;
            let lasts = if self.connections < 10 {
                length
            } else {
                length / 10
            };
            for task in 0..self.requests {
                let after =
                    lasts * i64::try_from(task).unwrap() / i64::try_from(self.requests).unwrap();
                let offset = (begin.0 - start.0 + after) % length;
                let at = start.plus(offset);
                let moment = levels[usize::try_from(offset / (10 * SECOND)).unwrap() % 64];
                let log = own + moment * self.moment_level + chance.normal() * self.request_level;
                let is_error = is_failing || self.connections < 10 && chance.share() < self.errors;
                let server = (5e6 * self.factor * log.exp()) as u64;
                let total = Span::from_ns(server + 300_000);
                take(&Request {
                    time: at,
                    connection_id: self.id(n, begin),
                    operation: Some(["GET", "SET"][usize::from(chance.share() < 0.3)]),
                    protocol: Protocol::Redis,
                    status: if is_error { Status::Error } else { Status::Ok },
                    in_server_us: Some(Span::from_ns(server)),
                    in_client_us: Some(Span::from_ns(100_000)),
                    in_network_us: Some(Span::from_ns(100_000)),
                    in_transfer_us: Some(Span::from_ns(100_000)),
                    process_us: Some(Span::from_ns(server + 100_000)),
                    total_us: Some(total),
                    task: task + 1,
                    ..request(0, self.server, 80, 0)
                });
            }
        }
    }
}
