//! A server with what is known around it: its host's other ports, the path to it, and when it last answered. What its
//! failures mean depends on these.

use std::net::IpAddr;

use super::thresholds::{LOSS_CONTRAST, LOSS_PER_MILLE, LOST, SYN_DROPS, is_share};
use crate::record::Outcome;
use crate::view::words::{addresses, at, count, endpoint, grouped};
use crate::view::{Few, Leg, Peer, Report, ServerKey, Sighting};

/// What all ports of one host tell. Made once per host: a scan may touch every port.
pub(super) struct Host {
    pub(super) ip: IpAddr,
    /// Ports on which it sent anything; two, for there to be another one.
    answering: Few<u64, 2>,
    /// The path to it as established connections found it.
    path: Leg,
}

impl Host {
    pub(super) fn new(report: &Report, ip: IpAddr) -> Host {
        let mut host = Host {
            ip,
            answering: Few::default(),
            path: Leg::default(),
        };
        for ((_, port), peer) in report.servers.range((ip, 0)..=(ip, u64::MAX)) {
            host.path.merge(peer.path_established());
            if answers(peer) {
                host.answering.add(port);
            }
        }
        host
    }
}

fn answers(peer: &Peer) -> bool {
    let outcomes = [
        Outcome::Established,
        Outcome::Refused,
        Outcome::Reset,
        Outcome::Unacknowledged,
    ];
    peer.bytes_from > 0 || outcomes.iter().any(|&outcome| peer.outcome(outcome) > 0)
}

/// A server, and what is known around it.
pub(super) struct Server<'r> {
    pub(super) host: &'r Host,
    pub(super) key: ServerKey,
    pub(super) peer: &'r Peer,
    pub(super) decided: u64,
}

impl Server<'_> {
    pub(super) fn name(&self) -> String {
        endpoint(self.key.0, self.key.1)
    }

    pub(super) fn filter(&self) -> String {
        format!("tcp and host {} and port {}", self.key.0, self.key.1)
    }

    /// Another port on which the host sent anything.
    pub(super) fn answers_elsewhere(&self) -> Option<u64> {
        let ports = self.host.answering.least();
        ports.iter().copied().find(|port| *port != self.key.1)
    }

    /// The path to its host, over all ports.
    pub(super) fn path(&self) -> Leg {
        self.host.path
    }

    /// Whether established connections lose packets on the way to it, too.
    pub(super) fn is_path_lossy(&self) -> bool {
        let path = self.path();
        path.lost() >= LOST && is_share(path.lost(), path.segments, LOSS_PER_MILLE)
    }

    pub(super) fn path_words(&self) -> String {
        let path = self.path();
        format!(
            "established connections lost {} of {} segments between here and it",
            grouped(path.lost()),
            grouped(path.segments)
        )
    }

    /// Where successes stand against failures in time.
    pub(super) fn change(&self, failed: &Sighting) -> Change {
        match self.peer.established {
            None => Change::Never,
            Some((_, last)) if last < failed.first => Change::Stopped(at(last)),
            Some((first, _)) if failed.last < first => Change::Began(at(first)),
            Some(_) => Change::Mixed,
        }
    }

    /// Whether SYNs go unheard much more often than other segments get lost.
    pub(super) fn drops_syns(&self, unheard: u64) -> bool {
        let (path, of) = (self.path(), self.peer.outcome(Outcome::Established));
        unheard >= SYN_DROPS
            && u128::from(unheard) * u128::from(path.segments)
                >= u128::from(LOSS_CONTRAST) * u128::from(path.lost().max(1)) * u128::from(of)
    }

    /// `3 of 14 attempts refused, by 1 client (10.0.0.1)`.
    pub(super) fn share(&self, seen: &Sighting, how: &str) -> String {
        let of = count(self.decided, "attempt");
        format!(
            "{} of {of} {how}, by {}",
            grouped(seen.count),
            addresses(&seen.peers, "client")
        )
    }

    pub(super) fn all(&self, seen: &Sighting) -> bool {
        seen.count >= self.decided
    }
}

/// How a server's successes and failures follow each other.
pub(super) enum Change {
    /// No success.
    Never,
    /// The last success was at this time, all failures are later.
    Stopped(String),
    /// The first success was at this time, all failures are earlier.
    Began(String),
    /// They alternate.
    Mixed,
}
