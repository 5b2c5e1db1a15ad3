//! A trouble: something abnormal from its first minute to its last, as one thing whatever servers and metrics show it. Here is
//! what is kept of it, and which of a minute's suspects continues which. Not how it is said: see `words`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::component::Share;
use super::topology::Component;
use super::{InstanceKey, Judgement, MINUTE_NS};
use crate::record::AnomalyMetric;
use crate::time::Timestamp;

/// Most troubles that go on at once. Chosen: with more, nobody reads any. Servers beyond are told by the next that ends, and counted.
pub const TROUBLES: usize = 1024;
/// A trouble is over when nothing of it was abnormal for so long, in ns. Chosen: a cause that pauses for less is the same.
pub const QUIET_NS: i64 = 5 * MINUTE_NS;

/// An address and a port.
pub type Server = (IpAddr, u16);

/// What kind of thing is abnormal; of several, the first is more likely the cause of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Segments are repeated.
    Loss,
    /// Connecting takes longer, or fails.
    Connect,
    /// Requests fail.
    Errors,
    /// Requests take longer.
    Latency,
    /// There are fewer requests.
    Traffic,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] = [
        Family::Loss,
        Family::Connect,
        Family::Errors,
        Family::Latency,
        Family::Traffic,
    ];

    /// The family of a metric.
    #[must_use]
    pub fn of(metric: AnomalyMetric) -> Family {
        match metric {
            AnomalyMetric::Retransmits => Family::Loss,
            AnomalyMetric::Connect | AnomalyMetric::Failed => Family::Connect,
            AnomalyMetric::Errors | AnomalyMetric::Unanswered => Family::Errors,
            AnomalyMetric::Throughput => Family::Traffic,
            AnomalyMetric::Total
            | AnomalyMetric::Process
            | AnomalyMetric::Upload
            | AnomalyMetric::Transfer
            | AnomalyMetric::Network => Family::Latency,
        }
    }

    /// The code of its findings.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Family::Loss => "abnormal_loss",
            Family::Connect => "abnormal_connect",
            Family::Errors => "abnormal_errors",
            Family::Latency => "abnormal_latency",
            Family::Traffic => "abnormal_traffic",
        }
    }
}

/// What is suspected.
#[derive(Clone, Debug, PartialEq)]
pub enum Whom {
    /// One server.
    Server,
    /// What abnormal servers have in common, as it was when that was least probable by chance.
    Component {
        /// What.
        component: Component,
        /// Of its servers.
        inside: Share,
        /// Of all others.
        elsewhere: Share,
        /// Natural logarithm of the probability that it is chance, corrected for the number of components tried.
        ln_p: f64,
    },
    /// (Almost) all servers, and no component.
    All(Share),
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// Its number among all of one diagnosis, from 1.
    pub number: u64,
    /// Where its first minute begins.
    pub since: Timestamp,
    /// Where the last minute ends in which something of it was abnormal.
    pub until: Timestamp,
    /// Nothing was for [`QUIET_NS`].
    pub is_over: bool,
    /// Who is suspected.
    pub whom: Whom,
    /// Servers that were abnormal.
    pub servers: BTreeSet<Server>,
    /// By metric: servers, and the judgement that was farthest from what is usual.
    pub metrics: BTreeMap<AnomalyMetric, (BTreeSet<Server>, Judgement)>,
    /// Operations that were abnormal by themselves.
    pub operations: BTreeSet<InstanceKey>,
    /// Requests of what was abnormal, in the minutes in which it was, since it was noticed.
    pub requests: u64,
    /// Attempts to connect, likewise.
    pub attempts: u64,
}

impl Trouble {
    /// What kind of thing it is: the cause rather than what follows, of what at least half of its servers have.
    #[must_use]
    pub fn family(&self) -> Family {
        let mut servers: BTreeMap<Family, usize> = BTreeMap::new();
        for (metric, (of_it, _)) in &self.metrics {
            let most = servers.entry(Family::of(*metric)).or_default();
            *most = (*most).max(of_it.len());
        }
        let most = servers.values().copied().max().unwrap_or_default();
        let mut by_cause = servers.into_iter();
        by_cause
            .find(|(_, count)| count * 2 >= most)
            .map_or(Family::Latency, |(family, _)| family)
    }

    /// The judgement that shows it best: of the family the metric that most servers have, then the narrower one, and of it the
    /// worst.
    #[must_use]
    pub fn worst(&self) -> Option<&Judgement> {
        let family = self.family();
        let of_family = self.metrics.iter();
        let of_family = of_family.filter(|(metric, _)| Family::of(**metric) == family);
        let best = of_family.max_by_key(|(metric, (servers, _))| {
            // The whole says least where a part of it says as much.
            (servers.len(), **metric != AnomalyMetric::Total, **metric)
        });
        best.map(|(_, (_, judgement))| judgement)
    }
}

/// What one minute shows as one thing.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub whom: Whom,
    pub servers: BTreeSet<Server>,
}

/// What is abnormal of one server, in this minute or the one before.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub judgement: Judgement,
    /// Requests of its instance in its minute.
    pub requests: u64,
}

/// What happens to a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was noticed.
    Began,
    /// Another component is suspected than was told.
    Moved,
    /// It is over.
    Ended,
}

/// Which troubles go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    pub open: Vec<Trouble>,
    /// Groups that found no room.
    pub refused: u64,
}

