//! What was seen of each socket, by its cookie: the last poll as it came, and what a summary needs of those before.
//!
//! A dump is begun, and completed or abandoned, per family: what was not in a complete one is gone, an abandoned one says nothing
//! about who is gone. (A dual-stack socket is in the dump of IPv6 whatever it talks.)
//!
//! Bounds: `limit` sockets, [`REMEMBERED`] ends; both counted in [`Counts`]. A socket takes its message (about 500 bytes) and some
//! 214 bytes beside it, with the table by cookie, whatever the growth: entries lie in chunks that never move. Measured with 50,000
//! sockets to which nothing happens: 150 to 200 ns each for [`Tracker::see`], most of it waiting for memory.

use std::collections::BTreeMap;

use super::change::{SaveWhen, Why, changed};
use super::message::{Message, state};
use super::metrics::Sample;
use crate::time::{SECOND, Span, Timestamp};

mod end;
mod entry;
mod gone;
mod slab;
#[cfg(test)]
mod tests;

pub use end::{End, Ended, Told};
use end::{end_as_polled, is_connection, merge, without_info};
pub use entry::{Before, Entry, Extremes, Polled};
use gone::Gone;
use slab::Slab;

/// Most sockets that are tracked, unless told otherwise.
pub const LIMIT: usize = 1 << 20;
/// Ends that are remembered, so that what comes late begins nothing anew.
pub const REMEMBERED: usize = 1 << 16;
/// How long a missing socket's own word of its end is waited for, where it is told: by then at least, and two complete dumps.
const GRACE: i64 = SECOND;

/// What was tracked, refused and forgotten, for `health`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sockets that began to be tracked.
    pub begun: u64,
    /// Polls that were worth keeping.
    pub snapshots: u64,
    /// Polls of tracked sockets.
    pub polls: u64,
    /// Sockets that ended: told by the kernel as destroyed, and tracked.
    pub destroyed: u64,
    /// Told as destroyed and never polled.
    pub never_polled: u64,
    /// Gone without a word.
    pub vanished: u64,
    /// Not tracked, for there was no room: times seen.
    pub limit_hits: u64,
    /// Ends that were forgotten within seconds, for there was no room.
    pub forgotten: u64,
    /// Polls of sockets whose end was known already: they were under way.
    pub late_polls: u64,
    /// Words of an end that was known already.
    pub late_ends: u64,
    /// Sockets that were taken for gone and were there again: the kernel's answer had left them out.
    pub returned: u64,
}

/// What a poll of a socket was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was not known.
    New,
    /// Nothing that counts has changed.
    Same,
    /// It has changed.
    Changed(Why),
}

/// A poll of a tracked socket.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it was.
    pub what: What,
    /// The counters of the poll before it, where something has changed: what rates are differences to.
    pub before: Option<Polled>,
    /// What had been counted of it, where this poll is a change.
    pub counted: Option<Sample>,
    /// What is known of the socket, this poll included.
    pub entry: &'a Entry,
}

impl Seen<'_> {
    /// Whether this poll is worth keeping.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        self.what != What::Same
    }
}

/// See the module.
#[derive(Debug)]
pub struct Tracker {
    rule: SaveWhen,
    limit: usize,
    by_cookie: BTreeMap<u64, u32>,
    entries: Slab,
    gone: Gone,
    families: [Family; 2],
    counts: Counts,
    /// How long the kernel took, at most, to fill in what is told now.
    filling: Span,
    /// Where the last word of a socket is put together.
    scratch: Vec<u8>,
    last: Option<Entry>,
}

/// A family's sockets.
#[derive(Clone, Copy, Debug, Default)]
struct Family {
    /// The number of the dump that goes on, or went last.
    dump: u32,
    tracked: usize,
    /// Of these, in that dump.
    seen: usize,
    /// Of these, missing in the last complete dump.
    missing: usize,
    /// The socket that the dump told last; none yet.
    last: Option<u32>,
    /// The first of the dump before.
    first: u32,
}

/// AF_INET is the first, everything else the second: a dual-stack socket is told with IPv6's.
fn family_of(family: u8) -> usize {
    usize::from(family != 2)
}

impl Tracker {
    /// From here on this is worth keeping.
    pub fn set_rule(&mut self, rule: SaveWhen) {
        self.rule = rule;
    }

    /// `limit`: most sockets.
    #[must_use]
    pub fn new(rule: SaveWhen, limit: usize) -> Tracker {
        Tracker {
            rule,
            limit: limit.min(u32::MAX as usize),
            by_cookie: BTreeMap::new(),
            entries: Slab::default(),
            gone: Gone::new(REMEMBERED),
            families: [Family::default(); 2],
            counts: Counts::default(),
            filling: Span::from_ns(0),
            scratch: Vec::new(),
            last: None,
        }
    }

