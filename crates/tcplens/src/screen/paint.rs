//! From the state to characters: what all places have in common. The places are in table.rs, destination.rs, fields.rs, help.rs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span as Piece;
use tcplens_core::record::{GroupBy, Word};
use tcplens_core::time::{SECOND, Span};
use tcplens_core::view::top::Over;
use tcplens_output::human::Count;

use super::look::{Clock, Symbols, Tone};
use super::state::{LEAST, Place, State};
use super::{destination, fields, help, table};
use crate::cli::Theme;

/// What times of the first line are told to.
const SECOND_LONG: Span = Span::from_ns(SECOND.unsigned_abs());

/// Draws on a buffer, never beyond it.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    theme: Theme,
    /// The characters that draw.
    pub symbols: &'static Symbols,
    /// How times are shown.
    pub clock: &'a Clock,
}

impl<'a> Pen<'a> {
    /// On this buffer.
    pub(super) fn new(
        buffer: &'a mut Buffer,
        theme: Theme,
        symbols: &'static Symbols,
        clock: &'a Clock,
    ) -> Pen<'a> {
        Pen {
            buffer,
            theme,
            symbols,
            clock,
        }
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (u16, u16) {
        (self.buffer.area.width, self.buffer.area.height)
    }

    /// Writes text from a place on, in `width` columns at most; what finds no room is cut, and marked so. The column behind it.
    pub(super) fn text(&mut self, x: u16, y: u16, width: u16, text: &str, tone: Tone) -> u16 {
        let (columns, lines) = self.size();
        let width = width.min(columns.saturating_sub(x));
        if y >= lines || width == 0 {
            return x;
        }
        let style = self.theme.style(tone);
        let (end, _) = self
            .buffer
            .set_stringn(x, y, text, usize::from(width), style);
        if Piece::raw(text).width() > usize::from(width) {
            self.buffer
                .set_stringn(x + width - 1, y, self.symbols.cut, 1, style);
            return x + width;
        }
        end
    }

    /// Writes text that ends before column `end`.
    pub(super) fn right(&mut self, end: u16, y: u16, width: u16, text: &str, tone: Tone) {
        let wide = u16::try_from(Piece::raw(text).width()).unwrap_or(u16::MAX);
        let wide = wide.min(width).min(end);
        self.text(end - wide, y, wide, text, tone);
    }

    /// Gives a line another tone.
    pub(super) fn line(&mut self, y: u16, tone: Tone) {
        self.part(0, y, u16::MAX, tone);
    }

    /// Gives a part of a line another tone.
    pub(super) fn part(&mut self, x: u16, y: u16, width: u16, tone: Tone) {
        let area = Rect::new(x, y, width, 1).intersection(self.buffer.area);
        self.buffer.set_style(area, self.theme.style(tone));
    }

    /// Makes a part blank.
    pub(super) fn blank(&mut self, x: u16, y: u16, width: u16, height: u16) {
        let area = Rect::new(x, y, width, height).intersection(self.buffer.area);
        for position in area.positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.reset();
            }
        }
    }
}

/// Draws all of it.
pub(super) fn paint(state: &State, symbols: &'static Symbols, clock: &Clock, buffer: &mut Buffer) {
    let mut pen = Pen::new(buffer, state.theme, symbols, clock);
    let (width, height) = pen.size();
    if width < LEAST.0 || height < LEAST.1 {
        too_small(&mut pen);
        return;
    }
    if let Some(at) = state.help {
        title(state, &mut pen);
        help::paint(state, at, &mut pen);
        return;
    }
    title(state, &mut pen);
    match state.place {
        Place::Table => table::paint(state, &mut pen),
        Place::Destination => destination::paint(state, &mut pen),
        Place::Record(subject) => fields::paint(state, subject, &mut pen),
    }
    bottom(state, &mut pen);
    if let Some(at) = state.menu {
        menu(at, &mut pen);
    }
}

fn too_small(pen: &mut Pen<'_>) {
    let (width, height) = pen.size();
    let (least_width, least_height) = LEAST;
    let lines = [
        format!("{width}x{height} is too small"),
        format!("at least {least_width}x{least_height}"),
        "q ends".to_owned(),
    ];
    for (y, line) in (0..height).zip(&lines) {
        pen.text(0, y, width, line, Tone::Plain);
    }
}

/// What is looked at, and how well that goes.
fn title(state: &State, pen: &mut Pen<'_>) {
    let (width, _) = pen.size();
    let dot = pen.symbols.dot;
    pen.line(0, Tone::Title);
    let (health, is_loss) = health(state);
    let mut end = width;
    let tone = if is_loss { Tone::Alarm } else { Tone::Title };
    let health = format!(" {health} ");
    let room = width / 2;
    pen.right(end, 0, room, &health, tone);
    end -= u16::try_from(Piece::raw(health.as_str()).width())
        .unwrap_or(room)
        .min(room);
    for (is_so, text) in [
        (state.is_frozen(), " FROZEN ".to_owned()),
        (
            state.silent_s > 1,
            format!(" no answer for {} s ", state.silent_s),
        ),
    ] {
        if is_so {
            pen.right(end, 0, end, &text, Tone::Alarm);
            end = end.saturating_sub(u16::try_from(text.len()).unwrap_or(0));
        }
    }
    let span = state
        .snapshot
        .as_ref()
        .and_then(|snapshot| snapshot.totals.window_us);
    let span = span.map(|span| pen.symbols.span(span));
    let over = match (state.over, span) {
        (Over::Window, Some(span)) => format!("last {span}"),
        (Over::Window, None) => "window".to_owned(),
        (Over::Start, Some(span)) => format!("since start {span}"),
        (Over::Start, None) => "since start".to_owned(),
    };
    let at = state
        .at()
        .map(|at| format!("to {}", pen.clock.of_slice(at, SECOND_LONG)));
    let source = pen.symbols.printable(state.source.clone());
    let parts = [
        Some(source),
        Some(format!("by {}", name(state.by))),
        Some(over),
        at,
    ];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(dot);
    pen.text(
        0,
        0,
        end.saturating_sub(1),
        &format!(" {text}"),
        Tone::Title,
    );
}

