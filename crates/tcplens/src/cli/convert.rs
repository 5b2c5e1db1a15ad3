//! `convert`: archives of sockets from one format to another.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tcplens_output::archive::Uuid;

use super::AnonymizeChoice;

/// `convert`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Convert {
    /// Archives, or directories of them; `-`: standard input
    #[arg(value_name = "FILE|DIRECTORY", help_heading = "Arguments")]
    pub words: Vec<PathBuf>,
    /// Likewise
    #[arg(short, long, value_name = "FILE", help_heading = "Sources")]
    pub read: Vec<PathBuf>,
    /// Output format: jsonl, csv, parquet (records `socket`), tcp-info-csv or archive
    #[arg(
        short,
        long,
        default_value = "jsonl",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: ConvertFormat,
    /// Write here, compressed if it ends in .zst or .gz; `archive`: a directory's files by day and connection
    #[arg(short, long, value_name = "FILE|DIRECTORY", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// tcp-info-csv: to the byte what tcp-info's csvtool prints, with all that it gets wrong
    #[arg(long, help_heading = "Output")]
    pub compat: bool,
    /// What names of connections begin with, where their archive does not say
    #[arg(long, value_name = "PREFIX", value_parser = prefix, default_value = "converted", help_heading = "Output")]
    pub uuid_prefix: Uuid,
    /// Cut addresses to their network: none, or netblock (24 bits of IPv4, 48 of IPv6)
    #[arg(
        long,
        value_name = "HOW",
        default_value = "none",
        hide_possible_values = true,
        help_heading = "Output"
    )]
    pub anonymize: AnonymizeChoice,
}

/// `--format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConvertFormat {
    /// Records `socket` as JSON Lines.
    Jsonl,
    /// The same as CSV.
    Csv,
    /// The same as a Parquet file.
    Parquet,
    /// csvtool's columns.
    TcpInfoCsv,
    /// tcp-info's lines.
    Archive,
}

fn prefix(text: &str) -> Result<Uuid, String> {
    Uuid::new(text).map_err(|error| error.to_string())
}

const HELP: &str = "\
Read are tcp-info's archives of any year, those of `tcplens sockets
--archive`, JSON Lines of records `socket`, and raw netlink messages,
compressed or not; and Parquet files of records `socket`, as tcplens
writes them. Below a directory it is what ends in .jsonl or .jsonl.zst,
in order of the names. What cannot be read is passed over and told, with
status 3: docs/archives.md.

Examples:
  tcplens convert 2019/07/01 -f csv -o day.csv.zst
                         every snapshot of a day, a column for each field
  tcplens convert 2019/07/01 -f parquet -o day.parquet
                         the same for DuckDB and other engines
  tcplens convert -f tcp-info-csv 2019/07/01 -o day.csv
                         the same in csvtool's columns, put right
  tcplens convert -f tcp-info-csv --compat ndt.00000.jsonl.zst
                         as csvtool prints it
  tcplens convert -f archive day.jsonl -o new/
                         records become an archive again";
