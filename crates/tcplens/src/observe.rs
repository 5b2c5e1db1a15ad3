//! One observation: sources, engine, health.

use std::process::ExitCode;

use anyhow::Result;
use tcplens_capture::file::{FileSource, Options, Status};
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Engine;
use tcplens_core::packet::Batch;
use tcplens_core::record::{Health, SCHEMA_VERSION, Vantage};
use tcplens_core::shard::Settings;
use tcplens_core::wire::{Checksum, DecodeSettings};

use crate::cli::Source;
use crate::status;

/// Reads everything.
pub fn observe(source: &Source, mut each: impl FnMut(AnyRecord<'_>)) -> Result<(Health, ExitCode)> {
    let mut status = status::COMPLETE;
    let mut file = FileSource::open(&source.read[0], Options::default())?;
    let decode = DecodeSettings { hash_seed: 0, checksum: Checksum::None };
    let mut engine = Engine::new(decode, &Settings::default());
    let mut batch = Batch::default();
    let mut counts = [0u64; 2];
    let mut each = |record: AnyRecord<'_>| {
        counts[match record {
            AnyRecord::Handshake(_) => 0,
            AnyRecord::Connection(_) => 1,
        }] += 1;
        each(record);
    };
    loop {
        match file.next_batch(&mut batch)? {
            Status::End => break,
            Status::Idle => continue,
            Status::Packets => engine.feed(&batch, |_, _| true, &mut each),
        }
    }
    engine.finish(&mut each);
    let damage = file.damages().first();
    if let Some(damage) = damage {
        eprintln!("tcplens: {damage}");
        status = status::partial();
    }
    let front = &engine.front;
    let decoded = front.counts();
    let shards = engine.counts();
    let undecoded: Vec<_> =
        decoded.all_undecoded().filter(|(_, n)| *n > 0).map(|(reason, n)| (reason.word(), n)).collect();
    let health = Health {
        time: front.last,
        vantage: Vantage::File,
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
        damaged_at: damage.map(|damage| damage.at),
        cpu_us: None,
        peak_rss_bytes: None,
        schema_version: SCHEMA_VERSION,
    };
    Ok((health, status))
}
