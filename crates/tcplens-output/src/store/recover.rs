//! What a run that was killed has left in its journal becomes the files that it would have become, once.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use tcplens_core::time::Timestamp;
use tcplens_core::view::Rollups;

use super::journal::{self, Journal, SegmentName};
use super::layout::StoreKind;
use super::line::LineReader;
use super::places;
use super::rollup_row::rollup;
use super::slot::{create, name_it};

/// What became of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Rows in the file, if there was none yet.
    pub(super) rows: u64,
    /// Lines that could not be read: the last one may be torn.
    pub(super) damaged: u64,
    /// Length of the file.
    pub(super) bytes: u64,
}

/// Makes a file of a segment, unless it is there, and removes the segment.
pub(super) fn recover(
    dir: &Path,
    journal: &Journal,
    segment: &SegmentName,
    host: &str,
) -> io::Result<Recovered> {
    let (path, from) = (
        places::path(dir, segment.kind, segment.day, &segment.name),
        journal.path(segment),
    );
    // Its lines are in it: it got its name before the segment could be removed.
    if path.exists() {
        // What was begun anew after that, if anything, is not complete.
        journal::remove(&from)?;
        return Ok(Recovered::default());
    }
    let lines = BufReader::with_capacity(256 << 10, File::open(&from)?);
    let recovered = match segment.kind {
        StoreKind::Rollup => rollups(lines, &path, host)?,
        kind => records(kind, lines, &path, host)?,
    };
    journal::remove(&from)?;
    Ok(recovered)
}

fn records(
    kind: StoreKind,
    lines: BufReader<File>,
    path: &Path,
    host: &str,
) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut file = create(kind, path, host)?;
    let mut reader = LineReader::new(kind);
    each_line(lines, |line| {
        match line.and_then(|line| reader.read(line)) {
            Some(line) => {
                let host = line.host.as_deref().unwrap_or(host);
                file.push_cells(host, line.cells)?;
                recovered.rows += 1;
            }
            None => recovered.damaged += 1,
        }
        Ok(())
    })?;
    if recovered.rows > 0 {
        recovered.bytes = name_it(file, path)?;
    } else {
        drop(file);
        fs::remove_file(super::slot::part(path))?;
    }
    Ok(recovered)
}

/// The journal has what each flush added: here it is one row again.
fn rollups(lines: BufReader<File>, path: &Path, host: &str) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut sums = Rollups::default();
    let mut file = create(StoreKind::Rollup, path, host)?;
    let mut reader = LineReader::new(StoreKind::Rollup);
    let mut failed = Ok(());
    each_line(lines, |line| {
        let row = line.and_then(|line| reader.read(line)).and_then(|line| {
            let mut cells = line.cells.drain(..);
            rollup(|| cells.next().unwrap_or_default())
        });
        match row {
            Some(row) => sums.add_rollup(&row),
            None => recovered.damaged += 1,
        }
        if sums.is_full() {
            sums.take_until(Timestamp::MAX, &mut |row| {
                recovered.rows += 1;
                if let Err(error) = file.push(&row) {
                    failed = Err(error);
                }
            });
        }
        Ok(())
    })?;
    sums.take_until(Timestamp::MAX, &mut |row| {
        recovered.rows += 1;
        if let Err(error) = file.push(&row) {
            failed = Err(error);
        }
    });
    failed?;
    if recovered.rows > 0 {
        recovered.bytes = name_it(file, path)?;
    } else {
        drop(file);
        fs::remove_file(super::slot::part(path))?;
    }
    Ok(recovered)
}

/// Each line; `None`: one without an end.
fn each_line(
    mut lines: BufReader<File>,
    mut each: impl FnMut(Option<&[u8]>) -> io::Result<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(line.strip_suffix(b"\n"))?;
    }
}
