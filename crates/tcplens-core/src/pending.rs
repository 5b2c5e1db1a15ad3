//! Attempts that nothing has answered so far: a blackholed connect is seen at once, not when it is given up. Not records:
//! what is under way changes, and has none yet.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::Span;

/// A server: address and port.
pub type Server = (IpAddr, u16);

/// Most servers that are told apart in what one thread hands over. Chosen: few of them are shown.
const SERVERS: usize = 64;

/// What is pending at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Attempts.
    pub attempts: u64,
    /// How long ago the first SYN of the oldest was; absent if there is none.
    pub oldest: Option<Span>,
    servers: BTreeMap<Server, Waited>,
}

/// What waits for one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// Attempts.
    pub attempts: u64,
    /// How long ago the first SYN of the oldest was.
    pub oldest: Span,
    /// Whether it is the observed host itself, which others wait for.
    pub is_here: bool,
}

impl Pending {
    /// One more attempt, whose first SYN was so long ago.
    pub fn attempt(&mut self, server: Server, age: Span) {
        self.attempts += 1;
        self.oldest = self.oldest.max(Some(age));
        let waited = self.servers.entry(server).or_default();
        waited.attempts += 1;
        waited.oldest = waited.oldest.max(age);
    }

    /// The server of an attempt is the observed host.
    pub fn here(&mut self, server: Server) {
        if let Some(waited) = self.servers.get_mut(&server) {
            waited.is_here = true;
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Pending) {
        self.attempts += other.attempts;
        self.oldest = self.oldest.max(other.oldest);
        for (&server, more) in &other.servers {
            let waited = self.servers.entry(server).or_default();
            waited.attempts += more.attempts;
            waited.oldest = waited.oldest.max(more.oldest);
            waited.is_here |= more.is_here;
        }
    }

    /// Forgets which servers the fewest attempts wait for, so that little is handed over.
    pub fn shorten(&mut self) {
        if self.servers.len() > SERVERS {
            self.servers = self.busiest(SERVERS).into_iter().collect();
        }
    }

    /// What waits for each server that is told apart, ascending.
    pub fn servers(&self) -> impl Iterator<Item = (Server, Waited)> {
        self.servers
            .iter()
            .map(|(server, waited)| (*server, *waited))
    }

    /// The servers that most attempts wait for, `most` of them; of equals those that were asked first.
    #[must_use]
    pub fn busiest(&self, most: usize) -> Vec<(Server, Waited)> {
        let mut servers: Vec<_> = self.servers.iter().map(|(key, it)| (*key, *it)).collect();
        servers.sort_by_key(|(key, waited)| (Reverse((waited.attempts, waited.oldest)), *key));
        servers.truncate(most);
        servers
    }
}
