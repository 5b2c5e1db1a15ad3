//! HTTP/1.0 and HTTP/1.1: requests and responses by their framing (RFC 9112 s6, RFC 9110 s15).
//!
//! Read: the first line, and of the fields those that frame the message or name what is asked for (`head`). Bodies by
//! length, in chunks with extensions and trailers, until close; none after HEAD, 1xx, 204 and 304, and none after a CONNECT that was
//! granted. What is read beside the RFC's letter: lines that end in a bare LF, blank lines before a first line, folded
//! fields. Not read: bodies, HTTP/0.9, and messages whose lengths contradict each other (a server must refuse them).
//!
//! A response needs to know its request's method; without one (a capture that starts in mid-connection, or holds one
//! direction only) it is read as that of a GET.

mod head;
#[cfg(test)]
mod tests;

use super::{Context, Guess, Loss, Outcome, Parser, Part, Request, Response, Step, Unit, Way};
use crate::record::Protocol;
use head::{Body, Head, find_end, find_line_end};

/// What the exchange keeps for a parser.
const LONGEST_HEAD: usize = 64 * 1024;
/// Longest line between chunks. Chosen: what servers take for a field line (nginx: 8 KiB, Apache: 8 KiB), doubled.
const LONGEST_LINE: usize = 16 * 1024;

// Tags of requests.
const OTHER: u32 = 0;
const HEAD: u32 = 1;
const CONNECT: u32 = 2;

/// Both directions of a connection that speaks HTTP/1.
#[derive(Debug, Default)]
pub struct Http {
    stages: [Stage; 2],
    /// How much of an unfinished head was searched for its end, so that a head in many segments is not read from its
    /// start for each of them.
    searched: [u32; 2],
    /// The latest request may end HTTP on this connection. Then what the client says next may be the other protocol
    /// already, before the response is seen: it waits.
    may_switch: bool,
}

/// What comes next in one direction.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Head,
    Chunks,
    Trailers,
    UntilClose,
}

impl Parser for Http {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        let bytes = bytes.get(blank(bytes).min(4)..).unwrap_or_default();
        match way {
            Way::ToServer => probe_request(bytes),
            Way::ToClient => probe_response(bytes),
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        match self.stages[way as usize] {
            // At the end of a direction, as of most.
            Stage::Head if bytes.is_empty() => Step::Wait,
            Stage::Head => {
                let blank = blank(bytes);
                if blank > 0 {
                    // Old browsers end a body with a line too many. It is no part of the next request's time.
                    return Unit::new(blank, Part::Aside).step();
                }
                match self.head(way, bytes) {
                    Ok(head) if way == Way::ToServer => self.request(bytes, &head, context),
                    Ok(head) => self.response(bytes, &head, context),
                    Err(Step::Lost(Loss::Malformed))
                        if way == Way::ToServer
                            && self.may_switch
                            && bytes.len() < LONGEST_HEAD =>
                    {
                        Step::Wait
                    }
                    Err(step) => step,
                }
            }
            Stage::Chunks | Stage::Trailers => match self.chunks(way, bytes, 0) {
                Ok((0, _)) => Step::Wait,
                Ok((length, ends)) => long(length, more(way, ends)).step(),
                Err(loss) => Step::Lost(loss),
            },
            Stage::UntilClose => {
                if context.is_end {
                    self.stages[way as usize] = Stage::Head;
                }
                Unit::new(bytes.len(), more(way, context.is_end)).step()
            }
        }
    }

    fn lost(&mut self, way: Way) {
        self.stages[way as usize] = Stage::Head;
        self.searched[way as usize] = 0;
    }
}

