//! The command line: what can be asked. Help, completions, man pages and the environment variables
//! derive from these definitions; the options themselves are in `options`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command as Definition, CommandFactory, FromArgMatches, Parser,
};
use clap::{Subcommand, ValueEnum};
use clap_complete::Shell;
use tcplens_core::time::Span;

pub(crate) use anomalies::{Anomalies, Check, Critical, History};
pub(crate) use convert::{Convert, ConvertFormat};
pub(crate) use events::{EventFormat, Events};
pub(crate) use explain::{Explain, ExplainFormat};
#[cfg(feature = "parquet")]
pub(crate) use fleet::Fleet;
pub(crate) use kernel::Kernel;
pub(crate) use options::{
    AnonymizeChoice, Answering, Bounds, ChecksumChoice, Format, Live, NamesFrom, Naming, Output,
    SideChoice, Source, Who,
};
pub(crate) use otlp::{Collector, Otlp};
pub(crate) use query::Query;
pub(crate) use requests::{ProtocolChoice, RequestFormat, Requests, StatusChoice, Which};
pub(crate) use schema::{Schema, SchemaOf};
pub(crate) use sockets::{SaveWhen, SocketKind, Sockets, Sort};
pub(crate) use store::Store;
pub(crate) use top::Top;
#[cfg(feature = "screen")]
pub(crate) use top::{Order, Theme};

mod anomalies;
mod convert;
mod events;
mod explain;
#[cfg(feature = "parquet")]
mod fleet;
mod kernel;
mod options;
mod otlp;
pub(crate) mod query;
mod requests;
mod schema;
mod sockets;
mod store;
mod top;
pub(crate) mod values;

/// Shows why TCP is slow or failing: every failed handshake, lossy path and stalled connection.
#[derive(Parser, Debug)]
#[command(
    name = "tcplens",
    version,
    propagate_version = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    override_usage = "tcplens [OPTIONS] [FILE|EXPRESSION]...\n       tcplens COMMAND [OPTIONS] [FILE|EXPRESSION]...",
    after_help = TOP_HELP
)]
pub(crate) struct Cli {
    /// What to show.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// What is wrong, ranked, with evidence (also without a command)
    Report(Later<Report>),
    /// A line per connection attempt, and a summary
    Handshakes(Later<Handshakes>),
    /// A line per request and its response, and a summary
    Requests(Later<Box<Requests>>),
    /// A line per connection
    Connections(Later<Connections>),
    /// The life of one connection, as a sequence diagram
    Explain(Later<Box<Explain>>),
    /// Every socket of the kernel: what ss -tinem shows, watched, and its end
    Sockets(Later<Box<Sockets>>),
    /// A table of destinations: how connecting to each goes, and how it answers
    Top(Later<Box<Top>>),
    /// Every record, for machines
    Records(Later<Records>),
    /// A Lua script over packets and records
    Script(Later<Script>),
    /// SQL over a store of records, and queries that come along
    Query(Later<Box<Query>>),
    /// What is abnormal in a store, since when, and which component is to blame
    Anomalies(Later<Box<Anomalies>>),
    /// The same in one line and an exit status, for monitoring
    Check(Later<Box<Check>>),
    /// A page for browsers over a store: servers over time, what is abnormal, records
    #[cfg(feature = "parquet")]
    Fleet(Later<Fleet>),
    /// Tables for --store clickhouse://...: prints them, or makes them on servers
    Schema(Later<Schema>),
    /// Archives of sockets from one format to another
    Convert(Later<Convert>),
    /// What works on this machine, and what each missing thing costs
    Doctor(Later<Doctor>),
    /// Connections that open and end, as an event socket tells them
    Events(Later<Events>),
    /// What a running instance has counted so far
    Stat(Later<Stat>),
    /// Several sources and views in one process, by a YAML file: a daemon
    Agent(Later<Agent>),
    /// A script that completes tcplens command lines in a shell
    Completions(Later<Completions>),
    /// The manual page, or all of them
    Man(Later<Man>),
}

/// The options of a command, which are made when it is the one: there are a thousand of them in all.
#[derive(Debug)]
pub(crate) struct Later<T>(pub T);

