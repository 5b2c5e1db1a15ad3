//! The page of `sockets`, word by word; what `promtool` says of it; and what tcp-info's own page has.

use std::collections::BTreeSet;

use tcplens_core::socket::Message;
use tcplens_core::socket::message::{HEAD, kind, push_attribute};
use tcplens_core::socket::metrics::{
    AnswerError, ArchiveTotals, Family, Place, Queue, Sample, SocketMetrics,
};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::prometheus::Kind;
use tcplens_output::prometheus::sockets::{FAMILIES, page};

use super::{health, promtool, root};
use tcplens_core::record::Health;

fn sample(sent: u64, received: u64) -> Sample {
    Sample {
        sent_bytes: Some(sent),
        repeated_bytes: Some(sent / 100),
        received_bytes: Some(received),
        acked_bytes: Some(sent),
        retransmits: Some(3),
        data_segments: Some(300),
        busy_us: Some(1_500_000),
        rwnd_limited_us: Some(250_000),
        sndbuf_limited_us: Some(1),
        rtt_us: Some(1_250),
        min_rtt_us: Some(90),
        delivery_rate: Some(1_200_000),
        is_attempt: false,
    }
}

/// A shop with an IPv6 neighbour: a connection of each end, one of which has ended, and a full queue.
fn shop() -> SocketMetrics {
    let mut metrics = SocketMetrics::default();
    let at = Timestamp(0);
    let shop = Place {
        server: ([10, 0, 0, 1].into(), 80),
        is_server: true,
    };
    let cache = Place {
        server: ("2001:db8::5".parse().unwrap(), 6379),
        is_server: false,
    };
    for _ in 0..2 {
        metrics.polled(Family::V6, Span::from_ns(95_000), 3);
        metrics.polled(Family::V4, Span::from_ns(1_200_000), 12);
        metrics.interval(Span::from_ns(10_050_000));
        metrics.cache(13);
    }
    metrics.error(AnswerError::Interrupted);
    metrics.archive = Some(ArchiveTotals {
        files: 1,
        failures: 3,
        dropped: 2,
    });
    let mut bytes = vec![0; HEAD];
    push_attribute(&mut bytes, kind::BBRINFO, &[0; 24]);
    push_attribute(&mut bytes, 77, &[]);
    metrics.snapshot(Message::new(&bytes).unwrap());
    metrics.opened(at, shop, Some(&sample(0, 0)));
    metrics.changed(at, shop, &sample(0, 0), &sample(10_000, 700));
    metrics.rates(Span::from_ns(1_000_000_000));
    metrics.ended(
        at,
        shop,
        (Some(&sample(10_000, 700)), Some(&sample(20_000, 701))),
        "fin",
    );
    metrics.found(at, cache);
    metrics.changed(at, cache, &sample(5_000_000, 1), &sample(5_000_100, 9));
    metrics.rates(Span::from_ns(1_000_000_000));
    let mut census = metrics.census();
    census.socket(1, Some(cache));
    census.socket(10, None);
    let queue = Queue {
        waiting: 129,
        limit: 128,
    };
    census.listener(([0, 0, 0, 0].into(), 80), queue);
    metrics.observe(&Health {
        records: vec![("socket", 4)],
        limit_hits: vec![("event_clients_behind", 1)],
        cpu_us: Some(Span::from_ns(1_234_567_890)),
        peak_rss_bytes: Some(12_345_678),
        ..health()
    });
    metrics
}

#[test]
fn the_page_of_sockets_says_what_was_counted() {
    let path = root().join("crates/tcplens-output/tests/prometheus/sockets.txt");
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
fn promtool_finds_nothing_wrong_with_what_is_ours() {
    for metrics in [shop(), SocketMetrics::default()] {
        let page = page(&metrics);
        // tcp-info's names have the type in them; they are as they are.
        let ours = |line: &&str| !line.contains("tcpinfo_");
        let lines: Vec<_> = page.lines().filter(ours).collect();
        let Some(said) = promtool(&["check", "metrics"], (lines.join("\n") + "\n").as_bytes())
        else {
            return;
        };
        assert_eq!(said, "", "{page}");
    }
}

/// Names with their labels, and of histograms also edges, of a page.
fn series(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let named = lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, _)| name.to_owned());
    named.collect()
}

#[test]
fn every_series_of_tcp_info_is_there_but_for_the_edges_that_said_nothing() {
    let path = root().join("../shared/golden/tcp-info/metrics-sample.txt");
    let golden = match std::fs::read_to_string(&path) {
        Ok(golden) => golden,
        Err(why) => return println!("SKIPPED: {}: {why}", path.display()),
    };
    let ours = series(&page(&shop()));
    let missing: Vec<_> = series(&golden)
        .into_iter()
        .filter(|name| name.starts_with("tcpinfo_") && !ours.contains(name))
        // 30 steps of 1 ms, none beyond 29 ms, printed with the errors of adding: docs/metrics.md.
        .filter(|name| !name.starts_with("tcpinfo_polling_interval_histogram_bucket"))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
    for line in golden.lines() {
        let Some(name) = line.strip_prefix("# TYPE tcpinfo_") else {
            continue;
        };
        let (name, kind) = name.split_once(' ').unwrap();
        let name = format!("tcpinfo_{name}");
        assert!(names.contains(name.as_str()), "{name}");
        let found = FAMILIES.iter().find(|family| family.name == name).unwrap();
        assert_eq!(found.kind.word(), kind);
    }
}

#[test]
fn what_no_look_has_found_yet_is_absent() {
    let page = page(&SocketMetrics::default());
    for absent in [
        "tcplens_sockets",
        "tcplens_socket_",
        "netlink_skipped",
        "cpu_seconds",
    ] {
        assert!(!page.contains(absent), "{absent}\n{page}");
    }
    assert!(page.contains("\ntcpinfo_flow_events_total{event=\"close\"} 0\n"));
}

/// As docs/metrics.md lists them.
pub(crate) fn exported() -> Vec<String> {
    let known = super::FAMILIES.iter().map(|family| family.name);
    let known: BTreeSet<_> = known.collect();
    let new = FAMILIES
        .iter()
        .filter(|family| !known.contains(family.name));
    new.map(|family| {
        let (kind, labels) = (family.kind.word(), family.labels.join(", "));
        format!("{} | {kind} | {labels}", family.name)
    })
    .collect()
}

/// The series of all families, for those who ask for them.
pub(crate) fn asked() -> Vec<String> {
    let all = FAMILIES.iter().flat_map(|family| match family.kind {
        Kind::Counter | Kind::Gauge => vec![family.name.to_owned()],
        Kind::Histogram => ["bucket", "sum", "count"]
            .map(|end| format!("{}_{end}", family.name))
            .to_vec(),
    });
    all.collect()
}
