//! TCP-RT's statistics, every so often by the clock of the observation.

use tcplens_core::record::Request;
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::port_stats::PortStats;

use crate::commands::nanoseconds;

/// Counts, and knows when it is time for lines.
#[derive(Debug)]
pub(crate) struct IntervalStats {
    stats: PortStats,
    interval: i64,
    /// When the interval ends; `None` before the first one.
    end: Option<Timestamp>,
}

impl IntervalStats {
    /// Of ports of this host and of others.
    pub(crate) fn new(
        local: Vec<(u16, u16)>,
        peer: Vec<(u16, u16)>,
        interval: Span,
    ) -> IntervalStats {
        IntervalStats {
            stats: PortStats::new(local, peer),
            interval: nanoseconds(interval).max(1),
            end: None,
        }
    }

    /// Other ports from here on.
    pub(crate) fn set_ports(&mut self, local: Vec<(u16, u16)>, peer: Vec<(u16, u16)>) {
        self.stats.set_ports(local, peer);
    }

    /// Counts a request.
    pub(crate) fn request(&mut self, request: &Request<'_>) {
        self.stats.request(request);
    }

    /// Time goes on. Lines, if an interval is over; of those in which nothing happened there are none.
    pub(crate) fn clock(&mut self, at: Timestamp) -> Option<String> {
        let end = *self.end.get_or_insert(at.plus(self.interval));
        if at < end {
            return None;
        }
        let more = at.0.saturating_sub(end.0) / self.interval;
        self.end = Some(end.plus(more.saturating_add(1).saturating_mul(self.interval)));
        let mut lines = String::new();
        self.stats.lines(end, &mut lines);
        Some(lines)
    }

    /// Lines of the interval that has begun, at the end of it all.
    pub(crate) fn finish(&mut self) -> String {
        let mut lines = String::new();
        if let Some(end) = self.end {
            self.stats.lines(end, &mut lines);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interval_ends_once_however_far_time_goes() {
        let mut stats = IntervalStats::new(vec![(80, 80)], Vec::new(), Span::from_ns(10));
        let mut at = |ns| stats.clock(Timestamp(ns));
        assert_eq!(at(5), None);
        assert_eq!(at(14), None);
        assert_eq!(at(15).as_deref(), Some("0 all 80 0 0 0 0 0 0 0 0 0\n"));
        assert_eq!(at(24), None);
        // Four intervals were silent.
        assert!(at(64).is_some());
        assert_eq!(at(64), None);
        assert_eq!(at(65).map(|lines| lines.lines().count()), Some(1));
    }
}
