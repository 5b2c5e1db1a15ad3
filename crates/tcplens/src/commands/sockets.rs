//! `sockets`: every TCP socket of the kernel, once or watched.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{Health, Socket, SocketSummary};
use tcplens_core::socket::message::state;
use tcplens_core::socket::{Pace, Tracker};
use tcplens_core::time::Span;
use tcplens_output::SinkEnd;
use tcplens_output::archive::{ArchiveSettings, Uuid};
use tcplens_output::text::SocketOrder;
use tcplens_output::time_style::TimeFormat;

use super::lines::Target;
use crate::answer::listen::Listeners;
use crate::cli::{Format, SocketKind, Sockets, Sort};
use crate::live::Live;
use crate::names::{self, Known};
use crate::say::{print, say};
use crate::signals::{self, Requests};
use crate::sockets::events::{EventSocket, Patience};
use crate::sockets::open::{self, Sources, Wants};
use crate::sockets::poll::{Poller, When};
use crate::sockets::pushed::{NO_CONNECTIONS, Pushed};
use crate::sockets::{
    ArchiveCounts, Archiver, Consumer, Counts, EventView, MachineView, MetricsView, Screen,
    TextOptions, TextView, World,
};
use crate::status::{self, usage};

/// People do not read faster: text is not made more often, unless --interval says so.
const TEXT_AT_LEAST: Duration = Duration::from_secs(1);

pub(super) fn run(command: &Sockets) -> Result<ExitCode> {
    check(command)?;
    let is_watching = command.is_watching();
    let words: Vec<_> = command
        .which
        .words
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let text = words.join(" ");
    let mut live = Live::of_output(&command.output, command.which.user.as_deref())?;
    let wants = Wants {
        ends: is_watching && !command.when.no_destroy,
        owners: command.format() != Format::None,
        inside: command.when.kernel,
    };
    let sources = open::open(command.which.netns.as_deref(), wants)?;
    let filter = (!text.trim().is_empty())
        .then(|| sources.filter(&text))
        .transpose()?;
    let exclude = command.which.exclude.as_deref();
    let exclude = exclude.map(|text| sources.filter(text)).transpose()?;
    if [Some(text.as_str()), command.which.exclude.as_deref()]
        .into_iter()
        .flatten()
        .any(asks_for_marks)
    {
        say(
            "the kernel tells marks to who has CAP_NET_ADMIN when it asks, which is given up before: no socket has one here; ss shows them",
        );
    }
    let has_kinds = command.kind.len() != 1;
    if command.format() == Format::Parquet {
        live.finishes(&command.output, has_kinds)?;
    }
    let target = match has_kinds {
        true => Target::open_kinds(command.format(), &command.output, is_watching)?,
        false => Target::open(command.format(), &command.output, is_watching)?,
    };
    let known = match command.format() {
        Format::Text => Known::open(&command.naming, is_watching)?,
        _ => None,
    };
    if let Some(known) = &known {
        known.reads_of(&mut live);
    }
    let mut consumers = consumers(command, target, known.as_ref())?;
    let owners = sources.owners.counts();
    if (command.output.verbose > 0 || command.processes) && owners.unreadable > 0 {
        say(format_args!(
            "{} processes may not be looked at: their sockets are shown without them; run as root, or with CAP_SYS_PTRACE",
            owners.unreadable
        ));
    }
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
    let listeners = Listeners::of_sockets(
        command.telling.event_socket.as_deref(),
        command.telling.metrics,
    )?;
    open::give_up_privileges(&mut live, &listeners)?;
    let anonymize = command.anonymize.with(sources.addresses.clone());
    // Their threads are started without privileges.
    let written = kept.archive.as_ref().map(|_| Arc::default());
    consumers.extend(told(command, listeners, &uuid, written.as_ref())?);
    if let (Some(directory), Some(written)) = (&kept.archive, written) {
        let settings = ArchiveSettings {
            segment: kept.archive_segment,
            flush: kept.archive_flush,
            ..ArchiveSettings::new(directory.clone(), uuid.clone())
        };
        let archiver = Archiver::start(settings, anonymize.clone(), kept.include_local, written)?;
        consumers.push(Box::new(archiver.quiet(command.output.quiet)));
    }
    let stop = signals::stop()?;
    let requests = Requests::listen()?;
    signals::watch();
    let world = World {
        filter,
        exclude,
        anonymize,
        prefix: uuid.prefix().to_owned(),
        ..World::default()
    };
    let mut poller = poller(command, sources, world, consumers);
    let when = when(command);
    let is_announced = is_watching && !command.output.quiet;
    let is_in_place = is_in_place(command);
    let said = announcement(command);
    let mut started = || {
        if is_announced && !is_in_place {
            say(&said);
        }
    };
    let end = poller.run(&when, &stop, &requests, &mut started)?;
    // A table ends with its own total.
    let is_told = command.format() == Format::Text && !is_watching;
    let output = &command.output;
    names::tell(known.as_ref(), output);
    conclude(poller, end, is_told, (output.verbose > 0, output.quiet))
}

