//! `sockets`: what it shows of real connections, once and watched.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of_kind};
use crate::tap::{Ended, Tap, alone, until};
use crate::traffic::{Connection, pings};

/// The program, asked for the sockets of a namespace.
pub(crate) fn sockets(namespace: &Namespace, place: &Place, words: &[&str]) -> Tap {
    let name = namespace.name();
    let words = [&["sockets", "--netns", &name], words].concat();
    Tap::spawn(&mut alone(place, &words))
}

/// The same, watching: from here on nothing is missed.
#[track_caller]
pub(crate) fn watching(namespace: &Namespace, place: &Place, words: &[&str]) -> Tap {
    let name = namespace.name();
    let words = [&["sockets", "--watch", "--netns", &name], words].concat();
    Tap::start(alone(place, &words))
}

/// A listener that stays: whose ends are servers' is known by it.
fn listen(lo: &Namespace, address: &str) -> TcpListener {
    lo.within(|| TcpListener::bind(address)).unwrap()
}

/// Both ends of a connection to it.
fn connect(lo: &Namespace, listener: &TcpListener) -> Connection {
    let address = listener.local_addr().unwrap();
    let client = lo.within(|| TcpStream::connect(address)).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    Connection { client, server }
}

/// Records of a kind about a socket with this port on either side.
fn about(ended: &Ended, kind: &str, port: u16) -> Vec<String> {
    let is_about = |line: &&str| {
        let port = Some(port.to_string());
        ["local_port", "remote_port"]
            .iter()
            .any(|name| field(line, name).map(str::to_owned) == port)
    };
    of_kind(&ended.out, kind)
        .into_iter()
        .filter(is_about)
        .map(str::to_owned)
        .collect()
}

#[test]
fn once_shows_both_ends_with_their_process_and_with_all_the_listener_too() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-once");
    let mut open = Connection::open(&lo, &lo, "127.0.0.1:6379");
    open.client.write_all(&[b'x'; 3000]).unwrap();
    let listener = lo
        .within(|| std::net::TcpListener::bind("127.0.0.1:7001"))
        .unwrap();
    let ended = sockets(&lo, &place, &[]).end();
    ended.is(0, &[]);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ended.out);
    assert!(lines[0].starts_with("STATE"), "{}", ended.out);
    // What is unread is trouble.
    assert!(
        lines[1].contains("2.93 KiB") && lines[1].contains("127.0.0.1:6379"),
        "{}",
        ended.out
    );
    let process = format!("[{}]", std::process::id());
    assert!(
        lines[1..3]
            .iter()
            .all(|line| line.starts_with("ESTAB") && line.contains(&process))
    );
    assert_eq!(lines[3], "2 sockets: 2 established; 1 with 2.93 KiB unread");

    let ended = sockets(&lo, &place, &["-a"]).end();
    assert!(
        ended.out.contains("LISTEN") && ended.out.contains("127.0.0.1:7001"),
        "{}",
        ended.out
    );
    // Who asks for it by name needs no option.
    let ended = sockets(&lo, &place, &["state", "listening"]).end();
    assert_eq!(ended.out.lines().count(), 3, "{}", ended.out);
    drop(listener);

    let ended = sockets(&lo, &place, &["-e", "dport = :6379"]).end();
    assert!(
        ended.out.contains("  pmtu 65,535  ") && ended.out.contains("1 socket: "),
        "{}",
        ended.out
    );
}

#[test]
fn for_machines_once_is_every_field_and_a_record_of_what_was_lost() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-machines");
    let listener = listen(&lo, "127.0.0.1:6379");
    let open = connect(&lo, &listener);
    let ended = sockets(&lo, &place, &["-f", "jsonl"]).end();
    ended.is(0, &["2 sockets\n"]);
    let records = of_kind(&ended.out, "socket");
    assert_eq!(records.len(), 2, "{}", ended.out);
    for record in &records {
        assert_eq!(
            field(record, "client_port"),
            Some(open.port().to_string().as_str())
        );
        assert_eq!(number(record, "server_port"), 6379);
        assert_eq!(number(record, "pid"), u64::from(std::process::id()));
        for name in [
            "netns",
            "socket_cookie",
            "rtt_us",
            "snd_cwnd",
            "congestion",
            "skmem_rcvbuf",
        ] {
            assert!(field(record, name).is_some(), "{name}: {record}");
        }
        assert_eq!(field(record, "final"), Some("false"));
    }
    let health = of_kind(&ended.out, "health");
    assert_eq!((health.len(), number(health[0], "polls")), (1, 1));
    let csv = sockets(&lo, &place, &["-f", "csv", "sport = :6379"]).end();
    assert_eq!(csv.out.lines().count(), 2, "{}", csv.out);
    let none = sockets(&lo, &place, &["-f", "none"]).end();
    assert_eq!(none.out, "");
}

