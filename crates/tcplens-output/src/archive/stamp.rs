//! The times of an archive: RFC 3339 with as many decimals as are needed (Go's RFC3339Nano), in UTC or, in files of 2019, at
//! an offset from it; and Go's zero time, for "none".

use tcplens_core::time::{SECOND, Timestamp};

use crate::rfc3339::{self, Rfc3339};

/// How Go prints the time that was never set.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// A time as it stood in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The time; absent: the line has none.
    pub at: Option<Timestamp>,
    /// How far the clock that wrote it was ahead of UTC, minutes. The text is rewritten as it was.
    pub offset_minutes: i16,
}

impl From<Timestamp> for Stamp {
    fn from(at: Timestamp) -> Stamp {
        Stamp {
            at: Some(at),
            offset_minutes: 0,
        }
    }
}

impl Stamp {
    /// Reads what Go's `time.Time` reads from JSON. Years beyond 1677 to 2262 have no time here: only Go's zero time is
    /// taken, as none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Stamp> {
        if text == NEVER.as_bytes() {
            return Some(Stamp::default());
        }
        let (fixed, rest) = text.split_first_chunk::<19>()?;
        let number = |range: std::ops::Range<usize>| {
            let digits = fixed.get(range)?;
            digits.iter().try_fold(0_i64, |sum, &byte| {
                byte.is_ascii_digit()
                    .then(|| sum * 10 + i64::from(byte - b'0'))
            })
        };
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if marks.iter().any(|&(at, mark)| fixed[at] != mark) {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let in_month = days_in(year, month)?;
        if !(1..=in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (nanos, rest) = fraction(rest)?;
        let offset_minutes = offset(rest)?;
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        let seconds = seconds - i64::from(offset_minutes) * 60;
        let at = seconds.checked_mul(SECOND)?.checked_add(nanos)?;
        Some(Stamp {
            at: Some(Timestamp(at)),
            offset_minutes,
        })
    }

    /// Appends the text, without quotes.
    pub fn write(self, out: &mut Vec<u8>, clock: &mut Rfc3339) {
        let Some(at) = self.at else {
            return out.extend_from_slice(NEVER.as_bytes());
        };
        let mut text = [0; rfc3339::LENGTH];
        clock.write(
            &mut text,
            at.plus(i64::from(self.offset_minutes) * 60 * SECOND),
        );
        let text = &text[..rfc3339::LENGTH - 1];
        let zeros = text.iter().rev().take_while(|&&byte| byte == b'0').count();
        // With nine zeros the point goes as well.
        let kept = text.len() - if zeros >= 9 { 10 } else { zeros };
        out.extend_from_slice(&text[..kept]);
        if self.offset_minutes == 0 {
            return out.push(b'Z');
        }
        let ahead = self.offset_minutes.unsigned_abs();
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let text = format!("{sign}{:02}:{:02}", ahead / 60, ahead % 60);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Nanoseconds behind a point (Go takes a comma as well), and what comes after; more than nine digits are cut.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return Some((0, text));
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(count);
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
    let nanos = padded
        .take(9)
        .fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    Some((nanos, rest))
}

/// Minutes ahead of UTC.
fn offset(text: &[u8]) -> Option<i16> {
    let (sign, rest) = text.split_first()?;
    let sign = match sign {
        b'Z' if rest.is_empty() => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let &[a, b, b':', c, d] = rest else {
        return None;
    };
    let two = |a: u8, b: u8| {
        (a.is_ascii_digit() && b.is_ascii_digit())
            .then(|| i16::from(a - b'0') * 10 + i16::from(b - b'0'))
    };
    let (hours, minutes) = (two(a, b)?, two(c, d)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(28 + i64::from(is_leap)),
        _ => None,
    }
}

/// Days since 1970-01-01: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(stamp: Stamp) -> String {
        let mut out = Vec::new();
        stamp.write(&mut out, &mut Rfc3339::default());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_of_all_generations_come_back_as_they_were() {
        for same in [
            NEVER,
            "2019-07-01T00:00:12.092Z",
            "2019-07-01T00:00:12Z",
            "2026-11-21T01:07:22.384589048Z",
            "2019-08-26T19:55:42.754686952-04:00",
            "2019-12-31T23:30:00.1+05:30",
            "2000-02-29T12:00:00.00000001Z",
            "2020-10-10T10:10:10Z",
        ] {
            assert_eq!(text(Stamp::parse(same.as_bytes()).unwrap()), same);
        }
        let utc = Stamp::parse(b"2019-08-26T23:55:42.754686952Z").unwrap();
        let local = Stamp::parse(b"2019-08-26T19:55:42.754686952-04:00").unwrap();
        assert_eq!(utc.at, local.at);
        assert_eq!(
            text(Stamp::parse(b"2019-07-01T00:00:12.500+00:00").unwrap()),
            "2019-07-01T00:00:12.5Z"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2019-07-01",
            "2019-02-29T00:00:00Z",
            "2019-13-01T00:00:00Z",
            "2019-07-01 00:00:00Z",
            "2019-07-01T24:00:00Z",
            "2019-07-01T00:00:00",
            "2019-07-01T00:00:00.Z",
            "2019-07-01T00:00:00+0400",
            "2019-07-01T00:00:00+25:00",
            "9999-07-01T00:00:00Z",
        ] {
            assert_eq!(Stamp::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_time_comes_back(at: i64, offset in -1439_i16..1440) {
            let margin = 86_400 * SECOND;
            let at = at.clamp(i64::MIN + margin, i64::MAX - margin);
            let stamp = Stamp { at: Some(Timestamp(at)), offset_minutes: offset };
            prop_assert_eq!(Stamp::parse(text(stamp).as_bytes()), Some(stamp));
        }

        #[test]
        fn any_text_is_read_or_refused(text: Vec<u8>) {
            let _ = Stamp::parse(&text);
        }
    }
}
