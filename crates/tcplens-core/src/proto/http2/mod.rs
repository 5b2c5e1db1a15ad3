//! HTTP/2 in the clear (RFC 9113), and gRPC on it (grpc/grpc, doc/PROTOCOL-HTTP2.md).
//!
//! Read: frames, and the fields that say what is asked for and how it went (HPACK in `hpack`). A stream that the client
//! opened is a request and its response, paired by the stream's number; all frames that carry them count, headers of
//! frames included. Connection matters (SETTINGS, PING, WINDOW_UPDATE, GOAWAY), PRIORITY, PUSH_PROMISE and what is pushed,
//! and responses 1xx are asides. Not read: bodies, and HTTP/2 inside TLS.
//!
//! A reset of a stream is the end of its response, an error with the code's name; one by the client gives the request up.
//!
//! gRPC: the operation is the full method name without its slash (`pkg.Service/Method`: what OpenTelemetry has as
//! `rpc.method`, and what stands in `.proto` files, so what people search for); one longer than an operation may be loses
//! packages from its front. Its status code is always gRPC's, by that document's rules when a proxy's HTTP status or a
//! reset came instead of a `grpc-status`.
//!
//! No state is kept for a stream: whether it is open, and gRPC, the exchange tells.

mod frame;
mod hpack;
mod tables;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{Context, Guess, Loss, Outcome, Parser, Part, Request, Response, Step, Unit, Way};
use crate::record::Protocol;
use frame::{Frame, HEADER, Kind, flag};
use hpack::Table;

/// What a client says first (RFC 9113 s3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What the exchange keeps for a parser, so the longest field block.
const LONGEST: usize = 64 * 1024;
/// Longest operation that the texts keep.
const OPERATION: usize = 64;

// Tags of requests.
const HTTP: u32 = 0;
const GRPC: u32 = 1;

/// Both directions of a connection that speaks HTTP/2.
#[derive(Debug, Default)]
pub struct Http2(Box<State>);

#[derive(Debug, Default)]
struct State {
    /// What each direction's field blocks refer to.
    tables: [Table; 2],
    /// The server was heard.
    is_answered: bool,
    /// The highest stream that the client opened.
    latest: u32,
}

impl Parser for Http2 {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        if way == Way::ToServer
            && let guess @ (Guess::Maybe | Guess::Yes) = preface(bytes)
        {
            return guess;
        }
        frame::probe(bytes, |block| hpack::may_begin(block, way == Way::ToServer))
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let state = &mut *self.0;
        if way == Way::ToServer {
            match preface(bytes) {
                // As a frame it would be one of 5 MB.
                Guess::Maybe => return Step::Wait,
                Guess::Yes => {
                    state.tables[way as usize].begin();
                    return Unit::new(PREFACE.len(), Part::Aside).step();
                }
                Guess::No => {}
            }
        }
        let Some(frame) = Frame::read(bytes) else {
            return Step::Wait;
        };
        if !frame.is_valid() {
            return Step::Lost(Loss::Malformed);
        }
        if way == Way::ToClient && !std::mem::replace(&mut state.is_answered, true) {
            // A server's first frame is its settings (RFC 9113 s3.4).
            if frame.kind == Kind::Settings && !frame.has(flag::ACK) {
                state.tables[way as usize].begin();
            }
        }
        match frame.kind {
            Kind::Headers | Kind::Push => state.fields(way, &frame, bytes, context),
            Kind::Data => {
                let part = match way {
                    Way::ToServer => more(&frame, context),
                    Way::ToClient if state.is_late(&frame, context) => Part::Aside,
                    Way::ToClient => response(&frame, None),
                };
                Unit::new(frame.whole(), part).step()
            }
            Kind::Reset => reset(way, &frame, bytes, context),
            // One alone: the block's beginning was not seen.
            Kind::Continuation => {
                state.tables[way as usize].lose();
                Unit::new(frame.whole(), Part::Aside).step()
            }
            Kind::Priority
            | Kind::Settings
            | Kind::Ping
            | Kind::GoAway
            | Kind::Window
            | Kind::Other => Unit::new(frame.whole(), Part::Aside).step(),
        }
    }

    fn lost(&mut self, way: Way) {
        self.0.tables[way as usize].lose();
        self.0.is_answered |= way == Way::ToClient;
    }
}

impl State {
    /// Whether a frame of the server belongs to a request that is over: the client gave it up, or it was HTTP/1's (the
    /// response to a request that asked for an upgrade comes on stream 1).
    fn is_late(&self, frame: &Frame, context: &Context<'_>) -> bool {
        frame.stream <= self.latest.max(1)
            && context.asked.with_id(u64::from(frame.stream)).is_none()
    }

