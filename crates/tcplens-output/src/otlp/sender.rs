//! The way to a collector: a thread of its own that sends what waits, and tries again what may be sent again
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>). Whoever hands something over never waits, whatever the
//! collector does; only [`Sender::wait`] and [`Sender::finish`] wait, and not for ever.
//!
//! Bounded: one document of metrics waits, for a newer one says all that an older one would have said; spans in [`WAITING`] bytes.
//! What finds no room, is refused, or is still there at the end is counted.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Resource;
use super::headers::Header;
use super::metrics::Document;
use super::spans;
use crate::read_json::{self, Value};
use crate::remote::http::{Http, HttpError, HttpSettings};

/// Bytes of spans that wait to be sent. Chosen: some 2,000 requests, which are minutes of trouble.
pub const WAITING: usize = 8 << 20;
/// Requests that are sent at once. Chosen: as OpenTelemetry's SDKs do.
const TOGETHER: usize = 512;
/// For connecting, and for a whole exchange: OpenTelemetry's default.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait between two tries that is our own choice.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest wait that a collector may ask for. Chosen: what it says may be meant for somebody else.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// Messages that wait to be told.
const MESSAGES: usize = 8;
/// What is shorter is sent as it is.
const COMPRESSED_FROM: usize = 1024;

/// How to send, and where to.
#[derive(Clone, Debug)]
pub struct SenderSettings {
    /// `/v1/metrics` and `/v1/traces` are below it.
    pub url: String,
    /// What the collector wants to see.
    pub headers: Vec<Header>,
    /// Certificates (PEM) to trust in place of the machine's.
    pub authorities: Option<PathBuf>,
    /// How long the first wait before another try is; each that follows is twice as long.
    pub first_wait: Duration,
    /// Whose telemetry it is.
    pub resource: Resource,
}

/// What is sent to a collector.
pub struct Sender {
    settings: Arc<SenderSettings>,
    http: Http,
    shared: Arc<Shared>,
    is_started: bool,
}

/// What has come of it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Documents of metrics that arrived.
    pub documents: u64,
    /// Slow requests that arrived.
    pub requests: u64,
    /// Requests, and points of metrics, that the collector did not get: no room, refused, or not in time. Of what it rejected
    /// from a message that it took, spans, of which a request has up to four.
    pub dropped: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    metrics: Option<Document>,
    requests: VecDeque<String>,
    /// Of these and of what is on its way.
    bytes: usize,
    /// Points, and requests, that are on their way.
    on_way: [u64; 2],
    /// Nothing more comes.
    is_ending: bool,
    /// Nobody waits any more.
    is_given_up: bool,
    sent: Sent,
    messages: Vec<String>,
}

/// What is sent.
enum Load {
    Metrics(Document),
    Requests(Vec<String>),
}

/// What a try came to.
enum Came {
    /// It arrived; what of it was rejected, and what the collector had to say.
    Through(u64, Option<String>),
    /// It is of no use to try again; why.
    Refused(String),
    /// It may work later: after so long, if that was said.
    Later(String, Option<Duration>),
}

/// How one of the two kinds gets on.
#[derive(Default)]
struct Course {
    failures: u32,
    not_before: Option<Instant>,
    /// That it fails was told.
    is_told: bool,
}

impl Sender {
    /// Reads the certificates, while there may be privileges. Sends nothing yet.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(settings: SenderSettings) -> Result<Sender, HttpError> {
        let http = Http::new(&HttpSettings {
            connect: PATIENCE,
            whole: PATIENCE,
            authorities: settings.authorities.clone(),
            is_abrupt: false,
        })?;
        Ok(Sender {
            settings: Arc::new(settings),
            http,
            shared: Arc::default(),
            is_started: false,
        })
    }

    /// Whose telemetry it is.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.settings.resource
    }

    /// What was counted so far; takes the place of what was not sent yet.
    pub fn metrics(&mut self, document: Document) {
        self.start();
        self.shared.lock().metrics = Some(document);
        self.shared.changed.notify_all();
    }

    /// A slow request, as [`spans::spans`] makes it; dropped and counted where there is no room.
    pub fn request(&mut self, spans: String) {
        self.start();
        let mut state = self.shared.lock();
        if state.bytes + spans.len() > WAITING {
            state.sent.dropped += 1;
            return;
        }
        state.bytes += spans.len();
        state.requests.push_back(spans);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// What has come of it so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.shared.lock().sent
    }

    /// What the user should know, each once.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().messages)
    }

    /// Nothing more comes: waits until all is sent, for `most` at most. Whether it is.
    pub fn wait(&self, most: Duration) -> bool {
        let until = Instant::now() + most;
        let mut state = self.shared.lock();
        state.is_ending = true;
        self.shared.changed.notify_all();
        while !state.is_idle() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// The same; what is left then is counted as dropped.
    pub fn finish(&mut self, most: Duration) -> Sent {
        self.wait(most);
        let mut state = self.shared.lock();
        let [points, requests] = std::mem::take(&mut state.on_way);
        // A newer document has all that an older one says.
        let points = state.metrics.take().map_or(points, |newer| newer.points);
        let requests = state.requests.len() as u64 + requests;
        state.requests.clear();
        state.is_given_up = true;
        state.sent.dropped += points + requests;
        self.shared.changed.notify_all();
        state.sent
    }

    /// Begins with the first that is to be sent, when privileges have been given up.
    fn start(&mut self) {
        if self.is_started {
            return;
        }
        self.is_started = true;
        let worker = Worker {
            settings: Arc::clone(&self.settings),
            http: self.http.clone(),
            shared: Arc::clone(&self.shared),
            courses: Default::default(),
        };
        // Not joined: it may wait for a collector that never answers.
        std::thread::spawn(move || worker.run());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.metrics.is_none() && self.requests.is_empty() && self.on_way == [0; 2]
    }

    fn tell(&mut self, message: String) {
        if self.messages.len() < MESSAGES {
            self.messages.push(message);
        }
    }
}

