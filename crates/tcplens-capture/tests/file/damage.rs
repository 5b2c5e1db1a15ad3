//! Damaged files: whole packets before the damage, then its place; and what is no capture at all.

use std::path::Path;

use proptest::prelude::*;
use tcplens_capture::file::{FileError, FileSource};

use crate::build::{BIG, LITTLE, MICROSECONDS, pcap, pcapng};
use crate::{AT_ONCE, FOLLOW, Outcome, Temp, read, read_bytes};

/// The file cut after `cut` bytes: the packets whose record is whole, and a damage unless the cut
/// is between records.
fn check_cut(file: &[u8], whole: &Outcome, ends: &[usize], packet_ends: &[usize], cut: usize) {
    let outcome = read_bytes(&file[..cut]);
    if cut < 4 {
        let error = outcome.unwrap_err();
        assert!(
            matches!(
                error,
                FileError::Empty { .. } | FileError::NotCapture { .. }
            ),
            "{error}"
        );
        return;
    }
    let outcome = outcome.unwrap();
    let expected = packet_ends.iter().filter(|end| **end <= cut).count();
    assert_eq!(outcome.packets, whole.packets[..expected], "cut at {cut}");
    let start = ends
        .iter()
        .copied()
        .filter(|end| *end <= cut)
        .max()
        .unwrap_or(0);
    let places: Vec<_> = outcome.damages.iter().map(|damage| damage.at).collect();
    let expected = if start == cut {
        vec![]
    } else {
        vec![start as u64]
    };
    assert_eq!(places, expected, "cut at {cut}: {:?}", outcome.damages);
}

/// Where records or blocks end, and where those of packets end.
fn ends(file: &[u8]) -> (Vec<usize>, Vec<usize>) {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let is_pcapng = file[0] == 0x0a;
    let mut at = if is_pcapng { 0 } else { 24 };
    let (mut all, mut packets) = if is_pcapng {
        (vec![], vec![])
    } else {
        (vec![24], vec![])
    };
    while at < file.len() {
        let is_packet = !is_pcapng || word(at) == 6;
        at += if is_pcapng {
            word(at + 4)
        } else {
            16 + word(at + 8)
        };
        all.push(at);
        packets.extend(is_packet.then_some(at));
    }
    (all, packets)
}

