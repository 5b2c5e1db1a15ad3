//! A file that is still being written: nothing is lost, nothing is read twice, and control comes
//! back.

use std::fs::{File, OpenOptions};
use std::io::Write;

use tcplens_capture::file::{FileSource, Status};
use tcplens_core::packet::Batch;

use crate::build::{BIG, pcap, pcapng};
use crate::{FOLLOW, Seen, Temp, read_bytes, take};

/// A followed file and what came out of it so far.
struct Follower {
    source: FileSource,
    batch: Batch,
    packets: Vec<Seen>,
}

impl Follower {
    fn new(temp: &Temp) -> Follower {
        let source = FileSource::open(&temp.0, FOLLOW).unwrap();
        Follower {
            source,
            batch: Batch::default(),
            packets: vec![],
        }
    }

    /// Reads until there is nothing for a few calls, a replaced file takes some; says how many
    /// packets there were.
    fn drain(&mut self) -> usize {
        let (before, mut idle) = (self.packets.len(), 0);
        while idle < 4 {
            match self.source.next_batch(&mut self.batch).unwrap() {
                Status::Packets => idle = 0,
                Status::Idle => idle += 1,
                Status::End => panic!("a followed file does not end"),
            }
            take(&self.batch, &mut self.packets);
        }
        self.packets.len() - before
    }

    fn damages(&self) -> Vec<(u64, &str)> {
        self.source
            .damages()
            .iter()
            .map(|damage| (damage.at, damage.what.as_str()))
            .collect()
    }
}

fn append(temp: &Temp, bytes: &[u8]) {
    OpenOptions::new()
        .append(true)
        .open(&temp.0)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

#[test]
fn a_file_that_grows_byte_by_byte_gives_each_packet_when_it_is_whole() {
    for file in [pcap(1, 3), pcapng(BIG, 3)] {
        let whole = read_bytes(&file).unwrap();
        let temp = Temp::with(b"");
        let mut follower = Follower::new(&temp);
        for byte in &file {
            append(&temp, &[*byte]);
            follower.drain();
        }
        assert_eq!(follower.packets, whole.packets);
        assert_eq!(follower.damages(), []);
    }
}

#[test]
fn a_replaced_file_is_read_to_its_end_and_then_the_new_one() {
    let (first, second) = (pcap(1, 10), pcapng(BIG, 10));
    let (temp, moved) = (Temp::with(&first[..first.len() - 100]), Temp::new(".old"));
    let mut follower = Follower::new(&temp);
    assert_eq!(follower.drain(), 9);
    std::fs::rename(&temp.0, &moved.0).unwrap();
    assert_eq!(follower.drain(), 0, "no file for a moment is no end");
    append(&moved, &first[first.len() - 100..]);
    std::fs::write(&temp.0, &second).unwrap();
    assert_eq!(follower.drain(), 11);
    assert_eq!(follower.damages(), []);
    let last = follower.packets[19].interface as usize;
    assert_eq!(follower.batch.interfaces[last].link_type.0, 101);
    assert_eq!(
        follower.batch.interfaces.len(),
        2,
        "Ethernet of both files is one interface"
    );
}

#[test]
fn a_truncated_file_is_read_from_its_new_header_and_the_cut_is_known() {
    let file = pcap(1, 10);
    let temp = Temp::with(&file[..file.len() - 1]);
    let mut follower = Follower::new(&temp);
    assert_eq!(follower.drain(), 9);
    File::create(&temp.0)
        .unwrap()
        .write_all(&pcap(50, 2))
        .unwrap();
    assert_eq!(follower.drain(), 2);
    assert_eq!(follower.packets[9].ns, 50_000_005_000);
    let [(_, what)] = follower.damages()[..] else {
        panic!("{:?}", follower.damages())
    };
    assert!(what.starts_with("the file ends inside a record"), "{what}");
}

#[test]
fn after_damage_the_next_file_is_waited_for() {
    let temp = Temp::with(&[pcap(1, 1), vec![0xff; 100]].concat());
    let mut follower = Follower::new(&temp);
    assert_eq!((follower.drain(), follower.damages().len()), (1, 1));
    append(&temp, &pcap(1, 5));
    assert_eq!((follower.drain(), follower.damages().len()), (0, 1));
    let other = Temp::with(b"this is no capture, it is a text");
    std::fs::rename(&other.0, &temp.0).unwrap();
    assert_eq!((follower.drain(), follower.damages().len()), (0, 2));
    let other = Temp::with(&pcap(9, 3));
    std::fs::rename(&other.0, &temp.0).unwrap();
    assert_eq!((follower.drain(), follower.damages().len()), (3, 2));
}
