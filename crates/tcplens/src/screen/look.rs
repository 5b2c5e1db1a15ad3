//! How the screen looks: themes, the characters that draw, and numbers in few columns. Not what is shown: see `columns`.

use ratatui::style::{Color, Modifier, Style};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::human;
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use crate::cli::Theme;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// Headings.
    Head,
    /// What matters little: zeros, what is absent.
    Dim,
    /// Beyond its threshold; there is a `!` beside it, too.
    Bad,
    /// What the program says: frozen, a filter, a message.
    Note,
    /// The first line.
    Title,
    /// What the capture itself lost, in the first line.
    Alarm,
    /// The selected line.
    Selected,
    /// Lines and plots.
    Drawn,
}

impl Theme {
    /// The one after it.
    pub(super) fn next(self) -> Theme {
        match self {
            Theme::Dark => Theme::Light,
            Theme::Light => Theme::Mono,
            Theme::Mono => Theme::Dark,
        }
    }

    /// How a tone looks. Only the sixteen colours that every terminal has, and never its background's.
    pub(super) fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let colored = |dark, light| match self {
            Theme::Dark => plain.fg(dark),
            Theme::Light => plain.fg(light),
            Theme::Mono => plain,
        };
        match tone {
            Tone::Plain => plain,
            Tone::Head => colored(Color::LightCyan, Color::Blue).add_modifier(Modifier::BOLD),
            Tone::Dim => match self {
                Theme::Dark | Theme::Light => plain.fg(Color::DarkGray),
                Theme::Mono => plain.add_modifier(Modifier::DIM),
            },
            Tone::Bad => colored(Color::LightRed, Color::Red).add_modifier(Modifier::BOLD),
            Tone::Note => colored(Color::LightYellow, Color::Magenta).add_modifier(Modifier::BOLD),
            Tone::Title => plain.add_modifier(Modifier::REVERSED),
            Tone::Alarm => match self {
                Theme::Dark | Theme::Light => plain
                    .fg(Color::White)
                    .bg(Color::Red)
                    .add_modifier(Modifier::BOLD),
                Theme::Mono => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            },
            Tone::Selected => match self {
                Theme::Dark => plain.fg(Color::Black).bg(Color::LightCyan),
                Theme::Light => plain.fg(Color::White).bg(Color::Blue),
                Theme::Mono => plain.add_modifier(Modifier::REVERSED),
            },
            Tone::Drawn => colored(Color::Cyan, Color::Blue),
        }
    }
}

/// The characters that draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbols {
    /// Whether they are more than ASCII.
    pub is_unicode: bool,
    /// Marks the column that the order is by: the largest first, the smallest first.
    pub sorted: [&'static str; 2],
    /// Between groups of columns.
    pub bar: &'static str,
    /// A horizontal line.
    pub line: &'static str,
    /// Text was cut here.
    pub cut: &'static str,
    /// Heights of a sparkline, the lowest first; what has no height at all is blank.
    pub heights: [&'static str; 8],
    /// Shades of a heat map, the lightest first; nothing at all is blank.
    pub shades: [&'static str; 4],
    /// Between facts on one line.
    pub dot: &'static str,
    /// The ways of the arrow keys.
    pub arrows: &'static str,
}

impl Symbols {
    /// Where the terminal shows them.
    pub(super) const UNICODE: Symbols = Symbols {
        is_unicode: true,
        sorted: ["▼", "▲"],
        bar: "│",
        line: "─",
        cut: "…",
        heights: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        shades: ["░", "▒", "▓", "█"],
        dot: " · ",
        arrows: "←→",
    };
    /// Everywhere.
    pub(super) const ASCII: Symbols = Symbols {
        is_unicode: false,
        sorted: ["v", "^"],
        bar: "|",
        line: "-",
        cut: "~",
        heights: ["_", ".", ":", "-", "=", "+", "*", "#"],
        shades: [".", "+", "*", "#"],
        dot: "; ",
        arrows: "<- ->",
    };

    /// Those of a terminal.
    pub(super) fn of(glyphs: Glyphs) -> &'static Symbols {
        match glyphs {
            Glyphs::Unicode => &Symbols::UNICODE,
            Glyphs::Ascii => &Symbols::ASCII,
        }
    }

    /// A duration in six columns, nearly always: `850µs`, `1.25s`, `1m06s`.
    pub(super) fn span(&self, span: Span) -> String {
        let mut text = human::Duration(span).to_string();
        text.retain(|c| c != ' ');
        self.printable(text)
    }

    /// Text that the terminal can show.
    pub(super) fn printable(&self, text: String) -> String {
        if self.is_unicode {
            if text.chars().any(char::is_control) {
                return text.replace(char::is_control, " ");
            }
            return text;
        }
        let plain = |c: char| match c {
            'µ' => 'u',
            '–' | '—' => '-',
            c if c.is_ascii() && !c.is_ascii_control() => c,
            _ => '?',
        };
        text.chars().map(plain).collect()
    }
}

/// A rate in six columns: `0.35`, `12.3`, `950`, `1.2k`.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        r if r <= 0.0 => "0".to_owned(),
        r if r < 0.005 => "<.01".to_owned(),
        r if r < 9.995 => format!("{r:.2}"),
        r if r < 99.95 => format!("{r:.1}"),
        // Not negative, and what no u64 holds is shown as the largest.
        r => human::Short(r.round() as u64).to_string(),
    }
}

