//! Requests and their responses on one connection: pairing, times and the time budget, once for all protocols.
//!
//! A segment's payload is put in order ([`stream`]), read by the connection's parser ([`crate::proto`]) and becomes parts
//! of tasks ([`task`]); a task that is over gets its budget ([`budget`]) and waits for the ACK of its last byte. A message
//! begins when the first of its bytes was captured and ends when the last was.
//!
//! Pairing: by number where the protocol has numbers, else first in first out. A hole ends it: what was outstanding is
//! given up (`ended_by: gap`), and each direction is taken up again where a segment begins with a message.

mod budget;
mod read;
mod stream;
mod task;

use self::budget::Ground;
pub(crate) use self::task::{Busy, Pool};
use self::task::{FEW_WORDS, MANY_WORDS, MOST_SENT, NEVER, Task};
use super::Context;
use crate::batch::{Kind, Moment, Place, Records};
use crate::flow::Flow;
use crate::proto::{AnyParser, Loss, Owes, Way, websocket};
use crate::record::{EndedBy, HandshakeOutcome, Protocol, RequestRow, Status, Times};
use crate::tcp::seen::Sighting;
use crate::tcp::seq::Seq;
use crate::tcp::track::Facts;
use crate::time::Timestamp;
use crate::wire::segment::{Segment, SynOptions, flags, syn_option};

/// Most requests of one connection that wait at once; beyond, the oldest is given up.
const MOST_PENDING: usize = 1024;
/// How long data that was acknowledged may be overdue before it counts as missed: packets of one connection come from
/// several queues, and the ACK may overtake here what it acknowledges. Chosen: far above what queues do.
const OVERDUE: i64 = 10_000_000;
/// How far from where it is expected a segment may begin: more than most windows.
const FAR: u32 = 1 << 20;
/// Segments without a message at their start after which an unknown connection is taken by turns.
const TRIES: u8 = 8;
/// How long a server that has all requests of a pipelining client says nothing when it has none left to answer, in ns.
/// Chosen: few requests take longer, and fewer of those that were missed.
const STILL: i64 = 1_000_000_000;

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
    /// Datagrams that were read.
    pub datagrams: u64,
    /// Holes in what is read.
    pub gaps: u64,
    /// Requests given up because too many waited.
    pub pending_limit: u64,
    /// Connections whose messages were given up because all of them held too much.
    pub held_limit: u64,
    /// Holes given up because too much waited behind them.
    pub early_limit: u64,
}

/// The words of one protocol in `health.unparsed_messages`.
macro_rules! unparsed_words {
    ($( $protocol:ident $word:literal ),+ $(,)?) => {
        fn unparsed_words(protocol: Protocol) -> [&'static str; 4] {
            match protocol {
                $( Protocol::$protocol => [
                    concat!($word, ".malformed"),
                    concat!($word, ".too_long"),
                    concat!($word, ".unsupported"),
                    concat!($word, ".unpaired"),
                ], )+
            }
        }
    };
}

unparsed_words! {
    Turn "turn", Redis "redis", Memcached "memcached", Http "http", Http2 "http2", Grpc "grpc",
    Websocket "websocket", Mysql "mysql", Postgres "postgres", Dns "dns", Tls "tls", Mongodb "mongodb", Kafka "kafka",
}

impl ReadCounts {
    /// What could not be read, by protocol and reason; `unpaired` are responses to requests that were not seen.
    pub fn unparsed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Protocol::ALL.iter().flat_map(|&protocol| {
            let [malformed, too_long, unsupported] = self.lost[protocol as usize];
            let counts = [
                malformed,
                too_long,
                unsupported,
                self.unpaired[protocol as usize],
            ];
            unparsed_words(protocol).into_iter().zip(counts)
        })
    }

    /// Bounds that were reached.
    pub fn limit_hits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("pending_requests", self.pending_limit),
            ("held_bytes", self.held_limit),
            ("early_bytes", self.early_limit),
        ]
        .into_iter()
    }
}

