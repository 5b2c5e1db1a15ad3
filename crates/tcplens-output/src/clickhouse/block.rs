//! Records of one table and one day as a block of the format Native: columns, each with its name and type. A block that does not
//! arrive whole is refused by the server, whatever is missing, and one that does is one part: rows of a format without lengths
//! (RowBinary) could be cut between two of them, and half a batch be stored.
//!
//! A column in which no row has a value is left out; the server fills it with NULL. Most are, of most batches.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

use super::schema::Table;
use super::tags::Tags;
use crate::cell::Cell;
use crate::digits;
use crate::rfc3339::Date;

/// As many digits as `Decimal(18, 3)` has.
const SPAN_LIMIT: u64 = 1_000_000_000_000_000_000;
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

/// When a record was, and of whom: what tables are ordered by.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    time: Option<i64>,
    server_ip: Option<IpAddr>,
    server_port: Option<u64>,
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

/// The block in the making.
struct Out {
    body: Vec<u8>,
    names: String,
}

impl Out {
    /// A column begins.
    fn head(&mut self, name: &str, part: &str, of: &str) {
        let whole = format!("{name}{part}");
        if !self.names.is_empty() {
            self.names.push(',');
        }
        self.names.push_str(&whole);
        text(&mut self.body, whole.as_bytes());
        text(&mut self.body, of.as_bytes());
    }
}

/// The values of a field. Rows before the first that has one are made up for when that comes.
enum Column {
    /// 8 bytes each: counts, times, spans.
    Numbers(Values, &'static str),
    /// A byte each.
    Flags(Values),
    /// Their length and their bytes.
    Texts(Values),
    /// Few different ones.
    Tags(Tags),
    List(Lists, Vec<u8>),
    /// Keys and values.
    Map(Lists, Vec<u8>, Vec<u8>),
    /// Thresholds, bytes, us.
    Frames(Lists, Vec<u8>, Values, Values),
}

/// Values, some of them absent.
#[derive(Default)]
struct Values {
    /// 1: absent. Empty: no row has had one.
    nulls: Vec<u8>,
    data: Vec<u8>,
}

/// Where each row's elements end.
#[derive(Default)]
struct Lists {
    ends: Vec<u8>,
    count: u64,
}

impl Values {
    /// The row has one, whose bytes follow. `absent`: what stands for each row that has none.
    #[inline]
    fn present(&mut self, row: usize, absent: usize) -> &mut Vec<u8> {
        if self.nulls.len() < row {
            self.nulls.resize(row, 1);
            self.data.resize(row * absent, 0);
        }
        self.nulls.push(0);
        &mut self.data
    }

    #[inline]
    fn absent(&mut self, absent: &[u8]) {
        if !self.nulls.is_empty() {
            self.nulls.push(1);
            self.data.extend_from_slice(absent);
        }
    }

    fn number(&mut self, row: usize, value: Option<i64>) {
        match value {
            Some(value) => self.present(row, 8).extend_from_slice(&value.to_le_bytes()),
            None => self.absent(&[0; 8]),
        }
    }

    fn size(&self) -> usize {
        self.nulls.len() + self.data.len()
    }

    /// Null map and values; of a key without the former. A key that is absent all the same is 0 or empty.
    fn write(&self, rows: usize, is_key: bool, absent: usize, out: &mut Vec<u8>) {
        if !is_key {
            out.extend_from_slice(&self.nulls);
        }
        out.extend_from_slice(&self.data);
        if self.nulls.is_empty() {
            out.extend(std::iter::repeat_n(0, rows * absent));
        }
    }
}

impl Lists {
    /// A row with so many elements, which the caller adds.
    fn row(&mut self, row: usize, elements: usize) {
        if elements > 0 && self.ends.is_empty() {
            self.ends.resize(row * 8, 0);
        }
        self.count += elements as u64;
        if self.count > 0 {
            self.ends.extend_from_slice(&self.count.to_le_bytes());
        }
    }

