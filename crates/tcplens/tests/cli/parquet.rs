//! `-f parquet`: another engine (DuckDB, from PyPI) reads what the lines say.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Place;
use crate::capture::Capture;

/// A Python that has DuckDB; it stays for the next run. `None`, and said, where none can be had.
pub(crate) fn engine() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("duckdb");
    let python = venv.join("bin/python");
    let works = |program: &Path, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null());
        let output = command.stdout(Stdio::null()).stderr(Stdio::null());
        output.status().is_ok_and(|status| status.success())
    };
    let imports = ["-c", "import duckdb"];
    if works(&python, &imports) {
        return Some(python);
    }
    let create = ["-m", "venv", "--clear", venv.to_str()?];
    if !works(Path::new("python3"), &create) {
        println!("SKIPPED: no python3 with venv");
        return None;
    }
    let get = [
        "-m",
        "pip",
        "install",
        "-q",
        "--timeout",
        "10",
        "--retries",
        "1",
        "--only-binary",
        ":all:",
        "duckdb",
    ];
    if works(&python, &get) && works(&python, &imports) {
        return Some(python);
    }
    println!("SKIPPED: pip cannot install duckdb here");
    None
}

#[test]
fn duckdb_finds_in_parquet_what_the_lines_say() {
    let Some(python) = engine() else { return };
    let place = Place::new("duckdb");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sample = workspace.join("samples/shop.pcap");
    let sample = sample.to_str().unwrap();
    let kinds = ["handshake", "request", "connection", "finding", "health"];
    let asked = ["records", sample, "--kind", &kinds.join(",")];
    place
        .run(&[&asked[..], &["-f", "parquet", "-o", "all"]].concat())
        .is_quiet_success();
    place
        .run(&[&asked[..], &["-o", "all.jsonl"]].concat())
        .is_quiet_success();
    let script = workspace.join("crates/tcplens/tests/cli/parquet.py");
    for kind in kinds {
        let output = Command::new(&python)
            .arg(&script)
            .arg(kind)
            .arg(place.path("all").join(format!("{kind}.parquet")))
            .arg(place.path("all.jsonl"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn each_command_has_its_kind_in_one_file() {
    let place = Place::new("parquet");
    Capture::usual(2).save(place.path("a.pcap"));
    for command in ["handshakes", "requests", "connections"] {
        let run = place.run(&[command, "a.pcap", "-q", "-f", "parquet", "-o", "out"]);
        run.is_quiet_success();
        let bytes = std::fs::read(place.path("out")).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
        assert!(!place.path("out.part").exists());
    }
    let run = place.run(&["records", "a.pcap", "-f", "parquet", "-o", "out"]);
    run.ends(1, &["out"]);
}

#[test]
fn what_parquet_cannot_do_is_refused() {
    let place = Place::new("refused");
    Capture::usual(1).save(place.path("a.pcap"));
    for (words, said) in [
        (&["-f", "parquet"][..], "name one with -o FILE"),
        (&["-f", "parquet", "-o", "-"], "name one with -o FILE"),
        (
            &["-f", "parquet", "-o", "x.parquet", "--rotate", "1h"],
            "--rotate makes no further Parquet files",
        ),
        (
            &["-f", "parquet", "-o", "x.parquet.zst"],
            "compressed inside",
        ),
    ] {
        let run = place.run(&[&["connections", "a.pcap"], words].concat());
        run.ends(2, &[said]);
        assert_eq!(run.out, "");
    }
    let report = place.run(&["report", "a.pcap", "-f", "parquet", "-o", "x"]);
    report.ends(2, &["report has no format parquet"]);
}
