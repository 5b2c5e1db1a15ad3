//! The models of one instance: which metric of a minute is read how, and in which order. Not the models: see `level`, `share`.

use super::sample::Sample;
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

/// The models of one instance.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    has_requests: bool,
    metrics: [Simple; 11],
}

#[derive(Clone, Copy, Debug, Default)]
struct Simple {
    count: u32,
    level: f64,
    spread: f64,
    last: f64,
}

impl Simple {
    fn judge(&mut self, metric: AnomalyMetric, y: f64, shown: impl Fn(f64) -> f64) -> Reading {
        if self.count == 0 {
            self.level = y;
            self.spread = 0.5;
        }
        let sign = if metric == AnomalyMetric::Throughput {
            -1.0
        } else {
            1.0
        };
        let off = y - self.level;
        let score = sign * off / self.spread.max(0.01);
        let is_learning = self.count < 2880;
        let is_abnormal = !is_learning && score.min(self.last) > 5.0;
        self.last = score;
        let expected = self.level;
        if !is_abnormal {
            let gain = 1.0 / f64::from(self.count.min(10_000) + 1);
            self.level += gain * off.clamp(-3.0 * self.spread, 3.0 * self.spread);
            self.spread += gain * (1.25 * off.abs().min(3.0 * self.spread) - self.spread);
            self.count += 1;
        }
        Reading {
            metric,
            observed: shown(y),
            expected: shown(expected),
            score,
            is_abnormal,
            is_learning,
            minutes: if is_abnormal { 2 } else { 1 },
        }
    }
}

impl Instance {
    /// What a minute without anything is: no requests, if there ever were any.
    #[must_use]
    pub fn nothing(&self) -> Sample {
        Sample {
            requests: self.has_requests.then_some(0),
            ..Sample::default()
        }
    }

    /// Judges the minute number `minute` since 1970 and learns from it; minutes ascend. Calls `each` for every metric that the
    /// sample tells of, in order.
    pub fn judge(&mut self, _minute: i64, sample: &Sample, each: &mut dyn FnMut(Reading)) {
        self.has_requests |= sample.requests.is_some();
        for &metric in AnomalyMetric::ALL {
            let share = |hits: u64, of: u64| (of > 0).then(|| hits as f64 / of as f64);
            let mean = |ns: u64, of: u64| (of > 0).then(|| (ns as f64 / of as f64 + 1000.0).ln());
            let (y, is_log) = match metric {
                AnomalyMetric::Throughput => {
                    (sample.requests.map(|n| (n as f64 + 1000.0).ln()), true)
                }
                AnomalyMetric::Total => (sample.total.ln_mean(), true),
                AnomalyMetric::Process => (sample.process.ln_mean(), true),
                AnomalyMetric::Upload => (mean(sample.upload_ns, sample.answered), true),
                AnomalyMetric::Transfer => (mean(sample.transfer_ns, sample.answered), true),
                AnomalyMetric::Network => (mean(sample.network_ns, sample.budgets), true),
                AnomalyMetric::Connect => (sample.connect.ln_mean(), true),
                AnomalyMetric::Errors => (share(sample.errors, sample.answered), false),
                AnomalyMetric::Unanswered => {
                    let requests = sample.requests.unwrap_or(0);
                    (share(sample.unanswered, requests), false)
                }
                AnomalyMetric::Failed => (share(sample.failed, sample.attempts), false),
                AnomalyMetric::Retransmits => {
                    (share(sample.repeated_segments, sample.data_segments), false)
                }
            };
            let Some(y) = y else { continue };
            let model = &mut self.metrics[metric as usize];
            let unit = if metric == AnomalyMetric::Throughput {
                1.0
            } else {
                1000.0
            };
            each(model.judge(metric, y, |y| {
                if is_log { (y.exp() - 1000.0) / unit } else { y }
            }));
        }
    }
}
