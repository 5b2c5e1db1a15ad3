//! From segments to events: the same tracking as for records (`tcp::track`), and beside it what only a story needs: which
//! packet carried what, who waits for whom, and where a run of ordinary segments ends. `acks` is about segments that only
//! acknowledge, `attach` finds the place of requests among the events.

mod acks;
mod attach;

use super::event::{Again, Event, Late, Silence, What};
use super::sent::Sending;
use crate::record::End;
use crate::shard::Owner;
use crate::tcp::seen::{Sent, Sighting};
use crate::tcp::seq::Seq;
use crate::tcp::track::{Odds, Side, units};
use crate::time::Timestamp;
use crate::wire::segment::{Segment, flags, has};

/// From here on nothing but time is worth a line: 1 s. Chosen: a person waits, and a timeout has passed.
const SILENCE_NS: u64 = 1_000_000_000;

/// Segments further apart are no run: 100 ms, from where on a request is called slow. Chosen: a gap that makes it slow shows.
const RUN_NS: u64 = 100_000_000;

/// What comes again so late was waited for: 200 ms, the least retransmission timeout of Linux (include/net/tcp.h,
/// TCP_RTO_MIN).
const TIMEOUT_NS: u64 = 200_000_000;

/// Duplicate ACKs that ask for a segment (RFC 5681 section 3.2).
const FAST: u32 = 3;

/// How far back an event is looked for: where a window closed, what a request began with, an ACK that was held back.
const NEAR: usize = 256;

/// One connection while its packets come.
#[derive(Clone, Debug)]
pub(super) struct Following {
    pub events: Vec<Event>,
    /// Every segment is an event.
    is_all: bool,
    keep_duplicates: bool,
    /// Which end of the key is the client.
    pub client: u8,
    /// The attempt is not decided by what was seen so far.
    pub is_opening: bool,
    is_begun: bool,
    sides: [Side; 2],
    odd: Odds,
    sending: [Sending; 2],
    /// Since when a side's window is closed.
    closed: [Option<Timestamp>; 2],
    /// Duplicate ACKs of a side since it acknowledged something new.
    duplicate_acks: [u32; 2],
    /// The last window a side announced.
    windows: [u16; 2],
    /// An ACK of a side that was held back, until it shows whether somebody waited for it.
    held_back: Option<Event>,
    /// Who sent data last.
    spoke: Option<End>,
    pub closed_first: Option<End>,
    /// The latest packet.
    pub last: Timestamp,
    /// Bytes and ns of runs, by end of the key.
    pub rates: [(u64, u64); 2],
    /// Since when what the latest segment repaired had been missing.
    pub repaired: Option<Timestamp>,
    /// Since when the window had been closed that the latest segment opens.
    pub opened: Option<Timestamp>,
}

impl Following {
    pub(super) fn new(is_all: bool, keep_duplicates: bool) -> Following {
        Following {
            events: Vec::new(),
            is_all,
            keep_duplicates,
            client: 0,
            is_opening: false,
            is_begun: false,
            sides: [Side::default(); 2],
            odd: Odds::default(),
            sending: Default::default(),
            closed: [None; 2],
            duplicate_acks: [0; 2],
            windows: [0; 2],
            held_back: None,
            spoke: None,
            closed_first: None,
            last: Timestamp::MIN,
            rates: [(0, 0); 2],
            repaired: None,
            opened: None,
        }
    }

