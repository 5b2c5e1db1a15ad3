//! The agent's configuration: from the text of a file to values that a run can use. What is here was read by the
//! parsers of the command line; nothing needs to be checked again.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use tcplens_core::filter::packet::PacketFilter;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::filter::{FilterError, TupleFilter};
use tcplens_core::kernel::Mode;
use tcplens_core::record::{Protocol, Side};
use tcplens_core::roles::Network;
use tcplens_core::time::Span;
use tcplens_core::wire::Checksum;
use tcplens_output::units;

pub(crate) use self::anomalies::AnomaliesConfig;
use self::checks::{checked_as_a_whole, checked_for_the_kernel, checked_without_sources};
pub(crate) use self::sockets::SocketsConfig;
pub(crate) use self::view::{Shows, ViewConfig};
use super::keys;
use super::section::{Problems, Section};
use super::yaml::{Node, Problem, What};
use crate::cli::values;
use crate::cli::{ChecksumChoice, Collector, ProtocolChoice, SideChoice};
use crate::log::Level;
use crate::store::StorePlan;

mod anomalies;
mod checks;
mod sockets;
mod store;
mod view;

/// What the agent is to do.
#[derive(Debug)]
pub(crate) struct AgentConfig {
    /// Where packets come from.
    pub sources: Vec<Source>,
    /// Packets to look at.
    pub filter: Option<PacketFilter>,
    /// Connections to look at, of the kernel's view.
    pub tuple_filter: Option<TupleFilter>,
    /// Packets to leave out.
    pub exclude: Option<PacketFilter>,
    /// Checksums to verify.
    pub checksum: Checksum,
    /// Second sightings count.
    pub keep_duplicates: bool,
    /// Protocols to recognise; empty for all.
    pub protocols: Vec<Protocol>,
    /// Something is to be made of payload, which the kernel copies only then.
    pub peeks: bool,
    /// Longest summary of a request.
    pub summary_bytes: u64,
    /// Server addresses.
    pub servers: Vec<Network>,
    /// Addresses of the observed host.
    pub local: Vec<Network>,
    /// Where the observation stands.
    pub side: Option<Side>,
    /// What is known of ports.
    pub ports: Vec<PortRule>,
    /// Names for attempts.
    pub handshake_filters: Vec<HandshakeFilter>,
    /// What to show.
    pub views: Vec<ViewConfig>,
    /// Who may ask.
    pub answering: Answering,
    /// A collector that is told of all.
    pub otlp: Option<Collector>,
    /// The kernel's sockets, beside.
    pub sockets: Option<SocketsConfig>,
    /// Where records are kept.
    pub store: Option<StorePlan>,
    /// What is abnormal is watched.
    pub anomalies: Option<AnomaliesConfig>,
    /// What is kept.
    pub bounds: Bounds,
    /// Whose privileges to keep.
    pub user: Option<String>,
    /// The least that is said.
    pub log_level: Level,
    /// All of it as YAML, defaults included.
    pub effective: Node,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Capture files.
    Files {
        /// Their names; `-` is standard input.
        read: Vec<PathBuf>,
        /// Go on at their end.
        follow: bool,
    },
    /// Interfaces.
    Live(Live),
    /// The kernel itself.
    Kernel(InKernel),
}

/// How to look from inside the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InKernel {
    /// The namespace that is looked at; all without it.
    pub netns: Option<String>,
    /// Bytes of the ring that events wait in.
    pub buffer: Option<u64>,
    /// The first bytes of requests are copied.
    pub peek: bool,
    /// When a response is told.
    pub flush: Span,
    /// Bytes of responses.
    pub first_frames: Vec<u32>,
    /// What is sent is stamped at the device.
    pub device_times: bool,
}

/// Interfaces to capture on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// Their names; `any` for all.
    pub interfaces: Vec<String>,
    /// The namespace they are in.
    pub netns: Option<String>,
    /// Also what is not for this host.
    pub promiscuous: bool,
    /// Bytes of the ring, per thread.
    pub buffer: Option<u64>,
    /// Bytes kept of each packet.
    pub snaplen: u32,
}

/// Whose a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// This host serves there.
    Server,
    /// This host asks there.
    Peer,
}