impl std::ops::AddAssign for ReadCounts {
    fn add_assign(&mut self, other: ReadCounts) {
        let lost = self.lost.iter_mut().flatten();
        lost.zip(other.lost.iter().flatten())
            .for_each(|(a, b)| *a += b);
        let unpaired = self.unpaired.iter_mut().zip(other.unpaired);
        unpaired.for_each(|(a, b)| *a += b);
        self.datagrams += other.datagrams;
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
    pub(crate) pool: &'a mut Pool,
    /// Bytes held by all connections of the shard.
    pub(crate) held: &'a mut usize,
    pub(crate) flow: &'a mut Flow,
    pub(crate) out: &'a mut Records,
    /// When a record that is made now becomes final.
    pub(crate) now: Moment,
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
    pub(super) const STARTED: u16 = 1;
    /// The parser's footing is lost: bytes count again from a segment that begins with a message.
    pub(super) const LOST: u16 = 2;
    /// `fin` is set.
    pub(super) const FIN: u16 = 4;
    /// Everything up to the FIN was read.
    pub(super) const ENDED: u16 = 8;
    /// The receiver of this direction has room for less than a segment.
    pub(super) const NARROW: u16 = 16;
    /// Of both directions: requests may have been missed, so of responses without numbers nobody knows whose they are.
    pub(super) const ADRIFT: u16 = 32;
    /// Of both directions: `answered` is set.
    pub(super) const ANSWERED: u16 = 64;
    /// Of both directions: the client asked before it was answered.
    pub(super) const PIPELINES: u16 = 128;
    /// Of both directions: they are not adrift only if the client never does that.
    pub(super) const ASSUMED: u16 = 256;
}

#[derive(Clone, Copy, Default)]
struct Direction {
    /// What continues the stream.
    next: Seq,
    /// Where its FIN stands.
    fin: Seq,
    bits: u16,
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
    /// End of the latest response; adrift, when the server sent last.
    last_end: Timestamp,
    /// Adrift: what the server had acknowledged when it sent last.
    answered: Seq,
    /// Segments that were seen again, and that came out of order.
    repeats: u32,
    fills: u32,
    /// Of client and server: the segment size they take, 0 where that was not seen, and the shift of their windows.
    mss: [u16; 2],
    shifts: [u8; 2],
    /// Of client and server: the largest window so far, and the least in which its peer may send; as windows stand in
    /// headers.
    largest: [u16; 2],
    least: [u16; 2],
    /// Spoken, as far as it is known.
    protocol: Option<Protocol>,
}

impl Core {
    /// Whether a side has no room for a segment of the other.
    #[inline]
    fn is_narrow(&self) -> bool {
        self.ways.iter().any(|way| way.bits & bit::NARROW != 0)
    }

    /// The largest window of one side is `largest` now. Its peer waits for room for a segment, or for half of the largest
    /// window where segments are larger than that (RFC 1122 section 4.2.3.4): loopback.
    #[inline(never)]
    fn grows(&mut self, w: usize, largest: u16) {
        // Unless both offered scaling, windows are as they stand; where that was not seen, only zero says anything.
        let [a, b] = self.shifts;
        let is_scaled = a != NO_SCALE && b != NO_SCALE;
        let shift = if is_scaled { self.shifts[w] } else { 0 };
        let bytes = u32::from(self.mss[w]).min((u32::from(largest) << shift) / 2);
        self.largest[w] = largest;
        // At most half of what 16 bits hold.
        self.least[w] = bytes.max(1).div_ceil(1 << shift) as u16;
    }

    /// Whether it is not known whose the next response is, if it has no number.
    #[inline]
    fn is_adrift(&self) -> bool {
        self.ways[Way::ToClient as usize].bits & bit::ADRIFT != 0
    }

    fn set(&mut self, bits: u16) {
        self.ways.iter_mut().for_each(|way| way.bits |= bits);
    }

    /// The next request gets the next response.
    fn moor(&mut self) {
        let bits = bit::ADRIFT | bit::ANSWERED | bit::ASSUMED;
        self.ways.iter_mut().for_each(|way| way.bits &= !bits);
    }
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
                answered: Seq(0),
                repeats: 0,
                fills: 0,
                mss: [0; 2],
                shifts: [NO_SCALE; 2],
                largest: [0; 2],
                least: [1; 2],
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

