//! Where the lifetime of a connection went: each moment is given to one cause, so that the causes sum to the whole.
//!
//! A moment belongs to the handshake, to a request that was under way, or to nobody: then the client asked for nothing. Within
//! a request its time budget says what it went to. Where several were under way, a moment counts once: what was counted
//! already is taken out of the later request's budget: of loss and closed windows what fell into that, then its wait behind
//! others. A request is over when the last byte of
//! its response was seen here, which may get lost behind this point: what was not yet repaired then is loss as well.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::event::Asked;
use crate::record::{EndedBy, Status};
use crate::time::{Span, Timestamp};

/// Stretches that may still be asked for. Chosen: requests that end out of order are a few, not thousands; what is older is
/// settled, and a request that began before it counts from there.
const OPEN: usize = 1024;

/// What a moment went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Share {
    /// First SYN to its conclusion.
    Handshake,
    /// The client was sending a request.
    Client,
    /// A request waited behind one that is not in these numbers.
    Queue,
    /// The server had a request.
    Server,
    /// A request, or the first byte of its response, was on its way.
    Network,
    /// Something lost was not yet repaired.
    Loss,
    /// Data waited for a closed receive window.
    Window,
    /// A response was being sent.
    Transfer,
    /// A request was under way that was never answered.
    Unanswered,
    /// A request was under way whose time budget is not known.
    Unknown,
    /// No request was under way.
    Idle,
}

/// How many there are.
const SHARES: usize = 11;

impl Share {
    /// All of them, in the order of [`Spent::ns`].
    pub const ALL: [Share; SHARES] = [
        Share::Handshake,
        Share::Client,
        Share::Queue,
        Share::Server,
        Share::Network,
        Share::Loss,
        Share::Window,
        Share::Transfer,
        Share::Unanswered,
        Share::Unknown,
        Share::Idle,
    ];

    /// Of a time budget, in its order.
    const OF_BUDGET: [Share; 7] = [
        Share::Client,
        Share::Queue,
        Share::Server,
        Share::Network,
        Share::Loss,
        Share::Window,
        Share::Transfer,
    ];

    /// The stable word of machine formats.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Share::Handshake => "handshake",
            Share::Client => "client",
            Share::Queue => "queue",
            Share::Server => "server",
            Share::Network => "network",
            Share::Loss => "loss",
            Share::Window => "window",
            Share::Transfer => "transfer",
            Share::Unanswered => "unanswered",
            Share::Unknown => "unknown",
            Share::Idle => "idle",
        }
    }
}

/// The result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// ns by cause, in the order of [`Share::ALL`]; they sum to the lifetime, or all are 0 where that is not known.
    pub ns: [u64; SHARES],
}

impl Spent {
    /// ns that went to one cause.
    #[must_use]
    pub fn of(&self, share: Share) -> u64 {
        self.ns[share as usize]
    }

    /// The lifetime in ns.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.ns.iter().fold(0, |sum, ns| sum.saturating_add(*ns))
    }

    /// ns in which a request was under way.
    #[must_use]
    pub fn asking(&self) -> u64 {
        self.all() - self.of(Share::Handshake) - self.of(Share::Idle)
    }

    /// What took longest, idleness apart: what limited the connection. `None` if nothing took any time.
    #[must_use]
    pub fn limit(&self) -> Option<Share> {
        let all = Share::ALL.into_iter().filter(|share| *share != Share::Idle);
        all.filter(|share| self.of(*share) > 0)
            .min_by_key(|share| (Reverse(self.of(*share)), *share))
    }
}

/// Counts while requests come.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    spent: Spent,
    /// What is given away: in order and apart.
    taken: Vec<(Timestamp, Timestamp)>,
    /// All before this is settled.
    settled: Timestamp,
    /// When something lost was not yet repaired: given away last, for within a request its budget says it.
    lost: VecDeque<(Timestamp, Timestamp)>,
    /// When a receive window was closed.
    closed: VecDeque<(Timestamp, Timestamp)>,
}

impl Ledger {
    pub(super) fn new() -> Ledger {
        Ledger {
            spent: Spent::default(),
            taken: Vec::new(),
            settled: Timestamp::MIN,
            lost: VecDeque::new(),
            closed: VecDeque::new(),
        }
    }

