//! Events of the kernel made by hand, and the records that become of them.

use tcplens_core::batch::Records;
use tcplens_core::kernel::*;
use tcplens_core::time::{SECOND, Timestamp};

pub(crate) const START: Timestamp = Timestamp(1_795_223_439 * SECOND + 676_586_000);

pub(crate) fn us(us: i64) -> Timestamp {
    START.plus(us * 1000)
}

pub(crate) fn server(port: u16) -> Socket {
    Socket {
        cookie: u64::from(port),
        netns: 1,
        local: ("10.0.0.1".parse().unwrap(), port),
        remote: ("10.0.0.7".parse().unwrap(), 38_824),
        role: Role::Server,
        role_by: RoleBy::Port,
        began: us(-100),
        is_adopted: false,
        process: None,
    }
}

pub(crate) fn client(cookie: u64) -> Socket {
    Socket {
        cookie,
        local: ("10.0.0.1".parse().unwrap(), 50_000),
        remote: ("2001:db8::9".parse().unwrap(), 6379),
        role: Role::Client,
        ..server(6379)
    }
}

/// The task of the example: 240 bytes of response after 148 µs, acknowledged after 156.
pub(crate) fn task(number: u64) -> Task {
    Task {
        end: TaskEnd::Answered,
        number,
        first_request: us(0),
        last_request: Some(us(0)),
        first_response: Some(us(148)),
        last_response: None,
        acknowledged: Some(us(156)),
        next: None,
        request_bytes: 79,
        response_bytes: 240,
        unacked_bytes: 0,
        unsent_bytes: 0,
        retransmits: 0,
        is_reordered: false,
        is_queued: false,
        is_held: false,
        min_rtt_us: Some(8),
        rtt_us: Some(573),
        cwnd: 14,
        mss: 32_768,
        mode: Mode::Default,
        head: Vec::new(),
        next_head: Vec::new(),
        first_frames: Vec::new(),
    }
}

pub(crate) fn closed() -> Connection {
    Connection {
        closed: Some(Closed {
            fin_sent: true,
            fin_received: true,
            ..Closed::default()
        }),
        tasks: 2,
        sent_bytes: 480,
        received_bytes: 158,
        unacked_bytes: 0,
        unsent_bytes: 0,
        retransmits: 3,
        min_rtt_us: Some(8),
        rtt_us: Some(573),
        cwnd: 14,
        mss: 32_768,
    }
}

pub(crate) fn asked(task: Task) -> What {
    What::Task(Box::new(task))
}

/// What becomes of events, each so many µs after START.
pub(crate) fn records(settings: Settings, events: Vec<(Socket, i64, What)>) -> Records {
    let mut mapper = Mapper::new(settings);
    let mut records = Records::default();
    for (socket, at, what) in events {
        let at = us(at);
        mapper.event(Event { socket, at, what }, &mut records);
    }
    mapper.end(us(1_000_000), &mut records);
    records.sort();
    records
}