    /// Segments of a connection in an unknown protocol that were passed over, for they may have been the middle of a
    /// message, and none followed that told more.
    pub(crate) fn passed_over(&self) -> u64 {
        match self.core.speaks {
            Speaks::Unknown(tries) => u64::from(tries),
            Speaks::Turn | Speaks::Known(_) => 0,
        }
    }

    /// The connection is established with these options of client and server.
    pub(crate) fn established(&mut self, options: [SynOptions; 2]) {
        for (n, syn) in options.into_iter().enumerate() {
            (self.core.mss[n], self.core.shifts[n]) = offered(syn);
        }
        for n in 0..2 {
            self.core.grows(n, self.core.largest[n]);
        }
    }

    /// Takes note of the window of a segment; whether the rest of it says something here. A bare ACK, a keep-alive, a repeat
    /// do only to what waits for them.
    #[inline(always)]
    pub(crate) fn is_concerned(&mut self, client: u8, seg: &Segment, facts: Facts) -> bool {
        let is_from_client = seg.from == client;
        self.window(seg, way_from(is_from_client));
        let is_data = seg.payload_length > 0 && facts.sighting.is_some();
        if is_data || seg.flags & flags::FIN != 0 {
            return true;
        }
        let acknowledges = is_from_client || seg.flags & flags::RST != 0;
        let waits = |busy: &Busy| acknowledges || busy.is_rare;
        self.busy.as_deref().is_some_and(waits)
    }

    /// A segment of the connection that it [is concerned](Self::is_concerned) with, and what of its payload was captured.
    pub(crate) fn segment(
        &mut self,
        desk: &mut Desk<'_>,
        seg: &Segment,
        facts: Facts,
        payload: &[u8],
    ) {
        let way = way_of(desk.flow, seg);
        let is_data = seg.payload_length > 0 && facts.sighting.is_some();
        let ends = seg.flags & flags::FIN != 0;
        self.at_work(desk, |work| {
            if work.busy.is_rare {
                work.clean(seg, way);
            }
            if seg.flags & flags::ACK != 0 && way == Way::ToServer {
                work.acknowledges(seg);
            }
            if is_data {
                work.data(seg, facts, way, payload);
            }
            if ends {
                // Its data may have told that client and server are the other way round.
                work.fin(seg, way_of(work.desk.flow, seg));
            }
            if work.core.ways.iter().any(|way| way.bits & bit::FIN != 0) {
                work.fins(seg.time);
            }
        });
    }

    /// A datagram of a flow over UDP.
    pub(crate) fn datagram(&mut self, desk: &mut Desk<'_>, seg: &Segment, payload: &[u8]) {
        let way = way_of(desk.flow, seg);
        self.at_work(desk, |work| work.datagram(seg, way, payload));
    }

    /// The connection is over, or given up: what is outstanding is reported.
    pub(crate) fn end(&mut self, desk: &mut Desk<'_>, ended_by: EndedBy) {
        if self.busy.is_none() {
            return;
        }
        self.at_work(desk, |work| {
            work.give_up_holes();
            work.settle();
            if work.busy.tasks.iter().any(|task| task.over.is_none()) {
                work.core.set(bit::ADRIFT);
            }
            work.finish_all(ended_by);
            work.emit_all();
            // It may go on after all, if the RST was forged.
            work.lose_place();
            work.busy.reset();
        });
    }

    /// Calls `each` with what a connection needs while something is going on, taken from the pool and given back.
    #[inline]
    fn at_work(&mut self, desk: &mut Desk<'_>, each: impl FnOnce(&mut Work<'_, '_>)) {
        /// Enough for the connections that are busy at the same time, most of the time.
        const POOL: usize = 64;
        let Exchange { core, busy: place } = self;
        let busy = place.get_or_insert_with(|| desk.pool.pop().unwrap_or_else(Busy::fresh));
        let mut work = Work { core, busy, desk };
        each(&mut work);
        let was_rare = busy.is_rare;
        if was_rare {
            busy.calm();
        }
        let is_idle = busy.is_idle();
        if is_idle {
            busy.reset();
        }
        let is_calm = was_rare && (is_idle || !busy.is_rare);
        if is_calm || busy.is_uncounted() {
            busy.count(desk.held);
        }
        if is_idle && let Some(busy) = place.take() {
            if desk.pool.len() < POOL && busy.is_small() {
                desk.pool.push(busy);
            } else {
                *desk.held = desk.held.saturating_sub(busy.memory());
            }
        }
    }

