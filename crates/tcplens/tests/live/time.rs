//! Time goes on without packets.

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{field, number, of, of_kind};
use crate::tap::{Tap, tcplens};
use crate::traffic::Connection;

#[test]
fn connections_expire_without_any_further_packet() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("idle");
    let words = [
        "records",
        "-i",
        "va",
        "--idle",
        "2",
        "--timeout",
        "1",
        "tcp",
    ];
    let tap = Tap::start(tcplens(&a, &place, &words));
    let mut connection = Connection::open(&a, &b, "10.9.0.2:6379");
    connection.ping();
    let port = connection.port();
    tap.until("the connection expires", |out| {
        let ended = of(out, "connection", port);
        ended
            .iter()
            .any(|line| field(line, "close") == Some("\"idle\""))
    });
    // Nothing was sent meanwhile, and nothing is open any more.
    let ended = tap.interrupt();
    ended.is(0, &[]);
    assert_eq!(of(&ended.out, "connection", port).len(), 1, "{ended:?}");
}

/// Sooner than late segments of a file are waited for.
#[test]
fn a_connection_is_told_soon_after_its_end() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("over");
    let tap = Tap::start(tcplens(&a, &place, &["records", "-i", "va", "tcp"]));
    let mut connection = Connection::open(&a, &b, "10.9.0.2:6379");
    connection.ping();
    let port = connection.port();
    connection.close();
    tap.until("the connection is told", |out| {
        let ended = of(out, "connection", port);
        ended
            .iter()
            .any(|line| field(line, "close") == Some("\"fin\""))
    });
    tap.interrupt().is(0, &[]);
}

#[test]
fn health_is_told_at_intervals() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("interval");
    let words = ["records", "-i", "lo", "--interval", "1", "--kind", "health"];
    let tap = Tap::start(tcplens(&lo, &place, &words));
    let _open = Connection::open(&lo, &lo, "127.0.0.1:6379");
    tap.until("two of them", |out| of_kind(out, "health").len() >= 2);
    let ended = tap.interrupt();
    let last = of_kind(&ended.out, "health").pop().unwrap();
    assert_eq!(number(last, "packets"), 3, "{last}");
}
