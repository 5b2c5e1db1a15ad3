//! Text views: a line per record for people, written for one record kind each. For what a machine
//! reads see `jsonl`.

mod connections;
mod handshakes;
mod request_summary;
mod requests;

pub use connections::ConnectionText;
pub use handshakes::HandshakeText;
pub use request_summary::{RequestEnd, histograms, summary};
pub(crate) use request_summary::{operation_name, time_of};
pub use requests::{RequestColumn, RequestText};
