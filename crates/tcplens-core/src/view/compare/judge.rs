//! Whether two averages differ by more than chance makes them differ, where what is averaged comes in units (connections, or
//! slices of time) within which things resemble each other. Not what is averaged: see `pairs`. Why so: docs/report.md.
//!
//! Means of ratios with the variance between units (Cochran, Sampling Techniques, section 6.3); Welch's t with the degrees of
//! freedom of Welch and Satterthwaite; units of unequal weight count as fewer (Kish 1965), slices that resemble their
//! neighbours too. Of latencies what is averaged is the share of the other side's that is shorter: then this is Brunner and
//! Munzel's test (2000), the Mann-Whitney test for distributions of different width, by units as Obuchowski (1997) does.

use crate::record::Units;
use crate::view::numerics::{fisher, ln_choose, t_quantile, t_two_sided};

/// Units below which nothing is said by them: of connections, and of time, where neighbours have to be compared.
const LEAST: [f64; 2] = [5.0, 6.0];

/// Of five changes that large, four are seen.
const MISSED: f64 = 0.2;

/// Expected hits below which the exact test is used: the usual rule for tables of two by two (Cochran 1954).
const LEAST_EXPECTED: f64 = 5.0;

/// The same of one unit: how much of something, and the sum of what is averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Unit {
    /// Requests, segments, seconds.
    pub weight: f64,
    /// Of them all: shares, hits, requests.
    pub score: f64,
}

/// One side of a comparison, by its units.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// By connection; empty where that makes no sense.
    pub connections: Vec<Unit>,
    /// By slices of time, ascending.
    pub slices: Vec<Unit>,
    /// The scores are places among those of the other side: what one side gains the other loses, so that the difference of
    /// the means counts half.
    pub are_places: bool,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    /// The probability of a difference at least as large where there is none.
    pub p: f64,
    /// What was taken for independent: where both were, the more cautious answer.
    pub units: Units,
}

/// A difference of means and how well it is known.
#[derive(Clone, Copy, Debug)]
struct Difference {
    /// Now less before.
    mean: f64,
    variance: f64,
    df: f64,
    /// Units, before and now; where these are unequal, fewer.
    units: [f64; 2],
    which: Units,
}

/// Judges whether the mean differs.
pub(super) fn means(before: &Sample, now: &Sample) -> Option<Judged> {
    let differences = differences(before, now);
    strictest(differences.map(|it| (it.p(), it.which)))
}

/// Judges whether the share of hits differs: scores are hits, weights what may be hit.
pub(super) fn shares(before: &Sample, now: &Sample) -> Option<Judged> {
    let all = differences(before, now);
    strictest(all.map(|it| {
        let [before, now] = [before, now].map(|side| side.by(it.which));
        let table = Table::of(before, now);
        let p = if it.variance <= 0.0 || table.is_small() {
            table.p()
        } else {
            it.p()
        };
        (p, it.which)
    }))
}

/// By how much the mean must differ to be seen at this level in four of five cases.
pub(super) fn detectable(before: &Sample, now: &Sample, level: f64) -> Option<f64> {
    let all = differences(before, now);
    let each = all.map(|it| {
        let t = t_quantile(level, it.df) + t_quantile(2.0 * MISSED, it.df);
        // No p is below that of the permutations, so at a level below them nothing is seen.
        if it.least_p() > level {
            f64::INFINITY
        } else {
            t * it.variance.sqrt()
        }
    });
    each.reduce(f64::max).filter(|by| by.is_finite())
}

