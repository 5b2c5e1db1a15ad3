use super::Kafka;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};
use crate::proto::{Guess, Parser};

fn check(said: &[Said<'_>], expected: &[&str]) {
    assert_eq!(run_split(Kafka::default, said), expected);
    fuzz(Kafka::default, said, 0x2545_f491_4f6c_dd1d);
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

/// A request of the client `app`.
fn ask(key: u16, version: u16, correlation: u32, body: &[u8]) -> Vec<u8> {
    framed(
        &[
            &key.to_be_bytes()[..],
            &version.to_be_bytes(),
            &correlation.to_be_bytes(),
            b"\0\x03app",
            body,
        ]
        .concat(),
    )
}

fn answer(correlation: u32, body: &[u8]) -> Vec<u8> {
    framed(&[&correlation.to_be_bytes()[..], body].concat())
}

#[test]
fn the_parser_is_small() {
    assert!(size_of::<Kafka>() <= 8);
}

#[test]
fn requests_are_paired_by_number() {
    let asked = [
        ask(18, 0, 1, b""),
        ask(3, 1, 2, b"\0\0\0\x02\0\x06orders\0\x04logs"),
        ask(12, 3, 3, b"\0\x07billing\0\0\0\x05\0\x01m\xff\xff"),
        ask(99, 7, 4, b""),
    ]
    .concat();
    let answered = [
        answer(3, b"\0\0\0\0\0\x1b"),
        answer(1, b"\0\0\0\0\0\0"),
        answer(2, b"\0\0\0\0\0\0\0\0"),
        answer(9, b"\0\0"),
    ]
    .concat();
    check(
        &[(C, &asked), (S, &answered)],
        &[
            r#"ApiVersions "ApiVersions" 17 -> ok 14"#,
            r#"Metadata "Metadata orders logs" 35 -> ok 16"#,
            r#"Heartbeat "Heartbeat billing" 35 -> error 27 "REBALANCE_IN_PROGRESS" 14"#,
            r#"Api099 "" 17 -> unanswered 0"#,
            "unpaired 10",
        ],
    );
}

/// Version 3: transaction id, acks, timeout, one topic with one partition of so many records.
fn produce(acks: i16, topic: &[u8], records: usize) -> Vec<u8> {
    [
        b"\xff\xff",
        &acks.to_be_bytes()[..],
        b"\0\0\x75\x30\0\0\0\x01",
        &(topic.len() as u16).to_be_bytes(),
        topic,
        b"\0\0\0\x01\0\0\0\0",
        &(records as u32).to_be_bytes(),
        &vec![b'r'; records],
    ]
    .concat()
}

#[test]
fn produce_with_and_without_acknowledgement() {
    let asked = [
        ask(0, 3, 1, &produce(1, b"orders", 5)),
        ask(0, 3, 2, &produce(0, b"orders", 5)),
        ask(0, 3, 3, &produce(-1, b"secret", 5000)),
    ]
    .concat();
    let topic = b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0";
    let tail = b"\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    let answered = [
        answer(1, &[&topic[..], b"\0\0", tail].concat()),
        answer(3, &[&topic[..], b"\0\x1d", tail].concat()),
    ]
    .concat();
    check(
        &[(C, &asked), (S, &answered)],
        &[
            r#"Produce "Produce orders" 54 -> ok 50"#,
            r#"Produce "Produce orders" 54 -> none"#,
            r#"Produce "Produce secret" 5049 -> error 29 "TOPIC_AUTHORIZATION_FAILED" 50"#,
        ],
    );
}

#[test]
fn flexible_versions() {
    // Tagged fields in the header, compact strings and arrays.
    let asked = [
        ask(18, 3, 1, b"\0\x0blibrdkafka\x062.3.0\0"),
        ask(0, 9, 2, b"\x01\x00\x01x\0\0\x01\0\0\x75\x30\x03\x07orders\x02\0\0\0\0\x04rec\0\0\x05logs\x02\0\0\0\0\x04rec\0\0\0"),
        ask(22, 2, 3, b"\0\x03tx\0\0\0\0\0"),
        ask(10, 4, 4, b"\0\0\x03\x02a\x02b\0"),
        ask(1, 13, 5, b"\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\x02\x12\x34\x56\x78\x9a\xbc\xde\xf0\0\x11\x22\x33\x44\x55\x66\x77\x01\0\x01\x01\0"),
        ask(1, 3, 6, &[0xff; 9]),
    ]
    .concat();
    let answered = [
        // Version 0 of the header, whatever is asked: the client must understand it.
        answer(1, b"\0\x23\0\0\0\0"),
        answer(2, b"\0\x02\x07orders\x02\0\0\0\0\0\x06"),
        answer(3, b"\0\0\0\0\0\0\x33"),
        answer(4, b"\0\0\0\0\0\x01\0"),
        answer(5, b"\0\0\0\0\0\xff\xff\0\0\0\0\x01\0"),
        answer(6, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ]
    .concat();
    check(
        &[(C, &asked), (S, &answered)],
        &[
            r#"ApiVersions "ApiVersions librdkafka 2.3.0" 36 -> error 35 "UNSUPPORTED_VERSION" 14"#,
            r#"Produce "Produce orders logs" 64 -> error 6 "NOT_LEADER_OR_FOLLOWER" 24"#,
            r#"InitProducerId "InitProducerId tx" 26 -> error 51 "CONCURRENT_TRANSACTIONS" 15"#,
            r#"FindCoordinator "FindCoordinator a b" 25 -> ok 15"#,
            r#"Fetch "Fetch EjRWeJq83vAAESIzRFVmdw" 65 -> error "UNKNOWN_SERVER_ERROR" 21"#,
            r#"Fetch "Fetch" 26 -> ok 22"#,
        ],
    );
}

#[test]
fn login_tokens_without_a_header_are_asides() {
    let token = framed(b"\0user\0secret");
    check(
        &[
            (C, &ask(17, 0, 1, b"\0\x05PLAIN")),
            (S, &answer(1, b"\0\0\0\0\0\x01\0\x05PLAIN")),
            (C, &token),
            (S, &framed(b"")),
            (C, &ask(3, 0, 2, b"\0\0\0\0")),
            (S, &answer(2, b"\0\0\0\0\0\0\0\0")),
        ],
        &[
            r#"SaslHandshake "SaslHandshake PLAIN" 24 -> ok 21"#,
            r#"Metadata "Metadata" 21 -> ok 16"#,
            "aside ToServer 16",
            "aside ToClient 4",
        ],
    );
}

#[test]
fn long_messages_are_passed_over() {
    let asked = ask(0, 3, 7, &produce(1, &[b't'; 249], 3_000_000));
    let fetched = answer(8, &[0; 2_000_000]);
    let said: [Said<'_>; 4] = [
        (C, &asked),
        (C, &ask(1, 4, 8, &[0; 25])),
        (S, &answer(7, &[0; 12])),
        (S, &fetched),
    ];
    let expected = [
        format!(r#"Produce "Produce {}" 3000292 -> ok 20"#, "t".repeat(120)),
        r#"Fetch "Fetch" 42 -> ok 2000008"#.to_string(),
    ];
    for size in [1000, 1460, 65536] {
        let mut pieces: Vec<Said<'_>> = Vec::new();
        for (way, bytes) in said {
            pieces.extend(bytes.chunks(size).map(|piece| (way, piece)));
        }
        assert_eq!(run(Kafka::default(), &pieces), expected);
    }
}

#[test]
fn what_is_no_kafka_is_given_up() {
    let lines = run(
        Kafka::default(),
        &[(C, b"GET / HTTP/1.1\r\n"), (S, b"\xff\xff\xff\xff")],
    );
    assert_eq!(
        lines,
        // `GET ` is a length, which the rest does not come to.
        ["lost ToClient Malformed"]
    );
    let lines = run(Kafka::default(), &[(C, &framed(&[0x41; 64]))]);
    assert_eq!(lines, ["lost ToServer Malformed"]);
}

#[test]
fn probe_knows_its_own() {
    for bytes in [
        ask(18, 3, 1, b"\0\x0blibrdkafka\x062.3.0\0"),
        ask(3, 12, 5, b""),
        ask(0, 3, 2, &produce(1, b"orders", 5)),
        ask(0, 3, 2, &produce(1, b"orders", 50_000)),
        framed(b"\0\x12\0\0\0\0\0\0\xff\xff"),
    ] {
        assert_eq!(
            Kafka::probe(C, &bytes),
            Guess::Yes,
            "{}",
            bytes.escape_ascii()
        );
        for n in 0..14 {
            assert_eq!(Kafka::probe(C, &bytes[..n]), Guess::Maybe, "{n}");
        }
    }
    let replies = [answer(1, b"\0\0\0\0"), answer(2, &[0; 100])].concat();
    assert_eq!(Kafka::probe(S, &replies), Guess::Yes);
    assert_eq!(Kafka::probe(S, &replies[..replies.len() - 1]), Guess::No);
}

#[test]
fn probe_leaves_the_others() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"set a 0 0 3\r\nabc\r\n",
        b"\x16\x03\x01\x02\x00\x01\0\0\0\0\0\0\0\0",
        // PostgreSQL: SSLRequest, start-up.
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0shop\0\0\0\0",
        // MySQL's greeting, MongoDB's message.
        b"\x4a\x00\x00\x00\x0a5.7.44\0\x08\0\0\0abcdefgh\0",
        b"\x3a\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0",
        // DNS over TCP.
        b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01",
        // ZooKeeper's connect request.
        b"\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        // Thrift, framed.
        b"\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping\0\0\0\0\0",
        b"\x80\0\0\x03\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0foo",
    ] {
        assert_eq!(Kafka::probe(C, bytes), Guess::No, "{}", bytes.escape_ascii());
    }
    let mut state = 88_172_645_463_325_252_u64;
    let mut taken = 0;
    for n in 0..100_000 {
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        if n % 2 == 0 {
            bytes[..5].fill(0);
        }
        taken += u32::from(Kafka::probe(C, &bytes) == Guess::Yes);
        taken += u32::from(Kafka::probe(S, &bytes) == Guess::Yes);
    }
    assert_eq!(taken, 0);
}