    pub(super) fn handshake(&mut self, from: Timestamp, to: Timestamp) {
        let Some(span) = to.since(from) else { return };
        self.add(from, to, [(Share::Handshake, span.ns())]);
    }

    /// Something was lost, or late, and repaired by now.
    pub(super) fn lost(&mut self, from: Timestamp, to: Timestamp) {
        self.lost.push_back((from, to));
        if self.lost.len() > OPEN
            && let Some((from, to)) = self.lost.pop_front()
        {
            self.add(from, to, [(Share::Loss, ns(from, to))]);
        }
    }

    /// A receive window was closed.
    pub(super) fn closed(&mut self, from: Timestamp, to: Timestamp) {
        self.closed.push_back((from, to));
        if self.closed.len() > OPEN {
            self.closed.pop_front();
        }
    }

    /// A request that has ended; `last` is the time of the latest packet.
    pub(super) fn request(&mut self, asked: &Asked, last: Timestamp) {
        let times = &asked.times;
        let from = times.first_request;
        if let (Some(budget), Some(total)) = (asked.budget, asked.total) {
            let end = from.plus(i64::try_from(total.ns()).unwrap_or(i64::MAX));
            let mut parts = [(Share::Queue, 0); 7];
            for (part, (share, ns)) in parts.iter_mut().zip(Share::OF_BUDGET.iter().zip(budget)) {
                *part = (*share, ns);
            }
            // What is taken out first: waiting for others, and what others may have caused.
            parts.sort_by_key(|(share, _)| match share {
                Share::Queue => 0,
                Share::Client => 1,
                Share::Network | Share::Server => 2,
                Share::Transfer => 3,
                _ => 4,
            });
            self.add(from, end, parts);
            return;
        }
        let (share, end) = match asked.status {
            // Its answer may have come, and not been seen.
            Status::Unanswered if asked.ended_by == EndedBy::Gap => (Share::Unknown, last),
            Status::Unanswered => (Share::Unanswered, last),
            Status::None => (Share::Client, times.last_request),
            Status::Ok | Status::Error => (Share::Unknown, times.last_response),
        };
        if let Some(span) = end.since(from) {
            self.add(from, end, [(share, span.ns())]);
        }
    }

    /// Gives `from..to` away, but for what was given away before; that is taken out of `parts` in their order.
    fn add<const N: usize>(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        mut parts: [(Share, u64); N],
    ) {
        let start = from.max(self.settled);
        let mut before = ns(from, start.min(to));
        let (mut lost, mut closed) = (0, 0);
        // Most requests come after all that was taken.
        let behind = self.taken.partition_point(|&(_, end)| end <= start);
        for &(a, b) in self.taken.get(behind..).unwrap_or_default() {
            let (a, b) = (a.max(start), b.min(to));
            before += ns(a, b);
            lost += within(&self.lost, a, b);
            closed += within(&self.closed, a, b);
        }
        for (share, part) in &mut parts {
            let out = match share {
                Share::Loss => before.min(*part).min(lost),
                Share::Window => before.min(*part).min(closed),
                _ => 0,
            };
            before -= out;
            *part -= out;
        }
        for (share, part) in &mut parts {
            let out = before.min(*part);
            before -= out;
            let slot = &mut self.spent.ns[*share as usize];
            *slot = slot.saturating_add(*part - out);
        }
        self.take(start, to);
    }

    fn take(&mut self, mut from: Timestamp, mut to: Timestamp) {
        if to <= from {
            return;
        }
        let first = self.taken.partition_point(|&(_, end)| end < from);
        let behind = self.taken.partition_point(|&(start, _)| start <= to);
        for &(a, b) in self.taken.get(first..behind).unwrap_or_default() {
            from = from.min(a);
            to = to.max(b);
        }
        self.taken.splice(first..behind.max(first), [(from, to)]);
        if self.taken.len() > OPEN {
            self.settled = self.taken.remove(0).1;
        }
    }

    /// What a lifetime went to: the rest is idleness. Nothing where the clock went back, and the lifetime is not known.
    pub(super) fn finish(mut self, lifetime: Option<Span>) -> Spent {
        let Some(lifetime) = lifetime else {
            return Spent::default();
        };
        for (from, to) in std::mem::take(&mut self.lost) {
            self.add(from, to, [(Share::Loss, ns(from, to))]);
        }
        let mut spent = self.spent;
        spent.ns[Share::Idle as usize] = lifetime.ns().saturating_sub(spent.all());
        spent
    }
}