impl<T: Args> Args for Later<T> {
    fn augment_args(command: Definition) -> Definition {
        command.defer(|command| {
            // The list's words, not those of the type.
            let about = command.get_about().cloned();
            let command = T::augment_args(command).long_about(None::<&str>);
            complete(command.about(about.unwrap_or_default()))
        })
    }

    fn augment_args_for_update(command: Definition) -> Definition {
        Later::<T>::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Later)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// `report`.
#[derive(Args, Debug)]
#[command(after_help = REPORT_HELP)]
pub(crate) struct Report {
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// Also a page with plots, for browsers; `-`: it alone, on stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// What changed since a capture, or a period: 300s, 10:00..10:05
    #[arg(
        long,
        value_name = "FILE|PERIOD",
        help_heading = "Output",
        display_order = 0
    )]
    pub compare: Vec<PathBuf>,
    /// Protocols to recognise, as of requests [default: auto; -k: none]
    #[arg(
        short = 'm',
        long = "protocol",
        value_name = "NAME,...",
        hide_possible_values = true
    )]
    #[arg(value_delimiter = ',', ignore_case = true, value_parser = requests::protocols_of_records())]
    #[arg(help_heading = "Output")]
    pub protocols: Vec<ProtocolChoice>,
    /// Output format: text or jsonl (findings, or changes)
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: Format,
}

/// `handshakes`.
#[derive(Args, Debug)]
#[command(after_help = HANDSHAKES_HELP)]
pub(crate) struct Handshakes {
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// Output format: text, jsonl, csv, parquet (with -o) or none
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: Format,
}

/// `connections`.
#[derive(Args, Debug)]
#[command(after_help = CONNECTIONS_HELP)]
pub(crate) struct Connections {
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// Output format: text, jsonl, csv, parquet (with -o) or none
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: Format,
}

/// `records`.
#[derive(Args, Debug)]
#[command(after_help = RECORDS_HELP)]
pub(crate) struct Records {
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// Kinds to print, health last; also finding [default: handshake,request,connection,health]
    #[arg(
        long,
        hide_possible_values = true,
        value_name = "KIND,...",
        value_delimiter = ',',
        help_heading = "Output",
        display_order = 0
    )]
    pub kind: Vec<KindChoice>,
    /// Protocols to recognise, as of requests [default: auto; -k: none]
    #[arg(
        short = 'm',
        long = "protocol",
        value_name = "PROTOCOL,...",
        hide_possible_values = true
    )]
    #[arg(value_delimiter = ',', ignore_case = true, value_parser = requests::protocols_of_records())]
    #[arg(help_heading = "Output")]
    pub protocols: Vec<ProtocolChoice>,
    /// Write a health record every so often while live
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "60")]
    #[arg(help_heading = "Output")]
    pub interval: Span,
    /// Output format: jsonl, csv, parquet or none
    #[arg(
        short,
        long,
        default_value = "jsonl",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: Format,
}

/// `script`.
#[derive(Args, Debug)]
#[command(after_help = SCRIPT_HELP)]
pub(crate) struct Script {
    /// A Lua script, or the name of one that comes along: example, dns, tcp-connect, slow-log, top-keys
    #[arg(value_name = "SCRIPT", help_heading = "Arguments")]
    pub script: PathBuf,
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// What the script finds as arg.NAME; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::pair, help_heading = "Script")]
    pub arg: Vec<(String, String)>,
    /// Call on_tick every so much packet time
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "1", help_heading = "Script")]
    pub interval: Span,
    /// Give up at the first error of the script
    #[arg(long, help_heading = "Script")]
    pub strict: bool,
    /// Let the script open files and run programs: io, os, require, load
    #[arg(long, help_heading = "Script")]
    pub allow_io: bool,
    /// Memory the script may hold
    #[arg(long, value_name = "SIZE", value_parser = values::script_memory, default_value = "256MiB", help_heading = "Script")]
    pub script_memory: u64,
    /// What one call may last, counted as instructions of 10 ns
    #[arg(long, value_name = "TIME", value_parser = values::seconds, default_value = "100ms", help_heading = "Script")]
    pub script_time: Span,
}

