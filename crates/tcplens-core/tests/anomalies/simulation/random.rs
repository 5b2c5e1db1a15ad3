//! Random numbers that are the same in every run: a generator with a seed, and the distributions that traffic is made of.
//! Normal numbers have their true tails, for a detector of what is rare is tested with them.

/// Steele, Lea and Flood's splitmix64 (2014).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// One of its own for each `seed` and `stream`.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        random.bits();
        random.bits();
        random
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0 and below 1.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// As probable in each octave.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Standard normal, by the inverse of its distribution (Acklam's approximation, relative error below 1.2e-9).
    pub fn normal(&mut self) -> f64 {
        let u = self.unit();
        if u < 0.02425 {
            lower_tail(u)
        } else if u > 1.0 - 0.02425 {
            -lower_tail(1.0 - u)
        } else {
            let q = u - 0.5;
            let r = q * q;
            let above = [
                -39.696_830_286_653_76,
                220.946_098_424_520_5,
                -275.928_510_446_968_7,
                138.357_751_867_269,
                -30.664_798_066_147_16,
                2.506_628_277_459_239,
            ];
            let below = [
                -54.476_098_798_224_06,
                161.585_836_858_040_9,
                -155.698_979_859_886_6,
                66.801_311_887_719_72,
                -13.280_681_552_885_72,
                1.0,
            ];
            horner(&above, r) * q / horner(&below, r)
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// Student's t with three degrees of freedom: heavy tails, with a variance of 3.
    pub fn student(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 3.0).sqrt()
    }

    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let mut left = self.unit();
        let mut probability = (-mean).exp();
        let mut count = 0_u64;
        while left > probability && count < 400 {
            left -= probability;
            count += 1;
            probability *= mean / count as f64;
        }
        count
    }

    /// The sum of `count` exponential numbers with mean 1.
    pub fn exponentials(&mut self, count: u64) -> f64 {
        if count <= 12 {
            return (0..count).map(|_| self.exponential()).sum();
        }
        let count = count as f64;
        (count + count.sqrt() * self.normal()).max(0.0)
    }

    /// The sum of `count` Pareto numbers with exponent `alpha` > 1 that are at least 1: the largest are drawn one by one.
    pub fn paretos(&mut self, count: u64, alpha: f64) -> f64 {
        let mut rest = count as f64;
        let mut arrival = 0.0;
        let mut sum = 0.0;
        // The largest of `count` come as the arrivals of a Poisson process, scaled (LePage 1981).
        for _ in 0..count.min(12) {
            arrival += self.exponential();
            sum += (count as f64 / arrival).max(1.0).powf(1.0 / alpha);
            rest -= 1.0;
        }
        // Those below the share of them that is left have this mean.
        let share = (rest / count.max(1) as f64).clamp(0.0, 1.0);
        let tail = 1.0 - (1.0 - share).powf(1.0 - 1.0 / alpha);
        sum + count as f64 * tail * alpha / (alpha - 1.0)
    }
}

fn lower_tail(u: f64) -> f64 {
    let q = (-2.0 * u.ln()).sqrt();
    let above = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_4,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    let below = [
        0.007_784_695_709_041_462,
        0.322_467_129_070_039_8,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    horner(&above, q) / horner(&below, q)
}

fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

/// Noise that everything with the same key shares: standard normal.
pub fn shared(seed: u64, key: u64, step: i64) -> f64 {
    Random::new(seed ^ key.rotate_left(40), step.unsigned_abs()).normal()
}
