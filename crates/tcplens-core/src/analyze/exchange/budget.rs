//! The time budget: T0..T3 of a request cut into intervals, each given to one cause, so that they sum to the whole.
//!
//! ```text
//!        T0            T1            queue end           T2                 T3
//!        |-- client ---|--- queue ---|- network -- server -|---- transfer ----|
//!             ####  loss: from the first sighting of a segment that was seen again until it was, or from the first
//!                         segment beyond a hole until the hole was filled; takes precedence everywhere
//!                  ====  window: the receiver of what is being sent has room for less than one segment; takes
//!                        precedence over all but loss
//! ```
//! While the server works (from the end of the previous response to T2) there is nothing that a window could hold up.
//! The rest of T1..T2 is network up to the shortest round trip to the server and back, then server.

use crate::record;
use crate::time::Timestamp;

/// Most intervals kept of one kind. Chosen: a request with more losses than this is slow for one reason.
const MOST: usize = 64;

/// Memory of one of them.
pub(super) const STRETCH: usize = size_of::<(Timestamp, Timestamp)>();

/// Stretches of time, in order and apart.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    list: Vec<(Timestamp, Timestamp)>,
    /// Since when it lasts, if it does.
    open: Option<Timestamp>,
}

impl Stretches {
    /// It begins, unless it lasts already.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.open.get_or_insert(at);
    }

    /// It is over.
    pub(super) fn end(&mut self, at: Timestamp) {
        if let Some(since) = self.open.take() {
            self.add(since, at);
        }
    }

    /// It lasts since then, whatever was thought; or not at all.
    pub(super) fn lasts_since(&mut self, since: Option<Timestamp>) {
        self.open = since;
    }

    /// A stretch that is over. With those that it touches it becomes one.
    pub(super) fn add(&mut self, mut from: Timestamp, mut to: Timestamp) {
        if to <= from {
            return;
        }
        self.list.retain(|&(a, b)| {
            let touches = a <= to && from <= b;
            if touches {
                from = from.min(a);
                to = to.max(b);
            }
            !touches
        });
        let at = self.list.partition_point(|&(a, _)| a < from);
        self.list.insert(at, (from, to));
        if self.list.len() > MOST {
            // The two that are nearest to each other count as one.
            let gaps = self.list.windows(2).map(|pair| pair[1].0.0 - pair[0].1.0);
            if let Some((n, _)) = gaps.enumerate().min_by_key(|&(_, gap)| gap) {
                self.list[n].1 = self.list[n + 1].1;
                self.list.remove(n + 1);
            }
        }
    }

    /// Nothing before `at` is asked for any more.
    pub(super) fn forget_before(&mut self, at: Timestamp) {
        self.list.retain(|&(_, end)| end > at);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.open = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.open.is_none()
    }

    /// Memory in use.
    pub(super) fn memory(&self) -> usize {
        self.list.capacity() * STRETCH
    }

    /// The parts within `from..to`.
    fn within(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let open = self.open.map(|since| (since, Timestamp::MAX));
        self.list
            .iter()
            .copied()
            .chain(open)
            .map(move |(a, b)| (a.max(from), b.min(to)))
            .filter(|(a, b)| a < b)
    }
}

/// What the budget of a request in trouble is made of.
pub(super) struct Ground<'a> {
    /// T0, T1, T2, T3; in order.
    pub times: [Timestamp; 4],
    /// End of the response before it.
    pub queue_end: Timestamp,
    /// Shortest round trip to the server, in ns.
    pub server_rtt: u64,
    /// When something lost was not repaired.
    pub loss: &'a Stretches,
    /// When the server's window was closed, and when the client's was.
    pub window: [&'a Stretches; 2],
}

