//! How a connection ended and what it received, from the socket's own numbers. What they do not tell stays unknown.
//!
//! Seen on Linux 6.18 (loopback, both ends' destroy messages, each way of closing):
//! - A destroyed socket's message has state CLOSE, INFO and PROTOCOL; `rqueue` and `wqueue` are as they were, user and inode are 0.
//! - `bytes_acked` - (`bytes_sent` - `bytes_retrans`) is 0 for a server and 1 for a client whose payload is acknowledged, and one more
//!   when its FIN is: 1000 bytes of a client that closed give 1002, 2000 of a server 2001; after a RST 1001 and 2000.
//! - `bytes_received` has the peer's FIN: 2001 of 2000. A socket that closed first has gone when its FIN is acknowledged (its remains
//!   wait for the peer's FIN): 2000 of 2000. Nothing else in its statistics tells the two apart; `rqueue` is 1 where a FIN was not read.
//! - `wqueue` of a connection whose FIN or SYN is not acknowledged has it; 0 after a RST that came when all was acknowledged.
//! - A RST that comes changes `segs_in`, and no time: `last_ack_recv` is of ACKs only. Nothing tells a RST that was sent.
//! - A timeout leaves `retransmits` as it was (2 with TCP_USER_TIMEOUT 600 ms), `backoff` is 0.
//! - An attempt that is refused, times out or is given up by a blocking connect(2) is disconnected before it is destroyed: see
//!   [`Told::is_disconnected`]. `retransmits` stays: 0 where it was refused, 2 where two SYNs were repeated.

use super::message::{Message, state};
use super::tcp_info::TcpInfo;
use super::tracker::{End, Ended, Told};
use crate::record::SocketClose;
use crate::time::Timestamp;

/// What another source knows of a connection, better than its socket does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How it ended.
    pub close: Option<SocketClose>,
    /// Payload that it sent, each byte once; for where the end has no statistics.
    pub sent: Option<u64>,
    /// Payload that it received.
    pub received: Option<u64>,
    /// Whether the peer's FIN had come: then it is in `bytes_received`.
    pub has_fin: Option<bool>,
    /// When it was opened.
    pub opened: Option<Timestamp>,
    /// Who has it.
    pub pid: Option<u64>,
    /// Whether this is the server's end.
    pub is_server: Option<bool>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// In a word.
    pub close: SocketClose,
    /// Payload that it received; `None`: it cannot be known whether a FIN is in `bytes_received`.
    pub received: Option<u64>,
    /// Payload that it sent, each byte once.
    pub sent: Option<u64>,
    /// Whether this is the server's end, where the numbers or the facts tell.
    pub is_server: Option<bool>,
}

/// Reads the end of a connection.
#[must_use]
pub fn ending(end: &End<'_>, facts: &Facts) -> Ending {
    let polled = (end.entry.polls > 0).then(|| end.entry.message());
    let info = end.message.tcp_info();
    let is_server = facts
        .is_server
        .or_else(|| polled.and_then(is_server_by_poll))
        .or_else(|| info.and_then(|info| is_server_by_end(info, end.told)));
    let (close, has_fin) = match end.ended {
        Ended::Open => (SocketClose::Open, has_fin_by_state(end.message)),
        Ended::Vanished => (SocketClose::Vanished, has_fin_by_state(end.message)),
        Ended::Destroyed => {
            let close = end.told.map_or(SocketClose::Unknown, |told| {
                destroyed(told, info, polled, is_server)
            });
            let has_fin = match end.is_final_info {
                true => info.and_then(|info| has_fin(info, polled, end, close)),
                false => has_fin_by_state(end.message),
            };
            (close, has_fin)
        }
    };
    let has_fin = match end.is_final_info {
        true => facts.has_fin.or(has_fin),
        false => has_fin,
    };
    let counted = info.and_then(|info| info.bytes_received());
    let payload = || counted?.checked_sub(u64::from(has_fin?));
    let sent_by_socket = info.and_then(sent);
    Ending {
        close: facts.close.unwrap_or(close),
        received: facts.received.or_else(payload),
        sent: match end.is_final_info {
            true => sent_by_socket.or(facts.sent),
            false => facts.sent.or(sent_by_socket),
        },
        is_server,
    }
}

/// Payload sent, each byte once.
#[must_use]
pub fn sent(info: TcpInfo<'_>) -> Option<u64> {
    info.bytes_sent()?.checked_sub(info.bytes_retrans()?)
}

/// What was acknowledged besides payload, where all payload was: SYN, FIN.
fn beyond_payload(info: TcpInfo<'_>) -> Option<u64> {
    info.bytes_acked()?.checked_sub(sent(info)?)
}

/// Only the client's SYN is counted; before a FIN is sent that tells the two apart.
fn is_server_by_poll(polled: Message<'_>) -> Option<bool> {
    if polled.state() == state::SYN_SENT {
        return Some(false);
    }
    if !matches!(polled.state(), state::ESTABLISHED | state::CLOSE_WAIT) {
        return None;
    }
    let info = polled.tcp_info()?;
    if info.bytes_acked()? == 0 {
        return Some(true);
    }
    // While payload is under way some of it is sent and not acknowledged.
    match (polled.wqueue(), beyond_payload(info)?) {
        (0, 0) => Some(true),
        (0, 1) => Some(false),
        _ => None,
    }
}

