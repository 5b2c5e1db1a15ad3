//! Batches that wait for the server, as files: one is here before it is sent, and goes when the server has it. So a process that
//! is killed leaves them to the next one. They are not synced to the disk: what the kernel still held when the machine lost
//! power is lost, and said.
//!
//! `DIR/<host>_<port>_<database>/<run>/<n>.batch`; each process has a directory of its own, locked (flock) while it lives.
//! Those of processes that are gone are taken over by whoever comes next, oldest first.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::block::Batch;
use super::{ClickHouseError, Target};

/// What a file begins with.
const MAGIC: &str = "tcplens batch 1";
/// Lines of its head.
const HEAD: usize = 8;
/// Bytes in which its first four lines end.
const BEGIN: u64 = 1024;
const LOCK: &str = "lock";
const ADVICE: &str = "name another directory with --spool";

/// A process's place among all that wait for a server.
#[derive(Debug)]
pub struct Spool {
    own: PathBuf,
    next: u64,
    /// Of this process, and of those whose batches it took over. Unlocked when they are closed.
    locks: Vec<(PathBuf, File)>,
}

/// A batch that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// The file's size.
    pub bytes: u64,
    /// Its rows; 0 where its head does not say.
    pub rows: u64,
    /// Left by an earlier process: it may have been sent.
    pub is_found: bool,
}

impl Spool {
    /// Opens a place for a run, and finds what others left behind, the oldest first.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(
        directory: &Path,
        target: &Target,
        run: &str,
    ) -> Result<(Spool, Vec<Waiting>), ClickHouseError> {
        let failed = |what: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |why: io::Error| ClickHouseError::File {
                what,
                path,
                why,
                advice: ADVICE,
            }
        };
        let Target {
            host,
            port,
            database,
            ..
        } = target;
        let host: String = host
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let place = directory.join(format!("{host}_{port}_{database}"));
        fs::create_dir_all(&place).map_err(failed("make the spool", &place))?;
        let mut runs = Vec::new();
        for entry in fs::read_dir(&place).map_err(failed("read the spool", &place))? {
            runs.push(entry.map_err(failed("read the spool", &place))?.path());
        }
        runs.sort();
        let (mut locks, mut found) = (Vec::new(), Vec::new());
        for path in runs {
            let Ok(lock) = File::open(path.join(LOCK)) else {
                continue;
            };
            match lock.try_lock() {
                Ok(()) => {
                    found.extend(left(&path).map_err(failed("read the spool", &path))?);
                    locks.push((path, lock));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(why)) => {
                    return Err(failed("lock the spool", &path)(why));
                }
            }
        }
        // Under another name until it is locked, lest it is taken for one that was left.
        let own = place.join(run);
        let aside = place.join(format!("{run}.new"));
        let made = fs::create_dir(&aside)
            .and_then(|()| File::create(aside.join(LOCK)))
            .and_then(|lock| lock.lock().map(|()| lock))
            .and_then(|lock| fs::rename(&aside, &own).map(|()| lock));
        locks.push((own.clone(), made.map_err(failed("make the spool", &own))?));
        Ok((
            Spool {
                own,
                next: 1,
                locks,
            },
            found,
        ))
    }

    /// The directory of this process.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.own
    }

    /// Keeps a batch; it appears whole.
    ///
    /// # Errors
    /// It cannot be written; nothing of it stays.
    pub fn put(&mut self, batch: &Batch) -> io::Result<Waiting> {
        let path = self.own.join(format!("{:08}.batch", self.next));
        self.next += 1;
        let aside = path.with_extension("part");
        let head = format!(
            "{MAGIC}\n{}\n{}\n{}\n{}\n{}\n{}\n\n",
            batch.table,
            batch.id,
            batch.rows,
            batch.columns,
            batch.probe,
            batch.body.len()
        );
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(head.as_bytes())?;
            file.write_all(&batch.body)?;
            fs::rename(&aside, &path)
        });
        if let Err(error) = written {
            // What there is of it is of no use; where it cannot be removed either, the next run does.
            let _ = fs::remove_file(&aside);
            return Err(error);
        }
        Ok(Waiting {
            bytes: (head.len() + batch.body.len()) as u64,
            rows: batch.rows,
            path,
            is_found: false,
        })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        for (path, _) in &self.locks {
            // Only where nothing waits in it any more: a directory with files stays.
            if left(path).is_ok_and(|left| left.is_empty())
                && fs::remove_file(path.join(LOCK)).is_ok()
            {
                let _ = fs::remove_dir(path); // as said
            }
        }
    }
}

/// What waits in a directory that nobody has. What was not whole when its process ended is removed: it was never more than in
/// memory.
fn left(run: &Path) -> io::Result<Vec<Waiting>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(run)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("batch") => found.push(Waiting {
                bytes: fs::metadata(&path)?.len(),
                rows: rows(&path).unwrap_or(0),
                path,
                is_found: true,
            }),
            Some("part") => fs::remove_file(&path)?,
            _ => {}
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The rows of a batch as its head has them: for whoever must count what is lost.
fn rows(path: &Path) -> Option<u64> {
    let mut begin = Vec::new();
    let file = File::open(path).ok()?;
    file.take(BEGIN).read_to_end(&mut begin).ok()?;
    let mut lines = begin.split(|byte| *byte == b'\n');
    if lines.next()? != MAGIC.as_bytes() {
        return None;
    }
    let text = std::str::from_utf8(lines.nth(2)?).ok()?;
    // A line that is cut has no other behind it.
    lines.next()?;
    text.parse().ok()
}

impl Waiting {
    /// The batch.
    ///
    /// # Errors
    /// It cannot be read now; `InvalidData`: it is not what was written, and never will be.
    pub fn read(&self) -> io::Result<Batch> {
        let mut all = Vec::new();
        File::open(&self.path)?.read_to_end(&mut all)?;
        parsed(all).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not whole (the machine went down while it was written)",
            )
        })
    }

    /// The server has it, or nobody ever will.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

fn parsed(mut all: Vec<u8>) -> Option<Batch> {
    let mut ends = all.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let end = ends.nth(HEAD - 1)?.0 + 1;
    let head = std::str::from_utf8(all.get(..end)?).ok()?.to_owned();
    let body = all.split_off(end);
    let lines: Vec<_> = head.lines().collect();
    let [MAGIC, table, id, rows, columns, probe, length, ""] = lines[..] else {
        return None;
    };
    let whole = length.parse() == Ok(body.len());
    whole.then_some(Batch {
        table: table.to_owned(),
        id: id.to_owned(),
        rows: rows.parse().ok()?,
        columns: columns.to_owned(),
        probe: probe.to_owned(),
        body,
    })
}

#[cfg(test)]
mod tests;
