//! What one side of a connection sent: sequence space, retransmissions, order, round trips, windows.
//!
//! [`Side`] is what every connection needs, packed for the cache; [`Odd`] is what only troubled ones need, made when
//! the first odd thing happens. Definitions: docs/records.md, `connection`. Times are capture times.

use super::seen::{self, Holes, Mark, Sent, Sighting};
use super::seq::Seq;
use crate::time::Timestamp;
use crate::wire::segment::{Segment, flags, has};

/// Bits of [`Side::bits`].
mod bit {
    /// A unit of sequence space was seen: `low` and `high` are ends of something.
    pub(super) const UNITS: u8 = 0x01;
    /// A segment other than RST was seen: `low` and `high` are set by it.
    pub(super) const STARTED: u8 = 0x02;
    /// An ACK was seen: `ack` is set.
    pub(super) const ACKED: u8 = 0x04;
    /// A segment waits for its acknowledgment: `timed_*` are set.
    pub(super) const TIMED: u8 = 0x08;
    /// The timed range was sent again since: only a timestamp echo tells which of the two was acknowledged.
    pub(super) const TIMED_AGAIN: u8 = 0x10;
    /// Its next segment wants a closer look: its receive window is closed (`Odd::zero_since`); or, where that is not, and `TIMED`
    /// is not set either, all that it sent was acknowledged late, and `timed_*` say when, by how much, and how far its peer had
    /// sent by then.
    pub(super) const LOOK: u8 = 0x20;
    /// Its FIN was seen.
    pub(super) const FIN: u8 = 0x40;
    /// A segment was seen, be it a RST: `recent` and `interface` are set.
    pub(super) const SIGHTED: u8 = 0x80;
}

/// How far from the current sequence number a segment may be: more than most windows, and a chance in 2^11 for a stray
/// number.
const WINDOW: i32 = 1 << 20;

/// How much later than the shortest round trip a bare ACK is a delayed one, in ns: Linux delays by 40 ms and more, Windows by up to
/// 200 ms, and nobody may by 500 ms (RFC 9293 section 3.8.6.3). See `connection.client_held_segments`.
const LATE_NS: std::ops::Range<u64> = 30_000_000..500_000_000;

/// How far from the round trip after such an ACK a segment that was held back for it may come, in ns. Chosen: a busy host needs less,
/// and round trips differ by less.
const SOON_NS: u64 = 2_000_000;

/// A segment with less payload is a small one: on any usual path a full one has more (RFC 8200 section 5: 1220 bytes).
const SMALL: u32 = 1200;

/// How far apart two sightings of one packet may be, in ns (docs/records.md: 2 ms).
const SIGHTING_NS: u32 = 2_000_000;

/// A segment as remembered for telling second sightings: a hash of all that must be equal, and the low half of
/// its time in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sighted {
    signature: u32,
    time: u32,
}

/// What one side sent, and the round trip between the observation and that side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// One past the highest unit of sequence space seen.
    pub high: Seq,
    /// Where the seen sequence space begins.
    pub low: Seq,
    /// Highest acknowledgment it sent.
    pub ack: Seq,
    timed_end: Seq,
    timed_at: Timestamp,
    /// Payload bytes, each once.
    pub bytes: u64,
    /// Sum of round trips, in ns.
    pub rtt_sum: u64,
    segments: u32,
    data_segments: u32,
    timed_value: u32,
    rtt_samples: u32,
    rtt_min: u32,
    rtt_max: u32,
    /// Largest payload of a segment.
    pub max_segment: u32,
    /// The latest segment: enough to notice that a source doubles packets. From then on [`Odd`] keeps more.
    recent: Sighted,
    interface: u16,
    recent_ttl: u8,
    bits: u8,
}

