//! What `convert` reads: files as they are named, and of directories what is called like an archive.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
#[cfg(feature = "parquet")]
use tcplens_core::record::Socket;
#[cfg(feature = "parquet")]
use tcplens_output::parquet::ParquetLines;

use crate::cli::Convert;
use crate::status::usage;

/// Ends of names of archives, below a directory.
const SUFFIXES: [&str; 2] = [".jsonl", ".jsonl.zst"];

/// How deep directories are looked into: tcp-info's have three levels.
const DEPTH: u32 = 32;

/// All files, in order.
///
/// # Errors
/// None is named, a directory cannot be read, or what is read would be written over.
pub(super) fn gather(command: &Convert) -> Result<Vec<PathBuf>> {
    let named = || command.read.iter().chain(&command.words);
    if named().next().is_none() {
        return Err(usage(
            "nothing to convert; name archives or directories of them, or `-` for standard input",
        ));
    }
    let mut inputs = Vec::new();
    for path in named() {
        if path.is_dir() {
            let before = inputs.len();
            walk(path, DEPTH, &mut inputs)?;
            if inputs.len() == before {
                return Err(usage(format!(
                    "no archive below {}: no name there ends in .jsonl or .jsonl.zst",
                    path.display()
                )));
            }
        } else {
            inputs.push(path.clone());
        }
    }
    if let Some(output) = &command.output {
        check(&inputs, output)?;
    }
    Ok(inputs)
}

/// A file's bytes, of a Parquet file its records as JSON Lines.
///
/// # Errors
/// It cannot be opened, or is a Parquet file of something else.
pub(super) fn open(input: &Path) -> io::Result<Box<dyn Read>> {
    /// How Parquet files begin.
    const MAGIC: &[u8] = b"PAR1";
    let mut file = File::open(input)?;
    // A pipe is read once.
    if file.metadata()?.is_file() {
        let mut first = Vec::new();
        file.by_ref().take(4).read_to_end(&mut first)?;
        file.rewind()?;
        if first == MAGIC {
            return rows(file);
        }
    }
    Ok(Box::new(file))
}

#[cfg(feature = "parquet")]
fn rows(file: File) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(ParquetLines::open::<Socket<'_>>(file)?))
}

/// As it was built.
#[cfg(not(feature = "parquet"))]
fn rows(_: File) -> io::Result<Box<dyn Read>> {
    Err(io::Error::other(
        "this tcplens was built without Parquet; build it with --features parquet",
    ))
}

/// For messages.
pub(super) fn name(input: &Path) -> String {
    if input == Path::new("-") {
        return "standard input".into();
    }
    input.display().to_string()
}

/// Sorted by name at each level, so that days and segments are in order. Links to directories are not followed.
fn walk(directory: &Path, depth: u32, inputs: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = || format!("cannot read {}", directory.display());
    let entries = fs::read_dir(directory).with_context(cannot)?;
    let entries: std::io::Result<Vec<_>> = entries.collect();
    let mut entries = entries.with_context(cannot)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let is_archive = |suffix: &&str| name.to_string_lossy().ends_with(*suffix);
        let kind = entry.file_type().with_context(cannot)?;
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, inputs)?;
        } else if !kind.is_dir() && SUFFIXES.iter().any(is_archive) {
            inputs.push(entry.path());
        }
    }
    Ok(())
}

/// What is read is not written over.
fn check(inputs: &[PathBuf], output: &Path) -> Result<()> {
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let Some(output_is) = identity(output) else {
        return Ok(());
    };
    match inputs
        .iter()
        .find(|input| identity(input) == Some(output_is))
    {
        Some(input) => Err(usage(format!(
            "cannot write {}: it is read as {}; write to another file",
            output.display(),
            input.display()
        ))),
        None => Ok(()),
    }
}
