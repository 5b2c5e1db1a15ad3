//! Plots of a result in a terminal: a bar per row, a divided bar per row, a line of little columns over time for each series, a
//! heat map over time. Values are taken from columns by name; a result that lacks one of them has no plot.

use std::collections::BTreeMap;

use tcplens_core::time::{Span, Timestamp};

use super::machine::plain;
use super::people::Unit;
use super::{Column, Settings, Value};
use crate::bars::{Bar, Stack, scaled};
use crate::color::Paint;
use crate::glyphs::Glyphs;
use crate::human::Duration;
use crate::report::heat::Shades;
use crate::report::scale;

/// Bars, and lines over time, that are drawn; what is beyond is counted.
const MOST_ROWS: usize = 30;
/// Series of a line plot that are kept: those that come first.
const MOST_SERIES: usize = 1000;
/// Points that are kept of what goes over time; what comes later is counted.
const MOST_POINTS: usize = 200_000;
/// Columns of a label, at most.
const LABEL: usize = 44;
/// What a full bar stands for.
const FULL: u64 = 1_000_000;

/// What is drawn of a result. Columns are named as the query names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// A bar for each row.
    Bars {
        /// What it is called.
        labels: &'static [&'static str],
        /// How long it is.
        value: &'static str,
    },
    /// A bar for each row, all equally long, divided.
    Stack {
        /// What it is called.
        labels: &'static [&'static str],
        /// Its parts; a letter of each part's name fills it.
        parts: &'static [(&'static str, char)],
    },
    /// A line of little columns over time for each series, all to the same scale.
    Lines {
        /// When.
        time: &'static str,
        /// What a series is called.
        labels: &'static [&'static str],
        /// How high.
        value: &'static str,
    },
    /// Columns are time, rows durations, cells shaded by how many.
    Heat {
        /// When.
        time: &'static str,
        /// The shortest duration of the row.
        row: &'static str,
        /// How many.
        count: &'static str,
    },
}

/// The values that a plot needs, as they come.
#[derive(Debug)]
pub(super) struct Plotted {
    plot: Plot,
    labels: Vec<usize>,
    time: usize,
    /// Of `value`, `parts`, `row` and `count`.
    values: Vec<usize>,
    unit: Unit,
    title: String,
    rows: Vec<(String, Vec<f64>)>,
    rows_beyond: u64,
    series: BTreeMap<String, Series>,
    points: usize,
    points_beyond: u64,
}

#[derive(Debug, Default)]
struct Series {
    /// Its place among all, by when it came.
    place: usize,
    points: Vec<(Timestamp, [f64; 2])>,
}

impl Plotted {
    /// `None` if a column is missing.
    pub(super) fn new(plot: Plot, columns: &[Column]) -> Option<Plotted> {
        let find = |name: &str| columns.iter().position(|column| column.name == name);
        let find_all = |names: &[&str]| {
            names
                .iter()
                .map(|name| find(name))
                .collect::<Option<Vec<_>>>()
        };
        let (labels, time, values, shown) = match plot {
            Plot::Bars { labels, value } => (find_all(labels)?, 0, vec![find(value)?], value),
            Plot::Stack { labels, parts } => {
                let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
                (find_all(labels)?, 0, find_all(&names)?, parts.first()?.0)
            }
            Plot::Lines {
                time,
                labels,
                value,
            } => (find_all(labels)?, find(time)?, vec![find(value)?], value),
            Plot::Heat { time, row, count } => {
                (Vec::new(), find(time)?, find_all(&[row, count])?, row)
            }
        };
        let (unit, title) = Unit::of(shown);
        Some(Plotted {
            plot,
            labels,
            time,
            values,
            unit,
            title: title.replace('_', " "),
            rows: Vec::new(),
            rows_beyond: 0,
            series: BTreeMap::new(),
            points: 0,
            points_beyond: 0,
        })
    }

