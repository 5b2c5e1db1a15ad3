//! A conversation in every protocol, adapted from the parsers' own tests, and the requests it consists of.

use tcplens_core::record::Protocol;

use crate::wire::{C, S, command};

/// Bytes of one side: a piece of a request or response, or neither (task 0).
pub(crate) struct Said {
    pub side: usize,
    /// Number of the request that they belong to.
    pub task: u64,
    pub bytes: Vec<u8>,
}

pub(crate) struct Conversation {
    pub protocol: Protocol,
    pub port: u16,
    pub said: Vec<Said>,
    /// As [`crate::wire::Got::line`] tells them.
    pub lines: &'static [&'static str],
}

/// Bytes of one side until the other one speaks.
pub(crate) struct Turn {
    pub side: usize,
    pub bytes: Vec<u8>,
}

impl Conversation {
    pub(crate) fn turns(&self) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        for Said { side, bytes, .. } in &self.said {
            match turns.last_mut() {
                Some(turn) if turn.side == *side => turn.bytes.extend(bytes),
                _ => turns.push(Turn {
                    side: *side,
                    bytes: bytes.clone(),
                }),
            }
        }
        turns
    }

    /// How many bytes of each request and its response were said.
    pub(crate) fn bytes(&self) -> Vec<[u64; 2]> {
        let of = |task: u64, side: usize| -> u64 {
            let its = self.said.iter();
            let its = its.filter(|said| said.task == task && said.side == side);
            its.map(|said| said.bytes.len() as u64).sum()
        };
        let tasks = 1..=self.lines.len() as u64;
        tasks
            .map(|task| [C, S].map(|side| of(task, side)))
            .collect()
    }

    /// Of each request the runs of bytes that are its own, by side: first and last position.
    pub(crate) fn places(&self) -> Vec<[Vec<(u32, u32)>; 2]> {
        let most = self.said.iter().map(|said| said.task).max().unwrap_or(0);
        let mut places = vec![[Vec::new(), Vec::new()]; most as usize];
        let mut at = [0; 2];
        for Said { side, task, bytes } in &self.said {
            let (first, last) = (at[*side], at[*side] + bytes.len() as u32 - 1);
            at[*side] = last + 1;
            if *task > 0 {
                places[*task as usize - 1][*side].push((first, last));
            }
        }
        places
    }
}

pub(crate) fn all() -> Vec<Conversation> {
    vec![
        redis(),
        http(),
        http2(),
        memcached(),
        tls(),
        mysql(),
        postgres(),
        mongodb(),
        dns(),
        kafka(),
        websocket(),
        turn(),
    ]
}

fn conversation(
    protocol: Protocol,
    port: u16,
    said: &[(usize, u64, &[u8])],
    lines: &'static [&'static str],
) -> Conversation {
    let said = said.iter().map(|&(side, task, bytes)| Said {
        side,
        task,
        bytes: bytes.to_vec(),
    });
    Conversation {
        protocol,
        port,
        said: said.collect(),
        lines,
    }
}

