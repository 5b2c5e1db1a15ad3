//! What is spoken on a connection, told by its first bytes; and what nobody recognises: turns.

use super::read::Said;
use super::task::{NEVER, Run};
use super::{Speaks, Work};
use crate::proto::{AnyParser, Guess, Request, Way};
use crate::record::{EndedBy, HandshakeOutcome, Protocol, RoleFrom};

/// Segments without a message at their start after which an unknown connection is taken by turns.
const TRIES: u8 = 8;
/// Bytes after which a connection that may still be anything is taken by turns.
const ENOUGH_TO_TELL: usize = 8192;

/// What came of the first bytes.
pub(super) enum Recognised {
    /// They are read in this direction.
    As(Way),
    /// It is nothing that is known: it is read by turns.
    Turns,
    /// More must come.
    NotYet,
    /// They say nothing.
    Dropped,
}

impl Work<'_, '_> {
    /// Tells by the first bytes what is spoken: the first protocol of the table that is sure of it, whatever other
    /// connections speak.
    #[inline(never)]
    pub(super) fn recognise(&mut self, way: Way, bytes: &[u8], runs: &[Run]) -> Recognised {
        let flow = &*self.desk.flow;
        let rules = self.desk.rules.of(flow);
        let mut may_be = false;
        let tells = |&&protocol: &&Protocol| AnyParser::tells(protocol, way);
        for &protocol in rules.protocols.iter().filter(tells) {
            match AnyParser::probe(protocol, way, bytes) {
                Guess::Yes => return self.adopt(protocol, way),
                Guess::Maybe => may_be = true,
                Guess::No => {}
            }
        }
        let other = way.back();
        // Who asks again after an answer has said all of the first request.
        let first = |runs: &[Run]| runs.first().map(|run| run.frame);
        let was_answered = way == Way::ToServer
            && first(&self.busy.runs[other as usize])
                .is_some_and(|answer| first(runs) < Some(answer));
        if may_be && bytes.len() < ENOUGH_TO_TELL && !was_answered {
            return Recognised::NotYet;
        }
        if flow.role_from == RoleFrom::Port {
            let turned = |&&protocol: &&Protocol| {
                AnyParser::tells(protocol, other)
                    && AnyParser::probe(protocol, other, bytes) == Guess::Yes
            };
            if let Some(&protocol) = rules.protocols.iter().find(turned) {
                self.turn_around();
                return self.adopt(protocol, other);
            }
        }
        let Speaks::Unknown(tries) = &mut self.core.speaks else {
            return Recognised::Dropped;
        };
        // In mid-connection this may be the middle of a message.
        let is_middle = flow.handshake != HandshakeOutcome::Established;
        if is_middle && *tries < TRIES {
            *tries += 1;
            return Recognised::Dropped;
        }
        if !rules.turns {
            return Recognised::Dropped;
        }
        self.core.speaks = Speaks::Turn;
        self.core.moor();
        self.core.protocol.get_or_insert(Protocol::Turn);
        Recognised::Turns
    }

    fn adopt(&mut self, protocol: Protocol, way: Way) -> Recognised {
        let Some(parser) = AnyParser::new(protocol) else {
            return Recognised::Dropped;
        };
        if self.desk.flow.role_from == RoleFrom::Port {
            self.desk.flow.role_from = RoleFrom::Protocol;
        }
        self.core.speaks = Speaks::Known(parser);
        self.core.protocol = Some(protocol);
        // What the other side said before comes first.
        self.read_what_waits(way.back());
        Recognised::As(way)
    }

    /// What waited in both directions is read by turns, packet by packet as it came; then the last of `runs`, which has
    /// just come. Which ACK covered what is over was not kept.
    pub(super) fn take_by_turns(&mut self, way: Way, bytes: &[u8], runs: &[Run]) -> usize {
        let Some((last, before)) = runs.split_last() else {
            return bytes.len();
        };
        self.turns_that_waited(way, before);
        let at = bytes.len().saturating_sub(last.length as usize);
        let used = self.parse(way, &bytes[at..], *last);
        self.emit_over();
        at + used
    }

    /// `runs` of `way`, and what waits of the other direction.
    fn turns_that_waited(&mut self, way: Way, runs: &[Run]) {
        let other = way.back();
        self.busy.unread[other as usize].clear();
        let others = std::mem::take(&mut self.busy.runs[other as usize]);
        let mut all: Vec<_> = runs.iter().map(|&run| (run, way)).collect();
        all.extend(others.into_iter().map(|run| (run, other)));
        all.sort_by_key(|(run, _)| run.frame);
        for (run, way) in all {
            self.turn(way, run.length as usize, run, run);
        }
    }

