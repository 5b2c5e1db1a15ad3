//! `requests`: a line per request and its response (tcpkit, TCP-RT), and what they amount to at the end.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Health, Protocol, Request, Status, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::RequestSummary;
use tcplens_core::view::requests::{is_slow, latency};
use tcplens_output::SinkEnd;
use tcplens_output::hosts::Hosts;
use tcplens_output::tcpkit::{self, TcpkitExtra, TcpkitShape};
use tcplens_output::tcprt::Tcprt;
use tcplens_output::text::{RequestEnd, RequestText, histograms, summary};
use tcplens_output::time_style::TimeFormat;

use self::slow::SlowRequests;
use self::stats::IntervalStats;
use super::lines::Target;
use super::{Prints, Wanted, plan, tell};
use crate::cli::{Format, ProtocolChoice, RequestFormat, Requests, StatusChoice, Which};
use crate::names::{self, Known};
use crate::observe::{View, observe};
use crate::say::{print, say};
use crate::status::usage;
use crate::{sources, status};

mod raw;
mod slow;
pub(crate) mod stats;

pub(super) fn run(command: &Requests) -> Result<ExitCode> {
    check(command)?;
    if command.which.protocols.contains(&ProtocolChoice::Raw) {
        return raw::run(command);
    }
    let common = &command.common;
    let output = &common.output;
    let words = sources::sort(common, false)?;
    let mut slow = match &command.save_slow {
        Some(directory) => Some(SlowRequests::new(directory, &words.files, &common.source)?),
        None => None,
    };
    let is_tcprt = command.format == RequestFormat::Tcprt;
    let is_stats = command.format == RequestFormat::TcprtStats;
    let interval = command.stats_interval.or(is_stats.then_some(STATS));
    let counts_packets = command.stats_format == Some(TcpkitShape::Tcpkit1);
    let wanted = Wanted {
        handshakes: is_tcprt,
        requests: true,
        connections: is_tcprt || counts_packets,
    };
    let format = target_format(command.format);
    let prints = match command.stats_format {
        Some(_) => Prints::AtEnd,
        None => Prints::of(format),
    };
    let mut plan = plan(common, words, wanted, prints)?;
    // What `-c` counts.
    plan.counted = Wanted {
        requests: true,
        ..Wanted::default()
    };
    plan.slow_from = command.which.slower_than;
    let known = Known::open(&command.naming, plan.live.is_some())?;
    plan.named(known.as_ref());
    let hosts = names::hosts(known.as_ref());
    plan.settings.protocols = ProtocolChoice::protocols(&command.which.protocols);
    plan.settings.summary_bytes = usize::try_from(command.summary_bytes).unwrap_or(usize::MAX);
    if let (Some(live), true) = (&mut plan.live, names_protocols(&command.which)) {
        live.peeks(&ProtocolChoice::protocols(&command.which.protocols));
    }
    let files = plan.files.clone();
    if slow.is_some() && plan.live.is_some() {
        return Err(usage(
            "--save-slow reads the packets of slow requests again, which live ones cannot be; save all with -w FILE, and \
             then: tcplens requests FILE --save-slow DIR",
        ));
    }
    if let Some(slow) = &mut slow {
        slow.stop_at(&plan.stop);
    }
    if let (Format::Parquet, Some(live)) = (format, &mut plan.live) {
        live.finishes(output, false)?;
    }
    let mut target = Target::open(format, output, plan.live.is_some())?;
    target.expect::<Request<'_>>()?;
    let color = target.is_colored(output);
    let columns = command.columns.clone();
    let mut view = RequestView {
        text: RequestText::new(TimeFormat::new(output.time), columns, color)
            .with_hosts(hosts.clone()),
        hosts,
        stats: interval.map(|interval| {
            let who = &common.who;
            IntervalStats::new(who.ports.clone(), who.peer_ports.clone(), interval)
        }),
        tcprt: is_tcprt.then(|| {
            let peer_ports = common.who.peer_ports.clone();
            Tcprt::new(peer_ports, names_http(&command.which)).compatible(command.compat)
        }),
        target,
        choice: Choice::new(&command.which),
        summary: RequestSummary::new(command.which.slower_than),
        // Quiet text is the summary only; TCP-RT's lines are for programs.
        has_lines: (is_tcprt || !output.quiet) && command.stats_format.is_none() && !is_stats,
        printed: 0,
        judged_by_first_byte: 0,
        packets: [0; 2],
        slow,
    };
    let observed = observe(plan, &mut view)?;
    names::may_wait(known.as_ref());
    let saved = match view.slow.take() {
        Some(slow) if !observed.reader_gone => Some(slow.save(&files)?),
        _ => None,
    };
    let unmet = view.choice.unmet();
    if !observed.reader_gone {
        view.finish(command, &observed.health, color)?;
        unmet.iter().for_each(say);
    }
    if let (Some(saved), false) = (saved, output.quiet) {
        say(saved);
    }
    tell(common, &observed.health);
    names::tell(known.as_ref(), &common.output);
    Ok(status::of_run(&observed))
}

