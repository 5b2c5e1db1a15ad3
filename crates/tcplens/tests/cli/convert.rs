//! `convert`: archives of sockets from one format to another.

use std::fs;
use std::path::{Path, PathBuf};

use super::Place;

/// Two lines of an archive: metadata, and a socket of Linux 6.18 (10.10.0.1:5001 to 10.10.0.2:20001, cookie 0x1007).
const ARCHIVE: &str = r#"{"Timestamp":"0001-01-01T00:00:00Z","Metadata":{"UUID":"host_1795222357_unsafe_0000000000001007","Sequence":0,"StartTime":"2026-11-21T01:07:22.384589048Z"}}
{"Timestamp":"2026-11-21T01:07:22.384589048Z","RawIDM":"AgEAABOJTiEKCgABAAAAAAAAAAAAAAAACgoAAgAAAAAAAAAAAAAAAAAAAAAHEAAAAAAAAAAAAAAAAAAAAAAAAAAAAACK3gEA","Attributes":[null,"AAAAAAAAAAAAAAAAAAAAAA==","AQAAAAAHqgHgHAMAQJwAAACAAADoAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA//8AAB0SAQAvAAAAGwAAAP///38LAAAAy/8AAAMAAAAAAAAAy/8AAAAAAAAAcm9zBQAAAP//////////yAAAAAAAAADoAwAAAAAAAAIAAAAEAAAAAAAAAAQAAAABAAAAAQAAAAAAAOgBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAAAAAADIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAUAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",null,"YmJyAA==","AA==",null,"AAAAAAAAAgAAAAAAAB48AAAAAAAAAAAAAAAAAAAAAAAAAAAA","AA==",null,null,null,null,null,null,"AAAAAA==","AAAA6AEAAAAEAAAA4wIAAOMCAAA=","AAAAAA==",null,null,null,"AQAAAAAAAAA=","UgA="]}
"#;

const NAME: &str = "2026/11/21/host_1795222357_unsafe_0000000000001007.00000.jsonl.zst";

fn golden() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/tcp-info");
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED: no {}", path.display());
    None
}

fn unpacked(path: &Path) -> String {
    let bytes = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_archive_becomes_records_and_they_become_the_archive() {
    let place = Place::new("convert-back");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    let records = place.run(&["convert", "a.jsonl"]);
    records.is_quiet_success();
    assert!(
        records
            .out
            .starts_with(r#"{"kind":"socket","time":"2026-11-21T01:07:22.384589048Z","#)
    );
    for part in [
        r#""uuid":"host_1795222357_unsafe_0000000000001007","sequence":0,"#,
        r#""state":"established","#,
        r#""local_ip":"10.10.0.1","local_port":5001,"remote_ip":"10.10.0.2","remote_port":20001,"#,
        r#""rtt_us":47,"#,
        r#""congestion":"bbr","#,
    ] {
        assert!(records.out.contains(part), "{part}: {}", records.out);
    }
    place.write("r.jsonl", records.out.as_bytes());
    let back = place.run(&["convert", "-f", "archive", "r.jsonl"]);
    back.is_quiet_success();
    assert_eq!(back.out, ARCHIVE);
    place
        .run(&["convert", "-f", "archive", "r.jsonl", "-o", "new/"])
        .is_quiet_success();
    assert_eq!(unpacked(&place.path("new").join(NAME)), ARCHIVE);
    // Files that are there stay as they are.
    let again = place.run(&["convert", "-f", "archive", "a.jsonl", "-o", "new/"]);
    again.ends(3, &["new/2026/11/21/", "File exists"]);
    let csv = place.run(&["convert", "-f", "csv", "new"]);
    csv.is_quiet_success();
    assert!(csv.out.lines().count() == 2 && csv.out.starts_with("kind,time,vantage,"));
}

#[test]
fn real_archives_come_back_from_records_as_they_were() {
    let Some(golden) = golden() else { return };
    let place = Place::new("convert-golden");
    let mut count = 0;
    for directory in ["own", "upstream"] {
        for file in fs::read_dir(golden.join(directory)).unwrap() {
            let path = file.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            // Without times there are no records.
            if !name.ends_with(".jsonl.zst") || name.contains("archiveRecords") {
                continue;
            }
            let records = place.run(&["convert", &name]);
            records.is_quiet_success();
            place.write("records.jsonl", records.out.as_bytes());
            let back = place.run(&["convert", "-f", "archive", "records.jsonl"]);
            back.is_quiet_success();
            // Records are in UTC: a time zone does not come back.
            let is_local = name.contains("finwait2");
            let kept = |line: &str| match line.split_once(",\"RawIDM\"") {
                Some((_, rest)) if is_local => rest.to_owned(),
                None if is_local => String::new(),
                _ => line.to_owned(),
            };
            let (got, expected): (Vec<_>, Vec<_>) = (
                back.out.lines().map(kept).collect(),
                unpacked(&path).lines().map(kept).collect(),
            );
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got, expected, "{name}");
            }
            assert_eq!(got.len(), expected.len(), "{name}");
            count += 1;
        }
    }
    assert!(count >= 21, "{count}");
}

