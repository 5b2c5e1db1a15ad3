//! `--otlp` while packets are captured: what arrives meanwhile, and that a collector that hangs costs capture nothing.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::collector::collector;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of;
use crate::tap::{Tap, alone, tcplens};
use crate::traffic::Connection;

#[test]
fn metrics_come_while_it_runs_also_where_the_collector_has_a_name() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("otlp");
    let (url, told) = collector(200);
    // Looked up when privileges and most files are out of reach.
    let url = url.replace("127.0.0.1", "localhost");
    let words = [
        "records",
        "-i",
        "lo",
        "--otlp",
        &url,
        "--otlp-interval",
        "1",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let mut documents = Vec::new();
    while documents.len() < 3 {
        connection.ping();
        if let Ok((path, _, body)) = told.recv_timeout(Duration::from_millis(10)) {
            assert_eq!(path, "/v1/metrics");
            documents.push(body);
        }
    }
    connection.close();
    let ended = tap.interrupt();
    ended.is(0, &[]);
    for body in &documents {
        assert!(body.contains("\"stringValue\":\"wire\""), "{body}");
    }
    let last = told.try_iter().last().unwrap().2;
    for part in [
        "\"stringValue\":\"PING\"",
        "\"tcplens.kernel_dropped_packets\"",
    ] {
        assert!(last.contains(part), "{part} {last}");
    }
    assert_ne!(last, documents[0]);
}

#[test]
fn a_collector_that_hangs_costs_capture_nothing() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("otlp-hangs");
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hangs.local_addr().unwrap());
    let words = [
        "records",
        "-i",
        "lo",
        "--otlp",
        &url,
        "--otlp-interval",
        "1",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    connection.ping();
    // It is about to send, and nobody reads.
    let _hung = hangs.accept().unwrap();
    for _ in 0..1000 {
        connection.ping();
    }
    let port = connection.close();
    let began = Instant::now();
    let ended = tap.interrupt();
    assert!(began.elapsed() < Duration::from_secs(15), "it waits 5 s");
    ended.is(3, &["records were dropped: otlp did not take them"]);
    assert_eq!(ended.counted().1, 0, "{}", ended.err);
    assert_eq!(of(&ended.out, "request", port).len(), 1001);
}

#[test]
fn the_agent_sends_without_a_view() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("otlp-agent");
    let (url, told) = collector(200);
    let netns = lo.name();
    let file = format!(
        "sources: [{{interface: lo, netns: '{netns}', buffer: 4MiB}}]\notlp: {{url: '{url}', interval: 1}}\n"
    );
    std::fs::write(place.path("a.yaml"), file).unwrap();
    let tap = Tap::start(alone(&place, &["agent", "--config", "a.yaml"]));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let mut bodies = Vec::new();
    while bodies.len() < 2 {
        connection.ping();
        if let Ok((_, _, body)) = told.recv_timeout(Duration::from_millis(10)) {
            bodies.push(body);
        }
    }
    connection.close();
    tap.interrupt().is(0, &[]);
    let last = told.try_iter().last().unwrap().2;
    assert!(last.contains("\"stringValue\":\"PING\""), "{last}");
}