    fn emit_over(&mut self) {
        while let Some(n) = self.busy.tasks.iter().position(|task| task.over.is_some()) {
            self.emit(n);
        }
    }

    /// Nothing more comes that could tell what is spoken: what waits for that is read by turns.
    pub(super) fn settle(&mut self) {
        let is_middle = self.desk.flow.handshake != HandshakeOutcome::Established;
        let waits = self.busy.runs.iter().map(Vec::len).sum::<usize>();
        let Speaks::Unknown(tries) = &mut self.core.speaks else {
            return;
        };
        if is_middle {
            *tries = tries.saturating_add(u8::try_from(waits).unwrap_or(u8::MAX));
        }
        if is_middle || waits == 0 || !self.desk.rules.of(self.desk.flow).turns {
            return;
        }
        self.core.speaks = Speaks::Turn;
        self.core.moor();
        self.core.protocol.get_or_insert(Protocol::Turn);
        self.busy.unread[Way::ToServer as usize].clear();
        let runs = std::mem::take(&mut self.busy.runs[Way::ToServer as usize]);
        self.turns_that_waited(Way::ToServer, &runs);
        self.emit_over();
    }

    /// Client and server change places: the port guess was wrong.
    fn turn_around(&mut self) {
        self.desk.flow.client = 1 - self.desk.flow.client;
        self.core.ways.swap(0, 1);
        self.busy.unread.swap(0, 1);
        self.busy.runs.swap(0, 1);
        self.busy.early.swap(0, 1);
        self.busy.open.swap(0, 1);
        self.busy.sent.swap(0, 1);
        self.busy.window.swap(0, 1);
        self.core.mss.swap(0, 1);
        self.core.shifts.swap(0, 1);
        self.core.largest.swap(0, 1);
        self.core.least.swap(0, 1);
    }

    /// Whether a connection of an unknown protocol goes over to TLS here (STARTTLS and its like). Then it has.
    #[inline]
    pub(super) fn turns_to_tls(&mut self, way: Way, bytes: &[u8]) -> bool {
        /// Content type of a TLS record with a ClientHello (RFC 8446 section 5.1).
        const HANDSHAKE: u8 = 22;
        let goes_over = way == Way::ToServer
            && bytes.first() == Some(&HANDSHAKE)
            && (self.desk.rules.of(self.desk.flow))
                .protocols
                .contains(&Protocol::Tls)
            && AnyParser::probe(Protocol::Tls, way, bytes) == Guess::Yes;
        if goes_over {
            let waiting = self.busy.tasks.iter().rposition(|task| task.over.is_none());
            if let Some(n) = waiting {
                if self.busy.tasks[n].is_answering() {
                    self.answered(n);
                } else {
                    self.unanswered(n, EndedBy::Gap);
                }
            }
            self.switch(Protocol::Tls);
        }
        goes_over
    }

    /// Bytes that nothing is known of: the client's, then the server's.
    pub(super) fn turn(&mut self, way: Way, length: usize, first: Run, last: Run) {
        let said = Said {
            protocol: Protocol::Turn,
            words: Default::default(),
        };
        match way {
            Way::ToServer => {
                let current = self.busy.tasks.iter().rposition(|task| task.over.is_none());
                let is_new = match current {
                    Some(n) if self.busy.tasks[n].is_answering() => {
                        self.answered(n);
                        true
                    }
                    Some(_) => false,
                    None => true,
                };
                if is_new {
                    self.request_begins(&Request::begin(), 0, &said, &first, NEVER);
                }
                if let Some(task) = self.busy.tasks.back_mut() {
                    task.first_request = task.first_request.min(first.seen);
                    task.bytes[0] = task.bytes[0].saturating_add(length as u64);
                    task.last_request = last.time;
                }
            }
            Way::ToClient => {
                let next = self.core.ways[way as usize].next;
                let current = self.busy.tasks.back_mut();
                if let Some(task) = current.filter(|task| task.over.is_none()) {
                    if !task.is_answering() {
                        task.first_response = first.seen;
                        task.frames[1] = first.frame;
                    }
                    task.first_response = task.first_response.min(first.seen);
                    task.has_ended = true;
                    task.bytes[1] = task.bytes[1].saturating_add(length as u64);
                    task.last_response = last.time;
                    task.end = next;
                    task.acknowledged = NEVER;
                }
            }
        }
    }
}