#[test]
fn what_does_not_change_is_told_once_and_every_end_with_its_last_statistics() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-watch");
    let listener = listen(&lo, "127.0.0.1:6379");
    let mut kept = connect(&lo, &listener);
    let words = [
        "-f",
        "jsonl",
        "--interval",
        "20ms",
        "--save-when",
        "changed",
    ];
    let tap = watching(&lo, &place, &words);
    let mut short = connect(&lo, &listener);
    (0..3).for_each(|_| short.ping());
    let short = short.close();
    kept.ping();
    tap.until(
        "both ends of the short one, and the change of the other",
        |out| {
            let kept = of_kind(out, "socket").into_iter();
            let changed = kept.filter(|line| field(line, "bytes_received") == Some("7"));
            of_kind(out, "socket_summary").len() == 2 && changed.count() >= 1
        },
    );
    let ended = tap.interrupt();
    ended.is(0, &[" 2 ended, 0 destroy messages lost\n"]);
    let finals = about(&ended, "socket", short);
    let finals: Vec<_> = finals
        .iter()
        .filter(|line| field(line, "final") == Some("true"))
        .collect();
    assert_eq!(finals.len(), 2, "{}", ended.out);
    for record in finals {
        assert!(field(record, "bytes_sent").is_some(), "{record}");
        assert_eq!(field(record, "close"), Some("\"fin\""), "{record}");
    }
    // Three requests of 14 bytes, three responses of 7.
    let mut sent: Vec<u64> = about(&ended, "socket_summary", short)
        .iter()
        .map(|line| number(line, "sent_bytes"))
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, [21, 42]);
    // The other was open at the end.
    let open = about(&ended, "socket_summary", kept.port());
    assert!(
        open.len() == 2
            && open
                .iter()
                .all(|line| field(line, "close") == Some("\"open\""))
    );
    let health = of_kind(&ended.out, "health");
    let polls = number(health[0], "polls");
    let told = about(&ended, "socket", kept.port()).len() as u64;
    // One exchange, and what the kernel does after it (a delayed ACK); not once for every look.
    assert!(
        told <= 12 && (told < polls || polls < 12),
        "{told} of {polls}"
    );
    assert_eq!(field(health[0], "destroy_groups"), Some("true"));
}

#[test]
fn fields_that_are_asked_for_are_those_of_each_kind_that_has_them() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-fields");
    let listener = listen(&lo, "127.0.0.1:6379");
    let words = ["-f", "jsonl", "--interval", "20ms"];
    let fields = [
        "--fields",
        "remote_port,duration_us,timer_retransmits,snapshots",
    ];
    let tap = watching(&lo, &place, &[&words[..], &fields].concat());
    let mut short = connect(&lo, &listener);
    short.ping();
    // How long it was there is known of what was looked at.
    tap.until("a look at both", |out| of_kind(out, "socket").len() >= 2);
    short.close();
    tap.until("both ends", |out| of_kind(out, "socket_summary").len() == 2);
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let names = |line: &str| -> Vec<String> {
        let parts = line.trim_matches(['{', '}']).split(',');
        parts
            .map(|part| part.split(':').next().unwrap_or("").replace('"', ""))
            .collect()
    };
    for summary in of_kind(&ended.out, "socket_summary") {
        assert_eq!(
            names(summary),
            ["kind", "remote_port", "duration_us", "snapshots"]
        );
    }
    let finals = of_kind(&ended.out, "socket");
    let last = finals.last().unwrap();
    assert_eq!(
        names(last),
        ["kind", "remote_port", "duration_us", "timer_retransmits"],
        "{last}"
    );
    let only = ["--kind", "socket_summary", "-f", "csv"];
    let fields = ["--fields", "remote_port,duration,snapshots"];
    let tap = watching(&lo, &place, &[&only[..], &fields].concat());
    connect(&lo, &listener).close();
    tap.until("both ends", |out| out.lines().count() >= 2);
    let ended = tap.interrupt();
    let header = ended.out.lines().next();
    assert_eq!(header, Some("kind,remote_port,duration_us,snapshots"));
}

