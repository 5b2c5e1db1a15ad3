//! The agent on live packets: several sources and views, reload, an interface that goes and comes back.

use std::fs;
use std::path::Path;

use tcplens_core::record::{Connection, Health, Socket};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of;
use crate::socket_events::{page, value};
use crate::store::lines;
use crate::tap::{Tap, alone, until};
use crate::traffic::pings;

/// Starts it with a file of these views.
fn agent(place: &Place, sources: &str, views: &str) -> Tap {
    write(place, sources, views);
    Tap::start(alone(place, &["agent", "--config", "agent.yaml"]))
}

fn write(place: &Place, sources: &str, views: &str) {
    let text = format!("log_level: info\nsources:\n{sources}views:\n{views}");
    fs::write(place.path("agent.yaml"), text).unwrap();
}

/// A source of one interface of a namespace.
fn source(namespace: &Namespace, interface: &str) -> String {
    let netns = namespace.name();
    format!("  - {{interface: {interface}, netns: {netns}, buffer: 4MiB}}\n")
}

/// A view of one kind into a file.
fn view(kind: &str, file: &str) -> String {
    format!("  - {{kind: {kind}, format: jsonl, output: {file}}}\n")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn two_namespaces_and_two_views_in_one_process() {
    let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else {
        return;
    };
    let place = Place::new("agent");
    let sources = source(&one, "lo") + &source(&two, "lo");
    let views = view("requests", "requests.jsonl") + &view("connections", "connections.jsonl");
    let tap = agent(&place, &sources, &views);
    let ports = [
        pings(&one, &one, "127.0.0.1:6379", 3),
        pings(&two, &two, "127.0.0.1:6380", 3),
    ];
    until("both are seen", || {
        let requests = text(&place.path("requests.jsonl"));
        ports
            .iter()
            .all(|port| of(&requests, "request", *port).len() == 3)
    });
    tap.interrupt().is(0, &[" 0 packets dropped by kernel"]);
    let connections = text(&place.path("connections.jsonl"));
    for port in ports {
        assert_eq!(
            of(&connections, "connection", port).len(),
            1,
            "{connections}"
        );
    }
}

#[test]
fn sighup_reads_the_file_again_and_loses_nothing() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("agent-reload");
    let sources = source(&lo, "lo");
    let tap = agent(&place, &sources, &view("requests", "first.jsonl"));
    let before = pings(&lo, &lo, "127.0.0.1:6379", 3);
    until("the first file has it", || {
        of(&text(&place.path("first.jsonl")), "request", before).len() == 3
    });
    let views = view("requests", "first.jsonl") + &view("requests", "second.jsonl");
    write(&place, &sources, &views);
    tap.signal("-HUP");
    until("it was read again", || tap.err().contains("1 opened"));
    let after = pings(&lo, &lo, "127.0.0.1:6379", 3);
    // A file that is wrong changes nothing.
    write(&place, &sources, "  - {kind: nonsense}\n");
    tap.signal("-HUP");
    until("it was refused", || tap.err().contains("stays as it was"));
    let last = pings(&lo, &lo, "127.0.0.1:6379", 3);
    tap.interrupt().is(0, &[]);
    let (first, second) = (
        text(&place.path("first.jsonl")),
        text(&place.path("second.jsonl")),
    );
    for port in [before, after, last] {
        assert_eq!(of(&first, "request", port).len(), 3, "{first}");
    }
    assert_eq!(of(&second, "request", before).len(), 0, "{second}");
    for port in [after, last] {
        assert_eq!(of(&second, "request", port).len(), 3, "{second}");
    }
}

#[test]
fn an_interface_that_comes_back_is_captured_on_again() {
    comes_back("agent-back", 1);
}

#[test]
fn an_interface_that_comes_back_is_captured_on_again_by_all_threads() {
    comes_back("agent-back-2", 2);
}

fn comes_back(name: &str, threads: u32) {
    let Some(lo) = Namespace::new() else { return };
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new(name);
    let sources = source(&a, "va") + &source(&lo, "lo");
    let bounds = format!("bounds: {{threads: {threads}}}\n");
    let tap = agent(&place, &sources, &(view("requests", "all.jsonl") + &bounds));
    a.ip("link delete va");
    until("it is told", || tap.err().contains("va is gone"));
    let meanwhile = pings(&lo, &lo, "127.0.0.1:6379", 2);
    let other = b.name();
    let other = other.split('/').nth(2).unwrap();
    a.ip(&format!("link add va type veth peer name vb netns {other}"));
    for (namespace, name, address) in [(&a, "va", "10.9.0.1"), (&b, "vb", "10.9.0.2")] {
        namespace.ip(&format!("link set {name} addrgenmode none"));
        namespace.ip(&format!("link set {name} up"));
        namespace.ip(&format!("address add {address}/24 dev {name}"));
    }
    let mut seen = 0;
    until("packets are seen again", || {
        let port = pings(&a, &b, "10.9.0.2:6379", 1);
        seen += of(&text(&place.path("all.jsonl")), "request", port).len();
        let all = text(&place.path("all.jsonl"));
        all.contains("\"server_ip\":\"10.9.0.2\"")
    });
    tap.interrupt().is(0, &[]);
    let all = text(&place.path("all.jsonl"));
    assert_eq!(of(&all, "request", meanwhile).len(), 2, "{all}");
}

