//! What is answered while a run goes on: tcpeek's numbers, and sums over connections in parts.

use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::view::{Running, Sums, Tallies, TcpeekCounts};

use super::*;

fn filters(words: &[&str]) -> Vec<HandshakeFilter> {
    let parsed = words.iter().map(|word| HandshakeFilter::parse(word));
    parsed.collect::<Result<_, _>>().unwrap()
}

fn inbound(second: i64, port: u64) -> Handshake {
    Handshake {
        direction: Some(Direction::Inbound),
        ..handshake(second, "192.0.2.7", "10.0.0.1", port)
    }
}

#[test]
fn every_outcome_is_one_of_tcpeeks_or_none() {
    let mut tallies = Tallies::new(Vec::new(), false);
    for &outcome in Outcome::ALL {
        let made = match outcome {
            Outcome::Established => handshake(1, "192.0.2.7", "10.0.0.1", 80),
            // Long enough to tell.
            _ => failed(outcome, 5000, handshake(1, "192.0.2.7", "10.0.0.1", 80)),
        };
        assert!(tallies.count(&made));
    }
    let young = handshake(1, "192.0.2.7", "10.0.0.1", 80);
    assert!(tallies.count(&failed(Outcome::Unanswered, 10, young)));
    let expected = TcpeekCounts {
        success: 1,
        dupsyn: 0,
        dupsynack: 0,
        timeout: 3,
        reject: 3,
        unreach: 1,
    };
    assert_eq!(tallies.tcpeek(None), [("all", expected)]);
    assert_eq!(expected.failure(), 7);
}

#[test]
fn an_attempt_counts_once_in_each_filter_and_in_none_if_it_is_excluded() {
    let named = filters(&["web:RX@%:80:%", "db:TX@%:3306", ":RX@%:22"]);
    let mut tallies = Tallies::new(named, true);
    let count = |tallies: &Tallies| -> Vec<(String, u64)> {
        let all = tallies.tcpeek(None).into_iter();
        all.map(|(name, counts)| (name.to_owned(), counts.success))
            .collect()
    };
    let expected = |counts: &[(&str, u64)]| -> Vec<(String, u64)> {
        let all = counts.iter();
        all.map(|(name, n)| ((*name).to_owned(), *n)).collect()
    };
    assert!(tallies.count(&inbound(1, 80)));
    assert!(!tallies.count(&inbound(2, 22)));
    let both = [("RX", 1), ("TX", 0), ("web", 1), ("db", 0)];
    assert_eq!(count(&tallies), expected(&both));
    let earlier = tallies.totals();
    // Passing through: a row of its own, from the first on.
    assert!(tallies.count(&Handshake {
        direction: Some(Direction::Forwarded),
        ..inbound(3, 3306)
    }));
    assert!(tallies.count(&Handshake {
        direction: Some(Direction::Local),
        syn_retransmits: 1,
        ..inbound(4, 3306)
    }));
    let both = [
        ("RX", 2),
        ("TX", 1),
        ("forwarded", 1),
        ("web", 2),
        ("db", 1),
    ];
    assert_eq!(count(&tallies), expected(&both));
    // What came since: the rows are the same although one appeared among them.
    let since = tallies.tcpeek(Some(&earlier));
    let since: Vec<_> = since
        .iter()
        .map(|(name, counts)| (*name, counts.success, counts.dupsyn))
        .collect();
    assert_eq!(
        since,
        [
            ("RX", 1, 1),
            ("TX", 1, 1),
            ("forwarded", 1, 0),
            ("web", 1, 1),
            ("db", 1, 1)
        ]
    );
}

#[test]
fn parts_of_a_connection_count_once() {
    let mut running = Running::new(Vec::new(), false, None);
    let whole = connection(1, "192.0.2.7", "10.0.0.1", 6379);
    let part = |number, segments| Connection {
        is_final: false,
        close: Close::Open,
        part: Some(number),
        client: Sent {
            bytes: 10 * segments,
            data_segments: segments,
            retransmits: 1,
            ..Sent::default()
        },
        server: Sent::default(),
        ..whole.clone()
    };
    running.requests.add(&request(0, "10.0.0.1", 6379, 1));
    for (made, expected) in [
        (part(1, 3), [3, 0]),
        (part(2, 50), [50, 0]),
        (whole.clone(), [100, 100]),
        // Another one that never had parts.
        (connection(2, "192.0.2.7", "10.0.0.1", 6379), [200, 200]),
        (connection(3, "192.0.2.7", "10.0.0.1", 80), [200, 200]),
    ] {
        running.add(AnyRecord::Connection(&made));
        assert_eq!(running.connections.request_segments, expected);
    }
    let sums = Sums {
        bytes: 300_000,
        data_segments: 300,
        retransmits: 1,
    };
    let server = Sums {
        retransmits: 0,
        ..sums
    };
    assert_eq!(running.connections.sent, [sums, server]);
    assert_eq!(running.connections.ended(), 3);
    assert_eq!(running.connections.close(Close::Fin), 3);
}
