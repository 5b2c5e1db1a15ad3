//! Times and pairing, written by hand: what each request must say, reasoned from the packets.

use tcplens_core::record::{EndedBy, Protocol, RoleFrom, Status};
use tcplens_core::shard::{PortProtocols, Settings};
use tcplens_core::time::Span;

use crate::wire::*;

pub(crate) const OK: &[u8] = b"+OK\r\n";

pub(crate) fn ms(ms: i64) -> Option<i64> {
    Some(ms * MS)
}

pub(crate) fn us(us: u64) -> Option<Span> {
    Some(Span::from_ns(us * 1000))
}

pub(crate) fn http_ok(body: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; body]].concat()
}

pub(crate) const HTTP_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n";

/// The only request.
pub(crate) fn one(talk: &Talk) -> Got {
    let mut requests = run(&talk.packets).requests;
    assert_eq!(requests.len(), 1, "{requests:#?}");
    let got = requests.remove(0);
    keeps_the_contract(&got).unwrap();
    got
}

pub(crate) fn lines(talk: &Talk) -> Vec<String> {
    run(&talk.packets).lines()
}

#[test]
fn times_frames_and_budget() {
    let mut talk = Talk::open();
    let (request, response) = (get("foo"), bulk(b"bar"));
    talk.data(10 * MS, C, &request[..9]);
    talk.ack(11 * MS, S);
    talk.data(12 * MS, C, &request[9..]);
    talk.ack(13 * MS, S);
    talk.data(20 * MS, S, &response[..4]);
    talk.data(25 * MS, S, &response[4..]);
    talk.ack(26 * MS, C);
    talk.ack(27 * MS, C);
    let got = one(&talk);
    let expected = [ms(10), ms(12), ms(20), ms(25), ms(26)];
    assert_eq!(got.times(), expected);
    let record = got.record();
    assert_eq!(record.upload_us, us(2000));
    assert_eq!(record.process_us, us(8000));
    assert_eq!(record.transfer_us, us(5000));
    assert_eq!(record.total_us, us(15_000));
    assert_eq!(record.delivered_us, us(16_000));
    // Round trips of the handshake: 0.5 ms on either side.
    assert_eq!(record.server_rtt_us, us(500));
    assert_eq!(record.client_rtt_us, us(500));
    let budget = [2000, 0, 7500, 500, 0, 0, 5000].map(|us| Some(us * 1000));
    assert_eq!(got.budget(), budget);
    assert_eq!(record.request_frame, Some(4));
    assert_eq!(record.response_frame, Some(8));
    assert_eq!((record.task, record.queued), (1, 0));
    assert_eq!((record.retransmits, record.reordered), (0, false));
    assert_eq!(
        (record.gap, record.cut, record.early),
        (false, false, false)
    );
}

#[test]
fn pipelined_requests_are_queued() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, &[get("foo"), get("bar")].concat());
    talk.data(11 * MS, C, &get("baz"));
    talk.data(20 * MS, S, &bulk(b"1"));
    talk.data(30 * MS, S, &[bulk(b"2"), bulk(b"3")].concat());
    talk.ack(31 * MS, C);
    talk.data(40 * MS, C, &get("end"));
    talk.data(41 * MS, S, &bulk(b"4"));
    talk.ack(42 * MS, C);
    let mut requests = run(&talk.packets).requests;
    requests.sort_by_key(|got| got.row.task);
    let queued: Vec<_> = requests.iter().map(|got| got.record().queued).collect();
    assert_eq!(queued, [0, 1, 2, 0]);
    let times: Vec<_> = requests.iter().map(Got::times).collect();
    assert_eq!(times[0], [ms(10), ms(10), ms(20), ms(20), ms(31)]);
    assert_eq!(times[1], [ms(10), ms(10), ms(30), ms(30), ms(31)]);
    assert_eq!(times[2], [ms(11), ms(11), ms(30), ms(30), ms(31)]);
    // The second waited 10 ms for the end of the first, the third 19 ms for that of the second.
    let in_queue: Vec<_> = requests.iter().map(|got| got.budget()[1]).collect();
    assert_eq!(
        in_queue,
        [0, 10, 19, 0].map(|ms| Some(ms * 1_000_000)),
        "{requests:#?}"
    );
}

