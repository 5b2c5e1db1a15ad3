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
#[cfg(test)]
mod tests;

use self::command::{Command, Reply};
use self::packet::{Close, Columns, Failure, HEADER, Header, LONGEST, Login, capability};
use super::sql::{self, LOOK, Statements};
use super::{
    Context, Guess, Loss, Outcome, Owes, Parser, Part, Request, Response, Step, Unit, Way,
};
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

/// What a packet of the server is.
enum Meaning {
    /// Not part of an answer.
    Aside,
    /// Of an answer that goes on.
    More,
    /// The last of an answer.
    End(Option<Outcome>),
}

const OK: Meaning = Meaning::End(Some(Outcome {
    is_error: false,
    code: None,
}));

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
            Way::ToServer => client_begins(header, payload, behind),
            Way::ToClient => server_begins(header, payload, behind),
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
        // The server's wish for a file may have been missed.
        let waits = context.asked.oldest().map(|tag| Command(tag as u8));
        if waits == Some(Command::QUERY) {
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
        self.is_login = command == Command::CHANGE_USER;
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

    /// Reads packets up to the end of an answer or of what is there.
    fn read_server(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Step {
        let tag = context.asked.oldest();
        let so_far = |at: usize| Unit::new(at, Part::Response(Response::more(false))).step();
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some((header, payload)) = self.enough(rest) else {
                break;
            };
            let Ok(meaning) = self.packet(header, payload, tag, context) else {
                return Step::Lost(Loss::Malformed);
            };
            at += header.whole();
            match meaning {
                Meaning::Aside => return Unit::new(at, Part::Aside).step(),
                Meaning::More => self.has_begun = true,
                Meaning::End(outcome) => {
                    self.has_begun = false;
                    if self.phase != Phase::Stream {
                        self.phase = Phase::First;
                    }
                    let response = Response {
                        restarts: false,
                        id: None,
                        ends: true,
                        outcome,
                    };
                    return Unit::new(at, Part::Response(response)).step();
                }
            }
        }
        match at {
            0 => Step::Wait,
            _ => so_far(at),
        }
    }

    /// The packet at the front with as much of its payload as tells what it is; none if more bytes must come.
    fn enough<'b>(&self, bytes: &'b [u8]) -> Option<(Header, &'b [u8])> {
        let header = Header::read(bytes)?;
        let there = bytes.get(HEADER..).unwrap_or_default();
        let of_it = there.get(..header.length).unwrap_or(there);
        let is_passed_over = match self.phase {
            _ if self.server_continues => true,
            Phase::Columns(_) => true,
            // A row is long or begins with something else than what closes rows; so is an event.
            Phase::Rows | Phase::AfterColumns | Phase::Stream => {
                header.length == LONGEST || of_it.first().is_some_and(|byte| *byte < 0xfe)
            }
            Phase::Prepared { .. } => header.length > 5,
            Phase::First => false,
        };
        let wanted = if is_passed_over { 0 } else { header.length };
        (of_it.len() >= wanted.min(LOOK)).then_some((header, of_it))
    }

    /// What a packet of the server is.
    fn packet(
        &mut self,
        header: Header,
        payload: &[u8],
        tag: Option<u32>,
        context: &mut Context<'_>,
    ) -> Result<Meaning, Loss> {
        let goes_on = header.length == LONGEST;
        if std::mem::replace(&mut self.server_continues, goes_on) {
            return Ok(match self.phase {
                Phase::Stream => Meaning::Aside,
                _ => Meaning::More,
            });
        }
        if let Some(0xfe | 0xff) | None = payload.first()
            && let Phase::AfterColumns | Phase::Rows = self.phase
        {
            return self.after_rows(header, payload, context);
        }
        match self.phase {
            Phase::First => self.first(header, payload, tag, context),
            Phase::Columns(left) => {
                self.phase = match left {
                    0 | 1 => Phase::AfterColumns,
                    _ => Phase::Columns(left - 1),
                };
                Ok(Meaning::More)
            }
            Phase::AfterColumns => {
                self.has_eofs = Some(false);
                self.phase = Phase::Rows;
                Ok(Meaning::More)
            }
            Phase::Rows => Ok(Meaning::More),
            Phase::Prepared {
                parameters,
                columns,
                eof_due,
            } => {
                let is_eof = packet::is_eof(payload, header.length);
                if eof_due {
                    self.has_eofs = Some(is_eof);
                }
                Ok(self.definition(parameters, columns, eof_due && is_eof))
            }
            Phase::Stream => {
                if let Some(0xfe | 0xff) = payload.first() {
                    self.phase = Phase::First;
                }
                Ok(Meaning::Aside)
            }
        }
    }

    /// One definition of a prepared statement, or the EOF packet behind the definitions of a kind.
    fn definition(&mut self, mut parameters: u16, mut columns: u16, is_eof: bool) -> Meaning {
        let mut eof_due = false;
        if !is_eof {
            let left = match parameters {
                0 => &mut columns,
                _ => &mut parameters,
            };
            *left = left.saturating_sub(1);
            let is_last_of_kind = *left == 0;
            // Behind the last of all, one is waited for only if it surely comes.
            let is_last = parameters == 0 && columns == 0;
            eof_due = is_last_of_kind && self.has_eofs.unwrap_or(!is_last);
        }
        if parameters == 0 && columns == 0 && !eof_due {
            return OK;
        }
        self.phase = Phase::Prepared {
            parameters,
            columns,
            eof_due,
        };
        Meaning::More
    }

    /// A packet behind definitions or rows that is neither.
    fn after_rows(
        &mut self,
        header: Header,
        payload: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Meaning, Loss> {
        if let Some(failure) = Failure::read(payload) {
            return Ok(failed(&failure, context));
        }
        if header.length == LONGEST {
            // A row whose first value is longer than 16 MiB.
            return Ok(Meaning::More);
        }
        let close = Close::read(payload).ok_or(Loss::Malformed)?;
        let is_eof = packet::is_eof(payload, header.length);
        if self.phase == Phase::AfterColumns {
            self.has_eofs = Some(is_eof);
            if is_eof && !close.has_cursor() {
                self.phase = Phase::Rows;
                return Ok(Meaning::More);
            }
        }
        Ok(self.close(close))
    }

    fn close(&mut self, close: Close) -> Meaning {
        if close.has_more_results() {
            self.phase = Phase::First;
            return Meaning::More;
        }
        OK
    }

    /// The first packet of an answer.
    fn first(
        &mut self,
        header: Header,
        payload: &[u8],
        tag: Option<u32>,
        context: &mut Context<'_>,
    ) -> Result<Meaning, Loss> {
        let command = tag.map(|tag| Command(tag as u8));
        let reply = command.and_then(Command::known).map(|(_, reply)| reply);
        let Some(reply) = reply else {
            return Ok(self.unasked(header, payload));
        };
        if let Some(failure) = Failure::read(payload) {
            self.is_login = false;
            self.take_prepared(tag);
            return Ok(failed(&failure, context));
        }
        // The EOF packet behind the last definition, where it was not known whether one comes.
        if !self.has_begun && header.sequence > 1 && packet::is_eof(payload, header.length) {
            self.has_eofs = Some(true);
            return Ok(Meaning::Aside);
        }
        match (reply, payload.first()) {
            (Reply::Login, Some(0x00)) => {
                self.is_login = false;
                self.is_compressed = tag.is_some_and(|tag| tag & 0x100 != 0);
                Ok(OK)
            }
            // AuthSwitchRequest, AuthMoreData, AuthNextFactor.
            (Reply::Login, Some(0xfe | 0x01 | 0x02)) => Ok(Meaning::Aside),
            (Reply::Login, _) => Err(Loss::Malformed),
            (Reply::Text, _) => Ok(OK),
            (Reply::Ok, Some(0x00 | 0xfe)) => {
                let close = Close::read(payload).ok_or(Loss::Malformed)?;
                Ok(self.close(close))
            }
            (Reply::Ok, _) => Err(Loss::Malformed),
            (Reply::List, _) => {
                self.phase = Phase::Rows;
                match payload.first() {
                    Some(0xfe) => self.after_rows(header, payload, context),
                    _ => Ok(Meaning::More),
                }
            }
            (Reply::Prepared, _) => self.prepared(payload, tag),
            (Reply::Stream, _) => {
                self.phase = Phase::Stream;
                // The request is done with its first event: what follows has no end.
                Ok(Meaning::End(None))
            }
            (Reply::Results, _) => self.results(header, payload),
            (Reply::Nothing, _) => Err(Loss::Malformed),
        }
    }

    /// What the server says without being asked, or the answer to what was not seen.
    fn unasked(&mut self, header: Header, payload: &[u8]) -> Meaning {
        if header.sequence == 0 {
            if let Some(flags) = packet::greeting(payload) {
                self.server_flags = flags;
            }
            return Meaning::Aside;
        }
        if header.sequence > 1 && packet::is_eof(payload, header.length) {
            self.has_eofs = Some(true);
            return Meaning::Aside;
        }
        Meaning::End(None)
    }

    fn results(&mut self, header: Header, payload: &[u8]) -> Result<Meaning, Loss> {
        match payload.first() {
            // Shorter, it is the flag before the number of columns.
            Some(0x00) if header.length >= 7 => {
                let close = Close::read(payload).ok_or(Loss::Malformed)?;
                Ok(self.close(close))
            }
            Some(0xfb) => {
                self.is_file = true;
                Ok(Meaning::More)
            }
            Some(0xfe) if header.length < 9 => {
                let close = Close::read(payload).ok_or(Loss::Malformed)?;
                Ok(self.close(close))
            }
            _ => {
                let columns = Columns::read(payload).filter(|_| payload.len() == header.length);
                let columns = columns.ok_or(Loss::Malformed)?;
                let count = u16::try_from(columns.count).map_err(|_| Loss::Malformed)?;
                self.phase = match columns.are_defined {
                    true => Phase::Columns(count),
                    false => Phase::AfterColumns,
                };
                Ok(Meaning::More)
            }
        }
    }

    fn prepared(&mut self, payload: &[u8], tag: Option<u32>) -> Result<Meaning, Loss> {
        // 0, number 4, columns 2, parameters 2, 0, warnings 2, and where it is optional: whether definitions follow.
        let read = |at: usize| packet::u16_at(payload, at);
        let (Some(0), Some(number), Some(columns), Some(parameters)) = (
            payload.first(),
            packet::u32_at(payload, 1),
            read(5),
            read(7),
        ) else {
            return Err(Loss::Malformed);
        };
        if let Some(text) = self.take_prepared(tag)
            && let Some(prepared) = &mut self.prepared
        {
            prepared.known.keep(number, &text);
        }
        if payload.get(12) == Some(&0) || parameters == 0 && columns == 0 {
            return Ok(OK);
        }
        self.phase = Phase::Prepared {
            parameters,
            columns,
            eof_due: false,
        };
        Ok(Meaning::More)
    }

    /// The text of the statement that the request with this tag prepares.
    fn take_prepared(&mut self, tag: Option<u32>) -> Option<Box<[u8]>> {
        let tag = tag.filter(|tag| Command(*tag as u8) == Command::STMT_PREPARE)?;
        self.prepared.as_mut()?.asked.take(&(tag >> 8))
    }
}

