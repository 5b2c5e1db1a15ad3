//! Destinations of bytes: standard output, a file, a compressed file, a row of files. Knows no
//! format.
//!
//! `-o records.jsonl` truncates that file. With `--rotate` the files are `records-00001.jsonl`,
//! `records-00002.jsonl`, ... (`records-00001.jsonl.zst`): numbered on from the highest there is,
//! never overwritten, a file complete when the next one exists. A suffix `.zst` or `.gz`
//! compresses.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::write::GzEncoder;
use tcplens_core::time::Timestamp;

use crate::units::Rotate;
pub use error::{SinkEnd, SinkError};
use queue::Queue;
pub use series::Series;

mod error;
mod queue;
mod series;

/// Bytes gathered before a system call or a call of the compressor.
const BUFFER: usize = 64 * 1024;

/// An open destination. Call [`finish`](Self::finish): what is dropped without it loses its last
/// bytes.
pub struct Sink {
    /// For messages: the path or `standard output`.
    name: String,
    target: Target,
    buffer: Vec<u8>,
    series: Option<Series>,
    /// Where the file is, if it is one.
    path: Option<PathBuf>,
    live: bool,
    terminal: bool,
}

enum Target {
    Plain(Counted<Box<dyn Write + Send>>),
    Gzip(GzEncoder<Counted<File>>),
    Zstd(zstd::Encoder<'static, Counted<File>>),
    /// Another thread writes.
    Queue(Queue),
}

impl Sink {
    /// Opens `-o FILE`, or standard output without one or for `-`.
    ///
    /// # Errors
    /// When the file cannot be created, or standard output is asked to rotate.
    pub fn open(output: Option<&Path>, rotate: Option<Rotate>) -> Result<Sink, SinkError> {
        match (output.filter(|path| *path != Path::new("-")), rotate) {
            (None, None) => Self::stdout(),
            (None, Some(_)) => Err(SinkError::RotateStdout),
            (Some(path), None) => {
                let file = File::create(path).map_err(|error| SinkError::create(path, &error))?;
                Self::file(path, file, None)
            }
            (Some(path), Some(rotate)) => {
                let mut series = Series::new(path, rotate)?;
                let (path, file) = series.next_file()?;
                Self::file(&path, file, Some(series))
            }
        }
    }

    /// Opens a file and goes on behind what is there: for programs that are restarted. What is compressed has one more
    /// frame (or member) then, which every reader of .zst and .gz reads on into.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn append(path: &Path) -> Result<Sink, SinkError> {
        let file = File::options().append(true).create(true).open(path);
        let file = file.map_err(|error| SinkError::create(path, &error))?;
        Self::file(path, file, None)
    }

