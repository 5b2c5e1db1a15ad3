//! The one error of all filter languages: what is wrong, where, and what to do. Not a parser.

use std::fmt;
use std::ops::Range;

/// Columns of the expression that an error shows at most; chosen: a narrow terminal.
const SHOWN: usize = 72;

/// Why a filter expression was refused. Its `Display` shows the expression with the word underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// What is wrong and what to do, one line, without the expression.
    pub message: String,
    /// The offending bytes of [`FilterError::expression`]; empty at its end when something is missing.
    pub at: Range<usize>,
    /// The whole expression, as given.
    pub expression: String,
}

impl FilterError {
    pub(super) fn new(expression: &str, at: Range<usize>, message: impl Into<String>) -> Self {
        FilterError {
            message: message.into(),
            at,
            expression: expression.to_owned(),
        }
    }
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = |upto: usize| self.expression.get(..upto).map_or(0, |s| s.chars().count());
        let start = columns(self.at.start);
        let wide = columns(self.at.end)
            .saturating_sub(start)
            .clamp(1, SHOWN / 2);
        // A long expression is shown around the word; control characters would move the marker.
        let first = (start + wide).saturating_sub(SHOWN * 3 / 4);
        let mut shown: String = self
            .expression
            .chars()
            .skip(first)
            .take(SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if self.expression.chars().count() > first + SHOWN {
            shown.push_str("...");
        }
        let lead = if first > 0 { "..." } else { "" };
        writeln!(f, "filter: {}", self.message)?;
        writeln!(f, "  {lead}{shown}")?;
        write!(
            f,
            "  {:pad$}{}",
            "",
            "^".repeat(wide),
            pad = lead.len() + start - first
        )
    }
}
