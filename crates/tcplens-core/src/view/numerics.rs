//! Probabilities for comparisons and suspicions: Student's t, Fisher's exact test, the logarithm of the gamma function. Pure
//! functions of numbers, each checked against scipy 1.16 in the tests below. Not what is compared: see `compare` and `anomaly`.
//!
//! Formulas: Abramowitz and Stegun 26.7.1 and 26.5.8 (t by the incomplete beta function and its continued fraction, evaluated
//! as Lentz does); Lanczos' approximation of the gamma function with g = 7.

/// Natural logarithm of the gamma function of `x` > 0; relative error below 1e-13.
pub(super) fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + G + 0.5;
    let tail = C[1..].iter().zip(1_u8..);
    let sum: f64 = C[0] + tail.map(|(c, n)| c / (x + f64::from(n))).sum::<f64>();
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The incomplete beta function, regularized: from 0 at `x` = 0 to 1 at 1.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    let front = front.exp();
    // The fraction converges fast on this side of the mean.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    // Some thousand terms are needed where `a` or `b` is a million; then the last is good enough.
    for m in 1..10_000_u16 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        value *= d * c;
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let factor = d * c;
        value *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The probability that Student's t with `df` > 0 degrees of freedom is at least as far from zero as `t`.
pub(super) fn t_two_sided(t: f64, df: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    beta(df / (df + t * t), df / 2.0, 0.5)
}

