//! What the kernel tells, made into records: a thread beside those of rings. It waits for nobody who shows them; what finds
//! no room on its way is dropped, and counted.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use tcplens_capture::clock::Clock;
use tcplens_capture::kernel::{Kernel, KernelCounts, KernelError, PortRule, ProgramCost};
use tcplens_core::batch::{Place, Records};
use tcplens_core::kernel::{Event, Mapper, SOCKETS, What};
use tcplens_core::shard::Counts;
use tcplens_core::time::Timestamp;

use super::capture::Round;
use crate::observe::{KernelTotals, Plan, Totals};
use crate::say::say;

/// How long the kernel is waited for, and so how often time goes on without events.
const WAIT: Duration = Duration::from_millis(50);
/// What came at once with it is taken at once: a wake-up costs more than a hundred events.
const PAUSE: Duration = Duration::from_millis(5);
/// How far time without events goes on behind the clock: as long as an event may be on its way.
const BEHIND: Duration = Duration::from_millis(20);
/// How often it tells what was counted.
const TELL: Duration = Duration::from_millis(500);
/// Times that the kernel is asked for more at the end: with ten thousand events each, more than any buffer holds.
const LAST_POLLS: usize = 10_000;

/// Where events come from.
pub(super) trait Source: Send {
    /// See [`Kernel::poll`].
    fn poll(&mut self, wait: Duration, each: &mut dyn FnMut(Event)) -> Result<bool, KernelError>;
    /// See [`Kernel::tell_all`].
    fn tell_all(&mut self) -> Result<(), KernelError>;
    /// See [`Kernel::close`].
    fn close(&mut self) -> Result<(), KernelError>;
    /// See [`Kernel::set_ports`].
    fn set_ports(&mut self, ports: &[PortRule]);
    /// See [`Kernel::counts`].
    fn counts(&self) -> KernelCounts;
    /// See [`Kernel::costs`].
    fn costs(&self) -> Vec<ProgramCost>;
    /// See [`Kernel::limitations`].
    fn limitations(&self) -> &[String];
}

impl Source for Kernel {
    fn poll(&mut self, wait: Duration, each: &mut dyn FnMut(Event)) -> Result<bool, KernelError> {
        Kernel::poll(self, wait, each)
    }

    fn tell_all(&mut self) -> Result<(), KernelError> {
        Kernel::tell_all(self)
    }

    fn close(&mut self) -> Result<(), KernelError> {
        Kernel::close(self)
    }

    fn set_ports(&mut self, ports: &[PortRule]) {
        Kernel::set_ports(self, ports);
    }

    fn counts(&self) -> KernelCounts {
        Kernel::counts(self)
    }

    fn costs(&self) -> Vec<ProgramCost> {
        Kernel::costs(self)
    }

    fn limitations(&self) -> &[String] {
        Kernel::limitations(self)
    }
}

/// The kernel's thread.
pub(super) struct Listening<'p, S> {
    number: usize,
    plan: &'p Plan,
    source: S,
    mapper: Mapper,
    records: Records,
    /// Connections that are over.
    connections: u64,
    clock: Clock,
    /// Events that had found no room when that was last asked.
    drops: u64,
    /// What does not work and was told.
    limitations: usize,
    /// Earliest time of an event of this round.
    first: Option<Timestamp>,
    rounds: SyncSender<Round>,
    /// Rounds that were shown, for their memory.
    spare: Receiver<Round>,
    /// Records that found no room.
    dropped: u64,
    told: Option<Instant>,
    /// When all connections told how they stand.
    asked: Instant,
    /// The programs are gone: now nothing is dropped for haste.
    is_ending: bool,
    /// Packets tell of the same connections.
    is_beside_packets: bool,
}

/// What is left of it.
pub(super) struct Heard {
    pub totals: Totals,
    pub error: Option<String>,
}

