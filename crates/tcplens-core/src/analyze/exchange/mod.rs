//! Requests and their responses on one connection: pairing, times and the time budget, once for all protocols.
//!
//! A segment's payload is put in order ([`stream`]), read by the connection's parser ([`crate::proto`]) and becomes parts
//! of tasks ([`task`]); a task that is over gets its budget ([`budget`]) and waits for the ACK of its last byte. The time
//! of a byte is that of the packet that made it, and all before it, known here.
//!
//! Pairing: by number where the protocol has numbers, else first in first out. A hole ends it: what was outstanding is
//! given up (`ended_by: gap`), and each direction is taken up again where a segment begins with a message.

mod budget;
mod read;
mod stream;
mod task;

use self::budget::Ground;
pub(crate) use self::task::Busy;
use self::task::{Finished, MANY_WORDS, MOST_SENT, Task};
use super::Context;
use crate::batch::{Kind, Moment, Place, Records};
use crate::flow::Flow;
use crate::proto::{AnyParser, Loss, Owes, Way};
use crate::record::{EndedBy, HandshakeOutcome, Protocol, RequestRow, Status, Times};
use crate::tcp::seen::Sighting;
use crate::tcp::seq::Seq;
use crate::tcp::track::Facts;
use crate::time::Timestamp;
use crate::wire::segment::{Segment, flags, syn_option};

/// Most requests of one connection that wait at once; beyond, the oldest is given up.
const MOST_PENDING: usize = 1024;
/// How long data that was acknowledged may be overdue before it counts as missed: packets of one connection come from
/// several queues, and the ACK may overtake here what it acknowledges. Chosen: far above what queues do.
const OVERDUE: i64 = 10_000_000;
/// Segments without a message at their start after which an unknown connection is taken by turns.
const TRIES: u8 = 8;

/// What requests are read by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Protocols to recognise.
    pub(crate) protocols: Vec<Protocol>,
    /// Whether what is not recognised is read by turns.
    pub(crate) turns: bool,
    /// Longest summary.
    pub(crate) summary_bytes: usize,
    /// Most bytes that the connections of a shard hold at once.
    pub(crate) most_held: usize,
}

impl Rules {
    /// For the protocols that the user named; none means all.
    pub(crate) fn new(named: &[Protocol], summary_bytes: usize, most_held: usize) -> Rules {
        let takes = |protocol: Protocol| named.is_empty() || named.contains(&protocol);
        Rules {
            protocols: AnyParser::RECOGNISED
                .iter()
                .copied()
                .filter(|&protocol| takes(protocol))
                .collect(),
            turns: takes(Protocol::Turn),
            summary_bytes,
            most_held,
        }
    }
}

/// What reading requests counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Times a parser gave up, by protocol (as in [`Protocol::ALL`]) and reason.
    pub lost: [[u64; 3]; Protocol::ALL.len()],
    /// Responses to requests that were not seen.
    pub unpaired: [u64; Protocol::ALL.len()],
    /// Holes in what is read.
    pub gaps: u64,
    /// Requests given up because too many waited.
    pub pending_limit: u64,
    /// Messages given up because too many bytes waited.
    pub held_limit: u64,
    /// Holes given up because too much waited behind them.
    pub early_limit: u64,
}

impl std::ops::AddAssign for ReadCounts {
    fn add_assign(&mut self, other: ReadCounts) {
        let lost = self.lost.iter_mut().flatten();
        lost.zip(other.lost.iter().flatten())
            .for_each(|(a, b)| *a += b);
        let unpaired = self.unpaired.iter_mut().zip(other.unpaired);
        unpaired.for_each(|(a, b)| *a += b);
        self.gaps += other.gaps;
        self.pending_limit += other.pending_limit;
        self.held_limit += other.held_limit;
        self.early_limit += other.early_limit;
    }
}

/// What an exchange works with: its shard's, and the segment that is looked at.
pub(crate) struct Desk<'a> {
    pub(crate) context: &'a Context,
    pub(crate) rules: &'a Rules,
    pub(crate) counts: &'a mut ReadCounts,
    pub(crate) pool: &'a mut Vec<Box<Busy>>,
    /// Bytes held by all connections of the shard.
    pub(crate) held: &'a mut usize,
    /// Which protocol was recognised last on a server port.
    pub(crate) hints: &'a mut Hints,
    pub(crate) flow: &'a mut Flow,
    pub(crate) out: &'a mut Records,
    /// When a record that is made now becomes final.
    pub(crate) now: Moment,
}

