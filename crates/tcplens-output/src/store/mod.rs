//! A store: a directory of Parquet files by record kind and date, from one host or many, that other engines read as it is. The
//! files and their columns are the interface: docs/store.md.
//!
//! ```text
//! DIR/kind=<kind>/date=YYYY-MM-DD/<host>-<start>-<n>.parquet
//! DIR/journal/...                     what is not in a file yet, of live runs
//! ```
//!
//! Each file has the column `host`, then the kind's fields as declared. A file appears whole. Not here: threads and queues, which
//! are the binary's, and other destinations, which implement [`StoreSink`].

mod error;
#[cfg(feature = "parquet")]
mod journal;
mod keep;
mod layout;
#[cfg(any(feature = "parquet", feature = "remote"))]
pub(crate) mod line;
#[cfg(feature = "parquet")]
pub mod look;
#[cfg(feature = "parquet")]
mod naming;
mod places;
#[cfg(feature = "parquet")]
mod reader;
#[cfg(feature = "parquet")]
mod recover;
#[cfg(feature = "parquet")]
mod remove;
#[cfg(any(feature = "parquet", feature = "remote"))]
pub(crate) mod rollup_row;
#[cfg(feature = "parquet")]
mod slot;
#[cfg(feature = "parquet")]
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Finding, Health, Socket};
use tcplens_core::time::Timestamp;

pub use error::StoreError;
pub use keep::Keep;
pub use layout::{FileName, StoreFile, StoreKind, date_text, host_word};
pub use places::files;
#[cfg(feature = "parquet")]
pub use reader::{StoreDamage, StoreReader};
#[cfg(feature = "parquet")]
pub use writer::{StoreSettings, StoreWriter};

use crate::sink::SinkEnd;

/// What a store can be given. Rollups it makes itself.
#[derive(Clone, Copy, Debug)]
pub enum StoreRecord<'a> {
    /// A handshake, request or connection.
    Any(AnyRecord<'a>),
    /// A socket.
    Socket(&'a Socket<'a>),
    /// A record of any kind, as the line of JSON that [`Jsonl`](crate::Jsonl) writes.
    Line(StoreKind, &'a [u8]),
    /// A finding.
    Finding(&'a Finding),
    /// What the observation saw and lost.
    Health(&'a Health),
}

/// Where records are stored: a directory, or a database. Used by one thread, which may wait.
pub trait StoreSink: Send {
    /// Takes a record that became final at `at` by the engine clock.
    ///
    /// # Errors
    /// It can take nothing more. Of live runs it never fails: what it cannot take is counted as dropped.
    fn write(&mut self, record: StoreRecord<'_>, at: Timestamp) -> Result<(), SinkEnd>;

    /// It is `now` by the wall clock; several times a second, and after each batch of records.
    ///
    /// # Errors
    /// It can take nothing more. Of live runs only where it could not be begun: the database refuses.
    fn tick(&mut self, now: Timestamp) -> Result<(), SinkEnd>;

    /// Goes on with what an earlier run has left to do, for a while (a segment of a journal); whether there is more. Records may
    /// be written between.
    fn catch_up(&mut self) -> bool {
        false
    }

    /// Goes up when something got where it belongs, also within [`finish`](Self::finish): for whoever waits for that.
    fn progress(&self) -> Option<Arc<AtomicU64>> {
        None
    }

    /// So far.
    fn counters(&self) -> StoreCounters;

    /// What went wrong and ends nothing, once.
    fn take_trouble(&mut self) -> Option<String>;

    /// What it did of its own accord, for whoever asks for more, once.
    fn take_note(&mut self) -> Option<String> {
        None
    }

    /// What is to be told of a run of capture files that ended before all was read, instead of [`finish`](Self::finish).
    fn cut_short(&self) -> String {
        "nothing of this run is kept in the store: it ended before all was read".to_owned()
    }

    /// Nothing more comes: all goes to where it belongs.
    ///
    /// # Errors
    /// It could not.
    fn finish(&mut self) -> Result<(), SinkEnd>;
}

/// Adds up how often bounds were reached, by their names.
#[cfg(feature = "parquet")]
pub(crate) fn add_hits(into: &mut Vec<(&'static str, u64)>, more: &[(&'static str, u64)]) {
    for (what, hits) in more {
        match into.iter_mut().find(|(known, _)| known == what) {
            Some((_, count)) => *count += hits,
            None => into.push((what, *hits)),
        }
    }
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Records that are stored, rollups among them.
    pub written: u64,
    /// Records that could not be.
    pub dropped: u64,
    /// Files, or batches, that are complete.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were removed because they were too old.
    pub removed: u64,
    /// Records of an earlier run that had ended too soon.
    pub recovered: u64,
    /// Values that are absent because their column's type has no place for them.
    pub left_out: u64,
    /// How often bounds were reached: for `health.limit_hits`.
    pub limit_hits: Vec<(&'static str, u64)>,
}
