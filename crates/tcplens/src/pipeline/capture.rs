//! A ring's thread: decodes and analyses what lies in the ring, where it lies, and hands over the records. It waits for
//! nobody who shows them; what finds no room on its way is dropped, and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tcplens_capture::clock::Clock;
use tcplens_capture::ring::{Block, Ring, RingError};
use tcplens_core::batch::{Place, Records};
use tcplens_core::engine::{Lane, Work};
use tcplens_core::kernel::Sight;
use tcplens_core::packet::{Batch, Lent, Packet};
use tcplens_core::shard::{Owner, Settings};
use tcplens_core::share::Moved;
use tcplens_core::time::Timestamp;

use super::LANES_ALONE;
use super::decode::{Decode, Kept};
use crate::gate::Gate;
use crate::observe::{Packets, Plan, Totals};
use crate::say::say;

/// Packets that are decoded, and then analysed, at once: what was fetched for the one is still there for the other.
const AT_ONCE: usize = 256;
/// What waits in an inbox at most: fragments and ICMP errors, of which there are few.
const INBOX: usize = 4096;
/// How long a ring is waited for, and so how often time goes on without packets.
const WAIT: Duration = Duration::from_millis(50);
/// How long the kernel keeps a packet to itself at most: time without packets goes on so far behind the clock.
const BEHIND: Duration = Duration::from_millis(60);
/// How often a ring's thread tells what it counted.
const TELL: Duration = Duration::from_millis(500);

/// What one block came to.
#[derive(Default)]
pub(super) struct Round {
    pub ring: usize,
    pub records: Vec<Records>,
    pub kept: Kept,
    pub owners: Vec<Vec<Owner>>,
    pub clock: Timestamp,
    pub watermark: Place,
    pub first: Option<Timestamp>,
    /// What was counted so far, from time to time.
    pub totals: Option<Box<Totals>>,
    /// It is the end: there is time for whoever takes the lines.
    pub is_ending: bool,
    /// Sockets that the kernel told of, where records of packets are to have theirs.
    pub sights: Vec<Sight>,
}

/// Where a ring stands among all.
#[derive(Clone, Copy)]
pub(super) struct Seat {
    /// Its number.
    pub number: usize,
    /// The first of those that share its packets.
    pub first: usize,
    /// How many share them.
    pub of: usize,
}

/// A ring's thread.
pub(super) struct Capture<'p> {
    number: usize,
    plan: &'p Plan,
    ring: Ring,
    decode: Decode,
    lanes: Vec<Lane>,
    work: Vec<Work>,
    /// There are rings of other sources, or the kernel tells.
    has_others: bool,
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
    told: Option<Instant>,
    /// No packet enters the ring any more: now nothing is dropped for haste.
    is_ending: bool,
    /// How often files were reopened.
    reopened: u64,
    /// None of the interfaces is there.
    is_gone: bool,
    /// How many are not.
    missing: usize,
}

/// What is left of a ring's thread.
pub(super) struct Captured {
    pub decode: Decode,
    pub lanes: Vec<Lane>,
    pub work: Vec<Work>,
    pub totals: Totals,
    pub error: Option<RingError>,
    /// What ended it that the user should know.
    pub failed: Option<anyhow::Error>,
    /// Its number.
    pub number: usize,
}