impl<'p, S: Source> Listening<'p, S> {
    /// About to begin.
    pub(super) fn new(
        number: usize,
        plan: &'p Plan,
        (source, mapper): (S, Mapper),
        (rounds, spare): (SyncSender<Round>, Receiver<Round>),
    ) -> Listening<'p, S> {
        Listening {
            number,
            plan,
            source,
            mapper,
            records: Records::default(),
            connections: 0,
            drops: 0,
            limitations: 0,
            clock: Clock::start(),
            first: None,
            rounds,
            spare,
            dropped: 0,
            told: None,
            asked: Instant::now(),
            is_ending: false,
            is_beside_packets: false,
        }
    }

    /// Beside rings, or alone.
    pub(super) fn beside(mut self, rings: bool) -> Self {
        self.is_beside_packets = rings;
        self
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) -> Heard {
        let mut error = None;
        while error.is_none() && !self.plan.stop.load(Ordering::Relaxed) {
            error = self.step().err();
        }
        if let Some(why) = &error
            && self.is_beside_packets
        {
            say(format_args!("{why}; packets are looked at all the same"));
        }
        let closed = self.source.close();
        self.mapper.begin_end();
        self.is_ending = true;
        if closed.is_ok() {
            for _ in 0..LAST_POLLS {
                match self.poll(Duration::ZERO) {
                    Ok((false, _)) => self.send(self.watermark()),
                    Ok((true, _)) => break,
                    Err(why) => {
                        error = error.or(Some(why));
                        break;
                    }
                }
            }
        }
        let end = self.clock.now_less(Duration::ZERO);
        self.mapper.end(end, &mut self.records);
        self.told = None;
        self.send(Place::LAST);
        Heard {
            totals: self.totals(),
            error: error.or(closed.err()).map(|error| error.to_string()),
        }
    }

    /// Takes what there is, or lets time go on.
    fn step(&mut self) -> Result<(), KernelError> {
        let (is_drained, events) = self.poll(WAIT)?;
        let drops = self.source.counts().drops;
        if std::mem::replace(&mut self.drops, drops) != drops {
            // It happened since the last time.
            self.mapper.lost(self.clock.now_less(Duration::ZERO));
        }
        if is_drained {
            let now = self.clock.now_less(BEHIND);
            self.mapper.tick(now, &mut self.records);
        }
        self.send(self.watermark());
        if let Some(ports) = self.plan.new_ports.take() {
            self.source.set_ports(&ports);
        }
        let active = self.plan.settings.active.unwrap_or(i64::MAX);
        if self.plan.settings.connections && self.asked.elapsed().as_nanos() >= active as u128 {
            self.asked = Instant::now();
            self.source.tell_all()?;
        }
        if is_drained && events > 0 {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Makes records of what has happened. Whether that is all, and of how much.
    fn poll(&mut self, wait: Duration) -> Result<(bool, u64), KernelError> {
        let Listening {
            source,
            mapper,
            records,
            connections,
            is_ending,
            first,
            ..
        } = self;
        let mut events = 0;
        let is_drained = source.poll(wait, &mut |event| {
            events += 1;
            if let What::Connection(connection) = &event.what
                && (connection.closed.is_some() || *is_ending)
            {
                *connections += 1;
            }
            *first = first.or(Some(event.at));
            mapper.event(event, records);
        })?;
        Ok((is_drained, events))
    }

    /// Hands over what there is.
    fn send(&mut self, watermark: Place) {
        let mut round = self.spare.try_recv().unwrap_or_default();
        round.ring = self.number;
        round.first = self.first.take();
        round.clock = self.mapper.clock();
        round.watermark = watermark;
        round.is_ending = self.is_ending;
        round.records.resize_with(1, Records::default);
        if let Some(records) = round.records.first_mut() {
            std::mem::swap(&mut self.records, records);
        }
        // What was shown is empty.
        self.records.clear();
        round.sights.clear();
        std::mem::swap(self.mapper.sights(), &mut round.sights);
        if self.told.is_none_or(|told| told.elapsed() >= TELL) {
            self.told = Some(Instant::now());
            self.tell_limitations();
            round.totals = Some(Box::new(self.totals()));
        }
        if self.is_ending {
            // There is time; and whoever shows is there until all have ended.
            let _ = self.rounds.send(round);
            return;
        }
        if let Err(TrySendError::Full(mut round)) = self.rounds.try_send(round) {
            self.mapper.sights().append(&mut round.sights);
            if self.mapper.sights().len() > SOCKETS {
                // All sockets are told anew.
                self.mapper.look_out(SOCKETS);
            }
            let lost: usize = round.records.iter().map(Records::len).sum();
            self.dropped += lost as u64;
        }
    }

    /// What turned out later not to work.
    fn tell_limitations(&mut self) {
        let limitations = self.source.limitations();
        limitations.iter().skip(self.limitations).for_each(say);
        self.limitations = limitations.len();
    }

    /// No later record is placed before it.
    fn watermark(&self) -> Place {
        Place::after(self.mapper.clock(), self.mapper.counts().events)
    }

    fn totals(&self) -> Totals {
        let mapped = self.mapper.counts();
        Totals {
            records_dropped: self.dropped,
            shards: Counts {
                // Those of packets are counted there.
                connections: match self.is_beside_packets {
                    true => 0,
                    false => self.connections,
                },
                ..Counts::default()
            },
            time_reversals: mapped.time_reversals,
            kernel: Some(KernelTotals {
                counts: self.source.counts(),
                mapped,
                costs: self.source.costs(),
            }),
            ..Totals::default()
        }
    }
}

#[cfg(test)]
mod tests;
