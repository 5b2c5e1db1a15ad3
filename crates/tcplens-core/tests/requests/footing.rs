//! What is cut off; and after a hole, or what was given up: whose the next responses are, and that no more is lost than must be.

use tcplens_core::record::{EndedBy, Protocol, Status};
use tcplens_core::shard::Settings;

use crate::conversations::{dns_answer, dns_query};
use crate::pairing::*;
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

#[test]
fn what_cuts_a_request_off() {
    let unanswered = |got: &Got, ended_by: EndedBy| {
        let record = got.record();
        assert_eq!(record.status, Status::Unanswered, "{}", got.line());
        assert_eq!(record.ended_by, ended_by, "{}", got.line());
        assert_eq!(got.times(), [ms(10), ms(10), None, None, None]);
        assert_eq!(record.upload_us, us(0));
        assert_eq!(record.total_us, None);
        assert_eq!(got.budget(), [None; 7]);
    };
    let by_server = cut_off(|talk| {
        talk.fin(20 * MS, S);
        talk.ack(21 * MS, C);
        talk.fin(22 * MS, C);
        talk.ack(23 * MS, S);
    });
    unanswered(&by_server, EndedBy::ServerClose);
    let by_client = cut_off(|talk| {
        talk.fin(20 * MS, C);
        talk.ack(21 * MS, S);
        talk.fin(22 * MS, S);
        talk.ack(23 * MS, C);
    });
    unanswered(&by_client, EndedBy::ClientClose);
    for side in [C, S] {
        let reset = cut_off(|talk| talk.rst(20 * MS, side));
        unanswered(&reset, EndedBy::Reset);
    }
    let superseded = cut_off(|talk| {
        talk.isn = [77_000_000, 88_000_000];
        talk.sent = [0; 2];
        talk.handshake([20 * MS, 21 * MS, 22 * MS]);
    });
    unanswered(&superseded, EndedBy::ClientClose);
    unanswered(&cut_off(|_| {}), EndedBy::Observation);
}

/// A server that never answers: its client closes and goes, the server says nothing, so the connection never ends.
#[test]
fn a_client_that_gave_up_a_second_ago_has_cut_it_off() {
    for (until, ended_by) in [
        (900 * MS, EndedBy::Observation),
        (1100 * MS, EndedBy::ClientClose),
    ] {
        let mut talk = Talk::open();
        talk.data(10 * MS, C, &get("a"));
        talk.fin(20 * MS, C);
        talk.ack(21 * MS, S);
        let mut packets = talk.packets;
        // Somebody else's packet: time goes on.
        let mut other = Talk::between("10.9.9.9:999", "10.9.9.8:80");
        other.data(21 * MS + until, C, b"x");
        packets.extend(other.packets);
        let outcome = run(&packets);
        let gave_up: Vec<_> = outcome
            .requests
            .iter()
            .map(Got::record)
            .filter(|request| request.status == Status::Unanswered)
            .map(|request| request.ended_by)
            .collect();
        assert_eq!(gave_up.first(), Some(&ended_by), "{until}");
    }
}

#[test]
fn what_cuts_a_response_off() {
    let half = http_ok(1000)[..500].to_vec();
    let cut = |then: &dyn Fn(&mut Talk), ended_by: EndedBy| {
        let got = cut_off(|talk| {
            talk.data(20 * MS, S, &half);
            talk.ack(21 * MS, C);
            then(talk);
        });
        let record = got.record();
        // As far as was told.
        assert_eq!(record.status, Status::Ok);
        assert_eq!(record.status_code, Some(200));
        assert_eq!(record.ended_by, ended_by);
        assert_eq!(got.times()[..3], [ms(10), ms(10), ms(20)]);
        assert_eq!(record.process_us, us(10_000));
        assert_eq!((record.transfer_us, record.total_us), (None, None));
        assert_eq!(record.delivered_us, None);
        assert_eq!(got.budget(), [None; 7]);
    };
    cut(&|talk| talk.rst(30 * MS, S), EndedBy::Reset);
    cut(&|talk| talk.fin(30 * MS, S), EndedBy::ServerClose);
    cut(&|_| {}, EndedBy::Observation);
}

