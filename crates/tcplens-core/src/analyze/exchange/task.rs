//! A request on its way to its record, and what its connection keeps while one is.

use std::collections::VecDeque;
use std::ops::Range;

use super::budget::Stretches;
use super::stream::Early;
use crate::proto::{Asked, Context, Outcome, Owes, Part, Texts};
use crate::record::{EndedBy, Protocol, Status};
use crate::tcp::seq::Seq;
use crate::time::Timestamp;

/// A request from its first byte to its record.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Ordinal on its connection, from 1.
    pub number: u64,
    /// For protocols that pair by number.
    pub id: Option<u64>,
    /// T0.
    pub first_request: Timestamp,
    /// T1 to T4; [`NEVER`] for what has not come.
    pub last_request: Timestamp,
    pub first_response: Timestamp,
    pub last_response: Timestamp,
    /// The ACK that covers what was seen of its response so far.
    pub acknowledged: Timestamp,
    /// When it is over: the end of the response before it; [`NEVER`] where there is none, or it does not matter.
    pub queue_end: Timestamp,
    /// Packets of T0 and T2.
    pub frames: [u64; 2],
    /// Bytes of request and response.
    pub bytes: [u64; 2],
    /// Where the connection's words hold operation, summary, status text.
    pub words: [Range<u32>; 3],
    pub outcome: Option<Outcome>,
    /// The parser's.
    pub tag: u32,
    /// Requests that waited when it began.
    pub queued: u32,
    /// The connection's repeats and fills when it began; when it is over, those that came since.
    pub repeats: u32,
    pub fills: u32,
    /// Just behind its last response byte so far; before there is one, what the client had acknowledged when it asked.
    pub end: Seq,
    pub protocol: Protocol,
    pub owes: Owes,
    /// Its last byte was seen.
    pub has_ended: bool,
    pub gap: bool,
    pub cut: bool,
    /// What ended it, when it is over and only waits for the ACK of its last byte.
    pub over: Option<(Status, EndedBy)>,
}

/// The time of what has not come.
pub(super) const NEVER: Timestamp = Timestamp::MIN;

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
    #[inline]
    pub(super) fn waits(&self) -> bool {
        self.over.is_none() && self.owes != Owes::Nothing
    }

    /// Whether anything of a response was seen.
    #[inline]
    pub(super) fn is_answering(&self) -> bool {
        self.first_response != NEVER
    }
}

/// A unit that is longer than what is there.
#[derive(Debug)]
pub(super) struct Open {
    pub part: Part,
    /// What is spoken after it, if that changes.
    pub then: Option<Protocol>,
    /// Bytes of it that are still to come.
    pub left: u64,
    /// The number of the task that was counted with them.
    pub task: Option<u64>,
}

/// Bytes that were read at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub length: u32,
    /// When these bytes, and all before them, were known here.
    pub time: Timestamp,
    /// When they were captured: earlier, if bytes before them came late.
    pub seen: Timestamp,
    pub frame: u64,
}

/// What a connection needs only while something is going on; taken from a pool and given back.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    /// Requests that are not over, or wait for an ACK, in the order in which they began.
    pub(super) tasks: VecDeque<Task>,
    /// Their words.
    pub(super) words: Vec<u8>,
    /// The last words are those of a request that is not among the tasks yet: they stay where they are.
    pub(super) keeps_words: bool,
    /// Twice what was left of the words when they were compacted last.
    pub(super) many_words: usize,
    /// Something of what follows is in use. What is usual, whole messages in order, leaves it untouched.
    pub(super) is_rare: bool,
    /// Memory it was last counted with, also while it is in the pool; and what of that [`Busy::usual`] was then.
    counted: usize,
    counted_usual: usize,
    /// Bytes that were added to the others since.
    pub(super) grown: usize,
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

/// What busy connections give back for others.
pub(crate) type Pool = Vec<Box<Busy>>;

/// Most segments remembered in `sent`; a repeat of an earlier one counts as lost since the earliest known.
pub(super) const MOST_SENT: usize = 256;
/// Memory in use beyond this is given back when most of it is empty; who has no more of it is kept in the pool.
const SMALL: usize = 8 << 10;
/// What may be kept before it is counted: counting looks at every buffer.
const UNCOUNTED: usize = 1 << 10;
/// Words beyond this are compacted; beyond less where memory is short.
pub(super) const MANY_WORDS: usize = 64 << 10;
pub(super) const FEW_WORDS: usize = 2 << 10;

impl Busy {
    /// One that the pool did not have.
    #[cold]
    #[inline(never)]
    pub(super) fn fresh() -> Box<Busy> {
        Box::default()
    }

