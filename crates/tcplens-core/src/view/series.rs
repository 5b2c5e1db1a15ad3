//! What happened when: counts and latencies by slices of packet time. For plots: a heat map is its slices' histograms side by
//! side. Bounded: at most [`SLICES`] slices, whose width grows with the time they span; exactly mergeable, whatever the order,
//! for slices lie at multiples of their width since 1970, and each width divides the next.

use std::collections::BTreeMap;

use super::Histogram;
use super::requests::{self, latency, took};
use crate::batch::AnyRecord;
use crate::record::{Handshake, Outcome, Request, Status};
use crate::time::{SECOND, Span, Timestamp};
use crate::view::is_undecided;

/// Most slices, from the first to the last, those without anything among them. Chosen: as many as a plot has columns.
pub const SLICES: i64 = 240;

/// Their widths in ns: the first that holds all in [`SLICES`] slices.
pub const WIDTHS_NS: [i64; 18] = {
    let ms = SECOND / 1000;
    let minute = 60 * SECOND;
    let day = 1440 * minute;
    [
        ms,
        5 * ms,
        10 * ms,
        50 * ms,
        100 * ms,
        500 * ms,
        SECOND,
        5 * SECOND,
        10 * SECOND,
        30 * SECOND,
        minute,
        5 * minute,
        10 * minute,
        30 * minute,
        60 * minute,
        240 * minute,
        720 * minute,
        day,
    ]
};

/// One slice of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Requests whose first byte was seen in it.
    pub requests: u64,
    /// Of these, answered with an error.
    pub errors: u64,
    /// Of these, owed a response, and without one (cut off by the end of the observation: not among them).
    pub unanswered: u64,
    /// How long those took that were answered: see [`took`].
    pub latency: Histogram,
    /// Attempts to connect that began in it.
    pub attempts: u64,
    /// Of these, failed (too young to tell: not among them).
    pub failed: u64,
    /// Of these, established: first SYN to the ACK that did it.
    pub connect: Histogram,
    /// Payload of its requests and their responses.
    pub bytes: u64,
    /// Segments that were repeated while its requests ran.
    pub retransmits: u64,
}

impl Slice {
    fn merge(&mut self, other: &Slice) {
        let Slice {
            requests,
            errors,
            unanswered,
            latency,
            attempts,
            failed,
            connect,
            bytes,
            retransmits,
        } = other;
        self.requests += requests;
        self.errors += errors;
        self.unanswered += unanswered;
        self.latency.merge(latency);
        self.attempts += attempts;
        self.failed += failed;
        self.connect.merge(connect);
        self.bytes = self.bytes.saturating_add(*bytes);
        self.retransmits += retransmits;
    }
}

/// What a series takes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) time: Timestamp,
    pub(super) status: Status,
    /// The observation ended, or lost bytes, before an answer could have been seen.
    pub(super) is_undecided: bool,
    /// See [`took`].
    pub(super) took: Option<Span>,
    pub(super) bytes: u64,
    pub(super) retransmits: u64,
}

impl Asked {
    pub(super) fn of(request: &Request<'_>) -> Asked {
        Asked {
            time: request.time,
            status: request.status,
            is_undecided: requests::is_undecided(request),
            took: took(request).or_else(|| latency(request)),
            bytes: request.request_bytes.saturating_add(request.response_bytes),
            retransmits: request.retransmits,
        }
    }
}

/// What it takes of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) time: Timestamp,
    pub(super) has_failed: bool,
    /// Of one that was established: how long that took.
    pub(super) connected: Option<Span>,
}

impl Attempt {
    pub(super) fn of(handshake: &Handshake) -> Attempt {
        let (has_failed, connected) = match handshake.outcome {
            Outcome::Established => (false, handshake.handshake_us),
            Outcome::OneSided => (false, None),
            Outcome::Refused
            | Outcome::Unreachable
            | Outcome::TimedOut
            | Outcome::Unanswered
            | Outcome::Aborted
            | Outcome::Reset
            | Outcome::Unacknowledged => (!is_undecided(handshake), None),
        };
        Attempt {
            time: handshake.time,
            has_failed,
            connected,
        }
    }
}

/// What happened when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// By number: start / width.
    slices: BTreeMap<i64, Slice>,
    /// Which of [`WIDTHS_NS`].
    width: usize,
    /// Records so far from the rest that no width holds both.
    pub beyond: u64,
}

