//! Runs every directory of `tests/cases`: a capture, command lines, and exactly what they must print.
//!
//! `command`: a command line each line, run in the directory, without the program's name; `< FILE` at its end is its
//! standard input. `expected`: what all of them print, without what a run measures about itself; `status`: their exit
//! status, if it is not 0; `stderr`: what they say, if not nothing. `README.md` says what is right and why.
//! `dev/bless` rewrites `expected`, `status` and `stderr`. A case that the program gets wrong has, instead of `expected`,
//! a file `pending` that says what is wrong; it is SKIPPED aloud.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn every_case_prints_what_it_must_with_one_thread_and_with_two() {
    let blesses = std::env::var_os("TCPLENS_BLESS").is_some();
    let only = std::env::var("TCPLENS_CASE").unwrap_or_default();
    let mut wrong = String::new();
    let (pending, cases): (Vec<_>, Vec<_>) = cases()
        .filter(|case| name(case).contains(&only))
        .partition(|case| case.join("pending").is_file());
    for case in &pending {
        let why = fs::read_to_string(case.join("pending")).unwrap();
        println!("SKIPPED case {}: {}", name(case), why.trim());
    }
    assert!(
        pending.len() + cases.len() > 0,
        "no case is called {only:?}"
    );
    for case in &cases {
        let said = Said::of(case, &[]);
        if blesses {
            said.bless(case);
        }
        for (what, says) in [
            ("as given", &said),
            ("with --threads 1", &Said::of(case, &["--threads", "1"])),
            ("with --threads 2", &Said::of(case, &["--threads", "2"])),
        ] {
            let differences = says.differences(&Said::expected(case));
            if !differences.is_empty() {
                let _ = write!(wrong, "\n{} {what}:\n{differences}", name(case));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nA case alone: TCPLENS_CASE=name. If the new output is right by the README beside it: dev/bless."
    );
}

#[test]
fn every_case_is_whole_and_says_what_is_right() {
    for case in cases() {
        for file in ["README.md", "command"] {
            let path = case.join(file);
            assert!(path.is_file(), "{} is missing", path.display());
        }
        assert!(
            case.join("make.py").is_file() || case.join("input.pcap").is_file(),
            "{}: neither a recipe nor a recording",
            name(&case)
        );
        assert!(
            case.join("expected").is_file() != case.join("pending").is_file(),
            "{}: either what is expected, or why it is not",
            name(&case)
        );
        let readme = fs::read_to_string(case.join("README.md")).unwrap();
        assert!(
            readme.starts_with(&format!("# {}\n", name(&case))) && readme.contains("Origin:"),
            "{}: README.md begins with the case's name and tells its origin",
            name(&case)
        );
    }
}

/// All cases, by name.
fn cases() -> impl Iterator<Item = PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases.into_iter()
}

fn name(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}

/// What the command lines of a case print, say and return.
struct Said {
    out: String,
    err: String,
    status: String,
}

impl Said {
    fn of(case: &Path, more: &[&str]) -> Said {
        let commands = fs::read_to_string(case.join("command")).unwrap_or_default();
        let is_one = commands.lines().count() == 1;
        let mut said = Said {
            out: String::new(),
            err: String::new(),
            status: String::new(),
        };
        for line in commands.lines() {
            if !is_one {
                let _ = writeln!(said.out, "$ tcplens {line}");
            }
            let (words, input) = line.split_once(" < ").unwrap_or((line, ""));
            let stdin = match input {
                "" => Stdio::null(),
                file => File::open(case.join(file)).unwrap().into(),
            };
            let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
                .args(words.split_whitespace())
                .args(more)
                .current_dir(case)
                .env_clear()
                // What plots are drawn with.
                .env("LC_ALL", "C.UTF-8")
                .stdin(stdin)
                .output()
                .unwrap();
            said.out += &without_own_measures(&String::from_utf8(output.stdout).unwrap());
            said.err += &String::from_utf8(output.stderr).unwrap();
            let status = output
                .status
                .code()
                .map_or("signal".to_owned(), |n| n.to_string());
            said.status = match said.status.as_str() {
                "" | "0" => status,
                before if before == status || status == "0" => said.status,
                before => format!("{before}, {status}"),
            };
        }
        said
    }

    fn expected(case: &Path) -> Said {
        let read = |file| fs::read_to_string(case.join(file)).ok();
        Said {
            out: read("expected").unwrap_or_default(),
            err: read("stderr").unwrap_or_default(),
            status: read("status").map_or("0".to_owned(), |status| status.trim().to_owned()),
        }
    }

    fn bless(&self, case: &Path) {
        fs::write(case.join("expected"), &self.out).unwrap();
        for (file, text, usual) in [
            ("status", format!("{}\n", self.status), "0\n"),
            ("stderr", self.err.clone(), ""),
        ] {
            let path = case.join(file);
            if text != usual {
                fs::write(path, text).unwrap();
            } else if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Line by line, and in a record field by field; empty if there are none.
    fn differences(&self, expected: &Said) -> String {
        let mut text = String::new();
        if self.status != expected.status {
            let _ = writeln!(
                text,
                "  exit status {}, expected {}",
                self.status, expected.status
            );
        }
        for (what, is, should) in [
            ("output", &self.out, &expected.out),
            ("stderr", &self.err, &expected.err),
        ] {
            let (is, should) = (lines(is), lines(should));
            for n in 0..is.len().max(should.len()) {
                let pair = (is.get(n).copied(), should.get(n).copied());
                if pair.0 != pair.1 {
                    let _ = writeln!(text, "  {what}, line {}:", n + 1);
                    in_line(&mut text, pair);
                }
            }
        }
        text
    }
}

/// Lines with their ends, so that a missing one shows.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn in_line(text: &mut String, (is, should): (Option<&str>, Option<&str>)) {
    let (Some(is), Some(should)) = (is, should) else {
        let _ = writeln!(text, "    is       {is:?}\n    expected {should:?}");
        return;
    };
    if !(is.starts_with('{') && should.starts_with('{')) {
        let _ = writeln!(text, "    is       {is:?}\n    expected {should:?}");
        return;
    }
    let fields = |line: &'_ str| -> Vec<String> {
        line.split(",\"")
            .map(|part| part.replace('"', ""))
            .collect()
    };
    let (is, should) = (fields(is), fields(should));
    let only = |of: &[String], other: &[String]| -> String {
        let only: Vec<_> = of.iter().filter(|field| !other.contains(field)).collect();
        format!("{only:?}")
    };
    let of = should
        .iter()
        .chain(&is)
        .find(|f| f.starts_with("connection_id"));
    let _ = writeln!(
        text,
        "    {}\n    is       {}\n    expected {}",
        of.map_or("", String::as_str),
        only(&is, &should),
        only(&should, &is)
    );
}

/// Output without what a run measures about itself: `cpu_us` and `peak_rss_bytes` of `health`.
fn without_own_measures(out: &str) -> String {
    let line = |line: &str| {
        let at = line.find(",\"cpu_us\":");
        let measures = at.zip(line.find(",\"schema_version\":"));
        match measures.filter(|_| line.starts_with("{\"kind\":\"health\"")) {
            Some((at, end)) => format!("{}{}", &line[..at], &line[end..]),
            None => line.to_owned(),
        }
    };
    out.split_inclusive('\n').map(line).collect()
}
