//! WebSocket after its upgrade (RFC 6455).
//!
//! The protocol has messages, not requests. What is made of them:
//! - a client's data message is a request (`text`, `binary`), fragments together; the server's next data message, whole,
//!   is the response of the oldest that waits: right for servers that answer each message in order, and all that can be
//!   known of the others. A server's message while none waits is a push: an aside;
//! - a client's ping is a request, answered by the pong with the same payload; so is its close, by the server's close.
//!   The server's own pings and their pongs are asides;
//! - a server's close with a code other than 1000 (done) and 1001 (going away) is the response to the oldest message that
//!   waits: an error with code and reason, as servers refuse messages so.
//!
//! Of payloads, the beginning of a client's text is read for the summary, and those of control frames. Not read: what an
//! extension made of them (permessage-deflate), HTTP/2's WebSocket (RFC 8441), and the subprotocol.
//!
//! Requests have numbers, so that answers to pings and to messages do not mix: messages count from 1, a ping's is made of
//! its payload.

#[cfg(test)]
mod tests;

use super::{Context, Guess, Loss, Outcome, Parser, Part, Request, Response, Step, Unit, Way};

/// How much of a text is read for its summary. Chosen: twice what a summary shows unless told otherwise.
const SHOWN: usize = 256;
/// Longest payload of a control frame (RFC 6455 s5.5).
const LONGEST_CONTROL: usize = 125;

// Numbers of requests that are no data messages.
const PING: u64 = 1 << 32;
const CLOSE: u64 = 2 << 32;

/// Whether the request with this number is a data message: these are answered in their order.
pub(crate) fn is_message(id: u64) -> bool {
    id < PING
}

/// Both directions of a connection that speaks WebSocket.
#[derive(Debug, Default)]
pub struct Websocket {
    /// The data message that each direction is in the middle of.
    open: [Message; 2],
    /// Data messages of the client so far, and how many of them do not wait any more.
    asked: u32,
    answered: u32,
    /// Who began to close.
    closed_by: Option<Way>,
}

/// A fragmented message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Message {
    #[default]
    None,
    /// The request with this number, or the response to it.
    Of(u32),
    Aside,
}

impl Parser for Websocket {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        probe(way, bytes)
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let frame = match Frame::read(way, bytes) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Step::Wait,
            Err(loss) => return Step::Lost(loss),
        };
        let after = bytes.get(frame.header..).unwrap_or_default();
        let wanted = match frame.kind {
            Kind::Text | Kind::Binary | Kind::Continuation if way == Way::ToClient => 0,
            Kind::Binary | Kind::Continuation => 0,
            Kind::Text => SHOWN,
            Kind::Close | Kind::Ping | Kind::Pong => LONGEST_CONTROL,
        };
        let wanted = usize::try_from(frame.length).map_or(wanted, |length| wanted.min(length));
        let Some(payload) = after.get(..wanted) else {
            return Step::Wait;
        };
        let mut buffer = [0; SHOWN];
        let payload = frame.unmasked(payload, &mut buffer);
        let part = match (frame.kind, way) {
            (Kind::Text | Kind::Binary | Kind::Continuation, _) => {
                match self.data(way, &frame, payload, context) {
                    Some(part) => part,
                    None => return Step::Lost(Loss::Malformed),
                }
            }
            (Kind::Ping, Way::ToServer) => ping(payload, context),
            (Kind::Pong, Way::ToClient) => pong(payload, context),
            (Kind::Ping | Kind::Pong, _) => Part::Aside,
            (Kind::Close, _) => self.close(way, payload, context),
        };
        Unit {
            length: frame.whole(),
            part,
            then: None,
        }
        .step()
    }

    fn lost(&mut self, way: Way) {
        self.open[way as usize] = Message::None;
        // A message or its answer may be in the hole.
        self.answered = self.asked;
    }
}

impl Websocket {
    fn data(
        &mut self,
        way: Way,
        frame: &Frame,
        payload: &[u8],
        context: &mut Context<'_>,
    ) -> Option<Part> {
        let begins = frame.kind != Kind::Continuation;
        let was = std::mem::take(&mut self.open[way as usize]);
        let message = match (begins, was) {
            (true, Message::None) if way == Way::ToServer => {
                self.asked = self.asked.wrapping_add(1);
                message_texts(frame, payload, context);
                Message::Of(self.asked)
            }
            (true, Message::None) => match self.oldest(context) {
                Some(number) => Message::Of(number),
                None => Message::Aside,
            },
            // A message within a message.
            (true, _) => return None,
            // The beginning was not seen.
            (false, Message::None) => Message::Aside,
            (false, message) => message,
        };
        if !frame.is_final {
            self.open[way as usize] = message;
        }
        let Message::Of(number) = message else {
            return Some(Part::Aside);
        };
        let id = Some(u64::from(number));
        Some(match way {
            Way::ToServer => Part::Request(Request {
                id,
                begins,
                ends: frame.is_final,
                ..Request::whole()
            }),
            Way::ToClient => {
                if frame.is_final {
                    self.answered = number;
                }
                Part::Response(Response {
                    id,
                    ..Response::more(frame.is_final)
                })
            }
        })
    }

