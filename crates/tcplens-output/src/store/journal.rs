//! What is not in a file yet: of each file in the making a segment, lines of JSON in the order in which they came. A segment is
//! called as its file, so that after a crash it is known whether its lines are in that file: if the file is there, they are.
//!
//! Written at each flush, not synced: it outlives the process, whatever ends that, but not the machine.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::layout::{FileName, StoreKind, date_text};
use super::places::{self, day_of_text};
use super::{StoreError, host_word};
use crate::sink::SinkError;

/// The directory of segments.
const NAME: &str = "journal";
/// What ends a segment's name.
const ENDING: &str = ".jsonl";
/// Bytes of lines that are gathered before they are written.
const GATHERED: usize = 256 << 10;
/// Bytes of lines that wait while nothing can be written.
const WAITING: usize = 4 << 20;

/// The journal of a host in a directory: whoever has it is the only one.
pub(super) struct Journal {
    dir: PathBuf,
    host: String,
    /// Locked as long as it is open.
    _lock: File,
}

/// The name of a segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub(super) kind: StoreKind,
    pub(super) day: i64,
    pub(super) name: FileName,
}

impl Journal {
    /// Opens the journal of a host.
    pub(super) fn open(store: &Path, host: &str) -> Result<Journal, StoreError> {
        let dir = store.join(NAME);
        let path = dir.join(format!("{}.lock", host_word(host)));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let open = || {
            fs::create_dir_all(&dir).map_err(|error| StoreError::open(&dir, &error))?;
            let opened = options.open(&path);
            opened.map_err(|error| StoreError::open(&path, &error))
        };
        // A run of capture files may remove the directory while it is empty.
        let mut lock = open().or_else(|_| open())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // Only for the message.
                let _ = lock.read_to_string(&mut process);
                return Err(StoreError::Locked {
                    directory: store.display().to_string(),
                    host: host.to_owned(),
                    process: process.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::open(&path, &error)),
        }
        let told = lock
            .set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        told.map_err(|error| StoreError::open(&path, &error))?;
        Ok(Journal {
            dir,
            host: host_word(host),
            _lock: lock,
        })
    }

    /// This host's segments, ascending.
    pub(super) fn segments(&self) -> io::Result<Vec<SegmentName>> {
        let mut segments: Vec<_> = places::entries(&self.dir)?
            .iter()
            .filter_map(|path| SegmentName::parse(path.file_name()?.to_str()?))
            .filter(|segment| segment.name.host == self.host)
            .collect();
        segments.sort();
        Ok(segments)
    }

    pub(super) fn path(&self, segment: &SegmentName) -> PathBuf {
        self.dir.join(segment.to_string())
    }
}

impl SegmentName {
    fn parse(name: &str) -> Option<SegmentName> {
        let mut parts = name.strip_suffix(ENDING)?.splitn(3, '.');
        Some(SegmentName {
            kind: StoreKind::of_word(parts.next()?)?,
            day: day_of_text(parts.next()?)?,
            name: FileName::parse(parts.next()?)?,
        })
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, date) = (self.kind.word(), date_text(self.day));
        write!(f, "{kind}.{date}.{}{ENDING}", self.name)
    }
}

/// The segment of a file in the making.
pub(super) struct Segment {
    path: PathBuf,
    /// `None` until there is something to write.
    file: Option<File>,
    /// Lines that wait.
    waiting: Vec<u8>,
    waiting_lines: u64,
    /// Bytes and lines that were written.
    length: u64,
    lines: u64,
    /// Lines that found no room.
    lost: u64,
    /// The last write failed: until the next flush none is tried.
    is_failing: bool,
}

impl Segment {
    pub(super) fn new(path: PathBuf) -> Segment {
        Segment {
            path,
            file: None,
            waiting: Vec::new(),
            waiting_lines: 0,
            length: 0,
            lines: 0,
            lost: 0,
            is_failing: false,
        }
    }

    /// Adds lines that end with their newline.
    pub(super) fn append(&mut self, lines: &[u8], count: u64) -> io::Result<()> {
        let is_full = |waiting: &[u8]| waiting.len() + lines.len() > WAITING;
        let mut flushed = Ok(());
        if is_full(&self.waiting) && !self.is_failing {
            flushed = self.flush();
        }
        if is_full(&self.waiting) {
            self.lost += count;
            return flushed;
        }
        self.waiting.extend_from_slice(lines);
        self.waiting_lines += count;
        if self.waiting.len() >= GATHERED && !self.is_failing {
            flushed = self.flush();
        }
        flushed
    }

    /// Writes what waits; what cannot be written goes on waiting.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = self.write();
        self.is_failing = written.is_err();
        if let Err(error) = written {
            // A line that is torn would be followed by whole ones.
            if let Some(file) = &self.file
                && file.set_len(self.length).is_err()
            {
                self.file = None;
            }
            if self.waiting.len() >= WAITING / 2 {
                self.lost += self.waiting_lines;
                self.waiting.clear();
                self.waiting_lines = 0;
            }
            return Err(error);
        }
        self.length += self.waiting.len() as u64;
        self.lines += self.waiting_lines;
        self.waiting.clear();
        self.waiting_lines = 0;
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                let file = options.append(true).create(true).open(&self.path)?;
                self.file.insert(file)
            }
        };
        file.write_all(&self.waiting)
    }

    /// Bytes that were written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Lines that were written, and those that found no room.
    pub(super) fn lines(&self) -> (u64, u64) {
        (self.lines, self.lost)
    }

    /// Lines that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting_lines
    }

    /// Its lines are elsewhere.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        remove(&self.path)
    }
}

/// Removes a segment, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl StoreError {
    fn open(path: &Path, error: &io::Error) -> StoreError {
        StoreError::Open {
            name: path.display().to_string(),
            why: SinkError::reason(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nothing_can_be_written_each_line_waits_or_is_counted_and_one_write_is_tried() {
        let dir = std::env::temp_dir().join(format!("tcplens-segment-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir); // of an earlier run that failed
        let mut segment = Segment::new(dir.join("a.jsonl"));
        let line = [b'x'; 64 << 10];
        let append = |segment: &mut Segment| segment.append(&line, 1);
        let failed = (0..100).filter(|_| append(&mut segment).is_err()).count();
        assert_eq!(failed, 1);
        let ((written, lost), waiting) = (segment.lines(), segment.waiting());
        assert_eq!((written, lost + waiting, waiting), (0, 100, 64));
        // Each flush tries once; what fills half of the room then goes.
        segment.flush().unwrap_err();
        assert_eq!((segment.lines(), segment.waiting()), ((0, 100), 0));
        fs::create_dir(&dir).unwrap();
        for _ in 0..8 {
            append(&mut segment).unwrap();
        }
        assert_eq!((segment.lines(), segment.waiting()), ((0, 100), 8));
        segment.flush().unwrap();
        // And then as before.
        for _ in 0..4 {
            append(&mut segment).unwrap();
        }
        assert_eq!((segment.lines(), segment.waiting()), ((12, 100), 0));
        fs::remove_dir_all(&dir).unwrap();
    }
}
