//! What the SQL protocols share: SQL text on one line, and the texts of prepared statements.

use std::borrow::Borrow;
use std::collections::VecDeque;

use super::Line;

/// Bytes of a message that are waited for, to show what it says. Chosen: much more than the default of
/// `--summary-bytes`, for text that is indented.
pub(super) const LOOK: usize = 1024;
/// Bytes kept of the text of a prepared statement. Chosen: the default of `--summary-bytes`.
const KEPT: usize = 128;
/// Prepared statements whose text is kept, for each connection. Chosen: 64 of the longest take 8 KiB.
const STATEMENTS: usize = 64;

/// SQL text with each run of white space as one blank.
pub(super) fn write(line: &mut Line<'_>, text: &[u8]) {
    for (n, word) in words(text).enumerate() {
        if line.is_full() {
            return;
        }
        if n > 0 {
            line.blank();
        }
        line.bytes(word);
    }
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| byte.is_ascii_whitespace() || *byte == 0)
        .filter(|word| !word.is_empty())
}

/// Texts of prepared statements by their name or number; the oldest make room for new ones.
#[derive(Debug)]
pub(super) struct Statements<K>(VecDeque<(K, Box<[u8]>)>);

impl<K> Default for Statements<K> {
    fn default() -> Statements<K> {
        Statements(VecDeque::new())
    }
}

impl<K> Statements<K> {
    /// Keeps the front of the text, in the place of what `key` was before.
    pub(super) fn keep<Q>(&mut self, key: K, text: &[u8])
    where
        K: Borrow<Q>,
        Q: PartialEq + ?Sized,
    {
        self.take(key.borrow());
        if self.0.len() >= STATEMENTS {
            self.0.pop_front();
        }
        let mut kept = Vec::with_capacity(text.len().min(KEPT));
        for word in words(text) {
            if !kept.is_empty() {
                kept.push(b' ');
            }
            kept.extend_from_slice(word);
            if kept.len() >= KEPT {
                kept.truncate(KEPT);
                break;
            }
        }
        self.0.push_back((key, kept.into()));
    }

    /// The text of `key`.
    pub(super) fn text<Q>(&self, key: &Q) -> Option<&[u8]>
    where
        K: Borrow<Q>,
        Q: PartialEq + ?Sized,
    {
        let mut newest_first = self.0.iter().rev();
        let (_, text) = newest_first.find(|(known, _)| known.borrow() == key)?;
        Some(text)
    }

    /// The latest text that was kept.
    pub(super) fn latest(&self) -> Option<&[u8]> {
        self.0.back().map(|(_, text)| &**text)
    }

