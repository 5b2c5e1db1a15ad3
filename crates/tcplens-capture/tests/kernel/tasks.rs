//! Tasks: their times, bytes and ends, as server and as client.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_tcp_quickack};
use rustix::net::{AddressFamily, SocketType, connect, socket};
use tcplens_capture::kernel::{KernelOptions, Variant};
use tcplens_core::kernel::{Event, Role, RoleBy, Task, TaskEnd};
use tcplens_core::time::Span;

use crate::harness::{
    BOTH, Server, connections, give, is_closed, observe, peer, server, take, tasks, us,
};

const PAUSE: Duration = Duration::from_millis(20);

/// Answers each of so many requests of 4 bytes with 10, after a pause.
fn answer(requests: usize) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut stream| {
        for _ in 0..requests {
            take(&mut stream, 4);
            std::thread::sleep(PAUSE);
            give(&mut stream, 10);
        }
        // Until the client closes.
        let _ = stream.read(&mut [0]);
    }
}

fn ask(stream: &mut TcpStream) {
    give(stream, 4);
    take(stream, 10);
}

/// So many ns from one to the other.
fn between(from: tcplens_core::time::Timestamp, to: Option<tcplens_core::time::Timestamp>) -> Span {
    to.expect("is known").since(from).expect("is in order")
}

#[test]
fn server_knows_when_each_request_came_and_when_its_answer_was_acknowledged() {
    for variant in BOTH {
        let target = Server::v4(answer(3));
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            for _ in 0..3 {
                ask(&mut stream);
            }
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        assert_eq!(tasks.len(), 3, "{events:#?}");
        for (n, task) in tasks.iter().enumerate() {
            assert_eq!((task.end, task.number), (TaskEnd::Answered, n as u64 + 1));
            assert_eq!((task.request_bytes, task.response_bytes), (4, 10));
            assert!(between(task.first_request, task.first_response) >= us(20_000));
            assert_eq!(task.last_response, task.first_response);
            assert!(task.last_response <= task.acknowledged);
            // The next request ended it, but for the last.
            assert_eq!(task.next.is_some(), n < 2);
        }
        let socket = &events[0].socket;
        assert_eq!((socket.role, socket.role_by), (Role::Server, RoleBy::Port));
        let process = events.last().and_then(|event| event.socket.process);
        assert_eq!(process.expect("is known").pid, std::process::id());
        let connection = connections(&events)[0];
        assert_eq!((connection.sent_bytes, connection.received_bytes), (30, 12));
        target.join();
    }
}

