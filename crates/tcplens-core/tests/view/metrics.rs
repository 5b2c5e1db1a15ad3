//! What monitoring counts: everything once, in one row, and never less than before.

use std::collections::BTreeMap;

use tcplens_core::record::*;
use tcplens_core::time::Span;
use tcplens_core::view::Metrics;
use tcplens_core::view::metrics::{
    PROTOCOLS, REMEMBERED, RequestCounts, SERVERS, ServerCounts, Traffic,
};

use super::view_records::*;
use super::view_requests::{at, request, unanswered};

const CLIENT: &str = "192.0.2.7";
const SERVER: &str = "10.0.0.1";

/// The only row.
fn only(metrics: &Metrics) -> &ServerCounts {
    let mut rows = metrics.servers();
    let (_, row) = rows.next().unwrap();
    assert_eq!(rows.count(), 0);
    row
}

/// A part of a long connection, or its end, by when each side had sent so many bytes and repeated so many segments.
fn part(number: u64, [client, server]: [(u64, u64); 2], is_final: bool) -> Connection {
    let sent = |(bytes, retransmits)| Sent {
        bytes,
        segments: bytes / 100,
        retransmits,
        ..Sent::default()
    };
    Connection {
        part: Some(number),
        is_final,
        close: if is_final { Close::Fin } else { Close::Open },
        client: sent(client),
        server: sent(server),
        ..connection(0, CLIENT, SERVER, 80)
    }
}

fn traffic((payload_bytes, retransmits): (u64, u64)) -> Traffic {
    Traffic {
        payload_bytes,
        segments: payload_bytes / 100,
        retransmits,
        ..Traffic::default()
    }
}

#[test]
fn a_connection_in_parts_is_counted_as_it_goes_and_once() {
    let mut metrics = Metrics::default();
    let states = [
        [(1000, 1), (500, 0)],
        [(1000, 1), (900, 2)],
        [(1700, 4), (2000, 2)],
    ];
    for (n, state) in states.into_iter().enumerate() {
        metrics.connection(&part(n as u64 + 1, state, n == 2));
        assert_eq!(only(&metrics).sent, state.map(traffic));
    }
    assert_eq!(only(&metrics).closed[Close::Fin as usize], 1);
    assert_eq!(only(&metrics).closed.iter().sum::<u64>(), 1);
    // It is forgotten: a connection of the same name would be counted whole.
    metrics.connection(&part(4, states[0], true));
    let [client, server] = only(&metrics).sent;
    assert_eq!((client.payload_bytes, server.payload_bytes), (2700, 2500));
}

#[test]
fn what_was_counted_of_a_guessed_client_stays_with_its_address() {
    let mut metrics = Metrics::default();
    let guessed = Connection {
        role_from: RoleFrom::Port,
        client_ip: SERVER.parse().unwrap(),
        client_port: 8080,
        server_ip: CLIENT.parse().unwrap(),
        server_port: 400,
        ..part(1, [(1000, 3), (500, 0)], false)
    };
    metrics.connection(&guessed);
    assert_eq!(
        metrics.other_servers().sent.map(|sent| sent.payload_bytes),
        [1000, 500]
    );
    let known = Connection {
        role_from: RoleFrom::Protocol,
        client_ip: CLIENT.parse().unwrap(),
        client_port: 400,
        server_ip: SERVER.parse().unwrap(),
        server_port: 8080,
        ..part(2, [(700, 0), (1000, 4)], true)
    };
    metrics.connection(&known);
    assert_eq!(
        only(&metrics).sent,
        [
            traffic((200, 0)),
            Traffic {
                segments: 0,
                ..traffic((0, 1))
            }
        ]
    );
}

#[test]
fn connections_beyond_the_bound_are_counted_later_and_once() {
    let mut metrics = Metrics::default();
    let named = |n: u64, record: Connection| Connection {
        connection_id: ConnectionId::Packets {
            first: at(n),
            flow: 0,
        },
        ..record
    };
    let (first, last) = ([(100, 0), (100, 0)], [(300, 1), (100, 0)]);
    for n in 0..REMEMBERED as u64 + 2 {
        metrics.connection(&named(n, part(1, first, false)));
    }
    let sent = |metrics: &Metrics| only(metrics).sent[0].payload_bytes;
    assert_eq!(sent(&metrics), 100 * REMEMBERED as u64);
    assert_eq!(metrics.limit_hits()[2], ("metrics_postponed_parts", 2));
    // One ends uncounted, one ends and makes room for the other's next part.
    let of = REMEMBERED as u64;
    metrics.connection(&named(of, part(2, last, true)));
    assert_eq!(sent(&metrics), 100 * of + 300);
    metrics.connection(&named(7, part(2, last, true)));
    assert_eq!(sent(&metrics), 100 * of + 500);
    metrics.connection(&named(of + 1, part(2, first, false)));
    metrics.connection(&named(of + 1, part(3, last, true)));
    assert_eq!(sent(&metrics), 100 * of + 800);
}

