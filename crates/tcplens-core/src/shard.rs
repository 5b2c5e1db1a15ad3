//! One of 64 logical shards: the flows whose hash begins with its number, and what happens to them.
//!
//! A shard sees its segments in input order and the engine clock of each, and nothing of other shards; so its
//! records do not depend on which thread runs it, or when. What expires does so at ticks of the engine clock.

mod expiry;
mod openings;
mod requests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use self::expiry::{skip_parts, tick_of, ticks_in};
use self::openings::Openings;
use self::requests::Requests;
use crate::analyze::exchange::ReadCounts;
use crate::analyze::{self, Context};
use crate::batch::{Kind, Moment, Place as Rank, Records};
use crate::flow::gone::{Gone, Late};
use crate::flow::table::{Place, Table};
use crate::flow::{Flow, NO_OPENING, Phase};
use crate::pending::Pending;
use crate::record::{
    Close, ConnectionId, Direction, HandshakeOutcome, Outcome, Protocol, RoleFrom, Vantage,
};
use crate::roles::{Roles, end};
use crate::tcp::handshake::{Opening, Step};
use crate::tcp::seen::Sighting;
use crate::tcp::seq::Seq;
use crate::tcp::track::{Facts, units};
use crate::time::{SECOND, Timestamp};
use crate::wire::key::HashKey;
use crate::wire::segment::{IcmpError, Payloads, Segment, flags};

/// Shards of an observation, whatever the number of threads.
pub const SHARDS: usize = 64;

/// How long a closed connection is kept for late segments unless told otherwise: as long as Linux keeps it in TIME-WAIT
/// (include/net/tcp.h, `TCP_TIMEWAIT_LEN`).
const LINGER: i64 = 60 * SECOND;

/// A bare ACK after a silence of so many ns may be a delayed one: what nobody's delay is below (see `tcp::track`).
const SILENT_NS: i64 = 30_000_000;

/// Most closed connections kept per shard; beyond, the oldest goes at once. Chosen: at 40,000 connections per second they
/// last 0.1 s. Fewer are cheaper (16: 11 % less CPU time on http10m), but segments that come again 50 ms after the close,
/// as on http10m, would find nothing.
const MOST_LINGERING: usize = 64;

/// Most pending attempts of a shard whose server and age are told; beyond, they are counted. Chosen: all of them but in a
/// flood of SYNs, and there no more than 16384 flows are fetched at once.
const MOST_LOOKED_AT: usize = 256;

/// A connection that is over and kept: until when, where, and the low half of the hash of its key, for another may have its
/// place by then.
type Lingering = (Timestamp, Place, u32);

/// Asks the processor for so many bytes of memory that will be read soon. What is read is the same without it.
pub type Fetch = fn(at: *const u8, bytes: usize);

/// What a shard is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the observation is made.
    pub vantage: Vantage,
    /// Who is who.
    pub roles: Roles,
    /// How long an attempt waits for an answer, in ns.
    pub timeout: i64,
    /// How long a connection may be silent, in ns.
    pub idle: i64,
    /// How long a connection that is over is kept for late segments, in ns; its record comes then.
    pub linger: i64,
    /// How often a connection with traffic is reported in parts, in ns.
    pub active: Option<i64>,
    /// Most connections kept at once, in all shards.
    pub limit_connections: usize,
    /// Second sightings count as traffic.
    pub keep_duplicates: bool,
    /// Which record kinds are wanted.
    pub handshakes: bool,
    /// Which record kinds are wanted.
    pub requests: bool,
    /// Which record kinds are wanted.
    pub connections: bool,
    /// The names that answers of name servers give to addresses are wanted: requests of DNS over UDP are made, whatever else
    /// is wanted.
    pub names: bool,
    /// Protocols that may be recognised; empty for all.
    pub protocols: Vec<Protocol>,
    /// Protocols that may be recognised on some ports of servers instead of `protocols`; the first that names a port decides.
    pub port_protocols: Vec<PortProtocols>,
    /// Most bytes of messages that are not complete, in all shards.
    pub limit_held: usize,
    /// Longest summary of a request, in bytes.
    pub summary_bytes: usize,
    /// Seed of the flow hash.
    pub hash_seed: u64,
    /// For speed alone; this crate can only wait for memory, for the instruction that asks for it is unsafe code.
    pub fetch: Fetch,
}

