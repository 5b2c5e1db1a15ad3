//! `explain`: which connection is meant, what is said where that cannot be told, and that what is told of segments is what the
//! records count.

use std::path::Path;

use crate::capture::{ACK, Capture, End, SYN};
use crate::{Place, Run};

const CLIENT: End = End([10, 0, 0, 1], 40000);
const SERVER: End = End([10, 0, 0, 2], 80);

/// Three connections of nine packets, a refusal (packets 28 and 29), DNS (30) and something that is no IP (31).
fn capture() -> Capture {
    let mut capture = Capture::usual(3);
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
    capture.datagram(End([10, 0, 0, 1], 5353), End([10, 0, 0, 9], 53), query);
    capture.packet(&[0; 60]);
    capture
}

/// Values of a field in lines of JSON.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let start = format!("\"{name}\":");
    let Some(at) = line.find(&start) else {
        return "";
    };
    let rest = &line[at + start.len()..];
    match rest.strip_prefix('"') {
        Some(text) => &text[..text.find('"').unwrap()],
        None => &rest[..rest.find([',', '}']).unwrap()],
    }
}

/// Ids of all connections.
fn ids(run: &Run) -> Vec<String> {
    let lines = run.out.lines();
    lines
        .map(|line| field(line, "connection_id").to_owned())
        .collect()
}

#[test]
fn a_connection_is_named_by_a_packet_an_id_its_beginning_or_an_end() {
    let place = Place::new("explain-names");
    capture().save(place.path("a.pcap"));
    let ids = ids(&place.run(&["records", "--kind", "connection", "a.pcap"]));
    let expected = place.run(&["explain", "12", "a.pcap"]);
    expected.is_quiet_success();
    assert!(
        expected
            .out
            .starts_with("10.0.0.1:40001 => 10.0.0.2:80, http; connection "),
        "{expected:?}"
    );
    let id = ids.iter().find(|id| expected.out.contains(*id)).unwrap();
    for words in [
        &["explain", "-r", "a.pcap", "12"][..],
        &["explain", "a.pcap", "18"],
        &["explain", "a.pcap", id],
        &["explain", &id.to_uppercase(), "a.pcap"],
        &["explain", &id[..24], "-r", "a.pcap"],
        &["explain", "10.0.0.1:40001", "a.pcap"],
        &["explain", "a.pcap", "12", "port", "40001"],
        &["explain", "a.pcap", "12", "--threads", "2"],
    ] {
        assert_eq!(place.run(words), expected, "{words:?}");
    }
    // A stream is read once: that is enough for an id, its beginning and an end.
    let bytes = capture().bytes;
    for name in [id.as_str(), &id[..24], "10.0.0.1:40001"] {
        assert_eq!(
            place.run_with_stdin(&["explain", name, "-r", "-"], &bytes),
            expected
        );
    }
}

#[test]
fn without_a_name_the_worst_is_chosen_and_said_why() {
    let place = Place::new("explain-choice");
    capture().save(place.path("a.pcap"));
    let failed = place.run(&["explain", "a.pcap"]);
    failed.is_quiet_success();
    assert!(
        failed.out.starts_with("10.0.0.1:50000 => 10.0.0.3:81; "),
        "{failed:?}"
    );
    assert!(
        failed
            .out
            .contains("Chosen because it failed to be established"),
        "{failed:?}"
    );
    let chosen = place.run(&["explain", "a.pcap", "port", "80"]);
    assert!(chosen.out.starts_with("10.0.0.1:40000 => "), "{chosen:?}");
    assert!(
        chosen.out.contains(
            "Chosen because its request 1 took 10 ms, the longest of 3 connections and 3 requests."
        ),
        "{chosen:?}"
    );
}

