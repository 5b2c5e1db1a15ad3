//! Whether a request or a reply of redis begins here.

use super::request::Words;
use super::{Read, number};
use crate::proto::{Guess, Step};

/// More words than this in the first request are not believed.
const MOST_WORDS: i64 = 1 << 20;
/// Longest line looked at.
const LONGEST_LINE: usize = 512;

pub(super) fn request(bytes: &[u8]) -> Guess {
    match bytes.first() {
        None => Guess::Maybe,
        Some(b'*') => guess(command(bytes)),
        Some(byte) if byte.is_ascii_alphabetic() => inline(bytes),
        Some(_) => Guess::No,
    }
}

pub(super) fn reply(bytes: &[u8]) -> Guess {
    let Some(kind) = bytes.first() else {
        return Guess::Maybe;
    };
    match kind {
        b'+' => simple(bytes),
        b'-' => error(bytes),
        b':' => guess(number(bytes, 1).map(|_| true)),
        b'$' | b'=' | b'!' => guess(string(bytes)),
        b'*' | b'%' | b'~' | b'>' | b'|' => guess(values(bytes)),
        b'_' => starts(bytes, b"_\r\n"),
        b'#' => either(starts(bytes, b"#t\r\n"), starts(bytes, b"#f\r\n")),
        // Numbers of RESP3 alone say too little.
        _ => Guess::No,
    }
}

/// What was read to the end tells; what the bytes do not suffice for may be.
fn guess(read: Read<bool>) -> Guess {
    match read {
        Ok(true) => Guess::Yes,
        Ok(false) | Err(Step::Lost(_) | Step::Unit(_)) => Guess::No,
        Err(Step::Wait) => Guess::Maybe,
    }
}

fn either(one: Guess, other: Guess) -> Guess {
    match (one, other) {
        (Guess::No, guess) | (guess, Guess::No) => guess,
        (Guess::Yes, _) | (_, Guess::Yes) => Guess::Yes,
        _ => Guess::Maybe,
    }
}

fn starts(bytes: &[u8], with: &[u8]) -> Guess {
    if bytes.starts_with(with) {
        Guess::Yes
    } else if with.starts_with(bytes) {
        Guess::Maybe
    } else {
        Guess::No
    }
}

