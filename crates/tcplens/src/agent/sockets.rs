//! The kernel's sockets in the agent: opened while there is privilege, then watched by a thread of their own until the run ends.
//! What it finds goes to an archive, to whoever is at its event socket, and to the agent's page of metrics. What of the section
//! changes while it goes on is in `change`, an agent that has nothing else in `alone`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::Health;
use tcplens_core::socket::{Tracker, tracker};
use tcplens_output::archive::{ArchiveSettings, Uuid};

use super::config::SocketsConfig;
use crate::answer::Asked;
use crate::answer::listen::Listeners;
use crate::live::{CGROUPS, Live};
use crate::log::{Level, log};
use crate::observe::Observed;
use crate::signals::Requests;
use crate::sockets::events::{EventSocket, Patience};
use crate::sockets::kernel::Told;
use crate::sockets::open::{self, Sources, Wants};
use crate::sockets::poll::{Poller, When};
use crate::sockets::pushed::{NO_CONNECTIONS, Pushed};
use crate::sockets::{
    ArchiveCounts, Archiver, Change, Consumer, Counts, EventView, MetricsView, World,
};
use crate::store::StoreView;
use alive::{Alive, Beat};

mod alive;
pub(crate) mod alone;
mod change;

/// What is open.
pub(crate) struct OpenSockets {
    config: SocketsConfig,
    sources: Sources,
    exclude: Option<RecordFilter>,
    uuid: Uuid,
    listeners: Listeners,
    /// What it is asked for its part of the page of metrics.
    asked: Option<Receiver<Asked>>,
    /// Where records are kept.
    store: Option<StoreView>,
}

/// The thread, and what is needed to tell it of changes.
pub(crate) struct WatchedSockets {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Outcome>>,
    alive: Arc<Alive>,
    changes: Sender<Change>,
    /// As it goes on.
    config: SocketsConfig,
    interfaces: HashMap<u32, String>,
    addresses: Vec<IpAddr>,
}

/// What came of it.
pub(crate) struct Outcome {
    health: Health,
    /// What `health` does not tell, a sentence each.
    other_losses: Vec<String>,
    /// All that was lost.
    losses: Vec<String>,
}

impl OpenSockets {
    /// Opens everything; `live` gives up privileges later, and is told what is used then.
    ///
    /// # Errors
    /// What cannot be opened, and what to do.
    pub(crate) fn open(
        config: &SocketsConfig,
        asked: Option<Receiver<Asked>>,
        live: &mut Live,
    ) -> Result<OpenSockets> {
        // Who has a socket decides nothing but what is left out.
        let wants = Wants {
            ends: true,
            owners: config.exclude.is_some(),
            inside: false,
        };
        let sources = open::open(config.netns.as_deref(), wants)?;
        let exclude = config.exclude.as_deref();
        let exclude = exclude.map(|text| sources.filter(text)).transpose()?;
        let uuid = open::uuid(
            config.uuid_prefix.as_deref(),
            config.uuid_prefix_file.as_deref(),
        )?;
        if let Some(directory) = &config.archive {
            live.keeps(directory.clone())?;
        }
        let listeners = Listeners::of_sockets(config.event_socket.as_deref(), None)?;
        live.serves(&listeners)?;
        live.reads(CGROUPS.into());
        Ok(OpenSockets {
            config: config.clone(),
            sources,
            exclude,
            uuid,
            listeners,
            asked,
            store: None,
        })
    }

    /// Records are kept there, too.
    pub(crate) fn set_store(&mut self, store: StoreView) {
        self.store = Some(store);
    }

