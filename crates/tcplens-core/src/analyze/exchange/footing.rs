//! Where bytes or requests were missed: what is given up, and when a direction, and pairing, can be trusted again.

use super::task::{Run, Task};
use super::{Core, Speaks, Work, bit};
use crate::proto::{AnyParser, Guess, Loss, Way};
use crate::record::{EndedBy, Protocol};
use crate::tcp::seq::Seq;
use crate::time::Timestamp;

/// How long a server that has all requests of a pipelining client says nothing when it has none left to answer, in ns.
/// Chosen: few requests take longer, and fewer of those that were missed.
const STILL: i64 = 1_000_000_000;

/// Bits of [`Core::state`].
pub(super) mod state {
    /// Requests may have been missed, so of responses without numbers nobody knows whose they are.
    pub(in super::super) const ADRIFT: u8 = 1;
    /// `answered` is set.
    pub(in super::super) const ANSWERED: u8 = 2;
    /// The client asked before it was answered.
    pub(in super::super) const PIPELINES: u8 = 4;
    /// It is not adrift only if the client never does that.
    pub(in super::super) const ASSUMED: u8 = 8;
}

impl Core {
    /// Whether it is not known whose the next response is, if it has no number.
    #[inline]
    pub(super) fn is_adrift(&self) -> bool {
        self.state & state::ADRIFT != 0
    }

    pub(super) fn set(&mut self, bits: u8) {
        self.state |= bits;
    }

    /// The next request gets the next response.
    pub(super) fn moor(&mut self) {
        self.state &= !(state::ADRIFT | state::ANSWERED | state::ASSUMED);
    }
}

impl Work<'_, '_> {
    /// Adrift, the server sends something: how far it had read by then.
    pub(super) fn server_sends(&mut self, at: Timestamp) {
        let client = usize::from(self.desk.flow.client);
        let server = &self.desk.flow.sides[1 - client];
        if server.acknowledged() {
            self.core.answered = server.ack;
            self.core.set(state::ANSWERED);
        }
        self.core.last_end = self.core.last_end.max(at);
    }

    /// Adrift, the client begins a segment at `start`, captured at `seen`. If the server had all before it when it sent
    /// last, and the client asks only when it was answered, what it asks now is answered next. One that does not wait must
    /// find the server still.
    pub(super) fn client_begins(&mut self, start: Seq, seen: Timestamp) {
        let is_answered = self.core.state & state::ANSWERED != 0
            && start.offset(self.core.answered) <= 0
            && seen >= self.core.last_end;
        if !is_answered {
            return;
        }
        let pipelines = self.core.state & state::PIPELINES != 0;
        let is_still = seen.0.saturating_sub(self.core.last_end.0) >= STILL;
        if !pipelines || is_still {
            // Those with numbers pair all the same, and turns have no other order.
            let is_unnumbered = |task: &Task| {
                task.over.is_none() && task.id.is_none() && task.protocol != Protocol::Turn
            };
            while let Some(n) = self.busy.tasks.iter().position(is_unnumbered) {
                self.unanswered(n, EndedBy::Gap);
            }
            self.core.moor();
        }
        if !pipelines && !is_still {
            self.core.set(state::ASSUMED);
        }
    }

    /// What is outstanding gets no answer that could be told to be its own.
    pub(super) fn give_up_outstanding(&mut self, is_gap: bool) {
        while let Some(n) = self.busy.tasks.iter().position(|task| task.over.is_none()) {
            let task = &mut self.busy.tasks[n];
            task.gap |= is_gap && !task.cut;
            self.unanswered(n, EndedBy::Gap);
        }
    }

