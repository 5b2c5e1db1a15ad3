//! Two threads: one that puts batches into the spool as they come, and one that sends what is there, the oldest first, until the
//! server has it. Neither makes the other wait. Of live runs the second one also looks at the server before it sends: whoever has
//! the records does not wait for that either.
//!
//! A batch is stored once, whatever goes wrong:
//! - it is one block of one day, so that the server stores all of it or nothing (`block`);
//! - after an attempt whose end is not known, nothing is sent before the server says that no insert of this id runs any more and
//!   that none of its rows are there; it refuses a second insert of an id that runs;
//! - what was given up here does not arrive later: connections are reset when they are closed (`remote::abrupt`);
//! - servers of 22.3 or later also remember ids (`insert_deduplication_token`).

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::block::Batch;
use super::spool::{Spool, Waiting};
use super::{ClickHouseError, Server, Target, Version, names};

/// Batches on their way to the spool. Beyond, whoever has the records waits: of files as long as it takes.
const QUEUE: usize = 3;
/// Live, so long, and then they are dropped. Batches of several tables get old at once.
const ROOM: Duration = Duration::from_secs(2);
/// Between the two questions whether a batch is there: an insert that the server has received and not begun yet begins.
const SETTLE: Duration = Duration::from_secs(1);
/// Attempts for a batch of which the server says that it is none.
const BAD: u32 = 3;
/// How long a file's run waits for room in the spool while the server takes nothing, before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Looked at again after so long where nothing was told.
const LOOK: Duration = Duration::from_millis(500);
/// How long the end waits for an empty directory of the spool to be removed.
const TIDY: Duration = Duration::from_secs(1);

/// Tells the user something.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that the server has, of earlier runs too.
    pub stored: u64,
    /// Batches that the server has.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that nobody will ever have: no room in the queue or the spool, refused as data, or in a file of the spool that is not
    /// whole or is gone.
    pub dropped: u64,
    /// Batches in the spool, of earlier runs too.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Files of the spool that were not whole, or gone. Their rows are in `dropped` as far as their heads say how many.
    pub unreadable: u64,
    /// Batches that were dropped because the spool has too many files.
    pub beyond_files: u64,
}

/// How batches are sent, and what happens to those that find no room.
pub struct How {
    /// Bytes of the spool, at most.
    pub limit: u64,
    /// Its files, at most.
    pub files: usize,
    /// Waits for room (files), where else rows are dropped (live).
    pub waits: bool,
    /// Tells the user.
    pub say: Say,
    /// What the user was told of the server already.
    pub told: Option<String>,
    /// What must be there before anything is sent, where that was not looked at yet.
    pub tables: Vec<&'static str>,
}

/// What the threads share. Each has it for moments only: nobody waits for the disk or the net with it.
#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    counts: Counts,
    /// Batches that are not in the spool yet.
    coming: usize,
    /// When something was last stored.
    progress: Option<Instant>,
    /// What the server last said, if that was no.
    trouble: Option<String>,
    /// Why a batch cannot be read, if one cannot.
    unread: Option<(PathBuf, String)>,
    /// No more batches come.
    is_closing: bool,
    /// What waits, waits for another run.
    is_leaving: bool,
    /// The thread that sends has ended.
    is_gone: bool,
    /// So has the other one, and the spool is closed.
    is_put_away: bool,
    /// Rows were dropped, and that was said.
    is_drop_told: bool,
    /// Why a file's run cannot go on, or a live one cannot begin to send.
    failed: Option<ClickHouseError>,
}

