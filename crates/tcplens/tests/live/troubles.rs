//! A world that fails: a clear message, the right status, and nothing else lost.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of, of_kind, only};
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings};

#[test]
fn a_missing_interface_is_told_with_those_there_are() {
    let Some((a, _b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("missing");
    for words in [
        &["requests", "-i", "eth7"][..],
        &["records", "-i", "lo", "-i", "eth7"],
    ] {
        let ended = Tap::spawn(&mut tcplens(&a, &place, words)).end();
        let said = "tcplens: cannot open eth7 for capture: no such interface (have: lo, va); choose one with -i\n";
        ended.is(1, &[]);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", said));
    }
}

#[test]
fn an_interface_that_is_removed_ends_the_run_with_what_was_seen() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("removed");
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "va"]));
    let port = pings(&a, &b, "10.9.0.2:6379", 3);
    a.ip("link delete va");
    let ended = tap.end();
    ended.is(
        3,
        &[
            "va is gone: it was removed while it was captured on",
            "packets captured, 0 packets dropped by kernel",
        ],
    );
    assert_eq!(of(&ended.out, "request", port).len(), 3, "{ended:?}");
    only(&ended.out, "connection", port, &[("close", "\"fin\"")], &[]);
    assert_eq!(of_kind(&ended.out, "health").len(), 1, "{ended:?}");
}

#[test]
fn one_of_several_interfaces_may_be_removed() {
    for words in [
        &["records", "-i", "any"][..],
        &["records", "-i", "lo", "-i", "va"],
    ] {
        let Some((a, b)) = Namespace::pair() else {
            return;
        };
        let place = Place::new("removed-one");
        let tap = Tap::start(tcplens(&a, &place, words));
        let before = pings(&a, &b, "10.9.0.2:6379", 3);
        a.ip("link delete va");
        let after = pings(&a, &a, "127.0.0.1:6379", 3);
        let ended = tap.interrupt();
        ended.is(0, &[]);
        for port in [before, after] {
            assert_eq!(of(&ended.out, "request", port).len(), 3, "{ended:?}");
        }
    }
}

#[test]
fn an_interface_that_comes_back_is_captured_again() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("back");
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "lo", "-i", "va"]));
    a.ip("link delete va");
    a.connect(&b);
    // It is looked for twice a second.
    let mut ports = Vec::new();
    tap.until("a request is seen", |out| {
        ports.push(pings(&a, &b, "10.9.0.2:6379", 1));
        !of_kind(out, "request").is_empty()
    });
    let last = pings(&a, &b, "10.9.0.2:6379", 3);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    only(&ended.out, "connection", last, &[("requests", "3")], &[]);
}

#[test]
fn an_interface_that_comes_later_is_captured_with_any() {
    let Some(a) = Namespace::new() else { return };
    let place = Place::new("later");
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "any"]));
    a.ip("link add name late type veth peer name later");
    for (name, address) in [("late", "10.9.1.1"), ("later", "10.9.1.2")] {
        a.ip(&format!("link set {name} up"));
        a.ip(&format!("address add {address}/32 dev {name}"));
    }
    // Both are this host's: on lo.
    let port = pings(&a, &a, "10.9.1.2:6379", 3);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let connection = only(&ended.out, "connection", port, &[("requests", "3")], &[]);
    assert_eq!(field(connection, "client_ip"), Some("\"10.9.1.2\""));
}

#[test]
fn an_interface_may_go_down_and_come_up_again() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("down");
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "va"]));
    let before = pings(&a, &b, "10.9.0.2:6379", 3);
    for _ in 0..3 {
        a.ip("link set va down");
        a.ip("link set va up");
    }
    let after = pings(&a, &b, "10.9.0.2:6379", 3);
    let ended = tap.interrupt();
    ended.is(0, &[" 0 packets dropped by kernel"]);
    for port in [before, after] {
        only(&ended.out, "connection", port, &[("requests", "3")], &[]);
    }
}

/// Writes `file` on a small disk until that is full; `check` gets the file as it is seen from here.
#[track_caller]
fn filled(name: &str, words: &[&str], file: &str, check: impl FnOnce(&Path, &Place)) {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new(name);
    let disk = lo.disk(place.path("disk"), "256k");
    let mut command = lo.command(env!("CARGO_BIN_EXE_tcplens"));
    command
        .args(["records", "-i", "lo", "-B", "4MiB"])
        .args(words)
        .arg(place.path("disk").join(file))
        .stdin(Stdio::null());
    let tap = Tap::start(command);
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    until("the disk is full", || {
        connection.pipeline(500);
        tap.err().contains("packets captured") || tap.err().contains("cannot write")
    });
    let ended = tap.end();
    ended.is(1, &["cannot write", file, "o space left on device"]);
    assert!(ended.counted().0 > 0, "{}", ended.err);
    check(&disk.join(file), &place);
}

