use super::super::mapper::testing::{START, attempt, client, connection, server, task, us};
use super::*;
use crate::kernel::event::{Closed, Socket};
use crate::kernel::{Event, Mapper, Settings};

const KEEP: Span = Span::from_ns(300_000_000_000);

/// What a lookout tells of events, taken note of.
fn joins(events: impl IntoIterator<Item = (Socket, Timestamp, What)>) -> Joins {
    let (mut lookout, mut joins) = (Lookout::new(100), Joins::new(100, KEEP));
    for (socket, at, what) in events {
        if let Some(sight) = lookout.event(&socket, at, &what) {
            joins.note(sight);
        }
    }
    joins
}

fn asked(socket: Socket) -> (Socket, Timestamp, What) {
    (socket, us(500), What::Task(Box::new(task(1, 0))))
}

fn closed(socket: Socket, at: Timestamp) -> (Socket, Timestamp, What) {
    let closed = Some(Closed::default());
    let connection = crate::kernel::Connection {
        closed,
        ..connection()
    };
    (socket, at, What::Connection(connection))
}

/// A record of packets of the server's connection: from its first packet, so many µs after START, for so many more.
fn packets(of: &Socket, from: i64, for_us: i64) -> Connection {
    let (client, server) = match of.role {
        crate::kernel::Role::Server => (of.remote, of.local),
        crate::kernel::Role::Client => (of.local, of.remote),
    };
    let mut records = crate::batch::Records::default();
    let mut mapper = Mapper::new(Settings {
        connections: true,
        ..Settings::default()
    });
    let (socket, at, what) = closed(of.clone(), us(from + for_us));
    mapper.event(Event { socket, at, what }, &mut records);
    let (_, record) = records.get(0).expect("a connection that was closed");
    let AnyRecord::Connection(of_kernel) = record else {
        panic!("{record:?}");
    };
    Connection {
        vantage: Vantage::Wire,
        connection_id: ConnectionId::Packets {
            first: us(from),
            flow: 7,
        },
        time: us(from),
        duration_us: Some(Span::from_ns(for_us as u64 * 1000)),
        client_ip: client.0,
        client_port: client.1.into(),
        server_ip: server.0,
        server_port: server.1.into(),
        owner: None,
        ..of_kernel.clone()
    }
}

/// The cookie and the namespace that a record is given.
fn given(joins: &mut Joins, record: &Connection) -> Option<(Option<u64>, Option<u64>)> {
    let stamped = joins.stamp(AnyRecord::Connection(record))?;
    let AnyRecord::Connection(given) = stamped.of(AnyRecord::Connection(record)) else {
        panic!("a connection stays one");
    };
    assert_eq!(
        Connection {
            owner: None,
            ..given.clone()
        },
        *record,
        "nothing else changes"
    );
    assert!(stamped.of(AnyRecord::Connection(record)).is_joined());
    let owner = given.owner.as_deref().expect("it was given a socket");
    Some((owner.socket_cookie, owner.netns))
}

const NETNS: Option<u64> = Some(4_026_531_840);

#[test]
fn a_connection_of_packets_gets_the_socket_with_its_ends() {
    let mut joins = joins([asked(server(11)), asked(client(12))]);
    let of_server = packets(&server(11), -300, 5000);
    assert!(!AnyRecord::Connection(&of_server).is_joined());
    assert_eq!(given(&mut joins, &of_server), Some((Some(11), NETNS)));
    let of_client = packets(&client(12), -300, 5000);
    assert_eq!(given(&mut joins, &of_client), Some((Some(12), NETNS)));
    assert_eq!(joins.counts(), JoinCounts::default());
}

#[test]
fn what_the_kernel_knows_nothing_of_is_left_as_it_is_and_counted_once() {
    let mut joins = joins([asked(server(11))]);
    let mut other = server(0);
    other.remote.1 += 1;
    let mut record = packets(&other, 0, 10);
    record.is_final = false;
    assert_eq!(given(&mut joins, &record), None);
    record.is_final = true;
    assert_eq!(given(&mut joins, &record), None);
    let expected = JoinCounts {
        no_socket: 1,
        ..JoinCounts::default()
    };
    assert_eq!(joins.counts(), expected);
}

#[test]
fn sockets_one_after_the_other_with_the_same_ends_are_told_apart_by_when_they_lived() {
    let mut second = server(12);
    second.began = us(90_000);
    let mut joins = joins([
        asked(server(11)),
        closed(server(11), us(50_000)),
        asked(second.clone()),
    ]);
    let first_id =
        |joins: &mut Joins, from, for_us| given(joins, &packets(&server(0), from, for_us));
    // The record of the first comes when the second has begun.
    assert_eq!(first_id(&mut joins, -300, 50_300), Some((Some(11), NETNS)));
    assert_eq!(first_id(&mut joins, 89_700, 400), Some((Some(12), NETNS)));
    // One between them, of which the kernel told nothing.
    assert_eq!(first_id(&mut joins, 60_000, 100), None);
}

#[test]
fn ends_in_several_namespaces_at_a_time_are_not_joined() {
    let mut elsewhere = server(12);
    elsewhere.netns += 1;
    let mut joins = joins([asked(server(11)), asked(elsewhere.clone())]);
    let record = packets(&server(0), 0, 10);
    assert_eq!(given(&mut joins, &record), None);
    assert_eq!(joins.counts().several_namespaces, 1);
    // When one is gone it is clear again.
    let (socket, at, what) = closed(elsewhere, us(600));
    let sight = Lookout::new(1).event(&socket, at, &what);
    joins.note(sight.expect("an end is always told"));
    let later = packets(&server(0), 700, 10);
    assert_eq!(given(&mut joins, &later), Some((Some(11), NETNS)));
}