/// Whoever is told while it goes on.
fn told(
    command: &Sockets,
    listeners: Listeners,
    uuid: &Uuid,
    written: Option<&Arc<ArchiveCounts>>,
) -> Result<Vec<Box<dyn Consumer>>> {
    let mut told: Vec<Box<dyn Consumer>> = Vec::new();
    let (event_socket, metrics) = listeners.into_parts();
    if let Some(bound) = event_socket {
        let socket = EventSocket::start(bound, uuid.prefix(), Patience::default())?;
        if !command.output.quiet {
            say(&socket);
        }
        told.push(Box::new(EventView::new(socket)));
    }
    if let Some(listener) = metrics {
        let view = MetricsView::start(listener, written.cloned())?;
        if !command.output.quiet {
            say(&view);
        }
        told.push(Box::new(view));
    }
    Ok(told)
}

/// Whether processes are looked up also when privileges have been given up.
fn keeps_processes(command: &Sockets) -> bool {
    command.processes && command.is_watching() && command.format() != Format::None
}

/// Whether an expression looks at SO_MARK.
fn asks_for_marks(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| matches!(word, "mark" | "fwmark"))
}

/// Refuses what makes no sense.
fn check(command: &Sockets) -> Result<()> {
    let output = &command.output;
    if output.write.is_some() {
        return Err(usage(
            "sockets sees no packets to save; leave -w (--write) out, or save them with tcplens connections -i any -w FILE",
        ));
    }
    if output.rotate.is_some() && output.output.is_none() {
        return Err(usage("--rotate is for files; name one with -o (--output)"));
    }
    let telling = [
        ("--event-socket", command.telling.event_socket.is_some()),
        ("--metrics", command.telling.metrics.is_some()),
    ];
    if let Some((option, _)) = telling.iter().find(|(_, is_asked)| *is_asked)
        && !command.is_watching()
    {
        return Err(usage(format!(
            "{option} tells of what comes; it takes --watch, or --duration or --polls"
        )));
    }
    if command.when.kernel && !command.is_watching() {
        return Err(usage(
            "-k (--kernel) tells how connections open and end; it takes --watch, --archive, --duration or --polls",
        ));
    }
    if command.extended && command.format() != Format::Text {
        return Err(usage(
            "-e (--extended) is for text; other formats have all fields always",
        ));
    }
    Ok(())
}

/// Who looks at what is found.
fn consumers(
    command: &Sockets,
    mut target: Target,
    known: Option<&Arc<Known>>,
) -> Result<Vec<Box<dyn Consumer>>> {
    let most = command.when.count;
    let is_watching = command.is_watching();
    Ok(match command.format() {
        Format::None => Vec::new(),
        Format::Text => {
            let options = TextOptions {
                order: match &command.sort {
                    Some(Sort(order)) => *order,
                    None => SocketOrder::Trouble,
                },
                is_extended: command.extended,
                color: target.is_colored(&command.output),
                screen: match (is_watching, is_in_place(command)) {
                    (false, _) => Screen::Once,
                    (true, true) => Screen::InPlace,
                    (true, false) => Screen::Blocks,
                },
                is_terminal: to_terminal(command),
                is_quiet: command.output.quiet,
                most,
                time: TimeFormat::new(command.output.time),
                hosts: names::hosts(known),
            };
            vec![Box::new(TextView::new(target, options))]
        }
        Format::Jsonl | Format::Csv | Format::Parquet => {
            let kinds = match (command.kind.as_slice(), command.format()) {
                ([], Format::Csv) => vec![SocketKind::Socket],
                ([], _) => vec![
                    SocketKind::Socket,
                    SocketKind::SocketSummary,
                    SocketKind::Health,
                ],
                (kinds, _) => kinds.to_vec(),
            };
            for kind in &kinds {
                match kind {
                    SocketKind::Socket => target.expect::<Socket<'_>>()?,
                    SocketKind::SocketSummary => target.expect::<SocketSummary<'_>>()?,
                    SocketKind::Health => target.expect::<Health>()?,
                }
            }
            vec![Box::new(MachineView::new(
                target,
                kinds,
                !is_watching,
                most,
            ))]
        }
    })
}

