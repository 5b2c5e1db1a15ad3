use super::*;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};

const GCM: u16 = 0xc02f;
const GCM13: u16 = 0x1302;

fn record(content: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[content, 3, 3], &length[..], payload].concat()
}

/// An encrypted record of this length.
fn data(length: usize) -> Vec<u8> {
    record(23, &vec![0xaa; length])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(body)].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    extension(0, &sized(&[&[0], &sized(name.as_bytes())[..]].concat()))
}

fn alpn(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = names
        .iter()
        .flat_map(|name| [&[name.len() as u8], *name].concat())
        .collect();
    extension(16, &sized(&list))
}

fn client_hello_message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3],
        &[7; 32][..],
        &[0],
        &sized(&[0x13, 2, 0xc0, 0x2f]),
        &[1, 0],
        &sized(&extensions.concat()),
    ];
    message(1, &body.concat())
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    record(22, &client_hello_message(extensions))
}

/// One that offers TLS 1.3 and takes tickets.
fn client_hello_13(more: &[Vec<u8>]) -> Vec<u8> {
    let mut extensions = vec![
        server_name("example.test"),
        alpn(&[b"\x1a\x1a", b"h2", b"http/1.1"]),
        // Reserved, 1.3, 1.2.
        extension(43, &[6, 0x2a, 0x2a, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
    ];
    extensions.extend_from_slice(more);
    client_hello(&extensions)
}

fn server_hello_message(random: [u8; 32], cipher: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3],
        &random[..],
        &[0],
        &cipher.to_be_bytes(),
        &[0],
        &sized(&extensions.concat()),
    ];
    message(2, &body.concat())
}

fn server_hello_13() -> Vec<u8> {
    let version = extension(43, &[3, 4]);
    record(22, &server_hello_message([9; 32], GCM13, &[version]))
}

fn change_cipher_spec() -> Vec<u8> {
    record(20, &[1])
}

/// ServerHello to the server's Finished, each message in its record, as OpenSSL sends it.
fn server_flight_13() -> Vec<u8> {
    let records = [27, 811, 281, 69].map(data);
    [server_hello_13(), change_cipher_spec(), records.concat()].concat()
}

fn server_flight_12() -> Vec<u8> {
    let extensions = [alpn(&[b"h2"])];
    let messages = [
        server_hello_message([9; 32], GCM, &extensions),
        message(11, &[1; 700]),
        message(12, &[2; 300]),
        message(14, &[]),
    ];
    messages.map(|message| record(22, &message)).concat()
}

fn client_flight_12() -> Vec<u8> {
    let key = record(22, &message(16, &[3; 33]));
    [key, change_cipher_spec(), record(22, &[0xee; 40])].concat()
}

fn server_finish_12() -> Vec<u8> {
    let ticket = record(22, &message(4, &[4; 198]));
    [ticket, change_cipher_spec(), record(22, &[0xee; 40])].concat()
}

fn client_finish_13() -> Vec<u8> {
    [change_cipher_spec(), data(69)].concat()
}

