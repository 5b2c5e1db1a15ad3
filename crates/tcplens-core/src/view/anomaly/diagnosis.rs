//! From rollups to troubles: the watch judges every instance, each minute's abnormal servers are explained by what they have in
//! common, and what goes on is one trouble from its first minute to its last. Incremental: for a host that watches itself, and
//! for a store that is read from its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::component::{Member, Share, explain};
use super::topology::{Component, Topology};
use super::trouble::{Change, Family, Group, Server, Shown, Trouble, Troubles, Whom};
use super::{InstanceKey, Judgement, MINUTE_NS, Settings, Watch, WatchCounts};
use crate::record::{AnomalyMetric, Rollup};
use crate::time::Timestamp;

/// Minutes of which attempts are remembered until they are judged. Chosen: as a watch waits.
const ATTEMPTS: usize = 1500;
/// After so long without a judgement a server is forgotten, in ns: a week, as the watch does.
const FORGOTTEN_NS: i64 = 7 * 1440 * MINUTE_NS;

/// What was watched so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// Servers of which something could be judged in the last minute that was.
    pub judged: u64,
    /// Servers with too little history for that.
    pub learning: u64,
    /// Their operations, and the servers themselves as a whole.
    pub instances: u64,
    /// The first minute of which anything was told.
    pub first: Option<Timestamp>,
    /// The end of the last.
    pub last: Option<Timestamp>,
    /// Rollups that were taken.
    pub rollups: u64,
    /// What could not be watched.
    pub counts: WatchCounts,
    /// Abnormal servers that found no room among the troubles.
    pub refused_troubles: u64,
}

/// Most series of [`Present`]. Chosen: as many as somebody may look through.
pub const SERIES: usize = 256;

/// What is abnormal now, for gauges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    /// Troubles that go on.
    pub troubles: u64,
    /// Servers of which something could be judged in the last minute that was.
    pub judged: u64,
    /// Servers with too little history for that.
    pub learning: u64,
    /// What was abnormal in that minute, and its score: by instance and metric; of more than [`SERIES`] the highest.
    pub scores: Vec<(InstanceKey, AnomalyMetric, f64)>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    watch: Watch,
    state: State,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    rollups: u64,
}

/// All but the models.
#[derive(Clone, Debug)]
struct State {
    topology: Topology,
    servers: BTreeMap<Server, Watched>,
    limit_servers: usize,
    /// By minute and server: attempts to connect.
    attempts: BTreeMap<Timestamp, BTreeMap<Server, u64>>,
    /// The minute that is being judged, or was judged last.
    minute: Option<Timestamp>,
    /// All of it is judged.
    is_closed: bool,
    /// Something was abnormal in it, or in the one before.
    is_abnormal: bool,
    /// Requests of the instance that is being judged.
    requests: Option<(InstanceKey, u64)>,
    /// Requests fail or take longer; there are fewer of them.
    faults: Troubles,
    traffic: Troubles,
    /// The number of the last of either.
    last: u64,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    observer: Observer,
    /// Without a value: they must be looked up.
    components: Option<Vec<Component>>,
    /// The last minute in which something could be judged, and in which it was too early for something.
    judged: Option<Timestamp>,
    learning: Option<Timestamp>,
    /// Of the last minute that was judged and the one before.
    shown: Vec<Shown>,
}

/// Who tells of a server.
#[derive(Clone, Debug, Default)]
enum Observer {
    #[default]
    Nobody,
    One(Arc<str>),
    Several,
}

