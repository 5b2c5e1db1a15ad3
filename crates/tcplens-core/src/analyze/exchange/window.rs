//! Whether the sides of a connection have room for what their peers have to send.

use super::{Core, Exchange, bit, budget};
use crate::proto::Way;
use crate::time::Timestamp;
use crate::wire::segment::{Segment, SynOptions, flags, syn_option};

/// The shift of a side that offered no window scaling.
pub(super) const NO_SCALE: u8 = u8::MAX;

/// What a SYN says of its sender's windows: least segment in bytes, and shift.
pub(super) fn offered(syn: SynOptions) -> (u16, u8) {
    /// RFC 9293 section 3.7.1, for a SYN without the option.
    const DEFAULT_MSS: u16 = 536;
    /// RFC 7323 section 2.3.
    const MOST_SHIFT: u8 = 14;
    let has = |bit: u8| syn.bits & bit != 0;
    let mss = if has(syn_option::MSS) {
        syn.mss
    } else {
        DEFAULT_MSS
    };
    let shift = if has(syn_option::WSCALE) {
        syn.wscale.min(MOST_SHIFT)
    } else {
        NO_SCALE
    };
    (mss, shift)
}

impl Core {
    /// Whether a side has no room for a segment of the other.
    #[inline]
    pub(super) fn is_narrow(&self) -> bool {
        self.ways.iter().any(|way| way.bits & bit::NARROW != 0)
    }

    /// The largest window of one side so far, in bytes; 0 where it is not known, for its SYN was not seen.
    pub(super) fn largest_window(&self, w: usize) -> u32 {
        let is_scaled = !self.shifts.contains(&NO_SCALE);
        let shift = if is_scaled { self.shifts[w] } else { 0 };
        match self.mss[w] {
            0 => 0,
            _ => u32::from(self.largest[w]) << shift,
        }
    }

    /// The largest window of one side is `largest` now. Its peer waits for room for a segment, or for half of the largest
    /// window where segments are larger than that (RFC 1122 section 4.2.3.4): loopback.
    #[inline(never)]
    pub(super) fn grows(&mut self, w: usize, largest: u16) {
        // Unless both offered scaling, windows are as they stand; where that was not seen, only zero says anything.
        let [a, b] = self.shifts;
        let is_scaled = a != NO_SCALE && b != NO_SCALE;
        let shift = if is_scaled { self.shifts[w] } else { 0 };
        let bytes = u32::from(self.mss[w]).min((u32::from(largest) << shift) / 2);
        self.largest[w] = largest;
        // At most half of what 16 bits hold.
        self.least[w] = bytes.max(1).div_ceil(1 << shift) as u16;
    }
}

impl Exchange {
    /// Notes whether the sender of `seg` has room for a segment of its peer.
    #[inline(always)]
    pub(super) fn window(&mut self, seg: &Segment, way: Way) {
        let w = way as usize;
        if seg.flags & (flags::SYN | flags::RST) != 0 {
            return;
        }
        if seg.window > self.core.largest[w] {
            self.core.grows(w, seg.window);
        }
        let narrow = seg.window < self.core.least[w];
        let was = self.core.ways[1 - w].bits & bit::NARROW != 0;
        if narrow != was {
            self.window_changes(1 - w, narrow, seg.time);
        }
    }

    #[cold]
    fn window_changes(&mut self, w: usize, narrow: bool, at: Timestamp) {
        self.core.ways[w].bits ^= bit::NARROW;
        let Some(busy) = &mut self.busy else {
            return;
        };
        busy.is_rare = true;
        busy.grown += budget::STRETCH;
        let stretches = &mut busy.window[w];
        if narrow {
            stretches.begin(at);
        } else {
            stretches.end(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// RFC 1122 section 4.2.3.4 in bytes is what the thresholds say in the units of headers.
        #[test]
        fn a_window_is_closed_that_has_no_room(
            shifts in prop::array::uniform2(prop_oneof![0_u8..=14, Just(NO_SCALE)]),
            mss in prop_oneof![Just(0_u16), Just(1460), Just(65_495), any::<u16>()],
            largest in any::<u16>(),
            window in any::<u16>(),
        ) {
            let mut exchange = Exchange::default();
            exchange.core.shifts = shifts;
            exchange.core.mss = [mss; 2];
            exchange.core.grows(0, largest);
            let shift = if shifts.contains(&NO_SCALE) { 0 } else { shifts[0] };
            let bytes = |window: u16| u32::from(window) << shift;
            let room = u32::from(mss).min(bytes(largest) / 2).max(1);
            let least = exchange.core.least[0];
            for window in [0, window.min(largest), least, least.saturating_sub(1)] {
                prop_assert_eq!(window < least, bytes(window) < room);
            }
        }
    }
}
