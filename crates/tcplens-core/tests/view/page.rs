//! What a page keeps: of slow requests and their connections, and of requests whose answer nobody could have seen.

use super::*;
use tcplens_core::view::PageView;
use tcplens_core::view::page::{AROUND, OF_SEAT, ROWS, SEATS};

/// A request on a connection of its server's own.
fn of(server: u8, n: u64, server_ms: u64) -> Request<'static> {
    Request {
        connection_id: ConnectionId::Packets {
            first: START,
            flow: server.into(),
        },
        server_ip: [10, 0, 0, server].into(),
        ..request(n, SERVER, 6379, server_ms)
    }
}

#[test]
fn however_slow_a_connection_becomes_what_is_kept_of_it_is_bounded_and_near_its_slow_requests() {
    let mut page = PageView::default();
    for n in 0..3000 {
        page.request(&of(1, n, n));
        let slow: Vec<u64> = page.slow().iter().map(|slow| slow.task).collect();
        let (_, lane) = page.slow().lanes().next().unwrap();
        let kept: Vec<u64> = lane.tasks.iter().map(|task| task.task).collect();
        assert!(kept.len() <= ROWS, "{}", kept.len());
        assert!(slow.iter().all(|task| kept.contains(task)), "{n}: {kept:?}");
        let is_near = |task: &u64| slow.iter().any(|slow| slow.abs_diff(*task) <= AROUND);
        assert!(kept.iter().all(is_near), "{n}: {kept:?} {slow:?}");
        // Slower from one to the next: all that are around the last are there.
        let first = (n + 1).saturating_sub(AROUND).max(1);
        assert!((first..=n + 1).all(|task| kept.contains(&task)), "{kept:?}");
    }
    assert_eq!(page.slow().lanes().count(), 1);
}

#[test]
fn a_full_connection_keeps_all_its_slow_requests_and_lets_go_of_what_is_farthest() {
    let mut page = PageView::default();
    // Eight slow ones, far from each other: more around them than is kept.
    for n in 0..400 {
        let server_ms = if n % 40 == 20 { 1000 + n } else { 1 };
        page.request(&of(1, n, server_ms));
    }
    let (_, lane) = page.slow().lanes().next().unwrap();
    let kept: Vec<u64> = lane.tasks.iter().map(|task| task.task).collect();
    assert_eq!(kept.len(), ROWS, "{kept:?}");
    assert!(page.slow().iter().all(|slow| kept.contains(&slow.task)));
}

#[test]
fn slow_requests_of_a_destination_go_when_its_course_does() {
    let mut page = PageView::default();
    for server in 0..SEATS as u8 {
        // The first one's are not among the slowest of all.
        let (many, server_ms) = if server == 0 { (4, 1) } else { (20, 1000) };
        (0..many).for_each(|n| page.request(&of(server, n, server_ms)));
    }
    let of_first = |page: &PageView| {
        let slow = page.slow().iter();
        slow.filter(|slow| slow.server.0 == of(0, 0, 0).server_ip)
            .count()
    };
    let lanes = |page: &PageView| page.slow().lanes().count();
    assert_eq!((of_first(&page), lanes(&page)), (OF_SEAT, SEATS));
    let told = page.told();
    let late = SEATS as u8;
    (0..60).for_each(|n| page.request(&of(late, n, 500)));
    let server = (of(late, 0, 0).server_ip, 6379);
    assert!(page.destinations().has(server));
    assert_eq!((of_first(&page), lanes(&page)), (0, SEATS));
    assert!(page.slow().changed > told);
}

#[test]
fn a_request_that_was_cut_off_by_the_end_is_not_counted_as_unanswered() {
    let mut page = PageView::default();
    page.request(&unanswered(EndedBy::Observation, of(1, 0, 0)));
    page.request(&unanswered(EndedBy::ServerClose, of(1, 1, 0)));
    let seat = page.destinations().seats().next().unwrap().1;
    for course in [page.all(), &seat.course] {
        let counts = course
            .iter()
            .fold((0, 0), |(requests, unanswered), (_, slot)| {
                (requests + slot.requests, unanswered + slot.unanswered)
            });
        assert_eq!(counts, (2, 1));
    }
}