#[test]
fn client_knows_when_each_answer_came() {
    for variant in BOTH {
        let target = Server::v4(answer(2));
        let options = KernelOptions {
            variant,
            ..peer(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            ask(&mut stream);
            ask(&mut stream);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        assert_eq!(tasks.len(), 2, "{events:#?}");
        for task in tasks {
            assert_eq!(task.end, TaskEnd::Received);
            assert_eq!((task.request_bytes, task.response_bytes), (4, 10));
            assert!(between(task.first_request, task.last_response) >= us(20_000));
            assert!(task.last_request >= Some(task.first_request));
            assert_eq!((task.acknowledged, task.unacked_bytes), (None, 0));
        }
        assert_eq!(events[0].socket.role, Role::Client);
        let process = events[0].socket.process;
        assert_eq!(process.expect("is known").pid, std::process::id());
        target.join();
    }
}

#[test]
fn mapped_addresses_are_ipv4() {
    for variant in BOTH {
        let target = Server::v6(answer(1));
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || ask(&mut target.connect());
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let socket = &events[0].socket;
        assert!(socket.local.0.is_ipv4() && socket.remote.0.is_ipv4());
        target.join();
    }
}

#[test]
fn request_that_came_with_the_handshake_is_one() {
    for variant in BOTH {
        let target = Server::v4(answer(1));
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            // Its ACK waits for the data (tcp_rcv_synsent_state_process).
            let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
            set_tcp_quickack(&fd, false).expect("waits");
            connect(&fd, &target.address).expect("connects");
            let mut stream = TcpStream::from(fd);
            ask(&mut stream);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        let task: &Task = tasks[0];
        assert_eq!((tasks.len(), task.end), (1, TaskEnd::Answered));
        assert_eq!((task.request_bytes, task.response_bytes), (4, 10));
        assert_eq!(task.first_request, events[0].at);
        target.join();
    }
}

#[test]
fn half_closed_connection_is_answered_at_both_ends() {
    for variant in BOTH {
        for is_server in [true, false] {
            let target = Server::v4(|mut stream| {
                let mut request = Vec::new();
                stream.read_to_end(&mut request).expect("reads");
                std::thread::sleep(PAUSE);
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
                stream.shutdown(Shutdown::Write).expect("half closes");
                take(&mut stream, 10);
            };
            let Some(events) = observe(&options, act, is_closed) else {
                return;
            };
            let tasks = tasks(&events);
            assert_eq!(tasks.len(), 1, "{events:#?}");
            let ends = (
                tasks[0].end,
                tasks[0].request_bytes,
                tasks[0].response_bytes,
            );
            match is_server {
                true => assert_eq!(ends, (TaskEnd::Answered, 4, 10)),
                false => assert_eq!(ends, (TaskEnd::Received, 4, 10)),
            }
            target.join();
        }
    }
}

#[test]
fn request_without_an_answer_is_told_also_after_a_clean_close() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| drop(take(&mut stream, 4)));
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            let _ = stream.read(&mut [0]);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        assert_eq!(tasks.len(), 1, "{events:#?}");
        assert_eq!(tasks[0].end, TaskEnd::ClosedReceiving);
        assert_eq!((tasks[0].request_bytes, tasks[0].response_bytes), (4, 0));
        target.join();
    }
}

#[test]
fn answer_that_was_cut_off_is_told_with_what_was_left() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            take(&mut stream, 4);
            // More than the client's window and the send buffer take.
            let _ = stream.write_all(&vec![b'x'; 32 << 20]);
        });
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            take(&mut stream, 1000);
            set_socket_linger(&stream, Some(Duration::ZERO)).expect("resets");
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        assert_eq!(tasks.len(), 1, "{events:#?}");
        assert_eq!(tasks[0].end, TaskEnd::ClosedSending);
        assert!(tasks[0].unacked_bytes + tasks[0].unsent_bytes > 0);
        let closed = connections(&events)[0].closed.expect("is closed");
        assert!(closed.rst_received && !closed.fin_received);
        target.join();
    }
}

#[test]
fn idle_connection_tells_of_its_last_request_once() {
    let target = Server::v4(answer(2));
    let options = KernelOptions {
        flush: Some(us(100_000)),
        ..server(target.port())
    };
    let mut stream = target.connect();
    // It was there before.
    let Some(events) = observe(
        &options,
        || ask(&mut stream),
        |events| !tasks(events).is_empty(),
    ) else {
        return;
    };
    assert_eq!(tasks(&events)[0].end, TaskEnd::Answered);
    assert!(events[0].socket.is_adopted);
    assert_eq!(events[0].socket.role, Role::Server);
    // What was told is not told again at the end.
    let act = || {
        ask(&mut stream);
        drop(stream);
    };
    let Some(events) = observe(&options, act, is_closed) else {
        return;
    };
    assert_eq!(tasks(&events).len(), 1);
    target.join();
}