/// TCP-RT's own interval.
pub(crate) const STATS: Span = Span::from_ns(60 * SECOND as u64);

/// Refuses what makes no sense together.
fn check(command: &Requests) -> Result<()> {
    let protocols = &command.which.protocols;
    let is_raw = protocols.contains(&ProtocolChoice::Raw);
    if is_raw && protocols.len() > 1 {
        return Err(usage(
            "-m raw prints packets, the other protocols requests; name either raw or the others",
        ));
    }
    if is_raw && command.common.kernel.kernel {
        return Err(usage(
            "-m raw prints packets, which -k (--kernel) does not have; write -i any -m raw",
        ));
    }
    if command.payload && !is_raw {
        return Err(usage(
            "-A prints the payload of packets; write -m raw -A (requests have their text cut at --summary-bytes)",
        ));
    }
    if command.stats_format.is_some() && command.format != RequestFormat::Text {
        return Err(usage(
            "--stats-format prints one document instead of lines; leave -f out",
        ));
    }
    let is_tcprt = matches!(
        command.format,
        RequestFormat::Tcprt | RequestFormat::TcprtStats
    );
    if command.stats_interval.is_some() && !is_tcprt {
        return Err(usage(
            "--stats-interval is about TCP-RT's statistics; write -f tcprt (among its lines) or -f tcprt-stats (alone)",
        ));
    }
    if command.compat && command.format != RequestFormat::Tcprt {
        return Err(usage(
            "--compat is about TCP-RT's lines; write -f tcprt, or leave it out",
        ));
    }
    if command.stats_format.is_some() && command.histogram {
        return Err(usage(
            "--stats-format prints one document, which has the buckets; leave --histogram out",
        ));
    }
    let has_lines = command.format == RequestFormat::Text && command.stats_format.is_none();
    if !command.columns.is_empty() && !has_lines {
        return Err(usage(
            "--columns is about lines of text; leave -f and --stats-format out, or --columns: jsonl and csv have every field",
        ));
    }
    Ok(())
}

/// Where lines go; TCP-RT's are text.
pub(crate) fn target_format(format: RequestFormat) -> Format {
    match format {
        RequestFormat::Text | RequestFormat::Tcprt | RequestFormat::TcprtStats => Format::Text,
        RequestFormat::Jsonl => Format::Jsonl,
        RequestFormat::Csv => Format::Csv,
        RequestFormat::Parquet => Format::Parquet,
        RequestFormat::None => Format::None,
    }
}

/// Whether something is to be made of payload, which the kernel copies only then.
fn names_protocols(which: &Which) -> bool {
    which.names_protocols && ProtocolChoice::looks_at_payload(&which.protocols)
}

fn names_http(which: &Which) -> bool {
    let http = ProtocolChoice::One(Protocol::Http);
    which.protocols.contains(&http)
}

/// Which requests count, and which of these are printed.
struct Choice<'c> {
    which: &'c Which,
    protocols: Vec<Protocol>,
    /// Of `--status`: words that may be misspelt, for no request had them yet.
    unmet: Vec<&'c StatusChoice>,
    /// Requests that do not count.
    left_out: u64,
}

