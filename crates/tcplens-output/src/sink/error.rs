//! How a destination ends before its time, in words for the user.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Why a destination takes nothing more.
#[derive(Debug, thiserror::Error)]
pub enum SinkEnd {
    /// The reader went away (`| head`): a quiet, normal end.
    #[error("the reader of {name} went away")]
    Closed {
        /// The destination.
        name: String,
    },
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] SinkError),
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file or directory could not be opened.
    #[error("cannot create {name} for output: {why}; {advice}")]
    Create {
        /// The destination.
        name: String,
        /// The system's reason.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// A write failed.
    #[error("cannot write output to {name}: {why}; {advice}")]
    Write {
        /// The destination.
        name: String,
        /// The system's reason.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// `--rotate` without a file.
    #[error("cannot rotate standard output: it is not a file; name one with -o FILE")]
    RotateStdout,
    /// `-o` names no file.
    #[error(
        "cannot rotate {name}: it is not the name of a file; write something like -o records.jsonl"
    )]
    NoFileName {
        /// What was given.
        name: String,
    },
    /// A file of one record kind got another.
    #[error(
        "cannot write a {kind} to {name}: a Parquet file holds one kind of records; name a directory with -o DIR/, for a file \
         of each"
    )]
    OneKind {
        /// The file.
        name: String,
        /// What came.
        kind: &'static str,
    },
    /// A store could not be begun, or refuses, in words for the user.
    #[error("{0}")]
    Store(String),
    /// A complete file did not get its name.
    #[error("cannot rename {part} to {name}: {why}; it is complete, give it its name")]
    Rename {
        /// Where it is.
        part: String,
        /// Its name.
        name: String,
        /// The system's reason.
        why: String,
    },
}

impl SinkEnd {
    pub(crate) fn write(name: &str, error: &io::Error) -> SinkEnd {
        if error.kind() == ErrorKind::BrokenPipe {
            return SinkEnd::Closed { name: name.into() };
        }
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                "what was written so far is kept; make room, or write elsewhere with -o"
            }
            _ => "what was written so far is kept; write elsewhere with -o",
        };
        SinkEnd::Failed(SinkError::Write {
            name: name.into(),
            why: reason(error),
            advice,
        })
    }
}

impl SinkError {
    /// The system's words for what failed.
    #[cfg(feature = "parquet")]
    pub(crate) fn reason(error: &io::Error) -> String {
        reason(error)
    }

    pub(crate) fn create(path: impl AsRef<Path>, error: &io::Error) -> SinkError {
        let advice = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                "make the directory first, or choose another with -o"
            }
            ErrorKind::IsADirectory => "name a file in it with -o",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "make room, or choose another place with -o"
            }
            _ => "choose another place with -o",
        };
        SinkError::Create {
            name: path.as_ref().display().to_string(),
            why: reason(error),
            advice,
        }
    }
}

/// The system's words, lower case, without the number in brackets.
fn reason(error: &impl Display) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" (os error") {
        text.truncate(at);
    }
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}
