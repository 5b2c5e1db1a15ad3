//! Sizes and durations as people write them in options: `64MiB`, `250ms`. Reading only; see `human`
//! for printing.

use tcplens_core::time::Span;

/// Why a size, a duration or a rotation was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a size.
    #[error(
        "cannot read {text:?} as a size: {why}; write a number and a unit, such as 64MiB, 10M or 1g"
    )]
    Size {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not a duration.
    #[error(
        "cannot read {text:?} as a time: {why}; write a number and a unit, such as 250ms, 10s, 5m or 1h"
    )]
    Duration {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Neither days nor a size to keep.
    #[error(
        "cannot read {text:?} as what to keep: {why}; write days such as 30d, or (of records) a size such as 50GiB"
    )]
    Keep {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Neither a size nor a time to rotate by.
    #[error(
        "cannot read {text:?} as what to rotate by: {why}; write a size such as 100MiB or a time such as 10m or 1h \
         (m is minutes, M is MiB)"
    )]
    Rotate {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Bytes of a size. Without a unit it is bytes; `K` `M` `G` `T` and `KiB`... are powers of 1024,
/// `KB`... of 1000, as in GNU coreutils; upper or lower case. Fractions are welcome if whole bytes
/// come out: `1.5GiB`.
///
/// # Errors
/// Says what is wrong and how to write it.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let parse = || {
        let (number, unit) = split(text)?;
        scale(number, bytes_in(unit)?, "not a whole number of bytes")
    };
    parse().map_err(|why| UnitError::Size {
        text: text.into(),
        why,
    })
}

/// A duration. The unit is needed: `ns`, `us` or `µs`, `ms`, `s`, `m` or `min`, `h`, `d`.
///
/// # Errors
/// Says what is wrong and how to write it.
pub fn parse_duration(text: &str) -> Result<Span, UnitError> {
    duration(text, None)
}

/// A duration in an option that has a unit of its own for a bare number: `ns_of_bare` nanoseconds.
///
/// # Errors
/// Says what is wrong and how to write it.
pub fn parse_duration_or(text: &str, ns_of_bare: u64) -> Result<Span, UnitError> {
    duration(text, Some(ns_of_bare))
}

/// When the current output file is finished and the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// When the file has this many bytes on disk.
    Size(u64),
    /// When packet time enters another period of this length; periods begin at
    /// 1970-01-01T00:00:00Z.
    Time(Span),
}

impl Rotate {
    /// Reads `--rotate SIZE|TIME`. Here `m` is minutes and `M` is MiB.
    ///
    /// # Errors
    /// Says what is wrong and how to write it.
    pub fn parse(text: &str) -> Result<Rotate, UnitError> {
        let error = |why| UnitError::Rotate {
            text: text.into(),
            why,
        };
        match split(text).map_err(error)? {
            (_, "") => return Err(error("the unit is missing")),
            (number, _) if number.digits == 0 => return Err(error("it is zero")),
            _ => {}
        }
        if let Ok(span) = parse_duration(text) {
            return Ok(Rotate::Time(span));
        }
        parse_size(text)
            .map(Rotate::Size)
            .map_err(|refusal| match refusal {
                UnitError::Size { why, .. }
                | UnitError::Duration { why, .. }
                | UnitError::Keep { why, .. }
                | UnitError::Rotate { why, .. } => error(why),
            })
    }
}

fn duration(text: &str, bare: Option<u64>) -> Result<Span, UnitError> {
    let parse = || {
        let (number, unit) = split(text)?;
        let unit_ns = match (unit, bare) {
            ("", Some(ns)) => ns,
            ("", None) => return Err("the unit is missing"),
            (unit, _) => ns_in(unit)?,
        };
        scale(number, unit_ns, "finer than a nanosecond").map(Span::from_ns)
    };
    parse().map_err(|why| UnitError::Duration {
        text: text.into(),
        why,
    })
}

fn bytes_in(unit: &str) -> Result<u64, &'static str> {
    let lower = unit.to_ascii_lowercase();
    let (prefix, base) = match lower.strip_suffix("ib") {
        Some(prefix) => (prefix, 1024),
        None => match lower.strip_suffix('b') {
            Some(prefix) => (prefix, 1000),
            None => (lower.as_str(), 1024_u64),
        },
    };
    let power = match prefix {
        "" if !lower.ends_with("ib") => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err("the unit is unknown"),
    };
    Ok(base.pow(power))
}

