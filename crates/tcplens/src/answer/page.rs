//! The page of a run that goes on: what it shows, counted record by record, and the documents and events that browsers get.

use std::time::{Duration, Instant};

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Health;
use tcplens_core::time::Timestamp;
use tcplens_core::view::PageView;
use tcplens_output::page::{About, Encoder};

use super::http::Known;

/// What is wrong is looked for so often at most.
const JUDGING: Duration = Duration::from_secs(2);
/// The rows of destinations are made so often at most, however many browsers ask: all of them get the same. Chosen: a little less
/// than the second after which a browser asks again, so that one alone always gets those of now.
const LOOKING: Duration = Duration::from_millis(900);
/// And neither for more than one part in so many of the time: with thousands of servers it takes a while, and the records wait.
const SHARE: u32 = 50;

/// What is observed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The interfaces, as the user named them.
    pub(crate) sources: Vec<String>,
    /// It is the kernel that tells.
    pub(crate) is_kernel: bool,
    /// The expression that selects packets.
    pub(crate) filter: Option<String>,
    /// The network namespace.
    pub(crate) netns: Option<String>,
}

/// See the module.
pub(super) struct LivePage {
    view: PageView,
    encoder: Encoder,
    observed: Observed,
    since: Timestamp,
    /// When to look again for what is wrong.
    judge_at: Option<Instant>,
    /// When to make rows again.
    look_at: Option<Instant>,
}

impl LivePage {
    pub(super) fn new(observed: Observed, since: Timestamp) -> LivePage {
        LivePage {
            view: PageView::default(),
            encoder: Encoder::default(),
            observed,
            since,
            judge_at: None,
            look_at: None,
        }
    }

    pub(super) fn record(&mut self, record: AnyRecord<'_>) {
        self.view.add(record);
    }

    /// The run ends: what is told from now on is as of now.
    pub(super) fn end(&mut self) {
        (self.judge_at, self.look_at) = (None, None);
    }

    /// Everything, as a document.
    pub(super) fn document(&mut self, health: &Health) -> String {
        let (document, _) = self.encode(health, 0, Instant::now());
        document
    }

    /// What changed since what a browser knows, which is all if it knows another run, as an event.
    pub(super) fn event(&mut self, known: Known, health: &Health) -> String {
        // A revision that is yet to come was none of this run.
        let is_of_now = known.run == self.since.0 && known.revision < self.view.revision();
        let revision = if is_of_now { known.revision } else { 0 };
        let (document, revision) = self.encode(health, revision, Instant::now());
        format!("id: {}.{revision}\ndata: {document}\n\n", self.since.0)
    }

    fn encode(&mut self, health: &Health, since: u64, now: Instant) -> (String, u64) {
        let begin = Instant::now();
        let findings = self.judge_at.is_none_or(|at| now >= at).then(|| {
            let findings = self.view.report().finish(health);
            let took = begin.elapsed();
            self.judge_at = Some(now + JUDGING.max(took * SHARE));
            findings
        });
        let begin = Instant::now();
        if self.look_at.is_none_or(|at| now >= at) {
            self.encoder.look(&self.view);
            let took = begin.elapsed();
            self.look_at = Some(now + LOOKING.max(took * SHARE));
        }
        let about = About {
            sources: &self.observed.sources,
            is_live: true,
            is_kernel: self.observed.is_kernel,
            filter: self.observed.filter.as_deref(),
            netns: self.observed.netns.as_deref(),
            first: Some(self.since),
            run: Some(self.since),
        };
        self.encoder
            .tell(&mut self.view, findings.as_ref(), health, &about, since)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::records::{START, handshake, health};
    use super::*;

    #[test]
    fn however_many_browsers_ask_rows_are_made_once_a_second_and_at_the_end() {
        let (mut page, begin) = (LivePage::new(Observed::default(), START), Instant::now());
        let attempt = handshake(1, "192.0.2.7", "10.0.0.1", 80);
        let mut tell = |is_end: bool, after: Duration| {
            page.record(AnyRecord::Handshake(&attempt));
            if is_end {
                page.end();
            }
            let (document, _) = page.encode(&health(), 0, begin + after);
            // The tenth of the row is how often it was tried.
            let (_, row) = document.split_once("\"rows\":[[").unwrap();
            row.split(',').nth(9).unwrap().to_owned()
        };
        assert_eq!(tell(false, Duration::ZERO), "1");
        for n in 0..20 {
            assert_eq!(tell(false, Duration::from_millis(n * 40)), "1");
        }
        let later = Duration::from_secs(3600);
        assert_eq!(tell(false, later), "22");
        assert_eq!(tell(false, later), "22");
        assert_eq!(tell(true, later), "24");
    }
}
