//! The pipeline, on one screen: packets go in, records come out in order.
//!
//! [`Front`] decodes and stamps, [`Lane`] runs a share of the shards, [`Merge`] brings their records into one order.
//! [`Engine`] is all three in one, for tests and small uses; the binary's pipeline puts the same pieces on any number of
//! threads. The records are the same.

mod merge;
mod segments;

use std::cmp::Reverse;

pub use self::merge::Merge;
pub use self::segments::Segments;
use crate::batch::{AnyRecord, Moment, Place, Records};
use crate::flow;
use crate::packet::{Batch, Interface, LinkType, Packet};
use crate::pending::Pending;
use crate::shard::{Counts, Owner, SHARDS, Settings, Shard};
use crate::share::{Moved, owner};
use crate::time::Timestamp;
use crate::wire::segment::{IcmpError, Payloads, Segment, Tunnel, has};
use crate::wire::{DecodeCounts, DecodeSettings, Decoded, Decoder};

/// What one lane has to do for one batch.
#[derive(Default)]
pub struct Work {
    /// Segments in input order. One with [`ICMP`] in `has` stands for `icmp[payload_at]`.
    pub segments: Segments,
    /// ICMP errors.
    pub icmp: Vec<IcmpError>,
    /// Payload that is not in the batch: of reassembled datagrams.
    reassembled: Vec<u8>,
}

/// Bit of [`Segment::has`]: see [`Work::segments`].
pub const ICMP: u8 = 0x80;

impl Work {
    /// Where the payloads of its segments lie; `bytes` are those of the batch.
    #[inline]
    #[must_use]
    pub fn payloads<'a>(&'a self, bytes: &'a [u8]) -> Payloads<'a> {
        Payloads {
            batch: bytes,
            reassembled: &self.reassembled,
        }
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.reassembled.clear();
        self.segments.clear();
        self.icmp.clear();
    }
}

/// What carries a packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// From packets to segments on their lanes: decoding, packet numbers, the engine clock.
pub struct Front {
    decoder: Decoder,
    /// Where a segment is decoded that is not as most are; reused, for decoding writes all of it.
    segment: Segment,
    /// Every segment is decoded there, for [`latest`](Self::latest).
    tells_latest: bool,
    /// Which of how many threads it is on: the flows of the others are theirs.
    share: (usize, usize),
    /// What belongs to others, to be handed to them.
    pub moved: Vec<Moved>,
    /// Packets read so far, those that were left out included.
    frame: u64,
    /// Packets that were passed over.
    left_out: u64,
    /// The largest capture time so far, in input order.
    pub clock: Timestamp,
    /// Bytes on the wire of the packets taken so far.
    pub bytes: u64,
    /// Packets with an earlier time than one before them.
    pub time_reversals: u64,
    /// Time of the latest packet.
    last: Timestamp,
}

impl Front {
    /// Before any packet.
    #[must_use]
    pub fn new(settings: DecodeSettings) -> Front {
        Front {
            decoder: Decoder::new(settings),
            segment: Segment::default(),
            tells_latest: false,
            share: (0, 1),
            moved: Vec::new(),
            frame: 0,
            left_out: 0,
            clock: Timestamp::MIN,
            bytes: 0,
            time_reversals: 0,
            last: Timestamp::MIN,
        }
    }

    /// It is one of several on threads of their own, `me` of `of`.
    pub fn share(&mut self, me: usize, of: usize) {
        self.share = (me, of);
    }

    /// Takes over what another thread has read of this one's flows.
    pub fn adopt(&mut self, moved: Moved, lanes: &mut [Work]) {
        let Moved {
            mut segment,
            icmp,
            payload,
            ..
        } = moved;
        // It comes now, whenever it was seen.
        segment.clock = self.clock.max(segment.clock);
        segment.frame = self.frame;
        let work = lane(lanes, segment.hash);
        if let Some(mut error) = icmp {
            error.quoted = segment;
            segment.has = ICMP;
            segment.payload_at = work.icmp.len() as u32;
            work.icmp.push(error);
        } else if !payload.is_empty() {
            segment.has |= has::REASSEMBLED;
            segment.payload_at = work.reassembled.len() as u32;
            segment.payload_captured = payload.len() as u32;
            work.reassembled.extend_from_slice(&payload);
        }
        work.segments.push(segment);
    }

