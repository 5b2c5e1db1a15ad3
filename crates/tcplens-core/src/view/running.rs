//! What was counted so far while a run goes on: what is answered to whoever asks. Bounded as its parts are. Not what is
//! wrong: see `Report`.

use super::{RequestSummary, Tallies};
use crate::batch::AnyRecord;
use crate::filter::tcpeek::HandshakeFilter;
use crate::record::{Close, Connection};
use crate::time::Span;

/// Takes every record.
#[derive(Clone, Debug)]
pub struct Running {
    /// Attempts by filter.
    pub attempts: Tallies,
    /// Requests by server.
    pub requests: RequestSummary,
    /// Connections that are over.
    pub ended: Ended,
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
            ended: Ended::default(),
        }
    }

    /// Counts one record.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Handshake(handshake) => {
                self.attempts.count(handshake);
            }
            AnyRecord::Request(request) => self.requests.add(&request.record()),
            // The counters of a part are in those of the last.
            AnyRecord::Connection(connection) if connection.is_final => {
                let server = (connection.server_ip, connection.server_port);
                let has_requests = self.requests.server(server).is_some();
                self.ended.add(connection, has_requests);
            }
            AnyRecord::Connection(_) => {}
        }
    }
}

/// Connections that are over; of each pair the first is what clients sent, the second what servers sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    closes: [u64; Close::ALL.len()],
    /// Payload, each byte once.
    pub bytes: [u64; 2],
    /// Segments with data.
    pub data_segments: [u64; 2],
    /// Of these, with nothing new.
    pub retransmits: [u64; 2],
    /// Segments with data to and from servers that had requests.
    pub request_segments: [u64; 2],
}

impl Ended {
    fn add(&mut self, connection: &Connection, has_requests: bool) {
        self.closes[connection.close as usize] += 1;
        for (n, sent) in [&connection.client, &connection.server]
            .into_iter()
            .enumerate()
        {
            self.bytes[n] = self.bytes[n].saturating_add(sent.bytes);
            self.data_segments[n] = self.data_segments[n].saturating_add(sent.data_segments);
            self.retransmits[n] = self.retransmits[n].saturating_add(sent.retransmits);
            if has_requests {
                let sum = &mut self.request_segments[n];
                *sum = sum.saturating_add(sent.data_segments);
            }
        }
    }

    /// Connections that ended so.
    #[must_use]
    pub fn close(&self, close: Close) -> u64 {
        self.closes[close as usize]
    }

    /// All of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.closes.iter().sum()
    }
}
