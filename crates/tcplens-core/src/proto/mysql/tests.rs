use super::*;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [low, middle, high, _] = (payload.len() as u32).to_le_bytes();
    [&[low, middle, high, sequence], payload].concat()
}

fn query(text: &str) -> Vec<u8> {
    packet(0, &[b"\x03", text.as_bytes()].concat())
}

const GREETING: &[u8] = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0";
const SSL: u32 = capability::SSL;
const EOFS: u32 = capability::PROTOCOL_41 | capability::SECURE_CONNECTION;
const NO_EOFS: u32 = EOFS | capability::DEPRECATE_EOF;

fn handshake(flags: u32, user: &str, database: &str) -> Vec<u8> {
    let mut payload = flags.to_le_bytes().to_vec();
    payload.extend(b"\0\0\0\x01\x2d");
    payload.extend([0; 23]);
    payload.extend([user.as_bytes(), b"\0\x04abcd"].concat());
    if flags & capability::CONNECT_WITH_DB != 0 {
        payload.extend([database.as_bytes(), b"\0"].concat());
    }
    payload.extend(b"mysql_native_password\0");
    packet(1, &payload)
}

fn ok(sequence: u8, status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    packet(sequence, &[0, 0, 0, low, high, 0, 0])
}

/// An OK packet that closes rows.
fn end(sequence: u8, status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    packet(sequence, &[0xfe, 0, 0, low, high, 0, 0])
}

fn eof(sequence: u8, status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    packet(sequence, &[0xfe, 0, 0, low, high])
}

fn definition(sequence: u8, name: &str) -> Vec<u8> {
    let length = [name.len() as u8];
    let fixed = b"\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
    packet(
        sequence,
        &[b"\x03def\0\0\0", &length[..], name.as_bytes(), b"\0", fixed].concat(),
    )
}

fn error(sequence: u8, code: u16, text: &str) -> Vec<u8> {
    packet(
        sequence,
        &[b"\xff", &code.to_le_bytes()[..], text.as_bytes()].concat(),
    )
}

fn login(flags: u32) -> Vec<(Way, Vec<u8>)> {
    vec![
        (S, packet(0, GREETING)),
        (C, handshake(flags | 8, "app", "shop")),
        (S, ok(2, 2)),
    ]
}

fn lines(said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let said: Vec<Said<'_>> = said.iter().map(|(way, bytes)| (*way, &bytes[..])).collect();
    fuzz(Mysql::default, &said, 0x51);
    run_split(Mysql::default, &said)
}

fn without_asides(said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let mut lines = lines(said);
    lines.retain(|line| !line.starts_with("aside"));
    lines
}

