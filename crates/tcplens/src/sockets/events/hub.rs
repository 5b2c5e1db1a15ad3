//! Where the collector leaves events and clients take them: one ring for all, of which each client has read to some place. So
//! an event costs the same however many clients there are, and what one does not read is nobody else's trouble. The lock is
//! held for as long as it takes to copy some events, never while anybody waits for a client.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tcplens_output::events::SocketEvent;

/// Most copies of what is open that are under way. Chosen: each has 72 bytes per connection.
pub(super) const REPLAYS: usize = 2;
/// Room of the ring that is kept while nothing waits, in events.
const KEPT: usize = 4096;

// What the bound on events means in bytes is documented.
const _: () = assert!(size_of::<SocketEvent>() <= 72);

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    news: Condvar,
    /// Events that a client may be behind.
    behind: u64,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<SocketEvent>,
    /// The number of the ring's first event: how many were told before.
    first: u64,
    clients: BTreeMap<u64, Reader>,
    /// How many clients have joined.
    joined: u64,
    /// Clients that were too slow.
    dropped: u64,
    replays: Vec<Weak<[SocketEvent]>>,
    has_ended: bool,
}

#[derive(Debug)]
struct Reader {
    /// The number of the event that it takes next.
    next: u64,
    replay: Replay,
    /// Nothing was taken yet.
    is_new: bool,
}

#[derive(Debug)]
enum Replay {
    None,
    Asked,
    /// What was open before the event of this number.
    At(u64, Arc<[SocketEvent]>),
}

/// What there is for a client.
#[derive(Debug)]
pub(super) enum Taken {
    /// Some events were taken.
    Events,
    /// All that was open.
    Replay(Arc<[SocketEvent]>),
    /// Nothing so far.
    Nothing,
    /// It is none of the clients any more: it was too slow.
    Dropped,
    /// It has all, and there will be no more.
    Ended,
}

impl State {
    fn end(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// Forgets what all have read.
    fn trim(&mut self) {
        let end = self.end();
        let read = self.clients.values().map(|reader| reader.next).min();
        let read = read.unwrap_or(end);
        let count = usize::try_from(read.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.ring.drain(..count.min(self.ring.len()));
        self.first = read;
        if self.ring.is_empty() && self.ring.capacity() > KEPT {
            self.ring = VecDeque::new();
        }
    }
}

impl Hub {
    pub(super) fn new(behind: usize) -> Hub {
        Hub {
            state: Mutex::default(),
            news: Condvar::new(),
            behind: behind as u64,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands events over to whoever is there; who is too far behind is there no longer.
    pub(super) fn tell(&self, events: &mut Vec<SocketEvent>) {
        if events.is_empty() {
            return;
        }
        let mut state = self.state();
        if state.clients.is_empty() {
            events.clear();
            return;
        }
        state.ring.extend(events.drain(..));
        let (end, behind) = (state.end(), self.behind);
        let before = state.clients.len();
        state
            .clients
            .retain(|_, reader| end - reader.next <= behind);
        state.dropped += (before - state.clients.len()) as u64;
        state.trim();
        drop(state);
        self.news.notify_all();
    }

    /// Gives what is open to who asked for it, if anybody did.
    pub(super) fn replay(&self, open: impl FnOnce() -> Vec<SocketEvent>) {
        let mut state = self.state();
        let asks = |reader: &Reader| matches!(reader.replay, Replay::Asked);
        if !state.clients.values().any(asks) {
            return;
        }
        state.replays.retain(|replay| replay.strong_count() > 0);
        if state.replays.len() >= REPLAYS {
            return;
        }
        drop(state);
        // The events of this collector are all that there are: none comes in between.
        let all: Arc<[SocketEvent]> = open().into();
        let mut state = self.state();
        state.replays.push(Arc::downgrade(&all));
        let end = state.end();
        for reader in state.clients.values_mut().filter(|reader| asks(reader)) {
            // Who was told nothing yet begins here: what opened before is part of it, what ended before is over.
            if reader.is_new {
                reader.next = end;
            }
            reader.replay = Replay::At(end, Arc::clone(&all));
        }
        state.trim();
        drop(state);
        self.news.notify_all();
    }

    /// One more client, who is told of what comes.
    pub(super) fn join(&self) -> u64 {
        let mut state = self.state();
        state.joined += 1;
        let (id, next) = (state.joined, state.end());
        state.clients.insert(
            id,
            Reader {
                next,
                replay: Replay::None,
                is_new: true,
            },
        );
        id
    }

    /// It wants what is open; once at a time.
    pub(super) fn ask(&self, id: u64) {
        if let Some(reader) = self.state().clients.get_mut(&id)
            && matches!(reader.replay, Replay::None)
        {
            reader.replay = Replay::Asked;
        }
    }

    /// What there is for it, waiting for a while if that is nothing; at most `most` events.
    pub(super) fn take(
        &self,
        id: u64,
        most: usize,
        longest: Duration,
        into: &mut Vec<SocketEvent>,
    ) -> Taken {
        let mut state = self.state();
        match state.take(id, most, into) {
            Taken::Nothing => {}
            taken => return taken,
        }
        let waited = self.news.wait_timeout(state, longest);
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.take(id, most, into)
    }

    /// It was too slow.
    pub(super) fn give_up(&self, id: u64) {
        let mut state = self.state();
        if state.clients.remove(&id).is_some() {
            state.dropped += 1;
            state.trim();
        }
    }

    /// It has left.
    pub(super) fn leave(&self, id: u64) {
        let mut state = self.state();
        if state.clients.remove(&id).is_some() {
            state.trim();
        }
    }

    /// Whether it is none of the clients any more.
    pub(super) fn is_dropped(&self, id: u64) -> bool {
        !self.state().clients.contains_key(&id)
    }

    /// Clients that are there, and those that were too slow.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.clients.len() as u64, state.dropped)
    }

    /// There will be no more events.
    pub(super) fn end(&self) {
        self.state().has_ended = true;
        self.news.notify_all();
    }
}

impl State {
    fn take(&mut self, id: u64, most: usize, into: &mut Vec<SocketEvent>) -> Taken {
        let (first, end, has_ended) = (self.first, self.end(), self.has_ended);
        let Some(reader) = self.clients.get_mut(&id) else {
            return Taken::Dropped;
        };
        // Who asked for a replay first of all waits for it.
        if reader.is_new && matches!(reader.replay, Replay::Asked) && !has_ended {
            return Taken::Nothing;
        }
        let until = match &reader.replay {
            Replay::At(at, _) => *at,
            Replay::None | Replay::Asked => end,
        };
        if reader.next == until {
            return match std::mem::replace(&mut reader.replay, Replay::None) {
                Replay::At(_, all) => {
                    reader.is_new = false;
                    Taken::Replay(all)
                }
                _ if has_ended => Taken::Ended,
                before => {
                    reader.replay = before;
                    Taken::Nothing
                }
            };
        }
        reader.is_new = false;
        let from = usize::try_from(reader.next - first).unwrap_or(usize::MAX);
        let left = usize::try_from(until - reader.next).unwrap_or(usize::MAX);
        let count = left.min(most);
        reader.next += count as u64;
        into.extend(self.ring.range(from..).take(count));
        self.trim();
        Taken::Events
    }
}

#[cfg(test)]
impl Hub {
    /// Events in the ring.
    pub(super) fn waiting(&self) -> usize {
        self.state().ring.len()
    }
}
