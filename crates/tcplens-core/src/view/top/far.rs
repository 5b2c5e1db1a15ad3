//! Which row a record belongs to, and which of the two ends is the row's.

use std::net::IpAddr;
use std::sync::Arc;

use super::RowKey;
use crate::record::{Connection, Direction, End, GroupBy, Handshake, Request, Side, SocketOwner};

/// Groupings that there are.
pub(super) const KINDS: usize = GroupBy::ALL.len();

/// What of a record decides that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'a> {
    client: (IpAddr, u64),
    server: (IpAddr, u64),
    direction: Option<Direction>,
    tap_side: Side,
    owner: Option<&'a SocketOwner>,
}

impl<'a> Ends<'a> {
    pub(super) fn of_handshake(record: &'a Handshake) -> Ends<'a> {
        Ends {
            client: (record.client_ip, record.client_port),
            server: (record.server_ip, record.server_port),
            direction: record.direction,
            tap_side: record.tap_side,
            owner: record.owner.as_deref(),
        }
    }

    pub(super) fn of_request(record: &Request<'a>) -> Ends<'a> {
        Ends {
            client: (record.client_ip, record.client_port),
            server: (record.server_ip, record.server_port),
            direction: record.direction,
            tap_side: record.tap_side,
            owner: record.owner,
        }
    }

    pub(super) fn of_connection(record: &'a Connection) -> Ends<'a> {
        Ends {
            client: (record.client_ip, record.client_port),
            server: (record.server_ip, record.server_port),
            direction: record.direction,
            tap_side: record.tap_side,
            owner: record.owner.as_deref(),
        }
    }

    /// The row's end; the other one is the near end.
    pub(super) fn far(&self, by: GroupBy) -> End {
        let is_inbound = self.direction == Some(Direction::Inbound);
        match by {
            GroupBy::Client => End::Client,
            GroupBy::Server | GroupBy::Port => End::Server,
            GroupBy::Peer if is_inbound => End::Client,
            GroupBy::Peer => End::Server,
            // Of the kernel the socket is at the end where it was observed.
            GroupBy::Process | GroupBy::Container => match self.tap_side {
                Side::Server => End::Client,
                Side::Client => End::Server,
                Side::Both | Side::Middle | Side::Unknown if is_inbound => End::Client,
                Side::Both | Side::Middle | Side::Unknown => End::Server,
            },
        }
    }

    pub(super) fn key(&self, by: GroupBy) -> RowKey {
        match by {
            GroupBy::Peer => match self.far(by) {
                End::Client => RowKey::Ip(self.client.0),
                End::Server => RowKey::Ip(self.server.0),
            },
            GroupBy::Server => RowKey::Server(self.server.0, self.server.1),
            GroupBy::Client => RowKey::Ip(self.client.0),
            GroupBy::Port => RowKey::Port(self.server.1),
            GroupBy::Process => match self.owner.and_then(|owner| Some((owner, owner.pid?))) {
                Some((owner, pid)) => {
                    let name = owner.comm.as_deref().unwrap_or_default();
                    RowKey::Process(pid, Arc::from(name))
                }
                None => RowKey::Unknown,
            },
            GroupBy::Container => match self.owner {
                Some(SocketOwner {
                    container_id: Some(id),
                    ..
                }) => RowKey::Container(Arc::clone(id)),
                Some(owner) if owner.cgroup.is_some() || owner.pid.is_some() => {
                    RowKey::Container(Arc::from(""))
                }
                Some(_) | None => RowKey::Unknown,
            },
        }
    }
}
