//! A directory of Parquet files as a source: which files there are, and what is read of them. A file appears whole and never
//! changes, so what was counted of it once need not be read again.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::view::fleet::FleetFilter;
use tcplens_output::named::{Dialect, Named, Parameters};
use tcplens_output::page::fleet::Mark;
use tcplens_output::store::look::{self, Looking, View};
use tcplens_output::store::{StoreFile, StoreKind, files, host_word};

use super::queries;
use super::source::{NAMED, Part, Reading, Records, Source, State, Why};
use crate::commands::query;

/// Files of the newest day whose times are looked at to know the newest minute. Chosen: opening them takes some ms.
const NEWEST: usize = 256;
/// Days before a range of which findings may go on in it.
const DAYS_BEFORE: i64 = 2;
const DAY: i64 = 86_400 * SECOND;

/// See the module.
pub(super) struct Directory {
    path: PathBuf,
    name: String,
    /// Last minutes of files of rollups, of the newest day.
    minutes: Mutex<BTreeMap<PathBuf, Option<Timestamp>>>,
}

impl Directory {
    /// # Errors
    /// It is no store, and why.
    pub(super) fn open(path: &Path) -> Result<Directory> {
        let name = path.display().to_string();
        if let Some((scheme, _)) = name.split_once("://") {
            bail!(
                "cannot show {name}: {scheme}:// is not known, or this tcplens was built without it; give a directory that --store DIR \
                 filled, or clickhouse://USER@HOST:PORT/DATABASE"
            );
        }
        if let Err(error) = std::fs::read_dir(path) {
            bail!(
                "cannot read the store {name}: {error}; give the directory that --store DIR filled"
            );
        }
        let is_store = StoreKind::ALL
            .iter()
            .any(|kind| path.join(format!("kind={}", kind.word())).is_dir());
        if !is_store && !path.join("journal").is_dir() {
            bail!(
                "{name} is no store: it has no directory kind=rollup; give the one that --store DIR filled"
            );
        }
        Ok(Directory {
            path: path.to_owned(),
            name,
            minutes: Mutex::new(BTreeMap::new()),
        })
    }

    fn files(&self, kind: StoreKind) -> Result<Vec<StoreFile>, Why> {
        // What has another name is none of a store's.
        files(&self.path, kind, &mut |_| ()).map_err(|error| {
            let name = &self.name;
            format!("cannot read the store {name}: {error}")
        })
    }

    /// The end of the newest minute.
    fn newest(&self, rollups: &[StoreFile]) -> Option<Timestamp> {
        let day = rollups.last()?.day;
        let last = rollups.iter().filter(|file| file.day == day);
        let mut known = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were written last have the newest names of their host: from the end of each, as far as they are bounded.
        let mut last: Vec<_> = last.collect();
        last.sort_by(|a, b| (&b.name.start, b.name.number).cmp(&(&a.name.start, a.name.number)));
        last.truncate(NEWEST);
        known.retain(|path, _| last.iter().any(|file| file.path == *path));
        for file in &last {
            if !known.contains_key(&file.path) {
                // One that cannot be read has no newest minute; that is said where it is read.
                let minutes = look::minutes(file).ok().flatten();
                known.insert(file.path.clone(), minutes.map(|(_, last)| last));
            }
        }
        let newest = known.values().flatten().max().copied();
        newest
            .map(|minute| minute.plus(60 * SECOND))
            .or(Some(Timestamp((day + 1).saturating_mul(DAY))))
    }
}

impl Source for Directory {
    fn name(&self) -> &str {
        &self.name
    }