/// The protocol recognised last, by server port: tried first on the next connection to that port.
pub(crate) struct Hints([(u16, Protocol); 64]);

impl Default for Hints {
    fn default() -> Hints {
        Hints([(0, Protocol::Turn); 64])
    }
}

impl Hints {
    fn get(&self, port: u16) -> Option<Protocol> {
        let (of, protocol) = self.0[usize::from(port) % 64];
        (of == port && protocol != Protocol::Turn).then_some(protocol)
    }

    fn set(&mut self, port: u16, protocol: Protocol) {
        self.0[usize::from(port) % 64] = (port, protocol);
    }
}

/// What a connection is read as.
enum Speaks {
    /// Nothing was recognised yet, after so many segments.
    Unknown(u8),
    /// By turns.
    Turn,
    Known(AnyParser),
}

/// Bits of [`Direction::bits`].
mod bit {
    /// `next` is set.
    pub(super) const STARTED: u8 = 1;
    /// The parser's footing is lost: bytes count again from a segment that begins with a message.
    pub(super) const LOST: u8 = 2;
    /// `fin` is set.
    pub(super) const FIN: u8 = 4;
    /// Everything up to the FIN was read.
    pub(super) const ENDED: u8 = 8;
    /// The receiver of this direction has room for less than a segment.
    pub(super) const NARROW: u8 = 16;
}

#[derive(Clone, Copy, Default)]
struct Direction {
    /// What continues the stream.
    next: Seq,
    /// Where its FIN stands.
    fin: Seq,
    bits: u8,
}

/// One connection's requests.
pub(crate) struct Exchange {
    core: Core,
    busy: Option<Box<Busy>>,
}

struct Core {
    speaks: Speaks,
    /// To the server, to the client.
    ways: [Direction; 2],
    /// Requests so far.
    tasks: u64,
    /// End of the latest response.
    last_end: Timestamp,
    /// Segments that were seen again, and that came out of order.
    repeats: u32,
    fills: u32,
    /// Spoken, as far as it is known.
    protocol: Option<Protocol>,
}

/// An exchange at work: its parts, and the desk.
struct Work<'w, 'd> {
    core: &'w mut Core,
    busy: &'w mut Busy,
    desk: &'w mut Desk<'d>,
}

impl Default for Exchange {
    fn default() -> Exchange {
        Exchange {
            core: Core {
                speaks: Speaks::Unknown(0),
                ways: [Direction::default(); 2],
                tasks: 0,
                last_end: Timestamp::MIN,
                repeats: 0,
                fills: 0,
                protocol: None,
            },
            busy: None,
        }
    }
}

impl Exchange {
    /// What is spoken, and how many requests there were.
    pub(crate) fn summary(&self) -> (Option<Protocol>, u64) {
        (self.core.protocol, self.core.tasks)
    }

    /// A segment of the connection, with what of its payload was captured.
    #[inline]
    pub(crate) fn segment(
        &mut self,
        desk: &mut Desk<'_>,
        seg: &Segment,
        facts: Facts,
        payload: &[u8],
    ) {
        let way = way_of(desk.flow, seg);
        self.core
            .window(desk.flow, seg, way, self.busy.as_deref_mut());
        let is_data = seg.payload_length > 0 && facts.sighting.is_some();
        let ends = seg.flags & flags::FIN != 0;
        if self.busy.is_none() && !is_data && !ends {
            return;
        }
        let mut busy = self
            .busy
            .take()
            .or_else(|| desk.pool.pop())
            .unwrap_or_default();
        let held = busy.held();
        let mut work = Work {
            core: &mut self.core,
            busy: &mut busy,
            desk,
        };
        if seg.flags & flags::ACK != 0 {
            work.acknowledges(seg, way);
        }
        if is_data {
            work.data(seg, facts, way, payload);
        }
        if ends {
            let direction = &mut work.core.ways[way as usize];
            let behind_syn = u32::from(seg.flags & flags::SYN != 0);
            direction.fin = Seq(seg.seq).plus(seg.payload_length + behind_syn);
            direction.bits |= bit::FIN;
            if direction.bits & bit::STARTED == 0 {
                direction.next = direction.fin;
                direction.bits |= bit::STARTED;
            }
        }
        work.overdue(seg);
        work.fins(seg.time);
        *desk.held = (*desk.held + busy.held()).saturating_sub(held);
        self.put_back(busy, desk);
    }

