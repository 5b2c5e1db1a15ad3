//! `query` of a ClickHouse server: its own engine, asked over HTTP; no other program is needed. The same queries that come along, in
//! its SQL.

use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use tcplens_core::time::{SECOND, Timestamp};
use tcplens_output::answer::{Format, Printer, Settings, Value};
use tcplens_output::clickhouse::{Server, Target};
use tcplens_output::glyphs::Glyphs;
use tcplens_output::named::{self, Dialect, Moment, Named, Parameters};
use tcplens_output::{Sink, SinkEnd};

use crate::cli::Query;
use crate::cli::query::{PlotWhen, QueryFormat};
use crate::commands::generated::to_stdout;
use crate::status::usage;
use crate::store;

/// Columns where the terminal does not tell.
const WIDTH: usize = 100;
/// Bytes of rows that are written together.
const CHUNK: usize = 64 * 1024;

/// Runs the query.
pub(super) fn run(query: &Query, target: &str) -> Result<ExitCode> {
    let target: Target = target.parse().map_err(|why: String| anyhow!(why))?;
    let server = store::server(&target, query.store_password_file.as_deref())?;
    let (sql, named) = match &query.named {
        Some(Some(name)) => {
            let named = Named::find(name).map_err(usage)?;
            let sql = sql_of(named, query, &server)?;
            if query.show_sql {
                return to_stdout((sql + "\n").as_bytes());
            }
            (sql, Some(named))
        }
        Some(None) | None => (given(query)?, None),
    };
    let format = match query.format {
        QueryFormat::Text => Format::Text,
        QueryFormat::Jsonl => Format::Jsonl,
        QueryFormat::Csv => Format::Csv,
        QueryFormat::None => Format::None,
        QueryFormat::Parquet => {
            bail!("a server's answer is not written as Parquet here; write text, jsonl or csv")
        }
    };
    let sql = match query.explain {
        true => format!("EXPLAIN {sql}"),
        false => sql,
    };
    let plot = named.and_then(|named| named.plot);
    // What goes over time has a row for each minute.
    let usual = match named.is_some_and(|named| named.takes_per) {
        true => PlotWhen::Only,
        false => PlotWhen::Yes,
    };
    let when = query.plot.unwrap_or(usual);
    let sink = Sink::open(query.output.as_deref(), None)?;
    let settings = Settings {
        format,
        color: query.color.enabled(sink.is_terminal()),
        glyphs: Glyphs::choose(query.ascii),
        time: query.time,
        width: terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0)),
        most_rows: None,
        has_table: plot.is_none() || when != PlotWhen::Only,
        plot: plot.filter(|_| when != PlotWhen::No),
        nothing: named.map(Named::nothing),
    };
    match print(&server, &sql, settings, sink) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Who went away has seen enough.
        Err(error) => match error.downcast_ref::<SinkEnd>() {
            Some(SinkEnd::Closed { .. }) => Ok(ExitCode::SUCCESS),
            _ => Err(error),
        },
    }
}

fn print(server: &Server, sql: &str, settings: Settings, mut sink: Sink) -> Result<()> {
    let mut rows = server.query(sql)?;
    let mut printer = Printer::new(rows.columns().to_vec(), settings);
    let mut row = Vec::new();
    let failed = || format!("cannot read the answer of {}", server.target());
    while rows.next_row(&mut row).with_context(failed)? {
        printer.push(&row);
        if printer.bytes().len() >= CHUNK {
            sink.write(printer.bytes())?;
            printer.clear();
        }
    }
    printer.finish();
    sink.write(printer.bytes())?;
    sink.finish()?;
    Ok(())
}

/// What stands on the command line, in a file, or on standard input.
fn given(query: &Query) -> Result<String> {
    let stdin = || -> Result<String> {
        let mut sql = String::new();
        let read = io::stdin().read_to_string(&mut sql);
        read.context("cannot read SQL from standard input")?;
        Ok(sql)
    };
    let sql = match (&query.sql, &query.file) {
        (Some(sql), _) if sql == "-" => stdin()?,
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) if file.as_os_str() == "-" => stdin()?,
        (None, Some(file)) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?,
        (None, None) if io::stdin().is_terminal() => bail!(
            "no SQL: write it on the command line, or --named NAME; ClickHouse has a shell of its own, clickhouse-client"
        ),
        (None, None) => stdin()?,
    };
    // One statement; the server takes no more.
    Ok(sql.trim().trim_end_matches(';').to_owned())
}

fn sql_of(named: &Named, query: &Query, server: &Server) -> Result<String> {
    let mut newest = None;
    let mut at = |moment: Option<Moment>| match moment {
        None => Ok(None),
        Some(Moment::At(at)) => Ok(Some(at)),
        Some(before) => {
            let end = match newest {
                Some(end) => end,
                None => *newest.insert(end(server)?),
            };
            Ok::<_, anyhow::Error>(Some(before.resolve(end)))
        }
    };
    let parameters = Parameters {
        since: at(query.since)?,
        until: at(query.until)?,
        server: query.server,
        hosts: query.host.clone(),
        limit: query.limit,
        per: query.per,
    };
    let sql = named.sql(Dialect::ClickHouse, &parameters);
    sql.map_err(|why| anyhow!(why))?
        .ok_or_else(|| anyhow!("the query {} is not there for ClickHouse", named.name))
}

/// The end of the newest rollup, from which times count back.
fn end(server: &Server) -> Result<Timestamp> {
    let mut rows = server.query(named::NEWEST)?;
    let mut row = Vec::new();
    rows.next_row(&mut row)?;
    match row.first() {
        // Of no rows at all it is 1970.
        Some(Value::Time(at)) if at.0 > 0 => Ok(at.plus(60 * SECOND)),
        _ => bail!(
            "the store has no rollups, from whose end a time such as 2h would count back; write 2026-11-21T10:05"
        ),
    }
}
