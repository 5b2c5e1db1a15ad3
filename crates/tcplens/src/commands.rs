//! The commands: what was asked for becomes a plan, records go through a view, and what was lost is
//! said at the end.

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::filter::packet::PacketFilter;
use tcplens_core::record::{Health, Vantage};
use tcplens_core::roles::Roles;
use tcplens_core::shard::Settings;
use tcplens_core::time::{SECOND, Span};
use tcplens_core::wire::DecodeSettings;

use crate::answer::listen::Listeners;
use crate::cli::{Answering, Command, Common, Format, Later, ProtocolChoice};
use crate::kernel::NewPorts;
use crate::live::Live;
use crate::observe::Plan;
use crate::otlp::Otlp;
use crate::progress::Progress;
use crate::say::say;
use crate::signals;
use crate::sources::{self, Words};
use crate::status::usage;
use crate::store::StorePlan;

mod agent;
pub(crate) mod anomalies;
mod check;
mod connections;
mod convert;
mod doctor;
mod events;
mod explain;
mod generated;
mod handshakes;
pub(crate) mod lines;
pub(crate) mod query;
mod records;
pub(crate) mod report;
pub(crate) mod requests;
mod schema;
mod script;
mod sockets;
mod stat;
pub(crate) mod summary;
mod top;

/// Bytes per connection that `--limit-memory` counts with, its parser included (measured; see the bench kit's memory
/// mode).
const CONNECTION_BYTES: u64 = 448;

/// How often a connection is reported in parts when live.
pub(crate) const LIVE_ACTIVE: i64 = 60 * SECOND;

/// How long live connections that are over are kept for late segments: whoever looks waits for their records. Chosen: a FIN
/// whose ACK was lost comes again thrice by then (Linux: after 0.2, 0.6 and 1.4 s).
pub(crate) const LIVE_LINGER: i64 = 2 * SECOND;

/// Runs what was asked for.
///
/// # Errors
/// It failed; [`crate::status::of_error`] knows with what status.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Report(Later(report)) => report::run(&report),
        Command::Handshakes(Later(handshakes)) => handshakes::run(&handshakes),
        Command::Requests(Later(requests)) => requests::run(&requests),
        Command::Connections(Later(connections)) => connections::run(&connections),
        Command::Explain(Later(explain)) => explain::run(*explain),
        Command::Sockets(Later(command)) => sockets::run(&command),
        Command::Top(Later(top)) => top::run(&top),
        Command::Records(Later(records)) => records::run(&records),
        Command::Script(Later(script)) => script::run(&script),
        Command::Query(Later(query)) => query::run(&query),
        Command::Anomalies(Later(command)) => anomalies::run(&command),
        Command::Check(Later(check)) => check::run(&check),
        #[cfg(feature = "parquet")]
        Command::Fleet(Later(fleet)) => crate::fleet::run(&fleet),
        Command::Schema(Later(schema)) => schema::run(&schema),
        Command::Convert(Later(convert)) => convert::run(&convert),
        Command::Doctor(Later(doctor)) => doctor::run(&doctor),
        Command::Events(Later(events)) => events::run(&events),
        Command::Stat(Later(stat)) => stat::run(&stat),
        Command::Agent(Later(agent)) => agent::run(&agent),
        Command::Completions(Later(completions)) => generated::completions(&completions),
        Command::Man(Later(man)) => generated::man(&man),
    }
}

/// Record kinds to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Attempts.
    pub handshakes: bool,
    /// Requests.
    pub requests: bool,
    /// Connections.
    pub connections: bool,
}

impl Wanted {
    /// Whether a record is of these kinds.
    pub(crate) fn includes(self, record: AnyRecord<'_>) -> bool {
        match record {
            AnyRecord::Handshake(_) => self.handshakes,
            AnyRecord::Request(_) => self.requests,
            AnyRecord::Connection(_) => self.connections,
        }
    }
}

/// When a command prints results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prints {
    /// While reading goes on.
    Meanwhile,
    /// At the end only.
    AtEnd,
    /// None at all.
    Nothing,
}

impl Prints {
    /// By the format of a command that prints records as they come.
    fn of(format: Format) -> Prints {
        match format {
            Format::Text | Format::Jsonl | Format::Csv => Prints::Meanwhile,
            Format::Parquet => Prints::AtEnd,
            Format::None => Prints::Nothing,
        }
    }
}

