//! What changed between two captures, or two periods of one: `report --compare`. Pure, bounded, blind to where records come
//! from. What is compared is in `pairs`, how it is judged in `judge`, why so in docs/report.md.
//!
//! ```text
//! records -> Period (by server, protocol, operation; there by unit) -> Pair (one metric) -> p -> Change
//! ```

mod coarse;
mod judge;
mod pairs;
mod period;
mod spread;
mod words;

pub use period::{GROUPS, Period, Split};

use pairs::Pair;

use crate::record::{Change, Metric, Suspect, Verdict};
use crate::time::Span;

/// The chance that anything told as a change is none: at most so many in a hundred.
pub const LEVEL_PERCENT: u64 = 5;

const LEVEL: f64 = LEVEL_PERCENT as f64 / 100.0;

/// Times that change by less are not told, however certain it is. Chosen: nobody acts on less.
pub const LEAST_TIME_PERCENT: u64 = 5;

/// The same of shares and rates.
pub const LEAST_SHARE_PERCENT: u64 = 20;

/// Shares that change by less of all are not told.
pub const LEAST_SHARE_PER_MILLE: u64 = 1;

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Everything that was compared: what is told by rank, then the rest by how unlikely it is, the least likely first.
    pub changes: Vec<Change>,
    /// How many pairs of each metric were judged.
    pub judged: Vec<(Metric, u64)>,
    /// Of these, of what never happened, before or now: they take nothing from the others.
    pub never: u64,
    /// Pairs of which there was too little of either side to say anything.
    pub too_few: u64,
    /// Beyond chance, but too small to be told.
    pub small: u64,
    /// Beyond chance, and part of a change that is told.
    pub parts: u64,
}

impl Comparison {
    /// What changed, the worst first.
    pub fn told(&self) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .take_while(|change| change.rank.is_some())
    }
}

/// How bad a kind of change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Failed,
    Slow,
    Lossy,
    Note,
    Better,
}

/// A pair, and what was found.
struct Draft {
    pair: Pair,
    /// Corrected for all; absent where nothing could be said.
    p: Option<f64>,
    is_significant: bool,
    is_told: bool,
    class: Class,
    weight: f64,
}

/// Compares everything that is there before and now.
#[must_use]
pub fn compare(before: &Period, now: &Period) -> Comparison {
    let pairs = pairs::all(before, now);
    let family: Vec<Option<f64>> = pairs.iter().map(in_family).collect();
    let p: Vec<f64> = family.iter().copied().flatten().collect();
    let compared = p.len();
    let mut corrected = judge::holm(&p).into_iter();
    let mut drafts: Vec<Draft> = pairs
        .into_iter()
        .zip(family)
        .map(|(pair, own)| {
            let p = match own {
                Some(_) => corrected.next(),
                None => pair.judged.map(|judged| judged.p),
            };
            Draft::new(pair, p)
        })
        .collect();
    let small = drafts
        .iter()
        .filter(|it| it.is_significant && !it.is_told)
        .count();
    let told = drafts.iter().filter(|it| it.is_told).count();
    fold(&mut drafts);
    let parts = told - drafts.iter().filter(|it| it.is_told).count();
    drafts.sort_by(|a, b| {
        let told = b.is_told.cmp(&a.is_told);
        let harm = || a.class.cmp(&b.class).then(b.weight.total_cmp(&a.weight));
        let chance = || {
            let [a, b] = [a, b].map(|it| it.pair.judged.map_or(2.0, |judged| judged.p));
            a.total_cmp(&b)
        };
        told.then_with(|| if a.is_told { harm() } else { chance() })
    });
    let mut judged: Vec<(Metric, u64)> = Vec::new();
    for &metric in Metric::ALL {
        let of = drafts
            .iter()
            .filter(|it| it.pair.metric == metric && it.p.is_some());
        let count = of.count() as u64;
        if count > 0 {
            judged.push((metric, count));
        }
    }
    let judged_all: u64 = judged.iter().map(|(_, count)| count).sum();
    let too_few = drafts.iter().filter(|it| it.p.is_none()).count() as u64;
    let level = LEVEL / compared.max(1) as f64;
    let observed = [before.observed(), now.observed()];
    let all: Vec<&Draft> = drafts.iter().collect();
    let mut changes = Vec::with_capacity(all.len());
    for (at, draft) in drafts.iter().enumerate() {
        let rank = draft.is_told.then_some(at as u64 + 1);
        let parts = draft.parts_among(&all);
        changes.push(draft.change(rank, level, compared, observed, &parts));
    }
    Comparison {
        changes,
        judged,
        never: judged_all - compared as u64,
        too_few,
        small: small as u64,
        parts: parts as u64,
    }
}

