//! `top`: a window is what counting anew gives, sums are those of the rows, and nothing depends on order.

use proptest::prelude::*;
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::pending::Pending;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::top::{Over, RowKey, Top, TopQuery, TopSettings, TopSnapshot};

use super::*;

fn top(by: GroupBy, window_s: u64) -> Top {
    Top::new(TopSettings {
        groups: vec![by],
        window: Span::from_ns(window_s * SECOND as u64),
        details: true,
        ..TopSettings::default()
    })
}

fn query(by: GroupBy, over: Over) -> TopQuery {
    TopQuery {
        by,
        over,
        sort: "attempts",
        by_share: false,
        descending: true,
        filter: None,
        skip: 0,
        rows: usize::MAX,
        detail: None,
    }
}

fn add(top: &mut Top, made: &Made) {
    match made {
        Made::Handshake(record) => top.add(AnyRecord::Handshake(record)),
        Made::Connection(record) => top.add(AnyRecord::Connection(record)),
        Made::Request(record) => top.request(record),
    }
}

/// A record that becomes final at `at` ms, of one of a few destinations.
#[derive(Clone, Debug)]
struct Final {
    at: i64,
    what: u8,
    who: u8,
    ms: u64,
}

impl Final {
    fn time(&self) -> Timestamp {
        START.plus(self.at * 1_000_000)
    }

    fn made(&self) -> Made {
        let server = format!("10.0.0.{}", self.who % 4);
        let second = self.at / 1000;
        let attempt = || Handshake {
            handshake_us: ms(self.ms),
            ..handshake(second, CLIENT, &server, 80)
        };
        match self.what {
            0 => attempt().into(),
            1 => failed(Outcome::Refused, self.ms, attempt()).into(),
            2 => failed(Outcome::TimedOut, 60_000, attempt()).into(),
            3 => Connection {
                requests: Some(self.ms),
                first_fin: Some(End::Server),
                server: Sent {
                    bytes: self.ms,
                    rtt_min_us: ms(self.ms),
                    rtt_mean_us: ms(self.ms),
                    rtt_samples: self.ms,
                    ..Sent::default()
                },
                ..connection(second, CLIENT, &server, 80)
            }
            .into(),
            _ => request(second.unsigned_abs(), &server, 80, self.ms).into(),
        }
    }
}

const CLIENT: &str = "10.9.0.1";

fn finals() -> impl Strategy<Value = Vec<Final>> {
    let one = (0..30_000_i64, 0..6_u8, any::<u8>(), 1..500_u64);
    let one = one.prop_map(|(at, what, who, ms)| Final { at, what, who, ms });
    prop::collection::vec(one, 1..120).prop_map(|mut all| {
        all.sort_by_key(|one| one.at);
        all
    })
}

/// All but when.
fn numbers(peer: &Peer) -> Peer {
    Peer {
        time: START,
        window_us: None,
        ..peer.clone()
    }
}

fn empty(peer: &Peer) -> bool {
    let what = peer.attempts + peer.requests + peer.connections + peer.bytes_in + peer.bytes_out;
    what == 0 && peer.request_max_us.is_none() && peer.rtt_min_us.is_none()
}