#[test]
fn a_full_disk_ends_the_run_and_keeps_what_was_written() {
    filled("full-o", &["-o"], "out.jsonl", |file, _| {
        let text = fs::read_to_string(file).unwrap();
        let (whole, _) = text.rsplit_once('\n').unwrap();
        assert!(of_kind(whole, "request").len() > 100, "{}", text.len());
        assert!(whole.lines().all(|line| line.ends_with('}')));
    });
}

#[test]
fn a_full_disk_keeps_the_packets_that_were_written() {
    filled(
        "full-w",
        &["-f", "none", "-w"],
        "out.pcap",
        |file, place| {
            let words = ["records", file.to_str().unwrap()];
            let read = alone(place, &words).output().unwrap();
            let out = String::from_utf8(read.stdout).unwrap();
            assert!(of_kind(&out, "request").len() > 100, "{out}");
            assert!([Some(0), Some(3)].contains(&read.status.code()));
        },
    );
}

#[test]
fn a_reader_that_never_reads_stops_nothing() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("unread");
    let words = ["requests", "-f", "jsonl", "-i", "lo"];
    let mut command = tcplens(&lo, &place, &words);
    command.args(["-w", "all.pcap"]);
    let (tap, unread) = Tap::start_unread(command);
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    // More than pipe and queue hold: 16 MiB at 700 bytes each.
    const REQUESTS: usize = 40_000;
    for _ in 0..REQUESTS / 500 {
        connection.pipeline(500);
    }
    until("all is captured", || {
        tap.signal("-USR1");
        tap.err().contains(&format!("{REQUESTS} request records"))
    });
    let began = Instant::now();
    let ended = tap.interrupt();
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    ended.is(
        3,
        &[
            " 0 packets dropped by kernel",
            "records were dropped: output did not take them",
        ],
    );
    drop(unread);
    // The packets themselves were saved.
    let read = alone(&place, &["records", "all.pcap"]).output().unwrap();
    let out = String::from_utf8(read.stdout).unwrap();
    assert_eq!(of_kind(&out, "request").len(), REQUESTS);
}

#[test]
fn what_a_reader_did_not_take_until_the_end_is_counted() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("unread-little");
    let words = ["records", "-i", "lo", "port 6379"];
    let (tap, mut unread) = Tap::start_unread(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    // More than a pipe holds, less than the queue.
    connection.pipeline(500);
    let ended = tap.interrupt();
    let said = " records were dropped: output did not take them";
    ended.is(3, &[said]);
    let line = ended.err.lines().find(|line| line.ends_with(said)).unwrap();
    let count = line.strip_prefix("tcplens: ").unwrap();
    let dropped: usize = count.strip_suffix(said).unwrap().parse().unwrap();
    let mut taken = String::new();
    unread.read_to_string(&mut taken).unwrap();
    // A handshake, the requests, a connection. Of a piece that went out in part all lines count as dropped.
    let (whole, all) = (taken.matches('\n').count(), 502);
    assert!(
        dropped > 300 && dropped <= all && dropped + whole >= all,
        "{dropped} dropped, {whole} taken"
    );
}

#[test]
fn an_interface_that_is_down_is_told_once_and_captured_on_when_it_is_up() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("down");
    a.ip("link set va down");
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "va", "tcp"]));
    let told = "tcplens: va is down: no packet comes before it is up (ip link set va up)\n";
    assert_eq!(tap.err().matches(told).count(), 1, "{}", tap.err());
    a.ip("link set va up");
    until("a connection opens", || {
        pings(&a, &b, "10.9.0.2:6379", 1);
        !of_kind(&tap.out(), "request").is_empty()
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert_eq!(ended.err.matches(" is down").count(), 1, "{}", ended.err);
}

#[test]
fn what_the_kernel_drops_is_counted_and_marked() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("drops");
    let tap = Tap::start(tcplens(&lo, &place, &["records", "-i", "lo"]));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    connection.ping();
    // Nobody takes anything out of the ring: more comes than there is room for.
    tap.signal("-STOP");
    for _ in 0..20 {
        connection.download(1 << 20);
    }
    tap.signal("-CONT");
    tap.until("time goes on", |_| {
        tap.signal("-USR1");
        let told = tap.err();
        let last = told.lines().last().unwrap_or_default();
        last.contains(" dropped by kernel;") && !last.contains(", 0 dropped by kernel;")
    });
    connection.ping();
    let port = connection.close();
    let ended = tap.interrupt();
    ended.is(3, &[" packets were dropped by the kernel"]);
    let (captured, dropped) = ended.counted();
    assert!(dropped > 0, "{ended:?}");
    assert_eq!(captured + dropped, received(&lo), "{}", ended.err);
    only(
        &ended.out,
        "connection",
        port,
        &[("capture_loss", "true")],
        &[],
    );
    let health = of_kind(&ended.out, "health").pop().unwrap();
    assert_eq!(number(health, "kernel_drops"), dropped);
}

/// Packets that came out of `lo` since it is there.
fn received(namespace: &Namespace) -> u64 {
    let output = namespace
        .command("cat")
        .arg("/proc/net/dev")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("lo:")).unwrap();
    let packets = line.split_whitespace().nth(2);
    packets.and_then(|packets| packets.parse().ok()).unwrap()
}
