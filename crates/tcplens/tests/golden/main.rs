//! The program on the captures of ../shared/golden, beside what the old tools printed for them: their defects must be gone,
//! and what they had right must be as it was. SKIPPED aloud where there is no ../shared beside the workspace.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use json::Json;

mod handshakes;
mod json;
mod lines;
mod packets;
mod rows;
mod scripts;
mod statistics;
mod top;

/// The golden files of one of the old tools; none, aloud, where they are not there.
pub(crate) fn golden(tool: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden");
    let path = path.join(tool);
    if path.is_dir() {
        return Some(path);
    }
    println!("SKIPPED: no ../shared/golden/{tool} beside the workspace");
    None
}

/// A directory for one test, removed at its end.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Of a name that no other test has.
    pub(crate) fn new(name: &str) -> Place {
        let name = format!("tcplens-golden-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command on a capture.
pub(crate) fn run<W: AsRef<OsStr>>(command: &str, capture: impl AsRef<Path>, words: &[W]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
        .arg(command)
        .args(words)
        .arg("-r")
        .arg(capture.as_ref())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let run = Run {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!run.err.contains("panicked"), "{run:?}");
    run
}

/// What a run prints that must succeed and have nothing to say.
#[track_caller]
pub(crate) fn out(command: &str, capture: impl AsRef<Path>, words: &[&str]) -> String {
    let run = run(command, capture, words);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{run:?}");
    run.out
}

/// The lines of `requests`, without the summary.
#[track_caller]
pub(crate) fn lines(capture: impl AsRef<Path>, words: &[&str]) -> Vec<String> {
    let out = out("requests", capture, words);
    let lines = out.lines().filter(|line| line.contains(" => "));
    lines.map(str::to_owned).collect()
}

/// The same without time and ends: milliseconds and what else was asked for, then the text.
#[track_caller]
pub(crate) fn said(capture: impl AsRef<Path>, words: &[&str]) -> Vec<String> {
    let lines = lines(capture, words).into_iter();
    lines
        .map(|line| line.split_once(" | ").unwrap().1.to_owned())
        .collect()
}

/// Records of one kind, with more words.
#[track_caller]
pub(crate) fn records(kind: &str, capture: impl AsRef<Path>, words: &[&str]) -> Vec<Json> {
    let words = [&["--kind", kind], words].concat();
    let out = out("records", capture, &words);
    out.lines().map(Json::of).collect()
}

/// The request with that text; there is one.
#[track_caller]
pub(crate) fn asking<'r>(records: &'r [Json], summary: &str) -> &'r Json {
    let mut found = records.iter().filter(|r| r.word("summary") == summary);
    let record = found.next().expect(summary);
    assert!(found.next().is_none(), "{summary} twice");
    record
}

/// The record has these fields, and lacks those whose value here is empty.
#[track_caller]
pub(crate) fn has(record: &Json, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        assert_eq!(record.word(name), *value, "{name} of {record:?}");
    }
}
