//! `--event-socket`: a unix socket at which programs are told of connections that open and end, in tcp-info's lines
//! (`tcplens_output::events`). Whoever connects is told of what comes; whoever sends the line `REPLAY` first of what is open.
//!
//! The collector never waits: it leaves events in a ring (hub.rs) that all clients read from, each in a thread of its own and
//! at its own pace. Bounds: [`CLIENTS`] clients; [`Patience::behind`] events that a client may be behind, together 18 MiB
//! whatever the number of clients, and [`Patience::silence`] in which it must have taken something; who keeps to neither is
//! dropped. Two copies of what is open are under way at most ([`hub::REPLAYS`]); who asks for a third waits for its turn.

use std::fmt::{self, Display, Formatter};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_core::time::Timestamp;
use tcplens_output::events::{EventKind, EventLines, REPLAY, SocketEnds, SocketEvent};

use crate::answer::client::{Client, Stop, TICK};
use crate::answer::listen::SocketFile;
use crate::answer::server::{Room, Servers};
use hub::{Hub, Taken};

mod hub;
#[cfg(test)]
mod tests;

/// Clients at once. Chosen: a few per host; each is a thread.
pub(crate) const CLIENTS: usize = 16;
/// Events that are written at once: 60 KiB of lines.
const AT_ONCE: usize = 256;
/// How long a new client may take to ask for a replay before it is told of anything: then nothing is told twice. Chosen: far
/// longer than from connect(2) to write(2).
const ASKING: Duration = Duration::from_millis(100);
/// Longest line that is listened to.
const LINE: usize = 64;

/// When a client is too slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Events that it has not taken yet.
    pub behind: usize,
    /// How long it takes nothing although there is something.
    pub silence: Duration,
}

impl Default for Patience {
    /// Chosen: all connections of a large host may open at once, which no reader keeps up with; 72 bytes each.
    fn default() -> Patience {
        Patience {
            behind: 1 << 18,
            silence: Duration::from_secs(30),
        }
    }
}

/// The collector's end. Dropping it ends all, soon and whoever is there; what was told is written before.
pub(crate) struct EventSocket {
    hub: Arc<Hub>,
    room: Arc<Room>,
    /// Events since the last time that they were handed over.
    pending: Vec<SocketEvent>,
    path: PathBuf,
    /// Ends the threads and removes the file.
    servers: Servers,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventCounts {
    /// Clients that are there.
    pub clients: u64,
    /// Clients that were turned away: there were [`CLIENTS`] already.
    pub refused: u64,
    /// Clients that were dropped because they did not read.
    pub dropped: u64,
}

impl EventCounts {
    /// Those that are among the `limit_hits` of `health`.
    pub(crate) fn limit_hits(self) -> Vec<(&'static str, u64)> {
        let all = [
            ("event_clients", self.refused),
            ("event_clients_behind", self.dropped),
        ];
        all.into_iter().filter(|(_, n)| *n > 0).collect()
    }
}

impl EventSocket {
    /// Begins to tell at a bound socket, whose file is removed at the end. UUIDs begin with `prefix`.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(
        (listener, file): (UnixListener, SocketFile),
        prefix: &str,
        patience: Patience,
    ) -> Result<EventSocket> {
        let hub = Arc::new(Hub::new(patience.behind));
        let path = file.path.clone();
        let mut servers = Servers::new(Stop::default(), [None; 3], Some(file), [None, None]);
        let room = Room::new("event_clients", CLIENTS);
        let lines = EventLines::new(prefix);
        let inside = Arc::clone(&hub);
        let talk = move |client| Telling::new(client, &inside, lines.clone(), patience).run();
        servers
            .serve("events", listener, Arc::clone(&room), talk)
            .context("cannot answer at --event-socket")?;
        Ok(EventSocket {
            hub,
            room,
            pending: Vec::new(),
            path,
            servers,
        })
    }

    /// A connection opened or ended; its ends as they are to be shown. It is told at the next [`serve`](Self::serve).
    pub(crate) fn event(&mut self, kind: EventKind, time: Timestamp, ends: SocketEnds) {
        self.pending.push(SocketEvent { kind, time, ends });
        if self.pending.len() >= 64 * AT_ONCE {
            self.hub.tell(&mut self.pending);
        }
    }

