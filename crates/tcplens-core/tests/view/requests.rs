//! Findings about requests.

use super::*;

fn requests(numbers: std::ops::Range<u64>, make: impl Fn(u64) -> Request<'static>) -> Vec<Made> {
    numbers.map(|n| make(n).into()).collect()
}

/// A request of 4 ms.
fn quick(n: u64) -> Request<'static> {
    request(n, SERVER, 6379, 0)
}

/// A request of half a second, most of it for one reason.
fn slow(n: u64, verdict: Verdict) -> Request<'static> {
    let mut slow = Request {
        total_us: ms(504),
        verdict: Some(verdict),
        ..quick(n)
    };
    let part = match verdict {
        Verdict::Client => &mut slow.in_client_us,
        Verdict::Queue => &mut slow.in_queue_us,
        Verdict::Server => &mut slow.in_server_us,
        Verdict::Network => &mut slow.in_network_us,
        Verdict::Loss => &mut slow.in_loss_us,
        Verdict::Window => &mut slow.in_window_us,
        Verdict::Transfer => &mut slow.in_transfer_us,
    };
    *part = ms(500);
    slow
}

#[test]
fn slow_requests_are_told_with_what_made_them_slow() {
    for (verdict, name) in [
        (Verdict::Client, "slow_upload"),
        (Verdict::Queue, "queueing"),
        (Verdict::Server, "slow_server"),
        (Verdict::Network, "slow_network"),
        (Verdict::Loss, "loss_slows_requests"),
        (Verdict::Window, "window_limited"),
        (Verdict::Transfer, "slow_transfer"),
    ] {
        let records = [
            requests(0..96, quick),
            requests(96..99, |n| slow(n, verdict)),
            requests(99..100, |n| Request {
                operation: Some("SET"),
                ..slow(n, verdict)
            }),
        ];
        check(records.concat(), name);
    }
}

/// Slow requests of a web server at 10.0.0.1, and what that host asks of 10.0.0.3 during each, after 50 ms, for so long.
fn web_and_database(server: &str, port: u64, database_ms: u64) -> Vec<Made> {
    let asked = |n| {
        let time = at(n).plus(50_000_000);
        Request {
            time,
            client_ip: SERVER.parse().unwrap(),
            protocol: Protocol::Mysql,
            operation: Some("COM_QUERY"),
            task: n + 1,
            in_server_us: ms(database_ms - 4),
            total_us: ms(database_ms),
            ..request(n, server, port, database_ms - 4)
        }
    };
    [
        requests(0..3, |n| request(n, SERVER, 80, 500)),
        requests(0..3, asked),
    ]
    .concat()
}

#[test]
fn a_server_that_waits_for_another_is_not_blamed_itself_and_comes_after_it() {
    check(web_and_database("10.0.0.3", 3306, 400), "waits_for_another");
    // It cannot even connect.
    let attempts = (0..3).map(|n| {
        let attempt = Handshake {
            time: at(n as u64).plus(50_000_000),
            ..handshake(n, SERVER, "10.0.0.4", 443)
        };
        failed(Outcome::Unanswered, 7_000, attempt).into()
    });
    let web = requests(0..3, |n| request(n, SERVER, 80, 500));
    check(
        web.into_iter().chain(attempts).collect(),
        "cannot_connect_to_another",
    );
    // Or it waits for a name.
    let names = requests(0..3, |n| {
        let time = at(n).plus(50_000_000);
        let client_ip = SERVER.parse().unwrap();
        let query = request(n, "10.0.0.53", 53, 0);
        unanswered(
            EndedBy::Observation,
            Request {
                time,
                client_ip,
                protocol: Protocol::Dns,
                operation: Some("A"),
                summary: Some("A db.example."),
                ..query
            },
        )
    });
    let web = requests(0..3, |n| request(n, SERVER, 80, 500));
    check([web, names].concat(), "waits_for_a_name");
    // Of requests at the same time each waits for its own, and not for those of others.
    let at_once = |n: u64, server: &str, port, asked_ms, from_ms: u64| {
        let time = at(0).plus((n * 100 + from_ms) as i64 * 1_000_000);
        let client_ip = if from_ms > 0 { SERVER } else { CLIENT }.parse().unwrap();
        let request = request(n, server, port, asked_ms);
        Made::from(Request {
            time,
            client_ip,
            ..request
        })
    };
    let records = (0..3)
        .flat_map(|n| {
            [
                at_once(n, SERVER, 80, 500, 0),
                // Only the first of them asks.
                at_once(n, "10.0.0.3", 3306, if n == 0 { 400 } else { 1 }, 10),
            ]
        })
        .collect();
    check(records, "one_of_three_waits_for_another");
    // Slow queries that take the lesser part of the time, and are slow all the same.
    check(
        web_and_database("10.0.0.3", 3306, 200),
        "does_not_wait_long_enough",
    );
    // Others' requests to the same server, which begin on its own host, say nothing.
    let own = web_and_database(SERVER, 80, 400);
    let findings = report(&own).finish(&health());
    assert!(!text(&findings).contains("another"), "{}", text(&findings));
}

