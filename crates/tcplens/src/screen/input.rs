//! A line of text that is typed: the filter. It is parsed with every key, so that an error shows while it is typed.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tcplens_core::filter::FilterError;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::Peer;

/// Most characters of it; what is more is not taken. Chosen: more than anybody types.
const LONGEST: usize = 4096;

/// What is typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    text: Vec<char>,
    /// Before which character the next goes.
    cursor: usize,
}

/// What a key does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// The text may be another.
    Changed,
    /// It is done.
    Kept,
    /// It is to be taken away.
    Cleared,
    /// The program is to end.
    Quit,
}

impl Input {
    /// Goes on with this text.
    pub(super) fn with(text: &str) -> Input {
        let text: Vec<char> = text.chars().collect();
        Input {
            cursor: text.len(),
            text,
        }
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Before which character the next goes.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// The filter that it says; `None`: every row.
    ///
    /// # Errors
    /// The word that does not fit, and what would.
    pub(super) fn filter(&self) -> Result<Option<RecordFilter>, FilterError> {
        let text = self.text();
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        RecordFilter::parse::<Peer>(text).map(Some)
    }

    /// Takes a key.
    pub(super) fn on(&mut self, press: &KeyEvent) -> Typed {
        let is_control = press.modifiers.contains(KeyModifiers::CONTROL);
        match press.code {
            KeyCode::Char('c') if is_control => return Typed::Quit,
            KeyCode::Char('u') if is_control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if is_control => {
                let before = &self.text[..self.cursor];
                let end = before
                    .iter()
                    .rposition(|c| *c != ' ')
                    .map_or(0, |at| at + 1);
                let start = before[..end]
                    .iter()
                    .rposition(|c| *c == ' ')
                    .map_or(0, |at| at + 1);
                self.text.drain(start..self.cursor);
                self.cursor = start;
            }
            KeyCode::Char('a') if is_control => self.cursor = 0,
            KeyCode::Char('e') if is_control => self.cursor = self.text.len(),
            KeyCode::Char(c) if !is_control && !c.is_control() && self.text.len() < LONGEST => {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Enter => return Typed::Kept,
            KeyCode::Esc => return Typed::Cleared,
            _ => {}
        }
        Typed::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::pressed;
    use super::*;

    fn typed(keys: &[&str]) -> (String, usize) {
        let mut input = Input::default();
        for key in keys {
            assert_eq!(input.on(&pressed(key)), Typed::Changed, "{key}");
        }
        (input.text(), input.cursor())
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        assert_eq!(typed(&["a", "b", "Left", "c"]), ("acb".to_owned(), 2));
        assert_eq!(
            typed(&["a", "b", "Backspace", "Backspace", "Backspace"]),
            (String::new(), 0)
        );
        assert_eq!(
            typed(&["a", "Space", "b", "c", "Space", "Ctrl-w"]),
            ("a ".to_owned(), 2)
        );
        assert_eq!(
            typed(&["a", "b", "Home", "x", "End", "y"]),
            ("xaby".to_owned(), 4)
        );
        assert_eq!(typed(&["a", "b", "Left", "Ctrl-u"]), ("b".to_owned(), 0));
        assert_eq!(
            typed(&["a", "Ctrl-x", "Ctrl-a", "Right", "Right"]),
            ("a".to_owned(), 1)
        );
    }

    #[test]
    fn what_is_no_expression_says_what_would_be_one() {
        let filter = |text| Input::with(text).filter();
        assert!(filter("  ").unwrap().is_none());
        assert_eq!(
            filter("ip in 10.0.0.0/8").unwrap().unwrap().text(),
            "ip in 10.0.0.0/8"
        );
        let error = filter("request_p95 > ").unwrap_err();
        assert_eq!(error.at, 13..13, "{error}");
    }
}
