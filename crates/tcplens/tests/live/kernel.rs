//! The kernel's own view: what it tells of real traffic, on the command line and in the agent. Exact times and odd ends are
//! tested where the programs are (crates/tcplens-capture/tests/kernel).

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use tcplens_capture::kernel::{Kernel, KernelOptions};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{of, of_kind};
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings, refused};

/// A namespace, if the kernel's view can be had.
pub(crate) fn namespace() -> Option<Namespace> {
    is_to_be_had().then(Namespace::new).flatten()
}

/// Whether the kernel's view can be had; said aloud if not.
pub(crate) fn is_to_be_had() -> bool {
    let options = KernelOptions {
        tasks: true,
        ..KernelOptions::default()
    };
    match Kernel::open(&options) {
        Ok(_) => true,
        Err(error) => {
            println!("SKIPPED: {error}");
            false
        }
    }
}

#[test]
fn records_of_the_kernel_have_what_packets_do_not_tell() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-records");
    let tap = Tap::start(tcplens(&lo, &place, &["records", "-k", "-p", "6379"]));
    let port = pings(&lo, &lo, "127.0.0.1:6379", 3);
    refused(&lo, "127.0.0.1:6379");
    tap.until("the connection and the attempt", |out| {
        of(out, "connection", port).len() == 1 && of_kind(out, "handshake").len() == 2
    });
    let ended = tap.interrupt();
    ended.is(0, &[" events read, 0 dropped in the ring buffer\n"]);
    let requests = of(&ended.out, "request", port);
    assert_eq!(requests.len(), 3, "{}", ended.out);
    for request in requests {
        for part in [
            "\"vantage\":\"kernel\"",
            "\"server_port\":6379",
            "\"tap_side\":\"server\"",
            "\"status\":\"ok\"",
            "\"request_bytes\":14,\"response_bytes\":7",
            "\"delivered_us\":",
            "\"socket_cookie\":",
            "\"pid\":",
            "\"cwnd_segments\":",
        ] {
            assert!(request.contains(part), "{part}: {request}");
        }
        // A control group by its path, not by its number; in what is confined, and nobody's.
        assert!(request.contains("\"cgroup\":\"/"), "{request}");
        // Nothing was asked of payload.
        assert!(!request.contains("\"operation\""), "{request}");
    }
    let refusals = of_kind(&ended.out, "handshake");
    let is_refusal = |line: &&str| line.contains("\"outcome\":\"refused\"");
    assert_eq!(refusals.into_iter().filter(is_refusal).count(), 1);
    let health = of_kind(&ended.out, "health").pop().unwrap();
    assert!(health.contains("\"event_drops\":0"), "{health}");
    assert!(!health.contains("\"kernel_events\":0"), "{health}");
    assert!(!health.contains("limit_hits"), "{health}");
}

#[test]
fn only_what_was_asked_for_is_looked_at() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-only");
    let words = [
        "requests", "-k", "-m", "redis", "-f", "jsonl", "not", "port", "6380",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let left_out = pings(&lo, &lo, "127.0.0.1:6380", 1);
    let port = pings(&lo, &lo, "127.0.0.1:6379", 2);
    // Both ends tell.
    tap.until("requests", |out| of(out, "request", port).len() == 4);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert!(of(&ended.out, "request", left_out).is_empty());
    for side in ["client", "server"] {
        let side = format!("\"tap_side\":\"{side}\"");
        let requests = of(&ended.out, "request", port).into_iter();
        assert_eq!(requests.filter(|line| line.contains(&side)).count(), 2);
    }
    let of_server = of(&ended.out, "request", port).into_iter();
    let of_server: Vec<_> = of_server
        .filter(|line| line.contains("\"tap_side\":\"server\""))
        .collect();
    assert!(
        of_server
            .iter()
            .all(|line| line.contains("\"operation\":\"PING\"")),
        "{of_server:?}"
    );
}

#[test]
fn so_many_records_and_no_more() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-count");
    let words = ["requests", "-k", "-p", "6379", "-f", "jsonl", "-c", "3"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    pings(&lo, &lo, "127.0.0.1:6379", 10);
    let ended = tap.end();
    ended.is(0, &["3 requests: 3 ok"]);
    assert_eq!(of_kind(&ended.out, "request").len(), 3);
}

