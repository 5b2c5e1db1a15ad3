//! What is read of every generation of archives, and of what is damaged.

use std::io::Cursor;

use proptest::prelude::*;
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::archive::csvtool::Shape;
use tcplens_output::archive::{Reader, Stamp};

use super::tools::{csv, lines, message};

/// A record of 2019, of tcp-info's own documentation.
const OF_2019: &str = r#"{"Timestamp":"2019-07-01T00:00:12.092Z","RawIDM":"CgEBAILDwkIAAAAAAAAAAAAA//8/8/BlAAAAAAAAAAAAAP//rPsXygAAAACELQYAAAAAAFYBAAAAAAAA5hcAAAAAAABZMC1W","Attributes":[null,"AAAAAPYkAAAKCwAAAAAAAA==","AQAAAAAGeACI4wcAQJwAALQFAAAYAgAABQAAAAAAAAAAAAAAAAAAAAAAAAAFAAAAAAAAAAgAAAAIAAAA3AUAAEB2AADDoAIAYVABAP///38KAAAAtAUAAAMAAAAAAAAAEHIAAAAAAABHlgIAAAAAAP//////////AAAAAAAAAAAFAgAAAAAAAAYAAAADAAAAAAAAAMOgAgABAAAABQAAAAAAAAAAAAAAiBMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAAAAADmFwAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",null,"Y3ViaWMA","AA==","AA==","AAAAAIB6BQAAAAAAALQAAAoLAAD2JAAAAAAAAAAAAAAAAAAA","AA=="]}
"#;

fn damage(text: &str) -> (u64, bool, String) {
    let (_, damage) = lines(text.into());
    (
        damage.lines,
        damage.is_torn,
        damage.first.unwrap_or_default(),
    )
}

#[test]
fn a_record_of_2019_is_read() {
    let mut reader = Reader::new(Cursor::new(OF_2019)).unwrap();
    let entry = reader.next().unwrap().unwrap();
    assert_eq!(
        entry.at,
        Stamp::from(Timestamp(1_561_939_212_092 * (SECOND / 1000)))
    );
    let message = entry.message.unwrap();
    assert_eq!(message.local(), ("63.243.240.101".parse().unwrap(), 33475));
    assert_eq!(message.remote(), ("172.251.23.202".parse().unwrap(), 49730));
    assert_eq!((message.cookie(), entry.places), (0x62d84, 9));
    assert_eq!(message.tcp_info().unwrap().rtt(), Some(172_227));
    assert_eq!(lines(OF_2019.into()).0, OF_2019);
}

#[test]
fn metadata_may_share_a_line_and_unknown_keys_are_passed_over() {
    let shared = OF_2019.replace(
        "]}\n",
        r#"],"Metadata":{"UUID":"x_1","Sequence":3,"StartTime":"2019-07-01T00:00:00-04:00","Host":{"Name":[1,{"a":"}"}]}},"New":[{},null,-1e9]}"#,
    );
    let mut reader = Reader::new(Cursor::new(shared)).unwrap();
    let entry = reader.next().unwrap().unwrap();
    let metadata = entry.metadata.unwrap();
    assert_eq!((metadata.uuid.as_str(), metadata.sequence), ("x_1", 3));
    assert_eq!(metadata.start_time.offset_minutes, -240);
    assert!(entry.message.is_some());
    assert!(reader.next().unwrap().is_none() && reader.damage().is_none());
}

