//! Sources that cannot be read, or only in part: status and message.

use std::os::unix::fs::PermissionsExt;

use crate::capture::{Capture, End};
use crate::{Place, is_root};

#[test]
fn a_file_that_is_not_there_is_named() {
    let place = Place::new("missing");
    for words in [
        &["records", "-r", "no.pcap"][..],
        &["records", "no.pcap"],
        &["no.pcap"],
    ] {
        let run = place.run(words);
        run.ends(
            1,
            &[
                "tcplens: cannot open no.pcap: ",
                "No such file",
                "check the path",
            ],
        );
        assert_eq!(run.out, "");
    }
    place
        .run(&["records", "./no"])
        .ends(1, &["cannot open ./no"]);
}

#[test]
fn a_directory_is_no_capture() {
    let place = Place::new("directory");
    std::fs::create_dir(place.path("all")).unwrap();
    for word in ["all", "./all"] {
        let run = place.run(&["records", "-r", word]);
        run.ends(
            1,
            &[
                "it is a directory; name the capture files in it",
                "/*.pcap)",
            ],
        );
    }
    place
        .run(&["records", "./all"])
        .ends(1, &["it is a directory"]);
    place
        .run(&["records", "all"])
        .ends(2, &["all is a directory; name the capture files in it"]);
}

#[test]
fn a_file_without_permission_says_who_may_read_it() {
    if is_root() {
        eprintln!("SKIPPED: as root every file can be read");
        return;
    }
    let place = Place::new("permission");
    let path = place.write("secret.pcap", &Capture::usual(1).bytes);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    place
        .run(&["records", "secret.pcap"])
        .ends(1, &["secret.pcap", "denied", "as root"]);
}

#[test]
fn what_is_no_capture_shows_its_first_bytes() {
    let place = Place::new("no-capture");
    place.write("notes.txt", b"Dear reader, hello");
    place.write("empty.pcap", b"");
    let run = place.run(&["records", "notes.txt"]);
    run.ends(
        1,
        &[
            "notes.txt: not a capture file",
            "44 65 61 72 20",
            "\"Dear reader, hel\"",
        ],
    );
    place
        .run(&["records", "empty.pcap"])
        .ends(1, &["empty.pcap: it is empty", "--follow"]);
    place
        .run_with_stdin(&["records", "-"], b"GET / HTTP/1.0")
        .ends(1, &["not a capture file"]);
}

#[test]
fn a_truncated_file_gives_all_before_the_damage_and_status_3() {
    let place = Place::new("truncated");
    let mut capture = Capture::usual(3);
    let whole = capture.bytes.len();
    capture.segment(
        End([10, 0, 0, 1], 60000),
        End([10, 0, 0, 2], 80),
        2,
        1,
        0,
        b"",
    );
    capture.bytes.truncate(whole + 30);
    place.write("cut.pcap", &capture.bytes);
    let run = place.run(&["records", "cut.pcap"]);
    run.ends(
        3,
        &[&format!("tcplens: cut.pcap is damaged at byte {whole}: ")],
    );
    assert_eq!(
        (run.records("handshake"), run.records("connection")),
        (4, 4),
        "{run:?}"
    );
    assert!(
        run.out.contains(&format!("\"damaged_at\":{whole}")),
        "{run:?}"
    );
    for command in ["handshakes", "connections"] {
        place
            .run(&[command, "cut.pcap"])
            .ends(3, &["is damaged at byte"]);
    }
}

#[test]
fn an_unknown_link_type_alone_fails_with_its_number() {
    let place = Place::new("link-type");
    let mut capture = Capture::of_link_type(147);
    capture.packet(b"whatever this is");
    capture.packet(b"once more");
    place.write("user.pcap", &capture.bytes);
    place
        .run(&["records", "user.pcap"])
        .ends(1, &["147", "link type"]);
}

#[test]
fn an_output_that_cannot_be_created_fails_and_one_that_is_read_is_refused() {
    let place = Place::new("outputs");
    Capture::usual(1).save(place.path("a.pcap"));
    let run = place.run(&["records", "a.pcap", "-o", "no/where.jsonl"]);
    run.ends(
        1,
        &["cannot create no/where.jsonl", "make the directory first"],
    );
    for option in ["-o", "-w"] {
        let run = place.run(&["records", "a.pcap", option, "a.pcap"]);
        run.ends(2, &["cannot write a.pcap: it is read as a.pcap"]);
    }
    assert_eq!(
        std::fs::read(place.path("a.pcap")).unwrap(),
        Capture::usual(1).bytes
    );
    place.write("old.jsonl", b"precious");
    place
        .run(&["records", "no.pcap", "-o", "old.jsonl"])
        .ends(1, &["no.pcap"]);
    assert_eq!(crate::read(place.path("old.jsonl")), "precious");
}

#[test]
fn connections_beyond_the_limit_are_a_loss() {
    let place = Place::new("limit");
    let mut capture = Capture::new();
    for n in 0..2000 {
        capture.segment(
            End([10, 0, 0, 1], 1000 + n),
            End([10, 0, 0, 2], 80),
            2,
            1,
            0,
            b"",
        );
    }
    capture.save(place.path("flood.pcap"));
    for limit in [["--limit-connections", "64"], ["--limit-memory", "20KiB"]] {
        let run = place.run(&["records", "flood.pcap", limit[0], limit[1]]);
        run.ends(3, &["connections were given up", "--limit-connections"]);
        assert_eq!(run.records("handshake"), 2000);
    }
    place.run(&["records", "flood.pcap"]).is_quiet_success();
}

/// They go before connections, and what they asked is counted.
#[test]
fn flows_of_datagrams_that_are_given_up_are_told_as_that() {
    let place = Place::new("queries");
    let mut capture = Capture::new();
    for n in 0..2000 {
        // A of "a".
        let query = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        capture.datagram(End([10, 0, 0, 1], 1000 + n), End([10, 0, 0, 2], 53), query);
        capture.now -= 9_900;
    }
    capture.save(place.path("queries.pcap"));
    for limit in [["--limit-connections", "64"], ["--limit-memory", "20KiB"]] {
        let run = place.run(&["records", "queries.pcap", limit[0], limit[1]]);
        run.ends(
            3,
            &[
                " flows of datagrams were given up before their end: more were open at once than are kept; \
                 raise --limit-connections or --limit-memory\n",
            ],
        );
        assert!(!run.err.contains("not counted"), "{run:?}");
        assert_eq!(run.records("request"), 2000);
    }
    place.run(&["records", "queries.pcap"]).is_quiet_success();
}
