//! What can go wrong, in words for the user; and where in the SQL it is.

use std::fmt;

use datafusion::common::DataFusionError;
use tcplens_output::SinkEnd;

/// What ended a run.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The options or the SQL make no sense.
    Usage(String),
    /// It cannot be done.
    Failed(String),
    /// The reader of the output went away.
    Closed,
    /// The user had enough.
    Interrupted,
}

/// Of this program's functions.
pub(crate) type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    pub(crate) fn usage(words: &str) -> Trouble {
        Trouble::Usage(words.to_owned())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Usage(words) | Trouble::Failed(words) => f.write_str(words),
            Trouble::Closed => f.write_str("the reader went away"),
            Trouble::Interrupted => f.write_str("interrupted: the answer is not whole"),
        }
    }
}

impl From<SinkEnd> for Trouble {
    fn from(end: SinkEnd) -> Trouble {
        match end {
            SinkEnd::Closed { .. } => Trouble::Closed,
            other => Trouble::Failed(other.to_string()),
        }
    }
}

/// A place in SQL: line and column from 1, and how many characters.
type Place = (usize, usize, usize);

/// What is wrong with SQL that could not be planned: the sentence, its line, and marks below the word.
pub(crate) fn in_sql(sql: &str, error: &DataFusionError) -> Trouble {
    let mut sentence = sentence(error);
    let mut place = None;
    if let Some(diagnostic) = error.diagnostic() {
        sentence = diagnostic.message.clone();
        let notes = diagnostic.notes.iter().map(|note| &note.message);
        let helps = diagnostic.helps.iter().map(|help| &help.message);
        for more in notes.chain(helps) {
            sentence.push_str("; ");
            sentence.push_str(more);
        }
        place = diagnostic.span.and_then(|span| {
            let line = usize::try_from(span.start.line).ok()?;
            let column = usize::try_from(span.start.column).ok()?;
            let end = usize::try_from(span.end.column).ok()?;
            let is_one_line = span.start.line == span.end.line;
            Some((
                line,
                column,
                if is_one_line {
                    end.saturating_sub(column)
                } else {
                    1
                },
            ))
        });
    }
    let place = place.or_else(|| parsed_place(&sentence));
    if let Some(at) = sentence.find(" at Line:") {
        sentence.truncate(at);
    }
    Trouble::Usage(format!(
        "cannot understand the SQL: {sentence}{}",
        marked(sql, place)
    ))
}

/// What went wrong while it ran.
pub(crate) fn in_run(error: &DataFusionError) -> Trouble {
    let root = error.find_root();
    match root {
        DataFusionError::ResourcesExhausted(why) => Trouble::Failed(format!(
            "the query needs more memory than it may have: {}; raise --limit-memory, or ask for less",
            reason(why)
        )),
        _ => Trouble::Failed(format!("the query failed: {}", sentence(error))),
    }
}

/// The first line, without the head of the list of who holds how much: that follows in further lines.
fn reason(why: &str) -> &str {
    let line = why.lines().next().unwrap_or_default();
    line.split(" with top memory consumers")
        .next()
        .unwrap_or_default()
}

/// Without backtraces, and without the words that say in which part of the engine it was.
fn sentence(error: &DataFusionError) -> String {
    let root = error.find_root();
    let mut words = root.strip_backtrace();
    for begin in [
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
    ] {
        if let Some(rest) = words.strip_prefix(begin) {
            words = rest.to_owned();
        }
    }
    // `ParserError("...")`.
    if let Some(inner) = words
        .strip_prefix("ParserError(\"")
        .and_then(|rest| rest.strip_suffix("\")"))
    {
        words = inner.replace("\\\"", "\"");
    }
    words.trim_end().to_owned()
}

/// ` at Line: 1, Column: 8`, as the parser ends its sentences.
fn parsed_place(sentence: &str) -> Option<Place> {
    let (_, rest) = sentence.rsplit_once("at Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, digits.parse().ok()?, 0))
}

/// The line of that place, and `^` below the word there; nothing where there is no such place.
fn marked(sql: &str, place: Option<Place>) -> String {
    let Some((line, column, length)) = place else {
        return String::new();
    };
    let Some(text) = line.checked_sub(1).and_then(|line| sql.lines().nth(line)) else {
        return String::new();
    };
    let before: String = text.chars().take(column.saturating_sub(1)).collect();
    let word = text.chars().skip(column.saturating_sub(1));
    let word = word
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .count();
    let length = if length == 0 { word } else { length };
    // As wide as what stands above: tabs stay tabs.
    let blanks: String = before
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    format!("\n  {text}\n  {blanks}{}", "^".repeat(length.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_marked() {
        assert_eq!(
            marked("SELECT a\n\tFROM requets r", Some((2, 7, 0))),
            "\n  \tFROM requets r\n  \t     ^^^^^^^"
        );
        assert_eq!(marked("SELECT", Some((1, 7, 0))), "\n  SELECT\n        ^");
        assert_eq!(marked("SELECT", Some((9, 1, 0))), "");
        assert_eq!(marked("SELECT", None), "");
        let sentence = "Expected: an expression, found: FROM at Line: 1, Column: 8";
        assert_eq!(parsed_place(sentence), Some((1, 8, 0)));
    }
}