fn ns_in(unit: &str) -> Result<u64, &'static str> {
    Ok(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err("the unit is unknown"),
    })
}

/// `digits / 10^places`.
struct Number {
    digits: u64,
    places: u32,
}

/// Cuts `1.5 GiB` into its number and its unit.
fn split(text: &str) -> Result<(Number, &str), &'static str> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if text.starts_with('-') {
        return Err("it is negative");
    }
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err("it does not begin with a number");
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| "it is too large")?;
    Ok((
        Number {
            digits,
            places: fraction.len() as u32,
        },
        unit.trim_start(),
    ))
}

fn scale(number: Number, unit: u64, uneven: &'static str) -> Result<u64, &'static str> {
    let product = u128::from(number.digits) * u128::from(unit);
    let divisor = 10_u128.pow(number.places);
    if !product.is_multiple_of(divisor) {
        return Err(uneven);
    }
    // `u64::MAX` itself is no Span.
    u64::try_from(product / divisor)
        .ok()
        .filter(|&value| value < u64::MAX)
        .ok_or("it is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_gnu_does() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("7B", 7),
            ("10M", 10 << 20),
            ("64MiB", 64 << 20),
            ("1g", 1 << 30),
            ("1.5GiB", 3 << 29),
            ("2 kB", 2000),
            (".5k", 512),
            ("1T", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for (text, why) in [
            ("", "it does not begin with a number"),
            ("MiB", "it does not begin with a number"),
            ("-1M", "it is negative"),
            ("1.2.3M", "it does not begin with a number"),
            ("10X", "the unit is unknown"),
            ("10iB", "the unit is unknown"),
            ("0.3", "not a whole number of bytes"),
            ("99999999T", "it is too large"),
            ("99999999999999999999", "it is too large"),
        ] {
            assert_eq!(
                parse_size(text),
                Err(UnitError::Size {
                    text: text.into(),
                    why
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_need_a_unit_unless_the_option_has_one() {
        for (text, ns) in [
            ("250ms", 250_000_000),
            ("0.5µs", 500),
            ("10s", 10_000_000_000),
            ("5m", 300_000_000_000),
            ("5min", 300_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5d", 129_600_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Span::from_ns(ns)), "{text}");
        }
        for (text, why) in [
            ("10", "the unit is missing"),
            ("5M", "the unit is unknown"),
            ("0.1ns", "finer than a nanosecond"),
            ("-5s", "it is negative"),
            ("9999999h", "it is too large"),
        ] {
            assert_eq!(
                parse_duration(text),
                Err(UnitError::Duration {
                    text: text.into(),
                    why
                }),
                "{text}"
            );
        }
        assert_eq!(
            parse_duration_or("2.5", 1_000_000),
            Ok(Span::from_ns(2_500_000))
        );
        assert_eq!(
            parse_duration_or("2.5s", 1_000_000),
            Ok(Span::from_ns(2_500_000_000))
        );
    }

    #[test]
    fn rotation_is_by_time_in_m_and_by_size_in_capital_m() {
        for (text, rotate) in [
            ("10m", Rotate::Time(Span::from_ns(600_000_000_000))),
            ("10M", Rotate::Size(10 << 20)),
            ("100MiB", Rotate::Size(100 << 20)),
            ("1h", Rotate::Time(Span::from_ns(3_600_000_000_000))),
            ("1g", Rotate::Size(1 << 30)),
        ] {
            assert_eq!(Rotate::parse(text), Ok(rotate), "{text}");
        }
        assert_eq!(
            Rotate::parse("10").map_err(|error| error.to_string()),
            Err("cannot read \"10\" as what to rotate by: the unit is missing; write a size such as 100MiB or a time \
                 such as 10m or 1h (m is minutes, M is MiB)"
                .into())
        );
        for text in ["", "0m", "0M", "10x", "-1m"] {
            assert!(Rotate::parse(text).is_err(), "{text}");
        }
    }
}
