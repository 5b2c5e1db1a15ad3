//! Queries that come along: those only, and with parameters that were read as numbers, times, addresses and names. A server runs them
//! itself; of a directory tcplens-query does, as a child: one at a time, for as long as [`LONGEST`] and with [`MEMORY`]. Of what comes
//! the first [`MOST`].

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tcplens_core::time::Timestamp;
use tcplens_core::view::fleet::{FleetFilter, FleetRange};
use tcplens_output::answer::Plot;
use tcplens_output::human::Endpoint;
use tcplens_output::json::Json;
use tcplens_output::named::{self, Dialect, Named, Parameters, Per};
use tcplens_output::shell;

use super::desk;
use super::source::{Source, Why};
use crate::commands::query;

/// How long a child may take.
const LONGEST: Duration = Duration::from_secs(25);
/// What it may hold in memory.
const MEMORY: &str = "512MiB";
/// Bytes of what it prints; whole lines of these are shown.
const MOST: usize = 1 << 20;
/// Bytes of what it says of an error.
const MOST_SAID: u64 = 4096;
/// How often to look whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
const HOUR: i64 = 3600 * 1_000_000_000;

/// Which there are, and how to get what runs them, where it is missing.
pub(super) fn list(source: &dyn Source) -> String {
    let mut json = Json::new();
    json.open('{').name("queries").open('[');
    for named in named::ALL {
        json.open('{').name("name").string(named.name);
        json.name("title").string(named.title).close('}');
    }
    json.close(']').name("how");
    match source.engine() {
        Ok(()) => json.raw("null"),
        Err(how) => json.string(&how),
    };
    json.close('}');
    json.into_string()
}

/// The command that does the same, for a shell.
pub(super) fn command(store: &str, words: &[&str]) -> String {
    let words = ["--store", store].into_iter().chain(words.iter().copied());
    let words: Vec<_> = words.map(shell::quoted).collect();
    format!("tcplens query {}", words.join(" "))
}

/// Runs one, and tells columns, rows and how they are drawn.
pub(super) fn run(
    source: &dyn Source,
    name: &str,
    range: FleetRange,
    filter: &FleetFilter,
) -> Result<Vec<u8>, Why> {
    let named = Named::find(name)?;
    let mut parameters = desk::parameters(range.from, range.until, filter);
    let mut note = "";
    if parameters.server.is_some() && !named.takes_server {
        parameters.server = None;
        note = "It is of all servers: what it shows belongs to hosts.";
    }
    parameters.per = named.takes_per.then(|| match range.until.0 - range.from.0 {
        ..=21_600_000_000_000 => Per::Minute,
        span if span <= 96 * HOUR => Per::Hour,
        _ => Per::Day,
    });
    let (mut lines, is_cut) = source.query(named, &parameters, MOST)?;
    if is_cut {
        let end = lines
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        lines.truncate(end);
    }
    let lines = String::from_utf8_lossy(&lines);
    let mut json = Json::new();
    json.open('{').name("title").string(named.title);
    json.name("note").string(note);
    let words = words(named, &parameters);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    json.name("command").string(&command(source.name(), &words));
    json.name("more").flag(is_cut);
    json.name("plot");
    plot(&mut json, named.plot);
    json.name("lines").open('[');
    for line in lines
        .lines()
        .filter(|line| line.starts_with('{') && line.ends_with('}'))
    {
        json.raw(line);
    }
    json.close(']').close('}');
    Ok(json.into_string().into_bytes())
}

/// What a shell's command says of it.
fn words(named: &Named, parameters: &Parameters) -> Vec<String> {
    let mut words = vec!["--named".to_owned(), named.name.to_owned()];
    for (option, at) in [("--since", parameters.since), ("--until", parameters.until)] {
        words.extend(
            at.into_iter()
                .flat_map(|at| [option.to_owned(), moment(at)]),
        );
    }
    if let Some(server) = parameters.server {
        let port = server.port.map(u64::from).unwrap_or_default();
        words.extend(["--server".to_owned(), Endpoint(server.ip, port).to_string()]);
    }
    // As one word: it may begin with a dash.
    words.extend(parameters.hosts.iter().map(|host| format!("--host={host}")));
    if let Some(per) = parameters.per {
        words.extend(["--per".to_owned(), per.word().to_owned()]);
    }
    words
}

