//! Packets and the kernel in one agent: records of one connection have one socket, and who counts counts it once.

use std::fs;

use crate::kernel::is_to_be_had;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of, of_kind};
use crate::tap::{Tap, alone, until};
use crate::traffic::{Connection, pings};

/// The server's port that the kernel is asked about.
const KNOWN: &str = "10.9.0.2:6379";
/// One that it is not.
const OTHER: &str = "10.9.0.2:6380";

/// Two namespaces with a cable, and a kernel that tells.
fn pair() -> Option<(Namespace, Namespace)> {
    is_to_be_had().then(Namespace::pair).flatten()
}

/// The agent with packets of `vb` and the kernel's view.
fn start(place: &Place, b: &Namespace, (kernel, ports): (&str, &str), views: &str) -> Tap {
    let netns = b.name();
    let text = format!(
        "log_level: info\nsources: [{{interface: vb, netns: {netns}}}, {{kernel: true{kernel}}}]\n\
         ports: [{ports}]\nviews: [{views}]\n"
    );
    fs::write(place.path("agent.yaml"), text).unwrap();
    Tap::start(alone(place, &["agent", "--config", "agent.yaml"]))
}

/// Every record, and requests counted once.
const ALL: &str = "{kind: records, format: jsonl, output: all.jsonl}";
const ONCE: &str = "{kind: requests, format: jsonl, output: once.jsonl}";

/// What it wrote of connections to both ports, by view. The ports of the clients.
fn observed(
    place: &Place,
    (a, b): (&Namespace, &Namespace),
    kernel: (&str, &str),
) -> (String, String, [u16; 2]) {
    let tap = start(place, b, kernel, &format!("{ALL}, {ONCE}"));
    let clients = [(KNOWN, 3), (OTHER, 2)].map(|(server, n)| pings(a, b, server, n));
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap_or_default();
    let is_there = |all: &str, client: u16, vantage: &str| {
        let vantage = format!("\"{vantage}\"");
        let mut connections = of(all, "connection", client).into_iter();
        connections.any(|line| field(line, "vantage") == Some(&vantage))
    };
    until("connections of both", || {
        let all = read("all.jsonl");
        is_there(&all, clients[0], "wire")
            && is_there(&all, clients[0], "kernel")
            && is_there(&all, clients[1], "wire")
    });
    tap.interrupt().is(0, &[]);
    (read("all.jsonl"), read("once.jsonl"), clients)
}

/// Records of packets, and of the kernel.
fn by_vantage<'o>(all: &'o str, kind: &str, client: u16) -> [Vec<&'o str>; 2] {
    ["\"wire\"", "\"kernel\""].map(|vantage| {
        let mut lines = of(all, kind, client);
        lines.retain(|line| field(line, "vantage") == Some(vantage));
        lines
    })
}

#[test]
fn records_of_packets_have_the_socket_and_are_counted_once() {
    let Some((a, b)) = pair() else { return };
    let place = Place::new("kernel-join");
    let netns = format!(", netns: {}", b.name());
    let (all, once, [known, other]) = observed(&place, (&a, &b), (&netns, "{port: 6379}"));
    let mut sockets = Vec::new();
    for (kind, n) in [("handshake", 1), ("request", 3), ("connection", 1)] {
        let [wire, kernel] = by_vantage(&all, kind, known);
        assert_eq!((wire.len(), kernel.len()), (n, n), "{kind}: {all}");
        for line in wire.iter().chain(&kernel) {
            sockets.push((number(line, "socket_cookie"), number(line, "netns")));
        }
        let [wire, kernel] = by_vantage(&all, kind, other);
        assert_eq!(kernel.len(), 0, "{all}");
        for line in wire {
            assert_eq!(field(line, "socket_cookie"), None, "{line}");
            assert_eq!(field(line, "netns"), None, "{line}");
        }
    }
    assert!(
        sockets.iter().all(|socket| *socket == sockets[0]),
        "{sockets:?}: {all}"
    );
    // Of requests that both tell of, the kernel's alone.
    let [wire, kernel] = by_vantage(&once, "request", known);
    assert_eq!((wire.len(), kernel.len()), (0, 3), "{once}");
    let [wire, _] = by_vantage(&once, "request", other);
    assert_eq!(wire.len(), 2, "{once}");
    let health = of_kind(&all, "health");
    let health = health.last().expect("a health record at the end");
    assert!(
        health.contains("\"unjoined_connections\":{\"no_socket\":1}"),
        "{health}"
    );
}

#[test]
fn a_view_of_requests_alone_counts_them_once() {
    let Some((a, b)) = pair() else { return };
    let place = Place::new("kernel-join-once");
    let netns = format!(", netns: {}", b.name());
    let tap = start(&place, &b, (&netns, "{port: 6379}"), ONCE);
    // One is asked nothing more after its first request, but stays open.
    let mut open = Connection::open(&a, &b, KNOWN);
    open.ping();
    let known = pings(&a, &b, KNOWN, 3);
    let other = pings(&a, &b, OTHER, 2);
    let read = || fs::read_to_string(place.path("once.jsonl")).unwrap_or_default();
    until("requests of all", || {
        let once = read();
        of(&once, "request", known).len() >= 3
            && of(&once, "request", other).len() >= 2
            && !of(&once, "request", open.port()).is_empty()
    });
    tap.interrupt().is(0, &[]);
    let once = read();
    for (client, wanted) in [(known, (0, 3)), (open.port(), (0, 1)), (other, (2, 0))] {
        let [wire, kernel] = by_vantage(&once, "request", client);
        assert_eq!((wire.len(), kernel.len()), wanted, "{client}: {once}");
    }
}

#[test]
fn ends_in_two_namespaces_are_not_joined_but_counted() {
    let Some((a, b)) = pair() else { return };
    let place = Place::new("kernel-join-two");
    // All namespaces, and clients as well.
    let ports = "{port: 6379}, {port: 6379, role: peer}";
    let (all, once, [known, _]) = observed(&place, (&a, &b), ("", ports));
    let [wire, kernel] = by_vantage(&all, "connection", known);
    assert_eq!((wire.len(), kernel.len()), (1, 2), "{all}");
    assert_eq!(field(wire[0], "socket_cookie"), None, "{}", wire[0]);
    let [wire, kernel] = by_vantage(&once, "request", known);
    assert_eq!((wire.len(), kernel.len()), (3, 6), "{once}");
    let health = of_kind(&all, "health");
    let health = health.last().expect("a health record at the end");
    assert!(
        health.contains("\"unjoined_connections\":{\"several_namespaces\":1,\"no_socket\":1}"),
        "{health}"
    );
}
