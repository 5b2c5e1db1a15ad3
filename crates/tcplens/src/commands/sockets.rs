//! `sockets`: every TCP socket of the kernel, once or watched.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use tcplens_core::anonymize::Anonymize;
use tcplens_output::SinkEnd;
use tcplens_output::archive::{ArchiveSettings, Uuid};

use crate::answer::listen::Listeners;
use crate::cli::{Format, Sockets};
use crate::live::Live;
use crate::names::{self, Known};
use crate::say::{print, say};
use crate::signals::{self, Requests};
use crate::sockets::events::{EventSocket, Patience};
use crate::sockets::open::{self, Sources, Wants};
use crate::sockets::poll::Poller;
use crate::sockets::{ArchiveCounts, Archiver, Consumer, EventView, MetricsView, World};
use crate::status;
use crate::store::{StorePlan, StoreView};
use asked::{Expressions, check};
use shown::{consumers, is_in_place};
use watch::{announcement, keeps_processes, poller, when};

mod asked;
mod shown;
mod watch;

pub(super) fn run(command: &Sockets) -> Result<ExitCode> {
    check(command)?;
    let is_watching = command.is_watching();
    let mut live = Live::of_output(&command.output, command.which.user.as_deref())?;
    let wants = Wants {
        ends: is_watching && !command.when.no_destroy,
        owners: command.format() != Format::None,
        inside: command.when.kernel,
    };
    let sources = open::open(command.which.netns.as_deref(), wants)?;
    let expressions = Expressions::read(command, &sources)?;
    let known = match command.format() {
        Format::Text => Known::open(&command.naming, is_watching)?,
        _ => None,
    };
    if let Some(known) = &known {
        known.reads_of(&mut live);
    }
    let mut consumers = consumers(command, &mut live, known.as_ref())?;
    tell_of_processes(command, &sources);
    if keeps_processes(command) {
        live.keeps_processes();
    }
    let kept = &command.archive;
    let uuid = open::uuid(
        kept.uuid_prefix.as_deref(),
        kept.uuid_prefix_file.as_deref(),
    )?;
    if let Some(directory) = &kept.archive {
        live.keeps(directory.clone())?;
    }
    let store = StorePlan::of(&command.store)?;
    if let Some(store) = &store {
        store.prepare(&mut live)?;
    }
    let listeners = Listeners::of_sockets(
        command.telling.event_socket.as_deref(),
        command.telling.metrics,
    )?;
    open::give_up_privileges(&mut live, &listeners)?;
    let anonymize = command.anonymize.with(sources.addresses.clone());
    let stop = signals::stop()?;
    // Their threads are started without privileges.
    let store = store.as_ref().zip(Some(&stop));
    consumers.extend(told(command, store, listeners, &uuid, &anonymize)?);
    let requests = Requests::listen()?;
    signals::watch();
    let world = World {
        filter: expressions.filter,
        exclude: expressions.exclude,
        anonymize,
        prefix: uuid.prefix().to_owned(),
        ..World::default()
    };
    let mut poller = poller(command, sources, world, consumers);
    let is_announced = is_watching && !command.output.quiet && !is_in_place(command);
    let said = announcement(command);
    let mut started = || {
        if is_announced {
            say(&said);
        }
    };
    let end = poller.run(&when(command), &stop, &requests, &mut started)?;
    // A table ends with its own total.
    let is_told = command.format() == Format::Text && !is_watching;
    let output = &command.output;
    names::tell(known.as_ref(), output);
    conclude(poller, end, is_told, (output.verbose > 0, output.quiet))
}

/// Whose processes cannot be told.
fn tell_of_processes(command: &Sockets, sources: &Sources) {
    let unreadable = sources.owners.counts().unreadable;
    if (command.output.verbose > 0 || command.processes) && unreadable > 0 {
        say(format_args!(
            "{unreadable} processes may not be looked at: their sockets are shown without them; run as root, or with CAP_SYS_PTRACE"
        ));
    }
}

/// Whoever is told while it goes on.
fn told(
    command: &Sockets,
    store: Option<(&StorePlan, &Arc<AtomicBool>)>,
    listeners: Listeners,
    uuid: &Uuid,
    anonymize: &Anonymize,
) -> Result<Vec<Box<dyn Consumer>>> {
    let mut told: Vec<Box<dyn Consumer>> = Vec::new();
    let kept = &command.archive;
    let written: Option<Arc<ArchiveCounts>> = kept.archive.as_ref().map(|_| Arc::default());
    let (event_socket, metrics) = listeners.into_parts();
    if let Some(bound) = event_socket {
        let socket = EventSocket::start(bound, uuid.prefix(), Patience::default())?;
        if !command.output.quiet {
            say(&socket);
        }
        told.push(Box::new(EventView::new(socket)));
    }
    if let Some(listener) = metrics {
        let view = MetricsView::start(listener, written.clone())?;
        if !command.output.quiet {
            say(&view);
        }
        told.push(Box::new(view));
    }
    if let Some((store, stop)) = store {
        let feeder = store.open(Some(Arc::clone(stop)), command.output.verbose > 0)?;
        told.push(Box::new(StoreView::new(feeder, !command.is_watching())));
    }
    if let (Some(directory), Some(written)) = (&kept.archive, written) {
        let settings = ArchiveSettings {
            segment: kept.archive_segment,
            flush: kept.archive_flush,
            ..ArchiveSettings::new(directory.clone(), uuid.clone())
        };
        let archiver = Archiver::start(settings, anonymize.clone(), kept.include_local, written)?;
        told.push(Box::new(archiver.quiet(command.output.quiet)));
    }
    Ok(told)
}

/// What came of it: the last record, the closing line, and what was lost.
fn conclude(
    mut poller: Poller,
    end: Option<SinkEnd>,
    is_told: bool,
    (is_verbose, is_quiet): (bool, bool),
) -> Result<ExitCode> {
    let consumers = &mut poller.consumers;
    let mut end = end;
    if end.is_none() {
        consumers.iter_mut().for_each(|one| one.close());
        poller.counts.drops(consumers);
        let mut health = poller.counts.health();
        let hits = consumers.iter().flat_map(|one| one.limit_hits());
        health.limit_hits.extend(hits);
        end = consumers
            .iter_mut()
            .try_for_each(|one| one.health(&health).and_then(|()| one.settle()))
            .err();
    }
    poller.counts.drops(consumers);
    if !is_told && poller.counts.is_watching {
        print(&format!("{}\n", poller.counts.closing_line()));
    } else if !is_told && !is_quiet {
        let shown: u64 = consumers.iter().map(|one| one.shown()).sum();
        let noun = if shown == 1 { "socket" } else { "sockets" };
        print(&format!("{shown} {noun}\n"));
    }
    if is_verbose {
        say(poller.counts.cost());
    }
    match end {
        Some(end) => return Ok(status::of_error(&end.into())),
        None => {
            for consumer in poller.consumers {
                if let Err(end) = consumer.finish() {
                    return Ok(status::of_error(&end.into()));
                }
            }
        }
    }
    let losses = poller.counts.losses();
    losses.iter().for_each(say);
    Ok(if losses.is_empty() {
        ExitCode::SUCCESS
    } else {
        status::partial()
    })
}