/// Its p, if it counts among those that were looked at: what cannot be beyond chance whatever comes does not (Tarone 1990).
fn in_family(pair: &Pair) -> Option<f64> {
    if pair.hits == Some([0, 0]) {
        return None;
    }
    pair.judged.map(|judged| judged.p)
}

/// What is said by another change is not told again: a tail by the whole distribution of the same requests, operations by all
/// of their server. Tails come first: an operation's is said by that of the server only if that one is told itself.
fn fold(drafts: &mut [Draft]) {
    fold_by(drafts, |pair, other| {
        pair.metric == Metric::SlowShare
            && other.metric == Metric::Latency
            && other.operation == pair.operation
    });
    fold_by(drafts, |pair, other| {
        other.operation.is_none()
            && pair.operation.is_some()
            && other.metric == pair.metric
            && pair.metric != Metric::Presence
    });
}

/// Takes back what changed in the same direction as another change of the same server and protocol that `is_said_by` names.
fn fold_by(drafts: &mut [Draft], is_said_by: impl Fn(&Pair, &Pair) -> bool) {
    let told: Vec<Pair> = drafts
        .iter()
        .filter(|it| it.is_told)
        .map(|it| it.pair.clone())
        .collect();
    for draft in drafts.iter_mut().filter(|it| it.is_told) {
        let pair = &draft.pair;
        let is_said = told.iter().any(|other| {
            other.server == pair.server
                && other.protocol == pair.protocol
                && (other.rise > 0.0) == (pair.rise > 0.0)
                && is_said_by(pair, other)
        });
        draft.is_told = !is_said;
    }
}

impl Draft {
    fn new(pair: Pair, p: Option<f64>) -> Draft {
        let is_significant = p.is_some_and(|p| p <= LEVEL) && pair.rise != 0.0;
        let is_told = is_significant && is_large(&pair);
        let (class, weight) = harm(&pair);
        Draft {
            pair,
            p,
            is_significant,
            is_told,
            class,
            weight,
        }
    }

    /// The operations that changed as all of their server did, the largest share of requests first.
    fn parts_among<'a>(&self, all: &[&'a Draft]) -> Vec<&'a Pair> {
        let pair = &self.pair;
        if pair.operation.is_some() || pair.protocol.is_none() {
            return Vec::new();
        }
        let of = all.iter().filter(|it| {
            it.is_significant
                && it.pair.metric == pair.metric
                && (it.pair.server, it.pair.protocol) == (pair.server, pair.protocol)
                && it.pair.operation.is_some()
                && (it.pair.rise > 0.0) == (pair.rise > 0.0)
        });
        let mut parts: Vec<&Pair> = of.map(|it| &it.pair).collect();
        parts.sort_by_key(|it| std::cmp::Reverse(it.counts[1]));
        parts
    }

    fn change(
        &self,
        rank: Option<u64>,
        level: f64,
        compared: usize,
        observed: [Span; 2],
        parts: &[&Pair],
    ) -> Change {
        let pair = &self.pair;
        let [before_count, after_count] = pair.counts;
        let [before_connections, after_connections] = pair.connections;
        let said = rank.map(|_| words::said(pair, self.p, compared, parts));
        let (text, evidence) = said.unzip();
        Change {
            rank,
            is_significant: self.is_significant,
            code: words::code(pair),
            metric: pair.metric,
            server_ip: Some(pair.server.0),
            server_port: Some(pair.server.1),
            protocol: pair.protocol,
            operation: pair.operation.clone(),
            before_count,
            after_count,
            before_connections,
            after_connections,
            before_hits: pair.hits.map(|hits| hits[0]),
            after_hits: pair.hits.map(|hits| hits[1]),
            before_p50_us: pair.p50.map(|it| it[0]),
            after_p50_us: pair.p50.map(|it| it[1]),
            before_p95_us: pair.p95.map(|it| it[0]),
            after_p95_us: pair.p95.map(|it| it[1]),
            before_observed_us: Some(observed[0]),
            after_observed_us: Some(observed[1]),
            ratio_per_mille: pair.ratio().map(per_mille),
            // A probability in millionths.
            p_ppm: self.p.map(|p| (p * 1e6).ceil() as u64),
            units: pair.judged.map(|judged| judged.units),
            detectable_per_mille: match pair.hits {
                Some([0, _]) => None,
                _ => pair.detectable(level).map(per_mille),
            },
            suspect: suspect(pair),
            text,
            evidence,
            filter: Some(words::filter(pair.server)),
        }
    }
}