    /// What a parser may ask, and where its words go.
    #[inline]
    pub(super) fn context(&mut self, summary_bytes: usize) -> Context<'_> {
        Context {
            asked: &self.tasks,
            texts: Texts::new(&mut self.words, summary_bytes),
            protocol: None,
            is_end: false,
            is_cut: false,
        }
    }

    /// Takes out a task that is not the oldest.
    #[inline(never)]
    pub(super) fn remove(&mut self, n: usize) {
        self.tasks.remove(n);
    }

    /// Whether nothing is going on.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
            && (!self.is_rare
                || self.unread.iter().all(Vec::is_empty)
                    && self.early.iter().all(Early::is_empty)
                    && self.open.iter().all(Option::is_none))
    }

    /// Whether a direction is in the middle of a message.
    pub(super) fn is_within_message(&self, w: usize) -> bool {
        !self.unread[w].is_empty() || !self.runs[w].is_empty() || self.open[w].is_some()
    }

    /// The bytes that a task was counted with and that did not come, for it is over: of its request, of its response.
    #[inline(never)]
    pub(super) fn never_came(&self, task: &Task) -> [u64; 2] {
        let of = |open: &Option<Open>| match open {
            Some(open) if open.task == Some(task.number) => open.left,
            _ => 0,
        };
        [of(&self.open[0]), of(&self.open[1])]
    }

    /// Notes it if nothing rare goes on any more.
    pub(super) fn calm(&mut self) {
        let goes_on = self.unread.iter().any(|unread| !unread.is_empty())
            || self.early.iter().any(|early| !early.is_empty())
            || self.open.iter().any(Option::is_some)
            || !self.tasks.is_empty() && self.sent.iter().any(|sent| !sent.is_empty())
            || !self.loss.is_empty()
            || self.window.iter().any(|window| !window.is_empty());
        if !goes_on {
            self.reset_rare();
        }
    }

    /// As new, but for its memory.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.tasks.clear();
        self.words.clear();
        self.many_words = 0;
        if self.is_rare {
            self.reset_rare();
        }
    }

    #[inline(never)]
    fn reset_rare(&mut self) {
        self.is_rare = false;
        self.unread.iter_mut().for_each(Vec::clear);
        self.runs.iter_mut().for_each(Vec::clear);
        self.early.iter_mut().for_each(Early::clear);
        self.open = [None, None];
        self.sent.iter_mut().for_each(VecDeque::clear);
        self.loss.clear();
        self.window.iter_mut().for_each(Stretches::clear);
    }

    /// The memory of what is usual: changes only when something grows.
    #[inline]
    fn usual(&self) -> usize {
        self.words.capacity() + self.tasks.capacity() * size_of::<Task>()
    }

    /// Whether its memory may be another than it was counted with, by more than a little; also if there is much of it,
    /// perhaps for nothing.
    #[inline]
    pub(super) fn is_uncounted(&self) -> bool {
        let usual = self.usual();
        usual != self.counted_usual || usual > SMALL || self.counted == 0 || self.grown > UNCOUNTED
    }

    /// Gives back memory that is mostly empty, and counts the rest in `held`.
    #[inline(never)]
    pub(super) fn count(&mut self, held: &mut usize) {
        self.words.shrink_if_empty();
        self.tasks.shrink_if_empty();
        self.unread.iter_mut().for_each(Emptied::shrink_if_empty);
        self.runs.iter_mut().for_each(Emptied::shrink_if_empty);
        self.sent.iter_mut().for_each(Emptied::shrink_if_empty);
        self.early.iter_mut().for_each(Early::shrink_if_empty);
        let unread: usize = self.unread.iter().map(Vec::capacity).sum();
        let runs: usize = self.runs.iter().map(Vec::capacity).sum();
        let sent: usize = self.sent.iter().map(VecDeque::capacity).sum();
        let early: usize = self.early.iter().map(Early::memory).sum();
        let windows: usize = self.window.iter().map(Stretches::memory).sum();
        self.grown = 0;
        self.counted_usual = self.usual();
        let before = self.counted;
        self.counted = size_of::<Busy>()
            + self.counted_usual
            + unread
            + runs * size_of::<Run>()
            + sent * size_of::<(Seq, Timestamp)>()
            + early
            + windows
            + self.loss.memory();
        *held = (*held + self.counted).saturating_sub(before);
    }

    /// Its memory, as it was counted.
    pub(crate) fn memory(&self) -> usize {
        self.counted
    }

    /// Whether its memory is worth keeping for another connection.
    pub(super) fn is_small(&self) -> bool {
        self.counted <= SMALL
    }

    /// Since when something waits.
    pub(super) fn since(&self) -> Timestamp {
        let asked = self.tasks.front().map(|task| task.first_request);
        let unread = self.runs.iter().filter_map(|runs| runs.first());
        let early = self.early.iter().filter_map(Early::oldest);
        let all = unread.map(|run| run.seen).chain(early).chain(asked);
        all.min().unwrap_or(Timestamp::MIN)
    }

    /// Drops the words that nothing points to any more.
    pub(super) fn compact_words(&mut self) {
        let mut kept = Vec::new();
        for range in self.tasks.iter_mut().flat_map(|task| &mut task.words) {
            let start = kept.len() as u32;
            let words = self.words.get(range.start as usize..range.end as usize);
            kept.extend_from_slice(words.unwrap_or_default());
            *range = start..kept.len() as u32;
        }
        self.many_words = 2 * kept.len();
        self.words = kept;
    }
}

/// Gives back its memory if that is much and mostly empty.
pub(super) trait Emptied {
    fn shrink_if_empty(&mut self);
}

/// For how many elements room is kept, if `length` of so many are left and each has this size; `None`: as it is.
fn room(length: usize, capacity: usize, size: usize) -> Option<usize> {
    (capacity * size > SMALL / 4 && length < capacity / 4).then_some(2 * length)
}

impl<T> Emptied for Vec<T> {
    fn shrink_if_empty(&mut self) {
        if let Some(room) = room(self.len(), self.capacity(), size_of::<T>()) {
            self.shrink_to(room);
        }
    }
}

impl<T> Emptied for VecDeque<T> {
    fn shrink_if_empty(&mut self) {
        if let Some(room) = room(self.len(), self.capacity(), size_of::<T>()) {
            self.shrink_to(room);
        }
    }
}

impl Asked for VecDeque<Task> {
    fn nth(&self, n: usize) -> Option<u32> {
        let mut owing = self.iter().filter(|task| task.waits());
        owing.nth(n).map(|task| task.tag)
    }

    fn with_id(&self, id: u64) -> Option<u32> {
        let mut owing = self.iter().filter(|task| task.waits());
        owing.find(|task| task.id == Some(id)).map(|task| task.tag)
    }
}
