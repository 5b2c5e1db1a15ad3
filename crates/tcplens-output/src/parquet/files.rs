//! Where Parquet files go: one file, or a directory with a file for each record kind. Each is written aside, as
//! `NAME.part`, and gets its name when it is complete; what ends before leaves nothing behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tcplens_core::record::Record;

use super::ParquetFile;
use crate::sink::{SinkEnd, SinkError};

/// Open files, one for each kind that came.
pub struct ParquetFiles {
    place: PathBuf,
    is_directory: bool,
    open: Vec<Aside>,
}

/// A file that is not complete.
struct Aside {
    kind: &'static str,
    /// `None` when it is complete.
    file: Option<ParquetFile<File>>,
    path: PathBuf,
    /// Where it is until then; the same where it is no regular file.
    part: PathBuf,
}

impl ParquetFiles {
    /// Files at `-o`: `DIR/<kind>.parquet` where it is a directory, ends in `/`, or `has_kinds`; then it is made if it is
    /// not there. Else one file.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(place: &Path, has_kinds: bool) -> Result<ParquetFiles, SinkError> {
        let ends_so = place.as_os_str().as_encoded_bytes().ends_with(b"/");
        let is_directory = has_kinds || ends_so || place.is_dir();
        if is_directory && !place.is_dir() {
            fs::create_dir(place).map_err(|error| SinkError::create(place, &error))?;
        }
        Ok(ParquetFiles {
            place: place.to_owned(),
            is_directory,
            open: Vec::new(),
        })
    }

    /// Begins the file of a kind, so that there is one even if no record comes.
    ///
    /// # Errors
    /// It cannot be created, or another kind has the only file.
    pub fn expect<R: Record>(&mut self) -> Result<(), SinkEnd> {
        if self.open.iter().any(|aside| aside.kind == R::KIND) {
            return Ok(());
        }
        if !self.is_directory && !self.open.is_empty() {
            return Err(SinkEnd::Failed(SinkError::OneKind {
                name: self.place.display().to_string(),
                kind: R::KIND,
            }));
        }
        let path = match self.is_directory {
            true => self.place.join(format!("{}.parquet", R::KIND)),
            false => self.place.clone(),
        };
        // Devices and pipes cannot be renamed.
        let is_regular = fs::metadata(&path).map_or(true, |metadata| metadata.is_file());
        let part = match is_regular {
            true => {
                let mut part = path.clone().into_os_string();
                part.push(".part");
                part.into()
            }
            false => path.clone(),
        };
        let file = match is_regular {
            true => create_aside(&part),
            false => File::create(&part),
        };
        let file = file.map_err(|error| SinkError::create(&part, &error))?;
        let file = ParquetFile::create::<R>(file);
        self.open.push(Aside {
            kind: R::KIND,
            file: Some(file.map_err(|error| SinkEnd::write(&part.display().to_string(), &error))?),
            path,
            part,
        });
        Ok(())
    }

    /// Writes one record to the file of its kind.
    ///
    /// # Errors
    /// As [`expect`](Self::expect), or the file cannot be written.
    #[inline]
    pub fn write<R: Record>(&mut self, record: &R) -> Result<(), SinkEnd> {
        let position = self.open.iter().position(|aside| aside.kind == R::KIND);
        let n = match position {
            Some(n) => n,
            None => {
                self.expect::<R>()?;
                self.open.len() - 1
            }
        };
        let aside = &mut self.open[n];
        match &mut aside.file {
            Some(file) => file.push(record).map_err(|error| aside.failed(&error)),
            None => Ok(()),
        }
    }

    /// Values that are absent because their column's type has no place for them.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        let files = self.open.iter().filter_map(|aside| aside.file.as_ref());
        files.map(ParquetFile::left_out).sum()
    }

    /// Completes the files.
    ///
    /// # Errors
    /// One cannot be written, or cannot get its name; the others are completed all the same.
    pub fn finish(mut self) -> Result<(), SinkEnd> {
        let ends: Vec<_> = self.open.iter_mut().map(Aside::finish).collect();
        ends.into_iter().collect()
    }
}

/// A file of its own. What a run that was killed has left under this name goes; a link that somebody put there is not followed, and
/// one that comes in between is an error.
pub(crate) fn create_aside(part: &Path) -> io::Result<File> {
    match fs::remove_file(part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    File::create_new(part)
}

impl Aside {
    fn finish(&mut self) -> Result<(), SinkEnd> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        if let Err(error) = file.finish() {
            self.remove();
            return Err(self.failed(&error));
        }
        if self.part == self.path {
            return Ok(());
        }
        fs::rename(&self.part, &self.path).map_err(|error| {
            SinkEnd::Failed(SinkError::Rename {
                part: self.part.display().to_string(),
                name: self.path.display().to_string(),
                why: SinkError::reason(&error),
            })
        })
    }

    fn remove(&self) {
        if self.part != self.path {
            // Nothing can be read of it. Where it cannot go, it stays and says by its name what it is.
            let _ = fs::remove_file(&self.part);
        }
    }

    fn failed(&self, error: &io::Error) -> SinkEnd {
        SinkEnd::write(&self.part.display().to_string(), error)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.remove();
        }
    }
}
