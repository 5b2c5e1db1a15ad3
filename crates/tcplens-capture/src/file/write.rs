//! Writes capture files: pcap with nanoseconds, or pcapng when the name says so; compressed when
//! the name says so. Not a copy of the input file: packets only, without its comments, names or statistics. A caller may
//! give a packet a comment of its own.
//!
//! References: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;

use flate2::write::GzEncoder;
use tcplens_core::packet::{Batch, Interface, LinkType, Packet};
use tcplens_core::time::SECOND;

use super::error::FileError;
use super::{BLOCK, USUAL_MAX_RECORD};

/// zstd's own default level.
const ZSTD_LEVEL: i32 = 3;

/// What a finished capture file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Packets written.
    pub packets: u64,
    /// Packets whose time the format cannot hold (before 1970; in pcap also after 2106); they have
    /// the nearest it can.
    pub clamped_times: u64,
    /// Packets that were longer than any reader accepts and were cut to [`USUAL_MAX_RECORD`] bytes.
    pub cut_packets: u64,
}

/// A writer of one capture file. The last `.gz` or `.zst` of the name compresses; `.pcapng` or
/// `.ntar` before it is pcapng, anything else pcap, which has one link type.
pub struct CaptureWriter {
    name: String,
    sink: Sink,
    format: Format,
    written: Written,
    /// Bytes before compression.
    put: u64,
    /// Of a compressed file: its size when `put` was what stands beside it.
    compressed: (u64, u64),
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

enum Format {
    /// The link type and frame check sequence that the header names, once it is written.
    Pcap(Option<(LinkType, u8)>),
    /// The interfaces that are declared already, the first of the observation's table.
    Pcapng { declared: usize },
}

impl CaptureWriter {
    /// Creates or replaces a file; `-` is standard output.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> Result<CaptureWriter, FileError> {
        Self::over(path, |path| File::create(path))
    }

