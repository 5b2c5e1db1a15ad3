//! Records made by hand, and the findings they lead to: all that is said, word by word.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod metrics;
mod names;
mod page;
mod reasons;
mod requests;
mod rollup;
mod running;
mod top;
#[path = "../view_records/mod.rs"]
mod view_records;
#[path = "../view_records/requests.rs"]
mod view_requests;

use std::fmt::Write;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::*;
use tcplens_core::view::{Findings, HandshakeSummary, Report};

use view_records::*;
use view_requests::{at, request, unanswered};

#[derive(Clone, Debug)]
enum Made {
    Handshake(Box<Handshake>),
    Connection(Box<Connection>),
    Request(Box<Request<'static>>),
}

impl From<Request<'static>> for Made {
    fn from(record: Request<'static>) -> Made {
        Made::Request(Box::new(record))
    }
}

impl From<Handshake> for Made {
    fn from(record: Handshake) -> Made {
        Made::Handshake(Box::new(record))
    }
}

impl From<Connection> for Made {
    fn from(record: Connection) -> Made {
        Made::Connection(Box::new(record))
    }
}

fn report<'m>(records: impl IntoIterator<Item = &'m Made>) -> Report {
    let mut report = Report::default();
    for record in records {
        match record {
            Made::Handshake(record) => report.add(AnyRecord::Handshake(record)),
            Made::Connection(record) => report.add(AnyRecord::Connection(record)),
            Made::Request(record) => report.request(record),
        }
    }
    report
}

fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for finding in &findings.findings {
        let Finding {
            rank,
            code,
            harm,
            suspect,
            text: what,
            evidence,
            filter,
            frames,
            advice,
            ..
        } = finding;
        assert!(advice.is_some(), "{code}");
        let suspect = suspect.word().unwrap();
        let (what, evidence) = (what.as_deref().unwrap(), evidence.as_deref().unwrap());
        let filter = filter.as_deref().unwrap();
        writeln!(
            text,
            "{rank} {code} {suspect} {harm}\n  {what}\n  {evidence}\n  {filter} {frames:?}"
        )
        .unwrap();
    }
    text
}

/// For what leads to no finding.
const NOTHING: &str = "";

/// The section of `expected.txt`.
fn expected(name: &str) -> &'static str {
    let text = include_str!("expected.txt");
    let section = text
        .split("\n== ")
        .find_map(|section| section.strip_prefix(name)?.strip_prefix('\n'));
    if name == NOTHING {
        NOTHING
    } else {
        section.expect("a section of that name").trim_end()
    }
}

/// The findings of records, in whatever order these come.
#[track_caller]
fn check(records: Vec<Made>, name: &str) {
    check_with(records, &health(), name);
}

#[track_caller]
fn check_with(records: Vec<Made>, health: &Health, name: &str) {
    let forward = text(&report(&records).finish(health));
    let backward = text(&report(records.iter().rev()).finish(health));
    assert_eq!(forward, backward, "the order of records shows");
    assert_eq!(forward.trim_end(), expected(name), "\n{forward}");
}

fn many(seconds: std::ops::Range<i64>, make: impl Fn(i64) -> Handshake) -> Vec<Made> {
    seconds.map(|second| make(second).into()).collect()
}

fn connections(seconds: std::ops::Range<i64>, make: impl Fn(i64) -> Connection) -> Vec<Made> {
    seconds.map(|second| make(second).into()).collect()
}

const CLIENT: &str = "192.0.2.7";
const OTHER: &str = "192.0.2.8";
const SERVER: &str = "10.0.0.1";

fn good(second: i64) -> Handshake {
    handshake(second, CLIENT, SERVER, 80)
}

fn plain(second: i64) -> Connection {
    connection(second, CLIENT, SERVER, 80)
}

#[test]
fn nothing_is_wrong_with_good_connections_and_the_report_says_what_was_checked() {
    let records: Vec<_> = many(0..5, good)
        .into_iter()
        .chain(connections(0..5, plain))
        .collect();
    let findings = report(&records).finish(&health());
    assert_eq!(findings.findings, []);
    assert_eq!(
        findings.checked,
        "5 connection attempts (refused, unanswered, unreachable, given up, SYN or SYN-ACK repeated), 5 connections (loss, reset, closed window, delay, pieces that wait for acknowledgments, one request each) with 1 server and 1 client, and the capture itself (bytes missing, one direction only, packets twice, clock going back)."
    );
}

#[test]
fn all_refused_means_that_nothing_listens() {
    check(
        many(1..15, |n| failed(Outcome::Refused, 1, good(n))),
        "refused_all",
    );
}

