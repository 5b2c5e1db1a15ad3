//! `--html`: where the page goes. Beside captures it is written aside and takes its place when it is whole. Live, privileges are
//! gone by then, and with them the right to make files: it is opened before, and what is in it stays until there is a page.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};

/// An open destination of a page.
pub(in crate::commands) enum Html {
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
    pub(in crate::commands) fn open(path: &Path, is_live: bool) -> Result<Html> {
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
    pub(in crate::commands) fn write(self, page: &str) -> Result<()> {
        match self {
            Html::Stdout => match io::stdout().lock().write_all(page.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(error).context("cannot write the page to standard output")
                }
                _ => Ok(()),
            },
            Html::Aside(path) => {
                let part = part_of(&path);
                // A link that somebody put there is not followed.
                let mut file = File::create_new(&part).with_context(|| failed(&part))?;
                let written = file
                    .write_all(page.as_bytes())
                    .and_then(|()| fs::rename(&part, &path));
                if written.is_err() {
                    // What is left of it is of no use; that the page could not be written is said all the same.
                    let _ = fs::remove_file(&part);
                }
                written.with_context(|| failed(&path))
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

/// What a page is called until it is whole: of this process, so that two runs do not write into one.
fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", process::id()));
    PathBuf::from(part)
}

fn failed(path: &Path) -> String {
    format!(
        "cannot write the page to {}; name another file with --html, or - for standard output",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_into_a_file_of_its_own_or_not_at_all() {
        let place = std::env::temp_dir().join(format!("tcplens-html-{}", process::id()));
        fs::create_dir_all(&place).unwrap();
        let (page, other) = (place.join("a.html"), place.join("other"));
        fs::write(&other, "of somebody else").unwrap();
        // A link under the very name.
        std::os::unix::fs::symlink(&other, part_of(&page)).unwrap();
        let error = Html::Aside(page.clone()).write("page").unwrap_err();
        assert!(format!("{error:#}").contains("File exists"), "{error:#}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "of somebody else");
        assert!(!page.exists());
        fs::remove_file(part_of(&page)).unwrap();
        // Where it cannot take its place, nothing of it is left.
        fs::create_dir(&page).unwrap();
        assert!(Html::Aside(page.clone()).write("page").is_err());
        assert!(!part_of(&page).exists());
        fs::remove_dir(&page).unwrap();
        Html::Aside(page.clone()).write("page").unwrap();
        assert_eq!(fs::read_to_string(&page).unwrap(), "page");
        fs::remove_dir_all(&place).unwrap();
    }
}
