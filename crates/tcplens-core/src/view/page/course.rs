//! What happened when, for plots that a page draws: counts, time budgets and latencies by slices of packet time. As `series`,
//! whose widths it has, but with coarser histograms ([`Cells`]) and a number of slices to choose, so that many destinations may
//! have one; and each slice knows when it changed.

use std::collections::BTreeMap;

use crate::record::{Handshake, Outcome, Request, Status, Verdict};
use crate::time::{Span, Timestamp};
use crate::view::requests::{self, budget, latency, took};
use crate::view::{WIDTHS_NS, is_undecided};

/// Cells per power of two, as a power of two: each is an eighth of its power of two wide, so that its middle is within 6 % of
/// what is in it.
const PRECISION: u32 = 3;

/// How often durations of each size occurred, coarsely. At most 496 cells; 220 have what lies between 1 µs and 100 s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells(Vec<(u16, u32)>);

impl Cells {
    /// Counts one duration.
    pub fn add(&mut self, span: Span) {
        self.put(cell(span.ns()), 1);
    }

    /// Counts a duration so many times; a cell counts to `u32::MAX` and then stays there.
    pub fn add_times(&mut self, span: Span, count: u64) {
        if count > 0 {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            self.put(cell(span.ns()), count);
        }
    }

    /// Cell and count, ascending; no count is zero. Cell `c` begins at `(c - 8s) * 2^s` ns with `s = c / 8 - 1` (rounded down,
    /// not below 0), and ends where the next begins.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u32)> {
        self.0.iter().copied()
    }

    /// The middle of a cell, in ns: within 6 % of what is in it.
    #[must_use]
    pub fn middle(cell: u16) -> u64 {
        // Whatever the number, as one from elsewhere may be: the last that a duration has is 495.
        let cell = u64::from(cell.min(495));
        let shift = (cell >> PRECISION).saturating_sub(1);
        ((cell - (shift << PRECISION)) << shift) + ((1 << shift) >> 1)
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Cells) {
        for (cell, count) in other.iter() {
            self.put(cell, count);
        }
    }

    fn put(&mut self, cell: u16, count: u32) {
        match self.0.binary_search_by_key(&cell, |&(cell, _)| cell) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (cell, count)),
        }
    }
}

/// The cell of a duration. Below 2^3 each value has its own; from there on the leading four bits choose it.
#[must_use]
pub fn cell(ns: u64) -> u16 {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION + 1);
    // At most 60 * 8 + 15.
    ((u64::from(shift) << PRECISION) + (ns >> shift)) as u16
}

/// One slice of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The revision at which it changed last.
    pub changed: u64,
    /// Requests whose first byte was seen in it.
    pub requests: u64,
    /// Of these, answered with an error.
    pub errors: u64,
    /// Of these, owed a response, and without one; not those whose response could still have come, or came unseen.
    pub unanswered: u64,
    /// Payload of its requests and their responses.
    pub bytes: u64,
    /// Segments that were repeated while its requests ran.
    pub retransmits: u64,
    /// Attempts to connect that began in it, by [`Outcome`]; not those of `undecided`.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Attempts that were too young to tell when the observation ended.
    pub undecided: u64,
    /// Where the time of its requests went, in ns, in the order of [`Verdict::ALL`].
    pub budget_ns: [u64; Verdict::ALL.len()],
    /// How long those took that were answered.
    pub latency: Cells,
    /// Attempts that were established: first SYN to the ACK that did it.
    pub connect: Cells,
}

impl Slot {
    /// Attempts and requests.
    fn records(&self) -> u64 {
        self.requests + self.undecided + self.outcomes.iter().sum::<u64>()
    }

    fn merge(&mut self, other: &Slot) {
        let Slot {
            changed,
            requests,
            errors,
            unanswered,
            bytes,
            retransmits,
            outcomes,
            undecided,
            budget_ns,
            latency,
            connect,
        } = other;
        self.changed = self.changed.max(*changed);
        self.requests += requests;
        self.errors += errors;
        self.unanswered += unanswered;
        self.bytes = self.bytes.saturating_add(*bytes);
        self.retransmits += retransmits;
        for (sum, more) in self.outcomes.iter_mut().zip(outcomes) {
            *sum += more;
        }
        self.undecided += undecided;
        for (sum, more) in self.budget_ns.iter_mut().zip(budget_ns) {
            *sum = sum.saturating_add(*more);
        }
        self.latency.merge(latency);
        self.connect.merge(connect);
    }
}

/// What happened when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// By number: start / width.
    slots: BTreeMap<i64, Slot>,
    /// From the first to the last.
    most: i64,
    /// Which of [`WIDTHS_NS`].
    width: usize,
    /// The revision at which it got this width, or lost slices.
    pub(super) renewed: u64,
    /// Attempts and requests so far from the rest that no width holds both.
    pub beyond: u64,
}

impl Course {
    /// Nothing yet; at most so many slices, those without anything among them.
    #[must_use]
    pub fn new(most: i64) -> Course {
        Course {
            slots: BTreeMap::new(),
            most,
            width: 0,
            renewed: 0,
            beyond: 0,
        }
    }

    /// Counts one attempt.
    pub fn attempt(&mut self, handshake: &Handshake, revision: u64) {
        let Some(slot) = self.at(handshake.time, revision) else {
            self.beyond += 1;
            return;
        };
        if is_undecided(handshake) {
            slot.undecided += 1;
            return;
        }
        slot.outcomes[handshake.outcome as usize] += 1;
        if let (Outcome::Established, Some(span)) = (handshake.outcome, handshake.handshake_us) {
            slot.connect.add(span);
        }
    }

