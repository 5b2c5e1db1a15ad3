//! `agent`: what the file says, or what is wrong with it; and the run of its sources and views.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use signal_hook::consts::SIGHUP;
use signal_hook::flag;

use super::generated::to_stdout;
use crate::agent::anomalies::Anomalies;
use crate::agent::config::AgentConfig;
use crate::agent::fan::Fan;
use crate::agent::load::{self, Loaded};
use crate::agent::notify::Notify;
use crate::agent::plan::{self, From};
use crate::agent::reload::Reload;
use crate::agent::render::render;
use crate::agent::sockets::{OpenSockets, alone};
use crate::agent::{here, keys};
use crate::answer::Asked;
use crate::answer::listen::Listeners;
use crate::cli::Agent;
use crate::kernel::{KernelSource, NewPorts};
use crate::live::{Live, Source};
use crate::log::{self, Level, log};
use crate::observe::{Plan, observe};
use crate::otlp::Otlp;
use crate::say::{in_the_words_of_the_file, say};
use crate::sockets::MetricsView;
use crate::store::{StoreView, this_host};
use crate::{signals, sources, status};

pub(super) fn run(command: &Agent) -> Result<ExitCode> {
    if command.keys {
        return to_stdout(keys::reference().as_bytes());
    }
    in_the_words_of_the_file();
    let Loaded { config, notes } = load::load(&command.config)?;
    if command.check {
        notes.iter().for_each(say);
        for trouble in here::troubles(&config) {
            say(format_args!("on this machine: {trouble}"));
        }
        return to_stdout(render(&config.effective).as_bytes());
    }
    log::start(config.log_level);
    for note in &notes {
        log(Level::Info, note);
    }
    match plan::from(&config) {
        From::Files { files, follow } => of_files(&command.config, config, files, follow),
        From::Live(live, kernel) => {
            let names = live.iter().flat_map(|source| source.interfaces.clone());
            let names: Vec<_> = names
                .chain(kernel.as_ref().map(|_| "the kernel".to_owned()))
                .collect();
            let rings = plan::rings(&config, &live);
            let kernel = kernel.map(|kernel| plan::in_kernel(&config, &kernel));
            of_live(&command.config, config, (rings, kernel), &names)
        }
        From::Sockets => of_sockets(&command.config, config),
    }
}

/// The kernel's sockets and nothing else.
fn of_sockets(path: &Path, config: AgentConfig) -> Result<ExitCode> {
    let mut live = live(path, &config, (Vec::new(), None))?;
    if let Some(store) = &config.store {
        store.prepare(&mut live)?;
    }
    let (sockets, desk) = sockets(&config, &mut live)?;
    let listeners = Listeners::bind(&plan::answering(&config))?.with(desk);
    let stop = signals::stop()?;
    let again = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&again)).context("cannot wait for signal SIGHUP")?;
    let notify = Notify::from_environment();
    live.give_up_privileges(Some(&listeners).filter(|listeners| !listeners.is_empty()))?;
    signals::watch();
    let http = listeners.start_beside()?;
    if let Some((_, address)) = &http {
        log(
            Level::Info,
            format_args!("answering at http://{address}/metrics"),
        );
    }
    let mut sockets = sockets.context("there is neither a source nor a section sockets")?;
    if let Some(store) = &config.store {
        let is_verbose = config.log_level >= Level::Info;
        let feeder = store.open(Some(Arc::clone(&stop)), is_verbose)?;
        sockets.set_store(StoreView::new(feeder, false));
    }
    let reload = Reload::new(path.to_owned(), config, again, NewPorts::default());
    let status = alone::watch(sockets, reload, notify, &stop);
    // It answered until then.
    drop(http);
    status
}