/// A RST that its sender did not send, for it goes on: what was outstanding has been reported; what comes after is read on.
#[test]
fn connections_go_on_after_a_forged_reset() {
    for [before, rest] in [[0, 43], [20, 23], [40, 3], [41, 2]] {
        let mut talk = Talk::open();
        talk.data(10 * MS, C, HTTP_GET);
        let response = http_ok(5);
        assert_eq!(response.len(), before + rest);
        if before > 0 {
            talk.data(20 * MS, S, &response[..before]);
        }
        talk.rst(21 * MS, S);
        talk.data(30 * MS, S, &response[before..]);
        talk.ack(31 * MS, C);
        goes_on(&mut talk, 50 * MS);
        goes_on(&mut talk, 60 * MS);
        let outcome = run(&talk.packets);
        assert_eq!(outcome.connections.len(), 1);
        let lines = outcome.lines();
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[0].ends_with("by Reset"), "{lines:#?}");
        assert_eq!(lines[1], NEXT);
        assert_eq!(lines[2], NEXT.replacen('2', "3", 1));
        let lost = outcome.counts.read.lost[Protocol::Http as usize];
        assert_eq!(lost, [0; 3], "{before}");
    }
    // One that its receiver does not obey ends nothing.
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    talk.data(20 * MS, S, &http_ok(5)[..20]);
    let far = Seg {
        side: S,
        at: 1 << 30,
        ack: Some(talk.sent[C]),
        flags: RST | ACK,
        payload: b"",
    };
    talk.segment(21 * MS, far);
    talk.data(30 * MS, S, &http_ok(5)[20..]);
    talk.ack(31 * MS, C);
    assert!(one(&talk).line().ends_with("-> Ok 200 \"OK\" 43"));
}

/// Bytes are those that came, not those that were announced.
#[test]
fn bytes_of_what_is_cut_off() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    let reset = cut_off(|talk| {
        talk.data(20 * MS, S, HEAD);
        talk.data(21 * MS, S, &[b'x'; 1000]);
        talk.data(22 * MS, S, &[b'x'; 500]);
        talk.rst(30 * MS, S);
    });
    assert_eq!(reset.record().ended_by, EndedBy::Reset);
    assert_eq!(reset.record().response_bytes, HEAD.len() as u64 + 1500);
    // A hole in a body of known length is part of it.
    let hole = cut_off(|talk| {
        talk.data(20 * MS, S, HEAD);
        talk.sent[S] += 1000;
        talk.data(22 * MS, S, &[b'x'; 500]);
        talk.ack(23 * MS, C);
    });
    assert_eq!(hole.record().ended_by, EndedBy::Observation);
    assert_eq!(hole.record().response_bytes, HEAD.len() as u64 + 1500);
    // The footing is lost beyond its end.
    let mut talk = Talk::open();
    let request = b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 5000\r\n\r\n";
    talk.data(10 * MS, C, &[&request[..], &[b'x'; 100]].concat());
    talk.sent[C] += 6000;
    talk.data(20 * MS, C, HTTP_GET);
    talk.ack(21 * MS, S);
    talk.data(40 * MS, S, &http_ok(1));
    talk.ack(41 * MS, C);
    let requests = run(&talk.packets).requests;
    assert_eq!(requests[0].record().ended_by, EndedBy::Gap);
    assert_eq!(
        requests[0].record().request_bytes,
        request.len() as u64 + 100
    );
}

