//! `records`: every kind, for machines.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_output::SinkEnd;

use super::lines::Target;
use super::{Wanted, no_format, plan, tell};
use crate::cli::{Format, KindChoice, Records};
use crate::observe::{View, observe};
use crate::status::usage;
use crate::{sources, status};

pub(super) fn run(command: &Records) -> Result<ExitCode> {
    let common = &command.common;
    if command.format == Format::Text {
        let instead = "write jsonl, csv or none; handshakes, connections and report have text";
        return Err(no_format("records", command.format, instead));
    }
    let asks = |kind| match command.kind.as_slice() {
        [] => kind != KindChoice::Finding,
        kinds => kinds.contains(&kind),
    };
    if asks(KindChoice::Finding) {
        return Err(usage("findings are not there yet"));
    }
    let words = sources::sort(&common.source, false)?;
    let wanted = Wanted {
        handshakes: asks(KindChoice::Handshake),
        connections: asks(KindChoice::Connection),
    };
    let plan = plan(common, words, wanted, false)?;
    let mut view = RecordView {
        target: Target::open(command.format, &common.output)?,
        wanted,
    };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        if let (Target::Machine(writer), true) = (&mut view.target, asks(KindChoice::Health)) {
            writer.write(&observed.health)?;
        }
        view.target.finish()?;
    }
    tell(common, &observed.health);
    Ok(status::of_run(&observed))
}

struct RecordView {
    target: Target,
    wanted: Wanted,
}

impl View for RecordView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let Target::Machine(writer) = &mut self.target else {
            return Ok(());
        };
        match record {
            AnyRecord::Handshake(handshake) if self.wanted.handshakes => writer.write(handshake),
            AnyRecord::Connection(connection) if self.wanted.connections => {
                writer.write(connection)
            }
            AnyRecord::Handshake(_) | AnyRecord::Connection(_) => Ok(()),
        }
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.target.idle()
    }
}
