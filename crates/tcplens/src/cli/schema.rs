//! `schema`: the tables of a database that records are stored in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tcplens_output::store::Keep;

/// `schema`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Schema {
    /// Of which database: clickhouse
    #[arg(value_name = "WHAT", help_heading = "Arguments")]
    pub of: SchemaOf,
    /// Make the tables on this server: clickhouse://USER@HOST:PORT/DATABASE; repeatable, for shards
    #[arg(long, value_name = "URL", help_heading = "Servers")]
    pub apply: Vec<String>,
    /// The password is the first line of this file
    #[arg(long, value_name = "FILE", help_heading = "Servers")]
    pub store_password_file: Option<PathBuf>,
    /// Also a database DATABASE_all that reads all shards of this cluster, as the servers' configuration calls it
    #[arg(long, value_name = "NAME", help_heading = "Servers")]
    pub cluster: Option<String>,
    /// Print for this version; servers are asked for theirs
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "24.8",
        help_heading = "Printing"
    )]
    pub server_version: String,
    /// Print for this database
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tcplens",
        help_heading = "Printing"
    )]
    pub database: String,
    /// How long handshakes, requests, connections and sockets stay
    #[arg(long, value_name = "DAYS", value_parser = Keep::parse_days, default_value = "30d", help_heading = "Age")]
    pub keep: Keep,
    /// How long rollups, findings, health and the views by the minute stay
    #[arg(long, value_name = "DAYS", value_parser = Keep::parse_days, default_value = "400d", help_heading = "Age")]
    pub keep_rollups: Keep,
    /// Nothing goes by itself
    #[arg(long, conflicts_with_all = ["keep", "keep_rollups"], help_heading = "Age")]
    pub keep_all: bool,
}

/// Whose schema.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaOf {
    /// ClickHouse, 18.16 or later.
    Clickhouse,
}

// At most 72 columns: a manual page of 80 shows these lines as they are.
const HELP: &str = "\
What is there already stays; columns that this version has and the
tables have not are added. docs/clickhouse.md.

Examples:
  tcplens schema clickhouse                     prints the SQL
  tcplens schema clickhouse --apply clickhouse://default@db1/tcplens
  tcplens schema clickhouse --cluster net --apply clickhouse://db1/net
        --apply clickhouse://db2/net            two shards

Exit status: 0 done, 1 failed, 2 usage.";
