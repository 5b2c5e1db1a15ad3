//! DNS over UDP.

use tcplens_core::record::Protocol;
use tcplens_core::shard::Settings;

use crate::conversations::{dns_answer, dns_query};
use crate::pairing::*;
use crate::wire::*;

#[test]
fn queries_over_udp() {
    let (client, server) = ("10.0.0.1:40000", "10.0.1.1:53");
    let ask = |at: i64, id: u16, name: u8| datagram(at, client, server, &dns_query(id, name, 1));
    let reply =
        |at: i64, id: u16, name: u8| datagram(at, server, client, &dns_answer(id, 0, name, 1));
    let outcome = run(&[
        ask(10 * MS, 1, b'a'),
        ask(12 * MS, 2, b'b'),
        ask(1010 * MS, 1, b'a'),
        reply(1020 * MS, 1, b'a'),
        reply(1021 * MS, 2, b'b'),
        reply(1022 * MS, 1, b'a'),
        ask(1100 * MS, 3, b'c'),
    ]);
    let lines = [
        r#"1 Dns A "A a.test." 24 -> Ok 0 "NOERROR" 40"#,
        r#"2 Dns A "A b.test." 24 -> Ok 0 "NOERROR" 40"#,
        r#"3 Dns A "A c.test." 24 -> Unanswered 0 by Observation"#,
    ];
    assert_eq!(outcome.lines(), lines);
    let requests: Vec<_> = outcome.requests.iter().map(Got::record).collect();
    let answers: Vec<_> = requests.iter().map(|request| request.answers).collect();
    assert_eq!(answers, [Some("10.0.0.1"), Some("10.0.0.1"), None]);
    assert_eq!(
        outcome.requests[0].times()[..4],
        [10, 10, 1020, 1020].map(ms)
    );
    assert_eq!(requests[0].retransmits, 1);
    assert_eq!(
        outcome.requests[1].times()[..4],
        [12, 12, 1021, 1021].map(ms)
    );
    assert_eq!(outcome.counts.read.unpaired[Protocol::Dns as usize], 1);
}

/// Who asks again from the same port after the timeout asks anew, and an answer is to the later query.
#[test]
fn queries_over_udp_time_out() {
    let (client, server) = ("10.0.0.1:40000", "10.0.1.1:53");
    let ask = |at: i64, id: u16, name: u8| datagram(at, client, server, &dns_query(id, name, 1));
    let reply =
        |at: i64, id: u16, name: u8| datagram(at, server, client, &dns_answer(id, 0, name, 1));
    let mut packets = vec![ask(10 * MS, 1, b'a')];
    // The flow is never silent.
    for n in 0..40 {
        let id = 100 + n as u16;
        packets.push(ask(n * 5_000 * MS + 20 * MS, id, b'b'));
        packets.push(reply(n * 5_000 * MS + 21 * MS, id, b'b'));
    }
    packets.push(ask(59_000 * MS, 1, b'a'));
    packets.push(ask(70_000 * MS, 1, b'a'));
    packets.push(reply(70_001 * MS, 1, b'a'));
    packets.push(reply(80_000 * MS, 1, b'a'));
    packets.sort_by_key(|packet| packet.at);
    let outcome = run(&packets);
    let about_a: Vec<_> = outcome
        .lines()
        .into_iter()
        .filter(|line| line.contains("a.test"))
        .collect();
    let again = 2 + outcome
        .requests
        .iter()
        .filter(|got| got.times()[0] < ms(70_000))
        .count()
        - 1;
    let lines = [
        r#"1 Dns A "A a.test." 24 -> Unanswered 0 by Observation"#.to_string(),
        format!(r#"{again} Dns A "A a.test." 24 -> Ok 0 "NOERROR" 40"#),
    ];
    assert_eq!(about_a, lines);
    let find = |task: u64| {
        outcome
            .requests
            .iter()
            .find(|got| got.row.task == task)
            .unwrap()
    };
    assert_eq!(find(1).record().retransmits, 1);
    let times = find(again as u64).times();
    assert_eq!(times[..4], [70_000, 70_000, 70_001, 70_001].map(ms));
    assert_eq!(find(again as u64).record().queued, 0);
    assert_eq!(outcome.counts.read.unpaired[Protocol::Dns as usize], 1);
}

/// Where names alone are wanted, connections are not read, and the names come whatever protocols were asked for.
#[test]
fn names_alone_cost_requests_of_dns_alone() {
    let (client, server) = ("10.0.0.1:40000", "10.0.1.1:53");
    let mut talk = Talk::open();
    talk.data(10 * MS, 0, &get("foo"));
    talk.data(11 * MS, 1, OK);
    let mut packets = talk.packets;
    packets.push(datagram(50 * MS, client, server, &dns_query(1, b'a', 1)));
    packets.push(datagram(
        51 * MS,
        server,
        client,
        &dns_answer(1, 0, b'a', 1),
    ));
    let settings = Settings {
        requests: false,
        names: true,
        protocols: vec![Protocol::Redis],
        ..Settings::default()
    };
    let outcome = run_with(&settings, &packets);
    assert_eq!(
        outcome.lines(),
        [r#"1 Dns A "A a.test." 24 -> Ok 0 "NOERROR" 40"#]
    );
    assert_eq!(outcome.requests[0].record().answers, Some("10.0.0.1"));
    let spoken: Vec<_> = outcome
        .connections
        .iter()
        .map(|one| (one.protocol, one.requests))
        .collect();
    assert_eq!(spoken, [(None, None)]);
    let none = Settings {
        names: false,
        ..settings
    };
    assert_eq!(run_with(&none, &packets).lines(), [""; 0]);
}
