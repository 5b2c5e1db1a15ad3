//! Which servers have a row of their own; all others share one. What makes this a question: a daemon runs for months, a scan
//! names thousands of ports, a guess of who is the server names ephemeral ones, and every row that comes and goes costs the
//! monitoring system some hundred series.
//!
//! - A row counts from its admission on; what came before stays in the shared row. So no counter ever falls or jumps, and
//!   each record is in one row.
//! - The first [`FREE`] rows go to whoever shows that it is a server: it answered. The others have to be earned, by
//!   [`EARNED`] signs of life within [`WINDOW_NS`]: a port that is used once (FTP data) earns nothing.
//! - Who never answered (refused, silent, or a guess) has to earn any row, and at most [`UNPROVEN`] rows are of this kind:
//!   a server that is down is worth a row, the ports of a scan are not. What requests say of a guessed server earns nothing.
//! - With all rows taken a row goes over to who is [`BUSIER`] times busier than its owner, but no row within a window of its
//!   admission: then its series end, and should it come back they begin at zero, which a monitoring system takes for the
//!   restart it is. So at most [`SERVERS`] rows change per window.
//! - Who may earn a row is counted by the algorithm of Misra and Gries: it never counts too many, whatever is sent, and who
//!   has more than a share of 1/[`CANDIDATES`] is found. The unproven are counted apart: a flood does not hide servers.
//!
//! Time is the records'. Should it leap ahead for good, no windows end any more: then the first come stay.

use std::collections::BTreeMap;

use crate::time::{SECOND, Timestamp};
use crate::view::ServerKey;

/// Most servers that are told apart. Chosen: in most rooms all servers that matter to one host; about 100 series each.
pub const SERVERS: usize = 100;
/// Rows that need not be earned. Chosen: half, so that small sites see everything at once.
const FREE: usize = SERVERS / 2;
/// Most rows of servers that never answered. Chosen.
const UNPROVEN: usize = SERVERS / 5;
/// Signs of life that earn a row. Chosen: a client that tries every minute shows within minutes.
const EARNED: u64 = 10;
/// How much busier than the owner of a row its next one is. Chosen: so that equals do not take turns.
const BUSIER: u64 = 8;
/// How long signs of life count. Chosen.
const WINDOW_NS: u64 = 3600 * SECOND as u64;
/// Most servers without a row that are counted, of either kind. Chosen: 100 KB.
const CANDIDATES: usize = 1024;

/// What a record tells of whether there is a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answered.
    Answered,
    /// Somebody asks it.
    Asked,
    /// Nothing.
    None,
}

/// A row and its owner's activity.
#[derive(Clone, Debug)]
struct Seat<T> {
    row: Box<T>,
    /// Whether it ever answered.
    proven: bool,
    /// Start of the current window.
    since: Timestamp,
    /// Records within it.
    now: u64,
    /// Records of the window before; none for one that was just admitted.
    before: Option<u64>,
}

/// The rows.
#[derive(Clone, Debug)]
pub(crate) struct Seats<T> {
    seats: BTreeMap<ServerKey, Seat<T>>,
    unproven: usize,
    other: Box<T>,
    candidates: [Candidates; 2],
    /// The latest time of a record.
    clock: Timestamp,
    /// Records counted in the shared row.
    pub(crate) shared: u64,
    /// Rows that went over to another server.
    pub(crate) replaced: u64,
}

impl<T: Default> Default for Seats<T> {
    fn default() -> Self {
        Seats {
            seats: BTreeMap::new(),
            unproven: 0,
            other: Box::default(),
            candidates: Default::default(),
            clock: Timestamp::MIN,
            shared: 0,
            replaced: 0,
        }
    }
}

impl<T: Default> Seats<T> {
    /// The row that a record of this server is counted in.
    pub(crate) fn at(&mut self, key: ServerKey, sign: Sign, at: Timestamp) -> &mut T {
        self.clock = self.clock.max(at);
        if !self.seats.contains_key(&key) && self.earns(key, sign) {
            self.admit(key, sign == Sign::Answered);
        }
        let Some(seat) = self.seats.get_mut(&key) else {
            self.shared += 1;
            return &mut self.other;
        };
        if sign == Sign::Answered && !seat.proven {
            seat.proven = true;
            self.unproven -= 1;
        }
        seat.touch(self.clock);
        &mut seat.row
    }

    /// Whether a server has a row of its own.
    pub(crate) fn has(&self, key: ServerKey) -> bool {
        self.seats.contains_key(&key)
    }

