//! How far from what is expected is usual: a scale that outliers do not move, and how heavy the tail beyond it is. Both from
//! decayed sums: constant memory, no list of the past.
//!
//! The scale is that of a distribution of any tail by its logarithmic moment: the mean of ln|x| is ln(scale) and a constant
//! (0 for Cauchy's, -0.635 for the normal distribution), and exists however heavy the tail is. The tail is Hill's estimator
//! (Annals of Statistics 3, 1975): beyond a bound, the probability falls with a power, whose exponent is estimated from what
//! came out beyond it.

/// The mean of ln|x| of a standard normal distribution, negated: (gamma + ln 2) / 2.
const NORMAL: f64 = 0.635_181_422_7;
/// Samples that are remembered: three days of minutes; of the tail two weeks.
const MEMORY: f32 = 4320.0;
pub(super) const TAIL_MEMORY: f32 = 20_160.0;

/// A scale that may depend on how much traffic there is: on the logarithm of that, linearly, in logarithms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    count: f32,
    x: f32,
    y: f32,
    xx: f32,
    xy: f32,
}

impl Spread {
    /// The distance which is usual at `x`, as the standard deviation that a normal distribution would have. The slope stays
    /// within `slopes`.
    pub(super) fn scale(&self, x: f64, slopes: [f64; 2]) -> Option<f64> {
        if self.count < 30.0 {
            return None;
        }
        let slope = f64::from(self.xy) / (f64::from(self.xx) + 0.1);
        let slope = slope.clamp(slopes[0], slopes[1]);
        Some((f64::from(self.y) + slope * (x - f64::from(self.x)) + NORMAL).exp())
    }

    pub(super) fn learn(&mut self, x: f64, off: f64, least: f64) {
        self.learn_for(x, off, least, MEMORY);
    }

    /// Remembers so many samples.
    pub(super) fn learn_for(&mut self, x: f64, off: f64, least: f64, memory: f32) {
        let (x, y) = (x as f32, off.abs().max(least).ln() as f32);
        self.count = (self.count + 1.0).min(memory);
        let gain = 1.0 / self.count;
        let (dx, dy) = (x - self.x, y - self.y);
        self.x += gain * dx;
        self.y += gain * dy;
        self.xx += gain * (dx * dx * (1.0 - gain) - self.xx);
        self.xy += gain * (dx * dy * (1.0 - gain) - self.xy);
    }

    /// Forgets most: something has changed for good.
    pub(super) fn doubt(&mut self) {
        self.count = self.count.min(240.0);
    }
}

/// Beyond how much the tail begins, in scales.
const BEGINS: f64 = 3.0;
/// What is assumed before anything is seen: as many samples, of which a share is beyond the bound; as many beyond, with an
/// exponent.
const ASSUMED: f32 = 1000.0;
const ASSUMED_BEYOND: f32 = 20.0;
/// The logarithm of the root of 2 pi: of a normal distribution's density.
const LN_ROOT_TAU: f64 = 0.918_938_533_2;

/// What is assumed of a tail before anything is seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assumed {
    /// Share beyond the bound.
    pub share: f32,
    pub exponent: f32,
}

/// Minutes of a run beyond the bound that count.
const RUN: u16 = 5;

/// The tail of a score on its bad side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail {
    count: f32,
    /// Of these, beyond the bound; and the sum of ln(score / bound) of those.
    beyond: f32,
    excess: f32,
    /// Minutes that it is beyond the bound by now.
    run: u16,
}

impl Tail {
    /// Natural logarithm of the probability of a score at least this large.
    pub(super) fn ln_probability(&self, score: f64, assumed: Assumed) -> f64 {
        if score <= BEGINS {
            return 0.0;
        }
        let (share, exponent) = self.is(assumed);
        share.ln() - exponent * (score / BEGINS).ln()
    }

    /// Natural logarithm of the density at this score: that of the normal distribution, or of the tail where it is heavier.
    pub(super) fn ln_density(&self, score: f64, assumed: Assumed) -> f64 {
        let normal = -0.5 * score * score - LN_ROOT_TAU;
        let (share, exponent) = self.is(assumed);
        let score = score.max(BEGINS);
        let tail = share.ln() - exponent * (score / BEGINS).ln() + (exponent / score).ln();
        normal.max(tail)
    }

    /// Which share is beyond the bound, and the exponent by which the probability falls from there on.
    fn is(&self, assumed: Assumed) -> (f64, f64) {
        let share = (self.beyond + ASSUMED * assumed.share) / (self.count + ASSUMED);
        let beyond = self.beyond + ASSUMED_BEYOND;
        let excess = self.excess + ASSUMED_BEYOND / assumed.exponent;
        (f64::from(share), f64::from(beyond / excess))
    }

    /// What came out beyond the bound is believed for less.
    pub(super) fn discount(&mut self, keep: f32) {
        self.beyond *= keep;
        self.excess *= keep;
    }

    pub(super) fn learn(&mut self, score: f64) {
        if self.count >= TAIL_MEMORY {
            let keep = 1.0 - 1.0 / self.count;
            self.count *= keep;
            self.beyond *= keep;
            self.excess *= keep;
        }
        self.count += 1.0;
        if score <= BEGINS {
            self.run = 0;
            return;
        }
        // What goes on is one surprise, not many.
        self.run = self.run.saturating_add(1);
        if self.run <= RUN {
            self.beyond += 1.0;
            self.excess += (score / BEGINS).ln() as f32;
        }
    }

    pub(super) fn doubt(&mut self) {
        let keep = 240.0 / self.count.max(240.0);
        self.count *= keep;
        self.beyond *= keep;
        self.excess *= keep;
    }
}
