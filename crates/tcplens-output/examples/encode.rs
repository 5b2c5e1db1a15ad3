//! Measures the encoders: nanoseconds and bytes per record, the best of several rounds.
//!
//! `cargo run --release -p tcplens-output --example encode`

mod sample;

use std::hint::black_box;
use std::time::Instant;

use tcplens_core::record::Record;
use tcplens_output::{Csv, Jsonl};

const RECORDS: u64 = 4_096;
const ROUNDS: usize = 200;

fn main() {
    let handshakes: Vec<_> = (0..RECORDS).map(sample::handshake).collect();
    let connections: Vec<_> = (0..RECORDS).map(sample::connection).collect();
    jsonl(&handshakes);
    jsonl(&connections);
    csv(&handshakes);
    csv(&connections);
}

fn jsonl<R: Record>(records: &[R]) {
    let mut encoder = Jsonl::new();
    report::<R>("jsonl", || {
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
        "{format:6} {:11} {per_record:6.0} ns per record, {size:6.0} bytes",
        R::KIND
    );
}
