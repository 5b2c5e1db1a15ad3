//! The client/server protocol of MySQL and MariaDB, protocol 4.1 (MySQL 4.1 and later).
//!
//! Read: the login up to its end or to TLS; all commands; their answers packet by packet, but of rows and definitions no
//! more than the first bytes; the texts of prepared statements, so that their execution can be named. A file that the
//! client sends (LOAD DATA LOCAL) and the events of a replication stream are asides.
//! Not read: compressed connections (given up at the end of the login), protocol 3.20 (before 4.1), the X protocol.
//!
//! Reference: MySQL source documentation, "Client/Server Protocol" (page_PROTOCOL); MariaDB documentation,
//! "Client/Server Protocol", for what MariaDB adds.

mod command;
mod packet;
mod probe;
mod server;
#[cfg(test)]
mod tests;

use self::command::{Command, Reply};
use self::packet::{HEADER, Header, LONGEST, Login, capability};
use super::sql::{LOOK, Statements};
use super::{Context, Guess, Loss, Owes, Parser, Part, Request, Step, Unit, Way};
use crate::record::Protocol;

/// What the server sends next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The first packet of an answer, or of a further result.
    #[default]
    First,
    /// So many definitions of columns.
    Columns(u16),
    /// An EOF packet, or (where that is left out) a row or the end.
    AfterColumns,
    /// Rows, and what closes them.
    Rows,
    /// Definitions of a prepared statement's parameters and columns; behind each kind an EOF packet, if `eof_due`.
    Prepared {
        parameters: u16,
        columns: u16,
        eof_due: bool,
    },
    /// Events without end.
    Stream,
}

/// A connection's parser.
#[derive(Debug)]
pub struct Mysql {
    prepared: Option<Box<Prepared>>,
    phase: Phase,
    /// Capabilities of the greeting; all, if it was not seen.
    server_flags: u32,
    /// Definitions are followed by an EOF packet; none as long as that is not known.
    has_eofs: Option<bool>,
    /// A login waits for its end: the client's packets belong to it.
    is_login: bool,
    /// The server asked for a file: the client's packets are that.
    is_file: bool,
    /// The next packet goes on with the payload of the one before: from the client, from the server.
    client_continues: bool,
    server_continues: bool,
    /// A part of an answer was seen and its end was not.
    has_begun: bool,
    is_compressed: bool,
}

/// What is kept of prepared statements.
#[derive(Debug, Default)]
struct Prepared {
    /// By the number the server gave.
    known: Statements<u32>,
    /// By the number in the tag of the request, until the server has given one.
    asked: Statements<u32>,
    latest: u32,
}

impl Default for Mysql {
    fn default() -> Mysql {
        Mysql {
            prepared: None,
            phase: Phase::First,
            server_flags: u32::MAX,
            has_eofs: None,
            is_login: false,
            is_file: false,
            client_continues: false,
            server_continues: false,
            has_begun: false,
            is_compressed: false,
        }
    }
}

impl Parser for Mysql {
    fn probe(way: Way, bytes: &[u8]) -> Guess {
        let Some(header) = Header::read(bytes) else {
            return Guess::Maybe;
        };
        let is_possible = header.length > 0
            && match way {
                Way::ToServer => header.sequence <= 1,
                // What is longer is no greeting and opens no answer.
                Way::ToClient => header.sequence <= 1 && header.length < 4096,
            };
        if !is_possible {
            return Guess::No;
        }
        let wanted = header.length.min(LOOK);
        let there = bytes.get(HEADER..).unwrap_or_default();
        let payload = there.get(..header.length).unwrap_or(there);
        let behind = there.get(header.length..).unwrap_or_default();
        let is_whole = payload.len() >= wanted;
        let is_it = match way {
            Way::ToServer => probe::client_begins(header, payload, behind),
            Way::ToClient => probe::server_begins(header, payload, behind),
        };
        match (is_it, is_whole) {
            (true, _) => Guess::Yes,
            (false, true) => Guess::No,
            (false, false) if payload.len() < 64 => Guess::Maybe,
            (false, false) => Guess::No,
        }
    }

    fn read(&mut self, way: Way, bytes: &[u8], context: &mut Context<'_>) -> Step {
        if self.is_compressed {
            return Step::Lost(Loss::Unsupported);
        }
        match way {
            Way::ToServer => self.read_client(bytes, context),
            Way::ToClient => self.read_server(bytes, context),
        }
    }

    fn lost(&mut self, way: Way) {
        match way {
            Way::ToServer => {
                self.is_login = false;
                self.is_file = false;
                self.client_continues = false;
            }
            Way::ToClient => {
                self.phase = Phase::First;
                self.has_begun = false;
                self.server_continues = false;
            }
        }
    }
}

