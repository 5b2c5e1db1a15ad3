//! `sockets --event-socket` and `--metrics` on real connections, and `events` at the former.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::kernel::is_to_be_had;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, of_kind};
use crate::sockets::watching;
use crate::tap::{Tap, alone, until};
use crate::traffic::Connection;

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
fn with_the_kernel_s_own_view_a_connection_is_told_when_it_opens_and_once() {
    if !is_to_be_had() {
        return;
    }
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("socket-events-inside");
    // Nobody looks at sockets meanwhile.
    let words = ["--event-socket", SOCKET, "-f", "jsonl", "-k"];
    let words = [&words[..], &["--interval", "1h", "--user", "root"]].concat();
    let tap = watching(&lo, &place, &words);
    let told = Tap::spawn(&mut alone(&place, &["events", SOCKET, "-f", "jsonl"]));
    let listener = lo.within(|| TcpListener::bind("127.0.0.1:7001")).unwrap();
    let open = || {
        let client = lo.within(|| TcpStream::connect("127.0.0.1:7001")).unwrap();
        let (server, _) = listener.accept().unwrap();
        (client, server)
    };
    // Whether the client is there is seen by what it is told.
    until("the client is told", || {
        drop(open());
        !told.out().is_empty()
    });
    let kept = open();
    let address = kept.0.local_addr().unwrap();
    let about = |out: &str| {
        let port = format!("\"SPort\":{}", address.port());
        let other = format!("\"DPort\":{}", address.port());
        let lines = out.lines();
        let found = lines.filter(|line| line.contains(&port) || line.contains(&other));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    told.until("both ends are told while they are open", |out| {
        about(out).len() == 2
    });
    drop(kept);
    told.until("both have ended", |out| about(out).len() == 4);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let told = told.end();
    let (opens, closes) = (values(&told.out, 0, "UUID"), values(&told.out, 1, "UUID"));
    assert_eq!(
        about(&told.out)
            .iter()
            .filter(|line| line.starts_with("{\"Event\":0,"))
            .count(),
        2,
        "{}",
        told.out
    );
    assert!(
        opens.windows(2).all(|pair| pair[0] != pair[1]),
        "{}",
        told.out
    );
    // The first may have been open when the client came.
    assert!(closes.len() >= opens.len(), "{}", told.out);
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

#[test]
fn other_hosts_are_shortened_in_events_too() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("socket-events-anonymize");
    let open = Connection::open(&a, &b, "10.9.0.2:6379");
    let words = ["--event-socket", SOCKET, "--anonymize", "netblock"];
    let tap = watching(
        &a,
        &place,
        &[&words[..], &["-f", "none", "--user", "root"]].concat(),
    );
    let words = ["events", SOCKET, "--replay", "-f", "jsonl"];
    let told = Tap::spawn(&mut alone(&place, &words));
    told.until("it is replayed", |out| out.lines().count() == 1);
    open.close();
    told.until("the end", |out| out.lines().count() == 2);
    tap.interrupt();
    let out = told.end().out;
    assert!(
        !out.contains("10.9.0.2") && out.contains("\"DstIP\":\"10.9.0.0\""),
        "{out}"
    );
}

/// The page of metrics.
pub(crate) fn page(lo: &Namespace, port: u16) -> String {
    let mut stream = lo
        .within(|| TcpStream::connect(("127.0.0.1", port)))
        .unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// The value of a series.
pub(crate) fn value(page: &str, series: &str) -> Option<u64> {
    let line = page.lines().find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn metrics_have_every_byte_of_connections_that_ended_however_they_did() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("socket-metrics");
    let (listener, mut old, mut old_server) = connected(&lo, "127.0.0.1:7001");
    old.write_all(&[1; 5000]).unwrap();
    old_server.read_exact(&mut [0; 5000]).unwrap();
    let words = ["sockets", "--watch", "-f", "none", "--metrics", "9760"];
    let words = [&words[..], &["--interval", "20ms"]].concat();
    // Its port is in that namespace.
    let tap = lo.within(|| Tap::start(alone(&place, &words)));
    old.write_all(&[1; 77]).unwrap();
    old_server.read_exact(&mut [0; 77]).unwrap();
    let mut sent = 77;
    for (round, bytes) in [1_000_000, 1_500_000, 0, 3, 40_000].into_iter().enumerate() {
        let mut client = lo.within(|| TcpStream::connect("127.0.0.1:7001")).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let all = vec![7; bytes];
        let writer = std::thread::spawn(move || {
            client.write_all(&all).unwrap();
            client
        });
        server.read_exact(&mut vec![0; bytes]).unwrap();
        let client = writer.join().unwrap();
        sent += bytes as u64;
        // Either end closes first.
        match round % 2 {
            0 => drop((client, server)),
            _ => drop((server, client)),
        }
    }
    drop((old, old_server));
    let of = |name: &str, side: &str, more: &str| {
        format!("tcplens_socket_{name}{{server=\"127.0.0.1:7001\",side=\"{side}\"{more}}}")
    };
    let mut last = String::new();
    until("all have ended", || {
        last = page(&lo, 9760);
        let closed = value(&last, &of("closed_total", "client", ",reason=\"fin\""));
        let server = value(&last, &of("closed_total", "server", ",reason=\"fin\""));
        let looks = value(&last, "tcpinfo_polling_interval_histogram_count");
        closed == Some(6) && server == Some(6) && looks > Some(0)
    });
    // What was repeated is in it: a reader that is slow makes the kernel drop and repeat.
    let all = value(&last, &of("sent_bytes_total", "client", "")).unwrap();
    let repeated = value(&last, &of("retransmitted_bytes_total", "client", "")).unwrap();
    assert_eq!(all - repeated, sent, "{last}");
    // Where nothing tells whether the client's FIN is among what was received, it is.
    let received = value(&last, &of("received_bytes_total", "server", "")).unwrap();
    assert!((sent..=sent + 6).contains(&received), "{last}");
    assert_eq!(value(&last, &of("opened_total", "server", "")), Some(5));
    assert!(
        value(
            &last,
            "tcplens_socket_accept_queue_limit{server=\"127.0.0.1:7001\"}"
        ) > Some(0)
    );
    assert!(value(&last, "tcplens_sockets{state=\"listen\"}") >= Some(1));
    assert!(value(&last, "tcpinfo_syscall_time_histogram_count{af=\"ipv4\"}") > Some(0));
    tap.interrupt().is(0, &[]);
}
