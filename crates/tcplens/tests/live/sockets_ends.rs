//! `sockets --watch`: of connections that end in every way, what is told of how they ended and of their payload, against what this
//! process itself wrote and read. With `--kernel` all of it is exact; without, nothing is wrong.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};

use crate::kernel::is_to_be_had;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of_kind};
use crate::sockets::{sockets, watching};
use crate::sockets_endings::{Right, local, silent};
use crate::tap::Ended;

/// Everything that ends, watched so.
fn watch(name: &str, words: &[&str]) -> Option<(Vec<Right>, Ended)> {
    let (here, there) = Namespace::pair()?;
    for (setting, value) in [("tcp_fin_timeout", "1"), ("tcp_syn_retries", "1")] {
        let path = format!("/proc/sys/net/ipv4/{setting}");
        here.within(|| std::fs::write(path, value)).unwrap();
    }
    let place = Place::new(name);
    let words = [&["-f", "jsonl", "--kind", "socket_summary,health"], words].concat();
    let tap = watching(&here, &place, &words);
    let mut all = local(&here);
    all.extend(silent(&here, &there));
    let ends: usize = all.iter().map(|right| right.count).sum();
    tap.until("all ends", |out| {
        of_kind(out, "socket_summary").len() >= ends
    });
    Some((all, tap.interrupt()))
}

/// The summaries that are of these ends.
fn told<'o>(ended: &'o Ended, right: &Right) -> Vec<&'o str> {
    let name = if right.is_server {
        "local_port"
    } else {
        "remote_port"
    };
    let mut lines = of_kind(&ended.out, "socket_summary");
    let port = right.server_port.to_string();
    lines.retain(|line| field(line, name) == Some(&port));
    lines
}

fn optional(line: &str, name: &str) -> Option<u64> {
    field(line, name).map(|_| number(line, name))
}

fn is_exact_inside(name: &str, interval: &str) {
    if !is_to_be_had() {
        return;
    }
    let Some((all, ended)) = watch(name, &["-k", "--interval", interval]) else {
        return;
    };
    ended.is(0, &[" ended, 0 destroy messages lost\n"]);
    for right in &all {
        let lines = told(&ended, right);
        assert_eq!(lines.len(), right.count, "{right:?}\n{}", ended.out);
        for line in lines {
            assert_eq!(
                field(line, "close"),
                Some(format!("\"{}\"", right.close).as_str()),
                "{right:?}\n{line}"
            );
            if !right.is_attempt {
                let (sent, received) = (number(line, "sent_bytes"), number(line, "received_bytes"));
                assert_eq!(
                    (sent, received),
                    (right.sent, right.received),
                    "{right:?}\n{line}"
                );
                assert!(field(line, "duration_us").is_some(), "{line}");
            }
            let is_server = field(line, "server_port") == field(line, "local_port");
            assert_eq!(is_server, right.is_server, "{right:?}\n{line}");
            if !right.is_server {
                assert_eq!(
                    optional(line, "pid"),
                    Some(u64::from(std::process::id())),
                    "{line}"
                );
                assert!(field(line, "comm").is_some(), "{line}");
            }
        }
    }
    let health = of_kind(&ended.out, "health")[0];
    assert_eq!(number(health, "event_drops"), 0, "{health}");
    assert!(number(health, "kernel_events") > 0, "{health}");
}

#[test]
fn with_the_kernel_s_own_view_every_end_is_exact_however_short_the_connection_was() {
    is_exact_inside("ends-inside-short", "1h");
}

#[test]
fn with_the_kernel_s_own_view_every_end_is_exact_also_of_what_was_looked_at() {
    is_exact_inside("ends-inside", "10ms");
}

/// Whether a word says as much as another, or less.
fn is_no_more_than(word: &str, right: &str) -> bool {
    word == right
        || matches!(word, "unknown" | "vanished")
        || word == "reset" && right.starts_with("reset_")
        || word == "failed" && matches!(right, "refused" | "timed_out")
}

fn is_never_wrong(name: &str, interval: &str) {
    let Some((all, ended)) = watch(name, &["--interval", interval]) else {
        return;
    };
    ended.is(0, &[" ended, 0 destroy messages lost\n"]);
    let mut words = BTreeMap::new();
    for right in &all {
        let lines = told(&ended, right);
        assert!(
            lines.len() == right.count || right.is_disconnected && lines.is_empty(),
            "{right:?}\n{}",
            ended.out
        );
        for line in lines {
            let close = field(line, "close").unwrap().trim_matches('"');
            let received = field(line, "received_bytes").map(str::to_owned);
            let said = (right.what, right.is_server, close, received);
            *words.entry(said).or_insert(0) += 1;
            assert!(is_no_more_than(close, right.close), "{right:?}\n{line}");
            let (sent, received) = (
                optional(line, "sent_bytes"),
                optional(line, "received_bytes"),
            );
            if field(line, "final_info") == Some("true") {
                assert_eq!(sent, Some(right.sent), "{right:?}\n{line}");
                assert!(
                    received.is_none_or(|bytes| bytes == right.received),
                    "{right:?}\n{line}"
                );
            } else {
                // Of the last look.
                assert!(
                    sent.is_none_or(|bytes| bytes <= right.sent),
                    "{right:?}\n{line}"
                );
                assert!(
                    received.is_none_or(|bytes| bytes <= right.received),
                    "{right:?}\n{line}"
                );
            }
        }
    }
    // For docs/sockets.md.
    println!("{words:#?}");
}

#[test]
fn without_it_nothing_is_wrong_of_connections_that_were_never_looked_at() {
    is_never_wrong("ends-short", "1h");
}

#[test]
fn without_it_nothing_is_wrong_of_connections_that_were_looked_at() {
    is_never_wrong("ends", "10ms");
}

#[test]
fn a_socket_that_is_kept_after_a_rst_is_told_with_all_that_it_sent() {
    if !is_to_be_had() {
        return;
    }
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("ends-kept");
    let words = ["-f", "jsonl", "-k", "--interval", "20ms"];
    let tap = watching(&lo, &place, &words);
    let listener = lo.within(|| TcpListener::bind("127.0.0.1:7001")).unwrap();
    let client = lo.within(|| TcpStream::connect("127.0.0.1:7001")).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    tap.until("both were looked at", |out| {
        of_kind(out, "socket").len() >= 2
    });
    std::io::Write::write_all(&mut server, &[b'x'; 777]).unwrap();
    // What is unread is answered with a RST.
    drop(client);
    // The kernel does not show it any more, and has not destroyed it.
    tap.until("both ends", |out| of_kind(out, "socket_summary").len() == 2);
    drop(server);
    let ended = tap.interrupt();
    ended.is(0, &[" 2 ended, "]);
    let right = Right {
        what: "kept",
        server_port: 7001,
        is_server: true,
        sent: 777,
        received: 0,
        close: "reset_received",
        count: 1,
        is_disconnected: false,
        is_attempt: false,
    };
    let line = told(&ended, &right)[0];
    assert_eq!(field(line, "close"), Some("\"reset_received\""), "{line}");
    assert_eq!(number(line, "sent_bytes"), 777, "{line}");
}

#[test]
fn it_takes_watching() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("ends-usage");
    let ended = sockets(&lo, &place, &["-k"]).end();
    ended.is(2, &["-k (--kernel) tells how connections open and end"]);
}
