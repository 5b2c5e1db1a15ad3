//! The files of `--rotate`: their names, and when one ends.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tcplens_core::time::Timestamp;

use super::SinkError;
use crate::units::Rotate;

/// A row of files with a number in their name.
#[derive(Clone)]
pub struct Series {
    directory: PathBuf,
    /// Before and after the number: `records-` and `.jsonl.zst`.
    before: String,
    after: String,
    /// The number of the current file; 0 before the first.
    number: u64,
    rotate: Rotate,
    /// The period of the latest time seen.
    period: Option<i64>,
}

impl Series {
    /// Looks which files exist already.
    ///
    /// # Errors
    /// It is no name of a file, or its directory cannot be read.
    pub fn new(path: &Path, rotate: Rotate) -> Result<Series, SinkError> {
        let no_name = || SinkError::NoFileName {
            name: path.display().to_string(),
        };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(no_name)?;
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let (stem, after) = cut_suffix(name);
        let mut series = Series {
            directory,
            before: format!("{stem}-"),
            after: after.into(),
            number: 0,
            rotate,
            period: None,
        };
        let entries =
            fs::read_dir(&series.directory).map_err(|error| SinkError::create(path, &error))?;
        for entry in entries.flatten() {
            if let Some(number) = entry
                .file_name()
                .to_str()
                .and_then(|name| series.number_of(name))
            {
                series.number = series.number.max(number);
            }
        }
        Ok(series)
    }

    /// Creates the file with the next free number.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn next_file(&mut self) -> Result<(PathBuf, File), SinkError> {
        loop {
            self.number += 1;
            let path = self
                .directory
                .join(format!("{}{:05}{}", self.before, self.number, self.after));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(SinkError::create(&path, &error)),
            }
        }
    }

    /// Whether a record of this time belongs to the next file, the current one having `size` bytes.
    ///
    /// A record's time is its start, and a long connection is written long after: only the latest
    /// time counts.
    pub fn is_due(&mut self, time: Option<Timestamp>, size: u64) -> bool {
        let period = match self.rotate {
            Rotate::Size(limit) => return size >= limit,
            Rotate::Time(period) => i64::try_from(period.ns()).unwrap_or(i64::MAX).max(1),
        };
        let Some(now) = time.map(|at| at.0.div_euclid(period)) else {
            return false;
        };
        let due = self.period.is_some_and(|latest| now > latest);
        self.period = self.period.max(Some(now));
        due
    }

    /// The number in a file name of this series.
    fn number_of(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        (digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())?
    }
}

/// Cuts `records.jsonl.zst` into `records` and `.jsonl.zst`.
fn cut_suffix(name: &str) -> (&str, &str) {
    let inner = name
        .strip_suffix(".zst")
        .or_else(|| name.strip_suffix(".gz"))
        .unwrap_or(name);
    match inner.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => name.split_at(inner.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_goes_before_the_suffixes() {
        for (name, parts) in [
            ("records.jsonl", ("records", ".jsonl")),
            ("records.jsonl.zst", ("records", ".jsonl.zst")),
            ("a.b.csv.gz", ("a.b", ".csv.gz")),
            ("records", ("records", "")),
            ("records.gz", ("records", ".gz")),
            (".hidden", (".hidden", "")),
            (".hidden.zst", (".hidden", ".zst")),
        ] {
            assert_eq!(cut_suffix(name), parts, "{name}");
        }
    }
}
