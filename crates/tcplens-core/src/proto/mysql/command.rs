//! MySQL commands: names, words, and how they are answered.

use super::packet::{self, u16_at, u32_at};
use crate::proto::Line;
use crate::proto::sql;

/// A command byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command(pub(super) u8);

/// What a command is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// One OK or EOF packet.
    Ok,
    /// One packet of text.
    Text,
    /// An OK packet, or results, or the wish for a file.
    Results,
    /// The numbers of a prepared statement, and definitions.
    Prepared,
    /// Packets up to an OK or EOF packet.
    List,
    /// An exchange of credentials.
    Login,
    /// Events without end.
    Stream,
    /// Nothing.
    Nothing,
}

impl Command {
    pub(super) const QUIT: Command = Command(0x01);
    pub(super) const INIT_DB: Command = Command(0x02);
    pub(super) const QUERY: Command = Command(0x03);
    pub(super) const FIELD_LIST: Command = Command(0x04);
    pub(super) const PROCESS_KILL: Command = Command(0x0c);
    pub(super) const CHANGE_USER: Command = Command(0x11);
    pub(super) const STMT_PREPARE: Command = Command(0x16);
    pub(super) const STMT_EXECUTE: Command = Command(0x17);
    pub(super) const STMT_SEND_LONG_DATA: Command = Command(0x18);
    pub(super) const STMT_CLOSE: Command = Command(0x19);
    pub(super) const STMT_RESET: Command = Command(0x1a);
    pub(super) const SET_OPTION: Command = Command(0x1b);
    pub(super) const STMT_FETCH: Command = Command(0x1c);
    pub(super) const RESET_CONNECTION: Command = Command(0x1f);
    /// MariaDB.
    pub(super) const STMT_BULK_EXECUTE: Command = Command(0xfa);
    /// Not a command: the tag of a login.
    pub(super) const LOGIN: Command = Command(0xff);

    /// Its name, and how it is answered; none for what clients may not send.
    pub(super) fn known(self) -> Option<(&'static str, Reply)> {
        Some(match self.0 {
            0x01 => ("COM_QUIT", Reply::Nothing),
            0x02 => ("COM_INIT_DB", Reply::Ok),
            0x03 => ("COM_QUERY", Reply::Results),
            0x04 => ("COM_FIELD_LIST", Reply::List),
            0x05 => ("COM_CREATE_DB", Reply::Ok),
            0x06 => ("COM_DROP_DB", Reply::Ok),
            0x07 => ("COM_REFRESH", Reply::Ok),
            0x08 => ("COM_SHUTDOWN", Reply::Ok),
            0x09 => ("COM_STATISTICS", Reply::Text),
            0x0a => ("COM_PROCESS_INFO", Reply::Results),
            0x0c => ("COM_PROCESS_KILL", Reply::Ok),
            0x0d => ("COM_DEBUG", Reply::Ok),
            0x0e => ("COM_PING", Reply::Ok),
            0x11 => ("COM_CHANGE_USER", Reply::Login),
            0x12 => ("COM_BINLOG_DUMP", Reply::Stream),
            0x13 => ("COM_TABLE_DUMP", Reply::Stream),
            0x15 => ("COM_REGISTER_SLAVE", Reply::Ok),
            0x16 => ("COM_STMT_PREPARE", Reply::Prepared),
            0x17 => ("COM_STMT_EXECUTE", Reply::Results),
            0x18 => ("COM_STMT_SEND_LONG_DATA", Reply::Nothing),
            0x19 => ("COM_STMT_CLOSE", Reply::Nothing),
            0x1a => ("COM_STMT_RESET", Reply::Ok),
            0x1b => ("COM_SET_OPTION", Reply::Ok),
            0x1c => ("COM_STMT_FETCH", Reply::List),
            0x1e => ("COM_BINLOG_DUMP_GTID", Reply::Stream),
            0x1f => ("COM_RESET_CONNECTION", Reply::Ok),
            0x20 => ("COM_CLONE", Reply::Stream),
            0x21 => ("COM_SUBSCRIBE_GROUP_REPLICATION_STREAM", Reply::Stream),
            0xfa => ("COM_STMT_BULK_EXECUTE", Reply::Results),
            0xff => ("login", Reply::Login),
            _ => return None,
        })
    }

    /// Whether it begins with the number of a prepared statement.
    pub(super) fn is_of_statement(self) -> bool {
        matches!(
            self,
            Command::STMT_EXECUTE
                | Command::STMT_SEND_LONG_DATA
                | Command::STMT_CLOSE
                | Command::STMT_RESET
                | Command::STMT_FETCH
                | Command::STMT_BULK_EXECUTE
        )
    }

