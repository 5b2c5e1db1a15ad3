//! The options of `events`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tcplens_core::time::Span;

use super::values;

/// `events`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Events {
    /// The socket of `sockets --event-socket`, or of a tcp-info
    #[arg(
        value_name = "PATH",
        default_value = "/run/tcplens/events.sock",
        help_heading = "Arguments"
    )]
    pub path: PathBuf,
    /// Begin with the connections that are open (tcp-info cannot)
    #[arg(long)]
    pub replay: bool,
    /// Output format: text or jsonl (the lines as they come)
    #[arg(short, long, default_value = "text", hide_possible_values = true)]
    pub format: EventFormat,
    /// Stop after N events
    #[arg(short, long, value_name = "N", value_parser = values::at_least_one)]
    pub count: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub duration: Option<Span>,
}

/// `--format` of `events`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventFormat {
    /// Lines for people.
    Text,
    /// As they come.
    Jsonl,
}

// At most 72 columns: a manual page of 80 shows these lines as they are.

const HELP: &str = "\
A line for each connection that opens or ends: time of day (UTC), what,
its UUID, this host's end and the other one. Ends with the server, by
Ctrl-C, or after -c or --duration. A reader that falls far behind is
disconnected by the server: docs/answers.md.

Examples:
  tcplens events                      what comes
  tcplens events --replay -f jsonl    what is open, and then what comes
  tcplens events /var/local/tcpeventsocket.sock -c 10
                                      the next ten of a tcp-info";
