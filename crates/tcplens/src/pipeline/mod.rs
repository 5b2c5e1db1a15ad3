//! The way of packets through the program: read, decode, analyse, merge, show; on one thread or on several.
//!
//! Each stage is an exclusive piece of state that any free thread takes, works with and puts back: the
//! source, the front, every lane, the merge. So no thread is tied to a stage, and two threads are both busy whatever
//! the packets are like. What a thread may do next is decided under one lock, once per batch and stage; batches are in
//! order within each stage, so the records are the same with any number of threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tcplens_capture::file::{MergedSource, Status};
use tcplens_core::batch::{Place, Records};
use tcplens_core::engine::{Lane, Work};
use tcplens_core::packet::{Batch, LinkType};
use tcplens_core::shard::{Owner, SHARDS};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;

use crate::answer::Desk;
use crate::answer::server::Servers;
use crate::gate::Gate;
use crate::observe::{Packets, Plan, Totals, View};
use decode::{Decode, Kept};
use show::{Show, finish};

mod alone;
mod capture;
mod decode;
mod kernel;
pub(crate) mod live;
mod show;

/// What is left when everything has run.
pub(crate) struct Ran {
    /// The files.
    pub source: Option<MergedSource>,
    /// What was looked at: one for each ring.
    pub gates: Vec<Gate>,
    /// What was counted.
    pub totals: Totals,
    /// Records by kind: handshakes, requests, connections.
    pub records: [u64; 3],
    /// Why the view took no more.
    pub end: Option<SinkEnd>,
    /// Link type of the latest packet.
    pub link: Option<LinkType>,
    /// What ended live capture before its time.
    pub troubles: Vec<String>,
    /// What ended it all.
    pub failed: Option<anyhow::Error>,
    /// Who answered.
    pub answering: Option<(Desk, Servers)>,
}

/// Runs the whole source.
pub(crate) fn run(
    plan: &Plan,
    source: MergedSource,
    gate: Gate,
    view: &mut dyn View,
) -> Result<Ran> {
    let threads = plan.threads.max(1);
    let lanes = if threads == 1 {
        LANES_ALONE
    } else {
        (threads * LANES_PER_THREAD).next_power_of_two().min(SHARDS)
    };
    let mut reader = Reader { plan, source };
    let mut decode = Decode::new(plan, gate, view.packets());
    let mut show = Show::new(view, plan);
    let mut all: Vec<Lane> = (0..lanes)
        .map(|_| Lane::new(&plan.settings, lanes))
        .collect();
    let result = if threads == 1 {
        alone::run(&mut reader, &mut decode, &mut all, &mut show)
    } else {
        flow(threads, &mut reader, &mut decode, &mut all, &mut show)
    };
    // Also after an error: what was read is shown.
    decode.front.finish();
    finish(decode.front.clock, &mut all, &mut show);
    Ok(Ran {
        source: Some(reader.source),
        gates: vec![decode.gate],
        totals: Totals::of(&decode.front, &all),
        records: show.records,
        end: show.end,
        link: decode.link,
        troubles: Vec::new(),
        failed: result.err(),
        answering: None,
    })
}

/// The source, and when to stop.
struct Reader<'p> {
    plan: &'p Plan,
    source: MergedSource,
}

impl Reader<'_> {
    fn next(&mut self, batch: &mut Batch) -> Result<Status> {
        if self.plan.stop.load(Ordering::Relaxed) {
            return Ok(Status::End);
        }
        let status = self.source.next_batch(batch)?;
        let (read, total) = self.source.position();
        self.plan.progress.at(read, total);
        Ok(status)
    }
}

/// Lanes for each thread, so that a free one is found. Sixteen for two threads, with every waiter woken each time, gave
/// 1.59 times the speed of one thread on large packets; four, with waiters woken only if there are any, 1.81.
const LANES_PER_THREAD: usize = 2;
/// Lanes of one thread: with one nothing has to be merged. Eight, whose flows fit the cache better, took 4 to 6 % more time
/// on http10m, 2 to 4 % less on redis10m, the same on mixed2m, big1g and with requests (5 to 13 rounds in turns).
const LANES_ALONE: usize = 1;
/// Batches that are read and not decoded.
const READ_AHEAD: usize = 2;
/// Batches that are decoded and that some lane has not begun: with fewer, to read and decode comes before the lanes, else all
/// threads would run these and then wait for the one that decodes.
const AHEAD: u64 = 2;
/// Batches that are decoded and not shown.
const ROUNDS: usize = 4;

