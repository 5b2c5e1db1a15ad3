//! `--archive`: what was seen of sockets goes to tcp-info's files, on a thread of its own. The loop never waits for a disk: what
//! the thread has not taken yet waits here, and beyond a bound it is dropped, and counted.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_capture::clock;
use tcplens_core::anonymize::Anonymize;
use tcplens_core::record::Word;
use tcplens_core::socket::message::{HEAD, Message};
use tcplens_core::socket::metrics::ArchiveTotals;
use tcplens_core::socket::{Ended as Why, local};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;
use tcplens_output::archive::{Archive, ArchiveCounters, ArchiveSettings, Final};

use super::{Change, Consumer, Ended, Polled, Snapshot};
use crate::say::say;

/// Batches on their way.
const QUEUE: usize = 4;
/// Bytes from which on a batch goes out without waiting for the end of a look.
const BATCH: usize = 256 << 10;
/// Bytes that wait while the thread takes nothing: with 600 for each, 100,000 sockets that changed.
const MOST: usize = 64 << 20;
/// How often the writer looks at the time without anything to write.
const TICK: Duration = Duration::from_millis(250);
/// How often to look, at the end, whether it goes on.
const LOOK: Duration = Duration::from_millis(50);
/// How long, at the end, a disk may take nothing before it is given up. Chosen: long enough for one that has to wake up or to sync;
/// as long as it takes something it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub(crate) struct Archiver {
    queue: Option<SyncSender<Batch>>,
    /// Tells when all is written.
    end: Receiver<ArchiveCounters>,
    is_over: bool,
    /// Lines that the thread was given.
    given: u64,
    patience: Duration,
    batch: Batch,
    anonymize: Anonymize,
    includes_local: bool,
    counts: Arc<ArchiveCounts>,
    written: ArchiveCounters,
    directory: String,
    /// Nothing is said at the end.
    is_quiet: bool,
}

/// What has become of lines, for whoever asks meanwhile.
#[derive(Debug, Default)]
pub(crate) struct ArchiveCounts {
    files: AtomicU64,
    failures: AtomicU64,
    /// Could not be written.
    unwritten: AtomicU64,
    /// Were written.
    written: AtomicU64,
    /// Found no room on their way to the thread.
    not_taken: AtomicU64,
}

impl ArchiveCounts {
    /// So far.
    pub(crate) fn totals(&self) -> ArchiveTotals {
        ArchiveTotals {
            files: self.files.load(Relaxed),
            failures: self.failures.load(Relaxed),
            dropped: self.unwritten.load(Relaxed) + self.not_taken.load(Relaxed),
        }
    }

    fn lose(&self, lines: u64) {
        self.not_taken.fetch_add(lines, Relaxed);
    }

    fn take(&self, counters: &ArchiveCounters) {
        self.files.store(counters.files, Relaxed);
        self.failures.store(counters.failures, Relaxed);
        self.unwritten.store(counters.dropped, Relaxed);
        self.written.store(counters.written, Relaxed);
    }

    /// Lines that the thread is done with; and attempts to write, which are no rest either.
    fn done(&self) -> (u64, u64) {
        let lines = self.written.load(Relaxed) + self.unwritten.load(Relaxed);
        (lines, self.failures.load(Relaxed))
    }
}

/// What the loop saw.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    bytes: Vec<u8>,
}

struct Item {
    at: Timestamp,
    first_seen: Timestamp,
    cookie: u64,
    /// In the batch's bytes.
    message: Range<usize>,
    ended: Option<Final>,
}

impl Archiver {
    /// Begins to write; `counts` are kept up to date.
    ///
    /// # Errors
    /// The directory cannot be made, or there is no thread or memory for it.
    pub(crate) fn start(
        settings: ArchiveSettings,
        anonymize: Anonymize,
        includes_local: bool,
        counts: Arc<ArchiveCounts>,
    ) -> Result<Archiver> {
        let directory = settings.directory.display().to_string();
        let archive = Archive::new(settings)
            .with_context(|| format!("cannot begin the archive in {directory}"))?;
        let work = move |batches: Receiver<Batch>, counts: &ArchiveCounts| {
            write(archive, &batches, counts)
        };
        let archiver =
            Archiver::working(work, counts).context("cannot start the archive's thread")?;
        Ok(Archiver {
            anonymize,
            includes_local,
            directory,
            ..archiver
        })
    }

    /// With a thread that does this.
    fn working(
        work: impl FnOnce(Receiver<Batch>, &ArchiveCounts) -> ArchiveCounters + Send + 'static,
        counts: Arc<ArchiveCounts>,
    ) -> io::Result<Archiver> {
        let (queue, batches) = sync_channel(QUEUE);
        let (ended, end) = sync_channel(1);
        let of_writer = Arc::clone(&counts);
        Builder::new().name("archive".into()).spawn(move || {
            let counters = work(batches, &of_writer);
            // Whoever waited for it may have given up.
            let _ = ended.send(counters);
        })?;
        Ok(Archiver {
            queue: Some(queue),
            end,
            is_over: false,
            given: 0,
            patience: PATIENCE,
            batch: Batch::default(),
            anonymize: Anonymize::default(),
            includes_local: false,
            counts,
            written: ArchiveCounters::default(),
            directory: String::new(),
            is_quiet: false,
        })
    }

    /// Nothing is said at the end.
    pub(crate) fn quiet(self, is_quiet: bool) -> Archiver {
        Archiver { is_quiet, ..self }
    }