    pub(super) fn push(&mut self, row: &[Value]) {
        let number = |at: &usize| row.get(*at).and_then(Value::number);
        match self.plot {
            Plot::Bars { .. } | Plot::Stack { .. } if self.rows.len() >= MOST_ROWS => {
                self.rows_beyond += 1;
            }
            Plot::Bars { .. } | Plot::Stack { .. } => {
                let values = self
                    .values
                    .iter()
                    .map(|at| number(at).unwrap_or(0.0).max(0.0));
                self.rows.push((self.label(row), values.collect()));
            }
            Plot::Lines { .. } | Plot::Heat { .. } => {
                let Some(Value::Time(at)) = row.get(self.time) else {
                    return;
                };
                let Some(first) = self.values.first().and_then(number) else {
                    return;
                };
                let second = self.values.get(1).and_then(number).unwrap_or(0.0);
                let label = self.label(row);
                let is_new = !self.series.contains_key(&label);
                if self.points >= MOST_POINTS || (is_new && self.series.len() >= MOST_SERIES) {
                    self.points_beyond += 1;
                    return;
                }
                self.points += 1;
                let place = self.series.len();
                let series = self.series.entry(label).or_insert(Series {
                    place,
                    points: Vec::new(),
                });
                series.points.push((*at, [first, second]));
            }
        }
    }

