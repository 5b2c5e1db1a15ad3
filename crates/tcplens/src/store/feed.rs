//! The way to a store: batches of records over a bounded queue to a thread of its own, for a disk or a server may be slow. Live, what
//! finds no room is dropped and counted; of capture files reading waits.
//!
//! Bounded: [`QUEUE`] batches of [`BATCH`] records, or [`BATCH_BYTES`] of lines.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_capture::clock;
use tcplens_core::batch::{AnyRecord, Moment, Place, Records};
use tcplens_core::record::{Finding, Health, Record};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::store::{StoreCounters, StoreKind, StoreRecord, StoreSink};
use tcplens_output::{Jsonl, SinkEnd};

use crate::say::say;

/// Batches on their way.
const QUEUE: usize = 64;
/// Records of a batch. With the queue 64 Ki, and with 500 bytes for each 32 MB.
const BATCH: usize = 1024;
/// Bytes of lines of a batch.
const BATCH_BYTES: usize = 512 << 10;
/// How long records wait for their batch to be full, in ns of the engine clock.
const DELAY: i64 = SECOND / 5;
/// How often the store is told the time when nothing comes.
const TICK: Duration = Duration::from_millis(200);
/// How often to look, at the end, whether it goes on.
const LOOK: Duration = Duration::from_millis(50);
/// How long, at the end of a live run, a store may take nothing before it is given up.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// What the thread tells.
#[derive(Default)]
struct Shared {
    counters: StoreCounters,
    /// Why it ended before its time.
    failure: Option<SinkEnd>,
    /// Batches that it took.
    taken: u64,
    /// The run ended too soon.
    is_abandoned: bool,
    /// What is to be told of that.
    cut_short: Option<String>,
}

/// The near end of the way.
pub(crate) struct Feeder {
    queue: Option<SyncSender<Batch>>,
    /// Batches that were taken, to be filled again.
    spare: Receiver<Batch>,
    /// Tells when all is written.
    end: Receiver<()>,
    shared: Arc<Mutex<Shared>>,
    batch: Batch,
    /// When the first record of the batch came, by the engine clock.
    since: Option<Timestamp>,
    now: Timestamp,
    /// Records that found no room.
    not_taken: u64,
    is_live: bool,
    is_verbose: bool,
    name: String,
}

