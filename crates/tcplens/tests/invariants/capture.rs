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

/// Many short connections to one server, a few of which are open at the same time: most are closed, some are not, some are
/// attempts, and every tenth goes on for long. Each asks redis once.
pub(crate) fn churn(connections: u32) -> Vec<u8> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const FIN_ACK: u8 = 17;
    let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
    for n in 0..connections {
        let [_, a, b, c] = n.to_be_bytes();
        let client = [10, a, b, c];
        let at = u64::from(n) * 1_000;
        let mut tell = |after: u64, back: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]| {
            packets.push((
                at + after,
                segment(client, back, flags, [seq, ack], payload),
            ));
        };
        tell(0, false, SYN, 100, 0, b"");
        if n % 7 == 0 {
            continue;
        }
        tell(100, true, SYN | ACK, 900, 101, b"");
        tell(200, false, ACK, 101, 901, b"");
        tell(300, false, ACK, 101, 901, b"*1\r\n$4\r\nPING\r\n");
        tell(400, true, ACK, 901, 115, b"+PONG\r\n");
        if n % 10 == 0 {
            for second in 1..8 {
                let (asked, answered) = (14 * second, 7 * second);
                let (seq, ack) = (101 + asked, 901 + answered);
                let after = u64::from(second) * 1_700_000;
                tell(after, false, ACK, seq, ack, b"*1\r\n$4\r\nPING\r\n");
                tell(after + 90, true, ACK, ack, seq + 14, b"+PONG\r\n");
            }
        } else if n % 3 != 0 {
            tell(500, false, FIN_ACK, 115, 908, b"");
            tell(600, true, FIN_ACK, 908, 116, b"");
            tell(700, false, ACK, 116, 909, b"");
        }
    }
    packets.sort_by_key(|&(at, _)| at);
    // pcap with microseconds, raw IP.
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (at, bytes) in packets {
        let seconds = 1_795_224_000 + (at / 1_000_000) as u32;
        let length = bytes.len() as u32;
        for word in [seconds, (at % 1_000_000) as u32, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

fn segment(
    client: [u8; 4],
    back: bool,
    flags: u8,
    [seq, ack]: [u32; 2],
    payload: &[u8],
) -> Vec<u8> {
    let server = [192, 0, 2, 1];
    let (ends, ports) = if back {
        ([server, client], [6379_u16, 40_000])
    } else {
        ([client, server], [40_000, 6379])
    };
    let mut bytes = vec![0x45, 0];
    bytes.extend((40 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend(ends.as_flattened());
    ports
        .iter()
        .for_each(|port| bytes.extend(port.to_be_bytes()));
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}
