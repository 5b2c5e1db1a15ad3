//! What goes when it is old, and what never does.

use tcplens_core::batch::AnyRecord;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::store::{Keep, StoreRecord, StoreSettings, StoreSink, StoreWriter};

use crate::place::{Place, START, settings};
use crate::sample;

const DAY: i64 = 86_400 * SECOND;

/// A run of `host` that began `days` before START, with records of that day.
fn run(place: &Place, host: &str, days: i64) {
    let settings = StoreSettings {
        start: START.plus(-days * DAY),
        ..settings(host, true)
    };
    let start = settings.start;
    let mut writer = StoreWriter::open(place.path(), settings).unwrap();
    let mut record = sample::handshake(1);
    record.time = start;
    let at = Timestamp::MAX;
    writer
        .write(StoreRecord::Any(AnyRecord::Handshake(&record)), at)
        .unwrap();
    writer.finish().unwrap();
}

fn days(place: &Place, kind: &str, host: &str) -> Vec<String> {
    let files = place.whole(kind);
    let of_host = files
        .iter()
        .filter(|name| name.contains(&format!("/{host}-")));
    let at = format!("kind={kind}/date=2026-").len();
    of_host.map(|name| name[at..at + 5].to_owned()).collect()
}

#[test]
fn records_go_after_their_days_rollups_stay_and_other_hosts_are_not_touched() {
    let place = Place::new("keep-days");
    for days in [0, 1, 2, 3, 10] {
        run(&place, "a", days);
        run(&place, "b", days);
    }
    let kept = StoreSettings {
        keep: Some(Keep::Days(2)),
        start: START.plus(SECOND),
        ..settings("a", true)
    };
    let mut writer = StoreWriter::open(place.path(), kept).unwrap();
    assert_eq!(writer.counters().removed, 2);
    let note = writer.take_note().unwrap();
    assert!(
        note.starts_with("2 files of 2026-11-11 to 2026-11-18 were removed from "),
        "{note}"
    );
    assert_eq!(days(&place, "handshake", "a"), ["11-19", "11-20", "11-21"]);
    assert_eq!(days(&place, "handshake", "b").len(), 5);
    assert_eq!(days(&place, "rollup", "a").len(), 5);
    drop(writer);
    let short = StoreSettings {
        keep: Some(Keep::Days(2)),
        keep_rollups: Keep::Days(3),
        start: START.plus(2 * SECOND),
        ..settings("a", true)
    };
    drop(StoreWriter::open(place.path(), short).unwrap());
    assert_eq!(
        days(&place, "rollup", "a"),
        ["11-18", "11-19", "11-20", "11-21"]
    );
    assert_eq!(days(&place, "rollup", "b").len(), 5);
}

#[test]
fn beyond_a_size_the_oldest_go() {
    let place = Place::new("keep-size");
    for days in [3, 2, 1, 0] {
        run(&place, "a", days);
    }
    let one = std::fs::metadata(place.path().join(&place.whole("handshake")[0])).unwrap();
    let kept = StoreSettings {
        keep: Some(Keep::Size(one.len() * 5 / 2)),
        start: START.plus(SECOND),
        ..settings("a", true)
    };
    drop(StoreWriter::open(place.path(), kept).unwrap());
    assert_eq!(days(&place, "handshake", "a"), ["11-20", "11-21"]);
    assert_eq!(days(&place, "rollup", "a").len(), 4);
}

#[test]
fn what_to_keep_is_days_or_a_size() {
    for (text, keep) in [
        ("30", Keep::Days(30)),
        ("30d", Keep::Days(30)),
        ("1 days", Keep::Days(1)),
        ("50GiB", Keep::Size(50 << 30)),
        ("10M", Keep::Size(10 << 20)),
    ] {
        assert_eq!(Keep::parse(text), Ok(keep), "{text}");
    }
    for (text, why) in [
        ("0", "it is zero"),
        ("0d", "it is zero"),
        ("1.5d", "not a whole"),
        ("x", "neither"),
        ("", "neither"),
    ] {
        let told = Keep::parse(text).unwrap_err().to_string();
        assert!(told.contains(why) && told.contains("such as 30d"), "{told}");
    }
    assert!(Keep::parse_days("1GiB").is_err());
}
