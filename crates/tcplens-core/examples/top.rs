//! What `top` costs: records of many destinations, and snapshots of them.
//!
//! ```sh
//! cargo run --release -p tcplens-core --example top [DESTINATIONS [RECORDS]]
//! ```

use std::time::Duration;

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
/// Packet time of all records.
const SECONDS: i64 = 100;

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
    let mut seed = 1_u64;
    let mut spent = [0_u64; 3];
    // By seconds, and within one by kind, so that the clock is looked at seldom.
    for second in 0..SECONDS {
        for (kind, spent) in spent.iter_mut().enumerate() {
            // Two requests for each attempt and connection.
            let count = records / SECONDS.unsigned_abs() / if kind == 2 { 2 } else { 4 };
            let made: Vec<_> = (0..count)
                .map(|_| {
                    // Marsaglia's xorshift: the same in every run.
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    let server = &servers[usize::try_from(seed % destinations).unwrap_or(0)];
                    let took = seed >> 20 & 1023;
                    let mut asked = request(second.unsigned_abs(), server, 80, took);
                    asked.process_us = ms(took + 2);
                    let attempt = handshake(second, "10.99.0.1", server, 80);
                    (attempt, connection(second, "10.99.0.1", server, 80), asked)
                })
                .collect();
            let began = cpu_ns();
            top.clock(START.plus(second * SECOND));
            for (attempt, over, asked) in &made {
                match kind {
                    0 => top.add(AnyRecord::Handshake(attempt)),
                    1 => top.add(AnyRecord::Connection(over)),
                    _ => top.request(asked),
                }
            }
            *spent += cpu_ns() - began;
        }
    }
    let quarter = (records / 4).max(1);
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
        let began = cpu_ns();
        let mut shown = 0;
        for _ in 0..SNAPSHOTS {
            shown += top.snapshot(&query).rows.len();
        }
        let each = Duration::from_nanos((cpu_ns() - began) / u64::from(SNAPSHOTS));
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
        by_share: false,
        descending: true,
        filter,
        skip: 0,
        rows: 50,
        detail: None,
    }
}

/// Time on a processor, which a busy machine does not stretch; 0 where the kernel does not tell.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Bytes of memory in use; 0 where the kernel does not tell.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    pages.map_or(0, |pages: u64| pages * 4096)
}
