//! `--metrics`: counts what the loop finds, and hands the page to who asks for it. The server is `answer::http`, which waits for
//! nobody; questions are answered while the loop waits.

use std::fmt::{self, Display, Formatter};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tcplens_core::record::{Health, Socket, Word};
use tcplens_core::socket::message::state::LISTEN;
use tcplens_core::socket::metrics::{AnswerError, Family, Place, Sample, SocketMetrics};
use tcplens_core::socket::{Ended as Why, What};
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::SinkEnd;
use tcplens_output::prometheus::sockets;

use super::{ArchiveCounts, Consumer, Ended, Polled, Snapshot};
use crate::answer::Asked;
use crate::answer::http::Http;

/// Questions that may wait: as many as the server has clients.
const QUESTIONS: usize = 16;
/// How often all sockets are counted anew. Chosen: no monitoring system asks more often; 50,000 take some ms.
const CENSUS: Duration = Duration::from_secs(5);
/// How often rates are made.
const RATES: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct MetricsView {
    metrics: Box<SocketMetrics>,
    asked: Receiver<Asked>,
    /// Serves until it is dropped, where nobody else does.
    http: Option<(Http, SocketAddr)>,
    /// When all sockets were looked at last.
    polled: Option<Timestamp>,
    /// When they were counted last.
    counted: Option<Instant>,
    rated: Instant,
    /// Of the archive beside, if there is one.
    written: Option<Arc<ArchiveCounts>>,
}

impl MetricsView {
    /// Begins to answer at `listener`.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(
        listener: TcpListener,
        written: Option<Arc<ArchiveCounts>>,
    ) -> Result<MetricsView> {
        let failed = "cannot answer at --metrics";
        let (desk, asked) = sync_channel(QUESTIONS);
        let address = listener.local_addr().context(failed)?;
        let http = Http::start(listener, vec![desk]).context(failed)?;
        Ok(MetricsView {
            http: Some((http, address)),
            ..MetricsView::asked(asked, written)
        })
    }

    /// For somebody else's page: a desk, and who is asked at it.
    pub(crate) fn desk() -> (SyncSender<Asked>, Receiver<Asked>) {
        sync_channel(QUESTIONS)
    }

    /// Answers what is asked there.
    pub(crate) fn asked(
        asked: Receiver<Asked>,
        written: Option<Arc<ArchiveCounts>>,
    ) -> MetricsView {
        MetricsView {
            metrics: Box::default(),
            asked,
            http: None,
            polled: None,
            counted: None,
            rated: Instant::now(),
            written,
        }
    }

    fn census(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        self.metrics.observe(&polled.counts.health());
        let mut census = self.metrics.census();
        let world = &mut *polled.world;
        for entry in polled.tracker.entries() {
            let message = entry.message();
            if !world.has_filter() {
                census.socket(message.state(), world.place(message));
                continue;
            }
            world.socket(entry.last_seen, message, None, Some(entry), |record| {
                census.socket(message.state(), place(record));
                Ok(())
            })?;
        }
        for &(at, queue) in world.queues.iter().flatten() {
            census.socket(LISTEN, None);
            census.listener(at, queue);
        }
        for (_, message) in polled.others() {
            // These are counted with their queues.
            if message.state() != LISTEN {
                census.socket(message.state(), None);
            }
        }
        Ok(())
    }

    fn answer(&mut self) {
        for _ in 0..QUESTIONS {
            // Http asks for nothing but the page.
            let Ok(Asked { reply, .. }) = self.asked.try_recv() else {
                return;
            };
            self.metrics.archive = self.written.as_ref().map(|counts| counts.totals());
            // There is room for it; who asked may be gone.
            let _ = reply.try_send(sockets::page(&self.metrics).into_bytes());
        }
    }
}

/// Whose connection it is; `None`: it is none.
fn place(record: &Socket<'_>) -> Option<Place> {
    // Of a connection that was taken from its socket the other end's address is left.
    let server = match (record.server_ip, record.server_port) {
        (Some(ip), Some(port)) => (ip, port),
        _ => (record.remote_ip?, 0),
    };
    Some(Place {
        server,
        is_server: server == (record.local_ip, record.local_port),
    })
}

impl Consumer for MetricsView {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SinkEnd> {
        let (at, seen) = (snapshot.at, snapshot.seen);
        self.metrics.snapshot(snapshot.message);
        let Some(place) = snapshot.record.and_then(place) else {
            return Ok(());
        };
        let now = Sample::of(snapshot.message);
        match seen.what {
            What::New if self.polled.is_none() => self.metrics.found(at, place),
            What::New => self.metrics.opened(at, place, Some(&now)),
            What::Same | What::Changed(_) => {
                let before = seen.counted.unwrap_or(now);
                self.metrics.changed(at, place, &before, &now);
            }
        }
        Ok(())
    }

    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        let (end, summary) = (ended.end, ended.summary);
        let (Some(place), true) = (place(ended.record), end.ended != Why::Open) else {
            return Ok(());
        };
        let before = (end.entry.polls > 0).then(|| end.entry.counted());
        if before.is_none() {
            self.metrics.opened(end.at, place, None);
        }
        let last = Sample::of(end.message);
        let last = Sample {
            received_bytes: summary.received_bytes.or(last.received_bytes),
            ..last
        };
        let reason = summary.close.word().unwrap_or("unknown");
        let both = (before.as_ref(), Some(&last));
        self.metrics.ended(end.at, place, both, reason);
        Ok(())
    }

    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        let interval = self.polled.and_then(|last| polled.at.since(last));
        if let Some(interval) = interval {
            self.metrics.interval(interval);
        }
        self.polled = Some(polled.at);
        self.metrics.cache(polled.tracker.len() as u64);
        if self.counted.is_none_or(|at| at.elapsed() >= CENSUS) {
            self.counted = Some(Instant::now());
            self.census(polled)?;
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        let elapsed = self.rated.elapsed();
        if elapsed >= RATES {
            self.rated = Instant::now();
            let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            self.metrics.rates(Span::from_ns(ns));
        }
        self.answer();
        Ok(())
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        self.metrics.observe(health);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.answer();
        Ok(())
    }

    fn dumped(&mut self, family: Family, took: Span, sockets: u64) {
        self.metrics.polled(family, took, sockets);
    }

    fn not_whole(&mut self, error: AnswerError) {
        self.metrics.error(error);
    }
}

impl Display for MetricsView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.http {
            Some((_, address)) => write!(f, "answering at http://{address}/metrics"),
            None => f.write_str("answering with others' metrics"),
        }
    }
}
