//! TCP-RT's lines of the kernel's own view: R, W, N, P and E, statistics, families of addresses, on lo and over a cable; and
//! what is lost when nobody reads.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::kernel::{is_to_be_had, namespace};
use crate::kernel_handshakes::nft;
use crate::lines::{Line, kinds, lines, statistics};
use crate::namespace::Namespace;
use crate::place::Place;
use crate::programs::{are_there, nginx, redis};
use crate::records::{field, number, of, of_kind};
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings};

const GET: &[u8] = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Ends of connections: E lines.
#[track_caller]
fn told(tap: Tap, connections: usize) -> Vec<Line> {
    tap.until("the ends of connections", |out| {
        out.matches("V6 E ").count() == connections
    });
    let ended = tap.interrupt();
    ended.is(0, &[", 0 dropped in the ring buffer"]);
    lines(&ended.out)
}

#[test]
fn requests_to_others_have_ten_columns() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-peer");
    let words = ["requests", "-k", "--peer-port", "6379", "-f", "tcprt"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    connection.ping();
    connection.upload(100_000);
    connection.download(200_000);
    let port = connection.close();
    let all = told(tap, 1);
    assert_eq!(kinds(&all), ["V6 P", "V6 P", "V6 P", "V6 E"], "{all:#?}");
    let sent = [14, 31 + 100_000, 20];
    let received = [7, 5, 11 + 200_000];
    for (n, task) in all[..3].iter().enumerate() {
        assert_eq!(
            task.ends,
            ["127.0.0.1:6379".to_owned(), format!("127.0.0.1:{port}")]
        );
        assert_eq!(task.columns.len(), 10, "{task:?}");
        assert_eq!(
            (task.column(1), task.column(8)),
            (sent[n], received[n]),
            "{task:?}"
        );
        assert_eq!(task.column(5), n as u64 + 1, "{task:?}");
        // From the first byte to the last: sending, waiting, receiving.
        assert!(
            task.column(2) >= task.column(6) + task.column(7),
            "{task:?}"
        );
        assert!(task.column(3) > 0 && task.column(10) > 1000, "{task:?}");
    }
    let end = &all[3];
    assert_eq!(end.columns.len(), 6, "{end:?}");
    // A machine that stalls sends again: then a request and the connection both tell.
    let again = all[..3].iter().map(|task| task.column(4)).sum();
    assert_eq!(
        end.columns[..5],
        [3, sent.iter().sum(), 0, received.iter().sum(), again]
    );
}