/// The least share now that would be seen at this level, all else as it is.
pub(super) fn detectable_share(before: &Sample, now: &Sample, level: f64) -> Option<f64> {
    let all = differences(before, now);
    let each = all.map(|it| {
        let [earlier, later] = [before, now].map(|side| side.by(it.which));
        let table = Table::of(earlier, later);
        if it.variance <= 0.0 || table.is_small() {
            return table.least_share(level);
        }
        let t = t_quantile(level, it.df) + t_quantile(2.0 * MISSED, it.df);
        let share = mean(earlier).unwrap_or(0.0) + t * it.variance.sqrt();
        Some(share).filter(|&share| share <= 1.0 && it.least_p() <= level)
    });
    each.reduce(|a, b| Some(a?.max(b?))).flatten()
}

impl Sample {
    fn by(&self, units: Units) -> &[Unit] {
        match units {
            Units::Connections => &self.connections,
            Units::Time | Units::Both => &self.slices,
        }
    }
}

/// By connections and by time, as far as there are enough of both sides.
fn differences(before: &Sample, now: &Sample) -> impl Iterator<Item = Difference> {
    let scale = if before.are_places { 0.5 } else { 1.0 };
    let of = move |which| {
        let it = difference(before.by(which), now.by(which), which)?;
        Some(Difference {
            mean: it.mean * scale,
            ..it
        })
    };
    [Units::Connections, Units::Time].into_iter().filter_map(of)
}

/// The larger probability counts.
fn strictest(all: impl Iterator<Item = (f64, Units)>) -> Option<Judged> {
    all.fold(
        None,
        |strictest: Option<Judged>, (p, units)| match strictest {
            Some(it) => Some(Judged {
                p: it.p.max(p),
                units: Units::Both,
            }),
            None => Some(Judged { p, units }),
        },
    )
}

impl Difference {
    fn p(&self) -> f64 {
        let t = match self.variance > 0.0 {
            true => self.mean / self.variance.sqrt(),
            false if self.mean == 0.0 => 0.0,
            false => f64::INFINITY,
        };
        t_two_sided(t, self.df).max(self.least_p())
    }

    /// No test that puts units on either side in all ways says less than this, and t, which takes means for normal, would with
    /// few units.
    fn least_p(&self) -> f64 {
        // Effective numbers of units are small.
        let [before, now] = self.units.map(|n| n.floor() as u64);
        (2.0 * (-ln_choose(before + now, before)).exp()).min(1.0)
    }
}

fn mean(units: &[Unit]) -> Option<f64> {
    let (weight, score) = sums(units);
    (weight > 0.0).then(|| score / weight)
}

fn sums(units: &[Unit]) -> (f64, f64) {
    let all = units.iter();
    all.fold((0.0, 0.0), |(w, s), unit| (w + unit.weight, s + unit.score))
}

fn difference(before: &[Unit], now: &[Unit], which: Units) -> Option<Difference> {
    let [before, now] = [before, now].map(|units| average(units, which));
    let (before, now) = (before?, now?);
    let variance = before.variance + now.variance;
    let terms = [before, now].map(|it| it.variance * it.variance / it.df);
    let sum: f64 = terms.iter().sum();
    let df = if sum > 0.0 {
        variance * variance / sum
    } else {
        before.df.min(now.df)
    };
    Some(Difference {
        mean: now.mean - before.mean,
        variance,
        df,
        units: [before.units, now.units],
        which,
    })
}

#[derive(Clone, Copy)]
struct Average {
    mean: f64,
    variance: f64,
    df: f64,
    units: f64,
}

fn average(units: &[Unit], which: Units) -> Option<Average> {
    let mean = mean(units)?;
    let (weight, _) = sums(units);
    let squares: f64 = units.iter().map(|unit| unit.weight * unit.weight).sum();
    let units_alike = weight * weight / squares;
    let mut effective = units_alike;
    let is_time = which != Units::Connections;
    if effective < LEAST[usize::from(is_time)] {
        return None;
    }
    let residuals: Vec<f64> = units.iter().map(|it| it.score - it.weight * mean).collect();
    let sum: f64 = residuals.iter().map(|r| r * r).sum();
    let mut variance = effective / (effective - 1.0) * sum / (weight * weight);
    if is_time && sum > 0.0 {
        let pairs = residuals.windows(2).map(|pair| pair[0] * pair[1]);
        // What is estimated is too low by about one over the number of slices (Kendall 1954).
        let resemblance = (pairs.sum::<f64>() / sum + 1.0 / effective).clamp(0.0, 0.9);
        let inflation = (1.0 + resemblance) / (1.0 - resemblance);
        variance *= inflation;
        effective = (effective / inflation).max(2.0);
    }
    Some(Average {
        mean,
        variance,
        df: effective - 1.0,
        units: units_alike,
    })
}

