//! Which packet carried which part of one direction's sequence space, and which holes are open there: what is sent again is
//! told of which packet, and what fills a hole since when. Not what was seen: that is `tcp::seen`, and counts.

use std::collections::VecDeque;

use crate::tcp::seq::Seq;
use crate::time::Timestamp;

/// Segments that are remembered, acknowledged or not. Chosen: twice a window of 3 MB at full segments.
const REMEMBERED: usize = 4096;

/// Open holes that are remembered: as many as count (`tcp::seen`).
const HOLES: usize = crate::tcp::seen::MAX_HOLES;

/// A segment, as it was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    start: Seq,
    end: Seq,
    /// Its packet.
    pub frame: u64,
    /// When that was.
    pub time: Timestamp,
}

/// What was passed over.
#[derive(Clone, Copy, Debug)]
struct Gap {
    start: Seq,
    end: Seq,
    frame: u64,
    time: Timestamp,
}

/// One direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Sending {
    carried: VecDeque<Carried>,
    gaps: VecDeque<Gap>,
}

impl Sending {
    /// Its sequence space begins anew.
    pub(super) fn restart(&mut self) {
        self.carried.clear();
        self.gaps.clear();
    }

    /// A packet carries `start..end`.
    pub(super) fn carries(&mut self, start: Seq, end: Seq, frame: u64, time: Timestamp) {
        let at = self.place(start);
        let carried = Carried {
            start,
            end,
            frame,
            time,
        };
        match self.carried.get_mut(at) {
            Some(same) if same.start == start => *same = carried,
            _ => self.carried.insert(at, carried),
        }
        if self.carried.len() > REMEMBERED {
            self.carried.pop_front();
        }
    }

    /// Who carried the byte at `start` last.
    pub(super) fn last(&self, start: Seq) -> Option<Carried> {
        let at = self.place(start);
        let found = self.carried.get(at).filter(|it| it.start == start);
        let before = || self.carried.get(at.checked_sub(1)?);
        found
            .or_else(before)
            .filter(|it| !start.before(it.start) && start.before(it.end))
            .copied()
    }

    /// Where a segment that begins at `start` is, or would be.
    fn place(&self, start: Seq) -> usize {
        // Most come at the end.
        match self.carried.back() {
            Some(last) if last.start.before(start) => self.carried.len(),
            _ => self.carried.partition_point(|it| it.start.before(start)),
        }
    }

    /// `start..end` was passed over by a packet.
    pub(super) fn opens(&mut self, start: Seq, end: Seq, frame: u64, time: Timestamp) {
        if self.gaps.len() >= HOLES {
            self.gaps.pop_front();
        }
        self.gaps.push_back(Gap {
            start,
            end,
            frame,
            time,
        });
    }

    /// A segment from `start` fills a hole, at least a part of it: which packet showed it, and when.
    pub(super) fn fills(&mut self, start: Seq, end: Seq) -> Option<(u64, Timestamp)> {
        let touches = |gap: &Gap| start.before(gap.end) && gap.start.before(end);
        let at = self.gaps.iter().position(touches)?;
        let gap = self.gaps.get_mut(at)?;
        let seen = (gap.frame, gap.time);
        if !gap.start.before(start) {
            gap.start = end;
        }
        if !gap.start.before(gap.end) {
            self.gaps.remove(at);
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_told_of_the_packet_that_had_it_last_across_the_wrap() {
        let mut sending = Sending::default();
        let start = Seq(u32::MAX - 99);
        sending.carries(start, start.plus(100), 1, Timestamp(10));
        sending.carries(start.plus(100), start.plus(200), 2, Timestamp(20));
        sending.carries(start.plus(300), start.plus(400), 3, Timestamp(30));
        sending.carries(start.plus(200), start.plus(300), 4, Timestamp(40));
        sending.carries(start, start.plus(100), 5, Timestamp(50));
        let frame = |at: u32| sending.last(start.plus(at)).map(|it| it.frame);
        assert_eq!(frame(0), Some(5));
        assert_eq!(frame(150), Some(2));
        assert_eq!(frame(200), Some(4));
        assert_eq!(frame(399), Some(3));
        assert_eq!(frame(400), None);
        assert_eq!(sending.last(start.minus(1)), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut sending = Sending::default();
        for n in 0..2 * REMEMBERED as u32 {
            sending.carries(Seq(n), Seq(n + 1), n.into(), Timestamp(0));
            sending.opens(Seq(n), Seq(n + 1), n.into(), Timestamp(0));
        }
        assert_eq!(sending.carried.len(), REMEMBERED);
        assert_eq!(sending.gaps.len(), HOLES);
        assert_eq!(sending.last(Seq(0)), None);
    }

    #[test]
    fn a_hole_is_told_until_it_is_full() {
        let mut sending = Sending::default();
        sending.opens(Seq(100), Seq(300), 7, Timestamp(70));
        assert_eq!(sending.fills(Seq(50), Seq(100)), None);
        assert_eq!(sending.fills(Seq(100), Seq(200)), Some((7, Timestamp(70))));
        assert_eq!(sending.fills(Seq(200), Seq(300)), Some((7, Timestamp(70))));
        assert_eq!(sending.fills(Seq(200), Seq(300)), None);
    }
}
