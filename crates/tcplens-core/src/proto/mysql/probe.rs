//! Whether bytes are the first of a MySQL message.

use super::command::Command;
use super::packet::{self, Close, Columns, Failure, HEADER, Header, Login};

/// Whether a packet of the client begins a login or a command.
pub(super) fn client_begins(header: Header, payload: &[u8], behind: &[u8]) -> bool {
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
pub(super) fn server_begins(header: Header, payload: &[u8], behind: &[u8]) -> bool {
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
