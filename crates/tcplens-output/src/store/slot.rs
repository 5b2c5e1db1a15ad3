//! A file in the making: of one kind and date, written aside, with its segment of the journal while it is not whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tcplens_core::record::{
    Connection, Finding, Handshake, Health, Record, Request, Rollup, Socket,
};
use tcplens_core::time::Timestamp;

use super::StoreKind;
use super::journal::{Segment, SegmentName};
use crate::cell::Cell;
use crate::parquet::{ParquetFile, create_aside};

/// See the module.
pub(super) struct Slot {
    pub(super) name: SegmentName,
    /// `None`: it could not be written, and what the segment has is all there is.
    pub(super) file: Option<ParquetFile<File>>,
    pub(super) path: PathBuf,
    /// Of live runs.
    pub(super) segment: Option<Segment>,
    /// When it was begun, by the wall clock.
    pub(super) since: Timestamp,
    /// Rows, written or not.
    pub(super) rows: u64,
    /// The number of the record that came last.
    pub(super) used: u64,
}

impl Slot {
    pub(super) fn push<R: Record>(&mut self, record: &R) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.push(record),
            None => Ok(()),
        }
    }

    pub(super) fn push_cells(&mut self, host: &str, cells: &[Cell]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.push_cells(host, cells),
            None => Ok(()),
        }
    }

    /// Lets go of a file that cannot be written.
    pub(super) fn abandon(&mut self) {
        if self.file.take().is_some() {
            // Nothing can be read of it; where it cannot go, it says by its name what it is.
            let _ = fs::remove_file(part(&self.path));
        }
    }

    /// Bytes that were written, and those that wait in memory.
    pub(super) fn size(&self) -> (u64, usize) {
        self.file.as_ref().map_or((0, 0), ParquetFile::size)
    }

    /// Records that are neither in the file nor in the journal, nor can be any more.
    pub(super) fn lost(&self) -> u64 {
        match (&self.file, &self.segment) {
            (Some(_), _) => 0,
            (None, Some(segment)) => segment.lines().1,
            (None, None) => self.rows,
        }
    }
}

/// Where a file is until it is whole.
pub(super) fn part(path: &Path) -> PathBuf {
    let mut part = path.to_owned().into_os_string();
    part.push(".part");
    part.into()
}

/// Begins a file aside.
pub(super) fn create(kind: StoreKind, path: &Path, host: &str) -> io::Result<ParquetFile<File>> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let file = create_aside(&part(path))?;
    match kind {
        StoreKind::Handshake => ParquetFile::create_hosted::<Handshake>(file, host),
        StoreKind::Request => ParquetFile::create_hosted::<Request<'_>>(file, host),
        StoreKind::Connection => ParquetFile::create_hosted::<Connection>(file, host),
        StoreKind::Socket => ParquetFile::create_hosted::<Socket<'_>>(file, host),
        StoreKind::Finding => ParquetFile::create_hosted::<Finding>(file, host),
        StoreKind::Health => ParquetFile::create_hosted::<Health>(file, host),
        StoreKind::Rollup => ParquetFile::create_hosted::<Rollup>(file, host),
    }
}

/// Completes a file: on the disk, and then with its name. Its length.
pub(super) fn complete(file: ParquetFile<File>) -> io::Result<u64> {
    let file = file.finish()?;
    file.sync_data()?;
    Ok(file.metadata()?.len())
}

/// Gives a complete file its name, also where the machine loses power.
pub(super) fn rename(path: &Path) -> io::Result<()> {
    fs::rename(part(path), path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Both.
pub(super) fn name_it(file: ParquetFile<File>, path: &Path) -> io::Result<u64> {
    let bytes = complete(file)?;
    rename(path)?;
    Ok(bytes)
}
