//! The model of a share: how many of how many. It knows how often it happens, by the hour of the day as far as there is
//! enough of it, and that hits may come in bursts. Not of durations: see `level`.

use super::alarm::{Alarm, CLIP, Evidence, KEEP, Sort, Verdict};
use super::spread::Spread;

/// What remains after a minute: two weeks.
const KEPT: f32 = 1.0 - 1.0 / 20_160.0;
/// An hour of the day is believed as if it had seen as many hits more at the average rate.
const PRIOR_HITS: f64 = 10.0;
/// As many hits per minute surprise nobody, whatever the history: one in four minutes.
const BACKGROUND: f64 = 0.25;
/// Hits in a window without which it does not matter.
const LEAST_HITS: f64 = 5.0;
/// By how much the share must grow before it matters: half of a hundredth, and twice as much.
const MATTERS: f64 = 0.005;
/// Minutes since the first one until anything is judged: two days; and how many there must have been.
const WARM: i64 = 1440;
const KNOWN: i64 = 3 * 1440;
const KNOWN_WELL: i64 = 8 * 1440;
const LEAST_SAMPLES: f32 = 500.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Verdicts {
    pub expected: f64,
    pub score: f64,
    pub verdict: Verdict,
    pub is_learning: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    first: Option<i64>,
    samples: f32,
    hits: f32,
    of: f32,
    /// Hits, and of how many, by the hour of the day.
    hours: [[f32; 2]; 24],
    spread: Spread,
    /// Decayed sums over the longer windows: hits, expected hits, of how many.
    windows: [[f32; 3]; 2],
    last: [f32; 3],
    alarm: Alarm,
}

impl Share {
    pub(super) fn judge(&mut self, minute: i64, hits: u64, of: u64) -> Verdicts {
        let first = *self.first.get_or_insert(minute);
        let (hits, of) = (hits as f64, of as f64);
        let hour = usize::try_from(minute.rem_euclid(1440) / 60).unwrap_or(0);
        let average = (f64::from(self.hits) + 0.5) / (f64::from(self.of) + 1.0);
        let average = average.min(1.0);
        let [hour_hits, hour_of] = self.hours[hour].map(f64::from);
        let expected = (hour_hits + PRIOR_HITS) / (hour_of + PRIOR_HITS / average);
        let mean = of * expected + BACKGROUND;
        let x = mean.ln();
        let surprise = surprise(hits, mean);
        let scale = self.spread.scale(x, [0.0, 0.5]).unwrap_or(3.0).max(1.0);
        let score = surprise / scale;

        let clipped = hits.min(mean + CLIP * scale * mean.sqrt() + CLIP);
        let mut longer = [0.0; 2];
        let mut matters = [false; 3];
        let more = |hits: f64, of: f64, least: f64| {
            let share = hits / of.max(1.0);
            hits >= least && share >= 2.0 * expected && share >= expected + MATTERS
        };
        matters[0] = more(
            hits + f64::from(self.last[0]),
            of + f64::from(self.last[2]),
            LEAST_HITS,
        );
        for i in 0..2 {
            let keep = KEEP[i] as f32;
            let window = &mut self.windows[i];
            for (sum, new) in window.iter_mut().zip([clipped, mean, of]) {
                *sum = *sum * keep + new as f32;
            }
            let [hits, mean, of] = window.map(f64::from);
            // So that the variance of the decayed sum of Poisson's counts is its mean.
            let factor = 1.0 + KEEP[i];
            longer[i] = surprise_of(hits * factor, mean * factor) / scale;
            matters[i + 1] = more(hits, of, LEAST_HITS);
        }
        self.last = [hits as f32, mean as f32, of as f32];
        let is_known = minute - first >= KNOWN && self.samples >= LEAST_SAMPLES;
        let verdict = self.alarm.judge(&Evidence {
            score,
            slow_score: score,
            longer,
            matters,
            sort: Sort::Count,
            // Of less nothing is asked.
            unit: if score > 2.0 {
                (hits / mean).ln() / score
            } else {
                1.0
            },
            is_warm: minute - first >= WARM,
            is_known: [is_known, is_known, is_known && minute - first >= KNOWN_WELL],
        });
        match verdict {
            Verdict::Over => self.windows = [[0.0; 3]; 2],
            Verdict::Normal => self.learn(hour, clipped, of, x, surprise),
            Verdict::Abnormal(_) => {}
            Verdict::Accepted(_) => self.accept(),
        }
        Verdicts {
            expected,
            score,
            verdict,
            is_learning: !is_known,
        }
    }

    fn learn(&mut self, hour: usize, hits: f64, of: f64, x: f64, surprise: f64) {
        self.samples += 1.0;
        self.hits = self.hits * KEPT + hits as f32;
        self.of = self.of * KEPT + of as f32;
        let [hour_hits, hour_of] = &mut self.hours[hour];
        // An hour of the day has one minute of 24.
        let keep = 1.0 - (1.0 - KEPT) * 24.0;
        *hour_hits = *hour_hits * keep + hits as f32;
        *hour_of = *hour_of * keep + of as f32;
        self.spread.learn(x, surprise, 0.05);
    }

    /// The last hours are what is normal now.
    fn accept(&mut self) {
        let [hits, _, of] = self.windows[1];
        self.hits = hits;
        self.of = of;
        self.hours = [[0.0; 2]; 24];
        self.spread.doubt();
        self.windows = [[0.0; 3]; 2];
    }
}

fn surprise(hits: f64, mean: f64) -> f64 {
    surprise_of(hits, mean)
}

/// How far `hits` are from `mean`, as a normal distribution would say it: the signed root of the deviance of Poisson's
/// distribution, which is true for small counts, too.
fn surprise_of(hits: f64, mean: f64) -> f64 {
    let part = if hits > 0.0 {
        hits * (hits / mean).ln()
    } else {
        0.0
    };
    let deviance = (2.0 * (part - (hits - mean))).max(0.0).sqrt();
    (hits - mean).signum() * deviance
}