/// Runs one over a directory.
pub(super) fn child(
    store: &str,
    named: &Named,
    parameters: &Parameters,
    most: usize,
) -> Result<(Vec<u8>, bool), Why> {
    // Told before anything is run.
    named.sql(Dialect::Standard, parameters)?;
    let engine = query::engine().map_err(|error| error.to_string())?;
    let mut child = Command::new(&engine);
    child
        .args(["--store", store])
        .args(words(named, parameters));
    child.args([
        "--format",
        "jsonl",
        "--limit-memory",
        MEMORY,
        "--threads",
        "1",
    ]);
    child
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = child
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", engine.display()))?;
    finish(child, most)
}

/// Waits for a child, and takes what it prints; one that takes too long, or prints too much, is ended.
fn finish(mut child: Child, most: usize) -> Result<(Vec<u8>, bool), Why> {
    let start = Instant::now();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let printed = stdout.map(|from| thread::spawn(move || take(from, most)));
    let said = stderr.map(|from| {
        thread::spawn(move || {
            let mut said = String::new();
            // What cannot be read is not shown.
            let _ = from.take(MOST_SAID).read_to_string(&mut said);
            said
        })
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if start.elapsed() < LONGEST => {}
            Ok(None) | Err(_) => {
                // It may have ended just now.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
        thread::sleep(LOOK);
    };
    let (bytes, is_cut) = printed
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    let said = said
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    match status {
        Some(status) if status.success() || status.code() == Some(3) || is_cut => {
            Ok((bytes, is_cut))
        }
        Some(_) => Err(match said.trim() {
            "" => "the query failed and did not say why".to_owned(),
            said => said.to_owned(),
        }),
        None => Err(format!(
            "the query took longer than {} s and was ended; choose a shorter time, or run it in a terminal",
            LONGEST.as_secs()
        )),
    }
}

/// The first bytes, and whether there were more; then its writer finds nobody who reads.
fn take(from: ChildStdout, most: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    // What was read before an error is shown.
    let _ = from.take(most as u64 + 1).read_to_end(&mut bytes);
    let is_cut = bytes.len() > most;
    (bytes, is_cut)
}

fn plot(json: &mut Json, plot: Option<Plot>) {
    let Some(plot) = plot else {
        json.raw("null");
        return;
    };
    let list = |json: &mut Json, name: &str, words: &[&str]| {
        json.name(name).open('[');
        for word in words {
            json.string(word);
        }
        json.close(']');
    };
    json.open('{').name("kind");
    match plot {
        Plot::Bars { labels, value } => {
            json.string("bars").name("value").string(value);
            list(json, "labels", labels);
        }
        Plot::Stack { labels, parts } => {
            json.string("stack");
            let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
            list(json, "parts", &names);
            list(json, "labels", labels);
        }
        Plot::Lines {
            time,
            labels,
            value,
        } => {
            json.string("lines").name("time").string(time);
            json.name("value").string(value);
            list(json, "labels", labels);
        }
        Plot::Heat { time, row, count } => {
            json.string("heat").name("time").string(time);
            json.name("row").string(row).name("count").string(count);
        }
    }
    json.close('}');
}

/// As options take it: to the second.
fn moment(at: Timestamp) -> String {
    let mut text = [0; tcplens_output::rfc3339::LENGTH];
    tcplens_output::rfc3339::Rfc3339::default().write(&mut text, at);
    let text = String::from_utf8_lossy(&text);
    format!("{}Z", text.get(..19).unwrap_or(&text))
}
