//! The records: every face of tcplens shows these, and every encoding derives from their declarations.
//!
//! A record visits a [`Visitor`] field by field, in declaration order; encoders implement the visitor and know
//! no record. The contract of names and meanings is `docs/records.md`, generated from here.

use std::net::IpAddr;

use crate::time::{Span, Timestamp};

#[macro_use]
mod declare;
mod change;
mod connection;
mod extra;
mod finding;
mod handshake;
mod health;
mod id;
mod peer;
mod request;
mod rollup;
mod row;
mod socket;
mod socket_parts;
mod socket_summary;
mod socket_word;
mod word;

#[cfg(test)]
pub(crate) use record;

pub use change::Change;
pub use connection::{Connection, Sent};
pub use extra::{FirstFrame, PathState, RequestExtra, Short, SocketOwner, TaskMarks};
pub use finding::Finding;
pub use handshake::Handshake;
pub use health::{Health, SocketHealth};
pub use id::ConnectionId;
pub use peer::Peer;
pub use request::Request;
pub use rollup::{ConnectionRollup, RequestRollup, Rollup};
pub use row::{RequestRef, RequestRow, Times};
pub(crate) use row::{budget, stages};
pub use socket::Socket;
pub use socket_parts::{SocketMemory, SocketOptions, TcpAlgorithm, TcpStatistics};
pub use socket_summary::SocketSummary;
pub use socket_word::{
    CaState, Limit, SocketClose, SocketFamily, SocketShutdown, SocketState, SocketTimer,
};
pub use word::{
    AnomalyMetric, Close, Direction, End, EndedBy, GroupBy, HandshakeOutcome, Knows, Metric,
    Outcome, PortMode, Protocol, RoleFrom, Side, Status, Suspect, TagsFrom, Units, Vantage,
    Verdict, Word,
};

/// Version of the record contract, in `health.schema_version`. Adding a field does not change it.
pub const SCHEMA_VERSION: u64 = 1;

/// One field of a record, as declared.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in every encoding, with the unit at the end.
    pub name: &'static str,
    /// `,"name":`, ready for JSON.
    pub json: &'static str,
    /// How its value is typed: the visitor's method.
    pub kind: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// The words that it may have, where that is a closed set: in what [`Record::fields`] gives; a visit leaves it empty.
    pub words: &'static [&'static str],
}

/// A record kind.
pub trait Record {
    /// The word in the field `kind`.
    const KIND: &'static str;
    /// What one record of this kind is.
    const DOC: &'static str;
    /// Calls `each` with every field, in order; `kind` itself is not among them.
    fn fields(each: &mut dyn FnMut(&'static Field));
    /// Calls the visitor's method of each field's type, in order; absent values as `None`.
    fn visit<V: Visitor>(&self, visitor: &mut V);
}

/// Fields that several record kinds have, and most records of them not: made by `extra!`.
pub trait Extra {
    /// As [`Record::fields`].
    fn fields(each: &mut dyn FnMut(&'static Field));
    /// As [`Record::visit`]; of `None` every field is absent.
    fn visit<V: Visitor>(this: Option<&Self>, visitor: &mut V);
}

/// How a record holds them.
pub trait Held {
    /// Which ones.
    type What: Extra;
}

impl<T: Extra> Held for Option<Box<T>> {
    type What = T;
}

impl<T: Extra> Held for Option<&T> {
    type What = T;
}

/// What an encoder does with each type of value. Absent is `None`: it is never printed as a number.
pub trait Visitor {
    /// A number of things.
    fn count(&mut self, field: &'static Field, value: Option<u64>);
    /// A duration; in text it is microseconds with up to three decimals.
    fn span(&mut self, field: &'static Field, value: Option<Span>);
    /// A point in time; RFC 3339, UTC, nine digits.
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>);
    /// An address; IPv4-mapped ones are IPv4 already.
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>);
    /// One of a closed set of lower-case words.
    fn word(&mut self, field: &'static Field, value: Option<&'static str>);
    /// True or false.
    fn flag(&mut self, field: &'static Field, value: Option<bool>);
    /// Free text.
    fn text(&mut self, field: &'static Field, value: Option<&str>);
    /// What joins the record kinds.
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>);
    /// Counts by reason, in a fixed order; empty is absent.
    fn counts(&mut self, field: &'static Field, value: &[(&'static str, u64)]);
    /// A list of numbers (frames); empty is absent.
    fn list(&mut self, field: &'static Field, value: &[u64]);
    /// When a response passed thresholds; empty is absent. One that it did not pass has its threshold only.
    fn frames(&mut self, field: &'static Field, value: &[FirstFrame]);
}
