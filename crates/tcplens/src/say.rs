//! Messages on stderr: `tcplens: ...`. A closed stderr is no reason to stop.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

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
    // Nobody reads stderr: there is no better place to say so.
    let _ = writeln!(std::io::stderr(), "tcplens: {}", worded(message));
}

/// Prints text as it is.
pub(crate) fn print(text: &str) {
    // As above.
    let _ = std::io::stderr().write_all(text.as_bytes());
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
}