#[test]
fn a_request_is_told_while_its_connection_is_idle_and_open_ones_at_the_end() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-idle");
    let words = [
        "records", "-k", "-p", "6379", "--flush", "0.1", "--active", "0.2",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    connection.ping();
    let port = connection.port();
    tap.until("the request", |out| of(out, "request", port).len() == 1);
    tap.until("how the connection stands", |out| {
        !of(out, "connection", port).is_empty()
    });
    tap.signal("-USR1");
    until("what there is so far", || tap.err().contains("so far "));
    let ended = tap.interrupt();
    ended.is(
        0,
        &[
            " events read, 0 dropped in the ring buffer; ",
            "1 request records",
        ],
    );
    let last = of(&ended.out, "connection", port).pop().unwrap();
    assert!(last.contains("\"final\":true"), "{last}");
    // Never twice.
    assert_eq!(of(&ended.out, "request", port).len(), 1);
}

#[test]
fn statistics_come_also_while_nothing_happens() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-stats");
    let words = [
        "requests",
        "-k",
        "-p",
        "6379",
        "-f",
        "tcprt-stats",
        "--stats-interval",
        "0.1",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    tap.until("a line without requests", |out| {
        out.contains(" all 6379 0 0 ")
    });
    pings(&lo, &lo, "127.0.0.1:6379", 5);
    let counted = |out: &str| -> u64 {
        let lines = out.lines().filter(|line| line.contains(" all 6379 "));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    };
    tap.until("five requests", |out| counted(out) == 5);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert_eq!(counted(&ended.out), 5);
}

#[test]
fn whoever_asks_is_answered() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-answers");
    let words = [
        "records",
        "-k",
        "-p",
        "6379",
        "-f",
        "none",
        "-v",
        "-U",
        "./socket",
        "-P",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    pings(&lo, &lo, "127.0.0.1:6379", 4);
    let stat = || {
        let asked = alone(&place, &["stat", "-U", "./socket", "health"]).output();
        String::from_utf8(asked.unwrap().stdout).unwrap()
    };
    until("the socket knows all requests", || {
        stat().contains("\"request\":4")
    });
    assert!(stat().contains("\"vantage\":\"kernel\""), "{}", stat());
    let said = tap.err();
    let start = "tcplens: answering at ";
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(start))
        .unwrap();
    let address = |part: &str| {
        let of = line.split(", ").find(|all| all.contains(part)).unwrap();
        of.replace("http://", "").replace("/metrics", "")
    };
    let ask = |address: &str, question: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let page = ask(
        &address("http"),
        "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    for line in [
        "tcplens_kernel_events_total ",
        "tcplens_kernel_dropped_events_total 0",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let stats = line
        .split(", ")
        .find(|part| part.starts_with("127.0.0.1"))
        .unwrap();
    let stats: String = ask(stats, "").split_whitespace().collect();
    assert!(
        stats.contains("\"127.0.0.1:6379\":{\"requests\":4,"),
        "{stats}"
    );
    tap.interrupt().is(0, &[]);
}

/// The agent with one view and these ports.
fn write(place: &Place, netns: &str, ports: &str) {
    let text = format!(
        "log_level: info\nsources: [{{kernel: true, netns: {netns}}}]\nports: [{ports}]\n\
         views: [{{kind: requests, format: jsonl, output: requests.jsonl}}]\n"
    );
    fs::write(place.path("agent.yaml"), text).unwrap();
}

#[test]
fn the_agent_looks_at_other_ports_after_a_reload() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-agent");
    let netns = lo.name();
    write(&place, &netns, "{port: 6379}");
    let tap = Tap::start(alone(&place, &["agent", "--config", "agent.yaml"]));
    let seen = |port| {
        let text = fs::read_to_string(place.path("requests.jsonl")).unwrap_or_default();
        of(&text, "request", port).len()
    };
    let other = pings(&lo, &lo, "127.0.0.1:6380", 2);
    let first = pings(&lo, &lo, "127.0.0.1:6379", 2);
    until("the port of the file", || seen(first) == 2);
    assert_eq!(seen(other), 0);
    write(&place, &netns, "{port: 6380, mode: http}");
    tap.signal("-HUP");
    until("the file is read again", || {
        tap.err().contains("configuration read again")
    });
    // The thread that has the kernel takes them a moment later.
    until("the other port", || {
        seen(pings(&lo, &lo, "127.0.0.1:6380", 1)) > 0 || {
            let text = fs::read_to_string(place.path("requests.jsonl")).unwrap_or_default();
            text.contains("\"server_port\":6380")
        }
    });
    let ended = tap.interrupt();
    ended.is(
        0,
        &["the kernel looks at the ports of the file from here on"],
    );
    assert!(
        !ended.err.contains("takes effect with a restart"),
        "{}",
        ended.err
    );
}

