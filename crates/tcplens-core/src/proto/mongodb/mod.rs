//! The MongoDB wire protocol.
//!
//! Read: OP_MSG (both kinds of sections, `moreToCome`, exhaust replies), and from before MongoDB 5.1 OP_QUERY, OP_REPLY,
//! OP_GET_MORE and the writes without reply. Requests and replies are paired by number. Of each message only the front is
//! looked at: of a command its first element, `$db` and `collection`; of a reply `ok` and what is wrong. A reply whose
//! front says nothing of `ok` is one with a large result, and went well.
//! Not read: the inside of OP_COMPRESSED: its operation is `compressed`, and how it went is not known (`ok`).
//!
//! Reference: MongoDB manual, "MongoDB Wire Protocol"; specifications repository, "OP_MSG".

mod bson;
#[cfg(test)]
mod tests;

use self::bson::{elements, i32_at, length_at, string};
use super::{
    Context, Guess, Line, Loss, Outcome, Owes, Parser, Part, Request, Response, Step, Texts, Unit,
    Way,
};

/// Bytes of a message that are looked at. Chosen: `$db` is the last element of many commands, behind filter and session.
const LOOK: usize = 4096;
/// Longest message (maxMessageSizeBytes).
const LONGEST: usize = 48_000_000;
/// Length of the header.
const HEADER: usize = 16;
/// Sections of a message that are looked at. Chosen: drivers send two.
const SECTIONS: usize = 8;

/// Kinds of messages.
mod op {
    pub(super) const REPLY: i32 = 1;
    pub(super) const UPDATE: i32 = 2001;
    pub(super) const INSERT: i32 = 2002;
    pub(super) const QUERY: i32 = 2004;
    pub(super) const GET_MORE: i32 = 2005;
    pub(super) const DELETE: i32 = 2006;
    pub(super) const KILL_CURSORS: i32 = 2007;
    pub(super) const COMPRESSED: i32 = 2012;
    pub(super) const MSG: i32 = 2013;
}

/// Flags of an OP_MSG.
mod flag {
    pub(super) const CHECKSUM: u32 = 1;
    pub(super) const MORE_TO_COME: u32 = 1 << 1;
    pub(super) const EXHAUST_ALLOWED: u32 = 1 << 16;
    /// The lower half must be understood, the upper half may be ignored.
    pub(super) const REQUIRED: u32 = 0xffff;
}

/// Flag of an OP_REPLY.
const QUERY_FAILURE: i32 = 2;
/// Tag of a request that is answered without end: the server tells whenever its state changes.
const STREAMED: u32 = 1;

/// A connection's parser.
#[derive(Debug, Default)]
pub struct Mongodb {
    exhaust: Option<Exhaust>,
}

/// Replies of which more come without being asked for: each answers the one before.
#[derive(Clone, Copy, Debug)]
struct Exhaust {
    /// Number of the latest.
    latest: i32,
    /// Number of the request; none if it counts as answered.
    request: Option<i32>,
}

#[derive(Clone, Copy)]
struct Header {
    length: usize,
    id: i32,
    response_to: i32,
    op: i32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        Some(Header {
            length: length_at(bytes, 0).unwrap_or_default(),
            id: i32_at(bytes, 4)?,
            response_to: i32_at(bytes, 8)?,
            op: i32_at(bytes, 12)?,
        })
    }

    fn is_possible(self, way: Way) -> bool {
        let is_of_way = match (self.op, way) {
            (op::MSG | op::COMPRESSED, _) => true,
            (op::REPLY, way) => way == Way::ToClient,
            (op::UPDATE | op::INSERT | op::QUERY..=op::KILL_CURSORS, way) => way == Way::ToServer,
            _ => false,
        };
        is_of_way && (HEADER + 4..=LONGEST).contains(&self.length)
    }
}

