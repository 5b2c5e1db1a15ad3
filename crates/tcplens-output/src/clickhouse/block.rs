//! Records of one table and one day as a block of the format Native: columns, each with its name and type. A block that does not
//! arrive whole is refused by the server, whatever is missing, and one that does is one part: rows of a format without lengths
//! (RowBinary) could be cut between two of them, and half a batch be stored.
//!
//! A column in which no row has a value is left out; the server fills it with NULL. Most are, of most batches.

mod column;
mod key;
mod row;

use tcplens_core::record::{Field, Record};
use tcplens_core::time::Timestamp;

use super::schema::Table;
use super::tags::Tags;
use crate::cell::Cell;
use crate::rfc3339::Date;
use column::{Column, Out};
pub(super) use column::{number, text};
use key::{Key, When};
use row::Row;

const DAY_NS: i64 = 86_400 * tcplens_core::time::SECOND;
/// Days that the type Date has.
const DAYS: std::ops::RangeInclusive<i64> = 0..=65_535;

/// A batch that is complete: what is sent in one insert, and stored whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The table, without its database.
    pub table: String,
    /// What its insert is called at the server: distinguishes it from all others.
    pub id: String,
    /// How many rows.
    pub rows: u64,
    /// Names of the columns, with commas between.
    pub columns: String,
    /// What is true of its rows and of no others, by the columns that the table is ordered by: whether it is stored.
    pub probe: String,
    /// The block.
    pub body: Vec<u8>,
}

/// A batch in the making.
pub struct Block {
    table: &'static Table,
    day: i64,
    fields: Vec<&'static Field>,
    columns: Vec<Column>,
    rows: usize,
    first: Key,
}

impl Block {
    /// Empty.
    #[must_use]
    pub fn new(table: &'static Table, day: i64) -> Block {
        let fields = table.fields();
        let columns = fields.iter().map(|field| Column::of(table, field));
        Block {
            table,
            day,
            columns: columns.collect(),
            fields,
            rows: 0,
            first: Key::default(),
        }
    }

    /// The day of a record since 1970, UTC; that of `otherwise` where it has no time, or one that no table has.
    #[must_use]
    #[inline]
    pub fn day_of<R: Record>(record: &R, otherwise: Timestamp) -> i64 {
        let mut when = When(None);
        record.visit(&mut when);
        Block::day_at(when.0, otherwise)
    }

    /// The same of a time in ns.
    #[inline]
    pub(super) fn day_at(ns: Option<i64>, otherwise: Timestamp) -> i64 {
        let day = |ns: i64| ns.div_euclid(DAY_NS);
        let days = ns.map(day).filter(|day| DAYS.contains(day));
        days.unwrap_or_else(|| day(otherwise.0).clamp(*DAYS.start(), *DAYS.end()))
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// The day of its rows.
    #[must_use]
    pub fn day(&self) -> i64 {
        self.day
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes so far, without those that are the same in all rows.
    #[must_use]
    pub fn size(&self) -> usize {
        self.columns.iter().map(Column::size).sum()
    }

    /// Adds a record of the table's kind. How many of its values no column can hold: numbers beyond 2^63, spans of more than 31
    /// years.
    #[inline]
    pub fn push<R: Record>(&mut self, record: &R) -> u64 {
        debug_assert_eq!(R::KIND, self.table.kind);
        if self.rows == 0 {
            record.visit(&mut self.first);
        }
        let mut row = Row {
            columns: self.columns.iter_mut(),
            row: self.rows,
            left_out: 0,
        };
        record.visit(&mut row);
        let left_out = row.left_out;
        self.rows += 1;
        left_out
    }

    /// Adds a record as the values of its fields, in their order.
    pub(super) fn push_cells(&mut self, cells: &[Cell]) {
        let row = self.rows;
        for ((column, field), cell) in self.columns.iter_mut().zip(&self.fields).zip(cells) {
            column.push(row, cell);
            if row == 0 {
                self.first.take(field.name, cell);
            }
        }
        self.rows += 1;
    }

    /// The batch, and an empty block.
    #[must_use]
    pub fn take(&mut self, host: &str, id: u64) -> Batch {
        let rows = self.rows;
        let kept: Vec<_> = self
            .fields
            .iter()
            .zip(&self.columns)
            .filter(|(field, column)| self.table.is_key(field.name) || !column.is_absent())
            .collect();
        let parts: usize = kept.iter().map(|(_, column)| column.parts().len()).sum();
        let mut out = Out {
            body: Vec::with_capacity(self.size() + rows * (host.len() + 11) + 4096),
            names: String::new(),
        };
        number(&mut out.body, parts as u64 + 3);
        number(&mut out.body, rows as u64);
        out.head("host", "", "LowCardinality(String)");
        Tags::write_one(host, rows, &mut out.body);
        out.head("date", "", "Date");
        // `DAYS` are what 16 bits hold.
        let day = u16::try_from(self.day).unwrap_or_default().to_le_bytes();
        out.body.extend(std::iter::repeat_n(day, rows).flatten());
        out.head("batch", "", "UInt64");
        let id_bytes = id.to_le_bytes();
        out.body
            .extend(std::iter::repeat_n(id_bytes, rows).flatten());
        for (field, column) in kept {
            column.write(field.name, rows, self.table.is_key(field.name), &mut out);
        }
        let batch = Batch {
            table: self.table.name.to_owned(),
            id: super::names::insert(host, id),
            rows: rows as u64,
            columns: out.names,
            probe: self.probe(host, id),
            body: out.body,
        };
        *self = Block::new(self.table, self.day);
        batch
    }

    /// True of the first row and of none of another batch: the columns of the key find it without reading a day.
    fn probe(&self, host: &str, id: u64) -> String {
        let Key {
            time,
            server_ip,
            server_port,
        } = self.first;
        let mut probe = format!(
            "date = '{}' AND host = {} AND batch = {id}",
            date(self.day),
            quoted(host)
        );
        for column in self.table.key {
            match (*column, time, server_ip, server_port) {
                ("time", Some(ns), _, _) => probe.push_str(&format!(" AND time = {ns}")),
                ("server_ip", _, Some(ip), _) => {
                    probe.push_str(&format!(" AND server_ip = '{ip}'"))
                }
                ("server_port", _, _, Some(port)) => {
                    probe.push_str(&format!(" AND server_port = {port}"));
                }
                _ => {}
            }
        }
        probe
    }
}

/// `2026-11-22`, of a day since 1970.
pub(super) fn date(day: i64) -> String {
    let Date { year, month, day } = Date::from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// As SQL writes texts.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
