//! Tasks to requests.

use super::*;

#[test]
fn a_server_s_task_has_t0_to_t4_and_a_time_budget_as_from_inside_the_server() {
    let done = event(server(7), 1600, What::Task(Box::new(task(1, 1000))));
    assert_eq!(
        lines(&mut mapper(), [done]),
        [
            "time=1000 vantage=kernel connection_id=abcd0001_0000000000000007 client_ip=192.0.2.7 client_port=40000 \
          server_ip=10.0.0.1 server_port=80 role_from=configured direction=inbound tap_side=server protocol=turn \
          status=ok ended_by=response request_bytes=79 response_bytes=240 upload_us=40 process_us=300 transfer_us=100 \
          total_us=440 delivered_us=500 queued=0 task=1 retransmits=0 reordered=false client_rtt_us=110 in_client_us=40 \
          in_queue_us=0 in_server_us=300 in_network_us=0 in_loss_us=0 in_window_us=0 in_transfer_us=100 verdict=server \
          socket_cookie=7 netns=4026531840 pid=4242 comm=nginx uid=33 cgroup=77 rtt_us=125 cwnd_segments=10 mss=1448 \
          unsent_bytes=0 unacked_bytes=0"
        ]
    );
}

#[test]
fn a_client_s_task_has_t0_to_t3_and_a_time_budget() {
    let done = event(client(8), 1600, What::Task(Box::new(received(2, 1000))));
    assert_eq!(
        lines(&mut mapper(), [done]),
        [
            "time=1000 vantage=kernel connection_id=abcd0001_0000000000000008 client_ip=10.0.0.1 client_port=50000 \
          server_ip=192.0.2.9 server_port=6379 role_from=socket direction=outbound tap_side=client protocol=turn \
          status=ok ended_by=response request_bytes=79 response_bytes=240 upload_us=40 process_us=300 transfer_us=110 \
          total_us=450 queued=0 task=2 retransmits=0 reordered=false server_rtt_us=110 in_client_us=40 in_queue_us=0 \
          in_server_us=190 in_network_us=110 in_loss_us=0 in_window_us=0 in_transfer_us=110 verdict=server \
          socket_cookie=8 netns=4026531840 pid=4242 comm=nginx uid=33 cgroup=77 rtt_us=125 cwnd_segments=10 mss=1448 \
          unsent_bytes=0 unacked_bytes=0"
        ]
    );
    let without_t1 = Task {
        last_request: None,
        ..received(2, 1000)
    };
    let line = &lines(
        &mut mapper(),
        [event(client(8), 1600, What::Task(Box::new(without_t1)))],
    )[0];
    assert!(line.contains(" transfer_us=110 total_us=450 "), "{line}");
    for absent in ["upload_us", "process_us", "in_client_us", "verdict"] {
        assert!(!line.contains(absent), "{line}");
    }
}

#[test]
fn what_was_held_up_has_no_time_budget() {
    for hold_up in [
        |task: &mut Task| task.is_queued = true,
        |task: &mut Task| task.is_held = true,
        |task: &mut Task| task.is_reordered = true,
        |task: &mut Task| task.retransmits = 1,
    ] {
        for (socket, mut task) in [(server(7), task(1, 1000)), (client(8), received(1, 1000))] {
            hold_up(&mut task);
            let line = &lines(
                &mut mapper(),
                [event(socket, 1600, What::Task(Box::new(task)))],
            )[0];
            assert!(line.contains(" total_us="), "{line}");
            for absent in ["in_client_us", "in_server_us", "verdict"] {
                assert!(!line.contains(absent), "{line}");
            }
        }
    }
}

#[test]
fn a_task_that_was_cut_off_waits_for_what_cut_it_off() {
    let cut = |end| What::Task(Box::new(Task { end, ..task(1, 0) }));
    let fins = |fin_sent, fin_received| Closed {
        fin_sent,
        fin_received,
        ..Closed::default()
    };
    let reset = Closed {
        rst_received: true,
        ..fins(true, false)
    };
    let first = Closed {
        fin_first: true,
        ..fins(true, true)
    };
    for (end, by, expected) in [
        (
            TaskEnd::ClosedReceiving,
            fins(true, true),
            EndedBy::ClientClose,
        ),
        (TaskEnd::ClosedReceiving, first, EndedBy::ServerClose),
        (
            TaskEnd::ClosedReceiving,
            fins(true, false),
            EndedBy::ServerClose,
        ),
        (TaskEnd::ClosedReceiving, reset, EndedBy::Reset),
        (
            TaskEnd::ClosedSending,
            fins(true, true),
            EndedBy::ClientClose,
        ),
        (TaskEnd::ClosedSending, first, EndedBy::ServerClose),
        (
            TaskEnd::ClosedSending,
            fins(false, true),
            EndedBy::ClientClose,
        ),
        (TaskEnd::ClosedSending, reset, EndedBy::Reset),
    ] {
        let events = [
            event(server(7), 900, cut(end)),
            event(server(7), 901, closed(by)),
        ];
        let said = requests(events);
        assert_eq!(
            (said[0].0, said[0].1),
            (Status::Unanswered, expected),
            "{end:?} {by:?}"
        );
    }
    for (by, expected) in [
        (fins(true, true), EndedBy::ServerClose),
        (first, EndedBy::ClientClose),
        (fins(true, false), EndedBy::ClientClose),
        (reset, EndedBy::Reset),
    ] {
        let end = cut(TaskEnd::ClosedWaiting);
        let said = requests([
            event(client(7), 900, end),
            event(client(7), 901, closed(by)),
        ]);
        assert_eq!(
            (said[0].0, said[0].1),
            (Status::Unanswered, expected),
            "{by:?}"
        );
    }
    // Nothing came behind it.
    let said = requests([event(server(7), 900, cut(TaskEnd::ClosedSending))]);
    assert_eq!(
        (said[0].0, said[0].1),
        (Status::Unanswered, EndedBy::Observation)
    );
    let said = requests([event(server(7), 900, cut(TaskEnd::Open))]);
    assert_eq!(
        (said[0].0, said[0].1),
        (Status::Unanswered, EndedBy::Observation)
    );
}

