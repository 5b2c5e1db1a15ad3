//! Writes a store. Records of a kind and date go to one file until that is large or old; then it is completed and the next one
//! begins. Of live runs what is not in a file yet is in the journal; of capture files nothing is to be seen until all is written,
//! so that whoever runs again has nothing twice.
//!
//! Bounded: [`DATES`] open files of each kind, [`MEMORY`] bytes of rows that wait in all of them, the bounds of [`Rollups`].

use std::io;
use std::path::{Path, PathBuf};

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Record, Rollup};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_core::view::rollup::{LAG, MINUTE};

use super::journal::{Journal, Segment, SegmentName};
use super::keep::{Keep, Rule};
use super::layout::{self, FileName, StoreKind, day_of};
use super::line::LineReader;
use super::recover::recover;
use super::slot::{self, Slot};
use super::{StoreCounters, StoreError, StoreRecord, StoreSink, host_word};
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
    /// Segments whose file could not be written.
    left: Vec<SegmentName>,
    counters: StoreCounters,
    records: u64,
    now: Timestamp,
    flushed: Timestamp,
    tried: Timestamp,
    is_keep_due: bool,
    is_failing: bool,
    troubles: Vec<String>,
    notes: Vec<String>,
}

impl StoreWriter {
    /// Opens a store in a directory, which is made if it is not there. Of live runs what an earlier one has left in its journal
    /// becomes files first.
    ///
    /// # Errors
    /// The directory cannot be made, or somebody else writes there as the same host.
    pub fn open(dir: &Path, settings: StoreSettings) -> Result<StoreWriter, StoreError> {
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
            left: Vec::new(),
            counters: StoreCounters::default(),
            records: 0,
            now: settings.start,
            flushed: settings.start,
            tried: settings.start,
            is_keep_due: settings.keep.is_some(),
            is_failing: false,
            troubles: Vec::new(),
            notes: Vec::new(),
            settings,
        };
        writer.recover_all();
        writer.remove_old();
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

    /// The open file of a kind and date.
    #[inline]
    fn slot(&mut self, kind: StoreKind, day: i64) -> Result<usize, SinkEnd> {
        let is_it = |slot: &Slot| slot.name.kind == kind && slot.name.day == day;
        match self.slots.iter().position(is_it) {
            Some(n) => Ok(n),
            None => self.begin(kind, day),
        }
    }

    #[cold]
    fn begin(&mut self, kind: StoreKind, day: i64) -> Result<usize, SinkEnd> {
        let of_kind = self.slots.iter().filter(|slot| slot.name.kind == kind);
        if of_kind.count() >= DATES {
            // Rollups of all dates wait together.
            if kind == StoreKind::Rollup && self.settings.is_live {
                self.finish_rollups()?;
            } else {
                let all = self.slots.iter().enumerate();
                let of_kind = all.filter(|(_, slot)| slot.name.kind == kind);
                if let Some((n, _)) = of_kind.min_by_key(|(_, slot)| slot.used) {
                    self.finish_slot(n)?;
                }
            }
        }
        let number = &mut self.numbers[kind as usize];
        *number += 1;
        let name = FileName::new(&self.settings.host, self.settings.start, *number);
        let path = layout::path(&self.dir, kind, day, &name);
        let name = SegmentName { kind, day, name };
        let file = slot::create(kind, &path, &self.settings.host);
        let journal = self.journal.as_ref();
        let segment = journal.map(|journal| Segment::new(journal.path(&name)));
        let failed = file
            .as_ref()
            .err()
            .map(|error| io::Error::from(error.kind()));
        let why = file.as_ref().err().map(ToString::to_string);
        self.slots.push(Slot {
            name,
            file: file.ok(),
            path,
            segment,
            // What rollups tell began to come at the flush before.
            since: match kind {
                StoreKind::Rollup => self.flushed,
                _ => self.now,
            },
            rows: 0,
            used: self.records,
        });
        let n = self.slots.len() - 1;
        if let (Some(_), Some(why)) = (failed, why) {
            self.broken(n, &io::Error::other(why))?;
        }
        Ok(n)
    }

    /// A file cannot be written. Of live runs its records are in the journal, and that is tried again.
    fn broken(&mut self, n: usize, error: &io::Error) -> Result<(), SinkEnd> {
        let path = slot::part(&self.slots[n].path);
        self.slots[n].abandon();
        if !self.settings.is_live {
            return Err(SinkEnd::write(&path.display().to_string(), error));
        }
        self.failed(error);
        Ok(())
    }

