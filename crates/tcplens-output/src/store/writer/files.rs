//! The open files of a writer: which one a record goes to, when one ends, and what becomes of one that cannot be written.

use std::io;

use super::{DATES, MEMORY, StoreWriter};
use crate::sink::{SinkEnd, SinkError};
use crate::store::journal::{Segment, SegmentName};
use crate::store::layout::{FileName, StoreKind};
use crate::store::naming::{self, Naming};
use crate::store::places;
use crate::store::slot::{self, Slot};

impl StoreWriter {
    /// The open file of a kind and date.
    #[inline]
    pub(super) fn slot(&mut self, kind: StoreKind, day: i64) -> Result<usize, SinkEnd> {
        let is_it = |slot: &Slot| slot.name.kind == kind && slot.name.day == day;
        match self.slots.iter().position(is_it) {
            Some(n) => Ok(n),
            None => self.begin_file(kind, day),
        }
    }

    #[cold]
    pub(super) fn begin_file(&mut self, kind: StoreKind, day: i64) -> Result<usize, SinkEnd> {
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
        let path = places::path(&self.dir, kind, day, &name);
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
    pub(super) fn broken(&mut self, n: usize, error: &io::Error) -> Result<(), SinkEnd> {
        let path = slot::part(&self.slots[n].path);
        self.slots[n].abandon();
        if !self.settings.is_live {
            return Err(SinkEnd::write(&path.display().to_string(), error));
        }
        self.failed(error);
        Ok(())
    }

    /// Completes a file.
    pub(super) fn finish_slot(&mut self, n: usize) -> Result<(), SinkEnd> {
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
                self.went_on();
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

    /// Of capture files: all get their names, or none keeps it.
    pub(super) fn give_names(&mut self) -> Result<(), SinkEnd> {
        let files = std::mem::take(&mut self.unnamed);
        if files.is_empty() {
            return Ok(());
        }
        let run = FileName::new(&self.settings.host, self.settings.start, 1);
        // Where it cannot be noted, a kill in the next moment leaves those that have theirs.
        let naming = Naming::begin(&self.dir, &run, &files).ok();
        let named = files.iter().try_for_each(|path| slot::rename(path));
        let named = named.and_then(|()| naming.map_or(Ok(()), Naming::done));
        named.map_err(|error| {
            let removed = naming::remove(&files);
            let left = match removed {
                Ok(_) => "nothing of this run is kept there".to_owned(),
                Err(why) => format!(
                    "what it has written cannot be removed ({}): remove the files with {}-{} in their names",
                    SinkError::reason(&why),
                    run.host,
                    run.start
                ),
            };
            SinkEnd::Failed(SinkError::Store(format!(
                "cannot give files their names in the store in {}: {}; {left}; see to it that files can be renamed there, and \
                 run it again",
                self.dir.display(),
                SinkError::reason(&error)
            )))
        })
    }

    /// What the journal has of a file that cannot be written is tried again later.
    pub(super) fn leave(&mut self, mut slot: Slot, error: &io::Error) {
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

    pub(super) fn bound_memory(&mut self) -> Result<(), SinkEnd> {
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
}
