//! Between the screen and the numbers. The screen has a thread of its own and asks; who has the numbers answers between two
//! batches. One question waits at most, and one answer: neither side ever waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use tcplens_core::record::Health;
use tcplens_core::time::Timestamp;
use tcplens_core::view::top::{TopQuery, TopSnapshot};

/// A question.
#[derive(Debug)]
pub(super) struct Asked {
    /// Comes back with the answer: tells which question it was.
    pub epoch: u64,
    /// What is asked.
    pub query: TopQuery,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Told {
    /// Of the question.
    pub epoch: u64,
    /// Which row is the first.
    pub skip: usize,
    /// The rows.
    pub snapshot: TopSnapshot,
    /// What is known of the observation.
    pub facts: Facts,
}

/// What is known of the observation itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Packets, or events of the kernel, so far.
    pub packets: Option<u64>,
    /// Whether these are events.
    pub are_events: bool,
    /// Of these, dropped by the kernel.
    pub drops: u64,
    /// Records that found no room on their way.
    pub records_dropped: u64,
    /// Connections given up, for a table was full.
    pub evicted: u64,
    /// The first packet.
    pub first: Option<Timestamp>,
    /// All was read.
    pub is_over: bool,
}

impl Facts {
    /// What was counted.
    pub(crate) fn of(health: &Health) -> Facts {
        let dropped = health.records_dropped.iter().map(|(_, n)| n).sum();
        Facts {
            packets: Some(health.kernel_events.unwrap_or(health.packets)),
            are_events: health.kernel_events.is_some(),
            drops: health.dropped().unwrap_or_default(),
            records_dropped: dropped,
            evicted: health.evicted_connections,
            first: None,
            is_over: false,
        }
    }
}

/// The end of who has the numbers.
#[derive(Debug)]
pub(crate) struct Answers {
    asked: Receiver<Asked>,
    told: SyncSender<Told>,
    /// Whether there is a question: looked at after each record.
    is_asked: Arc<AtomicBool>,
    facts: Facts,
}

/// The screen's end.
#[derive(Debug)]
pub(super) struct Questions {
    asked: SyncSender<Asked>,
    told: Receiver<Told>,
    is_asked: Arc<AtomicBool>,
}

/// Both ends.
pub(super) fn link() -> (Questions, Answers) {
    let (ask, asked) = sync_channel(1);
    let (tell, told) = sync_channel(1);
    let is_asked = Arc::<AtomicBool>::default();
    let answers = Answers {
        asked,
        told: tell,
        is_asked: Arc::clone(&is_asked),
        facts: Facts::default(),
    };
    (
        Questions {
            asked: ask,
            told,
            is_asked,
        },
        answers,
    )
}

impl Answers {
    /// Answers, if there is a question. Without one this costs a look at a flag.
    pub(crate) fn serve(&mut self, answer: impl FnOnce(&TopQuery) -> TopSnapshot) {
        if self.is_asked.load(Ordering::Relaxed)
            && self.is_asked.swap(false, Ordering::Acquire)
            && let Ok(asked) = self.asked.try_recv()
        {
            self.tell(&asked, answer);
        }
    }

    /// What was counted so far.
    pub(crate) fn health(&mut self, health: &Health) {
        self.facts = Facts {
            first: self.facts.first,
            ..Facts::of(health)
        };
    }

    /// The time of the first packet.
    pub(crate) fn first_packet(&mut self, at: Timestamp) {
        self.facts.first = Some(at);
    }

    /// All was read: answers until the screen's thread ends; for the thread that has nothing else to do.
    pub(crate) fn serve_on(&mut self, mut answer: impl FnMut(&TopQuery) -> TopSnapshot) {
        self.facts.is_over = true;
        while let Ok(asked) = self.asked.recv() {
            self.tell(&asked, &mut answer);
        }
    }

    fn tell(&self, asked: &Asked, answer: impl FnOnce(&TopQuery) -> TopSnapshot) {
        let told = Told {
            epoch: asked.epoch,
            skip: asked.query.skip,
            snapshot: answer(&asked.query),
            facts: self.facts.clone(),
        };
        // There is room, for the screen asks again only when it has the answer; it may be closed by now.
        let _ = self.told.try_send(told);
    }
}

impl Questions {
    /// Asks; only after the last question was answered.
    pub(super) fn ask(&self, asked: Asked) {
        // There is room, for nothing else was asked; who answers may be gone, which the next look for an answer tells.
        let _ = self.asked.try_send(asked);
        // Pairs with the swap in `Answers::serve`.
        self.is_asked.store(true, Ordering::Release);
    }

    /// The answer, if there is one by now.
    ///
    /// # Errors
    /// Who has the numbers is gone.
    pub(super) fn told(&self) -> Result<Option<Told>, ()> {
        match self.told.try_recv() {
            Ok(told) => Ok(Some(told)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(()),
        }
    }
}
