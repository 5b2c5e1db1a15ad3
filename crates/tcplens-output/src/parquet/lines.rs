//! Back from a file of ours: each row as a line of JSON, as `jsonl` writes records, for whoever reads those. Columns are known
//! by their names; those that are not are passed over.
//!
//! The crate that reads panics at some damages (tests/parquet.rs finds them). Here these are errors as the others are.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use ::parquet::data_type::Decimal;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::FileMetaData;
use ::parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use ::parquet::record::Field as Value;
use ::parquet::record::reader::RowIter;
use tcplens_core::record::{Field, Record};
use tcplens_core::time::{Span, Timestamp};

use super::file::io;
use crate::json::Json;

/// The rows of a file as lines, one after another.
pub struct ParquetLines {
    /// `None`: nothing more can be read.
    rows: Option<RowIter<'static>>,
    kind: &'static str,
    /// Of each column; `None`: not known.
    columns: Vec<Option<&'static Field>>,
    line: Vec<u8>,
    /// Bytes of it that were read.
    taken: usize,
}

impl ParquetLines {
    /// Opens a file that holds records `R`.
    ///
    /// # Errors
    /// It is not complete, or damaged, or holds something else.
    pub fn open<R: Record>(file: impl ChunkReader + 'static) -> io::Result<ParquetLines> {
        let reader = guarded(|| SerializedFileReader::new(file))?;
        let metadata = reader.metadata().file_metadata();
        check_kind::<R>(metadata)?;
        let mut known = Vec::new();
        R::fields(&mut |field| known.push(field));
        let find = |name: &str| known.iter().find(|field| field.name == name).copied();
        let columns = metadata.schema().get_fields().iter();
        Ok(ParquetLines {
            kind: R::KIND,
            columns: columns.map(|column| find(column.name())).collect(),
            rows: Some(RowIter::from_file_into(Box::new(reader))),
            line: Vec::new(),
            taken: 0,
        })
    }

    /// The next row; `false`: there is none.
    fn next_line(&mut self) -> io::Result<bool> {
        // Behind damage there are no rows, whatever it has left.
        let Some(mut rows) = self.rows.take() else {
            return Ok(false);
        };
        let Some(row) = guarded(|| rows.next().transpose())? else {
            return Ok(false);
        };
        self.rows = Some(rows);
        let mut json = Json::new();
        json.open('{').name("kind").string(self.kind);
        for ((_, value), field) in row.get_column_iter().zip(&self.columns) {
            if let Some(field) = field
                && !matches!(value, Value::Null)
            {
                json.name(field.name);
                write(&mut json, field, value).ok_or_else(|| {
                    let why = format!("column {} is of another type", field.name);
                    io::Error::new(ErrorKind::InvalidData, why)
                })?;
            }
        }
        json.close('}');
        self.line.clear();
        self.taken = 0;
        writeln!(self.line, "{}", json.into_string())?;
        Ok(true)
    }
}

impl Read for ParquetLines {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.line.len() && !self.next_line()? {
            return Ok(0);
        }
        let read = (&self.line[self.taken..]).read(to)?;
        self.taken += read;
        Ok(read)
    }
}

/// Whether the file holds records `R`, by what its metadata tell.
pub(super) fn check_kind<R: Record>(metadata: &FileMetaData) -> io::Result<()> {
    let mut pairs = metadata.key_value_metadata().into_iter().flatten();
    let kind = pairs.find(|pair| pair.key == "kind");
    let kind = kind.and_then(|pair| pair.value.as_deref());
    if kind == Some(R::KIND) {
        return Ok(());
    }
    let what = kind.unwrap_or("nothing that is known");
    let why = format!("it holds {what}, not records {}", R::KIND);
    Err(io::Error::new(ErrorKind::InvalidData, why))
}

/// What the crate says; where it panics, an error.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> io::Result<T> {
    thread_local! {
        static IS_READING: Cell<bool> = const { Cell::new(false) };
    }
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !IS_READING.get() {
                before(panicked);
            }
        }));
    });
    IS_READING.set(true);
    // What is half read is not touched again: whoever gets an error lets go of it.
    let read = panic::catch_unwind(AssertUnwindSafe(read));
    IS_READING.set(false);
    match read {
        Ok(read) => read.map_err(io),
        Err(_) => Err(io::Error::new(
            ErrorKind::InvalidData,
            "the Parquet file is damaged",
        )),
    }
}

/// `None`: the value is not of the field's type.
fn write<'j>(json: &'j mut Json, field: &Field, value: &Value) -> Option<&'j mut Json> {
    Some(match (field.kind, value) {
        ("span", Value::Decimal(Decimal::Int64 { value, .. })) => {
            let ns = u64::try_from(i64::from_be_bytes(*value)).ok()?;
            json.micros(Span::from_ns(ns))
        }
        ("time", Value::Long(ns)) => json.time(Timestamp(*ns)),
        ("count", Value::Long(number)) => json.number(u64::try_from(*number).ok()?),
        ("flag", Value::Bool(flag)) => json.flag(*flag),
        ("ip" | "word" | "text" | "id", Value::Str(text)) => json.string(text),
        ("counts", Value::MapInternal(counts)) => {
            json.open('{');
            for (name, count) in counts.entries() {
                let (Value::Str(name), Value::Long(count)) = (name, count) else {
                    return None;
                };
                json.name(name).number(u64::try_from(*count).ok()?);
            }
            json.close('}')
        }
        _ => return None,
    })
}
