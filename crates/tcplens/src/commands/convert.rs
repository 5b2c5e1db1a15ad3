//! `convert`: archives of sockets are read, whatever wrote them, and written in another format.

use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tcplens_core::anonymize::Anonymize;
use tcplens_core::socket::Message;
use tcplens_core::socket::message::HEAD;
use tcplens_output::SinkEnd;
use tcplens_output::archive::line::HIGHEST_KIND;
use tcplens_output::archive::{Damage, Reader};

use crate::cli::Convert;
use crate::say::say;
use crate::status;
use target::{LeftOut, Target};

mod inputs;
mod target;

pub(super) fn run(command: &Convert) -> Result<ExitCode> {
    let inputs = inputs::gather(command)?;
    let mut target = Target::open(command)?;
    let mut tally = Tally::default();
    // Whose address is the observed host's is not in an archive.
    let anonymize = command.anonymize.with([]);
    for input in &inputs {
        if let Err(error) = convert(input, &anonymize, &mut target, &mut tally) {
            // A destination that takes nothing ends all.
            if error.is::<SinkEnd>() {
                return Err(error);
            }
            tally.failed += 1;
            say(format_args!("{error:#}"));
        }
    }
    let left_out = target.finish()?;
    tally.tell(&left_out, inputs.len());
    Ok(tally.status(&left_out))
}

/// One file.
fn convert(
    input: &Path,
    anonymize: &Anonymize,
    target: &mut Target,
    tally: &mut Tally,
) -> Result<()> {
    let name = inputs::name(input);
    let cannot = || format!("cannot read {name}");
    let source: Box<dyn Read> = if input == Path::new("-") {
        Box::new(io::stdin())
    } else {
        inputs::open(input).with_context(cannot)?
    };
    let mut reader = Reader::new(source).with_context(cannot)?;
    target.begin();
    let result = loop {
        let mut head: [u8; HEAD];
        match reader.next() {
            Ok(None) => break Ok(()),
            Ok(Some(mut entry)) => {
                tally.lines += 1;
                if let Some(message) = entry.message {
                    head = *message.head();
                    anonymize.head(&mut head);
                    entry.message = Some(Message::of(&head, message.attribute_bytes()));
                }
                if let Err(error) = target.take(&entry) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error).with_context(cannot),
        }
    };
    let ended = target.end();
    tally.add(&name, reader.damage());
    result.and(ended)
}

/// What was read, and what was not.
#[derive(Default)]
struct Tally {
    lines: u64,
    bad: u64,
    torn: u64,
    /// Files that could not be opened, read to their end, or written again.
    failed: u64,
    /// Where the first damage is.
    first: Option<String>,
}

impl Tally {
    fn add(&mut self, name: &str, damage: &Damage) {
        self.bad += damage.lines;
        self.torn += u64::from(damage.is_torn);
        if let (None, Some(first)) = (&self.first, &damage.first) {
            self.first = Some(format!("{name}, {first}"));
        }
    }

    fn tell(&self, left_out: &LeftOut, files: usize) {
        let first = self.first.as_deref().unwrap_or_default();
        let count = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let torn = format!("the end of {} was torn off", count(self.torn, "file"));
        let bad = format!("{} could not be read", count(self.bad, "line"));
        match (self.bad, self.torn) {
            (0, 0) => {}
            (0, _) => say(format_args!("{torn}; the first: {first}")),
            (_, 0) => say(format_args!("{bad}; the first: {first}")),
            _ => say(format_args!("{bad}, and {torn}; the first: {first}")),
        }
        if self.failed > 0 && files > 1 {
            say(format_args!("{} of {files} files failed", self.failed));
        }
        if left_out.lines > 0 {
            say(format_args!(
                "{} left out: without a time, or without a socket's number; -f archive -o FILE keeps them",
                count(left_out.lines, "line")
            ));
        }
        if left_out.attributes > 0 {
            say(format_args!(
                "{} left out: an archive has places for the kinds 0 to {HIGHEST_KIND}; -f jsonl keeps them",
                count(left_out.attributes, "attribute")
            ));
        }
        if let Some(first) = &left_out.first_segment {
            say(format_args!(
                "{} not written; the first: {first}",
                count(left_out.segments, "segment")
            ));
        }
    }

    fn status(&self, left_out: &LeftOut) -> ExitCode {
        let damages = self.bad + self.torn + self.failed;
        if damages > 0 && self.lines == 0 {
            return status::failed();
        }
        if damages + left_out.lines + left_out.attributes + left_out.segments > 0 {
            return status::partial();
        }
        ExitCode::SUCCESS
    }
}
