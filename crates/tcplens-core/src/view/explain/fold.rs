//! Leaves events out until the rest fits a bound: the beginning, the end and what took longest stay. What is left out is told
//! by one event for each stretch of it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::event::{Asked, Event, Folded, Silence, What};
use crate::record::End;
use crate::time::Span;

/// The least bound.
pub const LEAST: usize = 16;

/// What the beginning and the end of a life are worth against what took time: as much as 10 s.
const TURN_NS: u64 = 10_000_000_000;

/// `events` in at most `limit` of them, but not less than [`LEAST`].
pub(super) fn fold(events: Vec<Event>, limit: usize) -> Vec<Event> {
    let limit = limit.max(LEAST);
    if events.len() <= limit {
        return events;
    }
    let ends = limit / 8;
    let last = events.len() - ends;
    // Each of the others may stand alone: then it has an event for what is left out before it, and there is one more.
    let room = (limit - 2 * ends - 1) / 2;
    let mut worth: Vec<_> = events
        .iter()
        .enumerate()
        .take(last)
        .skip(ends)
        .filter_map(|(n, event)| Some((Reverse(weight(event)?), n)))
        .collect();
    worth.sort_unstable();
    worth.truncate(room);
    let mut kept = vec![false; events.len()];
    kept.iter_mut().take(ends).for_each(|kept| *kept = true);
    kept.iter_mut().skip(last).for_each(|kept| *kept = true);
    for (_, n) in worth {
        if let Some(kept) = kept.get_mut(n) {
            *kept = true;
        }
    }
    let mut left: Vec<Event> = Vec::with_capacity(limit);
    let mut out: Option<Event> = None;
    for (event, kept) in events.into_iter().zip(kept) {
        if kept {
            left.extend(out.take());
            left.push(event);
            continue;
        }
        match &mut out {
            Some(out) => absorb(out, &event),
            // One alone takes no more room than what would be said of it.
            None => out = Some(event),
        }
    }
    left.extend(out);
    left
}

/// What an event is worth: time, in ns; `None` for what is ordinary.
fn weight(event: &Event) -> Option<u64> {
    let span = event.span.map_or(0, Span::ns);
    let weight = match &event.what {
        What::Syn | What::SynAck | What::Fin | What::Reset => TURN_NS,
        What::Repeat { .. } | What::Fill { .. } => span.max(1_000_000),
        What::Partial | What::Hole { .. } => 1_000_000,
        What::WindowClosed | What::WindowOpened | What::DelayedAck => span.max(1_000_000),
        // Nobody waited, as far as it shows: a thousandth of one who does.
        What::Silence(Silence::NoData | Silence::After(End::Server)) => span / 1000,
        What::Silence(_) => span,
        What::DuplicateAcks | What::Spurious | What::Probe { .. } => 1_000,
        What::Data | What::Ack | What::SecondSighting | What::Fold(_) => 0,
    };
    let longest = event.notes.iter().flat_map(|notes| {
        let requests = notes.asked.iter().chain(&notes.answered);
        requests.map(|asked| asked.total.map_or(TURN_NS, Span::ns))
    });
    Some(longest.max().unwrap_or(0).max(weight)).filter(|weight| *weight > 0)
}

/// Takes one more event into those that are left out.
fn absorb(out: &mut Event, event: &Event) {
    if !matches!(out.what, What::Fold(_)) {
        let first = out.clone();
        *out = Event {
            from: None,
            what: What::Fold(Box::default()),
            flags: 0,
            segments: 0,
            bytes: 0,
            span: None,
            notes: None,
            ..first
        };
        count(out, &first);
    }
    count(out, event);
}