/// Hits and what may be hit, each as few as they would be if the hits of a unit were one (Rao and Scott 1992).
#[derive(Clone, Copy, Debug)]
struct Table {
    hits: [u64; 2],
    of: [u64; 2],
}

impl Table {
    fn of(before: &[Unit], now: &[Unit]) -> Table {
        let both = [before, now];
        let units = both.map(|units| units.iter().filter(|unit| unit.score > 0.0).count() as u64);
        let hits: f64 = both.iter().map(|units| sums(units).1).sum();
        let effect = (hits / (units[0] + units[1]).max(1) as f64).max(1.0);
        let of = both.map(|units| (sums(units).0 / effect).round() as u64);
        Table {
            hits: [units[0].min(of[0]), units[1].min(of[1])],
            of,
        }
    }

    fn is_small(self) -> bool {
        let all = (self.of[0] + self.of[1]).max(1) as f64;
        let share = (self.hits[0] + self.hits[1]) as f64 / all;
        let least = self.of[0].min(self.of[1]) as f64;
        least * share.min(1.0 - share) < LEAST_EXPECTED
    }

    fn p(self) -> f64 {
        fisher(self.hits, self.of)
    }

    /// Hits are at most twice the units: what needs more is not looked for.
    fn least_share(self, level: f64) -> Option<f64> {
        let mut hits = (self.hits[0]..=self.of[1]).take(200);
        let enough = hits.find(|&now| {
            let more = now as f64 / self.of[1] as f64 > self.hits[0] as f64 / self.of[0] as f64;
            more && fisher([self.hits[0], now], self.of) <= level
        });
        enough.map(|now| now as f64 / self.of[1] as f64)
    }
}

