//! What is compared: of each server, protocol and operation that is there before and now, one pair for each metric. Not
//! whether it differs by more than chance (`judge`), and not what is told of that (the module above).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::coarse::Coarse;
use super::judge::{self, Judged, Sample, Unit};
use super::period::{Operation, Paths, Period, Requests, Server};
use super::spread::{Cell, Spread, width_for};
use crate::record::{Metric, Protocol, Units, Verdict};
use crate::time::{SECOND, Span};
use crate::view::{Histogram, ServerKey};

/// The same of before and now.
pub(super) type Both<T> = [T; 2];

/// One thing that is compared.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub metric: Metric,
    pub server: ServerKey,
    pub protocol: Option<Protocol>,
    pub operation: Option<Arc<str>>,
    /// Requests, attempts, segments, connections.
    pub counts: Both<u64>,
    pub connections: Both<u64>,
    pub hits: Option<Both<u64>>,
    pub p50: Option<Both<Span>>,
    pub p95: Option<Both<Span>>,
    /// Seconds, shares, or things in a second.
    pub means: Both<f64>,
    /// Above zero: more now. Of times the probability that one now is longer than one before, less a half.
    pub rise: f64,
    pub judged: Option<Judged>,
    /// Mean time in each part of the budget, in ns.
    pub parts: Option<Both<[f64; Verdict::ALL.len()]>>,
    samples: Both<Sample>,
    times: Option<Coarse>,
}

/// All pairs, by server, protocol and operation.
pub(super) fn all(before: &Period, now: &Period) -> Vec<Pair> {
    let (mut before, mut now) = (before.clone(), now.clone());
    [&mut before, &mut now].into_iter().for_each(widen);
    let sides = [&before, &now];
    let mut pairs = Vec::new();
    let keys: BTreeSet<_> = sides.iter().flat_map(|it| it.operations.keys()).collect();
    for key @ &(server, protocol) in keys {
        match sides.map(|it| it.operations.get(key)) {
            [Some(earlier), Some(later)] => {
                let names: BTreeSet<_> = earlier.keys().chain(later.keys()).collect();
                if names.len() > 1 {
                    let together = [earlier, later].map(|operations| {
                        let mut all = Operation::default();
                        operations.values().for_each(|one| all.merge(one));
                        all
                    });
                    let both = [&together[0], &together[1]];
                    requests(&mut pairs, sides, server, protocol, None, both);
                }
                for name in names {
                    let operation = Some(Arc::from(&**name));
                    match [earlier.get(name), later.get(name)] {
                        [Some(a), Some(b)] => {
                            requests(&mut pairs, sides, server, protocol, operation, [a, b]);
                        }
                        both => {
                            let spreads = both.map(|side| side.map(|it| &it.spread));
                            let pair = presence(sides, server, spreads, |cell| cell.all);
                            pairs.push(Pair {
                                protocol: Some(protocol),
                                operation,
                                ..pair
                            });
                        }
                    }
                }
            }
            both => {
                let together = both.map(|operations| {
                    let mut all = Operation::default();
                    operations
                        .into_iter()
                        .flat_map(|it| it.values())
                        .for_each(|one| all.merge(one));
                    operations.map(|_| all)
                });
                let spreads =
                    [&together[0], &together[1]].map(|side| side.as_ref().map(|it| &it.spread));
                let pair = presence(sides, server, spreads, |cell| cell.all);
                pairs.push(Pair {
                    protocol: Some(protocol),
                    ..pair
                });
            }
        }
    }
    let keys: BTreeSet<_> = sides.iter().flat_map(|it| it.servers.keys()).collect();
    for &key in keys {
        match sides.map(|it| it.servers.get(&key)) {
            [Some(a), Some(b)] => paths(&mut pairs, key, [a, b]),
            both => {
                let asked = |side: &Period| {
                    let mut keys = side.operations.keys();
                    keys.any(|(server, _)| *server == key)
                };
                // Its requests tell already.
                if !sides.iter().any(|side| asked(side)) {
                    let spreads = both.map(|side| side.map(|it| &it.spread));
                    let count = |cell: &Paths| cell.attempts.max(u64::from(cell.segments > 0));
                    pairs.push(presence(sides, key, spreads, count));
                }
            }
        }
    }
    pairs
}

