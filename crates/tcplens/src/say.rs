//! Messages on stderr: `tcplens: ...`. A closed stderr is no reason to stop.

use std::fmt::Display;
use std::io::Write;

/// Prints one message under the program's name.
pub(crate) fn say(message: impl Display) {
    // Nobody reads stderr: there is no better place to say so.
    let _ = writeln!(std::io::stderr(), "tcplens: {message}");
}

/// Prints text as it is.
pub(crate) fn print(text: &str) {
    // As above.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