/// An array whose first element is a word that may be a command.
fn command(bytes: &[u8]) -> Read<bool> {
    let (count, at) = number(bytes, 1)?;
    if !(1..=MOST_WORDS).contains(&count) {
        return Ok(false);
    }
    match bytes.get(at) {
        None => return Err(Step::Wait),
        Some(b'$') => {}
        Some(_) => return Ok(false),
    }
    let (length, start) = number(bytes, at + 1)?;
    if !(1..=48).contains(&length) {
        return Ok(false);
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let word = rest.get(..length as usize).unwrap_or(rest);
    let is_word = word.iter().enumerate().all(|(n, byte)| match byte {
        b'.' | b'-' | b'_' | b'|' | b'0'..=b'9' => n > 0,
        byte => byte.is_ascii_alphabetic(),
    });
    if !is_word {
        return Ok(false);
    }
    match rest.get(length as usize..).unwrap_or_default() {
        [] | [b'\r'] => Err(Step::Wait),
        after => Ok(after.starts_with(b"\r\n")),
    }
}

/// A line typed by hand or sent by a health check: only commands whose words no other protocol uses so.
fn inline(bytes: &[u8]) -> Guess {
    let shown = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let end = shown.iter().position(|byte| *byte == b'\n');
    let line = &shown[..end.unwrap_or(shown.len())];
    let is_text = line
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r'));
    if !is_text {
        return Guess::No;
    }
    let mut words = Words(line.trim_ascii_end()).map(|word| word.bytes);
    let verb = words.next().unwrap_or_default();
    let mut upper = [0; 16];
    let Some(upper) = upper.get_mut(..verb.len()) else {
        return Guess::No;
    };
    upper.copy_from_slice(verb);
    upper.make_ascii_uppercase();
    if end.is_none() {
        let is_begun = COMMANDS.iter().any(|(name, ..)| name.starts_with(upper));
        return if is_begun && shown.len() < LONGEST_LINE {
            Guess::Maybe
        } else {
            Guess::No
        };
    }
    let Some((_, fewest, most)) = COMMANDS.iter().find(|(name, ..)| *name == upper) else {
        return Guess::No;
    };
    let is_http = |word: &[u8]| word.starts_with(b"/") || word.starts_with(b"http://");
    let arguments = line.get(verb.len()..).unwrap_or_default();
    if upper == b"GET" && Words(arguments).any(|word| is_http(word.bytes)) {
        return Guess::No;
    }
    if !(*fewest..=*most).contains(&words.count()) {
        return Guess::No;
    }
    let arguments = Words(arguments).map(|word| word.bytes);
    if verb.iter().all(u8::is_ascii_lowercase) && is_memcached(upper, arguments) {
        return Guess::No;
    }
    Guess::Yes
}

const MANY: usize = usize::MAX;

/// Commands and how many arguments they take at least and at most. Left out: what SMTP, FTP, IMAP, IRC, HTTP or NATS
/// may say too (AUTH LOGIN, TYPE I, INFO, PING with an argument).
const COMMANDS: [(&[u8], usize, usize); 56] = [
    (b"APPEND", 2, 2),
    (b"BGSAVE", 0, 1),
    (b"CLIENT", 1, MANY),
    (b"CLUSTER", 1, MANY),
    (b"COMMAND", 0, MANY),
    (b"CONFIG", 2, MANY),
    (b"DBSIZE", 0, 0),
    (b"DEBUG", 1, MANY),
    (b"DECR", 1, 1),
    (b"DECRBY", 2, 2),
    (b"DEL", 1, MANY),
    (b"EVAL", 2, MANY),
    (b"EXISTS", 1, MANY),
    (b"EXPIRE", 2, 3),
    (b"FLUSHALL", 0, 1),
    (b"FLUSHDB", 0, 1),
    (b"GET", 1, 1),
    (b"GETSET", 2, 2),
    (b"HDEL", 2, MANY),
    (b"HGET", 2, 2),
    (b"HGETALL", 1, 1),
    (b"HMGET", 2, MANY),
    (b"HMSET", 3, MANY),
    (b"HSET", 3, MANY),
    (b"INCR", 1, 1),
    (b"INCRBY", 2, 2),
    (b"KEYS", 1, 1),
    (b"LINDEX", 2, 2),
    (b"LLEN", 1, 1),
    (b"LPOP", 1, 2),
    (b"LPUSH", 2, MANY),
    (b"LRANGE", 3, 3),
    (b"MGET", 1, MANY),
    (b"MONITOR", 0, 0),
    (b"MSET", 2, MANY),
    (b"MULTI", 0, 0),
    (b"PING", 0, 0),
    (b"PSYNC", 2, 3),
    (b"PUBLISH", 2, 2),
    (b"REPLCONF", 2, MANY),
    (b"RPOP", 1, 2),
    (b"RPUSH", 2, MANY),
    (b"SADD", 2, MANY),
    (b"SCAN", 1, MANY),
    (b"SELECT", 1, 1),
    (b"SET", 2, MANY),
    (b"SETEX", 3, 3),
    (b"SETNX", 2, 2),
    (b"SMEMBERS", 1, 1),
    (b"SUBSCRIBE", 1, MANY),
    (b"SYNC", 0, 0),
    (b"TTL", 1, 1),
    (b"XADD", 4, MANY),
    (b"ZADD", 3, MANY),
    (b"ZRANGE", 3, MANY),
    (b"ZSCORE", 2, 2),
];

/// Whether memcached's text protocol, whose verbs are in lower case, may say the same.
fn is_memcached<'a>(verb: &[u8], arguments: impl Iterator<Item = &'a [u8]>) -> bool {
    match verb {
        b"GET" => true,
        b"SET" | b"APPEND" => {
            let mut numbers = arguments.skip(1).take(3);
            let is_number = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
            let count = numbers.by_ref().take_while(|word| is_number(word)).count();
            count == 3
        }
        _ => false,
    }
}

