//! What the program on tcp_probe is not shown: it is made up for, or counted.

use std::io::Read;
use std::sync::mpsc::channel;
use std::time::Duration;

use tcplens_capture::kernel::KernelOptions;
use tcplens_core::kernel::{Event, TaskEnd};

use crate::harness::{BOTH, Server, give, is_closed, observe, open, peer, server, take, tasks};

/// Of requests of 4 bytes each, a fifth ends at a multiple of this.
const SKIPS: u32 = 5;
const REQUESTS: u64 = 50;

/// 50 requests of 4 bytes, each answered with as many.
fn asked_and_answered(options: impl Fn(u16) -> KernelOptions) -> Option<Vec<Event>> {
    let target = Server::v4(|mut stream| {
        for _ in 0..REQUESTS {
            take(&mut stream, 4);
            give(&mut stream, 4);
        }
        let _ = stream.read(&mut [0]);
    });
    let act = || {
        let mut stream = target.connect();
        for _ in 0..REQUESTS {
            give(&mut stream, 4);
            take(&mut stream, 4);
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let events = observe(&options(target.port()), act, is_closed)?;
    target.join();
    Some(events)
}

/// Every request is one, with its bytes; that of which nothing was shown came when the stack says so.
fn all_are_there(events: &[Event], end: TaskEnd) {
    let tasks = tasks(events);
    assert_eq!(tasks.len() as u64, REQUESTS, "{events:#?}");
    for (n, task) in tasks.iter().enumerate() {
        assert_eq!((task.end, task.number), (end, n as u64 + 1));
        assert_eq!((task.request_bytes, task.response_bytes), (4, 4));
        assert!(!task.is_queued);
        assert!(task.last_request >= Some(task.first_request));
        assert!(task.first_response >= task.last_request);
        assert!(task.last_response >= task.first_response);
    }
    for pair in tasks.windows(2) {
        let [before, after] = pair else {
            unreachable!("two at a time");
        };
        // They are at least 1 ms apart.
        let apart = after.first_request.since(before.first_request);
        assert!(apart.expect("is in order").ns() > 900_000, "{events:#?}");
        assert_eq!(before.next, Some(after.first_request));
    }
}

#[test]
fn requests_that_were_not_shown_are_seen_when_the_server_reads_them() {
    for variant in BOTH {
        let options = |port| KernelOptions {
            skips: SKIPS,
            variant,
            ..server(port)
        };
        let Some(events) = asked_and_answered(options) else {
            return;
        };
        all_are_there(&events, TaskEnd::Answered);
    }
}

#[test]
fn responses_that_were_not_shown_are_seen_when_the_client_reads_them() {
    for variant in BOTH {
        let options = |port| KernelOptions {
            skips: SKIPS,
            variant,
            ..peer(port)
        };
        let Some(events) = asked_and_answered(options) else {
            return;
        };
        all_are_there(&events, TaskEnd::Received);
    }
}

#[test]
fn what_was_not_shown_before_more_came_is_counted() {
    for variant in BOTH {
        let (go_on, wait) = channel();
        let target = Server::v4(move |mut stream| {
            take(&mut stream, 1);
            let () = wait.recv().expect("is told to go on");
            take(&mut stream, 20);
        });
        let options = KernelOptions {
            skips: 2,
            variant,
            ..server(target.port())
        };
        let Some(mut kernel) = open(&options) else {
            return;
        };
        let mut stream = target.connect();
        for _ in 0..21 {
            // Each goes by itself: the segments are seen one by one.
            give(&mut stream, 1);
        }
        go_on.send(()).expect("waits");
        drop(stream);
        target.join();
        kernel.close().expect("closes");
        while !kernel.poll(Duration::ZERO, &mut |_| ()).expect("polls") {}
        // Every second one; the last of them may have been read in time.
        let missed = kernel.counts().probes_missed;
        assert!((8..=11).contains(&missed), "{missed}");
    }
}
