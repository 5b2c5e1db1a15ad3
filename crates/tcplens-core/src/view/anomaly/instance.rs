//! The models of one instance: which metric of a minute is read how, and in which order. Not the models: see `level`, `share`.

use super::alarm::Verdict;
use super::level::{Level, Value, What};
use super::sample::{Durations, FLOOR_NS, Sample};
use super::share::Share;
use crate::record::AnomalyMetric;

/// One metric of one minute, judged: as [`super::Judgement`], whose it is aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// What.
    pub metric: AnomalyMetric,
    /// What it was.
    pub observed: f64,
    /// What it would usually have been.
    pub expected: f64,
    /// How far it is on the bad side.
    pub score: f64,
    /// Whether something is wrong now.
    pub is_abnormal: bool,
    /// Too little history.
    pub is_learning: bool,
    /// Over how many minutes it was found.
    pub minutes: u32,
}

/// Of so few durations in two minutes a single one may be what is seen.
const FEW: f64 = 20.0;
/// Of connecting: a SYN that is lost costs a second, a thousand times what others take.
const FEW_CONNECTS: f64 = 400.0;

/// The metrics that are durations.
const DURATIONS: [AnomalyMetric; 6] = [
    AnomalyMetric::Total,
    AnomalyMetric::Process,
    AnomalyMetric::Upload,
    AnomalyMetric::Transfer,
    AnomalyMetric::Network,
    AnomalyMetric::Connect,
];
/// Those that are shares.
const SHARES: [AnomalyMetric; 4] = [
    AnomalyMetric::Errors,
    AnomalyMetric::Unanswered,
    AnomalyMetric::Failed,
    AnomalyMetric::Retransmits,
];

/// The models of one instance: one for each metric that it ever had.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    traffic: Option<Box<Level>>,
    durations: [Option<Box<Level>>; DURATIONS.len()],
    shares: [Option<Box<Share>>; SHARES.len()],
}

impl Instance {
    /// What a minute without anything is: no requests, if there ever were any.
    #[must_use]
    pub fn nothing(&self) -> Sample {
        Sample {
            requests: self.traffic.as_ref().map(|_| 0),
            ..Sample::default()
        }
    }

    /// Judges the minute number `minute` since 1970 and learns from it; minutes ascend. Calls `each` for every metric that the
    /// sample tells of, in order.
    pub fn judge(&mut self, minute: i64, sample: &Sample, each: &mut dyn FnMut(Reading)) {
        let mut load = 0.0;
        if let Some(requests) = sample.requests {
            let (reading, more) = self.traffic(minute, requests);
            load = more;
            each(reading);
        }
        for (metric, model) in DURATIONS.into_iter().zip(&mut self.durations) {
            if let Some(value) = value(metric, sample, load) {
                each(duration(
                    metric,
                    model.get_or_insert_default(),
                    minute,
                    value,
                ));
            }
        }
        for (metric, model) in SHARES.into_iter().zip(&mut self.shares) {
            let (hits, of) = share(metric, sample);
            if of == 0 {
                continue;
            }
            let model = model.get_or_insert_default();
            let is = model.judge(minute, hits, of);
            let (is_abnormal, minutes) = told(is.verdict);
            each(Reading {
                metric,
                observed: hits as f64 / of as f64,
                expected: is.expected,
                score: is.score,
                is_abnormal,
                is_learning: is.is_learning,
                minutes,
            });
        }
    }

    /// Also gives how much more there is than usual, as a logarithm.
    fn traffic(&mut self, minute: i64, requests: u64) -> (Reading, f64) {
        let count = requests as f64;
        let model = self.traffic.get_or_insert_default();
        let value = Value {
            ln: (count + 1.0).ln(),
            count: count + 1.0,
            variance: None,
            few: 0.0,
            load: 0.0,
        };
        let is = model.judge(What::Traffic, minute, value);
        let (is_abnormal, minutes) = told(is.verdict);
        let reading = Reading {
            metric: AnomalyMetric::Throughput,
            observed: count,
            expected: (is.expected_ln.exp() - 1.0).max(0.0),
            score: is.score,
            is_abnormal,
            is_learning: is.is_learning,
            minutes,
        };
        (reading, value.ln - is.expected_ln)
    }
}

fn duration(metric: AnomalyMetric, model: &mut Level, minute: i64, value: Value) -> Reading {
    let is = model.judge(What::Duration, minute, value);
    let (is_abnormal, minutes) = told(is.verdict);
    let us = |ln: f64| ((ln.exp() - FLOOR_NS) / 1000.0).max(0.0);
    Reading {
        metric,
        observed: us(value.ln),
        expected: us(is.expected_ln),
        score: is.score,
        is_abnormal,
        is_learning: is.is_learning,
        minutes,
    }
}

fn told(verdict: Verdict) -> (bool, u32) {
    match verdict {
        Verdict::Normal | Verdict::Over => (false, 1),
        Verdict::Abnormal(minutes) | Verdict::Accepted(minutes) => (true, minutes),
    }
}

fn value(metric: AnomalyMetric, sample: &Sample, load: f64) -> Option<Value> {
    let of_histogram = |durations: &Durations, few: f64| {
        Some(Value {
            ln: durations.ln_mean()?,
            count: durations.count as f64,
            variance: durations.ln_variance(),
            few,
            load,
        })
    };
    let of_sum = |ns: u64, count: u64| {
        (count > 0).then(|| Value {
            ln: (ns as f64 / count as f64 + FLOOR_NS).ln(),
            count: count as f64,
            variance: None,
            few: 0.0,
            load,
        })
    };
    match metric {
        AnomalyMetric::Total => of_histogram(&sample.total, FEW),
        AnomalyMetric::Process => of_histogram(&sample.process, FEW),
        AnomalyMetric::Upload => of_sum(sample.upload_ns, sample.answered),
        AnomalyMetric::Transfer => of_sum(sample.transfer_ns, sample.answered),
        AnomalyMetric::Network => of_sum(sample.network_ns, sample.budgets),
        AnomalyMetric::Connect => of_histogram(&sample.connect, FEW_CONNECTS),
        AnomalyMetric::Throughput
        | AnomalyMetric::Errors
        | AnomalyMetric::Unanswered
        | AnomalyMetric::Failed
        | AnomalyMetric::Retransmits => None,
    }
}

fn share(metric: AnomalyMetric, sample: &Sample) -> (u64, u64) {
    match metric {
        // An error counts that was cut off, too, and is an answer then.
        AnomalyMetric::Errors => (sample.errors, sample.answered.max(sample.errors)),
        AnomalyMetric::Unanswered => (sample.unanswered, sample.requests.unwrap_or(0)),
        AnomalyMetric::Failed => (sample.failed, sample.attempts),
        AnomalyMetric::Retransmits => (sample.repeated_segments, sample.data_segments),
        AnomalyMetric::Throughput
        | AnomalyMetric::Total
        | AnomalyMetric::Process
        | AnomalyMetric::Upload
        | AnomalyMetric::Transfer
        | AnomalyMetric::Network
        | AnomalyMetric::Connect => (0, 0),
    }
}
