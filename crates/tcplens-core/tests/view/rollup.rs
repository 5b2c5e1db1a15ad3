//! Rollups: what is in the rows of minutes is what was in the records, whatever the order.

use proptest::prelude::*;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_core::view::requests::{budget, is_undecided, took};
use tcplens_core::view::rollup::{MINUTE, OF_SERVER, OPERATIONS, OTHER, SERVERS};

use super::*;

fn add(rollups: &mut Rollups, made: &Made) {
    let at = Timestamp::MAX;
    match made {
        Made::Handshake(record) => rollups.add(AnyRecord::Handshake(record), at),
        Made::Connection(record) => rollups.add(AnyRecord::Connection(record), at),
        Made::Request(record) => rollups.request(record, at),
    }
}

fn of<'m>(records: impl IntoIterator<Item = &'m Made>) -> Rollups {
    let mut rollups = Rollups::default();
    records.into_iter().for_each(|made| add(&mut rollups, made));
    rollups
}

fn rows(mut rollups: Rollups) -> Vec<Rollup> {
    let mut rows = Vec::new();
    rollups.take_until(Timestamp::MAX, &mut |row| rows.push(row));
    assert_eq!(rollups.rows(), 0);
    rows
}

/// Any record of a few servers and operations.
fn made() -> impl Strategy<Value = Made> {
    (0..5_u8, 0..300_u64, 0..4_u8, 0..200_u64, 0..3_usize).prop_map(|(what, n, who, ms, which)| {
        let server = format!("10.0.0.{who}");
        let second = n as i64;
        let operation = [None, Some("GET"), Some("SET")][which];
        match what {
            0 => Made::from(Request {
                operation,
                capture_loss: ms == 7,
                ..request(n, &server, 6379, ms)
            }),
            1 => Made::from(Request {
                status: if which == 0 {
                    Status::Error
                } else {
                    Status::Ok
                },
                protocol: Protocol::Http,
                ..request(n, &server, 80, ms)
            }),
            2 => {
                let ended_by = [EndedBy::Observation, EndedBy::Gap, EndedBy::Reset][which];
                Made::from(unanswered(ended_by, request(n, &server, 80, ms)))
            }
            3 => {
                let outcome = [Outcome::Refused, Outcome::TimedOut, Outcome::Established][which];
                let established = handshake(second, CLIENT, &server, 80);
                Made::from(match outcome {
                    Outcome::Established => established,
                    outcome => failed(outcome, ms, established),
                })
            }
            _ => Made::from(Connection {
                close: [Close::Fin, Close::RstByServer, Close::Open][which],
                connection_id: ConnectionId::Packets {
                    first: START,
                    flow: n as u32,
                },
                ..connection(second, CLIENT, &server, 80)
            }),
        }
    })
}

/// One number of all rows together.
fn sum(rows: &[Rollup], of: impl Fn(&Rollup) -> Option<u64>) -> u64 {
    rows.iter().filter_map(of).sum()
}

fn of_requests(of: fn(&RequestRollup) -> Option<u64>) -> impl Fn(&Rollup) -> Option<u64> {
    move |row| row.requests.as_deref().and_then(of)
}

fn of_connections(of: fn(&ConnectionRollup) -> Option<u64>) -> impl Fn(&Rollup) -> Option<u64> {
    move |row| row.connections.as_deref().and_then(of)
}