/// Slices of all groups as wide as the whole period needs: what lasted shortly is one event.
fn widen(period: &mut Period) {
    let (first, last) = (period.spans.first(), period.spans.last());
    let whole = first
        .zip(last)
        .and_then(|(first, last)| last.1.since(first.0));
    let width = width_for(whole.map_or(0, Span::ns));
    for operation in period
        .operations
        .values_mut()
        .flat_map(|it| it.values_mut())
    {
        operation.spread.widen_to(width);
    }
    for server in period.servers.values_mut() {
        server.spread.widen_to(width);
    }
}

fn requests(
    pairs: &mut Vec<Pair>,
    sides: Both<&Period>,
    server: ServerKey,
    protocol: Protocol,
    operation: Option<Arc<str>>,
    both: Both<&Operation>,
) {
    let spreads = both.map(|it| &it.spread);
    let of = |pair: Option<Pair>| {
        pair.map(|pair| Pair {
            protocol: Some(protocol),
            operation: operation.clone(),
            ..pair
        })
    };
    let histograms = both.map(|it| &it.latency);
    let latency = times(
        Metric::Latency,
        server,
        spreads,
        |cell| &cell.latency,
        histograms,
    );
    let latency = latency.map(|pair| {
        let parts = both.map(Operation::parts);
        Pair {
            parts: parts[0].zip(parts[1]).map(|(a, b)| [a, b]),
            ..pair
        }
    });
    pairs.extend(of(latency));
    pairs.extend(of(tail(server, spreads)));
    let errors = shares(Metric::Errors, server, spreads, |cell: &Requests| {
        (cell.errors, cell.decided)
    });
    pairs.extend(of(errors));
    let unanswered = |cell: &Requests| (cell.unanswered, cell.decided);
    pairs.extend(of(shares(Metric::Unanswered, server, spreads, unanswered)));
    pairs.extend(of(rate(sides, server, spreads)));
}

fn paths(pairs: &mut Vec<Pair>, key: ServerKey, both: Both<&Server>) {
    let spreads = both.map(|it| &it.spread);
    let failed = |cell: &Paths| (cell.failed, cell.attempts);
    pairs.extend(shares(Metric::FailedConnects, key, spreads, failed));
    let histograms = both.map(|it| &it.connect);
    pairs.extend(times(
        Metric::ConnectTime,
        key,
        spreads,
        |cell| &cell.connect,
        histograms,
    ));
    let lost = |cell: &Paths| (cell.lost, cell.segments);
    pairs.extend(shares(Metric::Loss, key, spreads, lost));
    let histograms = both.map(|it| &it.server_rtt);
    pairs.extend(times(
        Metric::ServerRtt,
        key,
        spreads,
        |cell| &cell.server_rtt,
        histograms,
    ));
    let histograms = both.map(|it| &it.client_rtt);
    pairs.extend(times(
        Metric::ClientRtt,
        key,
        spreads,
        |cell| &cell.client_rtt,
        histograms,
    ));
}

impl Pair {
    fn new(metric: Metric, server: ServerKey, samples: Both<Sample>) -> Pair {
        Pair {
            metric,
            server,
            protocol: None,
            operation: None,
            counts: [0; 2],
            connections: [0; 2],
            hits: None,
            p50: None,
            p95: None,
            means: [0.0; 2],
            rise: 0.0,
            judged: None,
            parts: None,
            samples,
            times: None,
        }
    }

    /// Now to before: of medians, of shares, of rates.
    pub(super) fn ratio(&self) -> Option<f64> {
        let [before, now] = match self.p50 {
            Some(both) => both.map(|span| span.ns() as f64),
            None => self.means,
        };
        (before > 0.0).then(|| now / before)
    }

    /// To how many times what it was before something must rise to be seen at this level in four of five cases; of shares
    /// that were zero the share itself.
    pub(super) fn detectable(&self, level: f64) -> Option<f64> {
        self.judged?;
        let [before, now] = &self.samples;
        match self.metric {
            Metric::Latency | Metric::ConnectTime | Metric::ServerRtt | Metric::ClientRtt => {
                let by = judge::detectable(before, now, level)?;
                let times = self.times.as_ref()?;
                let ratios = [1.05, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0, 10.0];
                ratios.into_iter().find(|&ratio| {
                    let places = Places::of(times);
                    places.mean(&times.scaled(ratio)) - 0.5 >= by
                })
            }
            Metric::SlowShare
            | Metric::Errors
            | Metric::Unanswered
            | Metric::FailedConnects
            | Metric::Loss => {
                let share = judge::detectable_share(before, now, level)?;
                Some(if self.means[0] > 0.0 {
                    share / self.means[0]
                } else {
                    share
                })
            }
            Metric::RequestRate => {
                let by = judge::detectable(before, now, level)?;
                (self.means[0] > 0.0).then(|| 1.0 + by / self.means[0])
            }
            Metric::Presence => None,
        }
    }
}

