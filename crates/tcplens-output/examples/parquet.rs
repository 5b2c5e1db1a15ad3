//! Measures Parquet: bytes and processor time per request record. The records are those of a run:
//!
//! `tcplens requests FILE -f jsonl -q -o requests.jsonl`
//! `cargo run --release -p tcplens-output --example parquet requests.jsonl [OUT]`

use std::error::Error;
use std::io::{self, Write};
use std::time::Instant;

use serde_json::Value;
use tcplens_core::record::{
    ConnectionId, EndedBy, Protocol, Request, RoleFrom, Side, Status, Vantage, Verdict, Word,
};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::segment::Tunnel;
use tcplens_output::parquet::ParquetFile;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let text = std::fs::read_to_string(words.next().ok_or("no file named")?)?;
    let values: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let records: Vec<_> = values.iter().filter_map(request).collect();
    if records.len() < values.len() {
        eprintln!("{} lines are no requests", values.len() - records.len());
    }
    let (mut best, mut bytes, mut waiting) = (f64::INFINITY, 0, 0);
    for round in 0..ROUNDS {
        let out: Box<dyn Write + Send> = match words.next() {
            Some(path) if round == 0 => Box::new(std::fs::File::create(path)?),
            _ => Box::new(io::sink()),
        };
        let start = Instant::now();
        let mut file = ParquetFile::create::<Request<'_>>(Counted(out, 0))?;
        for (n, record) in records.iter().enumerate() {
            file.push(record)?;
            if (n + 2).is_multiple_of(128 * 1024) {
                waiting = file.size().1;
            }
        }
        bytes = file.finish()?.1;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let n = records.len() as f64;
    println!(
        "{n} records: {:.1} bytes each, {:.0} ns each ({:.2} million per second); {:.1} MiB wait before a row group is written",
        bytes as f64 / n,
        best * 1e9 / n,
        n / best / 1e6,
        waiting as f64 / f64::from(1 << 20)
    );
    Ok(())
}

struct Counted<W>(W, u64);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1 += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The record of a line, without what only the kernel tells.
fn request(of: &Value) -> Option<Request<'_>> {
    let text = |name: &str| of.get(name).and_then(Value::as_str);
    let count = |name: &str| of.get(name).and_then(Value::as_u64);
    let flag = |name: &str| of.get(name).and_then(Value::as_bool).unwrap_or_default();
    let span = |name: &str| {
        let us = of.get(name)?.as_f64()?;
        Some(Span::from_ns((us * 1e3).round() as u64))
    };
    Some(Request {
        time: time(text("time")?)?,
        vantage: Vantage::File,
        connection_id: id(text("connection_id")?)?,
        client_ip: text("client_ip")?.parse().ok()?,
        client_port: count("client_port")?,
        server_ip: text("server_ip")?.parse().ok()?,
        server_port: count("server_port")?,
        role_from: word(RoleFrom::ALL, text("role_from"))?,
        direction: None,
        tap_side: word(Side::ALL, text("tap_side"))?,
        vlan: count("vlan"),
        tunnel: Tunnel::None,
        capture_loss: flag("capture_loss"),
        protocol: word(Protocol::ALL, text("protocol"))?,
        operation: text("operation"),
        summary: text("summary"),
        status: word(Status::ALL, text("status"))?,
        status_code: count("status_code"),
        status_text: text("status_text"),
        ended_by: word(EndedBy::ALL, text("ended_by"))?,
        request_bytes: count("request_bytes")?,
        response_bytes: count("response_bytes")?,
        upload_us: span("upload_us"),
        process_us: span("process_us"),
        transfer_us: span("transfer_us"),
        total_us: span("total_us"),
        delivered_us: span("delivered_us"),
        queued: count("queued")?,
        task: count("task")?,
        retransmits: count("retransmits")?,
        reordered: flag("reordered"),
        cut: flag("cut"),
        gap: flag("gap"),
        early: flag("early"),
        client_rtt_us: span("client_rtt_us"),
        server_rtt_us: span("server_rtt_us"),
        in_client_us: span("in_client_us"),
        in_queue_us: span("in_queue_us"),
        in_server_us: span("in_server_us"),
        in_network_us: span("in_network_us"),
        in_loss_us: span("in_loss_us"),
        in_window_us: span("in_window_us"),
        in_transfer_us: span("in_transfer_us"),
        verdict: word(Verdict::ALL, text("verdict")),
        request_frame: count("request_frame"),
        response_frame: count("response_frame"),
        window_limit_bytes: count("window_limit_bytes"),
        owner: None,
        path: None,
        marks: None,
        answers: None,
    })
}

fn word<W: Word + Copy>(all: &[W], text: Option<&str>) -> Option<W> {
    all.iter().copied().find(|one| one.word() == text)
}

fn id(text: &str) -> Option<ConnectionId> {
    let (first, flow) = text.split_once('-')?;
    Some(ConnectionId::Packets {
        first: Timestamp(u64::from_str_radix(first, 16).ok()? as i64),
        flow: u32::from_str_radix(flow, 16).ok()?,
    })
}

/// `2026-11-21T01:08:22.384589048Z`.
fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp)
}
