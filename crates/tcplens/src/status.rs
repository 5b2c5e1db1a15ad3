//! Exit statuses, and what is said with them (README, "Exit status").

use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use tcplens_core::filter::FilterError;
use tcplens_core::record::Health;
use tcplens_output::SinkEnd;
use tcplens_output::anomalies::{Severity, plugin_line};

use crate::agent::load::Wrong;
use crate::observe::Observed;
use crate::pipeline;
use crate::say::{print, say};

/// Everything was read and written.
const COMPLETE: u8 = 0;
/// Nothing could be done: cannot open, not permitted, no packet of a known link type, a sink failed.
const FAILED: u8 = 1;
/// The command line cannot be understood.
const USAGE: u8 = 2;
/// The input was damaged or something was lost; stderr and `health` say what.
const PARTIAL: u8 = 3;

/// A command line that says nothing sensible, in words for the user.
#[derive(Debug)]
pub(crate) struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A [`Usage`] error.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Says what ended the run, unless it is a reader who went away.
pub(crate) fn of_error(error: &anyhow::Error) -> ExitCode {
    if let Some(SinkEnd::Closed { .. }) = error.downcast_ref() {
        return COMPLETE.into();
    }
    match error.downcast_ref::<Wrong>() {
        Some(wrong) => wrong.sentences().for_each(say),
        None => say(format_args!("{error:#}")),
    }
    if error.is::<Usage>() || error.is::<FilterError>() || error.is::<Wrong>() {
        return USAGE.into();
    }
    FAILED.into()
}

/// Prints help or version, or what is wrong with the options.
pub(crate) fn of_clap(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader who went away has seen enough of the help.
            let _ = std::io::stdout().write_all(text.as_bytes());
            COMPLETE.into()
        }
        _ => {
            print(&format!(
                "tcplens: {}",
                text.strip_prefix("error: ").unwrap_or(&text)
            ));
            USAGE.into()
        }
    }
}

/// The same for `check`: who runs it shows what it prints, and would take 2 for a trouble that was found.
pub(crate) fn of_check(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => of_clap(error),
        _ => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let first: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
            unknown(&first.join(" "))
        }
    }
}

/// What a monitoring plugin that cannot tell anything says.
pub(crate) fn unknown(why: &str) -> ExitCode {
    let line = plugin_line(Severity::Unknown, why, &[]);
    // Who does not read it sees the status.
    let _ = std::io::stdout().write_all(line.as_bytes());
    Severity::Unknown.status().into()
}

/// Says what was damaged or lost, and gives the status of a run that came to its end.
pub(crate) fn of_run(observed: &Observed) -> ExitCode {
    if observed.is_live {
        print(&format!("{}\n", pipeline::live::seen(&observed.health)));
    }
    if let Some(failure) = &observed.failure {
        return of_error(failure);
    }
    if observed.reader_gone {
        return COMPLETE.into();
    }
    for trouble in &observed.troubles {
        say(trouble);
    }
    for warning in &observed.warnings {
        say(warning);
    }
    for damage in &observed.damages {
        say(damage);
    }
    let losses = losses(&observed.health);
    for loss in &losses {
        say(loss);
    }
    let is_whole = observed.damages.is_empty() && losses.is_empty() && observed.troubles.is_empty();
    if is_whole { COMPLETE } else { PARTIAL }.into()
}

/// The status of a run that came to its end and lost something that was told already.
pub(crate) fn partial() -> ExitCode {
    PARTIAL.into()
}

/// The status of a command whose answer is no, and told.
pub(crate) fn failed() -> ExitCode {
    FAILED.into()
}

/// What the observation itself lost, a sentence each.
fn losses(health: &Health) -> Vec<String> {
    let mut losses = Vec::new();
    if let Some(drops) = health.kernel_drops.filter(|&drops| drops > 0) {
        losses.push(format!("{drops} packets were dropped by the kernel"));
    }
    if let Some(drops) = health.event_drops.filter(|&drops| drops > 0) {
        losses.push(format!(
            "{drops} events were dropped in the ring buffer: requests or connections are missing; raise -B"
        ));
    }
    let given_up = |n: u64, what: &str| {
        format!(
            "{n} {what} were given up before their end: more were open at once than are kept; \
             raise --limit-connections or --limit-memory"
        )
    };
    if health.evicted_connections > 0 {
        losses.push(given_up(health.evicted_connections, "connections"));
    }
    // Requests without a name are requests all the same, and so are those with the stack's times, those whose response went
    // on (a note says so), and slow ones without a trace.
    let hits = health.limit_hits.iter();
    let harmless = ["kernel_heads", "kernel_times", "kernel_flush", "otlp_spans"];
    let hits = hits.filter(|(bound, _)| !harmless.contains(bound));
    losses.extend(hits.map(|(bound, hits)| match *bound {
        "kernel_storage" => format!(
            "{hits} connections could not be observed: the kernel had no memory for them, or more were open than its \
             table of them holds (--programs hash)"
        ),
        "kernel_probes" => format!(
            "segments with data came while the kernel did not run the programs: {hits}, or more; requests that they began may \
             have a later time, or be one with those before"
        ),
        // What they asked is counted all the same.
        "datagram_flows" => given_up(*hits, "flows of datagrams"),
        _ => format!(
            "the bound on {} was reached {hits} times: what was beyond it is not counted",
            bound.replace('_', " ")
        ),
    }));
    for (sink, records) in &health.records_dropped {
        losses.push(match *sink {
            "packets" => format!("{records} packets were not saved: the file did not take them"),
            _ => format!("{records} records were dropped: {sink} did not take them"),
        });
    }
    losses
}