#[test]
fn a_server_that_does_not_read_is_told_from_clients_that_do_not() {
    check(
        requests(0..3, |n| Request {
            request_bytes: 1_000_000,
            ..slow(n, Verdict::Window)
        }),
        "window_limited_server",
    );
}

#[test]
fn a_few_slow_requests_among_many_are_nothing() {
    let few = |slow_ones: u64| {
        [
            requests(0..400, quick),
            requests(400..400 + slow_ones, |n| slow(n, Verdict::Server)),
        ]
        .concat()
    };
    check(few(4), NOTHING);
    check(requests(0..2, |n| slow(n, Verdict::Server)), NOTHING);
}

/// On the loopback interface all have one address: what that asks of others may be the client's doing as well.
#[test]
fn what_a_client_asks_of_others_is_not_laid_to_a_server_on_the_same_host() {
    let own = |n| Request {
        client_ip: SERVER.parse().unwrap(),
        ..request(n, SERVER, 80, 500)
    };
    let mut records = web_and_database("10.0.0.3", 3306, 400);
    records.splice(..3, requests(0..3, own));
    check(records, "client_on_the_same_host");
}

#[test]
fn what_waits_on_purpose_is_not_slow() {
    check(
        requests(0..9, |n| Request {
            operation: Some("BLPOP"),
            ..slow(n, Verdict::Server)
        }),
        NOTHING,
    );
    check(
        requests(0..9, |n| Request {
            operation: Some("XREAD"),
            summary: Some("XREAD BLOCK 0 STREAMS s $"),
            ..slow(n, Verdict::Server)
        }),
        NOTHING,
    );
    // Client bytes, then server bytes: whether that is a question and its answer is not known.
    check(
        requests(0..9, |n| Request {
            protocol: Protocol::Turn,
            operation: None,
            summary: None,
            ..slow(n, Verdict::Server)
        }),
        NOTHING,
    );
}

#[test]
fn errors_are_the_servers_unless_it_says_that_the_client_is_wrong() {
    let error = |n| Request {
        status: Status::Error,
        status_text: Some("-LOADING Redis is loading the dataset in memory"),
        ..quick(n)
    };
    check(
        [requests(0..30, quick), requests(30..33, error)].concat(),
        "request_errors",
    );
    let missing = |n| Request {
        protocol: Protocol::Http,
        status_code: Some(404),
        status_text: Some("Not Found"),
        ..error(n)
    };
    check(requests(0..3, missing), "request_errors_client");
    // Mistakes and failures of the same server are two things.
    let of = |n, text| Request {
        status_text: Some(text),
        ..error(n)
    };
    let both = [
        requests(0..3, |n| of(n, "-ERR unknown command 'FOO'")),
        requests(3..5, |n| of(n, "-WRONGTYPE Operation against a key")),
        requests(5..6, |n| of(n, "-NOAUTH Authentication required.")),
        requests(6..10, error),
    ];
    check(both.concat(), "request_errors_of_both");
    // Neither alone is many: the more frequent.
    let little = [
        requests(0..2, |n| of(n, "-ERR unknown command 'FOO'")),
        requests(2..3, error),
    ];
    check(little.concat(), "request_errors_of_few");
    let few = [requests(0..70, quick), requests(70..73, error)].concat();
    let below = report(&few).finish(&health()).below;
    assert_eq!(
        below.as_deref(),
        Some(
            "Seen, but too little of it to be called wrong: 3 requests with an error (wrong from 3 of one cause and 5 % of one server's \
             on)."
        )
    );
    check(few, NOTHING);
}

