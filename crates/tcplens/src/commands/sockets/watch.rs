//! What the loop is told: which sockets, how often, until when.

use std::time::{Duration, Instant};

use tcplens_core::filter::record::RecordFilter;
use tcplens_core::socket::message::state;
use tcplens_core::socket::{Pace, Tracker};
use tcplens_core::time::Span;

use crate::cli::{Format, Sockets};
use crate::say::say;
use crate::sockets::kernel::Told;
use crate::sockets::open::{self, Sources};
use crate::sockets::poll::{Poller, When};
use crate::sockets::pushed::{NO_CONNECTIONS, Pushed};
use crate::sockets::{Consumer, Counts, World};

/// People do not read faster: text is not made more often, unless --interval says so.
const TEXT_AT_LEAST: Duration = Duration::from_secs(1);

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

pub(super) fn poller(
    command: &Sockets,
    sources: Sources,
    world: World,
    consumers: Vec<Box<dyn Consumer>>,
) -> Poller {
    let pushed = pushed(command, world.filter.as_ref());
    let is_all = pushed.states & (1 << state::LISTEN | 1 << state::TIME_WAIT) != 0;
    let destroyed = sources.destroyed.and_then(|opened| match opened {
        Ok(destroyed) => Some(Box::new(destroyed) as Box<dyn Told>),
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
        diag: Box::new(sources.diag),
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
        changes: None,
        new_pace: None,
    }
}

pub(super) fn when(command: &Sockets) -> When {
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

pub(super) fn announcement(command: &Sockets) -> String {
    match &command.which.netns {
        Some(name) => format!("watching sockets in network namespace {name}"),
        None => "watching sockets".to_owned(),
    }
}

/// Whether processes are looked up also when privileges have been given up.
pub(super) fn keeps_processes(command: &Sockets) -> bool {
    command.processes && command.is_watching() && command.format() != Format::None
}
