//! What a daemon says on stderr, by level: to a person as `tcplens: ...`, to journald with the level in front
//! (sd-daemon(3): `<3>` and its like), which takes it away. For programs that ask one question and end, `say` is enough.
//!
//! No library: a subscriber, its filter syntax and per-crate targets serve programs that are logged from many places;
//! here a handful of sentences has one of four levels, and what happened to packets is in records.

use std::fmt::Display;
use std::io::Write;
use std::os::linux::fs::MetadataExt;
use std::sync::atomic::{AtomicU8, Ordering};

use clap::ValueEnum;

use crate::say::worded;

/// How much a sentence matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    /// Something that was asked for does not happen.
    Error,
    /// Something is lost or soon will be.
    Warning,
    /// What happens.
    Info,
    /// What else happens.
    Debug,
}

/// The least that is said, as a level's number.
static LEAST: AtomicU8 = AtomicU8::new(Level::Info as u8);
/// Whether the journal reads.
static TO_JOURNAL: AtomicU8 = AtomicU8::new(0);

/// Sets the least that is said, and looks whether the journal reads stderr.
pub(crate) fn start(least: Level) {
    LEAST.store(least as u8, Ordering::Relaxed);
    TO_JOURNAL.store(u8::from(is_journal()), Ordering::Relaxed);
}

/// Says something, if its level matters enough.
pub(crate) fn log(level: Level, message: impl Display) {
    if level as u8 > LEAST.load(Ordering::Relaxed) {
        return;
    }
    let text = line(
        level,
        &worded(message),
        TO_JOURNAL.load(Ordering::Relaxed) != 0,
    );
    // Nobody reads stderr: there is no better place to say so.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// One message; every line of it has the level, for the journal makes each an entry.
fn line(level: Level, message: &str, to_journal: bool) -> String {
    if !to_journal {
        return format!("tcplens: {message}\n");
    }
    // syslog(3)'s numbers.
    let priority = match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug => 7,
    };
    let lines = message.lines().map(|line| format!("<{priority}>{line}\n"));
    lines.collect()
}

/// Whether stderr is the stream that systemd gave to the journal: JOURNAL_STREAM has its device and inode (systemd.exec(5)),
/// and is inherited by programs whose stderr is another one.
fn is_journal() -> bool {
    let Some(named) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    std::fs::metadata("/proc/self/fd/2")
        .is_ok_and(|file| named == *format!("{}:{}", file.st_dev(), file.st_ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_the_level_of_every_line() {
        let message = "cannot write\nnot at all";
        assert_eq!(
            line(Level::Error, message, true),
            "<3>cannot write\n<3>not at all\n"
        );
        assert_eq!(line(Level::Info, "x", false), "tcplens: x\n");
        assert!(Level::Error < Level::Debug);
    }
}