impl State {
    /// Why batches wait.
    fn why(&self) -> Option<String> {
        let unread = || self.unread.as_ref().map(|(_, why)| why.clone());
        self.trouble.clone().or_else(unread)
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    how: How,
    /// Batches that came into the spool, or left it.
    progress: Arc<AtomicU64>,
}

impl Shared {
    fn went_on(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// What a thread that panicked left is still a set of numbers.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Rows are lost; said the first time, counted always.
    fn drop_rows(&self, rows: u64, why: &str) {
        let mut state = self.lock();
        state.counts.dropped += rows;
        let is_told = std::mem::replace(&mut state.is_drop_told, true);
        drop(state);
        if !is_told {
            (self.how.say)(&format!("records are dropped: {why}; health counts them"));
        }
    }
}

/// The two threads.
pub struct Sender {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Batch>>,
}

impl Sender {
    /// Begins; what was found in the spool is sent first. The threads end after [`finish`](Self::finish), or with the process.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        server: Server,
        spool: Spool,
        found: Vec<Waiting>,
        how: How,
    ) -> io::Result<Sender> {
        let counts = Counts {
            waiting: found.len() as u64,
            waiting_bytes: found.iter().map(|waiting| waiting.bytes).sum(),
            ..Counts::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                waiting: found.into(),
                counts,
                trouble: how.told.clone(),
                ..State::default()
            }),
            changed: Condvar::new(),
            how,
            progress: Arc::default(),
        });
        let (queue, batches) = sync_channel(QUEUE);
        let (keeps, sends) = (shared.clone(), shared.clone());
        let target = server.target().clone();
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("spool").spawn(move || {
            keep(&keeps, spool, &batches, &target);
            keeps.change(|state| state.is_put_away = true);
        })?;
        spawn("clickhouse").spawn(move || {
            if let Some(version) = looked_at(&sends, &server) {
                send(&sends, &server, version);
            }
            sends.change(|state| state.is_gone = true);
        })?;
        Ok(Sender {
            shared,
            queue: Some(queue),
        })
    }

    /// Hands a batch over. Live: it is dropped where there is no room in time.
    ///
    /// # Errors
    /// A file's run cannot go on: the spool is full and the server takes nothing, or the spool cannot be written.
    pub fn submit(&mut self, batch: Batch) -> Result<(), ClickHouseError> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        self.shared.change(|state| state.coming += 1);
        let refused = match self.shared.how.waits {
            true => queue.send(batch).err().map(|refused| refused.0),
            false => self.offer(queue, batch),
        };
        if let Some(batch) = refused {
            self.shared.change(|state| state.coming -= 1);
            let why = "the disk of the spool does not keep up";
            self.shared.drop_rows(batch.rows, why);
        }
        match self.shared.how.waits {
            true => self.failure().map_or(Ok(()), Err),
            false => Ok(()),
        }
    }

    /// Gives a batch back that found no room in time.
    fn offer(&self, queue: &SyncSender<Batch>, mut batch: Batch) -> Option<Batch> {
        let end = Instant::now() + ROOM;
        loop {
            batch = match queue.try_send(batch) {
                Ok(()) => return None,
                Err(TrySendError::Full(batch)) if Instant::now() < end => batch,
                Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                    return Some(batch);
                }
            };
            let state = self.shared.lock();
            if state.coming > QUEUE {
                drop(self.shared.wait(state, LOOK));
            }
        }
    }

    /// Goes up with each batch that came into the spool, or left it.
    pub fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.progress)
    }

    /// Why a file's run cannot go on, or the server refuses a live run, once.
    pub fn failure(&mut self) -> Option<ClickHouseError> {
        self.shared.lock().failed.take()
    }

    /// Waits until all batches are in the spool, or dropped: no longer than the disk takes.
    pub fn spooled(&self) {
        let mut state = self.shared.lock();
        while state.coming > 0 {
            state = self.shared.wait(state, LOOK);
        }
    }

    /// What became of rows so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    /// What the server last said, if that was no; or why a batch cannot be read.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.lock().why()
    }

    /// No more come: waits until all is stored, or until nothing has been for `patience`. What waits then, waits for another run.
    /// Whether all came into the spool says [`failure`](Self::failure).
    pub fn finish(&mut self, patience: Duration) -> Counts {
        self.queue = None;
        self.shared.change(|state| state.is_closing = true);
        let begun = Instant::now();
        let mut state = self.shared.lock();
        while !state.is_gone {
            let last = state.progress.map_or(begun, |at| at.max(begun));
            if last.elapsed() >= patience && state.coming == 0 {
                state.is_leaving = true;
                self.shared.changed.notify_all();
                break;
            }
            state = self.shared.wait(state, LOOK.min(patience));
        }
        let tidy = Instant::now();
        while state.is_gone && !state.is_put_away && tidy.elapsed() < TIDY {
            state = self.shared.wait(state, LOOK);
        }
        state.counts
    }
}

/// Puts batches into the spool, in their order, until none come; then keeps its lock until nothing more is sent.
fn keep(shared: &Shared, mut spool: Spool, batches: &Receiver<Batch>, target: &Target) {
    for batch in batches {
        match room(shared, &batch, &spool, target) {
            false => {}
            true => match spool.put(&batch) {
                Ok(waiting) => shared.change(|state| {
                    state.counts.waiting += 1;
                    state.counts.waiting_bytes += waiting.bytes;
                    state.waiting.push_back(waiting);
                }),
                Err(why) => {
                    let why = ClickHouseError::File {
                        what: "keep records in the spool",
                        path: spool.path().display().to_string(),
                        why,
                        advice: "make room there, or name another directory with --spool",
                    };
                    shared.drop_rows(batch.rows, &why.to_string());
                    if shared.how.waits {
                        shared.change(|state| state.failed = Some(why));
                    }
                }
            },
        }
        shared.change(|state| state.coming -= 1);
        shared.went_on();
    }
    let mut state = shared.lock();
    while !state.is_gone {
        state = shared.wait(state, LOOK);
    }
}

