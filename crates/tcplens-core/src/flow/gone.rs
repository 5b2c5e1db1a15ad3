//! What is remembered of connections whose record was written: enough to tell a late segment of theirs, or a SYN of
//! an attempt that was given up, from a new connection.
//!
//! Direct-mapped and small: a newer one takes the place of an older one. A late segment that is not recognised for it
//! begins a connection of its own, `handshake: missed`.

use super::Flow;
use crate::tcp::seq::Seq;
use crate::tcp::track::units;
use crate::time::{SECOND, Timestamp};
use crate::wire::segment::{Segment, flags};

/// How many are remembered by each of the 64 shards.
const REMEMBERED: usize = 128;

/// For how long: twice the maximum segment lifetime of RFC 9293 section 3.4.2.
const LATE: u64 = 240 * SECOND as u64;

#[derive(Clone, Copy, Default)]
struct Past {
    hash: u64,
    until: Timestamp,
    high: [Seq; 2],
    /// One past the SYN of the client, if it was never established.
    failed_syn: Option<(u8, Seq)>,
}

/// See the module.
pub struct Gone {
    past: Vec<Past>,
}

impl Default for Gone {
    fn default() -> Self {
        Gone {
            past: vec![Past::default(); REMEMBERED],
        }
    }
}

/// What a segment without a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// A SYN of an attempt that was concluded.
    Syn,
    /// A segment of a connection that was reported.
    Segment,
}

impl Gone {
    /// Remembers a connection. `failed_isn` is the client's initial sequence number if its attempt failed.
    pub fn remember(&mut self, hash: u64, flow: &Flow, failed_isn: Option<u32>, clock: Timestamp) {
        self.past[slot(hash)] = Past {
            hash,
            until: clock.plus(LATE.cast_signed()),
            high: [flow.sides[0].high, flow.sides[1].high],
            failed_syn: failed_isn.map(|isn| (flow.client, Seq(isn))),
        };
    }

    /// Whether a segment without a connection belongs to one that is gone.
    #[must_use]
    pub fn recognise(&self, seg: &Segment) -> Option<Late> {
        let past = &self.past[slot(seg.hash)];
        if past.hash != seg.hash || seg.clock > past.until {
            return None;
        }
        if seg.flags & (flags::SYN | flags::ACK | flags::RST) == flags::SYN {
            return (past.failed_syn == Some((seg.from, Seq(seg.seq)))).then_some(Late::Syn);
        }
        let end = Seq(seg.seq).plus(units(seg));
        let known = end.offset(past.high[usize::from(seg.from)].plus(1)) <= 0;
        (known || seg.flags & flags::RST != 0).then_some(Late::Segment)
    }
}

fn slot(hash: u64) -> usize {
    (hash >> 32) as usize % REMEMBERED
}