fn failed(failure: &Failure<'_>, context: &mut Context<'_>) -> Meaning {
    if failure.is_progress() {
        return Meaning::More;
    }
    context.texts.status_text(|line| {
        if let Some(state) = failure.state {
            line.bytes(state);
            line.blank();
        }
        sql::write(line, failure.message);
    });
    Meaning::End(Some(Outcome {
        is_error: true,
        code: Some(u32::from(failure.code)),
    }))
}

/// Whether a packet of the client begins a login or a command.
fn client_begins(header: Header, payload: &[u8], behind: &[u8]) -> bool {
    if header.sequence == 1 {
        return header.length < 0x1_0000
            && Login::read(payload).is_some_and(|login| {
                let user = login.user();
                header.length == Login::FIXED
                    || user.iter().all(|byte| *byte >= b' ') && user.len() < payload.len()
            });
    }
    let Some((&byte, rest)) = payload.split_first() else {
        return false;
    };
    let command = Command(byte);
    let is_followed = behind.is_empty()
        || Header::read(behind).is_none_or(|next| {
            let byte = behind.get(HEADER).copied().map(Command);
            next.sequence == 0 && byte.is_none_or(|command| command.known().is_some())
        });
    command != Command::LOGIN
        && is_followed
        && (payload.len() == header.length || payload.len() >= 16)
        && command.is_plausible(rest, header.length)
}

