//! From the agent's configuration to what an observation is told. Pure: opens nothing, asks nothing of this machine but
//! what it is given.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tcplens_capture::kernel::{KernelOptions, PortRule};
use tcplens_capture::ring::RingOptions;
use tcplens_core::record::{Protocol, Vantage};
use tcplens_core::roles::Roles;
use tcplens_core::shard::{PortProtocols, Settings};
use tcplens_core::time::{SECOND, Span};
use tcplens_core::wire::DecodeSettings;
use tcplens_output::tcpkit::TcpkitShape;

use super::config::{AgentConfig, InKernel, Live, Role, Shows, Source};
use crate::answer::listen::Listeners;
use crate::cli::{self, KindChoice, RequestFormat};
use crate::commands::{LIVE_ACTIVE, LIVE_LINGER, Limits, Wanted, nanoseconds};
use crate::kernel::{self, KernelSource, NewPorts};
use crate::live::RING;
use crate::log::Level;
use crate::observe::Plan;
use crate::progress::Progress;
use crate::signals::{Reopenings, Requests};

/// Where packets come from: files or interfaces, never both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Capture files, merged by time.
    Files {
        /// Their names.
        files: Vec<PathBuf>,
        /// Go on at their end.
        follow: bool,
    },
    /// Interfaces, in the order of the file, and the kernel itself.
    Live(Vec<Live>, Option<InKernel>),
    /// There are no packets: its sockets are all.
    Sockets,
}

/// The sources as one.
pub(crate) fn from(config: &AgentConfig) -> From {
    if config.sources.is_empty() {
        return From::Sockets;
    }
    let mut files = Vec::new();
    let mut follows = false;
    let mut live = Vec::new();
    let mut in_kernel = None;
    for source in &config.sources {
        match source {
            Source::Files { read, follow } => {
                files.extend(read.iter().cloned());
                follows |= follow;
            }
            Source::Live(interfaces) => live.push(interfaces.clone()),
            Source::Kernel(kernel) => in_kernel = Some(kernel.clone()),
        }
    }
    match live.is_empty() && in_kernel.is_none() {
        true => From::Files {
            files,
            follow: follows,
        },
        false => From::Live(live, in_kernel),
    }
}

/// Record kinds that the views, or whoever may ask, need.
pub(crate) fn wanted(config: &AgentConfig) -> Wanted {
    let mut wanted = Wanted::default();
    let answers = &config.answering;
    // tcpkit's statistics are of requests; the socket, metrics, the page, a collector and a store take everything.
    let is_all = answers.socket.is_some() || answers.metrics.is_some() || answers.web.is_some();
    if is_all || config.otlp.is_some() || config.store.is_some() {
        wanted = Wanted {
            handshakes: true,
            requests: true,
            connections: true,
        };
    }
    wanted.requests |= answers.stats_port.is_some();
    if config.anomalies.is_some() {
        wanted = Wanted {
            handshakes: true,
            requests: true,
            connections: true,
        };
    }
    for view in &config.views {
        let is_tcprt = view.format == RequestFormat::Tcprt;
        let (handshakes, requests, connections) = match &view.shows {
            Shows::Records(kinds) => {
                let asks = |kind| kinds.contains(&kind);
                // Findings rest on both.
                let finds = asks(KindChoice::Finding);
                (
                    asks(KindChoice::Handshake) || finds,
                    asks(KindChoice::Request),
                    asks(KindChoice::Connection) || finds,
                )
            }
            Shows::Handshakes => (true, false, false),
            // TCP-RT's lines have the segment size of the handshake, and E of the connection.
            Shows::Requests(_) => (is_tcprt, true, is_tcprt),
            Shows::Connections => (false, false, true),
            Shows::Report => (true, true, true),
        };
        wanted.handshakes |= handshakes;
        wanted.requests |= requests;
        wanted.connections |= connections;
    }
    wanted
}

/// Who is who: servers are at the ports of either role, this host's and those it asks.
pub(crate) fn roles(config: &AgentConfig) -> Roles {
    Roles {
        server_ports: config
            .ports
            .iter()
            .flat_map(|rule| rule.ports.clone())
            .collect(),
        servers: config.servers.clone(),
        local: config.local.clone(),
        side: config.side,
    }
}

