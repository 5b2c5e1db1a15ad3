//! Live packets. Each ring has a thread that decodes and analyses what lies in it, where it lies; the thread that was there
//! shows what they found, and answers. Between them is a queue that never makes capture wait: records that find no room in
//! it are dropped, and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_capture::clock::Clock;
use tcplens_capture::ring::{Block, Ring, RingError};
use tcplens_core::batch::{Place, Records};
use tcplens_core::engine::{Lane, Work};
use tcplens_core::packet::{Batch, Lent, Packet};
use tcplens_core::record::Health;
use tcplens_core::shard::{Owner, Settings};
use tcplens_core::share::Moved;
use tcplens_core::time::Timestamp;

use super::decode::{Decode, Kept};
use super::show::{Show, finish};
use super::{LANES_ALONE, Ran};
use crate::answer::Desk;
use crate::answer::server::Servers;
use crate::gate::Gate;
use crate::observe::{Packets, Plan, Totals, View, health};
use crate::say::say;
use crate::signals::Request;

/// Blocks whose records wait to be shown, for all rings.
const QUEUE: usize = 64;
/// Packets that are decoded, and then analysed, at once: what was fetched for the one is still there for the other.
const AT_ONCE: usize = 256;
/// What waits in an inbox at most: fragments and ICMP errors, of which there are few.
const INBOX: usize = 4096;
/// How long a ring is waited for, and so how often time goes on without packets.
const WAIT: Duration = Duration::from_millis(100);
/// How long the kernel keeps a packet to itself at most: time without packets goes on so far behind the clock.
const BEHIND: Duration = Duration::from_millis(200);
/// How often a ring's thread tells what it counted.
const TELL: Duration = Duration::from_millis(500);

/// What one block came to.
#[derive(Default)]
struct Round {
    ring: usize,
    records: Vec<Records>,
    kept: Kept,
    owners: Vec<Vec<Owner>>,
    clock: Timestamp,
    watermark: Place,
    first: Option<Timestamp>,
    /// What was counted so far, from time to time.
    totals: Option<Box<Totals>>,
}

