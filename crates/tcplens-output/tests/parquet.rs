//! Parquet, as the crate's own reader reads it: every kind, value by value. Another engine reads the binary's files in
//! crates/tcplens/tests/cli/parquet.rs.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;

use ::parquet::basic::{LogicalType, Repetition};
use ::parquet::data_type::Decimal;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field as Read;
use proptest::prelude::*;
use tcplens_core::record::{
    Connection, ConnectionId, Field, Finding, FirstFrame, Handshake, Health, Record, Request,
    Socket, Visitor,
};
use tcplens_core::socket::message::{HEAD, kind, push_attribute};
use tcplens_core::socket::{Context, Message, map};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::jsonl::Jsonl;
use tcplens_output::parquet::{GROUP_ROWS, ParquetFile, ParquetFiles, ParquetLines};

/// A value of any record: its field declares what it is.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Absent,
    Number(i128),
    /// In ns.
    Span(u64),
    Text(String),
    Flag(bool),
    Counts(Vec<(String, Option<i128>)>),
    List(Vec<Option<i128>>),
    Frames(Vec<[Option<i128>; 3]>),
}

/// What a record says of itself.
#[derive(Default)]
struct Oracle(Vec<(&'static str, Value)>);

impl Oracle {
    fn put(&mut self, field: &'static Field, value: Option<Value>) {
        self.0.push((field.name, value.unwrap_or(Value::Absent)));
    }
}

fn held(value: u64) -> Option<i128> {
    i64::try_from(value).ok().map(i128::from)
}

impl Visitor for Oracle {
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        self.put(field, value.and_then(held).map(Value::Number));
    }
    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        let value = value.map(Span::ns).filter(|&ns| ns < 10_u64.pow(18));
        self.put(field, value.map(Value::Span));
    }
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        // This reader shows nanoseconds as what they are stored as.
        self.put(field, value.map(|at| Value::Number(at.0.into())));
    }
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        self.put(field, value.map(|ip| Value::Text(ip.to_string())));
    }
    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        self.text(field, value);
    }
    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        self.put(field, value.map(Value::Flag));
    }
    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        self.put(field, value.map(|text| Value::Text(text.into())));
    }
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>) {
        let text = value.map(|id| String::from_utf8(id.text().to_vec()).unwrap());
        self.text(field, text.as_deref());
    }
    fn counts(&mut self, field: &'static Field, value: &[(&'static str, u64)]) {
        let pairs = value.iter().map(|&(reason, n)| (reason.into(), held(n)));
        let counts = (!value.is_empty()).then(|| Value::Counts(pairs.collect()));
        self.put(field, counts);
    }
    fn list(&mut self, field: &'static Field, value: &[u64]) {
        let numbers = value.iter().map(|&n| held(n)).collect();
        self.put(field, (!value.is_empty()).then_some(Value::List(numbers)));
    }
    fn frames(&mut self, field: &'static Field, value: &[FirstFrame]) {
        let frame = |frame: &FirstFrame| {
            [Some(frame.threshold_bytes), frame.bytes, frame.us].map(|value| value.and_then(held))
        };
        let frames = value.iter().map(frame).collect();
        self.put(field, (!value.is_empty()).then_some(Value::Frames(frames)));
    }
}

fn told<R: Record>(record: &R) -> Vec<(&'static str, Value)> {
    let mut oracle = Oracle::default();
    record.visit(&mut oracle);
    oracle.0
}

fn number(read: &Read) -> Option<i128> {
    match read {
        Read::Long(n) => Some((*n).into()),
        Read::Null => None,
        other => panic!("{other:?}"),
    }
}

fn value(read: &Read) -> Value {
    match read {
        Read::Null => Value::Absent,
        Read::Bool(flag) => Value::Flag(*flag),
        Read::Long(n) => Value::Number((*n).into()),
        Read::Str(text) => Value::Text(text.clone()),
        Read::Decimal(Decimal::Int64 {
            value,
            precision: 18,
            scale: 3,
        }) => Value::Span(u64::from_be_bytes(*value)),
        Read::MapInternal(map) => Value::Counts(
            map.entries()
                .iter()
                .map(|(key, count)| match key {
                    Read::Str(key) => (key.clone(), number(count)),
                    other => panic!("{other:?}"),
                })
                .collect(),
        ),
        Read::ListInternal(list) => match list.elements() {
            elements if matches!(elements.first(), Some(Read::Group(_))) => Value::Frames(
                elements
                    .iter()
                    .map(|element| match element {
                        Read::Group(row) => {
                            let parts: Vec<_> = row.get_column_iter().collect();
                            [0, 1, 2].map(|n: usize| number(parts[n].1))
                        }
                        other => panic!("{other:?}"),
                    })
                    .collect(),
            ),
            elements => Value::List(elements.iter().map(number).collect()),
        },
        other => panic!("{other:?}"),
    }
}

