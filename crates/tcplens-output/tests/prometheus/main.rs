//! The page of metrics from records made by hand, word by word; what `promtool` says of it; and that what is written about
//! the metrics names those that exist.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tcplens_core::pending::Pending;
use tcplens_core::record::*;
use tcplens_core::time::Span;
use tcplens_core::view::Metrics;
use tcplens_core::view::anomaly::{InstanceKey, Present};
use tcplens_output::prometheus::{FAMILIES, Kind, page};

#[path = "../../../tcplens-core/tests/view_records/mod.rs"]
mod view_records;
#[path = "../../../tcplens-core/tests/view_records/requests.rs"]
mod view_requests;

mod sockets;

use view_records::*;
use view_requests::{at, request, unanswered};

/// A shop and its cache, a port that refuses, and an observation that lost something of everything.
fn shop() -> Metrics {
    let mut metrics = Metrics::default();
    let (client, shop) = ("192.0.2.7", "10.0.0.1");
    for second in 0..3 {
        metrics.handshake(&handshake(second, client, shop, 80));
    }
    metrics.handshake(&Handshake {
        handshake_us: ms(1_030),
        ..handshake(3, client, shop, 80)
    });
    metrics.handshake(&failed(Outcome::Refused, 1, handshake(4, client, shop, 81)));
    let cache = "2001:db8::5";
    for n in 0..3 {
        metrics.request(&request(n, cache, 6379, 10 * (n + 1)));
    }
    metrics.request(&Request {
        status: Status::Error,
        ..request(4, cache, 6379, 0)
    });
    metrics.request(&unanswered(
        EndedBy::ServerClose,
        request(5, cache, 6379, 0),
    ));
    metrics.request(&unanswered(
        EndedBy::Observation,
        request(6, cache, 6379, 0),
    ));
    metrics.connection(&Connection {
        client: Sent {
            retransmits: 2,
            fills_lost: 1,
            ..connection(0, client, shop, 80).client
        },
        server: Sent {
            resets: 1,
            zero_windows: 1,
            zero_window_us: Span::from_ns(1_500_000_000),
            ..connection(0, client, shop, 80).server
        },
        close: Close::RstByServer,
        ..connection(0, client, shop, 80)
    });
    let mut pending = Pending::default();
    for ns in [43_500_000_000, 1_000_000_000] {
        pending.attempt(([10, 0, 0, 9].into(), 443), Span::from_ns(ns));
    }
    metrics.pending(&pending);
    metrics.observe(&Health {
        time: Some(at(60)),
        packets: 1000,
        bytes: 500_000,
        tcp_segments: 980,
        undecoded: vec![("udp", 12), ("arp", 8)],
        kernel_drops: Some(7),
        cut_packets: 6,
        duplicates: 5,
        time_reversals: 4,
        connections: 3,
        evicted_connections: 2,
        stream_gaps: 1,
        unparsed_messages: vec![("redis.too_long", 9)],
        limit_hits: vec![("holes", 10)],
        records: vec![("handshake", 5), ("request", 6), ("connection", 1)],
        records_dropped: vec![("socket", 11)],
        cpu_us: Some(Span::from_ns(1_234_567_890)),
        peak_rss_bytes: Some(12_345_678),
        ..health()
    });
    metrics
}

#[test]
fn the_page_says_what_was_counted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus/page.txt");
    let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    let page = page(&shop()).replace(&version, "\"VERSION\"");
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let first = page.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(page == expected, "first difference: {first:?}");
}

