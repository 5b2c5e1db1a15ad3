//! What is said by another change, and what is not: tails, operations, all of a server.

use super::*;
use traffic::Chance;
use view_requests::request;

/// How long a request takes, in ms, of a number from 0 to 1: of GET, of POST.
type Takes = [fn(f64) -> f64; 2];

/// 120 connections of 20 requests each, of GET and POST by turns; times differ by a tenth.
fn posts_and_gets(seed: u64, takes: Takes) -> Period {
    let mut period = Period::default();
    for n in 0..120_u32 {
        let mut chance = Chance::of(seed << 20 | u64::from(n));
        let begin = START.plus(i64::from(n) * SECOND / 2);
        let which = n as usize % 2;
        for task in 0..20_u32 {
            let took = takes[which](chance.share()) * (0.9 + 0.2 * chance.share());
            let took = Span::from_ns((took * 1e6) as u64);
            period.request(&Request {
                time: begin.plus(i64::from(task) * SECOND / 50),
                connection_id: ConnectionId::Packets {
                    first: begin,
                    flow: n,
                },
                operation: Some(["GET", "POST"][which]),
                protocol: Protocol::Http,
                in_server_us: Some(took),
                process_us: Some(took),
                total_us: Some(took),
                task: u64::from(task) + 1,
                ..request(0, "10.0.0.1", 80, 0)
            });
        }
    }
    period.covers(START, START.plus(61 * SECOND));
    period
}

const PLAIN: Takes = [|_| 10.0, |_| 10.0];

/// Most are faster, and 14 of 100 take half a second.
fn with_tail(chance: f64) -> f64 {
    if chance < 0.14 { 500.0 } else { 6.0 }
}

fn changed(now: Takes) -> Comparison {
    compare(&posts_and_gets(1, PLAIN), &posts_and_gets(2, now))
}

fn codes(comparison: &Comparison) -> Vec<String> {
    let told = metrics(comparison).into_iter();
    told.map(|(_, code, operation)| format!("{code} {}", operation.as_deref().unwrap_or("all")))
        .collect()
}

#[test]
fn a_tail_of_one_operation_is_told_beside_another_operation_that_is_slower() {
    let comparison = changed([|_| 15.0, with_tail]);
    assert_eq!(
        codes(&comparison),
        ["more_slow all", "slower GET", "faster POST"]
    );
    let worst = comparison.told().next().unwrap();
    let evidence = worst.evidence.as_deref().unwrap();
    assert!(
        evidence.contains("by operation: POST none to "),
        "{evidence}"
    );
}

#[test]
fn a_tail_of_one_operation_is_told_where_all_of_the_server_is_slower() {
    // Of GET three times as long, all requests take longer than before; that POST has a tail is not said by that.
    let comparison = changed([|_| 30.0, |chance| if chance < 0.14 { 500.0 } else { 9.9 }]);
    assert_eq!(codes(&comparison), ["more_slow POST", "slower all"]);
}

#[test]
fn a_tail_is_said_by_the_latency_of_the_same_requests() {
    let comparison = changed([|_| 10.0, |_| 30.0]);
    assert_eq!(codes(&comparison), ["slower all"]);
    let slow_share = |it: &&Change| it.metric == Metric::SlowShare && it.is_significant;
    let folded = comparison.changes.iter().filter(slow_share).count();
    assert_eq!(folded, 2, "of all, and of POST");
}
