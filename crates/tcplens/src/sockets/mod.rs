//! `sockets`: the kernel is asked for its TCP sockets, and tells of those that are destroyed. What is open while there is
//! privilege is in `open`, the loop in `poll` (`look`: asking, `hear`: being told, `kernel`: the ways to it), what is known besides in
//! `world`, who looks at what it finds in `show` (text) and `machine` (records); each of those is a [`Consumer`].

use tcplens_core::anonymize::Anonymize;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{Health, Socket, SocketSummary};
use tcplens_core::socket::metrics::{AnswerError, Family};
use tcplens_core::socket::{End, Message, Opened, Pace, SaveWhen, Seen, Tracker};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::SinkEnd;

mod archive;
mod counts;
pub(crate) mod events;
mod hear;
mod inside;
pub(crate) mod kernel;
mod look;
mod machine;
mod measuring;
pub(crate) mod open;
pub(crate) mod poll;
pub(crate) mod pushed;
mod show;
mod tell;
mod telling;
mod world;

pub(crate) use archive::{ArchiveCounts, Archiver};
pub(crate) use counts::Counts;
pub(crate) use machine::MachineView;
pub(crate) use measuring::MetricsView;
pub(crate) use show::{Screen, TextOptions, TextView};
pub(crate) use telling::EventView;
pub(crate) use world::World;

/// A socket that is new, or has changed by the save rule. What one look tells of a socket is true also where the look as a whole
/// was not complete: nothing is concluded from what it lacks.
pub(crate) struct Snapshot<'a> {
    /// When the kernel told it.
    pub at: Timestamp,
    /// As it came.
    pub message: Message<'a>,
    /// What is known of it besides, and of the look before.
    pub seen: &'a Seen<'a>,
    /// The record, where somebody wants it.
    pub record: Option<&'a Socket<'a>>,
}

/// A connection that is over, or was open when the observation ended.
pub(crate) struct Ended<'a> {
    /// The tracker's word.
    pub end: &'a End<'a>,
    /// Its last record.
    pub record: &'a Socket<'a>,
    /// Its life.
    pub summary: &'a SocketSummary<'a>,
}

/// A look at all sockets that came to its end.
pub(crate) struct Polled<'a> {
    /// When it began.
    pub at: Timestamp,
    /// CPU time that it took.
    pub cost: Span,
    /// How often it is done.
    pub interval: Span,
    /// Those that are watched.
    pub tracker: &'a Tracker,
    /// The others: those that listen, and what is left of closed ones; as they came, one after the other. Only where they were
    /// asked for.
    pub others: &'a [(Timestamp, Vec<u8>)],
    /// What makes records of them.
    pub world: &'a mut World,
    /// What was counted so far.
    pub counts: &'a Counts,
}

/// What may be asked for anew while it goes on: all of it, whatever of it is as before.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// How often.
    pub pace: Pace,
    /// What is worth keeping.
    pub save_when: SaveWhen,
    /// Sockets that are left out.
    pub exclude: Option<RecordFilter>,
    /// What is done to addresses.
    pub anonymize: Anonymize,
    /// An archive has also what stays within this host or link.
    pub includes_local: bool,
}

/// Who looks at what is found. Unchanged sockets cost a consumer nothing.
pub(crate) trait Consumer {
    /// Whether it looks at the records of snapshots; else they are not made for it.
    fn wants_records(&self) -> bool {
        true
    }
    /// A socket that is new or has changed.
    fn snapshot(&mut self, _: &Snapshot<'_>) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// A connection was established just now, with its ends as they are shown: where the kernel's own view tells, and all
    /// connections are asked for. It is told once more when it is first looked at, or when it ends.
    fn opened(&mut self, _: &Opened) {}
    /// A connection that is over.
    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd>;
    /// All sockets were looked at.
    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd>;
    /// Something else is asked for from here on.
    fn changed(&mut self, _: &Change) {}
    /// Nothing happens right now: whoever waits may have what there is.
    fn idle(&mut self) -> Result<(), SinkEnd>;
    /// Files that are written may have been moved.
    fn reopen(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// Records or lines that it has shown so far: what `-c` counts.
    fn shown(&self) -> u64 {
        0
    }
    /// What the observation itself saw and lost: the last record.
    fn health(&mut self, _: &Health) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// That was all; waits for the destination, but not for ever.
    fn settle(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
    /// What its destination did not take.
    fn dropped(&self) -> u64 {
        0
    }
    /// What `health` calls this destination.
    fn destination(&self) -> &'static str {
        "output"
    }
    /// Nothing comes any more but the last record: whoever counts what was lost is to know it now.
    fn close(&mut self) {}
    /// The kernel has told all sockets of a family: how long that took, and how many there were.
    fn dumped(&mut self, _: Family, _took: Span, _sockets: u64) {}
    /// Its answer was not whole.
    fn not_whole(&mut self, _: AnswerError) {}
    /// Bounds that it reached, for `health`.
    fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    /// Writes what is left and ends the file.
    fn finish(self: Box<Self>) -> Result<(), SinkEnd> {
        Ok(())
    }
}

impl<'a> Polled<'a> {
    /// Those that listen, and what is left of closed ones.
    pub(crate) fn others(&self) -> impl Iterator<Item = (Timestamp, Message<'a>)> + use<'a> {
        let others = self.others.iter();
        others.filter_map(|(at, bytes)| Some((*at, Message::new(bytes)?)))
    }
}
