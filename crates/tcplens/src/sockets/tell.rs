//! From what the tracker says to every consumer: the record is made once, and only of sockets that were asked for,
//! where somebody wants it.

use tcplens_core::record::Socket;
use tcplens_core::socket::{End, Ended as Why, Message, Seen};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;

use super::{Consumer, Counts, Ended, Snapshot, World};

/// Shows a socket that is new or has changed, if it was asked for.
pub(super) fn snapshot(
    consumers: &mut [Box<dyn Consumer>],
    is_recorded: bool,
    world: &mut World,
    records: &mut u64,
    (at, message, seen): (Timestamp, Message<'_>, &Seen<'_>),
) -> Result<(), SinkEnd> {
    let mut show = |record: Option<&Socket<'_>>| {
        *records += 1;
        let snapshot = Snapshot {
            at,
            message,
            seen,
            record,
        };
        each(consumers, |one| one.snapshot(&snapshot))
    };
    // Nobody looks at it, and it decides nothing.
    if !is_recorded && !world.has_filter() {
        return show(None);
    }
    world.socket(at, message, seen.before, Some(seen.entry), |record| {
        show(Some(record))
    })
}

/// Shows the end of a connection, if it was asked for.
pub(super) fn ended(
    consumers: &mut [Box<dyn Consumer>],
    world: &mut World,
    counts: &mut Counts,
    end: &End<'_>,
) -> Result<(), SinkEnd> {
    let is_over = end.ended != Why::Open;
    if consumers.is_empty() {
        counts.ended += u64::from(is_over);
        world.known.remove(end.message.cookie());
        return Ok(());
    }
    world.end(end, |end, record, summary| {
        counts.ended += u64::from(is_over);
        counts.records[0] += 1;
        counts.records[1] += 1;
        let ended = Ended {
            end,
            record,
            summary,
        };
        each(consumers, |one| one.ended(&ended))
    })
}

/// The first that takes nothing more ends it for all.
pub(super) fn each(
    consumers: &mut [Box<dyn Consumer>],
    mut show: impl FnMut(&mut dyn Consumer) -> Result<(), SinkEnd>,
) -> Result<(), SinkEnd> {
    consumers.iter_mut().try_for_each(|one| show(one.as_mut()))
}