#[test]
fn refusals_after_successes_mean_that_it_stopped_and_among_them_that_it_flaps() {
    let refused = |n| failed(Outcome::Refused, 1, good(n));
    check(
        [many(0..4, good), many(4..7, refused)].concat(),
        "refused_stopped",
    );
    check(
        [many(4..7, good), many(0..4, refused)].concat(),
        "refused_began",
    );
    check(
        [many(0..4, good), many(4..7, refused), many(7..9, good)].concat(),
        "refused_mixed",
    );
}

#[test]
fn silence_of_a_port_is_the_servers_if_its_host_answers_elsewhere_else_the_networks() {
    let silent = |n| Handshake {
        syn_retransmits: 3,
        ..failed(Outcome::TimedOut, 60_000, handshake(n, CLIENT, SERVER, 81))
    };
    check(many(0..3, silent), "silent_host");
    check(
        [many(0..3, silent), many(0..3, good)].concat(),
        "silent_port",
    );
}

#[test]
fn an_attempt_that_began_within_the_last_second_is_not_judged() {
    let young = |n| failed(Outcome::Unanswered, 900, good(n));
    let records = many(0..3, young);
    let findings = report(&records).finish(&health());
    assert_eq!(findings.findings, []);
    assert!(
        findings.checked.ends_with(
            "Not judged: 3 attempts without an answer yet, begun within the last second."
        )
    );
    check(
        many(0..1, |n| failed(Outcome::Unanswered, 1_000, good(n))),
        "silent_one",
    );
}

#[test]
fn unreachable_says_who_said_so_and_why() {
    let unreachable = |code, from: &'static str| {
        move |n| Handshake {
            icmp_type: Some(3),
            icmp_code: Some(code),
            icmp_from: Some(from.parse().unwrap()),
            ..failed(Outcome::Unreachable, 2, good(n))
        }
    };
    check(
        many(0..2, unreachable(1, "203.0.113.1")),
        "unreachable_router",
    );
    check(many(0..2, unreachable(3, SERVER)), "unreachable_host");
}

#[test]
fn repeated_syns_are_blamed_on_the_server_only_if_nothing_else_gets_lost() {
    let repeated = |n| Handshake {
        syn_retransmits: 1,
        first_syn_to_synack_us: ms(1008),
        handshake_us: ms(1020),
        ..good(n)
    };
    let late = |n| Connection {
        client: Sent {
            retransmits: 1,
            ..plain(n).client
        },
        ..plain(n)
    };
    let healthy = [
        many(0..6, repeated),
        many(6..20, good),
        connections(0..6, late),
        connections(6..20, plain),
    ]
    .concat();
    check(healthy, "syn_server");
    let lossy = |n| Connection {
        client: Sent {
            retransmits: 5,
            ..plain(n).client
        },
        ..plain(n)
    };
    check(
        [
            many(0..2, repeated),
            many(2..20, good),
            connections(0..20, lossy),
        ]
        .concat(),
        "syn_network",
    );
    check([many(0..1, repeated), many(1..20, good)].concat(), NOTHING);
}

#[test]
fn a_repeated_synack_is_the_clients_path() {
    let repeated = |n| Handshake {
        synack_retransmits: 1,
        ..good(n)
    };
    check([many(0..2, repeated), many(2..9, good)].concat(), "synack");
}

#[test]
fn a_server_reset_in_the_handshake_and_a_handshake_that_never_ends_are_failures() {
    let synack = |outcome, n| Handshake {
        synack_seen: true,
        ..failed(outcome, 3_000, good(n))
    };
    check(
        many(0..2, |n| synack(Outcome::Reset, n)),
        "reset_in_handshake",
    );
    check(
        many(0..2, |n| synack(Outcome::Unacknowledged, n)),
        "unacknowledged",
    );
    check(many(0..2, |n| synack(Outcome::Aborted, n)), "half_open");
    check(
        many(0..2, |n| failed(Outcome::Aborted, 3_000, good(n))),
        "aborted",
    );
}