    /// Time goes on without packets: none that is earlier is to be expected.
    pub fn tick(&mut self, clock: Timestamp) {
        self.clock = self.clock.max(clock);
    }

    /// Passes over a packet: it only has a number.
    #[inline]
    pub fn leave_out(&mut self) {
        self.frame += 1;
        self.left_out += 1;
    }

    /// Packets that were passed over.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Packets taken so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.frame - self.left_out
    }

    /// Time of the latest packet that was taken.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        (self.packets() > 0).then_some(self.last)
    }

    /// Decodes a packet and hands its segment to its lane; `lanes` are always as many, a power of two, [`SHARDS`] at most.
    #[inline(always)]
    pub fn packet(&mut self, bytes: &[u8], packet: &Packet, link: LinkType, lanes: &mut [Work]) {
        self.frame += 1;
        self.bytes += u64::from(packet.length);
        if packet.time >= self.clock {
            self.clock = packet.time;
        } else {
            self.time_reversals += 1;
        }
        self.last = packet.time;
        if !self.tells_latest
            && let Some(usual) = self.decoder.usual(bytes, packet, link)
        {
            // It has no VLAN tag: whose it is, the kernel's program told as we would.
            let segments = &mut lanes[lane_of(usual.hash(), lanes.len())].segments;
            // Room is made in the other way, so that this one is short.
            let (clock, frame) = (self.clock, self.frame);
            if segments.add(|place| usual.write(packet, clock, frame, place)) {
                self.decoder.count_usual(packet);
                return;
            }
        }
        self.unusual(bytes, packet, link, lanes);
    }

    #[inline(never)]
    fn unusual(&mut self, bytes: &[u8], packet: &Packet, link: LinkType, lanes: &mut [Work]) {
        // What is as usual comes here to be told, or for room in its lane.
        let decoded = if self.tells_latest {
            self.decoder.decode(bytes, packet, link, &mut self.segment)
        } else {
            let segment = &mut self.segment;
            self.decoder.decode_unusual(bytes, packet, link, segment)
        };
        match decoded {
            Decoded::Segment => {
                self.segment.clock = self.clock;
                self.segment.frame = self.frame;
                if self.segment.payload_at == 0 && self.segment.payload_length > 0 {
                    if let Some(to) = self.other_owner(&self.segment) {
                        let payload = self.decoder.payload(bytes, &self.segment);
                        self.moved.push(Moved {
                            to,
                            segment: self.segment,
                            icmp: None,
                            payload: payload.to_vec(),
                        });
                        return;
                    }
                    self.hand_on(self.segment, bytes, lanes);
                } else if self.share.1 > 1 && self.segment.vlan != 0 {
                    self.tagged(bytes, lanes);
                } else {
                    lane(lanes, self.segment.hash).segments.push(self.segment);
                }
            }
            Decoded::Icmp(error) => self.icmp(error, lanes),
            Decoded::Other if self.decoder.datagram().is_some() => self.datagram(bytes, lanes),
            Decoded::Other => {}
        }
    }

    /// A segment with a VLAN tag: whether the kernel looked behind it depends on the direction and on the network card.
    #[cold]
    fn tagged(&mut self, bytes: &[u8], lanes: &mut [Work]) {
        let segment = self.segment;
        let Some(to) = self.other_owner(&segment) else {
            lane(lanes, segment.hash).segments.push(segment);
            return;
        };
        let payload = self.decoder.payload(bytes, &segment).to_vec();
        self.moved.push(Moved {
            to,
            segment,
            icmp: None,
            payload,
        });
    }

    /// Hands on the UDP datagram that the latest packet was.
    #[inline(never)]
    fn datagram(&mut self, bytes: &[u8], lanes: &mut [Work]) {
        let Some(datagram) = self.decoder.datagram() else {
            return;
        };
        let mut segment = Segment {
            clock: self.clock,
            frame: self.frame,
            ..*datagram
        };
        segment.has |= has::DATAGRAM;
        self.hand_on(segment, bytes, lanes);
    }

    /// Puts a segment into its lane, with its payload if that is nowhere in the batch.
    fn hand_on(&mut self, mut segment: Segment, bytes: &[u8], lanes: &mut [Work]) {
        let work = lane(lanes, segment.hash);
        if segment.payload_at == 0 && segment.payload_length > 0 {
            let payload = self.decoder.payload(bytes, &segment);
            segment.has |= has::REASSEMBLED;
            segment.payload_at = work.reassembled.len() as u32;
            segment.payload_captured = payload.len() as u32;
            work.reassembled.extend_from_slice(payload);
        }
        work.segments.push(segment);
    }

    #[cold]
    fn icmp(&mut self, mut error: IcmpError, lanes: &mut [Work]) {
        error.quoted.clock = self.clock;
        error.quoted.frame = self.frame;
        if let Some(to) = self.other_owner(&error.quoted) {
            self.moved.push(Moved {
                to,
                segment: error.quoted,
                icmp: Some(error),
                payload: Vec::new(),
            });
            return;
        }
        let work = lane(lanes, error.quoted.hash);
        let mark = Segment {
            has: ICMP,
            payload_at: work.icmp.len() as u32,
            ..error.quoted
        };
        work.icmp.push(error);
        work.segments.push(mark);
    }

    /// The thread that has a segment's flow, if it is another.
    fn other_owner(&self, segment: &Segment) -> Option<usize> {
        let (me, of) = self.share;
        if of == 1 || segment.tunnel != Tunnel::None {
            return None;
        }
        Some(owner(&segment.flow, of)).filter(|to| *to != me)
    }

    /// Keeps UDP datagrams, and what is reassembled: what requests are read from, and what [`payload`](Self::payload)
    /// tells.
    pub fn keep_packets(&mut self) {
        self.decoder.keep_packets();
    }

    /// Keeps packets, and [`latest`](Self::latest) as well.
    pub fn keep_latest(&mut self) {
        self.decoder.keep_packets();
        self.tells_latest = true;
    }

    /// What the packet was that was just decoded, told as a segment; `None` if it was neither TCP nor UDP. Only of a
    /// front that was told to [`keep_latest`](Self::keep_latest).
    #[must_use]
    pub fn latest(&self) -> Option<(Transport, Segment)> {
        // Only a packet that gave a segment sets the frame of the one that is reused.
        if self.segment.frame == self.frame {
            return Some((Transport::Tcp, self.segment));
        }
        let datagram = self.decoder.datagram()?;
        let stamped = Segment {
            clock: self.clock,
            frame: self.frame,
            ..*datagram
        };
        Some((Transport::Udp, stamped))
    }

    /// The captured payload of [`latest`](Self::latest). `bytes` are those of its batch.
    #[must_use]
    pub fn payload<'a>(&'a self, bytes: &'a [u8], of: &Segment) -> &'a [u8] {
        self.decoder.payload(bytes, of)
    }

    /// Before every record that comes of packets yet to be read.
    #[must_use]
    pub fn watermark(&self) -> Place {
        Place::after(self.clock, self.frame)
    }

    /// The input is over: fragments that wait for others are counted.
    pub fn finish(&mut self) {
        self.decoder.finish();
    }

    /// What decoding counted.
    #[must_use]
    pub fn counts(&self) -> &DecodeCounts {
        self.decoder.counts()
    }
}

