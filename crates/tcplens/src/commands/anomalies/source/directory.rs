//! Parquet files as a source of rollups.

use std::ops::Range;

use anyhow::{Result, anyhow};
use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;
use tcplens_output::store::{StoreKind, StoreReader};

use super::{MINUTE, Source};

const DAY: i64 = 1440 * MINUTE;

/// See the module.
pub(super) struct Directory(StoreReader);

impl Directory {
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(store: &str) -> Result<Directory> {
        StoreReader::open(store.as_ref())
            .map(Directory)
            .map_err(|error| {
                anyhow!("cannot read store {store}: {error}; name the directory that --store fills")
            })
    }
}

impl Source for Directory {
    fn newest(&mut self, hosts: &[&str]) -> Result<Option<Timestamp>> {
        for day in self.0.days(StoreKind::Rollup).into_iter().rev() {
            let range = Timestamp(day * DAY)..Timestamp((day + 1) * DAY);
            let mut newest = None;
            self.0.rollups(range, hosts, &mut |_, rollup| {
                newest = newest.max(Some(rollup.time.plus(MINUTE)));
            });
            if newest.is_some() {
                return Ok(newest);
            }
        }
        Ok(None)
    }

    fn first(&self) -> Option<Timestamp> {
        let day = self.0.days(StoreKind::Rollup).first().copied();
        day.map(|day| Timestamp(day.saturating_mul(DAY)))
    }

    fn rollups(
        &mut self,
        range: Range<Timestamp>,
        hosts: &[&str],
        each: &mut dyn FnMut(&str, Rollup),
    ) -> Result<()> {
        self.0.rollups(range, hosts, each);
        Ok(())
    }

    fn damages(&self) -> Vec<String> {
        let (damages, further) = self.0.damages();
        let named = damages.iter().map(ToString::to_string);
        let more = (further > 0).then(|| format!("{further} more files were left out"));
        named.chain(more).collect()
    }
}