/// What may be recognised on some ports of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortProtocols {
    /// The ports, as inclusive ranges.
    pub ports: Vec<(u16, u16)>,
    /// The protocols; none for all.
    pub protocols: Vec<Protocol>,
}

impl Settings {
    /// Whether payload is read: of connections, or of datagrams alone.
    #[must_use]
    pub fn reads_payload(&self) -> bool {
        self.requests || self.names
    }

    /// Whether a request of DNS is wanted for itself, and not only for the [names](Self::names) in its answer; `port`: its
    /// server's.
    #[must_use]
    pub fn wants_dns(&self, port: u16) -> bool {
        let is_named = |rule: &&PortProtocols| {
            let mut ports = rule.ports.iter();
            ports.any(|&(low, high)| (low..=high).contains(&port))
        };
        let rule = self.port_protocols.iter().find(is_named);
        let spoken = rule.map_or(&self.protocols, |rule| &rule.protocols);
        self.requests && (spoken.is_empty() || spoken.contains(&Protocol::Dns))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            vantage: Vantage::File,
            roles: Roles::default(),
            timeout: 60 * SECOND,
            idle: 300 * SECOND,
            linger: LINGER,
            active: None,
            limit_connections: 1_000_000,
            keep_duplicates: false,
            handshakes: true,
            requests: true,
            connections: true,
            names: false,
            protocols: Vec::new(),
            port_protocols: Vec::new(),
            limit_held: 256 << 20,
            summary_bytes: 128,
            hash_seed: 0,
            fetch: |_, _| {},
        }
    }
}

/// What a shard counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments seen a second time.
    pub duplicates: u64,
    /// Connections seen.
    pub connections: u64,
    /// Connections given up because the table was full.
    pub evicted: u64,
    /// Flows of datagrams given up because the table was full.
    pub evicted_datagrams: u64,
    /// SYNs of attempts that had been concluded.
    pub late_syns: u64,
    /// Segments of connections that had been reported.
    pub late_segments: u64,
    /// Holes given up because one direction had too many.
    pub holes: u64,
    /// What reading requests counted.
    pub read: ReadCounts,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.duplicates += other.duplicates;
        self.connections += other.connections;
        self.evicted += other.evicted;
        self.evicted_datagrams += other.evicted_datagrams;
        self.late_syns += other.late_syns;
        self.late_segments += other.late_segments;
        self.holes += other.holes;
        self.read += other.read;
    }
}

/// Whose a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The segment's packet number.
    pub frame: u64,
    /// Its connection.
    pub connection_id: ConnectionId,
    /// Whether the client sent it.
    pub is_from_client: bool,
    /// Its handshake is not decided by it yet.
    pub is_opening: bool,
}

/// See the module.
pub struct Shard {
    context: Context,
    idle: i64,
    linger: i64,
    active_ticks: Option<u32>,
    limit: usize,
    keep_duplicates: bool,
    handshakes: bool,
    connections: bool,
    hash_key: HashKey,
    fetch: Fetch,
    requests: Option<Requests>,
    table: Table,
    openings: Openings,
    gone: Gone,
    /// Closed connections in the order in which they are let go.
    lingering: VecDeque<Lingering>,
    /// Attempts that were given up and whose client repeats its SYN yet: they stay for that, however many others close
    /// meanwhile, else the repeat would be a second attempt. As many as there were undecided ones at most.
    repeating: BinaryHeap<Reverse<Lingering>>,
    /// No flow expires before this.
    due: Timestamp,
    /// Nothing is due before this: neither expiry nor the end of lingering.
    event: Timestamp,
    /// The clock of the last segment or advance.
    clock: Timestamp,
    /// What was counted.
    pub counts: Counts,
}