    /// Begins to watch. To be called when privileges have been given up.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(self) -> Result<WatchedSockets> {
        let stop = Arc::new(AtomicBool::new(false));
        let alive = Arc::new(Alive::default());
        // It holds what was asked for since the thread looked last, a tenth of a second ago: as many as SIGHUPs came.
        let (changes, changed) = channel();
        let (config, interfaces, addresses) = (
            self.config.clone(),
            self.sources.interfaces.clone(),
            self.sources.addresses.clone(),
        );
        let (asked, beats) = (Arc::clone(&stop), Arc::clone(&alive));
        let thread = Builder::new().name("sockets".into()).spawn(move || {
            self.watch(&asked, changed, beats).inspect_err(|error| {
                log(
                    Level::Error,
                    format_args!("sockets: {error:#}; they are not watched any more"),
                );
            })
        });
        Ok(WatchedSockets {
            stop,
            thread: thread.context("cannot start the thread for sockets")?,
            alive,
            changes,
            config,
            interfaces,
            addresses,
        })
    }

    fn watch(
        self,
        stop: &AtomicBool,
        changes: Receiver<Change>,
        alive: Arc<Alive>,
    ) -> Result<Outcome> {
        let OpenSockets {
            config,
            sources,
            exclude,
            uuid,
            listeners,
            asked,
            store,
        } = self;
        let anonymize = config.anonymize.with(sources.addresses.clone());
        let mut consumers: Vec<Box<dyn Consumer>> = vec![Box::new(Beat::new(alive))];
        if let (Some(bound), _) = listeners.into_parts() {
            let socket = EventSocket::start(bound, uuid.prefix(), Patience::default())?;
            log(Level::Info, &socket);
            consumers.push(Box::new(EventView::new(socket)));
        }
        let written: Option<Arc<ArchiveCounts>> = config.archive.as_ref().map(|_| Arc::default());
        let queues = asked.as_ref().map(|_| Vec::new());
        if let Some(asked) = asked {
            consumers.push(Box::new(MetricsView::asked(asked, written.clone())));
        }
        if let (Some(directory), Some(written)) = (&config.archive, written) {
            let settings = ArchiveSettings::new(directory.clone(), uuid.clone());
            consumers.push(Box::new(Archiver::start(
                settings,
                anonymize.clone(),
                config.include_local,
                written,
            )?));
        }
        consumers.extend(store.map(|store| Box::new(store) as Box<dyn Consumer>));
        let destroyed = sources.destroyed.and_then(|opened| {
            opened
                .inspect_err(|error| log(Level::Warning, open::without_ends(error)))
                .ok()
                .map(|destroyed| Box::new(destroyed) as Box<dyn Told>)
        });
        let counts = Counts {
            is_told: destroyed.is_some(),
            is_watching: true,
            is_all: exclude.is_none(),
            ..Counts::default()
        };
        let mut poller = Poller {
            diag: Box::new(sources.diag),
            destroyed,
            inside: None,
            opened: sources.opened,
            // One that leaves its state is not over.
            pushed: Pushed {
                states: !NO_CONNECTIONS,
                bytecode: None,
            },
            is_all: false,
            tracker: Tracker::new(config.save_when.into(), tracker::LIMIT),
            world: World {
                exclude,
                anonymize,
                prefix: uuid.prefix().to_owned(),
                host: sources.host,
                netns: sources.netns,
                owners: sources.owners,
                cgroups: sources.cgroups,
                interfaces: sources.interfaces,
                queues,
                ..World::default()
            },
            consumers,
            counts,
            others: Vec::new(),
            changes: Some(changes),
            new_pace: None,
        };
        let when = When {
            polls: None,
            duration: None,
            count: None,
            pace: change::pace(&config),
            at_least: Duration::ZERO,
        };
        let mut started = || log(Level::Info, "watching sockets");
        let end = poller.run(&when, stop, &Requests::default(), &mut started)?;
        if let Some(end) = end {
            return Err(end.into());
        }
        conclude(poller)
    }
}

fn conclude(mut poller: Poller) -> Result<Outcome> {
    let consumers = &mut poller.consumers;
    consumers.iter_mut().for_each(|one| one.close());
    poller.counts.drops(consumers);
    let mut health = poller.counts.health();
    let hits = consumers.iter().flat_map(|one| one.limit_hits());
    health.limit_hits.extend(hits);
    // All are settled, whichever fails.
    let settled = consumers.iter_mut().map(|one| {
        let told = one.health(&health);
        told.and_then(|()| one.settle())
    });
    let settled: Vec<_> = settled.collect();
    settled.into_iter().collect::<Result<(), _>>()?;
    poller.counts.drops(&poller.consumers);
    for consumer in poller.consumers {
        consumer.finish()?;
    }
    log(
        Level::Info,
        format_args!("sockets: {}", poller.counts.closing_line()),
    );
    Ok(Outcome {
        health,
        other_losses: poller.counts.other_losses(),
        losses: poller.counts.losses(),
    })
}

impl WatchedSockets {
    /// Ends it: what is open is written, and what was lost counts as the run's.
    pub(crate) fn finish(self, observed: &mut Observed) {
        match self.end() {
            Ok(Outcome {
                health,
                other_losses,
                ..
            }) => {
                let whole = &mut observed.health;
                whole.records_dropped.extend(health.records_dropped);
                whole.limit_hits.extend(health.limit_hits);
                whole.sockets = health.sockets;
                observed.troubles.extend(other_losses);
            }
            Err(error) => observed.troubles.push(error.to_string()),
        }
    }

    /// Ends it, and says what came of it.
    ///
    /// # Errors
    /// It had ended before: why, was told when it happened, as a panic was.
    fn end(self) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) | Err(_) => Err(anyhow!("sockets were not watched until the end")),
        }
    }

    /// Ends it where nothing came of the run.
    pub(crate) fn abandon(self) {
        // What went wrong was told.
        let _ = self.end();
    }

    /// Whether it has ended by itself, which it should not.
    fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}
