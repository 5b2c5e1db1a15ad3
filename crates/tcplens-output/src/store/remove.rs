//! What is too old in a store, or too much, goes: oldest dates first, of one host and nobody else's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::keep::Keep;
use super::layout::{FileName, StoreFile, StoreKind, date_text};
use super::places::{entries, files};

/// How long a file that was never completed is left alone: its run may still be going on.
const UNFINISHED: Duration = Duration::from_secs(86_400);

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// The first date of which something was, and the last.
    pub(super) dates: Option<(String, String)>,
}

/// Whose files go, and which of them do not.
pub(super) struct Rule<'a> {
    pub(super) dir: &'a Path,
    /// As files have it.
    pub(super) host: &'a str,
    /// The run that goes on: what it has written stays.
    pub(super) start: &'a str,
    pub(super) keep: Keep,
    pub(super) keep_rollups: Keep,
    /// Days since 1970.
    pub(super) today: i64,
}

impl Rule<'_> {
    /// Removes what is too old or too much. Directories that become empty go, too.
    ///
    /// # Errors
    /// The directory cannot be read, or a file in it cannot be removed; the rest is removed all the same.
    pub(super) fn apply(&self) -> io::Result<Removed> {
        let (mut records, mut small) = (Vec::new(), Vec::new());
        for kind in StoreKind::ALL {
            let files = files(self.dir, kind, &mut |_| {})?;
            let own = files.into_iter().filter(|file| file.name.host == self.host);
            match kind {
                StoreKind::Rollup | StoreKind::Finding | StoreKind::Health => small.extend(own),
                StoreKind::Handshake
                | StoreKind::Request
                | StoreKind::Connection
                | StoreKind::Socket => records.extend(own),
            }
        }
        let mut gone = self.beyond(records, self.keep);
        gone.extend(self.beyond(small, self.keep_rollups));
        let mut removed = Removed::default();
        let mut failed = None;
        for file in gone {
            match fs::remove_file(&file.path) {
                Ok(()) => removed.count(&file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => failed = Some(error),
            }
        }
        self.tidy()?;
        failed.map_or(Ok(removed), Err)
    }

    /// Of files of one sort those that go.
    fn beyond(&self, mut files: Vec<StoreFile>, keep: Keep) -> Vec<StoreFile> {
        files.sort_by(|a, b| (a.day, &a.name, a.kind).cmp(&(b.day, &b.name, b.kind)));
        let is_own_run = |file: &StoreFile| file.name.start == self.start;
        match keep {
            Keep::Days(days) => {
                let first = self
                    .today
                    .saturating_sub(i64::try_from(days).unwrap_or(i64::MAX));
                files.retain(|file| file.day < first && !is_own_run(file));
                files
            }
            Keep::Size(most) => {
                let mut left: u64 = files.iter().map(|file| file.bytes).sum();
                files.retain(|file| {
                    let goes = left > most && !is_own_run(file);
                    left -= if goes { file.bytes } else { 0 };
                    goes
                });
                files
            }
        }
    }

    /// What this host has begun and never completed, long ago; and directories without anything.
    fn tidy(&self) -> io::Result<()> {
        for kind in StoreKind::ALL {
            let of_kind = self.dir.join(format!("kind={}", kind.word()));
            for date in entries(&of_kind)? {
                for path in entries(&date)? {
                    if self.is_abandoned(&path) {
                        // Nobody can read it; where it cannot go, it stays.
                        let _ = fs::remove_file(&path);
                    }
                }
                // Of one that is not empty nothing happens.
                let _ = fs::remove_dir(&date);
            }
        }
        Ok(())
    }

    fn is_abandoned(&self, path: &PathBuf) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        let stem = name.and_then(|name| name.strip_suffix(".parquet.part"));
        let name = stem.and_then(FileName::parse);
        let is_own = name.is_some_and(|name| name.host == self.host && name.start != self.start);
        let age = || {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            modified
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok())
        };
        is_own && age().is_some_and(|age| age > UNFINISHED)
    }
}

impl Removed {
    fn count(&mut self, file: &StoreFile) {
        self.files += 1;
        self.bytes += file.bytes;
        let date = date_text(file.day);
        self.dates = Some(match self.dates.take() {
            None => (date.clone(), date),
            Some((first, last)) => (first.min(date.clone()), last.max(date)),
        });
    }
}
