//! `--otlp`: counts what a view is shown, too, and sends that and slow requests to an OpenTelemetry collector. Around any view, of
//! files and live; what is sent is made by `tcplens_output::otlp`, which also has the thread that sends it. A collector that is
//! slow, away or wrong is told of, and never holds up anything.
//!
//! Bounded: [`SPANS`] slow requests of each second; the others are counted, and are in the histograms all the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_capture::clock;
use tcplens_core::batch::AnyRecord;
use tcplens_core::pending::Pending;
use tcplens_core::record::{Finding, Health, Request, Vantage, Word};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Metrics;
use tcplens_core::view::requests::is_slow;
use tcplens_output::SinkEnd;
use tcplens_output::otlp::headers::{self, Header};
use tcplens_output::otlp::sender::{Sender, SenderSettings};
use tcplens_output::otlp::{Resource, metrics, spans};

use crate::cli::Collector;
use crate::observe::{Observed, Packets, Plan, Seen, View};
use crate::say::say;
use crate::store::{Feeder, this_host};

/// Slow requests of a second that are sent. Chosen: a trace is for somebody who looks at it.
const SPANS: u32 = 10;
/// What is slow where nobody says so. Chosen: what people begin to notice.
const SLOW: Span = Span::from_ns(100_000_000);
/// How long the end waits for a collector: of live packets, and of files, where nobody else waits.
const LAST_LIVE: Duration = Duration::from_secs(5);
const LAST: Duration = Duration::from_secs(10);
/// How often it is looked whether there is something to tell meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// The first wait before another try.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// What all programs with OpenTelemetry read.
const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// A collector that is sent to, later.
pub(crate) struct Otlp {
    sender: Sender,
    interval: Span,
    slow_from: Option<Span>,
}

impl Otlp {
    /// Reads what is read from files, while there may be privileges; `host`: what this one is called, if not as it calls itself.
    ///
    /// # Errors
    /// They cannot be read, or say something else.
    pub(crate) fn open(
        collector: &Collector,
        host: Option<&str>,
        vantage: Vantage,
    ) -> Result<Otlp> {
        let host = host.map_or_else(this_host, str::to_owned);
        let sender = Sender::new(SenderSettings {
            url: collector.url.clone(),
            headers: read_headers(collector)?,
            authorities: collector.ca.clone(),
            first_wait: FIRST_WAIT,
            resource: Resource {
                host,
                vantage: vantage.word().unwrap_or_default(),
            },
        })?;
        Ok(Otlp {
            sender,
            interval: collector.interval,
            slow_from: collector.slow_from,
        })
    }

    /// Shows `view` all that comes, and takes note of it.
    pub(crate) fn around<'v>(self, view: &'v mut dyn View, plan: &mut Plan) -> OtlpView<'v> {
        let own = self.interval;
        let of_view = plan.interval.replace(match plan.interval {
            Some(interval) => interval.min(own),
            None => own,
        });
        let tick = plan.interval.unwrap_or(own);
        let is_live = plan.live.is_some();
        OtlpView {
            view,
            sender: self.sender,
            slow_from: self.slow_from.or(plan.slow_from).unwrap_or(SLOW),
            metrics: Metrics::by_operation(),
            is_live,
            is_verbose: plan.is_verbose,
            own: Every::new(own, tick),
            of_view: of_view.map(|interval| Every::new(interval, tick)),
            since: None,
            clock: Timestamp::MIN,
            second: (i64::MIN, 0),
            skipped: 0,
        }
    }
}

/// The file's headers, or those of the environment.
fn read_headers(collector: &Collector) -> Result<Vec<Header>> {
    if let Some(path) = &collector.headers {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the headers for --otlp from {name}"))?;
        return headers::of_file(&text)
            .map_err(|why| anyhow::anyhow!("cannot use the headers in {name}: {why}"));
    }
    match std::env::var(VARIABLE) {
        Ok(text) => headers::of_variable(&text)
            .map_err(|why| anyhow::anyhow!("cannot use what {VARIABLE} says: {why}")),
        // Not there, or no text, which no header can be.
        Err(_) => Ok(Vec::new()),
    }
}

/// A view, and a collector that is told of what it is shown.
pub(crate) struct OtlpView<'v> {
    view: &'v mut dyn View,
    sender: Sender,
    slow_from: Span,
    metrics: Metrics,
    is_live: bool,
    is_verbose: bool,
    own: Every,
    /// Where the view wants to know what was counted so far.
    of_view: Option<Every>,
    /// When the observation began.
    since: Option<Timestamp>,
    /// Of the engine.
    clock: Timestamp,
    /// Of the clock, and slow requests of it.
    second: (i64, u32),
    /// Slow requests beyond the bound.
    skipped: u64,
}

/// Something that is due every so often, where one looks every tick.
struct Every {
    interval: Duration,
    /// It is not put off by a tick for being early by less than half of one.
    slack: Duration,
    last: Instant,
}

