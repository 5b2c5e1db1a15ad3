//! Decodes a pcap file from memory and says how fast; or, with `--lines`, prints each segment for comparison with
//! other tools. Not a reader of capture files: little-endian pcap only, for measuring `wire` alone.
//!
//! `cargo run --release -p tcplens-core --example decode -- [--lines | --passes N] [--checksum] FILE`

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use tcplens_core::packet::{LinkType, Packet};
use tcplens_core::time::Timestamp;
use tcplens_core::wire::segment::{FlowKey, Segment, address, has};
use tcplens_core::wire::{Checksum, DecodeSettings, Decoded, Decoder};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut lines, mut passes, mut file) = (false, 1, None);
    let mut settings = DecodeSettings::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--lines" => lines = true,
            "--passes" => passes = args.next().ok_or("--passes needs a number")?.parse()?,
            "--checksum" => settings.checksum = Checksum::All,
            _ => file = Some(arg),
        }
    }
    let bytes = std::fs::read(file.ok_or("no file named")?)?;
    if lines {
        print(&bytes, settings)
    } else {
        measure(&bytes, settings, passes)
    }
}

/// Calls `each` for every whole record; the packet's `at` counts from the beginning of `bytes`.
#[inline]
fn walk(bytes: &[u8], nanoseconds: bool, mut each: impl FnMut(Packet)) {
    let mut at = FILE_HEADER;
    let scale = if nanoseconds { 1 } else { 1000 };
    while let Some(header) = bytes.get(at..at + RECORD_HEADER) {
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let captured = word(8);
        let begin = at + RECORD_HEADER;
        at = begin + captured as usize;
        let Ok(begin) = u32::try_from(begin) else {
            break;
        };
        if at > bytes.len() {
            break;
        }
        let time = Timestamp(i64::from(word(0)) * 1_000_000_000 + i64::from(word(4)) * scale);
        each(Packet {
            time,
            at: begin,
            captured,
            length: word(12),
            interface: 0,
        });
    }
}

fn link_type(bytes: &[u8]) -> Result<(LinkType, bool), Box<dyn Error>> {
    let nanoseconds = match bytes.get(..4) {
        Some([0xd4, 0xc3, 0xb2, 0xa1]) => false,
        Some([0x4d, 0x3c, 0xb2, 0xa1]) => true,
        _ => return Err("not a little-endian pcap file".into()),
    };
    let link = bytes.get(20..22).ok_or("no file header")?;
    let link = u32::from(u16::from_le_bytes([link[0], link[1]]));
    Ok((
        if matches!(link, 12 | 14) {
            LinkType::RAW
        } else {
            LinkType(link)
        },
        nanoseconds,
    ))
}

fn measure(bytes: &[u8], settings: DecodeSettings, passes: u32) -> Result<(), Box<dyn Error>> {
    let (link, nanoseconds) = link_type(bytes)?;
    for _ in 0..passes {
        let mut decoder = Decoder::new(settings);
        let mut out = Segment::default();
        let (mut packets, mut fingerprint) = (0_u64, 0_u64);
        let start = Instant::now();
        walk(bytes, nanoseconds, |packet| {
            packets += 1;
            if decoder.decode(bytes, &packet, link, &mut out) == Decoded::Segment {
                fingerprint ^= out.hash ^ u64::from(out.seq) ^ u64::from(out.payload_length);
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        let per_packet = seconds * 1e9 / f64::from(u32::try_from(packets)?);
        println!("{packets} packets {seconds:.4} s {per_packet:.1} ns/packet {fingerprint:016x}");
        decoder.finish();
        println!("{:?}", decoder.counts());
    }
    Ok(())
}

/// One line per segment: frame, source, port, destination, port, sequence number, payload length, timestamps, window
/// and flags; and one per ICMP error.
fn print(bytes: &[u8], settings: DecodeSettings) -> Result<(), Box<dyn Error>> {
    let (link, nanoseconds) = link_type(bytes)?;
    let mut decoder = Decoder::new(settings);
    let mut out = Segment::default();
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let mut frame = 0_u64;
    let mut result = Ok(());
    walk(bytes, nanoseconds, |packet| {
        frame += 1;
        let line = match decoder.decode(bytes, &packet, link, &mut out) {
            Decoded::Segment => {
                let bad = if out.has & has::BAD_CHECKSUM != 0 {
                    " bad"
                } else {
                    ""
                };
                let times = if out.has & has::TIMESTAMPS != 0 {
                    (out.ts_value, out.ts_echo)
                } else {
                    (0, 0)
                };
                writeln!(
                    stdout,
                    "{frame} {} {} {} {} {} {} {:02x}{bad}",
                    ends(&out.flow, out.from),
                    out.seq,
                    out.payload_length,
                    times.0,
                    times.1,
                    out.window,
                    out.flags
                )
            }
            Decoded::Icmp(error) => {
                let quoted = &error.quoted;
                writeln!(
                    stdout,
                    "{frame} icmp {} {} {}",
                    error.kind,
                    error.code,
                    ends(&quoted.flow, quoted.from)
                )
            }
            Decoded::Other => Ok(()),
        };
        if result.is_ok() {
            result = line;
        }
    });
    result?;
    decoder.finish();
    for (reason, packets) in decoder.counts().all_undecoded() {
        eprintln!("{} {packets}", reason.word());
    }
    stdout.flush()?;
    Ok(())
}

fn ends(flow: &FlowKey, from: u8) -> String {
    let low = (address(flow.low), flow.ports[0]);
    let high = (address(flow.high), flow.ports[1]);
    let (source, destination) = if from == 0 { (low, high) } else { (high, low) };
    format!(
        "{} {} {} {}",
        source.0, source.1, destination.0, destination.1
    )
}
