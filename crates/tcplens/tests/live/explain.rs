//! `explain` of live packets: the first connection that begins or has the end that is named, when it is over or at the end of
//! the run.

use crate::namespace::Namespace;
use crate::place::Place;
use crate::tap::{Tap, tcplens};
use crate::traffic::{Connection, pings};

#[test]
fn the_first_connection_is_told_when_it_is_over_and_one_by_its_end_when_the_run_is() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("explain");
    let start = |words: &[&str]| Tap::start(tcplens(&lo, &place, words));
    let first = start(&["explain", "-i", "lo", "port", "6379"]);
    let second = start(&["explain", "-i", "lo", "127.0.0.1:6380"]);
    let none = start(&["explain", "-i", "lo", "port", "6381"]);
    pings(&lo, &lo, "127.0.0.1:6379", 3);
    let mut open = Connection::open(&lo, &lo, "127.0.0.1:6380");
    open.ping();
    // Nobody has to end it.
    let ended = first.end();
    ended.is(0, &[]);
    for words in [
        " => 127.0.0.1:6379, redis; connection ",
        "Closed by both; the client closed first.",
        " PING (14 bytes) ",
        "request 3: ",
        "3 requests of redis, 3 answered",
    ] {
        assert!(one_line(&ended.out).contains(words), "{words:?}: {ended:?}");
    }
    let ended = second.interrupt();
    ended.is(0, &[]);
    for words in [
        " => 127.0.0.1:6380, redis; connection ",
        "Still open when the observation ended; nobody had closed.",
        "1 request of redis, 1 answered",
    ] {
        assert!(one_line(&ended.out).contains(words), "{words:?}: {ended:?}");
    }
    let ended = none.interrupt();
    ended.is(1, &["no TCP connection began in what was captured"]);
    assert_eq!(ended.out, "");
    open.close();
}

/// Without the ends of lines, which are where the screen's width wants them.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