/// What only troubled connections need to know of one side.
#[derive(Clone, Debug, Default)]
pub struct Odd {
    /// What was passed over.
    pub holes: Holes,
    /// See `connection.client_retransmits` and the fields after it.
    pub retransmits: u64,
    /// Segments of which a part was seen before.
    pub partial_retransmits: u64,
    /// Payload bytes seen before.
    pub retransmitted_bytes: u64,
    /// Duplicates its peer reported.
    pub dsacks: u64,
    /// Segments that filled holes.
    pub fills: u64,
    /// Of these, repeats of what was lost before this point.
    pub fills_lost: u64,
    /// Of these, reordered.
    pub fills_reordered: u64,
    /// Keep-alive probes.
    pub keepalives: u64,
    /// Segments with RST.
    pub resets: u64,
    /// Sequence number of the latest, and how far its peer had sent by then.
    pub reset_at: (Seq, Seq),
    /// Times its window closed.
    pub zero_windows: u64,
    /// How long it was closed, in ns, without a closure that still lasts.
    zero_window_closed_ns: u64,
    /// Since when it is closed, if it is.
    zero_since: Option<Timestamp>,
    /// See `connection.client_opening_retransmits` and the fields after it.
    pub opening_retransmits: u64,
    /// Small segments that were held back until an ACK that came late.
    pub held_segments: u64,
    /// By how much, in ns.
    pub held_ns: u64,
    /// Wraps of the 32-bit counters of [`Side`].
    segments_carry: u64,
    data_segments_carry: u64,
    /// Round trips of 2^32 ns and more.
    long_rtt_min: Option<u64>,
    long_rtt_max: u64,
    /// Sightings of a connection that has duplicates.
    sighted: Vec<(Sighted, u8)>,
    next_sighted: usize,
}

/// How many sightings are kept once a duplicate was seen; a mirror port or bridge shows bursts of a flow, then their
/// copies (the kernel hands up to 64 packets of one NAPI poll to the next device at a time).
const SIGHTED: usize = 64;

/// What a segment told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How its range stands to what was seen; `None` if it has no range, is a keep-alive or a RST.
    pub sighting: Option<Sighting>,
    /// It acknowledges more than was acknowledged before.
    pub acknowledges: bool,
}

impl Side {
    /// Whether any segment of this side was seen, RST apart.
    #[must_use]
    pub fn started(&self) -> bool {
        self.bits & bit::STARTED != 0
    }