    /// Rows of their own, ascending by server.
    pub(crate) fn own(&self) -> impl Iterator<Item = (ServerKey, &T)> {
        self.seats.iter().map(|(key, seat)| (*key, &*seat.row))
    }

    /// The row of all others.
    pub(crate) fn other(&self) -> &T {
        &self.other
    }

    /// Whether a server without a row gets one, and there is one, if need be by taking it from another.
    fn earns(&mut self, key: ServerKey, sign: Sign) -> bool {
        let proven = match sign {
            Sign::None => return false,
            Sign::Answered if self.seats.len() < FREE => return true,
            Sign::Answered => true,
            Sign::Asked => false,
        };
        let count = self.candidates[usize::from(proven)].count(key, self.clock);
        // Looked at now and then only: it costs a walk over the rows.
        if count == 0 || !count.is_multiple_of(EARNED) {
            return false;
        }
        let crowded = !proven && self.unproven >= UNPROVEN;
        (self.seats.len() < SERVERS && !crowded) || self.replace(count, crowded)
    }

    fn admit(&mut self, key: ServerKey, proven: bool) {
        for candidates in &mut self.candidates {
            candidates.counts.remove(&key);
        }
        self.unproven += usize::from(!proven);
        let seat = Seat {
            row: Box::default(),
            proven,
            since: self.clock,
            now: 0,
            before: None,
        };
        self.seats.insert(key, seat);
    }

    /// Takes the row of the least busy server, of all or of the unproven, if that is idle against `count`.
    fn replace(&mut self, count: u64, only_unproven: bool) -> bool {
        let seats = self.seats.iter();
        let least = seats
            .filter(|(_, seat)| !only_unproven || !seat.proven)
            .filter_map(|(key, seat)| Some((seat.activity(self.clock)?, *key)))
            .min();
        let Some((activity, key)) = least.filter(|(n, _)| n.saturating_mul(BUSIER) <= count) else {
            return false;
        };
        if let Some(seat) = self.seats.remove(&key) {
            self.unproven -= usize::from(!seat.proven);
            self.replaced += 1;
            debug_assert!(activity <= count);
        }
        true
    }
}

impl<T> Seat<T> {
    fn touch(&mut self, clock: Timestamp) {
        let passed = elapsed(self.since, clock);
        if passed >= WINDOW_NS {
            self.before = Some(if passed < 2 * WINDOW_NS { self.now } else { 0 });
            self.now = 0;
            self.since = clock;
        }
        self.now = self.now.saturating_add(1);
    }

    /// Records of the busier of the last two windows; none within a window of its admission.
    fn activity(&self, clock: Timestamp) -> Option<u64> {
        match elapsed(self.since, clock) {
            ..WINDOW_NS => self.before.map(|before| before.max(self.now)),
            passed if passed < 2 * WINDOW_NS => Some(self.now),
            _ => Some(0),
        }
    }
}

/// Servers without a row: how often there was a sign of each, and since when; at most so often in truth.
#[derive(Clone, Debug, Default)]
struct Candidates {
    counts: BTreeMap<ServerKey, (u64, Timestamp)>,
}

impl Candidates {
    fn count(&mut self, key: ServerKey, clock: Timestamp) -> u64 {
        if let Some((count, since)) = self.counts.get_mut(&key) {
            if elapsed(*since, clock) >= WINDOW_NS {
                (*count, *since) = (0, clock);
            }
            *count += 1;
            return *count;
        }
        if self.counts.len() < CANDIDATES {
            self.counts.insert(key, (1, clock));
            return 1;
        }
        // Each took one sign to get in, or to get on: all of these walks together cost as much as the signs before.
        self.counts.retain(|_, (count, since)| {
            *count -= 1;
            *count > 0 && elapsed(*since, clock) < WINDOW_NS
        });
        0
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).map_or(0, |span| span.ns())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600 * SECOND;

    fn server(n: u64) -> ServerKey {
        ([10, 0, 0, 1].into(), n)
    }

    /// One count of each of `ports`, `times` over, at `at`.
    fn count(seats: &mut Seats<u64>, ports: std::ops::Range<u64>, times: u64, sign: Sign, at: i64) {
        for port in ports {
            for _ in 0..times {
                *seats.at(server(port), sign, Timestamp(at)) += 1;
            }
        }
    }

    fn ports(seats: &Seats<u64>) -> Vec<u64> {
        seats.own().map(|((_, port), _)| port).collect()
    }

    fn sum(seats: &Seats<u64>) -> u64 {
        seats.own().map(|(_, row)| row).sum::<u64>() + seats.other()
    }