    fn parts(&self) -> &'static str {
        "files"
    }

    fn dialect(&self) -> Dialect {
        Dialect::Standard
    }

    fn state(&self) -> Result<State, Why> {
        let rollups = self.files(StoreKind::Rollup)?;
        let findings = self.files(StoreKind::Finding)?;
        let mut hasher = DefaultHasher::new();
        for file in rollups.iter().chain(&findings) {
            (&file.path, file.bytes).hash(&mut hasher);
        }
        let first = rollups
            .first()
            .map(|file| Timestamp(file.day.saturating_mul(DAY)));
        Ok(State {
            version: hasher.finish(),
            extent: first.zip(self.newest(&rollups)),
        })
    }

    fn bring(&self, reading: &mut Reading, give_up: &dyn Fn() -> bool) -> Result<(), Why> {
        let range = reading.fleet.range();
        let range = range.from..range.until;
        let mut files = self.files(StoreKind::Rollup)?;
        let days = days(&range, 0);
        let host = reading.fleet.filter().host.as_deref().map(host_word);
        files.retain(|file| {
            days.contains(&file.day) && host.as_ref().is_none_or(|host| *host == file.name.host)
        });
        let there: BTreeSet<_> = files
            .iter()
            .map(|file| Part::File(file.path.clone()))
            .collect();
        if !reading.seen.is_subset(&there) {
            reading.begin_again();
        }
        reading.unread = 0;
        for file in &files {
            let part = Part::File(file.path.clone());
            if reading.seen.contains(&part) {
                continue;
            }
            if give_up() {
                reading.unread += 1;
                continue;
            }
            let fleet = &mut reading.fleet;
            let read = look::rollups(file, &range, &mut |host, rollup| fleet.add(host, &rollup));
            match read {
                Ok(0) => {}
                Ok(unknown) => reading.damaged(format!(
                    "{}: {unknown} rows are of a later version and left out",
                    file.path.display()
                )),
                // It was removed since: --keep.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => reading.damaged(damage(file, &error)),
            }
            reading.seen.insert(part);
        }
        reading.fleet.finish();
        Ok(())
    }

    fn marks(
        &self,
        range: &Range<Timestamp>,
        each: &mut dyn FnMut(Mark),
        give_up: &dyn Fn() -> bool,
    ) -> Result<(), Why> {
        let days = days(range, DAYS_BEFORE);
        let files = self.files(StoreKind::Finding)?;
        let (mut missing, mut more) = (None, 0_u64);
        for file in files.iter().filter(|file| days.contains(&file.day)).rev() {
            if give_up() {
                missing.get_or_insert("there was no time for all; ask again".to_owned());
                break;
            }
            match look::marks(file, range, each) {
                // It was removed since: --keep.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) if missing.is_some() => more += 1,
                Err(error) => missing = Some(damage(file, &error)),
                Ok(()) => {}
            }
        }
        match (missing, more) {
            (None, _) => Ok(()),
            (Some(why), 0) => Err(why),
            (Some(why), _) => Err(format!("{why}; and {more} more")),
        }
    }

    fn records(
        &self,
        view: &'static View,
        range: &Range<Timestamp>,
        filter: &FleetFilter,
        most: usize,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Records, Why> {
        let files = self.files(view.kind)?;
        let mut looking = Looking::new(view, range.clone(), filter.clone(), most);
        let (mut read, mut unread, mut damages) = (0, 0, Vec::new());
        // The newest first: if time runs out, it is the older ones that are missing.
        let chosen = files.iter().rev().filter(|file| looking.may_have(file));
        for file in chosen.collect::<Vec<_>>() {
            if give_up() {
                unread += 1;
                continue;
            }
            read += 1;
            match looking.read(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => read -= 1,
                Err(error) if damages.len() < NAMED => damages.push(damage(file, &error)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(Records {
            found: looking.finish(),
            files: read,
            unread,
            damages,
        })
    }

    fn engine(&self) -> Result<(), Why> {
        let engine = query::engine().map_err(|error| error.to_string());
        engine.map(drop)
    }

    fn query(
        &self,
        named: &'static Named,
        parameters: &Parameters,
        most: usize,
    ) -> Result<(Vec<u8>, bool), Why> {
        queries::child(&self.name, named, parameters, most)
    }
}

fn damage(file: &StoreFile, error: &io::Error) -> String {
    format!("{}: {error}; left out from there on", file.path.display())
}

/// Days that a time has, and so many before.
fn days(range: &Range<Timestamp>, before: i64) -> std::ops::RangeInclusive<i64> {
    let last = range.end.0.saturating_sub(1).div_euclid(DAY);
    range.start.0.div_euclid(DAY).saturating_sub(before)..=last
}
