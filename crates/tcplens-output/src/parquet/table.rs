//! A file of ours by columns, for whoever reads many: those fields that a kind has, as far as they are counts, spans, times,
//! flags, texts and lists. Columns are known by their names and types: one that is of another type is an error, one that is not
//! there is absent in each row.
//!
//! As in `lines`, panics of the crate that reads are errors.

use std::io::{self, ErrorKind};
use std::ops::Range;

use ::parquet::basic::Type as Physical;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::RowGroupMetaData;
use ::parquet::file::reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader};
use ::parquet::file::statistics::Statistics;
use tcplens_core::record::{Field, Record};
use tcplens_core::time::Timestamp;

use super::lines::guarded;
use crate::cell::Cell;

/// Rows that are read at once.
const BATCH: usize = 4096;

/// Takes a row: whose it is, and its values one after the other.
pub(crate) type EachRow<'e> = dyn FnMut(Option<&str>, &mut dyn FnMut() -> Cell) + 'e;

/// A file that is read by columns.
pub(crate) struct Table {
    reader: Box<dyn FileReader>,
    /// Of each field in the order of declaration, behind `host`: its name, its kind and the leaf column of it.
    fields: Vec<(&'static Field, Option<usize>)>,
    host: Option<usize>,
}

impl Table {
    /// Opens a file that holds records `R`.
    pub(crate) fn open<R: Record>(file: impl ChunkReader + 'static) -> io::Result<Table> {
        let reader = guarded(|| SerializedFileReader::new(file))?;
        let metadata = reader.metadata().file_metadata();
        super::lines::check_kind::<R>(metadata)?;
        let leaves = metadata.schema_descr().columns();
        let find = |name: &str| {
            let mut leaves = leaves.iter();
            leaves.position(|leaf| leaf.path().parts().first().is_some_and(|part| part == name))
        };
        let mut fields = Vec::new();
        R::fields(&mut |field| fields.push((field, find(field.name))));
        let host = find("host");
        for &(field, leaf) in &fields {
            let (physical, repeats) = match field.kind {
                "count" | "span" | "time" => (Physical::INT64, 0),
                "list" => (Physical::INT64, 1),
                "flag" => (Physical::BOOLEAN, 0),
                "ip" | "word" | "text" | "id" => (Physical::BYTE_ARRAY, 0),
                _ => continue,
            };
            if let Some(leaf) = leaf.and_then(|leaf| leaves.get(leaf))
                && (leaf.physical_type() != physical || leaf.max_rep_level() != repeats)
            {
                return Err(other_type(field.name));
            }
        }
        let of_host = host.and_then(|leaf| leaves.get(leaf));
        if of_host.is_some_and(|leaf| leaf.physical_type() != Physical::BYTE_ARRAY) {
            return Err(other_type("host"));
        }
        Ok(Table {
            fields,
            host,
            reader: Box::new(reader),
        })
    }

    /// Reads only the fields of these names; the others are absent in each row, and cost nothing.
    pub(crate) fn only(mut self, names: &[&str]) -> Table {
        for (field, leaf) in &mut self.fields {
            if !names.contains(&field.name) {
                *leaf = None;
            }
        }
        self
    }

    /// The least and the largest time, as far as statistics tell; `None`: they do not, or there is no row.
    pub(crate) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let time = self.fields.iter().find(|(field, _)| field.name == "time");
        let leaf = time.and_then(|(_, leaf)| *leaf)?;
        let groups = 0..self.reader.num_row_groups();
        let times = groups.filter_map(|number| {
            let group = self.reader.metadata().row_group(number);
            match group.columns().get(leaf)?.statistics()? {
                Statistics::Int64(times) => Some((*times.min_opt()?, *times.max_opt()?)),
                _ => None,
            }
        });
        times
            .reduce(|(min, max), (from, to)| (min.min(from), max.max(to)))
            .map(|(min, max)| (Timestamp(min), Timestamp(max)))
    }

    /// Gives each row whose row group may have times in `range`: its host, and its values in the order of declaration.
    pub(crate) fn rows(&self, range: &Range<Timestamp>, each: &mut EachRow<'_>) -> io::Result<()> {
        for number in 0..self.reader.num_row_groups() {
            let may =
                guarded(|| Ok(self.may_have(self.reader.metadata().row_group(number), range)))?;
            if may {
                self.group(number, each)?;
            }
        }
        Ok(())
    }

    /// Whether a row group has times in a range, as far as its statistics tell.
    fn may_have(&self, group: &RowGroupMetaData, range: &Range<Timestamp>) -> bool {
        let time = self.fields.iter().find(|(field, _)| field.name == "time");
        let column = time.and_then(|(_, leaf)| group.columns().get((*leaf)?));
        let Some(Statistics::Int64(statistics)) = column.and_then(|column| column.statistics())
        else {
            return true;
        };
        let is_after = statistics.min_opt().is_some_and(|&min| min >= range.end.0);
        let is_before = statistics.max_opt().is_some_and(|&max| max < range.start.0);
        !is_after && !is_before
    }

