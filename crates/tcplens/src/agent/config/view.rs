//! One view of the configuration: what it shows, where, and which records it takes.

use std::path::PathBuf;

use clap::ValueEnum;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::record::{Connection, Finding, Handshake, Outcome, Protocol, Request, Word};
use tcplens_core::roles::Network;
use tcplens_core::time::Span;
use tcplens_core::view::requests::is_slow;
use tcplens_output::text::RequestColumn;
use tcplens_output::time_style::TimeStyle;
use tcplens_output::units::Rotate;

use super::{PortRule, not_empty, protocols, word};
use crate::agent::section::Section;
use crate::cli::{KindChoice, RequestFormat, StatusChoice, values};

/// A view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViewConfig {
    /// For messages.
    pub name: String,
    /// What it shows.
    pub shows: Shows,
    /// How.
    pub format: RequestFormat,
    /// Where to; `None` is standard output.
    pub output: Option<PathBuf>,
    /// When a new file begins.
    pub rotate: Option<Rotate>,
    /// How text shows times.
    pub time: TimeStyle,
    /// TCP-RT's lines are as its module writes them.
    pub compat: bool,
    /// How often statistics have lines.
    pub stats_interval: Option<Span>,
    /// Which records.
    pub which: Which,
}

/// What a view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Records of these kinds.
    Records(Vec<KindChoice>),
    /// Attempts.
    Handshakes,
    /// Requests, with more columns in text.
    Requests(Vec<RequestColumn>),
    /// Connections.
    Connections,
    /// What is wrong.
    Report,
}

/// `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Records,
    Handshakes,
    Requests,
    Connections,
    Report,
}

/// Which records a view takes. Empty lists take all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Which {
    /// Servers.
    pub servers: Vec<Network>,
    /// Ports of servers.
    pub ports: Vec<(u16, u16)>,
    /// Of requests and connections.
    pub protocols: Vec<Protocol>,
    /// Of requests.
    pub status: Vec<StatusChoice>,
    /// Of requests.
    pub slower_than: Option<SlowerThan>,
    /// Of attempts.
    pub outcomes: Vec<Outcome>,
    /// Of attempts: those that one of these matches.
    pub handshake_filters: Vec<HandshakeFilter>,
    /// Of attempts: none of these.
    pub exclusions: Vec<HandshakeFilter>,
}

/// From where on a request is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SlowerThan {
    /// From here.
    Time(Span),
    /// By its server's port; on others none is.
    Ports(Vec<Threshold>),
}

/// What is slow on some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Threshold {
    /// Ports of servers.
    pub ports: Vec<(u16, u16)>,
    /// From where on.
    pub from: Span,
}

impl Which {
    /// Whether an attempt is among them.
    pub(crate) fn takes_handshake(&self, handshake: &Handshake) -> bool {
        // A record's ports are numbers of 16 bits.
        let port = u16::try_from(handshake.server_port).unwrap_or_default();
        let matches = |filter: &HandshakeFilter| {
            let (client, server) = (handshake.client_ip, handshake.server_ip);
            filter.matches(handshake.direction, client, server, port)
        };
        self.is_server(handshake.server_ip, handshake.server_port)
            && (self.outcomes.is_empty() || self.outcomes.contains(&handshake.outcome))
            && !self.exclusions.iter().any(matches)
            && (self.handshake_filters.is_empty() || self.handshake_filters.iter().any(matches))
    }

    /// Whether a request is among them.
    pub(crate) fn takes_request(&self, request: &Request<'_>) -> bool {
        let is_slow = |slower: &SlowerThan| match slower {
            SlowerThan::Time(from) => is_slow(request, Some(*from)),
            SlowerThan::Ports(thresholds) => thresholds.iter().any(|threshold| {
                is_within(&threshold.ports, request.server_port)
                    && is_slow(request, Some(threshold.from))
            }),
        };
        self.is_server(request.server_ip, request.server_port)
            && (self.protocols.is_empty() || self.protocols.contains(&request.protocol))
            && (self.status.is_empty() || self.status.iter().any(|status| status.fits(request)))
            && self.slower_than.as_ref().is_none_or(is_slow)
    }

