//! `handshakes`: a line per connection attempt, and a summary per filter (tcpeek).

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::record::{Direction, Handshake, Health};
use tcplens_core::time::Timestamp;
use tcplens_core::view::HandshakeSummary;
use tcplens_output::SinkEnd;
use tcplens_output::text::HandshakeText;
use tcplens_output::time_style::TimeFormat;

use super::lines::Target;
use super::summary::{self, Period};
use super::{Prints, Wanted, plan, tell};
use crate::cli::Handshakes;
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
    let filters = Filters::new(named, is_local_known, output.quiet);
    let wanted = Wanted {
        handshakes: true,
        requests: false,
        connections: false,
    };
    let plan = plan(common, words, wanted, Prints::of(command.format))?;
    let target = Target::open(command.format, output, plan.live.is_some())?;
    let color = target.is_colored(output);
    let mut view = HandshakeView {
        text: HandshakeText::new(TimeFormat::new(output.time), color),
        time: TimeFormat::new(output.time),
        target,
        filters,
        period: Period::default(),
        has_lines: !output.quiet,
    };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        view.finish(color, output.quiet)?;
    }
    tell(common, &observed.health);
    Ok(status::of_run(&observed))
}

/// What counts, where, and what does not.
struct Filters {
    exclusions: Vec<HandshakeFilter>,
    /// Attempts of no direction: all of them without local addresses, else those passing through.
    rest: (&'static str, HandshakeSummary),
    counted: Vec<(HandshakeFilter, HandshakeSummary)>,
}

impl Filters {
    fn new(named: Vec<HandshakeFilter>, is_local_known: bool, is_quiet: bool) -> Filters {
        let directed = named.first().map(HandshakeFilter::name);
        if let (Some(name), false, false) = (directed, is_local_known, is_quiet) {
            say(format_args!(
                "{name:?} counts both directions: which addresses are this host's is not known; \
                 name them with --local"
            ));
        }
        let (exclusions, named): (Vec<_>, Vec<_>) =
            named.into_iter().partition(HandshakeFilter::is_exclusion);
        let built_in = HandshakeFilter::built_in()
            .into_iter()
            .filter(|_| is_local_known);
        let counted = built_in
            .chain(named)
            .map(|filter| (filter, HandshakeSummary::default()))
            .collect();
        let rest = if is_local_known { "forwarded" } else { "all" };
        Filters {
            exclusions,
            rest: (rest, HandshakeSummary::default()),
            counted,
        }
    }

    /// Counts an attempt; false if it is excluded.
    fn count(&mut self, handshake: &Handshake) -> bool {
        // A record's ports are numbers of 16 bits.
        let port = u16::try_from(handshake.server_port).unwrap_or_default();
        let matches = |filter: &HandshakeFilter| {
            filter.matches(
                handshake.direction,
                handshake.client_ip,
                handshake.server_ip,
                port,
            )
        };
        if self.exclusions.iter().any(matches) {
            return false;
        }
        if matches!(handshake.direction, None | Some(Direction::Forwarded)) {
            self.rest.1.add(handshake);
        }
        for (filter, summary) in &mut self.counted {
            if matches(filter) {
                summary.add(handshake);
            }
        }
        true
    }

    /// Names and summaries in the order of printing: what is always there first.
    fn summaries(&self) -> Vec<(&str, &HandshakeSummary)> {
        let (rest, summary) = &self.rest;
        let mut all: Vec<_> = self
            .counted
            .iter()
            .map(|(filter, summary)| (filter.name(), summary))
            .collect();
        let is_always = *rest == "all";
        if is_always || summary.attempts() > 0 {
            all.insert(if is_always { 0 } else { 2 }, (rest, summary));
        }
        all
    }
}

struct HandshakeView {
    target: Target,
    text: HandshakeText,
    /// For the summary.
    time: TimeFormat,
    filters: Filters,
    period: Period,
    has_lines: bool,
}

impl HandshakeView {
    fn summary_text(&mut self, color: bool) -> Vec<u8> {
        let mut text = Vec::new();
        summary::print(
            &self.filters.summaries(),
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
        if !self.filters.count(handshake) {
            return Ok(());
        }
        self.period.add(handshake.time);
        match &mut self.target {
            Target::Text(lines) if self.has_lines => {
                let text = &mut self.text;
                lines.write(Some(handshake.time), |out| text.encode(handshake, out))
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

    fn dropped(&self) -> u64 {
        self.target.dropped()
    }
}
