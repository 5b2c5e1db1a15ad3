//! tcplens-query: SQL over a store of records. DataFusion reads the Parquet files that `tcplens --store DIR` writes; nothing here
//! writes to them. `tcplens query` runs this program with its own words; docs/query.md says what is promised.
//!
//! This file is the way in: options, what is to be run, exit statuses.

mod damage;
mod engine;
#[path = "../../crates/tcplens/src/cli/query.rs"]
mod options;
mod output;
mod pruning;
mod schema;
mod shell;
mod statements;
mod table;
mod trouble;
mod values;

use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Command, FromArgMatches};
use tcplens_output::named::{self, Dialect, Moment, Named, Parameters};
use tokio::runtime::Runtime;

use engine::Engine;
use options::Query;
use output::Output;
use trouble::{Result, Trouble};

/// Everything was read.
const COMPLETE: u8 = 0;
/// Nothing could be done.
const FAILED: u8 = 1;
/// The options, or the SQL, cannot be understood.
const USAGE: u8 = 2;
/// Files were left out, or the query was interrupted.
const PARTIAL: u8 = 3;

/// How long a query that was given up has to end and remove its temporary files.
const ENDING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let matches = match definition().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // clap knows which stream; a reader who went away has seen enough.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { COMPLETE });
        }
    };
    let query = match Query::from_arg_matches(&matches) {
        Ok(query) => query,
        Err(error) => error.exit(),
    };
    let status = match run(&query) {
        Ok(is_whole) if is_whole => COMPLETE,
        Ok(_) => PARTIAL,
        Err(Trouble::Closed) => COMPLETE,
        Err(trouble) => {
            say(&trouble);
            match trouble {
                Trouble::Usage(_) => USAGE,
                Trouble::Interrupted => PARTIAL,
                Trouble::Failed(_) | Trouble::Closed => FAILED,
            }
        }
    };
    ExitCode::from(status)
}

/// The options, each with its environment variable, as tcplens has them.
fn definition() -> Command {
    let command = Query::augment_args(Command::new("tcplens-query"))
        .bin_name("tcplens query")
        .version(env!("CARGO_PKG_VERSION"))
        .about("SQL over a store of records, and queries that come along");
    command.mut_args(|arg| match arg.get_long() {
        // What belongs to one question has none: TCPLENS_HOST is what a host calls itself where it stores.
        _ if arg.get_help_heading() == Some("Named queries") => arg,
        Some(long) if !matches!(long, "help" | "version") => {
            let variable = format!("TCPLENS_{}", long.replace('-', "_").to_uppercase());
            let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
            // `TCPLENS_EXPLAIN=0` does not mean yes.
            let arg = match is_flag {
                true => arg.value_parser(FalseyValueParser::new()),
                false => arg,
            };
            arg.env(variable).hide_env(true)
        }
        _ => arg,
    })
}

/// A line on standard error.
fn say(what: impl std::fmt::Display) {
    // Nobody is left to be told that this failed.
    let _ = writeln!(io::stderr(), "tcplens: {what}");
}

/// Does what is asked; `false` if something was left out.
fn run(query: &Query) -> Result<bool> {
    let named = match &query.named {
        Some(None) => {
            return Output::words(&named::list()).map(|()| true);
        }
        Some(Some(name)) => Some(Named::find(name).map_err(Trouble::Usage)?),
        None => None,
    };
    let asked = env::var(named::EDITION).unwrap_or_default();
    if named.is_some() && !asked.is_empty() && asked != named::edition() {
        say(format_args!(
            "this tcplens-query has other queries than the tcplens that asks it: these answers are its own. Build both of the \
             same source (docs/query.md)"
        ));
    }
    // What needs no store.
    if let Some(named) = named.filter(|_| query.show_sql) {
        let needs_newest = [query.since, query.until].into_iter().flatten();
        let needs_newest = needs_newest
            .into_iter()
            .any(|at| matches!(at, Moment::Before(_)));
        if !needs_newest || query.store.is_none() {
            let sql = sql_of(named, query, None)?;
            return Output::words(&(sql + "\n")).map(|()| true);
        }
    }
    let Some(store) = &query.store else {
        return Err(Trouble::usage(
            "which store? write --store DIR, the directory that --store of other commands filled, or set TCPLENS_STORE",
        ));
    };
    let runtime = engine::runtime(query.threads)?;
    let is_whole = answer(query, named, store, &runtime);
    if is_whole.is_err() {
        // Parts of a query that do not give way end with the process.
        runtime.shutdown_timeout(ENDING);
    }
    is_whole
}

/// Asks the store; `false` if something was left out.
fn answer(
    query: &Query,
    named: Option<&'static Named>,
    store: &Path,
    runtime: &Runtime,
) -> Result<bool> {
    let engine = Engine::open(store, query)?;
    if let Some(named) = named {
        let newest = match [query.since, query.until] {
            [None | Some(Moment::At(_)), None | Some(Moment::At(_))] => None,
            _ => Some(runtime.block_on(engine.newest())?),
        };
        let sql = sql_of(named, query, newest)?;
        if query.show_sql {
            Output::words(&(sql + "\n"))?;
        } else {
            let output = Output::new(query, Some(named));
            runtime.block_on(engine.run_all(&sql, query.explain, &output))?;
        }
        return Ok(engine.tell_damages());
    }
    let sql = match (&query.sql, &query.file) {
        (Some(sql), _) if sql == "-" => read_stdin()?,
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) if file.as_os_str() == "-" => read_stdin()?,
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| Trouble::Failed(format!("cannot read {}: {error}", file.display())))?,
        (None, None) if io::stdin().is_terminal() => {
            shell::run(&engine, runtime, query)?;
            return Ok(engine.tell_damages());
        }
        (None, None) => {
            return Err(Trouble::usage(
                "what to ask? write SQL, -F FILE, - for standard input, or --named NAME; the shell needs a terminal",
            ));
        }
    };
    let output = Output::new(query, None);
    runtime.block_on(engine.run_all(&sql, query.explain, &output))?;
    Ok(engine.tell_damages())
}

/// The SQL of a query that comes along; `newest`: what times count back from.
fn sql_of(
    named: &Named,
    query: &Query,
    newest: Option<tcplens_core::time::Timestamp>,
) -> Result<String> {
    let at = |moment: Option<Moment>| match (moment, newest) {
        (None, _) => Ok(None),
        (Some(Moment::At(at)), _) => Ok(Some(at)),
        (Some(before), Some(newest)) => Ok(Some(before.resolve(newest))),
        (Some(_), None) => Err(Trouble::usage(
            "a time such as 2h counts back from the newest record: write --store DIR, or a time such as 2026-11-21T10:05",
        )),
    };
    let parameters = Parameters {
        since: at(query.since)?,
        until: at(query.until)?,
        server: query.server,
        hosts: query.host.clone(),
        limit: query.limit,
        per: query.per,
    };
    let sql = named
        .sql(Dialect::Standard, &parameters)
        .map_err(Trouble::Usage)?;
    sql.ok_or_else(|| {
        Trouble::Failed(format!(
            "the query {} is not there in this dialect",
            named.name
        ))
    })
}

fn read_stdin() -> Result<String> {
    let mut sql = String::new();
    io::stdin().read_to_string(&mut sql).map_err(|error| {
        Trouble::Failed(format!("cannot read SQL from standard input: {error}"))
    })?;
    Ok(sql)
}
