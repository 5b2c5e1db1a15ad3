//! What each key does: one table, which the help and docs/top.md show, and which presses are looked up in.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// One line up, down.
    Up,
    /// See [`Action::Up`].
    Down,
    /// A screen up, down.
    PageUp,
    /// See [`Action::PageUp`].
    PageDown,
    /// Half a screen up, down.
    HalfUp,
    /// See [`Action::HalfUp`].
    HalfDown,
    /// The first line.
    First,
    /// The last line.
    Last,
    /// Columns that found no room: before, after.
    Left,
    /// See [`Action::Left`].
    Right,
    /// The order is by the next column, the one before.
    SortNext,
    /// See [`Action::SortNext`].
    SortPrevious,
    /// The other end first.
    Reverse,
    /// What the rows are.
    Group,
    /// Which rows.
    Filter,
    /// Keep what is shown.
    Freeze,
    /// The window, or since the start.
    Window,
    /// The next percentile.
    Percentile,
    /// The next theme.
    Theme,
    /// More of the selected line.
    Open,
    /// All fields of the selected line.
    Fields,
    /// The next list of a destination.
    NextList,
    /// Back to where it came from.
    Back,
    /// All keys.
    Help,
    /// Draw everything anew.
    Redraw,
    /// Stop, as of any program.
    Suspend,
    /// End.
    Quit,
}

/// One line of the help.
pub(super) struct Key {
    /// The keys, as they are called.
    pub keys: &'static str,
    /// What they do.
    pub what: &'static str,
    /// The same for the program, in the order of the keys.
    pub actions: &'static [Action],
}

const fn key(keys: &'static str, what: &'static str, actions: &'static [Action]) -> Key {
    Key { keys, what, actions }
}

/// All of them.
pub(super) const KEYS: &[Key] = &[
    key("Up k", "one line up", &[Action::Up, Action::Up]),
    key("Down j", "one line down", &[Action::Down, Action::Down]),
    key("PgUp Ctrl-b", "a screen up", &[Action::PageUp, Action::PageUp]),
    key("PgDn Ctrl-f", "a screen down", &[Action::PageDown, Action::PageDown]),
    key("Ctrl-u", "half a screen up", &[Action::HalfUp]),
    key("Ctrl-d", "half a screen down", &[Action::HalfDown]),
    key("Home g", "the first line (also gg)", &[Action::First, Action::First]),
    key("End G", "the last line", &[Action::Last, Action::Last]),
    key("Left h", "the columns before these", &[Action::Left, Action::Left]),
    key("Right l", "the columns that found no room", &[Action::Right, Action::Right]),
    key("s >", "order by the next column", &[Action::SortNext, Action::SortNext]),
    key("S <", "order by the column before", &[Action::SortPrevious, Action::SortPrevious]),
    key("r", "the other end first", &[Action::Reverse]),
    key("b", "what the rows are: peer, server, client, port, process, container", &[Action::Group]),
    key(
        "/",
        "which rows: an expression over the fields of `peer`, such as request_p95 > 100ms; Enter keeps it, Esc takes it away",
        &[Action::Filter],
    ),
    key("Space f", "freeze: keep what is shown, and go on with it", &[Action::Freeze, Action::Freeze]),
    key("w", "numbers of the window, or since the start", &[Action::Window]),
    key("p", "the percentile: p50, p95, p99", &[Action::Percentile]),
    key("t", "the theme: dark, light, mono", &[Action::Theme]),
    key(
        "Enter",
        "more of the selected destination: when it was slow, its slowest requests and latest connections; there: all of one",
        &[Action::Open],
    ),
    key("i", "all numbers of the selected destination", &[Action::Fields]),
    key("Tab", "in a destination: requests, connections", &[Action::NextList]),
    key("Esc Backspace", "back; in the table: no filter", &[Action::Back, Action::Back]),
    key("?", "these keys, and what the columns are", &[Action::Help]),
    key("Ctrl-l", "draw everything anew", &[Action::Redraw]),
    key("Ctrl-z", "stop; `fg` goes on", &[Action::Suspend]),
    key("q Ctrl-c", "end", &[Action::Quit, Action::Quit]),
];

