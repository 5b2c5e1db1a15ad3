//! Alarms against the truth. An alarm is a run of minutes in which any metric of one instance is abnormal, with gaps of at
//! most 5 minutes. It is true if it begins within a fault of this instance (or up to 10 minutes after one, while windows run
//! empty) or overlaps one. A fault is found if an alarm of any of its instances is on in any of its minutes; the delay is how
//! many minutes of the fault were seen by then.

use std::collections::BTreeMap;

use crate::simulation::{FIRST_MINUTE, Fault, Kind};

/// Minutes between abnormal ones of the same alarm.
const GAP: i64 = 5;
/// Minutes after a fault in which an alarm is its.
const AFTER: i64 = 10;

/// What came of one method with one threshold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) alarms: u64,
    pub(crate) true_alarms: u64,
    /// Of false ones: in which metrics, and how many while a flash crowd was there.
    pub(crate) false_by_metric: [u64; 11],
    pub(crate) in_crowds: u64,
    /// By how many days of history there were.
    pub(crate) false_by_day: BTreeMap<i64, u64>,
    /// Examples of false ones.
    pub(crate) examples: Vec<(u64, i64, i64, u32)>,
    /// By fault: minutes until the first alarm of any of its instances.
    pub(crate) first: Vec<Option<i64>>,
    /// By fault: of how many instances, and how many had an alarm; within two minutes.
    pub(crate) instances: Vec<[u64; 3]>,
    pub(crate) instance_days: u64,
}

/// The alarms of one instance as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Open {
    from: i64,
    to: i64,
    metrics: u32,
}

impl Open {
    pub(crate) fn minute(
        &mut self,
        minute: i64,
        bits: u32,
        server: u64,
        faults: &[(usize, Fault)],
        tally: &mut Tally,
        found: &mut [bool],
    ) {
        if bits == 0 {
            if self.metrics != 0 && minute - self.to > GAP {
                self.close(server, faults, tally);
            }
            return;
        }
        if self.metrics == 0 {
            self.from = minute;
        }
        self.to = minute;
        self.metrics |= bits;
        for (at, (number, fault)) in faults.iter().enumerate() {
            if fault.covers(minute) && !found[at] {
                found[at] = true;
                let delay = minute - fault.start + 1;
                let first = &mut tally.first[*number];
                *first = Some(first.map_or(delay, |first| first.min(delay)));
                tally.instances[*number][1] += 1;
                tally.instances[*number][2] += u64::from(delay <= 2);
            }
        }
    }

    pub(crate) fn close(&mut self, server: u64, faults: &[(usize, Fault)], tally: &mut Tally) {
        if self.metrics == 0 {
            return;
        }
        let overlaps =
            |fault: &Fault, after: i64| self.from < fault.end + after && self.to >= fault.start;
        let mut all = faults.iter().map(|(_, fault)| fault);
        let is_true = all
            .clone()
            .any(|fault| fault.is_fault() && overlaps(fault, AFTER));
        tally.alarms += 1;
        tally.true_alarms += u64::from(is_true);
        if !is_true {
            for metric in 0..11 {
                tally.false_by_metric[metric] += u64::from(self.metrics >> metric & 1);
            }
            tally.in_crowds +=
                u64::from(all.any(|fault| !fault.is_fault() && overlaps(fault, AFTER)));
            let day = (self.from - FIRST_MINUTE).div_euclid(1440);
            *tally.false_by_day.entry(day).or_default() += 1;
            if tally.examples.len() < 40 {
                tally
                    .examples
                    .push((server, self.from, self.to, self.metrics));
            }
        }
        *self = Open::default();
    }
}

impl Tally {
    pub(crate) fn new(faults: &[Fault]) -> Tally {
        Tally {
            first: vec![None; faults.len()],
            instances: vec![[0; 3]; faults.len()],
            ..Tally::default()
        }
    }

    pub(crate) fn merge(&mut self, other: Tally) {
        self.alarms += other.alarms;
        self.true_alarms += other.true_alarms;
        self.in_crowds += other.in_crowds;
        self.instance_days += other.instance_days;
        for (sum, more) in self.false_by_metric.iter_mut().zip(other.false_by_metric) {
            *sum += more;
        }
        for (day, more) in other.false_by_day {
            *self.false_by_day.entry(day).or_default() += more;
        }
        self.examples.extend(other.examples);
        self.first.extend(other.first);
        self.instances.extend(other.instances);
    }

    pub(crate) fn precision(&self) -> f64 {
        self.true_alarms as f64 / self.alarms.max(1) as f64
    }

    pub(crate) fn false_per_day(&self) -> f64 {
        (self.alarms - self.true_alarms) as f64 / self.instance_days.max(1) as f64
    }

    /// Of faults of these kinds: how many, found, found within two minutes, the median delay and that of nine of ten, and the
    /// share of their instances that had an alarm.
    pub(crate) fn recall(&self, faults: &[Fault], is: impl Fn(Kind) -> bool) -> Recall {
        let mut recall = Recall::default();
        let mut delays = Vec::new();
        let mut instances = [0_u64; 3];
        for ((fault, first), counts) in faults.iter().zip(&self.first).zip(&self.instances) {
            if !fault.is_fault() || !is(fault.kind) {
                continue;
            }
            recall.faults += 1;
            delays.extend(first);
            for (sum, count) in instances.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        delays.sort_unstable();
        recall.found = delays.len();
        recall.soon = delays.iter().filter(|&&delay| delay <= 2).count();
        let at = |share: f64| {
            delays
                .get(((delays.len() as f64) * share) as usize)
                .copied()
        };
        recall.median = at(0.5);
        recall.ninth = at(0.9);
        recall.instances = instances;
        recall
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recall {
    pub(crate) faults: usize,
    pub(crate) found: usize,
    pub(crate) soon: usize,
    pub(crate) median: Option<i64>,
    pub(crate) ninth: Option<i64>,
    pub(crate) instances: [u64; 3],
}