#[cfg(feature = "parquet")]
#[test]
fn real_archives_come_back_from_parquet_as_from_json_lines() {
    let place = Place::new("convert-parquet");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    let mut inputs = vec!["a.jsonl".to_owned()];
    if let Some(golden) = golden() {
        for directory in ["own", "upstream"] {
            let files = fs::read_dir(golden.join(directory)).unwrap();
            let paths = files.map(|file| file.unwrap().path().to_string_lossy().into_owned());
            inputs.extend(
                paths.filter(|name| {
                    name.ends_with(".jsonl.zst") && !name.contains("archiveRecords")
                }),
            );
        }
    }
    for name in &inputs {
        let records = place.run(&["convert", name]);
        place.write("records.jsonl", records.out.as_bytes());
        place
            .run(&["convert", name, "-f", "parquet", "-o", "records.parquet"])
            .is_quiet_success();
        for format in ["jsonl", "archive"] {
            let expected = place.run(&["convert", "-f", format, "records.jsonl"]);
            let got = place.run(&["convert", "-f", format, "records.parquet"]);
            got.is_quiet_success();
            assert!(!got.out.is_empty());
            for (got, expected) in got.out.lines().zip(expected.out.lines()) {
                assert_eq!(got, expected, "{name}");
            }
            assert_eq!(got.out.len(), expected.out.len(), "{name}");
        }
    }
}

#[cfg(feature = "parquet")]
#[test]
fn what_is_no_whole_parquet_file_of_sockets_is_told() {
    let place = Place::new("convert-parquet-bad");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    let convert = ["convert", "a.jsonl", "-f", "parquet"];
    let to_stdout = place.run(&convert);
    to_stdout.ends(2, &["Parquet is for files, not for standard output"]);
    let compressed = place.run(&[&convert[..], &["-o", "a.parquet.zst"]].concat());
    compressed.ends(2, &["Parquet is compressed inside"]);
    let whole = place.run(&[&convert[..], &["-o", "a.parquet"]].concat());
    whole.is_quiet_success();
    let bytes = fs::read(place.path("a.parquet")).unwrap();
    place.write("half.parquet", &bytes[..bytes.len() / 2]);
    let half = place.run(&["convert", "half.parquet"]);
    half.ends(1, &["cannot read half.parquet"]);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/shop.pcap");
    let sample = sample.to_str().unwrap();
    place
        .run(&[
            "handshakes",
            "-q",
            sample,
            "-f",
            "parquet",
            "-o",
            "h.parquet",
        ])
        .is_quiet_success();
    let other = place.run(&["convert", "h.parquet"]);
    other.ends(
        1,
        &[
            "cannot read h.parquet",
            "it holds handshake, not records socket",
        ],
    );
}

