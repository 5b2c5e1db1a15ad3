use super::{Http2, PREFACE, State};
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};
use crate::proto::{Guess, Parser};

fn check(said: &[Said<'_>], lines: &[&str]) {
    assert_eq!(without_asides(run_split(Http2::default, said)), lines);
    fuzz(Http2::default, said, 11);
}

fn without_asides(lines: Vec<String>) -> Vec<String> {
    let is_other = |line: &String| !line.starts_with("aside");
    lines.into_iter().filter(is_other).collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const END: u8 = END_STREAM | END_HEADERS;

/// Literal fields without indexing; `+name` adds an entry.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        let (first, name) = match name.strip_prefix('+') {
            Some(name) => (0x40, name),
            None => (0x00, *name),
        };
        block.extend_from_slice(&[first, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(1, flags, stream, &block(fields))
}

fn data(flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, payload)
}

/// GET http://a.test/, all from the static table but the host: 9 + 3 + 8 bytes.
fn get(stream: u32) -> Vec<u8> {
    frame(1, END, stream, b"\x82\x86\x84\x01\x06a.test")
}

/// Status 200, then "hello": 10 and 14 bytes.
fn ok(stream: u32) -> Vec<u8> {
    [
        frame(1, END_HEADERS, stream, b"\x88"),
        data(END_STREAM, stream, b"hello"),
    ]
    .concat()
}

fn start() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])].concat()
}

fn answer() -> Vec<u8> {
    [frame(4, 0, 0, b""), frame(4, 1, 0, b"")].concat()
}

#[test]
fn a_state_is_small() {
    assert!(size_of::<Http2>() <= 8);
    assert!(size_of::<State>() <= 144);
}

#[test]
fn streams_are_paired_by_number() {
    let both = [
        get(1),
        headers(
            END,
            3,
            &[
                (":method", "DELETE"),
                (":path", "/x"),
                (":authority", "a.test"),
            ],
        ),
    ]
    .concat();
    let post = headers(
        END_HEADERS,
        5,
        &[(":method", "POST"), (":path", "/up"), ("host", "b.test")],
    );
    let missing = headers(END, 3, &[(":status", "404")]);
    let (first, rest) = (ok(5)[..10].to_vec(), ok(5)[10..].to_vec());
    check(
        &[
            (C, &start()),
            (S, &answer()),
            (C, &frame(4, 1, 0, b"")),
            (C, &both),
            (C, &post),
            (C, &data(0, 5, b"some")),
            (S, &first),
            (S, &missing),
            (C, &frame(8, 0, 5, &[0, 0, 1, 0])),
            (C, &data(END_STREAM, 5, b"more")),
            (S, &ok(1)),
            (S, &frame(6, 0, 0, b"12345678")),
            (S, &rest),
        ],
        &[
            r#"GET "GET a.test/" 20 -> ok 200 24"#,
            r#"DELETE "DELETE a.test/x" 54 -> error 404 22"#,
            r#"POST "POST b.test/up" 73 -> ok 200 24"#,
        ],
    );
}

#[test]
fn padding_priority_continuation_and_trailers() {
    let fields = block(&[
        (":method", "PUT"),
        (":path", "/p"),
        (":authority", "a.test"),
        ("x", "y"),
    ]);
    let (one, rest) = fields.split_at(7);
    let (two, three) = rest.split_at(20);
    // Three bytes of padding, five of priority.
    let padded = [&[3, 0, 0, 0, 0, 9], one, &[0, 0, 0]].concat();
    let request = [
        frame(1, 0x8 | 0x20, 1, &padded),
        frame(9, 0, 1, two),
        frame(9, END_HEADERS, 1, three),
        frame(0, 0x8, 1, b"\x02abc\0\0"),
        headers(END, 1, &[("checksum", "1")]),
    ]
    .concat();
    let response = [
        headers(END_HEADERS, 1, &[(":status", "103")]),
        frame(1, END_HEADERS, 1, b"\x8c"),
        data(0, 1, b"why"),
        headers(END, 1, &[("checksum", "2")]),
    ]
    .concat();
    let line = format!(
        r#"PUT "PUT a.test/p" {} -> error 400 {}"#,
        request.len(),
        response.len() - 22
    );
    check(
        &[(C, &start()), (C, &request), (S, &answer()), (S, &response)],
        &[&line],
    );
}

