//! Periods of an observation as options name them: `300s`, `10:00..10:05`. Not what they are compared with.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tcplens_core::time::{SECOND, Span, Timestamp};

use crate::units::parse_duration;

const DAY: i64 = 86_400 * SECOND;

/// A part of the time of an observation, from one moment until just before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Without it: from the beginning on.
    from: Option<Moment>,
    /// Without it: to the end.
    to: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Since the first packet.
    After(Span),
    /// UTC time of day, in ns since midnight.
    Clock(i64),
    /// UTC.
    Date(Timestamp),
}

impl FromStr for Period {
    type Err = String;

    /// Reads `FROM..TO`, where either may be left out, or `TO` alone if it is a duration.
    fn from_str(text: &str) -> Result<Period, String> {
        let wrong = || {
            format!(
                "{text:?} is no period; write 300s (the first 300 s), 5m..10m (since the first packet), 10:00..10:05 (UTC) or \
                 2026-11-21T10:00..2026-11-21T10:05"
            )
        };
        let Some((from, to)) = text.split_once("..") else {
            let Some(moment @ Moment::After(length)) = moment(text) else {
                return Err(wrong());
            };
            return match length.ns() {
                0 => Err(wrong()),
                _ => Ok(Period {
                    from: None,
                    to: Some(moment),
                }),
            };
        };
        let end = |text: &str| match text {
            "" => Ok(None),
            text => moment(text).map(Some).ok_or_else(wrong),
        };
        let period = Period {
            from: end(from)?,
            to: end(to)?,
        };
        if period.from.is_none() && period.to.is_none() {
            return Err(wrong());
        }
        Ok(period)
    }
}

impl Period {
    /// From when until just before when, in an observation that begins there. A time of day is the first one whose period
    /// does not end before that.
    #[must_use]
    pub fn within(self, first_packet: Timestamp) -> (Timestamp, Timestamp) {
        let at = |moment| match moment {
            Moment::After(span) => first_packet.plus(i64::try_from(span.ns()).unwrap_or(i64::MAX)),
            Moment::Clock(ns) => Timestamp(first_packet.0.div_euclid(DAY) * DAY).plus(ns),
            Moment::Date(at) => at,
        };
        let mut from = self.from.map_or(Timestamp::MIN, at);
        let mut to = self.to.map_or(Timestamp::MAX, at);
        let is_clock = |moment| matches!(moment, Some(Moment::Clock(_)));
        if is_clock(self.to) && to < from {
            to = to.plus(DAY);
        }
        if is_clock(self.to) && to <= first_packet {
            to = to.plus(DAY);
            if is_clock(self.from) {
                from = from.plus(DAY);
            }
        }
        (from, to)
    }
}

fn moment(text: &str) -> Option<Moment> {
    if text.contains('T') {
        let text = text.strip_suffix('Z').unwrap_or(text);
        let civil = DateTime::from_str(text).ok()?;
        let at = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let ns = i64::try_from(at.as_nanosecond()).ok()?;
        return Some(Moment::Date(Timestamp(ns)));
    }
    if text.contains(':') {
        let midnight = DateTime::from_str(&format!("1970-01-01T{text}")).ok()?;
        let at = midnight.to_zoned(TimeZone::UTC).ok()?.timestamp();
        return i64::try_from(at.as_nanosecond()).ok().map(Moment::Clock);
    }
    parse_duration(text).ok().map(Moment::After)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T01:08:22Z.
    const FIRST: Timestamp = Timestamp(1_795_223_302 * SECOND);

    fn within(text: &str) -> (i64, i64) {
        let (from, to) = text.parse::<Period>().unwrap().within(FIRST);
        let seconds = |at: Timestamp| match at {
            Timestamp::MIN | Timestamp::MAX => at.0,
            _ => (at.0 - FIRST.0) / SECOND,
        };
        (seconds(from), seconds(to))
    }

    #[test]
    fn periods_are_since_the_first_packet_or_times_of_day_or_dates() {
        for (text, expected) in [
            ("300s", (i64::MIN, 300)),
            ("1m..90s", (60, 90)),
            ("5m..", (300, i64::MAX)),
            ("..01:09", (i64::MIN, 38)),
            ("01:09..01:10:30.5", (38, 128)),
            // It begins before the first packet, and ends after it.
            ("01:00..01:10", (-502, 98)),
            // Over before the first packet: that of the next day.
            ("00:00..01:00", (86_400 - 4102, 86_400 - 502)),
            ("23:59..00:01", (82_238, 82_358)),
            ("2026-11-21T01:09..2026-11-21T01:10:00Z", (38, 98)),
        ] {
            assert_eq!(within(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_period_may_be_a_file() {
        for text in [
            "",
            "..",
            "../base.pcap",
            "300",
            "0s",
            "base.pcap",
            "10:00",
            "25:00..26:00",
        ] {
            let error = text.parse::<Period>().unwrap_err();
            assert!(
                error.contains("is no period; write 300s"),
                "{text}: {error}"
            );
        }
    }
}