#[test]
fn csvtools_table_comes_out_to_the_byte_and_one_of_a_directory_has_one_header() {
    let place = Place::new("convert-csv");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    let compat = place.run(&["convert", "-f", "tcp-info-csv", "--compat", "a.jsonl"]);
    compat.is_quiet_success();
    let lines: Vec<_> = compat.out.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("2009-05-29T23:59:59Z,0,0,,,"));
    assert!(lines[2].starts_with("2026-11-21T01:07:22.384589048Z,3260635,3145730,2,1,0,0,5001,20001,10.10.0.1,10.10.0.2,0,1007,"));
    place.write(
        "b.jsonl",
        ARCHIVE.replace("Sequence\":0", "Sequence\":1").as_bytes(),
    );
    place.write("notes.txt", b"no archive");
    let all = place.run(&["convert", "-f", "tcp-info-csv", ".", "-o", "all.csv"]);
    all.is_quiet_success();
    let all = fs::read_to_string(place.path("all.csv")).unwrap();
    let begin: Vec<_> = all
        .lines()
        .map(|line| line.split(',').nth(1).unwrap())
        .collect();
    assert_eq!(begin, ["Sequence", "0", "1"]);
    let Some(golden) = golden() else { return };
    let archive =
        golden.join("upstream/finwait2-sample_1554836592_unsafe_000000000135A272.00000.jsonl.zst");
    let archive = archive.to_string_lossy();
    let run = place.run(&["convert", "-f", "tcp-info-csv", "--compat", &archive]);
    run.is_quiet_success();
    let expected = fs::read_to_string(golden.join("upstream/csvtool-finwait2.csv")).unwrap();
    assert!(run.out == expected);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let place = Place::new("convert-bad");
    place.write(
        "bad.jsonl",
        format!("{ARCHIVE}{{\n{ARCHIVE}{{}}\n").as_bytes(),
    );
    let bad = place.run(&["convert", "-f", "archive", "bad.jsonl"]);
    bad.ends(
        3,
        &["2 lines could not be read; the first: bad.jsonl, line 3: no JSON object"],
    );
    assert_eq!(bad.out, ARCHIVE.repeat(2));
    let frame = zstd::encode_all(ARCHIVE.as_bytes(), 3).unwrap();
    place.write("torn.jsonl.zst", &[&frame[..], &frame[..40]].concat());
    let torn = place.run(&["convert", "-f", "archive", "torn.jsonl.zst"]);
    torn.ends(
        3,
        &["the end of 1 file was torn off; the first: torn.jsonl.zst, line 2: "],
    );
    assert_eq!(torn.out, ARCHIVE);
    place.write("no.jsonl", b"garbage\n");
    place
        .run(&["convert", "no.jsonl"])
        .ends(1, &["no.jsonl, line 1: no JSON object"]);
    place
        .run(&["convert", "gone.jsonl"])
        .ends(1, &["cannot read gone.jsonl", "No such file"]);
    place.write("a.jsonl", ARCHIVE.as_bytes());
    let one = place.run(&["convert", "a.jsonl", "gone.jsonl"]);
    one.ends(3, &["cannot read gone.jsonl", "1 of 2 files failed"]);
    assert_eq!(one.out.lines().count(), 1);
    let empty = place.run_with_stdin(&["convert", "-f", "tcp-info-csv", "-"], b"");
    empty.is_quiet_success();
    assert_eq!(empty.out.lines().count(), 1);
}

