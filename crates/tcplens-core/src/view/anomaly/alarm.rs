//! From scores to a verdict: when what is seen over two minutes, a quarter of an hour or four hours is beyond chance, when it
//! is over, and when it has lasted for so long that it is normal.

use super::spread::{Assumed, Spread, TAIL_MEMORY, Tail};

/// Over how many minutes is looked. The first: both of two must be off.
pub(super) const WINDOWS: [u32; 3] = [2, 15, 240];
/// What remains of the past after a minute, for the longer two.
pub(super) const KEEP: [f64; 2] = [1.0 - 1.0 / 15.0, 1.0 - 1.0 / 240.0];
/// A single minute counts for no more than this in longer windows.
pub(super) const CLIP: f64 = 12.0;
/// Minutes after which what is abnormal is the new normal.
pub(super) const ACCEPTED: u16 = 1440;
/// Minutes without anything abnormal after which it is over.
const OVER: u16 = 60;
/// Natural logarithms of the probability by which the longer two windows may be wrong; the same of means, and of few, which a
/// single one may make.
const CHANCE: [f64; 2] = [-15.0, -11.5];
const CHANCE_OF_SINGLE: [f64; 2] = [-19.0, -16.0];

/// By how much, as a natural logarithm, two minutes must be more probable as one step of any size than as two surprises that
/// have nothing to do with each other.
const STEP: f64 = 15.5;
/// The same of few, and of counts, which come in bursts that outlast a minute.
const STEP_OF_FEW: f64 = 22.0;
const STEP_OF_COUNTS: f64 = 19.0;
/// How far the two minutes of a step are apart: the variance of their difference, in squares of the usual distance. Twice what
/// two independent ones have.
const APART: f64 = 4.0;
/// Natural logarithm of the probability by which two minutes like these may have come before, whatever that was; the same of
/// counts; and of means, of which nothing but that and the probability of either minute counts.
const PAIR: f64 = -9.5;
const PAIR_OF_COUNTS: f64 = -13.0;
const PAIR_OF_MEANS: f64 = -17.0;
const CHANCE_OF_MEANS: f64 = -21.0;

/// What is assumed of the tails of single minutes and longer windows, and of two minutes.
const SINGLE: Assumed = Assumed {
    share: 0.003,
    exponent: 8.0,
};
const DOUBLE: Assumed = Assumed {
    share: 0.001,
    exponent: 10.0,
};
/// What remains of surprises when the week is known: jobs of each day and each weekday were among them.
const KEPT_WHEN_RIPE: f32 = 0.3;

/// What is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Durations, by their geometric mean.
    Durations,
    /// Few of them.
    Few,
    /// A mean of durations, which a single one may make.
    Mean,
    /// How many there are, of all or of a share.
    Count,
}

/// What a model says of one minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// This minute's score.
    pub score: f64,
    /// The same against what is usual in the long run, not against the last hours.
    pub slow_score: f64,
    /// Those of the longer windows, in units of what independent minutes would have.
    pub longer: [f64; 2],
    /// Whether what is seen over each window would matter to anybody.
    pub matters: [bool; 3],
    pub sort: Sort,
    /// The usual distance, as a natural logarithm.
    pub unit: f64,
    /// Whether there is history enough to learn what is rare.
    pub is_warm: bool,
    /// Whether there is history enough for each window.
    pub is_known: [bool; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Normal,
    /// Normal again since this minute: longer windows begin anew.
    Over,
    /// Over so many minutes.
    Abnormal(u32),
    /// For so long that it is to be taken for normal.
    Accepted(u32),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    last: f32,
    /// The score of the last minutes.
    recent: f32,
    slow_recent: f32,
    spreads: [Spread; 2],
    tails: [Tail; 3],
    /// Of single minutes.
    single: Tail,
    /// Minutes of the present abnormality, and normal ones since.
    lasts: u16,
    calm: u16,
    /// The window by which it is abnormal now; 0 while it is not.
    window: u32,
    /// The week was known in the minute before.
    is_ripe: bool,
}

