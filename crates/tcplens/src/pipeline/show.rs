//! Records in their order, and packets among them where a view wants to see them.

use std::sync::Arc;

use tcplens_core::batch::{AnyRecord, Moment, Place, Records};
use tcplens_core::engine::{Lane, Merge, steps};
use tcplens_core::kernel::Joins;
use tcplens_core::record::{Health, Protocol};
use tcplens_core::shard::{Owner, Settings};
use tcplens_core::time::Timestamp;
use tcplens_output::SinkEnd;

use super::decode::{Kept, KeptPacket};
use crate::answer::Desk;
use crate::commands::Wanted;
use crate::names::Known;
use crate::observe::{Packets, Plan, Seen, View};

/// Merge and view.
pub(super) struct Show<'v> {
    pub merge: Merge,
    pub view: &'v mut dyn View,
    /// What the view wants to see of packets.
    pub packets: Packets,
    /// Records by kind: handshakes, requests, connections.
    pub records: [u64; 3],
    /// Why the view took no more.
    pub end: Option<SinkEnd>,
    /// Counts records for whoever asks.
    pub desk: Option<Desk>,
    /// Takes note of names that records tell.
    names: Option<Naming>,
    /// Gives records of packets their sockets, where the kernel tells of these.
    pub joins: Option<Joins>,
    /// Records that are still to be shown; `None`: all.
    pub left: Option<u64>,
    /// Which of them are counted down.
    pub counted: Wanted,
    is_begun: bool,
}

/// Names, and what is wanted beside them.
struct Naming {
    known: Arc<Known>,
    settings: Settings,
}

impl Naming {
    /// Takes note of a record; whether nobody else wants it.
    fn takes(&self, record: AnyRecord<'_>) -> bool {
        let AnyRecord::Request(request) = record else {
            return false;
        };
        if request.row.protocol != Protocol::Dns {
            return false;
        }
        self.known.learn(record);
        let port = request.row.flow.ports[usize::from(1 - request.row.client)];
        !self.settings.wants_dns(port)
    }
}

impl<'v> Show<'v> {
    pub(super) fn new(view: &'v mut dyn View, plan: &Plan) -> Show<'v> {
        let names = plan.names.as_ref().map(|known| Naming {
            known: Arc::clone(known),
            settings: plan.settings.clone(),
        });
        Show {
            merge: Merge::default(),
            packets: view.packets(),
            view,
            records: [0; 3],
            end: None,
            desk: None,
            names,
            joins: None,
            left: None,
            counted: Wanted::default(),
            is_begun: false,
        }
    }

    pub(super) fn begin(&mut self, batch_start: Option<Timestamp>) {
        if let Some(at) = batch_start
            && !self.is_begun
        {
            self.is_begun = true;
            self.view.first_packet(at);
        }
    }

    /// Shows what is placed before `until`.
    pub(super) fn records<'r>(
        &mut self,
        batches: impl IntoIterator<Item = &'r mut Records>,
        until: Place,
    ) {
        let Show {
            merge,
            view,
            records,
            end,
            desk,
            names,
            joins,
            left,
            counted,
            ..
        } = self;
        merge.merge_placed(batches, until, |place, record| {
            if names.as_ref().is_some_and(|names| names.takes(record)) {
                return;
            }
            if let Some(left) = left {
                if *left == 0 {
                    return;
                }
                *left -= u64::from(counted.includes(record));
            }
            let stamped = joins.as_mut().and_then(|joins| joins.stamp(record));
            let record = match &stamped {
                Some(stamped) => stamped.of(record),
                None => record,
            };
            count(records, record);
            if let Some(desk) = desk
                && !record.is_joined()
            {
                desk.record(record);
            }
            if end.is_none() {
                let shown = view.clock(place.at.clock);
                *end = shown.and_then(|()| view.record(record)).err();
            }
        });
    }

    /// Time has gone on so far: nothing is shown any more of before.
    pub(super) fn clock(&mut self, at: Timestamp) {
        if self.end.is_none() && at != Timestamp::MAX {
            self.end = self.view.clock(at).err();
        }
        if let Some(news) = self.view.anomalies()
            && let Some(desk) = &mut self.desk
        {
            desk.abnormal(news.present);
        }
    }

