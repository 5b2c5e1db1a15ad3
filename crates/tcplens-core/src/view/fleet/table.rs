//! Rows by key (servers, operations, hosts), each with its sum and its course in few slices. Bounded: where there are twice as many
//! as are shown, the half that matters least becomes part of the others. One of these that comes again has a row that begins
//! then; such rows say so.

use std::collections::BTreeMap;

use super::STRIP;
use super::sum::Sum;
use crate::time::Span;
use crate::view::page::Cells;

/// A slice of a row's course.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pip {
    /// Requests.
    pub many: u64,
    /// Attempts to connect.
    pub attempts: u64,
    /// Errors, requests without an answer, failed attempts.
    pub troubles: u64,
    /// How long requests took.
    pub latency: Cells,
}

impl Pip {
    pub(super) fn of(sum: &Sum) -> Pip {
        let mut latency = Cells::default();
        for (ns, count) in sum.latency.counts() {
            latency.add_times(Span::from_ns(ns), count);
        }
        Pip {
            many: sum.requests,
            attempts: sum.attempts,
            troubles: sum.troubles(),
            latency,
        }
    }

    fn merge(&mut self, other: &Pip) {
        self.many = self.many.saturating_add(other.many);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.troubles = self.troubles.saturating_add(other.troubles);
        self.latency.merge(&other.latency);
    }
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// All of it.
    pub sum: Sum,
    /// [`STRIP`] slices; none of a row that nothing was counted in.
    pub strip: Vec<Pip>,
    /// It may have been among the others before.
    pub is_late: bool,
}

impl Row {
    fn add(&mut self, sum: &Sum, pip: &Pip, at: usize) {
        self.strip.resize(STRIP, Pip::default());
        self.sum.merge(sum);
        if let Some(mine) = self.strip.get_mut(at) {
            mine.merge(pip);
        }
    }

    fn merge(&mut self, other: &Row) {
        self.strip.resize(STRIP, Pip::default());
        self.sum.merge(&other.sum);
        for (pip, more) in self.strip.iter_mut().zip(&other.strip) {
            pip.merge(more);
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Table<K> {
    rows: BTreeMap<K, Row>,
    others: Row,
    /// Rows that became part of the others, one that did so twice counting twice.
    joined: u64,
    most: usize,
}

impl<K: Ord + Clone> Table<K> {
    /// Without rows; at most `most` are shown, twice as many kept.
    pub(super) fn new(most: usize) -> Table<K> {
        Table {
            rows: BTreeMap::new(),
            others: Row::default(),
            joined: 0,
            most,
        }
    }

    /// Counts where it belongs; without a key among the others.
    pub(super) fn add(&mut self, key: Option<K>, sum: &Sum, pip: &Pip, at: usize) {
        let Some(key) = key else {
            self.others.add(sum, pip, at);
            return;
        };
        if !self.rows.contains_key(&key) && self.rows.len() >= 2 * self.most {
            self.keep(self.most);
        }
        let is_late = self.joined > 0;
        let row = self.rows.entry(key).or_insert_with(|| Row {
            is_late,
            ..Row::default()
        });
        row.add(sum, pip, at);
    }

    /// Nothing more comes: what is beyond the bound becomes part of the others.
    pub(super) fn finish(&mut self) {
        self.keep(self.most);
    }

    fn keep(&mut self, most: usize) {
        if self.rows.len() <= most {
            return;
        }
        let mut weights: Vec<_> = (self.rows.iter())
            .map(|(key, row)| (std::cmp::Reverse(row.sum.weight()), key.clone()))
            .collect();
        weights.sort_unstable();
        for (_, key) in weights.split_off(most) {
            if let Some(row) = self.rows.remove(&key) {
                self.others.merge(&row);
                self.joined += 1;
            }
        }
    }

    /// The rows, those that matter most first.
    #[must_use]
    pub fn rows(&self) -> Vec<(&K, &Row)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(key, row)| (std::cmp::Reverse(row.sum.weight()), *key));
        rows
    }

    /// All that has no row.
    #[must_use]
    pub fn others(&self) -> &Row {
        &self.others
    }

    /// How many rows became part of the others; one that did so again counts again.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.joined
    }
}
