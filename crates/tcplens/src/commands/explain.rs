//! `explain`: the life of one connection. Files are read twice: first to find out which connection is meant, then to follow
//! it, which needs memory for that one only. A stream is read once; then its id or an end must say which it is.

mod find;
mod name;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use tcplens_core::batch::AnyRecord;
use tcplens_core::engine::Transport;
use tcplens_core::record::{ConnectionId, Record};
use tcplens_core::view::explain::{Detail, LEAST, Story, Teller};
use tcplens_output::explain::{ExplainOptions, json, render};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::hosts::Hosts;
use tcplens_output::page;
use tcplens_output::time_style::TimeFormat;
use tcplens_output::{Jsonl, SinkEnd};

use self::find::{Found, find};
use self::name::{Named, is_of_end, text};
use super::lines::Target;
use super::report::html::Html;
use super::{Prints, Wanted, plan, report, tell};
use crate::cli::{Explain, ExplainFormat, Format};
use crate::names::{self, Known};
use crate::observe::{Packets, Plan, Seen, View, observe};
use crate::say::say;
use crate::sources::{self, Words};
use crate::status::{self, usage};

/// Bytes of request records that are kept for `-f jsonl`. Chosen: some 20,000 requests.
const REQUEST_BYTES: usize = 16 << 20;

/// Other connections of the same name that are told.
const TOLD: usize = 5;

pub(super) fn run(mut command: Explain) -> Result<ExitCode> {
    let named = sources::take_first(&mut command.common, Named::parse);
    let common = &command.common;
    let words = sources::sort(common, false)?;
    let stream = stream(&words.files, common.source.follow);
    let is_live = words.files.is_empty();
    if is_live && matches!(named, Some(Named::Frame(_))) {
        return Err(usage(
            "cannot explain a packet by its number while capturing: numbers are those of a file; name an end \
             (10.0.0.1:40001), or save packets with -w FILE and explain that",
        ));
    }
    if let Some(path) = command.html.as_deref().filter(|it| it.as_os_str() != "-") {
        sources::check(&words.files, common.source.follow, [Some(path), None])?;
    }
    let mut plan = planned(&command, words)?;
    plan.write.clone_from(&common.output.write);
    let known = match command.format {
        ExplainFormat::Text => Known::open(&command.naming, is_live)?,
        ExplainFormat::Jsonl => None,
    };
    plan.named(known.as_ref());
    let is_alone = matches!(&named, Some(Named::Id(id)) if id.len() == ConnectionId::LENGTH);
    let (wanted, chosen) = match (named, stream) {
        (named, _) if is_live || is_alone => (named, None),
        (Some(named @ (Named::Id(_) | Named::End(_))), Some(_)) => (Some(named), None),
        (named, Some(stream)) => return Err(cannot_read_twice(named.as_ref(), &stream)),
        (named, None) => {
            let mut first = planned(&command, sources::sort(common, false)?)?;
            first.named(known.as_ref());
            let Found { id, reason } = find(first, named.as_ref())?;
            if plan.stop.load(Ordering::Relaxed) {
                bail!("interrupted while looking for the connection");
            }
            (Some(Named::Id(text(id))), reason)
        }
    };
    let is_page_only = command
        .html
        .as_deref()
        .is_some_and(|it| it.as_os_str() == "-");
    let target = match is_page_only && common.output.output.is_none() {
        // Standard output is the page's.
        true => Target::None,
        false => Target::open(Format::Text, &common.output, is_live)?,
    };
    let html = command.html.as_deref();
    let html = html.map(|path| Html::open(path, is_live)).transpose()?;
    let detail = match command.all {
        true => Detail::All,
        false => Detail::Lines(
            usize::try_from(command.lines)
                .unwrap_or(usize::MAX)
                .max(LEAST),
        ),
    };
    let mut view = ExplainView {
        // Of a stream, others of the same name may come until its end.
        ends_early: is_live
            || !matches!(&wanted, Some(Named::End(_))) && !is_prefix(wanted.as_ref()),
        named: wanted,
        following: None,
        others: Vec::new(),
        teller: Teller::new(detail, common.source.keep_duplicates),
        encodes: (command.format == ExplainFormat::Jsonl).then(Requests::default),
        is_done: false,
    };
    let sources = read_from(&plan);
    let mut observed = observe(plan, &mut view)?;
    // It is us who had seen enough.
    observed.reader_gone &= !view.is_done;
    tell(common, &observed.health);
    let status = status::of_run(&observed);
    if observed.failure.is_some() {
        return Ok(status);
    }
    names::may_wait(known.as_ref());
    let told = Told {
        sources: &sources,
        chosen: chosen.as_deref(),
        hosts: names::hosts(known.as_ref()),
    };
    finish(view, &command, (target, html), told)?;
    names::tell(known.as_ref(), &command.common.output);
    Ok(status)
}

