//! The sockets whose end was told: a poll or a word that comes late begins nothing anew.

use std::collections::{BTreeMap, VecDeque};

use super::Ended;
use crate::time::{SECOND, Timestamp};

/// Later than this nothing comes any more of one that was destroyed: polls are under way for less than a second, words of ends too.
const SOON: i64 = 10 * SECOND;

/// See the module.
#[derive(Debug)]
pub(super) struct Gone {
    limit: usize,
    ended: BTreeMap<u64, Ended>,
    /// Those that were destroyed.
    order: VecDeque<(Timestamp, u64)>,
    /// Those that vanished: who holds a connection that was reset may close it after hours, and its end is told only then.
    vanished: VecDeque<u64>,
}

impl Gone {
    pub(super) fn new(limit: usize) -> Gone {
        Gone {
            limit,
            ended: BTreeMap::new(),
            order: VecDeque::new(),
            vanished: VecDeque::new(),
        }
    }

    /// `forgotten` counts those that had to go before their time.
    pub(super) fn remember(
        &mut self,
        at: Timestamp,
        cookie: u64,
        ended: Ended,
        forgotten: &mut u64,
    ) {
        while let Some(&(since, oldest)) = self.order.front() {
            let is_old = since.plus(SOON) < at;
            if !is_old && self.order.len() < self.limit {
                break;
            }
            *forgotten += u64::from(!is_old);
            self.order.pop_front();
            self.ended.remove(&oldest);
        }
        let before = self.ended.insert(cookie, ended);
        if before == Some(ended) {
            return;
        }
        if ended != Ended::Vanished {
            self.order.push_back((at, cookie));
            return;
        }
        if self.vanished.len() >= self.limit
            && let Some(oldest) = self.vanished.pop_front()
            && self.recall(oldest) == Some(Ended::Vanished)
        {
            *forgotten += 1;
            self.ended.remove(&oldest);
        }
        self.vanished.push_back(cookie);
    }

    pub(super) fn recall(&self, cookie: u64) -> Option<Ended> {
        self.ended.get(&cookie).copied()
    }

    /// Its place in the order stays, and is for nothing.
    pub(super) fn forget(&mut self, cookie: u64) {
        self.ended.remove(&cookie);
    }
}
