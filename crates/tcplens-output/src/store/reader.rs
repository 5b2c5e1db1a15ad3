//! Reads a store: which files there are, and the rollups of a time. What cannot be read is left out and named, whatever it is.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;

use super::layout::{StoreFile, StoreKind, host_word};
use super::places::{self, day_of};
use super::rollup_row::rollup;
use crate::parquet::Table;
use crate::sink::SinkError;

/// Most damages that are named; the rest is counted.
const NAMED: usize = 100;

/// A store that is read. Files that are still being written are not seen.
#[derive(Debug)]
pub struct StoreReader {
    dir: PathBuf,
    files: Vec<StoreFile>,
    damages: Vec<StoreDamage>,
    further: u64,
}

/// A file that was left out, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDamage {
    /// Where it is.
    pub path: PathBuf,
    /// Why, in words for the user.
    pub why: String,
}

impl fmt::Display for StoreDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl StoreReader {
    /// Looks for files.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(dir: &Path) -> io::Result<StoreReader> {
        std::fs::read_dir(dir)?;
        let mut reader = StoreReader {
            dir: dir.to_owned(),
            files: Vec::new(),
            damages: Vec::new(),
            further: 0,
        };
        for kind in StoreKind::ALL {
            let mut odd = Vec::new();
            let files = places::files(dir, kind, &mut |path| odd.push(path))?;
            reader.files.extend(files);
            odd.sort();
            for path in odd {
                reader.damaged(
                    path,
                    "its name is not one of a store's files; left out".into(),
                );
            }
        }
        Ok(reader)
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its files: by kind, then date, host, start and number.
    #[must_use]
    pub fn files(&self) -> &[StoreFile] {
        &self.files
    }

    /// What was left out so far, and how much more than these.
    #[must_use]
    pub fn damages(&self) -> (&[StoreDamage], u64) {
        (&self.damages, self.further)
    }

    /// Days since 1970 that have files of a kind, ascending.
    #[must_use]
    pub fn days(&self, kind: StoreKind) -> Vec<i64> {
        let files = self.files.iter().filter(|file| file.kind == kind);
        let mut days: Vec<_> = files.map(|file| file.day).collect();
        days.dedup();
        days
    }

    /// Gives the rollups whose minute begins in `range`, of `hosts` as they call themselves (of all if there are none). Day by
    /// day, and of a day file by file: by host and start, not by minute.
    pub fn rollups(
        &mut self,
        range: Range<Timestamp>,
        hosts: &[&str],
        each: &mut dyn FnMut(&str, Rollup),
    ) {
        let words: Vec<_> = hosts.iter().map(|host| host_word(host)).collect();
        let mut damages = Vec::new();
        let last = Timestamp(range.end.0.saturating_sub(1));
        let days = day_of(range.start)..=day_of(last);
        let files = self.files.iter().filter(|file| {
            file.kind == StoreKind::Rollup
                && days.contains(&file.day)
                && (words.is_empty() || words.contains(&file.name.host))
        });
        for file in files {
            let mut unknown = 0_u64;
            let mut row = |host: Option<&str>, next: &mut dyn FnMut() -> crate::cell::Cell| {
                let host = host.unwrap_or(&file.name.host);
                if !hosts.is_empty() && !hosts.contains(&host) {
                    return;
                }
                match rollup(next) {
                    Some(rollup) if range.contains(&rollup.time) => each(host, rollup),
                    Some(_) => {}
                    None => unknown += 1,
                }
            };
            let read = File::open(&file.path)
                .and_then(Table::open::<Rollup>)
                .and_then(|table| table.rows(&range, &mut row));
            if let Err(error) = read {
                let why = SinkError::reason(&error);
                damages.push((file.path.clone(), format!("{why}; left out from there on")));
            }
            if unknown > 0 {
                let why = format!("{unknown} rows are not known to this version; left out");
                damages.push((file.path.clone(), why));
            }
        }
        for (path, why) in damages {
            self.damaged(path, why);
        }
    }

    fn damaged(&mut self, path: PathBuf, why: String) {
        let damage = StoreDamage { path, why };
        if self.damages.contains(&damage) {
            return;
        }
        if self.damages.len() < NAMED {
            self.damages.push(damage);
        } else {
            self.further += 1;
        }
    }
}
