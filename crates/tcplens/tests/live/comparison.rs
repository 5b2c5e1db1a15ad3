//! The same packets, live and from a file, give the same records.

use std::process::Command;

use crate::filters::captured;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{of_kind, without};
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings, refused};

/// Where the packets came from, and where in a file.
fn is_of_vantage(field: &str) -> bool {
    field == "vantage" || field.ends_with("_frame")
}

/// Also what is measured: two captures have clocks of their own.
fn is_measured(field: &str) -> bool {
    let names = ["time", "connection_id", "verdict", "tap_side"];
    is_of_vantage(field) || names.contains(&field) || field.ends_with("_us")
}

/// Something of everything; the last connection stays open.
fn mixed(a: &Namespace, b: &Namespace) -> Connection {
    for n in 0..20 {
        pings(a, b, "10.9.0.2:6379", n);
        pings(b, a, "10.9.0.1:6380", 1);
        refused(a, "10.9.0.2:9");
    }
    pings(a, a, "10.9.0.1:6381", 5);
    let mut connection = Connection::open(a, b, "10.9.0.2:6379");
    connection.upload(300_000);
    connection.download(300_000);
    connection.pipeline(50);
    connection
}

/// What is analysed from a file, as far as it was written.
fn from_file(place: &Place, name: &str) -> String {
    let words = ["records", name, "--local", "10.9.0.1,127.0.0.1"];
    let output = alone(place, &words).output().unwrap();
    assert!(!output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_was_saved_gives_the_records_that_live_packets_gave() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("same");
    for (interface, file) in [
        ("va", "va.pcap"),
        ("va", "va.pcapng.zst"),
        ("any", "any.pcapng"),
    ] {
        let words = ["records", "-i", interface, "-w", file];
        let tap = Tap::start(tcplens(&a, &place, &words));
        let _open = mixed(&a, &b);
        let live = tap.interrupt();
        live.is(0, &[" 0 packets dropped by kernel"]);
        let live = without(&live.out, is_of_vantage);
        assert!(live.len() > 150, "{live:#?}");
        similar(&live, &without(&from_file(&place, file), is_of_vantage));
    }
}

#[test]
fn tcpdump_beside_it_saw_the_same() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("tcpdump");
    let path = place.path("tcpdump.pcap");
    if Command::new("tcpdump").arg("--version").output().is_err() {
        println!("SKIPPED: no tcpdump");
        return;
    }
    let mut command = a.command("tcpdump");
    command
        .args(["-i", "va", "-B", "16384", "-U", "-Z", "root", "-w"])
        .args([path.as_os_str(), "tcp".as_ref()]);
    let tcpdump = Tap::spawn(&mut command);
    until("tcpdump listens", || tcpdump.err().contains("listening on"));
    let words = ["records", "-i", "va", "-w", "own.pcap", "tcp"];
    let tap = Tap::start(tcplens(&a, &place, &words));
    // An acknowledgement that comes late would be seen by one of them only.
    mixed(&a, &b).close();
    let live = tap.interrupt();
    live.is(0, &[" 0 packets dropped by kernel"]);
    // tcpdump leaves behind what it has not read when it is told to end.
    let requests = of_kind(&live.out, "request").len();
    until("tcpdump wrote all", || {
        of_kind(&from_file(&place, "tcpdump.pcap"), "request").len() == requests
    });
    let said = tcpdump.interrupt();
    said.is(0, &["\n0 packets dropped by kernel"]);
    let file = from_file(&place, "tcpdump.pcap");
    let [mut own, mut other] = ["own.pcap", "tcpdump.pcap"].map(|name| captured(&place, name));
    // Two processors may hand packets of opposite directions to two taps in different orders (seen once, on a busy machine);
    // then an ACK may come before what it acknowledges, and is no round trip.
    let is_same_order = own == other;
    let differs =
        |field: &str| is_measured(field) || (!is_same_order && field.ends_with("_rtt_samples"));
    similar(&without(&live.out, differs), &without(&file, differs));
    own.sort();
    other.sort();
    assert!(own == other, "{} and {} packets", own.len(), other.len());
}

/// The baseline is a file; what is captured now is slower to answer, for nobody does.
#[test]
fn live_packets_are_compared_with_a_file_that_only_root_may_read() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("compare-live");
    let before = Tap::start(tcplens(
        &lo,
        &place,
        &["records", "-i", "lo", "-w", "before.pcap"],
    ));
    for _ in 0..30 {
        pings(&lo, &lo, "127.0.0.1:6379", 3);
    }
    before.interrupt().is(0, &[]);
    let file = place.path("before.pcap");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let words = ["report", "-i", "lo", "--compare", "before.pcap"];
    let now = Tap::start(tcplens(&lo, &place, &words));
    for _ in 0..40 {
        refused(&lo, "127.0.0.1:6379");
    }
    let ended = now.interrupt();
    ended.is(0, &[]);
    let text = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "before: before.pcap: 90 requests, 30 connection attempts, 30 connections in ",
        "now: lo: 0 requests, 40 connection attempts, 0 connections in ",
        "attempts to connect to 127.0.0.1:6379",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
}

/// Says which lines are different, not all of them.
#[track_caller]
fn similar(live: &[String], file: &[String]) {
    let of_live: Vec<_> = live.iter().filter(|line| !file.contains(line)).collect();
    let of_file: Vec<_> = file.iter().filter(|line| !live.contains(line)).collect();
    assert!(
        of_live.is_empty() && of_file.is_empty() && live.len() == file.len(),
        "{} live only: {:#?}\n{} file only: {:#?}",
        of_live.len(),
        of_live.iter().take(3).collect::<Vec<_>>(),
        of_file.len(),
        of_file.iter().take(3).collect::<Vec<_>>(),
    );
}
