//! Frames at the end of files: each is a whole compressed frame (zstd level 3, with a checksum) that goes out in one
//! write(2) to a file that is opened for it and closed. A row of frames is what every reader of zstd reads as one, so a file
//! is whole after each of them, whenever the program is killed. Nothing is synced: a power failure may cost the last ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// zstd's own choice, and that of tcp-info.
const LEVEL: i32 = 3;

/// Makes frames, one after another in the same memory.
pub(super) struct Frames {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

impl Frames {
    pub(super) fn new() -> io::Result<Frames> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Frames {
            compressor,
            frame: Vec::new(),
        })
    }

    /// A frame of these bytes.
    pub(super) fn of(&mut self, bytes: &[u8]) -> io::Result<&[u8]> {
        self.frame.clear();
        self.frame
            .reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.compressor.compress_to_buffer(bytes, &mut self.frame)?;
        Ok(&self.frame)
    }
}

/// Appends a frame to a file that exists. A frame that finds no room leaves nothing of itself: what comes behind half a frame
/// could not be read.
pub(super) fn append(path: &Path, frame: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    let before = file.metadata()?.len();
    file.write_all(frame).inspect_err(|_| {
        // If that fails as well, the end is torn, and readers say so.
        let _ = file.set_len(before);
    })
}

/// A file that was not there, with its directories.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let new = || OpenOptions::new().append(true).create_new(true).open(path);
    match new() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            new()
        }
        result => result,
    }
}

/// Writes a new file's first frame; one that finds no room leaves no file.
pub(super) fn begin(mut file: File, path: &Path, frame: &[u8]) -> io::Result<()> {
    file.write_all(frame).inspect_err(|_| {
        // It is ours, and nothing is in it. If it stays, it is an empty file.
        let _ = fs::remove_file(path);
    })
}