    /// A datagram of a flow over UDP.
    pub(crate) fn datagram(&mut self, desk: &mut Desk<'_>, seg: &Segment, payload: &[u8]) {
        let way = way_of(desk.flow, seg);
        let mut busy = self
            .busy
            .take()
            .or_else(|| desk.pool.pop())
            .unwrap_or_default();
        let held = busy.held();
        let mut work = Work {
            core: &mut self.core,
            busy: &mut busy,
            desk,
        };
        work.datagram(seg, way, payload);
        *desk.held = (*desk.held + busy.held()).saturating_sub(held);
        self.put_back(busy, desk);
    }

    /// The connection is over, or given up: what is outstanding is reported.
    pub(crate) fn end(&mut self, desk: &mut Desk<'_>, ended_by: EndedBy, at: Timestamp) {
        let Some(mut busy) = self.busy.take() else {
            return;
        };
        let held = busy.held();
        let mut work = Work {
            core: &mut self.core,
            busy: &mut busy,
            desk,
        };
        work.give_up_holes(at);
        work.finish_all(ended_by);
        work.emit_finished();
        *desk.held = desk.held.saturating_sub(held);
        busy.reset();
        self.put_back(busy, desk);
    }

    fn put_back(&mut self, mut busy: Box<Busy>, desk: &mut Desk<'_>) {
        if !busy.is_idle() {
            self.busy = Some(busy);
            return;
        }
        /// Enough for the connections that are busy at the same time, most of the time.
        const POOL: usize = 64;
        *desk.held = desk.held.saturating_sub(busy.held());
        busy.reset();
        if desk.pool.len() < POOL && busy.is_small() {
            desk.pool.push(busy);
        }
    }
}

fn way_of(flow: &Flow, seg: &Segment) -> Way {
    if seg.from == flow.client {
        Way::ToServer
    } else {
        Way::ToClient
    }
}

impl Core {
    /// Notes whether the sender of `seg` has room for a segment of its peer.
    #[inline]
    fn window(&mut self, flow: &Flow, seg: &Segment, way: Way, busy: Option<&mut Busy>) {
        if seg.flags & (flags::SYN | flags::RST) != 0 {
            return;
        }
        let from = usize::from(seg.from);
        // Unless both offered scaling, windows are as they stand; where it is not known, only zero says anything.
        let shift = flow
            .wscale
            .iter()
            .all(|&shift| shift != NO_SCALE)
            .then_some(flow.wscale[from]);
        let is_known = flow.handshake == HandshakeOutcome::Established;
        let narrow = match shift {
            Some(shift) => u32::from(seg.window) << shift < u32::from(flow.mss[from]),
            None if is_known => u32::from(seg.window) < u32::from(flow.mss[from]),
            None => seg.window == 0,
        };
        let other = 1 - way as usize;
        let direction = &mut self.ways[other];
        let was = direction.bits & bit::NARROW != 0;
        if narrow != was {
            direction.bits ^= bit::NARROW;
            if let Some(busy) = busy {
                let stretches = &mut busy.window[other];
                if narrow {
                    stretches.begin(seg.time);
                } else {
                    stretches.end(seg.time);
                }
            }
        }
    }
}

/// [`Flow::wscale`] of a side that offered none.
pub(crate) const NO_SCALE: u8 = u8::MAX;

