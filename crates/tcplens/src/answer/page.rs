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
/// And not for more than one part in so many of the time: with thousands of servers it takes a while, and the records wait.
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
}

impl LivePage {
    pub(super) fn new(observed: Observed, since: Timestamp) -> LivePage {
        LivePage {
            view: PageView::default(),
            encoder: Encoder::default(),
            observed,
            since,
            judge_at: None,
        }
    }

    pub(super) fn record(&mut self, record: AnyRecord<'_>) {
        self.view.add(record);
    }

    /// Everything, as a document.
    pub(super) fn document(&mut self, health: &Health) -> String {
        let (document, _) = self.encode(health, 0);
        document
    }

    /// What changed since what a browser knows, which is all if it knows another run, as an event.
    pub(super) fn event(&mut self, known: Known, health: &Health) -> String {
        // A revision that is yet to come was none of this run.
        let is_of_now = known.run == self.since.0 && known.revision < self.view.revision();
        let revision = if is_of_now { known.revision } else { 0 };
        let (document, revision) = self.encode(health, revision);
        format!("id: {}.{revision}\ndata: {document}\n\n", self.since.0)
    }

    fn encode(&mut self, health: &Health, since: u64) -> (String, u64) {
        let now = Instant::now();
        let findings = self.judge_at.is_none_or(|at| now >= at).then(|| {
            let findings = self.view.report().finish(health);
            let took = now.elapsed();
            self.judge_at = Some(now + JUDGING.max(took * SHARE));
            findings
        });
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
            .document(&mut self.view, findings.as_ref(), health, &about, since)
    }
}
