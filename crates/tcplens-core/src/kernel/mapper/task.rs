//! From a task to a request.

use std::collections::BTreeMap;

use super::{Mapper, SPEAKING, flow};
use crate::batch::{Kind, Records};
use crate::kernel::event::{Closed, Mode, Role, Socket, Task, TaskEnd};
use crate::kernel::{head, tags};
use crate::record::{
    EndedBy, FirstFrame, PathState, PortMode, Protocol, RequestExtra, RequestRow, Short, Status,
    TagsFrom, TaskMarks, Times, Vantage,
};
use crate::time::{SECOND, Span, Timestamp};
use crate::wire::segment::Tunnel;

/// Tasks that were cut off and wait for their connection's end. Chosen: it comes with the next event of its processor.
const HELD: usize = 1024;
/// For so long at most, in ns.
const HELD_FOR: i64 = SECOND;

/// Tasks that were cut off, by their socket, and when that was.
#[derive(Default)]
pub(super) struct Held(BTreeMap<u64, (Timestamp, Socket, Task)>);

impl Mapper {
    pub(super) fn task(&mut self, socket: Socket, task: Task, out: &mut Records) {
        let is_cut = match task.end {
            TaskEnd::ClosedSending | TaskEnd::ClosedReceiving | TaskEnd::ClosedWaiting => true,
            TaskEnd::Answered | TaskEnd::Received | TaskEnd::Open => false,
        };
        if !is_cut || socket.cookie == 0 {
            self.request(&socket, &task, None, out);
            return;
        }
        if self.held.0.len() >= HELD {
            self.counts.early_tasks += 1;
            let first = self
                .held
                .0
                .values()
                .map(|(at, socket, _)| (*at, socket.cookie));
            if let Some((_, cookie)) = first.min() {
                self.release(cookie, None, out);
            }
        }
        let cookie = socket.cookie;
        // A connection has one last task.
        self.release(cookie, None, out);
        self.held.0.insert(cookie, (self.clock, socket, task));
    }

    /// The task of this socket that was cut off, now that it is known what did it.
    pub(super) fn release(&mut self, cookie: u64, closed: Option<Closed>, out: &mut Records) {
        if let Some((_, socket, task)) = self.held.0.remove(&cookie) {
            self.request(&socket, &task, closed, out);
        }
    }

    pub(super) fn release_old_tasks(&mut self, out: &mut Records) {
        let before = self.clock.plus(-HELD_FOR);
        let held = self.held.0.iter();
        let old: Vec<u64> = held
            .filter(|(_, (at, ..))| *at < before)
            .map(|(cookie, _)| *cookie)
            .collect();
        for cookie in old {
            self.counts.early_tasks += 1;
            self.release(cookie, None, out);
        }
    }

    pub(super) fn release_all_tasks(&mut self, out: &mut Records) {
        while let Some((&cookie, _)) = self.held.0.first_key_value() {
            self.release(cookie, None, out);
        }
    }

    fn request(&mut self, socket: &Socket, task: &Task, closed: Option<Closed>, out: &mut Records) {
        if !self.settings.requests {
            return;
        }
        let ends = self.ends(socket);
        let (key, client) = flow(ends.client, ends.server);
        let marks = self.marks(task);
        let is_farewell = marks.tags.as_deref().is_some_and(|tags| tags.contains('A'));
        let (status, ended_by) = match task.end {
            // A close_notify that nobody answers is no request.
            TaskEnd::ClosedReceiving if is_farewell => (Status::None, EndedBy::Response),
            TaskEnd::Answered | TaskEnd::Received => (Status::Ok, EndedBy::Response),
            TaskEnd::Open => (Status::Unanswered, EndedBy::Observation),
            TaskEnd::ClosedSending | TaskEnd::ClosedReceiving | TaskEnd::ClosedWaiting => {
                (Status::Unanswered, ended_by(socket.role, closed))
            }
        };
        let times = Times {
            first_request: task.first_request,
            last_request: task.last_request.unwrap_or(Timestamp::MIN),
            first_response: task.first_response.unwrap_or(Timestamp::MIN),
            last_response: task.last_response.unwrap_or(Timestamp::MIN),
            acknowledged: task.acknowledged.unwrap_or(Timestamp::MIN),
        };
        // The row counts nothing: a duration that would be negative is absent there.
        self.between(Some(task.first_request), task.last_request);
        self.between(task.last_request, task.first_response);
        self.between(task.first_response, task.last_response);
        self.words.clear();
        let named = match marks.tags_from {
            // Encrypted, it looks like any other record.
            Some(TagsFrom::Payload) if is_farewell => head::close_notify(&mut self.words),
            _ => self.named(task),
        };
        self.speaks(socket, named.protocol);
        let [operation, summary, status_text] = out.words(&named.words, &self.words);
        let mut rtt = [None; 2];
        rtt[match socket.role {
            Role::Server => 0,
            Role::Client => 1,
        }] = task.min_rtt_us.map(|us| u64::from(us) * 1000);
        let row = RequestRow {
            flow: key,
            client,
            role_from: ends.role_from,
            vantage: Vantage::Kernel,
            direction: Some(ends.direction),
            tap_side: ends.tap_side,
            tunnel: Tunnel::None,
            vlan: 0,
            connection_id: ends.id,
            protocol: named.protocol.unwrap_or(Protocol::Turn),
            status,
            ended_by,
            capture_loss: self.has_lost_since(task.first_request),
            reordered: task.is_reordered,
            cut: false,
            gap: false,
            status_code: None,
            operation,
            summary,
            status_text,
            times,
            request_bytes: task.request_bytes,
            response_bytes: task.response_bytes,
            task: task.number,
            queued: u32::from(task.is_queued),
            retransmits: task.retransmits,
            rtt,
            queue_end: Timestamp::MIN,
            troubled: None,
            is_held_up: task.is_queued || task.is_held || task.is_reordered || task.retransmits > 0,
            frames: [0; 2],
            windows: [0; 2],
        };
        let extra = RequestExtra {
            owner: ends.owner,
            path: path(
                (task.rtt_us, task.cwnd, task.mss),
                (task.unsent_bytes, task.unacked_bytes),
            ),
            marks,
        };
        out.kernel_request(self.place(Kind::Request), row, extra);
    }

