//! `anomalies` as text, and `check`'s line for monitoring plugins: what is abnormal, since when, which component, how sure. Not
//! what that is: findings come with their words (`tcplens_core::view::anomaly`).

use std::fmt::Write;

use tcplens_core::record::Finding;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::anomaly::Watching;

use crate::color::Paint;
use crate::glyphs::Glyphs;
use crate::human::{Count, Duration};
use crate::report::prose::wrap;
use crate::rfc3339::{LENGTH, Rfc3339};
use crate::shell::quoted;

/// What separates a finding's advice from the query that shows it.
const QUERY: &str = " Its minutes: ";
/// What that query begins with.
const COMMAND: &str = "tcplens query ";

/// A finding, and whether it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The finding; ranked.
    pub finding: Finding,
    /// It was abnormal until the end of what was looked at.
    pub goes_on: bool,
}

/// What was looked at.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Where rollups come from, as the user wrote it.
    pub store: &'a str,
    /// From when until just before when findings are told.
    pub window: (Timestamp, Timestamp),
    /// How much later the newest record is than what is told, for not every host told more.
    pub behind: Span,
    /// What was watched.
    pub watching: Watching,
    /// Addresses, networks and hosts that the topology names.
    pub places: usize,
    /// Troubles that were too many to be kept.
    pub left_out: u64,
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct AnomalyOptions {
    /// Columns of a line.
    pub width: usize,
    /// Escape sequences of colour.
    pub color: bool,
    /// Characters that may be printed.
    pub glyphs: Glyphs,
}

/// The text: the worst first, then what was watched.
#[must_use]
pub fn render(told: &[Told], about: &About<'_>, options: AnomalyOptions) -> String {
    let mut text = String::new();
    let window = format!("from {} to {}", minute(about.window.0), clock(about.window));
    let painted = |text: &mut String, paint: Paint, what: &str| {
        let (before, after) = match options.color {
            true => paint.sequences(),
            false => ("", ""),
        };
        // Writing to a String cannot fail, here and below.
        let _ = write!(text, "{before}{what}{after}");
    };
    let watching = &about.watching;
    match (told.len(), watching.judged) {
        (0, 0) => {
            painted(&mut text, Paint::Yellow, "Nothing can be judged yet");
            let _ = writeln!(text, " {window} UTC: there is too little history.");
        }
        (0, _) => {
            painted(&mut text, Paint::Green, "Nothing abnormal found");
            let _ = writeln!(text, " {window} UTC.");
        }
        (n, _) => {
            let go_on = told.iter().filter(|told| told.goes_on).count();
            let abnormal = match n {
                1 => "1 thing is abnormal".to_owned(),
                n => format!("{n} things are abnormal"),
            };
            painted(&mut text, Paint::Bold, &abnormal);
            let goes_on = match (go_on, n) {
                (0, 1) => "it is over".to_owned(),
                (0, _) => "all are over".to_owned(),
                (1, 1) => "it goes on".to_owned(),
                (go_on, n) if go_on == n => "all go on".to_owned(),
                (1, _) => "1 goes on".to_owned(),
                (go_on, _) => format!("{go_on} go on"),
            };
            let worst = if n > 1 { " (the worst first)" } else { "" };
            let _ = writeln!(text, " {window} UTC; {goes_on}{worst}.");
        }
    }
    let digits = told.len().to_string().len();
    for Told { finding, goes_on } in told {
        let indent = " ".repeat(digits + 2);
        let _ = write!(text, "\n{:>digits$}. ", finding.rank);
        painted(&mut text, Paint::Red, finding.code);
        if let Some(component) = &finding.component {
            text.push_str(", ");
            painted(&mut text, Paint::Bold, component);
            if let Some(p) = &finding.p_value {
                let _ = write!(text, " (by chance: p = {p})");
            }
        }
        text.push_str(&lasted(finding, *goes_on));
        if finding.harm > 0 {
            let what = match finding.code {
                "abnormal_connect" => "attempts or requests",
                _ => "requests",
            };
            let _ = write!(text, ", {} {what}", Count(finding.harm));
        }
        text.push('\n');
        for sentence in [&finding.text, &finding.evidence].into_iter().flatten() {
            wrap(&mut text, 0, &indent, sentence, options.width);
        }
        let advice = finding.advice.as_deref().unwrap_or_default();
        let (next, query) = advice.split_once(QUERY).unwrap_or((advice, ""));
        if !next.is_empty() {
            let next = format!("next: {next}");
            wrap(&mut text, 0, &indent, &next, options.width);
        }
        if let Some(words) = query.strip_prefix(COMMAND) {
            // On a line of its own, to be copied.
            let (store, words) = (quoted(about.store), of_store(about.store, words));
            let _ = writeln!(text, "{indent}show: {COMMAND}--store {store} {words}");
        }
    }
    if about.left_out > 0 {
        let _ = writeln!(text, "\n... and {} more.", Count(about.left_out));
    }
    text.push('\n');
    wrap(&mut text, 0, "", &watched(about), options.width);
    options.glyphs.fit(&text).into_owned()
}