fn tls(said: &[Said<'_>]) -> Vec<String> {
    let lines = run_split(Tls::default, said);
    fuzz(Tls::default, said, 99);
    lines
        .into_iter()
        .filter(|line| !line.starts_with("aside"))
        .collect()
}

fn line_13(request: usize, response: usize) -> String {
    format!(
        r#"handshake "example.test TLS1.3 h2,http/1.1" {request} -> ok "TLS1.3 TLS_AES_256_GCM_SHA384" {response}"#
    )
}

#[test]
fn tls_13_is_a_handshake_and_then_turns() {
    let (hello, flight, finish) = (client_hello_13(&[]), server_flight_13(), client_finish_13());
    let said = [
        (C, &hello[..]),
        (S, &flight),
        (C, &finish),
        (C, &data(59)),
        (S, &data(140)),
        (S, &data(517)),
        (C, &data(100)),
        (C, &data(200)),
        (S, &data(300)),
        (C, &data(19)),
        (S, &data(19)),
    ];
    assert_eq!(
        tls(&said),
        [
            &line_13(hello.len(), flight.len()),
            r#"Turn data "TLS" 64 -> ok 667"#,
            r#"Turn data "TLS" 310 -> ok 305"#,
            "conclusion ToServer 74",
        ]
    );
}

#[test]
fn tickets_of_one_length_are_no_response() {
    let (hello, flight, finish) = (client_hello_13(&[]), server_flight_13(), client_finish_13());
    let request = [finish.clone(), data(59)].concat();
    let tickets_first = [
        (C, &hello[..]),
        (S, &flight),
        (C, &request),
        (S, &data(282)),
        (S, &data(282)),
        (S, &data(140)),
        (S, &data(517)),
    ];
    let lines = [
        &line_13(hello.len(), flight.len()),
        r#"Turn data "TLS" 64 -> ok 667"#,
        "conclusion ToServer 74",
    ];
    assert_eq!(tls(&tickets_first), lines);
    // Before the request; a response of the same length is one.
    let unasked = [
        (C, &hello[..]),
        (S, &flight),
        (C, &finish),
        (S, &data(282)),
        (S, &data(282)),
        (C, &data(59)),
        (S, &data(140)),
        (S, &data(517)),
    ];
    assert_eq!(tls(&unasked), lines);
    // The request goes on after them.
    let more = [
        (C, &hello[..]),
        (S, &flight),
        (C, &request),
        (S, &data(282)),
        (S, &data(282)),
        (C, &data(59)),
        (S, &data(140)),
    ];
    assert_eq!(tls(&more)[1], r#"Turn data "TLS" 128 -> ok 145"#);
    // Only tickets.
    let request_and_tickets = &tickets_first[..5];
    assert_eq!(
        tls(request_and_tickets)[1],
        r#"Turn data "TLS" 64 -> unanswered 287"#
    );
}

#[test]
fn a_client_that_takes_no_tickets_gets_none() {
    let version = extension(43, &[2, 3, 4]);
    let (hello, flight) = (client_hello(&[version]), server_flight_13());
    let request = [client_finish_13(), data(59)].concat();
    let said = [
        (C, &hello[..]),
        (S, &flight),
        (C, &request),
        (S, &data(282)),
        (S, &data(282)),
    ];
    assert_eq!(tls(&said)[1], r#"Turn data "TLS" 64 -> ok 574"#);
}

#[test]
fn tls_12_answers_with_its_first_flight() {
    let hello = client_hello(&[server_name("example.test"), alpn(&[b"h2"])]);
    let flight = server_flight_12();
    let said = [
        (C, &hello[..]),
        (S, &flight),
        (C, &client_flight_12()),
        (S, &server_finish_12()),
        (C, &data(66)),
        (S, &data(147)),
        (S, &data(524)),
        (C, &record(21, &[0xaa; 26])),
    ];
    let handshake = format!(
        r#"handshake "example.test TLS1.2 h2" {} -> ok "TLS1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 h2" {}"#,
        hello.len(),
        flight.len()
    );
    assert_eq!(
        tls(&said),
        [
            &handshake,
            r#"Turn data "TLS" 71 -> ok 681"#,
            "conclusion ToClient 45"
        ]
    );
    // Data of the client before the server's Finished (false start, RFC 7918).
    let mut early = said;
    early.swap(3, 4);
    let lines = tls(&early);
    assert_eq!(lines, [&handshake, r#"Turn data "TLS" 71 -> ok 681"#]);
}

#[test]
fn a_resumed_session_ends_with_the_servers_finished() {
    let hello = client_hello(&[]);
    let server = record(22, &server_hello_message([9; 32], GCM, &[]));
    let flight = [server, server_finish_12()].concat();
    let said = [
        (C, &hello[..]),
        (S, &flight),
        (C, &change_cipher_spec()),
        (C, &record(22, &[0xee; 40])),
        (C, &data(66)),
        (S, &data(147)),
    ];
    let handshake = format!(
        r#"handshake "TLS1.2" {} -> ok "TLS1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" {}"#,
        hello.len(),
        flight.len()
    );
    assert_eq!(tls(&said), [&handshake, r#"Turn data "TLS" 71 -> ok 152"#]);
}

#[test]
fn messages_may_begin_and_end_anywhere_in_records() {
    let hello = client_hello_message(&[server_name("example.test")]);
    let hello: Vec<u8> = hello.chunks(30).flat_map(|part| record(22, part)).collect();
    let flight = [
        server_hello_message([9; 32], GCM, &[]),
        message(11, &[14; 700]),
        message(14, &[]),
    ]
    .concat();
    for size in [1, 3, 50, 333, 2000] {
        let flight: Vec<u8> = flight
            .chunks(size)
            .flat_map(|part| record(22, part))
            .collect();
        let said = [
            (C, &hello[..]),
            (S, &flight),
            (C, &client_flight_12()),
            (S, &server_finish_12()),
        ];
        assert_eq!(
            run(Tls::default(), &said)
                .into_iter()
                .filter(|line| !line.starts_with("aside"))
                .collect::<Vec<_>>(),
            [
                format!(
                    r#"handshake "example.test TLS1.2" {} -> ok "TLS1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" {}"#,
                    hello.len(),
                    flight.len()
                ),
                "conclusion ToClient 45".to_string(),
            ]
        );
    }
}

#[test]
fn a_retry_begins_the_response() {
    let retry = {
        let mut random = [0; 32];
        let start = [
            0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65,
            0xb8, 0x91,
        ];
        let end = [
            0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
            0x33, 0x9c,
        ];
        random[..16].copy_from_slice(&start);
        random[16..].copy_from_slice(&end);
        let version = extension(43, &[3, 4]);
        [
            record(22, &server_hello_message(random, GCM13, &[version])),
            change_cipher_spec(),
        ]
        .concat()
    };
    let (hello, flight, finish) = (client_hello_13(&[]), server_flight_13(), client_finish_13());
    let said = [
        (C, &hello[..]),
        (S, &retry),
        (C, &change_cipher_spec()),
        (C, &hello),
        (S, &flight),
        (C, &finish),
        (C, &data(59)),
        (S, &data(60)),
    ];
    assert_eq!(
        tls(&said),
        [
            &line_13(hello.len(), retry.len() + flight.len()),
            r#"Turn data "TLS" 64 -> ok 65"#,
            "conclusion ToServer 74",
        ]
    );
}

#[test]
fn alerts_are_errors() {
    let hello = client_hello(&[server_name("example.test")]);
    let (fatal, warning) = (record(21, &[2, 40]), record(21, &[1, 112]));
    let request = format!(r#"handshake "example.test TLS1.2" {}"#, hello.len());
    // Instead of a ServerHello.
    let said = [(C, &hello[..]), (S, &warning), (S, &fatal)];
    assert_eq!(
        tls(&said),
        [format!(r#"{request} -> error 40 "handshake_failure" 7"#)]
    );
    // The client does not like the certificate.
    let flight = server_flight_12();
    let said = [(C, &hello[..]), (S, &flight), (C, &record(21, &[2, 48]))];
    assert_eq!(
        tls(&said),
        [
            format!(
                r#"{request} -> error 48 "unknown_ca by client" {}"#,
                flight.len()
            ),
            "conclusion ToServer 7".to_string()
        ]
    );
    // The server does not like what the client sent.
    let said = [
        (C, &hello[..]),
        (S, &flight),
        (C, &client_flight_12()),
        (S, &record(21, &[2, 51])),
        (C, &data(30)),
    ];
    assert_eq!(
        tls(&said),
        [format!(
            r#"{request} -> error 51 "decrypt_error" {}"#,
            flight.len() + 7
        )]
    );
    // A plain warning does not end it; an unknown alert has a number.
    let said = [(C, &hello[..]), (S, &warning), (S, &record(21, &[2, 200]))];
    assert_eq!(
        tls(&said),
        [format!(r#"{request} -> error 200 "alert 200" 7"#)]
    );
}

#[test]
fn an_alert_in_tls_13_is_told_by_its_length() {
    let (hello, flight) = (client_hello_13(&[]), server_flight_13());
    let said = [
        (C, &hello[..]),
        (S, &flight),
        (C, &change_cipher_spec()),
        (C, &data(19)),
    ];
    assert_eq!(
        tls(&said),
        [
            &format!(
                r#"handshake "example.test TLS1.3 h2,http/1.1" {} -> error "encrypted alert by client" {}"#,
                hello.len(),
                flight.len()
            ),
            "conclusion ToServer 24"
        ]
    );
}

#[test]
fn early_data_is_a_turn_that_begins_before_the_server_hello() {
    let hello = client_hello_13(&[extension(42, &[])]);
    let first = [hello.clone(), change_cipher_spec(), data(80), data(90)].concat();
    let version = extension(43, &[3, 4]);
    let resumed = extension(41, &[0, 0]);
    let server = server_hello_message([9; 32], GCM13, &[version, resumed]);
    let flight = [
        record(22, &server),
        change_cipher_spec(),
        data(27),
        data(69),
    ]
    .concat();
    let handshake = format!(
        r#"handshake "example.test TLS1.3 h2,http/1.1 0-RTT" {} -> ok "TLS1.3 TLS_AES_256_GCM_SHA384" {}"#,
        hello.len(),
        flight.len()
    );
    // Answered before the client's Finished, and after it.
    for at in [2, 3] {
        let mut said = vec![(C, &first[..]), (S, &flight), (C, &[0; 0])];
        let (finish, answer, request, response) =
            ([data(21), data(69)].concat(), data(300), data(50), data(51));
        said.push((C, &finish));
        said.insert(at + usize::from(at == 3), (S, &answer));
        said.push((C, &request));
        said.push((S, &response));
        let lines: Vec<String> = tls(&said)
            .into_iter()
            .filter(|line| !line.starts_with("conclusion"))
            .collect();
        assert_eq!(
            lines,
            [
                &handshake,
                r#"Turn data "TLS 0-RTT" 180 -> ok 305"#,
                r#"Turn data "TLS" 55 -> ok 56"#
            ]
        );
    }
}

#[test]
fn a_client_certificate_comes_before_the_finished() {
    let (hello, flight) = (client_hello_13(&[]), server_flight_13());
    let request = data(60);
    let said = |finish: &[u8]| {
        tls(&[
            (C, &hello),
            (S, &flight),
            (C, finish),
            (C, &request),
            (S, &data(61)),
        ])
    };
    let lines = |conclusion: &str| {
        [
            line_13(hello.len(), flight.len()),
            r#"Turn data "TLS" 65 -> ok 66"#.to_string(),
            conclusion.to_string(),
        ]
    };
    // Three records, none (empty) with a Finished, one record with all three messages.
    let apart = [data(900), data(281), data(69)].concat();
    assert_eq!(said(&apart), lines("conclusion ToServer 74"));
    assert_eq!(
        said(&[data(25), data(69)].concat()),
        lines("conclusion ToServer 74")
    );
    assert_eq!(said(&data(1200)), lines("conclusion ToServer 1205"));
}

#[test]
fn from_mid_connection_there_are_turns() {
    let said = [
        (S, &data(500)[..]),
        (C, &data(100)),
        (S, &data(200)),
        (S, &data(16401)),
        (C, &data(101)),
        (S, &data(300)),
    ];
    assert_eq!(
        tls(&said),
        [
            r#"Turn data "TLS" 105 -> ok 16611"#,
            r#"Turn data "TLS" 106 -> ok 305"#
        ]
    );
}

#[test]
fn one_side_alone_is_read() {
    let (hello, flight) = (client_hello_13(&[]), server_flight_13());
    let client = [hello.clone(), client_finish_13(), data(50), data(51)].concat();
    assert_eq!(
        tls(&[(C, &client)]),
        [
            &format!(
                r#"handshake "example.test TLS1.3 h2,http/1.1" {} -> unanswered 0"#,
                hello.len()
            ),
            r#"Turn data "TLS" 111 -> unanswered 0"#,
            "conclusion ToServer 74",
        ]
    );
    assert!(
        tls(&[(S, &flight), (S, &data(300))])
            .iter()
            .all(|line| line.starts_with("unpaired"))
    );
}

#[test]
fn a_hole_in_the_servers_flight_is_survived() {
    let mut parser = Tls::default();
    let mut arena = Vec::new();
    struct Nothing;
    impl crate::proto::Asked for Nothing {
        fn nth(&self, _: usize) -> Option<u32> {
            None
        }
        fn with_id(&self, _: u64) -> Option<u32> {
            None
        }
    }
    let mut read = |parser: &mut Tls, way, bytes: &[u8]| {
        let mut context = Context {
            asked: &Nothing,
            texts: crate::proto::Texts::new(&mut arena, 128),
            protocol: None,
            is_end: false,
            is_cut: false,
        };
        match parser.read(way, bytes, &mut context) {
            Step::Unit(unit) => unit.part,
            other => panic!("{other:?}"),
        }
    };
    read(&mut parser, C, &client_hello(&[]));
    let flight = server_flight_12();
    let hello = Record::read(&flight).unwrap().total();
    read(&mut parser, S, &flight[..hello]);
    parser.lost(S);
    // What looks like a ServerHelloDone may be the middle of a certificate.
    let part = read(&mut parser, S, &record(22, &message(14, &[])));
    assert_eq!(part, Part::Response(Response::more(false)));
    read(&mut parser, S, &change_cipher_spec());
    let part = read(&mut parser, S, &record(22, &[0xee; 40]));
    assert_eq!(part, Part::Response(Response::more(true)));
}

#[test]
fn the_hello_of_ssl_2_is_one() {
    let mut hello = vec![0x80, 0x2e, 1, 3, 1, 0, 21, 0, 0, 0, 16];
    hello.extend([0; 37]);
    assert_eq!(Tls::probe(C, &hello), Guess::Yes);
    assert_eq!(Tls::probe(S, &hello), Guess::No);
    let alert = record(21, &[2, 70]);
    assert_eq!(
        tls(&[(C, &hello), (S, &alert)]),
        [r#"handshake "TLS1.0" 48 -> error 70 "protocol_version" 7"#]
    );
    hello[1] += 1;
    assert_eq!(Tls::probe(C, &hello), Guess::No);
}

#[test]
fn what_is_no_record_is_said() {
    assert_eq!(
        tls(&[(C, b"GET / HTTP/1.1\r\n\r\n")]),
        ["lost ToServer Malformed"]
    );
    // A hello in records of one byte.
    let crumbs: Vec<u8> = message(1, &[3; 20_000])
        .iter()
        .flat_map(|byte| record(22, &[*byte]))
        .collect();
    let said: Vec<Said<'_>> = crumbs.chunks(1000).map(|part| (C, part)).collect();
    assert_eq!(run(Tls::default(), &said), ["lost ToServer Malformed"]);
    let long = [22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff, 3, 3];
    let filled = [&long[..], &[0; 16384 - 6]].concat();
    assert_eq!(tls(&[(C, &filled)]), ["lost ToServer Malformed"]);
}

#[test]
fn records_are_recognised_strictly() {
    let hello = client_hello_13(&[]);
    for cut in 0..11 {
        assert_eq!(Tls::probe(C, &hello[..cut]), Guess::Maybe, "{cut}");
    }
    assert_eq!(Tls::probe(C, &hello[..11]), Guess::Yes);
    assert_eq!(Tls::probe(S, &server_flight_13()), Guess::Yes);
    assert_eq!(Tls::probe(S, &record(21, &[2, 40])), Guess::Yes);
    assert_eq!(Tls::probe(C, &client_flight_12()), Guess::Yes);
    assert_eq!(Tls::probe(C, &client_finish_13()), Guess::Yes);
    assert_eq!(Tls::probe(S, &data(16401)[..100]), Guess::Yes);
    // A version, a length, a level, a next record that is none.
    assert_eq!(Tls::probe(C, &[23, 3, 0, 1, 0, 9]), Guess::No);
    assert_eq!(Tls::probe(C, &[23, 3, 5, 1, 0, 9]), Guess::No);
    assert_eq!(Tls::probe(C, &[23, 3, 3, 0x41, 1, 9]), Guess::No);
    assert_eq!(Tls::probe(C, &[21, 3, 3, 0, 2, 3, 40]), Guess::No);
    assert_eq!(
        Tls::probe(C, &[&data(20)[..], b"GET /"].concat()),
        Guess::No
    );
    for other in [
        &b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"get foo\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x16\x00\x00\x00\x03select 1 from dual wher",
        b"\x16\x03\x00\x00\x03select 1 from dual wher",
        b"\x00\x1eab\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    ] {
        assert_eq!(Tls::probe(C, other), Guess::No, "{other:?}");
        assert_eq!(Tls::probe(S, other), Guess::No);
    }
}

#[test]
fn random_bytes_are_not_taken() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut taken = 0;
    for _ in 0..1_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = [state.to_le_bytes(), state.to_be_bytes()].concat();
        taken += u32::from(Tls::probe(C, &bytes) == Guess::Yes);
        taken += u32::from(Tls::probe(S, &bytes) == Guess::Yes);
    }
    // Five bytes of 22 bits' proof.
    assert!(taken <= 3, "{taken}");
}

#[test]
fn it_is_small() {
    assert!(size_of::<Tls>() <= 32, "{}", size_of::<Tls>());
}
