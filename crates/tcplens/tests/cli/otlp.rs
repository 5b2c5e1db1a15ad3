//! `--otlp`: what is sent of a file, and what is said where that fails. What documents look like is tested where they are made.

use std::path::Path;
use std::time::Duration;

use tcplens_core::record::Health;

use crate::Place;
use crate::collector::{Told, collector};
use crate::store::lines;

/// What a record says was not taken by the collector.
fn not_taken(health: &str) -> &str {
    let begin = "\"records_dropped\":{\"otlp\":";
    let (_, rest) = health.split_once(begin).expect(health);
    rest.split('}').next().expect(health)
}

#[test]
fn the_last_record_of_a_store_says_what_the_collector_did_not_take() {
    let place = Place::new("otlp-store");
    let (url, _told) = collector(404);
    let run = place.run(&["records", &sample(), "--otlp", &url, "--store", "kept"]);
    assert_eq!(run.status, Some(3), "{run:?}");
    let kept = lines::<Health>(&place.path("kept"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(not_taken(&kept[0]), not_taken(&run.out));
}

fn sample() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join("samples/shop.pcap");
    file.to_str().unwrap().to_owned()
}

/// All messages of a path.
fn of<'t>(told: &'t [Told], path: &str) -> Vec<&'t Told> {
    told.iter().filter(|(to, ..)| to == path).collect()
}

#[test]
fn of_a_file_everything_is_sent_once_at_the_end_and_the_command_prints_what_it_does_without() {
    let place = Place::new("otlp");
    let file = sample();
    let (url, told) = collector(200);
    for command in [
        &["handshakes"][..],
        &["requests", "-t", "2000"],
        &["records"],
    ] {
        let words = [command, &[file.as_str()]].concat();
        let run = place.run(&[&words[..], &["--otlp", &url]].concat());
        assert_eq!(run, place.run(&words));
        let told: Vec<_> = told.try_iter().collect();
        let metrics = of(&told, "/v1/metrics");
        assert_eq!(metrics.len(), 1, "{command:?}");
        let (_, headers, body) = metrics[0];
        assert_eq!(headers[..], ["content-type: application/json"]);
        // Whatever the command itself shows.
        for part in [
            "\"tcplens.request_duration\"",
            "\"tcplens.handshake_duration\"",
            "\"tcplens.retransmitted_segments\"",
            "\"stringValue\":\"file\"",
        ] {
            assert!(body.contains(part), "{part}");
        }
        let traces = of(&told, "/v1/traces");
        let spans: usize = traces
            .iter()
            .map(|(_, _, body)| body.matches("\"kind\":").count())
            .sum();
        // Two of 8 s, one of 2.5 s and its page; slow is what the command says, too.
        assert!(spans >= 4 + 4, "{command:?}: {spans}");
        assert_eq!(told.len(), 1 + traces.len());
    }
}

#[test]
fn what_authenticates_comes_from_a_file_or_the_environment() {
    let place = Place::new("otlp-headers");
    let file = sample();
    let (url, told) = collector(200);
    let words = ["records", &file, "-f", "none", "--otlp", &url];
    let key = place.write("key", b"# ours\nAuthorization: Bearer of-file\n");
    let with_file = [&words[..], &["--otlp-headers", key.to_str().unwrap()]].concat();
    let variable = "OTEL_EXPORTER_OTLP_HEADERS";
    for (words, expected) in [
        (&words[..], "authorization: bearer of-environment"),
        (&with_file, "authorization: bearer of-file"),
    ] {
        let mut run = place.tcplens(words);
        run.env(variable, "authorization=Bearer%20of-environment");
        assert!(run.status().unwrap().success());
        let (_, headers, _) = told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(headers.iter().any(|known| known == expected), "{headers:?}");
        assert!(told.try_iter().count() > 0);
    }
    let bad = place.write("bad", b"s3cret\n");
    let run = place.run(&[&words[..], &["--otlp-headers", bad.to_str().unwrap()]].concat());
    run.ends(1, &["cannot use the headers in", "line 1 is no header"]);
    assert!(!run.err.contains("s3cret"), "{run:?}");
    let run = place.run(&[&words[..], &["--otlp-headers", "absent"]].concat());
    run.ends(1, &["cannot read the headers for --otlp from absent"]);
    let run = place.run(&[&words[..], &["--otlp-ca", "absent"]].concat());
    run.ends(1, &["cannot read certificates from absent"]);
    let mut run = place.tcplens(&words);
    let said = run.env(variable, "s3cret").output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains(
            "cannot use what OTEL_EXPORTER_OTLP_HEADERS says: header 1 has no equal sign"
        ),
        "{said}"
    );
}

#[test]
fn a_collector_that_does_not_take_it_is_a_partial_run() {
    let place = Place::new("otlp-refused");
    let file = sample();
    let (url, _told) = collector(404);
    let run = place.run(&["records", &file, "--otlp", &url]);
    run.ends(
        3,
        &[
            &format!("metrics are not taken: {url}/v1/metrics answered 404: {{}}"),
            "records were dropped: otlp did not take them",
        ],
    );
    assert!(
        run.out.contains("\"records_dropped\":{\"otlp\":"),
        "{run:?}"
    );
    assert_eq!(run.records("request"), 610, "nothing else is lost");
}

#[test]
fn urls_that_lead_nowhere_are_refused_with_one_that_would() {
    let place = Place::new("otlp-urls");
    for (url, why) in [
        (
            "localhost:4318",
            "is no URL of HTTP; write http://127.0.0.1:4318",
        ),
        ("https://key@host:4318", "name that with --otlp-headers"),
        ("http:///v1", "names no server"),
        (
            "http://h/otlp/v1/metrics",
            "/v1/metrics is added to it; write http://h/otlp",
        ),
    ] {
        place
            .run(&["records", "x.pcap", "--otlp", url])
            .ends(2, &[why]);
    }
    place
        .run(&[
            "records",
            "x.pcap",
            "--otlp",
            "http://h",
            "--otlp-interval",
            "10ms",
        ])
        .ends(2, &["it is less than 1 s"]);
}