    /// A frame with a field block, and the CONTINUATION frames that belong to it.
    fn fields(&mut self, way: Way, frame: &Frame, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let (block, length) = match block(frame, bytes) {
            Ok(block) => block,
            Err(step) => return step,
        };
        let mut fields = Fields::default();
        let table = &mut self.tables[way as usize];
        if table
            .decode(&block, |name, value| fields.take(name, value))
            .is_err()
        {
            return Step::Lost(Loss::Malformed);
        }
        let part = match way {
            _ if frame.kind == Kind::Push => Part::Aside,
            Way::ToClient if self.is_late(frame, context) => Part::Aside,
            Way::ToClient => fields.response(frame, context),
            // Fields after the body.
            Way::ToServer if context.asked.with_id(u64::from(frame.stream)).is_some() => {
                more(frame, context)
            }
            Way::ToServer if frame.stream > self.latest && frame.stream % 2 == 1 => {
                self.latest = frame.stream;
                fields.request(frame, context)
            }
            Way::ToServer => Part::Aside,
        };
        Unit::new(length, part).step()
    }
}

/// The fields that matter, as far as they are known.
#[derive(Default)]
struct Fields {
    method: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
    is_grpc: bool,
    status: Option<u32>,
    grpc_status: Option<u32>,
    grpc_message: Vec<u8>,
}

impl Fields {
    fn take(&mut self, name: Option<&[u8]>, value: Option<&[u8]>) {
        let (Some(name), Some(value)) = (name, value) else {
            return;
        };
        match name {
            b":method" => self.method = Some(value.to_vec()),
            b":path" => self.path = Some(value.to_vec()),
            b":authority" => self.host = Some(value.to_vec()),
            b"host" if self.host.is_none() => self.host = Some(value.to_vec()),
            b":status" => self.status = number(value),
            b"content-type" => self.is_grpc = is_grpc(value),
            b"grpc-status" => self.grpc_status = number(value),
            b"grpc-message" => self.grpc_message = value.to_vec(),
            _ => {}
        }
    }

    fn request(&self, frame: &Frame, context: &mut Context<'_>) -> Part {
        let host = self.host.as_deref().unwrap_or_default();
        let path = self.path.as_deref().unwrap_or_default();
        if self.is_grpc {
            context.protocol = Some(Protocol::Grpc);
            if !path.is_empty() {
                context.texts.operation(grpc_method(path));
            }
            context.texts.summary(|line| {
                line.bytes(host);
                line.bytes(path);
            });
        } else {
            if let Some(method) = &self.method {
                context.texts.operation(method);
            }
            context.texts.summary(|line| {
                if let Some(method) = &self.method {
                    line.bytes(method);
                    line.blank();
                }
                if path != b"*" {
                    line.bytes(host);
                }
                line.bytes(path);
            });
        }
        Part::Request(Request {
            id: Some(u64::from(frame.stream)),
            ends: frame.has(flag::END_STREAM),
            tag: if self.is_grpc { GRPC } else { HTTP },
            ..Request::whole()
        })
    }

    fn response(&self, frame: &Frame, context: &mut Context<'_>) -> Part {
        if self.status.is_some_and(|status| status < 200) {
            return Part::Aside;
        }
        let is_grpc = context.asked.with_id(u64::from(frame.stream)) == Some(GRPC);
        let outcome = if let Some(code) = self.grpc_status {
            grpc_text(context, code, "", &unescaped(&self.grpc_message));
            Some((code != 0, code))
        } else if is_grpc {
            // That of a success comes with the trailers.
            let failure = self.status.filter(|status| *status != 200);
            failure.map(|status| {
                let code = grpc_of_status(status);
                let status = format!("HTTP {status}");
                grpc_text(context, code, &status, b"");
                (true, code)
            })
        } else {
            self.status.map(|status| (status >= 400, status))
        };
        let outcome = outcome.map(|(is_error, code)| Outcome {
            is_error,
            code: Some(code),
        });
        response(frame, outcome)
    }
}

fn preface(bytes: &[u8]) -> Guess {
    if bytes.starts_with(PREFACE) {
        Guess::Yes
    } else if PREFACE.starts_with(bytes) {
        Guess::Maybe
    } else {
        Guess::No
    }
}

