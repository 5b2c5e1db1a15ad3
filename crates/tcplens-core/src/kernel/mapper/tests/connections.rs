//! Connections, and how they ended.

use super::*;

#[test]
fn a_connection_shows_what_its_end_knows() {
    let ended = event(server(7), 2000, What::Connection(connection()));
    assert_eq!(
        lines(&mut mapper(), [ended]),
        [
            "time=0 vantage=kernel connection_id=abcd0001_0000000000000007 client_ip=192.0.2.7 client_port=40000 \
          server_ip=10.0.0.1 server_port=80 role_from=configured direction=inbound tap_side=server duration_us=2000 \
          handshake=established close=fin final=true requests=3 client_bytes=237 client_rtt_min_us=110 \
          server_bytes=720 server_retransmits=2 first_fin=client last_fin=server socket_cookie=7 netns=4026531840 pid=4242 comm=nginx uid=33 cgroup=77 \
          rtt_us=125 cwnd_segments=10 mss=1448 unsent_bytes=0 unacked_bytes=0"
        ]
    );
    let ended = event(client(8), 2000, What::Connection(connection()));
    let line = &lines(&mut mapper(), [ended])[0];
    assert!(
        line.contains(" client_bytes=720 client_retransmits=2 server_bytes=237 server_rtt_min_us=110 first_fin=server last_fin=client socket_cookie=8 "),
        "{line}"
    );
    // One FIN is the first, and no other came after it.
    for (fin_sent, fin_received, expected) in [
        (true, false, Some("server")),
        (false, true, Some("client")),
        (false, false, None),
    ] {
        let state = Connection {
            closed: Some(Closed {
                fin_sent,
                fin_received,
                rst_received: true,
                ..Closed::default()
            }),
            ..connection()
        };
        let line = &lines(
            &mut mapper(),
            [event(server(7), 2000, What::Connection(state))],
        )[0];
        assert!(!line.contains("last_fin"), "{line}");
        let said = expected.map(|end| format!(" first_fin={end} "));
        assert_eq!(line.contains("first_fin"), said.is_some(), "{line}");
        assert!(said.is_none_or(|said| line.contains(&said)), "{line}");
    }
}

#[test]
fn a_connection_speaks_what_its_latest_recognised_request_was() {
    let mut mapper = mapper();
    mapper.settings.protocols = vec![Protocol::Http, Protocol::Redis];
    let asks = |cookie, head: &[u8]| {
        let task = Task {
            head: head.to_vec(),
            ..task(1, 0)
        };
        event(server(cookie), 900, What::Task(Box::new(task)))
    };
    let ends = |cookie| event(server(cookie), 2000, What::Connection(connection()));
    let spoken = |mapper: &mut Mapper, events: Vec<Event>| {
        let said = connections(mapper, events);
        said.iter().map(|it| it.protocol).collect::<Vec<_>>()
    };
    let http = || asks(7, b"GET / HTTP/1.1\r\n\r\n");
    let unknown = || asks(7, b"\x00\x01\x02");
    assert_eq!(
        spoken(&mut mapper, vec![http(), unknown(), ends(7)]),
        [Some(Protocol::Http)]
    );
    // What is over is forgotten.
    assert_eq!(spoken(&mut mapper, vec![unknown(), ends(7)]), [None]);
    assert!(mapper.speaking.is_empty());
    let many = (0..=SPEAKING as u64).map(|n| asks(n + 1, b"GET / HTTP/1.1\r\n\r\n"));
    connections(&mut mapper, many);
    assert_eq!(mapper.counts().limit_hits()[3], ("kernel_protocols", 1));
}

#[test]
fn how_a_connection_ended() {
    let of = |error, bits: [bool; 4]| Closed {
        fin_sent: bits[0],
        fin_received: bits[1],
        rst_sent: bits[2],
        rst_received: bits[3],
        fin_first: false,
        error,
    };
    let (no, yes) = (false, true);
    for (closed, at_server, at_client) in [
        (of(0, [yes, yes, no, no]), "fin", "fin"),
        (of(0, [yes, no, no, no]), "fin", "fin"),
        (of(0, [no, no, yes, no]), "rst_by_server", "rst_by_client"),
        (of(0, [yes, no, no, yes]), "rst_by_client", "rst_by_server"),
        (of(104, [no, no, no, yes]), "rst_by_client", "rst_by_server"),
        (of(104, [no, no, no, no]), "rst_by_client", "rst_by_server"),
        (of(110, [no, no, no, no]), "timed_out", "timed_out"),
        (of(110, [yes, no, yes, no]), "timed_out", "timed_out"),
        (of(113, [no, no, no, no]), "timed_out", "timed_out"),
        (of(103, [no, no, no, no]), "rst_by_server", "rst_by_client"),
    ] {
        for (socket, expected) in [(server(7), at_server), (client(7), at_client)] {
            let said = connections(&mut mapper(), [event(socket, 9, self::closed(closed))]);
            assert_eq!(said[0].close.word(), Some(expected), "{closed:?}");
        }
    }
}

#[test]
fn a_connection_that_was_there_before_has_no_handshake_and_parts_are_numbered() {
    let adopted = Socket {
        is_adopted: true,
        role_by: RoleBy::Guess,
        ..server(7)
    };
    let open = || {
        What::Connection(Connection {
            closed: None,
            ..connection()
        })
    };
    let mut mapper = mapper();
    let said = connections(
        &mut mapper,
        [
            event(adopted.clone(), 10, open()),
            event(adopted.clone(), 20, open()),
            event(adopted.clone(), 30, What::Connection(connection())),
            event(server(9), 40, open()),
        ],
    );
    let told =
        |record: &ConnectionRecord| (record.part, record.is_final, record.close, record.handshake);
    let missed = Some(HandshakeOutcome::Missed);
    assert_eq!(told(&said[0]), (Some(1), false, Close::Open, missed));
    assert_eq!(told(&said[1]), (Some(2), false, Close::Open, missed));
    assert_eq!(told(&said[2]), (Some(3), true, Close::Fin, missed));
    assert_eq!(said[0].role_from, RoleFrom::Port);
    mapper.begin_end();
    let said = connections(
        &mut mapper,
        [event(server(9), 50, open()), event(server(10), 50, open())],
    );
    let established = Some(HandshakeOutcome::Established);
    assert_eq!(told(&said[0]), (Some(2), true, Close::Open, established));
    assert_eq!(told(&said[1]), (None, true, Close::Open, established));
}
