//! Slow requests that waited for requests of their own server: the web server that is slow because its database is. Joined
//! by addresses and time alone: what the server's host asked of another server, or tried to, after it had the slow request
//! and before it answered. A likely cause, not a proof. What is said of it is in `findings::requests`.
//!
//! Bounded: the [`SLOW`] slowest requests and the [`ASKED`] longest that may be behind them. Nothing depends on the order in
//! which records come.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ServerKey;
use super::requests::took;
use super::thresholds::{BEHIND_NS, NAME_SILENCE_NS, SLOW_NS};
use super::troubles::{Kinds, is_silent, waits_on_purpose};
use crate::record::{ConnectionId, Handshake, Request, Verdict};
use crate::time::{Span, Timestamp};

/// Slow requests that are remembered. Chosen: with about 100 bytes each, 400 KB.
const SLOW: usize = 4096;
/// Requests that may be behind a slow one. Chosen: with about 150 bytes each, 2.5 MB.
const ASKED: usize = 16_384;

/// The longest first; of equals the earliest.
type Rank = (Reverse<u64>, Timestamp, ConnectionId, u64);

/// A request that its server had for long.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slow {
    server: ServerKey,
    /// The server has it whole.
    from: Timestamp,
    /// The first byte of its answer.
    to: Timestamp,
    in_server_ns: u64,
}

/// A request, or a connection attempt, of a host that may be a server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    host: IpAddr,
    server: ServerKey,
    from: Timestamp,
    to: Timestamp,
    /// None of a connection attempt.
    operation: Option<Box<str>>,
}

/// Requests that may have to do with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    slow: BTreeMap<Rank, Slow>,
    asked: BTreeMap<Rank, Asked>,
}

/// What a server's slow requests waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// Whom its host asked meanwhile.
    pub(super) server: ServerKey,
    /// What it asked there.
    pub(super) operations: Kinds,
    /// How often, and how many connection attempts there were.
    pub(super) asked: u64,
    pub(super) attempts: u64,
    /// Slow requests that were looked at, and the time inside the server of all of these.
    pub(super) slow: u64,
    pub(super) in_server_ns: u64,
    /// Of these requests: during which it asked; and of that time: while it had no answer.
    pub(super) waited: u64,
    pub(super) waited_ns: u64,
}

impl Waits {
    /// Takes one request.
    pub(super) fn add(&mut self, request: &Request<'_>) {
        // What nobody answers is waited for as long as resolvers do.
        let is_silent = is_silent(request).then_some(NAME_SILENCE_NS.unsigned_abs());
        let Some(total) = took(request).map(Span::ns).or(is_silent) else {
            return;
        };
        let rank = |ns| {
            (
                Reverse(ns),
                request.time,
                request.connection_id,
                request.task,
            )
        };
        let server = (request.server_ip, request.server_port);
        if total >= BEHIND_NS {
            let asked = || Asked {
                host: request.client_ip,
                server,
                from: request.time,
                to: after(request.time, total),
                operation: Some(request.operation.unwrap_or_default().into()),
            };
            keep(&mut self.asked, rank(total), ASKED, asked);
        }
        let (Some(upload), Some(process), Some(in_server)) =
            (request.upload_us, request.process_us, request.in_server_us)
        else {
            return;
        };
        // Where the client is the server's own host (loopback), what that host asks may be the client's, and mostly is.
        let is_told_apart = request.client_ip != request.server_ip;
        let is_slow = request.verdict == Some(Verdict::Server) && total >= SLOW_NS && is_told_apart;
        if is_slow && !waits_on_purpose(request) {
            let from = after(request.time, upload.ns());
            let slow = || Slow {
                server,
                from,
                to: after(from, process.ns()),
                in_server_ns: in_server.ns(),
            };
            keep(&mut self.slow, rank(in_server.ns()), SLOW, slow);
        }
    }

    /// Takes one connection attempt: until it was answered, or as long as it was waited for.
    pub(super) fn attempt(&mut self, handshake: &Handshake) {
        let took = handshake.first_syn_to_synack_us.or(handshake.wait_us);
        let took = took.map_or(0, Span::ns);
        if took >= BEHIND_NS {
            let rank = (Reverse(took), handshake.time, handshake.connection_id, 0);
            keep(&mut self.asked, rank, ASKED, || Asked {
                host: handshake.client_ip,
                server: (handshake.server_ip, handshake.server_port),
                from: handshake.time,
                to: after(handshake.time, took),
                operation: None,
            });
        }
    }

