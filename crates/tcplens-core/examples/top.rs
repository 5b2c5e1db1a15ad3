//! What `top` costs: records of many destinations, and snapshots of them.
//!
//! ```sh
//! cargo run --release -p tcplens-core --example top [DESTINATIONS [RECORDS]]
//! ```

use std::time::Instant;

use tcplens_core::batch::AnyRecord;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{GroupBy, Peer};
use tcplens_core::time::{SECOND, Span};
use tcplens_core::view::top::{Over, Top, TopQuery, TopSettings};

#[path = "../tests/view_records/mod.rs"]
#[expect(dead_code, reason = "tests make more of them")]
mod view_records;
#[path = "../tests/view_records/requests.rs"]
#[expect(dead_code, reason = "tests make more of them")]
mod view_requests;

use view_records::{START, connection, handshake, ms};
use view_requests::request;

/// Snapshots of each kind.
const SNAPSHOTS: u32 = 20;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut number = |usual: u64| {
        let word = words.next().and_then(|word| word.parse().ok());
        word.unwrap_or(usual)
    };
    let (destinations, records) = (number(5000), number(500_000));
    let mut top = Top::new(TopSettings {
        window: Span::from_ns(60 * SECOND.unsigned_abs()),
        details: true,
        ..TopSettings::default()
    });
    let servers: Vec<String> = (0..destinations)
        .map(|n| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255))
        .collect();
    let before = resident();
    let (mut spent, mut seed) = ([0_u128; 3], 1_u64);
    for n in 0..records {
        // Marsaglia's xorshift: the same in every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let server = &servers[usize::try_from(seed % destinations).unwrap_or(0)];
        let second = i64::try_from(n * 100 / records).unwrap_or(0);
        let took = seed >> 20 & 1023;
        // Two requests for each attempt and connection.
        let kind = usize::try_from(n % 4).unwrap_or(0).min(2);
        let (attempt, over) = (
            handshake(second, "10.99.0.1", server, 80),
            connection(second, "10.99.0.1", server, 80),
        );
        let mut asked = request(second.unsigned_abs(), server, 80, took);
        asked.process_us = ms(took + 2);
        let began = Instant::now();
        top.clock(START.plus(second * SECOND));
        match kind {
            0 => top.add(AnyRecord::Handshake(&attempt)),
            1 => top.add(AnyRecord::Connection(&over)),
            _ => top.request(&asked),
        }
        spent[kind] += began.elapsed().as_nanos();
    }
    let quarter = u128::from(records / 4).max(1);
    println!(
        "{destinations} destinations, all {} groupings, details: {} ns per attempt, {} per connection, {} per request; {} KiB",
        GroupBy::ALL.len(),
        spent[0] / quarter,
        spent[1] / quarter,
        spent[2] / (2 * quarter),
        (resident() - before) / 1024,
    );
    let filter = |text: &str| RecordFilter::parse::<Peer>(text).ok();
    let key = top.rows(&query("attempts", None)).pop().map(|(key, _)| key);
    for (what, query) in [
        ("by a counter", query("attempts", None)),
        ("by a percentile", query("request_p95_us", None)),
        (
            "since the beginning",
            TopQuery {
                over: Over::Start,
                ..query("request_p95_us", None)
            },
        ),
        (
            "with a filter of counters",
            query("attempts", filter("failed >= 0 and requests > 1")),
        ),
        (
            "with a filter of percentiles",
            query("attempts", filter("request_p95 > 100ms")),
        ),
        (
            "with a detail",
            TopQuery {
                detail: key,
                ..query("attempts", None)
            },
        ),
    ] {
        let began = Instant::now();
        let mut shown = 0;
        for _ in 0..SNAPSHOTS {
            shown += top.snapshot(&query).rows.len();
        }
        let each = began.elapsed() / SNAPSHOTS;
        let share = each.as_secs_f64() * 4.0 * 100.0;
        println!(
            "snapshot {what}: {each:?}, four a second are {share:.2} % of a core ({shown} rows)"
        );
    }
}

fn query(sort: &'static str, filter: Option<RecordFilter>) -> TopQuery {
    TopQuery {
        by: GroupBy::Peer,
        over: Over::Window,
        sort,
        descending: true,
        filter,
        skip: 0,
        rows: 50,
        detail: None,
    }
}

/// Bytes of memory in use; 0 where the kernel does not tell.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    pages.map_or(0, |pages: u64| pages * 4096)
}
