//! What the page needs of a store, whatever kind it is. Called by several threads at once, each of which may wait.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use tcplens_core::time::Timestamp;
use tcplens_core::view::fleet::{Fleet, FleetFilter, FleetRange};
#[cfg(feature = "remote")]
use tcplens_output::clickhouse::Stretch;
use tcplens_output::named::{Dialect, Named, Parameters};
use tcplens_output::page::fleet::Mark;
use tcplens_output::store::look::{Found, View};

/// Damages that are named; the rest is counted.
pub(super) const NAMED: usize = 10;

/// Why something could not be had, in words for the user.
pub(super) type Why = String;

/// A store.
pub(crate) trait Source: Send + Sync {
    /// What the user calls it.
    fn name(&self) -> &str;

    /// What it is read in: `files`, `hours`.
    fn parts(&self) -> &'static str;

    /// Whose SQL it is asked in.
    fn dialect(&self) -> Dialect;

    /// What there is now.
    fn state(&self) -> Result<State, Why>;

    /// Brings rollups up to date with what there is: those of its time that pass its filter. A source that cannot tell what
    /// came since begins with [`Reading::begin_again`]. Ends early, with [`Reading::unread`], once `give_up` says so.
    fn bring(&self, reading: &mut Reading, give_up: &dyn Fn() -> bool) -> Result<(), Why>;

    /// Findings of a time that say since when, in any order. An error says why some may be missing; the others were given.
    fn marks(
        &self,
        range: &Range<Timestamp>,
        each: &mut dyn FnMut(Mark),
        give_up: &dyn Fn() -> bool,
    ) -> Result<(), Why>;

    /// Single records.
    fn records(
        &self,
        view: &'static View,
        range: &Range<Timestamp>,
        filter: &FleetFilter,
        most: usize,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Records, Why>;

    /// Whether there is what runs queries that come along, or how to get it.
    fn engine(&self) -> Result<(), Why>;

    /// Runs one: lines of JSON, so many bytes of them, and whether there were more.
    fn query(
        &self,
        named: &'static Named,
        parameters: &Parameters,
        most: usize,
    ) -> Result<(Vec<u8>, bool), Why>;
}

/// What is read as a whole, and does not change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A file of a directory.
    File(PathBuf),
    /// An hour, or a minute, of a server, with the rows that it has.
    #[cfg(feature = "remote")]
    Stretch(Stretch),
}

#[cfg(feature = "remote")]
impl Part {
    /// A stretch of which that is true.
    pub(super) fn is(&self, such: impl Fn(&Stretch) -> bool) -> bool {
        matches!(self, Part::Stretch(stretch) if such(stretch))
    }
}

/// Of how many hours they are.
#[cfg(feature = "remote")]
pub(super) fn hours<'s>(stretches: impl Iterator<Item = &'s Stretch>) -> u64 {
    let hour = 3_600_000_000_000;
    let hours: BTreeSet<i64> = stretches.map(|of| of.time.0.0.div_euclid(hour)).collect();
    hours.len() as u64
}

/// What there is in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Another number says that rollups or findings came or went.
    pub(crate) version: u64,
    /// Where the first day begins, and where the newest minute ends; `None` without rollups.
    pub(crate) extent: Option<(Timestamp, Timestamp)>,
}

/// Rollups that were read, and which ones.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// What they amount to.
    pub(crate) fleet: Fleet,
    /// What is counted in it.
    pub(crate) seen: BTreeSet<Part>,
    /// The same before what may change soon was read, where a source puts that aside.
    #[cfg(feature = "remote")]
    pub(crate) settled: Option<Box<Settled>>,
    /// What could not be read, at most [`NAMED`].
    pub(crate) damages: Vec<String>,
    /// How many more could not.
    pub(crate) more_damages: u64,
    /// Files, or hours, that there was no time for.
    pub(crate) unread: u64,
}

/// A part of a reading that can be gone back to.
#[cfg(feature = "remote")]
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// What it amounts to.
    pub(crate) fleet: Fleet,
    /// What is counted in it.
    pub(crate) seen: BTreeSet<Part>,
    /// What of that could not be read, and how much more.
    pub(crate) damages: (Vec<String>, u64),
}

impl Reading {
    /// Nothing yet.
    pub(crate) fn new(range: FleetRange, filter: FleetFilter) -> Reading {
        Reading {
            fleet: Fleet::new(range, filter),
            seen: BTreeSet::new(),
            #[cfg(feature = "remote")]
            settled: None,
            damages: Vec::new(),
            more_damages: 0,
            unread: 0,
        }
    }

    /// Forgets all that was read.
    pub(crate) fn begin_again(&mut self) {
        *self = Reading::new(self.fleet.range(), self.fleet.filter().clone());
    }

    /// Puts aside what was read until now.
    #[cfg(feature = "remote")]
    pub(crate) fn settle(&mut self) {
        self.settled = Some(Box::new(Settled {
            fleet: self.fleet.clone(),
            seen: self.seen.clone(),
            damages: (self.damages.clone(), self.more_damages),
        }));
    }

    /// Forgets what was read since.
    #[cfg(feature = "remote")]
    pub(crate) fn go_back(&mut self, settled: Box<Settled>) {
        (self.fleet, self.seen) = (settled.fleet, settled.seen);
        (self.damages, self.more_damages) = settled.damages;
    }

    /// How many files, or hours, are counted in it.
    pub(crate) fn parts(&self) -> u64 {
        let files = self.seen.iter();
        let files = files.filter(|part| matches!(part, Part::File(_))).count();
        #[cfg(feature = "remote")]
        let hours = hours(self.seen.iter().filter_map(|part| match part {
            Part::Stretch(stretch) => Some(stretch),
            Part::File(_) => None,
        }));
        #[cfg(not(feature = "remote"))]
        let hours = 0;
        files as u64 + hours
    }

    /// Something could not be read.
    pub(crate) fn damaged(&mut self, what: String) {
        if self.damages.len() < NAMED {
            self.damages.push(what);
        } else {
            self.more_damages += 1;
        }
    }
}

/// Single records that were found.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// They.
    pub(crate) found: Found,
    /// Files that were read, or what a source has in their place.
    pub(crate) files: u64,
    /// Files that there was no time for.
    pub(crate) unread: u64,
    /// What could not be read.
    pub(crate) damages: Vec<String>,
}