#[test]
fn the_class_of_an_error_tells_whose_it_is() {
    use Protocol::*;
    for (protocol, code, text, of_client) in [
        (Http, Some(404), "Not Found", true),
        (Http2, Some(503), "", false),
        (Grpc, Some(5), "NOT_FOUND", true),
        (Grpc, Some(14), "UNAVAILABLE", false),
        (Redis, None, "-ERR wrong number of arguments", true),
        (Redis, None, "-NOPERM this user has no permissions", true),
        (Redis, None, "-ERR max number of clients reached", false),
        (Redis, None, "-OOM command not allowed", false),
        (Memcached, None, "ERROR", true),
        (Memcached, None, "SERVER_ERROR out of memory", false),
        (Memcached, Some(0x81), "Unknown command", true),
        (Mysql, Some(1146), "42S02 Table 'a.b' doesn't exist", true),
        (Mysql, Some(1045), "28000 Access denied", true),
        (Mysql, Some(1062), "23000 Duplicate entry", true),
        (Mysql, Some(1040), "08004 Too many connections", false),
        (Mysql, Some(1205), "HY000 Lock wait timeout exceeded", false),
        (Postgres, None, "22012 division by zero", true),
        (Postgres, None, "53300 too many connections", false),
        (
            Postgres,
            None,
            "57P03 the database system is starting up",
            false,
        ),
        (Postgres, None, "58030 could not read", false),
        (Postgres, None, "XX000 internal error", false),
        (Mongodb, Some(13), "Unauthorized", true),
        (Mongodb, Some(91), "ShutdownInProgress", false),
        (Kafka, Some(42), "INVALID_REQUEST", true),
        (Kafka, Some(6), "NOT_LEADER_OR_FOLLOWER", false),
        (Dns, Some(2), "SERVFAIL", false),
        (Tls, Some(80), "internal_error", false),
    ] {
        let records = requests(0..3, |n| Request {
            protocol,
            status: Status::Error,
            status_code: code,
            status_text: Some(text),
            ..quick(n)
        });
        let findings = report(&records).finish(&health()).findings;
        let suspects: Vec<_> = findings.iter().map(|finding| finding.suspect).collect();
        let suspect = if of_client {
            Suspect::Client
        } else {
            Suspect::Server
        };
        assert_eq!(suspects, [suspect], "{protocol:?} {text}");
    }
}

#[test]
fn requests_without_an_answer_are_told_if_one_would_have_been_seen() {
    let without = |by| move |n| unanswered(by, quick(n));
    check(
        [
            requests(0..20, quick),
            requests(20..22, without(EndedBy::Reset)),
            requests(22..23, without(EndedBy::ServerClose)),
        ]
        .concat(),
        "unanswered_requests",
    );
    check(requests(0..9, without(EndedBy::Observation)), NOTHING);
    check(requests(0..9, without(EndedBy::Gap)), NOTHING);
    check(
        requests(0..9, |n| Request {
            capture_loss: true,
            ..without(EndedBy::Reset)(n)
        }),
        NOTHING,
    );
}

