//! Where results go: formats, files, rotation, saved packets, readers who go away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::capture::{Capture, count_packets};
use crate::{Place, read, without_own_measures};

#[test]
fn kinds_are_selected_and_health_comes_last() {
    let place = Place::new("kinds");
    Capture::usual(3).save(place.path("a.pcap"));
    let kinds = |words: &[&str]| {
        let run = place.run(&[&["records", "a.pcap"], words].concat());
        run.is_quiet_success();
        ["handshake", "connection", "finding", "health"].map(|kind| run.records(kind))
    };
    assert_eq!(kinds(&[]), [4, 4, 0, 1]);
    assert_eq!(kinds(&["--kind", "handshake"]), [4, 0, 0, 0]);
    assert_eq!(kinds(&["--kind", "connection,health"]), [0, 4, 0, 1]);
    assert_eq!(
        kinds(&["--kind", "health", "--kind", "handshake"]),
        [4, 0, 0, 1]
    );
    let run = place.run(&["records", "a.pcap"]);
    let last = run.out.lines().last().unwrap();
    assert!(
        last.contains("\"packets\":29,") && last.contains("\"schema_version\":1"),
        "{last}"
    );
}

#[test]
fn every_format_goes_to_standard_output_or_a_file() {
    let place = Place::new("formats");
    Capture::usual(2).save(place.path("a.pcap"));
    for command in ["records", "handshakes", "connections"] {
        for format in ["text", "jsonl", "csv", "none"] {
            if (command, format) == ("records", "text") {
                continue;
            }
            let plain = place.run(&[command, "a.pcap", "-f", format, "-q"]);
            plain.is_quiet_success();
            assert_eq!(plain.out.is_empty(), format == "none", "{command} {format}");
            let to_file = place.run(&[command, "a.pcap", "-f", format, "-q", "-o", "out"]);
            to_file.is_quiet_success();
            assert_eq!(to_file.out, "");
            if format != "none" {
                let file = without_own_measures(&read(place.path("out")));
                assert_eq!(file, plain.out, "{command} {format}");
            }
        }
    }
}

#[test]
fn the_same_bytes_come_out_anywhere_and_with_any_number_of_threads() {
    let place = Place::new("same");
    Capture::usual(500).save(place.path("a.pcap"));
    for words in [
        &["records", "a.pcap"][..],
        &["records", "a.pcap", "-f", "csv"],
        &["handshakes", "a.pcap"],
        &["connections", "a.pcap"],
    ] {
        let run = |threads: &str, zone: &str| {
            let mut command = place.tcplens(&[words, &["--threads", threads]].concat());
            let output = command
                .env("TZ", zone)
                .env("LC_ALL", "de_DE.UTF-8")
                .output()
                .unwrap();
            crate::Run::of(output)
        };
        let one = run("1", "UTC");
        one.is_quiet_success();
        for (threads, zone) in [
            ("1", "Asia/Kathmandu"),
            ("2", "UTC"),
            ("7", "America/New_York"),
        ] {
            assert_eq!(run(threads, zone), one, "{words:?} {threads} {zone}");
        }
    }
}

#[test]
fn local_time_is_the_zones() {
    let place = Place::new("zone");
    Capture::usual(1).save(place.path("a.pcap"));
    let run = |style: &str| {
        let mut command = place.tcplens(&["handshakes", "a.pcap", "--time", style]);
        let run = crate::Run::of(command.env("TZ", "UTC-2").output().unwrap());
        run.is_quiet_success();
        run.out
    };
    assert!(run("utc").contains(" 2026-11-21 01:08:22.000000Z |"));
    assert!(
        run("local").contains(" 2026-11-21 03:08:22.000000+02:00 |"),
        "{}",
        run("local")
    );
    assert!(run("epoch").contains(" 1795223302.000000 |"));
    // The refusal is 90 ms after the first packet, and only it can be the first line.
    assert!(
        run("relative").contains(" 0.090000 |"),
        "{}",
        run("relative")
    );
}

