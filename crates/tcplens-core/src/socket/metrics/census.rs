//! How many sockets there are now, by state and by server, and how full the queues of listeners are. Counted anew by whoever can
//! walk over all of them: no difference can go wrong.

use std::collections::BTreeMap;

use super::Place;
use super::server::ServerSockets;
use crate::view::ServerKey;
use crate::view::metrics::seats::Seats;

/// The kernel's states in ss's words, by number; the first is none.
pub const STATES: [&str; 14] = [
    "unknown",
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
    "new_syn_recv",
    "bound_inactive",
];

/// Most listeners that are told apart. Chosen: as many as servers.
pub const LISTENERS: usize = 100;

/// Connections that wait for accept(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How many.
    pub waiting: u64,
    /// How many may.
    pub limit: u64,
}

/// What there was at the last census.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Whether there was one.
    pub is_known: bool,
    /// Sockets, by the kernel's state; see [`STATES`].
    pub states: [u64; STATES.len()],
    /// Connections of servers with a row of their own: those of clients, and the servers' own.
    pub connections: BTreeMap<ServerKey, [u64; 2]>,
    /// Those of all other servers.
    pub other_connections: [u64; 2],
    /// Listeners by their address; several at one are one, with their queues together.
    pub listeners: BTreeMap<ServerKey, Queue>,
    /// Those that are too many, together; absent without any.
    pub other_queue: Option<Queue>,
    /// Listeners that went there, since the beginning.
    pub(super) other_listeners: u64,
}

/// A census that goes on.
#[derive(Debug)]
pub struct Census<'a> {
    standing: &'a mut Standing,
    servers: &'a Seats<ServerSockets>,
}

impl<'a> Census<'a> {
    pub(super) fn new(standing: &'a mut Standing, servers: &'a Seats<ServerSockets>) -> Census<'a> {
        *standing = Standing {
            is_known: true,
            other_listeners: standing.other_listeners,
            ..Standing::default()
        };
        Census { standing, servers }
    }

    /// A socket in this state; of a connection also whose it is.
    pub fn socket(&mut self, state: u8, place: Option<Place>) {
        let known = usize::from(state);
        let known = if known < STATES.len() { known } else { 0 };
        self.standing.states[known] += 1;
        let Some(Place { server, is_server }) = place else {
            return;
        };
        let row = match self.servers.has(server) {
            true => self.standing.connections.entry(server).or_default(),
            false => &mut self.standing.other_connections,
        };
        row[usize::from(is_server)] += 1;
    }

    /// A listener, beside [`socket`](Self::socket): where, and its queue.
    pub fn listener(&mut self, at: ServerKey, queue: Queue) {
        let listeners = &mut self.standing.listeners;
        let all = if listeners.len() < LISTENERS || listeners.contains_key(&at) {
            listeners.entry(at).or_default()
        } else {
            self.standing.other_listeners += 1;
            self.standing.other_queue.get_or_insert_default()
        };
        all.waiting += queue.waiting;
        all.limit += queue.limit;
    }
}
