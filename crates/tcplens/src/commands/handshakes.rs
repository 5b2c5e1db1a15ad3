//! `handshakes`: a line per connection attempt, and a summary per filter (tcpeek).

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::record::{Handshake, Health};
use tcplens_core::time::Timestamp;
use tcplens_core::view::Tallies;
use tcplens_output::SinkEnd;
use tcplens_output::text::HandshakeText;
use tcplens_output::time_style::TimeFormat;

use super::lines::Target;
use super::summary::{self, Period};
use super::{Prints, Wanted, plan, tell};
use crate::cli::{Format, Handshakes};
use crate::names::{self, Known};
use crate::observe::{View, observe};
use crate::say::{print, say};
use crate::{sources, status};

pub(super) fn run(command: &Handshakes) -> Result<ExitCode> {
    let common = &command.common;
    let output = &common.output;
    let mut words = sources::sort(common, true)?;
    // Live, this host tells its own.
    let is_local_known = !common.who.local.is_empty() || words.files.is_empty();
    let named = std::mem::take(&mut words.handshake_filters);
    let filters = named.clone();
    let tallies = tallies(named, is_local_known, output.quiet);
    let wanted = Wanted {
        handshakes: true,
        requests: false,
        connections: false,
    };
    let mut plan = plan(common, words, wanted, Prints::of(command.format))?;
    plan.filters = filters;
    let known = match command.format {
        Format::Text => Known::open(&command.naming, plan.live.is_some())?,
        _ => None,
    };
    plan.named(known.as_ref());
    if let (Format::Parquet, Some(live)) = (command.format, &mut plan.live) {
        live.finishes(output, false)?;
    }
    let mut target = Target::open(command.format, output, plan.live.is_some())?;
    target.expect::<Handshake>()?;
    let color = target.is_colored(output);
    let mut view = HandshakeView {
        text: HandshakeText::new(TimeFormat::new(output.time), color)
            .with_hosts(names::hosts(known.as_ref())),
        time: TimeFormat::new(output.time),
        target,
        tallies,
        period: Period::default(),
        has_lines: !output.quiet,
    };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        view.finish(color, output.quiet)?;
    }
    tell(common, &observed.health);
    names::tell(known.as_ref(), &common.output);
    Ok(status::of_run(&observed))
}

/// What counts where. A filter that tells directions cannot do so without local addresses.
fn tallies(named: Vec<HandshakeFilter>, is_local_known: bool, is_quiet: bool) -> Tallies {
    let directed = named.first().map(HandshakeFilter::name);
    if let (Some(name), false, false) = (directed, is_local_known, is_quiet) {
        say(format_args!(
            "{name:?} counts both directions: which addresses are this host's is not known; \
             name them with --local"
        ));
    }
    Tallies::new(named, is_local_known)
}

struct HandshakeView {
    target: Target,
    text: HandshakeText,
    /// For the summary.
    time: TimeFormat,
    tallies: Tallies,
    period: Period,
    has_lines: bool,
}

impl HandshakeView {
    fn summary_text(&mut self, color: bool) -> Vec<u8> {
        let mut text = Vec::new();
        summary::print(
            &self.tallies.summaries().collect::<Vec<_>>(),
            &self.period,
            &mut self.time,
            color,
            &mut text,
        );
        text
    }

    /// The summary: after the lines of text, on stderr otherwise.
    fn finish(mut self, color: bool, is_quiet: bool) -> Result<(), SinkEnd> {
        let text = self.summary_text(color);
        if let Target::Text(lines) = &mut self.target {
            lines.write(None, |out| {
                if self.has_lines && !self.period.is_empty() {
                    out.push(b'\n');
                }
                out.extend_from_slice(&text);
            })?;
        } else if !is_quiet {
            print(&String::from_utf8_lossy(&text));
        }
        self.target.finish()
    }
}

impl View for HandshakeView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let AnyRecord::Handshake(handshake) = record else {
            return Ok(());
        };
        if !self.tallies.count(handshake) {
            return Ok(());
        }
        self.period.add(handshake.time);
        match &mut self.target {
            Target::Text(lines) if self.has_lines => {
                let text = &mut self.text;
                lines.write_headed(Some(handshake.time), |is_new, out| {
                    if is_new {
                        text.begin_again();
                    }
                    text.encode(handshake, out);
                })
            }
            Target::Machine(writer) => writer.write(handshake),
            Target::Text(_) | Target::None => Ok(()),
        }
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.text.set_origin(at);
        self.time.set_origin(at);
    }

    fn summary(&mut self, _health: &Health) {
        print(&String::from_utf8_lossy(&self.summary_text(false)));
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