    /// `10.0.0.1:6379 redis GET`: what is absent left out, a port behind its address.
    fn label(&self, row: &[Value]) -> String {
        let mut text = String::new();
        let names = match self.plot {
            Plot::Bars { labels, .. } | Plot::Stack { labels, .. } | Plot::Lines { labels, .. } => {
                labels
            }
            Plot::Heat { .. } => &[],
        };
        for (at, name) in self.labels.iter().zip(names) {
            let word = plain(row.get(*at).unwrap_or(&Value::Absent), ",");
            if word.is_empty() {
                continue;
            }
            if !text.is_empty() {
                let is_port = name.ends_with("_port");
                text.push(if is_port { ':' } else { ' ' });
            }
            text.push_str(&word.replace(char::is_control, "?"));
        }
        match text.char_indices().nth(LABEL) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// Draws it.
    pub(super) fn print(self, settings: &Settings, out: &mut Vec<u8>) {
        let width = settings.width.clamp(60, 200);
        let mut text = String::new();
        match self.plot {
            Plot::Bars { .. } => self.bars(&mut text, settings, width),
            Plot::Stack { parts, .. } => self.stack(&mut text, parts, settings, width),
            Plot::Lines { .. } => self.lines(&mut text, settings, width),
            Plot::Heat { .. } => self.heat(&mut text, settings, width),
        }
        if !text.is_empty() {
            out.push(b'\n');
            out.extend_from_slice(settings.glyphs.fit(&text).as_bytes());
        }
    }

    fn label_width(&self) -> usize {
        let rows = self.rows.iter().map(|(label, _)| label);
        let labels = rows.chain(self.series.keys());
        labels.map(|label| label.chars().count()).max().unwrap_or(0)
    }

    fn bars(&self, text: &mut String, settings: &Settings, width: usize) {
        let max = self
            .rows
            .iter()
            .map(|(_, values)| values[0])
            .fold(0.0, f64::max);
        if max <= 0.0 {
            return;
        }
        let label = self.label_width();
        let bar = width.saturating_sub(label + 2 + 12).max(10);
        for (name, values) in &self.rows {
            let drawn = Bar {
                value: share(values[0], max),
                max: FULL,
                width: bar,
            };
            let value = self.unit.show(&Value::Float(values[0])).unwrap_or_default();
            let line = format!("{name:label$} {value:>11} {}", drawn.with(settings.glyphs));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        self.beyond(text, "rows are not drawn");
    }

    fn stack(&self, text: &mut String, parts: &[(&str, char)], settings: &Settings, width: usize) {
        let label = self.label_width();
        let bar = width.saturating_sub(label + 2 + 10).max(10);
        let mut used = vec![false; parts.len()];
        for (name, values) in &self.rows {
            let sum: f64 = values.iter().sum();
            if sum <= 0.0 {
                continue;
            }
            let shares: Vec<_> = values.iter().map(|&value| share(value, sum)).collect();
            let columns = Stack {
                parts: &shares,
                width: bar,
            };
            let total = self.unit.show(&Value::Float(sum)).unwrap_or_default();
            text.push_str(&format!("{name:label$} {total:>9} "));
            for (n, columns) in columns.columns().into_iter().enumerate() {
                used[n] |= columns > 0;
                let paint = [Paint::Plain, Paint::Yellow, Paint::Red, Paint::Green];
                let (before, after) = match settings.color {
                    true => paint[n % paint.len()].sequences(),
                    false => ("", ""),
                };
                if columns > 0 {
                    let fill = parts[n].1.to_string().repeat(columns);
                    text.push_str(&format!("{before}{fill}{after}"));
                }
            }
            text.push('\n');
        }
        let meanings = parts.iter().zip(&used).filter(|(_, used)| **used);
        let meanings: Vec<_> = meanings
            .map(|((name, letter), _)| format!("{letter} {}", Unit::of(name).1.replace('_', " ")))
            .collect();
        if !meanings.is_empty() {
            text.push_str(&format!("{}.\n", meanings.join(", ")));
        }
        self.beyond(text, "rows are not drawn");
    }

    fn lines(&self, text: &mut String, settings: &Settings, width: usize) {
        let label = self.label_width();
        let room = width.saturating_sub(label + 1 + 10 + 1).max(20);
        let Some(slots) = Slots::of(self.series.values(), room) else {
            return;
        };
        let mut series: Vec<_> = self.series.iter().collect();
        series.sort_by_key(|(_, series)| series.place);
        let highest = |series: &Series| {
            let values = series.points.iter().map(|(_, values)| values[0]);
            values.fold(0.0, f64::max)
        };
        let max = series
            .iter()
            .map(|(_, series)| highest(series))
            .fold(0.0, f64::max);
        for (name, series) in series.iter().take(MOST_ROWS) {
            let mut cells: Vec<Option<f64>> = vec![None; slots.count];
            for (at, values) in &series.points {
                if let Some(cell) = cells.get_mut(slots.of_time(*at)) {
                    *cell = Some(cell.unwrap_or(0.0).max(values[0]));
                }
            }
            let most = self
                .unit
                .show(&Value::Float(highest(series)))
                .unwrap_or_default();
            let mut line = format!("{name:label$} {most:>10} ");
            for cell in cells {
                let height = match cell {
                    None => ' ',
                    Some(value) => height(scaled(share(value, max), FULL, 8), settings.glyphs),
                };
                line.extend(std::iter::repeat_n(height, slots.wide));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        slots.axis(text, label + 12, settings);
        let highest = self.unit.show(&Value::Float(max)).unwrap_or_default();
        text.push_str(&format!(
            "{} over time: a column is {}, its height the largest {} in it, a full one {highest}; the number is the largest of a line.\n",
            self.title,
            Duration(Span::from_ns(slots.slot.unsigned_abs())),
            self.title,
        ));
        if series.len() > MOST_ROWS {
            text.push_str(&format!(
                "{} more lines are not drawn.\n",
                series.len() - MOST_ROWS
            ));
        }
        self.beyond(text, "points are not drawn");
    }

    fn heat(&self, text: &mut String, settings: &Settings, width: usize) {
        const NAME: usize = 10;
        let Some(slots) = Slots::of(self.series.values(), width - NAME - 1) else {
            return;
        };
        // Durations in ns or µs: whole numbers, which order as such.
        let mut rows: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (at, [row, count]) in self.series.values().flat_map(|series| &series.points) {
            let cells = rows
                .entry(row.max(0.0) as u64)
                .or_insert_with(|| vec![0; slots.count]);
            if let Some(cell) = cells.get_mut(slots.of_time(*at)) {
                *cell += count.max(0.0) as u64;
            }
        }
        let cells: Vec<_> = rows.values().cloned().collect();
        let shades = Shades::of(&cells, settings.glyphs);
        for (row, cells) in rows.iter().rev() {
            let name = self
                .unit
                .show(&Value::Float(*row as f64))
                .unwrap_or_default();
            let mut line = format!("{name:>width$} ", width = NAME - 1);
            line.push(if settings.glyphs == Glyphs::Unicode {
                '┤'
            } else {
                '|'
            });
            for &count in cells {
                line.extend(std::iter::repeat_n(shades.of_count(count), slots.wide));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        slots.axis(text, NAME + 1, settings);
        text.push_str(&format!(
            "A column is {}, a row what took so long or longer, {}.\n",
            Duration(Span::from_ns(slots.slot.unsigned_abs())),
            shades.legend("of them"),
        ));
        self.beyond(text, "points are not drawn");
    }

    fn beyond(&self, text: &mut String, what: &str) {
        let beyond = self.rows_beyond + self.points_beyond;
        if beyond > 0 {
            text.push_str(&format!("{beyond} more {what}.\n"));
        }
    }
}

/// Time, divided into columns.
struct Slots {
    from: Timestamp,
    /// Length of one, in ns.
    slot: i64,
    count: usize,
    /// Characters of one.
    wide: usize,
}

impl Slots {
    /// Of all these points in so many characters: one for each step of time, or several steps in one. `None` if there are fewer
    /// than two points in time.
    fn of<'a>(series: impl Iterator<Item = &'a Series>, room: usize) -> Option<Slots> {
        let points = series.flat_map(|series| &series.points);
        let mut times: Vec<_> = points.map(|(at, _)| at.0).collect();
        times.sort_unstable();
        times.dedup();
        let (&from, &to) = (times.first()?, times.last()?);
        let steps = times
            .windows(2)
            .filter_map(|pair| pair[1].checked_sub(pair[0]));
        let step = steps.min()?;
        let length = to.checked_sub(from)?.checked_add(step)?;
        let steps = usize::try_from(length / step).unwrap_or(usize::MAX);
        let together = steps.div_ceil(room.max(1));
        let count = steps.div_ceil(together);
        Some(Slots {
            from: Timestamp(from),
            slot: step.saturating_mul(i64::try_from(together).unwrap_or(i64::MAX)),
            count,
            wide: (room / count.max(1)).clamp(1, 3),
        })
    }

    fn of_time(&self, at: Timestamp) -> usize {
        let offset = at.0.saturating_sub(self.from.0) / self.slot;
        usize::try_from(offset).unwrap_or(usize::MAX)
    }

    /// The axis below, which begins at column `left`.
    fn axis(&self, text: &mut String, left: usize, settings: &Settings) {
        let is_unicode = settings.glyphs == Glyphs::Unicode;
        let wide = i64::try_from(self.wide).unwrap_or(1);
        let length = self.count * self.wide;
        let labels = scale::labels(
            self.from,
            length,
            self.slot / wide,
            settings.time,
            self.from,
        );
        let mut line = " ".repeat(left.saturating_sub(1));
        line.push(if is_unicode { '└' } else { '+' });
        let mut names = String::new();
        for column in 0..length {
            match labels.iter().find(|(at, _)| *at == column) {
                Some((_, name)) => {
                    line.push(if is_unicode { '┴' } else { '+' });
                    let used = names.chars().count();
                    names.push_str(&" ".repeat((left + column).saturating_sub(used)));
                    names.push_str(name);
                }
                None => line.push(if is_unicode { '─' } else { '-' }),
            }
        }
        text.push_str(&line);
        text.push('\n');
        if !names.is_empty() {
            text.push_str(&names);
            text.push('\n');
        }
    }
}

/// Of `max`, as parts of [`FULL`]; what is more than nothing is at least one part.
fn share(value: f64, max: f64) -> u64 {
    if value <= 0.0 || max <= 0.0 {
        return 0;
    }
    // Between 0 and FULL.
    ((value / max * FULL as f64) as u64).clamp(1, FULL)
}

/// A little column of so many eighths; zero is there, and has no height.
fn height(eighths: usize, glyphs: Glyphs) -> char {
    let glyphs = match glyphs {
        Glyphs::Unicode => ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Glyphs::Ascii => ['_', '.', ',', ':', '-', '=', '+', '*', '#'],
    };
    glyphs[eighths.min(8)]
}