/// Whether the spool has room for a batch; if it has none, the batch is dropped: what came first stays, for some of it may be on
/// its way already.
fn room(shared: &Shared, batch: &Batch, spool: &Spool, target: &Target) -> bool {
    let begun = Instant::now();
    let mut state = shared.lock();
    let is_of_files = loop {
        let size = state.counts.waiting_bytes + batch.body.len() as u64;
        let is_of_files = state.waiting.len() >= shared.how.files;
        if state.waiting.is_empty() || (size <= shared.how.limit && !is_of_files) {
            return true;
        }
        let last = state.progress.map_or(begun, |at| at.max(begun));
        if !shared.how.waits || state.is_leaving || last.elapsed() >= PATIENCE {
            break is_of_files;
        }
        state = shared.wait(state, LOOK);
    };
    state.counts.beyond_files += u64::from(is_of_files);
    let why = state.why();
    let (bound, advice) = match is_of_files {
        true => (format!("{} files", shared.how.files), "start the server"),
        false => (
            format!("{} bytes", shared.how.limit),
            "start the server, or allow more with --spool-size",
        ),
    };
    let full = ClickHouseError::Full {
        path: spool.path().display().to_string(),
        bound,
        advice,
        target: Box::new(target.clone()),
        why: why.unwrap_or_else(|| "it is slower than records come".to_owned()),
    };
    drop(state);
    shared.drop_rows(batch.rows, &full.to_string());
    if shared.how.waits {
        shared.change(|state| state.failed = Some(full));
    }
    false
}

/// What became of a batch.
enum Fate {
    Stored,
    /// Refused as data.
    Dropped,
    /// It waits for another run.
    Left,
}

/// Looks whether the server has what it must have, where that is to be done; its version, if it told. `None`: it refuses, and
/// nothing is sent. One that does not answer may come, and what it refuses may pass: then it is looked at before it is sent
/// anything.
fn looked_at(shared: &Shared, server: &Server) -> Option<Option<Version>> {
    if shared.how.tables.is_empty() {
        return Some(None);
    }
    let version = server.version();
    let checked =
        version.and_then(|version| server.check(&shared.how.tables).map(|()| Some(version)));
    match checked {
        Ok(version) => Some(version),
        Err(error) if error.may_pass() => {
            troubled(shared, &error);
            Some(None)
        }
        Err(error) => {
            shared.change(|state| {
                state.trouble = Some(error.to_string());
                state.failed = Some(error);
            });
            None
        }
    }
}

/// Says what is new about it.
fn troubled(shared: &Shared, error: &ClickHouseError) {
    let why = error.to_string();
    let before = shared.lock().trouble.replace(why.clone());
    if before.as_ref() != Some(&why) {
        (shared.how.say)(&format!(
            "{why} (records are kept and sent when it takes them)"
        ));
    }
}

/// Sends what waits until there is nothing and nothing more comes.
fn send(shared: &Shared, server: &Server, version: Option<Version>) {
    let mut delivery = Delivery {
        shared,
        server,
        is_looked_at: version.is_some() || shared.how.tables.is_empty(),
        version,
        is_settled: false,
    };
    let mut unread = Unread::default();
    loop {
        let mut state = shared.lock();
        let waiting = loop {
            if state.is_leaving {
                return;
            }
            match state.waiting.front() {
                Some(waiting) => break waiting.clone(),
                None if state.is_closing && state.coming == 0 => return,
                None => state = shared.wait(state, LOOK),
            }
        };
        drop(state);
        let (rows, fate) = match waiting.read() {
            Ok(batch) => {
                unread.read(shared, &waiting);
                (batch.rows, delivery.of(&batch, waiting.is_found))
            }
            Err(error) if is_lost(&error) => {
                let (path, rows) = (waiting.path.display(), waiting.rows);
                (shared.how.say)(&format!(
                    "cannot read {path}, which is left out, {rows} records are dropped: {error}"
                ));
                shared.change(|state| state.counts.unreadable += 1);
                (rows, Fate::Dropped)
            }
            Err(error) => {
                let wait = unread.failed(shared, &waiting, error);
                if delivery.rests(wait) {
                    return;
                }
                continue;
            }
        };
        if matches!(fate, Fate::Left) {
            return;
        }
        if let Err(error) = waiting.remove()
            && error.kind() != io::ErrorKind::NotFound
        {
            // It is asked for before it would be sent again.
            let path = waiting.path.display();
            (shared.how.say)(&format!("cannot remove {path}, which is sent: {error}"));
        }
        shared.change(|state| {
            state.waiting.pop_front();
            state.counts.waiting -= 1;
            state.counts.waiting_bytes -= waiting.bytes;
            match fate {
                Fate::Stored => {
                    state.counts.stored += rows;
                    state.counts.batches += 1;
                    state.counts.bytes += waiting.bytes;
                    state.progress = Some(Instant::now());
                }
                // Said already.
                Fate::Dropped => state.counts.dropped += rows,
                Fate::Left => {}
            }
        });
        shared.went_on();
    }
}

