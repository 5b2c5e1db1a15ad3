//! A record on its way into columns.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Visitor};
use tcplens_core::time::{Span, Timestamp};

use super::column::{Column, text};
use crate::digits;

/// As many digits as `Decimal(18, 3)` has.
const SPAN_LIMIT: u64 = 1_000_000_000_000_000_000;

/// One record on its way into the columns.
pub(super) struct Row<'a> {
    /// Those that its fields go to.
    pub(super) columns: std::slice::IterMut<'a, Column>,
    /// Its number.
    pub(super) row: usize,
    /// Values that no column can hold.
    pub(super) left_out: u64,
}

impl Row<'_> {
    /// The number, if it has a place; counted if not.
    #[inline]
    fn signed(&mut self, value: u64) -> Option<i64> {
        let signed = i64::try_from(value).ok();
        self.left_out += u64::from(signed.is_none());
        signed
    }

    #[inline]
    fn number(&mut self, value: Option<i64>) {
        let row = self.row;
        if let Some(Column::Numbers(values, _)) = self.columns.next() {
            values.number(row, value);
        }
    }

    #[inline]
    fn key(&mut self, key: Option<u128>, spell: impl FnOnce(&mut Vec<u8>)) {
        let row = self.row;
        if let Some(Column::Tags(tags)) = self.columns.next() {
            match key {
                Some(key) => tags.key(row, key, spell),
                None => tags.absent(),
            }
        }
    }
}

/// Each method fills the column that is next: records visit their fields in the order of the table.
impl Visitor for Row<'_> {
    #[inline]
    fn count(&mut self, _: &'static Field, value: Option<u64>) {
        let value = value.and_then(|value| self.signed(value));
        self.number(value);
    }

    #[inline]
    fn span(&mut self, _: &'static Field, value: Option<Span>) {
        let value = value.and_then(|span| {
            let ns = span.ns();
            self.signed(if ns < SPAN_LIMIT { ns } else { u64::MAX })
        });
        self.number(value);
    }

    #[inline]
    fn time(&mut self, _: &'static Field, value: Option<Timestamp>) {
        self.number(value.map(|at| at.0));
    }

    #[inline]
    fn ip(&mut self, _: &'static Field, value: Option<IpAddr>) {
        let key = value.map(|ip| match ip {
            // Mapped ones are IPv4 already, so that no other address has these bits.
            IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => u128::from(v6),
        });
        self.key(key, |out| {
            let mut spelled = [0; digits::IP];
            let length = value.map_or(0, |ip| digits::ip(&mut spelled, ip));
            text(out, &spelled[..length]);
        });
    }

    #[inline]
    fn word(&mut self, _: &'static Field, value: Option<&'static str>) {
        // Where it lies and how long it is: the same place has the same letters for ever.
        let key = value.map(|word| (word.as_ptr() as u128) << 64 | word.len() as u128);
        self.key(key, |out| text(out, value.unwrap_or_default().as_bytes()));
    }

    #[inline]
    fn flag(&mut self, _: &'static Field, value: Option<bool>) {
        let row = self.row;
        if let Some(Column::Flags(values)) = self.columns.next() {
            match value {
                Some(flag) => values.present(row, 1).push(u8::from(flag)),
                None => values.absent(&[0]),
            }
        }
    }

    #[inline]
    fn text(&mut self, _: &'static Field, value: Option<&str>) {
        let row = self.row;
        match (self.columns.next(), value) {
            (Some(Column::Tags(tags)), Some(value)) => tags.text(row, value),
            (Some(Column::Tags(tags)), None) => tags.absent(),
            (Some(Column::Texts(values)), Some(value)) => {
                text(values.present(row, 1), value.as_bytes());
            }
            (Some(Column::Texts(values)), None) => values.absent(&[0]),
            _ => {}
        }
    }

    #[inline]
    fn id(&mut self, _: &'static Field, value: Option<ConnectionId>) {
        let row = self.row;
        if let Some(Column::Texts(values)) = self.columns.next() {
            match value {
                Some(id) => {
                    let mut spelled = [0; digits::ID];
                    digits::id(&mut spelled, id);
                    text(values.present(row, 1), &spelled);
                }
                None => values.absent(&[0]),
            }
        }
    }

    fn counts(&mut self, _: &'static Field, value: &[(&'static str, u64)]) {
        let row = self.row;
        if let Some(Column::Map(lists, keys, values)) = self.columns.next() {
            lists.counts(row, value.iter().copied(), keys, values);
        }
    }

    fn list(&mut self, _: &'static Field, value: &[u64]) {
        let row = self.row;
        if let Some(Column::List(lists, values)) = self.columns.next() {
            lists.numbers(row, value, values);
        }
    }

    fn frames(&mut self, _: &'static Field, value: &[FirstFrame]) {
        let row = self.row;
        if let Some(Column::Frames(lists, thresholds, bytes, us)) = self.columns.next() {
            lists.frames(row, value, thresholds, bytes, us);
        }
    }
}
