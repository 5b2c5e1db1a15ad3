//! The model of a duration, or of how many requests there are: a level, a season, what the load explains, and what is left
//! over, in logarithms. Not of shares: see `share`.

use super::alarm::{ACCEPTED, Alarm, CLIP, Evidence, KEEP, Sort, Verdict, WINDOWS};
use super::season::{Lesson, Season};
use super::spread::Spread;

/// The longest window.
const SLOW: u32 = WINDOWS[2];
/// Samples over which the level is averaged: two weeks of minutes. Slower than what creeps up, so that this is seen.
const MEMORY: f64 = 20_160.0;
/// No distance is smaller: what buckets of histograms round.
const LEAST: f64 = 0.008;
/// By how much, in logarithms, it has to be off before it matters, for each window: a quarter more.
const MATTERS: [f64; 3] = [0.223, 0.182, 0.262];
/// The same in the first week, when not every day of the week is known: three times as much.
const MATTERS_AT_FIRST: f64 = 1.099;
/// Durations that there must be in two minutes for these to tell something.
const LEAST_PAIR: f64 = 10.0;
/// Of traffic: a third less.
const TRAFFIC_MATTERS: f64 = 0.405;
/// Minutes since the first one until anything is judged: two days; of traffic a week and a day, for weekends are known then;
/// and samples that there must be. Likewise for the longest window.
const WARM: i64 = 1440;
/// Weekends are no surprise by then.
const WARM_OF_TRAFFIC: i64 = 7 * 1440;
const KNOWN: i64 = 3 * 1440;
const KNOWN_WELL: i64 = 8 * 1440;
const LEAST_SAMPLES: f64 = 500.0;

/// One value of one minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    /// The logarithm.
    pub ln: f64,
    /// Of how many requests.
    pub count: f64,
    /// The variance of single ones, where it is known.
    pub variance: Option<f64>,
    /// Of fewer than this in two minutes, one or two may be what is seen.
    pub few: f64,
    /// The logarithm of how much more traffic there is than usual.
    pub load: f64,
}

/// What the model says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdicts {
    pub expected_ln: f64,
    pub score: f64,
    pub verdict: Verdict,
    pub is_learning: bool,
}

/// What is learnt of a minute.
struct Minute {
    /// 1 where more is bad, -1 where less is.
    bad: f64,
    /// How far it is from what was usual before this day, as a logarithm.
    slow_off: f64,
    /// The usual distance.
    scale: f64,
    /// The logarithm of the count, by which the spread is known.
    x: f64,
    /// The logarithm of the traffic over the usual one.
    load: f64,
}

/// What is modelled: which side is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Duration,
    Traffic,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    first: i64,
    samples: f64,
    level: f64,
    /// How much a duration grows with the load: sums of products.
    load_square: f32,
    load_product: f32,
    variance: f32,
    spread: Spread,
    season: Season,
    /// Means of scores and of distances over the longer windows; of distances as they are.
    scores: [f32; 2],
    offs: [f32; 2],
    shift: f32,
    /// By how much the last hours were off: what changes faster is seen at once, what changes slowly in the longest window.
    today: f64,
    last_count: f32,
    /// By how much the level was moved when something that lasted was taken for normal: it may end.
    accepted: f64,
    /// Minutes in which the longest window was better than usual.
    better: u16,
    alarm: Alarm,
}

