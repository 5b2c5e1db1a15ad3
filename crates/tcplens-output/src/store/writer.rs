//! Writes a store. Records of a kind and date go to one file until that is large or old; then it is completed and the next one
//! begins. Of live runs what is not in a file yet is in the journal; of capture files nothing is to be seen until all is written,
//! so that whoever runs again has nothing twice.
//!
//! Bounded: [`DATES`] open files of each kind, [`MEMORY`] bytes of rows that wait in all of them, the bounds of [`Rollups`].

mod files;
mod rollups;
mod upkeep;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Record;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_core::view::rollup::{LAG, MINUTE};

use super::journal::{Journal, Segment, SegmentName};
use super::keep::Keep;
use super::layout::StoreKind;
use super::line::LineReader;
use super::places::day_of;
use super::slot::{self, Slot};
use super::{StoreCounters, StoreError, StoreRecord, StoreSink, add_hits};
use crate::cell::Cell;
use crate::jsonl::Jsonl;
use crate::sink::{SinkEnd, SinkError};

/// Most open files of a kind: records of so many dates may come in turns.
const DATES: usize = 4;
/// Rows after which the next file begins.
const FILE_ROWS: u64 = 1 << 20;
/// Bytes after which it does.
const FILE_BYTES: u64 = 128 << 20;
/// Bytes of a segment of the journal after which it does.
const SEGMENT_BYTES: u64 = 256 << 20;
/// Bytes of rows that wait in memory.
const MEMORY: usize = 64 << 20;
/// Records between two looks at the memory.
const LOOK: u64 = 512;
/// How often the journal is written, ns.
const FLUSH: i64 = SECOND;
/// How often what could not be written is tried again, and what is too old is looked for, ns.
const RETRY: i64 = 30 * SECOND;

/// What to write, and for how long it stays.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Whose records these are: the column `host`.
    pub host: String,
    /// When this run began, by the wall clock: no other run of this host has the same.
    pub start: Timestamp,
    /// Packets are live: there is a journal, and records are dropped rather than waited for.
    pub is_live: bool,
    /// How old a file of a live run becomes until the next one begins.
    pub interval: Span,
    /// How long records stay; `None`: for ever.
    pub keep: Option<Keep>,
    /// How long rollups, findings and health stay, where records do not.
    pub keep_rollups: Keep,
}

/// See the module.
pub struct StoreWriter {
    dir: PathBuf,
    settings: StoreSettings,
    journal: Option<Journal>,
    slots: Vec<Slot>,
    /// How many files of each kind were begun.
    numbers: [u32; StoreKind::ALL.len()],
    /// Live: what came since the last flush. Else all that is not given yet.
    news: Rollups,
    /// Live: what was flushed and is in no file.
    sums: Rollups,
    /// The minute in which the engine clock is, by number.
    minute: i64,
    jsonl: Jsonl,
    lines: Vec<(StoreKind, LineReader)>,
    /// Complete files that have no name yet, with their kinds' segments: of capture files.
    unnamed: Vec<PathBuf>,
    /// Segments of an earlier run.
    inherited: VecDeque<SegmentName>,
    /// Segments whose file could not be written.
    left: Vec<SegmentName>,
    /// Files that are complete, and segments that were looked at.
    progress: Arc<AtomicU64>,
    counters: StoreCounters,
    records: u64,
    now: Timestamp,
    flushed: Timestamp,
    tried: Timestamp,
    is_keep_due: bool,
    /// Runs that were killed while they gave names may have left some.
    is_undo_due: bool,
    is_failing: bool,
    troubles: Vec<String>,
    notes: Vec<String>,
}

impl StoreWriter {
    /// Opens a store as [`begin`](Self::begin) does. Of live runs what an earlier one has left in its journal becomes files first,
    /// and what is too old goes.
    ///
    /// # Errors
    /// As `begin`.
    pub fn open(dir: &Path, settings: StoreSettings) -> Result<StoreWriter, StoreError> {
        let mut writer = StoreWriter::begin(dir, settings)?;
        while writer.catch_up() {}
        Ok(writer)
    }

