//! What is found of a store that was written by the writer.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::path::{Path, PathBuf};

use tcplens_core::record::*;
use tcplens_core::time::{SECOND, Span};
use tcplens_core::view::fleet::FleetFilter;

use tcplens_output::Jsonl;
use tcplens_output::named::{Dialect, Parameters};
use tcplens_output::store::look::{Found, Looking, VIEWS, View, marks};
use tcplens_output::store::{
    Keep, StoreKind, StoreRecord, StoreSettings, StoreSink, StoreWriter, files,
};

#[path = "../../tcplens-core/tests/view_records/mod.rs"]
#[expect(dead_code, reason = "one of its records is needed")]
mod view_records;
#[path = "../../tcplens-core/tests/view_records/requests.rs"]
#[expect(dead_code, reason = "likewise")]
mod view_requests;

use view_records::START;

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of a failed test is of use.
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}

fn keep<R: Record>(store: &mut StoreWriter, kind: StoreKind, record: &R) {
    let mut jsonl = Jsonl::new();
    jsonl.encode(record);
    store
        .write(StoreRecord::Line(kind, jsonl.bytes()), START)
        .unwrap();
}

/// Ten requests of each of two hosts, the `n`th of `n` ms at a server, the last one failed; an attempt; a finding.
fn store(name: &str) -> Place {
    let place = std::env::temp_dir().join(format!("tcplens-look-{name}-{}", std::process::id()));
    for host in ["a", "b-1"] {
        let settings = StoreSettings {
            host: host.into(),
            start: START,
            is_live: false,
            interval: Span::from_ns(1),
            keep: None,
            keep_rollups: Keep::ROLLUPS,
        };
        let mut store = StoreWriter::open(&place, settings).unwrap();
        for n in 0..10 {
            let mut request = view_requests::request(n, "10.0.0.7", 6379 + n % 2, n);
            if n == 9 {
                (request.status, request.operation) = (Status::Error, Some("SET"));
            }
            keep(&mut store, StoreKind::Request, &request);
        }
        keep(
            &mut store,
            StoreKind::Handshake,
            &view_records::handshake(3, "10.0.0.1", "10.0.0.7", 6379),
        );
        let finding = Finding {
            time: Some(START),
            until: Some(START.plus(120 * SECOND)),
            server_ip: "10.0.0.7".parse().ok(),
            server_port: Some(6379),
            text: Some(format!("found by {host}")),
            ..Finding::new(1, "abnormal", 3, Suspect::Server)
        };
        keep(&mut store, StoreKind::Finding, &finding);
        store.finish().unwrap();
    }
    Place(place)
}

fn look(
    place: &Path,
    view: &str,
    seconds: std::ops::Range<i64>,
    filter: &FleetFilter,
    most: usize,
) -> Found {
    let view = View::find(view).unwrap();
    let range = START.plus(seconds.start * SECOND)..START.plus(seconds.end * SECOND);
    let mut looking = Looking::new(view, range, filter.clone(), most);
    for file in files(place, view.kind, &mut |_| ()).unwrap() {
        if looking.may_have(&file) {
            looking.read(&file).unwrap();
        }
    }
    looking.finish()
}

