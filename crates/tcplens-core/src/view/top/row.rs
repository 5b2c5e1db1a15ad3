//! One row: what was counted before the window, and the slices of the window.

use std::collections::VecDeque;

use super::Over;
use super::tally::{Tally, What};
use crate::time::{Span, Timestamp};
use crate::view::Histogram;

/// Slices of a window: the last of them is the one that is being filled.
pub(super) const WINDOW_SLICES: i64 = 6;

/// See the module. What counts is added to one tally only, that of the slice: what is asked for is summed from three.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Everything before the window.
    past: Tally,
    /// `None` if nothing was counted in the window.
    recent: Option<Box<Recent>>,
    /// Connections that are open, of those told of in parts.
    pub(super) open: u64,
    /// Requests so far on each of these, where there are any, as ns.
    open_reuse: Option<Box<Histogram>>,
    /// The latest record's.
    pub(super) last: Timestamp,
    /// A quantile that was asked for, as long as nothing has changed: screens ask for the same one again and again.
    known: Option<(Quantile, Option<Span>)>,
}

/// Of which histogram, which one in a thousand, and over which time.
pub(super) type Quantile = (What, u64, Over);

#[derive(Clone, Debug, Default)]
struct Recent {
    /// The sum of all slices but the last.
    closed: Tally,
    /// With their numbers, ascending; never empty.
    slices: VecDeque<(i64, Tally)>,
}

impl Row {
    /// The slice `number`, to count in. Numbers never go back.
    pub(super) fn slice(&mut self, number: i64) -> &mut Tally {
        self.advance(number.saturating_sub(WINDOW_SLICES - 1));
        self.known = None;
        let recent = self.recent.get_or_insert_default();
        let is_new = recent.slices.back().is_none_or(|(last, _)| *last < number);
        if is_new {
            if let Some((_, last)) = recent.slices.back() {
                recent.closed.merge(last);
            }
            recent.slices.push_back((number, Tally::default()));
        }
        let last = recent.slices.len() - 1;
        &mut recent.slices[last].1
    }

    /// The window begins with slice `first` now: what is before it, leaves.
    pub(super) fn advance(&mut self, first: i64) {
        let Some(recent) = &mut self.recent else {
            return;
        };
        let is_over = recent.slices.back().is_none_or(|(last, _)| *last < first);
        if is_over {
            self.known = None;
            for (_, slice) in &recent.slices {
                self.past.merge(slice);
            }
            self.recent = None;
            return;
        }
        while recent
            .slices
            .front()
            .is_some_and(|(number, _)| *number < first)
        {
            let Some((_, slice)) = recent.slices.pop_front() else {
                break;
            };
            self.known = None;
            let closed = recent.slices.len().saturating_sub(1);
            let rest = recent.slices.iter().take(closed).map(|(_, tally)| tally);
            recent.closed.subtract(&slice, rest);
            self.past.merge(&slice);
        }
    }

    /// What to add up for its numbers.
    pub(super) fn tallies(&self, over: Over) -> impl Iterator<Item = &Tally> + Clone {
        let past = (over == Over::Start).then_some(&self.past);
        let recent = self.recent.as_deref().into_iter().flat_map(|recent| {
            let last = recent.slices.back().map(|(_, tally)| tally);
            std::iter::once(&recent.closed).chain(last)
        });
        past.into_iter().chain(recent)
    }

    /// Looks up a quantile for [`known`](Self::known).
    pub(super) fn know(&mut self, asked: Quantile) {
        if self.known.is_none_or(|(known, _)| known != asked) {
            self.known = Some((asked, self.quantile(asked)));
        }
    }

    /// A quantile, looked up if need be.
    pub(super) fn known(&self, asked: Quantile) -> Option<Span> {
        match self.known {
            Some((known, span)) if known == asked => span,
            Some(_) | None => self.quantile(asked),
        }
    }

    fn quantile(&self, (what, per_mille, over): Quantile) -> Option<Span> {
        quantile(self.tallies(over), what, per_mille)
    }

    pub(super) fn open_reuse(&self) -> Option<&Histogram> {
        self.open_reuse.as_deref()
    }

    /// Whether nothing happens there.
    pub(super) fn is_quiet(&self) -> bool {
        self.recent.is_none() && self.open == 0
    }

    /// One more connection is open, with so many requests so far.
    pub(super) fn opens(&mut self, requests: u64) {
        self.open += 1;
        if requests > 0 {
            let all = self.open_reuse.get_or_insert_default();
            all.add(Span::from_ns(requests));
        }
    }

    /// One of them is not any more.
    pub(super) fn closes(&mut self, requests: u64) {
        self.open = self.open.saturating_sub(1);
        if requests > 0
            && let Some(all) = &mut self.open_reuse
        {
            all.remove(Span::from_ns(requests));
            if all.count() == 0 {
                self.open_reuse = None;
            }
        }
    }

    /// Counts what `other` counted, which has no window any more.
    pub(super) fn take_over(&mut self, other: &Row) {
        debug_assert!(other.is_quiet(), "nothing that goes on is given up");
        self.past.merge(&other.past);
    }

    /// Connections that are open, of another row too.
    pub(super) fn add_open(&mut self, other: &Row) {
        self.open += other.open;
        if let Some(reuse) = &other.open_reuse {
            self.open_reuse.get_or_insert_default().merge(reuse);
        }
    }
}

/// A quantile of some tallies together.
pub(super) fn quantile<'t>(
    tallies: impl Iterator<Item = &'t Tally>,
    what: What,
    per_mille: u64,
) -> Option<Span> {
    Histogram::quantile_of(tallies.filter_map(|tally| tally.histogram(what)), per_mille)
}
