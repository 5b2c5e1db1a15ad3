//! The way to a store: batches of records over a bounded queue to a thread of its own (`taking`), for a disk or a server may be
//! slow, from the beginning on: of a live run the thread also opens it. Live, what finds no room is dropped and counted; of capture
//! files reading waits.
//!
//! Bounded: [`QUEUE`] batches of [`BATCH`] records, or [`BATCH_BYTES`] of lines; and a batch of each near end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_core::batch::{AnyRecord, Moment, Place, Records};
use tcplens_core::record::{Finding, Health, Record};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::store::{StoreCounters, StoreKind, StoreSink};
use tcplens_output::{Jsonl, SinkEnd};

use crate::say::say;

mod taking;

/// Batches on their way.
const QUEUE: usize = 64;
/// Records of a batch. With the queue 64 Ki, and with 500 bytes for each 32 MB.
const BATCH: usize = 1024;
/// Bytes of lines of a batch.
const BATCH_BYTES: usize = 512 << 10;
/// How long records wait for their batch to be full, in ns of the engine clock.
const DELAY: i64 = SECOND / 5;
/// How often to look, at the end, whether it goes on.
const LOOK: Duration = Duration::from_millis(50);
/// How long, at the end of a live run, a store may take nothing before it is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What opens the store: on its thread, if the run is live.
pub(super) type Opening = Box<dyn FnOnce() -> Result<Box<dyn StoreSink>> + Send>;

/// What is on its way.
#[derive(Default)]
struct Batch {
    /// Each with the engine clock as its place.
    records: Records,
    findings: Vec<Finding>,
    health: Vec<Health>,
    /// Records as lines, with the ends of the lines.
    lines: Vec<(StoreKind, usize)>,
    text: Jsonl,
    /// Tells when it was taken.
    reply: Option<SyncSender<()>>,
}

impl Batch {
    fn len(&self) -> usize {
        self.records.len() + self.findings.len() + self.health.len() + self.lines.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= BATCH || self.text.bytes().len() >= BATCH_BYTES
    }

    fn clear(&mut self) {
        self.records.clear();
        self.findings.clear();
        self.health.clear();
        self.lines.clear();
        self.text.clear();
    }
}

/// What the near ends and the thread tell each other.
#[derive(Default)]
struct Shared {
    counters: StoreCounters,
    /// Why it ended before its time.
    failure: Option<SinkEnd>,
    /// Times that the thread went on.
    rounds: u64,
    /// The same within the store.
    progress: Option<Arc<AtomicU64>>,
    /// Records that were handed over, and those of them that the store was given.
    handed: u64,
    taken: u64,
    /// Records that found no room.
    not_taken: u64,
    /// What was handed over and not taken never will be.
    is_over: bool,
    /// Nothing more comes, whoever has a near end yet.
    is_closing: bool,
    /// The run ended too soon.
    is_abandoned: bool,
    /// What is to be told of that.
    cut_short: Option<String>,
}

/// A near end of the way.
pub(crate) struct Feeder {
    queue: Option<SyncSender<Batch>>,
    /// Batches that were taken, to be filled again.
    spare: Receiver<Batch>,
    /// Tells when all is written; `None`: another near end sees to that, or it is over.
    end: Option<Receiver<()>>,
    is_beside: bool,
    shared: Arc<Mutex<Shared>>,
    batch: Batch,
    /// When the first record of the batch came, by the engine clock.
    since: Option<Timestamp>,
    now: Timestamp,
    is_live: bool,
    is_verbose: bool,
    patience: Duration,
    name: String,
}

