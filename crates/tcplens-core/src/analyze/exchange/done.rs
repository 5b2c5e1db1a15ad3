//! The end of a task: answered or not, acknowledged, and its record.

use super::Work;
use super::budget::{self, Ground};
use super::task::{Busy, FEW_WORDS, MANY_WORDS, NEVER, Task};
use crate::batch::{Kind, Place};
use crate::proto::{Owes, websocket};
use crate::record::{EndedBy, Protocol, RequestRow, Status, Times};
use crate::tcp::seq::Seq;
use crate::time::Timestamp;
use crate::wire::segment::Segment;

impl Work<'_, '_> {
    /// Takes the client's ACK to the responses that it covers.
    #[inline]
    pub(super) fn acknowledges(&mut self, seg: &Segment) {
        let ack = Seq(seg.ack);
        let mut n = 0;
        while let Some(task) = self.busy.tasks.get_mut(n) {
            if task.is_answering() && task.end.offset(ack) <= 0 {
                if task.acknowledged == NEVER {
                    task.acknowledged = seg.time;
                }
                if task.over.is_some() {
                    self.emit(n);
                    continue;
                }
            } else if task.id.is_none() {
                // Those behind it are answered later.
                break;
            }
            n += 1;
        }
    }

    /// The response to the `n`th task has ended: it is over, and waits only for the ACK of its last byte.
    #[inline]
    pub(super) fn answered(&mut self, n: usize) {
        let Some(task) = self.busy.tasks.get_mut(n) else {
            return;
        };
        let is_error = task.outcome.is_some_and(|outcome| outcome.is_error);
        let status = if is_error { Status::Error } else { Status::Ok };
        let is_in_order = match task.id {
            None => true,
            Some(id) => task.protocol == Protocol::Websocket && websocket::is_message(id),
        };
        if is_in_order {
            task.queue_end = self.core.last_end;
            self.core.last_end = task.last_response.max(self.core.last_end);
        }
        task.repeats = self.core.repeats.wrapping_sub(task.repeats);
        task.fills = self.core.fills.wrapping_sub(task.fills);
        task.over = Some((status, EndedBy::Response));
        let is_complete = task.acknowledged != NEVER || self.desk.flow.is_datagram();
        let n = self.older_go_without(n);
        if is_complete {
            self.emit(n);
        }
    }

    /// What may go without an answer, and is older than the `n`th, did. Where that one is then.
    #[inline]
    fn older_go_without(&mut self, mut n: usize) -> usize {
        let goes = |task: &Task| task.over.is_none() && task.owes == Owes::Perhaps;
        while let Some(older) = self.busy.tasks.iter().take(n).position(goes) {
            self.unanswered(older, EndedBy::Response);
            n -= 1;
        }
        n
    }

    /// Whatever waits is over.
    pub(super) fn finish_all(&mut self, ended_by: EndedBy) {
        while let Some(n) = self.busy.tasks.iter().position(|task| task.over.is_none()) {
            let task = &self.busy.tasks[n];
            // A turn may have been over, for all that is known.
            if task.is_answering() && task.protocol == Protocol::Turn {
                self.answered(n);
            } else {
                self.unanswered(n, ended_by);
            }
        }
    }

    /// The `n`th task gets no answer, or owes none; or its answer was cut off: then it went as far as was told.
    pub(super) fn unanswered(&mut self, n: usize, ended_by: EndedBy) {
        let Some(task) = self.busy.tasks.get_mut(n) else {
            return;
        };
        let (status, ended_by) = match task.owes {
            _ if task.is_answering() && task.outcome.is_some() => {
                let is_error = task.outcome.is_some_and(|outcome| outcome.is_error);
                (if is_error { Status::Error } else { Status::Ok }, ended_by)
            }
            Owes::Reply => (Status::Unanswered, ended_by),
            Owes::Nothing => (Status::None, ended_by),
            Owes::Perhaps => (Status::None, EndedBy::Response),
        };
        task.repeats = self.core.repeats.wrapping_sub(task.repeats);
        task.fills = self.core.fills.wrapping_sub(task.fills);
        task.over = Some((status, ended_by));
        self.emit(n);
    }

    pub(super) fn emit_all(&mut self) {
        while !self.busy.tasks.is_empty() {
            self.emit(0);
        }
    }

