//! `top`: destinations, each with what was seen of it within a window and since the beginning; what a screen of them asks for,
//! and what it is told. Rows are `peer` records. Takes every record; see `counting` for how.

use std::net::IpAddr;
use std::sync::Arc;

mod counting;
mod far;
mod group;
mod marks;
mod memory;
mod parts;
mod row;
mod show;
mod tally;

pub use counting::{ROWS, Top, TopSettings};
pub use marks::{Marks, PARTS, USUAL_MARKS, whole_of};
pub use show::share_of;

use super::Series;
use crate::filter::record::RecordFilter;
use crate::record::{Close, ConnectionId, GroupBy, Peer, Protocol, Status};
use crate::time::{Span, Timestamp};

/// A row's identity: what of a record it takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// By peer, by client.
    Ip(IpAddr),
    /// By server.
    Server(IpAddr, u64),
    /// By port.
    Port(u64),
    /// By process: its number and name.
    Process(u64, Arc<str>),
    /// By container: its id. Empty: not in one.
    Container(Arc<str>),
    /// Of records that do not tell.
    Unknown,
}

impl RowKey {
    /// The same in every run; not for keys that somebody chooses to be alike: then looking up takes longer, and nothing else.
    fn hash(&self) -> u64 {
        let of_ip = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => u64::from(u32::from(*ip)),
            IpAddr::V6(ip) => {
                let bits = u128::from(*ip);
                // Both halves.
                (bits >> 64) as u64 ^ (bits as u64).rotate_left(32)
            }
        };
        let bits = match self {
            RowKey::Ip(ip) => of_ip(ip),
            RowKey::Server(ip, port) => of_ip(ip) ^ port << 40,
            RowKey::Port(number) | RowKey::Process(number, _) => *number,
            RowKey::Container(id) => id.bytes().take(16).fold(0_u64, |all, byte| {
                u64::from(byte).wrapping_add(all.wrapping_mul(31))
            }),
            RowKey::Unknown => 0,
        };
        // Fibonacci hashing (Knuth, volume 3, section 6.4): the upper bits are well mixed.
        bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
    }
}

/// Which time the numbers are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// The sliding window.
    #[default]
    Window,
    /// Since the beginning.
    Start,
}

/// What a screen wants to see.
#[derive(Clone, Debug)]
pub struct TopQuery {
    /// What the rows are.
    pub by: GroupBy,
    /// Which time the numbers are of.
    pub over: Over,
    /// The field of `peer` that decides the order; what has none comes last, and of equals the lower key comes first.
    pub sort: &'static str,
    /// What decides is the share of its whole ([`whole_of`]) that the field is. Where there is none, that comes last.
    pub by_share: bool,
    /// The largest first.
    pub descending: bool,
    /// Which rows, by their fields.
    pub filter: Option<RecordFilter>,
    /// How many rows to pass over.
    pub skip: usize,
    /// How many rows at most.
    pub rows: usize,
    /// Row to tell more of.
    pub detail: Option<RowKey>,
}

/// What it is told.
#[derive(Clone, Debug)]
pub struct TopSnapshot {
    /// The engine clock then.
    pub at: Option<Timestamp>,
    /// Rows that pass the filter, of how many.
    pub passing: usize,
    /// All rows.
    pub known: usize,
    /// The rows asked for.
    pub rows: Vec<(RowKey, Peer)>,
    /// All rows together that pass the filter.
    pub totals: Peer,
    /// What found no room among the rows, if anything.
    pub others: Option<Peer>,
    /// Of the row that more was asked of.
    pub detail: Option<Detail>,
}

/// More of one row.
#[derive(Clone, Debug)]
pub struct Detail {
    /// Which.
    pub key: RowKey,
    /// The row itself, over the same time as the rest.
    pub peer: Peer,
    /// What happened when, of the requests that are remembered.
    pub series: Series,
    /// Its connections: those that are open, of those told of in parts, the latest first; then those that ended, the latest
    /// first. At most 64.
    pub connections: Vec<ConnectionLine>,
    /// Its slowest requests, the slowest first: at most 64.
    pub slowest: Vec<RequestLine>,
    /// Since when all requests and connections are remembered: what became known before found no room. Absent: all are.
    pub remembered_from: Option<Timestamp>,
}

/// A connection or attempt in a detail.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionLine {
    /// Joins it with records.
    pub id: ConnectionId,
    /// First segment.
    pub time: Timestamp,
    /// Client and server.
    pub client: (IpAddr, u64),
    /// The other end.
    pub server: (IpAddr, u64),
    /// How it ended.
    pub close: Close,
    /// First to last segment.
    pub duration: Option<Span>,
    /// What it speaks.
    pub protocol: Option<Protocol>,
    /// Requests on it.
    pub requests: Option<u64>,
    /// Payload of client and server.
    pub bytes: [u64; 2],
    /// Repeated segments of client and server.
    pub retransmits: [u64; 2],
    /// Mean round trip between here and the server.
    pub server_rtt: Option<Span>,
    /// First packet.
    pub frame: Option<u64>,
}

/// A request in a detail.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestLine {
    /// Joins it with records.
    pub id: ConnectionId,
    /// T0.
    pub time: Timestamp,
    /// Client and server.
    pub client: (IpAddr, u64),
    /// The other end.
    pub server: (IpAddr, u64),
    /// What it speaks.
    pub protocol: Protocol,
    /// What was asked for, cut at 128 bytes.
    pub summary: Arc<str>,
    /// How it went.
    pub status: Status,
    /// How long it took.
    pub took: Span,
    /// The time budget, in the order of `Verdict::ALL`.
    pub budget: Option<[Span; 7]>,
    /// Packet of T0.
    pub frame: Option<u64>,
}
