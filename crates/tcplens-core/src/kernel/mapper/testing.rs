//! Events made by hand: a plain one of each, to be changed where a test differs.

use crate::kernel::event::*;
use crate::time::{SECOND, Timestamp};

/// 2026-11-21T01:08:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_223_280 * SECOND);

/// So many µs after START.
pub(crate) fn us(us: i64) -> Timestamp {
    START.plus(us * 1000)
}

/// A server's socket on 10.0.0.1:80, established at START by 192.0.2.7.
pub(crate) fn server(cookie: u64) -> Socket {
    let mut comm = [0; 16];
    comm[..5].copy_from_slice(b"nginx");
    Socket {
        cookie,
        netns: 4_026_531_840,
        local: ("10.0.0.1".parse().unwrap(), 80),
        remote: ("192.0.2.7".parse().unwrap(), 40_000),
        role: Role::Server,
        role_by: RoleBy::Port,
        began: START,
        is_adopted: false,
        process: Some(Process {
            pid: 4242,
            uid: 33,
            comm,
            cgroup: 77,
        }),
    }
}

/// A client's socket, 10.0.0.1:50000 to 192.0.2.9:6379.
pub(crate) fn client(cookie: u64) -> Socket {
    Socket {
        local: ("10.0.0.1".parse().unwrap(), 50_000),
        remote: ("192.0.2.9".parse().unwrap(), 6379),
        role: Role::Client,
        role_by: RoleBy::Opening,
        ..server(cookie)
    }
}

/// A server's task, answered: 40 µs of upload, 300 of process, 100 of transfer, acknowledged after 500; it began so many µs
/// after START.
pub(crate) fn task(number: u64, began: i64) -> Task {
    Task {
        end: TaskEnd::Answered,
        number,
        first_request: us(began),
        last_request: Some(us(began + 40)),
        first_response: Some(us(began + 340)),
        last_response: Some(us(began + 440)),
        acknowledged: Some(us(began + 500)),
        next: None,
        request_bytes: 79,
        response_bytes: 240,
        unacked_bytes: 0,
        unsent_bytes: 0,
        retransmits: 0,
        is_reordered: false,
        is_queued: false,
        is_held: false,
        min_rtt_us: Some(110),
        rtt_us: Some(125),
        cwnd: 10,
        mss: 1448,
        mode: Mode::Default,
        head: Vec::new(),
        next_head: Vec::new(),
        first_frames: Vec::new(),
    }
}

/// The same of a client: response data from 340 to 450 µs after it began.
pub(crate) fn received(number: u64, began: i64) -> Task {
    Task {
        end: TaskEnd::Received,
        last_response: Some(us(began + 450)),
        acknowledged: None,
        ..task(number, began)
    }
}

/// A connection that was closed by both ends after three tasks.
pub(crate) fn connection() -> Connection {
    Connection {
        closed: Some(Closed {
            fin_sent: true,
            fin_received: true,
            ..Closed::default()
        }),
        tasks: 3,
        sent_bytes: 720,
        received_bytes: 237,
        unacked_bytes: 0,
        unsent_bytes: 0,
        retransmits: 2,
        min_rtt_us: Some(110),
        rtt_us: Some(125),
        cwnd: 10,
        mss: 1448,
    }
}

/// An attempt that came to this end.
pub(crate) fn attempt(end: AttemptEnd) -> Attempt {
    Attempt {
        end,
        syn_retransmits: 0,
        synack_retransmits: 0,
        rtt_us: Some(130),
        mss: Some(1448),
    }
}

/// What happened to a socket so many µs after START.
pub(crate) fn event(socket: Socket, at: i64, what: What) -> Event {
    Event {
        socket,
        at: us(at),
        what,
    }
}