    /// A dump of a family (AF_INET 2, AF_INET6 10) begins. One that was neither completed nor abandoned is abandoned.
    pub fn begin(&mut self, family: u8) {
        let family = &mut self.families[family_of(family)];
        family.dump = family.dump.wrapping_add(1);
        family.seen = 0;
        family.last = None;
    }

    /// The kernel took so long, at most, to fill in the sockets that are told from here on: see [`Entry::is_settled`].
    pub fn filled_within(&mut self, span: Span) {
        self.filling = span;
    }

    /// A socket in the dump that goes on. `None`: it is none that is tracked: a listener, a SYN that is answered, what is left of a
    /// socket, one without a number, one whose end is known, or one too many.
    #[inline]
    pub fn see(&mut self, at: Timestamp, now: Message<'_>) -> Option<Seen<'_>> {
        if !is_tracked(now) {
            return None;
        }
        let Some(slot) = self.slot(now) else {
            return self.begin_entry(at, now);
        };
        self.follow(family_of(now.family()), slot);
        let entry = self.entries.get_mut(slot);
        let (before, after) = (family_of(entry.family()), family_of(now.family()));
        if before != after {
            // IPV6_ADDRFORM: a socket that speaks IPv4 has become one of IPv4.
            entry.dump = self.families[after].dump.wrapping_sub(1);
            self.families[before].tracked -= 1;
            self.families[after].tracked += 1;
            self.families[before].missing -= usize::from(entry.missed > 0);
            entry.missed = 0;
        }
        let family = &mut self.families[after];
        if entry.dump != family.dump {
            entry.dump = family.dump;
            family.seen += 1;
        }
        if entry.missed > 0 {
            entry.missed = 0;
            family.missing -= 1;
        }
        let change = changed(self.rule, entry.message(), now);
        // Whoever takes unchanged ones as well keeps what it compares them with.
        let before = change.is_some().then(|| entry.polled());
        let counted = change.is_some().then(|| entry.counted());
        entry.see((at, self.filling), now, change.is_some());
        self.counts.polls += 1;
        self.counts.snapshots += u64::from(change.is_some());
        Some(Seen {
            what: change.map_or(What::Same, What::Changed),
            before,
            counted,
            entry,
        })
    }

    /// Where a socket is. The kernel tells sockets in the order of its table, which hardly changes from one dump to the next: where
    /// the last one was told, the one that followed it in the dump before follows again.
    #[inline]
    fn slot(&self, now: Message<'_>) -> Option<u32> {
        let family = &self.families[family_of(now.family())];
        let guess = match family.last {
            Some(last) => self.entries.find(last).map(|entry| entry.next),
            None => Some(family.first),
        };
        let cookie = now.cookie();
        guess
            .filter(|&slot| {
                self.entries
                    .find(slot)
                    .is_some_and(|entry| entry.cookie() == cookie)
            })
            .or_else(|| self.by_cookie.get(&cookie).copied())
    }

    /// That one was told, and which was told before it.
    #[inline]
    fn follow(&mut self, which: usize, slot: u32) {
        let family = &mut self.families[which];
        match family.last.replace(slot) {
            Some(last) => {
                if let Some(entry) = self.entries.find_mut(last) {
                    entry.next = slot;
                }
            }
            None => family.first = slot,
        }
    }

    #[cold]
    fn begin_entry(&mut self, at: Timestamp, now: Message<'_>) -> Option<Seen<'_>> {
        let cookie = now.cookie();
        match self.gone.recall(cookie) {
            Some(Ended::Vanished) => {
                self.gone.forget(cookie);
                self.counts.returned += 1;
            }
            Some(Ended::Destroyed | Ended::Open) => {
                self.counts.late_polls += 1;
                return None;
            }
            None => {}
        }
        if self.by_cookie.len() >= self.limit {
            self.counts.limit_hits += 1;
            return None;
        }
        let family = &mut self.families[family_of(now.family())];
        family.tracked += 1;
        family.seen += 1;
        self.counts.begun += 1;
        self.counts.polls += 1;
        self.counts.snapshots += 1;
        let mut entry = Entry::new((at, self.filling), now);
        entry.dump = family.dump;
        let slot = self.entries.insert(entry);
        self.by_cookie.insert(cookie, slot);
        self.follow(family_of(now.family()), slot);
        Some(Seen {
            what: What::New,
            before: None,
            counted: None,
            entry: self.entries.get_mut(slot),
        })
    }

    /// The dump of a family was told to its end: who was not in it is gone. With `is_told` the kernel tells each end besides
    /// ([`Tracker::destroyed`]): then a missing socket is waited for, 1 s and two complete dumps.
    pub fn complete(
        &mut self,
        at: Timestamp,
        family: u8,
        is_told: bool,
        each: &mut dyn FnMut(End<'_>),
    ) {
        let which = family_of(family);
        // Nearly always all are there: no walk.
        if self.families[which].seen == self.families[which].tracked {
            return;
        }
        let dump = self.families[which].dump;
        for slot in 0..self.entries.slots() {
            let Some(entry) = self.entries.find_mut(slot) else {
                continue;
            };
            if entry.dump == dump || family_of(entry.family()) != which {
                continue;
            }
            if entry.missed == 0 {
                entry.missing_since = at;
                self.families[which].missing += 1;
            }
            entry.missed = entry.missed.saturating_add(1);
            let is_over = entry.missed >= 2 && at >= entry.missing_since.plus(GRACE);
            if is_told && !is_over {
                continue;
            }
            self.counts.vanished += 1;
            let Some(entry) = self.remove(slot) else {
                continue;
            };
            self.gone.remember(
                at,
                entry.cookie(),
                Ended::Vanished,
                &mut self.counts.forgotten,
            );
            each(end_as_polled(at, &entry, Ended::Vanished));
        }
    }

    /// The dump of a family failed or was interrupted: nobody is gone for that.
    pub fn abandon(&mut self, family: u8) {
        // Who was seen in it is marked with its number, and the next has another.
        self.families[family_of(family)].seen = 0;
    }

    /// The kernel tells that a socket is destroyed (its multicast groups). `None`: it was no connection, or its end was known.
    pub fn destroyed(&mut self, at: Timestamp, told: Message<'_>) -> Option<End<'_>> {
        let cookie = told.cookie();
        let entry = match self.by_cookie.get(&cookie) {
            Some(&slot) => {
                self.counts.destroyed += 1;
                self.remove(slot)?
            }
            None if !is_connection(told) => return None,
            None if let Some(ended) = self.gone.recall(cookie) => {
                self.counts.late_ends += 1;
                if ended == Ended::Vanished {
                    let forgotten = &mut self.counts.forgotten;
                    self.gone.remember(at, cookie, Ended::Destroyed, forgotten);
                }
                return None;
            }
            None => {
                self.counts.never_polled += 1;
                Entry::never_polled(at, told)
            }
        };
        self.gone
            .remember(at, cookie, Ended::Destroyed, &mut self.counts.forgotten);
        let word = Told::of(told);
        let is_final_info = !word.is_disconnected && told.tcp_info().is_some();
        self.scratch.clear();
        match (entry.polls, is_final_info) {
            (1.., true) => merge(told, entry.message(), &mut self.scratch),
            (1.., false) => self.scratch.extend_from_slice(entry.raw()),
            (0, true) => {
                self.scratch.extend_from_slice(told.head());
                self.scratch.extend_from_slice(told.attribute_bytes());
            }
            (0, false) => without_info(told, &mut self.scratch),
        }
        let entry = self.last.insert(entry);
        Some(End {
            at,
            ended: Ended::Destroyed,
            message: Message::new(&self.scratch)?,
            is_final_info,
            is_snapshot: is_final_info || entry.polls == 0,
            entry,
            told: Some(word),
        })
    }

    /// The observation ends: every socket that is tracked yet, as it was polled last.
    pub fn finish(&mut self, at: Timestamp, each: &mut dyn FnMut(End<'_>)) {
        for slot in 0..self.entries.slots() {
            if let Some(entry) = self.remove(slot) {
                each(end_as_polled(at, &entry, Ended::Open));
            }
        }
    }

    /// All that are tracked.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// What is known of a socket.
    #[must_use]
    pub fn find(&self, cookie: u64) -> Option<&Entry> {
        self.entries.find(*self.by_cookie.get(&cookie)?)
    }

    /// How many are tracked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_cookie.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }

    /// How many are missing and waited for.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.families.iter().map(|family| family.missing).sum()
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn remove(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.entries.remove(slot)?;
        self.by_cookie.remove(&entry.cookie());
        let family = &mut self.families[family_of(entry.family())];
        family.tracked -= 1;
        family.seen -= usize::from(entry.dump == family.dump && family.seen > 0);
        family.missing -= usize::from(entry.missed > 0);
        Some(entry)
    }
}

/// A connection's socket: no listener, no SYN that is answered, nothing that is only left of one, and one with a number.
#[inline]
fn is_tracked(message: Message<'_>) -> bool {
    let is_socket = !matches!(
        message.state(),
        state::LISTEN | state::SYN_RECV | state::NEW_SYN_RECV | state::TIME_WAIT | state::CLOSE
    );
    is_socket && !matches!(message.cookie(), 0 | u64::MAX) && !message.is_remains()
}
