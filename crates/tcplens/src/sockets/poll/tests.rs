//! The loop with a kernel that is made up: answers that are not whole, busy or missing, and words of ends that were lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tcplens_capture::diag::{DiagError, DumpCounts, Read, Request};
use tcplens_core::socket::message::{HEAD, kind, push_attribute, state};
use tcplens_core::socket::{Ended as Why, SaveWhen};

use super::*;
use crate::sockets::{Ended, Snapshot};

/// An answer about IPv4: numbers of sockets, and how it ended.
type Answer = (&'static [u64], Result<u64, DiagError>);

/// Answers in turn; the last one again and again. Of IPv6, and of listeners, there are none.
struct Kernel {
    answers: VecDeque<Answer>,
    asked: Rc<RefCell<u64>>,
    /// To be set while it is asked for the first time.
    stop: Option<Arc<AtomicBool>>,
}

impl Asked for Kernel {
    fn dump(
        &mut self,
        request: &Request<'_>,
        each: &mut dyn FnMut(Timestamp, &[u8]),
    ) -> Result<DumpCounts, DiagError> {
        if request.family == Family::V6 || request.states == 1 << state::LISTEN {
            return Ok(DumpCounts::default());
        }
        *self.asked.borrow_mut() += 1;
        if let Some(stop) = self.stop.take() {
            stop.store(true, Ordering::Relaxed);
        }
        let (sockets, end) = self.answers.pop_front().expect("one answer more");
        for &cookie in sockets {
            each(clock::now(), &message(cookie, state::ESTABLISHED));
        }
        end.map(|other_protocols| DumpCounts {
            other_protocols,
            ..DumpCounts::default()
        })
    }
}

/// Tells once that words were lost.
struct Overrun(bool);

impl Told for Overrun {
    fn read(&mut self, _: &mut dyn FnMut(Timestamp, &[u8])) -> Result<Read, DiagError> {
        Ok(Read {
            lost: std::mem::take(&mut self.0),
            ..Read::default()
        })
    }

    fn drops(&self) -> Option<u32> {
        Some(17)
    }

    fn wait(&self, most: Duration) -> io::Result<bool> {
        if !self.0 {
            std::thread::sleep(most.min(Duration::from_millis(1)));
        }
        Ok(self.0)
    }
}

/// A connection to port 5001 as the kernel tells it.
fn message(cookie: u64, state: u8) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    bytes[..2].copy_from_slice(&[2, state]);
    bytes[4..8].copy_from_slice(&[0x13, 0x89, 0x9c, 0x40]);
    bytes[8..12].copy_from_slice(&[10, 0, 0, 1]);
    bytes[24..28].copy_from_slice(&[10, 0, 0, 2]);
    bytes[44..52].copy_from_slice(&cookie.to_ne_bytes());
    push_attribute(&mut bytes, kind::INFO, &[0; 280]);
    bytes
}

/// What a consumer was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Sockets, changed or new.
    snapshots: Vec<u64>,
    /// Ends.
    ended: Vec<(u64, Why)>,
    /// Sockets that were open when a look was whole.
    polled: Vec<usize>,
    /// Answers that were not.
    not_whole: u64,
}

struct Watcher(Rc<RefCell<Seen>>);

impl Consumer for Watcher {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SinkEnd> {
        let cookie = snapshot.message.cookie();
        self.0.borrow_mut().snapshots.push(cookie);
        Ok(())
    }
    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        let end = (ended.end.message.cookie(), ended.end.ended);
        self.0.borrow_mut().ended.push(end);
        Ok(())
    }
    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        self.0.borrow_mut().polled.push(polled.tracker.len());
        Ok(())
    }
    fn idle(&mut self) -> Result<(), SinkEnd> {
        Ok(())
    }
    fn not_whole(&mut self, _: tcplens_core::socket::metrics::AnswerError) {
        self.0.borrow_mut().not_whole += 1;
    }
}

fn poller(kernel: Kernel, told: Option<Overrun>, watcher: Watcher) -> Poller {
    Poller {
        diag: Box::new(kernel),
        counts: Counts {
            is_watching: true,
            is_told: told.is_some(),
            ..Counts::default()
        },
        destroyed: told.map(|told| Box::new(told) as Box<dyn Told>),
        inside: None,
        opened: None,
        pushed: Pushed {
            states: u32::MAX,
            bytecode: None,
        },
        is_all: false,
        tracker: Tracker::new(SaveWhen::TcpInfo, 100),
        world: World::default(),
        consumers: vec![Box::new(watcher)],
        others: Vec::new(),
        changes: None,
        new_pace: None,
    }
}

/// A run of so many looks, every `interval`.
struct Run {
    answers: Vec<Answer>,
    polls: u64,
    interval: Duration,
    told: Option<Overrun>,
    is_stopped: bool,
}

impl Run {
    fn of(answers: Vec<Answer>, polls: u64) -> Run {
        Run {
            answers,
            polls,
            interval: Duration::from_millis(1),
            told: None,
            is_stopped: false,
        }
    }

