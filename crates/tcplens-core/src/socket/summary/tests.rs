use super::super::close::{Facts, ending};
use super::super::map::Listeners;
use super::super::testing::Make;
use super::super::tracker::{LIMIT, Tracker};
use super::super::{Message, SaveWhen};
use super::*;
use crate::record::{RoleFrom, SocketClose};
use crate::time::Timestamp;

const S: i64 = 1_000_000_000;

#[test]
fn a_connection_is_summed_up_from_its_polls_and_its_end() {
    let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
    let polls = [
        Make::new(7).set(&[("rtt", 900), ("snd_cwnd", 10)]),
        Make::new(7).set(&[("rtt", 5000), ("snd_cwnd", 40), ("delivery_rate", 70)]),
    ];
    for (n, poll) in (0..).zip(&polls) {
        tracker.begin(2);
        let bytes = poll.bytes();
        tracker
            .see(Timestamp(n * S), Message::new(&bytes).unwrap())
            .unwrap();
    }
    let told = Make::new(7).destroyed().traffic(4000, 3501, 101, 1).set(&[
        ("bytes_retrans", 500),
        ("total_retrans", 2),
        ("segs_out", 10),
        ("rtt", 3000),
        ("min_rtt", 700),
        ("snd_cwnd", 20),
        ("busy_time", 1_500_000),
        ("rwnd_limited", 900_000),
    ]);
    let bytes = told.bytes();
    let mut listeners = Listeners::default();
    listeners.add(5001);
    let end = tracker
        .destroyed(Timestamp(2 * S), Message::new(&bytes).unwrap())
        .unwrap();
    let facts = Facts {
        is_server: Some(listeners.has(5001)),
        ..Facts::default()
    };
    let ending = ending(&end, &facts);
    let context = Context {
        listeners: Some(&listeners),
        ..Context::default()
    };
    let summary = summary(&end, &ending, &facts, &context);
    assert_eq!(summary.duration_us, Some(Span::from_ns(2_000_000_000)));
    assert_eq!((summary.polls, summary.snapshots), (2, 3));
    assert_eq!(
        (summary.close, summary.final_info),
        (SocketClose::Fin, true)
    );
    assert_eq!(
        (summary.sent_bytes, summary.send_rate),
        (Some(3500), Some(1750))
    );
    // One segment came between the last poll and the end: whether with a FIN is not known.
    assert_eq!(
        (summary.received_bytes, summary.bytes_received),
        (None, Some(101))
    );
    assert_eq!(summary.retransmits_per_million, Some(200_000));
    let us = |us: u64| Some(Span::from_ns(us * 1000));
    assert_eq!((summary.first_rtt_us, summary.rtt_us), (us(900), us(3000)));
    assert_eq!(
        (summary.max_rtt_us, summary.min_rtt_us),
        (us(5000), us(700))
    );
    assert_eq!(
        (summary.first_snd_cwnd, summary.max_snd_cwnd),
        (Some(10), Some(40))
    );
    assert_eq!(summary.max_delivery_rate, Some(70));
    assert_eq!(summary.rwnd_limited_per_million, Some(450_000));
    assert_eq!(summary.limited_by, Some(Limit::ReceiverWindow));
    let judged = [summary.congested, summary.bloated, summary.small];
    assert_eq!(judged, [Some(true); 3]);
    assert_eq!(
        (summary.server_port, summary.role_from),
        (Some(5001), Some(RoleFrom::Socket))
    );
    assert_eq!(
        (summary.uid, summary.congestion),
        (Some(1000), Some("cubic"))
    );
    assert_eq!(summary.last_state, Some(SocketState::Established));
}

#[test]
fn one_that_was_never_polled_has_no_duration_and_no_rates() {
    let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
    let told = Make::new(7).destroyed().traffic(10, 12, 0, 0).bytes();
    let end = tracker
        .destroyed(Timestamp(S), Message::new(&told).unwrap())
        .unwrap();
    let facts = Facts::default();
    let ending_of = ending(&end, &facts);
    let one = summary(&end, &ending_of, &facts, &Context::default());
    assert_eq!(
        (one.duration_us, one.send_rate, one.limited_by),
        (None, None, None)
    );
    assert_eq!((one.polls, one.snapshots, one.last_state), (0, 1, None));
    assert_eq!((one.sent_bytes, one.uid), (Some(10), None));
    let opened = Facts {
        opened: Some(Timestamp(S / 2)),
        ..facts
    };
    let one = summary(&end, &ending_of, &opened, &Context::default());
    assert_eq!((one.time, one.send_rate), (Timestamp(S / 2), Some(20)));
}

#[test]
fn the_longest_part_limits_and_of_equals_the_first() {
    let limit = |busy, window, buffer| {
        limit(
            [busy, window, buffer].map(Span::from_ns),
            Span::from_ns(100),
        )
    };
    assert_eq!(limit(0, 0, 0), Limit::Application);
    assert_eq!(limit(60, 10, 10), Limit::Congestion);
    assert_eq!(limit(60, 40, 10), Limit::ReceiverWindow);
    assert_eq!(limit(60, 10, 45), Limit::Sender);
    assert_eq!(limit(50, 50, 0), Limit::ReceiverWindow);
}

#[test]
fn what_a_connection_did_before_it_was_first_seen_is_no_part_of_rates_and_shares() {
    let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
    // An hour old: 10 GB sent, most of it limited by the peer's window.
    let old = Make::new(7)
        .traffic(10_000_000_000, 10_000_000_001, 5000, 10)
        .set(&[
            ("busy_time", 3_600_000_000),
            ("rwnd_limited", 3_000_000_000),
        ]);
    tracker.begin(2);
    let bytes = old.bytes();
    tracker.see(Timestamp(0), Message::new(&bytes).unwrap());
    let told = old
        .destroyed()
        .traffic(10_000_002_000, 10_000_002_002, 5100, 11)
        .set(&[
            ("busy_time", 3_601_000_000),
            ("rwnd_limited", 3_000_000_000),
        ])
        .bytes();
    let end = tracker
        .destroyed(Timestamp(2 * S), Message::new(&told).unwrap())
        .unwrap();
    let facts = Facts {
        received: Some(5100),
        ..Facts::default()
    };
    let ending = ending(&end, &facts);
    let summary = summary(&end, &ending, &facts, &Context::default());
    assert_eq!(summary.sent_bytes, Some(10_000_002_000));
    assert_eq!(
        (summary.send_rate, summary.receive_rate),
        (Some(1000), Some(50))
    );
    assert_eq!(summary.busy_time_us, Some(Span::from_ns(3_601_000_000_000)));
    assert_eq!(
        (summary.busy_per_million, summary.rwnd_limited_per_million),
        (Some(500_000), Some(0))
    );
    assert_eq!(summary.limited_by, Some(Limit::Congestion));
    // Who knows when it was opened knows its whole life.
    let facts = Facts {
        opened: Some(Timestamp(-3598 * S)),
        ..facts
    };
    let summary = super::summary(&end, &ending, &facts, &Context::default());
    assert_eq!(summary.send_rate, Some(2_777_778));
}