#[test]
fn requests_are_counted_by_protocol_with_where_their_time_went() {
    let mut metrics = Metrics::default();
    metrics.request(&request(0, SERVER, 6379, 10));
    metrics.request(&Request {
        status: Status::Error,
        ..request(1, SERVER, 6379, 20)
    });
    let ended = |ended_by| unanswered(ended_by, request(2, SERVER, 6379, 0));
    metrics.request(&ended(EndedBy::ServerClose));
    metrics.request(&ended(EndedBy::Observation));
    metrics.request(&ended(EndedBy::Gap));
    let [(protocol, counts)]: [(Option<Protocol>, &RequestCounts); 1] =
        Vec::from_iter(only(&metrics).protocols())
            .try_into()
            .unwrap();
    assert_eq!(protocol, Some(Protocol::Redis));
    assert_eq!((counts.statuses, counts.undecided), ([1, 1, 0, 1], 2));
    assert_eq!((counts.total.count(), counts.total.sum_ns), (2, 38_000_000));
    assert_eq!(
        (counts.process.count(), counts.process.sum_ns),
        (2, 34_000_000)
    );
    let ms = counts.budget_ns.map(|ns| ns / 1_000_000);
    assert_eq!(ms, [2, 0, 30, 4, 0, 0, 2]);
}

#[test]
fn protocols_beyond_the_bound_are_one() {
    let mut metrics = Metrics::default();
    for &protocol in Protocol::ALL {
        metrics.request(&Request {
            protocol,
            ..request(0, SERVER, 1, 1)
        });
    }
    let counted: Vec<_> = only(&metrics)
        .protocols()
        .map(|(protocol, counts)| (protocol, counts.statuses[0]))
        .collect();
    let rest = (None, (Protocol::ALL.len() - PROTOCOLS) as u64);
    let mut expected: Vec<_> = Protocol::ALL[..PROTOCOLS]
        .iter()
        .map(|&p| (Some(p), 1))
        .collect();
    expected.push(rest);
    assert_eq!(counted, expected);
}

#[test]
fn guesses_and_scans_leave_the_rows_to_servers() {
    let mut metrics = Metrics::default();
    for port in 0..20_000 {
        // An answer to a SYN that somebody else sent in our name.
        metrics.connection(&Connection {
            role_from: RoleFrom::SynAck,
            handshake: Some(HandshakeOutcome::Missed),
            close: Close::RstByClient,
            server: Sent {
                segments: 1,
                ..Sent::default()
            },
            ..connection(0, CLIENT, SERVER, port)
        });
        // A scan of every port, and long connections of which only the ports are known: many turns, many parts.
        metrics.handshake(&failed(
            Outcome::Refused,
            1,
            handshake(0, CLIENT, SERVER, port),
        ));
        for n in 1..12 {
            metrics.request(&Request {
                role_from: RoleFrom::Port,
                protocol: Protocol::Turn,
                ..request(0, CLIENT, 32_768 + port % 100, 1)
            });
            metrics.connection(&Connection {
                role_from: RoleFrom::Port,
                part: Some(n),
                is_final: n == 11,
                ..connection(0, SERVER, CLIENT, 32_768 + port)
            });
        }
    }
    assert_eq!(metrics.servers().count(), 0);
    let other = metrics.other_servers();
    assert_eq!(other.outcomes[Outcome::Refused as usize], 20_000);
    metrics.handshake(&handshake(1, CLIENT, SERVER, 443));
    assert_eq!(only(&metrics).outcomes[Outcome::Established as usize], 1);
    assert_eq!(metrics.limit_hits()[0].1, 20_000 * 24);
}

#[test]
fn no_row_counts_less_than_before_and_all_records_are_in_one_row() {
    let mut metrics = Metrics::default();
    let mut before = BTreeMap::new();
    for n in 0..5_000_u64 {
        // Servers of very different activity, over an hour and a half: none is idle enough to lose its row.
        let port = (n * n) % 251;
        metrics.handshake(&handshake(n as i64, CLIENT, SERVER, port));
        let rows = metrics.servers().map(|(server, row)| (Some(server), row));
        let rows = rows.chain([(None, metrics.other_servers())]);
        let now: BTreeMap<_, _> = rows
            .map(|(server, row)| (server, row.handshake.count()))
            .collect();
        assert_eq!(now.values().sum::<u64>(), n + 1);
        assert!(before.iter().all(|(server, count)| now[server] >= *count));
        before = now;
    }
    assert_eq!(metrics.servers().count(), SERVERS);
    assert_eq!(metrics.limit_hits()[1], ("metrics_replaced_servers", 0));
}

#[test]
fn what_health_says_less_of_later_stays_as_it_was() {
    let mut metrics = Metrics::default();
    let health = |packets, udp, cpu: u64| Health {
        packets,
        undecoded: vec![("udp", udp)],
        cpu_us: Some(Span::from_ns(cpu)),
        ..health()
    };
    metrics.observe(&health(10, 5, 1));
    metrics.observe(&Health {
        undecoded: vec![("arp", 1), ("udp", 3)],
        kernel_drops: Some(2),
        ..health(12, 0, 2)
    });
    let counts = metrics.health();
    assert_eq!((counts.packets, counts.kernel_drops), (12, Some(2)));
    assert_eq!(counts.undecoded, [("udp", 5), ("arp", 1)]);
    assert_eq!(counts.cpu, Some(Span::from_ns(2)));
}
