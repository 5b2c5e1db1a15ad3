use super::Websocket;
use crate::proto::testing::{C, S, Said, fuzz, run_split};
use crate::proto::{Guess, Parser, Way};

fn check(said: &[Said<'_>], lines: &[&str]) {
    assert_eq!(run_split(Websocket::default, said), lines);
    fuzz(Websocket::default, said, 13);
}

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Masked if the client says it.
fn frame(way: Way, first: u8, payload: &[u8]) -> Vec<u8> {
    let masked = if way == C { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(masked | length as u8),
        length @ 126..65_536 => {
            frame.push(masked | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = if way == C {
        [0x37, 0xfa, 0x21, 0x3d]
    } else {
        [0; 4]
    };
    if way == C {
        frame.extend_from_slice(&mask);
    }
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(C, first, payload)
}

fn server(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(S, first, payload)
}

#[test]
fn a_state_is_small() {
    assert!(size_of::<Websocket>() <= 32);
}

/// RFC 6455 s5.7.
#[test]
fn examples_of_the_rfc() {
    check(
        &[
            (C, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
            (S, b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"),
            (S, b"\x89\x05\x48\x65\x6c\x6c\x6f"),
            (C, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ],
        &[
            r#"text "text Hello" 11 -> ok 9"#,
            "aside ToClient 7",
            "aside ToServer 11",
        ],
    );
}

#[test]
fn messages_are_answered_in_order_and_others_are_pushes() {
    let long = vec![b'a'; 70_000];
    let two = [
        client(FINAL | TEXT, b"two"),
        client(FINAL | BINARY, &[0; 300]),
    ]
    .concat();
    let summary = format!(r#"text "text {}" 70014 -> ok 5"#, "a".repeat(123));
    check(
        &[
            (S, &server(FINAL | TEXT, b"welcome")),
            (
                C,
                &client(FINAL | TEXT, "{\"id\":1,\"é\":\"\n\"}".as_bytes()),
            ),
            (C, &two),
            (S, &server(FINAL | TEXT, b"one")),
            (S, &server(FINAL | TEXT, b"two")),
            (S, &server(FINAL | BINARY, &[1; 300])),
            (S, &server(FINAL | TEXT, b"news")),
            (C, &client(FINAL | TEXT, &long)),
            (S, &server(FINAL | TEXT, b"big")),
            (C, &client(FINAL | COMPRESSED | TEXT, b"\xf2\x48\xcd")),
            (S, &server(FINAL | COMPRESSED | TEXT, b"\xf2\x48\xcd")),
        ],
        &[
            r#"text "text {\"id\":1,\"é\":\"\\n\"}" 23 -> ok 5"#,
            r#"text "text two" 9 -> ok 5"#,
            r#"binary "binary" 308 -> ok 304"#,
            &summary,
            r#"text "text (compressed)" 9 -> ok 5"#,
            "aside ToClient 9",
            "aside ToClient 6",
        ],
    );
}

#[test]
fn fragments_go_together_and_control_frames_go_between() {
    check(
        &[
            (C, &client(BINARY, b"first")),
            // Pushed before the message was whole.
            (S, &server(FINAL | TEXT, b"news")),
            (C, &client(FINAL | PING, b"p1")),
            (C, &client(0, b"second")),
            (S, &server(FINAL | PONG, b"p1")),
            (C, &client(FINAL, b"third")),
            (S, &server(TEXT, b"ans")),
            (S, &server(FINAL | PING, b"")),
            (S, &server(FINAL, b"wer")),
            (C, &client(FINAL | PONG, b"")),
        ],
        &[
            r#"binary "binary" 34 -> ok 10"#,
            r#"ping "ping" 8 -> ok 4"#,
            "aside ToClient 6",
            "aside ToClient 2",
            "aside ToServer 6",
        ],
    );
}

#[test]
fn pongs_know_their_pings() {
    check(
        &[
            (C, &client(FINAL | PING, b"a")),
            (C, &client(FINAL | TEXT, b"m")),
            (C, &client(FINAL | PING, b"b")),
            (S, &server(FINAL | PONG, b"b")),
            (S, &server(FINAL | PONG, b"c")),
            (S, &server(FINAL | TEXT, b"m")),
        ],
        &[
            r#"ping "ping" 7 -> unanswered 0"#,
            r#"text "text m" 7 -> ok 3"#,
            r#"ping "ping" 7 -> ok 3"#,
            "aside ToClient 3",
        ],
    );
}

#[test]
fn closing() {
    check(
        &[
            (C, &client(FINAL | TEXT, b"m")),
            (C, &client(FINAL | CLOSE, b"\x03\xe8bye")),
            (S, &server(FINAL | CLOSE, b"\x03\xe8")),
        ],
        &[
            r#"text "text m" 7 -> unanswered 0"#,
            r#"close "close 1000 bye" 11 -> ok 1000 4"#,
        ],
    );
    check(
        &[
            (C, &client(FINAL | CLOSE, b"")),
            (S, &server(FINAL | CLOSE, b"")),
        ],
        &[r#"close "close" 6 -> ok 2"#],
    );
    // The server refuses a message.
    check(
        &[
            (C, &client(FINAL | TEXT, b"m")),
            (S, &server(FINAL | CLOSE, b"\x03\xf1too big")),
            (C, &client(FINAL | CLOSE, b"\x03\xf1")),
        ],
        &[
            r#"text "text m" 7 -> error 1009 "too big" 11"#,
            "aside ToServer 8",
        ],
    );
    // The server is done.
    check(
        &[
            (C, &client(FINAL | TEXT, b"m")),
            (S, &server(FINAL | CLOSE, b"\x03\xe9")),
            (C, &client(FINAL | CLOSE, b"\x03\xe9")),
        ],
        &[
            r#"text "text m" 7 -> unanswered 0"#,
            "aside ToClient 4",
            "aside ToServer 8",
        ],
    );
}

#[test]
fn what_cannot_be_read() {
    let broken: &[&[u8]] = &[
        // Not masked; reserved bits, codes; control frames in pieces or too long; lengths that have a shorter form or none.
        b"\x81\x01a",
        b"\xa1\x80\0\0\0\0",
        b"\x83\x80\0\0\0\0",
        b"\x09\x80\0\0\0\0",
        b"\x89\xfe\x00\x7e\0\0\0\0",
        b"\xc9\x80\0\0\0\0",
        b"\xc0\x80\0\0\0\0",
        b"\x82\xfe\x00\x7d\0\0\0\0",
        b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0",
        b"\x82\xff\xff\0\0\0\0\0\0\0\0\0\0\0",
    ];
    for frame in broken {
        check(&[(C, frame)], &["lost ToServer Malformed"]);
    }
    check(
        &[(S, &client(FINAL | TEXT, b"a"))],
        &["lost ToClient Malformed"],
    );
    let within = [client(TEXT, b"a"), client(TEXT, b"b")].concat();
    check(
        &[(C, &within)],
        &[
            r#"text "text a" 7 -> unanswered 0"#,
            "lost ToServer Malformed",
        ],
    );
}

#[test]
fn after_a_hole_nothing_waits() {
    let mut parser = Websocket {
        asked: 7,
        answered: 3,
        ..Websocket::default()
    };
    parser.lost(S);
    let lines = crate::proto::testing::run(
        parser,
        &[
            (S, &server(FINAL, b"end of something")),
            (S, &server(FINAL | TEXT, b"news")),
            (C, &client(FINAL | TEXT, b"m")),
            (S, &server(FINAL | TEXT, b"m")),
        ],
    );
    assert_eq!(
        lines,
        [
            r#"text "text m" 7 -> ok 3"#,
            "aside ToClient 18",
            "aside ToClient 6"
        ]
    );
}

#[test]
fn probe_is_strict() {
    let json = b"{\"jsonrpc\":\"2.0\",\"id\":17,\"method\":\"ping\"}";
    let long = client(FINAL | TEXT, &json.repeat(40));
    let cases: &[(Way, &[u8], Guess)] = &[
        (C, &client(FINAL | TEXT, json), Guess::Yes),
        (S, &server(FINAL | TEXT, json), Guess::Yes),
        (C, &long[..500], Guess::Yes),
        (C, &client(FINAL | BINARY, &[7; 200]), Guess::Yes),
        (S, &server(FINAL | BINARY, &[7; 200]), Guess::Yes),
        (S, &server(FINAL | BINARY, &[7; 50]), Guess::No),
        (S, &server(FINAL | BINARY, &[7; 50]).repeat(3), Guess::No),
        (S, &server(FINAL | TEXT, b"ok").repeat(3), Guess::Yes),
        (S, &server(FINAL | TEXT, b"ok"), Guess::No),
        (C, &client(FINAL | TEXT, json)[..20], Guess::Maybe),
        (C, b"", Guess::Maybe),
        (S, &client(FINAL | TEXT, json), Guess::No),
        (C, &server(FINAL | TEXT, json), Guess::No),
        (C, &client(FINAL | TEXT, &[0xff; 40]), Guess::No),
        (C, &client(FINAL, json), Guess::No),
        // Names in a certificate, and AMQP, both in mid-connection.
        (S, &b"\x82\x0ea.example.test".repeat(9), Guess::No),
        (
            S,
            b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\xff\xff\0\x02\0\0\0\x0a\xce",
            Guess::No,
        ),
        // MQTT SUBSCRIBE, a NetBIOS session request, TLS, HTTP, redis, MySQL, PostgreSQL, Kafka.
        (C, b"\x82\x09\x00\x01\x00\x04a/b/\x00", Guess::No),
        (
            C,
            b"\x81\x00\x00\x44 CKFDENECFDEFFCFGEFFCCACACACACACA\0",
            Guess::No,
        ),
        (
            S,
            b"\x81\x00\x00\x44 CKFDENECFDEFFCFGEFFCCACACACACACA\0",
            Guess::No,
        ),
        (
            C,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            Guess::No,
        ),
        (C, b"GET / HTTP/1.1\r\n\r\n", Guess::No),
        (S, b"HTTP/1.1 200 OK\r\n\r\n", Guess::No),
        (C, b"*1\r\n$4\r\nPING\r\n", Guess::No),
        (S, b"+PONG\r\n", Guess::No),
        (C, b"\x0e\0\0\0\x03select 1 + 1", Guess::No),
        (C, b"Q\0\0\0\x0dselect 1\0", Guess::No),
        (
            C,
            b"\0\0\0\x1a\0\x12\0\x03\0\0\0\x01\0\x07console",
            Guess::No,
        ),
    ];
    for (way, bytes, guess) in cases {
        assert_eq!(
            Websocket::probe(*way, bytes),
            *guess,
            "{way:?} {}",
            bytes.escape_ascii()
        );
    }
    let mut state: u32 = 1;
    for n in 0..300_000 {
        let bytes: [u8; 40] = std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let bytes = &bytes[..n % 41];
        assert_ne!(Websocket::probe(C, bytes), Guess::Yes);
        assert_ne!(Websocket::probe(S, bytes), Guess::Yes);
    }
}
