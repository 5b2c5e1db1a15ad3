use super::Http;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};
use crate::proto::{Guess, Parser};

fn check(said: &[Said<'_>], lines: &[&str]) {
    assert_eq!(run_split(Http::default, said), lines);
    fuzz(Http::default, said, 7);
}

const GET: &[u8] = b"GET /big.txt HTTP/1.1\r\nHost: x.test\r\nAccept: */*\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_state_is_small() {
    assert!(size_of::<Http>() <= 24);
}

#[test]
fn requests_and_responses_with_lengths() {
    check(
        &[
            (C, GET),
            (S, OK),
            (
                C,
                b"POST /form HTTP/1.1\r\ncontent-length: 3\r\nhost:x.test:8080\r\n\r\na=b",
            ),
            (S, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            (C, b"OPTIONS * HTTP/1.1\r\nHost: x.test\r\n\r\n"),
            (S, b"HTTP/1.1 500\r\nContent-Length:1\r\n\r\n!"),
        ],
        &[
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
            r#"POST "POST x.test:8080/form" 63 -> error 404 "Not Found" 45"#,
            r#"OPTIONS "OPTIONS *" 36 -> error 500 35"#,
        ],
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let three = [GET, b"HEAD / HTTP/1.0\n\n", GET].concat();
    let answers = [OK, b"HTTP/1.0 200 OK\nContent-Length: 99\n\n", OK].concat();
    check(
        &[(C, &three), (S, &answers)],
        &[
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
            r#"HEAD "HEAD /" 17 -> ok 200 "OK" 36"#,
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
        ],
    );
}

#[test]
fn chunks_extensions_and_trailers() {
    let chunked: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        5;name=\"value\"\r\nhello\r\n00A \r\n0\r\n\r\n56789\r\n0\r\nExpires: never\r\nX: y\r\n\r\n";
    check(
        &[
            (
                C,
                b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            ),
            (S, chunked),
            (C, GET),
            (S, OK),
        ],
        &[
            r#"PUT "PUT /a" 58 -> ok 200 "OK" 140"#,
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
        ],
    );
}

#[test]
fn what_has_no_body() {
    check(
        &[
            (C, b"HEAD /a HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (C, b"DELETE /b HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 204 No Content\r\n\r\n"),
            (C, b"GET /c HTTP/1.1\r\n\r\n"),
            (
                S,
                b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
            ),
            (C, b"GET /d HTTP/1.1\r\n\r\n"),
            (S, OK),
        ],
        &[
            r#"HEAD "HEAD /a" 20 -> ok 200 "OK" 47"#,
            r#"DELETE "DELETE /b" 22 -> ok 204 "No Content" 27"#,
            r#"GET "GET /c" 19 -> ok 304 "Not Modified" 50"#,
            r#"GET "GET /d" 19 -> ok 200 "OK" 43"#,
        ],
    );
}

#[test]
fn a_body_may_last_until_close() {
    for head in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let line = format!(
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" {}"#,
            head.len() + 22
        );
        check(
            &[
                (C, GET),
                (S, head.as_bytes()),
                (S, b"as much as"),
                (S, b" there is..."),
            ],
            &[&line],
        );
        // The end may come with the last bytes, or there may be none.
        let line = format!(
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" {}"#,
            head.len()
        );
        check(&[(C, GET), (S, head.as_bytes())], &[&line]);
    }
}

#[test]
fn provisional_responses_are_asides() {
    let said: &[Said<'_>] = &[
        (C, b"POST /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
        (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (C, b"data"),
        (S, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
    ];
    check(
        said,
        &[
            r#"POST "POST /up" 66 -> ok 201 "Created" 43"#,
            "aside ToClient 25",
            "aside ToClient 40",
        ],
    );
}

#[test]
fn a_response_may_begin_before_the_request_ended() {
    check(
        &[
            (
                C,
                b"POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nda",
            ),
            (S, b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
            (C, b"ta\r\n0\r\n\r\n"),
        ],
        &[r#"POST "POST /up" 63 -> error 413 "Too Large" 47"#],
    );
}

#[test]
fn upgrades_end_http() {
    let upgrade =
        |to: &str| format!("GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: {to}\r\n\r\n");
    let granted = |to: &str| {
        format!("HTTP/1.1 101 Switching\r\nUpgrade: {to}\r\nConnection: Upgrade\r\n\r\n")
    };
    for (to, then) in [
        ("WebSocket", "Websocket"),
        ("h2c", "Http2"),
        ("irc", "Turn"),
    ] {
        let (request, response) = (upgrade(to), granted(to));
        let line = format!(
            r#"GET "GET /chat" {} -> ok 101 "Switching" {}"#,
            request.len(),
            response.len()
        );
        let said: &[Said<'_>] = &[
            (C, request.as_bytes()),
            (C, b"\x81\x05hello"),
            (S, response.as_bytes()),
        ];
        check(said, &[&line, &format!("then {then}")]);
    }
    // Not granted: the next request is read.
    let request = upgrade("h2c");
    check(
        &[(C, request.as_bytes()), (S, OK), (C, GET), (S, OK)],
        &[
            r#"GET "GET /chat" 57 -> ok 200 "OK" 43"#,
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
        ],
    );
}

#[test]
fn a_granted_tunnel_is_something_else() {
    let connect = b"CONNECT y.test:443 HTTP/1.1\r\nHost: y.test:443\r\n\r\n";
    check(
        &[
            (C, connect),
            (
                S,
                b"HTTP/1.1 407 Who are you\r\nContent-Length: 2\r\n\r\n??",
            ),
            (C, connect),
            (
                S,
                b"HTTP/1.1 200 Connected\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            (S, b"\x15\x03\x01"),
        ],
        &[
            r#"CONNECT "CONNECT y.test:443" 49 -> error 407 "Who are you" 49"#,
            r#"CONNECT "CONNECT y.test:443" 49 -> ok 200 "Connected" 54"#,
            "then Turn",
        ],
    );
}

#[test]
fn odd_but_valid() {
    check(
        &[
            // A blank line too many, folded fields, a target with its host, letters that need escapes.
            (C, b"POST / HTTP/1.1\r\nHost:\r\n a.test\r\nContent-Length: 1\r\n\r\nx\r\n"),
            (S, OK),
            (C, b"\r\nGET http://b.test/p HTTP/1.1\r\nHost: c.test\r\n\r\n"),
            (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n"),
            (C, b"M-SEARCH /\xff\x1b[1m b HTTP/1.1\r\nContent-Length: 0, 0\r\nTransfer-Encoding: identity\r\n\r\n"),
            (S, OK),
        ],
        &[
            r#"POST "POST a.test/" 55 -> ok 200 "OK" 43"#,
            r#"GET "GET http://b.test/p" 46 -> ok 200 "OK" 54"#,
            r#"M-SEARCH "M-SEARCH /\\xff\\x1b[1m b" 81 -> ok 200 "OK" 43"#,
            "aside ToServer 2",
            "aside ToServer 2",
        ],
    );
}

#[test]
fn what_cannot_be_read() {
    let far = [
        GET,
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ]
    .concat();
    check(
        &[(C, &far), (S, OK)],
        &[
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
            "lost ToServer Malformed",
        ],
    );
    for body in [
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip",
    ] {
        let request = format!("POST / HTTP/1.1\r\n{body}\r\n\r\n");
        check(&[(C, request.as_bytes())], &["lost ToServer Malformed"]);
    }
    for chunk in ["x\r\n", "-1\r\n", "fffffffffffffffff\r\n", ";a\r\n", "\r\n"] {
        let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        assert_eq!(
            run(Http::default(), &[(C, GET), (S, response.as_bytes())])[1],
            "lost ToClient Malformed"
        );
    }
    check(&[(C, b"get foo\r\n")], &["lost ToServer Malformed"]);
    check(
        &[
            (C, b"GET HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ],
        &[r#"GET "GET " 16 -> error 400 "Bad Request" 28"#],
    );
    check(
        &[(S, b"HTTP/1.1 099 No\r\n\r\n")],
        &["lost ToClient Malformed"],
    );
}

#[test]
fn a_head_may_be_long_but_not_endless() {
    let head = |length: usize| {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        while head.len() < length {
            head.extend_from_slice(b"Cookie: 0123456789abcdef0123456789abcdef0123456789abcdef\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    };
    let long = head(60_000);
    let line = format!(r#"GET "GET /" {} -> unanswered 0"#, long.len());
    assert_eq!(run_split(Http::default, &[(C, &long)]), [line]);
    let pieces: Vec<Vec<u8>> = head(70_000).chunks(1000).map(<[u8]>::to_vec).collect();
    let said: Vec<Said<'_>> = pieces.iter().map(|piece| (C, piece.as_slice())).collect();
    assert_eq!(run(Http::default(), &said), ["lost ToServer TooLong"]);
}

#[test]
fn a_capture_may_begin_with_a_response() {
    check(
        &[(S, OK), (C, GET), (S, OK)],
        &[
            r#"GET "GET x.test/big.txt" 52 -> ok 200 "OK" 43"#,
            "unpaired 43",
        ],
    );
}

#[test]
fn a_request_cut_off_stays_open() {
    check(&[(C, b"GET / HTTP/1.1\r\nHost: x")], &[]);
    check(
        &[(C, b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")],
        &[r#"PUT "PUT /" 46 -> unanswered 0"#],
    );
    check(
        &[
            (C, GET),
            (S, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        ],
        &[r#"GET "GET x.test/big.txt" 52 -> unanswered 47"#],
    );
}

#[test]
fn footing_is_found_again_after_a_hole() {
    let mut parser = Http::default();
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
    let mut context = crate::proto::Context {
        asked: &Nothing,
        texts: crate::proto::Texts::new(&mut arena, 128),
        protocol: None,
        is_end: false,
        is_cut: false,
    };
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
    parser.read(S, chunked, &mut context);
    parser.lost(S);
    let crate::proto::Step::Unit(unit) = parser.read(S, OK, &mut context) else {
        panic!("not read");
    };
    assert_eq!(unit.length, 43);
}

#[test]
fn probe_is_strict() {
    let client: &[(&[u8], Guess)] = &[
        (GET, Guess::Yes),
        (b"\r\nM-SEARCH * HTTP/1.1\r\n", Guess::Yes),
        (b"CONNECT a.test:443 HTTP/1.0\n", Guess::Yes),
        (b"", Guess::Maybe),
        (b"GE", Guess::Maybe),
        (b"GET ", Guess::Maybe),
        (b"GET /a/very/long", Guess::Maybe),
        (b"GET key HTTP/2.0\r\n", Guess::No),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Guess::No),
        (b"GET key\r\n", Guess::No),
        (b"get key\r\n", Guess::No),
        (b"*1\r\n$4\r\nPING\r\n", Guess::No),
        (b"EHLO mail.test\r\n", Guess::No),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Guess::No),
        (b"DESCRIBE rtsp://a/b RTSP/1.0\r\n", Guess::No),
        (b"INVITE sip:a@b SIP/2.0\r\n", Guess::No),
        (b"GET  HTTP/1.1\r\n", Guess::Yes),
        (b"GET HTTP/1.1\r\n", Guess::Yes),
        (b"GET \x01 HTTP/1.1\r\n", Guess::No),
        (b" HTTP/1.1\r\n", Guess::No),
        (b"\x16\x03\x01\x02\x00\x01", Guess::No),
        (b"\x00\x00\x00\x0d\x00\x12", Guess::No),
        (b"Q\x00\x00\x00\x0dselect 1", Guess::No),
        (OK, Guess::No),
    ];
    for (bytes, guess) in client {
        assert_eq!(Http::probe(C, bytes), *guess, "{}", bytes.escape_ascii());
    }
    let server: &[(&[u8], Guess)] = &[
        (OK, Guess::Yes),
        (b"HTTP/1.0 200\n", Guess::Yes),
        (b"HTTP/1.1 ", Guess::Maybe),
        (b"", Guess::Maybe),
        (b"HTTP/2 200\r\n", Guess::No),
        (b"HTTP/1.1 2000", Guess::No),
        (b"+OK\r\n", Guess::No),
        (b"220 mail.test ESMTP\r\n", Guess::No),
        (b"VALUE a 0 1\r\n", Guess::No),
        (GET, Guess::No),
    ];
    for (bytes, guess) in server {
        assert_eq!(Http::probe(S, bytes), *guess, "{}", bytes.escape_ascii());
    }
    let mut state: u32 = 1;
    for _ in 0..100_000 {
        let bytes: [u8; 16] = std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        assert_ne!(Http::probe(C, &bytes), Guess::Yes);
        assert_eq!(Http::probe(S, &bytes), Guess::No);
    }
}

mod oracle {
    //! Heads as `httparse` reads them.

    use proptest::prelude::*;

    use crate::proto::http::head::{Body, Head};

    fn field() -> impl Strategy<Value = String> {
        prop_oneof![
            "(Content-Length|content-length|CONTENT-LENGTH):[ \t]{0,2}[0-9]{1,9}[ ]{0,2}",
            "(Host|host|HOST):[ ]{0,2}[a-z.]{1,20}",
            "(Transfer-Encoding): ?(gzip, )?chunked",
            "[A-Za-z-]{1,20}:[ -~]{0,40}",
        ]
    }

    proptest! {
        #[test]
        fn reads_the_same(
            method in "[A-Z]{1,10}",
            target in "/[!-~]{0,40}",
            fields in proptest::collection::vec(field(), 0..8),
            body in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
            for field in &fields {
                bytes.extend_from_slice(field.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body);

            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut theirs = httparse::Request::new(&mut headers);
            let Ok(httparse::Status::Complete(length)) = theirs.parse(&bytes) else {
                return Ok(());
            };
            let value = |name: &str| {
                let same = |header: &&&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
                let headers: Vec<_> = theirs.headers.iter().collect();
                let values: Vec<&[u8]> = headers.iter().filter(same).map(|header| header.value.trim_ascii()).filter(|value| !value.is_empty()).collect();
                values
            };
            let lengths: Vec<u64> = value("content-length")
                .iter()
                .map(|value| std::str::from_utf8(value).unwrap().parse().unwrap())
                .collect();
            // Which of the two comes first does not matter, but that they agree does.
            let ours = Head::read(&bytes);
            if value("transfer-encoding").is_empty() && lengths.iter().any(|length| *length != lengths[0]) {
                prop_assert!(ours.is_err());
                return Ok(());
            }
            let Ok(ours) = ours else {
                prop_assert!(lengths.len() > 1);
                return Ok(());
            };
            let ours = ours.unwrap();
            prop_assert_eq!(ours.length, length);
            let (ours_method, ours_target) = super::super::request_line(ours.line).unwrap();
            prop_assert_eq!(ours_method, theirs.method.unwrap().as_bytes());
            prop_assert_eq!(ours_target, theirs.path.unwrap().as_bytes());
            prop_assert_eq!(ours.host, value("host").last().copied().unwrap_or_default());
            let body = if !value("transfer-encoding").is_empty() {
                Body::Chunked
            } else if let Some(length) = lengths.first() {
                Body::Length(*length)
            } else {
                Body::Unsaid
            };
            prop_assert_eq!(ours.body, body);
        }
    }
}