/// What is known of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortRule {
    /// Which, as inclusive ranges.
    pub ports: Vec<(u16, u16)>,
    /// Whose they are.
    pub role: Role,
    /// What is spoken there; empty if that is not said.
    pub protocols: Vec<Protocol>,
    /// What is slow there.
    pub slower_than: Option<Span>,
    /// What the kernel makes of payload there.
    pub mode: Mode,
    /// Whether it looks at thresholds of responses there.
    pub first_frame: bool,
}

/// Who may ask while the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answering {
    /// tcpkit's statistics.
    pub stats_port: Option<SocketAddr>,
    /// tcpeek's socket and `stat`'s.
    pub socket: Option<PathBuf>,
    /// Prometheus.
    pub metrics: Option<SocketAddr>,
    /// Browsers.
    pub web: Option<SocketAddr>,
}

/// What is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Threads.
    pub threads: Option<u64>,
    /// Connections.
    pub limit_connections: u64,
    /// Memory.
    pub limit_memory: Option<u64>,
    /// Of attempts.
    pub timeout: Span,
    /// Of connections.
    pub idle: Span,
    /// Of parts.
    pub active: Option<Span>,
}

/// Least memory that a limit may name: what is less was meant in another unit. Chosen: some hundred connections.
const LEAST_MEMORY: u64 = 1_000_000;

/// Reads the tree of a file.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub(crate) fn of_tree(tree: &Node) -> Result<AgentConfig, Vec<Problem>> {
    let problems = Problems::default();
    let section = Section::open(&keys::TOP, "", tree, &problems);
    let config = match &tree.what {
        What::Map(_) | What::Nothing => top(section),
        What::Text(_) | What::List(_) => None,
    };
    let mut problems = problems.into_inner();
    problems.sort_by_key(|problem| problem.at);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// `None` only if a problem was told.
fn top(mut top: Section<'_, '_>) -> Option<AgentConfig> {
    let sources = top.sections("sources", &keys::SOURCE, source);
    let has = |is: fn(&Source) -> bool| sources.iter().flatten().any(is);
    let has_kernel = has(|source| matches!(source, Source::Kernel(_)));
    let has_packets = has(|source| !matches!(source, Source::Kernel(_)));
    let (filter, tuple_filter) = match (has_kernel, has_packets) {
        (true, false) => (None, top.one("filter", tuple_filter)),
        (true, true) => {
            let both = top.one("filter", |text: &str| -> Result<_, String> {
                Ok((tuple_filter(text)?, packet_filter(text)?))
            });
            both.map_or((None, None), |(tuple, packet)| (Some(packet), Some(tuple)))
        }
        (false, _) => (top.one("filter", packet_filter), None),
    };
    let exclude = top.one("exclude", packet_filter);
    let checksum = top.one("checksum", word::<ChecksumChoice>);
    let keep_duplicates = top.flag("keep_duplicates");
    let protocols = protocols(&mut top, "protocol");
    let summary_bytes = top.one("summary_bytes", values::at_least_one);
    let (servers, local, side) = top.section("who", &keys::WHO, |who| {
        (
            who.several("server", values::network),
            who.several("local", values::network),
            who.one("side", word::<SideChoice>),
        )
    });
    let ports = top.sections("ports", &keys::PORT, port);
    let handshake_filters = top.texts("handshake_filters", HandshakeFilter::parse);
    let views = top.sections("views", &keys::VIEW, |section| {
        view::read(section, &ports, &handshake_filters)
    });
    let answering = top.section("answering", &keys::ANSWERING, |section| Answering {
        stats_port: section.one("stats_port", values::listen),
        socket: section.one("socket", path_with_slash),
        metrics: section.one("metrics", values::listen_metrics),
        web: section.one("web", values::listen_web),
    });
    let otlp = match top.has("otlp") {
        true => Some(top.section("otlp", &keys::OTLP, otlp)),
        false => None,
    };
    let is_seen = answering.metrics.is_some() || top.has("store");
    let sockets = match top.has("sockets") {
        true => Some(top.section("sockets", &keys::SOCKETS, |section| {
            sockets::read(section, &sources, is_seen)
        })),
        false => None,
    };
    let store = match top.has("store") {
        true => Some(top.section("store", &keys::STORE, store::read)),
        false => None,
    };
    let anomalies = match top.has("anomalies") {
        true => Some(top.section("anomalies", &keys::ANOMALIES, anomalies::read)),
        false => None,
    };
    let bounds = top.section("bounds", &keys::BOUNDS, bounds);
    let user = top.one("user", not_empty);
    let log_level = top.one("log_level", word::<Level>);
    checked_as_a_whole(&top, &sources, &views);
    checked_without_sources(&top, &sources, &views, &answering);
    let is_side = side.is_some_and(|side| side == SideChoice::Middle || has_packets);
    let is_who = !servers.is_empty() || !local.is_empty() || is_side;
    checked_for_the_kernel(&top, &sources, &ports, (checksum, keep_duplicates), is_who);
    let is_read = |protocol: &Protocol| *protocol != Protocol::Turn;
    let peeks = protocols.iter().any(is_read)
        || ports
            .iter()
            .any(|rule| rule.mode != Mode::Default || rule.protocols.iter().any(is_read));
    Some(AgentConfig {
        sources: sources.into_iter().collect::<Option<_>>()?,
        filter,
        tuple_filter,
        exclude,
        checksum: checksum?.into(),
        keep_duplicates,
        protocols,
        peeks,
        summary_bytes: summary_bytes?,
        servers,
        local,
        side: side.map(Into::into),
        ports,
        handshake_filters,
        views: views.into_iter().collect::<Option<_>>()?,
        answering,
        otlp: match otlp {
            Some(otlp) => Some(otlp?),
            None => None,
        },
        sockets: match sockets {
            Some(sockets) => Some(sockets?),
            None => None,
        },
        store: match store {
            Some(store) => Some(store?),
            None => None,
        },
        anomalies: match anomalies {
            Some(anomalies) => Some(anomalies?),
            None => None,
        },
        bounds: bounds?,
        user,
        log_level: log_level?,
        effective: top.close(),
    })
}

