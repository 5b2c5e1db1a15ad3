//! After a hole, or what was given up: whose the next responses are, and that no more is lost than must be.

use tcplens_core::record::Protocol;
use tcplens_core::shard::Settings;

use crate::conversations::{dns_answer, dns_query};
use crate::wire::*;

/// Requests, one at a time, and their responses; the packets that `misses` names (request number, side) were not captured.
fn one_by_one(
    talk: &mut Talk,
    requests: &[Vec<u8>],
    response: impl Fn(usize) -> Vec<u8>,
    misses: (usize, usize),
) -> Vec<String> {
    for (n, request) in requests.iter().enumerate() {
        let at = (n as i64 + 1) * 10 * MS;
        for (side, said) in [(C, request.clone()), (S, response(n))] {
            talk.data(at + side as i64 * MS, side, &said);
            if misses == (n, side) {
                talk.packets.pop();
            }
        }
        talk.ack(at + 2 * MS, C);
    }
    run(&talk.packets).lines()
}

fn answered(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.contains("-> Ok")).count()
}

/// The second request shows that the first was answered, for the client acknowledges more than was seen; the third finds
/// the connection in order.
#[test]
fn a_missed_first_response_costs_two_requests() {
    let http = |n: usize| format!("GET /{n} HTTP/1.1\r\nHost: x.test\r\n\r\n").into_bytes();
    let ok = |_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let requests: Vec<_> = (0..8).map(http).collect();
    let lines = one_by_one(&mut Talk::open(), &requests, ok, (0, S));
    assert_eq!(answered(&lines), 6, "{lines:#?}");

    let requests: Vec<_> = (0..8).map(|n| get(&format!("k{n}"))).collect();
    let plain = |_| b"+OK\r\n".to_vec();
    let lines = one_by_one(&mut Talk::open(), &requests, plain, (0, S));
    assert_eq!(answered(&lines), 6, "{lines:#?}");
}

/// Nobody saw where the server's bytes begin; the client's ACK tells.
#[test]
fn taken_up_in_mid_connection_a_missed_response_shifts_no_pair() {
    let requests: Vec<_> = (0..6).map(|n| get(&format!("k{n}"))).collect();
    let response = |n| bulk(&vec![b'x'; n]);
    let lines = one_by_one(&mut Talk::default(), &requests, response, (0, S));
    for (n, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, l)| l.contains("-> Ok"))
    {
        let own = format!("-> Ok {}", bulk(&vec![b'x'; n]).len());
        assert!(line.ends_with(&own), "{lines:#?}");
    }
    assert!(answered(&lines) >= 4, "{lines:#?}");
}

/// What has numbers pairs by them, whatever was missed.
#[test]
fn numbered_requests_outlive_a_hole() {
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let query = |id: u16, name: u8| framed(dns_query(id, name, 1));
    let answer = |id: u16, name: u8| framed(dns_answer(id, 0, name, 1));
    let mut talk = Talk::with_port(53);
    talk.handshake([0, 500 * US, 1000 * US]);
    talk.data(10 * MS, C, &query(1, b'a'));
    talk.data(11 * MS, S, &answer(1, b'a'));
    talk.data(20 * MS, C, &query(2, b'b'));
    talk.packets.pop();
    talk.data(21 * MS, S, &answer(2, b'b'));
    talk.data(40 * MS, C, &query(3, b'c'));
    talk.data(40 * MS + US, C, &query(4, b'd'));
    talk.data(41 * MS, S, &answer(3, b'c'));
    talk.data(42 * MS, C, &query(5, b'e'));
    talk.data(43 * MS, S, &answer(4, b'd'));
    talk.data(44 * MS, S, &answer(5, b'e'));
    talk.ack(45 * MS, C);
    let outcome = run(&talk.packets);
    assert_eq!(answered(&outcome.lines()), 4, "{:#?}", outcome.lines());
    assert_eq!(outcome.counts.read.unpaired[Protocol::Dns as usize], 1);
}

