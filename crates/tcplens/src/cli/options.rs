//! The options of all commands that look at packets. An option means one thing in every command.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueEnum};
use tcplens_core::anonymize::Anonymize;
use tcplens_core::record::Side;
use tcplens_core::roles::Network;
use tcplens_core::time::Span;
use tcplens_core::wire::Checksum;
use tcplens_output::color::ColorChoice;
use tcplens_output::tcpkit::TcpkitShape;
use tcplens_output::time_style::TimeStyle;
use tcplens_output::units::{self, Rotate};

use super::values;

/// Where packets come from, and which of them count.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sources")]
pub(crate) struct Source {
    /// Capture files (`-`: standard input); other words: a pcap-filter expression
    #[arg(value_name = "FILE|EXPRESSION", help_heading = "Arguments")]
    pub words: Vec<OsString>,
    /// Capture file, `-` for standard input; several are one observation, merged by time
    #[arg(short, long, value_name = "FILE")]
    pub read: Vec<PathBuf>,
    /// Keep reading: the file is still being written
    #[arg(long)]
    pub follow: bool,
    /// Leave out the packets that match this pcap-filter expression
    #[arg(long, value_name = "EXPRESSION")]
    pub exclude: Option<String>,
    /// Stop after N packets (with -k: records)
    #[arg(short, long, value_name = "N", value_parser = values::at_least_one)]
    pub count: Option<u64>,
    /// Stop after this time (of the packets; of the clock when live)
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub duration: Option<Span>,
    /// Count packets that a mirror port or bridge shows twice as two
    #[arg(long)]
    pub keep_duplicates: bool,
    /// Verify checksums and count the wrong ones: none, ip, tcp or all
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "none",
        hide_possible_values = true
    )]
    pub checksum: ChecksumChoice,
    /// tcpeek's: ICMP errors always count.
    #[arg(long = "icmp", hide = true, action = ArgAction::Count)]
    pub icmp: u8,
    /// tcpdump's: names are never looked up.
    #[arg(short = 'n', hide = true, action = ArgAction::Count)]
    pub numeric: u8,
    /// tcpdump's: lines go out as soon as there is nothing to read.
    #[arg(short = 'l', hide = true, action = ArgAction::Count)]
    pub line_buffered: u8,
}

/// Live packets.
#[derive(Args, Debug)]
#[command(next_help_heading = "Live capture")]
pub(crate) struct Live {
    /// Capture on this interface; repeatable; `any` for all
    #[arg(short, long, value_name = "IF")]
    pub interface: Vec<String>,
    /// Size of the ring, with a unit, per thread [default: 64MiB, with -k 8MiB]
    #[arg(short = 'B', long, value_name = "SIZE", value_parser = values::ring)]
    pub buffer: Option<u64>,
    /// Bytes kept of each packet
    #[arg(short, long, value_name = "BYTES", value_parser = values::snap_length, default_value = "262144")]
    pub snaplen: u32,
    /// Also packets that are not for this host
    #[arg(long, alias = "promisc", overrides_with = "promiscuous")]
    pub promiscuous: bool,
    /// Capture in this network namespace (ip netns), or the one of a file
    #[arg(long, value_name = "NAME")]
    pub netns: Option<String>,
    /// Become this user once sources are open [default as root: nobody]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// Who may ask what while a run goes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Answering")]
pub(crate) struct Answering {
    /// Latencies by server as JSON (tcpkit); alone: 127.0.0.1:33333
    #[arg(short = 'P', long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:33333")]
    #[arg(value_parser = values::listen)]
    pub stats_port: Option<SocketAddr>,
    /// What --stats-port tells: tcpkit (by address and port), tcpkit1 (by port, with totals) or tcpkit0 (an array by port)
    #[arg(long, value_name = "SHAPE", default_value = "tcpkit", value_parser = TcpkitShape::from_str)]
    pub stats_shape: TcpkitShape,
    /// Answer `tcplens stat`, and tcpeek's GET and REFRESH, at this unix socket; alone: /run/tcplens/tcplens.sock
    #[arg(short = 'U', long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/run/tcplens/tcplens.sock")]
    #[arg(value_parser = values::socket_path)]
    pub socket: Option<PathBuf>,
    /// Prometheus: http://ADDR:PORT/metrics; a port alone is on 127.0.0.1
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::listen_metrics)]
    pub metrics: Option<SocketAddr>,
    /// The page of report --html, live; alone: http://127.0.0.1:9317
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:9317")]
    #[arg(value_parser = values::listen_web)]
    pub web: Option<SocketAddr>,
}

