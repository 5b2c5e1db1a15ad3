//! What the page needs of a store, whatever kind it is. Called by several threads at once, each of which may wait.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use tcplens_core::time::Timestamp;
use tcplens_core::view::fleet::{Fleet, FleetFilter, FleetRange};
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

    /// What there is now.
    fn state(&self) -> Result<State, Why>;

    /// Brings rollups up to date with what there is: those of its time that pass its filter. A source that cannot tell what
    /// came since begins with [`Reading::begin_again`]. Ends early, with [`Reading::unread`], once `give_up` says so.
    fn bring(&self, reading: &mut Reading, give_up: &dyn Fn() -> bool) -> Result<(), Why>;

    /// Findings of a time that say since when, in any order. What cannot be read is left out.
    fn marks(
        &self,
        range: &Range<Timestamp>,
        each: &mut dyn FnMut(Mark),
        give_up: &dyn Fn() -> bool,
    );

    /// Single records.
    fn records(
        &self,
        view: &'static View,
        range: &Range<Timestamp>,
        filter: &FleetFilter,
        most: usize,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Records, Why>;
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
    /// Files that are counted in it.
    pub(crate) seen: BTreeSet<PathBuf>,
    /// What could not be read, at most [`NAMED`].
    pub(crate) damages: Vec<String>,
    /// How many more could not.
    pub(crate) more_damages: u64,
    /// Files that there was no time for.
    pub(crate) unread: u64,
}

impl Reading {
    /// Nothing yet.
    pub(crate) fn new(range: FleetRange, filter: FleetFilter) -> Reading {
        Reading {
            fleet: Fleet::new(range, filter),
            seen: BTreeSet::new(),
            damages: Vec::new(),
            more_damages: 0,
            unread: 0,
        }
    }

    /// Forgets all that was read.
    pub(crate) fn begin_again(&mut self) {
        *self = Reading::new(self.fleet.range(), self.fleet.filter().clone());
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
