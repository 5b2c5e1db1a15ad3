//! Attempts to connect.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, socket};

use tcplens_capture::kernel::KernelOptions;
use tcplens_core::kernel::{Attempt, AttemptEnd, Event, TaskEnd, What};

use crate::harness::{
    BOTH, Server, connections, give, is_closed, observe, peer, server, take, tasks,
};

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
            if is_server {
                // Its SYN-ACK.
                let round_trip = attempt.rtt_us.map_or(0, i64::from);
                assert_eq!(socket.began, events[0].at.plus(-1000 * round_trip));
            }
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

/// A port that nobody has.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listens");
    listener.local_addr().expect("has an address").port()
}

#[test]
fn both_ends_that_connect_to_each_other_are_one_attempt() {
    for variant in BOTH {
        // Both ends are one socket.
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port());
        let options = KernelOptions {
            variant,
            ..peer(address.port())
        };
        let act = || {
            let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
            bind(&fd, &address).expect("binds");
            connect(&fd, &address).expect("connects to itself");
            let mut stream = TcpStream::from(fd);
            give(&mut stream, 4);
            take(&mut stream, 4);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let ends: Vec<AttemptEnd> = attempts(&events).iter().map(|one| one.end).collect();
        assert_eq!(ends, [AttemptEnd::Established], "{variant:?} {events:#?}");
        let connection = connections(&events)[0];
        assert_eq!((connection.sent_bytes, connection.received_bytes), (4, 4));
    }
}

/// In a network namespace of its own, in which fast open is on for all.
fn with_fast_open(act: impl FnOnce() + Send) {
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: of this thread alone.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            let up = std::process::Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status();
            assert!(up.expect("runs ip").success());
            // Clients, servers, without a cookie, all listeners (ip-sysctl).
            std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "1543").expect("sets");
            act();
        });
        thread.join()
    });
    done.expect("goes through");
}

#[test]
fn request_with_the_syn_is_one_at_both_ends() {
    for variant in BOTH {
        for is_server in [true, false] {
            let port = free_port();
            let options = KernelOptions {
                variant,
                ..match is_server {
                    true => server(port),
                    false => peer(port),
                }
            };
            let act = || {
                with_fast_open(|| {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("listens");
                    let fd =
                        socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
                    let on: libc::c_int = 1;
                    let size = size_of::<libc::c_int>() as libc::socklen_t;
                    use std::os::fd::AsRawFd;
                    // SAFETY: a number of this size, which lives until the call returns.
                    let set = unsafe {
                        libc::setsockopt(
                            fd.as_raw_fd(),
                            libc::IPPROTO_TCP,
                            libc::TCP_FASTOPEN_CONNECT,
                            (&raw const on).cast(),
                            size,
                        )
                    };
                    assert_eq!(set, 0);
                    connect(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("connects");
                    let mut stream = TcpStream::from(fd);
                    give(&mut stream, 4);
                    let (mut other, _) = listener.accept().expect("accepts");
                    take(&mut other, 4);
                    give(&mut other, 10);
                    take(&mut stream, 10);
                });
            };
            let Some(events) = observe(&options, act, is_closed) else {
                return;
            };
            let tasks = tasks(&events);
            assert_eq!(tasks.len(), 1, "{variant:?} {is_server} {events:#?}");
            let end = match is_server {
                true => TaskEnd::Answered,
                false => TaskEnd::Received,
            };
            assert_eq!(tasks[0].end, end);
            assert_eq!((tasks[0].request_bytes, tasks[0].response_bytes), (4, 10));
            // At the server it begins when it is established.
            let began = events.last().map(|event| event.socket.began);
            assert!(began == Some(tasks[0].first_request) || !is_server);
        }
    }
}
