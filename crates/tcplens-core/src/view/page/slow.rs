//! The slowest requests, and what else their connections did around them: for a waterfall. Requests that wait on purpose (BLPOP)
//! are not slow, only counted.
//!
//! Bounded: [`SLOWEST`] of all, at most [`OF_CONNECTION`] of one connection, and [`OF_SEAT`] of each destination that has a
//! course; of each of their connections [`ROWS`] requests: those that are around no slow one any longer are let go. The requests before a slow one are found among the last [`RECENT`]
//! of all connections: on a host with many requests at once some are not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::super::ServerKey;
use super::super::troubles::waits_on_purpose;
use crate::record::{ConnectionId, Protocol, Request, Status, Verdict};
use crate::time::{Span, Timestamp};
use crate::view::requests::{budget, latency, took};

/// The slowest of all. Chosen: more than anybody looks through.
pub const SLOWEST: usize = 100;
/// Of these, of one connection.
const OF_CONNECTION: usize = 8;
/// The slowest of each destination that has a course.
pub const OF_SEAT: usize = 4;
/// Requests before a slow one on its connection, and as many after it.
pub const AROUND: u64 = 8;
/// Requests that are kept of one connection: more than the slow ones among them.
pub const ROWS: usize = 32;
/// Requests that are remembered in case one comes that is slow. Chosen: with about 220 bytes each, 2 MB.
const RECENT: usize = 8192;
/// Letters of what was asked for.
const LETTERS: usize = 80;

/// A request, as a bar of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// T0.
    pub time: Timestamp,
    /// Ordinal on its connection.
    pub task: u64,
    /// T1 - T0, T2 - T1, T3 - T2, as far as they are known.
    pub stages: [Option<Span>; 3],
    /// How long it took, if that is known.
    pub took: Option<Span>,
    /// The time budget, in the order of [`Verdict::ALL`].
    pub budget: Option<Box<[Span; Verdict::ALL.len()]>>,
    /// How it went.
    pub status: Status,
    /// What was asked for, cut at 80 letters.
    pub what: Box<str>,
}

impl Task {
    fn of(request: &Request<'_>) -> Task {
        let protocol = crate::record::Word::word(request.protocol).unwrap_or_default();
        let what = request.summary.or(request.operation).unwrap_or(protocol);
        let end = what
            .char_indices()
            .nth(LETTERS)
            .map_or(what.len(), |(at, _)| at);
        Task {
            time: request.time,
            task: request.task,
            stages: [request.upload_us, request.process_us, request.transfer_us],
            took: took(request).or_else(|| latency(request)),
            budget: budget(request).map(Box::new),
            status: request.status,
            what: what.get(..end).unwrap_or_default().into(),
        }
    }
}

/// One of the slowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowTask {
    /// T0.
    pub time: Timestamp,
    /// How long it took.
    pub took: Span,
    /// Its connection, and the ordinal there.
    pub connection_id: ConnectionId,
    /// See [`Task::task`].
    pub task: u64,
    /// What it was sent to.
    pub server: ServerKey,
    /// What the connection speaks.
    pub protocol: Protocol,
    /// Where most of the time went.
    pub verdict: Option<Verdict>,
    /// How it went.
    pub status: Status,
    /// Payload of request and response.
    pub bytes: [u64; 2],
    /// Segments that were repeated while it ran.
    pub retransmits: u64,
    /// Packet of its first byte.
    pub frame: Option<u64>,
}

/// The longest first; of equals the earliest.
type Rank = (Reverse<Span>, Timestamp, ConnectionId, u64);

impl SlowTask {
    fn rank(&self) -> Rank {
        (Reverse(self.took), self.time, self.connection_id, self.task)
    }
}

/// A connection with a slow request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Who asked.
    pub client: (IpAddr, u64),
    /// Who was asked.
    pub server: ServerKey,
    /// Requests around the slow ones, ascending by task.
    pub tasks: Vec<Task>,
    /// The revision at which it changed last.
    pub changed: u64,
    /// Tasks that are slow.
    slow: Vec<u64>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct SlowTasks {
    all: Vec<SlowTask>,
    by_server: BTreeMap<ServerKey, Vec<SlowTask>>,
    lanes: BTreeMap<ConnectionId, Lane>,
    recent: Recent,
    /// The revision at which what [`SlowTasks::iter`] gives changed last.
    pub changed: u64,
    /// Requests that wait on purpose: not among the slow ones.
    pub on_purpose: u64,
}

impl SlowTasks {
    /// The slowest of all, from the slowest on, then those of single destinations; some twice.
    pub fn iter(&self) -> impl Iterator<Item = &SlowTask> {
        self.all.iter().chain(self.by_server.values().flatten())
    }

    /// Their connections.
    pub fn lanes(&self) -> impl Iterator<Item = (ConnectionId, &Lane)> {
        self.lanes.iter().map(|(&id, lane)| (id, lane))
    }

    /// Takes one request; whether its destination has a course.
    pub(super) fn add(&mut self, request: &Request<'_>, has_seat: bool, revision: u64) {
        let id = request.connection_id;
        self.follow(request, revision);
        if waits_on_purpose(request) {
            self.on_purpose += 1;
        } else if let Some(took) = took(request) {
            let slow = SlowTask {
                time: request.time,
                took,
                connection_id: id,
                task: request.task,
                server: (request.server_ip, request.server_port),
                protocol: request.protocol,
                verdict: request.verdict,
                status: request.status,
                bytes: [request.request_bytes, request.response_bytes],
                retransmits: request.retransmits,
                frame: request.request_frame,
            };
            self.rank(slow, request, has_seat, revision);
        }
        self.recent.push(id, Task::of(request));
    }