    /// The `n`th task becomes a record.
    pub(super) fn emit(&mut self, n: usize) {
        let Some(task) = self.busy.tasks.get(n) else {
            return;
        };
        let flow = &*self.desk.flow;
        let context = self.desk.context;
        let direction = context.roles.direction(&flow.key, flow.client);
        let rtt = [flow.client, 1 - flow.client].map(|side| {
            let odd = flow.odd.get(usize::from(side));
            flow.sides[usize::from(side)]
                .rtt(odd)
                .map(|(_, min, _)| min)
        });
        let times = Times {
            first_request: task.first_request,
            last_request: task.last_request,
            first_response: task.first_response,
            last_response: task.last_response,
            acknowledged: task.acknowledged,
        };
        let (status, ended_by) = task
            .over
            .unwrap_or((Status::Unanswered, EndedBy::Observation));
        let (troubled, never_came) = if self.busy.is_rare {
            let troubled = self.trouble(&times, task.queue_end, rtt[1]);
            (troubled, self.busy.never_came(task))
        } else {
            (None, [0; 2])
        };
        let words = self.desk.out.words(&task.words, &self.busy.words);
        let [operation, summary, status_text] = words;
        let row = RequestRow {
            flow: flow.key,
            client: flow.client,
            role_from: flow.role_from,
            vantage: context.vantage,
            direction,
            tap_side: context.roles.tap_side(direction, flow.tap_side),
            tunnel: flow.tunnel,
            vlan: flow.vlan,
            connection_id: context.id(flow),
            protocol: task.protocol,
            status,
            ended_by,
            capture_loss: task.gap || context.has_lost_since(times.first_request),
            reordered: task.fills > 0,
            cut: task.cut,
            gap: task.gap,
            status_code: task.outcome.and_then(|outcome| outcome.code),
            operation,
            summary,
            status_text,
            times,
            request_bytes: task.bytes[0].saturating_sub(never_came[0]),
            response_bytes: task.bytes[1].saturating_sub(never_came[1]),
            task: task.number,
            queued: task.queued,
            retransmits: task.repeats,
            rtt,
            queue_end: task.queue_end,
            is_held_up: false,
            troubled,
            frames: task.frames,
            windows: [0, 1].map(|w| self.core.largest_window(w)),
        };
        let place = Place {
            at: self.desk.now,
            first_frame: flow.first_frame,
            kind: Kind::Request,
        };
        self.desk.out.request(place, row);
        if n == 0 {
            self.busy.tasks.pop_front();
        } else {
            self.busy.remove(n);
        }
        self.tidy_words();
        if self.busy.is_rare {
            self.forget();
        }
    }

    /// Whether the shard's connections hold nearly as much as they may.
    #[inline]
    fn is_tight(&self) -> bool {
        *self.desk.held > self.desk.rules.most_held / 2
    }

    /// Drops words that no task has any more.
    #[inline]
    pub(super) fn tidy_words(&mut self) {
        let words = self.busy.words.len();
        if self.busy.keeps_words {
            // A request that is about to become a task has the last of them.
        } else if self.busy.tasks.is_empty() {
            self.busy.words.clear();
        } else if words > FEW_WORDS
            && words > self.busy.many_words
            && (words > MANY_WORDS || self.is_tight())
        {
            self.busy.compact_words();
        }
    }

    /// The time budget of a request in whose time something was lost or held up.
    #[inline(never)]
    fn trouble(
        &self,
        times: &Times,
        queue_end: Timestamp,
        server_rtt: Option<u64>,
    ) -> Option<Box<[u64; 7]>> {
        let Busy { loss, window, .. } = &*self.busy;
        if loss.is_empty() && window.iter().all(budget::Stretches::is_empty) {
            return None;
        }
        let ground = Ground {
            times: times.in_order()?,
            queue_end,
            server_rtt: server_rtt?,
            loss,
            window: [&window[0], &window[1]],
        };
        Some(Box::new(ground.budget()))
    }

    /// What is over before the oldest task that is left is of no use any more.
    #[inline(never)]
    fn forget(&mut self) {
        let oldest = self.busy.tasks.front().map(|task| task.first_request);
        let oldest = oldest.unwrap_or(Timestamp::MAX);
        self.busy.loss.forget_before(oldest);
        let windows = self.busy.window.iter_mut();
        windows.for_each(|window| window.forget_before(oldest));
    }
}
