//! What the fleet page shows: rollups of any number of hosts within a time, as slices of time, servers, their operations, and hosts.
//! Sees rollups only (`kind` `rollup` of a store, docs/records.md), not where they are kept; how it looks is an encoder's.
//!
//! Bounded, whatever the fleet: [`SLOTS`] slices with two histograms each (60 KB at the very most, 3 KB usually), and of servers,
//! operations and hosts twice [`ROWS`] rows with [`STRIP`] slices each (100 KB at the very most, 10 KB usually): 10 MB usually.

mod sum;
mod table;

pub use sum::Sum;
pub use table::{Pip, Row, Table};

use super::{ServerKey, WIDTHS_NS};
use crate::record::{Protocol, Rollup};
use crate::time::{SECOND, Timestamp};

/// Most slices of the time that is looked at. Chosen: as many as a plot has columns.
pub const SLOTS: i64 = 240;
/// Slices of the time of one row. Chosen: as many as a picture in a table has columns.
pub const STRIP: usize = 48;
/// Most rows of a table. Chosen: more than anybody reads.
pub const ROWS: usize = 256;

/// A rollup's time: no slice is shorter.
const MINUTE: i64 = 60 * SECOND;

/// An operation of one server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationKey {
    /// Address and port.
    pub server: ServerKey,
    /// What is spoken.
    pub protocol: Protocol,
    /// Its name; `None` where the protocol has none.
    pub operation: Option<String>,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FleetFilter {
    /// Where it was observed.
    pub host: Option<String>,
    /// Address and port.
    pub server: Option<ServerKey>,
    /// What is spoken; then attempts and connections are left out, of which that is not known.
    pub protocol: Option<Protocol>,
    /// The operation; likewise.
    pub operation: Option<String>,
}

impl FleetFilter {
    /// Whether a rollup of a host is looked at.
    #[must_use]
    pub fn passes(&self, host: &str, rollup: &Rollup) -> bool {
        let server = server_of(rollup);
        self.host.as_ref().is_none_or(|wanted| wanted == host)
            && self.server.is_none_or(|wanted| server == Some(wanted))
            && (self.protocol.is_none() || self.protocol == rollup.protocol)
            && (self.operation.is_none() || self.operation == rollup.operation)
    }

    /// Whether attempts and connections are left out.
    #[must_use]
    pub fn is_of_requests(&self) -> bool {
        self.protocol.is_some() || self.operation.is_some()
    }
}

/// A stretch of time in slices of equal width, which begin at multiples of it since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FleetRange {
    /// Where it begins, in ns.
    pub from: Timestamp,
    /// Where it ends: the first moment that is not within.
    pub until: Timestamp,
    /// How long a slice is, in ns: whole minutes.
    pub width_ns: i64,
}

impl FleetRange {
    /// All of `from` to `until`, and what more whole slices have: at most [`SLOTS`] of the least width, if the widest ones
    /// reach so far; else the end is nearer.
    #[must_use]
    pub fn of(from: Timestamp, until: Timestamp) -> FleetRange {
        let span = until.0.saturating_sub(from.0).max(1);
        // One more than the span has: it need not begin where a slice does.
        let fits = |&width: &i64| width >= MINUTE && span <= width * (SLOTS - 1);
        let most = WIDTHS_NS[WIDTHS_NS.len() - 1];
        let width_ns = WIDTHS_NS.iter().copied().find(fits).unwrap_or(most);
        let first = from.0.div_euclid(width_ns);
        let last = until.0.saturating_sub(1).div_euclid(width_ns);
        let last = last.clamp(first, first.saturating_add(SLOTS - 1));
        FleetRange {
            from: Timestamp(first.saturating_mul(width_ns)),
            until: Timestamp(last.saturating_add(1).saturating_mul(width_ns)),
            width_ns,
        }
    }

    /// Whether a moment is within.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        at >= self.from && at < self.until
    }

    /// How many slices it has: at most [`SLOTS`].
    #[must_use]
    pub fn slots(&self) -> usize {
        usize::try_from((self.until.0 - self.from.0) / self.width_ns).unwrap_or_default()
    }

    fn slot(&self, at: Timestamp) -> usize {
        usize::try_from((at.0 - self.from.0) / self.width_ns).unwrap_or(usize::MAX)
    }

    fn pip(&self, at: Timestamp) -> usize {
        let share =
            i128::from(at.0 - self.from.0) * STRIP as i128 / i128::from(self.until.0 - self.from.0);
        usize::try_from(share).unwrap_or(usize::MAX)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Fleet {
    range: FleetRange,
    filter: FleetFilter,
    slots: Vec<Sum>,
    total: Sum,
    servers: Table<ServerKey>,
    operations: Table<OperationKey>,
    hosts: Table<String>,
    last: Option<Timestamp>,
    rollups: u64,
}

impl Fleet {
    /// Nothing yet, of what is to be looked at.
    #[must_use]
    pub fn new(range: FleetRange, filter: FleetFilter) -> Fleet {
        Fleet {
            range,
            filter,
            slots: vec![Sum::default(); range.slots()],
            total: Sum::default(),
            servers: Table::new(ROWS),
            operations: Table::new(ROWS),
            hosts: Table::new(ROWS),
            last: None,
            rollups: 0,
        }
    }

    /// Counts a rollup of a host, if it is within the time and passes the filter.
    pub fn add(&mut self, host: &str, rollup: &Rollup) {
        if !self.range.has(rollup.time) || !self.filter.passes(host, rollup) {
            return;
        }
        self.rollups += 1;
        self.last = self.last.max(Some(rollup.time));
        let sum = Sum::of(rollup);
        let pip = Pip::of(&sum);
        self.total.merge(&sum);
        if let Some(slot) = self.slots.get_mut(self.range.slot(rollup.time)) {
            slot.merge(&sum);
        }
        let at = self.range.pip(rollup.time);
        let server = server_of(rollup);
        self.servers.add(server, &sum, &pip, at);
        if let Some(protocol) = rollup.protocol {
            let key = server.map(|server| OperationKey {
                server,
                protocol,
                operation: rollup.operation.clone(),
            });
            self.operations.add(key, &sum, &pip, at);
        }
        self.hosts.add(Some(host.to_owned()), &sum, &pip, at);
    }

    /// All rollups were added: tables are cut to what is shown.
    pub fn finish(&mut self) {
        self.servers.finish();
        self.operations.finish();
        self.hosts.finish();
    }

    /// The time that is looked at.
    #[must_use]
    pub fn range(&self) -> FleetRange {
        self.range
    }

    /// What of it is looked at.
    #[must_use]
    pub fn filter(&self) -> &FleetFilter {
        &self.filter
    }

    /// The slices, those without anything too.
    #[must_use]
    pub fn slots(&self) -> &[Sum] {
        &self.slots
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> &Sum {
        &self.total
    }

    /// By server.
    #[must_use]
    pub fn servers(&self) -> &Table<ServerKey> {
        &self.servers
    }

    /// By server, protocol and operation. Connections, of which these are not known, are not among them.
    #[must_use]
    pub fn operations(&self) -> &Table<OperationKey> {
        &self.operations
    }

    /// By host where it was observed.
    #[must_use]
    pub fn hosts(&self) -> &Table<String> {
        &self.hosts
    }

    /// The last minute of which anything is known.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Rollups that were counted.
    #[must_use]
    pub fn rollups(&self) -> u64 {
        self.rollups
    }
}

fn server_of(rollup: &Rollup) -> Option<ServerKey> {
    Some((rollup.server_ip?, rollup.server_port?))
}
