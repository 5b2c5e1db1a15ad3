//! Messages on stderr: `tcplens: ...`. A closed stderr is no reason to stop.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "screen")]
use std::sync::{Mutex, PoisonError};

/// Options that messages advise, and the keys of the agent's file that mean the same.
const TERMS: [(&str, &str); 15] = [
    ("with -o FILE", "with output (views)"),
    ("such as -o records.jsonl", "such as output: records.jsonl"),
    ("with -o", "with output (views)"),
    ("with -i", "with interface (sources)"),
    ("with -B", "with buffer (sources)"),
    ("--rotate", "rotate"),
    ("--user root", "user: root"),
    ("--user", "user"),
    ("--uuid-prefix-file", "sockets.uuid_prefix_file"),
    ("--uuid-prefix", "sockets.uuid_prefix"),
    ("--event-socket", "sockets.event_socket"),
    ("--socket", "answering.socket"),
    ("--stats-port", "answering.stats_port"),
    ("--metrics", "answering.metrics"),
    ("--web", "answering.web"),
];

/// Whether who reads messages has written a file and no options.
static IS_OF_A_FILE: AtomicBool = AtomicBool::new(false);

/// From here on advice is given in the words of the agent's file.
pub(crate) fn in_the_words_of_the_file() {
    IS_OF_A_FILE.store(true, Ordering::Relaxed);
}

/// A message in the words of who reads it.
pub(crate) fn worded(message: impl Display) -> String {
    let text = message.to_string();
    if IS_OF_A_FILE.load(Ordering::Relaxed) {
        in_keys(text)
    } else {
        text
    }
}

fn in_keys(text: String) -> String {
    TERMS
        .iter()
        .fold(text, |text, (option, key)| text.replace(option, key))
}

/// Prints one message under the program's name.
pub(crate) fn say(message: impl Display) {
    print(&format!("tcplens: {}\n", worded(message)));
}

/// Prints text as it is.
pub(crate) fn print(text: &str) {
    #[cfg(feature = "screen")]
    if keep(text) {
        return;
    }
    // Nobody reads stderr: there is no better place to say so.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What was said while a screen has the terminal.
#[cfg(feature = "screen")]
#[derive(Default)]
struct Kept {
    texts: Vec<String>,
    /// Those that found no room.
    more: usize,
}

/// Texts that are kept at most. Chosen: more than anybody reads afterwards.
#[cfg(feature = "screen")]
const KEPT: usize = 1000;

#[cfg(feature = "screen")]
static KEPT_TEXTS: Mutex<Option<Kept>> = Mutex::new(None);

/// From here on nothing is printed: a screen has the terminal.
#[cfg(feature = "screen")]
pub(crate) fn keep_all() {
    let mut kept = KEPT_TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    kept.get_or_insert_default();
}

#[cfg(feature = "screen")]
fn keep(text: &str) -> bool {
    let mut kept = KEPT_TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kept) = &mut *kept else { return false };
    if kept.texts.len() < KEPT {
        kept.texts.push(text.to_owned());
    } else {
        kept.more += 1;
    }
    true
}

/// How much was said since, and the last of it.
#[cfg(feature = "screen")]
pub(crate) fn last_kept() -> Option<(usize, String)> {
    let kept = KEPT_TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.as_ref()?;
    let last = kept.texts.last()?.trim_end();
    let last = last.strip_prefix("tcplens: ").unwrap_or(last);
    Some((kept.texts.len() + kept.more, last.to_owned()))
}

/// The terminal is free again: prints what was said meanwhile, and what is said from here on.
#[cfg(feature = "screen")]
pub(crate) fn print_kept() {
    let kept = KEPT_TEXTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(Kept { texts, more }) = kept else {
        return;
    };
    texts.iter().for_each(|text| print(text));
    if more > 0 {
        say(format_args!("{more} more messages were not kept"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_given_in_keys_to_who_wrote_a_file() {
        for (option, key) in [
            (
                "make the directory first, or choose another with -o",
                "make the directory first, or choose another with output (views)",
            ),
            (
                "no such interface (have: lo); choose one with -i",
                "no such interface (have: lo); choose one with interface (sources)",
            ),
            (
                "or choose another path with --socket",
                "or choose another path with answering.socket",
            ),
            (
                "let it stay root (--user root)",
                "let it stay root (user: root)",
            ),
        ] {
            assert_eq!(in_keys(option.to_owned()), key);
        }
    }

    #[cfg(feature = "screen")]
    #[test]
    fn what_is_said_while_a_screen_has_the_terminal_is_kept() {
        assert_eq!(last_kept(), None);
        keep_all();
        say("one");
        say("two");
        assert_eq!(last_kept(), Some((2, "two".to_owned())));
        print_kept();
        assert_eq!(last_kept(), None);
    }
}
