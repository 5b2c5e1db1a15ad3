//! A minute of one instance as sums: what of a rollup the models read. Sums of integers, so that the order in which rollups
//! come makes no difference. Not a model: see `instance`.

use crate::record::{ConnectionRollup, RequestRollup, Rollup};
use crate::time::Span;

/// Units of `ln_sum` in one.
const LN_UNITS: f64 = 1_048_576.0;
/// Added to every duration before its logarithm is taken: below a microsecond differences say nothing of a network.
pub(super) const FLOOR_NS: f64 = 1000.0;

/// Durations as the sums of their logarithms: what is left of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Sum of the natural logarithms of the durations in ns (each and a microsecond), in 2^-20.
    ln_sum: i64,
    /// Sum of the squares of these logarithms, in 2^-20.
    ln_squares: i64,
}

impl Durations {
    /// Counts `count` durations of `ns` nanoseconds.
    pub fn add(&mut self, ns: f64, count: u64) {
        let ln = (ns + FLOOR_NS).ln();
        self.add_ln(ln * count as f64, ln * ln * count as f64, count);
    }

    /// Counts `count` durations of which the sum of logarithms and the sum of their squares are known.
    pub fn add_ln(&mut self, ln_sum: f64, ln_squares: f64, count: u64) {
        self.count += count;
        // A conversion saturates; 2^43 durations of a minute do not fill it.
        let units = |sum: f64| (sum * LN_UNITS).round() as i64;
        self.ln_sum = self.ln_sum.saturating_add(units(ln_sum));
        self.ln_squares = self.ln_squares.saturating_add(units(ln_squares));
    }

    /// Counts what `other` counted.
    pub fn merge(&mut self, other: &Durations) {
        self.count += other.count;
        self.ln_sum = self.ln_sum.saturating_add(other.ln_sum);
        self.ln_squares = self.ln_squares.saturating_add(other.ln_squares);
    }

    /// The mean of the logarithms; `None` without durations.
    #[must_use]
    pub fn ln_mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.ln_sum as f64 / LN_UNITS / self.count as f64)
    }

    /// The variance of the logarithms; `None` of fewer than 5.
    #[must_use]
    pub fn ln_variance(&self) -> Option<f64> {
        if self.count < 5 {
            return None;
        }
        let count = self.count as f64;
        let mean = self.ln_sum as f64 / LN_UNITS / count;
        Some((self.ln_squares as f64 / LN_UNITS / count - mean * mean).max(0.0))
    }

    /// In the order of the buckets, which is that of the rollup: rounded once.
    fn histogram(&mut self, ns: &[u64], counts: &[u64]) {
        let mut count = 0;
        let mut sums = [0.0; 2];
        for (&ns, &of_bucket) in ns.iter().zip(counts) {
            let ln = (ns as f64 + FLOOR_NS).ln();
            let times = of_bucket as f64 * ln;
            count += of_bucket;
            sums[0] += times;
            sums[1] += times * ln;
        }
        self.add_ln(sums[0], sums[1], count);
    }
}

/// A minute of one instance, from whatever rollups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Requests; absent where no rollup tells of requests.
    pub requests: Option<u64>,
    /// Of these, answered to the end.
    pub answered: u64,
    /// Answered with an error, be it to the end or not.
    pub errors: u64,
    /// Never answered whole.
    pub unanswered: u64,
    /// `total_us` of answered requests.
    pub total: Durations,
    /// `process_us` of answered requests.
    pub process: Durations,
    /// Sum of `upload_us`, in ns.
    pub upload_ns: u64,
    /// Sum of `transfer_us`, in ns.
    pub transfer_ns: u64,
    /// Requests with a time budget.
    pub budgets: u64,
    /// Of these the sum of the time on the path and of what losses took, in ns.
    pub network_ns: u64,
    /// Attempts to connect.
    pub attempts: u64,
    /// Of these, failed.
    pub failed: u64,
    /// `handshake_us` of established attempts.
    pub connect: Durations,
    /// Segments with payload.
    pub data_segments: u64,
    /// Of these, repeated.
    pub repeated_segments: u64,
}

impl Sample {
    /// Adds what a rollup counted, requests and connections alike.
    pub fn add(&mut self, rollup: &Rollup) {
        if let Some(requests) = &rollup.requests {
            self.requests(requests);
        }
        if let Some(connections) = &rollup.connections {
            self.connections(connections);
        }
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Sample) {
        if let Some(requests) = other.requests {
            self.requests = Some(self.requests.unwrap_or(0) + requests);
        }
        self.answered += other.answered;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        self.total.merge(&other.total);
        self.process.merge(&other.process);
        self.upload_ns = self.upload_ns.saturating_add(other.upload_ns);
        self.transfer_ns = self.transfer_ns.saturating_add(other.transfer_ns);
        self.budgets += other.budgets;
        self.network_ns = self.network_ns.saturating_add(other.network_ns);
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.connect.merge(&other.connect);
        self.data_segments += other.data_segments;
        self.repeated_segments += other.repeated_segments;
    }

    fn requests(&mut self, rollup: &RequestRollup) {
        if let Some(requests) = rollup.requests {
            self.requests = Some(self.requests.unwrap_or(0) + requests);
        }
        self.answered += rollup.answered.unwrap_or(0);
        self.errors += rollup.errors.unwrap_or(0);
        self.unanswered += rollup.unanswered.unwrap_or(0);
        self.upload_ns = self.upload_ns.saturating_add(ns(rollup.upload_sum_us));
        self.transfer_ns = self.transfer_ns.saturating_add(ns(rollup.transfer_sum_us));
        self.budgets += rollup.budgets.unwrap_or(0);
        let path = ns(rollup.in_network_sum_us).saturating_add(ns(rollup.in_loss_sum_us));
        self.network_ns = self.network_ns.saturating_add(path);
        self.total.histogram(&rollup.total_ns, &rollup.total_counts);
        let (durations, counts) = (&rollup.process_ns, &rollup.process_counts);
        self.process.histogram(durations, counts);
    }

    fn connections(&mut self, rollup: &ConnectionRollup) {
        self.attempts += rollup.attempts.unwrap_or(0);
        self.failed += rollup.failed.unwrap_or(0);
        let (durations, counts) = (&rollup.connect_ns, &rollup.connect_counts);
        self.connect.histogram(durations, counts);
        if let (Some(data), Some(repeated)) = (rollup.data_segments, rollup.repeated_segments) {
            self.data_segments += data;
            self.repeated_segments += repeated;
        }
    }
}

fn ns(span: Option<Span>) -> u64 {
    span.map_or(0, Span::ns)
}
