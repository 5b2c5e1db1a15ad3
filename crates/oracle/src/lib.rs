//! What the comparisons with libpcap share: finding the shared material, reading files through libpcap,
//! and one verdict of libpcap next to one of ours. Not part of the product.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use pcap::{Capture, Offline};
use tcplens_core::filter::packet::{PacketFilter, Program};
use tcplens_core::packet::LinkType;

/// The shared material beside the workspace, if this machine has it.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    path.is_dir().then_some(path)
}

/// The expressions of a list: one a line, `#` begins a comment line.
#[must_use]
pub fn expressions(list: &str) -> Vec<&str> {
    list.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect()
}

/// Every file below a directory, in order of name.
#[must_use]
pub fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![below.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// One packet as libpcap hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Captured bytes.
    pub bytes: Vec<u8>,
    /// Bytes on the wire.
    pub length: u32,
    /// Seconds and the fraction, to tell equal packets apart.
    pub time: (i64, i64),
}

/// The link type and all packets that libpcap reads from a file; `None` if it cannot open it.
#[must_use]
pub fn read(path: &Path) -> Option<(LinkType, Vec<Seen>)> {
    let mut capture = Capture::from_file(path).ok()?;
    // libpcap numbers raw IP differently inside than in files.
    let link_type = match u32::try_from(capture.get_datalink().0).ok()? {
        12 => LinkType::RAW,
        other => LinkType(other),
    };
    Some((link_type, drain(&mut capture)))
}

fn drain(capture: &mut Capture<Offline>) -> Vec<Seen> {
    let mut packets = Vec::new();
    while let Ok(packet) = capture.next_packet() {
        packets.push(Seen {
            bytes: packet.data.to_vec(),
            length: packet.header.len,
            time: (packet.header.ts.tv_sec, packet.header.ts.tv_usec),
        });
    }
    packets
}

/// What came of one expression on one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same verdict for every packet; how many passed.
    Same(usize),
    /// Both refuse it for this link type.
    BothRefuse,
    /// One side refuses it because no packet can match, and the other passes none.
    NothingPasses(Refuser),
    /// Anything else, in words.
    Different(String),
}

/// Who saw that no packet can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// Only this crate's compiler.
    Us,
    /// Only libpcap's optimiser.
    Libpcap,
}

/// Gives an expression and the packets of a file to libpcap (with its optimiser) and to us.
#[must_use]
pub fn compare(path: &Path, link_type: LinkType, packets: &[Seen], expression: &str) -> Outcome {
    let ours = compile(expression, link_type);
    match (verdicts(path, packets, expression, true), ours) {
        (Err(_), Err(_)) => Outcome::BothRefuse,
        (Ok(theirs), Err(error)) => match theirs.contains(&true) {
            false if error.contains("can match this") => Outcome::NothingPasses(Refuser::Us),
            _ => Outcome::Different(format!("only we refuse: {error}")),
        },
        (Err(error), Ok(program)) => {
            let passes = packets.iter().any(|p| program.matches(&p.bytes, p.length));
            if !passes && error.contains("rejects all packets") {
                return Outcome::NothingPasses(Refuser::Libpcap);
            }
            Outcome::Different(format!("only libpcap refuses: {error}"))
        }
        (Ok(theirs), Ok(program)) => {
            let mut passed = 0;
            for (frame, (packet, they)) in packets.iter().zip(theirs).enumerate() {
                let we = program.matches(&packet.bytes, packet.length);
                if we != they {
                    let frame = frame + 1;
                    return Outcome::Different(format!("frame {frame}: we {we}, libpcap {they}"));
                }
                passed += usize::from(we);
            }
            Outcome::Same(passed)
        }
    }
}

/// libpcap's verdict on each packet of a file, as `tcpdump -r` gives it; with `optimize` false as
/// `tcpdump -O -r`.
///
/// # Errors
/// libpcap's message where it refuses the expression.
pub fn verdicts(
    path: &Path,
    packets: &[Seen],
    expression: &str,
    optimize: bool,
) -> Result<Vec<bool>, String> {
    let mut capture = Capture::from_file(path).map_err(|e| e.to_string())?;
    capture
        .filter(expression, optimize)
        .map_err(|e| e.to_string())?;
    let mut passed = drain(&mut capture).into_iter().peekable();
    let verdicts = packets
        .iter()
        .map(|p| passed.next_if(|next| next == p).is_some())
        .collect();
    match passed.next() {
        None => Ok(verdicts),
        Some(_) => Err("the packets that libpcap passes are not a part of the file".to_owned()),
    }
}

/// Our program, or our error as text.
///
/// # Errors
/// Whatever [`PacketFilter`] refuses.
pub fn compile(expression: &str, link_type: LinkType) -> Result<Program, String> {
    let filter = PacketFilter::parse(expression).map_err(|e| e.to_string())?;
    filter.compile(link_type).map_err(|e| e.to_string())
}
