//! `report` as text for a terminal: what is wrong first, then plots, then the tables behind it, then what the observation lost. Not
//! the judgment itself: that is `tcplens_core::view`. Findings for machines go through `jsonl`.

mod compare;
mod foot;
pub(crate) mod heat;
mod plots;
pub(crate) mod prose;
mod requests;
pub(crate) mod scale;
pub(crate) mod show;
mod tables;

pub use compare::{ComparedSide, render_comparison};

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use tcplens_core::record::{Finding, Health, Suspect, Word};
use tcplens_core::time::Timestamp;
use tcplens_core::view::{Findings, Report};

use crate::color::Paint;
use crate::glyphs::Glyphs;
use crate::hosts::Hosts;
use crate::human::{Bytes, Count, Duration};
use crate::shell::quoted;
use crate::time_style::{TimeFormat, TimeStyle};
use show::is_stream;

/// How to print a report.
#[derive(Debug)]
pub struct ReportOptions<'a> {
    /// Columns of the terminal; prose is wrapped there and plots fit (at least 60), tables are as wide as they must be.
    pub width: usize,
    /// What plots are drawn with, and whether other text is more than ASCII.
    pub glyphs: Glyphs,
    /// Whether to colour.
    pub color: bool,
    /// How to print the time span. Tables count seconds from the first packet; findings are in UTC.
    pub time: TimeFormat,
    /// The files or interfaces, as the user named them.
    pub sources: &'a [String],
    /// They are interfaces.
    pub is_live: bool,
    /// It is the kernel that told.
    pub is_kernel: bool,
    /// The expression that selects packets, as the user wrote it.
    pub filter: Option<&'a str>,
    /// The network namespace that they are in.
    pub netns: Option<&'a str>,
    /// Time of the first packet; without it the earliest record's.
    pub first_packet: Option<Timestamp>,
    /// Rows of each table, at most.
    pub rows: usize,
    /// Findings, at most.
    pub findings: usize,
    /// How to show addresses.
    pub hosts: Hosts,
}

impl ReportOptions<'_> {
    /// 100 columns, Unicode, no colour, 10 rows, 20 findings.
    #[must_use]
    pub fn plain(time: TimeFormat) -> Self {
        Self {
            width: 100,
            glyphs: Glyphs::Unicode,
            color: false,
            time,
            sources: &[],
            is_live: false,
            is_kernel: false,
            filter: None,
            netns: None,
            first_packet: None,
            rows: 10,
            findings: 20,
            hosts: Hosts::default(),
        }
    }
}

/// The report as text.
#[must_use]
pub fn render(
    report: &Report,
    findings: &Findings,
    health: &Health,
    mut options: ReportOptions<'_>,
) -> String {
    if options.is_kernel {
        // It tells of what has begun before the first that it told.
        options.first_packet = None;
    }
    let mut page = Page {
        text: String::new(),
        options,
        start: TimeFormat::new(TimeStyle::Relative),
    };
    page.head(report, health);
    if report.first().is_some() || !findings.findings.is_empty() {
        page.findings(findings);
    } else {
        page.text
            .push_str("\nNo TCP connection seen, and no request.\n");
    }
    plots::print(&mut page, report);
    tables::print(&mut page, report);
    foot::print(&mut page, report, health);
    page.options.glyphs.fit(&page.text).into_owned()
}

/// What has been printed so far, and how.
struct Page<'a> {
    text: String,
    options: ReportOptions<'a>,
    /// For tables: a date in every row would take the room of two columns.
    start: TimeFormat,
}

