//! Distributions of durations in bounded memory. Up to 4096 values are kept as they are; more go
//! into log-linear buckets, 64 per power of two, and a quantile is at most 1.6 % too high. Count,
//! least and greatest are always exact.

use tcplens_core::time::Span;

/// Most values kept as they are. Chosen: as much memory as the buckets.
const EXACT: usize = 4096;
/// Buckets per power of two.
const STEPS: u64 = 64;
/// Its logarithm.
const STEP_BITS: u32 = 6;
/// Buckets of all 64-bit numbers.
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS as usize;

/// A distribution of durations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    exact: Vec<Span>,
    /// Empty until there are too many values to keep.
    buckets: Vec<u64>,
    count: u64,
    range: Option<(Span, Span)>,
}

impl Latency {
    /// Adds a value.
    pub(crate) fn add(&mut self, span: Span) {
        self.count += 1;
        self.range = Some(match self.range {
            Some((least, greatest)) => (least.min(span), greatest.max(span)),
            None => (span, span),
        });
        if self.buckets.is_empty() && self.exact.len() < EXACT {
            return self.exact.push(span);
        }
        if self.buckets.is_empty() {
            self.buckets = vec![0; BUCKETS];
            for span in std::mem::take(&mut self.exact) {
                self.count_in(span);
            }
        }
        self.count_in(span);
    }

    fn count_in(&mut self, span: Span) {
        if let Some(bucket) = self.buckets.get_mut(bucket(span.ns())) {
            *bucket += 1;
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The least value that `percent` of all do not exceed; of 0 the least of all.
    pub(crate) fn quantile(&mut self, percent: u64) -> Option<Span> {
        let (least, greatest) = self.range?;
        let rank = u128::from(self.count) * u128::from(percent);
        let rank = rank.div_ceil(100).max(1);
        if self.buckets.is_empty() {
            self.exact.sort_unstable();
            return self.exact.get(usize::try_from(rank - 1).ok()?).copied();
        }
        if rank == 1 {
            return Some(least);
        }
        let mut below = 0;
        let bucket = self.buckets.iter().position(|&count| {
            below += u128::from(count);
            below >= rank
        })?;
        Some(Span::from_ns(highest(bucket)).clamp(least, greatest))
    }
}

/// The bucket of a value: below 64 one each, then 64 per power of two.
fn bucket(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(shift) * STEPS + (ns >> shift)) as usize
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1) as u32;
    let step = bucket - u64::from(shift) * STEPS;
    let end = u128::from(step + 1) << shift;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_falls_into_it_within_a_64th() {
        let edges = (0..64).flat_map(|bit| [1_u64 << bit, 3 << bit >> 1, (1 << bit) - 1]);
        for ns in edges.chain([u64::MAX]) {
            let high = highest(bucket(ns));
            assert!(high >= ns && high - ns <= ns / 64, "{ns} {high}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_few_values_are_exact_and_of_many_nearly() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(50), None);
        for ns in [3_000, 1_000, 1_000_000, 2_000] {
            latency.add(Span::from_ns(ns));
        }
        let quantiles = [0, 50, 75, 99, 100].map(|percent| latency.quantile(percent).unwrap().ns());
        assert_eq!(quantiles, [1_000, 2_000, 3_000, 1_000_000, 1_000_000]);
        for ns in 1..=100_000 {
            latency.add(Span::from_ns(ns));
        }
        let median = latency.quantile(50).unwrap().ns();
        assert!((50_000..=50_800).contains(&median), "{median}");
        assert_eq!(latency.quantile(0).unwrap().ns(), 1);
        assert_eq!(latency.quantile(100).unwrap().ns(), 1_000_000);
        assert_eq!(latency.count(), 100_004);
    }
}