impl Mysql {
    fn read_client(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let Some(header) = Header::read(bytes) else {
            return Step::Wait;
        };
        let whole = header.whole();
        let goes_on = header.length == LONGEST;
        let was_continued = std::mem::replace(&mut self.client_continues, goes_on);
        if self.is_file {
            self.is_file = header.length > 0 || was_continued;
            return Unit::new(whole, Part::Aside).step();
        }
        if was_continued {
            return Unit::new(whole, Part::Request(Request::more(!goes_on))).step();
        }
        let there = bytes.get(HEADER..).unwrap_or_default();
        let payload = there.get(..header.length.min(LOOK));
        let Some(payload) = payload.or(context.is_end.then_some(there)) else {
            self.client_continues = false;
            return Step::Wait;
        };
        if header.sequence == 0 {
            return self.command(header, payload, context);
        }
        if self.is_login {
            return Unit::new(whole, Part::Request(Request::more(true))).step();
        }
        if header.sequence == 1
            && context.asked.oldest().is_none()
            && let Some(login) = Login::read(payload)
        {
            return self.login(header, &login, context);
        }
        // Credentials; or a file, and the server's wish for it was missed.
        let waits = context.asked.oldest().map(|tag| Command(tag as u8));
        if let Some(Command::CHANGE_USER | Command::QUERY) = waits {
            return Unit::new(whole, Part::Aside).step();
        }
        let is_old = header.sequence == 1 && header.length >= 5;
        Step::Lost(if is_old && self.server_flags != u32::MAX {
            Loss::Unsupported
        } else {
            Loss::Malformed
        })
    }

    fn login(&mut self, header: Header, login: &Login<'_>, context: &mut Context<'_>) -> Step {
        let flags = login.flags & self.server_flags;
        if login.flags & capability::SSL != 0 && header.length == Login::FIXED {
            let mut unit = Unit::new(header.whole(), Part::Aside);
            unit.then = Some(Protocol::Tls);
            return unit.step();
        }
        self.is_login = true;
        self.has_eofs = Some(flags & capability::DEPRECATE_EOF == 0);
        // From the end of the login on; the tag remembers it until then.
        let is_compressed = flags & (capability::COMPRESS | capability::ZSTD) != 0;
        context.texts.operation(b"login");
        context.texts.summary(|line| {
            line.piece("login");
            command::account(line, login.user(), login.database());
        });
        let tag = u32::from(Command::LOGIN.0) | u32::from(is_compressed) << 8;
        let request = Request {
            tag,
            ..Request::whole()
        };
        Unit::new(header.whole(), Part::Request(request)).step()
    }

    fn command(&mut self, header: Header, payload: &[u8], context: &mut Context<'_>) -> Step {
        let Some((&byte, rest)) = payload.split_first() else {
            // Nothing of it at the end of the stream, or an empty packet.
            return if header.length > 0 {
                Step::Wait
            } else {
                Step::Lost(Loss::Malformed)
            };
        };
        if self.phase == Phase::Stream {
            // Receipts of semi-synchronous replication look like packets of a command.
            return Unit::new(header.whole(), Part::Aside).step();
        }
        let command = Command(byte);
        let Some((name, reply)) = command.known().filter(|_| command != Command::LOGIN) else {
            return Step::Lost(Loss::Malformed);
        };
        self.is_login = false;
        context.texts.operation(name.as_bytes());
        let text = self.text_of(command, rest);
        context
            .texts
            .summary(|line| command.summarize(line, rest, text));
        let serial = self.note(command, rest);
        let ends = header.length < LONGEST;
        let request = Request {
            ends,
            owes: match reply {
                Reply::Nothing => Owes::Nothing,
                _ => Owes::Reply,
            },
            tag: u32::from(byte) | serial << 8,
            ..Request::whole()
        };
        Unit::new(header.whole(), Part::Request(request)).step()
    }

    /// The text of the prepared statement that is executed.
    fn text_of(&self, command: Command, rest: &[u8]) -> Option<&[u8]> {
        /// MariaDB: the one prepared last, whose number is not known yet.
        const LATEST: u32 = u32::MAX;
        let prepared = self.prepared.as_ref()?;
        let number = packet::u32_at(rest, 0).filter(|_| command.is_of_statement())?;
        match number {
            LATEST => prepared.asked.latest().or(prepared.known.latest()),
            number => prepared.known.text(&number),
        }
    }

    /// Keeps what is prepared and drops what is closed. The number that the request's tag takes along.
    fn note(&mut self, command: Command, rest: &[u8]) -> u32 {
        match command {
            Command::STMT_PREPARE => {
                let prepared = self.prepared.get_or_insert_default();
                // As many bits as a tag has left.
                prepared.latest = prepared.latest.wrapping_add(1) & 0xff_ffff;
                prepared.asked.keep(prepared.latest, rest);
                return prepared.latest;
            }
            Command::STMT_CLOSE => {
                if let (Some(prepared), Some(number)) =
                    (&mut self.prepared, packet::u32_at(rest, 0))
                {
                    prepared.known.take(&number);
                }
            }
            Command::CHANGE_USER | Command::RESET_CONNECTION | Command::QUIT => {
                self.prepared = None;
            }
            _ => {}
        }
        0
    }
}
