//! Views: what records amount to, once they are merged. They see records only, and do not know where these were
//! observed; but for [`explain`], which also sees the packets of its one connection. Pure, bounded, and the same in every
//! run: nothing depends on map order.
//!
//! [`Report`] takes every record and ends in ranked [`Findings`]; its parts (summaries, peers, the connections that
//! stand out) are the tables below them.

mod blame;
mod churn;
pub mod compare;
pub mod explain;
pub mod findings;
mod handshakes;
mod histogram;
pub mod metrics;
mod names;
pub mod page;
mod peers;
mod reading;
pub mod requests;
pub mod rollup;
mod running;
mod series;
mod sightings;
mod silence;
mod standouts;
mod tallies;
pub mod top;
pub mod troubles;
mod usual;
mod waits;
mod words;

pub use findings::{ADVICE, Findings, thresholds};
pub use handshakes::{HandshakeSummary, Repeats, SILENCE_NS, is_undecided};
pub use histogram::Histogram;
use histogram::HistogramSum;
pub use metrics::Metrics;
pub use names::{NAMES, Names, is_host_name};
pub use page::PageView;
pub use peers::{Leg, PEERS, Peer, Peers, ServerKey};
pub use requests::{Population, RequestGroup, RequestSummary};
pub use rollup::Rollups;
pub use running::{Connections, Running, Sums};
pub use series::{SLICES, Series, Slice, WIDTHS_NS};
pub use sightings::{Cause, Few, Sighting};
pub use standouts::{STANDOUTS, Standouts};
pub use tallies::{Tallies, TcpeekCounts, TcpeekTotals};
pub use top::{Top, TopQuery, TopSettings, TopSnapshot};
pub use troubles::{SlowRequest, SlowestRequests};

use std::collections::BTreeMap;
use std::net::IpAddr;

use churn::Churn;
use troubles::Troubles;
use waits::Waits;

use reading::{ending, is_one_sided, legs, lost_to_silence, openings, repeats, syns_after_synack};

use crate::batch::AnyRecord;
use crate::record::{
    Close, Connection, Handshake, HandshakeOutcome, Health, Outcome, Protocol, Request, Sent, Side,
};
use crate::time::{Span, Timestamp};

/// Counts of connections as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections, failed attempts not among them.
    pub connections: u64,
    /// Of these, with segments of one side only.
    pub one_sided: u64,
    /// Of these, begun before the observation.
    pub missed: u64,
    /// Of those with both sides: with acknowledged bytes that were never seen.
    pub with_missing_bytes: u64,
    /// Those bytes.
    pub missing_bytes: u64,
    /// Of those with both sides: segments with data that clients and servers sent.
    pub data_segments: [u64; 2],
    /// Segments that came a second time, of either.
    pub repeated: [u64; 2],
    /// Payload bytes, both ways.
    pub bytes: u64,
    /// Still open when the observation ended.
    pub open: u64,
    /// Given up as idle.
    pub idle: u64,
}

/// Takes all records of an observation; knows in the end what is wrong.
#[derive(Clone, Debug)]
pub struct Report {
    handshakes: HandshakeSummary,
    servers: Peers<ServerKey>,
    clients: Peers<IpAddr>,
    longest: Standouts,
    largest: Standouts,
    lossiest: Standouts,
    totals: Totals,
    requests: RequestSummary,
    populations: BTreeMap<(ServerKey, Protocol), Population>,
    troubles: Troubles,
    waits: Waits,
    churn: Churn,
    one_sided: Sighting,
    missing: Sighting,
    series: Series,
    first: Option<Timestamp>,
}

