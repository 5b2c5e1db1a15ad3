//! What records amount to per server (address and port) and per client (address). Not what is wrong about it: see
//! `findings`. Bounded: at most [`PEERS`] of each kind are told apart, the rest is counted as one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Histogram;
use super::sightings::{Cause, Few, Sighting};
use crate::record::Outcome;
use crate::time::{Span, Timestamp};

/// Most servers, and most clients, that are told apart. Chosen: with about 1 KB each, 64 MB for either.
pub const PEERS: usize = 65_536;

/// A server: its address and port.
pub type ServerKey = (IpAddr, u64);

/// What crossed the path between the point of observation and one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// Segments that have to be acknowledged (data, SYN, FIN), both ways, as captured.
    pub segments: u64,
    /// Of these, lost on the way from here to the peer: seen here, and repeated; reported duplicates left out.
    pub lost_to: u64,
    /// Lost on the way from the peer to here: first seen here as a repetition.
    pub lost_from: u64,
}

impl Leg {
    /// Lost in either direction.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_to + self.lost_from
    }

    /// Counts what `other` counted.
    pub fn merge(&mut self, other: Leg) {
        self.segments += other.segments;
        self.lost_to += other.lost_to;
        self.lost_from += other.lost_from;
    }
}

/// What was seen of one server or one client. Durations and losses of a leg are those between here and this peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peer {
    /// Attempts by [`Outcome`], in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Attempts that were too young to tell when the observation ended.
    pub undecided: u64,
    /// First SYN to the ACK that established.
    pub handshake: Histogram,
    /// This peer's half of the handshake.
    pub half: Histogram,
    /// Start of the first and of the last attempt that was established.
    pub established: Option<(Timestamp, Timestamp)>,
    /// Connections that were established, or began before the observation.
    pub connections: u64,
    /// Of these, closed: with FIN or RST.
    pub closed: u64,
    /// Payload bytes it sent.
    pub bytes_from: u64,
    /// Payload bytes it was sent.
    pub bytes_to: u64,
    /// The path between here and it.
    pub leg: Leg,
    /// The shortest round trip between here and it, of each connection.
    pub rtt: Histogram,
    /// All round trips between here and it: sum in ns, and how many.
    pub rtt_sum: (u128, u64),
    /// Connections that ended with a RST of this peer.
    pub resets: u64,
    /// Times it closed its receive window.
    pub zero_windows: u64,
    /// For how long, in ns.
    pub zero_window_ns: u64,
    /// First to last segment of each connection.
    pub duration: Histogram,
    /// What went wrong, by cause; ascending, and only what occurred.
    pub causes: Vec<(Cause, Sighting)>,
    /// ICMP errors for attempts: type, code, who sent it.
    pub icmp: Few<(u64, u64, IpAddr), 4>,
    /// SYNs, SYN-ACKs of established attempts, and what else opens a connection, that [`Leg`] has among its losses.
    pub(super) repeats: u64,
    /// Small segments that waited for a late ACK: of the client, of the server. Kept with the server.
    pub held_segments: [u64; 2],
}

impl Peer {
    /// Attempts of which it is known how they ended.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.outcomes.iter().sum::<u64>() - self.outcome(Outcome::OneSided) - self.undecided
    }

    /// Attempts that ended so.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// What was seen of one cause.
    #[must_use]
    pub fn cause(&self, cause: Cause) -> Option<&Sighting> {
        let at = self
            .causes
            .binary_search_by_key(&cause, |&(cause, _)| cause)
            .ok()?;
        Some(&self.causes[at].1)
    }

    /// The path as connections found it once they were established: without what opens a connection.
    #[must_use]
    pub fn path_established(&self) -> Leg {
        Leg {
            lost_to: self.leg.lost_to.saturating_sub(self.repeats),
            ..self.leg
        }
    }

    /// The mean round trip between here and it.
    #[must_use]
    pub fn rtt_mean(&self) -> Option<Span> {
        let mean = self.rtt_sum.0.checked_div(u128::from(self.rtt_sum.1))?;
        u64::try_from(mean).ok().map(Span::from_ns)
    }

    pub(super) fn sight(&mut self, cause: Cause) -> &mut Sighting {
        let at = match self
            .causes
            .binary_search_by_key(&cause, |&(cause, _)| cause)
        {
            Ok(at) => at,
            Err(at) => {
                self.causes.insert(at, (cause, Sighting::default()));
                at
            }
        };
        &mut self.causes[at].1
    }
}

/// Peers by key, in the order of keys.
#[derive(Clone, Debug)]
pub struct Peers<K> {
    known: BTreeMap<K, Peer>,
    limit: usize,
    /// All that came after [`PEERS`] keys.
    other: Peer,
    /// Records counted there.
    pub overflow: u64,
}

impl<K: Ord + Copy> Peers<K> {
    /// At most `limit` keys.
    #[must_use]
    pub fn new(limit: usize) -> Peers<K> {
        Peers {
            known: BTreeMap::new(),
            limit,
            other: Peer::default(),
            overflow: 0,
        }
    }

    /// Those told apart, ascending by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &Peer)> {
        self.known.iter().map(|(key, peer)| (*key, peer))
    }

    /// The peers whose keys are in a range, ascending.
    pub fn range(&self, range: impl std::ops::RangeBounds<K>) -> impl Iterator<Item = (K, &Peer)> {
        self.known.range(range).map(|(key, peer)| (*key, peer))
    }

    /// One of those told apart.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&Peer> {
        self.known.get(&key)
    }

    /// How many are told apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// All that did not fit, as one.
    #[must_use]
    pub fn other(&self) -> &Peer {
        &self.other
    }

    pub(super) fn at(&mut self, key: K) -> &mut Peer {
        if self.known.len() >= self.limit && !self.known.contains_key(&key) {
            self.overflow += 1;
            return &mut self.other;
        }
        self.known.entry(key).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_limit_are_counted_as_one_and_known_ones_stay_exact() {
        let mut peers = Peers::new(2);
        for key in [3, 1, 2, 3, 4, 1] {
            peers.at(key).connections += 1;
        }
        let known: Vec<_> = peers
            .iter()
            .map(|(key, peer)| (key, peer.connections))
            .collect();
        assert_eq!(known, [(1, 2), (3, 2)]);
        assert_eq!((peers.other().connections, peers.overflow), (2, 2));
    }
}
