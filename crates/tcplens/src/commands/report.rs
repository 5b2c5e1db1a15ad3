//! `report`: what is wrong, ranked, with the tables behind it.

mod compare;

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Health;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::{self, Findings};
use tcplens_output::SinkEnd;
use tcplens_output::glyphs::Glyphs;
use tcplens_output::report::{ReportOptions, render};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use super::lines::Target;
use super::{Prints, Wanted, no_format, plan, tell};
use crate::cli::{Format, Report};
use crate::observe::{View, observe};
use crate::say::{print, say};
use crate::{sources, status};

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
    if is_bare && plan.duration.is_none() && plan.count.is_none() {
        plan.duration = Some(BARE);
        say("capturing on all interfaces for 10 s; -i and --duration choose others");
    }
    let mut target = Target::open(command.format, output, plan.live.is_some())?;
    let is_live = plan.live.is_some();
    let mut view = ReportView {
        report: view::Report::default(),
        first_packet: None,
        time: output.time,
        glyphs: Glyphs::choose(output.ascii),
        sources,
        is_live,
        is_kernel: common.kernel.kernel,
        filter,
        netns: common.live.netns.clone(),
    };
    let observed = observe(plan, &mut view)?;
    let findings = view.report.finish(&observed.health);
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
    tell(common, &observed.health);
    Ok(status::of_run(&observed))
}

/// Columns of the terminal that standard output is, if it is one.
fn width() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map_or(COLUMNS, |(width, _)| usize::from(width.0))
}

struct ReportView {
    report: view::Report,
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
            ..ReportOptions::plain(TimeFormat::new(self.time))
        };
        render(&self.report, findings, health, options)
    }
}

impl View for ReportView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        self.report.add(record);
        Ok(())
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.first_packet = Some(at);
    }

    fn summary(&mut self, health: &Health) {
        let findings = self.report.finish(health);
        print(&self.text(&findings, health, COLUMNS, false));
    }
}