impl Level {
    pub(super) fn judge(&mut self, what: What, minute: i64, value: Value) -> Verdicts {
        if self.samples == 0.0 {
            self.first = minute;
            self.level = value.ln;
        }
        let bad = if what == What::Traffic { -1.0 } else { 1.0 };
        let load = value.load.clamp(-1.5, 1.5);
        let slope = f64::from(self.load_product / (self.load_square + 1.0)).clamp(0.0, 1.0);
        let expected = self.level + self.season.at(minute) + slope * load;
        let slow_off = value.ln - expected;
        let off = slow_off - self.today;

        let count = match what {
            What::Duration => value.count,
            What::Traffic => expected.exp().max(1.0),
        };
        let x = count.max(1.0).ln();
        let scale = self.scale(what, x, count, load);
        let score = bad
            * match what {
                What::Duration => off / scale,
                What::Traffic => traffic_score(value.count, count, off, scale),
            };
        let slow_score = bad * slow_off / scale;
        // A mean may be that of a single one.
        let clip = if value.variance.is_some() {
            CLIP
        } else {
            CLIP / 2.0
        };
        for (i, (score, off)) in [(score, off), (slow_score, slow_off)]
            .into_iter()
            .enumerate()
        {
            let gain = (1.0 - KEEP[i]) as f32;
            let clipped = off.clamp(-clip * scale, clip * scale);
            self.scores[i] += gain * (score.clamp(-clip, clip) as f32 - self.scores[i]);
            self.offs[i] += gain * (clipped as f32 - self.offs[i]);
        }
        self.shift += (1.0 - KEEP[1]) as f32 * (slow_off as f32 - self.shift);

        let age = minute - self.first;
        let enough = self.samples >= LEAST_SAMPLES;
        let is_mean = value.variance.is_none();
        let is_known = enough
            && age
                >= if what == What::Traffic || is_mean {
                    KNOWN_WELL
                } else {
                    KNOWN
                };
        let is_known_well = enough && age >= KNOWN_WELL;
        let offs = [off, f64::from(self.offs[0]), f64::from(self.offs[1])];
        let pair = value.count + f64::from(self.last_count);
        self.last_count = value.count as f32;
        let is_enough = [what == What::Traffic || pair >= LEAST_PAIR, true, true];
        let matters = [0, 1, 2].map(|i| {
            is_enough[i]
                && bad * offs[i]
                    > match what {
                        What::Traffic => TRAFFIC_MATTERS,
                        What::Duration if is_known_well => MATTERS[i],
                        What::Duration => MATTERS_AT_FIRST,
                    }
        });
        // Variance of a decayed mean of independent scores, inverted.
        let longer =
            [0, 1].map(|i| f64::from(self.scores[i]) * ((1.0 + KEEP[i]) / (1.0 - KEEP[i])).sqrt());
        let verdict = self.alarm.judge(&Evidence {
            score,
            slow_score,
            longer,
            matters,
            sort: match what {
                What::Traffic => Sort::Count,
                What::Duration if value.variance.is_none() => Sort::Mean,
                What::Duration if pair < value.few => Sort::Few,
                What::Duration => Sort::Durations,
            },
            unit: scale,
            is_warm: enough
                && age
                    >= if what == What::Traffic {
                        WARM_OF_TRAFFIC
                    } else {
                        WARM
                    },
            is_known: [is_known, is_known, is_known_well],
        });
        let today = self.today;
        let minute = Minute {
            bad,
            slow_off,
            scale,
            x,
            load,
        };
        self.learn(verdict, minute, what == What::Duration && is_known_well);
        if let (Verdict::Normal, Some(variance)) = (verdict, value.variance) {
            let gain = 1.0 / (self.samples.min(1440.0) + 1.0) as f32;
            self.variance += gain * (variance as f32 - self.variance);
        }
        Verdicts {
            // What creeps up is told against what was usual before.
            expected_ln: match verdict {
                Verdict::Abnormal(SLOW) | Verdict::Accepted(SLOW) => expected,
                _ => expected + today,
            },
            score,
            verdict,
            is_learning: !is_known,
        }
    }

    fn scale(&self, what: What, x: f64, count: f64, load: f64) -> f64 {
        let least = match what {
            What::Duration => (f64::from(self.variance) / count.max(1.0))
                .sqrt()
                .max(LEAST),
            What::Traffic => count.recip().sqrt(),
        };
        let usual = self.spread.scale(x, [-0.5, 0.0]).unwrap_or(0.5).max(least);
        // What more load than ever does to latency is not known: five times as much may well make half more.
        match what {
            What::Duration => usual.hypot(0.35 * (load - 0.4).max(0.0)),
            What::Traffic => usual,
        }
    }

