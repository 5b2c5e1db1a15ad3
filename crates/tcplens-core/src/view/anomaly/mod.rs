//! What is abnormal: a model of each instance's own history, and the minutes that do not fit it. An instance is a server with
//! all that it does, or one operation of it. Not which component is to blame: that takes many instances.
//!
//! Each metric has a model of its own (see `level`, `share`), which learns from every minute that is normal and decides in
//! constant time and memory. No threshold belongs to an instance. Why so, and how it was chosen: docs/anomalies.md.

mod alarm;
mod component;
mod diagnosis;
mod instance;
mod level;
mod sample;
mod season;
mod share;
mod spread;
mod topology;
mod trouble;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::record::{Protocol, Rollup};
use crate::time::{SECOND, Timestamp};

pub use crate::record::AnomalyMetric;
pub use component::{Explained, Member, SUSPECTS, Share, Suspected, explain};
pub use diagnosis::{Diagnosis, Present, SERIES, Watching};
pub use instance::{Instance, Reading};
pub use sample::{Durations, Sample};
pub use topology::{Component, PLACES, Topology};
pub use trouble::{Change, Family, QUIET_NS, Server, TROUBLES, Trouble, Whom};
pub use words::{finding, rank};

/// Nanoseconds in a minute.
const MINUTE_NS: i64 = 60 * SECOND;
/// Hosts that are told apart. Of what further ones observe, minutes without any request are not seen as such.
const HOSTS: usize = 65_536;

/// What is watched: one operation of a server, or (without protocol and operation) the server as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// The server's address.
    pub server_ip: IpAddr,
    /// Its port.
    pub server_port: u16,
    /// What its requests speak; absent of the server as a whole.
    pub protocol: Option<Protocol>,
    /// Their operation; absent of the server as a whole, and where the protocol has none.
    pub operation: Option<Arc<str>>,
}

/// One metric of one instance in one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Where the minute begins.
    pub minute: Timestamp,
    /// Whose.
    pub instance: InstanceKey,
    /// What.
    pub metric: AnomalyMetric,
    /// What it was. Durations in microseconds: the geometric mean of `total`, `process` and `connect`, the mean of the others.
    /// Shares from 0 to 1. Throughput: requests in this minute.
    pub observed: f64,
    /// What it would usually have been, in the same unit.
    pub expected: f64,
    /// How far it is on the bad side, in multiples of the usual distance (as of a normal distribution: 1 is common, 3 rare);
    /// negative on the good side.
    pub score: f64,
    /// Whether something is wrong now: this minute and those before it fit the history too badly for chance.
    pub is_abnormal: bool,
    /// Too little history: never abnormal.
    pub is_learning: bool,
    /// Over how many minutes it was found to be abnormal: 2, 15 or 240; 1 of what is normal.
    pub minutes: u32,
}

/// How to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Instances that are told apart, up to 20 KB each; further ones are not judged, and counted.
    pub limit_instances: usize,
    /// Minutes that wait to be judged; rollups of further ones are not taken, and counted.
    pub limit_minutes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limit_instances: 4096,
            limit_minutes: 1500,
        }
    }
}

/// What a watch could not judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    /// Rollups of minutes that were judged already.
    pub late_rollups: u64,
    /// Rollups that tell no server: of what found no row of its own.
    pub nameless_rollups: u64,
    /// Rollups whose minute found no room among those that wait.
    pub refused_rollups: u64,
    /// Minutes of instances that found no room.
    pub refused_samples: u64,
    /// Instances that were silent for a week, and were forgotten.
    pub forgotten_instances: u64,
}

/// Watches any number of instances, minute after minute.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    settings: Settings,
    hosts: BTreeSet<Arc<str>>,
    instances: BTreeMap<InstanceKey, Watched>,
    waiting: BTreeMap<i64, Minute>,
    /// The last minute that was judged.
    judged: Option<i64>,
    counts: WatchCounts,
}

#[derive(Clone, Debug)]
struct Watched {
    instance: Instance,
    /// The host that told of it last.
    host: Option<Arc<str>>,
    /// The last minute of which something was told.
    heard: i64,
}

#[derive(Clone, Debug, Default)]
struct Minute {
    /// Who told anything.
    hosts: BTreeSet<Arc<str>>,
    samples: BTreeMap<InstanceKey, (Option<Arc<str>>, Sample)>,
}

impl Watched {
    fn is_seen_by(&self, hosts: &BTreeSet<Arc<str>>) -> bool {
        self.host.as_ref().is_some_and(|host| hosts.contains(host))
    }
}

/// Minutes of silence after which an instance is forgotten: a week.
const FORGOTTEN: i64 = 7 * 1440;

