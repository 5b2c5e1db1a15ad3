//! Lines that were read, written again where they belong: each segment, by its own metadata, in a file of its own below
//! another directory, as it was but for compression. What has no metadata has no place here.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::line::Metadata;
use super::names;
use super::reader::Entry;
use super::segment::{self, Frames};
use super::stamp::Stamp;
use crate::rfc3339::Rfc3339;

/// Bytes of lines that become a frame.
const FRAME: usize = 1 << 20;

/// Longest name of a connection: with number and suffix it fits a file's name.
const LONGEST_UUID: usize = 230;

/// Writes segments again.
pub struct Rewriter {
    directory: PathBuf,
    frames: Frames,
    clock: Rfc3339,
    segment: Option<Segment>,
    files: u64,
}

struct Segment {
    metadata: Metadata,
    /// Absent until its first frame is written.
    path: Option<PathBuf>,
    /// Of its first line with a time.
    first: Stamp,
    waiting: Vec<u8>,
}

impl Rewriter {
    /// Below a directory, which is made when it is needed.
    ///
    /// # Errors
    /// There is no memory for the compressor.
    pub fn new(directory: PathBuf) -> io::Result<Rewriter> {
        Ok(Rewriter {
            directory,
            frames: Frames::new()?,
            clock: Rfc3339::default(),
            segment: None,
            files: 0,
        })
    }

    /// Takes a line; `false`: it is not known whose it is.
    ///
    /// # Errors
    /// Its file cannot be written, or is there already. The rest of its segment is not taken then.
    pub fn take(&mut self, entry: &Entry<'_>) -> io::Result<bool> {
        if let Some(metadata) = &entry.metadata
            && self.segment.as_ref().is_none_or(|segment| {
                (&segment.metadata.uuid, segment.metadata.sequence)
                    != (&metadata.uuid, metadata.sequence)
            })
        {
            self.end()?;
            self.segment = Some(Segment {
                metadata: metadata.clone(),
                path: None,
                first: Stamp::default(),
                waiting: Vec::new(),
            });
        }
        let Some(segment) = &mut self.segment else {
            return Ok(false);
        };
        if segment.first.at.is_none() {
            segment.first = entry.at;
        }
        entry.line().write(&mut segment.waiting, &mut self.clock);
        if segment.waiting.len() >= FRAME {
            self.flush()?;
        }
        Ok(true)
    }

    /// The input ends: what comes next is another segment's.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn end(&mut self) -> io::Result<()> {
        let result = self.flush();
        self.segment = None;
        result
    }

    /// Files written.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        if segment.waiting.is_empty() {
            return Ok(());
        }
        let frame = self.frames.of(&segment.waiting)?;
        if let Some(path) = &segment.path {
            segment::append(path, frame).map_err(|error| named(&error, path))?;
        } else {
            let path = self.directory.join(segment.place()?);
            let file = segment::create(&path).map_err(|error| named(&error, &path))?;
            segment::begin(file, &path, frame).map_err(|error| named(&error, &path))?;
            segment.path = Some(path);
            self.files += 1;
        }
        segment.waiting.clear();
        Ok(())
    }
}

impl Segment {
    /// Its file below the directory: the first is dated by the connection's beginning, later ones by their own.
    fn place(&self) -> io::Result<PathBuf> {
        let Metadata { uuid, sequence, .. } = &self.metadata;
        // Whoever made the archive chose the name.
        let is_name = !uuid.is_empty() && uuid.len() <= LONGEST_UUID && !uuid.contains(['/', '\0']);
        if !is_name {
            let odd = format!("no file can be named after {uuid:?}");
            return Err(io::Error::new(ErrorKind::InvalidData, odd));
        }
        let start = self.metadata.start_time.at;
        let dated = match sequence {
            0 => start.or(self.first.at),
            _ => self.first.at.or(start),
        };
        let none = || io::Error::new(ErrorKind::InvalidData, format!("{uuid} has no time"));
        let day = names::day(dated.ok_or_else(none)?);
        Ok(day.join(names::file(uuid, *sequence)))
    }
}

/// The same error, with its path.
pub(super) fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
