//! Kafka: length, API key, version, correlation number; replies carry the number.
//!
//! Read: the header of every API; of the bodies what says which topics, group or transaction a request is about, whether
//! a Produce is answered (`acks=0` is not), and the error code at the top of a reply, or of its first partition (Produce,
//! Fetch, ListOffsets, OffsetCommit). Not read: records, errors of further partitions, and login tokens without a header
//! (SaslHandshake version 0), which are asides.
//!
//! Reference: <https://kafka.apache.org/protocol>, KIP-482 (flexible versions), KIP-511 (the header of ApiVersions).

mod api;
mod body;
#[cfg(test)]
mod tests;

use super::{Context, Guess, Loss, Owes, Parser, Part, Request, Response, Step, Unit, Way};
use api::{Api, api};
use body::Cursor;

/// As much of a message is waited for, and read. Chosen: a topic's name has at most 249 bytes.
const SHOWN: usize = 1024;
/// Longest message believed of an unknown connection. Chosen; socket.request.max.bytes is 100 MiB.
const LONGEST_PROBED: i32 = 128 << 20;
/// APIs with a number above are not believed. Chosen: newer ones can be told by their number for a while.
const MOST_APIS: u16 = 300;

/// The parser of one connection.
#[derive(Default)]
pub struct Kafka {
    /// SaslHandshake version 0 was sent: tokens without a header may follow.
    has_tokens: bool,
}

//  0      4       6           8              12
// |length|API key|API version|correlation id|client id (2 + n)|...     request
// |length|correlation id|...                                           reply
const LENGTH: usize = 4;

struct Header<'a> {
    /// Of the whole message, the length field included.
    length: usize,
    key: u16,
    version: u16,
    correlation: u32,
    /// `None`: it is too long to be seen.
    client: Option<&'a [u8]>,
    /// What comes after the client id.
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    /// `None`: it is no header. All of it must be there, or `SHOWN` bytes.
    fn read(bytes: &'a [u8]) -> Option<Header<'a>> {
        let mut cursor = Cursor::new(bytes, false);
        let length = usize::try_from(cursor.i32()?).ok()?;
        let key = u16::try_from(cursor.i16()?).ok()?;
        let version = u16::try_from(cursor.i16()?).ok()?;
        let correlation = cursor.i32()?.cast_unsigned();
        if length < 8 || key > MOST_APIS || version > 50 {
            return None;
        }
        // Its version 0 alone has no client id.
        let has_client = (key, version) != (CONTROLLED_SHUTDOWN, 0);
        if has_client {
            let client = cursor.peek_i16()?;
            if client < -1 || 10 + usize::try_from(client).unwrap_or(0) > length {
                return None;
            }
        }
        let client = if has_client {
            cursor.string().map(Option::unwrap_or_default)
        } else {
            Some(&b""[..])
        };
        Some(Header {
            length: LENGTH + length,
            key,
            version,
            correlation,
            client,
            rest: cursor.rest(),
        })
    }
}

const PRODUCE: u16 = 0;
const CONTROLLED_SHUTDOWN: u16 = 7;
const SASL_HANDSHAKE: u16 = 17;
const API_VERSIONS: u16 = 18;

impl Parser for Kafka {
    // A reply has no mark of its own: its frames may be anyone's.
    const SERVER_TELLS: bool = false;

