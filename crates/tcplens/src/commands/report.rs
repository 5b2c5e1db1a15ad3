//! `report`: what is wrong, ranked, with the tables behind it.

mod compare;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Finding, Health};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::explain::choice::Choice;
use tcplens_core::view::{self, Findings, PageView};
use tcplens_output::SinkEnd;
use tcplens_output::glyphs::Glyphs;
use tcplens_output::hosts::Hosts;
use tcplens_output::page::{self, About, Encoder, Stories};
use tcplens_output::report::{ReportOptions, render};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use super::lines::Target;
use super::{Prints, Wanted, no_format, plan, recognise, tell};
use crate::cli::{Format, Report};
use crate::names::{self, Known};
use crate::observe::{Plan, View, observe};
use crate::say::{print, say};
use crate::{sources, status};

pub(crate) mod html;
mod stories;

/// Columns where nothing tells how wide the reader's screen is.
const COLUMNS: usize = 100;

/// How long a report without a source looks at live packets.
const BARE: Span = Span::from_ns(10 * SECOND as u64);

pub(super) fn run(command: &Report) -> Result<ExitCode> {
    let common = &command.common;
    let output = &common.output;
    if let Format::Csv | Format::Parquet | Format::None = command.format {
        return Err(no_format("report", command.format, "write text or jsonl"));
    }
    if !command.compare.is_empty() {
        return compare::run(command);
    }
    let words = sources::sort(common, false)?;
    let page = command.html.as_deref();
    let is_page_only = page.is_some_and(|path| path.as_os_str() == "-");
    if let Some(path) = page.filter(|_| !is_page_only) {
        sources::check(&words.files, common.source.follow, [Some(path), None])?;
    }
    let files = words.files.iter().map(|file| file.display().to_string());
    let kernel = common.kernel.kernel.then(|| "the kernel".to_owned());
    let interfaces = words.interfaces.iter().cloned();
    let sources: Vec<_> = files.chain(interfaces).chain(kernel).collect();
    let wanted = Wanted {
        handshakes: true,
        requests: true,
        connections: true,
    };
    let is_bare =
        words.files.is_empty() && common.live.interface.is_empty() && !common.kernel.kernel;
    let filter = words.filter.as_ref().map(|filter| filter.text().to_owned());
    let mut plan = plan(common, words, wanted, Prints::AtEnd)?;
    recognise(&mut plan, &command.protocols);
    if is_bare && plan.duration.is_none() && plan.count.is_none() {
        plan.duration = Some(BARE);
        say("capturing on all interfaces for 10 s; -i and --duration choose others");
    }
    let known = match command.format {
        Format::Text => Known::open(&command.naming, plan.live.is_some())?,
        _ => None,
    };
    plan.named(known.as_ref());
    let is_live = plan.live.is_some();
    let mut target = match is_page_only && output.output.is_none() {
        // Standard output is the page's.
        true => Target::None,
        false => Target::open(command.format, output, is_live)?,
    };
    let page = page
        .map(|path| html::Html::open(path, is_live))
        .transpose()?;
    let mut view = ReportView {
        seen: match page {
            Some(_) => Observation::Page(Box::default()),
            None => Observation::Report(Box::default()),
        },
        choice: page.is_some().then(Choice::default),
        first_packet: None,
        time: output.time,
        glyphs: Glyphs::choose(output.ascii),
        sources,
        is_live,
        is_kernel: common.kernel.kernel,
        filter,
        netns: common.live.netns.clone(),
        hosts: names::hosts(known.as_ref()),
    };
    // A page tells of single connections, too, for which files are read once more.
    let again = (!is_live && page.is_some()).then(|| plan.again());
    let observed = observe(plan, &mut view)?;
    names::may_wait(known.as_ref());
    let findings = view.seen.report().finish(&observed.health);
    let color = target.is_colored(output);
    match &mut target {
        Target::Text(lines) => {
            let text = view.text(&findings, &observed.health, width(), color);
            lines.write(None, |out| out.extend_from_slice(text.as_bytes()))?;
        }
        Target::Machine(writer) => {
            for finding in &findings.findings {
                writer.write(finding)?;
            }
            writer.write(&observed.health)?;
        }
        Target::None => {}
    }
    target.finish()?;
    if let Some(page) = page {
        let stories = match again {
            Some(plan) if !can_be_read_again(&plan.files, common.source.follow) => told_once(),
            Some(plan) if plan.stop.load(Ordering::Relaxed) || observed.failure.is_some() => {
                Stories::default()
            }
            Some(plan) => view.stories(plan, &findings, common.source.keep_duplicates),
            None => told_once(),
        };
        if let Some(text) = view.page(&findings, &observed.health, &stories) {
            page.write(&text)?;
        }
    }
    tell(common, &observed.health);
    names::tell(known.as_ref(), &common.output);
    Ok(status::of_run(&observed))
}

