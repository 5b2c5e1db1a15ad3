//! `anomalies` and `check` over a store whose truth is known: three days and two hours of eight servers in two racks, of which one becomes slow
//! in the last hour; and the same store without that.
#![cfg(feature = "parquet")]

use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;

use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::store::{Keep, StoreKind, StoreRecord, StoreSettings, StoreSink, StoreWriter};

use crate::capture::{ACK, Capture, End, SYN};
use crate::{Place, Run, read};

/// 2026-11-21T01:08:00Z, where everything ends: in the minute of other tests' captures.
const END: i64 = 1_795_223_280;
/// Three days are needed before anything is judged.
const MINUTES: i64 = 3 * 1440 + 120;
/// Minutes before the end at which servers become slow.
const SINCE: i64 = 12;
const SERVERS: i64 = 8;

fn stamp(minute: i64) -> String {
    let day = Timestamp((END - minute * 60) * SECOND);
    tcplens_output::anomalies::minute(day).replace(' ', "T") + ":00.000000000Z"
}

/// A store in which some servers take nine times as long in the last minutes; of the newest minute a part may be missing.
fn store(place: &Place, name: &str, slow: &[i64]) -> PathBuf {
    store_of(place, name, ("collector", 0), 0..SERVERS, slow)
}

/// What a host tells of some servers until a minute before the end.
fn store_of(
    place: &Place,
    name: &str,
    (host, newest): (&str, i64),
    servers: Range<i64>,
    slow: &[i64],
) -> PathBuf {
    let dir = place.path(name);
    let settings = StoreSettings {
        host: host.to_owned(),
        start: Timestamp(END * SECOND),
        is_live: false,
        interval: Span::from_ns(300 * SECOND as u64),
        keep: None,
        keep_rollups: Keep::parse("400d").unwrap(),
    };
    let mut writer = StoreWriter::open(&dir, settings).unwrap();
    let mut line = String::new();
    // Noise that is the same each time: the high bits of Knuth's generator (MMIX).
    let mut state = 1_u64;
    let mut noise = |below: i64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % below
    };
    for minute in (newest..=MINUTES).rev() {
        let time = stamp(minute);
        for server in servers.clone() {
            let is_slow = minute <= SINCE && slow.contains(&server);
            let process = (1_000_000 + noise(200_000)) * if is_slow { 9 } else { 1 };
            let requests = 300 + noise(60);
            let half = requests / 2;
            let (low, high) = (process * 9 / 10, process * 11 / 10);
            line.clear();
            write!(
                line,
                "{{\"kind\":\"rollup\",\"time\":\"{time}\",\"vantage\":\"wire\",\"server_ip\":\"10.0.0.{server}\",\
                 \"server_port\":6379,\"protocol\":\"redis\",\"operation\":\"GET\",\"capture_losses\":0,\
                 \"requests\":{requests},\"answered\":{requests},\"errors\":0,\"unanswered\":0,\"retransmits\":0,\
                 \"request_bytes\":9,\"response_bytes\":9,\"total_ns\":[{},{}],\"total_counts\":[{half},{}],\
                 \"process_ns\":[{low},{high}],\"process_counts\":[{half},{}]}}",
                low + 100_000,
                high + 100_000,
                requests - half,
                requests - half,
            )
            .unwrap();
            let record = StoreRecord::Line(StoreKind::Rollup, line.as_bytes());
            writer.write(record, Timestamp(END * SECOND)).unwrap();
        }
    }
    writer.finish().unwrap();
    assert_eq!(writer.counters().dropped, 0, "{line}");
    dir
}

const TOPOLOGY: &[u8] = b"\
labels:
  10.0.0.0/30: {rack: r1, zone: a}
  10.0.0.4/30: {rack: r2, zone: a}
  10.0.0.7: {host: db7}
";

fn check(place: &Place, words: &[&str]) -> Run {
    let words: Vec<_> = ["check", "--store", "s", "--until", "2026-11-21T01:08"]
        .iter()
        .chain(words)
        .copied()
        .collect();
    place.run(&words)
}