    /// What comes after a slow request on its connection.
    fn follow(&mut self, request: &Request<'_>, revision: u64) {
        let Some(lane) = self.lanes.get_mut(&request.connection_id) else {
            return;
        };
        let is_near = |slow: &u64| request.task.checked_sub(*slow).is_some_and(|n| n <= AROUND);
        if lane.tasks.len() < ROWS && lane.slow.iter().any(is_near) {
            lane.insert(Task::of(request));
            lane.changed = revision;
        }
    }

    fn rank(&mut self, slow: SlowTask, request: &Request<'_>, has_seat: bool, revision: u64) {
        let mut gone = Vec::new();
        let mut is_in = false;
        let id = slow.connection_id;
        let of_connection = self.all.iter().filter(|other| other.connection_id == id);
        let least = if of_connection.count() >= OF_CONNECTION {
            self.all.iter().rposition(|other| other.connection_id == id)
        } else {
            (self.all.len() >= SLOWEST).then(|| self.all.len() - 1)
        };
        is_in |= insert(&mut self.all, &slow, least, &mut gone);
        if has_seat {
            let some = self.by_server.entry(slow.server).or_default();
            let least = (some.len() >= OF_SEAT).then(|| some.len() - 1);
            is_in |= insert(some, &slow, least, &mut gone);
        }
        if !is_in {
            return;
        }
        self.changed = revision;
        for slow in gone {
            self.forget(&slow, revision);
        }
        let lane = self.lanes.entry(id).or_insert_with(|| Lane {
            client: (request.client_ip, request.client_port),
            server: slow.server,
            tasks: Vec::new(),
            changed: revision,
            slow: Vec::new(),
        });
        lane.changed = revision;
        lane.slow.push(slow.task);
        if lane.tasks.len() >= ROWS {
            lane.make_room();
        }
        lane.insert(Task::of(request));
        let before = slow.task.saturating_sub(AROUND);
        for task in self.recent.of(id).take_while(|task| task.task >= before) {
            if lane.tasks.len() < ROWS {
                lane.insert(task.clone());
            }
        }
    }

    /// A destination has no course any longer.
    pub(super) fn leave(&mut self, server: ServerKey, revision: u64) {
        let Some(gone) = self.by_server.remove(&server) else {
            return;
        };
        self.changed = revision;
        for slow in gone {
            self.forget(&slow, revision);
        }
    }

    /// It is among the slowest no longer, or not in one of the lists.
    fn forget(&mut self, slow: &SlowTask, revision: u64) {
        let (id, task) = (slow.connection_id, slow.task);
        let mut slow = self.all.iter().chain(self.by_server.values().flatten());
        if slow.any(|other| (other.connection_id, other.task) == (id, task)) {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.slow.retain(|&slow| slow != task);
            if lane.slow.is_empty() {
                self.lanes.remove(&id);
            } else {
                lane.prune(revision);
            }
        }
    }
}

/// Inserts where it belongs; if there is no room, in the place of `least`, unless that is slower.
fn insert(
    list: &mut Vec<SlowTask>,
    slow: &SlowTask,
    least: Option<usize>,
    gone: &mut Vec<SlowTask>,
) -> bool {
    if let Some(at) = least {
        if list.get(at).is_none_or(|least| least.rank() <= slow.rank()) {
            return false;
        }
        gone.push(list.remove(at));
    }
    let at = list.partition_point(|other| other.rank() <= slow.rank());
    list.insert(at, slow.clone());
    true
}

impl Lane {
    /// Lets go of what is around no slow one.
    fn prune(&mut self, revision: u64) {
        let (before, slow) = (self.tasks.len(), &self.slow);
        (self.tasks).retain(|task| slow.iter().any(|slow| slow.abs_diff(task.task) <= AROUND));
        if self.tasks.len() < before {
            self.changed = revision;
        }
    }

    /// Lets go of the one that is farthest from those that are slow; of equals the earliest.
    fn make_room(&mut self) {
        let distance = |task: &Task| {
            let all = self.slow.iter().map(|slow| slow.abs_diff(task.task));
            all.min().unwrap_or_default()
        };
        let farthest = (self.tasks.iter().enumerate())
            .max_by_key(|&(at, task)| (distance(task), std::cmp::Reverse(at)));
        if let Some((at, _)) = farthest {
            self.tasks.remove(at);
        }
    }

    fn insert(&mut self, task: Task) {
        if let Err(at) = self
            .tasks
            .binary_search_by_key(&task.task, |task| task.task)
        {
            self.tasks.insert(at, task);
        }
    }
}

/// The last requests of all connections, and of each which came before it there.
#[derive(Clone, Debug, Default)]
struct Recent {
    ring: VecDeque<(ConnectionId, Option<u64>, Task)>,
    /// Number of the first in the ring.
    first: u64,
    /// Of each connection in the ring, the number of its last.
    last: BTreeMap<ConnectionId, u64>,
}

impl Recent {
    fn push(&mut self, id: ConnectionId, task: Task) {
        if self.ring.len() >= RECENT
            && let Some((id, ..)) = self.ring.pop_front()
        {
            if self.last.get(&id) == Some(&self.first) {
                self.last.remove(&id);
            }
            self.first += 1;
        }
        let number = self.first + self.ring.len() as u64;
        let before = self.last.insert(id, number);
        self.ring.push_back((id, before, task));
    }

    /// The last requests of a connection, the last first.
    fn of(&self, id: ConnectionId) -> impl Iterator<Item = &Task> {
        let mut next = self.last.get(&id).copied();
        std::iter::from_fn(move || {
            let at = usize::try_from(next?.checked_sub(self.first)?).ok()?;
            let (_, before, task) = self.ring.get(at)?;
            next = *before;
            Some(task)
        })
    }
}
