//! Which sockets records of packets belong to, where the kernel tells of the same connections: by their ends and by when
//! they lived, never by time alone. Not a flow table: it knows what the kernel told, and nothing of packets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use super::event::{AttemptEnd, Socket, What};
use crate::batch::{AnyRecord, Stamped};
use crate::record::{Connection, ConnectionId, Handshake, RequestRow, SocketOwner, Vantage};
use crate::time::{Span, Timestamp};
use crate::wire::segment::address;

/// An address and a port.
type End = (IpAddr, u16);

/// Most sockets that are known at once. Chosen: some 80 MB.
pub const SOCKETS: usize = 1 << 18;

/// What the kernel told of a socket: it is there, or it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    local: End,
    remote: End,
    /// 0 where there was no full socket.
    cookie: u64,
    netns: u32,
    began: Timestamp,
    /// What has no cookie is only known at the moment at which it was told.
    ended: Option<Timestamp>,
}

/// Tells of each socket when it is heard of first, and when it is gone.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Cookies that were told.
    told: BTreeSet<u64>,
    most: usize,
}

impl Lookout {
    /// That remembers at most so many sockets.
    pub(super) fn new(most: usize) -> Lookout {
        Lookout {
            told: BTreeSet::new(),
            most,
        }
    }

    /// What tells, at a time, of a socket that was not told before.
    pub(super) fn event(&mut self, socket: &Socket, at: Timestamp, what: &What) -> Option<Sight> {
        let is_over = match what {
            What::Task(_) => false,
            What::Connection(connection) => connection.closed.is_some(),
            What::Attempt(attempt) => match attempt.end {
                AttemptEnd::Established | AttemptEnd::SynackAgain(_) | AttemptEnd::Open => false,
                AttemptEnd::Failed(_) | AttemptEnd::Closed | AttemptEnd::RefusedHere => true,
            },
        };
        if is_over {
            self.told.remove(&socket.cookie);
        } else if self.told.contains(&socket.cookie) {
            return None;
        } else if socket.cookie != 0 {
            if self.told.len() >= self.most {
                // Ends may have been lost. All others are told anew.
                self.told.clear();
            }
            self.told.insert(socket.cookie);
        }
        let end = |(address, port): End| (address.to_canonical(), port);
        Some(Sight {
            local: end(socket.local),
            remote: end(socket.remote),
            cookie: socket.cookie,
            netns: socket.netns,
            began: socket.began,
            ended: (is_over || socket.cookie == 0).then_some(at),
        })
    }
}

/// The sockets that the kernel told of, by their ends.
#[derive(Debug)]
pub struct Joins {
    /// Of both ends, the lower first.
    by_ends: BTreeMap<(End, End), Vec<Sight>>,
    /// In the order in which they were found to be gone; one for each socket that is.
    gone: VecDeque<(Timestamp, (End, End))>,
    /// Sockets in `by_ends`.
    known: usize,
    most: usize,
    keep: Span,
    counts: JoinCounts,
}

/// What became of connections of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinCounts {
    /// Their ends are sockets of several network namespaces.
    pub several_namespaces: u64,
    /// The kernel told of no socket with their ends: an address was translated, the host only forwards them, or the kernel
    /// was not asked about their port.
    pub no_socket: u64,
    /// Sockets that were not remembered, for there were too many.
    pub sockets: u64,
}

/// What is known of the socket of a record.
enum Found {
    Socket(Sight),
    Several,
    None,
}

impl Joins {
    /// How much later than its packets, in ns, the kernel may tell of a socket: those of its handshake come first. Chosen: far
    /// more than a packet takes from the interface to its socket.
    pub const LATER_NS: i64 = 10_000_000;

