//! The server over real sockets, with a store that stands in; and a directory on the disk, with damage in it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tcplens_core::record::{Protocol, RequestRollup, Rollup, Vantage};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::fleet::{Fleet, FleetFilter, FleetRange};
use tcplens_output::named::{Dialect, Named, Parameters};
use tcplens_output::page::fleet::Mark;
use tcplens_output::store::look::{Looking, View};

use super::desk::Desk;
use super::source::{Reading, Records, Source, State, Why};
use crate::answer::http::Http;

/// Longer than anything takes that is right.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-11-21T00:00:00Z.
const DAY: i64 = 1_795_219_200;

/// A store with a request a minute for as long as it is told.
struct Fake {
    state: Mutex<State>,
    /// How often rollups were read.
    reads: AtomicU64,
    /// Of host `hangs` nothing is read until something comes here.
    gate: Mutex<Receiver<()>>,
    /// Whether findings cannot be read.
    damaged: AtomicBool,
}

impl Fake {
    fn new() -> (Arc<Fake>, Sender<()>) {
        let (open, gate) = channel();
        let fake = Fake {
            state: Mutex::new(until(60)),
            reads: AtomicU64::new(0),
            gate: Mutex::new(gate),
            damaged: AtomicBool::new(false),
        };
        (Arc::new(fake), open)
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

/// So many minutes.
fn until(minutes: u64) -> State {
    let [first, newest] = [0, minutes].map(|minute| {
        let minute = i64::try_from(minute).unwrap();
        Timestamp((DAY + 60 * minute) * SECOND)
    });
    State {
        version: minutes,
        extent: Some((first, newest)),
    }
}

fn rollup(minute: u64) -> Rollup {
    let (_, time) = until(minute).extent.unwrap();
    Rollup {
        time,
        vantage: Vantage::Wire,
        server_ip: Some([10, 0, 0, 7].into()),
        server_port: Some(6379),
        protocol: Some(Protocol::Redis),
        operation: Some("<GET>".into()),
        capture_losses: 0,
        requests: Some(Box::new(RequestRollup {
            requests: Some(1),
            answered: Some(1),
            errors: Some(0),
            unanswered: Some(0),
            retransmits: Some(0),
            request_bytes: Some(1),
            response_bytes: Some(1),
            upload_sum_us: None,
            process_sum_us: None,
            transfer_sum_us: None,
            total_sum_us: Some(Span::from_ns(1000)),
            budgets: Some(0),
            in_client_sum_us: None,
            in_queue_sum_us: None,
            in_server_sum_us: None,
            in_network_sum_us: None,
            in_loss_sum_us: None,
            in_window_sum_us: None,
            in_transfer_sum_us: None,
            total_ns: vec![1000],
            total_counts: vec![1],
            process_ns: Vec::new(),
            process_counts: Vec::new(),
        })),
        connections: None,
    }
}

impl Source for Fake {
    fn name(&self) -> &str {
        "/data/it's"
    }

    fn parts(&self) -> &'static str {
        "hours"
    }

    fn dialect(&self) -> Dialect {
        Dialect::Standard
    }

    fn state(&self) -> Result<State, Why> {
        Ok(*self.state.lock().unwrap())
    }

    fn bring(&self, reading: &mut Reading, _: &dyn Fn() -> bool) -> Result<(), Why> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match reading.fleet.filter().host.as_deref() {
            Some("hangs") => drop(self.gate.lock().unwrap().recv()),
            Some("fails") => return Err("cannot read the store /data: it is gone".into()),
            _ => {}
        }
        reading.begin_again();
        let minutes = self.state.lock().unwrap().version;
        (0..minutes).for_each(|minute| reading.fleet.add("a", &rollup(minute)));
        reading.fleet.finish();
        Ok(())
    }

    fn marks(
        &self,
        range: &Range<Timestamp>,
        each: &mut dyn FnMut(Mark),
        _: &dyn Fn() -> bool,
    ) -> Result<(), Why> {
        for (n, server) in [(0, "10.0.0.7:6379"), (1, "10.0.0.8:6379"), (2, "")] {
            each(Mark {
                time: Some(range.start.plus(n)),
                server: server.into(),
                text: format!("mark {n}"),
                ..Mark::default()
            });
        }
        match self.damaged.load(Ordering::SeqCst) {
            true => Err("it \"refuses\"".into()),
            false => Ok(()),
        }
    }

    fn records(
        &self,
        view: &'static View,
        range: &Range<Timestamp>,
        filter: &FleetFilter,
        most: usize,
        _: &dyn Fn() -> bool,
    ) -> Result<Records, Why> {
        Ok(Records {
            found: Looking::new(view, range.clone(), filter.clone(), most).finish(),
            files: 3,
            unread: 1,
            damages: vec!["a.parquet: \"odd\"".into()],
        })
    }

