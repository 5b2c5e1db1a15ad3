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
use crate::parquet::ParquetFile;

/// What became of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Rows in the file, if there was none yet.
    pub(super) rows: u64,
    /// Lines that could not be read: the last one may be torn.
    pub(super) damaged: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    /// How often bounds were reached when rollups were added up.
    limit_hits: Vec<(&'static str, u64)>,
}

impl Recovered {
    /// For `health.limit_hits`: bounds, and lines that could not be read.
    pub(super) fn hits(&self) -> Vec<(&'static str, u64)> {
        let torn = (self.damaged > 0).then_some(("store_torn_lines", self.damaged));
        self.limit_hits.iter().copied().chain(torn).collect()
    }
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

/// The journal has what each flush added: here it is one row again, of whom its lines say.
fn rollups(lines: BufReader<File>, path: &Path, host: &str) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut sums = Rollups::default();
    let mut file = create(StoreKind::Rollup, path, host)?;
    let mut reader = LineReader::new(StoreKind::Rollup);
    let mut whose = host.to_owned();
    each_line(lines, |line| {
        let row = line.and_then(|line| reader.read(line)).and_then(|line| {
            let mut cells = line.cells.drain(..);
            let row = rollup(|| cells.next().unwrap_or_default())?;
            Some((row, line.host))
        });
        let Some((row, of)) = row else {
            recovered.damaged += 1;
            return Ok(());
        };
        let of = of.as_deref().unwrap_or(host);
        // A segment is one run's, and so one host's.
        if of != whose {
            recovered.rows += give(&mut sums, &mut file)?;
            whose = of.to_owned();
            file.set_host(of);
        }
        sums.add_rollup(&row);
        if sums.is_full() {
            recovered.rows += give(&mut sums, &mut file)?;
        }
        Ok(())
    })?;
    recovered.rows += give(&mut sums, &mut file)?;
    recovered.limit_hits = sums.limit_hits();
    if recovered.rows > 0 {
        recovered.bytes = name_it(file, path)?;
    } else {
        drop(file);
        fs::remove_file(super::slot::part(path))?;
    }
    Ok(recovered)
}

/// All that was added up goes to the file; how many rows.
fn give(sums: &mut Rollups, file: &mut ParquetFile<File>) -> io::Result<u64> {
    let (mut rows, mut written) = (0, Ok(()));
    sums.take_until(Timestamp::MAX, &mut |row| {
        rows += 1;
        if written.is_ok() {
            written = file.push(&row);
        }
    });
    written.map(|()| rows)
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
