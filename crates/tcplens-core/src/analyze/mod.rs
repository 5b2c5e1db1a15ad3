//! From what a shard knows of a flow to its records.

mod connection;
pub(crate) mod exchange;
mod handshake;

pub use connection::connection;
pub use handshake::{error_name, handshake};

use crate::record::{ConnectionId, Vantage};
use crate::roles::Roles;
use crate::time::Timestamp;
use crate::wire::key::HashKey;

/// What records are made with.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the observation is made.
    pub vantage: Vantage,
    /// Who is who.
    pub roles: Roles,
    /// `--timeout`, in ns.
    pub timeout: i64,
    /// When the ring last dropped packets.
    pub lost: Timestamp,
    id_key: HashKey,
}

impl Context {
    /// A context with a timeout in ns.
    #[must_use]
    pub fn new(vantage: Vantage, roles: Roles, timeout: i64) -> Context {
        Context {
            vantage,
            roles,
            timeout,
            lost: Timestamp::MIN,
            id_key: HashKey::new(0),
        }
    }

    /// The name of a connection.
    pub(crate) fn id(&self, flow: &crate::flow::Flow) -> ConnectionId {
        ConnectionId::Packets {
            first: flow.first,
            flow: self.id_key.name(&flow.key),
        }
    }

    /// Whether the ring dropped packets since a record's first.
    fn has_lost_since(&self, first: Timestamp) -> bool {
        self.lost >= first
    }

    fn frame(&self, frame: u64) -> Option<u64> {
        (self.vantage == Vantage::File).then_some(frame)
    }
}