pub(crate) fn redis() -> Conversation {
    let long = command(&[b"SET", b"long", &[b'v'; 3000]]);
    conversation(
        Protocol::Redis,
        6379,
        &[
            (C, 1, b"*3\r\n$3\r\nset\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"),
            (S, 1, b"+OK\r\n"),
            (C, 2, b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n"),
            (
                C,
                3,
                b"*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$2\r\n-1\r\n",
            ),
            (C, 4, b"*1\r\n$6\r\nNOSUCH\r\n"),
            (S, 2, b"$3\r\nbar\r\n"),
            (S, 3, b"*3\r\n$1\r\na\r\n$0\r\n\r\n$-1\r\n"),
            (S, 4, b"-ERR unknown command 'NOSUCH'\r\n"),
            (C, 5, &long),
            (S, 5, b"+OK\r\n"),
            (C, 6, b"PING\r\n"),
            (S, 6, b"+PONG\r\n"),
            (C, 7, b"SUBSCRIBE a\r\n"),
            (S, 7, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
            (S, 0, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"),
        ],
        &[
            r#"1 Redis SET "set foo bar" 31 -> Ok 5"#,
            r#"2 Redis GET "GET foo" 22 -> Ok 9"#,
            r#"3 Redis LRANGE "LRANGE l 0 -1" 38 -> Ok 22"#,
            r#"4 Redis NOSUCH "NOSUCH" 16 -> Error "-ERR unknown command 'NOSUCH'" 31"#,
            r#"5 Redis SET "SET long vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv" 3032 -> Ok 5"#,
            r#"6 Redis PING "PING" 6 -> Ok 7"#,
            r#"7 Redis SUBSCRIBE "SUBSCRIBE a" 13 -> Ok 30"#,
        ],
    )
}

fn http() -> Conversation {
    const GET: &[u8] = b"GET /big.txt HTTP/1.1\r\nHost: x.test\r\nAccept: */*\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let body = [
        &b"HTTP/1.1 404 Not Found\r\nContent-Length: 2000\r\n\r\n"[..],
        &[b'x'; 2000],
    ]
    .concat();
    conversation(
        Protocol::Http,
        80,
        &[
            (C, 1, GET),
            (S, 1, OK),
            (C, 2, b"POST /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            (S, 0, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (C, 2, b"data"),
            (
                S,
                2,
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
                5;name=\"value\"\r\nhello\r\n00A \r\n0\r\n\r\n56789\r\n0\r\nExpires: never\r\nX: y\r\n\r\n",
            ),
            (C, 3, GET),
            (C, 4, b"HEAD / HTTP/1.0\n\n"),
            (C, 5, b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            (S, 3, &body),
            (S, 4, b"HTTP/1.0 200 OK\nContent-Length: 99\n\n"),
            (S, 5, b"HTTP/1.1 500\r\nContent-Length:1\r\n\r\n!"),
        ],
        &[
            r#"1 Http GET "GET x.test/big.txt" 52 -> Ok 200 "OK" 43"#,
            r#"2 Http POST "POST /up" 66 -> Ok 200 "OK" 121"#,
            r#"3 Http GET "GET x.test/big.txt" 52 -> Error 404 "Not Found" 2048"#,
            r#"4 Http HEAD "HEAD /" 17 -> Ok 200 "OK" 36"#,
            r#"5 Http PUT "PUT /a" 58 -> Error 500 35"#,
        ],
    )
}

fn http2() -> Conversation {
    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }
    fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.extend_from_slice(&[0, name.len() as u8]);
            block.extend_from_slice(name.as_bytes());
            block.push(value.len() as u8);
            block.extend_from_slice(value.as_bytes());
        }
        frame(1, flags, stream, &block)
    }
    let get = |stream| frame(1, 5, stream, b"\x82\x86\x84\x01\x06a.test");
    let ok = |stream| {
        [
            frame(1, 4, stream, b"\x88"),
            frame(0, 1, stream, &[b'b'; 1800]),
        ]
        .concat()
    };
    let post = [
        (":method", "POST"),
        (":path", "/up"),
        (":authority", "b.test"),
    ];
    let call = [
        (":method", "POST"),
        (":path", "/lib.Shelf/Get"),
        (":authority", "g.test:50051"),
        ("content-type", "application/grpc+proto"),
    ];
    let missing = headers(5, 3, &[(":status", "404")]);
    let begun = headers(
        4,
        7,
        &[(":status", "200"), ("content-type", "application/grpc")],
    );
    let trailers = headers(5, 7, &[("grpc-status", "5"), ("grpc-message", "no shelf")]);
    conversation(
        Protocol::Http2,
        8080,
        &[
            (C, 0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            (C, 0, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])),
            (C, 1, &get(1)),
            (S, 0, &frame(4, 0, 0, b"")),
            (S, 0, &frame(4, 1, 0, b"")),
            (S, 1, &ok(1)),
            (C, 0, &frame(4, 1, 0, b"")),
            (C, 2, &get(3)),
            (C, 3, &headers(4, 5, &post)),
            (C, 3, &frame(0, 0, 5, b"some")),
            (S, 2, &missing),
            (C, 3, &frame(0, 1, 5, b"more")),
            (C, 4, &headers(4, 7, &call)),
            (C, 4, &frame(0, 1, 7, b"\0\0\0\0\x01x")),
            (S, 0, &frame(6, 0, 0, b"12345678")),
            (S, 4, &begun),
            (S, 4, &frame(0, 0, 7, b"\0\0\0\0\x01x")),
            (S, 3, &ok(5)),
            (S, 4, &trailers),
        ],
        &[
            r#"1 Http2 GET "GET a.test/" 20 -> Ok 200 1819"#,
            r#"2 Http2 GET "GET a.test/" 20 -> Error 404 22"#,
            r#"3 Http2 POST "POST b.test/up" 79 -> Ok 200 1819"#,
            r#"4 Grpc lib.Shelf/Get "g.test:50051/lib.Shelf/Get" 122 -> Error 5 "NOT_FOUND: no shelf" 115"#,
        ],
    )
}

