//! Records into ClickHouse, over its HTTP interface: tables ([`schema`]), batches ([`block`]), the spool that they wait in
//! ([`spool`]), and who sends them ([`sender`]). [`Writer`] is all of it. How each batch is stored once: docs/clickhouse.md.
//!
//! Works on 18.16 (Debian's) and on current versions; what differs is asked for by [`Version`]. Knows no file formats and no
//! options; results of queries are read in [`rows`]; [`ClickHouseReader`] reads what was stored.
//!
//! Normative: <https://clickhouse.com/docs/en/interfaces/http>, and the format Native, of which 18.16's
//! dbms/src/DataStreams/NativeBlockInputStream.cpp is the reference.

pub mod block;
mod error;
#[cfg(feature = "parquet")]
mod look;
mod names;
mod native;
mod reader;
pub mod rows;
pub mod schema;
pub mod sender;
mod server;
mod sink;
pub mod spool;
mod tags;
mod target;
mod writer;

pub use error::ClickHouseError;
pub use reader::{ClickHouseReader, Extent, PART_ROWS, Scope, Stretch};
pub use server::{Server, Version};
pub use sink::ClickHouseSink;
pub use target::Target;
pub use writer::{
    BATCH_AGE, BATCH_BYTES, BATCH_ROWS, OPEN_BYTES, OPEN_DAYS, SPOOL_BYTES, SPOOL_FILES, Settings,
    Told, Writer,
};