#[test]
fn client_that_was_there_before_is_seen_from_its_next_request_on() {
    for variant in BOTH {
        let target = Server::v4(answer(3));
        let options = KernelOptions {
            variant,
            ..peer(target.port())
        };
        let mut stream = target.connect();
        ask(&mut stream);
        let act = || {
            ask(&mut stream);
            ask(&mut stream);
            drop(stream);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        assert_eq!(tasks.len(), 2, "{events:#?}");
        for task in tasks {
            assert_eq!((task.request_bytes, task.response_bytes), (4, 10));
            assert!(between(task.first_request, task.last_response) >= us(20_000));
        }
        let socket = &events[0].socket;
        assert!(socket.is_adopted && socket.role == Role::Client);
        target.join();
    }
}

#[test]
fn request_sent_before_the_answer_came_is_queued() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            take(&mut stream, 4);
            // The client's window is full before it asks again.
            stream.write_all(&vec![b'x'; 8 << 20]).expect("sends");
            take(&mut stream, 4);
            give(&mut stream, 10);
            let _ = stream.read(&mut [0]);
        });
        let options = KernelOptions {
            variant,
            ..server(target.port())
        };
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            take(&mut stream, 1000);
            give(&mut stream, 4);
            take(&mut stream, (8 << 20) - 1000 + 10);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let tasks = tasks(&events);
        assert_eq!(tasks.len(), 2, "{events:#?}");
        assert!(!tasks[0].is_queued && tasks[1].is_queued);
        assert_eq!(tasks[0].acknowledged, None);
        let sent: u64 = tasks.iter().map(|task| task.response_bytes).sum();
        assert_eq!(sent, (8 << 20) + 10);
        target.join();
    }
}

#[test]
fn first_bytes_are_those_of_the_right_request() {
    for is_server in [true, false] {
        let target = Server::v4(|mut stream| {
            for length in [4, 7, 2, 100] {
                take(&mut stream, length);
                give(&mut stream, 10);
            }
            let _ = stream.read(&mut [0]);
        });
        let options = KernelOptions {
            peek: true,
            ..match is_server {
                true => server(target.port()),
                false => peer(target.port()),
            }
        };
        let requests = [
            b"AAAA".to_vec(),
            b"BBBBBBB".to_vec(),
            b"CC".to_vec(),
            vec![b'D'; 100],
        ];
        let act = || {
            let mut stream = target.connect();
            for request in &requests {
                stream.write_all(request).expect("sends");
                take(&mut stream, 10);
            }
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let heads: Vec<&[u8]> = tasks(&events)
            .iter()
            .map(|task| task.head.as_slice())
            .collect();
        let expected: Vec<&[u8]> = requests
            .iter()
            .map(|one| &one[..one.len().min(64)])
            .collect();
        assert_eq!(heads, expected);
        target.join();
    }
}

#[test]
fn thresholds_of_a_response_are_crossed_in_order() {
    let target = Server::v4(|mut stream| {
        take(&mut stream, 4);
        give(&mut stream, 5000);
        std::thread::sleep(PAUSE);
        give(&mut stream, 50_000);
        let _ = stream.read(&mut [0]);
    });
    let mut options = KernelOptions {
        first_frames: vec![1000, 20_000, 1_000_000],
        ..server(target.port())
    };
    options.ports[0].first_frame = true;
    let act = || {
        let mut stream = target.connect();
        give(&mut stream, 4);
        take(&mut stream, 55_000);
    };
    let Some(events) = observe(&options, act, is_closed) else {
        return;
    };
    let [first, second, third, fourth] = tasks(&events)[0].first_frames[..] else {
        panic!("four of them: {events:#?}");
    };
    assert!(first.0 >= 1000 && second.0 >= 20_000, "{events:#?}");
    assert!(second.1 >= 20_000 && second.1 > first.1);
    assert_eq!((third, fourth), ((0, 0), (0, 0)));
    target.join();
}

#[test]
fn what_is_open_at_the_end_is_told() {
    let target = Server::v4(|mut stream| {
        take(&mut stream, 8);
        give(&mut stream, 10);
    });
    let Some(mut kernel) = crate::harness::open(&server(target.port())) else {
        return;
    };
    let mut stream = target.connect();
    give(&mut stream, 4);
    let mut events: Vec<Event> = Vec::new();
    let none = |_: Event| {};
    // The request is in the socket when it was sent: lo delivers at once.
    kernel.poll(Duration::ZERO, &mut { none }).expect("polls");
    kernel.close().expect("closes");
    while !kernel
        .poll(Duration::ZERO, &mut |event| events.push(event))
        .expect("polls")
    {}
    let tasks = tasks(&events);
    assert_eq!(tasks.len(), 1, "{events:#?}");
    assert_eq!((tasks[0].end, tasks[0].request_bytes), (TaskEnd::Open, 4));
    assert_eq!(connections(&events)[0].closed, None);
    give(&mut stream, 4);
    take(&mut stream, 10);
    target.join();
}

#[test]
fn variants_are_not_the_same() {
    let options = |variant| KernelOptions {
        variant,
        ..server(1)
    };
    let Some(best) = crate::harness::open(&options(Variant::Best)) else {
        return;
    };
    let Some(hash) = crate::harness::open(&options(Variant::Hash)) else {
        return;
    };
    assert_eq!(best.limitations(), &[] as &[String]);
    assert!(hash.limitations()[0].contains("idle"));
}

#[test]
fn thresholds_that_are_crossed_after_the_close_are_told() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            take(&mut stream, 4);
            give(&mut stream, 50_000);
        });
        let mut options = KernelOptions {
            first_frames: vec![1000, 50_000, 1_000_000],
            variant,
            ..server(target.port())
        };
        options.ports[0].first_frame = true;
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            std::thread::sleep(PAUSE);
            take(&mut stream, 50_000);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        let frames = &tasks(&events)[0].first_frames;
        assert!(frames[0].0 >= 1000 && frames[1].0 == 50_000, "{events:#?}");
        assert_eq!(frames[2], (0, 0));
        target.join();
    }
}

