//! Walks capture files and does nothing else: the cost of reading, to compare with `floor walk
//! FILE`. Usage: walk [--touch] FILE... (`--touch`: also loads each packet's first 54 bytes, as a
//! decoder would)

use std::path::Path;

use tcplens_capture::file::{FileSource, Options, Status};
use tcplens_core::packet::Batch;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut batch = Batch::default();
    let mut touch = false;
    for file in std::env::args().skip(1) {
        if file == "--touch" {
            touch = true;
            continue;
        }
        let mut source = FileSource::open(Path::new(&file), Options::default())?;
        let (mut packets, mut bytes, mut batches, mut fingerprint) = (0u64, 0u64, 0u64, 0u32);
        loop {
            match source.next_batch(&mut batch)? {
                Status::Packets => batches += 1,
                Status::Idle => continue,
                Status::End => break,
            }
            for packet in &batch.packets {
                packets += 1;
                bytes += u64::from(packet.length);
                fingerprint ^= packet.captured;
                if touch {
                    let header = batch.data(packet).first_chunk::<54>();
                    let words = header.map_or(&[][..], |header| header.as_chunks::<4>().0);
                    fingerprint = words
                        .iter()
                        .fold(fingerprint, |sum, word| sum ^ u32::from_le_bytes(*word));
                }
            }
        }
        println!(
            "{file}: {packets} packets, {bytes} bytes on the wire, {batches} batches, {fingerprint:x}"
        );
        for damage in source.damages() {
            println!("{damage}");
        }
    }
    Ok(())
}
