//! The frontend/backend protocol of PostgreSQL, version 3 (PostgreSQL 7.4 and later).
//!
//! Read: the start of a connection up to its login's end or to TLS; simple queries, function calls, and the extended
//! protocol, where everything up to a Sync is one request; errors with their SQLSTATE; the texts of prepared statements,
//! so that their execution can be named. COPY data that the client sends and replication streams are asides.
//! Not read: rows and COPY data (passed over), what follows a GSSAPI encryption request that was granted, version 2.
//!
//! Reference: PostgreSQL documentation, chapter "Frontend/Backend Protocol".

mod message;
mod server;
#[cfg(test)]
mod tests;

use self::message::{BadLength, HEADER, Header, code, string, u32_at};
use super::sql::{self, LOOK, Statements};
use super::{Context, Guess, Loss, Owes, Parser, Part, Request, Step, Unit, Way};

/// Bytes of an extended request that are waited for, to tell what it does. Chosen: beyond the text of most statements.
const LOOK_AHEAD: usize = 8 * LOOK;

/// What a request is, as its tag.
mod tag {
    pub(super) const LOGIN: u32 = 1;
    pub(super) const SIMPLE: u32 = 2;
    pub(super) const EXTENDED: u32 = 3;
}

/// What the client asked for before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    Tls,
    Gss,
}

/// COPY data from the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Copying {
    #[default]
    No,
    /// COPY FROM STDIN: until the server is ready for the next request.
    In,
    /// Replication, in both directions.
    Both,
}

/// A connection's parser.
#[derive(Debug, Default)]
pub struct Postgres {
    known: Option<Box<Known>>,
    encryption: Option<Encryption>,
    copying: Copying,
    /// What the extended request does of which the client has not sent the Sync.
    group: Option<Does>,
    /// The client's password messages belong to a login.
    is_login: bool,
    /// A part of a response was seen and its end was not.
    has_begun: bool,
}

/// Texts of prepared statements and of the portals made of them, by name.
#[derive(Debug, Default)]
struct Known {
    statements: Statements<Box<[u8]>>,
    portals: Statements<Box<[u8]>>,
}

/// What an extended request does; the greatest of its messages counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    Sync,
    Close,
    Describe,
    Prepare,
    Execute,
}

impl Does {
    fn name(self) -> &'static str {
        match self {
            Does::Sync => "sync",
            Does::Close => "close",
            Does::Describe => "describe",
            Does::Prepare => "prepare",
            Does::Execute => "execute",
        }
    }
}

