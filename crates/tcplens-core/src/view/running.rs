//! What was counted so far while a run goes on: what is answered to whoever asks. Bounded as its parts are. Not what is
//! wrong: see `Report`.

use std::collections::BTreeMap;

use super::{RequestSummary, Tallies};
use crate::batch::AnyRecord;
use crate::filter::tcpeek::HandshakeFilter;
use crate::record::{Close, Connection, ConnectionId, Sent};
use crate::time::Span;

/// Takes every record.
#[derive(Clone, Debug)]
pub struct Running {
    /// Attempts by filter.
    pub attempts: Tallies,
    /// Requests by server.
    pub requests: RequestSummary,
    /// Connections.
    pub connections: Connections,
}

impl Running {
    /// Nothing yet. Slow is what takes at least `slow_from`.
    #[must_use]
    pub fn new(
        filters: Vec<HandshakeFilter>,
        is_local_known: bool,
        slow_from: Option<Span>,
    ) -> Running {
        Running {
            attempts: Tallies::new(filters, is_local_known),
            requests: RequestSummary::new(slow_from),
            connections: Connections::default(),
        }
    }

    /// Counts one record.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Handshake(handshake) => {
                self.attempts.count(handshake);
            }
            AnyRecord::Request(request) => self.requests.add(&request.record()),
            AnyRecord::Connection(connection) => {
                let server = (connection.server_ip, connection.server_port);
                let has_requests = self.requests.server(server).is_some();
                self.connections.add(connection, has_requests);
            }
        }
    }
}

/// Most connections that are reported in parts of which the last part is remembered. Chosen: 6 MB. What is beyond it counts
/// when it is over.
const IN_PARTS: usize = 65_536;

/// Connections: how many ended and how, and what was sent on them, as far as it was reported. Of each pair the first is
/// what clients sent, the second what servers sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    closes: [u64; Close::ALL.len()],
    /// What was sent on all of them.
    pub sent: [Sums; 2],
    /// Segments with data to and from servers that had requests.
    pub request_segments: [u64; 2],
    /// What the last part said of those that go on: the counters of a part contain those of all before.
    in_parts: BTreeMap<ConnectionId, [Sums; 2]>,
}

/// What one side sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Payload, each byte once.
    pub bytes: u64,
    /// Segments with data.
    pub data_segments: u64,
    /// Segments with nothing new.
    pub retransmits: u64,
}

impl Connections {
    fn add(&mut self, connection: &Connection, has_requests: bool) {
        let now = [&connection.client, &connection.server].map(Sums::of);
        let id = connection.connection_id;
        let before = if connection.is_final {
            self.closes[connection.close as usize] += 1;
            self.in_parts.remove(&id).unwrap_or_default()
        } else if self.in_parts.len() < IN_PARTS || self.in_parts.contains_key(&id) {
            self.in_parts.insert(id, now).unwrap_or_default()
        } else {
            return;
        };
        for side in 0..2 {
            let new = now[side].since(before[side]);
            self.sent[side].add(new);
            if has_requests {
                let sum = &mut self.request_segments[side];
                *sum = sum.saturating_add(new.data_segments);
            }
        }
    }

    /// Connections that ended so.
    #[must_use]
    pub fn close(&self, close: Close) -> u64 {
        self.closes[close as usize]
    }

    /// All that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.closes.iter().sum()
    }
}

impl Sums {
    fn of(sent: &Sent) -> Sums {
        Sums {
            bytes: sent.bytes,
            data_segments: sent.data_segments,
            retransmits: sent.retransmits,
        }
    }

    fn since(self, earlier: Sums) -> Sums {
        Sums {
            bytes: self.bytes.saturating_sub(earlier.bytes),
            data_segments: self.data_segments.saturating_sub(earlier.data_segments),
            retransmits: self.retransmits.saturating_sub(earlier.retransmits),
        }
    }

    fn add(&mut self, more: Sums) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.data_segments = self.data_segments.saturating_add(more.data_segments);
        self.retransmits = self.retransmits.saturating_add(more.retransmits);
    }
}