    /// The next segment.
    pub(super) fn segment(&mut self, seg: &Segment, owner: &Owner) {
        let from = usize::from(seg.from & 1);
        self.begin(seg, owner);
        self.restart(seg);
        if self.sides[from].is_second_sighting(seg, &mut self.odd) && !self.keep_duplicates {
            if self.is_all {
                self.push(seg, What::SecondSighting);
            }
            self.is_opening = owner.is_opening;
            return;
        }
        self.silence(seg);
        let before = Before::of(self, from);
        let [low, high] = &mut self.sides;
        let (side, peer) = if from == 0 { (low, high) } else { (high, low) };
        let facts = side.segment(peer, seg, &mut self.odd);
        self.was_waited_for(seg);
        if seg.has & has::DSACK != 0 {
            self.push(seg, What::Spurious);
        }
        self.told(seg, &before, facts.sighting);
        self.window(seg);
        let is_bare = seg.payload_length == 0
            && seg.flags & (flags::SYN | flags::FIN | flags::RST) == 0
            && before.keepalives == self.keepalives(from);
        if facts.acknowledges {
            self.duplicate_acks[from] = 0;
        }
        if is_bare && seg.flags & flags::ACK != 0 {
            self.bare_ack(seg, &before, facts.acknowledges);
        } else if is_bare && self.is_all && !self.is_of_window(seg) {
            // It says nothing at all.
            self.push(seg, What::Ack);
        }
        self.is_opening = owner.is_opening;
        self.windows[from] = seg.window;
        self.last = self.last.max(seg.time);
    }

    /// Who is who, by the first segment.
    fn begin(&mut self, seg: &Segment, owner: &Owner) {
        if self.is_begun {
            return;
        }
        self.is_begun = true;
        self.client = if owner.is_from_client {
            seg.from & 1
        } else {
            1 - (seg.from & 1)
        };
        self.last = seg.time;
    }

    /// Another initial sequence number while the handshake is open says that what came before was of another connection
    /// (`shard`).
    fn restart(&mut self, seg: &Segment) {
        let from = usize::from(seg.from & 1);
        let side = &mut self.sides[from];
        let is_another = side.started() && side.low != Seq(seg.seq);
        if seg.flags & flags::SYN == 0 || !self.is_opening || !is_another {
            return;
        }
        side.restart(self.odd.get_mut(from));
        self.sending[from].restart();
    }

    fn end(&self, from: u8) -> End {
        if from & 1 == self.client {
            End::Client
        } else {
            End::Server
        }
    }

    fn keepalives(&self, from: usize) -> u64 {
        self.odd.get(from).map_or(0, |odd| odd.keepalives)
    }

    fn event(&self, seg: &Segment, what: What) -> Event {
        Event {
            time: seg.time,
            until: seg.time,
            from: Some(self.end(seg.from)),
            what,
            flags: seg.flags,
            frames: [seg.frame; 2],
            segments: 1,
            bytes: u64::from(seg.payload_length),
            span: None,
            notes: None,
        }
    }

    fn push(&mut self, seg: &Segment, what: What) -> Option<&mut Event> {
        let event = self.event(seg, what);
        self.events.push(event);
        self.events.last_mut()
    }

    /// Nothing was seen for a while before this segment.
    fn silence(&mut self, seg: &Segment) {
        let Some(span) = seg.time.since(self.last) else {
            return;
        };
        if span.ns() < SILENCE_NS {
            return;
        }
        let closed = |n: usize| self.closed[n].map(|_| Silence::Window(self.end(n as u8)));
        let why = if self.is_opening {
            Silence::Opening
        } else if let Some(window) = closed(0).or(closed(1)) {
            window
        } else {
            self.spoke.map_or(Silence::NoData, Silence::After)
        };
        self.events.push(Event {
            time: self.last,
            from: None,
            flags: 0,
            segments: 0,
            bytes: 0,
            span: Some(span),
            ..self.event(seg, What::Silence(why))
        });
    }

    /// The segment itself, but for what it says of windows and of what it acknowledges.
    fn told(&mut self, seg: &Segment, before: &Before, sighting: Option<Sighting>) {
        let from = usize::from(seg.from & 1);
        let (start, end) = (Seq(seg.seq), Seq(seg.seq).plus(units(seg)));
        if seg.flags & flags::RST != 0 {
            self.push(seg, What::Reset);
            return;
        }
        if self.keepalives(from) > before.keepalives {
            self.probe(seg);
            return;
        }
        match sighting {
            None => return,
            Some(Sighting::New) => {
                if before.is_started && before.high != start {
                    self.hole(seg, before.high);
                }
                self.new_units(seg);
            }
            Some(Sighting::Repeat) => self.repeat(seg, start, end),
            Some(Sighting::Partial) => {
                self.push(seg, What::Partial);
            }
            Some(Sighting::Fill(sent)) => self.fill(seg, start, end, sent),
        }
        self.sending[from].carries(start, end, seg.frame, seg.time);
        if seg.payload_length > 0 {
            self.spoke = Some(self.end(seg.from));
        }
    }

