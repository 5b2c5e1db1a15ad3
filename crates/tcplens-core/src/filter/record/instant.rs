//! Points in time as RFC 3339 writes them, and as a date alone (its first moment, UTC). The calendar is the Gregorian one:
//! Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use std::fmt;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// What an error says.
pub(super) const EXPECTED: &str =
    "expected a time such as 2026-11-22T01:08:22Z (RFC 3339) or a date";

/// Nanoseconds since 1970.
pub(super) fn parse(word: &str) -> Option<i64> {
    let (date, clock) = match word.split_once(['T', 't']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (word, None),
    };
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    let day = digits(parts.next()?, 2)?;
    if parts.next().is_some()
        || !(1..=12).contains(&month)
        || !(1..=last(year, month)).contains(&day)
    {
        return None;
    }
    let (second, ns) = match clock {
        Some(clock) => of_clock(clock)?,
        None => (0, 0),
    };
    let seconds = days(year, month, day) * DAY + second;
    seconds.checked_mul(SECOND)?.checked_add(ns)
}

/// Seconds since the day began (in UTC: it may be another one) and nanoseconds.
fn of_clock(clock: &str) -> Option<(i64, i64)> {
    let zone = clock.rfind(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at_checked(zone)?;
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let (sign, zone) = zone.split_at_checked(1)?;
            let (hours, minutes) = zone.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if sign == "-" { -offset } else { offset }
        }
    };
    let (clock, decimals) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let second = digits(parts.next()?, 2)?;
    // A leap second is the next minute's first.
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let width = decimals.len();
    if !(1..=9).contains(&width) {
        return None;
    }
    let ns = digits(&format!("{decimals:0<9}"), 9)?;
    Some((hour * 3600 + minute * 60 + second - offset, ns))
}

fn digits(text: &str, width: usize) -> Option<i64> {
    let is_plain = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn last(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date; years begin in March, so that a leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// UTC with nine digits.
pub(super) fn write(f: &mut fmt::Formatter<'_>, ns: i64) -> fmt::Result {
    let (seconds, ns) = (ns.div_euclid(SECOND), ns.rem_euclid(SECOND));
    let (days, second) = (seconds.div_euclid(DAY) + 719_468, seconds.rem_euclid(DAY));
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z"
    )
}
