//! What can go wrong with a capture file: it cannot be used at all ([`FileError`]), or only up to a
//! place ([`Damage`]).

use std::fmt;
use std::io;

/// A capture file that cannot be read or written at all. The message says what was tried, on what,
/// why it failed and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened.
    #[error("cannot open {file}: {error}{}", open_hint(error))]
    Open {
        /// The file as the user named it.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// The name is a directory's.
    #[error("cannot read {file}: it is a directory; name the capture files in it ({file}/*.pcap)")]
    Directory {
        /// The file as the user named it.
        file: String,
    },
    /// The first read failed.
    #[error("cannot read {file}: {error}")]
    Read {
        /// The file as the user named it.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Not a single byte.
    #[error(
        "cannot read {file}: it is empty, it has no capture header; if its writer has just started, \
         read it with --follow"
    )]
    Empty {
        /// The file as the user named it.
        file: String,
    },
    /// The first bytes are those of something else.
    #[error(
        "cannot read {file}: not a capture file, it begins with {}; {}",
        Head(head),
        head_hint(head)
    )]
    NotCapture {
        /// The file as the user named it.
        file: String,
        /// Its first bytes (after decompression).
        head: Vec<u8>,
    },
    /// A capture of a kind or version that we cannot read.
    #[error("cannot read {file}: {what}")]
    Unsupported {
        /// The file as the user named it.
        file: String,
        /// What is not supported, and what to do.
        what: String,
    },
    /// The observation has more interfaces than a table may hold.
    #[error(
        "cannot merge {file}: more than {limit} interfaces in one observation; \
         read fewer files at once"
    )]
    Interfaces {
        /// The file whose interface did not fit.
        file: String,
        /// The bound.
        limit: usize,
    },
    /// The file cannot be created or written.
    #[error("cannot write {file}: {error}{}", write_hint(error))]
    Write {
        /// The file as the user named it.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// The packets do not fit the format of the output file.
    #[error("cannot write {file}: {what}")]
    Format {
        /// The file as the user named it.
        file: String,
        /// Why, and what to do.
        what: String,
    },
}

/// Where a file stops making sense. All whole packets before that place were delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file as the user named it.
    pub file: String,
    /// Offset of the first record that is not whole, in bytes of the (decompressed) capture.
    pub at: u64,
    /// Whether `at` counts decompressed bytes of a compressed file.
    pub decompressed: bool,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.decompressed {
            "decompressed byte"
        } else {
            "byte"
        };
        write!(
            f,
            "{} is damaged at {unit} {}: {}; only what is before it was read",
            self.file, self.at, self.what
        )
    }
}

fn open_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; read it as its owner or as root",
        _ => "",
    }
}

fn write_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; create its directory first",
        io::ErrorKind::PermissionDenied => "; choose a directory that you may write to",
        io::ErrorKind::StorageFull => "; free some space or choose another file system",
        _ => "",
    }
}

/// Names what a file that is no capture looks like.
fn head_hint(head: &[u8]) -> &'static str {
    const KNOWN: [(&[u8], &str); 7] = [
        (
            b"\xfd7zXZ\0",
            "an xz archive: decompress it first (xz -dc FILE | tcplens -r -)",
        ),
        (
            b"BZh",
            "a bzip2 archive: decompress it first (bzip2 -dc FILE | tcplens -r -)",
        ),
        (
            b"\x04\x22\x4d\x18",
            "an lz4 archive: decompress it first (lz4 -dc FILE | tcplens -r -)",
        ),
        (b"PK\x03\x04", "a zip archive: extract it first"),
        (
            b"snoop\0\0\0",
            "a snoop capture: convert it first (editcap -F pcap FILE OUT)",
        ),
        (
            b"\x1f\x8b",
            "compressed twice or not supported here: decompress it first (gzip -dc)",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "compressed twice or not supported here: decompress it first (zstd -dc)",
        ),
    ];
    let known = KNOWN.iter().find(|(magic, _)| head.starts_with(magic));
    known.map_or(
        "pcap and pcapng are read, also compressed with gzip or zstd",
        |(_, hint)| hint,
    )
}

/// The first bytes in hex and as printable characters.
struct Head<'a>(&'a [u8]);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x} ")?;
        }
        write!(f, "\"")?;
        for &byte in self.0 {
            let printable = byte == b' ' || byte.is_ascii_graphic();
            write!(f, "{}", if printable { char::from(byte) } else { '.' })?;
        }
        write!(f, "\"")
    }
}
