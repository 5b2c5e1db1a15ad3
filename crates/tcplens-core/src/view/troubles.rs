//! What is wrong with the requests to one server, as far as single records tell: which were slow and why, which got errors,
//! which got no answer. And the few slowest of all. What that means is in `findings::requests`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::blame::is_of_client;
use super::requests::{budget, is_slow, is_undecided, took};
use super::silence::Silence;
use super::{Sighting, thresholds, usual};
use crate::record::{ConnectionId, EndedBy, Protocol, Request, Status, Verdict};
use crate::time::{Span, Timestamp};

/// Words that are told apart of one trouble. Chosen: a sentence names one or two.
const KINDS: usize = 16;
/// Characters of a word.
const KIND_CHARS: usize = 48;

/// Words and how often each was said; those beyond the bound are counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    known: BTreeMap<Box<str>, u64>,
    /// Said by words beyond the bound.
    pub others: u64,
}

impl Kinds {
    pub(super) fn add(&mut self, word: &str) {
        if let Some(count) = self.known.get_mut(word) {
            *count += 1;
        } else if self.known.len() < KINDS {
            self.known.insert(word.into(), 1);
        } else {
            self.others += 1;
        }
    }

    /// The words said most often, at most `most` of them; of equals the first by the alphabet.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.known.iter().map(|(word, n)| (&**word, *n)).collect();
        all.sort_by_key(|(_, count)| Reverse(*count));
        all.truncate(most);
        all
    }

    /// Whether no word was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The word said most often; of equals the first by the alphabet.
    #[must_use]
    pub fn most(&self) -> Option<(&str, u64)> {
        let known = self.known.iter();
        let (word, count) = known.max_by_key(|(word, count)| (**count, Reverse(*word)))?;
        Some((word, *count))
    }
}

/// Slow requests whose time went mostly to one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slow {
    /// When, whose, and the time that went to that cause.
    pub seen: Sighting,
    /// Their operations.
    pub operations: Kinds,
    /// All of their time, in ns.
    pub total_ns: u64,
    /// Their payload: of requests, of responses.
    pub bytes: [u64; 2],
}

/// Requests that a small receive window made slow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmallWindow {
    /// The requests, and the time that the transfer took.
    pub slow: Slow,
    /// The smallest of these windows, in bytes.
    pub least: Option<u64>,
    /// The longest of the round trips, in ns.
    pub farthest_ns: u64,
}

/// Requests that got no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// When and whose.
    pub seen: Sighting,
    /// Their operations.
    pub operations: Kinds,
    /// What ended them, in the order of [`EndedBy::ALL`].
    pub ended_by: [u64; EndedBy::ALL.len()],
}

/// Requests that were answered with an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// When and whose.
    pub seen: Sighting,
    /// What the server said.
    pub words: Kinds,
    /// Of which names, in DNS.
    pub names: Kinds,
}

/// Queries for names with one outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// When and whose.
    pub seen: Sighting,
    /// Type and name.
    pub names: Kinds,
}

/// Requests that may be in trouble, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unjudged {
    /// Slow, in a protocol that is not known: one side may wait on purpose.
    SlowTurn,
    /// Slow, and without a time budget.
    Nowhere,
    /// Without an answer, in a protocol that is not known: none may be owed.
    UnansweredTurn,
}

/// What is wrong with the requests to one server. Empty for most: boxed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    slow: [Option<Box<Slow>>; Verdict::ALL.len()],
    /// Of the server, and of its clients.
    errors: [Option<Box<Errors>>; 2],
    unanswered: Option<Box<Unanswered>>,
    nameless: Option<Box<Lookups>>,
    slow_names: Option<Box<Slow>>,
    slow_handshakes: Option<Box<Slow>>,
    /// By the receiver: of clients, of the server.
    small_windows: [Option<Box<SmallWindow>>; 2],
    /// Requests that a RST cut off.
    pub(super) cut_off: u64,
    /// By [`Unjudged`].
    unjudged: [u64; 3],
}

