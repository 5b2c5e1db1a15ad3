use super::Redis;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};
use crate::proto::{Guess, Parser};

fn check(said: &[Said<'_>], expected: &[&str]) {
    assert_eq!(run_split(Redis::default, said), expected);
    fuzz(Redis::default, said, 0x1234_5678_9abc_def1);
}

#[test]
fn the_parser_is_small() {
    assert!(size_of::<Redis>() <= 24);
}

#[test]
fn requests_and_replies_of_every_type() {
    check(
        &[
            (C, b"*3\r\n$3\r\nset\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"),
            (S, b"+OK\r\n"),
            (C, b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n"),
            (S, b"$3\r\nbar\r\n"),
            (C, b"*2\r\n$3\r\nGET\r\n$3\r\nzzz\r\n"),
            (S, b"$-1\r\n"),
            (C, b"*2\r\n$4\r\nLLEN\r\n$1\r\nl\r\n"),
            (S, b":0\r\n"),
            (C, b"*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n-1\r\n"),
            (S, b"*3\r\n$1\r\na\r\n$0\r\n\r\n$-1\r\n"),
            (C, b"*3\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n$1\r\n1\r\n"),
            (S, b"*-1\r\n"),
            (C, b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"),
            (S, b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"),
            (C, b"*2\r\n$4\r\nMANY\r\n$1\r\nx\r\n"),
            (
                S,
                b"~6\r\n_\r\n#t\r\n,1.5\r\n(123456789012345678901234567890\r\n=6\r\ntxt:ab\r\n*1\r\n*1\r\n%1\r\n:1\r\n*0\r\n",
            ),
            (C, b"*2\r\n$4\r\nECHO\r\n$5\r\na\xffb\r\n\r\n"),
            (S, b"$5\r\na\xffb\r\n\r\n"),
        ],
        &[
            r#"SET "set foo bar" 31 -> ok 5"#,
            r#"GET "GET foo" 22 -> ok 9"#,
            r#"GET "GET zzz" 22 -> ok 5"#,
            r#"LLEN "LLEN l" 21 -> ok 4"#,
            r#"LRANGE "LRANGE l 0 -1" 38 -> ok 22"#,
            r#"BLPOP "BLPOP l 1" 29 -> ok 5"#,
            r#"HELLO "HELLO 3" 22 -> ok 42"#,
            r#"MANY "MANY x" 21 -> ok 82"#,
            r#"ECHO "ECHO a\\xffb\\r\\n" 25 -> ok 11"#,
        ],
    );
}

#[test]
fn errors_and_redirections() {
    check(
        &[
            (C, b"*1\r\n$6\r\nNOSUCH\r\n"),
            (S, b"-ERR unknown command 'NOSUCH'\r\n"),
            (C, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
            (S, b"-MOVED 3999 127.0.0.1:6381\r\n"),
            (C, b"*1\r\n$6\r\nASKING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"),
            (S, b"+OK\r\n-ASK 3999 127.0.0.1:6381\r\n"),
            (C, b"*1\r\n$4\r\nEXEC\r\n"),
            (S, b"!21\r\nSYNTAX invalid syntax\r\n"),
        ],
        &[
            r#"NOSUCH "NOSUCH" 16 -> error "-ERR unknown command 'NOSUCH'" 31"#,
            r#"GET "GET a" 20 -> error "-MOVED 3999 127.0.0.1:6381" 28"#,
            r#"ASKING "ASKING" 16 -> ok 5"#,
            r#"GET "GET a" 20 -> error "-ASK 3999 127.0.0.1:6381" 26"#,
            r#"EXEC "EXEC" 14 -> error "-SYNTAX invalid syntax" 28"#,
        ],
    );
}

#[test]
fn pipelined_transaction() {
    check(
        &[
            (C, b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$4\r\nPING\r\n"),
            (S, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n-ERR no\r\n+PONG\r\n"),
        ],
        &[
            r#"MULTI "MULTI" 15 -> ok 5"#,
            r#"INCR "INCR n" 21 -> ok 9"#,
            r#"CLIENT "CLIENT REPLY OFF" 36 -> ok 9"#,
            r#"EXEC "EXEC" 14 -> ok 17"#,
            r#"PING "PING" 14 -> ok 7"#,
        ],
    );
}

#[test]
fn inline_commands_quotes_and_blank_lines() {
    check(
        &[
            (C, b"PING\r\n\r\n  \r\nset k \"two words \\x41\\n\" 'it is'\n*0\r\n*-1\r\n\nget \"k\r\n"),
            (S, b"+PONG\r\n+OK\r\n-ERR Protocol error: unbalanced quotes in request\r\n"),
        ],
        &[
            r#"PING "PING" 6 -> ok 7"#,
            r#"SET "set k two words A\\n it is" 33 -> ok 5"#,
            r#"GET "get k" 8 -> error "-ERR Protocol error: unbalanced quotes in request" 51"#,
            "aside ToServer 2",
            "aside ToServer 4",
            "aside ToServer 4",
            "aside ToServer 5",
            "aside ToServer 1",
        ],
    );
}

#[test]
fn long_values_are_passed_over() {
    let long = vec![b'v'; 300_000];
    let request = [
        b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$300000\r\n",
        &long[..],
        b"\r\n$1\r\nb\r\n$300000\r\n",
        &long,
        b"\r\n",
    ]
    .concat();
    let reply = [
        b"*3\r\n$300000\r\n",
        &long[..],
        b"\r\n*1\r\n$300000\r\n",
        &long,
        b"\r\n:1\r\n",
    ]
    .concat();
    let summary = format!("MSET a {}", "v".repeat(121));
    let expected = format!("MSET {summary:?} {} -> ok {}", request.len(), reply.len());
    let said: [Said<'_>; 2] = [(C, &request), (S, &reply)];
    assert_eq!(run(Redis::default(), &said), [expected.as_str()]);
    for size in [1000, 1459, 1460, 65536] {
        let mut pieces: Vec<Said<'_>> = Vec::new();
        for (way, bytes) in said {
            pieces.extend(bytes.chunks(size).map(|piece| (way, piece)));
        }
        assert_eq!(run(Redis::default(), &pieces), [expected.as_str()]);
    }
}

#[test]
fn nesting_needs_no_stack() {
    let reply = [b"*1\r\n".repeat(100_000), b":1\r\n".to_vec()].concat();
    let lines = run(Redis::default(), &[(C, b"DEEP\r\n"), (S, &reply)]);
    assert_eq!(lines, [r#"DEEP "DEEP" 6 -> ok 400004"#]);
}

#[test]
fn passwords_are_not_shown() {
    check(
        &[
            (C, b"*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$6\r\nsecret\r\n"),
            (S, b"+OK\r\n"),
            (C, b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$6\r\nsecret\r\nCONFIG SET requirepass secret\r\n"),
            (S, b"%0\r\n+OK\r\n"),
        ],
        &[
            r#"AUTH "AUTH (redacted)" 36 -> ok 5"#,
            r#"HELLO "HELLO 3 AUTH (redacted)" 51 -> ok 4"#,
            r#"CONFIG "CONFIG SET requirepass (redacted)" 31 -> ok 5"#,
        ],
    );
}

#[test]
fn client_reply_off_skip_on() {
    check(
        &[
            (C, b"PING\r\nCLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\nCLIENT REPLY SKIP\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n"),
            (S, b"+PONG\r\n+OK\r\n+PONG\r\n$1\r\nx\r\n"),
        ],
        &[
            r#"PING "PING" 6 -> ok 7"#,
            r#"CLIENT "CLIENT REPLY OFF" 18 -> none"#,
            r#"PING "PING" 6 -> none"#,
            r#"CLIENT "CLIENT REPLY SKIP" 19 -> none"#,
            r#"CLIENT "CLIENT REPLY ON" 17 -> ok 5"#,
            r#"PING "PING" 6 -> ok 7"#,
            r#"CLIENT "CLIENT REPLY SKIP" 19 -> none"#,
            r#"PING "PING" 6 -> none"#,
            r#"ECHO "ECHO x" 21 -> ok 7"#,
        ],
    );
}

#[test]
fn client_reply_off_that_the_server_refused() {
    let lines = run(
        Redis::default(),
        &[
            (C, b"*3\r\n$6\r\nclient\r\n$5\r\nreply\r\n$3\r\noff\r\n"),
            (S, b"-NOPERM no\r\n"),
            (C, b"PING\r\n"),
            (S, b"+PONG\r\n"),
        ],
    );
    assert_eq!(
        lines,
        [
            r#"CLIENT "client reply off" 36 -> none"#,
            r#"PING "PING" 6 -> ok 7"#,
            "unpaired 12",
        ]
    );
}

#[test]
fn publish_and_subscribe_in_resp2() {
    check(
        &[
            (C, b"*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n"),
            (S, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
            (S, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"),
            (S, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"),
            (C, b"PSUBSCRIBE x*\r\n"),
            (S, b"*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:3\r\n"),
            (S, b"*4\r\n$8\r\npmessage\r\n$2\r\nx*\r\n$2\r\nxy\r\n*1\r\n$1\r\nk\r\n"),
            (C, b"PING\r\n"),
            (S, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
            (C, b"UNSUBSCRIBE\r\n"),
            (S, b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n"),
            (C, b"UNSUBSCRIBE\r\nPUNSUBSCRIBE x*\r\nLRANGE l 0 -1\r\n"),
            (S, b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:1\r\n*3\r\n$12\r\npunsubscribe\r\n$2\r\nx*\r\n:0\r\n"),
            (S, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"),
        ],
        &[
            r#"SUBSCRIBE "SUBSCRIBE a b" 33 -> ok 60"#,
            r#"PSUBSCRIBE "PSUBSCRIBE x*" 15 -> ok 33"#,
            r#"PING "PING" 6 -> ok 20"#,
            r#"UNSUBSCRIBE "UNSUBSCRIBE" 13 -> ok 66"#,
            r#"UNSUBSCRIBE "UNSUBSCRIBE" 13 -> ok 31"#,
            r#"PUNSUBSCRIBE "PUNSUBSCRIBE x*" 17 -> ok 35"#,
            r#"LRANGE "LRANGE l 0 -1" 15 -> ok 32"#,
            "aside ToClient 32",
            "aside ToClient 45",
            "aside ToClient 32",
        ],
    );
}

#[test]
fn subscriptions_end_with_reset_and_begin_before_the_capture() {
    check(
        &[
            (C, b"SUBSCRIBE a\r\nRESET\r\nGET k\r\n"),
            (
                S,
                b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+RESET\r\n$1\r\nv\r\n",
            ),
        ],
        &[
            r#"SUBSCRIBE "SUBSCRIBE a" 13 -> ok 30"#,
            r#"RESET "RESET" 7 -> ok 8"#,
            r#"GET "GET k" 7 -> ok 7"#,
        ],
    );
    check(
        &[
            (S, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"),
            (C, b"PING\r\n"),
            (
                S,
                b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n",
            ),
        ],
        &[
            r#"PING "PING" 6 -> ok 20"#,
            "aside ToClient 32",
            "aside ToClient 32",
        ],
    );
}

#[test]
fn pushes_and_attributes_of_resp3() {
    check(
        &[
            (C, b"SUBSCRIBE a b\r\nGET k\r\n"),
            (S, b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"),
            (S, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n|1\r\n+key-popularity\r\n%1\r\n$1\r\na\r\n,0.19\r\n$1\r\nv\r\n"),
            (C, b"UNSUBSCRIBE\r\nLRANGE l 0 1\r\n"),
            (S, b">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n*3\r\n$7\r\nmessage\r\n|1\r\n+x\r\n+y\r\n:1\r\n:2\r\n"),
        ],
        &[
            r#"SUBSCRIBE "SUBSCRIBE a b" 15 -> ok 60"#,
            r#"GET "GET k" 7 -> ok 46"#,
            r#"UNSUBSCRIBE "UNSUBSCRIBE" 13 -> ok 66"#,
            r#"LRANGE "LRANGE l 0 1" 14 -> ok 37"#,
            "aside ToClient 32",
            "aside ToClient 32",
        ],
    );
}

#[test]
fn monitor() {
    check(
        &[
            (C, b"MONITOR\r\n"),
            (
                S,
                b"+OK\r\n+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n",
            ),
            (C, b"GET k\r\n"),
            (
                S,
                b"+1339518084.107412 [0 127.0.0.1:60866] \"get\" \"k\"\r\n+17 is no time\r\n",
            ),
        ],
        &[
            r#"MONITOR "MONITOR" 9 -> ok 5"#,
            r#"GET "GET k" 7 -> ok 16"#,
            "aside ToClient 51",
            "aside ToClient 50",
        ],
    );
}

#[test]
fn monitor_shows_long_values() {
    let long = [
        b"+1339518083.107412 [0 127.0.0.1:60866] \"set\" \"".to_vec(),
        vec![b'v'; 200_000],
        b"\"\r\n+PONG\r\n".to_vec(),
    ]
    .concat();
    for size in [1000, 1460, 300_000] {
        let mut said: Vec<Said<'_>> = vec![(C, b"MONITOR\r\nPING\r\n"), (S, b"+OK\r\n")];
        said.extend(long.chunks(size).map(|piece| (S, piece)));
        let lines = run(Redis::default(), &said);
        let tasks: Vec<_> = lines
            .iter()
            .filter(|line| !line.starts_with("aside"))
            .collect();
        assert_eq!(
            tasks,
            [r#"MONITOR "MONITOR" 9 -> ok 5"#, r#"PING "PING" 6 -> ok 7"#]
        );
    }
}

#[test]
fn replica_that_gets_a_snapshot_of_known_length() {
    check(
        &[
            (C, b"*1\r\n$4\r\nPING\r\n"),
            (S, b"+PONG\r\n"),
            (C, b"*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n6380\r\n"),
            (S, b"+OK\r\n"),
            (C, b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"),
            (S, b"\n\n+FULLRESYNC 8de1787ba490483314a4d30f1c628bc5025eb761 2443808505\r\n"),
            (S, b"\n\n$5\r\nREDIS*1\r\n$4\r\nPING\r\n\n*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"),
            (C, b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n"),
            (S, b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ],
        &[
            r#"PING "PING" 14 -> ok 7"#,
            r#"REPLCONF "REPLCONF listening-port 6380" 49 -> ok 5"#,
            r#"PSYNC "PSYNC ? -1" 30 -> ok 65"#,
            r#"REPLCONF "REPLCONF ACK 0" 34 -> none"#,
            "aside ToClient 1",
            "aside ToClient 1",
            "aside ToClient 2",
            "aside ToClient 9",
            "aside ToClient 14",
            "aside ToClient 1",
            "aside ToClient 37",
            "aside ToClient 27",
        ],
    );
}

#[test]
fn replica_that_gets_a_snapshot_up_to_a_mark() {
    let mark = b"0123456789012345678901234567890123456789";
    let snapshot = [
        b"$EOF:",
        &mark[..],
        b"\r\nREDIS0123",
        mark,
        b"*1\r\n$4\r\nPING\r\n",
    ]
    .concat();
    check(
        &[
            (C, b"SYNC\r\n"),
            (S, b"\n"),
            (S, &snapshot),
            (C, b"REPLCONF ACK 0\r\n"),
        ],
        &[
            r#"SYNC "SYNC" 6 -> ok 96"#,
            r#"REPLCONF "REPLCONF ACK 0" 16 -> none"#,
            "aside ToClient 1",
            "aside ToClient 14",
        ],
    );
    let lines = run_split(
        Redis::default,
        &[
            (C, b"PSYNC ? -1\r\n"),
            (S, b"+CONTINUE\r\n*1\r\n$4\r\nPING\r\n"),
            (C, b"SHUTDOWN\r\n"),
        ],
    );
    assert_eq!(
        lines,
        [
            r#"PSYNC "PSYNC ? -1" 12 -> ok 11"#,
            r#"SHUTDOWN "SHUTDOWN" 10 -> none"#,
            "aside ToClient 14",
        ]
    );
}

#[test]
fn what_is_no_redis_is_given_up() {
    for (request, reply) in [
        (&b"*2\r\n:1\r\n"[..], &b"*1\r\n?\r\n"[..]),
        (b"*1\r\n$-1\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"\x16\x03\x01\x02\x00", b"\x15\x03\x01"),
        (b"*99999999999\r\n", b"$-2\r\n"),
    ] {
        let lines = run(Redis::default(), &[(C, request), (S, reply)]);
        assert_eq!(
            lines,
            ["lost ToServer Malformed", "lost ToClient Malformed"]
        );
    }
}

#[test]
fn probe_knows_its_own() {
    for bytes in [
        &b"*1\r\n$4\r\nPING\r\n"[..],
        b"*3\r\n$3\r\nset\r\n$1\r",
        b"*2\r\n$9\r\nJSON.GET\r\n\r\n",
        b"PING\r\n",
        b"ping\n",
        b"set test test 1\n",
        b"SET Key0 Value0\r\n",
        b"client reply off\r\n",
        b"incr x\r\n",
        b"GET foo\r\n",
        b"PUBLISH Foo \"Hi there :)\"\r\n",
    ] {
        let expected = if bytes.starts_with(b"*2") {
            Guess::No
        } else {
            Guess::Yes
        };
        assert_eq!(Redis::probe(C, bytes), expected, "{}", bytes.escape_ascii());
    }
    for bytes in [
        &b"+OK\r\n"[..],
        b"-ERR unknown command 'x'\r\n",
        b"-MOVED 1 a:1\r\n",
        b":1\r\n",
        b"$3\r\nfoo\r\n",
        b"$-1\r\n",
        b"$100000\r\nfoo",
        b"*2\r\n$1\r\na\r\n",
        b"*0\r\n",
        b"%1\r\n+a\r\n",
        b">3\r\n$7\r\nmessage\r\n",
        b"_\r\n",
        b"#t\r\n",
        b"+1339518083.107412 [0 127.0.0.1:60866] \"keys\"",
    ] {
        assert_eq!(
            Redis::probe(S, bytes),
            Guess::Yes,
            "{}",
            bytes.escape_ascii()
        );
        let few = Redis::probe(S, &bytes[..1]);
        assert_eq!(few, Guess::Maybe, "{}", bytes.escape_ascii());
    }
    for bytes in [&b"*"[..], b"*1\r\n$4\r\nPI", b"PI", b"PING", b""] {
        assert_eq!(
            Redis::probe(C, bytes),
            Guess::Maybe,
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn probe_leaves_the_others() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"GET /index.html\r\n",
        b"GET http://example.com/\r\n",
        b"GET /HTTP/1.1\r\nHost: x\r\n",
        b"POST /set HTTP/1.1\r\n",
        b"get foo\r\n",
        b"set foo 0 0 3\r\nbar\r\n",
        b"version\r\n",
        b"mn\r\n",
        b"\x80\x00\x00\x03",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"\x4a\x00\x00\x00\x0a5.7",
        b"EHLO x\r\n",
        b"AUTH LOGIN\r\n",
        b"USER anonymous\r\n",
        b"TYPE I\r\n",
        b"a1 SELECT INBOX\r\n",
        b"PING :irc\r\n",
        b"CONNECT {\"verbose\":false}\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"* OK IMAP4 ready\r\n",
        b"+OK POP3 ready\r\n",
        b"-ERR authentication failed\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b":irc.example 001 x\r\n",
        b"VALUE foo 0 3\r\n",
        b"STORED\r\n",
        b"+1 somewhat\r\n",
        b"$HOME\r\n",
    ] {
        assert_eq!(
            Redis::probe(C, bytes),
            Guess::No,
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(
            Redis::probe(S, bytes),
            Guess::No,
            "{}",
            bytes.escape_ascii()
        );
    }
    let mut state = 88_172_645_463_325_252_u64;
    let mut taken = 0;
    for _ in 0..100_000 {
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state as u8;
        }
        taken += u32::from(Redis::probe(C, &bytes) == Guess::Yes);
        taken += u32::from(Redis::probe(S, &bytes) == Guess::Yes);
    }
    assert_eq!(taken, 0);
}