/// One batch on its way through the lanes.
#[derive(Default)]
struct Round {
    work: Vec<Work>,
    records: Vec<Records>,
    /// What the view will see of packets.
    kept: Kept,
    /// Whose they are, by lane.
    owners: Vec<Vec<Owner>>,
    clock: Timestamp,
    /// Before all records of later rounds.
    watermark: Place,
    first: Option<Timestamp>,
    /// Lanes that have not run it.
    left: usize,
    /// Where its payload is.
    batch: Option<Arc<Batch>>,
    is_idle: bool,
}

/// A lane's share of a round.
struct Share {
    work: Work,
    records: Records,
    /// Where the view asks for them.
    owners: Option<Vec<Owner>>,
    /// Where payload is.
    batch: Option<Arc<Batch>>,
}

/// What the threads share. A stage that is `None` is with a thread.
struct Shared<'a, 'p, 'v> {
    reader: Option<&'a mut Reader<'p>>,
    decode: Option<&'a mut Decode>,
    lanes: Vec<Option<&'a mut Lane>>,
    show: Option<&'a mut Show<'v>>,
    /// Batches in input order; `None` stands for a pause of a followed file.
    read: VecDeque<Option<Batch>>,
    /// Batches in input order; the first has number `shown`.
    rounds: VecDeque<Round>,
    shown: u64,
    /// The next round of each lane.
    next: Vec<u64>,
    spare_batches: Vec<Batch>,
    spare_rounds: Vec<Round>,
    /// What the view wants to see of packets.
    packets: Packets,
    /// Threads that wait for a change.
    waiting: usize,
    /// Nothing more is read.
    is_over: bool,
    /// A thread panicked with a stage in its hands.
    is_broken: bool,
    error: Option<anyhow::Error>,
}

/// What a thread does next.
enum Task<'a, 'p, 'v> {
    Show(&'a mut Show<'v>, Round),
    Lane(usize, &'a mut Lane, u64, Share, Timestamp),
    Decode(&'a mut Decode, Option<Batch>, Round),
    Read(&'a mut Reader<'p>, Batch),
    Wait,
    End,
}

fn flow(
    threads: usize,
    reader: &mut Reader<'_>,
    decode: &mut Decode,
    lanes: &mut [Lane],
    show: &mut Show<'_>,
) -> Result<()> {
    let shared = Mutex::new(Shared {
        packets: show.packets,
        reader: Some(reader),
        decode: Some(decode),
        next: vec![0; lanes.len()],
        lanes: lanes.iter_mut().map(Some).collect(),
        show: Some(show),
        read: VecDeque::new(),
        rounds: VecDeque::new(),
        shown: 0,
        spare_batches: Vec::new(),
        spare_rounds: Vec::new(),
        waiting: 0,
        is_over: false,
        is_broken: false,
        error: None,
    });
    let changed = Condvar::new();
    let changes = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work(&shared, &changed, &changes));
        }
        work(&shared, &changed, &changes);
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.error.map_or(Ok(()), Err)
}

/// Ends the other threads when one panics; the scope passes the panic on.
struct Alarm<'s, 'a, 'p, 'v>(&'s Mutex<Shared<'a, 'p, 'v>>, &'s Condvar);

impl Drop for Alarm<'_, '_, '_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(self.0).is_broken = true;
            self.1.notify_all();
        }
    }
}

/// How often a thread without work looks for a change before it sleeps: some 20 us, less than falling asleep and being
/// woken takes, and about as long as a stage.
const SPINS: u32 = 1000;

