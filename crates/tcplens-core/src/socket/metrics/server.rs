//! What was counted of the sockets of one server, or of all that have no row of their own: apart for the server's own sockets
//! and those of its clients, which both are here where both ends are.

use super::histogram::{DELIVERY, Histogram};
use super::sample::Sample;
use crate::view::metrics::Buckets;

/// Most reasons of ends that are told apart. They are words of the program, far fewer.
const REASONS: usize = 16;

/// A sum of differences that never falls. A value that was told too high and is corrected later (a FIN that came between the
/// state and the count) is made up for by what comes next, so that the sum is exact when all is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    value: u64,
    owed: u64,
}

impl Total {
    /// The sum.
    #[must_use]
    pub fn value(self) -> u64 {
        self.value
    }

    /// A counter went from `before` to `now`; nothing is known of it where `now` is absent, and it began at zero where only
    /// `before` is.
    pub(super) fn step(&mut self, before: Option<u64>, now: Option<u64>) {
        let Some(now) = now else { return };
        let before = before.unwrap_or(0);
        self.owed = self.owed.saturating_add(before.saturating_sub(now));
        let more = now.saturating_sub(before);
        let paid = more.min(self.owed);
        self.owed -= paid;
        self.value = self.value.saturating_add(more - paid);
    }

    /// The same of a counter of 32 bits, which begins anew after 4 billion.
    pub(super) fn step_u32(&mut self, before: Option<u32>, now: Option<u32>) {
        let Some(now) = now else { return };
        let more = now.wrapping_sub(before.unwrap_or(0));
        // What looks like two billion at once went back.
        if more < 1 << 31 || before.is_none() {
            self.step(None, Some(more.into()));
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ServerSockets {
    /// Those of its clients, and its own.
    sides: [Option<Box<SocketCounts>>; 2],
}

impl ServerSockets {
    /// What there is: whether these are the server's own sockets.
    pub fn sides(&self) -> impl Iterator<Item = (bool, &SocketCounts)> {
        let sides = [false, true].into_iter().zip(&self.sides);
        sides.filter_map(|(is_server, side)| Some((is_server, side.as_deref()?)))
    }

    pub(super) fn side_mut(&mut self, is_server: bool) -> &mut SocketCounts {
        self.sides[usize::from(is_server)].get_or_insert_default()
    }
}

/// What was counted of sockets that are alike.
#[derive(Clone, Debug)]
pub struct SocketCounts {
    /// Connections that opened since the beginning.
    pub opened: u64,
    closed: Vec<(&'static str, u64)>,
    /// Payload bytes sent, repeated ones included.
    pub sent_bytes: Total,
    /// Of these, repeated.
    pub repeated_bytes: Total,
    /// Payload bytes received in order.
    pub received_bytes: Total,
    /// Segments with payload sent, repeated ones included.
    pub data_segments: Total,
    /// Segments sent again, SYN and FIN included.
    pub retransmits: Total,
    /// Time with something to send or not acknowledged.
    pub busy_us: Total,
    /// Of it limited by the receiver's window.
    pub rwnd_limited_us: Total,
    /// Of it limited by the send buffer.
    pub sndbuf_limited_us: Total,
    /// Smoothed round trips of connections of which something was acknowledged since the look before.
    pub rtt: Buckets,
    /// Shortest round trips, of connections that ended.
    pub min_rtt: Buckets,
    /// Rates of delivery, as `rtt`, where the application did not limit it.
    pub delivery_rate: Histogram,
}

impl Default for SocketCounts {
    fn default() -> SocketCounts {
        SocketCounts {
            opened: 0,
            closed: Vec::new(),
            sent_bytes: Total::default(),
            repeated_bytes: Total::default(),
            received_bytes: Total::default(),
            data_segments: Total::default(),
            retransmits: Total::default(),
            busy_us: Total::default(),
            rwnd_limited_us: Total::default(),
            sndbuf_limited_us: Total::default(),
            rtt: Buckets::default(),
            min_rtt: Buckets::default(),
            delivery_rate: Histogram::new(&DELIVERY),
        }
    }
}

impl SocketCounts {
    /// Connections that ended, by reason, in the order of first sight.
    #[must_use]
    pub fn closed(&self) -> &[(&'static str, u64)] {
        &self.closed
    }

    pub(super) fn end(&mut self, reason: &'static str) {
        if let Some((_, count)) = self.closed.iter_mut().find(|(known, _)| *known == reason) {
            *count += 1;
        } else if self.closed.len() < REASONS {
            self.closed.push((reason, 1));
        }
    }

    pub(super) fn count(&mut self, before: &Sample, now: &Sample) {
        for (total, before, now) in [
            (&mut self.sent_bytes, before.sent_bytes, now.sent_bytes),
            (
                &mut self.repeated_bytes,
                before.repeated_bytes,
                now.repeated_bytes,
            ),
            (
                &mut self.received_bytes,
                before.received_bytes,
                now.received_bytes,
            ),
            (&mut self.busy_us, before.busy_us, now.busy_us),
            (
                &mut self.rwnd_limited_us,
                before.rwnd_limited_us,
                now.rwnd_limited_us,
            ),
            (
                &mut self.sndbuf_limited_us,
                before.sndbuf_limited_us,
                now.sndbuf_limited_us,
            ),
        ] {
            total.step(before, now);
        }
        self.retransmits
            .step_u32(before.retransmits, now.retransmits);
        self.data_segments
            .step_u32(before.data_segments, now.data_segments);
        // What nothing was acknowledged of has measured nothing new.
        if now.acked_bytes > before.acked_bytes || now.rtt_us != before.rtt_us {
            if let Some(rtt) = now.rtt() {
                self.rtt.add(rtt);
            }
            if let Some(rate) = now.delivery_rate.filter(|&rate| rate > 0) {
                self.delivery_rate.add(rate);
            }
        }
    }
}
