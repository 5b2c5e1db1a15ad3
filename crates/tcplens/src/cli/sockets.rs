//! The options of `sockets`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueEnum};
use tcplens_core::filter::record::position;
use tcplens_core::record::Socket;
use tcplens_core::socket::tracker;
use tcplens_core::time::Span;
use tcplens_output::text::SocketOrder;

use super::{AnonymizeChoice, Format, Naming, Output, Store, values};

/// `sockets`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
// There are no packets to save.
#[command(mut_arg("write", |arg| arg.hide(true)))]
pub(crate) struct Sockets {
    /// Which sockets.
    #[command(flatten)]
    pub which: Which,
    /// When.
    #[command(flatten)]
    pub when: When,
    /// What is kept.
    #[command(flatten)]
    pub archive: Archive,
    /// Where records are kept.
    #[command(flatten)]
    pub store: Store,
    /// Who may ask while it goes on.
    #[command(flatten)]
    pub telling: Telling,
    /// Where results go.
    #[command(flatten)]
    pub output: Output,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// Output format: text, jsonl, csv, parquet or none [default: text, with --archive none]
    #[arg(
        short,
        long,
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: Option<Format>,
    /// Kinds of records to print: socket, socket_summary, health [default: all; csv: socket]
    #[arg(
        long,
        hide_possible_values = true,
        value_name = "KIND,...",
        value_delimiter = ','
    )]
    #[arg(help_heading = "Output", display_order = 0)]
    pub kind: Vec<SocketKind>,
    /// Show these fields only, in this order (docs/records.md); as text a column each. Units may be left out: rtt for rtt_us
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        conflicts_with = "extended"
    )]
    #[arg(help_heading = "Output", display_order = 0)]
    pub fields: Vec<String>,
    /// A second line for each socket, with all that is known
    #[arg(short, long, help_heading = "Output", display_order = 0)]
    pub extended: bool,
    /// Order of the lines: a field of the record `socket`, with :desc the largest first [default: trouble]
    #[arg(long, value_name = "FIELD[:desc]", value_parser = Sort::from_str)]
    #[arg(help_heading = "Output", display_order = 0)]
    pub sort: Option<Sort>,
    /// Which changes are recorded: tcp-info (as tcp-info does) or changed (every counter, nothing twice)
    #[arg(
        long,
        value_name = "RULE",
        default_value = "tcp-info",
        hide_possible_values = true
    )]
    #[arg(help_heading = "Output", display_order = 0)]
    pub save_when: SaveWhen,
    /// Shorten addresses in everything that is shown: none, or netblock (IPv4 to /24, IPv6 to /48)
    #[arg(
        long,
        value_name = "HOW",
        default_value = "none",
        hide_possible_values = true
    )]
    #[arg(help_heading = "Output", display_order = 0)]
    pub anonymize: AnonymizeChoice,
    /// With --watch: look up the processes of new connections, too; keeps a right that reads other processes (CAP_SYS_PTRACE)
    #[arg(long, help_heading = "Watching")]
    pub processes: bool,
    /// There is one thread, always.
    #[arg(long, hide = true, value_name = "N", value_parser = values::at_least_one)]
    pub threads: Option<u64>,
    /// tcpdump's and ss's: names are never looked up.
    #[arg(short = 'n', long, hide = true, action = ArgAction::Count)]
    pub numeric: u8,
    /// tcpdump's: lines go out as soon as there is nothing to read.
    #[arg(short = 'l', hide = true, action = ArgAction::Count)]
    pub line_buffered: u8,
}

impl Sockets {
    /// As it was asked for. Whoever keeps an archive looks there.
    pub(crate) fn format(&self) -> Format {
        self.format.unwrap_or(match self.archive.archive {
            Some(_) => Format::None,
            None => Format::Text,
        })
    }

    /// Whether it asks more than once.
    pub(crate) fn is_watching(&self) -> bool {
        self.when.is_watching() || self.archive.archive.is_some()
    }
}

/// tcp-info's archive.
#[derive(Args, Debug)]
#[command(next_help_heading = "Archive")]
pub(crate) struct Archive {
    /// Keep every change and every end in this directory, in the files of m-lab/tcp-info; implies --watch
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// Names of connections begin with this [default: HOST_BOOTTIME_unsafe]
    #[arg(long, value_name = "TEXT", conflicts_with = "uuid_prefix_file")]
    pub uuid_prefix: Option<String>,
    /// Names of connections begin with what is in this file, all of it
    #[arg(long, value_name = "FILE")]
    pub uuid_prefix_file: Option<PathBuf>,
    /// Also connections within this host or link (loopback, link-local, multicast)
    #[arg(long, requires = "archive")]
    pub include_local: bool,
    /// A line is written after this time at the latest
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "10", requires = "archive")]
    pub archive_flush: Span,
    /// A connection's next file begins after this time
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "600", requires = "archive")]
    pub archive_segment: Span,
}

