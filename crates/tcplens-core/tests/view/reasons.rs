//! Findings about slow requests and connections that have a reason of their own: names, TLS, buffers, Nagle's algorithm, new
//! connections, the accept queue.

use super::*;
use tcplens_core::time::Span;

fn requests(numbers: std::ops::Range<u64>, make: impl Fn(u64) -> Request<'static>) -> Vec<Made> {
    numbers.map(|n| make(n).into()).collect()
}

#[test]
fn a_slow_resolver_is_told_as_one_and_a_name_now_and_then_is_not() {
    let query = |n: u64, took: u64| Request {
        protocol: Protocol::Dns,
        operation: Some("A"),
        summary: Some("A shop.example."),
        total_us: ms(took),
        verdict: None,
        ..request(n, SERVER, 53, 0)
    };
    let quick = |n| query(n, 2);
    let records = [requests(0..10, quick), requests(10..14, |n| query(n, 450))];
    check(records.concat(), "slow_dns");
    // From 200 ms on, three of them, one in twenty.
    for records in [
        [requests(0..10, quick), requests(10..14, |n| query(n, 199))],
        [requests(0..10, quick), requests(10..12, |n| query(n, 450))],
        [requests(0..80, quick), requests(80..84, |n| query(n, 450))],
    ] {
        check(records.concat(), NOTHING);
    }
}

#[test]
fn slow_tls_handshakes_are_told_from_slow_requests() {
    let tls = |n, operation, server_ms| Request {
        protocol: Protocol::Tls,
        operation: Some(operation),
        ..request(n, SERVER, 443, server_ms)
    };
    let records = [
        requests(0..20, |n| tls(n, "data", 3)),
        requests(20..26, |n| tls(n, "handshake", 350)),
    ];
    check(records.concat(), "slow_tls");
}

/// A response of 100 kB that took 2 s over 100 ms, and the window that is behind it.
fn large(n: u64, window: Option<u64>) -> Request<'static> {
    Request {
        response_bytes: 100_000,
        client_rtt_us: ms(98),
        transfer_us: ms(2000),
        total_us: ms(2004),
        in_transfer_us: ms(2000),
        verdict: Some(Verdict::Transfer),
        window_limit_bytes: window,
        ..request(n, SERVER, 80, 0)
    }
}

#[test]
fn a_small_receive_buffer_is_told_from_a_slow_line() {
    check(requests(0..4, |n| large(n, Some(5_000))), "small_window");
    check(requests(0..4, |n| large(n, None)), "large_without_window");
    // A megabyte per second is no small window, whatever else it is.
    let wide = requests(0..4, |n| large(n, Some(100_001)));
    let findings = report(&wide).finish(&health());
    assert!(!text(&findings).contains("small_window"), "{findings:?}");
    let upload = |n| Request {
        request_bytes: 100_000,
        response_bytes: 10,
        in_client_us: ms(2000),
        in_transfer_us: ms(0),
        verdict: Some(Verdict::Client),
        ..large(n, Some(5_000))
    };
    check(requests(0..4, upload), "small_window_server");
}

#[test]
fn a_large_answer_from_far_is_not_slow() {
    // 100 kB over 100 ms take three doublings: up to 800 ms are usual, and 100 ms of the line.
    let usual = |n, took| Request {
        transfer_us: ms(took),
        total_us: ms(took + 4),
        in_transfer_us: ms(took),
        ..large(n, None)
    };
    check(requests(0..9, |n| usual(n, 900)), NOTHING);
    let findings = report(&requests(0..9, |n| usual(n, 901))).finish(&health());
    assert_eq!(findings.findings[0].code, "slow_transfer");
}

#[test]
fn small_pieces_that_wait_for_acknowledgments_are_blamed_on_who_sends_them() {
    let held = |n: u64| Sent {
        held_segments: n,
        held_us: Span::from_ns(n * 40_000_000),
        ..plain(0).client
    };
    let by_client = |second| Connection {
        client: held(3),
        ..plain(second)
    };
    check(connections(0..2, by_client), "delayed_ack_client");
    let by_server = |second| Connection {
        server: held(6),
        ..plain(second)
    };
    check(connections(0..1, by_server), "delayed_ack_server");
    // Chance.
    check(connections(0..1, by_client), NOTHING);
}

