//! Filter languages: which packets ([`packet`]), which connections ([`TupleFilter`]) and which handshakes ([`tcpeek`]) are
//! looked at.
//! Nothing here reads names from the machine: port and protocol names come from a built-in table.

pub mod packet;
pub mod tcpeek;
mod tuple;

mod error;

pub use error::FilterError;
pub use tuple::TupleFilter;