    /// The number of the oldest message that is whole and waits.
    fn oldest(&mut self, context: &Context<'_>) -> Option<u32> {
        let whole = match self.open[Way::ToServer as usize] {
            Message::None | Message::Aside => self.asked,
            Message::Of(_) => self.asked.wrapping_sub(1),
        };
        while self.answered != whole {
            let next = self.answered.wrapping_add(1);
            if context.asked.with_id(u64::from(next)).is_some() {
                return Some(next);
            }
            // The exchange gave it up.
            self.answered = next;
        }
        None
    }

    fn close(&mut self, way: Way, payload: &[u8], context: &mut Context<'_>) -> Part {
        let (code, reason) = match payload {
            [high, low, reason @ ..] => {
                (Some(u32::from(u16::from_be_bytes([*high, *low]))), reason)
            }
            _ => (None, &b""[..]),
        };
        let is_error = code.is_some_and(|code| !matches!(code, 1000 | 1001));
        let is_first = self.closed_by.is_none();
        self.closed_by.get_or_insert(way);
        let id = match way {
            Way::ToServer if is_first => {
                context.texts.operation(b"close");
                context.texts.summary(|line| {
                    line.piece("close");
                    if let Some(code) = code {
                        line.blank();
                        line.number(u64::from(code));
                    }
                    if !reason.is_empty() {
                        line.blank();
                        line.bytes(reason);
                    }
                });
                return Part::Request(Request {
                    id: Some(CLOSE),
                    ..Request::whole()
                });
            }
            Way::ToServer => return Part::Aside,
            Way::ToClient if self.closed_by == Some(Way::ToServer) => CLOSE,
            Way::ToClient => match self.oldest(context) {
                Some(number) if is_error => {
                    self.answered = number;
                    u64::from(number)
                }
                _ => return Part::Aside,
            },
        };
        context.texts.status_text(|line| line.bytes(reason));
        Part::Response(Response {
            restarts: false,
            id: Some(id),
            ends: true,
            outcome: Some(Outcome { is_error, code }),
        })
    }
}

fn message_texts(frame: &Frame, payload: &[u8], context: &mut Context<'_>) {
    let name = if frame.kind == Kind::Text {
        "text"
    } else {
        "binary"
    };
    context.texts.operation(name.as_bytes());
    context.texts.summary(|line| {
        line.piece(name);
        if frame.is_extended {
            line.piece(" (compressed)");
        } else if !payload.is_empty() {
            line.blank();
            line.bytes(payload);
        }
    });
}

fn ping(payload: &[u8], context: &mut Context<'_>) -> Part {
    context.texts.operation(b"ping");
    context.texts.summary(|line| line.piece("ping"));
    Part::Request(Request {
        id: Some(ping_number(payload)),
        ..Request::whole()
    })
}

/// Also sent unasked, as a sign of life (RFC 6455 s5.5.3).
fn pong(payload: &[u8], context: &Context<'_>) -> Part {
    let id = ping_number(payload);
    if context.asked.with_id(id).is_none() {
        return Part::Aside;
    }
    Part::Response(Response {
        id: Some(id),
        ..Response::more(true)
    })
}

/// FNV-1a of the payload: two pings that wait at once and differ get the same by chance only.
fn ping_number(payload: &[u8]) -> u64 {
    let hash = payload.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    PING | u64::from(hash)
}