/// `doctor`.
#[derive(Args, Debug)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct Doctor {
    /// Output format: text or jsonl
    #[arg(short, long, default_value = "text", hide_possible_values = true)]
    pub format: Format,
}

/// `stat`.
#[derive(Args, Debug)]
#[command(after_help = STAT_HELP)]
pub(crate) struct Stat {
    /// What to ask instead of tcpeek's totals: summary, health, stats, records, or what `help` answers
    #[arg(
        value_name = "QUESTION",
        help_heading = "Arguments",
        conflicts_with = "gmetric"
    )]
    pub question: Vec<String>,
    /// Where it answers
    #[arg(
        short = 'U',
        long,
        value_name = "PATH",
        default_value = "/run/tcplens/tcplens.sock"
    )]
    pub socket: PathBuf,
    /// What came since this name last asked, instead of all
    #[arg(long, value_name = "NAME", value_parser = values::baseline)]
    pub since_last: Option<String>,
    /// Ask again every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub watch: Option<Span>,
    /// The answer as it is: JSON
    #[arg(short, long)]
    pub json: bool,
    /// Send what came since the last time to Ganglia's gmond instead; alone: at 239.2.11.71:8649
    #[arg(short, long, value_name = "HOST:PORT", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "239.2.11.71:8649", conflicts_with = "json")]
    pub gmetric: Option<String>,
}

/// `agent`.
#[derive(Args, Debug)]
#[command(after_help = AGENT_HELP)]
pub(crate) struct Agent {
    /// What to do: a tcplens.yaml (docs/agent.md), or a tcprt.yaml as it is
    #[arg(long, value_name = "FILE", default_value = "/etc/tcplens/tcplens.yaml")]
    pub config: PathBuf,
    /// Tell what is wrong with the file, or print it with all defaults, and do nothing
    #[arg(long)]
    pub check: bool,
    /// Print all keys that the file may have, with their defaults and meanings, as Markdown
    #[arg(long)]
    pub keys: bool,
}

/// `completions`.
#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct Completions {
    /// The shell
    pub shell: Shell,
}

/// `man`.
#[derive(Args, Debug)]
#[command(after_help = MAN_HELP)]
pub(crate) struct Man {
    /// A command: its page goes to standard output, without one the main page. Or a directory (./requests, if it is called
    /// like a command), where the pages of all commands are written
    #[arg(value_name = "COMMAND|DIRECTORY")]
    pub what: Option<PathBuf>,
}

/// What the commands that look at packets have in common.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Where packets come from.
    #[command(flatten)]
    pub source: Source,
    /// Live packets.
    #[command(flatten)]
    pub live: Live,
    /// The kernel's own view.
    #[command(flatten)]
    pub kernel: Kernel,
    /// Who is who.
    #[command(flatten)]
    pub who: Who,
    /// Where results go.
    #[command(flatten)]
    pub output: Output,
    /// Who may ask while it goes on.
    #[command(flatten)]
    pub answering: Answering,
    /// Where telemetry goes.
    #[command(flatten)]
    pub otlp: Otlp,
    /// What is kept, and for how long.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Where records are kept.
    #[command(flatten)]
    pub store: Store,
}

/// The record kinds that can be asked for.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindChoice {
    /// Connection attempts.
    Handshake,
    /// Requests and their responses.
    Request,
    /// Connections.
    Connection,
    /// What is wrong.
    Finding,
    /// Destinations, as top has them.
    Peer,
    /// What the observation itself saw and lost.
    Health,
}

// At most 72 columns: a manual page of 80 shows these lines as they are.

const TOP_HELP: &str = "\
Examples:
  tcplens shop.pcap                       what is wrong in a capture
  tcplens handshakes shop.pcap port 6379  every attempt to connect to redis
  tcplens requests shop.pcap -t 100       what took 100 ms or more
  tcplens records shop.pcap.zst           for machines

--store DIR keeps records of any of them, as Parquet: docs/store.md.

Live: Ctrl-C ends with the summary, SIGUSR1 prints one and goes on,
SIGHUP begins new files (-o, -w): docs/live.md.