/// Which sockets.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which sockets")]
pub(crate) struct Which {
    /// Which sockets (docs/sockets.md); as in ss: state established, dport = :443, sport 80; else any field: rtt_us > 50ms
    #[arg(value_name = "EXPRESSION", help_heading = "Arguments")]
    pub words: Vec<OsString>,
    /// Leave out the sockets that match this expression
    #[arg(long, value_name = "EXPRESSION")]
    pub exclude: Option<String>,
    /// Also those that wait for connections, and what is left of closed ones (TIME_WAIT)
    #[arg(short, long)]
    pub all: bool,
    /// Those of this network namespace (ip netns), or the one of a file
    #[arg(long, value_name = "NAME")]
    pub netns: Option<String>,
    /// Become this user once sources are open [default as root: nobody]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// When the kernel is asked.
#[derive(Args, Debug)]
#[command(next_help_heading = "Watching")]
pub(crate) struct When {
    /// Go on: ask again and again, and tell of every socket that changed or ended
    #[arg(long)]
    pub watch: bool,
    /// Ask so often, with --watch [default: 10 ms to 10 s, as often as --cpu-budget allows]
    #[arg(long, value_name = "TIME", value_parser = values::interval)]
    pub interval: Option<Span>,
    /// What asking may take of one core, where --interval does not say how often
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, default_value = "2")]
    pub cpu_budget: f64,
    /// Stop after asking N times; implies --watch
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    pub polls: Option<u64>,
    /// Stop after this time; implies --watch
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub duration: Option<Span>,
    /// Stop after N records; of a table, show N lines
    #[arg(short, long, value_name = "N", value_parser = values::at_least_one)]
    pub count: Option<u64>,
    /// Look from inside the kernel as well (eBPF): when and by whom connections were opened, who reset them, exact payload
    #[arg(short, long)]
    pub kernel: bool,
    /// Connections watched at once, at some 700 bytes each; those beyond are counted [default: 1048576]
    #[arg(long, value_name = "N", value_parser = values::at_least_one, default_value_t = tracker::LIMIT as u64, hide_default_value = true)]
    pub limit_connections: u64,
    /// As where the kernel does not tell of ends: for tests.
    #[arg(long, hide = true)]
    pub no_destroy: bool,
}

/// Who is told while it goes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Answering")]
pub(crate) struct Telling {
    /// Tell whoever connects to this unix socket of connections that open and end, in tcp-info's lines (tcplens events);
    /// alone: /run/tcplens/events.sock
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/run/tcplens/events.sock")]
    #[arg(value_parser = values::socket_path)]
    pub event_socket: Option<PathBuf>,
    /// Prometheus metrics for whoever asks http://ADDR:PORT/metrics; a port alone is on 127.0.0.1
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::listen_metrics)]
    pub metrics: Option<SocketAddr>,
}

impl When {
    /// Whether it is asked to go on.
    fn is_watching(&self) -> bool {
        self.watch || self.polls.is_some() || self.duration.is_some()
    }
}

/// `--save-when`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaveWhen {
    /// As tcp-info.
    TcpInfo,
    /// Every counter.
    Changed,
}

/// `--kind` of `sockets`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketKind {
    /// Looks at sockets.
    Socket,
    /// Lives of connections.
    #[value(name = "socket_summary", alias = "socket-summary")]
    SocketSummary,
    /// What the observation itself saw and lost.
    Health,
}

impl From<SaveWhen> for tcplens_core::socket::SaveWhen {
    fn from(choice: SaveWhen) -> Self {
        match choice {
            SaveWhen::TcpInfo => Self::TcpInfo,
            SaveWhen::Changed => Self::Changed,
        }
    }
}

/// `--sort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sort(pub SocketOrder);

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Sort, String> {
        let (name, direction) = text.split_once(':').unwrap_or((text, "asc"));
        let descending = match direction {
            "asc" => false,
            "desc" => true,
            _ => return Err(format!("{direction:?} is no direction; write asc or desc")),
        };
        match position::<Socket<'_>>(name) {
            Ok(position) => Ok(Sort(SocketOrder::Field {
                position,
                descending,
            })),
            Err(_) if text == "trouble" => Ok(Sort(SocketOrder::Trouble)),
            Err(near) if near.is_empty() => Err(format!(
                "sockets have no field {name:?}; write one of the record socket (docs/records.md), such as rtt_us:desc"
            )),
            Err(near) => Err(format!(
                "sockets have no field {name:?}; near it are: {} (docs/records.md has all)",
                near.join(", ")
            )),
        }
    }
}

// At most 72 columns: a manual page of 80 shows these lines as they are.

const HELP: &str = "\
Without --watch the sockets of this moment, those in trouble first:
retransmissions, queues. Those that listen, and what is left of closed
ones, with -a. With --watch the table is drawn anew, and -f jsonl or csv
tell each change: every connection ends with its last statistics and a
summary, however short it was. Columns and expressions: docs/sockets.md.

Examples:
  tcplens sockets                     every connection of this host
  tcplens sockets -e dport = :443     all that the kernel knows of some
  tcplens sockets --watch 'retrans > 0 or notsent_bytes > 1MiB'
                                      trouble, as it comes and goes
  tcplens sockets --sort rtt_us:desc 'dst 10.0.0.0/8'
                                      the farthest first
  tcplens sockets --watch -f jsonl -o sockets.jsonl.zst
                                      changes and ends, for machines
  tcplens sockets --archive /var/lib/tcplens
                                      the same in tcp-info's files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_field_of_a_socket_may_be_sorted_by_with_its_unit_or_without() {
        for text in [
            "rtt_us",
            "rtt:desc",
            "local_port:asc",
            "rqueue",
            "congestion",
        ] {
            assert!(Sort::from_str(text).is_ok(), "{text}");
        }
        assert_eq!(Sort::from_str("rtt"), Sort::from_str("rtt_us:asc"));
        assert_ne!(Sort::from_str("rtt"), Sort::from_str("rtt:desc"));
        assert!(Sort::from_str("rtt:down").unwrap_err().contains("desc"));
        assert!(Sort::from_str("speed").unwrap_err().contains("records.md"));
    }
}
