//! What the page shows: what is wrong (a [`Report`]), what happened when, of everything and of the destinations that matter
//! most, and the slowest requests with what else their connections did then. Not how it looks: that is an encoder's.
//!
//! Bounded, whatever the traffic: [`SLOTS`] slices of time for all and [`SEAT_SLOTS`] for each of [`SEATS`] destinations
//! (`destinations`), at most 5 KB each, so 23 MB at the very most and some hundred KB usually; what `slow` keeps, 8 MB; and
//! the [`Report`].

mod course;
mod destinations;
mod slow;

pub use course::{Cells, Course, Slot, cell};
pub use destinations::{Destinations, SEATS, Seat};
pub use slow::{AROUND, Lane, OF_SEAT, ROWS, SLOWEST, SlowTask, SlowTasks, Task};

use super::{Report, ServerKey};
use crate::batch::AnyRecord;
use crate::record::Request;

/// Slices of the time of everything.
pub const SLOTS: i64 = 240;
/// Slices of the time of one destination. Chosen: a quarter of the others, for there are many of them.
pub const SEAT_SLOTS: i64 = 60;

/// Takes every record. What changes is marked with the revision at which it did, so that whoever looks all the time is told
/// of that only.
#[derive(Clone, Debug)]
pub struct PageView {
    report: Report,
    all: Course,
    destinations: Destinations,
    slow: SlowTasks,
    revision: u64,
}

impl Default for PageView {
    fn default() -> PageView {
        PageView {
            report: Report::default(),
            all: Course::new(SLOTS),
            destinations: Destinations::default(),
            slow: SlowTasks::default(),
            revision: 1,
        }
    }
}

impl PageView {
    /// Takes one record.
    pub fn add(&mut self, record: AnyRecord<'_>) {
        match record {
            AnyRecord::Handshake(handshake) => {
                self.report.add(record);
                self.all.attempt(handshake, self.revision);
                let server = (handshake.server_ip, handshake.server_port);
                self.destinations
                    .at(server, course::is_failure(handshake), self.revision)
                    .attempt(handshake, self.revision);
                self.forget_who_left();
            }
            AnyRecord::Request(request) => self.request(&request.record()),
            AnyRecord::Connection(_) => self.report.add(record),
        }
    }

    /// Takes one request.
    pub fn request(&mut self, request: &Request<'_>) {
        self.report.request(request);
        self.all.request(request, self.revision);
        let server: ServerKey = (request.server_ip, request.server_port);
        self.destinations
            .at(server, course::is_trouble(request), self.revision)
            .request(request, self.revision);
        self.forget_who_left();
        let has_seat = self.destinations.has(server);
        self.slow.add(request, has_seat, self.revision);
    }

    /// Slow requests of its own has only who has a seat.
    fn forget_who_left(&mut self) {
        if let Some(server) = self.destinations.take_left() {
            self.slow.leave(server, self.revision);
        }
    }

    /// What is wrong, and the tables.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Everything by time.
    #[must_use]
    pub fn all(&self) -> &Course {
        &self.all
    }

    /// Destinations by time.
    #[must_use]
    pub fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// The slowest requests, and their connections.
    #[must_use]
    pub fn slow(&self) -> &SlowTasks {
        &self.slow
    }

    /// What changes from now on is marked with this, which is at least 1.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Somebody was told all that is marked so far. Returns the revision of what was told.
    pub fn told(&mut self) -> u64 {
        let told = self.revision;
        self.revision += 1;
        told
    }
}