    /// Standard output, written to without the line buffer of `std::io::stdout`.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn stdout() -> Result<Sink, SinkError> {
        let stdout = io::stdout();
        let file = stdout
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| SinkError::create("standard output", &error))?;
        let file = File::from(file);
        let (live, terminal) = (is_stream(&file), file.is_terminal());
        let target = Target::Plain(Counted::new(Box::new(file)));
        let sink = Self::new("standard output".into(), target, None);
        Ok(Sink {
            live: live || terminal,
            terminal,
            ..sink
        })
    }

    /// Any other writer, under a name for messages.
    #[must_use]
    pub fn from_writer(name: &str, writer: Box<dyn Write + Send>) -> Sink {
        Self::new(name.into(), Target::Plain(Counted::new(writer)), None)
    }

    /// The same destination behind a queue: nothing that is written to it is waited for. What finds no room is dropped, and
    /// [`dropped`](Self::dropped) tells.
    #[must_use]
    pub fn queued(self) -> Sink {
        Sink {
            name: self.name.clone(),
            buffer: Vec::with_capacity(BUFFER),
            series: self.series.clone(),
            path: self.path.clone(),
            live: self.live,
            terminal: self.terminal,
            target: Target::Queue(Queue::new(self)),
        }
    }

    /// What went wrong behind a queue and ends nothing, once.
    #[must_use]
    pub fn take_trouble(&self) -> Option<String> {
        match &self.target {
            Target::Queue(queue) => queue.take_trouble(),
            Target::Plain(_) | Target::Gzip(_) | Target::Zstd(_) => None,
        }
    }

    /// Lines that were dropped because the destination took none.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        match &self.target {
            Target::Queue(queue) => queue.dropped(),
            Target::Plain(_) | Target::Gzip(_) | Target::Zstd(_) => 0,
        }
    }

    /// Waits until a queue has room for much, for `most` at most: for who has much at once, and would rather be late than lose
    /// it. Nothing where there is no queue.
    pub fn wait_for_room(&self, most: Duration) {
        match &self.target {
            Target::Queue(queue) => queue.wait_for_room(most),
            Target::Plain(_) | Target::Gzip(_) | Target::Zstd(_) => {}
        }
    }

    /// Waits until what was written to a queue is at its destination, some seconds at most: what is not then, is dropped and
    /// counted. Nothing where there is no queue.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn settle(&mut self) -> Result<(), SinkEnd> {
        if matches!(self.target, Target::Queue(_)) {
            self.drain()?;
        }
        match &mut self.target {
            Target::Queue(queue) => queue.settle(),
            Target::Plain(_) | Target::Gzip(_) | Target::Zstd(_) => Ok(()),
        }
    }

    fn file(path: &Path, file: File, series: Option<Series>) -> Result<Sink, SinkError> {
        let live = is_stream(&file);
        let target = Target::for_path(path, file)?;
        Ok(Sink {
            live,
            path: Some(path.to_owned()),
            ..Self::new(path.display().to_string(), target, series)
        })
    }

    fn new(name: String, target: Target, series: Option<Series>) -> Sink {
        Sink {
            name,
            target,
            buffer: Vec::with_capacity(BUFFER),
            series,
            path: None,
            live: false,
            terminal: false,
        }
    }

    /// Whether someone waits at the other end: a terminal, a pipe or a socket. Then flush after
    /// each record or each pause of the input.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether to hand over everything at each pause of the input: someone waits, or it costs nothing.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.live || matches!(self.target, Target::Queue(_))
    }

    /// Whether it is a terminal: what `--color auto` asks.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Takes bytes; a whole number of lines where files rotate.
    ///
    /// # Errors
    /// [`SinkEnd::Closed`] when the reader went away, else what failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SinkEnd> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.drain()?;
        }
        if bytes.len() > BUFFER {
            if let Target::Queue(queue) = &mut self.target {
                return queue.write(bytes);
            }
            return self
                .target
                .write_all(bytes)
                .map_err(|error| SinkEnd::write(&self.name, &error));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the file is one of a series, and [`is_due`](Self::is_due) worth asking.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.series.is_some()
    }

    /// Whether the file should end before a record of this time is written, after `pending` bytes
    /// that were not handed to [`write`](Self::write) yet. Never without `--rotate`. Call once per
    /// record, in order.
    pub fn is_due(&mut self, time: Option<Timestamp>, pending: usize) -> bool {
        let size = self.size(pending);
        self.series
            .as_mut()
            .is_some_and(|series| series.is_due(time, size))
    }

    /// Bytes of the file, `pending` ones included.
    fn size(&self, pending: usize) -> u64 {
        let waiting = (self.buffer.len() + pending) as u64;
        match &self.target {
            Target::Plain(out) => out.written + waiting,
            // What the compressor makes of the rest is not known: such a file is some blocks longer
            // than asked.
            Target::Gzip(out) => out.get_ref().written,
            Target::Zstd(out) => out.get_ref().written,
            // As is what waits in the queue.
            Target::Queue(queue) => queue.size(),
        }
    }

    /// Finishes the file and begins the next of the series.
    ///
    /// # Errors
    /// As [`write`](Self::write); also when the next file cannot be created.
    pub fn rotate(&mut self) -> Result<(), SinkEnd> {
        self.drain()?;
        if let Target::Queue(queue) = &mut self.target {
            queue.rotate();
            return Ok(());
        }
        let Some(series) = &mut self.series else {
            return Ok(());
        };
        let (path, file) = series.next_file()?;
        let finished = std::mem::replace(&mut self.target, Target::for_path(&path, file)?);
        let name = std::mem::replace(&mut self.name, path.display().to_string());
        finished
            .finish()
            .map_err(|error| SinkEnd::write(&name, &error))
    }

    /// Goes on in a new file of the same name, if the old one was moved; at the old one's end if not. In a series the next
    /// one begins.
    ///
    /// # Errors
    /// As [`write`](Self::write); also when the file cannot be created.
    pub fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.drain()?;
        if let Target::Queue(queue) = &mut self.target {
            queue.reopen();
            return Ok(());
        }
        if self.series.is_some() {
            return self.rotate();
        }
        let Some(path) = &self.path else {
            return Ok(());
        };
        let opened = File::options().append(true).create(true).open(path);
        let file = opened.map_err(|error| SinkError::create(path, &error))?;
        // Compressed files may be appended to: readers go on behind the end of the first part.
        let finished = std::mem::replace(&mut self.target, Target::for_path(path, file)?);
        finished
            .finish()
            .map_err(|error| SinkEnd::write(&self.name, &error))
    }

    /// Makes what was written readable by others, also in a compressed file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn sync(&mut self) -> Result<(), SinkEnd> {
        self.drain()?;
        let flushed = match &mut self.target {
            Target::Plain(out) => out.flush(),
            Target::Gzip(out) => out.flush(),
            Target::Zstd(out) => out.flush(),
            Target::Queue(_) => Ok(()),
        };
        flushed.map_err(|error| SinkEnd::write(&self.name, &error))
    }

    /// Hands everything to the reader. A compressed file has none before it is finished, and
    /// flushing would cost its ratio: there the bytes go to the compressor only.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), SinkEnd> {
        self.drain()?;
        match &mut self.target {
            Target::Plain(out) => out
                .flush()
                .map_err(|error| SinkEnd::write(&self.name, &error)),
            Target::Gzip(_) | Target::Zstd(_) | Target::Queue(_) => Ok(()),
        }
    }

    /// Writes what is left and ends the file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(mut self) -> Result<(), SinkEnd> {
        self.drain()?;
        if let Target::Queue(queue) = self.target {
            return queue.finish();
        }
        self.target
            .finish()
            .map_err(|error| SinkEnd::write(&self.name, &error))
    }

    fn drain(&mut self) -> Result<(), SinkEnd> {
        if let Target::Queue(queue) = &mut self.target {
            let result = queue.write(&self.buffer);
            self.buffer.clear();
            return result;
        }
        let result = self.target.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(|error| SinkEnd::write(&self.name, &error))
    }
}

