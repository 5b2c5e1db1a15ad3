//! Durations counted in log-linear buckets. Exactly mergeable: the histogram of two streams is the sum of theirs,
//! whatever the order. Not a list of samples: quantiles have the error stated at [`Histogram::quantile`].

use crate::time::Span;

/// Buckets per power of two, as a power of two. 2^6 buckets are 1/64 wide: half of that is the error.
const PRECISION: u32 = 6;

/// Most histograms that are looked at together. Chosen: as many as a row of `top` consists of.
const TOGETHER: usize = 6;

/// Adds up many histograms: each bucket has its place. 30 KB.
#[derive(Clone, Debug, Default)]
pub(super) struct HistogramSum {
    counts: Vec<u64>,
    count: u64,
    sum_ns: u128,
    min: Option<Span>,
    max: Option<Span>,
}

impl HistogramSum {
    /// Counts everything that `other` counted.
    pub(super) fn add(&mut self, other: &Histogram) {
        for &(bucket, count) in &other.buckets {
            let at = usize::from(bucket);
            if at >= self.counts.len() {
                self.counts.resize(at + 1, 0);
            }
            self.counts[at] += count;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.min = self.min.into_iter().chain(other.min).min();
        self.max = self.max.max(other.max);
    }

    /// The sum.
    pub(super) fn histogram(&self) -> Histogram {
        let used = self.counts.iter().zip(0_u16..).filter(|(n, _)| **n > 0);
        Histogram {
            buckets: used.map(|(count, bucket)| (bucket, *count)).collect(),
            hints: Hints::default(),
            count: self.count,
            sum_ns: self.sum_ns,
            min: self.min,
            max: self.max,
        }
    }
}

/// Where buckets were found last, by the lower bits of their number. What stands there may be another by now: whoever takes a
/// hint looks whether it is right. Not a part of what was counted.
#[derive(Clone, Debug, Default)]
struct Hints(Option<Box<[u16; HINTS]>>);

/// 16 powers of two; 2 KiB.
const HINTS: usize = 16 << PRECISION;

/// Buckets in use from which on there are hints. Chosen: a histogram that takes 4 KiB then may take 2 more, and a search among
/// fewer is nearly as quick.
const HINTS_FROM: usize = 256;

impl PartialEq for Hints {
    fn eq(&self, _: &Hints) -> bool {
        true
    }
}

impl Eq for Hints {}

/// How often durations of each size occurred. Only buckets in use are stored; there are at most 3,776 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bucket and count, ascending by bucket; no count is zero.
    buckets: Vec<(u16, u64)>,
    hints: Hints,
    count: u64,
    sum_ns: u128,
    min: Option<Span>,
    max: Option<Span>,
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, span: Span) {
        self.put(bucket_of(span.ns()), 1);
        self.count += 1;
        self.sum_ns += u128::from(span.ns());
        self.min = Some(self.min.map_or(span, |min| min.min(span)));
        self.max = Some(self.max.map_or(span, |max| max.max(span)));
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Histogram) {
        for &(bucket, count) in &other.buckets {
            self.put(bucket, count);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.min = self.min.into_iter().chain(other.min).min();
        self.max = self.max.max(other.max);
    }

    /// Takes away what `other` counted: it must have been counted here. Buckets, count and sum are those of the rest, exactly;
    /// its shortest and longest cannot be told from them: `rest` are the histograms that this one is then the sum of.
    pub fn subtract<'h>(
        &mut self,
        other: &Histogram,
        rest: impl IntoIterator<Item = &'h Histogram>,
    ) {
        let mut taken = other.buckets.iter().peekable();
        self.buckets.retain_mut(|(bucket, count)| {
            if let Some((_, less)) = taken.next_if(|(other, _)| other == bucket) {
                debug_assert!(*less <= *count, "it was not counted here");
                *count = count.saturating_sub(*less);
            }
            *count > 0
        });
        debug_assert!(taken.next().is_none(), "it was not counted here");
        self.count = self.count.saturating_sub(other.count);
        self.sum_ns = self.sum_ns.saturating_sub(other.sum_ns);
        (self.min, self.max) = (None, None);
        for one in rest {
            self.min = self.min.into_iter().chain(one.min).min();
            self.max = self.max.max(one.max);
        }
    }

    /// Takes away one that was counted. The shortest and the longest of the rest are those of its buckets: exact below 128 ns.
    pub fn remove(&mut self, span: Span) {
        let bucket = bucket_of(span.ns());
        let found = self.buckets.binary_search_by_key(&bucket, |&(at, _)| at);
        let Ok(at) = found else {
            debug_assert!(false, "it was not counted here");
            return;
        };
        self.buckets[at].1 -= 1;
        if self.buckets[at].1 == 0 {
            self.buckets.remove(at);
        }
        self.count -= 1;
        self.sum_ns = self.sum_ns.saturating_sub(u128::from(span.ns()));
        let middle = |of: Option<&(u16, u64)>| of.map(|&(at, _)| Span::from_ns(middle_of(at)));
        (self.min, self.max) = (middle(self.buckets.first()), middle(self.buckets.last()));
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest, exact.
    #[must_use]
    pub fn min(&self) -> Option<Span> {
        self.min
    }

    /// The longest, exact.
    #[must_use]
    pub fn max(&self) -> Option<Span> {
        self.max
    }

    /// All of them together, in ns.
    #[must_use]
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// The mean, exact but for the fraction of a nanosecond.
    #[must_use]
    pub fn mean(&self) -> Option<Span> {
        let mean = self.sum_ns.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok().map(Span::from_ns)
    }

    /// The smallest duration that at least `per_mille` of a thousand do not exceed (nearest rank), within 1/128 (0.8 %)
    /// of the true one and exact below 64 ns. 500 is the median; 1000 is the longest, exact.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<Span> {
        let (min, max) = (self.min?, self.max?);
        let rank = (u128::from(self.count) * u128::from(per_mille))
            .div_ceil(1000)
            .max(1);
        if rank >= u128::from(self.count) {
            return Some(max);
        }
        let mut below = 0;
        for &(bucket, count) in &self.buckets {
            below += u128::from(count);
            if below >= rank {
                return Some(Span::from_ns(middle_of(bucket)).clamp(min, max));
            }
        }
        Some(max)
    }

    /// [`quantile`](Self::quantile) of all of them together, without adding them up; of [`TOGETHER`] at most.
    #[must_use]
    pub(super) fn quantile_of<'h>(
        all: impl Iterator<Item = &'h Histogram>,
        per_mille: u64,
    ) -> Option<Span> {
        let (mut parts, mut used) = ([&[][..]; TOGETHER], 0);
        let (mut count, mut min, mut max) = (0_u64, None, None);
        for one in all.filter(|one| one.count > 0) {
            let part: Option<&mut &[(u16, u64)]> = parts.get_mut(used);
            debug_assert!(part.is_some(), "at most {TOGETHER}");
            if let Some(part) = part {
                *part = &one.buckets;
                used += 1;
                count += one.count;
                min = min.into_iter().chain(one.min).min();
                max = max.max(one.max);
            }
        }
        let (parts, min, max) = (parts.get_mut(..used)?, min?, max?);
        let rank = u128::from(count) * u128::from(per_mille);
        let rank = u64::try_from(rank.div_ceil(1000)).ok()?.max(1);
        if rank >= count {
            return Some(max);
        }
        // From the nearer end. From above: the first bucket with which fewer than `rank` are below.
        let mut left = if per_mille > 500 {
            count - rank + 1
        } else {
            rank
        };
        loop {
            let ends = parts.iter().filter_map(|of| match per_mille > 500 {
                true => of.last(),
                false => of.first(),
            });
            let ends = ends.map(|(bucket, _)| *bucket);
            let Some(bucket) = (if per_mille > 500 {
                ends.max()
            } else {
                ends.min()
            }) else {
                return Some(max);
            };
            for of in parts.iter_mut() {
                let taken = match per_mille > 500 {
                    true => of.split_last(),
                    false => of.split_first(),
                };
                if let Some(((_, count), rest)) = taken.filter(|(it, _)| it.0 == bucket) {
                    left = left.saturating_sub(*count);
                    *of = rest;
                }
            }
            if left == 0 {
                return Some(Span::from_ns(middle_of(bucket)).clamp(min, max));
            }
        }
    }

    /// The buckets in use, ascending: shortest duration, shortest one beyond it, and how often, at least once.
    pub fn buckets(&self) -> impl Iterator<Item = (Span, Span, u64)> {
        self.buckets.iter().map(|&(bucket, count)| {
            let (low, width) = edge_of(bucket);
            let [from, to] = [low, low.saturating_add(width)].map(Span::from_ns);
            (from, to, count)
        })
    }

    /// The middle of each bucket in use in ns, ascending, and how often: what [`from_counts`](Self::from_counts) reads back.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets
            .iter()
            .map(|&(bucket, count)| (middle_of(bucket), count))
    }

    /// A histogram of durations in ns and how often each of them; what has no counterpart in the other list is left out. Its sum,
    /// shortest and longest are as exact as these durations.
    #[must_use]
    pub fn from_counts(ns: &[u64], counts: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for (&ns, &count) in ns.iter().zip(counts).filter(|(_, count)| **count > 0) {
            let span = Span::from_ns(ns);
            histogram.put(bucket_of(span.ns()), count);
            histogram.count = histogram.count.saturating_add(count);
            let sum = u128::from(span.ns()).saturating_mul(u128::from(count));
            histogram.sum_ns = histogram.sum_ns.saturating_add(sum);
            histogram.min = Some(histogram.min.map_or(span, |min| min.min(span)));
            histogram.max = Some(histogram.max.map_or(span, |max| max.max(span)));
        }
        histogram
    }

    #[inline]
    fn put(&mut self, bucket: u16, count: u64) {
        if let Some(hints) = &self.hints.0 {
            let hint = hints[usize::from(bucket) % HINTS];
            if let Some((found, counted)) = self.buckets.get_mut(usize::from(hint))
                && *found == bucket
            {
                *counted = counted.saturating_add(count);
                return;
            }
        }
        self.search_and_put(bucket, count);
    }

    #[inline(never)]
    fn search_and_put(&mut self, bucket: u16, count: u64) {
        match self
            .buckets
            .binary_search_by_key(&bucket, |&(bucket, _)| bucket)
        {
            Ok(at) => {
                self.buckets[at].1 = self.buckets[at].1.saturating_add(count);
                if self.buckets.len() >= HINTS_FROM {
                    let hints = &mut self.hints.0;
                    let hints = hints.get_or_insert_with(|| Box::new([0; HINTS]));
                    // There are fewer buckets than 2^12.
                    hints[usize::from(bucket) % HINTS] = at as u16;
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

/// Below 2^6 each value has its bucket; from there on the leading 7 bits choose it.
fn bucket_of(ns: u64) -> u16 {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION + 1);
    // At most 57 * 64 + 127.
    ((u64::from(shift) << PRECISION) + (ns >> shift)) as u16
}

fn middle_of(bucket: u16) -> u64 {
    let (low, width) = edge_of(bucket);
    low + (width >> 1)
}

/// The least value of a bucket, and how many values it has.
fn edge_of(bucket: u16) -> (u64, u64) {
    let bucket = u64::from(bucket);
    let shift = (bucket >> PRECISION).saturating_sub(1);
    ((bucket - (shift << PRECISION)) << shift, 1 << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values
            .iter()
            .for_each(|&ns| histogram.add(Span::from_ns(ns)));
        histogram
    }

    #[test]
    fn nothing_has_no_quantiles() {
        let empty = Histogram::default();
        assert_eq!(
            (empty.count(), empty.quantile(500), empty.mean()),
            (0, None, None)
        );
    }

    #[test]
    fn one_value_is_every_quantile_exactly() {
        let one = of(&[123_456_789]);
        for per_mille in [0, 1, 500, 999, 1000] {
            assert_eq!(one.quantile(per_mille), Some(Span::from_ns(123_456_789)));
        }
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(ns in (0..64_u32, any::<u64>()).prop_map(|(shift, ns)| (ns >> shift).min(u64::MAX - 1))) {
            let histogram = of(&[ns]);
            let [(from, to, 1)] = histogram.buckets().collect::<Vec<_>>()[..] else { panic!("one bucket") };
            prop_assert!(from.ns() <= ns && (ns < to.ns() || to.ns() == u64::MAX - 1), "{ns} {from:?} {to:?}");
        }

        #[test]
        fn quantiles_are_within_one_part_in_128_of_the_sorted_values(
            mut values in prop::collection::vec((0..64_u32, any::<u64>()).prop_map(|(shift, ns)| (ns >> shift).min(u64::MAX - 1)), 1..200),
            per_mille in 0..=1000_u64,
        ) {
            let histogram = of(&values);
            values.sort_unstable();
            let rank = (values.len() as u64 * per_mille).div_ceil(1000).max(1) as usize;
            let (exact, got) = (values[rank - 1], histogram.quantile(per_mille).unwrap().ns());
            prop_assert!(exact.abs_diff(got) <= exact / 128, "{exact} {got}");
        }

        #[test]
        fn what_is_taken_away_leaves_what_the_rest_counts(
            all in prop::collection::vec(prop::collection::vec((0..64_u32, any::<u64>()).prop_map(|(shift, ns)| (ns >> shift).min(u64::MAX - 1)), 0..20), 2..6),
            per_mille in 0..=1000_u64,
        ) {
            let all: Vec<_> = all.iter().map(|values| of(values)).collect();
            let sum = |of: &[Histogram]| {
                let mut sum = Histogram::default();
                of.iter().for_each(|one| sum.merge(one));
                sum
            };
            let mut left = sum(&all);
            left.subtract(&all[0], &all[1..]);
            prop_assert_eq!(&left, &sum(&all[1..]));
            prop_assert_eq!(Histogram::quantile_of(all.iter(), per_mille), sum(&all).quantile(per_mille));
            let mut added = HistogramSum::default();
            all.iter().for_each(|one| added.add(one));
            prop_assert_eq!(added.histogram(), sum(&all));
        }

        #[test]
        fn one_that_is_removed_was_never_there(values in prop::collection::vec(0..128_u64, 1..30), out in any::<prop::sample::Index>()) {
            let mut left = of(&values);
            let mut values = values;
            left.remove(Span::from_ns(values.remove(out.index(values.len()))));
            prop_assert_eq!(left, of(&values));
        }

        /// With so many buckets there are hints, which new buckets and removed ones make wrong.
        #[test]
        fn many_buckets_count_like_few(
            values in prop::collection::vec((0..40_u32, any::<u64>()).prop_map(|(shift, ns)| (ns >> 4) >> shift), 2000..3000),
            out in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
        ) {
            let mut histogram = of(&values);
            prop_assert!(histogram.hints.0.is_some());
            let mut left = values;
            for index in out {
                histogram.remove(Span::from_ns(left.swap_remove(index.index(left.len()))));
                let again = left[index.index(left.len())];
                histogram.add(Span::from_ns(again));
                left.push(again);
            }
            let mut counted = std::collections::BTreeMap::new();
            for ns in left {
                *counted.entry(bucket_of(ns)).or_insert(0) += 1;
            }
            prop_assert_eq!(histogram.buckets, counted.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn what_was_told_as_counts_counts_the_same(values in prop::collection::vec((0..64_u32, any::<u64>()).prop_map(|(shift, ns)| (ns >> shift).min(u64::MAX - 1)), 0..50)) {
            let histogram = of(&values);
            let (ns, counts): (Vec<_>, Vec<_>) = histogram.counts().unzip();
            let back = Histogram::from_counts(&ns, &counts);
            prop_assert_eq!(&back.buckets, &histogram.buckets);
            prop_assert_eq!(back.count(), histogram.count());
        }

        #[test]
        fn merging_is_the_same_as_counting_together(a in prop::collection::vec(any::<u32>(), 0..50), b in prop::collection::vec(any::<u32>(), 0..50)) {
            let (a, b): (Vec<_>, Vec<_>) = (a.into_iter().map(u64::from).collect(), b.into_iter().map(u64::from).collect());
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let mut reversed = of(&b);
            reversed.merge(&of(&a));
            prop_assert_eq!(&merged, &of(&[a, b].concat()));
            prop_assert_eq!(merged, reversed);
        }
    }
}
