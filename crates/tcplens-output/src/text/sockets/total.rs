//! All sockets of one look together: how many in which state, and what is wrong with how many.

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

    /// Appends it as a line, or as more of them where it is wider than `width`; `left_out`: how many were not shown for want
    /// of room.
    pub fn print(&mut self, left_out: u64, width: Option<usize>, out: &mut Vec<u8>) {
        let mut line = String::new();
        for part in self.parts(left_out) {
            let length = line.chars().count() + 3 + part.chars().count();
            if !line.is_empty() && width.is_some_and(|width| length > width) {
                out.extend_from_slice(line.as_bytes());
                out.extend_from_slice(b";\n");
                line = format!("  {part}");
                continue;
            }
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(&part);
        }
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }

    fn parts(&mut self, left_out: u64) -> Vec<String> {
        let mut parts = vec![self.states()];
        let mut add = |is_told: bool, part: std::fmt::Arguments<'_>| {
            if is_told {
                parts.push(part.to_string());
            }
        };
        let retransmitting = self.retransmitting;
        add(
            retransmitting > 0,
            format_args!("{} retransmitting", Count(retransmitting)),
        );
        for ((sockets, bytes), what) in [(self.unread, "unread"), (self.unsent, "unsent")] {
            add(
                sockets > 0,
                format_args!("{} with {} {what}", Count(sockets), Bytes(bytes)),
            );
        }
        let full = self.full;
        add(
            full > 0,
            format_args!("{} with a full accept queue", Count(full)),
        );
        if let Some((sent, received)) = self.rates {
            let [sent, received] = [sent, received].map(|bytes| Short(bytes.saturating_mul(8)));
            add(true, format_args!("{sent} bit/s out, {received} bit/s in"));
        }
        let ended = self.ended.unwrap_or_default();
        add(ended > 0, format_args!("{} ended", Count(ended)));
        if let Some((cost, interval)) = self.pace {
            let per_mille = cost.ns().saturating_mul(1000) / interval.ns().max(1);
            add(
                true,
                format_args!(
                    "asked every {} for {} ({}.{} % of a core)",
                    Duration(interval),
                    Duration(cost),
                    per_mille / 10,
                    per_mille % 10
                ),
            );
        }
        add(
            left_out > 0,
            format_args!("{} more are not shown", Count(left_out)),
        );
        parts
    }

    /// `6 sockets: 3 established, 1 listen`.
    fn states(&mut self) -> String {
        let noun = if self.sockets == 1 {
            "socket"
        } else {
            "sockets"
        };
        let mut text = format!("{} {noun}", Count(self.sockets));
        self.states
            .sort_by_key(|(state, count)| (std::cmp::Reverse(*count), *state));
        for (n, (state, count)) in self.states.iter().enumerate() {
            let gap = if n == 0 { ": " } else { ", " };
            let word = state.word().unwrap_or_default().replace('_', "-");
            text += &format!("{gap}{} {word}", Count(*count));
        }
        text
    }
}