    /// Since when something of it waits, if anything does.
    pub(crate) fn waits_since(&self) -> Option<Timestamp> {
        self.busy.as_deref().map(Busy::since)
    }

    /// All that waits is given up, for the shard's connections hold too much.
    pub(crate) fn give_up(&mut self, desk: &mut Desk<'_>) {
        desk.counts.held_limit += 1;
        self.at_work(desk, |work| {
            work.give_up_holes();
            work.lose_place();
            if work.busy.tasks.iter().any(|task| task.over.is_none()) {
                work.core.set(bit::ADRIFT);
            }
            work.finish_all(EndedBy::Gap);
            work.emit_all();
            work.busy.reset();
        });
    }

    /// Notes whether the sender of `seg` has room for a segment of its peer.
    #[inline(always)]
    fn window(&mut self, seg: &Segment, way: Way) {
        let w = way as usize;
        if seg.flags & (flags::SYN | flags::RST) != 0 {
            return;
        }
        if seg.window > self.core.largest[w] {
            self.core.grows(w, seg.window);
        }
        let narrow = seg.window < self.core.least[w];
        let was = self.core.ways[1 - w].bits & bit::NARROW != 0;
        if narrow != was {
            self.window_changes(1 - w, narrow, seg.time);
        }
    }

    #[cold]
    fn window_changes(&mut self, w: usize, narrow: bool, at: Timestamp) {
        self.core.ways[w].bits ^= bit::NARROW;
        let Some(busy) = &mut self.busy else {
            return;
        };
        busy.is_rare = true;
        busy.grown += budget::STRETCH;
        let stretches = &mut busy.window[w];
        if narrow {
            stretches.begin(at);
        } else {
            stretches.end(at);
        }
    }
}

fn way_of(flow: &Flow, seg: &Segment) -> Way {
    way_from(seg.from == flow.client)
}

fn way_from(is_from_client: bool) -> Way {
    if is_from_client {
        Way::ToServer
    } else {
        Way::ToClient
    }
}

/// The shift of a side that offered no window scaling.
const NO_SCALE: u8 = u8::MAX;

/// What a SYN says of its sender's windows: least segment in bytes, and shift.
fn offered(syn: SynOptions) -> (u16, u8) {
    /// RFC 9293 section 3.7.1, for a SYN without the option.
    const DEFAULT_MSS: u16 = 536;
    /// RFC 7323 section 2.3.
    const MOST_SHIFT: u8 = 14;
    let has = |bit: u8| syn.bits & bit != 0;
    let mss = if has(syn_option::MSS) {
        syn.mss
    } else {
        DEFAULT_MSS
    };
    let shift = if has(syn_option::WSCALE) {
        syn.wscale.min(MOST_SHIFT)
    } else {
        NO_SCALE
    };
    (mss, shift)
}

impl Work<'_, '_> {
    /// Takes payload: in order it is read, early it waits, late it is dropped.
    #[inline]
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
            || direction.bits & (bit::LOST | bit::ADRIFT) != 0
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

