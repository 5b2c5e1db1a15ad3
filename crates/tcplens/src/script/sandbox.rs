//! A Lua state with limits: what a script can reach, and how a call of it is ended.
//!
//! Every call runs in a coroutine that is kept: the instruction hook makes it yield when its time is spent, and a yield
//! is nothing that a `pcall` could catch. Memory is bounded by the allocator. What the count does not see (C functions) is
//! bounded in sandbox.lua.

use std::sync::Arc;

use mlua::state::{GcGenParams, GcMode};
use mlua::{
    Error, Function, HookTriggers, IntoLuaMulti, Lua, LuaOptions, LuaString, MultiValue, Result,
    StdLib, Table, Thread, Value,
};
use tcplens_core::time::Span;

use super::budget::{Budget, EVERY};
use super::pattern::{self, Capture};

/// How a call ended that did not end well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// An error of the script: file, line and what it says.
    Error(String),
    /// It broke a limit, and cannot be called again.
    Limit(String),
}

/// Limits of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that Lua may hold.
    pub memory: usize,
    /// What one call may last, as instructions of 10 ns.
    pub time: Span,
    /// Opens io, os, package and load.
    pub allows_io: bool,
}

/// Steps that a pattern may cost at worst for Lua's own matcher to be used: a few milliseconds.
const LITTLE: u32 = 1_000_000;

/// See the module.
pub(crate) struct Sandbox {
    lua: Lua,
    budget: Arc<Budget>,
    limits: Limits,
    /// `coroutine.yield` as it was.
    yields: Function,
}

/// A function of the script, called again and again in one coroutine; made anew after an error.
pub(crate) struct Runner {
    body: Function,
    thread: Option<Thread>,
}

impl Sandbox {
    /// A state with nothing of a script in it.
    pub(crate) fn new(limits: Limits) -> Result<Sandbox> {
        Sandbox::with_patterns(limits, LITTLE)
    }

    /// The same, with another bound on the steps that Lua's own pattern matcher may need.
    pub(super) fn with_patterns(limits: Limits, little: u32) -> Result<Sandbox> {
        let safe = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH;
        let opened = if limits.allows_io {
            StdLib::IO | StdLib::PACKAGE
        } else {
            StdLib::NONE
        };
        let lua = Lua::new_with(safe | StdLib::OS | opened, LuaOptions::default())?;
        let budget = Arc::new(Budget::new());
        let yields: Function = lua.globals().get::<Table>("coroutine")?.get("yield")?;
        for (name, code) in [
            ("=sandbox", include_str!("sandbox.lua")),
            ("=compat", include_str!("compat.lua")),
        ] {
            let host = host(&lua, &budget)?;
            host.set("little", little)?;
            lua.load(code)
                .set_name(name)
                .call::<()>((host, limits.allows_io))?;
        }
        // Tables that live for one call are what there is most of: 3 % less time than the incremental collector.
        lua.gc_set_mode(GcMode::Generational(GcGenParams::default()));
        lua.set_memory_limit(limits.memory)?;
        let shared = Arc::clone(&budget);
        lua.set_global_hook(
            HookTriggers::new().every_nth_instruction(EVERY),
            move |lua, _| shared.hook(lua),
        )?;
        Ok(Sandbox {
            lua,
            budget,
            limits,
            yields,
        })
    }

    /// The state, to make values with.
    pub(crate) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// Hands over what was printed.
    pub(crate) fn take_output(&self, take: impl FnOnce(&[u8])) {
        let mut output = self.budget.output();
        take(&output);
        output.clear();
    }

    /// Bytes printed and not handed over yet.
    pub(crate) fn pending(&self) -> usize {
        self.budget.output().len()
    }

    /// Runs a script's text, with `times` the time of a call. `name` is in its error messages.
    pub(crate) fn run(
        &self,
        text: &[u8],
        name: &str,
        times: u32,
    ) -> std::result::Result<(), Failure> {
        // A first line `#!` is the shell's, as in lua(1); the line stays, for the numbers.
        let text = match text.strip_prefix(b"#") {
            Some(rest) => [b"--", rest].concat(),
            None => text.to_vec(),
        };
        let chunk = self.lua.load(text).set_name(format!("@{name}"));
        let function = chunk
            .set_mode(mlua::chunk::ChunkMode::Text)
            .into_function()
            .map_err(|error| self.failure(&error))?;
        let thread = self
            .lua
            .create_thread(function)
            .map_err(|error| self.failure(&error))?;
        self.begin(times);
        let result = thread.resume::<MultiValue>(());
        match result {
            Err(error) => Err(self.failure(&error)),
            Ok(_) if self.budget.is_spent() => Err(self.limit()),
            Ok(_) => Ok(()),
        }
    }

    /// What calls the global function `name`: `parameters` are handed to it as `arguments`, a Lua expression of them.
    pub(crate) fn runner(&self, name: &str, parameters: &str, arguments: &str) -> Result<Runner> {
        // Fresh locals each time round: their values need no moves. The name is looked up each time, for a script may
        // set another function.
        let code = format!(
            "local yield = ... return function() local yield = yield while true do \
             local {parameters} = yield(true) {name}({arguments}) end end"
        );
        let body = self
            .lua
            .load(code)
            .set_name("=tcplens")
            .call(self.yields.clone())?;
        Ok(Runner { body, thread: None })
    }