/// Simple strings that redis sends and, with CRLF behind, nobody else: POP3 says more after its `+OK`.
const SIMPLE: [&[u8]; 11] = [
    b"+OK\r\n",
    b"+PONG\r\n",
    b"+QUEUED\r\n",
    b"+RESET\r\n",
    b"+string\r\n",
    b"+none\r\n",
    b"+list\r\n",
    b"+hash\r\n",
    b"+FULLRESYNC ",
    b"+CONTINUE",
    b"+Background saving started\r\n",
];

fn simple(bytes: &[u8]) -> Guess {
    let known = SIMPLE
        .iter()
        .fold(Guess::No, |guess, text| either(guess, starts(bytes, text)));
    if known != Guess::No || !bytes.get(1).is_some_and(u8::is_ascii_digit) {
        return known;
    }
    match super::reply::is_monitor(bytes) {
        Some(true) => Guess::Yes,
        Some(false) => Guess::No,
        None => Guess::Maybe,
    }
}

/// Beginnings of errors; POP3's are `-ERR` too, with words of its own.
const ERRORS: [&[u8]; 38] = [
    b"-ASK ",
    b"-BUSY ",
    b"-BUSYGROUP ",
    b"-BUSYKEY ",
    b"-CLUSTERDOWN ",
    b"-CROSSSLOT ",
    b"-DENIED ",
    b"-ERR DB index ",
    b"-ERR Protocol error",
    b"-ERR Unknown ",
    b"-ERR increment ",
    b"-ERR index ",
    b"-ERR invalid expire",
    b"-ERR invalid password",
    b"-ERR max number of clients",
    b"-ERR no such key",
    b"-ERR syntax error\r",
    b"-ERR unknown ",
    b"-ERR value is not ",
    b"-ERR wrong number of arguments",
    b"-EXECABORT ",
    b"-IOERR ",
    b"-LOADING ",
    b"-MASTERDOWN ",
    b"-MISCONF ",
    b"-MOVED ",
    b"-NOAUTH ",
    b"-NOGROUP ",
    b"-NOPERM ",
    b"-NOREPLICAS ",
    b"-NOSCRIPT ",
    b"-NOTBUSY ",
    b"-OOM ",
    b"-READONLY ",
    b"-TRYAGAIN ",
    b"-UNBLOCKED ",
    b"-WRONGPASS ",
    b"-WRONGTYPE ",
];

fn error(bytes: &[u8]) -> Guess {
    ERRORS
        .iter()
        .fold(Guess::No, |guess, text| either(guess, starts(bytes, text)))
}

/// A length, so many bytes, CRLF.
fn string(bytes: &[u8]) -> Read<bool> {
    let (length, start) = number(bytes, 1)?;
    let Ok(length) = usize::try_from(length) else {
        return Ok(length == -1 && bytes.first() == Some(&b'$'));
    };
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.get(length..) {
        // Too long to be seen here; the first line alone is peculiar enough.
        None | Some([]) => Ok(true),
        Some(end) => Ok(end.starts_with(b"\r\n") || end == b"\r"),
    }
}

/// A count, and a value that begins.
fn values(bytes: &[u8]) -> Read<bool> {
    let (count, at) = number(bytes, 1)?;
    match bytes.get(at) {
        _ if count <= 0 => Ok(count == 0 || (count == -1 && bytes.first() == Some(&b'*'))),
        None => Err(Step::Wait),
        Some(kind) => {
            Ok(b"+-:$*_,#(=!%~".contains(kind)
                && bytes.get(at + 1).is_none_or(u8::is_ascii_graphic))
        }
    }
}
