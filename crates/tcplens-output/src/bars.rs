//! Bars and sparklines of block characters, for histograms in text; bars also of ASCII.

use std::fmt::{self, Display, Formatter};

use crate::glyphs::Glyphs;

const EIGHTHS_RIGHTWARD: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const EIGHTHS_UPWARD: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A horizontal bar, `value` of `max` over `width` columns in eighths. What is not zero is at least
/// one eighth.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// What it shows.
    pub value: u64,
    /// What a full bar stands for.
    pub max: u64,
    /// Columns of a full bar.
    pub width: usize,
}

impl Bar {
    /// The bar of such characters; in ASCII of whole columns, and what is not zero is at least one.
    #[must_use]
    pub fn with(self, glyphs: Glyphs) -> String {
        match glyphs {
            Glyphs::Unicode => self.to_string(),
            Glyphs::Ascii => "#".repeat(scaled(self.value, self.max, self.width)),
        }
    }
}

/// A bar that is divided as its parts are.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// What it is made of.
    pub parts: &'a [u64],
    /// Columns of all of it.
    pub width: usize,
}

impl Stack<'_> {
    /// Columns of each part: together `width`, unless all parts are zero. Each ends where all up to it end, rounded.
    #[must_use]
    pub fn columns(self) -> Vec<usize> {
        let all: u128 = self.parts.iter().map(|&part| u128::from(part)).sum();
        let (mut sum, mut done) = (0_u128, 0);
        let ends = self.parts.iter().map(|&part| {
            sum += u128::from(part);
            let end = (sum * self.width as u128 + all / 2).checked_div(all);
            let end = end.map_or(0, |end| usize::try_from(end).unwrap_or(self.width));
            let columns = end - done;
            done = end;
            columns
        });
        ends.collect()
    }
}

impl Display for Bar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let eighths = scaled(self.value, self.max, self.width * 8);
        for _ in 0..eighths / 8 {
            f.write_str("█")?;
        }
        match eighths % 8 {
            0 => Ok(()),
            rest => write!(f, "{}", EIGHTHS_RIGHTWARD[rest - 1]),
        }
    }
}

/// A row of little columns, the largest value full; zero is a blank.
#[derive(Clone, Copy, Debug)]
pub struct Sparkline<'a>(pub &'a [u64]);

impl Display for Sparkline<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let max = self.0.iter().copied().max().unwrap_or(0);
        for &value in self.0 {
            match scaled(value, max, 8) {
                0 => f.write_str(" ")?,
                height => write!(f, "{}", EIGHTHS_UPWARD[height - 1])?,
            }
        }
        Ok(())
    }
}

/// `value / max` of `steps`, rounded; at most `steps`, and 0 only for 0.
pub(crate) fn scaled(value: u64, max: u64, steps: usize) -> usize {
    if value == 0 || steps == 0 {
        return 0;
    }
    let (value, max, wide) = (
        u128::from(value.min(max)),
        u128::from(max.max(1)),
        steps as u128,
    );
    usize::try_from((value * wide + max / 2) / max).map_or(steps, |n| n.clamp(1, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_to_scale_and_something_is_never_nothing() {
        for (value, max, expected) in [
            (0, 10, ""),
            (10, 10, "████"),
            (5, 10, "██"),
            (1, 1_000_000, "▏"),
            (9, 16, "██▎"),
            (11, 10, "████"),
            (1, 0, "▏"),
            (u64::MAX, u64::MAX, "████"),
        ] {
            assert_eq!(
                Bar {
                    value,
                    max,
                    width: 4
                }
                .to_string(),
                expected,
                "{value} of {max}"
            );
        }
    }

    #[test]
    fn bars_of_ascii_are_whole_columns() {
        for (value, expected) in [(0, ""), (1, "#"), (50, "##"), (100, "####")] {
            let bar = Bar {
                value,
                max: 100,
                width: 4,
            };
            assert_eq!(bar.with(Glyphs::Ascii), expected, "{value}");
        }
    }

    #[test]
    fn a_divided_bar_is_full() {
        for (parts, expected) in [
            (&[1, 1, 1][..], &[3, 4, 3][..]),
            (&[0, 1000, 1], &[0, 10, 0]),
            (&[0, 0], &[0, 0]),
            (&[u64::MAX, u64::MAX], &[5, 5]),
        ] {
            let stack = Stack { parts, width: 10 };
            assert_eq!(stack.columns(), expected, "{parts:?}");
        }
    }

    #[test]
    fn a_sparkline_is_as_long_as_its_values() {
        assert_eq!(
            Sparkline(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 1]).to_string(),
            " ▁▂▃▄▅▆▇█▁"
        );
        assert_eq!(Sparkline(&[0, 0]).to_string(), "  ");
        assert_eq!(Sparkline(&[1, 1_000]).to_string(), "▁█");
        assert_eq!(Sparkline(&[]).to_string(), "");
    }
}
