//! Seeded troubles: the right finding is first or second; captures of the same services without one have none. What is right was
//! written down before the findings were: tests/troubles/README.md.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "golden/json.rs"]
#[expect(dead_code, reason = "other tests read more of JSON")]
mod json;

use json::Json;

#[test]
fn the_right_finding_of_each_seeded_trouble_is_first_or_second() {
    let expected = expected();
    assert!(expected.len() >= 15, "{}", expected.len());
    let mut wrong = String::new();
    for (name, right) in &expected {
        let findings = findings(&format!("{name}.pcap.gz"));
        let is_told = findings
            .iter()
            .take(2)
            .any(|finding| right.is_told_by(finding));
        if !is_told {
            let _ = writeln!(wrong, "{name}: {}\n{findings:#?}", right.what);
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn captures_of_the_same_services_without_a_trouble_have_no_finding() {
    let mut count = 0;
    let mut wrong = String::new();
    for name in captures().filter(|name| name.starts_with("clean_")) {
        count += 1;
        let findings = findings(&name);
        if !findings.is_empty() {
            let _ = writeln!(wrong, "{name}: {findings:#?}");
        }
    }
    assert_eq!(wrong, "");
    assert_eq!(count, 10);
}

#[test]
fn every_capture_is_expected_to_be_something() {
    let known: Vec<_> = expected()
        .into_keys()
        .map(|name| format!("{name}.pcap.gz"))
        .collect();
    let others: Vec<_> = captures()
        .filter(|name| !name.starts_with("clean_") && !known.contains(name))
        .collect();
    assert_eq!(others, [""; 0]);
}

/// What a right finding is.
struct Right {
    what: String,
    suspects: Vec<String>,
    codes: Vec<String>,
    names: String,
    words: Vec<String>,
}

impl Right {
    fn is_told_by(&self, finding: &Finding) -> bool {
        let said = format!("{} {}", finding.text, finding.evidence);
        self.suspects.contains(&finding.suspect)
            && self.codes.contains(&finding.code)
            && names(&said, &self.names)
            && self.words.iter().any(|word| finding.text.contains(word))
    }
}

/// Whether an address is named, and not only one that begins with it.
fn names(said: &str, address: &str) -> bool {
    said.match_indices(address).any(|(at, _)| {
        let next = said[at + address.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_digit())
    })
}

#[derive(Debug)]
struct Finding {
    code: String,
    suspect: String,
    text: String,
    evidence: String,
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/troubles")
}

fn captures() -> impl Iterator<Item = String> {
    let mut names: Vec<_> = std::fs::read_dir(place())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".pcap.gz"))
        .collect();
    names.sort();
    names.into_iter()
}

/// What `report` finds in a capture, in its order.
fn findings(name: &str) -> Vec<Finding> {
    let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
        .args(["report", "--format", "jsonl", "-r", name])
        .current_dir(place())
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(Json::of)
        .filter(|record| record.word("kind") == "finding")
        .map(|record| Finding {
            code: record.word("code"),
            suspect: record.word("suspect"),
            text: record.word("text"),
            evidence: record.word("evidence"),
        })
        .collect()
}

fn expected() -> BTreeMap<String, Right> {
    let text = std::fs::read_to_string(place().join("expected.json")).unwrap();
    let all = Json::of(&text);
    let right = |name: &str| {
        let right = all.at(name);
        let list = |key: &str| right.at(key).list().iter().map(word).collect();
        Right {
            what: right.word("what"),
            suspects: list("suspects"),
            codes: list("codes"),
            names: right.word("names"),
            words: list("words"),
        }
    };
    let names = all.keys().into_iter();
    names.map(|name| (name.to_owned(), right(name))).collect()
}

fn word(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        other => panic!("no text: {other:?}"),
    }
}
