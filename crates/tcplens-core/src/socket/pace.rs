//! How often to poll: at a fixed interval, or as often as a share of a core allows.

/// Shortest interval, ns.
pub const SHORTEST: u64 = 10_000_000;
/// Longest interval, ns.
pub const LONGEST: u64 = 10_000_000_000;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// This interval in ns, whatever it costs.
    Fixed(u64),
    /// Between 10 ms and 10 s, so that polls take at most this share of a core (0.02: 2 %).
    Budget(f64),
}

impl Default for Pace {
    fn default() -> Pace {
        Pace::Budget(0.02)
    }
}

/// Says when the next poll is due. Times are ns of one monotonic clock.
#[derive(Clone, Debug)]
pub struct Pacer {
    pace: Pace,
    /// Smoothed CPU time of a poll, ns; `None` before the first.
    cost: Option<f64>,
    interval: u64,
    /// When the last poll was due.
    due: Option<u64>,
    missed: u64,
    polls: u64,
}

impl Pacer {
    /// Begins with the fixed interval, or with a tenth of a second until a poll was measured.
    #[must_use]
    pub fn new(pace: Pace) -> Pacer {
        let interval = match pace {
            Pace::Fixed(interval) => interval.max(1),
            Pace::Budget(_) => SHORTEST * 10,
        };
        Pacer {
            pace,
            cost: None,
            interval,
            due: None,
            missed: 0,
            polls: 0,
        }
    }

    /// Goes on at another pace from the next poll on; what was counted stays.
    pub fn set_pace(&mut self, pace: Pace) {
        if self.pace != pace {
            *self = Pacer {
                missed: self.missed,
                polls: self.polls,
                ..Pacer::new(pace)
            };
        }
    }

    /// A poll began at `start`, ended at `end`, and took `cpu` ns of CPU. Answers when the next is due: one interval after this
    /// one was; what is past by then is left out and counted.
    pub fn polled(&mut self, start: u64, end: u64, cpu: u64) -> u64 {
        self.polls += 1;
        if let Pace::Budget(share) = self.pace {
            // A costly one counts at once, cheaper ones gradually: the budget holds while the number of sockets grows.
            let cost = cpu as f64;
            let smooth = match self.cost {
                Some(before) if cost < before => before + (cost - before) / 8.0,
                Some(before) => before + (cost - before) / 2.0,
                None => cost,
            };
            self.cost = Some(smooth);
            // A share of nothing, or none at all, is the longest interval.
            let wanted = smooth / share.max(1e-6);
            self.interval = (wanted as u64).clamp(SHORTEST, LONGEST);
        }
        let due = self.due.unwrap_or(start);
        let mut next = due.saturating_add(self.interval);
        if next < end {
            let late = end - next;
            let missed = late / self.interval + 1;
            self.missed = self.missed.saturating_add(missed);
            next = next.saturating_add(missed.saturating_mul(self.interval));
        }
        self.due = Some(next);
        next
    }

    /// The interval in force, ns.
    #[must_use]
    pub fn interval(&self) -> u64 {
        self.interval
    }

    /// Polls that were due while another one ran, and were left out.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Polls in all.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// CPU time of a poll, smoothed, ns.
    #[must_use]
    pub fn cost(&self) -> Option<u64> {
        self.cost.map(|cost| cost as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_fixed_interval_is_obeyed_whatever_polls_cost() {
        let mut pacer = Pacer::new(Pace::Fixed(20 * MS));
        let mut due = 0;
        for _ in 0..100 {
            due = pacer.polled(due, due + 15 * MS, 15 * MS);
        }
        assert_eq!(
            (due, pacer.interval(), pacer.missed()),
            (2000 * MS, 20 * MS, 0)
        );
    }

    #[test]
    fn what_is_due_while_a_poll_runs_is_left_out_and_counted() {
        let mut pacer = Pacer::new(Pace::Fixed(10 * MS));
        assert_eq!(pacer.polled(0, 35 * MS, MS), 40 * MS);
        assert_eq!(pacer.missed(), 3);
        assert_eq!(pacer.polled(40 * MS, 41 * MS, MS), 50 * MS);
        assert_eq!((pacer.missed(), pacer.polls()), (3, 2));
    }

    #[test]
    fn another_pace_takes_effect_at_the_next_poll() {
        let mut pacer = Pacer::new(Pace::Fixed(10 * MS));
        pacer.polled(0, 35 * MS, MS);
        pacer.set_pace(Pace::Fixed(100 * MS));
        assert_eq!(pacer.polled(40 * MS, 41 * MS, MS), 140 * MS);
        pacer.set_pace(Pace::Fixed(100 * MS));
        assert_eq!(pacer.polled(150 * MS, 151 * MS, MS), 240 * MS);
        assert_eq!((pacer.missed(), pacer.polls()), (3, 3));
    }

    #[test]
    fn polls_stay_within_the_share_of_a_core_and_the_bounds() {
        for (cpu, expected) in [
            (50_000, SHORTEST),
            (2 * MS, 100 * MS),
            (60 * MS, 3000 * MS),
            (900 * MS, LONGEST),
        ] {
            let mut pacer = Pacer::new(Pace::default());
            let mut due = 0;
            for _ in 0..50 {
                due = pacer.polled(due, due + cpu, cpu);
            }
            assert_eq!(pacer.interval(), expected, "{cpu}");
        }
        let mut pacer = Pacer::new(Pace::Budget(0.0));
        pacer.polled(0, 1, MS);
        assert_eq!(pacer.interval(), LONGEST);
    }

    #[test]
    fn one_costly_poll_is_forgotten_by_and_by() {
        let mut pacer = Pacer::new(Pace::default());
        pacer.polled(0, MS, MS);
        pacer.polled(50 * MS, 60 * MS, 9 * MS);
        assert_eq!(pacer.interval(), 250 * MS);
        for _ in 0..100 {
            pacer.polled(0, 0, MS);
        }
        assert!(pacer.interval() < 51 * MS, "{}", pacer.interval());
    }
}
