//! Attempts to connect that fail, as the kernels of both ends know them, with the kernel's names: asked of one kernel in two
//! network namespaces.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use crate::kernel::is_to_be_had;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::programs::{are_there, program};
use crate::records::{field, number, of_kind};
use crate::tap::{Tap, tcplens};

/// Packets to these ports of the server are dropped or answered by ICMP; SYN-ACKs of these come to nobody: all, or the first.
const RULES: &str = "table ip faults {
 chain input {
  type filter hook input priority 0;
  tcp dport 7101 drop
  tcp dport 7102 reject with icmp type port-unreachable
  tcp dport 7103 reject with icmp type admin-prohibited
  tcp dport 7104 reject with icmp type host-unreachable
  tcp dport 7105 reject with tcp reset
  tcp dport 7107 tcp flags & (syn|ack) == syn numgen inc mod 1000000 == 0 drop
 }
}";
const RULES_OF_CLIENT: &str = "table ip faults {
 chain input {
  type filter hook input priority 0;
  tcp sport 7106 drop
  tcp sport 7108 tcp flags & (syn|ack) == syn|ack numgen inc mod 1000000 == 0 drop
 }
}";

/// Sets rules of nft(8); `false`, said aloud: this kernel cannot do that.
pub(crate) fn nft(namespace: &Namespace, place: &Place, rules: &str) -> bool {
    let mut command = program(namespace, place, &["nft", "-f", "-"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = command.spawn().unwrap();
    nft.stdin
        .take()
        .unwrap()
        .write_all(rules.as_bytes())
        .unwrap();
    let output = nft.wait_with_output().unwrap();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        println!("SKIPPED: nft: {}", why.lines().next().unwrap_or_default());
    }
    output.status.success()
}

fn sysctl(namespace: &Namespace, name: &str, value: &str) {
    let path = format!("/proc/sys/net/{name}");
    namespace.within(|| fs::write(&path, value)).unwrap();
}

/// The only record of an attempt to this port.
#[track_caller]
fn attempt(out: &str, server_port: u16) -> &str {
    let mut all = attempts(out, server_port);
    assert_eq!(all.len(), 1, "{server_port}: {out}");
    all.pop().unwrap()
}

fn attempts(out: &str, server_port: u16) -> Vec<&str> {
    let port = server_port.to_string();
    let mut all = of_kind(out, "handshake");
    all.retain(|line| field(line, "server_port") == Some(&port));
    all
}

#[track_caller]
fn is(line: &str, outcome: &str, error: Option<&str>) {
    let word = |name| field(line, name).map(|value| value.trim_matches('"'));
    assert_eq!(
        (word("outcome"), word("error")),
        (Some(outcome), error),
        "{line}"
    );
}

#[test]
fn failed_attempts_have_the_kernel_s_names_at_both_ends() {
    if !are_there(&["nft"]) || !is_to_be_had() {
        return;
    }
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("kernel-attempts");
    if !nft(&b, &place, RULES) || !nft(&a, &place, RULES_OF_CLIENT) {
        return;
    }
    // An attempt ends after one repeat: 3 s.
    sysctl(&a, "ipv4/tcp_syn_retries", "1");
    // A doubling from the first repeat on, as before Linux 6.5, which had no such thing.
    let linear = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts";
    // Not there before: nothing to change.
    let _ = a.within(|| fs::write(linear, "0"));
    let listen = |port: u16| {
        let address = SocketAddr::from(([10, 9, 0, 2], port));
        b.within(|| TcpListener::bind(address)).unwrap()
    };
    let servers: Vec<TcpListener> = [7101, 7102, 7103, 7104, 7105, 7106, 7107, 7108]
        .into_iter()
        .map(listen)
        .collect();
    // Room for one that nobody accepts.
    sysctl(&b, "core/somaxconn", "0");
    let full = listen(7109);
    let client = Tap::start(tcplens(&a, &place, &["records", "-k"]));
    let server = Tap::start(tcplens(&b, &place, &["records", "-k"]));
    let connect = |port: u16| {
        let address = SocketAddr::from(([10, 9, 0, 2], port));
        a.within(|| TcpStream::connect(address))
    };
    let first = connect(7109).unwrap();
    let results: Vec<(u16, std::io::Result<TcpStream>)> = std::thread::scope(|scope| {
        let ports = [9, 7101, 7102, 7103, 7104, 7105, 7106, 7107, 7108, 7109];
        let running = ports.map(|port| (port, scope.spawn(move || connect(port))));
        let ended = running.map(|(port, attempt)| (port, attempt.join().unwrap()));
        ended.into()
    });
    client.until("all attempts", |out| {
        of_kind(out, "handshake").len() == results.len() + 1
    });
    let client = client.interrupt();
    client.is(0, &[]);
    let at_client = client.out;
    let error = |port: u16| {
        let (_, result) = results.iter().find(|(of, _)| *of == port).unwrap();
        result.as_ref().err().and_then(std::io::Error::raw_os_error)
    };
    // What connect() returned, and what is told of it.
    for (port, errno, outcome, name) in [
        (9, 111, "refused", "ECONNREFUSED"),
        (7101, 110, "timed_out", "ETIMEDOUT"),
        (7102, 111, "refused", "ECONNREFUSED"),
        (7103, 113, "unreachable", "EHOSTUNREACH"),
        (7104, 113, "unreachable", "EHOSTUNREACH"),
        (7105, 111, "refused", "ECONNREFUSED"),
        (7106, 110, "timed_out", "ETIMEDOUT"),
    ] {
        assert_eq!(error(port), Some(errno), "{port}");
        let line = attempt(&at_client, port);
        is(line, outcome, Some(name));
        assert_eq!(field(line, "handshake_us"), None, "{line}");
        assert_eq!(field(line, "tap_side"), Some("\"client\""), "{line}");
        assert!(number_of(line, "wait_us") > 0.0, "{line}");
        if errno == 110 {
            assert_eq!(number(line, "syn_retransmits"), 1, "{line}");
            assert!(number_of(line, "wait_us") > 2_900_000.0, "{line}");
        }
    }
    for port in [7107, 7108] {
        assert_eq!(error(port), None, "{port}");
        let line = attempt(&at_client, port);
        is(line, "established", None);
        assert_eq!(number(line, "syn_retransmits"), 1, "{line}");
        assert!(number_of(line, "handshake_us") > 900_000.0, "{line}");
    }
    // A queue that is full is silence.
    assert_eq!(error(7109), Some(110));
    let outcomes = attempts(&at_client, 7109).into_iter();
    let mut outcomes: Vec<_> = outcomes.filter_map(|line| field(line, "outcome")).collect();
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        ["\"established\"", "\"timed_out\""],
        "{at_client}"
    );

    drop((first, results, servers, full));
    let server = server.interrupt();
    server.is(0, &[]);
    let at_server = server.out;
    let refused = attempt(&at_server, 9);
    is(refused, "refused", Some("ECONNREFUSED"));
    // What a filter keeps away never was there.
    for port in [7101, 7102, 7103, 7104, 7105] {
        assert!(attempts(&at_server, port).is_empty(), "{port}: {at_server}");
    }
    let lost = attempt(&at_server, 7106);
    is(lost, "unacknowledged", None);
    assert!(number(lost, "synack_retransmits") >= 1, "{lost}");
    let again = attempt(&at_server, 7108);
    is(again, "established", None);
    assert!(number(again, "synack_retransmits") >= 1, "{again}");
    is(attempt(&at_server, 7107), "established", None);
    is(attempt(&at_server, 7109), "established", None);
    // What the queue had no room for is counted: each SYN that came to it.
    let health = of_kind(&at_server, "health").pop().unwrap();
    assert!(number(health, "accept_overflows") >= 1, "{health}");
    for line in of_kind(&at_server, "handshake") {
        assert_eq!(field(line, "tap_side"), Some("\"server\""), "{line}");
    }
}

/// Of a duration.
#[track_caller]
fn number_of(line: &str, name: &str) -> f64 {
    let value = field(line, name).and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}: {line}"))
}