    /// What the slow requests of each server waited for longest, if for anything.
    pub(super) fn find(&self) -> BTreeMap<ServerKey, Wait> {
        let mut hosts = BTreeMap::<IpAddr, Vec<Waiting<'_>>>::new();
        for slow in self.slow.values() {
            hosts
                .entry(slow.server.0)
                .or_default()
                .push(Waiting::new(slow));
        }
        for slow in hosts.values_mut() {
            slow.sort_by_key(|waiting| (waiting.slow.from, waiting.slow.to, waiting.slow.server));
        }
        let mut asked: Vec<_> = self.asked.values().collect();
        asked.sort_by_key(|asked| (asked.from, asked.to, asked.host, asked.server));
        let mut waits = BTreeMap::<(ServerKey, ServerKey), Wait>::new();
        for asked in asked {
            let slow = hosts.get_mut(&asked.host);
            let Some(waiting) = slow.and_then(|slow| whose(slow, asked)) else {
                continue;
            };
            waiting.cover(asked);
            let both = (waiting.slow.server, asked.server);
            let wait = waits.entry(both).or_insert_with(|| Wait::on(asked.server));
            match &asked.operation {
                Some(operation) => {
                    wait.asked += 1;
                    wait.operations.add(operation);
                }
                None => wait.attempts += 1,
            }
        }
        let mut all = BTreeMap::<ServerKey, (u64, u64)>::new();
        for waiting in hosts.values().flatten() {
            let slow = waiting.slow;
            let (requests, in_server_ns) = all.entry(slow.server).or_default();
            *requests += 1;
            *in_server_ns = in_server_ns.saturating_add(slow.in_server_ns);
            for (&server, &(_, ns)) in &waiting.covered {
                if let Some(wait) = waits.get_mut(&(slow.server, server)) {
                    wait.waited += 1;
                    let ns = ns.min(slow.in_server_ns);
                    wait.waited_ns = wait.waited_ns.saturating_add(ns);
                }
            }
        }
        let mut most = BTreeMap::<ServerKey, Wait>::new();
        for ((server, _), wait) in waits {
            let (slow, in_server_ns) = all.get(&server).copied().unwrap_or_default();
            let wait = Wait {
                slow,
                in_server_ns,
                ..wait
            };
            match most.get(&server) {
                Some(known) if known.waited_ns >= wait.waited_ns => {}
                _ => {
                    most.insert(server, wait);
                }
            }
        }
        most
    }
}

/// A slow request, and what it waited for so far.
struct Waiting<'s> {
    slow: &'s Slow,
    /// Until when it is known to wait.
    until: Timestamp,
    /// By whom was asked: until when, and how long altogether.
    covered: BTreeMap<ServerKey, (Timestamp, u64)>,
}

impl Waiting<'_> {
    fn new(slow: &Slow) -> Waiting<'_> {
        Waiting {
            slow,
            until: slow.from,
            covered: BTreeMap::new(),
        }
    }

    fn cover(&mut self, asked: &Asked) {
        let to = asked.to.min(self.slow.to);
        self.until = self.until.max(to);
        let (until, sum) = self
            .covered
            .entry(asked.server)
            .or_insert((self.slow.from, 0));
        if let Some(more) = to.since(asked.from.max(*until)) {
            *sum = sum.saturating_add(more.ns());
            *until = to;
        }
    }
}

/// For which of a host's slow requests something was asked: of those that it had at that moment one that waits for nothing
/// yet, then one that ended later than what was asked, then the latest.
fn whose<'w, 's>(slow: &'w mut [Waiting<'s>], asked: &Asked) -> Option<&'w mut Waiting<'s>> {
    let begun = slow.partition_point(|waiting| waiting.slow.from <= asked.from);
    slow.get_mut(..begun)?
        .iter_mut()
        .filter(|waiting| waiting.slow.to > asked.from && waiting.slow.server != asked.server)
        .max_by_key(|waiting| {
            (
                waiting.until <= asked.from,
                waiting.slow.to >= asked.to,
                waiting.slow.from,
            )
        })
}

impl Wait {
    fn on(server: ServerKey) -> Wait {
        Wait {
            server,
            operations: Kinds::default(),
            asked: 0,
            attempts: 0,
            slow: 0,
            in_server_ns: 0,
            waited: 0,
            waited_ns: 0,
        }
    }
}

/// Inserts what `make` makes, if it is among the `most` first.
fn keep<T>(kept: &mut BTreeMap<Rank, T>, rank: Rank, most: usize, make: impl FnOnce() -> T) {
    if kept.len() >= most {
        if kept.last_key_value().is_some_and(|(last, _)| *last <= rank) {
            return;
        }
        kept.pop_last();
    }
    kept.insert(rank, make());
}

fn after(time: Timestamp, ns: u64) -> Timestamp {
    time.plus(i64::try_from(ns).unwrap_or(i64::MAX))
}
