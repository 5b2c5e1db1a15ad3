//! `--html`: where the page goes. Beside captures it is written aside and takes its place when it is whole. Live, privileges are
//! gone by then, and with them the right to make files: it is opened before, and what is in it stays until there is a page.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// An open destination of a page.
pub(super) enum Html {
    /// Standard output.
    Stdout,
    /// A file that is made when there is a page.
    Aside(PathBuf),
    /// A file that is open already.
    Open(PathBuf, File),
}

impl Html {
    /// Opens it, as far as that is to be done before.
    ///
    /// # Errors
    /// It cannot be written; the message says what to do.
    pub(super) fn open(path: &Path, is_live: bool) -> Result<Html> {
        if path.as_os_str() == "-" {
            return Ok(Html::Stdout);
        }
        // Also beside captures, where nothing is kept of it: told now, and not after an hour of reading.
        let was_there = path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = file.with_context(|| failed(path))?;
        // A device or a pipe is nothing to be replaced.
        if is_live || !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(Html::Open(path.to_owned(), file));
        }
        if !was_there {
            fs::remove_file(path).with_context(|| failed(path))?;
        }
        Ok(Html::Aside(path.to_owned()))
    }

    /// Writes the page.
    ///
    /// # Errors
    /// It cannot be written. A reader of standard output that has gone is none.
    pub(super) fn write(self, page: &str) -> Result<()> {
        match self {
            Html::Stdout => match io::stdout().lock().write_all(page.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(error).context("cannot write the page to standard output")
                }
                _ => Ok(()),
            },
            Html::Aside(path) => {
                let mut part = path.clone().into_os_string();
                part.push(".part");
                let part = PathBuf::from(part);
                fs::write(&part, page).with_context(|| failed(&part))?;
                fs::rename(&part, &path).with_context(|| failed(&path))
            }
            Html::Open(path, mut file) => {
                // A pipe or a device has no length.
                if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
                    let emptied = file.rewind().and_then(|()| file.set_len(0));
                    emptied.with_context(|| failed(&path))?;
                }
                file.write_all(page.as_bytes())
                    .with_context(|| failed(&path))
            }
        }
    }
}

fn failed(path: &Path) -> String {
    format!(
        "cannot write the page to {}; name another file with --html, or - for standard output",
        path.display()
    )
}