/// What the mouse does, for the help.
pub(super) const MOUSE: [(&str, &str); 3] = [
    ("click", "selects a line, again: opens it; on a heading: orders by it, again: the other end first"),
    ("wheel", "goes up and down"),
    ("right click", "back"),
];

/// What a press asks for; `None`: nothing.
pub(super) fn action(press: &KeyEvent) -> Option<Action> {
    let is_control = press.modifiers.contains(KeyModifiers::CONTROL);
    if press.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let action = match press.code {
        KeyCode::Char(c) if is_control => match c.to_ascii_lowercase() {
            'b' => Action::PageUp,
            'f' => Action::PageDown,
            'u' => Action::HalfUp,
            'd' => Action::HalfDown,
            'l' => Action::Redraw,
            'z' => Action::Suspend,
            'c' => Action::Quit,
            _ => return None,
        },
        KeyCode::Char(c) => match c {
            'k' => Action::Up,
            'j' => Action::Down,
            'g' => Action::First,
            'G' => Action::Last,
            'h' => Action::Left,
            'l' => Action::Right,
            's' | '>' => Action::SortNext,
            'S' | '<' => Action::SortPrevious,
            'r' => Action::Reverse,
            'b' => Action::Group,
            '/' => Action::Filter,
            ' ' | 'f' => Action::Freeze,
            'w' => Action::Window,
            'p' => Action::Percentile,
            't' => Action::Theme,
            'i' => Action::Fields,
            '?' => Action::Help,
            'q' => Action::Quit,
            _ => return None,
        },
        KeyCode::Up => Action::Up,
        KeyCode::Down => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::Home => Action::First,
        KeyCode::End => Action::Last,
        KeyCode::Left => Action::Left,
        KeyCode::Right => Action::Right,
        KeyCode::Enter => Action::Open,
        KeyCode::Tab => Action::NextList,
        KeyCode::Esc | KeyCode::Backspace => Action::Back,
        _ => return None,
    };
    Some(action)
}

/// A key by its name in [`KEYS`].
#[cfg(test)]
pub(super) fn press(name: &str) -> KeyEvent {
    let of = |code| KeyEvent::new(code, KeyModifiers::NONE);
    match name {
        "Up" => of(KeyCode::Up),
        "Down" => of(KeyCode::Down),
        "PgUp" => of(KeyCode::PageUp),
        "PgDn" => of(KeyCode::PageDown),
        "Home" => of(KeyCode::Home),
        "End" => of(KeyCode::End),
        "Left" => of(KeyCode::Left),
        "Right" => of(KeyCode::Right),
        "Enter" => of(KeyCode::Enter),
        "Tab" => of(KeyCode::Tab),
        "Esc" => of(KeyCode::Esc),
        "Backspace" => of(KeyCode::Backspace),
        "Space" => of(KeyCode::Char(' ')),
        name => match name.strip_prefix("Ctrl-") {
            Some(c) => KeyEvent::new(
                KeyCode::Char(c.chars().next().unwrap()),
                KeyModifiers::CONTROL,
            ),
            None => of(KeyCode::Char(name.chars().next().unwrap())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_does_what_it_says_and_no_other_key_does_anything() {
        let mut told = Vec::new();
        for key in KEYS {
            let names: Vec<_> = key.keys.split(' ').collect();
            assert_eq!(names.len(), key.actions.len(), "{}", key.keys);
            for (name, expected) in names.into_iter().zip(key.actions) {
                assert_eq!(action(&press(name)), Some(*expected), "{name}");
                told.push(press(name));
            }
        }
        for c in ' '..='~' {
            for modifiers in [KeyModifiers::NONE, KeyModifiers::CONTROL] {
                let press = KeyEvent::new(KeyCode::Char(c), modifiers);
                let is_control_of_capital = modifiers == KeyModifiers::CONTROL && c.is_uppercase();
                if !told.contains(&press) && !is_control_of_capital {
                    assert_eq!(action(&press), None, "{press:?}");
                }
            }
        }
    }
}
