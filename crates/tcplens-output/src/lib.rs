//! Encoders of records and their destinations. Nothing here knows where records come from.
//!
//! Machine formats ([`jsonl`], [`csv`]) visit any record; text views are written for one kind each, from the
//! building blocks beside them.
#![forbid(unsafe_code)]

pub mod csv;
pub mod digits;
pub mod jsonl;
pub mod rfc3339;
pub mod sink;
pub mod units;
pub mod writer;

pub use csv::Csv;
pub use jsonl::Jsonl;
pub use sink::{Sink, SinkEnd, SinkError};
pub use writer::{MachineFormat, RecordWriter};
