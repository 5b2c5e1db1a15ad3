//! Attempts to connect.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use tcplens_capture::kernel::KernelOptions;
use tcplens_core::kernel::{Attempt, AttemptEnd, Event, What};

use crate::harness::{BOTH, Server, observe, peer, server};

fn attempts(events: &[Event]) -> Vec<Attempt> {
    let mut found = Vec::new();
    for event in events {
        if let What::Attempt(attempt) = event.what {
            found.push(attempt);
        }
    }
    found
}

#[test]
fn established_is_told_at_both_ends() {
    for variant in BOTH {
        for is_server in [true, false] {
            let target = Server::v4(drop);
            let options = KernelOptions {
                variant,
                tasks: false,
                ..match is_server {
                    true => server(target.port()),
                    false => peer(target.port()),
                }
            };
            let act = || drop(target.connect());
            let Some(events) = observe(&options, act, |events| !events.is_empty()) else {
                return;
            };
            let attempt = attempts(&events)[0];
            assert_eq!(attempt.end, AttemptEnd::Established);
            assert_eq!(
                (attempt.syn_retransmits, attempt.synack_retransmits),
                (0, 0)
            );
            let socket = &events[0].socket;
            assert!(socket.local.1 != 0 && socket.remote.1 != 0 && socket.cookie != 0);
            target.join();
        }
    }
}

#[test]
fn refused_is_told_with_its_error_and_where_nobody_listens() {
    for variant in BOTH {
        for is_server in [true, false] {
            // A port that nobody has.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .expect("listens")
                .port();
            let options = KernelOptions {
                variant,
                ..match is_server {
                    true => server(port),
                    false => peer(port),
                }
            };
            let act = || {
                let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
                assert!(refused.is_err());
            };
            let Some(events) = observe(&options, act, |events| !events.is_empty()) else {
                return;
            };
            let end = attempts(&events)[0].end;
            match is_server {
                true => assert_eq!(end, AttemptEnd::RefusedHere),
                false => assert_eq!(end, AttemptEnd::Failed(libc::ECONNREFUSED as u16)),
            }
            let socket = &events[0].socket;
            let server = if is_server {
                socket.local
            } else {
                socket.remote
            };
            assert_eq!(server, (Ipv4Addr::LOCALHOST.into(), port));
            assert!(socket.local.1 != 0 && socket.remote.1 != 0);
        }
    }
}
