//! One Parquet file of one record kind, into any writer.

use std::io::{self, Write};
use std::sync::Arc;

use ::parquet::errors::ParquetError;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::SchemaDescriptor;
use tcplens_core::record::Record;

use super::rows::Rows;
use super::schema;
use crate::cell::Cell;

/// Rows of a row group.
pub const GROUP_ROWS: usize = 128 * 1024;
/// Bytes of values that wait for their row group to be written, as long as no row is larger than a 512th of it.
pub const GROUP_BYTES: usize = 64 << 20;
/// Rows between two looks at the bytes.
const LOOK: usize = 512;

/// A file in the making. What is not finished cannot be read.
pub struct ParquetFile<W: Write + Send> {
    kind: &'static str,
    writer: SerializedFileWriter<W>,
    schema: SchemaDescriptor,
    rows: Rows,
    rows_before: u64,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file of records `R`.
    ///
    /// # Errors
    /// The first bytes cannot be written.
    pub fn create<R: Record>(writer: W) -> io::Result<Self> {
        Self::begin::<R>(writer, None)
    }

    /// Begins a file of records `R` whose first column, `host`, says whose they are.
    ///
    /// # Errors
    /// The first bytes cannot be written.
    pub fn create_hosted<R: Record>(writer: W, host: &str) -> io::Result<Self> {
        Self::begin::<R>(writer, Some(host))
    }

    fn begin<R: Record>(writer: W, host: Option<&str>) -> io::Result<Self> {
        let schema = schema::of::<R>(host.is_some()).map_err(io)?;
        let properties = Arc::new(schema::properties::<R>(host.is_some()).map_err(io)?);
        Ok(Self {
            kind: R::KIND,
            schema: SchemaDescriptor::new(Arc::clone(&schema)),
            writer: SerializedFileWriter::new(writer, schema, properties).map_err(io)?,
            rows: Rows::of::<R>(host),
            rows_before: 0,
        })
    }

    /// The kind of its records.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Adds a record, and writes a row group where it is the last of one.
    ///
    /// # Errors
    /// It is of another kind, or a row group cannot be written.
    pub fn push<R: Record>(&mut self, record: &R) -> io::Result<()> {
        if R::KIND != self.kind {
            let why = format!("a {} is no {}", R::KIND, self.kind);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.rows.push(record);
        self.end_full_group()
    }

    /// Records to come are of another host; of a hosted file.
    pub(crate) fn set_host(&mut self, host: &str) {
        self.rows.set_host(host);
    }

    /// Adds a row by the values of its fields, in the order of declaration; of a hosted file with `host`.
    ///
    /// # Errors
    /// A row group cannot be written.
    pub(crate) fn push_cells(&mut self, host: &str, cells: &[Cell]) -> io::Result<()> {
        self.rows.push_cells(host, cells);
        self.end_full_group()
    }

    fn end_full_group(&mut self) -> io::Result<()> {
        let count = self.rows.count();
        let is_full =
            count >= GROUP_ROWS || (count.is_multiple_of(LOOK) && self.rows.size() >= GROUP_BYTES);
        if is_full { self.end_group() } else { Ok(()) }
    }

    /// Writes what waits as a row group. Small groups make a large file that is read slowly.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end_group(&mut self) -> io::Result<()> {
        if self.rows.count() == 0 {
            return Ok(());
        }
        self.rows_before += self.rows.count() as u64;
        let mut group = self.writer.next_row_group().map_err(io)?;
        self.rows.flush(&mut group, &self.schema).map_err(io)?;
        group.close().map_err(io)?;
        Ok(())
    }

    /// Records so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows_before + self.rows.count() as u64
    }

    /// Bytes of the row groups so far, and how many bytes wait in memory.
    #[must_use]
    pub fn size(&self) -> (u64, usize) {
        (self.writer.bytes_written() as u64, self.rows.size())
    }

    /// Values that are absent because their column's type has no place for them.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.rows.left_out()
    }

    /// Writes what is left and the footer.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_group()?;
        self.writer.into_inner().map_err(io)
    }
}

/// What went wrong, as whoever writes or reads knows it.
pub(super) fn io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
