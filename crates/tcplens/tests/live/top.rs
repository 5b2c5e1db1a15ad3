//! `top` on live packets: trtop's scenario replayed over a cable, what nothing answers, tables by the clock.

use std::collections::BTreeMap;
use std::path::Path;

use crate::frames;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::tap::{Tap, alone, tcplens};
use crate::traffic::{Connection, pings};

/// Columns of golden/trtop/scenario.expected.tsv and the field of each. Times are in ms there.
const COLUMNS: [(&str, &str); 13] = [
    ("syn", "attempts"),
    ("synack", "syn_acks"),
    ("est", "established"),
    ("rst", "resets"),
    ("fin_o", "fins_out"),
    ("fin_i", "fins_in"),
    ("reuse_p95", "reuse_p95"),
    ("out", "requests"),
    ("in", "responses"),
    ("err", "capture_losses"),
    ("connect_p95_ms", "connect_p95_us"),
    ("request_p95_ms", "request_p95_us"),
    ("process_p95_ms", "process_p95_us"),
];

/// Rows of CSV, by the names of their columns.
fn csv(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let rows = lines.map(|line| heading.iter().copied().zip(line.split(',')).collect());
    rows.collect()
}

#[test]
fn the_scenario_replayed_over_a_cable_has_the_truth_of_every_column() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/trtop");
    if !golden.is_dir() {
        println!("SKIPPED: no ../shared/golden/trtop beside the workspace");
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("top-golden");
    // Segments of 50,000 bytes do not fit the usual cable.
    a.ip("link set va mtu 65535");
    b.ip("link set vb mtu 65535");
    let words = [
        "top",
        "-i",
        "va",
        "--over",
        "start",
        "--interval",
        "1h",
        "-f",
        "csv",
        "-w",
        "saved.pcap",
        "net 10.10.0.0/24",
    ];
    let tap = Tap::start(tcplens(&a, &place, &words));
    let frames = frames::of_capture(&golden.join("scenario.pcap"));
    if !frames::send_paced(&b, "vb", &frames) {
        return;
    }
    let live = tap.interrupt();
    live.is(0, &[" 0 packets dropped by kernel"]);
    assert_eq!(live.counted().0, frames.len() as u64);
    let rows = csv(&live.out);
    let truth = std::fs::read_to_string(golden.join("scenario.expected.tsv")).unwrap();
    let truth = truth.replace('\t', ",");
    assert_eq!(rows.len(), 3, "{}", live.out);
    for expected in csv(&truth)
        .iter()
        .filter(|row| row["capture"] == "scenario.pcap")
    {
        let is_it = |row: &&BTreeMap<&str, &str>| match expected["destination"] {
            "Totals" => row["sum"] == "true",
            destination => row["ip"] == destination,
        };
        let row = rows.iter().find(is_it).unwrap();
        for (theirs, ours) in COLUMNS {
            if !theirs.ends_with("_ms") {
                assert_eq!(row[ours], expected[theirs], "{ours}: {row:?}");
                continue;
            }
            // As long as the replay took: its pace is python's, which may wait for the processor, but never hurries.
            let (got, expected) = (row[ours].parse::<f64>().unwrap() / 1000.0, expected[theirs]);
            let expected: f64 = expected.parse().unwrap();
            let is_near = got > expected * 0.8 - 1.0 && got < expected + 100.0;
            assert!(is_near, "{ours}: {got} ms, not {expected} ms");
        }
    }
    // What was saved has its times: there every number is the same, to the nanosecond.
    let words = ["top", "saved.pcap", "-f", "csv"];
    let output = alone(&place, &words).output().unwrap();
    let saved = String::from_utf8(output.stdout).unwrap();
    let numbers = |text: &str| -> Vec<Vec<String>> {
        let rows = csv(text).into_iter();
        rows.map(|row| {
            let same = |name: &str| !["time", "vantage", "window_us", "pending"].contains(&name);
            let cells = row.iter().filter(|(name, _)| same(name));
            cells.map(|(name, cell)| format!("{name}={cell}")).collect()
        })
        .collect()
    };
    assert_eq!(numbers(&live.out), numbers(&saved));
}

#[test]
fn what_is_sent_on_open_connections_is_in_the_tables_while_it_is_and_what_nobody_answers_at_once() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("top-live");
    let words = [
        "top",
        "-i",
        "va",
        "--by",
        "server",
        "--interval",
        "1",
        "-f",
        "csv",
    ];
    let tap = Tap::start(tcplens(&a, &place, &words));
    pings(&a, &b, "10.9.0.2:6379", 3);
    let mut connection = Connection::open(&a, &b, "10.9.0.2:6380");
    // One SYN from nobody: the kernel of `a` is not the sender, and hears of no answer.
    let syn = &frames::connection(None, 40_000)[..1];
    if !frames::send(&b, "vb", syn) {
        return;
    }
    // With what redis says of a SET.
    connection.upload(100_000);
    let has = |text: &str, is_it: &dyn Fn(&BTreeMap<&str, &str>) -> bool| {
        // The last line may be half there.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        csv(whole).iter().any(is_it)
    };
    tap.until("an open connection has bytes", |text| {
        has(text, &|row| {
            row["port"] == "6380" && row["bytes_out"] == "100031" && row["open"] == "1"
        })
    });
    tap.until("a silent server waits", |text| {
        has(text, &|row| {
            row["ip"] == "10.9.7.1" && row["pending"] == "1"
        })
    });
    connection.upload(50_000);
    tap.until("what was sent later is in a later table", |text| {
        has(text, &|row| {
            row["port"] == "6380" && row["bytes_out"] == "50030"
        })
    });
    connection.close();
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let sum = |port: &str, field: &str| -> u64 {
        let rows = csv(&ended.out);
        let rows = rows.iter().filter(|row| row["port"] == port);
        rows.map(|row| row[field].parse::<u64>().unwrap()).sum()
    };
    assert_eq!(sum("6380", "bytes_out"), 150_061, "{}", ended.out);
    // The SYN that nobody answered is an attempt when the observation ends.
    assert_eq!((sum("6379", "attempts"), sum("6380", "attempts")), (2, 1));
}

#[test]
fn one_table_or_two_and_the_end() {
    let Some((a, _b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("top-tables");
    for (words, tables) in [
        (&["--once", "--window", "1"][..], 1),
        (&["--batch", "2", "--interval", "0.5"], 2),
        (&["--duration", "1", "--interval", "1h"], 1),
    ] {
        let words = [&["top", "-i", "va", "-q"], words].concat();
        let tap = Tap::start_quiet(tcplens(&a, &place, &words));
        let ended = tap.end();
        ended.is(0, &[]);
        assert_eq!(ended.out.matches("Totals").count(), tables, "{}", ended.out);
    }
}
