//! The tables that record hooks get: the record's fields under their names, what is absent nil.
//!
//! As with packets a constructor in Lua makes them, with the fields that the script's text names.

use std::collections::HashSet;
use std::net::IpAddr;

use mlua::{Lua, Result, Value, Variadic};
use tcplens_core::record::{ConnectionId, Field, FirstFrame, Record, Visitor};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::rfc3339::{self, Rfc3339};

use super::sandbox::{Failure, Runner, Sandbox};

/// Fields beyond those of the record, made of `time` for scripts that calculate.
const TIMES: [&str; 3] = ["tv_sec", "tv_usec", "tv_nsec"];

/// Calls a hook with records of one kind.
pub(crate) struct RecordRunner {
    runner: Runner,
    /// Fields to hand over, in the order of the record's; then those of [`TIMES`].
    wanted: Vec<bool>,
    wanted_times: [bool; 3],
    rfc3339: Rfc3339,
}

impl RecordRunner {
    /// For a hook and a script whose text has these words; `None`: any field may be asked for.
    pub(crate) fn new<R: Record>(
        sandbox: &Sandbox,
        hook: &str,
        words: Option<&HashSet<&str>>,
    ) -> Result<RecordRunner> {
        let is_wanted = |name: &str| words.is_none_or(|words| words.contains(name));
        let (mut wanted, mut names) = (Vec::new(), Vec::new());
        R::fields(&mut |field| {
            wanted.push(is_wanted(field.name));
            names.extend(is_wanted(field.name).then_some(field.name));
        });
        let wanted_times = TIMES.map(is_wanted);
        names.extend(TIMES.iter().filter(|name| is_wanted(name)));
        let mut fields: Vec<_> = (names.iter().enumerate())
            .map(|(n, name)| format!("[\"{name}\"] = a{n}"))
            .collect();
        if is_wanted("kind") {
            fields.push(format!("kind = \"{}\"", R::KIND));
        }
        // At least one, for the assignment; a record has fewer fields than a function may have locals (200).
        let parameters: Vec<_> = (0..names.len().max(1)).map(|n| format!("a{n}")).collect();
        let arguments = format!("{{{}}}", fields.join(", "));
        Ok(RecordRunner {
            runner: sandbox.runner(hook, &parameters.join(", "), &arguments)?,
            wanted,
            wanted_times,
            rfc3339: Rfc3339::default(),
        })
    }

    /// Calls the hook with a record.
    pub(crate) fn call<R: Record>(
        &mut self,
        sandbox: &Sandbox,
        record: &R,
    ) -> std::result::Result<(), Failure> {
        let mut values = Values {
            lua: sandbox.lua(),
            wanted: &self.wanted,
            next: 0,
            rfc3339: &mut self.rfc3339,
            time: None,
            values: Vec::new(),
            error: None,
        };
        record.visit(&mut values);
        let Values {
            mut values,
            error,
            time,
            ..
        } = values;
        if let Some(error) = error {
            return Err(sandbox.failed(&error));
        }
        let parts = time.map(|time| {
            let nanos = time.0.rem_euclid(SECOND);
            [time.0.div_euclid(SECOND), nanos / 1000, nanos]
        });
        for n in 0..TIMES.len() {
            if self.wanted_times[n] {
                values.push(parts.map_or(Value::Nil, |parts| Value::Integer(parts[n])));
            }
        }
        sandbox.call(&mut self.runner, 1, Variadic::from_iter(values))
    }
}

/// Gathers the values of the wanted fields.
struct Values<'a> {
    lua: &'a Lua,
    wanted: &'a [bool],
    next: usize,
    rfc3339: &'a mut Rfc3339,
    time: Option<Timestamp>,
    values: Vec<Value>,
    error: Option<mlua::Error>,
}

impl Values<'_> {
    fn take(&mut self, make: impl FnOnce(&mut Self) -> Result<Value>) {
        let is_wanted = self.wanted.get(self.next).copied().unwrap_or(false);
        self.next += 1;
        if is_wanted {
            let value = make(self).unwrap_or_else(|error| {
                self.error = Some(error);
                Value::Nil
            });
            self.values.push(value);
        }
    }

    fn text(&mut self, text: Option<&[u8]>) {
        self.take(|values| match text {
            Some(text) => Ok(Value::String(values.lua.create_string(text)?)),
            None => Ok(Value::Nil),
        });
    }

    fn number(&mut self, number: Option<u64>) {
        let number = number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        self.take(|_| Ok(number.map_or(Value::Nil, Value::Integer)));
    }
}

impl Visitor for Values<'_> {
    fn count(&mut self, _: &'static Field, value: Option<u64>) {
        self.number(value);
    }

    fn span(&mut self, _: &'static Field, value: Option<Span>) {
        self.take(|_| {
            Ok(match value.map(Span::ns) {
                None => Value::Nil,
                Some(ns) if ns % 1000 == 0 => {
                    Value::Integer(i64::try_from(ns / 1000).unwrap_or(i64::MAX))
                }
                Some(ns) => Value::Number(ns as f64 / 1000.0),
            })
        });
    }

    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        if field.name == "time" {
            self.time = value;
        }
        self.take(|values| {
            let Some(at) = value else {
                return Ok(Value::Nil);
            };
            let mut text = [0; rfc3339::LENGTH];
            values.rfc3339.write(&mut text, at);
            Ok(Value::String(values.lua.create_string(text)?))
        });
    }

    fn ip(&mut self, _: &'static Field, value: Option<IpAddr>) {
        let text = value.map(|ip| ip.to_string());
        Values::text(self, text.as_deref().map(str::as_bytes));
    }

    fn word(&mut self, _: &'static Field, value: Option<&'static str>) {
        Values::text(self, value.map(str::as_bytes));
    }

    fn flag(&mut self, _: &'static Field, value: Option<bool>) {
        self.take(|_| Ok(value.map_or(Value::Nil, Value::Boolean)));
    }

    fn text(&mut self, _: &'static Field, value: Option<&str>) {
        Values::text(self, value.map(str::as_bytes));
    }

    fn id(&mut self, _: &'static Field, value: Option<ConnectionId>) {
        let text = value.map(ConnectionId::text);
        Values::text(self, text.as_ref().map(<[u8; _]>::as_slice));
    }

    fn counts(&mut self, _: &'static Field, value: &[(&'static str, u64)]) {
        self.take(|values| {
            let table = values.lua.create_table()?;
            for &(name, count) in value {
                table.raw_set(name, count)?;
            }
            Ok(Value::Table(table))
        });
    }

    fn list(&mut self, _: &'static Field, value: &[u64]) {
        self.take(|values| {
            let items = value.iter().copied();
            Ok(Value::Table(values.lua.create_sequence_from(items)?))
        });
    }

    fn frames(&mut self, _: &'static Field, value: &[FirstFrame]) {
        self.take(|values| {
            let list = values.lua.create_table()?;
            for frame in value {
                let item = values.lua.create_table()?;
                item.raw_set("threshold_bytes", frame.threshold_bytes)?;
                item.raw_set("bytes", frame.bytes)?;
                item.raw_set("us", frame.us)?;
                list.raw_push(item)?;
            }
            Ok(Value::Table(list))
        });
    }
}
