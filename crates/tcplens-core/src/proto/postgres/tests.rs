use super::*;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn startup(code: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 8).to_be_bytes();
    [&length[..], &code.to_be_bytes(), body].concat()
}

fn start() -> Vec<u8> {
    startup(0x0003_0000, b"user\0app\0database\0shop\0\0")
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    let body = [name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat();
    message(b'P', &body)
}

fn bind(portal: &str, name: &str) -> Vec<u8> {
    let names = [portal.as_bytes(), b"\0", name.as_bytes(), b"\0"].concat();
    message(b'B', &[&names[..], b"\0\0\0\x01\0\0\0\x015\0\0"].concat())
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

fn of(kind: u8, what: u8, name: &str) -> Vec<u8> {
    message(kind, &[&[what], name.as_bytes(), b"\0"].concat())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), b"\0"].concat())
}

fn row() -> Vec<u8> {
    message(b'D', b"\0\x01\0\0\0\x015")
}

fn description() -> Vec<u8> {
    let column = b"a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
    message(b'T', &[&b"\0\x01"[..], column].concat())
}

fn error(severity: &str, state: &str, text: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{state}\0M{text}\0Fparse.c\0\0");
    message(b'E', body.as_bytes())
}

fn answer(tag: &str) -> Vec<u8> {
    [description(), row(), complete(tag), ready()].concat()
}

fn lines(said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let said: Vec<Said<'_>> = said.iter().map(|(way, bytes)| (*way, &bytes[..])).collect();
    fuzz(Postgres::default, &said, 0x506f);
    run_split(Postgres::default, &said)
}

fn without_asides(said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let mut lines = lines(said);
    lines.retain(|line| !line.starts_with("aside"));
    lines
}

fn authentication(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes()[..], data].concat())
}

fn welcome() -> Vec<u8> {
    [
        authentication(0, b""),
        message(b'S', b"client_encoding\0UTF8\0"),
        message(b'K', b"\0\0\x30\x39\x11\x22\x33\x44"),
        ready(),
    ]
    .concat()
}

#[test]
fn login_with_exchange_of_credentials() {
    let lines = lines(&[
        (C, start()),
        (S, authentication(10, b"SCRAM-SHA-256\0\0")),
        (C, message(b'p', b"SCRAM-SHA-256\0\0\0\0\x03n,,")),
        (S, authentication(11, b"r=abc")),
        (C, message(b'p', b"c=biws")),
        (S, [authentication(12, b"v=x"), welcome()].concat()),
    ]);
    assert_eq!(
        lines,
        [
            r#"login "login app@shop" 69 -> ok 54"#,
            "aside ToClient 24",
            "aside ToClient 14",
            "aside ToClient 12",
        ]
    );
}

#[test]
fn login_that_fails() {
    let failure = error(
        "FATAL",
        "28P01",
        "password authentication failed for user \"app\"",
    );
    assert_eq!(
        without_asides(&[
            (C, start()),
            (S, authentication(3, b"")),
            (C, message(b'p', b"secret\0")),
            (S, failure),
        ]),
        [
            r#"login "login app@shop" 44 -> error "28P01 password authentication failed for user \"app\"" 83"#
        ]
    );
}

#[test]
fn encryption_refused() {
    let lines = lines(&[
        (C, startup(code::GSS, b"")),
        (S, b"N".to_vec()),
        (C, startup(code::SSL, b"")),
        (S, b"N".to_vec()),
        (C, start()),
        (S, welcome()),
    ]);
    assert_eq!(
        lines,
        [
            r#"login "login app@shop" 32 -> ok 54"#,
            "aside ToServer 8",
            "aside ToClient 1",
            "aside ToServer 8",
            "aside ToClient 1",
        ]
    );
}

#[test]
fn encryption_granted() {
    assert_eq!(
        lines(&[
            (C, startup(code::SSL, b"")),
            (S, b"S".to_vec()),
            (C, b"\x16\x03\x01\x02\0".to_vec()),
        ]),
        ["aside ToServer 8", "aside ToClient 1", "then Tls"]
    );
    assert_eq!(
        lines(&[(C, startup(code::GSS, b"")), (S, b"G\0\0\0\x20".to_vec())]),
        ["aside ToServer 8", "lost ToClient Unsupported"]
    );
}

