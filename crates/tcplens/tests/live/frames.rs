//! Frames that are put on a cable as they are, for what sockets do not send: tags, and what nobody asked for. By python3, for
//! nothing here may hold unsafe code.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::namespace::Namespace;

/// Reads frames in hexadecimal, one per line.
const SEND: &str = "
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line))
";

/// The same of lines that begin with how many ns after the first a frame is due.
const SEND_PACED: &str = "
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
frames = [(int(at), bytes.fromhex(frame)) for at, frame in map(str.split, sys.stdin)]
began = time.monotonic_ns()
for at, frame in frames:
    while (left := began + at - time.monotonic_ns()) > 0:
        time.sleep(left / 2e9 if left > 200000 else 0)
    s.send(frame)
";

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Sends frames in an order of their own out of an interface. False: it cannot be done here, which is said.
pub(crate) fn send(from: &Namespace, interface: &str, frames: &[Vec<u8>]) -> bool {
    let lines = frames.iter().map(|frame| hex(frame));
    python(from, interface, SEND, lines)
}

/// Sends frames when they are due: each so many ns after the first.
pub(crate) fn send_paced(from: &Namespace, interface: &str, frames: &[(u64, Vec<u8>)]) -> bool {
    let lines = frames
        .iter()
        .map(|(at, frame)| format!("{at} {}", hex(frame)));
    python(from, interface, SEND_PACED, lines)
}

/// The frames of a capture (little-endian pcap of microseconds, Ethernet), with ns after the first.
pub(crate) fn of_capture(capture: &std::path::Path) -> Vec<(u64, Vec<u8>)> {
    let bytes = std::fs::read(capture).unwrap();
    assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_le_bytes(), "{capture:?}");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(20), 1, "Ethernet");
    let (mut at, mut frames) = (24, Vec::new());
    while at < bytes.len() {
        let time = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)) * 1000;
        let length = word(at + 8) as usize;
        frames.push((time, bytes[at + 16..at + 16 + length].to_vec()));
        at += 16 + length;
    }
    let first = frames.first().map_or(0, |(time, _)| *time);
    frames.iter_mut().for_each(|(time, _)| *time -= first);
    frames
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn python(
    from: &Namespace,
    interface: &str,
    program: &str,
    lines: impl Iterator<Item = String>,
) -> bool {
    let mut python = Command::new("python3");
    python
        .args(["-c", program, interface])
        .stdin(Stdio::piped());
    let Ok(mut child) = from.within(|| python.spawn()) else {
        println!("SKIPPED: no python3");
        return false;
    };
    let mut pipe = child.stdin.take().unwrap();
    for line in lines {
        writeln!(pipe, "{line}").unwrap();
    }
    drop(pipe);
    assert!(child.wait().unwrap().success());
    true
}

/// Both directions of a connection with one request, from 10.9.7.2 to 10.9.7.1:6379.
pub(crate) fn connection(vlan: Option<u16>, client_port: u16) -> Vec<Vec<u8>> {
    let segment = |from_client: bool, flags, seq, ack, payload: &[u8]| {
        let (mut from, mut to) = (([10, 9, 7, 2], client_port), ([10, 9, 7, 1], 6379));
        if !from_client {
            std::mem::swap(&mut from, &mut to);
        }
        frame(vlan, from, to, (flags, seq, ack), payload)
    };
    vec![
        segment(true, SYN, 100, 0, b""),
        segment(false, SYN | ACK, 500, 101, b""),
        segment(true, ACK, 101, 501, b""),
        segment(true, ACK, 101, 501, b"*1\r\n$4\r\nPING\r\n"),
        segment(false, ACK, 501, 115, b"+PONG\r\n"),
        segment(true, ACK, 115, 508, b""),
        segment(true, FIN | ACK, 115, 508, b""),
        segment(false, FIN | ACK, 508, 116, b""),
        segment(true, ACK, 116, 509, b""),
    ]
}

/// Ethernet, a tag if there is one, IPv4, TCP. To nobody's address: no kernel answers.
fn frame(
    vlan: Option<u16>,
    from: ([u8; 4], u16),
    to: ([u8; 4], u16),
    (flags, seq, ack): (u8, u32, u32),
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 77, 2, 0, 0, 0, 0, 78];
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([seq as u8, ack as u8, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(from.0);
    frame.extend(to.0);
    frame.extend(from.1.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, flags, 0x80, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}
