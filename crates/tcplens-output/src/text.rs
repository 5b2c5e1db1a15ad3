//! Text views: a line per record for people, written for one record kind each. For what a machine
//! reads see `jsonl`.

mod connections;
mod handshakes;

pub use connections::ConnectionText;
pub use handshakes::HandshakeText;