    /// Tells what happened, and gives what is open to who asked for it: `open` calls its argument with each connection that is
    /// open now, since when and its ends. Called after every poll; never waits.
    pub(crate) fn serve(&mut self, open: impl FnOnce(&mut dyn FnMut(Timestamp, SocketEnds))) {
        self.hub.tell(&mut self.pending);
        self.hub.replay(|| {
            let mut all = Vec::new();
            open(&mut |time, ends| {
                all.push(SocketEvent {
                    kind: EventKind::Open,
                    time,
                    ends,
                });
            });
            all
        });
    }

    /// Tells what happened, where nobody can say what is open.
    pub(crate) fn tell(&mut self) {
        self.hub.tell(&mut self.pending);
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> EventCounts {
        let (clients, dropped) = self.hub.counts();
        EventCounts {
            clients,
            refused: self.room.refused(),
            dropped,
        }
    }

    /// Tells the last events and ends.
    pub(crate) fn finish(mut self) -> EventCounts {
        self.hub.tell(&mut self.pending);
        let counts = self.counts();
        self.hub.end();
        self.servers.finish();
        counts
    }
}

impl Display for EventSocket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "telling events at {}", self.path.display())
    }
}

/// One client and what it is told.
struct Telling<'a> {
    client: Client<UnixStream>,
    place: Place<'a>,
    lines: EventLines,
    silence: Duration,
    /// The line that it is sending; absent when it sends no more, or one that is too long.
    line: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Telling<'_> {
    fn new(
        client: Client<UnixStream>,
        hub: &Hub,
        lines: EventLines,
        patience: Patience,
    ) -> Telling<'_> {
        Telling {
            client,
            place: Place {
                hub,
                id: hub.join(),
            },
            lines,
            silence: patience.silence,
            line: Some(Vec::new()),
            bytes: Vec::new(),
        }
    }

    /// Until the client leaves, is too slow, or the run ends.
    fn run(mut self) {
        let begin = Instant::now();
        let mut events = Vec::new();
        while !self.listen() && begin.elapsed() < ASKING && self.line.is_some() {
            if self.client.is_over() || !self.client.is_there() {
                return;
            }
            std::thread::sleep(ASKING / 20);
        }
        loop {
            events.clear();
            let goes_on = match self
                .place
                .hub
                .take(self.place.id, AT_ONCE, TICK, &mut events)
            {
                Taken::Events => self.write(&events),
                Taken::Replay(all) => all.chunks(AT_ONCE).all(|some| self.write(some)),
                Taken::Nothing => self.client.is_there() && !self.client.is_over(),
                Taken::Dropped => false,
                Taken::Ended => break,
            };
            if !goes_on {
                return;
            }
            self.listen();
        }
        drop(self.place);
        self.client.leave();
    }

    /// Whether it has asked for a replay just now. Anything else that it says means nothing.
    fn listen(&mut self) -> bool {
        let mut bytes = [0; 256];
        let Some(mut line) = self.line.take() else {
            return false;
        };
        let Some(length) = self.client.heard(&mut bytes) else {
            return self.understand(&line);
        };
        let mut has_asked = false;
        for &byte in bytes.get(..length).unwrap_or_default() {
            if byte == b'\n' {
                has_asked |= self.understand(&line);
                line.clear();
            } else if line.len() < LINE {
                line.push(byte);
            }
        }
        self.line = Some(line);
        has_asked
    }

    fn understand(&self, line: &[u8]) -> bool {
        let is_replay = line.trim_ascii().eq_ignore_ascii_case(REPLAY.as_bytes());
        if is_replay {
            self.place.hub.ask(self.place.id);
        }
        is_replay
    }

    /// Writes lines; false: the client is gone, or too slow.
    fn write(&mut self, events: &[SocketEvent]) -> bool {
        self.bytes.clear();
        for event in events {
            self.lines.write(&mut self.bytes, event);
        }
        let mut rest = self.bytes.as_slice();
        let mut since = Instant::now();
        while !rest.is_empty() {
            match self.client.offer(rest) {
                None => return false,
                Some(0) => {
                    if since.elapsed() >= self.silence {
                        self.place.hub.give_up(self.place.id);
                        return false;
                    }
                    if self.client.is_over() || self.place.hub.is_dropped(self.place.id) {
                        return false;
                    }
                }
                Some(n) => {
                    rest = rest.get(n..).unwrap_or_default();
                    since = Instant::now();
                }
            }
        }
        true
    }
}

/// A client's place at the hub, until it is dropped.
struct Place<'a> {
    hub: &'a Hub,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}
