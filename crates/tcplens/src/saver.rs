//! `-w`: the packets that were looked at, in a file or a row of files. Live ones go through a queue to a thread that writes,
//! so that a slow disk does not hold up capture; what finds no room there is not saved, and counted.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tcplens_capture::file::{CaptureWriter, FileError, Written};
use tcplens_core::packet::{Batch, Interface, Packet};
use tcplens_output::sink::Series;
use tcplens_output::units::Rotate;

use crate::say::say;

/// Bytes of packets gathered before they are handed over.
const PIECE: usize = 256 * 1024;
/// Bytes of packets that wait to be written. Chosen: as much as the ring holds.
const WAITING: u64 = 64 << 20;
/// Pieces that they come in.
const PIECES: usize = 1024;
/// How long the end waits for a file that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// What was saved is readable by others after so long.
const FLUSH: Duration = Duration::from_secs(1);

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Saved {
    /// What the files hold.
    pub written: Written,
    /// Packets that found no room on their way to the file.
    pub unsaved: u64,
}

/// See the module.
pub(crate) enum Saver {
    Direct(Box<Files>),
    Queued(Queue),
}

impl Saver {
    /// Creates the file.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn create(path: &Path, rotate: Option<Rotate>, is_live: bool) -> Result<Saver> {
        let files = Files::create(path, rotate)?;
        Ok(if is_live {
            Saver::Queued(Queue::new(files))
        } else {
            Saver::Direct(Box::new(files))
        })
    }

    /// Saves a packet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(
        &mut self,
        packet: &Packet,
        data: &[u8],
        interfaces: &[Interface],
    ) -> Result<()> {
        match self {
            Saver::Direct(files) => files.write(packet, data, interfaces),
            Saver::Queued(queue) => queue.write(packet, data, interfaces),
        }
    }

    /// Hands over what there is. `is_reopening_due`: files may have been moved.
    ///
    /// # Errors
    /// The file could not be written.
    pub(crate) fn tick(&mut self, is_reopening_due: bool) -> Result<()> {
        match self {
            Saver::Direct(_) => Ok(()),
            Saver::Queued(queue) => {
                queue.is_reopening_due |= is_reopening_due;
                queue.hand_over();
                queue.check()
            }
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn finish(self) -> Result<Saved> {
        match self {
            Saver::Direct(files) => Ok(Saved {
                written: files.finish()?,
                unsaved: 0,
            }),
            Saver::Queued(queue) => queue.finish(),
        }
    }
}

/// The file that is written, and those before it.
pub(crate) struct Files {
    path: PathBuf,
    series: Option<Series>,
    writer: CaptureWriter,
    /// Device and inode of the file, if it is no series.
    identity: Option<(u64, u64)>,
    /// What the files before it hold.
    before: Written,
}

impl Files {
    fn create(path: &Path, rotate: Option<Rotate>) -> Result<Files> {
        let is_stdout = path.as_os_str() == "-";
        let rotate = rotate.filter(|_| !is_stdout);
        let mut series = rotate.map(|rotate| Series::new(path, rotate)).transpose()?;
        let writer = match &mut series {
            Some(series) => next(series)?,
            None => CaptureWriter::create(path)?,
        };
        Ok(Files {
            path: path.to_owned(),
            identity: identity(path),
            series,
            writer,
            before: Written::default(),
        })
    }

    fn write(&mut self, packet: &Packet, data: &[u8], interfaces: &[Interface]) -> Result<()> {
        if let Some(series) = &mut self.series
            && series.is_due(Some(packet.time), self.writer.size())
        {
            let next = next(series)?;
            self.replace(next)?;
        }
        Ok(self.writer.write(packet, data, interfaces)?)
    }

    /// Goes on in a new file if the old one was moved: a capture file has a header and cannot be appended to.
    fn reopen(&mut self) -> Result<()> {
        if let Some(series) = &mut self.series {
            let next = next(series)?;
            return self.replace(next);
        }
        if self.path.as_os_str() == "-" || identity(&self.path) == self.identity {
            return Ok(());
        }
        let next = CaptureWriter::create(&self.path)?;
        self.identity = identity(&self.path);
        self.replace(next)
    }

    fn replace(&mut self, next: CaptureWriter) -> Result<()> {
        let finished = std::mem::replace(&mut self.writer, next).finish()?;
        self.before = sum(self.before, finished);
        Ok(())
    }

    fn finish(self) -> Result<Written> {
        Ok(sum(self.before, self.writer.finish()?))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn next(series: &mut Series) -> Result<CaptureWriter> {
    let (path, _) = series.next_file()?;
    // It is there and empty: nobody else has it.
    Ok(CaptureWriter::over(&path, |path| {
        OpenOptions::new().write(true).open(path)
    })?)
}

fn sum(one: Written, other: Written) -> Written {
    Written {
        packets: one.packets + other.packets,
        clamped_times: one.clamped_times + other.clamped_times,
        cut_packets: one.cut_packets + other.cut_packets,
    }
}

/// The way to the thread that writes.
pub(crate) struct Queue {
    /// What is gathered.
    batch: Batch,
    to: SyncSender<Piece>,
    waiting: Arc<AtomicU64>,
    /// Packets that wait.
    packets: Arc<AtomicU64>,
    unsaved: u64,
    is_reopening_due: bool,
    /// Begins with the first piece, when privileges have been dropped.
    unused: Option<(Box<Files>, Receiver<Piece>)>,
    thread: Option<JoinHandle<Result<Saved>>>,
}

struct Piece {
    batch: Batch,
    is_reopening_due: bool,
}

impl Queue {
    fn new(files: Files) -> Queue {
        let (to, from) = sync_channel(PIECES);
        Queue {
            batch: Batch::default(),
            to,
            waiting: Arc::default(),
            packets: Arc::default(),
            unsaved: 0,
            is_reopening_due: false,
            unused: Some((Box::new(files), from)),
            thread: None,
        }
    }

    fn write(&mut self, packet: &Packet, data: &[u8], interfaces: &[Interface]) -> Result<()> {
        if self.batch.interfaces.len() != interfaces.len() {
            self.batch.interfaces = Arc::new(interfaces.to_vec());
        }
        let at = self.batch.bytes.len() as u32;
        self.batch.bytes.extend_from_slice(data);
        self.batch.packets.push(Packet {
            at,
            captured: data.len() as u32,
            ..*packet
        });
        if self.batch.bytes.len() >= PIECE {
            self.hand_over();
            return self.check();
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        if let Some((files, from)) = self.unused.take() {
            let waiting = [Arc::clone(&self.waiting), Arc::clone(&self.packets)];
            self.thread = Some(std::thread::spawn(move || {
                write_all(*files, &from, &waiting)
            }));
        }
        if self.batch.packets.is_empty() && !self.is_reopening_due {
            return;
        }
        let interfaces = Arc::clone(&self.batch.interfaces);
        let piece = Piece {
            batch: std::mem::take(&mut self.batch),
            is_reopening_due: std::mem::take(&mut self.is_reopening_due),
        };
        self.batch.interfaces = interfaces;
        let (bytes, packets) = (
            piece.batch.bytes.len() as u64,
            piece.batch.packets.len() as u64,
        );
        let is_reopening_due = piece.is_reopening_due;
        let is_room = self.waiting.fetch_add(bytes, Ordering::Relaxed) < WAITING;
        self.packets.fetch_add(packets, Ordering::Relaxed);
        if !is_room || self.to.try_send(piece).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.packets.fetch_sub(packets, Ordering::Relaxed);
            self.unsaved += packets;
            self.is_reopening_due = is_reopening_due;
        }
    }

    /// What ended the thread before its time.
    fn check(&mut self) -> Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()) {
            Some(thread) => join(thread).map(|_| ()),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Saved> {
        self.hand_over();
        let Queue {
            to,
            thread,
            unsaved,
            packets,
            ..
        } = self;
        drop(to);
        let Some(thread) = thread else {
            // It failed before, and was told.
            return Ok(Saved {
                unsaved,
                ..Saved::default()
            });
        };
        // As long as it gets on with it.
        let mut left = packets.load(Ordering::Relaxed);
        let mut until = Instant::now() + PATIENCE;
        while !thread.is_finished() {
            let now = packets.load(Ordering::Relaxed);
            if std::mem::replace(&mut left, now) != now {
                until = Instant::now() + PATIENCE;
            }
            if Instant::now() >= until {
                return Ok(Saved {
                    unsaved: unsaved + now,
                    ..Saved::default()
                });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let saved = join(thread)?;
        Ok(Saved {
            unsaved: saved.unsaved + unsaved,
            ..saved
        })
    }
}

fn join(thread: JoinHandle<Result<Saved>>) -> Result<Saved> {
    thread
        .join()
        .unwrap_or_else(|_| Err(anyhow!("the thread that saves packets failed")))
}

/// The thread's work.
fn write_all(
    mut files: Files,
    from: &Receiver<Piece>,
    [waiting, packets]: &[Arc<AtomicU64>; 2],
) -> Result<Saved> {
    let mut flushed = Instant::now();
    let mut unsaved = 0;
    loop {
        let piece = match from.recv_timeout(FLUSH) {
            Ok(piece) => piece,
            Err(RecvTimeoutError::Timeout) => {
                files.writer.flush()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let batch = &piece.batch;
        for packet in &batch.packets {
            match files.write(packet, batch.data(packet), &batch.interfaces) {
                Ok(()) => {}
                // A link type that the file cannot hold: `any` may show one at any time.
                Err(error) if matches!(error.downcast_ref(), Some(FileError::Format { .. })) => {
                    unsaved += 1;
                }
                Err(error) => return Err(error),
            }
        }
        waiting.fetch_sub(batch.bytes.len() as u64, Ordering::Relaxed);
        packets.fetch_sub(batch.packets.len() as u64, Ordering::Relaxed);
        if piece.is_reopening_due
            && let Err(error) = files.reopen()
        {
            // The old file is still there to be written to.
            say(format_args!("{error:#}; packets go on into the old file"));
        }
        if flushed.elapsed() >= FLUSH {
            flushed = Instant::now();
            files.writer.flush()?;
        }
    }
    Ok(Saved {
        written: files.finish()?,
        unsaved,
    })
}
