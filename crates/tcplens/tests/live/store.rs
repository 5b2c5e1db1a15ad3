//! `--store` while packets come: what a kill leaves, a disk that is full, a server that does not answer, sockets.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};

use tcplens_core::record::{Record, Request, Rollup, Socket};
use tcplens_core::time::Timestamp;
use tcplens_output::parquet::ParquetLines;
use tcplens_output::store::{StoreKind, StoreReader};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{number, of};
use crate::tap::{Tap, tcplens, until};
use crate::traffic::Connection;

/// Files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// Records of a kind in whole files, as lines.
pub(crate) fn lines<R: Record>(store: &Path) -> String {
    let mut lines = String::new();
    for path in files(&store.join(format!("kind={}", R::KIND))) {
        if path.extension().is_some_and(|suffix| suffix == "parquet") {
            let file = File::open(path).unwrap();
            let text = ParquetLines::open::<R>(file).unwrap();
            lines += &std::io::read_to_string(text).unwrap();
        }
    }
    lines
}

/// Requests that the journal has.
fn journaled(store: &Path, port: u16) -> usize {
    let segments = files(&store.join("journal")).into_iter();
    let of_requests = segments.filter(|path| path.display().to_string().contains("/request."));
    let texts = of_requests.map(|path| fs::read_to_string(path).unwrap_or_default());
    let port = format!("\"client_port\":{port},");
    texts.map(|text| text.matches(&port).count()).sum()
}

/// Requests that rollups tell of.
fn rolled_up(store: &Path) -> u64 {
    let mut requests = 0;
    let all = Timestamp::MIN..Timestamp::MAX;
    let mut reader = StoreReader::open(store).unwrap();
    reader.rollups(all, &[], &mut |_, row: Rollup| {
        requests += row.requests.and_then(|row| row.requests).unwrap_or(0);
    });
    requests
}

#[test]
fn what_was_flushed_before_a_kill_is_there_after_the_next_start_and_nothing_twice() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("store-killed");
    let store = place.path("kept");
    let words = [
        "records",
        "-i",
        "lo",
        "-f",
        "none",
        "--store",
        "kept",
        "--host",
        "h",
        "--store-interval",
        "2",
    ];
    let mut all = 0;
    let mut ports = Vec::new();
    for _ in 0..3 {
        let tap = Tap::start(tcplens(&lo, &place, &words));
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        let port = connection.port();
        for _ in 0..200 {
            connection.ping();
        }
        // Some may be in a file already.
        until("what was flushed", || {
            journaled(&store, port) + of(&lines::<Request<'_>>(&store), "request", port).len()
                >= 200
        });
        for _ in 0..300 {
            connection.ping();
        }
        tap.signal("-KILL");
        assert_eq!(tap.end().signal, Some(9));
        ports.push(port);
        all += 200;
    }
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let text = lines::<Request<'_>>(&store);
    let mut found = 0;
    for port in ports {
        let requests = of(&text, "request", port);
        let tasks: Vec<_> = requests.iter().map(|line| number(line, "task")).collect();
        let once: Vec<_> = (1..=tasks.len() as u64).collect();
        assert_eq!(tasks, once, "each once, in order");
        assert!(tasks.len() >= 200, "{}", tasks.len());
        found += tasks.len() as u64;
    }
    assert!(found >= all);
    assert_eq!(rolled_up(&store), found);
    let left = files(&store).into_iter().filter(|path| {
        path.extension()
            .is_some_and(|suffix| suffix == "part" || suffix == "jsonl")
    });
    let left: Vec<_> = left.collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_second_run_of_the_same_host_is_refused_and_of_another_host_is_not() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("store-two");
    let words = |host| ["requests", "-i", "lo", "--store", "kept", "--host", host];
    let first = Tap::start(tcplens(&lo, &place, &words("h")));
    let refused = tcplens(&lo, &place, &words("h")).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot write to the store in kept as host h: process "),
        "{said}"
    );
    let other = Tap::start(tcplens(&lo, &place, &words("i")));
    other.interrupt().is(0, &[]);
    first.interrupt().is(0, &[]);
}

#[test]
fn a_full_disk_is_told_once_and_counted_and_capture_goes_on() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("store-full");
    let disk = lo.disk(place.path("disk"), "400k");
    let mut command = lo.command(env!("CARGO_BIN_EXE_tcplens"));
    command
        .args(["records", "-i", "lo", "-B", "4MiB", "--kind", "request"])
        .args(["--host", "h", "--store-interval", "1", "--store"])
        .arg(place.path("disk/kept"))
        .args(["-o"])
        .arg(place.path("out.jsonl"))
        .stdin(Stdio::null());
    let tap = Tap::start(command);
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let port = connection.port();
    let filler = disk.join("filler");
    connection.ping();
    until("something is there", || {
        !files(&disk.join("kept/journal")).is_empty()
    });
    // Whatever is left goes, but for what the system rounds.
    let _ = fs::write(&filler, vec![b'x'; 400 << 10]);
    until("it is told", || {
        connection.pipeline(100);
        tap.err().contains("cannot write to the store")
    });
    let out = || fs::read_to_string(place.path("out.jsonl")).unwrap_or_default();
    let before = of(&out(), "request", port).len();
    until("capture goes on", || {
        connection.pipeline(100);
        of(&out(), "request", port).len() > before + 200
    });
    fs::remove_file(&filler).unwrap();
    let ended = tap.interrupt();
    assert_eq!(
        ended.err.matches("cannot write to the store").count(),
        1,
        "{}",
        ended.err
    );
    let shown = of(&out(), "request", port).len() as u64;
    let stored = of(&lines::<Request<'_>>(&disk.join("kept")), "request", port).len() as u64;
    assert!(stored <= shown && stored > 0, "{stored} {shown}");
    if stored < shown {
        // Nothing is lost silently.
        assert_eq!(ended.status, Some(3), "{}", ended.err);
        assert!(ended.err.contains("store"), "{}", ended.err);
    }
}

