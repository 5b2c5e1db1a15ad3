//! A record's values by position, for views that choose among them by name: text with columns that depend on the width, and
//! sorting by any field. Encoders that print all of them visit the record instead (`jsonl`, `csv`).

use std::cmp::Ordering;
use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{Span, Timestamp};

use crate::fields::Fields;

/// One field's value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// It is not known.
    #[default]
    Absent,
    /// A number of things.
    Count(u64),
    /// A duration.
    Span(Span),
    /// A point in time.
    Time(Timestamp),
    /// An address.
    Ip(IpAddr),
    /// One of a closed set.
    Word(&'static str),
    /// True or false.
    Flag(bool),
    /// Free text; also what has no order of its own: counts by reason, lists.
    Text(String),
    /// A connection's name.
    Id(ConnectionId),
}

impl Value {
    /// The number, if it is one.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match self {
            Value::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// The duration, if it is one.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            Value::Span(span) => Some(*span),
            _ => None,
        }
    }

    /// The words, if there are any.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Word(word) => Some(word),
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What is absent is before everything; values of one field are of one kind.
    #[must_use]
    pub fn order(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Absent, Value::Absent) => Ordering::Equal,
            (Value::Absent, _) => Ordering::Less,
            (_, Value::Absent) => Ordering::Greater,
            (Value::Count(a), Value::Count(b)) => a.cmp(b),
            (Value::Span(a), Value::Span(b)) => a.ns().cmp(&b.ns()),
            (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::Ip(a), Value::Ip(b)) => a.cmp(b),
            (Value::Word(a), Value::Word(b)) => a.cmp(b),
            (Value::Flag(a), Value::Flag(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Id(a), Value::Id(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

/// The values of one record, in the order of its fields.
#[derive(Clone, Debug, Default)]
pub struct Values {
    all: Vec<(&'static Field, Value)>,
}

impl Values {
    /// Takes a record's, in place of those before.
    pub fn read<R: Record>(&mut self, record: &R) {
        self.all.clear();
        record.visit(self);
    }

    /// The same of some of its fields, in their order.
    pub fn read_fields<R: Record>(&mut self, record: &R, fields: &Fields) {
        self.all.clear();
        fields.visit(record, self);
    }

    /// By position among the fields.
    #[must_use]
    pub fn at(&self, position: usize) -> &Value {
        const ABSENT: &Value = &Value::Absent;
        self.all.get(position).map_or(ABSENT, |(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Field, &Value)> {
        self.all.iter().map(|(field, value)| (*field, value))
    }
}

/// Where a field is among those of a record kind.
#[must_use]
pub fn position<R: Record>(name: &str) -> Option<usize> {
    let (mut at, mut found) = (0, None);
    R::fields(&mut |field| {
        if field.name == name {
            found = Some(at);
        }
        at += 1;
    });
    found
}

impl Values {
    fn push(&mut self, field: &'static Field, value: Option<Value>) {
        self.all.push((field, value.unwrap_or_default()));
    }
}

impl Visitor for Values {
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        self.push(field, value.map(Value::Count));
    }
    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        self.push(field, value.map(Value::Span));
    }
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        self.push(field, value.map(Value::Time));
    }
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        self.push(field, value.map(Value::Ip));
    }
    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        self.push(field, value.map(Value::Word));
    }
    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        self.push(field, value.map(Value::Flag));
    }
    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        self.push(field, value.map(|text| Value::Text(text.to_owned())));
    }
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>) {
        self.push(field, value.map(Value::Id));
    }
    fn counts(&mut self, field: &'static Field, value: &[(&'static str, u64)]) {
        let each = value.iter().map(|(word, n)| format!("{n} {word}"));
        let text = each.collect::<Vec<_>>().join(", ");
        self.push(field, (!text.is_empty()).then_some(Value::Text(text)));
    }
    fn list(&mut self, field: &'static Field, value: &[u64]) {
        let each = value.iter().map(u64::to_string);
        let text = each.collect::<Vec<_>>().join(",");
        self.push(field, (!text.is_empty()).then_some(Value::Text(text)));
    }
    fn frames(&mut self, field: &'static Field, _: &[FirstFrame]) {
        // Sockets have none.
        self.push(field, None);
    }
}
