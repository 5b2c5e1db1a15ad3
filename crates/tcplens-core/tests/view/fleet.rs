//! What the fleet page keeps of rollups.

use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::fleet::{Fleet, FleetFilter, FleetRange, ROWS, SLOTS, STRIP};

use super::*;

const MINUTE: i64 = 60 * SECOND;

/// A minute of requests of one server: `counts` of 1 ms, 2 ms, 4 ms...
fn requests(minute: i64, server: u8, operation: &str, counts: &[u64]) -> Rollup {
    let all: u64 = counts.iter().sum();
    Rollup {
        time: Timestamp(minute * MINUTE),
        vantage: Vantage::Wire,
        server_ip: Some([10, 0, 0, server].into()),
        server_port: Some(6379),
        protocol: Some(Protocol::Redis),
        operation: Some(operation.to_owned()),
        capture_losses: 0,
        requests: Some(Box::new(RequestRollup {
            requests: Some(all + 1),
            answered: Some(all),
            errors: Some(1),
            unanswered: Some(1),
            retransmits: Some(2),
            request_bytes: Some(10 * all),
            response_bytes: Some(100 * all),
            upload_sum_us: None,
            process_sum_us: None,
            transfer_sum_us: None,
            total_sum_us: Some(Span::from_ns(1_000_000 * all)),
            budgets: Some(all),
            in_client_sum_us: Some(Span::from_ns(1)),
            in_queue_sum_us: Some(Span::from_ns(2)),
            in_server_sum_us: Some(Span::from_ns(3)),
            in_network_sum_us: Some(Span::from_ns(4)),
            in_loss_sum_us: Some(Span::from_ns(5)),
            in_window_sum_us: Some(Span::from_ns(6)),
            in_transfer_sum_us: Some(Span::from_ns(7)),
            total_ns: (0..counts.len()).map(|n| 1_000_000 << n).collect(),
            total_counts: counts.to_vec(),
            process_ns: Vec::new(),
            process_counts: Vec::new(),
        })),
        connections: None,
    }
}

fn connections(minute: i64, server: u8, failed: u64) -> Rollup {
    Rollup {
        protocol: None,
        operation: None,
        requests: None,
        connections: Some(Box::new(ConnectionRollup {
            attempts: Some(10),
            established: Some(10 - failed),
            failed: Some(failed),
            refused: Some(failed),
            silent: Some(0),
            syn_retransmits: Some(1),
            connect_ns: vec![500_000],
            connect_counts: vec![10 - failed],
            ended: Some(3),
            resets: Some(1),
            client_bytes: Some(1000),
            server_bytes: Some(2000),
            data_segments: None,
            repeated_segments: Some(0),
            zero_windows: None,
            rtt_sum_us: Some(Span::from_ns(400_000)),
            rtt_samples: Some(4),
        })),
        ..requests(minute, server, "", &[])
    }
}

fn range(from_minute: i64, until_minute: i64) -> FleetRange {
    let [from, until] = [from_minute, until_minute].map(|minute| Timestamp(minute * MINUTE));
    FleetRange::of(from, until)
}