impl Shard {
    /// The ring dropped packets before `clock`: whatever is under way may have missed some.
    pub fn lost(&mut self, clock: Timestamp) {
        self.context.lost = self.context.lost.max(clock);
    }

    /// A shard without flows.
    #[must_use]
    pub fn new(settings: &Settings) -> Shard {
        Shard {
            context: Context::new(settings.vantage, settings.roles.clone(), settings.timeout),
            idle: settings.idle,
            linger: settings.linger,
            active_ticks: settings.active.map(|ns| ticks_in(ns).max(1)),
            limit: share(settings.limit_connections),
            keep_duplicates: settings.keep_duplicates,
            handshakes: settings.handshakes,
            connections: settings.connections,
            hash_key: HashKey::new(settings.hash_seed),
            fetch: settings.fetch,
            requests: settings.reads_payload().then(|| Requests::new(settings)),
            table: Table::default(),
            openings: Openings::default(),
            gone: Gone::default(),
            lingering: VecDeque::new(),
            repeating: BinaryHeap::new(),
            due: Timestamp::MAX,
            event: Timestamp::MAX,
            clock: Timestamp::MIN,
            counts: Counts::default(),
        }
    }

    /// Where the flow of a segment of this shard may be, for [`segment`](Self::segment). To be asked a segment ahead: then
    /// what is looked up there is there when it is wanted.
    #[inline(always)]
    #[must_use]
    pub fn candidate(&self, seg: &Segment) -> Option<Place> {
        self.table.candidate(seg)
    }

    /// Takes a segment of this shard, whose flow may be at `candidate`.
    #[inline(always)]
    pub fn segment(
        &mut self,
        seg: &Segment,
        candidate: Option<Place>,
        payloads: Payloads<'_>,
        out: &mut Records,
    ) {
        self.advance(seg.clock, out);
        let mut is_late_syn = false;
        let (place, flow) = match candidate.filter(|place| self.table.is_at(*place, seg)) {
            Some(place) if seg.flags & flags::SYN == 0 => (place, self.table.at_mut(place)),
            found => match self.unusual(found, seg, out) {
                Some((place, is_late)) => {
                    is_late_syn = is_late;
                    (place, self.table.at_mut(place))
                }
                None => return,
            },
        };
        let [low, high] = &mut flow.sides;
        let (side, peer) = if seg.from == 0 {
            (low, high)
        } else {
            (high, low)
        };
        if side.is_second_sighting(seg, &mut flow.odd) && !self.keep_duplicates {
            flow.duplicates += 1;
            self.counts.duplicates += 1;
            return;
        }
        self.counts.late_syns += u64::from(is_late_syn);
        let facts = side.segment(peer, seg, &mut flow.odd);
        if facts.acknowledges && seg.payload_length == 0 {
            let silent = seg.time.0.saturating_sub(flow.last.0);
            if silent >= SILENT_NS {
                side.acknowledges_after(silent.unsigned_abs(), peer, seg);
            }
        }
        flow.last = flow.last.max(seg.time);
        flow.last_frame = seg.frame;
        if flow.phase == Phase::Open && seg.flags & (flags::FIN | flags::RST) == 0 {
            flow.deadline = seg.clock;
        } else {
            self.turn(place, seg, facts, out);
        }
        self.exchange(place, seg, facts, payloads, out);
    }

    /// The connection of a segment that is not simply one more of one that is known, and whether it is the late SYN of an
    /// attempt; `None` if it is late for one that is gone.
    #[inline(never)]
    fn unusual(
        &mut self,
        found: Option<Place>,
        seg: &Segment,
        out: &mut Records,
    ) -> Option<(Place, bool)> {
        let found = found.or_else(|| self.table.find(seg));
        let place = match found.or_else(|| self.known_elsewhere(seg)) {
            Some(place) => place,
            None => return Some((self.begin(seg, out)?, false)),
        };
        let is_late_syn = seg.flags & flags::SYN != 0 && self.syn_on_known(place, seg, out);
        Some((place, is_late_syn))
    }