impl Parser for Mongodb {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        let Some(header) = Header::read(bytes) else {
            return match bytes.get(3) {
                // The highest byte of a length.
                Some(0..=2) | None => Guess::Maybe,
                Some(_) => Guess::No,
            };
        };
        let is_answer = header.response_to != 0;
        if !header.is_possible(way) || is_answer != (way == Way::ToClient) {
            return Guess::No;
        }
        let there = bytes.get(HEADER..).unwrap_or_default();
        let body = there.get(..header.length - HEADER).unwrap_or(there);
        match is_plausible(header, body) {
            Some(true) => Guess::Yes,
            Some(false) => Guess::No,
            None => Guess::Maybe,
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let Some(header) = Header::read(bytes) else {
            return Step::Wait;
        };
        if !header.is_possible(way) {
            return Step::Lost(Loss::Malformed);
        }
        let wanted = header.length.min(LOOK);
        if bytes.len() < wanted && !context.is_end {
            return Step::Wait;
        }
        let there = bytes.get(..wanted).unwrap_or(bytes);
        let body = there.get(HEADER..).unwrap_or_default();
        let part = match way {
            Way::ToServer => request(header, body, &mut context.texts),
            Way::ToClient => self.response(header, body, context),
        };
        match part {
            Some(part) => Unit::new(header.length, part).step(),
            None => Step::Lost(Loss::Malformed),
        }
    }

    fn lost(&mut self, way: Way) {
        if way == Way::ToClient {
            self.exhaust = None;
        }
    }
}

impl Mongodb {
    fn response(&mut self, header: Header, body: &[u8], context: &mut Context<'_>) -> Option<Part> {
        let streams = self
            .exhaust
            .filter(|exhaust| exhaust.latest == header.response_to);
        let to = streams.map_or(Some(header.response_to), |exhaust| exhaust.request);
        let flags = match header.op {
            op::MSG => i32_at(body, 0)? as u32,
            _ => 0,
        };
        let goes_on = flags & flag::MORE_TO_COME != 0;
        let tag = to.and_then(|to| context.asked.with_id(number(to)));
        let is_streamed = to.is_none() || tag == Some(STREAMED);
        if streams.is_some() || goes_on {
            self.exhaust = goes_on.then_some(Exhaust {
                latest: header.id,
                request: to.filter(|_| !is_streamed),
            });
        }
        let Some(to) = to else {
            return Some(Part::Aside);
        };
        let outcome = match header.op {
            op::MSG => document_of(body).and_then(|reply| outcome(reply, false, context)),
            op::REPLY => {
                // Flags 4, cursor 8, first 4, count 4.
                let is_failure = i32_at(body, 0)? & QUERY_FAILURE != 0;
                let reply = body.get(20..)?;
                outcome(reply, is_failure, context)
            }
            _ => None,
        };
        Some(Part::Response(Response {
            id: Some(number(to)),
            outcome,
            ..Response::more(!goes_on || is_streamed)
        }))
    }
}

/// A number as it is paired by.
fn number(id: i32) -> u64 {
    u64::from(id as u32)
}