fn source(section: &mut Section<'_, '_>) -> Option<Source> {
    let read = section.texts("read", |text| not_empty(text).map(PathBuf::from));
    let interfaces = section.several("interface", not_empty);
    let only_of = |section: &Section<'_, '_>, names: &[&'static str], other: &str| {
        for name in names {
            if section.has(name) {
                section.problem(name, format_args!("it is about {other}; leave it out"));
            }
        }
    };
    const KERNEL_S: [&str; 4] = ["flush", "first_frame_bytes", "peek", "device_times"];
    let buffer = section.has("buffer").then(|| {
        section.one("buffer", |text| {
            // There is no -B here.
            values::ring(text).map_err(|error| error.replace("-B ", ""))
        })
    });
    let has_kernel = section.has("kernel");
    if has_kernel && section.flag("kernel") {
        only_of(section, &["read", "interface"], "another source");
        only_of(section, &["follow"], "files");
        only_of(section, &["promiscuous", "snaplen"], "packets");
        let first_frames = section.several("first_frame_bytes", values::first_frame);
        if first_frames.len() > MOST_FRAMES {
            section.problem(
                "first_frame_bytes",
                "there are more than four; leave some out",
            );
        }
        return Some(Source::Kernel(InKernel {
            netns: section.one("netns", not_empty),
            buffer: buffer.flatten(),
            peek: section.flag("peek"),
            flush: section.one("flush", values::seconds)?,
            first_frames,
            device_times: section.flag("device_times"),
        }));
    }
    only_of(section, &KERNEL_S, "the kernel's view");
    match (section.has("read"), section.has("interface")) {
        (true, true) => section
            .problem_here("read and interface are two sources; write each behind a - of its own"),
        (false, false) => section
            .problem_here("neither read nor interface nor kernel; write interface: any, read: FILE.pcap, or kernel: true"),
        (true, false) => {
            only_of(
                section,
                &["netns", "promiscuous", "buffer", "snaplen"],
                "interfaces",
            );
            return Some(Source::Files {
                read,
                follow: section.flag("follow"),
            });
        }
        (false, true) => {
            only_of(section, &["follow"], "files");
            return Some(Source::Live(Live {
                interfaces,
                netns: section.one("netns", not_empty),
                promiscuous: section.flag("promiscuous"),
                buffer: buffer.flatten(),
                snaplen: section.one("snaplen", values::snap_length)?,
            }));
        }
    }
    None
}