impl<'p> Capture<'p> {
    /// About to begin.
    pub(super) fn new(
        (plan, settings): (&'p Plan, &Settings),
        seat: Seat,
        ring: Ring,
        gate: Gate,
        packets: Packets,
        (inboxes, has_kernel): (&'p [Inbox], bool),
        (rounds, spare): (SyncSender<Round>, Receiver<Round>),
    ) -> Capture<'p> {
        let Seat { number, first, of } = seat;
        let mut decode = Decode::new(plan, gate, packets);
        decode.front.share(number - first, of);
        let lane = |_| Lane::new(settings, LANES_ALONE);
        Capture {
            number,
            plan,
            ring,
            decode,
            lanes: (0..LANES_ALONE).map(lane).collect(),
            work: (0..LANES_ALONE).map(|_| Work::default()).collect(),
            has_others: inboxes.len() > of || has_kernel,
            inboxes: &inboxes[first..first + of],
            me: number - first,
            handed_on: 0,
            packets,
            clock: Clock::start(),
            rounds,
            spare,
            dropped: 0,
            told: None,
            is_ending: false,
            reopened: 0,
            is_gone: false,
            missing: 0,
        }
    }

    /// Until it is told to stop, or nothing more can come.
    pub(super) fn run(mut self) -> Captured {
        let (mut error, mut failed) = (None, None);
        while !self.plan.stop.load(Ordering::Relaxed) {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(Stopped::Ring(why @ RingError::Gone { .. })) if self.plan.waits => {
                    if self.me == 0 {
                        say(format_args!("{why}, until it comes back"));
                    }
                    if let Err(why) = self.wait_for_interface() {
                        if self.has_others {
                            say(format_args!("{why}; other sources go on"));
                        }
                        error = Some(why);
                        break;
                    }
                }
                Err(Stopped::Ring(why)) => {
                    // Else it is told at the end, which comes now.
                    if self.has_others {
                        say(format_args!("{why}; other sources go on"));
                    }
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
        self.is_ending = true;
        while closed.is_ok() && matches!(self.last_step(), Ok(true)) {}
        // Others need not wait for it: its last records come when all has ended.
        let mut last = self.round();
        last.clock = self.decode.front.clock;
        last.watermark = Place::LAST;
        for moved in self.decode.front.moved.drain(..) {
            self.inboxes[moved.to].put(moved);
            self.handed_on += 1;
        }
        let totals = self.totals();
        last.totals = Some(Box::new(totals.clone()));
        // Whoever shows is there until all have ended.
        let _ = self.rounds.send(last);
        Captured {
            decode: self.decode,
            lanes: self.lanes,
            work: self.work,
            totals,
            error,
            failed,
            number: self.number,
        }
    }

    /// Until the interface is there again, or all is over.
    fn wait_for_interface(&mut self) -> Result<(), RingError> {
        // What it said last.
        while self.last_step()? {}
        while !self.plan.stop.load(Ordering::Relaxed) && !self.ring.find_again()? {
            std::thread::sleep(WAIT);
            self.decode.front.tick(self.clock.now_less(BEHIND));
            let round = self.round();
            self.send(round);
        }
        self.is_gone = false;
        Ok(())
    }

    /// Takes a block, or lets time go on. False: enough was seen.
    fn step(&mut self) -> Result<bool, Stopped> {
        let mut round = self.round();
        if let Some(block) = self.ring.next_block(WAIT).map_err(Stopped::Ring)? {
            analyse(
                block,
                &mut self.decode,
                &mut self.lanes,
                &mut self.work,
                self.packets,
                &mut round,
            );
        }
        // Also behind packets, whose clock may have been set back; but what waits in the ring may be from long before.
        if self.ring.is_drained() {
            self.decode.front.tick(self.clock.now_less(BEHIND));
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
        if self.told.is_none_or(|told| told.elapsed() >= TELL) {
            self.told = Some(Instant::now());
            // One of several may have come back; and one that went down may have gone altogether, which the kernel does not
            // tell then. What it refuses now it will refuse again, and no packet is lost by it.
            self.is_gone = matches!(self.ring.find_again(), Ok(false));
            self.tell_missing();
            round.totals = Some(Box::new(self.totals()));
            mark_lost(&mut self.lanes, self.ring.take_lost());
        }
        if self.packets != Packets::None || self.is_ending {
            // Who looks at packets sees each: then the ring waits, and the kernel counts what it has no room for. At the end
            // there is time.
            let _ = self.rounds.send(round);
            return;
        }
        if let Err(TrySendError::Full(round)) = self.rounds.try_send(round) {
            let lost: usize = round.records.iter().map(Records::len).sum();
            self.dropped += lost as u64;
        }
    }

    /// Of several interfaces some may be away: the others go on.
    fn tell_missing(&mut self) {
        let missing: Vec<String> = self.ring.missing().map(str::to_owned).collect();
        if missing.len() > self.missing && !self.is_gone && self.me == 0 {
            say(format_args!(
                "{} is gone; the others are captured on, and it again when it is back",
                missing.join(", ")
            ));
        }
        self.missing = missing.len();
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
        for lane in &self.lanes {
            totals.pending.add(&lane.pending(self.decode.front.clock));
        }
        totals.pending.shorten();
        totals
    }
}

/// What other threads have read of a thread's flows.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Vec<Moved>>,
    /// What found no room.
    pub refused: AtomicU64,
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

    /// What waits.
    pub(super) fn take(&self) -> Vec<Moved> {
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
    mark_lost(lanes, block.take_lost());
    while let Some(lent) = block.next_packets(most) {
        let first = lent.packets.first().map(|packet| packet.time);
        round.first = round.first.or(first);
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

/// What is under way may lack something.
fn mark_lost(lanes: &mut [Lane], lost: Option<Timestamp>) {
    if let Some(at) = lost {
        for lane in lanes {
            lane.lost(at);
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