    fn engine(&self) -> Result<(), Why> {
        Err("build it".into())
    }

    fn query(
        &self,
        named: &'static Named,
        of: &Parameters,
        _: usize,
    ) -> Result<(Vec<u8>, bool), Why> {
        Ok((
            format!("{{\"name\":\"{}\"}}\n{of:?}", named.name).into(),
            true,
        ))
    }
}

fn serve(source: Arc<dyn Source>) -> (Http, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let desk = Desk::start(source).unwrap();
    (Http::start_fleet(listener, Box::new(desk)).unwrap(), at)
}

fn send(at: SocketAddr, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Status and body.
fn receive(mut stream: TcpStream) -> (String, String) {
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().trim_start_matches("HTTP/1.1 ");
    (status.to_owned(), body.to_owned())
}

fn get(at: SocketAddr, target: &str) -> (String, String) {
    receive(send(at, target))
}

fn is_ok(at: SocketAddr, target: &str) -> String {
    let (status, body) = get(at, target);
    assert_eq!(status, "200 OK", "{target}: {body}");
    body
}

#[test]
fn the_page_is_served_with_safe_headers_and_data_is_what_the_store_says() {
    let (source, _open) = Fake::new();
    let (_http, at) = serve(source);
    let mut page = String::new();
    send(at, "/").read_to_string(&mut page).unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    for field in [
        "Content-Security-Policy: default-src 'none'; ",
        "connect-src 'self'; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
    ] {
        assert!(head.contains(field), "{field} in {head}");
    }
    assert!(body.starts_with("<!DOCTYPE html>") && !body.contains("@@"));
    let data = is_ok(at, "/fleet.json?last=1h");
    let [from, to] = [DAY, DAY + 3600];
    for part in [
        "\"store\":\"/data/it's\",",
        &format!(
            "\"from\":{from},\"to\":{to},\"width\":60,\"filter\":{{}},\"extent\":[{from},{to}],"
        ),
        "\"rollups\":60,",
        "\"total\":{\"requests\":60,\"answered\":60,",
        "\"p50\":1000,\"p95\":1000,\"p99\":1000,\"max\":1000,",
        "\"rows\":[{\"server\":\"10.0.0.7:6379\",\"protocol\":\"redis\",\"operation\":\"<GET>\",",
        "\"text\":\"mark 0\"",
        "\"text\":\"mark 1\"",
    ] {
        assert!(data.contains(part), "{part} in {data}");
    }
    // Of a server there are its own findings, and those of none.
    let of_server = is_ok(at, "/fleet.json?last=1h&server=10.0.0.7:6379");
    for (mark, is_there) in [("mark 0", true), ("mark 1", false), ("mark 2", true)] {
        assert_eq!(of_server.contains(mark), is_there, "{mark} in {of_server}");
    }
    let records = is_ok(
        at,
        &format!("/records.json?view=failed-attempts&from={from}&to={to}&host=o%27h"),
    );
    let command = "\"command\":\"tcplens query --store '/data/it'\\\\''s' 'SELECT host, time, client_ip, client_port, \
        server_ip, server_port, outcome, handshake_us, wait_us, syn_retransmits, error, connection_id FROM handshakes WHERE \
        time >= TIMESTAMP '\\\\''2026-11-21 00:00:00.000000000'\\\\'' AND date >= DATE '\\\\''2026-11-21'\\\\'' AND \
        time < TIMESTAMP '\\\\''2026-11-21 01:00:00.000000000'\\\\'' AND date <= DATE '\\\\''2026-11-21'\\\\'' AND \
        host IN ('\\\\''o'\\\\'''\\\\''h'\\\\'') AND (outcome NOT IN ('\\\\''established'\\\\'', '\\\\''one_sided'\\\\'', '\\\\''unanswered'\\\\'', '\\\\''unacknowledged'\\\\'') \
        OR (outcome IN ('\\\\''unanswered'\\\\'', '\\\\''unacknowledged'\\\\'') AND (COALESCE(syn_retransmits, 0) > 0 OR \
        COALESCE(wait_us, 0) >= 1000000))) \
        ORDER BY time DESC LIMIT 100'\"";
    assert!(records.contains(command), "{command} in {records}");
    assert!(
        records.contains("\"files\":3,\"unread\":1,\"why\":\"there was no time\",\"damages\":[\"a.parquet: \\\"odd\\\"\"],\"columns\":[\"host\",\"time\","),
        "{records}"
    );
    let queries = is_ok(at, "/queries.json");
    assert!(queries.contains("{\"name\":\"slow-operations\",\"title\":"));
    assert!(queries.ends_with("],\"how\":\"build it\"}"), "{queries}");
    let query = is_ok(
        at,
        &format!(
            "/query.json?name=latency-over-time&from={from}&to={to}&host=-h&server=10.0.0.7:6379"
        ),
    );
    for part in [
        "\"command\":\"tcplens query --store '/data/it'\\\\''s' --named latency-over-time --since 2026-11-21T00:00:00Z \
         --until 2026-11-21T01:00:00Z --server 10.0.0.7:6379 --host=-h --per minute\",\"more\":true,",
        // Half a line is not shown.
        "\"lines\":[{\"name\":\"latency-over-time\"}]}",
    ] {
        assert!(query.contains(part), "{part} in {query}");
    }
}

#[test]
fn what_cannot_be_understood_is_told_in_words_and_nothing_else_is_served() {
    let (source, _open) = Fake::new();
    let (_http, at) = serve(source);
    for (target, status, words) in [
        (
            "/fleet.json?last=x",
            "400 Bad Request",
            "last: \"x\" is no time; write 90s, 30m, 6h, 7d or all\n",
        ),
        (
            "/fleet.json?sql=SELECT",
            "400 Bad Request",
            "/fleet.json has no parameter \"sql\"; it has: last, from, to, host, server, protocol, operation\n",
        ),
        (
            "/query.json?name=DROP+TABLE",
            "400 Bad Request",
            "name: there is no query called \"DROP TABLE\"\n",
        ),
        (
            "/records.json?view=x",
            "400 Bad Request",
            "view: there is none called \"x\"\n",
        ),
        (
            "/etc/passwd",
            "404 Not Found",
            "tcplens: the page is at /\n",
        ),
        (
            "/fleet.json?host=fails",
            "503 Service Unavailable",
            "cannot read the store /data: it is gone\n",
        ),
    ] {
        assert_eq!(
            get(at, target),
            (status.to_owned(), words.to_owned()),
            "{target}"
        );
    }
    for (request, status) in [
        (
            format!("POST /fleet.json HTTP/1.1\r\nHost: {at}\r\n\r\n"),
            "405 Method Not Allowed",
        ),
        (
            "GET /fleet.json HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            "403 Forbidden",
        ),
        (
            format!("GET /fleet.json HTTP/1.1\r\nHost: {at}\r\nSec-Fetch-Site: cross-site\r\n\r\n"),
            "403 Forbidden",
        ),
        (
            format!(
                "GET /fleet.json?host={} HTTP/1.1\r\nHost: {at}\r\n\r\n",
                "x".repeat(9000)
            ),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(receive(stream).0, status, "{request}");
    }
}

#[test]
fn while_nothing_is_new_the_store_is_read_once_and_then_what_is_new_is_there() {
    let (source, _open) = Fake::new();
    let (_http, at) = serve(Arc::clone(&source) as Arc<dyn Source>);
    let target = format!("/fleet.json?from={DAY}&to={}", DAY + 7200);
    let first = is_ok(at, &target);
    assert!(first.contains("\"rollups\":60,"), "{first}");
    assert_eq!(is_ok(at, &target), first);
    assert_eq!(source.reads(), 1);
    *source.state.lock().unwrap() = until(90);
    let start = Instant::now();
    while !is_ok(at, &target).contains("\"rollups\":90,") {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(source.reads(), 2);
    // What is kept is bounded: the first question has gone when many others were asked since.
    for n in 0..20 {
        is_ok(at, &format!("{target}&host=h{n}"));
    }
    is_ok(at, &target);
    assert_eq!(source.reads(), 23);
}

#[test]
fn findings_that_cannot_be_read_are_told_and_looked_for_again_while_rollups_are_kept() {
    let (source, _open) = Fake::new();
    let (_http, at) = serve(Arc::clone(&source) as Arc<dyn Source>);
    source.damaged.store(true, Ordering::SeqCst);
    let target = "/fleet.json?last=1h";
    let damage = "\"damages\":[\"findings: it \\\"refuses\\\"\"],\"more_damages\":0";
    for _ in 0..2 {
        let body = is_ok(at, target);
        assert!(body.contains(damage) && body.contains("mark 0"), "{body}");
    }
    assert_eq!(source.reads(), 2);
    // The store has nothing new, and yet:
    source.damaged.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        let body = is_ok(at, target);
        assert!(body.contains("\"damages\":[],"), "{body}");
    }
    assert_eq!(source.reads(), 3);
}

#[cfg(feature = "remote")]
#[test]
fn a_reading_that_goes_back_has_the_damages_that_it_had() {
    let [from, until] = [0, 3600].map(|s| Timestamp((DAY + s) * SECOND));
    let mut reading = Reading::new(FleetRange::of(from, until), FleetFilter::default());
    reading.damaged("old".into());
    reading.settle();
    for _ in 0..20 {
        // What is newest is read again, and is as damaged.
        (0..12).for_each(|n| reading.damaged(format!("new {n}")));
        assert_eq!((reading.damages.len(), reading.more_damages), (10, 3));
        let settled = reading.settled.take().unwrap();
        reading.go_back(settled);
        assert_eq!(reading.damages, ["old"]);
        assert_eq!(reading.more_damages, 0);
        reading.settle();
    }
}

#[test]
fn a_store_that_hangs_holds_up_who_asked_for_it_and_nobody_else() {
    let (source, open) = Fake::new();
    let (http, at) = serve(source);
    // Fewer than there are readers: one is left for others.
    let stuck: Vec<_> = (0..2)
        .map(|n| send(at, &format!("/fleet.json?host=hangs&last={}h", n + 1)))
        .collect();
    let start = Instant::now();
    assert!(is_ok(at, "/fleet.json?last=1h").contains("\"rollups\":60,"));
    is_ok(at, "/");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    // Now all of them hang, and the queue fills: the page is there all the same, and others are told at once.
    let more: Vec<_> = (0..3)
        .map(|n| send(at, &format!("/fleet.json?host=hangs&last={}d", n + 1)))
        .collect();
    let start = Instant::now();
    is_ok(at, "/");
    assert_eq!(get(at, "/fleet.json?last=x").0, "400 Bad Request");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    for _ in 0..5 {
        open.send(()).unwrap();
    }
    for stream in stuck.into_iter().chain(more) {
        assert_eq!(receive(stream).0, "200 OK");
    }
    drop(http);
}

#[test]
fn a_reading_goes_on_where_it_was_and_says_what_it_could_not_read() {
    let place = std::env::temp_dir().join(format!("tcplens-fleet-{}", std::process::id()));
    let day = place.join("kind=rollup/date=2026-11-21");
    std::fs::create_dir_all(&day).unwrap();
    let store = super::directory::Directory::open(&place).unwrap();
    assert_eq!(store.state().unwrap().extent, None);
    let damaged = day.join("a-20261121T000000000000000Z-00001.parquet");
    std::fs::write(&damaged, "no Parquet").unwrap();
    std::fs::write(
        day.join("a-20261121T000000000000000Z-00002.parquet.part"),
        "half",
    )
    .unwrap();
    let state = store.state().unwrap();
    let [first, last] = [DAY, DAY + 86_400].map(|s| Timestamp(s * SECOND));
    assert_eq!(state.extent, Some((first, last)));
    let mut reading = Reading::new(FleetRange::of(first, last), FleetFilter::default());
    store.bring(&mut reading, &|| false).unwrap();
    store.bring(&mut reading, &|| false).unwrap();
    assert_eq!(reading.damages.len(), 1, "{:?}", reading.damages);
    assert!(
        reading.damages[0].starts_with(&format!("{}: ", damaged.display()))
            && reading.damages[0].ends_with("; left out from there on"),
        "{:?}",
        reading.damages
    );
    assert_eq!((reading.seen.len(), reading.unread), (1, 0));
    // So is a file of findings, and that of a day that is not shown is not looked at.
    for date in ["2026-11-20", "2026-11-10"] {
        let day = place.join(format!("kind=finding/date={date}"));
        std::fs::create_dir_all(&day).unwrap();
        let name = damaged.file_name().unwrap();
        std::fs::write(day.join(name), "no Parquet").unwrap();
    }
    let missing = store
        .marks(&(first..last), &mut |_| (), &|| false)
        .unwrap_err();
    assert!(
        missing.contains("/kind=finding/date=2026-11-20/a-")
            && missing.ends_with("; left out from there on"),
        "{missing}"
    );
    let missing = store.marks(&(first..last), &mut |_| (), &|| true);
    assert!(missing.unwrap_err().starts_with("there was no time"));
    // A file that goes is no longer counted.
    std::fs::remove_file(&damaged).unwrap();
    store.bring(&mut reading, &|| false).unwrap();
    assert_eq!((reading.seen.len(), reading.damages.len()), (0, 0));
    std::fs::remove_dir_all(&place).unwrap();
    let error = super::directory::Directory::open(&place)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with(&format!("cannot read the store {}: ", place.display())),
        "{error}"
    );
    assert_eq!(
        Fleet::new(reading.fleet.range(), FleetFilter::default()).rollups(),
        0
    );
}