/// What the shards are told.
pub(crate) fn settings(config: &AgentConfig) -> Settings {
    let bounds = &config.bounds;
    let limits = Limits::new(bounds.limit_connections, bounds.limit_memory);
    let wanted = wanted(config);
    Settings {
        fetch: tcplens_capture::fetch::fetch,
        roles: roles(config),
        timeout: nanoseconds(bounds.timeout),
        idle: nanoseconds(bounds.idle),
        active: bounds.active.map(nanoseconds),
        limit_connections: limits.connections,
        limit_held: limits.held,
        keep_duplicates: config.keep_duplicates,
        handshakes: wanted.handshakes,
        requests: wanted.requests,
        connections: wanted.connections,
        protocols: config.protocols.clone(),
        port_protocols: config
            .ports
            .iter()
            .filter(|rule| !rule.protocols.is_empty())
            .map(|rule| PortProtocols {
                ports: rule.ports.clone(),
                protocols: rule.protocols.clone(),
            })
            .collect(),
        summary_bytes: usize::try_from(config.summary_bytes).unwrap_or(usize::MAX),
        ..Settings::default()
    }
}

/// The plan of an observation of files. `cores` of this machine; `stop` is set when it should end.
pub(crate) fn plan(
    config: &AgentConfig,
    files: Vec<PathBuf>,
    follow: bool,
    cores: usize,
    stop: Arc<AtomicBool>,
) -> Plan {
    let threads = config.bounds.threads;
    let settings = settings(config);
    Plan {
        files,
        follow,
        threads: threads.map_or(cores, |n| usize::try_from(n).unwrap_or(usize::MAX)),
        decode: DecodeSettings {
            checksum: config.checksum,
            hash_seed: settings.hash_seed,
        },
        settings,
        filter: config.filter.clone(),
        exclude: config.exclude.clone(),
        write: None,
        rotate: None,
        count: None,
        counted: wanted(config),
        new_ports: NewPorts::default(),
        duration: None,
        progress: Progress::hidden(),
        stop,
        requests: Requests::default(),
        reopenings: Reopenings::default(),
        interval: None,
        waits: true,
        is_verbose: false,
        listeners: None,
        filters: config.handshake_filters.clone(),
        slow_from: None,
        names: None,
        otlp: None,
        store: config.store.clone(),
        live: None,
    }
}

/// The plan of an observation of interfaces. `seed` is not to be foreseen by who sends packets.
pub(crate) fn live_plan(
    config: &AgentConfig,
    live: crate::live::Live,
    listeners: Listeners,
    seed: u64,
    stop: Arc<AtomicBool>,
) -> Plan {
    let mut plan = plan(config, Vec::new(), false, 1, stop);
    plan.settings.vantage = match live.is_kernel_alone() {
        true => Vantage::Kernel,
        false => Vantage::Wire,
    };
    plan.settings.linger = LIVE_LINGER;
    plan.settings.hash_seed = seed;
    plan.decode.hash_seed = seed;
    plan.settings.active = plan.settings.active.or(Some(LIVE_ACTIVE));
    plan.interval = Some(HEALTH_EVERY);
    plan.is_verbose = config.log_level >= Level::Info;
    plan.listeners = Some(listeners);
    plan.live = Some(live);
    plan
}

/// The sources as rings.
pub(crate) fn rings(config: &AgentConfig, live: &[Live]) -> Vec<crate::live::Source> {
    let source = |live: &Live| crate::live::Source {
        options: RingOptions {
            interfaces: live.interfaces.clone(),
            buffer: live.buffer.unwrap_or(RING),
            snaplen: live.snaplen,
            promiscuous: live.promiscuous,
            filter: config.filter.clone(),
        },
        netns: live.netns.clone(),
    };
    live.iter().map(source).collect()
}

/// The kernel's view.
pub(crate) fn in_kernel(config: &AgentConfig, kernel: &InKernel) -> KernelSource {
    KernelSource {
        options: KernelOptions {
            ports: port_rules(config),
            buffer: kernel.buffer,
            peek: config.peeks || kernel.peek,
            first_frames: kernel.first_frames.clone(),
            device_times: kernel.device_times,
            flush: Some(kernel.flush),
            ..KernelOptions::default()
        },
        netns: kernel.netns.clone(),
        filter: config.tuple_filter.clone(),
        protocols: read_in_kernel(config, kernel),
        unless: "cannot look from inside the kernel (sources: - kernel: true, or a tcprt.yaml); an agent's own file with \
                 - interface: any shows the same from packets",
    }
}

