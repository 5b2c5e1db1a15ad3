//! The report of what the kernel tells: a slow server is found where its requests can be told from waits, and else it is said
//! that nobody can.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::kernel::namespace;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::tap::{Ended, Tap, tcplens};

const REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// More than a report calls slow.
const THINKS: Duration = Duration::from_millis(150);
const REQUESTS: usize = 5;

/// So many requests, one after the other, to a server that thinks about each.
fn ask(lo: &Namespace) {
    let listener = lo.within(|| TcpListener::bind("127.0.0.1:7000")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; REQUEST.len()];
            while stream.read_exact(&mut asked).is_ok() {
                std::thread::sleep(THINKS);
                stream.write_all(RESPONSE).unwrap();
            }
        });
        let mut stream = lo.within(|| TcpStream::connect("127.0.0.1:7000")).unwrap();
        for _ in 0..REQUESTS {
            stream.write_all(REQUEST).unwrap();
            stream.read_exact(&mut [0; RESPONSE.len()]).unwrap();
        }
    });
}

fn report(lo: &Namespace, place: &Place, words: &[&str]) -> Ended {
    let tap = Tap::start(tcplens(lo, place, &[&["report", "-k"][..], words].concat()));
    ask(lo);
    let ended = tap.interrupt();
    ended.is(0, &[", 0 dropped in the ring buffer"]);
    ended
}

#[test]
fn a_slow_server_is_found_from_either_end() {
    let Some(lo) = namespace() else {
        return;
    };
    let place = Place::new("kernel-report");
    for ports in ["-p", "--peer-port"] {
        let out = report(&lo, &place, &[ports, "7000", "-m", "http"]).out;
        assert!(
            out.contains("1. slow_server, suspect: server") && out.contains("all GET"),
            "{out}"
        );
        assert!(
            out.contains("5 of 5 answered requests took 100 ms"),
            "{out}"
        );
    }
}

#[test]
fn what_is_not_known_to_be_a_request_is_not_judged_and_that_is_said() {
    let Some(lo) = namespace() else {
        return;
    };
    let place = Place::new("kernel-report-turns");
    let out = report(&lo, &place, &["-p", "7000"]).out;
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "Nothing wrong found.",
        "5 requests (slow, unanswered)",
        "Not judged: 5 requests of 100 ms or more in protocols that are not known",
        "look at packets for these",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
}
