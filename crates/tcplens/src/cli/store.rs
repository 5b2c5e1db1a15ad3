//! The options of a store: where records are kept, for how long, and under whose name.

use clap::Args;
use tcplens_core::time::Span;
use tcplens_output::store::Keep;

use super::values::{self, StoreTarget};

/// Where records are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Store")]
pub(crate) struct Store {
    /// Keep records in this directory (docs/store.md), or in ClickHouse: clickhouse://user@host:port/db
    #[arg(long, value_name = "DIR", value_parser = values::store)]
    pub store: Option<StoreTarget>,
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
