//! Answers while a run goes on. Whoever asks comes to a server, which has a thread of its own and waits for nobody; the
//! desk belongs to the thread that has the records, so that an answer is one moment's. Nothing here blocks capture.

pub(crate) mod http;

use std::sync::mpsc::{Receiver, SyncSender};

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Health;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The page of metrics.
    Metrics,
}

/// A question and where its answer goes. Who asked may be gone by then.
pub(crate) struct Asked {
    /// What is asked.
    pub question: Question,
    /// Takes one answer; has room for it.
    pub reply: SyncSender<Vec<u8>>,
}

/// What was counted so far, and who wants to know.
pub(crate) struct Desk {
    asked: Receiver<Asked>,
}

impl Desk {
    /// Counts a record.
    pub(crate) fn record(&mut self, _record: AnyRecord<'_>) {}

    /// Answers whoever asked since the last time. Called after every batch, at least ten times a second.
    pub(crate) fn serve(&mut self, health: impl Fn() -> Health) {
        while let Ok(asked) = self.asked.try_recv() {
            let _health = health();
            match asked.question {
                Question::Metrics => {}
            }
        }
    }
}
