//! How long requests of one server and protocol took, by operation and by how they went: finer than fixed edges, and only where
//! somebody asked for it ([`Metrics::by_operation`](super::Metrics::by_operation)).
//!
//! Bounded: [`OPERATIONS`] operations of a server and protocol have rows of their own, each once it was answered, and
//! [`HISTOGRAMS`] rows of all; what is beyond either is in the row of all others, which every server and protocol has besides.

use super::Exponential;
use crate::record::{Request, Status};
use crate::time::Span;

/// Most operations of one server and protocol that are told apart. Chosen: more than the verbs that one server is asked with;
/// what names more has names that are made up by whoever asks.
pub const OPERATIONS: usize = 16;
/// Most histograms of operations with rows of their own. Chosen: at 1.4 KB each, 3 MB.
pub const HISTOGRAMS: usize = 2048;
/// Longest name, in bytes. Chosen: operations are verbs; longer ones are with the others.
const NAME: usize = 64;

/// Whose durations these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The protocol names none.
    None,
    /// Of this name.
    Named(Box<str>),
    /// Of those that have no row of their own.
    Other,
}

/// How long requests took, of one server and protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    rows: Vec<(Operation, Vec<(Status, Exponential)>)>,
    /// How long the server had them: [`Request::process_us`].
    pub process: Exponential,
}

/// How many there are of all, and what found no row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    /// Histograms of named operations.
    pub used: usize,
    /// Requests that are counted with all others of their server and protocol.
    pub shared: u64,
}

impl Operations {
    /// Each histogram, in the order of first sight.
    pub fn each(&self) -> impl Iterator<Item = (&Operation, Status, &Exponential)> {
        let rows = self.rows.iter();
        rows.flat_map(|(operation, by_status)| {
            let by_status = by_status.iter();
            by_status.map(move |(status, durations)| (operation, *status, durations))
        })
    }

    /// Histograms of named operations.
    pub(super) fn named(&self) -> usize {
        let named = |operation: &Operation| matches!(operation, Operation::Named(_));
        self.each().filter(|(of, ..)| named(of)).count()
    }

    /// Counts a request that took so long.
    pub(super) fn add(&mut self, request: &Request<'_>, took: Span, bound: &mut Bound) {
        let status = request.status;
        let mut row = match request.operation {
            None => Some(self.row(|of| *of == Operation::None, || Operation::None)),
            Some(name) => self.named_row(name, status, bound),
        };
        let row = row.get_or_insert_with(|| {
            bound.shared += 1;
            self.row(|of| *of == Operation::Other, || Operation::Other)
        });
        let (operation, by_status) = &mut self.rows[*row];
        let known = by_status.iter().position(|(known, _)| *known == status);
        let at = known.unwrap_or_else(|| {
            bound.used += usize::from(matches!(operation, Operation::Named(_)));
            by_status.push((status, Exponential::default()));
            by_status.len() - 1
        });
        by_status[at].1.add(took);
    }

    /// The row of a name, if it has one, or gets one.
    fn named_row(&mut self, name: &str, status: Status, bound: &Bound) -> Option<usize> {
        let is = |of: &Operation| matches!(of, Operation::Named(known) if **known == *name);
        let has_room = bound.used < HISTOGRAMS;
        if let Some(row) = self.rows.iter().position(|(of, _)| is(of)) {
            let is_known = self.rows[row].1.iter().any(|(known, _)| *known == status);
            return (is_known || has_room).then_some(row);
        }
        // What nobody answers is no operation of this server.
        let is_answered = matches!(status, Status::Ok | Status::Error);
        let named = self.rows.iter();
        let named = named.filter(|(of, _)| matches!(of, Operation::Named(_)));
        let has_row = has_room && named.count() < OPERATIONS;
        (has_row && is_answered && name.len() <= NAME).then(|| {
            self.rows.push((Operation::Named(name.into()), Vec::new()));
            self.rows.len() - 1
        })
    }

    fn row(&mut self, is: impl Fn(&Operation) -> bool, make: impl Fn() -> Operation) -> usize {
        let known = self.rows.iter().position(|(of, _)| is(of));
        known.unwrap_or_else(|| {
            self.rows.push((make(), Vec::new()));
            self.rows.len() - 1
        })
    }
}