#[test]
fn what_cannot_be_explained_is_said_with_the_reason() {
    let place = Place::new("explain-errors");
    capture().save(place.path("a.pcap"));
    let ids = ids(&place.run(&["records", "--kind", "connection", "a.pcap"]));
    let common = ids[0]
        .bytes()
        .zip(ids[1].bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let prefix = &ids[0][..common];
    for (words, status, said) in [
        (
            &["explain", "32", "a.pcap"][..],
            1,
            &["packet 32 of a.pcap", "31 packets only"][..],
        ),
        (&["explain", "0", "a.pcap"], 1, &["counted from 1"]),
        (&["explain", "30", "a.pcap"], 1, &["it is UDP", "requests"]),
        (&["explain", "31", "a.pcap"], 1, &["it is not TCP"]),
        (
            &["explain", "12", "a.pcap", "port", "81"],
            1,
            &["the expression leaves it out"],
        ),
        (
            &["explain", "18b9f0c1a2b3c4d5-1a2b3c4d", "a.pcap"],
            1,
            &["no such connection in a.pcap", "records --kind connection"],
        ),
        (
            &["explain", "18b9", "a.pcap"],
            1,
            &["cannot explain 18b9: there is no such connection"],
        ),
        (
            &["explain", "1f000002_000000000000a5c5", "a.pcap"],
            1,
            &["kernel's view"],
        ),
        (
            &["explain", "10.0.0.7:1", "a.pcap"],
            1,
            &["cannot explain 10.0.0.7:1"],
        ),
        (
            &["explain", prefix, "a.pcap"],
            2,
            &["several connections", &ids[0], &ids[1]],
        ),
        (
            &["explain", "10.0.0.2:80", "a.pcap"],
            2,
            &["several connections", "by its id"],
        ),
        (
            &["explain", "a.pcap", "port", "1"],
            1,
            &["no TCP connection in a.pcap"],
        ),
        (
            &["explain", "1", "-i", "lo"],
            2,
            &["while capturing", "name an end"],
        ),
        (
            &["explain", "-k"],
            2,
            &["-k shows no packets, which explain tells of"],
        ),
        (
            &["explain", "a.pcap", "--follow"],
            2,
            &["read once only", "is followed"],
        ),
        (&["explain", "a.pcap", "-f", "csv"], 2, &["text", "jsonl"]),
    ] {
        let run = place.run(words);
        run.ends(status, said);
        assert_eq!(run.out, "", "{words:?}");
    }
    let bytes = capture().bytes;
    for (words, said) in [
        (
            &["explain", "3", "-"][..],
            "known only when that packet comes",
        ),
        (&["explain", "-"], "known only at the end"),
    ] {
        let run = place.run_with_stdin(words, &bytes);
        run.ends(
            2,
            &[
                "cannot explain that of standard input: it can be read once only",
                said,
            ],
        );
    }
    let run = place.run_with_stdin(&["explain", "10.0.0.2:80", "-"], &bytes);
    run.ends(2, &["several connections"]);
    // Nothing was written where nothing could be explained.
    place
        .run(&["explain", "32", "a.pcap", "-o", "out.txt"])
        .ends(1, &[]);
    assert!(!place.path("out.txt").exists());
}

#[test]
fn results_go_to_a_file_and_packets_are_saved_once() {
    let place = Place::new("explain-output");
    let capture = capture();
    capture.save(place.path("a.pcap"));
    let printed = place.run(&["explain", "a.pcap", "12"]);
    let run = place.run(&[
        "explain", "a.pcap", "12", "-o", "out.txt", "-w", "w.pcap", "port", "40001",
    ]);
    run.is_quiet_success();
    assert_eq!(crate::read(place.path("out.txt")), printed.out);
    let saved = std::fs::read(place.path("w.pcap")).unwrap();
    assert_eq!(crate::capture::count_packets(&saved), 9);
}

#[test]
fn a_late_packet_belongs_to_no_connection() {
    let place = Place::new("explain-late");
    let mut capture = Capture::new();
    capture.connection(CLIENT, SERVER);
    // The connection lingers for a minute; then it is only remembered.
    capture.now += 70_000_000;
    capture.segment(CLIENT, End([10, 0, 0, 8], 80), SYN, 1, 0, b"");
    capture.segment(SERVER, CLIENT, ACK, 521, 121, b"");
    capture.save(place.path("a.pcap"));
    place
        .run(&["explain", "11", "a.pcap"])
        .ends(1, &["it came after its connection had been concluded"]);
}

#[test]
fn a_damaged_file_is_explained_as_far_as_it_goes() {
    let place = Place::new("explain-damaged");
    let mut capture = Capture::usual(1);
    capture.bytes.truncate(capture.bytes.len() - 30);
    capture.save(place.path("a.pcap"));
    let run = place.run(&["explain", "10.0.0.1:50000", "a.pcap"]);
    assert_eq!(run.status, Some(3), "{run:?}");
    assert!(run.out.contains("SYN"), "{run:?}");
}

/// What of a connection is counted by its record and told by its events: the record's field, and the events' words.
const COUNTED: &[(&str, &[&str])] = &[
    ("retransmits", &["retransmit"]),
    ("partial_retransmits", &["partial_retransmit"]),
    ("fills", &["fill", "fill_lost", "fill_reordered"]),
    ("fills_lost", &["fill_lost"]),
    ("fills_reordered", &["fill_reordered"]),
    ("keepalives", &["keepalive", "window_probe"]),
    ("resets", &["reset"]),
    ("zero_windows", &["window_closed"]),
];

#[test]
fn what_is_told_of_segments_sums_to_the_records_in_every_capture() {
    let place = Place::new("explain-sums");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for case in std::fs::read_dir(here.join("tests/cases")).unwrap() {
        files.push(case.unwrap().path().join("input.pcap"));
    }
    let shared = here.join("../shared/captures");
    if shared.is_dir() {
        for directory in std::fs::read_dir(&shared).unwrap() {
            let directory = directory.unwrap().path();
            let inside = std::fs::read_dir(&directory).into_iter().flatten();
            files.extend(inside.map(|file| file.unwrap().path()));
        }
    } else {
        println!("SKIPPED captures of ../shared: they are not there");
    }
    files.retain(|file| {
        let small = std::fs::metadata(file).is_ok_and(|it| it.len() < 512 << 10);
        small && file.to_string_lossy().contains(".pcap")
    });
    files.sort();
    let explained: u64 = files.iter().map(|file| sums(&place, file)).sum();
    println!("{explained} connections of {} files", files.len());
    assert!(explained > 10, "{explained}");
}

/// Compares the connection of a file that has most to tell, if there is one.
fn sums(place: &Place, file: &Path) -> u64 {
    let name = file.to_str().unwrap();
    let records = place.run(&[
        "records",
        "--kind",
        "connection",
        "-r",
        name,
        "--threads",
        "1",
    ]);
    let number = |line: &str, name: &str| field(line, name).parse::<u64>().unwrap_or(0);
    let odd = |line: &&str| -> u64 {
        let counts = COUNTED.iter().flat_map(|(name, _)| {
            ["client", "server"].map(|end| number(line, &format!("{end}_{name}")))
        });
        counts.sum()
    };
    let mut lines: Vec<_> = records.out.lines().filter(|line| odd(line) > 0).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(odd(line)));
    lines.truncate(1);
    for line in &lines {
        let id = field(line, "connection_id");
        let run = place.run(&[
            "explain",
            id,
            "-r",
            name,
            "-f",
            "jsonl",
            "--all",
            "--threads",
            "1",
        ]);
        assert!(
            matches!(run.status, Some(0 | 3)),
            "{name} {id}: {}",
            run.err
        );
        for end in ["client", "server"] {
            let told = |words: &[&str]| -> u64 {
                let events = run.out.lines().filter(|event| {
                    field(event, "kind") == "event"
                        && field(event, "from") == end
                        && words.contains(&field(event, "what"))
                });
                events.map(|event| number(event, "segments")).sum()
            };
            for (counter, words) in COUNTED {
                let counted = number(line, &format!("{end}_{counter}"));
                assert_eq!(told(words), counted, "{name} {id}: {end}_{counter}");
            }
            let other = if end == "client" { "server" } else { "client" };
            let counted = number(line, &format!("{other}_dsacks"));
            assert_eq!(told(&["dsack"]), counted, "{name} {id}: {other}_dsacks");
        }
    }
    lines.len() as u64
}
