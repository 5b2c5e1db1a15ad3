//! One observation: what is asked for, and what came of it. The packets' way is in `pipeline`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use tcplens_capture::file::{Damage, MergedSource, Options};
use tcplens_capture::process;
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::{Front, Transport};
use tcplens_core::filter::packet::PacketFilter;
use tcplens_core::packet::{Interface, LinkType};
use tcplens_core::record::{Health, SCHEMA_VERSION};
use tcplens_core::shard::{Counts, Owner, Settings};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::segment::Segment;
use tcplens_core::wire::{Checksum, DecodeSettings, Undecoded};
use tcplens_output::SinkEnd;

use crate::gate::Gate;
use crate::pipeline::{self, Ran};
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
    /// What it wants to see of packets.
    fn packets(&self) -> Packets {
        Packets::None
    }
    /// A packet, before every record that it made final and after every record that was final before it: in an order that
    /// depends on nothing but the packets. Only called if [`packets`](Self::packets) asks for it.
    fn packet(&mut self, _packet: &Seen<'_>) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// The engine clock is there; called before the record or packet of that moment, and after each batch.
    fn clock(&mut self, _at: Timestamp) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// Nothing to read right now (a followed file): flush for whoever waits.
    fn idle(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
}

/// What a view wants to see of packets themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packets {
    /// Nothing.
    None,
    /// What they are made of.
    Plain,
    /// Also whose they are: costs a look into the flow table each.
    Owned,
}

/// A TCP or UDP packet as a view sees it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// What carries its payload.
    pub transport: Transport,
    /// Its headers; of UDP those fields that UDP has.
    pub segment: &'a Segment,
    /// What was captured of its payload.
    pub payload: &'a [u8],
    /// Bytes on the wire, all headers included.
    pub wire_length: u32,
    /// All interfaces.
    pub interfaces: &'a [Interface],
    /// Whose it is, where that was asked for and is known.
    pub owner: Option<&'a Owner>,
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

/// Reads everything, on one thread or several.
pub(crate) fn observe(plan: Plan, view: &mut dyn View) -> Result<Observed> {
    let source = open(&plan)?;
    let gate = Gate::new(&plan)?;
    let ran = pipeline::run(&plan, source, gate, view)?;
    conclude(&plan, ran)
}

/// Opens the files.
///
/// # Errors
/// They cannot be read, or the packets are to be saved in one of them.
pub(crate) fn open(plan: &Plan) -> Result<MergedSource> {
    let options = Options {
        follow: plan.follow,
        ..Options::default()
    };
    let source = MergedSource::open(&plan.files, options)?;
    if let Some(path) = &plan.write
        && source.reads(path)
    {
        bail!(
            "cannot write {}: it is one of the files that are read; name another one with -w",
            path.display()
        );
    }
    Ok(source)
}

/// What came of it, once everything has run.
///
/// # Errors
/// What was written cannot be completed, or nothing could be decoded.
pub(crate) fn conclude(plan: &Plan, ran: Ran) -> Result<Observed> {
    plan.progress.finish();
    let mut warnings = Vec::new();
    if let Some(written) = ran.gate.finish()?
        && written.clamped_times > 0
    {
        warnings.push(format!(
            "{} packets have a time that the output file cannot hold",
            written.clamped_times
        ));
    }
    let further = ran.source.further_damages();
    if further > 0 {
        warnings.push(format!("{further} more places are damaged"));
    }
    let has_filter = plan.filter.is_some() || plan.exclude.is_some();
    let left_out = ran.front.left_out();
    if has_filter && ran.front.packets == 0 && left_out > 0 {
        warnings.push(format!(
            "the filter takes none of the {left_out} packets: nothing was looked at"
        ));
    }
    let reader_gone = match ran.end {
        Some(SinkEnd::Failed(error)) => return Err(error.into()),
        Some(SinkEnd::Closed { .. }) => true,
        None => false,
    };
    let damages: Vec<_> = ran.source.damages().cloned().collect();
    let mut health = health(plan, &ran.front, ran.counts, ran.records);
    health.damaged_at = damages.first().map(|damage| damage.at);
    if let ([("unknown_link_type", n)], Some(LinkType(number))) =
        (health.undecoded.as_slice(), ran.link)
        && *n == health.packets
    {
        bail!(
            "cannot decode {}: no packet of a known link type, all {n} have {number}; \
             convert them (editcap -T ether), or capture on another interface",
            plan.files[0].display()
        );
    }
    Ok(Observed {
        health,
        damages,
        warnings,
        reader_gone,
    })
}

fn health(plan: &Plan, front: &Front, shards: Counts, records: [u64; 3]) -> Health {
    let decoded = front.counts();
    let undecoded = decoded
        .all_undecoded()
        .map(|(reason, n)| match reason {
            Undecoded::Udp => (reason.word(), n.saturating_sub(shards.read.datagrams)),
            _ => (reason.word(), n),
        })
        .filter(|(_, n)| *n > 0)
        .collect();
    let limits = decoded
        .limit_hits()
        .chain([
            ("holes", shards.holes),
            ("datagram_flows", shards.evicted_datagrams),
        ])
        .chain(shards.read.limit_hits());
    let unparsed = shards.read.unparsed().filter(|(_, n)| *n > 0);
    Health {
        time: front.last,
        vantage: plan.settings.vantage,
        packets: front.packets,
        bytes: front.bytes,
        tcp_segments: decoded.tcp_segments,
        datagrams: shards.read.datagrams,
        undecoded,
        kernel_drops: None,
        cut_packets: decoded.cut_packets,
        fragments: decoded.fragments,
        duplicates: shards.duplicates,
        bad_checksums: (plan.decode.checksum != Checksum::None).then_some(decoded.bad_checksums),
        time_reversals: front.time_reversals,
        connections: shards.connections,
        evicted_connections: shards.evicted,
        late_syns: shards.late_syns,
        late_segments: shards.late_segments,
        stream_gaps: shards.read.gaps,
        unparsed_messages: unparsed.collect(),
        limit_hits: limits.filter(|(_, n)| *n > 0).collect(),
        records: vec![
            ("handshake", records[0]),
            ("request", records[1]),
            ("connection", records[2]),
        ],
        records_dropped: Vec::new(),
        damaged_at: None,
        cpu_us: process::cpu_time()
            .map(|time| Span::from_ns(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))),
        peak_rss_bytes: process::peak_resident_bytes(),
        schema_version: SCHEMA_VERSION,
    }
}