fn memcached() -> Conversation {
    let big = [b"set big 0 0 2500\r\n", &[b'v'; 2500][..], b"\r\n"].concat();
    conversation(
        Protocol::Memcached,
        11211,
        &[
            (C, 1, b"set foo 0 60 3\r\nbar\r\n"),
            (S, 1, b"STORED\r\n"),
            (C, 2, b"get foo zzz\r\n"),
            (S, 2, b"VALUE foo 0 3\r\nbar\r\nEND\r\n"),
            (C, 3, b"gat 10 foo\r\n"),
            (C, 4, b"touch foo 5\r\n"),
            (C, 5, b"set a 0 0 3 noreply\r\nabc\r\n"),
            (C, 6, b"delete foo\r\n"),
            (S, 3, b"VALUE foo 0 3\r\nbar\r\nEND\r\n"),
            (S, 4, b"TOUCHED\r\n"),
            (S, 6, b"NOT_FOUND\r\n"),
            (C, 7, &big),
            (S, 7, b"SERVER_ERROR object too large for cache\r\n"),
            (C, 8, b"stats\r\n"),
            (S, 8, b"STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n"),
        ],
        &[
            r#"1 Memcached set "set foo 0 60 3" 21 -> Ok 8"#,
            r#"2 Memcached get "get foo zzz" 13 -> Ok 25"#,
            r#"3 Memcached gat "gat 10 foo" 12 -> Ok 25"#,
            r#"4 Memcached touch "touch foo 5" 13 -> Ok 9"#,
            r#"5 Memcached set "set a 0 0 3 noreply" 26 -> None 0"#,
            r#"6 Memcached delete "delete foo" 12 -> Ok 11"#,
            r#"7 Memcached set "set big 0 0 2500" 2520 -> Error "SERVER_ERROR object too large for cache" 41"#,
            r#"8 Memcached stats "stats" 7 -> Ok 32"#,
        ],
    )
}

