//! What the commands show: sources of all kinds, filters, handshakes with their summaries.

use std::io::Write;

use crate::capture::{Capture, End, SYN};
use crate::{Place, Run};

#[test]
fn sources_are_files_words_and_standard_input() {
    let place = Place::new("sources");
    let capture = Capture::usual(3);
    capture.save(place.path("a.pcap"));
    let named = place.run(&["records", "-r", "a.pcap", "port", "80"]);
    named.is_quiet_success();
    assert_eq!(
        (named.records("handshake"), named.records("health")),
        (3, 1)
    );
    assert_eq!(place.run(&["records", "port", "80", "a.pcap"]), named);
    assert_eq!(place.run(&["records", "a.pcap", "port 80"]), named);
    assert_eq!(
        place.run(&["records", "a.pcap", "--exclude", "port 81"]),
        named
    );
    assert_eq!(
        place.run_with_stdin(&["records", "-", "port", "80"], &capture.bytes),
        named
    );
    assert_eq!(
        place.run_with_stdin(&["records", "-r", "-", "port", "80"], &capture.bytes),
        named
    );
}

#[test]
fn several_files_are_one_observation_in_the_order_of_time() {
    let place = Place::new("several");
    let whole = Capture::usual(3);
    // After 24 bytes of header, each packet goes to one of two files.
    let mut parts = [Capture::new(), Capture::new()];
    let mut rest = &whole.bytes[24..];
    while let Some(header) = rest.get(..16) {
        // Short packets: their length is in one byte.
        let (packet, after) = rest.split_at(16 + usize::from(header[8]));
        parts[after.len() % 2].bytes.extend(packet);
        rest = after;
    }
    whole.save(place.path("whole.pcap"));
    parts[0].save(place.path("even.pcap"));
    parts[1].save(place.path("odd.pcap"));
    let expected = place.run(&["records", "whole.pcap"]);
    expected.is_quiet_success();
    for words in [["odd.pcap", "even.pcap"], ["even.pcap", "odd.pcap"]] {
        let run = place.run(&["records", words[0], words[1]]);
        assert_eq!(handshakes(&run), handshakes(&expected));
        assert_eq!(place.run(&["records", "-r", words[0], "-r", words[1]]), run);
    }
}

