use super::super::message::kind;
use super::super::testing::Make;
use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp(ms * 1_000_000)
}

fn tracker() -> Tracker {
    Tracker::new(SaveWhen::Changed, LIMIT)
}

fn see(tracker: &mut Tracker, ms: i64, make: &Make) -> Option<What> {
    let bytes = make.bytes();
    Some(tracker.see(at(ms), Message::new(&bytes).unwrap())?.what)
}

/// Cookies and why, of those that end.
fn complete(tracker: &mut Tracker, ms: i64, is_told: bool) -> Vec<(u64, Ended)> {
    let mut ends = Vec::new();
    tracker.complete(at(ms), 2, is_told, &mut |end| {
        ends.push((end.message.cookie(), end.ended));
    });
    ends
}

#[test]
fn a_socket_is_new_the_same_or_changed() {
    let mut tracker = tracker();
    let make = Make::new(1);
    tracker.begin(2);
    assert_eq!(see(&mut tracker, 0, &make), Some(What::New));
    assert!(complete(&mut tracker, 0, false).is_empty());
    tracker.begin(2);
    let older = make.clone().set(&[("last_ack_recv", 10)]);
    assert_eq!(see(&mut tracker, 10, &older), Some(What::Same));
    tracker.begin(2);
    let make = make.traffic(100, 0, 0, 0);
    assert_eq!(
        see(&mut tracker, 20, &make),
        Some(What::Changed(Why::Counters))
    );
    let entry = tracker.find(1).unwrap();
    assert_eq!((entry.polls, entry.snapshots), (3, 2));
    assert_eq!((entry.first_seen, entry.last_seen), (at(0), at(20)));
    assert_eq!(entry.raw(), make.bytes());
    assert_eq!(tracker.counts().snapshots, 2);
}

#[test]
fn listeners_answers_to_syns_remains_and_nameless_sockets_are_not_tracked() {
    let mut tracker = tracker();
    tracker.begin(2);
    for make in [
        Make::new(1).state(state::LISTEN),
        Make::new(2).state(state::SYN_RECV),
        Make::new(3).no_info().state(state::TIME_WAIT),
        Make::new(4).no_info().state(state::FIN_WAIT2),
        Make::new(0),
        Make::new(u64::MAX),
    ] {
        assert_eq!(see(&mut tracker, 0, &make), None);
    }
    assert!(tracker.is_empty());
    let half_closed = Make::new(5).state(state::FIN_WAIT2);
    assert_eq!(see(&mut tracker, 0, &half_closed), Some(What::New));
}

#[test]
fn who_is_not_in_a_complete_dump_is_gone_and_an_abandoned_one_says_nothing() {
    let mut tracker = tracker();
    tracker.begin(2);
    see(&mut tracker, 0, &Make::new(1));
    see(&mut tracker, 0, &Make::new(2));
    assert!(complete(&mut tracker, 0, false).is_empty());
    // The other family is another dump.
    tracker.begin(10);
    see(&mut tracker, 1, &Make::new(3).family(10));
    tracker.begin(2);
    see(&mut tracker, 10, &Make::new(1));
    tracker.abandon(2);
    tracker.begin(2);
    see(&mut tracker, 20, &Make::new(1));
    assert_eq!(complete(&mut tracker, 20, false), [(2, Ended::Vanished)]);
    assert_eq!((tracker.len(), tracker.counts().vanished), (2, 1));
    // There again: it had been left out, and is new.
    tracker.begin(2);
    assert_eq!(see(&mut tracker, 30, &Make::new(2)), Some(What::New));
    assert_eq!(tracker.counts().returned, 1);
}

#[test]
fn where_ends_are_told_a_missing_socket_is_waited_for() {
    let mut tracker = tracker();
    tracker.begin(2);
    see(&mut tracker, 0, &Make::new(1));
    see(&mut tracker, 0, &Make::new(2));
    for ms in [10, 500, 900] {
        tracker.begin(2);
        assert!(complete(&mut tracker, ms, true).is_empty());
        assert_eq!(tracker.missing(), 2);
    }
    // One is there after all; the other's word comes, then nothing more of it.
    tracker.begin(2);
    see(&mut tracker, 950, &Make::new(1));
    assert_eq!(tracker.missing(), 1);
    let told = Make::new(2).destroyed().bytes();
    assert!(
        tracker
            .destroyed(at(960), Message::new(&told).unwrap())
            .is_some()
    );
    assert!(complete(&mut tracker, 2000, true).is_empty());
    assert!(
        tracker
            .destroyed(at(2001), Message::new(&told).unwrap())
            .is_none()
    );
    // Missing for a second, but once only; twice, but not for a second.
    tracker.begin(2);
    assert!(complete(&mut tracker, 9000, true).is_empty());
    tracker.begin(2);
    assert!(complete(&mut tracker, 9500, true).is_empty());
    tracker.begin(2);
    assert_eq!(complete(&mut tracker, 10_000, true), [(1, Ended::Vanished)]);
    let told = Make::new(1).destroyed().bytes();
    assert!(
        tracker
            .destroyed(at(10_001), Message::new(&told).unwrap())
            .is_none()
    );
    assert_eq!(tracker.counts().late_ends, 2);
}