#[test]
fn loss_is_told_by_side_and_compared_with_the_other_peers() {
    let to_client = |n| Connection {
        server: Sent {
            retransmits: 9,
            dsacks: 2,
            ..plain(n).server
        },
        ..plain(n)
    };
    let others = connections(4..8, |n| connection(n, OTHER, SERVER, 80));
    check(
        [connections(0..2, to_client), others.clone()].concat(),
        "lossy_client",
    );
    let from_server = |n| Connection {
        server: Sent {
            fills: 9,
            fills_lost: 9,
            ..plain(n).server
        },
        ..plain(n)
    };
    check(connections(0..2, from_server), "lossy_server");
    let needless = |n| Connection {
        server: Sent {
            retransmits: 9,
            dsacks: 9,
            ..plain(n).server
        },
        ..plain(n)
    };
    check(connections(0..2, needless), NOTHING);
    let one_in_five = |n| Connection {
        client: Sent {
            retransmits: 1,
            data_segments: 3,
            ..plain(n).client
        },
        server: Sent {
            data_segments: 2,
            ..plain(n).server
        },
        ..plain(n)
    };
    check(connections(0..1, one_in_five), NOTHING);
}

#[test]
fn what_is_repeated_next_to_its_receiver_was_not_lost() {
    let at_client = |n| Connection {
        tap_side: Side::Client,
        server: Sent {
            retransmits: 9,
            ..plain(n).server
        },
        ..plain(n)
    };
    check(connections(0..2, at_client), NOTHING);
}

#[test]
fn loss_of_most_clients_is_one_finding() {
    let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let records = (0..).zip(clients).map(|(n, client)| {
        let plain = connection(n, client, SERVER, 80);
        Connection {
            server: Sent {
                retransmits: 9,
                ..plain.server.clone()
            },
            ..plain
        }
        .into()
    });
    check(records.collect(), "lossy_clients");
}

#[test]
fn resets_are_harm_only_where_an_answer_was_owed() {
    let reset = |close, client: u64, server: u64| {
        move |n| {
            let plain = plain(n);
            Connection {
                close,
                client: Sent {
                    bytes: client,
                    ..plain.client.clone()
                },
                server: Sent {
                    bytes: server,
                    resets: 1,
                    ..plain.server.clone()
                },
                ..plain
            }
        }
    };
    check(
        connections(0..1, reset(Close::RstByServer, 100, 0)),
        "reset_unanswered",
    );
    check(
        connections(0..2, reset(Close::RstByServer, 100, 100)),
        NOTHING,
    );
    check(
        connections(0..3, reset(Close::RstByServer, 100, 100)),
        "reset_by_server",
    );
    check(
        connections(0..3, reset(Close::RstByServer, 0, 0)),
        "reset_empty",
    );
    check(
        connections(0..1, reset(Close::RstByClient, 100, 0)),
        "abandoned",
    );
    check(
        connections(0..3, reset(Close::RstByClient, 100, 100)),
        "reset_by_client",
    );
    check(connections(0..3, reset(Close::RstByClient, 0, 0)), NOTHING);
    let missed = |n| Connection {
        handshake: Some(HandshakeOutcome::Missed),
        ..reset(Close::RstByServer, 100, 0)(n)
    };
    check(connections(0..3, missed), "reset_stale");
}

#[test]
fn a_closed_window_is_told_of_who_closed_it() {
    let slow = |n| {
        let sent = Sent {
            zero_windows: 2,
            zero_window_us: ms(400).unwrap(),
            ..plain(n).client
        };
        Connection {
            client: sent,
            ..plain(n)
        }
    };
    check(
        [connections(0..2, slow), connections(2..4, plain)].concat(),
        "zero_window",
    );
    let short = |n| {
        let sent = Sent {
            zero_windows: 1,
            zero_window_us: ms(99).unwrap(),
            ..plain(n).server
        };
        Connection {
            server: sent,
            ..plain(n)
        }
    };
    check(connections(0..1, short), NOTHING);
}

#[test]
fn long_and_varying_paths_are_notes() {
    let far = |n| {
        let sent = Sent {
            rtt_min_us: ms(600),
            rtt_mean_us: ms(640),
            ..plain(n).client
        };
        Connection {
            client: sent,
            ..plain(n)
        }
    };
    check(connections(0..1, far), "far");
    let queue = |n| Connection {
        server: Sent {
            rtt_mean_us: ms(900),
            ..plain(n).server
        },
        ..plain(n)
    };
    check(connections(0..1, queue), "delay");
}

#[test]
fn many_ports_of_one_client_are_one_finding() {
    let scan = (0..9).map(|n| {
        failed(
            Outcome::Refused,
            1,
            handshake(n, CLIENT, SERVER, 1000 + n.unsigned_abs()),
        )
        .into()
    });
    check(scan.collect(), "scan");
    let lost = (0..9).map(|n| {
        failed(
            Outcome::TimedOut,
            60_000,
            handshake(n, CLIENT, &format!("10.0.0.{n}"), 80),
        )
        .into()
    });
    check(lost.collect(), "no_way_out");
}

