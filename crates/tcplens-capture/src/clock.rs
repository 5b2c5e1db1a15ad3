//! The clock that live packets are stamped by (CLOCK_REALTIME), and how it goes on when nothing comes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tcplens_core::time::Timestamp;

/// The present time.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, in_ns))
}

/// A clock that does not stand still when the machine's is set back: connections would never expire.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    at: Timestamp,
}

impl Clock {
    /// From now on.
    #[must_use]
    pub fn start() -> Clock {
        Clock {
            started: Instant::now(),
            at: now(),
        }
    }

    /// The present time, less `behind`.
    #[must_use]
    pub fn now_less(&self, behind: Duration) -> Timestamp {
        let gone = self.at.plus(in_ns(self.started.elapsed()));
        now().max(gone).plus(-in_ns(behind))
    }
}

fn in_ns(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
