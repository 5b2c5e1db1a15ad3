//! The binary from outside: what it prints, says and returns. Captures are made here, byte by byte.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod agent;
mod anomalies;
mod capture;
#[cfg(feature = "remote")]
#[path = "../collector/mod.rs"]
mod collector;
mod compare;
mod convert;
mod doctor;
mod events;
mod explain;
mod failures;
mod kernel;
mod names;
mod options;
#[cfg(feature = "remote")]
mod otlp;
mod outputs;
mod page;
mod parquet;
mod query;
mod requests;
mod running;
mod scripts;
mod sockets;
mod stat;
#[cfg(feature = "parquet")]
mod store;
mod top;
mod views;

/// A directory for one test, removed at its end.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Of a name that no other test has.
    pub(crate) fn new(name: &str) -> Place {
        let directory = std::env::temp_dir().join(format!("tcplens-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Place(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program, about to run here with no environment of ours.
    pub(crate) fn tcplens<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcplens"));
        command
            .args(words)
            .current_dir(&self.0)
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Run {
        Run::of(self.tcplens(words).output().unwrap())
    }

    pub(crate) fn run_with_stdin(&self, words: &[&str], stdin: &[u8]) -> Run {
        let mut command = self.tcplens(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let bytes = stdin.to_vec();
        let writer = std::thread::spawn(move || {
            // A program that has seen enough closes its end.
            let _ = pipe.write_all(&bytes);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Run::of(output)
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
            out: without_own_measures(&String::from_utf8(output.stdout).unwrap()),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The run succeeded and had nothing to say.
    #[track_caller]
    pub(crate) fn is_quiet_success(&self) {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""), "{self:?}");
    }

    /// The run ended with this status and said all of this.
    #[track_caller]
    pub(crate) fn ends(&self, status: i32, said: &[&str]) {
        assert_eq!(self.status, Some(status), "{self:?}");
        for words in said {
            assert!(self.err.contains(words), "{words:?} is missing: {self:?}");
        }
        assert!(!self.err.contains("panicked"), "{self:?}");
    }

    /// Records of a kind on standard output.
    pub(crate) fn records(&self, kind: &str) -> usize {
        let start = format!("{{\"kind\":\"{kind}\",");
        self.out
            .lines()
            .filter(|line| line.starts_with(&start))
            .count()
    }
}

/// Output without what a run measures about itself: `cpu_us` and `peak_rss_bytes` of `health`.
pub(crate) fn without_own_measures(out: &str) -> String {
    let line = |line: &str| {
        let measures = line
            .find(",\"cpu_us\":")
            .zip(line.find(",\"schema_version\":"));
        if let Some((at, end)) = measures {
            return format!("{}{}\n", &line[..at], &line[end..]);
        }
        let mut columns: Vec<_> = line.split(',').collect();
        if let ["health", .., _cpu, _memory, _version] = columns[..] {
            columns.truncate(columns.len() - 3);
        }
        columns.join(",") + "\n"
    };
    let lines: String = out.lines().map(line).collect();
    let is_whole = out.is_empty() || out.ends_with('\n');
    lines[..lines.len() - usize::from(!is_whole)].to_owned()
}

/// Whether the tests run as root, whom no permission stops.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// The bytes of a file, as text.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}