#[test]
fn saved_packets_are_those_that_were_looked_at() {
    let place = Place::new("write");
    Capture::usual(3).save(place.path("a.pcap"));
    let words = ["records", "a.pcap", "-w", "refused.pcap", "port", "81"];
    let first = place.run(&words);
    first.is_quiet_success();
    assert_eq!(
        count_packets(&std::fs::read(place.path("refused.pcap")).unwrap()),
        2
    );
    let again = place.run(&["records", "refused.pcap"]);
    again.is_quiet_success();
    assert_eq!(again.records("handshake"), 1);
    let numbered =
        |run: &crate::Run, frames: &str| run.out.lines().next().unwrap().contains(frames);
    assert!(
        numbered(&first, "\"first_frame\":28,\"last_frame\":29,"),
        "{first:?}"
    );
    assert!(
        numbered(&again, "\"first_frame\":1,\"last_frame\":2,"),
        "{again:?}"
    );
    for name in ["all.pcap", "all.pcapng", "all.pcap.gz", "all.pcapng.zst"] {
        place
            .run(&["records", "a.pcap", "-w", name])
            .is_quiet_success();
        let copy = place.run(&["records", name]);
        copy.is_quiet_success();
        assert_eq!(copy.out, place.run(&["records", "a.pcap"]).out, "{name}");
    }
    let run = place.run(&["records", "a.pcap", "-w", "-"]);
    run.ends(2, &["both to standard output"]);
    let run = place.run(&["records", "a.pcap", "-w", "x", "-o", "x"]);
    run.ends(2, &["both to x; name two files"]);
}

#[test]
fn packets_can_go_to_standard_output() {
    let place = Place::new("write-stdout");
    Capture::usual(1).save(place.path("a.pcap"));
    let words = ["records", "a.pcap", "-o", "records.jsonl", "-w", "-"];
    let output = place.tcplens(&words).output().unwrap();
    assert!(output.status.success());
    assert_eq!(count_packets(&output.stdout), 11);
    let words = ["records", "a.pcap", "-f", "none", "-w", "-", "port", "81"];
    let output = place.tcplens(&words).output().unwrap();
    assert_eq!(count_packets(&output.stdout), 2);
}

#[test]
fn rotated_files_are_numbered_and_each_is_whole() {
    let place = Place::new("rotate");
    Capture::usual(200).save(place.path("a.pcap"));
    let words = [
        "records", "a.pcap", "-o", "r.csv", "-f", "csv", "--rotate", "20KiB",
    ];
    place.run(&words).is_quiet_success();
    let names: Vec<_> = (1..100)
        .map(|n| place.path(&format!("r-{n:05}.csv")))
        .collect();
    let files: Vec<_> = names
        .iter()
        .filter(|path| path.exists())
        .map(read)
        .collect();
    assert!(files.len() >= 3, "{}", files.len());
    assert!(
        files
            .iter()
            .all(|file| file.starts_with("kind,") && file.ends_with('\n'))
    );
    let lines = files.iter().flat_map(|file| file.lines());
    assert_eq!(
        lines.filter(|line| line.starts_with("handshake,")).count(),
        201
    );
    let words = ["handshakes", "a.pcap", "-o", "h.txt.zst", "--rotate", "1s"];
    place.run(&words).is_quiet_success();
    assert!(place.path("h-00001.txt.zst").exists() && place.path("h-00019.txt.zst").exists());
}

/// Who opens one of them wants to know what the columns are.
#[test]
fn rotated_text_has_its_heading_in_every_file() {
    let place = Place::new("headings");
    Capture::usual(200).save(place.path("a.pcap"));
    for command in ["handshakes", "connections"] {
        let name = format!("{command}.txt");
        let words = [command, "a.pcap", "-o", &name, "--rotate", "5s"];
        place.run(&words).is_quiet_success();
        let files: Vec<_> = (1..100)
            .map(|n| place.path(&format!("{command}-{n:05}.txt")))
            .take_while(|path| path.exists())
            .map(read)
            .collect();
        assert!(files.len() >= 3, "{command}: {}", files.len());
        for file in &files {
            // That of connections has a legend before it.
            let mut head = file.lines().take(2);
            let is_heading = |line: &str| line.contains("DST IP:PORT") || line.contains("SERVER");
            assert!(head.any(is_heading), "{command}: {file}");
            let count = file.lines().filter(|line| is_heading(line)).count();
            assert_eq!(count, 1, "{command}: {file}");
        }
    }
}

#[test]
fn a_reader_who_goes_away_ends_the_run_quietly() {
    let place = Place::new("pipe");
    Capture::usual(5000).save(place.path("a.pcap"));
    for words in [
        &["records", "a.pcap"][..],
        &["handshakes", "a.pcap"],
        &["connections", "a.pcap", "-f", "csv"],
        &["records", "--help"],
    ] {
        let mut command = place.tcplens(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), ""),
            "{words:?}"
        );
    }
}