impl Default for Report {
    fn default() -> Self {
        Report {
            handshakes: HandshakeSummary::default(),
            servers: Peers::new(PEERS),
            clients: Peers::new(PEERS),
            longest: Standouts::by(|connection| connection.duration_us.map_or(0, Span::ns)),
            largest: Standouts::by(|connection| {
                connection
                    .client
                    .bytes
                    .saturating_add(connection.server.bytes)
            }),
            lossiest: Standouts::by(|connection| {
                connection.client.retransmits + connection.server.retransmits
            }),
            totals: Totals::default(),
            requests: RequestSummary::new(Some(Span::from_ns(thresholds::SLOW_NS))),
            populations: BTreeMap::new(),
            troubles: Troubles::default(),
            waits: Waits::default(),
            churn: Churn::default(),
            one_sided: Sighting::default(),
            missing: Sighting::default(),
            series: Series::default(),
            first: None,
        }
    }
}

impl Report {
    /// Takes one record.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Handshake(handshake) => self.handshake(handshake),
            AnyRecord::Request(request) => self.request(&request.record()),
            AnyRecord::Connection(connection) => self.connection(connection),
        }
    }

    /// What is wrong, the worst first. `health` is what the observation knows of itself.
    #[must_use]
    pub fn finish(&self, health: &Health) -> Findings {
        findings::find(self, health)
    }

    /// All handshakes as one.
    #[must_use]
    pub fn handshakes(&self) -> &HandshakeSummary {
        &self.handshakes
    }

    /// By server address and port.
    #[must_use]
    pub fn servers(&self) -> &Peers<ServerKey> {
        &self.servers
    }

    /// By client address.
    #[must_use]
    pub fn clients(&self) -> &Peers<IpAddr> {
        &self.clients
    }

    /// The connections that lasted longest.
    #[must_use]
    pub fn longest(&self) -> &Standouts {
        &self.longest
    }

    /// The connections with most bytes.
    #[must_use]
    pub fn largest(&self) -> &Standouts {
        &self.largest
    }

    /// The connections with most retransmissions.
    #[must_use]
    pub fn lossiest(&self) -> &Standouts {
        &self.lossiest
    }

    /// Requests, by server and by operation; slow from [`thresholds::SLOW_NS`] on.
    #[must_use]
    pub fn requests(&self) -> &RequestSummary {
        &self.requests
    }

    /// Where the time of requests went, by server and protocol, ascending. Of the servers that are told apart.
    pub fn populations(&self) -> impl Iterator<Item = (ServerKey, Protocol, &Population)> {
        let all = self.populations.iter();
        all.map(|(&(server, protocol), population)| (server, protocol, population))
    }

    /// The requests that took longest.
    #[must_use]
    pub fn slowest_requests(&self) -> &SlowestRequests {
        &self.troubles.slowest
    }

    /// What happened when.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Counts of connections.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Records that could not be told apart from those of other peers, by bound: for `health.limit_hits`. Only what is
    /// not zero.
    #[must_use]
    pub fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        let hits = [
            ("report_servers", self.servers.overflow),
            ("report_clients", self.clients.overflow),
            (
                "report_request_servers",
                self.requests.other_servers().requests(),
            ),
            (
                "report_operations",
                self.requests.other_operations().requests(),
            ),
        ];
        hits.into_iter().filter(|(_, hits)| *hits > 0).collect()
    }

    /// Start of the earliest record.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.first
    }

    fn handshake(&mut self, handshake: &Handshake) {
        self.saw(handshake.time);
        self.series.add(AnyRecord::Handshake(handshake));
        self.handshakes.add(handshake);
        self.waits.attempt(handshake);
        self.churn.handshake(handshake);
        let client = self.clients.at(handshake.client_ip);
        attempt(client, handshake, handshake.synack_to_ack_us);
        let [client_repeats, server_repeats] = repeats(handshake);
        client.repeats += client_repeats;
        let was_repeated = handshake.synack_retransmits > 0 || syns_after_synack(handshake);
        if was_repeated
            && handshake.outcome == Outcome::Established
            && handshake.tap_side != Side::Client
        {
            sight(
                client,
                Cause::SynAckRepeated,
                handshake,
                handshake.synack_to_ack_us,
            );
        }
        let server = self
            .servers
            .at((handshake.server_ip, handshake.server_port));
        attempt(server, handshake, handshake.syn_to_synack_us);
        server.repeats += server_repeats;
        if let (Some(kind), Some(code), Some(from)) = (
            handshake.icmp_type,
            handshake.icmp_code,
            handshake.icmp_from,
        ) {
            server.icmp.add((kind, code, from));
        }
        let (cause, took) = match handshake.outcome {
            Outcome::Established => {
                let lost = lost_to_silence(handshake);
                if let Some(lost) = lost {
                    sight(server, Cause::SynUnheard, handshake, Some(lost));
                }
                return;
            }
            Outcome::Unanswered | Outcome::Unacknowledged if is_undecided(handshake) => return,
            Outcome::OneSided => return,
            Outcome::Refused => (Cause::Refused, handshake.wait_us),
            Outcome::Unreachable => (Cause::Unreachable, handshake.wait_us),
            Outcome::TimedOut | Outcome::Unanswered => (Cause::Silent, handshake.wait_us),
            Outcome::Aborted if handshake.synack_seen => (Cause::HalfOpen, handshake.wait_us),
            Outcome::Aborted => (Cause::Aborted, handshake.wait_us),
            Outcome::Reset => (Cause::ResetInHandshake, handshake.wait_us),
            Outcome::Unacknowledged => (Cause::Unacknowledged, handshake.wait_us),
        };
        sight(server, cause, handshake, took);
    }

    /// Takes one request.
    pub fn request(&mut self, request: &Request<'_>) {
        self.saw(request.time);
        self.series.request(request);
        self.requests.add(request);
        self.troubles.slowest.add(request);
        self.waits.add(request);
        self.churn.request(request);
        let server = (request.server_ip, request.server_port);
        if self.requests.server(server).is_some() {
            self.troubles.add(request);
            let population = self.populations.entry((server, request.protocol));
            population.or_default().add(request);
        }
    }

    fn connection(&mut self, connection: &Connection) {
        // Counters are cumulative: the last part has all.
        if !connection.is_final || connection.close == Close::Failed {
            return;
        }
        self.saw(connection.time);
        self.longest.add(connection);
        self.largest.add(connection);
        self.lossiest.add(connection);
        self.churn.connection(connection);
        let (client, server) = (&connection.client, &connection.server);
        let is_one_sided = is_one_sided(connection);
        self.count(connection, is_one_sided);
        // Half a conversation tells nothing about loss, and a RST that answers something unseen nothing about harm.
        let legs = if is_one_sided {
            [Leg::default(); 2]
        } else {
            legs(connection)
        };
        let openings = openings(connection);
        let key = (connection.server_ip, connection.server_port);
        let ending = if is_one_sided {
            None
        } else {
            ending(connection)
        };

        let peer = self.clients.at(connection.client_ip);
        traffic(
            peer,
            connection,
            [client, server],
            legs[0],
            connection.server_ip,
        );
        peer.resets += u64::from(connection.close == Close::RstByClient);
        peer.repeats += openings[0];

        let peer = self.servers.at(key);
        traffic(
            peer,
            connection,
            [server, client],
            legs[1],
            connection.client_ip,
        );
        peer.resets += u64::from(connection.close == Close::RstByServer);
        peer.repeats += openings[1];
        if client.opening_retransmits + server.opening_retransmits > 0 {
            let other = connection.client_ip;
            of_connection(peer, Cause::OpeningUnheard, connection, None, other);
        }
        for (n, cause, sent) in [
            (0, Cause::HeldByClient, client),
            (1, Cause::HeldByServer, server),
        ] {
            if sent.held_segments > 0 {
                peer.held_segments[n] += sent.held_segments;
                let other = connection.client_ip;
                of_connection(peer, cause, connection, Some(sent.held_us), other);
            }
        }
        if let Some(cause) = ending {
            of_connection(
                peer,
                cause,
                connection,
                connection.duration_us,
                connection.client_ip,
            );
        }
    }

    fn count(&mut self, connection: &Connection, is_one_sided: bool) {
        let (client, server) = (&connection.client, &connection.server);
        let missing = client.missing_bytes.saturating_add(server.missing_bytes);
        let totals = &mut self.totals;
        totals.connections += 1;
        totals.missed += u64::from(connection.handshake == Some(HandshakeOutcome::Missed));
        totals.bytes = totals
            .bytes
            .saturating_add(client.bytes.saturating_add(server.bytes));
        totals.open += u64::from(connection.close == Close::Open);
        totals.idle += u64::from(connection.close == Close::Idle);
        let (at, frame, took) = (
            connection.time,
            connection.first_frame,
            connection.duration_us,
        );
        if is_one_sided {
            totals.one_sided += 1;
            let speaker = if client.segments == 0 {
                connection.server_ip
            } else {
                connection.client_ip
            };
            self.one_sided.add(at, took, frame, speaker);
            return;
        }
        for (n, sent) in [client, server].into_iter().enumerate() {
            totals.data_segments[n] += sent.data_segments;
            totals.repeated[n] += sent.retransmits;
        }
        if missing > 0 {
            totals.with_missing_bytes += 1;
            totals.missing_bytes = totals.missing_bytes.saturating_add(missing);
            self.missing.add(at, took, frame, connection.client_ip);
        }
    }

    fn saw(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
    }
}

