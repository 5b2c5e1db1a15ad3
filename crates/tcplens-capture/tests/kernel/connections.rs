//! How connections end, and what they count.

use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tcplens_capture::kernel::KernelOptions;
use tcplens_core::kernel::What;

use crate::harness::{BOTH, Server, connections, give, is_closed, observe, peer, server, take};

#[test]
fn who_closed_and_how_is_told() {
    for variant in BOTH {
        // By FIN of the server, by RST of the server, at either end.
        for (resets, is_server) in [(false, true), (false, false), (true, true), (true, false)] {
            let target = Server::v4(move |mut stream| {
                take(&mut stream, 4);
                give(&mut stream, 10);
                take(&mut stream, 1);
                if resets {
                    set_socket_linger(&stream, Some(Duration::ZERO)).expect("resets");
                }
            });
            let options = KernelOptions {
                variant,
                ..match is_server {
                    true => server(target.port()),
                    false => peer(target.port()),
                }
            };
            let act = || {
                let mut stream = target.connect();
                give(&mut stream, 4);
                take(&mut stream, 10);
                give(&mut stream, 1);
                let _ = stream.read(&mut [0]);
            };
            let Some(events) = observe(&options, act, is_closed) else {
                return;
            };
            let closed = connections(&events)[0].closed.expect("is closed");
            let flags = (
                closed.fin_sent,
                closed.fin_received,
                closed.rst_sent,
                closed.rst_received,
            );
            // The server went first.
            assert_eq!(closed.fin_first, !resets && is_server);
            let expected = match (resets, is_server) {
                (false, _) => (true, true, false, false),
                (true, true) => (false, false, true, false),
                (true, false) => (false, false, false, true),
            };
            assert_eq!(flags, expected, "{resets} {is_server} {variant:?}");
            target.join();
        }
    }
}

#[test]
fn requests_are_left_out_where_only_connections_are_asked_for() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            for _ in 0..2 {
                take(&mut stream, 4);
                give(&mut stream, 10);
            }
        });
        let options = KernelOptions {
            variant,
            only_connections: true,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            for _ in 0..2 {
                give(&mut stream, 4);
                take(&mut stream, 10);
            }
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let told = events.iter().map(|event| &event.what);
        let tasks = told.filter(|what| matches!(what, What::Task(_))).count();
        let connection = connections(&events)[0].clone();
        assert_eq!((tasks, connection.tasks), (0, 2), "{variant:?}");
        assert_eq!((connection.sent_bytes, connection.received_bytes), (20, 8));
        target.join();
    }
}

#[test]
fn bytes_leave_out_fins() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("reads");
            give(&mut stream, 70_000);
        });
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 3000);
            stream.shutdown(Shutdown::Write).expect("half closes");
            take(&mut stream, 70_000);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let connection = connections(&events)[0];
        assert_eq!(
            (connection.sent_bytes, connection.received_bytes),
            (70_000, 3000)
        );
        assert_eq!((connection.unacked_bytes, connection.unsent_bytes), (0, 0));
        target.join();
    }
}

#[test]
fn connection_is_over_with_its_last_fin_though_a_process_keeps_the_socket() {
    for variant in BOTH {
        let (let_go, kept) = channel::<()>();
        let target = Server::v4(move |mut stream| {
            take(&mut stream, 4);
            give(&mut stream, 10);
            stream.shutdown(Shutdown::Write).expect("half closes");
            let _ = kept.recv();
        });
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            take(&mut stream, 10);
            assert_eq!(stream.read(&mut [0]).expect("reads"), 0);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let closed = connections(&events)[0].closed.expect("is closed");
        assert!(closed.fin_sent && closed.fin_received && closed.fin_first);
        drop(let_go);
        target.join();
    }
}

#[test]
fn data_for_a_process_that_has_left_is_answered_with_a_rst_of_this_end() {
    for variant in BOTH {
        for is_server in [true, false] {
            let target = Server::v4(|mut stream| {
                take(&mut stream, 4);
                give(&mut stream, 10);
            });
            let options = KernelOptions {
                variant,
                ..match is_server {
                    true => server(target.port()),
                    false => peer(target.port()),
                }
            };
            let act = || {
                let mut stream = target.connect();
                give(&mut stream, 4);
                take(&mut stream, 10);
                assert_eq!(stream.read(&mut [0]).expect("reads"), 0);
                // It acknowledges the FIN, too, which waits for such an occasion (tcp_fin).
                give(&mut stream, 4);
            };
            let Some(events) = observe(&options, act, is_closed) else {
                return;
            };
            let closed = connections(&events)[0].closed.expect("is closed");
            let resets = (closed.rst_sent, closed.rst_received);
            assert_eq!(resets, (is_server, !is_server), "{variant:?} {closed:?}");
            target.join();
        }
    }
}

/// connect() to AF_UNSPEC: the socket forgets its connection, and can be used for another.
fn disconnect(stream: &TcpStream) {
    // SAFETY: all zeros is an address of AF_UNSPEC.
    let nobody: libc::sockaddr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: an address of this size, which lives until the call returns.
    let done = unsafe { libc::connect(stream.as_raw_fd(), &raw const nobody, size) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn socket_that_is_used_again_has_two_connections() {
    for variant in BOTH {
        for is_orderly in [true, false] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listens");
            let address = listener.local_addr().expect("has an address");
            let served = std::thread::spawn(move || {
                for _ in 0..2 {
                    let (mut stream, _) = listener.accept().expect("accepts");
                    take(&mut stream, 4);
                    give(&mut stream, 10);
                    if !is_orderly {
                        let _ = stream.read(&mut [0]);
                    }
                }
            });
            let options = KernelOptions {
                variant,
                ..peer(address.port())
            };
            let act = || {
                let mut stream = TcpStream::connect(address).expect("connects");
                give(&mut stream, 4);
                take(&mut stream, 10);
                if is_orderly {
                    assert_eq!(stream.read(&mut [0]).expect("reads"), 0);
                    stream.shutdown(Shutdown::Write).expect("closes");
                }
                disconnect(&stream);
                let address = rustix::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, address.port());
                rustix::net::connect(&stream, &address).expect("connects again");
                give(&mut stream, 4);
                take(&mut stream, 10);
            };
            let are_two = |events: &[tcplens_core::kernel::Event]| connections(events).len() == 2;
            let Some(events) = observe(&options, act, are_two) else {
                return;
            };
            for one in connections(&events) {
                let bytes = (one.tasks, one.sent_bytes, one.received_bytes);
                assert_eq!(bytes, (1, 4, 10), "{variant:?} {is_orderly} {events:#?}");
                let closed = one.closed.expect("is closed");
                assert!(closed.fin_sent || closed.rst_sent, "{closed:?}");
            }
            served.join().expect("served");
        }
    }
}
