//! A choice among the fields of a record kind, in an order of its own (`--fields`): what an encoder is shown of a record. Knows no
//! record and no encoder; names are resolved by who chooses.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

/// Positions among the fields of one record kind, in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<usize>);

impl Fields {
    /// Those at these positions.
    #[must_use]
    pub fn at(positions: Vec<usize>) -> Fields {
        Fields(positions)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields themselves.
    #[must_use]
    pub fn of<R: Record>(&self) -> Vec<&'static Field> {
        let mut all = Vec::new();
        R::fields(&mut |field| all.push(field));
        let chosen = self.0.iter().filter_map(|&at| all.get(at).copied());
        chosen.collect()
    }

    /// Shows these of a record. It is walked once for each of them: that keeps their order without keeping values.
    pub fn visit<R: Record, V: Visitor>(&self, record: &R, visitor: &mut V) {
        for &wanted in &self.0 {
            record.visit(&mut Only {
                wanted,
                at: 0,
                to: visitor,
            });
        }
    }
}

/// Lets one field pass.
struct Only<'v, V> {
    wanted: usize,
    /// Position of the field that comes.
    at: usize,
    to: &'v mut V,
}

impl<V> Only<'_, V> {
    #[inline]
    fn pass(&mut self) -> Option<&mut V> {
        let at = self.at;
        self.at += 1;
        (at == self.wanted).then_some(&mut *self.to)
    }
}

/// One method for each type of value.
macro_rules! pass {
    ($($method:ident: $value:ty),+ $(,)?) => {
        $(
            #[inline]
            fn $method(&mut self, field: &'static Field, value: $value) {
                if let Some(to) = self.pass() {
                    to.$method(field, value);
                }
            }
        )+
    };
}

impl<V: Visitor> Visitor for Only<'_, V> {
    pass! {
        count: Option<u64>,
        span: Option<Span>,
        time: Option<Timestamp>,
        ip: Option<IpAddr>,
        word: Option<&'static str>,
        flag: Option<bool>,
        text: Option<&str>,
        id: Option<ConnectionId>,
        counts: &[(&'static str, u64)],
        list: &[u64],
        frames: &[FirstFrame],
    }
}
