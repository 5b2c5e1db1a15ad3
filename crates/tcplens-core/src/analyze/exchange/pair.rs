//! From units to tasks: which request a piece belongs to, and which request a response answers.

use super::footing::state;
use super::read::Said;
use super::task::{NEVER, Run, Task};
use super::{Work, bit};
use crate::proto::{Outcome, Owes, Part, Request, Response, Unit};
use crate::record::EndedBy;
use crate::tcp::seq::Seq;
use crate::time::Timestamp;

/// Most requests of one connection that wait at once; beyond, the oldest is given up.
const MOST_PENDING: usize = 1024;

impl Work<'_, '_> {
    pub(super) fn part_begins(&mut self, unit: &Unit, said: &Said, first: &Run) {
        match &unit.part {
            Part::Aside => {}
            Part::Conclusion(outcome) => self.concluded(*outcome, said),
            Part::Cancel(id, outcome) => self.cancelled(*id, *outcome, unit.length, said),
            Part::Request(request) if request.begins => {
                self.request_begins(request, unit.length, said, first, NEVER);
            }
            Part::Request(request) => {
                if let Some(task) = self.asking(request) {
                    task.first_request = task.first_request.min(first.seen);
                    task.bytes[0] = task.bytes[0].saturating_add(unit.length);
                    said.add_to(task);
                }
            }
            Part::Response(response) => {
                self.response_begins(response, unit.length, said, first);
            }
        }
    }

    /// A piece of a response begins: of which task, if it has one.
    #[inline]
    pub(super) fn response_begins(
        &mut self,
        response: &Response,
        length: u64,
        said: &Said,
        first: &Run,
    ) -> Option<usize> {
        let Some(n) = self.answered_by(response) else {
            self.desk.counts.unpaired[said.protocol as usize] += 1;
            if response.id.is_none() {
                self.core.set(state::ADRIFT);
                self.server_sends(first.time);
            }
            return None;
        };
        let task = &mut self.busy.tasks[n];
        if response.restarts {
            task.first_response = NEVER;
            task.bytes[1] = 0;
        }
        if !task.is_answering() {
            task.first_response = first.seen;
            task.frames[1] = first.frame;
        }
        task.first_response = task.first_response.min(first.seen);
        task.bytes[1] = task.bytes[1].saturating_add(length);
        task.learn(response.outcome);
        said.add_to(task);
        Some(n)
    }

    /// A piece of the response to the `n`th task is complete: its last byte came at `time`, just before `end`.
    #[inline]
    pub(super) fn response_ends(
        &mut self,
        n: usize,
        response: &Response,
        time: Timestamp,
        end: Seq,
    ) {
        let task = &mut self.busy.tasks[n];
        task.last_response = time;
        task.end = end;
        task.acknowledged = NEVER;
        if response.ends {
            self.answered(n);
        }
    }

    /// The first piece of a request; it is the last as well, and complete, if it ends at `ended`.
    pub(super) fn request_begins(
        &mut self,
        request: &Request,
        length: u64,
        said: &Said,
        first: &Run,
        ended: Timestamp,
    ) {
        self.busy.keeps_words = true;
        while request.closes
            && let Some(task) = self.busy.tasks.front()
        {
            if task.over.is_some() {
                self.emit(0);
            } else if task.is_answering() {
                self.answered(0);
            } else {
                self.unanswered(0, EndedBy::Gap);
            }
        }
        let mut drifts = false;
        if self.busy.tasks.len() >= MOST_PENDING {
            drifts = self.too_many(request.id.is_some());
        }
        if self.busy.tasks.is_empty() && self.core.is_narrow() {
            self.stretches_begin(first.seen);
        }
        self.core.tasks += 1;
        let waiting = self.busy.tasks.iter().filter(|task| task.waits());
        let queued = waiting.count() as u32;
        if request.id.is_some() || request.closes {
            // Whose its response is will be told.
        } else if (queued > 0 || self.core.is_adrift()) && self.core.state & state::PIPELINES == 0 {
            drifts |= self.pipelines();
        }
        self.busy.tasks.push_back(Task {
            number: self.core.tasks,
            id: request.id,
            tag: request.tag,
            protocol: said.protocol,
            owes: request.owes,
            has_ended: ended != NEVER,
            outcome: None,
            words: said.words.clone(),
            first_request: first.seen,
            last_request: ended,
            first_response: NEVER,
            last_response: NEVER,
            acknowledged: NEVER,
            queue_end: NEVER,
            frames: [first.frame, 0],
            bytes: [length, 0],
            queued,
            repeats: self.core.repeats,
            fills: self.core.fills,
            gap: false,
            cut: false,
            end: self.desk.flow.sides[usize::from(self.desk.flow.client)].ack,
            over: None,
        });
        self.busy.keeps_words = false;
        self.tidy_words();
        if drifts && ended != NEVER && !request.closes {
            self.unanswered(self.busy.tasks.len() - 1, EndedBy::Gap);
        }
    }