    /// What it asks for, with `rest` of its packet; `text` of the prepared statement, if that is known.
    pub(super) fn summarize(self, line: &mut Line<'_>, rest: &[u8], text: Option<&[u8]>) {
        match self {
            Command::QUERY => sql::write(line, packet::query_text(rest)),
            Command::STMT_PREPARE => sql::write(line, rest),
            Command::STMT_EXECUTE | Command::STMT_BULK_EXECUTE if text.is_some() => {
                sql::write(line, text.unwrap_or_default());
            }
            Command::CHANGE_USER => {
                self.name(line);
                if let Some((user, database, _)) = account_of(rest) {
                    account(line, user, Some(database));
                }
            }
            Command::INIT_DB | Command(0x05 | 0x06) => {
                self.name(line);
                line.blank();
                line.bytes(rest);
            }
            Command::FIELD_LIST => {
                self.name(line);
                line.blank();
                line.bytes(packet::nul_string(rest).map_or(rest, |(table, _)| table));
            }
            Command::PROCESS_KILL => self.numbered(line, u32_at(rest, 0)),
            Command::SET_OPTION => self.numbered(line, u16_at(rest, 0).map(u32::from)),
            _ if self.is_of_statement() => self.numbered(line, u32_at(rest, 0)),
            _ => self.name(line),
        }
    }

    /// `STMT_CLOSE #7`
    fn numbered(self, line: &mut Line<'_>, number: Option<u32>) {
        self.name(line);
        if let Some(number) = number {
            line.piece(" #");
            line.number(u64::from(number));
        }
    }

    fn name(self, line: &mut Line<'_>) {
        let name = self.known().map_or("", |(name, _)| name);
        line.piece(name.strip_prefix("COM_").unwrap_or(name));
    }

    /// Whether `length` bytes of payload that begin with `rest` after the command can be one: for the probe.
    pub(super) fn is_plausible(self, rest: &[u8], length: usize) -> bool {
        let Some((_, reply)) = self.known() else {
            return false;
        };
        match self {
            Command::QUERY => is_statement(packet::query_text(rest)),
            Command::STMT_PREPARE => is_statement(rest),
            Command::INIT_DB => length <= 257 && !rest.is_empty() && is_text(rest),
            Command::FIELD_LIST => {
                let table = packet::nul_string(rest).map(|(table, _)| table);
                length <= 514 && table.is_some_and(|table| !table.is_empty() && is_text(table))
            }
            // Number, flags, iterations (always one).
            Command::STMT_EXECUTE => {
                length >= 10 && rest.get(5..9) == Some(&[1, 0, 0, 0]) && rest.get(4) < Some(&16)
            }
            Command::STMT_CLOSE | Command::STMT_RESET | Command::PROCESS_KILL => length == 5,
            Command::SET_OPTION => length == 3 && matches!(rest, [0 | 1, 0]),
            Command::STMT_FETCH => length == 9,
            Command::CHANGE_USER => {
                length <= 4096
                    && account_of(rest).is_some_and(|(user, database, character_set)| {
                        let is_set = matches!(character_set, 1..1024);
                        !user.is_empty() && is_text(user) && is_text(database) && is_set
                    })
            }
            // 0x01 COM_QUIT, 0x09 COM_STATISTICS, 0x0a, 0x0d, 0x0e COM_PING, 0x1f COM_RESET_CONNECTION.
            _ => length == 1 && matches!(reply, Reply::Ok | Reply::Text | Reply::Nothing),
        }
    }
}

/// ` user@database`
pub(super) fn account(line: &mut Line<'_>, user: &[u8], database: Option<&[u8]>) {
    line.blank();
    line.bytes(user);
    if let Some(database) = database.filter(|database| !database.is_empty()) {
        line.piece("@");
        line.bytes(database);
    }
}

/// User, database and character set of a COM_CHANGE_USER.
fn account_of(rest: &[u8]) -> Option<(&[u8], &[u8], u16)> {
    let (user, rest) = packet::nul_string(rest)?;
    let (length, rest) = rest.split_first()?;
    let (_scramble, rest) = rest.split_at_checked(usize::from(*length))?;
    let (database, rest) = packet::nul_string(rest)?;
    Some((user, database, u16_at(rest, 0).unwrap_or_default()))
}

/// SQL begins with a word, a bracket, a comment or white space, and has no control characters near its front.
fn is_statement(text: &[u8]) -> bool {
    let begins = |byte: &u8| {
        byte.is_ascii_alphabetic() || byte.is_ascii_whitespace() || b"(/-#@{;".contains(byte)
    };
    text.first().is_some_and(begins) && is_text(text.get(..64).unwrap_or(text))
}

/// Text of any character set that contains ASCII.
fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte >= b' ' && *byte != 0x7f || byte.is_ascii_whitespace())
}