#[test]
fn packets_are_looked_at_while_a_server_has_not_answered_yet_and_it_gets_all_of_them() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("store-slow-server");
    let server = Answering::start("18.16.1\n");
    let url = format!("{}?every=1s", server.url);
    let words = [
        "requests", "-i", "lo", "-f", "jsonl", "--host", "h", "--spool", "spool", "--store", &url,
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let port = connection.port();
    for _ in 0..100 {
        connection.ping();
    }
    // Longer than a batch waits for others.
    tap.until("all are shown, and a batch is in the spool", |out| {
        connection.ping();
        let is_kept = files(&place.path("spool"))
            .iter()
            .any(|path| path.extension().is_some_and(|suffix| suffix == "batch"));
        of(out, "request", port).len() >= 100 && is_kept
    });
    assert_eq!(server.inserts(), [""; 0]);
    connection.close();
    server.answers();
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert!(!ended.err.contains("dropped: "), "{}", ended.err);
    let inserts = server.inserts();
    for table in ["requests", "connections", "handshakes", "rollups", "health"] {
        let into = format!("db.{table}");
        assert!(
            inserts.iter().any(|url| url.contains(&into)),
            "{table} {inserts:?}"
        );
    }
    let left = files(&place.path("spool"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_server_that_refuses_ends_the_run_and_what_was_seen_is_shown() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("store-refuses");
    let server = Answering::start("an oven\n");
    let words = [
        "requests",
        "-i",
        "lo",
        "-f",
        "jsonl",
        "--spool",
        "spool",
        "--store",
        &server.url,
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    tap.until("it is shown", |out| {
        connection.ping();
        !of(out, "request", connection.port()).is_empty()
    });
    server.answers();
    let ended = tap.end();
    assert_eq!(ended.status, Some(1), "{}", ended.err);
    let said = "does not answer as ClickHouse does: an oven; name the HTTP port";
    assert_eq!(ended.err.matches(said).count(), 1, "{}", ended.err);
}

/// As much of a ClickHouse server as is asked of it at the start and at the end; it answers when it is told to.
struct Answering {
    url: String,
    state: Arc<Asked>,
}

#[derive(Default)]
struct Asked {
    /// Whether it answers, and what was inserted.
    state: Mutex<(bool, Vec<String>)>,
    changed: Condvar,
}

impl Answering {
    fn start(version: &'static str) -> Answering {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("clickhouse://joe@{}/db", listener.local_addr().unwrap());
        let state: Arc<Asked> = Arc::default();
        let all = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&all);
                std::thread::spawn(move || answer(stream, &state, version));
            }
        });
        Answering { url, state }
    }

    fn answers(&self) {
        self.state.state.lock().unwrap().0 = true;
        self.state.changed.notify_all();
    }

    /// Their addresses.
    fn inserts(&self) -> Vec<String> {
        self.state.state.lock().unwrap().1.clone()
    }
}

fn answer(mut stream: TcpStream, asked: &Asked, version: &str) -> Option<()> {
    let mut from = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let begin = head.len();
            from.read_line(&mut head).ok().filter(|n| *n > 0)?;
            let line = head[begin..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).ok()?;
        let mut held = asked.state.lock().unwrap();
        while !held.0 {
            held = asked.changed.wait(held).unwrap();
        }
        let sql = String::from_utf8_lossy(&body);
        let said = if head.contains("query_id=") {
            held.1.push(head.lines().next()?.to_owned());
            String::new()
        } else if sql.contains("version()") {
            version.to_owned()
        } else if sql.contains("system.tables") {
            let kinds = StoreKind::ALL.iter();
            kinds
                .map(|kind| format!("{}\tMergeTree\n", kind.table()))
                .collect()
        } else {
            "0\n".to_owned()
        };
        drop(held);
        let length = said.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{said}");
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

#[test]
fn sockets_are_kept_with_every_change() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("store-sockets");
    let store = place.path("kept");
    let words = [
        "sockets",
        "--watch",
        "-f",
        "jsonl",
        "--save-when",
        "changed",
        "--store",
        "kept",
        "--host",
        "h",
    ];
    let mut command = crate::tap::alone(&place, &words);
    command.args(["--netns", &lo.name()]);
    let tap = Tap::start(command);
    let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let port = connection.port();
    let needle = format!("\"local_port\":{port},");
    tap.until("it is seen", |out| {
        connection.ping();
        out.contains(&needle)
    });
    connection.close();
    let shown = tap.interrupt();
    shown.is(0, &[]);
    let of_socket = |text: &str| {
        let start = "{\"kind\":\"socket\",";
        let lines = text
            .lines()
            .filter(|line| line.starts_with(start) && line.contains(&needle));
        lines.count()
    };
    let kept = lines::<Socket<'_>>(&store);
    assert!(of_socket(&kept) > 0, "{kept}");
    assert_eq!(of_socket(&kept), of_socket(&shown.out));
}
