//! What a writer does beside writing: it makes files of segments that were left, removes what is too old, and tells what goes
//! wrong, once.

use std::io;
use std::sync::atomic::Ordering;

use super::StoreWriter;
use crate::sink::SinkError;
use crate::store::layout::FileName;
use crate::store::naming;
use crate::store::places::day_of;
use crate::store::recover::recover;
use crate::store::remove::Rule;
use crate::store::{add_hits, host_word};

impl StoreWriter {
    /// Finds the segments that an earlier run has left.
    pub(super) fn inherit(&mut self) {
        let Some(journal) = &self.journal else {
            return;
        };
        match journal.segments() {
            Ok(segments) => self.inherited = segments.into(),
            Err(error) => self.failed(&error),
        }
    }

    /// Makes a file of the next of them; whether there are more.
    pub(super) fn recover_next(&mut self) -> bool {
        let Some(journal) = &self.journal else {
            return false;
        };
        let Some(segment) = self.inherited.pop_front() else {
            return false;
        };
        match recover(&self.dir, journal, &segment, &self.settings.host) {
            Ok(recovered) => {
                self.counters.recovered += recovered.rows;
                self.counters.files += u64::from(recovered.rows > 0);
                self.counters.bytes += recovered.bytes;
                add_hits(&mut self.counters.limit_hits, &recovered.hits());
            }
            Err(error) => {
                self.left.push(segment);
                self.failed(&error);
            }
        }
        self.went_on();
        if self.inherited.is_empty() && self.counters.recovered > 0 {
            self.notes.push(format!(
                "{} records of an earlier run that ended too soon are in {} now",
                self.counters.recovered,
                self.dir.display()
            ));
        }
        !self.inherited.is_empty()
    }

    /// Whoever waits for it goes on waiting.
    pub(super) fn went_on(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes what a run of capture files has left that was killed while it gave names.
    pub(super) fn undo(&mut self) {
        self.is_undo_due = false;
        match naming::undo(&self.dir, &self.settings.host) {
            Ok(0) => {}
            Ok(removed) => self.notes.push(format!(
                "{removed} files of a run of capture files were removed from {}: it was killed before all had their names",
                self.dir.display()
            )),
            Err(error) => self.failed(&error),
        }
    }

    /// What could not be written is tried again.
    pub(super) fn try_again(&mut self) {
        let Some(journal) = &self.journal else {
            return;
        };
        let (mut left, mut hits) = (Vec::new(), Vec::new());
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
                    add_hits(&mut hits, &recovered.hits());
                }
                Err(error) => {
                    first = Some(error);
                    left.push(segment);
                }
            }
        }
        self.left = left;
        add_hits(&mut self.counters.limit_hits, &hits);
        match first {
            Some(error) => self.failed(&error),
            None => self.works(),
        }
    }

    pub(super) fn remove_old(&mut self) {
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
    pub(super) fn failed(&mut self, error: &io::Error) {
        if !self.is_failing {
            self.is_failing = true;
            let text = self.settings_trouble(error);
            self.troubles.push(text);
        }
    }

    pub(super) fn settings_trouble(&self, error: &io::Error) -> String {
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

    pub(super) fn works(&mut self) {
        if self.is_failing && self.left.is_empty() {
            self.is_failing = false;
            let directory = self.dir.display();
            self.troubles
                .push(format!("the store in {directory} is written again"));
        }
    }
}