/// Bytes that were acknowledged and never seen, in the body of a response.
#[test]
fn a_hole_in_a_body() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    let response = http_ok(10_000);
    for (n, piece) in response.chunks(1000).enumerate() {
        let at = 20 * MS + n as i64 * 100 * US;
        talk.data(at, S, piece);
    }
    // The fourth was not captured.
    talk.packets.remove(4 + 3);
    talk.ack(22 * MS, C);
    goes_on(&mut talk, 50 * MS);
    let outcome = run(&talk.packets);
    let first = format!(
        r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" {}"#,
        response.len()
    );
    assert_eq!(outcome.lines(), [first.as_str(), NEXT]);
    let records: Vec<_> = outcome.requests.iter().map(Got::record).collect();
    assert!(records[0].gap && records[0].capture_loss);
    assert!(!records[1].gap && !records[1].capture_loss);
    assert_eq!(outcome.counts.read.gaps, 1);
    // Its last byte was captured long before it was clear that the missing ones would not come. When the end was
    // acknowledged is not known, and what the client has was not lost.
    let times = [ms(10), ms(10), ms(20), Some(20 * MS + 1000 * US), None];
    assert_eq!(outcome.requests[0].times(), times);
    assert_eq!(outcome.requests[0].budget()[4], Some(0));
}

/// The same in the body of a request.
#[test]
fn a_hole_in_an_upload() {
    let mut talk = Talk::open();
    let request = [
        &b"POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"[..],
        &[b'x'; 5000],
    ]
    .concat();
    for (n, piece) in request.chunks(1000).enumerate() {
        talk.data(10 * MS + n as i64 * 100 * US, C, piece);
    }
    talk.packets.remove(3 + 2);
    talk.ack(11 * MS, S);
    talk.data(30 * MS, S, &http_ok(1));
    talk.ack(31 * MS, C);
    goes_on(&mut talk, 50 * MS);
    let outcome = run(&talk.packets);
    let first = format!(
        r#"1 Http POST "POST /" {} -> Ok 200 "OK" 39"#,
        request.len()
    );
    assert_eq!(outcome.lines(), [first.as_str(), NEXT]);
    let record = outcome.requests[0].record();
    assert!(record.gap && !record.early);
    assert_eq!(
        outcome.requests[0].times()[..3],
        [Some(10 * MS), Some(10 * MS + 500 * US), ms(30)]
    );
}

#[test]
fn a_hole_in_a_head() {
    // Of a response.
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    let response = http_ok(10);
    talk.data(20 * MS, S, &response[..20]);
    talk.data(20 * MS + 100 * US, S, &response[20..30]);
    talk.data(20 * MS + 200 * US, S, &response[30..]);
    talk.packets.remove(5);
    talk.ack(21 * MS, C);
    goes_on(&mut talk, 50 * MS);
    let outcome = run(&talk.packets);
    let first = &outcome.requests[0];
    assert_eq!(first.record().ended_by, EndedBy::Gap, "{}", first.line());
    assert_eq!(first.record().status, Status::Unanswered);
    assert!(first.record().gap);
    assert_eq!(outcome.lines()[1], NEXT);
    // Of a request: what is left of it is none, and its response is nobody's.
    let mut talk = Talk::open();
    talk.data(10 * MS, C, HTTP_GET);
    talk.data(11 * MS, S, &http_ok(1));
    talk.data(20 * MS, C, &HTTP_GET[..10]);
    talk.data(20 * MS + 100 * US, C, &HTTP_GET[10..20]);
    talk.data(20 * MS + 200 * US, C, &HTTP_GET[20..]);
    talk.packets.remove(6);
    talk.ack(21 * MS, S);
    talk.data(30 * MS, S, &http_ok(1));
    talk.ack(31 * MS, C);
    goes_on(&mut talk, 50 * MS);
    let outcome = run(&talk.packets);
    let first = r#"1 Http GET "GET x.test/" 32 -> Ok 200 "OK" 39"#;
    assert_eq!(outcome.lines(), [first, NEXT]);
    assert!(outcome.requests.iter().all(|got| !got.record().gap));
    assert_eq!(outcome.counts.read.unpaired[Protocol::Http as usize], 1);
}