impl Feeder {
    /// Begins; `name` of the store is for messages. Live, `stop` is set where it can take nothing.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn start(
        opening: Opening,
        name: String,
        stop: Option<Arc<AtomicBool>>,
        is_verbose: bool,
    ) -> Result<Feeder> {
        let (queue, batches) = sync_channel(QUEUE);
        let (back, spare) = sync_channel(QUEUE);
        let (ended, end) = sync_channel(1);
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let told = Arc::clone(&shared);
        let is_live = stop.is_some();
        let work = move || {
            let failure = taking::run(opening, &batches, &back, &told, is_verbose).err();
            let is_failed = failure.is_some();
            {
                let mut told = lock(&told);
                told.failure = failure;
                told.is_over = true;
            }
            // Whoever finds nobody there knows why.
            drop(batches);
            if let Some(stop) = stop.filter(|_| is_failed) {
                stop.store(true, Ordering::Relaxed);
            }
            // Whoever waited for it may have given up.
            let _ = ended.send(());
        };
        let thread = Builder::new().name("store".into()).spawn(work);
        thread.context("cannot start the store's thread")?;
        Ok(Feeder {
            queue: Some(queue),
            spare,
            end: Some(end),
            is_beside: false,
            shared,
            batch: Batch::default(),
            since: None,
            now: Timestamp::MIN,
            is_live,
            is_verbose,
            patience: PATIENCE,
            name,
        })
    }

    /// Another near end, for records of another thread. What becomes of the store is told to the first one only.
    pub(crate) fn beside(&self) -> Feeder {
        let (_, spare) = sync_channel(0);
        Feeder {
            queue: self.queue.clone(),
            spare,
            end: None,
            is_beside: true,
            shared: Arc::clone(&self.shared),
            batch: Batch::default(),
            since: None,
            now: Timestamp::MIN,
            is_live: self.is_live,
            is_verbose: self.is_verbose,
            patience: self.patience,
            name: self.name.clone(),
        }
    }

    /// A record that became final now.
    ///
    /// # Errors
    /// The store can take nothing more.
    pub(crate) fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        if !self.has_room()? {
            return Ok(());
        }
        let place = Place::from(Moment::tick(self.now));
        let records = &mut self.batch.records;
        match record {
            AnyRecord::Handshake(handshake) => {
                let kind = tcplens_core::batch::Kind::Handshake;
                records.handshake(Place { kind, ..place }, handshake.clone());
            }
            AnyRecord::Connection(connection) => {
                let kind = tcplens_core::batch::Kind::Connection;
                records.connection(Place { kind, ..place }, connection.clone());
            }
            AnyRecord::Request(request) => {
                let kind = tcplens_core::batch::Kind::Request;
                let place = Place { kind, ..place };
                let mut row = request.row.clone();
                let ranges = [&row.operation, &row.summary, &row.status_text].map(Clone::clone);
                [row.operation, row.summary, row.status_text] =
                    records.words(&ranges, request.words);
                match request.extra {
                    Some(extra) => records.kernel_request(place, row, extra.clone()),
                    None => records.request(place, row),
                }
            }
        }
        self.added()
    }

    /// A finding.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub(crate) fn finding(&mut self, finding: &Finding) -> Result<(), SinkEnd> {
        if self.has_room()? {
            self.batch.findings.push(finding.clone());
            return self.added();
        }
        Ok(())
    }

    /// What was seen and lost.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub(crate) fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        if self.has_room()? {
            self.batch.health.push(health.clone());
            return self.added();
        }
        Ok(())
    }

    /// A record of another kind.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub(crate) fn other<R: Record>(&mut self, kind: StoreKind, record: &R) -> Result<(), SinkEnd> {
        if self.has_room()? {
            self.batch.text.encode(record);
            let end = self.batch.text.bytes().len();
            self.batch.lines.push((kind, end));
            return self.added();
        }
        Ok(())
    }

    /// The engine clock is there.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub(crate) fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        self.now = at;
        match self.since {
            Some(since) if at.0.saturating_sub(since.0) >= DELAY => self.send(),
            _ => Ok(()),
        }
    }

    /// Hands over what there is.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub(crate) fn send(&mut self) -> Result<(), SinkEnd> {
        if self.batch.len() == 0 {
            return Ok(());
        }
        let Some(queue) = &self.queue else {
            self.drop_batch();
            return Ok(());
        };
        let next = self.spare.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
        let count = batch.len() as u64;
        // Before the thread may count them as taken.
        lock(&self.shared).handed += count;
        if !self.is_live {
            return match queue.send(batch) {
                Ok(()) => {
                    self.since = None;
                    Ok(())
                }
                Err(_) => self.failure(),
            };
        }
        match queue.try_send(batch) {
            Ok(()) => self.since = None,
            Err(TrySendError::Full(batch)) => {
                lock(&self.shared).handed -= count;
                self.batch = batch;
            }
            // The thread has said why it ended, or has panicked, which was printed.
            Err(TrySendError::Disconnected(_)) => {
                lock(&self.shared).is_over = true;
                self.since = None;
            }
        }
        Ok(())
    }

    /// Waits until the store has taken what there is; of a live run not for ever. What it could not take until now is known
    /// then.
    ///
    /// # Errors
    /// The store can take nothing more.
    pub(crate) fn settle(&mut self) -> Result<(), SinkEnd> {
        if self.queue.is_none() {
            return self.failed_with();
        }
        let (reply, taken) = sync_channel(1);
        self.batch.reply = Some(reply);
        let mut patience = Patience::new(self.patience);
        while let Some(queue) = &self.queue {
            let batch = std::mem::take(&mut self.batch);
            self.since = None;
            let count = batch.len() as u64;
            lock(&self.shared).handed += count;
            match queue.try_send(batch) {
                Ok(()) => break,
                Err(TrySendError::Full(batch)) => {
                    lock(&self.shared).handed -= count;
                    self.batch = batch;
                }
                Err(TrySendError::Disconnected(_)) => return self.failure(),
            }
            if self.is_live && !patience.goes_on(self.progress()) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        loop {
            match taken.recv_timeout(LOOK) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return self.failure(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.is_live && !patience.goes_on(self.progress()) {
                return Ok(());
            }
        }
    }

    /// Nothing more comes: waits until all is stored; of a live run as long as it takes something.
    ///
    /// # Errors
    /// It could not be stored.
    pub(crate) fn finish(&mut self) -> Result<(), SinkEnd> {
        if self.queue.is_none() {
            return self.failed_with();
        }
        let Some(end) = self.end.take() else {
            self.settle()?;
            self.drop_batch();
            self.queue = None;
            return Ok(());
        };
        self.send()?;
        // A live run's, whose store takes nothing.
        self.drop_batch();
        lock(&self.shared).is_closing = true;
        if self.queue.take().is_none() {
            return Ok(());
        }
        let mut patience = Patience::new(self.patience);
        loop {
            match end.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.is_live && !patience.goes_on(self.progress()) {
                lock(&self.shared).is_over = true;
                say(format_args!(
                    "the store in {} has taken nothing for {} s: what waits is not stored",
                    self.name,
                    self.patience.as_secs()
                ));
                return Ok(());
            }
        }
        self.failed_with()?;
        if self.is_verbose {
            let StoreCounters {
                written,
                files,
                bytes,
                ..
            } = self.counters();
            say(format_args!(
                "{written} records in {files} new files of the store in {}, {bytes} bytes",
                self.name
            ));
        }
        Ok(())
    }

    /// The run of capture files ended too soon: of a directory nothing of it is to be seen. What a live run has seen stays. Gives
    /// what is to be told.
    pub(crate) fn abandon(&mut self) -> Option<String> {
        if self.is_live {
            return None;
        }
        lock(&self.shared).is_abandoned = true;
        self.batch.clear();
        if self.queue.take().is_some()
            && let Some(end) = self.end.take()
        {
            // It removes what it has begun; a thread that is gone has.
            let _ = end.recv();
        }
        lock(&self.shared).cut_short.take()
    }

    /// What became of records so far, of all near ends.
    pub(crate) fn counters(&self) -> StoreCounters {
        let shared = lock(&self.shared);
        let mut counters = shared.counters.clone();
        counters.dropped += shared.not_taken;
        if shared.is_over {
            counters.dropped += shared.handed.saturating_sub(shared.taken);
        }
        counters
    }

    /// Whether another near end tells what became of records.
    pub(crate) fn is_beside(&self) -> bool {
        self.is_beside
    }

    fn progress(&self) -> u64 {
        let shared = lock(&self.shared);
        let inside = shared.progress.as_ref();
        shared.rounds + inside.map_or(0, |inside| inside.load(Ordering::Relaxed))
    }

    fn drop_batch(&mut self) {
        lock(&self.shared).not_taken += self.batch.len() as u64;
        self.batch.clear();
    }

    fn has_room(&mut self) -> Result<bool, SinkEnd> {
        if self.batch.is_full() {
            self.send()?;
            if self.batch.is_full() {
                lock(&self.shared).not_taken += 1;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn added(&mut self) -> Result<(), SinkEnd> {
        self.since.get_or_insert(self.now);
        if self.batch.is_full() {
            self.send()
        } else {
            Ok(())
        }
    }

    fn failed_with(&self) -> Result<(), SinkEnd> {
        if self.is_beside {
            return Ok(());
        }
        match lock(&self.shared).failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// The thread is gone.
    fn failure(&mut self) -> Result<(), SinkEnd> {
        self.queue = None;
        lock(&self.shared).is_over = true;
        self.failed_with()
    }
}

impl Drop for Feeder {
    /// The run failed.
    fn drop(&mut self) {
        if self.queue.is_none() {
            return;
        }
        self.abandon();
        if let Err(SinkEnd::Failed(error)) = self.finish() {
            say(error);
        }
    }
}

/// As long as it goes on it is waited for.
struct Patience {
    most: Duration,
    since: Instant,
    progress: Option<u64>,
}

impl Patience {
    fn new(most: Duration) -> Patience {
        Patience {
            most,
            since: Instant::now(),
            progress: None,
        }
    }

    fn goes_on(&mut self, progress: u64) -> bool {
        if self.progress.replace(progress) != Some(progress) {
            self.since = Instant::now();
        }
        self.since.elapsed() < self.most
    }
}

/// What was told is whole whatever happened to whom told it.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
