//! `agent`: what the file says, or what is wrong with it; and the run of its sources and views.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use signal_hook::consts::SIGHUP;
use signal_hook::flag;

use super::generated::to_stdout;
use super::stop_on_signals;
use crate::agent::config::AgentConfig;
use crate::agent::fan::Fan;
use crate::agent::keys;
use crate::agent::load::{self, Loaded};
use crate::agent::notify::Notify;
use crate::agent::plan::{self, From};
use crate::agent::reload::Reload;
use crate::agent::render::render;
use crate::cli::Agent;
use crate::log::{self, Level, log};
use crate::observe::observe;
use crate::say::say;
use crate::status::usage;
use crate::{sources, status};

pub(super) fn run(command: &Agent) -> Result<ExitCode> {
    if command.keys {
        return to_stdout(keys::reference().as_bytes());
    }
    let Loaded { config, notes } = load::load(&command.config)?;
    if command.check {
        notes.iter().for_each(say);
        return to_stdout(render(&config.effective).as_bytes());
    }
    log::start(config.log_level);
    for note in &notes {
        log(Level::Info, note);
    }
    match plan::from(&config) {
        From::Files { files, follow } => of_files(&command.config, config, files, follow),
        From::Live(live) => {
            let names: Vec<_> = live
                .iter()
                .flat_map(|live| live.interfaces.clone())
                .collect();
            Err(usage(format!(
                "cannot capture on {}: live sources come with the capture loop; write read: FILE.pcap",
                names.join(", ")
            )))
        }
    }
}

fn of_files(
    path: &Path,
    config: AgentConfig,
    files: Vec<std::path::PathBuf>,
    follow: bool,
) -> Result<ExitCode> {
    let outputs = config.views.iter().map(|view| view.output.as_deref());
    for output in outputs {
        sources::check(&files, follow, [output, None])?;
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let plan = plan::plan(&config, files, follow, cores, stop_on_signals()?);
    let again = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&again)).context("cannot wait for signal SIGHUP")?;
    // A run of files that are not followed ends by itself: there is no time to read again.
    let mut fan = Fan::open(&config, Notify::from_environment())?;
    fan.set_reload(follow.then(|| Reload::new(path.to_owned(), config, again)));
    fan.ready();
    let mut observed = observe(plan, &mut fan)?;
    observed.health.records_dropped.extend(fan.missed());
    if !observed.reader_gone {
        fan.finish(&observed.health, &names)?;
    }
    Ok(status::of_run(&observed))
}