impl Trouble {
    /// Slow requests whose time went mostly there.
    #[must_use]
    pub fn slow(&self, verdict: Verdict) -> Option<&Slow> {
        self.slow[verdict as usize].as_deref()
    }

    /// Queries for names that took long.
    #[must_use]
    pub fn slow_names(&self) -> Option<&Slow> {
        self.slow_names.as_deref()
    }

    /// TLS handshakes that took the server long.
    #[must_use]
    pub fn slow_handshakes(&self) -> Option<&Slow> {
        self.slow_handshakes.as_deref()
    }

    /// Requests that a small receive window made slow: that of clients, or that of the server.
    #[must_use]
    pub fn small_window(&self, of_server: bool) -> Option<&SmallWindow> {
        self.small_windows[usize::from(of_server)].as_deref()
    }

    /// All slow requests.
    #[must_use]
    pub fn all_slow(&self) -> u64 {
        let by_verdict = self.slow.iter().flatten();
        let others = [&self.slow_names, &self.slow_handshakes];
        let slow = by_verdict.chain(others.into_iter().flatten());
        let windows = self.small_windows.iter().flatten();
        slow.map(|slow| slow.seen.count).sum::<u64>()
            + windows.map(|window| window.slow.seen.count).sum::<u64>()
    }

    /// Requests that were answered with an error: those that say that the client is wrong, or the others.
    #[must_use]
    pub fn errors(&self, of_client: bool) -> Option<&Errors> {
        self.errors[usize::from(of_client)].as_deref()
    }

    /// Requests that got no answer.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Unanswered> {
        self.unanswered.as_deref()
    }

    /// Queries for names that do not exist.
    #[must_use]
    pub fn nameless(&self) -> Option<&Lookups> {
        self.nameless.as_deref()
    }

    fn add(&mut self, request: &Request<'_>) {
        let see = |seen: &mut Sighting, took: Option<Span>| {
            let (frame, client) = (request.request_frame, request.client_ip);
            seen.add(request.time, took, frame, client);
        };
        let operation = request.operation.unwrap_or_default();
        self.cut_off += u64::from(request.ended_by == EndedBy::Reset);
        if is_slow(request, Some(slow_from())) {
            self.add_slow(request);
        }
        if request.status == Status::Error {
            let of_client = is_of_client(request);
            let errors = self.errors[usize::from(of_client)].get_or_insert_default();
            see(&mut errors.seen, took(request));
            errors.words.add(&error_words(request));
            if request.protocol == Protocol::Dns {
                errors.names.add(&name_words(request));
            }
        }
        if is_nameless(request) {
            let nameless = self.nameless.get_or_insert_default();
            see(&mut nameless.seen, None);
            nameless.names.add(&name_words(request));
        }
        let is_unanswered = request.status == Status::Unanswered && !is_undecided(request);
        let is_turn = request.protocol == Protocol::Turn;
        self.unjudged[Unjudged::UnansweredTurn as usize] += u64::from(is_unanswered && is_turn);
        if is_unanswered && owes_answers(request) {
            let unanswered = self.unanswered.get_or_insert_default();
            see(&mut unanswered.seen, None);
            unanswered.operations.add(operation);
            unanswered.ended_by[request.ended_by as usize] += 1;
        }
    }
}