    /// A request begins, and the one before it has no answer yet; unless that was missed here, for the client acknowledges
    /// more than was seen, and more than it did when it asked before. Whether nobody knows whose its response is then.
    #[cold]
    pub(super) fn pipelines(&mut self) -> bool {
        let client = &self.desk.flow.sides[usize::from(self.desk.flow.client)];
        let back = &self.core.ways[Way::ToClient as usize];
        let is_started = back.bits & bit::STARTED != 0 && client.acknowledged();
        let waits = self.busy.tasks.back().filter(|task| task.waits());
        let has_more = |than: Seq| client.ack.offset(than) > 0;
        let was_missed = match waits {
            Some(task) => {
                client.acknowledged() && has_more(task.end) && (!is_started || has_more(back.next))
            }
            None => is_started && has_more(back.next),
        };
        if was_missed {
            return false;
        }
        self.core.set(state::PIPELINES);
        let drifts = self.core.state & state::ASSUMED != 0;
        if drifts {
            self.give_up_outstanding(false);
            self.core.moor();
            self.core.set(state::ADRIFT);
        }
        drifts
    }

    /// Whether a segment begins with a message, after the footing was lost.
    pub(super) fn has_footing(&mut self, way: Way, bytes: &[u8]) -> bool {
        let is_start = match &self.core.speaks {
            Speaks::Known(parser) => AnyParser::probe(parser.protocol(), way, bytes) == Guess::Yes,
            Speaks::Unknown(_) | Speaks::Turn => true,
        };
        if is_start {
            self.core.ways[way as usize].bits &= !bit::LOST;
        }
        is_start
    }

    /// `length` bytes will never be seen here, or were not captured (`is_cut`).
    pub(super) fn missing(
        &mut self,
        way: Way,
        length: u32,
        is_cut: bool,
        time: Timestamp,
        frame: u64,
    ) {
        self.desk.counts.gaps += u64::from(!is_cut);
        let w = way as usize;
        if is_cut && !self.busy.unread[w].is_empty() {
            self.read_what_was_cut(way);
        }
        for task in self
            .busy
            .tasks
            .iter_mut()
            .filter(|task| task.over.is_none())
        {
            task.cut |= is_cut;
            task.gap |= !is_cut;
        }
        if let Some(open) = &mut self.busy.open[w]
            && open.left >= u64::from(length)
        {
            open.left -= u64::from(length);
            if open.left == 0 {
                self.open_ends(way, time, 0);
            }
            return;
        }
        match &self.core.speaks {
            Speaks::Turn => {
                let run = Run {
                    length,
                    time,
                    seen: time,
                    frame,
                };
                self.turn(way, length as usize, run, run);
            }
            Speaks::Unknown(_) => {
                self.busy.unread[w].clear();
                self.busy.runs[w].clear();
                self.core.set(state::ADRIFT);
            }
            Speaks::Known(_) => self.lose_footing(way, None),
        }
    }

    /// What comes next in `way` cannot be told: what is outstanding is given up.
    pub(super) fn lose_footing(&mut self, way: Way, loss: Option<Loss>) {
        let w = way as usize;
        self.busy.unread[w].clear();
        self.busy.runs[w].clear();
        if let Some(open) = self.busy.open[w].take() {
            let mut tasks = self.busy.tasks.iter_mut();
            if let Some(task) = tasks.find(|task| Some(task.number) == open.task) {
                task.bytes[w] = task.bytes[w].saturating_sub(open.left);
            }
        }
        self.core.ways[w].bits |= bit::LOST;
        let Speaks::Known(parser) = &mut self.core.speaks else {
            return;
        };
        let protocol = parser.protocol();
        parser.lost(way);
        if let Some(loss) = loss {
            self.count_loss(protocol, loss);
        }
        self.give_up_outstanding(loss.is_none());
        if !self.core.is_adrift() {
            self.core.set(state::ADRIFT);
            if way == Way::ToClient {
                self.server_sends(Timestamp::MIN);
            }
        }
        if loss.is_some() && self.core.tasks == 0 && self.desk.rules.of(self.desk.flow).turns {
            // It was none of that protocol.
            self.core.speaks = Speaks::Turn;
            self.core.moor();
            self.core.protocol = Some(Protocol::Turn);
            self.core.ways[w].bits &= !bit::LOST;
        }
    }

    pub(super) fn count_loss(&mut self, protocol: Protocol, loss: Loss) {
        self.desk.counts.lost[protocol as usize][loss as usize] += 1;
    }
}