    /// Whether it acknowledged anything.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.bits & bit::ACKED != 0
    }

    /// Whether its FIN was seen.
    #[inline]
    #[must_use]
    pub fn finished(&self) -> bool {
        self.bits & bit::FIN != 0
    }

    /// Segments it sent.
    #[must_use]
    pub fn segments(&self, odd: Option<&Odd>) -> u64 {
        u64::from(self.segments) + odd.map_or(0, |odd| odd.segments_carry)
    }

    /// Segments with payload it sent.
    #[must_use]
    pub fn data_segments(&self, odd: Option<&Odd>) -> u64 {
        u64::from(self.data_segments) + odd.map_or(0, |odd| odd.data_segments_carry)
    }

    /// Round trips between here and this side: how many, and the shortest and longest in ns.
    #[must_use]
    pub fn rtt(&self, odd: Option<&Odd>) -> Option<(u32, u64, u64)> {
        if self.rtt_samples == 0 {
            return None;
        }
        let long_min = odd.and_then(|odd| odd.long_rtt_min);
        let min = if self.rtt_min == u32::MAX {
            long_min
        } else {
            None
        };
        let max = odd
            .map_or(0, |odd| odd.long_rtt_max)
            .max(u64::from(self.rtt_max));
        Some((
            self.rtt_samples,
            min.unwrap_or(u64::from(self.rtt_min)),
            max,
        ))
    }

    /// Payload bytes that `peer` acknowledged and that were never seen here.
    #[must_use]
    pub fn missing_bytes(&self, peer: &Side, odd: Option<&Odd>) -> u64 {
        if !peer.acknowledged() {
            return 0;
        }
        let holes = odd.map_or(0, |odd| odd.holes.missing_before(peer.ack));
        let beyond = i64::from(peer.ack.offset(self.high));
        // When the peer has closed, the last unit will have been the FIN that answers.
        let unseen_fin = i64::from(peer.finished() && !self.finished());
        holes + u64::try_from(beyond - unseen_fin).unwrap_or(0)
    }

    /// Whether this segment is one that was seen already, by another interface or shortly before. Remembers it if not.
    #[inline(always)]
    pub fn is_second_sighting(&mut self, seg: &Segment, odd: &mut Odds) -> bool {
        let signature = signature(seg);
        let time = seg.time.0 as u32;
        let units = units(seg);
        let advances = self.bits & bit::SIGHTED == 0
            || units > 0 && Seq(seg.seq).plus(units).offset(self.high) > 0
            || seg.flags & flags::ACK != 0
                && (self.bits & bit::ACKED == 0 || Seq(seg.ack).offset(self.ack) > 0);
        if !advances && self.was_sighted(seg, signature, time, odd) {
            return true;
        }
        self.bits |= bit::SIGHTED;
        self.interface = seg.interface as u16;
        self.recent = Sighted { signature, time };
        self.recent_ttl = seg.ttl;
        if let Some(odd) = odd.get_mut(usize::from(seg.from)) {
            odd.remember(Sighted { signature, time }, seg.ttl);
        }
        false
    }

    fn was_sighted(&self, seg: &Segment, signature: u32, time: u32, odd: &mut Odds) -> bool {
        if self.interface != seg.interface as u16 {
            // Shown by the other interface; but what it alone shows is no copy: a path may change.
            let is_unseen_reset = seg.flags & flags::RST != 0
                && odd
                    .get(usize::from(seg.from))
                    .is_none_or(|odd| odd.resets == 0);
            let is_soon = time.wrapping_sub(self.recent.time) <= SIGHTING_NS;
            return is_soon && !is_unseen_reset;
        }
        let told = seg.has & has::TIMESTAMPS != 0 || seg.has & has::IP_ID != 0 && seg.ip_id != 0;
        let within = if told { SIGHTING_NS } else { 0 };
        let equal = |(sighted, ttl): (Sighted, u8)| {
            sighted.signature == signature
                && time.wrapping_sub(sighted.time) <= within
                && seg.ttl <= ttl
        };
        if equal((self.recent, self.recent_ttl)) {
            let odd = odd.made(usize::from(seg.from));
            odd.sighted.reserve_exact(SIGHTED);
            return true;
        }
        let odd = odd.get(usize::from(seg.from));
        odd.is_some_and(|odd| odd.sighted.iter().copied().any(equal))
    }

    /// Forgets the sequence space: what came before was of another connection, an answer from an old one or another SYN
    /// cookie. What was counted stays.
    pub fn restart(&mut self, odd: Option<&mut Odd>) {
        self.bits &= !(bit::STARTED | bit::UNITS | bit::TIMED | bit::TIMED_AGAIN | bit::ACKED);
        if let Some(odd) = odd {
            odd.holes = Holes::default();
        }
    }

    /// Whether a RST of this side is one that its peer obeys: its sequence number lies in a window of what was seen
    /// (RFC 9293 section 3.10.7.4), as far as windows are known here.
    #[must_use]
    pub fn obeys_reset(&self, peer: &Side, seg: &Segment) -> bool {
        let near = |a: Seq, b: Seq| (-WINDOW..=WINDOW).contains(&a.offset(b));
        let seq = Seq(seg.seq);
        !self.started() && !peer.acknowledged()
            || self.started() && near(seq, self.high)
            || peer.acknowledged() && near(seq, peer.ack)
    }

    /// Whether a segment of this side fits what is known of the connection: its SYN, or sequence and acknowledgment
    /// numbers near the current ones. For telling one connection in two VLANs from two with the same ends.
    #[must_use]
    pub fn fits(&self, peer: &Side, seg: &Segment) -> bool {
        let near = |a: Seq, b: Seq| (-WINDOW..=WINDOW).contains(&a.offset(b));
        let seq_fits = self.started().then(|| near(Seq(seg.seq), self.high));
        let acks = seg.flags & flags::ACK != 0 && peer.started();
        let ack_fits = acks.then(|| near(Seq(seg.ack), peer.high));
        match (seq_fits, ack_fits) {
            (None, None) => false,
            (seq, ack) => seq != Some(false) && ack != Some(false),
        }
    }

    /// Takes note of a segment of this side, and of what it acknowledges of `peer`.
    #[inline(always)]
    pub fn segment(&mut self, peer: &mut Side, seg: &Segment, odd: &mut Odds) -> Facts {
        self.count(seg, odd);
        let ordinary = seg.flags & (flags::SYN | flags::FIN | flags::RST) == 0
            && Seq(seg.seq) == self.high
            && self.bits & (bit::STARTED | bit::LOOK) == bit::STARTED
            && seg.window != 0
            && seg.has & has::DSACK == 0;
        let sighting = if ordinary {
            self.in_order(seg)
        } else {
            self.general(peer, seg, odd)
        };
        let acknowledges =
            seg.flags & (flags::ACK | flags::RST) == flags::ACK && self.acknowledge(peer, seg, odd);
        Facts {
            sighting,
            acknowledges,
        }
    }

    #[inline(always)]
    fn count(&mut self, seg: &Segment, odd: &mut Odds) {
        self.segments = self.segments.wrapping_add(1);
        if self.segments == 0 {
            odd.made(usize::from(seg.from)).segments_carry += 1 << 32;
        }
        if seg.payload_length > 0 {
            self.data_segments = self.data_segments.wrapping_add(1);
            if self.data_segments == 0 {
                odd.made(usize::from(seg.from)).data_segments_carry += 1 << 32;
            }
            self.max_segment = self.max_segment.max(seg.payload_length);
        }
    }

    /// The next expected segment, nothing unusual about it.
    #[inline(always)]
    fn in_order(&mut self, seg: &Segment) -> Option<Sighting> {
        if seg.payload_length == 0 {
            return None;
        }
        self.bytes += u64::from(seg.payload_length);
        self.advance(seg, Seq(seg.seq).plus(seg.payload_length));
        Some(Sighting::New)
    }

    /// Moves `high` to `end`, and times the segment if none is being timed.
    #[inline(always)]
    fn advance(&mut self, seg: &Segment, end: Seq) {
        self.high = end;
        self.bits |= bit::UNITS;
        if let Some(low) = seen::slide(self.low, end) {
            self.low = low;
        }
        if self.bits & bit::TIMED == 0 {
            self.bits = self.bits & !bit::TIMED_AGAIN | bit::TIMED;
            self.timed_end = end;
            self.timed_at = seg.time;
            self.timed_value = seg.ts_value;
        }
    }

    #[inline(never)]
    fn general(&mut self, peer: &Side, seg: &Segment, odd: &mut Odds) -> Option<Sighting> {
        let from = usize::from(seg.from);
        if seg.has & has::DSACK != 0 {
            odd.made(1 - from).dsacks += 1;
        }
        if self.bits & bit::LOOK != 0 {
            self.look(peer, seg, odd);
        }
        if seg.flags & flags::RST != 0 {
            let odd = odd.made(from);
            odd.resets += 1;
            odd.reset_at = (Seq(seg.seq), peer.high);
            return None;
        }
        if seg.flags & flags::SYN == 0 {
            self.window(seg, odd);
        }
        if seg.flags & flags::FIN != 0 {
            self.bits |= bit::FIN;
        }
        self.place(peer, seg, odd)
    }

    fn window(&mut self, seg: &Segment, odd: &mut Odds) {
        // What was acknowledged late was looked at: now the bit is that of the window alone.
        let closed = self.bits & bit::LOOK != 0;
        if seg.window == 0 && !closed {
            let odd = odd.made(usize::from(seg.from));
            odd.zero_windows += 1;
            odd.zero_since = Some(seg.time);
            self.bits |= bit::LOOK;
        } else if seg.window != 0 && closed {
            let odd = odd.made(usize::from(seg.from));
            let closed_ns = odd
                .zero_since
                .take()
                .and_then(|since| seg.time.since(since));
            let closed_ns = closed_ns.map_or(0, |span| span.ns());
            odd.zero_window_closed_ns = odd.zero_window_closed_ns.saturating_add(closed_ns);
            self.bits &= !bit::LOOK;
        }
    }

    /// A bare ACK of this side came after `silent` ns without any segment. If it is a delayed one, and acknowledges all that `peer`
    /// sent, the peer's next segment may have waited for it.
    #[cold]
    #[inline(never)]
    pub fn acknowledges_after(&mut self, silent: u64, peer: &mut Side, seg: &Segment) {
        let is_all = Seq(seg.ack) == peer.high && peer.bits & (bit::TIMED | bit::LOOK) == 0;
        let late = silent.saturating_sub(u64::from(self.rtt_min));
        if is_all && self.rtt_samples > 0 && LATE_NS.contains(&late) {
            peer.bits |= bit::LOOK;
            peer.timed_at = seg.time;
            // Below 500 ms in ns: it fits.
            peer.timed_value = u32::try_from(late).unwrap_or(u32::MAX);
            peer.timed_end = self.high;
        }
    }

    /// The segment after all was acknowledged late, unless it is the window that is closed.
    fn look(&mut self, peer: &Side, seg: &Segment, odd: &mut Odds) {
        let from = usize::from(seg.from);
        if odd.get(from).is_some_and(|odd| odd.zero_since.is_some()) {
            return;
        }
        self.bits &= !bit::LOOK;
        // The ACK must have gone from here to this side, and the segment back: what comes sooner was on its way already.
        let is_soon = self.rtt_samples > 0
            && seg
                .time
                .since(self.timed_at)
                .is_some_and(|span| span.ns().abs_diff(u64::from(self.rtt_min)) <= SOON_NS);
        let is_next = Seq(seg.seq) == self.high && peer.high == self.timed_end;
        let is_small = (1..SMALL).contains(&seg.payload_length);
        if is_soon && is_next && is_small {
            let odd = odd.made(from);
            odd.held_segments += 1;
            odd.held_ns = odd.held_ns.saturating_add(u64::from(self.timed_value));
        }
    }

    /// Sorts the segment's range into what was seen.
    fn place(&mut self, peer: &Side, seg: &Segment, odd: &mut Odds) -> Option<Sighting> {
        let (start, units) = (Seq(seg.seq), units(seg));
        let end = start.plus(units);
        if self.bits & bit::STARTED == 0 {
            self.bits |= bit::STARTED;
            self.low = start;
            self.high = start;
        }
        let control = seg.flags & (flags::SYN | flags::FIN);
        if seg.payload_length <= 1
            && control == 0
            && self.bits & bit::UNITS != 0
            && start == self.high.minus(1)
        {
            odd.made(usize::from(seg.from)).keepalives += 1;
            return None;
        }
        if units == 0 {
            return None;
        }
        let payload = u64::from(seg.payload_length);
        if self.high.offset(start) <= 0 {
            if start != self.high {
                let odd = odd.made(usize::from(seg.from));
                odd.holes.open(self.high, start, mark(seg));
            }
            self.bytes += payload;
            self.advance(seg, end);
            if let Some(odd) = odd.get_mut(usize::from(seg.from)) {
                odd.holes.forget_before(self.low);
            }
            return Some(Sighting::New);
        }
        let of_peer = odd.get(usize::from(1 - seg.from));
        let has_peer_repeated = of_peer.is_some_and(|odd| odd.retransmits > 0);
        let odd = odd.made(usize::from(seg.from));
        let first_byte = start.plus(u32::from(seg.flags & flags::SYN != 0));
        let last_byte = first_byte.plus(seg.payload_length);
        let seen_units = odd.holes.overlap(self.low, self.high, start, end);
        let seen_bytes = u64::from(
            odd.holes
                .overlap(self.low, self.high, first_byte, last_byte),
        );
        odd.retransmitted_bytes += seen_bytes;
        self.bytes += payload - seen_bytes.min(payload);
        let sighting = if seen_units == units {
            odd.retransmits += 1;
            let is_unheard = if control & flags::SYN == 0 {
                payload > 0 && self.low.plus(1) == start && peer.ack == start
            } else {
                // Else it may answer what the client repeated.
                seg.flags & flags::ACK != 0
                    && peer.bits & bit::ACKED != 0
                    && peer.ack.offset(end) >= 0
                    && !has_peer_repeated
            };
            odd.opening_retransmits += u64::from(is_unheard);
            Sighting::Repeat
        } else {
            let beyond = odd.holes.fill(start, end);
            if start.before(self.low) {
                if end.before(self.low) {
                    odd.holes.open(end, self.low, mark(seg));
                }
                self.low = start;
            }
            if seen_units > 0 {
                odd.partial_retransmits += 1;
                Sighting::Partial
            } else {
                odd.fills += 1;
                let sent = beyond.map_or(Sent::Unknown, |beyond| mark(seg).sent(beyond));
                match sent {
                    Sent::After => odd.fills_lost += 1,
                    Sent::Before => odd.fills_reordered += 1,
                    Sent::Unknown => {}
                }
                Sighting::Fill(sent)
            }
        };
        if self.bits & bit::TIMED != 0 && start.before(self.timed_end) {
            self.bits |= bit::TIMED_AGAIN;
        }
        if self.high.before(end) {
            self.advance(seg, end);
        }
        Some(sighting)
    }

    /// Takes note of an acknowledgment and of the round trip that it ends. Whether it is a new one.
    #[inline(always)]
    fn acknowledge(&mut self, peer: &mut Side, seg: &Segment, odd: &mut Odds) -> bool {
        let ack = Seq(seg.ack);
        if self.bits & bit::ACKED == 0 {
            self.bits |= bit::ACKED;
            self.ack = ack;
            if peer.bits & bit::STARTED == 0 {
                // Until the peer is seen, what it is acknowledged for counts from here.
                peer.low = ack;
                peer.high = ack;
            }
        } else if ack.offset(self.ack) > 0 {
            self.ack = ack;
        } else {
            return false;
        }
        if peer.bits & (bit::STARTED | bit::UNITS) == bit::STARTED && ack == peer.high.plus(1) {
            // All that was seen of the peer are probes one below what it would send next: an idle connection.
            peer.low = ack;
            peer.high = ack;
        }
        if peer.bits & bit::TIMED != 0 && ack.offset(peer.timed_end) >= 0 {
            let clear = peer.bits & bit::TIMED_AGAIN == 0
                || seg.has & has::TIMESTAMPS != 0 && seg.ts_echo == peer.timed_value;
            peer.bits &= !(bit::TIMED | bit::TIMED_AGAIN);
            if clear && let Some(span) = seg.time.since(peer.timed_at) {
                self.round_trip(span.ns(), seg, odd);
            }
        }
        true
    }

    #[inline(always)]
    fn round_trip(&mut self, ns: u64, seg: &Segment, odd: &mut Odds) {
        let short = u32::try_from(ns).unwrap_or(u32::MAX);
        if short == u32::MAX {
            let odd = odd.made(usize::from(seg.from));
            odd.long_rtt_min = Some(odd.long_rtt_min.map_or(ns, |min| min.min(ns)));
            odd.long_rtt_max = odd.long_rtt_max.max(ns);
        }
        self.rtt_min = if self.rtt_samples == 0 {
            short
        } else {
            self.rtt_min.min(short)
        };
        self.rtt_max = self.rtt_max.max(short);
        self.rtt_sum = self.rtt_sum.saturating_add(ns);
        self.rtt_samples = self.rtt_samples.saturating_add(1);
    }
}