#[test]
fn slices_are_whole_minutes_and_never_more_than_the_plots_have_columns() {
    for (minutes, width) in [
        (1, 1),
        (60, 1),
        (239, 1),
        (360, 5),
        (1440, 10),
        (1440 * 7, 60),
    ] {
        let range = range(7, 7 + minutes);
        assert_eq!(range.width_ns, width * MINUTE, "{minutes}");
        assert!(range.from <= Timestamp(7 * MINUTE), "{minutes}");
        assert!(
            range.until >= Timestamp((7 + minutes) * MINUTE),
            "{minutes}"
        );
        assert!(
            range.slots() <= usize::try_from(SLOTS).unwrap(),
            "{minutes}"
        );
    }
    // What no width holds ends sooner; what ends before it begins has one slice.
    let all = FleetRange::of(Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(all.slots(), usize::try_from(SLOTS).unwrap());
    assert_eq!(range(7, 5).slots(), 1);
}

#[test]
fn repeats_of_which_no_number_of_segments_is_known_are_not_part_of_a_share() {
    let of = |data, repeated| {
        let mut rollup = connections(1, 1, 0);
        let counts = rollup.connections.as_mut().unwrap();
        (counts.data_segments, counts.repeated_segments) = (data, Some(repeated));
        rollup
    };
    let mut fleet = Fleet::new(range(0, 60), FleetFilter::default());
    for (host, rollup) in [("packets", of(Some(100), 3)), ("kernel", of(None, 50))] {
        fleet.add(host, &rollup);
    }
    fleet.finish();
    let total = fleet.total();
    assert_eq!(total.repeated_segments, 53);
    assert_eq!((total.data_segments, total.data_repeats), (Some(100), 3));
}

#[test]
fn rollups_add_up_by_slice_server_operation_and_host_whatever_their_order() {
    let rollups = [
        ("a", requests(0, 1, "GET", &[90, 9, 1])),
        ("b", requests(0, 1, "GET", &[90, 9, 1])),
        ("a", requests(1, 1, "SET", &[10])),
        ("b", requests(59, 2, "GET", &[0, 0, 0, 5])),
        ("a", connections(1, 2, 4)),
        // Not within the hour.
        ("a", requests(60, 3, "GET", &[1])),
        ("a", requests(-1, 3, "GET", &[1])),
    ];
    let of = |order: &mut dyn Iterator<Item = &(&str, Rollup)>| {
        let mut fleet = Fleet::new(range(0, 60), FleetFilter::default());
        order.for_each(|(host, rollup)| fleet.add(host, rollup));
        fleet.finish();
        fleet
    };
    let fleet = of(&mut rollups.iter());
    let total = fleet.total();
    assert_eq!(
        (fleet.rollups(), fleet.last()),
        (5, Some(Timestamp(59 * MINUTE)))
    );
    assert_eq!((total.requests, total.answered), (219, 215));
    assert_eq!((total.errors, total.unanswered, total.failed), (4, 4, 4));
    assert_eq!(
        (total.attempts, total.established, total.troubles()),
        (10, 6, 12)
    );
    assert_eq!(total.budget_ns, [4, 8, 12, 16, 20, 24, 28]);
    assert_eq!((total.bytes, total.connection_bytes), (110 * 215, 3000));
    // Of connections that only a kernel saw, packets are not known.
    assert_eq!((total.data_segments, total.zero_windows), (None, None));
    assert_eq!(total.rtt(), Some(Span::from_ns(100_000)));
    assert_eq!(total.latency.count(), 215);
    let p99 = total.latency.quantile(990).unwrap().ns();
    assert!(p99.abs_diff(8_000_000) < 64_000, "{p99}");

    let minutes: Vec<_> = (fleet.slots().iter().enumerate())
        .filter(|(_, slot)| slot.requests + slot.attempts > 0)
        .map(|(minute, slot)| (minute, slot.requests, slot.attempts))
        .collect();
    assert_eq!(minutes, [(0, 202, 0), (1, 11, 10), (59, 6, 0)]);
    let servers: Vec<_> = (fleet.servers().rows().into_iter())
        .map(|(key, row)| (key.0.to_string(), row.sum.requests, row.sum.failed))
        .collect();
    assert_eq!(
        servers,
        [
            ("10.0.0.1".to_owned(), 213, 0),
            ("10.0.0.2".to_owned(), 6, 4)
        ]
    );
    let operations: Vec<_> = (fleet.operations().rows().into_iter())
        .map(|(key, row)| {
            (
                key.server.0.to_string(),
                key.operation.clone().unwrap(),
                row.sum.requests,
            )
        })
        .collect();
    let of_operation =
        |server: &str, operation: &str, n| (server.to_owned(), operation.to_owned(), n);
    assert_eq!(
        operations,
        [
            of_operation("10.0.0.1", "GET", 202),
            of_operation("10.0.0.1", "SET", 11),
            of_operation("10.0.0.2", "GET", 6)
        ]
    );
    let hosts: Vec<_> = (fleet.hosts().rows().into_iter())
        .map(|(host, row)| (host.as_str(), row.sum.requests, row.sum.attempts))
        .collect();
    assert_eq!(hosts, [("a", 112, 10), ("b", 107, 0)]);
    // A row's picture has all of it, where it belongs.
    let servers = fleet.servers().rows();
    let pips = |n: usize| -> Vec<(usize, u64, u64)> {
        let strip = servers[n].1.strip.iter().enumerate();
        strip
            .filter(|(_, pip)| pip.many + pip.troubles > 0)
            .map(|(at, pip)| (at, pip.many, pip.troubles))
            .collect()
    };
    assert_eq!(pips(0), [(0, 213, 6)]);
    assert_eq!(pips(1), [(0, 0, 4), (STRIP - 1, 6, 2)]);

    let backwards = of(&mut rollups.iter().rev());
    assert_eq!(backwards.slots(), fleet.slots());
    assert_eq!(backwards.total(), fleet.total());
    assert_eq!(backwards.servers().rows(), fleet.servers().rows());
}

#[test]
fn a_filter_leaves_only_what_passes_it_and_of_operations_no_connections() {
    let rollups = [
        ("a", requests(0, 1, "GET", &[3])),
        ("b", requests(0, 1, "SET", &[5])),
        ("b", requests(0, 2, "GET", &[7])),
        ("b", connections(0, 1, 1)),
    ];
    let of = |filter: FleetFilter| {
        let mut fleet = Fleet::new(range(0, 60), filter);
        rollups
            .iter()
            .for_each(|(host, rollup)| fleet.add(host, rollup));
        (fleet.total().answered, fleet.total().attempts)
    };
    let server = Some(([10, 0, 0, 1].into(), 6379));
    let (host, operation) = (Some("b".to_owned()), Some("GET".to_owned()));
    let none = FleetFilter::default;
    assert_eq!(of(none()), (15, 10));
    assert_eq!(of(FleetFilter { server, ..none() }), (8, 10));
    assert_eq!(
        of(FleetFilter {
            host: host.clone(),
            ..none()
        }),
        (12, 10)
    );
    assert_eq!(
        of(FleetFilter {
            operation: operation.clone(),
            ..none()
        }),
        (10, 0)
    );
    assert_eq!(
        of(FleetFilter {
            protocol: Some(Protocol::Http),
            ..none()
        }),
        (0, 0)
    );
    let all = FleetFilter {
        host,
        server,
        protocol: Some(Protocol::Redis),
        operation,
    };
    assert_eq!(of(all), (0, 0));
}

#[test]
fn however_many_servers_there_are_rows_are_bounded_and_nothing_is_lost() {
    let mut fleet = Fleet::new(range(0, 60), FleetFilter::default());
    let mut sent = 0;
    for n in 0..5000_u64 {
        // One of them matters; the others come and go, and the last ones are a little more.
        for (port, many) in [(n, 1 + n / 4900), (70_000, 10)] {
            let rollup = Rollup {
                server_port: Some(port),
                ..requests(i64::try_from(n % 60).unwrap(), 1, "GET", &[many])
            };
            fleet.add("a", &rollup);
            sent += many;
        }
        assert!(fleet.servers().rows().len() <= 2 * ROWS);
    }
    fleet.finish();
    let rows = fleet.servers().rows();
    assert_eq!(rows.len(), ROWS);
    let ((_, port), first) = rows[0];
    assert_eq!(
        (*port, first.sum.answered, first.is_late),
        (70_000, 50_000, false)
    );
    assert!(rows[1..].iter().any(|(_, row)| row.is_late));
    let others = &fleet.servers().others().sum;
    let shown: u64 = rows.iter().map(|(_, row)| row.sum.answered).sum();
    assert_eq!(shown + others.answered, sent);
    assert!(fleet.servers().joined() >= 5000 - ROWS as u64);
    // What has no server of its own is among the others.
    let nobody = Rollup {
        server_ip: None,
        server_port: None,
        ..requests(0, 1, "GET", &[4])
    };
    fleet.add("a", &nobody);
    assert_eq!(
        fleet.servers().others().sum.answered,
        others_of(&fleet, sent + 4)
    );
}

fn others_of(fleet: &Fleet, all: u64) -> u64 {
    let rows = fleet.servers().rows();
    all - rows.iter().map(|(_, row)| row.sum.answered).sum::<u64>()
}
