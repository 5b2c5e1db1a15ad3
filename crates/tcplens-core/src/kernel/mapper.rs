//! From events to records: what the kernel tells of tasks, connections and attempts becomes requests, connections and
//! handshakes of vantage `kernel`. Reads nothing else: where a cgroup lies is asked of the caller.
//!
//! Nearly every event becomes its record at once. Some things wait, each with a bound: a task that was cut off waits for
//! its connection's end, which comes right behind it and says what cut it off; a server's attempt whose SYN-ACK was sent
//! again waits for what becomes of it; and of a connection it is remembered what it speaks, and, where it is reported in
//! parts, how many there were.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::container::container_id;
use super::event::{Event, Role, RoleBy, Socket, What};
use super::join::{Lookout, Sight};
use crate::batch::{Kind, Moment, Place, Records};
use crate::filter::TupleFilter;
use crate::record::{ConnectionId, Direction, Protocol, RoleFrom, Short, Side, SocketOwner};
use crate::time::{SECOND, Span, Timestamp};
use crate::wire::key::HashKey;
use crate::wire::segment::{FlowKey, v4_words};

mod attempt;
mod connection;
mod task;

use attempt::Attempts;
use task::Held;

/// Cgroups whose path is remembered. Chosen: more than a host has containers.
const CGROUPS: usize = 4096;
/// Connections in parts whose number of parts is remembered.
const PARTS: usize = 65_536;

/// Connections of which it is remembered what they speak.
const SPEAKING: usize = 65_536;

/// Asks for the path of a cgroup by its number.
pub type CgroupPath = Box<dyn FnMut(u64) -> Option<String> + Send>;

/// What the user chose, and what the host is.
pub struct Settings {
    /// Longest summary, in bytes.
    pub summary_bytes: usize,
    /// Protocols that first bytes of requests may name; with none only a port's mode says what to look for.
    pub protocols: Vec<Protocol>,
    /// Of this host since it was started, in connection ids: a hash of its name and that time.
    pub host: u32,
    /// Thresholds of first frames, in bytes, as the events have them.
    pub first_frames: Vec<u32>,
    /// Attempts at a local server that wait for what becomes of them, at most.
    pub pending_attempts: usize,
    /// After that long a SYN-ACK that was sent again and not acknowledged is over, in ns. Linux sends five more, and waits for
    /// 32 s after the last (tcp_synack_retries): 63 s in all.
    pub synack_timeout: i64,
    /// Connections that are of interest.
    pub filter: Option<TupleFilter>,
    /// The end that is of interest, of connections with both ends on this host.
    pub side: Option<Side>,
    /// Records that are wanted; events serve more than one.
    pub handshakes: bool,
    /// See `handshakes`.
    pub requests: bool,
    /// See `handshakes`; those of attempts that failed are told from attempts.
    pub connections: bool,
    /// Finds the path of a cgroup.
    pub cgroup_path: CgroupPath,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            summary_bytes: 128,
            protocols: Vec::new(),
            host: 0,
            first_frames: Vec::new(),
            pending_attempts: 4096,
            synack_timeout: 63 * SECOND,
            filter: None,
            side: None,
            handshakes: true,
            requests: true,
            connections: true,
            cgroup_path: Box::new(|_| None),
        }
    }
}

/// What the mapper saw and lost, for `health`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events, those that the filter left out included.
    pub events: u64,
    /// Events that the filter or the side left out.
    pub filtered: u64,
    /// Attempts that were reported as unacknowledged before their time, because too many waited
    /// (`limit_hits.kernel_attempts`).
    pub early_attempts: u64,
    /// Tasks that were cut off and reported before their connection's end was known (`limit_hits.kernel_tasks`).
    pub early_tasks: u64,
    /// Parts of connections that were not reported, because too many connections were in parts
    /// (`limit_hits.kernel_parts`): what they say is in later records.
    pub parts: u64,
    /// Connections whose record may lack what they speak, because too many were remembered
    /// (`limit_hits.kernel_protocols`).
    pub protocols: u64,
    /// Times that lay before what they come after: durations that are absent (`time_reversals`).
    pub time_reversals: u64,
}

