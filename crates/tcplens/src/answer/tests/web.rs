//! The page for browsers: who is served, under which headers, and that what changed adds up to what there is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use tcplens_core::record::Outcome;

use super::{Instance, LONG, Listeners, Place, failed, handshake, settings};
use crate::cli::Answering;

fn serving(name: &str) -> (Instance, SocketAddr) {
    let place = Place::new(name);
    let answering = Answering {
        stats_port: None,
        socket: None,
        web: Some("127.0.0.1:0".parse().unwrap()),
        ..place.answering()
    };
    let listeners = Listeners::bind(&answering).unwrap();
    assert_eq!(listeners.wanted(), super::super::Kinds::ALL);
    let instance = Instance::of(listeners, settings(), place);
    let at = instance.servers.web_address().unwrap();
    (instance, at)
}

/// A request with these header fields, to be read from.
fn ask(at: SocketAddr, line: &str, fields: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let request = format!("{line} HTTP/1.1\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    BufReader::new(stream)
}

/// Head and body of a response that ends.
fn fetch(at: SocketAddr, line: &str, fields: &str) -> (String, String) {
    let mut all = String::new();
    ask(at, line, fields).read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The next event: its id and its data, or its name.
fn event(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "{lines:?}");
        let line = line.trim_end().to_owned();
        match (line.is_empty(), lines.len()) {
            (true, 2) => break,
            (true, _) => lines.clear(),
            (false, _) => lines.push(line),
        }
    }
    let data = lines.pop().unwrap();
    let first = lines.pop().unwrap();
    let id = first.strip_prefix("id: ").unwrap_or(&first).to_owned();
    (id, data.strip_prefix("data: ").unwrap().to_owned())
}

/// How often an attempt to a server is told.
fn attempts(document: &str) -> &str {
    let from = document.find("\"attempts\":").unwrap() + "\"attempts\":".len();
    document[from..].split(',').next().unwrap()
}

#[test]
fn browsers_get_the_page_and_its_data_under_safe_headers_and_strangers_get_nothing() {
    let (instance, at) = serving("web-pages");
    let host = format!("Host: {at}\r\n");
    instance.handshakes(vec![failed(
        Outcome::Refused,
        1,
        handshake(1, "192.0.2.7", "10.0.0.1", 80),
    )]);
    let (head, page) = fetch(at, "GET /", &host);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("id=\"data\">null</script>"));
    let (data_head, data) = fetch(at, "GET /data", &host);
    assert!(data.starts_with("{\"revision\":1,\"since\":0,"), "{data}");
    assert!(
        data.contains("\"10.0.0.1:80\"") && data.contains("refused"),
        "{data}"
    );
    assert_eq!(attempts(&data), "1");
    for head in [&head, &data_head] {
        for field in [
            "HTTP/1.1 200 OK\r\n",
            "\r\nContent-Security-Policy: default-src 'none'; ",
            "\r\nX-Content-Type-Options: nosniff\r\n",
            "\r\nX-Frame-Options: DENY\r\n",
            "\r\nReferrer-Policy: no-referrer\r\n",
            "\r\nCache-Control: no-store\r\n",
        ] {
            assert!(head.contains(field), "{field:?} {head}");
        }
        assert!(!head.contains("Access-Control"), "{head}");
    }
    let (head, body) = fetch(at, "HEAD /", &host);
    assert_eq!(
        (head.lines().next(), body.as_str()),
        (Some("HTTP/1.1 200 OK"), "")
    );
    let other = format!("{host}Sec-Fetch-Site: cross-site\r\n");
    for (line, fields, status) in [
        ("GET /data", "Host: evil.example\r\n", "403 Forbidden"),
        ("GET /", "", "403 Forbidden"),
        ("GET /data", &other, "403 Forbidden"),
        ("GET /events", &other, "403 Forbidden"),
        ("POST /data", &host, "405 Method Not Allowed"),
        ("GET /metrics", &host, "404 Not Found"),
        ("GET /../etc/passwd", &host, "404 Not Found"),
    ] {
        let (head, body) = fetch(at, line, fields);
        assert_eq!(
            head.lines().next(),
            Some(&*format!("HTTP/1.1 {status}")),
            "{line}"
        );
        assert!(!body.contains("10.0.0.1:80"), "{line} {body}");
    }
    instance.finish();
}

#[test]
fn events_tell_what_changed_since_what_the_browser_knows() {
    let (instance, at) = serving("web-events");
    let host = format!("Host: {at}\r\n");
    let attempt = || vec![handshake(1, "192.0.2.7", "10.0.0.1", 80)];
    instance.handshakes(attempt());
    // It knows nothing, or another run: all of it.
    let mut stream = ask(at, "GET /events?since=12.7", &host);
    let (id, all) = event(&mut stream);
    assert!(
        all.contains("\"since\":0,") && all.contains("\"findings\":"),
        "{all}"
    );
    assert_eq!(attempts(&all), "1");
    let (run, revision) = id.split_once('.').unwrap();
    assert_eq!(revision, "1");
    // Nothing has changed, then one attempt came.
    let (_, same) = event(&mut stream);
    assert!(
        same.contains("\"since\":1,") && same.contains("\"rows\":[],"),
        "{same}"
    );
    instance.handshakes(attempt());
    let begin = Instant::now();
    let changed = loop {
        let (_, changed) = event(&mut stream);
        // Rows are made a little less often than a document may be asked for.
        if attempts(&changed) == "2" && !changed.contains("\"rows\":[],") {
            break changed;
        }
        assert!(begin.elapsed() < LONG);
    };
    assert!(changed.contains("\"rows\":[[\"10.0.0.1:80\""), "{changed}");
    // Who comes again says what it knows.
    let fields = format!("{host}Last-Event-ID: {run}.1\r\n");
    let (_, again) = event(&mut ask(at, "GET /events?since=12.7", &fields));
    assert!(
        again.contains("\"since\":1,") && again.contains("\"rows\":[["),
        "{again}"
    );
    // The end of the run is told.
    let reader = std::thread::spawn(move || {
        loop {
            let (name, _) = event(&mut stream);
            if name == "event: end" {
                return;
            }
        }
    });
    instance.finish();
    reader.join().unwrap();
}

#[test]
fn browsers_beyond_the_bound_take_the_place_of_others_and_are_counted() {
    let (instance, at) = serving("web-many");
    let host = format!("Host: {at}\r\n");
    let mut streams: Vec<_> = (0..40).map(|_| ask(at, "GET /events", &host)).collect();
    let last = streams.last_mut().unwrap();
    event(last);
    let refused = instance.with(|desk| desk.refused());
    assert_eq!(refused, [("web_clients", 24)]);
    drop(streams);
    instance.finish();
}
