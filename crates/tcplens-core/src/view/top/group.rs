//! The rows of one grouping. Bounded: where there is no room, rows at which nothing happens are given up, and what finds no
//! room even so is one row.

use std::collections::BTreeMap;

use super::RowKey;
use super::row::{Quantile, Row, WINDOW_SLICES};
use crate::record::GroupBy;
use crate::time::Timestamp;

/// A row's place; [`OTHERS`]: the row of what found none.
pub(super) type Index = u32;

/// Never a place: there are fewer rows.
pub(super) const OTHERS: Index = Index::MAX;

/// Slots for places that were looked up, at first and at most; powers of two. Chosen: with 48 bytes each, 1.5 MB.
const LEAST_FOUND: usize = 64;
const MOST_FOUND: usize = 32_768;

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) by: GroupBy,
    names: BTreeMap<RowKey, Index>,
    /// The places that were looked up last, by a hash of the key: most records find theirs here, for a fifth of what the tree takes.
    found: Vec<Option<(RowKey, Index)>>,
    /// With what tells a row from an earlier one at its place.
    rows: Vec<(u32, Row)>,
    free: Vec<Index>,
    made: u32,
    limit: usize,
    /// Slice in which rows were last given up.
    swept: Option<i64>,
    pub(super) others: Row,
    /// The connections of all rows together.
    pub(super) all: Row,
    /// Records that found no row.
    pub(super) refused: u64,
    /// Rows that were given up.
    pub(super) given_up: u64,
}

impl Group {
    pub(super) fn new(by: GroupBy, limit: usize) -> Group {
        Group {
            by,
            names: BTreeMap::new(),
            found: vec![None; LEAST_FOUND],
            rows: Vec::new(),
            free: Vec::new(),
            made: 0,
            limit: limit.clamp(1, OTHERS as usize - 1),
            swept: None,
            others: Row::default(),
            all: Row::default(),
            refused: 0,
            given_up: 0,
        }
    }

    /// The place of a row, made if need be; `slice` is the one of `now`.
    pub(super) fn place(&mut self, key: RowKey, (slice, now): (i64, Timestamp)) -> Index {
        let slot = key.hash() as usize & (self.found.len() - 1);
        if let Some((known, at)) = &self.found[slot]
            && *known == key
        {
            return *at;
        }
        if let Some(&at) = self.names.get(&key) {
            self.found[slot] = Some((key, at));
            return at;
        }
        if self.names.len() >= self.limit {
            self.sweep(slice);
        }
        if self.names.len() >= self.limit {
            self.refused += 1;
            return OTHERS;
        }
        self.make(key, now)
    }

    /// A row for whom something waits, if there is room for one: nothing is counted in it yet.
    pub(super) fn wait(&mut self, key: &RowKey, now: Timestamp) {
        if !self.names.contains_key(key) && self.names.len() < self.limit {
            self.make(key.clone(), now);
        }
    }

    fn make(&mut self, key: RowKey, now: Timestamp) -> Index {
        self.made = self.made.wrapping_add(1);
        let mut row = Row::default();
        row.last = now;
        let row = (self.made, row);
        let at = match self.free.pop() {
            Some(at) => {
                self.rows[at as usize] = row;
                at
            }
            None => {
                self.rows.push(row);
                // The limit is below it.
                (self.rows.len() - 1) as Index
            }
        };
        self.names.insert(key, at);
        // Twice as many as there are rows, so that few take each other's slot.
        if self.names.len() * 2 > self.found.len() && self.found.len() < MOST_FOUND {
            self.found = vec![None; self.found.len() * 2];
        }
        at
    }

    pub(super) fn row_mut(&mut self, at: Index) -> &mut Row {
        match self.rows.get_mut(at as usize) {
            Some((_, row)) => row,
            None => &mut self.others,
        }
    }

    /// The number of a row, never used twice (until 2^32 rows were made); 0 for that of others.
    pub(super) fn number(&self, at: Index) -> u32 {
        self.rows.get(at as usize).map_or(0, |(number, _)| *number)
    }

    pub(super) fn find(&self, key: &RowKey) -> Option<(u32, &Row)> {
        let at = *self.names.get(key)?;
        self.rows
            .get(at as usize)
            .map(|(number, row)| (*number, row))
    }

    /// All rows, ascending by key.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&RowKey, &Row)> {
        let row = |at: Index| self.rows.get(at as usize).map(|(_, row)| row);
        self.names
            .iter()
            .filter_map(move |(key, &at)| Some((key, row(at)?)))
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The window begins with that slice now.
    pub(super) fn advance(&mut self, first: i64) {
        self.rows.iter_mut().for_each(|(_, row)| row.advance(first));
        self.others.advance(first);
        self.all.advance(first);
    }

    /// Looks up a quantile of each row.
    pub(super) fn know(&mut self, asked: Quantile) {
        self.rows.iter_mut().for_each(|(_, row)| row.know(asked));
    }

    /// Gives up an eighth of the rows, those at which nothing has happened for longest; once a slice, for it takes a look at
    /// all of them.
    fn sweep(&mut self, slice: i64) {
        if self.swept == Some(slice) {
            return;
        }
        self.swept = Some(slice);
        self.advance(slice.saturating_sub(WINDOW_SLICES - 1));
        let quiet = self.rows().filter(|(_, row)| row.is_quiet());
        let mut quiet: Vec<_> = quiet.map(|(key, row)| (row.last, key.clone())).collect();
        quiet.sort();
        quiet.truncate(self.limit.div_ceil(8));
        self.found.fill(None);
        for (_, key) in quiet {
            if let Some(at) = self.names.remove(&key) {
                let row = std::mem::take(&mut self.rows[at as usize].1);
                self.others.take_over(&row);
                self.free.push(at);
                self.given_up += 1;
            }
        }
    }
}
