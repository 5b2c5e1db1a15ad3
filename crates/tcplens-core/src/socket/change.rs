//! When a poll of a socket is worth keeping: what is compared with the poll before.

use super::message::{Attributes, HEAD, Message, kind};

/// Which rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveWhen {
    /// As tcp-info does: state, `tcp_info` without its ages and without everything from `busy_time` on, all other attributes; of
    /// the head nothing but the state. What its one defect repeated, FIN_WAIT2 remains without INFO, is no change.
    #[default]
    TcpInfo,
    /// Everything but ages (`last_*`) and the time until the timer fires: head with queues and timer, all of `tcp_info` with its
    /// unknown tail, all attributes. Pacing and BBR's estimates are values like any other: connections with BBR change often.
    Changed,
}

/// Why a poll is worth keeping, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The state.
    State,
    /// Ends, queues, timer, user, inode (rule [`SaveWhen::Changed`] only).
    Head,
    /// There is INFO in one of them only.
    Presence,
    /// Measurements and counters: `tcp_info` from `pmtu` on.
    Counters,
    /// What the state of sending is: `tcp_info` before the ages.
    Sending,
    /// There are more or fewer attributes.
    Attributes,
    /// This attribute is new, gone, or another.
    Attribute(u16),
}

/// `tcp_info` before the ages.
const SENDING: std::ops::Range<usize> = 0..44;
/// Where the ages end.
const COUNTERS: usize = 60;
/// Where what tcp-info's rule looks at ends: `busy_time`.
const BUSY_TIME: usize = 168;
/// The head's `expires`: time until the timer fires.
const EXPIRES: std::ops::Range<usize> = 52..56;

/// Compares a poll with the one before it; `None`: it is not worth keeping.
#[must_use]
pub fn changed(rule: SaveWhen, before: Message<'_>, now: Message<'_>) -> Option<Why> {
    if is_same_at_once(rule, before, now) {
        return None;
    }
    if before.state() != now.state() {
        return Some(Why::State);
    }
    if rule == SaveWhen::Changed && !is_same_head(before.head(), now.head()) {
        return Some(Why::Head);
    }
    match (before.attribute(kind::INFO), now.attribute(kind::INFO)) {
        (None, None) => {}
        (Some(before), Some(now)) => {
            let end = match rule {
                SaveWhen::TcpInfo => BUSY_TIME,
                SaveWhen::Changed => usize::MAX,
            };
            if part(before, COUNTERS, end) != part(now, COUNTERS, end) {
                return Some(Why::Counters);
            }
            if part(before, SENDING.start, SENDING.end) != part(now, SENDING.start, SENDING.end) {
                return Some(Why::Sending);
            }
        }
        (Some(_), None) | (None, Some(_)) => return Some(Why::Presence),
    }
    let highest = |message: Message<'_>| message.attributes().map(|(kind, _)| kind).max();
    if highest(before) != highest(now) {
        return Some(Why::Attributes);
    }
    let differs = |(kind, value): (u16, &[u8]), other: Message<'_>| {
        (kind != kind::INFO && other.attribute(kind) != Some(value)).then_some(kind)
    };
    let new = now.attributes().find_map(|one| differs(one, before));
    let gone = || before.attributes().find_map(|one| differs(one, now));
    new.or_else(gone).map(Why::Attribute)
}

/// Sockets that nothing happens to have the same bytes but for the ages, in the same places: a few comparisons of memory.
#[inline]
fn is_same_at_once(rule: SaveWhen, before: Message<'_>, now: Message<'_>) -> bool {
    let (was, is) = (before.attribute_bytes(), now.attribute_bytes());
    let is_same_start = match rule {
        SaveWhen::TcpInfo => before.state() == now.state(),
        SaveWhen::Changed => is_same_head(before.head(), now.head()),
    };
    if !is_same_start || was.len() != is.len() {
        return false;
    }
    let Some((at, length)) = info_place(is) else {
        return was == is;
    };
    let end = at + length;
    let counters = at + COUNTERS.min(length);
    let counters_end = match rule {
        SaveWhen::TcpInfo => at + BUSY_TIME.min(length),
        SaveWhen::Changed => end,
    };
    // What is before INFO, INFO's own head included, makes the places the same.
    let sending_end = at + SENDING.end.min(length);
    was.get(..sending_end) == is.get(..sending_end)
        && was.get(counters..counters_end) == is.get(counters..counters_end)
        && was.get(end..) == is.get(end..)
}

/// Where the value of INFO begins, and its length.
#[inline]
pub(super) fn info_place(attributes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    for (found, value) in Attributes::new(attributes) {
        if found == kind::INFO {
            return Some((at + 4, value.len()));
        }
        at += (value.len() + 4).next_multiple_of(4);
    }
    None
}

#[inline]
fn is_same_head(before: &[u8; HEAD], now: &[u8; HEAD]) -> bool {
    before[..EXPIRES.start] == now[..EXPIRES.start] && before[EXPIRES.end..] == now[EXPIRES.end..]
}

/// Any length is normal: the part of it that there is.
fn part(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end.min(bytes.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
