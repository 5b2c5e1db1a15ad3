//! `--store`: what is observed is kept, in a directory or on a server. Here is what is asked for, and which `StoreSink` takes it;
//! `feed` brings records there on a thread of its own, `view` takes them from an observation, `sockets` from the kernel's
//! sockets.

#[cfg(feature = "remote")]
mod clickhouse;
mod feed;
mod sockets;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
#[cfg(not(feature = "parquet"))]
use anyhow::bail;
use tcplens_capture::clock;
use tcplens_core::time::Span;
use tcplens_output::store::Keep;

#[cfg(feature = "remote")]
pub(crate) use clickhouse::{Remote, server};
pub(crate) use feed::Feeder;
use feed::Opening;
pub(crate) use sockets::StoreView;
pub(crate) use view::Storing;

use crate::cli;
use crate::cli::values::StoreTarget;
use crate::live::Live;

/// Where it is kept.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A server, and what it is called in messages.
    #[cfg(feature = "remote")]
    ClickHouse(String, Box<Remote>),
}

/// What is kept where, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct StorePlan {
    /// Where.
    pub target: Place,
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
    ///
    /// # Errors
    /// What a server asks for (a password) cannot be read.
    pub(crate) fn of(options: &cli::Store) -> Result<Option<StorePlan>> {
        let target = match &options.store {
            None => return Ok(None),
            Some(StoreTarget::Directory(directory)) => Place::Directory(directory.clone()),
            #[cfg(feature = "remote")]
            Some(StoreTarget::ClickHouse(target)) => {
                let remote = Remote::of(target, options)?;
                Place::ClickHouse(target.to_string(), Box::new(remote))
            }
        };
        Ok(Some(StorePlan {
            target,
            host: options.host.clone(),
            keep: options.keep,
            keep_rollups: options.keep_rollups,
            interval: options.store_interval,
        }))
    }

    /// What is written and read later is allowed for, before privileges are given up.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub(crate) fn prepare(&self, live: &mut Live) -> Result<()> {
        match &self.target {
            Place::Directory(directory) => live.keeps(directory.clone()),
            #[cfg(feature = "remote")]
            Place::ClickHouse(_, remote) => remote.prepare(live),
        }
    }

    /// Begins to keep. There must be no privilege any more that others need: it starts a thread. Live there is `stop`, which ends
    /// the run: packets come already, and the thread does what may take long; where the store cannot be opened after all, it
    /// sets `stop`, and why is told at the end.
    ///
    /// # Errors
    /// It cannot be opened, as far as is known at once.
    pub(crate) fn open(&self, stop: Option<Arc<AtomicBool>>, is_verbose: bool) -> Result<Feeder> {
        let name = match &self.target {
            Place::Directory(directory) => directory.display().to_string(),
            #[cfg(feature = "remote")]
            Place::ClickHouse(name, _) => name.clone(),
        };
        let host = self.host.clone().unwrap_or_else(this_host);
        let is_live = stop.is_some();
        let opening = match &self.target {
            Place::Directory(directory) => self.in_directory(directory, host, is_live)?,
            #[cfg(feature = "remote")]
            Place::ClickHouse(_, remote) => remote.opening(host, is_live)?,
        };
        Feeder::start(opening, name, stop, is_verbose)
    }

    #[cfg(feature = "parquet")]
    fn in_directory(&self, dir: &Path, host: String, is_live: bool) -> Result<Opening> {
        use tcplens_output::store::{StoreSettings, StoreWriter};
        let settings = StoreSettings {
            host,
            start: clock::now(),
            is_live,
            interval: self.interval,
            keep: self.keep,
            keep_rollups: self.keep_rollups,
        };
        // Who else writes there is known at once; what an earlier run has left takes as long as it takes.
        let writer = StoreWriter::begin(dir, settings)?;
        Ok(Box::new(|| Ok(Box::new(writer))))
    }

    #[cfg(not(feature = "parquet"))]
    fn in_directory(&self, _: &Path, _: String, _: bool) -> Result<Opening> {
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
