//! The requests of a shard's connections: where they are kept, and when they are looked at.

use super::{Fetch, Settings, Shard, moment};
use crate::analyze::exchange::{Desk, Exchange, Pool, Rules};
use crate::batch::{Moment, Records};
use crate::flow::table::Place;
use crate::flow::{Flow, NO_EXCHANGE, Phase};
use crate::proto::{Loss, Way, dns};
use crate::record::{Close, EndedBy, Protocol, RoleFrom};
use crate::tcp::track::Facts;
use crate::wire::segment::{Payloads, Segment, SynOptions, flags};

/// A client that closed its side so long ago and heard nothing since has given up. Chosen: longer than its FIN takes to be
/// answered on any path.
const GIVEN_UP_NS: u64 = 1_000_000_000;

/// Sets the context of a flow of datagrams apart from that of a connection.
const DATAGRAMS: u32 = 0x4000_0000;

/// Exchanges per chunk of the slab.
const CHUNK: usize = 64;

/// What a shard's requests may hold however small the limit: a few connections'.
const LEAST_HELD: usize = 8 << 10;

/// The exchanges of a shard, and what they share.
pub(super) struct Requests {
    pub(super) rules: Rules,
    /// Grows by chunks, so that memory grows by what is used.
    chunks: Vec<Vec<Exchange>>,
    vacant: Vec<u32>,
    pool: Pool,
    held: usize,
}

impl Requests {
    pub(super) fn new(settings: &Settings) -> Requests {
        let most_held = (settings.limit_held / super::SHARDS).max(LEAST_HELD);
        Requests {
            rules: Rules::new(settings, most_held),
            chunks: Vec::new(),
            vacant: Vec::new(),
            pool: Pool::new(),
            held: 0,
        }
    }

    fn add(&mut self) -> u32 {
        if let Some(at) = self.vacant.pop() {
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = (self.chunks.len() - 1) * CHUNK;
        let Some(chunk) = self.chunks.last_mut() else {
            return NO_EXCHANGE;
        };
        chunk.push(Exchange::default());
        (full + chunk.len() - 1) as u32
    }

    fn empty_pool(&mut self) {
        let counted: usize = self.pool.drain(..).map(|busy| busy.memory()).sum();
        self.held = self.held.saturating_sub(counted);
    }

    /// Asks for its memory.
    #[inline]
    pub(super) fn fetch(&self, at: u32, fetch: Fetch) {
        if let Some(exchange) = self.get(at) {
            fetch(std::ptr::from_ref(exchange).cast(), size_of::<Exchange>());
        }
    }

    #[inline(always)]
    fn get_mut(&mut self, at: u32) -> Option<&mut Exchange> {
        let chunk = self.chunks.get_mut(at as usize / CHUNK)?;
        chunk.get_mut(at as usize % CHUNK)
    }

    fn get(&self, at: u32) -> Option<&Exchange> {
        self.chunks
            .get(at as usize / CHUNK)?
            .get(at as usize % CHUNK)
    }
}

impl Shard {
    /// What a segment means for the requests of its connection.
    #[inline(always)]
    pub(super) fn exchange(
        &mut self,
        place: Place,
        seg: &Segment,
        facts: Facts,
        payloads: Payloads<'_>,
        out: &mut Records,
    ) {
        let Some(requests) = &mut self.requests else {
            return;
        };
        if !requests.rules.reads_streams {
            return;
        }
        let flow = self.table.at(place);
        let is_concerned = match requests.get_mut(flow.exchange) {
            Some(exchange) => exchange.is_concerned(flow.client, seg, facts),
            None => seg.payload_length > 0,
        };
        if is_concerned {
            self.concerns(place, seg, facts, payloads.of(seg), out);
        }
    }

