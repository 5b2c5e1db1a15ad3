//! The three-way handshake as an observer sees it: RFC 9293 sections 3.5 and 3.10, fast open (RFC 7413), ECN
//! (RFC 3168). Not the connection after it.
//!
//! An [`Opening`] lives from the first SYN until its outcome is final. What fails an attempt (RST, ICMP) is held as a
//! verdict for a while, because something better may follow: the same SYN again after a bare RST, an ACK that crosses
//! a RST. See [`Opening::deadline`].

use std::net::IpAddr;

use super::seq::Seq;
use crate::record::{Outcome, Side};
use crate::time::{SECOND, Timestamp};
use crate::wire::segment::{IcmpError, Segment, SynOptions, flags, syn_option};

/// How long a RST that the other side must obey waits for what may have crossed it: clients that try again after a
/// RST (Windows: after 0.5 s) and segments on their way.
const SETTLE: i64 = SECOND + SECOND / 2;

/// How much a server may send before the client's first ACK is seen.
const MOST_BEFORE_ACK: i32 = 1 << 24;

/// The longest first retransmission timeout of a SYN in use: 3 s (RFC 1122 section 4.2.3.1; 1 s since RFC 6298).
const FIRST_TIMEOUT: i64 = 3 * SECOND;

/// How late a retransmission timer may be.
const TIMER_SLACK: i64 = SECOND / 2;

/// A connection attempt that is not decided yet. Roles, not ends: the client sent the first SYN.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// First SYN.
    pub first_syn: Timestamp,
    /// First SYN by the engine clock.
    pub first_clock: Timestamp,
    /// Last SYN before the first SYN-ACK.
    last_syn: Timestamp,
    /// The latest SYN by the engine clock, and how long after the one before it.
    syn_clock: Timestamp,
    syn_gap: i64,
    first_synack: Option<Timestamp>,
    last_synack: Timestamp,
    /// The ACK that established it, or what failed it.
    concluded: Option<Timestamp>,
    /// Packet number of that, or of the last packet of the attempt.
    pub last_frame: u64,
    /// Engine clock of the last event of the handshake.
    event: Timestamp,
    client_isn: Seq,
    server_isn: Seq,
    first_server_isn: Seq,
    /// One past the SYN and the data on it.
    client_end: Seq,
    /// What the client acknowledged before a SYN-ACK was seen.
    client_ack: Seq,
    /// Repeats of the SYN.
    pub syn_retransmits: u32,
    /// Repeats of the SYN-ACK.
    pub synack_retransmits: u32,
    client: SynOptions,
    server: SynOptions,
    bits: u16,
    verdict: Option<Outcome>,
    icmp: Option<(u8, u8, bool)>,
    icmp_from: Option<IpAddr>,
}

mod bit {
    pub(super) const SYNACK: u16 = 0x001;
    /// The server sent a SYN without ACK: simultaneous open.
    pub(super) const SERVER_SYN: u16 = 0x002;
    /// The client acknowledged the server's SYN.
    pub(super) const CLIENT_ACKED: u16 = 0x004;
    /// The server acknowledged the client's SYN.
    pub(super) const SERVER_ACKED: u16 = 0x008;
    /// The client went on as if it had seen a SYN-ACK.
    pub(super) const CLIENT_WENT_ON: u16 = 0x010;
    /// Any segment of the server but RST was seen.
    pub(super) const SERVER_SEEN: u16 = 0x020;
    pub(super) const ECN_SYN: u16 = 0x040;
    pub(super) const ECN_SYNACK: u16 = 0x080;
    pub(super) const RST_ACCEPTABLE: u16 = 0x100;
    pub(super) const DATA_ACCEPTED: u16 = 0x200;
    /// The SYN-ACK was seen, its options were not kept.
    pub(super) const OPTIONS_MISSED: u16 = 0x400;
}

