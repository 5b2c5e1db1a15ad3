//! From segments to bytes in order: what is handed on, what waits, what is given up; and the end of a direction.

use super::footing::state;
use super::stream;
use super::task::{MOST_SENT, NEVER, Task};
use super::{Work, bit, budget, way_of};
use crate::proto::Way;
use crate::record::{EndedBy, HandshakeOutcome};
use crate::tcp::seen::Sighting;
use crate::tcp::seq::Seq;
use crate::tcp::track::Facts;
use crate::time::Timestamp;
use crate::wire::segment::{Segment, flags};

/// How long data that was acknowledged may be overdue before it counts as missed: packets of one connection come from
/// several queues, and the ACK may overtake here what it acknowledges. Chosen: far above what queues do.
const OVERDUE: i64 = 10_000_000;
/// How far from where it is expected a segment may begin: more than most windows.
const FAR: u32 = 1 << 20;

impl Work<'_, '_> {
    /// Takes payload: in order it is read, early it waits, late it is dropped.
    #[inline]
    pub(super) fn data(&mut self, seg: &Segment, facts: Facts, way: Way, payload: &[u8]) {
        let w = way as usize;
        let is_syn = seg.flags & flags::SYN != 0;
        let start = Seq(seg.seq).plus(u32::from(is_syn));
        let direction = &mut self.core.ways[w];
        if direction.bits & bit::STARTED == 0 {
            let side = &self.desk.flow.sides[usize::from(seg.from)];
            let isn_seen = self.desk.flow.handshake == HandshakeOutcome::Established;
            direction.next = if isn_seen && !is_syn {
                side.low.plus(1)
            } else {
                start
            };
            direction.bits |= bit::STARTED;
            // Taken up in mid-connection: what the peer sends next begins where it is acknowledged.
            let back = &mut self.core.ways[1 - w];
            let is_told = seg.flags & flags::ACK != 0 && !isn_seen && !is_syn;
            if is_told && back.bits & bit::STARTED == 0 {
                back.next = Seq(seg.ack);
                back.bits |= bit::STARTED;
            }
        }
        let direction = &mut self.core.ways[w];
        let is_in_order = start == direction.next && facts.sighting == Some(Sighting::New);
        let is_whole = payload.len() == seg.payload_length as usize;
        if is_in_order && is_whole && self.passes(w, seg.payload_length) {
            self.note_sent(w, start.plus(seg.payload_length), seg.time);
        } else if is_in_order && is_whole && !self.busy.is_rare {
            let direction = &mut self.core.ways[w];
            direction.next = start.plus(seg.payload_length);
            self.read(way, payload, [seg.time; 2], seg.frame);
            if self.busy.is_rare && !self.busy.tasks.is_empty() {
                let w = way_of(self.desk.flow, seg) as usize;
                self.note_sent(w, start.plus(seg.payload_length), seg.time);
            }
        } else {
            self.unusual(seg, facts, way, start, payload);
        }
    }

    /// Passes over a segment's bytes, if that is all there is to do with them: they lie within a long unit, and more of that
    /// is to come.
    #[inline]
    fn passes(&mut self, w: usize, length: u32) -> bool {
        let direction = &mut self.core.ways[w];
        if !self.busy.is_rare
            || self.busy.tasks.is_empty()
            || direction.bits & bit::LOST != 0
            || self.core.state & state::ADRIFT != 0
            || !self.busy.early[w].is_empty()
        {
            return false;
        }
        match &mut self.busy.open[w] {
            Some(open) if open.left > u64::from(length) => {
                open.left -= u64::from(length);
                direction.next = direction.next.plus(length);
                true
            }
            _ => false,
        }
    }

