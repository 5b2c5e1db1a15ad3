//! Whether and how text is coloured: `--color`, NO_COLOR (no-color.org) and the eight colours every
//! terminal has.

use std::env;
use std::ffi::OsStr;
use std::str::FromStr;

/// `--color auto|always|never`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is `dumb`.
    #[default]
    Auto,
    /// Also into pipes and files.
    Always,
    /// Not at all.
    Never,
}

impl ColorChoice {
    /// Whether to colour what goes to an output that is a terminal or not. Looks at NO_COLOR and
    /// TERM.
    #[must_use]
    pub fn enabled(self, is_terminal: bool) -> bool {
        self.decide(
            is_terminal,
            env::var_os("NO_COLOR").as_deref(),
            env::var_os("TERM").as_deref(),
        )
    }

    fn decide(self, is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
        match self {
            // An empty NO_COLOR does not count.
            Self::Auto => {
                is_terminal
                    && no_color.is_none_or(OsStr::is_empty)
                    && term != Some(OsStr::new("dumb"))
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl FromStr for ColorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(format!(
                "cannot read {text:?} as a choice of colour; write auto, always or never"
            )),
        }
    }
}

/// How a piece of text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    #[default]
    Plain,
    /// Headings.
    Bold,
    /// What matters little: zeros, what is absent.
    Dim,
    /// What failed.
    Red,
    /// What went well.
    Green,
    /// What is odd.
    Yellow,
}

impl Paint {
    /// The escape sequences before and after.
    #[must_use]
    pub fn sequences(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("", ""),
            Self::Bold => ("\x1b[1m", "\x1b[0m"),
            Self::Dim => ("\x1b[2m", "\x1b[0m"),
            Self::Red => ("\x1b[31m", "\x1b[0m"),
            Self::Green => ("\x1b[32m", "\x1b[0m"),
            Self::Yellow => ("\x1b[33m", "\x1b[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_colours_terminals_that_did_not_decline() {
        for (choice, is_terminal, no_color, term, expected) in [
            (ColorChoice::Auto, true, None, Some("xterm"), true),
            (ColorChoice::Auto, true, Some(""), None, true),
            (ColorChoice::Auto, true, Some("1"), Some("xterm"), false),
            (ColorChoice::Auto, true, None, Some("dumb"), false),
            (ColorChoice::Auto, false, None, Some("xterm"), false),
            (ColorChoice::Always, false, Some("1"), Some("dumb"), true),
            (ColorChoice::Never, true, None, Some("xterm"), false),
        ] {
            let decided =
                choice.decide(is_terminal, no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(
                decided, expected,
                "{choice:?} {is_terminal} {no_color:?} {term:?}"
            );
        }
    }
}