/// Which of a power of two of lanes has the flow of this hash: its shard's number modulo theirs.
#[inline(always)]
fn lane_of(hash: u64, lanes: usize) -> usize {
    debug_assert!(lanes.is_power_of_two() && lanes <= SHARDS);
    shard_of(hash) & (lanes - 1)
}

/// The work of the lane that has the flow of this hash.
fn lane(lanes: &mut [Work], hash: u64) -> &mut Work {
    let of = lane_of(hash, lanes.len());
    &mut lanes[of]
}

#[inline]
fn shard_of(hash: u64) -> usize {
    (hash >> 58) as usize
}

/// A share of the shards: those whose number modulo the number of lanes is this lane's.
pub struct Lane {
    /// Bits of a shard's number that tell its lane.
    bits: u32,
    shards: Vec<Shard>,
    /// What is left at the end, the last to be ended first: first packet, shard, place.
    ending: Vec<(u64, u8, flow::table::Place)>,
    /// What they made and nobody took yet.
    pub records: Records,
}

impl Lane {
    /// One of `lanes`.
    #[must_use]
    pub fn new(settings: &Settings, lanes: usize) -> Lane {
        let shards = (0..SHARDS / lanes).map(|_| Shard::new(settings)).collect();
        Lane {
            bits: lanes.trailing_zeros(),
            shards,
            ending: Vec::new(),
            records: Records::default(),
        }
    }