impl Troubles {
    /// Takes what a minute shows; `each` is told what is new. `last` is the number of the last trouble of the diagnosis.
    pub(super) fn take(
        &mut self,
        last: &mut u64,
        minute: Timestamp,
        group: Group,
        shown: &dyn Fn(Server) -> (Vec<Shown>, u64),
        each: &mut dyn FnMut(Change, &Trouble),
    ) {
        let mut change = None;
        let at = match self.known(&group.servers) {
            Some(at) => at,
            None if self.open.len() >= TROUBLES => {
                self.refused += 1;
                return;
            }
            None => {
                *last += 1;
                change = Some(Change::Began);
                self.open.push(Trouble {
                    number: *last,
                    since: minute,
                    until: minute,
                    is_over: false,
                    whom: group.whom.clone(),
                    servers: BTreeSet::new(),
                    metrics: BTreeMap::new(),
                    operations: BTreeSet::new(),
                    requests: 0,
                    attempts: 0,
                });
                self.open.len() - 1
            }
        };
        let trouble = &mut self.open[at];
        if is_better(&group.whom, &trouble.whom) {
            let is_other = match (&group.whom, &trouble.whom) {
                (Whom::Component { component: a, .. }, Whom::Component { component: b, .. }) => {
                    a != b
                }
                _ => true,
            };
            if is_other && change.is_none() {
                change = Some(Change::Moved);
            }
            trouble.whom = group.whom;
        }
        let is_new = change == Some(Change::Began);
        for server in group.servers {
            let (shown, attempts) = shown(server);
            trouble.add((minute, is_new), server, shown, attempts);
        }
        if let Some(change) = change {
            each(change, trouble);
        }
    }

    /// Ends what was quiet for long enough at `now`.
    pub(super) fn end(&mut self, now: Timestamp, each: &mut dyn FnMut(Change, &Trouble)) {
        self.open.retain_mut(|trouble| {
            if now < trouble.until.plus(QUIET_NS) {
                return true;
            }
            trouble.is_over = true;
            each(Change::Ended, trouble);
            false
        });
    }

    /// The open trouble that these servers continue: half of either are the other's. If there are several, they turn out to be
    /// one.
    fn known(&mut self, servers: &BTreeSet<Server>) -> Option<usize> {
        let is_same = |trouble: &Trouble| {
            let common = trouble.servers.intersection(servers).count();
            common > 0 && common * 2 >= trouble.servers.len().min(servers.len())
        };
        let first = self.open.iter().position(is_same)?;
        let mut rest = first + 1;
        while rest < self.open.len() {
            if is_same(&self.open[rest]) {
                let other = self.open.remove(rest);
                self.open[first].absorb(other);
            } else {
                rest += 1;
            }
        }
        Some(first)
    }
}

impl Trouble {
    fn add(
        &mut self,
        (minute, is_new): (Timestamp, bool),
        server: Server,
        shown: Vec<Shown>,
        attempts: u64,
    ) {
        self.servers.insert(server);
        let mut operations = 0;
        let mut whole = 0;
        let mut counted: Option<InstanceKey> = None;
        let mut is_now = false;
        for Shown {
            judgement,
            requests,
        } in shown
        {
            let length = i64::from(judgement.minutes.max(1)) - 1;
            let began = judgement.minute.plus(-length * MINUTE_NS);
            // Of what goes on already the beginning is known; another look back would only be vaguer.
            if is_new {
                self.since = self.since.min(began);
            }
            if judgement.minute == minute {
                is_now = true;
                if counted.as_ref() != Some(&judgement.instance) {
                    counted = Some(judgement.instance.clone());
                    match judgement.instance.protocol {
                        Some(_) => operations += requests,
                        None => whole = requests,
                    }
                }
            }
            if judgement.instance.protocol.is_some() {
                self.operations.insert(judgement.instance.clone());
            }
            let metric = self.metrics.entry(judgement.metric);
            let (servers, worst) = metric.or_insert_with(|| (BTreeSet::new(), judgement.clone()));
            servers.insert(server);
            // An operation says more than its server, if it is as far from what is usual.
            let score = |judgement: &Judgement| {
                let names = judgement.instance.operation.is_some();
                judgement.score * if names { 1.1 } else { 1.0 }
            };
            if score(&judgement) > score(worst) {
                // What was usual before it began: as it goes on, the model learns from it.
                let before = (worst.instance == judgement.instance).then_some(worst.expected);
                *worst = judgement;
                worst.expected = before.unwrap_or(worst.expected);
            }
        }
        if is_now {
            self.until = self.until.max(minute.plus(MINUTE_NS));
            self.attempts += attempts;
            self.requests += if operations > 0 { operations } else { whole };
        }
    }

    fn absorb(&mut self, other: Trouble) {
        self.since = self.since.min(other.since);
        self.until = self.until.max(other.until);
        self.servers.extend(other.servers);
        self.operations.extend(other.operations);
        self.requests += other.requests;
        self.attempts += other.attempts;
        for (metric, (servers, judgement)) in other.metrics {
            let (known, worst) = self
                .metrics
                .entry(metric)
                .or_insert_with(|| (BTreeSet::new(), judgement.clone()));
            known.extend(servers);
            if judgement.score > worst.score {
                *worst = judgement;
            }
        }
        if is_better(&other.whom, &self.whom) {
            self.whom = other.whom;
        }
    }
}

/// Whether it explains more than what was suspected until now.
fn is_better(new: &Whom, known: &Whom) -> bool {
    match (new, known) {
        (Whom::Server, _) | (Whom::All(_), Whom::All(_)) => false,
        (Whom::Component { .. } | Whom::All(_), Whom::Server) => true,
        (Whom::Component { ln_p: new, .. }, Whom::Component { ln_p: known, .. }) => new < known,
        // Twice as many are no part of what was suspected.
        (Whom::All(all), Whom::Component { inside, .. }) => all.hits >= inside.hits * 2,
        (Whom::Component { inside, .. }, Whom::All(all)) => inside.hits * 2 > all.hits,
    }
}