fn ns(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).map_or(0, Span::ns)
}

/// How much of `from..to` is within such stretches, which came in the order of their ends.
fn within(stretches: &VecDeque<(Timestamp, Timestamp)>, from: Timestamp, to: Timestamp) -> u64 {
    let near = stretches.iter().rev().take_while(|(_, end)| *end > from);
    near.map(|&(a, b)| ns(a.max(from), b.min(to))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(ledger: &Ledger, lifetime: u64) -> Vec<(&'static str, u64)> {
        let spent = ledger.clone().finish(Some(Span::from_ns(lifetime)));
        assert_eq!(spent.all(), lifetime.max(spent.all()));
        let all = Share::ALL.into_iter();
        all.map(|share| (share.word(), spent.of(share)))
            .filter(|(_, ns)| *ns > 0)
            .collect()
    }

    #[test]
    fn what_overlaps_counts_once_and_waiting_goes_first() {
        let mut ledger = Ledger::new();
        ledger.handshake(Timestamp(0), Timestamp(10));
        ledger.add(Timestamp(20), Timestamp(50), [(Share::Server, 30)]);
        // It waited behind the first for 25, and then took 10.
        let parts = [(Share::Queue, 25), (Share::Server, 10)];
        ledger.add(Timestamp(25), Timestamp(60), parts);
        assert_eq!(
            spent(&ledger, 100),
            [("handshake", 10), ("server", 40), ("idle", 50)]
        );
        // One that was under way all the time, and ends last.
        ledger.add(Timestamp(15), Timestamp(90), [(Share::Transfer, 75)]);
        assert_eq!(
            spent(&ledger, 100),
            [
                ("handshake", 10),
                ("server", 40),
                ("transfer", 35),
                ("idle", 15)
            ]
        );
        assert_eq!(
            ledger.taken,
            [
                (Timestamp(0), Timestamp(10)),
                (Timestamp(15), Timestamp(90))
            ]
        );
    }

    #[test]
    fn loss_counts_where_no_request_says_it() {
        let mut ledger = Ledger::new();
        ledger.lost(Timestamp(10), Timestamp(40));
        ledger.lost(Timestamp(60), Timestamp(80));
        ledger.lost(Timestamp(70), Timestamp(90));
        let parts = [(Share::Server, 5), (Share::Loss, 15)];
        ledger.add(Timestamp(0), Timestamp(20), parts);
        assert_eq!(
            spent(&ledger, 100),
            [("server", 5), ("loss", 65), ("idle", 30)]
        );
    }

    #[test]
    fn a_loss_that_held_up_several_requests_counts_once() {
        let mut ledger = Ledger::new();
        ledger.lost(Timestamp(10), Timestamp(40));
        let budget = |server| {
            [
                (Share::Queue, 0),
                (Share::Server, server),
                (Share::Loss, 30),
            ]
        };
        ledger.add(Timestamp(0), Timestamp(50), budget(20));
        ledger.add(Timestamp(5), Timestamp(60), budget(25));
        assert_eq!(spent(&ledger, 60), [("server", 30), ("loss", 30)]);
    }

    #[test]
    fn thousands_of_stretches_are_settled_and_never_count_twice() {
        let mut ledger = Ledger::new();
        for n in 0..3000 {
            let from = Timestamp(n * 10);
            ledger.add(from, from.plus(5), [(Share::Server, 5)]);
        }
        assert_eq!(ledger.taken.len(), OPEN);
        ledger.add(Timestamp(0), Timestamp(30_000), [(Share::Transfer, 30_000)]);
        let spent = ledger.clone().finish(Some(Span::from_ns(30_000)));
        assert_eq!(spent.all(), 30_000);
        assert_eq!(spent.of(Share::Server), 15_000);
        assert_eq!(spent.limit(), Some(Share::Server));
    }

    #[test]
    fn times_that_go_back_give_nothing_away() {
        let mut ledger = Ledger::new();
        ledger.handshake(Timestamp(10), Timestamp(0));
        ledger.add(Timestamp(10), Timestamp(0), [(Share::Server, 5)]);
        assert_eq!(spent(&ledger, 10), [("server", 5), ("idle", 5)]);
        assert_eq!(ledger.clone().finish(None), Spent::default());
    }
}
