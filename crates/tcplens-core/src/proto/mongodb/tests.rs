use super::*;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};

fn element(kind: u8, key: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], key.as_bytes(), b"\0", value].concat()
}

fn text(key: &str, value: &str) -> Vec<u8> {
    let length = (value.len() as u32 + 1).to_le_bytes();
    element(2, key, &[&length[..], value.as_bytes(), b"\0"].concat())
}

fn int(key: &str, value: i32) -> Vec<u8> {
    element(0x10, key, &value.to_le_bytes())
}

fn double(key: &str, value: f64) -> Vec<u8> {
    element(1, key, &value.to_le_bytes())
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let elements = elements.concat();
    let length = (elements.len() as u32 + 5).to_le_bytes();
    [&length[..], &elements, b"\0"].concat()
}

fn message(id: i32, to: i32, op: i32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as i32 + 16).to_le_bytes();
    let [id, to, op] = [id, to, op].map(i32::to_le_bytes);
    [&length[..], &id, &to, &op, body].concat()
}

fn msg(id: i32, to: i32, flags: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    let body = [&flags.to_le_bytes()[..], b"\0", &document(elements)].concat();
    message(id, to, op::MSG, &body)
}

fn find(id: i32) -> Vec<u8> {
    let filter = document(&[int("a", 1)]);
    let command = [
        text("find", "items"),
        element(3, "filter", &filter),
        text("$db", "shop"),
    ];
    msg(id, 0, 0, &command)
}

fn ok(id: i32, to: i32) -> Vec<u8> {
    msg(id, to, 0, &[int("n", 1), double("ok", 1.0)])
}

fn lines(said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let said: Vec<Said<'_>> = said.iter().map(|(way, bytes)| (*way, &bytes[..])).collect();
    fuzz(Mongodb::default, &said, 0x6d6f);
    run_split(Mongodb::default, &said)
}

#[test]
fn pairs_by_number() {
    let failed = [
        double("ok", 0.0),
        text("errmsg", "not authorized on shop"),
        int("code", 13),
        text("codeName", "Unauthorized"),
    ];
    let said = [
        (C, [find(7), find(8)].concat()),
        (C, msg(9, 0, 0, &[int("ping", 1), text("$db", "admin")])),
        (S, ok(100, 9)),
        (S, [msg(101, 8, 0, &failed), ok(102, 7)].concat()),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"find "find shop.items" 76 -> ok 45"#,
            r#"find "find shop.items" 76 -> error 13 "Unauthorized: not authorized on shop" 110"#,
            r#"ping "ping admin" 51 -> ok 45"#,
        ]
    );
}

#[test]
fn documents_in_a_section_of_their_own() {
    let one = document(&[int("a", 1)]);
    let length = (4 + b"documents\0".len() + 2 * one.len()) as u32;
    let section = [
        &b"\x01"[..],
        &length.to_le_bytes(),
        b"documents\0",
        &one,
        &one,
    ]
    .concat();
    let command = document(&[text("insert", "items"), text("$db", "shop")]);
    let insert = |id: i32, flags: u32, parts: [&[u8]; 4]| {
        let body = [&flags.to_le_bytes()[..], &parts.concat()].concat();
        message(id, 0, op::MSG, &body)
    };
    let error = document(&[
        int("index", 0),
        int("code", 11000),
        text("errmsg", "E11000 duplicate key"),
    ]);
    let errors = document(&[element(3, "0", &error)]);
    let duplicate = [
        int("n", 0),
        element(4, "writeErrors", &errors),
        double("ok", 1.0),
    ];
    let concern = document(&[int("code", 64), text("codeName", "WriteConcernFailed")]);
    let unmet = [
        int("n", 1),
        element(3, "writeConcernError", &concern),
        double("ok", 1.0),
    ];
    let said = [
        (C, insert(7, 0, [b"\0", &command, &section, b""])),
        (S, ok(100, 7)),
        (
            C,
            insert(8, 1, [&section, b"\0", &command, b"\x12\x34\x56\x78"]),
        ),
        (S, msg(101, 8, 0, &duplicate)),
        (
            C,
            insert(9, flag::MORE_TO_COME, [b"\0", &command, &section, b""]),
        ),
        (C, insert(10, 0, [b"\0", &command, &section, b""])),
        (S, msg(102, 10, 0, &unmet)),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"insert "insert shop.items" 97 -> ok 45"#,
            r#"insert "insert shop.items" 101 -> error 11000 "E11000 duplicate key" 125"#,
            r#"insert "insert shop.items" 97 -> none"#,
            r#"insert "insert shop.items" 97 -> error 64 "WriteConcernFailed" 112"#,
        ]
    );
}