    /// Whether a connection is among them.
    pub(crate) fn takes_connection(&self, connection: &Connection) -> bool {
        let is_spoken = |protocol: &Protocol| connection.protocol == Some(*protocol);
        self.is_server(connection.server_ip, connection.server_port)
            && (self.protocols.is_empty() || self.protocols.iter().any(is_spoken))
    }

    /// Whether a finding is among them: one of several servers always is.
    pub(crate) fn takes_finding(&self, finding: &Finding) -> bool {
        let server = finding.server_ip.zip(finding.server_port);
        server.is_none_or(|(ip, port)| self.is_server(ip, port))
    }

    fn is_server(&self, ip: std::net::IpAddr, port: u64) -> bool {
        (self.servers.is_empty() || self.servers.iter().any(|network| network.holds(ip)))
            && (self.ports.is_empty() || is_within(&self.ports, port))
    }
}

fn is_within(ranges: &[(u16, u16)], port: u64) -> bool {
    ranges
        .iter()
        .any(|&(low, high)| (u64::from(low)..=u64::from(high)).contains(&port))
}

/// Reads a view; `None` only if a problem was told.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    ports: &[PortRule],
    filters: &[HandshakeFilter],
) -> Option<ViewConfig> {
    if !section.has("kind") {
        section.problem_here(
            "no kind; write kind: requests (or handshakes, connections, records, report)",
        );
    }
    let kind = section.one("kind", word::<Kind>)?;
    let noun = word_of(kind);
    let name = section.one("name", not_empty);
    let format = format(section, kind)?;
    let output = section
        .one("output", not_empty)
        .filter(|path| path != "-")
        .map(PathBuf::from);
    let rotate = section.one("rotate", Rotate::parse);
    if rotate.is_some() && output.is_none() {
        section.problem(
            "rotate",
            "standard output has no files to rotate; write output: FILE",
        );
    }
    let time = section.one("time", str::parse::<TimeStyle>);
    let columns = section.several("columns", str::parse::<RequestColumn>);
    let records = match kind {
        Kind::Records => section.several("records", word::<KindChoice>),
        _ => Vec::new(),
    };
    if records.contains(&KindChoice::Peer) {
        section.problem(
            "records",
            "destinations are not among what the agent writes; leave peer out",
        );
    }
    let is_about = |name: &'static str, kinds: &[Kind], what: &str| {
        if section.has(name) && !kinds.contains(&kind) {
            section.problem(
                name,
                format_args!("it is about {what}, this view shows {noun}; leave it out"),
            );
        }
    };
    is_about("columns", &[Kind::Requests], "lines of requests");
    is_about("records", &[Kind::Records], "kinds of records");
    is_about("status", &[Kind::Requests, Kind::Records], "requests");
    is_about("slower_than", &[Kind::Requests, Kind::Records], "requests");
    is_about("outcome", &[Kind::Handshakes, Kind::Records], "attempts");
    is_about(
        "handshake_filter",
        &[Kind::Handshakes, Kind::Records],
        "attempts",
    );
    let with_protocol = [Kind::Requests, Kind::Connections, Kind::Records];
    is_about("protocol", &with_protocol, "requests and connections");
    if !columns.is_empty() && kind == Kind::Requests && format != RequestFormat::Text {
        section.problem(
            "columns",
            "they are of text; leave them out: other formats have every field",
        );
    }
    let compat = section.flag("compat");
    if compat && format != RequestFormat::Tcprt {
        section.problem("compat", "it is about format: tcprt; leave it out");
    }
    let stats_interval = section.one("stats_interval", values::seconds);
    if stats_interval.is_some() && format != RequestFormat::TcprtStats {
        section.problem(
            "stats_interval",
            "it is about format: tcprt-stats; leave it out",
        );
    }
    let which = which(section, ports, filters);
    Some(ViewConfig {
        name: name.unwrap_or_else(|| format!("view of {noun}")),
        shows: match kind {
            Kind::Records => Shows::Records(records),
            Kind::Handshakes => Shows::Handshakes,
            Kind::Requests => Shows::Requests(columns),
            Kind::Connections => Shows::Connections,
            Kind::Report => Shows::Report,
        },
        format,
        output,
        rotate,
        time: time?,
        compat,
        stats_interval,
        which,
    })
}