impl Choice<'_> {
    fn new(which: &Which) -> Choice<'_> {
        let words = which.status.iter();
        Choice {
            which,
            protocols: ProtocolChoice::protocols(&which.protocols),
            unmet: words.filter(|status| status.guess().is_some()).collect(),
            left_out: 0,
        }
    }

    /// The options that leave requests out.
    fn options(&self) -> Vec<&'static str> {
        let which = self.which;
        let given = [
            (!self.protocols.is_empty(), "-m"),
            (!which.operation.is_empty(), "--operation"),
            (!which.status.is_empty(), "--status"),
            (which.request_bytes.is_some(), "--request-bytes"),
            (which.response_bytes.is_some(), "--response-bytes"),
            (which.grep.is_some(), "--grep"),
        ];
        let given = given.into_iter().filter(|(is_given, _)| *is_given);
        given.map(|(_, option)| option).collect()
    }

    /// What to say of words that no request had.
    fn unmet(&self) -> Option<String> {
        let mut words: Vec<_> = self.unmet.iter().filter_map(|word| word.guess()).collect();
        words.sort_unstable();
        words.dedup();
        let known: Vec<_> = Status::ALL
            .iter()
            .filter_map(|known| known.word())
            .collect();
        (!words.is_empty()).then(|| {
            format!(
                "no request had the status {}; known words are {}, others the first of what is answered, such as NXDOMAIN",
                words.join(" or "),
                known.join(", ")
            )
        })
    }

    fn counts(&mut self, request: &Request<'_>) -> bool {
        let counts = self.is_chosen(request);
        self.left_out += u64::from(!counts);
        counts
    }

    fn is_chosen(&mut self, request: &Request<'_>) -> bool {
        // Before all else: a request that something else leaves out had it, too.
        self.unmet.retain(|status| !status.fits(request));
        let Which {
            operation,
            request_bytes,
            response_bytes,
            status,
            grep,
            ..
        } = self.which;
        let is_within = |range: &Option<(u64, u64)>, bytes| {
            range.is_none_or(|(low, high)| (low..=high).contains(&bytes))
        };
        let is_named = |operation: &String| {
            let own = request.operation.unwrap_or_default();
            operation.eq_ignore_ascii_case(own)
        };
        let text = request.summary.or(request.operation).unwrap_or_default();
        (self.protocols.is_empty() || self.protocols.contains(&request.protocol))
            && (status.is_empty() || status.iter().any(|status| status.fits(request)))
            && (operation.is_empty() || operation.iter().any(is_named))
            && is_within(request_bytes, request.request_bytes)
            && is_within(response_bytes, request.response_bytes)
            && grep.as_ref().is_none_or(|pattern| {
                let in_status = |status: String| pattern.is_match(&status);
                pattern.is_match(text) || status_words(request).is_some_and(in_status)
            })
    }

    /// A threshold of zero is none.
    fn prints(&self, request: &Request<'_>) -> bool {
        match self.which.slower_than {
            Some(from) if from > Span::default() => is_slow(request, Some(from)),
            _ => true,
        }
    }
}

/// `404 Not Found`, `3 NXDOMAIN`: as lines show it.
fn status_words(request: &Request<'_>) -> Option<String> {
    let code = request.status_code.map(|code| code.to_string());
    let parts = [code.as_deref(), request.status_text];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

struct RequestView<'c> {
    target: Target,
    text: RequestText,
    hosts: Hosts,
    tcprt: Option<Tcprt>,
    stats: Option<IntervalStats>,
    choice: Choice<'c>,
    summary: RequestSummary,
    has_lines: bool,
    /// Requests that had a line or a record.
    printed: u64,
    /// Of these, found slow by the time until the first byte of a response that has no end.
    judged_by_first_byte: u64,
    /// Segments with data to and from servers, for tcpkit's statistics.
    packets: [u64; 2],
    slow: Option<SlowRequests>,
}

