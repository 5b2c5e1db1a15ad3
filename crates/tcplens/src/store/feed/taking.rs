//! The far end: the store's thread. It opens the store where that was left to it, hands it what comes, and in between lets it go on
//! with what an earlier run has left.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;

use tcplens_capture::clock;
use tcplens_core::time::Timestamp;
use tcplens_output::store::{StoreRecord, StoreSink};
use tcplens_output::{SinkEnd, SinkError};

use super::{Batch, Opening, QUEUE, Shared, lock};
use crate::say::say;

/// How often the store is told the time when nothing comes.
const TICK: Duration = Duration::from_millis(200);

/// Nothing more comes.
struct Over;

/// Until nothing more comes, or the store can take nothing more.
///
/// # Errors
/// It cannot be opened, or can take nothing more.
pub(super) fn run(
    opening: Opening,
    batches: &Receiver<Batch>,
    back: &SyncSender<Batch>,
    shared: &Mutex<Shared>,
    is_verbose: bool,
) -> Result<(), SinkEnd> {
    let opened = opening();
    let mut sink =
        opened.map_err(|error| SinkEnd::Failed(SinkError::Store(format!("{error:#}"))))?;
    lock(shared).progress = sink.progress();
    let sink = &mut *sink;
    let mut is_behind = true;
    let mut since_behind = 0;
    let end = loop {
        let batch = match next(batches, is_behind, shared) {
            Ok(batch) => batch,
            Err(Over) if lock(shared).is_abandoned => break Ok(()),
            Err(Over) => break sink.finish(),
        };
        since_behind += 1;
        // What comes goes first: it would find no room.
        if is_behind && (batch.is_none() || since_behind > QUEUE) {
            is_behind = sink.catch_up();
            since_behind = 0;
        }
        let stored = match &batch {
            Some(batch) => {
                lock(shared).taken += batch.len() as u64;
                store(sink, batch)
            }
            None => Ok(()),
        };
        let stored = stored.and_then(|()| sink.tick(clock::now()));
        tell(sink, is_verbose);
        {
            let mut shared = lock(shared);
            shared.rounds += 1;
            shared.counters = sink.counters();
        }
        if stored.is_err() {
            break stored;
        }
        if let Some(mut batch) = batch {
            if let Some(reply) = batch.reply.take() {
                // Whoever waited for it may have given up.
                let _ = reply.send(());
            }
            batch.clear();
            // One more is as good.
            let _ = back.try_send(batch);
        }
    };
    tell(sink, is_verbose);
    let mut shared = lock(shared);
    shared.counters = sink.counters();
    shared.cut_short = Some(sink.cut_short());
    end
}

/// What came, if anything did.
fn next(
    batches: &Receiver<Batch>,
    is_behind: bool,
    shared: &Mutex<Shared>,
) -> Result<Option<Batch>, Over> {
    let came = match is_behind {
        true => batches.try_recv(),
        false => batches.recv_timeout(TICK).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        }),
    };
    after(came, batches, shared)
}

/// What it means that this came, or nothing did.
fn after(
    came: Result<Batch, TryRecvError>,
    batches: &Receiver<Batch>,
    shared: &Mutex<Shared>,
) -> Result<Option<Batch>, Over> {
    match came {
        Ok(batch) => Ok(Some(batch)),
        // The last one may have come since, before it was said that it is.
        Err(TryRecvError::Empty) if lock(shared).is_closing => {
            batches.try_recv().map(Some).map_err(|_| Over)
        }
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(Over),
    }
}

fn tell(sink: &mut dyn StoreSink, is_verbose: bool) {
    while let Some(trouble) = sink.take_trouble() {
        say(trouble);
    }
    while let Some(note) = sink.take_note() {
        if is_verbose {
            say(note);
        }
    }
}

fn store(sink: &mut dyn StoreSink, batch: &Batch) -> Result<(), SinkEnd> {
    for n in 0..batch.records.len() {
        if let Some((place, record)) = batch.records.get(n) {
            sink.write(StoreRecord::Any(record), place.at.clock)?;
        }
    }
    let at = Timestamp::MAX;
    for finding in &batch.findings {
        sink.write(StoreRecord::Finding(finding), at)?;
    }
    for health in &batch.health {
        sink.write(StoreRecord::Health(health), at)?;
    }
    let mut begin = 0;
    for &(kind, end) in &batch.lines {
        let line = batch.text.bytes().get(begin..end).unwrap_or_default();
        sink.write(StoreRecord::Line(kind, line.trim_ascii_end()), at)?;
        begin = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_last_batch_that_comes_while_nothing_seems_to_is_taken() {
        let (queue, batches) = sync_channel(QUEUE);
        let shared = Mutex::<Shared>::default();
        let nothing = || after(Err(TryRecvError::Empty), &batches, &shared);
        assert!(matches!(nothing(), Ok(None)));
        queue.send(Batch::default()).unwrap();
        lock(&shared).is_closing = true;
        assert!(matches!(nothing(), Ok(Some(_))));
        assert!(matches!(nothing(), Err(Over)));
    }
}
