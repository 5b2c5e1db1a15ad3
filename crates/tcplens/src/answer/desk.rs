//! The desk: owns what was counted, answers from it, and feeds the streams. Never waits: who asks too much at once asks
//! again, who reads too slowly misses records, and both are counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tcplens_core::batch::AnyRecord;
use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::pending::Pending;
use tcplens_core::record::{Health, Vantage};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::anomaly::Present;
use tcplens_core::view::{Metrics, Running, TcpeekTotals};
use tcplens_output::tcpeek::PcapCounts;
use tcplens_output::tcpkit::{TcpkitExtra, TcpkitShape};
use tcplens_output::{Jsonl, prometheus, running, tcpeek, tcpkit};

use super::conversation::error;
use super::interfaces::InterfaceDrops;
use super::page::{LivePage, Observed};
use super::server::Room;
use super::streams::{STREAMS, Streams};
use super::{Asked, Question, text};

/// Most names that baselines are kept for. Chosen: far more collectors than one host has; each costs 48 bytes per filter.
pub(super) const NAMES: usize = 64;
/// Most questions of one round: the rest waits for the next, so that asking does not keep the run from its records.
const ROUND: usize = 64;

/// How long questions gather after some were answered: all that ask for the same get one answer, so that asking all the time
/// costs no more than asking forty times a second.
const GATHERING: Duration = Duration::from_millis(25);

/// What is counted, and what of it is known beforehand.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeskSettings {
    /// tcpeek's filters, in the order given.
    pub filters: Vec<HandshakeFilter>,
    /// Whether it is known which addresses are this host's: then there are `RX` and `TX`, else `all`.
    pub is_local_known: bool,
    /// Server ports that the user named: single ones have a row of statistics also without requests.
    pub ports: Vec<(u16, u16)>,
    /// What takes at least so long is slow.
    pub slow_from: Option<Span>,
    /// When counting began.
    pub since: Timestamp,
    /// The interfaces that are captured on, if they are in this network namespace; `any` is all of them.
    pub interfaces: Vec<String>,
    /// What is observed, for the page.
    pub observed: Observed,
}

/// Who may ask beside clients of statistics and of the socket.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Whoever wants metrics.
    pub(super) is_measured: bool,
    /// Browsers: where those are counted who were turned away.
    pub(super) browsers: Option<Arc<Room>>,
}

/// What was counted so far, and who wants to know.
pub(crate) struct Desk {
    asked: Receiver<Asked>,
    running: Running,
    /// Where metrics are asked for.
    metrics: Option<Box<Metrics>>,
    /// Where the page is.
    page: Option<Box<LivePage>>,
    browsers: Option<Arc<Room>>,
    streams: Streams,
    /// tcpeek's numbers when a name last asked.
    baselines: BTreeMap<String, (TcpeekTotals, PcapCounts)>,
    ports: Vec<(u16, u16)>,
    since: Timestamp,
    interface_drops: InterfaceDrops,
    /// Of the servers: where those are counted who were turned away.
    rooms: Vec<Arc<Room>>,
    refused_streams: u64,
    refused_names: u64,
    /// When questions were answered last.
    answered: Option<Instant>,
}

impl Desk {
    pub(super) fn new(
        settings: DeskSettings,
        asked: Receiver<Asked>,
        rooms: Vec<Arc<Room>>,
        others: Others,
    ) -> Desk {
        let DeskSettings {
            filters,
            is_local_known,
            ports,
            slow_from,
            since,
            interfaces,
            observed,
        } = settings;
        let Others {
            is_measured,
            browsers,
        } = others;
        Desk {
            asked,
            running: Running::new(filters, is_local_known, slow_from),
            metrics: is_measured.then(Box::default),
            page: browsers
                .is_some()
                .then(|| Box::new(LivePage::new(observed, since))),
            browsers,
            streams: Streams::default(),
            baselines: BTreeMap::new(),
            ports,
            since,
            interface_drops: InterfaceDrops::new(interfaces),
            rooms,
            refused_streams: 0,
            refused_names: 0,
            answered: None,
        }
    }

    /// Counts a record, and passes it on.
    pub(crate) fn record(&mut self, record: AnyRecord<'_>) {
        if let Some(metrics) = &mut self.metrics {
            metrics.record(record);
        }
        if let Some(page) = &mut self.page {
            page.record(record);
        }
        // Without a socket nobody can ask for more.
        if self.rooms.is_empty() {
            return;
        }
        self.running.add(record);
        self.streams.record(record);
    }

    /// What is abnormal, as it is now.
    pub(crate) fn abnormal(&mut self, present: Present) {
        if let Some(metrics) = &mut self.metrics {
            metrics.abnormal(present);
        }
    }

    /// Answers whoever asked since the last time, and sends streams on. Called after every batch, at least ten times a second;
    /// `now` is only called where somebody asked.
    pub(crate) fn serve(&mut self, now: impl Fn() -> (Health, Pending)) {
        if self.answered.is_none_or(|at| at.elapsed() >= GATHERING) {
            self.answer_all(now);
        }
        self.streams.flush();
    }

    /// The end of the run: answers once more and closes the streams, whose readers still get what waits for them.
    pub(crate) fn close(mut self, now: impl Fn() -> (Health, Pending)) {
        if let Some(page) = &mut self.page {
            page.end();
        }
        self.answer_all(now);
        self.streams.flush();
    }

