//! What is written is read again as it was, by us and by another reader.

use tcplens_capture::file::{CaptureWriter, FileError, Written};
use tcplens_core::packet::{Interface, LinkType, Packet};
use tcplens_core::time::Timestamp;

use crate::build::{BIG, pcap, pcapng};
use crate::{Seen, Temp, parsed, read};

fn interface(link: u32, name: Option<&str>, fcs_bytes: u8) -> Interface {
    Interface {
        link_type: LinkType(link),
        name: name.map(str::to_owned),
        fcs_bytes,
    }
}

fn write(
    suffix: &str,
    packets: &[Seen],
    table: &[Interface],
) -> (Temp, Result<Written, FileError>) {
    let temp = Temp::new(suffix);
    let mut writer = CaptureWriter::create(&temp.0).unwrap();
    let put = |seen: &Seen| {
        let captured = seen.data.len() as u32;
        let time = Timestamp(seen.ns);
        let packet = Packet {
            time,
            at: 0,
            captured,
            length: seen.length,
            interface: seen.interface,
        };
        writer.write(&packet, &seen.data, table)
    };
    let result = packets
        .iter()
        .try_for_each(put)
        .and_then(|()| writer.finish());
    (temp, result)
}

#[test]
fn every_suffix_gives_the_same_packets_again() {
    let files = [pcap(1, 3000), pcapng(BIG, 3000)].map(|file| Temp::with(&file));
    let [one, two] = files.each_ref().map(|temp| read(&temp.0).unwrap());
    let endings = ["", ".gz", ".zst"];
    for (kind, outcome) in [
        (".pcap", &one),
        (".dump", &one),
        (".pcapng", &one),
        (".pcapng", &two),
    ] {
        for ending in endings {
            let (temp, result) = write(
                &format!("{kind}{ending}"),
                &outcome.packets,
                &outcome.interfaces,
            );
            assert_eq!(
                result.unwrap(),
                Written {
                    packets: 3000,
                    ..Written::default()
                }
            );
            assert_eq!(read(&temp.0).unwrap(), *outcome, "{kind}{ending}");
        }
    }
}

#[test]
fn nanoseconds_names_and_check_sequences_survive() {
    let data = b"odd".to_vec();
    let packet = Seen {
        ns: 1_999_999_999,
        data,
        length: 1500,
        interface: 1,
    };
    let table = [
        interface(101, Some("tun0"), 0),
        interface(1, Some("eth0"), 4),
    ];
    let (temp, _) = write(".pcapng", std::slice::from_ref(&packet), &table);
    let outcome = read(&temp.0).unwrap();
    assert_eq!(
        (outcome.packets, outcome.interfaces),
        (vec![packet.clone()], table.to_vec())
    );
    let (temp, _) = write(".pcap", std::slice::from_ref(&packet), &table);
    let outcome = read(&temp.0).unwrap();
    assert_eq!(
        outcome.packets,
        [Seen {
            interface: 0,
            ..packet
        }]
    );
    assert_eq!(outcome.interfaces, [interface(1, None, 4)]);
}

#[test]
fn pcap_refuses_a_second_link_type_and_says_what_to_do() {
    let packet = |interface| Seen {
        ns: 0,
        data: vec![],
        length: 0,
        interface,
    };
    let table = [
        interface(1, None, 0),
        interface(1, Some("other"), 0),
        interface(113, None, 0),
    ];
    let (_, result) = write(".pcap", &[packet(0), packet(1)], &table);
    assert_eq!(
        result.unwrap().packets,
        2,
        "two interfaces of one link type are fine"
    );
    let (temp, result) = write(".pcap", &[packet(0), packet(2)], &table);
    let expected = format!(
        "cannot write {}: its packets have several link types, pcap can hold one; \
         name the file .pcapng",
        temp.0.display()
    );
    assert_eq!(result.unwrap_err().to_string(), expected);
}

#[test]
fn times_that_a_format_cannot_hold_are_counted() {
    let packet = |ns| Seen {
        ns,
        data: vec![1],
        length: 1,
        interface: 0,
    };
    let packets = [packet(-1), packet(i64::MAX)];
    for (suffix, clamped, times) in [
        (".pcap", 2, [0, 4_294_967_295_999_999_999]),
        (".pcapng", 1, [0, i64::MAX]),
    ] {
        let (temp, result) = write(suffix, &packets, &[interface(1, None, 0)]);
        let expected = Written {
            packets: 2,
            clamped_times: clamped,
            cut_packets: 0,
        };
        assert_eq!(result.unwrap(), expected);
        let outcome = read(&temp.0).unwrap();
        assert_eq!(
            outcome
                .packets
                .iter()
                .map(|packet| packet.ns)
                .collect::<Vec<_>>(),
            times
        );
    }
}

#[test]
fn no_packets_make_an_empty_capture() {
    for suffix in [".pcap", ".pcapng", ".pcap.gz", ".pcapng.zst"] {
        let (temp, result) = write(suffix, &[], &[]);
        assert_eq!(result.unwrap(), Written::default());
        let outcome = read(&temp.0).unwrap();
        assert_eq!((outcome.packets, outcome.damages), (vec![], vec![]));
    }
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    let path = std::path::Path::new("/nowhere/x.pcap");
    let error = CaptureWriter::create(path)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    let expected = "cannot write /nowhere/x.pcap: No such file or directory (os error 2); \
                    create its directory first";
    assert_eq!(error, expected);
}

#[test]
fn another_reader_agrees_about_what_we_write_and_read() {
    let packets: Vec<_> = (0..500)
        .map(|i| Seen {
            ns: i,
            data: vec![i as u8; i as usize],
            length: 900,
            interface: 0,
        })
        .collect();
    for suffix in [".pcap", ".pcapng"] {
        let (temp, _) = write(suffix, &packets, &[interface(1, None, 0)]);
        let ours: Vec<_> = packets.iter().map(|packet| packet.data.clone()).collect();
        assert!(
            parsed(&temp.0).is_some_and(|theirs| theirs == ours),
            "{suffix}"
        );
    }
}

#[test]
fn a_packet_may_have_a_comment_which_readers_of_packets_pass_over() {
    let table = [interface(1, Some("eth0"), 0)];
    let packet = Packet {
        time: Timestamp(1_795_223_302_384_589_048),
        at: 0,
        captured: 5,
        length: 5,
        interface: 0,
    };
    for (suffix, has_comment) in [(".pcapng", true), (".pcap", false)] {
        let temp = Temp::new(suffix);
        let mut writer = CaptureWriter::create(&temp.0).unwrap();
        writer.write(&packet, b"first", &table).unwrap();
        let comment = "redis GET: 0.124 ms\nGET caf\u{e9}";
        writer
            .write_commented(&packet, b"other", &table, comment)
            .unwrap();
        assert_eq!(writer.finish().unwrap().packets, 2);
        let packets = read(&temp.0).unwrap().packets;
        let data: Vec<_> = packets.iter().map(|seen| seen.data.as_slice()).collect();
        assert_eq!(data, [b"first", b"other"]);
        assert_eq!(
            parsed(&temp.0).unwrap(),
            [b"first".to_vec(), b"other".to_vec()]
        );
        let bytes = std::fs::read(&temp.0).unwrap();
        // Code 1, the length, the text: opt_comment (draft-ietf-opsawg-pcapng section 3.5).
        let option = [&[1, 0, comment.len() as u8, 0], comment.as_bytes()].concat();
        let found = bytes.windows(option.len()).any(|window| window == option);
        assert_eq!(found, has_comment);
    }
}