#[test]
fn so_many_looks_and_the_table_follows_itself_where_nobody_has_a_terminal() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-polls");
    let _open = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let ended = sockets(&lo, &place, &["--polls", "3", "--interval", "20ms"]).end();
    ended.is(
        0,
        &[
            "watching sockets",
            "3 polls, 2 sockets, 0 ended, 0 destroy messages lost\n",
        ],
    );
    assert_eq!(
        ended.out.matches("2 sockets: 2 established").count(),
        3,
        "{}",
        ended.out
    );
    // Rates are there from the second on.
    assert_eq!(ended.out.matches("OUT bit/s").count(), 2, "{}", ended.out);
    assert!(!ended.out.contains('\x1b'));
}

#[test]
fn a_signal_ends_a_long_wait_at_once_and_privileges_are_gone_meanwhile() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-signal");
    let tap = watching(&lo, &place, &["-f", "jsonl", "--interval", "1h"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", tap.id())).unwrap();
    let held = |name: &str| {
        status
            .lines()
            .find(|line| line.starts_with(name))
            .map(str::to_owned)
    };
    assert_eq!(
        held("CapEff:").unwrap().trim_end(),
        "CapEff:\t0000000000000000"
    );
    assert!(!held("Uid:").unwrap().contains("\t0\t"), "{status}");
    let ended = tap.interrupt();
    ended.is(
        0,
        &["1 polls, 0 sockets, 0 ended, 0 destroy messages lost\n"],
    );
}

#[test]
fn processes_of_new_connections_are_told_to_who_asks_and_the_right_to_is_all_that_is_kept() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-processes");
    let words = ["-f", "jsonl", "--interval", "20ms", "--processes"];
    let tap = watching(&lo, &place, &words);
    let status = std::fs::read_to_string(format!("/proc/{}/status", tap.id())).unwrap();
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"));
    // CAP_SYS_PTRACE is 19, CAP_DAC_READ_SEARCH 2.
    assert_eq!(held, Some("0000000000080004"), "{status}");
    let listener = listen(&lo, "127.0.0.1:6379");
    let mut open = connect(&lo, &listener);
    let process = format!("\"pid\":{},", std::process::id());
    // The first look at them may be too early.
    tap.until("the process of both ends", |out| {
        open.ping();
        let told = of_kind(out, "socket")
            .into_iter()
            .filter(|line| line.contains(&process));
        let cookies: std::collections::HashSet<_> =
            told.map(|line| number(line, "socket_cookie")).collect();
        cookies.len() == 2
    });
    tap.interrupt().is(0, &[]);
}

#[test]
fn other_hosts_are_shortened_everywhere_and_filters_see_them_whole() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("sockets-anonymize");
    let open = Connection::open(&a, &b, "10.9.0.2:6379");
    for format in ["text", "jsonl", "csv"] {
        let words = ["-f", format, "--anonymize", "netblock", "dst", "10.9.0.2"];
        let ended = sockets(&a, &place, &words).end();
        assert!(!ended.out.contains("10.9.0.2"), "{}", ended.out);
        assert!(
            ended.out.contains("10.9.0.1") && ended.out.contains("10.9.0.0"),
            "{}",
            ended.out
        );
    }
    let words = [
        "-f",
        "jsonl",
        "--anonymize",
        "netblock",
        "--interval",
        "20ms",
    ];
    let tap = watching(&a, &place, &words);
    open.close();
    tap.until("the end", |out| of_kind(out, "socket_summary").len() == 1);
    let ended = tap.interrupt();
    assert!(!ended.out.contains("10.9.0.2"), "{}", ended.out);
}

#[test]
fn what_is_excluded_is_neither_shown_nor_counted_as_an_end() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-exclude");
    let words = [
        "-f",
        "jsonl",
        "--interval",
        "20ms",
        "--exclude",
        "port 6380",
    ];
    let tap = watching(&lo, &place, &words);
    pings(&lo, &lo, "127.0.0.1:6380", 1);
    pings(&lo, &lo, "127.0.0.1:6379", 1);
    tap.until("the one that is wanted", |out| {
        of_kind(out, "socket_summary").len() == 2
    });
    let ended = tap.interrupt();
    assert!(!ended.out.contains(":6380,"), "{}", ended.out);
    ended.is(0, &[" 2 ended, "]);
}

#[test]
fn who_passed_an_expression_about_what_changes_is_told_to_the_end() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-passed");
    let words = ["-f", "jsonl", "--interval", "20ms", "state", "established"];
    let tap = watching(&lo, &place, &words);
    let open = Connection::open(&lo, &lo, "127.0.0.1:6379");
    tap.until("both ends of it", |out| of_kind(out, "socket").len() >= 2);
    open.close();
    // What is destroyed is in no such state any more.
    tap.until("the end", |out| of_kind(out, "socket_summary").len() == 2);
    tap.interrupt().is(0, &[" 2 ended, "]);
}

