//! Axes: steps of 1, 2 and 5 for latencies, round times for what goes on. Not what is drawn on them.

use tcplens_core::time::{SECOND, Span, Timestamp};

use crate::human::Duration;
use crate::time_style::{TimeFormat, TimeStyle};

/// 1, 2 and 5 times a power of ten, in ns, the `n`th of them; the last is 5e18.
pub(crate) fn step(n: u32) -> u64 {
    let n = n.min(56);
    [1, 2, 5][n as usize % 3] * 10_u64.pow(n / 3)
}

/// The largest step that is no longer than that.
pub(crate) fn step_of(span: Span) -> u32 {
    (0..=56)
        .rev()
        .find(|&n| step(n) <= span.ns())
        .unwrap_or_default()
}

/// `200 µs`, `5 ms`, `1 s`.
pub(crate) fn step_label(n: u32) -> String {
    Duration(Span::from_ns(step(n))).to_string()
}

/// What labels of a time axis may be apart, in ns.
const ROUND_NS: [i64; 24] = {
    let ms = SECOND / 1000;
    let minute = 60 * SECOND;
    let hour = 60 * minute;
    [
        ms,
        5 * ms,
        10 * ms,
        50 * ms,
        100 * ms,
        500 * ms,
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        15 * SECOND,
        30 * SECOND,
        minute,
        2 * minute,
        5 * minute,
        10 * minute,
        15 * minute,
        30 * minute,
        hour,
        2 * hour,
        6 * hour,
        12 * hour,
        24 * hour,
        240 * hour,
    ]
};

/// Labels of an axis that begins at `from` and has `columns` of `width_ns` each: column and text, so far apart that none runs
/// into the next.
pub(crate) fn labels(
    from: Timestamp,
    columns: usize,
    width_ns: i64,
    style: TimeStyle,
    origin: Timestamp,
) -> Vec<(usize, String)> {
    let room = |apart: i64| match (style, apart < SECOND) {
        (TimeStyle::Utc | TimeStyle::Local, true) => 14,
        (TimeStyle::Utc | TimeStyle::Local, false) => 10,
        (TimeStyle::Relative | TimeStyle::Epoch, _) => 9,
    };
    let last = ROUND_NS[ROUND_NS.len() - 1];
    let apart = ROUND_NS
        .into_iter()
        .find(|&apart| apart / width_ns.max(1) >= room(apart))
        .unwrap_or(last);
    // Round times of the clock, or round distances from the first packet.
    let zero = match style {
        TimeStyle::Utc | TimeStyle::Local => 0,
        TimeStyle::Relative | TimeStyle::Epoch => origin.0,
    };
    let mut format = TimeFormat::new(style);
    let mut labels = Vec::new();
    for column in 0..columns {
        let offset = width_ns.saturating_mul(i64::try_from(column).unwrap_or(i64::MAX));
        let at = from.0.saturating_add(offset).saturating_sub(zero);
        // The first round time at or after the column's beginning.
        let round = at.div_euclid(apart) * apart + if at.rem_euclid(apart) > 0 { apart } else { 0 };
        if round < at.saturating_add(width_ns) {
            let time = Timestamp(round.saturating_add(zero));
            labels.push((column, label(time, apart, style, origin, &mut format)));
        }
    }
    labels
}

fn label(
    at: Timestamp,
    apart: i64,
    style: TimeStyle,
    origin: Timestamp,
    format: &mut TimeFormat,
) -> String {
    match style {
        TimeStyle::Utc | TimeStyle::Local => {
            let mut text = String::new();
            format.write(&mut text, at);
            // `2026-11-21 01:08:22.384589Z`
            let piece = match apart {
                ..SECOND => 11..23,
                SECOND..86_400_000_000_000 => 11..19,
                _ => 5..10,
            };
            text.get(piece).unwrap_or_default().to_owned()
        }
        TimeStyle::Relative | TimeStyle::Epoch => match at.since(origin) {
            Some(span) => Duration(span).to_string(),
            None => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_what_lies_between_them_and_the_next() {
        for (ns, expected) in [
            (0, 0),
            (1, 0),
            (4, 1),
            (999_999, 17),
            (1_000_000, 18),
            (u64::MAX - 1, 56),
        ] {
            assert_eq!(step_of(Span::from_ns(ns)), expected, "{ns}");
        }
        assert_eq!([17, 18, 19].map(step_label), ["500 µs", "1 ms", "2 ms"]);
    }

    #[test]
    fn labels_are_round_and_do_not_touch() {
        let from = Timestamp(1_795_223_302_384_589_048);
        let utc = labels(from, 60, SECOND / 2, TimeStyle::Utc, from);
        assert_eq!(
            utc,
            [
                (6, "01:08:25".to_owned()),
                (16, "01:08:30".to_owned()),
                (26, "01:08:35".to_owned()),
                (36, "01:08:40".to_owned()),
                (46, "01:08:45".to_owned()),
                (56, "01:08:50".to_owned()),
            ]
            .map(|(column, text)| (column - 1, text))
        );
        let relative = labels(from, 30, SECOND, TimeStyle::Relative, from);
        assert_eq!(
            relative,
            [
                (0, "0 ns".to_owned()),
                (10, "10 s".to_owned()),
                (20, "20 s".to_owned())
            ]
        );
        let short = labels(from, 30, SECOND / 1000, TimeStyle::Utc, from);
        assert_eq!(short[0].1, "01:08:22.400");
    }
}
