//! What is sent over OTLP: the documents by the rules of its JSON encoding and, where it is installed, as OpenTelemetry's own
//! messages read them (`rules`); and the way to a collector, good and bad ones (`sending`).
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeMap;

use serde_json::Value;
use tcplens_core::record::*;
use tcplens_core::time::Span;
use tcplens_core::view::Metrics;
use tcplens_core::view::metrics::OPERATIONS;
use tcplens_output::otlp::{Resource, metrics, spans};

#[path = "../../../tcplens-core/tests/view_records/mod.rs"]
mod view_records;
#[path = "../../../tcplens-core/tests/view_records/requests.rs"]
mod view_requests;

mod collector;
mod rules;
mod sending;

use view_records::*;
use view_requests::{at, request, unanswered};

fn here() -> Resource {
    Resource {
        host: "web-7".to_owned(),
        vantage: "wire",
    }
}

/// A shop, its cache, and a server that nobody knows.
fn shop() -> Metrics {
    let mut metrics = Metrics::by_operation();
    let (client, shop, cache) = ("192.0.2.7", "10.0.0.1", "2001:db8::5");
    for second in 1..4 {
        metrics.handshake(&handshake(second, client, shop, 80));
    }
    metrics.handshake(&failed(Outcome::Refused, 1, handshake(4, client, shop, 81)));
    for n in 1..=8 {
        metrics.request(&request(n, cache, 6379, n));
    }
    metrics.request(&Request {
        operation: Some("SET"),
        status: Status::Error,
        ..request(9, cache, 6379, 0)
    });
    metrics.request(&unanswered(
        EndedBy::ServerClose,
        request(10, cache, 6379, 0),
    ));
    metrics.connection(&Connection {
        client: Sent {
            retransmits: 2,
            ..connection(0, client, shop, 80).client
        },
        ..connection(1, client, shop, 80)
    });
    metrics.observe(&Health {
        time: Some(at(60)),
        packets: 1000,
        kernel_drops: Some(7),
        limit_hits: vec![("holes", 10)],
        records_dropped: vec![("otlp", 11)],
        cpu_us: Some(Span::from_ns(1_234_567_890)),
        peak_rss_bytes: Some(12_345_678),
        ..health()
    });
    metrics
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What a metric is, by its name.
fn metric<'v>(document: &'v Value, name: &str) -> &'v Value {
    let metrics = &document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let mut all = metrics.as_array().unwrap().iter();
    all.find(|metric| metric["name"] == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

/// Attributes as one would write them.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let all = of["attributes"].as_array().unwrap().iter();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    all.map(|one| {
        let (_, value) = one["value"].as_object().unwrap().iter().next().unwrap();
        (one["key"].as_str().unwrap().to_owned(), text(value))
    })
    .collect()
}

fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = of.iter();
    all.map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn metrics_say_what_was_counted_by_the_rules_of_the_encoding() {
    let document = metrics::document(&shop(), 3, &here(), at(0), at(70));
    rules::check_metrics(&document.text);
    let text = parsed(&document.text);
    let resource = attributes(&text["resourceMetrics"][0]["resource"]);
    let expected = map(&[
        ("service.name", "tcplens"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", "web-7"),
        ("host.name", "web-7"),
        ("tcplens.vantage", "wire"),
    ]);
    assert_eq!(resource, expected);

    let durations = metric(&text, "tcplens.request_duration");
    assert_eq!(durations["unit"], "s");
    let durations = &durations["exponentialHistogram"];
    assert_eq!(durations["aggregationTemporality"], 2);
    let points = durations["dataPoints"].as_array().unwrap();
    let server = [
        ("server.address", "2001:db8::5"),
        ("server.port", "6379"),
        ("network.protocol.name", "redis"),
    ];
    let of = |operation, status| {
        let own = [("tcplens.operation", operation), ("tcplens.status", status)];
        map(&[&server[..], &own].concat())
    };
    let found: Vec<_> = points.iter().map(attributes).collect();
    assert_eq!(found, [of("GET", "ok"), of("SET", "error")]);
    let gets = &points[0];
    // 4 ms each besides what the server took: 1 to 8 ms.
    assert_eq!(gets["count"], "8");
    assert_eq!(gets["sum"].to_string(), "0.068");
    assert_eq!(gets["min"].to_string(), "0.005");
    assert_eq!(gets["max"].to_string(), "0.012");
    assert_eq!(gets["scale"], 6);
    assert_eq!(gets["zeroCount"], "0");
    // Since the first of them.
    assert_eq!(gets["startTimeUnixNano"], at(1).0.to_string());
    assert_eq!(gets["timeUnixNano"], at(70).0.to_string());
    // 5 ms are between 2^(-490/64) s and 2^(-489/64) s.
    assert_eq!(gets["positive"]["offset"], -490);
    let counts = gets["positive"]["bucketCounts"].as_array().unwrap();
    let sum: u64 = counts
        .iter()
        .map(|n| n.as_str().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!((sum, &counts[0]), (8, &Value::from("1")));

    let requests = &metric(&text, "tcplens.requests")["sum"];
    assert_eq!(requests["isMonotonic"], true);
    let points = requests["dataPoints"].as_array().unwrap();
    let count = |status: &str| {
        let mut points = points.iter();
        let is = |point: &&Value| attributes(point)["tcplens.status"] == status;
        points.find(is).map(|point| point["asInt"].clone()).unwrap()
    };
    assert_eq!(count("ok"), "8");
    assert_eq!(count("error"), "1");
    assert_eq!(count("unanswered"), "1");

    let drops = &metric(&text, "tcplens.kernel_dropped_packets")["sum"]["dataPoints"];
    assert_eq!(drops[0]["asInt"], "7");
    // What is said of all counts since the beginning.
    assert_eq!(drops[0]["startTimeUnixNano"], at(0).0.to_string());
    let cpu = metric(&text, "tcplens.cpu");
    assert_eq!(cpu["sum"]["dataPoints"][0]["asDouble"], 1.234_567_89);
    let memory = metric(&text, "tcplens.peak_resident_memory");
    assert_eq!(memory["unit"], "By");
    assert_eq!(memory["gauge"]["dataPoints"][0]["asInt"], "12345678");
    let limits = metric(&text, "tcplens.limit_hits")["sum"]["dataPoints"].clone();
    let limits = limits.as_array().unwrap().iter();
    let limits: BTreeMap<_, _> = limits
        .map(|point| {
            (
                attributes(point)["tcplens.limit"].clone(),
                point["asInt"].clone(),
            )
        })
        .collect();
    assert_eq!(limits["otlp_spans"], "3");
    assert_eq!(limits["holes"], "10");
    let retransmits = &metric(&text, "tcplens.retransmitted_segments")["sum"]["dataPoints"];
    assert_eq!(retransmits[0]["asInt"], "2");
    assert_eq!(
        attributes(&retransmits[0])["tcplens.direction"],
        "from_client"
    );
    let mut points = 0;
    for metric in text["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
        .as_array()
        .unwrap()
    {
        for kind in ["sum", "gauge", "exponentialHistogram"] {
            points += metric[kind]["dataPoints"].as_array().map_or(0, Vec::len);
        }
    }
    assert_eq!(document.points, points as u64);
}

#[test]
fn nothing_that_was_counted_is_a_document_too() {
    let document = metrics::document(&Metrics::by_operation(), 0, &here(), at(5), at(1));
    rules::check_metrics(&document.text);
}

#[test]
fn what_has_too_many_operations_is_counted_with_the_others() {
    let mut metrics = Metrics::by_operation();
    let names: Vec<String> = (0..OPERATIONS + 3).map(|n| format!("VERB{n}")).collect();
    for (n, name) in (0..).zip(&names) {
        let name: &'static str = name.clone().leak();
        metrics.request(&Request {
            operation: Some(name),
            ..request(n, "10.0.0.1", 80, 1)
        });
    }
    let document = metrics::document(&metrics, 0, &here(), at(0), at(70));
    rules::check_metrics(&document.text);
    let text = parsed(&document.text);
    let durations = &metric(&text, "tcplens.request_duration")["exponentialHistogram"];
    let points = durations["dataPoints"].as_array().unwrap();
    assert_eq!(points.len(), OPERATIONS + 1);
    let last = points.last().unwrap();
    assert_eq!(attributes(last)["tcplens.operation"], "other");
    assert_eq!(last["count"], "3");
    assert_eq!(metrics.other_operations(), 3);
}

#[test]
fn a_slow_request_is_a_span_with_its_phases_and_its_budget() {
    let slow = request(3, "10.0.0.1", 6379, 400);
    let text = spans::spans(&slow, &here()).unwrap();
    assert_eq!(spans::spans(&slow, &here()), Some(text.clone()));
    let document = spans::document([text.as_str()], &here());
    rules::check_traces(&document);
    let document = parsed(&document);
    let all = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let all = all.as_array().unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["GET", "upload", "process", "transfer"]);
    let ends = |span: &Value| -> (i64, i64) {
        let at = |name: &str| span[name].as_str().unwrap().parse().unwrap();
        (at("startTimeUnixNano"), at("endTimeUnixNano"))
    };
    let (ms, begin) = (1_000_000, slow.time.0);
    assert_eq!(ends(&all[0]), (begin, begin + 404 * ms));
    assert_eq!(ends(&all[1]), (begin, begin + ms));
    assert_eq!(ends(&all[2]), (begin + ms, begin + 403 * ms));
    assert_eq!(ends(&all[3]), (begin + 403 * ms, begin + 404 * ms));
    assert_eq!(all[0]["kind"], 3);
    assert_eq!(all[0].get("status"), None);
    for phase in &all[1..] {
        assert_eq!(phase["traceId"], all[0]["traceId"]);
        assert_eq!(phase["parentSpanId"], all[0]["spanId"]);
        assert_eq!(phase["kind"], 1);
    }
    let id = String::from_utf8_lossy(&slow.connection_id.text()).into_owned();
    let expected = map(&[
        ("server.address", "10.0.0.1"),
        ("server.port", "6379"),
        ("client.address", "192.0.2.7"),
        ("client.port", "40000"),
        ("network.type", "ipv4"),
        ("network.protocol.name", "redis"),
        ("db.system.name", "redis"),
        ("db.operation.name", "GET"),
        ("db.query.text", "GET shop"),
        ("tcplens.connection_id", &id),
        ("tcplens.task", "4"),
        ("tcplens.status", "ok"),
        ("tcplens.ended_by", "response"),
        ("tcplens.tap_side", "middle"),
        ("tcplens.verdict", "server"),
        ("tcplens.request_bytes", "31"),
        ("tcplens.response_bytes", "500"),
        ("tcplens.queued", "0"),
        ("tcplens.retransmits", "0"),
        ("tcplens.in_client_us", "1000.0"),
        ("tcplens.in_queue_us", "0.0"),
        ("tcplens.in_server_us", "400000.0"),
        ("tcplens.in_network_us", "2000.0"),
        ("tcplens.in_loss_us", "0.0"),
        ("tcplens.in_window_us", "0.0"),
        ("tcplens.in_transfer_us", "1000.0"),
    ]);
    assert_eq!(attributes(&all[0]), expected);
}

#[test]
fn ids_of_traces_differ_by_host_connection_and_request() {
    let trace = |request: &Request<'_>, host: &str| {
        let of = Resource {
            host: host.to_owned(),
            ..here()
        };
        let text = spans::spans(request, &of).unwrap();
        let document = parsed(&spans::document([text.as_str()], &of));
        let span = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        span["traceId"].as_str().unwrap().to_owned()
    };
    let one = request(1, "10.0.0.1", 80, 400);
    let other = Request {
        connection_id: ConnectionId::Packets {
            first: START,
            flow: 8,
        },
        ..one
    };
    let all = [
        trace(&one, "a"),
        trace(&one, "b"),
        trace(&other, "a"),
        trace(&request(2, "10.0.0.1", 80, 400), "a"),
    ];
    for (n, id) in all.iter().enumerate() {
        assert!(!all[..n].contains(id), "{all:?}");
    }
}

#[test]
fn a_server_is_not_to_blame_for_what_clients_ask_wrongly() {
    let error = |code, tap_side| Request {
        protocol: Protocol::Http2,
        status: Status::Error,
        status_code: Some(code),
        status_text: Some("\"no\"\u{7}"),
        tap_side,
        ..request(1, "2001:db8::1", 443, 400)
    };
    for (code, side, kind, is_error) in [
        (404, Side::Server, 2, false),
        (404, Side::Client, 3, true),
        (500, Side::Server, 2, true),
    ] {
        let text = spans::spans(&error(code, side), &here()).unwrap();
        let document = spans::document([text.as_str()], &here());
        rules::check_traces(&document);
        let document = parsed(&document);
        let span = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["kind"], kind);
        let own = attributes(span);
        assert_eq!(own["network.protocol.name"], "http");
        assert_eq!(own["network.protocol.version"], "2");
        assert_eq!(own["http.response.status_code"], code.to_string());
        assert_eq!(own.get("error.type"), is_error.then_some(&code.to_string()));
        assert_eq!(span.get("status").is_some(), is_error);
    }
    let lost = unanswered(EndedBy::Reset, request(1, "10.0.0.1", 80, 400));
    assert_eq!(
        spans::spans(&lost, &here()),
        None,
        "nobody knows how long it took"
    );
}