fn tls() -> Conversation {
    fn record(content: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&[content, 3, 3], &length[..], payload].concat()
    }
    fn sized(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }
    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &sized(body)].concat()
    }
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }
    let data = |length: usize| record(23, &vec![0xaa; length]);
    let extensions = [
        extension(0, &sized(&[&[0][..], &sized(b"example.test")].concat())),
        extension(16, &sized(b"\x02h2\x08http/1.1")),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
    ];
    let hello = [
        &[3, 3],
        &[7; 32][..],
        &[0],
        &sized(&[0x13, 2, 0xc0, 0x2f]),
        &[1, 0],
        &sized(&extensions.concat()),
    ];
    let hello = record(22, &message(1, &hello.concat()));
    let answer = [
        &[3, 3],
        &[9; 32][..],
        &[0, 0x13, 2, 0],
        &sized(&extension(43, &[3, 4])),
    ];
    let flight = [
        record(22, &message(2, &answer.concat())),
        record(20, &[1]),
        [27, 811, 281, 69].map(data).concat(),
    ];
    conversation(
        Protocol::Tls,
        443,
        &[
            (C, 1, &hello),
            (S, 1, &flight.concat()),
            (C, 0, &record(20, &[1])),
            (C, 0, &data(69)),
            (C, 2, &data(59)),
            (S, 2, &data(140)),
            (S, 2, &data(517)),
            (C, 3, &data(100)),
            (C, 3, &data(200)),
            (S, 3, &data(3000)),
            (C, 4, &data(77)),
            (S, 4, &data(88)),
        ],
        &[
            r#"1 Tls handshake "example.test TLS1.3 h2,http/1.1" 108 -> Ok "TLS1.3 TLS_AES_256_GCM_SHA384" 1269"#,
            r#"2 Turn data "TLS" 64 -> Ok 667"#,
            r#"3 Turn data "TLS" 310 -> Ok 3005"#,
            r#"4 Turn data "TLS" 82 -> Ok 93"#,
        ],
    )
}

fn mysql() -> Conversation {
    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let [low, middle, high, _] = (payload.len() as u32).to_le_bytes();
        [&[low, middle, high, sequence], payload].concat()
    }
    fn definition(sequence: u8, name: &str) -> Vec<u8> {
        let length = [name.len() as u8];
        let fixed = b"\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
        let parts = [b"\x03def\0\0\0", &length[..], name.as_bytes(), b"\0", fixed];
        packet(sequence, &parts.concat())
    }
    let query = |text: &[u8]| packet(0, &[b"\x03", text].concat());
    let ok = |sequence| packet(sequence, &[0, 0, 0, 2, 0, 0, 0]);
    let greeting = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0";
    // PROTOCOL_41, SECURE_CONNECTION, DEPRECATE_EOF, CONNECT_WITH_DB.
    let flags: u32 = 1 << 9 | 1 << 15 | 1 << 24 | 1 << 3;
    let login = [
        &flags.to_le_bytes()[..],
        b"\0\0\0\x01\x2d",
        &[0; 23],
        b"app\0\x04abcdshop\0mysql_native_password\0",
    ];
    let rows = [
        packet(1, b"\x02"),
        definition(2, "id"),
        definition(3, "name"),
        packet(4, b"\x011\x03abc"),
        packet(5, &[&b"\x012\xfc\xdc\x05"[..], &[b'n'; 1500]].concat()),
        packet(6, &[0xfe, 0, 0, 0x22, 0, 0, 0]),
    ];
    let error = b"\xff\x28\x04#42000You have an error";
    conversation(
        Protocol::Mysql,
        3306,
        &[
            (S, 0, &packet(0, greeting)),
            (C, 1, &packet(1, &login.concat())),
            (
                S,
                0,
                &packet(2, b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0"),
            ),
            (C, 1, &packet(3, &[7; 32])),
            (S, 0, &packet(4, b"\x01\x03")),
            (S, 1, &ok(5)),
            (C, 2, &query(b"SELECT * FROM t")),
            (S, 2, &rows.concat()),
            (C, 3, &query(b"INSERT 1")),
            (S, 3, &packet(1, error)),
            (C, 4, &packet(0, b"\x0e")),
            (S, 4, &ok(1)),
            (C, 5, &packet(0, b"\x01")),
        ],
        &[
            r#"1 Mysql login "login app@shop" 108 -> Ok 11"#,
            r#"2 Mysql COM_QUERY "SELECT * FROM t" 20 -> Ok 1593"#,
            r#"3 Mysql COM_QUERY "INSERT 1" 13 -> Error 1064 "42000 You have an error" 30"#,
            r#"4 Mysql COM_PING "PING" 5 -> Ok 11"#,
            r#"5 Mysql COM_QUIT "QUIT" 5 -> None 0"#,
        ],
    )
}

