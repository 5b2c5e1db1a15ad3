//! Captures made of others: later, longer, with equal times. Classic pcap in little-endian order only.

const HEADER: usize = 24;
const RECORD: usize = 16;

/// Where each packet ends in the file.
pub(crate) fn ended_after(file: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = HEADER;
    while at + RECORD <= file.len() {
        at += RECORD + number(file, at + 8) as usize;
        ends.push(at);
    }
    ends
}

/// All packets `seconds` later.
pub(crate) fn shifted(file: &[u8], seconds: u32) -> Vec<u8> {
    changed(file, |time, fraction| (time + seconds, fraction))
}

/// Times in whole quarters of a second, so that many packets have the same.
pub(crate) fn with_ties(file: &[u8]) -> Vec<u8> {
    let is_nanoseconds = number(file, 0) == 0xa1b2_3c4d;
    let quarter = if is_nanoseconds { 250_000_000 } else { 250_000 };
    changed(file, |time, fraction| (time, fraction / quarter * quarter))
}

/// The file again and again, each time 20 s later than before: shorter than it lasts, so that times go back.
pub(crate) fn joined(file: &[u8], times: u32) -> Vec<u8> {
    let mut all = file[..HEADER].to_vec();
    for n in 0..times {
        all.extend(&shifted(file, 20 * n)[HEADER..]);
    }
    all
}

fn changed(file: &[u8], change: impl Fn(u32, u32) -> (u32, u32)) -> Vec<u8> {
    let mut all = file.to_vec();
    let mut at = HEADER;
    for end in ended_after(file) {
        let (time, fraction) = change(number(file, at), number(file, at + 4));
        all[at..at + 4].copy_from_slice(&time.to_le_bytes());
        all[at + 4..at + 8].copy_from_slice(&fraction.to_le_bytes());
        at = end;
    }
    all
}

fn number(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]])
}
