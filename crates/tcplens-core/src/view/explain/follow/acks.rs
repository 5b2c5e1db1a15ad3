//! Segments that acknowledge and say nothing else: those that ask for something missing, and those that were held back.

use super::{Before, Following, NEAR};
use crate::record::End;
use crate::tcp::seq::Seq;
use crate::time::Span;
use crate::view::explain::event::{Event, What};
use crate::wire::segment::Segment;

/// An ACK that took so much longer than the quickest of its side was held back: Linux waits 40 ms (TCP_DELACK_MIN), others
/// up to 200 ms.
const HELD_BACK_NS: u64 = 30_000_000;

/// What is sent so soon after an ACK waited for it.
const AT_ONCE_NS: u64 = 5_000_000;

impl Following {
    /// An acknowledgment and nothing else.
    pub(super) fn bare_ack(&mut self, seg: &Segment, before: &Before, acknowledges: bool) {
        let from = usize::from(seg.from & 1);
        let is_told = self.is_of_window(seg);
        let is_outstanding = self.sides[1 - from].high.offset(Seq(seg.ack)) > 0;
        let is_duplicate = !acknowledges
            && before.is_acknowledged
            && before.ack == Seq(seg.ack)
            && seg.window == self.windows[from]
            && is_outstanding
            && !is_told;
        if is_duplicate {
            self.duplicate_acks[from] = self.duplicate_acks[from].saturating_add(1);
            self.duplicate_ack(seg);
            return;
        }
        let is_of_handshake = self.is_opening && self.end(seg.from) == End::Client;
        if is_of_handshake {
            self.push(seg, What::Ack);
            return;
        }
        if self.is_all && !is_told {
            self.push(seg, What::Ack);
        }
        let Some((held, quickest)) = self.round_trip(from, before).filter(|_| !is_outstanding)
        else {
            return;
        };
        if held >= quickest.saturating_add(HELD_BACK_NS) {
            let mut event = self.event(seg, What::DelayedAck);
            event.span = Some(Span::from_ns(held));
            self.held_back = Some(event);
        }
    }

    /// Whether the segment is told already, by what it says of its window.
    pub(super) fn is_of_window(&self, seg: &Segment) -> bool {
        self.events.last().is_some_and(|event| {
            event.frames[1] == seg.frame
                && matches!(event.what, What::WindowClosed | What::WindowOpened)
        })
    }

    /// An ACK that was held back is worth a word if data follow at once from whoever got it.
    pub(super) fn was_waited_for(&mut self, seg: &Segment) {
        let Some(ack) = self.held_back.take() else {
            return;
        };
        let is_answer = ack.from != Some(self.end(seg.from)) && seg.payload_length > 0;
        let is_soon = (seg.time.since(ack.time)).is_some_and(|span| span.ns() <= AT_ONCE_NS);
        if !is_answer || !is_soon {
            return;
        }
        // Where every segment is told it stands there already, copies of it perhaps behind it.
        let mut near = self.events.iter_mut().rev().take(NEAR);
        match near.find(|it| it.what == What::Ack && it.frames == ack.frames) {
            Some(told) => *told = ack,
            None => self.events.push(ack),
        }
    }

    fn duplicate_ack(&mut self, seg: &Segment) {
        let end = Some(self.end(seg.from));
        let is_run = |event: &Event| event.what == What::DuplicateAcks && event.from == end;
        let at = self.continued(is_run, &What::Data);
        let run = at.and_then(|at| self.events.get_mut(at));
        match run.filter(|_| !self.is_all) {
            Some(run) => {
                run.until = seg.time;
                run.frames[1] = seg.frame;
                run.segments += 1;
            }
            None => {
                self.push(seg, What::DuplicateAcks);
            }
        }
    }

    /// The round trip that this ACK ended, and the quickest of its side so far, in ns.
    fn round_trip(&self, from: usize, before: &Before) -> Option<(u64, u64)> {
        let odd = self.odd.get(from);
        let (samples, quickest, _) = self.sides[from].rtt(odd)?;
        (samples > before.rtt_samples)
            .then(|| (self.sides[from].rtt_sum - before.rtt_sum, quickest))
    }
}