/// Which of `p` are below `level` when as many were looked at: the chance that any of these is chance is at most `level`
/// (Holm 1979). In the order given: each p as it is after the correction.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max((p[at] * (p.len() - rank) as f64).min(1.0));
        corrected[at] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(scores: &[f64], weight: f64) -> Vec<Unit> {
        let unit = |&score: &f64| Unit { weight, score };
        scores.iter().map(unit).collect()
    }

    fn by_connection(scores: &[f64], weight: f64) -> Sample {
        Sample {
            connections: units(scores, weight),
            ..Sample::default()
        }
    }

    fn by_time(scores: impl IntoIterator<Item = f64>) -> Sample {
        Sample {
            slices: units(&scores.into_iter().collect::<Vec<_>>(), 1.0),
            ..Sample::default()
        }
    }

    /// scipy.stats.ttest_ind(a, b, equal_var=False).pvalue
    #[test]
    fn of_units_alike_it_is_welchs_test() {
        let a = [3.1, 2.7, 4.2, 3.3, 2.9, 3.8, 3.0, 2.2];
        let b = [4.4, 5.1, 3.9, 4.0, 6.2, 4.8, 5.5, 3.6, 4.9];
        let judged = means(&by_connection(&a, 1.0), &by_connection(&b, 1.0)).unwrap();
        assert!(
            (judged.p - 0.000_542_520_963_578_555_1).abs() < 1e-12,
            "{judged:?}"
        );
        assert_eq!(judged.units, Units::Connections);
    }

    /// scipy.stats.brunnermunzel(x, y).pvalue
    #[test]
    fn of_places_of_single_values_it_is_brunner_and_munzels_test() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 12.0];
        let y = [
            4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 13.0, 14.0, 15.0, 3.0,
        ];
        let places = |of: &[f64], among: &[f64]| -> Sample {
            let place = |v: &f64| {
                let below = among.iter().filter(|&other| other < v).count() as f64;
                let alike = among.iter().filter(|&other| other == v).count() as f64;
                (below + alike / 2.0) / among.len() as f64
            };
            Sample {
                are_places: true,
                ..by_connection(&of.iter().map(place).collect::<Vec<_>>(), 1.0)
            }
        };
        let p = means(&places(&x, &y), &places(&y, &x)).unwrap().p;
        assert!((p - 0.060_503_152_948_287_314).abs() < 1e-9, "{p}");
    }

    #[test]
    fn few_or_unequal_units_say_nothing() {
        let few = by_connection(&[1.0, 2.0, 3.0, 4.0], 1.0);
        let many = by_connection(&[1.0; 20], 1.0);
        assert_eq!(means(&few, &many), None);
        let mut one_of_all = many.clone();
        one_of_all.connections[0].weight = 1000.0;
        assert_eq!(means(&one_of_all, &many), None);
    }

    #[test]
    fn no_p_is_below_that_of_the_permutations_of_units() {
        let (zeros, ones) = (by_connection(&[0.0; 6], 1.0), by_connection(&[1.0; 6], 1.0));
        let p = means(&zeros, &ones).unwrap().p;
        assert!((p - 2.0 / 924.0).abs() < 1e-9, "{p}");
        assert_eq!(means(&zeros, &zeros).unwrap().p, 1.0);
    }

    #[test]
    fn slices_that_resemble_their_neighbours_count_as_fewer() {
        let p = |of: fn(i32) -> f64| {
            let before = by_time((0..32).map(of));
            let now = by_time((0..32).map(|n| of(n) + 0.4));
            means(&before, &now).unwrap().p
        };
        assert!(p(|n| f64::from(n % 2)) < 0.01);
        assert!(p(|n| f64::from(n / 16)) > 0.3);
    }

    #[test]
    fn small_counts_are_judged_exactly_and_a_burst_is_one_event() {
        let attempts = |hits: &[f64], weight: f64| by_connection(hits, weight);
        // 0 of 500 before, 17 of 17 now, each in a unit of its own.
        let p = shares(
            &attempts(&[0.0; 32], 500.0 / 32.0),
            &attempts(&[1.0; 17], 1.0),
        );
        assert!(p.unwrap().p < 1e-12);
        // 500 of 2,000 in one unit of 32.
        let mut burst = vec![0.0; 32];
        burst[7] = 500.0;
        let weight = 2000.0 / 32.0;
        let p = shares(&attempts(&[0.0; 32], weight), &attempts(&burst, weight));
        assert!(p.unwrap().p > 0.4);
    }

    #[test]
    fn what_would_be_seen_is_seen() {
        let scores = |by: f64| -> Sample {
            let all = (0..30).map(|n| f64::from(n * 7 % 10) / 10.0 + by);
            by_connection(&all.collect::<Vec<_>>(), 1.0)
        };
        let by = detectable(&scores(0.0), &scores(0.0), 0.01).unwrap();
        assert!(means(&scores(0.0), &scores(by)).unwrap().p < 0.01, "{by}");
        assert!(means(&scores(0.0), &scores(by / 3.0)).unwrap().p > 0.01);
        let none = by_connection(&[0.0; 30], 100.0);
        let share = detectable_share(&none, &none, 0.01).unwrap();
        assert!((0.001..0.01).contains(&share), "{share}");
    }

    #[test]
    fn many_comparisons_are_corrected_as_holm_does() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.9, 0.001, 0.9]), [1.0, 0.003, 1.0]);
        assert_eq!(holm(&[]), [0.0; 0]);
    }
}