#[test]
fn what_was_cut_off_is_w_or_n() {
    if !are_there(&["nginx"]) {
        return;
    }
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-cut");
    let _nginx = nginx(&lo, &place, 80, "listen 127.0.0.1:80;");
    let words = ["requests", "-k", "-p", "80", "-f", "tcprt"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let connect = || lo.within(|| TcpStream::connect("127.0.0.1:80")).unwrap();
    // More than the buffers of both ends take is asked for, and not read: the reader leaves with a reset.
    let mut cut = connect();
    let asked = 20;
    cut.write_all(&GET.repeat(asked)).unwrap();
    let mut some = [0; 4096];
    let read = cut.read(&mut some).unwrap();
    assert!(read > 0);
    drop(cut);
    // Half a request, and a clean end.
    let mut half = connect();
    half.write_all(&GET[..20]).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    half.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    // One that is whole.
    let mut whole = connect();
    whole.write_all(GET).unwrap();
    let mut left = 300_000;
    while left > 0 {
        let length = whole.read(&mut some).unwrap();
        assert!(length > 0);
        left = usize::saturating_sub(left, length);
    }
    drop(whole);
    let all = told(tap, 3);
    let of = |what: &str| -> Vec<&Line> { all.iter().filter(|line| line.what() == what).collect() };
    let (w, n) = (of("V6 W"), of("V6 N"));
    assert_eq!((w.len(), n.len()), (1, 1), "{all:#?}");
    // Sent so far, since T0, not acknowledged; its number.
    assert_eq!((w[0].columns.len(), w[0].column(5)), (10, 1), "{all:#?}");
    assert!(w[0].column(1) > 0 && w[0].column(2) > 0, "{all:#?}");
    assert!(
        w[0].column(2) >= w[0].column(6) + w[0].column(7),
        "{all:#?}"
    );
    assert_eq!(n[0].columns.len(), 5, "{all:#?}");
    assert_eq!(
        (n[0].column(1), n[0].column(3), n[0].column(4)),
        (1, 20, 0),
        "{all:#?}"
    );
    let ends = of("V6 E");
    let of_half = ends.iter().find(|line| line.ends == n[0].ends).unwrap();
    assert_eq!(of_half.columns[..4], [1, 0, 0, 20], "{all:#?}");
    assert!(
        of("V6 R").iter().any(|line| line.column(1) > 300_000),
        "{all:#?}"
    );
}

/// Bytes that the server at port 80 has for a client and that are not acknowledged, by /proc/net/tcp of this thread's namespace.
fn send_queue(client: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(str::split_whitespace);
    let queue = rows.filter_map(|mut row| {
        let (local, remote) = (row.nth(1)?, row.next()?);
        let is_it = local.ends_with(":0050") && remote.ends_with(&format!(":{client:04X}"));
        let queues = row.nth(1).filter(|_| is_it)?;
        u64::from_str_radix(queues.split(':').next()?, 16).ok()
    });
    queue.sum()
}

#[test]
fn statistics_tell_how_many_of_a_thousand_were_cut_off() {
    if !are_there(&["nginx"]) {
        return;
    }
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-cut-share");
    let _nginx = nginx(&lo, &place, 80, "listen 127.0.0.1:80;");
    let words = [
        "requests",
        "-k",
        "-p",
        "80",
        "-f",
        "tcprt",
        "--stats-interval",
        "60",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let connect = || lo.within(|| TcpStream::connect("127.0.0.1:80")).unwrap();
    let mut some = [0; 4096];
    for is_cut in [false, true, false, false, true] {
        let mut stream = connect();
        stream
            .write_all(&GET.repeat(if is_cut { 20 } else { 1 }))
            .unwrap();
        let mut left = if is_cut { 1 } else { 300_000 };
        while left > 0 {
            let length = stream.read(&mut some).unwrap();
            assert!(length > 0);
            left = usize::saturating_sub(left, length);
        }
        if is_cut {
            // What it had written so far may all have arrived: nothing would be cut off then.
            let client = stream.local_addr().unwrap();
            let mut before = 0;
            until("the server is stuck", || {
                let waits = lo.within(|| send_queue(client.port()));
                let is_stuck = waits > 0 && waits == before;
                before = waits;
                is_stuck
            });
        }
    }
    tap.until("the ends of connections", |out| {
        out.matches("V6 E ").count() == 5
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let count = |what: &str| {
        let all = lines(&ended.out);
        all.iter().filter(|line| line.what() == what).count() as u64
    };
    assert_eq!((count("V6 R"), count("V6 W")), (3, 2), "{}", ended.out);
    let all = statistics(&ended.out);
    let [words] = &all[..] else {
        panic!("{}", ended.out);
    };
    // Of a thousand tasks, those cut off not among them: 1000 * 2 / 3.
    assert_eq!(
        (words[7].as_str(), words[11].as_str()),
        ("666", "3"),
        "{words:?}"
    );
}

#[test]
fn statistics_have_twelve_columns() {
    if !are_there(&["nginx"]) {
        return;
    }
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-twelve");
    let words = [
        "requests",
        "-k",
        "-p",
        "6379",
        "--peer-port",
        "6380",
        "-f",
        "tcprt",
        "--stats-interval",
        "1",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    pings(&lo, &lo, "127.0.0.1:6379", 10);
    pings(&lo, &lo, "127.0.0.1:6380", 4);
    let tasks = |out: &str, port: &str| -> u64 {
        let all = statistics(out).into_iter().filter(|words| words[2] == port);
        all.map(|words| words[11].parse::<u64>().unwrap()).sum()
    };
    tap.until("all requests in statistics", |out| {
        tasks(out, "6379") == 10 && tasks(out, "P6380") == 4
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let all = lines(&ended.out);
    let mut spans = [0, 0];
    for words in statistics(&ended.out) {
        assert_eq!(words.len(), 12, "{words:?}");
        let numbers: Vec<u64> = words[3..]
            .iter()
            .map(|word| word.parse().unwrap())
            .collect();
        let [total, server, lost, rtt, cut, sent, upload, received, tasks] = numbers[..] else {
            panic!("{words:?}");
        };
        assert_eq!((lost, cut), (0, 0), "{words:?}");
        let is_peer = words[2] == "P6380";
        if tasks == 0 {
            assert_eq!(numbers, [0; 9], "{words:?}");
            continue;
        }
        assert_eq!(
            (sent, received),
            if is_peer { (14, 7) } else { (7, 14) },
            "{words:?}"
        );
        assert!(rtt > 0 && total >= server + upload, "{words:?}");
        spans[usize::from(is_peer)] += total * tasks;
    }
    // The mean of the column of the lines, up to what rounding takes.
    for (n, what) in [(0, "V6 R"), (1, "V6 P")] {
        let of = all.iter().filter(|line| line.what() == what);
        let (sum, count) = of.fold((0, 0), |(sum, count), line| {
            (sum + line.column(2), count + 1)
        });
        assert!(
            spans[n] <= sum && spans[n] + count >= sum,
            "{spans:?} {sum}: {}",
            ended.out
        );
    }
}

#[test]
fn all_families_are_told_on_lo_and_over_a_cable() {
    if !are_there(&["nginx"]) || !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-families");
    a.ip("address add fd00::1/64 dev va nodad");
    b.ip("address add fd00::2/64 dev vb nodad");
    // One socket for both families: connections of IPv4 have mapped addresses there.
    let _nginx = nginx(&b, &place, 80, "listen [::]:80 ipv6only=off;");
    let words = ["requests", "-k", "-p", "80", "-f", "tcprt"];
    let tap = Tap::start(tcplens(&b, &place, &words));
    let from: [(&Namespace, &str); 4] = [
        (&b, "127.0.0.1:80"),
        (&b, "[::1]:80"),
        (&a, "10.9.0.2:80"),
        (&a, "[fd00::2]:80"),
    ];
    let mut clients = Vec::new();
    for (namespace, server) in from {
        let address: SocketAddr = server.parse().unwrap();
        let mut stream = namespace.within(|| TcpStream::connect(address)).unwrap();
        stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        clients.push((
            stream.local_addr().unwrap().to_string(),
            answer.len() as u64,
        ));
    }
    let all = told(tap, 4);
    assert_eq!(all.len(), 8, "{all:#?}");
    for ((client, bytes), (_, server)) in clients.into_iter().zip(from) {
        let ends = [client, server.to_owned()];
        let of: Vec<Line> = all
            .iter()
            .filter(|line| line.ends == ends)
            .cloned()
            .collect();
        assert_eq!(kinds(&of), ["V6 R", "V6 E"], "{ends:?}: {all:#?}");
        assert_eq!((of[0].column(1), of[0].column(8)), (bytes, 23), "{of:#?}");
        assert_eq!((of[1].column(2), of[1].column(4)), (bytes, 23), "{of:#?}");
    }
}

#[test]
fn connections_that_were_there_before_are_taken_up() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-adopted");
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    connection.ping();
    let words = ["records", "-k", "-p", "6379"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    connection.upload(100_000);
    connection.ping();
    let port = connection.close();
    tap.until("the connection", |out| {
        !of(out, "connection", port).is_empty()
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert!(
        of(&ended.out, "handshake", port).is_empty(),
        "{}",
        ended.out
    );
    let requests = of(&ended.out, "request", port);
    let bytes: Vec<[u64; 2]> = requests
        .iter()
        .map(|line| ["request_bytes", "response_bytes"].map(|name| number(line, name)))
        .collect();
    assert_eq!(bytes, [[100_031, 5], [14, 7]], "{requests:#?}");
    let connection = of(&ended.out, "connection", port).pop().unwrap();
    for (name, value) in [
        ("handshake", "\"missed\""),
        ("requests", "2"),
        ("client_bytes", "100045"),
        ("server_bytes", "12"),
        ("close", "\"fin\""),
    ] {
        assert_eq!(field(connection, name), Some(value), "{name}: {connection}");
    }
}

/// The third long segment in each direction is lost.
const LOSS: &str = "table ip faults {
 chain input {
  type filter hook input priority 0;
  tcp sport 6379 meta length > 1000 numgen inc mod 1000000 == 2 drop
  tcp dport 6379 meta length > 1000 numgen inc mod 1000000 == 2 drop
 }
}";

#[test]
fn retransmits_and_order_are_of_the_request_in_which_they_were() {
    if !are_there(&["nft"]) || !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-loss");
    if !nft(&a, &place, LOSS) || !nft(&b, &place, LOSS) {
        return;
    }
    let of_server = ["requests", "-k", "-p", "6379", "-f", "tcprt"];
    let of_client = ["requests", "-k", "--peer-port", "6379", "-f", "tcprt"];
    let server = Tap::start(tcplens(&b, &place, &of_server));
    let client = Tap::start(tcplens(&a, &place, &of_client));
    let mut connection = Connection::open(&a, &b, "10.9.0.2:6379");
    connection.ping();
    connection.upload(1_000_000);
    connection.ping();
    connection.download(1_000_000);
    connection.ping();
    connection.close();
    let (server, client) = (told(server, 1), told(client, 1));
    assert_eq!(
        kinds(&server),
        ["V6 R", "V6 R", "V6 R", "V6 R", "V6 R", "V6 E"],
        "{server:#?}"
    );
    assert_eq!(
        kinds(&client),
        ["V6 P", "V6 P", "V6 P", "V6 P", "V6 P", "V6 E"],
        "{client:#?}"
    );
    // Each end tells what it sent again, and what came to it out of order.
    for (lines, sends, gets) in [(&server, 3, 1), (&client, 1, 3)] {
        let mut all = 0;
        for (n, task) in lines[..5].iter().enumerate() {
            let (retransmits, is_reordered) = (task.column(4), task.column(9));
            assert_eq!(retransmits > 0, n == sends, "{lines:#?}");
            assert_eq!(is_reordered, u64::from(n == gets), "{lines:#?}");
            all += retransmits;
        }
        assert_eq!(lines[5].column(5), all, "{lines:#?}");
    }
    assert_eq!(server[1].column(8), 1_000_032);
    assert_eq!(server[3].column(1), 1_000_012);
}

#[test]
fn what_finds_no_room_is_counted_and_the_traffic_does_not_wait() {
    if !are_there(&["redis-server"]) {
        return;
    }
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-drops");
    let _redis = redis(&lo, &place);
    let mut command = alone(&place, &["records", "-k", "-p", "6379", "-B", "1MiB"]);
    command.args(["--netns", &lo.name()]);
    let tap = Tap::start(command);
    tap.signal("-STOP");
    let status = format!("/proc/{}/status", tap.id());
    until("it is stopped", || {
        std::fs::read_to_string(&status)
            .unwrap()
            .contains("State:\tT")
    });
    let mut stream = lo.within(|| TcpStream::connect("127.0.0.1:6379")).unwrap();
    stream.set_nodelay(true).unwrap();
    let (requests, mut pong) = (10_000, [0; 7]);
    for _ in 0..requests {
        stream.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
        stream.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"+PONG\r\n");
    }
    let port = stream.local_addr().unwrap().port();
    tap.signal("-CONT");
    // What comes from now on finds room.
    until("it reads again", || {
        stream.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
        stream.read_exact(&mut pong).unwrap();
        of(&tap.out(), "request", port)
            .iter()
            .any(|line| number(line, "task") > requests)
    });
    drop(stream);
    tap.until("the connection", |out| {
        !of(out, "connection", port).is_empty()
    });
    let ended = tap.interrupt();
    ended.is(3, &[" dropped in the ring buffer"]);
    let health = of_kind(&ended.out, "health").pop().unwrap();
    let (told, drops) = (
        of(&ended.out, "request", port),
        number(health, "event_drops"),
    );
    let connection = of(&ended.out, "connection", port).pop().unwrap();
    assert_eq!(
        field(connection, "capture_loss"),
        Some("true"),
        "{connection}"
    );
    // Nothing is lost but what was counted: the handshake and the connection are events too.
    let all = number(connection, "requests");
    let handshakes = of(&ended.out, "handshake", port).len() as u64;
    assert!(drops > 0, "{health}");
    assert_eq!(
        told.len() as u64 + drops + handshakes,
        all + 1,
        "{health}\n{connection}"
    );
}
