//! The rows of a group in the making: a record walks over its columns.

use std::io::Write;
use std::net::IpAddr;

use ::parquet::errors::Result;
use ::parquet::file::writer::SerializedRowGroupWriter;
use ::parquet::schema::types::SchemaDescriptor;
use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

use super::column::{Flags, Numbers, Texts};
use super::pages::Pages;
use crate::cell::Cell;
use crate::digits;

/// As many digits as DECIMAL(18, 3) has.
const SPAN_LIMIT: u64 = 1_000_000_000_000_000_000;

/// All columns of a kind.
pub(super) struct Rows {
    /// Whose all are: the first column.
    host: Option<Box<str>>,
    /// How many hosts there were before.
    hosts_before: u128,
    columns: Vec<Column>,
    count: usize,
    left_out: u64,
}

enum Column {
    /// Counts and durations.
    Numbers(Numbers),
    Times(Numbers),
    Flags(Flags),
    Texts(Texts),
    /// Keys and values.
    Map(Texts, Numbers),
    List(Numbers),
    /// Threshold, bytes, us.
    Frames([Numbers; 3]),
}

impl Rows {
    /// Empty columns.
    pub(super) fn of<R: Record>(host: Option<&str>) -> Rows {
        let mut columns = Vec::from_iter(host.map(|_| Column::Texts(Texts::with_statistics())));
        R::fields(&mut |field| {
            columns.push(match field.kind {
                "count" | "span" => Column::Numbers(Numbers::default()),
                "time" => Column::Times(Numbers::default()),
                "flag" => Column::Flags(Flags::default()),
                "counts" => Column::Map(Texts::default(), Numbers::default()),
                "list" => Column::List(Numbers::default()),
                "frames" => Column::Frames(Default::default()),
                _ => Column::Texts(Texts::default()),
            });
        });
        Rows {
            host: host.map(Box::from),
            hosts_before: 0,
            columns,
            count: 0,
            left_out: 0,
        }
    }

    /// Rows to come are another host's, where there is a column for it.
    pub(super) fn set_host(&mut self, host: &str) {
        if let Some(before) = &mut self.host {
            *before = host.into();
            self.hosts_before += 1;
        }
    }

    /// One more row.
    #[inline]
    pub(super) fn push<R: Record>(&mut self, record: &R) {
        let mut row = Row {
            columns: self.columns.iter_mut(),
            left_out: &mut self.left_out,
        };
        if let Some(host) = &self.host {
            row.key(Some(self.hosts_before), |out| {
                out.extend_from_slice(host.as_bytes());
            });
        }
        record.visit(&mut row);
        self.count += 1;
    }

    /// One more row, by its values; of whom it is instead of the host of all.
    pub(super) fn push_cells(&mut self, host: &str, cells: &[Cell]) {
        let mut columns = self.columns.iter_mut();
        if self.host.is_some()
            && let Some(Column::Texts(texts)) = columns.next()
        {
            texts.push(host);
        }
        let mut cells = cells.iter();
        for column in columns {
            column.push(cells.next().unwrap_or(&Cell::None), &mut self.left_out);
        }
        self.count += 1;
    }

    /// Rows that wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes that wait.
    pub(super) fn size(&self) -> usize {
        let sizes = self.columns.iter().map(|column| match column {
            Column::Numbers(numbers) | Column::Times(numbers) | Column::List(numbers) => {
                numbers.size()
            }
            Column::Flags(flags) => flags.size(),
            Column::Texts(texts) => texts.size(),
            Column::Map(keys, values) => keys.size() + values.size(),
            Column::Frames(parts) => parts.iter().map(Numbers::size).sum(),
        });
        sizes.sum()
    }

    /// Values that have no place in their column's type.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Writes the columns, and begins again.
    pub(super) fn flush<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        schema: &SchemaDescriptor,
    ) -> Result<()> {
        let mut pages = Pages::new()?;
        let mut leaves = schema.columns().iter();
        for column in &mut self.columns {
            let Some(leaf) = leaves.next() else { break };
            match column {
                Column::Numbers(numbers) => numbers.flush_few(group, leaf, &mut pages)?,
                Column::Times(numbers) | Column::List(numbers) => {
                    numbers.flush(group, &mut pages)?;
                }
                Column::Flags(flags) => flags.flush(group, &mut pages)?,
                Column::Texts(texts) => texts.flush(group, leaf, &mut pages)?,
                Column::Map(keys, values) => {
                    keys.flush(group, leaf, &mut pages)?;
                    values.flush(group, &mut pages)?;
                    leaves.next();
                }
                Column::Frames(parts) => {
                    for part in parts {
                        part.flush(group, &mut pages)?;
                    }
                    leaves.nth(1);
                }
            }
        }
        self.count = 0;
        Ok(())
    }
}

impl Column {
    /// One more value; none where it is of another type.
    fn push(&mut self, cell: &Cell, left_out: &mut u64) {
        match self {
            Column::Numbers(numbers) | Column::Times(numbers) => numbers.push(match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            }),
            Column::Flags(flags) => flags.push(match cell {
                Cell::Flag(flag) => Some(*flag),
                _ => None,
            }),
            Column::Texts(texts) => match cell {
                Cell::Text(text) => texts.push(text),
                _ => texts.push_none(),
            },
            Column::Map(keys, values) => {
                let counts = match cell {
                    Cell::Counts(counts) => &counts[..],
                    _ => &[],
                };
                let pairs = counts.iter().map(|(reason, count)| (&**reason, *count));
                map(keys, values, pairs, left_out);
            }
            Column::List(numbers) => {
                let list = match cell {
                    Cell::List(list) => &list[..],
                    _ => &[],
                };
                self::list(numbers, list, left_out);
            }
            Column::Frames(parts) => {
                let list = match cell {
                    Cell::Frames(list) => &list[..],
                    _ => &[],
                };
                frames(parts, list, left_out);
            }
        }
    }
}

