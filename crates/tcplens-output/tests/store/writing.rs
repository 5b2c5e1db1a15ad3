//! Writing, and what is left of a run that did not come to its end.

use std::fs;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Finding, Health, Suspect, Vantage};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::Jsonl;
use tcplens_output::store::{
    StoreError, StoreKind, StoreRecord, StoreSettings, StoreSink, StoreWriter,
};

use crate::place::{Place, START, attempts, numbers, settings};
use crate::sample;

#[test]
fn of_files_nothing_is_seen_until_all_is_written_and_then_it_is_by_kind_date_and_host() {
    let place = Place::new("offline");
    let mut writer = StoreWriter::open(place.path(), settings("web-1.example", false)).unwrap();
    attempts(&mut writer, 0..100);
    for n in 0..10 {
        let record = sample::connection(n);
        let record = StoreRecord::Any(AnyRecord::Connection(&record));
        writer.write(record, Timestamp::MAX).unwrap();
    }
    let finding = Finding::new(1, "refused", 3, Suspect::Server);
    writer
        .write(StoreRecord::Finding(&finding), Timestamp::MAX)
        .unwrap();
    writer.tick(START.plus(3600 * SECOND)).unwrap();
    assert!(
        place.files().iter().all(|name| name.ends_with(".part")),
        "{:?}",
        place.files()
    );
    writer.finish().unwrap();
    let name = "date=2026-11-21/web_1.example-20261121T010822000000000Z-00001.parquet";
    let expected = ["connection", "finding", "handshake", "rollup"];
    assert_eq!(
        place.files(),
        expected.map(|kind| format!("kind={kind}/{name}"))
    );
    assert_eq!(numbers(&place), (0..100).collect::<Vec<_>>());
    let hosts = place.values("handshake", ["host", "time"]);
    assert!(
        hosts.iter().all(|[host, _]| host == "web-1.example"),
        "{hosts:?}"
    );
    assert_eq!(place.attempts(), 100);
    let counters = writer.counters();
    assert_eq!(
        (counters.files, counters.dropped, counters.written),
        (4, 0, 111 + place.rollups().len() as u64)
    );
    let bytes: u64 = place
        .files()
        .iter()
        .map(|name| fs::metadata(place.path().join(name)).unwrap().len())
        .sum();
    assert_eq!(counters.bytes, bytes);
}