proptest! {
    #[test]
    fn a_window_has_what_counting_its_records_anew_gives(all in finals(), end in 0..40_000_i64) {
        let mut slid = top(GroupBy::Peer, 6);
        slid.clock(START);
        let last = all.last().map_or(0, |one| one.at);
        for one in &all {
            slid.clock(one.time());
            add(&mut slid, &one.made());
            if one.who % 3 == 0 {
                // Whoever looks meanwhile changes nothing.
                let over = if one.who % 2 == 0 { Over::Window } else { Over::Start };
                slid.snapshot(&TopQuery { sort: "request_p95_us", ..query(GroupBy::Peer, over) });
            }
        }
        slid.clock(START.plus(end.max(last) * 1_000_000));
        let now = slid.snapshot(&TopQuery { sort: "request_p95_us", ..query(GroupBy::Peer, Over::Window) });
        let order = now.rows.iter().map(|(key, row)| (std::cmp::Reverse(row.request_p95_us), key));
        prop_assert!(order.is_sorted());
        let from = now.totals.time;
        prop_assert!(now.totals.window_us <= Some(Span::from_ns(6 * SECOND as u64)));
        let mut anew = top(GroupBy::Peer, 1000);
        anew.clock(START);
        let (old, new): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.time() < from);
        new.iter().for_each(|one| add(&mut anew, &one.made()));
        let anew = anew.snapshot(&query(GroupBy::Peer, Over::Start));
        prop_assert_eq!(numbers(&now.totals), numbers(&anew.totals));
        for (key, peer) in &now.rows {
            match anew.rows.iter().find(|(known, _)| known == key) {
                Some((_, again)) => prop_assert_eq!(numbers(peer), numbers(again)),
                None => prop_assert!(empty(peer), "{:?} of {} old ones", peer, old.len()),
            }
        }
        prop_assert!(anew.rows.iter().all(|(key, _)| now.rows.iter().any(|(known, _)| known == key)));
        // Since the beginning it is all of them, whatever left the window.
        let mut whole = top(GroupBy::Peer, 1000);
        whole.clock(START);
        all.iter().for_each(|one| add(&mut whole, &one.made()));
        let whole = whole.snapshot(&query(GroupBy::Peer, Over::Start));
        let since = slid.snapshot(&query(GroupBy::Peer, Over::Start));
        prop_assert_eq!(numbers(&since.totals), numbers(&whole.totals));
        prop_assert_eq!(since.rows.len(), whole.rows.len());
        for ((key, peer), (again, other)) in since.rows.iter().zip(&whole.rows) {
            prop_assert_eq!((key, numbers(peer)), (again, numbers(other)));
        }
    }

    #[test]
    fn totals_are_the_sums_of_the_rows_and_no_order_matters(all in finals(), by in 0..GroupBy::ALL.len(), least in 0..4_u64) {
        let by = GroupBy::ALL[by];
        let told = |all: &[&Final], rows: usize| -> TopSnapshot {
            let mut top = Top::new(TopSettings { groups: vec![by], rows, ..TopSettings::default() });
            top.clock(START);
            all.iter().for_each(|one| add(&mut top, &one.made()));
            top.snapshot(&query(by, Over::Window))
        };
        let forward: Vec<&Final> = all.iter().collect();
        let backward: Vec<&Final> = all.iter().rev().collect();
        let snapshot = told(&forward, 1000);
        let other = told(&backward, 1000);
        prop_assert_eq!(&snapshot.rows, &other.rows);
        prop_assert_eq!(&snapshot.totals, &other.totals);
        // What finds no room is in the others, and the sums stay.
        let little = told(&forward, 2);
        prop_assert_eq!(&little.totals, &snapshot.totals);
        prop_assert_eq!(little.others.is_some(), snapshot.known > 2);
        for told in [&snapshot, &little] {
            let rows = || told.rows.iter().map(|(_, peer)| peer).chain(&told.others);
            let all = &told.totals;
            prop_assert_eq!(rows().map(|row| row.attempts).sum::<u64>(), all.attempts);
            prop_assert_eq!(rows().map(|row| row.failed).sum::<u64>(), all.failed);
            prop_assert_eq!(rows().map(|row| row.fins_in + row.fins_out).sum::<u64>(), all.fins_in + all.fins_out);
            prop_assert_eq!(rows().map(|row| row.requests).sum::<u64>(), all.requests);
            prop_assert_eq!(rows().map(|row| row.bytes_in).sum::<u64>(), all.bytes_in);
            prop_assert_eq!(rows().map(|row| row.bytes_out).sum::<u64>(), all.bytes_out);
            prop_assert_eq!(rows().filter_map(|row| row.request_max_us).max(), all.request_max_us);
            prop_assert_eq!(rows().filter_map(|row| row.rtt_min_us).min(), all.rtt_min_us);
        }
        // With a filter that all pass the totals are added up anew.
        let mut top = top(by, 10);
        top.clock(START);
        all.iter().for_each(|one| add(&mut top, &one.made()));
        let filter = |text: &str| RecordFilter::parse::<Peer>(text).ok();
        let filtered = top.snapshot(&TopQuery { filter: filter("attempts >= 0"), ..query(by, Over::Window) });
        prop_assert_eq!(&filtered.totals, &snapshot.totals);
        let text = format!("attempts >= {least} and request_p95 > 0us");
        let filtered = top.snapshot(&TopQuery { filter: filter(&text), ..query(by, Over::Window) });
        let passing: Vec<_> = snapshot.rows.iter().filter(|(_, row)| row.attempts >= least && row.request_p95_us > Some(Span::from_ns(0))).collect();
        prop_assert_eq!(filtered.rows.iter().collect::<Vec<_>>(), passing);
    }
}