proptest! {
    #[test]
    fn sums_of_rows_are_sums_of_records(made in prop::collection::vec(made(), 0..80)) {
        let rows = rows(of(&made));
        let requests = || made.iter().filter_map(|made| match made {
            Made::Request(request) => Some(&**request),
            Made::Handshake(_) | Made::Connection(_) => None,
        });
        let ns = |of: fn(&Request<'_>) -> Option<Span>| -> u64 { requests().filter_map(of).map(Span::ns).sum() };
        prop_assert_eq!(sum(&rows, of_requests(|row| row.requests)), requests().count() as u64);
        let errors = requests().filter(|request| request.status == Status::Error).count();
        prop_assert_eq!(sum(&rows, of_requests(|row| row.errors)), errors as u64);
        let unanswered = requests().filter(|request| request.status == Status::Unanswered && !is_undecided(request)).count();
        prop_assert_eq!(sum(&rows, of_requests(|row| row.unanswered)), unanswered as u64);
        let bytes: u64 = requests().map(|request| request.response_bytes).sum();
        prop_assert_eq!(sum(&rows, of_requests(|row| row.response_bytes)), bytes);
        prop_assert_eq!(sum(&rows, of_requests(|row| row.process_sum_us.map(Span::ns))), ns(|request| request.process_us));
        prop_assert_eq!(sum(&rows, of_requests(|row| row.total_sum_us.map(Span::ns))), ns(|request| request.total_us));
        prop_assert_eq!(sum(&rows, of_requests(|row| row.in_server_sum_us.map(Span::ns))), ns(|request| request.in_server_us));
        let budgets = requests().filter(|request| budget(request).is_some()).count();
        prop_assert_eq!(sum(&rows, of_requests(|row| row.budgets)), budgets as u64);
        let answered = requests().filter(|request| took(request).is_some()).count();
        prop_assert_eq!(sum(&rows, of_requests(|row| Some(row.total_counts.iter().sum()))), answered as u64);
        let connections = || made.iter().filter_map(|made| match made {
            Made::Connection(connection) => Some(&**connection),
            Made::Handshake(_) | Made::Request(_) => None,
        });
        // The same connection twice adds nothing the second time, where it is in parts; here each is whole.
        let bytes: u64 = connections().map(|connection| connection.server.bytes).sum();
        prop_assert_eq!(sum(&rows, of_connections(|row| row.server_bytes)), bytes);
        let ended = connections().filter(|connection| connection.close != Close::Open).count();
        prop_assert_eq!(sum(&rows, of_connections(|row| row.ended)), ended as u64);
        let attempts = made.iter().filter(|made| matches!(made, Made::Handshake(_))).count();
        prop_assert_eq!(sum(&rows, of_connections(|row| row.attempts)), attempts as u64);
        let lost = requests().filter(|request| request.capture_loss).count();
        prop_assert_eq!(sum(&rows, |row| Some(row.capture_losses)), lost as u64);
        for row in &rows {
            prop_assert_eq!(row.time.0.rem_euclid(MINUTE), 0);
            prop_assert!(row.requests.is_some() != row.connections.is_some());
            prop_assert_eq!(row.requests.is_some(), row.protocol.is_some());
        }
    }

    #[test]
    fn neither_the_order_nor_who_counted_shows(made in prop::collection::vec(made(), 0..60), cut in any::<prop::sample::Index>()) {
        let all = rows(of(&made));
        prop_assert_eq!(&rows(of(made.iter().rev())), &all);
        let (first, second) = made.split_at(cut.index(made.len() + 1));
        let mut merged = of(second);
        merged.merge(of(first));
        prop_assert_eq!(&rows(merged), &all);
        // Rows of a minute that was given twice add up to what it is.
        let mut twice = Rollups::default();
        for part in [first, second] {
            rows(of(part)).iter().for_each(|row| twice.add_rollup(row));
        }
        prop_assert_eq!(&rows(twice), &all);
        let mut sums: Vec<Rollup> = Vec::new();
        for row in rows(of(second)).into_iter().chain(rows(of(first))) {
            let is_it = |sum: &&mut Rollup| {
                (sum.time, sum.server_ip, sum.protocol, &sum.operation) == (row.time, row.server_ip, row.protocol, &row.operation)
                    && sum.server_port == row.server_port
            };
            match sums.iter_mut().find(is_it) {
                Some(sum) => sum.merge(&row),
                None => sums.push(row),
            }
        }
        prop_assert_eq!(sums.len(), all.len());
        for sum in &sums {
            prop_assert!(all.contains(sum), "{sum:?}");
        }
    }
}

#[test]
fn a_minute_is_given_once_it_is_over_and_late_records_make_one_more_row() {
    let mut rollups = Rollups::default();
    let minute = Timestamp(START.0.div_euclid(MINUTE) * MINUTE);
    let in_minute = |n: i64| Request {
        time: minute.plus(n * MINUTE),
        ..request(0, "10.0.0.1", 6379, 3)
    };
    rollups.request(&in_minute(0), Timestamp::MAX);
    rollups.request(&in_minute(1), Timestamp::MAX);
    let mut given = Vec::new();
    rollups.take_until(minute.plus(MINUTE - 1), &mut |row| given.push(row.time));
    assert_eq!(given, []);
    rollups.take_until(minute.plus(MINUTE), &mut |row| given.push(row.time));
    assert_eq!(given, [minute]);
    rollups.request(&in_minute(0), Timestamp::MAX);
    given.clear();
    rollups.take_until(Timestamp::MAX, &mut |row| given.push(row.time));
    assert_eq!(given, [minute, minute.plus(MINUTE)]);
}

#[test]
fn a_request_counts_when_it_ended_and_never_after_it_was_known() {
    let minute = START.0.div_euclid(MINUTE) + 1;
    let begun = Timestamp(minute * MINUTE - SECOND);
    let long = Request {
        time: begun,
        total_us: ms(2000),
        ..request(0, "10.0.0.1", 6379, 3)
    };
    for (known, expected) in [(Timestamp::MAX, minute), (begun, minute - 1)] {
        let mut rollups = Rollups::default();
        rollups.request(&long, known);
        assert_eq!(rows(rollups)[0].time, Timestamp(expected * MINUTE));
    }
}

#[test]
fn a_connection_in_parts_counts_what_each_part_adds_in_its_minute() {
    let part = |n: u64, bytes: u64, minutes: u64| Connection {
        part: Some(n),
        is_final: n == 3,
        close: if n == 3 { Close::Fin } else { Close::Open },
        duration_us: Some(Span::from_ns(minutes * MINUTE.unsigned_abs())),
        server: Sent {
            bytes,
            ..Sent::default()
        },
        ..connection(0, CLIENT, "10.0.0.1", 80)
    };
    let parts = [part(1, 100, 1), part(2, 100, 2), part(3, 350, 3)];
    let made: Vec<Made> = parts.into_iter().map(Made::from).collect();
    let rows = rows(of(&made));
    let of = |row: &Rollup| {
        let it = row.connections.as_ref().unwrap();
        (it.server_bytes, it.ended)
    };
    let found: Vec<_> = rows.iter().map(of).collect();
    let expected = [
        (Some(100), Some(0)),
        (Some(0), Some(0)),
        (Some(250), Some(1)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_finds_no_row_of_its_own_is_counted_with_others_and_told() {
    let mut rollups = Rollups::default();
    let names: Vec<String> = (0..OF_SERVER + 3).map(|n| format!("OP{n}")).collect();
    for name in &names {
        let request = Request {
            operation: Some(name),
            ..request(0, "10.0.0.1", 6379, 3)
        };
        rollups.request(&request, Timestamp::MAX);
    }
    assert_eq!(rollups.limit_hits(), [("rollup_operations", 3)]);
    let given = rows(rollups);
    assert_eq!(given.len(), OF_SERVER + 1);
    let other = given
        .iter()
        .find(|row| row.operation.as_deref() == Some(OTHER));
    let other = other.unwrap();
    assert_eq!(other.requests.as_ref().unwrap().requests, Some(3));
    assert!(other.server_ip.is_some());

    let mut rollups = Rollups::default();
    for n in 0..SERVERS.max(OPERATIONS) + 5 {
        let server = format!("10.1.{}.{}", n >> 8, n & 255);
        rollups.request(&request(0, &server, 80, 3), Timestamp::MAX);
        let attempt = handshake(0, CLIENT, &server, 80);
        rollups.handshake(&attempt, Timestamp::MAX);
    }
    assert_eq!(rollups.limit_hits(), [("rollup_servers", 10)]);
    let given = rows(rollups);
    let without: Vec<_> = given.iter().filter(|row| row.server_ip.is_none()).collect();
    assert_eq!(without.len(), 2);
    assert_eq!(without[0].connections.as_ref().unwrap().attempts, Some(5));
    assert_eq!(without[1].requests.as_ref().unwrap().requests, Some(5));
    assert_eq!(without[1].operation.as_deref(), Some(OTHER));
}