/// A plan that looks at packets and all records.
fn planned(command: &Explain, words: Words) -> Result<Plan> {
    let wanted = Wanted {
        handshakes: true,
        requests: true,
        connections: true,
    };
    let mut plan = plan(&command.common, words, wanted, Prints::AtEnd)?;
    // A connection is told as a whole, and saved by the pass that tells it.
    plan.settings.active = None;
    plan.write = None;
    if plan.otlp.take().is_some() {
        say(
            "explain looks for one connection and tells no collector: --otlp is for the commands that show all",
        );
    }
    if plan.store.take().is_some() {
        say(
            "explain shows one connection and keeps none: --store is for the commands that show all",
        );
    }
    Ok(plan)
}

/// The source that can be read only once, if there is one.
fn stream(files: &[PathBuf], follows: bool) -> Option<String> {
    let is_file = |path: &Path| std::fs::metadata(path).map_or(true, |file| file.is_file());
    let first = files
        .iter()
        .find(|file| follows || file.as_os_str() == "-" || !is_file(file))?;
    Some(match first.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false if follows => format!("{}, which is followed,", first.display()),
        false => first.display().to_string(),
    })
}

fn cannot_read_twice(named: Option<&Named>, stream: &str) -> anyhow::Error {
    let what = match named {
        Some(_) => "the connection of a packet is known only when that packet comes",
        None => "which connection is worth explaining is known only at the end",
    };
    usage(format!(
        "cannot explain that of {stream}: it can be read once only, and {what}; name the connection by its connection_id or \
         by an end (10.0.0.1:40001), or save it to a file first"
    ))
}

fn is_prefix(named: Option<&Named>) -> bool {
    matches!(named, Some(Named::Id(id)) if id.len() < ConnectionId::LENGTH)
}

/// What is read, for messages.
fn read_from(plan: &Plan) -> String {
    let files: Vec<_> = plan
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    match files.is_empty() {
        true => name::CAPTURED.to_owned(),
        false => files.join(", "),
    }
}

/// What is told beside the story.
struct Told<'a> {
    /// What was read.
    sources: &'a str,
    /// Why this connection.
    chosen: Option<&'a str>,
    hosts: Hosts,
}

/// Prints the story.
fn finish(
    view: ExplainView,
    command: &Explain,
    (mut target, html): (Target, Option<Html>),
    Told {
        sources,
        chosen,
        hosts,
    }: Told<'_>,
) -> Result<()> {
    let output = &command.common.output;
    if let (Some(first), false) = (view.following, view.others.is_empty()) {
        return Err(name::ambiguous(view.named.as_ref(), first, &view.others));
    }
    let Some(story) = view.teller.finish() else {
        bail!(name::unknown(view.named.as_ref(), sources));
    };
    let text = match view.encodes {
        Some(requests) => {
            if requests.left_out > 0 {
                say(format_args!(
                    "{} records of requests are left out: they took more than 16 MiB",
                    requests.left_out
                ));
            }
            machine(&story, &requests)
        }
        None => {
            let options = ExplainOptions {
                width: report::width(),
                color: target.is_colored(output),
                glyphs: Glyphs::choose(output.ascii),
                time: TimeFormat::new(output.time),
                chosen,
                hosts,
            };
            render(&story, options)
        }
    };
    if let Target::Text(lines) = &mut target {
        lines.write(None, |out| out.extend_from_slice(text.as_bytes()))?;
    }
    target.finish()?;
    if let Some(html) = html {
        html.write(&page::story(&story, sources, chosen))?;
    }
    Ok(())
}

