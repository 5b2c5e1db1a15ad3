//! Session tickets of TLS 1.3 (RFC 8446 4.6.1): they look like data, and come before the first response.

use super::super::Way;

/// Longest session ticket that is taken for one. Chosen: most have less than 300 bytes, client certificates inside add to it.
const LONGEST_TICKET: u16 = 2048;
/// Most tickets after a handshake. Chosen.
const MOST_TICKETS: u8 = 8;

/// The first records of a TLS 1.3 server after the handshake: tickets while they are of one length.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    length: u16,
    count: u8,
    are_over: bool,
    /// The first was taken for the response to what waited.
    pub(super) is_in_response: bool,
}

/// What a server's record after the handshake is.
pub(super) enum Ticket {
    /// A session ticket, as the one before it was.
    Is,
    /// The first that is none, after tickets of which the first was taken for a response.
    Was,
    /// None, or it cannot be told.
    IsNot,
}

impl Tickets {
    /// What this one is, given whose turn it is.
    pub(super) fn next(&mut self, length: u16, turn: Option<Way>, takes_tickets: bool) -> Ticket {
        if self.are_over || !takes_tickets {
            return Ticket::IsNot;
        }
        if self.count == 0 && length <= LONGEST_TICKET {
            self.count = 1;
            self.length = length;
            self.is_in_response = turn == Some(Way::ToServer);
            return Ticket::IsNot;
        }
        if self.count > 0 && self.count < MOST_TICKETS && length == self.length {
            self.count += 1;
            return Ticket::Is;
        }
        self.are_over = true;
        if self.count > 1 && self.is_in_response {
            Ticket::Was
        } else {
            Ticket::IsNot
        }
    }
}