impl Counts {
    /// Bounds that were reached, under their names in `health.limit_hits`.
    #[must_use]
    pub fn limit_hits(&self) -> [(&'static str, u64); 4] {
        [
            ("kernel_attempts", self.early_attempts),
            ("kernel_tasks", self.early_tasks),
            ("kernel_parts", self.parts),
            ("kernel_protocols", self.protocols),
        ]
    }
}

/// See the module.
pub struct Mapper {
    settings: Settings,
    counts: Counts,
    /// The largest time so far: records are in the order of it and of events.
    clock: Timestamp,
    names: HashKey,
    cgroups: BTreeMap<u64, Group>,
    held: Held,
    attempts: Attempts,
    parts: BTreeMap<u64, u64>,
    /// What the latest request of a connection was taken for, if anything.
    speaking: BTreeMap<u64, Protocol>,
    is_ending: bool,
    /// When events found no room for the last time.
    lost: Option<Timestamp>,
    /// Words of the request in hand.
    words: Vec<u8>,
    /// Where somebody joins what the kernel tells with what packets tell.
    lookout: Option<Lookout>,
    sights: Vec<Sight>,
}

/// A cgroup, as records show it.
#[derive(Clone)]
struct Group {
    path: Arc<str>,
    container_id: Option<Arc<str>>,
}

/// What records of all kinds say of a socket.
struct Ends {
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    id: ConnectionId,
    role_from: RoleFrom,
    direction: Direction,
    tap_side: Side,
    owner: SocketOwner,
}

impl Mapper {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: Settings) -> Mapper {
        Mapper {
            settings,
            counts: Counts::default(),
            clock: Timestamp::MIN,
            names: HashKey::new(0),
            cgroups: BTreeMap::new(),
            held: Held::default(),
            attempts: Attempts::default(),
            parts: BTreeMap::new(),
            speaking: BTreeMap::new(),
            is_ending: false,
            lost: None,
            words: Vec::new(),
            lookout: None,
            sights: Vec::new(),
        }
    }

    /// Takes an event; what it makes final is added to `out`.
    pub fn event(&mut self, event: Event, out: &mut Records) {
        self.counts.events += 1;
        self.clock = self.clock.max(event.at);
        let Event { socket, at, what } = event;
        let filter = self.settings.filter.as_ref();
        let is_out = filter.is_some_and(|it| !it.matches(socket.local, socket.remote));
        if is_out || self.settings.side.is_some_and(|it| it != side(socket.role)) {
            self.counts.filtered += 1;
            return;
        }
        if let Some(lookout) = &mut self.lookout {
            self.sights.extend(lookout.event(&socket, at, &what));
        }
        match what {
            What::Task(task) => self.task(socket, *task, out),
            What::Connection(connection) => self.connection(&socket, at, &connection, out),
            What::Attempt(attempt) => self.attempt(socket, at, attempt, out),
        }
    }

    /// From here on [`sights`](Self::sights) tells of sockets, each as if for the first time; it remembers at most so many.
    pub fn look_out(&mut self, most: usize) {
        self.sights.clear();
        self.lookout = Some(Lookout::new(most));
    }

    /// Sockets that were new, and that were gone, since they were taken from here last: of events that were not filtered.
    pub fn sights(&mut self) -> &mut Vec<Sight> {
        &mut self.sights
    }

    /// Time goes on: what has waited for too long is over.
    pub fn tick(&mut self, now: Timestamp, out: &mut Records) {
        self.clock = self.clock.max(now);
        self.release_old_tasks(out);
        self.attempts_over(out);
    }

    /// Events were lost, now or not long before: what is under way may lack something.
    pub fn lost(&mut self, now: Timestamp) {
        self.lost = self.lost.max(Some(now));
    }

    /// Whether something was lost since then.
    fn has_lost_since(&self, start: Timestamp) -> bool {
        self.lost.is_some_and(|lost| lost >= start)
    }

    /// The observation ends: connections that are open are told of for the last time from here on.
    pub fn begin_end(&mut self) {
        self.is_ending = true;
    }

    /// The observation has ended, and there are no more events: what waits is over.
    pub fn end(&mut self, now: Timestamp, out: &mut Records) {
        self.clock = self.clock.max(now);
        self.release_all_tasks(out);
        self.all_attempts_over(out);
        self.parts.clear();
    }