/// What is odd of either side. Nothing until the first odd thing happens, then of that side alone: of most attempts that fail
/// it is a repeated SYN.
#[derive(Clone, Debug, Default)]
pub struct Odds(Option<Box<[Option<Box<Odd>>; 2]>>);

impl Odds {
    /// What is odd of one side.
    #[inline]
    #[must_use]
    pub fn get(&self, side: usize) -> Option<&Odd> {
        self.0.as_ref()?[side].as_deref()
    }

    /// Likewise, to change it.
    #[inline]
    pub fn get_mut(&mut self, side: usize) -> Option<&mut Odd> {
        self.0.as_mut()?[side].as_deref_mut()
    }

    /// Forgets all.
    #[inline]
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// What is odd of one side, made if it is the first. Of its own, so that what most connections need lies together in the
    /// cache.
    #[cold]
    #[inline(never)]
    fn made(&mut self, side: usize) -> &mut Odd {
        self.0.get_or_insert_default()[side].get_or_insert_default()
    }
}

impl Odd {
    /// How long its window was closed until `last`, in ns.
    #[must_use]
    pub fn zero_window_ns(&self, last: Timestamp) -> u64 {
        let lasting = self.zero_since.and_then(|since| last.since(since));
        self.zero_window_closed_ns
            .saturating_add(lasting.map_or(0, |span| span.ns()))
    }

