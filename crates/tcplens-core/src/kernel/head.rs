//! What a request is, by its first bytes alone: protocol, operation and summary. The parsers of `proto` read what is there;
//! where the head was cut before they can tell, the line or the words that are there are taken.

use std::ops::Range;

use super::tags::begins_with_method;
use crate::proto::{AnyParser, Asked, Context, Guess, Part, Step, Texts, Way};
use crate::record::Protocol;

/// Units that a parser reads of a head at most: what comes before a request (a preface, settings).
const UNITS: usize = 8;

/// What was found; the words lie in the bytes they were written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) protocol: Option<Protocol>,
    /// Operation, summary, status text.
    pub(super) words: [Range<u32>; 3],
}

/// Nothing was asked before.
struct Nothing;

impl Asked for Nothing {
    fn nth(&self, _: usize) -> Option<u32> {
        None
    }

    fn with_id(&self, _: u64) -> Option<u32> {
        None
    }
}

/// Names a request of `length` bytes that begins with `head`, if it is of one of `protocols`. Its words go to `words`.
pub(super) fn name(
    head: &[u8],
    length: u64,
    protocols: &[Protocol],
    summary_bytes: usize,
    words: &mut Vec<u8>,
) -> Named {
    if head.is_empty() {
        return Named::default();
    }
    let is_cut = (head.len() as u64) < length;
    let wanted = |protocol: &&Protocol| protocols.contains(protocol);
    for &protocol in AnyParser::RECOGNISED.iter().filter(wanted) {
        let guess = AnyParser::probe(protocol, Way::ToServer, head);
        // One byte of a head is not enough for anybody.
        if guess == Guess::No || guess == Guess::Maybe && !is_cut {
            continue;
        }
        let mut texts = Texts::new(words, summary_bytes);
        let spoken = match guess {
            Guess::Yes => parse(protocol, head, &mut texts),
            _ => None,
        };
        let spoken = spoken.or_else(|| cut(protocol, head, length, &mut texts));
        if spoken.is_some() || guess == Guess::Yes {
            let [operation, summary, status_text] =
                [texts.operation, texts.summary, texts.status_text];
            return Named {
                protocol: Some(spoken.unwrap_or(protocol)),
                words: [operation, summary, status_text],
            };
        }
    }
    Named::default()
}

/// What its parser says, up to the first request; `None` if that is not all there.
fn parse(protocol: Protocol, head: &[u8], texts: &mut Texts<'_>) -> Option<Protocol> {
    let mut parser = AnyParser::new(protocol)?;
    let mut rest = head;
    for _ in 0..UNITS {
        if rest.is_empty() {
            return None;
        }
        let mut said = Vec::new();
        let mut context = Context {
            asked: &Nothing,
            texts: Texts::new(&mut said, texts.summary_limit()),
            protocol: None,
            is_end: false,
            is_cut: false,
        };
        let Step::Unit(unit) = parser.read(Way::ToServer, rest, &mut context) else {
            return None;
        };
        let spoken = context.protocol.unwrap_or(protocol);
        let found = [context.texts.operation, context.texts.summary];
        if matches!(unit.part, Part::Request(_)) && !found[0].is_empty() {
            let [operation, summary] =
                found.map(|range| said.get(range.start as usize..range.end as usize));
            texts.again(operation.unwrap_or_default(), summary.unwrap_or_default());
            return Some(spoken);
        }
        rest = rest.get(usize::try_from(unit.length).ok()?..)?;
    }
    None
}

/// A request of which only the beginning is there.
fn cut(protocol: Protocol, head: &[u8], length: u64, texts: &mut Texts<'_>) -> Option<Protocol> {
    match protocol {
        Protocol::Http if begins_with_method(head) => {
            let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
            let mut parts = line.split(|byte| *byte == b' ');
            let (method, target) = (parts.next()?, parts.next().unwrap_or_default());
            texts.operation(method);
            texts.summary(|line| {
                line.bytes(method);
                line.blank();
                line.bytes(target);
            });
        }
        Protocol::Redis => {
            let words = bulk_strings(head);
            texts.operation_upper(words.first()?);
            texts.summary(|line| {
                for (n, word) in words.iter().enumerate() {
                    if n > 0 {
                        line.blank();
                    }
                    line.bytes(word);
                }
            });
        }
        Protocol::Memcached => {
            let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
            let verb = line.split(|byte| *byte == b' ').next()?;
            if verb.is_empty() || !verb.iter().all(u8::is_ascii_lowercase) {
                return None;
            }
            texts.operation(verb);
            texts.summary(|out| out.bytes(line));
        }
        // A ClientHello, or what a client of TLS 1.2 says next.
        Protocol::Tls if head.first() == Some(&0x16) => texts.operation(b"handshake"),
        Protocol::Mysql => {
            // Length, number 0, COM_QUERY or COM_STMT_PREPARE.
            let &[a, b, c, number, command] = head.first_chunk()?;
            let name: &[u8] = match command {
                0x03 => b"COM_QUERY",
                0x16 => b"COM_STMT_PREPARE",
                _ => return None,
            };
            if number != 0 || u64::from(u32::from_le_bytes([a, b, c, 0])) + 4 > length {
                return None;
            }
            texts.operation(name);
            texts.summary(|line| line.bytes(head.get(5..).unwrap_or_default()));
        }
        Protocol::Postgres => {
            let (&kind, rest) = head.split_first()?;
            let message = u64::from(u32::from_be_bytes(*rest.first_chunk()?));
            if message + 1 > length {
                return None;
            }
            let text = rest.get(4..)?;
            let text = match kind {
                b'Q' => text,
                // A prepared statement's name goes before its text.
                b'P' => text.splitn(2, |byte| *byte == 0).nth(1)?,
                _ => return None,
            };
            texts.operation(b"query");
            let text = text.split(|byte| *byte == 0).next()?;
            texts.summary(|line| line.bytes(text));
        }
        _ => return None,
    }
    Some(protocol)
}

