//! `--store`: every command that makes records keeps all of them, and shows what it shows without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tcplens_core::record::{Connection, Handshake, Record, Request, Rollup};
use tcplens_core::time::Timestamp;
use tcplens_output::parquet::ParquetLines;
use tcplens_output::store::StoreReader;

use crate::capture::Capture;
use crate::{Place, parquet};

/// Whole files of a kind below a directory.
fn files(store: &Path, kind: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for date in fs::read_dir(store.join(format!("kind={kind}")))
        .into_iter()
        .flatten()
    {
        let entries = fs::read_dir(date.unwrap().path()).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    assert!(
        files
            .iter()
            .all(|path| path.extension().unwrap() == "parquet"),
        "{files:?}"
    );
    files
}

/// Records of a kind, as lines.
pub(crate) fn lines<R: Record>(store: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for path in files(store, R::KIND) {
        let file = fs::File::open(path).unwrap();
        let text = std::io::read_to_string(ParquetLines::open::<R>(file).unwrap()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

/// What rollups tell: requests, attempts.
fn rolled_up(store: &Path) -> (u64, u64) {
    let mut reader = StoreReader::open(store).unwrap();
    let (mut requests, mut attempts) = (0, 0);
    let all = Timestamp::MIN..Timestamp::MAX;
    reader.rollups(all, &[], &mut |_, row: Rollup| {
        requests += row.requests.and_then(|row| row.requests).unwrap_or(0);
        attempts += row.connections.and_then(|row| row.attempts).unwrap_or(0);
    });
    assert_eq!(reader.damages(), (&[][..], 0));
    (requests, attempts)
}

fn sample() -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("samples/shop.pcap").display().to_string()
}

#[test]
fn every_command_keeps_all_records_and_shows_what_it_shows() {
    let place = Place::new("store-commands");
    let sample = sample();
    let all = place.run(&["records", &sample]);
    let counts = ["handshake", "request", "connection"].map(|kind| all.records(kind));
    for (command, more) in [
        ("report", &[][..]),
        ("handshakes", &[]),
        ("requests", &[]),
        ("connections", &[]),
        ("records", &["--kind", "handshake"]),
        ("script", &["tcp-connect"]),
    ] {
        let words = [&[command], more, &[sample.as_str(), "-q"]].concat();
        let without = place.run(&words);
        let kept = [&words[..], &["--store", command, "--host", "a-b"]].concat();
        assert_eq!(place.run(&kept), without, "{command}");
        let store = place.path(command);
        let found = [
            lines::<Handshake>(&store).len(),
            lines::<Request<'_>>(&store).len(),
            lines::<Connection>(&store).len(),
        ];
        assert_eq!(found, counts, "{command}");
        assert_eq!(rolled_up(&store), (counts[1] as u64, counts[0] as u64));
        assert_eq!(files(&store, "health").len(), 1);
        assert_eq!(
            files(&store, "finding").len(),
            usize::from(command == "report")
        );
        assert!(!store.join("journal").exists());
        let name = files(&store, "request")[0]
            .file_name()
            .unwrap()
            .display()
            .to_string();
        assert!(
            name.starts_with("a_b-20") && name.ends_with("-00001.parquet"),
            "{name}"
        );
    }
}

#[test]
fn what_is_kept_is_what_is_shown() {
    let place = Place::new("store-same");
    let sample = sample();
    let run = place.run(&["records", &sample, "--store", "kept"]);
    run.is_quiet_success();
    let of_kind = |kind: &str| -> Vec<&str> {
        let start = format!("{{\"kind\":\"{kind}\",");
        run.out
            .lines()
            .filter(|line| line.starts_with(&start))
            .collect()
    };
    let store = place.path("kept");
    assert_eq!(lines::<Handshake>(&store), of_kind("handshake"));
    assert_eq!(lines::<Request<'_>>(&store), of_kind("request"));
    assert_eq!(lines::<Connection>(&store), of_kind("connection"));
}

#[test]
fn a_store_that_cannot_be_is_told_before_anything_is_read() {
    let place = Place::new("store-refused");
    Capture::usual(1).save(place.path("a.pcap"));
    place.write("file", b"x");
    let run = place.run(&["records", "a.pcap", "--store", "file"]);
    run.ends(1, &["cannot open the store: file: ", "--store"]);
    assert_eq!(run.out, "");
    for (words, said) in [
        (&["--store", "redis://x"][..], "redis:// is not known"),
        (&["--store", ""], "write a directory"),
        (&["--store", "d", "--keep", "soon"], "such as 30d"),
        (
            &["--store", "d", "--keep-rollups", "1GiB"],
            "not a number of days",
        ),
        (&["--store", "d", "--host", " "], "is no name"),
        (&["--store", "d", "--store-interval", "0"], "it is zero"),
    ] {
        let run = place.run(&[&["records", "a.pcap"], words].concat());
        run.ends(2, &[said]);
        assert_eq!(run.out, "");
    }
    assert!(!place.path("d").exists());
}

#[test]
fn a_run_whose_reader_goes_away_keeps_nothing_and_says_so() {
    let place = Place::new("store-head");
    Capture::usual(20_000).save(place.path("a.pcap"));
    let mut command = place.tcplens(&["records", "a.pcap", "--store", "kept"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("nothing of this run is kept in the store"),
        "{said}"
    );
    for kind in ["handshake", "connection", "rollup", "health"] {
        let left = files(&place.path("kept"), kind);
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn explain_keeps_nothing_and_says_so() {
    let place = Place::new("store-explain");
    Capture::usual(1).save(place.path("a.pcap"));
    let run = place.run(&["explain", "a.pcap", "--store", "kept"]);
    run.ends(0, &["explain shows one connection and keeps none"]);
    assert!(!place.path("kept").exists());
}

#[test]
fn an_agent_keeps_records_of_files() {
    let place = Place::new("store-agent");
    let text = format!(
        "sources: [{{read: {}}}]\nstore: {{to: kept, host: web7}}\n",
        sample()
    );
    place.write("a.yaml", text.as_bytes());
    let run = place.run(&["agent", "--config", "a.yaml"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    let store = place.path("kept");
    let all = place.run(&["records", &sample()]);
    assert_eq!(lines::<Request<'_>>(&store).len(), all.records("request"));
    let name = files(&store, "request")[0]
        .file_name()
        .unwrap()
        .display()
        .to_string();
    assert!(name.starts_with("web7-"), "{name}");
    place.write(
        "b.yaml",
        b"sources: [{interface: lo}]\nstore: {keep: 30d}\n",
    );
    let run = place.run(&["agent", "--config", "b.yaml", "--check"]);
    run.ends(2, &["store: it does not say where"]);
}

#[test]
fn duckdb_reads_two_hosts_that_were_copied_together() {
    let Some(python) = parquet::engine() else {
        return;
    };
    let place = Place::new("store-duckdb");
    let sample = sample();
    for host in ["web-1", "web-2"] {
        let run = place.run(&[
            "records", &sample, "-f", "none", "--store", host, "--host", host,
        ]);
        run.is_quiet_success();
        fs::create_dir_all(place.path("both")).unwrap();
        let mut copy = Command::new("cp");
        copy.args(["-r", &format!("{host}/."), "both"]);
        let copied = copy.current_dir(place.path(".")).status();
        assert!(copied.unwrap().success());
    }
    let script = "
import duckdb, sys
def table(kind):
    return f\"read_parquet('{sys.argv[1]}/kind={kind}/*/*.parquet', hive_partitioning=true)\"
def one(query):
    return duckdb.sql(query).fetchall()
print(one(f\"select host, count(*), count(distinct connection_id) from {table('request')} group by 1 order by 1\"))
print(one(f\"select count(*) from {table('request')} where date = '2026-11-21' and host = 'web-2'\"))
print(one(f\"select sum(requests), sum(list_sum(total_counts)), min(len(total_ns) - len(total_counts)) from {table('rollup')}\"))
";
    let output = Command::new(python)
        .args(["-c", script])
        .arg(place.path("both"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let read: Vec<_> = out.lines().collect();
    let all = place.run(&["records", &sample]).records("request");
    assert!(read[0].starts_with(&format!("[('web-1', {all}, ")), "{out}");
    assert!(read[0].contains(&format!("('web-2', {all}, ")), "{out}");
    assert_eq!(read[1], format!("[({all},)]"));
    assert!(
        read[2].starts_with(&format!("[(Decimal('{}')", 2 * all))
            || read[2].starts_with(&format!("[({}", 2 * all)),
        "{out}"
    );
}
