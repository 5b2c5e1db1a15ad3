//! Durations in buckets that grow exponentially, each by the same factor: OpenTelemetry's ExponentialHistogram
//! (<https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>), Prometheus' native histograms. Its
//! edges are the same everywhere, so that back ends can add up those of many hosts. Not [`Histogram`](crate::view::Histogram),
//! which is finer and ours alone.
//!
//! Bucket `i` at scale `s` has what is above `b^i` and at most `b^(i+1)` seconds, with `b = 2^(2^-s)`. So each duration is
//! within `sqrt(b)` of the (geometric) middle of its bucket. At most [`MOST_BUCKETS`] are kept; where durations lie further
//! apart, two become one, which is exact: the edges of a scale are among those of the next. The error of a quantile follows
//! from how far the longest and the shortest lie apart:
//!
//! | scale | longest / shortest up to | error of a quantile |
//! |---|---|---|
//! | 6 | 5.6 | 0.54 % |
//! | 5 | 32 | 1.1 % |
//! | 4 | 1,024 | 2.2 % |
//! | 3 | 1,000,000 | 4.4 % |
//! | 2 | more | 9.1 % |
//!
//! Why durations are counted here, and not taken over from a `Histogram`: an exponential edge is irrational, unless it is a
//! power of two of a second; that is `5^9 * 2^n` ns, an odd number of 21 bits times a power of two, while the edges there have
//! 7 leading bits. So above 128 ns no edge of either is one of the other, at no scale; what lies in a bucket that such an edge
//! cuts would be counted on one side of it, which adds its 0.8 % to the error.

use crate::time::Span;

/// Most buckets of one histogram. Chosen: the default of OpenTelemetry's SDKs, which back ends expect.
pub const MOST_BUCKETS: usize = 160;

/// The scale that a histogram begins with. Chosen: its error is below that of our own histograms.
const FINEST: u8 = 6;

/// How many durations lie in each bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exponential {
    /// How often two buckets became one: the scale is `FINEST` less that.
    coarser: u8,
    /// The lowest bucket that is kept.
    first: i32,
    /// From there on; neither the first nor the last was empty when it was added.
    counts: Vec<u64>,
    zeros: u64,
    count: u64,
    sum_ns: u128,
    range: Option<(Span, Span)>,
}

impl Exponential {
    /// Counts one duration.
    pub fn add(&mut self, span: Span) {
        self.count += 1;
        self.sum_ns += u128::from(span.ns());
        self.range = Some(match self.range {
            Some((min, max)) => (min.min(span), max.max(span)),
            None => (span, span),
        });
        let Some(finest) = finest(span) else {
            self.zeros += 1;
            return;
        };
        let index = self.room_for(finest);
        if let Some(count) = self.counts.get_mut(index) {
            *count += 1;
        }
    }

    /// 6 at most; less by one halves the number of buckets.
    #[must_use]
    pub fn scale(&self) -> i32 {
        i32::from(FINEST) - i32::from(self.coarser)
    }

    /// The index of the first bucket, and how many durations lie in it and each that follows. At most [`MOST_BUCKETS`].
    #[must_use]
    pub fn buckets(&self) -> (i32, &[u64]) {
        (self.first, &self.counts)
    }

    /// Durations of nothing at all, which are in no bucket.
    #[must_use]
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together, in ns.
    #[must_use]
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// The shortest and the longest, exact.
    #[must_use]
    pub fn range(&self) -> Option<(Span, Span)> {
        self.range
    }

    /// Where the count of a bucket is kept; `finest` is its index at the finest scale.
    fn room_for(&mut self, finest: i32) -> usize {
        let mut index = finest >> self.coarser;
        if self.counts.is_empty() {
            self.first = index;
        }
        loop {
            let last = self.first.saturating_add(length(&self.counts)) - 1;
            let (low, high) = (self.first.min(index), last.max(index));
            if high - low < MOST {
                break;
            }
            self.halve();
            index >>= 1;
        }
        let missing = usize::try_from(self.first - index).unwrap_or(0);
        if missing > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = index;
        }
        let at = usize::try_from(index - self.first).unwrap_or(0);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        at
    }

    /// Two buckets become one.
    fn halve(&mut self) {
        let before = self.first;
        self.first >>= 1;
        let mut counts = Vec::with_capacity(self.counts.len() / 2 + 1);
        for (index, count) in (before..).zip(&self.counts) {
            let at = usize::try_from((index >> 1) - self.first).unwrap_or(0);
            counts.resize(at + 1, 0);
            counts[at] += count;
        }
        self.counts = counts;
        self.coarser += 1;
    }
}

const MOST: i32 = MOST_BUCKETS as i32;

/// At most [`MOST_BUCKETS`].
fn length(counts: &[u64]) -> i32 {
    i32::try_from(counts.len()).unwrap_or(MOST)
}