    fn remember(&mut self, sighted: Sighted, ttl: u8) {
        if self.sighted.capacity() == 0 {
            return;
        }
        if self.sighted.len() < SIGHTED {
            self.sighted.push((sighted, ttl));
        } else {
            self.sighted[self.next_sighted] = (sighted, ttl);
            self.next_sighted = (self.next_sighted + 1) % SIGHTED;
        }
    }
}

/// Units of sequence space of a segment: payload, SYN and FIN (RFC 9293 section 3.4).
#[inline]
#[must_use]
pub fn units(seg: &Segment) -> u32 {
    seg.payload_length
        + u32::from(seg.flags & flags::SYN != 0)
        + u32::from(seg.flags & flags::FIN != 0)
}

fn mark(seg: &Segment) -> Mark {
    Mark {
        ts_value: (seg.has & has::TIMESTAMPS != 0).then_some(seg.ts_value),
        ip_id: (seg.has & has::IP_ID != 0).then_some(seg.ip_id),
    }
}

/// Hash of all that two sightings of one packet have in common.
#[inline]
fn signature(seg: &Segment) -> u32 {
    // In the order in which they lie in memory, so that each is one load. The side is the same for all that are compared.
    let numbers = u64::from(seg.seq) | u64::from(seg.ack) << 32;
    let marks = u64::from(seg.ts_value) | u64::from(seg.ip_id) << 32 | u64::from(seg.window) << 48;
    let shape = u64::from(seg.payload_length)
        | u64::from(seg.mark) << 32
        | u64::from(seg.flags) << 48
        | u64::from(seg.from) << 56;
    // Three odd multipliers (of wyhash): the upper half of each product depends on all bits below.
    let sum = numbers
        .wrapping_mul(0xa076_1d64_78bd_642f)
        .wrapping_add(marks.wrapping_mul(0xe703_7ed1_a0b4_28db))
        .wrapping_add(shape.wrapping_mul(0x8ebc_6af0_9c88_c6e3));
    // The cast keeps 32 bits.
    ((sum ^ sum >> 29).wrapping_mul(0x5899_65cc_7537_4cc3) >> 32) as u32
}