#[test]
fn a_cut_at_every_byte_is_found_unless_it_is_between_records() {
    for file in [pcap(1, 4), pcapng(LITTLE, 5)] {
        let whole = read_bytes(&file).unwrap();
        let (all, packets) = ends(&file);
        for cut in 0..=file.len() {
            check_cut(&file, &whole, &all, &packets, cut);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_cut_anywhere_in_a_file_of_several_blocks_is_found(ng: bool, part in 0.0..1.0f64) {
        let file = if ng { pcapng(LITTLE, 4000) } else { pcap(1, 4000) };
        let whole = read_bytes(&file).unwrap();
        let (all, packets) = ends(&file);
        check_cut(&file, &whole, &all, &packets, (file.len() as f64 * part) as usize);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = read_bytes(&bytes); // any outcome will do
    }

    #[test]
    fn any_bytes_after_any_magic_are_read_without_panic(
        kind in 0..9usize, big: bool, tail: Vec<u8>, at in 0..400usize, patch: Vec<u8>
    ) {
        let order = if big { BIG } else { LITTLE };
        let magics = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 0x1c00_01ab, 0x1c00_01ac];
        let mut file = match kind {
            0..5 => [order.pcap_header(magics[kind], 3, 0, 1), order.record(1, 1, 9, &tail)].concat(),
            5 => pcapng(order, 3),
            6 => [order.section(), order.interface(1, 0, &[(9, &tail)])].concat(),
            7 => [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0].to_vec(),
            _ => [0x28, 0xb5, 0x2f, 0xfd].to_vec(),
        };
        file.extend_from_slice(&tail);
        for (old, new) in file.iter_mut().skip(at).zip(&patch) {
            *old = *new;
        }
        let _ = read_bytes(&file); // any outcome will do
    }

    #[test]
    fn what_is_before_a_flipped_byte_comes_out(ng: bool, at in 0..5000usize, bit in 0..8u32) {
        let mut file = if ng { pcapng(LITTLE, 8) } else { pcap(1, 8) };
        let whole = read_bytes(&file).unwrap();
        let (_, packets) = ends(&file);
        let at = at % file.len();
        file[at] ^= 1 << bit;
        let expected = packets.iter().filter(|end| **end <= at).count();
        if let Ok(outcome) = read_bytes(&file) {
            prop_assert!(expected == 0 || outcome.packets[..expected] == whole.packets[..expected]);
        }
    }
}

#[test]
fn a_damaged_file_says_where_and_what() {
    let ng = |blocks: &[Vec<u8>]| {
        let head = [LITTLE.section(), LITTLE.interface(1, 0, &[])];
        [
            head.concat(),
            LITTLE.enhanced(0, 1, 1, b"x"),
            blocks.concat(),
        ]
        .concat()
    };
    let (start, good) = (ng(&[]).len() as u64, LITTLE.enhanced(0, 1, 1, b"y"));
    let mut trailer = LITTLE.block(9, b"body");
    trailer[12] ^= 1;
    let mut long = LITTLE.enhanced(0, 1, 1, b"y");
    long[20] = 5;
    let mut version = LITTLE.section();
    version[12] = 2;
    let huge = [pcap(1, 1), LITTLE.words(&[1, 1, 0x7fff_ffff, 1])].concat();
    let cases = [
        (
            huge,
            24 + 76,
            "a packet claims 2147483647 captured bytes (the limit is 262144)",
        ),
        (
            [pcap(1, 1), LITTLE.words(&[1, 1, 4, 4]), vec![1]].concat(),
            24 + 76,
            "the file ends inside a record, 17 of at least 20 bytes are there",
        ),
        (
            [LITTLE.pcap_header(MICROSECONDS, 4, 9, 1)[..17].to_vec()].concat(),
            0,
            "the file header is cut, 17 of 24 bytes are there",
        ),
        (
            ng(&[LITTLE.enhanced(1, 1, 1, b"y"), good.clone()]),
            start,
            "a packet is of interface 1, the section has 1",
        ),
        (
            ng(&[trailer, good.clone()]),
            start,
            "a block's two lengths differ: 16 at its start, 17 at its end",
        ),
        (
            ng(&[long, good.clone()]),
            start,
            "a packet block is too short",
        ),
        (
            ng(&[LITTLE.words(&[6, 8, 0, 0]), good.clone()]),
            start,
            "a block claims to be 8 bytes long (12 to 16777216 are possible)",
        ),
        (
            ng(&[version, good]),
            start,
            "pcapng version 2.0 is not supported (1.0 is)",
        ),
        (
            [LITTLE.section(), LITTLE.simple(1, b"x")].concat(),
            28,
            "a packet is of interface 0, the section has 0",
        ),
    ];
    for (file, at, what) in cases {
        let damages = read_bytes(&file).unwrap().damages;
        let found: Vec<_> = damages
            .iter()
            .map(|damage| (damage.at, damage.what.as_str()))
            .collect();
        assert_eq!(found, [(at, what)]);
    }
}

#[test]
fn a_cut_compressed_file_gives_what_can_be_decompressed() {
    let file = pcap(1, 3000);
    let whole = read_bytes(&file).unwrap();
    let mut stored = zstd::encode_all(&file[..], 1).unwrap();
    stored.truncate(stored.len() / 2);
    let temp = Temp::with(&stored);
    let outcome = read(&temp.0).unwrap();
    let count = outcome.packets.len();
    assert!(count > 0 && count < 3000, "{count}");
    assert_eq!(outcome.packets, whole.packets[..count]);
    let at = whole.packets[..count]
        .iter()
        .fold(24, |at, packet| at + 16 + packet.data.len());
    let [damage] = outcome.damages.as_slice() else {
        panic!("{:?}", outcome.damages)
    };
    let expected = format!(
        "{} is damaged at decompressed byte {at}: the compressed data end early or are damaged \
         (incomplete frame); only what is before it was read",
        temp.0.display()
    );
    assert_eq!(damage.to_string(), expected);
}

fn error(path: &Path) -> String {
    FileSource::open(path, AT_ONCE)
        .map(|_| ())
        .unwrap_err()
        .to_string()
}

#[test]
fn what_is_no_capture_is_said_with_its_first_bytes() {
    let cases: [(&[u8], &str); 5] = [
        (
            b"",
            "it is empty, it has no capture header; if its writer has just started, read it with --follow",
        ),
        (
            b"\x89PNG\r\n\x1a\nmore than sixteen bytes",
            "not a capture file, it begins with 89 50 4e 47 0d 0a 1a 0a 6d 6f 72 65 20 74 68 61 \
             \".PNG....more tha\"; pcap and pcapng are read, also compressed with gzip or zstd",
        ),
        (
            b"\xd4\xc3",
            "not a capture file, it begins with d4 c3 \"..\"; \
             pcap and pcapng are read, also compressed with gzip or zstd",
        ),
        (
            b"\xfd7zXZ\0",
            "not a capture file, it begins with fd 37 7a 58 5a 00 \".7zXZ.\"; \
             an xz archive: decompress it first (xz -dc FILE | tcplens -r -)",
        ),
        (
            b"\xa1\xb2\xc3\xd4\0\x09\0\x04................",
            "pcap version 9.4 is not supported (2.0 to 2.4 are); convert it first",
        ),
    ];
    for (bytes, what) in cases {
        let temp = Temp::with(bytes);
        assert_eq!(
            error(&temp.0),
            format!("cannot read {}: {what}", temp.0.display())
        );
    }
}

#[test]
fn what_cannot_be_opened_is_said_with_what_to_do() {
    let missing = Path::new("/nowhere/to/be/found.pcap");
    let expected = format!(
        "cannot open {}: No such file or directory (os error 2); check the path",
        missing.display()
    );
    assert_eq!(error(missing), expected);
    let expected =
        "cannot read /tmp: it is a directory; name the capture files in it (/tmp/*.pcap)";
    assert_eq!(error(Path::new("/tmp")), expected);
}

#[test]
fn a_compressed_file_is_not_followed() {
    let temp = Temp::with(&zstd::encode_all(&pcap(1, 1)[..], 1).unwrap());
    let mut source = FileSource::open(&temp.0, FOLLOW).unwrap();
    let error = source
        .next_batch(&mut Default::default())
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("a compressed file cannot be followed; read it without --follow"));
}
