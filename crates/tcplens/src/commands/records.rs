//! `records`: every kind, for machines.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Connection, Finding, Handshake, Health, Request};
use tcplens_core::view::Report;
use tcplens_output::SinkEnd;

use super::lines::Target;
use super::{Prints, Wanted, no_format, plan, tell};
use crate::cli::{Format, KindChoice, ProtocolChoice, Records};
use crate::observe::{View, observe};
use crate::{sources, status};

pub(super) fn run(command: &Records) -> Result<ExitCode> {
    let common = &command.common;
    if command.format == Format::Text {
        let instead =
            "write jsonl, csv, parquet or none; handshakes, connections and report have text";
        return Err(no_format("records", command.format, instead));
    }
    let asks = |kind| match command.kind.as_slice() {
        [] => kind != KindChoice::Finding,
        kinds => kinds.contains(&kind),
    };
    let words = sources::sort(common, false)?;
    let printed = Wanted {
        handshakes: asks(KindChoice::Handshake),
        requests: asks(KindChoice::Request),
        connections: asks(KindChoice::Connection),
    };
    let report = asks(KindChoice::Finding).then(Report::default);
    // Findings rest on both.
    let wanted = Wanted {
        handshakes: printed.handshakes || report.is_some(),
        requests: printed.requests,
        connections: printed.connections || report.is_some(),
    };
    let mut plan = plan(common, words, wanted, Prints::of(command.format))?;
    let protocols = ProtocolChoice::protocols(&command.protocols);
    if let (Some(live), true) = (
        &mut plan.live,
        ProtocolChoice::looks_at_payload(&command.protocols),
    ) {
        live.peeks(&protocols);
    }
    plan.settings.protocols = protocols;
    plan.interval = Some(command.interval).filter(|_| asks(KindChoice::Health));
    if let (Format::Parquet, Some(live)) = (command.format, &mut plan.live) {
        live.finishes(&common.output, true)?;
    }
    let mut target = Target::open_kinds(command.format, &common.output, plan.live.is_some())?;
    if printed.handshakes {
        target.expect::<Handshake>()?;
    }
    if printed.requests {
        target.expect::<Request<'_>>()?;
    }
    if printed.connections {
        target.expect::<Connection>()?;
    }
    if report.is_some() {
        target.expect::<Finding>()?;
    }
    if asks(KindChoice::Health) {
        target.expect::<Health>()?;
    }
    let mut view = RecordView {
        target,
        printed,
        report,
    };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        if let Target::Machine(writer) = &mut view.target {
            if let Some(report) = &view.report {
                for finding in &report.finish(&observed.health).findings {
                    writer.write(finding)?;
                }
            }
            if asks(KindChoice::Health) {
                writer.write(&observed.health)?;
            }
        }
        view.target.finish()?;
    }
    tell(common, &observed.health);
    Ok(status::of_run(&observed))
}

struct RecordView {
    target: Target,
    printed: Wanted,
    /// Where findings are asked for.
    report: Option<Report>,
}

impl View for RecordView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        if let Some(report) = &mut self.report {
            report.add(record);
        }
        let Target::Machine(writer) = &mut self.target else {
            return Ok(());
        };
        match record {
            AnyRecord::Handshake(handshake) if self.printed.handshakes => writer.write(handshake),
            AnyRecord::Connection(connection) if self.printed.connections => {
                writer.write(connection)
            }
            AnyRecord::Request(request) if self.printed.requests => writer.write(&request.record()),
            AnyRecord::Handshake(_) | AnyRecord::Request(_) | AnyRecord::Connection(_) => Ok(()),
        }
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        match &mut self.target {
            Target::Machine(writer) => writer.write(health),
            Target::Text(_) | Target::None => Ok(()),
        }
    }

    fn findings(&mut self, health: &Health) -> Vec<Finding> {
        let report = self.report.as_ref();
        report.map_or(Vec::new(), |report| report.finish(health).findings)
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
