//! Walks capture files and does nothing else: the cost of reading, to compare with `floor walk
//! FILE`.
//!
//! Usage: walk [--touch] [--merge] [--list] [--write=OUT] FILE... `--touch` also loads each
//! packet's first 54 bytes, as a decoder would; `--merge` reads the files as one observation;
//! `--list` prints time in ns, captured length, length and link type of every packet; `--write=OUT`
//! writes them to a capture file (of the last FILE without `--merge`).

use std::path::{Path, PathBuf};

use tcplens_capture::file::{CaptureWriter, MergedSource, Options, Status};
use tcplens_core::packet::Batch;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, files): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    let together = if has("--merge") {
        files.len().max(1)
    } else {
        1
    };
    for files in files.chunks(together) {
        let out = flags.iter().find_map(|flag| flag.strip_prefix("--write="));
        walk(files, has("--touch"), has("--list"), out)?;
    }
    Ok(())
}

fn walk(
    files: &[PathBuf],
    touch: bool,
    list: bool,
    out: Option<&str>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut source = MergedSource::open(files, Options::default())?;
    let mut writer = out
        .map(|out| CaptureWriter::create(Path::new(out)))
        .transpose()?;
    let mut batch = Batch::default();
    let (mut packets, mut bytes, mut batches, mut fingerprint) = (0u64, 0u64, 0u64, 0u32);
    loop {
        match source.next_batch(&mut batch)? {
            Status::Packets => batches += 1,
            Status::Idle => continue,
            Status::End => break,
        }
        if let Some(writer) = &mut writer {
            writer.write_batch(&batch)?;
        }
        for packet in &batch.packets {
            packets += 1;
            bytes += u64::from(packet.length);
            fingerprint ^= packet.captured;
            if touch {
                let header = batch.data(packet).first_chunk::<54>();
                let words = header.map_or(&[][..], |header| header.as_chunks::<4>().0);
                fingerprint ^= words
                    .iter()
                    .fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
            }
            if list {
                let link = batch
                    .interfaces
                    .get(packet.interface as usize)
                    .map(|i| i.link_type.0);
                println!(
                    "{} {} {} {link:?}",
                    packet.time.0, packet.captured, packet.length
                );
            }
        }
    }
    if let Some(writer) = writer {
        println!("{:?}", writer.finish()?);
    }
    let (read, total) = source.position();
    println!(
        "{packets} packets, {bytes} bytes, {batches} batches, {fingerprint:x}, {read} of {total:?}"
    );
    for damage in source.damages() {
        println!("{damage}");
    }
    Ok(())
}