fn open(bytes: Vec<u8>) -> SerializedFileReader<bytes::Bytes> {
    SerializedFileReader::new(bytes.into()).unwrap()
}

fn written<R: Record>(records: &[R]) -> ParquetFile<Vec<u8>> {
    let mut file = ParquetFile::create::<R>(Vec::new()).unwrap();
    for record in records {
        file.push(record).unwrap();
    }
    file
}

fn round_trip<R: Record>(records: &[R]) {
    let reader = open(written(records).finish().unwrap());
    let meta = reader.metadata().file_metadata();
    assert_eq!(meta.schema_descr().root_schema().name(), R::KIND);
    let mut rows = reader.get_row_iter(None).unwrap();
    for record in records {
        let row = rows.next().unwrap().unwrap();
        let read: Vec<_> = row
            .get_column_iter()
            .map(|(name, read)| (name.clone(), value(read)))
            .collect();
        let told = told(record);
        assert_eq!(read.len(), told.len());
        for (read, told) in read.iter().zip(&told) {
            assert_eq!((read.0.as_str(), &read.1), (told.0, &told.1), "{}", R::KIND);
        }
    }
    assert!(rows.next().is_none());
}

/// A record of any kind whose values are made of random numbers, in its fields' order.
struct Made<R> {
    seeds: Vec<u64>,
    of: std::marker::PhantomData<R>,
}