#[test]
fn a_tcprt_yaml_runs_on_the_kernel() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-tcprt");
    let yaml = "global: {stats: enable, stats_interval: 1}\nper-port: [{port: 6399}]\n";
    fs::write(place.path("tcprt.yaml"), yaml).unwrap();
    let check = alone(&place, &["agent", "--config", "tcprt.yaml", "--check"]).output();
    let own = String::from_utf8(check.unwrap().stdout).unwrap();
    // Where a test may write.
    fs::write(place.path("own.yaml"), own.replace("/var/log/tcplens/", "")).unwrap();
    let tap = Tap::start(alone(&place, &["agent", "--config", "own.yaml"]));
    pings(&lo, &lo, "127.0.0.1:6399", 3);
    let text = |start: &str| {
        let files = fs::read_dir(place.directory()).unwrap().flatten();
        let mut text = String::new();
        for file in files {
            if file.file_name().to_string_lossy().starts_with(start) {
                text += &fs::read_to_string(file.path()).unwrap_or_default();
            }
        }
        text
    };
    // A tcprt.yaml names no namespace: others may use the port elsewhere on this machine.
    let own = |kind: &str| {
        let lines = text("rt-network-log");
        let is_own = |line: &&str| line.starts_with(kind) && line.contains(" 127.0.0.1:6399 ");
        lines.lines().filter(is_own).count()
    };
    until("lines", || own("V6 E ") == 1);
    assert_eq!(own("V6 R "), 3, "{}", text("rt-network-log"));
    until("statistics", || {
        text("rt-network-stats").contains(" all 6399 ")
    });
    tap.interrupt().is(0, &[]);
}

#[test]
fn nothing_is_left_of_privileges() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-privileges");
    let words = ["records", "-k", "-p", "6379", "-o", "out.jsonl"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let tasks = || fs::read_dir(format!("/proc/{}/task", tap.id())).unwrap();
    until("all threads", || tasks().count() >= 3);
    for task in tasks().flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        for line in [
            "Uid:\t65534\t65534\t65534\t65534\n",
            "CapEff:\t0000000000000000\n",
            "NoNewPrivs:\t1\n",
        ] {
            assert!(
                status.is_empty() || status.contains(line),
                "{line}: {status}"
            );
        }
    }
    // It works all the same: also what asks all connections, and finds the paths of control groups.
    pings(&lo, &lo, "127.0.0.1:6379", 1);
    until("records in the file", || {
        let text = fs::read_to_string(place.path("out.jsonl")).unwrap_or_default();
        text.contains("\"cgroup\":\"/")
    });
    tap.interrupt().is(0, &[]);
}

#[test]
fn of_local_connections_one_end_can_be_left_out_and_failed_attempts_are_connections() {
    let Some(lo) = namespace() else { return };
    let place = Place::new("kernel-side");
    let words = ["connections", "-k", "--side", "client", "-f", "jsonl"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    refused(&lo, "127.0.0.1:6380");
    let port = pings(&lo, &lo, "127.0.0.1:6379", 1);
    tap.until("the connection", |out| {
        !of(out, "connection", port).is_empty()
    });
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let connections = of_kind(&ended.out, "connection");
    assert_eq!(connections.len(), 2, "{}", ended.out);
    for (connection, part) in connections
        .iter()
        .zip(["\"close\":\"failed\"", "\"close\":\"fin\""])
    {
        assert!(connection.contains(part), "{connection}");
        assert!(
            connection.contains("\"tap_side\":\"client\""),
            "{connection}"
        );
    }
    assert!(of_kind(&ended.out, "handshake").is_empty(), "{}", ended.out);
}
