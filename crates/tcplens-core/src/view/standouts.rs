//! The few connections that stand out in one respect. Not a table of all connections.

use std::cmp::Reverse;

use crate::record::Connection;

/// How many are kept.
pub const STANDOUTS: usize = 10;

/// The [`STANDOUTS`] connections with the most of something; of equal ones the earliest.
#[derive(Clone, Debug)]
pub struct Standouts {
    measure: fn(&Connection) -> u64,
    most: Vec<Connection>,
}

impl Standouts {
    pub(super) fn by(measure: fn(&Connection) -> u64) -> Standouts {
        Standouts {
            measure,
            most: Vec::new(),
        }
    }

    /// From the most on; none that has nothing of it.
    #[must_use]
    pub fn most(&self) -> &[Connection] {
        &self.most
    }

    pub(super) fn add(&mut self, connection: &Connection) {
        let rank = |connection: &Connection| {
            (
                Reverse((self.measure)(connection)),
                connection.time,
                connection.connection_id,
            )
        };
        let own = rank(connection);
        if own.0 == Reverse(0)
            || (self.most.len() >= STANDOUTS
                && self.most.last().is_some_and(|last| rank(last) <= own))
        {
            return;
        }
        let at = self.most.partition_point(|other| rank(other) <= own);
        self.most.insert(at, connection.clone());
        self.most.truncate(STANDOUTS);
    }
}