    /// The same, with the packets among the records: each where it belongs.
    pub(super) fn packets_and_records<'r>(
        &mut self,
        kept: &mut Kept,
        owners: &mut [Vec<Owner>],
        batches: impl IntoIterator<Item = &'r mut Records>,
        (watermark, clock): (Place, Timestamp),
    ) {
        let Some(batch) = kept.batch.take() else {
            // A pause.
            self.records(batches, watermark);
            return;
        };
        let Show {
            merge,
            view,
            records,
            end,
            desk,
            names,
            ..
        } = self;
        // Each lane has them in the order of packets already, which the sort makes use of.
        let mut whose: Vec<Owner> = owners.iter_mut().flat_map(|lane| lane.drain(..)).collect();
        whose.sort_by_key(|owner| owner.frame);
        let mut whose = whose.iter().peekable();
        let mut packets = kept.packets.iter().peekable();
        let mut show = |view: &mut dyn View, packet: &KeptPacket| {
            let frame = packet.segment.frame;
            while whose.next_if(|owner| owner.frame < frame).is_some() {}
            let at = packet.segment.payload_at as usize;
            let payload = match &packet.payload {
                Some(range) => kept.payloads.get(range.clone()),
                None => (batch.bytes).get(at..at + packet.segment.payload_captured as usize),
            };
            view.clock(packet.segment.clock)?;
            view.packet(&Seen {
                transport: packet.transport,
                segment: &packet.segment,
                payload: payload.unwrap_or_default(),
                wire_length: packet.wire_length,
                interfaces: &batch.interfaces,
                owner: whose.next_if(|owner| owner.frame == frame),
            })
        };
        merge.merge_placed(batches, watermark, |place, record| {
            if names.as_ref().is_some_and(|names| names.takes(record)) {
                return;
            }
            count(records, record);
            if let Some(desk) = desk {
                desk.record(record);
            }
            while end.is_none()
                && let Some(packet) = packets.next_if(|packet| packet.moment() <= place.at)
            {
                *end = show(*view, packet).err();
            }
            if end.is_none() {
                let shown = view.clock(place.at.clock);
                *end = shown.and_then(|()| view.record(record)).err();
            }
        });
        for packet in packets {
            if end.is_none() {
                *end = show(*view, packet).err();
            }
        }
        if end.is_none() {
            *end = view.clock(clock).err();
        }
        kept.batch = Some(batch);
    }

    /// Whoever looks wants to know what there is so far.
    pub(super) fn summary(&mut self, health: &Health) {
        self.view.summary(health);
    }

    /// What was counted so far.
    pub(super) fn health(&mut self, health: &Health) {
        if self.end.is_none() {
            self.end = self.view.health(health).err();
        }
    }

    /// Files that are written may have been moved.
    pub(super) fn reopen(&mut self) {
        if self.end.is_none() {
            self.end = self.view.reopen().err();
        }
    }

    /// Nothing to read right now.
    pub(super) fn idle(&mut self) {
        if self.end.is_none() {
            self.end = self.view.idle().err();
        }
    }
}

fn count(records: &mut [u64; 3], record: AnyRecord<'_>) {
    records[match record {
        AnyRecord::Handshake(_) => 0,
        AnyRecord::Request(_) => 1,
        AnyRecord::Connection(_) => 2,
    }] += 1;
}

/// Steps of the end after which a queue is waited for: some 4096 connections, which are a few MiB.
const SETTLED: usize = 8;

/// Everything that is left when the input is over.
pub(super) fn finish(clock: Timestamp, lanes: &mut [Lane], show: &mut Show<'_>) {
    for lane in lanes.iter_mut() {
        lane.end(clock);
    }
    for (n, step) in steps(lanes).into_iter().enumerate() {
        for lane in lanes.iter_mut() {
            lane.end_until(step);
        }
        let until = Place {
            first_frame: step,
            ..Place::from(Moment::end(clock))
        };
        show.records(lanes.iter_mut().map(|lane| &mut lane.records), until);
        // What goes through a queue has time now.
        if n % SETTLED == SETTLED - 1 && show.end.is_none() {
            show.end = show.view.settle().err();
        }
    }
    show.records([], Place::LAST);
}