#[test]
fn encryption_unknown_to_the_server() {
    assert_eq!(
        without_asides(&[
            (C, startup(code::SSL, b"")),
            (S, error("FATAL", "0A000", "unsupported frontend protocol")),
        ]),
        [""; 0]
    );
}

#[test]
fn cancel_owes_nothing() {
    assert_eq!(
        lines(&[(C, startup(code::CANCEL, b"\0\0\x30\x39\x11\x22\x33\x44"))]),
        [r#"cancel "cancel 12345" 16 -> none"#]
    );
}

#[test]
fn simple_queries() {
    let said = [
        (C, query("SELECT  a\n  FROM t")),
        (S, answer("SELECT 1")),
        (C, query("")),
        (S, [message(b'I', b""), ready()].concat()),
        (C, query("BEGIN; SELECT 1; COMMIT")),
        (
            S,
            [
                complete("BEGIN"),
                description(),
                row(),
                complete("SELECT 1"),
                complete("COMMIT"),
                ready(),
            ]
            .concat(),
        ),
        (C, query("SELECT * FROM nosuch")),
        (
            S,
            [
                error("ERROR", "42P01", "relation \"nosuch\" does not exist"),
                ready(),
            ]
            .concat(),
        ),
        (C, query("INSERT")),
        (
            S,
            [error("ERROR", "42601", "syntax error"), ready()].concat(),
        ),
        (C, message(b'F', b"\0\0\x04\xd2\0\0\0\0\0\0")),
        (S, [message(b'V', b"\xff\xff\xff\xff"), ready()].concat()),
        (C, message(b'X', b"")),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"query "SELECT a FROM t" 24 -> ok 59"#,
            r#"query "" 6 -> ok 11"#,
            r#"query "BEGIN; SELECT 1; COMMIT" 29 -> ok 82"#,
            r#"query "SELECT * FROM nosuch" 26 -> error "42P01 relation \"nosuch\" does not exist" 76"#,
            r#"query "INSERT" 12 -> error 42601 "42601 syntax error" 56"#,
            r#"call "call #1234" 15 -> ok 15"#,
            "aside ToServer 5",
        ]
    );
}

#[test]
fn what_may_come_at_any_time_is_an_aside() {
    let notice = message(b'N', b"SNOTICE\0Mhello\0\0");
    let lines = lines(&[
        (S, message(b'A', b"\0\0\x30\x39news\0x\0")),
        (S, notice.clone()),
        (S, message(b'S', b"TimeZone\0UTC\0")),
        (C, query("DO 1")),
        (S, message(b'A', b"\0\0\x30\x39news\0x\0")),
        (S, [notice, complete("DO"), ready()].concat()),
        (S, error("FATAL", "57P01", "terminating connection")),
    ]);
    assert_eq!(
        lines,
        [
            r#"query "DO 1" 10 -> ok 14"#,
            "aside ToClient 16",
            "aside ToClient 21",
            "aside ToClient 18",
            "aside ToClient 16",
            "aside ToClient 21",
            "aside ToClient 60",
        ]
    );
}