/// Host and `total_us` of each row.
fn rows(found: &Found) -> Vec<(String, f64)> {
    let json: serde_json::Value = serde_json::from_str(&format!("{{{}}}", found.json)).unwrap();
    let columns = json["columns"].as_array().unwrap();
    let at = columns
        .iter()
        .position(|column| column == "total_us")
        .unwrap();
    let row = |row: &serde_json::Value| {
        (
            row[0].as_str().unwrap().to_owned(),
            row[at].as_f64().unwrap(),
        )
    };
    json["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn the_slowest_come_first_and_only_those_that_pass() {
    let place = store("slow");
    let all = FleetFilter::default();
    let found = look(&place.0, "slow-requests", 0..60, &all, 3);
    assert_eq!((found.shown, found.matched), (3, 20));
    let [a, b] = ["a", "b-1"].map(String::from);
    assert_eq!(
        rows(&found),
        [
            (a.clone(), 13_000.0),
            (b.clone(), 13_000.0),
            (a.clone(), 12_000.0)
        ]
    );
    let of_host = FleetFilter {
        host: Some(b.clone()),
        ..all.clone()
    };
    assert_eq!(
        rows(&look(&place.0, "slow-requests", 2..4, &of_host, 9)),
        [(b.clone(), 7000.0), (b.clone(), 6000.0)]
    );
    let of_server = FleetFilter {
        server: Some(("10.0.0.7".parse().unwrap(), 6380)),
        protocol: Some(Protocol::Redis),
        operation: Some("SET".into()),
        ..all.clone()
    };
    let found = look(&place.0, "bad-requests", 0..60, &of_server, 9);
    assert_eq!(rows(&found), [(a, 13_000.0), (b, 13_000.0)]);
    assert!(
        found
            .json
            .contains("\"10.0.0.7\",6380,\"redis\",\"SET\",\"GET shop\",\"error\","),
        "{}",
        found.json
    );
    assert!(
        found.json.contains("\"2026-11-21T01:08:09.000000000Z\""),
        "{}",
        found.json
    );
    for (view, shown) in [
        ("slow-attempts", 2),
        ("failed-attempts", 0),
        ("lossy-connections", 0),
        ("new-requests", 9),
    ] {
        assert_eq!(look(&place.0, view, 0..60, &all, 9).shown, shown, "{view}");
    }
    assert_eq!(look(&place.0, "new-requests", 100..160, &all, 9).matched, 0);
}

#[test]
fn what_nobody_could_tell_is_neither_a_failed_attempt_nor_a_bad_request() {
    let place = std::env::temp_dir().join(format!("tcplens-look-young-{}", std::process::id()));
    let settings = StoreSettings {
        host: "a".into(),
        start: START,
        is_live: false,
        interval: Span::from_ns(1),
        keep: None,
        keep_rollups: Keep::ROLLUPS,
    };
    let mut store = StoreWriter::open(&place, settings).unwrap();
    let place = Place(place);
    let ms = |ms: u64| Some(Span::from_ns(ms * 1_000_000));
    for (outcome, wait_us, syn_retransmits) in [
        (Outcome::Unanswered, ms(999), 0),
        (Outcome::Unacknowledged, None, 0),
        (Outcome::Established, ms(2000), 1),
        // From here on they failed.
        (Outcome::Unanswered, ms(1000), 0),
        (Outcome::Unanswered, ms(10), 1),
        (Outcome::Unacknowledged, ms(5000), 0),
        (Outcome::Refused, ms(1), 0),
    ] {
        let attempt = Handshake {
            outcome,
            wait_us,
            syn_retransmits,
            ..view_records::handshake(3, "10.0.0.1", "10.0.0.7", 6379)
        };
        keep(&mut store, StoreKind::Handshake, &attempt);
    }
    for (ended_by, capture_loss) in [
        (EndedBy::Observation, false),
        (EndedBy::Gap, false),
        (EndedBy::Reset, true),
        // Only this one nobody answered.
        (EndedBy::Reset, false),
    ] {
        let mut request = view_requests::request(1, "10.0.0.7", 6379, 1);
        request.status = Status::Unanswered;
        (request.ended_by, request.capture_loss) = (ended_by, capture_loss);
        keep(&mut store, StoreKind::Request, &request);
    }
    store.finish().unwrap();
    for (view, matched) in [("failed-attempts", 4), ("bad-requests", 1)] {
        let found = look(&place.0, view, 0..60, &FleetFilter::default(), 9);
        assert_eq!(found.matched, matched, "{view}: {}", found.json);
    }
}

#[test]
fn findings_are_of_every_moment_from_when_to_when_they_were() {
    let place = store("marks");
    let of = |from: i64, until: i64| {
        let range = START.plus(from * SECOND)..START.plus(until * SECOND);
        let mut all = Vec::new();
        for file in files(&place.0, StoreKind::Finding, &mut |_| ()).unwrap() {
            marks(&file, &range, &mut |mark| all.push(mark)).unwrap();
        }
        all
    };
    assert_eq!(
        (
            of(-60, 0).len(),
            of(0, 1).len(),
            of(119, 200).len(),
            of(120, 200).len()
        ),
        (0, 2, 2, 0)
    );
    let mark = &of(0, 1)[1];
    assert_eq!(
        (mark.host.as_str(), mark.server.as_str(), mark.text.as_str()),
        ("b-1", "10.0.0.7:6379", "found by b-1")
    );
    assert_eq!(
        (mark.time, mark.code.as_str(), mark.suspect.as_str()),
        (Some(START), "abnormal", "server")
    );
}

#[test]
fn each_view_has_sql_of_its_own_table_and_texts_are_quoted() {
    let parameters = Parameters {
        since: Some(START),
        ..Parameters::default()
    };
    for view in VIEWS {
        let sql = view.sql(Dialect::Standard, &parameters, None, None, 7);
        assert!(sql.starts_with("SELECT host, time, "), "{sql}");
        assert!(
            sql.contains(&format!(" FROM {} WHERE time >= ", view.kind.table())),
            "{sql}"
        );
        assert!(sql.ends_with(" LIMIT 7"), "{sql}");
    }
    let view = View::find("new-requests").unwrap();
    let operation = Some("it's \\");
    let [standard, clickhouse] = [Dialect::Standard, Dialect::ClickHouse]
        .map(|dialect| view.sql(dialect, &parameters, Some("redis"), operation, 7));
    let (here, there) = (
        "AND protocol = 'redis' AND operation = 'it''s \\' ORDER BY time DESC",
        "AND protocol = 'redis' AND operation = 'it''s \\\\' ORDER BY time DESC",
    );
    assert!(standard.contains(here), "{standard}");
    assert!(clickhouse.contains(there), "{clickhouse}");
    let bad = View::find("bad-requests").unwrap();
    let bad = bad.sql(Dialect::ClickHouse, &parameters, None, None, 7);
    assert!(
        !bad.contains("FALSE") && !bad.contains("TIMESTAMP"),
        "{bad}"
    );
}
