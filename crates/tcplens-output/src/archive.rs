//! The archives of m-lab/tcp-info: one `.jsonl.zst` per connection and ten minutes, a line per snapshot, with the bytes that
//! the kernel said. [`Archive`] writes them, [`Reader`] reads every generation of them, [`csvtool`] prints what tcp-info's
//! program of that name prints.
//!
//! The format: `line` (one line), `names` (what a connection and its files are called), `stamp` (its times).

pub mod base64;
pub mod csvtool;
pub mod line;
pub mod names;
mod raw;
pub mod reader;
pub mod rewrite;
mod segment;
pub mod stamp;
pub mod writer;

pub use line::{Final, Metadata};
pub use names::{Uuid, UuidError};
pub use reader::{Damage, Entry, Reader};
pub use rewrite::Rewriter;
pub use stamp::Stamp;
pub use writer::{Archive, ArchiveCounters, ArchiveSettings};
