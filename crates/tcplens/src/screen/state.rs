//! What is shown and what was pressed: a state that keys, the mouse and answers change, and that knows neither a terminal nor
//! a thread. What it looks like: see `paint`.

use std::rc::Rc;

use ratatui::crossterm::event::{Event, KeyEvent, KeyEventKind, MouseButton, MouseEventKind};
use tcplens_core::filter::FilterError;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{GroupBy, Peer};
use tcplens_core::time::Timestamp;
use tcplens_core::view::top::{Detail, Marks, Over, RowKey, TopQuery, TopSnapshot};
use tcplens_output::values::{Value, Values, position};

use super::columns::{COLUMNS, Column, Percentile, pages, slowest_first};
use super::input::{Input, Typed};
use super::keys::{Action, KEYS, MOUSE, action};
use super::link::{Asked, Facts, Told};
use super::paint::wrapped;
use crate::cli::Theme;

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
    pub sort: Option<(&'static str, bool)>,
    /// Which rows.
    pub filter: Option<RecordFilter>,
    /// Its colours.
    pub theme: Theme,
    /// Which values are marked.
    pub marks: Marks,
    /// What is looked at: the first words on the screen.
    pub source: String,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct State {
    /// What is looked at.
    pub source: String,
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
    /// At the beginning.
    pub(super) fn new(begin: Begin, size: (u16, u16)) -> State {
        let sort = begin.sort.and_then(|(field, _)| {
            let of_field = |column: &Column| column.fields.iter().position(|of| *of == field);
            let mut columns = COLUMNS.iter().enumerate();
            columns.find_map(|(at, column)| Some((at, of_field(column)?)))
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
            by: begin.by,
            over: begin.over,
            sort: sort.map_or_else(slowest_first, |(at, _)| at),
            descending: begin.sort.is_none_or(|(_, descending)| descending),
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

    /// The terminal has this size from now on.
    pub(super) fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.page = self.page.min(self.pages().len() - 1);
        self.go(self.rows.at);
        self.is_stale = true;
    }

    /// Columns and lines.
    #[cfg(test)]
    pub(super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Rows on the screen.
    pub(super) fn height(&self) -> usize {
        usize::from(
            self.size
                .1
                .saturating_sub(ABOVE + BELOW + self.input_lines()),
        )
    }

    /// Lines below the rows that a filter takes.
    pub(super) fn input_lines(&self) -> u16 {
        if self.input.is_none() {
            return 0;
        }
        // What points at the word, and what is wrong with it.
        let lines = self.error_lines().len();
        u16::try_from(lines).map_or(0, |lines| if lines > 0 { lines + 1 } else { 0 })
    }

    /// What is wrong with what is typed.
    pub(super) fn error_lines(&self) -> Vec<String> {
        let Some(error) = &self.error else {
            return Vec::new();
        };
        let width = usize::from(self.size.0).saturating_sub(2);
        let mut lines = wrapped(&error.message, width);
        // Some rows are still to be seen.
        lines.truncate(3);
        lines
    }

    /// How wide a row's name is shown.
    pub(super) fn name_width(&self) -> u16 {
        match self.size.0 {
            width @ 0..100 => (width * 27 / 100).clamp(8, 21),
            100..160 => 26,
            _ => 40,
        }
    }

    /// Columns by page.
    pub(super) fn pages(&self) -> Vec<Vec<usize>> {
        pages(self.size.0.saturating_sub(self.name_width() + 1))
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

    /// Takes a key, the mouse, or another size.
    pub(super) fn on(&mut self, event: &Event) -> Effect {
        match event {
            Event::Key(press) if press.kind != KeyEventKind::Release => self.on_key(press),
            Event::Mouse(mouse) => {
                self.on_mouse(mouse.kind, mouse.column, mouse.row);
                Effect::None
            }
            Event::Resize(columns, lines) => {
                self.resize((*columns, *lines));
                Effect::Redraw
            }
            _ => Effect::None,
        }
    }

    fn on_key(&mut self, press: &KeyEvent) -> Effect {
        self.seen = self.message.as_ref().map_or(0, |(count, _)| *count);
        if self.input.is_some() {
            return self.on_input(press);
        }
        let Some(action) = action(press) else {
            return Effect::None;
        };
        match action {
            Action::Redraw => return Effect::Redraw,
            Action::Suspend => return Effect::Suspend,
            Action::Theme => {
                self.theme = self.theme.next();
                return Effect::None;
            }
            // What is open over the rest is closed first.
            Action::Quit
                if press.modifiers.is_empty() && (self.help.is_some() || self.menu.is_some()) =>
            {
                (self.help, self.menu) = (None, None);
                return Effect::None;
            }
            Action::Quit => return Effect::Quit,
            _ => {}
        }
        if let Some(at) = self.menu {
            self.on_menu(action, at);
        } else if let Some(at) = self.help {
            self.on_help(action, at);
        } else {
            match self.place {
                Place::Table => self.on_table(action),
                Place::Destination => self.on_destination(action),
                Place::Record(subject) => self.on_record(action, subject),
            }
        }
        Effect::None
    }

    fn on_input(&mut self, press: &KeyEvent) -> Effect {
        let Some(input) = &mut self.input else {
            return Effect::None;
        };
        let text = input.text();
        match input.on(press) {
            Typed::Quit => return Effect::Quit,
            Typed::Cleared => {
                self.input = None;
                self.error = None;
                self.filter = None;
            }
            // One that is wrong stays open: Enter would hide why nothing is filtered.
            Typed::Kept if self.error.is_some() => return Effect::None,
            Typed::Kept => {
                self.input = None;
                return Effect::None;
            }
            Typed::Changed if input.text() == text => return Effect::None,
            Typed::Changed => match input.filter() {
                Ok(filter) => (self.filter, self.error) = (filter, None),
                // Those that passed before, until it is right.
                Err(error) => {
                    (self.error, self.filter) = (Some(error), self.before.clone());
                }
            },
        }
        self.rows = Position::default();
        self.followed = None;
        self.changed();
        Effect::None
    }

    fn on_menu(&mut self, action: Action, at: usize) {
        let last = GroupBy::ALL.len() - 1;
        match action {
            Action::Up => self.menu = Some(at.saturating_sub(1)),
            Action::Down | Action::Group => {
                self.menu = Some(if at < last { at + 1 } else { 0 });
            }
            Action::First => self.menu = Some(0),
            Action::Last => self.menu = Some(last),
            Action::Open => {
                self.menu = None;
                self.group(GroupBy::ALL[at]);
            }
            Action::Back => self.menu = None,
            _ => {}
        }
    }

    fn group(&mut self, by: GroupBy) {
        if by == self.by {
            return;
        }
        self.by = by;
        self.frozen = None;
        self.snapshot = None;
        self.rows = Position::default();
        self.followed = None;
        self.changed();
    }

    fn on_help(&mut self, action: Action, at: usize) {
        let page = usize::from(self.size.1).saturating_sub(2).max(1);
        // A line each at least, and more where the screen is narrow: the rest is cut off when it is drawn.
        let last = (KEYS.len() + MOUSE.len() + COLUMNS.len()) * 4;
        let to = match action {
            Action::Up => at.saturating_sub(1),
            Action::Down => at + 1,
            Action::PageUp | Action::HalfUp => at.saturating_sub(page),
            Action::PageDown | Action::HalfDown => at + page,
            Action::First => 0,
            Action::Last => last,
            Action::Back | Action::Help | Action::Open => {
                self.help = None;
                return;
            }
            _ => at,
        };
        self.help = Some(to.min(last));
    }

    fn on_table(&mut self, action: Action) {
        match action {
            Action::Left => self.page = self.page.saturating_sub(1),
            Action::Right => self.page = (self.page + 1).min(self.pages().len() - 1),
            Action::SortNext => self.sort_by((self.sort + 1) % COLUMNS.len()),
            Action::SortPrevious => {
                self.sort_by((self.sort + COLUMNS.len() - 1) % COLUMNS.len());
            }
            Action::Reverse => {
                self.descending = !self.descending;
                self.changed();
            }
            Action::Group => {
                self.menu = GroupBy::ALL.iter().position(|by| *by == self.by);
            }
            Action::Filter => {
                self.before.clone_from(&self.filter);
                self.input = Some(Input::with(
                    self.filter.as_ref().map_or("", RecordFilter::text),
                ));
            }
            Action::Freeze => self.freeze(),
            Action::Open | Action::Fields => {
                if let Some((key, _)) = self.row(self.rows.at) {
                    self.key = Some(key.clone());
                    self.detail = None;
                    self.lines = Position::default();
                    self.scroll = 0;
                    self.place = match action {
                        Action::Fields => Place::Record(Subject::Peer),
                        _ => Place::Destination,
                    };
                    self.epoch += 1;
                    self.is_stale = true;
                }
            }
            Action::Back => {
                if self.filter.take().is_some() {
                    self.changed();
                }
            }
            Action::Help => self.help = Some(0),
            Action::Window => self.window(),
            Action::Percentile => self.next_percentile(),
            _ => {
                let to = target(action, self.rows.at, self.count(), self.height());
                if let Some(to) = to {
                    self.select(to);
                }
            }
        }
    }

    fn on_destination(&mut self, action: Action) {
        let count = self.line_count();
        match action {
            Action::Back | Action::Left => {
                self.place = Place::Table;
                self.key = None;
                self.detail = None;
                self.epoch += 1;
                self.is_stale = true;
            }
            Action::Open | Action::Right => {
                if let Some(subject) = self.subject(self.lines.at) {
                    self.scroll = 0;
                    self.place = Place::Record(subject);
                }
            }
            Action::Fields => {
                self.scroll = 0;
                self.place = Place::Record(Subject::Peer);
            }
            Action::NextList => {
                let slowest = self
                    .detail
                    .as_ref()
                    .map_or(0, |detail| detail.slowest.len());
                let is_in_first = self.lines.at < slowest;
                self.go_line(if is_in_first { slowest } else { 0 });
            }
            Action::Help => self.help = Some(0),
            Action::Freeze => self.freeze(),
            Action::Window => self.window(),
            Action::Percentile => self.next_percentile(),
            _ => {
                if let Some(to) = target(action, self.lines.at, count, self.lines_height()) {
                    self.go_line(to);
                }
            }
        }
    }

    fn on_record(&mut self, action: Action, subject: Subject) {
        let page = usize::from(self.size.1).saturating_sub(3).max(1);
        match action {
            Action::Back | Action::Left => {
                // Whose numbers were asked for in the table goes back there; its lines were never shown.
                let is_of_table = subject == Subject::Peer && self.lines == Position::default();
                self.place = if is_of_table {
                    Place::Table
                } else {
                    Place::Destination
                };
                if is_of_table {
                    (self.key, self.detail) = (None, None);
                    self.epoch += 1;
                    self.is_stale = true;
                }
            }
            Action::Help => self.help = Some(0),
            Action::Freeze => self.freeze(),
            Action::Window => self.window(),
            _ => {
                // The end is cut off when it is drawn.
                if let Some(to) = target(action, self.scroll, 1000, page) {
                    self.scroll = to;
                }
            }
        }
    }

    fn on_mouse(&mut self, kind: MouseEventKind, column: u16, line: u16) {
        if self.input.is_some() {
            return;
        }
        let action = match kind {
            MouseEventKind::ScrollUp => Action::Up,
            MouseEventKind::ScrollDown => Action::Down,
            MouseEventKind::Down(MouseButton::Right) => Action::Back,
            MouseEventKind::Down(MouseButton::Left) => {
                self.click(column, line);
                return;
            }
            _ => return,
        };
        let times = if action == Action::Back { 1 } else { 3 };
        for _ in 0..times {
            if let Some(at) = self.menu {
                self.on_menu(action, at);
            } else if let Some(at) = self.help {
                self.on_help(action, at);
            } else {
                match self.place {
                    Place::Table => self.on_table(action),
                    Place::Destination => self.on_destination(action),
                    Place::Record(subject) => self.on_record(action, subject),
                }
            }
        }
    }

    fn click(&mut self, column: u16, line: u16) {
        if self.menu.is_some() || self.help.is_some() {
            (self.menu, self.help) = (None, None);
            return;
        }
        match self.place {
            Place::Table if line + 1 == ABOVE - 1 => {
                if let Some(clicked) = self.column_at(column) {
                    if clicked == self.sort {
                        self.on_table(Action::Reverse);
                    } else {
                        self.sort_by(clicked);
                    }
                }
            }
            Place::Table if line >= ABOVE => {
                let row = self.rows.top + usize::from(line - ABOVE);
                if usize::from(line - ABOVE) >= self.height() || row >= self.count() {
                    return;
                }
                if row == self.rows.at && self.followed.is_some() {
                    self.on_table(Action::Open);
                } else {
                    self.select(row);
                    self.followed = self.row(row).map(|(key, _)| key.clone());
                }
            }
            Place::Destination => {
                let from = self.plots_height();
                let Some(at) = usize::from(line).checked_sub(from) else {
                    return;
                };
                match self.line_at(self.lines_skipped() + at) {
                    Some(to) if at < self.lines_height() && to == self.lines.at => {
                        self.on_destination(Action::Open);
                    }
                    Some(to) if at < self.lines_height() => self.go_line(to),
                    _ => {}
                }
            }
            Place::Table | Place::Record(_) => {}
        }
    }

    /// The column of the table at a column of the screen.
    fn column_at(&self, column: u16) -> Option<usize> {
        let mut from = self.name_width() + 1;
        let pages = self.pages();
        pages.get(self.page)?.iter().copied().find(|&at| {
            let to = from + COLUMNS[at].width;
            (std::mem::replace(&mut from, to)..to).contains(&column)
        })
    }

    fn sort_by(&mut self, column: usize) {
        self.sort = column;
        self.descending = true;
        // Where its values can be seen.
        let pages = self.pages();
        let shown = pages.iter().position(|page| page.contains(&column));
        self.page = shown.unwrap_or(self.page);
        self.changed();
    }

    fn freeze(&mut self) {
        self.frozen = match self.frozen {
            None => Some(Frozen::Wanted),
            Some(_) => None,
        };
        self.epoch += 1;
        self.is_stale = true;
    }

    fn window(&mut self) {
        self.over = match self.over {
            Over::Window => Over::Start,
            Over::Start => Over::Window,
        };
        self.frozen = None;
        self.changed();
    }

    fn next_percentile(&mut self) {
        self.percentile = self.percentile.next();
        self.changed();
    }

    /// Selects a row, and follows it from now on.
    fn select(&mut self, to: usize) {
        self.go(to);
        let row = self.row(self.rows.at).map(|(key, _)| key.clone());
        self.followed = row.filter(|_| self.rows.at > 0);
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

    /// Lines of a destination that can be selected.
    pub(super) fn line_count(&self) -> usize {
        let detail = self.detail.as_ref();
        detail.map_or(0, |detail| detail.slowest.len() + detail.connections.len())
    }

    /// What a line of a destination is.
    pub(super) fn subject(&self, line: usize) -> Option<Subject> {
        let detail = self.detail.as_ref()?;
        match line.checked_sub(detail.slowest.len()) {
            None => Some(Subject::Request(line)),
            Some(connection) if connection < detail.connections.len() => {
                Some(Subject::Connection(connection))
            }
            Some(_) => None,
        }
    }

    /// Lines of a destination on the screen: what its plots leave.
    pub(super) fn lines_height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(usize::from(BELOW) + self.plots_height())
    }

    /// Lines of the plots above them, with the title.
    pub(super) fn plots_height(&self) -> usize {
        let shades = self.shade_rows();
        // Title, what it is and what is wrong; then times and four sparklines; then a second line of what is wrong, three of
        // numbers, and the map, too.
        match self.size.1 {
            0..16 => 3,
            16..22 => 8,
            _ => 12 + shades,
        }
    }

    /// Lines of the heat map.
    pub(super) fn shade_rows(&self) -> usize {
        match self.size.1 {
            0..22 => 0,
            22..30 => 4,
            30..45 => 6,
            _ => 9,
        }
    }

    /// How many lines of a destination's lists are passed over, their headings among them.
    pub(super) fn lines_skipped(&self) -> usize {
        let slowest = self
            .detail
            .as_ref()
            .map_or(0, |detail| detail.slowest.len());
        let top = self.lines.top;
        // Where the second list begins its heading is shown.
        top + usize::from(top > 0 && top >= slowest)
    }

    /// Which line that can be selected is the `at`th of the lists, their headings among them.
    fn line_at(&self, at: usize) -> Option<usize> {
        let slowest = self
            .detail
            .as_ref()
            .map_or(0, |detail| detail.slowest.len());
        let line = match at.checked_sub(1)? {
            line if line < slowest => line,
            line if line == slowest => return None,
            line => line - 1,
        };
        (line < self.line_count()).then_some(line)
    }

    fn go_line(&mut self, to: usize) {
        let (count, height) = (self.line_count(), self.lines_height());
        // Headings are lines, too.
        self.lines.go(to, count, height.saturating_sub(2));
    }

    fn clamp_lines(&mut self) {
        self.go_line(self.lines.at);
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

/// Where a movement leads, if it is one.
fn target(action: Action, at: usize, count: usize, height: usize) -> Option<usize> {
    let last = count.saturating_sub(1);
    let page = height.saturating_sub(1).max(1);
    let to = match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => at + 1,
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => at + page,
        Action::HalfUp => at.saturating_sub(page.div_ceil(2)),
        Action::HalfDown => at + page.div_ceil(2),
        Action::First => 0,
        Action::Last => last,
        _ => return None,
    };
    Some(to.min(last))
}