#[test]
fn one_that_vanished_ends_once_however_late_the_kernel_tells_its_end() {
    let mut tracker = tracker();
    tracker.begin(2);
    see(&mut tracker, 0, &Make::new(1));
    tracker.begin(2);
    assert!(complete(&mut tracker, 1000, true).is_empty());
    tracker.begin(2);
    // It was reset, and whoever holds it has not closed it yet.
    assert_eq!(complete(&mut tracker, 2000, true), [(1, Ended::Vanished)]);
    // Hours and other ends later.
    let tell = |tracker: &mut Tracker, ms, cookie| {
        let told = Make::new(cookie).destroyed().bytes();
        let end = tracker.destroyed(at(ms), Message::new(&told).unwrap());
        end.is_some()
    };
    for cookie in 2..5 {
        assert!(tell(&mut tracker, 5_000_000, cookie));
        assert!(tell(&mut tracker, 6_000_000, cookie + 10));
    }
    assert!(!tell(&mut tracker, 7_000_000, 1));
    // Now it is over for good: a poll that was under way brings nothing back.
    assert_eq!(see(&mut tracker, 7_000_001, &Make::new(1)), None);
    let counts = tracker.counts();
    assert_eq!((counts.late_ends, counts.never_polled), (1, 6));
}

#[test]
fn a_socket_that_becomes_one_of_ipv4_stays_the_same() {
    let mut tracker = tracker();
    tracker.begin(10);
    see(&mut tracker, 0, &Make::new(1).family(10));
    tracker.complete(at(0), 10, false, &mut |_| unreachable!());
    // IPV6_ADDRFORM.
    tracker.begin(10);
    tracker.complete(at(10), 10, true, &mut |_| unreachable!());
    assert_eq!(tracker.missing(), 1);
    tracker.begin(2);
    assert!(see(&mut tracker, 11, &Make::new(1)).is_some());
    assert!(complete(&mut tracker, 11, false).is_empty());
    assert_eq!((tracker.len(), tracker.missing()), (1, 0));
    tracker.begin(10);
    tracker.complete(at(20), 10, false, &mut |_| unreachable!());
    tracker.begin(2);
    assert_eq!(complete(&mut tracker, 21, false), [(1, Ended::Vanished)]);
}

#[test]
fn the_end_has_its_own_statistics_and_what_lasts_of_the_last_poll() {
    let mut tracker = tracker();
    tracker.begin(2);
    let polled = Make::new(1)
        .attribute(kind::CGROUP_ID, &[9; 8])
        .attribute(kind::MEMINFO, &[1; 16]);
    see(&mut tracker, 0, &polled);
    let told = Make::new(1).destroyed().traffic(10, 12, 0, 0).bytes();
    let end = tracker
        .destroyed(at(5), Message::new(&told).unwrap())
        .unwrap();
    assert!(end.is_final_info && end.is_snapshot);
    let message = end.message;
    assert_eq!(
        (message.state(), message.uid(), message.inode()),
        (state::CLOSE, 1000, 77)
    );
    assert_eq!(message.tcp_info().unwrap().bytes_acked(), Some(12));
    assert_eq!(message.attribute(kind::CONG), Some(&b"cubic\0"[..]));
    assert_eq!(message.attribute(kind::CGROUP_ID), Some(&[9; 8][..]));
    assert_eq!(message.attribute(kind::MEMINFO), None);
    assert!(tracker.is_empty());
    // What is under way yet, or left of it, begins nothing.
    assert_eq!(see(&mut tracker, 6, &polled), None);
    assert_eq!(tracker.counts().late_polls, 1);
}

