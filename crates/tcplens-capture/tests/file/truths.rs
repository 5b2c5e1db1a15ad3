//! The packet counts of every capture with a truth (tshark's frames, capinfos' packets).

use std::path::{Path, PathBuf};

use crate::{parsed, read};

/// Where we differ from tshark, and why.
const DIFFERENT: [(&str, Option<usize>, bool, &str); 11] = [
    (
        "derived/link_unknown_9999.pcap",
        Some(5),
        false,
        "its link type is the caller's problem",
    ),
    (
        "malformed/tcpdump__tests__vtp_asan.pcap",
        Some(5),
        false,
        "the same, link type 182",
    ),
    (
        "derived/zero.pcap",
        None,
        false,
        "0 bytes; tshark takes it for an empty ERF capture",
    ),
    (
        "format/libpcap__tests__pcapng-invalid-vers-1.pcapng",
        None,
        false,
        "an error for tshark too",
    ),
    (
        "format/libpcap__tests__pcapng-invalid-vers-2.pcapng",
        None,
        false,
        "an error for tshark too",
    ),
    (
        "volume_mixed/pcapdb__indexer__tests__data__test.pcap",
        None,
        false,
        "a path name, no capture",
    ),
    (
        "malformed/suricata-verify__bug-6875-01__fuzz.pcap",
        Some(1),
        true,
        "tshark takes the damage of the second record for Alexey Kuznetzov's old format and makes \
         a packet of one byte of it",
    ),
    (
        "format/pcapng-test-generator__output_be__advanced__test102.pcapng",
        Some(5),
        false,
        CUSTOM,
    ),
    (
        "format/pcapng-test-generator__output_be__basic__test017.pcapng",
        Some(0),
        false,
        CUSTOM,
    ),
    (
        "format/pcapng-test-generator__output_be__basic__test018.pcapng",
        Some(4),
        false,
        CUSTOM,
    ),
    (
        "format/pcapng-test-generator__output_le__difficult__test202.pcapng",
        Some(8),
        false,
        CUSTOM,
    ),
];
const CUSTOM: &str = "custom blocks are frames for tshark, and no packets for capinfos and us";

#[test]
fn counts_and_damage_of_all_captures_are_those_of_their_truths() {
    let Some(root) = captures() else {
        eprintln!("SKIPPED: truths: no directory above this crate has shared/captures in it");
        return;
    };
    let (mut compared, mut wrong) = (0, vec![]);
    for entry in std::fs::read_dir(root.join("truth/json")).unwrap() {
        let truth = entry.unwrap().path();
        let name = truth
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .replacen("__", "/", 1);
        let text = std::fs::read_to_string(&truth).unwrap();
        let tshark = &text[text.find("\"tshark\"").unwrap()..];
        let expected = DIFFERENT
            .iter()
            .find(|(different, ..)| *different == name)
            .map_or_else(
                || (Some(number(tshark, "frames")), number(tshark, "rc") != 0),
                |(_, frames, damaged, _)| (*frames, *damaged),
            );
        let outcome = read(&root.join(&name)).ok();
        let damaged = outcome
            .as_ref()
            .is_some_and(|outcome| !outcome.damages.is_empty());
        let found = (outcome.map(|outcome| outcome.packets.len()), damaged);
        compared += 1;
        if found != expected {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(
        wrong.is_empty() && compared > 0,
        "{compared} compared, wrong:\n{}",
        wrong.join("\n")
    );
}

fn captures() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .map(|directory| directory.join("shared/captures"))
        .find(|captures| captures.is_dir())
}

/// Packets that pcap-parser does not show: simple and obsolete packet blocks.
const NOT_PARSED: &str = "pcapng-test-generator";

#[test]
fn another_reader_finds_the_same_bytes_in_all_captures() {
    let Some(root) = captures() else {
        eprintln!("SKIPPED: another reader: no directory above this crate has shared/captures");
        return;
    };
    let (mut compared, mut wrong) = (0, vec![]);
    for category in std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let Ok(files) = std::fs::read_dir(category) else {
            continue;
        };
        for path in files.map(|entry| entry.unwrap().path()) {
            let name = path.to_string_lossy().into_owned();
            let is_whole = |outcome: &crate::Outcome| outcome.damages.is_empty();
            let outcome = read(&path).ok().filter(is_whole);
            let (Some(outcome), Some(theirs), false) =
                (outcome, parsed(&path), name.contains(NOT_PARSED))
            else {
                continue;
            };
            compared += 1;
            if !outcome
                .packets
                .iter()
                .map(|packet| &packet.data)
                .eq(&theirs)
            {
                let counts = (outcome.packets.len(), theirs.len());
                wrong.push(format!("{name}: {counts:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty() && compared > 300,
        "{compared}, wrong:\n{}",
        wrong.join("\n")
    );
}

/// The number after the first `"key":`.
fn number(json: &str, key: &str) -> usize {
    let (_, rest) = json.split_once(&format!("\"{key}\":")).unwrap();
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap()
}