#[test]
fn sockets_are_watched_beside_and_what_is_lost_of_them_is_told() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("agent-sockets");
    let netns = lo.name();
    let bounds = format!(
        "sockets: {{archive: kept, include_local: true, netns: {netns}, interval: 20ms, \
         event_socket: ./told/events.sock, uuid_prefix: here, exclude: 'sport = :6381'}}\n\
         store: {{to: store, host: h}}\n"
    );
    let views = view("records", "all.jsonl") + &bounds;
    let tap = agent(&place, &source(&lo, "lo"), &views);
    until("sockets are watched", || {
        tap.err().contains("watching sockets")
    });
    let events = Tap::spawn(&mut alone(&place, &["events", "./told/events.sock"]));
    // Whether it is there is seen by what it is told.
    until("the client is told", || {
        pings(&lo, &lo, "127.0.0.1:6380", 1);
        !events.out().is_empty()
    });
    assert!(events.out().contains("here_0"), "{}", events.out());
    pings(&lo, &lo, "127.0.0.1:6381", 1);
    tap.interrupt()
        .is(0, &[" destroy messages lost", " records in "]);
    events.end().is(0, &[]);
    let all = text(&place.path("all.jsonl"));
    let last = all
        .lines()
        .rfind(|line| line.contains("\"kind\":\"health\""));
    assert!(last.unwrap().contains("\"sockets_ended\":"), "{last:?}");
    let records = Tap::spawn(&mut alone(&place, &["convert", "kept"])).end();
    records.is(0, &[]);
    let both = |port: u16| {
        let ends = [
            format!("\"local_port\":{port},"),
            format!("\"remote_port\":{port},"),
        ];
        ends.map(|end| records.out.contains(&end))
    };
    assert_eq!(both(6380), [true, true], "{}", records.out);
    // The client's end is none that was excluded.
    assert_eq!(both(6381), [false, true], "{}", records.out);
    // They are beside the records of packets in the store, too, and its last record tells of both.
    let store = place.path("store");
    let sockets = lines::<Socket<'_>>(&store);
    assert!(sockets.contains("\"remote_port\":6381,"), "{sockets}");
    assert!(!sockets.contains("\"local_port\":6381,"), "{sockets}");
    assert!(lines::<Connection>(&store).contains("\"server_port\":6381,"));
    let health = lines::<Health>(&store);
    assert_eq!(health.lines().count(), 1, "{health}");
    assert!(health.contains("\"sockets_ended\":"), "{health}");
}

#[test]
fn an_archive_of_sockets_that_cannot_be_written_is_a_loss_of_the_run() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("agent-sockets-lost");
    let netns = lo.name();
    let bounds = format!(
        "sockets: {{archive: kept, include_local: true, netns: {netns}, interval: 20ms}}\n"
    );
    let views = view("records", "all.jsonl") + &bounds;
    let tap = agent(&place, &source(&lo, "lo"), &views);
    until("sockets are watched", || {
        tap.err().contains("watching sockets")
    });
    // The writer may make it anew in between.
    until("a file is in the way", || {
        let _ = fs::remove_dir_all(place.path("kept"));
        fs::write(place.path("kept"), b"in the way").is_ok()
    });
    until("writing fails", || {
        pings(&lo, &lo, "127.0.0.1:6380", 1);
        tap.err().contains("cannot write the archive: ")
    });
    tap.interrupt()
        .is(3, &["records were dropped: archive did not take them"]);
    let all = text(&place.path("all.jsonl"));
    assert!(all.contains("\"records_dropped\":{\"archive\":"), "{all}");
}

/// A file of an agent that has nothing but sockets; `more` is in their section.
fn only_sockets(place: &Place, lo: &Namespace, more: &str) {
    let netns = lo.name();
    let text = format!(
        "sockets: {{include_local: true, netns: {netns}, {more}}}\nanswering: {{metrics: 9184}}\nstore: {{to: store, host: h}}\n"
    );
    fs::write(place.path("agent.yaml"), text).unwrap();
}