fn postgres() -> Conversation {
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind], &length[..], body].concat()
    }
    let start = [
        &b"\0\0\0\x20\0\x03\0\0"[..],
        b"user\0app\0database\0shop\0\0",
    ];
    let ready = message(b'Z', b"I");
    let welcome = [
        message(b'R', b"\0\0\0\0"),
        message(b'S', b"client_encoding\0UTF8\0"),
        message(b'K', b"\0\0\x30\x39\x11\x22\x33\x44"),
        ready.clone(),
    ];
    let column = b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
    let row = message(b'D', b"\0\x01\0\0\0\x015");
    let answer = [
        message(b'T', column),
        row.repeat(100),
        message(b'C', b"SELECT 100\0"),
        ready.clone(),
    ];
    let failed =
        b"SERROR\0VERROR\0C42P01\0Mrelation \"nosuch\" does not exist\0Fparse.c\0\0".as_slice();
    let extended = [
        message(b'P', b"\0SELECT a\n FROM t WHERE a = $1\0\0\0"),
        message(b'B', b"\0\0\0\0\0\x01\0\0\0\x015\0\0"),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ];
    let bound = [
        message(b'1', b""),
        message(b'2', b""),
        message(b'T', column),
        row,
        message(b'C', b"SELECT 1\0"),
        ready.clone(),
    ];
    conversation(
        Protocol::Postgres,
        5432,
        &[
            (C, 1, &start.concat()),
            (S, 0, &message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")),
            (C, 1, &message(b'p', b"SCRAM-SHA-256\0\0\0\0\x03n,,")),
            (S, 0, &message(b'R', b"\0\0\0\x0br=abc")),
            (C, 1, &message(b'p', b"c=biws")),
            (S, 0, &message(b'R', b"\0\0\0\x0cv=x")),
            (S, 1, &welcome.concat()),
            (C, 2, &message(b'Q', b"SELECT  a\n  FROM t\0")),
            (S, 2, &answer.concat()),
            (C, 3, &message(b'Q', b"SELECT * FROM nosuch\0")),
            (S, 3, &[message(b'E', failed), ready].concat()),
            (C, 4, &extended.concat()),
            (S, 4, &bound.concat()),
        ],
        &[
            r#"1 Postgres login "login app@shop" 69 -> Ok 54"#,
            r#"2 Postgres query "SELECT a FROM t" 24 -> Ok 1249"#,
            r#"3 Postgres query "SELECT * FROM nosuch" 26 -> Error "42P01 relation \"nosuch\" does not exist" 76"#,
            r#"4 Postgres execute "SELECT a FROM t WHERE a = $1" 78 -> Ok 69"#,
        ],
    )
}

fn mongodb() -> Conversation {
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
    fn msg(id: i32, to: i32, elements: &[Vec<u8>]) -> Vec<u8> {
        let body = [&[0; 5][..], &document(elements)].concat();
        let length = (body.len() as i32 + 16).to_le_bytes();
        let [id, to, op] = [id, to, 2013].map(i32::to_le_bytes);
        [&length[..], &id, &to, &op, &body].concat()
    }
    let find = |id| {
        let filter = document(&[int("a", 1)]);
        let command = [
            text("find", "items"),
            element(3, "filter", &filter),
            text("$db", "shop"),
        ];
        msg(id, 0, &command)
    };
    let failed = [
        double("ok", 0.0),
        text("errmsg", "not authorized on shop"),
        int("code", 13),
        text("codeName", "Unauthorized"),
    ];
    let ok = |id, to| msg(id, to, &[int("n", 1), double("ok", 1.0)]);
    let ping = msg(9, 0, &[int("ping", 1), text("$db", "admin")]);
    let batch = element(
        5,
        "x",
        &[&400_u32.to_le_bytes()[..], b"\0", &[7; 400]].concat(),
    );
    let large = msg(
        103,
        10,
        &[element(3, "cursor", &document(&[batch])), double("ok", 1.0)],
    );
    conversation(
        Protocol::Mongodb,
        27017,
        &[
            (C, 1, &find(7)),
            (C, 2, &find(8)),
            (C, 3, &ping),
            (S, 3, &ok(100, 9)),
            (S, 2, &msg(101, 8, &failed)),
            (S, 1, &ok(102, 7)),
            (C, 4, &find(10)),
            (S, 4, &large),
        ],
        &[
            r#"1 Mongodb find "find shop.items" 76 -> Ok 45"#,
            r#"2 Mongodb find "find shop.items" 76 -> Error 13 "Unauthorized: not authorized on shop" 110"#,
            r#"3 Mongodb ping "ping admin" 51 -> Ok 45"#,
            r#"4 Mongodb find "find shop.items" 76 -> Ok 459"#,
        ],
    )
}