#[test]
fn fatal_error_ends_the_request() {
    let failure = error("FATAL", "57P01", "terminating connection");
    assert_eq!(
        without_asides(&[(C, query("SELECT pg_sleep(9)")), (S, failure)]),
        [r#"query "SELECT pg_sleep(9)" 24 -> error "57P01 terminating connection" 60"#]
    );
}

fn bound(tag: &str) -> Vec<u8> {
    [
        message(b'1', b""),
        message(b'2', b""),
        description(),
        row(),
        complete(tag),
        ready(),
    ]
    .concat()
}

#[test]
fn extended_request_is_one_up_to_its_sync() {
    let said = [
        (
            C,
            [
                parse("", "SELECT a\n FROM t WHERE a = $1"),
                bind("", ""),
                of(b'D', b'P', ""),
                execute(""),
                sync(),
            ]
            .concat(),
        ),
        (S, bound("SELECT 1")),
    ];
    assert_eq!(
        lines(&said),
        [r#"execute "SELECT a FROM t WHERE a = $1" 78 -> ok 69"#]
    );
}

#[test]
fn named_statement_is_known_by_its_text() {
    let prepare = [parse("s1", "SELECT $1"), of(b'D', b'S', "s1"), sync()].concat();
    let prepared = [
        message(b'1', b""),
        message(b't', b"\0\x01\0\0\0\x17"),
        description(),
        ready(),
    ];
    let run = [bind("", "s1"), execute(""), sync()].concat();
    let said = [
        (C, prepare),
        (S, prepared.concat()),
        (C, run.clone()),
        (S, bound("SELECT 1")),
        (C, [of(b'C', b'S', "s1"), sync()].concat()),
        (S, [message(b'3', b""), ready()].concat()),
        (C, run),
        (
            S,
            [
                error("ERROR", "26000", "prepared statement \"s1\" does not exist"),
                ready(),
            ]
            .concat(),
        ),
        (C, sync()),
        (S, ready()),
        (C, [of(b'D', b'S', "s2"), sync()].concat()),
        (S, [message(b'n', b""), ready()].concat()),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"prepare "SELECT $1" 34 -> ok 49"#,
            r#"execute "SELECT $1" 35 -> ok 69"#,
            r#"close "close s1" 14 -> ok 11"#,
            r#"execute "execute s1" 35 -> error 26000 "26000 prepared statement \"s1\" does not exist" 82"#,
            r#"sync "sync" 5 -> ok 6"#,
            r#"describe "describe s2" 14 -> ok 11"#,
        ]
    );
}

#[test]
fn portal_is_known_by_its_statement() {
    let said = [
        (
            C,
            [
                parse("s1", "SELECT 5"),
                bind("c1", "s1"),
                execute("c1"),
                sync(),
            ]
            .concat(),
        ),
        (S, [row(), message(b's', b""), ready()].concat()),
        (C, [execute("c1"), sync()].concat()),
        (S, [row(), complete("SELECT 1"), ready()].concat()),
        (
            C,
            [
                of(b'C', b'S', "old"),
                parse("", "DO 1"),
                bind("", ""),
                execute(""),
                sync(),
            ]
            .concat(),
        ),
        (S, bound("DO")),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"execute "SELECT 5" 58 -> ok 23"#,
            r#"execute "SELECT 5" 17 -> ok 32"#,
            r#"execute "DO 1" 56 -> ok 63"#,
        ]
    );
}

#[test]
fn unnamed_statement_prepared_apart() {
    let said = [
        (C, [parse("", "SELECT 7"), sync()].concat()),
        (S, [message(b'1', b""), ready()].concat()),
        (C, [bind("", ""), execute(""), sync()].concat()),
        (S, bound("SELECT 1")),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"prepare "SELECT 7" 22 -> ok 11"#,
            r#"execute "SELECT 7" 33 -> ok 69"#
        ]
    );
}