#[test]
fn a_slow_server_is_found_with_its_minute_and_check_s_line_says_so() {
    let place = Place::new("anomalies-server");
    store(&place, "s", &[7]);
    place.write("t.yaml", TOPOLOGY);
    let run = place.run(&["anomalies", "--store", "s", "--topology", "t.yaml"]);
    run.is_quiet_success();
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(
        lines[0], "1 thing is abnormal from 2026-11-21 00:08 to 01:08 UTC; it goes on.",
        "{}",
        run.out
    );
    assert!(
        lines[2].starts_with("1. abnormal_latency, since 2026-11-21 00:5"),
        "{}",
        run.out
    );
    assert!(lines[2].ends_with(" requests"), "{}", run.out);
    let text = run.out.replace("\n   ", " ");
    for words in [
        "UTC requests of \"GET\" of redis at 10.0.0.7:6379 take 1",
        " ms to process, usually about 1.",
        "next: Look at what changed when it began",
        "show: tcplens query --store s \"SELECT time, protocol, operation, requests, process_sum_us, total_sum_us FROM rollups \
         WHERE server_ip = '10.0.0.7' AND server_port = 6379 ",
    ] {
        assert!(text.contains(words), "{words:?} is missing: {}", run.out);
    }
    let watched = run.out.rsplit("\n\n").next().unwrap().replace('\n', " ");
    assert_eq!(
        watched,
        "Watched: 8 servers; 16 with their operations; history: 3d 02h since 2026-11-17 23:08 (35,520 rollups). The topology \
         names 3 places. "
    );

    let run = place.run(&["anomalies", "--store", "s", "-f", "jsonl"]);
    run.is_quiet_success();
    assert_eq!(run.out.lines().count(), 1, "{}", run.out);
    for words in [
        "{\"kind\":\"finding\",\"time\":\"2026-11-21T00:5",
        "\"until\":\"2026-11-21T01:08:00.000000000Z\",\"rank\":1,\"code\":\"abnormal_latency\",",
        "\"suspect\":\"server\"",
        "\"server_ip\":\"10.0.0.7\",\"server_port\":6379,\"protocol\":\"redis\",\"operation\":\"GET\",\"metric\":\"process\"",
    ] {
        assert!(run.out.contains(words), "{words:?} is missing: {}", run.out);
    }
    let run = place.run(&["anomalies", "--store", "s", "-f", "csv"]);
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    // Before that there was nothing.
    let run = place.run(&[
        "anomalies",
        "--store",
        "s",
        "--until",
        "2026-11-21T00:50",
        "-f",
        "jsonl",
    ]);
    assert_eq!((run.status, run.out.as_str()), (Some(0), ""));

    let run = check(&place, &[]);
    assert_eq!((run.status, run.err.as_str()), (Some(1), ""), "{run:?}");
    assert!(
        run.out.starts_with("TCPLENS WARNING - Since 00:5"),
        "{run:?}"
    );
    assert!(
        run.out
            .ends_with(" | abnormal=1;0 critical=0;;0 servers=8 learning=0 age=0s\n"),
        "{run:?}"
    );
    assert_eq!(run.out.lines().count(), 1);
    for (words, status) in [
        (&["--critical", "latency"][..], 2),
        (&["--metric", "errors,failed"], 0),
        (&["--server", "10.0.0.6", "--server", "10.0.0.7:6380"], 0),
    ] {
        assert_eq!(check(&place, words).status, Some(status), "{words:?}");
    }
}

#[test]
fn a_rack_whose_servers_are_all_slow_is_told_as_one_with_its_p_value() {
    let place = Place::new("anomalies-rack");
    store(&place, "s", &[4, 5, 6, 7]);
    place.write("t.yaml", TOPOLOGY);
    let run = place.run(&["anomalies", "--store", "s", "--topology", "t.yaml"]);
    run.is_quiet_success();
    let text = run.out.replace("\n   ", " ");
    // 1 of C(8, 4) ways, and three were tried: two racks, and the host that tells of those without one (zone and port are the
    // same for all).
    for words in [
        "1. abnormal_latency, rack=r2 (by chance: p = 4.3e-2)",
        "4 of 4 servers with rack=r2 are abnormal, and none of the 4 others: requests take longer.",
    ] {
        assert!(text.contains(words), "{words:?} is missing: {}", run.out);
    }
    let run = check(&place, &["--topology", "t.yaml"]);
    assert_eq!(run.status, Some(2), "{run:?}");
}