    /// The same with a file that `open` opens, for names that must not exist yet.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn over(
        path: &Path,
        open: impl FnOnce(&Path) -> io::Result<File>,
    ) -> Result<CaptureWriter, FileError> {
        let is_stdout = path.as_os_str() == "-";
        let name = if is_stdout {
            "standard output".to_owned()
        } else {
            path.display().to_string()
        };
        let failed = |error| FileError::Write {
            file: name.clone(),
            error,
        };
        let file = if is_stdout {
            File::from(io::stdout().as_fd().try_clone_to_owned().map_err(failed)?)
        } else {
            open(path).map_err(failed)?
        };
        let lower = name.to_ascii_lowercase();
        let plain = lower
            .strip_suffix(".gz")
            .or(lower.strip_suffix(".zst"))
            .unwrap_or(&lower);
        let is_pcapng = plain.ends_with(".pcapng") || plain.ends_with(".ntar");
        let buffered = BufWriter::with_capacity(BLOCK, file);
        let sink = if lower.ends_with(".gz") {
            Sink::Gzip(GzEncoder::new(buffered, flate2::Compression::default()))
        } else if lower.ends_with(".zst") {
            Sink::Zstd(zstd::Encoder::new(buffered, ZSTD_LEVEL).map_err(failed)?)
        } else {
            Sink::Plain(buffered)
        };
        let format = if is_pcapng {
            Format::Pcapng { declared: 0 }
        } else {
            Format::Pcap(None)
        };
        let mut writer = CaptureWriter {
            name,
            sink,
            format,
            written: Written::default(),
            put: 0,
            compressed: (0, 0),
        };
        if is_pcapng {
            writer.put(&section_header())?;
        }
        Ok(writer)
    }

    /// Writes every packet of a batch.
    ///
    /// # Errors
    /// As [`CaptureWriter::write`].
    pub fn write_batch(&mut self, batch: &Batch) -> Result<(), FileError> {
        batch
            .packets
            .iter()
            .try_for_each(|packet| self.write(packet, batch.data(packet), &batch.interfaces))
    }

    /// Writes one packet with its captured bytes; `interfaces` is the observation's table, which
    /// may have grown.
    ///
    /// # Errors
    /// The file cannot be written; or it is pcap, which has one link type, and this packet has
    /// another.
    pub fn write(
        &mut self,
        packet: &Packet,
        data: &[u8],
        interfaces: &[Interface],
    ) -> Result<(), FileError> {
        self.write_commented(packet, data, interfaces, "")
    }

    /// The same with a comment, unless that is empty: pcapng only, pcap has none. Cut at 65,535 bytes.
    ///
    /// # Errors
    /// As [`CaptureWriter::write`].
    pub fn write_commented(
        &mut self,
        packet: &Packet,
        data: &[u8],
        interfaces: &[Interface],
        comment: &str,
    ) -> Result<(), FileError> {
        let whole = data.len();
        let data = data.get(..USUAL_MAX_RECORD as usize).unwrap_or(data);
        self.written.cut_packets += u64::from(data.len() < whole);
        match self.format {
            Format::Pcap(header) => self.pcap(packet, data, interfaces, header)?,
            Format::Pcapng { declared } => {
                self.pcapng(packet, data, interfaces, declared, comment)?;
            }
        }
        self.written.packets += 1;
        Ok(())
    }

    /// Bytes of the file so far. Of a compressed one as it was up to 256 KiB of packets ago: its compressor keeps some back.
    pub fn size(&mut self) -> u64 {
        let file = match &self.sink {
            Sink::Plain(_) => return self.put,
            Sink::Gzip(encoder) => encoder.get_ref().get_ref(),
            Sink::Zstd(encoder) => encoder.get_ref().get_ref(),
        };
        if self.put - self.compressed.1 >= BLOCK as u64 {
            let size = file.metadata().map_or(self.compressed.0, |file| file.len());
            self.compressed = (size, self.put);
        }
        self.compressed.0
    }

    /// Hands everything written so far to the system, so that a reader of the growing file sees it.
    /// Costs compression.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<(), FileError> {
        self.sink
            .as_write()
            .flush()
            .map_err(|error| self.failed(error))
    }

    /// Completes the file. Without this call a compressed file is not whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<Written, FileError> {
        if let Format::Pcap(None) = self.format {
            // No packets: an empty capture all the same, of the commonest link type.
            self.put(&pcap_header(LinkType::ETHERNET, 0))?;
        }
        let CaptureWriter {
            name,
            sink,
            written,
            ..
        } = self;
        let finished = match sink {
            Sink::Plain(file) => Ok(file),
            Sink::Gzip(encoder) => encoder.finish(),
            Sink::Zstd(encoder) => encoder.finish(),
        };
        let flushed = finished.and_then(|mut file| file.flush());
        flushed.map_err(|error| FileError::Write { file: name, error })?;
        Ok(written)
    }

    fn pcap(
        &mut self,
        packet: &Packet,
        data: &[u8],
        interfaces: &[Interface],
        header: Option<(LinkType, u8)>,
    ) -> Result<(), FileError> {
        let interface = self.interface(packet, interfaces)?;
        let kind = (interface.link_type, interface.fcs_bytes);
        if header.is_none() {
            self.put(&pcap_header(kind.0, kind.1))?;
            self.format = Format::Pcap(Some(kind));
        } else if header != Some(kind) {
            let what =
                "its packets have several link types, pcap can hold one; name the file .pcapng";
            return Err(FileError::Format {
                file: self.name.clone(),
                what: what.to_owned(),
            });
        }
        let ns = packet.time.0.max(0);
        let seconds = u32::try_from(ns / SECOND);
        self.written.clamped_times += u64::from(packet.time.0 < 0 || seconds.is_err());
        let (seconds, fraction) = match seconds {
            Ok(seconds) => (seconds, (ns % SECOND) as u32),
            Err(_) => (u32::MAX, 999_999_999),
        };
        let mut record = [0; 16];
        fill(
            &mut record,
            &[seconds, fraction, data.len() as u32, packet.length],
        );
        self.put(&record)?;
        self.put(data)
    }

    fn pcapng(
        &mut self,
        packet: &Packet,
        data: &[u8],
        interfaces: &[Interface],
        declared: usize,
        comment: &str,
    ) -> Result<(), FileError> {
        self.interface(packet, interfaces)?;
        for interface in interfaces.get(declared..).unwrap_or_default() {
            let block = interface_block(interface).ok_or_else(|| FileError::Format {
                file: self.name.clone(),
                what: format!("link type {} is none of pcapng's", interface.link_type.0),
            })?;
            self.put(&block)?;
        }
        self.format = Format::Pcapng {
            declared: declared.max(interfaces.len()),
        };
        self.written.clamped_times += u64::from(packet.time.0 < 0);
        let ns = packet.time.0.max(0);
        let padding = data.len().next_multiple_of(4) - data.len();
        let mut options = Vec::new();
        if !comment.is_empty() {
            option(&mut options, 1, comment.as_bytes());
            option(&mut options, 0, &[]);
        }
        let length = (32 + data.len() + padding + options.len()) as u32;
        let (high, low) = ((ns >> 32) as u32, ns as u32);
        let mut head = [0; 28];
        fill(
            &mut head,
            &[
                6,
                length,
                packet.interface,
                high,
                low,
                data.len() as u32,
                packet.length,
            ],
        );
        self.put(&head)?;
        self.put(data)?;
        self.put(&[0; 3][..padding])?;
        self.put(&options)?;
        self.put(&length.to_le_bytes())
    }

    fn interface<'a>(
        &self,
        packet: &Packet,
        interfaces: &'a [Interface],
    ) -> Result<&'a Interface, FileError> {
        let interface = interfaces.get(packet.interface as usize);
        interface.ok_or_else(|| FileError::Format {
            file: self.name.clone(),
            what: format!(
                "a packet is of interface {}, which nobody declared",
                packet.interface
            ),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.put += bytes.len() as u64;
        self.sink
            .as_write()
            .write_all(bytes)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> FileError {
        FileError::Write {
            file: self.name.clone(),
            error,
        }
    }
}

impl Sink {
    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Sink::Plain(file) => file,
            Sink::Gzip(encoder) => encoder,
            Sink::Zstd(encoder) => encoder,
        }
    }
}