    fn group(&self, number: usize, each: &mut EachRow<'_>) -> io::Result<()> {
        let (mut rows, mut columns, mut host) = guarded(|| {
            let group = self.reader.get_row_group(number)?;
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            let open = |leaf: Option<usize>| Column::open(&*group, leaf);
            let columns: Result<Vec<_>> = self.fields.iter().map(|(_, leaf)| open(*leaf)).collect();
            Ok((rows, columns?, open(self.host)?))
        })?;
        while rows > 0 {
            let count = rows.min(BATCH);
            guarded(|| {
                for column in columns.iter_mut().chain([&mut host]) {
                    column.read(count)?;
                }
                Ok(())
            })?;
            for _ in 0..count {
                let of_host = match host.take() {
                    Cell::Text(text) => Some(text),
                    _ => None,
                };
                let mut at = columns.iter_mut();
                each(of_host.as_deref(), &mut || {
                    at.next().map_or(Cell::None, Column::take)
                });
                // What nobody asked for goes, too.
                at.for_each(|column| drop(column.take()));
            }
            rows -= count;
        }
        Ok(())
    }
}

fn other_type(name: &str) -> io::Error {
    let why = format!("column {name} is of another type");
    io::Error::new(ErrorKind::InvalidData, why)
}

/// What was read of one column.
enum Column {
    Absent,
    Numbers(Leaf<Int64Type>),
    Flags(Leaf<BoolType>),
    Texts(Leaf<ByteArrayType>),
}

impl Column {
    fn open(group: &dyn RowGroupReader, leaf: Option<usize>) -> Result<Column> {
        let Some(leaf) = leaf else {
            return Ok(Column::Absent);
        };
        Ok(match group.get_column_reader(leaf)? {
            ColumnReader::Int64ColumnReader(reader) => {
                Column::Numbers(Leaf::new(reader, group, leaf))
            }
            ColumnReader::BoolColumnReader(reader) => Column::Flags(Leaf::new(reader, group, leaf)),
            ColumnReader::ByteArrayColumnReader(reader) => {
                Column::Texts(Leaf::new(reader, group, leaf))
            }
            _ => return Err(ParquetError::General("a column of another type".into())),
        })
    }

    fn read(&mut self, rows: usize) -> Result<()> {
        match self {
            Column::Absent => Ok(()),
            Column::Numbers(leaf) => leaf.read(rows),
            Column::Flags(leaf) => leaf.read(rows),
            Column::Texts(leaf) => leaf.read(rows),
        }
    }

    /// The value of the next row.
    fn take(&mut self) -> Cell {
        match self {
            Column::Absent => Cell::None,
            Column::Numbers(leaf) if leaf.repeats => {
                let mut list = Vec::new();
                leaf.next_list(|number| list.push(u64::try_from(number).unwrap_or(0)));
                match list.is_empty() {
                    true => Cell::None,
                    false => Cell::List(list),
                }
            }
            Column::Numbers(leaf) => leaf.next().map_or(Cell::None, Cell::Number),
            Column::Flags(leaf) => leaf.next().map_or(Cell::None, Cell::Flag),
            Column::Texts(leaf) => {
                let text = leaf.next().map(|bytes: ByteArray| bytes.data().to_vec());
                let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
                text.map_or(Cell::None, Cell::Text)
            }
        }
    }
}

/// A leaf column: values, and the levels that say where they belong.
struct Leaf<D: DataType> {
    reader: ColumnReaderImpl<D>,
    /// The level of a value that is there.
    full: i16,
    repeats: bool,
    values: std::vec::IntoIter<D::T>,
    /// Definition and repetition level.
    levels: std::iter::Peekable<std::vec::IntoIter<(i16, i16)>>,
}

impl<D: DataType> Leaf<D> {
    fn new(reader: ColumnReaderImpl<D>, group: &dyn RowGroupReader, leaf: usize) -> Leaf<D> {
        let metadata = group.metadata().column(leaf);
        let descriptor = metadata.column_descr();
        Leaf {
            reader,
            full: descriptor.max_def_level(),
            repeats: descriptor.max_rep_level() > 0,
            values: Vec::new().into_iter(),
            levels: Vec::new().into_iter().peekable(),
        }
    }

    fn read(&mut self, rows: usize) -> Result<()> {
        let (mut values, mut levels, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        let (_, _, count) = self.reader.read_records(
            rows,
            (self.full > 0).then_some(&mut levels),
            self.repeats.then_some(&mut repeats),
            &mut values,
        )?;
        levels.resize(count, self.full);
        repeats.resize(count, 0);
        self.values = values.into_iter();
        let levels: Vec<_> = levels.into_iter().zip(repeats).collect();
        self.levels = levels.into_iter().peekable();
        Ok(())
    }

    fn next(&mut self) -> Option<D::T> {
        let (level, _) = self.levels.next()?;
        (level == self.full).then(|| self.values.next()).flatten()
    }

    fn next_list(&mut self, mut each: impl FnMut(D::T)) {
        let mut is_first = true;
        while let Some((level, _)) = self.levels.next_if(|(_, repeat)| is_first || *repeat > 0) {
            is_first = false;
            if level == self.full
                && let Some(value) = self.values.next()
            {
                each(value);
            }
        }
    }
}
