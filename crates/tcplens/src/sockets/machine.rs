//! Sockets for machines. One look: all of them, once it is complete. Watched: those of the first look, then every change by the
//! save rule; at each end the last record and the summary.

use std::time::{Duration, Instant};

use tcplens_core::record::Health;
use tcplens_core::socket::Ended as Why;
use tcplens_output::{Fields, SinkEnd};

use super::{Consumer, Ended, Polled, Snapshot};
use crate::cli::SocketKind;
use crate::commands::lines::Target;

/// Records between two looks at how much waits for the destination: they are some hundred KiB.
const BATCH: u64 = 256;
/// How long the destination is waited for in one look at all sockets. The first tells all of them, which may be more than any
/// queue holds; later ones must not be late for the ends that the kernel tells.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_millis(500)];

/// See the module.
pub(crate) struct MachineView {
    target: Target,
    kinds: Vec<SocketKind>,
    /// Of sockets and of summaries; all without it.
    fields: Option<[Fields; 2]>,
    is_once: bool,
    /// Those that listen, and what is left of closed ones, were told.
    has_told_others: bool,
    shown: u64,
    most: u64,
    /// How long the destination may be waited for yet.
    patience: Duration,
}

impl MachineView {
    /// Of these kinds (of sockets and summaries these fields), at most so many.
    pub(crate) fn new(
        target: Target,
        kinds: Vec<SocketKind>,
        fields: Option<[Fields; 2]>,
        is_once: bool,
        most: Option<u64>,
    ) -> MachineView {
        MachineView {
            target,
            kinds,
            fields,
            is_once,
            has_told_others: false,
            shown: 0,
            most: most.unwrap_or(u64::MAX),
            patience: PATIENCE[0],
        }
    }

    fn write<R: tcplens_core::record::Record>(
        &mut self,
        kind: SocketKind,
        record: &R,
    ) -> Result<(), SinkEnd> {
        let Target::Machine(writer) = &mut self.target else {
            return Ok(());
        };
        if self.shown >= self.most || !self.kinds.contains(&kind) {
            return Ok(());
        }
        self.shown += 1;
        match (&self.fields, kind) {
            (Some([fields, _]), SocketKind::Socket)
            | (Some([_, fields]), SocketKind::SocketSummary) => {
                writer.write_fields(record, fields)?
            }
            (None, _) | (_, SocketKind::Health) => writer.write(record)?,
        }
        if self.shown.is_multiple_of(BATCH) && !self.patience.is_zero() {
            let begun = Instant::now();
            writer.wait_for_room(self.patience);
            self.patience = self.patience.saturating_sub(begun.elapsed());
        }
        Ok(())
    }
}

impl Consumer for MachineView {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SinkEnd> {
        if self.is_once {
            return Ok(());
        }
        match snapshot.record {
            Some(record) => self.write(SocketKind::Socket, record),
            None => Ok(()),
        }
    }

    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        if self.is_once {
            return Ok(());
        }
        // One that is open yet was told when it changed last.
        if ended.end.ended != Why::Open {
            self.write(SocketKind::Socket, ended.record)?;
        }
        self.write(SocketKind::SocketSummary, ended.summary)
    }

    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        if self.is_once {
            for entry in polled.tracker.entries() {
                let message = entry.message();
                polled
                    .world
                    .socket(entry.last_seen, message, None, Some(entry), |record| {
                        self.write(SocketKind::Socket, record)
                    })?;
            }
        }
        self.patience = PATIENCE[1];
        if std::mem::replace(&mut self.has_told_others, true) {
            return Ok(());
        }
        for (at, message) in polled.others() {
            polled.world.socket(at, message, None, None, |record| {
                self.write(SocketKind::Socket, record)
            })?;
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.target.idle()
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.target.reopen()
    }

    fn shown(&self) -> u64 {
        self.shown
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        // It is no record of a socket, and always wanted.
        match &mut self.target {
            Target::Machine(writer) if self.kinds.contains(&SocketKind::Health) => {
                writer.write(health)
            }
            Target::Machine(_) | Target::Text(_) | Target::None => Ok(()),
        }
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.target.settle()
    }

    fn dropped(&self) -> u64 {
        self.target.dropped()
    }

    fn finish(self: Box<Self>) -> Result<(), SinkEnd> {
        self.target.finish()
    }
}
