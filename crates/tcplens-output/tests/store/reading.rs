//! Reading rollups back, from hosts that were copied together, and past what is damaged.

use std::fs;

use tcplens_core::record::Rollup;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::store::{StoreKind, StoreReader, StoreSettings, StoreSink, StoreWriter};

use crate::place::{Place, START, attempts, settings};

fn store(place: &Place, host: &str, numbers: std::ops::Range<u64>) {
    let mut writer = StoreWriter::open(place.path(), settings(host, false)).unwrap();
    attempts(&mut writer, numbers);
    writer.finish().unwrap();
}

fn read(
    reader: &mut StoreReader,
    range: std::ops::Range<Timestamp>,
    hosts: &[&str],
) -> Vec<(String, Rollup)> {
    let mut found = Vec::new();
    reader.rollups(range, hosts, &mut |host, rollup| {
        found.push((host.to_owned(), rollup))
    });
    found
}

const ALL: std::ops::Range<Timestamp> = Timestamp::MIN..Timestamp::MAX;

#[test]
fn directories_of_two_hosts_are_one_and_hosts_and_times_can_be_chosen() {
    let (first, second) = (Place::new("first"), Place::new("second"));
    store(&first, "a-1", 0..1000);
    store(&second, "b", 0..500);
    for name in second.files() {
        fs::create_dir_all(first.path().join(&name).parent().unwrap()).unwrap();
        fs::copy(second.path().join(&name), first.path().join(&name)).unwrap();
    }
    let mut reader = StoreReader::open(first.path()).unwrap();
    assert_eq!(reader.files().len(), 4);
    assert_eq!(reader.days(StoreKind::Rollup), [20_778]);
    let attempts = |rows: &[(String, Rollup)], host: &str| -> u64 {
        let rows = rows.iter().filter(|(of, _)| of == host);
        rows.filter_map(|(_, row)| row.connections.as_ref()?.attempts)
            .sum()
    };
    let all = read(&mut reader, ALL, &[]);
    assert_eq!((attempts(&all, "a-1"), attempts(&all, "b")), (1000, 500));
    assert_eq!(
        read(&mut reader, ALL, &["b"]).len(),
        all.iter().filter(|(host, _)| host == "b").count()
    );
    // The name of a file is not that of a host.
    assert_eq!(read(&mut reader, ALL, &["a_1"]), []);
    let minute = all[0].1.time;
    let one = read(&mut reader, minute..minute.plus(60 * SECOND), &["a-1"]);
    assert!(one.iter().all(|(_, row)| row.time == minute) && !one.is_empty());
    assert_eq!(
        read(
            &mut reader,
            START.plus(86_400 * SECOND)..Timestamp::MAX,
            &[]
        ),
        []
    );
    // Each attempt took 10 to 12 ms.
    let histogram = all[0].1.connections.as_ref().unwrap();
    assert_eq!(histogram.connect_ns.len(), histogram.connect_counts.len());
    assert!(
        histogram
            .connect_ns
            .iter()
            .all(|ns| (10_300_000..12_000_000).contains(ns))
    );
    assert_eq!(reader.damages(), (&[][..], 0));
}

#[test]
fn what_is_damaged_or_foreign_is_named_and_the_rest_is_read() {
    let place = Place::new("damaged");
    store(&place, "a", 0..100);
    store(&place, "b", 0..100);
    store(&place, "c", 0..100);
    let file = |host: &str, kind: &str| {
        let of_host = format!("/{host}-");
        let name = place
            .whole(kind)
            .into_iter()
            .find(|name| name.contains(&of_host));
        place.path().join(name.unwrap())
    };
    let damaged = file("a", "rollup");
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    // Something else under its name.
    let foreign = file("b", "rollup");
    fs::copy(file("b", "handshake"), &foreign).unwrap();
    let odd = foreign.with_file_name("part-0.parquet");
    fs::write(&odd, "x").unwrap();
    // Not whole: nobody looks at it.
    fs::write(
        foreign.with_file_name("d-20261121T010822000000000Z-00001.parquet.part"),
        "x",
    )
    .unwrap();
    let mut reader = StoreReader::open(place.path()).unwrap();
    let rows = read(&mut reader, ALL, &[]);
    assert!(!rows.is_empty() && rows.iter().all(|(host, _)| host == "c"));
    let (damages, further) = reader.damages();
    let told: Vec<_> = damages.iter().map(|damage| damage.path.clone()).collect();
    assert_eq!((told, further), (vec![odd, damaged, foreign], 0));
    assert!(
        damages[2]
            .why
            .contains("it holds handshake, not records rollup"),
        "{}",
        damages[2]
    );
    assert!(StoreReader::open(&place.path().join("nothing")).is_err());
}

#[test]
fn any_damage_is_told_and_never_a_panic() {
    let place = Place::new("flipped");
    store(&place, "a", 0..300);
    let path = place.path().join(&place.whole("rollup")[0]);
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(29) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        fs::write(&path, &flipped).unwrap();
        let mut reader = StoreReader::open(place.path()).unwrap();
        // Whatever is read; a wrong number in a page without checksum cannot be known.
        let _ = read(&mut reader, ALL, &[]);
    }
}

#[test]
fn rows_of_a_minute_that_was_in_two_files_add_up() {
    let place = Place::new("halves");
    let settings = StoreSettings {
        interval: tcplens_core::time::Span::from_ns(10 * SECOND as u64),
        ..settings("a", true)
    };
    let mut writer = StoreWriter::open(place.path(), settings).unwrap();
    for n in 0..5 {
        attempts(&mut writer, n * 10..n * 10 + 10);
        writer
            .tick(START.plus((n as i64 + 1) * 11 * SECOND))
            .unwrap();
    }
    writer.finish().unwrap();
    let rows = place.rollups();
    assert_eq!(rows.len(), 5);
    let mut sum = rows[0].1.clone();
    rows[1..].iter().for_each(|(_, row)| sum.merge(row));
    let connections = sum.connections.unwrap();
    assert_eq!(connections.attempts, Some(50));
    assert_eq!(connections.connect_counts.iter().sum::<u64>(), 50);
}