impl Watch {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Watch {
        Watch {
            settings,
            ..Watch::default()
        }
    }

    /// Takes a rollup that `host` made. Several of one minute and instance add up; their order makes no difference. It waits
    /// until its minute is judged by [`Watch::advance`].
    pub fn add(&mut self, host: &str, rollup: &Rollup) {
        let port = rollup.server_port.and_then(|port| u16::try_from(port).ok());
        let (Some(server_ip), Some(server_port)) = (rollup.server_ip, port) else {
            self.counts.nameless_rollups += 1;
            return;
        };
        let server = InstanceKey {
            server_ip,
            server_port,
            protocol: None,
            operation: None,
        };
        let host = self.host(host);
        let Some(minute) = self.minute(rollup.time) else {
            return;
        };
        minute.hosts.extend(host.clone());
        let mut sample = Sample::default();
        sample.add(rollup);
        if rollup.protocol.is_some() {
            let operation = InstanceKey {
                protocol: rollup.protocol,
                operation: rollup.operation.as_deref().map(Arc::from),
                ..server.clone()
            };
            minute.add(operation, host.clone(), &sample);
        }
        minute.add(server, host, &sample);
    }

    /// Judges every minute that is over at `to`, in order: of each, instances and metrics in order, as far as there is
    /// something to judge. Rollups that come later for these minutes are only counted.
    pub fn advance(&mut self, to: Timestamp, each: &mut dyn FnMut(&Judgement)) {
        let now = to.0.div_euclid(MINUTE_NS);
        while let Some(entry) = self.waiting.first_entry() {
            let at = *entry.key();
            if at >= now {
                break;
            }
            let minute = entry.remove();
            self.judge(at, minute, each);
        }
        self.judged = self.judged.max(now.checked_sub(1));
    }

    /// What could not be judged.
    #[must_use]
    pub fn counts(&self) -> WatchCounts {
        self.counts
    }

    /// Instances that are watched.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances.len()
    }

    fn host(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some(host) = self.hosts.get(name) {
            return Some(host.clone());
        }
        if self.hosts.len() >= HOSTS {
            return None;
        }
        let host: Arc<str> = Arc::from(name);
        self.hosts.insert(host.clone());
        Some(host)
    }

    fn minute(&mut self, time: Timestamp) -> Option<&mut Minute> {
        let at = time.0.div_euclid(MINUTE_NS);
        if self.judged.is_some_and(|judged| at <= judged) {
            self.counts.late_rollups += 1;
            return None;
        }
        let is_full = self.waiting.len() >= self.settings.limit_minutes;
        if is_full && !self.waiting.contains_key(&at) {
            self.counts.refused_rollups += 1;
            return None;
        }
        Some(self.waiting.entry(at).or_default())
    }

    fn judge(&mut self, at: i64, mut minute: Minute, each: &mut dyn FnMut(&Judgement)) {
        let before = self.instances.len();
        self.instances
            .retain(|_, watched| at - watched.heard < FORGOTTEN);
        self.counts.forgotten_instances += (before - self.instances.len()) as u64;
        for key in minute.samples.keys() {
            if self.instances.contains_key(key) {
                continue;
            }
            if self.instances.len() >= self.settings.limit_instances {
                self.counts.refused_samples += 1;
                continue;
            }
            let watched = Watched {
                instance: Instance::default(),
                host: None,
                heard: at,
            };
            self.instances.insert(key.clone(), watched);
        }
        for (key, watched) in &mut self.instances {
            let sample = match minute.samples.remove(key) {
                Some((host, sample)) => {
                    watched.host = host.or_else(|| watched.host.take());
                    watched.heard = at;
                    sample
                }
                // Whoever told of it tells of others, and not of it: there was nothing.
                None if watched.is_seen_by(&minute.hosts) => watched.instance.nothing(),
                None => continue,
            };
            watched.instance.judge(at, &sample, &mut |reading| {
                each(&Judgement {
                    minute: Timestamp(at * MINUTE_NS),
                    instance: key.clone(),
                    metric: reading.metric,
                    observed: reading.observed,
                    expected: reading.expected,
                    score: reading.score,
                    is_abnormal: reading.is_abnormal,
                    is_learning: reading.is_learning,
                    minutes: reading.minutes,
                });
            });
        }
    }
}

impl Minute {
    fn add(&mut self, key: InstanceKey, host: Option<Arc<str>>, of_it: &Sample) {
        let (by, sample) = self.samples.entry(key).or_default();
        // The same whatever the order in which hosts tell.
        *by = by.take().max(host);
        sample.merge(of_it);
    }
}
