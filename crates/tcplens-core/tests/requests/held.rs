//! Small segments that waited for a delayed ACK, and those that cannot have: `connection.client_held_segments` and what is
//! beside it. More of it in tests/cases/nagle.

use crate::pairing::HTTP_GET;
use crate::wire::*;

/// Held segments of client and server, and by how many us.
fn held(talk: &Talk) -> [(u64, u64); 2] {
    let outcome = run(&talk.packets);
    assert_eq!(outcome.connections.len(), 1);
    let connection = &outcome.connections[0];
    [&connection.client, &connection.server]
        .map(|side| (side.held_segments, side.held_us.ns() / 1000))
}

/// Ten pieces of a server that is `far` ns away, each of which the client, who is here, acknowledges 40 ms later; the next one
/// comes `after` ns after that ACK.
fn pieces(far: i64, after: i64) -> Talk {
    let mut talk = Talk::default();
    talk.handshake([0, far, far + 50 * US]);
    let mut at = far + MS;
    talk.data(at, C, HTTP_GET);
    at += far + MS;
    for _ in 0..10 {
        talk.data(at, S, b"token");
        talk.ack(at + 40 * MS, C);
        at += 40 * MS + after;
    }
    talk
}

#[test]
fn what_comes_sooner_than_a_round_trip_after_an_ack_did_not_wait_for_it() {
    // 30 ms to the server and back: a piece every 60 ms, whatever is acknowledged.
    assert_eq!(held(&pieces(30 * MS, 20 * MS)), [(0, 0); 2]);
    assert_eq!(held(&pieces(30 * MS, MS)), [(0, 0); 2]);
    assert_eq!(held(&pieces(30 * MS, 27_900 * US)), [(0, 0); 2]);
    assert_eq!(held(&pieces(30 * MS, 32_100 * US)), [(0, 0); 2]);
    // A round trip after it, 2 ms more or less; nine, for nothing waits for the last ACK.
    let waited = [(0, 0), (9, 9 * 39_950)];
    assert_eq!(held(&pieces(30 * MS, 28_100 * US)), waited);
    assert_eq!(held(&pieces(30 * MS, 31_900 * US)), waited);
}

#[test]
fn at_the_sender_it_is_sent_at_once() {
    // 300 us to the server and back: the piece comes as soon as the ACK is there.
    assert_eq!(held(&pieces(300 * US, 20 * US)), [(0, 0), (9, 9 * 39_950)]);
}

#[test]
fn without_a_round_trip_nobody_knows_what_waited() {
    // In mid-connection; the client alone is answered, so that its round trips are known, and the server's are not.
    let mut talk = Talk::default();
    let mut at = 0;
    for _ in 0..10 {
        talk.data(at, S, b"token");
        talk.ack(at + 50 * US, C);
        talk.data(at + MS, S, b"token");
        talk.ack(at + 41 * MS, C);
        at += 41 * MS + 20 * US;
    }
    let outcome = run(&talk.packets);
    let server = &outcome.connections[0].server;
    let client = &outcome.connections[0].client;
    let sides = [client, server].map(|side| (side.rtt_samples > 0, side.held_segments));
    // Who sent the first data is taken for the client where nothing else tells.
    assert!(sides.contains(&(false, 0)), "{sides:?}");
    assert!(sides.contains(&(true, 0)), "{sides:?}");
}
