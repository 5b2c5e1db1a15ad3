//! The columns of a block: each field's values as they come, in the bytes that Native has for them.

use tcplens_core::record::{Field, FirstFrame};

use super::super::schema::Table;
use super::super::tags::Tags;
use crate::cell::Cell;

/// The block in the making.
pub(super) struct Out {
    pub(super) body: Vec<u8>,
    /// Of its columns, with commas between.
    pub(super) names: String,
}

impl Out {
    /// A column begins.
    pub(super) fn head(&mut self, name: &str, part: &str, of: &str) {
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
pub(super) enum Column {
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
pub(super) struct Values {
    /// 1: absent. Empty: no row has had one.
    nulls: Vec<u8>,
    data: Vec<u8>,
}

/// Where each row's elements end.
#[derive(Default)]
pub(super) struct Lists {
    ends: Vec<u8>,
    count: u64,
}

impl Values {
    /// The row has one, whose bytes follow. `absent`: what stands for each row that has none.
    #[inline]
    pub(super) fn present(&mut self, row: usize, absent: usize) -> &mut Vec<u8> {
        if self.nulls.len() < row {
            self.nulls.resize(row, 1);
            self.data.resize(row * absent, 0);
        }
        self.nulls.push(0);
        &mut self.data
    }

    #[inline]
    pub(super) fn absent(&mut self, absent: &[u8]) {
        if !self.nulls.is_empty() {
            self.nulls.push(1);
            self.data.extend_from_slice(absent);
        }
    }

    pub(super) fn number(&mut self, row: usize, value: Option<i64>) {
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

    pub(super) fn numbers(&mut self, row: usize, list: &[u64], values: &mut Vec<u8>) {
        self.row(row, list.len());
        for &number in list {
            // What is beyond cannot be absent here; no counter gets there.
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            values.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn counts<'a>(
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

    pub(super) fn frames(
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
    pub(super) fn of(table: &Table, field: &Field) -> Column {
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
    pub(super) fn push(&mut self, row: usize, cell: &Cell) {
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

    pub(super) fn is_absent(&self) -> bool {
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
    pub(super) fn parts(&self) -> &'static [&'static str] {
        match self {
            Column::Map(..) => &[".key", ".value"],
            Column::Frames(..) => &[".threshold_bytes", ".bytes", ".us"],
            _ => &[""],
        }
    }

    pub(super) fn size(&self) -> usize {
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

    pub(super) fn write(&self, name: &str, rows: usize, is_key: bool, out: &mut Out) {
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
pub(in crate::clickhouse) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(in crate::clickhouse) fn text(out: &mut Vec<u8>, text: &[u8]) {
    number(out, text.len() as u64);
    out.extend_from_slice(text);
}
