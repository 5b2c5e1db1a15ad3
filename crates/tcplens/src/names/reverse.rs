//! Names that the system's resolver tells for addresses (reverse look-ups), on threads of their own. Who asks gets what is known
//! now, and a look-up is under way; only results of files may wait for it, and for all of them together not long. Whatever the
//! resolver does, nothing waits for it at the end: its threads are left alone.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use tcplens_capture::resolve::{self, Resolved};
use tcplens_core::view::is_host_name;

use crate::say::say;

#[cfg(test)]
mod tests;

/// Look-ups at one time: each has a thread.
const AT_ONCE: usize = 8;
/// Addresses that wait for their look-up; more are asked for again when they are shown again.
const WAITING: usize = 1024;
/// Addresses whose name, or lack of one, is remembered; of more, the one goes that was asked for first. Chosen: about 10 MB.
const REMEMBERED: usize = 65_536;
/// How long to wait before what could not be told is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// Who looks names up.
pub(super) trait Resolve: Send + Sync + 'static {
    /// Waits for the answer, as long as it takes.
    fn name_of(&self, ip: IpAddr) -> Resolved;
}

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn name_of(&self, ip: IpAddr) -> Resolved {
        resolve::name_of(ip)
    }
}

/// See the module.
pub(super) struct Reverse {
    shared: Arc<Shared>,
}

struct Shared {
    resolver: Box<dyn Resolve>,
    state: Mutex<State>,
    /// Told when there is something to look up.
    asked: Condvar,
    /// Told when something was answered.
    answered: Condvar,
}

struct State {
    known: BTreeMap<IpAddr, Entry>,
    /// In the order in which they came to be known.
    order: VecDeque<IpAddr>,
    queue: VecDeque<IpAddr>,
    threads: usize,
    idle: usize,
    /// Nobody asks any more.
    is_over: bool,
    /// What the results may still wait for names.
    patience: Duration,
    counts: Counts,
}

/// What is known of an address.
enum Entry {
    /// It is being looked up, or waits for that.
    Waits,
    Name(Arc<str>),
    Nameless,
    /// The resolver could not tell; since when.
    Failed(Instant),
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    asked: u64,
    named: u64,
    nameless: u64,
    failed: u64,
    /// Not asked for: too many waited.
    turned_away: u64,
    /// Names that were no names of hosts.
    odd: u64,
    /// Forgotten for others.
    forgotten: u64,
    /// What the resolver said when it failed last.
    reason: Option<String>,
}

impl Reverse {
    /// Nothing is looked up yet, and no thread started: that needs no privileges. All that ask wait so long together.
    pub(super) fn new(resolver: impl Resolve, patience: Duration) -> Reverse {
        Reverse {
            shared: Arc::new(Shared {
                resolver: Box::new(resolver),
                state: Mutex::new(State {
                    known: BTreeMap::new(),
                    order: VecDeque::new(),
                    queue: VecDeque::new(),
                    threads: 0,
                    idle: 0,
                    is_over: false,
                    patience,
                    counts: Counts::default(),
                }),
                asked: Condvar::new(),
                answered: Condvar::new(),
            }),
        }
    }

    /// From here on all that ask may wait so long together.
    pub(super) fn grant(&self, patience: Duration) {
        self.shared.lock().patience = patience;
    }

    /// The name of an address, if it is known by now; else it will be looked up.
    pub(super) fn of(&self, ip: IpAddr) -> Option<Arc<str>> {
        if !is_looked_up(ip) {
            return None;
        }
        let mut state = self.shared.lock();
        match state.known.get(&ip) {
            Some(Entry::Name(name)) => return Some(name.clone()),
            Some(Entry::Nameless) => return None,
            Some(Entry::Failed(since)) if since.elapsed() < AGAIN => return None,
            Some(Entry::Waits) => {}
            Some(Entry::Failed(_)) | None => {
                if !self.ask(&mut state, ip) {
                    return None;
                }
            }
        }
        self.wait(state, ip)
    }

