//! The server over real sockets, with a desk that stands in for the one that has the records; at the end a real Prometheus.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Handshake;
use tcplens_core::view::Metrics;
use tcplens_output::prometheus;

use super::{CLIENTS, Http};
use crate::answer::{Asked, Question};

#[path = "../../../../tcplens-core/tests/view_records/mod.rs"]
#[expect(dead_code, reason = "for all tests of views; not all is needed here")]
mod view_records;

/// Longer than anything takes that is right.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of the loopback, and the thread that answers for the desk until the server is gone.
struct Served {
    http: Http,
    at: SocketAddr,
    desk: JoinHandle<()>,
}

fn serve(answer: impl Fn(Asked) + Send + 'static) -> Served {
    let (asks, asked): (_, Receiver<Asked>) = sync_channel(4);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    Served {
        http: Http::start(listener, asks).unwrap(),
        at,
        desk: thread::spawn(move || asked.into_iter().for_each(answer)),
    }
}

impl Served {
    /// Stops the server; that the desk's thread ends says that nobody can ask any more.
    fn stop(self) {
        let start = Instant::now();
        drop(self.http);
        self.desk.join().unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }
}

fn says(page: &'static [u8]) -> impl Fn(Asked) + Send {
    move |asked| {
        assert_eq!(asked.question, Question::Metrics);
        // Who asked may be gone.
        let _ = asked.reply.send(page.to_vec());
    }
}

/// Everything that comes for a request.
fn fetch(at: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8(response).unwrap()
}

fn get(at: SocketAddr, target: &str) -> String {
    fetch(
        at,
        format!("GET {target} HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes(),
    )
}

#[test]
fn the_page_is_what_the_desk_says_and_everything_else_is_refused() {
    let served = serve(says(b"up 1\n"));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 5\r\n\
        Connection: close\r\n\r\n";
    assert_eq!(get(served.at, "/metrics"), format!("{head}up 1\n"));
    assert_eq!(fetch(served.at, b"HEAD /metrics HTTP/1.1\r\n\r\n"), head);
    let welcome = get(served.at, "/");
    assert!(
        welcome.starts_with("HTTP/1.1 200 OK\r\n") && welcome.contains("/metrics\n"),
        "{welcome}"
    );
    for (request, status) in [
        (&b"GET /other HTTP/1.1\r\n\r\n"[..], "404 Not Found"),
        (
            b"PUT /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "405 Method Not Allowed",
        ),
        (b"no http\r\n\r\n", "400 Bad Request"),
        (&[b'x'; 9000], "431 Request Header Fields Too Large"),
    ] {
        let response = fetch(served.at, request);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert_eq!(
            response.contains("\r\nAllow: GET, HEAD\r\n"),
            status.starts_with("405")
        );
    }
    served.stop();
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let served = serve(says(b"up 1\n"));
    let mut stream = TcpStream::connect(served.at).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /metrics HTTP/1.1\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nup 1\n"), "{response}");
    served.stop();
}

#[test]
fn clients_that_say_nothing_or_read_nothing_harm_nobody() {
    static LARGE: [u8; 8 << 20] = [b'#'; 8 << 20];
    let served = serve(says(&LARGE));
    // More than fits into the buffers of the sockets, and nobody who reads it.
    let deaf: Vec<_> = (0..2 * CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(served.at).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let mute: Vec<_> = (0..2 * CLIENTS)
        .map(|_| TcpStream::connect(served.at).unwrap())
        .collect();
    let start = Instant::now();
    let response = get(served.at, "/metrics");
    assert!(response.len() > LARGE.len());
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    served.stop();
    drop((deaf, mute));
}

#[test]
fn where_the_desk_does_not_answer_the_client_is_told() {
    let served = serve(|asked| drop(asked.reply));
    let response = get(served.at, "/metrics");
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    served.stop();
}