    #[test]
    fn the_first_that_answer_have_rows_at_once_the_others_by_coming_often() {
        let mut seats = Seats::default();
        count(&mut seats, 0..60, 1, Sign::Answered, 0);
        assert_eq!(ports(&seats), Vec::from_iter(0..50));
        assert_eq!((*seats.other(), sum(&seats)), (10, 60));
        count(&mut seats, 55..57, 9, Sign::Answered, SECOND);
        assert_eq!(ports(&seats), Vec::from_iter((0..50).chain(55..57)));
        // The row has what came when it was earned; the rest stays where it was.
        assert_eq!(
            (seats.own().last(), *seats.other()),
            (Some((server(56), &1)), 26)
        );
    }

    #[test]
    fn a_scan_and_a_flood_of_ports_take_no_row() {
        let mut seats = Seats::default();
        for round in 0..3 {
            count(&mut seats, 0..65_536, 1, Sign::Asked, round * SECOND);
        }
        count(&mut seats, 0..65_536, 5, Sign::None, 4 * SECOND);
        assert_eq!(ports(&seats), []);
        // Meanwhile whoever answers has one, and a server that is down too.
        count(&mut seats, 443..444, 1, Sign::Answered, 5 * SECOND);
        count(&mut seats, 80..81, 10, Sign::Asked, 5 * SECOND);
        assert_eq!(ports(&seats), [80, 443]);
    }

    #[test]
    fn servers_that_never_answer_take_a_fifth_of_the_rows_at_most() {
        let mut seats = Seats::default();
        count(&mut seats, 0..200, 10, Sign::Asked, 0);
        assert_eq!(ports(&seats), Vec::from_iter(0..20));
        // One that answers at last makes room for another.
        count(&mut seats, 7..8, 1, Sign::Answered, SECOND);
        count(&mut seats, 300..302, 10, Sign::Asked, SECOND);
        assert_eq!(ports(&seats), Vec::from_iter((0..20).chain(300..301)));
    }

    #[test]
    fn a_row_goes_from_who_is_idle_to_who_is_busy_and_never_from_the_busy() {
        let mut seats = Seats::default();
        count(&mut seats, 0..100, 20, Sign::Answered, 0);
        assert_eq!(seats.own().count(), SERVERS);
        // Everybody's row is new.
        count(&mut seats, 200..201, 500, Sign::Answered, HOUR - 1);
        assert_eq!((seats.own().count(), seats.replaced), (SERVERS, 0));
        // All but one were busy within the last hours.
        count(&mut seats, 0..42, 20, Sign::Answered, 2 * HOUR);
        count(&mut seats, 43..100, 20, Sign::Answered, 2 * HOUR);
        count(&mut seats, 200..202, 10, Sign::Answered, 2 * HOUR + 1);
        assert_eq!(seats.replaced, 1);
        assert!(!ports(&seats).contains(&42) && ports(&seats).contains(&200));
        // Much busier than who is least busy.
        count(&mut seats, 201..202, 140, Sign::Answered, 2 * HOUR + 2);
        assert_eq!(seats.replaced, 1);
        count(&mut seats, 201..202, 20, Sign::Answered, 3 * HOUR - 1);
        assert_eq!((seats.replaced, ports(&seats).contains(&201)), (2, true));
    }

    proptest! {
        #[test]
        fn whatever_comes_the_bounds_hold_and_no_row_counts_less(
            steps in prop::collection::vec((0..400_u64, 1..40_u64, 0..3_u8, 0..900_i64), 1..400),
        ) {
            let mut seats = Seats::default();
            let (mut clock, mut all) = (0, 0);
            let mut before = BTreeMap::new();
            for (port, times, sign, minutes) in steps {
                let sign = [Sign::Answered, Sign::Asked, Sign::None][usize::from(sign)];
                clock += minutes * minutes * SECOND / 900;
                let replaced = seats.replaced;
                count(&mut seats, port..port + 1, times, sign, clock);
                all += times;
                let now: BTreeMap<_, u64> = seats.own().map(|(key, row)| (key, *row)).collect();
                prop_assert!(now.len() <= SERVERS && seats.unproven <= UNPROVEN);
                prop_assert_eq!(seats.seats.values().filter(|seat| !seat.proven).count(), seats.unproven);
                prop_assert!(seats.candidates.iter().all(|of| of.counts.len() <= CANDIDATES));
                if seats.replaced == 0 {
                    prop_assert_eq!(sum(&seats), all);
                }
                if seats.replaced == replaced {
                    prop_assert!(before.iter().all(|(key, row)| now[key] >= *row));
                }
                before = now;
            }
        }
    }
}
