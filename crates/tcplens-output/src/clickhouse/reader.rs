//! Reads a server as a store, for whoever learns from it or shows it: how far it reaches, which hours have rollups, and these. The
//! tables may be a server's own or Distributed ones. Not SQL of other people, which is [`Server::query`].
//!
//! No more is sorted by the server at once than [`PART_ROWS`] rollups, or those of one minute; it is asked for a part after the
//! other. How many rows a part has is known before it is read: an answer that ends earlier, however that came, is an error.

use std::ops::Range;

use tcplens_core::record::{Field, Record, Rollup};
use tcplens_core::time::{SECOND, Timestamp};

use super::block::date;
use super::native::{Blocks, Of};
use super::{ClickHouseError, Server};
use crate::cell::Cell;
use crate::named::{Dialect, Parameters, Server as OfServer};
use crate::store::rollup_row::rollup;

/// Rollups that are asked for at once, unless a minute has more. Chosen: some 100 MB at the server while it sorts them.
pub const PART_ROWS: u64 = 100_000;

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2100-01-01: the type Date of the oldest servers reaches no farther than some years beyond.
const LAST: Timestamp = Timestamp(4_102_444_800 * SECOND);

/// A server whose tables are read.
#[derive(Clone, Debug)]
pub struct ClickHouseReader {
    server: Server,
}

/// How far rollups reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the first day begins that has some.
    pub first: Timestamp,
    /// The end of the newest minute of those that were asked for; `None`: they have none.
    pub newest: Option<Timestamp>,
    /// How many there are in all.
    pub rows: u64,
}

/// Of which hosts and of which server; of all, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Hosts, as they call themselves; of all if there is none.
    pub hosts: Vec<String>,
    /// A server's address and port.
    pub server: Option<OfServer>,
}

/// Rollups of an hour, or of a minute, that are there together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// When it begins, and just before when it ends.
    pub time: (Timestamp, Timestamp),
    /// Rollups of it.
    pub rows: u64,
    /// Another number says that others came or went.
    pub version: u64,
}

impl ClickHouseReader {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(server: Server) -> ClickHouseReader {
        ClickHouseReader { server }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How far rollups reach; `None`: there are none at all.
    ///
    /// # Errors
    /// The server does not answer, or refuses, or has no such table.
    pub fn extent(&self, hosts: &[&str]) -> Result<Option<Extent>, ClickHouseError> {
        let days = "SELECT count() AS c0, toInt64(toUInt16(min(date))) AS c1, toInt64(toUInt16(max(date))) AS c2 FROM rollups";
        let [rows, first, last] = self.numbers(days)?;
        if rows == 0 {
            return Ok(None);
        }
        let scope = Scope {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            server: None,
        };
        let of_hosts = scope.condition(None);
        let newest = |condition: &str| -> Result<Option<Timestamp>, ClickHouseError> {
            let sql = format!(
                "SELECT count() AS c0, max(time) AS c1, count() AS c2 FROM rollups WHERE {condition} AND {of_hosts}"
            );
            let [count, last, _] = self.numbers(&sql)?;
            Ok((count > 0).then(|| Timestamp(last).plus(MINUTE)))
        };
        // Usually these hosts tell on the last day, too; to look further costs more.
        let newest = match newest(&format!("date = '{}'", date(last)))? {
            None if !hosts.is_empty() => newest("1")?,
            found => found,
        };
        Ok(Some(Extent {
            first: Timestamp(first.saturating_mul(DAY)),
            newest,
            rows: rows.unsigned_abs(),
        }))
    }

    /// How many findings there are.
    ///
    /// # Errors
    /// As [`extent`](Self::extent).
    pub fn findings(&self) -> Result<u64, ClickHouseError> {
        let sql = "SELECT count() AS c0, count() AS c1, count() AS c2 FROM findings";
        Ok(self.numbers(sql)?[0].unsigned_abs())
    }