impl RequestView<'_> {
    fn request(&mut self, request: &Request<'_>) -> Result<(), SinkEnd> {
        self.printed += 1;
        if request.total_us.is_none() && latency(request).is_some() {
            self.judged_by_first_byte += 1;
        }
        let (text, tcprt) = (&mut self.text, &mut self.tcprt);
        match &mut self.target {
            Target::Text(lines) if self.has_lines => {
                lines.write(Some(request.time), |out| match tcprt {
                    Some(tcprt) => with_string(out, |line| tcprt.request(request, line)),
                    None => text.encode(request, out),
                })
            }
            Target::Machine(writer) => writer.write(request),
            Target::Text(_) | Target::None => Ok(()),
        }
    }

    /// Lines of TCP-RT's statistics.
    fn statistics(&mut self, lines: &str) -> Result<(), SinkEnd> {
        match &mut self.target {
            Target::Text(target) => {
                target.write(None, |out| out.extend_from_slice(lines.as_bytes()))
            }
            Target::Machine(_) | Target::None => Ok(()),
        }
    }

    fn summary_text(&self, health: &Health, color: bool) -> Vec<u8> {
        let mut text = Vec::new();
        let unparsed = unparsed(health);
        let extra = RequestEnd {
            unparsed: &unparsed,
            holes: health.stream_gaps,
            color,
            hosts: self.hosts.clone(),
            left_out: self.choice.left_out,
            chosen_by: self.choice.options(),
        };
        summary(&self.summary, &extra, &mut text);
        text
    }

    /// The statistics, or the summary: after the lines of text, on stderr otherwise.
    fn finish(mut self, command: &Requests, health: &Health, color: bool) -> Result<(), SinkEnd> {
        let is_quiet = command.common.output.quiet;
        let has_threshold = self.summary.slow_from().is_some();
        if self.judged_by_first_byte > 0 && has_threshold && !is_quiet {
            say(format_args!(
                "{} slow requests have no full response: the time until its first byte was compared with -t",
                self.judged_by_first_byte
            ));
        }
        if let Some(shape) = command.stats_format {
            let extra = TcpkitExtra {
                ports: command.common.who.ports.clone(),
                drops: health.dropped(),
                // Of datagrams there are no connection records.
                packets: Some(self.packets).filter(|packets| *packets != [0; 2]),
                since: None,
            };
            let document = tcpkit::document(&self.summary, shape, &extra);
            if let Target::Text(lines) = &mut self.target {
                lines.write(None, |out| {
                    out.extend_from_slice(document.as_bytes());
                    out.push(b'\n');
                })?;
            }
            return self.target.finish();
        }
        let is_tcprt = self.tcprt.is_some() || self.stats.is_some();
        let is_text = matches!(self.target, Target::Text(_)) && !is_tcprt;
        if let Some(stats) = &mut self.stats {
            let lines = stats.finish();
            self.statistics(&lines)?;
        }
        let mut end = Vec::new();
        // Of text it is what -q leaves; of other formats what it leaves out.
        if is_text || !is_quiet {
            end = self.summary_text(health, color);
        }
        if command.histogram {
            histograms(&self.summary, &self.hosts, color, &mut end);
        }
        match &mut self.target {
            Target::Text(lines) if !is_tcprt => {
                let has_lines = self.has_lines && self.printed > 0;
                lines.write(None, |out| {
                    if has_lines {
                        out.push(b'\n');
                    }
                    out.extend_from_slice(&end);
                })?;
            }
            // What `--histogram` asks for is said also if nothing else is.
            _ => print(String::from_utf8_lossy(&end).trim_start_matches('\n')),
        }
        if let Some(forgotten) = self.tcprt.map(|tcprt| tcprt.forgotten).filter(|&n| n > 0) {
            say(format_args!(
                "{forgotten} connections have no E line: more were open at once than are remembered"
            ));
        }
        self.target.finish()
    }
}

/// Messages that no parser could read.
pub(crate) fn unparsed(health: &Health) -> Vec<(String, u64)> {
    let counts = health.unparsed_messages.iter();
    counts
        .map(|&(word, n)| (word.replace('.', " "), n))
        .collect()
}

/// Appends what `write` writes of text.
pub(crate) fn with_string(out: &mut Vec<u8>, write: impl FnOnce(&mut String)) {
    let mut line = String::new();
    write(&mut line);
    out.extend_from_slice(line.as_bytes());
}

impl View for RequestView<'_> {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        match record {
            AnyRecord::Request(reference) => {
                let request = reference.record();
                if !self.choice.counts(&request) {
                    return Ok(());
                }
                self.summary.add(&request);
                if let Some(stats) = &mut self.stats {
                    stats.request(&request);
                }
                if !self.choice.prints(&request) {
                    return Ok(());
                }
                if let Some(slow) = &mut self.slow {
                    slow.add(&request, &reference.row.flow);
                }
                self.request(&request)
            }
            AnyRecord::Connection(connection) => {
                let server = (connection.server_ip, connection.server_port);
                if connection.is_final && self.summary.server(server).is_some() {
                    self.packets[0] += connection.client.data_segments;
                    self.packets[1] += connection.server.data_segments;
                }
                match (&mut self.tcprt, &mut self.target) {
                    (Some(tcprt), Target::Text(lines)) if self.has_lines => {
                        lines.write(Some(connection.time), |out| {
                            with_string(out, |line| tcprt.connection(connection, line));
                        })
                    }
                    _ => Ok(()),
                }
            }
            AnyRecord::Handshake(handshake) => {
                if let Some(tcprt) = &mut self.tcprt {
                    tcprt.handshake(handshake);
                }
                Ok(())
            }
        }
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        match self.stats.as_mut().and_then(|stats| stats.clock(at)) {
            Some(lines) => self.statistics(&lines),
            None => Ok(()),
        }
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.text.set_origin(at);
    }

    fn summary(&mut self, health: &Health) {
        print(&String::from_utf8_lossy(&self.summary_text(health, false)));
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.target.idle()
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.target.reopen()
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.target.settle()
    }

    fn dropped(&self) -> u64 {
        self.target.dropped()
    }
}