#[test]
fn thresholds_do_not_count_what_was_sent_before_the_request() {
    for variant in BOTH {
        let target = Server::v4(|mut stream| {
            take(&mut stream, 4);
            // More than the client's window takes.
            stream.write_all(&vec![b'x'; 8 << 20]).expect("sends");
            take(&mut stream, 4);
            give(&mut stream, 10);
            let _ = stream.read(&mut [0]);
        });
        let mut options = KernelOptions {
            first_frames: vec![1_000],
            variant,
            ..server(target.port())
        };
        options.ports[0].first_frame = true;
        let act = || {
            let mut stream = target.connect();
            give(&mut stream, 4);
            take(&mut stream, 1000);
            give(&mut stream, 4);
            take(&mut stream, (8 << 20) - 1000 + 10);
        };
        let Some(events) = observe(&options, act, is_closed) else {
            return;
        };
        for task in tasks(&events) {
            let (bytes, _) = task.first_frames[0];
            assert!(u64::from(bytes) <= task.response_bytes, "{events:#?}");
        }
        target.join();
    }
}

#[test]
fn idle_connection_tells_of_its_request_also_after_the_client_s_fin() {
    let (let_go, kept) = std::sync::mpsc::channel::<()>();
    let target = Server::v4(move |mut stream| {
        take(&mut stream, 4);
        std::thread::sleep(PAUSE);
        give(&mut stream, 10);
        let _ = kept.recv();
    });
    let options = KernelOptions {
        flush: Some(us(100_000)),
        ..server(target.port())
    };
    let Some(mut kernel) = crate::harness::open(&options) else {
        return;
    };
    let mut stream = target.connect();
    give(&mut stream, 4);
    stream.shutdown(Shutdown::Write).expect("half closes");
    take(&mut stream, 10);
    let mut events: Vec<Event> = Vec::new();
    let mut poll_until = |is_enough: fn(&[Event]) -> bool| {
        while !is_enough(&events) {
            kernel
                .poll(Duration::from_millis(5), &mut |event| events.push(event))
                .expect("polls");
        }
    };
    poll_until(|events| !tasks(events).is_empty());
    // Not again when it is closed.
    drop((let_go, stream));
    poll_until(is_closed);
    let [task] = tasks(&events)[..] else {
        panic!("one: {events:#?}");
    };
    assert_eq!(task.end, TaskEnd::Answered);
    assert_eq!((task.request_bytes, task.response_bytes), (4, 10));
    assert!(between(task.first_request, task.first_response) >= us(20_000));
    assert!(task.first_response <= task.acknowledged);
    target.join();
}