    #[inline(never)]
    fn unusual(&mut self, seg: &Segment, facts: Facts, way: Way, start: Seq, payload: &[u8]) {
        let w = way as usize;
        let end = start.plus(seg.payload_length);
        match facts.sighting {
            Some(Sighting::Repeat | Sighting::Partial) => {
                self.core.repeats = self.core.repeats.saturating_add(1);
                if let Some(first) = self.first_sighting(w, start) {
                    self.busy.is_rare = true;
                    self.busy.grown += budget::STRETCH;
                    self.busy.loss.add(first, seg.time);
                }
            }
            Some(Sighting::Fill(_)) => self.core.fills = self.core.fills.saturating_add(1),
            Some(Sighting::New) | None => {}
        }
        // What it begins with is the first that was seen of its sender, far from where it should begin by an ACK: that was
        // damaged.
        let is_first = self.desk.flow.sides[usize::from(seg.from)].low == start;
        if is_first && start.offset(self.core.ways[w].next).unsigned_abs() > FAR {
            self.core.ways[w].next = start;
        }
        let next = self.core.ways[w].next;
        let seen = next.offset(start);
        if end.offset(next) <= 0 {
            return;
        }
        // Of what came twice the first copy counts: a segment that reaches beyond what waits is put among it.
        let reaches = |(first, ..): (Seq, _, _)| first.before(end);
        if seen < 0 || self.busy.early[w].first().is_some_and(reaches) {
            self.busy.is_rare = true;
            self.busy.loss.begin(seg.time);
            // What lies within a unit that is passed over need not be kept.
            let ahead = u64::from(end.distance(next));
            let is_skipped = matches!(&self.busy.open[w], Some(open) if open.left >= ahead);
            let times = [seg.time, seg.clock];
            self.busy.grown += stream::size(payload);
            let early = &mut self.busy.early[w];
            early.keep(
                start,
                seg.payload_length,
                payload,
                is_skipped,
                seg.frame,
                times,
            );
            self.note_sent(w, end, seg.time);
            if seen >= 0 {
                self.repaired(way, seg.time);
            }
            return;
        }
        let seen = seen.unsigned_abs();
        let bytes = payload.get(seen as usize..).unwrap_or_default();
        let cut = seg.payload_length - seen - bytes.len() as u32;
        let way = self.deliver(way, bytes, cut, [seg.time; 2], seg.frame);
        let w = way as usize;
        if self.busy.is_rare && !self.busy.tasks.is_empty() {
            self.note_sent(w, end, seg.time);
        }
        if !self.busy.early[w].is_empty() {
            self.repaired(way, seg.time);
        }
    }

    /// What waited may be read now.
    fn repaired(&mut self, way: Way, at: Timestamp) {
        self.catch_up(way, at);
        if self.busy.early.iter().all(stream::Early::is_empty) {
            self.busy.grown += budget::STRETCH;
            self.busy.loss.end(at);
        }
    }

    fn note_sent(&mut self, w: usize, end: Seq, at: Timestamp) {
        let sent = &mut self.busy.sent[w];
        if sent.len() >= MOST_SENT {
            sent.pop_front();
        }
        self.busy.grown += size_of::<(Seq, Timestamp)>();
        sent.push_back((end, at));
    }

    /// When the byte at `start` was first seen, as far as that is remembered; `None` if nothing asks for it.
    fn first_sighting(&self, w: usize, start: Seq) -> Option<Timestamp> {
        let mut sent = self.busy.sent[w].iter();
        if let Some(&(_, at)) = sent.find(|(end, _)| start.before(*end)) {
            return Some(at);
        }
        // Of messages of one segment nothing is kept but their times.
        let tasks = self.busy.tasks.iter().rev();
        let mut times = tasks.map(|task| match w {
            0 => task.last_request,
            _ => task.last_response,
        });
        times.find(|&time| time != NEVER)
    }

    /// Reads what waited for what is here, or given up, at `at`.
    fn catch_up(&mut self, mut way: Way, mut at: Timestamp) {
        while let Some(ready) =
            self.busy.early[way as usize].take(self.core.ways[way as usize].next)
        {
            at = at.max(ready.time);
            if ready.skipped > 0 {
                self.pass_over(way, ready.skipped, [at, ready.time]);
            } else {
                let times = [at, ready.time];
                way = self.deliver(way, &ready.bytes, ready.cut, times, ready.frame);
            }
        }
    }

    /// `bytes` continue the stream, and `cut` more that the capture did not take; known here with all before them at the
    /// first of `times`, captured at the second. Which direction that turns out to be.
    fn deliver(
        &mut self,
        mut way: Way,
        bytes: &[u8],
        cut: u32,
        times: [Timestamp; 2],
        frame: u64,
    ) -> Way {
        let direction = &mut self.core.ways[way as usize];
        direction.next = direction.next.plus(bytes.len() as u32);
        if !bytes.is_empty() {
            let client = self.desk.flow.client;
            self.read(way, bytes, times, frame);
            if self.desk.flow.client != client {
                way = way.back();
            }
        }
        if cut > 0 {
            let direction = &mut self.core.ways[way as usize];
            direction.next = direction.next.plus(cut);
            self.missing(way, cut, true, times[0], frame);
        }
        way
    }

