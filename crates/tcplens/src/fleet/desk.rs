//! Answers what the page asks: threads that read the store, a bounded queue before them, and what they made. While nothing new is in
//! the store the same question has the same answer, which is kept; when something is, only that is read.
//!
//! Bounds: [`READERS`] threads for the store and one for queries, [`WAITING`] questions before each, [`KEPT`] answers and as many
//! readings (10 MB each, usually), [`READ`] for one question. Who asks more is told to try again. A store that hangs holds up its
//! readers and nobody else: the page, and what is wrong, is told by the thread that serves.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tcplens_core::record::Word;
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::fleet::{FleetFilter, FleetRange};
use tcplens_output::json::Json;
use tcplens_output::named::Parameters;
use tcplens_output::page::fleet::{self as page, Mark};
use tcplens_output::store::look::View;

use super::ask::{self, Question, Time, Wrong};
use super::queries;
use super::source::{Reading, Source, State, Why};
use crate::answer::http::{Asks, Said};

/// Threads that read the store.
const READERS: usize = 3;
/// Questions that wait for them. Chosen: as many clients as are served.
const WAITING: usize = 16;
/// Questions whose answers are kept.
const KEPT: usize = 8;
/// How long one question reads. Chosen: below what the server waits, so that what was read until then is told.
const READ: Duration = Duration::from_secs(25);
/// How old the list of files becomes before it is looked at again.
const STALE: Duration = Duration::from_secs(5);
/// Single records that are shown. Chosen: a screen or two.
const ROWS: usize = 100;
/// Marks that are shown.
const MARKS: usize = 200;

/// See the module.
pub(super) struct Desk {
    reads: SyncSender<Asked>,
    runs: SyncSender<Asked>,
}

struct Asked {
    question: Question,
    reply: SyncSender<Said>,
}

/// What all threads have together.
struct Shared {
    source: Arc<dyn Source>,
    state: Mutex<Option<(Instant, State)>>,
    kept: Mutex<Kept>,
}

/// What was made before.
#[derive(Default)]
struct Kept {
    all: BTreeMap<(FleetRange, FleetFilter), One>,
    uses: u64,
}

struct One {
    version: u64,
    reading: Reading,
    /// `None`: findings may be missing, and are looked for again.
    body: Option<Vec<u8>>,
    used: u64,
}

impl Desk {
    /// Begins the threads, which end when this is dropped and they have done what they do.
    ///
    /// # Errors
    /// There are none to be had.
    pub(super) fn start(source: Arc<dyn Source>) -> io::Result<Desk> {
        let shared = Arc::new(Shared {
            source,
            state: Mutex::new(None),
            kept: Mutex::new(Kept::default()),
        });
        let (reads, questions) = sync_channel(WAITING);
        let questions = Arc::new(Mutex::new(questions));
        for _ in 0..READERS {
            begin("store", Arc::clone(&shared), Arc::clone(&questions))?;
        }
        let (runs, questions) = sync_channel(WAITING);
        begin("query", shared, Arc::new(Mutex::new(questions)))?;
        Ok(Desk { reads, runs })
    }
}

fn begin(
    name: &str,
    shared: Arc<Shared>,
    questions: Arc<Mutex<Receiver<Asked>>>,
) -> io::Result<()> {
    let work = move || {
        loop {
            let next = lock(&questions).recv();
            let Ok(Asked { question, reply }) = next else {
                return;
            };
            // Who asked may be gone; what was made is kept for the next one.
            let _ = reply.try_send(shared.answer(question));
        }
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}

impl Asks for Desk {
    fn ask(&self, target: &str) -> Result<Receiver<Said>, Said> {
        let question = ask::read(target).map_err(|wrong| match wrong {
            Wrong::Unknown => Said::text("404 Not Found", "tcplens: the page is at /"),
            Wrong::Parameter(what) => Said::text("400 Bad Request", &what),
        })?;
        let queue = match question {
            Question::Query(..) => &self.runs,
            Question::Fleet(..) | Question::Records(..) | Question::Queries => &self.reads,
        };
        let (reply, answer) = sync_channel(1);
        match queue.try_send(Asked { question, reply }) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => {
                let busy = "too many others are being answered; try again";
                Err(Said::text("503 Service Unavailable", busy))
            }
            Err(TrySendError::Disconnected(_)) => Err(Said::text(
                "503 Service Unavailable",
                "nobody reads the store any more; start tcplens fleet again",
            )),
        }
    }
}

