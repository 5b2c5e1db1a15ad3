//! In place of `screen` where the program was built without it: `top` prints tables.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tcplens_core::record::Health;
use tcplens_core::time::Timestamp;
use tcplens_core::view::top::{Marks, TopQuery, TopSnapshot};
use tcplens_output::hosts::Hosts;

use crate::cli;

/// There is none.
pub(crate) enum OnScreen {}

/// None.
pub(crate) fn open(
    _command: &cli::Top,
    _marks: Marks,
    _query: &TopQuery,
    _source: String,
    _hosts: Hosts,
    _stop: &Arc<AtomicBool>,
) -> Option<OnScreen> {
    None
}

impl OnScreen {
    pub(crate) fn begin(&mut self) {
        match *self {}
    }

    pub(crate) fn serve(&mut self, _answer: impl FnOnce(&TopQuery) -> TopSnapshot) {
        match *self {}
    }

    pub(crate) fn health(&mut self, _health: &Health) {
        match *self {}
    }

    pub(crate) fn first_packet(&mut self, _at: Timestamp) {
        match *self {}
    }

    pub(crate) fn stay(&mut self, _answer: impl FnMut(&TopQuery) -> TopSnapshot) {
        match *self {}
    }

    pub(crate) fn close(&mut self) -> Option<TopQuery> {
        match *self {}
    }
}
