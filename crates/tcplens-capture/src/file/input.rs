//! The bytes of one capture file: from a file, a pipe or standard input, decompressed if need be.
//! Knows nothing of captures; does not buffer plain files, the caller reads large blocks.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes of a compressed file that are read at once; decompressing costs far more than reading.
const COMPRESSED_BLOCK: usize = 128 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// What the first bytes say.
    pub(super) fn of(head: &[u8]) -> Option<Compression> {
        match head {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            // The second is a skippable frame, with which parallel compressors begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Compression::Zstd)
            }
            _ => None,
        }
    }
}

/// An open file. Dropping it closes it.
pub(super) struct Input {
    stream: Stream,
    read: Arc<AtomicU64>,
    total: Option<u64>,
    identity: (u64, u64),
}

enum Stream {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
}

/// What became of a path since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// Another file is there now.
    Replaced,
    /// It is shorter than what was read of it.
    Shrunk,
}

impl Input {
    /// Opens `path`; a pipe's reads wait at most `wait`.
    pub(super) fn open(path: &Path, wait: Duration) -> io::Result<Input> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Input::new(file, wait)
    }

    /// Standard input, without the standard library's buffer.
    pub(super) fn stdin(wait: Duration) -> io::Result<Input> {
        Input::new(File::from(io::stdin().as_fd().try_clone_to_owned()?), wait)
    }

    fn new(file: File, wait: Duration) -> io::Result<Input> {
        let metadata = file.metadata()?;
        let total = metadata.is_file().then_some(metadata.len());
        let read = Arc::new(AtomicU64::new(0));
        let wait = if metadata.is_file() { None } else { Some(wait) };
        let raw = Raw {
            file,
            again: Vec::new(),
            again_at: 0,
            read: Arc::clone(&read),
            wait,
        };
        Ok(Input {
            stream: Stream::Plain(raw),
            read,
            total,
            identity: identity(&metadata),
        })
    }

    /// Bytes of the file as it is stored that were read so far, and of how many if that is known.
    pub(super) fn position(&self) -> (u64, Option<u64>) {
        let read = self.read.load(Ordering::Relaxed);
        (read, self.total.map(|total| total.max(read)))
    }

    pub(super) fn is_regular(&self) -> bool {
        self.total.is_some()
    }

    pub(super) fn is_compressed(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_))
    }

    /// From here on decompresses what is read; `head` are the bytes that were read already.
    pub(super) fn decompress(self, compression: Compression, head: Vec<u8>) -> io::Result<Input> {
        let Input {
            stream,
            read,
            total,
            identity,
        } = self;
        let Stream::Plain(mut raw) = stream else {
            return Ok(Input {
                stream,
                read,
                total,
                identity,
            });
        };
        (raw.again, raw.again_at) = (head, 0);
        let buffered = BufReader::with_capacity(COMPRESSED_BLOCK, raw);
        let stream = match compression {
            Compression::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(buffered))),
            Compression::Zstd => Stream::Zstd(Box::new(zstd::Decoder::with_buffer(buffered)?)),
        };
        Ok(Input {
            stream,
            read,
            total,
            identity,
        })
    }

    /// Like `Read::read`. `WouldBlock` and `Interrupted` mean that there is nothing now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(raw) => raw.read(buffer),
            Stream::Gzip(decoder) => decoder.read(buffer),
            Stream::Zstd(decoder) => decoder.read(buffer),
        }
    }

    /// Whether `path` is still this file. A path that is gone for the moment has not changed yet.
    pub(super) fn change(&self, path: &Path) -> Change {
        let Ok(now) = std::fs::metadata(path) else {
            return Change::None;
        };
        if identity(&now) != self.identity {
            Change::Replaced
        } else if now.len() < self.read.load(Ordering::Relaxed) {
            Change::Shrunk
        } else {
            Change::None
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The stored bytes, counted.
struct Raw {
    file: File,
    /// Bytes that were read to recognise the compression and come again.
    again: Vec<u8>,
    again_at: usize,
    read: Arc<AtomicU64>,
    /// Pipes only: how long to wait for bytes.
    wait: Option<Duration>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let again = self.again.get(self.again_at..).unwrap_or_default();
        if !again.is_empty() {
            let n = again.len().min(buffer.len());
            buffer[..n].copy_from_slice(&again[..n]);
            self.again_at += n;
            return Ok(n);
        }
        if let Some(wait) = self.wait {
            wait_readable(&self.file, wait)?;
        }
        let n = self.file.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

fn wait_readable(file: &File, wait: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(wait).map_err(|_| io::ErrorKind::InvalidInput)?;
    // A hang-up or an error is readable too: read() then tells.
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}
