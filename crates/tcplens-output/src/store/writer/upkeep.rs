//! What a writer does beside writing: it makes files of segments that were left, removes what is too old, and tells what goes
//! wrong, once.

use std::io;

use super::StoreWriter;
use crate::sink::SinkError;
use crate::store::layout::FileName;
use crate::store::places::day_of;
use crate::store::recover::recover;
use crate::store::remove::Rule;
use crate::store::{add_hits, host_word};

impl StoreWriter {
    /// Segments that an earlier run has left, or this one.
    pub(super) fn recover_all(&mut self) {
        let Some(journal) = &self.journal else {
            return;
        };
        let segments = match journal.segments() {
            Ok(segments) => segments,
            Err(error) => return self.failed(&error),
        };
        let (mut rows, mut hits, mut failed) = (0, Vec::new(), None);
        for segment in segments {
            match recover(&self.dir, journal, &segment, &self.settings.host) {
                Ok(recovered) => {
                    rows += recovered.rows;
                    add_hits(&mut hits, &recovered.hits());
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
        add_hits(&mut self.counters.limit_hits, &hits);
        if rows > 0 {
            self.notes.push(format!(
                "{rows} records of an earlier run that ended too soon are in {} now",
                self.dir.display()
            ));
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