/// The thread.
struct Worker {
    settings: Arc<SenderSettings>,
    http: Http,
    shared: Arc<Shared>,
    /// Of metrics and of requests: a collector that takes the one and not the other gets the one.
    courses: [Course; 2],
}

const METRICS: usize = 0;
const REQUESTS: usize = 1;

impl Worker {
    fn run(mut self) {
        while let Some(load) = self.next() {
            let came = self.send(&load);
            self.conclude(load, came);
        }
    }

    /// Waits for something that may be sent now; `None` when nothing more will be.
    fn next(&mut self) -> Option<Load> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            if state.is_given_up || (state.is_ending && state.is_idle()) {
                return None;
            }
            let now = Instant::now();
            if state.is_ending {
                // There is no time for long waits.
                let soon = now + self.settings.first_wait;
                for course in &mut self.courses {
                    course.not_before = course.not_before.map(|at| at.min(soon));
                }
            }
            let is_due = |course: &Course| course.not_before.is_none_or(|at| at <= now);
            if is_due(&self.courses[METRICS])
                && let Some(document) = state.metrics.take()
            {
                // Also one without points is waited for.
                state.on_way[METRICS] = document.points.max(1);
                return Some(Load::Metrics(document));
            }
            if is_due(&self.courses[REQUESTS]) && !state.requests.is_empty() {
                let count = state.requests.len().min(TOGETHER);
                let requests: Vec<_> = state.requests.drain(..count).collect();
                state.on_way[REQUESTS] = requests.len() as u64;
                return Some(Load::Requests(requests));
            }
            let wait = |(has_work, course): (bool, &Course)| {
                let at = course.not_before.filter(|_| has_work)?;
                Some(at.saturating_duration_since(now))
            };
            let works = [state.metrics.is_some(), !state.requests.is_empty()];
            let waits = works.into_iter().zip(&self.courses).filter_map(wait);
            state = match waits.min() {
                Some(wait) => {
                    let waited = shared.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = shared.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn send(&self, load: &Load) -> Came {
        let (place, body) = match load {
            Load::Metrics(document) => ("/v1/metrics", Cow::Borrowed(document.text.as_str())),
            Load::Requests(requests) => {
                let requests = requests.iter().map(String::as_str);
                let text = spans::document(requests, &self.settings.resource);
                ("/v1/traces", Cow::Owned(text))
            }
        };
        let url = format!("{}{place}", self.settings.url.trim_end_matches('/'));
        let mut headers: Vec<(&str, &str)> = vec![("content-type", "application/json")];
        let packed = packed(&body);
        if packed.is_some() {
            headers.push(("content-encoding", "gzip"));
        }
        let own = self.settings.headers.iter();
        headers.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        let bytes = packed.as_deref().unwrap_or(body.as_bytes());
        match self.http.ask(&url, &headers, bytes) {
            Err(error) => Came::Later(error.to_string(), None),
            Ok((answer, _)) if answer.is_ok() => {
                let (rejected, message) = partial_success(&answer.body);
                Came::Through(rejected, message)
            }
            Ok((answer, wait)) => {
                let why = format!("{url} answered {}: {}", answer.status, answer.first_line());
                match answer.status {
                    429 | 502 | 503 | 504 => Came::Later(why, wait),
                    _ => Came::Refused(why),
                }
            }
        }
    }

    /// What is to be done after a try.
    fn conclude(&mut self, load: Load, came: Came) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if state.is_given_up {
            return;
        }
        state.on_way = [0; 2];
        let which = match &load {
            Load::Metrics(_) => METRICS,
            Load::Requests(_) => REQUESTS,
        };
        let course = &mut self.courses[which];
        match came {
            Came::Through(rejected, message) => {
                (course.failures, course.not_before) = (0, None);
                let (url, noun) = (&self.settings.url, NOUNS[which]);
                let was_told = std::mem::replace(&mut course.is_told, message.is_some());
                match message {
                    Some(message) if !was_told => state.tell(match rejected {
                        0 => format!("{url} says of {noun}: {message}"),
                        _ => format!("{url} rejected some of the {noun}: {message}"),
                    }),
                    None if was_told => state.tell(format!("{url} takes {noun} again")),
                    Some(_) | None => {}
                }
                load.arrived(&mut state, rejected);
            }
            Came::Refused(why) => {
                if !std::mem::replace(&mut course.is_told, true) {
                    state.tell(format!("{} are not taken: {why}", NOUNS[which]));
                }
                // Metrics come again by themselves; not at once.
                course.not_before = Some(Instant::now() + self.settings.first_wait);
                load.refused(&mut state);
            }
            Came::Later(why, asked) => {
                if !std::mem::replace(&mut course.is_told, true) {
                    let noun = NOUNS[which];
                    state.tell(format!(
                        "{noun} wait to be sent: {why}; they are tried again"
                    ));
                }
                let own = self.settings.first_wait * 2_u32.pow(course.failures.min(10));
                let wait = match asked {
                    Some(asked) => asked.min(LONGEST_ASKED),
                    None => jittered(own.min(LONGEST)),
                };
                course.failures += 1;
                course.not_before = Some(Instant::now() + wait);
                load.waits_again(&mut state);
            }
        }
        shared.changed.notify_all();
    }
}

/// By course.
const NOUNS: [&str; 2] = ["metrics", "slow requests"];

impl Load {
    fn arrived(self, state: &mut State, rejected: u64) {
        state.sent.dropped += rejected;
        match self {
            Load::Metrics(_) => state.sent.documents += 1,
            Load::Requests(requests) => {
                state.bytes -= requests.iter().map(String::len).sum::<usize>();
                state.sent.requests += requests.len() as u64;
            }
        }
    }