/// What an attempt tells of either peer.
fn attempt(peer: &mut Peer, handshake: &Handshake, half: Option<Span>) {
    peer.outcomes[handshake.outcome as usize] += 1;
    peer.undecided += u64::from(is_undecided(handshake));
    half.into_iter().for_each(|half| peer.half.add(half));
    handshake
        .handshake_us
        .into_iter()
        .for_each(|span| peer.handshake.add(span));
    if handshake.outcome == Outcome::Established {
        let (first, last) = peer.established.unwrap_or((handshake.time, handshake.time));
        peer.established = Some((first.min(handshake.time), last.max(handshake.time)));
    }
}

fn sight(peer: &mut Peer, cause: Cause, handshake: &Handshake, took: Option<Span>) {
    let other = if cause == Cause::SynAckRepeated {
        handshake.server_ip
    } else {
        handshake.client_ip
    };
    peer.sight(cause)
        .add(handshake.time, took, handshake.first_frame, other);
}

/// What a connection tells of one peer: what it sent, and what it was sent.
fn traffic(
    peer: &mut Peer,
    connection: &Connection,
    [from, to]: [&Sent; 2],
    leg: Leg,
    other: IpAddr,
) {
    peer.connections += 1;
    peer.closed += u64::from(matches!(
        connection.close,
        Close::Fin | Close::RstByClient | Close::RstByServer
    ));
    peer.bytes_from = peer.bytes_from.saturating_add(from.bytes);
    peer.bytes_to = peer.bytes_to.saturating_add(to.bytes);
    peer.leg.merge(leg);
    connection
        .duration_us
        .into_iter()
        .for_each(|span| peer.duration.add(span));
    from.rtt_min_us
        .into_iter()
        .for_each(|span| peer.rtt.add(span));
    if let Some(mean) = from.rtt_mean_us {
        peer.rtt_sum.0 += u128::from(mean.ns()) * u128::from(from.rtt_samples);
        peer.rtt_sum.1 += from.rtt_samples;
    }
    if leg.lost() > 0 {
        of_connection(peer, Cause::Lossy, connection, None, other);
    }
    if from.zero_windows > 0 {
        peer.zero_windows += from.zero_windows;
        peer.zero_window_ns = peer.zero_window_ns.saturating_add(from.zero_window_us.ns());
        of_connection(
            peer,
            Cause::ZeroWindow,
            connection,
            Some(from.zero_window_us),
            other,
        );
    }
}

fn of_connection(
    peer: &mut Peer,
    cause: Cause,
    connection: &Connection,
    took: Option<Span>,
    other: IpAddr,
) {
    peer.sight(cause)
        .add(connection.time, took, connection.first_frame, other);
}