fn word_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Records => "records",
        Kind::Handshakes => "handshakes",
        Kind::Requests => "requests",
        Kind::Connections => "connections",
        Kind::Report => "a report",
    }
}

/// The format, which not every kind has.
fn format(section: &mut Section<'_, '_>, kind: Kind) -> Option<RequestFormat> {
    use RequestFormat::{Csv, Jsonl, None, Tcprt, TcprtStats, Text};
    let formats: &[RequestFormat] = match kind {
        Kind::Records => &[Jsonl, Csv, None],
        Kind::Handshakes | Kind::Connections => &[Text, Jsonl, Csv, None],
        Kind::Requests => &[Text, Jsonl, Csv, Tcprt, TcprtStats, None],
        Kind::Report => &[Text, Jsonl],
    };
    if !section.has("format") {
        let format = formats[0];
        section.fill("format", if format == Text { "text" } else { "jsonl" });
        return Some(format);
    }
    section.one("format", |text| {
        let format = word::<RequestFormat>(text)?;
        if formats.contains(&format) {
            return Ok(format);
        }
        let names: Vec<_> = formats
            .iter()
            .filter_map(RequestFormat::to_possible_value)
            .map(|value| value.get_name().to_owned())
            .collect();
        let noun = word_of(kind);
        Err(
            format!("{noun} has no format {text}; write {}", names.join(", "))
                .replace("s has", "s have"),
        )
    })
}

fn which(section: &mut Section<'_, '_>, ports: &[PortRule], filters: &[HandshakeFilter]) -> Which {
    let slower_than = section.one("slower_than", |text| match text {
        "ports" => Ok(SlowerThan::Ports(thresholds(ports))),
        text => values::milliseconds(text)
            .map(SlowerThan::Time)
            .map_err(|error| format!("{error}; or ports, for what ports says")),
    });
    if slower_than == Some(SlowerThan::Ports(Vec::new())) {
        section.problem(
            "slower_than",
            "nothing under ports says what is slow; write slower_than there, or a time here",
        );
    }
    let (exclusions, named): (Vec<_>, Vec<_>) = filters
        .iter()
        .cloned()
        .partition(HandshakeFilter::is_exclusion);
    let chosen = section.several("handshake_filter", |name| {
        let chosen: Vec<_> = named
            .iter()
            .filter(|filter| filter.name() == name)
            .collect();
        if chosen.is_empty() {
            let names: Vec<_> = named.iter().map(HandshakeFilter::name).collect();
            return Err(match names.as_slice() {
                [] => format!("{name:?} is none: there are no handshake_filters with a name"),
                _ => format!(
                    "{name:?} is none of the handshake_filters; write {}",
                    names.join(", ")
                ),
            });
        }
        Ok(chosen.into_iter().cloned().collect::<Vec<_>>())
    });
    Which {
        servers: section.several("server", values::network),
        ports: section.several("port", values::ports),
        protocols: protocols(section, "protocol"),
        status: section.several("status", StatusChoice::parse),
        slower_than,
        outcomes: section.several("outcome", outcome),
        handshake_filters: chosen.into_iter().flatten().collect(),
        exclusions,
    }
}

fn thresholds(ports: &[PortRule]) -> Vec<Threshold> {
    let with = ports.iter().filter_map(|rule| {
        Some(Threshold {
            ports: rule.ports.clone(),
            from: rule.slower_than?,
        })
    });
    with.collect()
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let mut all = Outcome::ALL.iter().copied();
    all.find(|outcome| outcome.word() == Some(text))
        .ok_or_else(|| {
            let words: Vec<_> = Outcome::ALL
                .iter()
                .filter_map(|known| known.word())
                .collect();
            format!("{text:?} is no outcome; write {}", words.join(", "))
        })
}