/// What first bytes of requests may name. Unlike packets, they do by any port's protocols.
fn read_in_kernel(config: &AgentConfig, kernel: &InKernel) -> Vec<Protocol> {
    let of_ports = config.ports.iter().flat_map(|rule| &rule.protocols);
    let mut named: Vec<Protocol> = config.protocols.iter().chain(of_ports).copied().collect();
    if kernel.peek && config.protocols.is_empty() {
        named = Protocol::ALL.to_vec();
    }
    named.retain(|protocol| *protocol != Protocol::Turn);
    named
}

/// What the kernel makes of ports; the first that names one decides.
pub(crate) fn port_rules(config: &AgentConfig) -> Vec<PortRule> {
    kernel::port_rules(|is_peer, port| {
        let role = if is_peer { Role::Peer } else { Role::Server };
        let mut rules = config.ports.iter();
        let rule = rules.find(|rule| rule.role == role && kernel::has(&rule.ports, port))?;
        Some((rule.mode, rule.first_frame))
    })
}

/// Who may ask.
pub(crate) fn answering(config: &AgentConfig) -> cli::Answering {
    cli::Answering {
        stats_port: config.answering.stats_port,
        stats_shape: TcpkitShape::Tcpkit,
        socket: config.answering.socket.clone(),
        metrics: config.answering.metrics,
        web: config.answering.web,
    }
}

/// How often views of health are told.
const HEALTH_EVERY: Span = Span::from_ns(60 * SECOND as u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::config;

    fn read(text: &str) -> AgentConfig {
        config::parse(text).unwrap()
    }

    #[test]
    fn what_nothing_asks_for_is_not_computed() {
        for (views, expected) in [
            ("views: [{kind: handshakes}]", [true, false, false]),
            ("views: [{kind: requests}]", [false, true, false]),
            (
                "views: [{kind: requests, format: tcprt}]",
                [true, true, true],
            ),
            (
                "views: [{kind: connections}, {kind: handshakes}]",
                [true, false, true],
            ),
            (
                "views: [{kind: records, records: [request, health]}]",
                [false, true, false],
            ),
            (
                "views: [{kind: records, records: finding}]",
                [true, false, true],
            ),
            ("views: [{kind: report}]", [true, true, true]),
            ("answering: {stats_port: 33333}", [false, true, false]),
            ("answering: {metrics: 9184}", [true, true, true]),
            ("otlp: {url: \"http://[::1]:4318\"}", [true, true, true]),
        ] {
            let wanted = wanted(&read(&format!("sources: [{{read: x}}]\n{views}")));
            let found = [wanted.handshakes, wanted.requests, wanted.connections];
            assert_eq!(found, expected, "{views}");
        }
    }

    #[test]
    fn settings_are_those_of_the_same_command_line() {
        let config = read(
            "\
sources: [{read: [x, y], follow: true}]
ports: [{port: 443, protocol: tls}, {port: 6379-6380, role: peer}]
who: {local: 10.0.0.0/8, side: server}
views: [{kind: requests}]
bounds: {timeout: 5, idle: 10m, active: 60s, limit_memory: 64MiB, threads: 3}
",
        );
        let expected = From::Files {
            files: vec!["x".into(), "y".into()],
            follow: true,
        };
        assert_eq!(from(&config), expected);
        let plan = plan(&config, Vec::new(), true, 8, Arc::default());
        assert_eq!(plan.threads, 3);
        let settings = plan.settings;
        assert_eq!(settings.timeout, 5_000_000_000);
        assert_eq!(settings.idle, 600_000_000_000);
        assert_eq!(settings.active, Some(60_000_000_000));
        assert_eq!(settings.limit_held, 16 << 20);
        assert_eq!(settings.limit_connections, (48 << 20) / 448);
        assert_eq!(settings.roles.server_ports, [(443, 443), (6379, 6380)]);
        assert_eq!(settings.port_protocols.len(), 1);
        assert_eq!(settings.roles.local.len(), 1);
    }
}