    fn learn(&mut self, verdict: Verdict, minute: Minute, is_known_well: bool) {
        let Minute {
            bad,
            slow_off,
            scale,
            x,
            load,
        } = minute;
        let off = slow_off - self.today;
        let weekly = self.season.weekly();
        let (week, large) = if off.abs() <= 3.0 * scale {
            (Lesson::Normal, off)
        } else if off * bad > 0.0 {
            (Lesson::Large, slow_off.clamp(-2.0, 2.0))
        } else if weekly * bad > 0.0 {
            // What was learnt so is gone; but it is not to be learnt that it is better than usual.
            (
                Lesson::Large,
                self.today - bad * (off.abs().min(weekly.abs())),
            )
        } else {
            (Lesson::Normal, off)
        };
        match verdict {
            Verdict::Abnormal(_) => {
                self.season.learn(large, self.today, Lesson::None, week);
                return;
            }
            Verdict::Accepted(_) => {
                self.accepted += f64::from(self.shift);
                self.move_level(f64::from(self.shift));
                self.spread.doubt();
                return;
            }
            Verdict::Over => self.begin_windows(),
            Verdict::Normal => {}
        }
        // What was taken for normal is over.
        if self.accepted * bad > 0.0 && f64::from(self.shift) * bad < -0.5 * self.accepted * bad {
            self.move_level(-self.accepted);
            self.accepted = 0.0;
            return;
        }
        // So is what has been better for as long as what is worse takes to be normal.
        let is_creeping = is_known_well && f64::from(self.shift.abs()) > MATTERS[2];
        let is_better = is_creeping && f64::from(self.shift) * bad < 0.0;
        self.better = if is_better { self.better + 1 } else { 0 };
        if self.better >= ACCEPTED {
            self.better = 0;
            self.move_level(f64::from(self.shift));
            return;
        }
        let bound = if self.season.is_young() {
            2.0
        } else {
            3.0 * scale
        };
        let clipped = self.today + off.clamp(-bound, bound);
        self.samples += 1.0;
        self.level += clipped / self.samples.min(MEMORY);
        let day = if is_creeping {
            Lesson::Creeping
        } else {
            Lesson::Normal
        };
        self.season.learn(clipped, self.today, day, Lesson::None);
        let of_week = if week == Lesson::Large {
            large
        } else {
            clipped
        };
        self.season.learn(of_week, self.today, Lesson::None, week);
        self.spread.learn(x, off, LEAST);
        let clipped = off.clamp(-3.0 * scale, 3.0 * scale);
        self.today += (1.0 - KEEP[1]) * clipped;

        let keep = (1.0 - 1.0 / MEMORY) as f32;
        let before = f64::from(self.load_product / (self.load_square + 1.0)).clamp(0.0, 1.0);
        let product = (clipped + before * load) * load;
        self.load_square = self.load_square * keep + (load * load) as f32;
        self.load_product = self.load_product * keep + product as f32;
    }

    fn move_level(&mut self, by: f64) {
        self.level += by;
        self.shift = 0.0;
        self.today = 0.0;
        self.begin_windows();
    }

    fn begin_windows(&mut self) {
        self.scores = [0.0; 2];
        self.offs = [0.0; 2];
    }
}

/// How far `count` is from `mean`, as a normal distribution would say it. Where chance of small counts is all there is, by the
/// deviance of Poisson's distribution (a logarithm would make too much of nothing at all); where the distance `off` of
/// logarithms usually is larger, by that.
fn traffic_score(count: f64, mean: f64, off: f64, scale: f64) -> f64 {
    let deviance = (2.0 * (count * (count / mean).ln() - (count - mean)))
        .max(0.0)
        .sqrt();
    let by_chance = (mean * scale * scale).recip().min(1.0);
    by_chance * (count - mean).signum() * deviance + (1.0 - by_chance) * off / scale
}