    fn hole(&mut self, seg: &Segment, high: Seq) {
        let from = usize::from(seg.from & 1);
        let start = Seq(seg.seq);
        self.sending[from].opens(high, start, seg.frame, seg.time);
        let peer = &self.sides[1 - from];
        let is_acknowledged = peer.acknowledged() && peer.ack.offset(start) >= 0;
        let missing = start.distance(high);
        if let Some(event) = self.push(seg, What::Hole { is_acknowledged }) {
            event.bytes = u64::from(missing);
            // The segment itself is told by what follows.
            event.segments = 0;
            event.flags = 0;
        }
    }

    /// SYN, data, FIN, seen for the first time and in order.
    fn new_units(&mut self, seg: &Segment) {
        match seg.flags & (flags::SYN | flags::ACK) {
            flags::SYN => {
                self.push(seg, What::Syn);
                return;
            }
            both if both == flags::SYN | flags::ACK => {
                self.push(seg, What::SynAck);
                return;
            }
            _ => {}
        }
        if seg.payload_length > 0 && !self.continues(seg) {
            self.push(seg, What::Data);
        }
        if seg.flags & flags::FIN == 0 {
            return;
        }
        let end = self.end(seg.from);
        let is_first = self.closed_first.is_none();
        self.closed_first.get_or_insert(end);
        let has_data = seg.payload_length > 0;
        if let Some(event) = self.push(seg, What::Fin) {
            event.notes().is_first = is_first;
            event.bytes = 0;
            event.segments = u64::from(!has_data);
        }
    }

    /// Whether a segment with data is one more of the run that is told; ACKs of the other side may lie between, and those that
    /// ask for something missing.
    fn continues(&mut self, seg: &Segment) -> bool {
        if self.is_all {
            return false;
        }
        let from = Some(self.end(seg.from));
        let is_run = |event: &Event| event.what == What::Data && event.from == from;
        let Some(at) = self.continued(is_run, &What::DuplicateAcks) else {
            return false;
        };
        let Some(run) = self.events.get_mut(at) else {
            return false;
        };
        let Some(gap) = seg.time.since(run.until).filter(|gap| gap.ns() < RUN_NS) else {
            return false;
        };
        run.until = seg.time;
        run.frames[1] = seg.frame;
        run.segments += 1;
        run.flags |= seg.flags;
        run.bytes += u64::from(seg.payload_length);
        let (bytes, ns) = &mut self.rates[usize::from(seg.from & 1)];
        *bytes += u64::from(seg.payload_length);
        *ns += gap.ns();
        true
    }

    /// The place of the last event, if it is such a one; or of the one before it, if the last is its counterpart.
    fn continued(&self, is_run: impl Fn(&Event) -> bool, counterpart: &What) -> Option<usize> {
        let last = self.events.len().checked_sub(1)?;
        let event = self.events.get(last)?;
        if is_run(event) {
            return Some(last);
        }
        if event.what != *counterpart {
            return None;
        }
        let before = last.checked_sub(1)?;
        self.events.get(before).filter(|it| is_run(it))?;
        Some(before)
    }

    fn repeat(&mut self, seg: &Segment, start: Seq, end: Seq) {
        let from = usize::from(seg.from & 1);
        let last = self.sending[from].last(start);
        let span = last.and_then(|last| seg.time.since(last.time));
        let peer = &self.sides[1 - from];
        let is_acknowledged = peer.acknowledged() && peer.ack.offset(end) >= 0;
        let why = if is_acknowledged {
            Again::NotNeeded
        } else if self.duplicate_acks[1 - from] >= FAST && peer.ack == start {
            Again::Fast
        } else {
            match span {
                Some(span) if span.ns() >= TIMEOUT_NS => Again::Timeout,
                Some(_) => Again::Early,
                None => Again::Unknown,
            }
        };
        let of = last.map_or(0, |last| last.frame);
        if why != Again::NotNeeded {
            self.repaired = last.map(|last| last.time);
        }
        if let Some(event) = self.push(seg, What::Repeat { why, of }) {
            event.span = span;
        }
        // Those that ask for the next hole count anew.
        if why == Again::Fast {
            self.duplicate_acks[1 - from] = 0;
        }
    }