#[test]
fn one_that_was_never_polled_is_a_connection_of_its_own() {
    let mut tracker = tracker();
    let told = Make::new(9).destroyed().traffic(10, 12, 0, 0).bytes();
    let end = tracker
        .destroyed(at(5), Message::new(&told).unwrap())
        .unwrap();
    assert_eq!((end.entry.polls, end.entry.snapshots), (0, 1));
    assert_eq!(end.message, Message::new(&told).unwrap());
    // A listener, and a socket that was never connected, are none.
    for make in [Make::new(10).disconnected(0, 0), Make::new(0).destroyed()] {
        let told = make.bytes();
        assert!(
            tracker
                .destroyed(at(5), Message::new(&told).unwrap())
                .is_none()
        );
    }
    assert_eq!(tracker.counts().never_polled, 1);
}

#[test]
fn statistics_that_were_taken_away_are_replaced_by_those_of_the_last_poll() {
    let mut tracker = tracker();
    tracker.begin(2);
    let polled = Make::new(1).traffic(10, 11, 0, 0);
    see(&mut tracker, 0, &polled);
    let told = Make::new(1).disconnected(70_000, 0).bytes();
    let end = tracker
        .destroyed(at(5), Message::new(&told).unwrap())
        .unwrap();
    assert!(!end.is_final_info && !end.is_snapshot);
    assert_eq!(end.message, Message::new(&polled.bytes()).unwrap());
    let told = Make::new(2).disconnected(70_000, 0).bytes();
    let end = tracker
        .destroyed(at(5), Message::new(&told).unwrap())
        .unwrap();
    assert!(end.message.tcp_info().is_none() && end.is_snapshot);
}

#[test]
fn the_bound_holds_and_is_counted() {
    let mut tracker = Tracker::new(SaveWhen::TcpInfo, 2);
    tracker.begin(2);
    let seen = [1, 2, 3].map(|cookie| see(&mut tracker, 0, &Make::new(cookie)).is_some());
    assert_eq!(seen, [true, true, false]);
    assert_eq!((tracker.len(), tracker.counts().limit_hits), (2, 1));
    // A place is free again.
    let told = Make::new(1).destroyed().bytes();
    assert!(
        tracker
            .destroyed(at(1), Message::new(&told).unwrap())
            .is_some()
    );
    assert_eq!(see(&mut tracker, 2, &Make::new(3)), Some(What::New));
}

#[test]
fn ends_beyond_the_bound_are_forgotten_and_counted() {
    let mut gone = Gone::new(2);
    let mut forgotten = 0;
    for cookie in 1..=3 {
        gone.remember(at(0), cookie, Ended::Destroyed, &mut forgotten);
    }
    assert_eq!((forgotten, gone.recall(1)), (1, None));
    // Old ones go uncounted.
    gone.remember(at(60_000), 4, Ended::Vanished, &mut forgotten);
    assert_eq!(
        (forgotten, gone.recall(3), gone.recall(4)),
        (1, None, Some(Ended::Vanished))
    );
}

#[test]
fn the_end_of_the_observation_tells_every_socket_once() {
    let mut tracker = tracker();
    tracker.begin(2);
    for cookie in 1..=1000 {
        see(&mut tracker, 0, &Make::new(cookie));
    }
    let mut ends = Vec::new();
    tracker.finish(at(1), &mut |end| {
        ends.push((end.message.cookie(), end.ended))
    });
    ends.sort_by_key(|end| end.0);
    let all: Vec<_> = (1..=1000).map(|cookie| (cookie, Ended::Open)).collect();
    assert_eq!(ends, all);
    assert!(tracker.is_empty() && tracker.missing() == 0);
}

#[test]
fn nothing_is_allocated_for_a_socket_that_is_known() {
    let mut tracker = tracker();
    let all: Vec<_> = (1..=2000_u64)
        .map(|cookie| Make::new(cookie).bytes())
        .collect();
    let poll = |tracker: &mut Tracker| {
        tracker.begin(2);
        for bytes in &all {
            tracker.see(at(1), Message::new(bytes).unwrap()).unwrap();
        }
        tracker.complete(at(1), 2, true, &mut |_| unreachable!());
    };
    let first = allocation_counter::measure(|| poll(&mut tracker));
    // The message, and what is beside it.
    let each = first.bytes_max / 2000;
    let message = all[0].len() as u64;
    assert!(each < message + 330, "{each} of {message}");
    let next = allocation_counter::measure(|| poll(&mut tracker));
    assert_eq!(next.count_total, 0);
}
