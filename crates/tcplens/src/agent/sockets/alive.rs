//! Whether the thread that watches sockets goes on, for the supervisor: another thread would say so even if that one were stuck.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tcplens_output::SinkEnd;

use crate::sockets::{Consumer, Ended, Polled};

/// What the thread has done so far.
#[derive(Debug, Default)]
pub(super) struct Alive {
    /// Times that it had nothing to do for a moment.
    beats: AtomicU64,
    looks: AtomicU64,
    connections: AtomicU64,
    ended: AtomicU64,
}

impl Alive {
    /// Whether it went on since `known`, which is brought up to date.
    pub(super) fn goes_on(&self, known: &mut u64) -> bool {
        let now = self.beats.load(Relaxed);
        std::mem::replace(known, now) != now
    }
}

/// For the status that a supervisor shows.
impl Display for Alive {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections, {} ended, {} looks",
            self.connections.load(Relaxed),
            self.ended.load(Relaxed),
            self.looks.load(Relaxed)
        )
    }
}

/// Tells of the thread that it is shown from.
pub(super) struct Beat(Arc<Alive>);

impl Beat {
    pub(super) fn new(alive: Arc<Alive>) -> Beat {
        Beat(alive)
    }
}

impl Consumer for Beat {
    fn wants_records(&self) -> bool {
        false
    }

    fn ended(&mut self, _: &Ended<'_>) -> Result<(), SinkEnd> {
        self.0.ended.fetch_add(1, Relaxed);
        Ok(())
    }

    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        self.0.looks.fetch_add(1, Relaxed);
        let connections = polled.tracker.len() as u64;
        self.0.connections.store(connections, Relaxed);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.0.beats.fetch_add(1, Relaxed);
        Ok(())
    }
}