/// Always the nanosecond kind: whether a source's times have more digits than microseconds is known
/// too late.
fn pcap_header(link_type: LinkType, fcs_bytes: u8) -> [u8; 24] {
    let fcs = if fcs_bytes > 0 {
        1 << 26 | u32::from(fcs_bytes / 2) << 28
    } else {
        0
    };
    let mut header = [0; 24];
    let version = 2 | 4 << 16;
    fill(
        &mut header,
        &[
            0xa1b2_3c4d,
            version,
            0,
            0,
            USUAL_MAX_RECORD,
            (link_type.0 & 0xffff) | fcs,
        ],
    );
    header
}

fn section_header() -> [u8; 28] {
    let mut block = [0; 28];
    // Length of the section: not known.
    fill(
        &mut block,
        &[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28],
    );
    block
}

/// An interface with nanosecond times and no snap length; `None` if its link type has no number in
/// pcapng.
fn interface_block(interface: &Interface) -> Option<Vec<u8>> {
    let mut options = Vec::new();
    if let Some(name) = &interface.name {
        let name = name.as_bytes();
        option(&mut options, 2, name.get(..255).unwrap_or(name));
    }
    option(&mut options, 9, &[9]);
    if interface.fcs_bytes > 0 {
        option(&mut options, 13, &[interface.fcs_bytes]);
    }
    option(&mut options, 0, &[]);
    let length = (20 + options.len()) as u32;
    let link_type = u16::try_from(interface.link_type.0).ok()?;
    let mut block = vec![0; 16];
    fill(&mut block, &[1, length, link_type.into(), 0]);
    block.extend_from_slice(&options);
    block.extend_from_slice(&length.to_le_bytes());
    Some(block)
}

/// Appends one option of a pcapng block: code, length, value, padding. 0 ends the list.
fn option(options: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    options.extend_from_slice(&code.to_le_bytes());
    options.extend_from_slice(&length.to_le_bytes());
    options.extend_from_slice(value.get(..length.into()).unwrap_or(value));
    options.resize(options.len().next_multiple_of(4), 0);
}

/// Writes words in little-endian order.
fn fill(bytes: &mut [u8], words: &[u32]) {
    for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_le_bytes());
    }
}