/// The operation that the second piece says is not for this test bench, which keeps the first.
#[test]
fn flush_shows_answers_before_the_sync() {
    let said = [
        (
            C,
            [
                parse("", "SELECT 7"),
                of(b'D', b'S', ""),
                message(b'H', b""),
            ]
            .concat(),
        ),
        (S, [message(b'1', b""), description()].concat()),
        (C, [bind("", ""), execute("")].concat()),
        (C, sync()),
        (S, bound("SELECT 1")),
    ];
    assert_eq!(lines(&said), [r#"prepare "SELECT 7" 62 -> ok 101"#]);
}

#[test]
fn pipelined_groups() {
    let group = |text: &str| [parse("", text), bind("", ""), execute(""), sync()].concat();
    let said = [
        (C, [group("DO 1"), group("DO 2"), query("DO 3")].concat()),
        (S, bound("DO")),
        (
            S,
            [
                error("ERROR", "22012", "division by zero"),
                ready(),
                complete("DO"),
                ready(),
            ]
            .concat(),
        ),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"execute "DO 1" 46 -> ok 63"#,
            r#"execute "DO 2" 46 -> error 22012 "22012 division by zero" 60"#,
            r#"query "DO 3" 10 -> ok 14"#,
        ]
    );
}

#[test]
fn flush_on_its_own_is_an_aside() {
    let group = [
        message(b'H', b""),
        parse("", "DO 1"),
        bind("", ""),
        execute(""),
        sync(),
    ];
    assert_eq!(
        lines(&[(C, group.concat()), (S, bound("DO"))]),
        [r#"execute "DO 1" 46 -> ok 63"#, "aside ToServer 5"]
    );
}

#[test]
fn simple_query_ends_an_extended_request() {
    let said = [
        (C, [parse("", "DO 1"), bind("", ""), query("DO 2")].concat()),
        (S, bound("DO")),
        (C, query("DO 3")),
        (S, [complete("DO"), ready()].concat()),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"execute "DO 1" 41 -> ok 63"#,
            r#"query "DO 3" 10 -> ok 14"#
        ]
    );
}

#[test]
fn long_statement_and_long_value() {
    let text = format!("SELECT {}", "a, ".repeat(5000));
    let value = vec![b'x'; 100_000];
    let said = [
        (
            C,
            [parse("", &text), bind("", ""), execute(""), sync()].concat(),
        ),
        (
            S,
            [row(), message(b'D', &value), complete("SELECT 1"), ready()].concat(),
        ),
        (C, [parse("s1", &text), sync()].concat()),
        (S, [message(b'1', b""), ready()].concat()),
        (C, [message(b'B', &value), execute(""), sync()].concat()),
        (
            S,
            [message(b'2', b""), complete("INSERT 0 1"), ready()].concat(),
        ),
    ];
    let said: Vec<Said<'_>> = said.iter().map(|(way, bytes)| (*way, &bytes[..])).collect();
    let short = format!("SELECT {}", "a, ".repeat(50));
    let short = &short[..128];
    let lines = run(Postgres::default(), &said);
    assert_eq!(
        lines,
        [
            format!(r#"execute "{short}" 15049 -> ok 100037"#),
            format!(r#"prepare "{short}" 15023 -> ok 11"#),
            r#"execute "execute" 100020 -> ok 27"#.to_string(),
        ]
    );
}

#[test]
fn copy_in_and_out() {
    let said = [
        (C, query("COPY t FROM STDIN")),
        (S, message(b'G', b"\0\0\x01\0\0")),
        (
            C,
            [
                message(b'd', b"1\n"),
                message(b'd', b"2\n"),
                message(b'c', b""),
            ]
            .concat(),
        ),
        (S, [complete("COPY 2"), ready()].concat()),
        (C, query("COPY t TO STDOUT")),
        (
            S,
            [
                message(b'H', b"\0\0\x01\0\0"),
                message(b'd', b"1\n"),
                message(b'c', b""),
                complete("COPY 1"),
                ready(),
            ]
            .concat(),
        ),
        (C, query("COPY t FROM STDIN")),
        (S, message(b'G', b"\0\0\x01\0\0")),
        (C, message(b'f', b"no\0")),
        (
            S,
            [error("ERROR", "57014", "COPY from stdin failed"), ready()].concat(),
        ),
    ];
    assert_eq!(
        without_asides(&said),
        [
            r#"query "COPY t FROM STDIN" 23 -> ok 28"#,
            r#"query "COPY t TO STDOUT" 22 -> ok 40"#,
            r#"query "COPY t FROM STDIN" 23 -> error 57014 "57014 COPY from stdin failed" 76"#,
        ]
    );
}

#[test]
fn copy_in_of_an_extended_request() {
    let group = |text: &str| [parse("", text), bind("", ""), execute("")].concat();
    let data = [message(b'd', b"1\n"), message(b'c', b""), sync()].concat();
    let done = [complete("COPY 1"), ready()].concat();
    let said = [
        // libpq: the first Sync comes during the COPY and is dropped.
        (C, [group("COPY t FROM STDIN"), sync()].concat()),
        (S, message(b'G', b"\0\0\x01\0\0")),
        (C, data.clone()),
        (S, done.clone()),
        // With a Flush.
        (C, [group("COPY t FROM STDIN"), message(b'H', b"")].concat()),
        (S, message(b'G', b"\0\0\x01\0\0")),
        (C, data),
        (S, done),
        (C, query("DO 1")),
        (S, [complete("DO"), ready()].concat()),
    ];
    assert_eq!(
        without_asides(&said),
        [
            r#"execute "COPY t FROM STDIN" 59 -> ok 28"#,
            r#"execute "COPY t FROM STDIN" 76 -> ok 28"#,
            r#"query "DO 1" 10 -> ok 14"#,
        ]
    );
}

#[test]
fn replication_stream_is_asides() {
    let lines = lines(&[
        (C, query("START_REPLICATION SLOT s LOGICAL 0/0")),
        (S, message(b'W', b"\0\0\0")),
        (S, message(b'd', b"w123")),
        (C, message(b'd', b"r123")),
        (S, message(b'd', b"k123")),
        (C, message(b'c', b"")),
        (S, message(b'c', b"")),
        (S, complete("START_STREAMING")),
        (S, ready()),
        (C, query("DO 1")),
        (S, [complete("DO"), ready()].concat()),
    ]);
    assert_eq!(
        lines,
        [
            r#"query "START_REPLICATION SLOT s LOGICAL 0/0" 42 -> ok 8"#,
            r#"query "DO 1" 10 -> ok 14"#,
            "aside ToClient 9",
            "aside ToServer 9",
            "aside ToClient 9",
            "aside ToServer 5",
            "aside ToClient 5",
            "aside ToClient 21",
            "aside ToClient 6",
        ]
    );
}

#[test]
fn answers_to_what_was_not_seen_are_unpaired() {
    let said = [
        (S, &answer("SELECT 1")[..]),
        (C, &query("DO 1")[..]),
        (S, &[complete("DO"), ready()].concat()[..]),
    ];
    assert_eq!(
        run(Postgres::default(), &said),
        [r#"query "DO 1" 10 -> ok 14"#, "unpaired 59"]
    );
}

#[test]
fn request_cut_off_by_the_end() {
    assert_eq!(
        lines(&[(C, query("SELECT 1")[..9].to_vec())]),
        [r#"query "SELE" 14 -> unanswered 0"#]
    );
    let group = [parse("", "SELECT 1"), bind("", "")].concat();
    assert_eq!(
        lines(&[(C, group)]),
        [r#"execute "SELECT 1" 35 -> unanswered 0"#]
    );
}

#[test]
fn garbage_is_lost() {
    let lost = |bytes: &[u8]| run(Postgres::default(), &[(C, bytes)]);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\x04\0\x03\0\0",
        b"\0\0\0\x09\0\x09\0\0\0",
        b"Q\0\0\0\x03",
        b"Q\x7f\xff\xff\xff",
        b"T\0\0\0\x04",
    ] {
        assert_eq!(lost(bytes), ["lost ToServer Malformed"], "{bytes:?}");
    }
    assert_eq!(
        lost(b"\0\0\0\x09\0\x02\0\0\0"),
        ["lost ToServer Unsupported"]
    );
}

#[test]
fn probe_takes_its_own() {
    let yes = |way, bytes: &[u8]| assert_eq!(Postgres::probe(way, bytes), Guess::Yes, "{bytes:?}");
    yes(C, &start());
    yes(C, &startup(code::SSL, b""));
    yes(C, &startup(code::GSS, b""));
    yes(C, &startup(code::CANCEL, b"\0\0\x30\x39\x11\x22\x33\x44"));
    yes(C, &query("SELECT 1"));
    yes(C, &query(&"SELECT 1, ".repeat(1000))[..1000]);
    yes(C, &[parse("", "SELECT $1"), bind("", "")].concat());
    yes(C, &parse("s1", &"SELECT 1, ".repeat(1000))[..1000]);
    yes(C, &[bind("", "s1"), execute(""), sync()].concat());
    yes(C, &of(b'C', b'S', "s1"));
    yes(C, &sync());
    yes(C, &[message(b'd', b"1\n"), message(b'd', b"2\n")].concat());
    yes(S, &welcome());
    yes(S, &answer("SELECT 1"));
    yes(S, &bound("SELECT 1"));
    yes(S, &[row(), row()].concat());
    yes(S, &complete("INSERT 0 1"));
    yes(S, &error("ERROR", "42P01", "no"));
    yes(S, &message(b'S', b"TimeZone\0UTC\0"));
    for length in 0..start().len() {
        let part = &start()[..length];
        assert_eq!(Postgres::probe(C, part), Guess::Maybe, "{length}");
    }
}

#[test]
fn probe_leaves_what_is_of_others() {
    crate::proto::sql::tests::leaves_others(Postgres::probe, "postgres");
}

#[test]
fn a_parser_is_small() {
    assert!(size_of::<Postgres>() <= 16, "{}", size_of::<Postgres>());
}
