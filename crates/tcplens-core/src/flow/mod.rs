//! Connections and where they are kept: the flow, the table of flows, what is remembered of those that are gone.

pub mod gone;
pub mod table;

use crate::record::{Close, HandshakeOutcome, RoleFrom, Side as TapSide};
use crate::tcp::track::{Odds, Side};
use crate::time::Timestamp;
use crate::wire::segment::{FlowKey, Segment, Tunnel};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not in use.
    #[default]
    Vacant,
    /// The handshake is not decided.
    Opening,
    /// Established, or taken up in mid-connection.
    Open,
    /// Datagrams of UDP, not a connection.
    Datagrams,
    /// Over, and kept for a while for late segments.
    Closed,
}

/// One TCP connection. 288 bytes: what is rare lives behind `odd`, what only the handshake needs in the shard's openings.
#[derive(Clone, Debug)]
#[repr(C)] // What every segment touches comes first, and together.
pub struct Flow {
    /// Its two ends, VLAN and tunnel.
    pub key: FlowKey,
    /// Opening: when the attempt is decided. Open: engine clock of the latest segment. Closed: when it is let go.
    pub deadline: Timestamp,
    /// Capture time of its latest segment.
    pub last: Timestamp,
    /// Packet number of its latest segment.
    pub last_frame: u64,
    /// What each end sent: index 0 is the lower end of the key.
    pub sides: [Side; 2],
    /// Capture time of its first segment.
    pub first: Timestamp,
    /// Packet number of its first segment.
    pub first_frame: u64,
    /// Made when the first odd thing happens.
    pub odd: Odds,
    /// The undecided attempt's place in the shard's openings.
    pub opening: u32,
    /// Low half of the hash of `key`; the table's.
    pub hash: u32,
    /// Tick at which the next part is due; see `--active`.
    pub part_tick: u32,
    /// Segments seen a second time.
    pub duplicates: u32,
    /// The connection's place in the shard's exchanges.
    pub exchange: u32,
    /// Parts reported so far.
    pub parts: u16,
    /// Outermost VLAN id, 0 outside VLANs.
    pub vlan: u16,
    /// Innermost tunnel.
    pub tunnel: Tunnel,
    /// Which side is the client.
    pub client: u8,
    /// How that is known.
    pub role_from: RoleFrom,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its handshake's outcome, when decided.
    pub handshake: HandshakeOutcome,
    /// How it ended; `Open` until then.
    pub close: Close,
    /// Where the observation stands, by the handshake.
    pub tap_side: TapSide,
    /// The SYN-ACK came after the timeout.
    pub late: bool,
    /// It was seen in another VLAN or tunnel than that of `key` as well: its directions go different ways, or it is seen
    /// twice. Then a segment is its own by the ends alone.
    pub in_any_context: bool,
    /// Which side's RST closed it, in case it turns out to have been forged.
    pub reset_by: Option<u8>,
    /// Which side's FIN came first.
    pub first_fin: Option<u8>,
}

const _: () = assert!(
    size_of::<Flow>() <= 312,
    "a flow must fit the memory bound per connection"
);

/// The index of no exchange.
pub const NO_EXCHANGE: u32 = u32::MAX;

/// The index of no opening.
pub const NO_OPENING: u32 = u32::MAX;

impl Flow {
    /// Whether a segment of other VLANs or tunnels is one of this connection, by its numbers.
    #[must_use]
    pub fn fits(&self, seg: &Segment) -> bool {
        let [low, high] = &self.sides;
        let (side, peer) = if seg.from == 0 {
            (low, high)
        } else {
            (high, low)
        };
        side.fits(peer, seg)
    }

    /// Whether it is a flow of UDP datagrams.
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        self.phase == Phase::Datagrams
    }

    /// A flow slot that is not in use.
    #[must_use]
    pub fn vacant() -> Flow {
        Flow {
            key: FlowKey::default(),
            sides: [Side::default(); 2],
            first: Timestamp(0),
            last: Timestamp(0),
            deadline: Timestamp::MAX,
            first_frame: 0,
            last_frame: 0,
            odd: Odds::default(),
            opening: NO_OPENING,
            hash: 0,
            part_tick: 0,
            duplicates: 0,
            exchange: NO_EXCHANGE,
            parts: 0,
            vlan: 0,
            tunnel: Tunnel::None,
            client: 0,
            role_from: RoleFrom::Port,
            phase: Phase::Vacant,
            handshake: HandshakeOutcome::Missed,
            close: Close::Open,
            tap_side: TapSide::Unknown,
            late: false,
            in_any_context: false,
            reset_by: None,
            first_fin: None,
        }
    }
}