fn to_terminal(command: &Sockets) -> bool {
    command.output.output.is_none() && std::io::stdout().is_terminal()
}

/// Whether each table takes the place of the one before.
fn is_in_place(command: &Sockets) -> bool {
    command.format() == Format::Text && command.is_watching() && to_terminal(command)
}

/// What the kernel is asked for.
fn pushed(command: &Sockets, filter: Option<&RecordFilter>) -> Pushed {
    let mut pushed = match filter {
        Some(filter) => Pushed::of(&filter.ends()),
        None => Pushed {
            states: u32::MAX,
            bytecode: None,
        },
    };
    // Who asks for such a state by name wants to see it.
    let names_states = pushed.states != u32::MAX;
    if command.which.all || names_states && pushed.states & NO_CONNECTIONS != 0 {
        return Pushed {
            states: if command.is_watching() {
                u32::MAX
            } else {
                pushed.states
            },
            ..pushed
        };
    }
    pushed.states &= !NO_CONNECTIONS;
    if command.is_watching() {
        // One that leaves its state is not over.
        pushed.states = !NO_CONNECTIONS;
    }
    pushed
}

fn poller(
    command: &Sockets,
    sources: Sources,
    world: World,
    consumers: Vec<Box<dyn Consumer>>,
) -> Poller {
    let pushed = pushed(command, world.filter.as_ref());
    let is_all = pushed.states & (1 << state::LISTEN | 1 << state::TIME_WAIT) != 0;
    let destroyed = sources.destroyed.and_then(|opened| match opened {
        Ok(destroyed) => Some(destroyed),
        Err(error) => {
            say(open::without_ends(&error));
            None
        }
    });
    let world = World {
        host: sources.host,
        netns: sources.netns,
        owners: sources.owners,
        look_again: keeps_processes(command).then(Instant::now),
        cgroups: sources.cgroups,
        interfaces: sources.interfaces,
        is_once: !command.is_watching(),
        queues: command.telling.metrics.map(|_| Vec::new()),
        ..world
    };
    let counts = Counts {
        is_told: destroyed.is_some(),
        is_watching: command.is_watching(),
        is_all: !world.has_filter(),
        ..Counts::default()
    };
    Poller {
        diag: sources.diag,
        destroyed,
        inside: sources.inside,
        opened: sources.opened,
        pushed,
        is_all,
        tracker: Tracker::new(
            command.save_when.into(),
            usize::try_from(command.when.limit_connections).unwrap_or(usize::MAX),
        ),
        world,
        consumers,
        counts,
        others: Vec::new(),
    }
}

fn when(command: &Sockets) -> When {
    let asked = &command.when;
    let time = |span: Span| Duration::from_nanos(span.ns());
    let is_text = command.format() == Format::Text;
    When {
        polls: match command.is_watching() {
            true => asked.polls,
            false => Some(1),
        },
        duration: asked.duration.map(time),
        // Of a table -c says how long it is.
        count: asked.count.filter(|_| !is_text && command.is_watching()),
        pace: match asked.interval {
            Some(interval) => Pace::Fixed(interval.ns()),
            None => Pace::Budget(asked.cpu_budget / 100.0),
        },
        at_least: match asked.interval {
            None if is_text => TEXT_AT_LEAST,
            _ => Duration::ZERO,
        },
    }
}

fn announcement(command: &Sockets) -> String {
    match &command.which.netns {
        Some(name) => format!("watching sockets in network namespace {name}"),
        None => "watching sockets".to_owned(),
    }
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
        print(&format!("{shown} sockets\n"));
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