    fn answer_all(&mut self, now: impl Fn() -> (Health, Pending)) {
        let mut answers = Answers {
            now: None,
            given: Vec::new(),
        };
        for _ in 0..ROUND {
            let Ok(Asked { question, reply }) = self.asked.try_recv() else {
                break;
            };
            self.answered = Some(Instant::now());
            if let Question::Records(kinds) = question {
                let refusal = reply.clone();
                if !self.streams.add(kinds, reply) {
                    self.refused_streams += 1;
                    let text = format!("{STREAMS} streams are open already; ask again later");
                    // Its first chunk, for which there is room; then there are no more.
                    let _ = refusal.try_send(error(&text).into_bytes());
                }
                continue;
            }
            let answer = match answers.given.iter().find(|(known, _)| *known == question) {
                Some((_, answer)) => answer.clone(),
                None => {
                    let now = answers.now.get_or_insert_with(|| {
                        let (mut health, pending) = now();
                        self.complete(&mut health);
                        (health, pending)
                    });
                    let answer = self.answer(&question, now).into_bytes();
                    if !matches!(question, Question::TotalsSince(_)) {
                        answers.given.push((question, answer.clone()));
                    }
                    answer
                }
            };
            // There is room for it; who asked may be gone.
            let _ = reply.try_send(answer);
        }
    }

    /// Records that could not be passed on, by sink.
    pub(crate) fn dropped(&self) -> Vec<(&'static str, u64)> {
        let dropped = [("socket", self.streams.dropped)];
        dropped.into_iter().filter(|(_, n)| *n > 0).collect()
    }

    /// Askers that were turned away at a bound, by bound.
    pub(crate) fn refused(&self) -> Vec<(&'static str, u64)> {
        let rooms = self.rooms.iter().chain(&self.browsers);
        let rooms = rooms.map(|room| (room.bound, room.refused()));
        let own = [
            ("socket_streams", self.refused_streams),
            ("socket_names", self.refused_names),
        ];
        rooms.chain(own).filter(|(_, n)| *n > 0).collect()
    }

    /// Adds to a `health` what it does not know: what was lost on the way to whoever asks.
    pub(crate) fn complete(&self, health: &mut Health) {
        health.records_dropped.extend(self.dropped());
        health.limit_hits.extend(self.refused());
    }

    /// The answer, with a newline at its end.
    fn answer(&mut self, question: &Question, (health, pending): &(Health, Pending)) -> String {
        // The kernel's view tells of attempts when they are over: none that is pending is known there.
        let pending = Some(pending).filter(|_| health.vantage != Vantage::Kernel);
        let mut answer = match question {
            Question::Stats(shape) => self.stats(*shape, health),
            Question::Totals => {
                let totals = self.running.attempts.tcpeek(None);
                tcpeek::document(&totals, self.pcap(health))
            }
            Question::TotalsSince(name) => self.totals_since(name, self.pcap(health)),
            Question::Summary => running::document(&self.running, health, pending, self.since),
            Question::SummaryText => text::document(&self.running, health, pending, self.since),
            Question::Health => {
                let mut jsonl = Jsonl::new();
                jsonl.encode(health);
                return String::from_utf8_lossy(jsonl.bytes()).into_owned();
            }
            Question::Metrics => match &mut self.metrics {
                Some(metrics) => {
                    metrics.observe(health);
                    if let Some(pending) = pending {
                        metrics.pending(pending);
                    }
                    prometheus::page(metrics)
                }
                None => String::new(),
            },
            Question::Page => match &mut self.page {
                Some(page) => page.document(health),
                None => String::new(),
            },
            Question::PageSince(known) => match &mut self.page {
                Some(page) => page.event(*known, health),
                None => String::new(),
            },
            Question::Records(_) => String::new(),
        };
        if !answer.ends_with('\n') {
            answer.push('\n');
        }
        answer
    }

    fn pcap(&self, health: &Health) -> PcapCounts {
        PcapCounts {
            recv: health.packets,
            drop: health.dropped(),
            ifdrop: self.interface_drops.since_begin(),
        }
    }

    fn stats(&self, shape: TcpkitShape, health: &Health) -> String {
        let extra = TcpkitExtra {
            ports: self.ports.clone(),
            drops: health.dropped(),
            packets: Some(self.running.connections.request_segments),
            since: Some(self.since),
        };
        tcpkit::document(&self.running.requests, shape, &extra)
    }

    /// tcpeek's numbers since this name last asked, from now on since now.
    fn totals_since(&mut self, name: &str, pcap: PcapCounts) -> String {
        let attempts = &self.running.attempts;
        let before = self.baselines.get(name);
        if before.is_none() && self.baselines.len() >= NAMES {
            self.refused_names += 1;
            return error(&format!(
                "{NAMES} names ask for what is new already; use one of them, or GET"
            ));
        }
        let document = tcpeek::document(
            &attempts.tcpeek(before.map(|(totals, _)| totals)),
            before.map_or(pcap, |(_, earlier)| pcap.since(*earlier)),
        );
        self.baselines
            .insert(name.to_owned(), (attempts.totals(), pcap));
        document
    }
}

#[cfg(test)]
impl Desk {
    /// How many streams there are.
    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether records wait for a reader with room for them.
    pub(super) fn owes(&self) -> bool {
        self.streams.owes()
    }
}

/// What one round needs only once, whoever asks.
struct Answers {
    now: Option<(Health, Pending)>,
    given: Vec<(Question, Vec<u8>)>,
}