fn handshakes(run: &Run) -> Vec<&str> {
    run.out
        .lines()
        .filter(|line| line.contains("\"handshake\","))
        .collect()
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let place = Place::new("compressed");
    let capture = Capture::usual(20);
    capture.save(place.path("a.pcap"));
    let expected = place.run(&["records", "a.pcap"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&capture.bytes).unwrap();
    place.write("a.gz", &gzip.finish().unwrap());
    place.write(
        "a.zst",
        &zstd::encode_all(capture.bytes.as_slice(), 1).unwrap(),
    );
    for name in ["a.gz", "a.zst"] {
        assert_eq!(place.run(&["records", name]), expected, "{name}");
    }
}

#[test]
fn counting_and_lasting_stop_early() {
    let place = Place::new("count");
    Capture::usual(3).save(place.path("a.pcap"));
    let packets = |words: &[&str]| {
        let run = place.run(&[&["records", "a.pcap", "--kind", "health"], words].concat());
        run.is_quiet_success();
        let at = run.out.find("\"packets\":").unwrap() + 10;
        run.out[at..]
            .split(',')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(packets(&[]), 29);
    assert_eq!(packets(&["-c", "5"]), 5);
    assert_eq!(packets(&["-c", "2", "port", "81"]), 2);
    assert_eq!(packets(&["--duration", "0.05"]), 6);
    assert_eq!(packets(&["--duration", "50ms"]), 6);
}

#[test]
fn handshakes_end_with_a_summary() {
    let place = Place::new("summary");
    let mut capture = Capture::usual(2);
    let (client, server) = (End([10, 0, 0, 1], 50001), End([10, 0, 0, 4], 82));
    capture.segment(client, server, SYN, 7, 0, b"");
    capture.segment(client, server, SYN, 7, 0, b"");
    capture.segment(client, server, SYN, 7, 0, b"");
    capture.save(place.path("a.pcap"));
    let run = place.run(&["handshakes", "a.pcap"]);
    run.is_quiet_success();
    let (lines, summary) = run.out.split_once("\n\n").unwrap();
    assert_eq!(lines.lines().count(), 5);
    assert_eq!(
        summary,
        "\
first attempt 2026-11-21 01:08:22.000000Z, last 2026-11-21 01:08:22.200000Z (0.200 s)

FILTER    OUTCOME          |  ATTEMPTS
all       all              |         4
all       established      |         2
all       refused          |         1
all       unanswered       |         1

FILTER    REPEATED         |  ATTEMPTS  SEGMENTS
all       SYN, established |         0         0
all       S/A, established |         0         0
all       SYN, others      |         1         2

FILTER    TIME             |  ATTEMPTS |    LEAST      50 %      90 %      99 %   LONGEST
all       handshake        |         2 |    20 ms     20 ms     20 ms     20 ms     20 ms
all       SYN to S/A       |         2 |    10 ms     10 ms     10 ms     10 ms     10 ms
all       S/A to ACK       |         2 |    10 ms     10 ms     10 ms     10 ms     10 ms
"
    );
    let only = place.run(&["handshakes", "a.pcap", "-q"]);
    only.is_quiet_success();
    assert_eq!(only.out, summary);
    let machine = place.run(&["handshakes", "a.pcap", "-f", "jsonl"]);
    assert_eq!((machine.status, machine.records("handshake")), (Some(0), 4));
    assert_eq!(machine.err, summary);
    place
        .run(&["handshakes", "a.pcap", "-f", "jsonl", "-q"])
        .is_quiet_success();
    let none = place.run(&["handshakes", "a.pcap", "port", "9"]);
    assert_eq!(none.out, "no attempts\n");
}

#[test]
fn tcpeeks_filters_count_by_direction_once_each() {
    let place = Place::new("tcpeek");
    let mut capture = Capture::usual(2);
    capture.connection(End([10, 0, 0, 9], 41000), End([10, 0, 0, 1], 22));
    capture.connection(End([192, 0, 2, 1], 5), End([192, 0, 2, 2], 80));
    capture.save(place.path("a.pcap"));
    let totals = |words: &[&str]| {
        let run = place.run(&[&["handshakes", "a.pcap"], words].concat());
        assert_eq!(run.status, Some(0));
        let rows = run.out.lines().filter_map(|line| line.split_once(" | "));
        let rows = rows.filter_map(|(left, right)| {
            let words: Vec<_> = left.split_whitespace().collect();
            let [name, "all"] = words[..] else {
                return None;
            };
            Some(format!("{name} {}", right.trim()))
        });
        rows.collect::<Vec<_>>()
    };
    let local = ["--local", "10.0.0.1"];
    assert_eq!(totals(&local), ["RX 1", "TX 3", "forwarded 1"]);
    let filters = [
        "web:TX@%:80:%",
        "none:RX@10.0.0.2:80",
        "ssh:RX@10.0.0.0/8:22",
    ];
    assert_eq!(
        totals(&[&local[..], &filters[..]].concat()),
        ["RX 1", "TX 3", "forwarded 1", "web 3", "none 0", "ssh 1"]
    );
    assert_eq!(
        totals(&["--local", "10.0.0.1", ":TX@*:80", ":RX@*:22"]),
        ["RX 0", "TX 1", "forwarded 1"]
    );
    let run = place.run(&["handshakes", "a.pcap", "web:RX@%:80"]);
    run.ends(0, &["\"web\" counts both directions", "--local"]);
    assert_eq!(totals(&["web:RX@%:80"]), ["all 5", "web 3"]);
}

#[test]
fn roles_are_as_the_user_names_them() {
    let place = Place::new("roles");
    let mut capture = Capture::new();
    let (low, high) = (End([10, 0, 0, 1], 50), End([10, 0, 0, 2], 60));
    capture.segment(low, high, 16, 1, 1, b"middle of something");
    capture.save(place.path("a.pcap"));
    let has = |words: &[&str], expected: &str| {
        let run = place.run(&[&["records", "a.pcap", "--kind", "connection"], words].concat());
        run.is_quiet_success();
        assert!(run.out.contains(expected), "{expected}: {run:?}");
    };
    has(&[], "\"server_port\":50,\"role_from\":\"port\"");
    has(
        &["-p", "80,55-65"],
        "\"server_port\":60,\"role_from\":\"configured\"",
    );
    has(
        &["--server", "10.0.0.2/32"],
        "\"server_port\":60,\"role_from\":\"configured\"",
    );
    has(
        &["--local", "10.0.0.2"],
        "\"direction\":\"outbound\",\"tap_side\":\"client\"",
    );
    has(&["--side", "middle"], "\"tap_side\":\"middle\"");
}

#[test]
fn report_says_what_is_wrong_and_where_to_look() {
    let place = Place::new("report");
    Capture::usual(3).save(place.path("a.pcap"));
    let run = place.run(&["a.pcap"]);
    run.is_quiet_success();
    for said in [
        "a.pcap: 29 packets",
        "10.0.0.3:81 refuses every connection",
        "packets: 28",
    ] {
        assert!(run.out.contains(said), "{said}: {}", run.out);
    }
    assert_eq!(place.run(&["report", "-r", "a.pcap"]), run);
    assert_ne!(place.run(&["a.pcap", "port", "80"]).out, run.out);
    let machine = place.run(&["a.pcap", "-f", "jsonl"]);
    machine.is_quiet_success();
    assert_eq!(
        (machine.records("finding"), machine.records("health")),
        (1, 1)
    );
    let records = place.run(&["records", "a.pcap", "--kind", "finding"]);
    assert_eq!(
        (records.records("finding"), records.out.lines().count()),
        (1, 1)
    );
    assert!(machine.out.starts_with(&records.out));
    // Also those that rest on requests.
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/shop.pcap");
    let machine = place.run(&["report", sample, "-f", "jsonl"]).out;
    let records = place.run(&["records", sample, "--kind", "finding"]).out;
    assert!(machine.starts_with(&records) && records.contains("slow_server"));
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let place = Place::new("color");
    Capture::usual(1).save(place.path("a.pcap"));
    let is_colored = |words: &[&str]| {
        place
            .run(&[&["connections", "a.pcap"], words].concat())
            .out
            .contains('\x1b')
    };
    assert!(!is_colored(&[]) && !is_colored(&["--color", "never"]));
    assert!(is_colored(&["--color", "always"]));
}

#[test]
fn a_report_of_a_stream_names_a_file_to_be_saved() {
    let place = Place::new("stream-report");
    let capture = Capture::usual(1);
    let run = place.run_with_stdin(&["report", "-"], &capture.bytes);
    run.is_quiet_success();
    assert!(
        run.out.contains("\nWhat was read cannot be read again: "),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("show: tcplens handshakes -r FILE 'tcp"),
        "{}",
        run.out
    );
    capture.save(place.path("a.pcap"));
    let file = place.run(&["report", "a.pcap"]);
    assert!(!file.out.contains("cannot be read again"), "{}", file.out);
}
