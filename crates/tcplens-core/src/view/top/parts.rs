//! Connections that are reported in parts: what the last part said, for the counters of a part contain those of all before;
//! and in which rows it is open.

use super::ConnectionLine;
use super::far::KINDS;
use super::group::Index;
use crate::record::{Connection, End, Sent, Vantage};
use crate::time::Timestamp;

/// Most connections in parts whose last part is remembered. Chosen: 14 MB; with details 14 MB more. What is beyond it counts
/// when it is over.
pub(super) const IN_PARTS: usize = 65_536;

/// What was counted of a connection so far. Of each pair the first is the client's; of a difference the near end's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) bytes: [u64; 2],
    /// Round trips that were measured between here and this end.
    pub(super) rtt_samples: [u64; 2],
    pub(super) rtt_sum_ns: [u64; 2],
    pub(super) data_segments: u64,
    pub(super) retransmits: u64,
    pub(super) reordered: u64,
    pub(super) zero_windows: u64,
    pub(super) missing_bytes: u64,
}

impl Sums {
    pub(super) fn of(connection: &Connection) -> Sums {
        let ends = [&connection.client, &connection.server];
        let both = |of: fn(&Sent) -> u64| of(ends[0]).saturating_add(of(ends[1]));
        let rtt = |sent: &Sent| match sent.rtt_mean_us {
            Some(mean) => (sent.rtt_samples, mean.ns().saturating_mul(sent.rtt_samples)),
            None => (0, 0),
        };
        let [client, server] = ends.map(rtt);
        Sums {
            bytes: ends.map(|sent| sent.bytes),
            rtt_samples: [client.0, server.0],
            rtt_sum_ns: [client.1, server.1],
            data_segments: both(|sent| sent.data_segments),
            retransmits: both(|sent| sent.retransmits),
            reordered: both(|sent| sent.fills_reordered),
            zero_windows: both(|sent| sent.zero_windows),
            missing_bytes: both(|sent| sent.missing_bytes),
        }
    }

    /// What came since.
    pub(super) fn since(&self, earlier: &Sums) -> Sums {
        let pair = |now: [u64; 2], then: [u64; 2]| {
            [
                now[0].saturating_sub(then[0]),
                now[1].saturating_sub(then[1]),
            ]
        };
        Sums {
            bytes: pair(self.bytes, earlier.bytes),
            rtt_samples: pair(self.rtt_samples, earlier.rtt_samples),
            rtt_sum_ns: pair(self.rtt_sum_ns, earlier.rtt_sum_ns),
            data_segments: self.data_segments.saturating_sub(earlier.data_segments),
            retransmits: self.retransmits.saturating_sub(earlier.retransmits),
            reordered: self.reordered.saturating_sub(earlier.reordered),
            zero_windows: self.zero_windows.saturating_sub(earlier.zero_windows),
            missing_bytes: self.missing_bytes.saturating_sub(earlier.missing_bytes),
        }
    }

    /// With its ends exchanged.
    pub(super) fn swapped(mut self) -> Sums {
        for pair in [&mut self.bytes, &mut self.rtt_samples, &mut self.rtt_sum_ns] {
            pair.swap(0, 1);
        }
        self
    }

    /// The kernel tells a smoothed round trip to the far end: one of each record with news.
    pub(super) fn with_smoothed(mut self, connection: &Connection, far: End) -> Sums {
        let path = connection.path.as_ref().and_then(|path| path.rtt_us);
        if let (Vantage::Kernel, Some(rtt)) = (connection.vantage, path) {
            let far = far as usize;
            self.rtt_samples[far] = 1;
            self.rtt_sum_ns[far] = rtt.ns();
        }
        self
    }
}

/// A connection that goes on.
#[derive(Clone, Debug)]
pub(super) struct InParts {
    /// When its last part came.
    pub(super) told: Timestamp,
    pub(super) sums: Sums,
    /// Whether the client was the end with the lower address and port: who is who may turn out later.
    pub(super) is_client_lower: bool,
    pub(super) requests: u64,
    pub(super) has_capture_loss: bool,
    /// By grouping, in the order of `Top`: where it is open.
    pub(super) rows: [Index; KINDS],
    /// As it stands, where details are asked for.
    pub(super) line: Option<Box<ConnectionLine>>,
}

pub(super) fn is_client_lower(connection: &Connection) -> bool {
    (connection.client_ip, connection.client_port) < (connection.server_ip, connection.server_port)
}
