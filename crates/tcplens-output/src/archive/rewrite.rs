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
    attributes_left_out: u64,
    refused: u64,
    first_refused: Option<String>,
}

struct Segment {
    metadata: Metadata,
    /// Absent until its first frame is written.
    path: Option<PathBuf>,
    /// Of its first line with a time.
    first: Stamp,
    waiting: Vec<u8>,
    /// It has no file: its lines are passed over.
    is_refused: bool,
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
            attributes_left_out: 0,
            refused: 0,
            first_refused: None,
        })
    }

    /// Takes a line; `false`: it is not known whose it is. A segment whose file is there already, or that no file can be named
    /// after, is passed over and counted: [`Rewriter::refused`].
    ///
    /// # Errors
    /// Its file cannot be written.
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
                is_refused: false,
            });
        }
        let Some(segment) = &mut self.segment else {
            return Ok(false);
        };
        if segment.is_refused {
            return Ok(true);
        }
        if segment.first.at.is_none() {
            segment.first = entry.at;
        }
        let left_out = entry.line().write(&mut segment.waiting, &mut self.clock);
        self.attributes_left_out += left_out;
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

    /// Segments that were passed over.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Why the first of them was.
    #[must_use]
    pub fn first_refused(&self) -> Option<&str> {
        self.first_refused.as_deref()
    }

    /// Attributes of kinds beyond [`super::line::HIGHEST_KIND`].
    #[must_use]
    pub fn attributes_left_out(&self) -> u64 {
        self.attributes_left_out
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
            let place = segment.place().map(|place| self.directory.join(place));
            let created = place.and_then(|path| match segment::create(&path) {
                Ok(file) => Ok((file, path)),
                Err(error) => Err(named(&error, &path)),
            });
            let (file, path) = match created {
                Ok(created) => created,
                // Others are none the worse for it.
                Err(error) if is_of_segment(&error) => {
                    self.refused += 1;
                    self.first_refused.get_or_insert_with(|| error.to_string());
                    segment.is_refused = true;
                    segment.waiting = Vec::new();
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
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

/// Its file is there, or it has no name.
fn is_of_segment(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AlreadyExists | ErrorKind::InvalidData
    )
}

/// The same error, with its path.
pub(super) fn named(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