#[test]
fn a_file_that_is_there_costs_its_own_segment_and_attributes_without_a_place_are_told() {
    let place = Place::new("convert-there");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    let convert = ["convert", "-f", "archive", "-o", "new/"];
    place
        .run(&[&convert[..], &["a.jsonl"]].concat())
        .is_quiet_success();
    // The same, another one, and the same again; and one without a name.
    let other = ARCHIVE.replace("Sequence\":0", "Sequence\":1");
    let odd = ARCHIVE.replace("\"host_", "\"a/b_");
    let all = format!("{ARCHIVE}{other}{ARCHIVE}{odd}");
    place.write("all.jsonl", all.as_bytes());
    let run = place.run(&[&convert[..], &["all.jsonl"]].concat());
    run.ends(
        3,
        &[
            "3 segments not written; the first: new/2026/11/21/",
            "File exists",
        ],
    );
    let second = NAME.replace("00000.jsonl", "00001.jsonl");
    assert_eq!(unpacked(&place.path("new").join(second)), other);
    assert_eq!(unpacked(&place.path("new").join(NAME)), ARCHIVE);
    // Behind the kinds that there are: 64, of an array with so many places.
    let end = r#""UgA="]}"#;
    let more = format!("\"UgA=\"{}", ",null".repeat(41) + ",\"AA==\"]}");
    place.write("more.jsonl", ARCHIVE.replace(end, &more).as_bytes());
    for to in ["more", "more/"] {
        let run = place.run(&["convert", "-f", "archive", "more.jsonl", "-o", to]);
        run.ends(
            3,
            &["1 attribute left out: an archive has places for the kinds 0 to 63"],
        );
        if to == "more" {
            fs::remove_file(place.path(to)).unwrap();
        }
    }
}

#[test]
fn a_compressed_record_file_is_read_and_a_capture_is_called_what_it_is() {
    let place = Place::new("convert-compressed");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    place
        .run(&["convert", "a.jsonl", "-o", "plain.jsonl"])
        .ends(0, &[]);
    let plain = place.run(&["convert", "plain.jsonl"]);
    for name in ["records.jsonl.gz", "records.jsonl.zst"] {
        place.run(&["convert", "a.jsonl", "-o", name]).ends(0, &[]);
        let again = place.run(&["convert", name]);
        again.is_quiet_success();
        assert_eq!(again.out, plain.out, "{name}");
    }
    place.write(
        "shop.pcap",
        &[&[0xd4, 0xc3, 0xb2, 0xa1][..], &[0; 20]].concat(),
    );
    let capture = place.run(&["convert", "shop.pcap"]);
    capture.ends(1, &["shop.pcap", "it is a packet capture"]);
}

#[test]
fn addresses_are_cut_in_every_format() {
    let place = Place::new("convert-anonymize");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    for format in ["jsonl", "csv", "tcp-info-csv", "archive"] {
        let run = place.run(&[
            "convert",
            "-f",
            format,
            "--anonymize",
            "netblock",
            "a.jsonl",
            "-o",
            "cut",
        ]);
        run.is_quiet_success();
        let table = place.run(&["convert", "-f", "tcp-info-csv", "--compat", "cut"]);
        let text = match format {
            "archive" => table.out,
            _ => fs::read_to_string(place.path("cut")).unwrap(),
        };
        assert!(
            text.contains("10.10.0.0") && !text.contains("10.10.0.1"),
            "{text}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new("convert-usage");
    place.write("a.jsonl", ARCHIVE.as_bytes());
    fs::create_dir(place.path("empty")).unwrap();
    for (words, said) in [
        (&["convert"][..], "nothing to convert"),
        (&["convert", "-f", "xml", "a.jsonl"], "xml"),
        (
            &["convert", "--compat", "a.jsonl"],
            "--compat is for -f tcp-info-csv",
        ),
        (
            &["convert", "a.jsonl", "-o", "a.jsonl"],
            "it is read as a.jsonl",
        ),
        (&["convert", "a.jsonl", "-o", "empty"], "it is a directory"),
        (&["convert", "empty"], "no archive below empty"),
        (
            &[
                "convert",
                "-f",
                "archive",
                "a.jsonl",
                "--uuid-prefix",
                "a/b",
            ],
            "no file name should have",
        ),
    ] {
        place.run(words).ends(2, &[said]);
    }
    assert_eq!(fs::read_to_string(place.path("a.jsonl")).unwrap(), ARCHIVE);
}
