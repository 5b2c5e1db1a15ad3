//! Each request, handshake and connection once, whatever it is captured on.

use crate::frames;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of_kind, only};
use crate::tap::{Ended, Tap, tcplens};
use crate::traffic::{Connection, pings, refused};

const FRAMES: &[&str] = &[
    "first_frame",
    "last_frame",
    "request_frame",
    "response_frame",
];

/// Runs `records` on these interfaces while `traffic` gives client ports; ends it right behind.
#[track_caller]
fn captured(
    name: &str,
    namespace: &Namespace,
    words: &[&str],
    traffic: impl FnOnce() -> Vec<u16>,
) -> (Ended, Vec<u16>) {
    let place = Place::new(name);
    let all = [&["records"], words].concat();
    let tap = Tap::start(tcplens(namespace, &place, &all));
    let ports = traffic();
    // All that was sent lies in the ring by now, and is read before the end.
    let ended = tap.interrupt();
    ended.is(0, &[]);
    (ended, ports)
}

/// Everything that there is about a connection with three requests.
#[track_caller]
fn is_seen_once(ended: &Ended, port: u16, direction: &str) {
    is_once_in(&ended.out, port, direction);
}

#[track_caller]
fn is_once_in(out: &str, port: u16, direction: &str) {
    let direction = format!("\"{direction}\"");
    let shared = [("vantage", "\"wire\""), ("direction", &direction)];
    let handshake = [
        &shared[..],
        &[("outcome", "\"established\""), ("syn_retransmits", "0")],
    ];
    only(out, "handshake", port, &handshake.concat(), FRAMES);
    let connection = [
        ("close", "\"fin\""),
        ("requests", "3"),
        ("client_bytes", "42"),
        ("server_bytes", "21"),
        ("client_data_segments", "3"),
        ("client_retransmits", "0"),
        ("server_retransmits", "0"),
        ("client_missing_bytes", "0"),
    ];
    let connection = [&shared[..], &connection].concat();
    only(out, "connection", port, &connection, FRAMES);
    let requests = crate::records::of(out, "request", port);
    assert_eq!(requests.len(), 3, "{out}");
    for (n, request) in requests.iter().enumerate() {
        assert_eq!(field(request, "operation"), Some("\"PING\""));
        assert_eq!(field(request, "status"), Some("\"ok\""));
        assert_eq!(number(request, "task"), n as u64 + 1);
        assert_eq!(field(request, "direction"), Some(direction.as_str()));
        assert!(FRAMES.iter().all(|name| field(request, name).is_none()));
    }
}

#[test]
fn on_lo_each_packet_counts_once_and_is_local() {
    let Some(lo) = Namespace::new() else { return };
    let (ended, ports) = captured("lo", &lo, &["-i", "lo"], || {
        refused(&lo, "127.0.0.1:9");
        vec![pings(&lo, &lo, "127.0.0.1:6379", 3)]
    });
    is_seen_once(&ended, ports[0], "local");
    let handshakes = of_kind(&ended.out, "handshake");
    let mut outcomes: Vec<_> = handshakes
        .iter()
        .map(|line| field(line, "outcome"))
        .collect();
    outcomes.sort();
    assert_eq!(outcomes, [Some("\"established\""), Some("\"refused\"")]);
    let health = of_kind(&ended.out, "health").pop().unwrap();
    assert_eq!(number(health, "duplicates"), 0, "{health}");
    let (packets, dropped) = ended.counted();
    assert_eq!(number(health, "packets"), packets);
    assert_eq!(dropped, 0);
}

#[test]
fn on_lo_with_ipv6_each_packet_counts_once() {
    let Some(lo) = Namespace::new() else { return };
    let (ended, ports) = captured("lo6", &lo, &["-i", "lo"], || {
        vec![pings(&lo, &lo, "[::1]:6379", 3)]
    });
    is_seen_once(&ended, ports[0], "local");
}

#[test]
fn on_a_cable_who_connects_tells_the_direction() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let (ended, ports) = captured("veth", &a, &["-i", "va"], || {
        vec![
            pings(&a, &b, "10.9.0.2:6379", 3),
            pings(&b, &a, "10.9.0.1:6380", 3),
        ]
    });
    is_seen_once(&ended, ports[0], "outbound");
    is_seen_once(&ended, ports[1], "inbound");
    let side = |port| only(&ended.out, "handshake", port, &[], &[]);
    assert_eq!(field(side(ports[0]), "tap_side"), Some("\"client\""));
    assert_eq!(field(side(ports[1]), "tap_side"), Some("\"server\""));
}

#[test]
fn on_any_and_on_two_interfaces_each_packet_counts_once() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    for (name, words) in [
        ("any", &["-i", "any"][..]),
        ("nothing", &[]),
        ("two", &["-i", "lo", "-i", "va"]),
    ] {
        let (ended, ports) = captured(name, &a, words, || {
            vec![
                pings(&a, &b, "10.9.0.2:6379", 3),
                pings(&b, &a, "10.9.0.1:6380", 3),
                // Its own address: on lo.
                pings(&a, &a, "10.9.0.1:6381", 3),
            ]
        });
        is_seen_once(&ended, ports[0], "outbound");
        is_seen_once(&ended, ports[1], "inbound");
        is_seen_once(&ended, ports[2], "local");
    }
}