    fn numbers(&mut self, row: usize, list: &[u64], values: &mut Vec<u8>) {
        self.row(row, list.len());
        for &number in list {
            // What is beyond cannot be absent here; no counter gets there.
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            values.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn counts<'a>(
        &mut self,
        row: usize,
        counts: impl ExactSizeIterator<Item = (&'a str, u64)>,
        keys: &mut Vec<u8>,
        values: &mut Vec<u8>,
    ) {
        self.row(row, counts.len());
        for (key, count) in counts {
            text(keys, key.as_bytes());
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            values.extend_from_slice(&count.to_le_bytes());
        }
    }

    fn frames(
        &mut self,
        row: usize,
        frames: &[FirstFrame],
        thresholds: &mut Vec<u8>,
        bytes: &mut Values,
        us: &mut Values,
    ) {
        let before = usize::try_from(self.count).unwrap_or_default();
        self.row(row, frames.len());
        let signed = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
        for (at, frame) in (before..).zip(frames) {
            let threshold = i64::try_from(frame.threshold_bytes).unwrap_or(i64::MAX);
            thresholds.extend_from_slice(&threshold.to_le_bytes());
            bytes.number(at, signed(frame.bytes));
            us.number(at, signed(frame.us));
        }
    }
}

impl Column {
    fn of(table: &Table, field: &Field) -> Column {
        let is_key = table.is_key(field.name);
        match field.kind {
            "count" | "time" if is_key => Column::Numbers(Values::default(), "Int64"),
            "count" | "time" => Column::Numbers(Values::default(), "Nullable(Int64)"),
            "span" => Column::Numbers(Values::default(), "Nullable(Decimal(18, 3))"),
            "flag" => Column::Flags(Values::default()),
            "list" => Column::List(Lists::default(), Vec::new()),
            "counts" => Column::Map(Lists::default(), Vec::new(), Vec::new()),
            "frames" => Column::Frames(
                Lists::default(),
                Vec::new(),
                Values::default(),
                Values::default(),
            ),
            _ if table.is_tag(field) => Column::Tags(Tags::default()),
            _ => Column::Texts(Values::default()),
        }
    }

    /// One more row.
    fn push(&mut self, row: usize, cell: &Cell) {
        match (self, cell) {
            (Column::Numbers(values, _), Cell::Number(value)) => values.number(row, Some(*value)),
            (Column::Numbers(values, _), _) => values.number(row, None),
            (Column::Flags(values), Cell::Flag(flag)) => {
                values.present(row, 1).push(u8::from(*flag));
            }
            (Column::Texts(values), Cell::Text(value)) => {
                text(values.present(row, 1), value.as_bytes());
            }
            (Column::Flags(values) | Column::Texts(values), _) => values.absent(&[0]),
            (Column::Tags(tags), Cell::Text(value)) => tags.text(row, value),
            (Column::Tags(tags), _) => tags.absent(),
            (Column::List(lists, values), Cell::List(list)) => lists.numbers(row, list, values),
            (Column::Map(lists, keys, values), Cell::Counts(counts)) => {
                let counts = counts.iter().map(|(key, count)| (key.as_str(), *count));
                lists.counts(row, counts, keys, values);
            }
            (Column::Frames(lists, thresholds, bytes, us), Cell::Frames(frames)) => {
                lists.frames(row, frames, thresholds, bytes, us);
            }
            (Column::List(lists, ..) | Column::Map(lists, ..) | Column::Frames(lists, ..), _) => {
                lists.row(row, 0);
            }
        }
    }

    fn is_absent(&self) -> bool {
        match self {
            Column::Numbers(values, _) | Column::Flags(values) | Column::Texts(values) => {
                values.nulls.is_empty()
            }
            Column::Tags(tags) => tags.is_absent(),
            Column::List(lists, ..) | Column::Map(lists, ..) | Column::Frames(lists, ..) => {
                lists.count == 0
            }
        }
    }

    /// Behind the name, where it is several columns.
    fn parts(&self) -> &'static [&'static str] {
        match self {
            Column::Map(..) => &[".key", ".value"],
            Column::Frames(..) => &[".threshold_bytes", ".bytes", ".us"],
            _ => &[""],
        }
    }

    fn size(&self) -> usize {
        match self {
            Column::Numbers(values, _) | Column::Flags(values) | Column::Texts(values) => {
                values.size()
            }
            Column::Tags(tags) => tags.size(),
            Column::List(lists, values) => lists.ends.len() + values.len(),
            Column::Map(lists, keys, values) => 2 * lists.ends.len() + keys.len() + values.len(),
            Column::Frames(lists, thresholds, bytes, us) => {
                3 * lists.ends.len() + thresholds.len() + bytes.size() + us.size()
            }
        }
    }

    fn write(&self, name: &str, rows: usize, is_key: bool, out: &mut Out) {
        let mut parts = self.parts().iter();
        let mut head = |out: &mut Out, of: &str| {
            out.head(name, parts.next().unwrap_or(&""), of);
        };
        match self {
            Column::Numbers(values, of) => {
                head(out, of);
                values.write(rows, is_key, 8, &mut out.body);
            }
            Column::Flags(values) => {
                head(out, "Nullable(UInt8)");
                values.write(rows, is_key, 1, &mut out.body);
            }
            Column::Tags(tags) => {
                let of = match is_key {
                    true => "LowCardinality(String)",
                    false => "LowCardinality(Nullable(String))",
                };
                head(out, of);
                tags.write(rows, &mut out.body);
            }
            Column::Texts(values) => {
                head(out, if is_key { "String" } else { "Nullable(String)" });
                values.write(rows, is_key, 1, &mut out.body);
            }
            Column::List(lists, values) => {
                head(out, "Array(Int64)");
                out.body.extend_from_slice(&lists.ends);
                out.body.extend_from_slice(values);
            }
            Column::Map(lists, keys, values) => {
                head(out, "Array(String)");
                out.body.extend_from_slice(&lists.ends);
                out.body.extend_from_slice(keys);
                head(out, "Array(Int64)");
                out.body.extend_from_slice(&lists.ends);
                out.body.extend_from_slice(values);
            }
            Column::Frames(lists, thresholds, bytes, us) => {
                let count = usize::try_from(lists.count).unwrap_or_default();
                head(out, "Array(Int64)");
                out.body.extend_from_slice(&lists.ends);
                out.body.extend_from_slice(thresholds);
                for values in [bytes, us] {
                    head(out, "Array(Nullable(Int64))");
                    out.body.extend_from_slice(&lists.ends);
                    if values.nulls.is_empty() {
                        out.body.extend(std::iter::repeat_n(1, count));
                    }
                    values.write(count, false, 8, &mut out.body);
                }
            }
        }
    }
}

/// LEB128, as ClickHouse writes lengths.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(super) fn text(out: &mut Vec<u8>, text: &[u8]) {
    number(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// One record on its way into the columns.
struct Row<'a> {
    columns: std::slice::IterMut<'a, Column>,
    row: usize,
    left_out: u64,
}

impl Row<'_> {
    /// The number, if it has a place; counted if not.
    #[inline]
    fn signed(&mut self, value: u64) -> Option<i64> {
        let signed = i64::try_from(value).ok();
        self.left_out += u64::from(signed.is_none());
        signed
    }