    /// The text of `key`, no longer kept.
    pub(super) fn take<Q>(&mut self, key: &Q) -> Option<Box<[u8]>>
    where
        K: Borrow<Q>,
        Q: PartialEq + ?Sized,
    {
        let at = self.0.iter().position(|(known, _)| known.borrow() == key)?;
        self.0.remove(at).map(|(_, text)| text)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::proto::{Guess, Way};

    /// First bytes of other protocols, of both ways, and which protocol they are of.
    const OTHERS: &[(&str, &[u8])] = &[
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("http", b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ("http2", b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\0\xff\xff\0\x06\0\0\x40\0"),
        ("http2", b"\0\0\0\x04\x01\0\0\0\0"),
        ("redis", b"*1\r\n$4\r\nPING\r\n"),
        ("redis", b"*3\r\n$3\r\nSET\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"),
        ("redis", b"+OK\r\n"),
        ("redis", b"-ERR unknown command\r\n"),
        ("redis", b"$-1\r\n"),
        ("redis", b"PING\r\n"),
        ("memcached", b"get foo\r\n"),
        ("memcached", b"set foo 0 0 3\r\nbar\r\n"),
        ("memcached", b"VALUE foo 0 3\r\nbar\r\nEND\r\n"),
        ("memcached", b"END\r\n"),
        ("memcached", b"\x80\x00\0\x03\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0foo"),
        ("memcached", b"\x81\x00\0\0\x04\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bar"),
        ("tls", b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x20"),
        ("tls", b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x20"),
        ("tls", b"\x15\x03\x03\x00\x02\x02\x28"),
        ("tls", b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x1a\xa3\x01\x99\x12\x01\x02\x03"),
        ("tls", b"\x17\x03\x03\x00\x17\xa3\x01\x99\x12\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"),
        ("dns", b"\x00\x1d\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"),
        ("kafka", b"\0\0\0\x1b\0\x12\0\x03\0\0\0\x01\0\x07adminui\0\x04abc\x041.0\0"),
        ("kafka", b"\0\0\0\x0a\0\0\0\x01\0\0\0\0\0\0"),
        ("websocket", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("websocket", b"\x81\x05Hello"),
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        ("smtp", b"220 mail.example ESMTP Postfix\r\n"),
        ("ldap", b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"),
        ("amqp", b"AMQP\x00\x00\x09\x01"),
        ("mqtt", b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd"),
        ("zeros", &[0; 64]),
        ("ones", &[0xff; 64]),
        ("mysql", b"\x09\0\0\0\x03select 1"),
        ("mysql", b"\x51\0\0\0\x16select a, b, c from t where a = ? and b = ? and c = ? and d in (?, ?, ?, ?, ?)"),
        ("mysql", b"\x58\0\0\0\x04t\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("mysql", b"\x07\0\0\x01\0\0\0\x02\0\0\0"),
        ("mysql", b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0"),
        ("postgres", b"\0\0\0\x08\x04\xd2\x16\x2f"),
        ("postgres", b"\0\0\0\x12\0\x03\0\0user\0app\0\0"),
        ("postgres", b"Q\0\0\0\x0dSELECT 1\0"),
        ("postgres", b"X\0\0\0\x04"),
        ("postgres", b"R\0\0\0\x08\0\0\0\0"),
        ("postgres", b"Z\0\0\0\x05I"),
        ("mongodb", b"\x37\0\0\0\x03\x01\x01\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x22\0\0\0\x01hello\0\0\0\0\0\0\0\xf0?\x02$db\0\x06\0\0\0admin\0\0"),
        ("mongodb", b"\x37\0\0\0\x04\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x22\0\0\0\x01hello\0\0\0\0\0\0\0\xf0?\x02$db\0\x06\0\0\0admin\0\0"),
        ("mongodb", b"\x37\0\0\0\x11\x41\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x22\0\0\0\x01hello\0\0\0\0\0\0\0\xf0?\x02$db\0\x06\0\0\0admin\0\0"),
        ("mongodb", b"\x26\0\0\0\x0a\x35\x2e\0\x07\0\0\0\xdd\x07\0\0\0\0\0\0\0\x11\0\0\0\x01ok\0\0\0\0\0\0\0\xf0?\0"),
    ];

    /// No first bytes of other protocols, and no random ones, are taken, whole or cut.
    pub(in crate::proto) fn leaves_others(probe: impl Fn(Way, &[u8]) -> Guess, own: &str) {
        for (protocol, bytes) in OTHERS {
            for way in [Way::ToServer, Way::ToClient] {
                for length in 0..=bytes.len() {
                    let guess = probe(way, &bytes[..length]);
                    if *protocol != own {
                        assert_ne!(guess, Guess::Yes, "{protocol} {way:?} {bytes:x?} {length}");
                    }
                }
            }
        }
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut bytes = [0; 96];
        for _ in 0..200_000 {
            for chunk in bytes.chunks_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
            }
            for way in [Way::ToServer, Way::ToClient] {
                let length = (state % 96) as usize;
                assert_ne!(probe(way, &bytes[..length]), Guess::Yes, "{bytes:x?}");
            }
        }
    }
}