/// What a segment did to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Waiting,
    /// The connection is established.
    Established,
    /// The SYN-ACK came after the timeout: the attempt had failed, the connection goes on.
    Late,
    /// The client goes on, and no SYN-ACK was seen.
    OneSided,
}

impl Opening {
    /// An attempt begins with this SYN.
    #[must_use]
    pub fn new(syn: &Segment) -> Opening {
        let isn = Seq(syn.seq);
        let ecn = syn.flags & (flags::ECE | flags::CWR) == flags::ECE | flags::CWR;
        Opening {
            first_syn: syn.time,
            first_clock: syn.clock,
            last_syn: syn.time,
            syn_clock: syn.clock,
            syn_gap: 0,
            first_synack: None,
            last_synack: syn.time,
            concluded: None,
            last_frame: syn.frame,
            event: syn.clock,
            client_isn: isn,
            server_isn: Seq(0),
            first_server_isn: Seq(0),
            client_end: isn.plus(1 + syn.payload_length),
            client_ack: Seq(0),
            syn_retransmits: 0,
            synack_retransmits: 0,
            client: syn.syn,
            server: SynOptions::default(),
            bits: if ecn { bit::ECN_SYN } else { 0 },
            verdict: None,
            icmp: None,
            icmp_from: None,
        }
    }

    /// An attempt whose SYN-ACK was seen before its SYN: packets were reordered on the way here.
    #[must_use]
    pub fn after_synack(syn: &Segment, server_isn: Seq, synack: Timestamp) -> Opening {
        Opening {
            first_synack: Some(synack),
            last_synack: synack,
            server_isn,
            first_server_isn: server_isn,
            bits: bit::SYNACK | bit::SERVER_ACKED | bit::SERVER_SEEN | bit::OPTIONS_MISSED,
            ..Opening::new(syn)
        }
    }

    /// The outcome that a RST would have made of the attempt, had no ACK crossed it.
    #[must_use]
    pub fn reset_verdict(&self) -> Option<Outcome> {
        self.verdict
            .filter(|verdict| matches!(verdict, Outcome::Aborted | Outcome::Reset))
    }

    /// Whether the attempt began with this segment.
    #[must_use]
    pub fn began_with(&self, seg: &Segment) -> bool {
        self.last_frame == seg.frame
    }

    /// Whether a SYN of the client belongs to this attempt.
    #[must_use]
    pub fn is_same_attempt(&self, syn: &Segment) -> bool {
        Seq(syn.seq) == self.client_isn
    }

    /// The engine clock at which the attempt is decided if nothing more happens.
    #[must_use]
    pub fn deadline(&self, timeout: i64) -> Timestamp {
        let Some(verdict) = self.verdict else {
            // Silence counts from the first SYN: a client that repeats it (Linux: for 127 s) has no answer all the same.
            return match self.is_unanswered() {
                true => self.first_clock.plus(timeout),
                false => self.event.plus(timeout),
            };
        };
        let is_obeyed = match verdict {
            Outcome::Refused => self.has(bit::RST_ACCEPTABLE),
            Outcome::Unreachable => false,
            _ => true,
        };
        if is_obeyed {
            return self.event.plus(SETTLE.min(timeout));
        }
        // The client may go on: its next SYN comes after twice the last gap (RFC 6298 section 5.5).
        let next = (self.syn_gap.saturating_mul(2))
            .max(FIRST_TIMEOUT)
            .saturating_add(TIMER_SLACK);
        self.syn_clock.plus(next.min(timeout)).max(self.event)
    }