    #[inline]
    fn number(&mut self, value: Option<i64>) {
        let row = self.row;
        if let Some(Column::Numbers(values, _)) = self.columns.next() {
            values.number(row, value);
        }
    }

    #[inline]
    fn key(&mut self, key: Option<u128>, spell: impl FnOnce(&mut Vec<u8>)) {
        let row = self.row;
        if let Some(Column::Tags(tags)) = self.columns.next() {
            match key {
                Some(key) => tags.key(row, key, spell),
                None => tags.absent(),
            }
        }
    }
}

/// Each method fills the column that is next: records visit their fields in the order of the table.
impl Visitor for Row<'_> {
    #[inline]
    fn count(&mut self, _: &'static Field, value: Option<u64>) {
        let value = value.and_then(|value| self.signed(value));
        self.number(value);
    }

    #[inline]
    fn span(&mut self, _: &'static Field, value: Option<Span>) {
        let value = value.and_then(|span| {
            let ns = span.ns();
            self.signed(if ns < SPAN_LIMIT { ns } else { u64::MAX })
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
            let mut spelled = [0; digits::IP];
            let length = value.map_or(0, |ip| digits::ip(&mut spelled, ip));
            text(out, &spelled[..length]);
        });
    }

    #[inline]
    fn word(&mut self, _: &'static Field, value: Option<&'static str>) {
        // Where it lies and how long it is: the same place has the same letters for ever.
        let key = value.map(|word| (word.as_ptr() as u128) << 64 | word.len() as u128);
        self.key(key, |out| text(out, value.unwrap_or_default().as_bytes()));
    }