/// A query's words as the store understands them: a server has `time` as a number, and the same as a DateTime in `at`.
fn of_store(store: &str, words: &str) -> String {
    match store.contains("://") {
        true => words.replace(" AND time >= '", " AND at >= '"),
        false => words.to_owned(),
    }
}

/// `, since 2026-11-24 14:03 (12m)`, `, 2026-11-24 14:03 to 14:20 (17m)`.
fn lasted(finding: &Finding, goes_on: bool) -> String {
    let (Some(since), Some(until)) = (finding.time, finding.until) else {
        return String::new();
    };
    let length = until.since(since).unwrap_or_default();
    match goes_on {
        true => format!(", since {} ({})", minute(since), Duration(length)),
        false => format!(
            ", {} to {} ({})",
            minute(since),
            clock((since, until)),
            Duration(length)
        ),
    }
}

/// What was looked at, so that nothing found is worth something.
fn watched(about: &About<'_>) -> String {
    let Watching {
        judged,
        learning,
        instances,
        first,
        last,
        rollups,
        counts,
        refused_troubles,
    } = about.watching;
    let plural = |n: u64, one: &str| format!("{} {one}{}", Count(n), if n == 1 { "" } else { "s" });
    let mut text = format!("Watched: {}", plural(judged, "server"));
    if learning > 0 {
        let _ = write!(
            text,
            ", and {} with too little history to be judged",
            Count(learning)
        );
    }
    let _ = write!(text, "; {} with their operations", Count(instances));
    if let (Some(first), Some(last)) = (first, last) {
        let length = last.since(first).unwrap_or_default();
        let _ = write!(
            text,
            "; history: {} since {} ({})",
            Duration(length),
            minute(first),
            plural(rollups, "rollup")
        );
    } else {
        text.push_str("; there is no rollup of that time");
    }
    text.push('.');
    text.push_str(&behind(about.window.1, about.behind));
    if about.places > 0 {
        let _ = write!(
            text,
            " The topology names {}.",
            plural(about.places as u64, "place")
        );
    }
    let unjudged = [
        (
            counts.refused_samples,
            "minute of instances beyond the bound",
        ),
        (counts.refused_rollups, "rollup too far ahead"),
        (counts.late_rollups, "rollup that came late"),
        (counts.nameless_rollups, "rollup without a server"),
        (refused_troubles, "abnormal server beyond the bound"),
    ];
    let unjudged: Vec<_> = unjudged
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} x {what}", Count(n)))
        .collect();
    if !unjudged.is_empty() {
        let _ = write!(text, " Not judged: {}.", unjudged.join(", "));
    }
    text
}

/// How far is judged, if that is more than a minute behind the newest record, as a sentence after others; or nothing. The minute
/// is the newest, of which a part may be missing.
#[must_use]
pub fn behind(until: Timestamp, behind: Span) -> String {
    match behind.ns() > 60 * SECOND.unsigned_abs() {
        true => format!(
            " Judged until {} UTC, {} behind the newest record: not every host told more.",
            minute(until),
            Duration(behind)
        ),
        false => String::new(),
    }
}

