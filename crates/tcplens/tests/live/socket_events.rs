//! `sockets --event-socket` on real connections, and `events` at it.

use std::net::{TcpListener, TcpStream};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, of_kind};
use crate::sockets::watching;
use crate::tap::{Tap, alone, until};

const SOCKET: &str = "./told/events.sock";

/// A listener and both ends of a connection to it.
fn connected(lo: &Namespace, address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = lo.within(|| TcpListener::bind(address)).unwrap();
    let client = lo.within(|| TcpStream::connect(address)).unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

/// Values of a name in lines of JSON.
fn values(lines: &str, event: u8, name: &str) -> Vec<String> {
    let is_such = |line: &&str| line.starts_with(&format!("{{\"Event\":{event},"));
    let lines = lines.lines().filter(is_such);
    let found = lines.filter_map(|line| field(line, name));
    let mut found: Vec<String> = found.map(str::to_owned).collect();
    found.sort();
    found
}

#[test]
fn clients_are_told_what_is_open_and_then_of_every_connection_however_short() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("socket-events");
    let (listener, client, server) = connected(&lo, "127.0.0.1:7001");
    let words = ["--event-socket", SOCKET, "-f", "jsonl", "--user", "root"];
    let tap = watching(&lo, &place, &words);
    assert!(tap.err().contains("telling events at "), "{}", tap.err());
    let replayed = Tap::spawn(&mut alone(
        &place,
        &["events", SOCKET, "--replay", "-f", "jsonl"],
    ));
    replayed.until("both ends are replayed", |out| out.lines().count() == 2);
    let plain = Tap::spawn(&mut alone(&place, &["events", SOCKET]));
    // Whether it is there is seen by what it is told.
    until("the second client is told", || {
        for _ in 0..10 {
            drop(lo.within(|| TcpStream::connect("127.0.0.1:7001")).unwrap());
            drop(listener.accept().unwrap());
        }
        !plain.out().is_empty()
    });
    drop((client, server));
    replayed.until("both have ended", |out| {
        values(out, 1, "UUID").len() >= 2 && {
            let first: Vec<_> = out.lines().take(2).collect();
            let ended = values(out, 1, "UUID");
            let uuids = first.iter().filter_map(|line| field(line, "UUID"));
            uuids.clone().count() == 2
                && uuids
                    .clone()
                    .all(|uuid| ended.iter().any(|one| one == uuid))
        }
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    // The server ends, so do the clients.
    let (replayed, plain) = (replayed.end(), plain.end());
    replayed.is(0, &[]);
    plain.is(0, &[]);
    let (opens, closes) = (
        values(&replayed.out, 0, "UUID"),
        values(&replayed.out, 1, "UUID"),
    );
    assert_eq!(opens, closes);
    // The same connections, by the same names, as in the summaries.
    let mut told: Vec<String> = of_kind(&ended.out, "socket_summary")
        .into_iter()
        .filter_map(|line| field(line, "uuid"))
        .map(str::to_owned)
        .collect();
    told.sort();
    assert_eq!(opens, told);
    let shown = plain.out.lines().next().unwrap();
    assert!(
        shown.contains(" open  ") && shown.contains("127.0.0.1:7001"),
        "{shown}"
    );
    assert!(!place.path("told/events.sock").exists());
}

#[test]
fn it_takes_watching_and_a_path_that_is_free() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("socket-events-path");
    let words = ["sockets", "--event-socket", SOCKET];
    let ended = Tap::spawn(&mut alone(&place, &words)).end();
    ended.is(2, &["--event-socket tells of what comes; it takes --watch"]);
    let words = ["--event-socket", SOCKET, "-f", "none"];
    let tap = watching(&lo, &place, &words);
    let words = ["sockets", "--watch", "--event-socket", SOCKET];
    let ended = Tap::spawn(&mut alone(&place, &words)).end();
    ended.is(1, &["another program answers there", "--event-socket"]);
    tap.interrupt();
}