#[test]
fn a_response_before_the_request_ended() {
    let mut talk = Talk::open();
    talk.data(
        10 * MS,
        C,
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nda",
    );
    talk.data(20 * MS, S, b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    talk.data(30 * MS, C, b"ta");
    talk.ack(31 * MS, S);
    talk.data(40 * MS, C, HTTP_GET);
    talk.data(41 * MS, S, &http_ok(1));
    talk.ack(42 * MS, C);
    let requests = run(&talk.packets).requests;
    assert_eq!(requests.len(), 2);
    let record = requests[0].record();
    assert!(record.early);
    assert_eq!(record.status_code, Some(413));
    assert_eq!(record.process_us, None);
    assert_eq!(requests[0].budget(), [None; 7]);
    assert_eq!(record.verdict, None);
    assert!(!requests[1].record().early);
    assert!(requests[1].record().verdict.is_some());
}

/// A request at 10 ms, and what it comes to when something else happens at 20 ms and after.
pub(crate) fn cut_off(then: impl FnOnce(&mut Talk)) -> Got {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    talk.ack(11 * MS, S);
    then(&mut talk);
    let requests = run(&talk.packets).requests;
    requests.iter().try_for_each(keeps_the_contract).unwrap();
    requests.into_iter().next().unwrap()
}

/// What is spoken on a connection is told by its own bytes, whatever was spoken on the same port before.
#[test]
fn earlier_connections_do_not_tell_what_is_spoken() {
    let first: [&[u8]; 13] = [
        // HTTP, and memcached.
        b"get /a HTTP/1.1\r\n\r\n",
        b"get a\r\n",
        b"version\r\n",
        b"PING\r\n",
        b"quit\r\n",
        b"stats\r\n",
        b"flush_all\r\n",
        b"incr a 1\r\n",
        b"append a 1\r\n",
        b"touch a 1\r\n",
        b"set a 0 0 1\r\nx\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        HTTP_GET,
    ];
    let spoken = |conversations: &[&[u8]]| {
        let mut packets = Vec::new();
        for (n, request) in conversations.iter().enumerate() {
            let at = n as i64 * 100 * MS;
            // The same ends each time, so that the shard is the same.
            let mut talk = Talk {
                isn: [1_000 + n as u32 * 10_000, 900_000 + n as u32 * 10_000],
                ..Talk::default()
            };
            talk.handshake([at, at + MS, at + 2 * MS]);
            talk.data(at + 10 * MS, C, request);
            talk.data(at + 11 * MS, S, b"+OK\r\n");
            talk.ack(at + 12 * MS, C);
            talk.fin(at + 13 * MS, C);
            talk.fin(at + 14 * MS, S);
            talk.ack(at + 15 * MS, C);
            packets.append(&mut talk.packets);
        }
        let outcome = run(&packets);
        assert_eq!(outcome.connections.len(), conversations.len());
        outcome.connections.last().unwrap().protocol
    };
    for request in first {
        let alone = spoken(&[request]);
        for before in first {
            assert_eq!(
                spoken(&[before, request]),
                alone,
                "{:?}",
                request.escape_ascii()
            );
        }
    }
}

/// What is silent for too long is given up; what comes after that is a connection of its own.
#[test]
fn connections_that_were_given_up_as_idle() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, &get("foo"));
    talk.data(11 * MS, S, &bulk(b"foo"));
    talk.ack(12 * MS, C);
    talk.data(20 * MS, C, &get("bar"));
    let late = 400_000 * MS;
    talk.data(late, S, &bulk(b"bar"));
    talk.ack(late + MS, C);
    talk.data(late + 10 * MS, C, &get("baz"));
    talk.data(late + 11 * MS, S, &bulk(b"baz"));
    talk.ack(late + 12 * MS, C);
    let outcome = run(&talk.packets);
    let all: Vec<_> = outcome
        .requests
        .iter()
        .map(|got| (got.line(), got.row.connection_id))
        .collect();
    let lines: Vec<_> = all.iter().map(|(line, _)| line.as_str()).collect();
    let expected = [
        r#"1 Redis GET "GET foo" 22 -> Ok 9"#,
        r#"2 Redis GET "GET bar" 22 -> Unanswered 0 by Observation"#,
        r#"1 Redis GET "GET baz" 22 -> Ok 9"#,
    ];
    assert_eq!(lines, expected);
    assert_eq!(all[0].1, all[1].1);
    assert_ne!(all[1].1, all[2].1);
    assert_eq!(outcome.connections.len(), 2);
    assert_eq!(outcome.counts.read.unpaired[Protocol::Redis as usize], 1);
}

