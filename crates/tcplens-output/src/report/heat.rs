//! Heat maps in text: columns are slices of packet time, rows latencies in steps of 1, 2 and 5, cells shaded by how many there
//! are; below them, how many went wrong when. Shades are told apart without colour.

use std::fmt::Write;

use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::{Histogram, Series, Slice, thresholds};

use super::{Page, scale};
use crate::color::Paint;
use crate::glyphs::Glyphs;
use crate::human::{Count, Duration};

/// Columns of the labels on the left.
const LABEL: usize = 11;

/// Slices below which there is no course of time to show.
const LEAST_SLICES: usize = 5;

/// Rows above which each row is a power of ten.
const MOST_ROWS: u32 = 15;

/// What a map shows.
pub(super) struct Map {
    /// Heading.
    pub title: &'static str,
    /// What is counted, in the plural.
    pub what: &'static str,
    /// Of a slice.
    pub latency: fn(&Slice) -> &Histogram,
    /// Rows below it.
    pub marks: &'static [Mark],
}

/// A row of how many.
pub(super) struct Mark {
    /// At most 9 characters.
    pub name: &'static str,
    /// What is counted, in the legend's words.
    pub what: &'static str,
    /// How many of a slice.
    pub count: fn(&Slice) -> u64,
}

/// Draws a map, if there are slices enough.
pub(super) fn print(page: &mut Page<'_>, series: &Series, map: &Map) {
    let slices: Vec<_> = series.dense().collect();
    let (Some(&(from, _)), true) = (slices.first(), slices.len() >= LEAST_SLICES) else {
        return;
    };
    let width = page.width().min(200);
    let room = width.saturating_sub(LABEL + 1).max(1);
    let together = slices.len().div_ceil(room);
    let wide = (room / slices.len().div_ceil(together)).clamp(1, 6);
    let columns: Vec<Column> = slices
        .chunks(together)
        .map(|chunk| Column::of(chunk, map))
        .collect();
    let Some(rows) = Rows::of(&columns) else {
        return;
    };
    let cells: Vec<Vec<u64>> = columns.iter().map(|column| rows.cells(column)).collect();
    let shades = Shades::of(&cells, page.options.glyphs);

    page.heading(map.title, "");
    for row in (0..rows.count).rev() {
        let number = rows.first + row * rows.steps;
        let mut label = format!("{:>width$} ", scale::step_label(number), width = LABEL - 2);
        label.push(page.glyph('┤', '|'));
        page.text.push_str(&label);
        let mut line = String::new();
        for cells in &cells {
            let shade = shades.of_count(cells[row as usize]);
            line.extend(std::iter::repeat_n(shade, wide));
        }
        let is_slow = scale::step(number) >= thresholds::SLOW_NS;
        let paint = if is_slow { Paint::Yellow } else { Paint::Plain };
        let line = line.trim_end();
        if !line.is_empty() {
            page.painted(paint, line);
        }
        page.text.push('\n');
    }
    axis(page, from, &columns, wide, series.width(), together);
    let mut marks = Vec::new();
    for Mark { name, what, count } in map.marks {
        let counts: Vec<u64> = columns.iter().map(|column| column.sum(*count)).collect();
        if counts.iter().all(|&count| count == 0) {
            continue;
        }
        marks.push(*what);
        let mut line = String::new();
        for count in counts {
            let mark = match count {
                0 => ' ',
                1..10 => char::from(b'0' + u8::try_from(count).unwrap_or(9)),
                _ => '*',
            };
            line.push(mark);
            line.extend(std::iter::repeat_n(' ', wide - 1));
        }
        let _ = write!(page.text, "{name:>width$}  ", width = LABEL - 2);
        page.painted(Paint::Red, line.trim_end());
        page.text.push('\n');
    }
    let column = Duration(Span::from_ns(
        series.width().ns().saturating_mul(together as u64),
    ));
    let mut legend = format!(
        "A column is {column}, a row what took so long or longer, {}.",
        shades.legend(map.what)
    );
    if !marks.is_empty() {
        let _ = write!(
            legend,
            " Below: how many {} (* 10 or more).",
            marks.join(", ")
        );
    }
    if series.beyond > 0 {
        let _ = write!(
            legend,
            " Not shown: {}, too far away in time.",
            Count(series.beyond)
        );
    }
    page.prose("", &legend);
}

