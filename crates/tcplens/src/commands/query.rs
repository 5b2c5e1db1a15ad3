//! `query`: SQL over a store. The engine for directories is a program of its own, tcplens-query (query/): it is looked for, and takes
//! over this process with the words that came. What needs no engine is answered here; servers
//! have their own (server).

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, anyhow};
use tcplens_output::named::{self, Named};

use crate::cli::Query;
use crate::commands::generated::to_stdout;
use crate::status::usage;

#[cfg(feature = "remote")]
mod server;

/// Without servers.
#[cfg(not(feature = "remote"))]
mod server {
    pub(super) fn run(
        _: &crate::cli::Query,
        target: &str,
    ) -> anyhow::Result<std::process::ExitCode> {
        anyhow::bail!(
            "cannot ask {target}: this tcplens was built without remote stores; build it with --features remote"
        )
    }
}

/// What the engine is called.
const ENGINE: &str = "tcplens-query";

/// Names the engine, where it is in no usual place.
const VARIABLE: &str = "TCPLENS_QUERY";

pub(super) fn run(query: &Query) -> Result<ExitCode> {
    if query.named == Some(None) {
        return to_stdout(named::list().as_bytes());
    }
    // Before any engine is looked for.
    if let Some(Some(name)) = &query.named {
        Named::find(name).map_err(usage)?;
    }
    let server = query.store.as_deref().and_then(Path::to_str);
    if let Some(target) = server.filter(|text| text.contains("://")) {
        return server::run(query, target);
    }
    let engine = find()?;
    // The program, and `query`.
    let words: Vec<OsString> = env::args_os().skip(2).collect();
    let error = Command::new(&engine)
        .args(words)
        .env(named::EDITION, named::edition())
        .exec();
    Err(anyhow!("cannot run {}: {error}", engine.display()))
}

/// Where the engine is, for whoever else asks it: see [`find`].
#[cfg(feature = "parquet")]
pub(crate) fn engine() -> Result<PathBuf> {
    find()
}

/// Where the engine is: as the environment says, beside this program, in the checkout that this program was built in, or on PATH.
fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return Ok(named.into());
    }
    // Without links: those lie elsewhere.
    let own = env::current_exe().and_then(|path| path.canonicalize()).ok();
    let beside = own.as_deref().and_then(Path::parent);
    let checkout = own.as_deref().and_then(checkout);
    let path = env::var_os("PATH").unwrap_or_default();
    let places = beside
        .map(|place| place.join(ENGINE))
        .into_iter()
        .chain(checkout.map(|root| root.join("query/target/release").join(ENGINE)))
        .chain(env::split_paths(&path).map(|place| place.join(ENGINE)));
    let mut found = places.filter(|place| place.is_file());
    found
        .next()
        .ok_or_else(|| anyhow!(missing(beside, checkout)))
}

/// The checkout of a program in `ROOT/target/release` or `ROOT/target/debug`.
fn checkout(own: &Path) -> Option<&Path> {
    let root = own.ancestors().nth(3)?;
    root.join("query/Cargo.toml").is_file().then_some(root)
}

fn missing(beside: Option<&Path>, checkout: Option<&Path>) -> String {
    let root = match checkout {
        Some(root) => root.display().to_string(),
        None => "the source".to_owned(),
    };
    let beside = match beside {
        Some(place) => place.display().to_string(),
        None => "this program's directory".to_owned(),
    };
    format!(
        "SQL over a directory needs the program {ENGINE}, which is neither in {beside} nor on PATH. Build it once, about 25 \
         minutes of one core and 2 GB of disk, a program of 160 MB: in {root}, \
         `cargo build --release --manifest-path query/Cargo.toml`; then put query/target/release/{ENGINE} beside tcplens or on \
         PATH ({VARIABLE}=FILE names it where it is). What needs no such program: `query --named` lists the queries that come \
         along, and DuckDB reads the directory (docs/query.md)"
    )
}
