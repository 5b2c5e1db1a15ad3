//! Answers while a run goes on. Whoever asks comes to a server, which has a thread of its own and waits for nobody; the
//! desk belongs to the thread that has the records, so that an answer is one moment's. Nothing here blocks capture.
//!
//! ```text
//! Listeners::bind        sockets, while there is privilege for them
//!      | start
//! Servers                one thread accepts at each socket, one talks with each client: conversation.rs
//!      | Asked, over a bounded channel
//! Desk                   counts records, answers, feeds streams; belongs to whoever runs
//! ```
//!
//! Bounds: [`listen::STATS_CLIENTS`] and [`listen::SOCKET_CLIENTS`] clients at once, [`client::LINE`] bytes of a question,
//! the patience of client.rs, [`streams::STREAMS`] streams with [`streams::CHUNKS`] chunks each, [`desk::NAMES`] baselines.

use std::sync::mpsc::SyncSender;

use tcplens_output::tcpkit::TcpkitShape;

pub(crate) use desk::{Desk, DeskSettings};
pub(crate) use text::unanswered;

pub(crate) mod client;
mod conversation;
mod desk;
pub(crate) mod http;
mod interfaces;
pub(crate) mod listen;
pub(crate) mod page;
pub(crate) mod server;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod text;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The page of metrics.
    Metrics,
    /// What the page for browsers shows.
    Page,
    /// What changed of that since what a browser knows, as an event.
    PageSince(http::Known),
    /// tcpkit's statistics.
    Stats(TcpkitShape),
    /// tcpeek's totals since the beginning.
    Totals,
    /// tcpeek's totals since the last time that this name asked.
    TotalsSince(String),
    /// Everything that was counted.
    Summary,
    /// The same for people.
    SummaryText,
    /// What the observation itself saw and lost.
    Health,
    /// Records from now on, until the asker leaves.
    Records(Kinds),
}

/// A question and where its answer goes. Who asked may be gone by then.
pub(crate) struct Asked {
    /// What is asked.
    pub question: Question,
    /// Takes one answer; has room for it. Of a stream it takes many, and has room for some.
    pub reply: SyncSender<Vec<u8>>,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// Connection attempts.
    pub handshakes: bool,
    /// Requests and their responses.
    pub requests: bool,
    /// Connections.
    pub connections: bool,
}

impl Kinds {
    /// All of them.
    pub(crate) const ALL: Kinds = Kinds {
        handshakes: true,
        requests: true,
        connections: true,
    };
}
