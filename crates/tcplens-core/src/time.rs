//! Points in time and durations, in nanoseconds. Time is always packet time; nothing here asks a clock.

use std::num::NonZeroU64;

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z. Before 1970 is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Earlier than every packet.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// Later than every packet.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The duration from `earlier` to here; `None` if the clock went back in between.
    #[inline]
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Option<Span> {
        u64::try_from(self.0.checked_sub(earlier.0)?)
            .ok()
            .map(Span::from_ns)
    }

    /// This time moved by `ns` nanoseconds, saturating.
    #[inline]
    #[must_use]
    pub fn plus(self, ns: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ns))
    }
}

/// A duration that is never negative. Stored off by one, so that `Option<Span>` is eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(NonZeroU64);

impl Span {
    /// A duration of `ns` nanoseconds (at most `u64::MAX - 1`).
    #[inline]
    #[must_use]
    pub const fn from_ns(ns: u64) -> Span {
        Span(NonZeroU64::MIN.saturating_add(ns))
    }

    /// Whole nanoseconds.
    #[inline]
    #[must_use]
    pub fn ns(self) -> u64 {
        self.0.get() - 1
    }
}

impl Default for Span {
    fn default() -> Span {
        Span::from_ns(0)
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}ns", self.ns())
    }
}
