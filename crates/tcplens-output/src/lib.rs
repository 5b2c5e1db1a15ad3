//! Encoders of records and their destinations. Nothing here knows where records come from.
//!
//! Machine formats ([`jsonl`], [`csv`]) visit any record; text views ([`text`]) are written for one
//! kind each, from the building blocks in [`table`], [`human`], [`time_style`], [`color`] and
//! [`bars`]. [`sink`] is where bytes go.
#![forbid(unsafe_code)]

pub mod anomalies;
pub mod answer;
pub mod archive;
pub mod bars;
#[cfg(any(feature = "parquet", feature = "remote"))]
mod cell;
#[cfg(feature = "remote")]
pub mod clickhouse;
pub mod color;
pub mod csv;
pub mod digits;
pub mod docs;
pub mod events;
pub mod explain;
pub mod fields;
pub mod ganglia;
pub mod glyphs;
pub mod hosts;
pub mod human;
pub mod json;
pub mod jsonl;
pub mod named;
#[cfg(feature = "remote")]
pub mod otlp;
pub mod page;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod period;
pub mod port_stats;
pub mod prometheus;
mod read_json;
#[cfg(feature = "remote")]
pub mod remote;
pub mod report;
pub mod rfc3339;
pub mod running;
pub mod shell;
pub mod sink;
pub mod store;
pub mod table;
pub mod tcpeek;
pub mod tcpkit;
pub mod tcprt;
pub mod text;
pub mod time_style;
pub mod units;
pub mod values;
pub mod writer;

pub use csv::Csv;
pub use fields::Fields;
pub use jsonl::Jsonl;
pub use sink::{Sink, SinkEnd, SinkError};
pub use writer::{MachineFormat, RecordWriter};