#[test]
fn cut_tasks_that_wait_are_bounded_and_counted() {
    let mut mapper = mapper();
    let mut out = Records::default();
    for cookie in 1..=1025 {
        let cut = Task {
            end: TaskEnd::ClosedSending,
            ..task(1, 0)
        };
        mapper.event(
            event(server(cookie), cookie as i64, What::Task(Box::new(cut))),
            &mut out,
        );
    }
    assert_eq!((out.len(), mapper.counts().early_tasks), (1, 1));
    mapper.tick(us(3_000_000), &mut out);
    assert_eq!((out.len(), mapper.counts().early_tasks), (1025, 1025));
    mapper.end(us(3_000_000), &mut out);
    assert_eq!(out.len(), 1025);
}

#[test]
fn close_notify_without_an_answer_is_no_lost_request() {
    let farewell = Task {
        end: TaskEnd::ClosedReceiving,
        mode: Mode::Https,
        head: b"\x15\x03\x03\x00\x1a0123".to_vec(),
        request_bytes: 31,
        first_response: None,
        acknowledged: None,
        ..task(3, 0)
    };
    let said = requests([event(server(7), 900, What::Task(Box::new(farewell)))]);
    assert_eq!((said[0].0, said[0].1), (Status::None, EndedBy::Response));
    let named = " protocol=tls operation=close_notify status=none ";
    assert!(said[0].2.contains(named), "{}", said[0].2);
    assert!(
        said[0].2.ends_with(" tags=A tags_from=payload mode=https"),
        "{}",
        said[0].2
    );
}

#[test]
fn tags_and_first_frames_are_in_alphabetical_order_with_their_thresholds() {
    let mut mapper = Mapper::new(Settings {
        first_frames: vec![1448, 0, 20_000],
        ..Settings::default()
    });
    let framed = Task {
        mode: Mode::Https,
        head: b"\x16\x03\x01\x00\xee\x01\0\0\xea\x03\x03abcde".to_vec(),
        request_bytes: 243,
        first_frames: vec![(1448, 611), (0, 0), (0, 0)],
        ..task(1, 0)
    };
    let mut out = Records::default();
    mapper.event(
        event(server(7), 900, What::Task(Box::new(framed))),
        &mut out,
    );
    let Some((_, AnyRecord::Request(record))) = out.get(0) else {
        panic!("a request")
    };
    let record = record.record();
    let marks = record.marks.unwrap();
    assert_eq!(marks.tags.as_deref(), Some("FH"));
    assert_eq!(marks.mode, Some(PortMode::Https));
    let frame = |threshold_bytes, bytes, us| FirstFrame {
        threshold_bytes,
        bytes,
        us,
    };
    assert_eq!(
        marks.first_frames,
        [
            frame(1448, Some(1448), Some(611)),
            frame(20_000, None, None)
        ]
    );
}

#[test]
fn heads_name_requests_of_the_protocols_that_were_asked_for() {
    let mut mapper = Mapper::new(Settings {
        protocols: vec![Protocol::Redis],
        summary_bytes: 7,
        ..Settings::default()
    });
    let headed = |head: &[u8]| {
        let task = Task {
            head: head.to_vec(),
            request_bytes: head.len() as u64,
            ..task(1, 0)
        };
        event(server(7), 900, What::Task(Box::new(task)))
    };
    let said = lines(
        &mut mapper,
        [
            headed(b"*2\r\n$3\r\nGET\r\n$4\r\nshop\r\n"),
            headed(b"GET / HTTP/1.1\r\n\r\n"),
        ],
    );
    assert!(
        said[0].contains(" protocol=redis operation=GET summary=GET sho status=ok"),
        "{}",
        said[0]
    );
    assert!(said[1].contains(" protocol=turn status=ok"), "{}", said[1]);
    let mut mapper = self::mapper();
    for (mode, expected) in [
        (Mode::Default, " protocol=turn status=ok"),
        (
            Mode::Http,
            " protocol=http operation=GET summary=GET / status=ok",
        ),
        (Mode::Https, " protocol=turn status=ok"),
    ] {
        let task = Task {
            mode,
            head: b"GET / HTTP/1.1\r\n".to_vec(),
            ..task(1, 0)
        };
        let said = lines(
            &mut mapper,
            [event(server(7), 900, What::Task(Box::new(task)))],
        );
        assert!(said[0].contains(expected), "{}", said[0]);
    }
}
