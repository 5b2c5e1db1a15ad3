//! The methods that are compared. All but the last score a value against its history; then the same rule makes alarms of
//! scores for each of them: both of two minutes beyond a threshold, and by as much as matters to anybody. So what is compared
//! is what they think usual.

use tcplens_core::view::anomaly::{AnomalyMetric, Instance, Sample};

/// Metrics.
pub(crate) const METRICS: usize = AnomalyMetric::ALL.len();

/// One value of a minute, read as the methods read it.
#[derive(Clone, Copy)]
struct Value {
    /// Logarithm of a duration or of a number of requests; or a share.
    value: f64,
    /// No usual distance is smaller: what is rounded, or what chance makes of as few.
    least: f64,
    is_share: bool,
}

fn values(sample: &Sample) -> [Option<Value>; METRICS] {
    let ln = |ns: u64, of: u64| (of > 0).then(|| (ns as f64 / of as f64 + 1000.0).ln());
    let requests = sample.requests.unwrap_or(0);
    let value = |value: Option<f64>| {
        value.map(|value| Value {
            value,
            least: 0.008,
            is_share: false,
        })
    };
    let share = |hits: u64, of: u64| {
        (of > 0).then(|| {
            let value = hits as f64 / of as f64;
            Value {
                value,
                // One hit more or less is nothing, neither is what Poisson's distribution makes of the hits of this minute.
                least: (hits as f64).sqrt().max(1.0) / of as f64,
                is_share: true,
            }
        })
    };
    [
        sample.requests.map(|n| Value {
            value: (n as f64 + 1.0).ln(),
            least: (n as f64 + 1.0).sqrt().recip(),
            is_share: false,
        }),
        value(sample.total.ln_mean()),
        value(sample.process.ln_mean()),
        value(ln(sample.upload_ns, sample.answered)),
        value(ln(sample.transfer_ns, sample.answered)),
        value(ln(sample.network_ns, sample.budgets)),
        value(sample.connect.ln_mean()),
        share(sample.errors, sample.answered),
        share(sample.unanswered, requests),
        share(sample.failed, sample.attempts),
        share(sample.repeated_segments, sample.data_segments),
    ]
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// The paper's: median and half of the interquartile range of a week; the probability by Cauchy's distribution.
    Cauchy,
    /// Median and median absolute deviation of a week; the probability by the normal distribution.
    RobustZ,
    /// Mean of this quarter of an hour of the day and of the hour of the week; the rest as [`Method::RobustZ`].
    Seasonal,
    /// As that, but the rest by Cauchy's distribution.
    SeasonalCauchy,
    /// What tcplens does.
    Chosen,
}

impl Method {
    pub(crate) const ALL: [Method; 5] = [
        Method::Cauchy,
        Method::RobustZ,
        Method::Seasonal,
        Method::SeasonalCauchy,
        Method::Chosen,
    ];

    /// What is tried of each: minus the logarithm (of base 10) of the probability of one minute.
    pub(crate) fn thresholds(self) -> &'static [f64] {
        match self {
            Method::Cauchy | Method::SeasonalCauchy => &[1.0, 1.25, 1.5, 1.75, 2.0, 2.5],
            Method::RobustZ | Method::Seasonal => &[4.0, 6.0, 9.0, 14.0, 22.0, 40.0],
            Method::Chosen => &[0.0],
        }
    }

    fn score(self, z: f64) -> f64 {
        match self {
            // Beyond the half that is on the good side; of Cauchy's the probability is atan(1/z) / pi.
            Method::Cauchy | Method::SeasonalCauchy if z > 0.0 => {
                -(z.recip().atan() / std::f64::consts::PI).log10()
            }
            // The normal distribution's tail, by its first term.
            Method::RobustZ | Method::Seasonal if z > 1.0 => {
                let z = z / 1.4826;
                (z * z / 2.0 + (z * 2.5066).ln()) / std::f64::consts::LN_10
            }
            _ => 0.0,
        }
    }

    fn is_seasonal(self) -> bool {
        matches!(self, Method::Seasonal | Method::SeasonalCauchy)
    }
}

/// A method at work on one instance.
pub(crate) enum Detector {
    Scored(Box<[History; METRICS]>, Method),
    Chosen(Box<Instance>),
}