#[test]
fn sockets_alone_are_watched_measured_and_change_with_the_file() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("agent-sockets-alone");
    only_sockets(
        &place,
        &lo,
        "archive: kept, interval: 1h, uuid_prefix: here",
    );
    // In the namespace, for its port.
    let tap = lo.within(|| Tap::spawn(&mut alone(&place, &["agent", "--config", "agent.yaml"])));
    until("sockets are watched", || {
        tap.err().contains("watching sockets")
    });
    pings(&lo, &lo, "127.0.0.1:6380", 1);
    let closed = |page: &str, port: u16| {
        let server = format!("server=\"127.0.0.1:{port}\"");
        page.lines()
            .any(|line| line.starts_with("tcplens_socket_closed_total{") && line.contains(&server))
    };
    until("the page tells of it", || closed(&page(&lo, 9184), 6380));
    let whole = page(&lo, 9184);
    assert_eq!(whole.matches("# TYPE tcplens_build_info ").count(), 1);
    // An hour's interval becomes a short one, at once; one port is not looked at any more; what was opened stays.
    let changed = "archive: other, interval: 20ms, exclude: 'port 6381', save_when: changed, uuid_prefix: here";
    only_sockets(&place, &lo, changed);
    tap.signal("-HUP");
    until("it was read again", || {
        tap.err()
            .contains("sockets are watched as the file says now")
    });
    let polls = |page: &str| value(page, "tcpinfo_polling_interval_histogram_count");
    let before = polls(&page(&lo, 9184));
    until("it asks more often", || {
        polls(&page(&lo, 9184)) > before.map(|n| n + 3)
    });
    pings(&lo, &lo, "127.0.0.1:6381", 1);
    pings(&lo, &lo, "127.0.0.1:6382", 1);
    until("the page tells of it", || closed(&page(&lo, 9184), 6382));
    assert!(!closed(&page(&lo, 9184), 6381));
    // A filter that cannot be, and nothing at all, change nothing.
    only_sockets(
        &place,
        &lo,
        "archive: kept, exclude: dev nosuch, uuid_prefix: here",
    );
    tap.signal("-HUP");
    until("it was refused", || {
        tap.err().contains("there is no interface nosuch")
    });
    let ended = tap.interrupt();
    ended.is(
        0,
        &[
            "sockets.archive changed: that takes effect with a restart",
            "sockets stay as they were",
            "answering at http://127.0.0.1:9184/metrics",
            " destroy messages lost",
            " records in ",
        ],
    );
    assert!(!place.path("other").exists());
    let records = Tap::spawn(&mut alone(&place, &["convert", "kept"])).end();
    records.is(0, &[]);
    let has = |port: u16| records.out.contains(&format!("_port\":{port},"));
    assert_eq!([6380, 6381, 6382].map(has), [true, false, true]);
    let sockets = lines::<Socket<'_>>(&place.path("store"));
    let has = |port: u16| sockets.contains(&format!("_port\":{port},"));
    assert_eq!([6380, 6381, 6382].map(has), [true, false, true]);
    let health = lines::<Health>(&place.path("store"));
    assert_eq!(health.lines().count(), 1, "{health}");
    assert!(health.contains("\"sockets_ended\":"), "{health}");
}

#[test]
fn the_page_of_an_agent_with_sources_tells_of_sockets_too() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("agent-sockets-metrics");
    let netns = lo.name();
    let views = format!(
        "  - {{kind: records, output: all.jsonl}}\nanswering: {{metrics: 9184}}\n\
         sockets: {{netns: {netns}, interval: 20ms, anonymize: netblock}}\n"
    );
    write(&place, &source(&lo, "lo"), &views);
    let words = ["agent", "--config", "agent.yaml"];
    let tap = lo.within(|| Tap::spawn(&mut alone(&place, &words)));
    until("sockets are watched", || {
        tap.err().contains("watching sockets")
    });
    pings(&lo, &lo, "127.0.0.1:6380", 1);
    until("both tell of it", || {
        let page = page(&lo, 9184);
        page.contains("tcplens_requests_total{server=\"127.0.0.1:6380\"")
            && page.contains("tcplens_socket_closed_total{server=\"127.0.0.1:6380\"")
    });
    let page = page(&lo, 9184);
    for name in ["tcplens_records_total", "tcplens_cpu_seconds_total"] {
        assert_eq!(
            page.matches(&format!("# TYPE {name} ")).count(),
            1,
            "{page}"
        );
    }
    for series in [
        "tcplens_records_total{kind=\"socket\"}",
        "tcplens_records_total{kind=\"request\"}",
    ] {
        assert!(value(&page, series).is_some(), "{series}: {page}");
    }
    tap.interrupt().is(0, &[]);
}