impl Diagnosis {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings, topology: Topology) -> Diagnosis {
        let limit_servers = settings.limit_instances;
        Diagnosis {
            watch: Watch::new(settings),
            state: State {
                topology,
                servers: BTreeMap::new(),
                limit_servers,
                attempts: BTreeMap::new(),
                minute: None,
                is_closed: true,
                is_abnormal: false,
                requests: None,
                faults: Troubles::default(),
                traffic: Troubles::default(),
                last: 0,
            },
            first: None,
            last: None,
            rollups: 0,
        }
    }

    /// Takes a rollup that `host` made. It waits until its minute is judged by [`Diagnosis::advance`].
    pub fn add(&mut self, host: &str, rollup: &Rollup) {
        self.rollups += 1;
        self.first = Some(self.first.map_or(rollup.time, |at| at.min(rollup.time)));
        let end = rollup.time.plus(MINUTE_NS);
        self.last = Some(self.last.map_or(end, |at| at.max(end)));
        self.state.add(host, rollup);
        self.watch.add(host, rollup);
    }

    /// Judges every minute that is over at `to`; `each` is told what begins, what turns out to be of another component, and what
    /// ends.
    pub fn advance(&mut self, to: Timestamp, each: &mut dyn FnMut(Change, &Trouble)) {
        let Diagnosis { watch, state, .. } = self;
        watch.advance(to, &mut |judgement| state.take(judgement, each));
        state.close(each);
        let to = Timestamp(to.0.div_euclid(MINUTE_NS) * MINUTE_NS);
        state.end(to, each);
    }

    /// What goes on, in the order in which it was noticed.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.state
            .faults
            .open
            .iter()
            .chain(&self.state.traffic.open)
    }

    /// What was abnormal in the last minute that was judged, by server.
    pub fn abnormal(&self) -> impl Iterator<Item = &Judgement> {
        let at = self.state.minute;
        let shown = self.state.servers.values().flat_map(|server| &server.shown);
        let judgements = shown.map(|shown| &shown.judgement);
        judgements.filter(move |judgement| Some(judgement.minute) == at)
    }

    /// What is abnormal now.
    #[must_use]
    pub fn present(&self) -> Present {
        let mut worst: Vec<_> = self.abnormal().collect();
        worst.sort_by(|a, b| b.score.total_cmp(&a.score));
        worst.truncate(SERIES);
        let scores = worst
            .into_iter()
            .map(|of| (of.instance.clone(), of.metric, of.score));
        let mut scores: Vec<_> = scores.collect();
        scores.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let watching = self.watching();
        Present {
            troubles: self.troubles().count() as u64,
            judged: watching.judged,
            learning: watching.learning,
            scores,
        }
    }

    /// Servers of which anything was looked at since `at`, and whether something could be judged rather than only learned.
    pub fn servers(&self, at: Timestamp) -> impl Iterator<Item = (Server, bool)> {
        let is_since = move |when: Option<Timestamp>| when.is_some_and(|when| when >= at);
        self.state.servers.iter().filter_map(move |(server, of)| {
            let is_judged = is_since(of.judged);
            (is_judged || is_since(of.learning)).then_some((*server, is_judged))
        })
    }

    /// What was watched.
    #[must_use]
    pub fn watching(&self) -> Watching {
        let at = self.state.minute.map(|minute| minute.plus(-MINUTE_NS));
        let is_now = |when: Option<Timestamp>| when.is_some() && when >= at;
        let servers = || self.state.servers.values();
        let judged = servers().filter(|server| is_now(server.judged));
        let learning = |server: &&Watched| is_now(server.learning) && !is_now(server.judged);
        Watching {
            judged: judged.count() as u64,
            learning: servers().filter(learning).count() as u64,
            instances: self.watch.instances() as u64,
            first: self.first,
            last: self.last,
            rollups: self.rollups,
            counts: self.watch.counts(),
            refused_troubles: self.state.faults.refused + self.state.traffic.refused,
        }
    }
}

impl State {
    fn add(&mut self, host: &str, rollup: &Rollup) {
        let port = rollup.server_port.and_then(|port| u16::try_from(port).ok());
        let (Some(ip), Some(port)) = (rollup.server_ip, port) else {
            return;
        };
        let server = (ip, port);
        if self.servers.len() >= self.limit_servers && !self.servers.contains_key(&server) {
            return;
        }
        let watched = self.servers.entry(server).or_default();
        let observer = match &watched.observer {
            Observer::Nobody => Some(Observer::One(host.into())),
            Observer::One(known) if **known == *host => None,
            Observer::One(_) => Some(Observer::Several),
            Observer::Several => None,
        };
        if let Some(observer) = observer {
            watched.observer = observer;
            watched.components = None;
        }
        let attempts = rollup.connections.as_ref();
        let attempts = attempts.and_then(|of_it| of_it.attempts).unwrap_or(0);
        if attempts > 0 {
            let has_room =
                self.attempts.len() < ATTEMPTS || self.attempts.contains_key(&rollup.time);
            if has_room {
                let minute = self.attempts.entry(rollup.time).or_default();
                *minute.entry(server).or_default() += attempts;
            }
        }
    }

    /// Takes a judgement; minutes ascend, and of each instance throughput comes first.
    fn take(&mut self, judgement: &Judgement, each: &mut dyn FnMut(Change, &Trouble)) {
        if self.minute != Some(judgement.minute) {
            self.close(each);
            self.minute = Some(judgement.minute);
            self.is_closed = false;
        }
        let key = &judgement.instance;
        if judgement.metric == AnomalyMetric::Throughput {
            // A count of requests: exact as a float, and never negative.
            self.requests = Some((key.clone(), judgement.observed.max(0.0) as u64));
        }
        let server = (key.server_ip, key.server_port);
        let Some(watched) = self.servers.get_mut(&server) else {
            return;
        };
        if judgement.is_learning {
            watched.learning = Some(judgement.minute);
            return;
        }
        watched.judged = Some(judgement.minute);
        if judgement.is_abnormal {
            let requests = self.requests.as_ref();
            let requests = requests.filter(|(of, _)| of == key);
            self.is_abnormal = true;
            watched.shown.push(Shown {
                judgement: judgement.clone(),
                requests: requests.map_or(0, |(_, requests)| *requests),
            });
        }
    }