#[test]
fn what_is_abnormal_is_there_while_it_is() {
    let mut metrics = Metrics::default();
    let instance = |protocol, operation: Option<&str>| InstanceKey {
        server_ip: [10, 0, 0, 7].into(),
        server_port: 6379,
        protocol,
        operation: operation.map(Into::into),
    };
    metrics.abnormal(Present {
        troubles: 1,
        judged: 33,
        learning: 2,
        scores: vec![
            (instance(None, None), AnomalyMetric::Retransmits, 7.25),
            (
                instance(Some(Protocol::Redis), Some("GET")),
                AnomalyMetric::Process,
                12.0,
            ),
        ],
    });
    let page = page(&metrics);
    for line in [
        "tcplens_anomaly{server=\"10.0.0.7:6379\",protocol=\"\",operation=\"\",metric=\"retransmits\"} 7.2",
        "tcplens_anomaly{server=\"10.0.0.7:6379\",protocol=\"redis\",operation=\"GET\",metric=\"process\"} 12.0",
        "tcplens_anomalies 1",
        "tcplens_anomaly_servers{state=\"judged\"} 33",
        "tcplens_anomaly_servers{state=\"learning\"} 2",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}\n{page}");
    }
    metrics.abnormal(Present::default());
    let after = tcplens_output::prometheus::page(&metrics);
    assert!(!after.contains("tcplens_anomaly{"), "{after}");
    assert!(after.contains("\ntcplens_anomalies 0\n"), "{after}");
}

#[test]
fn what_is_not_known_is_absent() {
    let mut metrics = Metrics::default();
    metrics.observe(&health());
    let page = page(&metrics);
    for absent in [
        "kernel_dropped",
        "cpu_seconds",
        "peak_resident",
        "unparsed",
        "pending",
        "anomal",
    ] {
        assert!(!page.contains(absent), "{absent}\n{page}");
    }
    assert!(page.contains("\ntcplens_handshakes_total{server=\"other\",outcome=\"refused\"} 0\n"));
}

#[test]
fn promtool_finds_nothing_wrong_with_the_page() {
    let mut empty = Metrics::default();
    empty.observe(&health());
    for metrics in [shop(), empty] {
        let page = page(&metrics);
        let Some(said) = promtool(&["check", "metrics"], page.as_bytes()) else {
            return;
        };
        assert_eq!(said, "", "{page}");
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_the_alert_rules_and_they_fire_when_they_should() {
    let monitoring = root().join("monitoring");
    let rules = monitoring.join("alerts.yaml");
    let Some(said) = promtool(&["check", "rules", rules.to_str().unwrap()], b"") else {
        return;
    };
    assert!(said.contains("SUCCESS"), "{said}");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus/alerts.test.yaml");
    let said = promtool(&["test", "rules", tests.to_str().unwrap()], b"").unwrap();
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_reference_lists_exactly_the_metrics_that_exist() {
    let reference = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let listed: Vec<_> = reference
        .lines()
        .filter(|line| {
            ["tcplens_", "tcpinfo_", "large_", "netlink_"]
                .iter()
                .any(|prefix| line.starts_with(&format!("| `{prefix}")))
        })
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| {
            let mut cells = line.split(" | ");
            let mut cell = || cells.next().unwrap().replace('`', "");
            format!("{} | {} | {}", cell(), cell(), cell())
        })
        .collect();
    let exported: Vec<_> = FAMILIES
        .iter()
        .map(|family| {
            let (kind, labels) = (family.kind.word(), family.labels.join(", "));
            format!("{} | {kind} | {labels}", family.name)
        })
        .chain(sockets::exported())
        .collect();
    assert_eq!(listed, exported);
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let series: BTreeSet<String> = FAMILIES
        .iter()
        .flat_map(|family| match family.kind {
            Kind::Counter | Kind::Gauge => vec![family.name.to_owned()],
            Kind::Histogram => ["bucket", "sum", "count"]
                .map(|end| format!("{}_{end}", family.name))
                .to_vec(),
        })
        .chain(sockets::asked())
        .collect();
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = std::fs::read_to_string(root().join("monitoring").join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: Vec<_> = words.filter(|word| word.starts_with("tcplens_")).collect();
        assert!(!named.is_empty(), "{file}");
        for name in named {
            assert!(series.contains(name), "{file} asks for {name}");
        }
    }
    let dashboard = std::fs::read_to_string(root().join("monitoring/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
}

/// What `promtool` prints; nothing, said aloud, where it is not installed.
fn promtool(arguments: &[&str], input: &[u8]) -> Option<String> {
    let started = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("SKIPPED: no promtool here (Debian: prometheus)");
            return None;
        }
        started => started.unwrap(),
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    Some(said)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