    /// Whose a segment is that was just taken; `None` if it was late for a connection that is gone.
    #[must_use]
    pub fn owner(&self, seg: &Segment) -> Option<Owner> {
        let flow = self.table.at(self.table.find(seg)?);
        Some(Owner {
            frame: seg.frame,
            connection_id: self.context.id(flow),
            is_from_client: seg.from == flow.client,
            is_opening: flow.phase == Phase::Opening,
        })
    }

    /// A segment that may change where its connection is in its life.
    #[inline(never)]
    fn turn(&mut self, place: Place, seg: &Segment, facts: Facts, out: &mut Records) {
        match self.table.at(place).phase {
            Phase::Open => {
                self.table.at_mut(place).deadline = seg.clock;
                self.closing(place, seg, out);
            }
            Phase::Opening => self.opening(place, seg, out),
            Phase::Closed => self.after_close(place, seg, facts, out),
            Phase::Vacant | Phase::Datagrams => {}
        }
    }

    /// The connection that a segment belongs to although it came in another VLAN or tunnel: routers and mirror ports show
    /// the two directions, or the same packet twice, with different tags.
    #[inline(never)]
    fn known_elsewhere(&mut self, seg: &Segment) -> Option<Place> {
        let (place, _) = self
            .table
            .elsewhere(&seg.flow, seg.hash)
            .filter(|(_, flow)| flow.fits(seg))
            .min_by_key(|(_, flow)| flow.first_frame)?;
        self.table.at_mut(place).in_any_context = true;
        Some(place)
    }

    /// A flow for a segment that has none; `None` if it is late for one that is gone.
    #[inline(never)]
    fn begin(&mut self, seg: &Segment, out: &mut Records) -> Option<Place> {
        let late = self.gone.recognise(seg);
        match late {
            Some(Late::Syn) => {
                self.counts.late_syns += 1;
                return None;
            }
            Some(Late::Segment) => {
                self.counts.late_segments += 1;
                return None;
            }
            Some(Late::SynAck(_) | Late::Resumed(..)) | None => {}
        }
        if self.table.len() >= self.limit {
            self.evict(seg, out);
        }
        self.counts.connections += 1;
        let mut flow = self.new_flow(seg);
        match late {
            Some(Late::SynAck(outcome)) => {
                flow.late = true;
                flow.handshake = outcome;
            }
            Some(Late::Resumed(client, role_from)) => {
                flow.client = client;
                flow.role_from = role_from;
            }
            _ => {}
        }
        let deadline = flow.deadline;
        let opening = flow.opening;
        let place = self.table.insert(seg.hash, flow);
        if opening != NO_OPENING {
            self.openings.belongs_to(opening, place);
        }
        self.expect(deadline, place);
        Some(place)
    }

    /// A flow that begins with `seg`; an opening if that is a SYN.
    fn new_flow(&mut self, seg: &Segment) -> Flow {
        let mut flow = Flow {
            key: seg.flow,
            first: seg.time,
            last: seg.time,
            deadline: seg.clock,
            first_frame: seg.frame,
            last_frame: seg.frame,
            part_tick: tick_of(seg.clock).wrapping_add(self.active_ticks.unwrap_or(0)),
            vlan: seg.vlan,
            tunnel: seg.tunnel,
            phase: Phase::Open,
            ..Flow::vacant()
        };
        match seg.flags & (flags::SYN | flags::FIN | flags::ACK | flags::RST) {
            flags::SYN => {
                flow.client = seg.from;
                flow.role_from = RoleFrom::Syn;
                flow.phase = Phase::Opening;
                let opening = Opening::new(seg);
                flow.deadline = opening.deadline(self.context.timeout);
                flow.opening = self.openings.insert(opening);
            }
            both if both == flags::SYN | flags::ACK => {
                flow.client = 1 - seg.from;
                flow.role_from = RoleFrom::SynAck;
            }
            _ => {
                let (server, role_from) = self.context.roles.server(&seg.flow, seg.from);
                flow.client = 1 - server;
                flow.role_from = role_from;
            }
        }
        flow
    }