impl Shared {
    fn answer(&self, question: Question) -> Said {
        let made = match question {
            Question::Fleet(time, filter) => self.fleet(time, filter),
            Question::Records(view, time, filter) => self.records(view, time, &filter),
            Question::Queries => Ok(queries::list(&*self.source).into_bytes()),
            Question::Query(name, time, filter) => {
                let range = self.state().map(|state| range(time, state));
                range.and_then(|range| queries::run(&*self.source, name, range, &filter))
            }
        };
        match made {
            Ok(body) => Said::json(body),
            Err(why) => Said::text("503 Service Unavailable", &why),
        }
    }

    /// What there is, as of some seconds ago.
    fn state(&self) -> Result<State, Why> {
        let known = *lock(&self.state);
        if let Some((at, state)) = known
            && at.elapsed() < STALE
        {
            return Ok(state);
        }
        let state = self.source.state()?;
        *lock(&self.state) = Some((Instant::now(), state));
        Ok(state)
    }

    fn fleet(&self, time: Time, filter: FleetFilter) -> Result<Vec<u8>, Why> {
        let start = Instant::now();
        let state = self.state()?;
        let key = (range(time, state), filter);
        let before = {
            let mut kept = lock(&self.kept);
            kept.uses += 1;
            let uses = kept.uses;
            match kept.all.get_mut(&key) {
                Some(one) => {
                    let is_all = one.version == state.version && one.reading.unread == 0;
                    if let Some(body) = one.body.as_ref().filter(|_| is_all) {
                        one.used = uses;
                        return Ok(body.clone());
                    }
                    Some(one.reading.clone())
                }
                None => None,
            }
        };
        let mut reading = before.unwrap_or_else(|| Reading::new(key.0, key.1.clone()));
        let give_up = || start.elapsed() > READ;
        self.source.bring(&mut reading, &give_up)?;
        let source = &*self.source;
        let (body, missing) = document(source, &reading, state.extent, start.elapsed(), &give_up);
        let body = body.into_bytes();
        let mut kept = lock(&self.kept);
        kept.uses += 1;
        let one = One {
            version: state.version,
            reading,
            body: missing.is_none().then(|| body.clone()),
            used: kept.uses,
        };
        kept.all.insert(key, one);
        if kept.all.len() > KEPT {
            let oldest = kept.all.iter().min_by_key(|(_, one)| one.used);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| kept.all.remove(&key));
        }
        Ok(body)
    }

    fn records(&self, view: &str, time: Time, filter: &FleetFilter) -> Result<Vec<u8>, Why> {
        let start = Instant::now();
        let view = View::find(view).ok_or("there is no such view")?;
        let range = range(time, self.state()?);
        let (from, until) = match time {
            // To the second, as it was asked for.
            Time::Between(from, to) => (from, to),
            Time::Last(_) | Time::All => (range.from, range.until),
        };
        let mut filter = filter.clone();
        if !view.is_of_requests() {
            // Attempts do not know it, and connections not what was asked for.
            (filter.protocol, filter.operation) = (None, None);
        }
        let give_up = || start.elapsed() > READ;
        let records = self
            .source
            .records(view, &(from..until), &filter, ROWS, &give_up)?;
        let parameters = parameters(from, until, &filter);
        let protocol = filter.protocol.and_then(Word::word);
        let operation = filter.operation.as_deref();
        let sql = view.sql(
            self.source.dialect(),
            &parameters,
            protocol,
            operation,
            ROWS,
        );
        let mut json = Json::new();
        json.open('{').name("command");
        json.string(&queries::command(self.source.name(), &[&sql]));
        json.name("matched").number(records.found.matched);
        json.name("parts").string(self.source.parts());
        json.name("files").number(records.files);
        json.name("unread").number(records.unread);
        json.name("why").string("there was no time");
        json.name("damages").open('[');
        for damage in &records.damages {
            json.string(damage);
        }
        json.close(']');
        let mut text = json.into_string();
        text.push(',');
        text.push_str(&records.found.json);
        text.push('}');
        Ok(text.into_bytes())
    }
}

