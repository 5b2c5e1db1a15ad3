//! Several files as one observation.

use std::path::Path;

use tcplens_capture::file::MergedSource;
use tcplens_core::packet::Batch;

use crate::build::{BIG, LITTLE, MICROSECONDS, pcap, pcapng};
use crate::{FOLLOW, Temp, read_bytes, read_merged, take};

/// A pcap of packets at these seconds, whose data are the file's name.
fn at(name: u8, link: u32, seconds: &[u32]) -> Temp {
    let mut file = LITTLE.pcap_header(MICROSECONDS, 4, 65535, link);
    seconds
        .iter()
        .for_each(|s| file.extend(LITTLE.record(*s, 0, 1, &[name])));
    Temp::with(&file)
}

/// File name and second of each packet, as `a1 b2`.
fn order(files: &[&Temp]) -> String {
    let paths: Vec<&Path> = files.iter().map(|temp| temp.0.as_path()).collect();
    let outcome = read_merged(&paths).unwrap();
    let name = |packet: &crate::Seen| {
        format!(
            "{}{}",
            char::from(packet.data[0]),
            packet.ns / 1_000_000_000
        )
    };
    outcome
        .packets
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn packets_of_several_files_come_in_the_order_of_time() {
    let (a, b) = (at(b'a', 1, &[1, 4, 5, 9]), at(b'b', 1, &[2, 4, 6]));
    assert_eq!(order(&[&a, &b]), "a1 b2 a4 b4 a5 b6 a9");
    assert_eq!(order(&[&b, &a]), "a1 b2 b4 a4 a5 b6 a9");
    let empty = at(b'e', 1, &[]);
    assert_eq!(order(&[&empty, &a, &empty]), "a1 a4 a5 a9");
    assert_eq!(order(&[]), "");
}

#[test]
fn time_that_goes_back_in_a_file_does_not_change_its_order() {
    let (a, b) = (at(b'a', 1, &[5, 2, 7]), at(b'b', 1, &[1, 3, 6]));
    assert_eq!(order(&[&a, &b]), "b1 b3 a5 a2 b6 a7");
}

#[test]
fn interfaces_keep_their_number_in_the_common_table() {
    let (a, b) = (at(b'a', 113, &[2, 5]), at(b'b', 1, &[1, 4]));
    let ng = Temp::with(&pcapng(BIG, 4));
    let outcome = read_merged(&[&a.0, &b.0, &ng.0]).unwrap();
    let links: Vec<_> = outcome
        .packets
        .iter()
        .map(|p| outcome.interfaces[p.interface as usize].link_type.0)
        .collect();
    assert_eq!(links, [1, 1, 101, 113, 1, 101, 1, 113], "{outcome:?}");
}

#[test]
fn a_damaged_file_does_not_end_the_others() {
    let cut = pcap(1, 20);
    let (cut, whole) = (Temp::with(&cut[..cut.len() - 1]), Temp::with(&pcap(3, 20)));
    let outcome = read_merged(&[&cut.0, &whole.0]).unwrap();
    assert_eq!(outcome.packets.len(), 39);
    let damaged: Vec<_> = outcome
        .damages
        .iter()
        .map(|damage| damage.file.as_str())
        .collect();
    assert_eq!(damaged, [cut.0.to_str().unwrap()]);
}

#[test]
fn a_rotated_capture_is_its_files_one_after_the_other() {
    let files: Vec<_> = (0..40).map(|i| Temp::with(&pcap(i * 100, 100))).collect();
    let paths: Vec<&Path> = files.iter().rev().map(|temp| temp.0.as_path()).collect();
    let outcome = read_merged(&paths).unwrap();
    let whole = read_bytes(&pcap(0, 4000)).unwrap();
    let times = |packets: &[crate::Seen]| packets.iter().map(|p| p.ns).collect::<Vec<_>>();
    assert_eq!(times(&outcome.packets), times(&whole.packets));
}

#[test]
fn files_that_overlap_over_many_blocks_lose_nothing() {
    let files = [pcap(1, 6000), pcap(1000, 3000), pcap(2500, 9000)];
    let temps = files.each_ref().map(|file| Temp::with(file));
    let outcome = read_merged(&temps.each_ref().map(|temp| temp.0.as_path())).unwrap();
    let mut expected = vec![];
    for (interface, file) in (0u32..).zip(&files) {
        let packets = read_bytes(file).unwrap().packets;
        expected.extend(packets.into_iter().map(|packet| crate::Seen {
            interface,
            ..packet
        }));
    }
    expected.sort_by_key(|packet| (packet.ns, packet.interface));
    assert!(outcome.packets == expected, "not the same packets");
}

#[test]
fn followed_files_do_not_wait_for_each_other() {
    let (a, b) = (Temp::with(b""), at(b'b', 1, &[1, 2]));
    let mut source = MergedSource::open(&[&a.0, &b.0], FOLLOW).unwrap();
    let (mut batch, mut packets) = (Batch::default(), vec![]);
    for _ in 0..5 {
        source.next_batch(&mut batch).unwrap();
        take(&batch, &mut packets);
    }
    assert_eq!(packets.len(), 2);
    std::fs::write(&a.0, pcap(0, 3)).unwrap();
    for _ in 0..5 {
        source.next_batch(&mut batch).unwrap();
        take(&batch, &mut packets);
    }
    assert_eq!(packets.len(), 5);
}

#[test]
fn the_position_reaches_the_size_of_all_files() {
    let (a, b) = (Temp::with(&pcap(1, 100)), Temp::with(&pcap(50, 100)));
    let size = [&a, &b]
        .map(|temp| std::fs::metadata(&temp.0).unwrap().len())
        .iter()
        .sum();
    let mut source = MergedSource::open(&[&a.0, &b.0], crate::AT_ONCE).unwrap();
    assert_eq!(source.position(), (0, Some(size)));
    let mut batch = Batch::default();
    while source.next_batch(&mut batch).unwrap() != tcplens_capture::file::Status::End {}
    assert_eq!(source.position(), (size, Some(size)));
}

#[test]
fn a_file_that_is_read_is_known_by_any_name() {
    let (a, b) = (Temp::with(&pcap(1, 1)), Temp::with(&pcap(1, 1)));
    let source = MergedSource::open(&[&a.0], crate::AT_ONCE).unwrap();
    let link = Temp::new(".link");
    std::os::unix::fs::symlink(&a.0, &link.0).unwrap();
    assert!(source.reads(&a.0) && source.reads(&link.0));
    assert!(!source.reads(&b.0) && !source.reads(Path::new("/nowhere")));
}