impl Every {
    fn new(interval: Span, tick: Span) -> Every {
        Every {
            interval: Duration::from_nanos(interval.ns()),
            slack: Duration::from_nanos(tick.ns() / 2),
            last: Instant::now(),
        }
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.last.elapsed() + self.slack >= self.interval;
        if is_due {
            self.last = Instant::now();
        }
        is_due
    }

    /// Nobody looked for long.
    fn is_overdue(&self) -> bool {
        self.last.elapsed() >= self.interval * 2
    }
}

impl OtlpView<'_> {
    /// It as a view.
    pub(crate) fn as_view(&mut self) -> &mut dyn View {
        self
    }

    /// Sends what came last, and waits for it, though not for ever; and tells in `health` what did not arrive.
    fn finish(&mut self, health: &mut Health) {
        self.metrics.observe(health);
        self.send();
        let most = if self.is_live { LAST_LIVE } else { LAST };
        let until = Instant::now() + most;
        // Whoever waits is told what for.
        while !self.sender.wait(LOOK) && Instant::now() < until {
            self.tell();
        }
        let sent = self.sender.finish(Duration::ZERO);
        self.tell();
        if self.skipped > 0 {
            health.limit_hits.push(("otlp_spans", self.skipped));
        }
        if sent.dropped > 0 {
            health.records_dropped.push(("otlp", sent.dropped));
        }
        if self.is_verbose {
            say(format_args!(
                "sent by OTLP: metrics {} times, {} slow requests",
                sent.documents, sent.requests
            ));
        }
    }

    fn send(&mut self) {
        let now = match self.is_live {
            true => clock::now(),
            false => self.clock,
        };
        let since = self.since.unwrap_or(now);
        let of = self.sender.resource().clone();
        let document = metrics::document(&self.metrics, self.skipped, &of, since, now);
        self.sender.metrics(document);
    }

    fn slow(&mut self, request: &Request<'_>) {
        let second = self.clock.0.div_euclid(SECOND);
        if self.second.0 != second {
            self.second = (second, 0);
        }
        if self.second.1 >= SPANS {
            self.skipped += 1;
            return;
        }
        self.second.1 += 1;
        let spans = spans::spans(request, self.sender.resource());
        spans
            .into_iter()
            .for_each(|spans| self.sender.request(spans));
    }

    fn tell(&mut self) {
        self.sender.messages().iter().for_each(say);
    }
}

impl View for OtlpView<'_> {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        match record {
            // The kernel's records of the connection are told.
            _ if record.is_joined() => {}
            AnyRecord::Handshake(handshake) => self.metrics.handshake(handshake),
            AnyRecord::Connection(connection) => self.metrics.connection(connection),
            AnyRecord::Request(reference) => {
                let request = reference.record();
                self.metrics.request(&request);
                if is_slow(&request, Some(self.slow_from)) {
                    self.slow(&request);
                }
            }
        }
        self.view.record(record)
    }

    fn first_packet(&mut self, at: Timestamp) {
        if !self.is_live {
            self.since = Some(at);
        }
        self.view.first_packet(at);
    }

    fn packets(&self) -> Packets {
        self.view.packets()
    }

    fn packet(&mut self, packet: &Seen<'_>) -> Result<(), SinkEnd> {
        self.view.packet(packet)
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        self.clock = self.clock.max(at);
        self.view.clock(at)
    }

    fn pending(&mut self, pending: &Pending) {
        self.metrics.pending(pending);
        self.view.pending(pending);
    }

    fn started(&mut self) {
        if self.is_live {
            self.since = Some(clock::now());
        }
        self.view.started();
    }

    fn summary(&mut self, health: &Health) {
        self.view.summary(health);
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.view.reopen()
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        let dropped = self.sender.sent().dropped;
        let mut health = health.clone();
        if dropped > 0 {
            health.records_dropped.push(("otlp", dropped));
        }
        if self.own.is_due() {
            self.metrics.observe(&health);
            self.send();
        }
        self.tell();
        match self.of_view.as_mut().is_some_and(Every::is_due) {
            true => self.view.health(&health),
            false => Ok(()),
        }
    }

    fn findings(&mut self, health: &Health) -> Vec<Finding> {
        self.view.findings(health)
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.view.settle()
    }

    fn stored(&mut self, store: &Feeder) {
        self.view.stored(store);
    }

    fn ended(&mut self, observed: &mut Observed) {
        self.view.ended(observed);
        self.finish(&mut observed.health);
    }

    fn dropped(&self) -> u64 {
        self.view.dropped()
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        // A file that is followed: nobody tells what was counted.
        if !self.is_live && self.own.is_overdue() {
            self.own.last = Instant::now();
            self.send();
            self.tell();
        }
        self.view.idle()
    }
}
