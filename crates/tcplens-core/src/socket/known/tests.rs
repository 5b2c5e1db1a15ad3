use super::super::testing::Make;
use super::super::tracker::Tracker;
use super::super::{SaveWhen, close::ending};
use super::*;
use crate::kernel::{Attempt, Connection};

const AT: Timestamp = Timestamp(5 * SECOND);

fn process() -> Process {
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"curl");
    Process {
        pid: 4242,
        uid: 33,
        comm,
        cgroup: 77,
    }
}

/// The client's end of 10.0.0.1:5001 to 10.0.0.2:40000.
fn socket(cookie: u64) -> Socket {
    Socket {
        cookie,
        netns: 1,
        local: ("10.0.0.1".parse().unwrap(), 5001),
        remote: ("10.0.0.2".parse().unwrap(), 40_000),
        role: Role::Client,
        role_by: RoleBy::Opening,
        began: AT,
        is_adopted: false,
        process: Some(process()),
    }
}

fn attempt(cookie: u64, at: Timestamp, end: AttemptEnd) -> Event {
    Event {
        socket: socket(cookie),
        at,
        what: What::Attempt(Attempt {
            end,
            syn_retransmits: 0,
            synack_retransmits: 0,
            rtt_us: None,
            mss: None,
        }),
    }
}

fn closed(cookie: u64, at: Timestamp, closed: Closed) -> Event {
    Event {
        socket: socket(cookie),
        at,
        what: What::Connection(Connection {
            closed: Some(closed),
            tasks: 0,
            sent_bytes: 1000,
            received_bytes: 2000,
            unacked_bytes: 0,
            unsent_bytes: 0,
            retransmits: 0,
            min_rtt_us: None,
            rtt_us: None,
            cwnd: 10,
            mss: 1448,
        }),
    }
}

const FIN: Closed = Closed {
    fin_sent: true,
    fin_received: true,
    fin_first: true,
    rst_sent: false,
    rst_received: false,
    error: 0,
};

#[test]
fn a_connection_is_opened_once_and_known_until_its_end_is_told() {
    let mut known = KnownSockets::default();
    let opened = known.take(&attempt(7, AT, AttemptEnd::Established));
    assert_eq!(
        opened.map(|opened| (opened.cookie, opened.at)),
        Some((7, AT))
    );
    assert_eq!(known.take(&closed(7, AT.plus(9), FIN)), None);
    let all = known.remove(7).unwrap();
    assert_eq!(
        all.facts(),
        Facts {
            close: Some(SocketClose::Fin),
            sent: Some(1000),
            received: Some(2000),
            has_fin: Some(true),
            opened: Some(AT),
            pid: Some(4242),
            is_server: Some(false),
        }
    );
    assert_eq!(all.comm(), Some("curl"));
    assert!(known.is_empty());
}

#[test]
fn of_one_that_was_there_before_the_socket_counts_the_bytes() {
    let mut known = KnownSockets::default();
    let mut event = closed(7, AT, FIN);
    event.socket.is_adopted = true;
    event.socket.role_by = RoleBy::Guess;
    known.take(&event);
    let facts = known.find(7).unwrap().facts();
    assert_eq!(
        (facts.sent, facts.received, facts.opened),
        (None, None, None)
    );
    assert_eq!((facts.has_fin, facts.is_server), (Some(true), None));
    // Nobody looked at it while it was open.
    let mut tracker = Tracker::new(SaveWhen::Changed, 10);
    let told = Make::new(7).destroyed().traffic(500, 502, 301, 1).bytes();
    let end = tracker.destroyed(AT, Message::new(&told).unwrap()).unwrap();
    let ending = ending(&end, &facts);
    assert_eq!((ending.sent, ending.received), (Some(500), Some(300)));
}