impl Detector {
    pub(crate) fn new(method: Method) -> Detector {
        match method {
            Method::Chosen => Detector::Chosen(Box::default()),
            _ => Detector::Scored(
                Box::new(std::array::from_fn(|_| History::default())),
                method,
            ),
        }
    }

    /// Which metrics are abnormal, as bits, for each threshold.
    pub(crate) fn judge(&mut self, minute: i64, sample: &Sample, abnormal: &mut [u32]) {
        abnormal.fill(0);
        match self {
            Detector::Chosen(instance) => instance.judge(minute, sample, &mut |reading| {
                abnormal[0] |= u32::from(reading.is_abnormal) << reading.metric as u32;
            }),
            Detector::Scored(histories, method) => {
                for (i, value) in values(sample).into_iter().enumerate() {
                    let Some(value) = value else { continue };
                    let score = histories[i].score(*method, minute, value, i == 0);
                    for (bits, &threshold) in abnormal.iter_mut().zip(method.thresholds()) {
                        *bits |= u32::from(score > threshold) << i;
                    }
                }
            }
        }
    }
}

/// A week of one metric, one minute of 20.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    first: Option<i64>,
    kept: Vec<f32>,
    next: usize,
    seen: u32,
    middle: f64,
    scale: f64,
    last: f64,
    /// By quarters of the day and hours of the week: mean and count.
    day: Vec<(f32, f32)>,
    week: Vec<(f32, f32)>,
}

const KEPT: usize = 504;

impl History {
    fn score(&mut self, method: Method, minute: i64, is: Value, is_traffic: bool) -> f64 {
        let first = *self.first.get_or_insert(minute);
        let season = if method.is_seasonal() {
            self.season(minute)
        } else {
            0.0
        };
        let rest = is.value - season;
        let known = minute - first >= if is_traffic { 8 } else { 2 } * 1440;
        let off = rest - self.middle;
        let bad = if is_traffic { -off } else { off };
        let matters = match (is.is_share, is_traffic) {
            (true, _) => off > 0.005 && is.value > 2.0 * (self.middle + season),
            (_, true) => bad > 0.405,
            _ if minute - first < 8 * 1440 => bad > 0.693,
            _ => bad > 0.223,
        };
        let score = method.score(bad / self.scale.max(is.least));
        let pair = score.min(self.last);
        self.last = score;
        if method.is_seasonal() {
            self.learn(minute, rest - self.middle);
        }
        self.keep(rest);
        if known && matters { pair } else { 0.0 }
    }

    fn keep(&mut self, rest: f64) {
        self.seen += 1;
        if self.seen % 20 == 1 || self.seen < 60 {
            if self.kept.len() < KEPT {
                self.kept.push(rest as f32);
            } else {
                self.kept[self.next] = rest as f32;
                self.next = (self.next + 1) % KEPT;
            }
        }
        if self.seen.is_multiple_of(360) || self.seen == 30 {
            let mut sorted = self.kept.clone();
            sorted.sort_unstable_by(f32::total_cmp);
            let at = |share: f64| f64::from(sorted[(sorted.len() as f64 * share) as usize]);
            self.middle = at(0.5);
            self.scale = (at(0.75) - at(0.25)) / 2.0;
        }
    }

    fn season(&mut self, minute: i64) -> f64 {
        self.day.resize(96, (0.0, 0.0));
        self.week.resize(168, (0.0, 0.0));
        let (day, week) = slots(minute);
        f64::from(self.day[day].0 + self.week[week].0)
    }

    fn learn(&mut self, minute: i64, off: f64) {
        let (day, week) = slots(minute);
        let off = off as f32;
        let slot = &mut self.day[day];
        slot.1 = (slot.1 + 1.0).min(210.0);
        slot.0 += off / (slot.1 + 3.0);
        let slot = &mut self.week[week];
        slot.1 = (slot.1 + 1.0).min(240.0);
        slot.0 += off / (slot.1 + 60.0);
    }
}

fn slots(minute: i64) -> (usize, usize) {
    (
        (minute.rem_euclid(1440) / 15) as usize,
        (minute / 60).rem_euclid(168) as usize,
    )
}
