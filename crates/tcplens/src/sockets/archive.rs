//! `--archive`: what was seen of sockets goes to tcp-info's files, on a thread of its own. The loop never waits for a disk: what
//! the thread has not taken yet waits here, and beyond a bound it is dropped, and counted.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

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

/// See the module.
pub(crate) struct Archiver {
    queue: Option<SyncSender<Batch>>,
    writer: Option<JoinHandle<ArchiveCounters>>,
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
        let (queue, batches) = sync_channel(QUEUE);
        let of_writer = Arc::clone(&counts);
        let writer = Builder::new()
            .name("archive".into())
            .spawn(move || write(archive, &batches, &of_writer))
            .context("cannot start the archive's thread")?;
        Ok(Archiver {
            queue: Some(queue),
            writer: Some(writer),
            batch: Batch::default(),
            anonymize,
            includes_local,
            counts,
            written: ArchiveCounters::default(),
            directory,
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
        match queue.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => {}
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

    /// Waits until all is written.
    fn close(&mut self) {
        if let Some(queue) = self.queue.take() {
            let batch = std::mem::take(&mut self.batch);
            let lost = batch.items.len() as u64;
            if queue.send(batch).is_err() {
                self.counts.lose(lost);
            }
        }
        let Some(writer) = self.writer.take() else {
            return;
        };
        match writer.join() {
            Ok(counters) => self.written = counters,
            // It has panicked, which was printed: nobody knows how much it had not written.
            Err(_) => self.counts.lose(1),
        }
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
    let counters = archive.finish();
    counts.take(&counters);
    if let Some(trouble) = archive.take_trouble() {
        say(trouble);
    }
    counters
}