/// Captures until it is told to stop, or nothing more can come.
///
/// # Errors
/// A ring failed. What was captured before is shown.
pub(crate) fn run(
    plan: &Plan,
    sources: Vec<Vec<Ring>>,
    mut gates: Vec<Gate>,
    view: &mut dyn View,
    answering: Option<(Desk, Servers)>,
) -> Result<Ran> {
    let (desk, servers) = answering.unzip();
    let mut show = Show::new(view);
    show.desk = desk;
    let packets = show.packets;
    let (rounds, arriving) = sync_channel(QUEUE);
    let mut give_back = Vec::new();
    let count: usize = sources.iter().map(Vec::len).sum();
    // Every bound is for all threads together.
    let settings = Settings {
        limit_connections: (plan.settings.limit_connections / count.max(1)).max(1),
        limit_held: plan.settings.limit_held / count.max(1),
        ..plan.settings.clone()
    };
    let inboxes: Vec<Inbox> = (0..count).map(|_| Inbox::default()).collect();
    let mut captured = Vec::new();
    let mut totals = vec![Totals::default(); count];
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        // Those of a source share its packets.
        let mut rings = Vec::new();
        for source in sources {
            let (first, of) = (rings.len(), source.len());
            rings.extend(source.into_iter().map(|ring| (ring, first, of)));
        }
        for (number, (ring, first, of)) in rings.into_iter().enumerate().rev() {
            let (spare_to, spare) = sync_channel(QUEUE);
            give_back.push(spare_to);
            let Some(gate) = gates.pop() else { break };
            let mut decode = Decode::new(plan, gate, LANES_ALONE, packets);
            decode.front.share(number - first, of);
            let capture = Capture {
                number,
                plan,
                ring,
                decode,
                lanes: (0..LANES_ALONE)
                    .map(|_| Lane::new(&settings, LANES_ALONE))
                    .collect(),
                inboxes: &inboxes[first..first + of],
                me: number - first,
                handed_on: 0,
                work: (0..LANES_ALONE).map(|_| Work::default()).collect(),
                packets,
                clock: Clock::start(),
                rounds: rounds.clone(),
                spare,
                dropped: 0,
                told: Instant::now(),
                reopened: 0,
                is_gone: false,
            };
            threads.push(scope.spawn(|| capture.run()));
        }
        drop(rounds);
        give_back.reverse();
        show_all(plan, &mut show, &arriving, &give_back, &mut totals);
        for thread in threads {
            match thread.join() {
                Ok(done) => captured.push(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    end(captured, show, servers)
}

/// Shows what comes until all threads are done.
fn show_all(
    plan: &Plan,
    show: &mut Show<'_>,
    arriving: &Receiver<Round>,
    give_back: &[SyncSender<Round>],
    totals: &mut [Totals],
) {
    // Before all records that each ring may still give.
    let mut marks = vec![Place::default(); totals.len()];
    let mut told = Instant::now();
    let until = plan
        .duration
        .map(|span| Instant::now() + Duration::from_nanos(span.ns()));
    loop {
        match arriving.recv_timeout(WAIT) {
            Ok(mut round) => {
                let ring = round.ring;
                marks[ring] = marks[ring].max(round.watermark);
                show.begin(round.first);
                let mark = marks.iter().min().copied().unwrap_or_default();
                match show.packets {
                    Packets::None => show.records(&mut round.records, mark),
                    Packets::Plain | Packets::Owned => show.packets_and_records(
                        &mut round.kept,
                        &mut round.owners,
                        &mut round.records,
                        (mark, round.clock),
                    ),
                }
                show.merge.give_back(&mut round.records);
                if let Some(told) = round.totals.take() {
                    totals[ring] = *told;
                }
                // It may be gone already.
                let _ = give_back[ring].try_send(round);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        show.idle();
        if let Some(mut desk) = show.desk.take() {
            desk.serve(|| health_now(plan, totals, show));
            show.desk = Some(desk);
        }
        if plan
            .interval
            .is_some_and(|interval| told.elapsed().as_nanos() >= u128::from(interval.ns()))
        {
            told = Instant::now();
            show.health(&health_now(plan, totals, show));
        }
        for request in plan.requests.take() {
            match request {
                Request::Summary => {
                    let health = health_now(plan, totals, show);
                    say(so_far(&health));
                    show.summary(&health);
                }
                Request::Reopen => {
                    plan.reopenings.announce();
                    show.reopen();
                }
            }
        }
        let is_over = until.is_some_and(|until| Instant::now() >= until);
        if is_over || show.end.is_some() {
            plan.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// What was counted so far, a moment ago at most.
fn health_now(plan: &Plan, totals: &[Totals], show: &Show<'_>) -> Health {
    let mut all = Totals::default();
    for one in totals {
        all.add(one);
    }
    all.records_dropped += show.view.dropped();
    health(plan, &all, show.records)
}

/// The same in a line.
fn so_far(health: &Health) -> String {
    let records = health.records.iter().filter(|(_, n)| *n > 0);
    let records: Vec<_> = records
        .map(|(kind, n)| format!("{n} {kind} records"))
        .collect();
    format!(
        "so far {} packets captured, {} dropped by kernel; {} connections; {}",
        health.packets,
        health.kernel_drops.unwrap_or_default(),
        health.connections,
        records.join(", ")
    )
}

/// A ring's thread.
struct Capture<'p> {
    number: usize,
    plan: &'p Plan,
    ring: Ring,
    decode: Decode,
    lanes: Vec<Lane>,
    work: Vec<Work>,
    /// What other threads have read of this one's flows, by thread.
    inboxes: &'p [Inbox],
    /// Its place among the threads of its source.
    me: usize,
    handed_on: u64,
    packets: Packets,
    clock: Clock,
    rounds: SyncSender<Round>,
    /// Rounds that were shown, for their memory.
    spare: Receiver<Round>,
    /// Records that found no room.
    dropped: u64,
    told: Instant,
    /// How often files were reopened.
    reopened: u64,
    /// None of the interfaces is there.
    is_gone: bool,
}

/// What is left of a ring's thread.
struct Captured {
    decode: Decode,
    lanes: Vec<Lane>,
    totals: Totals,
    error: Option<RingError>,
    /// What ended it that the user should know.
    failed: Option<anyhow::Error>,
}

impl Capture<'_> {
    fn run(mut self) -> Captured {
        let (mut error, mut failed) = (None, None);
        while !self.plan.stop.load(Ordering::Relaxed) {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(Stopped::Ring(why @ RingError::Gone { .. })) if self.plan.waits => {
                    say(format_args!("{why}, until it comes back"));
                    if let Err(why) = self.wait_for_interface() {
                        error = Some(why);
                        break;
                    }
                }
                Err(Stopped::Ring(why)) => {
                    error = Some(why);
                    break;
                }
                Err(Stopped::Gate(why)) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        // A ring that failed has nothing more to say.
        let closed = self.ring.close();
        while closed.is_ok() && matches!(self.last_step(), Ok(true)) {}
        self.decode.front.finish();
        let totals = self.totals();
        Captured {
            decode: self.decode,
            lanes: self.lanes,
            totals,
            error,
            failed,
        }
    }

    /// Until the interface is there again, or all is over.
    fn wait_for_interface(&mut self) -> Result<(), RingError> {
        while !self.plan.stop.load(Ordering::Relaxed) && !self.ring.find_again()? {
            std::thread::sleep(WAIT);
            self.decode.front.tick(self.clock.now_less(BEHIND));
            let round = self.round();
            self.send(round);
        }
        Ok(())
    }

    /// Takes a block, or lets time go on. False: enough was seen.
    fn step(&mut self) -> Result<bool, Stopped> {
        let mut round = self.round();
        match self.ring.next_block(WAIT).map_err(Stopped::Ring)? {
            Some(block) => analyse(
                block,
                &mut self.decode,
                &mut self.lanes,
                &mut self.work,
                self.packets,
                &mut round,
            ),
            None => self.decode.front.tick(self.clock.now_less(BEHIND)),
        }
        self.send(round);
        if std::mem::take(&mut self.is_gone) {
            return Err(Stopped::Ring(self.ring.gone()));
        }
        self.decode
            .gate
            .tick(self.plan.reopenings.is_new(&mut self.reopened));
        let goes_on = self.decode.gate.goes_on().map_err(Stopped::Gate)?;
        if !goes_on {
            self.plan.stop.store(true, Ordering::Relaxed);
        }
        Ok(goes_on)
    }

    /// Takes a block of those that are left. False: there is none.
    fn last_step(&mut self) -> Result<bool, RingError> {
        let mut round = self.round();
        let Some(block) = self.ring.last_blocks()? else {
            return Ok(false);
        };
        analyse(
            block,
            &mut self.decode,
            &mut self.lanes,
            &mut self.work,
            self.packets,
            &mut round,
        );
        self.send(round);
        Ok(true)
    }

    fn round(&mut self) -> Round {
        let mut round = self.spare.try_recv().unwrap_or_default();
        round.ring = self.number;
        round.first = None;
        round
            .records
            .resize_with(self.lanes.len(), Records::default);
        round.owners.resize_with(self.lanes.len(), Vec::new);
        round.kept.clear();
        round
    }

    /// Lets the lanes' timers fire, and hands over what they have.
    fn send(&mut self, mut round: Round) {
        if self.inboxes.len() > 1 {
            self.exchange();
        }
        let front = &self.decode.front;
        round.clock = front.clock;
        round.watermark = front.watermark();
        for (lane, records) in self.lanes.iter_mut().zip(&mut round.records) {
            lane.advance(round.clock);
            std::mem::swap(&mut lane.records, records);
        }
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            // One of several may have come back; and one that went down may have gone altogether, which the kernel does not
            // tell then. What it refuses now it will refuse again, and no packet is lost by it.
            self.is_gone = matches!(self.ring.find_again(), Ok(false));
            round.totals = Some(Box::new(self.totals()));
        }
        if self.packets != Packets::None {
            // Who looks at packets sees each: then the ring waits, and the kernel counts what it has no room for.
            let _ = self.rounds.send(round);
            return;
        }
        if let Err(TrySendError::Full(round)) = self.rounds.try_send(round) {
            let lost: usize = round.records.iter().map(Records::len).sum();
            self.dropped += lost as u64;
        }
    }

    /// Hands on what belongs to other threads, and takes what they have handed on.
    fn exchange(&mut self) {
        for moved in self.decode.front.moved.drain(..) {
            self.handed_on += 1;
            self.inboxes[moved.to].put(moved);
        }
        let arrived = self.inboxes[self.me].take();
        if arrived.is_empty() {
            return;
        }
        for moved in arrived {
            self.decode.front.adopt(moved, &mut self.work);
        }
        for (lane, work) in self.lanes.iter_mut().zip(&mut self.work) {
            lane.run(work, &[]);
            work.clear();
        }
    }

    fn totals(&mut self) -> Totals {
        let counts = self.ring.counts();
        let mut totals = Totals::of(&self.decode.front, &self.lanes);
        totals.kernel_drops = Some(counts.drops);
        totals.records_dropped = self.dropped;
        totals.handed_on = self.handed_on;
        totals.unclaimed = self.inboxes[self.me].refused.load(Ordering::Relaxed);
        totals
    }
}

/// What other threads have read of a thread's flows.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<Vec<Moved>>,
    /// What found no room.
    refused: AtomicU64,
}

impl Inbox {
    fn put(&self, moved: Moved) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < INBOX {
            waiting.push(moved);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Vec<Moved> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why a ring's thread stops.
enum Stopped {
    Ring(RingError),
    Gate(anyhow::Error),
}

/// Decodes a block and runs it through the lanes, then gives it back to the kernel.
fn analyse(
    mut block: Block<'_>,
    decode: &mut Decode,
    lanes: &mut [Lane],
    work: &mut [Work],
    packets: Packets,
    round: &mut Round,
) {
    let is_kept = packets != Packets::None;
    let most = if is_kept { usize::MAX } else { AT_ONCE };
    let mut has_lost = block.has_lost();
    while let Some(lent) = block.next_packets(most) {
        let first = lent.packets.first().map(|packet| packet.time);
        round.first = round.first.or(first);
        if let (true, Some(first)) = (std::mem::take(&mut has_lost), first) {
            for lane in lanes.iter_mut() {
                lane.lost(first);
            }
        }
        decode.batch(&lent, work, &mut round.kept);
        for (n, (lane, work)) in lanes.iter_mut().zip(&mut *work).enumerate() {
            match packets {
                Packets::Owned => lane.run_and_tell(work, lent.bytes, &mut round.owners[n]),
                Packets::None | Packets::Plain => lane.run(work, lent.bytes),
            }
            work.clear();
        }
        if is_kept {
            let (bytes, packets) = copy(&lent);
            round.kept.batch = Some(Arc::new(Batch {
                bytes,
                packets,
                interfaces: Arc::clone(block.interfaces()),
            }));
            return;
        }
    }
}

/// A block's packets, to be looked at when it is the kernel's again.
fn copy(lent: &Lent<'_>) -> (Vec<u8>, Vec<Packet>) {
    let end = |packet: &Packet| (packet.at + packet.captured) as usize;
    let used = lent.packets.iter().map(end).max().unwrap_or(0);
    let bytes = lent.bytes.get(..used).unwrap_or_default();
    (bytes.to_vec(), lent.packets.to_vec())
}

/// Ends what is under way, and adds up.
fn end(captured: Vec<Captured>, mut show: Show<'_>, servers: Option<Servers>) -> Result<Ran> {
    let mut totals = Totals::default();
    let (mut lanes, mut gates, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
    let (mut clock, mut link, mut failed) = (Timestamp::MIN, None, None);
    for one in captured {
        clock = clock.max(one.decode.front.clock);
        link = link.or(one.decode.link);
        totals.add(&one.totals);
        // Counted anew when they have ended.
        totals.shards = Default::default();
        lanes.extend(one.lanes);
        gates.push(one.decode.gate);
        troubles.extend(one.error);
        failed = failed.or(one.failed);
    }
    finish(clock, &mut lanes, &mut show);
    for lane in &lanes {
        totals.shards += lane.counts();
    }
    Ok(Ran {
        source: None,
        gates,
        totals,
        records: show.records,
        end: show.end,
        link,
        troubles,
        failed,
        answering: show.desk.zip(servers),
    })
}