/// What an extended request is about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Nothing,
    Text(&'a [u8]),
    Statement(&'a [u8]),
    Portal(&'a [u8]),
}

impl Parser for Postgres {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        message::probe(way, bytes)
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let step = match way {
            Way::ToServer => self.read_client(bytes, context),
            Way::ToClient => self.read_server(bytes, context),
        };
        step.unwrap_or(Step::Lost(Loss::Malformed))
    }

    fn lost(&mut self, way: Way) {
        self.encryption = None;
        match way {
            Way::ToServer => {
                self.group = None;
                self.is_login = false;
            }
            Way::ToClient => self.has_begun = false,
        }
    }
}

impl Postgres {
    fn read_client(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Step, BadLength> {
        if bytes.first() == Some(&0) {
            return self.startup(bytes, context);
        }
        let Some(header) = Header::read(bytes)? else {
            return Ok(Step::Wait);
        };
        let aside = Unit::new(header.whole, Part::Aside);
        match header.kind {
            _ if self.group.is_some() => self.rest_of_group(bytes, context),
            b'S' if self.copying == Copying::In => {
                // The server drops the Sync of a COPY FROM STDIN that came before the data; libpq sends it again.
                Ok(aside.step())
            }
            b'P' | b'B' | b'E' | b'D' | b'C' | b'S' => self.group(bytes, context),
            b'Q' | b'F' => Ok(simple(header, bytes, context)),
            b'p' if self.is_login => {
                Ok(Unit::new(header.whole, Part::Request(Request::more(true))).step())
            }
            b'd' => Ok(Unit::new(copy_data(bytes), Part::Aside).step()),
            // A Flush on its own asks for nothing (libpq in pipeline mode begins with one).
            b'H' | b'c' | b'f' | b'p' | b'X' => Ok(aside.step()),
            _ => Err(BadLength),
        }
    }

    /// The first message of a connection, which has no type.
    fn startup(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Step, BadLength> {
        let (Some(length), Some(code)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else {
            return Ok(Step::Wait);
        };
        let length = length as usize;
        if !(8..=message::LONGEST_STARTUP).contains(&length) {
            return Err(BadLength);
        }
        let Some(parameters) = enough(bytes, 8, length, context.is_end) else {
            return Ok(Step::Wait);
        };
        let unit = |part: Part| Ok(Unit::new(length, part).step());
        match code {
            code::SSL | code::GSS => {
                let is_tls = code == code::SSL;
                self.encryption = Some(if is_tls {
                    Encryption::Tls
                } else {
                    Encryption::Gss
                });
                unit(Part::Aside)
            }
            code::CANCEL => {
                context.texts.operation(b"cancel");
                context.texts.summary(|line| {
                    line.piece("cancel ");
                    line.number(u64::from(u32_at(parameters, 0).unwrap_or_default()));
                });
                unit(Part::Request(Request {
                    owes: Owes::Nothing,
                    ..Request::whole()
                }))
            }
            0x0003_0000..=0x0003_ffff => {
                *self = Postgres {
                    is_login: true,
                    ..Postgres::default()
                };
                context.texts.operation(b"login");
                context.texts.summary(|line| {
                    line.piece("login ");
                    line.bytes(message::parameter(parameters, b"user").unwrap_or_default());
                    if let Some(database) = message::parameter(parameters, b"database") {
                        line.piece("@");
                        line.bytes(database);
                    }
                });
                unit(Part::Request(Request {
                    tag: tag::LOGIN,
                    ..Request::whole()
                }))
            }
            0x0002_0000..=0x0002_ffff => Ok(Step::Lost(Loss::Unsupported)),
            _ => Err(BadLength),
        }
    }

    /// The front of an extended request, as far as it must be known to say what it does: up to the first message that
    /// decides it.
    fn group(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<Step, BadLength> {
        let mut at = 0;
        let mut does = Does::Sync;
        let mut subject = Subject::Nothing;
        let mut unnamed = None;
        let mut ends = false;
        while at < LOOK_AHEAD {
            let rest = bytes.get(at..).unwrap_or_default();
            let header = match Header::read(rest) {
                Ok(Some(header)) => header,
                Ok(None) if context.is_end && at > 0 => break,
                Ok(None) => return Ok(Step::Wait),
                Err(bad) if at == 0 => return Err(bad),
                // It is told when it comes to the front.
                Err(_) => break,
            };
            if !b"PBEDCHS".contains(&header.kind) {
                break;
            }
            let Some(body) = enough(rest, HEADER, header.whole, context.is_end) else {
                return Ok(Step::Wait);
            };
            let (does_now, about) = match (header.kind, body.split_first()) {
                (b'P', _) => {
                    let (name, text) = string(body).unwrap_or_default();
                    if name.is_empty() {
                        unnamed = Some(text);
                    } else {
                        self.keep(name, text);
                    }
                    let text = string(text).map_or(text, |(text, _)| text);
                    (Does::Prepare, Subject::Text(text))
                }
                (b'B', _) => {
                    let (portal, rest) = string(body).unwrap_or_default();
                    let (statement, _) = string(rest).unwrap_or_default();
                    self.bind(portal, statement);
                    let about = match subject {
                        Subject::Text(_) => subject,
                        _ => Subject::Statement(statement),
                    };
                    (Does::Execute, about)
                }
                (b'E', _) => {
                    let (portal, _) = string(body).unwrap_or_default();
                    (Does::Execute, Subject::Portal(portal))
                }
                (kind @ (b'D' | b'C'), Some((of, name))) => {
                    let (name, _) = string(name).unwrap_or_default();
                    if kind == b'C' {
                        self.forget(*of, name);
                    }
                    let about = match of {
                        b'S' => Subject::Statement(name),
                        _ => Subject::Portal(name),
                    };
                    match kind {
                        b'D' => (Does::Describe, about),
                        _ => (Does::Close, about),
                    }
                }
                _ => (Does::Sync, Subject::Nothing),
            };
            if does_now > does {
                (does, subject) = (does_now, about);
            }
            at += header.whole;
            ends = header.kind == b'S';
            if ends || header.kind == b'H' || does == Does::Execute {
                break;
            }
        }
        if let Some(text) = unnamed {
            if does == Does::Prepare && !ends && at >= LOOK_AHEAD {
                // Too long to see its execution; without a name it is prepared for nothing else.
                does = Does::Execute;
            } else if does == Does::Prepare {
                self.keep(b"", text);
            }
        }
        self.group = (!ends).then_some(does);
        self.describe(does, subject, context);
        let request = Request {
            ends,
            tag: tag::EXTENDED,
            ..Request::begin()
        };
        Ok(Unit::new(at, Part::Request(request)).step())
    }

    fn describe(&self, does: Does, subject: Subject<'_>, context: &mut Context<'_>) {
        let operation = does.name();
        context.texts.operation(operation.as_bytes());
        let known = self.known.as_deref();
        let (text, name) = match subject {
            Subject::Nothing => (None, &b""[..]),
            Subject::Text(text) => (Some(text), &b""[..]),
            Subject::Statement(name) => (known.and_then(|known| known.statements.text(name)), name),
            Subject::Portal(name) => (known.and_then(|known| known.portals.text(name)), name),
        };
        context.texts.summary(|line| match text {
            Some(text) => sql::write(line, text),
            None => {
                line.piece(operation);
                if !name.is_empty() {
                    line.blank();
                    line.bytes(name);
                }
            }
        });
    }

    /// Further messages of an extended request, as many as there are.
    fn rest_of_group(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Step, BadLength> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let header = match Header::read(rest) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(bad) if at == 0 => return Err(bad),
                Err(_) => break,
            };
            let mut ends = false;
            match header.kind {
                b'P' | b'B' | b'C' => {
                    let Some(body) = enough(rest, HEADER, header.whole, context.is_end) else {
                        break;
                    };
                    let (first, rest) = string(body).unwrap_or_default();
                    match (header.kind, body.split_first()) {
                        (b'P', _) => self.keep(first, rest),
                        (b'B', _) => self.bind(first, string(rest).unwrap_or_default().0),
                        (_, Some((of, name))) => {
                            self.forget(*of, string(name).unwrap_or_default().0);
                        }
                        _ => {}
                    }
                }
                // A simple query is a Sync, too.
                b'S' | b'Q' | b'F' => ends = true,
                b'E' | b'D' | b'H' | b'd' | b'c' | b'f' => {}
                _ => {
                    // The request is over without a Sync.
                    self.group = None;
                    if at == 0 {
                        return Ok(Unit::new(header.whole, Part::Aside).step());
                    }
                    break;
                }
            }
            if let b'B' | b'E' = header.kind
                && self.group < Some(Does::Execute)
            {
                // Prepared and flushed, then executed (asyncpg): that counts, under the text that was prepared.
                self.group = Some(Does::Execute);
                context.texts.operation(Does::Execute.name().as_bytes());
            }
            at += header.whole;
            if ends {
                self.group = None;
                return Ok(Unit::new(at, Part::Request(Request::more(true))).step());
            }
        }
        Ok(match at {
            0 => Step::Wait,
            _ => Unit::new(at, Part::Request(Request::more(false))).step(),
        })
    }

    fn keep(&mut self, name: &[u8], text: &[u8]) {
        /// Longer names are cut by the server (NAMEDATALEN): they are not worth keeping.
        const LONGEST_NAME: usize = 64;
        if name.len() <= LONGEST_NAME {
            let text = string(text).map_or(text, |(text, _)| text);
            let known = self.known.get_or_insert_default();
            known.statements.keep::<[u8]>(name.into(), text);
        }
    }

    fn bind(&mut self, portal: &[u8], statement: &[u8]) {
        let Some(known) = self.known.as_deref_mut().filter(|_| !portal.is_empty()) else {
            return;
        };
        if let Some(text) = known.statements.text(statement) {
            known.portals.keep::<[u8]>(portal.into(), text);
        }
    }

    fn forget(&mut self, of: u8, name: &[u8]) {
        if let Some(known) = self.known.as_deref_mut() {
            let names = match of {
                b'S' => &mut known.statements,
                _ => &mut known.portals,
            };
            names.take(name);
        }
    }
}

/// A simple query or a function call.
fn simple(header: Header, bytes: &[u8], context: &mut Context<'_>) -> Step {
    let Some(body) = enough(bytes, HEADER, header.whole, context.is_end) else {
        return Step::Wait;
    };
    if header.kind == b'Q' {
        context.texts.operation(b"query");
        context.texts.summary(|line| sql::write(line, body));
    } else {
        context.texts.operation(b"call");
        context.texts.summary(|line| {
            line.piece("call #");
            line.number(u64::from(u32_at(body, 0).unwrap_or_default()));
        });
    }
    let request = Request {
        tag: tag::SIMPLE,
        ..Request::whole()
    };
    Unit::new(header.whole, Part::Request(request)).step()
}

/// Length of the CopyData messages at the front, the last of which may go on.
fn copy_data(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && let Ok(Some(header)) = Header::read(rest)
        && header.kind == b'd'
    {
        at += header.whole;
    }
    at
}

/// What is between `from` and `whole` of a message, or the front of it, as much as is looked at; none if more must come.
fn enough(bytes: &[u8], from: usize, whole: usize, is_end: bool) -> Option<&[u8]> {
    let there = bytes.get(..whole).unwrap_or(bytes);
    let wanted = whole.min(from + LOOK);
    (there.len() >= wanted || is_end).then(|| {
        let there = there.get(..wanted).unwrap_or(there);
        there.get(from..).unwrap_or_default()
    })
}