    /// What it saw and lost so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// From here on other connections are of interest.
    pub fn set_filter(&mut self, filter: Option<TupleFilter>) {
        self.settings.filter = filter;
    }

    /// The largest time so far: no later record is placed before it.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    fn place(&self, kind: Kind) -> Place {
        Place {
            at: Moment {
                clock: self.clock,
                frame: self.counts.events,
            },
            first_frame: 0,
            kind,
        }
    }

    fn ends(&mut self, socket: &Socket) -> Ends {
        let (client, server) = match socket.role {
            Role::Server => (socket.remote, socket.local),
            Role::Client => (socket.local, socket.remote),
        };
        let is_local = socket.local.0.to_canonical() == socket.remote.0.to_canonical()
            || socket.remote.0.to_canonical().is_loopback();
        Ends {
            client: (client.0.to_canonical(), client.1),
            server: (server.0.to_canonical(), server.1),
            id: self.id(socket),
            role_from: match socket.role_by {
                RoleBy::Port => RoleFrom::Configured,
                RoleBy::Opening => RoleFrom::Socket,
                RoleBy::Guess => RoleFrom::Port,
            },
            direction: match socket.role {
                _ if is_local => Direction::Local,
                Role::Server => Direction::Inbound,
                Role::Client => Direction::Outbound,
            },
            tap_side: side(socket.role),
            owner: self.owner(socket),
        }
    }

    /// Where there is no full socket yet there is no cookie: then time and ends name the attempt, as on the wire.
    fn id(&self, socket: &Socket) -> ConnectionId {
        if socket.cookie == 0 {
            return ConnectionId::Packets {
                first: socket.began,
                flow: self.names.name(&flow(socket.local, socket.remote).0),
            };
        }
        ConnectionId::Socket {
            cookie: socket.cookie,
            host: self.settings.host,
        }
    }

    fn owner(&mut self, socket: &Socket) -> SocketOwner {
        let mut owner = SocketOwner {
            socket_cookie: (socket.cookie != 0).then_some(socket.cookie),
            netns: (socket.netns != 0).then(|| u64::from(socket.netns)),
            ..SocketOwner::default()
        };
        if let Some(process) = &socket.process {
            owner.pid = Some(u64::from(process.pid));
            owner.uid = Some(u64::from(process.uid));
            owner.comm = Some(Short::new(&process.comm)).filter(|name| !name.is_empty());
            if process.cgroup != 0 {
                let group = self.group(process.cgroup);
                owner.cgroup = Some(group.path);
                owner.container_id = group.container_id;
            }
        }
        owner
    }

    fn group(&mut self, number: u64) -> Group {
        if let Some(group) = self.cgroups.get(&number) {
            return group.clone();
        }
        let found = (self.settings.cgroup_path)(number);
        let group = match &found {
            Some(path) => Group {
                path: Arc::from(path.as_str()),
                container_id: container_id(path).map(Arc::from),
            },
            None => Group {
                path: Arc::from(number.to_string()),
                container_id: None,
            },
        };
        // One that came just now may be found later.
        if found.is_some() {
            if self.cgroups.len() >= CGROUPS {
                // They are asked for again as they are needed.
                self.cgroups.clear();
            }
            self.cgroups.insert(number, group.clone());
        }
        group
    }

    /// From one time to a later one, and a count where it is not later.
    fn between(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Span> {
        let (from, to) = (from?, to?);
        let span = to.since(from);
        self.counts.time_reversals += u64::from(span.is_none());
        span
    }
}

/// The end at which a socket is.
fn side(role: Role) -> Side {
    match role {
        Role::Server => Side::Server,
        Role::Client => Side::Client,
    }
}

/// The key of two ends, and which of its ends the first one is.
fn flow(first: (IpAddr, u16), second: (IpAddr, u16)) -> (FlowKey, u8) {
    let words = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(v4) => v4_words(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            // The halves.
            [(bits >> 64) as u64, bits as u64]
        }
    };
    let (a, b) = ((words(first.0), first.1), (words(second.0), second.1));
    let (low, high) = (a.min(b), a.max(b));
    let key = FlowKey {
        low: low.0,
        high: high.0,
        ports: [low.1, high.1],
        context: 0,
    };
    (key, u8::from(a > b))
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