fn map<'v>(
    keys: &mut Texts,
    values: &mut Numbers,
    pairs: impl ExactSizeIterator<Item = (&'v str, u64)>,
    left_out: &mut u64,
) {
    if pairs.len() == 0 {
        keys.push_nested(None, 0, true);
        values.push_nested(None, 0, true);
    }
    for (n, (reason, count)) in pairs.enumerate() {
        keys.push_nested(Some(reason), 1, n == 0);
        values.push_nested(signed(count, left_out), 2, n == 0);
    }
}

fn list(numbers: &mut Numbers, value: &[u64], left_out: &mut u64) {
    if value.is_empty() {
        numbers.push_nested(None, 0, true);
    }
    for (n, &number) in value.iter().enumerate() {
        numbers.push_nested(signed(number, left_out), 2, n == 0);
    }
}

fn frames(parts: &mut [Numbers; 3], value: &[FirstFrame], left_out: &mut u64) {
    if value.is_empty() {
        for part in &mut *parts {
            part.push_nested(None, 0, true);
        }
    }
    for (n, frame) in value.iter().enumerate() {
        let values = [Some(frame.threshold_bytes), frame.bytes, frame.us];
        for (part, value) in parts.iter_mut().zip(values) {
            let value = value.and_then(|value| signed(value, left_out));
            part.push_nested(value, 2, n == 0);
        }
    }
}

/// One record on its way into the columns.
struct Row<'a> {
    columns: std::slice::IterMut<'a, Column>,
    left_out: &'a mut u64,
}

impl Row<'_> {
    #[inline]
    fn number(&mut self, value: Option<i64>) {
        if let Some(Column::Numbers(numbers) | Column::Times(numbers)) = self.columns.next() {
            numbers.push(value);
        }
    }

    #[inline]
    fn key(&mut self, key: Option<u128>, spell: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Column::Texts(texts)) = self.columns.next() {
            match key {
                Some(key) => texts.push_key(key, spell),
                None => texts.push_none(),
            }
        }
    }
}

/// The number, if it has a place; counted if not.
#[inline]
fn signed(value: u64, left_out: &mut u64) -> Option<i64> {
    let signed = i64::try_from(value).ok();
    *left_out += u64::from(signed.is_none());
    signed
}

/// Each method fills the column that is next: records visit their fields in the order of the schema.
impl Visitor for Row<'_> {
    #[inline]
    fn count(&mut self, _: &'static Field, value: Option<u64>) {
        let value = value.and_then(|value| signed(value, self.left_out));
        self.number(value);
    }

    #[inline]
    fn span(&mut self, _: &'static Field, value: Option<Span>) {
        let value = value.and_then(|span| {
            let ns = span.ns();
            signed(if ns < SPAN_LIMIT { ns } else { u64::MAX }, self.left_out)
        });
        self.number(value);
    }

    #[inline]
    fn time(&mut self, _: &'static Field, value: Option<Timestamp>) {
        self.number(value.map(|at| at.0));
    }

    #[inline]
    fn ip(&mut self, _: &'static Field, value: Option<IpAddr>) {
        let key = value.map(|ip| match ip {
            // Mapped ones are IPv4 already, so that no other address has these bits.
            IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => u128::from(v6),
        });
        self.key(key, |out| {
            let mut text = [0; digits::IP];
            let len = value.map_or(0, |ip| digits::ip(&mut text, ip));
            out.extend_from_slice(&text[..len]);
        });
    }

    #[inline]
    fn word(&mut self, _: &'static Field, value: Option<&'static str>) {
        // Where it lies and how long it is: the same place has the same letters for ever.
        let key = value.map(|word| (word.as_ptr() as u128) << 64 | word.len() as u128);
        self.key(key, |out| {
            out.extend_from_slice(value.unwrap_or_default().as_bytes());
        });
    }

    #[inline]
    fn flag(&mut self, _: &'static Field, value: Option<bool>) {
        if let Some(Column::Flags(flags)) = self.columns.next() {
            flags.push(value);
        }
    }

    #[inline]
    fn text(&mut self, _: &'static Field, value: Option<&str>) {
        if let Some(Column::Texts(texts)) = self.columns.next() {
            match value {
                Some(text) => texts.push(text),
                None => texts.push_none(),
            }
        }
    }

    #[inline]
    fn id(&mut self, _: &'static Field, value: Option<ConnectionId>) {
        let key = value.map(|id| match id {
            // The bits of it: before 1970 it is negative.
            ConnectionId::Packets { first, flow } => {
                u128::from(first.0 as u64) << 32 | u128::from(flow)
            }
            ConnectionId::Socket { cookie, host } => {
                1 << 127 | u128::from(cookie) << 32 | u128::from(host)
            }
        });
        self.key(key, |out| {
            out.extend_from_slice(value.map(ConnectionId::text).as_ref().map_or(&[], |id| id));
        });
    }

    fn counts(&mut self, _: &'static Field, value: &[(&'static str, u64)]) {
        if let Some(Column::Map(keys, values)) = self.columns.next() {
            map(keys, values, value.iter().copied(), self.left_out);
        }
    }

    fn list(&mut self, _: &'static Field, value: &[u64]) {
        if let Some(Column::List(numbers)) = self.columns.next() {
            list(numbers, value, self.left_out);
        }
    }

    fn frames(&mut self, _: &'static Field, value: &[FirstFrame]) {
        if let Some(Column::Frames(parts)) = self.columns.next() {
            frames(parts, value, self.left_out);
        }
    }
}