impl Slow {
    /// Counts a request of which so much time went to the cause.
    fn add(&mut self, request: &Request<'_>, part: Span) {
        let (frame, client) = (request.request_frame, request.client_ip);
        self.seen.add(request.time, Some(part), frame, client);
        self.operations.add(request.operation.unwrap_or_default());
        let total = took(request).map_or(0, Span::ns);
        self.total_ns = self.total_ns.saturating_add(total);
        let bytes = [request.request_bytes, request.response_bytes];
        for (sum, more) in self.bytes.iter_mut().zip(bytes) {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Trouble {
    /// Sorts a request that took long by what made it slow.
    fn add_slow(&mut self, request: &Request<'_>) {
        if request.protocol == Protocol::Dns {
            // Over UDP it has no time budget: nothing tells how far the resolver is.
            if let Some(total) =
                took(request).filter(|total| total.ns() >= thresholds::SLOW_NAME_NS)
            {
                self.slow_names.get_or_insert_default().add(request, total);
            }
            return;
        }
        let (Some(verdict), Some(budget)) = (request.verdict, budget(request)) else {
            let why = match request.protocol {
                Protocol::Turn => Unjudged::SlowTurn,
                _ => Unjudged::Nowhere,
            };
            let is_known = request.protocol != Protocol::Turn && waits_on_purpose(request);
            self.unjudged[why as usize] += u64::from(took(request).is_some() && !is_known);
            return;
        };
        let part = budget[verdict as usize];
        if let Some(window) = small_window(request, verdict) {
            let of_server = usize::from(verdict == Verdict::Client);
            let small = self.small_windows[of_server].get_or_insert_default();
            small.least = Some(small.least.map_or(window, |least| least.min(window)));
            let far = usual::round_trip_ns(request);
            small.farthest_ns = small.farthest_ns.max(far);
            small.slow.add(request, part);
            return;
        }
        let is_handshake =
            request.protocol == Protocol::Tls && request.operation == Some("handshake");
        match verdict {
            _ if waits_on_purpose(request) => {
                let is_turn = request.protocol == Protocol::Turn;
                self.unjudged[Unjudged::SlowTurn as usize] += u64::from(is_turn);
            }
            // That the other end of the world is far is worth saying only if it alone is slow.
            Verdict::Network if part < slow_from() => {}
            _ if usual::is_usual(request, verdict, part) => {}
            Verdict::Server if is_handshake => {
                let slow = self.slow_handshakes.get_or_insert_default();
                slow.add(request, part);
            }
            _ => {
                let slow = self.slow[verdict as usize].get_or_insert_default();
                slow.add(request, part);
            }
        }
    }
}

/// The receive window that made a request slow, in bytes, if it is a small one for the way.
fn small_window(request: &Request<'_>, verdict: Verdict) -> Option<u64> {
    let window = request
        .window_limit_bytes
        .filter(|_| matches!(verdict, Verdict::Client | Verdict::Transfer))?;
    let at_least_ns = window.saturating_mul(usual::NS_PER_BYTE);
    (usual::round_trip_ns(request) > at_least_ns).then_some(window)
}

fn slow_from() -> Span {
    Span::from_ns(thresholds::SLOW_NS)
}

/// Whether a request takes long because that is what it asks for, or may be: redis' blocking commands, and what is not
/// known to be a request at all.
pub(super) fn waits_on_purpose(request: &Request<'_>) -> bool {
    const BLOCKING: [&str; 12] = [
        "BLMOVE",
        "BLMPOP",
        "BLPOP",
        "BRPOP",
        "BRPOPLPUSH",
        "BZMPOP",
        "BZPOPMAX",
        "BZPOPMIN",
        "PSYNC",
        "SYNC",
        "WAIT",
        "WAITAOF",
    ];
    let operation = request.operation.unwrap_or_default();
    match request.protocol {
        Protocol::Turn | Protocol::Websocket => {
            !matches!(request.verdict, Some(Verdict::Loss | Verdict::Window))
        }
        Protocol::Redis if operation.starts_with("XREAD") => {
            let summary = request.summary.unwrap_or_default();
            summary.to_ascii_uppercase().contains(" BLOCK ")
        }
        Protocol::Redis => BLOCKING.contains(&operation),
        _ => false,
    }
}

/// Whether the protocol says that every request is answered: without one, the last words of a client may need none.
fn owes_answers(request: &Request<'_>) -> bool {
    !matches!(request.protocol, Protocol::Turn | Protocol::Websocket)
}

/// Whether a name server says that there is no such name (RFC 1035 section 4.1.1).
fn is_nameless(request: &Request<'_>) -> bool {
    const NXDOMAIN: u64 = 3;
    request.protocol == Protocol::Dns && request.status_code == Some(NXDOMAIN)
}

/// Whether a query for a name has no answer, so far as was observed.
pub(super) fn is_silent(request: &Request<'_>) -> bool {
    request.protocol == Protocol::Dns
        && request.status == Status::Unanswered
        && request.ended_by == EndedBy::Observation
        && !request.capture_loss
}

/// `A shop.example.`
pub(super) fn name_words(request: &Request<'_>) -> String {
    let name = request.summary.unwrap_or_default();
    name.chars().take(KIND_CHARS).collect()
}

/// `404 Not Found`, `-WRONGTYPE Operation against a key`.
fn error_words(request: &Request<'_>) -> String {
    let code = request.status_code.map(|code| code.to_string());
    let text: Option<String> = request
        .status_text
        .map(|text| text.chars().take(KIND_CHARS).collect());
    match (code, text) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        (Some(word), None) | (None, Some(word)) => word,
        (None, None) => "an error".to_owned(),
    }
}

/// One of the slowest requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowRequest {
    /// T0.
    pub time: Timestamp,
    /// T0 to T3.
    pub total: Span,
    /// Address and port of the client.
    pub client: (IpAddr, u64),
    /// Of the server.
    pub server: (IpAddr, u64),
    /// Where most of the time went.
    pub verdict: Option<Verdict>,
    /// Packet of its first byte.
    pub frame: Option<u64>,
    /// What it asked for: summary, operation or protocol.
    pub what: String,
    connection_id: ConnectionId,
    task: u64,
}

/// The [`STANDOUTS`](super::STANDOUTS) slowest requests; of equals the earliest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowestRequests {
    most: Vec<SlowRequest>,
}