    /// What was seen and counted, and how often the kernel was asked.
    fn run(self) -> (Seen, Counts, u64) {
        let (seen, asked) = (Rc::default(), Rc::default());
        let stop = Arc::new(AtomicBool::new(false));
        let kernel = Kernel {
            answers: self.answers.into(),
            asked: Rc::clone(&asked),
            stop: self.is_stopped.then(|| Arc::clone(&stop)),
        };
        let mut poller = poller(kernel, self.told, Watcher(Rc::clone(&seen)));
        let when = When {
            polls: Some(self.polls),
            duration: None,
            count: None,
            pace: Pace::Fixed(nanoseconds(self.interval)),
            at_least: Duration::ZERO,
        };
        let end = poller.run(&when, &stop, &Requests::default(), &mut || {});
        assert!(end.unwrap().is_none());
        let counts = poller.counts.clone();
        drop(poller);
        let asked = *asked.borrow();
        let seen = Rc::try_unwrap(seen).expect("the poller had the other one");
        (seen.into_inner(), counts, asked)
    }
}

fn refused(number: i32) -> DiagError {
    DiagError::Refused {
        error: io::Error::from_raw_os_error(number),
    }
}

#[test]
fn an_interrupted_answer_is_asked_for_again_and_ends_nobody_that_it_lacked() {
    let answers = vec![
        (&[1, 2][..], Ok(3)),
        (&[1], Err(DiagError::Interrupted)),
        (&[], Err(DiagError::Lost)),
        (&[2, 1], Ok(0)),
    ];
    let (seen, counts, asked) = Run::of(answers, 2).run();
    assert_eq!(
        seen,
        Seen {
            snapshots: vec![1, 2],
            // At the end of the observation both are open.
            ended: vec![(1, Why::Open), (2, Why::Open)],
            polled: vec![2, 2],
            not_whole: 2,
        }
    );
    assert_eq!((counts.polls, counts.abandoned), (2, 0));
    assert_eq!((counts.repeated, counts.ended, asked), (2, 0, 4));
    // Of the last look.
    assert_eq!(counts.other_protocols, 0);
    assert!(counts.losses().is_empty());
}

#[test]
fn an_answer_that_is_never_whole_is_given_up_and_what_it_lacked_is_concluded_from_the_next() {
    let damaged = || (&[1][..], Err(DiagError::Damaged));
    let mut answers = vec![(&[1, 2][..], Ok(0))];
    answers.extend([damaged(), damaged(), damaged(), damaged()]);
    answers.extend([(&[1][..], Ok(0))]);
    let (seen, counts, asked) = Run::of(answers, 3).run();
    assert_eq!(
        seen,
        Seen {
            snapshots: vec![1, 2],
            ended: vec![(2, Why::Vanished), (1, Why::Open)],
            polled: vec![2, 1],
            not_whole: 4,
        }
    );
    assert_eq!((counts.polls, counts.abandoned, asked), (2, 1, 6));
    assert_eq!(counts.losses().len(), 1, "{:?}", counts.losses());
    assert!(counts.losses()[0].starts_with("1 looks at all sockets were given up"));
}

#[test]
fn a_kernel_that_is_busy_ends_nothing() {
    let busy = || (&[][..], Err(refused(16)));
    let answers = vec![(&[1][..], Ok(0)), busy(), busy(), (&[1][..], Ok(2))];
    let (seen, counts, asked) = Run::of(answers, 2).run();
    assert_eq!(seen.ended, [(1, Why::Open)]);
    assert_eq!((counts.polls, counts.abandoned), (2, 0));
    assert_eq!((counts.repeated, asked), (2, 4));
    assert_eq!(counts.other_protocols, 2);
    let health = counts.health().sockets.unwrap();
    assert_eq!(health.repeated_dumps, Some(2));
    assert_eq!(health.other_protocols, Some(2));
    assert_eq!(health.missed_polls, Some(counts.missed));
    // Twice a pause of some ms, at an interval of one.
    assert!(counts.missed > 0, "{counts:?}");
}

#[test]
fn a_kernel_that_forbids_it_ends_the_run() {
    let (stop, seen) = (AtomicBool::new(false), Rc::default());
    let kernel = Kernel {
        answers: VecDeque::from([(&[][..], Err(refused(1)))]),
        asked: Rc::default(),
        stop: None,
    };
    let mut poller = poller(kernel, None, Watcher(seen));
    let when = When {
        polls: Some(1),
        duration: None,
        count: None,
        pace: Pace::default(),
        at_least: Duration::ZERO,
    };
    let end = poller.run(&when, &stop, &Requests::default(), &mut || {});
    let error = end.err().map(|error| error.to_string()).unwrap();
    assert!(error.starts_with("the kernel refused to dump"), "{error}");
}

#[test]
fn whoever_asks_to_stop_does_not_wait_for_a_kernel_that_does_not_answer() {
    let silent = || (&[][..], Err(DiagError::Silent));
    let run = Run {
        is_stopped: true,
        ..Run::of(vec![silent(), silent()], 100)
    };
    let (seen, counts, asked) = run.run();
    assert_eq!((seen.polled.len(), counts.abandoned, asked), (0, 1, 1));
}

#[test]
fn lost_words_of_ends_are_answered_by_a_look_long_before_the_next_is_due() {
    let begun = Instant::now();
    let run = Run {
        interval: Duration::from_secs(3600),
        told: Some(Overrun(true)),
        ..Run::of(vec![(&[1, 2][..], Ok(0)), (&[2], Ok(0))], 2)
    };
    let (seen, counts, asked) = run.run();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!((asked, counts.polls, counts.times_lost), (2, 2, 1));
    assert_eq!((counts.has_lost, counts.lost), (true, Some(17)));
    assert_eq!(seen.polled.len(), 2);
    assert!(
        seen.ended.iter().any(|(cookie, _)| *cookie == 1),
        "{seen:?}"
    );
    assert!(counts.losses()[0].starts_with("17 messages about ends of sockets found no room"));
}