/// A whole request, and its whole response, were not captured.
#[test]
fn a_hole_between_messages() {
    for side in [C, S] {
        let mut talk = Talk::open();
        talk.data(10 * MS, C, &get("foo"));
        talk.data(11 * MS, S, &bulk(b"foo"));
        talk.data(20 * MS, C, &get("bar"));
        talk.data(21 * MS, S, &bulk(b"bar"));
        talk.packets.remove([5, 6][side]);
        talk.data(40 * MS, C, &get("baz"));
        talk.data(41 * MS, S, &bulk(b"baz"));
        talk.ack(42 * MS, C);
        talk.data(80 * MS, C, &get("end"));
        talk.data(81 * MS, S, &bulk(b"end"));
        talk.ack(82 * MS, C);
        let outcome = run(&talk.packets);
        let lines = outcome.lines();
        let with = |key: &str| {
            let summary = format!("\"GET {key}\"");
            let line = lines.iter().find(|line| line.contains(&summary));
            line.unwrap_or_else(|| panic!("{side} {key}: {lines:#?}"))
                .clone()
        };
        assert!(with("foo").ends_with("-> Ok 9"));
        if side == S {
            assert!(with("bar").ends_with("by Gap"), "{lines:#?}");
        }
        if side == C {
            assert!(with("baz").ends_with("-> Ok 9"), "{lines:#?}");
        }
        assert!(with("end").ends_with("-> Ok 9"));
        // No response went to another request than its own.
        for got in &outcome.requests {
            let times = got.times();
            if let [Some(asked), _, Some(answered), ..] = times {
                assert!(
                    (MS..=2 * MS).contains(&(answered - asked)),
                    "{}",
                    got.line()
                );
            }
        }
    }
}

/// A pipeline from `a` on, each request in a segment of its own, each answered with its key after all were sent; all but
/// `lost` were captured. Then another, after `pause`.
fn pipeline(requests: u8, lost: u8, pause: i64) -> Outcome {
    let mut talk = Talk::open();
    let key = |n: u8| ((b'a' + n) as char).to_string();
    for n in 0..requests {
        talk.data(10 * MS + i64::from(n) * US, C, &get(&key(n)));
    }
    talk.packets.remove(3 + usize::from(lost));
    for n in 0..requests {
        talk.data(
            11 * MS + i64::from(n) * US,
            S,
            &bulk(key(n).repeat(n.into()).as_bytes()),
        );
    }
    talk.ack(12 * MS, C);
    let again = 12 * MS + pause;
    for n in 20..23 {
        let at = again + i64::from(n - 20) * 10 * MS;
        talk.data(at, C, &get(&key(n)));
        talk.data(at + MS, S, &bulk(key(n).repeat(n.into()).as_bytes()));
        talk.ack(at + 2 * MS, C);
    }
    run(&talk.packets)
}

/// A response whose length says which request it answers: to `a` nothing, to `b` one byte, and so on.
fn has_its_own_response(got: &Got) -> bool {
    let record = got.record();
    let key = record.summary.unwrap().as_bytes()[4];
    let own = bulk(&vec![0; usize::from(key - b'a')]).len() as u64;
    record.response_bytes == own
}

/// What was asked in a hole is answered all the same: nobody takes that for its own.
#[test]
fn a_hole_in_a_pipeline() {
    for requests in 1..8 {
        for lost in 0..requests {
            for pause in [10 * MS, 2_000 * MS] {
                let outcome = pipeline(requests, lost, pause);
                let lines = outcome.lines();
                for got in &outcome.requests {
                    keeps_the_contract(got).unwrap();
                    let is_ok = got.record().status == Status::Ok;
                    assert!(!is_ok || has_its_own_response(got), "{lost}: {lines:#?}");
                    let is_gap = got.record().ended_by == EndedBy::Gap;
                    assert!(is_ok || is_gap, "{lost}: {lines:#?}");
                }
                assert_eq!(outcome.requests.len(), usize::from(requests) + 2);
                // After a while of silence, or if nothing was pipelined, it is known again whose is whose.
                let known = lines.iter().filter(|line| line.contains("-> Ok")).count();
                let read = outcome.counts.read;
                assert!(read.unpaired[Protocol::Redis as usize] > 0, "{lines:#?}");
                if pause > 1_000 * MS {
                    assert!(
                        lines.last().unwrap().contains("-> Ok"),
                        "{lost}: {lines:#?}"
                    );
                    assert!(known >= 2, "{requests} {lost}: {lines:#?}");
                }
            }
        }
    }
}

