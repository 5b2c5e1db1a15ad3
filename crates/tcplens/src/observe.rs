//! One observation: sources, engine, health.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use tcplens_capture::file::{CaptureWriter, Damage, MergedSource, Options, Status};
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::{Engine, link_of};
use tcplens_core::filter::packet::{PacketFilter, Program};
use tcplens_core::packet::{Batch, LinkType};
use tcplens_core::record::{Health, SCHEMA_VERSION};
use tcplens_core::shard::Settings;
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::DecodeSettings;
use tcplens_output::SinkEnd;

use crate::progress::Progress;

/// What is observed, and how.
pub(crate) struct Plan {
    /// Capture files; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Go on at their end.
    pub follow: bool,
    /// Threads.
    pub threads: usize,
    /// How to decode.
    pub decode: DecodeSettings,
    /// What the shards are told.
    pub settings: Settings,
    /// Packets to look at.
    pub filter: Option<PacketFilter>,
    /// Packets to leave out.
    pub exclude: Option<PacketFilter>,
    /// Where to save the packets that were looked at.
    pub write: Option<PathBuf>,
    /// Packets after which to stop.
    pub count: Option<u64>,
    /// Packet time after which to stop.
    pub duration: Option<Span>,
    /// Told how far reading has come.
    pub progress: Progress,
    /// Set when it should end.
    pub stop: Arc<AtomicBool>,
}

/// Takes records as they become final.
pub(crate) trait View: Send {
    /// One record.
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd>;
    /// The time of the first packet, before any record: zero of `--time relative`.
    fn first_packet(&mut self, _at: Timestamp) {}
    /// Nothing to read right now (a followed file): flush for whoever waits.
    fn idle(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
}

/// What came of it.
pub(crate) struct Observed {
    /// What it saw and lost.
    pub health: Health,
    /// Where files are damaged.
    pub damages: Vec<Damage>,
    /// What else the user should know.
    pub warnings: Vec<String>,
    /// The reader of the results went away.
    pub reader_gone: bool,
}

/// Reads everything. (Stand-in: one thread.)
pub(crate) fn observe(plan: Plan, view: &mut dyn View) -> Result<Observed> {
    debug_assert!(plan.threads > 0);
    let options = Options {
        follow: plan.follow,
        ..Options::default()
    };
    let mut source = MergedSource::open(&plan.files, options)?;
    let mut writer = plan
        .write
        .as_deref()
        .map(CaptureWriter::create)
        .transpose()?;
    let mut engine = Engine::new(plan.decode, &plan.settings);
    let mut filters = Filters {
        plan: &plan,
        compiled: Vec::new(),
    };
    let mut batch = Batch::default();
    let mut counts = [0u64; 2];
    let mut end: Option<SinkEnd> = None;
    let mut first = None;
    let mut left = plan.count.unwrap_or(u64::MAX);
    let mut each = |record: AnyRecord<'_>, view: &mut dyn View, end: &mut Option<SinkEnd>| {
        counts[match record {
            AnyRecord::Handshake(_) => 0,
            AnyRecord::Connection(_) => 1,
        }] += 1;
        if end.is_none() {
            *end = view.record(record).err();
        }
    };
    let mut link = None;
    while end.is_none() && left > 0 && !plan.stop.load(Ordering::Relaxed) {
        match source.next_batch(&mut batch)? {
            Status::End => break,
            Status::Idle => {
                end = view.idle().err();
                continue;
            }
            Status::Packets => {}
        }
        filters.apply(&mut batch)?;
        if let Some(packet) = batch.packets.first() {
            link = Some(link_of(&batch.interfaces, packet));
            if first.is_none() {
                first = Some(packet.time);
                view.first_packet(packet.time);
            }
        }
        if let (Some(duration), Some(first)) = (plan.duration, first) {
            let until = first.plus(i64::try_from(duration.ns()).unwrap_or(i64::MAX));
            if let Some(at) = batch.packets.iter().position(|packet| packet.time > until) {
                batch.packets.truncate(at);
                left = at as u64;
            }
        }
        batch
            .packets
            .truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= batch.packets.len() as u64;
        if let Some(writer) = &mut writer {
            writer.write_batch(&batch)?;
        }
        engine.feed(&batch, |record| each(record, view, &mut end));
        let (read, total) = source.position();
        plan.progress.at(read, total);
    }
    engine.finish(|record| each(record, view, &mut end));
    plan.progress.finish();
    if let Some(writer) = writer {
        writer.finish()?;
    }
    let reader_gone = match end {
        Some(SinkEnd::Failed(error)) => return Err(error.into()),
        Some(SinkEnd::Closed { .. }) => true,
        None => false,
    };
    let damages: Vec<_> = source.damages().cloned().collect();
    let front = &engine.front;
    let decoded = front.counts();
    let shards = engine.counts();
    let undecoded: Vec<_> = decoded
        .all_undecoded()
        .filter(|(_, n)| *n > 0)
        .map(|(reason, n)| (reason.word(), n))
        .collect();
    if let ([("unknown_link_type", n)], Some(LinkType(number))) = (undecoded.as_slice(), link)
        && *n == front.packets
    {
        bail!(
            "cannot decode {}: no packet of a known link type, all {n} have {number}; \
             convert them (editcap -T ether), or capture on another interface",
            plan.files[0].display()
        );
    }
    let health = Health {
        time: front.last,
        vantage: plan.settings.vantage,
        packets: front.packets,
        bytes: front.bytes,
        tcp_segments: decoded.tcp_segments,
        undecoded,
        kernel_drops: None,
        cut_packets: decoded.cut_packets,
        fragments: decoded.fragments,
        duplicates: shards.duplicates,
        bad_checksums: None,
        time_reversals: front.time_reversals,
        connections: shards.connections,
        evicted_connections: shards.evicted,
        late_syns: shards.late_syns,
        late_segments: shards.late_segments,
        limit_hits: decoded.limit_hits().filter(|(_, n)| *n > 0).collect(),
        records: vec![("handshake", counts[0]), ("connection", counts[1])],
        records_dropped: Vec::new(),
        damaged_at: damages.first().map(|damage| damage.at),
        cpu_us: None,
        peak_rss_bytes: None,
        schema_version: SCHEMA_VERSION,
    };
    Ok(Observed {
        health,
        damages,
        warnings: Vec::new(),
        reader_gone,
    })
}

struct Filters<'p> {
    plan: &'p Plan,
    compiled: Vec<(LinkType, Option<Program>, Option<Program>)>,
}

impl Filters<'_> {
    fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        if self.plan.filter.is_none() && self.plan.exclude.is_none() {
            return Ok(());
        }
        let mut packets = std::mem::take(&mut batch.packets);
        let mut kept = Vec::new();
        for packet in packets.drain(..) {
            let link = link_of(&batch.interfaces, &packet);
            let at = match self.compiled.iter().position(|(known, ..)| *known == link) {
                Some(at) => at,
                None => {
                    let compile = |filter: &PacketFilter| filter.compile(link);
                    let filter = self.plan.filter.as_ref().map(compile).transpose()?;
                    let exclude = self.plan.exclude.as_ref().map(compile).transpose()?;
                    self.compiled.push((link, filter, exclude));
                    self.compiled.len() - 1
                }
            };
            let (_, filter, exclude) = &self.compiled[at];
            let matches = |program: &Program| program.matches(batch.data(&packet), packet.length);
            if filter.as_ref().is_none_or(matches) && !exclude.as_ref().is_some_and(matches) {
                kept.push(packet);
            }
        }
        batch.packets = kept;
        Ok(())
    }
}
