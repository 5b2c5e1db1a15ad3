//! What a MySQL server says: answers, packet by packet.

use super::command::{Command, Reply};
use super::packet::{self, Close, Columns, Failure, HEADER, Header, LONGEST};
use super::{Mysql, Phase};
use crate::proto::sql::{self, LOOK};
use crate::proto::{Context, Loss, Outcome, Part, Response, Step, Unit};

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

impl Mysql {
    /// Reads packets up to the end of an answer or of what is there.
    pub(super) fn read_server(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Step {
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
                        outcome,
                        ..Response::more(true)
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
            // A command that changes the user is answered by the first of them.
            (Reply::Login, Some(0xfe | 0x01 | 0x02)) => Ok(match command {
                Some(Command::LOGIN) => Meaning::Aside,
                _ => Meaning::More,
            }),
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