/// What is recognised, as `-m` says. The kernel copies payload only if that was written.
fn recognise(plan: &mut Plan, choices: &[ProtocolChoice]) {
    let protocols = ProtocolChoice::protocols(choices);
    if let (Some(live), true) = (&mut plan.live, ProtocolChoice::looks_at_payload(choices)) {
        live.peeks(&protocols);
    }
    plan.settings.protocols = protocols;
}

/// The plan of a command that looks at packets. `words` are sorted already.
///
/// # Errors
/// A source cannot be read, or an option contradicts another.
fn plan(common: &Common, words: Words, wanted: Wanted, prints: Prints) -> Result<Plan> {
    let (source, bounds, output) = (&common.source, &common.bounds, &common.output);
    let is_stdout = |path: &&std::path::Path| path.as_os_str() == "-";
    let write = output.write.as_deref();
    let to_stdout = output.output.is_none() && prints != Prints::Nothing;
    if write.is_some_and(|path| is_stdout(&path)) && to_stdout {
        return Err(usage(
            "cannot write packets and results both to standard output; name a file with -o or -w",
        ));
    }
    if output.rotate.is_some() && output.output.is_none() && write.is_none() {
        return Err(usage(
            "--rotate is for files; name one with -o (--output) or -w (--write)",
        ));
    }
    if let (Some(results), Some(packets)) = (&output.output, write)
        && results == packets
    {
        return Err(usage(format!(
            "cannot write packets and results both to {}; name two files with -o and -w",
            packets.display()
        )));
    }
    let results = output.output.as_deref().filter(|path| !is_stdout(path));
    let outputs = [results, write.filter(|path| !is_stdout(path))];
    sources::check(&words.files, source.follow, outputs)?;
    let exclude = source
        .exclude
        .as_deref()
        .map(PacketFilter::parse)
        .transpose()?;
    let limits = Limits::new(bounds.limit_connections, bounds.limit_memory);
    let mut live = words
        .files
        .is_empty()
        .then(|| Live::new(common, &words))
        .transpose()?;
    let listeners = answers(&common.answering, live.is_some())?;
    let asked = listeners.as_ref().map(Listeners::wanted);
    let asked = asked.unwrap_or_default();
    let vantage = match &live {
        Some(_) if common.kernel.kernel => Vantage::Kernel,
        Some(_) => Vantage::Wire,
        None => Vantage::File,
    };
    let collector = common.otlp.collector();
    let otlp =
        collector.map(|collector| Otlp::open(&collector, common.store.host.as_deref(), vantage));
    let otlp = otlp.transpose()?;
    if let (Some(live), Some(_)) = (&mut live, &otlp) {
        live.resolves();
    }
    let is_told = otlp.is_some();
    let store = StorePlan::of(&common.store)?;
    // What is kept is everything.
    let is_kept = store.is_some();
    if let (Some(live), Some(store)) = (&mut live, &store) {
        store.prepare(live)?;
    }
    // Whoever sends packets chooses the ports: what they hash to is not to be foreseen. Of files all is the same again.
    let hash_seed = match live {
        Some(_) => RandomState::new().hash_one(0),
        None => 0,
    };
    let settings = Settings {
        vantage,
        hash_seed,
        fetch: tcplens_capture::fetch::fetch,
        roles: roles(common),
        timeout: nanoseconds(bounds.timeout),
        idle: nanoseconds(bounds.idle),
        linger: match live {
            Some(_) => LIVE_LINGER,
            None => Settings::default().linger,
        },
        active: bounds
            .active
            .map(nanoseconds)
            .or(live.as_ref().map(|_| LIVE_ACTIVE)),
        limit_connections: limits.connections,
        limit_held: limits.held,
        keep_duplicates: source.keep_duplicates,
        handshakes: wanted.handshakes || asked.handshakes || is_told || is_kept,
        requests: wanted.requests || asked.requests || is_told || is_kept,
        connections: wanted.connections || asked.connections || is_told || is_kept,
        ..Settings::default()
    };
    let cores = || available_parallelism().map_or(1, usize::from);
    let threads = bounds
        .threads
        .map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let is_shown = !output.quiet
        && !source.follow
        && (prints != Prints::Meanwhile || !prints_on_terminal(common));
    Ok(Plan {
        files: words.files,
        follow: source.follow,
        threads: threads.unwrap_or_else(|| if live.is_some() { 1 } else { cores() }),
        decode: DecodeSettings {
            checksum: source.checksum.into(),
            hash_seed,
        },
        settings,
        filter: words.filter,
        exclude,
        write: output.write.clone(),
        rotate: output.rotate,
        count: source.count,
        counted: wanted,
        new_ports: NewPorts::default(),
        duration: source.duration,
        progress: if is_shown {
            Progress::on_stderr()
        } else {
            Progress::hidden()
        },
        stop: signals::stop()?,
        requests: match live {
            Some(_) => signals::Requests::listen()?,
            None => signals::Requests::default(),
        },
        reopenings: signals::Reopenings::default(),
        interval: None,
        waits: false,
        is_verbose: output.verbose > 0,
        listeners,
        filters: Vec::new(),
        slow_from: None,
        names: None,
        otlp,
        store,
        live,
    })
}

