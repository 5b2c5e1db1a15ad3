//! The binary protocol: a header of 24 bytes, then extras, key and value.

use super::{LONGEST_KEY, MAGIC_REQUEST, hash};
use crate::proto::{Context, Guess, Loss, Outcome, Owes, Part, Request, Response, Step, Unit, Way};

//  0      1      2          4       5         6               8         12      16        24
// | magic|opcode|key length|extras |data type|vbucket, status|body (4) |opaque |cas (8)  | extras, key, value
const HEADER: usize = 24;

/// Longest body believed. Chosen: items have at most 1 GiB.
const LONGEST_BODY: usize = 1 << 31;
/// Quiet requests that a reply may have to pass over to find its own. Chosen.
const MOST_QUIET: usize = 4096;

mod opcode {
    pub(super) const STAT: u8 = 0x10;
    pub(super) const QUITQ: u8 = 0x17;
}

/// Names by opcode: those of the text commands, `q` for quiet, `k` for "with its key".
const NAMES: [&str; 0x25] = [
    "get",
    "set",
    "add",
    "replace",
    "delete",
    "incr",
    "decr",
    "quit",
    "flush_all",
    "getq",
    "noop",
    "version",
    "getk",
    "getkq",
    "append",
    "prepend",
    "stats",
    "setq",
    "addq",
    "replaceq",
    "deleteq",
    "incrq",
    "decrq",
    "quitq",
    "flush_allq",
    "appendq",
    "prependq",
    "verbosity",
    "touch",
    "gat",
    "gatq",
    "hello",
    "sasl_list_mechs",
    "sasl_auth",
    "sasl_step",
    "gatk",
    "gatkq",
];

fn is_quiet(opcode: u8) -> bool {
    matches!(opcode, 0x09 | 0x0d | 0x11..=0x1a | 0x1e | 0x24)
}

/// The key comes with the reply.
fn repeats_key(opcode: u8) -> bool {
    matches!(opcode, 0x0c | 0x0d | 0x23 | 0x24)
}

/// Misses and what is like them: nothing is wrong with the server or the request.
fn is_error(status: u16) -> bool {
    !matches!(
        status,
        0 | STATUS_NOT_FOUND | STATUS_EXISTS | STATUS_NOT_STORED | STATUS_AUTH_MORE
    )
}

const STATUS_NOT_FOUND: u16 = 1;
const STATUS_EXISTS: u16 = 2;
const STATUS_NOT_STORED: u16 = 5;
const STATUS_AUTH_MORE: u16 = 0x21;

struct Header {
    magic: u8,
    opcode: u8,
    key: usize,
    extras: usize,
    data_type: u8,
    status: u16,
    body: usize,
    opaque: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Some(Header {
            magic: bytes[0],
            opcode: bytes[1],
            key: usize::from(u16_at(2)),
            extras: usize::from(bytes[4]),
            data_type: bytes[5],
            status: u16_at(6),
            body: u32_at(8) as usize,
            opaque: u32_at(12),
        })
    }

    /// The lengths agree.
    fn is_sane(&self) -> bool {
        self.key <= 4 * LONGEST_KEY
            && self.extras + self.key <= self.body
            && self.body < LONGEST_BODY
    }

    fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = HEADER + self.extras;
        bytes.get(start..start + self.key).unwrap_or_default()
    }

    /// Opcode, and where the key comes with the reply some of it: the opaque alone is the same for many requests of
    /// some clients.
    fn tag(&self, bytes: &[u8]) -> u32 {
        let key = self.key(bytes);
        let label = if repeats_key(self.opcode) && !key.is_empty() {
            hash(0, key)
        } else {
            0
        };
        u32::from(self.opcode) << 24 | label
    }

    fn id(&self, tag: u32) -> u64 {
        u64::from(tag) << 32 | u64::from(self.opaque)
    }

    fn length(&self) -> usize {
        HEADER + self.body
    }
}

fn header(bytes: &[u8], with_body: usize) -> Result<Header, Step> {
    let header = Header::read(bytes).ok_or(Step::Wait)?;
    if !header.is_sane() {
        return Err(Step::Lost(Loss::Malformed));
    }
    let needed = (header.extras + header.key).max(with_body.min(header.body));
    if bytes.len() < HEADER + needed {
        return Err(Step::Wait);
    }
    Ok(header)
}