    /// Puts an address into the queue; whether there was room.
    fn ask(&self, state: &mut State, ip: IpAddr) -> bool {
        if state.queue.len() >= WAITING {
            state.counts.turned_away += 1;
            return false;
        }
        if state.idle <= state.queue.len() && state.threads < AT_ONCE {
            let shared = self.shared.clone();
            let thread = Builder::new().name("names".to_owned());
            if thread.spawn(move || shared.work()).is_ok() {
                state.threads += 1;
            }
        }
        if state.threads == 0 {
            state.counts.turned_away += 1;
            return false;
        }
        if state.known.insert(ip, Entry::Waits).is_none() {
            state.order.push_back(ip);
        }
        while state.known.len() > REMEMBERED
            && let Some(oldest) = state.order.pop_front()
        {
            state.known.remove(&oldest);
            state.counts.forgotten += 1;
        }
        state.queue.push_back(ip);
        state.counts.asked += 1;
        self.shared.asked.notify_one();
        true
    }

    /// Waits for one address, as long as there is patience left.
    fn wait(&self, mut state: MutexGuard<'_, State>, ip: IpAddr) -> Option<Arc<str>> {
        let begun = Instant::now();
        let patience = state.patience;
        while matches!(state.known.get(&ip), Some(Entry::Waits))
            && let Some(left) = patience.checked_sub(begun.elapsed())
            && !left.is_zero()
        {
            let waited = self.shared.answered.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !patience.is_zero() {
            state.patience = patience.saturating_sub(begun.elapsed());
        }
        match state.known.get(&ip) {
            Some(Entry::Name(name)) => Some(name.clone()),
            _ => None,
        }
    }

    /// What could not be told; `is_verbose`: also how it went.
    pub(super) fn tell(&self, is_verbose: bool) {
        let counts = self.shared.lock().counts.clone();
        if is_verbose {
            let open = counts.asked - counts.named - counts.nameless - counts.failed - counts.odd;
            say(format_args!(
                "{} reverse look-ups: {} names, {} without, {} failed, {open} without an answer yet",
                counts.asked,
                counts.named,
                counts.nameless + counts.odd,
                counts.failed,
            ));
        }
        if counts.failed > 0
            && counts.named == 0
            && let Some(reason) = &counts.reason
        {
            say(format_args!(
                "cannot look up names of addresses: {reason}; --names=seen asks nobody, and --names-file has names of your own"
            ));
        }
        let unasked = counts.turned_away + counts.forgotten;
        if is_verbose && unasked > 0 {
            say(format_args!(
                "{} names were not looked up for too many waited, {} forgotten for others",
                counts.turned_away, counts.forgotten
            ));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread: looks up one address after the other, for as long as somebody may ask.
    fn work(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let Some(ip) = state.queue.pop_front() else {
                state.idle += 1;
                let waited = self.asked.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
                continue;
            };
            drop(state);
            let resolved = self.resolver.name_of(ip);
            state = self.lock();
            let entry = state.counts.entry(resolved);
            // It may have been forgotten meanwhile.
            if let Some(known) = state.known.get_mut(&ip) {
                *known = entry;
            }
            self.answered.notify_all();
        }
    }
}

impl Drop for Reverse {
    /// Threads end when they have their answers; nobody waits for that.
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.asked.notify_all();
    }
}

impl Counts {
    /// What an answer says.
    fn entry(&mut self, resolved: Resolved) -> Entry {
        match resolved {
            // The far end chooses the name, so it must not look like another address, or move a cursor.
            Resolved::Name(name) if is_host_name(&name) => {
                self.named += 1;
                Entry::Name(name.into())
            }
            Resolved::Name(_) => {
                self.odd += 1;
                Entry::Nameless
            }
            Resolved::None => {
                self.nameless += 1;
                Entry::Nameless
            }
            Resolved::Failed(reason) => {
                self.failed += 1;
                self.reason = Some(reason);
                Entry::Failed(Instant::now())
            }
        }
    }
}

/// Whether an address may have a name that a resolver knows: one of a single host, and not of a link only.
fn is_looked_up(ip: IpAddr) -> bool {
    let is_of_a_link = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_unspecified() || ip.is_multicast() || is_of_a_link)
}
