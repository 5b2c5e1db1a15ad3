//! Which destinations have a [`Course`] of their own: those with most requests, attempts and troubles, as far as that is known
//! while records come. The rest is one course together. A destination that comes to matter later takes the seat of the one that
//! matters least, and its course begins then; what was before is among the others.
//!
//! Bounded: of [`STANDING`] without one it is known how much they matter. Where there are as many, the half of them that matters
//! least is forgotten, so that there is always room for who comes new.

use std::collections::BTreeMap;

use super::super::ServerKey;
use super::{Course, SEAT_SLOTS};

/// Most destinations with a course of their own. Chosen: more than anybody looks through, and their plots are well below a MB.
pub const SEATS: usize = 64;
/// Most destinations without one of which it is known how much they matter. Chosen: 200 KB.
const STANDING: usize = 4096;
/// How much more a failure counts than a request that went well: who looks at the page looks for these.
const TROUBLE: u64 = 10;

/// A destination with a course of its own.
#[derive(Clone, Debug)]
pub struct Seat {
    /// What happened when.
    pub course: Course,
    /// It took the seat later: what was before is among the others.
    pub is_late: bool,
    /// Requests and attempts, failed ones more than once.
    weight: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Destinations {
    seats: BTreeMap<ServerKey, Seat>,
    standing: BTreeMap<ServerKey, u64>,
    others: Course,
    /// Who gave up the seat last, until somebody asks.
    left: Option<ServerKey>,
}

impl Default for Destinations {
    fn default() -> Destinations {
        Destinations {
            seats: BTreeMap::new(),
            standing: BTreeMap::new(),
            others: Course::new(SEAT_SLOTS),
            left: None,
        }
    }
}

impl Destinations {
    /// Those with a course of their own, ascending by key.
    pub fn seats(&self) -> impl Iterator<Item = (ServerKey, &Seat)> {
        self.seats.iter().map(|(&key, seat)| (key, seat))
    }

    /// Whether a destination has one.
    #[must_use]
    pub fn has(&self, server: ServerKey) -> bool {
        self.seats.contains_key(&server)
    }

    /// All others together.
    #[must_use]
    pub fn others(&self) -> &Course {
        &self.others
    }

    /// Where a record of a destination counts.
    pub(super) fn at(&mut self, server: ServerKey, is_trouble: bool, revision: u64) -> &mut Course {
        let weight = if is_trouble { TROUBLE } else { 1 };
        let has_room = self.seats.len() < SEATS;
        if (has_room || self.overtakes(server, weight, revision))
            && !self.seats.contains_key(&server)
        {
            self.sit_down(server, !has_room, revision);
        }
        match self.seats.get_mut(&server) {
            Some(seat) => {
                seat.weight = seat.weight.saturating_add(weight);
                &mut seat.course
            }
            None => &mut self.others,
        }
    }

    /// Who gave up the seat with the last record, once.
    pub(super) fn take_left(&mut self) -> Option<ServerKey> {
        self.left.take()
    }

    fn sit_down(&mut self, server: ServerKey, is_late: bool, revision: u64) {
        let mut course = Course::new(SEAT_SLOTS);
        course.renewed = revision;
        let weight = self.standing.remove(&server).unwrap_or_default();
        let seat = Seat {
            course,
            is_late,
            weight,
        };
        self.seats.insert(server, seat);
    }

    /// Whether one without a seat matters twice as much as the least of those that have one, who gives up the seat then.
    fn overtakes(&mut self, server: ServerKey, more: u64, revision: u64) -> bool {
        if self.seats.contains_key(&server) {
            return false;
        }
        if self.standing.len() >= STANDING && !self.standing.contains_key(&server) {
            self.forget_the_least();
        }
        let weight = self.standing.entry(server).or_default();
        *weight = weight.saturating_add(more);
        let weight = *weight;
        let least = self.seats.iter().min_by_key(|(_, seat)| seat.weight);
        let Some((&key, least)) = least else {
            return false;
        };
        if weight / 2 <= least.weight.saturating_add(TROUBLE) {
            return false;
        }
        if let Some(seat) = self.seats.remove(&key) {
            self.others.merge(&seat.course, revision);
            // There is room: the new one leaves those who stand.
            self.standing.insert(key, seat.weight);
            self.left = Some(key);
        }
        true
    }

    /// Makes room: a sort for every `STANDING / 2` that come new.
    fn forget_the_least(&mut self) {
        let mut all: Vec<(u64, ServerKey)> =
            (self.standing.iter().map(|(&key, &weight)| (weight, key))).collect();
        all.sort_unstable();
        for (_, key) in all.iter().take(STANDING / 2) {
            self.standing.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> ServerKey {
        (std::net::IpAddr::from([10, 0, (n >> 8) as u8, n as u8]), 80)
    }

    #[test]
    fn who_comes_to_matter_takes_the_seat_of_the_least() {
        let mut destinations = Destinations::default();
        for n in 0..SEATS {
            for _ in 0..10 + n {
                destinations.at(key(n), false, 1);
            }
        }
        assert_eq!(destinations.seats().count(), SEATS);
        let late = key(1000);
        for _ in 0..10 {
            destinations.at(late, false, 2);
        }
        assert!(!destinations.has(late) && destinations.has(key(0)));
        for _ in 0..4 {
            destinations.at(late, true, 3);
        }
        assert!(destinations.has(late) && !destinations.has(key(0)));
        let seat = destinations
            .seats()
            .find(|(key, _)| *key == late)
            .unwrap()
            .1;
        assert!(seat.is_late && seat.course.is_new_since(2));
        assert_eq!(destinations.seats().count(), SEATS);
    }

    #[test]
    fn however_many_destinations_come_what_is_kept_is_bounded() {
        let mut destinations = Destinations::default();
        for n in 0..20_000 {
            destinations.at(key(n), n % 3 == 0, 1);
        }
        assert_eq!(destinations.seats().count(), SEATS);
        let standing = destinations.standing.len();
        assert!((STANDING / 2..=STANDING).contains(&standing), "{standing}");
    }

    #[test]
    fn however_many_came_only_once_before_who_comes_to_matter_gets_a_seat() {
        let mut destinations = Destinations::default();
        let mut once = 0..40_000;
        for n in once.by_ref().take(2 * STANDING) {
            destinations.at(key(n), n % 2 == 0, 1);
        }
        // One of ten is for it, all the others come once as before.
        let busy = (std::net::IpAddr::from([192, 0, 2, 1]), 80);
        for n in once.take(1000) {
            destinations.at(key(n), n % 2 == 0, 2);
            if n % 10 == 0 {
                destinations.at(busy, false, 2);
            }
        }
        assert!(destinations.has(busy));
        let left = destinations.take_left().unwrap();
        assert!(!destinations.has(left) && destinations.take_left().is_none());
    }
}
