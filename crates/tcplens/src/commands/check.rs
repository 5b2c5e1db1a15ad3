//! `check`: what is abnormal now in a store, as one line and an exit status of monitoring plugins (Monitoring Plugins Development
//! Guidelines: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; values behind a bar).

use std::process::ExitCode;

use anyhow::Result;
use tcplens_capture::clock;
use tcplens_core::time::Timestamp;
use tcplens_core::view::anomaly::{Family, Server, Trouble, Whom, finding};
use tcplens_output::anomalies::{Measure, Severity, behind, minute, plugin_line};
use tcplens_output::human::Duration;
use tcplens_output::named::Server as Asked;

use super::anomalies::learn::{Learned, learn, nanoseconds};
use super::anomalies::nothing;
use super::generated::to_stdout;
use crate::cli::{Check, Critical};
use crate::say::say;
use crate::status;

pub(super) fn run(command: &Check) -> Result<ExitCode> {
    // What goes on is all that is asked for.
    match learn(&command.history, command.stale, |until| {
        until.plus(-nanoseconds(command.stale))
    }) {
        Ok(learned) => {
            learned.damages.iter().for_each(say);
            let now = match command.history.until {
                // As if it were then.
                Some(_) => learned.until,
                None => clock::now(),
            };
            let (severity, mut text, measures) = judge(command, &learned, now);
            text += &unread(&learned.damages);
            let line = plugin_line(severity, &text, &measures);
            to_stdout(line.as_bytes())?;
            Ok(severity.status().into())
        }
        Err(error) => Ok(status::unknown(&format!("{error:#}"))),
    }
}

fn judge(command: &Check, learned: &Learned, now: Timestamp) -> (Severity, String, Vec<Measure>) {
    let Some(newest) = learned.recorded else {
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
    let (judged, learning) = counted(command, learned);
    let measures = vec![
        ("abnormal", format!("{};0", open.len())),
        ("critical", format!("{};;0", critical.clone().count())),
        ("servers", judged.to_string()),
        ("learning", learning.to_string()),
        age_measure,
    ];
    let worst = critical.copied().next().or(open.first().copied());
    let Some(worst) = worst else {
        let until = learned.window.1.min(now);
        let (severity, mut text) = match (judged, learning, command.server.is_empty()) {
            (0, 0, false) => (
                Severity::Unknown,
                format!(
                    "{} has nothing of the servers that were asked for, until {} UTC; look whether address and port are right",
                    command.history.store,
                    minute(until)
                ),
            ),
            (0, _, _) => (
                Severity::Unknown,
                match learning {
                    1 => "nothing can be judged yet: 1 server has too little history".to_owned(),
                    _ => format!(
                        "nothing can be judged yet: {learning} servers have too little history"
                    ),
                },
            ),
            (judged, _, _) => (
                Severity::Ok,
                format!(
                    "nothing abnormal at {judged} {} until {} UTC",
                    if judged == 1 { "server" } else { "servers" },
                    minute(until)
                ),
            ),
        };
        let silent = unjudged(command, learned);
        if severity == Severity::Ok && silent > 0 {
            text += &format!("; {silent} of the --server that were asked for could not be judged");
        }
        let far = behind(until, learned.behind());
        if !far.is_empty() {
            text = format!("{text}.{far}");
        }
        return (severity, text, measures);
    };
    let severity = match is_critical(command, worst) {
        true => Severity::Critical,
        false => Severity::Warning,
    };
    let mut text = finding(worst, 1).text.unwrap_or_default();
    if open.len() > 1 {
        text += &format!(" And {} more.", open.len() - 1);
    }
    text += &behind(learned.window.1, learned.behind());
    (severity, text, measures)
}

/// Servers that were asked for: judged, and with too little history.
fn counted(command: &Check, learned: &Learned) -> (u64, u64) {
    if command.server.is_empty() {
        return (learned.watching.judged, learned.watching.learning);
    }
    let mut counts = (0, 0);
    for (server, is_judged) in &learned.servers {
        if command.server.iter().any(|asked| is_server(asked, server)) {
            match is_judged {
                true => counts.0 += 1,
                false => counts.1 += 1,
            }
        }
    }
    counts
}

/// How many of what was asked for are no server that was judged.
fn unjudged(command: &Check, learned: &Learned) -> usize {
    let of_it = command.server.iter().filter(|asked| {
        let mut servers = learned.servers.iter();
        !servers.any(|(server, is_judged)| *is_judged && is_server(asked, server))
    });
    of_it.count()
}

fn is_server(asked: &Asked, (ip, port): &Server) -> bool {
    *ip == asked.ip && asked.port.is_none_or(|asked| asked == *port)
}

/// What could not be read of the store, as the rest of a line.
fn unread(damages: &[String]) -> String {
    match damages {
        [] => String::new(),
        [one] => format!(" (not all of the store could be read: {one})"),
        [one, rest @ ..] => format!(
            " (not all of the store could be read: {one}; and {} more)",
            rest.len()
        ),
    }
}

fn is_asked(command: &Check, trouble: &Trouble) -> bool {
    let is_of = command.server.is_empty()
        || command.server.iter().any(|asked| {
            let mut servers = trouble.servers.iter();
            servers.any(|server| is_server(asked, server))
        });
    let is_metric = command.metric.is_empty()
        || (command.metric.iter()).any(|metric| trouble.metrics.contains_key(metric));
    is_of && is_metric
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