#[test]
fn a_rst_is_somebody_s_and_silence_nobody_s() {
    let with = |change: fn(&mut Closed)| {
        let mut by = Closed {
            fin_sent: false,
            fin_received: false,
            ..FIN
        };
        change(&mut by);
        close(by)
    };
    use SocketClose::{Fin, ResetReceived, ResetSent, TimedOut};
    assert_eq!(with(|by| by.rst_sent = true), Some(ResetSent));
    assert_eq!(with(|by| by.rst_received = true), Some(ResetReceived));
    assert_eq!(with(|by| by.error = 110), Some(TimedOut));
    assert_eq!(with(|by| by.error = 113), Some(TimedOut));
    assert_eq!(with(|by| by.error = 104), Some(ResetReceived));
    assert_eq!(with(|by| by.error = 103), Some(ResetSent));
    assert_eq!(with(|by| by.fin_sent = true), Some(Fin));
    // It sent none: its numbers tell.
    assert_eq!(with(|by| by.fin_received = true), None);
}

#[test]
fn an_attempt_that_failed_has_its_ends_and_its_reason() {
    let mut known = KnownSockets::default();
    for (cookie, end, close) in [
        (1, AttemptEnd::Failed(111), SocketClose::Refused),
        (2, AttemptEnd::Failed(110), SocketClose::TimedOut),
        (3, AttemptEnd::Failed(113), SocketClose::Failed),
        (4, AttemptEnd::Closed, SocketClose::Failed),
    ] {
        assert_eq!(known.take(&attempt(cookie, AT, end)), None);
        assert_eq!(known.find(cookie).unwrap().facts().close, Some(close));
    }
    let mut tracker = Tracker::new(SaveWhen::Changed, 10);
    for family in [2, 10] {
        let told = Make::new(1).family(family).disconnected(3, 0).bytes();
        let end = tracker.destroyed(AT, Message::new(&told).unwrap());
        let end = end.unwrap();
        assert_eq!(end.message.remote().1, 0);
        let head = known.find(1).unwrap().with_ends(end.message).unwrap();
        let whole = Message::of(&head, end.message.attribute_bytes());
        assert_eq!(whole.local(), ("10.0.0.1".parse().unwrap(), 5001));
        assert_eq!(whole.remote(), ("10.0.0.2".parse().unwrap(), 40_000));
        tracker = Tracker::new(SaveWhen::Changed, 10);
    }
    // One that has its ends keeps them.
    let told = Make::new(1).destroyed().bytes();
    let known = known.find(1).unwrap();
    assert_eq!(known.with_ends(Message::new(&told).unwrap()), None);
    // A SYN that nobody listened to has no socket.
    let mut none = KnownSockets::default();
    none.take(&attempt(0, AT, AttemptEnd::RefusedHere));
    assert!(none.is_empty());
}

#[test]
fn where_there_is_no_room_what_was_closed_long_ago_goes_first_and_all_is_counted() {
    let mut known = KnownSockets::new(2);
    known.take(&attempt(1, AT, AttemptEnd::Established));
    known.take(&closed(2, AT, FIN));
    known.take(&attempt(3, AT.plus(SECOND), AttemptEnd::Established));
    assert_eq!((known.len(), known.limit_hits), (2, 1));
    assert!(known.find(3).is_none());
    let later = AT.plus(KEPT + 2 * SECOND);
    known.take(&attempt(4, later, AttemptEnd::Established));
    assert_eq!((known.len(), known.limit_hits), (2, 2));
    assert!(known.find(1).is_some() && known.find(2).is_none() && known.find(4).is_some());
    // What is known already takes no room.
    known.take(&closed(1, later, FIN));
    assert_eq!((known.len(), known.limit_hits), (2, 2));
    // Where words of ends were lost it goes in any case.
    known.tidy(later.plus(KEPT + 1));
    assert_eq!((known.len(), known.limit_hits), (1, 2));
}

#[test]
fn a_connection_that_was_taken_from_its_socket_has_what_it_sent_and_received() {
    let mut tracker = Tracker::new(SaveWhen::Changed, 10);
    let told = Make::new(7).disconnected(70_658, 0).bytes();
    let end = tracker.destroyed(AT, Message::new(&told).unwrap()).unwrap();
    let mut known = KnownSockets::default();
    let by = Closed {
        rst_sent: true,
        ..Closed::default()
    };
    known.take(&closed(7, AT, by));
    let ending = ending(&end, &known.find(7).unwrap().facts());
    assert_eq!(ending.close, SocketClose::ResetSent);
    assert_eq!((ending.sent, ending.received), (Some(1000), Some(2000)));
}
