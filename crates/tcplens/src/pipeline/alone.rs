//! The way of packets on one thread: a stage after the other, some packets at a time, so that what the one fetched and made
//! is still in the cache for the next.

use std::sync::Arc;

use anyhow::Result;
use tcplens_capture::file::Status;
use tcplens_core::engine::{Lane, Work};
use tcplens_core::packet::{Batch, Lent};
use tcplens_core::shard::Owner;

use super::Reader;
use super::decode::{Decode, Kept};
use super::show::Show;
use crate::observe::Packets;

/// Most packets that are decoded, analysed and shown at once: their segments and records, 1 KB of a short connection, fit the
/// cache. On http10m 512 to 8192 of blocks of 1 MiB took the same time within 2 %, and more of them more memory.
const AT_ONCE: usize = 1024;

/// What is under way.
struct Alone<'a, 'p, 'v> {
    decode: &'a mut Decode,
    lanes: &'a mut [Lane],
    show: &'a mut Show<'v>,
    work: Vec<Work>,
    kept: Kept,
    owners: Vec<Vec<Owner>>,
    reader: &'a mut Reader<'p>,
}

/// Runs the whole source.
pub(super) fn run(
    reader: &mut Reader<'_>,
    decode: &mut Decode,
    lanes: &mut [Lane],
    show: &mut Show<'_>,
) -> Result<()> {
    Alone {
        work: lanes.iter().map(|_| Work::default()).collect(),
        owners: vec![Vec::new(); lanes.len()],
        kept: Kept::default(),
        decode,
        lanes,
        show,
        reader,
    }
    .run()
}

impl Alone<'_, '_, '_> {
    fn run(mut self) -> Result<()> {
        let mut batch = Arc::new(Batch::default());
        loop {
            // Nobody else has it any more.
            match self.reader.next(Arc::make_mut(&mut batch))? {
                Status::End => return Ok(()),
                Status::Idle => {
                    self.show.idle();
                    self.show();
                }
                Status::Packets => self.batch(&batch),
            }
            if !self.decode.gate.goes_on()? || self.show.end.is_some() {
                return Ok(());
            }
        }
    }

    fn batch(&mut self, batch: &Arc<Batch>) {
        let lent = batch.lend();
        self.show
            .begin(lent.packets.first().map(|packet| packet.time));
        // A view that looks at packets has all of a batch at once.
        let is_kept = self.show.packets != Packets::None;
        let parts = if is_kept {
            1
        } else {
            lent.packets.len().div_ceil(AT_ONCE)
        };
        // As many in each: a small rest would cost what a whole part does.
        let size = lent.packets.len().div_ceil(parts.max(1));
        for packets in lent.packets.chunks(size.max(1)) {
            self.analyse(Lent { packets, ..lent });
            if is_kept {
                self.kept.batch = Some(Arc::clone(batch));
            }
            self.show();
            self.kept.clear();
        }
    }

    fn analyse(&mut self, lent: Lent<'_>) {
        self.decode.batch(&lent, &mut self.work, &mut self.kept);
        let lanes = self.lanes.iter_mut().zip(&mut self.work);
        for ((lane, work), owners) in lanes.zip(&mut self.owners) {
            match self.show.packets {
                Packets::Owned => lane.run_and_tell(work, lent.bytes, owners),
                Packets::None | Packets::Plain => lane.run(work, lent.bytes),
            }
            work.clear();
        }
    }

    /// Shows what is final.
    fn show(&mut self) {
        let (clock, watermark) = (self.decode.front.clock, self.decode.front.watermark());
        for lane in self.lanes.iter_mut() {
            lane.advance(clock);
        }
        let records = self.lanes.iter_mut().map(|lane| &mut lane.records);
        match self.show.packets {
            Packets::None => {
                self.show.records(records, watermark);
                self.show.clock(clock);
            }
            Packets::Plain | Packets::Owned => self.show.packets_and_records(
                &mut self.kept,
                &mut self.owners,
                records,
                (watermark, clock),
            ),
        }
        let records = self.lanes.iter_mut().map(|lane| &mut lane.records);
        self.show.merge.give_back(records);
    }
}