#[test]
fn dns_tells_what_has_no_answer_and_what_does_not_exist() {
    let query = |n: u64| Request {
        protocol: Protocol::Dns,
        operation: Some("A"),
        summary: Some("A shop.example."),
        status_code: Some(0),
        status_text: Some("NOERROR"),
        verdict: None,
        ..request(n, SERVER, 53, 0)
    };
    let silent = |n| unanswered(EndedBy::Observation, query(n));
    let nameless = |n| Request {
        status_code: Some(3),
        status_text: Some("NXDOMAIN"),
        summary: Some("A gone.example."),
        ..query(n)
    };
    // The last of them 4 s before the end: it may still be answered.
    let records = [
        requests(0..4, query),
        requests(4..7, silent),
        requests(11..12, query),
    ];
    check(records.concat(), "dns_unanswered");
    check(requests(0..9, silent), "dns_answers_nothing");
    let records = [requests(0..10, query), requests(10..15, nameless)];
    check(records.concat(), "no_such_name");
    // What a search list makes.
    let records = [requests(0..16, query), requests(16..21, nameless)];
    check(records.concat(), NOTHING);
}

#[test]
fn a_report_knows_the_slowest_requests_whatever_their_order() {
    let records = [
        requests(0..30, quick),
        requests(30..32, |n| slow(n, Verdict::Server)),
    ]
    .concat();
    let report = report(records.iter().rev());
    let slowest = report.slowest_requests().most();
    assert_eq!(slowest.len(), 10);
    let times: Vec<_> = slowest.iter().map(|slow| slow.time).collect();
    assert_eq!(times[..4], [at(30), at(31), at(0), at(1)]);
    assert_eq!(report.first(), Some(at(0)));
    let findings = report.finish(&health());
    assert!(
        findings
            .checked
            .contains("32 requests (slow, queued, failing, unanswered), 0 connections"),
        "{}",
        findings.checked
    );
}

#[test]
fn what_nobody_can_judge_is_said() {
    let turn = |n, change: fn(&mut Request<'static>)| {
        let mut turn = Request {
            protocol: Protocol::Turn,
            operation: None,
            ..slow(n, Verdict::Server)
        };
        change(&mut turn);
        turn
    };
    let records = [
        requests(0..89, quick),
        // Known, and judged: too little of it.
        requests(89..90, |n| {
            turn(n, |message| {
                message.protocol = Protocol::Websocket;
                message.status = Status::Unanswered;
                message.ended_by = EndedBy::ClientClose;
                message.total_us = None;
            })
        }),
        requests(90..95, |n| turn(n, |_| ())),
        requests(95..98, |n| Request {
            verdict: None,
            ..slow(n, Verdict::Server)
        }),
        requests(98..100, |n| {
            turn(n, |turn| {
                turn.status = Status::Unanswered;
                turn.ended_by = EndedBy::ClientClose;
                turn.total_us = None;
            })
        }),
    ]
    .concat();
    let findings = report(&records).finish(&health());
    assert_eq!((findings.findings, findings.below), (Vec::new(), None));
    let (_, said) = findings
        .checked
        .split_once(" Not judged: ")
        .expect("it is said");
    assert_eq!(
        said,
        "5 requests of 100 ms or more in protocols that are not known: either side may have waited on purpose; 3 requests of \
         100 ms or more of which it is not known where the time went; 2 requests without an answer in protocols that are not \
         known: none may be owed."
    );
}

#[test]
fn the_kernel_checks_what_it_can_see() {
    let records = requests(0..10, quick);
    let health = Health {
        vantage: Vantage::Kernel,
        ..health()
    };
    let checked = report(&records).finish(&health).checked;
    assert!(
        checked.contains("10 requests (slow, unanswered)"),
        "{checked}"
    );
    for beyond in ["failing", "queued", "packets twice"] {
        assert!(!checked.contains(beyond), "{checked}");
    }
    assert!(checked.contains("look at packets"), "{checked}");
    // Both at once.
    let health = Health {
        kernel_events: Some(1),
        ..Health::new(Vantage::Wire)
    };
    let checked = report(&records).finish(&health).checked;
    for said in [
        "10 requests (slow, unanswered; of those that the kernel does not tell also queued, failing)",
        "packets twice",
    ] {
        assert!(checked.contains(said), "{checked}");
    }
}
