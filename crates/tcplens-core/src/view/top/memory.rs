//! What details are made of: the latest attempts, requests and connections that ended. Bounded: see [`REMEMBERED`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::far::KINDS;
use super::{ConnectionLine, RequestLine};
use crate::record::{Connection, Handshake, Request};
use crate::time::Timestamp;
use crate::view::Series;
use crate::view::requests::budget;
use crate::view::series::{Asked, Attempt};

/// Most requests, attempts and connections that are remembered, of each. Chosen: 31 MB, 5 MB and 15 MB when all are there.
pub(super) const REMEMBERED: usize = 65_536;
/// Most lines of a detail. Chosen: more than a screen shows.
pub(super) const LINES: usize = 64;
/// Bytes of a summary that are kept.
const SUMMARY: usize = 128;

/// The numbers of the rows that something belongs to, by grouping.
pub(super) type Rows = [u32; KINDS];

#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    requests: Ring<(Rows, Asked, RequestLine)>,
    attempts: Ring<(Rows, Attempt)>,
    connections: Ring<(Rows, ConnectionLine)>,
}

/// The latest of something.
#[derive(Clone, Debug)]
struct Ring<T> {
    all: VecDeque<T>,
    /// When the latest of those that are forgotten became known.
    forgot: Option<Timestamp>,
    /// When those that are remembered did: by blocks of [`BLOCK`], the first of each.
    times: VecDeque<Timestamp>,
    /// All that ever came.
    count: usize,
}

/// Chosen: a 64th of a ring, so that times take little.
const BLOCK: usize = REMEMBERED / 64;

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Ring {
            all: VecDeque::new(),
            forgot: None,
            times: VecDeque::new(),
            count: 0,
        }
    }
}

impl<T> Ring<T> {
    /// Where it is full, a block is forgotten.
    fn push(&mut self, now: Timestamp, one: T) {
        if self.all.len() >= REMEMBERED {
            self.all.drain(..BLOCK);
            self.times.pop_front();
            // What was forgotten became known before.
            self.forgot = self.times.front().copied();
        }
        if self.count.is_multiple_of(BLOCK) {
            self.times.push_back(now);
        }
        self.count += 1;
        self.all.push_back(one);
    }
}

impl Memory {
    pub(super) fn request(&mut self, now: Timestamp, rows: Rows, request: &Request<'_>) {
        let asked = Asked::of(request);
        let line = RequestLine {
            id: request.connection_id,
            time: request.time,
            client: (request.client_ip, request.client_port),
            server: (request.server_ip, request.server_port),
            protocol: request.protocol,
            summary: Arc::from(cut(request.summary.unwrap_or_default())),
            status: request.status,
            took: asked.took.unwrap_or_default(),
            budget: budget(request),
            frame: request.request_frame,
        };
        self.requests.push(now, (rows, asked, line));
    }

    pub(super) fn attempt(&mut self, now: Timestamp, rows: Rows, handshake: &Handshake) {
        self.attempts.push(now, (rows, Attempt::of(handshake)));
    }

    pub(super) fn connection(&mut self, now: Timestamp, rows: Rows, line: ConnectionLine) {
        self.connections.push(now, (rows, line));
    }

    /// What happened when at one row.
    pub(super) fn series(&self, kind: usize, row: u32) -> Series {
        let mut series = Series::default();
        let is_of = |rows: &Rows| rows[kind] == row;
        let requests = self.requests.all.iter().filter(|(rows, ..)| is_of(rows));
        requests.for_each(|(_, asked, _)| series.asked(asked));
        let attempts = self.attempts.all.iter().filter(|(rows, _)| is_of(rows));
        attempts.for_each(|(_, attempt)| series.attempt(attempt));
        series
    }

    /// The slowest requests of a row; of equals the earlier ones.
    pub(super) fn slowest(&self, kind: usize, row: u32) -> Vec<RequestLine> {
        let all = self.requests.all.iter();
        let of_row = all.filter(|(rows, asked, _)| rows[kind] == row && asked.took.is_some());
        let mut lines: Vec<&RequestLine> = of_row.map(|(_, _, line)| line).collect();
        lines.sort_by_key(|line| (std::cmp::Reverse(line.took), line.time));
        lines.into_iter().take(LINES).cloned().collect()
    }

    /// The latest connections of a row that ended, the latest first.
    pub(super) fn latest(&self, kind: usize, row: u32) -> impl Iterator<Item = &ConnectionLine> {
        let all = self.connections.all.iter().rev();
        all.filter(move |(rows, _)| rows[kind] == row)
            .map(|(_, line)| line)
    }

    /// Since when all that became known is remembered; `None`: since the beginning.
    pub(super) fn whole_since(&self) -> Option<Timestamp> {
        let forgot = [
            self.requests.forgot,
            self.attempts.forgot,
            self.connections.forgot,
        ];
        forgot.into_iter().max().flatten()
    }
}

/// A connection as a line.
pub(super) fn line(connection: &Connection) -> ConnectionLine {
    ConnectionLine {
        id: connection.connection_id,
        time: connection.time,
        client: (connection.client_ip, connection.client_port),
        server: (connection.server_ip, connection.server_port),
        close: connection.close,
        duration: connection.duration_us,
        protocol: connection.protocol,
        requests: connection.requests,
        bytes: [connection.client.bytes, connection.server.bytes],
        retransmits: [connection.client.retransmits, connection.server.retransmits],
        server_rtt: connection.server.rtt_mean_us,
        frame: connection.first_frame,
    }
}

/// At most [`SUMMARY`] bytes of whole letters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(SUMMARY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
