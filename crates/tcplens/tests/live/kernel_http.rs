//! The kernel's own view of HTTP: nginx with curl, in TCP-RT's lines. Bytes are held against what curl counted.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::kernel::namespace;
use crate::lines::{Line, kinds, lines};
use crate::namespace::Namespace;
use crate::place::Place;
use crate::programs::{Program, are_there, file, nginx, run};
use crate::tap::{Tap, tcplens, until};

fn server(name: &str) -> Option<(Namespace, Place, Program)> {
    if !are_there(&["nginx", "curl"]) {
        return None;
    }
    let lo = namespace()?;
    let place = Place::new(name);
    let nginx = nginx(&lo, &place, 80, "listen 127.0.0.1:80;");
    Some((lo, place, nginx))
}

fn observe(lo: &Namespace, place: &Place, more: &[&str]) -> Tap {
    let words = [
        "requests", "-k", "-p", "80", "--mode", "80=http", "-f", "tcprt",
    ];
    Tap::start(tcplens(lo, place, &[&words[..], more].concat()))
}

/// Bytes of the request with its body, and of the response with its head.
#[track_caller]
fn curl(lo: &Namespace, place: &Place, words: &[&str]) -> (u64, u64) {
    let counts = "%{size_request} %{size_upload} %{size_header} %{size_download}";
    let fixed = ["curl", "-sS", "-o", "/dev/null", "-w", counts];
    let output = run(lo, place, &[&fixed[..], words].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    let counts: Vec<u64> = said.split(' ').map(|word| word.parse().unwrap()).collect();
    (counts[0] + counts[1], counts[2] + counts[3])
}

/// The lines of so many connections that have ended.
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
fn requests_of_http_have_round_trip_and_window() {
    let Some((lo, place, _nginx)) = server("kernel-http") else {
        return;
    };
    let tap = observe(&lo, &place, &[]);
    let bytes = curl(&lo, &place, &["http://127.0.0.1/small"]);
    let all = told(tap, 1);
    assert_eq!(kinds(&all), ["V7 R", "V6 E"], "{all:#?}");
    let [task, end] = &all[..] else {
        unreachable!()
    };
    assert_eq!(task.columns.len(), 12, "{task:?}");
    assert_eq!((task.column(8), task.column(1)), bytes, "{task:?}");
    assert!(
        task.column(2) >= task.column(6) + task.column(7),
        "{task:?}"
    );
    // Retransmits, number, reordered; the segment size of lo; round trip and window.
    assert_eq!((task.column(4), task.column(5), task.column(9)), (0, 1, 0));
    assert!(task.column(10) > 1000 && task.column(11) > 0 && task.column(12) > 0);
    // FINs are no bytes.
    assert_eq!(end.columns.len(), 6, "{end:?}");
    assert_eq!((end.column(1), end.column(3), end.column(5)), (1, 0, 0));
    assert_eq!((end.column(4), end.column(2)), bytes, "{end:?}");
}

#[test]
fn a_connection_that_the_server_closes_has_all_bytes_and_no_more() {
    let Some((lo, place, _nginx)) = server("kernel-http10") else {
        return;
    };
    let tap = observe(&lo, &place, &[]);
    let mut bytes = Vec::new();
    for path in ["small", "large"] {
        bytes.push(curl(
            &lo,
            &place,
            &["-0", &format!("http://127.0.0.1/{path}")],
        ));
    }
    let all = told(tap, 2);
    assert_eq!(kinds(&all), ["V7 R", "V6 E", "V7 R", "V6 E"], "{all:#?}");
    for (connection, bytes) in all.chunks(2).zip(bytes) {
        let [task, end] = connection else {
            unreachable!()
        };
        assert_eq!((task.column(8), task.column(1)), bytes, "{all:#?}");
        assert_eq!((end.column(4), end.column(2)), bytes, "{all:#?}");
    }
}

#[test]
fn a_request_that_waits_for_100_continue_is_told_apart() {
    let Some((lo, place, _nginx)) = server("kernel-http-100") else {
        return;
    };
    let body = file(&place, "body", &vec![b'b'; 200_000]);
    let tap = observe(&lo, &place, &[]);
    let words = [
        "-H",
        "Expect: 100-continue",
        "-T",
        &body,
        "http://127.0.0.1/put/x",
    ];
    let (request, response) = curl(&lo, &place, &words);
    let all = told(tap, 1);
    assert_eq!(kinds(&all), ["V7 R.C", "V7 R", "V6 E"], "{all:#?}");
    let [asks, sends, end] = &all[..] else {
        unreachable!()
    };
    assert_eq!((asks.column(1), asks.columns.len()), (25, 12), "{all:#?}");
    assert_eq!(asks.column(8) + 200_000, request, "{all:#?}");
    assert_eq!(sends.column(8), 200_000, "{all:#?}");
    // curl counts both heads.
    assert_eq!(asks.column(1) + sends.column(1), response, "{all:#?}");
    assert_eq!((sends.column(5), end.column(1)), (2, 2), "{all:#?}");
}

#[test]
fn first_frames_are_told_in_pairs() {
    let Some((lo, place, _nginx)) = server("kernel-http-frames") else {
        return;
    };
    let tap = observe(&lo, &place, &["--first-frame", "1000,20000,250000,1000000"]);
    let (_, response) = curl(&lo, &place, &["http://127.0.0.1/large"]);
    let all = told(tap, 1);
    assert_eq!(kinds(&all), ["V7 R.F", "V6 E"], "{all:#?}");
    frames(&all[0], response);
}

#[test]
fn first_frames_are_told_also_when_the_server_has_closed() {
    let Some((lo, place, _nginx)) = server("kernel-http-frames10") else {
        return;
    };
    let tap = observe(&lo, &place, &["--first-frame", "1000,20000,250000,1000000"]);
    let mut stream = lo.within(|| TcpStream::connect("127.0.0.1:80")).unwrap();
    stream.write_all(b"GET /large HTTP/1.0\r\n\r\n").unwrap();
    // All that is left lies in the server's socket, which is in FIN-WAIT-1.
    until("the server has closed", || {
        let read = || std::fs::read_to_string("/proc/thread-self/net/tcp");
        let sockets = lo.within(read).unwrap();
        sockets.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let is_server = fields.next().is_some_and(|local| local.ends_with(":0050"));
            is_server && fields.nth(1) == Some("04")
        })
    });
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    drop(stream);
    let all = told(tap, 1);
    assert_eq!(kinds(&all), ["V7 R.F", "V6 E"], "{all:#?}");
    frames(&all[0], answer.len() as u64);
}