#[test]
fn entries_are_remembered() {
    let first = headers(
        END,
        1,
        &[
            ("+:method", "PATCH"),
            ("+:path", "/long"),
            ("+:authority", "a.test"),
        ],
    );
    // 62 is the newest.
    let second = frame(1, END, 3, b"\xc0\xbf\xbe");
    check(
        &[(C, &start()), (C, &first), (C, &second)],
        &[
            r#"PATCH "PATCH a.test/long" 56 -> unanswered 0"#,
            r#"PATCH "PATCH a.test/long" 12 -> unanswered 0"#,
        ],
    );
    // An entry that cannot be.
    check(
        &[(C, &start()), (C, &first), (C, &frame(1, END, 3, b"\xc1"))],
        &[
            r#"PATCH "PATCH a.test/long" 56 -> unanswered 0"#,
            "lost ToServer Malformed",
        ],
    );
}

#[test]
fn resets() {
    let reset = |stream: u32, code: u32| frame(3, 0, stream, &code.to_be_bytes());
    check(
        &[
            (C, &start()),
            (C, &[get(1), get(3), get(5)].concat()),
            (S, &answer()),
            (S, &reset(1, 7)),
            (S, &ok(3)[..10]),
            (C, &reset(3, 8)),
            (S, &ok(3)[10..]),
            (S, &reset(5, 99)),
            (S, &reset(5, 0)),
        ],
        &[
            r#"GET "GET a.test/" 20 -> error 7 "REFUSED_STREAM" 13"#,
            r#"GET "GET a.test/" 33 -> cancelled 8 "CANCEL" 10"#,
            r#"GET "GET a.test/" 20 -> error 99 "RST_STREAM" 13"#,
        ],
    );
}

#[test]
fn pushes_are_asides() {
    let promise = frame(5, END_HEADERS, 1, b"\0\0\0\x02\x82\x86\x84\x41\x01b");
    let pushed = [ok(2), headers(END, 1, &[(":status", "500")])].concat();
    check(
        &[
            (C, &start()),
            (C, &get(1)),
            (S, &answer()),
            (S, &promise),
            (S, &pushed),
        ],
        &[r#"GET "GET a.test/" 20 -> error 500 22"#],
    );
}

#[test]
fn an_upgrade_from_http_1() {
    // The request on stream 1 was HTTP/1.1's.
    check(
        &[
            (S, &answer()),
            (S, &ok(1)),
            (C, &start()),
            (C, &get(3)),
            (S, &ok(3)),
        ],
        &[r#"GET "GET a.test/" 20 -> ok 200 24"#],
    );
}

#[test]
fn a_capture_may_begin_anywhere() {
    // The method is entry 70, and of the path only the name is known to be in the static table.
    let some = frame(1, END, 9, b"\xc6\x84\x41\x06a.test");
    let more = frame(1, END, 11, b"\xc7\x84\xbe");
    let trailers = frame(1, END, 11, b"\xc2");
    check(
        &[
            (C, &data(END_STREAM, 7, b"rest")),
            (S, &ok(7)),
            (C, &some),
            (C, &more),
            (S, &ok(9)),
            (S, &ok(11)[..10]),
            (S, &trailers),
        ],
        &[
            r#" "a.test/" 19 -> ok 200 24"#,
            r#" "a.test/" 12 -> ok 200 20"#,
            "unpaired 10",
            "unpaired 14",
        ],
    );
}

fn call(stream: u32, path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":path", path),
        (":authority", "g.test:50051"),
        ("content-type", "application/grpc+proto"),
    ];
    [
        headers(END_HEADERS, stream, &fields),
        data(END_STREAM, stream, b"\0\0\0\0\x01x"),
    ]
    .concat()
}

