//! Invariant 9: privileges are gone when the first packet is looked at, of every thread; what is written is written all the
//! same. And namespaces by name.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of_kind;
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::{Connection, pings};

/// What `status` of every thread of a process says, by key.
fn of_all_threads(id: u32, key: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let values = tasks.filter_map(|task| {
        // A thread may end meanwhile.
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with(key))?;
        Some(line[key.len()..].trim().replace('\t', " "))
    });
    values.collect()
}

#[track_caller]
fn are_all(id: u32, key: &str, value: &str) {
    let values = of_all_threads(id, key);
    // The one that shows, the one that captures, those that write.
    assert!(values.len() >= 3, "{values:?}");
    assert!(values.iter().all(|each| each == value), "{key} {values:?}");
}

#[test]
fn invariant_09_privileges_are_gone_in_every_thread_while_it_captures() {
    let Some(lo) = Namespace::new() else { return };
    for (user, id) in [(None, "65534"), (Some("54321"), "54321")] {
        let place = Place::new(&format!("privileges-{id}"));
        let mut command = tcplens(
            &lo,
            &place,
            &["records", "-i", "lo", "-o", "out.jsonl", "-w", "out.pcapng"],
        );
        command.args(user.map(|user| format!("--user={user}")));
        let tap = Tap::start(command);
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        until("records in the file", || {
            connection.ping();
            let text = fs::read_to_string(place.path("out.jsonl")).unwrap();
            !of_kind(&text, "request").is_empty()
        });
        let four = [id; 4].join(" ");
        for key in ["Uid:", "Gid:"] {
            are_all(tap.id(), key, &four);
        }
        are_all(tap.id(), "Groups:", "");
        are_all(tap.id(), "NoNewPrivs:", "1");
        for key in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            are_all(tap.id(), key, "0000000000000000");
        }
        tap.interrupt().is(0, &[]);
        for name in ["out.jsonl", "out.pcapng"] {
            let file = fs::metadata(place.path(name)).unwrap();
            assert!(file.len() > 0, "{name}");
            assert_eq!(file.uid().to_string(), id, "{name}");
        }
    }
}

#[test]
fn what_cannot_be_captured_leaves_no_privilege_question_open() {
    let place = Place::new("nobody");
    let program = place.path("tcplens");
    fs::copy(env!("CARGO_BIN_EXE_tcplens"), &program).unwrap();
    let mut setpriv = Command::new("setpriv");
    setpriv
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["requests", "-i", "lo"]);
    let Some(output) = setpriv.output().ok().filter(|output| {
        // Its own failures are 127.
        output.status.code() != Some(127)
    }) else {
        println!("SKIPPED: no setpriv(1), or not root");
        return;
    };
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let grant = format!("sudo setcap cap_net_raw=ep {}", program.display());
    for words in ["cannot capture on lo: not permitted", "CAP_NET_RAW", &grant] {
        assert!(said.contains(words), "{words:?} not in: {said}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_directory_where_nothing_can_be_made_later_is_told_at_the_start() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("closed");
    let closed = place.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let why = "closed is not writable for nobody, whom tcplens has become";
    let way_out = "`chown nobody closed` before, or let it stay root (--user root)";
    for output in [["-o", "closed/a.jsonl"], ["-w", "closed/a.pcap"]] {
        let words = ["records", "-i", "lo", "--rotate", "1MiB"];
        let words = [&words[..], &output, &["--duration", "20"]].concat();
        let ended = Tap::spawn(&mut tcplens(&lo, &place, &words)).end();
        ended.is(1, &["cannot rotate files: ", why, way_out]);
        assert!(!ended.err.contains("capturing on"), "{}", ended.err);
        let as_root = [&words[..], &["--user", "root"]].concat();
        let tap = Tap::start(tcplens(&lo, &place, &as_root));
        tap.interrupt().is(0, &[]);
    }
    // A socket works there, and stays behind; the next run replaces it.
    let words = ["records", "-i", "lo", "-U", "closed/s.sock", "-f", "none"];
    for _ in 0..2 {
        let tap = Tap::start(tcplens(&lo, &place, &words));
        let told = "the socket stays behind at the end, and the next start replaces it: ";
        tap.interrupt().is(0, &[told]);
        assert!(place.path("closed/s.sock").exists());
    }
}

/// A namespace that has a name while it is there.
struct Named(String);

impl Named {
    fn new() -> Option<Named> {
        let name = format!("tcplens-test-{}", std::process::id());
        let added = Command::new("ip").args(["netns", "add", &name]).output();
        if !added.is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: ip netns takes root, and ip(8)");
            return None;
        }
        Some(Named(name))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // It is left to whoever looks at `ip netns` then.
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.0])
            .status();
    }
}

#[test]
fn a_namespace_is_found_by_its_name() {
    let Some(named) = Named::new() else { return };
    let place = Place::new("named");
    let up = ["-n", &named.0, "link", "set", "lo", "up"];
    assert!(Command::new("ip").args(up).status().unwrap().success());
    let words = ["records", "-i", "lo", "--netns", &named.0, "-B", "4MiB"];
    let tap = Tap::start(alone(&place, &words));
    assert!(
        tap.err()
            .contains(&format!("capturing on lo in network namespace {}", named.0))
    );
    let mut python = Command::new("ip");
    let connect = "import socket; s = socket.create_server(('127.0.0.1', 6379)); \
                   c = socket.create_connection(('127.0.0.1', 6379))";
    python.args(["netns", "exec", &named.0, "python3", "-c", connect]);
    if !python.status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: no python3");
        return;
    }
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert_eq!(of_kind(&ended.out, "handshake").len(), 1, "{ended:?}");
    // Nor is this one's traffic seen there.
    let Some(lo) = Namespace::new() else { return };
    let tap = Tap::start(alone(&place, &words));
    pings(&lo, &lo, "127.0.0.1:6379", 1);
    tap.interrupt().is(0, &["0 packets captured"]);
}
