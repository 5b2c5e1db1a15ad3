//! Records into ClickHouse, over its HTTP interface: tables ([`schema`]), batches ([`block`]), the spool that they wait in
//! ([`spool`]), and who sends them ([`sender`]). [`Writer`] is all of it. How each batch is stored once: docs/clickhouse.md.
//!
//! Works on 18.16 (Debian's) and on current versions; what differs is asked for by [`Version`]. Knows no file formats and no
//! options; results of queries are read in [`rows`].
//!
//! Normative: <https://clickhouse.com/docs/en/interfaces/http>, and the format Native, of which 18.16's
//! dbms/src/DataStreams/NativeBlockInputStream.cpp is the reference.

pub mod block;
mod error;
mod names;
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
pub use server::{Server, Version};
pub use sink::ClickHouseSink;
pub use target::Target;
pub use writer::{
    BATCH_AGE, BATCH_BYTES, BATCH_ROWS, OPEN_BYTES, OPEN_DAYS, SPOOL_BYTES, Settings, Told, Writer,
};
