//! The loop: all sockets are asked for, IPv6 before IPv4 as tcp-info does, and what the kernel tells of destroyed ones is taken
//! while it waits. One thread. Of an answer that is not whole nobody's end is concluded.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_capture::diag::{Destroyed, Diag, DiagError, Family, Request, wait_readable};
use tcplens_capture::opened::Opened;
use tcplens_capture::{clock, process};
use tcplens_core::socket::message::state;
use tcplens_core::socket::metrics::{self, AnswerError};
use tcplens_core::socket::{Message, Pace, Pacer, Tracker, tracker};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::SinkEnd;

use super::inside::Inside;
use super::pushed::Pushed;
use super::tell::{each, ended, snapshot};
use super::{Consumer, Counts, Polled, World};
use crate::say::say;
use crate::signals::{Request as Signal, Requests};

/// How often an answer that was not whole is asked for again at once.
const REPEATS: u64 = 3;
/// How often to look at signals at least.
const LOOK: Duration = Duration::from_millis(100);
/// The same where the kernel's own view runs beside: its programs wake nobody up.
const LOOK_INSIDE: Duration = Duration::from_millis(20);
/// How long what was told of ends before the end of the observation is read at most. Chosen: all that finds room takes a second or
/// two; more comes without an end where connections do.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often listeners are asked for where they only tell whose end is the server's.
const LISTENERS: Duration = Duration::from_millis(100);
/// Most listeners and remains of sockets that are kept of one look. Chosen: as many as sockets.
const MOST_OTHERS: usize = tracker::LIMIT;
/// How soon after a look there is another, when words of ends were lost: who is gone is found by looking.
const AGAIN: Duration = Duration::from_millis(100);
/// The kernel's numbers of families, in the order in which they are asked for.
const FAMILIES: [(Family, u8); 2] = [(Family::V6, 10), (Family::V4, 2)];

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
    pub diag: Diag,
    /// Told.
    pub destroyed: Option<Destroyed>,
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
            let (start, cpu) = (Instant::now(), process::cpu_time());
            if !self.consumers.is_empty() && listeners_at.is_none_or(|at| at.elapsed() >= LISTENERS)
            {
                self.listeners()?;
                listeners_at = Some(start);
            }
            let shown = self.poll(&pacer, when)?;
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

    /// Brings what was counted up to date.
    fn tally(&mut self) {
        if let (Some(opened), false) = (&self.opened, self.world.is_once) {
            self.counts.opened = opened.since();
        }
        self.counts.tracked = self.tracker.counts();
        let destroyed = self.destroyed.as_ref();
        self.counts.lost = destroyed.and_then(Destroyed::drops).map(u64::from);
        self.counts.kernel = self.inside.as_ref().map(Inside::counts);
        self.counts.forgotten = self.world.known.limit_hits;
    }

    /// One look at all sockets.
    fn poll(&mut self, pacer: &Pacer, when: &When) -> Result<Result<(), SinkEnd>> {
        let (at, cpu) = (clock::now(), process::cpu_time());
        self.others.clear();
        self.counts.losses_answered = self.counts.times_lost;
        for (family, number) in FAMILIES {
            match self.dump(family, number)? {
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

    /// All sockets of a family, and who is gone; `false`: its answer was never whole.
    fn dump(&mut self, family: Family, number: u8) -> Result<Result<bool, SinkEnd>> {
        let Poller {
            diag,
            tracker,
            world,
            consumers,
            pushed,
            others,
            counts,
            ..
        } = self;
        let of_family = others.len();
        for _ in 0..=REPEATS {
            tracker.begin(number);
            others.truncate(of_family);
            let request = Request {
                family,
                states: pushed.states,
                extensions: 0xff,
                bytecode: pushed.bytecode.as_ref(),
            };
            let mut shown = Ok(());
            let (is_all, is_shown) = (self.is_all, !consumers.is_empty());
            let is_recorded = consumers.iter().any(|one| one.wants_records());
            let (begin, mut sockets) = (Instant::now(), 0);
            let dumped = diag.dump(&request, &mut |at, bytes| {
                sockets += 1;
                let Some(message) = Message::new(bytes) else {
                    return;
                };
                let Some(seen) = tracker.see(at, message) else {
                    if is_all && is_shown && others.len() < MOST_OTHERS {
                        others.push((at, bytes.to_vec()));
                    } else if is_all && is_shown {
                        counts.others_left_out += 1;
                    }
                    return;
                };
                if is_shown && seen.is_snapshot() && shown.is_ok() {
                    let records = &mut counts.records[0];
                    shown = snapshot(consumers, is_recorded, world, records, (at, message, &seen));
                }
            });
            if let Err(end) = shown {
                return Ok(Err(end));
            }
            match dumped {
                Ok(_) => {
                    let took = Span::from_ns(nanoseconds(begin.elapsed()));
                    for one in consumers.iter_mut() {
                        one.dumped(measured(family), took, sockets);
                    }
                    let is_told = self.destroyed.is_some();
                    let mut shown = Ok(());
                    tracker.complete(clock::now(), number, is_told, &mut |end| {
                        if shown.is_ok() {
                            shown = ended(consumers, world, counts, &end);
                        }
                    });
                    return Ok(shown.map(|()| true));
                }
                Err(error) if error.is_passing() => {
                    tracker.abandon(number);
                    counts.repeated += 1;
                    for one in consumers.iter_mut() {
                        one.not_whole(why(&error));
                    }
                }
                // This kernel does not know one of the conditions: the expression decides alone.
                Err(DiagError::Refused { error })
                    if pushed.bytecode.is_some() && error.kind() == ErrorKind::InvalidInput =>
                {
                    tracker.abandon(number);
                    pushed.bytecode = None;
                }
                Err(error) => {
                    tracker.abandon(number);
                    return Err(error.into());
                }
            }
        }
        Ok(Ok(false))
    }

    /// Who listens: whose ends are servers'.
    fn listeners(&mut self) -> Result<()> {
        if let Some(queues) = &mut self.world.queues {
            queues.clear();
        }
        for (family, _) in FAMILIES {
            let request = Request {
                family,
                states: 1 << state::LISTEN,
                extensions: 0,
                bytecode: None,
            };
            let world = &mut self.world;
            let dumped = self.diag.dump(&request, &mut |_, bytes| {
                if let Some(message) = Message::new(bytes) {
                    world.listener(message);
                }
            });
            match dumped {
                Err(error) if !error.is_passing() => return Err(error.into()),
                // Those that were missing are known from before, or told the next time.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// What the kernel's own view told since the last time.
    fn look_inside(&mut self) {
        if let Some(inside) = &mut self.inside {
            inside.read(&self.tracker, &mut self.world, &mut self.consumers);
        }
    }

    /// What the kernel told of destroyed sockets since the last time.
    fn drain(&mut self) -> Result<Result<(), SinkEnd>> {
        self.look_inside();
        let Poller {
            destroyed: Some(destroyed),
            inside,
            tracker,
            world,
            consumers,
            counts,
            ..
        } = self
        else {
            return Ok(Ok(()));
        };
        let mut shown = Ok(());
        let read = destroyed.read(&mut |at, bytes| {
            let Some(message) = Message::new(bytes) else {
                return;
            };
            // What it told of this end is there by now; and where many ends wait it does not run full.
            if let Some(inside) = inside {
                inside.read(tracker, world, consumers);
                counts.late_facts += u64::from(world.is_late(message.cookie()));
            }
            match tracker.destroyed(at, message) {
                Some(end) if shown.is_ok() => shown = ended(consumers, world, counts, &end),
                // It was no connection, or its end was known: of that nothing more is to be known.
                _ => {
                    world.known.remove(message.cookie());
                }
            }
        })?;
        counts.damaged += read.damaged;
        counts.has_lost |= read.lost;
        if counts.has_lost {
            world.known.tidy(clock::now());
        }
        counts.times_lost += u64::from(read.lost);
        Ok(shown)
    }

    /// The same at the end, when much may wait; what comes meanwhile is of no interest.
    fn drain_all(&mut self) -> Result<Result<(), SinkEnd>> {
        let begun = Instant::now();
        loop {
            if let Err(end) = self.drain()? {
                return Ok(Err(end));
            }
            let Some(destroyed) = &self.destroyed else {
                return Ok(Ok(()));
            };
            if begun.elapsed() >= LAST_WORDS || !wait_readable(destroyed, Duration::ZERO)? {
                return Ok(Ok(()));
            }
        }
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
            if now >= due {
                return Ok(true);
            }
            let left = over.map_or(due, |over| due.min(over)) - now;
            let look = match &self.inside {
                Some(_) => LOOK_INSIDE,
                None => LOOK,
            };
            match &self.destroyed {
                Some(destroyed) => {
                    let is_readable = wait_readable(destroyed, left.min(look));
                    if is_readable.map_err(anyhow::Error::from)? {
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

/// As metrics have it.
fn measured(family: Family) -> metrics::Family {
    match family {
        Family::V4 => metrics::Family::V4,
        Family::V6 => metrics::Family::V6,
    }
}

fn why(error: &DiagError) -> AnswerError {
    match error {
        DiagError::System { .. } | DiagError::Refused { .. } => AnswerError::Refused,
        DiagError::Interrupted => AnswerError::Interrupted,
        DiagError::Lost => AnswerError::Overrun,
        DiagError::Damaged | DiagError::Silent => AnswerError::Damaged,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
