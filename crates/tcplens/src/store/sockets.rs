//! The kernel's sockets in a store: every change, by the save rule, and every end, as records `socket`.

use tcplens_core::record::Health;
use tcplens_core::socket::Ended as Why;
use tcplens_output::SinkEnd;
use tcplens_output::store::StoreKind;

use super::Feeder;
use crate::sockets::{Consumer, Ended, Polled, Snapshot};

/// See the module.
pub(crate) struct StoreView {
    feeder: Feeder,
    /// There is one look only.
    is_once: bool,
    /// Why it can take nothing more.
    end: Option<SinkEnd>,
}

impl StoreView {
    /// To this store.
    pub(crate) fn new(feeder: Feeder, is_once: bool) -> StoreView {
        StoreView {
            feeder,
            is_once,
            end: None,
        }
    }

    /// To a store that somebody else has, who also says what became of it.
    pub(crate) fn beside(feeder: &Feeder) -> StoreView {
        StoreView::new(feeder.beside(), false)
    }
}

impl Consumer for StoreView {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) -> Result<(), SinkEnd> {
        match snapshot.record {
            Some(record) => self.feeder.other(StoreKind::Socket, record),
            None => Ok(()),
        }
    }

    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        // One that is open yet was told when it changed last.
        if self.is_once || ended.end.ended == Why::Open {
            return Ok(());
        }
        self.feeder.other(StoreKind::Socket, ended.record)
    }

    fn polled(&mut self, _: &mut Polled<'_>) -> Result<(), SinkEnd> {
        self.feeder.send()
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.feeder.send()
    }

    fn close(&mut self) {
        // Told when all is settled.
        self.end = self.feeder.settle().err();
    }

    fn health(&mut self, health: &Health) -> Result<(), SinkEnd> {
        match self.feeder.is_beside() {
            true => Ok(()),
            false => self.feeder.health(health),
        }
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        let finished = self.feeder.finish();
        self.end.take().map_or(finished, Err)
    }

    fn dropped(&self) -> u64 {
        match self.feeder.is_beside() {
            true => 0,
            false => self.feeder.counters().dropped,
        }
    }

    fn destination(&self) -> &'static str {
        "store"
    }

    fn limit_hits(&self) -> Vec<(&'static str, u64)> {
        match self.feeder.is_beside() {
            true => Vec::new(),
            false => self.feeder.counters().limit_hits,
        }
    }
}
