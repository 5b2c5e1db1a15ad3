//! Where rollups come from: a directory, or a database. What is done with them is not known here.

use std::ops::Range;

use anyhow::{Result, anyhow};
use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;
#[cfg(feature = "parquet")]
use tcplens_output::store::{StoreKind, StoreReader};

/// A minute, in ns.
pub(crate) const MINUTE: i64 = 60_000_000_000;

/// A store whose rollups are read.
pub(crate) enum Source {
    /// Parquet files.
    #[cfg(feature = "parquet")]
    Directory(StoreReader),
}

impl Source {
    /// Opens what `--store` names.
    ///
    /// # Errors
    /// It is not there, or this build cannot read it.
    pub(crate) fn open(store: &str) -> Result<Source> {
        if let Some((scheme, _)) = store.split_once("://") {
            // The seam of a database: its rollups in a range of time, by `FORMAT JSONEachRow`, are all that is missing.
            return Err(anyhow!(
                "cannot read {store}: models learn from a directory so far, not from {scheme}; name a directory, or copy the \
                 rollups into one"
            ));
        }
        #[cfg(feature = "parquet")]
        match StoreReader::open(store.as_ref()) {
            Ok(reader) => Ok(Source::Directory(reader)),
            Err(error) => Err(anyhow!(
                "cannot read store {store}: {error}; name the directory that --store fills"
            )),
        }
        #[cfg(not(feature = "parquet"))]
        Err(anyhow!(
            "cannot read store {store}: this build has no Parquet; build it with the feature parquet"
        ))
    }

    /// The end of the newest minute that these hosts (all, if there are none) tell of.
    pub(crate) fn newest(&mut self, hosts: &[&str]) -> Result<Option<Timestamp>> {
        match self {
            #[cfg(feature = "parquet")]
            Source::Directory(reader) => {
                const DAY: i64 = 1440 * MINUTE;
                for day in reader.days(StoreKind::Rollup).into_iter().rev() {
                    let range = Timestamp(day * DAY)..Timestamp((day + 1) * DAY);
                    let mut newest = None;
                    reader.rollups(range, hosts, &mut |_, rollup| {
                        newest = newest.max(Some(rollup.time.plus(MINUTE)));
                    });
                    if newest.is_some() {
                        return Ok(newest);
                    }
                }
                Ok(None)
            }
            #[cfg(not(feature = "parquet"))]
            _ => Ok(hosts.first().and(None)),
        }
    }

    /// Where the first day begins that has files.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        match self {
            #[cfg(feature = "parquet")]
            Source::Directory(reader) => {
                let day = reader.days(StoreKind::Rollup).first().copied();
                day.map(|day| Timestamp(day.saturating_mul(1440 * MINUTE)))
            }
            #[cfg(not(feature = "parquet"))]
            _ => None,
        }
    }

    /// Gives the rollups whose minute begins in `range`, in any order.
    pub(crate) fn rollups(
        &mut self,
        range: Range<Timestamp>,
        hosts: &[&str],
        each: &mut dyn FnMut(&str, Rollup),
    ) -> Result<()> {
        match self {
            #[cfg(feature = "parquet")]
            Source::Directory(reader) => reader.rollups(range, hosts, each),
            #[cfg(not(feature = "parquet"))]
            _ => drop((range, hosts, each)),
        }
        Ok(())
    }

    /// What could not be read, in sentences.
    pub(crate) fn damages(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "parquet")]
            Source::Directory(reader) => {
                let (damages, further) = reader.damages();
                let named = damages.iter().map(ToString::to_string);
                let more = (further > 0).then(|| format!("{further} more files were left out"));
                named.chain(more).collect()
            }
            #[cfg(not(feature = "parquet"))]
            _ => Vec::new(),
        }
    }
}
