//! A run of capture files gives all its files their names at its end, and a reader must not keep a part of them. So a note says
//! which they are, from before the first name until after the last one: `journal/<host>-<start>.naming`, a path from the store in
//! each line, locked while its run lives. Whoever finds the note of a run that is gone undoes it. Not what is in the files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::host_word;
use super::layout::FileName;
use super::places::{self, entries};
use super::slot;

/// Where notes are, beside what live runs have there.
const PLACE: &str = "journal";
/// What ends their names.
const ENDING: &str = ".naming";

/// A note that is there.
pub(super) struct Naming {
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
}

impl Naming {
    /// Notes that these files get their names now; it is on the disk then.
    pub(super) fn begin(store: &Path, run: &FileName, files: &[PathBuf]) -> io::Result<Naming> {
        let place = store.join(PLACE);
        let path = place.join(format!("{}-{}{ENDING}", run.host, run.start));
        let mut lines = String::new();
        for file in files {
            let inside = file.strip_prefix(store).ok().and_then(Path::to_str);
            let inside = inside.ok_or(io::ErrorKind::InvalidInput)?;
            lines += inside;
            lines.push('\n');
        }
        // Under another name until it is locked, lest it is taken for one of a run that is gone.
        let aside = path.with_extension("new");
        let written = in_place(&place, || File::create(&aside)).and_then(|mut file| {
            file.lock()?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            sync(&place)?;
            Ok(file)
        });
        match written {
            Ok(file) => Ok(Naming { path, file }),
            Err(error) => {
                // Without it nothing is undone.
                let _ = fs::remove_file(&aside);
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// All have their names.
    ///
    /// # Errors
    /// The note is there yet, perhaps, with what is in it: then the files must go.
    pub(super) fn done(self) -> io::Result<()> {
        self.end(sync)
    }

    fn end(self, sync: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        // Who cannot remove it may be able to say nothing in it.
        let emptied = self.file.set_len(0).and_then(|()| self.file.sync_all());
        let removed = fs::remove_file(&self.path);
        let place = self.path.parent().unwrap_or(Path::new("."));
        // Another run may remove the directory first: of a note that is empty it does not matter what is on the disk.
        let done = removed.and_then(|()| sync(place)).or(emptied);
        tidy(place);
        done
    }
}

/// Makes a file in a directory, which is made where it is not there.
fn in_place(place: &Path, mut make: impl FnMut() -> io::Result<File>) -> io::Result<File> {
    let mut both = || fs::create_dir_all(place).and_then(|()| make());
    // Another run may remove it while it is empty.
    both().or_else(|_| both())
}

/// Removes what runs of this host that are gone have given names to, and nobody said that it was all; how many files.
pub(super) fn undo(store: &Path, host: &str) -> io::Result<u64> {
    let host = host_word(host);
    let mut removed = 0;
    for path in entries(&store.join(PLACE))? {
        let Some(run) = run_of(&path).filter(|run| run.host == host) else {
            continue;
        };
        let mut options = OpenOptions::new();
        let mut note = match options.read(true).write(true).open(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // One that is locked is of a run that lives, and one that is gone now of one that has come to its end meanwhile.
        if note.try_lock().is_err() || !path.exists() {
            continue;
        }
        let mut lines = String::new();
        note.read_to_string(&mut lines)?;
        let whole = lines
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        let files: Vec<_> = whole
            .filter_map(|line| file_of(store, &run, line))
            .collect();
        removed += remove(&files)?;
        gone(&path)?;
        tidy(&store.join(PLACE));
    }
    Ok(removed)
}

/// Whose a note is, as the name of its first file.
fn run_of(note: &Path) -> Option<FileName> {
    let name = note.file_name()?.to_str()?.strip_suffix(ENDING)?;
    FileName::parse(&format!("{name}-00001"))
}

/// The file that a line of a run's note names. Nothing else is removed, whoever wrote it there.
fn file_of(store: &Path, run: &FileName, line: &str) -> Option<PathBuf> {
    let (kind, day, name) = places::parse(line)?;
    let is_own = name.host == run.host && name.start == run.start;
    is_own.then(|| places::path(store, kind, day, &name))
}

/// Where no live run was, nothing stays.
fn tidy(place: &Path) {
    // One that is not empty is somebody's.
    let _ = fs::remove_dir(place);
}

/// Removes files, and what they were before they had their names; how many had theirs. It is so on the disk then.
pub(super) fn remove(files: &[PathBuf]) -> io::Result<u64> {
    let (mut removed, mut failed) = (0, Ok(()));
    for file in files {
        let one = || {
            let was_there = gone(file)?;
            gone(&slot::part(file))?;
            if let Some(directory) = file.parent().filter(|directory| directory.exists()) {
                sync(directory)?;
            }
            Ok(was_there)
        };
        match one() {
            Ok(was_there) => removed += u64::from(was_there),
            Err(error) => failed = Err(error),
        }
    }
    failed.map(|()| removed)
}

/// Removes a file, if it is there; whether it was.
fn gone(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use tcplens_core::time::Timestamp;

    use super::*;

    fn place(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("tcplens-naming-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir); // of an earlier run that failed
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn a_note_is_made_though_another_run_removes_the_empty_directory_first() {
        let store = place("made");
        let (place, mut times) = (store.join(PLACE), 0);
        let made = in_place(&place, || {
            times += 1;
            if times == 1 {
                tidy(&place);
            }
            File::create(place.join("a"))
        });
        made.unwrap();
        assert_eq!(times, 2);
        assert!(place.join("a").exists());
        fs::remove_dir_all(store).unwrap();
    }

    #[test]
    fn a_run_comes_to_its_end_though_another_one_removes_the_empty_directory_first() {
        let store = place("end");
        let run = FileName::new("a", Timestamp(1), 1);
        let note = Naming::begin(&store, &run, &[store.join("kind=rollup/a")]).unwrap();
        let mut synced = None;
        let ended = note.end(|place| {
            tidy(place);
            let tried = sync(place);
            synced = tried.as_ref().err().map(io::Error::kind);
            tried
        });
        assert_eq!(synced, Some(io::ErrorKind::NotFound));
        ended.unwrap();
        fs::remove_dir_all(store).unwrap();
    }
}