impl Page<'_> {
    fn head(&mut self, report: &Report, health: &Health) {
        let sources = self.options.sources.join(", ");
        if !sources.is_empty() {
            let line = printable(&sources);
            self.painted(Paint::Bold, &line);
            self.text.push_str(": ");
        }
        let mut line = match health.kernel_events {
            Some(events) => format!("{} events", Count(events)),
            None => format!("{} packets, {}", Count(health.packets), Bytes(health.bytes)),
        };
        let first = self.options.first_packet.or(report.first());
        if let (Some(first), Some(last)) = (first, health.time) {
            self.options.time.set_origin(first);
            self.start.set_origin(first);
            if let Some(span) = last.since(first) {
                let _ = write!(line, ", {}", Duration(span));
            }
            line.push_str(", from ");
            self.options.time.write(&mut line, first);
            line.push_str(" to ");
            self.options.time.write(&mut line, last);
        }
        let totals = report.totals();
        let _ = write!(
            line,
            "; {}, {}, {}{}.",
            things(report.handshakes().attempts(), "connection attempt"),
            match report.requests().all().requests() {
                0 => things(totals.connections, "connection"),
                n => format!(
                    "{}, {}",
                    things(totals.connections, "connection"),
                    things(n, "request")
                ),
            },
            things(report.server_count(), "server"),
            match report.clients().len() as u64 {
                // Whoever sends datagrams is not counted.
                0 if report.server_count() > 0 => String::new(),
                clients => format!(", {}", things(clients, "client")),
            }
        );
        self.prose("", &line);
    }

    fn findings(&mut self, findings: &Findings) {
        let shown = findings.findings.len().min(self.options.findings);
        let more = findings.findings.len() - shown;
        self.text.push('\n');
        if findings.findings.is_empty() {
            match &findings.below {
                Some(below) => {
                    self.painted(Paint::Green, "Nothing found that is called wrong.");
                    self.text.push('\n');
                    let below = self.options.hosts.sentence(below).into_owned();
                    self.prose("", &below);
                }
                None => {
                    self.painted(Paint::Green, "Nothing wrong found.");
                    self.text.push('\n');
                }
            }
            self.prose("", &format!("Checked: {}", findings.checked));
            return;
        }
        self.painted(Paint::Bold, "What is wrong");
        self.text.push_str(" (the worst first)\n");
        if self.options.sources.iter().any(|source| is_stream(source)) {
            self.prose(
                "",
                "What was read cannot be read again: to run what follows \"show:\", save it, and name the file instead of FILE.",
            );
        }
        self.overview(&findings.findings[..shown]);
        let digits = shown.to_string().len();
        let shown = &findings.findings[..shown];
        let mut is_told = vec![false; shown.len()];
        for (n, finding) in shown.iter().enumerate() {
            if is_told[n] {
                continue;
            }
            self.finding(finding, digits);
            let mut alike = Vec::new();
            for (other, is_told) in shown.iter().zip(&mut is_told).skip(n + 1) {
                if let Some(place) = where_else(finding, other).filter(|_| !*is_told) {
                    *is_told = true;
                    alike.push((place, other));
                }
            }
            self.alike(&alike, digits);
        }
        let hidden = more as u64 + findings.left_out;
        if hidden > 0 {
            let _ = writeln!(self.text, "... and {} more.", Count(hidden));
        }
    }

    /// All of them in a line or two, for most are below the first screen: each, or how many of each kind.
    fn overview(&mut self, findings: &[Finding]) {
        let mut kinds: Vec<(&str, Vec<u64>)> = Vec::new();
        for finding in findings {
            match kinds.iter_mut().find(|(code, _)| *code == finding.code) {
                Some((_, ranks)) => ranks.push(finding.rank),
                None => kinds.push((finding.code, vec![finding.rank])),
            }
        }
        let kinds = kinds.into_iter().map(|(code, ranks)| match ranks[..] {
            [rank] => format!("{rank} {code}"),
            [first, ..] => format!("{first} {code} (and {} more)", ranks.len() - 1),
            [] => String::new(),
        });
        if findings.len() > 1 {
            self.prose("", &format!("{}.", kinds.collect::<Vec<_>>().join(", ")));
        }
    }

    fn finding(&mut self, finding: &Finding, digits: usize) {
        let indent = " ".repeat(digits + 2);
        let paint = match finding.suspect {
            Suspect::Capture => Paint::Yellow,
            Suspect::Client | Suspect::Network | Suspect::Server => Paint::Red,
        };
        let _ = write!(self.text, "\n{:>digits$}. ", finding.rank);
        self.painted(paint, finding.code);
        let _ = writeln!(
            self.text,
            ", suspect: {}",
            finding.suspect.word().unwrap_or_default()
        );
        let hosts = self.options.hosts.clone();
        for text in [&finding.text, &finding.evidence] {
            let text = text.as_deref().unwrap_or_default();
            self.prose(&indent, &hosts.sentence(text));
        }
        if let Some(advice) = &finding.advice {
            self.prose(&indent, &format!("next: {}", hosts.sentence(advice)));
        }
        self.show(&indent, finding);
    }

    /// What is the same elsewhere: where, and the numbers behind it.
    fn alike(&mut self, alike: &[(&str, &Finding)], digits: usize) {
        if alike.is_empty() {
            return;
        }
        let indent = " ".repeat(digits + 2);
        let line = format!("{indent}the same elsewhere:\n");
        self.text.push_str(&line);
        let hosts = self.options.hosts.clone();
        for (place, finding) in alike {
            let evidence = finding.evidence.as_deref().unwrap_or_default();
            let mut line = format!("{place}: {}", evidence.trim_end_matches('.'));
            if let Some(first) = finding.frames.first() {
                let _ = write!(line, "; packet {first}");
            }
            let _ = write!(self.text, "{indent}{:>digits$}. ", finding.rank);
            self.prose(
                &" ".repeat(2 * (digits + 2)),
                &hosts.sentence(&format!("{line}.")),
            );
        }
    }

    /// The command that shows it, on a line of its own to be copied, and the packets to look at.
    fn show(&mut self, indent: &str, finding: &Finding) {
        let (command, options) = show::command(finding.code);
        let mut line = format!("{indent}show: tcplens {command}");
        if self.options.is_kernel {
            line.push_str(" -k");
        }
        let sources = self.options.sources.iter();
        let mut from = String::new();
        for source in sources.filter(|_| !self.options.is_kernel) {
            let source = if is_stream(source) {
                "FILE".to_owned()
            } else {
                quoted(source)
            };
            let option = if self.options.is_live { "-i" } else { "-r" };
            let _ = write!(from, " {option} {source}");
        }
        line.push_str(&from);
        if let Some(name) = self.options.netns {
            let _ = write!(line, " --netns {}", quoted(name));
        }
        line.push_str(options);
        if let Some(filter) = &finding.filter {
            // What concerns everything concerns what the user selected.
            let filter = match (filter.as_str(), self.options.filter) {
                ("tcp", Some(own)) => own,
                (filter, _) => filter,
            };
            let _ = write!(line, " '{}'", filter.replace('\'', "'\\''"));
        }
        line = printable(&line);
        self.painted(Paint::Dim, &line);
        self.text.push('\n');
        if let Some(first) = finding.frames.first() {
            let frames: Vec<_> = finding.frames.iter().map(u64::to_string).collect();
            let line = format!("{indent}first packets: {}", frames.join(", "));
            self.painted(Paint::Dim, &line);
            self.text.push('\n');
            // Of UDP there is no connection to explain.
            let is_dns = (finding.filter.iter()).any(|filter| filter.ends_with(" port 53"));
            if !self.options.is_live && !from.is_empty() && !is_dns {
                let line = format!("{indent}explain: tcplens explain {first}{from}");
                self.painted(Paint::Dim, &printable(&line));
                self.text.push('\n');
            }
        }
    }

    fn painted(&mut self, paint: Paint, text: &str) {
        let (before, after) = if self.options.color {
            paint.sequences()
        } else {
            ("", "")
        };
        let _ = write!(self.text, "{before}{text}{after}");
    }

    /// The heading of a table, after an empty line.
    fn heading(&mut self, title: &str, note: &str) {
        self.text.push('\n');
        self.painted(Paint::Bold, title);
        self.text.push('\n');
        if !note.is_empty() {
            self.prose("", note);
        }
    }

    fn prose(&mut self, indent: &str, text: &str) {
        // What is on the line already: a painted beginning, without its escape sequences.
        let width = self.width();
        let begun = self.text.rsplit('\n').next().map_or(0, prose::columns);
        prose::wrap(&mut self.text, begun, indent, &printable(text), width);
    }

    /// Columns of prose and plots.
    fn width(&self) -> usize {
        self.options.width.max(60)
    }

    fn glyph(&self, unicode: char, ascii: char) -> char {
        match self.options.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }
}

