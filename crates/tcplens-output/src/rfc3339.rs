//! Points in time as RFC 3339 in UTC with nine digits, and the civil calendar behind it. Not the
//! time styles for people (see `time_style`). Calendar: H. Hinnant, "chrono-Compatible Low-Level
//! Date Algorithms", `civil_from_days`.

use tcplens_core::time::{SECOND, Timestamp};

use crate::digits;

/// Length of `2026-11-21T01:08:22.384589048Z`. Timestamps reach from 1677 to 2262, so the year has
/// four digits.
pub const LENGTH: usize = 30;

const SECONDS_PER_DAY: i64 = 86_400;

/// Prints times; remembers the last second, so that times close together cost only their nine
/// digits.
#[derive(Clone, Debug)]
pub struct Rfc3339 {
    second: i64,
    day: i64,
    /// The text of `second`, the fraction stale.
    text: [u8; LENGTH],
}

impl Default for Rfc3339 {
    fn default() -> Self {
        Self {
            second: 0,
            day: 0,
            text: *b"1970-01-01T00:00:00.000000000Z",
        }
    }
}

impl Rfc3339 {
    /// Writes `at`.
    #[inline]
    pub fn write(&mut self, out: &mut [u8; LENGTH], at: Timestamp) {
        let second = at.0.div_euclid(SECOND);
        if second != self.second {
            self.turn_to(second);
        }
        *out = self.text;
        if let Some(fraction) = out[20..].first_chunk_mut::<9>() {
            digits::nanos(fraction, at.0.rem_euclid(SECOND) as u32);
        }
    }

    #[cold]
    fn turn_to(&mut self, second: i64) {
        self.second = second;
        let (day, of_day) = (
            second.div_euclid(SECONDS_PER_DAY),
            second.rem_euclid(SECONDS_PER_DAY) as u32,
        );
        let mut put = |at: usize, value: u32| {
            if let Some(slot) = self.text[at..].first_chunk_mut::<2>() {
                digits::two(slot, value);
            }
        };
        put(11, of_day / 3600);
        put(14, of_day / 60 % 60);
        put(17, of_day % 60);
        if day != self.day {
            let date = Date::from_days(day);
            put(0, date.year / 100);
            put(2, date.year % 100);
            put(5, date.month);
            put(8, date.day);
            self.day = day;
        }
    }
}

/// A date of the proleptic Gregorian calendar, after year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: u32,
    /// Month, from 1.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
}

impl Date {
    /// The date `days` after 1970-01-01; negative is before. Right for every day of years 0 to
    /// 9999.
    #[must_use]
    pub fn from_days(days: i64) -> Date {
        // Days since 0000-03-01: the leap day is the last of its year, and eras of 400 years are
        // alike.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Date {
            year: year as u32,
            month: month as u32,
            day: day as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(clock: &mut Rfc3339, ns: i64) -> String {
        let mut out = [0; LENGTH];
        clock.write(&mut out, Timestamp(ns));
        String::from_utf8_lossy(&out).into_owned()
    }

    fn jiff_text(ns: i64) -> String {
        format!(
            "{:.9}",
            jiff::Timestamp::from_nanosecond(ns.into()).unwrap()
        )
    }

    #[test]
    fn times_at_the_edges_are_right() {
        for (ns, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_795_223_302_384_589_048, "2026-11-21T01:08:22.384589048Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00.000000000Z"),
            (4_107_542_400 * SECOND, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(text(&mut Rfc3339::default(), ns), expected);
        }
    }

    proptest! {
        #[test]
        fn any_time_is_as_jiff_prints_it(first: i64, steps in prop::collection::vec(-200_000..200_000_i64, 0..8)) {
            let mut clock = Rfc3339::default();
            prop_assert_eq!(text(&mut clock, first), jiff_text(first));
            for step in steps {
                let at = first.saturating_add(step * 1_000_000_007);
                prop_assert_eq!(text(&mut clock, at), jiff_text(at));
            }
        }
    }
}
