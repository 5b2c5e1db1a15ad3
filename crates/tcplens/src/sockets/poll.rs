//! The loop: all sockets are asked for, IPv6 before IPv4 as tcp-info does (`look`), and what the kernel tells of destroyed ones is
//! taken while it waits (`hear`). One thread. Of an answer that is not whole nobody's end is concluded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_capture::diag::Family;
use tcplens_capture::opened::Opened;
use tcplens_capture::{clock, process};
use tcplens_core::socket::{Pace, Pacer, Tracker, tracker};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::SinkEnd;

use super::inside::Inside;
use super::kernel::{Asked, Told};
use super::pushed::Pushed;
use super::tell::{each, ended};
use super::{Change, Consumer, Counts, Polled, World};
use crate::say::say;
use crate::signals::{Request as Signal, Requests};

/// How often to look at signals at least.
const LOOK: Duration = Duration::from_millis(100);
/// The same where the kernel's own view runs beside: its programs wake nobody up.
const LOOK_INSIDE: Duration = Duration::from_millis(20);
/// How often listeners are asked for where they only tell whose end is the server's.
const LISTENERS: Duration = Duration::from_millis(100);
/// Most listeners and remains of sockets that are kept of one look. Chosen: as many as sockets.
pub(super) const MOST_OTHERS: usize = tracker::LIMIT;
/// How soon after a look there is another, when words of ends were lost: who is gone is found by looking.
const AGAIN: Duration = Duration::from_millis(100);
/// The kernel's numbers of families, in the order in which they are asked for.
pub(super) const FAMILIES: [(Family, u8); 2] = [(Family::V6, 10), (Family::V4, 2)];

/// When it stops, and how often it asks.
pub(crate) struct When {
    /// After so many looks.
    pub polls: Option<u64>,
    /// After this time.
    pub duration: Option<Duration>,
    /// After so many records or lines.
    pub count: Option<u64>,
    /// How often.
    pub pace: Pace,
    /// But not more often.
    pub at_least: Duration,
}

/// What is open, and what is known.
pub(crate) struct Poller {
    /// Asked.
    pub diag: Box<dyn Asked>,
    /// Told.
    pub destroyed: Option<Box<dyn Told>>,
    /// The kernel's own view, where it was asked for.
    pub inside: Option<Inside>,
    /// The kernel's own count of sockets that were opened.
    pub opened: Option<Opened>,
    /// What the kernel is asked for.
    pub pushed: Pushed,
    /// Listeners and what is left of closed sockets are wanted, too.
    pub is_all: bool,
    /// What was seen of each socket.
    pub tracker: Tracker,
    /// What is known besides.
    pub world: World,
    /// Who looks at it; none: nothing is made of it.
    pub consumers: Vec<Box<dyn Consumer>>,
    /// What it came to.
    pub counts: Counts,
    /// Others of the look that goes on.
    pub others: Vec<(Timestamp, Vec<u8>)>,
    /// What is to be asked for from then on.
    pub changes: Option<Receiver<Change>>,
    /// How often, from the next look on, which is at once.
    pub new_pace: Option<Pace>,
}