    /// Before a segment with SYN is taken for a tuple that is known: is it part of its handshake, a repeat, or a new
    /// connection? Whether it comes too late for its own handshake.
    #[inline(never)]
    fn syn_on_known(&mut self, place: Place, seg: &Segment, out: &mut Records) -> bool {
        let flow = self.table.at(place);
        let side = &flow.sides[usize::from(seg.from)];
        let from_client = seg.from == flow.client;
        // The sender's space begins with its SYN, unless it was taken up in mid-connection.
        let repeat = side.started() && side.low == Seq(seg.seq);
        let is_new = match seg.flags & (flags::SYN | flags::ACK | flags::RST) {
            flags::SYN => match flow.phase {
                Phase::Opening if from_client => {
                    !self.openings.at(flow.opening).is_same_attempt(seg)
                }
                // A SYN of the server while the handshake is open: simultaneous open.
                Phase::Opening => false,
                // The observation began with the SYN-ACK, and its SYN comes late.
                _ if from_client && !side.started() => false,
                _ => !repeat,
            },
            both if both == flags::SYN | flags::ACK => {
                let peer = &flow.sides[usize::from(1 - seg.from)];
                let ack = Seq(seg.ack);
                // A second SYN-ACK for the same SYN is none of a new connection.
                let is_known = ack == side.ack
                    || peer.started() && !ack.before(peer.low) && ack.offset(peer.high) <= 0;
                flow.phase != Phase::Opening && side.started() && !repeat && !is_known
            }
            _ => false,
        };
        let is_late = flow.phase != Phase::Opening
            && from_client
            && seg.flags & flags::ACK == 0
            && flow.handshake != HandshakeOutcome::Missed;
        let restarts = flow.phase == Phase::Opening && side.started() && !repeat;
        if is_new {
            self.supersede(place, seg, out);
        } else if restarts {
            let flow = self.table.at_mut(place);
            let from = usize::from(seg.from);
            let odd = flow.odd.get_mut(from);
            flow.sides[from].restart(odd);
        } else if from_client && self.is_syn_after_synack(place, seg) {
            let flow = self.table.at_mut(place);
            let server_isn = flow.sides[usize::from(1 - seg.from)].low;
            let opening = Opening::after_synack(seg, server_isn, flow.first);
            flow.phase = Phase::Opening;
            flow.role_from = RoleFrom::Syn;
            flow.opening = self.openings.insert(opening);
        }
        is_late && !is_new
    }

    /// Whether a SYN is the one that the SYN-ACK seen before it answers.
    fn is_syn_after_synack(&self, place: Place, seg: &Segment) -> bool {
        let flow = self.table.at(place);
        let client = &flow.sides[usize::from(seg.from)];
        let server = &flow.sides[usize::from(1 - seg.from)];
        flow.phase == Phase::Open
            && flow.role_from == RoleFrom::SynAck
            && seg.flags & flags::ACK == 0
            && !client.started()
            && server.ack.offset(Seq(seg.seq).plus(1)) >= 0
            && server.ack.offset(Seq(seg.seq).plus(units(seg))) <= 0
    }

    /// Ends the connection at `place` for a new one on the same tuple, which begins with `seg`.
    fn supersede(&mut self, place: Place, seg: &Segment, out: &mut Records) {
        let now = moment(seg);
        if self.table.at(place).phase == Phase::Opening {
            self.decide(place, now, out);
        }
        let flow = self.table.at_mut(place);
        if flow.close == Close::Open {
            flow.close = Close::Superseded;
        }
        self.report(place, now, out);
        let fresh = self.new_flow(seg);
        let deadline = fresh.deadline;
        let flow = self.table.at_mut(place);
        let hash = flow.hash;
        *flow = Flow { hash, ..fresh };
        if flow.opening != NO_OPENING {
            self.openings.belongs_to(flow.opening, place);
        }
        self.counts.connections += 1;
        self.expect(deadline, place);
    }

