//! Files that cannot be read are named and left out; files that need not be read are not; and columns that a file lacks are absent.

use std::fs::{self, File};
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use tcplens_output::store::StoreKind;

use crate::Place;
use crate::store::{DAY, cut, fill, minute, request, write};

#[test]
fn files_are_left_out_by_date_host_and_time_and_the_plan_says_so() {
    let place = Place::new("pruning");
    fill(&place);
    let explained = |condition: &str| {
        let sql = format!("EXPLAIN SELECT count(*) FROM rollups WHERE {condition}");
        let text = place.answer(&[sql]);
        let last = text.lines().last().unwrap().to_owned();
        // The bytes of files are not for this test.
        let (head, rest) = last.split_once(" (").unwrap();
        let files = ["web_1-20261121", "web_1-20261122", "db_2-20261121"];
        let read = files.iter().filter(|name| text.contains(*name)).count();
        (format!("{head}{}", rest.split_once(')').unwrap().1), read)
    };
    for (condition, expected, read) in [
        ("TRUE", "rollups: reads 3 of 3 files", 0),
        ("requests > 0", "rollups: reads 3 of 3 files", 3),
        (
            "host = 'web-1' AND requests > 0",
            "rollups: reads 2 of 3 files, 1 left out by host",
            2,
        ),
        (
            "host IN ('db 2', 'x') AND requests > 0",
            "rollups: reads 1 of 3 files, 2 left out by host",
            1,
        ),
        (
            "host <> 'web-1' AND requests > 0",
            "rollups: reads 3 of 3 files",
            3,
        ),
        (
            "date = '2026-11-22' AND requests > 0",
            "rollups: reads 1 of 3 files, 2 left out by date",
            1,
        ),
        (
            "time >= '2026-11-22' AND requests > 0",
            "rollups: reads 1 of 3 files, 2 left out by date",
            1,
        ),
        (
            "time < TIMESTAMP '2026-11-21 23:00:00' AND host = 'db 2' AND requests > 0",
            "rollups: reads 1 of 3 files, 1 left out by date, 1 left out by host",
            1,
        ),
        (
            "date > '2027-01-01'",
            "rollups: reads 0 of 3 files, 3 left out by date",
            0,
        ),
    ] {
        assert_eq!(
            explained(condition),
            (expected.to_owned(), read),
            "{condition}"
        );
    }
    // The same with the option.
    let text = place.answer(&[
        "--named",
        "slow-operations",
        "--host",
        "web-1",
        "--since",
        "1m",
        "--explain",
    ]);
    assert!(text.starts_with("logical_plan:\n"), "{text}");
    assert!(text.contains("reads 1 of 3 files"), "{text}");
}

#[test]
fn a_file_without_its_end_is_named_and_left_out() {
    let place = Place::new("cut");
    fill(&place);
    let path = write(
        &place,
        "web-3",
        DAY,
        StoreKind::Request,
        &[request(minute(60), "10.0.0.3", "GET", Some(1))],
    );
    cut(&path);
    let run = place.run(&["SELECT count(*) AS n FROM requests", "-f", "csv"]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(3), "n\n6\n"),
        "{run:?}"
    );
    let named = format!(
        "tcplens: {}: damaged: ",
        path.canonicalize().unwrap().display()
    );
    assert!(run.err.starts_with(&named), "{run:?}");
    assert!(run.err.ends_with("; left out\n"), "{run:?}");
    assert_eq!(run.err.lines().count(), 1, "{run:?}");
    // Where it is not asked for, nothing is wrong.
    assert_eq!(
        place.csv("SELECT count(*) AS n FROM requests WHERE host = 'db 2'"),
        "n\n1\n"
    );
}

#[test]
fn a_file_with_a_damaged_page_is_found_and_left_out() {
    let place = Place::new("page");
    fill(&place);
    let requests: Vec<_> = (0..5000)
        .map(|n| {
            request(
                minute(n % 60),
                "10.0.0.3",
                "GET",
                Some(n as u64 * 7919 % 100_003),
            )
        })
        .collect();
    let path = write(&place, "web-3", DAY, StoreKind::Request, &requests);
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    // Pages come first: everything up to the footer, which is some KB.
    for byte in &mut bytes[4..length / 2] {
        *byte ^= 0x55;
    }
    fs::write(&path, bytes).unwrap();
    let run = place.run(&[
        "SELECT count(total_us) AS n, max(total_us) AS most FROM requests",
        "-f",
        "csv",
    ]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(3), "n,most\n5,3000\n"),
        "{run:?}"
    );
    assert!(run.err.contains("web_3-"), "{run:?}");
    assert!(run.err.ends_with("; left out\n"), "{run:?}");
}

#[test]
fn a_file_with_another_name_is_told() {
    let place = Place::new("name");
    fill(&place);
    let path = place.path("store/kind=request/date=2026-11-21/mine.parquet");
    fs::write(&path, b"PAR1").unwrap();
    fs::write(
        place.path("store/kind=request/date=2026-11-21/x.parquet.part"),
        b"",
    )
    .unwrap();
    let run = place.run(&["SELECT count(*) AS n FROM requests", "-f", "csv"]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(3), "n\n6\n"),
        "{run:?}"
    );
    assert!(
        run.err
            .contains("mine.parquet: its name is not one of a store's files; left out"),
        "{run:?}"
    );
}

#[test]
fn a_file_of_an_older_schema_lacks_values_not_rows() {
    let place = Place::new("older");
    let directory = place.path("store/kind=request/date=2026-11-21");
    fs::create_dir_all(&directory).unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("host", DataType::Utf8, true),
        Field::new("status", DataType::Utf8, true),
        Field::new("task", DataType::Int64, true),
        Field::new("of_another_time", DataType::Int64, true),
    ]));
    let texts = |text: &str| Arc::new(StringArray::from(vec![text, text]));
    let numbers = || Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![texts("old"), texts("ok"), numbers(), numbers()],
    )
    .unwrap();
    let file = File::create(directory.join("old-20261121T010000000000000Z-00001.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    write(
        &place,
        "new",
        DAY,
        StoreKind::Request,
        &[request(minute(0), "10.0.0.1", "GET", Some(1))],
    );
    assert_eq!(
        place.csv("SELECT host, status, task, total_us, date FROM requests ORDER BY host, task"),
        "host,status,task,total_us,date\nnew,ok,1,1,2026-11-21\nold,ok,1,,2026-11-21\nold,ok,2,,2026-11-21\n"
    );
}
