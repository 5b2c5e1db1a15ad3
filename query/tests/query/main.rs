//! The program from outside, over small stores that are written here: every answer is worked out by hand.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod answers;
mod damage;
mod language;
mod store;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A directory for one test, removed at its end.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Of a name that no other test has.
    pub(crate) fn new(name: &str) -> Place {
        let name = format!("tcplens-query-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Place(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The program, about to run here over the store `store`.
    pub(crate) fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcplens-query"));
        command
            .args(["--store", "store"])
            .args(words)
            .current_dir(&self.0)
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Run {
        Run::of(self.command(words).output().unwrap())
    }

    /// What it prints, and nothing is wrong.
    #[track_caller]
    pub(crate) fn answer<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        let run = self.run(words);
        assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{run:?}");
        run.out
    }

    /// The rows of SQL as CSV.
    #[track_caller]
    pub(crate) fn csv(&self, sql: &str) -> String {
        self.answer(&[sql, "-f", "csv"])
    }

    /// The rows of a named query as CSV.
    #[track_caller]
    pub(crate) fn named(&self, words: &[&str]) -> String {
        let mut all = vec!["-f", "csv", "--named"];
        all.extend(words);
        self.answer(&all)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Run {
        Run {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
