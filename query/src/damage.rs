//! What is told of files beside the answer: which ones could not be read and are left out, and which ones a query read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tcplens_output::human::{Bytes, Count};

/// Damages that are named at the end; the rest is counted.
const NAMED: usize = 20;

/// Shared by all tables.
#[derive(Debug, Default)]
pub(crate) struct Told {
    damages: Mutex<BTreeMap<PathBuf, String>>,
    scans: Mutex<Vec<Scan>>,
}

/// What one table gave to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Which one.
    pub table: &'static str,
    /// Its files that are read.
    pub files: Vec<PathBuf>,
    /// Their bytes, all columns of them.
    pub bytes: u64,
    /// Its files, and their bytes.
    pub of: (usize, u64),
    /// Files that are left out by date, and by host.
    pub left_out: (usize, usize),
}

impl Told {
    /// A file is left out from now on.
    pub(crate) fn damaged(&self, path: &Path, why: &str) {
        lock(&self.damages)
            .entry(path.to_owned())
            .or_insert_with(|| why.to_owned());
    }

    pub(crate) fn is_damaged(&self, path: &Path) -> bool {
        lock(&self.damages).contains_key(path)
    }

    /// How many files are left out.
    pub(crate) fn damages(&self) -> usize {
        lock(&self.damages).len()
    }

    /// A sentence for each damaged file.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let damages = lock(&self.damages);
        let named = damages.iter().take(NAMED);
        let mut sentences: Vec<_> = named
            .map(|(path, why)| format!("{}: {why}; left out", path.display()))
            .collect();
        if damages.len() > NAMED {
            sentences.push(format!("{} more files are left out", damages.len() - NAMED));
        }
        sentences
    }

    /// A query begins.
    pub(crate) fn forget_scans(&self) {
        lock(&self.scans).clear();
    }

    pub(crate) fn scanned(&self, scan: Scan) {
        let mut scans = lock(&self.scans);
        if !scans.contains(&scan) {
            scans.push(scan);
        }
    }

    /// Files that the query reads.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let scans = lock(&self.scans);
        let mut files: Vec<_> = scans.iter().flat_map(|scan| scan.files.clone()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// A line for each table that the query reads: which files, and why not the others.
    pub(crate) fn pruning(&self) -> String {
        let mut text = String::new();
        for scan in lock(&self.scans).iter() {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{}: reads {} of {} files ({} of {})",
                scan.table,
                Count(scan.files.len() as u64),
                Count(scan.of.0 as u64),
                Bytes(scan.bytes),
                Bytes(scan.of.1),
            );
            let (by_date, by_host) = scan.left_out;
            for (count, why) in [(by_date, "date"), (by_host, "host")] {
                if count > 0 {
                    let _ = write!(text, ", {} left out by {why}", Count(count as u64));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Who holds it never fails in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads files from beginning to end, and tells which of them cannot be. For when a query failed: then it may be run without them.
pub(crate) fn search(told: &Told) -> usize {
    let before = told.damages();
    for path in told.files() {
        if let Err(why) = read(&path) {
            told.damaged(&path, &why);
        }
    }
    told.damages() - before
}

fn read(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let all = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        for batch in builder.build()? {
            batch?;
        }
        Ok::<_, datafusion::parquet::errors::ParquetError>(())
    };
    // Damaged pages make the decoders panic here and there.
    match panic::catch_unwind(AssertUnwindSafe(all)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("damaged: {error}")),
        Err(_) => Err("damaged".to_owned()),
    }
}