/// Whether what could not be read never can be: it is not what was written, or is not there.
fn is_lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound
    )
}

/// Batches that are there and cannot be read now: they stay, and others go before them.
#[derive(Default)]
struct Unread {
    /// In a row.
    attempts: u32,
    /// What was told.
    told: Option<io::ErrorKind>,
}

impl Unread {
    /// One was read.
    fn read(&mut self, shared: &Shared, waiting: &Waiting) {
        self.attempts = 0;
        let mut state = shared.lock();
        state.unread.take_if(|(path, _)| *path == waiting.path);
    }

    /// One was not: how long to wait.
    fn failed(&mut self, shared: &Shared, waiting: &Waiting, why: io::Error) -> Duration {
        self.attempts += 1;
        let kind = why.kind();
        let why = ClickHouseError::File {
            what: "read records that wait in",
            path: waiting.path.display().to_string(),
            why,
            advice: "make it readable for the user that tcplens became",
        };
        let why = why.to_string();
        if self.told.replace(kind) != Some(kind) {
            (shared.how.say)(&format!("{why} (they are kept, and it is tried again)"));
        }
        shared.change(|state| {
            state.unread = Some((waiting.path.clone(), why));
            state.waiting.rotate_left(1);
        });
        names::wait(self.attempts)
    }
}

struct Delivery<'a> {
    shared: &'a Shared,
    server: &'a Server,
    /// Asked for again after each failure: it may be another one by then.
    version: Option<Version>,
    /// It has what it must have, or somebody else has looked.
    is_looked_at: bool,
    /// Inserts of earlier runs have had time to begin.
    is_settled: bool,
}

impl Delivery<'_> {
    /// Sends a batch until its fate is known.
    fn of(&mut self, batch: &Batch, mut is_doubtful: bool) -> Fate {
        let mut attempts = 0;
        loop {
            let error = match self.attempt(batch, is_doubtful) {
                Ok(true) => {
                    self.recovered();
                    return Fate::Stored;
                }
                // An insert of the same batch runs: neither trouble nor progress.
                Ok(false) => None,
                Err(error) => Some(error),
            };
            attempts += 1;
            is_doubtful = true;
            if let Some(error) = error {
                self.version = None;
                self.is_settled = false;
                if error.is_about_data() && attempts >= BAD {
                    let rows = batch.rows;
                    (self.shared.how.say)(&format!(
                        "{rows} records are dropped, for the server cannot take them as {}: {error}",
                        batch.table
                    ));
                    return Fate::Dropped;
                }
                troubled(self.shared, &error);
            }
            if self.rests(names::wait(attempts)) {
                return Fate::Left;
            }
        }
    }

    /// One attempt; `false`: an earlier one still runs.
    fn attempt(&mut self, batch: &Batch, is_doubtful: bool) -> Result<bool, ClickHouseError> {
        let server = self.server;
        let version = match self.version {
            Some(version) => version,
            None => *self.version.insert(server.version()?),
        };
        if !self.is_looked_at {
            server.check(&self.shared.how.tables)?;
            self.is_looked_at = true;
        }
        if is_doubtful {
            loop {
                // In this order: what does not run any more is stored or never will be.
                if server.is_running(&batch.id)? {
                    return Ok(false);
                }
                if server.has(batch)? {
                    return Ok(true);
                }
                if self.is_settled {
                    break;
                }
                if self.rests(SETTLE) {
                    return Ok(false);
                }
                self.is_settled = true;
            }
        }
        match server.insert(batch, version) {
            // The same batch runs.
            Err(error) if error.code() == Some(216) => Ok(false),
            inserted => inserted.map(|()| true),
        }
    }

    /// Waits; whether it is to leave.
    fn rests(&self, most: Duration) -> bool {
        let end = Instant::now() + most;
        let mut state = self.shared.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.is_leaving || left.is_zero() {
                return state.is_leaving;
            }
            state = self.shared.wait(state, left);
        }
    }

    fn recovered(&self) {
        let mut state = self.shared.lock();
        if state.trouble.take().is_some() {
            let waiting = state.counts.waiting - 1;
            drop(state);
            let target = self.server.target();
            (self.shared.how.say)(&format!(
                "{target} takes records again, {waiting} batches wait"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