fn count(out: &mut Event, event: &Event) {
    out.until = out.until.max(event.until);
    out.frames[1] = out.frames[1].max(event.frames[1]);
    out.segments += event.segments;
    let What::Fold(all) = &mut out.what else {
        return;
    };
    if let What::Fold(more) = &event.what {
        let Folded {
            events,
            bytes,
            requests,
            longest,
            repeats,
            fills,
            closures,
        } = &**more;
        all.events += events;
        all.bytes[0] += bytes[0];
        all.bytes[1] += bytes[1];
        all.requests += requests;
        all.repeats += repeats;
        all.fills += fills;
        all.closures += closures;
        all.longest = longer(all.longest.take(), longest.clone());
        out.bytes += event.bytes;
        return;
    }
    all.events += 1;
    match &event.what {
        What::Data | What::Fill { .. } => {
            if let Some(from) = event.from {
                all.bytes[from.index()] += event.bytes;
            }
            out.bytes += event.bytes;
            all.fills += event.segments * u64::from(event.what != What::Data);
        }
        What::Repeat { .. } | What::Partial => all.repeats += event.segments,
        What::WindowClosed => all.closures += 1,
        _ => {}
    }
    if let Some(notes) = &event.notes {
        all.requests += notes.asks;
        for asked in notes.asked.iter().chain(&notes.answered) {
            all.longest = longer(all.longest.take(), Some(Arc::clone(asked)));
        }
    }
}

/// The request that took longer; of equals the first.
pub(super) fn longer(a: Option<Arc<Asked>>, b: Option<Arc<Asked>>) -> Option<Arc<Asked>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.total > a.total { b } else { a }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::view::explain::event::Again;

    fn event(n: i64, what: What, span: u64) -> Event {
        Event {
            time: Timestamp(n),
            until: Timestamp(n),
            from: Some(End::Client),
            what,
            flags: 0,
            frames: [n as u64 + 1; 2],
            segments: 1,
            bytes: 10,
            span: Some(Span::from_ns(span)),
            notes: None,
        }
    }

    fn again(n: i64, span: u64) -> Event {
        let what = What::Repeat {
            why: Again::Unknown,
            of: 0,
        };
        event(n, what, span)
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let events: Vec<_> = (0..16).map(|n| event(n, What::Data, 0)).collect();
        assert_eq!(fold(events.clone(), 0), events);
    }

    #[test]
    fn beginning_end_and_what_took_longest_stay_and_the_rest_is_counted() {
        let mut events: Vec<_> = (0..1000).map(|n| event(n, What::Data, 0)).collect();
        for (n, span) in [(300, 5_000_000), (500, 9_000_000), (501, 8_000_000)] {
            events[n as usize] = again(n, span);
        }
        let folded = fold(events, 20);
        let told: Vec<_> = folded
            .iter()
            .map(|event| match &event.what {
                What::Fold(all) => format!("{} {:?}", all.events, event.frames),
                what => format!("{} {}", what.word(), event.frames[0]),
            })
            .collect();
        assert_eq!(
            told,
            [
                "data 1",
                "data 2",
                "298 [3, 300]",
                "retransmit 301",
                "199 [302, 500]",
                "retransmit 501",
                "retransmit 502",
                "496 [503, 998]",
                "data 999",
                "data 1000",
            ]
        );
        let What::Fold(all) = &folded[2].what else {
            panic!("{:?}", folded[2]);
        };
        assert_eq!((all.bytes, folded[2].bytes), ([2980, 0], 2980));
    }

    #[test]
    fn the_bound_holds_however_much_is_odd_and_folding_again_loses_no_count() {
        let mut events = Vec::new();
        for n in 0..5000 {
            events.push(if n % 2 == 0 {
                again(n, n as u64)
            } else {
                event(n, What::Data, 0)
            });
            if events.len() > 300 {
                events = fold(events, 150);
                assert!(events.len() <= 150, "{}", events.len());
            }
        }
        let folded = fold(events, 40);
        assert!(folded.len() <= 40, "{}", folded.len());
        let all: u64 = folded
            .iter()
            .map(|event| match &event.what {
                What::Fold(all) => all.events,
                _ => 1,
            })
            .sum();
        assert_eq!(all, 5000);
        let repeats: u64 = folded
            .iter()
            .map(|event| match &event.what {
                What::Fold(all) => all.repeats,
                What::Repeat { .. } => 1,
                _ => 0,
            })
            .sum();
        assert_eq!(repeats, 2500);
    }
}
