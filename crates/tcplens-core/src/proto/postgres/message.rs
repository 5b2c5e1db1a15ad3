//! The layout of PostgreSQL messages, and whether bytes are one. All numbers are big-endian.

use crate::proto::{Guess, Way};

/// Longest message: the server's own limit for what a client sends (PQ_LARGE_MESSAGE_LIMIT, MaxAllocSize).
const LONGEST: u32 = 0x3fff_ffff;
/// Longest start of a connection (MAX_STARTUP_PACKET_LENGTH).
pub(super) const LONGEST_STARTUP: usize = 10_000;
/// Type and length.
pub(super) const HEADER: usize = 5;

/// Codes in the place of a protocol version, in the first message of a connection.
pub(super) mod code {
    pub(crate) const CANCEL: u32 = 80_877_102;
    pub(crate) const SSL: u32 = 80_877_103;
    pub(crate) const GSS: u32 = 80_877_104;
}

/// Type and length of a message.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: u8,
    /// With its header.
    pub(super) whole: usize,
}

/// A length that no message has.
pub(super) struct BadLength;

impl Header {
    /// None: not all of it is there.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, BadLength> {
        let Some([kind, length @ ..]) = bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        match u32::from_be_bytes(*length) {
            length @ 4..=LONGEST => Ok(Some(Header {
                kind: *kind,
                whole: 1 + length as usize,
            })),
            _ => Err(BadLength),
        }
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

/// A string up to a NUL, and what follows the NUL.
pub(super) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (string, rest) = bytes.split_at(end);
    Some((string, rest.get(1..)?))
}

/// What a StartupMessage says by this name.
pub(super) fn parameter<'a>(mut parameters: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while let Some((name, rest)) = string(parameters)
        && let Some((value, rest)) = string(rest)
    {
        if name == wanted {
            return Some(value);
        }
        parameters = rest;
    }
    None
}

/// An ErrorResponse.
#[derive(Default)]
pub(super) struct Failure<'a> {
    pub(super) state: &'a [u8],
    pub(super) message: &'a [u8],
    /// The server closes the connection, instead of getting ready for the next request.
    pub(super) is_fatal: bool,
}

impl<'a> Failure<'a> {
    /// Reads the fields, the last of which may be cut.
    pub(super) fn read(body: &'a [u8]) -> Failure<'a> {
        let mut failure = Failure::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, value)) = field.split_first() else {
                break;
            };
            match kind {
                // The severity: not translated where there is a `V`, which comes behind `S`.
                b'S' | b'V' => failure.is_fatal = matches!(value, b"FATAL" | b"PANIC"),
                b'C' => failure.state = value,
                b'M' => failure.message = value,
                _ => {}
            }
        }
        failure
    }

    /// The SQLSTATE as a number, where it is one.
    pub(super) fn code(&self) -> Option<u32> {
        let is_number = !self.state.is_empty() && self.state.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(self.state).ok()?;
        text.parse().ok().filter(|_| is_number)
    }
}

/// Whether a message begins here.
pub(super) fn probe(way: Way, bytes: &[u8]) -> Guess {
    let Some(&kind) = bytes.first() else {
        return Guess::Maybe;
    };
    if kind == 0 {
        return match way {
            Way::ToServer => startup(bytes),
            Way::ToClient => Guess::No,
        };
    }
    if !is_kind(way, kind) {
        return Guess::No;
    }
    let header = match Header::read(bytes) {
        Ok(Some(header)) => header,
        Ok(None) => return Guess::Maybe,
        Err(BadLength) => return Guess::No,
    };
    let there = bytes.get(HEADER..).unwrap_or_default();
    let body = there.get(..header.whole - HEADER);
    let behind = bytes.get(header.whole..).unwrap_or_default();
    let is_followed =
        behind.first().is_none_or(|kind| is_kind(way, *kind)) && Header::read(behind).is_ok();
    if !is_followed {
        return Guess::No;
    }
    let is_it = match way {
        Way::ToServer => of_client(kind, body, there, !behind.is_empty()),
        Way::ToClient => of_server(kind, body, there, !behind.is_empty()),
    };
    match is_it {
        Some(true) => Guess::Yes,
        Some(false) => Guess::No,
        None => Guess::Maybe,
    }
}

fn is_kind(way: Way, kind: u8) -> bool {
    let kinds: &[u8] = match way {
        Way::ToServer => b"QPBEDCSHFXdcfp",
        Way::ToClient => b"RSKZTDCEN123nstIAGHWdcVv",
    };
    kinds.contains(&kind)
}