#[test]
fn where_nothing_is_wrong_that_is_said_with_what_was_watched() {
    let place = Place::new("anomalies-clean");
    store(&place, "s", &[]);
    let run = place.run(&["anomalies", "--store", "s", "--last", "1d"]);
    run.is_quiet_success();
    assert!(
        run.out.starts_with(
            "Nothing abnormal found from 2026-11-20 01:08 to 2026-11-21 01:08 UTC.\n\nWatched: 8 servers;"
        ),
        "{}",
        run.out
    );
    let run = check(&place, &[]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (
            Some(0),
            "TCPLENS OK - nothing abnormal at 8 servers until 2026-11-21 01:08 UTC | abnormal=0;0 critical=0;;0 servers=8 \
             learning=0 age=0s\n"
        )
    );
    // What this machine calls itself where it stores says nothing of which records are asked for.
    let mut command = place.tcplens(&["anomalies", "--store", "s", "--last", "1d"]);
    let named = Run::of(command.env("TCPLENS_HOST", "nobody").output().unwrap());
    assert_eq!(
        named,
        place.run(&["anomalies", "--store", "s", "--last", "1d"])
    );
    // A day after its beginning nothing is known yet.
    let run = place.run(&["anomalies", "--store", "s", "--until", "2026-11-19T14:00"]);
    assert!(
        run.out.starts_with("Nothing can be judged yet from "),
        "{}",
        run.out
    );
    let run = place.run(&["check", "--store", "s", "--until", "2026-11-19T14:00"]);
    assert_eq!(run.status, Some(3));
    assert!(
        run.out.starts_with(
            "TCPLENS UNKNOWN - nothing can be judged yet: 8 servers have too little history | "
        ),
        "{run:?}"
    );
    // And the newest minute is old by now.
    let run = place.run(&["check", "--store", "s", "--until", "2026-11-21T05:08"]);
    assert_eq!(run.status, Some(3));
    assert_eq!(
        run.out,
        "TCPLENS UNKNOWN - the newest rollup ends at 2026-11-21 01:09 UTC, 3h 59m ago: nothing is stored any more; look whether \
         what fills s runs | age=14340s\n"
    );
}

