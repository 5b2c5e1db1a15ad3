//! Parquet: columns of records that other engines read. One file holds one record kind; its columns are the fields as
//! declared, in their order.
//!
//! Normative: <https://parquet.apache.org/docs/file-format/>; the crate `parquet` makes it of columns; those of few
//! different values are made in `pages`.
//!
//! | value | column | why |
//! |---|---|---|
//! | count | INT64 | signed: not every engine reads unsigned ones |
//! | span | INT64, DECIMAL(18, 3) | microseconds as the name says, exact to the nanosecond; half the size of a DOUBLE |
//! | time | INT64, TIMESTAMP(NANOS, UTC) | |
//! | address, word, text, connection id | BYTE_ARRAY, STRING | |
//! | flag | BOOLEAN | |
//! | counts by reason | MAP of STRING to INT64 | |
//! | list | LIST of INT64 | |
//! | first frames | LIST of a struct: `threshold_bytes`, `bytes`, `us` | |
//!
//! All are OPTIONAL: missing is not zero. The schema is named like the kind, and the file's metadata tell `kind`,
//! `schema_version` and `tcplens_version`. A count beyond `i64::MAX` and a span of 10^18 ns (31.7 years) or more are absent,
//! and [`ParquetFile::left_out`] counts them.
//!
//! Files of a store ([`ParquetFile::create_hosted`]) have the column `host` before all others, STRING.
//!
//! [`ParquetLines`] reads such a file back, of kinds without maps and lists.
//!
//! A file can be read when it is complete, not before: [`ParquetFiles`] writes aside and renames.

mod column;
mod file;
mod files;
mod lines;
mod pages;
mod rows;
mod schema;
mod table;

pub use file::{GROUP_BYTES, GROUP_ROWS, ParquetFile};
pub use files::ParquetFiles;
pub(crate) use files::create_aside;
pub use lines::ParquetLines;
pub(crate) use table::Table;