/// A connection of that id as it stands after `part` parts.
fn part(part: u64, is_final: bool) -> Connection {
    let whole = connection(0, CLIENT, "10.0.0.1", 80);
    Connection {
        part: Some(part),
        is_final,
        close: if is_final { Close::Fin } else { Close::Open },
        first_fin: is_final.then_some(End::Client),
        requests: Some(10 * part),
        client: Sent {
            bytes: 100 * part,
            ..Sent::default()
        },
        server: Sent {
            bytes: 1000 * part,
            data_segments: part,
            rtt_mean_us: ms(1 + part),
            rtt_samples: part,
            ..Sent::default()
        },
        ..whole
    }
}

#[test]
fn a_connection_in_parts_counts_by_what_each_part_adds_and_is_open_until_it_ends() {
    let mut top = top(GroupBy::Server, 6);
    top.clock(START);
    for n in 1..=4 {
        top.clock(START.plus(i64::try_from(n).unwrap() * 2 * SECOND));
        top.add(AnyRecord::Connection(&part(n, false)));
    }
    let snapshot = top.snapshot(&query(GroupBy::Server, Over::Window));
    let (key, row) = &snapshot.rows[0];
    assert_eq!(*key, RowKey::Server("10.0.0.1".parse().unwrap(), 80));
    // At 8 s the window of six begins at 3 s.
    assert_eq!(
        (row.bytes_out, row.bytes_in, row.data_segments),
        (300, 3000, Some(3))
    );
    assert_eq!(
        (row.connections, row.open, row.open_reuse_p95),
        (0, 1, Some(40))
    );
    // 2 of 3 ms, 3 of 4, 4 of 5 since the beginning; the first was of 2.
    assert_eq!(
        row.rtt_mean_us,
        Some(Span::from_ns((4 * 5 - 2) * 1_000_000 / 3))
    );
    assert_eq!((row.reuse_p95, row.fins_out), (None, 0));

    top.add(AnyRecord::Connection(&part(5, true)));
    let snapshot = top.snapshot(&query(GroupBy::Server, Over::Start));
    let row = &snapshot.rows[0].1;
    assert_eq!(
        (row.bytes_out, row.bytes_in, row.data_segments),
        (500, 5000, Some(5))
    );
    assert_eq!(
        (row.connections, row.open, row.open_reuse_p95),
        (1, 0, None)
    );
    assert_eq!((row.reuse_p95, row.fins_out, row.fins_in), (Some(50), 1, 0));
    assert_eq!(snapshot.totals.bytes_in, 5000);
}

#[test]
fn who_turns_out_to_be_the_client_later_does_not_count_twice() {
    let mut top = top(GroupBy::Port, 6);
    top.clock(START);
    let first = part(1, false);
    let turned = Connection {
        client_ip: first.server_ip,
        client_port: first.server_port,
        server_ip: first.client_ip,
        server_port: first.client_port,
        client: first.server.clone(),
        server: first.client.clone(),
        ..first.clone()
    };
    top.add(AnyRecord::Connection(&turned));
    top.add(AnyRecord::Connection(&part(2, false)));
    let snapshot = top.snapshot(&query(GroupBy::Port, Over::Start));
    let told = snapshot
        .rows
        .iter()
        .map(|(key, row)| (key.clone(), row.bytes_out, row.bytes_in, row.open));
    let told: Vec<_> = told.collect();
    let wrong = RowKey::Port(first.client_port);
    assert_eq!(
        told,
        [(RowKey::Port(80), 100, 1000, 1), (wrong, 1000, 100, 0)]
    );
    assert_eq!((snapshot.totals.open, snapshot.totals.bytes_in), (1, 1100));
}

#[test]
fn inbound_connections_are_their_clients_and_near_and_far_turn() {
    let mut top = top(GroupBy::Peer, 6);
    top.clock(START);
    let inbound = Connection {
        direction: Some(Direction::Inbound),
        ..part(1, true)
    };
    top.add(AnyRecord::Connection(&inbound));
    let snapshot = top.snapshot(&query(GroupBy::Peer, Over::Window));
    let (key, row) = &snapshot.rows[0];
    assert_eq!(*key, RowKey::Ip(CLIENT.parse().unwrap()));
    assert_eq!(
        (row.bytes_out, row.bytes_in, row.fins_out, row.fins_in),
        (1000, 100, 0, 1)
    );
}

