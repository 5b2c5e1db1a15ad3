//! `top` beside trtop: every column of every destination as golden/trtop/expected.py tells the truth, from a file in one
//! table and in many, and with any number of threads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::json::Json;
use crate::{golden, out, run};

/// Our field of each of its columns; those that are counts.
const COUNTS: [(&str, &str); 10] = [
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
];
/// Those that are times: theirs in ms.
const TIMES: [(&str, &str); 3] = [
    ("connect_p95_ms", "connect_p95_us"),
    ("request_p95_ms", "request_p95_us"),
    ("process_p95_ms", "process_p95_us"),
];

/// The truth of a capture, by destination and column.
fn truth(golden: &Path, capture: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = fs::read_to_string(golden.join("scenario.expected.tsv")).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let heading: Vec<String> = lines.next().unwrap().collect();
    let rows = lines.map(|line| {
        heading
            .iter()
            .cloned()
            .zip(line)
            .collect::<BTreeMap<_, _>>()
    });
    let rows = rows.filter(|row| row["capture"] == capture);
    rows.map(|row| (row["destination"].clone(), row)).collect()
}

fn destination(record: &Json) -> String {
    match record.word("sum").as_str() {
        "true" => "Totals".to_owned(),
        _ => record.word("ip"),
    }
}

#[test]
fn every_column_of_every_destination_is_the_truth() {
    let Some(golden) = golden("trtop") else {
        return;
    };
    for capture in ["scenario.pcap", "any.pcap"] {
        let truth = truth(&golden, capture);
        let text = out("top", golden.join(capture), &["-f", "jsonl"]);
        let records: Vec<Json> = text.lines().map(Json::of).collect();
        assert_eq!(records.len(), truth.len(), "{text}");
        for record in &records {
            let row = &truth[&destination(record)];
            for (theirs, ours) in COUNTS {
                assert_eq!(row[theirs], record.word(ours), "{ours} of {record:?}");
            }
            for (theirs, ours) in TIMES {
                let expected = row[theirs].parse::<f64>().unwrap();
                let got = record.thousandths(ours).unwrap() as f64 / 1e6;
                // Percentiles are within 1/128; theirs are rounded to the µs.
                let allowed = expected / 128.0 + 0.000_5;
                assert!(
                    (got - expected).abs() <= allowed,
                    "{ours}: {got}, not {expected}"
                );
            }
        }
        // T6, T8: rates are of packet time, and the whole capture is a quarter of a second.
        let window = records[0].thousandths("window_us").unwrap() / 1_000_000;
        assert!((230..260).contains(&window), "{window} ms");
    }
}

#[test]
fn tables_of_intervals_add_up_to_the_table_of_all() {
    let Some(golden) = golden("trtop") else {
        return;
    };
    let words = ["--interval", "0.05", "-f", "jsonl"];
    let text = out("top", golden.join("scenario.pcap"), &words);
    let mut sums: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
    for record in text.lines().map(Json::of) {
        let sums = sums.entry(destination(&record)).or_default();
        for (_, ours) in COUNTS.iter().filter(|(_, ours)| *ours != "reuse_p95") {
            *sums.entry(ours).or_default() += record.word(ours).parse::<u64>().unwrap();
        }
    }
    let truth = truth(&golden, "scenario.pcap");
    assert!(sums.keys().eq(truth.keys()), "{sums:?}");
    for (name, sums) in &sums {
        for (theirs, ours) in COUNTS.iter().filter(|(_, ours)| *ours != "reuse_p95") {
            assert_eq!(
                truth[name][*theirs],
                sums[ours].to_string(),
                "{ours} of {name}"
            );
        }
    }
    assert_eq!(text.matches("\"sum\":true").count(), 5, "{text}");
}

#[test]
fn no_number_of_threads_and_no_pace_changes_a_byte() {
    let Some(golden) = golden("trtop") else {
        return;
    };
    for capture in ["scenario.pcap", "any.pcap"] {
        let capture = golden.join(capture);
        let words = ["--by", "server", "--interval", "0.02", "-f", "csv"];
        let one = out("top", &capture, &words);
        for more in [
            &["--threads", "1"][..],
            &["--threads", "5"],
            &["--replay=20"],
        ] {
            let again = out("top", &capture, &[&words[..], more].concat());
            assert_eq!(one, again, "{more:?}");
        }
    }
}

#[test]
fn a_replay_takes_its_time() {
    let Some(golden) = golden("trtop") else {
        return;
    };
    let begun = std::time::Instant::now();
    let capture = golden.join("scenario.pcap");
    let replayed = run(
        "top",
        &capture,
        &["--replay=0.5", "--batch", "2", "--interval", "0.1"],
    );
    assert_eq!(
        (replayed.status, replayed.out.matches("Totals").count()),
        (Some(0), 2),
        "{replayed:?}"
    );
    assert!(begun.elapsed().as_millis() >= 400, "{:?}", begun.elapsed());
}