impl Http {
    fn head<'a>(&mut self, way: Way, bytes: &'a [u8]) -> Result<Head<'a>, Step> {
        let searched = &mut self.searched[way as usize];
        if *searched > 0
            && let Err(end) = find_end(bytes, *searched as usize)
        {
            *searched = end as u32;
            return Err(wait(bytes));
        }
        match Head::read(bytes) {
            Ok(Some(head)) => {
                *searched = 0;
                Ok(head)
            }
            Ok(None) => {
                match Http::probe(way, bytes) {
                    Guess::No => return Err(Step::Lost(Loss::Malformed)),
                    Guess::Maybe => {}
                    // The first line is right: from here on only the end is sought.
                    Guess::Yes => *searched = find_end(bytes, 0).err().unwrap_or(0) as u32,
                }
                Err(wait(bytes))
            }
            Err(loss) => Err(Step::Lost(loss)),
        }
    }

    fn request(&mut self, bytes: &[u8], head: &Head<'_>, context: &mut Context<'_>) -> Step {
        let Some((method, target)) = request_line(head.line) else {
            return Step::Lost(Loss::Malformed);
        };
        let tag = match method {
            b"HEAD" => HEAD,
            b"CONNECT" => CONNECT,
            _ => OTHER,
        };
        let (length, ends) = match head.body {
            Body::Unsaid => (head.length as u64, true),
            Body::Length(length) => ((head.length as u64).saturating_add(length), true),
            Body::Chunked => {
                self.stages[Way::ToServer as usize] = Stage::Chunks;
                match self.chunks(Way::ToServer, bytes, head.length) {
                    Ok(reach) => reach,
                    Err(loss) => return Step::Lost(loss),
                }
            }
            // Nobody can tell where such a request ends (RFC 9112 s6.3).
            Body::UntilClose => return Step::Lost(Loss::Malformed),
        };
        self.may_switch = tag == CONNECT || !head.upgrade.is_empty();
        context.texts.operation(method);
        context.texts.summary(|line| {
            line.bytes(method);
            line.blank();
            if target.starts_with(b"/") {
                line.bytes(head.host);
            }
            line.bytes(target);
        });
        let request = Request {
            ends,
            tag,
            ..Request::whole()
        };
        long(length, Part::Request(request)).step()
    }

    fn response(&mut self, bytes: &[u8], head: &Head<'_>, context: &mut Context<'_>) -> Step {
        let Some((code, reason)) = status_line(head.line) else {
            return Step::Lost(Loss::Malformed);
        };
        if code < 200 && code != 101 {
            return Unit::new(head.length, Part::Aside).step();
        }
        let tag = context.asked.oldest().unwrap_or(OTHER);
        let then = match code {
            101 if head.upgrade.eq_ignore_ascii_case(b"websocket") => Some(Protocol::Websocket),
            101 if head.upgrade.eq_ignore_ascii_case(b"h2c") => Some(Protocol::Http2),
            101 => Some(Protocol::Turn),
            200..300 if tag == CONNECT => Some(Protocol::Turn),
            _ => None,
        };
        let (length, ends) = if then.is_some() || tag == HEAD || matches!(code, 204 | 304) {
            (head.length as u64, true)
        } else {
            match head.body {
                Body::Length(length) => ((head.length as u64).saturating_add(length), true),
                Body::Chunked => {
                    self.stages[Way::ToClient as usize] = Stage::Chunks;
                    match self.chunks(Way::ToClient, bytes, head.length) {
                        Ok(reach) => reach,
                        Err(loss) => return Step::Lost(loss),
                    }
                }
                Body::Unsaid | Body::UntilClose => {
                    if !context.is_end {
                        self.stages[Way::ToClient as usize] = Stage::UntilClose;
                    }
                    (bytes.len() as u64, context.is_end)
                }
            }
        };
        self.may_switch = false;
        context.texts.status_text(|line| line.bytes(reason));
        let response = Response {
            id: None,
            ends,
            restarts: false,
            outcome: Some(Outcome {
                is_error: code >= 400,
                code: Some(code),
            }),
        };
        let mut unit = long(length, Part::Response(response));
        unit.then = then;
        unit.step()
    }

    /// How far the chunks reach that begin at `at`, and whether the body ends there. As many as are there go in one
    /// piece; the last of them may reach beyond.
    fn chunks(&mut self, way: Way, bytes: &[u8], mut at: usize) -> Result<(u64, bool), Loss> {
        let stage = &mut self.stages[way as usize];
        loop {
            let Some(end) = find_line_end(bytes, at) else {
                if bytes.len().saturating_sub(at) > LONGEST_LINE {
                    return Err(Loss::TooLong);
                }
                return Ok((at as u64, false));
            };
            let line = bytes.get(at..end).unwrap_or_default();
            at = end + 1;
            if matches!(stage, Stage::Trailers) {
                if matches!(line, b"" | b"\r") {
                    *stage = Stage::Head;
                    return Ok((at as u64, true));
                }
                continue;
            }
            let size = chunk_size(line).ok_or(Loss::Malformed)?;
            if size == 0 {
                *stage = Stage::Trailers;
                continue;
            }
            let next = (at as u64).saturating_add(size).saturating_add(2);
            match usize::try_from(next) {
                Ok(next) if next <= bytes.len() => at = next,
                _ => return Ok((next, false)),
            }
        }
    }
}

