//! The page's data as one JSON document: what is wrong, rows of destinations, courses, slow requests, health. Numbers in arrays,
//! for there are many; what stands where is said where it is written, and js/model.js reads it in the same order. Not a contract: it
//! changes with the page, both are always of one version.
//!
//! For who looks all the time there is a document with only what changed since a revision: slices of time and slow requests know
//! theirs, and of rows and findings the text of the last document is kept.

use std::collections::{BTreeMap, BTreeSet};

use tcplens_core::record::{ConnectionId, Health, Outcome, Protocol, Status, Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::page::{Course, Lane, SEATS, Slot, SlowTask, Task};
use tcplens_core::view::{Findings, PageView, Peer, RequestGroup, ServerKey};

use super::command;
use super::story::{self, Stories};
use crate::Jsonl;
use crate::human::Endpoint;
use crate::json::Json;

/// Most rows of destinations; the rest is one row. Chosen: more than anybody reads, and 60 KB.
const ROWS: usize = 500;

/// What was observed.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// The files or interfaces, as the user named them.
    pub sources: &'a [String],
    /// They are interfaces.
    pub is_live: bool,
    /// It is the kernel that told.
    pub is_kernel: bool,
    /// The expression that selects packets, as the user wrote it.
    pub filter: Option<&'a str>,
    /// The network namespace that they are in.
    pub netns: Option<&'a str>,
    /// Time of the first packet, or when counting began.
    pub first: Option<Timestamp>,
    /// What a run that goes on is known by: when counting began.
    pub run: Option<Timestamp>,
}

/// A text, and the revision at which it became what it is.
type Known = (String, u64);

/// Makes documents, and remembers what the last one said. At most 500 rows and one report's findings.
///
/// Rows are made by [`Encoder::look`], which walks all destinations; a document is made of those that there are.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    rows: BTreeMap<ServerKey, Known>,
    others: Known,
    /// The revision at which a destination lost its row last.
    left: u64,
    findings: Known,
    /// Lives of connections, by the finding that they are of, and as the page has them.
    story_of: BTreeMap<u64, ConnectionId>,
    stories: Option<String>,
}

impl Encoder {
    /// Documents have the lives of these connections, too.
    #[must_use]
    pub fn with_stories(self, stories: &Stories) -> Encoder {
        Encoder {
            story_of: stories.of_findings.clone(),
            stories: Some(stories.json()),
            ..self
        }
    }

    /// [`Encoder::look`] and [`Encoder::tell`].
    pub fn document(
        &mut self,
        page: &mut PageView,
        findings: Option<&Findings>,
        health: &Health,
        about: &About<'_>,
        since: u64,
    ) -> (String, u64) {
        self.look(page);
        self.tell(page, findings, health, about, since)
    }

    /// What changed since a revision, which is all for 0; the revision that it says is that until which the reader knows all
    /// then. Without `findings` they are as they were, and rows are as they were when last looked at.
    pub fn tell(
        &mut self,
        page: &mut PageView,
        findings: Option<&Findings>,
        health: &Health,
        about: &About<'_>,
        since: u64,
    ) -> (String, u64) {
        let revision = page.revision();
        let mut json = Json::new();
        json.open('{')
            .name("revision")
            .number(revision)
            .name("since")
            .number(since);
        head(&mut json, page, health, about);
        if let Some(findings) = findings {
            let text = found(findings, &self.story_of, about);
            renew(&mut self.findings, text, revision);
        }
        if self.findings.1 > since {
            json.name("findings").raw(&self.findings.0);
        }
        self.rows(&mut json, since);
        courses(&mut json, page, since);
        slow(&mut json, page, since);
        if let Some(stories) = self.stories.as_ref().filter(|_| since == 0) {
            json.name("stories").raw(stories);
        }
        json.name("health").raw(&of_health(page, health));
        json.close('}');
        (json.into_string(), page.told())
    }

    /// The rows that changed, the names of all if some have none any longer, and what the rest is.
    fn rows(&self, json: &mut Json, since: u64) {
        json.name("rows").open('[');
        for (row, _) in self.rows.values().filter(|(_, changed)| *changed > since) {
            json.raw(row);
        }
        json.close(']');
        // Who knows nothing has no row to delete.
        if since > 0 && self.left > since {
            json.name("shown").open('[');
            for key in self.rows.keys() {
                json.string(&Endpoint(key.0, key.1).to_string());
            }
            json.close(']');
        }
        json.name("others").raw(match self.others.0.as_str() {
            "" => "[0,0,0,0,0]",
            others => others,
        });
    }

