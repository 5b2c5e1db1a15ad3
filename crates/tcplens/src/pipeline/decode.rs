//! From packets to the lanes' work: the gate, and the engine's front. Keeps what a view wants to see of packets.

use std::ops::Range;
use std::sync::Arc;

use tcplens_core::batch::Moment;
use tcplens_core::engine::{Front, Transport, Work, link_of};
use tcplens_core::packet::{Batch, Lent, LinkType, Packet};
use tcplens_core::wire::segment::Segment;

use crate::gate::Gate;
use crate::observe::{Packets, Plan};

/// Gate and front.
pub(super) struct Decode {
    pub gate: Gate,
    pub front: Front,
    /// Link type of the latest packet.
    pub link: Option<LinkType>,
    /// For the view.
    pub keeps_packets: bool,
    /// Whether the lanes read payload.
    pub is_payload_read: bool,
}

impl Decode {
    /// For what the view wants to see.
    pub(super) fn new(plan: &Plan, gate: Gate, packets: Packets) -> Decode {
        let mut front = Front::new(plan.decode);
        let keeps_packets = packets != Packets::None;
        if keeps_packets {
            front.keep_latest();
        } else if plan.settings.reads_payload() {
            front.keep_packets();
        }
        Decode {
            gate,
            front,
            link: None,
            keeps_packets,
            is_payload_read: plan.settings.reads_payload(),
        }
    }

    /// Decodes the packets of a batch into the lanes' work; `kept` gets those that the view will see.
    #[inline(never)] // Of its own, so that its loop has the registers.
    pub(super) fn batch(&mut self, batch: &Lent<'_>, work: &mut [Work], kept: &mut Kept) {
        if let [only] = work {
            only.segments.reserve(batch.packets.len());
            // A loop of its own, in which there is nothing to choose.
            self.packets(batch, std::slice::from_mut(only), kept);
        } else {
            // Nearly what each will get, so that the lists need not double: eight of them are a large part of the memory.
            let share = batch.packets.len() / work.len().max(1);
            for lane in work.iter_mut() {
                lane.segments.reserve(share + share / 3);
            }
            self.packets(batch, work, kept);
        }
        if let Some(packet) = batch.packets.last() {
            self.link = Some(link_of(batch.interfaces, packet));
        }
    }

    #[inline(always)]
    fn packets(&mut self, batch: &Lent<'_>, work: &mut [Work], kept: &mut Kept) {
        for packet in batch.packets {
            let link = link_of(batch.interfaces, packet);
            if self.gate.takes(batch, packet, link) {
                self.front.packet(batch.bytes, packet, link, work);
                if self.keeps_packets {
                    kept.take(&self.front, batch, packet);
                }
            } else {
                self.front.leave_out();
            }
        }
    }
}

/// The packets of a batch for a view that looks at packets.
#[derive(Default)]
pub(super) struct Kept {
    pub packets: Vec<KeptPacket>,
    /// Payloads that are nowhere in the batch: reassembled ones.
    pub payloads: Vec<u8>,
    /// The batch itself: its bytes and interfaces.
    pub batch: Option<Arc<Batch>>,
}

pub(super) struct KeptPacket {
    pub transport: Transport,
    pub segment: Segment,
    pub wire_length: u32,
    /// Where its payload is in `payloads`; else it is in the batch.
    pub payload: Option<Range<usize>>,
}

impl Kept {
    #[inline(never)] // So that the registers are for those who want none of it.
    fn take(&mut self, front: &Front, batch: &Lent<'_>, packet: &Packet) {
        let Some((transport, segment)) = front.latest() else {
            return;
        };
        let payload = (segment.payload_at == 0).then(|| {
            let from = self.payloads.len();
            self.payloads
                .extend_from_slice(front.payload(batch.bytes, &segment));
            from..self.payloads.len()
        });
        self.packets.push(KeptPacket {
            transport,
            segment,
            wire_length: packet.length,
            payload,
        });
    }

    /// Empties it, keeping its memory.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.payloads.clear();
        self.batch = None;
    }
}

impl KeptPacket {
    pub(super) fn moment(&self) -> Moment {
        Moment {
            clock: self.segment.clock,
            frame: self.segment.frame,
        }
    }
}
