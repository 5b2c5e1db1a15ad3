//! Ends of responses: when the last byte was sent, and what goes on after it was told of.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use tcplens_capture::kernel::KernelOptions;
use tcplens_core::kernel::{Event, TaskEnd};

use crate::harness::{
    BOTH, PATIENCE, Server, connections, give, is_closed, observe, open, server, take, tasks, us,
};

const PAUSE: Duration = Duration::from_millis(20);
/// Both parts of a response.
const PARTS: [usize; 2] = [10, 30_000];

/// Answers each of so many requests of 4 bytes in two parts, with a pause between them; then closes.
fn in_parts(requests: usize) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut stream| {
        for _ in 0..requests {
            take(&mut stream, 4);
            give(&mut stream, PARTS[0]);
            std::thread::sleep(PAUSE);
            give(&mut stream, PARTS[1]);
        }
    }
}

fn ask(stream: &mut TcpStream) {
    give(stream, 4);
    take(stream, PARTS[0] + PARTS[1]);
}

/// The pause lies between first and last byte, and hardly anything else: the wait for whoever ended it does not.
fn is_as_long_as_the_pause(events: &[Event]) {
    for task in tasks(events) {
        assert_eq!(task.end, TaskEnd::Answered, "{events:#?}");
        let (first, last) = (task.first_response, task.last_response);
        let took = last.expect("is known").since(first.expect("is known"));
        let took = took.expect("is in order");
        assert!((us(20_000)..us(900_000)).contains(&took), "{events:#?}");
        assert!(task.acknowledged >= last);
    }
}

#[test]
fn last_byte_of_a_response_has_a_time_whatever_ends_it() {
    for variant in BOTH {
        let target = Server::v4(in_parts(3));
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            for _ in 0..3 {
                ask(&mut stream);
                std::thread::sleep(50 * PAUSE);
            }
            // The server has closed.
            assert_eq!(stream.read(&mut [0]).expect("reads"), 0);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        assert_eq!(tasks(&events).len(), 3);
        is_as_long_as_the_pause(&events);
        target.join();
    }
}

#[test]
fn idle_connection_tells_of_the_last_byte() {
    let target = Server::v4(|mut stream| {
        in_parts(1)(stream.try_clone().expect("is cloned"));
        let _ = stream.read(&mut [0]);
    });
    let options = KernelOptions {
        flush: Some(us(1_000_000)),
        ..server(target.port())
    };
    let mut stream = target.connect();
    let Some(events) = observe(
        &options,
        || ask(&mut stream),
        |events| !tasks(events).is_empty(),
    ) else {
        return;
    };
    is_as_long_as_the_pause(&events);
    drop(stream);
    target.join();
}

#[test]
fn response_in_one_piece_ends_when_it_begins() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            for _ in 0..2 {
                take(&mut stream, 4);
                give(&mut stream, 10);
            }
            let _ = stream.read(&mut [0]);
        });
        let options = KernelOptions {
            variant,
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
        for task in tasks(&events) {
            assert_eq!(task.last_response, task.first_response, "{events:#?}");
        }
        target.join();
    }
}

#[test]
fn response_that_goes_on_after_it_was_told_is_counted() {
    let (go_on, wait) = channel();
    let target = Server::v4(move |mut stream| {
        // Of these only the second goes on.
        for parts in [1, 2] {
            take(&mut stream, 4);
            for _ in 0..parts {
                give(&mut stream, 10);
                let () = wait.recv().expect("is told to go on");
            }
        }
        let _ = stream.read(&mut [0]);
    });
    let options = KernelOptions {
        flush: Some(us(50_000)),
        ..server(target.port())
    };
    let Some(mut kernel) = open(&options) else {
        return;
    };
    let mut stream = target.connect();
    let mut events = Vec::new();
    let mut poll_until = |is_enough: &dyn Fn(&[Event]) -> bool| {
        let began = Instant::now();
        while !is_enough(&events) {
            assert!(began.elapsed() < PATIENCE, "only this came: {events:#?}");
            let polled = kernel.poll(Duration::from_millis(5), &mut |event| events.push(event));
            polled.expect("polls");
        }
        kernel.counts().told_early
    };
    give(&mut stream, 4);
    take(&mut stream, 10);
    assert_eq!(poll_until(&|events| tasks(events).len() == 1), 0);
    go_on.send(()).expect("waits");
    give(&mut stream, 4);
    take(&mut stream, 10);
    assert_eq!(poll_until(&|events| tasks(events).len() == 2), 0);
    go_on.send(()).expect("waits");
    take(&mut stream, 10);
    go_on.send(()).expect("waits");
    drop(stream);
    assert_eq!(poll_until(&is_closed), 1);
    assert_eq!(tasks(&events)[1].response_bytes, 10);
    assert_eq!(connections(&events)[0].sent_bytes, 30);
    target.join();
}

#[test]
fn response_that_waits_for_the_client_s_window_is_held_up() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            for length in [10, 8 << 20] {
                take(&mut stream, 4);
                give(&mut stream, length);
            }
            let _ = stream.read(&mut [0]);
        });
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            take(&mut stream, 10);
            give(&mut stream, 4);
            // Its buffer is full long before.
            std::thread::sleep(10 * PAUSE);
            take(&mut stream, 8 << 20);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let held: Vec<_> = tasks(&events).iter().map(|task| task.is_held).collect();
        assert_eq!(held, [false, true], "{events:#?}");
        target.join();
    }
}

#[test]
fn response_to_a_client_that_has_closed_its_half_begins_when_that_is_known() {
    for variant in BOTH {
        // One segment began when it was sent; of several that were acknowledged meanwhile nobody knows the first.
        for (parts, is_known) in [(1, true), (3, false)] {
            let target = Server::v4(move |mut stream| {
                take(&mut stream, 4);
                for _ in 0..parts {
                    std::thread::sleep(PAUSE);
                    give(&mut stream, 100);
                }
            });
            let options = KernelOptions {
                variant,
                ..server(target.port())
            };
            let act = || {
                let mut stream = target.connect();
                give(&mut stream, 4);
                stream.shutdown(Shutdown::Write).expect("half closes");
                take(&mut stream, parts * 100);
                assert_eq!(stream.read(&mut [0]).expect("reads"), 0);
            };
            let Some(events) = observe(&options, act, is_closed) else {
                return;
            };
            let [task] = tasks(&events)[..] else {
                panic!("one: {events:#?}");
            };
            assert_eq!(task.end, TaskEnd::Answered);
            assert_eq!(task.first_response.is_some(), is_known, "{events:#?}");
            let took = task
                .last_response
                .expect("is known")
                .since(task.first_request);
            assert!(
                took.expect("is in order") >= us(20_000 * parts as u64),
                "{events:#?}"
            );
            target.join();
        }
    }
}
