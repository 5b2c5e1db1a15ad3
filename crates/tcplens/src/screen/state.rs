//! What is shown and what was pressed: a state that keys, the mouse and answers change, and that knows neither a terminal nor
//! a thread. What it looks like: see `paint`.

use std::rc::Rc;

use tcplens_core::filter::FilterError;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{GroupBy, Peer};
use tcplens_core::time::Timestamp;
use tcplens_core::view::top::{Detail, Marks, Over, RowKey, TopQuery, TopSnapshot, share_of};
use tcplens_output::hosts::Hosts;
use tcplens_output::values::{Value, Values, position};

use super::columns::{COLUMNS, Column, Percentile, slowest_first};
use super::input::Input;
use super::labels;
use super::link::{Asked, Facts, Told};
use crate::cli::{Order, Theme};

mod press;
mod room;

/// The least terminal that shows a table.
pub(super) const LEAST: (u16, u16) = (40, 8);
/// Lines above the rows: title, groups, headings, the row of all.
pub(super) const ABOVE: u16 = 4;
/// Lines below them.
pub(super) const BELOW: u16 = 1;

/// What is to be done beyond drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Draw everything anew.
    Redraw,
    /// Stop, as of any program.
    Suspend,
    /// End.
    Quit,
}

/// Where the user is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// All destinations.
    Table,
    /// One of them.
    Destination,
    /// All of one line of it.
    Record(Subject),
}

/// What all fields are shown of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The destination itself.
    Peer,
    /// One of its slowest requests.
    Request(usize),
    /// One of its connections.
    Connection(usize),
}

/// Rows that are kept.
#[derive(Debug)]
enum Frozen {
    /// As soon as they are told.
    Wanted,
    /// These, all of them.
    Rows(Rc<Vec<(RowKey, Peer)>>),
}

/// A line that is selected, and the first that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Which.
    pub at: usize,
    /// The first on the screen.
    pub top: usize,
}

impl Position {
    /// Moves to a line, of so many, of which `height` are on the screen.
    fn go(&mut self, to: usize, count: usize, height: usize) {
        self.at = to.min(count.saturating_sub(1));
        let least = (self.at + 1).saturating_sub(height.max(1));
        self.top = self
            .top
            .clamp(least, self.at)
            .min(count.saturating_sub(height.max(1)).max(least));
    }
}

/// What it begins with.
#[derive(Clone, Debug)]
pub(super) struct Begin {
    /// What the rows are.
    pub by: GroupBy,
    /// Of which time.
    pub over: Over,
    /// The field of `peer` that orders, and whether the largest is first; else how long requests took.
    pub sort: Option<Order>,
    /// Which rows.
    pub filter: Option<RecordFilter>,
    /// Its colours.
    pub theme: Theme,
    /// Which values are marked.
    pub marks: Marks,
    /// What is looked at: the first words on the screen.
    pub source: String,
    /// What addresses are called.
    pub hosts: Hosts,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct State {
    /// What is looked at.
    pub source: String,
    /// What addresses are called.
    pub hosts: Hosts,
    /// What the rows are.
    pub by: GroupBy,
    /// Of which time.
    pub over: Over,
    /// Which of the columns orders.
    pub sort: usize,
    /// The largest first.
    pub descending: bool,
    /// Which rows.
    pub filter: Option<RecordFilter>,
    /// What is typed, while it is.
    pub input: Option<Input>,
    /// What is wrong with it.
    pub error: Option<FilterError>,
    /// The filter before it was typed.
    before: Option<RecordFilter>,
    /// Which percentile.
    pub percentile: Percentile,
    /// Its colours.
    pub theme: Theme,
    /// Which values are marked.
    pub marks: Marks,
    /// Which page of columns.
    pub page: usize,
    /// Where the user is.
    pub place: Place,
    /// Among all rows.
    pub rows: Position,
    /// The row that is followed wherever it goes; the first line is not, for it is the first that matters there.
    pub followed: Option<RowKey>,
    /// Among the lines of a destination.
    pub lines: Position,
    /// Which destination.
    pub key: Option<RowKey>,
    /// Lines passed over in a record, and in the help.
    pub scroll: usize,
    /// The help is open, so many lines passed over.
    pub help: Option<usize>,
    /// The menu of what the rows are, and the selected one.
    pub menu: Option<usize>,
    frozen: Option<Frozen>,
    /// What was told last.
    pub snapshot: Option<TopSnapshot>,
    /// Which row its first is.
    first: usize,
    /// What was told of the destination.
    pub detail: Option<Detail>,
    /// What is known of the observation.
    pub facts: Facts,
    /// What the program has said: the last message and how many there were.
    pub message: Option<(usize, String)>,
    /// How many of them were seen, by a key.
    pub seen: usize,
    /// What is asked for has changed since then.
    epoch: u64,
    /// Of the last answer.
    told_epoch: Option<u64>,
    is_stale: bool,
    size: (u16, u16),
    /// No answer for so many seconds.
    pub silent_s: u64,
}

impl State {
    /// What the destination that is looked at is called.
    pub(super) fn label(&self) -> String {
        let key = self.key.as_ref();
        key.map_or_else(String::new, |key| labels::row(key, &self.hosts))
    }