fn port(section: &mut Section<'_, '_>) -> PortRule {
    if !section.has("port") {
        section.problem_here("no port; write port: 443");
    }
    PortRule {
        ports: section.several("port", values::ports),
        role: section.one("role", word::<Role>).unwrap_or(Role::Server),
        protocols: protocols(section, "protocol"),
        slower_than: section.one("slower_than", values::milliseconds),
        mode: section.one("mode", values::mode).unwrap_or_default(),
        first_frame: section.flag("first_frame"),
    }
}

/// Thresholds of a response that the kernel looks at.
pub(crate) const MOST_FRAMES: usize = 4;

fn bounds(section: &mut Section<'_, '_>) -> Option<Bounds> {
    let threads = section.one("threads", values::at_least_one);
    let limit_connections = section.one("limit_connections", values::at_least_one);
    let limit_memory = section.one("limit_memory", |text| {
        let bytes = units::parse_size(text).map_err(|error| error.to_string())?;
        match bytes >= LEAST_MEMORY {
            true => Ok(bytes),
            false => Err(format!(
                "{text} is not enough for a handful of connections; write 64MiB or more"
            )),
        }
    });
    let timeout = section.one("timeout", values::seconds);
    let idle = section.one("idle", values::seconds);
    let active = section.one("active", values::seconds);
    Some(Bounds {
        threads,
        limit_connections: limit_connections?,
        limit_memory,
        timeout: timeout?,
        idle: idle?,
        active,
    })
}

fn otlp(section: &mut Section<'_, '_>) -> Option<Collector> {
    if !section.has("url") {
        section.problem_here("no url; write url: http://127.0.0.1:4318");
    }
    let url = section.one("url", values::collector);
    let interval = section.one("interval", values::otlp_interval);
    let slow_from = section.one("slower_than", values::milliseconds);
    let headers = section.one("headers", not_empty);
    let ca = section.one("ca", not_empty);
    Some(Collector {
        url: url?,
        headers: headers.map(PathBuf::from),
        ca: ca.map(PathBuf::from),
        interval: interval?,
        slow_from,
    })
}

/// Protocols; none for all.
fn protocols(section: &mut Section<'_, '_>, name: &'static str) -> Vec<Protocol> {
    let choices = section.several(name, |text| {
        ProtocolChoice::named(text)
            .filter(|choice| *choice != ProtocolChoice::Raw)
            .ok_or_else(|| {
                let names: Vec<_> = ProtocolChoice::names().collect();
                format!("{text:?} is no protocol; write {}", names.join(", "))
            })
    });
    let one = |choice: &ProtocolChoice| match choice {
        ProtocolChoice::One(protocol) => Some(*protocol),
        ProtocolChoice::Auto | ProtocolChoice::Raw => None,
    };
    choices
        .iter()
        .map(one)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

/// An expression; the key says already that it is a filter.
fn packet_filter(text: &str) -> Result<PacketFilter, String> {
    PacketFilter::parse(text).map_err(without_key)
}

/// The same, of connections.
fn tuple_filter(text: &str) -> Result<TupleFilter, String> {
    TupleFilter::parse(text).map_err(without_key)
}

fn without_key(error: FilterError) -> String {
    let error = error.to_string();
    error.strip_prefix("filter: ").unwrap_or(&error).to_owned()
}

/// One of a few words.
fn word<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let values = T::value_variants().iter();
        let names: Vec<_> = values
            .filter_map(|value| value.to_possible_value())
            .map(|value| value.get_name().to_owned())
            .collect();
        format!("{text:?} is none of its words; write {}", names.join(", "))
    })
}

fn not_empty(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it is empty; leave it out, or write something"),
        text => Ok(text.to_owned()),
    }
}

fn path_with_slash(text: &str) -> Result<PathBuf, String> {
    match text.contains('/') {
        true => Ok(text.into()),
        false => Err(format!(
            "{text:?} is no path; write /run/tcplens/tcplens.sock"
        )),
    }
}

/// Whether a tree has a key at its top.
pub(crate) fn has_key(tree: &Node, names: &[&str]) -> bool {
    matches!(&tree.what, What::Map(entries)
        if entries.iter().any(|(word, _)| names.contains(&word.text.as_str())))
}

/// Reads a file.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> Result<AgentConfig, Vec<Problem>> {
    of_tree(&super::yaml::parse(text).map_err(|problem| vec![problem])?)
}

#[cfg(test)]
mod tests;