/// A share in five columns; what is not quite all, or not quite nothing, is not shown as that.
pub(super) fn percent(part: u64, of: u64) -> String {
    if part == 0 {
        return "0%".to_owned();
    }
    let share = part as f64 * 100.0 / of as f64;
    match share {
        s if s < 0.05 => "<.1%".to_owned(),
        s if s < 9.95 => format!("{s:.1}%"),
        s if part < of && s >= 99.5 => ">99%".to_owned(),
        s => format!("{s:.0}%"),
    }
}

/// Points in time, in the style that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    style: TimeStyle,
    format: TimeFormat,
}

impl Clock {
    /// In this style.
    pub(super) fn new(style: TimeStyle) -> Clock {
        Clock {
            style,
            format: TimeFormat::new(style),
        }
    }

    /// Zero of the relative style.
    pub(super) fn begin(&mut self, first: Timestamp) {
        self.format.set_origin(first);
    }

    /// The whole of it.
    pub(super) fn full(&self, at: Timestamp) -> String {
        let mut text = String::new();
        self.format.clone().write(&mut text, at);
        text
    }

    /// The time of day to the millisecond, or seconds.
    pub(super) fn short(&self, at: Timestamp) -> String {
        let text = self.full(at);
        match self.style {
            TimeStyle::Utc | TimeStyle::Local => text.get(11..23).unwrap_or(&text).to_owned(),
            // Microseconds are the last three digits.
            TimeStyle::Relative | TimeStyle::Epoch => {
                text[..text.len().saturating_sub(3)].to_owned()
            }
        }
    }

    /// As precise as a slice of time of this width needs it.
    pub(super) fn of_slice(&self, at: Timestamp, width: Span) -> String {
        let text = self.short(at);
        let is_clock = matches!(self.style, TimeStyle::Utc | TimeStyle::Local);
        if is_clock && width.ns() >= SECOND.unsigned_abs() {
            return text.get(..8).unwrap_or(&text).to_owned();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_is_not_all_and_nearly_nothing_is_not_nothing() {
        for (part, of, expected) in [
            (0, 10, "0%"),
            (10, 10, "100%"),
            (9999, 10_000, ">99%"),
            (1, 10_000, "<.1%"),
            (1, 3, "33%"),
            (1, 100, "1.0%"),
            (12, 10, "120%"),
        ] {
            assert_eq!(percent(part, of), expected, "{part} of {of}");
        }
        for (per_second, expected) in [
            (0.0, "0"),
            (0.001, "<.01"),
            (0.25, "0.25"),
            (12.345, "12.3"),
            (950.4, "950"),
            (12_345.0, "12.3k"),
        ] {
            assert_eq!(rate(per_second), expected);
        }
    }

    #[test]
    fn without_utf_8_there_is_ascii_only() {
        assert_eq!(Symbols::ASCII.span(Span::from_ns(12_345)), "12.3us");
        assert_eq!(
            Symbols::ASCII.printable("größe\u{1b}[2J".to_owned()),
            "gr??e?[2J"
        );
        assert_eq!(Symbols::UNICODE.printable("a\u{1b}[2J".to_owned()), "a [2J");
    }
}