#[test]
fn of_both_ends_on_one_host_the_servers_socket_is_told() {
    let mut near = client(12);
    (near.local, near.remote) = (server(0).remote, server(0).local);
    let mut joins = joins([asked(near), asked(server(11))]);
    let record = packets(&server(0), 0, 10);
    assert_eq!(given(&mut joins, &record), Some((Some(11), NETNS)));
}

#[test]
fn an_attempt_without_a_socket_is_joined_without_a_cookie() {
    let refused = What::Attempt(attempt(AttemptEnd::RefusedHere));
    let mut joins = joins([(server(0), us(10), refused)]);
    let record = packets(&server(0), 0, 10);
    assert_eq!(given(&mut joins, &record), Some((None, NETNS)));
}

#[test]
fn a_socket_is_told_once_and_its_end_once_more() {
    let mut lookout = Lookout::new(1);
    let mut told = |(socket, at, what): (Socket, Timestamp, What)| {
        lookout.event(&socket, at, &what).map(|sight| sight.ended)
    };
    assert_eq!(told(asked(server(11))), Some(None));
    assert_eq!(told(asked(server(11))), None);
    // There is room for one: the other is told anew.
    assert_eq!(told(asked(client(12))), Some(None));
    assert_eq!(told(asked(client(12))), None);
    assert_eq!(told(asked(server(11))), Some(None));
    assert_eq!(told(closed(server(11), us(9))), Some(Some(us(9))));
}

#[test]
fn sockets_are_forgotten_long_after_their_end_and_are_no_more_than_the_bound() {
    let mut joins = joins([asked(server(11)), closed(server(11), us(50))]);
    let record = packets(&server(0), 0, 10);
    joins.forget(START.plus(299 * crate::time::SECOND));
    assert!(given(&mut joins, &record).is_some());
    joins.forget(START.plus(301 * crate::time::SECOND));
    assert!(given(&mut joins, &record).is_none());
    assert_eq!(joins.known, 0);

    let mut few = Joins::new(1, KEEP);
    let note = |joins: &mut Joins, (socket, at, what): (Socket, Timestamp, What)| {
        let sight = Lookout::new(9).event(&socket, at, &what);
        joins.note(sight.expect("it is new"));
    };
    for socket in [client(11), server(12)] {
        note(&mut few, asked(socket));
    }
    assert_eq!((few.known, few.counts().sockets), (1, 1));
    assert_eq!(few.by_ends.len(), 1);
    // What is gone makes room.
    note(&mut few, closed(client(11), us(700)));
    note(&mut few, asked(server(12)));
    assert_eq!((few.known, few.counts().sockets), (1, 1));
    let record = packets(&server(0), 0, 10);
    assert_eq!(given(&mut few, &record), Some((Some(12), NETNS)));
    // The ends of sockets that were not known take no room either.
    for port in 0..100 {
        let mut other = server(0);
        other.remote.1 = port;
        note(&mut few, closed(other, us(800)));
    }
    assert!(few.gone.len() <= 1 && few.by_ends.len() <= 1);
}

#[test]
fn a_socket_whose_end_was_lost_is_gone_when_another_has_its_ends() {
    let mut second = server(12);
    second.began = us(90_000);
    let mut joins = joins([asked(server(11)), asked(second)]);
    let of = |joins: &mut Joins, from| given(joins, &packets(&server(0), from, 100));
    assert_eq!(of(&mut joins, 0), Some((Some(11), NETNS)));
    // Its handshake came before it.
    assert_eq!(of(&mut joins, 89_700), Some((Some(12), NETNS)));
}

#[test]
fn a_socket_that_connects_once_more_is_known_again() {
    let failed = What::Attempt(attempt(AttemptEnd::Failed(111)));
    let mut again = client(12);
    again.began = us(5000);
    let mut joins = joins([(client(12), us(200), failed), asked(again)]);
    for from in [0, 5000] {
        let record = packets(&client(0), from, 150);
        assert_eq!(
            given(&mut joins, &record),
            Some((Some(12), NETNS)),
            "{from}"
        );
    }
}

#[test]
fn when_the_kernel_tells_nothing_any_more_later_connections_have_no_socket() {
    let mut joins = joins([asked(server(11))]);
    joins.end(us(1000));
    let of = |joins: &mut Joins, from| given(joins, &packets(&server(0), from, 100));
    assert_eq!(of(&mut joins, 900), Some((Some(11), NETNS)));
    assert_eq!(of(&mut joins, 1100), None);
}

#[test]
fn attempts_that_wait_do_not_pile_up_and_give_way_to_the_socket() {
    let again = || What::Attempt(attempt(AttemptEnd::SynackAgain(1)));
    let waiting = (1..50).map(|n| (server(0), us(n * 1000), again()));
    let mut joins = joins(waiting);
    assert_eq!((joins.known, joins.gone.len()), (1, 1));
    let record = packets(&server(0), 0, 60_000);
    assert_eq!(given(&mut joins, &record), Some((None, NETNS)));
    let (socket, at, what) = asked(server(11));
    let sight = Lookout::new(9).event(&socket, at, &what);
    joins.note(sight.expect("it is new"));
    assert_eq!(given(&mut joins, &record), Some((Some(11), NETNS)));
}

#[test]
fn records_of_the_kernel_are_left_alone() {
    let mut joins = joins([asked(server(11))]);
    let mut record = packets(&server(0), 0, 10);
    record.vantage = Vantage::Kernel;
    assert_eq!(given(&mut joins, &record), None);
    assert_eq!(joins.counts(), JoinCounts::default());
}