#[test]
fn bad_lines_are_counted_and_the_first_is_named() {
    for (bad, why) in [
        ("{}", "neither Metadata nor RawIDM"),
        ("garbage", "no JSON object"),
        ("[1]", "no JSON object"),
        (r#"{"RawIDM":"AAAA"}"#, "RawIDM is not 72 bytes in base64"),
        (r#"{"Timestamp":"yesterday"}"#, "Timestamp is no time"),
        (
            r#"{"Attributes":["*"]}"#,
            "Attributes is no array of base64",
        ),
        (r#"{"Metadata":{"Sequence":-1}}"#, "Metadata is incomplete"),
        (r#"{"a":1} x"#, "no JSON object"),
    ] {
        let text = format!("{OF_2019}{bad}\n\n{OF_2019}{bad}\n{OF_2019}");
        assert_eq!(damage(&text), (2, false, format!("line 2: {why}")));
        assert_eq!(lines(text.into()).0, OF_2019.repeat(3), "{bad}");
    }
}

#[test]
fn a_line_has_any_length_up_to_16_mib() {
    let long = |length: usize| {
        let record = OF_2019.trim_end().strip_suffix('}').unwrap();
        format!("{record},\"Pad\":\"{}\"}}\n", "x".repeat(length))
    };
    assert_eq!(lines((long(1 << 20) + OF_2019).into()).0, OF_2019.repeat(2));
    let text = OF_2019.to_owned() + &long(16 << 20) + OF_2019;
    assert_eq!(lines(text.clone().into()).0, OF_2019.repeat(2));
    assert_eq!(
        damage(&text),
        (1, false, "line 2: longer than 16 MiB".into())
    );
}

#[test]
fn a_file_cut_anywhere_is_read_to_where_it_is_cut() {
    let text = OF_2019.repeat(2);
    for length in 0..text.len() {
        let (read, damage) = lines(text[..length].into());
        // A line that lacks only its end is one.
        let count = (length + 1) / OF_2019.len();
        assert_eq!(read, OF_2019.repeat(count), "{length}");
        assert_eq!(
            damage.is_torn,
            !matches!(length % OF_2019.len(), 0) && (length + 1) % OF_2019.len() != 0
        );
        assert_eq!(damage.lines, 0);
    }
    let frame = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for length in 1..frame.len() {
        let (read, damage) = lines(frame[..length].into());
        assert!(text.starts_with(&read));
        assert!(damage.is_torn || length < 4, "{length}");
    }
}

#[test]
fn raw_messages_are_read_and_cut_ones_told() {
    let socket = message(7, 1);
    let mut raw = Vec::new();
    for kind in [20_u16, 3, 20] {
        let length = u32::try_from(16 + socket.len()).unwrap();
        raw.extend_from_slice(&length.to_ne_bytes());
        raw.extend_from_slice(&kind.to_ne_bytes());
        raw.extend_from_slice(&[0; 10]);
        raw.extend_from_slice(&socket);
    }
    let (read, damage) = lines(raw.clone());
    assert!(read.lines().count() == 2 && damage.is_none());
    for length in 16..raw.len() {
        let (read, damage) = lines(raw[..length].to_vec());
        let whole = length / (raw.len() / 3);
        assert_eq!(read.lines().count(), whole.min(1), "{length}");
        assert_eq!(damage.is_torn, length % (raw.len() / 3) != 0);
    }
    raw[..4].copy_from_slice(&3_u32.to_ne_bytes());
    assert_eq!(lines(raw).0, "");
}

#[test]
fn the_corrected_csv_has_what_csvtool_gets_wrong() {
    let mut bytes = message(0x1007, 3);
    // IPv6, bytes 4 to 15 zero; bound to interface 3; scales 7 and 10, limited by the application, fast open failed.
    bytes[0] = 10;
    bytes[8..12].copy_from_slice(&[0xfd, 0, 0, 0x20]);
    bytes[40..44].copy_from_slice(&3_u32.to_ne_bytes());
    bytes[76 + 6] = 0xa7;
    bytes[76 + 7] = 0b101;
    bytes[76 + 112..76 + 120].fill(0xff);
    tcplens_core::socket::message::push_attribute(&mut bytes, 17, &0x10_0001_u32.to_ne_bytes());
    let mut raw = u32::try_from(16 + bytes.len())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    raw.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    raw.extend_from_slice(&bytes);
    let (line, _) = lines(raw);
    let metadata = r#"{"Timestamp":"0001-01-01T00:00:00Z","Metadata":{"UUID":"u_1","Sequence":4,"StartTime":"2026-11-21T01:07:22Z"}}"#;
    let line = line.replace("0001-01-01T00:00:00Z", "2026-11-21T03:07:22.5+02:00");
    let text = format!("{metadata}\n{line}");
    let table = |shape| {
        let csv = csv(shape, Cursor::new(text.clone()));
        let rows: Vec<Vec<String>> = csv
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        assert!(rows.iter().all(|row| row.len() == rows[0].len()));
        rows
    };
    let compat = table(Shape::Compat);
    assert_eq!((compat.len(), compat[0].len()), (3, 105));
    assert!(compat[1][0] == "2009-05-29T23:59:59Z" && compat[1][4].is_empty());
    let corrected = table(Shape::Corrected);
    assert_eq!((corrected.len(), corrected[0].len()), (2, 108));
    let mut names = corrected[0].clone();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 108, "every name once");
    for (name, wrong, right) in [
        ("UUID", None, "u_1"),
        ("Sequence", None, "4"),
        (
            "Timestamp",
            Some("2026-11-21T03:07:22.5+02:00"),
            "2026-11-21T01:07:22.5Z",
        ),
        ("IDM.SockID.Src", Some("253.0.0.32"), "fd00:20::"),
        ("IDM.SockID.Interface", Some("50331648"), "3"),
        ("CongestionAlgorithm", Some("bbr"), "bbr"),
        ("TOS", Some("0"), ""),
        ("ClassID", Some("1"), "1048577"),
        ("Shutdown", Some("0"), "0"),
        ("Mark", Some("0"), ""),
        ("TCP.WScale", Some("167"), ""),
        ("TCP.SndWScale", None, "7"),
        ("TCP.RcvWScale", None, "10"),
        ("TCP.AppLimited", Some("5"), "1"),
        ("TCP.SegsOut", Some("3"), "3"),
        ("TCP.MaxPacingRate", Some("-1"), ""),
        ("SKMemInfo.Sndbug", Some(""), ""),
        ("SKMemInfo.Sndbuf", None, ""),
        ("BBR.BW", Some(""), ""),
    ] {
        let cell = |table: &[Vec<String>]| {
            let column = table[0].iter().position(|other| other == name)?;
            Some(table.last().unwrap()[column].clone())
        };
        assert_eq!(cell(&compat).as_deref(), wrong, "{name}");
        assert_eq!(cell(&corrected).unwrap_or_default(), right, "{name}");
    }
}

#[test]
fn what_an_older_kernel_did_not_have_is_absent() {
    // 224 bytes of tcp_info, as Linux 4.19's; the fields behind are absent, to csvtool 0.
    let compat = csv(Shape::Compat, Cursor::new(OF_2019));
    let corrected = csv(Shape::Corrected, Cursor::new(OF_2019));
    let last = |csv: &str, name: &str| {
        let mut rows = csv.lines();
        let column = rows
            .next()
            .unwrap()
            .split(',')
            .position(|other| other == name);
        rows.next()
            .unwrap()
            .split(',')
            .nth(column.unwrap())
            .unwrap()
            .to_owned()
    };
    for (name, wrong, right) in [
        ("TCP.ReordSeen", "0", "0"),
        ("TCP.RcvOooPack", "0", ""),
        ("TCP.SndWnd", "0", ""),
    ] {
        assert_eq!(last(&compat, name), wrong);
        assert_eq!(last(&corrected, name), right);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_counted(bytes: Vec<u8>, is_packed: bool, is_record: bool) {
        let bytes = if is_record { [OF_2019.as_bytes(), &bytes].concat() } else { bytes };
        let bytes = if is_packed { zstd::encode_all(&bytes[..], 3).unwrap() } else { bytes };
        lines(bytes);
    }

    #[test]
    fn a_record_with_any_byte_changed_is_read_or_counted(at in 0..OF_2019.len(), byte: u8) {
        let mut bytes = OF_2019.as_bytes().to_vec();
        bytes[at] = byte;
        let mut reader = Reader::new(Cursor::new(bytes)).unwrap();
        while reader.next().unwrap().is_some() {}
    }

    #[test]
    fn any_frame_with_a_byte_changed_is_read_or_torn(at in 0..400_usize, byte: u8) {
        let mut frame = zstd::encode_all(OF_2019.as_bytes(), 3).unwrap();
        let at = at % frame.len();
        frame[at] = byte;
        lines(frame);
    }
}
