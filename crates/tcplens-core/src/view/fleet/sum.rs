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
    /// Answered with an error, be it to the end or not.
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
    /// Of these, those among `data_segments`: what the kernel counted has nothing to be a share of.
    pub data_repeats: u64,
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
    /// One rollup.
    #[must_use]
    pub fn of(rollup: &Rollup) -> Sum {
        let mut sum = Sum {
            capture_losses: rollup.capture_losses,
            ..Sum::default()
        };
        if let Some(requests) = &rollup.requests {
            sum.requests(requests);
        }
        if let Some(connections) = &rollup.connections {
            sum.connections(connections);
        }
        sum
    }

    fn requests(&mut self, of: &RequestRollup) {
        self.requests = known(of.requests);
        self.answered = known(of.answered);
        self.errors = known(of.errors);
        self.unanswered = known(of.unanswered);
        self.retransmits = known(of.retransmits);
        self.bytes = known(of.request_bytes).saturating_add(known(of.response_bytes));
        self.time_ns = ns(of.total_sum_us);
        self.budget_ns = [
            of.in_client_sum_us,
            of.in_queue_sum_us,
            of.in_server_sum_us,
            of.in_network_sum_us,
            of.in_loss_sum_us,
            of.in_window_sum_us,
            of.in_transfer_sum_us,
        ]
        .map(ns);
        self.latency = Histogram::from_counts(&of.total_ns, &of.total_counts);
    }

    fn connections(&mut self, of: &ConnectionRollup) {
        self.attempts = known(of.attempts);
        self.established = known(of.established);
        self.failed = known(of.failed);
        self.refused = known(of.refused);
        self.silent = known(of.silent);
        self.syn_retransmits = known(of.syn_retransmits);
        self.connect = Histogram::from_counts(&of.connect_ns, &of.connect_counts);
        self.ended = known(of.ended);
        self.resets = known(of.resets);
        self.connection_bytes = known(of.client_bytes).saturating_add(known(of.server_bytes));
        self.data_segments = of.data_segments;
        self.repeated_segments = known(of.repeated_segments);
        self.data_repeats = match of.data_segments {
            Some(_) => self.repeated_segments,
            None => 0,
        };
        self.zero_windows = of.zero_windows;
        self.rtt_ns = ns(of.rtt_sum_us);
        self.rtt_samples = known(of.rtt_samples);
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
            data_repeats,
            zero_windows,
            rtt_ns,
            rtt_samples,
            capture_losses,
        } = other;
        let counters = [
            (&mut self.requests, requests),
            (&mut self.answered, answered),
            (&mut self.errors, errors),
            (&mut self.unanswered, unanswered),
            (&mut self.retransmits, retransmits),
            (&mut self.bytes, bytes),
            (&mut self.time_ns, time_ns),
            (&mut self.attempts, attempts),
            (&mut self.established, established),
            (&mut self.failed, failed),
            (&mut self.refused, refused),
            (&mut self.silent, silent),
            (&mut self.syn_retransmits, syn_retransmits),
            (&mut self.ended, ended),
            (&mut self.resets, resets),
            (&mut self.connection_bytes, connection_bytes),
            (&mut self.repeated_segments, repeated_segments),
            (&mut self.data_repeats, data_repeats),
            (&mut self.rtt_ns, rtt_ns),
            (&mut self.rtt_samples, rtt_samples),
            (&mut self.capture_losses, capture_losses),
        ];
        // What a file says may be anything.
        for (sum, more) in counters {
            *sum = sum.saturating_add(*more);
        }
        for (sum, part) in self.budget_ns.iter_mut().zip(budget_ns) {
            *sum = sum.saturating_add(*part);
        }
        self.latency.merge(latency);
        self.connect.merge(connect);
        add(&mut self.data_segments, *data_segments);
        add(&mut self.zero_windows, *zero_windows);
    }

    /// What went wrong: errors, requests without an answer, attempts that failed.
    #[must_use]
    pub fn troubles(&self) -> u64 {
        let requests = self.errors.saturating_add(self.unanswered);
        requests.saturating_add(self.failed)
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
        (self.requests.saturating_add(self.attempts))
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
        *sum = Some(sum.unwrap_or_default().saturating_add(more));
    }
}
