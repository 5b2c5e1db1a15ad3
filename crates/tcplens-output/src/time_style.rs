//! Points in time for people, in the styles of `--time`. Machine formats always use `rfc3339`.

use std::str::FromStr;

use jiff::tz::TimeZone;
use tcplens_core::time::{SECOND, Timestamp};

use crate::rfc3339::{self, Rfc3339};

/// `--time utc|local|relative|epoch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeStyle {
    /// `2026-11-21 01:08:22.384589Z`
    #[default]
    Utc,
    /// `2026-11-21 02:08:22.384589+01:00`, in the system's time zone or that of TZ.
    Local,
    /// `12.384589`: seconds since the first packet.
    Relative,
    /// `1795223302.384589`: seconds since 1970-01-01T00:00:00Z.
    Epoch,
}

impl FromStr for TimeStyle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "utc" => Ok(Self::Utc),
            "local" => Ok(Self::Local),
            "relative" => Ok(Self::Relative),
            "epoch" => Ok(Self::Epoch),
            _ => Err(format!(
                "cannot read {text:?} as a style of time; write utc, local, relative or epoch"
            )),
        }
    }
}

/// Prints times in one style, to the microsecond (cut, not rounded).
#[derive(Clone, Debug)]
pub struct TimeFormat {
    style: TimeStyle,
    zone: TimeZone,
    /// Time zero of the relative style.
    origin: Option<Timestamp>,
    clock: Rfc3339,
    /// The last second whose offset was looked up, and the offset.
    offset: Option<(i64, i32)>,
}

impl TimeFormat {
    /// Prints in `style`. Looks up the system's time zone for `local`; where it has none that is
    /// UTC, and the printed offset says so.
    #[must_use]
    pub fn new(style: TimeStyle) -> Self {
        let zone = match style {
            TimeStyle::Local => TimeZone::system(),
            TimeStyle::Utc | TimeStyle::Relative | TimeStyle::Epoch => TimeZone::UTC,
        };
        Self::in_zone(style, zone)
    }

    fn in_zone(style: TimeStyle, zone: TimeZone) -> Self {
        Self {
            style,
            zone,
            origin: None,
            clock: Rfc3339::default(),
            offset: None,
        }
    }

    /// Which style it prints.
    #[must_use]
    pub fn style(&self) -> TimeStyle {
        self.style
    }

    /// Sets time zero of the relative style: the first packet. Unless it is set, the first time
    /// printed is zero.
    pub fn set_origin(&mut self, first_packet: Timestamp) {
        self.origin = Some(first_packet);
    }

    /// Appends `at`.
    pub fn write(&mut self, out: &mut String, at: Timestamp) {
        match self.style {
            TimeStyle::Utc => {
                self.write_civil(out, at);
                out.push('Z');
            }
            TimeStyle::Local => {
                let offset = self.offset_at(at.0.div_euclid(SECOND));
                self.write_civil(out, at.plus(i64::from(offset) * SECOND));
                write_offset(out, offset);
            }
            TimeStyle::Relative => {
                let origin = *self.origin.get_or_insert(at);
                write_seconds(out, i128::from(at.0) - i128::from(origin.0));
            }
            TimeStyle::Epoch => write_seconds(out, at.0.into()),
        }
    }

    fn write_civil(&mut self, out: &mut String, at: Timestamp) {
        let mut text = [0; rfc3339::LENGTH];
        self.clock.write(&mut text, at);
        text[10] = b' ';
        // Digits and punctuation: always UTF-8.
        out.push_str(str::from_utf8(&text[..26]).unwrap_or_default());
    }

    fn offset_at(&mut self, second: i64) -> i32 {
        match self.offset {
            Some((known, offset)) if known == second => offset,
            _ => {
                let offset = jiff::Timestamp::from_second(second)
                    .map_or(0, |at| self.zone.to_offset(at).seconds());
                self.offset = Some((second, offset));
                offset
            }
        }
    }
}

/// Appends `+01:00`; offsets of old times have seconds, `+00:53:28`.
fn write_offset(out: &mut String, offset: i32) {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.unsigned_abs();
    out.push_str(&format!(
        "{sign}{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60
    ));
    if !seconds.is_multiple_of(60) {
        out.push_str(&format!(":{:02}", seconds % 60));
    }
}

fn write_seconds(out: &mut String, ns: i128) {
    let us = ns.unsigned_abs() / 1000;
    let sign = if ns < 0 { "-" } else { "" };
    out.push_str(&format!("{sign}{}.{:06}", us / 1_000_000, us % 1_000_000));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(format: &mut TimeFormat, ns: i64) -> String {
        let mut out = String::new();
        format.write(&mut out, Timestamp(ns));
        out
    }

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn each_style_says_which_it_is() {
        let at = 1_795_223_302_384_589_048;
        for (style, zone, expected) in [
            (TimeStyle::Utc, TimeZone::UTC, "2026-11-21 01:08:22.384589Z"),
            (
                TimeStyle::Local,
                berlin(),
                "2026-11-21 02:08:22.384589+01:00",
            ),
            (
                TimeStyle::Local,
                TimeZone::posix("<-0330>3:30").unwrap(),
                "2026-11-20 21:38:22.384589-03:30",
            ),
            (TimeStyle::Relative, TimeZone::UTC, "0.000000"),
            (TimeStyle::Epoch, TimeZone::UTC, "1795223302.384589"),
        ] {
            assert_eq!(text(&mut TimeFormat::in_zone(style, zone), at), expected);
        }
        assert_eq!(
            text(&mut TimeFormat::new(TimeStyle::Epoch), -1_500_000_000),
            "-1.500000"
        );
    }

    #[test]
    fn relative_times_count_from_the_first_packet_and_may_be_before_it() {
        let mut format = TimeFormat::new(TimeStyle::Relative);
        format.set_origin(Timestamp(10 * SECOND));
        assert_eq!(text(&mut format, 12 * SECOND + 1_999), "2.000001");
        assert_eq!(text(&mut format, 9 * SECOND), "-1.000000");
        assert_eq!(text(&mut format, i64::MIN), "-9223372046.854775");
    }

    proptest! {
        #[test]
        fn any_local_time_is_as_jiff_prints_it(seconds in -9_000_000_000..9_000_000_000_i64, ns in 0..SECOND) {
            let at = jiff::Timestamp::from_nanosecond(i128::from(seconds) * 1_000_000_000 + i128::from(ns)).unwrap();
            let expected = at.to_zoned(berlin()).strftime("%Y-%m-%d %H:%M:%S.%6f%:z").to_string();
            let mut format = TimeFormat::in_zone(TimeStyle::Local, berlin());
            prop_assert_eq!(text(&mut format, seconds * SECOND + ns), expected);
        }
    }
}
