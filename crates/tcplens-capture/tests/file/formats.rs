//! Every format and variant: the same packets come out.

use std::io::Write;

use tcplens_capture::file::{FileSource, Status};
use tcplens_core::packet::{Batch, Interface, LinkType};

use crate::build::{BIG, Bytes, LITTLE, MICROSECONDS, NANOSECONDS, pcap, pcapng};
use crate::{AT_ONCE, Outcome, Seen, Temp, read, read_bytes, take};

fn seen(ns: i64, data: &[u8], length: u32, interface: u32) -> Seen {
    Seen {
        ns,
        data: data.to_vec(),
        length,
        interface,
    }
}

fn plain(link: u32) -> Interface {
    Interface {
        link_type: LinkType(link),
        name: None,
        fcs_bytes: 0,
    }
}

fn check(bytes: &[u8], packets: &[Seen], interfaces: &[Interface]) {
    let expected = Outcome {
        packets: packets.to_vec(),
        interfaces: interfaces.to_vec(),
        damages: vec![],
    };
    assert_eq!(read_bytes(bytes).unwrap(), expected);
}

#[test]
fn every_pcap_variant_gives_the_same_packets() {
    const IXIA: [u32; 2] = [0x1c00_01ab, 0x1c00_01ac];
    for bytes in [LITTLE, BIG] {
        for magic in [MICROSECONDS, NANOSECONDS, 0xa1b2_cd34, IXIA[0], IXIA[1]] {
            let scale = if matches!(magic, NANOSECONDS | 0x1c00_01ac) {
                1
            } else {
                1000
            };
            let extra = if magic == 0xa1b2_cd34 {
                vec![3, 0, 0, 0, 8, 0, 0, 0]
            } else {
                vec![]
            };
            let mut file = bytes.pcap_header(magic, 4, 96, 1);
            file.extend(if IXIA.contains(&magic) {
                vec![1, 2, 3, 4]
            } else {
                vec![]
            });
            for (seconds, data) in [(7, &b"seven"[..]), (u32::MAX, b"")] {
                file.extend(bytes.words(&[seconds, 12, data.len() as u32, 1500]));
                file.extend_from_slice(&extra);
                file.extend_from_slice(data);
            }
            let last = i64::from(u32::MAX) * 1_000_000_000 + 12 * scale;
            let first = 7_000_000_000 + 12 * scale;
            check(
                &file,
                &[seen(first, b"seven", 1500, 0), seen(last, b"", 1500, 0)],
                &[plain(1)],
            );
        }
    }
}

#[test]
fn lengths_of_old_versions_are_swapped() {
    for (minor, first, second) in [(2, 9, 4), (3, 9, 4), (3, 4, 9), (4, 4, 9)] {
        let mut file = LITTLE.pcap_header(MICROSECONDS, minor, 96, 1);
        file.extend(LITTLE.words(&[1, 0, first, second]));
        file.extend_from_slice(b"four");
        check(&file, &[seen(1_000_000_000, b"four", 9, 0)], &[plain(1)]);
    }
}

#[test]
fn the_link_type_field_has_more_in_it_than_the_link_type() {
    let cases = [
        (1, 1, 0),
        (12, 101, 0),
        (14, 101, 0),
        (109, 109, 0),
        (9999, 9999, 0),
        (0x2400_0001, 1, 4),
        (0x2000_0001, 1, 0), // a length without the bit that says there is one
        (0x03ff_0071, 113, 0),
    ];
    for (field, link, fcs_bytes) in cases {
        let mut file = LITTLE.pcap_header(MICROSECONDS, 4, 96, field);
        file.extend(LITTLE.record(0, 0, 1, b"x"));
        check(
            &file,
            &[seen(0, b"x", 1, 0)],
            &[Interface {
                fcs_bytes,
                ..plain(link)
            }],
        );
    }
}