/// The words of a command in the form `*N`, `$L`, as far as they are there.
fn bulk_strings(head: &[u8]) -> Vec<&[u8]> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = Vec::new();
    if !lines.next().is_some_and(|line| line.starts_with(b"*")) {
        return words;
    }
    while let (Some(size), Some(word)) = (lines.next(), lines.next()) {
        if !size.starts_with(b"$") {
            break;
        }
        words.push(word.strip_suffix(b"\r").unwrap_or(word));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(head: &[u8], length: u64) -> String {
        let mut words = b"before".to_vec();
        let named = name(head, length, AnyParser::RECOGNISED, 48, &mut words);
        let text = |range: &Range<u32>| {
            String::from_utf8_lossy(&words[range.start as usize..range.end as usize]).into_owned()
        };
        match named.protocol {
            Some(protocol) => format!(
                "{protocol:?} {} {:?}",
                text(&named.words[0]),
                text(&named.words[1])
            ),
            None => "nothing".to_owned(),
        }
    }

    fn whole(head: &[u8]) -> String {
        line(head, head.len() as u64)
    }

    #[test]
    fn whole_requests_are_read_by_their_parsers() {
        let get = b"*2\r\n$3\r\nGET\r\n$4\r\nshop\r\n";
        assert_eq!(whole(get), "Redis GET \"GET shop\"");
        let http = b"GET /index.html HTTP/1.1\r\nHost: example.test\r\n\r\n";
        assert_eq!(whole(http), "Http GET \"GET example.test/index.html\"");
        assert_eq!(whole(b"get shop\r\n"), "Memcached get \"get shop\"");
        let query = b"\x09\x00\x00\x00\x03select 1";
        assert_eq!(whole(query), "Mysql COM_QUERY \"select 1\"");
        let query = b"Q\x00\x00\x00\x0dselect 1\0";
        assert_eq!(whole(query), "Postgres query \"select 1\"");
    }

    #[test]
    fn cut_requests_are_named_by_what_is_there() {
        let http = b"POST /a/rather/long/path?with=a&query=that&does=not&end=before&64";
        assert_eq!(
            line(&http[..64], 500),
            "Http POST \"POST /a/rather/long/path?with=a&query=that&does=\""
        );
        let set = b"*3\r\n$3\r\nSET\r\n$4\r\nshop\r\n$5000\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let said = line(set, 5034);
        assert!(said.starts_with("Redis SET \"SET shop aaaa"), "{said}");
        let query = b"\x88\x13\x00\x00\x03select a, b, c from a_table where a in (1, 2, 3, 4, 5, 6";
        let said = line(query, 5004);
        assert!(said.starts_with("Mysql COM_QUERY \"select a, b"), "{said}");
        let query = b"Q\x00\x00\x13\x88select a, b, c from a_table where a in (1, 2, 3, 4, 5";
        let said = line(query, 5001);
        assert!(said.starts_with("Postgres query \"select a, b"), "{said}");
        let set = b"set shop 0 0 5000\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let said = line(set, 5021);
        assert!(said.starts_with("Memcached set \"set shop"), "{said}");
        let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz";
        assert_eq!(line(hello, 517), "Tls handshake \"\"");
        let exchange = b"\x16\x03\x03\x00\x25\x10\0\0\x21\x20abcdef";
        assert_eq!(line(exchange, 93), "Tls handshake \"\"");
        let data = b"\x17\x03\x03\x00\x60abcdefghijk";
        assert_eq!(line(data, 101), "Turn data \"TLS\"");
        let finished = b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x35abcdefghijklmnopqrstuvwxyz";
        assert_eq!(line(finished, 195), "Turn data \"TLS\"");
        let alert = b"\x15\x03\x03\x00\x1aabcdefghijk";
        assert_eq!(line(alert, 31), "Tls  \"\"");
        assert_eq!(
            line(b"GET /index.html ", 82),
            "Http GET \"GET /index.html\""
        );
    }

    #[test]
    fn what_nobody_knows_or_nobody_wants_has_no_name() {
        assert_eq!(whole(b"hello there\n\x01\x02"), "nothing");
        assert_eq!(whole(b""), "nothing");
        assert_eq!(whole(&[0xff; 64]), "nothing");
        let get = b"*2\r\n$3\r\nGET\r\n$4\r\nshop\r\n";
        let mut words = Vec::new();
        let named = name(get, 22, &[Protocol::Http], 48, &mut words);
        assert_eq!(named, Named::default());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1_u32;
        for length in 0..64 {
            for _ in 0..200 {
                let head: Vec<u8> = (0..length)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8
                    })
                    .collect();
                let _ = line(&head, 1000);
            }
        }
        for start in [
            &b"*2\r\n$3\r\n"[..],
            b"Q\0\0\0",
            b"P\0\0\0\x10",
            b"\x03\0\0\0\x03",
            b"GET ",
        ] {
            for end in 0..=start.len() {
                let _ = line(&start[..end], 1000);
            }
        }
    }
}