#[test]
fn a_host_that_tells_later_than_others_is_waited_for() {
    let place = Place::new("anomalies-hosts");
    store_of(&place, "s", ("a", 0), 0..4, &[]);
    // Slow since 00:56, told until within 01:03.
    store_of(&place, "s", ("b", 5), 4..8, &[7]);
    let run = check(&place, &[]);
    assert_eq!((run.status, run.err.as_str()), (Some(1), ""), "{run:?}");
    for words in [
        "TCPLENS WARNING - Since 00:5",
        " Judged until 2026-11-21 01:03 UTC, 5m 00s behind the newest record: not every host told more. | abnormal=1;0 ",
        " servers=8 learning=0 age=0s",
    ] {
        assert!(run.out.contains(words), "{words:?} is missing: {run:?}");
    }
    let run = place.run(&["anomalies", "--store", "s"]);
    run.is_quiet_success();
    assert!(
        run.out
            .starts_with("1 thing is abnormal from 2026-11-21 00:03 to 01:03 UTC; it goes on."),
        "{run:?}"
    );
    let text = run.out.replace('\n', " ");
    let words = "Judged until 2026-11-21 01:03 UTC, 6m 00s behind the newest record";
    assert!(text.contains(words), "{run:?}");
    // One that stopped is not.
    let run = check(&place, &["--stale", "4m"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        run.out.contains(" until 2026-11-21 01:08 UTC | "),
        "{run:?}"
    );
}

#[test]
fn a_server_without_data_is_unknown_to_check_and_what_cannot_be_read_is_in_its_line() {
    let place = Place::new("anomalies-asked");
    store(&place, "s", &[]);
    let run = check(&place, &["--server", "10.0.0.99"]);
    assert_eq!(run.status, Some(3), "{run:?}");
    assert_eq!(
        run.out,
        "TCPLENS UNKNOWN - s has nothing of the servers that were asked for, until 2026-11-21 01:08 UTC; look whether address and \
         port are right | abnormal=0;0 critical=0;;0 servers=0 learning=0 age=0s\n"
    );
    place.write(
        "s/kind=rollup/date=2026-11-20/x-20261120T000000000000000Z-00001.parquet",
        b"no Parquet",
    );
    let run = check(&place, &["--server", "10.0.0.99", "--server", "10.0.0.1"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    for words in [
        "TCPLENS OK - nothing abnormal at 1 server until 2026-11-21 01:08 UTC; 1 of the --server that were asked for could not be \
         judged (not all of the store could be read: s/kind=rollup/date=2026-11-20/x-",
        " servers=1 ",
    ] {
        assert!(run.out.contains(words), "{words:?} is missing: {run:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told_and_unknown_to_check() {
    let place = Place::new("anomalies-errors");
    std::fs::create_dir(place.path("empty")).unwrap();
    place.write("bad.yaml", b"labels:\n  10.0.0.1: {rack: [a]}\n");
    let run = place.run(&["anomalies", "--store", "none"]);
    run.ends(
        1,
        &[
            "cannot read store none: No such file or directory",
            "name the directory that --store fills",
        ],
    );
    let run = place.run(&["anomalies", "--store", "empty"]);
    run.is_quiet_success();
    assert!(run.out.starts_with("empty has no rollups: "), "{run:?}");
    let run = place.run(&["anomalies", "--store", "empty", "--topology", "bad.yaml"]);
    run.ends(
        2,
        &["bad.yaml:2:3: labels.10.0.0.1: rack takes one word, this is a list; write rack: r17"],
    );
    let run = place.run(&["anomalies", "--store", "empty", "--by", "rack"]);
    run.ends(
        2,
        &["--by: the topology has no label \"rack\"; its labels are address, host, port"],
    );
    for (words, said) in [
        (&["--store", "none"][..], "cannot read store none: "),
        (&["--store", "empty"], "empty has no rollups: "),
        (&["--sotre", "empty"], "unexpected argument '--sotre' found"),
        (&[], "the following required arguments were not provided"),
        (
            &["--store", "empty", "-m", "speed"],
            "invalid value 'speed' for '--metric <METRIC,...>'",
        ),
    ] {
        let words: Vec<_> = ["check"].iter().chain(words).copied().collect();
        let run = place.run(&words);
        assert_eq!((run.status, run.err.as_str()), (Some(3), ""), "{run:?}");
        assert!(run.out.starts_with("TCPLENS UNKNOWN - "), "{run:?}");
        assert!(run.out.contains(said), "{said:?} is missing: {run:?}");
        assert_eq!(run.out.lines().count(), 1, "{run:?}");
    }
}

#[test]
fn the_agent_learns_from_its_store_and_tells_what_is_abnormal_as_its_minute_ends() {
    let place = Place::new("anomalies-agent");
    store_of(&place, "s", ("collector", 1), 0..SERVERS, &[]);
    // Redis answers after 10 ms, once a second: nine times what is usual.
    let mut capture = Capture::new();
    let (client, server) = (End([10, 0, 9, 9], 40000), End([10, 0, 0, 7], 6379));
    capture.segment(client, server, SYN, 100, 0, b"");
    capture.segment(server, client, SYN | ACK, 500, 101, b"");
    capture.segment(client, server, ACK, 101, 501, b"");
    let (mut seq, mut ack) = (101, 501);
    for _ in 0..240 {
        let question = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
        capture.segment(client, server, ACK, seq, ack, question);
        seq += question.len() as u32;
        capture.segment(server, client, ACK, ack, seq, b"$1\r\nb\r\n");
        ack += 7;
        capture.segment(client, server, ACK, seq, ack, b"");
        capture.now += 970_000;
    }
    capture.save(place.path("a.pcap"));
    place.write(
        "a.yaml",
        b"\
sources: [{read: a.pcap}]
views: [{kind: records, records: finding, output: f.jsonl}]
store: {to: s, host: collector}
anomalies: {}
",
    );
    let run = place.run(&["agent", "--config", "a.yaml"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    for words in [
        "anomalies: learned from 35,520 rollups since 2026-11-17 23:08 in ",
        "abnormal: Since 01:0",
        "requests of \"GET\" of redis at 10.0.0.7:6379 take 1",
    ] {
        assert!(run.err.contains(words), "{words:?} is missing: {run:?}");
    }
    let findings = read(place.path("f.jsonl"));
    let abnormal: Vec<_> = findings
        .lines()
        .filter(|line| line.contains("\"code\":\"abnormal_latency\""))
        .collect();
    assert_eq!(abnormal.len(), 1, "{findings}");
    assert!(
        abnormal[0].contains("\"server_ip\":\"10.0.0.7\""),
        "{findings}"
    );
    // They are kept, too: with the rollups of this run the store tells the same.
    let kept = place.path("s/kind=finding/date=2026-11-21");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 1);
    let run = place.run(&["anomalies", "--store", "s", "-f", "jsonl"]);
    assert!(run.out.contains("\"server_ip\":\"10.0.0.7\""), "{run:?}");
    assert_eq!(run.out.lines().count(), 1, "{run:?}");
}