fn startup(bytes: &[u8]) -> Guess {
    let (Some(length), Some(code)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else {
        return match bytes {
            [0] | [0, 0, ..] => Guess::Maybe,
            _ => Guess::No,
        };
    };
    let parameters = bytes.get(8..).unwrap_or_default();
    match (code, length) {
        (code::SSL | code::GSS, 8) | (code::CANCEL, 13..=268) => Guess::Yes,
        (0x0003_0000..=0x0003_00ff, 10..=10_000) => {
            let whole = bytes.get(8..length as usize);
            let name = parameters.split(|byte| *byte == 0).next();
            let is_name = |name: &[u8]| {
                name.iter()
                    .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
            };
            match whole {
                Some(whole) if parameter(whole, b"user").is_some() && whole.ends_with(&[0, 0]) => {
                    Guess::Yes
                }
                Some(_) => Guess::No,
                None if name.is_some_and(is_name) => Guess::Maybe,
                None => Guess::No,
            }
        }
        _ => Guess::No,
    }
}

/// Whether a message of a client can look like this; none if more bytes are needed.
fn of_client(kind: u8, body: Option<&[u8]>, there: &[u8], is_followed: bool) -> Option<bool> {
    let cut = there.get(..64).unwrap_or(there);
    Some(match (kind, body) {
        (b'Q', Some([text @ .., 0])) => is_text(text) && !text.is_empty(),
        (b'Q', None) if there.len() >= 64 => is_text(cut),
        (b'P', Some(body)) => string(body)
            .and_then(|(name, rest)| Some((name, string(rest)?)))
            .is_some_and(|(name, (text, rest))| {
                let count = u16_at(rest, 0).map(usize::from);
                is_text(name) && is_text(text) && count.map(|n| 2 + 4 * n) == Some(rest.len())
            }),
        (b'P', None) if there.len() >= 64 => {
            let rest = string(cut).map_or(cut, |(_, rest)| rest);
            !rest.is_empty() && rest.len() + 1 >= cut.len().min(32) && is_text(rest)
        }
        (b'B', Some(body)) => string(body)
            .and_then(|(portal, rest)| Some((portal, string(rest)?)))
            .is_some_and(|(portal, (name, rest))| {
                let count = u16_at(rest, 0);
                is_text(portal)
                    && is_text(name)
                    && count.is_some_and(|n| n < 0x8000)
                    && rest.len() >= 6
            }),
        (b'E', Some(body)) => {
            string(body).is_some_and(|(name, rest)| is_text(name) && rest.len() == 4)
        }
        (b'D' | b'C', Some([b'S' | b'P', name @ .., 0])) => is_text(name),
        // A Terminate says nothing that is worth a guess.
        (b'S' | b'H' | b'c', Some([])) => true,
        (b'f', Some([text @ .., 0])) => is_text(text),
        // Anything may be in it: only its end tells.
        (b'd', Some(_)) => is_followed,
        (b'd', None) | (_, Some(_)) => false,
        // Short but for texts.
        (_, None) if there.len() < 64 => return None,
        (_, None) => false,
    })
}

/// The same of a server.
fn of_server(kind: u8, body: Option<&[u8]>, there: &[u8], is_followed: bool) -> Option<bool> {
    Some(match (kind, body) {
        (b'R', Some(body)) => u32_at(body, 0).is_some_and(|code| code <= 12) && body.len() < 4096,
        (b'Z', Some([b'I' | b'T' | b'E'])) => true,
        (b'C', Some([text @ .., 0])) => {
            text.first().is_some_and(u8::is_ascii_uppercase) && text.len() < 64 && is_text(text)
        }
        (b'E' | b'N', Some([b'S', .., 0, 0])) => true,
        (b'S', Some(body)) => string(body)
            .and_then(|(name, rest)| Some((name, string(rest)?)))
            .is_some_and(|(name, (value, rest))| {
                !name.is_empty() && is_text(name) && is_text(value) && rest.is_empty()
            }),
        (b'K', Some(body)) => body.len() == 8,
        (b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c', Some([])) => true,
        (b'T', _) if body.is_some() || there.len() >= 64 => {
            let name = string(there.get(2..)?).map(|(name, _)| name);
            u16_at(there, 0).is_some_and(|count| count <= MOST_COLUMNS) && name.is_some_and(is_text)
        }
        (b'D', _) if body.is_some() || there.len() >= 64 => is_row(body, there),
        (b't', Some(body)) => {
            u16_at(body, 0).is_some_and(|count| 2 + 4 * usize::from(count) == body.len())
        }
        (b'G' | b'H' | b'W', Some([0 | 1, rest @ ..])) => {
            u16_at(rest, 0).is_some_and(|count| 2 + 2 * usize::from(count) == rest.len())
        }
        (b'A', Some(body)) => body
            .get(4..)
            .and_then(string)
            .and_then(|(name, rest)| Some((name, string(rest)?)))
            .is_some_and(|(name, (_, rest))| is_text(name) && rest.is_empty()),
        (b'd', Some(_)) => is_followed,
        (b'd', None) | (_, Some(_)) => false,
        (_, None) if there.len() < 64 => return None,
        (_, None) => false,
    })
}

/// MaxTupleAttributeNumber.
const MOST_COLUMNS: u16 = 1664;

/// A DataRow: the lengths of its values add up, as far as it is there.
fn is_row(body: Option<&[u8]>, there: &[u8]) -> bool {
    let Some(count) = u16_at(there, 0).filter(|count| *count <= MOST_COLUMNS) else {
        return false;
    };
    let mut rest = body.unwrap_or(there).get(2..).unwrap_or_default();
    for _ in 0..count {
        let Some(length) = u32_at(rest, 0) else {
            return body.is_none();
        };
        let length = match length {
            u32::MAX => 0,
            length => length as usize,
        };
        rest = rest.get(4..).unwrap_or_default();
        match rest.get(length..) {
            Some(behind) => rest = behind,
            // The last value may go on beyond what is there.
            None => return body.is_none() && length < LONGEST as usize,
        }
    }
    body.is_none() || rest.is_empty()
}

/// Text of any character set that contains ASCII.
fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte >= b' ' && *byte != 0x7f || byte.is_ascii_whitespace())
}
