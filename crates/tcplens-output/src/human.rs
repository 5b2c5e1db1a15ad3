//! Durations, sizes and counts for people: three digits and a unit. Not for machines (see
//! `digits`); for reading options see `units`.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use tcplens_core::time::Span;

/// A duration: `850 µs`, `3.2 ms`, `1.25 s`, `1m 06s`, `2h 05m`, `3d 04h`.
#[derive(Clone, Copy, Debug)]
pub struct Duration(pub Span);

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: &[(u64, &str)] = &[
            (1, " ns"),
            (1_000, " µs"),
            (1_000_000, " ms"),
            (1_000_000_000, " s"),
        ];
        let ns = self.0.ns();
        // From here on three digits would say `60.0 s`.
        if ns < 59_950_000_000 {
            return three_digits(f, ns, 1000, UNITS);
        }
        let seconds = ns.saturating_add(500_000_000) / 1_000_000_000;
        if seconds < 3600 {
            return write!(f, "{}m {:02}s", seconds / 60, seconds % 60);
        }
        let minutes = (seconds + 30) / 60;
        if minutes < 24 * 60 {
            return write!(f, "{}h {:02}m", minutes / 60, minutes % 60);
        }
        let hours = (seconds + 1800) / 3600;
        write!(f, "{}d {:02}h", hours / 24, hours % 24)
    }
}

/// A number of bytes: `712 B`, `1.5 KiB`, `20.1 GiB`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: &[(u64, &str)] = &[
            (1, " B"),
            (1 << 10, " KiB"),
            (1 << 20, " MiB"),
            (1 << 30, " GiB"),
            (1 << 40, " TiB"),
            (1 << 50, " PiB"),
            (1 << 60, " EiB"),
        ];
        three_digits(f, self.0, 1024, UNITS)
    }
}

/// A number with a comma between groups of three digits: `1,234,567`.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (n, digit) in digits.char_indices() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A rate or another large number, short enough for a column: `950`, `12.3k`, `4.56M`, `1.2G`.
#[derive(Clone, Copy, Debug)]
pub struct Short(pub u64);

impl Display for Short {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const UNITS: &[(u64, &str)] = &[
            (1, ""),
            (1_000, "k"),
            (1_000_000, "M"),
            (1_000_000_000, "G"),
            (1_000_000_000_000, "T"),
            (1_000_000_000_000_000, "P"),
            (1_000_000_000_000_000_000, "E"),
        ];
        three_digits(f, self.0, 1000, UNITS)
    }
}

/// An address and a port: `10.77.0.1:80`, `[2001:db8::1]:80`.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint(pub IpAddr, pub u64);

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.1),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.1),
        }
    }
}

/// Prints `value` in the first unit (with the blank before it) where it rounds to less than 1000 in three digits, without
/// trailing zeros. Without decimals it may go up to the next unit, `step`.
fn three_digits(
    f: &mut Formatter<'_>,
    value: u64,
    step: u128,
    units: &[(u64, &str)],
) -> fmt::Result {
    for &(unit, name) in units {
        for (decimals, power) in [(2, 100), (1, 10), (0, 1)] {
            let unit = u128::from(unit);
            let rounded = (u128::from(value) * power + unit / 2) / unit;
            let limit = if decimals == 0 { step } else { 1000 };
            if rounded >= limit {
                continue;
            }
            let (whole, fraction) = (rounded / power, rounded % power);
            return match fraction {
                0 => write!(f, "{whole}{name}"),
                _ if fraction.is_multiple_of(10) => write!(f, "{whole}.{}{name}", fraction / 10),
                _ => write!(f, "{whole}.{fraction:0decimals$}{name}"),
            };
        }
    }
    write!(f, "{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_never_a_thousand_of_a_unit() {
        for (ns, expected) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (12_345, "12.3 µs"),
            (12_040, "12 µs"),
            (850_000, "850 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (3_200_000, "3.2 ms"),
            (3_050_000, "3.05 ms"),
            (102_000_000, "102 ms"),
            (1_250_000_000, "1.25 s"),
            (59_949_999_999, "59.9 s"),
            (59_950_000_000, "1m 00s"),
            (66_381_000_000, "1m 06s"),
            (3_599_600_000_000, "1h 00m"),
            (7_500_000_000_000, "2h 05m"),
            (86_399_000_000_000, "1d 00h"),
            (273_600_000_000_000, "3d 04h"),
            (u64::MAX - 1, "213504d 00h"),
        ] {
            assert_eq!(Duration(Span::from_ns(ns)).to_string(), expected, "{ns}");
        }
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        for (bytes, expected) in [
            (0, "0 B"),
            (712, "712 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (10_189, "9.95 KiB"),
            (1_048_575, "1 MiB"),
            (20 << 30, "20 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), expected, "{bytes}");
        }
    }

    #[test]
    fn rates_are_short() {
        for (rate, expected) in [
            (0, "0"),
            (950, "950"),
            (12_345, "12.3k"),
            (999_999, "1M"),
            (4_560_000_000, "4.56G"),
        ] {
            assert_eq!(Short(rate).to_string(), expected);
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(Count(count).to_string(), expected);
        }
    }
}