/// `2026-11-24 14:03`.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    let mut text = [0; LENGTH];
    Rfc3339::default().write(&mut text, at);
    let text = String::from_utf8_lossy(text.get(..16).unwrap_or_default());
    text.replace('T', " ")
}

/// The second of two times: without its date if that is the first one's.
fn clock((from, to): (Timestamp, Timestamp)) -> String {
    let (from, to) = (minute(from), minute(to));
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((day, _)), Some((same, time))) if day == same => time.to_owned(),
        _ => to,
    }
}

/// How bad `check` finds it, in the words of monitoring plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is abnormal.
    Ok,
    /// Something is.
    Warning,
    /// Something that counts as critical is.
    Critical,
    /// That cannot be told.
    Unknown,
}

impl Severity {
    /// The exit status: 0, 1, 2, 3 (Monitoring Plugins Development Guidelines, "Plugin Return Codes").
    #[must_use]
    pub fn status(self) -> u8 {
        self as u8
    }

    /// The word of the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Ok => "OK",
            Severity::Warning => "WARNING",
            Severity::Critical => "CRITICAL",
            Severity::Unknown => "UNKNOWN",
        }
    }
}

/// A value after the bar of a plugin's line: label, value with its unit.
pub type Measure = (&'static str, String);

/// `TCPLENS WARNING - text | abnormal=1 ...`: one line, whatever is in the text.
#[must_use]
pub fn plugin_line(severity: Severity, text: &str, measures: &[Measure]) -> String {
    // The bar ends the text for whoever reads it.
    let text: String = text
        .chars()
        .map(|c| match c {
            '|' => '/',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let mut line = format!("TCPLENS {} - {text}", severity.word());
    for (n, (label, value)) in measures.iter().enumerate() {
        let _ = write!(line, "{}{label}={value}", if n == 0 { " | " } else { " " });
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use tcplens_core::record::Suspect;

    use super::*;

    /// 2026-11-24T14:00:00Z.
    const START: i64 = 1_795_528_800;

    fn at(minute: i64) -> Timestamp {
        Timestamp((START + minute * 60) * SECOND)
    }

    fn options() -> AnomalyOptions {
        AnomalyOptions {
            width: 80,
            color: false,
            glyphs: Glyphs::Unicode,
        }
    }

    fn about(judged: u64) -> About<'static> {
        About {
            store: "/data",
            window: (at(-55), at(5)),
            behind: Span::from_ns(60 * SECOND as u64),
            watching: Watching {
                judged,
                learning: 2,
                instances: 120,
                first: Some(at(-30 * 1440)),
                last: Some(at(5)),
                rollups: 1_234_567,
                ..Watching::default()
            },
            places: 0,
            left_out: 0,
        }
    }

    #[test]
    fn the_first_lines_say_what_since_when_which_component_and_how_sure() {
        let rack = Finding {
            time: Some(at(3)),
            until: Some(at(5)),
            text: Some("Since 14:03 UTC 31 of 33 servers with rack=r17 are abnormal.".to_owned()),
            evidence: Some("process 8.2 ms, usually 1.1 ms.".to_owned()),
            advice: Some(
                "Look at what changed. Its minutes: tcplens query \"SELECT 1\"".to_owned(),
            ),
            component: Some("rack=r17".to_owned()),
            p_value: Some("1.2e-9".to_owned()),
            ..Finding::new(1, "abnormal_latency", 18_600, Suspect::Server)
        };
        let over = Finding {
            time: Some(at(-40)),
            until: Some(at(-23)),
            text: Some("From 13:20 to 13:37 UTC 12 % of the answers are errors.".to_owned()),
            ..Finding::new(2, "abnormal_errors", 40, Suspect::Server)
        };
        let told = [
            Told {
                finding: rack,
                goes_on: true,
            },
            Told {
                finding: over,
                goes_on: false,
            },
        ];
        assert_eq!(
            render(&told, &about(33), options()),
            "\
2 things are abnormal from 2026-11-24 13:05 to 14:05 UTC; 1 goes on (the worst first).

1. abnormal_latency, rack=r17 (by chance: p = 1.2e-9), since 2026-11-24 14:03 (2m 00s), 18,600 requests
   Since 14:03 UTC 31 of 33 servers with rack=r17 are abnormal.
   process 8.2 ms, usually 1.1 ms.
   next: Look at what changed.
   show: tcplens query --store /data \"SELECT 1\"

2. abnormal_errors, 2026-11-24 13:20 to 13:37 (17m 00s), 40 requests
   From 13:20 to 13:37 UTC 12 % of the answers are errors.

Watched: 33 servers, and 2 with too little history to be judged; 120 with their
operations; history: 30d 00h since 2026-10-25 14:00 (1,234,567 rollups).
"
        );
    }

    #[test]
    fn what_shows_it_is_in_the_words_of_the_store() {
        let finding = Finding {
            advice: Some(
                "Look. Its minutes: tcplens query \"SELECT time FROM rollups WHERE server_port = 1 AND time >= '2026-11-24 13:03:00' \
                 ORDER BY time\""
                    .to_owned(),
            ),
            ..Finding::new(1, "abnormal_latency", 1, Suspect::Server)
        };
        let told = [Told {
            finding,
            goes_on: true,
        }];
        let shown = |store| {
            let about = About { store, ..about(1) };
            let text = render(&told, &about, options());
            let line = text.lines().find(|line| line.contains("show: "));
            line.unwrap().trim().to_owned()
        };
        assert_eq!(
            shown("/data/it's"),
            "show: tcplens query --store '/data/it'\\''s' \"SELECT time FROM rollups WHERE server_port = 1 AND \
             time >= '2026-11-24 13:03:00' ORDER BY time\""
        );
        assert_eq!(
            shown("clickhouse://joe@db1/net?secure=1"),
            "show: tcplens query --store 'clickhouse://joe@db1/net?secure=1' \"SELECT time FROM rollups WHERE server_port = 1 \
             AND at >= '2026-11-24 13:03:00' ORDER BY time\""
        );
    }

    #[test]
    fn nothing_found_says_what_was_watched_and_a_cold_start_is_told() {
        assert_eq!(
            render(&[], &about(33), options()).lines().next(),
            Some("Nothing abnormal found from 2026-11-24 13:05 to 14:05 UTC.")
        );
        let mut young = about(0);
        young.watching.first = Some(at(-115));
        young.watching.counts.late_rollups = 3;
        young.places = 1;
        young.behind = Span::from_ns(300 * SECOND as u64);
        assert_eq!(
            render(&[], &young, options()),
            "\
Nothing can be judged yet from 2026-11-24 13:05 to 14:05 UTC: there is too little history.

Watched: 0 servers, and 2 with too little history to be judged; 120 with their
operations; history: 2h 00m since 2026-11-24 12:05 (1,234,567 rollups). Judged
until 2026-11-24 14:05 UTC, 5m 00s behind the newest record: not every host told
more. The topology names 1 place. Not judged: 3 x rollup that came late.
"
        );
    }

    #[test]
    fn a_plugin_s_line_is_one_line_with_one_bar() {
        let measures = [("abnormal", "1;1".to_owned()), ("age", "42s".to_owned())];
        let line = plugin_line(Severity::Warning, "a | b\nc", &measures);
        assert_eq!(line, "TCPLENS WARNING - a / b c | abnormal=1;1 age=42s\n");
        assert_eq!(
            plugin_line(Severity::Unknown, "no store", &[]),
            "TCPLENS UNKNOWN - no store\n"
        );
        let statuses = [
            Severity::Ok,
            Severity::Warning,
            Severity::Critical,
            Severity::Unknown,
        ];
        assert_eq!(statuses.map(Severity::status), [0, 1, 2, 3]);
    }
}
