//! One view of the agent: takes what its configuration says, and writes it to its destination.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Connection, Finding, Handshake, Health, Request, Vantage};
use tcplens_core::time::Timestamp;
use tcplens_core::view::Report;
use tcplens_output::report::{ReportOptions, render};
use tcplens_output::tcprt::Tcprt;
use tcplens_output::text::{ConnectionText, HandshakeText, RequestText};
use tcplens_output::time_style::TimeFormat;
use tcplens_output::{Sink, SinkEnd};

use super::config::{AgentConfig, Role, Shows, ViewConfig};
use super::plan;
use crate::cli::{KindChoice, RequestFormat};
use crate::commands::lines::Target;
use crate::commands::requests::stats::IntervalStats;
use crate::commands::requests::{STATS, target_format, with_string};

/// Columns of a report: nobody's screen is known.
const COLUMNS: usize = 100;

/// An open view.
pub(crate) struct AgentView {
    /// What it is.
    pub config: ViewConfig,
    target: Target,
    text: Text,
    /// Where findings are asked for.
    report: Option<Report>,
    first_packet: Option<Timestamp>,
    /// Device and inode of its file.
    file: Option<(u64, u64)>,
}

/// A record as views take it: what a request says is made once for all of them.
pub(crate) enum Record<'r> {
    /// An attempt.
    Handshake(&'r Handshake),
    /// A request, and where it comes from.
    Request(&'r Request<'r>, AnyRecord<'r>),
    /// A connection.
    Connection(&'r Connection),
}

/// How lines of text are made.
enum Text {
    Handshakes(HandshakeText),
    Requests(RequestText),
    Tcprt(Tcprt),
    TcprtStats(IntervalStats),
    Connections(ConnectionText),
    /// There are none.
    None,
}

impl AgentView {
    /// Opens its destination; what is there stays.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn open(config: ViewConfig, all: &AgentConfig) -> Result<AgentView> {
        let sink = match (&config.output, config.rotate) {
            (Some(path), None) => Sink::append(path)?,
            (path, rotate) => Sink::open(path.as_deref(), rotate)?,
        };
        // Live packets do not wait for a destination.
        let is_live = !matches!(plan::from(all), plan::From::Files { .. });
        let sink = if is_live { sink.queued() } else { sink };
        Ok(AgentView::to(config, all, sink))
    }

    /// Writes to an open destination.
    pub(crate) fn to(config: ViewConfig, all: &AgentConfig, sink: Sink) -> AgentView {
        let time = || TimeFormat::new(config.time);
        let text = match (&config.shows, config.format) {
            (Shows::Requests(_), RequestFormat::Tcprt) => {
                let tcprt = Tcprt::new(peer_ports(all), speaks_http(all));
                Text::Tcprt(tcprt.compatible(config.compat))
            }
            (Shows::Requests(_), RequestFormat::TcprtStats) => {
                let interval = config.stats_interval.unwrap_or(STATS);
                let stats = IntervalStats::new(server_ports(all), peer_ports(all), interval);
                Text::TcprtStats(stats)
            }
            (
                _,
                RequestFormat::Jsonl
                | RequestFormat::Csv
                | RequestFormat::Parquet
                | RequestFormat::None,
            ) => Text::None,
            (Shows::Handshakes, _) => Text::Handshakes(HandshakeText::new(time(), false)),
            (Shows::Requests(columns), _) => {
                Text::Requests(RequestText::new(time(), columns.clone(), false))
            }
            (Shows::Connections, _) => Text::Connections(ConnectionText::new(time(), false)),
            (Shows::Records(_) | Shows::Report, _) => Text::None,
        };
        let has_findings = match &config.shows {
            Shows::Records(kinds) => kinds.contains(&KindChoice::Finding),
            Shows::Report => true,
            Shows::Handshakes | Shows::Requests(_) | Shows::Connections => false,
        };
        AgentView {
            target: Target::to(target_format(config.format), sink),
            text,
            report: has_findings.then(Report::default),
            first_packet: None,
            file: config.output.as_deref().and_then(identity),
            config,
        }
    }

    /// Whether it could go on as another configuration says: the same lines to the same place.
    pub(crate) fn can_become(&self, config: &ViewConfig) -> bool {
        let ViewConfig {
            name: _,
            shows,
            format,
            output,
            rotate,
            time,
            compat,
            stats_interval,
            which: _,
        } = &self.config;
        *shows == config.shows
            && *format == config.format
            && *output == config.output
            && *rotate == config.rotate
            && *time == config.time
            && *compat == config.compat
            && *stats_interval == config.stats_interval
    }

    /// Goes on as another configuration that it [can become](Self::can_become).
    pub(crate) fn become_like(&mut self, config: ViewConfig, all: &AgentConfig) {
        if let Text::Tcprt(tcprt) = &mut self.text {
            tcprt.set_peer_ports(peer_ports(all));
        }
        if let Text::TcprtStats(stats) = &mut self.text {
            stats.set_ports(server_ports(all), peer_ports(all));
        }
        self.config = config;
    }

    /// Whether its file was moved away or removed, as logrotate does. Files of a series are never.
    pub(crate) fn is_moved(&self) -> bool {
        let path = self.config.output.as_deref();
        self.config.rotate.is_none() && path.is_some_and(|path| identity(path) != self.file)
    }

    /// Zero of relative times.
    pub(crate) fn first_packet(&mut self, at: Timestamp) {
        self.first_packet = Some(at);
        match &mut self.text {
            Text::Handshakes(text) => text.set_origin(at),
            Text::Requests(text) => text.set_origin(at),
            Text::Connections(text) => text.set_origin(at),
            Text::Tcprt(_) | Text::TcprtStats(_) | Text::None => {}
        }
    }

    /// What was counted so far.
    pub(crate) fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        let prints = self.prints(KindChoice::Health);
        match &mut self.target {
            Target::Machine(writer) if prints => writer.write(health),
            Target::Text(_) | Target::Machine(_) | Target::None => Ok(()),
        }
    }

    /// Whether a finding is one of its own.
    pub(crate) fn takes_finding(&self, finding: &Finding) -> bool {
        self.prints(KindChoice::Finding) && self.config.which.takes_finding(finding)
    }

    /// Shows a finding that it [`takes`](Self::takes_finding): of what is abnormal now, not of the end.
    pub(crate) fn finding(&mut self, finding: &Finding) -> Result<(), SinkEnd> {
        match &mut self.target {
            Target::Machine(writer) => {
                writer.write(finding)?;
                // Who watches waits for it.
                self.target.hand_over()
            }
            Target::Text(_) | Target::None => Ok(()),
        }
    }

    /// Time has gone on so far.
    pub(crate) fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        let Text::TcprtStats(stats) = &mut self.text else {
            return Ok(());
        };
        match (stats.clock(at), &mut self.target) {
            (Some(text), Target::Text(lines)) => {
                lines.write(Some(at), |out| out.extend_from_slice(text.as_bytes()))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Waits for its destination, but not for ever.
    pub(crate) fn settle(&mut self) -> Result<(), SinkEnd> {
        self.target.settle()
    }

    /// Lines that its destination did not take.
    pub(crate) fn dropped(&self) -> u64 {
        self.target.dropped()
    }

    /// Whether a record is one of its own.
    pub(crate) fn takes(&self, record: &Record<'_>) -> bool {
        let which = &self.config.which;
        let (kind, takes) = match record {
            Record::Handshake(handshake) => {
                (KindChoice::Handshake, which.takes_handshake(handshake))
            }
            Record::Request(request, _) => (KindChoice::Request, which.takes_request(request)),
            Record::Connection(connection) => {
                (KindChoice::Connection, which.takes_connection(connection))
            }
        };
        let is_shown = self.prints(kind) || self.report.is_some();
        takes && (is_shown || matches!(self.text, Text::Tcprt(_)))
    }

    /// Shows a record that it [`takes`](Self::takes).
    pub(crate) fn show(&mut self, record: &Record<'_>) -> Result<(), SinkEnd> {
        let any = match record {
            Record::Handshake(handshake) => AnyRecord::Handshake(handshake),
            Record::Request(_, reference) => *reference,
            Record::Connection(connection) => AnyRecord::Connection(connection),
        };
        if let Some(report) = &mut self.report
            && !any.is_joined()
        {
            report.add(any);
        }
        match record {
            Record::Handshake(handshake) => self.handshake(handshake),
            Record::Request(request, _) => self.request(request),
            Record::Connection(connection) => self.connection(connection),
        }
    }

    fn handshake(&mut self, handshake: &Handshake) -> Result<(), SinkEnd> {
        let prints = self.prints(KindChoice::Handshake);
        match (&mut self.target, &mut self.text) {
            (_, Text::Tcprt(tcprt)) => {
                tcprt.handshake(handshake);
                Ok(())
            }
            (Target::Text(lines), Text::Handshakes(text)) => {
                lines.write_headed(Some(handshake.time), |is_new, out| {
                    if is_new {
                        text.begin_again();
                    }
                    text.encode(handshake, out);
                })
            }
            (Target::Machine(writer), _) if prints => writer.write(handshake),
            (Target::Text(_) | Target::Machine(_) | Target::None, _) => Ok(()),
        }
    }

    fn request(&mut self, request: &Request<'_>) -> Result<(), SinkEnd> {
        let prints = self.prints(KindChoice::Request);
        match (&mut self.target, &mut self.text) {
            (Target::Text(lines), Text::Requests(text)) => {
                lines.write(Some(request.time), |out| text.encode(request, out))
            }
            (_, Text::TcprtStats(stats)) => {
                stats.request(request);
                Ok(())
            }
            (Target::Text(lines), Text::Tcprt(tcprt)) => lines.write(Some(request.time), |out| {
                with_string(out, |line| tcprt.request(request, line));
            }),
            (Target::Machine(writer), _) if prints => writer.write(request),
            (Target::Text(_) | Target::Machine(_) | Target::None, _) => Ok(()),
        }
    }

    fn connection(&mut self, connection: &Connection) -> Result<(), SinkEnd> {
        let prints = self.prints(KindChoice::Connection);
        match (&mut self.target, &mut self.text) {
            (Target::Text(lines), Text::Connections(text)) => {
                lines.write_headed(Some(connection.time), |is_new, out| {
                    if is_new {
                        text.begin_again();
                    }
                    text.encode(connection, out);
                })
            }
            (Target::Text(lines), Text::Tcprt(tcprt)) => {
                lines.write(Some(connection.time), |out| {
                    with_string(out, |line| tcprt.connection(connection, line));
                })
            }
            (Target::Machine(writer), _) if prints => writer.write(connection),
            (Target::Text(_) | Target::Machine(_) | Target::None, _) => Ok(()),
        }
    }

    /// Hands over what there is: whoever reads a log wants to see it.
    pub(crate) fn idle(&mut self) -> Result<(), SinkEnd> {
        self.target.hand_over()
    }

    /// Writes what comes at the end, where that is known, and ends the file.
    pub(crate) fn finish(mut self, end: Option<&Ending<'_>>) -> Result<(), SinkEnd> {
        if let Some(end) = end {
            self.write_end(end)?;
        }
        self.target.finish()
    }

    fn write_end(&mut self, end: &Ending<'_>) -> Result<(), SinkEnd> {
        let health = self.prints(KindChoice::Health) || self.config.shows == Shows::Report;
        let findings = self.report.as_ref().map(|report| report.finish(end.health));
        match (&mut self.target, &self.report) {
            (Target::Text(lines), Some(report)) => {
                let Some(findings) = &findings else {
                    return Ok(());
                };
                let options = ReportOptions {
                    width: COLUMNS,
                    color: false,
                    sources: end.sources,
                    is_live: end.health.vantage == Vantage::Wire,
                    is_kernel: end.health.vantage == Vantage::Kernel,
                    first_packet: self.first_packet,
                    ..ReportOptions::plain(TimeFormat::new(self.config.time))
                };
                let text = render(report, findings, end.health, options);
                lines.write(None, |out| out.extend_from_slice(text.as_bytes()))
            }
            (Target::Machine(writer), _) => {
                for finding in findings.iter().flat_map(|findings| &findings.findings) {
                    writer.write(finding)?;
                }
                match health {
                    true => writer.write(end.health),
                    false => Ok(()),
                }
            }
            (Target::Text(_) | Target::None, _) => Ok(()),
        }
    }

    fn prints(&self, kind: KindChoice) -> bool {
        match &self.config.shows {
            Shows::Records(kinds) => kinds.contains(&kind),
            Shows::Handshakes => kind == KindChoice::Handshake,
            Shows::Requests(_) => kind == KindChoice::Request,
            Shows::Connections => kind == KindChoice::Connection,
            Shows::Report => false,
        }
    }
}

/// What is known at the end.
pub(crate) struct Ending<'e> {
    /// What the observation saw and lost.
    pub health: &'e Health,
    /// What it looked at.
    pub sources: &'e [String],
}

/// Requests there are P lines.
fn peer_ports(all: &AgentConfig) -> Vec<(u16, u16)> {
    ports_of(all, Role::Peer)
}

fn server_ports(all: &AgentConfig) -> Vec<(u16, u16)> {
    ports_of(all, Role::Server)
}

fn ports_of(all: &AgentConfig, role: Role) -> Vec<(u16, u16)> {
    let rules = all.ports.iter().filter(|rule| rule.role == role);
    rules.flat_map(|rule| rule.ports.clone()).collect()
}

/// Whether HTTP was asked for by name: its lines are V7.
fn speaks_http(all: &AgentConfig) -> bool {
    let named = all.ports.iter().flat_map(|rule| &rule.protocols);
    let http = tcplens_core::record::Protocol::Http;
    named
        .chain(&all.protocols)
        .any(|protocol| *protocol == http)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
