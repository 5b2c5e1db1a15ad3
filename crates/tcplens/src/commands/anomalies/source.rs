//! Where rollups come from: a directory, or a server. What is done with them is not known here.

#[cfg(feature = "remote")]
mod clickhouse;
#[cfg(feature = "parquet")]
mod directory;

use std::ops::Range;
use std::path::Path;

#[cfg(feature = "remote")]
use anyhow::anyhow;
use anyhow::{Result, bail};
use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;
#[cfg(feature = "remote")]
use tcplens_output::clickhouse::{Server, Target};

#[cfg(feature = "remote")]
use crate::store;

/// A minute, in ns.
pub(crate) const MINUTE: i64 = 60_000_000_000;

/// A store whose rollups are read.
pub(crate) trait Source {
    /// The end of the newest minute that these hosts (all, if there are none) tell of.
    fn newest(&mut self, hosts: &[&str]) -> Result<Option<Timestamp>>;

    /// Where the first day begins that has rollups.
    fn first(&self) -> Option<Timestamp>;

    /// Gives the rollups whose minute begins in `range`, in any order.
    fn rollups(
        &mut self,
        range: Range<Timestamp>,
        hosts: &[&str],
        each: &mut dyn FnMut(&str, Rollup),
    ) -> Result<()>;

    /// What could not be read, in sentences.
    fn damages(&self) -> Vec<String>;
}

/// Opens what `--store` names; a server's password is in a file.
///
/// # Errors
/// It is not there, or this build cannot read it.
pub(crate) fn open(store: &str, password: Option<&Path>) -> Result<Box<dyn Source>> {
    match store.split_once("://") {
        Some(("clickhouse" | "clickhouses", _)) => server(store, password),
        Some((scheme, _)) => bail!(
            "cannot read {store}: {scheme}:// is not known; name a directory that --store filled, or \
             clickhouse://USER@HOST:PORT/DATABASE"
        ),
        None => files(store),
    }
}

#[cfg(feature = "remote")]
fn server(store: &str, password: Option<&Path>) -> Result<Box<dyn Source>> {
    let target: Target = store.parse().map_err(|why: String| anyhow!(why))?;
    of_server(store::server(&target, password)?)
}

/// A server that is known.
///
/// # Errors
/// It does not answer, or refuses, or has no tables.
#[cfg(feature = "remote")]
pub(crate) fn of_server(server: Server) -> Result<Box<dyn Source>> {
    Ok(Box::new(clickhouse::ClickHouse::open(server)?))
}

#[cfg(not(feature = "remote"))]
fn server(store: &str, _: Option<&Path>) -> Result<Box<dyn Source>> {
    bail!(
        "cannot read {store}: this tcplens was built without remote stores; build it with --features remote"
    )
}

#[cfg(feature = "parquet")]
fn files(store: &str) -> Result<Box<dyn Source>> {
    Ok(Box::new(directory::Directory::open(store)?))
}

#[cfg(not(feature = "parquet"))]
fn files(store: &str) -> Result<Box<dyn Source>> {
    bail!("cannot read store {store}: this build has no Parquet; build it with the feature parquet")
}
