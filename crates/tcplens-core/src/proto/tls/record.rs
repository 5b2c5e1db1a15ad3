//! The record layer (RFC 8446 5.1) as far as it is not encrypted: headers, and handshake messages that span records.

use std::borrow::Cow;

/// Type, version, length.
pub(super) const HEADER: usize = 5;
/// Type and length of a handshake message.
const MESSAGE_HEADER: usize = 4;
/// Longest record: 2^14 with room for compression and encryption (RFC 5246 6.2.3).
const LONGEST: u16 = 16384 + 2048;
/// Longest record of TLS 1.3 (RFC 8446 5.2), and in practice of every version.
const LONGEST_USUAL: u16 = 16384 + 256;
/// Least that is encrypted: an authentication tag. Nobody sends less.
const SHORTEST_CIPHERTEXT: u16 = 17;
/// Longest encrypted alert: blocks, a long MAC. Chosen.
const LONGEST_ALERT: u16 = 128;
/// Longest hello that is collected. Chosen: with large post-quantum keys they have 2 KiB.
const LONGEST_HELLO: usize = 32 * 1024;

/// Bytes of records it may be spread over; one more record must fit into the 64 KiB that are kept.
const LONGEST_SPAN: usize = 40 * 1024;

/// Content types.
pub(super) mod content {
    pub(in super::super) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in super::super) const ALERT: u8 = 21;
    pub(in super::super) const HANDSHAKE: u8 = 22;
    pub(in super::super) const DATA: u8 = 23;
    pub(in super::super) const HEARTBEAT: u8 = 24;
}

/// Types of handshake messages.
pub(super) mod handshake {
    pub(in super::super) const CLIENT_HELLO: u8 = 1;
    pub(in super::super) const SERVER_HELLO: u8 = 2;
    pub(in super::super) const SERVER_HELLO_DONE: u8 = 14;
}

/// A record's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) content: u8,
    minor: u8,
    /// Without the header.
    pub(super) length: u16,
}

impl Record {
    /// `None`: too few bytes, or no record.
    pub(super) fn read(bytes: &[u8]) -> Option<Record> {
        let [content, 3, minor @ 0..=4, high, low] = *bytes.first_chunk::<HEADER>()? else {
            return None;
        };
        let length = u16::from_be_bytes([high, low]);
        let is_known = matches!(content, content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT);
        // Only data can be empty (RFC 5246 6.2.1).
        let is_length = length <= LONGEST && (length > 0 || content == content::DATA);
        (is_known && is_length).then_some(Record {
            content,
            minor,
            length,
        })
    }

    /// With its header.
    pub(super) fn total(self) -> usize {
        HEADER + usize::from(self.length)
    }

    pub(super) fn payload(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(HEADER..self.total())
    }

    /// Whether bytes that may be anything are likely to be this record.
    pub(super) fn is_plausible(self) -> bool {
        let length = self.length;
        match self.content {
            content::CHANGE_CIPHER_SPEC => length == 1,
            content::ALERT => {
                length == 2 || (SHORTEST_CIPHERTEXT..=LONGEST_ALERT).contains(&length)
            }
            content::HANDSHAKE => (MESSAGE_HEADER as u16..=LONGEST_USUAL).contains(&length),
            content::DATA => (SHORTEST_CIPHERTEXT..=LONGEST_USUAL).contains(&length),
            _ => false,
        }
    }

    pub(super) fn is_ssl3(self) -> bool {
        self.minor == 0
    }
}

/// The first handshake message of the records at the front.
pub(super) enum First<'a> {
    /// More bytes are needed.
    Wait,
    /// No record follows where the message goes on, or it is too long.
    Broken,
    /// Body without type and length, all handshake bytes of the records it is in, and how long these are.
    Message {
        body: Cow<'a, [u8]>,
        all: Cow<'a, [u8]>,
        length: usize,
    },
}

/// Collects it. Copies only if it spans records.
pub(super) fn first_message(bytes: &[u8]) -> First<'_> {
    let mut all = Cow::Borrowed(&[][..]);
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(record) = Record::read(rest) else {
            return if rest.len() < HEADER {
                First::Wait
            } else {
                First::Broken
            };
        };
        if record.content != content::HANDSHAKE {
            return First::Broken;
        }
        let Some(payload) = record.payload(rest) else {
            return First::Wait;
        };
        if at == 0 {
            all = Cow::Borrowed(payload);
        } else {
            all.to_mut().extend_from_slice(payload);
        }
        at += record.total();
        if at > LONGEST_SPAN {
            return First::Broken;
        }
        let Some([_, length @ ..]) = all.first_chunk::<MESSAGE_HEADER>() else {
            continue;
        };
        let end = MESSAGE_HEADER + be24(*length);
        if end > LONGEST_HELLO {
            return First::Broken;
        }
        if all.len() >= end {
            let body = match &all {
                Cow::Borrowed(all) => Cow::Borrowed(&all[MESSAGE_HEADER..end]),
                Cow::Owned(all) => Cow::Owned(all[MESSAGE_HEADER..end].to_vec()),
            };
            return First::Message {
                body,
                all,
                length: at,
            };
        }
    }
}

pub(super) fn be24([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

/// A walk over the handshake messages of one direction, which may begin and end anywhere in records.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Bytes of the current message that are still to come.
    left: u32,
    /// Its type and length, as far as they came.
    header: [u8; MESSAGE_HEADER],
    have: u8,
}

impl Walk {
    /// Goes over the payload of a record; whether a message of this type ended in it.
    pub(super) fn passes(&mut self, mut payload: &[u8], wanted: u8) -> bool {
        let mut found = false;
        while let Some((first, rest)) = payload.split_first() {
            if self.left > 0 {
                let step = payload.len().min(self.left as usize);
                self.left -= step as u32;
                payload = payload.get(step..).unwrap_or_default();
            } else {
                self.header[usize::from(self.have)] = *first;
                self.have += 1;
                payload = rest;
                if usize::from(self.have) == MESSAGE_HEADER {
                    let [_, length @ ..] = self.header;
                    self.left = be24(length) as u32;
                    self.have = 0;
                }
            }
            found |= self.have == 0 && self.left == 0 && self.header[0] == wanted;
        }
        found
    }
}
