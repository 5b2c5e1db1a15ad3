//! Records into two shards of a real ClickHouse, and questions to them: servers of these tests' own (dev/clickhouse). SKIPPED where
//! Debian's packages cannot be had. What is sent again after trouble: dev/clickhouse-soak, and the unit tests of the sender.
#![cfg(feature = "remote")]

#[cfg(feature = "parquet")]
mod stores;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/shop.pcap");

/// Servers in a directory of their own, which end with it.
struct Servers {
    dir: PathBuf,
    urls: Vec<String>,
}

impl Servers {
    /// `None`: there are none to be had here, which is said.
    fn start(name: &str, more: &[&str]) -> Option<Servers> {
        let dir = std::env::temp_dir().join(format!("tcplens-{name}-{}", std::process::id()));
        let started = script(&dir)
            .arg("start")
            .args(more)
            .output()
            .expect("dev/clickhouse runs");
        let said = text(&started.stdout);
        if started.status.code() == Some(77) {
            println!("{said}");
            return None;
        }
        assert!(started.status.success(), "{said}{}", text(&started.stderr));
        let urls = said.lines().map(str::to_owned).collect();
        Some(Servers { dir, urls })
    }

    fn spool(&self) -> String {
        self.dir.join("spool").display().to_string()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = script(&self.dir).arg("kill").output(); // what is left then says so itself
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// dev/clickhouse; options stand behind the word that is added first.
fn script(dir: &Path) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/clickhouse");
    let mut command = Command::new("sh");
    let line =
        "program=$0; dir=$1; what=$2; shift 2; exec \"$program\" \"$what\" --dir \"$dir\" \"$@\"";
    command
        .args(["-c", line])
        .arg(path)
        .arg(dir.join("servers"));
    std::fs::create_dir_all(dir).expect("a directory");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tcplens(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcplens"));
    command
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("tcplens runs")
}

/// Makes the tables of two shards.
fn apply([one, two]: [&str; 2]) -> String {
    said(&[
        "schema",
        "clickhouse",
        "--cluster",
        "tcplens",
        "--apply",
        one,
        "--apply",
        two,
    ])
}

/// Standard output of what must end well.
fn said(words: &[&str]) -> String {
    let ran = tcplens(words);
    assert!(ran.status.success(), "{words:?}: {}", text(&ran.stderr));
    text(&ran.stdout)
}

/// Standard error of what must fail.
fn refused(words: &[&str]) -> String {
    let ran = tcplens(words);
    assert!(!ran.status.success(), "{words:?}: {}", text(&ran.stdout));
    text(&ran.stderr)
}

fn rows(url: &str, sql: &str) -> String {
    said(&["query", "--store", url, "-f", "csv", sql])
}

#[test]
fn records_of_two_hosts_are_in_two_shards_and_read_as_one() {
    let Some(servers) = Servers::start("shards", &[]) else {
        return;
    };
    let [one, two] = &servers.urls[..] else {
        panic!("{:?}", servers.urls);
    };
    let spool = servers.spool();
    let store = |url: &str, host: &str| {
        let words = [
            "records",
            SHOP,
            "-q",
            "-o",
            "/dev/null",
            "--spool",
            &spool,
            "--host",
            host,
            "--store",
            url,
        ];
        tcplens(&words)
    };
    let early = text(&store(one, "a").stderr);
    assert!(
        early.contains("there is no table tcplens.handshakes; the tables of this version"),
        "{early}"
    );
    assert!(
        early.contains("tcplens schema clickhouse --apply 'clickhouse://default@127.0.0.1:"),
        "{early}"
    );
    let made = apply([one, two]);
    assert_eq!(made.lines().count(), 2, "{made}");
    assert!(made.contains("table tcplens.requests, "), "{made}");
    assert!(!apply([one, two]).contains("table tcplens.requests"));
    for (url, host) in [(one, "a"), (two, "b")] {
        let stored = store(url, host);
        assert!(stored.status.success(), "{}", text(&stored.stderr));
    }
    let lines = said(&["records", SHOP, "-q", "-f", "jsonl"]);
    let all = one.replace("/tcplens", "/tcplens_all");
    for (table, kind) in [
        ("handshakes", "handshake"),
        ("requests", "request"),
        ("connections", "connection"),
    ] {
        let kind = format!("\"kind\":\"{kind}\"");
        let n = lines.lines().filter(|line| line.contains(&kind)).count();
        assert!(n > 0);
        let counted = rows(
            &all,
            &format!("SELECT host, count(*) AS n FROM {table} GROUP BY host ORDER BY host"),
        );
        assert_eq!(counted, format!("host,n\na,{n}\nb,{n}\n"), "{table}");
    }
    // Exact to the nanosecond, and by the minute as well.
    let first = rows(
        one,
        "SELECT time, server_ip, total_us FROM requests ORDER BY time, total_us LIMIT 1",
    );
    let time = first.lines().nth(1).unwrap().split(',').next().unwrap();
    assert!(lines.contains(&format!("\"time\":\"{time}\"")), "{first}");
    let requests = rows(
        &all,
        "SELECT countMerge(requests) AS n FROM requests_by_minute",
    );
    assert_eq!(requests, rows(&all, "SELECT count() AS n FROM requests"));
    // Both hosts together have twice what one has.
    let slow = |url: &str| {
        said(&[
            "query",
            "--store",
            url,
            "--named",
            "slow-operations",
            "-f",
            "csv",
        ])
    };
    assert_eq!(slow(one), slow(two));
    assert_eq!(slow(&all).lines().count(), slow(one).lines().count());
    for named in tcplens_output::named::ALL {
        let words = [
            "query", "--store", &all, "--named", named.name, "-f", "csv", "--since", "1000d",
        ];
        let answer = said(&words);
        assert!(answer.contains(','), "{}: {answer}", named.name);
    }
    let into_all = refused(&["requests", SHOP, "-q", "--store", &all, "--spool", &spool]);
    assert!(
        into_all.contains("name a shard's own database"),
        "{into_all}"
    );
    let nowhere = one.replace("/tcplens", "/nowhere");
    let nowhere = refused(&["query", "--store", &nowhere, "SELECT 1"]);
    assert!(
        nowhere.contains("nowhere") && nowhere.contains("make it, with its tables: tcplens schema"),
        "{nowhere}"
    );
    let writes = refused(&["query", "--store", one, "DROP TABLE requests"]);
    assert!(writes.to_lowercase().contains("readonly"), "{writes}");
    // An empty directory may stay until the next run.
    let mut left = walk(Path::new(&spool));
    left.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "batch")
    });
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// Files below a directory.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => walk(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn a_password_comes_from_a_file_and_a_certificate_is_trusted_when_it_is_named() {
    let dir = std::env::temp_dir().join(format!("tcplens-secret-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (right, wrong) = (dir.join("right"), dir.join("wrong"));
    std::fs::write(&right, "s3cret of ours\n").unwrap();
    std::fs::write(&wrong, "guess\n").unwrap();
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    let Some(servers) =
        Servers::start("tls", &["--shards", "1", "--tls", "--password-file", right])
    else {
        return;
    };
    let plan = std::fs::read_to_string(servers.dir.join("servers/plan.json")).unwrap();
    let port = plan
        .split("\"https\": ")
        .nth(1)
        .unwrap()
        .split('}')
        .next()
        .unwrap();
    let authority = servers.dir.join("servers/server.crt");
    let secure = format!("clickhouses://tcplens@127.0.0.1:{port}/tcplens");
    let trusted = format!("{secure}?ca={}", authority.display());
    let spool = servers.spool();
    said(&[
        "schema",
        "clickhouse",
        "--apply",
        &trusted,
        "--store-password-file",
        right,
    ]);
    let words = [
        "requests",
        SHOP,
        "-q",
        "-o",
        "/dev/null",
        "--spool",
        &spool,
        "--store",
        &trusted,
    ];
    said(&[&words[..], &["--store-password-file", right]].concat());
    let counted = said(&[
        "query",
        "--store",
        &trusted,
        "--store-password-file",
        right,
        "-f",
        "csv",
        "SELECT count() AS n FROM requests",
    ]);
    assert_eq!(counted, "n\n610\n");
    // Whatever else reads a store takes the same words.
    let read = |what: &str, password: &str| {
        let words = [what, "--store", &trusted, "--store-password-file", password];
        let ran = tcplens(&words);
        text(&ran.stdout) + &text(&ran.stderr)
    };
    assert!(read("anomalies", right).contains("there is too little history"));
    assert!(
        read("check", right).starts_with("TCPLENS UNKNOWN - the newest rollup ends at 2026-11-21 ")
    );
    for what in ["anomalies", "check", "fleet"] {
        let told = read(what, wrong);
        assert!(
            told.contains("the password comes from --store-password-file FILE"),
            "{what}: {told}"
        );
    }
    let told = refused(&[&words[..], &["--store-password-file", wrong]].concat());
    assert!(
        told.contains("the password comes from --store-password-file FILE"),
        "{told}"
    );
    assert!(
        !told.contains("guess") && !told.contains("s3cret"),
        "{told}"
    );
    let strange = refused(&[
        "query",
        "--store",
        &secure,
        "--store-password-file",
        right,
        "SELECT 1",
    ]);
    assert!(
        strange.contains("cannot reach https://127.0.0.1:"),
        "{strange}"
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
