//! The options of `explain`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Common, Naming, values};

/// `explain`.
#[derive(Args, Debug)]
#[command(
    after_help = HELP,
    override_usage = "tcplens explain [OPTIONS] [CONNECTION] [FILE|EXPRESSION]..."
)]
pub(crate) struct Explain {
    /// What all commands have. The connection is the first of its words that is no file.
    #[command(flatten)]
    pub common: Common,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// Output format: text or jsonl (its records, the events, what they amount to)
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: ExplainFormat,
    /// Also a page of it, for browsers; `-`: it alone, on stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// Show every segment
    #[arg(long, help_heading = "Output", display_order = 1)]
    pub all: bool,
    /// Show so many events at most: what took longest, the beginning and the end
    #[arg(long, value_name = "N", value_parser = values::at_least_one, default_value = "200")]
    #[arg(help_heading = "Output", display_order = 1)]
    pub lines: u64,
}

/// `--format` of `explain`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExplainFormat {
    /// For people.
    Text,
    /// JSON Lines.
    Jsonl,
}

// At most 72 columns, as all examples.
const HELP: &str = "\
CONNECTION is the number of one of its packets, its connection_id or the
beginning of that, or one of its ends (10.0.0.1:40001). Without it: the
one with the slowest request or most trouble. docs/explain.md.

Examples:
  tcplens explain shop.pcap                  the worst connection
  tcplens explain 600 shop.pcap              that of packet 600
  tcplens explain 600 shop.pcap --all | less every segment of it
  tcplens explain 10.0.0.1:40001 -i eth0     the next one of that end";
