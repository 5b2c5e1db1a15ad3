//! A file at its own pace: packet time waits for the clock of the machine. Not a source: packets are read ahead, and what is
//! shown waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tcplens_core::time::Timestamp;

/// How long a wait lasts at most before the stop flag is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// When which packet time is there.
pub(crate) struct Pace {
    /// Times faster than captured.
    speed: f64,
    began: Option<(Instant, Timestamp)>,
    stop: Arc<AtomicBool>,
}

impl Pace {
    /// At `speed` times its own; ends waiting when `stop` is set.
    pub(crate) fn new(speed: f64, stop: Arc<AtomicBool>) -> Pace {
        Pace {
            speed,
            began: None,
            stop,
        }
    }

    /// Waits until it is `at`; the first time is now. `meanwhile` is called at least ten times a second. Whether it is so late:
    /// not if it is to end before.
    pub(crate) fn wait(&mut self, at: Timestamp, mut meanwhile: impl FnMut()) -> bool {
        let (began, first) = *self.began.get_or_insert_with(|| (Instant::now(), at));
        // Before the first: no time to wait for.
        let ns = at.since(first).unwrap_or_default().ns();
        // A double holds a hundred days of nanoseconds.
        let seconds = ns as f64 / 1e9 / self.speed;
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        while !self.stop.load(Ordering::Relaxed) {
            let Some(left) = wait
                .checked_sub(began.elapsed())
                .filter(|left| !left.is_zero())
            else {
                return true;
            };
            std::thread::sleep(left.min(LOOK));
            meanwhile();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_time_waits_for_the_clock_and_not_when_it_is_to_end() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut pace = Pace::new(10.0, Arc::clone(&stop));
        let began = Instant::now();
        assert!(pace.wait(Timestamp(5_000_000_000), || {}));
        assert!(pace.wait(Timestamp(5_500_000_000), || {}));
        assert!(began.elapsed() >= Duration::from_millis(50), "{began:?}");
        assert!(pace.wait(Timestamp(4_000_000_000), || {}));
        stop.store(true, Ordering::Relaxed);
        assert!(!pace.wait(Timestamp(i64::MAX - 1), || panic!("waits")));
    }
}