/// How well the observation itself goes, and whether it lost something.
fn health(state: &State) -> (String, bool) {
    let facts = &state.facts;
    let losses = [
        (
            facts.drops,
            if facts.are_events {
                "events dropped"
            } else {
                "packets dropped"
            },
        ),
        (facts.records_dropped, "records dropped"),
        (facts.evicted, "connections evicted"),
    ];
    let lost: Vec<_> = losses
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", Count(*n)))
        .collect();
    if !lost.is_empty() {
        return (format!("! {}", lost.join(", ")), true);
    }
    let all = state
        .snapshot
        .as_ref()
        .map_or(0, |snapshot| snapshot.totals.capture_losses);
    if all > 0 {
        return (format!("! capture loss in {} records", Count(all)), true);
    }
    let what = if facts.are_events {
        "events"
    } else {
        "packets"
    };
    let counted = facts
        .packets
        .map(|n| format!("{} {what}, none lost", Count(n)));
    let read = match facts.is_over {
        true => Some("all read".to_owned()),
        false => counted.is_none().then(|| "reading".to_owned()),
    };
    let parts = [counted, read];
    (
        parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        false,
    )
}

/// What the rows are, as a word.
pub(super) fn name(by: GroupBy) -> &'static str {
    by.word().unwrap_or_default()
}

/// What is typed or said, or where this is among how much.
fn bottom(state: &State, pen: &mut Pen<'_>) {
    let (width, height) = pen.size();
    let y = height - 1;
    if let Some(input) = &state.input {
        let y = y - state.input_lines();
        pen.blank(0, y, width, 1 + state.input_lines());
        let x = pen.text(0, y, 2, "/ ", Tone::Note);
        let room = usize::from(width - x).saturating_sub(1);
        // What is typed last is seen.
        let from = (input.cursor() + 1).saturating_sub(room);
        let text: String = input.text().chars().skip(from).collect();
        let text = pen.symbols.printable(text);
        let end = pen.text(x, y, width - x, &text, Tone::Plain);
        let shown = u16::try_from(input.cursor() - from).unwrap_or(0);
        pen.part(x + shown, y, 1, Tone::Title);
        match &state.error {
            None => {
                let hint = format!(
                    "{} of {} rows; Enter keeps, Esc clears",
                    state.count(),
                    known(state)
                );
                if usize::from(width - end) > hint.len() + 2 {
                    pen.right(width - 1, y, width, &hint, Tone::Dim);
                }
            }
            Some(error) => {
                let columns = |upto: usize| {
                    error
                        .expression
                        .get(..upto)
                        .map_or(0, |text| text.chars().count())
                };
                let lead = input
                    .text()
                    .chars()
                    .take_while(|c| c.is_whitespace())
                    .count();
                let start = (columns(error.at.start) + lead).saturating_sub(from);
                let wide = columns(error.at.end)
                    .saturating_sub(columns(error.at.start))
                    .max(1);
                let start = u16::try_from(start).unwrap_or(0);
                pen.text(x + start, y + 1, width, &"^".repeat(wide), Tone::Bad);
                for (y, line) in (y + 2..).zip(state.error_lines()) {
                    let line = pen.symbols.printable(line);
                    pen.text(x, y, width - x, &line, Tone::Bad);
                }
            }
        }
        return;
    }
    if let Some(message) = state.unseen() {
        let text = pen.symbols.printable(format!("! {message}"));
        pen.text(0, y, width, &text, Tone::Note);
        return;
    }
    let (left, right) = match state.place {
        Place::Table => table::foot(state, pen.symbols),
        Place::Destination => (
            "Enter all of it, Tab next list, i numbers, w window, Esc back".to_owned(),
            "? help".to_owned(),
        ),
        Place::Record(_) => ("Esc back".to_owned(), "? help".to_owned()),
    };
    pen.right(width, y, width, &right, Tone::Dim);
    let wide = u16::try_from(Piece::raw(right.as_str()).width()).unwrap_or(width);
    let tone = if state.filter.is_some() && state.place == Place::Table {
        Tone::Note
    } else {
        Tone::Dim
    };
    let left = pen.symbols.printable(left);
    pen.text(0, y, width.saturating_sub(wide + 1), &left, tone);
}

/// All rows, those that do not pass among them.
pub(super) fn known(state: &State) -> usize {
    state.snapshot.as_ref().map_or(0, |snapshot| snapshot.known)
}

fn menu(at: usize, pen: &mut Pen<'_>) {
    let (x, y) = (2, 2);
    let lines = u16::try_from(GroupBy::ALL.len()).unwrap_or(u16::MAX);
    let wide = 16;
    pen.blank(x, y, wide, lines + 1);
    pen.text(x, y, wide, " rows by        ", Tone::Head);
    for ((row, by), n) in (y + 1..).zip(GroupBy::ALL).zip(0..) {
        let is_selected = n == at;
        let mark = if is_selected { ">" } else { " " };
        let tone = if is_selected {
            Tone::Selected
        } else {
            Tone::Plain
        };
        pen.text(x, row, wide, &format!(" {mark} {:<13}", name(*by)), tone);
    }
}

/// Text in lines of at most `width` columns, broken at blanks.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let is_full = lines.last().is_some_and(|line| {
            !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width
        });
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
