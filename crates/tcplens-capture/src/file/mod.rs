//! Capture files: a streaming reader and writer of pcap and pcapng, plain or compressed.
//!
//! [`MergedSource`] is what a command reads from: one file or several as one observation.
//! [`FileSource`] is one file, [`CaptureWriter`] writes one. Nothing here looks inside a packet,
//! maps a file into memory, or reads a clock.
//!
//! References: draft-ietf-opsawg-pcap (pcap), draft-ietf-opsawg-pcapng (pcapng), RFC 1952 (gzip),
//! RFC 8878 (zstd). Where files in the wild differ from these, we read what libpcap and Wireshark
//! read; each place says so.
//!
//! Memory: a reader holds one partial record, at most [`MAX_RECORD`] and a header. A batch holds
//! [`BLOCK`] bytes of the file, or the one larger record that did not fit, and at most one packet
//! for every 16 of them. Merging holds a batch for every file that overlaps others at the time. A
//! zstd file may ask for a window of 128 MiB; one that asks for more is damaged to us. Interfaces
//! are bounded by [`MAX_INTERFACES`] per file, remembered damage by [`MAX_DAMAGES`] per file.

mod begin;
mod bytes;
mod error;
mod follow;
mod input;
mod merge;
mod pcap;
mod pcapng;
mod reader;
mod write;

pub use error::{Damage, FileError};
pub use merge::MergedSource;
pub use reader::{FileSource, Options, Status};
pub use write::{CaptureWriter, Written};

/// Bytes that are read at once, at most. 1 MiB took 2 to 5 % more CPU time on big1g, mixed2m and
/// redis10m, the same on http10m, and up to 1 MB more memory on one thread, 7 MB on two; 128 KiB
/// took 2 % more on big1g (7 to 15 rounds in turns, from the page cache). On two threads 256 KiB,
/// 512 KiB and 1 MiB took the same time but for big1g: 0.069, 0.070 and 0.077 s.
pub const BLOCK: usize = 256 * 1024;

/// Largest captured length that is believed although no header announces it; libpcap's
/// MAXIMUM_SNAPLEN.
pub const USUAL_MAX_RECORD: u32 = 262_144;

/// Largest captured length that is believed if the file's snap length announces it. Also the
/// largest pcapng block. Chosen: Wireshark's and libpcap's bound for pcapng blocks.
pub const MAX_RECORD: u32 = 16 * 1024 * 1024;

/// Interfaces of one file; one more is damage. Chosen: far above what any capture has.
pub const MAX_INTERFACES: usize = 4096;

/// Damages that a source remembers; later ones are only counted. Only a followed file has more than
/// one.
pub const MAX_DAMAGES: usize = 64;
