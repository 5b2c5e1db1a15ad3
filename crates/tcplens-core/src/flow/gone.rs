//! What is remembered of connections whose record was written: enough to tell their late segments, a SYN or SYN-ACK of an
//! attempt that was given up, and new data of one that was idle, from a new connection.
//!
//! Direct-mapped and small: a newer one takes the place of an older one. A late segment that is not recognised for it
//! begins a connection of its own, `handshake: missed`.

use super::Flow;
use crate::record::{Close, HandshakeOutcome, RoleFrom};
use crate::tcp::seq::Seq;
use crate::tcp::track::{Side, units};
use crate::time::{SECOND, Timestamp};
use crate::wire::segment::{Segment, flags};

/// How many are remembered by each of the 64 shards.
const REMEMBERED: usize = 64;

/// For how long, in ns: twice the maximum segment lifetime of RFC 9293 section 3.4.2.
const LATE: i64 = 240 * SECOND;

#[derive(Clone, Copy)]
struct Past {
    hash: u64,
    until: Timestamp,
    /// The sequence space that was seen of each side that was seen.
    seen: [Option<(Seq, Seq)>; 2],
    client: u8,
    role_from: RoleFrom,
    /// How its attempt failed, if it did.
    failed: Option<HandshakeOutcome>,
}

/// See the module.
pub struct Gone {
    past: Vec<Option<Past>>,
    /// A bit for each place with a failed attempt: most SYNs need to look no further.
    failed: u64,
}

impl Default for Gone {
    fn default() -> Self {
        Gone {
            past: vec![None; REMEMBERED],
            failed: 0,
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
    /// The SYN-ACK of an attempt that was concluded like this: the connection begins after all.
    SynAck(HandshakeOutcome),
    /// New data of a connection that was given up as idle: it goes on, with these roles.
    Resumed(u8, RoleFrom),
}

impl Gone {
    /// Remembers a connection.
    pub fn remember(&mut self, hash: u64, flow: &Flow, clock: Timestamp) {
        let seen = |side: &Side| side.started().then_some((side.low, side.high));
        let failed = (flow.close == Close::Failed).then_some(flow.handshake);
        let bit = 1 << slot(hash);
        self.failed = self.failed & !bit | if failed.is_some() { bit } else { 0 };
        self.past[slot(hash)] = Some(Past {
            hash,
            until: clock.plus(LATE),
            seen: [seen(&flow.sides[0]), seen(&flow.sides[1])],
            client: flow.client,
            role_from: flow.role_from,
            failed,
        });
    }

    /// What a segment without a connection is to one that is gone, if anything.
    #[must_use]
    pub fn recognise(&self, seg: &Segment) -> Option<Late> {
        let kind = seg.flags & (flags::SYN | flags::ACK | flags::RST);
        if kind == flags::SYN && self.failed >> slot(seg.hash) & 1 == 0 {
            return None;
        }
        let past = self.past[slot(seg.hash)].as_ref()?;
        if past.hash != seg.hash || seg.clock > past.until {
            return None;
        }
        let own = past.seen[usize::from(seg.from)];
        let begins = own.is_some_and(|(low, _)| low == Seq(seg.seq));
        match kind {
            flags::SYN => (past.failed.is_some() && begins).then_some(Late::Syn),
            both if both == flags::SYN | flags::ACK => {
                let (low, high) = past.seen[usize::from(past.client)]?;
                let ack = Seq(seg.ack);
                let answers = seg.from != past.client && low.before(ack) && ack.offset(high) <= 0;
                match past.failed {
                    Some(outcome) if answers && own.is_none() => Some(Late::SynAck(outcome)),
                    _ => begins.then_some(Late::Segment),
                }
            }
            _ => {
                let Some((low, high)) = own else {
                    // Of a side that was never seen only its answer to a late segment can come: a RST.
                    return (seg.flags & flags::RST != 0).then_some(Late::Segment);
                };
                let end = Seq(seg.seq).plus(units(seg));
                let last = high.plus(u32::from(seg.flags & flags::FIN != 0));
                let is_within = !Seq(seg.seq).before(low.minus(1)) && end.offset(last) <= 0;
                if is_within || seg.flags & flags::RST != 0 {
                    Some(Late::Segment)
                } else {
                    Some(Late::Resumed(past.client, past.role_from))
                }
            }
        }
    }
}

fn slot(hash: u64) -> usize {
    (hash >> 32) as usize % REMEMBERED
}