/// A question for the addresses of `name`, which has two labels of one and four letters.
pub(crate) fn dns_query(id: u16, name: u8, kind: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend(b"\x01\0\0\x01\0\0\0\0\0\0\x01");
    out.push(name);
    out.extend(b"\x04test\0");
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out
}

/// Its answer: a record of four bytes of data.
pub(crate) fn dns_answer(id: u16, rcode: u8, name: u8, kind: u16) -> Vec<u8> {
    let mut out = dns_query(id, name, kind);
    out[2..8].copy_from_slice(&[0x81, 0x80 | rcode, 0, 1, 0, 1]);
    out.extend([0xc0, 12]);
    out.extend(kind.to_be_bytes());
    out.extend(b"\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01");
    out
}

fn dns() -> Conversation {
    let framed =
        |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message[..]].concat();
    let ask = |id, name, kind| framed(dns_query(id, name, kind));
    let answer = |id, rcode, name, kind| framed(dns_answer(id, rcode, name, kind));
    conversation(
        Protocol::Dns,
        53,
        &[
            (C, 1, &ask(1, b'a', 1)),
            (C, 2, &ask(2, b'b', 15)),
            (C, 3, &ask(3, b'c', 16)),
            (S, 3, &answer(3, 0, b'c', 16)),
            (S, 1, &answer(1, 0, b'a', 1)),
            (S, 2, &answer(2, 2, b'b', 15)),
            (C, 4, &ask(4, b'd', 1)),
            (S, 4, &answer(4, 3, b'd', 1)),
        ],
        &[
            r#"1 Dns A "A a.test." 26 -> Ok 0 "NOERROR" 42"#,
            r#"2 Dns MX "MX b.test." 26 -> Error 2 "SERVFAIL" 42"#,
            r#"3 Dns TXT "TXT c.test." 26 -> Ok 0 "NOERROR" 42"#,
            r#"4 Dns A "A d.test." 26 -> Ok 3 "NXDOMAIN" 42"#,
        ],
    )
}

fn kafka() -> Conversation {
    fn framed(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes(), body].concat()
    }
    let ask = |key: u16, version: u16, number: u32, body: &[u8]| {
        let [key, version] = [key, version].map(u16::to_be_bytes);
        framed(
            &[
                &key[..],
                &version,
                &number.to_be_bytes(),
                b"\0\x03app",
                body,
            ]
            .concat(),
        )
    };
    let answer = |number: u32, body: &[u8]| framed(&[&number.to_be_bytes()[..], body].concat());
    let produce = |acks: &[u8]| {
        [
            b"\xff\xff",
            acks,
            b"\0\0\x75\x30\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0\x01\x90",
            &[b'r'; 400],
        ]
        .concat()
    };
    let produced =
        b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    conversation(
        Protocol::Kafka,
        9092,
        &[
            (C, 1, &ask(18, 0, 1, b"")),
            (S, 1, &answer(1, b"\0\0\0\0\0\0")),
            (C, 2, &ask(3, 1, 2, b"\0\0\0\x02\0\x06orders\0\x04logs")),
            (
                C,
                3,
                &ask(12, 3, 3, b"\0\x07billing\0\0\0\x05\0\x01m\xff\xff"),
            ),
            (S, 3, &answer(3, b"\0\0\0\0\0\x1b")),
            (S, 2, &answer(2, &[0; 440])),
            (C, 4, &ask(0, 3, 4, &produce(b"\0\x01"))),
            (C, 5, &ask(0, 3, 5, &produce(b"\0\0"))),
            (S, 4, &answer(4, produced)),
        ],
        &[
            r#"1 Kafka ApiVersions "ApiVersions" 17 -> Ok 14"#,
            r#"2 Kafka Metadata "Metadata orders logs" 35 -> Ok 448"#,
            r#"3 Kafka Heartbeat "Heartbeat billing" 35 -> Error 27 "REBALANCE_IN_PROGRESS" 14"#,
            r#"4 Kafka Produce "Produce orders" 449 -> Ok 50"#,
            r#"5 Kafka Produce "Produce orders" 449 -> None 0"#,
        ],
    )
}