/// The units of a spread, as `of` tells weight and score of each.
fn sample<C: Cell>(spread: &Spread<C>, of: impl Fn(&C) -> Unit) -> Sample {
    let is_some = |unit: &Unit| unit.weight > 0.0;
    Sample {
        connections: spread.connections().map(&of).filter(is_some).collect(),
        slices: spread
            .slices()
            .map(|(_, cell)| of(cell))
            .filter(is_some)
            .collect(),
        are_places: false,
    }
}

/// Compares how long something takes: the probability that one now is longer than one before.
fn times<C: Cell>(
    metric: Metric,
    server: ServerKey,
    spreads: Both<&Spread<C>>,
    of: fn(&C) -> &Coarse,
    histograms: Both<&Histogram>,
) -> Option<Pair> {
    let both = spreads.map(|spread| {
        let mut all = Coarse::default();
        spread.connections().for_each(|cell| all.merge(of(cell)));
        all
    });
    let counts = [both[0].count(), both[1].count()];
    if counts.contains(&0) {
        return None;
    }
    let places = [Places::of(&both[1]), Places::of(&both[0])];
    let side = |at: usize| Sample {
        are_places: true,
        ..sample(spreads[at], |cell| Unit {
            weight: of(cell).count() as f64,
            score: places[at].sum(of(cell)),
        })
    };
    let samples = [side(0), side(1)];
    let quantiles = |per_mille| {
        let [a, b] = histograms.map(|it| it.quantile(per_mille));
        a.zip(b).map(|(a, b)| [a, b])
    };
    Some(Pair {
        counts,
        connections: spreads.map(|it| it.connections_known().0),
        p50: quantiles(500),
        p95: quantiles(950),
        means: histograms.map(|it| it.mean().map_or(0.0, |mean| mean.ns() as f64 / 1e9)),
        rise: places[1].mean(&both[1]) - 0.5,
        judged: judge::means(&samples[0], &samples[1]),
        times: Some(both[0].clone()),
        ..Pair::new(metric, server, samples)
    })
}

/// How many were longer than 95 % of all of both.
fn tail(server: ServerKey, spreads: Both<&Spread<Requests>>) -> Option<Pair> {
    let mut all = Coarse::default();
    for spread in spreads {
        spread
            .connections()
            .for_each(|cell| all.merge(&cell.latency));
    }
    let edge = all.quantile_bucket(950)?;
    let pair = shares(Metric::SlowShare, server, spreads, |cell| {
        (cell.latency.above(edge), cell.latency.count())
    });
    pair.filter(|pair| pair.counts.iter().all(|&count| count >= LEAST_TAIL))
}

/// Requests of either side below which 5 % of them are no number.
const LEAST_TAIL: u64 = 100;

/// Compares shares: `of` tells hits, and of how many.
fn shares<C: Cell>(
    metric: Metric,
    server: ServerKey,
    spreads: Both<&Spread<C>>,
    of: impl Fn(&C) -> (u64, u64),
) -> Option<Pair> {
    let unit = |cell: &C| {
        let (hits, all) = of(cell);
        Unit {
            weight: all as f64,
            score: hits as f64,
        }
    };
    let sums = spreads.map(|spread| {
        let cells = spread.connections().map(&of);
        cells.fold((0, 0), |(hits, all), (h, n)| (hits + h, all + n))
    });
    let [(a, before), (b, now)] = sums;
    // What never happens is no question.
    if before == 0 || now == 0 {
        return None;
    }
    let samples = spreads.map(|spread| sample(spread, unit));
    let means = sums.map(|(hits, all)| hits as f64 / all as f64);
    let judged = judge::shares(&samples[0], &samples[1]);
    Some(Pair {
        counts: [before, now],
        connections: spreads.map(|it| it.connections_known().0),
        hits: Some([a, b]),
        means,
        rise: means[1] - means[0],
        judged,
        ..Pair::new(metric, server, samples)
    })
}