fn work(shared: &Mutex<Shared<'_, '_, '_>>, changed: &Condvar, changes: &AtomicU64) {
    let _alarm = Alarm(shared, changed);
    let mut guard = lock(shared);
    loop {
        match guard.task() {
            Task::End => {
                changed.notify_all();
                return;
            }
            Task::Wait => {
                let known = changes.load(Ordering::Relaxed);
                drop(guard);
                let is_changed = (0..SPINS).any(|_| {
                    std::hint::spin_loop();
                    changes.load(Ordering::Relaxed) != known
                });
                guard = lock(shared);
                if !is_changed && changes.load(Ordering::Relaxed) == known {
                    guard.waiting += 1;
                    guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
                    guard.waiting -= 1;
                }
            }
            task => {
                drop(guard);
                let done = task.run();
                guard = lock(shared);
                guard.put_back(done);
                // Under the lock, so that who looks there misses none.
                changes.fetch_add(1, Ordering::Relaxed);
                if guard.waiting > 0 {
                    changed.notify_all();
                }
            }
        }
    }
}

fn lock<'m, 'a, 'p, 'v>(
    shared: &'m Mutex<Shared<'a, 'p, 'v>>,
) -> MutexGuard<'m, Shared<'a, 'p, 'v>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread brings back.
enum Done<'a, 'p, 'v> {
    Show(&'a mut Show<'v>, Round),
    Lane(usize, &'a mut Lane, u64, Share),
    Decode(&'a mut Decode, Option<Batch>, Round, Result<bool>),
    Read(&'a mut Reader<'p>, Batch, Result<Status>),
    Nothing,
}

impl<'a, 'p, 'v> Task<'a, 'p, 'v> {
    fn run(self) -> Done<'a, 'p, 'v> {
        match self {
            Task::Show(show, mut round) => {
                show.begin(round.first);
                if round.is_idle {
                    show.idle();
                }
                match show.packets {
                    Packets::None => {
                        show.records(&mut round.records, round.watermark);
                        show.clock(round.clock);
                    }
                    Packets::Plain | Packets::Owned => show.packets_and_records(
                        &mut round.kept,
                        &mut round.owners,
                        &mut round.records,
                        (round.watermark, round.clock),
                    ),
                }
                show.merge.give_back(&mut round.records);
                Done::Show(show, round)
            }
            Task::Lane(n, lane, number, mut share, clock) => {
                lane.records = share.records;
                let bytes = share.batch.as_ref().map_or(&[][..], |batch| &batch.bytes);
                match &mut share.owners {
                    Some(owners) => lane.run_and_tell(&share.work, bytes, owners),
                    None => lane.run(&share.work, bytes),
                }
                lane.advance(clock);
                share.records = std::mem::take(&mut lane.records);
                share.batch = None;
                Done::Lane(n, lane, number, share)
            }
            Task::Decode(decode, mut batch, mut round) => {
                round.is_idle = batch.is_none();
                round.first = None;
                if let Some(batch) = &batch {
                    round.first = batch.packets.first().map(|packet| packet.time);
                    decode.batch(&batch.lend(), &mut round.work, &mut round.kept);
                }
                // The lanes read payload in it, and the view may.
                if decode.keeps_packets || decode.is_payload_read {
                    round.batch = batch.take().map(Arc::new);
                }
                if decode.keeps_packets {
                    round.kept.batch.clone_from(&round.batch);
                }
                round.clock = decode.front.clock;
                round.watermark = decode.front.watermark();
                let goes_on = decode.gate.goes_on();
                Done::Decode(decode, batch, round, goes_on)
            }
            Task::Read(reader, mut batch) => {
                let status = reader.next(&mut batch);
                Done::Read(reader, batch, status)
            }
            Task::Wait | Task::End => Done::Nothing,
        }
    }
}

