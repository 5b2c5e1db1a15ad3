//! `query`: SQL over a store. Two programs read these options: tcplens, and tcplens-query (query/), which includes this file; so it
//! names nothing of either.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tcplens_output::color::ColorChoice;
use tcplens_output::named::{Moment, Per, Server};
use tcplens_output::time_style::TimeStyle;
use tcplens_output::units;

/// `query`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Query {
    /// SQL; `-`: from standard input. Without any, on a terminal: a shell
    #[arg(value_name = "SQL", help_heading = "Arguments", conflicts_with_all = ["file", "named"])]
    pub sql: Option<String>,
    /// The store: a directory that --store filled, or clickhouse://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "DIR|URL", help_heading = "Sources")]
    pub store: Option<PathBuf>,
    /// Of a ClickHouse server: the password is the first line of this file
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub store_password_file: Option<PathBuf>,
    /// SQL from a file; `-`: from standard input
    #[arg(
        short = 'F',
        long,
        value_name = "FILE",
        help_heading = "Sources",
        conflicts_with = "named"
    )]
    pub file: Option<PathBuf>,
    /// A query that comes along; alone: lists them
    #[arg(long, value_name = "NAME", num_args = 0..=1, help_heading = "Named queries")]
    pub named: Option<Option<String>>,
    /// From this time on: 2026-11-21T10:05 (UTC), or 2h before the newest record
    #[arg(
        long,
        value_name = "TIME",
        requires = "named",
        conflicts_with_all = ["sql", "file"],
        help_heading = "Named queries"
    )]
    pub since: Option<Moment>,
    /// Until just before this time
    #[arg(
        long,
        value_name = "TIME",
        requires = "named",
        conflicts_with_all = ["sql", "file"],
        help_heading = "Named queries"
    )]
    pub until: Option<Moment>,
    /// Of this server only: IP, IP:PORT or, of IPv6, with brackets
    #[arg(
        long,
        value_name = "IP[:PORT]",
        requires = "named",
        conflicts_with_all = ["sql", "file"],
        help_heading = "Named queries"
    )]
    pub server: Option<Server>,
    /// From this host only, as it calls itself; repeatable
    #[arg(
        long,
        value_name = "NAME",
        requires = "named",
        conflicts_with_all = ["sql", "file"],
        help_heading = "Named queries"
    )]
    pub host: Vec<String>,
    /// So many rows, or what the query says that it limits
    #[arg(
        long,
        value_name = "N",
        requires = "named",
        conflicts_with_all = ["sql", "file"],
        help_heading = "Named queries"
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Over time: minute, hour or day
    #[arg(
        long,
        value_name = "WHAT",
        requires = "named",
        conflicts_with_all = ["sql", "file"],
        help_heading = "Named queries"
    )]
    pub per: Option<Per>,
    /// Print its SQL, and do not run it
    #[arg(long, requires = "named", conflicts_with_all = ["sql", "file"], help_heading = "Named queries")]
    pub show_sql: bool,
    /// How it would be run, and which files would be read
    #[arg(long, help_heading = "Output")]
    pub explain: bool,
    /// Output format: text, jsonl, csv, parquet (with -o) or none
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub format: QueryFormat,
    /// Write here instead of standard output, compressed if it ends in .zst or .gz
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// The plot of a named query, in text: yes, no, or only (no table) [default: yes; only of what goes over time]
    #[arg(
        long,
        value_name = "WHEN",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub plot: Option<PlotWhen>,
    /// How text shows times: utc, local, relative (to the first one) or epoch
    #[arg(
        long,
        value_name = "STYLE",
        default_value = "utc",
        help_heading = "Output"
    )]
    pub time: TimeStyle,
    /// Colour: auto (a terminal, no NO_COLOR), always, never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub color: ColorChoice,
    /// Draw with ASCII only [default: by the locale]
    #[arg(long, help_heading = "Output")]
    pub ascii: bool,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Bounds")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: Option<u64>,
    /// Memory for what a query holds; beyond, sorting and grouping go on in temporary files, as far as they can
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "1GiB", help_heading = "Bounds")]
    pub limit_memory: u64,
}

/// `--format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryFormat {
    /// A table for people.
    Text,
    /// JSON Lines.
    Jsonl,
    /// CSV.
    Csv,
    /// A Parquet file.
    Parquet,
    /// Nothing.
    None,
}

/// `--plot`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlotWhen {
    /// Below the table.
    Yes,
    /// Not at all.
    No,
    /// Without the table.
    Only,
}

// At most 72 columns: a manual page of 80 shows these lines as they are.
const HELP: &str = "\
Tables: handshakes, requests, connections, sockets, findings, rollups,
health; columns: docs/records.md, and host and date. The store is only
read. In the shell: .help. docs/query.md.

Examples:
  tcplens query --named                 queries that come along
  tcplens query --store /data --named slow-operations --since 1d
  tcplens query --store /data --named latency-over-time --plot only
  tcplens query --store /data \"SELECT status, count(*) FROM requests
        WHERE date = '2026-11-21' GROUP BY status\"
  tcplens query --store /data -F mine.sql -f csv -o mine.csv
  tcplens query --store /data           a shell

Exit status: 0 complete, 1 failed, 2 usage or SQL that cannot be
understood, 3 partial: files were damaged and left out.";