    /// The hours that have rollups whose minute begins in `range`, ascending; the minutes of those that have more than
    /// [`PART_ROWS`]. Two questions at most, however many these are: of the second, too, no more comes than a number for each
    /// minute, 24 bytes each.
    ///
    /// # Errors
    /// As [`extent`](Self::extent); or the answer is not whole.
    pub fn stretches(
        &self,
        range: &Range<Timestamp>,
        scope: &Scope,
    ) -> Result<Vec<Stretch>, ClickHouseError> {
        let hours = self.counted(range, scope, HOUR)?;
        let is_large = |hour: &&Stretch| hour.rows > PART_ROWS;
        let (Some(first), Some(last)) = (hours.iter().find(is_large), hours.iter().rfind(is_large))
        else {
            return Ok(hours);
        };
        // Those between, too: a question for each would take longer than one for all.
        let minutes = self.counted(&(first.time.0..last.time.1), scope, MINUTE)?;
        let mut found = Vec::with_capacity(hours.len() + minutes.len());
        for hour in &hours {
            if !is_large(&hour) {
                found.push(*hour);
                continue;
            }
            let before = |end: Timestamp| minutes.partition_point(|minute| minute.time.0 < end);
            let of_hour = minutes.get(before(hour.time.0)..before(hour.time.1));
            let of_hour = of_hour.unwrap_or_default();
            self.is_whole(of_hour.iter().map(|minute| minute.rows).sum(), hour.rows)?;
            found.extend_from_slice(of_hour);
        }
        Ok(found)
    }

    fn counted(
        &self,
        range: &Range<Timestamp>,
        scope: &Scope,
        width: i64,
    ) -> Result<Vec<Stretch>, ClickHouseError> {
        let range = within(range);
        let sql = format!(
            "SELECT intDiv(time, {width}) AS c0, count() AS c1, sum(batch) AS c2 FROM rollups WHERE {} GROUP BY c0 ORDER BY c0",
            scope.condition(Some(&range))
        );
        let mut blocks = self.blocks(&sql, numbers())?;
        let mut found = Vec::new();
        while let Some(mut next) = self.read(blocks.next_row())? {
            let (Cell::Number(slot), Cell::Number(rows), Cell::Number(batches)) =
                (next(), next(), next())
            else {
                continue;
            };
            let from = Timestamp(slot.saturating_mul(width));
            found.push(Stretch {
                time: (from.max(range.start), from.plus(width).min(range.end)),
                rows: rows.unsigned_abs(),
                version: batches.cast_unsigned(),
            });
        }
        Ok(found)
    }

    /// Gives the rollups of stretches that follow each other in time, at most [`PART_ROWS`] of them at once, ordered by minute, then
    /// host. Returns how many rows are not known to this version and were left out. `give_up` is asked between two parts, so that
    /// the first is always read: whoever asks again gets on. What was read to the end is told to `done`.
    ///
    /// # Errors
    /// As [`stretches`](Self::stretches). What came before the error was given.
    pub fn rollups(
        &self,
        stretches: &[Stretch],
        scope: &Scope,
        each: &mut dyn FnMut(&str, Rollup),
        done: &mut dyn FnMut(&[Stretch]),
        give_up: &dyn Fn() -> bool,
    ) -> Result<u64, ClickHouseError> {
        let mut unknown = 0;
        let mut rest = stretches;
        while !rest.is_empty() {
            let (part, more) = rest.split_at(first_part(rest));
            rest = more;
            unknown += self.part(part, scope, each)?;
            done(part);
            if give_up() {
                break;
            }
        }
        Ok(unknown)
    }

    fn part(
        &self,
        part: &[Stretch],
        scope: &Scope,
        each: &mut dyn FnMut(&str, Rollup),
    ) -> Result<u64, ClickHouseError> {
        let (Some(first), Some(last)) = (part.first(), part.last()) else {
            return Ok(0);
        };
        let condition = scope.condition(Some(&(first.time.0..last.time.1)));
        let fields = fields::<Rollup>();
        let (columns, list) = columns(&fields);
        let sql =
            format!("SELECT {list} FROM rollups WHERE {condition} ORDER BY time, host, batch");
        let counted = part.iter().map(|stretch| stretch.rows).sum();
        let mut blocks = self.blocks(&sql, columns)?;
        let mut unknown = 0;
        while let Some(mut next) = self.read(blocks.next_row())? {
            let Cell::Text(host) = next() else {
                continue;
            };
            match rollup(next) {
                Some(rollup) => each(&host, rollup),
                None => unknown += 1,
            }
        }
        self.is_whole(blocks.rows(), counted)?;
        Ok(unknown)
    }

