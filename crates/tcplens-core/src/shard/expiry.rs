//! What time does to a shard: idle expiry, attempts that are given up, connections that linger and go, parts on request;
//! and what a full table does. All of it happens at ticks of the engine clock, in their order, however late it is looked
//! at: the records do not depend on when that is.

use std::cmp::Reverse;

use super::{Lingering, Shard, moment};
use crate::analyze;
use crate::batch::{Kind, Moment, Place as Rank, Records};
use crate::flow::table::Place;
use crate::flow::{Flow, Phase};
use crate::record::Close;
use crate::time::Timestamp;
use crate::wire::segment::Segment;

/// Expiry is looked at once per tick: 2^28 ns, 0.27 s. A timeout ends at the first tick after it.
const TICK: u32 = 28;

impl Shard {
    /// Lets pass what is due until `clock`.
    #[inline]
    pub fn advance(&mut self, clock: Timestamp, out: &mut Records) {
        if clock >= self.event {
            self.pass(clock, out);
        }
        self.clock = clock;
    }

    #[inline(never)]
    fn pass(&mut self, clock: Timestamp, out: &mut Records) {
        // What expires may begin something that has expired by now as well.
        while clock >= self.event {
            while let Some((until, gone)) = self.next_gone()
                && until <= clock
            {
                let now = Moment::tick(until);
                match gone {
                    Gone::Lingered => self.let_go_oldest(now, out),
                    Gone::Repeated => {
                        let repeating = self.repeating.pop();
                        self.let_go_if_over(repeating.map(|Reverse(it)| it), now, out);
                    }
                }
            }
            if clock >= self.due {
                self.expire(clock, out);
            }
            let next_gone = self.next_gone().map_or(Timestamp::MAX, |(until, _)| until);
            self.event = self.due.min(next_gone);
        }
    }

    /// Reports the connection that has been closed for longest.
    #[inline(never)]
    pub(super) fn let_go_oldest(&mut self, now: Moment, out: &mut Records) {
        let oldest = self.lingering.pop_front();
        self.let_go_if_over(oldest, now, out);
    }

    /// Which connection that is over goes next, and when.
    fn next_gone(&self) -> Option<(Timestamp, Gone)> {
        let lingered = self.lingering.front().map(|&(until, ..)| until);
        let repeated = self.repeating.peek().map(|Reverse((until, ..))| *until);
        let both = [(lingered, Gone::Lingered), (repeated, Gone::Repeated)];
        both.into_iter()
            .filter_map(|(until, gone)| Some((until?, gone)))
            .min()
    }

    fn let_go_if_over(&mut self, lingering: Option<Lingering>, now: Moment, out: &mut Records) {
        let Some((until, place, hash)) = lingering else {
            return;
        };
        let flow = self.table.at(place);
        // It may have been reopened, superseded or evicted since.
        if flow.phase != Phase::Closed || flow.hash != hash {
            return;
        }
        if flow.deadline == until {
            self.let_one_go(place, now, out);
        } else if flow.close == Close::Failed && flow.deadline > until {
            // Its SYN came again.
            self.repeating.push(Reverse((flow.deadline, place, hash)));
        }
    }

    /// A flow is to be looked at again at `deadline`, or for its next part.
    #[inline]
    pub(super) fn expect(&mut self, deadline: Timestamp, place: Place) {
        self.due = self.due.min(tick_after(deadline));
        if self.active_ticks.is_some() {
            self.due = self.due.min(part_due(self.table.at(place), self.clock));
        }
        self.event = self.event.min(self.due);
    }

    /// Expires what has been silent for too long, and reports parts; at the ticks that have passed, in their order.
    #[cold]
    fn expire(&mut self, clock: Timestamp, out: &mut Records) {
        let mut passed: Vec<(Timestamp, Place, Due)> = Vec::new();
        let mut next = Timestamp::MAX;
        for (place, flow) in self.table.iter() {
            let deadline = match flow.phase {
                Phase::Opening => flow.deadline,
                Phase::Open => flow.deadline.plus(self.idle),
                Phase::Datagrams => flow.deadline.plus(self.context.timeout),
                Phase::Closed | Phase::Vacant => continue,
            };
            let tick = tick_after(deadline);
            if tick <= clock {
                passed.push((tick, place, Due::Expiry));
            } else {
                next = next.min(tick);
            }
            if self.active_ticks.is_some() {
                let part = part_due(flow, clock);
                if part > clock {
                    next = next.min(part);
                } else if part < tick {
                    passed.push((part, place, Due::Part));
                }
            }
        }
        self.due = next;
        passed.sort_unstable();
        for (tick, place, due) in passed {
            match due {
                Due::Part => self.part(place, clock, out),
                Due::Expiry => self.expire_one(place, tick, out),
            }
        }
    }

