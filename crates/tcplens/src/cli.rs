//! The command line: one definition of each option, from which help, completions and man pages derive.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Shows why TCP is slow or failing.
#[derive(Parser, Debug)]
#[command(version)]
pub struct Cli {
    /// What to show.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Every record, for machines.
    Records(Records),
}

/// `records`.
#[derive(Args, Debug)]
pub struct Records {
    /// The source.
    #[command(flatten)]
    pub source: Source,
    /// Output format.
    #[arg(short, long, default_value = "jsonl")]
    pub format: Format,
}

/// Formats.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON Lines.
    Jsonl,
    /// CSV.
    Csv,
    /// Nothing.
    None,
}

/// Where packets come from.
#[derive(Args, Debug)]
pub struct Source {
    /// Capture file.
    #[arg(short, long = "read", value_name = "FILE")]
    pub read: Vec<PathBuf>,
    /// Threads.
    #[arg(long)]
    pub threads: Option<usize>,
}
