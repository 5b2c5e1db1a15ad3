//! The end of a connection: the kernel's word of it, and how that joins what the last poll knew.

use super::super::message::{HEAD, Message, kind, push_attribute};
use super::Entry;
use crate::time::Timestamp;

/// Why a socket is no longer tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The kernel told its end.
    Destroyed,
    /// It was not there any more.
    Vanished,
    /// The observation ended.
    Open,
}

/// The end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// When it was noticed.
    pub at: Timestamp,
    /// Why.
    pub ended: Ended,
    /// The last word of it: the end's statistics with the lasting attributes of the last poll (user, inode, congestion control,
    /// ...); where the end has none, the last poll as it was.
    pub message: Message<'a>,
    /// Whether the statistics are those of the end.
    pub is_final_info: bool,
    /// Whether this last word is one more snapshot, not seen before.
    pub is_snapshot: bool,
    /// What was seen of it while it lived.
    pub entry: &'a Entry,
    /// The word of its end, where it was told one; [`close`](super::super::close) reads it.
    pub told: Option<Told>,
}

/// What the word of an end says besides its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The kernel had taken the connection from the socket (tcp_disconnect): an attempt that failed, SO_LINGER 0, a connection that
    /// was not accepted before its listener closed. Linux 6.18: then the other end and all statistics are zeroes, and the send
    /// queue is what was unacknowledged + the peer's largest window + 2.
    pub is_disconnected: bool,
    /// `retransmits`, which is not taken.
    pub retransmits: u8,
    /// What was unread.
    pub rqueue: u32,
    /// What was unacknowledged.
    pub wqueue: u32,
}

impl Told {
    pub(super) fn of(told: Message<'_>) -> Told {
        Told {
            is_disconnected: told.remote().1 == 0,
            retransmits: told
                .tcp_info()
                .and_then(|info| info.retransmits())
                .unwrap_or(0),
            rqueue: told.rqueue(),
            wqueue: told.wqueue(),
        }
    }
}

/// Whether what is destroyed was a connection. Linux 6.18: all that is destroyed is in state CLOSE. A listener, and a socket that
/// was never connected, has no other end and nothing in its queues.
pub(super) fn is_connection(told: Message<'_>) -> bool {
    !matches!(told.cookie(), 0 | u64::MAX) && (told.remote().1 != 0 || told.wqueue() != 0)
}

pub(super) fn end_as_polled(at: Timestamp, entry: &Entry, ended: Ended) -> End<'_> {
    End {
        at,
        ended,
        message: entry.message(),
        is_final_info: false,
        is_snapshot: false,
        entry,
        told: None,
    }
}

/// The end's own word with what the last poll knew and lasts. A destroyed socket's message has INFO and PROTOCOL, no user, no inode
/// (Linux 6.18).
pub(super) fn merge(told: Message<'_>, polled: Message<'_>, to: &mut Vec<u8>) {
    const LASTING: [u16; 9] = [
        kind::TOS,
        kind::TCLASS,
        kind::SKV6ONLY,
        kind::MARK,
        kind::CLASS_ID,
        kind::CGROUP_ID,
        kind::SOCKOPT,
        kind::CONG,
        kind::ULP_INFO,
    ];
    let mut head: [u8; HEAD] = *told.head();
    if told.inode() == 0 && told.uid() == 0 {
        head[64..72].copy_from_slice(&polled.head()[64..72]);
    }
    to.extend_from_slice(&head);
    for lasting in LASTING {
        if let (Some(value), None) = (polled.attribute(lasting), told.attribute(lasting)) {
            push_attribute(to, lasting, value);
        }
    }
    to.extend_from_slice(told.attribute_bytes());
}

/// Statistics that were taken from the socket before are none.
pub(super) fn without_info(told: Message<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(told.head());
    for (found, value) in told.attributes() {
        if found != kind::INFO {
            push_attribute(to, found, value);
        }
    }
}
