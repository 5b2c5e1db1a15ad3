//! The numbers are those that Linux 6.18 gave, but for ports and cookies.

use super::super::testing::Make;
use super::super::tracker::{LIMIT, Tracker};
use super::super::{Message, SaveWhen};
use super::*;
use crate::time::Span;

const AT: Timestamp = Timestamp(1_000_000_000);

/// Polled so (or never), destroyed so.
fn read(polled: Option<Make>, told: Make, is_server: Option<bool>) -> Ending {
    let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
    tracker.begin(2);
    if let Some(polled) = polled {
        tracker
            .see(AT, Message::new(&polled.bytes()).unwrap())
            .unwrap();
    }
    let told = told.bytes();
    let facts = Facts {
        is_server,
        ..Facts::default()
    };
    let end = tracker.destroyed(AT, Message::new(&told).unwrap()).unwrap();
    ending(&end, &facts)
}

fn check(ending: Ending, close: SocketClose, received: Option<u64>) {
    assert_eq!((ending.close, ending.received), (close, received));
}

#[test]
fn a_client_that_closed_first_had_its_fin_acknowledged_and_not_yet_the_servers() {
    let told = Make::new(7).destroyed().traffic(1000, 1002, 2000, 1);
    // Two beyond the payload are a client's. Whether a FIN is among the 2000 nothing tells.
    let alone = read(None, told.clone(), None);
    check(alone, SocketClose::Fin, None);
    assert_eq!((alone.is_server, alone.sent), (Some(false), Some(1000)));
    // A poll of the open connection does.
    let polled = Make::new(7).traffic(1000, 1001, 2000, 1);
    check(read(Some(polled), told, None), SocketClose::Fin, Some(2000));
}

#[test]
fn a_fin_that_came_while_a_look_was_answered_is_known_by_the_state_of_the_statistics() {
    let told = Make::new(7).destroyed().traffic(1000, 1002, 2001, 1);
    let mut polled = Make::new(7)
        .state(state::CLOSE_WAIT)
        .traffic(1000, 1001, 2001, 1);
    // What stands beside them is older.
    polled.head[1] = state::ESTABLISHED;
    check(read(Some(polled), told, None), SocketClose::Fin, Some(2000));
}

#[test]
fn a_fin_that_came_between_the_state_and_the_statistics_is_not_known() {
    let told = Make::new(7).destroyed().traffic(1000, 1002, 2001, 1);
    let told = told.bytes();
    for (age_ms, filling_ms, before, received) in [
        (0, 0, 2001, None),
        (60, 50, 2001, None),
        (61, 50, 2001, Some(2001)),
        // It came afterwards, in any case.
        (0, 0, 2000, Some(2000)),
    ] {
        let polled = Make::new(7)
            .traffic(1000, 1001, before, 1)
            .set(&[("last_ack_recv", age_ms)])
            .bytes();
        let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
        tracker.begin(2);
        tracker.filled_within(Span::from_ns(filling_ms * 1_000_000));
        tracker.see(AT, Message::new(&polled).unwrap()).unwrap();
        let end = tracker.destroyed(AT, Message::new(&told).unwrap()).unwrap();
        check(ending(&end, &Facts::default()), SocketClose::Fin, received);
    }
}

#[test]
fn a_client_that_closed_second_has_the_servers_fin() {
    let told = Make::new(7).destroyed().traffic(1000, 1002, 2001, 1);
    let open = Make::new(7).traffic(1000, 1001, 2000, 1);
    check(
        read(Some(open), told.clone(), None),
        SocketClose::Fin,
        Some(2000),
    );
    let waiting = Make::new(7)
        .state(state::CLOSE_WAIT)
        .traffic(1000, 1001, 2001, 1);
    check(
        read(Some(waiting), told, None),
        SocketClose::Fin,
        Some(2000),
    );
    // The FIN was not read, and nothing else: 1 byte in the queue.
    let unread = Make::new(7)
        .destroyed()
        .traffic(1000, 1002, 1, 0)
        .queues(1, 0);
    check(read(None, unread.clone(), None), SocketClose::Fin, Some(0));
    let unread = unread.traffic(1000, 1002, 501, 1);
    check(read(None, unread, None), SocketClose::Fin, Some(500));
}

#[test]
fn who_is_the_server_decides_what_one_beyond_the_payload_is() {
    let told = Make::new(7).destroyed().traffic(2000, 2001, 0, 0);
    check(
        read(None, told.clone(), Some(true)),
        SocketClose::Fin,
        Some(0),
    );
    check(
        read(None, told.clone(), Some(false)),
        SocketClose::Reset,
        Some(0),
    );
    check(
        read(None, told.clone(), None),
        SocketClose::Unknown,
        Some(0),
    );
    // A poll when all was acknowledged tells who it is.
    let server = Make::new(7).traffic(2000, 2000, 0, 0);
    check(
        read(Some(server), told.clone(), None),
        SocketClose::Fin,
        Some(0),
    );
    let client = Make::new(7).traffic(2000, 2001, 0, 0);
    check(
        read(Some(client), told.clone(), None),
        SocketClose::Reset,
        Some(0),
    );
    // Its FIN was under way.
    let closing = Make::new(7)
        .state(state::LAST_ACK)
        .traffic(2000, 2000, 1, 0)
        .queues(0, 1);
    let told = told.traffic(2000, 2001, 1, 0);
    check(read(Some(closing), told, None), SocketClose::Fin, Some(0));
}