/// The bucket of a duration at the finest scale; `None` of no duration. Exact but for the last bit of a logarithm: what lies
/// within 1e-14 of an edge may be counted on its other side, as the data model allows.
fn finest(span: Span) -> Option<i32> {
    if span.ns() == 0 {
        return None;
    }
    let octaves = (span.ns() as f64 / 1e9).log2();
    // Between -30 and 35 octaves.
    Some((octaves * f64::from(1_u32 << FINEST)).ceil() as i32 - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::Histogram;

    fn of(values: &[u64]) -> Exponential {
        let mut all = Exponential::default();
        values.iter().for_each(|&ns| all.add(Span::from_ns(ns)));
        all
    }

    /// In ns, as a back end tells it: the middle of the bucket that has the rank.
    fn quantile(of: &Exponential, per_mille: u64) -> f64 {
        let rank = (of.count() * per_mille).div_ceil(1000).max(1);
        let mut below = of.zeros();
        let (first, counts) = of.buckets();
        for (index, count) in (first..).zip(counts) {
            if below >= rank {
                break;
            }
            below += count;
            if below >= rank {
                let octaves = (f64::from(index) + 0.5) / f64::from(of.scale()).exp2();
                return octaves.exp2() * 1e9;
            }
        }
        0.0
    }

    #[test]
    fn an_edge_belongs_to_the_bucket_below_it() {
        // Half a second is 2^-1: the upper edge of bucket -65 at scale 6.
        let half = of(&[500_000_000]);
        assert_eq!((half.scale(), half.buckets()), (6, (-65, &[1][..])));
        let beyond = of(&[500_000_001]);
        assert_eq!((beyond.scale(), beyond.buckets()), (6, (-64, &[1][..])));
        let second = of(&[1_000_000_000]);
        assert_eq!((second.scale(), second.buckets()), (6, (-1, &[1][..])));
    }

    #[test]
    fn nothing_is_in_no_bucket_and_counts_all_the_same() {
        let none = of(&[0, 0, 7]);
        assert_eq!((none.zeros(), none.count(), none.sum_ns()), (2, 3, 7));
        assert_eq!(none.buckets().1, [1]);
        assert_eq!(none.range(), Some((Span::from_ns(0), Span::from_ns(7))));
        assert_eq!(Exponential::default().buckets(), (0, &[][..]));
    }

    #[test]
    fn what_lies_far_apart_makes_buckets_coarser_and_never_more_than_allowed() {
        for (longest, scale) in [
            (5_000, 6),
            (30_000, 5),
            (1_000_000, 4),
            (900_000_000, 3),
            (600_000_000_000_000, 2),
        ] {
            let all = of(&[1_000, longest]);
            assert_eq!(all.scale(), scale, "{longest}");
            assert!(all.buckets().1.len() <= MOST_BUCKETS);
        }
    }

    proptest! {
        #[test]
        fn quantiles_agree_with_those_of_our_own_histogram_within_both_errors(
            values in prop::collection::vec((10..50_u32, any::<u64>()).prop_map(|(shift, ns)| (ns >> shift).max(1)), 1..300),
            per_mille in 0..1000_u64,
        ) {
            let all = of(&values);
            let mut ours = Histogram::default();
            values.iter().for_each(|&ns| ours.add(Span::from_ns(ns)));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = (values.len() as u64 * per_mille).div_ceil(1000).max(1) as usize;
            let exact = sorted[rank - 1] as f64;
            // Half a bucket, by the scale that the spread left.
            let error = (0.5 / f64::from(all.scale()).exp2()).exp2() * (1.0 + 1e-9);
            let told = quantile(&all, per_mille);
            prop_assert!(told <= exact * error && told >= exact / error, "{exact} {told} {error}");
            let ours = ours.quantile(per_mille).unwrap().ns() as f64;
            let both = error * (1.0 + 1.0 / 127.0);
            prop_assert!(told <= ours * both && told >= ours / both, "{ours} {told}");
            prop_assert_eq!(all.count(), all.zeros() + all.buckets().1.iter().sum::<u64>());
        }

        #[test]
        fn the_order_of_durations_changes_nothing(values in prop::collection::vec((0..64_u32, any::<u64>()).prop_map(|(shift, ns)| ns >> shift), 1..100)) {
            let mut reversed = values.clone();
            reversed.reverse();
            let (one, other) = (of(&values), of(&reversed));
            prop_assert_eq!(one.scale(), other.scale());
            let used = |of: &Exponential| -> Vec<(i32, u64)> {
                let (first, counts) = of.buckets();
                (first..).zip(counts.to_vec()).filter(|(_, n)| *n > 0).collect()
            };
            prop_assert_eq!(used(&one), used(&other));
        }
    }
}