/// In mid-connection the first segments of what nothing recognises may be the middle of something. If that is all there is,
/// it is told.
#[test]
fn short_unknown_traffic_in_mid_connection_is_counted() {
    let unsupported = |segments: usize, last: &[u8]| {
        let mut talk = Talk::default();
        for n in 0..segments {
            talk.data(n as i64 * MS, n % 2, b"~~~~~~~~~~~~~~~~~~~~~~~~");
        }
        if !last.is_empty() {
            talk.data(100 * MS, C, last);
        }
        let outcome = run(&talk.packets);
        let lost = outcome.counts.read.lost[Protocol::Turn as usize];
        let [malformed, too_long, unsupported] = lost;
        assert_eq!([malformed, too_long], [0; 2]);
        (outcome.requests.len(), unsupported > 0)
    };
    assert_eq!(unsupported(1, b""), (0, true));
    assert_eq!(unsupported(5, b""), (0, true));
    // Enough to be read by turns, or by what it is in the end; what waits for more was no message either.
    assert_eq!(unsupported(20, b""), (6, false));
    assert_eq!(unsupported(4, &get("foo")), (1, false));
    assert_eq!(unsupported(4, &get("foo")[..9]), (0, true));
}

/// Messages of WebSocket have numbers only here: they are answered in their order, and wait for each other.
#[test]
fn messages_of_websocket_are_queued() {
    let mut talk = Talk::open();
    let upgrade =
        b"GET /chat HTTP/1.1\r\nHost: x.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    talk.data(2 * MS, C, upgrade);
    let switch =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    talk.data(3 * MS, S, switch);
    talk.ack(4 * MS, C);
    talk.data(10 * MS, C, b"\x81\x81\0\0\0\0a");
    talk.data(11 * MS, C, b"\x81\x81\0\0\0\0b");
    talk.data(20 * MS, S, b"\x81\x01A");
    talk.data(30 * MS, S, b"\x81\x01B");
    talk.ack(31 * MS, C);
    let requests = run(&talk.packets).requests;
    let messages: Vec<_> = requests
        .iter()
        .filter(|got| got.record().protocol == Protocol::Websocket)
        .map(|got| {
            (
                got.record().queued,
                got.times()[..4].to_vec(),
                got.budget()[1],
            )
        })
        .collect();
    let expected = [
        (0, [10, 10, 20, 20].map(ms).to_vec(), Some(0)),
        (1, [11, 11, 30, 30].map(ms).to_vec(), Some(9_000_000)),
    ];
    assert_eq!(messages, expected, "{requests:#?}");
}

/// A client that closes its side and waits gets its answer.
#[test]
fn half_closed_connections_are_answered() {
    let got = cut_off(|talk| {
        talk.fin(12 * MS, C);
        talk.ack(13 * MS, S);
        talk.data(20 * MS, S, &http_ok(5));
        talk.fin(21 * MS, S);
        talk.ack(22 * MS, C);
    });
    assert_eq!(
        got.line(),
        r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" 43"#
    );
    assert_eq!(got.times(), [10, 10, 20, 20, 22].map(ms));
}

/// A response without a length ends with the server's FIN; its last byte is its last byte all the same.
#[test]
fn a_response_until_close() {
    let got = cut_off(|talk| {
        talk.data(20 * MS, S, b"HTTP/1.0 200 OK\r\n\r\n");
        talk.data(25 * MS, S, b"body");
        talk.ack(26 * MS, C);
        talk.fin(40 * MS, S);
        talk.ack(41 * MS, C);
        talk.fin(42 * MS, C);
        talk.ack(43 * MS, S);
    });
    assert_eq!(
        got.line(),
        r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" 23"#
    );
    assert_eq!(got.times()[..4], [10, 10, 20, 25].map(ms));
    assert_eq!(got.record().ended_by, EndedBy::Response);
}

