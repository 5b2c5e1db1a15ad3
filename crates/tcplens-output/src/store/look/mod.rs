//! Reads a store for whoever looks at it and waits: one file after the other, so that the reader may give up between two, and knows
//! which files it has seen. Rollups, findings, and single records by [`VIEWS`]. Not SQL: that is an engine's (`tcplens query`).

mod marks;
mod rows;
mod views;

use std::fs::File;
use std::io;
use std::ops::Range;

use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;

#[cfg(feature = "remote")]
pub(crate) use marks::mark;
pub use marks::marks;
pub use rows::{Found, Looking};
pub use views::{VIEWS, View};

use super::layout::StoreFile;
use super::rollup_row::rollup;
use crate::parquet::Table;

/// Gives the rollups of a file whose minute begins in `range`, with their host. Returns how many rows are not known to this
/// version and were left out.
///
/// # Errors
/// It cannot be read, from somewhere on; what came before was given.
pub fn rollups(
    file: &StoreFile,
    range: &Range<Timestamp>,
    each: &mut dyn FnMut(&str, Rollup),
) -> io::Result<u64> {
    let mut unknown = 0;
    let table = Table::open::<Rollup>(File::open(&file.path)?)?;
    table.rows(range, &mut |host, next| match rollup(next) {
        Some(rollup) if range.contains(&rollup.time) => {
            each(host.unwrap_or(&file.name.host), rollup);
        }
        Some(_) => {}
        None => unknown += 1,
    })?;
    Ok(unknown)
}

/// The first and the last minute of a file of rollups, as far as it tells without being read.
///
/// # Errors
/// It cannot be opened.
pub fn minutes(file: &StoreFile) -> io::Result<Option<(Timestamp, Timestamp)>> {
    Ok(Table::open::<Rollup>(File::open(&file.path)?)?.times())
}