#[test]
fn a_one_sided_capture_comes_first_and_tells_nothing_else_of_these_connections() {
    let half = |n| {
        let sent = Sent {
            retransmits: 50,
            missing_bytes: 9,
            ..plain(n).client
        };
        Connection {
            client: sent,
            server: Sent::default(),
            ..plain(n)
        }
    };
    let refused = many(0..3, |n| failed(Outcome::Refused, 1, good(n)));
    check([connections(0..3, half), refused].concat(), "one_direction");
}

#[test]
fn what_the_observation_lost_is_remarked() {
    let gap = |n| {
        let sent = Sent {
            missing_bytes: 1000,
            ..plain(n).client
        };
        Connection {
            client: sent,
            ..plain(n)
        }
    };
    let health = Health {
        kernel_drops: Some(10),
        duplicates: 500,
        time_reversals: 10,
        ..health()
    };
    check_with(connections(0..1, gap), &health, "capture");
}

#[test]
fn loss_in_what_was_captured_twice_is_doubtful_and_that_comes_first() {
    let repeats = |n, client_repeats, server_repeats| {
        let sent = |sent, retransmits| Sent {
            data_segments: 40,
            retransmits,
            ..sent
        };
        let plain = plain(n);
        Connection {
            client: sent(plain.client.clone(), client_repeats),
            server: sent(plain.server.clone(), server_repeats),
            ..plain
        }
    };
    let lossy = connections(0..3, |n| repeats(n, 2, 9));
    let copies = Health {
        duplicates: 400,
        ..health()
    };
    check_with(lossy, &copies, "loss_among_copies");
    // Every segment twice, and no copy known.
    let doubled = connections(0..3, |n| repeats(n, 20, 19));
    let refused = many(0..3, |n| {
        failed(Outcome::Refused, 1, handshake(n, CLIENT, SERVER, 81))
    });
    check([doubled, refused].concat(), "doubled");
    // One way only: a path may be so.
    let one_way = connections(0..3, |n| repeats(n, 1, 19));
    let findings = report(&one_way).finish(&health());
    assert!(!text(&findings).contains("oubtful"), "{}", text(&findings));
}

#[test]
fn failures_come_before_slowness_and_slowness_before_notes() {
    let records = [
        connections(0..2, |n| Connection {
            server: Sent {
                retransmits: 9,
                ..plain(n).server
            },
            ..plain(n)
        }),
        many(10..12, |n| {
            failed(Outcome::Refused, 1, handshake(n, OTHER, SERVER, 81))
        }),
        many(20..23, |n| {
            failed(Outcome::TimedOut, 60_000, handshake(n, OTHER, SERVER, 82))
        }),
        connections(30..33, |n| Connection {
            close: Close::RstByServer,
            ..connection(n, OTHER, SERVER, 83)
        }),
    ];
    let findings = report(&records.concat()).finish(&health());
    let codes: Vec<_> = findings
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(
        codes,
        ["unanswered", "refused", "lossy_client", "reset_by_server"]
    );
}

#[test]
fn parts_of_a_connection_are_not_added_up() {
    let part = |n| {
        let sent = Sent {
            retransmits: 9,
            ..plain(n).server
        };
        Connection {
            server: sent,
            is_final: false,
            part: Some(1),
            close: Close::Open,
            ..plain(n)
        }
    };
    check(
        [connections(0..9, part), connections(0..1, plain)].concat(),
        "",
    );
}

#[test]
fn summaries_add_up_in_any_order() {
    let records: Vec<_> = (0..40)
        .map(|n| match n % 4 {
            0 => failed(Outcome::Refused, 1, good(n)),
            1 => Handshake {
                syn_retransmits: 2,
                handshake_us: ms(3000),
                ..good(n)
            },
            2 => failed(Outcome::Unanswered, 10, good(n)),
            _ => Handshake {
                handshake_us: ms(n.unsigned_abs()),
                ..good(n)
            },
        })
        .collect();
    let of = |records: &[Handshake]| {
        let mut summary = HandshakeSummary::default();
        records.iter().for_each(|record| summary.add(record));
        summary
    };
    let (left, right) = records.split_at(13);
    let mut merged = of(right);
    merged.merge(&of(left));
    assert_eq!(merged, of(&records));
    assert_eq!(
        (merged.attempts(), merged.decided(), merged.undecided),
        (40, 30, 10)
    );
    assert_eq!(
        (
            merged.syn_established.segments,
            merged.syn_established.attempts
        ),
        (20, 10)
    );
    assert_eq!(merged.handshake.quantile(1000), ms(3000));
}