#[test]
fn cursor_that_is_exhausted_is_one_request() {
    let more = [
        element(0x12, "getMore", &77_i64.to_le_bytes()),
        text("collection", "items"),
        text("$db", "shop"),
    ];
    let batch = |id: i32, to: i32, flags: u32| msg(id, to, flags, &[double("ok", 1.0)]);
    let said = [
        (C, msg(7, 0, flag::EXHAUST_ALLOWED, &more)),
        (S, batch(100, 7, flag::MORE_TO_COME)),
        (S, batch(101, 100, flag::MORE_TO_COME)),
        (S, batch(102, 101, 0)),
        (C, find(8)),
        (S, ok(103, 8)),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"getMore "getMore shop.items" 79 -> ok 114"#,
            r#"find "find shop.items" 76 -> ok 45"#,
        ]
    );
}

#[test]
fn watching_a_server_is_a_request_and_then_asides() {
    let hello = [
        int("hello", 1),
        int("maxAwaitTimeMS", 10_000),
        text("$db", "admin"),
    ];
    let reply = |id: i32, to: i32| msg(id, to, flag::MORE_TO_COME, &[double("ok", 1.0)]);
    let said = [
        (C, msg(7, 0, flag::EXHAUST_ALLOWED, &hello)),
        (S, reply(100, 7)),
        (S, reply(101, 100)),
        (S, reply(102, 101)),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"hello "hello admin" 72 -> ok 38"#,
            "aside ToClient 38",
            "aside ToClient 38",
        ]
    );
}

#[test]
fn large_reply_went_well() {
    let batch = document(&[element(
        5,
        "x",
        &[&100_000_u32.to_le_bytes()[..], b"\0", &[7; 100_000]].concat(),
    )]);
    let cursor = document(&[element(4, "firstBatch", &batch)]);
    let reply = [element(3, "cursor", &cursor), double("ok", 1.0)];
    let reply = msg(100, 7, 0, &reply);
    let said = [(C, &find(7)[..]), (S, &reply[..]), (C, &find(8)[..])];
    assert_eq!(
        run(Mongodb::default(), &said),
        [
            format!(r#"find "find shop.items" 76 -> ok {}"#, reply.len()).as_str(),
            r#"find "find shop.items" 76 -> unanswered 0"#
        ]
    );
}

fn query(id: i32, collection: &str, document: &[u8]) -> Vec<u8> {
    let fixed = [
        &b"\0\0\0\0"[..],
        collection.as_bytes(),
        b"\0\0\0\0\0\xff\xff\xff\xff",
    ];
    message(id, 0, op::QUERY, &[&fixed.concat()[..], document].concat())
}

fn reply(id: i32, to: i32, flags: i32, document: &[u8]) -> Vec<u8> {
    let fixed = [&flags.to_le_bytes()[..], &[0; 12], &1_i32.to_le_bytes()];
    message(id, to, op::REPLY, &[&fixed.concat()[..], document].concat())
}

#[test]
fn legacy_messages() {
    let wrapped = document(&[
        element(3, "$query", &document(&[text("count", "items")])),
        element(3, "$readPreference", &document(&[text("mode", "primary")])),
    ]);
    let plain = document(&[int("a", 1)]);
    let of = |op: i32, id: i32| {
        message(
            id,
            0,
            op,
            &[&b"\0\0\0\0shop.items\0\0\0\0\0"[..], &plain].concat(),
        )
    };
    let said = [
        (C, query(1, "admin.$cmd", &document(&[int("isMaster", 1)]))),
        (S, reply(100, 1, 8, &document(&[double("ok", 1.0)]))),
        (C, query(2, "shop.$cmd", &wrapped)),
        (
            S,
            reply(
                101,
                2,
                0,
                &document(&[
                    double("ok", 0.0),
                    text("errmsg", "no such command"),
                    int("code", 59),
                ]),
            ),
        ),
        (C, query(3, "shop.items", &plain)),
        (
            S,
            reply(
                102,
                3,
                2,
                &document(&[text("$err", "not master"), int("code", 10107)]),
            ),
        ),
        (C, of(op::INSERT, 4)),
        (C, of(op::UPDATE, 5)),
        (C, of(op::DELETE, 6)),
        (C, of(op::GET_MORE, 7)),
        (S, reply(103, 7, 0, &plain)),
        (
            C,
            message(
                8,
                0,
                op::KILL_CURSORS,
                b"\0\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0",
            ),
        ),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"isMaster "isMaster admin" 58 -> ok 53"#,
            r#"count "count shop.items" 113 -> error 59 "no such command" 91"#,
            r#"query "query shop.items" 51 -> error 10107 "not master" 72"#,
            r#"insert "insert shop.items" 47 -> none"#,
            r#"update "update shop.items" 47 -> none"#,
            r#"delete "delete shop.items" 47 -> none"#,
            r#"getMore "getMore shop.items" 47 -> ok 48"#,
            r#"killCursors "killCursors" 32 -> none"#,
        ]
    );
}

