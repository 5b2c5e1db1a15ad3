//! What capture files may be asked to do, seen from outside: through the public API and real files
//! only.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod build;
mod damage;
mod follow;
mod formats;
mod merge;
mod truths;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
use tcplens_capture::file::{Damage, FileError, FileSource, MergedSource, Options, Status};
use tcplens_core::packet::{Batch, Interface};

/// Nobody waits in a test.
const AT_ONCE: Options = Options {
    follow: false,
    wait: Duration::ZERO,
};
const FOLLOW: Options = Options {
    follow: true,
    wait: Duration::ZERO,
};

/// A file of its own for a test, removed at the end.
struct Temp(PathBuf);

impl Temp {
    fn new(suffix: &str) -> Temp {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}{suffix}", std::process::id());
        Temp(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn with(bytes: &[u8]) -> Temp {
        let temp = Temp::new(".pcap");
        std::fs::write(&temp.0, bytes).unwrap();
        temp
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // It may never have been created.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A packet with everything that a source says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    ns: i64,
    data: Vec<u8>,
    length: u32,
    interface: u32,
}

/// All that came out of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    packets: Vec<Seen>,
    interfaces: Vec<Interface>,
    damages: Vec<Damage>,
}

fn take(batch: &Batch, packets: &mut Vec<Seen>) {
    packets.extend(batch.packets.iter().map(|packet| {
        let data = batch.data(packet).to_vec();
        assert_eq!(
            data.len(),
            packet.captured as usize,
            "a packet lies in its batch"
        );
        assert!(
            (packet.interface as usize) < batch.interfaces.len(),
            "its interface is known"
        );
        Seen {
            ns: packet.time.0,
            data,
            length: packet.length,
            interface: packet.interface,
        }
    }));
}

fn read_all(source: &mut FileSource) -> Result<Outcome, FileError> {
    let (mut outcome, mut batch) = (Outcome::default(), Batch::default());
    loop {
        match source.next_batch(&mut batch)? {
            Status::Packets => take(&batch, &mut outcome.packets),
            Status::Idle => {}
            Status::End => break,
        }
    }
    outcome.interfaces = batch.interfaces.to_vec();
    outcome.damages = source.damages().to_vec();
    Ok(outcome)
}

fn read(path: &Path) -> Result<Outcome, FileError> {
    read_all(&mut FileSource::open(path, AT_ONCE)?)
}

fn read_bytes(bytes: &[u8]) -> Result<Outcome, FileError> {
    read(&Temp::with(bytes).0)
}

fn read_merged(paths: &[&Path]) -> Result<Outcome, FileError> {
    let mut source = MergedSource::open(paths, AT_ONCE)?;
    let (mut outcome, mut batch) = (Outcome::default(), Batch::default());
    loop {
        match source.next_batch(&mut batch)? {
            Status::Packets => take(&batch, &mut outcome.packets),
            Status::Idle => {}
            Status::End => break,
        }
    }
    outcome.interfaces = batch.interfaces.to_vec();
    outcome.damages = source.damages().cloned().collect();
    Ok(outcome)
}

/// The packets' bytes according to the pcap-parser crate; `None` if it fails.
fn parsed(path: &Path) -> Option<Vec<Vec<u8>>> {
    let mut reader = create_reader(1 << 20, std::fs::File::open(path).unwrap()).ok()?;
    let mut packets = vec![];
    loop {
        match reader.next() {
            Ok((size, block)) => {
                match block {
                    PcapBlockOwned::Legacy(packet) => packets.push(packet.data.to_vec()),
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        packets.push(packet.data.get(..packet.caplen as usize)?.to_vec());
                    }
                    _ => {}
                }
                reader.consume(size);
            }
            Err(PcapError::Eof) => return Some(packets),
            Err(PcapError::Incomplete(_)) => reader.refill().ok()?,
            Err(_) => return None,
        }
    }
}