/// A client that has up to `depth` requests outstanding, of which so many packets in a hundred were not captured.
fn with_holes(random: &mut Random, depth: i64, lost: i64) -> Vec<Captured> {
    let mut talk = Talk::open();
    let mut at = 10 * MS;
    let mut outstanding = std::collections::VecDeque::new();
    let mut n = 0;
    for _ in 0..60 {
        at += random.scaled(10 * US, 3 * MS);
        let asks =
            outstanding.is_empty() || (outstanding.len() as i64) < depth && random.once_in(2);
        if asks {
            // What the server has read, it has acknowledged; but it may be late.
            let key = b'a' + n % 26;
            n += 1;
            talk.data(at, C, &get(&(key as char).to_string()));
            outstanding.push_back(key);
            if random.once_in(3) {
                talk.ack(at + US, S);
            }
        } else if let Some(key) = outstanding.pop_front() {
            let response = bulk(&vec![key; usize::from(key - b'a')]);
            talk.data(at, S, &response);
            if random.once_in(3) {
                talk.ack(at + US, C);
            }
        }
    }
    let mut packets = talk.packets;
    let mut n = 0;
    packets.retain(|_| {
        n += 1;
        n <= 3 || random.from(1, 100) > lost
    });
    packets
}

/// Where it turns out late that a client pipelines, what is outstanding ends by `gap`, also the request that told.
#[test]
fn who_pipelines_after_a_hole_is_not_answered_by_guess() {
    let mut talk = Talk::open();
    talk.data(10 * MS, C, &get("a"));
    talk.data(11 * MS, S, &bulk(b""));
    // Missed.
    talk.data(20 * MS, C, &get("b"));
    talk.packets.pop();
    talk.data(21 * MS, S, &bulk(b"b"));
    talk.data(30 * MS, C, &get("c"));
    talk.data(31 * MS, S, &bulk(b"cc"));
    talk.data(40 * MS, C, &get("d"));
    talk.data(41 * MS, C, &get("e"));
    talk.data(42 * MS, S, &bulk(b"ddd"));
    talk.data(43 * MS, S, &bulk(b"eeee"));
    talk.ack(44 * MS, C);
    talk.fin(50 * MS, S);
    let expected = [
        r#"1 Redis GET "GET a" 20 -> Ok 6"#,
        r#"2 Redis GET "GET c" 20 -> Ok 8"#,
        r#"3 Redis GET "GET d" 20 -> Unanswered 0 by Gap"#,
        r#"4 Redis GET "GET e" 20 -> Unanswered 0 by Gap"#,
    ];
    assert_eq!(lines(&talk), expected);
}

/// That a client pipelines may itself be hidden by holes: then, and only then, a response may go wrong.
#[test]
fn holes_anywhere_pair_next_to_nothing_with_the_wrong_response() {
    let [mut right, mut wrong] = [0; 2];
    for seed in 0..1_500 {
        let mut random = Random::new(seed);
        let depth = random.from(1, 4);
        let packets = with_holes(&mut random, depth, 3);
        for got in &run(&packets).requests {
            if got.record().status == Status::Ok {
                let is_own = has_its_own_response(got);
                right += u32::from(is_own);
                wrong += u32::from(!is_own);
                assert!(is_own || depth > 1, "{seed}: {}", got.line());
            }
        }
    }
    // Of 90,000 requests.
    assert!(right > 20_000 && wrong * 4_000 < right, "{right} {wrong}");
}
