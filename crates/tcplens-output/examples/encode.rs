//! Measures the encoders: nanoseconds and bytes per record, the best of several rounds.
//!
//! `cargo run --release -p tcplens-output --example encode`

mod sample;

use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use tcplens_core::record::Record;
use tcplens_output::text::{ConnectionText, HandshakeText};
use tcplens_output::time_style::{TimeFormat, TimeStyle};
use tcplens_output::{Csv, Jsonl};

const RECORDS: u64 = 4_096;
const ROUNDS: usize = 200;

fn main() {
    let handshakes: Vec<_> = (0..RECORDS).map(sample::handshake).collect();
    let connections: Vec<_> = (0..RECORDS).map(sample::connection).collect();
    let (mut v6_handshakes, mut v6_connections) = (handshakes.clone(), connections.clone());
    for handshake in &mut v6_handshakes {
        handshake.client_ip = v6(handshake.client_ip);
        handshake.server_ip = v6(handshake.server_ip);
    }
    for connection in &mut v6_connections {
        connection.client_ip = v6(connection.client_ip);
        connection.server_ip = v6(connection.server_ip);
    }
    jsonl("jsonl", &handshakes);
    jsonl("jsonl", &connections);
    jsonl("jsonl, IPv6", &v6_handshakes);
    jsonl("jsonl, IPv6", &v6_connections);
    csv(&handshakes);
    csv(&connections);
    let time = TimeFormat::new(TimeStyle::Utc);
    let mut view = HandshakeText::new(time.clone(), false);
    text(&handshakes, |record, out| view.encode(record, out));
    let mut view = ConnectionText::new(time, false);
    text(&connections, |record, out| view.encode(record, out));
}

/// The address under `2001:db8::`.
fn v6(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(u32::from(v4))).into()
        }
        IpAddr::V6(v6) => v6.into(),
    }
}

fn text<R: Record>(records: &[R], mut encode: impl FnMut(&R, &mut Vec<u8>)) {
    let mut out = Vec::new();
    report::<R>("text", || {
        let mut bytes = 0;
        for batch in records.chunks(64) {
            for record in batch {
                encode(black_box(record), &mut out);
            }
            bytes += black_box(&out).len();
            out.clear();
        }
        bytes
    });
}

fn jsonl<R: Record>(name: &str, records: &[R]) {
    let mut encoder = Jsonl::new();
    report::<R>(name, || {
        let mut bytes = 0;
        for batch in records.chunks(64) {
            for record in batch {
                encoder.encode(black_box(record));
            }
            bytes += black_box(encoder.bytes()).len();
            encoder.clear();
        }
        bytes
    });
}

fn csv<R: Record>(records: &[R]) {
    let mut encoder = Csv::new();
    report::<R>("csv", || {
        let mut bytes = 0;
        for batch in records.chunks(64) {
            for record in batch {
                encoder.encode(black_box(record));
            }
            bytes += black_box(encoder.bytes()).len();
            encoder.clear();
        }
        bytes
    });
}

fn report<R: Record>(format: &str, mut round: impl FnMut() -> usize) {
    let (mut best, mut bytes) = (f64::INFINITY, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        bytes = round();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let per_record = best * 1e9 / RECORDS as f64;
    let size = bytes as f64 / RECORDS as f64;
    println!(
        "{format:11} {:11} {per_record:6.0} ns per record, {size:6.0} bytes",
        R::KIND
    );
}
