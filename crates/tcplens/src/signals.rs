//! Signals: SIGINT and SIGTERM end a run, a second one at once; SIGUSR1 and SIGHUP ask for something while it goes on.

use std::io::{self, PipeReader, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGUSR1: print what there is so far.
    Summary,
    /// SIGHUP: go on in new files, whatever became of the old ones.
    Reopen,
}

/// What was asked for and not done yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    asked: Vec<(Request, Arc<AtomicBool>)>,
}

impl Requests {
    /// Listens to the signals.
    ///
    /// # Errors
    /// They cannot be listened to.
    pub(crate) fn listen() -> Result<Requests> {
        let mut requests = Requests::default();
        for (signal, request) in [(SIGUSR1, Request::Summary), (SIGHUP, Request::Reopen)] {
            let flag = Arc::new(AtomicBool::new(false));
            flag::register(signal, Arc::clone(&flag))
                .with_context(|| format!("cannot wait for signal {signal}"))?;
            requests.asked.push((request, flag));
        }
        Ok(requests)
    }

    /// What was asked for since the last time.
    pub(crate) fn take(&self) -> impl Iterator<Item = Request> {
        let asked = self.asked.iter();
        asked.filter_map(|(request, flag)| flag.swap(false, Ordering::Relaxed).then_some(*request))
    }
}

/// A flag that SIGINT and SIGTERM set: finish and print what there is. Another one, a second later, ends the program at
/// once, with the status that shells give to a signal; sooner it is the same one: timeout(1) signals a process and then its
/// group.
pub(crate) fn stop() -> Result<Arc<AtomicBool>> {
    let (stop, is_patience_over) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let (woken, wake) = io::pipe().context("cannot wait for signals")?;
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&is_patience_over))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .and_then(|_| pipe::register(signal, wake.try_clone()?))
            .with_context(|| format!("cannot wait for signal {signal}"))?;
    }
    WAITING.get_or_init(|| Mutex::new(Some((woken, is_patience_over))));
    Ok(stop)
}

/// What the thread that waits for the first signal gets: threads begin when privileges have been given up.
static WAITING: OnceLock<Mutex<Option<Watch>>> = OnceLock::new();

/// Where signals wake it, and what it sets.
type Watch = (PipeReader, Arc<AtomicBool>);

/// From here on a second signal ends the program.
pub(crate) fn watch() {
    let waiting = WAITING
        .get()
        .and_then(|waiting| waiting.lock().ok()?.take());
    let Some((mut woken, is_patience_over)) = waiting else {
        return;
    };
    std::thread::spawn(move || {
        if woken.read_exact(&mut [0]).is_ok() {
            std::thread::sleep(Duration::from_secs(1));
            is_patience_over.store(true, Ordering::Relaxed);
        }
    });
}

/// Tells threads that files are to be opened anew.
#[derive(Debug, Default)]
pub(crate) struct Reopenings(AtomicU64);

impl Reopenings {
    /// Once more.
    pub(crate) fn announce(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there was one since `known`, which is brought up to date.
    pub(crate) fn is_new(&self, known: &mut u64) -> bool {
        let now = self.0.load(Ordering::Relaxed);
        std::mem::replace(known, now) != now
    }
}