    /// All of a minute is judged.
    fn close(&mut self, each: &mut dyn FnMut(Change, &Trouble)) {
        let Some(minute) = self.minute.filter(|_| !self.is_closed) else {
            return;
        };
        self.is_closed = true;
        let before = minute.plus(-MINUTE_NS);
        // Most minutes are quiet: then nobody need be looked at.
        let is_hour = minute.0.div_euclid(MINUTE_NS).rem_euclid(60) == 0;
        if is_hour {
            let forgotten = minute.plus(-FORGOTTEN_NS);
            self.servers.retain(|_, watched| {
                let last = watched.judged.max(watched.learning);
                last.is_none_or(|last| last >= forgotten)
            });
        }
        if self.is_abnormal {
            self.explain(minute, before, each);
        }
        self.attempts.retain(|&at, _| at > minute);
        self.end(minute.plus(MINUTE_NS), each);
    }

    /// Which components the abnormal servers of a minute, and of the one before, have in common.
    fn explain(
        &mut self,
        minute: Timestamp,
        before: Timestamp,
        each: &mut dyn FnMut(Change, &Trouble),
    ) {
        self.is_abnormal = false;
        for watched in self.servers.values_mut() {
            watched
                .shown
                .retain(|shown| shown.judgement.minute >= before);
            self.is_abnormal |= !watched.shown.is_empty();
        }
        let is_fault = |shown: &Shown| Family::of(shown.judgement.metric) != Family::Traffic;
        let faults = self.abnormal(|watched| watched.shown.iter().any(is_fault));
        // Who is slow or fails gets fewer requests: that is no trouble of its own.
        let traffic = self
            .abnormal(|watched| !watched.shown.is_empty() && !watched.shown.iter().any(is_fault));
        for group in self.groups(&faults, before) {
            self.note(true, minute, group, each);
        }
        for group in self.groups(&traffic, before) {
            self.note(false, minute, group, each);
        }
    }

    fn end(&mut self, now: Timestamp, each: &mut dyn FnMut(Change, &Trouble)) {
        self.faults.end(now, each);
        self.traffic.end(now, each);
    }

    fn abnormal(&self, is_abnormal: impl Fn(&Watched) -> bool) -> BTreeSet<Server> {
        let of = self.servers.iter();
        let of = of.filter(|(_, watched)| is_abnormal(watched));
        of.map(|(server, _)| *server).collect()
    }

    fn note(
        &mut self,
        is_fault: bool,
        minute: Timestamp,
        group: Group,
        each: &mut dyn FnMut(Change, &Trouble),
    ) {
        let State {
            servers,
            attempts,
            faults,
            traffic,
            last,
            ..
        } = self;
        let attempts = attempts.get(&minute);
        let shown = |server: Server| {
            let shown = servers.get(&server);
            let shown = shown.map_or(Vec::new(), |watched| watched.shown.clone());
            let attempts = attempts.and_then(|attempts| attempts.get(&server));
            (shown, attempts.copied().unwrap_or(0))
        };
        let troubles = if is_fault { faults } else { traffic };
        troubles.take(last, minute, group, &shown, each);
    }

    /// What explains abnormal servers, of those that were judged since `before`.
    fn groups(&mut self, abnormal: &BTreeSet<Server>, before: Timestamp) -> Vec<Group> {
        if abnormal.is_empty() {
            return Vec::new();
        }
        let is_judged = |watched: &Watched| watched.judged.is_some_and(|at| at >= before);
        let mut places: BTreeMap<Component, usize> = BTreeMap::new();
        let mut names = Vec::new();
        let mut servers = Vec::new();
        let mut members = Vec::new();
        let State {
            servers: all,
            topology,
            ..
        } = self;
        for (&server, watched) in all.iter_mut().filter(|(_, watched)| is_judged(watched)) {
            let components = watched.components.get_or_insert_with(|| {
                let observer = match &watched.observer {
                    Observer::One(host) => Some(&**host),
                    Observer::Nobody | Observer::Several => None,
                };
                topology.components(server.0, Some(server.1), observer)
            });
            let components = components.iter().map(|component| {
                *places.entry(component.clone()).or_insert_with(|| {
                    names.push(component.clone());
                    names.len() - 1
                })
            });
            members.push(Member {
                components: components.collect(),
                is_abnormal: abnormal.contains(&server),
            });
            servers.push(server);
        }
        let explained = explain(&members, &names);
        let mut groups = Vec::new();
        for suspect in explained.suspects {
            let of_it = suspect.members.iter();
            let of_it = of_it.filter(|&&n| members[n].is_abnormal);
            groups.push(Group {
                whom: Whom::Component {
                    component: names[suspect.component].clone(),
                    inside: suspect.inside,
                    elsewhere: suspect.elsewhere,
                    ln_p: suspect.ln_p,
                },
                servers: of_it.map(|&n| servers[n]).collect(),
            });
        }
        let alone = explained.alone.iter().map(|&n| servers[n]);
        match explained.all {
            Some(share @ Share { .. }) => groups.push(Group {
                whom: Whom::All(share),
                servers: alone.collect(),
            }),
            None => groups.extend(alone.map(|server| Group {
                whom: Whom::Server,
                servers: BTreeSet::from([server]),
            })),
        }
        groups
    }
}

#[cfg(test)]
mod tests;