#[test]
fn files_rotate_and_begin_anew_when_told() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-files");
    let words = ["-f", "jsonl", "--interval", "20ms", "-o", "out.jsonl"];
    let tap = watching(&lo, &place, &words);
    pings(&lo, &lo, "127.0.0.1:6379", 1);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap_or_default();
    until("the first is told", || {
        of_kind(&read("out.jsonl"), "socket_summary").len() == 2
    });
    std::fs::rename(place.path("out.jsonl"), place.path("old.jsonl")).unwrap();
    tap.signal("-HUP");
    until("a new file is there", || place.path("out.jsonl").exists());
    pings(&lo, &lo, "127.0.0.1:6379", 1);
    until("the second is told", || {
        of_kind(&read("out.jsonl"), "socket_summary").len() == 2
    });
    tap.interrupt().is(0, &[]);
    assert_eq!(of_kind(&read("out.jsonl"), "health").len(), 1);
}

#[test]
fn an_unread_byte_of_each_kind_of_closing_is_exact() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-bytes");
    let tap = watching(&lo, &place, &["-f", "jsonl", "--interval", "50ms"]);
    let mut upload = Connection::open(&lo, &lo, "127.0.0.1:6379");
    upload.upload(100_000);
    let port = upload.close();
    // Half closed: the response comes after the request's FIN.
    let mut half = Connection::open(&lo, &lo, "127.0.0.1:6379");
    half.client.write_all(&[b'x'; 5000]).unwrap();
    half.client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    half.server.read_to_end(&mut all).unwrap();
    half.server.write_all(&[b'y'; 7000]).unwrap();
    half.server.shutdown(std::net::Shutdown::Write).unwrap();
    half.client.read_to_end(&mut all).unwrap();
    let half_port = half.port();
    drop(half);
    tap.until("all ends", |out| of_kind(out, "socket_summary").len() == 4);
    let ended = tap.interrupt();
    let sent = |port| {
        let mut sent: Vec<u64> = about(&ended, "socket_summary", port)
            .iter()
            .map(|line| number(line, "sent_bytes"))
            .collect();
        sent.sort_unstable();
        sent
    };
    assert_eq!(sent(port), [5, 100_000 + 31]);
    assert_eq!(sent(half_port), [5000, 7000]);
}

#[test]
fn on_a_terminal_each_table_takes_the_place_of_the_one_before() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-terminal");
    let _open = Connection::open(&lo, &lo, "127.0.0.1:6379");
    let program = env!("CARGO_BIN_EXE_tcplens");
    let name = lo.name();
    let line = format!(
        "stty rows 12 cols 72; {program} sockets --watch --netns {name} --polls 3 --interval 20ms"
    );
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    command.current_dir(place.directory());
    let output = match command.env("TERM", "xterm").output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(why) => return println!("SKIPPED: script(1): {why}"),
    };
    let frames: Vec<&str> = output.split("\x1b[?7l\x1b[H").skip(1).collect();
    assert_eq!(frames.len(), 3, "{output:?}");
    for frame in &frames {
        assert!(frame.starts_with("2 sockets: 2 established"), "{frame:?}");
        let (table, _) = frame.split_once("\x1b[J\x1b[?7h").unwrap();
        // As many lines as fit, and no word of the program among them.
        assert!(
            table.lines().count() < 12 && !table.contains("tcplens:"),
            "{table:?}"
        );
    }
    assert!(
        frames[2].contains("\x1b[?7h3 polls, 2 sockets, 0 ended, "),
        "{output:?}"
    );
}

#[test]
fn those_beyond_the_limit_are_counted_and_told() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("sockets-limit");
    let listener = listen(&lo, "127.0.0.1:7001");
    let _connection = connect(&lo, &listener);
    let words = [
        "--polls",
        "2",
        "--interval",
        "20ms",
        "--limit-connections",
        "1",
        "-f",
        "jsonl",
    ];
    let ended = sockets(&lo, &place, &[&["--watch"], &words[..]].concat()).end();
    ended.is(3, &["there are more sockets than --limit-connections"]);
    assert_eq!(of_kind(&ended.out, "socket").len(), 1, "{}", ended.out);
    let health = of_kind(&ended.out, "health");
    // The other one, at both looks.
    assert!(
        health[0].contains("\"limit_hits\":{\"sockets\":2}"),
        "{health:?}"
    );
}