    /// Opens a store in a directory, which is made if it is not there, at once: what may take long is left to
    /// [`catch_up`](StoreSink::catch_up).
    ///
    /// # Errors
    /// The directory cannot be made, or somebody else writes there as the same host.
    pub fn begin(dir: &Path, settings: StoreSettings) -> Result<StoreWriter, StoreError> {
        std::fs::create_dir_all(dir).map_err(|error| StoreError::Open {
            name: dir.display().to_string(),
            why: SinkError::reason(&error),
        })?;
        let journal = match settings.is_live {
            true => Some(Journal::open(dir, &settings.host)?),
            false => None,
        };
        let mut writer = StoreWriter {
            dir: dir.to_owned(),
            journal,
            slots: Vec::new(),
            numbers: [0; StoreKind::ALL.len()],
            news: Rollups::default(),
            sums: Rollups::default(),
            minute: i64::MIN,
            jsonl: Jsonl::new(),
            lines: Vec::new(),
            unnamed: Vec::new(),
            inherited: VecDeque::new(),
            left: Vec::new(),
            progress: Arc::default(),
            counters: StoreCounters::default(),
            records: 0,
            now: settings.start,
            flushed: settings.start,
            tried: settings.start,
            is_keep_due: settings.keep.is_some(),
            is_undo_due: true,
            is_failing: false,
            troubles: Vec::new(),
            notes: Vec::new(),
            settings,
        };
        writer.inherit();
        Ok(writer)
    }

    /// Writes what waits to the journal, so that it outlives the process.
    pub fn flush(&mut self) {
        self.flush_rollups();
        self.flushed = self.now;
        for n in 0..self.slots.len() {
            if let Some(segment) = &mut self.slots[n].segment
                && let Err(error) = segment.flush()
            {
                self.failed(&error);
            }
        }
        let is_long = |slot: &Slot| {
            let segment = slot.segment.as_ref();
            slot.name.kind == StoreKind::Rollup
                && segment.is_some_and(|segment| segment.length() >= SEGMENT_BYTES)
        };
        if self.slots.iter().any(is_long) {
            // Of live runs nothing fails.
            let _ = self.finish_rollups();
        }
    }

    fn any(&mut self, record: AnyRecord<'_>, at: Timestamp) -> Result<(), SinkEnd> {
        match record {
            AnyRecord::Handshake(handshake) => {
                self.news.handshake(handshake, at);
                self.put(StoreKind::Handshake, handshake.time, handshake)?;
            }
            AnyRecord::Request(request) => {
                let request = request.record();
                self.news.request(&request, at);
                self.put(StoreKind::Request, request.time, &request)?;
            }
            AnyRecord::Connection(connection) => {
                self.news.connection(connection, at);
                self.put(StoreKind::Connection, connection.time, connection)?;
            }
        }
        let minute = at.0.div_euclid(MINUTE);
        let is_over = minute > self.minute && !self.settings.is_live;
        if is_over || self.news.is_full() {
            self.minute = minute;
            match self.settings.is_live {
                true => self.flush_rollups(),
                false if self.news.is_full() => self.give_rollups(Timestamp::MAX)?,
                false => self.give_rollups(at.plus(-LAG))?,
            }
        }
        Ok(())
    }

    /// One record, to the file of its kind and date.
    #[inline]
    fn put<R: Record>(
        &mut self,
        kind: StoreKind,
        time: Timestamp,
        record: &R,
    ) -> Result<(), SinkEnd> {
        let n = self.slot(kind, day_of(time))?;
        if self.settings.is_live {
            self.jsonl.clear();
            self.jsonl.encode_hosted(&self.settings.host, record);
            self.journal_line(n);
        }
        let pushed = self.slots[n].push(record);
        self.pushed(n, pushed)
    }

    /// The same of a line of JSON.
    fn put_line(&mut self, kind: StoreKind, line: &[u8]) -> Result<(), SinkEnd> {
        let known = self.lines.iter().position(|(known, _)| *known == kind);
        let known = known.unwrap_or_else(|| {
            self.lines.push((kind, LineReader::new(kind)));
            self.lines.len() - 1
        });
        let (_, reader) = &mut self.lines[known];
        let time = reader.time();
        let Some(read) = reader.read(line) else {
            self.counters.dropped += 1;
            return Ok(());
        };
        let cells = std::mem::take(read.cells);
        let at = match time.and_then(|time| cells.get(time)) {
            Some(&Cell::Number(ns)) => Timestamp(ns),
            _ => self.settings.start,
        };
        let n = self.slot(kind, day_of(at))?;
        if self.settings.is_live
            && let Some(rest) = line.strip_prefix(b"{")
        {
            self.jsonl.clear();
            self.jsonl.continue_hosted(&self.settings.host, rest);
            self.journal_line(n);
        }
        let pushed = self.slots[n].push_cells(&self.settings.host, &cells);
        self.pushed(n, pushed)
    }

