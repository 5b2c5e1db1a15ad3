//! The life of one connection: told from its packets and its records, as events in order. Not a second judgment: segments go
//! through the same `tcp::track` as for the connection's record, so what is told of them sums to its counters.
//!
//! [`Teller`] takes packets and records as they come, of one connection only; [`Story`] is what it amounts to: plain data, for
//! text, JSON and pages. [`words`] says it in plain words. Pure and bounded: at most [`Detail::most`] events are kept at once,
//! beyond that the ordinary ones in the middle become one (`fold`).

pub mod choice;
mod event;
mod fold;
mod follow;
mod sent;
pub mod sentences;
mod spent;
pub mod words;

use std::sync::Arc;

pub use event::{Again, Asked, Event, Folded, Late, Notes, Silence, What};
pub use fold::LEAST;
pub use spent::{Share, Spent};

use self::follow::Following;
use self::spent::Ledger;
use crate::record::{Connection, End, Handshake, Outcome, RequestRef, Status};
use crate::roles::end;
use crate::shard::Owner;
use crate::time::Span;
use crate::wire::segment::{FlowKey, Segment};

/// From how much data on a rate is told: less is sent in one go, whatever the path.
const RATED_BYTES: u64 = 64 << 10;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Runs of ordinary segments are one event, and there are at most so many in the end.
    Lines(usize),
    /// The same, and little is kept while it goes on: for many connections at once.
    Brief(usize),
    /// Every segment is an event.
    All,
}

impl Detail {
    /// Most events kept at once. Chosen: with requests some 500 bytes each (measured), 10 MB in the first case and 100 MB in the
    /// last, which is a connection of 200,000 packets; 1 MB of a brief one.
    #[must_use]
    pub fn most(self) -> usize {
        match self {
            Detail::Lines(lines) => lines.max(20_000),
            Detail::Brief(lines) => lines.max(2_000),
            Detail::All => 200_000,
        }
    }
}

/// What is told of one connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Who, when, from where.
    pub head: Head,
    /// What happened, in the order in which it was seen.
    pub events: Vec<Event>,
    /// What it amounts to.
    pub foot: Foot,
}

/// Who, when, from where.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The record of the connection.
    pub connection: Connection,
    /// That of its attempt, if the observation saw its SYN.
    pub handshake: Option<Handshake>,
    /// Who sent a FIN first.
    pub closed_first: Option<End>,
}

/// What it amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Foot {
    /// What its lifetime went to.
    pub spent: Spent,
    /// Requests, and how many of them were answered.
    pub requests: u64,
    /// Those that were answered.
    pub answered: u64,
    /// The one that took longest.
    pub longest: Option<Arc<Asked>>,
    /// Bytes per second of client and server while they were sending: of runs of segments less than 100 ms apart, without the
    /// first of each run. `None` below 64 KiB in such runs.
    pub rates: [Option<u64>; 2],
    /// Events that were left out.
    pub left_out: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Teller {
    detail: Detail,
    following: Following,
    ledger: Ledger,
    handshake: Option<Handshake>,
    connection: Option<Connection>,
    key: Option<FlowKey>,
    requests: u64,
    answered: u64,
    longest: Option<Arc<Asked>>,
}

impl Teller {
    /// Of a connection whose first packet comes next; `keep_duplicates`: second sightings count as traffic.
    #[must_use]
    pub fn new(detail: Detail, keep_duplicates: bool) -> Teller {
        Teller {
            detail,
            following: Following::new(detail == Detail::All, keep_duplicates),
            ledger: Ledger::new(),
            handshake: None,
            connection: None,
            key: None,
            requests: 0,
            answered: 0,
            longest: None,
        }
    }

    /// The next packet of the connection, and whose it is.
    pub fn segment(&mut self, seg: &Segment, owner: &Owner) {
        self.key.get_or_insert(seg.flow);
        self.following.segment(seg, owner);
        if let Some(since) = self.following.repaired.take() {
            self.ledger.lost(since, seg.time);
        }
        if let Some(since) = self.following.opened.take() {
            self.ledger.closed(since, seg.time);
        }
        let most = self.detail.most();
        if self.following.events.len() >= most {
            let events = std::mem::take(&mut self.following.events);
            self.following.events = fold::fold(events, most / 2);
        }
    }

    /// The record of its attempt, which comes right after the packet that concluded it.
    pub fn handshake(&mut self, handshake: &Handshake) {
        self.following.is_opening = false;
        let is_by_packet = match handshake.outcome {
            Outcome::Established | Outcome::Refused | Outcome::Aborted | Outcome::Reset => true,
            Outcome::Unreachable
            | Outcome::TimedOut
            | Outcome::Unanswered
            | Outcome::Unacknowledged
            | Outcome::OneSided => false,
        };
        if let (true, Some(last)) = (is_by_packet, self.following.events.last_mut()) {
            last.notes().concludes = true;
        }
        let wait = handshake.wait_us.map_or(0, Span::ns);
        let until = handshake
            .time
            .plus(i64::try_from(wait).unwrap_or(i64::MAX))
            .min(self.following.last.max(handshake.time));
        self.ledger.handshake(handshake.time, until);
        // The first attempt on it is its own.
        self.handshake.get_or_insert_with(|| handshake.clone());
    }

    /// The record of one of its requests.
    pub fn request(&mut self, request: RequestRef<'_>) {
        let asked = Arc::new(Asked::of(request));
        self.ledger.request(&asked, self.following.last);
        self.requests += 1;
        self.answered += u64::from(matches!(asked.status, Status::Ok | Status::Error));
        self.following.request(&asked, request.row);
        self.longest = fold::longer(self.longest.take(), Some(asked));
    }

    /// The record of the connection; the last one counts.
    pub fn connection(&mut self, connection: &Connection) {
        self.connection = Some(connection.clone());
    }

    /// All was seen; `None` if there was no record of the connection.
    #[must_use]
    pub fn finish(self) -> Option<Story> {
        let connection = self.connection?;
        let mut following = self.following;
        let client = self.key.map_or(following.client, |key| {
            let is_client = |n: u8| {
                let (ip, port) = end(&key, n);
                (ip, u64::from(port)) == (connection.client_ip, connection.client_port)
            };
            match (is_client(0), is_client(1)) {
                (true, false) => 0,
                (false, true) => 1,
                _ => following.client,
            }
        });
        let is_turned = client != following.client;
        if is_turned {
            // A parser found out that it was the other way round.
            following.events.iter_mut().for_each(Event::turn_round);
        }
        let closed_first = following.closed_first;
        let mut rates = following.rates.map(|(bytes, ns)| rate(bytes, ns));
        if client == 1 {
            rates.reverse();
        }
        let events = match self.detail {
            Detail::Lines(lines) | Detail::Brief(lines) => fold::fold(following.events, lines),
            Detail::All => following.events,
        };
        let left_out = events.iter().map(|event| match &event.what {
            What::Fold(folded) => folded.events,
            _ => 0,
        });
        Some(Story {
            foot: Foot {
                spent: self.ledger.finish(connection.duration_us),
                requests: self.requests,
                answered: self.answered,
                longest: self.longest,
                rates,
                left_out: left_out.sum(),
            },
            head: Head {
                connection,
                handshake: self.handshake,
                closed_first: if is_turned {
                    closed_first.map(End::other)
                } else {
                    closed_first
                },
            },
            events,
        })
    }
}

/// Bytes per second.
fn rate(bytes: u64, ns: u64) -> Option<u64> {
    if bytes < RATED_BYTES || ns == 0 {
        return None;
    }
    let rate = u128::from(bytes) * 1_000_000_000 / u128::from(ns);
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}
