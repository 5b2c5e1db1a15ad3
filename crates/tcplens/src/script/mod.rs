//! Lua scripts over packets and records: `process(packet)` as tcpkit has it, and hooks for records, time and the end.
//!
//! What a script may do and use is in `sandbox` and `budget`; what it is handed in `packet` and `record`. An error ends one
//! call, is counted and told once; a broken limit stops the script. The reference is docs/scripts.md.

mod arguments;
mod budget;
mod packet;
mod pattern;
mod record;
mod sandbox;
mod shipped;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail};
use mlua::Value;
use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Connection, Handshake, Request};
use tcplens_core::roles::Roles;
use tcplens_core::time::{SECOND, Span, Timestamp};

use self::packet::PacketRunner;
use self::record::RecordRunner;
use self::sandbox::Runner;
pub(crate) use self::sandbox::{Failure, Limits, Sandbox};
pub(crate) use self::shipped::Source;
use crate::observe::{Packets, Seen};
use crate::say::say;

/// The time of a call that runs once per interval, in calls of `process`.
const TICK: u32 = 10;
/// Of one that runs once: the script itself, and `on_exit`.
const ONCE: u32 = 100;
/// Different errors that are told; the rest is counted.
const TOLD: usize = 10;
/// Ticks called for a pause in the packets; of a longer one only the last.
const MOST_TICKS: i64 = 3600;

/// What a script is told besides its packets.
pub(crate) struct Options {
    /// What it may use.
    pub limits: Limits,
    /// `--arg`: the table `arg`.
    pub arguments: Vec<(String, String)>,
    /// Packet time between two ticks.
    pub interval: Span,
    /// Who is who.
    pub roles: Roles,
}

/// A script that was loaded, and what became of its calls.
pub(crate) struct Script {
    sandbox: Sandbox,
    calls: Calls,
    interval: i64,
    /// When the next tick is, in ns.
    tick: Option<i64>,
    failures: Failures,
    /// What there is to say of `--arg`.
    unread: Vec<String>,
}

/// What a script defines.
struct Calls {
    process: Option<PacketRunner>,
    on_request: Option<RecordRunner>,
    on_handshake: Option<RecordRunner>,
    on_connection: Option<RecordRunner>,
    on_tick: Option<Runner>,
    on_exit: Option<Runner>,
}

/// What went wrong.
#[derive(Default)]
pub(crate) struct Failures {
    /// Calls of the script.
    pub calls: u64,
    /// Those that ended with an error.
    pub errors: u64,
    /// The first error.
    pub first: Option<String>,
    /// Different errors that were told.
    told: HashSet<String>,
    /// A limit was broken: nothing of the script is called any more.
    pub is_stopped: bool,
}

impl Script {
    /// Loads a script: runs its text, and looks at what it defines.
    ///
    /// # Errors
    /// It cannot be understood, fails, breaks a limit, or defines nothing to call.
    pub(crate) fn load(source: &Source, options: Options) -> Result<Script> {
        let name = &source.name;
        let cannot = || format!("cannot prepare Lua for {name}");
        let sandbox = Sandbox::new(options.limits).with_context(cannot)?;
        give_arguments(&sandbox, name, &options.arguments).with_context(cannot)?;
        match sandbox.run(&source.text, name, ONCE) {
            Ok(()) => {}
            Err(Failure::Error(text) | Failure::Limit(text)) => bail!("cannot load {name}: {text}"),
        }
        let text = String::from_utf8_lossy(&source.text);
        let words = words(&text, &options.arguments);
        // What the text does not name nobody reads, unless all fields are gone through, or code comes from elsewhere.
        let takes_all =
            options.limits.allows_io || ["pairs", "next"].iter().any(|word| words.contains(word));
        let words = (!takes_all).then_some(&words);
        let calls = Calls::of(&sandbox, words, options.roles)?;
        if calls.is_empty() {
            bail!(
                "cannot use {name}: it defines neither process(packet) nor on_request, on_handshake, on_connection, \
                 on_tick or on_exit; define one of them as a global function"
            );
        }
        Ok(Script {
            calls,
            interval: i64::try_from(options.interval.ns())
                .unwrap_or(i64::MAX)
                .max(1),
            tick: None,
            failures: Failures::default(),
            unread: arguments::unread(&text, name, &options.arguments),
            sandbox,
        })
    }

    /// What it needs to see of packets.
    pub(crate) fn packets(&self) -> Packets {
        match &self.calls.process {
            Some(process) => process.packets(),
            // Time must pass for it.
            None if self.calls.on_tick.is_some() => Packets::Plain,
            None => Packets::None,
        }
    }

    /// Whether it has the hooks `on_handshake`, `on_request`, `on_connection`.
    pub(crate) fn takes_records(&self) -> [bool; 3] {
        let calls = &self.calls;
        let hooks = [&calls.on_handshake, &calls.on_request, &calls.on_connection];
        hooks.map(Option::is_some)
    }

    /// A packet.
    pub(crate) fn packet(&mut self, seen: &Seen<'_>) {
        if let Some(process) = &mut self.calls.process
            && !self.failures.is_stopped
        {
            self.failures.note(process.call(&self.sandbox, seen));
        }
    }