/// What is used when privileges have been given up.
fn live(
    path: &Path,
    config: &AgentConfig,
    (rings, kernel): (Vec<Source>, Option<KernelSource>),
) -> Result<Live> {
    let files = config.views.iter().filter_map(|view| view.output.clone());
    let mut live = Live::of(
        rings,
        kernel,
        config.user.as_deref(),
        files.collect(),
        config.log_level >= Level::Debug,
    )?;
    if config.log_level >= Level::Info {
        live = live.announced();
    }
    if config.otlp.is_some() {
        live.resolves();
    }
    // Its directory: an editor puts a new file in the place of the old one.
    live.reads(match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => ".".into(),
    });
    Ok(live)
}

/// Sockets, where they are asked for, and whom to ask for their part of the page of metrics.
fn sockets(
    config: &AgentConfig,
    live: &mut Live,
) -> Result<(Option<OpenSockets>, Option<SyncSender<Asked>>)> {
    let Some(sockets) = &config.sockets else {
        return Ok((None, None));
    };
    let (desk, asked) = match config.answering.metrics {
        Some(_) => {
            let (desk, asked) = MetricsView::desk();
            (Some(desk), Some(asked))
        }
        None => (None, None),
    };
    Ok((Some(OpenSockets::open(sockets, asked, live)?), desk))
}

/// Interfaces, the kernel itself, or both; `names` tell which.
fn of_live(
    path: &Path,
    config: AgentConfig,
    (rings, kernel): (Vec<Source>, Option<KernelSource>),
    names: &[String],
) -> Result<ExitCode> {
    let mut live = live(path, &config, (rings, kernel))?;
    if let Some(store) = &config.store {
        store.prepare(&mut live)?;
    }
    let (sockets, desk) = sockets(&config, &mut live)?;
    let listeners = Listeners::bind(&plan::answering(&config))?.with(desk);
    let seed = RandomState::new().hash_one(0);
    let mut plan = plan::live_plan(&config, live, listeners, seed, signals::stop()?);
    plan.requests = signals::Requests::listen()?;
    plan.otlp = collector(&config, &plan)?;
    show(path, config, (plan, sockets), names, true)
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
    let mut plan = plan::plan(&config, files, follow, cores, signals::stop()?);
    plan.otlp = collector(&config, &plan)?;
    // A run of files that are not followed ends by itself: there is no time to read again.
    show(path, config, (plan, None), &names, follow)
}

/// What watches what is abnormal, where that is asked for: it will learn what the store has.
fn anomalies(config: &AgentConfig, is_live: bool) -> Result<Option<Anomalies>> {
    let Some(anomalies) = &config.anomalies else {
        return Ok(None);
    };
    let store = config.store.as_ref().map(|store| {
        let host = store.host.clone().unwrap_or_else(this_host);
        (&store.target, host)
    });
    Anomalies::open(anomalies, store, is_live).map(Some)
}

/// A collector, if there is one.
fn collector(config: &AgentConfig, plan: &Plan) -> Result<Option<Otlp>> {
    let host = config
        .store
        .as_ref()
        .and_then(|store| store.host.as_deref());
    let collector = config.otlp.iter();
    let mut opened = collector.map(|collector| Otlp::open(collector, host, plan.settings.vantage));
    opened.next().transpose()
}

/// Runs to the end; `lasts`: for so long that the file may be read again.
fn show(
    path: &Path,
    config: AgentConfig,
    (plan, sockets): (Plan, Option<OpenSockets>),
    names: &[String],
    lasts: bool,
) -> Result<ExitCode> {
    let again = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&again)).context("cannot wait for signal SIGHUP")?;
    let mut fan = Fan::open(&config, Notify::from_environment())?;
    fan.set_anomalies(anomalies(&config, plan.live.is_some())?);
    fan.set_reload(
        lasts.then(|| Reload::new(path.to_owned(), config, again, plan.new_ports.clone())),
    );
    fan.set_sockets(sockets);
    let observed = observe(plan, &mut fan);
    let mut observed = observed.inspect_err(|_| fan.abandon_sockets())?;
    observed.health.records_dropped.extend(fan.missed());
    if !observed.reader_gone {
        fan.finish(&observed.health, names)?;
    }
    Ok(status::of_run(&observed))
}