impl<'a, 'p, 'v> Shared<'a, 'p, 'v> {
    /// What can be done now: the later stage first, so that little is under way; but that lanes have something to run next
    /// comes before that they run.
    fn task(&mut self) -> Task<'a, 'p, 'v> {
        if self.is_broken {
            return Task::End;
        }
        if self.rounds.front().is_some_and(|round| round.left == 0)
            && let Some(show) = self.show.take()
            && let Some(round) = self.rounds.pop_front()
        {
            self.shown += 1;
            return Task::Show(show, round);
        }
        let is_short = self.left_to_run() < AHEAD;
        if is_short && let Some(task) = self.next_round() {
            return task;
        }
        if let Some(task) = self.lane_task() {
            return task;
        }
        if let Some(task) = self.next_round() {
            return task;
        }
        let is_idle = self.show.is_some() && self.decode.is_some() && self.reader.is_some();
        if self.is_over && is_idle && self.read.is_empty() && self.rounds.is_empty() {
            Task::End
        } else {
            Task::Wait
        }
    }

    /// Rounds that some lane has not begun.
    fn left_to_run(&self) -> u64 {
        let end = self.shown + self.rounds.len() as u64;
        self.next.iter().min().map_or(0, |next| end - next)
    }

    /// What brings the next round nearer: it is decoded, or else read.
    fn next_round(&mut self) -> Option<Task<'a, 'p, 'v>> {
        if self.rounds.len() < ROUNDS
            && !self.read.is_empty()
            && let Some(decode) = self.decode.take()
        {
            let batch = self.read.pop_front().flatten();
            let mut round = self.spare_rounds.pop().unwrap_or_default();
            round.work.resize_with(self.lanes.len(), Work::default);
            round
                .records
                .resize_with(self.lanes.len(), Records::default);
            round.owners.resize_with(self.lanes.len(), Vec::new);
            round.left = self.lanes.len();
            return Some(Task::Decode(decode, batch, round));
        }
        if self.read.len() < READ_AHEAD
            && !self.is_over
            && let Some(reader) = self.reader.take()
        {
            let batch = self.spare_batches.pop().unwrap_or_default();
            return Some(Task::Read(reader, batch));
        }
        None
    }

    /// The oldest round that a free lane has not run.
    fn lane_task(&mut self) -> Option<Task<'a, 'p, 'v>> {
        let end = self.shown + self.rounds.len() as u64;
        let lanes = self.lanes.iter().zip(&self.next).enumerate();
        let free = lanes.filter(|(_, (lane, next))| lane.is_some() && **next < end);
        let (n, (_, &number)) = free.min_by_key(|(_, (_, next))| **next)?;
        let lane = self.lanes[n].take()?;
        self.next[n] += 1;
        let round = &mut self.rounds[usize::try_from(number - self.shown).ok()?];
        let share = Share {
            work: std::mem::take(&mut round.work[n]),
            records: std::mem::take(&mut round.records[n]),
            owners: (self.packets == Packets::Owned).then(|| std::mem::take(&mut round.owners[n])),
            batch: round.batch.clone(),
        };
        Some(Task::Lane(n, lane, number, share, round.clock))
    }

    fn put_back(&mut self, done: Done<'a, 'p, 'v>) {
        match done {
            Done::Show(show, mut round) => {
                self.spare_batches
                    .extend(round.kept.batch.take().and_then(Arc::into_inner));
                round.kept.clear();
                // The reader of the results went away, or a sink failed: nothing more is read.
                self.is_over |= show.end.is_some();
                self.show = Some(show);
                self.spare_rounds.push(round);
            }
            Done::Lane(n, lane, number, mut share) => {
                self.lanes[n] = Some(lane);
                share.work.clear();
                let at = (number - self.shown) as usize;
                if let Some(round) = self.rounds.get_mut(at) {
                    round.work[n] = share.work;
                    round.records[n] = share.records;
                    round.owners[n] = share.owners.unwrap_or_default();
                    round.left -= 1;
                    if round.left == 0 {
                        let batch = round.batch.take().and_then(Arc::into_inner);
                        self.spare_batches.extend(batch);
                    }
                }
            }
            Done::Decode(decode, batch, round, goes_on) => {
                self.decode = Some(decode);
                self.spare_batches.extend(batch);
                self.rounds.push_back(round);
                self.note(goes_on);
            }
            Done::Read(reader, batch, status) => {
                self.reader = Some(reader);
                match status {
                    Ok(Status::Packets) => {
                        self.read.push_back(Some(batch));
                        return;
                    }
                    Ok(Status::Idle) => self.read.push_back(None),
                    Ok(Status::End) => self.is_over = true,
                    Err(error) => self.note(Err(error)),
                }
                self.spare_batches.push(batch);
            }
            Done::Nothing => {}
        }
    }

    fn note(&mut self, goes_on: Result<bool>) {
        match goes_on {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
        self.is_over = true;
        self.read.clear();
    }
}
