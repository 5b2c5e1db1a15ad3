//! The options of a store: where records are kept, for how long, and under whose name.

use std::path::PathBuf;

use clap::Args;
use tcplens_core::time::Span;
use tcplens_output::store::Keep;
use tcplens_output::units;

use super::values::{self, StoreTarget};

/// Where records are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct Store {
    /// Keep records in this directory (docs/store.md), or in ClickHouse: clickhouse://user@host:port/db
    #[arg(long, value_name = "DIR", value_parser = values::store)]
    pub store: Option<StoreTarget>,
    /// ClickHouse: the password is the first line of this file
    #[arg(long, value_name = "FILE")]
    pub store_password_file: Option<PathBuf>,
    /// ClickHouse: what it has not taken yet waits here [default: /var/lib/tcplens/spool, or below ~/.local/state]
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// ClickHouse: how much may wait there; beyond, what is new is dropped and counted
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "1GiB")]
    pub spool_size: u64,
    /// Whose records these are in a store [default: this machine's name]
    #[arg(long, value_name = "NAME", value_parser = values::host)]
    pub host: Option<String>,
    /// Remove this host's records from the store after days (30d), or the oldest beyond a size (50GiB)
    #[arg(long, value_name = "DAYS|SIZE", value_parser = Keep::parse)]
    pub keep: Option<Keep>,
    /// How long rollups, findings and health are kept where --keep is given
    #[arg(long, value_name = "DAYS", value_parser = Keep::parse_days, default_value = "400d")]
    pub keep_rollups: Keep,
    /// How often a live store begins new files
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "300")]
    pub store_interval: Span,
}