    fn refused(self, state: &mut State) {
        match self {
            Load::Metrics(document) => state.sent.dropped += document.points,
            Load::Requests(requests) => {
                state.bytes -= requests.iter().map(String::len).sum::<usize>();
                state.sent.dropped += requests.len() as u64;
            }
        }
    }

    fn waits_again(self, state: &mut State) {
        match self {
            // Unless there is a newer one.
            Load::Metrics(document) => _ = state.metrics.get_or_insert(document),
            Load::Requests(requests) => {
                for request in requests.into_iter().rev() {
                    state.requests.push_front(request);
                }
            }
        }
    }
}

/// Between three and five quarters of it: many hosts shall not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1024;
    let part = u32::try_from(random).unwrap_or(0);
    wait * 3 / 4 + wait / 2048 * part
}

/// Compressed, if that is worth it. Every collector must take it (OTLP, "All server components MUST support").
fn packed(body: &str) -> Option<Vec<u8>> {
    if body.len() < COMPRESSED_FROM {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// How many spans or points a collector did not take of a message that it took, and what it says; `None` if it says nothing.
fn partial_success(body: &[u8]) -> (u64, Option<String>) {
    let (mut rejected, mut message) = (0, None);
    // What is no such document says nothing.
    let _ = read_json::Json::new(body).object(|json, name| {
        if **name != *b"partialSuccess" {
            return json.skip();
        }
        if json.null() {
            return Some(());
        }
        json.object(|json, name| {
            let value = json.value()?;
            let text = match &value {
                Value::Null => return Some(()),
                Value::Text(text) => String::from_utf8_lossy(text),
                Value::Other(text) => String::from_utf8_lossy(text),
            };
            match &**name {
                b"rejectedDataPoints" | b"rejectedSpans" => rejected = text.parse().unwrap_or(0),
                b"errorMessage" if !text.is_empty() => {
                    message = Some(text.chars().take(300).collect::<String>());
                }
                _ => {}
            }
            Some(())
        })
    });
    if rejected > 0 && message.is_none() {
        message = Some("no reason given".to_owned());
    }
    (
        rejected,
        message.map(|text| text.replace(char::is_control, " ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_did_not_take_is_read_from_its_answer() {
        let said = |text: &str| Some(text.to_owned());
        for (body, expected) in [
            ("", (0, None)),
            ("{}", (0, None)),
            ("{\"partialSuccess\":{}}", (0, None)),
            ("{\"partialSuccess\":null}", (0, None)),
            (
                "{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"too\\nold\"}}",
                (3, said("too old")),
            ),
            (
                "{\"x\":[1,{}],\"partialSuccess\":{\"rejectedSpans\":2}}",
                (2, said("no reason given")),
            ),
            (
                "{\"partialSuccess\":{\"errorMessage\":\"deprecated\"}}",
                (0, said("deprecated")),
            ),
            ("<html>", (0, None)),
        ] {
            assert_eq!(partial_success(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn waits_differ_by_a_quarter_at_most() {
        let wait = Duration::from_secs(8);
        for _ in 0..100 {
            let jittered = jittered(wait);
            assert!((wait * 3 / 4..=wait * 5 / 4).contains(&jittered));
        }
    }
}