/// The parameters of queries that a filter is.
pub(super) fn parameters(from: Timestamp, until: Timestamp, filter: &FleetFilter) -> Parameters {
    Parameters {
        since: Some(from),
        until: Some(until),
        server: filter
            .server
            .map(|(ip, port)| tcplens_output::named::Server {
                // As records have it.
                ip: ip.to_canonical(),
                port: u16::try_from(port).ok(),
            }),
        hosts: filter.host.iter().cloned().collect(),
        ..Parameters::default()
    }
}

/// A time in slices; the newest hours where nothing is in the store.
fn range(time: Time, state: State) -> FleetRange {
    let (first, newest) = state.extent.unwrap_or_default();
    match time {
        Time::Between(from, to) => FleetRange::of(from, to),
        Time::All => FleetRange::of(first, newest),
        Time::Last(span) => {
            let span = i64::try_from(span.ns()).unwrap_or(i64::MAX);
            FleetRange::of(Timestamp(newest.0.saturating_sub(span)), newest)
        }
    }
}

/// The document of what was read, with the findings of its time; and why some of these may be missing, which it says, too.
pub(super) fn document(
    source: &dyn Source,
    reading: &Reading,
    extent: Option<(Timestamp, Timestamp)>,
    took: Duration,
    give_up: &dyn Fn() -> bool,
) -> (String, Option<Why>) {
    let range = reading.fleet.range();
    // By when they began, those of the last minutes last; a finding told again says until when by now.
    // Of two hosts that tell the same the first by name.
    fn said(mark: &Mark) -> (Option<Timestamp>, Reverse<&str>) {
        (mark.until, Reverse(&mark.host))
    }
    let mut marks: BTreeMap<(Timestamp, [String; 5]), Mark> = BTreeMap::new();
    let mut more = 0;
    let mut each = |mark: Mark| {
        if !concerns(&mark, reading.fleet.filter()) {
            return;
        }
        let parts = [
            &mark.code,
            &mark.server,
            &mark.operation,
            &mark.metric,
            &mark.component,
        ];
        let key = (mark.time.unwrap_or_default(), parts.map(Clone::clone));
        match marks.get_mut(&key) {
            Some(known) if said(known) >= said(&mark) => {}
            Some(known) => *known = mark,
            None => {
                marks.insert(key, mark);
                if marks.len() > MARKS {
                    marks.pop_first();
                    more += 1;
                }
            }
        }
    };
    let read = source.marks(&(range.from..range.until), &mut each, give_up);
    let missing = read.err().map(|why| format!("findings: {why}"));
    let marks: Vec<_> = marks.into_values().rev().collect();
    let mut damages = reading.damages.clone();
    damages.extend(missing.clone());
    if reading.unread > 0 {
        damages.push(format!(
            "{} {}, for which there was no time: choose a shorter time, or ask again",
            reading.unread,
            source.parts()
        ));
    }
    let store = page::Store {
        name: source.name(),
        extent,
        marks: &marks,
        more_marks: more,
        damages: &damages,
        more_damages: reading.more_damages,
        files: reading.parts(),
        parts: source.parts(),
        took: Span::from_ns(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
    };
    (page::document(&reading.fleet, &store), missing)
}

/// Whether a finding is about what passes a filter, as far as it says what it is about.
fn concerns(mark: &Mark, filter: &FleetFilter) -> bool {
    let server = filter
        .server
        .map(|(ip, port)| tcplens_output::human::Endpoint(ip, port).to_string());
    let protocol = filter.protocol.and_then(Word::word);
    let fits =
        |of: &str, wanted: Option<&str>| of.is_empty() || wanted.is_none_or(|wanted| wanted == of);
    fits(&mark.server, server.as_deref())
        && fits(&mark.protocol, protocol)
        && fits(&mark.operation, filter.operation.as_deref())
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