/// The `t` > 0 that is exceeded, to either side, with probability `p`.
pub(super) fn t_quantile(p: f64, df: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while t_two_sided(high, df) > p && high < 1e12 {
        low = high;
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if t_two_sided(middle, df) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Logarithm of the binomial coefficient.
pub(super) fn ln_choose(n: u64, k: u64) -> f64 {
    // Counts beyond 2^53 lose digits that no probability has.
    let (n, k) = (n as f64, k as f64);
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// Fisher's exact test, two-sided: `hits` of `of`, before and now. The probability of a table at most as likely as this one,
/// if it made no difference which side a hit is on. Hits are at most `of`; their sum decides how long it takes.
pub(super) fn fisher(hits: [u64; 2], of: [u64; 2]) -> f64 {
    let all = hits[0] + hits[1];
    let least = all.saturating_sub(of[1]);
    let most = all.min(of[0]);
    let whole = ln_choose(of[0] + of[1], all);
    let likely = |k: u64| ln_choose(of[0], k) + ln_choose(of[1], all - k) - whole;
    let seen = likely(hits[0]);
    // What is as likely but for the last digits is as likely.
    let as_unlikely = (least..=most).map(likely).filter(|&ln| ln <= seen + 1e-7);
    as_unlikely.map(f64::exp).sum::<f64>().min(1.0)
}

/// Fisher's exact test, one-sided: natural logarithm of the probability that of `of` at least `hits` are among `all_hits`, if
/// these were drawn blindly from `all`. A logarithm, for the probability itself may be below 1e-308. `hits` is at most `of` and
/// `all_hits`, both at most `all`; what is left of `of` and `all_hits` decides how long it takes.
pub(super) fn ln_at_least(hits: u64, of: u64, all_hits: u64, all: u64) -> f64 {
    let least = (of + all_hits).saturating_sub(all);
    if hits <= least {
        return 0.0;
    }
    let whole = ln_choose(all, of);
    let ln = |k: u64| ln_choose(all_hits, k) + ln_choose(all - all_hits, of - k) - whole;
    let terms: Vec<f64> = (hits..=of.min(all_hits)).map(ln).collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
    (largest + sum.ln()).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        let error = (got - expected).abs() / expected.abs().max(1e-300);
        assert!(error < 1e-9, "{got} is not {expected}");
    }

    #[test]
    fn the_gamma_function_is_scipys() {
        for (x, expected) in [
            (0.5, 0.572_364_942_924_7),
            (2.5, 0.284_682_870_472_919_2),
            (10.0, 12.801_827_480_081_469),
            (100.25, 360.284_559_637_764_23),
            (100_000.0, 1_051_287.708_973_656_9),
        ] {
            close(ln_gamma(x), expected);
        }
        assert!(ln_gamma(1.0).abs() < 1e-13);
    }

    #[test]
    fn students_t_is_scipys() {
        for (df, t, expected) in [
            (1.0, 1.0, 0.5),
            (2.5, 3.1, 0.067_788_378_324_920_31),
            (5.0, 2.571, 0.049_974_634_683_851_4),
            (10.0, -4.0, 0.002_518_332_624_736_694_5),
            (30.0, 2.042, 0.050_028_670_656_197_906),
            (31.7, 0.1, 0.920_974_087_433_604_3),
            (100.0, 10.0, 9.901_688_984_594_13e-17),
            (3.0, 40.0, 3.438_068_078_915_850_6e-5),
        ] {
            close(t_two_sided(t, df), expected);
        }
        let wide = t_two_sided(1.959_963_984_540_054, 1e6);
        assert!((wide - 0.050_000_277_295_221_7).abs() < 1e-8, "{wide}");
        assert_eq!(t_two_sided(f64::INFINITY, 5.0), 0.0);
        for (p, df, expected) in [
            (0.05, 5.0, 2.570_581_835_636_315_5),
            (0.001, 30.0, 3.645_958_635_042_021),
            (1e-6, 12.5, 8.829_946_509_018_272),
            (0.4, 3.0, 0.978_472_312_363_303_8),
            (1e-9, 60.0, 7.233_298_449_014_585),
        ] {
            close(t_quantile(p, df), expected);
        }
    }

    #[test]
    fn fishers_test_is_scipys() {
        for (hits, of, expected) in [
            ([3, 1], [4, 4], 0.485_714_285_714_285_65),
            ([0, 2], [500, 4], 4.733_503_739_467_953_6e-5),
            ([10, 20], [100, 100], 0.073_427_589_721_376_36),
            ([0, 17], [32, 17], 1.538_634_244_673_467_7e-13),
            ([1, 9], [1001, 509], 0.000_375_296_345_117_718_37),
            ([0, 0], [10, 10], 1.0),
            ([8, 1], [10, 6], 0.034_965_034_965_034_975),
            ([120, 160], [1000, 1000], 0.011_861_898_653_907_299),
        ] {
            close(fisher(hits, of), expected);
        }
    }

    #[test]
    fn the_one_sided_test_counts_hands_of_cards() {
        // Four aces in five cards: 48 of 2,598,960 hands; at least three: 4,512 + 48 of them. All by hand.
        for (hits, of, all_hits, all, expected) in [
            (4, 5, 4, 52, 48.0 / 2_598_960.0),
            (3, 5, 4, 52, 4560.0 / 2_598_960.0),
            (0, 5, 4, 52, 1.0),
            // Two of three, and both are among two of four: 2 / 6.
            (2, 2, 3, 4, 0.5),
            (3, 3, 3, 10, 1.0 / 120.0),
            // So many are taken that one is a hit in any case.
            (1, 8, 3, 10, 1.0),
            // 10 of 10 of a host, none of the other 990: one of C(1000, 10).
            (10, 10, 10, 1000, 3.796_369_418_961_827e-24),
            (7, 7, 7, 7, 1.0),
        ] {
            let ln = ln_at_least(hits, of, all_hits, all);
            let error = (ln.exp() / expected - 1.0).abs();
            assert!(error < 1e-9, "{hits}/{of} {all_hits}/{all}: {}", ln.exp());
        }
        // Far below what a float can be: 1 / C(100,000, 1,000).
        let ln = ln_at_least(1000, 1000, 1000, 100_000);
        assert!((ln / std::f64::consts::LN_10 + 2430.0).abs() < 10.0, "{ln}");
    }
}