    fn opening(&mut self, place: Place, seg: &Segment, out: &mut Records) {
        let timeout = self.context.timeout;
        let flow = self.table.at_mut(place);
        let opening = self.openings.at_mut(flow.opening);
        if !opening.began_with(seg) {
            let reset = opening.reset_verdict();
            let step = if seg.from == flow.client {
                opening.from_client(seg)
            } else {
                opening.from_server(seg, timeout)
            };
            match step {
                Step::Waiting => {}
                Step::Established => {
                    flow.tap_side = opening.tap_side(seg.time);
                    let client = flow.client;
                    self.decide(place, moment(seg), out);
                    if let Some(reset) = reset {
                        // The ACK crossed it on the way.
                        let by = if reset == Outcome::Aborted {
                            client
                        } else {
                            1 - client
                        };
                        self.close_by_reset(place, by, seg, out);
                        return;
                    }
                }
                Step::Late => {
                    flow.late = true;
                    self.decide(place, moment(seg), out);
                }
                Step::OneSided => self.decide(place, moment(seg), out),
            }
        }
        let flow = self.table.at_mut(place);
        if flow.phase == Phase::Opening {
            flow.deadline = self.openings.at(flow.opening).deadline(timeout);
            let deadline = flow.deadline;
            self.expect(deadline, place);
        } else {
            self.closing(place, seg, out);
        }
    }

    /// Decides an attempt: its record, and what becomes of the connection.
    fn decide(&mut self, place: Place, now: Moment, out: &mut Records) {
        let flow = self.table.at_mut(place);
        let opening = self.openings.at(flow.opening);
        // Of an expiry, the deadline: the tick is only when it was looked at.
        let waited_until = now.clock.min(flow.deadline);
        let outcome = opening.outcome(waited_until, self.context.timeout);
        flow.handshake = outcome.into();
        flow.phase = Phase::Open;
        let goes_on = matches!(outcome, Outcome::Established | Outcome::OneSided) || flow.late;
        if !goes_on {
            flow.close = Close::Failed;
        }
        if self.handshakes {
            let record = analyze::handshake(&self.context, flow, opening, outcome, waited_until);
            let rank = Rank {
                at: now,
                first_frame: flow.first_frame,
                kind: Kind::Handshake,
            };
            out.handshake(rank, record);
        }
        let options = opening.options();
        self.openings.remove(flow.opening);
        flow.opening = NO_OPENING;
        flow.deadline = now.clock;
        if let (Outcome::Established, (client, Some(server))) = (outcome, options) {
            self.established(place, [client, server]);
        }
        let deadline = now.clock.plus(self.idle);
        self.expect(deadline, place);
    }

    /// Closes an open connection if this segment, or the FINs so far, do.
    #[inline(never)]
    fn closing(&mut self, place: Place, seg: &Segment, out: &mut Records) {
        let flow = self.table.at_mut(place);
        if seg.flags & flags::RST != 0 {
            let side = &flow.sides[usize::from(seg.from)];
            if !side.obeys_reset(&flow.sides[usize::from(1 - seg.from)], seg) {
                return;
            }
            self.close_by_reset(place, seg.from, seg, out);
            return;
        }
        if flow.sides[usize::from(seg.from)].finished() {
            flow.first_fin = flow.first_fin.or(Some(seg.from));
        }
        if flow.sides[0].finished() && flow.sides[1].finished() {
            flow.close = Close::Fin;
            self.linger(place, moment(seg), out);
        }
    }

    fn close_by_reset(&mut self, place: Place, by: u8, seg: &Segment, out: &mut Records) {
        let flow = self.table.at_mut(place);
        flow.close = if by == flow.client {
            Close::RstByClient
        } else {
            Close::RstByServer
        };
        flow.reset_by = Some(by);
        self.linger(place, moment(seg), out);
    }