    fn fill(&mut self, seg: &Segment, start: Seq, end: Seq, sent: Sent) {
        let from = usize::from(seg.from & 1);
        let hole = self.sending[from].fills(start, end);
        let late = match sent {
            Sent::After => Late::Lost,
            Sent::Before => Late::Overtaken,
            Sent::Unknown => Late::Unknown,
        };
        let seen_at = hole.map_or(0, |(frame, _)| frame);
        self.repaired = hole.map(|(_, since)| since);
        if let Some(event) = self.push(seg, What::Fill { late, seen_at }) {
            event.span = hole.and_then(|(_, since)| seg.time.since(since));
        }
    }

    /// One below the next sequence number. Probes that follow one another are one event.
    fn probe(&mut self, seg: &Segment) {
        let from = usize::from(seg.from & 1);
        let end = Some(self.end(seg.from));
        let what = What::Probe {
            of_window: self.closed[1 - from].is_some(),
        };
        let is_same = |event: &Event| event.what == what && event.from == end;
        let mut at = self.events.len();
        // What is silent between them is what they are for.
        while let Some(event) = at.checked_sub(1).and_then(|at| self.events.get(at)) {
            if !matches!(event.what, What::Silence(_)) {
                break;
            }
            at -= 1;
        }
        let last = at.checked_sub(1).and_then(|at| self.events.get_mut(at));
        if let (false, Some(event)) = (self.is_all, last)
            && is_same(event)
        {
            event.until = seg.time;
            event.frames[1] = seg.frame;
            event.segments += 1;
            self.events.truncate(at);
            return;
        }
        self.push(seg, what);
    }

    /// Opens and closes the sender's receive window, as `tcp::track` does.
    fn window(&mut self, seg: &Segment) {
        let from = usize::from(seg.from & 1);
        if seg.flags & (flags::SYN | flags::RST) != 0 {
            return;
        }
        match (self.closed[from], seg.window) {
            (None, 0) => {
                self.closed[from] = Some(seg.time);
                if let Some(event) = self.push(seg, What::WindowClosed) {
                    event.bytes = 0;
                }
            }
            (Some(since), window) if window != 0 => {
                self.closed[from] = None;
                self.opened = Some(since);
                let span = seg.time.since(since);
                let end = Some(self.end(seg.from));
                let closed = self.events.iter_mut().rev().take(NEAR);
                let mut closed = closed.filter(|event| event.from == end);
                if let Some(closed) = closed.find(|event| event.what == What::WindowClosed) {
                    closed.span = span;
                }
                if let Some(event) = self.push(seg, What::WindowOpened) {
                    event.span = span;
                    event.bytes = 0;
                }
            }
            _ => {}
        }
    }
}

/// What a side was before a segment.
struct Before {
    high: Seq,
    is_started: bool,
    ack: Seq,
    is_acknowledged: bool,
    keepalives: u64,
    rtt_samples: u32,
    rtt_sum: u64,
}

impl Before {
    fn of(following: &Following, from: usize) -> Before {
        let side = &following.sides[from];
        let odd = following.odd.get(from);
        // The first acknowledgment sets where the other side begins, not this one.
        Before {
            high: side.high,
            is_started: side.started(),
            ack: side.ack,
            is_acknowledged: side.acknowledged(),
            keepalives: odd.map_or(0, |odd| odd.keepalives),
            rtt_samples: side.rtt(odd).map_or(0, |(samples, ..)| samples),
            rtt_sum: side.rtt_sum,
        }
    }
}