fn request(header: Header, body: &[u8], texts: &mut Texts<'_>) -> Option<Part> {
    let mut owes = Owes::Reply;
    let mut tag = 0;
    match header.op {
        op::MSG => {
            let flags = i32_at(body, 0)? as u32;
            if flags & flag::MORE_TO_COME != 0 {
                owes = Owes::Nothing;
            }
            let command = command(document_of(body), None, texts);
            if flags & flag::EXHAUST_ALLOWED != 0 && is_hello(command) {
                tag = STREAMED;
            }
        }
        op::QUERY => {
            // Flags 4, collection, skip 4, count 4, query.
            let (collection, rest) = string(body.get(4..)?).unwrap_or_default();
            match collection.strip_suffix(b".$cmd") {
                Some(database) => {
                    command(rest.get(8..), Some(database), texts);
                }
                None => legacy("query", collection, texts),
            }
        }
        op::COMPRESSED => {
            let original = i32_at(body, 0)?;
            if !(op::QUERY..=op::GET_MORE).contains(&original) && original != op::MSG {
                owes = Owes::Nothing;
            }
            texts.operation(b"compressed");
            texts.summary(|line| {
                line.piece("compressed");
                line.piece(match body.get(8) {
                    Some(0) => " noop",
                    Some(1) => " snappy",
                    Some(2) => " zlib",
                    Some(3) => " zstd",
                    _ => "",
                });
            });
        }
        op::KILL_CURSORS => {
            owes = Owes::Nothing;
            legacy("killCursors", b"", texts);
        }
        other => {
            // A number or zero, then the collection.
            let (collection, _) = string(body.get(4..)?).unwrap_or_default();
            let operation = match other {
                op::UPDATE => "update",
                op::INSERT => "insert",
                op::DELETE => "delete",
                _ => "getMore",
            };
            if other != op::GET_MORE {
                owes = Owes::Nothing;
            }
            legacy(operation, collection, texts);
        }
    }
    Some(Part::Request(Request {
        id: Some(number(header.id)),
        owes,
        tag,
        ..Request::whole()
    }))
}

fn legacy(operation: &str, collection: &[u8], texts: &mut Texts<'_>) {
    texts.operation(operation.as_bytes());
    texts.summary(|line| {
        line.piece(operation);
        if !collection.is_empty() {
            line.blank();
            line.bytes(collection);
        }
    });
}

/// Says what a command document asks for; returns its name.
fn command<'a>(
    document: Option<&'a [u8]>,
    database: Option<&'a [u8]>,
    texts: &mut Texts<'_>,
) -> &'a [u8] {
    let document = document.unwrap_or_default();
    let Some(mut first) = elements(document).next() else {
        texts.operation(b"unknown");
        return b"";
    };
    let mut document = document;
    // With a read preference, the command is wrapped.
    if let (b"$query" | b"query", Some(inner)) = (first.key, first.nested())
        && let Some(inner_first) = elements(inner).next()
    {
        first = inner_first;
        document = inner;
    }
    let mut database = database;
    let mut collection = first.text();
    for element in elements(document).skip(1) {
        match element.key {
            b"$db" => database = element.text(),
            b"collection" if collection.is_none() => collection = element.text(),
            _ => {}
        }
    }
    texts.operation(first.key);
    texts.summary(|line| {
        line.bytes(first.key);
        let parts = [database, collection];
        for (n, part) in parts.into_iter().flatten().enumerate() {
            line.piece(if n == 0 { " " } else { "." });
            line.bytes(part);
        }
    });
    first.key
}

/// The command that a driver watches a server with.
fn is_hello(command: &[u8]) -> bool {
    command == b"hello" || command.eq_ignore_ascii_case(b"ismaster")
}

/// The document of an OP_MSG: the section of kind 0.
fn document_of(body: &[u8]) -> Option<&[u8]> {
    let mut sections = body.get(4..)?;
    for _ in 0..SECTIONS {
        let (kind, rest) = sections.split_first()?;
        match kind {
            0 => return Some(rest),
            // Documents that belong to an argument of the command.
            1 => sections = rest.get(length_at(rest, 0).filter(|length| *length >= 5)?..)?,
            _ => return None,
        }
    }
    None
}

/// What a reply says of how it went.
fn outcome(reply: &[u8], is_failure: bool, context: &mut Context<'_>) -> Option<Outcome> {
    let mut wrong = Wrong::default();
    let mut is_error = is_failure;
    let mut of_write = None;
    for element in elements(reply) {
        match element.key {
            b"ok" => is_error |= element.number() == Some(0),
            b"$err" => {
                is_error = true;
                wrong.message = element.text();
            }
            // Of several, the first; a write concern that was not met only where no write went wrong.
            b"writeErrors" => {
                let first = element.nested().and_then(|errors| elements(errors).next());
                of_write = first.and_then(|error| error.nested()).or(of_write);
            }
            b"writeConcernError" => of_write = of_write.or(element.nested()),
            _ => wrong.note(element),
        }
    }
    if !is_error && let Some(error) = of_write {
        is_error = true;
        wrong = Wrong::default();
        elements(error).for_each(|element| wrong.note(element));
    }
    if !is_error {
        return None;
    }
    context.texts.status_text(|line| wrong.write(line));
    Some(Outcome {
        is_error: true,
        code: wrong.code,
    })
}