    /// A segment of a connection that is over, and may not be: the SYN-ACK of an attempt that was given up; or the side
    /// whose RST closed it sends data beyond the RST, or acknowledges what was sent to it since. Then the RST was not
    /// its own.
    #[inline(never)]
    fn after_close(&mut self, place: Place, seg: &Segment, facts: Facts, out: &mut Records) {
        let flow = self.table.at_mut(place);
        if flow.sides[usize::from(seg.from)].finished() {
            // It crossed the other end's RST on the way.
            flow.first_fin = flow.first_fin.or(Some(seg.from));
        }
        let odd = flow.odd.get(usize::from(seg.from));
        let (reset, peer_high) = odd.map(|odd| odd.reset_at).unwrap_or_default();
        let goes_on = facts.sighting == Some(Sighting::New)
            && seg.flags & flags::SYN == 0
            && Seq(seg.seq).offset(reset) >= 0
            || facts.acknowledges && Seq(seg.ack).offset(peer_high) > 0;
        let is_revived = flow.reset_by == Some(seg.from) && goes_on;
        if flow.close == Close::Failed && is_late_synack(flow, seg) {
            flow.late = true;
        } else if flow.close == Close::Failed && is_late_syn(flow, seg) {
            // Its client has not given up: what comes of that is this attempt's, too; Linux gives up, and may say so by a
            // RST, 64 s after its last SYN. It has its place in a queue.
            flow.deadline = seg.clock.plus(self.context.timeout.saturating_add(LINGER));
            return;
        } else if !is_revived {
            return;
        }
        flow.phase = Phase::Open;
        flow.close = Close::Open;
        flow.reset_by = None;
        flow.deadline = seg.clock;
        if let Some(active) = self.active_ticks {
            skip_parts(flow, seg.clock, active);
        }
        let deadline = seg.clock.plus(self.idle);
        self.expect(deadline, place);
        self.closing(place, seg, out);
    }

    /// Keeps a connection that is over for late segments.
    fn linger(&mut self, place: Place, now: Moment, out: &mut Records) {
        let until = now.clock.plus(self.linger);
        let flow = self.table.at_mut(place);
        flow.phase = Phase::Closed;
        flow.deadline = until;
        self.lingering.push_back((until, place, flow.hash));
        self.event = self.event.min(until);
        if self.lingering.len() > MOST_LINGERING {
            self.let_go_oldest(now, out);
            self.fetch_next();
        }
    }

    /// Keeps a failed attempt whose SYN may come again, apart from those that linger.
    fn wait_for_repeat(&mut self, place: Place, now: Timestamp) {
        let until = now.plus(LINGER);
        let flow = self.table.at_mut(place);
        flow.phase = Phase::Closed;
        flow.deadline = until;
        self.repeating.push(Reverse((until, place, flow.hash)));
        self.event = self.event.min(until);
    }

    /// Asks for the memory of those that are let go next: they were not touched for long.
    #[inline]
    fn fetch_next(&self) {
        /// So many before they go: the flow, and what of its requests is kept, for which the flow must be there. One of this
        /// shard's closings is some 64 of all, in which what comes too early is put out of the nearest cache again.
        const FLOW: usize = 1;
        const EXCHANGE: usize = 0;
        if let Some(&(_, place, _)) = self.lingering.get(FLOW) {
            let flow = std::ptr::from_ref(self.table.at(place));
            (self.fetch)(flow.cast(), size_of::<Flow>());
        }
        if let Some(requests) = &self.requests
            && let Some(&(_, place, _)) = self.lingering.get(EXCHANGE)
        {
            requests.fetch(self.table.at(place).exchange, self.fetch);
        }
    }

    /// An ICMP error that quotes a segment of this shard.
    pub fn icmp(&mut self, error: &IcmpError, out: &mut Records) {
        let quoted = &error.quoted;
        self.advance(quoted.clock, out);
        // The error may come back another way than the SYN went.
        let candidates = self.table.elsewhere(&quoted.flow, quoted.hash);
        let quotes = |flow: &Flow| {
            flow.phase == Phase::Opening
                && quoted.from == flow.client
                && self.openings.at(flow.opening).is_quoted_by(error)
        };
        let best = candidates
            .filter(|(_, flow)| quotes(flow))
            .min_by_key(|(_, flow)| (flow.key != quoted.flow, flow.first_frame));
        let Some((place, _)) = best else {
            return;
        };
        let flow = self.table.at_mut(place);
        let opening = self.openings.at_mut(flow.opening);
        if opening.icmp(error) {
            flow.deadline = opening.deadline(self.context.timeout);
            let deadline = flow.deadline;
            self.expect(deadline, place);
        }
    }