#[test]
fn rows_without_a_value_come_last_either_way_and_equals_by_name() {
    let mut top = top(GroupBy::Server, 6);
    top.clock(START);
    for (server, took) in [("10.0.0.3", 5), ("10.0.0.2", 9), ("10.0.0.4", 5)] {
        top.request(&request(0, server, 80, took));
    }
    top.add(AnyRecord::Handshake(&handshake(0, CLIENT, "10.0.0.1", 80)));
    for (descending, expected) in [(true, [2, 3, 4, 1]), (false, [3, 4, 2, 1])] {
        let asked = TopQuery {
            sort: "request_p95_us",
            descending,
            ..query(GroupBy::Server, Over::Window)
        };
        let order = |rows: &[(RowKey, Peer)]| -> Vec<String> {
            let ips = rows.iter().filter_map(|(_, row)| row.ip);
            ips.map(|ip| ip.to_string()).collect()
        };
        let expected = expected.map(|n| format!("10.0.0.{n}"));
        assert_eq!(order(&top.rows(&asked)), expected);
        let some = TopQuery {
            skip: 1,
            rows: 2,
            ..asked
        };
        let snapshot = top.snapshot(&some);
        assert_eq!(order(&snapshot.rows), expected[1..3]);
        assert_eq!((snapshot.passing, snapshot.known), (4, 4));
    }
}

#[test]
fn rows_are_ordered_by_a_share_where_that_is_asked_and_not_by_the_number_behind_it() {
    let mut top = top(GroupBy::Server, 6);
    top.clock(START);
    // 2 of 8, 1 of 1, 0 of 2; one that nobody tried.
    for (server, attempts, refused) in [(1, 8, 2), (2, 1, 1), (3, 2, 0)] {
        for n in 0..attempts {
            let attempt = handshake(0, CLIENT, &format!("10.0.0.{server}"), 80);
            let attempt = match n < refused {
                true => failed(Outcome::Refused, 1, attempt),
                false => attempt,
            };
            top.add(AnyRecord::Handshake(&attempt));
        }
    }
    top.request(&request(0, "10.0.0.4", 80, 5));
    for (by_share, descending, expected) in [
        (false, true, [1, 2, 3, 4]),
        (true, true, [2, 1, 3, 4]),
        (true, false, [3, 1, 2, 4]),
    ] {
        let asked = TopQuery {
            sort: "refused",
            by_share,
            descending,
            ..query(GroupBy::Server, Over::Window)
        };
        let ips = top.rows(&asked).into_iter().filter_map(|(_, row)| row.ip);
        let ips: Vec<_> = ips.map(|ip| ip.to_string()).collect();
        let expected = expected.map(|n| format!("10.0.0.{n}"));
        assert_eq!(ips, expected, "{by_share} {descending}");
    }
}

#[test]
fn quiet_rows_make_room_and_what_they_counted_stays_in_the_sums() {
    let mut top = Top::new(TopSettings {
        groups: vec![GroupBy::Peer],
        rows: 8,
        window: Span::from_ns(6 * SECOND as u64),
        ..TopSettings::default()
    });
    top.clock(START);
    for n in 0..20_i64 {
        top.clock(START.plus(n * 2 * SECOND));
        let server = format!("10.0.1.{n}");
        top.add(AnyRecord::Handshake(&handshake(n, CLIENT, &server, 80)));
    }
    let snapshot = top.snapshot(&query(GroupBy::Peer, Over::Start));
    assert_eq!((snapshot.known, snapshot.totals.attempts), (8, 20));
    let others = snapshot.others.unwrap();
    assert_eq!(
        (others.attempts, others.is_sum, others.comm.as_deref()),
        (12, true, Some("others"))
    );
    assert_eq!(top.limit_hits(), [("top_quiet_rows", 12)]);
    // Rows of the window are kept: what comes then has none.
    for n in 0..20 {
        let server = format!("10.0.2.{n}");
        top.add(AnyRecord::Handshake(&handshake(n, CLIENT, &server, 80)));
    }
    let snapshot = top.snapshot(&query(GroupBy::Peer, Over::Start));
    assert_eq!((snapshot.known, snapshot.totals.attempts), (8, 40));
    assert!(
        top.limit_hits()
            .iter()
            .any(|(name, n)| *name == "top_rows" && *n > 10)
    );
}