    /// Forgets what was acknowledged, and gives up holes that will not be filled: before `seg` is read, for what was missed
    /// came before it.
    #[inline(never)]
    pub(super) fn clean(&mut self, seg: &Segment, way: Way) {
        if seg.flags & flags::ACK != 0 {
            let ack = Seq(seg.ack);
            let sent = &mut self.busy.sent[1 - way as usize];
            while sent.front().is_some_and(|&(end, _)| end.offset(ack) <= 0) {
                sent.pop_front();
            }
        }
        for of in [Way::ToServer, Way::ToClient] {
            let w = of as usize;
            if self.busy.early[w].is_empty() {
                continue;
            }
            // Ends of the flow key: who sends in this direction, and who acknowledges it.
            let client = usize::from(self.desk.flow.client);
            let receiver = if of == Way::ToServer {
                1 - client
            } else {
                client
            };
            // Who has it and speaks may be answering it.
            let is_answer = of != way && seg.payload_length > 0;
            while let Some((start, time, since)) = self.busy.early[w].first() {
                let peer = &self.desk.flow.sides[receiver];
                let acknowledged = !peer.acknowledged() || start.offset(peer.ack) <= 0;
                let is_late = is_answer || seg.clock.0.saturating_sub(since.0) >= OVERDUE;
                let overdue = acknowledged && is_late;
                let over = self.busy.early[w].is_over();
                if !overdue && !over {
                    break;
                }
                self.desk.counts.early_limit += u64::from(over && !overdue);
                self.jump(of, start, time);
            }
        }
    }

    /// The rest of a message that one direction is in the middle of is not looked at.
    pub(super) fn lose_place(&mut self) {
        for way in [Way::ToServer, Way::ToClient] {
            if self.busy.is_within_message(way as usize) {
                self.lose_footing(way, None);
            }
        }
    }

    /// Every hole that is left is given up.
    pub(super) fn give_up_holes(&mut self) {
        for way in [Way::ToServer, Way::ToClient] {
            while let Some((start, time, _)) = self.busy.early[way as usize].first() {
                self.jump(way, start, time);
            }
        }
    }

    /// Goes on at `start`, which was captured at `time`: what lies before it was never seen. What lies behind counts as
    /// seen when it was captured.
    fn jump(&mut self, way: Way, start: Seq, time: Timestamp) {
        let direction = &mut self.core.ways[way as usize];
        let missing = start.offset(direction.next).max(0).unsigned_abs();
        direction.next = start;
        if missing > 0 {
            self.missing(way, missing, false, time, 0);
        }
        self.catch_up(way, time);
        // Nothing was repaired: it was missed here, and not lost.
        let waits = self.busy.early.iter().filter_map(stream::Early::oldest);
        self.busy.loss.lasts_since(waits.min());
        // When they were acknowledged was not noted.
        let client = &self.desk.flow.sides[usize::from(self.desk.flow.client)];
        let (has_acknowledged, ack) = (client.acknowledged(), client.ack);
        let is_known = |task: &Task| task.over.is_some() && task.end.offset(ack) <= 0;
        while has_acknowledged && let Some(n) = self.busy.tasks.iter().position(is_known) {
            self.emit(n);
        }
    }

    /// A FIN, and where it stands.
    pub(super) fn fin(&mut self, seg: &Segment, way: Way) {
        let direction = &mut self.core.ways[way as usize];
        let behind_syn = u32::from(seg.flags & flags::SYN != 0);
        direction.fin = Seq(seg.seq).plus(seg.payload_length + behind_syn);
        direction.bits |= bit::FIN;
        if direction.bits & bit::STARTED == 0 {
            direction.next = direction.fin;
            direction.bits |= bit::STARTED;
        }
    }

    /// Ends the directions whose FIN is reached, and what waits for a side that has closed.
    #[inline]
    pub(super) fn fins(&mut self, at: Timestamp) {
        for way in [Way::ToServer, Way::ToClient] {
            let direction = &self.core.ways[way as usize];
            let is_reached = direction.bits & (bit::FIN | bit::ENDED) == bit::FIN
                && direction.next.offset(direction.fin) >= 0;
            if is_reached {
                self.ends(way, at);
            }
        }
    }

    #[inline(never)]
    fn ends(&mut self, way: Way, at: Timestamp) {
        self.core.ways[way as usize].bits |= bit::ENDED;
        self.end_of_stream(way, at);
        if way == Way::ToClient {
            // Nobody will answer any more.
            self.settle();
            let client_left = self.core.ways[Way::ToServer as usize].bits & bit::FIN != 0;
            self.finish_all(if client_left {
                EndedBy::ClientClose
            } else {
                EndedBy::ServerClose
            });
        }
    }
}
