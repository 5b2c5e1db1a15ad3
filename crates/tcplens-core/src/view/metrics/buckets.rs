//! Durations counted between fixed edges, as monitoring systems want them. Coarser than [`Histogram`](crate::view::Histogram),
//! whose edges are nobody's business; these are part of what is exported, and never change.

use crate::time::Span;

const MS: u64 = 1_000_000;

/// The upper edges in ns, each inclusive; what is above all of them is counted too. Chosen: 100 µs is a round trip within a
/// machine room, 60 s what most give up after. A first SYN that was lost costs 1 s (RFC 6298 section 2.1), so that such a
/// handshake is above the edge of 1 s.
pub const EDGES_NS: [u64; EDGES] = [
    MS / 10,
    MS / 4,
    MS / 2,
    MS,
    5 * MS / 2,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    1_000 * MS,
    2_500 * MS,
    10_000 * MS,
    60_000 * MS,
];
const EDGES: usize = 16;

/// How many durations lie between the edges, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Between the edges; the last is above all of them.
    counts: [u64; EDGES + 1],
    /// All durations together, in ns.
    pub sum_ns: u128,
}

impl Buckets {
    /// Counts one duration.
    pub fn add(&mut self, span: Span) {
        let bucket = EDGES_NS.partition_point(|&edge| edge < span.ns());
        self.counts[bucket] += 1;
        self.sum_ns += u128::from(span.ns());
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were at most as long as each edge: an edge in ns, and a count that never falls from edge to edge.
    pub fn at_most(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        EDGES_NS.into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_what_is_at_most_it_and_what_is_above_all_counts_only_in_the_total() {
        let mut buckets = Buckets::default();
        for ns in [0, 100_000, 100_001, 1_000_000_000, 60_000_000_001] {
            buckets.add(Span::from_ns(ns));
        }
        let at_most: Vec<u64> = buckets.at_most().map(|(_, count)| count).collect();
        assert_eq!(at_most, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4]);
        assert_eq!((buckets.count(), buckets.sum_ns), (5, 61_000_200_002));
    }
}
