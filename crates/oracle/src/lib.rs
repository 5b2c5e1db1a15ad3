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
    /// Anything else, in words.
    Different(String),
}

/// Gives an expression and the packets of a file to libpcap and to us.
#[must_use]
pub fn compare(path: &Path, link_type: LinkType, packets: &[Seen], expression: &str) -> Outcome {
    let ours = compile(expression, link_type);
    let Ok(mut capture) = Capture::from_file(path) else {
        return Outcome::Different("the file cannot be opened any more".to_owned());
    };
    let program = match (capture.filter(expression, true), ours) {
        (Err(_), Err(_)) => return Outcome::BothRefuse,
        (Ok(()), Err(error)) => return Outcome::Different(format!("only we refuse: {error}")),
        (Err(error), Ok(_)) => {
            return Outcome::Different(format!("only libpcap refuses: {error}"));
        }
        (Ok(()), Ok(program)) => program,
    };
    let mut theirs = drain(&mut capture).into_iter().peekable();
    let mut passed = 0;
    for (frame, packet) in packets.iter().enumerate() {
        let we = program.matches(&packet.bytes, packet.length);
        let they = theirs.next_if(|next| next == packet).is_some();
        if we != they {
            return Outcome::Different(format!("frame {}: we say {we}, libpcap {they}", frame + 1));
        }
        passed += usize::from(we);
    }
    if theirs.next().is_some() {
        return Outcome::Different("the packets that libpcap passes are not in order".to_owned());
    }
    Outcome::Same(passed)
}

/// Our program, or our error as text.
///
/// # Errors
/// Whatever [`PacketFilter`] refuses.
pub fn compile(expression: &str, link_type: LinkType) -> Result<Program, String> {
    let filter = PacketFilter::parse(expression).map_err(|e| e.to_string())?;
    filter.compile(link_type).map_err(|e| e.to_string())
}
