//! One look at the sockets of a family: what came is concluded from when the answer is whole, and asked for again when it is not.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tcplens_capture::clock;
use tcplens_capture::diag::{DiagError, Family, Request};
use tcplens_core::socket::Message;
use tcplens_core::socket::message::state;
use tcplens_core::socket::metrics::{self, AnswerError};
use tcplens_core::time::Span;
use tcplens_output::SinkEnd;

use super::poll::{FAMILIES, MOST_OTHERS, Poller, nanoseconds};
use super::tell::{ended, snapshot};

/// How often an answer that was not whole is asked for again at once.
const REPEATS: u64 = 3;
/// How long until a kernel that refused for the moment (busy, no memory) is asked for the second time; then four times as long each.
const PAUSE: Duration = Duration::from_millis(5);

impl Poller {
    /// All sockets of a family, and who is gone; `false`: its answer was never whole.
    pub(super) fn dump(
        &mut self,
        family: Family,
        number: u8,
        other_protocols: &mut u64,
        stop: &AtomicBool,
    ) -> Result<Result<bool, SinkEnd>> {
        let Poller {
            diag,
            tracker,
            world,
            consumers,
            pushed,
            others,
            counts,
            ..
        } = self;
        let of_family = others.len();
        let mut pause = PAUSE;
        for _ in 0..=REPEATS {
            tracker.begin(number);
            others.truncate(of_family);
            let request = Request {
                family,
                states: pushed.states,
                extensions: 0xff,
                bytecode: pushed.bytecode.as_ref(),
            };
            let mut shown = Ok(());
            let (is_all, is_shown) = (self.is_all, !consumers.is_empty());
            let is_recorded = consumers.iter().any(|one| one.wants_records());
            let (begin, mut sockets) = (Instant::now(), 0);
            let mut filled = clock::now();
            let dumped = diag.dump(&request, &mut |at, bytes| {
                sockets += 1;
                if at != filled {
                    // No part of it was, by then; a clock that was set back does not tell.
                    let took = at.since(filled).unwrap_or(Span::from_ns(u64::MAX));
                    tracker.filled_within(took);
                    filled = at;
                }
                let Some(message) = Message::new(bytes) else {
                    return;
                };
                let Some(seen) = tracker.see(at, message) else {
                    if is_all && is_shown && others.len() < MOST_OTHERS {
                        others.push((at, bytes.to_vec()));
                    } else if is_all && is_shown {
                        counts.others_left_out += 1;
                    }
                    return;
                };
                if is_shown && seen.is_snapshot() && shown.is_ok() {
                    let records = &mut counts.records[0];
                    shown = snapshot(consumers, is_recorded, world, records, (at, message, &seen));
                }
            });
            if let Err(end) = shown {
                return Ok(Err(end));
            }
            match dumped {
                Ok(told) => {
                    *other_protocols += told.other_protocols;
                    let took = Span::from_ns(nanoseconds(begin.elapsed()));
                    for one in consumers.iter_mut() {
                        one.dumped(measured(family), took, sockets);
                    }
                    let is_told = self.destroyed.is_some();
                    let mut shown = Ok(());
                    tracker.complete(clock::now(), number, is_told, &mut |end| {
                        if shown.is_ok() {
                            shown = ended(consumers, world, counts, &end);
                        }
                    });
                    return Ok(shown.map(|()| true));
                }
                Err(error) if error.is_passing() => {
                    tracker.abandon(number);
                    counts.repeated += 1;
                    for one in consumers.iter_mut() {
                        one.not_whole(why(&error));
                    }
                    // Whoever asks to stop need not wait for a kernel that does not answer.
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if let DiagError::Refused { .. } = error {
                        std::thread::sleep(pause);
                        pause *= 4;
                    }
                }
                // This kernel does not know one of the conditions: the expression decides alone.
                Err(DiagError::Refused { error })
                    if pushed.bytecode.is_some() && error.kind() == ErrorKind::InvalidInput =>
                {
                    tracker.abandon(number);
                    pushed.bytecode = None;
                }
                Err(error) => {
                    tracker.abandon(number);
                    return Err(error.into());
                }
            }
        }
        Ok(Ok(false))
    }

    /// Who listens: whose ends are servers'.
    pub(super) fn listeners(&mut self) -> Result<()> {
        if let Some(queues) = &mut self.world.queues {
            queues.clear();
        }
        for (family, _) in FAMILIES {
            let request = Request {
                family,
                states: 1 << state::LISTEN,
                extensions: 0,
                bytecode: None,
            };
            let world = &mut self.world;
            let dumped = self.diag.dump(&request, &mut |_, bytes| {
                if let Some(message) = Message::new(bytes) {
                    world.listener(message);
                }
            });
            match dumped {
                Err(error) if !error.is_passing() => return Err(error.into()),
                // Those that were missing are known from before, or told the next time.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// As metrics have it.
fn measured(family: Family) -> metrics::Family {
    match family {
        Family::V4 => metrics::Family::V4,
        Family::V6 => metrics::Family::V6,
    }
}

fn why(error: &DiagError) -> AnswerError {
    match error {
        DiagError::System { .. } | DiagError::Refused { .. } => AnswerError::Refused,
        DiagError::Interrupted => AnswerError::Interrupted,
        DiagError::Lost => AnswerError::Overrun,
        DiagError::Damaged | DiagError::Silent => AnswerError::Damaged,
    }
}
