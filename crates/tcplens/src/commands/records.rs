//! `records`: every kind, for machines.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Connection, Finding, GroupBy, Handshake, Health, Peer, Request};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::Report;
use tcplens_core::view::top::{Over, Top, TopQuery, TopSettings};
use tcplens_output::{RecordWriter, SinkEnd};

use super::lines::Target;
use super::{Prints, Wanted, no_format, plan, recognise, tell};
use crate::cli::{Format, KindChoice, Records};
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
        [] => !matches!(kind, KindChoice::Finding | KindChoice::Peer),
        kinds => kinds.contains(&kind),
    };
    let words = sources::sort(common, false)?;
    let printed = Wanted {
        handshakes: asks(KindChoice::Handshake),
        requests: asks(KindChoice::Request),
        connections: asks(KindChoice::Connection),
    };
    let report = asks(KindChoice::Finding).then(Report::default);
    let has_peers = asks(KindChoice::Peer);
    // Findings and destinations rest on all.
    let wanted = Wanted {
        handshakes: printed.handshakes || report.is_some() || has_peers,
        requests: printed.requests || report.is_some() || has_peers,
        connections: printed.connections || report.is_some() || has_peers,
    };
    let mut plan = plan(common, words, wanted, Prints::of(command.format))?;
    recognise(&mut plan, &command.protocols);
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
    if has_peers {
        target.expect::<Peer>()?;
    }
    if asks(KindChoice::Health) {
        target.expect::<Health>()?;
    }
    let peers = TopSettings {
        vantage: plan.settings.vantage,
        groups: vec![GroupBy::Peer],
        idle: Span::from_ns(plan.settings.idle.unsigned_abs()),
        ..TopSettings::default()
    };
    let mut view = RecordView {
        target,
        printed,
        report,
        top: has_peers.then(|| Top::new(peers)),
    };
    let mut observed = observe(plan, &mut view)?;
    if let Some(top) = &view.top {
        observed.health.limit_hits.extend(top.limit_hits());
    }
    if !observed.reader_gone {
        if let Target::Machine(writer) = &mut view.target {
            if let Some(report) = &view.report {
                for finding in &report.finish(&observed.health).findings {
                    writer.write(finding)?;
                }
            }
            if let Some(top) = &mut view.top {
                destinations(top, observed.health.time, writer)?;
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

/// A record for each destination, for those that found no row, and for all together: as `top --once --over start` has them.
fn destinations(
    top: &mut Top,
    last: Option<Timestamp>,
    writer: &mut RecordWriter,
) -> Result<(), SinkEnd> {
    if let Some(last) = last {
        top.clock(last);
    }
    let snapshot = top.snapshot(&TopQuery {
        by: GroupBy::Peer,
        over: Over::Start,
        sort: "attempts",
        by_share: false,
        descending: true,
        filter: None,
        skip: 0,
        rows: usize::MAX,
        detail: None,
    });
    // Without any time there is nothing to tell.
    if snapshot.at.is_none() {
        return Ok(());
    }
    for (_, peer) in &snapshot.rows {
        writer.write(peer)?;
    }
    if let Some(others) = &snapshot.others {
        writer.write(others)?;
    }
    writer.write(&snapshot.totals)
}

struct RecordView {
    target: Target,
    printed: Wanted,
    /// Where findings are asked for.
    report: Option<Report>,
    /// Where destinations are asked for.
    top: Option<Top>,
}

impl View for RecordView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        if let Some(report) = &mut self.report {
            report.add(record);
        }
        if let Some(top) = &mut self.top {
            top.add(record);
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

    fn first_packet(&mut self, at: Timestamp) {
        if let Some(top) = &mut self.top {
            top.clock(at);
        }
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        // Before the first packet there is no time.
        if let Some(top) = self.top.as_mut().filter(|_| at > Timestamp::default()) {
            top.clock(at);
        }
        Ok(())
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