/// HTTP/2: the client speaks in the middle of a response (WINDOW_UPDATE) after one of its requests was missed.
#[test]
fn a_stream_outlives_a_hole() {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    };
    let ask = |stream| frame(1, 5, stream, b"\x82\x86\x84\x01\x06a.test");
    let head = |stream| frame(1, 4, stream, b"\x88");
    let body = |stream, end| frame(0, end, stream, &[b'b'; 800]);
    let update = frame(8, 0, 0, &[0, 0, 3, 32]);
    let mut talk = Talk::with_port(8080);
    talk.handshake([0, 500 * US, 1000 * US]);
    talk.data(10 * MS, C, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    talk.data(10 * MS, C, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]));
    talk.data(11 * MS, S, &frame(4, 0, 0, b""));
    talk.data(20 * MS, C, &ask(1));
    talk.packets.pop();
    talk.data(21 * MS, S, &[head(1), body(1, 1)].concat());
    talk.ack(22 * MS, C);
    talk.data(40 * MS, C, &ask(3));
    talk.data(41 * MS, S, &[head(3), body(3, 0)].concat());
    talk.data(42 * MS, C, &update);
    talk.data(43 * MS, S, &body(3, 0));
    talk.data(44 * MS, C, &update);
    talk.data(45 * MS, S, &body(3, 1));
    talk.ack(46 * MS, C);
    let lines = run(&talk.packets).lines();
    let [line] = &lines[..] else {
        panic!("{lines:#?}");
    };
    let length = head(3).len() + 3 * body(3, 0).len();
    assert!(line.ends_with(&format!("-> Ok 200 {length}")), "{lines:#?}");
}

/// By turns, what is asked after a forged RST is answered by what comes next.
#[test]
fn turns_go_on_after_a_forged_reset() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, b"~~~ask1");
    talk.data(11 * MS, S, b"~~~ans1");
    talk.data(20 * MS, C, b"~~~ask2");
    talk.rst(21 * MS, S);
    for (n, at) in [(3, 30), (4, 40), (5, 4000)] {
        talk.data(at * MS, C, format!("~~~ask{n}").as_bytes());
        talk.data(at * MS + MS, S, format!("~~~ans{n}").as_bytes());
    }
    talk.ack(4002 * MS, C);
    let lines = run(&talk.packets).lines();
    assert_eq!((lines.len(), answered(&lines)), (5, 4), "{lines:#?}");
}

/// Memory is short, and a connection gives up what it keeps of requests that are answered and not yet acknowledged: nothing
/// is outstanding, so nothing that comes after is in doubt.
#[test]
fn giving_up_what_is_answered_costs_no_later_request() {
    let client = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        format!("10.{a}.{b}.{c}:40000")
    };
    let mut packets = Vec::new();
    for n in 0..400 {
        let mut talk = Talk::between(&client(n), "192.0.2.1:5000");
        talk.handshake([0, 10 * US, 20 * US]);
        for (n, at) in [MS, 300 * MS, 500 * MS, 700 * MS].into_iter().enumerate() {
            talk.data(at, C, &get(&format!("k{n}")));
            talk.data(at + MS, S, b"+OK\r\n");
            if n > 0 {
                talk.ack(at + 2 * MS, C);
            }
        }
        packets.append(&mut talk.packets);
    }
    for n in 1000..4000 {
        let mut talk = Talk::between(&client(n), "192.0.2.1:5000");
        talk.handshake([5 * MS, 5 * MS + 10 * US, 5 * MS + 20 * US]);
        let many = command(&[b"GET", &[b'l'; 100]]).repeat(12);
        talk.data(6 * MS + i64::from(n) * US, C, &many);
        packets.append(&mut talk.packets);
    }
    packets.sort_by_key(|packet| packet.at);
    let tight = Settings {
        limit_held: 1 << 20,
        ..Settings::default()
    };
    let outcome = run_with(&tight, &packets);
    assert!(outcome.counts.read.held_limit > 1000);
    let lines = outcome.lines();
    let own: Vec<_> = lines.into_iter().filter(|l| l.contains("GET k")).collect();
    assert_eq!((own.len(), answered(&own)), (1600, 1600));
}
