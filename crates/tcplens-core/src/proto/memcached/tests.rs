use super::Memcached;
use crate::proto::testing::{C, S, Said, fuzz, run, run_split};
use crate::proto::{Guess, Parser};

fn check(said: &[Said<'_>], expected: &[&str]) {
    assert_eq!(run_split(Memcached::default, said), expected);
    fuzz(Memcached::default, said, 0x9e37_79b9_7f4a_7c15);
}

#[test]
fn the_parser_is_small() {
    assert!(size_of::<Memcached>() <= 24);
}

#[test]
fn storage_and_retrieval() {
    check(
        &[
            (C, b"set foo 0 60 3\r\nbar\r\n"),
            (S, b"STORED\r\n"),
            (C, b"get foo zzz\r\n"),
            (S, b"VALUE foo 0 3\r\nbar\r\nEND\r\n"),
            (C, b"gets foo\r\n"),
            (S, b"VALUE foo 0 5 99\r\nEND\r\n\r\nEND\r\n"),
            (C, b"get zzz\r\n"),
            (S, b"END\r\n"),
            (C, b"cas foo 0 0 1 99\r\nx\r\n"),
            (S, b"EXISTS\r\n"),
            (C, b"append foo 0 0 0\r\n\r\nprepend foo 0 -1 1\r\nx\r\n"),
            (S, b"NOT_STORED\r\nSTORED\r\n"),
            (
                C,
                b"gat 10 foo\r\ntouch foo 5\r\ndelete foo\r\ndelete foo\r\n",
            ),
            (
                S,
                b"VALUE foo 0 3\r\nbar\r\nEND\r\nTOUCHED\r\nDELETED\r\nNOT_FOUND\r\n",
            ),
            (
                C,
                b"incr n 1\r\ndecr n 1\r\nversion\r\nverbosity 1\r\nflush_all\r\n",
            ),
            (S, b"7\r\n6\r\nVERSION 1.6.18\r\nOK\r\nOK\r\n"),
            (
                C,
                b"stats\r\nstats reset\r\nstats cachedump 1 2\r\nquit\r\n",
            ),
            (
                S,
                b"STAT pid 1\r\nSTAT uptime 2\r\nEND\r\nRESET\r\nITEM b [1 b; 0 s]\r\nEND\r\n",
            ),
        ],
        &[
            r#"set "set foo 0 60 3" 21 -> ok 8"#,
            r#"get "get foo zzz" 13 -> ok 25"#,
            r#"gets "gets foo" 10 -> ok 30"#,
            r#"get "get zzz" 9 -> ok 5"#,
            r#"cas "cas foo 0 0 1 99" 21 -> ok 8"#,
            r#"append "append foo 0 0 0" 20 -> ok 12"#,
            r#"prepend "prepend foo 0 -1 1" 23 -> ok 8"#,
            r#"gat "gat 10 foo" 12 -> ok 25"#,
            r#"touch "touch foo 5" 13 -> ok 9"#,
            r#"delete "delete foo" 12 -> ok 9"#,
            r#"delete "delete foo" 12 -> ok 11"#,
            r#"incr "incr n 1" 10 -> ok 3"#,
            r#"decr "decr n 1" 10 -> ok 3"#,
            r#"version "version" 9 -> ok 16"#,
            r#"verbosity "verbosity 1" 13 -> ok 4"#,
            r#"flush_all "flush_all" 11 -> ok 4"#,
            r#"stats "stats" 7 -> ok 32"#,
            r#"stats "stats reset" 13 -> ok 7"#,
            r#"stats "stats cachedump 1 2" 21 -> ok 24"#,
            r#"quit "quit" 6 -> none"#,
        ],
    );
}

#[test]
fn noreply_owes_nothing() {
    check(
        &[
            (C, b"set a 0 0 3 noreply\r\nabc\r\nincr a 1 noreply\r\ndelete a noreply \r\nget a\r\nflush_all 0 noreply\r\nget noreply\r\n"),
            (S, b"VALUE a 0 3\r\nabc\r\nEND\r\nEND\r\n"),
        ],
        &[
            r#"set "set a 0 0 3 noreply" 26 -> none"#,
            r#"incr "incr a 1 noreply" 18 -> none"#,
            r#"delete "delete a noreply " 19 -> none"#,
            r#"get "get a" 7 -> ok 23"#,
            r#"flush_all "flush_all 0 noreply" 21 -> none"#,
            r#"get "get noreply" 13 -> ok 5"#,
        ],
    );
}

/// What memcached 1.6.18 answers, byte for byte.
#[test]
fn wrong_lines_are_framed_as_the_server_does() {
    let long = [
        b"set ",
        "k".repeat(251).as_bytes(),
        b" 0 0 3\r\nabc\r\nget a\r\n",
    ]
    .concat();
    let summary = format!("set {}", "k".repeat(124));
    check(
        &[
            (C, &long),
            (
                S,
                b"CLIENT_ERROR bad command line format\r\nERROR\r\nEND\r\n",
            ),
        ],
        &[
            &format!(r#"set "{summary}" 263 -> error "CLIENT_ERROR bad command line format" 38"#),
            r#"abc "abc" 5 -> error "ERROR" 7"#,
            r#"get "get a" 7 -> ok 5"#,
        ],
    );
    check(
        &[
            (C, b"set a 0 0 -1\r\nabc\r\nset a 0 0\r\nabc\r\n"),
            (S, b"CLIENT_ERROR bad command line format\r\nERROR\r\nERROR\r\nERROR\r\n"),
            (C, b"set a 0 0 1\r\nxyz\r\nversion\r\n"),
            (S, b"CLIENT_ERROR bad data chunk\r\nERROR\r\nVERSION 1.6.18\r\n"),
            (C, b"\r\nget\r\nset a 0 0 3 garbage\r\nabc\r\nms a 3 ?\r\nabc\r\nms a x\r\nmn\r\n"),
            (S, b"ERROR\r\nERROR\r\nSTORED\r\nCLIENT_ERROR invalid flag\r\nCLIENT_ERROR bad command line format\r\nMN\r\n"),
            (C, b"set a 0 0 9\r\nabcdefghi\r\nshutdown\r\nversion\r\n"),
            (S, b"SERVER_ERROR object too large for cache\r\nERROR: shutdown not enabled\r\nVERSION 1.6.18\r\n"),
        ],
        &[
            r#"set "set a 0 0 -1" 14 -> error "CLIENT_ERROR bad command line format" 38"#,
            r#"abc "abc" 5 -> error "ERROR" 7"#,
            r#"set "set a 0 0" 11 -> error "ERROR" 7"#,
            r#"abc "abc" 5 -> error "ERROR" 7"#,
            r#"set "set a 0 0 1" 16 -> error "CLIENT_ERROR bad data chunk" 29"#,
            r#"(blank) "" 2 -> error "ERROR" 7"#,
            r#"version "version" 9 -> ok 16"#,
            r#"(blank) "" 2 -> error "ERROR" 7"#,
            r#"get "get" 5 -> error "ERROR" 7"#,
            r#"set "set a 0 0 3 garbage" 26 -> ok 8"#,
            r#"ms "ms a 3 ?" 15 -> error "CLIENT_ERROR invalid flag" 27"#,
            r#"ms "ms a x" 8 -> error "CLIENT_ERROR bad command line format" 38"#,
            r#"mn "mn" 4 -> ok 4"#,
            r#"set "set a 0 0 9" 24 -> error "SERVER_ERROR object too large for cache" 41"#,
            r#"shutdown "shutdown" 10 -> error "ERROR: shutdown not enabled" 29"#,
            r#"version "version" 9 -> ok 16"#,
        ],
    );
}

#[test]
fn long_values_and_lists_of_keys_are_passed_over() {
    let value = vec![b'v'; 500_000];
    let set = [b"set big 0 0 500000\r\n", &value[..], b"\r\n"].concat();
    let get = [&b"get"[..], &b" key-of-some-length".repeat(20_000), b"\r\n"].concat();
    let got = [
        b"VALUE big 0 500000\r\n",
        &value[..],
        b"\r\nVALUE c 0 1\r\nx\r\nEND\r\n",
    ]
    .concat();
    let shown = format!("get{}", " key-of-some-length".repeat(7));
    let expected = [
        r#"set "set big 0 0 500000" 500022 -> ok 8"#.to_string(),
        format!(r#"get "{}" 380005 -> ok 500043"#, &shown[..128]),
        r#"mn "mn" 4 -> ok 4"#.to_string(),
    ];
    let said: [Said<'_>; 6] = [
        (C, &set),
        (S, b"STORED\r\n"),
        (C, &get),
        (S, &got),
        (C, b"mn\r\n"),
        (S, b"MN\r\n"),
    ];
    for size in [1000, 1460, 65536, 1 << 20] {
        let mut pieces: Vec<Said<'_>> = Vec::new();
        for (way, bytes) in said {
            pieces.extend(bytes.chunks(size).map(|piece| (way, piece)));
        }
        assert_eq!(run(Memcached::default(), &pieces), expected);
    }
}

#[test]
fn meta_commands() {
    check(
        &[
            (C, b"ms b 1\r\n1\r\nmg b\r\nmg b s v t f c k O77\r\nmg zz v\r\nme b\r\nme zz\r\nma n N0 J5 v\r\nmd b q\r\nmd zz\r\nmn\r\n"),
            (S, b"HD\r\nHD\r\nVA 1 s1 t-1 f0 c10 kb O77\r\n1\r\nEN\r\nME b exp=-1 la=0 cas=10 fetch=no cls=1 size=61\r\nEN\r\nVA 1\r\n5\r\nNF\r\nMN\r\n"),
        ],
        &[
            r#"ms "ms b 1" 11 -> ok 4"#,
            r#"mg "mg b" 6 -> ok 4"#,
            r#"mg "mg b s v t f c k O77" 22 -> ok 30"#,
            r#"mg "mg zz v" 9 -> ok 4"#,
            r#"me "me b" 6 -> ok 48"#,
            r#"me "me zz" 7 -> ok 4"#,
            r#"ma "ma n N0 J5 v" 14 -> ok 9"#,
            r#"md "md b q" 8 -> none"#,
            r#"md "md zz" 7 -> ok 4"#,
            r#"mn "mn" 4 -> ok 4"#,
        ],
    );
}

#[test]
fn quiet_meta_commands_are_answered_only_if_there_is_something_to_say() {
    check(
        &[
            // Hits and misses by opaque, by key, and by neither.
            (C, b"mg a v q O1\r\nmg b v q O2\r\nmg c v q O3\r\nmg d k v q\r\nmg e k v q\r\nget f\r\nmg g v q\r\nmg h v\r\nmn\r\n"),
            (S, b"VA 2 O2\r\nbb\r\nVA 2 ke\r\nee\r\nVALUE f 0 1\r\nf\r\nEND\r\nEN\r\nMN\r\n"),
            (C, b"ms a 1 q O1\r\nx\r\nms b 1 q O2 C5\r\nx\r\nmd c q O3\r\nmd d q O4\r\nma e q O5\r\nmn\r\nversion\r\n"),
            (S, b"EX O2\r\nNF O4\r\nMN\r\nVERSION 1\r\n"),
            // The last has no barrier behind it.
            (C, b"mg a v q O1\r\nmg z v q O9\r\n"),
            (S, b"VA 1 O1\r\na\r\n"),
        ],
        &[
            r#"mg "mg a v q O1" 13 -> none"#,
            r#"mg "mg b v q O2" 13 -> ok 13"#,
            r#"mg "mg c v q O3" 13 -> none"#,
            r#"mg "mg d k v q" 12 -> none"#,
            r#"mg "mg e k v q" 12 -> ok 13"#,
            r#"get "get f" 7 -> ok 21"#,
            r#"mg "mg g v q" 10 -> none"#,
            r#"mg "mg h v" 8 -> ok 4"#,
            r#"mn "mn" 4 -> ok 4"#,
            r#"ms "ms a 1 q O1" 16 -> none"#,
            r#"ms "ms b 1 q O2 C5" 19 -> ok 7"#,
            r#"md "md c q O3" 11 -> none"#,
            r#"md "md d q O4" 11 -> ok 7"#,
            r#"ma "ma e q O5" 11 -> none"#,
            r#"mn "mn" 4 -> ok 4"#,
            r#"version "version" 9 -> ok 11"#,
            r#"mg "mg a v q O1" 13 -> ok 12"#,
            r#"mg "mg z v q O9" 13 -> none"#,
        ],
    );
}

#[test]
fn dumps_and_logs() {
    check(
        &[
            (C, b"lru_crawler metadump all\r\n"),
            (S, b"key=n exp=-1 la=1\nkey=b exp=-1 la=1\nEND\r\n"),
            (C, b"lru_crawler mgdump all\r\nconfig get cluster\r\n"),
            (
                S,
                b"mg n\r\nmg b\r\nEN\r\nCONFIG cluster 0 5\r\nab|\nc\r\nEND\r\n",
            ),
            (C, b"watch fetchers\r\n"),
            (
                S,
                b"OK\r\nts=1.2 gid=1 type=item_get\nts=1.3 gid=2 type=item_get\n",
            ),
        ],
        &[
            r#"lru_crawler "lru_crawler metadump all" 26 -> ok 41"#,
            r#"lru_crawler "lru_crawler mgdump all" 24 -> ok 16"#,
            r#"config "config get cluster" 20 -> ok 32"#,
            r#"watch "watch fetchers" 16 -> ok 4"#,
            "aside ToClient 27",
            "aside ToClient 27",
        ],
    );
}

/// A message of the binary protocol.
fn binary(
    magic: u8,
    opcode: u8,
    status: u16,
    opaque: u32,
    [extras, key, value]: [&[u8]; 3],
) -> Vec<u8> {
    let mut bytes = vec![magic, opcode];
    bytes.extend((key.len() as u16).to_be_bytes());
    bytes.extend([extras.len() as u8, 0]);
    bytes.extend(status.to_be_bytes());
    bytes.extend(((extras.len() + key.len() + value.len()) as u32).to_be_bytes());
    bytes.extend(opaque.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend([extras, key, value].concat());
    bytes
}

fn ask(opcode: u8, opaque: u32, parts: [&[u8]; 3]) -> Vec<u8> {
    binary(0x80, opcode, 0, opaque, parts)
}

fn answer(opcode: u8, status: u16, opaque: u32, parts: [&[u8]; 3]) -> Vec<u8> {
    binary(0x81, opcode, status, opaque, parts)
}

const NONE: [&[u8]; 3] = [b""; 3];
const FLAGS: &[u8] = &[0; 4];

#[test]
fn binary_commands() {
    let asked = [
        ask(1, 1, [&[0; 8], b"foo", b"bar"]),
        ask(0, 2, [b"", b"foo", b""]),
        ask(0, 3, [b"", b"zzz", b""]),
        ask(5, 4, [&[0; 20], b"foo", b""]),
        ask(0x10, 5, NONE),
        ask(0x8f, 6, NONE),
        ask(0x21, 7, [b"", b"PLAIN", b"\0user\0secret"]),
        ask(7, 8, NONE),
        ask(0x17, 9, NONE),
    ]
    .concat();
    let answered = [
        answer(1, 0, 1, NONE),
        answer(0, 0, 2, [FLAGS, b"", b"bar"]),
        answer(0, 1, 3, [b"", b"", b"Not found"]),
        answer(
            5,
            6,
            4,
            [b"", b"", b"Non-numeric server-side value for incr or decr"],
        ),
        answer(0x10, 0, 5, [b"", b"pid", b"1"]),
        answer(0x10, 0, 5, [b"", b"uptime", b"1"]),
        answer(0x10, 0, 5, NONE),
        answer(0x8f, 0x81, 6, [b"", b"", b"Unknown command"]),
        answer(0x21, 0x20, 7, [b"", b"", b"Auth failure."]),
        answer(7, 0, 8, NONE),
    ]
    .concat();
    check(
        &[(C, &asked), (S, &answered)],
        &[
            r#"set "set foo" 38 -> ok 24"#,
            r#"get "get foo" 27 -> ok 31"#,
            r#"get "get zzz" 27 -> ok 1 33"#,
            r#"incr "incr foo" 47 -> error 6 "Non-numeric server-side value for incr or decr" 70"#,
            r#"stats "stats" 24 -> ok 83"#,
            r#"0x8f "0x8f" 24 -> error 129 "Unknown command" 39"#,
            r#"sasl_auth "sasl_auth PLAIN" 41 -> error 32 "Auth failure." 37"#,
            r#"quit "quit" 24 -> ok 24"#,
            r#"quitq "quitq" 24 -> none"#,
        ],
    );
}

#[test]
fn quiet_binary_commands_by_opaque_and_by_key() {
    let asked = [
        ask(0x0d, 1, [b"", b"a", b""]),
        ask(0x0d, 2, [b"", b"b", b""]),
        ask(0x0a, 3, NONE),
        // libmemcached leaves the opaque 0.
        ask(0x0d, 0, [b"", b"c", b""]),
        ask(0x0d, 0, [b"", b"d", b""]),
        ask(0x0d, 0, [b"", b"e", b""]),
        ask(0x0a, 0, NONE),
        ask(0x11, 0, [&[0; 8], b"f", b"1"]),
        ask(0x11, 0, [&[0; 8], b"g", b"1"]),
        ask(0x0a, 0, NONE),
        ask(0x09, 0, [b"", b"h", b""]),
    ]
    .concat();
    let answered = [
        answer(0x0d, 0, 2, [FLAGS, b"b", b"1"]),
        answer(0x0a, 0, 3, NONE),
        answer(0x0d, 0, 0, [FLAGS, b"d", b"1"]),
        answer(0x0d, 0x82, 0, [b"", b"", b"Out of memory"]),
        answer(0x0a, 0, 0, NONE),
        answer(0x11, 3, 0, [b"", b"", b"Too large."]),
        answer(0x0a, 0, 0, NONE),
    ]
    .concat();
    check(
        &[(C, &asked), (S, &answered)],
        &[
            r#"getkq "getkq a" 25 -> none"#,
            r#"getkq "getkq b" 25 -> ok 30"#,
            r#"noop "noop" 24 -> ok 24"#,
            r#"getkq "getkq c" 25 -> none"#,
            r#"getkq "getkq d" 25 -> ok 30"#,
            r#"getkq "getkq e" 25 -> error 130 "Out of memory" 37"#,
            r#"noop "noop" 24 -> ok 24"#,
            r#"setq "setq f" 34 -> error 3 "Too large." 34"#,
            r#"setq "setq g" 34 -> none"#,
            r#"noop "noop" 24 -> ok 24"#,
            r#"getq "getq h" 25 -> none"#,
        ],
    );
}

#[test]
fn what_is_no_memcached_is_given_up() {
    let lines = run(
        Memcached::default(),
        &[(C, b"\x16\x03\x01"), (S, b"VALUE a b c\r\n")],
    );
    assert_eq!(
        lines,
        ["lost ToServer Malformed", "lost ToClient Malformed"]
    );
    let bad = binary(0x80, 0, 0, 0, [b"abcdefgh", b"k", b""]);
    let mut bad = [bad, vec![b'x'; 100]].concat();
    bad[11] = 3;
    assert_eq!(
        run(Memcached::default(), &[(C, &bad)]),
        ["lost ToServer Malformed"]
    );
}

#[test]
fn probe_knows_its_own() {
    let long = [&b"get"[..], &b" some-key".repeat(100)].concat();
    for bytes in [
        &b"get foo\r\n"[..],
        b"gets a b c\r\n",
        b"gat 0 a\r\n",
        b"set a 0 -1 3\r\nabc\r\n",
        b"cas a 0 0 3 9 noreply\r\nabc\r\n",
        b"incr a 1\r\n",
        b"delete a noreply\r\n",
        b"touch a 0\r\n",
        b"version\r\n",
        b"stats\r\n",
        b"stats items\r\n",
        b"mg a v q O1 T30\r\n",
        b"ms a 3 T0\r\nabc\r\n",
        b"mn\r\n",
        &long,
        &ask(0, 0, [b"", b"k", b""]),
        &ask(1, 7, [&[0; 8], b"k", b"vvv"]),
        &ask(0x0a, 7, NONE),
    ] {
        assert_eq!(
            Memcached::probe(C, bytes),
            Guess::Yes,
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(Memcached::probe(C, &bytes[..1]), Guess::Maybe);
        assert_eq!(
            Memcached::probe(S, bytes),
            Guess::No,
            "{}",
            bytes.escape_ascii()
        );
    }
    for bytes in [
        &b"VALUE a 0 3\r\nabc\r\nEND\r\n"[..],
        b"END\r\n",
        b"STORED\r\n",
        b"NOT_STORED\r\n",
        b"ERROR\r\n",
        b"CLIENT_ERROR bad data chunk\r\n",
        b"VERSION 1.6.18\r\n",
        b"STAT pid 1\r\n",
        b"VA 3 kfoo O1 t-1 W\r\n",
        b"HD\r\n",
        b"EN\r\n",
        b"MN\r\n",
        &answer(0, 1, 7, [b"", b"", b"Not found"]),
    ] {
        assert_eq!(
            Memcached::probe(S, bytes),
            Guess::Yes,
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(Memcached::probe(S, &bytes[..1]), Guess::Maybe);
        assert_eq!(
            Memcached::probe(C, bytes),
            Guess::No,
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn probe_leaves_the_others() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"PING\r\n",
        b"set foo bar\r\n",
        b"incr foo\r\n",
        b"+OK\r\n",
        b"END\n",
        b"ERROR 42 in line 1\r\n",
        b"VERSION\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        b"\x4a\x00\x00\x00\x0a5.7",
        b"EHLO x\r\n",
        b"delete from t where x\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x80\x7f\x00\x00",
        &binary(0x80, 0, 0, 0, [b"1234", b"k", b""]),
    ] {
        assert_eq!(
            Memcached::probe(C, bytes),
            Guess::No,
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(
            Memcached::probe(S, bytes),
            Guess::No,
            "{}",
            bytes.escape_ascii()
        );
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
        bytes[0] = [bytes[0], 0x80, 0x81, b'g'][n % 4];
        taken += u32::from(Memcached::probe(C, &bytes) == Guess::Yes);
        taken += u32::from(Memcached::probe(S, &bytes) == Guess::Yes);
    }
    assert_eq!(taken, 0);
}