/// What a conversation after a login comes to.
fn after_login(flags: u32, said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let mut lines = without_asides(&[login(flags), said.to_vec()].concat());
    assert_eq!(lines.remove(0), r#"login "login app@shop" 72 -> ok 11"#);
    lines
}

/// And in mid-connection: the same.
fn in_any_case(flags: u32, said: &[(Way, Vec<u8>)]) -> Vec<String> {
    let lines = after_login(flags, said);
    assert_eq!(without_asides(said), lines, "in mid-connection");
    lines
}

#[test]
fn login_with_exchange_of_credentials() {
    let lines = lines(&[
        (S, packet(0, GREETING)),
        (C, handshake(EOFS | 8, "app", "shop")),
        (
            S,
            packet(2, b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0"),
        ),
        (C, packet(3, &[7; 32])),
        (S, packet(4, b"\x01\x04")),
        (C, packet(5, b"\x02")),
        (S, packet(6, b"\x01-----BEGIN PUBLIC KEY-----")),
        (C, packet(7, &[9; 256])),
        (S, ok(8, 2)),
    ]);
    assert_eq!(
        lines,
        [
            r#"login "login app@shop" 373 -> ok 11"#,
            "aside ToClient 78",
            "aside ToClient 48",
            "aside ToClient 6",
            "aside ToClient 31",
        ]
    );
}

#[test]
fn login_that_fails() {
    assert_eq!(
        without_asides(&[
            (S, packet(0, GREETING)),
            (C, handshake(EOFS, "eve", "")),
            (
                S,
                error(2, 1045, "#28000Access denied for user 'eve'@'10.0.0.9'")
            ),
        ]),
        [
            r#"login "login eve" 67 -> error 1045 "28000 Access denied for user 'eve'@'10.0.0.9'" 52"#
        ]
    );
}

#[test]
fn server_that_takes_no_more_connections_is_an_aside() {
    assert_eq!(
        lines(&[(S, error(0, 1040, "Too many connections"))]),
        ["aside ToClient 27"]
    );
}

#[test]
fn request_for_tls_switches() {
    let request = handshake(EOFS | SSL, "", "")[4..36].to_vec();
    assert_eq!(
        lines(&[
            (S, packet(0, GREETING)),
            (C, packet(1, &request)),
            (C, b"\x16\x03\x01\x02\x00\x01".to_vec()),
        ]),
        ["aside ToClient 78", "aside ToServer 36", "then Tls"]
    );
}

#[test]
fn compression_ends_reading_after_the_login() {
    let lines = lines(&[
        (S, packet(0, GREETING)),
        (C, handshake(EOFS | capability::COMPRESS, "app", "")),
        (S, ok(2, 2)),
        (C, b"\x0b\0\0\0\0\0\0\x07\0\0\0\x03select".to_vec()),
    ]);
    assert_eq!(
        lines,
        [
            r#"login "login app" 67 -> ok 11"#,
            "aside ToClient 78",
            "lost ToServer Unsupported",
            "lost ToClient Unsupported",
        ]
    );
}

#[test]
fn commands_with_an_ok() {
    let said = [
        (C, packet(0, b"\x0e")),
        (S, ok(1, 2)),
        (C, packet(0, b"\x02sales")),
        (S, ok(1, 2)),
        (C, query("INSERT INTO t\n\t VALUES  (1)")),
        (S, ok(1, 2)),
        (C, packet(0, b"\x1b\x01\0")),
        (S, eof(1, 2)),
        (C, packet(0, b"\x09")),
        (S, packet(1, b"Uptime: 9")),
        (C, query("INSERT 1")),
        (
            S,
            error(1, 1064, "#42000You have an error\nnear 'INSERT 1'"),
        ),
        (C, packet(0, b"\x1f")),
        (S, ok(1, 2)),
        (C, packet(0, b"\x01")),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [
            r#"COM_PING "PING" 5 -> ok 11"#,
            r#"COM_INIT_DB "INIT_DB sales" 10 -> ok 11"#,
            r#"COM_QUERY "INSERT INTO t VALUES (1)" 32 -> ok 11"#,
            r#"COM_SET_OPTION "SET_OPTION #1" 7 -> ok 9"#,
            r#"COM_STATISTICS "STATISTICS" 5 -> ok 13"#,
            r#"COM_QUERY "INSERT 1" 13 -> error 1064 "42000 You have an error near 'INSERT 1'" 46"#,
            r#"COM_RESET_CONNECTION "RESET_CONNECTION" 5 -> ok 11"#,
            r#"COM_QUIT "QUIT" 5 -> none"#,
        ]
    );
}

/// Two columns and two rows, the second of which looks like a definition.
fn rows(sequence: u8) -> [Vec<u8>; 2] {
    [
        packet(sequence, b"\x011\x03abc"),
        packet(sequence + 1, b"\x03def\xfb"),
    ]
}

#[test]
fn result_with_eof_packets() {
    let [one, two] = rows(5);
    let answer = [
        packet(1, b"\x02"),
        definition(2, "id"),
        definition(3, "name"),
        eof(4, 0x22),
        one,
        two,
        eof(7, 0x22),
    ];
    let said = [(C, query("SELECT * FROM t")), (S, answer.concat())];
    assert_eq!(
        in_any_case(EOFS, &said),
        [r#"COM_QUERY "SELECT * FROM t" 20 -> ok 100"#]
    );
}

#[test]
fn result_without_eof_packets() {
    let [one, two] = rows(4);
    for head in [&b"\x02"[..], b"\x01\x02", b"\x02\x01"] {
        let answer = [
            packet(1, head),
            definition(2, "id"),
            definition(3, "name"),
            one.clone(),
            two.clone(),
            end(6, 0x22),
        ];
        let said = [(C, query("SELECT * FROM t")), (S, answer.concat())];
        let length = 92 + head.len();
        assert_eq!(
            in_any_case(NO_EOFS, &said),
            [format!(r#"COM_QUERY "SELECT * FROM t" 20 -> ok {length}"#)]
        );
    }
}

#[test]
fn result_without_metadata() {
    let [one, two] = rows(2);
    for head in [&b"\0\x02"[..], b"\x02\0"] {
        let answer = [packet(1, head), one.clone(), two.clone(), end(4, 0x22)];
        let said = [(C, query("SELECT * FROM t")), (S, answer.concat())];
        assert_eq!(
            in_any_case(NO_EOFS, &said),
            [r#"COM_QUERY "SELECT * FROM t" 20 -> ok 36"#]
        );
    }
}

#[test]
fn results_with_eof_packets_without_rows_and_several() {
    let answer = [
        packet(1, b"\x01"),
        definition(2, "a"),
        eof(3, 0x0a),
        eof(4, 0x0a),
        ok(5, 0x0a),
        packet(6, b"\x01"),
        definition(7, "b"),
        eof(8, 2),
        packet(9, b"\x011"),
        eof(10, 2),
    ];
    let said = [
        (C, query("CALL p()")),
        (S, answer.concat()),
        (C, packet(0, b"\x0e")),
        (S, ok(1, 2)),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [
            r#"COM_QUERY "CALL p()" 13 -> ok 117"#,
            r#"COM_PING "PING" 5 -> ok 11"#
        ]
    );
}

#[test]
fn result_that_fails_at_a_row_and_tells_progress() {
    let answer = [
        packet(1, b"\x01"),
        definition(2, "a"),
        packet(3, b"\x011"),
        error(4, 1317, "#70100Query execution was interrupted"),
    ];
    let progress = packet(1, b"\xff\xff\xff\x01\x01\x02\0\0\0\x04copy");
    let said = [
        (C, query("SELECT a")),
        (S, answer.concat()),
        (C, query("ALTER TABLE t")),
        (S, progress),
        (S, ok(2, 2)),
    ];
    assert_eq!(
        in_any_case(NO_EOFS, &said),
        [
            r#"COM_QUERY "SELECT a" 13 -> error 1317 "70100 Query execution was interrupted" 82"#,
            r#"COM_QUERY "ALTER TABLE t" 18 -> ok 29"#,
        ]
    );
}

#[test]
fn file_of_load_data() {
    let said = [
        (C, query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t")),
        (S, packet(1, b"\xfbx")),
        (C, packet(2, b"1,2\n3,4\n")),
        // The count of packets runs over.
        (C, packet(0, b"\x01\x02\x03")),
        (C, packet(4, b"")),
        (S, ok(5, 2)),
        (C, packet(0, b"\x0e")),
        (S, ok(1, 2)),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [
            r#"COM_QUERY "LOAD DATA LOCAL INFILE 'x' INTO TABLE t" 44 -> ok 17"#,
            r#"COM_PING "PING" 5 -> ok 11"#
        ]
    );
}

fn prepared(columns: u8, parameters: u8) -> Vec<u8> {
    packet(1, &[0, 7, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0])
}

const EXECUTE: &[u8] = b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x08\0\x05\0\0\0\0\0\0\0";

#[test]
fn prepared_statement_with_eof_packets() {
    let answer = [
        prepared(1, 2),
        definition(2, "?"),
        definition(3, "?"),
        eof(4, 2),
        definition(5, "a"),
        eof(6, 2),
    ];
    let result = [
        packet(1, b"\x01"),
        definition(2, "a"),
        eof(3, 2),
        packet(4, b"\0\0\x05"),
        eof(5, 2),
    ];
    let said = [
        (C, packet(0, b"\x16SELECT a\n FROM t WHERE a IN (?,  ?)")),
        (S, answer.concat()),
        (C, packet(0, b"\x18\x07\0\0\0\0\0long")),
        (C, packet(0, EXECUTE)),
        (S, result.concat()),
        (C, packet(0, b"\x1a\x07\0\0\0")),
        (S, ok(1, 2)),
        (C, packet(0, b"\x19\x07\0\0\0")),
        (C, packet(0, EXECUTE)),
        (S, error(1, 1243, "#HY000Unknown prepared statement")),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [
            r#"COM_STMT_PREPARE "SELECT a FROM t WHERE a IN (?, ?)" 40 -> ok 115"#,
            r#"COM_STMT_SEND_LONG_DATA "STMT_SEND_LONG_DATA #7" 15 -> none"#,
            r#"COM_STMT_EXECUTE "SELECT a FROM t WHERE a IN (?, ?)" 26 -> ok 57"#,
            r#"COM_STMT_RESET "STMT_RESET #7" 9 -> ok 11"#,
            r#"COM_STMT_CLOSE "STMT_CLOSE #7" 9 -> none"#,
            r##"COM_STMT_EXECUTE "STMT_EXECUTE #7" 26 -> error 1243 "HY000 Unknown prepared statement" 39"##,
        ]
    );
}

#[test]
fn prepared_statement_without_eof_packets() {
    let answer = [prepared(1, 1), definition(2, "?"), definition(3, "a")];
    let result = [
        packet(1, b"\x01"),
        definition(2, "a"),
        packet(3, b"\0\0\x05"),
        end(4, 2),
    ];
    let said = [
        (C, packet(0, b"\x16SELECT ?")),
        (S, answer.concat()),
        (C, packet(0, b"\x16DO 1")),
        (S, prepared(0, 0)),
        (C, packet(0, EXECUTE)),
        (S, result.concat()),
    ];
    assert_eq!(
        in_any_case(NO_EOFS, &said),
        [
            r#"COM_STMT_PREPARE "SELECT ?" 13 -> ok 70"#,
            r#"COM_STMT_PREPARE "DO 1" 9 -> ok 16"#,
            r#"COM_STMT_EXECUTE "DO 1" 26 -> ok 50"#,
        ]
    );
}

#[test]
fn eof_behind_the_last_definition_is_learned() {
    // Parameters only: in mid-connection nothing tells before the EOF packet comes.
    let answer = [prepared(0, 1), definition(2, "?"), eof(3, 2)];
    let said = [
        (C, packet(0, b"\x16INSERT ?")),
        (S, answer.concat()),
        (C, packet(0, b"\x16INSERT ?")),
        (S, answer.concat()),
    ];
    let line = r#"COM_STMT_PREPARE "INSERT ?" 13 -> ok 52"#;
    assert_eq!(after_login(EOFS, &said), [line; 2]);
    // Once it came, the next is waited for.
    assert_eq!(
        lines(&said),
        [
            r#"COM_STMT_PREPARE "INSERT ?" 13 -> ok 43"#,
            line,
            "aside ToClient 9"
        ]
    );
}

#[test]
fn prepared_and_executed_at_once() {
    // MariaDB Connector/C: the number -1 is that of the statement prepared last.
    let execute = b"\x17\xff\xff\xff\xff\0\x01\0\0\0";
    let said = [
        (C, [packet(0, b"\x16DO 1"), packet(0, execute)].concat()),
        (S, [prepared(0, 0), ok(1, 2)].concat()),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [
            r#"COM_STMT_PREPARE "DO 1" 9 -> ok 16"#,
            r#"COM_STMT_EXECUTE "DO 1" 14 -> ok 11"#
        ]
    );
}

#[test]
fn cursor_is_fetched_from() {
    let fetch = packet(0, b"\x1c\x07\0\0\0\x01\0\0\0");
    let rows = [packet(1, b"\0\0\x05"), eof(2, 0x42)].concat();
    let last = [packet(1, b"\0\0\x06"), eof(2, 0x82)].concat();
    let with_eofs = [packet(1, b"\x01"), definition(2, "a"), eof(3, 0x42)].concat();
    let without = [packet(1, b"\x01"), definition(2, "a"), end(3, 0x42)].concat();
    for (flags, opened, length) in [(EOFS, with_eofs, 41), (NO_EOFS, without, 43)] {
        let said = [
            (C, packet(0, EXECUTE)),
            (S, opened),
            (C, fetch.clone()),
            (S, rows.clone()),
            (C, fetch.clone()),
            (S, last.clone()),
        ];
        assert_eq!(
            in_any_case(flags, &said),
            [
                format!(r##"COM_STMT_EXECUTE "STMT_EXECUTE #7" 26 -> ok {length}"##).as_str(),
                r##"COM_STMT_FETCH "STMT_FETCH #7" 13 -> ok 16"##,
                r##"COM_STMT_FETCH "STMT_FETCH #7" 13 -> ok 16"##,
            ]
        );
    }
}

#[test]
fn field_list() {
    let said = [
        (C, packet(0, b"\x04t\0")),
        (S, [definition(1, "a"), eof(2, 2)].concat()),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [r#"COM_FIELD_LIST "FIELD_LIST t" 7 -> ok 36"#]
    );
}

#[test]
fn change_of_user() {
    let said = [
        (
            C,
            packet(0, b"\x11bob\0\x04abcdhr\0\x2d\0mysql_native_password\0"),
        ),
        (S, packet(1, b"\xfemysql_native_password\0abcd\0")),
        (C, packet(2, b"efgh")),
        (S, error(3, 1045, "#28000Access denied")),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [r#"COM_CHANGE_USER "CHANGE_USER bob@hr" 41 -> error 1045 "28000 Access denied" 58"#]
    );
}

#[test]
fn query_attributes_are_stepped_over() {
    let with = b"\x03\x02\x01\x02\x01\xfe\0\x01a\xfd\0\x02bc\x03xyzSELECT 1";
    let without = b"\x03\0\x01SELECT 2";
    let said = [
        (C, packet(0, with)),
        (S, ok(1, 2)),
        (C, packet(0, without)),
        (S, ok(1, 2)),
    ];
    assert_eq!(
        in_any_case(NO_EOFS, &said),
        [
            r#"COM_QUERY "SELECT 1" 30 -> ok 11"#,
            r#"COM_QUERY "SELECT 2" 15 -> ok 11"#
        ]
    );
}

#[test]
fn pipelined_commands() {
    let said = [
        (C, [query("BEGIN"), query("DO 1"), query("COMMIT")].concat()),
        (S, ok(1, 3)),
        (S, [error(1, 1064, "#42000no"), ok(1, 2)].concat()),
    ];
    assert_eq!(
        in_any_case(EOFS, &said),
        [
            r#"COM_QUERY "BEGIN" 10 -> ok 11"#,
            r#"COM_QUERY "DO 1" 9 -> error 1064 "42000 no" 15"#,
            r#"COM_QUERY "COMMIT" 11 -> ok 11"#
        ]
    );
}

#[test]
fn replication_stream_is_asides() {
    let said = [
        (C, packet(0, b"\x12\x04\0\0\0\0\0\x01\0\0\0bin.000001")),
        (S, packet(1, b"\0event")),
        (S, packet(2, b"\0event")),
        (C, packet(0, b"\xef\0\0\0\0\0\0\0\0bin.000001")),
        (S, packet(3, b"\0event")),
        (S, eof(4, 2)),
        (C, packet(0, b"\x0e")),
        (S, ok(1, 2)),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"COM_BINLOG_DUMP "BINLOG_DUMP" 25 -> ok 10"#,
            r#"COM_PING "PING" 5 -> ok 11"#,
            "aside ToClient 10",
            "aside ToServer 23",
            "aside ToClient 10",
            "aside ToClient 9",
        ]
    );
}

#[test]
fn packets_that_go_on() {
    let long = |payload: &[u8]| {
        let mut bytes = vec![0xff, 0xff, 0xff, 0];
        bytes.extend_from_slice(payload);
        bytes.resize(LONGEST + 4, b' ');
        bytes
    };
    let text = [long(b"\x03INSERT "), packet(1, b"'x')")].concat();
    let row = [
        packet(1, b"\x01"),
        definition(2, "a"),
        long(b"\xfe\0\0\0\x01\0\0\0\0"),
        packet(4, b"\xfe\0\0\x02\0"),
        packet(5, b"\x011"),
        end(6, 2),
    ]
    .concat();
    let said = [
        (C, &text[..]),
        (S, &ok(2, 2)[..]),
        (C, &query("SELECT a")[..]),
        (S, &row[..]),
    ];
    assert_eq!(
        run(Mysql::default(), &said),
        [
            r#"COM_QUERY "INSERT" 16777227 -> ok 11"#,
            r#"COM_QUERY "SELECT a" 13 -> ok 16777277"#
        ]
    );
}

#[test]
fn answers_to_what_was_not_seen_are_unpaired() {
    let [one, two] = rows(5);
    let said = [
        (S, [one, two, eof(7, 2)].concat()),
        (C, query("DO 1")),
        (S, ok(1, 2)),
    ];
    assert_eq!(
        lines(&said),
        [
            r#"COM_QUERY "DO 1" 9 -> ok 11"#,
            "unpaired 10",
            "unpaired 9",
            "aside ToClient 9"
        ]
    );
}

#[test]
fn garbage_is_lost() {
    let lost = ["lost ToServer Malformed"];
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\0",
        b"\x01\0\0\0\x0b",
        b"\x01\0\0\x03\x01",
    ] {
        assert_eq!(run(Mysql::default(), &[(C, bytes)]), lost);
    }
}

#[test]
fn request_cut_off_by_the_end() {
    assert_eq!(
        lines(&[(C, query("SELECT 1")[..8].to_vec())]),
        [r#"COM_QUERY "SEL" 13 -> unanswered 0"#]
    );
}

#[test]
fn probe_takes_its_own() {
    let yes = |way, bytes: &[u8]| assert_eq!(Mysql::probe(way, bytes), Guess::Yes, "{bytes:?}");
    yes(S, &packet(0, GREETING));
    yes(S, &error(0, 1040, "Too many connections"));
    yes(S, &error(1, 1146, "#42S02Table 't' doesn't exist"));
    yes(S, &ok(1, 2));
    yes(S, &[packet(1, b"\x01"), definition(2, "a")].concat());
    yes(S, &[prepared(1, 0), definition(2, "a")].concat());
    yes(C, &handshake(EOFS | 8, "app", "shop"));
    yes(C, &query("select 1"));
    yes(C, &query(&"select 1, ".repeat(1000))[..1000]);
    yes(C, &[query("BEGIN"), query("DO 1")].concat());
    yes(C, &packet(0, b"\x03\0\x01SELECT 2"));
    yes(C, &packet(0, b"\x0e"));
    yes(C, &packet(0, b"\x16SELECT ?"));
    yes(C, &packet(0, EXECUTE));
    yes(
        C,
        &packet(0, b"\x11bob\0\x04abcdhr\0\x2d\0mysql_native_password\0"),
    );
    for length in 0..12 {
        let part = &query("select 1")[..length];
        assert_eq!(Mysql::probe(C, part), Guess::Maybe, "{length}");
    }
}

#[test]
fn probe_leaves_what_is_of_others() {
    crate::proto::sql::tests::leaves_others(Mysql::probe, "mysql");
}

#[test]
fn a_parser_is_small() {
    assert!(size_of::<Mysql>() <= 32, "{}", size_of::<Mysql>());
}
