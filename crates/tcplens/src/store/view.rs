//! A view and a store beside it: every record goes to both.

use tcplens_core::batch::AnyRecord;
use tcplens_core::pending::Pending;
use tcplens_core::record::{Finding, Health};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;

use super::Feeder;
use crate::agent::anomalies::News;
use crate::observe::{Packets, Seen, View};

/// See the module.
pub(crate) struct Storing<'v> {
    /// Who else looks.
    pub view: &'v mut dyn View,
    /// The way to the store.
    pub feeder: Feeder,
}

impl View for Storing<'_> {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        // The kernel's records of the connection are kept.
        if !record.is_joined() {
            self.feeder.record(record)?;
        }
        self.view.record(record)
    }

    fn first_packet(&mut self, at: Timestamp) {
        self.view.first_packet(at);
    }

    fn packets(&self) -> Packets {
        self.view.packets()
    }

    fn packet(&mut self, packet: &Seen<'_>) -> Result<(), SinkEnd> {
        self.view.packet(packet)
    }

    fn clock(&mut self, at: Timestamp) -> Result<(), SinkEnd> {
        self.feeder.clock(at)?;
        self.view.clock(at)
    }

    fn pending(&mut self, pending: &Pending) {
        self.view.pending(pending);
    }

    fn started(&mut self) {
        self.view.started();
    }

    fn summary(&mut self, health: &Health) {
        self.view.summary(health);
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.view.reopen()
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        self.feeder.health(health)?;
        self.view.health(health)
    }

    fn findings(&mut self, health: &Health) -> Vec<Finding> {
        self.view.findings(health)
    }

    fn anomalies(&mut self) -> Option<News> {
        let news = self.view.anomalies()?;
        for finding in &news.findings {
            // A store that takes no more says so with the next record.
            let _ = self.feeder.finding(finding);
        }
        Some(news)
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.view.settle()
    }

    fn dropped(&self) -> u64 {
        self.view.dropped()
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.feeder.send()?;
        self.view.idle()
    }
}
