//! All sockets of one look together: how many in which state, and what is wrong with how many.

use std::fmt::Write;

use tcplens_core::record::{Socket, SocketState, Word};
use tcplens_core::time::Span;

use crate::human::{Bytes, Count, Duration, Short};

/// Sums over sockets.
#[derive(Clone, Debug, Default)]
pub struct SocketTotal {
    sockets: u64,
    states: Vec<(SocketState, u64)>,
    retransmitting: u64,
    unread: (u64, u64),
    unsent: (u64, u64),
    full: u64,
    rates: Option<(u64, u64)>,
    /// What asking the kernel took, and how often it is asked; said where it goes on.
    pub pace: Option<(Span, Span)>,
    /// Connections that ended since the look before; likewise.
    pub ended: Option<u64>,
}

impl SocketTotal {
    /// One more.
    pub fn add(&mut self, socket: &Socket<'_>) {
        self.sockets += 1;
        if let Some(state) = socket.state {
            match self.states.iter_mut().find(|(known, _)| *known == state) {
                Some((_, count)) => *count += 1,
                None => self.states.push((state, 1)),
            }
        }
        if let Some(waiting) = socket.accept_queue {
            let most = socket.accept_queue_max.unwrap_or(u64::MAX);
            self.full += u64::from(waiting > 0 && waiting >= most);
            return;
        }
        let amount = |all: &mut (u64, u64), bytes: u64| {
            all.0 += u64::from(bytes > 0);
            all.1 += bytes;
        };
        amount(&mut self.unread, socket.rqueue_bytes.unwrap_or_default());
        if let Some(tcp) = socket.tcp.as_deref() {
            let now = [tcp.retrans, tcp.lost, tcp.retransmits, tcp.probes];
            let is_retransmitting = now.iter().any(|count| count.is_some_and(|count| count > 0));
            self.retransmitting += u64::from(is_retransmitting);
            amount(&mut self.unsent, tcp.notsent_bytes.unwrap_or_default());
        }
        if let (Some(sent), Some(received)) = (socket.send_rate, socket.receive_rate) {
            let rates = self.rates.get_or_insert_default();
            rates.0 += sent;
            rates.1 += received;
        }
    }

    /// How many there were.
    #[must_use]
    pub fn sockets(&self) -> u64 {
        self.sockets
    }

    /// Appends it as a line; `left_out`: how many were not shown for want of room.
    pub fn print(&mut self, left_out: u64, out: &mut Vec<u8>) {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let noun = if self.sockets == 1 {
            "socket"
        } else {
            "sockets"
        };
        let _ = write!(text, "{} {noun}", Count(self.sockets));
        self.states
            .sort_by_key(|(state, count)| (std::cmp::Reverse(*count), *state));
        for (n, (state, count)) in self.states.iter().enumerate() {
            let gap = if n == 0 { ": " } else { ", " };
            let word = state.word().unwrap_or_default().replace('_', "-");
            let _ = write!(text, "{gap}{} {word}", Count(*count));
        }
        if self.retransmitting > 0 {
            let _ = write!(text, "; {} retransmitting", Count(self.retransmitting));
        }
        if self.unread.0 > 0 {
            let (sockets, bytes) = self.unread;
            let _ = write!(text, "; {} with {} unread", Count(sockets), Bytes(bytes));
        }
        if self.unsent.0 > 0 {
            let (sockets, bytes) = self.unsent;
            let _ = write!(text, "; {} with {} unsent", Count(sockets), Bytes(bytes));
        }
        if self.full > 0 {
            let _ = write!(text, "; {} with a full accept queue", Count(self.full));
        }
        if let Some((sent, received)) = self.rates {
            let [sent, received] = [sent, received].map(|bytes| Short(bytes.saturating_mul(8)));
            let _ = write!(text, "; {sent}bit/s out, {received}bit/s in");
        }
        if let Some(ended) = self.ended.filter(|ended| *ended > 0) {
            let _ = write!(text, "; {} ended", Count(ended));
        }
        if let Some((cost, interval)) = self.pace {
            let per_mille = cost.ns().saturating_mul(1000) / interval.ns().max(1);
            let _ = write!(
                text,
                "; asked every {} for {} ({}.{} % of a core)",
                Duration(interval),
                Duration(cost),
                per_mille / 10,
                per_mille % 10
            );
        }
        if left_out > 0 {
            let _ = write!(text, "; {} more below", Count(left_out));
        }
        text.push('\n');
        out.extend_from_slice(text.as_bytes());
    }
}