impl Alarm {
    pub(super) fn judge(&mut self, is: &Evidence) -> Verdict {
        let last = f64::from(self.last);
        let pair = is.score.min(last);
        self.last = is.score as f32;
        self.recent += 0.25 * (is.score.clamp(-CLIP, CLIP) as f32 - self.recent);
        self.slow_recent += 0.25 * (is.slow_score.clamp(-CLIP, CLIP) as f32 - self.slow_recent);
        let is_on = [true, self.recent > 0.7, self.slow_recent > 0.7];
        let mut scores = [pair, 0.0, 0.0];
        for ((score, longer), spread) in scores[1..].iter_mut().zip(is.longer).zip(self.spreads) {
            *score = longer / spread.scale(0.0, [0.0; 2]).unwrap_or(1.0).max(1.0);
        }
        let chance = match is.sort {
            Sort::Few | Sort::Mean => CHANCE_OF_SINGLE,
            Sort::Durations | Sort::Count => CHANCE,
        };
        let found = (0..3).find(|&i| {
            is.is_known[i]
                && is.matters[i]
                && is_on[i]
                && match i {
                    0 => self.is_step(is, last),
                    _ => self.tails[i].ln_probability(scores[i], SINGLE) < chance[i - 1],
                }
        });
        let window = match found {
            Some(i) => WINDOWS[i],
            None if self.goes_on(is, scores, last) => self.window,
            None => 0,
        };
        let was_abnormal = self.window != 0;
        self.window = window;
        if window == 0 {
            self.calm = self.calm.saturating_add(1);
            if self.calm >= OVER {
                self.lasts = 0;
            }
            self.learn(is, scores);
            return if was_abnormal {
                Verdict::Over
            } else {
                Verdict::Normal
            };
        }
        self.calm = 0;
        self.lasts += 1;
        if self.lasts < ACCEPTED {
            return Verdict::Abnormal(window);
        }
        for spread in &mut self.spreads {
            spread.doubt();
        }
        self.tails.iter_mut().for_each(Tail::doubt);
        self.single.doubt();
        *self = Alarm {
            spreads: self.spreads,
            tails: self.tails,
            single: self.single,
            is_ripe: self.is_ripe,
            ..Alarm::default()
        };
        Verdict::Accepted(window)
    }

    /// Whether this minute and the last are something that goes on, rather than two surprises.
    fn is_step(&self, is: &Evidence, last: f64) -> bool {
        let pair = is.score.min(last);
        let before = self.tails[0].ln_probability(pair, DOUBLE);
        let (least, bound) = match is.sort {
            Sort::Durations => (STEP, PAIR),
            Sort::Few => (STEP_OF_FEW, PAIR),
            Sort::Count => (STEP_OF_COUNTS, PAIR_OF_COUNTS),
            Sort::Mean => {
                let chance = 2.0 * self.single.ln_probability(pair, SINGLE);
                return chance < CHANCE_OF_MEANS && before < PAIR_OF_MEANS;
            }
        };
        if before >= bound {
            return false;
        }
        let surprises =
            self.single.ln_density(is.score, SINGLE) + self.single.ln_density(last, SINGLE);
        let apart = (is.score - last).powi(2) / (2.0 * APART);
        // A step may be of any size, which in usual distances is the larger the smaller these are.
        is.unit.clamp(0.01, 1.0).ln() - apart - surprises > least
    }

    /// It ends when two minutes are what is usual, of what was slow to be found when its window is.
    fn goes_on(&self, is: &Evidence, scores: [f64; 3], last: f64) -> bool {
        match self.window {
            0 => false,
            2 => is.score.max(last) > 2.0,
            15 => scores[1] > 2.5 && self.recent > 0.2,
            _ => scores[2] > 2.5 && self.slow_recent > 0.0,
        }
    }

    fn learn(&mut self, is: &Evidence, scores: [f64; 3]) {
        for ((spread, longer), score) in self.spreads.iter_mut().zip(is.longer).zip(&scores[1..]) {
            // What creeps up must not widen what is usual while it does.
            if *score < 3.0 {
                spread.learn_for(0.0, longer, 0.05, TAIL_MEMORY);
            }
        }
        if is.is_known[2] && !self.is_ripe && is.sort != Sort::Count {
            self.is_ripe = true;
            self.tails
                .iter_mut()
                .chain([&mut self.single])
                .for_each(|tail| tail.discount(KEPT_WHEN_RIPE));
        }
        if is.is_warm {
            self.single.learn(is.score);
            for (tail, score) in self.tails.iter_mut().zip(scores) {
                tail.learn(score);
            }
        }
    }
}
