//! `check`: what is abnormal now in a store, as one line and an exit status of monitoring plugins (Monitoring Plugins Development
//! Guidelines: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; values behind a bar).

use std::process::ExitCode;

use anyhow::Result;
use tcplens_capture::clock;
use tcplens_core::time::Timestamp;
use tcplens_core::view::anomaly::{Family, Trouble, Whom, finding};
use tcplens_output::anomalies::{Measure, Severity, minute, plugin_line};
use tcplens_output::human::Duration;

use super::anomalies::learn::{Learned, learn, nanoseconds};
use super::anomalies::nothing;
use super::generated::to_stdout;
use crate::cli::{Check, Critical};
use crate::say::say;
use crate::status;

pub(super) fn run(command: &Check) -> Result<ExitCode> {
    // What goes on is all that is asked for.
    match learn(&command.history, |until| {
        until.plus(-nanoseconds(command.stale))
    }) {
        Ok(learned) => {
            learned.damages.iter().for_each(say);
            let now = match command.history.until {
                // As if it were then.
                Some(_) => learned.window.1,
                None => clock::now(),
            };
            let (severity, text, measures) = judge(command, &learned, now);
            let line = plugin_line(severity, &text, &measures);
            to_stdout(line.as_bytes())?;
            Ok(severity.status().into())
        }
        Err(error) => Ok(status::unknown(&format!("{error:#}"))),
    }
}

fn judge(command: &Check, learned: &Learned, now: Timestamp) -> (Severity, String, Vec<Measure>) {
    let Some(newest) = learned.watching.last else {
        return (
            Severity::Unknown,
            nothing(&command.history.store),
            Vec::new(),
        );
    };
    let newest = newest.min(now);
    let age = now.since(newest).unwrap_or_default();
    let age_measure = ("age", format!("{}s", age.ns() / 1_000_000_000));
    if age > command.stale {
        let text = format!(
            "the newest rollup ends at {} UTC, {} ago: nothing is stored any more; look whether what fills {} runs",
            minute(newest),
            Duration(age),
            command.history.store
        );
        return (Severity::Unknown, text, vec![age_measure]);
    }
    let open = learned.troubles.iter();
    let open: Vec<_> = open
        .filter(|trouble| !trouble.is_over && is_asked(command, trouble))
        .collect();
    let critical = open.iter().filter(|trouble| is_critical(command, trouble));
    let watching = learned.watching;
    let measures = vec![
        ("abnormal", format!("{};0", open.len())),
        ("critical", format!("{};;0", critical.clone().count())),
        ("servers", watching.judged.to_string()),
        ("learning", watching.learning.to_string()),
        age_measure,
    ];
    let worst = critical.copied().next().or(open.first().copied());
    let Some(worst) = worst else {
        return match watching.judged {
            0 => (
                Severity::Unknown,
                format!(
                    "nothing can be judged yet: {} servers have too little history",
                    watching.learning
                ),
                measures,
            ),
            judged => (
                Severity::Ok,
                format!(
                    "nothing abnormal at {judged} servers until {} UTC",
                    minute(newest)
                ),
                measures,
            ),
        };
    };
    let severity = match is_critical(command, worst) {
        true => Severity::Critical,
        false => Severity::Warning,
    };
    let mut text = finding(worst, 1).text.unwrap_or_default();
    if open.len() > 1 {
        text += &format!(" And {} more.", open.len() - 1);
    }
    (severity, text, measures)
}

fn is_asked(command: &Check, trouble: &Trouble) -> bool {
    let is_server = command.server.is_empty()
        || command.server.iter().any(|asked| {
            let mut servers = trouble.servers.iter();
            servers
                .any(|(ip, port)| *ip == asked.ip && asked.port.is_none_or(|asked| asked == *port))
        });
    let is_metric = command.metric.is_empty()
        || (command.metric.iter()).any(|metric| trouble.metrics.contains_key(metric));
    is_server && is_metric
}

fn is_critical(command: &Check, trouble: &Trouble) -> bool {
    let family = match trouble.family() {
        Family::Loss => Critical::Loss,
        Family::Connect => Critical::Connect,
        Family::Errors => Critical::Errors,
        Family::Latency => Critical::Latency,
        Family::Traffic => Critical::Traffic,
    };
    let is_several = !matches!(trouble.whom, Whom::Server);
    command.critical.contains(&family)
        || (is_several && command.critical.contains(&Critical::Component))
}