impl Feeder {
    /// Begins; `name` of the store is for messages.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(
        sink: Box<dyn StoreSink>,
        name: String,
        is_live: bool,
        is_verbose: bool,
    ) -> Result<Feeder> {
        let (queue, batches) = sync_channel(QUEUE);
        let (back, spare) = sync_channel(QUEUE);
        let (ended, end) = sync_channel(1);
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let told = Arc::clone(&shared);
        let work = move || {
            take(sink, &batches, &back, &told, is_verbose);
            // Whoever waited for it may have given up.
            let _ = ended.send(());
        };
        let thread = Builder::new().name("store".into()).spawn(work);
        thread.context("cannot start the store's thread")?;
        Ok(Feeder {
            queue: Some(queue),
            spare,
            end,
            shared,
            batch: Batch::default(),
            since: None,
            now: Timestamp::MIN,
            not_taken: 0,
            is_live,
            is_verbose,
            name,
        })
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
            self.not_taken += self.batch.len() as u64;
            self.batch.clear();
            return Ok(());
        };
        let next = self.spare.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
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
            Err(TrySendError::Full(batch)) => self.batch = batch,
            // The thread has panicked, which was printed; nothing is stored any more.
            Err(TrySendError::Disconnected(batch)) => self.not_taken += batch.len() as u64,
        }
        Ok(())
    }

    /// Waits until the store has taken what there is; of a live run not for ever. What it could not take until now is known
    /// then.
    pub(crate) fn settle(&mut self) -> Result<(), SinkEnd> {
        if self.queue.is_none() {
            return self.failed_with();
        }
        let (reply, taken) = sync_channel(1);
        self.batch.reply = Some(reply);
        let mut patience = Patience::new();
        while let Some(queue) = &self.queue {
            let batch = std::mem::take(&mut self.batch);
            self.since = None;
            match queue.try_send(batch) {
                Ok(()) => break,
                Err(TrySendError::Full(batch)) => self.batch = batch,
                Err(TrySendError::Disconnected(_)) => return self.failure(),
            }
            if self.is_live && !patience.goes_on(self.taken()) {
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
            if self.is_live && !patience.goes_on(self.taken()) {
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
        self.send()?;
        if self.batch.len() > 0 {
            // A live run's, whose store takes nothing.
            self.not_taken += self.batch.len() as u64;
            self.batch.clear();
        }
        if self.queue.take().is_none() {
            return Ok(());
        }
        let mut patience = Patience::new();
        loop {
            match self.end.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.is_live && !patience.goes_on(self.taken()) {
                say(format_args!(
                    "the store in {} has taken nothing for {} s: what waits is not stored",
                    self.name,
                    PATIENCE.as_secs()
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
        if self.queue.take().is_some() {
            // It removes what it has begun; a thread that is gone has.
            let _ = self.end.recv();
        }
        lock(&self.shared).cut_short.take()
    }

    /// What became of records so far.
    pub(crate) fn counters(&self) -> StoreCounters {
        let mut counters = lock(&self.shared).counters.clone();
        counters.dropped += self.not_taken;
        counters
    }

    /// Records that the store did not take.
    pub(crate) fn dropped(&self) -> u64 {
        self.counters().dropped
    }

    fn taken(&self) -> u64 {
        lock(&self.shared).taken
    }

    fn has_room(&mut self) -> Result<bool, SinkEnd> {
        if self.batch.is_full() {
            self.send()?;
            if self.batch.is_full() {
                self.not_taken += 1;
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
        match lock(&self.shared).failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// The thread is gone.
    fn failure(&mut self) -> Result<(), SinkEnd> {
        self.queue = None;
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

/// As long as something is taken it goes on.
struct Patience {
    since: Instant,
    taken: u64,
}

impl Patience {
    fn new() -> Patience {
        Patience {
            since: Instant::now(),
            taken: u64::MAX,
        }
    }

    fn goes_on(&mut self, taken: u64) -> bool {
        if taken != self.taken {
            *self = Patience {
                since: Instant::now(),
                taken,
            };
        }
        self.since.elapsed() < PATIENCE
    }
}

/// What was told is whole whatever happened to whom told it.
fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store's thread: until nothing more comes, or it can take nothing more.
fn take(
    mut sink: Box<dyn StoreSink>,
    batches: &Receiver<Batch>,
    back: &SyncSender<Batch>,
    shared: &Mutex<Shared>,
    is_verbose: bool,
) {
    let end = loop {
        let tell = |sink: &mut dyn StoreSink| {
            while let Some(trouble) = sink.take_trouble() {
                say(trouble);
            }
            while let Some(note) = sink.take_note() {
                if is_verbose {
                    say(note);
                }
            }
        };
        let batch = match batches.recv_timeout(TICK) {
            Ok(batch) => Some(batch),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                if lock(shared).is_abandoned {
                    break Ok(());
                }
                let end = sink.finish();
                tell(&mut *sink);
                break end;
            }
        };
        let stored = batch
            .as_ref()
            .map_or(Ok(()), |batch| store(&mut *sink, batch));
        let stored = stored.and_then(|()| sink.tick(clock::now()));
        tell(&mut *sink);
        {
            let mut shared = lock(shared);
            shared.taken += 1;
            shared.counters = sink.counters();
        }
        if stored.is_err() {
            break stored;
        }
        if let Some(mut batch) = batch {
            if let Some(reply) = batch.reply.take() {
                // Whoever waited for it may have given up.
                let _ = reply.send(());
            }
            batch.clear();
            // One more is as good.
            let _ = back.try_send(batch);
        }
    };
    let mut shared = lock(shared);
    shared.counters = sink.counters();
    shared.cut_short = Some(sink.cut_short());
    shared.failure = end.err();
}

fn store(sink: &mut dyn StoreSink, batch: &Batch) -> Result<(), SinkEnd> {
    for n in 0..batch.records.len() {
        if let Some((place, record)) = batch.records.get(n) {
            sink.write(StoreRecord::Any(record), place.at.clock)?;
        }
    }
    let at = Timestamp::MAX;
    for finding in &batch.findings {
        sink.write(StoreRecord::Finding(finding), at)?;
    }
    for health in &batch.health {
        sink.write(StoreRecord::Health(health), at)?;
    }
    let mut begin = 0;
    for &(kind, end) in &batch.lines {
        let line = batch.text.bytes().get(begin..end).unwrap_or_default();
        sink.write(StoreRecord::Line(kind, line.trim_ascii_end()), at)?;
        begin = end;
    }
    Ok(())
}
