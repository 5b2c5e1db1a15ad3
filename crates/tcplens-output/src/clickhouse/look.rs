//! What the fleet page shows of a server beside rollups: findings that say since when, and single records by the same views as of a
//! directory ([`crate::store::look`]). The server filters, counts and sorts; no more rows come than are shown.

use std::ops::Range;

use tcplens_core::record::{Field, Finding, Word};
use tcplens_core::time::{SECOND, Timestamp};

use super::block::date;
use super::reader::{columns, fields, within};
use super::{ClickHouseError, ClickHouseReader, Scope};
use crate::cell::Cell;
use crate::named::Dialect;
use crate::page::fleet::Mark;
use crate::store::look::{Found, Looking, mark};

const DAY: i64 = 86_400 * SECOND;
/// Days before a range of which findings may go on in it.
const DAYS_BEFORE: i64 = 2;

impl ClickHouseReader {
    /// Gives the findings that are of a moment in `range`, of that time and two days before; those without a time are of no moment.
    ///
    /// # Errors
    /// The server does not answer, or refuses, or its answer is not whole. What came before was given.
    pub fn marks(
        &self,
        range: &Range<Timestamp>,
        each: &mut dyn FnMut(Mark),
    ) -> Result<(), ClickHouseError> {
        let range = within(range);
        let first = range.start.0.div_euclid(DAY).saturating_sub(DAYS_BEFORE);
        let last = range.end.0.saturating_sub(1).div_euclid(DAY);
        let condition = format!(
            "date >= '{}' AND date <= '{}' AND time < {} AND (until > {} OR until IS NULL)",
            date(first.max(0)),
            date(last.max(0)),
            range.end.0,
            range.start.0
        );
        let fields: Vec<&Field> = (fields::<Finding>().into_iter())
            .filter(|field| field.kind != "list")
            .collect();
        let (columns, list) = columns(&fields);
        let [counted, ..] = self.numbers(&count("findings", &condition))?;
        // The oldest first: of one that was told again, what was told last counts.
        let sql =
            format!("SELECT {list} FROM findings WHERE {condition} ORDER BY time, until, host");
        let mut blocks = self.blocks(&sql, columns)?;
        while let Some(mut next) = self.read(blocks.next_row())? {
            if let Cell::Text(host) = next() {
                let mark = mark(host, &fields, &mut next);
                if mark.time.is_some() {
                    each(mark);
                }
            }
        }
        self.is_whole(blocks.rows(), counted.unsigned_abs())
    }

    /// Looks for records. Which ones: see [`Looking::new`].
    ///
    /// # Errors
    /// As [`marks`](Self::marks).
    pub fn look(&self, mut looking: Looking) -> Result<Found, ClickHouseError> {
        let (view, filter) = (looking.view(), looking.filter());
        let scope = Scope {
            hosts: filter.host.iter().cloned().collect(),
            server: filter.server.map(|(ip, port)| crate::named::Server {
                ip: ip.to_canonical(),
                // There is no server beyond, and none is found.
                port: Some(u16::try_from(port).unwrap_or_default()),
            }),
        };
        let range = within(looking.range());
        let condition = view.conditions(
            Dialect::ClickHouse,
            scope.condition(Some(&range)),
            filter.protocol.and_then(Word::word),
            filter.operation.as_deref(),
        );
        let ranked = format!("{condition} AND {} IS NOT NULL", view.rank_sql());
        let table = view.kind.table();
        let [matched, ..] = self.numbers(&count(table, &ranked))?;
        let matched = matched.unsigned_abs();
        let fields = looking.fields().to_vec();
        let (columns, list) = columns(&fields);
        let most = looking.most();
        let has_task = fields.iter().any(|field| field.name == "task");
        // Those that come first, among equals as of a directory.
        let sql = format!(
            "SELECT {list} FROM {table} WHERE {ranked} ORDER BY {} DESC, time DESC, host, connection_id{} LIMIT {most}",
            view.rank_sql(),
            if has_task { ", task" } else { "" }
        );
        let mut blocks = self.blocks(&sql, columns)?;
        while let Some(mut next) = self.read(blocks.next_row())? {
            let Cell::Text(host) = next() else {
                continue;
            };
            let cells: Vec<_> = fields.iter().map(|_| next()).collect();
            looking.offer(&host, &cells);
        }
        self.is_whole(blocks.rows(), matched.min(most as u64))?;
        let mut found = looking.finish();
        found.matched = found.matched.max(matched);
        Ok(found)
    }
}

/// Three numbers, of which the first is how many rows there are.
fn count(table: &str, condition: &str) -> String {
    format!("SELECT count() AS c0, count() AS c1, count() AS c2 FROM {table} WHERE {condition}")
}