/// A connection with so many requests, its handshake, and the requests: `ms` each, and 20 ms for the handshake.
fn lives(seconds: std::ops::Range<i64>, each: u64, took: u64) -> Vec<Made> {
    let one = |second: i64| -> Vec<Made> {
        let connection = Connection {
            protocol: Some(Protocol::Http),
            requests: Some(each),
            ..plain(second)
        };
        let request = Request {
            protocol: Protocol::Http,
            total_us: ms(took),
            ..request(second as u64, SERVER, 80, 0)
        };
        let mut records = vec![good(second).into(), connection.into()];
        records.extend((0..each).map(|_| request.clone().into()));
        records
    };
    seconds.flat_map(one).collect()
}

#[test]
fn a_new_connection_for_each_request_is_told_where_it_costs_much() {
    // 40 handshakes of 20 ms; 40 requests of 29 ms, and 1 ms to the client and back.
    check(lives(0..40, 1, 29), "no_reuse");
    // Two requests on each; too few; handshakes that cost too little beside requests, or at all.
    check(lives(0..40, 2, 29), NOTHING);
    check(lives(0..19, 1, 29), NOTHING);
    check(lives(0..40, 1, 60), NOTHING);
    check(lives(0..24, 1, 29), NOTHING);
}

#[test]
fn connections_without_requests_make_no_cost_of_those_with_requests() {
    let with_probes =
        |lives: Vec<Made>| [lives, many(100..500, good), connections(100..500, plain)].concat();
    // 24 handshakes of 20 ms are 480 ms: nothing is wrong, however many ports are probed beside them.
    check(with_probes(lives(0..24, 1, 29)), NOTHING);
    check(with_probes(lives(0..40, 1, 60)), NOTHING);
    // What is told is told of the 40 connections, word for word.
    check(with_probes(lives(0..40, 1, 29)), "no_reuse");
}

#[test]
fn names_asked_over_tcp_are_no_connections_that_could_be_kept() {
    let names = lives(0..40, 1, 29).into_iter().map(|made| match made {
        Made::Connection(it) => Connection {
            protocol: Some(Protocol::Dns),
            ..*it
        }
        .into(),
        Made::Request(it) => Request {
            protocol: Protocol::Dns,
            ..*it
        }
        .into(),
        other => other,
    });
    check(names.collect(), NOTHING);
}

#[test]
fn an_accept_queue_that_overflows_is_told_from_syns_that_get_lost() {
    let repeated = |second| Handshake {
        syn_retransmits: 1,
        first_syn_to_synack_us: ms(1008),
        handshake_us: ms(1020),
        wait_us: ms(1020),
        ..good(second)
    };
    let unheard = |second| Connection {
        client: Sent {
            retransmits: 1,
            opening_retransmits: 1,
            ..plain(second).client
        },
        ..plain(second)
    };
    let healthy = [many(0..20, good), connections(0..20, plain)].concat();
    let syns = many(20..25, repeated);
    let openings = connections(25..28, unheard);
    let silent = many(30..32, |n| failed(Outcome::Unanswered, 3000, good(n)));
    let all = [healthy.clone(), syns.clone(), openings.clone()].concat();
    check(all.clone(), "accept_queue");
    check([all, silent].concat(), "accept_queue_fails");
    check([healthy, syns].concat(), "syn_without_openings");
}

#[test]
fn resets_after_whole_answers_are_nobodys_harm() {
    let reset = |second| Connection {
        close: Close::RstByClient,
        protocol: Some(Protocol::Http),
        requests: Some(1),
        ..plain(second)
    };
    let resets = connections(0..5, reset);
    check(resets.clone(), NOTHING);
    let by_server = connections(0..5, |second| Connection {
        close: Close::RstByServer,
        ..reset(second)
    });
    check(by_server, NOTHING);
    // In the middle of an answer.
    let cut = requests(0..5, |n| Request {
        ended_by: EndedBy::Reset,
        total_us: None,
        verdict: None,
        ..request(n, SERVER, 80, 0)
    });
    check([resets, cut].concat(), "reset_by_client_in_answers");
}
