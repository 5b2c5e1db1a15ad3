//! How a run ends: the closing line, the status, what ends it.

use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of_kind;
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings};

/// Packets of a connection with so many requests on lo: three to begin with, two or three for each request, up to four to end.
fn packets(requests: u64) -> std::ops::RangeInclusive<u64> {
    3 + 2 * requests..=8 + 3 * requests
}

#[test]
fn every_command_and_format_ends_with_the_counts() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("formats");
    let commands: &[&[&str]] = &[
        &["records", "-f", "jsonl"],
        &["records", "-f", "csv"],
        &["records", "-f", "none"],
        &["requests"],
        &["requests", "-f", "none"],
        &["requests", "-f", "tcprt"],
        &["handshakes"],
        &["connections"],
        &["report"],
        &["report", "-q"],
        &["script", "example"],
        // Without a command it is a report.
        &[],
    ];
    let start = |words: &&[&str]| {
        let words = [words, &["-i", "lo"][..]].concat();
        let command = tcplens(&lo, &place, &words);
        match words.contains(&"-q") {
            // It does not say when it captures.
            true => Tap::start_quiet(command),
            false => Tap::start(command),
        }
    };
    let taps: Vec<Tap> = commands.iter().map(start).collect();
    pings(&lo, &lo, "127.0.0.1:6379", 2);
    for (tap, words) in taps.into_iter().zip(commands) {
        let ended = tap.interrupt();
        ended.is(0, &[]);
        let (captured, dropped) = ended.counted();
        assert!(packets(2).contains(&captured), "{words:?}: {ended:?}");
        assert_eq!(dropped, 0);
        let last = ended.err.lines().last().unwrap();
        assert!(last.ends_with("dropped by kernel"), "{words:?}: {ended:?}");
        assert_eq!(
            ended.out.is_empty(),
            words.contains(&"none"),
            "{words:?}: {ended:?}"
        );
    }
}

#[test]
fn sigint_and_sigterm_end_a_run_with_everything_told() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("signals");
    for signal in ["-INT", "-TERM"] {
        let tap = Tap::start(tcplens(&lo, &place, &["records", "-i", "lo"]));
        let connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        tap.signal(signal);
        let ended = tap.end();
        ended.is(0, &["3 packets captured, 0 packets dropped by kernel"]);
        for kind in ["handshake", "connection", "health"] {
            assert_eq!(of_kind(&ended.out, kind).len(), 1, "{ended:?}");
        }
        drop(connection);
    }
}

/// timeout(1) signals a process, and then its group.
#[test]
fn two_signals_at_once_are_one() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("twice");
    let tap = Tap::start(tcplens(&lo, &place, &["report", "-i", "lo"]));
    pings(&lo, &lo, "127.0.0.1:6379", 2);
    tap.signal("-TERM");
    tap.signal("-TERM");
    let ended = tap.end();
    ended.is(0, &[" packets captured, 0 packets dropped by kernel"]);
    assert!(ended.out.contains("2 requests"), "{ended:?}");
}

#[test]
fn count_ends_a_run_after_so_many_packets() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("count");
    let words = ["records", "-i", "lo", "--count", "5", "-w", "five.pcap"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    pings(&lo, &lo, "127.0.0.1:6379", 10);
    tap.end()
        .is(0, &["5 packets captured, 0 packets dropped by kernel"]);
    let file = alone(&place, &["records", "five.pcap"]).output().unwrap();
    let out = String::from_utf8(file.stdout).unwrap();
    assert!(out.contains("\"packets\":5,"), "{out}");
}

#[test]
fn duration_ends_a_run_by_the_clock_with_and_without_packets() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("duration");
    let began = Instant::now();
    let words = ["records", "-i", "lo", "--duration", "1"];
    let idle = Tap::start(tcplens(&lo, &place, &words));
    idle.end()
        .is(0, &["0 packets captured, 0 packets dropped by kernel"]);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let busy = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    until("the end, while packets come", || {
        connection.ping();
        busy.err().contains("packets captured")
    });
    busy.end().is(0, &[]);
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("head");
    let (tap, out) = Tap::start_unread(tcplens(&lo, &place, &["requests", "-i", "lo"]));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    connection.ping();
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(out);
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert!(!line.is_empty());
    drop(reader);
    // It learns of it when it writes.
    until("the end", || {
        connection.ping();
        tap.err().contains("packets captured")
    });
    let ended = tap.end();
    ended.is(0, &[]);
    assert_eq!(ended.err.lines().count(), 2, "{ended:?}");
}
