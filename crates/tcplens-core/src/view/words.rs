//! How findings say numbers, times and ends: plain, short, without a locale. Not an encoder of records.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::Few;
use crate::time::Timestamp;

/// `10.20.0.40:8080`, `[2001:db8::1]:80`.
pub(super) fn endpoint(ip: IpAddr, port: u64) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}

/// `1 connection`, `2 connections`, `1,001 connections`.
pub(super) fn count(n: u64, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{} {one}s", grouped(n))
    }
}

/// `12`, `1,234`: as in the tables beside.
pub(super) fn grouped(n: u64) -> Grouped {
    Grouped(n)
}

/// See [`grouped`].
pub(super) struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// `0.68 ms`, `41.2 ms`, `7.15 s`, `3m 12s`.
pub(super) fn duration(ns: u64) -> String {
    let us = ns / 1000;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        10_000..1_000_000 => format!("{} ms", (us + 500) / 1000),
        1_000_000..60_000_000 => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
        _ => format!("{}m {:02}s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// `7.2 %`; what is not zero is at least `0.1 %`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let per_mille = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    let per_mille = if part > 0 { per_mille.max(1) } else { 0 };
    match (per_mille % 10, per_mille / 10) {
        (0, whole) => format!("{whole} %"),
        (tenths, whole) => format!("{whole}.{tenths} %"),
    }
}

/// `1 client (10.0.0.1)`, `more than 4 clients (10.0.0.1, 10.0.0.2, ...)`.
pub(super) fn addresses(few: &Few<IpAddr, 4>, what: &str) -> String {
    let mut text = match (few.has_more(), few.least().len() as u64) {
        (false, n) => count(n, what),
        (true, n) => format!("more than {n} {what}s"),
    };
    for (n, ip) in few.least().iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{ip}", if n == 0 { " (" } else { ", " });
    }
    if !few.least().is_empty() {
        text.push_str(if few.has_more() { ", ...)" } else { ")" });
    }
    text
}

/// `at 04:03:18 UTC`, `first 04:03:18, last 04:03:50 UTC`; with dates if these differ.
pub(super) fn when(first: Timestamp, last: Timestamp) -> String {
    let (first, last) = (clock(first), clock(last));
    if first == last {
        return format!("at {} UTC", first.1);
    }
    if first.0 == last.0 {
        return format!("first {}, last {} UTC", first.1, last.1);
    }
    format!(
        "first {} {}, last {} {} UTC",
        first.0, first.1, last.0, last.1
    )
}

/// `04:03:18 UTC`.
pub(super) fn at(time: Timestamp) -> String {
    format!("{} UTC", clock(time).1)
}

/// Date and time of day.
pub(super) fn clock(time: Timestamp) -> (String, String) {
    let seconds = time.0.div_euclid(1_000_000_000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, for years of 400-year eras that begin in March: Howard Hinnant, "chrono-compatible low-level date
    // algorithms", civil_from_days.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let time = format!(
        "{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    (format!("{year:04}-{month:02}-{date:02}"), time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    #[test]
    fn large_numbers_are_in_groups() {
        for (n, text) in [
            (0, "0 requests"),
            (1, "1 request"),
            (999, "999 requests"),
            (1_001, "1,001 requests"),
            (1_234_567, "1,234,567 requests"),
        ] {
            assert_eq!(count(n, "request"), text);
        }
    }

    #[test]
    fn times_have_dates_only_where_these_differ() {
        let start = Timestamp(1_795_223_302 * SECOND);
        assert_eq!(when(start, start), "at 01:08:22 UTC");
        assert_eq!(
            when(start, start.plus(61 * SECOND)),
            "first 01:08:22, last 01:09:23 UTC"
        );
        assert_eq!(
            when(start, start.plus(86_400 * 10 * SECOND)),
            "first 2026-11-21 01:08:22, last 2026-12-01 01:08:22 UTC"
        );
        assert_eq!(clock(Timestamp(951_782_400 * SECOND)).0, "2000-02-29");
        assert_eq!(
            clock(Timestamp(-1)),
            ("1969-12-31".to_owned(), "23:59:59".to_owned())
        );
    }

    #[test]
    fn durations_and_shares_are_short_and_something_is_never_nothing() {
        for (ns, text) in [
            (279_123, "279 µs"),
            (6_662_756, "6.66 ms"),
            (41_064_840, "41 ms"),
            (7_135_662_122, "7.13 s"),
            (192_000_000_000, "3m 12s"),
        ] {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(
            (percent(1, 100_000), percent(0, 7)),
            ("0.1 %".to_owned(), "0 %".to_owned())
        );
        assert_eq!(
            (percent(14, 14), percent(1, 3)),
            ("100 %".to_owned(), "33.3 %".to_owned())
        );
    }
}
