//! What is kept of a packet for who looks at packets themselves (scripts): UDP datagrams, which make no segment, and the
//! bytes of reassembled datagrams, which are nowhere in the batch. Nothing is kept unless it is asked for.

use super::decode::Wrapping;
use super::ip::Ip;
use super::key::{self, HashKey};
use super::segment::Segment;
use super::view::{View, be16};
use crate::time::Timestamp;

// RFC 768:
//
// |          Source Port          |       Destination Port        |
// |            Length             |           Checksum            |
const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const LENGTH: usize = 4;
const HEADER: u32 = 8;

/// See the module; of the latest packet.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Whether anything is to be kept.
    pub(super) is_wanted: bool,
    /// The innermost UDP datagram, in those fields of a segment that UDP has too.
    pub(super) datagram: Option<Segment>,
    /// The latest reassembled datagram.
    pub(super) reassembled: Vec<u8>,
    /// Where in it the payload begins.
    pub(super) payload_at: u32,
}

impl Kept {
    /// Notes a UDP datagram; `view` begins at its header.
    #[inline(never)]
    pub(super) fn udp(
        &mut self,
        view: View<'_>,
        key: &HashKey,
        time: Timestamp,
        ip: &Ip,
        wrapping: &Wrapping,
    ) {
        self.datagram = None;
        let Some(header) = view.head::<{ HEADER as usize }>() else {
            return;
        };
        let length = u32::from(be16(header, LENGTH));
        // 0: a jumbogram, or segmentation left to the network card.
        let whole = if length < HEADER {
            view
        } else {
            view.limit(length)
        };
        let Some(payload) = whole.skip(HEADER) else {
            return;
        };
        let mut out = Segment {
            time,
            payload_length: payload.length,
            payload_captured: payload.captured().min(payload.length),
            payload_at: if payload.in_batch { payload.at } else { 0 },
            interface: wrapping.interface,
            vlan: wrapping.vlan,
            tunnel: wrapping.tunnel,
            ttl: ip.ttl,
            ..Segment::default()
        };
        self.payload_at = payload.at;
        let source = (ip.source, be16(header, SOURCE_PORT));
        let destination = (ip.destination, be16(header, DESTINATION_PORT));
        key::fill(&mut out, key, source, destination, wrapping.context);
        self.datagram = Some(out);
    }

    /// The captured payload of the latest packet's segment or datagram.
    pub(super) fn payload<'a>(&'a self, batch_bytes: &'a [u8], of: &Segment) -> &'a [u8] {
        // Headers come before the payload: at 0 it is nowhere in the batch.
        let (bytes, at, length) = if of.payload_at > 0 {
            (batch_bytes, of.payload_at, of.payload_captured)
        } else {
            (
                self.reassembled.as_slice(),
                self.payload_at,
                of.payload_length,
            )
        };
        let from = bytes.get(at as usize..).unwrap_or_default();
        from.get(..length as usize).unwrap_or(from)
    }
}