#[test]
fn a_reset_leaves_the_fin_unacknowledged() {
    // The server's end of a client's RST; nothing was sent.
    let told = Make::new(7).destroyed().traffic(0, 0, 1000, 1);
    let polled = Make::new(7).traffic(0, 0, 1000, 1);
    check(
        read(Some(polled), told.clone(), None),
        SocketClose::Reset,
        Some(1000),
    );
    check(read(None, told, None), SocketClose::Reset, None);
    // Much that was not acknowledged: 160768 sent, 47616 again, 3797504 waiting.
    let told = Make::new(7).destroyed().traffic(160_768, 113_152, 0, 0);
    let told = told.set(&[("bytes_retrans", 47_616)]).queues(0, 3_797_504);
    let ending = read(None, told, None);
    check(ending, SocketClose::Reset, Some(0));
    assert_eq!(ending.sent, Some(113_152));
    // A client closed with 2000 bytes unread.
    let told = Make::new(7)
        .destroyed()
        .traffic(0, 1, 2000, 1)
        .queues(2000, 0);
    check(read(None, told, None), SocketClose::Reset, None);
}

#[test]
fn a_connection_that_was_taken_from_its_socket_has_the_statistics_of_the_last_poll() {
    let polled = Make::new(7).traffic(1000, 1001, 300, 1);
    let told = Make::new(7).disconnected(70_658, 0);
    let ending = read(Some(polled), told.clone(), None);
    check(ending, SocketClose::Reset, Some(300));
    assert_eq!(ending.sent, Some(1000));
    // Never polled: nothing is known but that it was, for an attempt leaves 3.
    let ending = read(None, told, None);
    check(ending, SocketClose::Reset, None);
    assert_eq!(ending.sent, None);
}

#[test]
fn attempts_fail_in_their_own_ways() {
    let none = [("delivered", 0)];
    let syn = Make::new(7).state(state::SYN_SENT).set(&none).queues(0, 1);
    // A blocking connect(2): refused, unreachable; repeated without an answer.
    check(
        read(None, Make::new(7).disconnected(3, 0), None),
        SocketClose::Failed,
        None,
    );
    check(
        read(None, Make::new(7).disconnected(3, 2), None),
        SocketClose::TimedOut,
        None,
    );
    check(
        read(Some(syn.clone()), Make::new(7).disconnected(3, 0), None),
        SocketClose::Failed,
        Some(0),
    );
    // One that does not block keeps its numbers.
    let told = Make::new(7).destroyed().set(&none).queues(0, 1);
    let repeated = told.clone().set(&[("total_retrans", 1), ("segs_out", 2)]);
    check(
        read(Some(syn.clone()), repeated, None),
        SocketClose::TimedOut,
        Some(0),
    );
    let answered = told.clone().set(&[("segs_in", 1)]);
    check(read(None, answered, None), SocketClose::Refused, Some(0));
    check(read(Some(syn), told, None), SocketClose::Failed, Some(0));
}

#[test]
fn silence_is_told_from_a_reset_by_the_segments_that_came() {
    let told = Make::new(7)
        .destroyed()
        .traffic(4100, 101, 0, 0)
        .queues(0, 1000);
    let told = told.set(&[("bytes_retrans", 3000), ("retransmits", 2)]);
    let polled = Make::new(7).traffic(100, 101, 0, 0);
    check(
        read(Some(polled.clone()), told.clone(), None),
        SocketClose::TimedOut,
        Some(0),
    );
    let answered = told.clone().set(&[("segs_in", 4)]);
    check(
        read(Some(polled), answered, None),
        SocketClose::Reset,
        Some(0),
    );
    check(read(None, told, None), SocketClose::Unknown, Some(0));
}

#[test]
fn what_another_source_knows_is_right() {
    let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
    let told = Make::new(7).destroyed().traffic(0, 1, 2000, 1).bytes();
    let end = tracker.destroyed(AT, Message::new(&told).unwrap()).unwrap();
    let facts = Facts {
        close: Some(SocketClose::TimedOut),
        received: Some(1999),
        ..Facts::default()
    };
    check(ending(&end, &facts), SocketClose::TimedOut, Some(1999));
}

#[test]
fn who_vanishes_or_is_open_has_the_fin_that_its_state_says() {
    for (polled, received) in [
        (Make::new(7), 500),
        (Make::new(7).state(state::CLOSE_WAIT), 499),
        (Make::new(7).state(state::FIN_WAIT2), 500),
    ] {
        let bytes = polled.traffic(0, 1, 500, 1).bytes();
        let mut tracker = Tracker::new(SaveWhen::Changed, LIMIT);
        tracker.begin(2);
        tracker.see(AT, Message::new(&bytes).unwrap()).unwrap();
        tracker.finish(AT, &mut |end| {
            check(
                ending(&end, &Facts::default()),
                SocketClose::Open,
                Some(received),
            );
        });
    }
}