    /// Runs the segments of a batch through their shards.
    /// `bytes` are those of the batch.
    #[inline(never)] // Of its own, so that its loop has the registers.
    pub fn run(&mut self, work: &Work, bytes: &[u8]) {
        let payloads = work.payloads(bytes);
        let mut segments = work.segments.iter();
        let mut next = segments.next();
        let mut next_candidate = next.and_then(|next| self.shard(next).candidate(next));
        while let Some(segment) = next {
            let candidate = next_candidate;
            next = segments.next();
            next_candidate = next.and_then(|next| self.shard(next).candidate(next));
            let shard = &mut self.shards[shard_of(segment.hash) >> self.bits];
            if segment.has & (ICMP | has::DATAGRAM) == 0 {
                shard.segment(segment, candidate, payloads, &mut self.records);
            } else {
                other(shard, segment, work, payloads, &mut self.records);
            }
        }
    }

    #[inline(always)]
    fn shard(&self, of: &Segment) -> &Shard {
        &self.shards[shard_of(of.hash) >> self.bits]
    }

    /// The same, and notes for each segment whose it is, for who looks at packets themselves.
    #[inline(never)]
    pub fn run_and_tell(&mut self, work: &Work, bytes: &[u8], owners: &mut Vec<Owner>) {
        let payloads = work.payloads(bytes);
        for segment in work.segments.iter() {
            let shard = &mut self.shards[shard_of(segment.hash) >> self.bits];
            if segment.has & (ICMP | has::DATAGRAM) == 0 {
                let candidate = shard.candidate(segment);
                shard.segment(segment, candidate, payloads, &mut self.records);
                owners.extend(shard.owner(segment));
            } else {
                other(shard, segment, work, payloads, &mut self.records);
            }
        }
    }

    /// The ring dropped packets before `clock`.
    pub fn lost(&mut self, clock: Timestamp) {
        for shard in &mut self.shards {
            shard.lost(clock);
        }
    }

    /// The engine clock is at `clock`, with or without segments: what is due is done, and records before `clock` are
    /// complete.
    pub fn advance(&mut self, clock: Timestamp) {
        for shard in &mut self.shards {
            shard.advance(clock, &mut self.records);
        }
    }

    /// The observation is over at `clock`: what is left is to be ended, in the order of first packets.
    pub fn end(&mut self, clock: Timestamp) {
        self.advance(clock);
        // Of the right size from the start: what grows leaves its former places behind.
        let count = self.shards.iter().map(Shard::len).sum();
        self.ending = Vec::with_capacity(count);
        for (n, shard) in self.shards.iter().enumerate() {
            let flows = shard.flows();
            self.ending
                .extend(flows.map(|(frame, place)| (frame, n as u8, place)));
        }
        self.ending
            .sort_unstable_by_key(|&(frame, shard, place)| Reverse((frame, shard, place)));
    }

    /// First packets of what is left to be ended, lowest first.
    fn ending(&self) -> impl Iterator<Item = u64> {
        self.ending.iter().rev().map(|&(frame, ..)| frame)
    }

    /// Ends the connections whose first packet is before `frame`. In steps, so that the records of a million connections
    /// need not be held at once.
    pub fn end_until(&mut self, frame: u64) {
        while let Some(&(first, shard, place)) = self.ending.last()
            && first < frame
        {
            self.shards[usize::from(shard)].end(place, &mut self.records);
            self.ending.pop();
        }
    }

    /// Attempts that nothing has answered when the engine clock is at `clock`.
    #[must_use]
    pub fn pending(&self, clock: Timestamp) -> Pending {
        let mut pending = Pending::default();
        for shard in &self.shards {
            shard.pending(clock, &mut pending);
        }
        pending
    }