    /// Completes a file.
    fn finish_slot(&mut self, n: usize) -> Result<(), SinkEnd> {
        let mut slot = self.slots.swap_remove(n);
        let written = match slot.file.take() {
            Some(file) => {
                self.counters.left_out += file.left_out();
                let rows = file.count();
                slot::complete(file).map(|bytes| (rows, bytes))
            }
            None => Err(io::Error::other("")),
        };
        let named = match (written, self.settings.is_live) {
            (Ok(counts), true) => slot::rename(&slot.path).map(|()| counts),
            (Ok(counts), false) => {
                self.unnamed.push(slot.path.clone());
                Ok(counts)
            }
            (Err(error), _) => Err(error),
        };
        match named {
            Ok((rows, bytes)) => {
                self.counters.written += rows;
                self.counters.files += 1;
                self.counters.bytes += bytes;
                self.is_keep_due |= self.settings.keep.is_some();
                self.works();
                if let Some(segment) = &mut slot.segment
                    && let Err(error) = segment.remove()
                {
                    // At the next start it is seen that its file is there.
                    self.failed(&error);
                }
                Ok(())
            }
            Err(error) => {
                let _ = std::fs::remove_file(slot::part(&slot.path));
                if !self.settings.is_live {
                    return Err(SinkEnd::write(&slot.path.display().to_string(), &error));
                }
                self.leave(slot, &error);
                Ok(())
            }
        }
    }

    /// What the journal has of a file that cannot be written is tried again later.
    fn leave(&mut self, mut slot: Slot, error: &io::Error) {
        if !error.to_string().is_empty() {
            self.failed(error);
        }
        let Some(segment) = &mut slot.segment else {
            self.counters.dropped += slot.rows;
            return;
        };
        if let Err(error) = segment.flush() {
            self.failed(&error);
        }
        let (lines, lost) = segment.lines();
        self.counters.dropped += lost + segment.waiting();
        if lines > 0 {
            self.left.push(slot.name);
        }
    }

    /// Live: what came since the last time goes to the journal, and waits.
    fn flush_rollups(&mut self) {
        let mut rows = Vec::new();
        self.news
            .take_until(Timestamp::MAX, &mut |rollup| rows.push(rollup));
        for rollup in &rows {
            if self.sums.is_full() {
                // Of live runs nothing fails.
                let _ = self.finish_rollups();
            }
            if let Ok(n) = self.slot(StoreKind::Rollup, day_of(rollup.time)) {
                self.jsonl.clear();
                self.jsonl.encode_hosted(&self.settings.host, rollup);
                self.journal_line(n);
            }
            self.sums.add_rollup(rollup);
        }
    }

    /// Live: all that waits goes to files, which are completed. A minute that goes on has one more row later.
    fn finish_rollups(&mut self) -> Result<(), SinkEnd> {
        let mut rows = Vec::new();
        self.sums
            .take_until(Timestamp::MAX, &mut |rollup| rows.push(rollup));
        for rollup in &rows {
            let is_it = |slot: &Slot| {
                slot.name.kind == StoreKind::Rollup && slot.name.day == day_of(rollup.time)
            };
            // Each has one since it was in the journal.
            if let Some(n) = self.slots.iter().position(is_it) {
                let slot = &mut self.slots[n];
                slot.rows += 1;
                if let Err(error) = slot.push(rollup) {
                    self.broken(n, &error)?;
                }
            }
        }
        while let Some(n) = self
            .slots
            .iter()
            .position(|slot| slot.name.kind == StoreKind::Rollup)
        {
            self.finish_slot(n)?;
        }
        Ok(())
    }

    /// Of capture files: the rows of minutes that are over.
    fn give_rollups(&mut self, until: Timestamp) -> Result<(), SinkEnd> {
        let mut rows: Vec<Rollup> = Vec::new();
        self.news.take_until(until, &mut |rollup| rows.push(rollup));
        for rollup in &rows {
            self.put(StoreKind::Rollup, rollup.time, rollup)?;
        }
        Ok(())
    }

