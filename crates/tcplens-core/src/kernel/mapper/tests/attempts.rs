//! Attempts to handshakes.

use super::*;

#[test]
fn a_client_s_attempt_has_its_outcome_with_the_kernel_s_reason() {
    use AttemptEnd::*;
    for (end, outcome, error) in [
        (Established, Outcome::Established, None),
        (Failed(111), Outcome::Refused, Some("ECONNREFUSED")),
        (Failed(110), Outcome::TimedOut, Some("ETIMEDOUT")),
        (Failed(113), Outcome::Unreachable, Some("EHOSTUNREACH")),
        (Failed(101), Outcome::Unreachable, Some("ENETUNREACH")),
        (Failed(13), Outcome::Unreachable, Some("EACCES")),
        (Failed(104), Outcome::Reset, Some("ECONNRESET")),
        (Closed, Outcome::Aborted, None),
        (Open, Outcome::Unanswered, None),
    ] {
        let said = handshakes(
            &mut mapper(),
            [event(client(7), 500, What::Attempt(attempt(end)))],
        );
        assert_eq!((said[0].outcome, said[0].error), (outcome, error));
        assert_eq!(said[0].wait_us, Some(Span::from_ns(500_000)));
        assert_eq!(
            said[0].handshake_us.is_some(),
            outcome == Outcome::Established
        );
    }
    let again = Attempt {
        syn_retransmits: 2,
        rtt_us: None,
        ..attempt(Established)
    };
    let line = &lines(
        &mut mapper(),
        [event(client(7), 3_000_000, What::Attempt(again))],
    )[0];
    assert!(
        line.contains(
            " tap_side=client outcome=established handshake_us=3000000 first_syn_to_synack_us=3000000 wait_us=3000000 \
             syn_retransmits=2 synack_seen=true socket_cookie=7 "
        ),
        "{line}"
    );
}

#[test]
fn a_server_s_attempt_has_what_it_knows_and_not_the_syn_s_time() {
    let established = event(
        server(7),
        130,
        What::Attempt(attempt(AttemptEnd::Established)),
    );
    let line = &lines(&mut mapper(), [established])[0];
    assert!(
        line.contains(
            " outcome=established synack_to_ack_us=130 synack_retransmits=0 synack_seen=true socket_cookie=7 "
        ),
        "{line}"
    );
    let refused = event(
        server(0),
        0,
        What::Attempt(attempt(AttemptEnd::RefusedHere)),
    );
    let said = lines(&mut mapper(), [refused]);
    let line = said.iter().find(|line| line.contains(" outcome=")).unwrap();
    assert!(
        line.contains(" outcome=refused ") && line.contains(" error=ECONNREFUSED "),
        "{line}"
    );
    // Without a cookie the id is that of time and ends.
    assert!(line.contains(" connection_id=18e9ea0fc8e96000-"), "{line}");
    assert!(!line.contains("socket_cookie"), "{line}");
}

#[test]
fn a_syn_ack_that_is_never_acknowledged_is_over_after_its_time_or_at_the_end() {
    let again = |n, at, port| {
        let socket = Socket {
            cookie: 0,
            remote: ("192.0.2.7".parse().unwrap(), port),
            ..server(0)
        };
        event(
            socket,
            at,
            What::Attempt(attempt(AttemptEnd::SynackAgain(n))),
        )
    };
    let mut mapper = mapper();
    let mut out = Records::default();
    for event in [
        again(1, 1_000_000, 40_001),
        again(2, 3_000_000, 40_001),
        again(1, 3_500_000, 40_002),
        again(1, 3_600_000, 40_003),
    ] {
        mapper.event(event, &mut out);
    }
    // One of them is established after all.
    let socket = Socket {
        remote: ("192.0.2.7".parse().unwrap(), 40_002),
        ..server(7)
    };
    let late = event(
        socket,
        4_000_000,
        What::Attempt(attempt(AttemptEnd::Established)),
    );
    mapper.event(late, &mut out);
    let said = handshakes_of(&out);
    assert_eq!((said.len(), said[0].outcome), (1, Outcome::Established));
    assert_eq!(said[0].synack_retransmits, 1);
    out.clear();
    mapper.tick(us(65_900_000), &mut out);
    assert!(out.is_empty());
    mapper.tick(us(66_000_000), &mut out);
    let said = handshakes_of(&out);
    assert_eq!(
        (said.len(), said[0].client_port, said[0].outcome),
        (1, 40_001, Outcome::Unacknowledged)
    );
    assert_eq!((said[0].synack_retransmits, said[0].wait_us), (2, None));
    out.clear();
    mapper.end(us(66_000_000), &mut out);
    assert_eq!(handshakes_of(&out)[0].client_port, 40_003);
    assert_eq!(mapper.counts().early_attempts, 0);
}

#[test]
fn attempts_that_wait_are_bounded_and_counted() {
    let mut mapper = Mapper::new(Settings {
        pending_attempts: 2,
        ..Settings::default()
    });
    let again = |n, port| {
        let socket = Socket {
            remote: ("192.0.2.7".parse().unwrap(), port),
            ..server(0)
        };
        event(
            socket,
            i64::from(n),
            What::Attempt(attempt(AttemptEnd::SynackAgain(n))),
        )
    };
    let said = handshakes(&mut mapper, [again(1, 1), again(1, 2), again(1, 3)]);
    assert_eq!((said.len(), said[0].client_port), (1, 1));
    assert_eq!(mapper.counts().early_attempts, 1);
    // Counted from the beginning again: another attempt of the same ends.
    let said = handshakes(&mut mapper, [again(1, 3)]);
    assert_eq!((said.len(), said[0].client_port), (1, 3));
    assert_eq!(mapper.counts().early_attempts, 1);
}
