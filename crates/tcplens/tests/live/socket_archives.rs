//! `sockets --archive` on real connections: what its files and its counters say.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of_kind;
use crate::socket_events::{page, value};
use crate::tap::{Tap, alone, until};
use crate::traffic::pings;

/// Looks often, writes at once, and tells of it.
const WORDS: [&str; 13] = [
    "sockets",
    "--archive",
    "kept",
    "--include-local",
    "--archive-flush",
    "100ms",
    "--interval",
    "20ms",
    "--metrics",
    "9760",
    "-f",
    "jsonl",
    "--user=root",
];

/// A connection that has ended.
fn connection(lo: &Namespace, listener: &TcpListener) {
    let address = listener.local_addr().unwrap();
    drop(lo.within(|| TcpStream::connect(address)).unwrap());
    drop(listener.accept().unwrap());
}

#[test]
fn the_page_of_metrics_tells_files_of_the_archive_and_losses_are_told_everywhere() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("socket-archive");
    let listener = lo.within(|| TcpListener::bind("127.0.0.1:7001")).unwrap();
    // Its port is in that namespace.
    let tap = lo.within(|| Tap::start(alone(&place, &WORDS)));
    until("files are begun", || {
        connection(&lo, &listener);
        value(&page(&lo, 9760), "tcpinfo_new_file_total") >= Some(2)
    });
    let before = page(&lo, 9760);
    let failures = "tcplens_socket_archive_failures_total";
    assert_eq!(value(&before, failures), Some(0), "{before}");
    // Nothing can be written where a file is in the way.
    // The writer may make it anew in between.
    until("a file is in the way", || {
        let _ = fs::remove_dir_all(place.path("kept"));
        fs::write(place.path("kept"), b"in the way").is_ok()
    });
    until("writing fails", || {
        connection(&lo, &listener);
        value(&page(&lo, 9760), failures) > Some(0)
    });
    let ended = tap.interrupt();
    ended.is(
        3,
        &[
            " lines of the archive were dropped: ",
            "cannot write the archive: ",
        ],
    );
    let health = of_kind(&ended.out, "health");
    assert!(
        health[0].contains("\"records_dropped\":{\"archive\":"),
        "{health:?}"
    );
}

#[test]
fn what_is_kept_is_read_back_short_lives_open_ones_and_refused_ones_among_them() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("socket-archive-read");
    let listener = lo.within(|| TcpListener::bind("127.0.0.1:7001")).unwrap();
    let address = listener.local_addr().unwrap();
    let tap = lo.within(|| Tap::start(alone(&place, &WORDS)));
    until("it keeps", || {
        connection(&lo, &listener);
        value(&page(&lo, 9760), "tcpinfo_new_file_total") >= Some(2)
    });
    // Nobody listens there: its end is all that the kernel tells of it.
    assert!(lo.within(|| TcpStream::connect("127.0.0.1:7002")).is_err());
    let mut stays = lo.within(|| TcpStream::connect(address)).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    stays.write_all(b"four").unwrap();
    other.read_exact(&mut [0; 4]).unwrap();
    let port = stays.local_addr().unwrap().port();
    tap.until("it was looked at", |out| {
        out.lines().any(|line| {
            line.contains(&format!("\"local_port\":{port},")) && line.contains("\"bytes_sent\":4,")
        })
    });
    tap.interrupt().is(0, &[]);
    let run = alone(&place, &["convert", "kept", "-f", "jsonl"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let out = String::from_utf8(run.stdout).unwrap();
    let of = |what: &str| {
        let lines = out.lines().filter(|line| line.contains(what));
        lines.collect::<Vec<_>>()
    };
    let lasts = of(&format!("\"local_port\":{port},"));
    let last = lasts.last().unwrap();
    assert!(
        last.contains("\"close\":\"open\"") && last.contains("\"final\":false"),
        "{last}"
    );
    assert!(last.contains("\"bytes_sent\":4,"), "{last}");
    let refused = of("\"close\":\"failed\"");
    assert!(
        refused.len() == 1 && refused[0].contains("\"remote_ip\":\"127.0.0.1\""),
        "{refused:?}"
    );
    // Both ends of each that was closed.
    assert!(of("\"close\":\"fin\"").len() >= 2, "{out}");
}

/// All of a directory's files.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn other_hosts_are_shortened_in_archives_events_and_labels_and_names_begin_as_a_file_says() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("socket-archive-anonymize");
    fs::write(place.path("prefix"), b"node7_1553815964").unwrap();
    let words = [
        "--anonymize",
        "netblock",
        "--uuid-prefix-file",
        "prefix",
        "--event-socket",
        "./told/events.sock",
    ];
    let tap = a.within(|| Tap::start(alone(&place, &[&WORDS[..], &words].concat())));
    let events = Tap::spawn(&mut alone(
        &place,
        &["events", "./told/events.sock", "-f", "jsonl"],
    ));
    until("the client is told", || {
        pings(&a, &b, "10.9.0.2:6379", 1);
        events.out().contains("\"Event\":1")
    });
    let told = page(&a, 9760);
    until("the archive has it", || {
        files(&place.path("kept")).len() >= 2
    });
    let ended = tap.interrupt();
    ended.is(0, &[" records in "]);
    let events = events.end();
    let names: Vec<String> = files(&place.path("kept"))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("node7_1553815964_0")),
        "{names:?}"
    );
    let kept = Tap::spawn(&mut alone(&place, &["convert", "kept"])).end();
    kept.is(0, &[]);
    for (what, text, shortened) in [
        ("records", &ended.out, "\"remote_ip\":\"10.9.0.0\""),
        ("archive", &kept.out, "\"remote_ip\":\"10.9.0.0\""),
        ("events", &events.out, "\"DstIP\":\"10.9.0.0\""),
        ("metrics", &told, "server=\"10.9.0.0:6379\""),
    ] {
        assert!(text.contains(shortened), "{what}: {text}");
        assert!(!text.contains("10.9.0.2"), "{what}: {text}");
    }
    for text in [&ended.out, &kept.out, &events.out] {
        assert!(text.contains("\"node7_1553815964_0"), "{text}");
    }
    // This host's own address stays.
    assert!(
        kept.out.contains("\"local_ip\":\"10.9.0.1\""),
        "{}",
        kept.out
    );
}
