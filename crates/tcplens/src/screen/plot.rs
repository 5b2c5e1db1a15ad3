//! Sparklines and heat maps: what happened when, in so many columns. Which numbers these are: see `destination`.

use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::{Histogram, Series, Slice};

use super::look::Symbols;

/// What happened within one column.
#[derive(Clone, Debug, Default)]
pub(super) struct Bin {
    /// Requests.
    pub requests: u64,
    /// Requests that were answered with an error or not at all, and attempts that failed.
    pub failures: u64,
    /// How long requests took.
    pub latency: Histogram,
    /// Attempts.
    pub attempts: u64,
    /// How long connecting took.
    pub connect: Histogram,
}

impl Bin {
    fn add(&mut self, slice: &Slice) {
        self.requests += slice.requests;
        self.failures += slice.errors + slice.unanswered + slice.failed;
        self.latency.merge(&slice.latency);
        self.attempts += slice.attempts;
        self.connect.merge(&slice.connect);
    }
}

/// All columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Bins {
    /// From the first to the last.
    pub all: Vec<Bin>,
    /// Where the first begins.
    pub first: Option<Timestamp>,
    /// How long one is.
    pub width: Span,
}

impl Bins {
    /// A series in at most `columns` columns; several slices become one where there are more.
    pub(super) fn of(series: &Series, columns: usize) -> Bins {
        let slices: Vec<_> = series.dense().collect();
        let share = slices.len().div_ceil(columns.max(1)).max(1);
        let all = slices.chunks(share).map(|slices| {
            let mut bin = Bin::default();
            for slice in slices.iter().filter_map(|(_, slice)| *slice) {
                bin.add(slice);
            }
            bin
        });
        Bins {
            all: all.collect(),
            first: slices.first().map(|(at, _)| *at),
            width: Span::from_ns(series.width().ns().saturating_mul(share as u64)),
        }
    }

    /// Where the last ends.
    pub(super) fn end(&self) -> Option<Timestamp> {
        let ns = self.width.ns().saturating_mul(self.all.len() as u64);
        Some(self.first?.plus(i64::try_from(ns).unwrap_or(i64::MAX)))
    }
}

/// A character for each value, by its share of the largest; what is absent or nothing is blank.
pub(super) fn sparkline(values: &[Option<u64>], symbols: &Symbols) -> String {
    let largest = values.iter().flatten().max().copied().unwrap_or_default();
    let height = |value: u64| {
        let steps = symbols.heights.len() as u128;
        let step = (u128::from(value) * steps)
            .div_ceil(u128::from(largest))
            .max(1);
        // At most the number of steps.
        symbols.heights[step as usize - 1]
    };
    let characters = values.iter().map(|value| match value {
        Some(value) if *value > 0 => height(*value),
        Some(_) | None => " ",
    });
    characters.collect()
}

/// A heat map: a line for each range of durations, the longest first, with the least of its range.
pub(super) fn heat(bins: &Bins, lines: usize, symbols: &Symbols) -> Vec<(Span, String)> {
    let least = bins.all.iter().filter_map(|bin| bin.latency.min()).min();
    let most = bins.all.iter().filter_map(|bin| bin.latency.max()).max();
    let (Some(least), Some(most), 1..) = (least, most, lines) else {
        return Vec::new();
    };
    // Each line spans the same factor.
    let (low, high) = (least.ns().max(1) as f64, most.ns().max(2) as f64);
    let factor = (high / low)
        .max(1.0)
        .powf(1.0 / lines.max(1) as f64)
        .max(1.02);
    let from = |line: usize| low * factor.powi(i32::try_from(line).unwrap_or(i32::MAX));
    let line_of = |span: Span| {
        let above = (1..lines).take_while(|&line| span.ns() as f64 >= from(line));
        above.count()
    };
    let mut counts = vec![vec![0_u64; bins.all.len()]; lines];
    for (column, bin) in bins.all.iter().enumerate() {
        for (span, _, count) in bin.latency.buckets() {
            counts[line_of(span)][column] += count;
        }
    }
    let largest = counts.iter().flatten().max().copied().unwrap_or_default();
    let shade = |count: u64| {
        if count == 0 {
            return " ";
        }
        // By the root, so that the few slow ones show beside the many quick ones.
        let share = (count as f64 / largest as f64).sqrt();
        let steps = symbols.shades.len();
        // Between 0 and the number of steps.
        let step = (share * steps as f64).ceil() as usize;
        symbols.shades[step.clamp(1, steps) - 1]
    };
    let lines = counts.iter().enumerate().rev().map(|(line, counts)| {
        // Not negative, and within what durations reach.
        let least = Span::from_ns(from(line) as u64);
        (least, counts.iter().map(|count| shade(*count)).collect())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_full_and_what_is_there_is_never_blank() {
        let values = [Some(1), None, Some(0), Some(500), Some(1000)];
        assert_eq!(sparkline(&values, &Symbols::UNICODE), "▁  ▄█");
        assert_eq!(sparkline(&values, &Symbols::ASCII), "_  -#");
        assert_eq!(sparkline(&[], &Symbols::ASCII), "");
    }

    #[test]
    fn a_heat_map_has_every_duration_once() {
        let mut bins = Bins {
            all: vec![Bin::default(); 3],
            ..Bins::default()
        };
        for ms in [1, 1, 1, 1] {
            bins.all[0].latency.add(Span::from_ns(ms * 1_000_000));
        }
        bins.all[2].latency.add(Span::from_ns(1_000_000_000));
        let lines = heat(&bins, 3, &Symbols::ASCII);
        let told: Vec<_> = lines
            .iter()
            .map(|(from, line)| format!("{} |{line}|", Symbols::ASCII.span(*from)))
            .collect();
        assert_eq!(told, ["100ms |  +|", "10ms |   |", "1ms |#  |"]);
        assert!(heat(&Bins::default(), 3, &Symbols::ASCII).is_empty());
    }
}
