//! A ClickHouse server as a source, its own tables or Distributed ones. Hours take the place of files: how many rollups one has, and of
//! which batches, says whether it is as it was read. What is usually new are the newest hours: what was read before these is put aside,
//! so that only they are read again, as long as the same range is asked for.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_core::view::fleet::FleetFilter;
use tcplens_output::answer::{Format, Printer, Settings};
use tcplens_output::clickhouse::{ClickHouseReader, Scope, Server, Stretch, Target};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::named::{Dialect, Named, Parameters};
use tcplens_output::page::fleet::Mark;
use tcplens_output::store::look::{Looking, View};
use tcplens_output::time_style::TimeStyle;

use super::source::{Part, Reading, Records, Source, State, Why, hours};
use crate::store;

/// How long one question may take at the server. Chosen: below what a browser waits for (40 s).
const PATIENCE: Duration = Duration::from_secs(25);
/// Before the newest hour: what is older is put aside when it was read.
const OPEN: i64 = 3600 * SECOND;

/// See the module.
pub(super) struct ClickHouse {
    reader: ClickHouseReader,
    name: String,
}

impl ClickHouse {
    /// Asks the server whether it is one, and has rollups.
    ///
    /// # Errors
    /// It does not answer, or refuses, or has no tables.
    pub(super) fn open(target: &str, password: Option<&Path>) -> Result<ClickHouse> {
        let target: Target = target.parse().map_err(|why: String| anyhow!(why))?;
        let server = store::server(&target, password)?;
        server.version()?;
        let reader = ClickHouseReader::new(server.with_patience(PATIENCE));
        reader.extent(&[])?;
        reader.findings()?;
        Ok(ClickHouse {
            reader,
            name: target.to_string(),
        })
    }

    fn server(&self) -> &Server {
        self.reader.server()
    }
}

fn why(error: tcplens_output::clickhouse::ClickHouseError) -> Why {
    error.to_string()
}

impl Source for ClickHouse {
    fn name(&self) -> &str {
        &self.name
    }

