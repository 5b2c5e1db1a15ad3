//! What keys and the mouse do, place by place.

use ratatui::crossterm::event::{Event, KeyEvent, KeyEventKind, MouseButton, MouseEventKind};
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::GroupBy;
use tcplens_core::view::top::Over;

use super::super::columns::COLUMNS;
use super::super::input::{Input, Typed};
use super::super::keys::{Action, KEYS, MOUSE, action};
use super::{ABOVE, Effect, Frozen, Place, Position, State, Subject};

impl State {
    /// Takes a key, the mouse, or another size.
    pub(in super::super) fn on(&mut self, event: &Event) -> Effect {
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
                // The first line is a heading.
                let Some(at) = usize::from(line).checked_sub(from).filter(|at| *at > 0) else {
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