    /// At the beginning.
    pub(super) fn new(begin: Begin, size: (u16, u16)) -> State {
        let sort = begin.sort.and_then(|order| {
            let of_field = |column: &Column| column.fields.iter().position(|of| *of == order.field);
            let columns = COLUMNS.iter().enumerate();
            let mut columns = columns.filter_map(|(at, column)| Some((at, of_field(column)?)));
            let first = columns.next()?;
            // A number has no column of its own where only its share has one.
            let mut all = std::iter::once(first).chain(columns);
            Some(
                all.find(|(at, _)| COLUMNS[*at].is_share == order.by_share)
                    .unwrap_or(first),
            )
        });
        // Most columns have one field whatever the percentile.
        let percentile = sort.map_or(Percentile::default(), |(at, of)| {
            let is_one = COLUMNS[at].fields[0] == COLUMNS[at].fields[2];
            let all = [Percentile::P50, Percentile::P95, Percentile::P99];
            if is_one {
                Percentile::default()
            } else {
                all[of]
            }
        });
        State {
            source: begin.source,
            hosts: begin.hosts,
            by: begin.by,
            over: begin.over,
            sort: sort.map_or_else(slowest_first, |(at, _)| at),
            descending: begin.sort.is_none_or(|order| order.descending),
            filter: begin.filter,
            input: None,
            error: None,
            before: None,
            percentile,
            theme: begin.theme,
            marks: begin.marks,
            page: 0,
            place: Place::Table,
            rows: Position::default(),
            followed: None,
            lines: Position::default(),
            key: None,
            scroll: 0,
            help: None,
            menu: None,
            frozen: None,
            snapshot: None,
            first: 0,
            detail: None,
            facts: Facts::default(),
            message: None,
            seen: 0,
            epoch: 0,
            told_epoch: None,
            is_stale: true,
            size,
            silent_s: 0,
        }
    }

    /// How many rows there are that pass the filter.
    pub(super) fn count(&self) -> usize {
        self.snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.passing)
    }

    /// A row, if it has been told.
    pub(super) fn row(&self, at: usize) -> Option<&(RowKey, Peer)> {
        let snapshot = self.snapshot.as_ref()?;
        snapshot.rows.get(at.checked_sub(self.first)?)
    }