    /// The line that was encoded goes to the journal, too.
    fn journal_line(&mut self, n: usize) {
        if let Some(segment) = &mut self.slots[n].segment
            && let Err(error) = segment.append(self.jsonl.bytes(), 1)
        {
            self.failed(&error);
        }
    }

    fn pushed(&mut self, n: usize, pushed: io::Result<()>) -> Result<(), SinkEnd> {
        self.records += 1;
        let slot = &mut self.slots[n];
        slot.rows += 1;
        slot.used = self.records;
        if let Err(error) = pushed {
            self.broken(n, &error)?;
        }
        if self.records.is_multiple_of(LOOK) {
            self.bound_memory()?;
            let slot = &self.slots[n];
            let journaled = slot.segment.as_ref().map_or(0, Segment::length);
            let is_large =
                slot.rows >= FILE_ROWS || slot.size().0 >= FILE_BYTES || journaled >= SEGMENT_BYTES;
            if is_large {
                return self.finish_slot(n);
            }
        }
        Ok(())
    }
}

impl StoreSink for StoreWriter {
    #[inline]
    fn write(&mut self, record: StoreRecord<'_>, at: Timestamp) -> Result<(), SinkEnd> {
        let start = self.settings.start;
        match record {
            StoreRecord::Any(record) => self.any(record, at),
            StoreRecord::Socket(socket) => self.put(StoreKind::Socket, socket.time, socket),
            StoreRecord::Finding(finding) => {
                self.put(StoreKind::Finding, finding.time.unwrap_or(start), finding)
            }
            StoreRecord::Health(health) => {
                self.put(StoreKind::Health, health.time.unwrap_or(start), health)
            }
            StoreRecord::Line(kind, line) => self.put_line(kind, line),
        }
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), SinkEnd> {
        self.now = now;
        if !self.settings.is_live {
            return Ok(());
        }
        // Where the clock was set back, what was marked later is due: else nothing would be until it is there again.
        let is_due =
            |since: Timestamp, period: i64| now < since || now.0.saturating_sub(since.0) >= period;
        if is_due(self.flushed, FLUSH) {
            self.flush();
        }
        for slot in &mut self.slots {
            slot.since = slot.since.min(now);
        }
        let interval = i64::try_from(self.settings.interval.ns()).unwrap_or(i64::MAX);
        let is_old = |slot: &Slot| is_due(slot.since, interval);
        while let Some(n) = self.slots.iter().position(is_old) {
            match self.slots[n].name.kind {
                StoreKind::Rollup => self.finish_rollups()?,
                _ => self.finish_slot(n)?,
            }
        }
        if is_due(self.tried, RETRY) {
            self.tried = now;
            if !self.left.is_empty() {
                self.try_again();
            }
            self.remove_old();
        }
        Ok(())
    }

    fn catch_up(&mut self) -> bool {
        if self.is_undo_due {
            self.undo();
        }
        let has_more = self.recover_next();
        if !has_more {
            self.remove_old();
        }
        has_more
    }

    fn progress(&self) -> Option<Arc<AtomicU64>> {
        Some(Arc::clone(&self.progress))
    }

    fn counters(&self) -> StoreCounters {
        let mut counters = self.counters.clone();
        counters.dropped += self.slots.iter().map(Slot::lost).sum::<u64>();
        for rollups in [&self.news, &self.sums] {
            add_hits(&mut counters.limit_hits, &rollups.limit_hits());
        }
        counters
    }

    fn take_trouble(&mut self) -> Option<String> {
        (!self.troubles.is_empty()).then(|| self.troubles.remove(0))
    }

    fn take_note(&mut self) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes.remove(0))
    }

    fn finish(&mut self) -> Result<(), SinkEnd> {
        while self.catch_up() {}
        if self.settings.is_live {
            self.flush();
            self.finish_rollups()?;
        } else {
            self.give_rollups(Timestamp::MAX)?;
        }
        while !self.slots.is_empty() {
            self.finish_slot(0)?;
        }
        self.give_names()?;
        if !self.left.is_empty() {
            self.try_again();
        }
        self.is_keep_due = true;
        self.remove_old();
        Ok(())
    }
}

impl Drop for StoreWriter {
    /// What was never completed goes; of live runs it is in the journal.
    fn drop(&mut self) {
        for slot in &mut self.slots {
            if let Some(segment) = &mut slot.segment {
                let _ = segment.flush();
            }
            slot.abandon();
        }
        for path in &self.unnamed {
            let _ = std::fs::remove_file(slot::part(path));
        }
    }
}