#[test]
fn every_pcapng_packet_block_is_read_in_both_orders() {
    for bytes in [LITTLE, BIG] {
        let file = [
            bytes.section(),
            bytes.interface(1, 4, &[(2, b"eth0"), (13, &[4])]),
            bytes.block(5, b"statistics"),
            bytes.enhanced(0, 1_500_000, 60, b"enhanced"),
            bytes.simple(8, b"simp"),
            bytes.interface(113, 0, &[(9, &[9]), (2, b"any\0")]),
            bytes.obsolete(1, 2_000_000_001, 1, b"obsolete"),
            bytes.block(0x8000_0001, &[7; 70_000]),
        ];
        let packets = [
            seen(1_500_000_000, b"enhanced", 60, 0),
            seen(1_500_000_000, b"simp", 8, 0), // the time of the packet before
            seen(2_000_000_001, b"obsolete", 1, 1),
        ];
        let eth0 = Interface {
            name: Some("eth0".to_owned()),
            fcs_bytes: 4,
            ..plain(1)
        };
        let any = Interface {
            name: Some("any".to_owned()),
            ..plain(113)
        };
        check(&file.concat(), &packets, &[eth0, any]);
    }
}

#[test]
fn times_have_the_resolution_and_offset_of_their_interface() {
    let offset = 5i64.to_le_bytes();
    let before = (-5i64).to_le_bytes();
    type InterfaceOptions<'a> = &'a [(u16, &'a [u8])];
    let cases: [(InterfaceOptions, u64, i64); 15] = [
        (&[], 3, 3000),
        (&[(9, &[0])], 3, 3_000_000_000),
        (&[(9, &[3])], 3, 3_000_000),
        (&[(9, &[9])], 3, 3),
        (&[(9, &[12])], 3_999, 3),
        (&[(9, &[127])], u64::MAX, 0),
        (&[(9, &[0x80 | 10])], 1536, 1_500_000_000),
        (&[(9, &[0x80])], 2, 2_000_000_000),
        (&[(9, &[0xff])], u64::MAX, 0),
        (&[(9, &[0xa0])], u64::MAX, 4_294_967_295_999_999_999), // NTP's, after 2038
        (&[(9, &[9])], u64::MAX, -1),                           // a writer's negative number
        (&[], u64::MAX - 499_999, -500_000_000),
        (&[(9, &[6]), (14, &offset)], 1, 5_000_001_000),
        (&[(14, &before)], 0, -5_000_000_000),
        (&[(9, &[0])], u64::MAX / 2, i64::MAX),
    ];
    for (options, ticks, ns) in cases {
        let file = [
            LITTLE.section(),
            LITTLE.interface(1, 0, options),
            LITTLE.enhanced(0, ticks, 1, b"x"),
        ];
        check(&file.concat(), &[seen(ns, b"x", 1, 0)], &[plain(1)]);
    }
}

#[test]
fn a_new_section_has_its_own_order_and_interfaces() {
    let section = |bytes: Bytes, link| {
        [
            bytes.section(),
            bytes.interface(link, 0, &[]),
            bytes.enhanced(0, 1, 1, b"x"),
        ]
        .concat()
    };
    // The third section's interface is the first's; it does not double the table.
    let file = [section(LITTLE, 1), section(BIG, 113), section(LITTLE, 1)].concat();
    let packets = [0, 1, 0].map(|interface| seen(1000, b"x", 1, interface));
    check(&file, &packets, &[plain(1), plain(113)]);
}

#[test]
fn equal_interfaces_of_one_section_stay_apart() {
    let file = [
        LITTLE.section(),
        LITTLE.interface(1, 0, &[]),
        LITTLE.interface(1, 0, &[]),
        LITTLE.enhanced(1, 1, 1, b"x"),
    ];
    check(
        &file.concat(),
        &[seen(1000, b"x", 1, 1)],
        &[plain(1), plain(1)],
    );
}

#[test]
fn a_length_without_its_padding_is_read() {
    let mut packet = LITTLE.enhanced(0, 1, 3, b"odd");
    let (length, end) = (packet.len() as u32 - 1, packet.len() - 4);
    packet[4..8].copy_from_slice(&length.to_le_bytes());
    packet[end..].copy_from_slice(&length.to_le_bytes());
    let file = [LITTLE.section(), LITTLE.interface(1, 0, &[]), packet].concat();
    check(&file, &[seen(1000, b"odd", 3, 0)], &[plain(1)]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn compressed_files_are_read_also_of_several_members() {
    for file in [pcap(1, 3000), pcapng(BIG, 3000)] {
        let expected = read_bytes(&file).unwrap();
        assert_eq!((expected.packets.len(), expected.damages.len()), (3000, 0));
        for compress in [gzip, zstd] {
            let (a, b) = file.split_at(file.len() / 2 + 1);
            for compressed in [
                compress(&file),
                [compress(a), compress(&[]), compress(b)].concat(),
            ] {
                assert_eq!(read_bytes(&compressed).unwrap(), expected);
            }
        }
    }
}

#[test]
fn records_larger_than_a_block_are_read() {
    let large = vec![7; 3_000_000];
    let mut file = LITTLE.pcap_header(MICROSECONDS, 4, 4_000_000, 1);
    for data in [&large[..], b"small", &large] {
        file.extend(LITTLE.record(1, 0, data.len() as u32, data));
    }
    let outcome = read_bytes(&file).unwrap();
    let lengths: Vec<_> = outcome
        .packets
        .iter()
        .map(|packet| packet.data.len())
        .collect();
    assert_eq!(
        (lengths, outcome.damages),
        (vec![3_000_000, 5, 3_000_000], vec![])
    );
}

/// A named pipe, if this machine makes them.
fn fifo(test: &str) -> Option<Temp> {
    let fifo = Temp::new(".fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo.0).status();
    let works = made.is_ok_and(|status| status.success());
    if !works {
        eprintln!("SKIPPED: {test}: mkfifo does not work here");
    }
    works.then_some(fifo)
}

#[test]
fn a_pipe_is_read_as_a_file() {
    let Some(fifo) = fifo("a_pipe_is_read_as_a_file") else {
        return;
    };
    for compress in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
        let file = pcap(1, 5000);
        let expected = read_bytes(&file).unwrap();
        let (path, stored) = (fifo.0.clone(), compress(&file));
        let writer = std::thread::spawn(move || std::fs::write(path, stored));
        assert_eq!(read(&fifo.0).unwrap(), expected);
        writer.join().unwrap().unwrap();
    }
}

#[test]
fn a_silent_pipe_gives_control_back() {
    let Some(fifo) = fifo("a_silent_pipe_gives_control_back") else {
        return;
    };
    let file = pcap(1, 2);
    let (steps, next) = std::sync::mpsc::sync_channel::<Vec<u8>>(0);
    let path = fifo.0.clone();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        next.iter()
            .for_each(|bytes| pipe.write_all(&bytes).unwrap());
    });
    let mut source = FileSource::open(&fifo.0, AT_ONCE).unwrap();
    let mut batch = Batch::default();
    let mut packets = vec![];
    for (part, count) in [
        (0..0, 0),
        (0..9, 0),
        (9..40, 0),
        (40..101, 1),
        (101..file.len(), 2),
    ] {
        steps.send(file[part].to_vec()).unwrap();
        while packets.len() < count {
            source.next_batch(&mut batch).unwrap();
            take(&batch, &mut packets);
        }
        assert_eq!(source.next_batch(&mut batch).unwrap(), Status::Idle);
    }
    drop(steps);
    writer.join().unwrap();
    while source.next_batch(&mut batch).unwrap() != Status::End {}
    assert_eq!((packets.len(), source.damages()), (2, &[][..]));
}

#[test]
fn a_compressed_pipe_may_pause_anywhere() {
    let Some(fifo) = fifo("a_compressed_pipe_may_pause_anywhere") else {
        return;
    };
    let file = pcap(1, 40);
    let expected = read_bytes(&file).unwrap();
    let (a, b) = file.split_at(5000);
    for stored in [[gzip(a), gzip(b)].concat(), [zstd(a), zstd(b)].concat()] {
        let (steps, next) = std::sync::mpsc::sync_channel::<u8>(0);
        let path = fifo.0.clone();
        let writer = std::thread::spawn(move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            next.iter()
                .for_each(|byte| pipe.write_all(&[byte]).unwrap());
        });
        let mut source = FileSource::open(&fifo.0, AT_ONCE).unwrap();
        let (mut batch, mut packets) = (Batch::default(), vec![]);
        for byte in stored {
            steps.send(byte).unwrap();
            while source.next_batch(&mut batch).unwrap() != Status::Idle {
                take(&batch, &mut packets);
            }
        }
        drop(steps);
        writer.join().unwrap();
        while source.next_batch(&mut batch).unwrap() != Status::End {
            take(&batch, &mut packets);
        }
        assert!(packets == expected.packets && source.damages().is_empty());
    }
}