#[test]
fn what_nothing_has_answered_has_a_row_at_once() {
    let mut top = Top::new(TopSettings {
        vantage: Vantage::Wire,
        groups: vec![GroupBy::Peer, GroupBy::Server, GroupBy::Client],
        ..TopSettings::default()
    });
    top.clock(START);
    let mut pending = Pending::default();
    let black = ("10.0.0.9".parse().unwrap(), 443);
    let here = ("10.9.0.1".parse().unwrap(), 80);
    pending.attempt(black, Span::from_ns(1));
    pending.attempt(black, Span::from_ns(2));
    pending.attempt(here, Span::from_ns(3));
    pending.here(here);
    top.pending(&pending);
    let mut told = |by| {
        let snapshot = top.snapshot(&query(by, Over::Window));
        let rows: Vec<_> = snapshot
            .rows
            .into_iter()
            .map(|(key, row)| (key, row.pending))
            .collect();
        (rows, snapshot.totals.pending)
    };
    let black_row = (RowKey::Ip(black.0), Some(2));
    assert_eq!(told(GroupBy::Peer), (vec![black_row], Some(3)));
    let servers = [
        (RowKey::Server(black.0, 443), Some(2)),
        (RowKey::Server(here.0, 80), Some(1)),
    ];
    assert_eq!(told(GroupBy::Server), (servers.to_vec(), Some(3)));
    assert_eq!(told(GroupBy::Client), (vec![], None));
    top.pending(&Pending::default());
    assert_eq!(
        top.snapshot(&query(GroupBy::Server, Over::Window))
            .totals
            .pending,
        Some(0)
    );
}

/// Of many servers that wait only the busiest are handed over: of the rest it is not known that nothing waits.
#[test]
fn who_is_not_told_of_does_not_wait_for_nothing() {
    let mut top = Top::new(TopSettings {
        groups: vec![GroupBy::Peer, GroupBy::Server],
        rows: 3,
        ..TopSettings::default()
    });
    top.clock(START);
    top.add(AnyRecord::Handshake(&handshake(1, CLIENT, "10.0.0.1", 80)));
    let mut pending = Pending::default();
    for n in 1..=200_u8 {
        let server = ([10, 1, 0, n].into(), 443);
        pending.attempt(server, Span::from_ns(u64::from(n)));
    }
    pending.shorten();
    top.pending(&pending);
    for by in [GroupBy::Peer, GroupBy::Server] {
        let snapshot = top.snapshot(&query(by, Over::Start));
        assert_eq!(snapshot.totals.pending, Some(200), "{by:?}");
        let of_first = snapshot.rows.iter().find(|(_, row)| row.attempts > 0);
        assert_eq!(of_first.unwrap().1.pending, None, "{by:?}");
    }
    // Who waits is no record that found no room.
    assert_eq!(top.limit_hits(), []);
}

#[test]
fn a_connection_whose_end_was_lost_is_not_open_for_ever() {
    let mut top = top(GroupBy::Server, 6);
    top.clock(START);
    top.add(AnyRecord::Connection(&part(1, false)));
    let mut open = |seconds: i64| {
        top.clock(START.plus(seconds * SECOND));
        let open = top
            .snapshot(&query(GroupBy::Server, Over::Start))
            .totals
            .open;
        (open, top.limit_hits())
    };
    assert_eq!(open(300), (1, vec![]));
    assert_eq!(open(500), (0, vec![("top_lost_ends", 1)]));
}

#[test]
fn a_detail_has_what_happened_when_and_the_slowest_first() {
    let mut top = top(GroupBy::Server, 6);
    top.clock(START);
    let long = "é".repeat(100);
    let long: &'static str = Box::leak(long.into_boxed_str());
    for n in 0..100 {
        let server = if n % 2 == 0 { "10.0.0.1" } else { "10.0.0.2" };
        let record = request(n, server, 80, n);
        top.request(&Request {
            summary: Some(long),
            ..record
        });
    }
    top.add(AnyRecord::Handshake(&handshake(3, CLIENT, "10.0.0.1", 80)));
    top.add(AnyRecord::Connection(&part(1, false)));
    let key = RowKey::Server("10.0.0.1".parse().unwrap(), 80);
    let asked = TopQuery {
        rows: 0,
        detail: Some(key.clone()),
        ..query(GroupBy::Server, Over::Window)
    };
    let detail = top.snapshot(&asked).detail.unwrap();
    assert_eq!((detail.key, detail.remembered_from), (key, None));
    assert_eq!(detail.peer.requests, 50);
    let requests: u64 = detail.series.iter().map(|(_, slice)| slice.requests).sum();
    let attempts: u64 = detail.series.iter().map(|(_, slice)| slice.attempts).sum();
    assert_eq!((requests, attempts), (50, 1));
    assert!(detail.slowest.is_sorted_by(|a, b| a.took >= b.took));
    assert_eq!(detail.slowest.len(), 50);
    assert_eq!(detail.slowest[0].summary.len(), 128);
    assert_eq!(detail.connections.len(), 1);
    assert_eq!(detail.connections[0].close, Close::Open);
    // Once it has ended it is there once.
    top.add(AnyRecord::Connection(&part(2, true)));
    let detail = top.snapshot(&asked).detail.unwrap();
    let closes: Vec<_> = detail.connections.iter().map(|line| line.close).collect();
    assert_eq!(closes, [Close::Fin]);
}