    /// Counts one request.
    pub fn request(&mut self, request: &Request<'_>, revision: u64) {
        let Some(slot) = self.at(request.time, revision) else {
            self.beyond += 1;
            return;
        };
        slot.requests += 1;
        match request.status {
            Status::Error => slot.errors += 1,
            Status::Unanswered => slot.unanswered += u64::from(!requests::is_undecided(request)),
            Status::Ok | Status::None => {}
        }
        let bytes = request.request_bytes.saturating_add(request.response_bytes);
        slot.bytes = slot.bytes.saturating_add(bytes);
        slot.retransmits += request.retransmits;
        if let Some(budget) = budget(request) {
            for (sum, part) in slot.budget_ns.iter_mut().zip(budget) {
                *sum = sum.saturating_add(part.ns());
            }
        }
        if request.status != Status::Unanswered
            && let Some(span) = took(request).or_else(|| latency(request))
        {
            slot.latency.add(span);
        }
    }

    /// Counts everything that `other` counted.
    pub(super) fn merge(&mut self, other: &Course, revision: u64) {
        self.beyond += other.beyond;
        let width = WIDTHS_NS[other.width];
        for (number, slot) in &other.slots {
            match self.at(Timestamp(number.saturating_mul(width)), revision) {
                Some(mine) => mine.merge(slot),
                None => self.beyond += slot.records(),
            }
        }
        while self.width < other.width {
            self.widen(revision);
        }
    }

    /// How long a slice is.
    #[must_use]
    pub fn width_ns(&self) -> i64 {
        WIDTHS_NS[self.width]
    }

    /// Whether who knows it as it was at a revision has to forget all of that.
    #[must_use]
    pub fn is_new_since(&self, revision: u64) -> bool {
        self.renewed > revision || revision == 0
    }

    /// The slices with anything in them, ascending, with their number: each begins at its number times the width.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Slot)> {
        self.slots.iter().map(|(&number, slot)| (number, slot))
    }

    /// The slice of a moment; `None` if even the widest slices do not reach from there to the rest.
    fn at(&mut self, time: Timestamp, revision: u64) -> Option<&mut Slot> {
        loop {
            let number = time.0.div_euclid(WIDTHS_NS[self.width]);
            let first = self.slots.keys().next().map_or(number, |&n| n.min(number));
            let last = self.slots.keys().next_back();
            let last = last.map_or(number, |&n| n.max(number));
            if last - first < self.most {
                let slot = self.slots.entry(number).or_default();
                slot.changed = revision;
                return Some(slot);
            }
            if self.width + 1 == WIDTHS_NS.len() {
                return None;
            }
            self.widen(revision);
        }
    }

    fn widen(&mut self, revision: u64) {
        let factor = WIDTHS_NS[self.width + 1] / WIDTHS_NS[self.width];
        self.width += 1;
        self.renewed = revision;
        for (number, slot) in std::mem::take(&mut self.slots) {
            let into = self.slots.entry(number.div_euclid(factor)).or_default();
            into.merge(&slot);
        }
    }
}

/// Whether an attempt failed; one too young to tell has not.
pub(super) fn is_failure(handshake: &Handshake) -> bool {
    !matches!(handshake.outcome, Outcome::Established | Outcome::OneSided)
        && !is_undecided(handshake)
}

/// Whether a request was not answered well; one whose answer could still have come was not answered badly.
pub(super) fn is_trouble(request: &Request<'_>) -> bool {
    matches!(request.status, Status::Error | Status::Unanswered) && !requests::is_undecided(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn low(cell: u16) -> u64 {
        let shift = u64::from(cell >> PRECISION).saturating_sub(1);
        (u64::from(cell) - (shift << PRECISION)) << shift
    }

    #[test]
    fn every_duration_lies_in_its_cell_and_cells_are_an_eighth_wide() {
        for shift in 0..63 {
            for ns in [
                1_u64 << shift,
                (1 << shift) + 1,
                (1_u64 << shift).wrapping_mul(2) - 1,
            ] {
                let cell = cell(ns);
                let (from, to) = (low(cell), low(cell + 1));
                let middle = Cells::middle(cell);
                assert!(from <= middle && middle < to, "{ns} {from} {middle} {to}");
                assert!(from <= ns && ns < to, "{ns} {from} {to}");
                assert!((to - from) <= (from / 8).max(1), "{ns} {from} {to}");
            }
        }
    }

    #[test]
    fn slices_grow_with_their_time_and_lose_nothing() {
        let mut course = Course::new(60);
        for (at, revision) in [(0, 1), (59_000_000, 2), (3600 * SECOND, 3)] {
            let slot = course.at(Timestamp(at), revision).unwrap();
            slot.requests += 1;
        }
        assert_eq!(course.width_ns(), 300 * SECOND);
        let slots: Vec<_> = course
            .iter()
            .map(|(n, slot)| (n, slot.requests, slot.changed))
            .collect();
        assert_eq!(slots, [(0, 2, 2), (12, 1, 3)]);
        assert!(course.is_new_since(2) && !course.is_new_since(3));
    }

    #[test]
    fn what_no_slice_holds_is_counted_once_also_where_courses_are_merged() {
        let far = WIDTHS_NS[WIDTHS_NS.len() - 1] * 100;
        let one = |at: i64| {
            let mut course = Course::new(60);
            let slot = course.at(Timestamp(at), 1).unwrap();
            slot.requests = 3;
            slot.undecided = 1;
            slot.outcomes[Outcome::Refused as usize] = 2;
            course
        };
        let mut course = one(0);
        assert!(course.at(Timestamp(far), 1).is_none());
        assert_eq!(course.beyond, 0);
        course.merge(&one(far), 2);
        assert_eq!(course.beyond, 6);
        let requests: u64 = course.iter().map(|(_, slot)| slot.requests).sum();
        assert_eq!(requests, 3);
    }
}