    /// Remembers what its connection speaks, for that one's record.
    fn speaks(&mut self, socket: &Socket, protocol: Option<Protocol>) {
        let Some(protocol) = protocol.filter(|_| self.settings.connections && socket.cookie != 0)
        else {
            return;
        };
        let is_known = self.speaking.insert(socket.cookie, protocol).is_some();
        if !is_known && self.speaking.len() > SPEAKING {
            // The oldest socket: its end may have been lost.
            self.speaking.pop_first();
            self.counts.protocols += 1;
        }
    }

    /// What the first bytes of the request say; the words are in `self.words`.
    fn named(&mut self, task: &Task) -> head::Named {
        // A port's mode says what to look for, though no protocol was asked for.
        let protocols: &[Protocol] = match task.mode {
            _ if !self.settings.protocols.is_empty() => &self.settings.protocols,
            Mode::Default => &[],
            Mode::Http => &[Protocol::Http],
            Mode::Https => &[Protocol::Tls],
        };
        head::name(
            &task.head,
            task.request_bytes,
            protocols,
            self.settings.summary_bytes,
            &mut self.words,
        )
    }

    fn marks(&self, task: &Task) -> TaskMarks {
        let thresholds = self.settings.first_frames.iter().zip(&task.first_frames);
        let first_frames: Vec<FirstFrame> = thresholds
            .filter(|(threshold, _)| **threshold > 0)
            .map(|(&threshold, &(bytes, us))| FirstFrame {
                threshold_bytes: u64::from(threshold),
                bytes: (bytes > 0).then_some(u64::from(bytes)),
                us: (bytes > 0).then_some(u64::from(us)),
            })
            .collect();
        let tagged = tags::tags(task);
        let mut letters = tagged.letters;
        if !first_frames.is_empty() {
            letters.push('F');
        }
        let mut letters: Vec<u8> = letters.into_bytes();
        letters.sort_unstable();
        TaskMarks {
            tags: (!letters.is_empty()).then(|| Short::new(&letters)),
            tags_from: tagged.from,
            mode: match task.mode {
                Mode::Default => None,
                Mode::Http => Some(PortMode::Http),
                Mode::Https => Some(PortMode::Https),
            },
            handshake_us: tagged.handshake,
            first_frames,
        }
    }
}

/// What the kernel says of a path; 0 is what it has not learnt.
pub(super) fn path(
    (rtt_us, cwnd, mss): (Option<u32>, u32, u32),
    (unsent, unacked): (u32, u32),
) -> PathState {
    let known = |value: u32| (value > 0).then_some(u64::from(value));
    PathState {
        rtt_us: rtt_us.map(micros),
        cwnd_segments: known(cwnd),
        mss: known(mss),
        unsent_bytes: Some(u64::from(unsent)),
        unacked_bytes: Some(u64::from(unacked)),
    }
}

pub(super) fn micros(us: u32) -> Span {
    Span::from_ns(u64::from(us) * 1000)
}

/// What cut a task off: of two FINs the first, as on the wire.
fn ended_by(role: Role, closed: Option<Closed>) -> EndedBy {
    let Some(closed) = closed else {
        return EndedBy::Observation;
    };
    let (local, remote) = match role {
        Role::Server => (EndedBy::ServerClose, EndedBy::ClientClose),
        Role::Client => (EndedBy::ClientClose, EndedBy::ServerClose),
    };
    if closed.rst_sent || closed.rst_received {
        return EndedBy::Reset;
    }
    match (closed.fin_sent, closed.fin_received) {
        (true, true) if closed.fin_first => local,
        (_, true) => remote,
        // The kernel gave up, or the application closed.
        (_, false) => local,
    }
}