    fn expire_one(&mut self, place: Place, tick: Timestamp, out: &mut Records) {
        let now = Moment::tick(tick);
        if self.table.at(place).phase == Phase::Opening {
            let opening = self.openings.at(self.table.at(place).opening);
            let is_repeated = opening.may_repeat(tick);
            self.decide(place, now, out);
            let flow = self.table.at(place);
            if flow.close != Close::Failed {
                return;
            }
            if is_repeated {
                self.wait_for_repeat(place, tick);
            } else {
                // Its SYN-ACK may come yet.
                self.linger(place, now, out);
            }
            return;
        }
        let flow = self.table.at_mut(place);
        if flow.close == Close::Open {
            flow.close = Close::Idle;
        }
        self.let_one_go(place, now, out);
    }

    /// A part of a connection, if it carried traffic since the last one.
    fn part(&mut self, place: Place, clock: Timestamp, out: &mut Records) {
        let active = self.active_ticks.unwrap_or(1);
        let flow = self.table.at_mut(place);
        let tick = part_due(flow, clock);
        let began = tick.plus(-(i64::from(active) << TICK));
        // Intervals that passed unseen were silent: a segment would have been the occasion to look.
        skip_parts(flow, clock, active);
        self.due = self.due.min(part_due(flow, clock));
        if flow.phase != Phase::Open || flow.deadline < began || !self.connections {
            return;
        }
        flow.parts = flow.parts.saturating_add(1);
        let spoken = self.spoken(place);
        let flow = self.table.at(place);
        let part = Some(u64::from(flow.parts));
        let record = analyze::connection(&self.context, flow, part, false, spoken);
        let rank = Rank {
            at: Moment::tick(tick),
            first_frame: flow.first_frame,
            kind: Kind::Connection,
        };
        out.connection(rank, record);
    }

    /// The table is full: the oldest of the half-open connections go, up to a sixteenth of the table. Only where there is
    /// none of these the longest closed, then the flows of datagrams and only then the connections that have been silent
    /// for longest: a flood of SYNs evicts itself, one of queries itself and closed connections.
    #[cold]
    pub(super) fn evict(&mut self, seg: &Segment, out: &mut Records) {
        let mut order: Vec<(u8, Timestamp, Place)> = self
            .table
            .iter()
            .map(|(place, flow)| match flow.phase {
                Phase::Opening => (0, flow.first, place),
                Phase::Closed => (1, flow.deadline, place),
                Phase::Datagrams => (2, flow.deadline, place),
                Phase::Open | Phase::Vacant => (3, flow.deadline, place),
            })
            .collect();
        order.sort_unstable();
        let class = order.first().map(|&(class, ..)| class);
        order.truncate((self.limit / 16).max(1));
        order.retain(|&(other, ..)| Some(other) == class);
        let now = moment(seg);
        for (_, _, place) in order {
            if self.table.at(place).phase == Phase::Opening {
                self.decide(place, now, out);
            }
            let evicted = if self.table.at(place).is_datagram() {
                &mut self.counts.evicted_datagrams
            } else {
                &mut self.counts.evicted
            };
            *evicted += 1;
            self.let_one_go(place, now, out);
        }
    }
}

/// Which of the connections that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gone {
    Lingered,
    Repeated,
}

/// What a flow is due for at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Part,
    Expiry,
}

/// Ticks in a duration of `ns`, rounded up.
pub(super) fn ticks_in(ns: i64) -> u32 {
    u32::try_from(ns.saturating_add((1 << TICK) - 1) >> TICK).unwrap_or(u32::MAX / 4)
}

/// The tick that `time` falls in, modulo 2^32.
pub(super) fn tick_of(time: Timestamp) -> u32 {
    (time.0 >> TICK) as u32
}

/// When the next part of a flow is due; ticks are kept modulo 2^32, so it is told relative to `clock`.
pub(super) fn part_due(flow: &Flow, clock: Timestamp) -> Timestamp {
    let ahead = flow.part_tick.wrapping_sub(tick_of(clock)).cast_signed();
    tick_start(clock).plus(i64::from(ahead) << TICK)
}

/// Moves the next part of a flow beyond `clock`, in whole intervals.
pub(super) fn skip_parts(flow: &mut Flow, clock: Timestamp, active: u32) {
    let behind = tick_of(clock).wrapping_sub(flow.part_tick);
    if behind.cast_signed() >= 0 {
        let steps = behind / active + 1;
        flow.part_tick = flow.part_tick.wrapping_add(steps.wrapping_mul(active));
    }
}

/// When the tick that `time` falls in began.
pub(super) fn tick_start(time: Timestamp) -> Timestamp {
    Timestamp(time.0 >> TICK << TICK)
}

/// When the first tick at or after `time` begins.
pub(super) fn tick_after(time: Timestamp) -> Timestamp {
    tick_start(time.plus((1 << TICK) - 1))
}