/// What a SYN says of its sender's windows, for [`Flow::mss`] and [`Flow::wscale`].
pub(crate) fn offered(seg: &Segment) -> (u16, u8) {
    /// RFC 9293 section 3.7.1, for a SYN without the option.
    const DEFAULT_MSS: u16 = 536;
    /// RFC 7323 section 2.3.
    const MOST_SHIFT: u8 = 14;
    let has = |bit: u8| seg.syn.bits & bit != 0;
    (
        if has(syn_option::MSS) {
            seg.syn.mss
        } else {
            DEFAULT_MSS
        },
        if has(syn_option::WSCALE) {
            seg.syn.wscale.min(MOST_SHIFT)
        } else {
            NO_SCALE
        },
    )
}

impl Work<'_, '_> {
    /// Takes payload: in order it is read, early it waits, late it is dropped.
    fn data(&mut self, seg: &Segment, facts: Facts, way: Way, payload: &[u8]) {
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
        }
        let end = start.plus(seg.payload_length);
        match facts.sighting {
            Some(Sighting::Repeat | Sighting::Partial) => {
                self.core.repeats += 1;
                let first = self.first_sighting(w, start).unwrap_or(seg.time);
                self.busy.loss.add(first, seg.time);
            }
            Some(Sighting::Fill(_)) => self.core.fills += 1,
            Some(Sighting::New) | None => {}
        }
        let next = self.core.ways[w].next;
        let seen = next.offset(start);
        if end.offset(next) <= 0 {
            return;
        }
        if seen < 0 {
            self.busy.loss.begin(seg.time);
            self.busy.early[w].keep(start, seg.payload_length, payload, seg.frame, seg.clock);
            self.note_sent(w, end, seg.time);
            return;
        }
        let seen = seen.unsigned_abs();
        let bytes = payload.get(seen as usize..).unwrap_or_default();
        let cut = seg.payload_length - seen - bytes.len() as u32;
        self.deliver(way, bytes, cut, seg.time, seg.frame);
        self.note_sent(w, end, seg.time);
        if !self.busy.early[w].is_empty() {
            self.catch_up(way, seg.time);
        }
    }

    fn note_sent(&mut self, w: usize, end: Seq, at: Timestamp) {
        if self.busy.pending.is_empty() {
            return;
        }
        let sent = &mut self.busy.sent[w];
        if sent.len() >= MOST_SENT {
            sent.pop_front();
        }
        sent.push_back((end, at));
    }

    /// When the byte at `start` was first seen, as far as that is remembered.
    fn first_sighting(&self, w: usize, start: Seq) -> Option<Timestamp> {
        let sent = &self.busy.sent[w];
        sent.iter()
            .find(|(end, _)| start.before(*end))
            .map(|&(_, at)| at)
    }

    /// Reads what waited for what has come now.
    fn catch_up(&mut self, way: Way, at: Timestamp) {
        let w = way as usize;
        while let Some(ready) = self.busy.early[w].take(self.core.ways[w].next) {
            self.deliver(way, &ready.bytes, ready.cut, at, ready.frame);
        }
        if self.busy.early.iter().all(stream::Early::is_empty) {
            self.busy.loss.end(at);
        }
    }

    /// `bytes` continue the stream, and `cut` more that the capture did not take.
    fn deliver(&mut self, way: Way, bytes: &[u8], cut: u32, at: Timestamp, frame: u64) {
        let direction = &mut self.core.ways[way as usize];
        direction.next = direction.next.plus(bytes.len() as u32);
        if !bytes.is_empty() {
            self.read(way, bytes, at, frame);
        }
        if cut > 0 {
            self.core.ways[way as usize].next = self.core.ways[way as usize].next.plus(cut);
            self.missing(way, cut, true, at, frame);
        }
    }

    /// Gives up what was acknowledged and is overdue, and what too much waits behind.
    fn overdue(&mut self, seg: &Segment) {
        for way in [Way::ToServer, Way::ToClient] {
            let w = way as usize;
            if self.busy.early[w].is_empty() {
                continue;
            }
            // Ends of the flow key: who sends in this direction, and who acknowledges it.
            let client = usize::from(self.desk.flow.client);
            let receiver = if way == Way::ToServer {
                1 - client
            } else {
                client
            };
            while let Some((start, since)) = self.busy.early[w].first() {
                let peer = &self.desk.flow.sides[receiver];
                let acknowledged = !peer.acknowledged() || start.offset(peer.ack) <= 0;
                let overdue = acknowledged && seg.clock.0.saturating_sub(since.0) >= OVERDUE;
                let over = self.busy.early[w].is_over();
                if !overdue && !over {
                    break;
                }
                self.desk.counts.early_limit += u64::from(over && !overdue);
                self.jump(way, start, seg.time);
            }
        }
    }

    /// Every hole that is left is given up.
    fn give_up_holes(&mut self, at: Timestamp) {
        for way in [Way::ToServer, Way::ToClient] {
            while let Some((start, _)) = self.busy.early[way as usize].first() {
                self.jump(way, start, at);
            }
        }
    }

    /// Goes on at `start`: what lies before it was never seen.
    fn jump(&mut self, way: Way, start: Seq, at: Timestamp) {
        let direction = &mut self.core.ways[way as usize];
        let missing = start.offset(direction.next).max(0).unsigned_abs();
        direction.next = start;
        if missing > 0 {
            self.missing(way, missing, false, at, 0);
        }
        self.catch_up(way, at);
    }

    /// Takes the ACK of `seg` to what `way`'s peer sent.
    fn acknowledges(&mut self, seg: &Segment, way: Way) {
        let ack = Seq(seg.ack);
        let sent = &mut self.busy.sent[1 - way as usize];
        while sent.front().is_some_and(|&(end, _)| end.offset(ack) <= 0) {
            sent.pop_front();
        }
        if way == Way::ToClient {
            return;
        }
        for task in &mut self.busy.pending {
            let is_begun = task.times.first_response.is_some();
            if is_begun && task.acknowledged.is_none() && task.end.offset(ack) <= 0 {
                task.acknowledged = Some(seg.time);
            }
        }
        while let Some(first) = self.busy.finished.front_mut()
            && first.task.end.offset(ack) <= 0
        {
            first.task.acknowledged.get_or_insert(seg.time);
            if let Some(finished) = self.busy.finished.pop_front() {
                self.emit(finished);
            }
        }
    }

    /// Ends the directions whose FIN is reached, and what waits for a side that has closed.
    fn fins(&mut self, at: Timestamp) {
        for way in [Way::ToServer, Way::ToClient] {
            let direction = &mut self.core.ways[way as usize];
            let is_reached = direction.bits & (bit::FIN | bit::ENDED) == bit::FIN
                && direction.next.offset(direction.fin) >= 0;
            if is_reached {
                direction.bits |= bit::ENDED;
                self.end_of_stream(way, at);
                if way == Way::ToClient {
                    // Nobody will answer any more.
                    self.finish_all(EndedBy::ServerClose);
                }
            }
        }
    }

    /// A response has ended at `at`: the task is over. What it waited for behind others is known now.
    fn answered(&mut self, mut n: usize) {
        // What may go without an answer, and is older, did.
        while let Some(older) = self
            .busy
            .pending
            .iter()
            .take(n)
            .position(|task| task.owes == Owes::Perhaps)
        {
            self.unanswered(older, EndedBy::Response);
            n -= 1;
        }
        let Some(task) = self.busy.pending.remove(n) else {
            return;
        };
        let is_error = task.outcome.is_some_and(|outcome| outcome.is_error);
        let status = if is_error { Status::Error } else { Status::Ok };
        let queue_end = task.id.is_none().then_some(self.core.last_end);
        if let Some(end) = task.times.last_response {
            self.core.last_end = end;
        }
        let finished = self.over(task, status, EndedBy::Response, queue_end);
        if self.desk.flow.is_datagram() {
            self.emit(finished);
        } else {
            self.busy.finished.push_back(finished);
        }
    }

    /// What is known of a task when it is over.
    fn over(
        &mut self,
        task: Task,
        status: Status,
        ended_by: EndedBy,
        queue_end: Option<Timestamp>,
    ) -> Finished {
        let flow = &*self.desk.flow;
        let rtt = [flow.client, 1 - flow.client].map(|side| {
            let odd = flow.odd.as_deref().map(|odd| &odd[usize::from(side)]);
            let rtt = flow.sides[usize::from(side)].rtt(odd);
            rtt.map(|(_, min, _)| min)
        });
        let Times {
            first_request: t0,
            last_request,
            first_response,
            last_response,
            ..
        } = task.times;
        let times = match (last_request, first_response, last_response) {
            (Some(t1), Some(t2), Some(t3)) => Some([t0, t1, t2, t3]),
            _ => None,
        };
        let is_answered = matches!(status, Status::Ok | Status::Error);
        let budget = match (times, rtt[1]) {
            (Some(times), Some(server_rtt)) if is_answered && times.is_sorted() => Some(
                Ground {
                    times,
                    queue_end,
                    server_rtt,
                    loss: &self.busy.loss,
                    window: [&self.busy.window[0], &self.busy.window[1]],
                }
                .budget(),
            ),
            _ => None,
        };
        // What is over before the oldest request that waits is of no use any more.
        let oldest = self
            .busy
            .pending
            .front()
            .map(|task| task.times.first_request);
        if let Some(oldest) = oldest {
            self.busy.loss.forget_before(oldest);
            self.busy
                .window
                .iter_mut()
                .for_each(|window| window.forget_before(oldest));
        }
        Finished {
            repeats: self.core.repeats - task.before[0],
            fills: self.core.fills - task.before[1],
            task,
            status,
            ended_by,
            queue_end,
            budget,
            rtt,
        }
    }

    /// Whatever waits is over, unanswered; a turn whose response has begun counts as answered.
    fn finish_all(&mut self, ended_by: EndedBy) {
        while let Some(task) = self.busy.pending.front() {
            let is_turn = task.protocol == Protocol::Turn && task.outcome.is_none();
            if is_turn && task.times.first_response.is_some() {
                self.turn_ends();
            } else {
                self.unanswered(0, ended_by);
            }
        }
    }

    fn unanswered(&mut self, n: usize, ended_by: EndedBy) {
        let Some(task) = self.busy.pending.remove(n) else {
            return;
        };
        let (status, ended_by) = match task.owes {
            Owes::Reply => (Status::Unanswered, ended_by),
            Owes::Nothing => (Status::None, ended_by),
            Owes::Perhaps => (Status::None, EndedBy::Response),
        };
        let finished = self.over(task, status, ended_by, None);
        self.emit(finished);
    }

    fn emit_finished(&mut self) {
        while let Some(finished) = self.busy.finished.pop_front() {
            self.emit(finished);
        }
    }

    fn emit(&mut self, finished: Finished) {
        let Finished {
            task,
            status,
            ended_by,
            queue_end: _,
            budget,
            rtt,
            repeats,
            fills,
        } = finished;
        let flow = &*self.desk.flow;
        let context = self.desk.context;
        let direction = context.roles.direction(&flow.key, flow.client);
        let [operation, summary, status_text] = task.words;
        let row = RequestRow {
            flow: flow.key,
            client: flow.client,
            role_from: flow.role_from,
            vantage: context.vantage,
            direction,
            tap_side: context.roles.tap_side(direction, flow.tap_side),
            tunnel: flow.tunnel,
            vlan: flow.vlan,
            connection_id: context.id(flow),
            protocol: task.protocol,
            status,
            ended_by,
            capture_loss: task.gap,
            reordered: fills > 0,
            cut: task.cut,
            gap: task.gap,
            status_code: task.outcome.and_then(|outcome| outcome.code),
            operation,
            summary,
            status_text,
            times: Times {
                acknowledged: task.acknowledged,
                ..task.times
            },
            request_bytes: task.bytes[0],
            response_bytes: task.bytes[1],
            task: task.number,
            queued: task.queued,
            retransmits: repeats,
            rtt,
            budget,
            frames: task.frames,
        };
        let place = Place {
            at: self.desk.now,
            first_frame: flow.first_frame,
            kind: Kind::Request,
        };
        self.desk.out.request(place, row, &self.busy.words);
        if self.busy.pending.is_empty() && self.busy.finished.is_empty() {
            self.busy.words.clear();
        } else if self.busy.words.len() > MANY_WORDS {
            self.busy.compact_words();
        }
    }

    fn count_loss(&mut self, protocol: Protocol, loss: Loss) {
        self.desk.counts.lost[protocol as usize][loss as usize] += 1;
    }
}