/// Thousandths, rounded; beyond 2^64 it saturates.
fn per_mille(ratio: f64) -> u64 {
    (ratio * 1000.0).round() as u64
}

/// Whether anyone would act on it.
fn is_large(pair: &Pair) -> bool {
    let changed = |[before, now]: [f64; 2], percent: u64| {
        let (less, more) = if pair.rise > 0.0 {
            (before, now)
        } else {
            (now, before)
        };
        more >= less * (100 + percent) as f64 / 100.0
    };
    match pair.metric {
        Metric::Latency | Metric::ConnectTime | Metric::ServerRtt | Metric::ClientRtt => {
            let both = [pair.p50, pair.p95].into_iter().flatten();
            let mut both = both.map(|it| it.map(|span| span.ns() as f64));
            both.any(|it| changed(it, LEAST_TIME_PERCENT))
        }
        Metric::SlowShare
        | Metric::Errors
        | Metric::Unanswered
        | Metric::FailedConnects
        | Metric::Loss => {
            pair.rise.abs() * 1000.0 >= LEAST_SHARE_PER_MILLE as f64
                && changed(pair.means, LEAST_SHARE_PERCENT)
        }
        Metric::RequestRate => changed(pair.means, LEAST_SHARE_PERCENT),
        Metric::Presence => true,
    }
}

/// How bad it is, and within that how much of it there is: requests that fail, seconds that are lost.
fn harm(pair: &Pair) -> (Class, f64) {
    let now = pair.counts[1] as f64;
    let more = (pair.means[1] - pair.means[0]).abs() * now;
    let class = match pair.metric {
        Metric::RequestRate | Metric::Presence => {
            let weight = pair.counts[0].max(pair.counts[1]) as f64;
            return (Class::Note, weight);
        }
        _ if pair.rise < 0.0 => Class::Better,
        Metric::Errors | Metric::Unanswered | Metric::FailedConnects => {
            // All of few is worse than few of many.
            return (Class::Failed, more * pair.rise);
        }
        Metric::Latency | Metric::SlowShare | Metric::ConnectTime => Class::Slow,
        Metric::Loss => Class::Lossy,
        Metric::ServerRtt | Metric::ClientRtt => Class::Note,
    };
    (class, more)
}

/// Who is suspected of what got worse.
fn suspect(pair: &Pair) -> Option<Suspect> {
    if pair.rise <= 0.0 {
        return None;
    }
    match pair.metric {
        Metric::Latency | Metric::SlowShare => match grown(pair)?.0 {
            Verdict::Client | Verdict::Queue | Verdict::Window => Some(Suspect::Client),
            Verdict::Server => Some(Suspect::Server),
            Verdict::Network | Verdict::Loss | Verdict::Transfer => Some(Suspect::Network),
        },
        Metric::Errors | Metric::Unanswered => Some(Suspect::Server),
        Metric::Loss | Metric::ServerRtt | Metric::ClientRtt => Some(Suspect::Network),
        Metric::FailedConnects | Metric::ConnectTime | Metric::RequestRate | Metric::Presence => {
            None
        }
    }
}

/// The part of the time budget that changed most in the direction of all: how much of how much, in ns of a request's mean.
fn grown(pair: &Pair) -> Option<(Verdict, f64, f64)> {
    let [before, now] = pair.parts?;
    let sign = if pair.rise > 0.0 { 1.0 } else { -1.0 };
    let parts = Verdict::ALL.iter().zip(before.iter().zip(now));
    let parts: Vec<_> = parts
        .map(|(&part, (a, b))| (part, (b - a) * sign))
        .collect();
    let all: f64 = parts.iter().map(|(_, ns)| ns).sum();
    let (part, ns) = parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (all > 0.0 && ns > 0.0).then_some((part, ns, all))
}