/// Whether a packet of the server is a greeting or opens an answer.
fn server_begins(header: Header, payload: &[u8], behind: &[u8]) -> bool {
    if header.sequence == 0 && packet::greeting(payload).is_some() {
        return true;
    }
    if payload.len() < header.length {
        return false;
    }
    if let Some(failure) = Failure::read(payload) {
        // Error numbers of servers begin at 1000; before the login there is no SQLSTATE.
        let is_text = failure.message.iter().all(|byte| *byte >= b' ');
        return failure.code >= 1000
            && is_text
            && (header.sequence == 0 || failure.state.is_some());
    }
    if header.sequence != 1 {
        return false;
    }
    match payload.first() {
        Some(0x00) if header.length == 12 && payload.get(9) == Some(&0) && !behind.is_empty() => {
            packet::u32_at(payload, 1).is_some_and(|number| number > 0)
                && Header::read(behind).is_none_or(|next| next.sequence == 2)
        }
        Some(0x00) if header.length >= 7 => {
            Close::read(payload).is_some_and(Close::is_plausible) && behind.is_empty()
        }
        Some(0xfe) if header.length == 5 => {
            Close::read(payload).is_some_and(Close::is_plausible) && behind.is_empty()
        }
        Some(_) => {
            // The definition of a column begins with the catalog, which is always "def".
            Columns::read(payload).is_some()
                && Header::read(behind).is_some_and(|next| next.sequence == 2)
                && behind.get(HEADER..).is_some_and(|definition| {
                    definition.starts_with(b"\x03def") || is_close(definition)
                })
        }
        None => false,
    }
}

fn is_close(definition: &[u8]) -> bool {
    packet::is_eof(definition, definition.len())
}