/// Where answers are given, while live.
fn answers(answering: &Answering, is_live: bool) -> Result<Option<Listeners>> {
    if is_live {
        return Ok(Some(Listeners::bind(answering)?));
    }
    let is_asked =
        answering.stats_port.is_some() || answering.socket.is_some() || answering.metrics.is_some();
    if is_asked {
        say(
            "nothing is answered while files are read: -P, -U and --metrics are for live packets (-i)",
        );
    }
    if answering.web.is_some() {
        say(
            "no page is served while files are read: --web is for live packets (-i); `report --html FILE` makes one of files",
        );
    }
    Ok(None)
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections.
    pub connections: usize,
    /// Bytes of messages that are not complete.
    pub held: usize,
}

impl Limits {
    /// By `--limit-connections` and `--limit-memory`, of which a quarter is for messages that are not complete.
    pub(crate) fn new(connections: u64, memory: Option<u64>) -> Limits {
        let by_memory = memory.map_or(u64::MAX, |bytes| bytes / 4 * 3 / CONNECTION_BYTES);
        let limit = connections.min(by_memory).max(1);
        Limits {
            connections: usize::try_from(limit).unwrap_or(usize::MAX),
            held: memory.map_or(Settings::default().limit_held, |bytes| {
                usize::try_from(bytes / 4).unwrap_or(usize::MAX)
            }),
        }
    }
}

/// Who is who, by the options.
fn roles(common: &Common) -> Roles {
    Roles {
        server_ports: common.who.ports.clone(),
        servers: common.who.servers.clone(),
        local: common.who.local.clone(),
        side: common.who.side.map(Into::into),
    }
}

/// Whether lines appear on a terminal while reading goes on: a progress bar would run through them.
fn prints_on_terminal(common: &Common) -> bool {
    use std::io::IsTerminal;
    common.output.output.is_none() && std::io::stdout().is_terminal()
}

/// As the shards take it.
pub(crate) fn nanoseconds(span: Span) -> i64 {
    i64::try_from(span.ns()).unwrap_or(i64::MAX)
}

/// `-v`: what was read, and what of it was not decoded.
fn tell(common: &Common, health: &Health) {
    if common.output.verbose == 0 {
        return;
    }
    say(format_args!(
        "{} packets, {} bytes, {} TCP segments, {} connections",
        health.packets, health.bytes, health.tcp_segments, health.connections
    ));
    let lists = [
        ("not decoded", &health.undecoded),
        ("bounds reached", &health.limit_hits),
    ];
    for (what, counts) in lists {
        let counts: Vec<_> = counts
            .iter()
            .map(|(word, n)| format!("{n} {word}"))
            .collect();
        if !counts.is_empty() {
            say(format_args!("{what}: {}", counts.join(", ")));
        }
    }
    if common.output.verbose > 1 {
        let odd = [
            ("cut by the snap length", health.cut_packets),
            ("IP fragments", health.fragments),
            ("seen twice", health.duplicates),
            (
                "with wrong checksums",
                health.bad_checksums.unwrap_or_default(),
            ),
            ("earlier than one before", health.time_reversals),
            ("SYNs of concluded attempts", health.late_syns),
            ("of connections already reported", health.late_segments),
        ];
        for (what, n) in odd.into_iter().filter(|&(_, n)| n > 0) {
            say(format_args!("{n} packets {what}"));
        }
    }
}

/// The error for a format that a command does not have.
fn no_format(command: &str, format: Format, instead: &str) -> anyhow::Error {
    let name = match format {
        Format::Text => "text",
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
        Format::Parquet => "parquet",
        Format::None => "none",
    };
    usage(format!("{command} has no format {name}; {instead}"))
}
