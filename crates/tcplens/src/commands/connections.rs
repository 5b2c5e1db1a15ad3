//! `connections`: a line per connection.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Connection;
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;
use tcplens_output::text::ConnectionText;
use tcplens_output::time_style::TimeFormat;

use super::lines::Target;
use super::{Prints, Wanted, plan, tell};
use crate::cli::{Connections, Format};
use crate::names::{self, Known};
use crate::observe::{View, observe};
use crate::{sources, status};

pub(super) fn run(command: &Connections) -> Result<ExitCode> {
    let common = &command.common;
    let words = sources::sort(common, false)?;
    let wanted = Wanted {
        handshakes: false,
        requests: false,
        connections: true,
    };
    let mut plan = plan(common, words, wanted, Prints::of(command.format))?;
    if let (Format::Parquet, Some(live)) = (command.format, &mut plan.live) {
        live.finishes(&common.output, false)?;
    }
    let known = match command.format {
        Format::Text => Known::open(&command.naming, plan.live.is_some())?,
        _ => None,
    };
    plan.named(known.as_ref());
    let mut target = Target::open(command.format, &common.output, plan.live.is_some())?;
    target.expect::<Connection>()?;
    let color = target.is_colored(&common.output);
    let text = ConnectionText::new(TimeFormat::new(common.output.time), color)
        .with_hosts(names::hosts(known.as_ref()));
    let mut view = ConnectionView { target, text };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        view.target.finish()?;
    }
    tell(common, &observed.health);
    names::tell(known.as_ref(), &common.output);
    Ok(status::of_run(&observed))
}

struct ConnectionView {
    target: Target,
    text: ConnectionText,
}

impl View for ConnectionView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let AnyRecord::Connection(connection) = record else {
            return Ok(());
        };
        match &mut self.target {
            Target::Text(lines) => {
                let text = &mut self.text;
                lines.write_headed(Some(connection.time), |is_new, out| {
                    if is_new {
                        text.begin_again();
                    }
                    text.encode(connection, out);
                })
            }
            Target::Machine(writer) => writer.write(connection),
            Target::None => Ok(()),
        }
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.text.set_origin(at);
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