/// The whole field block that begins with `frame`, and the length of its frames.
fn block<'a>(frame: &Frame, bytes: &'a [u8]) -> Result<(Cow<'a, [u8]>, usize), Step> {
    let mut frame = *frame;
    let stream = frame.stream;
    let mut block = Cow::Borrowed(&bytes[..0]);
    let mut at = 0;
    loop {
        if at + frame.whole() > LONGEST {
            return Err(Step::Lost(Loss::TooLong));
        }
        let Some(payload) = bytes.get(at + HEADER..at + frame.whole()) else {
            return Err(Step::Wait);
        };
        let Some(fragment) = frame.fragment(payload) else {
            return Err(Step::Lost(Loss::Malformed));
        };
        if at == 0 {
            block = Cow::Borrowed(fragment);
        } else {
            block.to_mut().extend_from_slice(fragment);
        }
        at += frame.whole();
        if frame.has(flag::END_HEADERS) {
            return Ok((block, at));
        }
        if at + HEADER > LONGEST {
            return Err(Step::Lost(Loss::TooLong));
        }
        match bytes.get(at..).and_then(Frame::read) {
            // Nothing may come between them (RFC 9113 s6.10).
            Some(next) if next.kind == Kind::Continuation && next.stream == stream => frame = next,
            Some(_) => return Err(Step::Lost(Loss::Malformed)),
            None => return Err(Step::Wait),
        }
    }
}

/// More of a request: body or trailers.
fn more(frame: &Frame, context: &Context<'_>) -> Part {
    let id = u64::from(frame.stream);
    if context.asked.with_id(id).is_none() {
        return Part::Aside;
    }
    Part::Request(Request {
        id: Some(id),
        ..Request::more(frame.has(flag::END_STREAM))
    })
}

/// A piece of a response, on a stream that the client opened.
fn response(frame: &Frame, outcome: Option<Outcome>) -> Part {
    if frame.stream.is_multiple_of(2) {
        return Part::Aside;
    }
    Part::Response(Response {
        restarts: false,
        id: Some(u64::from(frame.stream)),
        ends: frame.has(flag::END_STREAM),
        outcome,
    })
}

fn reset(way: Way, frame: &Frame, bytes: &[u8], context: &mut Context<'_>) -> Step {
    let Some(code) = bytes.get(HEADER..frame.whole()) else {
        return Step::Wait;
    };
    let code = code
        .iter()
        .fold(0, |code, byte| code << 8 | u32::from(*byte));
    let tag = context.asked.with_id(u64::from(frame.stream));
    let Some(tag) = tag else {
        return Unit::new(frame.whole(), Part::Aside).step();
    };
    let name = ERRORS.get(code as usize).copied().unwrap_or("RST_STREAM");
    let code = if tag == GRPC {
        let code = grpc_of_reset(way, code);
        grpc_text(context, code, name, b"");
        code
    } else {
        context.texts.status_text(|line| line.piece(name));
        code
    };
    let id = u64::from(frame.stream);
    let part = match way {
        Way::ToServer => {
            let outcome = Outcome {
                is_error: true,
                code: Some(code),
            };
            Part::Cancel(id, outcome)
        }
        Way::ToClient => Part::Response(Response {
            id: Some(id),
            ..Response::whole(true, Some(code))
        }),
    };
    Unit::new(frame.whole(), part).step()
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `application/grpc`, `application/grpc+proto`; not gRPC-Web, whose status is in the body.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';' | b' ', ..]))
}

/// `pkg.Service/Method`, without what does not fit of the package.
fn grpc_method(path: &[u8]) -> &[u8] {
    let mut name = path.strip_prefix(b"/").unwrap_or(path);
    while name.len() > OPERATION {
        let Some(end) = name.iter().position(|byte| matches!(byte, b'.' | b'/')) else {
            break;
        };
        name = name.get(end + 1..).unwrap_or_default();
    }
    name
}

/// `NOT_FOUND: no such item`; `UNAVAILABLE (HTTP 503)`, `CANCELLED (CANCEL)` where it was made of something else.
fn grpc_text(context: &mut Context<'_>, code: u32, made_of: &str, message: &[u8]) {
    context.texts.status_text(|line| {
        match GRPC_CODES.get(code as usize) {
            Some(name) => line.piece(name),
            None => line.number(u64::from(code)),
        }
        if !made_of.is_empty() {
            line.piece(" (");
            line.piece(made_of);
            line.piece(")");
        }
        if !message.is_empty() {
            line.piece(": ");
            line.bytes(message);
        }
    });
}

/// `%41` is `A`.
fn unescaped(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digit = |n: usize| char::from(*after.get(n)?).to_digit(16);
        match digit(0).zip(digit(1)) {
            Some((high, low)) if *first == b'%' => {
                out.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => out.push(*first),
        }
    }
    out
}

/// doc/http-grpc-status-mapping.md.
fn grpc_of_status(status: u32) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// doc/PROTOCOL-HTTP2.md, "Errors". A client that resets gave up, whatever it says.
fn grpc_of_reset(way: Way, code: u32) -> u32 {
    match code {
        _ if way == Way::ToServer => 1,
        7 => 14,
        8 => 1,
        11 => 8,
        12 => 7,
        _ => 13,
    }
}

/// Error codes by number (RFC 9113 s7).
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Status codes by number (doc/statuscodes.md).
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
