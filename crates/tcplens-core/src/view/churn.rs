//! Clients that open a connection for each request: what their handshakes cost beside their requests. What is said of it is in
//! `findings::churn`.
//!
//! Bounded: [`PAIRS`] pairs of a client and a server; those that come later are not looked at.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::requests::took;
use super::{ServerKey, Sighting};
use crate::record::{Connection, Handshake, Outcome, Protocol, Request};
use crate::time::Span;

/// Pairs that are told apart. Chosen: with about 300 bytes each, 1 MB.
const PAIRS: usize = 4096;

/// What one client did with one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pair {
    /// Connections with one request; in TLS beside the handshake.
    pub(super) single: Sighting,
    /// All connections with requests.
    pub(super) connections: u64,
    /// Handshakes that were established, and in which nothing was repeated; those of connections without requests, too: what
    /// a connection will carry is not known of its handshake.
    attempts: u64,
    /// What the client waited for these, in ns.
    handshake_ns: u64,
    /// What it waited for answers, in ns: as seen here, and the round trip between here and it.
    pub(super) request_ns: u64,
}

impl Pair {
    /// What opening a connection takes: the mean, in ns; 0 if no handshake was seen.
    pub(super) fn opening_ns(&self) -> u64 {
        self.handshake_ns.checked_div(self.attempts).unwrap_or(0)
    }

    /// What opening those with requests takes, in ns: the mean for each.
    pub(super) fn openings_ns(&self) -> u64 {
        let all = u128::from(self.handshake_ns) * u128::from(self.connections);
        let all = all.checked_div(u128::from(self.attempts)).unwrap_or(0);
        u64::try_from(all).unwrap_or(u64::MAX)
    }
}

/// All pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Churn {
    pairs: BTreeMap<(IpAddr, ServerKey), Pair>,
}

impl Churn {
    pub(super) fn handshake(&mut self, handshake: &Handshake) {
        let server = (handshake.server_ip, handshake.server_port);
        // What repeats cost would be paid for fewer connections, too.
        let is_plain = handshake.syn_retransmits == 0 && handshake.synack_retransmits == 0;
        if handshake.outcome == Outcome::Established
            && is_plain
            && let Some(took) = handshake.handshake_us
            && let Some(pair) = self.at(handshake.client_ip, server)
        {
            pair.attempts += 1;
            pair.handshake_ns = pair.handshake_ns.saturating_add(took.ns());
        }
    }

    pub(super) fn request(&mut self, request: &Request<'_>) {
        let server = (request.server_ip, request.server_port);
        if request.protocol != Protocol::Dns
            && let Some(took) = took(request)
            && let Some(pair) = self.at(request.client_ip, server)
        {
            let way = request.client_rtt_us.map_or(0, Span::ns);
            pair.request_ns = pair
                .request_ns
                .saturating_add(took.ns().saturating_add(way));
        }
    }

    /// Takes the last record of a connection. A name server's answers are no part of the pair's time: nor are its connections.
    pub(super) fn connection(&mut self, connection: &Connection) {
        if connection.protocol == Some(Protocol::Dns) {
            return;
        }
        let Some(requests) = connection.requests.filter(|&requests| requests > 0) else {
            return;
        };
        let server = (connection.server_ip, connection.server_port);
        let Some(pair) = self.at(connection.client_ip, server) else {
            return;
        };
        pair.connections += 1;
        let is_tls = connection.protocol == Some(Protocol::Tls);
        if requests <= 1 + u64::from(is_tls) {
            let (time, frame) = (connection.time, connection.first_frame);
            pair.single.add(time, None, frame, connection.server_ip);
        }
    }

    /// Those told apart, ascending.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (IpAddr, ServerKey, &Pair)> {
        let all = self.pairs.iter();
        all.map(|(&(client, server), pair)| (client, server, pair))
    }

    fn at(&mut self, client: IpAddr, server: ServerKey) -> Option<&mut Pair> {
        let key = (client, server);
        if self.pairs.len() >= PAIRS && !self.pairs.contains_key(&key) {
            return None;
        }
        Some(self.pairs.entry(key).or_default())
    }
}
