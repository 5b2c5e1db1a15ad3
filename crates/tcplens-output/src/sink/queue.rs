//! A destination behind a queue, for live packets: a reader that stops reading, or a disk that stops writing, must not hold
//! up who captures. A thread of its own writes; what finds no room in the queue is dropped, whole lines of it, and counted.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Sink, SinkEnd};

/// Bytes that wait to be written. Chosen: some seconds of a stalled disk.
const BYTES: u64 = 16 << 20;
/// Pieces that they come in.
const PIECES: usize = 4096;
/// What was written is readable by others after so long, also in compressed files.
const SYNC: Duration = Duration::from_secs(1);
/// How often to look whether there is room.
const LOOK: Duration = Duration::from_millis(1);
/// How long the end waits for a destination that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way into the queue.
pub(super) struct Queue {
    /// Of the destination, for messages.
    name: String,
    to: SyncSender<Message>,
    shared: Arc<Shared>,
    /// What the thread gets that is not there yet: it begins with the first piece, when privileges have been dropped.
    unused: Option<(Box<Sink>, Receiver<Message>)>,
    /// Asked for, and not told yet for want of room.
    is_rotation_due: bool,
    is_reopening_due: bool,
    /// The destination took nothing for too long at the end: nobody waits for it any more.
    is_given_up: bool,
}

enum Message {
    /// Whole lines, and how many.
    Bytes(Vec<u8>, u64),
    Rotate,
    Reopen,
    Finish,
}

/// What both sides know.
#[derive(Default)]
struct Shared {
    /// Bytes that wait.
    waiting: AtomicU64,
    /// Lines that wait.
    lines: AtomicU64,
    /// Bytes of the current file.
    size: AtomicU64,
    /// What the user should know, once.
    trouble: Mutex<Option<String>>,
    /// Lines that were dropped.
    dropped: AtomicU64,
    /// How the destination ended; `Some(Ok)` when all is written.
    end: Mutex<Option<Result<(), SinkEnd>>>,
}

impl Queue {
    /// A queue in front of `sink`.
    pub(super) fn new(sink: Sink) -> Queue {
        let shared = Arc::new(Shared::default());
        let (to, from) = sync_channel(PIECES);
        Queue {
            name: sink.name.clone(),
            to,
            shared,
            unused: Some((Box::new(sink), from)),
            is_rotation_due: false,
            is_reopening_due: false,
            is_given_up: false,
        }
    }

    /// Starts the thread that writes.
    fn start(&mut self) {
        if let Some((sink, from)) = self.unused.take() {
            let shared = Arc::clone(&self.shared);
            // Not joined: it may wait for a reader that never reads.
            std::thread::spawn(move || {
                let end = write_all(*sink, &from, &shared);
                *lock(&shared.end) = Some(end);
            });
        }
    }

    /// Hands over whole lines, or drops them.
    ///
    /// # Errors
    /// Why the destination takes nothing more.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), SinkEnd> {
        if lines.is_empty() {
            return self.check();
        }
        self.start();
        let length = lines.len() as u64;
        let count = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let waiting = self.shared.waiting.fetch_add(length, Ordering::Relaxed);
        self.shared.lines.fetch_add(count, Ordering::Relaxed);
        let is_room = waiting < BYTES && !self.is_given_up && self.tell_what_is_due();
        let message = || Message::Bytes(lines.to_vec(), count);
        if !is_room || self.to.try_send(message()).is_err() {
            self.shared.waiting.fetch_sub(length, Ordering::Relaxed);
            self.shared.lines.fetch_sub(count, Ordering::Relaxed);
            self.check()?;
            self.shared.dropped.fetch_add(count, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until half of the room is free, for `most` at most; nothing is dropped for it.
    pub(super) fn wait_for_room(&self, most: Duration) {
        let end = Instant::now() + most;
        while self.shared.waiting.load(Ordering::Relaxed) > BYTES / 2 && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
    }

    /// The next file of the series begins behind what was handed over.
    pub(super) fn rotate(&mut self) {
        self.is_rotation_due = true;
        self.tell_what_is_due();
    }

    /// The file is opened anew behind what was handed over.
    pub(super) fn reopen(&mut self) {
        self.is_reopening_due = true;
        self.tell_what_is_due();
    }

    /// Bytes of the current file, as far as it was written.
    pub(super) fn size(&self) -> u64 {
        self.shared.size.load(Ordering::Relaxed)
    }

    /// Lines that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// What the user should know, once.
    pub(super) fn take_trouble(&self) -> Option<String> {
        lock(&self.shared.trouble).take()
    }

    /// Waits until what was handed over is written, but not for ever: what is not then, counts as dropped.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) fn settle(&mut self) -> Result<(), SinkEnd> {
        let until = Instant::now() + PATIENCE;
        while self.shared.lines.load(Ordering::Relaxed) > 0 {
            self.check()?;
            if Instant::now() >= until {
                let lost = self.shared.lines.swap(0, Ordering::Relaxed);
                self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
                self.is_given_up = true;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.check()
    }

    /// Waits until all is written, but not for ever.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) fn finish(mut self) -> Result<(), SinkEnd> {
        if let Some((sink, _)) = self.unused.take() {
            return sink.finish();
        }
        let until = Instant::now() + PATIENCE;
        let mut is_told = false;
        while !self.is_given_up {
            if let Some(end) = lock(&self.shared.end).take() {
                return end;
            }
            if !is_told {
                is_told = self.tell_what_is_due() && self.to.try_send(Message::Finish).is_ok();
            }
            if Instant::now() >= until {
                let why = format!("nothing was taken for {} s", PATIENCE.as_secs());
                let error = io::Error::new(ErrorKind::TimedOut, why);
                return Err(SinkEnd::write(&self.name, &error));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), SinkEnd> {
        match lock(&self.shared.end).take() {
            Some(end) => end,
            None => Ok(()),
        }
    }

    /// Whether all that was asked for is in the queue.
    fn tell_what_is_due(&mut self) -> bool {
        let due = [
            (&mut self.is_rotation_due, Message::Rotate),
            (&mut self.is_reopening_due, Message::Reopen),
        ];
        for (is_due, message) in due {
            if *is_due {
                match self.to.try_send(message) {
                    Ok(()) => *is_due = false,
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return false,
                }
            }
        }
        true
    }
}

/// The thread's work: writes until the end, or until nothing more can be written.
fn write_all(mut sink: Sink, from: &Receiver<Message>, shared: &Shared) -> Result<(), SinkEnd> {
    let mut synced = Instant::now();
    let mut is_synced = true;
    loop {
        let message = match from.recv_timeout(SYNC) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return sink.finish(),
        };
        match message {
            Some(Message::Bytes(bytes, lines)) => {
                sink.write(&bytes)?;
                sink.flush()?;
                // Given up meanwhile: then they are counted already.
                let left = |waiting: u64| Some(waiting.saturating_sub(lines));
                let _ = shared
                    .lines
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
                shared
                    .waiting
                    .fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                is_synced = false;
            }
            Some(Message::Rotate) => sink.rotate()?,
            Some(Message::Reopen) => {
                // The old file is still there to be written to.
                if let Err(error) = sink.reopen() {
                    *lock(&shared.trouble) =
                        Some(format!("{error}; lines go on into the old file"));
                }
            }
            Some(Message::Finish) => return sink.finish(),
            None => {}
        }
        if !is_synced && synced.elapsed() >= SYNC {
            sink.sync()?;
            synced = Instant::now();
            is_synced = true;
        }
        shared.size.store(sink.size(0), Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
