//! What rollups add up to: one slice of time, one server, one operation, one host. Sums of counters and of histograms only, so that
//! the order in which rollups come does not matter. What no rollup knew stays unknown.

use crate::record::{ConnectionRollup, RequestRollup, Rollup, Verdict};
use crate::time::Span;
use crate::view::Histogram;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests that ended.
    pub requests: u64,
    /// Of these, answered to the end.
    pub answered: u64,
    /// Of these, with an error.
    pub errors: u64,
    /// Owed a response which never ended.
    pub unanswered: u64,
    /// Segments that were repeated while they ran.
    pub retransmits: u64,
    /// Payload of requests and responses, in bytes.
    pub bytes: u64,
    /// How long requests took together, in ns, where it is known.
    pub time_ns: u64,
    /// Where that time went, in ns, in the order of [`Verdict::ALL`]; of requests that have a time budget.
    pub budget_ns: [u64; Verdict::ALL.len()],
    /// How long answered requests took.
    pub latency: Histogram,
    /// Attempts to connect.
    pub attempts: u64,
    /// Of these, established.
    pub established: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of those that failed, refused.
    pub refused: u64,
    /// Of those that failed, without an answer.
    pub silent: u64,
    /// SYNs and SYN-ACKs that were repeated.
    pub syn_retransmits: u64,
    /// First SYN to the ACK that established it.
    pub connect: Histogram,
    /// Connections that ended.
    pub ended: u64,
    /// Of these, by a RST.
    pub resets: u64,
    /// Payload of connections in both directions, in bytes.
    pub connection_bytes: u64,
    /// Segments with payload, both ways; `None` where nobody saw packets.
    pub data_segments: Option<u64>,
    /// Segments of which nothing was new, of either end.
    pub repeated_segments: u64,
    /// Times that a receive window was closed; `None` where nobody saw packets.
    pub zero_windows: Option<u64>,
    /// Sum of the round trips that were measured, in ns.
    pub rtt_ns: u64,
    /// How many were measured.
    pub rtt_samples: u64,
    /// Attempts, connections and requests during which the capture itself lost something.
    pub capture_losses: u64,
}

impl Sum {
    /// Counts one rollup.
    pub fn add(&mut self, rollup: &Rollup) {
        self.capture_losses += rollup.capture_losses;
        if let Some(requests) = &rollup.requests {
            self.requests(requests);
        }
        if let Some(connections) = &rollup.connections {
            self.connections(connections);
        }
    }

    fn requests(&mut self, more: &RequestRollup) {
        self.requests += known(more.requests);
        self.answered += known(more.answered);
        self.errors += known(more.errors);
        self.unanswered += known(more.unanswered);
        self.retransmits += known(more.retransmits);
        let bytes = known(more.request_bytes).saturating_add(known(more.response_bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        self.time_ns = self.time_ns.saturating_add(ns(more.total_sum_us));
        let budget = [
            more.in_client_sum_us,
            more.in_queue_sum_us,
            more.in_server_sum_us,
            more.in_network_sum_us,
            more.in_loss_sum_us,
            more.in_window_sum_us,
            more.in_transfer_sum_us,
        ];
        for (sum, part) in self.budget_ns.iter_mut().zip(budget) {
            *sum = sum.saturating_add(ns(part));
        }
        count(&mut self.latency, &more.total_ns, &more.total_counts);
    }

    fn connections(&mut self, more: &ConnectionRollup) {
        self.attempts += known(more.attempts);
        self.established += known(more.established);
        self.failed += known(more.failed);
        self.refused += known(more.refused);
        self.silent += known(more.silent);
        self.syn_retransmits += known(more.syn_retransmits);
        count(&mut self.connect, &more.connect_ns, &more.connect_counts);
        self.ended += known(more.ended);
        self.resets += known(more.resets);
        let bytes = known(more.client_bytes).saturating_add(known(more.server_bytes));
        self.connection_bytes = self.connection_bytes.saturating_add(bytes);
        add(&mut self.data_segments, more.data_segments);
        self.repeated_segments += known(more.repeated_segments);
        add(&mut self.zero_windows, more.zero_windows);
        self.rtt_ns = self.rtt_ns.saturating_add(ns(more.rtt_sum_us));
        self.rtt_samples += known(more.rtt_samples);
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Sum) {
        let Sum {
            requests,
            answered,
            errors,
            unanswered,
            retransmits,
            bytes,
            time_ns,
            budget_ns,
            latency,
            attempts,
            established,
            failed,
            refused,
            silent,
            syn_retransmits,
            connect,
            ended,
            resets,
            connection_bytes,
            data_segments,
            repeated_segments,
            zero_windows,
            rtt_ns,
            rtt_samples,
            capture_losses,
        } = other;
        self.requests += requests;
        self.answered += answered;
        self.errors += errors;
        self.unanswered += unanswered;
        self.retransmits += retransmits;
        self.bytes = self.bytes.saturating_add(*bytes);
        self.time_ns = self.time_ns.saturating_add(*time_ns);
        for (sum, part) in self.budget_ns.iter_mut().zip(budget_ns) {
            *sum = sum.saturating_add(*part);
        }
        self.latency.merge(latency);
        self.attempts += attempts;
        self.established += established;
        self.failed += failed;
        self.refused += refused;
        self.silent += silent;
        self.syn_retransmits += syn_retransmits;
        self.connect.merge(connect);
        self.ended += ended;
        self.resets += resets;
        self.connection_bytes = self.connection_bytes.saturating_add(*connection_bytes);
        add(&mut self.data_segments, *data_segments);
        self.repeated_segments += repeated_segments;
        add(&mut self.zero_windows, *zero_windows);
        self.rtt_ns = self.rtt_ns.saturating_add(*rtt_ns);
        self.rtt_samples += rtt_samples;
        self.capture_losses += capture_losses;
    }

    /// What went wrong: errors, requests without an answer, attempts that failed.
    #[must_use]
    pub fn troubles(&self) -> u64 {
        self.errors + self.unanswered + self.failed
    }

    /// Mean round trip; `None` where none was measured.
    #[must_use]
    pub fn rtt(&self) -> Option<Span> {
        self.rtt_ns.checked_div(self.rtt_samples).map(Span::from_ns)
    }

    /// How much it matters to who looks: requests and attempts, what went wrong ten times, and each 100 ms that somebody waited.
    #[must_use]
    pub(super) fn weight(&self) -> u64 {
        let waits = self.time_ns / 100_000_000;
        (self.requests + self.attempts)
            .saturating_add(self.troubles().saturating_mul(10))
            .saturating_add(waits)
    }
}

fn known(count: Option<u64>) -> u64 {
    count.unwrap_or_default()
}

fn ns(span: Option<Span>) -> u64 {
    span.map_or(0, Span::ns)
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or_default() + more);
    }
}

fn count(histogram: &mut Histogram, durations: &[u64], counts: &[u64]) {
    for (&ns, &count) in durations.iter().zip(counts) {
        histogram.add_times(Span::from_ns(ns), count);
    }
}
