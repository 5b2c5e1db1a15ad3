//! `top`: formats, tables, what it refuses, and a replay that is interrupted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::capture::{Capture, End};
use crate::{Place, read};

#[test]
fn every_format_has_the_rows_and_then_their_sum() {
    let place = Place::new("top-formats");
    Capture::usual(3).save(place.path("a.pcap"));
    for format in ["text", "jsonl", "csv", "none"] {
        let plain = place.run(&["top", "a.pcap", "-f", format]);
        plain.is_quiet_success();
        let lines = plain.out.lines().count();
        let last = plain.out.lines().last().unwrap_or_default();
        let (expected, sum) = match format {
            "text" => (6, "Totals "),
            "jsonl" => (3, "\"sum\":true,\"comm\":\"all\""),
            "csv" => (4, ",true,,,,all,"),
            _ => (0, ""),
        };
        assert!(
            lines == expected && last.contains(sum),
            "{format}: {}",
            plain.out
        );
        let to_file = place.run(&["top", "a.pcap", "-f", format, "-o", "out"]);
        to_file.is_quiet_success();
        assert_eq!(to_file.out, "");
        if format != "none" {
            assert_eq!(read(place.path("out")), plain.out);
        }
    }
    let run = place.run(&["top", "a.pcap", "-f", "parquet"]);
    run.ends(2, &["Parquet is for files"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    let place = Place::new("top-refused");
    Capture::usual(1).save(place.path("a.pcap"));
    for (words, said) in [
        (
            &["--sort", "latency"][..],
            "there is no field \"latency\"; there are time, vantage,",
        ),
        (
            &["--sort", "bytes_in%"],
            "bytes_in is no part of anything; a share can be asked of syn_acks,",
        ),
        (
            &["--sort", "attempts:up"],
            "write FIELD, FIELD:asc or FIELD:desc",
        ),
        (
            &["--where", "faild > 0"],
            "has no field `faild`; near it are: failed",
        ),
        (
            &["--mark", "bytes_in>10%"],
            "`bytes_in` is no part of anything",
        ),
        (&["--mark", "resets"], "expected FIELD<VALUE or FIELD>VALUE"),
        (&["--once", "--batch", "2"], "cannot be used with"),
        (&["--batch", "0"], "it is zero"),
        (&["--replay=0"], "is no speed"),
        (&["--by", "host"], "peer"),
    ] {
        let run = place.run(&[&["top", "a.pcap"], words].concat());
        run.ends(2, &[said]);
        assert_eq!(run.out, "", "{words:?}");
    }
    place
        .run(&["top", "--replay"])
        .ends(2, &["--replay is for files"]);
}

#[test]
fn destinations_are_among_the_records_where_they_are_asked_for() {
    let place = Place::new("top-records");
    Capture::usual(3).save(place.path("a.pcap"));
    for format in ["jsonl", "csv"] {
        let table = place.run(&["top", "a.pcap", "-f", format]);
        let records = place.run(&["records", "a.pcap", "--kind", "peer", "-f", format]);
        records.is_quiet_success();
        assert_eq!(records.out, table.out);
    }
    let all = place.run(&["records", "a.pcap", "--kind", "handshake,peer,health"]);
    let kinds: Vec<_> = all.out.lines().filter_map(|line| line.get(9..13)).collect();
    assert_eq!(
        kinds,
        [
            "hand", "hand", "hand", "hand", "peer", "peer", "peer", "heal"
        ]
    );
    let usual = place.run(&["records", "a.pcap"]);
    assert!(!usual.out.contains("\"kind\":\"peer\""));
    place.write("empty.pcap", &Capture::new().bytes);
    let run = place.run(&["records", "empty.pcap", "--kind", "peer"]);
    assert_eq!((run.status, run.out.as_str()), (Some(0), ""));
}

#[test]
fn a_capture_without_packets_has_no_table() {
    let place = Place::new("top-empty");
    place.write("empty.pcap", &Capture::new().bytes);
    let run = place.run(&["top", "empty.pcap"]);
    assert_eq!((run.status, run.out.as_str()), (Some(0), "no packets\n"));
    assert_eq!(place.run(&["top", "empty.pcap", "-f", "jsonl"]).out, "");
}

#[test]
fn a_replay_that_is_interrupted_ends_at_once_with_what_it_has_shown() {
    let place = Place::new("top-replay");
    let mut capture = Capture::usual(1);
    // An hour without packets.
    capture.now += 3_600_000_000;
    capture.connection(End([10, 0, 0, 1], 41000), End([10, 0, 0, 2], 80));
    capture.save(place.path("a.pcap"));
    let words = [
        "top",
        "a.pcap",
        "--replay",
        "--interval",
        "0.05",
        "-f",
        "csv",
    ];
    let mut command = place.tcplens(&words);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    // The heading and a table.
    while text.lines().count() < 2 {
        assert!(reader.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    };
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(status.code(), Some(0), "{text}");
    // Not the rest of the hour.
    assert!(text.lines().count() < 5000, "{}", text.lines().count());
}
