//! The kernel's own view of redis: each request with its own name, bytes and number; the same from both ways to load the
//! programs.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::kernel::{is_to_be_had, namespace};
use crate::namespace::Namespace;
use crate::place::Place;
use crate::programs::{are_there, redis};
use crate::records::{field, number, of};
use crate::tap::{Tap, tcplens};

/// A client that sends one request after the other.
pub(crate) struct Client(TcpStream);

/// What a request was: its words, and the bytes of both ways.
pub(crate) struct Asked {
    pub operation: &'static str,
    pub summary: String,
    pub bytes: [u64; 2],
}

impl Client {
    pub(crate) fn connect(namespace: &Namespace, address: &str) -> Client {
        let stream = namespace.within(|| TcpStream::connect(address)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Asks, and waits for an answer of so many bytes.
    pub(crate) fn ask(&mut self, words: &[&str], answer: usize) -> [u64; 2] {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.0.write_all(request.as_bytes()).unwrap();
        self.0.read_exact(&mut vec![0; answer]).unwrap();
        [request.len() as u64, answer as u64]
    }

    /// Small and large ones, all different.
    pub(crate) fn mixed(&mut self, rounds: usize) -> Vec<Asked> {
        let mut all = Vec::new();
        let long = "v".repeat(300_000);
        for n in 0..rounds {
            let key = format!("key:{n}");
            let value = if n % 10 == 3 { long.as_str() } else { "value" };
            let bulk = format!("${}\r\n", value.len()).len() + value.len() + 2;
            let mut told = |operation, summary: String, bytes| {
                all.push(Asked {
                    operation,
                    summary,
                    bytes,
                });
            };
            let bytes = self.ask(&["SET", &key, value], 5);
            told("SET", format!("SET {key}"), bytes);
            let bytes = self.ask(&["GET", &key], bulk);
            told("GET", format!("GET {key}"), bytes);
            let bytes = self.ask(&["STRLEN", &key], format!(":{}\r\n", value.len()).len());
            told("STRLEN", format!("STRLEN {key}"), bytes);
        }
        all
    }
}

/// The records of one connection are these requests.
#[track_caller]
fn are_told(out: &str, port: u16, asked: &[Asked], named: bool) {
    let records = of(out, "request", port);
    assert_eq!(records.len(), asked.len());
    for (n, (record, asked)) in records.iter().zip(asked).enumerate() {
        assert_eq!(number(record, "task"), n as u64 + 1, "{record}");
        let bytes = ["request_bytes", "response_bytes"].map(|name| number(record, name));
        assert_eq!(bytes, asked.bytes, "{} {record}", asked.summary);
        assert_eq!(field(record, "status"), Some("\"ok\""), "{record}");
        if !named {
            continue;
        }
        assert_eq!(field(record, "protocol"), Some("\"redis\""), "{record}");
        let operation = field(record, "operation").unwrap_or_default();
        assert_eq!(
            operation.trim_matches('"'),
            asked.operation,
            "{n}: {record}"
        );
        let summary = field(record, "summary")
            .unwrap_or_default()
            .trim_matches('"');
        assert!(summary.starts_with(&asked.summary), "{n}: {record}");
    }
}

#[test]
fn each_request_has_its_own_name() {
    if !are_there(&["redis-server"]) || !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-redis");
    let _redis = redis(&b, &place);
    let words = ["records", "-k", "-p", "6379", "-m", "redis"];
    let tap = Tap::start(tcplens(&b, &place, &words));
    for (namespace, address) in [(&a, "10.9.0.2:6379"), (&b, "127.0.0.1:6379")] {
        let mut client = Client::connect(namespace, address);
        let (port, asked) = (client.port(), client.mixed(50));
        drop(client);
        tap.until("the connection", |out| {
            !of(out, "connection", port).is_empty()
        });
        are_told(&tap.out(), port, &asked, true);
        let out = tap.out();
        let connection = of(&out, "connection", port).pop().unwrap().to_owned();
        for (name, n) in [("client_bytes", 0), ("server_bytes", 1)] {
            let sum: u64 = asked.iter().map(|asked| asked.bytes[n]).sum();
            assert_eq!(number(&connection, name), sum, "{connection}");
        }
        assert_eq!(number(&connection, "requests"), asked.len() as u64);
    }
    let ended = tap.interrupt();
    ended.is(0, &[", 0 dropped in the ring buffer"]);
    assert!(!ended.out.contains("limit_hits"), "{}", ended.err);
}

#[test]
fn both_ways_to_load_the_programs_tell_the_same() {
    if !are_there(&["redis-server"]) {
        return;
    }
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-hash");
    let _redis = redis(&lo, &place);
    // Both look at the same traffic.
    let observe = |programs| {
        let words = ["records", "-k", "-p", "6379", "--programs", programs];
        Tap::start(tcplens(&lo, &place, &words))
    };
    let taps = [observe("best"), observe("hash")];
    let mut clients = Vec::new();
    for rounds in [1, 40, 3] {
        let mut client = Client::connect(&lo, "127.0.0.1:6379");
        clients.push((client.port(), client.mixed(rounds)));
    }
    let outs = taps.map(|tap| {
        for (port, _) in &clients {
            tap.until("connections", |out| {
                !of(out, "connection", *port).is_empty()
            });
        }
        let ended = tap.interrupt();
        ended.is(0, &[", 0 dropped in the ring buffer"]);
        ended.out
    });
    for out in &outs {
        for (port, asked) in &clients {
            are_told(out, *port, asked, false);
        }
    }
    // What is not measured, in the same order.
    let same = [
        "client_port",
        "task",
        "status",
        "ended_by",
        "request_bytes",
        "response_bytes",
        "queued",
        "retransmits",
        "outcome",
        "close",
        "client_bytes",
        "server_bytes",
        "requests",
        "tap_side",
        "role_from",
        "mss",
    ];
    for kind in ["handshake", "request", "connection"] {
        for (port, _) in &clients {
            let [best, hash] = [&outs[0], &outs[1]].map(|out| {
                let records = of(out, kind, *port).into_iter();
                let fields = records.map(|line| same.map(|name| field(line, name)));
                fields.collect::<Vec<_>>()
            });
            assert_eq!(best, hash, "{kind}");
        }
    }
    // The same stamps of the kernel: differences are those of the two programs that read the clock. Of all connections
    // together: of the few requests of one, a program that is put aside once is more than 5 %.
    let mut far = Vec::new();
    for (port, _) in &clients {
        let [best, hash] = [&outs[0], &outs[1]].map(|out| of(out, "request", *port));
        for (best, hash) in best.iter().zip(&hash) {
            for name in ["upload_us", "process_us", "delivered_us"] {
                let [best, hash] = [best, hash].map(|line| {
                    let value = field(line, name).unwrap_or("-1");
                    value.parse::<f64>().unwrap()
                });
                far.push((best - hash).abs());
            }
        }
    }
    far.sort_by(f64::total_cmp);
    let p95 = far[far.len() * 95 / 100];
    assert!(p95 <= 20.0, "p95 of differences is {p95} us");
}