/// Who is who.
#[derive(Args, Debug)]
#[command(next_help_heading = "Who is who")]
pub(crate) struct Who {
    /// Server ports: 80,8000-8100; with -k nothing else is looked at
    #[arg(short, long = "port", value_name = "PORT,...")]
    #[arg(value_delimiter = ',', value_parser = values::ports)]
    pub ports: Vec<(u16, u16)>,
    /// Ports of remote servers, for -k and TCP-RT's P lines (-f tcprt)
    #[arg(long = "peer-port", value_name = "PORT,...")]
    #[arg(value_delimiter = ',', value_parser = values::ports)]
    pub peer_ports: Vec<(u16, u16)>,
    /// Server addresses, likewise: 10.0.0.7,192.168.0.0/16
    #[arg(long = "server", value_name = "IP[/BITS],...")]
    #[arg(value_delimiter = ',', value_parser = values::network)]
    pub servers: Vec<Network>,
    /// Addresses of the observed host: tells inbound from outbound
    #[arg(long, value_name = "IP[/BITS],...")]
    #[arg(value_delimiter = ',', value_parser = values::network)]
    pub local: Vec<Network>,
    /// Captured at the client, server or middle; with -k: this end only
    #[arg(long, value_name = "WHERE", hide_possible_values = true)]
    pub side: Option<SideChoice>,
}

/// Where results go, and how they look.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Write here, compressed if .zst or .gz [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Begin new files (-o, -w) after this size (100MiB) or packet time (1h)
    #[arg(long, value_name = "SIZE|TIME", value_parser = Rotate::parse)]
    pub rotate: Option<Rotate>,
    /// Save the packets that were looked at: pcap, or pcapng by its name
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// How text shows times: utc, local, relative (to the first packet) or epoch
    #[arg(long = "time", value_name = "STYLE", default_value = "utc")]
    pub time: TimeStyle,
    /// Colour: auto (a terminal, no NO_COLOR), always, never
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Draw with ASCII only [default: by the locale]
    #[arg(long)]
    pub ascii: bool,
    /// Less on stderr; `handshakes`, `requests`: the summary only
    #[arg(short, long)]
    pub quiet: bool,
    /// More on stderr: what was read and what was not decoded
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What text calls addresses.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(crate) struct Naming {
    /// Names in text: `seen` in DNS answers; alone: resolved, too
    #[arg(
        long,
        value_name = "FROM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "lookup",
        hide_possible_values = true
    )]
    pub names: Option<NamesFrom>,
    /// Labels of addresses and networks in text, by a file like /etc/hosts
    #[arg(long, value_name = "FILE")]
    pub names_file: Vec<PathBuf>,
    /// Country, city, owner of addresses in text, by a MaxMind database
    #[arg(long, value_name = "FILE")]
    pub geoip: Vec<PathBuf>,
}

/// `--names`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamesFrom {
    /// Answers of name servers that were seen.
    Seen,
    /// Also the system's resolver.
    Lookup,
}

/// What is kept, and for how long.
#[derive(Args, Debug)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct Bounds {
    /// Threads [default: one per core, live one]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    pub threads: Option<u64>,
    /// Connections kept at once; beyond, the oldest half-open ones go first
    #[arg(long, value_name = "N", value_parser = values::at_least_one, default_value = "1000000")]
    pub limit_connections: u64,
    /// The same as memory: three quarters for connections at 448 bytes each, the rest for requests: 64MiB
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub limit_memory: Option<u64>,
    /// An attempt without an answer for so long has timed out
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "60")]
    pub timeout: Span,
    /// A connection that is silent for so long has ended
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "300")]
    pub idle: Span,
    /// Report long connections in parts, each so many seconds (live: 60)
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub active: Option<Span>,
}

/// `--format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// JSON Lines.
    Jsonl,
    /// CSV.
    Csv,
    /// Parquet files.
    Parquet,
    /// Nothing.
    None,
}

/// `--anonymize`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnonymizeChoice {
    /// Addresses as they are.
    None,
    /// Their networks.
    Netblock,
}

impl AnonymizeChoice {
    /// What it means where `own` are the observed host's addresses, which stay whole.
    pub(crate) fn with(self, own: impl IntoIterator<Item = IpAddr>) -> Anonymize {
        match self {
            AnonymizeChoice::None => Anonymize::None,
            AnonymizeChoice::Netblock => Anonymize::netblock(own),
        }
    }
}

/// `--side`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideChoice {
    /// At the client.
    Client,
    /// At the server.
    Server,
    /// Somewhere between.
    Middle,
}

impl From<SideChoice> for Side {
    fn from(choice: SideChoice) -> Side {
        match choice {
            SideChoice::Client => Side::Client,
            SideChoice::Server => Side::Server,
            SideChoice::Middle => Side::Middle,
        }
    }
}

/// `--checksum`; the numbers are tcpeek's.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChecksumChoice {
    /// None.
    #[value(alias = "0")]
    None,
    /// Of IPv4 headers.
    #[value(alias = "1")]
    Ip,
    /// Of TCP segments.
    #[value(alias = "2")]
    Tcp,
    /// Both.
    All,
}

impl From<ChecksumChoice> for Checksum {
    fn from(choice: ChecksumChoice) -> Checksum {
        match choice {
            ChecksumChoice::None => Checksum::None,
            ChecksumChoice::Ip => Checksum::Ip,
            ChecksumChoice::Tcp => Checksum::Tcp,
            ChecksumChoice::All => Checksum::All,
        }
    }
}
