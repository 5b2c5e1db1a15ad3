//! What the first bytes of a connection or segment must look like to be TLS.

use super::super::{Guess, Way};
use super::record::{HEADER, Record, be24, content, handshake};

/// Bytes of an SSL 2.0 hello before its lists.
const SSL2_HEADER: usize = 11;

/// For bytes that begin with a plausible record.
pub(super) fn probe_record(way: Way, record: Record, bytes: &[u8]) -> Guess {
    let is_hello = match (way, record.content, bytes.get(HEADER)) {
        (_, content::HANDSHAKE, None) => return Guess::Maybe,
        (Way::ToServer, content::HANDSHAKE, Some(&handshake::CLIENT_HELLO))
        | (Way::ToClient, content::HANDSHAKE, Some(&handshake::SERVER_HELLO)) => true,
        (_, content::ALERT, Some(level)) if record.length == 2 && !matches!(level, 1 | 2) => {
            return Guess::No;
        }
        _ => false,
    };
    if is_hello {
        // Length of the message, then its version.
        let Some(&[a, b, c, major, minor]) = bytes.get(HEADER + 1..HEADER + 6) else {
            return Guess::Maybe;
        };
        let is_length = (38..=0xffff).contains(&be24([a, b, c]));
        if !is_length || !matches!((major, minor), (3, 0..=4) | (0x7f, _)) {
            return Guess::No;
        }
    } else if record.is_ssl3() {
        return Guess::No;
    }
    // Whatever follows is a record, too.
    let next = bytes.get(record.total()..).unwrap_or_default();
    if next.len() >= HEADER && Record::read(next).is_none() {
        Guess::No
    } else {
        Guess::Yes
    }
}

/// `0x80 len | type 1 | version | cipher specs' length | session id's | challenge's`.
pub(super) fn probe_ssl2(bytes: &[u8]) -> Guess {
    let is_start = bytes
        .get(2)
        .is_none_or(|kind| *kind == handshake::CLIENT_HELLO)
        && bytes.get(3).is_none_or(|major| *major == 3)
        && bytes.get(4).is_none_or(|minor| *minor <= 4);
    if !is_start {
        return Guess::No;
    }
    let Some(header) = bytes.first_chunk::<SSL2_HEADER>() else {
        return Guess::Maybe;
    };
    let word = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let (ciphers, session, challenge) = (word(5), word(7), word(9));
    let length = 2 + (word(0) & 0x7fff);
    let is_hello = ciphers > 0
        && ciphers.is_multiple_of(3)
        && matches!(session, 0 | 16 | 32)
        && (16..=32).contains(&challenge)
        && length == SSL2_HEADER + ciphers + session + challenge;
    if is_hello { Guess::Yes } else { Guess::No }
}