/// A frame's header (RFC 6455 s5.2).
struct Frame {
    /// Length of the header, in bytes.
    header: usize,
    /// Of the payload.
    length: u64,
    kind: Kind,
    is_final: bool,
    /// The payload is what an extension made of it.
    is_extended: bool,
    mask: [u8; 4],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Frame {
    /// `None`: not all of it is there.
    fn read(way: Way, bytes: &[u8]) -> Result<Option<Frame>, Loss> {
        let Some(first) = bytes.first() else {
            return Ok(None);
        };
        let kind = match first & 0x0f {
            0x0 => Kind::Continuation,
            0x1 => Kind::Text,
            0x2 => Kind::Binary,
            0x8 => Kind::Close,
            0x9 => Kind::Ping,
            0xa => Kind::Pong,
            _ => return Err(Loss::Malformed),
        };
        let is_control = matches!(kind, Kind::Close | Kind::Ping | Kind::Pong);
        let is_final = first & 0x80 != 0;
        // RSV1 marks the first frame of a compressed message (RFC 7692 s6); nothing uses the others.
        let is_extended = first & 0x40 != 0;
        let may_be_extended = matches!(kind, Kind::Text | Kind::Binary);
        if first & 0x30 != 0 || is_extended && !may_be_extended || is_control && !is_final {
            return Err(Loss::Malformed);
        }
        let Some(second) = bytes.get(1) else {
            return Ok(None);
        };
        // The client masks, the server does not (RFC 6455 s5.1).
        if (second & 0x80 != 0) != (way == Way::ToServer) {
            return Err(Loss::Malformed);
        }
        let (size, least) = match second & 0x7f {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        if is_control && size > 0 {
            return Err(Loss::Malformed);
        }
        let Some(digits) = bytes.get(2..2 + size) else {
            return Ok(None);
        };
        let length = match size {
            0 => u64::from(second & 0x7f),
            _ => digits
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length < least || length >> 63 != 0 {
            return Err(Loss::Malformed);
        }
        let mut header = 2 + size;
        let mut mask = [0; 4];
        if way == Way::ToServer {
            let Some(key) = bytes.get(header..).and_then(|rest| rest.first_chunk()) else {
                return Ok(None);
            };
            mask = *key;
            header += 4;
        }
        Ok(Some(Frame {
            header,
            length,
            kind,
            is_final,
            is_extended,
            mask,
        }))
    }

    fn whole(&self) -> u64 {
        self.header as u64 + self.length
    }

    /// The payload, or as much of it as `buffer` holds.
    fn unmasked<'a>(&self, payload: &[u8], buffer: &'a mut [u8; SHOWN]) -> &'a [u8] {
        let mut count = 0;
        for ((to, from), key) in buffer.iter_mut().zip(payload).zip(self.mask.iter().cycle()) {
            *to = from ^ key;
            count += 1;
        }
        &buffer[..count]
    }
}

/// Two bytes of a header are little to know a protocol by, so what speaks for it is added up, as bits that other bytes
/// would have to have by chance: frames that end where the next begins or the segment ends, text that is text.
fn probe(way: Way, bytes: &[u8]) -> Guess {
    const ENOUGH: usize = 28;
    let mut evidence = 0;
    let mut rest = bytes;
    let mut is_open = false;
    let mut is_first = true;
    while !rest.is_empty() {
        let frame = match Frame::read(way, rest) {
            Ok(Some(frame)) => frame,
            // Cut off.
            Ok(None) => break,
            Err(_) => return Guess::No,
        };
        let is_data = matches!(frame.kind, Kind::Text | Kind::Binary);
        let is_out_of_place = is_data && is_open || frame.kind == Kind::Continuation && !is_open;
        // Zeros are common; nobody sends empty fragments.
        if is_out_of_place || !frame.is_final && frame.length == 0 {
            return Guess::No;
        }
        if is_data || frame.kind == Kind::Continuation {
            is_open = !frame.is_final;
        }
        let whole = usize::try_from(frame.whole()).ok();
        let (here, after) = whole
            .and_then(|whole| rest.split_at_checked(whole))
            .unwrap_or((rest, b""));
        let is_here = whole == Some(here.len());
        let payload = here.get(frame.header..).unwrap_or_default();
        let mut buffer = [0; SHOWN];
        let payload = frame.unmasked(payload, &mut buffer);
        match frame.kind {
            Kind::Text if !frame.is_extended => match text(payload) {
                Some(length) => evidence += length,
                None => return Guess::No,
            },
            Kind::Close if is_here => match payload {
                [] => {}
                [3..=19, _, reason @ ..] if text(reason) == Some(reason.len()) => evidence += 8,
                _ => return Guess::No,
            },
            _ => {}
        }
        let length = frame.header - if way == Way::ToServer { 4 } else { 0 };
        evidence += match frame.kind {
            _ if !is_here || frame.length == 0 => 0,
            _ if length > 2 => 28,
            // So are the names in a certificate: 0x82, length, name.
            Kind::Binary | Kind::Continuation => 0,
            Kind::Text | Kind::Close | Kind::Ping | Kind::Pong => 11,
        };
        if !is_here {
            break;
        }
        is_first = false;
        rest = after;
    }
    if evidence >= ENOUGH {
        Guess::Yes
    } else if is_first && bytes.len() < ENOUGH {
        // A few bytes, or a message's beginning: more of it may tell.
        Guess::Maybe
    } else {
        Guess::No
    }
}

/// How many bytes of text these are; the last letter may be cut off. `None`: they are not text.
fn text(payload: &[u8]) -> Option<usize> {
    let valid = match std::str::from_utf8(payload) {
        Ok(text) => text,
        Err(error) if error.error_len().is_some() => return None,
        Err(error) => std::str::from_utf8(payload.get(..error.valid_up_to())?).ok()?,
    };
    let is_text = |letter: char| !letter.is_control() || matches!(letter, '\t' | '\n' | '\r');
    valid.chars().all(is_text).then_some(valid.len())
}
