//! Filter languages: which packets ([`packet`]), which connections ([`TupleFilter`]), which handshakes ([`tcpeek`]) and which
//! records ([`record`]) are looked at.
//! Nothing here reads names from the machine: port and protocol names come from a built-in table.

pub mod packet;
pub mod record;
pub mod tcpeek;
mod tuple;

mod error;

pub use error::FilterError;
pub use tuple::TupleFilter;