fn axis(
    page: &mut Page<'_>,
    from: Timestamp,
    columns: &[Column],
    wide: usize,
    slice: Span,
    together: usize,
) {
    let column_ns = slice.ns().saturating_mul(together as u64);
    // A column's cells are `wide` characters, and labels are placed by these.
    let character_ns = i64::try_from(column_ns / wide as u64).unwrap_or(i64::MAX);
    let origin = page.options.first_packet.unwrap_or(from);
    let style = page.options.time.style();
    let labels = scale::labels(from, columns.len() * wide, character_ns, style, origin);
    let mut line = " ".repeat(LABEL - 1);
    line.push(page.glyph('└', '+'));
    let mut texts = " ".repeat(LABEL);
    let mut next = labels.iter().peekable();
    for column in 0..columns.len() * wide {
        match next.next_if(|(at, _)| *at == column) {
            Some((_, text)) => {
                line.push(page.glyph('┴', '+'));
                let used = texts.chars().count();
                texts.push_str(&" ".repeat((LABEL + column).saturating_sub(used)));
                texts.push_str(text);
            }
            None => line.push(page.glyph('─', '-')),
        }
    }
    page.text.push_str(&line);
    page.text.push('\n');
    page.text.push_str(texts.trim_end());
    page.text.push('\n');
}

/// Slices that are one column.
struct Column<'a> {
    slices: Vec<&'a Slice>,
    latency: Histogram,
}

impl<'a> Column<'a> {
    fn of(chunk: &[(Timestamp, Option<&'a Slice>)], map: &Map) -> Column<'a> {
        let slices: Vec<_> = chunk.iter().filter_map(|(_, slice)| *slice).collect();
        let mut latency = Histogram::default();
        for slice in &slices {
            latency.merge((map.latency)(slice));
        }
        Column { slices, latency }
    }

    fn sum(&self, count: fn(&Slice) -> u64) -> u64 {
        self.slices.iter().map(|slice| count(slice)).sum()
    }
}

/// The rows: from the shortest to the longest that occurs.
struct Rows {
    first: u32,
    /// Steps of [`scale::step`] that are one row: 1, or 3 for a power of ten.
    steps: u32,
    count: u32,
}

impl Rows {
    fn of(columns: &[Column<'_>]) -> Option<Rows> {
        let spans = |end: fn(&Histogram) -> Option<Span>| {
            columns.iter().filter_map(move |it| end(&it.latency))
        };
        let (low, high) = (
            scale::step_of(spans(Histogram::min).min()?),
            scale::step_of(spans(Histogram::max).max()?),
        );
        let steps = if high - low < MOST_ROWS { 1 } else { 3 };
        let first = if steps == 1 { low } else { low - low % 3 };
        Some(Rows {
            first,
            steps,
            count: (high - first) / steps + 1,
        })
    }

    fn cells(&self, column: &Column<'_>) -> Vec<u64> {
        let mut cells = vec![0; self.count as usize];
        for (low, high, count) in column.latency.buckets() {
            // In its middle a bucket is no further from any of its values than a quantile is.
            let middle = Span::from_ns(low.ns() + (high.ns() - low.ns()) / 2);
            let row = scale::step_of(middle).saturating_sub(self.first) / self.steps;
            cells[row.min(self.count - 1) as usize] += count;
        }
        cells
    }
}

/// Which shade means how many: four, each about as many times more as the next.
pub(crate) struct Shades {
    glyphs: [char; 4],
    /// From how many on; the first is 1. Those beyond the most that occurs are not used.
    from: [u64; 4],
    most: u64,
}

impl Shades {
    /// For such numbers.
    pub(crate) fn of(cells: &[Vec<u64>], glyphs: Glyphs) -> Shades {
        let most = cells.iter().flatten().copied().max().unwrap_or(0);
        let mut from = [1; 4];
        for n in 1..from.len() {
            // The fourth root of counts is far from where f64 loses whole numbers.
            let root = (most as f64).powf(n as f64 / 4.0).round() as u64;
            from[n] = root.max(from[n - 1] + 1);
        }
        Shades {
            glyphs: match glyphs {
                Glyphs::Unicode => ['░', '▒', '▓', '█'],
                Glyphs::Ascii => ['.', ':', 'o', '#'],
            },
            from,
            most,
        }
    }

    /// The shade of a number.
    pub(crate) fn of_count(&self, count: u64) -> char {
        let at = self.from.iter().rposition(|&from| count >= from);
        at.map_or(' ', |at| self.glyphs[at])
    }

    /// `░ 1, ▒ 3, ▓ 8, █ 22 or more requests`.
    pub(crate) fn legend(&self, what: &str) -> String {
        let used = self.from.iter().filter(|&&from| from <= self.most).count();
        let mut text = String::new();
        for (n, (glyph, from)) in self.glyphs.iter().zip(self.from).take(used).enumerate() {
            let _ = write!(
                text,
                "{}{glyph} {}",
                if n == 0 { "" } else { ", " },
                Count(from)
            );
        }
        let _ = write!(text, " or more {what}");
        text
    }
}