#[test]
fn captures_that_begin_in_the_middle() {
    // Of a connection: with a request, with a response.
    let mut talk = Talk::with_port(6379);
    talk.data(10 * MS, C, &get("foo"));
    talk.data(20 * MS, S, &bulk(b"bar"));
    talk.ack(21 * MS, C);
    assert_eq!(lines(&talk), [r#"1 Redis GET "GET foo" 22 -> Ok 9"#]);
    assert_eq!(one(&talk).record().role_from, RoleFrom::Protocol);
    let mut late = Talk::with_port(6379);
    late.data(5 * MS, S, &bulk(b"of what was asked before"));
    late.data(10 * MS, C, &get("foo"));
    late.data(20 * MS, S, &bulk(b"bar"));
    late.ack(21 * MS, C);
    let outcome = run(&late.packets);
    assert_eq!(outcome.lines(), [r#"1 Redis GET "GET foo" 22 -> Ok 9"#]);
    let unpaired = outcome.counts.read.unparsed();
    let unpaired: Vec<_> = unpaired.filter(|(_, count)| *count > 0).collect();
    assert_eq!(unpaired, [("redis.unpaired", 1)]);
    // Of a message: bytes of no protocol, then what is one.
    for side in [C, S] {
        let mut talk = Talk::with_port(80);
        for n in 0..3 {
            talk.data(n * MS, side, &[b'~'; 1000]);
        }
        talk.data(10 * MS, C, HTTP_GET);
        talk.data(20 * MS, S, &http_ok(5));
        talk.ack(21 * MS, C);
        let line = r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" 43"#;
        assert_eq!(lines(&talk), [line], "{side}");
    }
}

/// Without a handshake the higher port is taken for the client's, until one side is heard.
#[test]
fn roles_the_other_way_round() {
    let expected = [r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" 43"#];
    let mut talk = Talk::between("10.0.0.1:1000", "10.0.1.1:50000");
    talk.data(10 * MS, C, HTTP_GET);
    talk.data(20 * MS, S, &http_ok(5));
    talk.ack(21 * MS, C);
    let got = one(&talk);
    assert_eq!([got.line()], expected);
    let record = got.record();
    assert_eq!((record.client_port, record.server_port), (1000, 50_000));
    assert_eq!(record.role_from, RoleFrom::Protocol);
    assert_eq!(got.times(), [10, 10, 20, 20, 21].map(ms));
    // The response comes first.
    let mut talk = Talk::between("10.0.0.1:1000", "10.0.1.1:50000");
    talk.data(5 * MS, S, &http_ok(7));
    talk.data(10 * MS, C, HTTP_GET);
    talk.data(20 * MS, S, &http_ok(5));
    talk.ack(21 * MS, C);
    let got = one(&talk);
    assert_eq!([got.line()], expected);
    assert_eq!(got.record().client_port, 1000);
}

/// What is guessed of client and server by their ports, and found to be wrong, changes nothing of what comes of them.
#[test]
fn wrong_guesses_change_nothing() {
    let head = b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 1000\r\n\r\n";
    let set = [&head[..], &[b'x'; 1000]].concat();
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let next = |talk: &mut Talk, at: i64| {
        talk.data(at, C, HTTP_GET);
        talk.data(at + MS, S, OK);
        talk.ack(at + 2 * MS, C);
    };
    let cut = |talk: &mut Talk| {
        talk.data(10 * MS, C, &set);
        talk.packets[0].cut = 900;
        talk.data(11 * MS, S, OK);
        talk.ack(12 * MS, C);
        next(talk, 20 * MS);
    };
    let hole = |talk: &mut Talk| {
        talk.data(10 * MS, C, &set[..4]);
        talk.sent[C] = 24;
        talk.data(11 * MS, C, &set[24..500]);
        talk.data(12 * MS, C, &set[500..]);
        talk.piece(13 * MS, C, 4, &set[4..24], 0);
        talk.data(14 * MS, S, OK);
        talk.ack(15 * MS, C);
        next(talk, 20 * MS);
    };
    let fin = |talk: &mut Talk| {
        let flags = FIN | ACK;
        let payload = HTTP_GET;
        let seg = Seg {
            side: C,
            at: 0,
            ack: Some(0),
            flags,
            payload,
        };
        talk.segment(10 * MS, seg);
        talk.sent[C] = payload.len() as u32 + 1;
        talk.ack(11 * MS, S);
        talk.data(12 * MS, S, OK);
        talk.fin(13 * MS, S);
        talk.ack(14 * MS, C);
    };
    let repeat = |talk: &mut Talk| {
        talk.data(10 * MS, C, &set[..500]);
        talk.data(11 * MS, C, &set[500..600]);
        talk.piece(500 * MS, C, 0, &set[..500], 0);
        talk.data(501 * MS, C, &set[600..]);
        talk.data(502 * MS, S, OK);
        talk.ack(503 * MS, C);
    };
    let all: [&dyn Fn(&mut Talk); 4] = [&cut, &hole, &fin, &repeat];
    for (n, says) in all.into_iter().enumerate() {
        let with = |client: &str, server: &str| {
            let mut talk = Talk::between(client, server);
            says(&mut talk);
            let outcome = run(&talk.packets);
            let requests = outcome.requests.iter();
            let told = requests.map(|got| {
                let gap = (got.record().gap, got.record().cut, got.record().reordered);
                (got.line(), got.times(), got.budget(), gap)
            });
            (told.collect::<Vec<_>>(), outcome.counts)
        };
        let right = with("10.0.0.1:40000", "10.0.1.1:5000");
        let wrong = with("10.0.0.1:5000", "10.0.1.1:40000");
        assert!(
            right.0[0].0.contains("/\" ") && right.0[0].0.contains("-> Ok"),
            "{n}: {right:#?}"
        );
        assert_eq!(right, wrong, "{n}");
    }
}

/// `after` what was captured before it, requests are read as ever.
pub(crate) fn goes_on(talk: &mut Talk, after: i64) {
    talk.data(after, C, HTTP_GET);
    talk.data(after + MS, S, &http_ok(1));
    talk.ack(after + 2 * MS, C);
}

pub(crate) const NEXT: &str = r#"2 Http GET "GET x.test/" 32 -> Ok 200 "OK" 39"#;

#[test]
fn payload_cut_by_the_snap_length() {
    let snap = |talk: &mut Talk, length: usize| {
        for packet in &mut talk.packets {
            packet.cut = packet.bytes.len().saturating_sub(length) as u32;
        }
    };
    // The bodies only.
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    for piece in http_ok(5000).chunks(1000) {
        talk.data(20 * MS, S, piece);
    }
    talk.ack(21 * MS, C);
    goes_on(&mut talk, 50 * MS);
    snap(&mut talk, 160);
    let outcome = run(&talk.packets);
    let first = r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" 5041"#;
    assert_eq!(outcome.lines(), [first, NEXT]);
    let cut = |outcome: &Outcome| -> Vec<(bool, bool)> {
        let records = outcome.requests.iter().map(Got::record);
        records.map(|record| (record.cut, record.gap)).collect()
    };
    assert_eq!(cut(&outcome), [(true, false), (false, false)]);
    assert_eq!(outcome.requests[0].times()[..4], [10, 10, 20, 20].map(ms));
    // The heads of the responses: they are given up, each time.
    snap(&mut talk, 54 + 34);
    let outcome = run(&talk.packets);
    assert_eq!(cut(&outcome), [(true, false), (true, false)]);
    for got in &outcome.requests {
        assert_eq!(got.record().ended_by, EndedBy::Gap, "{}", got.line());
    }
}

/// A SET whose value is cut has its key and what was seen of the value, however long it is; one whose head is cut has what
/// was seen, and ends there, for nobody knows where the next one begins.
#[test]
fn redis_requests_cut_by_the_snap_length() {
    let value = [b'v'; 1000];
    let set = |length: usize| {
        let head = format!("*3\r\n$3\r\nSET\r\n$5\r\nsession:1\r\n${length}\r\n");
        let head = head.replace("$5", "$9");
        [head.as_bytes(), &value[..length], b"\r\n"].concat()
    };
    let headers = 54;
    let requests = |first: &[u8], captured: usize| {
        let mut talk = Talk::open();
        let before = talk.packets.len();
        talk.data(10 * MS, C, first);
        talk.packets[before].cut = (first.len() - captured) as u32;
        assert_eq!(talk.packets[before].bytes.len(), headers + first.len());
        talk.data(20 * MS, S, b"+OK\r\n");
        talk.ack(21 * MS, C);
        talk.data(30 * MS, C, &get("foo"));
        talk.data(40 * MS, S, &bulk(b"bar"));
        talk.ack(41 * MS, C);
        let outcome = run(&talk.packets);
        let cut = outcome.requests.iter().map(|got| got.record().cut);
        (outcome.lines(), cut.collect::<Vec<_>>())
    };
    let next = r#"2 Redis GET "GET foo" 22 -> Ok 9"#;
    for length in [100, 1000] {
        let whole = set(length);
        let head = whole.len() - length - 2;
        for (captured, seen) in [(head + 20, 20), (head, 0)] {
            let blank = if seen == 0 { "" } else { " " };
            let value = "v".repeat(seen);
            let first = format!(
                r#"1 Redis SET "SET session:1{blank}{value}" {} -> Ok 5"#,
                whole.len()
            );
            let (lines, cut) = requests(&whole, captured);
            assert_eq!(lines, [first, next.to_owned()], "{captured} of {length}");
            assert_eq!(cut, [true, false]);
        }
        // In the key, and in the number before the value.
        let (lines, cut) = requests(&whole, head - 2);
        assert!(
            lines[0].starts_with(r#"1 Redis SET "SET session:1" "#),
            "{lines:?}"
        );
        assert_eq!((lines.len(), cut), (2, vec![true, false]));
        let (lines, cut) = requests(&whole, 22);
        assert!(
            lines[0].starts_with(r#"1 Redis SET "SET sessi" "#),
            "{lines:?}"
        );
        assert_eq!((lines.len(), cut), (2, vec![true, false]));
    }
}

#[test]
fn captures_of_one_side() {
    let mut talk = Talk::open();
    for n in 0..3 {
        talk.data(n * 10 * MS + 10 * MS, C, &get("foo"));
        talk.data(n * 10 * MS + 11 * MS, S, &bulk(b"bar"));
        talk.ack(n * 10 * MS + 12 * MS, C);
    }
    let sent_by = |side: usize| -> Vec<Captured> {
        let port = talk.ends[side].port().to_be_bytes();
        let packets = talk.packets.iter();
        let its = packets.filter(|packet| packet.bytes[34..36] == port);
        its.cloned().collect()
    };
    let client = run(&sent_by(C));
    assert_eq!(client.requests.len(), 3);
    for got in &client.requests {
        keeps_the_contract(got).unwrap();
        assert_eq!(got.record().status, Status::Unanswered);
        assert_eq!(got.record().summary, Some("GET foo"));
        assert_eq!(got.times()[2..], [None; 3]);
    }
    let server = run(&sent_by(S));
    assert!(server.requests.is_empty(), "{:?}", server.lines());
}

#[test]
fn over_ipv6() {
    let mut talk = Talk::between("[2001:db8::1]:40000", "[2001:db8::2]:5000");
    talk.handshake([0, 500 * US, 1000 * US]);
    talk.data(10 * MS, C, &get("foo"));
    talk.data(20 * MS, S, &bulk(b"bar"));
    talk.ack(21 * MS, C);
    let got = one(&talk);
    assert_eq!(got.line(), r#"1 Redis GET "GET foo" 22 -> Ok 9"#);
    assert_eq!(got.times(), [10, 10, 20, 20, 21].map(ms));
    assert_eq!(got.record().server_ip, talk.ends[S].ip());
}

/// RFC 7413: the first bytes come with the SYN.
#[test]
fn data_on_the_syn() {
    let request = get("foo");
    for accepted in [request.len(), 0] {
        let mut talk = Talk::default();
        let syn = Seg {
            side: C,
            at: 0,
            ack: None,
            flags: SYN,
            payload: &request,
        };
        talk.segment(5 * MS, syn);
        let synack = Seg {
            side: S,
            ack: Some(accepted as u32),
            flags: SYN | ACK,
            payload: b"",
            ..syn
        };
        talk.segment(6 * MS, synack);
        if accepted == 0 {
            talk.data(7 * MS, C, &request);
        } else {
            talk.sent[C] = accepted as u32;
            talk.ack(7 * MS, C);
        }
        talk.data(20 * MS, S, &bulk(b"bar"));
        talk.ack(21 * MS, C);
        talk.data(30 * MS, C, &get("bar"));
        talk.data(31 * MS, S, &bulk(b"foo"));
        talk.ack(32 * MS, C);
        let outcome = run(&talk.packets);
        assert_eq!(
            outcome.lines(),
            [
                r#"1 Redis GET "GET foo" 22 -> Ok 9"#,
                r#"2 Redis GET "GET bar" 22 -> Ok 9"#
            ]
        );
        // Its first sighting counts, though the server took the second.
        assert_eq!(outcome.requests[0].times(), [5, 5, 20, 20, 21].map(ms));
    }
}

#[test]
fn numbers_wrap() {
    for short in [0, 1, 10, 23, 500] {
        let mut talk = Talk {
            isn: [u32::MAX - short, u32::MAX - 2 * short],
            ..Talk::default()
        };
        talk.handshake([0, 500 * US, 1000 * US]);
        for n in 0..20 {
            let at = 10 * MS + n * MS;
            talk.data(at, C, &get("foo"));
            talk.data(at + 100 * US, S, &bulk(&[b'v'; 90]));
            talk.ack(at + 200 * US, C);
        }
        // And out of order across the end.
        let mut swapped = talk.clone();
        for n in 0..10 {
            swapped.packets.swap(3 + 6 * n, 6 + 6 * n);
        }
        let outcome = run(&talk.packets);
        assert_eq!(outcome.requests.len(), 20);
        for got in &outcome.requests {
            assert!(
                got.line().ends_with("\"GET foo\" 22 -> Ok 97"),
                "{}",
                got.line()
            );
            assert_eq!(got.record().total_us, us(100));
        }
        let swapped = run(&swapped.packets);
        assert!(
            swapped
                .requests
                .iter()
                .all(|got| keeps_the_contract(got).is_ok())
        );
    }
}

/// Probes of one byte that was acknowledged long ago: whatever the byte is, it asks for nothing.
#[test]
fn probes_are_no_requests() {
    for (protocol, asked, answered) in [
        (Protocol::Redis, get("foo"), bulk(b"bar")),
        (Protocol::Turn, vec![0xfe; 40], vec![0xfd; 40]),
    ] {
        for byte in [b"", &b"\0"[..], b"*", b"G"] {
            let mut talk = Talk::open();
            let probe = |talk: &mut Talk, at: i64| {
                let (from, ack) = (talk.sent[C].wrapping_sub(1), talk.sent[S]);
                talk.piece(at, C, from, byte, ack);
                talk.ack(at + MS, S);
                let (from, ack) = (talk.sent[S].wrapping_sub(1), talk.sent[C]);
                talk.piece(at + 2 * MS, S, from, byte, ack);
                talk.ack(at + 3 * MS, C);
            };
            probe(&mut talk, 5 * MS);
            talk.data(10 * MS, C, &asked);
            probe(&mut talk, 20 * MS);
            talk.data(50 * MS, S, &answered);
            talk.ack(51 * MS, C);
            probe(&mut talk, 60 * MS);
            probe(&mut talk, 80 * MS);
            talk.data(100 * MS, C, &asked);
            talk.data(110 * MS, S, &answered);
            talk.ack(111 * MS, C);
            let outcome = run(&talk.packets);
            let requests = &outcome.requests;
            assert_eq!(
                requests.len(),
                2,
                "{protocol:?} {byte:?} {:#?}",
                outcome.lines()
            );
            assert_eq!(requests[0].record().protocol, protocol);
            assert_eq!(requests[0].times(), [10, 10, 50, 50, 51].map(ms));
            assert_eq!(requests[1].times(), [100, 100, 110, 110, 111].map(ms));
            for got in requests {
                let record = got.record();
                assert_eq!(record.retransmits, 0);
                assert_eq!(record.request_bytes, asked.len() as u64);
                assert_eq!(record.response_bytes, answered.len() as u64);
            }
        }
    }
}

#[test]
fn a_repeated_request_began_when_it_was_first_seen() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, &get("foo"));
    talk.piece(210 * MS, C, 0, &get("foo"), 0);
    talk.ack(210 * MS + 500 * US, S);
    talk.data(220 * MS, S, &bulk(b"bar"));
    talk.piece(450 * MS, S, 0, &bulk(b"bar"), 22);
    talk.ack(451 * MS, C);
    let got = one(&talk);
    assert_eq!(got.times(), [10, 10, 220, 220, 451].map(ms));
    let record = got.record();
    // The response was repeated after its last byte, and before its end was acknowledged.
    assert_eq!(record.retransmits, 1);
    let in_loss = got.budget()[4];
    assert_eq!(in_loss, Some(200_000_000), "{:?}", got.budget());
    assert_eq!(record.request_frame, Some(4));
}

/// The packets of a mirror port that shows everything twice, and of two interfaces.
#[test]
fn packets_captured_twice() {
    for interfaces in [[0, 0], [0, 1]] {
        let mut talk = Talk::open();
        talk.timestamps = true;
        let response = http_ok(5000);
        for n in 0..3 {
            talk.data(n * 20 * MS + 10 * MS, C, HTTP_GET);
            for (m, piece) in response.chunks(1000).enumerate() {
                let at = n * 20 * MS + 20 * MS + m as i64 * 100 * US;
                talk.data(at, S, piece);
            }
            talk.ack(n * 20 * MS + 21 * MS, C);
        }
        let plain = run(&talk.packets);
        let mut twice = Vec::new();
        for packet in &talk.packets {
            for (n, interface) in interfaces.into_iter().enumerate() {
                twice.push(Captured {
                    at: packet.at + n as i64 * 20 * US,
                    interface,
                    ..packet.clone()
                });
            }
        }
        let outcome = run(&twice);
        assert_eq!(outcome.lines(), plain.lines());
        assert_eq!(outcome.counts.duplicates, talk.packets.len() as u64);
        for (got, plain) in outcome.requests.iter().zip(&plain.requests) {
            assert_eq!(got.times(), plain.times());
            assert_eq!(got.budget(), plain.budget());
            assert_eq!(got.record().retransmits, 0);
            assert!(!got.record().reordered);
        }
    }
}

#[test]
fn order_lost_on_the_way_is_told() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    for (n, piece) in http_ok(2000).chunks(1000).enumerate() {
        talk.data(20 * MS + n as i64 * 100 * US, S, piece);
    }
    talk.ack(21 * MS, C);
    let (first, second) = (talk.packets[4].at, talk.packets[5].at);
    talk.packets.swap(4, 5);
    talk.packets[4].at = first;
    talk.packets[5].at = second;
    let got = one(&talk);
    let record = got.record();
    assert!(record.reordered && !record.gap);
    assert_eq!(record.retransmits, 0);
    // It began with what came first, though that was not its first byte.
    assert_eq!(got.times()[2], Some(20 * MS));
}

/// What an ACK covers may be captured a little after it: several queues.
#[test]
fn an_ack_may_overtake_its_data() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    let response = http_ok(3000);
    let mut pieces = response.chunks(1000);
    talk.data(20 * MS, S, pieces.next().unwrap());
    let late = pieces.next().unwrap();
    let from = talk.sent[S];
    talk.sent[S] += late.len() as u32;
    let rest: Vec<u8> = pieces.flatten().copied().collect();
    talk.data(20 * MS + 100 * US, S, &rest);
    talk.ack(20 * MS + 200 * US, C);
    talk.piece(25 * MS, S, from, late, talk.sent[C]);
    talk.ack(30 * MS, C);
    let got = one(&talk);
    assert!(!got.record().gap, "{}", got.line());
    assert_eq!(got.record().status_code, Some(200));
    assert_eq!(got.times()[..4], [10, 10, 20, 25].map(ms));
}

/// Requests that owe no reply do not wait for one.
#[test]
fn requests_without_a_reply() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, b"set a 0 0 1 noreply\r\nx\r\nget a\r\n");
    talk.data(20 * MS, S, b"VALUE a 0 1\r\nx\r\nEND\r\n");
    talk.ack(21 * MS, C);
    talk.data(30 * MS, C, &[OK, OK].concat());
    let outcome = run(&talk.packets);
    let records: Vec<_> = outcome.requests.iter().map(Got::record).collect();
    assert_eq!(records[0].status, Status::None);
    assert_eq!(records[0].ended_by, EndedBy::Response);
    assert_eq!(
        outcome.requests[0].times(),
        [ms(10), ms(10), None, None, None]
    );
    assert_eq!(records[1].status, Status::Ok);
    // The first was not outstanding.
    assert_eq!(records[1].queued, 0);
}

#[test]
fn what_is_spoken_on_a_port_can_be_named() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    talk.data(20 * MS, S, &http_ok(3));
    talk.ack(21 * MS, C);
    let port = one(&talk).record().server_port;
    let port = u16::try_from(port).unwrap();
    let protocols = |port_protocols: Vec<_>, protocols: Vec<Protocol>| {
        let settings = Settings {
            port_protocols,
            protocols,
            ..Settings::default()
        };
        let requests = run_with(&settings, &talk.packets).requests;
        let protocols = requests.iter().map(|got| got.record().protocol);
        protocols.collect::<Vec<_>>()
    };
    let on = |ports: Vec<(u16, u16)>, named: Protocol| PortProtocols {
        ports,
        protocols: vec![named],
    };
    let here = |named: Protocol| on(vec![(1, 2), (port, port)], named);
    let elsewhere = on(vec![(1, port - 1), (port + 1, u16::MAX)], Protocol::Turn);
    let none = Vec::new;
    assert_eq!(
        protocols(vec![here(Protocol::Turn)], none()),
        [Protocol::Turn]
    );
    assert_eq!(protocols(vec![elsewhere], none()), [Protocol::Http]);
    assert_eq!(protocols(vec![here(Protocol::Redis)], none()), []);
    // The first that names the port decides, whatever is spoken in general.
    let both = vec![here(Protocol::Http), here(Protocol::Turn)];
    assert_eq!(protocols(both, vec![Protocol::Redis]), [Protocol::Http]);
}
