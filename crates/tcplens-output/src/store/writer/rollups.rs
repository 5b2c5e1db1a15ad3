//! The rows of minutes of a writer: of live runs what each flush adds is in the journal, and what it comes to in memory until the
//! file ends; of capture files a row is written when its minute is over.

use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;

use super::StoreWriter;
use crate::sink::SinkEnd;
use crate::store::layout::StoreKind;
use crate::store::places::day_of;
use crate::store::slot::Slot;

impl StoreWriter {
    /// Live: what came since the last time goes to the journal, and waits.
    pub(super) fn flush_rollups(&mut self) {
        let mut rows = Vec::new();
        self.news
            .take_until(Timestamp::MAX, &mut |rollup| rows.push(rollup));
        for rollup in &rows {
            if self.sums.is_full() {
                // Of live runs nothing fails.
                let _ = self.finish_rollups();
            }
            if let Ok(n) = self.slot(StoreKind::Rollup, day_of(rollup.time)) {
                self.jsonl.clear();
                self.jsonl.encode_hosted(&self.settings.host, rollup);
                self.journal_line(n);
            }
            self.sums.add_rollup(rollup);
        }
    }

    /// Live: all that waits goes to files, which are completed. A minute that goes on has one more row later.
    pub(super) fn finish_rollups(&mut self) -> Result<(), SinkEnd> {
        let mut rows = Vec::new();
        self.sums
            .take_until(Timestamp::MAX, &mut |rollup| rows.push(rollup));
        for rollup in &rows {
            let is_it = |slot: &Slot| {
                slot.name.kind == StoreKind::Rollup && slot.name.day == day_of(rollup.time)
            };
            // Each has one since it was in the journal.
            if let Some(n) = self.slots.iter().position(is_it) {
                let slot = &mut self.slots[n];
                slot.rows += 1;
                if let Err(error) = slot.push(rollup) {
                    self.broken(n, &error)?;
                }
            }
        }
        while let Some(n) = self
            .slots
            .iter()
            .position(|slot| slot.name.kind == StoreKind::Rollup)
        {
            self.finish_slot(n)?;
        }
        Ok(())
    }

    /// Of capture files: the rows of minutes that are over.
    pub(super) fn give_rollups(&mut self, until: Timestamp) -> Result<(), SinkEnd> {
        let mut rows: Vec<Rollup> = Vec::new();
        self.news.take_until(until, &mut |rollup| rows.push(rollup));
        for rollup in &rows {
            self.put(StoreKind::Rollup, rollup.time, rollup)?;
        }
        Ok(())
    }
}
