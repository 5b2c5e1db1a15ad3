//! A request on its way to its record, and what its connection keeps while one is.

use std::collections::VecDeque;
use std::ops::Range;

use super::budget::Stretches;
use super::stream::Early;
use crate::proto::{Asked, Outcome, Owes, Part};
use crate::record::{EndedBy, Protocol, Status, Times};
use crate::tcp::seq::Seq;
use crate::time::Timestamp;

/// A request that has begun.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Ordinal on its connection, from 1.
    pub number: u64,
    /// For protocols that pair by number.
    pub id: Option<u64>,
    /// The parser's.
    pub tag: u32,
    pub protocol: Protocol,
    /// Whether a reply is owed.
    pub owes: Owes,
    /// Its last byte was seen.
    pub has_ended: bool,
    pub outcome: Option<Outcome>,
    /// Where the connection's words hold operation, summary, status text.
    pub words: [Range<u32>; 3],
    pub times: Times,
    /// Packets of T0 and T2.
    pub frames: [u64; 2],
    /// Bytes of request and response.
    pub bytes: [u64; 2],
    /// Requests that waited when it began.
    pub queued: u32,
    /// The connection's repeats and fills when it began.
    pub before: [u32; 2],
    pub gap: bool,
    pub cut: bool,
    /// Just behind its last response byte so far.
    pub end: Seq,
    /// The ACK that covers what was seen of its response (protocol-blind turns: more may come).
    pub acknowledged: Option<Timestamp>,
}

impl Task {
    /// How it went, as far as a piece tells; an error stays.
    pub(super) fn learn(&mut self, outcome: Option<Outcome>) {
        let was_error = self.outcome.is_some_and(|known| known.is_error);
        if let Some(outcome) = outcome
            && (outcome.is_error || !was_error)
        {
            self.outcome = Some(outcome);
        }
    }

    /// Whether a response may come.
    pub(super) fn waits(&self) -> bool {
        self.owes != Owes::Nothing
    }
}

/// A request that is over, and waits for the ACK of its last byte.
#[derive(Debug)]
pub(super) struct Finished {
    pub task: Task,
    pub status: Status,
    pub ended_by: EndedBy,
    pub queue_end: Option<Timestamp>,
    pub budget: Option<[u64; 7]>,
    pub rtt: [Option<u64>; 2],
    pub repeats: u32,
    pub fills: u32,
}

/// A unit that is longer than what is there.
#[derive(Debug)]
pub(super) struct Open {
    pub part: Part,
    /// What is spoken after it, if that changes.
    pub then: Option<Protocol>,
    /// Bytes of it that are still to come.
    pub left: u64,
}

/// Bytes that were read at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub length: u32,
    pub time: Timestamp,
    pub frame: u64,
}

/// What a connection needs only while something is going on; taken from a pool and given back.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    /// Requests whose response has not ended, in the order in which they began.
    pub(super) pending: VecDeque<Task>,
    pub(super) finished: VecDeque<Finished>,
    /// The words of both.
    pub(super) words: Vec<u8>,
    /// By direction: bytes that the parser waits to see more of, and when they came.
    pub(super) unread: [Vec<u8>; 2],
    pub(super) runs: [Vec<Run>; 2],
    pub(super) early: [Early; 2],
    pub(super) open: [Option<Open>; 2],
    /// By direction: where segments ended and when they came, until they are acknowledged.
    pub(super) sent: [VecDeque<(Seq, Timestamp)>; 2],
    pub(super) loss: Stretches,
    /// By direction of the data: when its receiver had no room.
    pub(super) window: [Stretches; 2],
}

/// Most segments remembered in `sent`; a repeat of an earlier one counts as lost since the earliest known.
pub(super) const MOST_SENT: usize = 256;
/// Words beyond this are compacted.
pub(super) const MANY_WORDS: usize = 64 << 10;

impl Busy {
    /// Whether nothing is going on.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
            && self.finished.is_empty()
            && self.unread.iter().all(Vec::is_empty)
            && self.early.iter().all(Early::is_empty)
            && self.open.iter().all(Option::is_none)
    }

    /// As new, but for its memory.
    pub(super) fn reset(&mut self) {
        self.pending.clear();
        self.finished.clear();
        self.words.clear();
        self.unread.iter_mut().for_each(Vec::clear);
        self.runs.iter_mut().for_each(Vec::clear);
        self.early.iter_mut().for_each(Early::clear);
        self.open = [None, None];
        self.sent.iter_mut().for_each(VecDeque::clear);
        self.loss.clear();
        self.window.iter_mut().for_each(Stretches::clear);
    }

    /// Bytes of payload and words it holds.
    pub(super) fn held(&self) -> usize {
        let unread: usize = self.unread.iter().map(Vec::len).sum();
        let early: usize = self.early.iter().map(Early::held).sum();
        unread + early + self.words.len() + self.pending.len() * size_of::<Task>()
    }

    /// Whether its memory is worth keeping for another connection.
    pub(super) fn is_small(&self) -> bool {
        let bytes = self.words.capacity() + self.unread.iter().map(Vec::capacity).sum::<usize>();
        bytes <= 32 << 10 && self.pending.capacity() <= 256
    }

    /// Drops the words that nothing points to any more.
    pub(super) fn compact_words(&mut self) {
        let mut kept = Vec::new();
        let finished = self.finished.iter_mut().map(|finished| &mut finished.task);
        for range in self
            .pending
            .iter_mut()
            .chain(finished)
            .flat_map(|task| &mut task.words)
        {
            let start = kept.len() as u32;
            let words = self.words.get(range.start as usize..range.end as usize);
            kept.extend_from_slice(words.unwrap_or_default());
            *range = start..kept.len() as u32;
        }
        self.words = kept;
    }
}

/// What parsers may ask of the requests that wait.
pub(super) struct Waiting<'a>(pub &'a VecDeque<Task>);

impl Asked for Waiting<'_> {
    fn nth(&self, n: usize) -> Option<u32> {
        let mut owing = self.0.iter().filter(|task| task.waits());
        owing.nth(n).map(|task| task.tag)
    }

    fn with_id(&self, id: u64) -> Option<u32> {
        let mut owing = self.0.iter().filter(|task| task.waits());
        owing.find(|task| task.id == Some(id)).map(|task| task.tag)
    }
}