/// Compares how many requests there are in a second: by slices of time alone.
fn rate(sides: Both<&Period>, server: ServerKey, spreads: Both<&Spread<Requests>>) -> Option<Pair> {
    let samples = [0, 1].map(|at| Sample {
        slices: seconds(sides[at], spreads[at]),
        ..Sample::default()
    });
    let sums = [&samples[0], &samples[1]].map(|sample| {
        let units = sample.slices.iter();
        units.fold((0.0, 0.0), |(w, s), unit| (w + unit.weight, s + unit.score))
    });
    if sums.iter().any(|&(seconds, _)| seconds <= 0.0) {
        return None;
    }
    let means = sums.map(|(seconds, count)| count / seconds);
    Some(Pair {
        counts: spreads.map(|it| it.all().all),
        connections: spreads.map(|it| it.connections_known().0),
        means,
        rise: means[1] - means[0],
        judged: judge::means(&samples[0], &samples[1]),
        ..Pair::new(Metric::RequestRate, server, samples)
    })
}

/// Slices of the time that was observed: seconds, and what began in them.
fn seconds(period: &Period, spread: &Spread<Requests>) -> Vec<Unit> {
    let mut units: Vec<(i64, Unit)> = Vec::new();
    for &(from, to) in &period.spans {
        for (begin, end) in spread.grid(from, to) {
            let overlap = to.0.min(end.0).saturating_sub(from.0.max(begin.0));
            let weight = overlap.max(0) as f64 / SECOND as f64;
            match units.last_mut() {
                // What is before and after a baseline may meet in one slice.
                Some((last, unit)) if *last == begin.0 => unit.weight += weight,
                _ => {
                    let score = spread.slice(begin).map_or(0, |cell| cell.all) as f64;
                    units.push((begin.0, Unit { weight, score }));
                }
            }
        }
    }
    units
        .into_iter()
        .map(|(_, unit)| unit)
        .filter(|unit| unit.weight > 0.0)
        .collect()
}

/// What is there before or now only: how likely that is if it comes as often as ever. Connections, or slices of time if these
/// are fewer, are taken for independent.
fn presence<C: Cell>(
    sides: Both<&Period>,
    server: ServerKey,
    both: Both<Option<&Spread<C>>>,
    count: impl Fn(&C) -> u64,
) -> Pair {
    let observed = sides.map(|side| side.observed().ns() as f64);
    let at = usize::from(both[1].is_some());
    let counts = both.map(|it| it.map_or(0, |it| it.connections().map(&count).sum()));
    let connections = both.map(|it| it.map_or(0, |it| it.connections_known().0));
    let events = connections[at].min(both[at].map_or(0, |it| it.slices().count() as u64));
    let share = observed[at] / (observed[0] + observed[1]);
    let p = (2.0 * share.powf(events as f64)).min(1.0);
    Pair {
        counts,
        connections,
        rise: if at == 1 { 1.0 } else { -1.0 },
        judged: (observed[0] > 0.0 && observed[1] > 0.0).then_some(Judged {
            p,
            units: Units::Both,
        }),
        ..Pair::new(Metric::Presence, server, Both::default())
    }
}

/// Where a duration stands among those of the other side: the share that is shorter, and half of what is as long.
struct Places {
    places: Vec<(u16, f64, f64)>,
}

impl Places {
    fn of(other: &Coarse) -> Places {
        let all = other.count() as f64;
        let mut below = 0.0;
        let places = other.buckets().map(|(bucket, n)| {
            let n = n as f64 / all;
            let place = (bucket, below + n / 2.0, below + n);
            below += n;
            place
        });
        Places {
            places: places.collect(),
        }
    }

    fn at(&self, bucket: u16) -> f64 {
        match self.places.binary_search_by_key(&bucket, |it| it.0) {
            Ok(at) => self.places[at].1,
            Err(0) => 0.0,
            Err(at) => self.places[at - 1].2,
        }
    }

    fn sum(&self, of: &Coarse) -> f64 {
        of.buckets()
            .map(|(bucket, n)| n as f64 * self.at(bucket))
            .sum()
    }

    fn mean(&self, of: &Coarse) -> f64 {
        self.sum(of) / of.count() as f64
    }
}