/// What is wrong, in a server's words.
#[derive(Default)]
struct Wrong<'a> {
    code: Option<u32>,
    name: Option<&'a [u8]>,
    message: Option<&'a [u8]>,
}

impl<'a> Wrong<'a> {
    fn note(&mut self, element: bson::Element<'a>) {
        match element.key {
            b"code" => self.code = element.number().and_then(|code| u32::try_from(code).ok()),
            b"codeName" => self.name = element.text(),
            b"errmsg" => self.message = element.text(),
            _ => {}
        }
    }

    /// `NamespaceNotFound: ns not found`
    fn write(&self, line: &mut Line<'_>) {
        line.bytes(self.name.unwrap_or_default());
        if self.name.is_some() && self.message.is_some() {
            line.piece(": ");
        }
        line.bytes(self.message.unwrap_or_default());
    }
}

/// Whether the front of a body can be one of its kind: for the probe; none if more bytes are needed.
fn is_plausible(header: Header, body: &[u8]) -> Option<bool> {
    let limit = header.length - HEADER;
    // A document that fits, and whose first element has a known type and a printable name.
    let is_document = |document: &[u8]| {
        let length = length_at(document, 0)?;
        let key = document
            .get(5..)
            .filter(|key| !key.is_empty())?
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let kind = *document.get(4)?;
        let is_kind = matches!(kind, 0x01..=0x13);
        let is_empty = length == 5 && kind == 0;
        let is_name = !key.is_empty() && key.iter().all(|byte| matches!(byte, b' '..=b'~'));
        Some(length <= limit && (is_empty || length > 5 && is_kind && is_name))
    };
    Some(match header.op {
        op::MSG => {
            let known = flag::CHECKSUM | flag::MORE_TO_COME | flag::EXHAUST_ALLOWED;
            let flags = i32_at(body, 0)? as u32;
            let is_known = flags & (flag::REQUIRED | 0x00fe_0000) & !known == 0;
            let rest = body.get(5..)?;
            is_known
                && match body.get(4)? {
                    0 => is_document(rest)?,
                    1 => {
                        let name = rest.get(4..)?.split(|byte| *byte == 0).next()?;
                        length_at(rest, 0).is_some_and(|length| length <= limit)
                            && !name.is_empty()
                            && name.iter().all(u8::is_ascii_alphanumeric)
                    }
                    _ => false,
                }
        }
        op::REPLY => {
            let is_flagged = matches!(i32_at(body, 0)?, 0..=15);
            let is_counted = length_at(body, 16)? <= limit / 5;
            is_flagged && is_counted && (limit == 20 || is_document(body.get(20..)?)?)
        }
        op::COMPRESSED => {
            let is_original = matches!(i32_at(body, 0)?, op::REPLY | 2001..=2007 | op::MSG);
            let length = length_at(body, 4)?;
            is_original && length <= LONGEST && *body.get(8)? <= 3
        }
        op::KILL_CURSORS => i32_at(body, 0)? == 0 && length_at(body, 4)? * 8 + 8 == limit,
        _ => {
            // The collection has a dot in its name.
            let name = body.get(4..)?.split(|byte| *byte == 0).next()?;
            if name.len() + 4 == body.len() && body.len() < 256 {
                return None;
            }
            name.contains(&b'.') && name.iter().all(|byte| matches!(byte, b'!'..=b'~'))
        }
    })
}