    fn take(
        &mut self,
        at: Timestamp,
        first_seen: Timestamp,
        message: Message<'_>,
        ended: Option<Final>,
    ) {
        if !self.includes_local && local::is_local(message) {
            return;
        }
        if self.batch.bytes.len() >= MOST {
            self.send();
            if self.batch.bytes.len() >= MOST {
                self.counts.lose(1);
                return;
            }
        }
        let mut head: [u8; HEAD] = *message.head();
        self.anonymize.head(&mut head);
        let bytes = &mut self.batch.bytes;
        let begin = bytes.len();
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(message.attribute_bytes());
        let message_at = begin..bytes.len();
        self.batch.items.push(Item {
            at,
            first_seen,
            cookie: message.cookie(),
            message: message_at,
            ended,
        });
        if self.batch.bytes.len() >= BATCH {
            self.send();
        }
    }

    /// Hands over what there is, if the writer has room for it.
    fn send(&mut self) {
        let Some(queue) = self.queue.as_ref().filter(|_| !self.batch.items.is_empty()) else {
            return;
        };
        let lines = self.batch.items.len() as u64;
        match queue.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => self.given += lines,
            Err(TrySendError::Full(batch)) => self.batch = batch,
            // The thread has panicked, which was printed; nothing is written any more.
            Err(TrySendError::Disconnected(batch)) => self.counts.lose(batch.items.len() as u64),
        }
    }
}

impl Consumer for Archiver {
    fn wants_records(&self) -> bool {
        false
    }

    fn snapshot(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SinkEnd> {
        let first_seen = snapshot.seen.entry.first_seen;
        self.take(snapshot.at, first_seen, snapshot.message, None);
        Ok(())
    }

    fn changed(&mut self, change: &Change) {
        self.anonymize = change.anonymize.clone();
        self.includes_local = change.includes_local;
    }

    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        // Of one that is open yet the last look is kept, for the save rule may have passed over what it counted.
        let (end, summary) = (ended.end, ended.summary);
        let last = Final {
            reason: summary.close.word().map(str::to_owned),
            duration: summary.duration_us,
            polls: Some(summary.polls),
            snapshots: Some(summary.snapshots),
        };
        // One that no look has seen began when it was opened, where that was told.
        let first_seen = match end.entry.polls {
            0 => summary.time,
            _ => end.entry.first_seen,
        };
        let at = match end.ended {
            Why::Open => end.entry.last_seen,
            Why::Destroyed | Why::Vanished => end.at,
        };
        self.take(at, first_seen, end.message, Some(last));
        Ok(())
    }

    fn polled(&mut self, _: &mut Polled<'_>) -> Result<(), SinkEnd> {
        self.send();
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.send();
        Ok(())
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.close();
        Ok(())
    }

    /// Waits until all is written, as long as something is. What a disk that takes nothing any more still had to take counts as
    /// dropped.
    fn close(&mut self) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        let mut since = Instant::now();
        let mut done = self.counts.done();
        loop {
            // What waits here goes first; then the thread is to end.
            if self.queue.is_some() {
                self.send();
                if self.batch.items.is_empty() {
                    self.queue = None;
                }
            }
            match self.end.recv_timeout(LOOK) {
                Ok(counters) => {
                    self.written = counters;
                    return;
                }
                // It has panicked, which was printed.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.counts.done();
            if now != done {
                (since, done) = (Instant::now(), now);
            } else if since.elapsed() >= self.patience {
                say(format_args!(
                    "the archive in {} has taken nothing for {} s: what waits is not written",
                    self.directory,
                    self.patience.as_secs()
                ));
                break;
            }
        }
        let waiting = self.batch.items.len() as u64;
        let (done, _) = self.counts.done();
        self.counts.lose(waiting + self.given.saturating_sub(done));
    }

    fn dropped(&self) -> u64 {
        self.counts.totals().dropped
    }

    fn destination(&self) -> &'static str {
        "archive"
    }

    fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        let ArchiveCounters {
            forgotten,
            attributes_left_out,
            ..
        } = self.written;
        let hits = [
            ("archive_connections", forgotten),
            ("archive_attributes", attributes_left_out),
        ];
        hits.into_iter().filter(|(_, hits)| *hits > 0).collect()
    }

    fn finish(self: Box<Self>) -> Result<(), SinkEnd> {
        let ArchiveCounters {
            files,
            records,
            bytes,
            ..
        } = self.written;
        if self.is_quiet {
            return Ok(());
        }
        say(format_args!(
            "{records} records in {files} new files in {}, {bytes} bytes",
            self.directory
        ));
        Ok(())
    }
}

/// The writer's thread: until nothing more comes.
fn write(
    mut archive: Archive,
    batches: &Receiver<Batch>,
    counts: &ArchiveCounts,
) -> ArchiveCounters {
    loop {
        let batch = match batches.recv_timeout(TICK) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => Batch::default(),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        for item in &batch.items {
            let bytes = batch.bytes.get(item.message.clone());
            let Some(message) = bytes.and_then(Message::new) else {
                continue;
            };
            let (at, first_seen, cookie) = (item.at, item.first_seen, item.cookie);
            match &item.ended {
                Some(ended) => archive.ended(at, first_seen, cookie, Some(message), ended),
                None => archive.snapshot(at, first_seen, cookie, message),
            }
        }
        archive.tick(clock::now());
        counts.take(archive.counters());
        if let Some(trouble) = archive.take_trouble() {
            say(trouble);
        }
    }
    let counters = archive.finish_telling(&mut |counters| counts.take(counters));
    counts.take(&counters);
    if let Some(trouble) = archive.take_trouble() {
        say(trouble);
    }
    counters
}

#[cfg(test)]
mod tests;
