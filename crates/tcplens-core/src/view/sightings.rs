//! How often one thing went wrong, when, for whom, and which packets show it. Nothing here depends on the order in
//! which records come.

use std::net::IpAddr;

use crate::time::{Span, Timestamp};

/// What can go wrong with an attempt or a connection, as far as its record tells. Kept with the server, but for
/// `SynAckRepeated`, which is kept with the client; `Lossy` and `ZeroWindow` are kept with whichever peer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// RST instead of a SYN-ACK.
    Refused,
    /// No answer to the SYN.
    Silent,
    /// ICMP destination unreachable.
    Unreachable,
    /// The client gave up with a RST before the SYN-ACK.
    Aborted,
    /// The client answered the SYN-ACK with a RST.
    HalfOpen,
    /// RST by the server after its SYN-ACK.
    ResetInHandshake,
    /// SYN-ACK seen, and no ACK.
    Unacknowledged,
    /// Established, but the first SYN had no answer that came by here.
    SynUnheard,
    /// Established, but the SYN-ACK, or the ACK to it, had to be repeated.
    SynAckRepeated,
    /// At least one segment was lost between here and this peer.
    Lossy,
    /// The client sent data, and the server ended it with a RST before it sent any.
    ResetUnanswered,
    /// The server ended it with a RST, and nobody had sent data.
    ResetEmpty,
    /// The client sent data on a connection that began before the observation, and the server only a RST.
    ResetStale,
    /// The server ended it with a RST after both had sent.
    ResetByServer,
    /// The client sent data, got none, and ended it with a RST.
    ClientAbandoned,
    /// The client ended it with a RST after the server had sent.
    ClientReset,
    /// This peer closed its receive window.
    ZeroWindow,
    /// Established as seen here, but the client's first data, or the server's SYN-ACK, had to be sent again.
    OpeningUnheard,
    /// The client ended it with a RST after the server had sent, in a protocol that is known.
    ClientResetRead,
    /// The server ended it with a RST after both had sent, in a protocol that is known.
    ResetByServerRead,
    /// Small segments of the client waited for a late ACK.
    HeldByClient,
    /// Small segments of the server did.
    HeldByServer,
}

/// The `N` smallest of many values, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T, const N: usize> {
    least: Vec<T>,
    more: bool,
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Few {
            least: Vec::new(),
            more: false,
        }
    }
}

impl<T: Ord + Copy, const N: usize> Few<T, N> {
    /// Counts a value in.
    pub fn add(&mut self, value: T) {
        let Err(at) = self.least.binary_search(&value) else {
            return;
        };
        if at < N {
            self.least.insert(at, value);
        }
        self.more |= at >= N || self.least.len() > N;
        self.least.truncate(N);
    }

    /// Counts in what `other` has.
    pub fn merge(&mut self, other: &Self) {
        other.least.iter().for_each(|&value| self.add(value));
        self.more |= other.more;
    }

    /// The smallest values, ascending.
    #[must_use]
    pub fn least(&self) -> &[T] {
        &self.least
    }

    /// Whether there were others.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// The only value, if there is one.
    #[must_use]
    pub fn only(&self) -> Option<T> {
        match self.least[..] {
            [only] if !self.more => Some(only),
            _ => None,
        }
    }
}

/// One thing that went wrong, any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Attempts or connections concerned.
    pub count: u64,
    /// Start of the first.
    pub first: Timestamp,
    /// Start of the last.
    pub last: Timestamp,
    /// Time it took or cost, all together, in ns.
    pub time_ns: u64,
    /// The longest of these, in ns.
    pub longest_ns: u64,
    /// Their first packets.
    pub frames: Few<u64, 5>,
    /// The other ends.
    pub peers: Few<IpAddr, 4>,
}

impl Default for Sighting {
    fn default() -> Self {
        Sighting {
            count: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
            time_ns: 0,
            longest_ns: 0,
            frames: Few::default(),
            peers: Few::default(),
        }
    }
}

impl Sighting {
    /// Once more.
    pub fn add(&mut self, at: Timestamp, took: Option<Span>, frame: Option<u64>, peer: IpAddr) {
        let ns = took.map_or(0, Span::ns);
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.time_ns = self.time_ns.saturating_add(ns);
        self.longest_ns = self.longest_ns.max(ns);
        frame.into_iter().for_each(|frame| self.frames.add(frame));
        self.peers.add(peer);
    }

    /// Counts in what `other` has.
    pub fn merge(&mut self, other: &Sighting) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.time_ns = self.time_ns.saturating_add(other.time_ns);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
        self.frames.merge(&other.frames);
        self.peers.merge(&other.peers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_few_are_the_smallest_in_whatever_order_they_come() {
        for values in [[5, 1, 4, 1, 3, 2], [1, 2, 3, 4, 5, 1], [5, 4, 3, 2, 1, 1]] {
            let mut few = Few::<u64, 3>::default();
            values.iter().for_each(|&value| few.add(value));
            assert_eq!((few.least(), few.has_more()), (&[1, 2, 3][..], true));
        }
        let mut few = Few::<u64, 3>::default();
        (1..=3).for_each(|value| few.add(value));
        assert!(!few.has_more());
    }
}