#[test]
fn grpc_has_its_own_status() {
    let begun = |stream| {
        headers(
            END_HEADERS,
            stream,
            &[(":status", "200"), ("content-type", "application/grpc")],
        )
    };
    let long = "/quite.a.long.package.name.of.some.company.v1.ShelfService/ListShelvesOfLibrary";
    let said = [
        (C, start()),
        (C, call(1, "/lib.Shelf/Get")),
        (C, call(3, "/lib.Shelf/Put")),
        (C, call(5, long)),
        (C, call(7, "/lib.Shelf/Get")),
        (C, call(9, "/lib.Shelf/Get")),
        (C, call(11, "/lib.Shelf/Get")),
        (S, answer()),
        (S, begun(1)),
        (S, begun(3)),
        (S, data(0, 1, b"\0\0\0\0\x01y")),
        (
            S,
            headers(
                END,
                3,
                &[
                    ("grpc-status", "5"),
                    ("grpc-message", "no shelf %E2%82%AC%0a%zz"),
                ],
            ),
        ),
        (S, headers(END, 1, &[("grpc-status", "0")])),
        // Trailers only.
        (
            S,
            headers(
                END,
                5,
                &[
                    (":status", "200"),
                    ("grpc-status", "12"),
                    ("grpc-message", ""),
                ],
            ),
        ),
        (
            S,
            headers(END, 7, &[(":status", "503"), ("content-type", "text/html")]),
        ),
        (C, frame(3, 0, 9, &8_u32.to_be_bytes())),
        (S, frame(3, 0, 11, &11_u32.to_be_bytes())),
    ];
    let said: Vec<Said<'_>> = said
        .iter()
        .map(|(way, bytes)| (*way, bytes.as_slice()))
        .collect();
    check(
        &said,
        &[
            r#"Grpc lib.Shelf/Get "g.test:50051/lib.Shelf/Get" 122 -> ok 0 "OK" 92"#,
            r#"Grpc lib.Shelf/Put "g.test:50051/lib.Shelf/Put" 122 -> error 5 "NOT_FOUND: no shelf €\\n%zz" 116"#,
            r#"Grpc name.of.some.company.v1.ShelfService/ListShelvesOfLibrary "g.test:50051/quite.a.long.package.name.of.some.company.v1.ShelfService/ListShelvesOfLibrary" 187 -> error 12 "UNIMPLEMENTED" 53"#,
            r#"Grpc lib.Shelf/Get "g.test:50051/lib.Shelf/Get" 122 -> error 14 "UNAVAILABLE (HTTP 503)" 46"#,
            r#"Grpc lib.Shelf/Get "g.test:50051/lib.Shelf/Get" 135 -> cancelled 1 "CANCELLED (CANCEL)" 0"#,
            r#"Grpc lib.Shelf/Get "g.test:50051/lib.Shelf/Get" 122 -> error 8 "RESOURCE_EXHAUSTED (ENHANCE_YOUR_CALM)" 13"#,
        ],
    );
}

