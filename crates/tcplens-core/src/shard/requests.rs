//! The requests of a shard's connections: where they are kept, and when they are looked at.

use super::{Settings, Shard};
use crate::analyze::exchange::{Busy, Desk, Exchange, Hints, Rules, offered};
use crate::batch::{Moment, Records};
use crate::flow::table::Place;
use crate::flow::{NO_EXCHANGE, Phase};
use crate::record::{Close, EndedBy, Protocol};
use crate::tcp::track::Facts;
use crate::wire::segment::{Segment, flags};

/// Exchanges per chunk of the slab.
const CHUNK: usize = 64;

/// The exchanges of a shard, and what they share.
pub(super) struct Requests {
    rules: Rules,
    /// Grows by chunks, so that memory grows by what is used.
    chunks: Vec<Vec<Exchange>>,
    vacant: Vec<u32>,
    pool: Vec<Box<Busy>>,
    held: usize,
    hints: Hints,
}

impl Requests {
    pub(super) fn new(settings: &Settings) -> Requests {
        let most_held = settings.limit_held / super::SHARDS;
        Requests {
            rules: Rules::new(&settings.protocols, settings.summary_bytes, most_held),
            chunks: Vec::new(),
            vacant: Vec::new(),
            pool: Vec::new(),
            held: 0,
            hints: Hints::default(),
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

    fn get(&self, at: u32) -> Option<&Exchange> {
        self.chunks
            .get(at as usize / CHUNK)?
            .get(at as usize % CHUNK)
    }
}

impl Shard {
    /// What a segment means for the requests of its connection.
    #[inline]
    pub(super) fn exchange(
        &mut self,
        place: Place,
        seg: &Segment,
        facts: Facts,
        payload: &[u8],
        out: &mut Records,
    ) {
        let flow = self.table.at_mut(place);
        if seg.flags & flags::SYN != 0 {
            let from = usize::from(seg.from);
            (flow.mss[from], flow.wscale[from]) = offered(seg);
        }
        let is_new = flow.exchange == NO_EXCHANGE;
        if is_new && seg.payload_length == 0 {
            return;
        }
        let Some(requests) = &mut self.requests else {
            return;
        };
        if is_new {
            flow.exchange = requests.add();
        }
        let at = flow.exchange as usize;
        let Some(exchange) = requests
            .chunks
            .get_mut(at / CHUNK)
            .and_then(|chunk| chunk.get_mut(at % CHUNK))
        else {
            return;
        };
        let mut desk = Desk {
            context: &self.context,
            rules: &requests.rules,
            counts: &mut self.counts.read,
            pool: &mut requests.pool,
            held: &mut requests.held,
            hints: &mut requests.hints,
            flow,
            out,
            now: super::moment(seg),
        };
        exchange.segment(&mut desk, seg, facts, payload);
        if desk.flow.close != Close::Open
            && desk.flow.phase == Phase::Closed
            && seg.flags & flags::RST != 0
        {
            exchange.end(&mut desk, EndedBy::Reset, seg.time);
        }
    }

    /// What a connection speaks, and how many requests there were.
    pub(super) fn spoken(&self, place: Place) -> (Option<Protocol>, Option<u64>) {
        let Some(requests) = &self.requests else {
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
        let flow = self.table.at_mut(place);
        let Some(requests) = &mut self.requests else {
            return (None, None);
        };
        let at = std::mem::replace(&mut flow.exchange, NO_EXCHANGE);
        let Some(exchange) = requests
            .chunks
            .get_mut(at as usize / CHUNK)
            .and_then(|chunk| chunk.get_mut(at as usize % CHUNK))
        else {
            return (None, Some(0));
        };
        let ended_by = match flow.close {
            Close::Fin => EndedBy::ServerClose,
            Close::RstByClient | Close::RstByServer => EndedBy::Reset,
            Close::Superseded => EndedBy::ClientClose,
            Close::Idle | Close::Failed | Close::Open => EndedBy::Observation,
        };
        let at_time = flow.last;
        let mut desk = Desk {
            context: &self.context,
            rules: &requests.rules,
            counts: &mut self.counts.read,
            pool: &mut requests.pool,
            held: &mut requests.held,
            hints: &mut requests.hints,
            flow,
            out,
            now,
        };
        exchange.end(&mut desk, ended_by, at_time);
        let (protocol, tasks) = exchange.summary();
        *exchange = Exchange::default();
        requests.vacant.push(at);
        (protocol, Some(tasks))
    }
}