    #[inline]
    fn flag(&mut self, _: &'static Field, value: Option<bool>) {
        let row = self.row;
        if let Some(Column::Flags(values)) = self.columns.next() {
            match value {
                Some(flag) => values.present(row, 1).push(u8::from(flag)),
                None => values.absent(&[0]),
            }
        }
    }

    #[inline]
    fn text(&mut self, _: &'static Field, value: Option<&str>) {
        let row = self.row;
        match (self.columns.next(), value) {
            (Some(Column::Tags(tags)), Some(value)) => tags.text(row, value),
            (Some(Column::Tags(tags)), None) => tags.absent(),
            (Some(Column::Texts(values)), Some(value)) => {
                text(values.present(row, 1), value.as_bytes());
            }
            (Some(Column::Texts(values)), None) => values.absent(&[0]),
            _ => {}
        }
    }

    #[inline]
    fn id(&mut self, _: &'static Field, value: Option<ConnectionId>) {
        let row = self.row;
        if let Some(Column::Texts(values)) = self.columns.next() {
            match value {
                Some(id) => {
                    let mut spelled = [0; digits::ID];
                    digits::id(&mut spelled, id);
                    text(values.present(row, 1), &spelled);
                }
                None => values.absent(&[0]),
            }
        }
    }

    fn counts(&mut self, _: &'static Field, value: &[(&'static str, u64)]) {
        let row = self.row;
        if let Some(Column::Map(lists, keys, values)) = self.columns.next() {
            lists.counts(row, value.iter().copied(), keys, values);
        }
    }

    fn list(&mut self, _: &'static Field, value: &[u64]) {
        let row = self.row;
        if let Some(Column::List(lists, values)) = self.columns.next() {
            lists.numbers(row, value, values);
        }
    }

    fn frames(&mut self, _: &'static Field, value: &[FirstFrame]) {
        let row = self.row;
        if let Some(Column::Frames(lists, thresholds, bytes, us)) = self.columns.next() {
            lists.frames(row, value, thresholds, bytes, us);
        }
    }
}

/// Only when a record was.
struct When(Option<i64>);

impl Visitor for When {
    #[inline]
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        if field.name == "time" {
            self.0 = value.map(|at| at.0);
        }
    }

    fn count(&mut self, _: &'static Field, _: Option<u64>) {}
    fn span(&mut self, _: &'static Field, _: Option<Span>) {}
    fn ip(&mut self, _: &'static Field, _: Option<IpAddr>) {}
    fn word(&mut self, _: &'static Field, _: Option<&'static str>) {}
    fn flag(&mut self, _: &'static Field, _: Option<bool>) {}
    fn text(&mut self, _: &'static Field, _: Option<&str>) {}
    fn id(&mut self, _: &'static Field, _: Option<ConnectionId>) {}
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    fn frames(&mut self, _: &'static Field, _: &[FirstFrame]) {}
}

impl Key {
    fn take(&mut self, field: &str, cell: &Cell) {
        match (field, cell) {
            ("time", Cell::Number(ns)) => self.time = Some(*ns),
            ("server_ip", Cell::Text(ip)) => self.server_ip = ip.parse().ok(),
            ("server_port", Cell::Number(port)) => self.server_port = u64::try_from(*port).ok(),
            _ => {}
        }
    }
}

impl Visitor for Key {
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        if field.name == "time" {
            self.time = value.map(|at| at.0);
        }
    }

    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        if field.name == "server_ip" {
            self.server_ip = value;
        }
    }

    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        if field.name == "server_port" {
            self.server_port = value;
        }
    }

    fn span(&mut self, _: &'static Field, _: Option<Span>) {}
    fn word(&mut self, _: &'static Field, _: Option<&'static str>) {}
    fn flag(&mut self, _: &'static Field, _: Option<bool>) {}
    fn text(&mut self, _: &'static Field, _: Option<&str>) {}
    fn id(&mut self, _: &'static Field, _: Option<ConnectionId>) {}
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    fn frames(&mut self, _: &'static Field, _: &[FirstFrame]) {}
}