    /// The same for a segment that says something.
    #[inline(never)]
    fn concerns(
        &mut self,
        place: Place,
        seg: &Segment,
        facts: Facts,
        payload: &[u8],
        out: &mut Records,
    ) {
        let flow = self.table.at_mut(place);
        if flow.exchange == NO_EXCHANGE
            && let Some(requests) = &mut self.requests
        {
            flow.exchange = requests.add();
            if let Some(exchange) = requests.get_mut(flow.exchange)
                && !exchange.is_concerned(flow.client, seg, facts)
            {
                return;
            }
        }
        self.with_exchange(place, moment(seg), out, |exchange, desk| {
            exchange.segment(desk, seg, facts, payload);
            if seg.flags & flags::RST != 0 && desk.flow.phase == Phase::Closed {
                exchange.end(desk, EndedBy::Reset);
            }
        });
    }

    /// The connection at `place` is established.
    pub(super) fn established(&mut self, place: Place, options: [SynOptions; 2]) {
        let flow = self.table.at_mut(place);
        let Some(requests) = &mut self.requests else {
            return;
        };
        if !requests.rules.reads_streams {
            return;
        }
        if flow.exchange == NO_EXCHANGE {
            flow.exchange = requests.add();
        }
        if let Some(exchange) = requests.get_mut(flow.exchange) {
            exchange.established(options);
        }
    }

    /// A UDP datagram: looked at if it is DNS, or its flow is known to be.
    #[inline(never)]
    pub(crate) fn datagram(&mut self, seg: &Segment, payload: &[u8], out: &mut Records) {
        self.advance(seg.clock, out);
        let Some(requests) = &self.requests else {
            return;
        };
        if !requests.rules.takes_dns(seg.flow.ports) {
            return;
        }
        let mut seg = *seg;
        // Its flow is none of TCP's, though the ends may be the same.
        seg.flow.context ^= DATAGRAMS;
        let known = self.table.find(&seg);
        let Some(place) = known.or_else(|| self.begin_datagrams(&seg, payload, out)) else {
            return;
        };
        self.counts.read.datagrams += 1;
        let flow = self.table.at_mut(place);
        flow.last = flow.last.max(seg.time);
        flow.last_frame = seg.frame;
        flow.deadline = seg.clock;
        self.with_exchange(place, moment(&seg), out, |exchange, desk| {
            exchange.datagram(desk, &seg, payload);
        });
    }

    fn begin_datagrams(
        &mut self,
        seg: &Segment,
        payload: &[u8],
        out: &mut Records,
    ) -> Option<Place> {
        let ports = seg.flow.ports;
        let is_dns_port = ports.contains(&dns::PORT);
        if !is_dns_port && ports.into_iter().any(dns::is_lookalike_port) {
            return None;
        }
        let way = dns::probe_datagram(payload, is_dns_port)?;
        if self.table.len() >= self.limit {
            self.evict(seg, out);
        }
        let mut flow = self.new_flow(seg);
        flow.phase = Phase::Datagrams;
        flow.client = match way {
            Way::ToServer => seg.from,
            Way::ToClient => 1 - seg.from,
        };
        if flow.role_from == RoleFrom::Port {
            flow.role_from = RoleFrom::Protocol;
        }
        flow.exchange = self.requests.as_mut()?.add();
        let place = self.table.insert(seg.hash, flow);
        let deadline = seg.clock.plus(self.context.timeout);
        self.expect(deadline, place);
        Some(place)
    }

    /// What a connection speaks, and how many requests there were.
    pub(super) fn spoken(&self, place: Place) -> (Option<Protocol>, Option<u64>) {
        let Some(requests) = self.requests.as_ref().filter(|all| all.rules.reads_streams) else {
            return (None, None);
        };
        match requests.get(self.table.at(place).exchange) {
            Some(exchange) => {
                let (protocol, tasks) = exchange.summary();
                (protocol, Some(tasks))
            }
            None => (None, Some(0)),
        }
    }

