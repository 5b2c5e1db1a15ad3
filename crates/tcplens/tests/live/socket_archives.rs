//! `sockets --archive` on real connections: what its files and its counters say.

use std::fs;
use std::net::{TcpListener, TcpStream};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of_kind;
use crate::socket_events::{page, value};
use crate::tap::{Tap, alone, until};

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
