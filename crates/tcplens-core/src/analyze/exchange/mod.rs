//! Requests and their responses on one connection: pairing, times and the time budget, once for all protocols.
//!
//! A segment's payload is put in order ([`stream`]), read by the connection's parser ([`crate::proto`]) and becomes parts
//! of tasks ([`task`]); a task that is over gets its budget ([`budget`]) and waits for the ACK of its last byte. A message
//! begins when the first of its bytes was captured and ends when the last was.
//!
//! Pairing: by number where the protocol has numbers, else first in first out. A hole ends it: what was outstanding is
//! given up (`ended_by: gap`), and each direction is taken up again where a segment begins with a message.
//!
//! The way of a segment: [`window`], [`order`], [`read`] (with [`recognise`] at first), [`pair`], [`done`]; where something
//! is missing [`footing`]; datagrams [`udp`].

mod budget;
mod counts;
mod done;
mod footing;
mod order;
mod pair;
mod read;
mod recognise;
mod stream;
mod task;
mod udp;
mod window;

pub(crate) use self::counts::ReadCounts;
use self::footing::state;
pub(crate) use self::task::{Busy, Pool};
use self::window::{NO_SCALE, offered};
use super::Context;
use crate::batch::{Moment, Records};
use crate::flow::Flow;
use crate::proto::{AnyParser, Way};
use crate::record::{EndedBy, Protocol};
use crate::shard::Settings;
use crate::tcp::seq::Seq;
use crate::tcp::track::Facts;
use crate::time::Timestamp;
use crate::wire::segment::{Segment, SynOptions, flags};

/// What requests are read by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Whether connections are read, and not datagrams alone.
    pub(crate) reads_streams: bool,
    /// DNS over UDP is read whatever may be spoken.
    names: bool,
    /// What may be spoken.
    spoken: Spoken,
    /// What may be spoken on some ports of servers instead; the first that names a port decides.
    ports: Vec<(Vec<(u16, u16)>, Spoken)>,
    /// Longest summary.
    pub(crate) summary_bytes: usize,
    /// Most bytes that the connections of a shard hold at once.
    pub(crate) most_held: usize,
}

/// What may be spoken on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Spoken {
    /// Protocols to recognise.
    pub(crate) protocols: Vec<Protocol>,
    /// Whether what is not recognised is read by turns.
    pub(crate) turns: bool,
}

impl Rules {
    pub(crate) fn new(settings: &Settings, most_held: usize) -> Rules {
        let ports = settings.port_protocols.iter();
        Rules {
            reads_streams: settings.requests,
            names: settings.names,
            spoken: Spoken::of(&settings.protocols),
            ports: ports
                .map(|rule| (rule.ports.clone(), Spoken::of(&rule.protocols)))
                .collect(),
            summary_bytes: settings.summary_bytes,
            most_held,
        }
    }

    /// What may be spoken on a connection, by its server's port.
    pub(crate) fn of(&self, flow: &Flow) -> &Spoken {
        self.at(flow.key.ports[usize::from(1 - flow.client)])
            .unwrap_or(&self.spoken)
    }

    /// Whether DNS may be asked between two ports: of datagrams nobody knows at first who asks.
    pub(crate) fn takes_dns(&self, ports: [u16; 2]) -> bool {
        if self.names {
            return true;
        }
        let named = ports.into_iter().find_map(|port| self.at(port));
        let spoken = named.unwrap_or(&self.spoken);
        spoken.protocols.contains(&Protocol::Dns)
    }

    fn at(&self, port: u16) -> Option<&Spoken> {
        let is_named = |ports: &[(u16, u16)]| {
            ports
                .iter()
                .any(|&(low, high)| (low..=high).contains(&port))
        };
        let mut rules = self.ports.iter();
        rules
            .find(|(ports, _)| is_named(ports))
            .map(|(_, spoken)| spoken)
    }
}

impl Spoken {
    /// The protocols that the user named; none means all.
    fn of(named: &[Protocol]) -> Spoken {
        let takes = |protocol: Protocol| named.is_empty() || named.contains(&protocol);
        Spoken {
            protocols: AnyParser::RECOGNISED
                .iter()
                .copied()
                .filter(|&protocol| takes(protocol))
                .collect(),
            turns: takes(Protocol::Turn),
        }
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
    /// End of the latest response; adrift, when the server sent last.
    last_end: Timestamp,
    /// Adrift: what the server had acknowledged when it sent last.
    answered: Seq,
    /// Whether pairing can be trusted: see [`state`].
    state: u8,
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
                state: 0,
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
                work.core.set(state::ADRIFT);
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
                work.core.set(state::ADRIFT);
            }
            work.finish_all(EndedBy::Gap);
            work.emit_all();
            work.busy.reset();
        });
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

const _: () = assert!(
    size_of::<Exchange>() <= 120,
    "an idle connection with a parser must fit the memory bound per connection"
);