    fn bound_memory(&mut self) -> Result<(), SinkEnd> {
        let sizes = self.slots.iter().map(|slot| slot.size().1);
        if sizes.clone().sum::<usize>() < MEMORY {
            return Ok(());
        }
        let largest = sizes.enumerate().max_by_key(|(_, size)| *size);
        let Some((n, _)) = largest else {
            return Ok(());
        };
        let ended = self.slots[n].file.as_mut().map(|file| file.end_group());
        match ended {
            Some(Err(error)) => self.broken(n, &error),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Segments that an earlier run has left, or this one.
    fn recover_all(&mut self) {
        let Some(journal) = &self.journal else {
            return;
        };
        let segments = match journal.segments() {
            Ok(segments) => segments,
            Err(error) => return self.failed(&error),
        };
        let (mut rows, mut damaged, mut failed) = (0, 0, None);
        for segment in segments {
            match recover(&self.dir, journal, &segment, &self.settings.host) {
                Ok(recovered) => {
                    rows += recovered.rows;
                    damaged += recovered.damaged;
                    self.counters.files += u64::from(recovered.rows > 0);
                    self.counters.bytes += recovered.bytes;
                }
                Err(error) => {
                    self.left.push(segment);
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            self.failed(&error);
        }
        self.counters.recovered += rows;
        self.count_damaged(damaged);
        if rows > 0 {
            self.notes.push(format!(
                "{rows} records of an earlier run that ended too soon are in {} now",
                self.dir.display()
            ));
        }
    }

    /// What could not be written is tried again.
    fn try_again(&mut self) {
        let Some(journal) = &self.journal else {
            return;
        };
        let (mut left, mut damaged) = (Vec::new(), 0);
        let mut first = None;
        for segment in std::mem::take(&mut self.left) {
            // One that cannot be written speaks for all.
            if first.is_some() {
                left.push(segment);
                continue;
            }
            match recover(&self.dir, journal, &segment, &self.settings.host) {
                Ok(recovered) => {
                    self.counters.written += recovered.rows;
                    self.counters.files += u64::from(recovered.rows > 0);
                    self.counters.bytes += recovered.bytes;
                    damaged += recovered.damaged;
                }
                Err(error) => {
                    first = Some(error);
                    left.push(segment);
                }
            }
        }
        self.left = left;
        self.count_damaged(damaged);
        match first {
            Some(error) => self.failed(&error),
            None => self.works(),
        }
    }

    fn count_damaged(&mut self, lines: u64) {
        if lines == 0 {
            return;
        }
        let hits = &mut self.counters.limit_hits;
        match hits
            .iter_mut()
            .find(|(what, _)| *what == "store_torn_lines")
        {
            Some((_, count)) => *count += lines,
            None => hits.push(("store_torn_lines", lines)),
        }
    }

    fn remove_old(&mut self) {
        let Some(keep) = self.settings.keep.filter(|_| self.is_keep_due) else {
            return;
        };
        self.is_keep_due = false;
        let name = FileName::new(&self.settings.host, self.settings.start, 1);
        let rule = Rule {
            dir: &self.dir,
            host: &host_word(&self.settings.host),
            start: &name.start,
            keep,
            keep_rollups: self.settings.keep_rollups,
            today: day_of(self.now),
        };
        match rule.apply() {
            Ok(removed) => {
                self.counters.removed += removed.files;
                if let Some((first, last)) = removed.dates {
                    self.notes.push(format!(
                        "{} files of {first} to {last} were removed from {}, {} bytes (--keep)",
                        removed.files,
                        self.dir.display(),
                        removed.bytes
                    ));
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Told once, until it works again.
    fn failed(&mut self, error: &io::Error) {
        if !self.is_failing {
            self.is_failing = true;
            let text = self.settings_trouble(error);
            self.troubles.push(text);
        }
    }

    fn settings_trouble(&self, error: &io::Error) -> String {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
            io::ErrorKind::PermissionDenied => "make it writable for the user that tcplens became",
            _ => "see to it that files can be written there",
        };
        format!(
            "cannot write to the store in {}: {}; {advice}: what the journal cannot take is counted as dropped, and it is tried \
             again",
            self.dir.display(),
            SinkError::reason(error)
        )
    }

    fn works(&mut self) {
        if self.is_failing && self.left.is_empty() {
            self.is_failing = false;
            let directory = self.dir.display();
            self.troubles
                .push(format!("the store in {directory} is written again"));
        }
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
        let passed = |since: Timestamp| now.0.saturating_sub(since.0);
        if passed(self.flushed) >= FLUSH {
            self.flush();
        }
        let interval = i64::try_from(self.settings.interval.ns()).unwrap_or(i64::MAX);
        let is_old = |slot: &Slot| passed(slot.since) >= interval;
        while let Some(n) = self.slots.iter().position(is_old) {
            match self.slots[n].name.kind {
                StoreKind::Rollup => self.finish_rollups()?,
                _ => self.finish_slot(n)?,
            }
        }
        if passed(self.tried) >= RETRY {
            self.tried = now;
            if !self.left.is_empty() {
                self.try_again();
            }
            self.remove_old();
        }
        Ok(())
    }

    fn counters(&self) -> StoreCounters {
        let mut counters = self.counters.clone();
        counters.dropped += self.slots.iter().map(Slot::lost).sum::<u64>();
        counters.limit_hits.extend(self.news.limit_hits());
        counters
    }

    fn take_trouble(&mut self) -> Option<String> {
        (!self.troubles.is_empty()).then(|| self.troubles.remove(0))
    }

    fn take_note(&mut self) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes.remove(0))
    }

    fn finish(&mut self) -> Result<(), SinkEnd> {
        if self.settings.is_live {
            self.flush();
            self.finish_rollups()?;
        } else {
            self.give_rollups(Timestamp::MAX)?;
        }
        while !self.slots.is_empty() {
            self.finish_slot(0)?;
        }
        for path in std::mem::take(&mut self.unnamed) {
            slot::rename(&path).map_err(|error| {
                SinkEnd::Failed(SinkError::Rename {
                    part: slot::part(&path).display().to_string(),
                    name: path.display().to_string(),
                    why: SinkError::reason(&error),
                })
            })?;
        }
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