/// Its records, its events, what they amount to.
fn machine(story: &Story, requests: &Requests) -> String {
    let mut lines = Jsonl::new();
    if let Some(handshake) = &story.head.handshake {
        lines.encode(handshake);
    }
    lines.encode(&story.head.connection);
    let mut text = String::from_utf8_lossy(lines.bytes()).into_owned();
    text.push_str(&String::from_utf8_lossy(&requests.lines));
    text.push_str(&json(story));
    text
}

/// The records of requests, as lines.
#[derive(Default)]
struct Requests {
    lines: Vec<u8>,
    encoder: Jsonl,
    left_out: u64,
}

impl Requests {
    fn add(&mut self, record: &impl Record) {
        if self.lines.len() >= REQUEST_BYTES {
            self.left_out += 1;
            return;
        }
        self.encoder.encode(record);
        self.lines.extend_from_slice(self.encoder.bytes());
        self.encoder.clear();
    }
}

/// Follows the connection that is named; without a name the first one that begins.
struct ExplainView {
    named: Option<Named>,
    following: Option<ConnectionId>,
    /// Others of that name: the first few.
    others: Vec<ConnectionId>,
    teller: Teller,
    /// For `-f jsonl`.
    encodes: Option<Requests>,
    /// Nothing is looked at after the connection's record.
    ends_early: bool,
    is_done: bool,
}

impl ExplainView {
    /// Whether a packet is of what is followed; the first that may be decides what that is.
    fn follows(&mut self, seen: &Seen<'_>, id: ConnectionId) -> bool {
        if self.following == Some(id) {
            return true;
        }
        if self.following.is_some() && self.ends_early {
            return false;
        }
        let is_meant = match &self.named {
            Some(Named::Id(prefix)) => id.text().starts_with(prefix.as_bytes()),
            Some(Named::End(end)) => is_of_end(&seen.segment.flow, *end),
            Some(Named::Frame(_)) => false,
            None => name::begins(seen.segment),
        };
        if !is_meant {
            return false;
        }
        if self.following.is_none() {
            self.following = Some(id);
            return true;
        }
        if self.others.len() < TOLD && !self.others.contains(&id) {
            self.others.push(id);
        }
        false
    }
}

impl View for ExplainView {
    fn packets(&self) -> Packets {
        Packets::Owned
    }

    fn packet(&mut self, seen: &Seen<'_>) -> Result<(), SinkEnd> {
        if let (Transport::Tcp, Some(owner)) = (seen.transport, seen.owner)
            && !self.is_done
            && self.follows(seen, owner.connection_id)
        {
            self.teller.segment(seen.segment, owner);
        }
        Ok(())
    }

    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        let is_own = |id: ConnectionId| self.following == Some(id) && !self.is_done;
        match record {
            AnyRecord::Handshake(handshake) if is_own(handshake.connection_id) => {
                self.teller.handshake(handshake);
            }
            AnyRecord::Request(request) if is_own(request.row.connection_id) => {
                self.teller.request(request);
                if let Some(lines) = &mut self.encodes {
                    lines.add(&request.record());
                }
            }
            AnyRecord::Connection(connection) if is_own(connection.connection_id) => {
                self.teller.connection(connection);
                self.is_done = connection.is_final;
                if self.is_done && self.ends_early {
                    // What comes after it is nothing to us.
                    return Err(SinkEnd::Closed {
                        name: String::new(),
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }
}
