//! Where a request and its response are among the events: by their packets, and by time.

use std::sync::Arc;

use super::{Following, NEAR, SILENCE_NS};
use crate::record::{End, RequestRow};
use crate::time::Timestamp;
use crate::view::explain::event::{Asked, Event, What};
use crate::view::explain::fold::longer;

impl Following {
    /// Where a request and its response are among the events.
    pub(in crate::view::explain) fn request(&mut self, asked: &Arc<Asked>, row: &RequestRow) {
        let client = self.end(row.client);
        let [first, answer] = row.frames;
        if let Some(event) = self.carrier(first, client) {
            match &mut event.what {
                What::Fold(folded) => {
                    folded.requests += 1;
                    folded.longest = longer(folded.longest.take(), Some(Arc::clone(asked)));
                }
                _ => event.note_asked(asked),
            }
        }
        if answer != 0
            && let Some(event) = self.carrier(answer, client.other())
        {
            event.note_begun(asked);
        }
        if asked.total.is_some()
            && let Some(event) = self.ending(asked.times.last_response, client.other())
        {
            event.note_answered(asked);
        }
        self.silences(asked);
    }

    /// The event whose packets include `frame`, of what this end sent.
    fn carrier(&mut self, frame: u64, end: End) -> Option<&mut Event> {
        let behind = self
            .events
            .partition_point(|event| event.frames[0] <= frame);
        let holds = |event: &&mut Event| {
            let is_message = matches!(
                event.what,
                What::Data
                    | What::Repeat { .. }
                    | What::Partial
                    | What::Fill { .. }
                    | What::Syn
                    | What::SynAck
            );
            let is_fold = matches!(event.what, What::Fold(_));
            event.frames[1] >= frame && (is_fold || is_message && event.from == Some(end))
        };
        let events = self.events.get_mut(..behind)?;
        events.iter_mut().rev().take(NEAR).find(holds)
    }

    /// The event in which this end sent something at `time`: the last of these.
    fn ending(&mut self, time: Timestamp, end: End) -> Option<&mut Event> {
        let holds = |event: &&mut Event| {
            let is_message = matches!(
                event.what,
                What::Data | What::Repeat { .. } | What::Partial | What::Fill { .. }
            );
            event.time <= time && time <= event.until && is_message && event.from == Some(end)
        };
        self.events.iter_mut().rev().take(NEAR).find(holds)
    }

    /// Silences while a request was under way are told by it.
    fn silences(&mut self, asked: &Arc<Asked>) {
        let from = asked.times.first_request;
        let until = asked.total.map_or(self.last, |total| {
            from.plus(i64::try_from(total.ns()).unwrap_or(i64::MAX))
        });
        if until.since(from).is_none_or(|span| span.ns() < SILENCE_NS) {
            return;
        }
        for event in self.events.iter_mut().rev() {
            if event.until < from {
                return;
            }
            let is_within = from <= event.time && event.until <= until;
            if is_within && matches!(event.what, What::Silence(_)) {
                event
                    .notes()
                    .during
                    .get_or_insert_with(|| Arc::clone(asked));
            }
        }
    }
}