/// Line ends before a first line.
fn blank(bytes: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    bytes.iter().take_while(is_blank).count()
}

fn wait(bytes: &[u8]) -> Step {
    if bytes.len() < LONGEST_HEAD {
        Step::Wait
    } else {
        Step::Lost(Loss::TooLong)
    }
}

fn more(way: Way, ends: bool) -> Part {
    match way {
        Way::ToServer => Part::Request(Request::more(ends)),
        Way::ToClient => Part::Response(Response::more(ends)),
    }
}

fn long(length: u64, part: Part) -> Unit {
    Unit {
        length,
        part,
        then: None,
    }
}

fn probe_request(bytes: &[u8]) -> Guess {
    let Some(end) = find_line_end(bytes, 0) else {
        // So far a method, and if it is whole, the beginning of a target.
        let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
        let target = bytes.get(method.len() + 1).copied();
        return if is_method(method) && target.is_none_or(begins_target) || bytes.is_empty() {
            Guess::Maybe
        } else {
            Guess::No
        };
    };
    let line = bytes.get(..end).unwrap_or_default();
    match request_line(line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(_) => Guess::Yes,
        None => Guess::No,
    }
}

fn probe_response(bytes: &[u8]) -> Guess {
    // "HTTP/1.1 200" and what ends the code.
    const SHAPE: &[u8; 13] = b"HTTP/1.d ddde";
    for (byte, shape) in bytes.iter().zip(SHAPE) {
        let fits = match shape {
            b'd' => byte.is_ascii_digit(),
            b'e' => matches!(byte, b' ' | b'\r' | b'\n'),
            _ => byte == shape,
        };
        if !fits {
            return Guess::No;
        }
    }
    if bytes.len() < SHAPE.len() {
        Guess::Maybe
    } else {
        Guess::Yes
    }
}

/// Method and target of `GET /path HTTP/1.1`.
fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (whole, (line, version)) = (line, line.split_last_chunk::<9>()?);
    if !version.starts_with(b" HTTP/1.") || !version[8].is_ascii_digit() {
        return broken_request_line(whole);
    }
    // One without a target is answered by 400: a request all the same.
    let space = line.iter().position(|byte| *byte == b' ');
    let space = space.unwrap_or(line.len());
    let method = line.get(..space)?;
    let target = line.get(space + 1..).unwrap_or_default();
    let begins = target.first().is_none_or(|byte| begins_target(*byte));
    (is_method(method) && begins).then_some((method, target))
}

/// A line that a server takes for a request and answers by 400: `GET /HTTP/1.1`, `GET / HTTP/1.`
#[cold]
fn broken_request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (method, rest) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
    let rest = rest.trim_ascii();
    let names_http =
        rest.ends_with(b" HTTP/1.") || rest.ends_with(b"/HTTP/1.1") || rest.ends_with(b"/HTTP/1.0");
    let is_upper = method
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    (names_http && is_upper && is_method(method)).then_some((method, rest))
}

/// A token as methods are: registered ones have letters, and blanks as `-` (RFC 9110 s16.1). Longest registered:
/// `UPDATEREDIRECTREF`.
fn is_method(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    (1..=32).contains(&bytes.len()) && bytes.iter().all(is_letter)
}

/// `/path`, `*`, `http://host/path`, `host:port`, `[::1]:443`.
fn begins_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'*' | b'[' | b'?' | b'%' | b'.')
}

/// Code and reason of `HTTP/1.1 404 Not Found`.
fn status_line(line: &[u8]) -> Option<(u32, &[u8])> {
    let (start, rest) = line.split_first_chunk::<12>()?;
    let [version @ .., b' ', hundreds, tens, ones] = start else {
        return None;
    };
    if !version.starts_with(b"HTTP/1.") || !version[7].is_ascii_digit() {
        return None;
    }
    let mut code = 0;
    for digit in [hundreds, tens, ones] {
        if !digit.is_ascii_digit() {
            return None;
        }
        code = code * 10 + u32::from(digit - b'0');
    }
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    (code >= 100).then_some((code, reason))
}

/// The size in `1a2b;extension`, in hexadecimal digits.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let mut size: u64 = 0;
    let mut digits = 0;
    for byte in line {
        let Some(digit) = char::from(*byte).to_digit(16) else {
            if digits > 0 && matches!(byte, b';' | b' ' | b'\t' | b'\r') {
                break;
            }
            return None;
        };
        size = size.checked_mul(16)?.checked_add(u64::from(digit))?;
        digits += 1;
    }
    (digits > 0).then_some(size)
}