impl SlowestRequests {
    /// From the slowest on.
    #[must_use]
    pub fn most(&self) -> &[SlowRequest] {
        &self.most
    }

    pub(super) fn add(&mut self, request: &Request<'_>) {
        let Some(total) = took(request) else {
            return;
        };
        let own = (
            Reverse(total),
            request.time,
            request.connection_id,
            request.task,
        );
        let rank = |slow: &SlowRequest| {
            (
                Reverse(slow.total),
                slow.time,
                slow.connection_id,
                slow.task,
            )
        };
        if self.most.len() >= super::STANDOUTS
            && self.most.last().is_some_and(|last| rank(last) <= own)
        {
            return;
        }
        let protocol = crate::record::Word::word(request.protocol).unwrap_or_default();
        let slow = SlowRequest {
            time: request.time,
            total,
            client: (request.client_ip, request.client_port),
            server: (request.server_ip, request.server_port),
            verdict: request.verdict,
            frame: request.request_frame,
            what: request
                .summary
                .or(request.operation)
                .unwrap_or(protocol)
                .to_owned(),
            connection_id: request.connection_id,
            task: request.task,
        };
        let at = self.most.partition_point(|other| rank(other) <= own);
        self.most.insert(at, slow);
        self.most.truncate(super::STANDOUTS);
    }
}

/// The troubles of all servers, and the slowest requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Troubles {
    pub(super) servers: BTreeMap<super::ServerKey, Trouble>,
    pub(super) slowest: SlowestRequests,
    silence: Silence,
}

impl Troubles {
    /// Takes one request to a server that is told apart.
    pub(super) fn add(&mut self, request: &Request<'_>) {
        self.silence.add(request);
        let is_fine = matches!(request.status, Status::Ok | Status::None)
            && request.ended_by != EndedBy::Reset
            && !is_slow(request, Some(slow_from()))
            && !is_nameless(request);
        if !is_fine {
            let key = (request.server_ip, request.server_port);
            self.servers.entry(key).or_default().add(request);
        }
    }

    /// How many requests nobody can judge, of this kind.
    pub(super) fn unjudged(&self, why: Unjudged) -> u64 {
        let servers = self.servers.values();
        servers.map(|trouble| trouble.unjudged[why as usize]).sum()
    }

    /// Queries for names that were not answered, by server, in an observation that ended then.
    pub(super) fn silent(&self, end: Option<Timestamp>) -> BTreeMap<super::ServerKey, Lookups> {
        let mut silence = self.silence.clone();
        silence.settle(end);
        silence.servers
    }
}