Without a command it is `report`; its options: tcplens report --help.
Every option can come from the environment, --limit-memory from
TCPLENS_LIMIT_MEMORY; the command line wins.

Exit status: 0 complete, 1 failed, 2 usage, 3 partial: the input was
damaged or something was lost, and stderr says what.";

const REPORT_HELP: &str = "\
Examples:
  tcplens shop.pcap                    what is wrong
  tcplens report *.pcap host 10.0.0.7  one host's packets in several files
  tcplens report -f jsonl shop.pcap    the findings, for machines
  tcplens shop.pcap --names=seen       servers by their names
  tcplens shop.pcap --html shop.html   also a page with plots
  tcplens report --compare mon.pcap tue.pcap
                                       what changed, beyond chance";

const HANDSHAKES_HELP: &str = "\
Words such as web:RX@%:80:443 or db:TX@10.0.0.0/8:3306 are tcpeek's
filters: a summary for each. RX: arriving at --local addresses, TX: from
there; the address is the other end's, the port the server's. Without a
name (:RX@%:22) they exclude.

Examples:
  tcplens handshakes shop.pcap     every attempt, and a summary
  tcplens handshakes shop.pcap -q  the summary only
  tcplens handshakes shop.pcap --local 10.0.0.7 web:RX@%:80
                                   what arrives at a web server";

const CONNECTIONS_HELP: &str = "\
Examples:
  tcplens connections shop.pcap                    every connection
  tcplens connections shop.pcap -f csv -o all.csv  for a spreadsheet
  tcplens connections shop.pcap --active 60        long ones also in parts";

const RECORDS_HELP: &str = "\
What no kind asked for needs is not computed. --store: docs/store.md.

Examples:
  tcplens records shop.pcap                           JSON Lines
  tcplens records shop.pcap --kind connection -f csv  one kind as CSV
  tcplens records big.pcap -o r.jsonl.zst --rotate 1h
                              compressed, a file per hour of packet time";

const SCRIPT_HELP: &str = "\
The script defines process(packet), called for every TCP and UDP packet,
or on_request(r), on_handshake(h), on_connection(c), on_tick(seconds),
on_exit(): docs/scripts.md. tcpkit's scripts run as they are.

Examples:
  tcplens script tcp-connect shop.pcap    how long connecting takes
  tcplens script dns shop.pcap port 53    DNS queries and their answers
  tcplens script mine.lua shop.pcap       your own
  tcplens script slow-log shop.pcap --arg ms=5
                                          requests that took 5 ms or more";

const DOCTOR_HELP: &str = "\
Nothing is captured or changed. Exit status 0 if live capture works, 1
if it does not; docs/privileges.md.

Examples:
  tcplens doctor                 what works, and what to do about the rest
  tcplens doctor -f jsonl        for machines";

const STAT_HELP: &str = "\
The instance was started with -U, or it is a tcpeek. Without a question
the answer is tcpeek's totals of connection attempts, by filter.

Examples:
  tcplens stat                      as tcpeekstat prints it
  tcplens stat -j --since-last me   what is new, for machines
  tcplens stat --gmetric --watch 60 to Ganglia, every minute
  tcplens stat summary              everything that was counted so far
  tcplens stat -j summary           the same, for machines
  tcplens stat records request      every request, until interrupted";

const AGENT_HELP: &str = "\
SIGHUP reads the file again: views, their filters, thresholds and
outputs change between two records, no connection is lost; what needs a
restart is told. Log files that were moved away begin anew.

Examples:
  tcplens agent --config tcplens.yaml --check
                         what is wrong, by line; or all of it as understood
  tcplens agent --config tcplens.yaml
  tcplens agent --config /etc/tcprt/tcprt.yaml --check
                         what a tcprt.yaml becomes, and what has no effect";

const COMPLETIONS_HELP: &str = "\
Examples:
  tcplens completions bash > /etc/bash_completion.d/tcplens
  tcplens completions fish > ~/.config/fish/completions/tcplens.fish";