    /// That remembers at most so many sockets, each for `keep` after its end: longer than a record of packets may come after the
    /// last packet.
    #[must_use]
    pub fn new(most: usize, keep: Span) -> Joins {
        Joins {
            by_ends: BTreeMap::new(),
            gone: VecDeque::new(),
            known: 0,
            most,
            keep,
            counts: JoinCounts::default(),
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> JoinCounts {
        self.counts
    }

    /// Takes note of a socket.
    pub fn note(&mut self, sight: Sight) {
        let ends = in_order(sight.local, sight.remote);
        let all = self.by_ends.entry(ends).or_default();
        let mut is_known = false;
        for known in all.iter_mut() {
            if (known.local, known.netns) != (sight.local, sight.netns) {
                continue;
            }
            // A socket may connect once more when that has failed.
            let is_same = known.cookie == sight.cookie
                && known
                    .ended
                    .is_none_or(|ended| sight.began <= ended || known.cookie == 0);
            is_known |= is_same;
            let ended = if is_same {
                sight.ended
            } else {
                // There is one socket at a time: the end of the one before was not told.
                let is_later = sight.cookie != 0 && sight.began >= known.began;
                is_later.then_some(sight.began)
            };
            if known.ended.is_none()
                && let Some(ended) = ended
            {
                known.ended = Some(ended);
                self.gone.push_back((ended, ends));
            } else if known.cookie == 0 && is_same {
                known.ended = known.ended.max(ended);
            }
        }
        if is_known {
            return;
        }
        if self.known >= self.most {
            self.forget_oldest();
        }
        if self.known < self.most {
            self.known += 1;
            let all = self.by_ends.entry(ends).or_default();
            all.reserve_exact(1);
            all.push(sight);
            self.gone.extend(sight.ended.map(|ended| (ended, ends)));
        } else {
            self.counts.sockets += 1;
            if self.by_ends.get(&ends).is_some_and(Vec::is_empty) {
                self.by_ends.remove(&ends);
            }
        }
    }

    /// The kernel tells nothing any more: no socket is there for longer than until `now`, as far as is known.
    pub fn end(&mut self, now: Timestamp) {
        for (ends, all) in &mut self.by_ends {
            for sight in all.iter_mut().filter(|sight| sight.ended.is_none()) {
                sight.ended = Some(now);
                self.gone.push_back((now, *ends));
            }
        }
    }

    /// Forgets sockets that are gone for long at `now`.
    pub fn forget(&mut self, now: Timestamp) {
        let keep = self.keep;
        let is_old = |ended: Timestamp| now.since(ended).is_some_and(|gone| gone >= keep);
        while self.gone.front().is_some_and(|&(ended, _)| is_old(ended)) {
            self.forget_oldest();
        }
    }

    /// Forgets the socket that is gone for longest, if one is.
    fn forget_oldest(&mut self) {
        let Some((_, ends)) = self.gone.pop_front() else {
            return;
        };
        let Some(all) = self.by_ends.get_mut(&ends) else {
            return;
        };
        let gone = all.iter().enumerate();
        let gone = gone.filter_map(|(n, sight)| Some((sight.ended?, n)));
        if let Some((_, n)) = gone.min() {
            all.remove(n);
            self.known -= 1;
        }
        if all.is_empty() {
            self.by_ends.remove(&ends);
        }
    }

    /// A record of packets with its socket, if it has one and that is known.
    pub fn stamp(&mut self, record: AnyRecord<'_>) -> Option<Stamped> {
        let (life, is_last) = match record {
            AnyRecord::Handshake(handshake) => (Life::of_handshake(handshake), false),
            AnyRecord::Request(request) => (Life::of_request(request.row), false),
            AnyRecord::Connection(connection) => {
                (Life::of_connection(connection), connection.is_final)
            }
        };
        let life = life?;
        match self.find(&life) {
            Found::Socket(sight) => {
                let owner = SocketOwner {
                    socket_cookie: (sight.cookie != 0).then_some(sight.cookie),
                    netns: (sight.netns != 0).then(|| u64::from(sight.netns)),
                    ..SocketOwner::default()
                };
                return Some(Stamped::new(record, owner));
            }
            // Each connection counts once: by its last record.
            Found::Several => self.counts.several_namespaces += u64::from(is_last),
            Found::None => self.counts.no_socket += u64::from(is_last),
        }
        None
    }

    fn find(&self, life: &Life) -> Found {
        let Some(all) = self.by_ends.get(&in_order(life.client, life.server)) else {
            return Found::None;
        };
        let lived = |sight: &&Sight| {
            sight.ended.is_none_or(|ended| ended >= life.from)
                && sight.began <= life.to.plus(Self::LATER_NS)
        };
        // Of sockets one after the other with the same ends, the one that began when the connection did; and rather one than an
        // attempt at one.
        let first = |end: End| {
            let of_end = all.iter().filter(|sight| sight.local == end);
            of_end
                .filter(lived)
                .min_by_key(|sight| (sight.cookie == 0, sight.began.0.abs_diff(life.from.0)))
        };
        let namespaces = all.iter().filter(lived).map(|sight| sight.netns);
        let mut namespaces = namespaces.collect::<Vec<_>>();
        namespaces.sort_unstable();
        namespaces.dedup();
        match (namespaces.len(), first(life.server).or(first(life.client))) {
            (0 | 1, Some(sight)) => Found::Socket(*sight),
            (0 | 1, None) => Found::None,
            _ => Found::Several,
        }
    }
}

fn in_order(one: End, other: End) -> (End, End) {
    (one.min(other), one.max(other))
}

/// What of a record tells its socket.
struct Life {
    client: End,
    server: End,
    /// The first packet of its connection.
    from: Timestamp,
    /// The last packet that it tells of.
    to: Timestamp,
}

impl Life {
    /// `None` for what is no record of packets.
    fn of(
        (vantage, id): (Vantage, ConnectionId),
        (client, server): (End, End),
        to: Timestamp,
    ) -> Option<Life> {
        match id {
            ConnectionId::Packets { first, .. } if vantage.sees_packets() => Some(Life {
                client,
                server,
                from: first,
                to,
            }),
            ConnectionId::Packets { .. } | ConnectionId::Socket { .. } => None,
        }
    }

    fn of_handshake(record: &Handshake) -> Option<Life> {
        let client = end(record.client_ip, record.client_port)?;
        let server = end(record.server_ip, record.server_port)?;
        let to = after(record.time, record.wait_us);
        Life::of((record.vantage, record.connection_id), (client, server), to)
    }

    fn of_request(row: &RequestRow) -> Option<Life> {
        let ends = [row.flow.low, row.flow.high].map(address);
        let end = |n: u8| (ends[usize::from(n)], row.flow.ports[usize::from(n)]);
        let times = &row.times;
        // Times that are not known are the least of all.
        let to = times
            .last_request
            .max(times.last_response)
            .max(times.acknowledged);
        Life::of(
            (row.vantage, row.connection_id),
            (end(row.client), end(1 - row.client)),
            to.max(times.first_request),
        )
    }

    fn of_connection(record: &Connection) -> Option<Life> {
        let client = end(record.client_ip, record.client_port)?;
        let server = end(record.server_ip, record.server_port)?;
        let to = after(record.time, record.duration_us);
        Life::of((record.vantage, record.connection_id), (client, server), to)
    }
}

fn end(address: IpAddr, port: u64) -> Option<End> {
    Some((address.to_canonical(), u16::try_from(port).ok()?))
}

fn after(time: Timestamp, span: Option<Span>) -> Timestamp {
    let ns = span.map_or(0, |span| i64::try_from(span.ns()).unwrap_or(i64::MAX));
    time.plus(ns)
}

#[cfg(test)]
mod tests;