#[test]
fn a_run_of_files_that_ends_too_soon_leaves_nothing() {
    let place = Place::new("offline-cut");
    let mut writer = StoreWriter::open(place.path(), settings("a", false)).unwrap();
    attempts(&mut writer, 0..100);
    drop(writer);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn what_was_flushed_becomes_a_file_at_the_next_start_and_what_was_in_files_is_not_there_twice() {
    let place = Place::new("recovered");
    let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    attempts(&mut writer, 0..50);
    // The first file is whole, the second is not.
    writer.tick(START.plus(301 * SECOND)).unwrap();
    assert_eq!(numbers(&place), (0..50).collect::<Vec<_>>());
    assert_eq!(place.segments(), [""; 0]);
    assert_eq!(place.attempts(), 50);
    attempts(&mut writer, 50..80);
    writer.tick(START.plus(303 * SECOND)).unwrap();
    assert_eq!(place.segments().len(), 2, "{:?}", place.segments());
    attempts(&mut writer, 80..90);
    // As kill -9 leaves it: what was not flushed is gone.
    std::mem::forget(writer);

    let again = StoreSettings {
        start: START.plus(400 * SECOND),
        ..settings("a", true)
    };
    // The lock of a process goes with it; here both are one.
    unlock(&place);
    let mut writer = StoreWriter::open(place.path(), again).unwrap();
    let recovered = writer.counters().recovered;
    assert_eq!(numbers(&place), (0..80).collect::<Vec<_>>());
    assert_eq!(place.attempts(), 80);
    assert!(recovered >= 31, "{recovered}");
    assert_eq!(place.segments(), [""; 0]);
    let note = writer.take_note().unwrap();
    assert!(
        note.starts_with(&format!("{recovered} records of an earlier run")),
        "{note}"
    );
    attempts(&mut writer, 90..95);
    writer.finish().unwrap();
    assert_eq!(numbers(&place).len(), 85);
    assert_eq!(place.attempts(), 85);
    let parts = place
        .files()
        .into_iter()
        .filter(|name| name.ends_with(".part"));
    assert_eq!(parts.count(), 0);
}

/// As if the process that holds the lock were gone: another file takes its place.
fn unlock(place: &Place) {
    unlock_host(place, "a");
}

fn unlock_host(place: &Place, word: &str) {
    let path = place.path().join(format!("journal/{word}.lock"));
    fs::rename(&path, place.path().join("journal/gone")).unwrap();
}

#[test]
fn a_segment_whose_file_has_its_name_is_dropped() {
    let place = Place::new("renamed");
    let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    attempts(&mut writer, 0..20);
    writer.flush();
    let segments = place.segments();
    let kept: Vec<_> = segments
        .iter()
        .map(|name| fs::read(place.path().join(name)).unwrap())
        .collect();
    writer.finish().unwrap();
    drop(writer);
    // Killed between the name of the file and the end of the segment.
    for (name, bytes) in segments.iter().zip(kept) {
        fs::write(place.path().join(name), bytes).unwrap();
    }
    let before = place.whole("handshake");
    drop(StoreWriter::open(place.path(), settings("a", true)).unwrap());
    assert_eq!(place.whole("handshake"), before);
    assert_eq!(place.segments(), [""; 0]);
    assert_eq!(numbers(&place), (0..20).collect::<Vec<_>>());
    assert_eq!(place.attempts(), 20);
}

#[test]
fn what_an_earlier_run_has_left_waits_while_records_come_and_is_there_at_the_end() {
    let place = Place::new("behind");
    let mut killed = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    attempts(&mut killed, 0..20);
    killed.flush();
    let left = place.segments();
    assert_eq!(left.len(), 2, "{left:?}");
    std::mem::forget(killed);
    unlock(&place);
    let later = StoreSettings {
        start: START.plus(SECOND),
        ..settings("a", true)
    };
    let mut writer = StoreWriter::begin(place.path(), later).unwrap();
    attempts(&mut writer, 20..30);
    writer.flush();
    assert_eq!(place.segments().len(), 4);
    assert_eq!(place.whole("handshake"), [""; 0]);
    let progress = writer.progress().unwrap();
    let steps = || progress.load(std::sync::atomic::Ordering::Relaxed);
    // A segment each time, and none of its own.
    assert!(writer.catch_up());
    assert_eq!((place.segments().len(), steps()), (3, 1));
    assert!(!writer.catch_up());
    assert_eq!((place.segments().len(), steps()), (2, 2));
    assert!(!writer.catch_up());
    assert_eq!(numbers(&place), (0..20).collect::<Vec<_>>());
    let note = writer.take_note().unwrap();
    assert!(note.contains(" records of an earlier run "), "{note}");
    assert_eq!(writer.take_note(), None);
    writer.finish().unwrap();
    assert_eq!(numbers(&place), (0..30).collect::<Vec<_>>());
    assert_eq!(place.attempts(), 30);
    assert_eq!(steps(), 4);
}

#[test]
fn a_run_of_files_that_is_killed_while_it_gives_names_leaves_nothing_after_the_next_one() {
    let place = Place::new("naming");
    let run = |start: i64, records: std::ops::Range<u64>| {
        let settings = StoreSettings {
            start: START.plus(start * SECOND),
            ..settings("a", false)
        };
        let mut writer = StoreWriter::open(place.path(), settings).unwrap();
        attempts(&mut writer, records);
        writer.finish().unwrap();
    };
    run(0, 0..20);
    assert_eq!(place.attempts(), 20);
    let named = [place.whole("handshake"), place.whole("rollup")].concat();
    // As if it had come to the first name, and to no other.
    let other = format!("{}.part", named[1]);
    fs::rename(place.path().join(&named[1]), place.path().join(&other)).unwrap();
    let note = place
        .path()
        .join("journal/a-20261121T010822000000000Z.naming");
    fs::create_dir_all(note.parent().unwrap()).unwrap();
    fs::write(&note, named.join("\n") + "\nkind=handshake/torn").unwrap();
    // A run that lives keeps what it has.
    let lives = fs::File::open(&note).unwrap();
    lives.lock().unwrap();
    run(1, 0..0);
    assert!(note.exists());
    assert_eq!(numbers(&place), (0..20).collect::<Vec<_>>());
    drop(lives);
    // So does another host's.
    drop(StoreWriter::open(place.path(), settings("b", false)).unwrap());
    assert!(note.exists());
    run(2, 0..20);
    assert!(!note.exists());
    assert!(!place.path().join(other).exists());
    assert_eq!(numbers(&place), (0..20).collect::<Vec<_>>());
    assert_eq!(place.attempts(), 20);
    // And after that nothing more is undone.
    run(3, 20..30);
    assert_eq!(numbers(&place), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_note_of_another_hand_removes_nothing_but_files_of_its_run() {
    let place = Place::new("foreign");
    let mut writer = StoreWriter::open(place.path(), settings("a", false)).unwrap();
    attempts(&mut writer, 0..20);
    writer.finish().unwrap();
    let own = [place.whole("handshake"), place.whole("rollup")].concat();
    let journal = place.path().join("journal");
    fs::create_dir_all(&journal).unwrap();
    let outside = journal.join("outside");
    fs::write(&outside, "").unwrap();
    let lines = [
        outside.display().to_string(),
        "journal/outside".to_owned(),
        "kind=handshake/../journal/outside".to_owned(),
        own[0].clone(),
    ];
    let text = lines.join("\n") + "\n";
    // Neither a name that is none nor another run's has a say.
    let names = ["a-x.naming", "a-20261121T010823000000000Z.naming"];
    for name in names {
        fs::write(journal.join(name), &text).unwrap();
    }
    let next = |seconds| StoreSettings {
        start: START.plus(seconds * SECOND),
        ..settings("a", false)
    };
    let undo = |seconds| {
        let mut writer = StoreWriter::open(place.path(), next(seconds)).unwrap();
        writer.finish().unwrap();
        (writer.take_trouble(), writer.take_note())
    };
    assert_eq!(undo(10), (None, None));
    assert_eq!(names.map(|name| journal.join(name).exists()), [true, false]);
    assert_eq!(place.attempts(), 20);
    fs::write(journal.join("a-20261121T010822000000000Z.naming"), text).unwrap();
    let (trouble, note) = undo(20);
    assert_eq!(trouble, None);
    let note = note.unwrap();
    assert!(
        note.starts_with("1 files of a run of capture files were removed "),
        "{note}"
    );
    assert!(outside.exists());
    assert_eq!(
        [place.whole("handshake"), place.whole("rollup")].concat(),
        own[1..]
    );
}

#[test]
fn files_that_cannot_all_have_their_names_keep_none() {
    let place = Place::new("unnamed");
    let mut writer = StoreWriter::open(place.path(), settings("a", false)).unwrap();
    attempts(&mut writer, 0..20);
    // A directory is in the way of the last one, also for root.
    let day = place.path().join("kind=rollup/date=2026-11-21");
    let mut parts = place.files().into_iter();
    let part = parts.find(|name| name.contains("kind=handshake")).unwrap();
    let name = part.rsplit('/').next().unwrap().trim_end_matches(".part");
    fs::create_dir_all(day.join(name).join("full")).unwrap();
    let error = writer.finish().unwrap_err().to_string();
    let expected = format!(
        "cannot give files their names in the store in {}: ",
        place.path().display()
    );
    assert!(error.starts_with(&expected), "{error}");
    drop(writer);
    let left = place.files();
    assert!(
        left.iter().all(|name| !name.contains("kind=handshake")),
        "{left:?}"
    );
    fs::remove_dir_all(day).unwrap();
}

#[test]
fn a_clock_that_is_set_back_delays_neither_the_journal_nor_files() {
    let place = Place::new("clock");
    let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    writer.tick(START.plus(2 * SECOND)).unwrap();
    attempts(&mut writer, 0..10);
    let back = START.plus(-3600 * SECOND);
    writer.tick(back).unwrap();
    assert_eq!(place.segments().len(), 2, "{:?}", place.segments());
    assert_eq!(place.whole("handshake"), [""; 0]);
    writer.tick(back.plus(299 * SECOND)).unwrap();
    assert_eq!(place.whole("handshake"), [""; 0]);
    writer.tick(back.plus(301 * SECOND)).unwrap();
    assert_eq!(numbers(&place), (0..10).collect::<Vec<_>>());
    assert_eq!(place.attempts(), 10);
    writer.finish().unwrap();
}

#[test]
fn what_a_journal_has_of_a_host_stays_that_hosts_though_the_next_is_spelled_otherwise() {
    let place = Place::new("spelled");
    let mut writer = StoreWriter::open(place.path(), settings("a-b", true)).unwrap();
    attempts(&mut writer, 0..20);
    writer.flush();
    std::mem::forget(writer);
    unlock_host(&place, "a_b");
    let next = StoreSettings {
        start: START.plus(400 * SECOND),
        ..settings("a_b", true)
    };
    drop(StoreWriter::open(place.path(), next).unwrap());
    let hosts = place.values("handshake", ["host", "time"]);
    assert!(hosts.iter().all(|[host, _]| host == "a-b"), "{hosts:?}");
    let rollups = place.rollups();
    assert!(rollups.iter().all(|(host, _)| host == "a-b"), "{rollups:?}");
    assert_eq!((hosts.len(), place.attempts()), (20, 20));
}

#[test]
fn a_torn_last_line_is_counted_and_the_others_are_there() {
    let place = Place::new("torn");
    let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    attempts(&mut writer, 0..20);
    writer.flush();
    std::mem::forget(writer);
    unlock(&place);
    let segments = place.segments();
    let segment = place.path().join(&segments[0]);
    assert!(segments[0].contains("handshake"), "{segments:?}");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 40]).unwrap();
    let writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    assert_eq!(writer.counters().limit_hits, [("store_torn_lines", 1)]);
    assert_eq!(numbers(&place), (0..19).collect::<Vec<_>>());
}

#[test]
fn two_runs_of_one_host_do_not_write_at_once_and_of_two_hosts_they_do() {
    let place = Place::new("locked");
    let first = StoreWriter::open(place.path(), settings("a-b", true)).unwrap();
    let refused = StoreWriter::open(place.path(), settings("a-b", true))
        .err()
        .unwrap();
    assert!(matches!(refused, StoreError::Locked { .. }));
    let told = refused.to_string();
    let expected = format!(
        "cannot write to the store in {} as host a-b: process {} does; give this run another name with --host, or another \
         directory",
        place.path().display(),
        std::process::id()
    );
    assert_eq!(told, expected);
    drop(StoreWriter::open(place.path(), settings("c", true)).unwrap());
    drop(first);
    drop(StoreWriter::open(place.path(), settings("a-b", true)).unwrap());
}

#[test]
fn records_of_many_dates_go_to_their_dates() {
    let place = Place::new("dates");
    let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    let day = 86_400 * SECOND;
    for n in 0..30 {
        let mut record = sample::handshake(n);
        record.time = START.plus(-(n as i64 % 6) * day);
        let at = record.time.plus(SECOND);
        let record = StoreRecord::Any(AnyRecord::Handshake(&record));
        writer.write(record, at).unwrap();
        let open = place
            .files()
            .iter()
            .filter(|name| name.contains("kind=handshake") && name.ends_with(".part"))
            .count();
        assert!(open <= 4, "{open} files are open");
    }
    writer.finish().unwrap();
    let mut found = numbers(&place);
    found.sort_unstable();
    assert_eq!(found, (0..30).collect::<Vec<_>>());
    let dates: std::collections::BTreeSet<_> = place
        .whole("handshake")
        .iter()
        .map(|name| name[15..30].to_owned())
        .collect();
    let expected = ["16", "17", "18", "19", "20", "21"].map(|day| format!("date=2026-11-{day}"));
    assert_eq!(dates, expected.into());
    assert_eq!(place.attempts(), 30);
}

#[test]
fn a_line_of_json_is_stored_as_its_record_is() {
    let place = Place::new("line");
    let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
    let mut jsonl = Jsonl::new();
    jsonl.encode(&sample::handshake(7));
    let line = jsonl.bytes().trim_ascii_end();
    writer
        .write(
            StoreRecord::Line(StoreKind::Handshake, line),
            Timestamp::MAX,
        )
        .unwrap();
    writer
        .write(
            StoreRecord::Line(StoreKind::Handshake, b"{}"),
            Timestamp::MAX,
        )
        .unwrap();
    assert_eq!(writer.counters().dropped, 1);
    attempts(&mut writer, 7..8);
    writer.finish().unwrap();
    for column in [
        "connection_id",
        "time",
        "server_ip",
        "outcome",
        "handshake_us",
        "sack",
        "client_mss",
    ] {
        let values = place.values("handshake", ["host", column]);
        assert_eq!(values.len(), 2);
        assert_eq!(values[0], values[1], "{column}");
        assert_ne!(values[0][1], "null", "{column}");
    }
}

#[test]
fn every_kind_comes_back_from_the_journal_as_it_was() {
    let place = Place::new("kinds");
    let written = Place::new("kinds-written");
    let health = health();
    let mut finding = Finding::new(1, "refused", 3, Suspect::Server);
    finding.frames = vec![3, 5];
    finding.text = Some("a \"quoted\" text".into());
    let store = |place: &Place| {
        let mut writer = StoreWriter::open(place.path(), settings("a", true)).unwrap();
        writer
            .write(StoreRecord::Finding(&finding), Timestamp::MAX)
            .unwrap();
        writer
            .write(StoreRecord::Health(&health), Timestamp::MAX)
            .unwrap();
        let connection = sample::connection(3);
        writer
            .write(
                StoreRecord::Any(AnyRecord::Connection(&connection)),
                connection.time,
            )
            .unwrap();
        writer
    };
    store(&written).finish().unwrap();
    let mut killed = store(&place);
    killed.flush();
    std::mem::forget(killed);
    unlock(&place);
    drop(StoreWriter::open(place.path(), settings("a", true)).unwrap());
    for (kind, columns) in [
        ("finding", ["frames", "text"]),
        ("health", ["limit_hits", "records"]),
        ("connection", ["duration_us", "client_rtt_mean_us"]),
    ] {
        let values = place.values(kind, columns);
        assert_eq!(values, written.values(kind, columns), "{kind}");
        assert_eq!(values.len(), 1);
    }
    assert_eq!(place.rollups(), written.rollups());
}

fn health() -> Health {
    Health {
        time: Some(START),
        packets: 3,
        bytes: 4,
        tcp_segments: 3,
        kernel_drops: Some(0),
        connections: 1,
        limit_hits: vec![("holes", 3), ("handed_on", 2)],
        records: vec![("handshake", 1)],
        ..Health::new(Vantage::Wire)
    }
}
