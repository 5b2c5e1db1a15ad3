//! Which part of one direction's sequence space was seen: everything from `low` to `high` but the holes.
//!
//! A hole remembers the segment that left it, so that what fills it later can be told lost from reordered. Nothing
//! here knows payload: SYN and FIN are one unit each, as in RFC 9293 section 3.4.

use super::seq::Seq;

/// Most holes kept for one direction. Chosen: a 64-segment window with every second segment missing. When there are
/// more, the lowest is given up: it counts as seen from then on.
pub const MAX_HOLES: usize = 32;

/// How far back `low` may lie; half of what a comparison modulo 2^32 can hold.
const REACH: u32 = 1 << 30;

/// A range that was passed over, and the marks of the segment beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First unit that is missing.
    pub start: Seq,
    /// First unit after it that was seen.
    pub end: Seq,
    /// When the segment beyond was sent.
    pub beyond: Mark,
}

/// What tells when a segment was sent, relative to others of its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// Timestamp option value.
    pub ts_value: Option<u32>,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
}

/// When a filling segment was sent, relative to the data beyond the hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// After it: a repeat of something lost before this point of observation.
    After,
    /// Before it: reordered on the way here.
    Before,
    /// Cannot be told.
    Unknown,
}

impl Mark {
    /// When a segment with this mark was sent, relative to one with `other`. Timestamps first, IP ID where they are
    /// equal or absent.
    #[must_use]
    pub fn sent(self, other: Mark) -> Sent {
        let by = |difference: i32| match difference {
            0 => Sent::Unknown,
            d if d > 0 => Sent::After,
            _ => Sent::Before,
        };
        let by_timestamp = match (self.ts_value, other.ts_value) {
            (Some(a), Some(b)) => by(Seq(a).offset(Seq(b))),
            _ => Sent::Unknown,
        };
        match (by_timestamp, self.ip_id, other.ip_id) {
            (Sent::Unknown, Some(a), Some(b)) => by(i32::from(a.wrapping_sub(b).cast_signed())),
            (known, _, _) => known,
        }
    }
}

/// How a range stands to what was seen before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Beyond everything seen.
    New,
    /// All of it was seen before.
    Repeat,
    /// Some of it was seen before.
    Partial,
    /// None of it was seen before, though it lies below the highest sequence number seen.
    Fill(Sent),
}

/// The holes of one direction, lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holes {
    list: Vec<Hole>,
    /// Units of holes that were given up while they were missing.
    pub given_up_units: u64,
    /// Holes given up because there were too many.
    pub overflows: u32,
}

impl Holes {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Units of `start..end` that were seen, in a direction seen from `low` to `high`.
    #[must_use]
    pub fn overlap(&self, low: Seq, high: Seq, start: Seq, end: Seq) -> u32 {
        let (from, to) = (start.max(low), end.min(high));
        if !from.before(to) {
            return 0;
        }
        let missing: u32 = self.list.iter().map(|hole| common(hole, from, to)).sum();
        to.distance(from).saturating_sub(missing)
    }

    /// Units before `acknowledged` that were never seen.
    #[must_use]
    pub fn missing_before(&self, acknowledged: Seq) -> u64 {
        let first = self.list.first().map_or(acknowledged, |hole| hole.start);
        self.given_up_units
            + self
                .list
                .iter()
                .map(|hole| u64::from(common(hole, first, acknowledged)))
                .sum::<u64>()
    }

    /// Leaves a hole: `high..start` was passed over by a segment with this mark.
    pub fn open(&mut self, start: Seq, end: Seq, beyond: Mark) {
        let at = self.list.partition_point(|hole| hole.start.before(start));
        self.list.insert(at, Hole { start, end, beyond });
        if self.list.len() > MAX_HOLES {
            let lowest = self.list.remove(0);
            self.given_up_units += u64::from(lowest.end.distance(lowest.start));
            self.overflows += 1;
        }
    }