#[test]
fn compressed_messages_are_paired() {
    let body = [
        &op::MSG.to_le_bytes()[..],
        &100_u32.to_le_bytes(),
        b"\x03abcdefg",
    ]
    .concat();
    let said = [
        (C, message(7, 0, op::COMPRESSED, &body)),
        (S, message(100, 7, op::COMPRESSED, &body)),
    ];
    assert_eq!(
        lines(&said),
        [r#"compressed "compressed zstd" 32 -> ok 32"#]
    );
}

#[test]
fn answers_to_what_was_not_seen_are_unpaired() {
    assert_eq!(
        lines(&[(S, ok(100, 6)), (C, find(7)), (S, ok(101, 7))]),
        [r#"find "find shop.items" 76 -> ok 45"#, "unpaired 45"]
    );
}

#[test]
fn every_type_is_stepped_over() {
    let counted = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
    let nested = document(&[int("a", 1)]);
    let mut elements = vec![text("find", "items")];
    for (kind, value) in [
        (0x01, vec![1; 8]),
        (0x02, counted(b"abc\0")),
        (0x03, nested.clone()),
        (0x04, nested.clone()),
        (0x05, [&b"\x02\0\0\0\0"[..], b"ab"].concat()),
        (0x06, vec![]),
        (0x07, vec![1; 12]),
        (0x08, vec![1]),
        (0x09, vec![1; 8]),
        (0x0a, vec![]),
        (0x0b, b"a.*\0i\0".to_vec()),
        (0x0c, [counted(b"abc\0"), vec![1; 12]].concat()),
        (0x0d, counted(b"abc\0")),
        (0x0e, counted(b"abc\0")),
        (0x0f, b"\x0a\0\0\0abcdef".to_vec()),
        (0x10, vec![1; 4]),
        (0x11, vec![1; 8]),
        (0x12, vec![1; 8]),
        (0x13, vec![1; 16]),
        (0x7f, vec![]),
        (0xff, vec![]),
    ] {
        elements.push(element(kind, "k", &value));
    }
    elements.push(text("$db", "shop"));
    let message = msg(7, 0, 0, &elements);
    let line = format!(
        r#"find "find shop.items" {} -> unanswered 0"#,
        message.len()
    );
    assert_eq!(lines(&[(C, message)]), [line]);
}

#[test]
fn garbage_is_lost() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &message(1, 0, 2003, b"abcdefgh"),
        &message(1, 0, op::REPLY, b"abcdefgh"),
        &message(1, 0, op::MSG, b""),
    ] {
        assert_eq!(
            run(Mongodb::default(), &[(C, bytes)]),
            ["lost ToServer Malformed"]
        );
    }
}

#[test]
fn probe_takes_its_own() {
    let yes = |way, bytes: &[u8]| assert_eq!(Mongodb::probe(way, bytes), Guess::Yes, "{bytes:?}");
    yes(C, &find(7));
    yes(S, &ok(100, 7));
    yes(C, &query(1, "admin.$cmd", &document(&[int("isMaster", 1)])));
    yes(S, &reply(100, 1, 8, &document(&[double("ok", 1.0)])));
    for length in 0..find(7).len() {
        assert_ne!(Mongodb::probe(C, &find(7)[..length]), Guess::No, "{length}");
    }
}

#[test]
fn probe_leaves_what_is_of_others() {
    crate::proto::sql::tests::leaves_others(Mongodb::probe, "mongodb");
}

#[test]
fn a_parser_is_small() {
    assert!(size_of::<Mongodb>() <= 16, "{}", size_of::<Mongodb>());
}