#[test]
fn one_interface_of_two_is_not_the_other() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let (ended, ports) = captured("one", &a, &["-i", "lo"], || {
        pings(&a, &b, "10.9.0.2:6379", 3);
        vec![pings(&a, &a, "10.9.0.1:6381", 3)]
    });
    is_seen_once(&ended, ports[0], "local");
    assert_eq!(of_kind(&ended.out, "connection").len(), 1, "{}", ended.out);
}

#[test]
fn a_vlan_and_its_cable_show_a_connection_once() {
    let Some((a, b)) = Namespace::pair_with_vlan() else {
        return;
    };
    for (name, words, vlan) in [
        ("vlan-cable", &["-i", "va"][..], Some("7")),
        ("vlan-itself", &["-i", "va.7"], None),
    ] {
        let (ended, ports) = captured(name, &a, words, || vec![pings(&a, &b, "10.9.7.2:6379", 3)]);
        is_seen_once(&ended, ports[0], "outbound");
        let connection = only(&ended.out, "connection", ports[0], &[], &[]);
        assert_eq!(field(connection, "vlan"), vlan, "{connection}");
    }
    let (ended, ports) = captured("vlan-any", &a, &["-i", "any"], || {
        vec![pings(&a, &b, "10.9.7.2:6379", 3)]
    });
    is_seen_once(&ended, ports[0], "outbound");
    let connection = only(&ended.out, "connection", ports[0], &[], &[]);
    assert!(number(connection, "duplicates") > 0, "{connection}");
}

#[test]
fn what_offloading_joins_is_whole() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    const BYTES: usize = 1 << 20;
    let (ended, ports) = captured("gso", &a, &["-i", "va"], || {
        let mut connection = Connection::open(&a, &b, "10.9.0.2:6379");
        connection.upload(BYTES);
        vec![connection.close()]
    });
    let request = only(
        &ended.out,
        "request",
        ports[0],
        &[("cut", "false"), ("gap", "false")],
        &[],
    );
    assert_eq!(
        number(request, "request_bytes") as usize,
        BYTES + 32,
        "{request}"
    );
    let connection = only(
        &ended.out,
        "connection",
        ports[0],
        &[("client_missing_bytes", "0")],
        &[],
    );
    let largest = number(connection, "client_max_segment_bytes");
    assert!(largest > 1500, "no segment was joined: {connection}");
    let health = of_kind(&ended.out, "health").pop().unwrap();
    assert_eq!(number(health, "cut_packets"), 0);
}

#[test]
fn the_snap_length_cuts_and_says_so() {
    let Some(lo) = Namespace::new() else { return };
    let (ended, ports) = captured("snap", &lo, &["-i", "lo", "-s", "96"], || {
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        connection.download(10_000);
        vec![connection.close()]
    });
    let said = [
        ("cut", "true"),
        ("status", "\"ok\""),
        ("response_bytes", "10010"),
    ];
    only(&ended.out, "request", ports[0], &said, &[]);
    let health = of_kind(&ended.out, "health").pop().unwrap();
    assert!(number(health, "cut_packets") > 0, "{health}");
}

#[test]
fn tags_that_the_kernel_puts_aside_are_put_back() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let (ended, _) = captured("tags", &a, &["-i", "va"], || {
        let sent = frames::send(&b, "vb", &frames::connection(Some(7), 40_000));
        Vec::from_iter(sent.then_some(40_000))
    });
    if of_kind(&ended.out, "connection").is_empty() {
        return;
    }
    let vlan = [("vlan", "7")];
    only(&ended.out, "handshake", 40_000, &vlan, &[]);
    only(&ended.out, "request", 40_000, &vlan, &[]);
    only(
        &ended.out,
        "connection",
        40_000,
        &[("vlan", "7"), ("close", "\"fin\"")],
        &[],
    );
}

#[test]
fn with_several_threads_each_connection_is_whole() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let words = ["-i", "any", "--threads", "4"];
    let (ended, ports) = captured("threads", &a, &words, || {
        let mut ports = Vec::new();
        for _ in 0..50 {
            ports.push(pings(&a, &b, "10.9.0.2:6379", 3));
            ports.push(pings(&b, &a, "10.9.0.1:6380", 3));
            ports.push(pings(&a, &a, "[::1]:6381", 3));
        }
        ports
    });
    // A port may be taken in the one namespace and in the other, and for IPv4 and IPv6.
    let ways = ["outbound", "inbound", "local"];
    let of_way = ways.map(|way| {
        let way = format!("\"direction\":\"{way}\"");
        let lines = ended.out.lines().filter(|line| line.contains(&way));
        lines.collect::<Vec<_>>().join("\n")
    });
    for (i, port) in ports.iter().enumerate() {
        is_once_in(&of_way[i % 3], *port, ways[i % 3]);
    }
    for (kind, count) in [("handshake", 150), ("connection", 150), ("request", 450)] {
        assert_eq!(of_kind(&ended.out, kind).len(), count, "{kind}");
    }
}