    fn parts(&self) -> &'static str {
        "hours"
    }

    fn dialect(&self) -> Dialect {
        Dialect::ClickHouse
    }

    fn state(&self) -> Result<State, Why> {
        let extent = self.reader.extent(&[]).map_err(why)?;
        let findings = self.reader.findings().map_err(why)?;
        let mut hasher = DefaultHasher::new();
        findings.hash(&mut hasher);
        if let Some(extent) = extent {
            (extent.rows, extent.first, extent.newest).hash(&mut hasher);
        }
        Ok(State {
            version: hasher.finish(),
            extent: extent.and_then(|extent| Some((extent.first, extent.newest?))),
        })
    }

    fn bring(&self, reading: &mut Reading, give_up: &dyn Fn() -> bool) -> Result<(), Why> {
        let range = reading.fleet.range();
        let scope = scope(reading.fleet.filter());
        let there = self.reader.stretches(&(range.from..range.until), &scope);
        let there = there.map_err(why)?;
        let parts: BTreeSet<Part> = there.iter().copied().map(Part::Stretch).collect();
        if !reading.seen.is_subset(&parts) {
            match reading.settled.take() {
                Some(settled) if settled.seen.is_subset(&parts) => reading.go_back(settled),
                _ => reading.begin_again(),
            }
        }
        let is_new = |stretch: &&Stretch| !reading.seen.contains(&Part::Stretch(**stretch));
        let new: Vec<Stretch> = there.iter().filter(is_new).copied().collect();
        let newest = there.last().map(|last| last.time.0.plus(-OPEN));
        let is_open = |stretch: &Stretch| newest.is_none_or(|newest| stretch.time.0 >= newest);
        let (old, open): (Vec<Stretch>, Vec<Stretch>) =
            new.into_iter().partition(|new| !is_open(new));
        reading.unread = 0;
        let read = self.add(reading, &old, &scope, give_up);
        if read.is_ok() && reading.unread == 0 && !reading.seen.iter().any(|part| part.is(is_open))
        {
            reading.settle();
        }
        // Before all that is older was read, what may change would have that read again, too.
        let read = read.and_then(|()| {
            if reading.unread > 0 || (!old.is_empty() && give_up()) {
                reading.unread += hours(open.iter());
                return Ok(());
            }
            self.add(reading, &open, &scope, give_up)
        });
        reading.fleet.finish();
        read
    }

    fn marks(
        &self,
        range: &Range<Timestamp>,
        each: &mut dyn FnMut(Mark),
        _: &dyn Fn() -> bool,
    ) -> Result<(), Why> {
        self.reader.marks(range, each).map_err(why)
    }

    fn records(
        &self,
        view: &'static View,
        range: &Range<Timestamp>,
        filter: &FleetFilter,
        most: usize,
        _: &dyn Fn() -> bool,
    ) -> Result<Records, Why> {
        let looking = Looking::new(view, range.clone(), filter.clone(), most);
        Ok(Records {
            found: self.reader.look(looking).map_err(why)?,
            files: 0,
            unread: 0,
            damages: Vec::new(),
        })
    }

    fn engine(&self) -> Result<(), Why> {
        Ok(())
    }

    fn query(
        &self,
        named: &'static Named,
        parameters: &Parameters,
        most: usize,
    ) -> Result<(Vec<u8>, bool), Why> {
        let sql = named.sql(Dialect::ClickHouse, parameters)?;
        let sql =
            sql.ok_or_else(|| format!("the query {} is not there for ClickHouse", named.name))?;
        let mut rows = self.server().query(&sql).map_err(why)?;
        let mut printer = Printer::new(
            rows.columns().to_vec(),
            Settings {
                format: Format::Jsonl,
                color: false,
                glyphs: Glyphs::Unicode,
                time: TimeStyle::Utc,
                width: 0,
                most_rows: None,
                has_table: true,
                plot: None,
                nothing: None,
            },
        );
        let mut row = Vec::new();
        let failed =
            |error: std::io::Error| format!("cannot read the answer of {}: {error}", self.name);
        while printer.bytes().len() <= most && rows.next_row(&mut row).map_err(failed)? {
            printer.push(&row);
        }
        printer.finish();
        let is_cut = printer.bytes().len() > most;
        let mut lines = printer.bytes().to_vec();
        lines.truncate(most);
        Ok((lines, is_cut))
    }
}

impl ClickHouse {
    /// Adds stretches that were not read yet, as far as there is time; some of them in any case.
    fn add(
        &self,
        reading: &mut Reading,
        stretches: &[Stretch],
        scope: &Scope,
        give_up: &dyn Fn() -> bool,
    ) -> Result<(), Why> {
        let Reading { fleet, seen, .. } = &mut *reading;
        let before = seen.len();
        // What was added before an error cannot be taken back: `begin_again` on the next one.
        let read = self.reader.rollups(
            stretches,
            scope,
            &mut |host, rollup| fleet.add(host, &rollup),
            &mut |done| seen.extend(done.iter().copied().map(Part::Stretch)),
            give_up,
        );
        let done = seen.len() - before;
        let left = stretches.get(done..).unwrap_or_default();
        reading.unread += hours(left.iter());
        match read {
            Ok(0) => Ok(()),
            Ok(unknown) => {
                reading.damaged(format!(
                    "{}: {unknown} rows are of a later version and left out",
                    self.name
                ));
                Ok(())
            }
            Err(error) => Err(why(error)),
        }
    }
}

/// What of a filter the server looks at; [`tcplens_core::view::fleet::Fleet`] looks at the rest.
fn scope(filter: &FleetFilter) -> Scope {
    Scope {
        hosts: filter.host.iter().cloned().collect(),
        server: filter.server.and_then(|(ip, port)| {
            Some(tcplens_output::named::Server {
                ip: ip.to_canonical(),
                port: Some(u16::try_from(port).ok()?),
            })
        }),
    }
}

#[cfg(test)]
mod tests;
