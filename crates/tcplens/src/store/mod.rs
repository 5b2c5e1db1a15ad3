//! `--store`: what is observed is kept, in a directory or on a server. Here is what is asked for, and which [`StoreSink`] takes it;
//! `feed` brings records there on a thread of its own, `view` takes them from an observation, `sockets` from the kernel's
//! sockets.

mod feed;
mod sockets;
mod view;

use std::path::Path;

use anyhow::{Result, bail};
use tcplens_capture::clock;
use tcplens_core::time::Span;
use tcplens_output::store::{Keep, StoreSink};

pub(crate) use feed::Feeder;
pub(crate) use sockets::StoreView;
pub(crate) use view::Storing;

use crate::cli;
use crate::cli::values::StoreTarget;

/// What is kept where, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorePlan {
    /// Where.
    pub target: StoreTarget,
    /// Whose records these are; `None`: this machine's.
    pub host: Option<String>,
    /// How long records stay.
    pub keep: Option<Keep>,
    /// How long rollups, findings and health stay, where records do not.
    pub keep_rollups: Keep,
    /// How old a file of a live run becomes.
    pub interval: Span,
}

impl StorePlan {
    /// As the options say; `None`: nothing is kept.
    pub(crate) fn of(options: &cli::Store) -> Option<StorePlan> {
        Some(StorePlan {
            target: options.store.clone()?,
            host: options.host.clone(),
            keep: options.keep,
            keep_rollups: options.keep_rollups,
            interval: options.store_interval,
        })
    }

    /// The directory that is written, if it is one.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match &self.target {
            StoreTarget::Directory(directory) => Some(directory),
            StoreTarget::ClickHouse(_) => None,
        }
    }

    /// Begins to keep. There must be no privilege any more that others need: it starts a thread.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self, is_live: bool, is_verbose: bool) -> Result<Feeder> {
        let name = match &self.target {
            StoreTarget::Directory(directory) => directory.display().to_string(),
            StoreTarget::ClickHouse(url) => url.clone(),
        };
        Feeder::start(self.sink(is_live)?, name, is_live, is_verbose)
    }

    fn sink(&self, is_live: bool) -> Result<Box<dyn StoreSink>> {
        let host = self.host.clone().unwrap_or_else(this_host);
        match &self.target {
            StoreTarget::Directory(directory) => self.in_directory(directory, host, is_live),
            StoreTarget::ClickHouse(_) => {
                bail!(
                    "cannot store in ClickHouse: this tcplens has it not built in; write a directory"
                )
            }
        }
    }

    #[cfg(feature = "parquet")]
    fn in_directory(&self, dir: &Path, host: String, is_live: bool) -> Result<Box<dyn StoreSink>> {
        use tcplens_output::store::{StoreSettings, StoreWriter};
        let settings = StoreSettings {
            host,
            start: clock::now(),
            is_live,
            interval: self.interval,
            keep: self.keep,
            keep_rollups: self.keep_rollups,
        };
        Ok(Box::new(StoreWriter::open(dir, settings)?))
    }

    #[cfg(not(feature = "parquet"))]
    fn in_directory(&self, _: &Path, _: String, _: bool) -> Result<Box<dyn StoreSink>> {
        let _ = (clock::now(), self.interval, self.keep, self.keep_rollups);
        bail!("this tcplens was built without Parquet; build it with --features parquet")
    }
}

/// What this machine calls itself.
pub(crate) fn this_host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.into(),
    }
}