    /// Makes a row for each destination that matters, and one for the rest. Walks all destinations.
    pub fn look(&mut self, page: &PageView) {
        let (report, revision) = (page.report(), page.revision());
        let mut keys: BTreeMap<ServerKey, u64> = report
            .servers()
            .iter()
            .map(|(key, peer)| (key, weight_of(peer)))
            .collect();
        for (key, group) in report.requests().servers() {
            let troubles = group.status(Status::Error) + group.unanswered();
            *keys.entry(key).or_default() += group.requests() + 10 * troubles;
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        if keys.len() > ROWS {
            // Those with a course stay, for the plots are chosen by their rows.
            let seats = page.destinations();
            keys.sort_by_key(|&(key, weight)| (!seats.has(key), std::cmp::Reverse(weight), key));
        }
        let (shown, rest) = keys.split_at(keys.len().min(ROWS));
        let own: BTreeSet<ServerKey> = shown.iter().map(|&(key, _)| key).collect();
        let before = self.rows.len();
        self.rows.retain(|key, _| own.contains(key));
        if self.rows.len() < before {
            self.left = revision;
        }
        for &(key, _) in shown {
            let known = self.rows.entry(key).or_default();
            renew(known, row(page, key), revision);
        }
        let peers = report.servers();
        let mut attempts = peers.other().outcomes.iter().sum::<u64>();
        let mut connections = peers.other().connections;
        for (_, peer) in rest
            .iter()
            .filter_map(|&(key, _)| Some((key, peers.get(key)?)))
        {
            attempts += peer.outcomes.iter().sum::<u64>();
            connections += peer.connections;
        }
        let mut requests = report.requests().other_servers().requests();
        if !rest.is_empty() {
            let groups = report
                .requests()
                .servers()
                .filter(|(key, _)| !own.contains(key));
            requests += groups.map(|(_, group)| group.requests()).sum::<u64>();
        }
        // Destinations, and of those that were not told apart: requests, attempts, connections.
        let mut others = Json::new();
        others
            .open('[')
            .number(keys.len() as u64)
            .number(rest.len() as u64);
        others
            .number(requests)
            .number(attempts)
            .number(connections)
            .close(']');
        renew(&mut self.others, others.into_string(), revision);
    }
}

fn renew(known: &mut Known, text: String, revision: u64) {
    if known.0 != text {
        *known = (text, revision);
    }
}

fn weight_of(peer: &Peer) -> u64 {
    let established = peer.outcome(Outcome::Established);
    peer.connections + established + 10 * (peer.decided() - established.min(peer.decided()))
}

fn head(json: &mut Json, page: &PageView, health: &Health, about: &About<'_>) {
    let report = page.report();
    json.name("version").string(env!("CARGO_PKG_VERSION"));
    if let Some(run) = about.run {
        // More digits than a number of JavaScript has.
        json.name("run").string(&run.0.to_string());
    }
    json.name("sources").open('[');
    about.sources.iter().for_each(|source| {
        json.string(source);
    });
    json.close(']');
    json.name("live")
        .flag(about.is_live)
        .name("kernel")
        .flag(about.is_kernel);
    if let Some(filter) = about.filter {
        json.name("filter").string(filter);
    }
    // Microseconds since 1970 fit a number of JavaScript until 2255.
    // The kernel tells of what has begun before the first that it told.
    let told = about.first.filter(|_| !about.is_kernel);
    let first = told.or(report.first());
    for (name, at) in [("first", first), ("last", health.time)] {
        if let Some(at) = at {
            json.name(name).integer(at.0.div_euclid(1000));
        }
    }
    let totals = report.totals();
    json.name("packets")
        .number(health.packets)
        .name("bytes")
        .number(health.bytes);
    json.name("events").or_null(health.kernel_events);
    json.name("attempts").number(report.handshakes().attempts());
    json.name("connections").number(totals.connections);
    json.name("requests")
        .number(report.requests().all().requests());
    json.name("servers").number(report.server_count());
    json.name("clients").number(report.clients().len() as u64);
}

fn found(findings: &Findings, story_of: &BTreeMap<u64, ConnectionId>, about: &About<'_>) -> String {
    let mut json = Json::new();
    json.open('{').name("list").open('[');
    for finding in &findings.findings {
        json.open('{')
            .name("rank")
            .number(finding.rank)
            .name("code")
            .string(finding.code);
        json.name("harm").number(finding.harm);
        json.name("suspect")
            .string(finding.suspect.word().unwrap_or_default());
        json.name("text")
            .string(finding.text.as_deref().unwrap_or_default());
        json.name("evidence")
            .string(finding.evidence.as_deref().unwrap_or_default());
        json.name("show").string(&command::line(finding, about));
        json.name("frames").open('[');
        for &frame in &finding.frames {
            json.number(frame);
        }
        json.close(']');
        if let Some(&id) = story_of.get(&finding.rank) {
            json.name("story").string(&story::id(id));
        }
        json.close('}');
    }
    json.close(']').name("more").number(findings.left_out);
    json.name("checked").string(&findings.checked);
    if let Some(below) = &findings.below {
        json.name("below").string(below);
    }
    json.close('}');
    json.into_string()
}

/// Of one destination: name, protocols, requests, errors, unanswered; p50, p95, p99 and longest of these in ns; attempts,
/// failed, not yet known; p50 and p99 of what it took to connect; connections, bytes from and to it; segments on the path and
/// lost there; mean round trip in ns; the time budget in ns.
fn row(page: &PageView, key: ServerKey) -> String {
    let report = page.report();
    let (group, peer) = (report.requests().server(key), report.servers().get(key));
    let mut json = Json::new();
    json.open('[').string(&Endpoint(key.0, key.1).to_string());
    let protocols: Vec<_> = group.iter().flat_map(|group| group.protocols()).collect();
    let words = protocols
        .into_iter()
        .filter_map(Protocol::word)
        .collect::<Vec<_>>();
    json.string(&words.join(" "));
    let requests = |of: fn(&RequestGroup) -> u64| group.map_or(0, of);
    json.number(requests(RequestGroup::requests));
    json.number(requests(|group| group.status(Status::Error)));
    json.number(requests(RequestGroup::unanswered));
    for per_mille in [500, 950, 990, 1000] {
        json.or_null(group.and_then(|group| ns(group.total.quantile(per_mille))));
    }
    let attempts = peer.map_or(0, |peer| peer.outcomes.iter().sum());
    let failed = peer.map_or(0, |peer| {
        peer.decided() - peer.outcome(Outcome::Established)
    });
    json.number(attempts)
        .number(failed)
        .number(peer.map_or(0, |peer| peer.undecided));
    for per_mille in [500, 990] {
        json.or_null(peer.and_then(|peer| ns(peer.handshake.quantile(per_mille))));
    }
    let counts = |of: fn(&Peer) -> u64| peer.map_or(0, of);
    json.number(counts(|peer| peer.connections));
    json.number(counts(|peer| peer.bytes_from))
        .number(counts(|peer| peer.bytes_to));
    json.number(counts(|peer| peer.leg.segments))
        .number(counts(|peer| peer.leg.lost()));
    json.or_null(peer.and_then(|peer| ns(peer.rtt_mean())));
    json.open('[');
    for part in group.map_or([0; Verdict::ALL.len()], |group| group.budget_ns) {
        json.number(part);
    }
    json.close(']').close(']');
    json.into_string()
}

fn ns(span: Option<Span>) -> Option<u64> {
    span.map(Span::ns)
}

/// All under `*`, each destination under its name, the rest under the empty one.
fn courses(json: &mut Json, page: &PageView, since: u64) {
    json.name("courses").open('{').name("*");
    course(json, page.all(), since, false);
    for (key, seat) in page.destinations().seats() {
        json.name(&Endpoint(key.0, key.1).to_string());
        course(json, &seat.course, since, seat.is_late);
    }
    json.name("");
    course(json, page.destinations().others(), since, false);
    json.close('}').name("seats").number(SEATS as u64);
}

/// Width of a slice in ms, whether all that was known of it is to be forgotten, whether it began late, records that no slice
/// holds, and the slices that changed.
fn course(json: &mut Json, course: &Course, since: u64, is_late: bool) {
    let is_new = course.is_new_since(since);
    json.open('[').integer(course.width_ns() / 1_000_000);
    json.number(u64::from(is_new))
        .number(u64::from(is_late))
        .number(course.beyond)
        .open('[');
    for (number, slot) in course
        .iter()
        .filter(|(_, slot)| is_new || slot.changed > since)
    {
        one(json, number, slot);
    }
    json.close(']').close(']');
}

/// Number, requests, errors, unanswered, bytes, retransmits, attempts not yet known; attempts by outcome; the time budget in µs;
/// counts of the cells of latency and of connecting, one cell after the other, where a negative number passes over so many. Zeros
/// at the end of a list are left out.
fn one(json: &mut Json, number: i64, slot: &Slot) {
    json.open('[').integer(number);
    let counts = [
        slot.requests,
        slot.errors,
        slot.unanswered,
        slot.bytes,
        slot.retransmits,
        slot.undecided,
    ];
    for count in counts {
        json.number(count);
    }
    list(json, &slot.outcomes);
    list(json, &slot.budget_ns.map(|ns| ns / 1000));
    for cells in [&slot.latency, &slot.connect] {
        json.open('[');
        let mut next = 0;
        for (cell, count) in cells.iter() {
            if cell > next {
                json.integer(i64::from(next) - i64::from(cell));
            }
            json.number(count);
            next = cell + 1;
        }
        json.close(']');
    }
    json.close(']');
}

fn list(json: &mut Json, numbers: &[u64]) {
    let length = numbers.iter().rposition(|&n| n > 0).map_or(0, |at| at + 1);
    json.open('[');
    for &number in numbers.iter().take(length) {
        json.number(number);
    }
    json.close(']');
}

/// The slowest requests all together if they changed, and of their connections those that did.
fn slow(json: &mut Json, page: &PageView, since: u64) {
    let slow = page.slow();
    json.name("on_purpose").number(slow.on_purpose);
    if slow.changed > since {
        let mut all: Vec<&SlowTask> = slow.iter().collect();
        all.sort_by_key(|slow| {
            (
                std::cmp::Reverse(slow.took),
                slow.time,
                slow.connection_id,
                slow.task,
            )
        });
        all.dedup_by_key(|slow| (slow.connection_id, slow.task));
        json.name("slow").open('[');
        all.into_iter().for_each(|task| slow_one(json, task));
        json.close(']');
    }
    json.name("lanes").open('{');
    for (id, one) in slow.lanes().filter(|(_, lane)| lane.changed > since) {
        json.name(&String::from_utf8_lossy(&id.text()));
        lane(json, one);
    }
    json.close('}');
}

/// T0 in µs, how long in ns, connection, task, server, protocol, verdict, status, bytes of request and response, retransmits, frame.
fn slow_one(json: &mut Json, slow: &SlowTask) {
    json.open('[')
        .integer(slow.time.0.div_euclid(1000))
        .number(slow.took.ns());
    json.string(&String::from_utf8_lossy(&slow.connection_id.text()))
        .number(slow.task);
    json.string(&Endpoint(slow.server.0, slow.server.1).to_string());
    json.string(slow.protocol.word().unwrap_or_default());
    json.string(slow.verdict.and_then(Word::word).unwrap_or_default());
    json.string(slow.status.word().unwrap_or_default());
    json.number(slow.bytes[0])
        .number(slow.bytes[1])
        .number(slow.retransmits)
        .or_null(slow.frame);
    json.close(']');
}

/// Client, server, T0 of the first in µs, and its requests.
fn lane(json: &mut Json, lane: &Lane) {
    let first = lane
        .tasks
        .iter()
        .map(|task| task.time)
        .min()
        .unwrap_or_default();
    json.open('[')
        .string(&Endpoint(lane.client.0, lane.client.1).to_string());
    json.string(&Endpoint(lane.server.0, lane.server.1).to_string());
    json.integer(first.0.div_euclid(1000)).open('[');
    let first = Timestamp(first.0.div_euclid(1000) * 1000);
    for task in &lane.tasks {
        task_one(json, task, first);
    }
    json.close(']').close(']');
}

/// Task, T0 after the first in ns, how long, T1 - T0, T2 - T1, T3 - T2, status, what, and the time budget in ns.
fn task_one(json: &mut Json, task: &Task, first: Timestamp) {
    json.open('[')
        .number(task.task)
        .number(task.time.since(first).map_or(0, Span::ns));
    json.or_null(ns(task.took));
    for stage in task.stages {
        json.or_null(ns(stage));
    }
    json.string(task.status.word().unwrap_or_default())
        .string(&task.what);
    if let Some(budget) = &task.budget {
        list(json, &budget.map(Span::ns));
    }
    json.close(']');
}

/// The record, with the bounds of the page and the report.
fn of_health(page: &PageView, health: &Health) -> String {
    let mut health = health.clone();
    health.limit_hits.extend(page.report().limit_hits());
    let mut jsonl = Jsonl::new();
    jsonl.encode(&health);
    String::from_utf8_lossy(jsonl.bytes()).trim_end().to_owned()
}