fn told_once() -> Stories {
    Stories {
        missing: Some(stories::ONCE),
        ..Stories::default()
    }
}

/// Whether these are files that are there to be read once more.
fn can_be_read_again(files: &[PathBuf], follows: bool) -> bool {
    let is_file = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.is_file());
    !follows && files.iter().all(is_file)
}

/// Columns of the terminal that standard output is, if it is one.
pub(super) fn width() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map_or(COLUMNS, |(width, _)| usize::from(width.0))
}

/// What is kept of the records.
enum Observation {
    /// What the text says.
    Report(Box<view::Report>),
    /// That, and what a page shows.
    Page(Box<PageView>),
}

impl Observation {
    fn report(&self) -> &view::Report {
        match self {
            Observation::Report(report) => report,
            Observation::Page(page) => page.report(),
        }
    }
}

struct ReportView {
    seen: Observation,
    /// Which connection `explain` would tell of, where there is a page.
    choice: Option<Choice>,
    first_packet: Option<Timestamp>,
    time: TimeStyle,
    glyphs: Glyphs,
    /// Names of files or interfaces.
    sources: Vec<String>,
    is_live: bool,
    is_kernel: bool,
    /// The user's own.
    filter: Option<String>,
    netns: Option<String>,
    hosts: Hosts,
}

impl ReportView {
    fn text(&self, findings: &Findings, health: &Health, width: usize, color: bool) -> String {
        let options = ReportOptions {
            width,
            glyphs: self.glyphs,
            color,
            sources: &self.sources,
            is_live: self.is_live,
            is_kernel: self.is_kernel,
            filter: self.filter.as_deref(),
            netns: self.netns.as_deref(),
            first_packet: self.first_packet,
            hosts: self.hosts.clone(),
            ..ReportOptions::plain(TimeFormat::new(self.time))
        };
        render(self.seen.report(), findings, health, options)
    }

    /// The lives of a few connections. Where files cannot be read again, that is said.
    fn stories(&self, plan: Plan, findings: &Findings, keeps_duplicates: bool) -> Stories {
        let (Observation::Page(page), Some(choice)) = (&self.seen, &self.choice) else {
            return Stories::default();
        };
        let told = stories::tell(plan, page, findings, choice, keeps_duplicates);
        told.unwrap_or_else(|error| {
            say(format_args!(
                "the page tells of no single connection: {error:#}"
            ));
            Stories::default()
        })
    }

    /// The page, if one is asked for.
    fn page(&mut self, findings: &Findings, health: &Health, stories: &Stories) -> Option<String> {
        let Observation::Page(page) = &mut self.seen else {
            return None;
        };
        let about = About {
            sources: &self.sources,
            is_live: self.is_live,
            is_kernel: self.is_kernel,
            filter: self.filter.as_deref(),
            netns: self.netns.as_deref(),
            first: self.first_packet,
            run: None,
        };
        let (data, _) = Encoder::default().with_stories(stories).document(
            page,
            Some(findings),
            health,
            &about,
            0,
        );
        Some(page::file(&data))
    }
}

impl View for ReportView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        match &mut self.seen {
            Observation::Report(report) => report.add(record),
            Observation::Page(page) => page.add(record),
        }
        match (&mut self.choice, record) {
            (Some(choice), AnyRecord::Request(request)) => choice.request(&request.record()),
            (Some(choice), AnyRecord::Connection(connection)) => choice.connection(connection),
            _ => {}
        }
        Ok(())
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.first_packet = Some(at);
    }

    fn findings(&mut self, health: &Health) -> Vec<Finding> {
        self.seen.report().finish(health).findings
    }

    fn summary(&mut self, health: &Health) {
        let findings = self.seen.report().finish(health);
        print(&self.text(&findings, health, COLUMNS, false));
    }
}