    /// Whether the shard's connections hold nearly as much as they may.
    #[inline]
    fn is_tight(&self) -> bool {
        *self.desk.held > self.desk.rules.most_held / 2
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
    fn clean(&mut self, seg: &Segment, way: Way) {
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
    fn lose_place(&mut self) {
        for way in [Way::ToServer, Way::ToClient] {
            if self.busy.is_within_message(way as usize) {
                self.lose_footing(way, None);
            }
        }
    }

    /// Every hole that is left is given up.
    fn give_up_holes(&mut self) {
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

    /// Takes the client's ACK to the responses that it covers.
    #[inline]
    fn acknowledges(&mut self, seg: &Segment) {
        let ack = Seq(seg.ack);
        let mut n = 0;
        while let Some(task) = self.busy.tasks.get_mut(n) {
            if task.is_answering() && task.end.offset(ack) <= 0 {
                if task.acknowledged == NEVER {
                    task.acknowledged = seg.time;
                }
                if task.over.is_some() {
                    self.emit(n);
                    continue;
                }
            } else if task.id.is_none() {
                // Those behind it are answered later.
                break;
            }
            n += 1;
        }
    }

    /// A FIN, and where it stands.
    fn fin(&mut self, seg: &Segment, way: Way) {
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
    fn fins(&mut self, at: Timestamp) {
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

    /// The response to the `n`th task has ended: it is over, and waits only for the ACK of its last byte.
    #[inline]
    fn answered(&mut self, n: usize) {
        let Some(task) = self.busy.tasks.get_mut(n) else {
            return;
        };
        let is_error = task.outcome.is_some_and(|outcome| outcome.is_error);
        let status = if is_error { Status::Error } else { Status::Ok };
        let is_in_order = match task.id {
            None => true,
            Some(id) => task.protocol == Protocol::Websocket && websocket::is_message(id),
        };
        if is_in_order {
            task.queue_end = self.core.last_end;
            self.core.last_end = task.last_response.max(self.core.last_end);
        }
        task.repeats = self.core.repeats.wrapping_sub(task.repeats);
        task.fills = self.core.fills.wrapping_sub(task.fills);
        task.over = Some((status, EndedBy::Response));
        let is_complete = task.acknowledged != NEVER || self.desk.flow.is_datagram();
        let n = self.older_go_without(n);
        if is_complete {
            self.emit(n);
        }
    }

    /// What may go without an answer, and is older than the `n`th, did. Where that one is then.
    #[inline]
    fn older_go_without(&mut self, mut n: usize) -> usize {
        let goes = |task: &Task| task.over.is_none() && task.owes == Owes::Perhaps;
        while let Some(older) = self.busy.tasks.iter().take(n).position(goes) {
            self.unanswered(older, EndedBy::Response);
            n -= 1;
        }
        n
    }

    /// Whatever waits is over.
    fn finish_all(&mut self, ended_by: EndedBy) {
        while let Some(n) = self.busy.tasks.iter().position(|task| task.over.is_none()) {
            let task = &self.busy.tasks[n];
            // A turn may have been over, for all that is known.
            if task.is_answering() && task.protocol == Protocol::Turn {
                self.answered(n);
            } else {
                self.unanswered(n, ended_by);
            }
        }
    }

    /// The `n`th task gets no answer, or owes none; or its answer was cut off: then it went as far as was told.
    fn unanswered(&mut self, n: usize, ended_by: EndedBy) {
        let Some(task) = self.busy.tasks.get_mut(n) else {
            return;
        };
        let (status, ended_by) = match task.owes {
            _ if task.is_answering() && task.outcome.is_some() => {
                let is_error = task.outcome.is_some_and(|outcome| outcome.is_error);
                (if is_error { Status::Error } else { Status::Ok }, ended_by)
            }
            Owes::Reply => (Status::Unanswered, ended_by),
            Owes::Nothing => (Status::None, ended_by),
            Owes::Perhaps => (Status::None, EndedBy::Response),
        };
        task.repeats = self.core.repeats.wrapping_sub(task.repeats);
        task.fills = self.core.fills.wrapping_sub(task.fills);
        task.over = Some((status, ended_by));
        self.emit(n);
    }

    fn emit_all(&mut self) {
        while !self.busy.tasks.is_empty() {
            self.emit(0);
        }
    }

    /// The `n`th task becomes a record.
    fn emit(&mut self, n: usize) {
        let Some(task) = self.busy.tasks.get(n) else {
            return;
        };
        let flow = &*self.desk.flow;
        let context = self.desk.context;
        let direction = context.roles.direction(&flow.key, flow.client);
        let rtt = [flow.client, 1 - flow.client].map(|side| {
            let odd = flow.odd.as_deref().map(|odd| &odd[usize::from(side)]);
            flow.sides[usize::from(side)]
                .rtt(odd)
                .map(|(_, min, _)| min)
        });
        let times = Times {
            first_request: task.first_request,
            last_request: task.last_request,
            first_response: task.first_response,
            last_response: task.last_response,
            acknowledged: task.acknowledged,
        };
        let (status, ended_by) = task
            .over
            .unwrap_or((Status::Unanswered, EndedBy::Observation));
        let (troubled, never_came) = if self.busy.is_rare {
            let troubled = self.trouble(&times, task.queue_end, rtt[1]);
            (troubled, self.busy.never_came(task))
        } else {
            (None, [0; 2])
        };
        let words = self.desk.out.words(&task.words, &self.busy.words);
        let [operation, summary, status_text] = words;
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
            reordered: task.fills > 0,
            cut: task.cut,
            gap: task.gap,
            status_code: task.outcome.and_then(|outcome| outcome.code),
            operation,
            summary,
            status_text,
            times,
            request_bytes: task.bytes[0].saturating_sub(never_came[0]),
            response_bytes: task.bytes[1].saturating_sub(never_came[1]),
            task: task.number,
            queued: task.queued,
            retransmits: task.repeats,
            rtt,
            queue_end: task.queue_end,
            troubled,
            frames: task.frames,
        };
        let place = Place {
            at: self.desk.now,
            first_frame: flow.first_frame,
            kind: Kind::Request,
        };
        self.desk.out.request(place, row);
        if n == 0 {
            self.busy.tasks.pop_front();
        } else {
            self.busy.remove(n);
        }
        self.tidy_words();
        if self.busy.is_rare {
            self.forget();
        }
    }

    /// Drops words that no task has any more.
    #[inline]
    fn tidy_words(&mut self) {
        let words = self.busy.words.len();
        if self.busy.keeps_words {
            // A request that is about to become a task has the last of them.
        } else if self.busy.tasks.is_empty() {
            self.busy.words.clear();
        } else if words > FEW_WORDS
            && words > self.busy.many_words
            && (words > MANY_WORDS || self.is_tight())
        {
            self.busy.compact_words();
        }
    }

    /// The time budget of a request in whose time something was lost or held up.
    #[inline(never)]
    fn trouble(
        &self,
        times: &Times,
        queue_end: Timestamp,
        server_rtt: Option<u64>,
    ) -> Option<Box<[u64; 7]>> {
        let Busy { loss, window, .. } = &*self.busy;
        if loss.is_empty() && window.iter().all(budget::Stretches::is_empty) {
            return None;
        }
        let ground = Ground {
            times: times.in_order()?,
            queue_end,
            server_rtt: server_rtt?,
            loss,
            window: [&window[0], &window[1]],
        };
        Some(Box::new(ground.budget()))
    }

    /// What is over before the oldest task that is left is of no use any more.
    #[inline(never)]
    fn forget(&mut self) {
        let oldest = self.busy.tasks.front().map(|task| task.first_request);
        let oldest = oldest.unwrap_or(Timestamp::MAX);
        self.busy.loss.forget_before(oldest);
        let windows = self.busy.window.iter_mut();
        windows.for_each(|window| window.forget_before(oldest));
    }

    fn count_loss(&mut self, protocol: Protocol, loss: Loss) {
        self.desk.counts.lost[protocol as usize][loss as usize] += 1;
    }
}

const _: () = assert!(
    size_of::<Exchange>() <= 120,
    "an idle connection with a parser must fit the memory bound per connection"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// RFC 1122 section 4.2.3.4 in bytes is what the thresholds say in the units of headers.
        #[test]
        fn a_window_is_closed_that_has_no_room(
            shifts in prop::array::uniform2(prop_oneof![0_u8..=14, Just(NO_SCALE)]),
            mss in prop_oneof![Just(0_u16), Just(1460), Just(65_495), any::<u16>()],
            largest in any::<u16>(),
            window in any::<u16>(),
        ) {
            let mut exchange = Exchange::default();
            exchange.core.shifts = shifts;
            exchange.core.mss = [mss; 2];
            exchange.core.grows(0, largest);
            let shift = if shifts.contains(&NO_SCALE) { 0 } else { shifts[0] };
            let bytes = |window: u16| u32::from(window) << shift;
            let room = u32::from(mss).min(bytes(largest) / 2).max(1);
            let least = exchange.core.least[0];
            for window in [0, window.min(largest), least, least.saturating_sub(1)] {
                prop_assert_eq!(window < least, bytes(window) < room);
            }
        }
    }
}