    fn probe(way: Way, bytes: &[u8]) -> Guess {
        match way {
            Way::ToServer => probe_request(bytes),
            Way::ToClient => probe_reply(bytes),
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let unit = match way {
            Way::ToServer => self.request(bytes, context),
            Way::ToClient => self.reply(bytes, context),
        };
        match unit {
            Ok(unit) => unit.step(),
            Err(step) => step,
        }
    }

    fn lost(&mut self, _: Way) {}
}

/// The message at the front, as much of it as is looked at, and its length.
fn message(bytes: &[u8]) -> Result<(&[u8], usize), Step> {
    let Some(length) = bytes.first_chunk() else {
        return Err(Step::Wait);
    };
    let length = usize::try_from(i32::from_be_bytes(*length));
    let length = length.map_err(|_| Step::Lost(Loss::Malformed))?;
    let length = LENGTH + length;
    match bytes.get(..length.min(SHOWN)) {
        Some(shown) => Ok((shown, length)),
        None => Err(Step::Wait),
    }
}

impl Kafka {
    fn request(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Unit, Step> {
        let (shown, length) = message(bytes)?;
        let Some(header) = Header::read(shown) else {
            if self.has_tokens {
                return Ok(Unit::new(length, Part::Aside));
            }
            return Err(Step::Lost(Loss::Malformed));
        };
        self.has_tokens |= (header.key, header.version) == (SASL_HANDSHAKE, 0);

        let api = api(header.key);
        let mut owes = Owes::Reply;
        let name = api.map_or("", |api| api.name);
        if api.is_some() {
            context.texts.operation(name.as_bytes());
        } else {
            // Too new to have a name here.
            let digit = |n: u16| b'0' + (n % 10) as u8;
            let key = header.key;
            context.texts.operation(&[
                b'A',
                b'p',
                b'i',
                digit(key / 100),
                digit(key / 10),
                digit(key),
            ]);
        }
        context.texts.summary(|line| {
            line.piece(name);
            let Some(api) = api else { return };
            let is_flexible = header.version >= api.flexible;
            let mut cursor = Cursor::new(header.rest, is_flexible);
            // Tagged fields of the header.
            if header.client.is_none() || cursor.tags().is_none() {
                return;
            }
            if header.key == PRODUCE && body::produce_acks(&cursor, header.version) == Some(0) {
                owes = Owes::Nothing;
            }
            let _: Option<()> = body::names(header.key, header.version, &mut cursor, line);
        });
        let request = Request {
            id: Some(u64::from(header.correlation)),
            owes,
            tag: u32::from(header.key) << 16 | u32::from(header.version),
            ..Request::whole()
        };
        Ok(Unit::new(header.length, Part::Request(request)))
    }

    fn reply(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Unit, Step> {
        let (shown, length) = message(bytes)?;
        let mut cursor = Cursor::new(shown.get(LENGTH..).unwrap_or_default(), false);
        let id = cursor.i32().map(|id| u64::from(id.cast_unsigned()));
        let tag = id.and_then(|id| context.asked.with_id(id));
        let Some(id) = id else {
            let is_token = self.has_tokens;
            return if is_token {
                Ok(Unit::new(length, Part::Aside))
            } else {
                Err(Step::Lost(Loss::Malformed))
            };
        };
        if tag.is_none() && self.has_tokens {
            return Ok(Unit::new(length, Part::Aside));
        }
        let code = tag.and_then(|tag| error_of(tag, cursor)).unwrap_or(0);
        if code != 0 {
            context
                .texts
                .status_text(|line| line.piece(api::error(code)));
        }
        // -1, "unknown", has only its name.
        let told = u32::try_from(code).ok().filter(|code| *code != 0);
        let response = Response {
            id: Some(id),
            ..Response::whole(code != 0, told)
        };
        Ok(Unit::new(length, Part::Response(response)))
    }
}

fn error_of(tag: u32, mut cursor: Cursor<'_>) -> Option<i16> {
    let (key, version) = ((tag >> 16) as u16, (tag & 0xffff) as u16);
    let Api { flexible, .. } = api(key)?;
    cursor.is_flexible = version >= flexible;
    // A server that does not know the version asked for must be understood all the same.
    if key != API_VERSIONS {
        cursor.tags()?;
    }
    body::error(key, version, &mut cursor)
}

fn probe_request(bytes: &[u8]) -> Guess {
    let Some(length) = bytes.first_chunk() else {
        return if bytes.first().is_none_or(|byte| *byte < 8) {
            Guess::Maybe
        } else {
            Guess::No
        };
    };
    let length = i32::from_be_bytes(*length);
    if !(10..=LONGEST_PROBED).contains(&length) {
        return Guess::No;
    }
    let Some(key) = bytes.get(4..6).and_then(|key| key.first_chunk()) else {
        return Guess::Maybe;
    };
    let Some(api) = api(u16::from_be_bytes(*key)) else {
        return Guess::No;
    };
    if bytes.len() < 14 {
        return Guess::Maybe;
    }
    let Some(header) = Header::read(bytes) else {
        return Guess::No;
    };
    if header.version > api.newest + 2 || header.correlation > i32::MAX as u32 {
        return Guess::No;
    }
    let Some(client) = header.client else {
        // The whole id is not there yet, and may be none.
        let there = bytes.get(14..).unwrap_or_default();
        let is_text = there.iter().all(|byte| matches!(byte, b' '..=b'~'));
        return if is_text && there.len() <= 256 {
            Guess::Maybe
        } else {
            Guess::No
        };
    };
    // Letters say most; without any, only what a client says first is believed.
    let is_text = client.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let is_it = is_text && (!client.is_empty() || matches!(header.key, 3 | API_VERSIONS));
    if is_it { Guess::Yes } else { Guess::No }
}

/// A reply has nothing to be known by but its length: it is believed where it ends exactly where the bytes do.
fn probe_reply(bytes: &[u8]) -> Guess {
    let mut rest = bytes;
    loop {
        let Some(head) = rest.get(..8) else {
            return if bytes.len() < 8 && bytes.first().is_none_or(|byte| *byte < 8) {
                Guess::Maybe
            } else {
                Guess::No
            };
        };
        let mut cursor = Cursor::new(head, false);
        let (Some(length), Some(id)) = (cursor.i32(), cursor.i32()) else {
            return Guess::No;
        };
        if !(6..=LONGEST_PROBED).contains(&length) || id < 0 {
            return Guess::No;
        }
        rest = match rest.get(LENGTH + length as usize..) {
            None => return Guess::No,
            Some([]) => return Guess::Yes,
            Some(rest) => rest,
        };
    }
}