impl Target {
    fn for_path(path: &Path, file: File) -> Result<Target, SinkError> {
        let suffix = path
            .extension()
            .and_then(|suffix| suffix.to_str())
            .unwrap_or_default();
        Ok(match suffix {
            "zst" => {
                let mut encoder = zstd::Encoder::new(Counted::new(file), 0)
                    .map_err(|error| SinkError::create(path, &error))?;
                encoder
                    .include_checksum(true)
                    .map_err(|error| SinkError::create(path, &error))?;
                Target::Zstd(encoder)
            }
            "gz" => Target::Gzip(GzEncoder::new(
                Counted::new(file),
                flate2::Compression::default(),
            )),
            _ => Target::Plain(Counted::new(Box::new(file))),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Target::Plain(out) => out.write_all(bytes),
            Target::Gzip(out) => out.write_all(bytes),
            Target::Zstd(out) => out.write_all(bytes),
            Target::Queue(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Target::Plain(mut out) => out.flush(),
            Target::Gzip(out) => out.finish()?.flush(),
            Target::Zstd(out) => out.finish()?.flush(),
            Target::Queue(_) => Ok(()),
        }
    }
}

/// Counts what goes through.
struct Counted<W> {
    out: W,
    written: u64,
}

impl<W> Counted<W> {
    fn new(out: W) -> Self {
        Self { out, written: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A pipe or a socket. What cannot be asked is taken for a file.
fn is_stream(file: &File) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_socket())
}
