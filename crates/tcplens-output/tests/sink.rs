//! Destinations: what is on disk afterwards, and what the user is told when something fails.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use tcplens_core::record::Handshake;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::units::Rotate;
use tcplens_output::{MachineFormat, RecordWriter, Sink, SinkEnd};

/// An empty directory for one test.
fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    fs::create_dir_all(&path).unwrap();
    path
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn write(path: &Path, rotate: Option<&str>, format: MachineFormat, records: &[Handshake]) {
    let rotate = rotate.map(|text| Rotate::parse(text).unwrap());
    let mut writer = RecordWriter::new(format, Sink::open(Some(path), rotate).unwrap());
    for record in records {
        writer.write(record).unwrap();
    }
    writer.finish().unwrap();
}

fn handshakes(n: u64) -> Vec<Handshake> {
    (0..n).map(sample::handshake).collect()
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("zst") => zstd::Decoder::new(&bytes[..])
            .unwrap()
            .read_to_string(&mut text)
            .unwrap(),
        Some("gz") => flate2::read::GzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap(),
        _ => (&bytes[..]).read_to_string(&mut text).unwrap(),
    };
    text
}

#[test]
fn a_suffix_compresses_and_the_text_is_the_same() {
    let directory = directory("compress");
    let records = handshakes(2_000);
    for name in ["plain.jsonl", "small.jsonl.zst", "small.jsonl.gz"] {
        write(&directory.join(name), None, MachineFormat::Jsonl, &records);
    }
    let plain = read(&directory.join("plain.jsonl"));
    assert_eq!(plain.lines().count(), 2_000);
    for name in ["small.jsonl.zst", "small.jsonl.gz"] {
        assert_eq!(read(&directory.join(name)), plain);
        assert!(
            fs::metadata(directory.join(name)).unwrap().len() < plain.len() as u64 / 5,
            "{name}"
        );
    }
}

#[test]
fn rotation_by_size_cuts_between_records_and_repeats_the_header() {
    let directory = directory("size");
    let records = handshakes(100);
    write(
        &directory.join("all.csv"),
        None,
        MachineFormat::Csv,
        &records,
    );
    write(
        &directory.join("h.csv"),
        Some("8k"),
        MachineFormat::Csv,
        &records,
    );
    let all = read(&directory.join("all.csv"));
    let (header, lines) = all.split_once('\n').unwrap();
    let names: Vec<_> = names(&directory)
        .into_iter()
        .filter(|name| name.starts_with("h-"))
        .collect();
    assert_eq!(names, ["h-00001.csv", "h-00002.csv", "h-00003.csv"]);
    let mut joined = String::new();
    for name in &names {
        let text = read(&directory.join(name));
        assert!(text.len() < 8192 + 512, "{name}: {}", text.len());
        let (own_header, own_lines) = text.split_once('\n').unwrap();
        assert_eq!(own_header, header);
        joined.push_str(own_lines);
    }
    assert_eq!(joined, lines);
}

#[test]
fn numbers_go_on_after_the_highest_and_nothing_is_overwritten() {
    let directory = directory("continue");
    fs::write(directory.join("r-00007.jsonl"), "precious").unwrap();
    fs::write(directory.join("r-00100.jsonl.zst"), "of another series").unwrap();
    fs::write(directory.join("r-9.jsonl"), "not of the series").unwrap();
    write(
        &directory.join("r.jsonl"),
        Some("1M"),
        MachineFormat::Jsonl,
        &handshakes(1),
    );
    assert_eq!(
        names(&directory),
        [
            "r-00007.jsonl",
            "r-00008.jsonl",
            "r-00100.jsonl.zst",
            "r-9.jsonl"
        ]
    );
    assert_eq!(read(&directory.join("r-00007.jsonl")), "precious");
    assert_eq!(read(&directory.join("r-00008.jsonl")).lines().count(), 1);
}

