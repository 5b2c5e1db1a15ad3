//! Names by the system's resolver, in a namespace with a name server of the test's own: asked without privileges, from within
//! landlock, and never waited for at the end.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::tap::{DEADLINE, Tap};
use crate::traffic::Connection;

/// Two of loopback's addresses.
const NAMED: &str = "127.9.0.1:6379";
const NAMELESS: &str = "127.9.0.2:6379";

/// Whether the name server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Answers,
    Hangs,
}

/// A namespace whose resolver asks a server of the test, which counts what it was asked. `None`: there can be none, which is said.
fn namespace(place: &Place, server: Server) -> Option<(Namespace, Arc<AtomicU32>)> {
    let namespace = Namespace::new()?;
    for (name, text) in [
        // More patience than any test has.
        (
            "resolv.conf",
            "nameserver 127.0.0.53\noptions timeout:30 attempts:5\n",
        ),
        ("nsswitch.conf", "hosts: files dns\n"),
        ("hosts", "127.0.0.1 localhost\n"),
    ] {
        let own = place.path(name);
        fs::write(&own, text).unwrap();
        let mut mount = namespace.command("mount");
        mount.arg("--bind").arg(own).arg(format!("/etc/{name}"));
        if !mount.stderr(Stdio::null()).status().unwrap().success() {
            println!("SKIPPED: /etc/{name} cannot be another one in a namespace here");
            return None;
        }
    }
    let socket = namespace
        .within(|| UdpSocket::bind("127.0.0.53:53"))
        .unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    // It ends with the test's process.
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            counted.fetch_add(1, Ordering::Relaxed);
            if server == Server::Answers {
                // Whoever asked may be gone.
                let _ = socket.send_to(&answer(&bytes[..length]), from);
            }
        }
    });
    Some((namespace, asked))
}

/// 127.9.0.1 is peer.example, whatever else is asked does not exist.
fn answer(query: &[u8]) -> Vec<u8> {
    let asked = b"\x011\x010\x019\x03127\x07in-addr\x04arpa\0\x00\x0c\x00\x01";
    let end = 12 + query[12..].iter().position(|&byte| byte == 0).unwrap() + 5;
    let mut out = query[..end].to_vec();
    let exists = query[12..].starts_with(asked);
    let (answers, rcode) = if exists { (1, 0) } else { (0, 3) };
    out[2..12].copy_from_slice(&[0x81, 0x80 | rcode, 0, 1, 0, answers, 0, 0, 0, 0]);
    if exists {
        let name = b"\x04peer\x07example\0";
        out.extend(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c\x00");
        out.push(name.len() as u8);
        out.extend(name);
    }
    out
}

/// The program in that namespace.
fn tcplens(namespace: &Namespace, place: &Place, words: &[&str]) -> Command {
    let mut command = namespace.command(env!("CARGO_BIN_EXE_tcplens"));
    command
        .args(words)
        .current_dir(place.directory())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    command
}

#[test]
fn the_resolver_is_asked_beside_the_capture_without_privileges_and_confined() {
    let place = Place::new("names");
    let Some((lo, asked)) = namespace(&place, Server::Answers) else {
        return;
    };
    let words = ["handshakes", "-i", "lo", "-B", "4MiB", "--names", "-v"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    tap.until("the name of the server", |out| {
        Connection::open(&lo, &lo, NAMED);
        Connection::open(&lo, &lo, NAMELESS);
        out.contains(" peer.example:6379 |")
    });
    // What has no name goes on with its address.
    tap.until("the address of the other", |out| {
        out.contains(" 127.9.0.2:6379 |")
    });
    let tasks = fs::read_dir(format!("/proc/{}/task", tap.id())).unwrap();
    let statuses: Vec<_> = tasks.filter_map(|task| status(task.ok()?)).collect();
    let names: Vec<_> = statuses
        .iter()
        .filter(|status| status.contains("Name:\tnames\n"))
        .collect();
    assert!(!names.is_empty(), "{statuses:?}");
    for status in names {
        assert!(status.contains("CapEff:\t0000000000000000\n"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    }
    let err = tap.err();
    assert!(
        err.contains("restricted by landlock") || err.contains("no landlock"),
        "{err}"
    );
    let ended = tap.interrupt();
    ended.is(
        0,
        &["tcplens: 3 reverse look-ups: 2 names, 1 without, 0 failed, 0 without an answer yet\n"],
    );
    assert!(!ended.err.contains("cannot look up"), "{}", ended.err);
    // The clients' 127.0.0.1 stands in the file of hosts, so nobody was asked.
    assert!(ended.out.contains(" localhost:"), "{}", ended.out);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // What is printed at the end only can wait for names then.
    let words = ["report", "-i", "lo", "-B", "4MiB", "--names"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    Connection::open(&lo, &lo, NAMED);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert!(ended.out.contains("\npeer.example:6379 "), "{}", ended.out);
}

#[test]
fn a_resolver_that_hangs_neither_delays_a_line_nor_the_end() {
    let place = Place::new("names-hang");
    let Some((lo, _)) = namespace(&place, Server::Hangs) else {
        return;
    };
    let words = [
        "handshakes",
        "-i",
        "lo",
        "-B",
        "4MiB",
        "--names",
        "-w",
        "saved.pcap",
    ];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    tap.until("lines with addresses", |out| {
        Connection::open(&lo, &lo, NAMED);
        out.matches(" 127.9.0.1:6379 |").count() > 3
    });
    // The resolver waits for 30 s and more; what ends within that has not waited for it.
    tap.interrupt().is(0, &[]);
    // Of a file the results wait, but not long.
    let begun = Instant::now();
    let words = [
        "handshakes",
        "-r",
        "saved.pcap",
        "--names",
        "--threads",
        "1",
    ];
    let ended = Tap::spawn(&mut tcplens(&lo, &place, &words)).end();
    ended.is(0, &[]);
    assert!(ended.out.contains(" 127.9.0.1:6379 |"), "{}", ended.out);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < DEADLINE,
        "{took:?}"
    );
}

#[test]
fn lines_of_a_file_wait_for_names_that_come_soon() {
    let place = Place::new("names-file");
    let Some((lo, asked)) = namespace(&place, Server::Answers) else {
        return;
    };
    let words = ["handshakes", "-i", "lo", "-B", "4MiB", "-w", "saved.pcap"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    tap.until("a line", |out| {
        Connection::open(&lo, &lo, NAMED);
        out.contains(" 127.9.0.1:6379 |")
    });
    tap.interrupt().is(0, &[]);
    // Nobody is asked unless that was asked for.
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    for (words, name) in [
        (&["--names"][..], "peer.example"),
        (&["--names=seen"], "127.9.0.1"),
        (&[], "127.9.0.1"),
    ] {
        let mut all = vec!["handshakes", "-r", "saved.pcap"];
        all.extend(words);
        let ended = Tap::spawn(&mut tcplens(&lo, &place, &all)).end();
        ended.is(0, &[]);
        let lines = ended.out.lines().filter(|line| line.contains(":6379 |"));
        let (with, all) = lines.fold((0, 0), |(with, all), line| {
            (
                with + usize::from(line.contains(&format!(" {name}:6379"))),
                all + 1,
            )
        });
        assert!(all > 0 && with == all, "{}", ended.out);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