fn is_server_by_end(info: TcpInfo<'_>, told: Option<Told>) -> Option<bool> {
    match (told?.wqueue, beyond_payload(info)?) {
        (_, 2) => Some(false),
        (0, 0) => Some(true),
        _ => None,
    }
}

fn destroyed(
    told: Told,
    info: Option<TcpInfo<'_>>,
    polled: Option<Message<'_>>,
    is_server: Option<bool>,
) -> SocketClose {
    let last_state = polled.map(Message::state);
    if told.is_disconnected {
        // Of an attempt: one SYN, and 2.
        let was_attempt = match last_state {
            Some(state) => state == state::SYN_SENT,
            None => told.wqueue <= 3,
        };
        return match (was_attempt, told.retransmits) {
            (false, _) => SocketClose::Reset,
            (true, 0) => SocketClose::Failed,
            (true, _) => SocketClose::TimedOut,
        };
    }
    let Some(info) = info else {
        return SocketClose::Unknown;
    };
    if was_never_established(info, told) {
        return match (info.segs_in(), info.total_retrans()) {
            (Some(1..), _) => SocketClose::Refused,
            (Some(0), Some(1..)) => SocketClose::TimedOut,
            _ => SocketClose::Failed,
        };
    }
    let fin = is_fin_acknowledged(info, told, last_state, is_server);
    match fin {
        Some(true) => SocketClose::Fin,
        Some(false) => without_fin(info, told, polled),
        None => SocketClose::Unknown,
    }
}

/// `delivered` counts the handshake of both ends; the SYN waits in `wqueue`.
fn was_never_established(info: TcpInfo<'_>, told: Told) -> bool {
    let nothing = info.bytes_acked() == Some(0) && info.bytes_received() == Some(0);
    nothing && told.wqueue > 0 && info.delivered() == Some(0)
}

fn is_fin_acknowledged(
    info: TcpInfo<'_>,
    told: Told,
    last_state: Option<u8>,
    is_server: Option<bool>,
) -> Option<bool> {
    if told.wqueue > 0 {
        return Some(false);
    }
    match (beyond_payload(info)?, is_server) {
        (0, _) | (1, Some(false)) => Some(false),
        (1, Some(true)) | (2, _) => Some(true),
        (1, None) => match last_state {
            // Its FIN was sent, and now nothing is unacknowledged.
            Some(state::FIN_WAIT1 | state::FIN_WAIT2 | state::LAST_ACK | state::CLOSING) => {
                Some(true)
            }
            // More than a FIN was not read: it closed with a RST.
            _ if told.rqueue > 1 => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn without_fin(info: TcpInfo<'_>, told: Told, polled: Option<Message<'_>>) -> SocketClose {
    let is_repeating = told.retransmits > 0 || info.probes().unwrap_or(0) > 0;
    if !is_repeating || told.rqueue > 1 {
        return SocketClose::Reset;
    }
    let before = polled.and_then(|polled| polled.tcp_info()?.segs_in());
    match (before, info.segs_in()) {
        (Some(before), Some(now)) if before == now => SocketClose::TimedOut,
        (Some(_), Some(_)) => SocketClose::Reset,
        // A RST while it repeats looks the same as nothing at all.
        _ => SocketClose::Unknown,
    }
}

/// Whether the peer's FIN is in the `bytes_received` of the end.
fn has_fin(
    info: TcpInfo<'_>,
    polled: Option<Message<'_>>,
    end: &End<'_>,
    close: SocketClose,
) -> Option<bool> {
    let received = info.bytes_received()?;
    if received == 0 {
        return Some(false);
    }
    let segments = info.data_segs_in()?;
    if segments == 0 {
        return Some(received == 1);
    }
    if let Some(polled) = polled {
        if has_fin_by_state(polled) == Some(true) {
            return Some(true);
        }
        let then = polled.tcp_info()?;
        // No segment with payload has come since: what was received since is a FIN.
        if then.data_segs_in() == Some(segments) && has_fin_by_state(polled) == Some(false) {
            match received.checked_sub(then.bytes_received()?) {
                Some(0) if end.entry.is_settled => return Some(false),
                Some(1) => return Some(true),
                _ => {}
            }
        }
    }
    // Unread payload is answered with a RST when the socket is closed; then its own FIN is not acknowledged.
    match end.told {
        Some(told) if told.rqueue == 1 && close == SocketClose::Fin => Some(true),
        _ => None,
    }
}

/// By the state that the statistics were polled in: theirs. The one beside them the kernel reads before it fills in attributes
/// (inet_sk_diag_fill in net/ipv4/inet_diag.c), and a FIN may come in between.
fn has_fin_by_state(polled: Message<'_>) -> Option<bool> {
    let of_statistics = polled.tcp_info().and_then(|info| info.state());
    match of_statistics
        .filter(|state| *state != 0)
        .unwrap_or(polled.state())
    {
        state::SYN_SENT | state::ESTABLISHED | state::FIN_WAIT1 => Some(false),
        state::FIN_WAIT2 if !polled.is_remains() => Some(false),
        state::CLOSE_WAIT | state::LAST_ACK | state::CLOSING => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