    /// What its shards counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for shard in &self.shards {
            all += shard.counts;
        }
        all
    }
}

/// What is no TCP segment.
#[inline(never)]
fn other(
    shard: &mut Shard,
    segment: &Segment,
    work: &Work,
    payloads: Payloads<'_>,
    out: &mut Records,
) {
    if segment.has & ICMP == 0 {
        shard.datagram(segment, payloads.of(segment), out);
    } else if let Some(error) = work.icmp.get(segment.payload_at as usize) {
        shard.icmp(error, out);
    }
}

/// Everything in one, on one thread.
pub struct Engine {
    /// Decoding.
    pub front: Front,
    lane: Lane,
    merge: Merge,
    work: [Work; 1],
}

/// Segments decoded before they are run: their bytes and flows are fetched while others are worked on.
const CHUNK: usize = 128;

impl Engine {
    /// With these settings.
    #[must_use]
    pub fn new(decode: DecodeSettings, settings: &Settings) -> Engine {
        Engine {
            front: {
                let mut front = Front::new(decode);
                if settings.reads_payload() {
                    front.keep_packets();
                }
                front
            },
            lane: Lane::new(settings, 1),
            merge: Merge::default(),
            work: [Work::default()],
        }
    }

    /// A batch goes in, `each` gets the records that became final, in order. Packets that
    /// `takes` refuses are left out.
    pub fn feed(
        &mut self,
        batch: &Batch,
        mut takes: impl FnMut(&Packet, LinkType) -> bool,
        each: impl FnMut(AnyRecord<'_>),
    ) {
        for chunk in batch.packets.chunks(CHUNK) {
            for packet in chunk {
                let link = link_of(&batch.interfaces, packet);
                if takes(packet, link) {
                    self.front
                        .packet(&batch.bytes, packet, link, &mut self.work);
                } else {
                    self.front.leave_out();
                }
            }
            self.lane.run(&self.work[0], &batch.bytes);
            self.work[0].clear();
        }
        self.lane.advance(self.front.clock);
        self.merge
            .merge([&mut self.lane.records], self.front.watermark(), each);
    }

    /// The observation is over: every record that is left.
    pub fn finish(&mut self, mut each: impl FnMut(AnyRecord<'_>)) {
        self.front.finish();
        let clock = self.front.clock;
        self.lane.end(clock);
        for step in steps(std::slice::from_ref(&self.lane)) {
            self.lane.end_until(step);
            let until = Place {
                first_frame: step,
                ..Place::from(Moment::end(clock))
            };
            self.merge.merge([&mut self.lane.records], until, &mut each);
        }
        self.merge
            .merge([&mut self.lane.records], Place::LAST, each);
    }

    /// What the shards counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lane.counts()
    }
}

/// Packet numbers that cut the connections that lanes have left at the end, by their first packets, into steps of a bounded
/// size; the last is beyond all.
#[must_use]
pub fn steps(lanes: &[Lane]) -> Vec<u64> {
    const STEP: usize = 512;
    // Merged as they are: a list of all would take as much again.
    let mut left: Vec<_> = lanes.iter().map(Lane::ending).collect();
    let mut next: Vec<_> = left.iter_mut().map(Iterator::next).collect();
    let mut steps = Vec::new();
    let mut n = 0_usize;
    let lowest = |next: &[Option<u64>]| {
        let frames = next.iter().enumerate();
        frames
            .filter_map(|(lane, frame)| Some(((*frame)?, lane)))
            .min()
    };
    while let Some((frame, lane)) = lowest(&next) {
        n += 1;
        if n.is_multiple_of(STEP) {
            steps.push(frame);
        }
        next[lane] = left[lane].next();
    }
    steps.push(u64::MAX);
    steps
}

/// The link type of a packet's interface.
#[inline]
#[must_use]
pub fn link_of(interfaces: &[Interface], packet: &Packet) -> LinkType {
    interfaces
        .get(packet.interface as usize)
        .map_or(LinkType(u32::MAX), |interface| interface.link_type)
}
