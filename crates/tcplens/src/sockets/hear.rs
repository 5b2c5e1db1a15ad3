//! What the kernel tells unasked: of destroyed sockets, and from inside where its own view runs beside.

use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_capture::clock;
use tcplens_core::socket::Message;
use tcplens_output::SinkEnd;

use super::poll::Poller;
use super::tell::ended;

/// How long what was told of ends before the end of the observation is read at most. Chosen: all that finds room takes a second or
/// two; more comes without an end where connections do.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Poller {
    /// What the kernel's own view told since the last time.
    pub(super) fn look_inside(&mut self) {
        if let Some(inside) = &mut self.inside {
            inside.read(&self.tracker, &mut self.world, &mut self.consumers);
        }
    }

    /// What the kernel told of destroyed sockets since the last time.
    pub(super) fn drain(&mut self) -> Result<Result<(), SinkEnd>> {
        self.look_inside();
        let Poller {
            destroyed: Some(destroyed),
            inside,
            tracker,
            world,
            consumers,
            counts,
            ..
        } = self
        else {
            return Ok(Ok(()));
        };
        let mut shown = Ok(());
        let read = destroyed.read(&mut |at, bytes| {
            let Some(message) = Message::new(bytes) else {
                return;
            };
            // What it told of this end is there by now; and where many ends wait it does not run full.
            if let Some(inside) = inside {
                inside.read(tracker, world, consumers);
                counts.late_facts += u64::from(world.is_late(message.cookie()));
            }
            match tracker.destroyed(at, message) {
                Some(end) if shown.is_ok() => shown = ended(consumers, world, counts, &end),
                // It was no connection, or its end was known: of that nothing more is to be known.
                _ => {
                    world.known.remove(message.cookie());
                }
            }
        })?;
        counts.damaged += read.damaged;
        counts.has_lost |= read.lost;
        if counts.has_lost {
            world.known.tidy(clock::now());
        }
        counts.times_lost += u64::from(read.lost);
        Ok(shown)
    }

    /// The same at the end, when much may wait; what comes meanwhile is of no interest.
    pub(super) fn drain_all(&mut self) -> Result<Result<(), SinkEnd>> {
        let begun = Instant::now();
        loop {
            if let Err(end) = self.drain()? {
                return Ok(Err(end));
            }
            let Some(destroyed) = &self.destroyed else {
                return Ok(Ok(()));
            };
            if begun.elapsed() >= LAST_WORDS || !destroyed.wait(Duration::ZERO)? {
                return Ok(Ok(()));
            }
        }
    }
}