pub(super) fn request(bytes: &[u8], context: &mut Context<'_>) -> Result<Unit, Step> {
    let header = header(bytes, 0)?;
    let unknown = [b'0', b'x', digit(header.opcode >> 4), digit(header.opcode)];
    let name = NAMES.get(usize::from(header.opcode));
    let name = name.map_or(&unknown[..], |name| name.as_bytes());
    let key = header.key(bytes);
    context.texts.operation(name);
    context.texts.summary(|line| {
        line.bytes(name);
        if !key.is_empty() {
            line.blank();
            line.bytes(key);
        }
    });
    let tag = header.tag(bytes);
    let owes = match header.opcode {
        opcode::QUITQ => Owes::Nothing,
        opcode if is_quiet(opcode) => Owes::Perhaps,
        _ => Owes::Reply,
    };
    let request = Request {
        id: Some(header.id(tag)),
        owes,
        tag,
        ..Request::whole()
    };
    Ok(Unit::new(header.length(), Part::Request(request)))
}

pub(super) fn reply(bytes: &[u8], context: &mut Context<'_>) -> Result<Unit, Step> {
    // An error says what it is in its body.
    let header = header(bytes, 0)?;
    let is_error = is_error(header.status);
    if is_error {
        let shown = header.body.min(256);
        let Some(body) = bytes.get(HEADER..HEADER + shown) else {
            return Err(Step::Wait);
        };
        let text = body.get(header.extras + header.key..).unwrap_or_default();
        context.texts.status_text(|line| line.bytes(text));
    }
    let mut id = header.id(header.tag(bytes));
    if repeats_key(header.opcode) && context.asked.with_id(id).is_none() {
        // An error comes without the key.
        let same = (0..MOST_QUIET)
            .map_while(|n| context.asked.nth(n))
            .filter(|tag| tag >> 24 == u32::from(header.opcode))
            .map(|tag| header.id(tag))
            .find(|id| context.asked.with_id(*id).is_some());
        id = same.unwrap_or(id);
    }
    let is_last = header.opcode != opcode::STAT || header.body == 0 || header.status != 0;
    let code = (header.status != 0).then_some(u32::from(header.status));
    let response = Response {
        restarts: false,
        id: Some(id),
        ends: is_last,
        outcome: Some(Outcome { is_error, code }),
    };
    Ok(Unit::new(header.length(), Part::Response(response)))
}

fn digit(n: u8) -> u8 {
    b"0123456789abcdef"[usize::from(n & 15)]
}

pub(super) fn probe(way: Way, bytes: &[u8]) -> Guess {
    let Some(header) = Header::read(bytes) else {
        let is_known = bytes
            .get(1)
            .is_none_or(|opcode| usize::from(*opcode) < NAMES.len());
        return if is_known { Guess::Maybe } else { Guess::No };
    };
    let is_known = usize::from(header.opcode) < NAMES.len() && header.is_sane();
    // Couchbase has data types; nobody has more than 7.
    if !is_known || header.key > LONGEST_KEY || header.data_type > 7 {
        return Guess::No;
    }
    let is_it = match way {
        Way::ToServer => header.magic == MAGIC_REQUEST && has_right_parts(&header),
        Way::ToClient => matches!(header.status, 0..=7 | 0x20..=0x24 | 0x81..=0x89),
    };
    if is_it { Guess::Yes } else { Guess::No }
}

/// Extras and key as the request's opcode has them.
fn has_right_parts(header: &Header) -> bool {
    let has_value = header.body > header.extras + header.key;
    let (has_key, extras): (bool, &[usize]) = match header.opcode {
        0x00 | 0x09 | 0x0c | 0x0d | 0x04 | 0x14 => (true, &[0]),
        0x01..=0x03 | 0x11..=0x13 => return header.key > 0 && header.extras == 8,
        0x05 | 0x06 | 0x15 | 0x16 => (true, &[20]),
        0x0e | 0x0f | 0x19 | 0x1a => return header.key > 0 && header.extras == 0,
        0x07 | 0x17 | 0x0a | 0x0b | 0x20 => (false, &[0]),
        0x08 | 0x18 => (false, &[0, 4]),
        0x10 => return header.extras == 0 && !has_value,
        0x1b => (false, &[4]),
        0x1c..=0x1e | 0x23 | 0x24 => (true, &[4]),
        // SASL, HELLO: a name and a value.
        _ => return header.key > 0 && header.extras == 0,
    };
    has_key == (header.key > 0) && extras.contains(&header.extras) && !has_value
}