#[test]
fn grpc_web_is_http() {
    let fields = [
        (":method", "POST"),
        (":path", "/a.B/C"),
        ("content-type", "application/grpc-web"),
    ];
    check(
        &[(C, &start()), (C, &headers(END, 1, &fields))],
        &[r#"POST "POST /a.B/C" 72 -> unanswered 0"#],
    );
}

#[test]
fn what_cannot_be_read() {
    let lost = ["lost ToServer Malformed"];
    // A window of five bytes, fields of no stream, settings of a stream, padding longer than the frame.
    for frame in [
        frame(8, 0, 0, b"12345"),
        frame(1, END, 0, b"\x82"),
        frame(4, 0, 1, b""),
        frame(1, END | 8, 1, b"\x09\x82"),
        [
            frame(1, END_STREAM, 1, b"\x82"),
            frame(6, 0, 0, b"12345678"),
        ]
        .concat(),
        [
            frame(1, END_STREAM, 1, b"\x82"),
            frame(9, END_HEADERS, 3, b"\x82"),
        ]
        .concat(),
    ] {
        check(&[(C, &start()), (C, &frame)], &lost);
    }
    let endless: Vec<u8> = [frame(1, 0, 1, &[0x82; 16_000])]
        .into_iter()
        .chain((0..4).map(|_| frame(9, 0, 1, &[0x82; 16_000])))
        .flatten()
        .collect();
    assert_eq!(
        without_asides(run(Http2::default(), &[(C, &start()), (C, &endless)])),
        ["lost ToServer TooLong"]
    );
    check(&[(C, b"GET / HTTP/1.1\r\n\r\n")], &lost);
}

#[test]
fn after_a_hole_only_what_is_known_is_used() {
    let first = headers(END, 1, &[("+:method", "PATCH"), ("+:path", "/long")]);
    let mut parser = Http2::default();
    parser.0.latest = 0;
    // The first block is lost with the hole.
    let lines = {
        parser.0.tables[0].begin();
        parser.0.tables[0]
            .decode(&block(&[("+a", "b")]), |_, _| {})
            .unwrap();
        parser.lost(C);
        run(
            parser,
            &[(C, &first), (C, &frame(1, END, 3, b"\xbf\xbe\xc0"))],
        )
    };
    assert_eq!(
        lines,
        [
            r#"PATCH "PATCH /long" 37 -> unanswered 0"#,
            r#"PATCH "PATCH /long" 12 -> unanswered 0"#
        ]
    );
}

#[test]
fn probe_is_strict() {
    let client: &[(&[u8], Guess)] = &[
        (&start(), Guess::Yes),
        (b"PRI *", Guess::Maybe),
        (b"", Guess::Maybe),
        (b"PRI * HTTP/1.1\r\n", Guess::No),
        (&get(7), Guess::Yes),
        (&get(7)[..12], Guess::Maybe),
        (&call(7, "/a.B/C"), Guess::No), // literal names: could be anything
        (&[get(7), get(9)[..5].to_vec()].concat(), Guess::Yes),
        (&[get(7), b"junk and more".to_vec()].concat(), Guess::No),
        (&frame(8, 0, 0, &[0, 0, 1, 0]), Guess::Yes),
        (&frame(8, 0, 0, &[0; 4]), Guess::No),
        (&data(0, 7, b"abc"), Guess::No),
        (&[data(0, 7, b"abc"), data(1, 7, b"")].concat(), Guess::Yes),
        (&ok(1)[..10], Guess::No),
        (b"GET / HTTP/1.1\r\n\r\n", Guess::No),
        (b"*1\r\n$4\r\nPING\r\n", Guess::No),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0",
            Guess::No,
        ),
        // SSLRequest, and a startup message of PostgreSQL.
        (b"\0\0\0\x08\x04\xd2\x16\x2f", Guess::No),
        (b"\0\0\0\x29\0\x03\0\0user\0me\0database\0me\0\0", Guess::No),
        // Kafka, DNS over TCP, MongoDB, MySQL.
        (
            b"\0\0\0\x1a\0\x12\0\x03\0\0\0\x01\0\x07console\0\0\0\0\0",
            Guess::No,
        ),
        (
            b"\0\x1d\x00\x01\x01\0\0\x01\0\0\0\0\0\0\x03www\x04test\0\0\x01\0\x01",
            Guess::Maybe,
        ),
        (
            b"\x3a\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0",
            Guess::No,
        ),
        (b"\x0e\0\0\0\x03select 1 + 1", Guess::No),
    ];
    for (bytes, guess) in client {
        assert_eq!(Http2::probe(C, bytes), *guess, "{}", bytes.escape_ascii());
    }
    let server: &[(&[u8], Guess)] = &[
        (&answer(), Guess::Yes),
        (&answer()[..6], Guess::Maybe),
        (&ok(1), Guess::Yes),
        (&ok(1)[..9], Guess::Maybe),
        (&get(1), Guess::No),
        (b"HTTP/1.1 200 OK\r\n\r\n", Guess::No),
        (b"+OK\r\n", Guess::No),
        (b"S", Guess::No),
        (PREFACE, Guess::No),
    ];
    for (bytes, guess) in server {
        assert_eq!(Http2::probe(S, bytes), *guess, "{}", bytes.escape_ascii());
    }
    let mut state: u32 = 1;
    for _ in 0..100_000 {
        let bytes: [u8; 40] = std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        assert_ne!(Http2::probe(C, &bytes), Guess::Yes);
        assert_ne!(Http2::probe(S, &bytes), Guess::Yes);
    }
}