/// Where `other` is, if it says of one other place what `finding` says: their sentences differ in addresses of one host.
fn where_else<'f>(finding: &Finding, other: &'f Finding) -> Option<&'f str> {
    let kind = |it: &Finding| (it.code, it.suspect);
    if kind(finding) != kind(other) || finding.advice != other.advice || other.evidence.is_none() {
        return None;
    }
    let (text, others) = (finding.text.as_deref()?, other.text.as_deref()?);
    if text.split(' ').count() != others.split(' ').count() {
        return None;
    }
    let words = text.split(' ').zip(others.split(' '));
    let mut different = words.filter(|(one, other)| one != other);
    let (here, there) = different.next()?;
    let places = (address(here)?, address(there)?);
    let is_alike = different
        .all(|(one, other)| (address(one), address(other)) == (Some(places.0), Some(places.1)));
    is_alike.then_some(there)
}

/// The address that a word of a sentence is, with or without a port.
fn address(word: &str) -> Option<IpAddr> {
    let word = word.trim_matches(['(', ')', ',', ';', '.']);
    let with_port = word.parse().map(|address: SocketAddr| address.ip());
    with_port.or_else(|_| word.parse()).ok()
}

/// `1 server`, `1,200 servers`.
fn things(count: u64, one: &str) -> String {
    format!(
        "{} {one}{}",
        Count(count),
        if count == 1 { "" } else { "s" }
    )
}

/// Without control characters, which may come from a file name.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
