//! `fleet`: the page over a store. What is asked for comes by HTTP (`answer/http`, which waits for nobody) to the desk here, whose
//! threads read the store; what they made is kept while nothing new is in the store. Read-only: nothing is written, and SQL comes
//! from tcplens alone.
//!
//! ```text
//! answer/http            one thread for all clients: head, limits, deadlines
//!      | Asks: the target of a request
//! ask.rs                 what it means, or what is wrong with it
//! desk.rs                threads, a bounded queue, answers that are kept
//! source.rs              the store: directory.rs, clickhouse.rs
//! queries.rs             queries that come along, by the store's engine
//! ```

mod ask;
#[cfg(feature = "remote")]
mod clickhouse;
mod desk;
mod directory;
mod queries;
mod source;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::fleet::{FleetFilter, FleetRange};
#[cfg(feature = "remote")]
use tcplens_output::clickhouse::Target;
use tcplens_output::named::Moment;
use tcplens_output::page::fleet as page;

use crate::answer::http::Http;
use crate::answer::listen;
use crate::cli::Fleet;
use crate::commands::report::html::Html;
use crate::say::say;
use crate::signals;
use desk::Desk;
use directory::Directory;
use source::{Reading, Source};

/// Servers that have plots of their own in a file. Chosen: a file stays below some MB.
const IN_FILE: usize = 16;
/// How often to look whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn run(fleet: &Fleet) -> Result<ExitCode> {
    let store = open(fleet)?;
    match &fleet.html {
        Some(path) => {
            let html = Html::open(path, false)?;
            html.write(&file(&*store, fleet.since, fleet.until)?)?;
        }
        None => serve(fleet, store)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The store: a server, where the name says so.
fn open(fleet: &Fleet) -> Result<Arc<dyn Source>> {
    #[cfg(feature = "remote")]
    if let Some(target) = fleet.store.to_str().filter(|name| Target::is_one(name)) {
        let password = fleet.store_password_file.as_deref();
        return Ok(Arc::new(clickhouse::ClickHouse::open(target, password)?));
    }
    #[cfg(not(feature = "remote"))]
    let _ = &fleet.store_password_file;
    Ok(Arc::new(Directory::open(&fleet.store)?))
}

fn serve(fleet: &Fleet, store: Arc<dyn Source>) -> Result<()> {
    let stop = signals::stop()?;
    let listener = listen::bind_page(fleet.web)?;
    let at = listener.local_addr().context("cannot answer at --web")?;
    let desk = Desk::start(store).context("cannot begin threads that read the store")?;
    let http = Http::start_fleet(listener, Box::new(desk)).context("cannot answer at --web")?;
    say(format_args!("answering at http://{at}/"));
    signals::watch();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(LOOK);
    }
    drop(http);
    Ok(())
}

/// The page of a time with all of it within: everything, and the servers that matter most.
fn file(store: &dyn Source, since: Option<Moment>, until: Option<Moment>) -> Result<String> {
    let state = store.state().map_err(anyhow::Error::msg)?;
    let Some((_, newest)) = state.extent else {
        bail!(
            "{} has no rollups, of which the page is made; `--store DIR` of a command that observes writes them",
            store.name()
        );
    };
    let until = until.map_or(newest, |until| until.resolve(newest));
    let since = since.unwrap_or(Moment::Before(Span::from_ns(6 * 3600 * 1_000_000_000)));
    let since = since.resolve(newest);
    if since >= until {
        bail!("--since is not before --until; there is nothing to show");
    }
    let range = FleetRange::of(since, until);
    let read = |filter: FleetFilter| -> Result<(Reading, (String, Option<String>))> {
        let start = Instant::now();
        let mut reading = Reading::new(range, filter);
        let read = store.bring(&mut reading, &|| false);
        read.map_err(anyhow::Error::msg)?;
        let document = desk::document(store, &reading, state.extent, start.elapsed(), &|| false);
        Ok((reading, document))
    };
    let (all, (document, missing)) = read(FleetFilter::default())?;
    let mut servers = Vec::new();
    for (key, _) in all.fleet.servers().rows().into_iter().take(IN_FILE) {
        let filter = FleetFilter {
            server: Some(*key),
            ..FleetFilter::default()
        };
        let name = tcplens_output::human::Endpoint(key.0, key.1).to_string();
        servers.push((name, read(filter)?.1.0));
    }
    for damage in all.damages.iter().chain(&missing) {
        say(format_args!("cannot read {damage}"));
    }
    Ok(page::file(&document, &servers))
}

/// A moment from seconds since 1970; `None`: there is none so far away.
fn seconds(text: &str) -> Option<Timestamp> {
    text.parse::<i64>().ok()?.checked_mul(SECOND).map(Timestamp)
}
