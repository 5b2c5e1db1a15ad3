//! Whoever asks while it captures: the stats port, the unix socket, `stat`, metrics; and what a killed run leaves behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, of};
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings};

/// Starts it with everything that can be asked.
fn answering(namespace: &Namespace, place: &Place) -> Tap {
    let words = [
        "records",
        "-i",
        "lo",
        "-v",
        "-P",
        "127.0.0.1:0",
        "-U",
        "./answers/tcplens.sock",
        "--metrics",
        "127.0.0.1:0",
        "-f",
        "none",
    ];
    Tap::start(tcplens(namespace, place, &words))
}

/// Where it said that it answers: the stats port, and the page of metrics.
fn addresses(tap: &Tap) -> (String, String) {
    let said = tap.err();
    let start = "tcplens: answering at ";
    let line = said.lines().find_map(|line| line.strip_prefix(start));
    let all: Vec<&str> = line.unwrap().split(", ").collect();
    let [stats, "./answers/tcplens.sock", metrics] = all.as_slice() else {
        panic!("{said}");
    };
    let metrics = metrics.strip_prefix("http://").unwrap();
    ((*stats).to_owned(), metrics.replace("/metrics", ""))
}

/// The place that it said it answers at that begins so, without the begin.
fn said_address(tap: &Tap, begin: &str) -> String {
    let said = tap.err();
    let lines = said
        .lines()
        .find_map(|line| line.strip_prefix("tcplens: answering at "));
    let mut all = lines.unwrap_or_default().split(", ");
    let found = all.find_map(|address| address.strip_prefix(begin));
    found.unwrap_or_else(|| panic!("{said}")).to_owned()
}

