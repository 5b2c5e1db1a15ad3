//! Datagrams: each is a whole message of DNS.

use super::Work;
use super::read::Said;
use super::task::Run;
use crate::proto::{Part, Step, Way, dns};
use crate::record::{EndedBy, Protocol};
use crate::tcp::seq::Seq;
use crate::wire::segment::Segment;

impl Work<'_, '_> {
    /// A whole datagram: DNS. The same query again is a repeat of the one that waits; none waits for longer than an attempt
    /// to connect does.
    pub(super) fn datagram(&mut self, seg: &Segment, way: Way, payload: &[u8]) {
        let timeout = self.desk.context.timeout;
        while let Some(oldest) = self.busy.tasks.front()
            && seg.time.0.saturating_sub(oldest.first_request.0) >= timeout
        {
            self.unanswered(0, EndedBy::Observation);
        }
        let words = self.busy.words.len();
        let mut context = self.busy.context(self.desk.rules.summary_bytes);
        let step = dns::datagram(way, payload, &mut context);
        let said = Said::of(&context, Protocol::Dns);
        self.core.protocol = Some(Protocol::Dns);
        let run = Run {
            length: seg.payload_length,
            time: seg.time,
            seen: seg.time,
            frame: seg.frame,
        };
        match step {
            Step::Unit(mut unit) => {
                let mut waiting = self.busy.tasks.iter().filter(|task| task.waits());
                if let Part::Request(request) = unit.part
                    && let Some(task) = waiting.find(|task| task.id == request.id)
                {
                    let first = task.first_request;
                    self.core.repeats = self.core.repeats.saturating_add(1);
                    self.busy.is_rare = true;
                    self.busy.grown += super::budget::STRETCH;
                    self.busy.loss.add(first, seg.time);
                    self.busy.words.truncate(words);
                    return;
                }
                unit.length = u64::from(seg.payload_length);
                self.part_begins(&unit, &said, &run);
                if payload.len() < seg.payload_length as usize {
                    let pending = self.busy.tasks.iter_mut();
                    pending.for_each(|task| task.cut = true);
                }
                self.part_ends(unit.part, seg.time, Seq(0));
            }
            Step::Lost(loss) => {
                self.busy.words.truncate(words);
                self.count_loss(Protocol::Dns, loss);
            }
            Step::Wait => self.busy.words.truncate(words),
        }
    }
}