impl Poller {
    /// Asks until it is told to stop. How the destination of results ended, if it did.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub(crate) fn run(
        &mut self,
        when: &When,
        stop: &AtomicBool,
        requests: &Requests,
        started: &mut dyn FnMut(),
    ) -> Result<Option<SinkEnd>> {
        let begun = Instant::now();
        let mut pacer = Pacer::new(when.pace);
        let mut listeners_at: Option<Instant> = None;
        let end = loop {
            if let Some(pace) = self.new_pace.take() {
                pacer.set_pace(pace);
            }
            let (start, cpu) = (Instant::now(), process::cpu_time());
            if !self.consumers.is_empty() && listeners_at.is_none_or(|at| at.elapsed() >= LISTENERS)
            {
                self.listeners()?;
                listeners_at = Some(start);
            }
            let shown = self.poll(&pacer, when, stop)?;
            let cost = process::cpu_time().zip(cpu).map(|(now, then)| now - then);
            let cost = cost.unwrap_or_default();
            self.counts.cpu += cost;
            self.counts.span = start - begun;
            if self.counts.polls + self.counts.abandoned == 1 {
                started();
            }
            if let Err(end) = shown.and_then(|()| self.idle(requests)) {
                break Some(end);
            }
            let since = |at: Instant| u64::try_from((at - begun).as_nanos()).unwrap_or(u64::MAX);
            let due = pacer.polled(since(start), since(Instant::now()), nanoseconds(cost));
            self.counts.missed = pacer.missed();
            let due = begun + Duration::from_nanos(due);
            let due = due.max(start + when.at_least);
            match self.wait(due, begun, when, stop, requests) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(Stopped::Shown(end)) => break Some(end),
                Err(Stopped::Failed(error)) => return Err(error),
            }
        };
        let end = match end {
            None => {
                // What ended in the last moment is not open.
                let drained = self.drain_all()?;
                drained.and_then(|()| self.finish()).err()
            }
            end => end,
        };
        self.tally();
        Ok(end)
    }

    /// Goes on with what was asked for last; what was asked for before means nothing any more.
    fn take_change(&mut self) {
        let changes = self.changes.as_ref();
        let Some(change) = changes.and_then(|changes| changes.try_iter().last()) else {
            return;
        };
        self.tracker.set_rule(change.save_when);
        self.world.exclude.clone_from(&change.exclude);
        self.world.anonymize = change.anonymize.clone();
        // From here on not all were counted, and never again.
        self.counts.is_all &= !self.world.has_filter();
        self.consumers
            .iter_mut()
            .for_each(|one| one.changed(&change));
        self.new_pace = Some(change.pace);
    }

    /// Brings what was counted up to date.
    fn tally(&mut self) {
        if let (Some(opened), false) = (&self.opened, self.world.is_once) {
            self.counts.opened = opened.since();
        }
        self.counts.tracked = self.tracker.counts();
        let destroyed = self.destroyed.as_ref();
        self.counts.lost = destroyed.and_then(|told| told.drops()).map(u64::from);
        self.counts.kernel = self.inside.as_ref().map(Inside::counts);
        self.counts.forgotten = self.world.known.limit_hits;
    }

    /// One look at all sockets.
    fn poll(
        &mut self,
        pacer: &Pacer,
        when: &When,
        stop: &AtomicBool,
    ) -> Result<Result<(), SinkEnd>> {
        let (at, cpu) = (clock::now(), process::cpu_time());
        self.others.clear();
        self.counts.losses_answered = self.counts.times_lost;
        let mut other_protocols = 0;
        for (family, number) in FAMILIES {
            match self.dump(family, number, &mut other_protocols, stop)? {
                Ok(true) => self.look_inside(),
                Ok(false) => {
                    self.counts.abandoned += 1;
                    // What was seen of it is as it was; the table is shown when it is whole.
                    return Ok(self.drain()?.map(|_| ()));
                }
                Err(end) => return Ok(Err(end)),
            }
        }
        if let Err(end) = self.drain()? {
            return Ok(Err(end));
        }
        self.counts.polls += 1;
        self.counts.other_protocols = other_protocols;
        if self.counts.polls == 1 {
            let tracked = self.tracker.counts();
            self.counts.at_first = tracked.begun + tracked.never_polled;
            if let Some(opened) = &mut self.opened {
                opened.begin_again();
            }
        }
        self.counts.others = self.others.len() as u64;
        self.counts.drops(&self.consumers);
        let cost = process::cpu_time().zip(cpu).map(|(now, then)| now - then);
        let interval = pacer.interval().max(nanoseconds(when.at_least));
        let mut polled = Polled {
            at,
            cost: Span::from_ns(nanoseconds(cost.unwrap_or_default())),
            interval: Span::from_ns(interval),
            tracker: &self.tracker,
            others: &self.others,
            world: &mut self.world,
            counts: &self.counts,
        };
        Ok(each(&mut self.consumers, |one| one.polled(&mut polled)))
    }

    /// Until the next look is due: whether there is to be one.
    fn wait(
        &mut self,
        due: Instant,
        begun: Instant,
        when: &When,
        stop: &AtomicBool,
        requests: &Requests,
    ) -> Result<bool, Stopped> {
        let over = when.duration.map(|duration| begun + duration);
        loop {
            let now = Instant::now();
            let shown: u64 = self.consumers.iter().map(|one| one.shown()).sum();
            let is_over = stop.load(Ordering::Relaxed)
                || over.is_some_and(|over| now >= over)
                || when.count.is_some_and(|count| shown >= count)
                || when
                    .polls
                    .is_some_and(|polls| self.counts.polls + self.counts.abandoned >= polls);
            if is_over {
                return Ok(false);
            }
            let due = match self.counts.times_lost > self.counts.losses_answered {
                true => due.min(begun + self.counts.span + AGAIN),
                false => due,
            };
            if now >= due || self.new_pace.is_some() {
                return Ok(true);
            }
            let left = over.map_or(due, |over| due.min(over)) - now;
            let look = match &self.inside {
                Some(_) => LOOK_INSIDE,
                None => LOOK,
            };
            match &self.destroyed {
                Some(destroyed) => {
                    if destroyed
                        .wait(left.min(look))
                        .map_err(anyhow::Error::from)?
                    {
                        self.drain()??;
                    }
                }
                // A signal ends it at the latest after that.
                None => std::thread::sleep(left.min(look)),
            }
            self.look_inside();
            self.idle(requests)?;
        }
    }

    /// Whoever waits may have what there is.
    fn idle(&mut self, requests: &Requests) -> Result<(), SinkEnd> {
        self.take_change();
        for asked in requests.take() {
            match asked {
                Signal::Reopen => each(&mut self.consumers, |one| one.reopen())?,
                Signal::Summary => {
                    self.tally();
                    say(self.counts.closing_line());
                }
            }
        }
        each(&mut self.consumers, |one| one.idle())
    }

    /// The observation is over: those that are open yet are told as they were last.
    fn finish(&mut self) -> Result<(), SinkEnd> {
        let Poller {
            tracker,
            world,
            consumers,
            counts,
            ..
        } = self;
        let mut shown = Ok(());
        if !world.is_once && !consumers.is_empty() {
            tracker.finish(clock::now(), &mut |end| {
                if shown.is_ok() {
                    shown = ended(consumers, world, counts, &end);
                }
            });
        }
        shown
    }
}

/// Why waiting ended before its time.
enum Stopped {
    /// The destination of results takes nothing more.
    Shown(SinkEnd),
    /// The kernel cannot be asked.
    Failed(anyhow::Error),
}

impl From<SinkEnd> for Stopped {
    fn from(end: SinkEnd) -> Stopped {
        Stopped::Shown(end)
    }
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Stopped {
        Stopped::Failed(error)
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