impl<R: Record> Record for Made<R> {
    const KIND: &'static str = R::KIND;
    const DOC: &'static str = R::DOC;
    fn fields(each: &mut dyn FnMut(&'static Field)) {
        R::fields(each);
    }
    fn visit<V: Visitor>(&self, visitor: &mut V) {
        const WORDS: [&str; 4] = ["ok", "syn", "a word that is rather long", ""];
        let mut n = 0;
        R::fields(&mut |field| {
            n += 1;
            let seed = self.seeds[n % self.seeds.len()].wrapping_mul(n as u64 | 1);
            // A third is absent; sizes of all orders.
            let value = seed >> (seed % 64);
            let is_there = !seed.is_multiple_of(3);
            let some = is_there.then_some(value);
            let text = format!("text {} \u{fc}", value % 1000);
            match field.kind {
                "count" => visitor.count(field, some),
                "span" => visitor.span(field, some.map(Span::from_ns)),
                "time" => visitor.time(field, some.map(|ns| Timestamp(ns as i64))),
                "ip" => visitor.ip(
                    field,
                    some.map(|bits| match bits % 2 {
                        0 => IpAddr::from((bits as u32).to_be_bytes()),
                        _ => IpAddr::from((u128::from(bits) << 64 | 5).to_be_bytes()),
                    }),
                ),
                "word" => visitor.word(field, some.map(|n| WORDS[n as usize % 4])),
                "flag" => visitor.flag(field, some.map(|n| n % 2 == 0)),
                "text" => visitor.text(field, some.map(|_| text.as_str())),
                "id" => visitor.id(
                    field,
                    some.map(|bits| match bits % 2 {
                        0 => ConnectionId::Packets {
                            first: Timestamp(bits as i64),
                            flow: seed as u32,
                        },
                        _ => ConnectionId::Socket {
                            cookie: bits,
                            host: seed as u32,
                        },
                    }),
                ),
                "counts" => {
                    let pairs = WORDS.map(|word| (word, value));
                    visitor.counts(field, &pairs[..seed as usize % 5]);
                }
                "list" => visitor.list(field, &[value, seed, 0, 7][..seed as usize % 5]),
                "frames" => {
                    let frame = FirstFrame {
                        threshold_bytes: value,
                        bytes: some,
                        us: some.filter(|n| n % 2 == 0),
                    };
                    visitor.frames(field, &[frame; 3][..seed as usize % 4]);
                }
                other => panic!("a new type of value: {other}"),
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_written_is_read_whatever_the_kind(
        rows in prop::collection::vec(prop::collection::vec(any::<u64>(), 1..9), 0..40),
    ) {
        fn check<R: Record>(rows: &[Vec<u64>]) {
            let made = |seeds: &Vec<u64>| Made::<R> { seeds: seeds.clone(), of: std::marker::PhantomData };
            round_trip(&rows.iter().map(made).collect::<Vec<_>>());
        }
        check::<Handshake>(&rows);
        check::<Request<'_>>(&rows);
        check::<Connection>(&rows);
        check::<Finding>(&rows);
        check::<Health>(&rows);
    }
}

#[test]
fn typical_records_are_read_as_they_were_through_full_dictionaries() {
    let handshakes: Vec<_> = (0..20_000).map(sample::handshake).collect();
    round_trip(&handshakes);
    let connections: Vec<_> = (0..3_000).map(sample::connection).collect();
    round_trip(&connections);
}

#[test]
fn all_columns_are_optional_and_their_types_signed() {
    fn check<R: Record>() {
        let reader = open(written::<R>(&[]).finish().unwrap());
        let schema = reader.metadata().file_metadata().schema();
        let mut names = Vec::new();
        R::fields(&mut |field| names.push(field.name));
        let columns = schema.get_fields();
        let found: Vec<_> = columns.iter().map(|column| column.name()).collect();
        assert_eq!(found, names);
        for column in columns {
            let info = column.get_basic_info();
            assert_eq!(info.repetition(), Repetition::OPTIONAL);
            let logical = info.logical_type_ref();
            assert!(!matches!(logical, Some(LogicalType::Integer(_))));
        }
    }
    check::<Handshake>();
    check::<Request<'_>>();
    check::<Connection>();
    check::<Finding>();
    check::<Health>();
}

#[test]
fn what_a_column_cannot_hold_is_absent_and_counted() {
    let mut handshake = sample::handshake(0);
    handshake.first_frame = Some(u64::MAX);
    handshake.wait_us = Some(Span::from_ns(10_u64.pow(18)));
    handshake.handshake_us = Some(Span::from_ns(10_u64.pow(18) - 1));
    let file = written(std::slice::from_ref(&handshake));
    assert_eq!(file.left_out(), 2);
    round_trip(&[handshake]);
}

#[test]
fn the_metadata_tell_kind_and_versions() {
    let reader = open(written(&[sample::handshake(0)]).finish().unwrap());
    let meta = reader.metadata().file_metadata();
    let pairs = meta.key_value_metadata().unwrap();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap()))
        .collect();
    let expected = [
        ("kind", "handshake"),
        ("schema_version", "1"),
        ("tcplens_version", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn memory_is_bounded_by_row_groups() {
    let record = sample::handshake(5);
    let mut file = ParquetFile::create::<Handshake>(Vec::new()).unwrap();
    for _ in 0..GROUP_ROWS - 1 {
        file.push(&record).unwrap();
    }
    let (_, waiting) = file.size();
    assert!(waiting > 0);
    file.push(&record).unwrap();
    assert_eq!(file.size().1, 0, "a full row group is written at once");
    file.push(&record).unwrap();
    assert_eq!(file.count(), GROUP_ROWS as u64 + 1);
    let reader = open(file.finish().unwrap());
    assert_eq!(reader.metadata().num_row_groups(), 2);
}

#[test]
fn large_texts_end_a_row_group_before_it_has_all_rows() {
    let finding = |n: u64| Finding {
        text: Some(format!("{n}{}", "x".repeat(200_000))),
        ..Finding::new(n, "large", 1, tcplens_core::record::Suspect::Capture)
    };
    let records: Vec<_> = (0..600).map(finding).collect();
    let reader = open(written(&records).finish().unwrap());
    assert_eq!(reader.metadata().num_row_groups(), 2);
}

#[test]
fn another_kind_is_refused() {
    let mut file = ParquetFile::create::<Handshake>(Vec::new()).unwrap();
    assert!(file.push(&sample::connection(0)).is_err());
}

/// A directory of one test.
fn place(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tcplens-parquet-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn names(place: &PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(place).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_has_its_name_when_it_is_complete_and_nothing_is_left_of_others() {
    let place = place("aside");
    let mut files = ParquetFiles::open(&place.join("a.parquet"), false).unwrap();
    files.write(&sample::handshake(0)).unwrap();
    assert_eq!(names(&place), ["a.parquet.part"]);
    let refused = files.write(&sample::connection(0)).unwrap_err();
    assert!(refused.to_string().contains("-o DIR/"), "{refused}");
    files.finish().unwrap();
    assert_eq!(names(&place), ["a.parquet"]);
    let mut files = ParquetFiles::open(&place.join("b.parquet"), false).unwrap();
    files.expect::<Handshake>().unwrap();
    drop(files);
    assert_eq!(names(&place), ["a.parquet"]);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn what_is_in_the_place_of_an_incomplete_file_goes_and_a_link_is_not_followed() {
    let place = place("link");
    let victim = place.join("victim");
    std::fs::write(&victim, b"of somebody else").unwrap();
    std::os::unix::fs::symlink(&victim, place.join("a.parquet.part")).unwrap();
    std::fs::write(place.join("b.parquet.part"), b"of a run that was killed").unwrap();
    for name in ["a.parquet", "b.parquet"] {
        let mut files = ParquetFiles::open(&place.join(name), false).unwrap();
        files.write(&sample::handshake(0)).unwrap();
        files.finish().unwrap();
    }
    assert_eq!(names(&place), ["a.parquet", "b.parquet", "victim"]);
    assert_eq!(std::fs::read(&victim).unwrap(), b"of somebody else");
    let kinds = ["a.parquet", "b.parquet"].map(|name| {
        let file = std::fs::symlink_metadata(place.join(name)).unwrap();
        (file.is_file(), file.len() > 100)
    });
    assert_eq!(kinds, [(true, true); 2]);
    // What is no file is not taken away.
    std::fs::create_dir(place.join("c.parquet.part")).unwrap();
    let mut files = ParquetFiles::open(&place.join("c.parquet"), false).unwrap();
    let refused = files.write(&sample::handshake(0)).unwrap_err().to_string();
    assert!(refused.contains("c.parquet.part"), "{refused}");
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_directory_has_a_file_for_each_kind() {
    let place = place("kinds");
    let directory = place.join("new");
    let mut files = ParquetFiles::open(&directory, true).unwrap();
    files.write(&sample::handshake(0)).unwrap();
    files.write(&sample::connection(0)).unwrap();
    files.expect::<Health>().unwrap();
    files.finish().unwrap();
    let expected = ["connection.parquet", "handshake.parquet", "health.parquet"];
    assert_eq!(names(&directory), expected);
    std::fs::remove_dir_all(place).unwrap();
}

/// Records as lines of a file that may be damaged.
fn lines_of(bytes: &[u8]) -> std::io::Result<String> {
    let file = bytes::Bytes::copy_from_slice(bytes);
    let mut lines = ParquetLines::open::<Socket<'_>>(file)?;
    let mut text = String::new();
    // A file of ours has no more.
    std::io::Read::by_ref(&mut lines)
        .take(1 << 20)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn rows_come_back_as_the_lines_of_json_that_they_are() {
    let (mut file, mut lines) = (
        ParquetFile::create::<Socket<'_>>(Vec::new()).unwrap(),
        Jsonl::new(),
    );
    for round in 0..3_u8 {
        let mut message = vec![round; HEAD];
        message[0] = 2;
        // Of its larger numbers some do not fit.
        let info = [[round; 104].as_slice(), &[0; 176]].concat();
        push_attribute(&mut message, kind::INFO, &info);
        push_attribute(&mut message, kind::CONG, b"cub\"ic\0");
        let context = Context {
            time: Timestamp(1_795_222_357_000_000_001 + i64::from(round)),
            ..Context::default()
        };
        let record = map::socket(Message::new(&message).unwrap(), &context);
        file.push(&record).unwrap();
        lines.encode(&record);
    }
    assert_eq!(file.left_out(), 0);
    let whole = file.finish().unwrap();
    // `null` and absent are alike.
    let present = |line: &str| {
        let mut line: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        line.retain(|_, value| !value.is_null());
        line
    };
    let got = lines_of(&whole).unwrap();
    let expected = String::from_utf8(lines.bytes().to_vec()).unwrap();
    assert_eq!(got.lines().count(), 3);
    for (got, expected) in got.lines().zip(expected.lines()) {
        assert_eq!(present(got), present(expected));
    }
    // However it is damaged, it is read or refused.
    let step = if std::env::var_os("TCPLENS_ALL_DAMAGES").is_some() {
        1
    } else {
        211
    };
    for at in (0..whole.len()).step_by(step) {
        for mask in [0xff, 0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= mask;
            let _ = lines_of(&damaged);
        }
        let _ = lines_of(&whole[..at]);
    }
}
