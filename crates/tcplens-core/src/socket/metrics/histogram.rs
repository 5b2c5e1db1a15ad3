//! Numbers counted between fixed edges, in units that leave nothing to round. tcp-info's edges (metrics/metrics.go) where they say
//! something, and between and beside them where they did not: below 1 ms of a system call, above 29 ms of an interval, above
//! 79,000 sockets, above 10 Gbit/s.

/// The edges of a histogram.
#[derive(Debug, PartialEq, Eq)]
pub struct Edges {
    /// Each inclusive, ascending.
    pub values: &'static [u64],
    /// How many decimals of a value are behind the point: 9 for seconds in ns.
    pub decimals: u32,
}

/// Counts of sockets are in tenths: tcp-info has an edge of 12.5.
pub(super) const TENTHS: u64 = 10;

/// How long asking takes. From 1 ms to 200 ms tcp-info's.
pub(super) static SYSCALL: Edges = Edges {
    values: &[
        50_000,
        100_000,
        160_000,
        250_000,
        400_000,
        630_000,
        1_000_000,
        1_250_000,
        1_600_000,
        2_000_000,
        2_500_000,
        3_200_000,
        4_000_000,
        5_000_000,
        6_300_000,
        7_900_000,
        10_000_000,
        12_500_000,
        16_000_000,
        20_000_000,
        25_000_000,
        32_000_000,
        40_000_000,
        50_000_000,
        63_000_000,
        79_000_000,
        100_000_000,
        125_000_000,
        160_000_000,
        200_000_000,
        400_000_000,
        1_000_000_000,
    ],
    decimals: 9,
};

/// From look to look: 10 ms to 10 s; tcp-info's end at 29 ms. Just above both ends, for a timer is never early.
pub(super) static INTERVAL: Edges = Edges {
    values: &[
        5_000_000,
        9_000_000,
        10_000_000,
        11_000_000,
        12_500_000,
        16_000_000,
        20_000_000,
        25_000_000,
        40_000_000,
        63_000_000,
        100_000_000,
        160_000_000,
        250_000_000,
        400_000_000,
        630_000_000,
        1_000_000_000,
        1_600_000_000,
        2_500_000_000,
        4_000_000_000,
        6_300_000_000,
        10_000_000_000,
        11_000_000_000,
    ],
    decimals: 9,
};

/// Sockets. tcp-info's, which jump from 79,000 to 10 million, with a decade between.
pub(super) static SOCKETS: Edges = Edges {
    values: &[
        10,
        20,
        30,
        40,
        50,
        60,
        80,
        100,
        125,
        160,
        200,
        250,
        320,
        400,
        500,
        630,
        790,
        1_000,
        1_250,
        1_600,
        2_000,
        2_500,
        3_200,
        4_000,
        5_000,
        6_300,
        7_900,
        10_000,
        12_500,
        16_000,
        20_000,
        25_000,
        32_000,
        40_000,
        50_000,
        63_000,
        79_000,
        100_000,
        125_000,
        160_000,
        200_000,
        250_000,
        320_000,
        400_000,
        500_000,
        630_000,
        790_000,
        1_000_000,
        1_600_000,
        2_500_000,
        4_000_000,
        6_300_000,
        10_000_000,
        100_000_000,
    ],
    decimals: 1,
};

/// Bits per second. tcp-info's to 10 Gbit/s.
pub(super) static RATE: Edges = Edges {
    values: &[
        0,
        1,
        10,
        100,
        1_000,
        1_580,
        2_510,
        3_980,
        6_310,
        10_000,
        15_800,
        25_100,
        39_800,
        63_100,
        100_000,
        158_000,
        251_000,
        398_000,
        631_000,
        1_000_000,
        1_580_000,
        2_510_000,
        3_980_000,
        6_310_000,
        10_000_000,
        15_800_000,
        25_100_000,
        39_800_000,
        63_100_000,
        100_000_000,
        158_000_000,
        251_000_000,
        398_000_000,
        631_000_000,
        1_000_000_000,
        1_260_000_000,
        1_580_000_000,
        2_000_000_000,
        2_510_000_000,
        3_160_000_000,
        3_980_000_000,
        5_010_000_000,
        6_310_000_000,
        7_940_000_000,
        10_000_000_000,
        25_100_000_000,
        39_800_000_000,
        100_000_000_000,
        398_000_000_000,
    ],
    decimals: 0,
};

/// Bytes per second of one connection: from a modem to what 100 Gbit/s carry.
pub(super) static DELIVERY: Edges = Edges {
    values: &[
        10_000,
        100_000,
        250_000,
        1_000_000,
        2_500_000,
        10_000_000,
        25_000_000,
        100_000_000,
        250_000_000,
        1_000_000_000,
        2_500_000_000,
        10_000_000_000,
    ],
    decimals: 0,
};

/// How many numbers lie between the edges, and their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    edges: &'static Edges,
    /// Between the edges; the last is above all of them.
    counts: Vec<u64>,
    /// All numbers together, in the edges' unit.
    pub sum: u128,
}

impl Histogram {
    pub(super) fn new(edges: &'static Edges) -> Histogram {
        Histogram {
            edges,
            counts: vec![0; edges.values.len() + 1],
            sum: 0,
        }
    }

    /// Counts one number.
    pub(super) fn add(&mut self, value: u64) {
        self.add_many(value, 1, value.into());
    }

    /// Counts some equal numbers with this sum: what was lost by rounding is in it.
    pub(super) fn add_many(&mut self, value: u64, times: u64, sum: u128) {
        let bucket = self.edges.values.partition_point(|&edge| edge < value);
        self.counts[bucket] += times;
        self.sum += sum;
    }

    /// How many decimals of an edge and of the sum are behind the point.
    #[must_use]
    pub fn decimals(&self) -> u32 {
        self.edges.decimals
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were at most as large as each edge: an edge, and a count that never falls from edge to edge.
    pub fn at_most(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        self.edges.values.iter().copied().zip(counts)
    }
}
