use super::super::message::{HEAD, push_attribute, state};
use super::*;

/// A server of ours.
fn place(port: u64, is_server: bool) -> Place {
    Place {
        server: ([10, 0, 0, 1].into(), port),
        is_server,
    }
}

/// What a connection has done.
fn sample(sent: u64, received: u64) -> Sample {
    Sample {
        sent_bytes: Some(sent),
        received_bytes: Some(received),
        acked_bytes: Some(sent),
        retransmits: Some(u32::try_from(sent / 1000).unwrap()),
        data_segments: Some(u32::try_from(sent / 100).unwrap()),
        rtt_us: Some(250),
        min_rtt_us: Some(200),
        ..Sample::default()
    }
}

/// A message in a state, with `struct tcp_info` of these fields (offset, value of 8 bytes).
fn message(state: u8, fields: &[(usize, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    bytes[..2].copy_from_slice(&[2, state]);
    let mut info = vec![0; tcp_info::KNOWN];
    for &(offset, value) in fields {
        info[offset..offset + 8].copy_from_slice(&value.to_ne_bytes());
    }
    push_attribute(&mut bytes, kind::INFO, &info);
    bytes
}

#[test]
fn totals_are_those_of_the_last_words_however_often_was_looked() {
    let mut metrics = SocketMetrics::default();
    let at = Timestamp(0);
    // One that was there before: what it did until then is not counted.
    let old = sample(5_000_000, 7_000_000);
    metrics.found(at, place(80, true));
    metrics.changed(at, place(80, true), &old, &sample(5_000_100, 7_000_001));
    // One that was seen often.
    let looks = [sample(0, 0), sample(1_000, 10), sample(500_000, 20)];
    metrics.opened(at, place(80, true), Some(&looks[0]));
    for both in looks.windows(2) {
        metrics.changed(at, place(80, true), &both[0], &both[1]);
    }
    let last = sample(1_000_000, 30);
    metrics.ended(at, place(80, true), (Some(&looks[2]), Some(&last)), "fin");
    // One that only its end told of.
    metrics.opened(at, place(80, true), None);
    let last = sample(1_500_000, 40);
    metrics.ended(at, place(80, true), (None, Some(&last)), "reset");
    // One of which the last look told nothing.
    metrics.opened(at, place(80, true), Some(&sample(3, 4)));
    metrics.ended(at, place(80, true), (Some(&sample(3, 4)), None), "vanished");
    assert_eq!(metrics.bytes(), [2_500_103, 75]);
    let (_, server) = metrics.servers().next().unwrap();
    let sides: Vec<_> = server.sides().collect();
    assert_eq!(sides.len(), 1);
    let (is_server, counts) = sides[0];
    assert!(is_server);
    assert_eq!((counts.opened, counts.sent_bytes.value()), (3, 2_500_103));
    assert_eq!(counts.closed(), [("fin", 1), ("reset", 1), ("vanished", 1)]);
    assert_eq!(counts.retransmits.value(), 2500);
    assert_eq!(counts.min_rtt.count(), 2);
    assert_eq!(metrics.events, [4, 3]);
}

#[test]
fn a_fin_is_no_payload_and_one_that_was_counted_is_made_up_for() {
    // bytes_received is at 128, a FIN among it from CLOSE_WAIT on.
    let before = message(state::ESTABLISHED, &[(128, 1000)]);
    let after = message(state::CLOSE_WAIT, &[(128, 1001)]);
    let [before, after] = [&before, &after].map(|bytes| Sample::of(Message::new(bytes).unwrap()));
    assert_eq!(after.received_bytes, Some(1000));
    let mut total = Total::default();
    total.step(None, before.received_bytes);
    total.step(before.received_bytes, after.received_bytes);
    assert_eq!(total.value(), 1000);
    // The FIN came when the state was read already.
    let mut total = Total::default();
    total.step(None, Some(1001));
    total.step(Some(1001), Some(1000));
    assert_eq!(total.value(), 1001);
    total.step(None, Some(500));
    assert_eq!(total.value(), 1500);
}

#[test]
fn counters_of_32_bits_may_begin_anew_and_absent_ones_say_nothing() {
    let mut total = Total::default();
    total.step_u32(Some(u32::MAX - 9), Some(20));
    total.step_u32(Some(20), None);
    total.step_u32(Some(20), Some(10));
    total.step_u32(None, Some(u32::MAX));
    assert_eq!(total.value(), 30 + u64::from(u32::MAX));
    total.step(Some(7), None);
    assert_eq!(total.value(), 30 + u64::from(u32::MAX));
}

#[test]
fn remains_without_statistics_and_short_statistics_change_nothing() {
    let mut bytes = vec![0; HEAD];
    bytes[1] = state::FIN_WAIT2;
    assert_eq!(Sample::of(Message::new(&bytes).unwrap()), Sample::default());
    // Linux 3.x: 104 bytes, without counts of bytes.
    push_attribute(&mut bytes, kind::INFO, &[1; 104]);
    let sample = Sample::of(Message::new(&bytes).unwrap());
    assert_eq!((sample.sent_bytes, sample.received_bytes), (None, None));
    assert_eq!(sample.rtt_us, Some(0x0101_0101));
    let mut metrics = SocketMetrics::default();
    metrics.changed(Timestamp(0), place(1, true), &Sample::default(), &sample);
    assert_eq!(metrics.bytes(), [0, 0]);
}

#[test]
fn rates_are_bits_of_a_second_and_sum_to_all_of_them() {
    let mut metrics = SocketMetrics::default();
    let at = Timestamp(0);
    let second = Span::from_ns(1_000_000_000);
    metrics.opened(at, place(80, false), Some(&sample(1_250, 0)));
    metrics.rates(second);
    metrics.rates(second);
    // The next look was 10 s later: the rate is that of ten seconds.
    metrics.changed(at, place(80, false), &sample(1_250, 0), &sample(12_501, 7));
    metrics.rates(Span::from_ns(9_900_000_000));
    let below = |histogram: &Histogram, edge: u64| {
        let found = histogram.at_most().find(|(at, _)| *at == edge);
        found.unwrap().1
    };
    let [send, receive] = [&metrics.send_rate, &metrics.receive_rate];
    assert_eq!((send.count(), send.sum), (12, 12_501 * 8));
    assert_eq!([0, 6_310, 10_000].map(|edge| below(send, edge)), [1, 1, 12]);
    assert_eq!((receive.count(), receive.sum), (12, 56));
    assert_eq!([0, 1, 10].map(|edge| below(receive, edge)), [2, 2, 12]);
}

#[test]
fn a_round_trip_counts_when_something_was_acknowledged_and_a_rate_where_the_application_did_not_limit_it()
 {
    let mut counts = SocketCounts::default();
    let now = Sample {
        delivery_rate: Some(300_000),
        ..sample(1_000, 0)
    };
    counts.count(&Sample::default(), &now);
    counts.count(&now, &now);
    counts.count(
        &now,
        &Sample {
            rwnd_limited_us: Some(5),
            ..now
        },
    );
    assert_eq!((counts.rtt.count(), counts.delivery_rate.count()), (1, 1));
    assert_eq!(counts.rwnd_limited_us.value(), 5);
    // delivery_rate at 160, the flag in byte 7; rtt at 68.
    for (flag, expected) in [(0, Some(9)), (1_u64 << 56, None)] {
        let bytes = message(state::ESTABLISHED, &[(0, flag), (160, 9)]);
        let sample = Sample::of(Message::new(&bytes).unwrap());
        assert_eq!(sample.delivery_rate, expected);
    }
}

#[test]
fn a_census_counts_anew_and_servers_without_a_row_together() {
    let mut metrics = SocketMetrics::default();
    metrics.found(Timestamp(0), place(80, true));
    for _ in 0..2 {
        let mut census = metrics.census();
        census.socket(state::ESTABLISHED, Some(place(80, true)));
        census.socket(state::ESTABLISHED, Some(place(80, false)));
        census.socket(state::CLOSE_WAIT, Some(place(81, true)));
        census.socket(99, None);
        for port in 0..110 {
            census.socket(state::LISTEN, None);
            let queue = Queue {
                waiting: 1,
                limit: 128,
            };
            census.listener(([0, 0, 0, 0].into(), port), queue);
            census.listener(([0, 0, 0, 0].into(), 5), queue);
        }
    }
    let standing = metrics.standing();
    assert_eq!(standing.states[1], 2);
    assert_eq!((standing.states[0], standing.states[10]), (1, 110));
    let server = ([10, 0, 0, 1].into(), 80);
    assert_eq!(standing.connections[&server], [1, 1]);
    assert_eq!(standing.other_connections, [0, 1]);
    assert_eq!(standing.listeners.len(), LISTENERS);
    assert_eq!(standing.listeners[&([0, 0, 0, 0].into(), 5)].waiting, 111);
    assert_eq!(
        standing.other_queue,
        Some(Queue {
            waiting: 10,
            limit: 1280
        })
    );
    assert_eq!(metrics.limit_hits()[2], ("metrics_other_listeners", 20));
}

#[test]
fn attributes_that_are_longer_than_known_or_not_known_are_counted() {
    let mut bytes = message(state::ESTABLISHED, &[]);
    push_attribute(&mut bytes, kind::SKMEMINFO, &[0; 40]);
    push_attribute(&mut bytes, kind::CONG, b"cubic\0");
    push_attribute(&mut bytes, 99, &[]);
    push_attribute(&mut bytes, kind::ULP_INFO, &[]);
    let mut metrics = SocketMetrics::default();
    metrics.snapshot(Message::new(&bytes).unwrap());
    metrics.snapshot(Message::new(&bytes).unwrap());
    assert_eq!((metrics.snapshots, metrics.large), (2, [0, 0, 0, 2, 0, 0]));
    assert_eq!(Vec::from_iter(metrics.skipped()), [(19, 2), (99, 2)]);
    for number in 1000..2000 {
        let mut bytes = vec![0; HEAD];
        push_attribute(&mut bytes, number, &[]);
        metrics.snapshot(Message::new(&bytes).unwrap());
    }
    assert_eq!(metrics.skipped().count(), SKIPPED);
}

#[test]
fn servers_are_bounded_and_the_rest_is_one() {
    let mut metrics = SocketMetrics::default();
    for port in 1..=300 {
        let both = [true, false].map(|is_server| place(port, is_server));
        for place in both {
            metrics.opened(Timestamp(0), place, Some(&sample(10, 1)));
        }
    }
    assert_eq!(metrics.servers().count(), 50);
    assert_eq!(metrics.bytes(), [6_000, 600]);
    let rows = metrics.servers().map(|(_, row)| row);
    let rows = rows.chain([metrics.other_servers()]);
    let sent: u64 = rows
        .flat_map(ServerSockets::sides)
        .map(|(_, counts)| counts.sent_bytes.value())
        .sum();
    assert_eq!(sent, 6_000);
    assert!(metrics.limit_hits()[0].1 > 0);
}

#[test]
fn edges_ascend_and_have_those_of_tcp_info_that_say_something() {
    use super::histogram::{DELIVERY, INTERVAL, RATE, SOCKETS, SYSCALL};
    for edges in [&DELIVERY, &INTERVAL, &RATE, &SOCKETS, &SYSCALL] {
        assert!(edges.values.is_sorted_by(|a, b| a < b), "{edges:?}");
    }
    for ns in [1_000_000, 7_900_000, 79_000_000, 200_000_000] {
        assert!(SYSCALL.values.contains(&ns), "{ns}");
    }
}