    /// One more request is too many: the oldest is given up; of those without numbers all, for its response may come yet.
    /// Whether nobody knows whose the next one is then.
    #[cold]
    fn too_many(&mut self, has_numbers: bool) -> bool {
        if let Some(task) = self.busy.tasks.front()
            && task.over.is_some()
        {
            self.desk.counts.pending_limit += 1;
            self.emit(0);
        } else if has_numbers {
            self.desk.counts.pending_limit += 1;
            self.unanswered(0, EndedBy::Gap);
        } else {
            self.desk.counts.pending_limit += self.busy.tasks.len() as u64;
            self.give_up_outstanding(false);
            self.core.set(state::ADRIFT);
            return true;
        }
        false
    }

    /// From here on stretches count: those that last already begin here.
    #[cold]
    fn stretches_begin(&mut self, at: Timestamp) {
        self.busy.is_rare = true;
        for (window, way) in self.busy.window.iter_mut().zip(&self.core.ways) {
            window.clear();
            if way.bits & bit::NARROW != 0 {
                window.begin(at);
            }
        }
    }

    /// The request that a further piece belongs to: the latest that has not ended.
    pub(super) fn asking(&mut self, request: &Request) -> Option<&mut Task> {
        let is_its = |task: &Task| request.id.is_none() || task.id == request.id;
        let mut pending = self.busy.tasks.iter();
        let open = pending.rposition(|task| task.over.is_none() && !task.has_ended && is_its(task));
        // Where the end cannot be told, every piece so far was the last.
        let n = open.or_else(|| {
            let mut pending = self.busy.tasks.iter();
            pending.rposition(|task| !task.is_answering() && is_its(task))
        });
        self.busy.tasks.get_mut(n?)
    }

    /// Which of the waiting requests a response belongs to.
    pub(super) fn answered_by(&self, response: &Response) -> Option<usize> {
        if response.id.is_none() {
            if self.core.is_adrift() {
                return None;
            }
            if self.busy.tasks.front().is_some_and(Task::waits) {
                return Some(0);
            }
        }
        let mut waiting = self.busy.tasks.iter();
        waiting.position(|task| task.waits() && (response.id.is_none() || task.id == response.id))
    }

    /// The response to the oldest request that waits is complete as it stands.
    fn concluded(&mut self, outcome: Option<Outcome>, said: &Said) {
        let Some(n) = self.busy.tasks.iter().position(Task::waits) else {
            return;
        };
        let task = &mut self.busy.tasks[n];
        task.learn(outcome);
        said.add_to(task);
        if task.is_answering() || outcome.is_some() {
            self.answered(n);
        }
    }

    /// The client gave up the request with this number.
    #[cold]
    fn cancelled(&mut self, id: u64, outcome: Outcome, length: u64, said: &Said) {
        let mut pending = self.busy.tasks.iter();
        let Some(n) = pending.position(|task| task.waits() && task.id == Some(id)) else {
            return;
        };
        let task = &mut self.busy.tasks[n];
        task.bytes[0] = task.bytes[0].saturating_add(length);
        task.learn(Some(outcome));
        said.add_to(task);
        self.unanswered(n, EndedBy::ClientClose);
    }

    pub(super) fn part_ends(&mut self, part: Part, time: Timestamp, end: Seq) {
        match part {
            Part::Aside | Part::Conclusion(_) | Part::Cancel(..) => {}
            Part::Request(request) => {
                if !request.ends && request.owes == Owes::Reply {
                    return;
                }
                let Some(task) = self.asking(&request) else {
                    return;
                };
                if request.owes != Owes::Reply {
                    task.owes = request.owes;
                }
                if request.ends {
                    task.has_ended = true;
                    task.last_request = time;
                    let waits = task.waits();
                    let is_adrift = request.id.is_none() && !request.closes;
                    let number = task.number;
                    if !waits || is_adrift && self.core.is_adrift() {
                        let n = self
                            .busy
                            .tasks
                            .iter()
                            .position(|task| task.number == number);
                        let ended_by = if waits {
                            EndedBy::Gap
                        } else {
                            EndedBy::Response
                        };
                        self.unanswered(n.unwrap_or_default(), ended_by);
                    }
                }
            }
            Part::Response(response) => {
                if let Some(n) = self.answered_by(&response) {
                    self.response_ends(n, &response, time, end);
                }
            }
        }
    }
}
