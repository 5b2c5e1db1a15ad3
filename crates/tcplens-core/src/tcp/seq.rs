//! Points in TCP sequence space (RFC 9293 section 3.4): 32 bits that wrap.

/// A point in sequence space. It has no total order; `a.before(b)` compares modulo 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seq(pub u32);

impl Seq {
    /// The point `units` further on.
    #[inline]
    #[must_use]
    pub fn plus(self, units: u32) -> Seq {
        Seq(self.0.wrapping_add(units))
    }

    /// The point `units` before.
    #[inline]
    #[must_use]
    pub fn minus(self, units: u32) -> Seq {
        Seq(self.0.wrapping_sub(units))
    }

    /// How far `self` is beyond `other`; negative if it is before. Meaningful within 2^31.
    #[inline]
    #[must_use]
    pub fn offset(self, other: Seq) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// How far `self` is beyond `other`, which is known not to be after it.
    #[inline]
    #[must_use]
    pub fn distance(self, other: Seq) -> u32 {
        self.0.wrapping_sub(other.0)
    }

    /// Whether `self` comes before `other`.
    #[inline]
    #[must_use]
    pub fn before(self, other: Seq) -> bool {
        self.offset(other) < 0
    }

    /// The later of the two.
    #[inline]
    #[must_use]
    pub fn max(self, other: Seq) -> Seq {
        if self.before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    #[must_use]
    pub fn min(self, other: Seq) -> Seq {
        if self.before(other) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        let before = Seq(u32::MAX - 1);
        let after = before.plus(5);
        assert_eq!(after, Seq(3));
        assert!(before.before(after) && !after.before(before));
        assert_eq!(after.offset(before), 5);
        assert_eq!(before.max(after), after);
        assert_eq!(before.min(after), before);
    }
}
