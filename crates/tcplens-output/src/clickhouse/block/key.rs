//! What of a record says where it belongs: its time, and what tables are ordered by.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionId, Field, FirstFrame, Visitor};
use tcplens_core::time::{Span, Timestamp};

use crate::cell::Cell;

/// When a record was, and of whom: what tables are ordered by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Key {
    pub(super) time: Option<i64>,
    pub(super) server_ip: Option<IpAddr>,
    pub(super) server_port: Option<u64>,
}

/// Only when a record was.
pub(super) struct When(pub(super) Option<i64>);

impl Visitor for When {
    #[inline]
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        if field.name == "time" {
            self.0 = value.map(|at| at.0);
        }
    }

    fn count(&mut self, _: &'static Field, _: Option<u64>) {}
    fn span(&mut self, _: &'static Field, _: Option<Span>) {}
    fn ip(&mut self, _: &'static Field, _: Option<IpAddr>) {}
    fn word(&mut self, _: &'static Field, _: Option<&'static str>) {}
    fn flag(&mut self, _: &'static Field, _: Option<bool>) {}
    fn text(&mut self, _: &'static Field, _: Option<&str>) {}
    fn id(&mut self, _: &'static Field, _: Option<ConnectionId>) {}
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    fn frames(&mut self, _: &'static Field, _: &[FirstFrame]) {}
}

impl Key {
    pub(super) fn take(&mut self, field: &str, cell: &Cell) {
        match (field, cell) {
            ("time", Cell::Number(ns)) => self.time = Some(*ns),
            ("server_ip", Cell::Text(ip)) => self.server_ip = ip.parse().ok(),
            ("server_port", Cell::Number(port)) => self.server_port = u64::try_from(*port).ok(),
            _ => {}
        }
    }
}

impl Visitor for Key {
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        if field.name == "time" {
            self.time = value.map(|at| at.0);
        }
    }

    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        if field.name == "server_ip" {
            self.server_ip = value;
        }
    }

    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        if field.name == "server_port" {
            self.server_port = value;
        }
    }

    fn span(&mut self, _: &'static Field, _: Option<Span>) {}
    fn word(&mut self, _: &'static Field, _: Option<&'static str>) {}
    fn flag(&mut self, _: &'static Field, _: Option<bool>) {}
    fn text(&mut self, _: &'static Field, _: Option<&str>) {}
    fn id(&mut self, _: &'static Field, _: Option<ConnectionId>) {}
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    fn frames(&mut self, _: &'static Field, _: &[FirstFrame]) {}
}
