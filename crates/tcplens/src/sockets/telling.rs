//! What the loop finds, for who listens at the event socket: connections that open and end, of those that were asked for, with
//! their addresses as they are shown. A connection that only its end told of opens and ends at once; with the kernel's own view
//! each is told when it opens.

use std::collections::BTreeMap;

use tcplens_core::record::Socket;
use tcplens_core::socket::{Ended as Why, Message, Opened, What};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;
use tcplens_output::events::{EventKind, SocketEnds};

use super::events::EventSocket;
use super::{Consumer, Ended, Polled, Snapshot};

/// Connections that were told when they opened, and have not been looked at yet. What is beyond is told at the first look. Chosen:
/// more than are opened between two looks; 80 bytes each.
const MOST_AHEAD: usize = 1 << 16;

/// See the module.
pub(crate) struct EventView {
    socket: EventSocket,
    /// Told before they were looked at, by their numbers.
    ahead: BTreeMap<u64, (Timestamp, SocketEnds)>,
}

impl EventView {
    /// Tells whoever is at this socket.
    pub(crate) fn new(socket: EventSocket) -> EventView {
        EventView {
            socket,
            ahead: BTreeMap::new(),
        }
    }

    fn event(&mut self, kind: EventKind, time: Timestamp, ends: Option<SocketEnds>) {
        if let Some(ends) = ends {
            self.socket.event(kind, time, ends);
        }
    }
}

/// Its ends as they are shown; none: it is no connection.
fn ends(record: &Socket<'_>, message: Message<'_>) -> Option<SocketEnds> {
    let (local, remote) = (message.local().1, message.remote().1);
    Some(SocketEnds {
        local: (record.local_ip, local),
        remote: (record.remote_ip?, remote),
        interface: message.interface(),
        cookie: message.cookie(),
    })
}

impl Consumer for EventView {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SinkEnd> {
        if let (What::New, Some(record)) = (snapshot.seen.what, snapshot.record) {
            if self.ahead.remove(&snapshot.message.cookie()).is_some() {
                return Ok(());
            }
            let ends = ends(record, snapshot.message);
            self.event(EventKind::Open, snapshot.seen.entry.first_seen, ends);
        }
        Ok(())
    }

    fn opened(&mut self, opened: &Opened) {
        if self.ahead.len() >= MOST_AHEAD {
            return;
        }
        let ends = SocketEnds {
            local: opened.local,
            remote: opened.remote,
            // It is not told.
            interface: 0,
            cookie: opened.cookie,
        };
        self.ahead.insert(opened.cookie, (opened.at, ends));
        self.socket.event(EventKind::Open, opened.at, ends);
    }

    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        let end = ended.end;
        let ends = ends(ended.record, end.message);
        let is_told = self.ahead.remove(&end.message.cookie()).is_some();
        if end.entry.polls == 0 && !is_told {
            self.event(EventKind::Open, ended.summary.time, ends);
        }
        // One that is open when the observation ends has not ended.
        if end.ended != Why::Open {
            self.event(EventKind::Close, end.at, ends);
        }
        Ok(())
    }

    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        let (tracker, world) = (polled.tracker, &mut *polled.world);
        let ahead = &self.ahead;
        self.socket.serve(|each| {
            for &(at, ends) in ahead.values() {
                each(at, ends);
            }
            for entry in tracker.entries() {
                let message = entry.message();
                let told = world.socket(entry.last_seen, message, None, Some(entry), |record| {
                    if let Some(ends) = ends(record, message) {
                        each(entry.first_seen, ends);
                    }
                    Ok(())
                });
                debug_assert!(told.is_ok(), "nothing was written");
            }
        });
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.socket.tell();
        Ok(())
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.socket.tell();
        Ok(())
    }

    fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        self.socket.counts().limit_hits()
    }

    fn finish(self: Box<Self>) -> Result<(), SinkEnd> {
        self.socket.finish();
        Ok(())
    }
}
