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
    Key {
        keys,
        what,
        actions,
    }
}

/// All of them.
pub(super) const KEYS: &[Key] = &[
    key("Up k", "one line up", &[Action::Up, Action::Up]),
    key("Down j", "one line down", &[Action::Down, Action::Down]),
    key(
        "PgUp Ctrl-b",
        "a screen up",
        &[Action::PageUp, Action::PageUp],
    ),
    key(
        "PgDn Ctrl-f",
        "a screen down",
        &[Action::PageDown, Action::PageDown],
    ),
    key("Ctrl-u", "half a screen up", &[Action::HalfUp]),
    key("Ctrl-d", "half a screen down", &[Action::HalfDown]),
    key(
        "Home g",
        "the first line (also gg)",
        &[Action::First, Action::First],
    ),
    key("End G", "the last line", &[Action::Last, Action::Last]),
    key(
        "Left h",
        "the columns before these",
        &[Action::Left, Action::Left],
    ),
    key(
        "Right l",
        "the columns that found no room",
        &[Action::Right, Action::Right],
    ),
    key(
        "s >",
        "order by the next column",
        &[Action::SortNext, Action::SortNext],
    ),
    key(
        "S <",
        "order by the column before",
        &[Action::SortPrevious, Action::SortPrevious],
    ),
    key("r", "the other end first", &[Action::Reverse]),
    key(
        "b",
        "what the rows are: peer, server, client, port, process, container",
        &[Action::Group],
    ),
    key(
        "/",
        "which rows: an expression over the fields of `peer`, such as request_p95 > 100ms; Enter keeps it, Esc takes it away",
        &[Action::Filter],
    ),
    key(
        "Space f",
        "freeze: keep what is shown, and go on with it",
        &[Action::Freeze, Action::Freeze],
    ),
    key(
        "w",
        "numbers of the window, or since the start",
        &[Action::Window],
    ),
    key("p", "the percentile: p50, p95, p99", &[Action::Percentile]),
    key("t", "the theme: dark, light, mono", &[Action::Theme]),
    key(
        "Enter",
        "more of the selected destination: when it was slow, its slowest requests and latest connections; there: all of one",
        &[Action::Open],
    ),
    key(
        "i",
        "all numbers of the selected destination",
        &[Action::Fields],
    ),
    key(
        "Tab",
        "in a destination: requests, connections",
        &[Action::NextList],
    ),
    key(
        "Esc Backspace",
        "back; in the table: no filter",
        &[Action::Back, Action::Back],
    ),
    key("?", "these keys, and what the columns are", &[Action::Help]),
    key("Ctrl-l", "draw everything anew", &[Action::Redraw]),
    key("Ctrl-z", "stop; `fg` goes on", &[Action::Suspend]),
    key("q Ctrl-c", "end", &[Action::Quit, Action::Quit]),
];

/// What the mouse does, for the help.
pub(super) const MOUSE: [(&str, &str); 3] = [
    (
        "click",
        "selects a line, again: opens it; on a heading: orders by it, again: the other end first",
    ),
    ("wheel", "goes up and down"),
    ("right click", "back"),
];

/// What a press asks for; `None`: nothing.
pub(super) fn action(press: &KeyEvent) -> Option<Action> {
    // That a letter is a capital says it already.
    let modifiers = press.modifiers.difference(KeyModifiers::SHIFT);
    let is_it = |name: &str| {
        self::press(name).is_some_and(|(code, with)| {
            let is_code = match (press.code, code) {
                (KeyCode::Char(a), KeyCode::Char(b)) if !with.is_empty() => {
                    a.eq_ignore_ascii_case(&b)
                }
                (a, b) => a == b,
            };
            is_code && with == modifiers
        })
    };
    KEYS.iter().find_map(|key| {
        let mut keys = key.keys.split(' ').zip(key.actions);
        keys.find_map(|(name, action)| is_it(name).then_some(*action))
    })
}

/// A key by its name in [`KEYS`].
fn press(name: &str) -> Option<(KeyCode, KeyModifiers)> {
    if let Some(letter) = name.strip_prefix("Ctrl-") {
        return Some((KeyCode::Char(letter.chars().next()?), KeyModifiers::CONTROL));
    }
    let code = match name {
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Enter" => KeyCode::Enter,
        "Tab" => KeyCode::Tab,
        "Esc" => KeyCode::Esc,
        "Backspace" => KeyCode::Backspace,
        "Space" => KeyCode::Char(' '),
        letter => KeyCode::Char(letter.chars().next()?),
    };
    Some((code, KeyModifiers::NONE))
}

/// A press of a key by its name.
#[cfg(test)]
pub(super) fn pressed(name: &str) -> KeyEvent {
    let (code, modifiers) = press(name).unwrap();
    KeyEvent::new(code, modifiers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_one_key_and_has_one_action() {
        let mut told = Vec::new();
        for key in KEYS {
            let names: Vec<_> = key.keys.split(' ').collect();
            assert_eq!(names.len(), key.actions.len(), "{}", key.keys);
            for (name, expected) in names.into_iter().zip(key.actions) {
                assert!(
                    name.len() == 1
                        || name.starts_with("Ctrl-")
                        || press(name).unwrap().0 != press(&name[..1]).unwrap().0,
                    "{name}"
                );
                assert_eq!(action(&pressed(name)), Some(*expected), "{name}");
                assert!(!told.contains(&press(name)), "{name} twice");
                told.push(press(name));
            }
        }
    }

    #[test]
    fn shift_alt_and_capitals_are_told_apart() {
        let of = |c, modifiers| action(&KeyEvent::new(KeyCode::Char(c), modifiers));
        assert_eq!(of('G', KeyModifiers::SHIFT), Some(Action::Last));
        assert_eq!(of('g', KeyModifiers::NONE), Some(Action::First));
        assert_eq!(of('q', KeyModifiers::ALT), None);
        assert_eq!(of('C', KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(of('x', KeyModifiers::NONE), None);
    }
}
