//! The way to a collector: what arrives, what is tried again, and that a bad collector costs nothing but what it does not take.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tcplens_output::otlp::metrics::Document;
use tcplens_output::otlp::sender::{Sender, SenderSettings, Sent, WAITING};
use tcplens_output::otlp::spans;

use super::collector::{Collector, FINE, Says};
use super::view_requests::request;
use super::{here, rules};

const LONG: Duration = Duration::from_secs(20);

fn sender(url: &str) -> Sender {
    Sender::new(SenderSettings {
        url: url.to_owned(),
        headers: vec![("authorization".to_owned(), "Bearer x".to_owned())],
        authorities: None,
        first_wait: Duration::from_millis(20),
        resource: here(),
    })
    .unwrap()
}

/// A document of so many points.
fn document(points: u64) -> Document {
    Document {
        text: format!("{{\"resourceMetrics\":[],\"n\":{points}}}"),
        points,
    }
}

fn slow(n: u64) -> String {
    spans::spans(&request(n, "10.0.0.1", 80, 400), &here()).unwrap()
}

/// Polls until something was told to the user.
fn message(sender: &Sender) -> String {
    let until = Instant::now() + LONG;
    loop {
        if let Some(message) = sender.messages().pop() {
            return message;
        }
        assert!(Instant::now() < until, "nothing was told");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_sent_arrives_with_its_headers() {
    let collector = Collector::that(&[FINE]);
    let mut sender = sender(&format!("{}/", collector.url));
    sender.metrics(document(3));
    let told = collector.told();
    assert_eq!(told.path, "/v1/metrics");
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!(told.header("authorization"), Some("Bearer x"));
    assert_eq!(told.header("content-encoding"), None, "it is short");
    assert_eq!(told.body["n"], 3);
    sender.request(slow(1));
    sender.request(slow(2));
    let sent = sender.finish(LONG);
    let expected = Sent {
        documents: 1,
        requests: 2,
        dropped: 0,
    };
    assert_eq!(sent, expected);
    assert_eq!(sender.messages(), [""; 0]);
    let mut spans = 0;
    for told in collector.rest() {
        assert_eq!(told.path, "/v1/traces");
        assert_eq!(told.header("content-encoding"), Some("gzip"));
        rules::check_traces(&told.body.to_string());
        let all = &told.body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        spans += all.as_array().unwrap().len();
    }
    assert_eq!(spans, 8);
}

#[test]
fn what_fails_for_a_while_is_tried_again_and_arrives_once() {
    let away = Says::Status(503, "", "busy");
    let collector = Collector::that(&[away, Says::Closes, FINE]);
    let mut sender = sender(&collector.url);
    sender.request(slow(1));
    let bodies: Vec<_> = (0..3).map(|_| collector.told().body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let sent = sender.finish(LONG);
    assert_eq!((sent.requests, sent.dropped), (1, 0));
    let said = sender.messages();
    let url = &collector.url;
    assert_eq!(
        said,
        [
            format!(
                "slow requests wait to be sent: {url}/v1/traces answered 503: busy; they are tried again"
            ),
            format!("{url} takes slow requests again"),
        ]
    );
    assert!(collector.rest().is_empty());
}

#[test]
fn a_collector_that_wants_to_be_left_alone_is_left_alone() {
    let later = Says::Status(429, "retry-after: 1\r\n", "");
    let collector = Collector::that(&[later, FINE]);
    let mut sender = sender(&collector.url);
    sender.metrics(document(1));
    let (first, second) = (collector.told(), collector.told());
    assert!(second.at - first.at >= Duration::from_millis(990));
    let sent = sender.finish(LONG);
    assert_eq!((sent.documents, sent.dropped), (1, 0));
}

#[test]
fn what_is_refused_is_not_tried_again() {
    let collector = Collector::that(&[Says::Status(404, "", "no such page\nat all"), FINE]);
    let mut sender = sender(&collector.url);
    sender.metrics(document(5));
    let url = &collector.url;
    assert_eq!(
        message(&sender),
        format!("metrics are not taken: {url}/v1/metrics answered 404: no such page")
    );
    sender.request(slow(1));
    let sent = sender.finish(LONG);
    let expected = Sent {
        documents: 0,
        requests: 1,
        dropped: 5,
    };
    assert_eq!(sent, expected);
}

#[test]
fn what_is_rejected_of_a_message_is_counted_and_told_once() {
    let some = "{\"partialSuccess\":{\"rejectedDataPoints\":\"2\",\"errorMessage\":\"too old\"}}";
    let collector = Collector::that(&[Says::Status(200, "", some)]);
    let mut sender = sender(&collector.url);
    for _ in 0..2 {
        sender.metrics(document(5));
        collector.told();
        let until = Instant::now() + LONG;
        let before = sender.sent().documents;
        while sender.sent().documents == before && before == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let sent = sender.finish(LONG);
    assert_eq!((sent.documents, sent.dropped), (2, 4));
    let url = &collector.url;
    assert_eq!(
        sender.messages(),
        [format!("{url} rejected some of the metrics: too old")]
    );
}

#[test]
fn a_collector_that_hangs_holds_up_nobody_and_what_waits_is_bounded() {
    let collector = Collector::that(&[Says::Nothing]);
    let mut sender = sender(&collector.url);
    sender.metrics(document(7));
    collector.told();
    let began = Instant::now();
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    for _ in 0..20 {
        sender.request(large.clone());
    }
    sender.metrics(document(8));
    sender.metrics(document(9));
    // One that is larger than all the room there is.
    sender.request("y".repeat(WAITING + 1));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(sender.sent().dropped, 14);
    let sent = sender.finish(Duration::from_millis(50));
    assert!(began.elapsed() < Duration::from_secs(6));
    // What waited, and the newest metrics, which have all that the older ones say.
    assert_eq!(sent.dropped, 14 + 7 + 9);
}

#[test]
fn without_a_collector_only_the_newest_metrics_are_lost() {
    // A port that nobody listens at any more.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut sender = sender(&url);
    sender.metrics(document(1));
    let said = message(&sender);
    let expected = format!("metrics wait to be sent: cannot reach {url}/v1/metrics: ");
    assert!(said.starts_with(&expected), "{said}");
    for points in 2..10 {
        sender.metrics(document(points));
    }
    let sent = sender.finish(Duration::from_millis(100));
    assert_eq!((sent.documents, sent.dropped), (0, 9));
    assert_eq!(sender.messages(), [""; 0], "it was told once");
}

#[test]
fn nothing_to_send_is_nothing_to_wait_for() {
    let collector = Collector::that(&[Says::Nothing]);
    let began = Instant::now();
    let sent = sender(&collector.url).finish(LONG);
    assert_eq!(sent, Sent::default());
    assert!(began.elapsed() < Duration::from_secs(5));
}