    /// The connection leaves: what is outstanding is reported before it.
    pub(super) fn end_exchange(
        &mut self,
        place: Place,
        now: Moment,
        out: &mut Records,
    ) -> (Option<Protocol>, Option<u64>) {
        if self.requests.is_none() {
            return (None, None);
        }
        let flow = self.table.at(place);
        let at = flow.exchange;
        let ended_by = match flow.close {
            Close::Fin => EndedBy::ServerClose,
            Close::RstByClient | Close::RstByServer => EndedBy::Reset,
            Close::Superseded => EndedBy::ClientClose,
            // A client that has closed its side and heard nothing since: it has given up, whatever the server still does.
            Close::Idle | Close::Failed | Close::Open | Close::TimedOut
                if flow.sides[usize::from(flow.client)].finished()
                    && now
                        .clock
                        .since(flow.last)
                        .is_some_and(|silence| silence.ns() >= GIVEN_UP_NS) =>
            {
                EndedBy::ClientClose
            }
            Close::Idle | Close::Failed | Close::Open | Close::TimedOut => EndedBy::Observation,
        };
        self.with_exchange(place, now, out, |exchange, desk| {
            exchange.end(desk, ended_by);
        });
        let spoken = self.spoken(place);
        self.table.at_mut(place).exchange = NO_EXCHANGE;
        if let Some(requests) = &mut self.requests {
            let turns = requests.rules.of(self.table.at_mut(place)).turns;
            let Some(exchange) = requests.get_mut(at) else {
                return spoken;
            };
            if turns {
                let lost = &mut self.counts.read.lost[Protocol::Turn as usize];
                lost[Loss::Unsupported as usize] += exchange.passed_over();
            }
            *exchange = Exchange::default();
            requests.vacant.push(at);
        }
        spoken
    }

    /// The exchange of the flow at `place`, if it has one, at work. Then all hold no more than they may.
    #[inline]
    fn with_exchange(
        &mut self,
        place: Place,
        now: Moment,
        out: &mut Records,
        work: impl FnOnce(&mut Exchange, &mut Desk<'_>),
    ) {
        if self.work(place, now, out, work) {
            self.relieve(now, out);
        }
    }

    /// The same; whether they hold more than they may.
    #[inline]
    fn work(
        &mut self,
        place: Place,
        now: Moment,
        out: &mut Records,
        work: impl FnOnce(&mut Exchange, &mut Desk<'_>),
    ) -> bool {
        let flow = self.table.at_mut(place);
        let Some(Requests {
            rules,
            chunks,
            vacant: _,
            pool,
            held,
        }) = &mut self.requests
        else {
            return false;
        };
        let at = flow.exchange as usize;
        let chunk = chunks.get_mut(at / CHUNK);
        let Some(exchange) = chunk.and_then(|chunk| chunk.get_mut(at % CHUNK)) else {
            return false;
        };
        let mut desk = Desk {
            context: &self.context,
            rules,
            counts: &mut self.counts.read,
            pool,
            held,
            flow,
            out,
            now,
        };
        work(exchange, &mut desk);
        *held > rules.most_held
    }

    /// The requests of the shard hold too much: those of the connections that have waited for longest are given up, and
    /// some more, for finding them takes time.
    #[cold]
    #[inline(never)]
    fn relieve(&mut self, now: Moment, out: &mut Records) {
        let Some(requests) = &self.requests else {
            return;
        };
        let enough = requests.rules.most_held / 16 * 15;
        let waits = |(place, flow): (Place, &Flow)| {
            let exchange = requests.get(flow.exchange)?;
            Some((exchange.waits_since()?, flow.first_frame, place))
        };
        let mut order: Vec<_> = self.table.iter().filter_map(waits).collect();
        order.sort_unstable();
        let mut order = order.into_iter();
        while let Some(requests) = &mut self.requests {
            requests.empty_pool();
            if requests.held <= enough {
                return;
            }
            let Some((_, _, place)) = order.next() else {
                return;
            };
            self.work(place, now, out, |exchange, desk| exchange.give_up(desk));
        }
    }
}
