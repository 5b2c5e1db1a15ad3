//! What was counted, by unit: each connection's hash chooses one of 32, each moment one of at most
//! [`TIME_UNITS`] slices of time. Units, and not single requests, are what a comparison takes for independent. Exactly
//! mergeable, whatever the order: slices lie at multiples of their width since 1970, and each width is twice the one before.

use std::collections::BTreeMap;

use crate::record::ConnectionId;
use crate::time::Timestamp;

/// Into how many units connections are put, as a power of two. Chosen: with 32 a variance is known to a quarter, and as many
/// can be kept.
const CONNECTION_UNITS: u32 = 5;

/// Most slices of time.
pub(super) const TIME_UNITS: i64 = 32;

/// The narrowest slice, as a power of two of ns: about 1 ms.
const NARROWEST: u32 = 20;

/// The widest: beyond it lie more than 290 years.
const WIDEST: u32 = 62;

/// Connections that are told apart, to be counted.
pub(super) const CONNECTIONS: usize = 64;

/// What can be counted by unit.
pub(super) trait Cell: Clone + Default {
    /// Counts everything that `other` counted.
    fn merge(&mut self, other: &Self);
}

/// Something by unit.
#[derive(Clone, Debug)]
pub(super) struct Spread<C> {
    /// By connection.
    connections: BTreeMap<u8, C>,
    /// By time: start / width.
    slices: BTreeMap<i64, C>,
    /// Their width as a power of two.
    width: u32,
    /// The least hashes of connections: exact up to [`CONNECTIONS`].
    known: Vec<u64>,
}

impl<C> Default for Spread<C> {
    fn default() -> Self {
        Spread {
            connections: BTreeMap::new(),
            slices: BTreeMap::new(),
            width: NARROWEST,
            known: Vec::new(),
        }
    }
}

impl<C: Cell> Spread<C> {
    /// Counts one thing in its connection and in its slice of time.
    pub(super) fn add(&mut self, connection: ConnectionId, at: Timestamp, count: impl Fn(&mut C)) {
        let hash = hash(connection);
        self.know(hash);
        // The upper bits: below 32.
        let unit = (hash >> (u64::BITS - CONNECTION_UNITS)) as u8;
        count(self.connections.entry(unit).or_default());
        loop {
            let number = at.0 >> self.width;
            let first = self.slices.keys().next().map_or(number, |&n| n.min(number));
            let last = self.slices.keys().next_back();
            let last = last.map_or(number, |&n| n.max(number));
            if last - first < TIME_UNITS || self.width == WIDEST {
                count(self.slices.entry(number).or_default());
                return;
            }
            self.widen();
        }
    }

    /// Counts everything that `other` counted.
    pub(super) fn merge(&mut self, other: &Spread<C>) {
        for &hash in &other.known {
            self.know(hash);
        }
        for (&unit, cell) in &other.connections {
            self.connections.entry(unit).or_default().merge(cell);
        }
        while self.width < other.width {
            self.widen();
        }
        for (&number, cell) in &other.slices {
            let number = number >> (self.width - other.width);
            self.slices.entry(number).or_default().merge(cell);
        }
        while self
            .ends()
            .is_some_and(|(first, last)| last - first >= TIME_UNITS)
            && self.width < WIDEST
        {
            self.widen();
        }
    }

    /// Makes slices at least so wide, a power of two of ns.
    pub(super) fn widen_to(&mut self, width: u32) {
        while self.width < width.min(WIDEST) {
            self.widen();
        }
    }

    /// Units of connections, those without anything left out.
    pub(super) fn connections(&self) -> impl Iterator<Item = &C> {
        self.connections.values()
    }

    /// Slices of time with anything in them, ascending: their start, and their width.
    pub(super) fn slices(&self) -> impl Iterator<Item = (Timestamp, &C)> {
        let slices = self.slices.iter();
        slices.map(|(&number, cell)| (Timestamp(number << self.width), cell))
    }

    /// Beginnings and ends of the slices that a time touches, those without anything too.
    pub(super) fn grid(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let width = self.width;
        let numbers = (from.0 >> width)..=(to.0 >> width);
        numbers.map(move |n| {
            (
                Timestamp(n << width),
                Timestamp((n + 1).saturating_mul(1 << width)),
            )
        })
    }

    /// The slice at a time.
    pub(super) fn slice(&self, at: Timestamp) -> Option<&C> {
        self.slices.get(&(at.0 >> self.width))
    }

    /// How many connections, and whether there may be more.
    pub(super) fn connections_known(&self) -> (u64, bool) {
        (self.known.len() as u64, self.known.len() == CONNECTIONS)
    }

    /// All of it as one.
    pub(super) fn all(&self) -> C {
        let mut all = C::default();
        self.connections.values().for_each(|cell| all.merge(cell));
        all
    }

    fn ends(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.slices.keys().next()?, self.slices.keys().next_back()?);
        Some((*first, *last))
    }

    fn widen(&mut self) {
        self.width += 1;
        for (number, cell) in std::mem::take(&mut self.slices) {
            self.slices.entry(number >> 1).or_default().merge(&cell);
        }
    }

    fn know(&mut self, hash: u64) {
        let Err(at) = self.known.binary_search(&hash) else {
            return;
        };
        if at < CONNECTIONS {
            self.known.truncate(CONNECTIONS - 1);
            self.known.insert(at, hash);
        }
    }
}

/// The width, as a power of two of ns, of which [`TIME_UNITS`] hold a time so long wherever it begins.
pub(super) fn width_for(ns: u64) -> u32 {
    let units = TIME_UNITS.unsigned_abs() - 1;
    let all = NARROWEST..WIDEST;
    let fits = |&width: &u32| ns >> width < units;
    all.clone().find(fits).unwrap_or(WIDEST)
}

/// Spreads what is alike: Steele, Lea and Flood, SplitMix64's output function.
fn hash(id: ConnectionId) -> u64 {
    let bits = match id {
        // The bits of it: before 1970 it is negative.
        ConnectionId::Packets { first, flow } => (first.0 as u64) ^ (u64::from(flow) << 32),
        ConnectionId::Socket { cookie, host } => cookie ^ (u64::from(host) << 32),
    };
    let z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct N(u64);

    impl Cell for N {
        fn merge(&mut self, other: &N) {
            self.0 += other.0;
        }
    }

    fn of(times: &[i64]) -> Spread<N> {
        let mut spread = Spread::default();
        for &at in times {
            let id = ConnectionId::Packets {
                first: Timestamp(at % 7),
                flow: 1,
            };
            spread.add(id, Timestamp(at), |n: &mut N| n.0 += 1);
        }
        spread
    }

    fn parts(spread: &Spread<N>) -> String {
        format!("{spread:?}")
    }

    #[test]
    fn a_period_fits_its_slices() {
        assert_eq!(width_for(0), NARROWEST);
        for ns in [1_u64 << 20, 37_000_000_000, 86_400_000_000_000] {
            let width = width_for(ns);
            assert!(ns >> width < 31, "{ns}");
            assert!(width == NARROWEST || ns >> (width - 1) >= 31, "{ns}");
        }
    }

    proptest! {
        #[test]
        fn merging_is_the_same_as_counting_together(
            a in prop::collection::vec(0..(1_i64 << 45), 0..30),
            b in prop::collection::vec(0..(1_i64 << 40), 0..30),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let mut reversed = of(&b);
            reversed.merge(&of(&a));
            prop_assert_eq!(parts(&merged), parts(&reversed));
            prop_assert_eq!(parts(&merged), parts(&of(&[a, b].concat())));
            prop_assert!(merged.slices.len() <= 32);
        }
    }
}