    /// A record.
    pub(crate) fn record(&mut self, record: AnyRecord<'_>) {
        if self.failures.is_stopped {
            return;
        }
        let Script { sandbox, calls, .. } = self;
        let ended = match record {
            AnyRecord::Handshake(handshake) => {
                (calls.on_handshake.as_mut()).map(|hook| hook.call(sandbox, handshake))
            }
            AnyRecord::Request(request) => {
                (calls.on_request.as_mut()).map(|hook| hook.call(sandbox, &request.record()))
            }
            AnyRecord::Connection(connection) => {
                (calls.on_connection.as_mut()).map(|hook| hook.call(sandbox, connection))
            }
        };
        if let Some(ended) = ended {
            self.failures.note(ended);
        }
    }

    /// The engine clock is at `at`: the ticks that are due.
    pub(crate) fn clock(&mut self, at: Timestamp) {
        let Some(hook) = &mut self.calls.on_tick else {
            return;
        };
        let first = || next_tick(at.0, self.interval);
        let mut tick = *self.tick.get_or_insert_with(first);
        if at.0 < tick {
            return;
        }
        let missed = (at.0 - tick) / self.interval;
        if missed >= MOST_TICKS {
            tick = tick.saturating_add(missed.saturating_mul(self.interval));
        }
        while tick <= at.0 && !self.failures.is_stopped {
            let seconds = match tick % SECOND {
                0 => Value::Integer(tick / SECOND),
                _ => Value::Number(tick as f64 / SECOND as f64),
            };
            self.failures.note(self.sandbox.call(hook, TICK, seconds));
            let Some(next) = tick.checked_add(self.interval) else {
                break;
            };
            tick = next;
        }
        self.tick = Some(tick);
    }

    /// The end: `on_exit`.
    pub(crate) fn exit(&mut self) {
        if let Some(hook) = &mut self.calls.on_exit
            && !self.failures.is_stopped
        {
            self.failures.note(self.sandbox.call(hook, ONCE, ()));
        }
    }

    /// Bytes printed and not taken yet.
    pub(crate) fn pending(&self) -> usize {
        self.sandbox.pending()
    }

    /// Hands over what was printed.
    pub(crate) fn take_output(&self, take: impl FnOnce(&[u8])) {
        self.sandbox.take_output(take);
    }

    /// What it does not read of what it was given, in sentences.
    pub(crate) fn unread(&self) -> &[String] {
        &self.unread
    }

    /// What went wrong so far.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }
}

/// The first whole interval after `at`.
fn next_tick(at: i64, interval: i64) -> i64 {
    at.div_euclid(interval)
        .saturating_add(1)
        .saturating_mul(interval)
}

impl Calls {
    fn of(sandbox: &Sandbox, words: Option<&HashSet<&str>>, roles: Roles) -> Result<Calls> {
        let is_defined = |hook: &str| defines(sandbox, hook);
        let plain = |hook: &str| {
            is_defined(hook)?
                .then(|| sandbox.runner(hook, "a0", "a0"))
                .transpose()
        };
        let calls = || -> mlua::Result<Calls> {
            Ok(Calls {
                process: is_defined("process")?
                    .then(|| PacketRunner::new(sandbox, words, roles))
                    .transpose()?,
                on_request: is_defined("on_request")?
                    .then(|| RecordRunner::new::<Request<'_>>(sandbox, "on_request", words))
                    .transpose()?,
                on_handshake: is_defined("on_handshake")?
                    .then(|| RecordRunner::new::<Handshake>(sandbox, "on_handshake", words))
                    .transpose()?,
                on_connection: is_defined("on_connection")?
                    .then(|| RecordRunner::new::<Connection>(sandbox, "on_connection", words))
                    .transpose()?,
                on_tick: plain("on_tick")?,
                on_exit: plain("on_exit")?,
            })
        };
        calls().context("cannot prepare the calls of the script")
    }

    fn is_empty(&self) -> bool {
        let hooks = [&self.on_request, &self.on_handshake, &self.on_connection];
        self.process.is_none()
            && hooks.iter().all(|hook| hook.is_none())
            && self.on_tick.is_none()
            && self.on_exit.is_none()
    }
}

/// Whether a global function of that name exists. Raw, so that nothing of the script runs.
fn defines(sandbox: &Sandbox, hook: &str) -> mlua::Result<bool> {
    let value: Value = sandbox.lua().globals().raw_get(hook)?;
    Ok(!value.is_nil())
}

/// The table `arg`: the script's name at 0, and what `--arg` names.
fn give_arguments(
    sandbox: &Sandbox,
    name: &str,
    arguments: &[(String, String)],
) -> mlua::Result<()> {
    let table = sandbox.lua().create_table()?;
    table.set(0, name)?;
    for (name, value) in arguments {
        table.set(name.as_str(), value.as_str())?;
    }
    sandbox.lua().globals().set("arg", table)
}

/// All words of a script and of its arguments.
fn words<'t>(text: &'t str, arguments: &'t [(String, String)]) -> HashSet<&'t str> {
    let values = arguments.iter().map(|(_, value)| value.as_str());
    std::iter::once(text)
        .chain(values)
        .flat_map(|text| text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_')))
        .collect()
}

impl Failures {
    /// Counts a call; tells what went wrong, each thing once.
    fn note(&mut self, ended: std::result::Result<(), Failure>) {
        self.calls += 1;
        let Err(failure) = ended else {
            return;
        };
        self.errors += 1;
        let text = match failure {
            Failure::Error(text) => text,
            Failure::Limit(text) => {
                self.is_stopped = true;
                format!("the script is stopped: {text}")
            }
        };
        if self.is_stopped || self.told.len() < TOLD && self.told.insert(text.clone()) {
            say(&text);
        }
        self.first.get_or_insert(text);
    }
}
