//! Durations of one unit of a comparison: counted in buckets that are 1/16 of a power of two wide, so that hundreds of units
//! of hundreds of groups fit. Exactly mergeable. Coarser than `Histogram`, which tells the percentiles.

use crate::time::Span;

/// Buckets per power of two, as a power of two.
const PRECISION: u32 = 4;

/// How often durations of each size occurred: at most 976 buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coarse {
    /// Bucket and count, ascending by bucket.
    buckets: Vec<(u16, u32)>,
}

impl Coarse {
    pub(super) fn add(&mut self, span: Span) {
        self.put(bucket_of(span.ns()), 1);
    }

    pub(super) fn merge(&mut self, other: &Coarse) {
        for &(bucket, count) in &other.buckets {
            self.put(bucket, count);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, n)| u64::from(n)).sum()
    }

    /// Buckets and their counts, ascending.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u16, u64)> {
        self.buckets.iter().map(|&(bucket, n)| (bucket, n.into()))
    }

    /// How many lie in buckets above this one.
    pub(super) fn above(&self, bucket: u16) -> u64 {
        let all = self.buckets().filter(|&(at, _)| at > bucket);
        all.map(|(_, n)| n).sum()
    }

    /// The same durations, each `ratio` times as long.
    pub(super) fn scaled(&self, ratio: f64) -> Coarse {
        let mut scaled = Coarse::default();
        for &(bucket, count) in &self.buckets {
            // Beyond 2^64 a conversion saturates.
            let ns = (middle_of(bucket) * ratio) as u64;
            scaled.put(bucket_of(ns), count);
        }
        scaled
    }

    /// The bucket that `per_mille` of a thousand do not exceed.
    pub(super) fn quantile_bucket(&self, per_mille: u64) -> Option<u16> {
        let rank = (self.count() * per_mille).div_ceil(1000).max(1);
        let mut below = 0;
        self.buckets().find_map(|(bucket, n)| {
            below += n;
            (below >= rank).then_some(bucket)
        })
    }

    fn put(&mut self, bucket: u16, count: u32) {
        match self.buckets.binary_search_by_key(&bucket, |&(at, _)| at) {
            Ok(at) => {
                let sum = &mut self.buckets[at].1;
                *sum = sum.saturating_add(count);
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

/// Below 2^4 each value has its bucket; from there on the leading 5 bits choose it.
fn bucket_of(ns: u64) -> u16 {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION + 1);
    // At most 59 * 16 + 31.
    ((u64::from(shift) << PRECISION) + (ns >> shift)) as u16
}

fn middle_of(bucket: u16) -> f64 {
    let bucket = u64::from(bucket);
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let low = (bucket - (shift << PRECISION)) << shift;
    low as f64 + (1_u64 << shift) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a_sixteenth_of_a_power_of_two() {
        for (ns, bucket) in [
            (0, 0),
            (15, 15),
            (16, 16),
            (31, 31),
            (32, 32),
            (33, 32),
            (34, 33),
        ] {
            assert_eq!(bucket_of(ns), bucket, "{ns}");
        }
        assert_eq!(bucket_of(u64::MAX), 59 * 16 + 31);
        for ns in [1_u64, 1000, 123_456_789, 1 << 40] {
            let error = (middle_of(bucket_of(ns)) / ns as f64 - 1.0).abs();
            assert!(ns < 16 || error < 1.0 / 16.0, "{ns} {error}");
        }
    }

    #[test]
    fn quantiles_and_what_is_above_them() {
        let mut coarse = Coarse::default();
        (1..=100).for_each(|ms| coarse.add(Span::from_ns(ms * 1_000_000)));
        let p95 = coarse.quantile_bucket(950).unwrap();
        assert_eq!(p95, bucket_of(95_000_000));
        assert!(coarse.above(p95) <= 5);
        assert_eq!(coarse.scaled(2.0).count(), 100);
    }
}
