//! `script`: a Lua script over packets and records.

use std::process::ExitCode;

use anyhow::{Result, bail};
use tcplens_core::batch::AnyRecord;
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;

use super::lines::Target;
use super::{Prints, Wanted, plan, tell};
use crate::cli::{self, Format};
use crate::observe::{Packets, Seen, View, observe};
use crate::say::say;
use crate::script::{Limits, Options, Script, Source};
use crate::{sources, status};

/// Printed text gathered before it is handed over; a batch of packets hands over anyway.
const GATHERED: usize = 64 * 1024;

pub(super) fn run(command: &cli::Script) -> Result<ExitCode> {
    let common = &command.common;
    let source = Source::find(&command.script)?;
    let words = sources::sort(common, false)?;
    let options = Options {
        limits: Limits {
            memory: usize::try_from(command.script_memory).unwrap_or(usize::MAX),
            time: command.script_time,
            allows_io: command.allow_io,
        },
        arguments: command.arg.clone(),
        interval: command.interval,
        roles: super::roles(common),
    };
    let script = Script::load(&source, options)?;
    let [handshakes, requests, connections] = script.takes_records();
    let wanted = Wanted {
        handshakes,
        requests,
        connections,
    };
    let mut plan = plan(common, words, wanted, Prints::Meanwhile)?;
    if let (Some(live), true) = (&mut plan.live, command.allow_io) {
        live.unconfined();
    }
    let target = Target::open(Format::Text, &common.output, plan.live.is_some())?;
    let mut view = ScriptView {
        hands_over_at: if target.rotates() { 1 } else { GATHERED },
        script,
        target,
        is_strict: command.strict,
        now: None,
    };
    let observed = observe(plan, &mut view)?;
    if !observed.reader_gone {
        view.script.exit();
        view.hand_over(1)?;
        view.target.finish()?;
    }
    tell(common, &observed.health);
    view.script.unread().iter().for_each(say);
    let failures = view.script.failures();
    if let (true, Some(first)) = (command.strict, &failures.first) {
        bail!("gave up at the first error of the script (--strict): {first}");
    }
    let status = status::of_run(&observed);
    if failures.errors == 0 {
        return Ok(status);
    }
    say(format_args!(
        "{} of {} calls of {} failed",
        failures.errors, failures.calls, source.name
    ));
    Ok(status::partial())
}

struct ScriptView {
    script: Script,
    target: Target,
    /// Bytes of output from which on it is handed over after a call.
    hands_over_at: usize,
    is_strict: bool,
    /// For rotation.
    now: Option<Timestamp>,
}

impl ScriptView {
    /// Hands over what was printed, if it is so many bytes.
    fn hand_over(&mut self, least: usize) -> Result<(), SinkEnd> {
        if self.script.pending() < least {
            return Ok(());
        }
        let ScriptView {
            script,
            target,
            now,
            ..
        } = self;
        match target {
            Target::Text(lines) => lines.write(*now, |out| {
                script.take_output(|printed| out.extend_from_slice(printed));
            }),
            Target::Machine(_) | Target::None => Ok(()),
        }
    }

    /// After a call.
    fn called(&mut self) -> Result<(), SinkEnd> {
        self.hand_over(self.hands_over_at)?;
        if self.is_strict && self.script.failures().errors > 0 {
            // Ends the reading; `run` says why.
            return Err(SinkEnd::Closed {
                name: String::new(),
            });
        }
        Ok(())
    }
}

impl View for ScriptView {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        self.script.record(record);
        self.called()
    }

    fn packets(&self) -> Packets {
        self.script.packets()
    }

    fn packet(&mut self, packet: &Seen<'_>) -> Result<(), SinkEnd> {
        self.script.packet(packet);
        self.called()
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        self.now = Some(at);
        self.script.clock(at);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.hand_over(1)?;
        self.target.idle()
    }
}
