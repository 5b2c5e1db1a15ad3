//! How connections end, and what they count.

use std::io::Read;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tcplens_capture::kernel::KernelOptions;

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
            stream
                .shutdown(std::net::Shutdown::Write)
                .expect("half closes");
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
