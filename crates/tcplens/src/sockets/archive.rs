//! `--archive`: what was seen of sockets goes to tcp-info's files, on a thread of its own. The loop never waits for a disk: what
//! the thread has not taken yet waits here, and beyond a bound it is dropped, and counted.

use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use tcplens_capture::clock;
use tcplens_core::anonymize::Anonymize;
use tcplens_core::record::{Health, Word};
use tcplens_core::socket::message::{HEAD, Message};
use tcplens_core::socket::{Ended as Why, local};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;
use tcplens_output::archive::{Archive, ArchiveCounters, ArchiveSettings, Final};

use super::{Consumer, Ended, Polled, Snapshot};
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
    /// Found no room, or could not be written.
    dropped: u64,
    written: ArchiveCounters,
    directory: String,
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
    /// Begins to write.
    ///
    /// # Errors
    /// The directory cannot be made, or there is no thread or memory for it.
    pub(crate) fn start(
        settings: ArchiveSettings,
        anonymize: Anonymize,
        includes_local: bool,
    ) -> Result<Archiver> {
        let directory = settings.directory.display().to_string();
        let archive = Archive::new(settings)
            .with_context(|| format!("cannot begin the archive in {directory}"))?;
        let (queue, batches) = sync_channel(QUEUE);
        let writer = Builder::new()
            .name("archive".into())
            .spawn(move || write(archive, &batches))
            .context("cannot start the archive's thread")?;
        Ok(Archiver {
            queue: Some(queue),
            writer: Some(writer),
            batch: Batch::default(),
            anonymize,
            includes_local,
            dropped: 0,
            written: ArchiveCounters::default(),
            directory,
        })
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
                self.dropped += 1;
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
            Err(TrySendError::Disconnected(batch)) => self.dropped += batch.items.len() as u64,
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

    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        // One that is open yet was written when it changed last.
        if ended.end.ended == Why::Open {
            return Ok(());
        }
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
        self.take(end.at, first_seen, end.message, Some(last));
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

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }

    fn shown(&self) -> u64 {
        0
    }

    fn health(&mut self, _: &Health) -> Result<(), SinkEnd> {
        Ok(())
    }

    /// Waits until all is written: it is the last thing that is done, and nothing else waits for it.
    fn settle(&mut self) -> Result<(), SinkEnd> {
        if let Some(queue) = self.queue.take() {
            let batch = std::mem::take(&mut self.batch);
            let lost = batch.items.len() as u64;
            if queue.send(batch).is_err() {
                self.dropped += lost;
            }
        }
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        match writer.join() {
            Ok(counters) => {
                self.dropped += counters.dropped;
                self.written = counters;
            }
            // It has panicked, which was printed: nobody knows how much it had not written.
            Err(_) => self.dropped += 1,
        }
        Ok(())
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn finish(self: Box<Self>) -> Result<(), SinkEnd> {
        let ArchiveCounters {
            files,
            records,
            bytes,
            ..
        } = self.written;
        say(format_args!(
            "{records} records in {files} new files in {}, {bytes} bytes",
            self.directory
        ));
        Ok(())
    }
}

/// The writer's thread: until nothing more comes.
fn write(mut archive: Archive, batches: &Receiver<Batch>) -> ArchiveCounters {
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
        if let Some(trouble) = archive.take_trouble() {
            say(trouble);
        }
    }
    let counters = archive.finish();
    if let Some(trouble) = archive.take_trouble() {
        say(trouble);
    }
    counters
}
