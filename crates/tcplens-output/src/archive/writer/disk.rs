//! The writer's side of files: frames of waiting lines to the segments they belong to.

use std::io::{self, ErrorKind};

use tcplens_core::time::{SECOND, Timestamp};

use super::super::line::{Line, Metadata};
use super::super::names;
use super::super::rewrite::named;
use super::super::segment::{self, Frames};
use super::{ArchiveCounters, ArchiveSettings, Connection, Why};
use crate::rfc3339::Rfc3339;

/// Between two attempts while nothing can be written.
const RETRY: u64 = SECOND as u64;

/// Highest number of a segment: its place in a name has five digits.
const LAST_SEQUENCE: u32 = 99_999;

/// The side of files.
pub(super) struct Disk {
    pub(super) settings: ArchiveSettings,
    frames: Frames,
    /// A first frame: metadata, and lines.
    text: Vec<u8>,
    pub(super) clock: Rfc3339,
    pub(super) counters: ArchiveCounters,
    /// When writing failed last; absent while it works.
    pub(super) failed: Option<Timestamp>,
    pub(super) trouble: Option<String>,
}

impl Disk {
    pub(super) fn new(settings: ArchiveSettings) -> io::Result<Disk> {
        Ok(Disk {
            settings,
            frames: Frames::new()?,
            text: Vec::new(),
            clock: Rfc3339::default(),
            counters: ArchiveCounters::default(),
            failed: None,
            trouble: None,
        })
    }

    /// Writes what waits; `false`: that failed, or nothing was tried, for it has failed a moment ago.
    pub(super) fn write(
        &mut self,
        cookie: u64,
        connection: &mut Connection,
        now: Timestamp,
        why: Why,
    ) -> bool {
        let is_early = |failed| now.since(failed).is_some_and(|passed| passed.ns() < RETRY);
        if self.failed.is_some_and(is_early) {
            return false;
        }
        if let Err(error) = self.append(cookie, connection) {
            self.counters.failures += 1;
            if self.failed.is_none() {
                self.trouble = Some(format!(
                    "cannot write the archive: {error}; lines wait, and the oldest are dropped beyond {} bytes",
                    self.settings.limit_pending
                ));
            }
            self.failed = Some(now);
            return false;
        }
        self.failed = None;
        let counters = &mut self.counters;
        counters.written += u64::from(connection.records);
        *match why {
            Why::Due => &mut counters.flushes_due,
            Why::Ended => &mut counters.flushes_ended,
            Why::Segment => &mut counters.flushes_segment,
            Why::Full => &mut counters.flushes_full,
            Why::Finish => &mut counters.flushes_finish,
        } += 1;
        true
    }

    fn append(&mut self, cookie: u64, connection: &mut Connection) -> io::Result<()> {
        let uuid = self.settings.uuid.name(cookie);
        let directory = self.settings.directory.join(names::day(connection.dated));
        if connection.has_file {
            let path = directory.join(names::file(&uuid, connection.sequence));
            let frame = self.frames.of(&connection.waiting)?;
            match segment::append(&path, frame).map_err(|error| named(&error, &path)) {
                // Somebody took the file away: what comes is a segment of its own.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    connection.has_file = false;
                    connection.sequence += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    self.counters.bytes += frame.len() as u64;
                    return Ok(());
                }
            }
        }
        loop {
            if connection.sequence > LAST_SEQUENCE {
                let full = format!("{uuid} has no number for a segment left");
                return Err(io::Error::other(full));
            }
            let path = directory.join(names::file(&uuid, connection.sequence));
            let file = match segment::create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    connection.sequence += 1;
                    continue;
                }
                file => file.map_err(|error| named(&error, &path))?,
            };
            self.first_frame(uuid, connection);
            let frame = self.frames.of(&self.text)?;
            segment::begin(file, &path, frame).map_err(|error| named(&error, &path))?;
            self.counters.files += 1;
            self.counters.bytes += frame.len() as u64;
            connection.has_file = true;
            return Ok(());
        }
    }

    fn first_frame(&mut self, uuid: String, connection: &Connection) {
        let metadata = Metadata {
            uuid,
            sequence: connection.sequence,
            start_time: connection.first_seen.into(),
        };
        let line = Line {
            metadata: Some(&metadata),
            ..Line::default()
        };
        self.text.clear();
        line.write(&mut self.text, &mut self.clock);
        self.text.extend_from_slice(&connection.waiting);
    }
}