#[test]
fn rotation_by_time_follows_the_latest_packet_time() {
    let directory = directory("time");
    let minutes = [0, 9, 10, 3, 19, 20, 45];
    let records: Vec<_> = minutes
        .iter()
        .map(|minute| Handshake {
            time: Timestamp(minute * 60 * SECOND),
            ..sample::handshake(0)
        })
        .collect();
    write(
        &directory.join("r.jsonl.zst"),
        Some("10m"),
        MachineFormat::Jsonl,
        &records,
    );
    let counts: Vec<_> = names(&directory)
        .iter()
        .map(|name| (name.clone(), read(&directory.join(name)).lines().count()))
        .collect();
    let expected = [
        ("r-00001.jsonl.zst", 2),
        ("r-00002.jsonl.zst", 3),
        ("r-00003.jsonl.zst", 1),
        ("r-00004.jsonl.zst", 1),
    ];
    assert_eq!(
        counts,
        expected.map(|(name, lines)| (name.to_owned(), lines))
    );
}

#[test]
fn compressed_files_rotate_by_their_size_on_disk() {
    let directory = directory("size_on_disk");
    write(
        &directory.join("r.jsonl.gz"),
        Some("200k"),
        MachineFormat::Jsonl,
        &handshakes(20_000),
    );
    let names = names(&directory);
    assert!(names.len() >= 2, "{names:?}");
    for name in &names[..names.len() - 1] {
        let size = fs::metadata(directory.join(name)).unwrap().len();
        assert!((200 << 10..300 << 10).contains(&size), "{name}: {size}");
    }
    let lines: usize = names
        .iter()
        .map(|name| read(&directory.join(name)).lines().count())
        .sum();
    assert_eq!(lines, 20_000);
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end() {
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let mut writer = RecordWriter::new(
        MachineFormat::Jsonl,
        Sink::from_writer("the test's pipe", Box::new(pipe)),
    );
    writer.write(&sample::handshake(0)).unwrap();
    let end = writer.flush().unwrap_err();
    assert!(
        matches!(&end, SinkEnd::Closed { name } if name == "the test's pipe"),
        "{end}"
    );
}

#[test]
fn flush_hands_over_what_was_written() {
    let path = directory("flush").join("r.jsonl");
    let mut writer =
        RecordWriter::new(MachineFormat::Jsonl, Sink::open(Some(&path), None).unwrap());
    writer.write(&sample::handshake(0)).unwrap();
    writer.write(&sample::connection(0)).unwrap();
    assert_eq!(read(&path), "");
    writer.flush().unwrap();
    assert_eq!(read(&path).lines().count(), 2);
}

#[test]
fn failures_say_what_to_do() {
    let directory = directory("failures");
    let name = directory.display().to_string();
    for (path, rotate, expected) in [
        (
            directory.join("none/r.jsonl"),
            None,
            format!(
                "cannot create {name}/none/r.jsonl for output: no such file or directory; make the directory first, or \
                 choose another with -o"
            ),
        ),
        (
            directory.join("none/r.jsonl"),
            Some(Rotate::Size(1)),
            format!(
                "cannot create {name}/none/r.jsonl for output: no such file or directory; make the directory first, or \
                 choose another with -o"
            ),
        ),
        (
            directory.clone(),
            None,
            format!("cannot create {name} for output: is a directory; name a file in it with -o"),
        ),
        (
            PathBuf::from("/"),
            Some(Rotate::Size(1)),
            "cannot rotate /: it is not the name of a file; write something like -o records.jsonl"
                .into(),
        ),
        (
            PathBuf::from("-"),
            Some(Rotate::Size(1)),
            "cannot rotate standard output: it is not a file; name one with -o FILE".into(),
        ),
    ] {
        let error = Sink::open(Some(&path), rotate)
            .err()
            .map(|error| error.to_string());
        assert_eq!(error, Some(expected));
    }
    let mut sink = Sink::open(Some(Path::new("/dev/full")), None).unwrap();
    sink.write(b"a line\n").unwrap();
    assert_eq!(
        sink.finish().map_err(|end| end.to_string()),
        Err("cannot write output to /dev/full: no space left on device; what was written so far is kept; make room, \
             or write elsewhere with -o"
            .into())
    );
}

#[test]
fn a_writer_can_be_given_to_a_thread() {
    fn check<T: Send>(_: &T) {}
    check(&RecordWriter::new(
        MachineFormat::Csv,
        Sink::from_writer("memory", Box::new(Vec::new())),
    ));
}