impl Ground<'_> {
    /// ns by cause, in the order of [`Verdict`](crate::record::Verdict); they sum to T3 - T0.
    pub(super) fn budget(&self) -> [u64; 7] {
        let [to_server, to_client] = self.window;
        // Only what is being sent can be held up: by the server's window the request, by the client's earlier responses, and
        // this one once it has begun. Before that nobody knows whether the server had any of it.
        let none = Stretches::default();
        let windows = [to_server, to_client, &none, to_client];
        let (mut loss, mut window) = (0, 0);
        let mut rest = [0; 4];
        let stages = record::stages(self.times, self.queue_end);
        for (n, (from, to)) in stages.into_iter().enumerate() {
            let (lost, held) = self.taken(from, to, windows[n]);
            loss += lost;
            window += held;
            rest[n] = ns(from, to) - lost - held;
        }
        record::budget(rest, loss, window, self.server_rtt)
    }

    /// How much of `from..to` goes to loss, and how much of the rest to the window.
    fn taken(&self, from: Timestamp, to: Timestamp, window: &Stretches) -> (u64, u64) {
        let lost: Vec<_> = self.loss.within(from, to).collect();
        let mut loss = Stretches::default();
        lost.iter().for_each(|&(a, b)| loss.add(a, b));
        let mut either = Stretches::default();
        lost.into_iter()
            .chain(window.within(from, to))
            .for_each(|(a, b)| either.add(a, b));
        let length = |stretches: &Stretches| stretches.list.iter().map(|&(a, b)| ns(a, b)).sum();
        let (loss, either): (u64, u64) = (length(&loss), length(&either));
        (loss, either - loss)
    }
}

/// `from` to `to`, which is not before it.
fn ns(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).map_or(0, |span| span.ns())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretches(list: &[(i64, i64)]) -> Stretches {
        let mut stretches = Stretches::default();
        for &(a, b) in list {
            stretches.add(Timestamp(a), Timestamp(b));
        }
        stretches
    }

    fn budget(
        times: [i64; 4],
        queue_end: Option<i64>,
        server_rtt: u64,
        loss: &[(i64, i64)],
        window: [&[(i64, i64)]; 2],
    ) -> [u64; 7] {
        let [to_server, to_client] = window.map(stretches);
        Ground {
            times: times.map(Timestamp),
            queue_end: queue_end.map_or(Timestamp::MIN, Timestamp),
            server_rtt,
            loss: &stretches(loss),
            window: [&to_server, &to_client],
        }
        .budget()
    }

    #[test]
    fn without_trouble_it_is_client_network_server_transfer() {
        let plain = budget([0, 10, 100, 130], None, 20, &[], [&[], &[]]);
        assert_eq!(plain, [10, 0, 70, 20, 0, 0, 30]);
    }

    #[test]
    fn what_waits_behind_another_response_is_queued() {
        assert_eq!(
            budget([0, 10, 100, 130], Some(60), 20, &[], [&[], &[]]),
            [10, 50, 20, 20, 0, 0, 30]
        );
        assert_eq!(
            budget([0, 10, 100, 130], Some(5), 20, &[], [&[], &[]]),
            [10, 0, 70, 20, 0, 0, 30]
        );
    }

    #[test]
    fn loss_goes_before_window_goes_before_all_else() {
        assert_eq!(
            budget(
                [0, 10, 100, 130],
                None,
                20,
                &[(5, 40)],
                [&[(0, 8)], &[(30, 50), (120, 500)]]
            ),
            [0, 0, 40, 20, 35, 15, 20]
        );
    }

    #[test]
    fn before_the_response_begins_no_window_holds_it_up() {
        let closed = [(20, 90), (110, 115)];
        let alone = budget([0, 10, 100, 130], None, 20, &[], [&[], &closed]);
        assert_eq!(alone, [10, 0, 70, 20, 0, 5, 25]);
        // Until 60 an earlier response was.
        let queued = budget([0, 10, 100, 130], Some(60), 20, &[], [&[], &closed]);
        assert_eq!(queued, [10, 10, 20, 20, 0, 45, 25]);
    }

    #[test]
    fn the_window_of_the_side_that_receives_counts() {
        let held = budget([0, 10, 100, 130], None, 0, &[], [&[(20, 90)], &[(0, 9)]]);
        assert_eq!(held, [10, 0, 90, 0, 0, 0, 30]);
    }

    proptest! {
        #[test]
        fn it_sums_to_the_whole(
            mut times in prop::array::uniform4(0_i64..1000),
            queue_end in prop::option::of(0_i64..1000),
            server_rtt in 0_u64..500,
            loss in prop::collection::vec((0_i64..1000, 0_i64..1000), 0..100),
            up in prop::collection::vec((0_i64..1000, 0_i64..1000), 0..5),
            down in prop::collection::vec((0_i64..1000, 0_i64..1000), 0..5),
        ) {
            times.sort_unstable();
            let all = budget(times, queue_end, server_rtt, &loss, [&up, &down]);
            prop_assert_eq!(all.iter().sum::<u64>(), (times[3] - times[0]) as u64);
        }
    }
}