    /// Takes `start..end` out of the holes; the mark beyond the first hole it touches.
    pub fn fill(&mut self, start: Seq, end: Seq) -> Option<Mark> {
        let mut mark = None;
        let mut n = 0;
        while let Some(&hole) = self.list.get(n) {
            if common(&hole, start, end) == 0 {
                n += 1;
                continue;
            }
            mark = mark.or(Some(hole.beyond));
            self.list.remove(n);
            if end.before(hole.end) {
                self.list.insert(n, Hole { start: end, ..hole });
            }
            if hole.start.before(start) {
                self.list.insert(n, Hole { end: start, ..hole });
                n += 1;
            }
            if end.before(hole.end) {
                n += 1;
            }
        }
        mark
    }

    /// Gives up what lies before `low`: it stays missing.
    pub fn forget_before(&mut self, low: Seq) {
        let given_up = &mut self.given_up_units;
        self.list.retain_mut(|hole| {
            let start = hole.start.max(low).min(hole.end);
            *given_up += u64::from(start.distance(hole.start));
            hole.start = start;
            start.before(hole.end)
        });
    }
}

/// Where `low` must move to when the highest sequence number is `high`; `None` while it may stay.
#[inline]
#[must_use]
pub fn slide(low: Seq, high: Seq) -> Option<Seq> {
    (high.distance(low) > REACH).then(|| high.minus(REACH))
}

fn common(hole: &Hole, start: Seq, end: Seq) -> u32 {
    let (from, to) = (start.max(hole.start), end.min(hole.end));
    if from.before(to) {
        to.distance(from)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(ts_value: u32, ip_id: u16) -> Mark {
        Mark {
            ts_value: Some(ts_value),
            ip_id: Some(ip_id),
        }
    }

    #[test]
    fn a_newer_timestamp_means_sent_after() {
        assert_eq!(mark(10, 1).sent(mark(9, 9)), Sent::After);
        assert_eq!(mark(9, 9).sent(mark(10, 1)), Sent::Before);
        assert_eq!(mark(u32::MAX, 0).sent(mark(1, 0)), Sent::Before);
    }

    #[test]
    fn equal_timestamps_are_decided_by_ip_id() {
        assert_eq!(mark(9, 65535).sent(mark(9, 2)), Sent::Before);
        assert_eq!(mark(9, 3).sent(mark(9, 2)), Sent::After);
        assert_eq!(mark(9, 2).sent(mark(9, 2)), Sent::Unknown);
        assert_eq!(Mark::default().sent(mark(1, 1)), Sent::Unknown);
    }

    #[test]
    fn a_fill_in_the_middle_leaves_two_holes() {
        let mut holes = Holes::default();
        holes.open(Seq(100), Seq(200), mark(5, 5));
        assert_eq!(holes.overlap(Seq(0), Seq(300), Seq(50), Seq(250)), 100);
        assert_eq!(holes.fill(Seq(120), Seq(150)), Some(mark(5, 5)));
        assert_eq!(holes.overlap(Seq(0), Seq(300), Seq(100), Seq(200)), 30);
        assert_eq!(holes.missing_before(Seq(160)), 30);
        assert_eq!(holes.fill(Seq(90), Seq(210)), Some(mark(5, 5)));
        assert!(holes.is_empty());
    }

    #[test]
    fn too_many_holes_give_up_the_lowest_and_count_it() {
        let mut holes = Holes::default();
        for n in 0..=MAX_HOLES as u32 {
            holes.open(Seq(n * 100), Seq(n * 100 + 10), Mark::default());
        }
        assert_eq!((holes.overflows, holes.given_up_units), (1, 10));
        assert_eq!(holes.overlap(Seq(0), Seq(10_000), Seq(0), Seq(10)), 10);
    }

    #[test]
    fn low_slides_before_comparisons_become_ambiguous() {
        assert_eq!(slide(Seq(0), Seq(REACH)), None);
        assert_eq!(slide(Seq(0), Seq(REACH + 7)), Some(Seq(7)));
    }
}