fn tcp(address: &str, question: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn unix(place: &Place, question: &str) -> String {
    let mut stream = UnixStream::connect(place.path("answers/tcplens.sock")).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_was_captured_is_told_to_whoever_asks() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("answers");
    let tap = answering(&lo, &place);
    let (stats, metrics) = addresses(&tap);
    pings(&lo, &lo, "127.0.0.1:6379", 7);
    let requests = "\"127.0.0.1:6379\":{\"requests\":7,";
    until("the stats port knows all requests", || {
        let answer: String = tcp(&stats, "").split_whitespace().collect();
        answer.contains(requests)
    });
    let page = tcp(&metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let count =
        "tcplens_requests_total{server=\"127.0.0.1:6379\",protocol=\"redis\",status=\"ok\"} 7\n";
    assert!(page.contains(count), "{page}");
    // tcpeek's own words, ended by LF alone.
    let totals = unix(&place, "GET\n");
    let start = "[{\"RX\":{\"success\":{\"total\":1,\"dupsyn\":0,\"dupsynack\":0},";
    assert!(totals.starts_with(start), "{totals}");
    // Two collectors do not steal from each other.
    for name in ["one", "two"] {
        let first = unix(&place, &format!("REFRESH {name}\r\n"));
        assert!(first.contains("\"total\":1,\"dupsyn\""), "{first}");
        let second = unix(&place, &format!("REFRESH {name}\r\n"));
        assert!(!second.contains("\"total\":1,\"dupsyn\""), "{second}");
    }
    let health = unix(&place, "health\n");
    assert!(health.contains("\"kind\":\"health\""), "{health}");
    assert_eq!(field(&health, "kernel_drops"), Some("0"), "{health}");
    let words = ["stat", "-U", "./answers/tcplens.sock", "-j"];
    let stat = alone(&place, &words).output().unwrap();
    assert_eq!(stat.status.code(), Some(0));
    let stat = String::from_utf8(stat.stdout).unwrap();
    assert!(stat.starts_with(start), "{stat}");
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert!(!place.path("answers/tcplens.sock").exists());
}

/// Whoever is called at night wants to know now, not when the client has given up.
#[test]
fn a_connect_that_nothing_answers_is_told_while_it_waits() {
    let Some((a, _b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("blackhole");
    // Somebody is said to be there, so that the SYN goes out.
    a.ip("neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev va nud permanent");
    let words = [
        "handshakes",
        "-i",
        "va",
        "-v",
        "-U",
        "./answers/tcplens.sock",
        "--metrics",
        "127.0.0.1:0",
    ];
    let tap = Tap::start(tcplens(&a, &place, &words));
    let metrics = said_address(&tap, "http://").replace("/metrics", "");
    let mut connect = a.command("bash");
    connect.args(["-c", "exec 3<>/dev/tcp/10.9.0.77/443"]);
    let _waits = Tap::spawn(&mut connect);
    until("the socket knows it", || {
        let summary = unix(&place, "summary\n");
        let pending = "\"servers\":[{\"server\":\"10.9.0.77:443\",\"attempts\":1,\"oldest_us\":";
        summary.contains("\"pending\":{\"attempts\":1,") && summary.contains(pending)
    });
    let page = tcp(&metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(page.contains("\ntcplens_pending_attempts 1\n"), "{page}");
    let oldest = "\ntcplens_oldest_pending_attempt_seconds ";
    assert!(page.contains(oldest), "{page}");
    tap.signal("-USR1");
    until("it is told on stderr", || {
        let said = tap.err();
        said.contains("tcplens: no answer yet to 1 connection attempt, the oldest ")
            && said.contains(" ago: 1 to 10.9.0.77:443\n")
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert!(ended.out.contains("unanswered"), "{}", ended.out);
}

#[test]
fn a_client_that_never_reads_harms_nobody() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("silent");
    let tap = answering(&lo, &place);
    let (stats, metrics) = addresses(&tap);
    // All of these ask, and none ever reads: but for the stream's first byte, which says that it is one by now.
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&stats).unwrap());
        let mut page = TcpStream::connect(&metrics).unwrap();
        page.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        silent.push(page);
    }
    let path = place.path("answers/tcplens.sock");
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"records\n").unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let mut pings = 0;
    until("the stream runs", || {
        connection.ping();
        pings += 1;
        matches!(stream.read(&mut [0]), Ok(1))
    });
    for _ in 0..20 {
        connection.pipeline(500);
    }
    let requests = format!("\"requests\":{},", pings + 10_000);
    until("others are answered all the same", || {
        let answer: String = tcp(&stats, "").split_whitespace().collect();
        answer.contains(&requests)
    });
    let ended = tap.interrupt();
    // The stream's reader missed records, which is told.
    ended.is(
        3,
        &[
            " 0 packets dropped by kernel",
            "records were dropped: socket",
        ],
    );
    drop((silent, stream));
}

#[test]
fn what_a_killed_run_left_does_not_block_the_next() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("stale");
    let killed = answering(&lo, &place);
    let path = place.path("answers/tcplens.sock");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    killed.signal("-KILL");
    assert_eq!(killed.end().signal, Some(9));
    assert!(path.exists(), "nobody could remove it");
    let next = answering(&lo, &place);
    // A third one is refused: the second lives.
    let words = ["records", "-i", "lo", "-U", "./answers/tcplens.sock"];
    let third = Tap::spawn(&mut tcplens(&lo, &place, &words)).end();
    third.is(1, &["another program answers there"]);
    assert!(unix(&place, "GET\n").starts_with("[{\"RX\":"));
    next.interrupt().is(0, &[]);
}

#[test]
fn packets_themselves_and_scripts_see_live_traffic() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("scripts");
    let raw = Tap::start(tcplens(
        &lo,
        &place,
        &["requests", "-m", "raw", "-A", "-i", "lo"],
    ));
    let script = Tap::start(tcplens(&lo, &place, &["script", "tcp-connect", "-i", "lo"]));
    let port = pings(&lo, &lo, "127.0.0.1:6379", 1);
    let sent = format!("IP 127.0.0.1.{port} > 127.0.0.1.6379: Flags [P.], ");
    raw.until("a line per packet", |out| {
        out.lines().any(|line| {
            line.contains(&sent) && line.contains("length 14 *1\\r\\n$4\\r\\nPING\\r\\n")
        })
    });
    let connected = format!("127.0.0.1:{port} => 127.0.0.1:6379");
    script.until("a line per connect", |out| out.contains(&connected));
    raw.interrupt().is(0, &[]);
    script.interrupt().is(0, &[]);
}

/// tcpkit refuses an interface without an IPv4 address (K24), and shows nothing of connections that are open already (K2).
#[test]
fn an_interface_without_address_shows_connections_that_are_open_already() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    // The address is another interface's.
    a.ip("address flush dev va");
    a.ip("address add 10.9.0.1/32 dev lo");
    a.ip("route add 10.9.0.2 dev va src 10.9.0.1");
    let place = Place::new("no-address");
    let mut connection = Connection::open(&a, &b, "10.9.0.2:6379");
    connection.ping();
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "va"]));
    connection.ping();
    let port = connection.close();
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let requests = of(&ended.out, "request", port);
    assert_eq!(requests.len(), 1, "{ended:?}");
    assert_eq!(field(requests[0], "direction"), Some("\"outbound\""));
    let connections = of(&ended.out, "connection", port);
    assert_eq!(field(connections[0], "handshake"), Some("\"missed\""));
}