    /// Whether what is shown does not change by itself.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether something is asked for that was not told yet.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale || self.told_epoch != Some(self.epoch)
    }

    /// What is to be asked now, if anything; `is_time`: it is time for new numbers.
    pub(super) fn ask(&mut self, is_time: bool) -> Option<Asked> {
        let is_detail_missing = self.key.is_some() && self.detail.is_none();
        let is_wanted = match self.frozen {
            None => is_time || self.is_stale,
            Some(Frozen::Wanted) => true,
            Some(Frozen::Rows(_)) => is_detail_missing && (is_time || self.is_stale),
        };
        if !is_wanted {
            return None;
        }
        self.is_stale = false;
        Some(Asked {
            epoch: self.epoch,
            query: self.query(),
        })
    }

    /// What is asked for.
    pub(super) fn query(&self) -> TopQuery {
        let is_wanting = matches!(self.frozen, Some(Frozen::Wanted));
        let (skip, rows) = match (&self.frozen, &self.place) {
            // All of them: they are ordered and filtered here from then on.
            (Some(Frozen::Wanted), _) => (0, usize::MAX),
            (Some(Frozen::Rows(_)), _) => (0, 0),
            // A screen before and one behind, so that going there shows rows at once.
            (None, _) => (
                self.rows.top.saturating_sub(self.height()),
                self.height() * 3,
            ),
        };
        TopQuery {
            by: self.by,
            over: self.over,
            sort: COLUMNS[self.sort].field(self.percentile),
            by_share: COLUMNS[self.sort].is_share,
            descending: self.descending,
            filter: self.filter.clone().filter(|_| !is_wanting),
            skip,
            rows,
            detail: self.key.clone(),
        }
    }

    /// Takes an answer; false if it is of a question that nobody asks any more.
    pub(super) fn take(&mut self, told: Told) -> bool {
        self.facts = told.facts;
        self.silent_s = 0;
        self.told_epoch = Some(told.epoch);
        if told.epoch != self.epoch {
            self.is_stale = true;
            return false;
        }
        let mut snapshot = told.snapshot;
        if let Some(detail) = snapshot.detail.take()
            && self.key.as_ref() == Some(&detail.key)
        {
            self.detail = Some(detail);
            self.clamp_lines();
        }
        match self.frozen {
            Some(Frozen::Rows(_)) => {}
            Some(Frozen::Wanted) => {
                let rows = Rc::new(std::mem::take(&mut snapshot.rows));
                self.snapshot = Some(snapshot);
                self.frozen = Some(Frozen::Rows(rows));
                self.arrange();
            }
            None => {
                self.snapshot = Some(snapshot);
                self.first = told.skip;
                self.follow();
            }
        }
        true
    }

    /// Keeps to the row that is followed, if it is among those told; else to the line.
    fn follow(&mut self) {
        let is_it = |key: &RowKey| self.followed.as_ref() == Some(key);
        let rows = self.snapshot.iter().flat_map(|snapshot| &snapshot.rows);
        let at = rows.into_iter().position(|(key, _)| is_it(key));
        let to = at.map_or(self.rows.at, |at| self.first + at);
        self.go(to);
    }

    /// Orders and filters the rows that are kept.
    fn arrange(&mut self) {
        let (Some(Frozen::Rows(all)), Some(snapshot)) = (&self.frozen, &mut self.snapshot) else {
            return;
        };
        let field = COLUMNS[self.sort].field(self.percentile);
        let position = position::<Peer>(field).unwrap_or_default();
        let mut values = Values::default();
        let mut rows: Vec<_> = all
            .iter()
            .filter(|(_, peer)| {
                self.filter
                    .as_ref()
                    .is_none_or(|filter| filter.matches(peer))
            })
            .map(|(key, peer)| {
                if COLUMNS[self.sort].is_share {
                    let share = share_of(peer, field).map_or(Value::Absent, Value::Count);
                    return (share, key, peer);
                }
                values.read(peer);
                (values.at(position).clone(), key, peer)
            })
            .collect();
        rows.sort_by(|(a, a_key, _), (b, b_key, _)| {
            let is_absent = |value: &Value| *value == Value::Absent;
            let by_value = if self.descending {
                b.order(a)
            } else {
                a.order(b)
            };
            // What has none comes last, whichever end is first.
            (is_absent(a).cmp(&is_absent(b)))
                .then(by_value)
                .then_with(|| a_key.cmp(b_key))
        });
        snapshot.rows = rows
            .into_iter()
            .map(|(_, key, peer)| (key.clone(), peer.clone()))
            .collect();
        snapshot.passing = snapshot.rows.len();
        self.first = 0;
        self.follow();
    }

    /// What is asked for is another from now on.
    fn changed(&mut self) {
        self.epoch += 1;
        self.is_stale = true;
        self.arrange();
    }

    fn go(&mut self, to: usize) {
        let before = self.rows.top;
        let (count, height) = (self.count(), self.height());
        self.rows.go(to, count, height);
        let last = (self.rows.top + height).min(count);
        let is_known = (self.rows.top..last).all(|at| self.row(at).is_some());
        if self.rows.top != before && !is_known {
            self.is_stale = true;
        }
    }

    /// When what is shown was.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.snapshot.as_ref().and_then(|snapshot| snapshot.at)
    }

    /// Whether there is a message that was not seen.
    pub(super) fn unseen(&self) -> Option<&str> {
        let (count, text) = self.message.as_ref()?;
        (*count > self.seen).then_some(text.as_str())
    }
}