    /// How many flows are in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Attempts that nothing has answered when the engine clock is at `clock`. At most 256 of them are looked at.
    pub fn pending(&self, clock: Timestamp, into: &mut Pending) {
        let unanswered = self.openings.owned();
        let unanswered = unanswered.filter(|(opening, _)| opening.is_unanswered());
        for (n, (opening, place)) in unanswered.enumerate() {
            if n >= MOST_LOOKED_AT {
                into.attempts += 1;
                continue;
            }
            let flow = self.table.at(place);
            let server = end(&flow.key, 1 - flow.client);
            let age = clock.since(opening.first_clock);
            into.attempt(server, age.unwrap_or_default());
            let direction = self.context.roles.direction(&flow.key, flow.client);
            if direction == Some(Direction::Inbound) {
                into.here(server);
            }
        }
    }

    /// The flows in the table: first packet and place.
    pub fn flows(&self) -> impl Iterator<Item = (u64, Place)> {
        self.table
            .iter()
            .map(|(place, flow)| (flow.first_frame, place))
    }

    /// The observation is over: a connection is reported as it stands.
    pub fn end(&mut self, place: Place, out: &mut Records) {
        let now = Moment::end(self.clock);
        if self.table.at(place).phase == Phase::Opening {
            self.decide(place, now, out);
        }
        self.report(place, now, out);
        self.table.forget(place);
    }

    fn let_one_go(&mut self, place: Place, now: Moment, out: &mut Records) {
        self.report(place, now, out);
        self.table.remove(place);
    }

    /// The last record of a connection that leaves the table.
    fn report(&mut self, place: Place, now: Moment, out: &mut Records) {
        let (protocol, requests) = self.end_exchange(place, now, out);
        let flow = self.table.at(place);
        if flow.is_datagram() {
            return;
        }
        for odd in [0, 1].into_iter().filter_map(|side| flow.odd.get(side)) {
            self.counts.holes += u64::from(odd.holes.overflows);
        }
        self.gone
            .remember(self.hash_key.hash(&flow.key), flow, now.clock);
        if self.connections {
            let part = (flow.parts > 0).then(|| u64::from(flow.parts) + 1);
            let record = analyze::connection(&self.context, flow, part, true, (protocol, requests));
            let rank = Rank {
                at: now,
                first_frame: flow.first_frame,
                kind: Kind::Connection,
            };
            out.connection(rank, record);
        }
    }
}

/// Whether a segment is the SYN of an attempt that timed out, once more.
fn is_late_syn(flow: &Flow, seg: &Segment) -> bool {
    flow.handshake == HandshakeOutcome::TimedOut
        && seg.flags & (flags::SYN | flags::ACK | flags::RST) == flags::SYN
        && seg.from == flow.client
        && Seq(seg.seq) == flow.sides[usize::from(flow.client)].low
}

/// Whether a segment is the SYN-ACK of an attempt that failed.
fn is_late_synack(flow: &Flow, seg: &Segment) -> bool {
    let client = &flow.sides[usize::from(flow.client)];
    let ack = Seq(seg.ack);
    seg.flags & (flags::SYN | flags::ACK | flags::RST) == flags::SYN | flags::ACK
        && seg.from != flow.client
        && client.low.before(ack)
        && ack.offset(client.high) <= 0
}

/// The moment of a segment.
fn moment(seg: &Segment) -> Moment {
    Moment {
        clock: seg.clock,
        frame: seg.frame,
    }
}

/// A shard's share of a bound on connections. Flows do not spread evenly: four standard deviations more, so that a table
/// within its bound evicts nothing; small bounds are kept to the letter.
fn share(limit: usize) -> usize {
    let mean = limit.div_ceil(SHARDS);
    if mean < 64 {
        mean
    } else {
        mean + 4 * mean.isqrt()
    }
}