    /// Whether nothing has answered it so far, nor failed it, and its client does not go on as if something had.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        let answers = bit::SYNACK | bit::SERVER_SYN | bit::CLIENT_WENT_ON;
        self.verdict.is_none() && self.bits & answers == 0
    }

    /// Whether its client repeats its SYN, and may do so again after `now`: the gap doubles (RFC 6298 section 5.5), and
    /// timers are late. A flood of SYNs that come once is not waited for.
    #[must_use]
    pub fn may_repeat(&self, now: Timestamp) -> bool {
        self.syn_retransmits > 0 && self.syn_clock.plus(self.syn_gap.saturating_mul(3)) > now
    }

    /// A segment of the client.
    pub fn from_client(&mut self, seg: &Segment) -> Step {
        if seg.flags & flags::RST != 0 {
            self.fail(Outcome::Aborted, seg);
            return Step::Waiting;
        }
        if seg.flags & flags::SYN != 0 && Seq(seg.seq) == self.client_isn {
            self.client_syn(seg);
        }
        if seg.flags & flags::ACK == 0 {
            return Step::Waiting;
        }
        let ack = Seq(seg.ack);
        let covers = |isn: Seq| (0..=MOST_BEFORE_ACK).contains(&ack.offset(isn.plus(1)));
        if self.has(bit::SYNACK | bit::SERVER_SYN)
            && (covers(self.server_isn) || covers(self.first_server_isn))
        {
            self.bits |= bit::CLIENT_ACKED;
            return self.acknowledged(seg);
        }
        if !self.has(bit::SYNACK) && seg.flags & flags::SYN == 0 && Seq(seg.seq) == self.client_end
        {
            self.bits |= bit::CLIENT_WENT_ON;
            self.client_ack = ack;
            self.note(seg);
        }
        let finishes = seg.payload_length > 0 || seg.flags & flags::FIN != 0;
        if self.has(bit::CLIENT_WENT_ON) && !self.has(bit::SYNACK) && finishes {
            return Step::OneSided;
        }
        Step::Waiting
    }

    fn client_syn(&mut self, seg: &Segment) {
        if seg.flags & flags::ACK == 0 {
            self.syn_retransmits += 1;
            self.syn_gap = seg.clock.0.saturating_sub(self.syn_clock.0);
            self.syn_clock = seg.clock;
            if self.verdict == Some(Outcome::Refused) && !self.has(bit::RST_ACCEPTABLE) {
                self.verdict = None;
            }
        }
        if self.first_synack.is_none() && seg.flags & flags::ACK == 0 {
            self.last_syn = seg.time;
        }
        self.note(seg);
    }

    /// A segment of the server.
    pub fn from_server(&mut self, seg: &Segment, timeout: i64) -> Step {
        if seg.flags & flags::RST != 0 {
            self.server_reset(seg);
            return Step::Waiting;
        }
        let acks_syn = seg.flags & flags::ACK != 0
            && Seq(seg.ack).offset(self.client_isn.plus(1)) >= 0
            && Seq(seg.ack).offset(self.client_end) <= 0;
        if seg.flags & flags::SYN != 0 {
            if seg.flags & flags::ACK == 0 {
                self.server_syn(seg);
                return Step::Waiting;
            }
            if acks_syn {
                return self.synack(seg, timeout);
            }
        } else {
            self.bits |= bit::SERVER_SEEN;
            if acks_syn && self.has(bit::SERVER_SYN) {
                self.bits |= bit::SERVER_ACKED;
                return self.acknowledged(seg);
            }
        }
        Step::Waiting
    }

    fn server_syn(&mut self, seg: &Segment) {
        if !self.has(bit::SYNACK) {
            self.bits |= bit::SERVER_SYN;
            self.server_isn = Seq(seg.seq);
            self.first_server_isn = self.server_isn;
            self.server = seg.syn;
        }
        self.note(seg);
    }

    fn synack(&mut self, seg: &Segment, timeout: i64) -> Step {
        self.bits |= bit::SERVER_ACKED | bit::SERVER_SEEN;
        if Seq(seg.ack).offset(self.client_isn.plus(1)) > 0 {
            self.bits |= bit::DATA_ACCEPTED;
        }
        let again = self.has(bit::SYNACK);
        let same = Seq(seg.seq) == self.server_isn;
        self.note(seg);
        if again && same {
            self.synack_retransmits += 1;
            self.last_synack = seg.time;
            return Step::Waiting;
        }
        self.bits |= bit::SYNACK;
        self.server_isn = Seq(seg.seq);
        self.last_synack = seg.time;
        if again {
            return Step::Waiting;
        }
        if !(same && self.has(bit::SERVER_SYN)) {
            self.first_server_isn = self.server_isn;
        }
        self.first_synack = Some(seg.time);
        self.server = seg.syn;
        if seg.flags & (flags::ECE | flags::CWR) == flags::ECE {
            self.bits |= bit::ECN_SYNACK;
        }
        if matches!(self.verdict, Some(Outcome::Refused | Outcome::Unreachable)) {
            self.verdict = None;
        }
        if seg
            .clock
            .since(self.first_clock)
            .is_some_and(|age| age.ns() > timeout as u64)
        {
            self.verdict = Some(Outcome::TimedOut);
            self.concluded = None;
            return Step::Late;
        }
        let went_on = self.has(bit::CLIENT_WENT_ON);
        if went_on && self.client_ack.offset(self.server_isn.plus(1)) >= 0 {
            // The client's ACK overtook the SYN-ACK on the way here.
            self.bits |= bit::CLIENT_ACKED;
        }
        if self.has(bit::SERVER_SYN | bit::CLIENT_ACKED) {
            return self.acknowledged(seg);
        }
        Step::Waiting
    }

    /// One side's SYN was acknowledged: established when both were.
    fn acknowledged(&mut self, seg: &Segment) -> Step {
        if !self.has(bit::CLIENT_ACKED) || !self.has(bit::SERVER_ACKED) {
            return Step::Waiting;
        }
        self.verdict = Some(Outcome::Established);
        self.concluded = Some(seg.time);
        self.note(seg);
        Step::Established
    }

    fn server_reset(&mut self, seg: &Segment) {
        if self.has(bit::SYNACK) {
            self.fail(Outcome::Reset, seg);
            return;
        }
        let acceptable = seg.flags & flags::ACK != 0
            && Seq(seg.ack).offset(self.client_isn.plus(1)) >= 0
            && Seq(seg.ack).offset(self.client_end) <= 0;
        if acceptable {
            self.bits |= bit::RST_ACCEPTABLE;
        }
        if self.verdict != Some(Outcome::Aborted) {
            self.fail(Outcome::Refused, seg);
        }
    }

    /// An ICMP error that quotes a segment of the client. Returns whether it quotes this attempt's SYN.
    pub fn icmp(&mut self, error: &IcmpError) -> bool {
        if !self.is_quoted_by(error) {
            return false;
        }
        self.icmp = Some((error.kind, error.code, error.is_v6));
        self.icmp_from = Some(error.from);
        let unreachable = match (error.is_v6, error.kind, error.code) {
            (false, 3, code) => code != 4, // 4: fragmentation needed (RFC 1191)
            (true, 1, _) => true,
            _ => false,
        };
        if unreachable && self.verdict.is_none() && !self.has(bit::SYNACK) {
            self.fail(Outcome::Unreachable, &error.quoted);
        }
        true
    }

    fn fail(&mut self, outcome: Outcome, seg: &Segment) {
        // The first of two resets decides: a late answer to an abort is no refusal.
        if !matches!(self.verdict, Some(Outcome::Aborted | Outcome::Reset)) {
            self.verdict = Some(outcome);
            self.concluded = Some(seg.time);
        }
        self.note(seg);
    }

    fn note(&mut self, seg: &Segment) {
        self.event = seg.clock;
        self.last_frame = seg.frame;
    }

    fn has(&self, bits: u16) -> bool {
        self.bits & bits != 0
    }

    /// Whether a quoted segment is the SYN of this attempt, or data on it.
    #[must_use]
    pub fn is_quoted_by(&self, error: &IcmpError) -> bool {
        let quoted = Seq(error.quoted.seq);
        !quoted.before(self.client_isn) && !self.client_end.before(quoted)
    }

    /// Whether segments of the server were seen, be its SYN-ACK among them or not.
    #[must_use]
    pub fn server_seen(&self) -> bool {
        self.has(bit::SERVER_SEEN)
    }

    /// Whether the SYN-ACK was seen.
    #[must_use]
    pub fn synack_seen(&self) -> bool {
        self.has(bit::SYNACK)
    }

    /// What the attempt comes to if it is decided now.
    #[must_use]
    pub fn outcome(&self, now: Timestamp, timeout: i64) -> Outcome {
        if self.has(bit::CLIENT_WENT_ON) && !self.has(bit::SYNACK) {
            return Outcome::OneSided;
        }
        match self.verdict {
            Some(outcome) => outcome,
            None if self.has(bit::SYNACK) => Outcome::Unacknowledged,
            None if now
                .since(self.first_clock)
                .is_some_and(|age| age.ns() >= timeout as u64) =>
            {
                Outcome::TimedOut
            }
            None => Outcome::Unanswered,
        }
    }

    /// When it was concluded by a packet; `None` if by silence.
    #[must_use]
    pub fn concluded(&self) -> Option<Timestamp> {
        self.concluded
    }

    /// The times between the handshake's segments.
    #[must_use]
    pub fn times(&self) -> Times {
        Times {
            first_syn: self.first_syn,
            last_syn: self.last_syn,
            first_synack: self.first_synack,
            last_synack: self.last_synack,
        }
    }

    /// For a refused attempt: whether a RST acknowledges the SYN.
    #[must_use]
    pub fn rst_acceptable(&self) -> bool {
        self.has(bit::RST_ACCEPTABLE)
    }

    /// Type, code and version of the last ICMP error, and who sent it.
    #[must_use]
    pub fn icmp_error(&self) -> Option<(u8, u8, bool, IpAddr)> {
        let (kind, code, is_v6) = self.icmp?;
        Some((kind, code, is_v6, self.icmp_from?))
    }

    /// The client's options, and the server's if its SYN or SYN-ACK was seen.
    #[must_use]
    pub fn options(&self) -> (SynOptions, Option<SynOptions>) {
        let server = self.has(bit::SYNACK | bit::SERVER_SYN) && !self.has(bit::OPTIONS_MISSED);
        (self.client, server.then_some(self.server))
    }

    /// ECN was asked for and granted.
    #[must_use]
    pub fn ecn(&self) -> bool {
        self.has(bit::ECN_SYN) && self.has(bit::ECN_SYNACK)
    }

    /// The SYN-ACK accepted data that came on the SYN, or granted a fast open cookie.
    #[must_use]
    pub fn fast_open(&self) -> bool {
        self.has(bit::DATA_ACCEPTED)
            || self.client.bits & syn_option::FAST_OPEN != 0
                && self.server.bits & syn_option::FAST_OPEN != 0
    }

    /// Where the observation stands, by the two halves of the handshake: one below a tenth of the other tells.
    #[must_use]
    pub fn tap_side(&self, established: Timestamp) -> Side {
        if self.has(bit::SERVER_SYN) {
            // Simultaneous open: there are no halves.
            return Side::Unknown;
        }
        let halves = (
            self.first_synack
                .and_then(|synack| synack.since(self.last_syn)),
            established.since(self.last_synack),
        );
        match halves {
            (Some(server), Some(client)) if server.ns().saturating_mul(10) < client.ns() => {
                Side::Server
            }
            (Some(server), Some(client)) if client.ns().saturating_mul(10) < server.ns() => {
                Side::Client
            }
            _ => Side::Unknown,
        }
    }
}

/// When the handshake's segments were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// First SYN.
    pub first_syn: Timestamp,
    /// Last SYN before the first SYN-ACK.
    pub last_syn: Timestamp,
    /// First SYN-ACK.
    pub first_synack: Option<Timestamp>,
    /// Last SYN-ACK before the ACK.
    pub last_synack: Timestamp,
}