impl Series {
    /// Counts one record; of connections nothing, for they have no one moment.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Request(request) => self.request(&request.record()),
            AnyRecord::Handshake(handshake) => self.attempt(&Attempt::of(handshake)),
            AnyRecord::Connection(_) => {}
        }
    }

    /// Counts one request.
    pub fn request(&mut self, request: &Request<'_>) {
        self.asked(&Asked::of(request));
    }

    pub(super) fn asked(&mut self, asked: &Asked) {
        let Some(slice) = self.at(asked.time) else {
            self.beyond += 1;
            return;
        };
        slice.requests += 1;
        match asked.status {
            Status::Error => slice.errors += 1,
            Status::Unanswered => {
                slice.unanswered += u64::from(!asked.is_undecided);
            }
            Status::Ok | Status::None => {}
        }
        slice.bytes = slice.bytes.saturating_add(asked.bytes);
        slice.retransmits += asked.retransmits;
        if asked.status != Status::Unanswered {
            asked
                .took
                .into_iter()
                .for_each(|span| slice.latency.add(span));
        }
    }

    pub(super) fn attempt(&mut self, attempt: &Attempt) {
        let Some(slice) = self.at(attempt.time) else {
            self.beyond += 1;
            return;
        };
        slice.attempts += 1;
        slice.failed += u64::from(attempt.has_failed);
        attempt
            .connected
            .into_iter()
            .for_each(|span| slice.connect.add(span));
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Series) {
        self.beyond += other.beyond;
        let width = WIDTHS_NS[other.width];
        for (number, slice) in &other.slices {
            match self.at(Timestamp(number.saturating_mul(width))) {
                Some(mine) => mine.merge(slice),
                None => self.beyond += slice.requests + slice.attempts,
            }
        }
        // What was finer than `other` fits its slices, so that the result does not depend on the order.
        while self.width < other.width {
            self.widen();
        }
    }

    /// How long a slice is.
    #[must_use]
    pub fn width(&self) -> Span {
        // No width is negative.
        Span::from_ns(WIDTHS_NS[self.width].unsigned_abs())
    }

    /// The slices with anything in them, ascending, with their beginnings.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, &Slice)> {
        let width = WIDTHS_NS[self.width];
        let slices = self.slices.iter();
        slices.map(move |(number, slice)| (Timestamp(number.saturating_mul(width)), slice))
    }

    /// From the first slice to the last, those without anything as `None`: at most [`SLICES`].
    pub fn dense(&self) -> impl Iterator<Item = (Timestamp, Option<&Slice>)> {
        let width = WIDTHS_NS[self.width];
        let ends = self
            .slices
            .keys()
            .next()
            .zip(self.slices.keys().next_back());
        let numbers = ends.map(|(&first, &last)| first..=last);
        numbers.into_iter().flatten().map(move |number| {
            let at = Timestamp(number.saturating_mul(width));
            (at, self.slices.get(&number))
        })
    }

    /// The slice of a moment; `None` if even the widest slices do not reach from there to the rest: then the caller counts in
    /// `beyond` what it had for it.
    fn at(&mut self, time: Timestamp) -> Option<&mut Slice> {
        loop {
            let number = time.0.div_euclid(WIDTHS_NS[self.width]);
            let first = self.slices.keys().next().map_or(number, |&n| n.min(number));
            let last = self.slices.keys().next_back();
            let last = last.map_or(number, |&n| n.max(number));
            if last - first < SLICES {
                return Some(self.slices.entry(number).or_default());
            }
            if self.width + 1 == WIDTHS_NS.len() {
                return None;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        let factor = WIDTHS_NS[self.width + 1] / WIDTHS_NS[self.width];
        self.width += 1;
        for (number, slice) in std::mem::take(&mut self.slices) {
            let into = self.slices.entry(number.div_euclid(factor)).or_default();
            into.merge(&slice);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[i64]) -> Series {
        let mut series = Series::default();
        for &time in times {
            match series.at(Timestamp(time)) {
                Some(slice) => slice.requests += 1,
                None => series.beyond += 1,
            }
        }
        series
    }

    #[test]
    fn each_width_divides_the_next() {
        for pair in WIDTHS_NS.windows(2) {
            assert!(pair[1] > pair[0] && pair[1] % pair[0] == 0, "{pair:?}");
        }
    }

    #[test]
    fn slices_grow_with_the_time_that_they_span_and_lose_nothing() {
        let mut series = of(&[0, 1_000_000, 239_000_000]);
        assert_eq!(series.width(), Span::from_ns(1_000_000));
        series.merge(&of(&[3600 * SECOND]));
        assert_eq!(series.width(), Span::from_ns(30 * SECOND as u64));
        let counts: Vec<_> = series.iter().map(|(at, it)| (at.0, it.requests)).collect();
        assert_eq!(counts, [(0, 3), (3600 * SECOND, 1)]);
        assert_eq!(series.dense().count(), 121);
    }

    #[test]
    fn what_no_width_holds_is_counted() {
        let series = of(&[0, i64::MAX]);
        assert_eq!((series.iter().count(), series.beyond), (1, 1));
    }

    #[test]
    fn merging_counts_what_no_width_holds_as_often_as_it_was_seen() {
        let mut series = of(&[0]);
        series.merge(&of(&[i64::MAX, i64::MAX, i64::MAX]));
        assert_eq!((series.iter().count(), series.beyond), (1, 3));
        series.merge(&of(&[0, i64::MAX]));
        assert_eq!((series.iter().count(), series.beyond), (1, 4));
    }

    #[test]
    fn a_request_and_an_attempt_that_no_width_holds_count_once_each() {
        let asked = |time| Asked {
            time: Timestamp(time),
            status: Status::Ok,
            is_undecided: false,
            took: None,
            bytes: 1,
            retransmits: 0,
        };
        let mut series = Series::default();
        series.asked(&asked(0));
        series.asked(&asked(i64::MAX));
        assert_eq!(series.beyond, 1);
        series.attempt(&Attempt {
            time: Timestamp(i64::MAX),
            has_failed: true,
            connected: None,
        });
        assert_eq!(series.beyond, 2);
    }

    proptest! {
        #[test]
        fn merging_is_the_same_as_counting_together(
            a in prop::collection::vec(-(1_i64 << 45)..(1_i64 << 45), 0..30),
            b in prop::collection::vec(-(1_i64 << 40)..(1_i64 << 40), 0..30),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let mut reversed = of(&b);
            reversed.merge(&of(&a));
            prop_assert_eq!(&merged, &reversed);
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }
}