    /// What came is at least what was counted before: rows come, and only by day do they go.
    pub(super) fn is_whole(&self, rows: u64, counted: u64) -> Result<(), ClickHouseError> {
        match rows >= counted {
            true => Ok(()),
            false => Err(self.server.unreadable(&format!(
                "it ended after {rows} of {counted} rows, unless these were removed just now"
            ))),
        }
    }

    /// A row of three numbers; absent ones are 0.
    pub(super) fn numbers(&self, sql: &str) -> Result<[i64; 3], ClickHouseError> {
        let mut blocks = self.blocks(sql, numbers())?;
        let Some(mut next) = self.read(blocks.next_row())? else {
            return Err(self.server.unreadable("it has no rows"));
        };
        let mut number = || match next() {
            Cell::Number(number) => number,
            _ => 0,
        };
        Ok([number(), number(), number()])
    }

    pub(super) fn blocks(
        &self,
        sql: &str,
        columns: Vec<(String, Of)>,
    ) -> Result<Blocks<impl std::io::Read + use<>>, ClickHouseError> {
        Ok(Blocks::new(self.server.native(sql)?, columns))
    }

    pub(super) fn read<T>(&self, read: std::io::Result<T>) -> Result<T, ClickHouseError> {
        read.map_err(|error| self.server.unreadable(&error.to_string()))
    }
}

impl Scope {
    /// As SQL; of a time, where there is one.
    pub(super) fn condition(&self, range: Option<&Range<Timestamp>>) -> String {
        let parameters = Parameters {
            since: range.map(|range| range.start),
            until: range.map(|range| range.end),
            server: self.server,
            hosts: self.hosts.clone(),
            ..Parameters::default()
        };
        parameters.condition(Dialect::ClickHouse)
    }
}

/// What of a time tables can have.
pub(super) fn within(range: &Range<Timestamp>) -> Range<Timestamp> {
    range.start.clamp(Timestamp(0), LAST)..range.end.clamp(Timestamp(0), LAST)
}

/// How many stretches are read at once: with nothing between them, where rows might have come since.
fn first_part(stretches: &[Stretch]) -> usize {
    let (mut rows, mut end) = (0_u64, None);
    let more = stretches.iter().take_while(|stretch| {
        let follows = end.is_none_or(|end| end == stretch.time.0);
        end = Some(stretch.time.1);
        rows = rows.saturating_add(stretch.rows);
        follows && rows <= PART_ROWS
    });
    more.count().max(1)
}

fn numbers() -> Vec<(String, Of)> {
    (0..3)
        .map(|n| (format!("number {n}"), Of::Number))
        .collect()
}

/// The fields of a kind.
pub(super) fn fields<R: Record>() -> Vec<&'static Field> {
    let mut fields = Vec::new();
    R::fields(&mut |field| fields.push(field));
    fields
}

/// `host` and some fields, none of them of counts by reason or of frames: what they are read as, and what is asked for. Under names
/// of their own, lest a condition means what is asked for and not the column.
pub(super) fn columns(fields: &[&'static Field]) -> (Vec<(String, Of)>, String) {
    let mut columns = vec![("host".to_owned(), Of::Text)];
    // Tags are told as texts: how dictionaries are written depends on who asks.
    let mut list = "CAST(host, 'String') AS c0".to_owned();
    for (n, field) in (1..).zip(fields) {
        let name = field.name;
        let (of, what) = match field.kind {
            "count" | "span" | "time" => (Of::Number, name.to_owned()),
            "flag" => (Of::Flag, name.to_owned()),
            "list" => (Of::List, name.to_owned()),
            _ => (Of::Text, format!("CAST({name}, 'Nullable(String)')")),
        };
        columns.push((name.to_owned(), of));
        list.push_str(&format!(", {what} AS c{n}"));
    }
    (columns, list)
}

#[cfg(test)]
mod tests;