const MAN_HELP: &str = "\
Examples:
  tcplens man | man -l -             the main page
  tcplens man requests | man -l -    the page of a command
  tcplens man /usr/local/share/man/man1
                                     all pages, a file each";

/// Understands a command line; one whose first word is no command is `report`'s.
///
/// # Errors
/// The options make no sense, or help or version was asked for.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let definition = definition();
    let is_named = words.get(1).is_some_and(|word| {
        let is_top = ["-h", "--help", "-V", "--version", "help"].map(OsStr::new);
        is_top.contains(&word.as_os_str())
            || definition
                .get_subcommands()
                .any(|command| command.get_name() == word)
    });
    if !is_named {
        words.insert(words.len().min(1), "report".into());
    } else if words.get(1).is_some_and(|word| word == "help") {
        // `tcplens help [COMMAND]`: what git and cargo taught.
        words.remove(1);
        words.push("--help".into());
    }
    let matches = definition.try_get_matches_from(words)?;
    if let Some((name, matches)) = matches.subcommand() {
        kernel::check(name, matches)?;
    }
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Command::Requests(requests), Some((_, matches))) =
        (&mut cli.command, matches.subcommand())
    {
        requests.0.which.names_protocols =
            matches.value_source("protocols") != Some(ValueSource::DefaultValue);
    }
    Ok(cli)
}

/// Whether these words are meant for `check`, whatever is wrong with them.
pub(crate) fn is_check(words: impl IntoIterator<Item = OsString>) -> bool {
    words.into_iter().nth(1).is_some_and(|word| word == "check")
}

/// The names of all commands.
pub(crate) fn command_names() -> Vec<String> {
    let definition = Cli::command();
    definition
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

/// The whole definition; of commands only what the list of them tells, until one is built.
pub(crate) fn definition() -> Definition {
    Cli::command().disable_help_flag(true).arg(help())
}

/// The long form has a line of its own for every text.
fn help() -> Arg {
    let help = Arg::new("help").short('h').long("help");
    help.help("Print help").action(ArgAction::HelpShort)
}

/// A command as declared, and every option with its environment variable.
fn complete(command: Definition) -> Definition {
    let command = command
        .disable_help_flag(true)
        .next_help_heading(None)
        .arg(help());
    // Their help is as long as it may be.
    let name = command.get_name();
    // There it says which records are asked for.
    let asks_of_hosts = ["anomalies", "check"].contains(&name);
    let is_long = ["report", "handshakes", "connections", "records", "explain"].contains(&name);
    let has_requests = !["handshakes", "connections"].contains(&name);
    command.mut_args(|arg| {
        let is_of_store = is_long && arg.get_help_heading() == Some("Store");
        let is_of_requests = ["first_frame", "device_times"].contains(&arg.get_id().as_str());
        let arg = match is_of_store || is_of_requests && !has_requests {
            true => arg.hide_short_help(true),
            false => arg,
        };
        let Some(long) = arg.get_long() else {
            return arg;
        };
        let is_of_host = asks_of_hosts && long == "host";
        let variable = format!("TCPLENS_{}", long.replace('-', "_").to_uppercase());
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        let is_known = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        // `TCPLENS_FOLLOW=0` and `=no` do not mean yes.
        let arg = if is_flag {
            arg.value_parser(FalseyValueParser::new())
        } else {
            arg
        };
        // They belong to one question; TCPLENS_HOST is what a host calls itself where it stores.
        let is_of_question = is_of_host || arg.get_help_heading() == Some("Named queries");
        match (is_flag || is_known) && !is_of_question && !arg.is_hide_set() {
            true => arg.env(variable).hide_env(true),
            false => arg,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn without_a_command_it_is_report() {
        let parse = |words: &[&str]| parse(words.iter().map(OsString::from));
        for words in [
            &["tcplens", "shop.pcap"][..],
            &["tcplens", "-r", "shop.pcap", "port", "80"],
            &["tcplens"],
        ] {
            assert!(
                matches!(parse(words).unwrap().command, Command::Report(_)),
                "{words:?}"
            );
        }
        assert!(matches!(
            parse(&["tcplens", "records", "x"]).unwrap().command,
            Command::Records(_)
        ));
    }
}