    /// Calls it, with `times` the time of a call.
    pub(crate) fn call(
        &self,
        runner: &mut Runner,
        times: u32,
        arguments: impl IntoLuaMulti,
    ) -> std::result::Result<(), Failure> {
        let thread = match runner.thread.take() {
            Some(thread) => thread,
            None => self
                .start(&runner.body)
                .map_err(|error| self.failure(&error))?,
        };
        self.begin(times);
        // A runner yields true; what a limit stopped yields nothing.
        match thread.resume::<bool>(arguments) {
            Ok(true) => {
                runner.thread = Some(thread);
                Ok(())
            }
            Ok(false) => Err(self.limit()),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Up to where it waits for its first call.
    fn start(&self, body: &Function) -> Result<Thread> {
        let thread = self.lua.create_thread(body.clone())?;
        self.begin(1);
        thread.resume::<()>(())?;
        Ok(thread)
    }

    fn begin(&self, times: u32) {
        let time = self.limits.time.ns().saturating_mul(u64::from(times));
        self.budget.begin(Span::from_ns(time));
    }

    fn limit(&self) -> Failure {
        let place = self.budget.take_place();
        let place = place.map_or(String::new(), |place| format!("{place}: "));
        Failure::Limit(format!(
            "{place}one call took more than its time; make it do less, or raise --script-time"
        ))
    }

    /// What an error means that came while values were made for a call.
    pub(crate) fn failed(&self, error: &Error) -> Failure {
        self.failure(error)
    }

    fn failure(&self, error: &Error) -> Failure {
        if self.budget.is_spent() {
            return self.limit();
        }
        let text = message(error);
        if matches!(error, Error::MemoryError(_)) || text.contains("not enough memory") {
            return Failure::Limit(format!(
                "the script holds more than {} MiB; make it keep less, or raise --script-memory",
                self.limits.memory >> 20
            ));
        }
        Failure::Error(text)
    }
}

/// What an error says, without what mlua adds to it.
fn message(error: &Error) -> String {
    let text = match error {
        Error::RuntimeError(text) | Error::MemoryError(text) => text.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        Error::CallbackError { cause, .. } => message(cause),
        other => other.to_string(),
    };
    let Some((text, trace)) = text.split_once("\nstack traceback:") else {
        return text;
    };
    // The line of the script, where the text has none: thrown by one of Lua's functions, with or without the sandbox
    // between, or without a place.
    let is_ours = |line: &str| OURS.iter().any(|name| line.starts_with(name));
    let mut lines = trace.lines().map(str::trim);
    let caller = lines.find(|line| !line.is_empty() && !line.starts_with('[') && !is_ours(line));
    let place = caller
        .and_then(|line| line.split_once(": "))
        .map(|(place, _)| place);
    let says = match text.split_once(": ") {
        Some((_, says)) if is_ours(text) => says,
        _ => text,
    };
    match place.and_then(|place| Some((place, place.rsplit_once(':')?.0))) {
        Some((place, file)) if !says.starts_with(&format!("{file}:")) => format!("{place}: {says}"),
        _ => says.to_owned(),
    }
}

/// How the names of our own chunks begin in messages.
const OURS: [&str; 3] = ["sandbox:", "compat:", "tcplens:"];

/// The functions that sandbox.lua builds on.
fn host(lua: &Lua, budget: &Arc<Budget>) -> Result<Table> {
    let host = lua.create_table()?;
    let shared = Arc::clone(budget);
    let charge = move |lua: &Lua, instructions: f64| {
        // What is beyond the range becomes its end; less than nothing is an overflow in the script's arithmetic.
        let instructions = if instructions < 0.0 {
            i64::MAX
        } else {
            instructions as i64
        };
        match shared.spend(instructions) {
            true => Ok(()),
            false => {
                shared.note_place(lua);
                Err(Error::runtime("the script's time is spent"))
            }
        }
    };
    host.set("charge", lua.create_function(charge)?)?;
    let shared = Arc::clone(budget);
    let is_spent = move |_: &Lua, ()| Ok(shared.is_spent());
    host.set("is_spent", lua.create_function(is_spent)?)?;
    let shared = Arc::clone(budget);
    let write = move |_: &Lua, (text, end): (LuaString, LuaString)| match shared
        .print([&text.as_bytes(), &end.as_bytes()])
    {
        true => Ok(()),
        false => Err(Error::runtime("one call prints more than 64 MiB")),
    };
    host.set("write", lua.create_function(write)?)?;
    let shared = Arc::clone(budget);
    type Asked = (LuaString, LuaString, usize, usize, Option<bool>);
    let search = move |lua: &Lua, (subject, pattern, init, last, is_anchored): Asked| {
        let spend = |steps: u32| shared.spend(i64::from(steps));
        let (bytes, pattern) = (subject.as_bytes(), pattern.as_bytes());
        let found = pattern::search(
            &bytes,
            &pattern,
            init.saturating_sub(1),
            last.checked_sub(1),
            is_anchored.unwrap_or(false),
            &spend,
        );
        let mut values = MultiValue::new();
        match found {
            Err(problem) => {
                values.push_back(Value::Boolean(false));
                values.push_back(Value::String(lua.create_string(problem)?));
            }
            Ok(None) => values.push_back(Value::Boolean(true)),
            Ok(Some(found)) => {
                values.push_back(Value::Boolean(true));
                values.push_back(integer(found.from + 1));
                values.push_back(integer(found.to));
                values.push_back(Value::Boolean(!found.captures.is_empty()));
                let whole = [Capture::Text(found.from, found.to)];
                let captures = match found.captures.as_slice() {
                    [] => &whole[..],
                    captures => captures,
                };
                for capture in captures {
                    values.push_back(match capture {
                        Capture::Position(at) => integer(at + 1),
                        Capture::Text(from, to) => {
                            Value::String(lua.create_string(&bytes[*from..*to])?)
                        }
                    });
                }
            }
        }
        Ok(values)
    };
    host.set("search", lua.create_function(search)?)?;
    Ok(host)
}

fn integer(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
