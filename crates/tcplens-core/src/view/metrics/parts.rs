//! What is new in a record of a connection. Parts of a long connection are cumulative, and the last record has all of it; so
//! what was counted of those that are still open is remembered, and only the difference is counted: a connection that lasts
//! for days shows in the hour in which it sent, and everything is counted once.
//!
//! Bounded: [`REMEMBERED`] open connections. A connection that finds no room is not counted yet; a later part finds room, or
//! its last record is counted whole. That is exact too, only late.

use std::collections::BTreeMap;

use crate::record::{Connection, ConnectionId, Sent};
use crate::view::ServerKey;

/// Most open connections of which something was counted. Chosen: at about 170 bytes each, 12 MB.
pub const REMEMBERED: usize = 65_536;

/// What one side of connections sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// See [`Sent::bytes`].
    pub payload_bytes: u64,
    /// See [`Sent::segments`].
    pub segments: u64,
    /// See [`Sent::data_segments`].
    pub data_segments: u64,
    /// See [`Sent::retransmits`].
    pub retransmits: u64,
    /// See [`Sent::fills_lost`].
    pub lost: u64,
    /// See [`Sent::resets`].
    pub resets: u64,
    /// See [`Sent::zero_windows`].
    pub zero_windows: u64,
    /// See [`Sent::zero_window_us`].
    pub zero_window_ns: u64,
}

impl From<&Sent> for Traffic {
    fn from(sent: &Sent) -> Traffic {
        Traffic {
            payload_bytes: sent.bytes,
            segments: sent.segments,
            data_segments: sent.data_segments,
            retransmits: sent.retransmits,
            lost: sent.fills_lost,
            resets: sent.resets,
            zero_windows: sent.zero_windows,
            zero_window_ns: sent.zero_window_us.ns(),
        }
    }
}

impl Traffic {
    /// Counts what `more` has.
    pub(super) fn add(&mut self, more: &Traffic) {
        self.each(more, u64::saturating_add);
    }

    fn less(mut self, earlier: &Traffic) -> Traffic {
        self.each(earlier, u64::saturating_sub);
        self
    }

    fn each(&mut self, other: &Traffic, with: impl Fn(u64, u64) -> u64) {
        let Traffic {
            payload_bytes,
            segments,
            data_segments,
            retransmits,
            lost,
            resets,
            zero_windows,
            zero_window_ns,
        } = self;
        *payload_bytes = with(*payload_bytes, other.payload_bytes);
        *segments = with(*segments, other.segments);
        *data_segments = with(*data_segments, other.data_segments);
        *retransmits = with(*retransmits, other.retransmits);
        *lost = with(*lost, other.lost);
        *resets = with(*resets, other.resets);
        *zero_windows = with(*zero_windows, other.zero_windows);
        *zero_window_ns = with(*zero_window_ns, other.zero_window_ns);
    }
}

/// What was counted of connections that are open.
#[derive(Clone, Debug, Default)]
pub(in crate::view) struct Parts {
    counted: BTreeMap<ConnectionId, (ServerKey, [Traffic; 2])>,
    /// Parts that found no room.
    pub(in crate::view) postponed: u64,
}

impl Parts {
    /// What the client and the server of a connection sent since its last record, as far as that can be said now.
    pub(in crate::view) fn news(&mut self, connection: &Connection) -> Option<[Traffic; 2]> {
        let all = [
            Traffic::from(&connection.client),
            Traffic::from(&connection.server),
        ];
        let id = connection.connection_id;
        // Most connections are reported whole.
        if connection.part.is_none() {
            return Some(all);
        }
        let server = (connection.server_ip, connection.server_port);
        let counted = if connection.is_final {
            self.counted.remove(&id)
        } else if self.counted.len() < REMEMBERED || self.counted.contains_key(&id) {
            self.counted.insert(id, (server, all))
        } else {
            self.postponed += 1;
            return None;
        };
        let Some((server_then, mut counted)) = counted else {
            return Some(all);
        };
        // Who is the client was guessed, and is known better now.
        if server_then != server {
            counted.reverse();
        }
        let [client, server] = all;
        Some([client.less(&counted[0]), server.less(&counted[1])])
    }
}