/// Of thresholds 1000, 20,000, 250,000 and one that is not reached.
#[track_caller]
fn frames(task: &Line, response: u64) {
    assert_eq!(task.columns.len(), 12 + 8, "{task:?}");
    let pairs: Vec<(u64, u64)> = task.columns[12..]
        .chunks(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    let mut before = (0, 0);
    for (threshold, pair) in [1000, 20_000, 250_000].into_iter().zip(&pairs) {
        assert!((threshold..=response).contains(&pair.0), "{task:?}");
        assert!(pair.0 >= before.0 && pair.1 >= before.1, "{task:?}");
        before = *pair;
    }
    // From the first byte of the response on: no later than all of it.
    assert!(
        before.1 <= task.column(2) - task.column(6) - task.column(7) + 1,
        "{task:?}"
    );
    assert_eq!(pairs[3], (0, 0), "{task:?}");
}

#[test]
fn an_idle_connection_hides_nothing_and_tells_nothing_twice() {
    let Some((lo, place, _nginx)) = server("kernel-http-idle") else {
        return;
    };
    let tap = observe(&lo, &place, &["--flush", "0.2"]);
    let mut stream = lo.within(|| TcpStream::connect("127.0.0.1:80")).unwrap();
    let mut ask = || {
        let request = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).unwrap();
        let (mut answer, mut some) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(&[b's'; 16]) {
            let length = stream.read(&mut some).unwrap();
            assert!(length > 0);
            answer.extend_from_slice(&some[..length]);
        }
        (request.len() as u64, answer.len() as u64)
    };
    let mut bytes = Vec::new();
    for n in 1..=3 {
        bytes.push(ask());
        until("the request is told while nothing happens", || {
            lines(&tap.out()).len() == n
        });
    }
    drop(stream);
    let all = told(tap, 1);
    assert_eq!(kinds(&all), ["V7 R", "V7 R", "V7 R", "V6 E"], "{all:#?}");
    for (n, task) in all[..3].iter().enumerate() {
        assert_eq!((task.column(8), task.column(1)), bytes[n], "{all:#?}");
        assert_eq!(task.column(5), n as u64 + 1, "{all:#?}");
        // The time of its acknowledgment, not of when it was told.
        assert!(task.column(2) < 200_000, "{all:#?}");
    }
}