/// Begins as HTTP, as it does in the world.
fn websocket() -> Conversation {
    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let masked = u8::from(mask.is_some()) << 7;
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(masked | length as u8),
            length => {
                frame.push(masked | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        frame.extend(mask.iter().flatten());
        let mask = mask.unwrap_or_default();
        let bytes = payload.iter().zip(mask.iter().cycle());
        frame.extend(bytes.map(|(byte, key)| byte ^ key));
        frame
    }
    let client = |first, payload: &[u8]| frame(first, payload, Some([0x37, 0xfa, 0x21, 0x3d]));
    let server = |first, payload: &[u8]| frame(first, payload, None);
    conversation(
        Protocol::Websocket,
        8081,
        &[
            (
                C,
                1,
                b"GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ),
            (
                S,
                1,
                b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ),
            (S, 0, &server(0x81, b"welcome")),
            (C, 2, &client(0x81, b"one")),
            (C, 3, &client(0x82, &[0; 1600])),
            (S, 2, &server(0x81, b"two")),
            (S, 3, &server(0x82, &[1; 300])),
            (C, 4, &client(0x89, b"p1")),
            (S, 4, &server(0x8a, b"p1")),
            (C, 5, &client(2, b"first")),
            (C, 5, &client(0x80, b"last")),
            (S, 5, &server(1, b"ans")),
            (S, 0, &server(0x89, b"")),
            (S, 5, &server(0x80, b"wer")),
            (C, 6, &client(0x88, b"\x03\xe8bye")),
            (S, 6, &server(0x88, b"\x03\xe8")),
        ],
        &[
            r#"1 Http GET "GET /chat" 63 -> Ok 101 "Switching" 67"#,
            r#"2 Websocket text "text one" 9 -> Ok 5"#,
            r#"3 Websocket binary "binary" 1608 -> Ok 304"#,
            r#"4 Websocket ping "ping" 8 -> Ok 4"#,
            r#"5 Websocket binary "binary" 21 -> Ok 10"#,
            r#"6 Websocket close "close 1000 bye" 11 -> Ok 1000 4"#,
        ],
    )
}

fn turn() -> Conversation {
    let long = [&b"\x01\xfe\x02\xfd"[..], &[0xee; 2000]].concat();
    conversation(
        Protocol::Turn,
        7777,
        &[
            (C, 1, b"\x01\xfe\x02\xfd hello"),
            (S, 1, b"\x01\xfe\x02\xfd you"),
            (C, 2, &long),
            (S, 2, &long),
            (C, 3, b"\x01\xfe\x02\xfd bye"),
            (S, 3, b"\x01\xfe\x02\xfd!"),
        ],
        &[
            r#"1 Turn - "-" 10 -> Ok 8"#,
            r#"2 Turn - "-" 2004 -> Ok 2004"#,
            r#"3 Turn - "-" 8 -> Ok 5"#,
        ],
    )
}
