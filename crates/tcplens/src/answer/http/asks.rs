//! Answers that take their time: who has them is asked by the target of a request, at once says that there will be one or why
//! not, and answers from a thread of its own. The server waits for none of them longer than it says.

use std::sync::mpsc::Receiver;

/// Who is asked. Never waits.
pub(crate) trait Asks: Send {
    /// The answer on its way; or at once, where it is known already that there is none.
    fn ask(&self, target: &str) -> Result<Receiver<Said>, Said>;
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Status code and words of HTTP.
    pub(crate) status: &'static str,
    /// `Content-Type`.
    pub(crate) kind: &'static str,
    /// What it says.
    pub(crate) body: Vec<u8>,
}

impl Said {
    /// A document.
    #[cfg(feature = "parquet")]
    pub(crate) fn json(body: Vec<u8>) -> Said {
        Said {
            status: "200 OK",
            kind: super::client::JSON,
            body,
        }
    }

    /// A line of text: why there is no document.
    pub(crate) fn text(status: &'static str, text: &str) -> Said {
        Said {
            status,
            kind: super::client::TEXT,
            body: format!("{text}\n").into_bytes(),
        }
    }
}
