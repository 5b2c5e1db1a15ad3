use std::sync::{Arc, Mutex};

use super::testing::*;
use super::*;
use crate::batch::AnyRecord;
use crate::kernel::event::*;
use crate::record::{
    Close, Connection as ConnectionRecord, EndedBy, Field, FirstFrame, Handshake, HandshakeOutcome,
    Outcome, PortMode, Record, Status, Vantage, Visitor, Word,
};
use crate::time::Span;

/// The fields of a record that are there, `name=value`.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    fn put<T: std::fmt::Display>(&mut self, field: &Field, value: Option<T>) {
        if let Some(value) = value {
            self.0.push(format!("{}={value}", field.name));
        }
    }
}

impl Visitor for Fields {
    fn count(&mut self, field: &'static Field, value: Option<u64>) {
        self.put(field, value);
    }
    fn span(&mut self, field: &'static Field, value: Option<Span>) {
        self.put(field, value.map(|span| span.ns() / 1000));
    }
    fn time(&mut self, field: &'static Field, value: Option<Timestamp>) {
        self.put(field, value.map(|at| (at.0 - START.0) / 1000));
    }
    fn ip(&mut self, field: &'static Field, value: Option<IpAddr>) {
        self.put(field, value);
    }
    fn word(&mut self, field: &'static Field, value: Option<&'static str>) {
        self.put(field, value);
    }
    fn flag(&mut self, field: &'static Field, value: Option<bool>) {
        self.put(field, value);
    }
    fn text(&mut self, field: &'static Field, value: Option<&str>) {
        self.put(field, value);
    }
    fn id(&mut self, field: &'static Field, value: Option<ConnectionId>) {
        self.put(
            field,
            value.map(|id| String::from_utf8(id.text().to_vec()).unwrap()),
        );
    }
    fn counts(&mut self, _: &'static Field, _: &[(&'static str, u64)]) {}
    fn list(&mut self, _: &'static Field, _: &[u64]) {}
    fn frames(&mut self, field: &'static Field, value: &[FirstFrame]) {
        self.put(field, (!value.is_empty()).then(|| format!("{value:?}")));
    }
}

fn fields<R: Record>(record: &R) -> String {
    let mut fields = Fields::default();
    record.visit(&mut fields);
    fields.0.join(" ")
}

fn mapper() -> Mapper {
    Mapper::new(Settings {
        host: 0xabcd_0001,
        ..Settings::default()
    })
}

/// What became of events, one record per line.
fn lines(mapper: &mut Mapper, events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let mut out = Records::default();
    for event in events {
        mapper.event(event, &mut out);
    }
    shown(&out)
}

fn shown(out: &Records) -> Vec<String> {
    (0..out.len())
        .map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Handshake(record) => fields(record),
            AnyRecord::Request(record) => fields(&record.record()),
            AnyRecord::Connection(record) => fields(record),
        })
        .collect()
}

fn requests(events: impl IntoIterator<Item = Event>) -> Vec<(Status, EndedBy, String)> {
    let mut out = Records::default();
    let mut mapper = mapper();
    for event in events {
        mapper.event(event, &mut out);
    }
    mapper.end(us(10_000_000), &mut out);
    (0..out.len())
        .filter_map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Request(record) => {
                let record = record.record();
                Some((record.status, record.ended_by, fields(&record)))
            }
            _ => None,
        })
        .collect()
}

fn handshakes(mapper: &mut Mapper, events: impl IntoIterator<Item = Event>) -> Vec<Handshake> {
    let mut out = Records::default();
    for event in events {
        mapper.event(event, &mut out);
    }
    handshakes_of(&out)
}

fn handshakes_of(out: &Records) -> Vec<Handshake> {
    (0..out.len())
        .filter_map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Handshake(record) => Some(record.clone()),
            _ => None,
        })
        .collect()
}

fn connections(
    mapper: &mut Mapper,
    events: impl IntoIterator<Item = Event>,
) -> Vec<ConnectionRecord> {
    let mut out = Records::default();
    for event in events {
        mapper.event(event, &mut out);
    }
    (0..out.len())
        .filter_map(|n| match out.get(n).unwrap().1 {
            AnyRecord::Connection(record) => Some(record.clone()),
            _ => None,
        })
        .collect()
}

fn closed(closed: Closed) -> What {
    What::Connection(Connection {
        closed: Some(closed),
        ..connection()
    })
}

#[test]
fn a_server_s_task_has_t0_t1_t2_and_t4_and_nothing_that_only_packets_tell() {
    let done = event(server(7), 1600, What::Task(Box::new(task(1, 1000))));
    assert_eq!(
        lines(&mut mapper(), [done]),
        [
            "time=1000 vantage=kernel connection_id=abcd0001_0000000000000007 client_ip=192.0.2.7 client_port=40000 \
          server_ip=10.0.0.1 server_port=80 role_from=configured direction=inbound tap_side=server protocol=turn \
          status=ok ended_by=response request_bytes=79 response_bytes=240 upload_us=40 process_us=300 \
          delivered_us=500 queued=0 task=1 retransmits=0 reordered=false client_rtt_us=110 socket_cookie=7 \
          netns=4026531840 pid=4242 comm=nginx uid=33 cgroup=77 rtt_us=125 cwnd_segments=10 mss=1448 unsent_bytes=0 \
          unacked_bytes=0"
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

#[test]
fn a_connection_shows_what_its_end_knows() {
    let ended = event(server(7), 2000, What::Connection(connection()));
    assert_eq!(
        lines(&mut mapper(), [ended]),
        [
            "time=0 vantage=kernel connection_id=abcd0001_0000000000000007 client_ip=192.0.2.7 client_port=40000 \
          server_ip=10.0.0.1 server_port=80 role_from=configured direction=inbound tap_side=server duration_us=2000 \
          handshake=established close=fin final=true requests=3 client_bytes=237 client_rtt_min_us=110 \
          server_bytes=720 server_retransmits=2 first_fin=client last_fin=server socket_cookie=7 netns=4026531840 pid=4242 comm=nginx uid=33 cgroup=77 \
          rtt_us=125 cwnd_segments=10 mss=1448 unsent_bytes=0 unacked_bytes=0"
        ]
    );
    let ended = event(client(8), 2000, What::Connection(connection()));
    let line = &lines(&mut mapper(), [ended])[0];
    assert!(
        line.contains(" client_bytes=720 client_retransmits=2 server_bytes=237 server_rtt_min_us=110 first_fin=server last_fin=client socket_cookie=8 "),
        "{line}"
    );
    // One FIN is the first, and no other came after it.
    for (fin_sent, fin_received, expected) in [
        (true, false, Some("server")),
        (false, true, Some("client")),
        (false, false, None),
    ] {
        let state = Connection {
            closed: Some(Closed {
                fin_sent,
                fin_received,
                rst_received: true,
                ..Closed::default()
            }),
            ..connection()
        };
        let line = &lines(
            &mut mapper(),
            [event(server(7), 2000, What::Connection(state))],
        )[0];
        assert!(!line.contains("last_fin"), "{line}");
        let said = expected.map(|end| format!(" first_fin={end} "));
        assert_eq!(line.contains("first_fin"), said.is_some(), "{line}");
        assert!(said.is_none_or(|said| line.contains(&said)), "{line}");
    }
}

#[test]
fn a_connection_speaks_what_its_latest_recognised_request_was() {
    let mut mapper = mapper();
    mapper.settings.protocols = vec![Protocol::Http, Protocol::Redis];
    let asks = |cookie, head: &[u8]| {
        let task = Task {
            head: head.to_vec(),
            ..task(1, 0)
        };
        event(server(cookie), 900, What::Task(Box::new(task)))
    };
    let ends = |cookie| event(server(cookie), 2000, What::Connection(connection()));
    let spoken = |mapper: &mut Mapper, events: Vec<Event>| {
        let said = connections(mapper, events);
        said.iter().map(|it| it.protocol).collect::<Vec<_>>()
    };
    let http = || asks(7, b"GET / HTTP/1.1\r\n\r\n");
    let unknown = || asks(7, b"\x00\x01\x02");
    assert_eq!(
        spoken(&mut mapper, vec![http(), unknown(), ends(7)]),
        [Some(Protocol::Http)]
    );
    // What is over is forgotten.
    assert_eq!(spoken(&mut mapper, vec![unknown(), ends(7)]), [None]);
    assert!(mapper.speaking.is_empty());
    let many = (0..=SPEAKING as u64).map(|n| asks(n + 1, b"GET / HTTP/1.1\r\n\r\n"));
    connections(&mut mapper, many);
    assert_eq!(mapper.counts().limit_hits()[3], ("kernel_protocols", 1));
}

#[test]
fn how_a_connection_ended() {
    let of = |error, bits: [bool; 4]| Closed {
        fin_sent: bits[0],
        fin_received: bits[1],
        rst_sent: bits[2],
        rst_received: bits[3],
        fin_first: false,
        error,
    };
    let (no, yes) = (false, true);
    for (closed, at_server, at_client) in [
        (of(0, [yes, yes, no, no]), "fin", "fin"),
        (of(0, [yes, no, no, no]), "fin", "fin"),
        (of(0, [no, no, yes, no]), "rst_by_server", "rst_by_client"),
        (of(0, [yes, no, no, yes]), "rst_by_client", "rst_by_server"),
        (of(104, [no, no, no, yes]), "rst_by_client", "rst_by_server"),
        (of(104, [no, no, no, no]), "rst_by_client", "rst_by_server"),
        (of(110, [no, no, no, no]), "timed_out", "timed_out"),
        (of(110, [yes, no, yes, no]), "timed_out", "timed_out"),
        (of(113, [no, no, no, no]), "timed_out", "timed_out"),
        (of(103, [no, no, no, no]), "rst_by_server", "rst_by_client"),
    ] {
        for (socket, expected) in [(server(7), at_server), (client(7), at_client)] {
            let said = connections(&mut mapper(), [event(socket, 9, self::closed(closed))]);
            assert_eq!(said[0].close.word(), Some(expected), "{closed:?}");
        }
    }
}

#[test]
fn a_connection_that_was_there_before_has_no_handshake_and_parts_are_numbered() {
    let adopted = Socket {
        is_adopted: true,
        role_by: RoleBy::Guess,
        ..server(7)
    };
    let open = || {
        What::Connection(Connection {
            closed: None,
            ..connection()
        })
    };
    let mut mapper = mapper();
    let said = connections(
        &mut mapper,
        [
            event(adopted.clone(), 10, open()),
            event(adopted.clone(), 20, open()),
            event(adopted.clone(), 30, What::Connection(connection())),
            event(server(9), 40, open()),
        ],
    );
    let told =
        |record: &ConnectionRecord| (record.part, record.is_final, record.close, record.handshake);
    let missed = Some(HandshakeOutcome::Missed);
    assert_eq!(told(&said[0]), (Some(1), false, Close::Open, missed));
    assert_eq!(told(&said[1]), (Some(2), false, Close::Open, missed));
    assert_eq!(told(&said[2]), (Some(3), true, Close::Fin, missed));
    assert_eq!(said[0].role_from, RoleFrom::Port);
    mapper.begin_end();
    let said = connections(
        &mut mapper,
        [event(server(9), 50, open()), event(server(10), 50, open())],
    );
    let established = Some(HandshakeOutcome::Established);
    assert_eq!(told(&said[0]), (Some(2), true, Close::Open, established));
    assert_eq!(told(&said[1]), (None, true, Close::Open, established));
}

#[test]
fn a_client_s_attempt_has_its_outcome_with_the_kernel_s_reason() {
    use AttemptEnd::*;
    for (end, outcome, error) in [
        (Established, Outcome::Established, None),
        (Failed(111), Outcome::Refused, Some("ECONNREFUSED")),
        (Failed(110), Outcome::TimedOut, Some("ETIMEDOUT")),
        (Failed(113), Outcome::Unreachable, Some("EHOSTUNREACH")),
        (Failed(101), Outcome::Unreachable, Some("ENETUNREACH")),
        (Failed(13), Outcome::Unreachable, Some("EACCES")),
        (Failed(104), Outcome::Reset, Some("ECONNRESET")),
        (Closed, Outcome::Aborted, None),
        (Open, Outcome::Unanswered, None),
    ] {
        let said = handshakes(
            &mut mapper(),
            [event(client(7), 500, What::Attempt(attempt(end)))],
        );
        assert_eq!((said[0].outcome, said[0].error), (outcome, error));
        assert_eq!(said[0].wait_us, Some(Span::from_ns(500_000)));
        assert_eq!(
            said[0].handshake_us.is_some(),
            outcome == Outcome::Established
        );
    }
    let again = Attempt {
        syn_retransmits: 2,
        rtt_us: None,
        ..attempt(Established)
    };
    let line = &lines(
        &mut mapper(),
        [event(client(7), 3_000_000, What::Attempt(again))],
    )[0];
    assert!(
        line.contains(
            " tap_side=client outcome=established handshake_us=3000000 first_syn_to_synack_us=3000000 wait_us=3000000 \
             syn_retransmits=2 synack_seen=true socket_cookie=7 "
        ),
        "{line}"
    );
}

#[test]
fn a_server_s_attempt_has_what_it_knows_and_not_the_syn_s_time() {
    let established = event(
        server(7),
        130,
        What::Attempt(attempt(AttemptEnd::Established)),
    );
    let line = &lines(&mut mapper(), [established])[0];
    assert!(
        line.contains(
            " outcome=established synack_to_ack_us=130 synack_retransmits=0 synack_seen=true socket_cookie=7 "
        ),
        "{line}"
    );
    let refused = event(
        server(0),
        0,
        What::Attempt(attempt(AttemptEnd::RefusedHere)),
    );
    let said = lines(&mut mapper(), [refused]);
    let line = said.iter().find(|line| line.contains(" outcome=")).unwrap();
    assert!(
        line.contains(" outcome=refused ") && line.contains(" error=ECONNREFUSED "),
        "{line}"
    );
    // Without a cookie the id is that of time and ends.
    assert!(line.contains(" connection_id=18e9ea0fc8e96000-"), "{line}");
    assert!(!line.contains("socket_cookie"), "{line}");
}

#[test]
fn a_syn_ack_that_is_never_acknowledged_is_over_after_its_time_or_at_the_end() {
    let again = |n, at, port| {
        let socket = Socket {
            cookie: 0,
            remote: ("192.0.2.7".parse().unwrap(), port),
            ..server(0)
        };
        event(
            socket,
            at,
            What::Attempt(attempt(AttemptEnd::SynackAgain(n))),
        )
    };
    let mut mapper = mapper();
    let mut out = Records::default();
    for event in [
        again(1, 1_000_000, 40_001),
        again(2, 3_000_000, 40_001),
        again(1, 3_500_000, 40_002),
        again(1, 3_600_000, 40_003),
    ] {
        mapper.event(event, &mut out);
    }
    // One of them is established after all.
    let socket = Socket {
        remote: ("192.0.2.7".parse().unwrap(), 40_002),
        ..server(7)
    };
    let late = event(
        socket,
        4_000_000,
        What::Attempt(attempt(AttemptEnd::Established)),
    );
    mapper.event(late, &mut out);
    let said = handshakes_of(&out);
    assert_eq!((said.len(), said[0].outcome), (1, Outcome::Established));
    assert_eq!(said[0].synack_retransmits, 1);
    out.clear();
    mapper.tick(us(65_900_000), &mut out);
    assert!(out.is_empty());
    mapper.tick(us(66_000_000), &mut out);
    let said = handshakes_of(&out);
    assert_eq!(
        (said.len(), said[0].client_port, said[0].outcome),
        (1, 40_001, Outcome::Unacknowledged)
    );
    assert_eq!((said[0].synack_retransmits, said[0].wait_us), (2, None));
    out.clear();
    mapper.end(us(66_000_000), &mut out);
    assert_eq!(handshakes_of(&out)[0].client_port, 40_003);
    assert_eq!(mapper.counts().early_attempts, 0);
}

#[test]
fn attempts_that_wait_are_bounded_and_counted() {
    let mut mapper = Mapper::new(Settings {
        pending_attempts: 2,
        ..Settings::default()
    });
    let again = |n, port| {
        let socket = Socket {
            remote: ("192.0.2.7".parse().unwrap(), port),
            ..server(0)
        };
        event(
            socket,
            i64::from(n),
            What::Attempt(attempt(AttemptEnd::SynackAgain(n))),
        )
    };
    let said = handshakes(&mut mapper, [again(1, 1), again(1, 2), again(1, 3)]);
    assert_eq!((said.len(), said[0].client_port), (1, 1));
    assert_eq!(mapper.counts().early_attempts, 1);
    // Counted from the beginning again: another attempt of the same ends.
    let said = handshakes(&mut mapper, [again(1, 3)]);
    assert_eq!((said.len(), said[0].client_port), (1, 3));
    assert_eq!(mapper.counts().early_attempts, 1);
}

#[test]
fn cgroups_are_asked_for_once_and_name_containers() {
    let id = "0123456789abcdef".repeat(4);
    let path = format!("/system.slice/docker-{id}.scope");
    let asked = Arc::new(Mutex::new(0));
    let (count, found) = (asked.clone(), path.clone());
    let mut mapper = Mapper::new(Settings {
        cgroup_path: Box::new(move |number| {
            *count.lock().unwrap() += 1;
            (number == 77).then(|| found.clone())
        }),
        ..Settings::default()
    });
    let done = || event(server(7), 9, What::Task(Box::new(task(1, 0))));
    let said = lines(&mut mapper, [done(), done()]);
    for line in said {
        assert!(
            line.contains(&format!(" cgroup={path} container_id={id} ")),
            "{line}"
        );
    }
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[test]
fn both_ends_on_this_host_are_local_and_mapped_addresses_are_ipv4() {
    for (local, remote, direction) in [
        ("127.0.0.1", "127.0.0.1", "local"),
        ("::1", "::1", "local"),
        ("::ffff:10.0.0.1", "10.0.0.1", "local"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", "inbound"),
    ] {
        let socket = Socket {
            local: (local.parse().unwrap(), 80),
            remote: (remote.parse().unwrap(), 40_000),
            ..server(7)
        };
        let line = &lines(
            &mut mapper(),
            [event(socket, 9, What::Task(Box::new(task(1, 0))))],
        )[0];
        assert!(line.contains(&format!(" direction={direction} ")), "{line}");
        assert!(!line.contains("::ffff"), "{line}");
    }
}

#[test]
fn the_filter_leaves_out_and_counts() {
    let mut mapper = Mapper::new(Settings {
        filter: Some(TupleFilter::parse("port 6379").unwrap()),
        ..Settings::default()
    });
    let said = lines(
        &mut mapper,
        [
            event(server(7), 9, What::Task(Box::new(task(1, 0)))),
            event(client(8), 9, What::Task(Box::new(received(1, 0)))),
        ],
    );
    assert_eq!(said.len(), 1);
    assert_eq!((mapper.counts().events, mapper.counts().filtered), (2, 1));
}

#[test]
fn the_other_end_of_a_local_connection_can_be_left_out() {
    for (side, is_server) in [(Side::Server, true), (Side::Client, false)] {
        let mut mapper = Mapper::new(Settings {
            side: Some(side),
            ..Settings::default()
        });
        let said = lines(
            &mut mapper,
            [
                event(server(7), 9, What::Task(Box::new(task(1, 0)))),
                event(client(8), 9, What::Task(Box::new(received(1, 0)))),
            ],
        );
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].contains(" tap_side=server "), is_server);
        assert_eq!(mapper.counts().filtered, 1);
    }
}

#[test]
fn only_records_that_are_wanted_are_made() {
    let events = || {
        let cut = Task {
            end: TaskEnd::ClosedReceiving,
            ..task(1, 0)
        };
        [
            event(
                client(8),
                5,
                What::Attempt(attempt(AttemptEnd::Failed(111))),
            ),
            event(server(7), 9, What::Task(Box::new(cut))),
            event(server(7), 10, What::Connection(connection())),
        ]
    };
    for (wanted, own) in [
        ([true, false, false], &[" outcome="][..]),
        ([false, true, false], &[" ended_by="]),
        // An attempt that failed is a connection, too.
        ([false, false, true], &[" close=failed ", " close=fin "]),
    ] {
        let mut mapper = Mapper::new(Settings {
            handshakes: wanted[0],
            requests: wanted[1],
            connections: wanted[2],
            ..Settings::default()
        });
        let said = lines(&mut mapper, events());
        assert_eq!(said.len(), own.len(), "{said:?}");
        for (line, own) in said.iter().zip(own) {
            assert!(line.contains(own), "{line}");
        }
    }
}

#[test]
fn what_was_lost_is_told_of_what_it_may_concern() {
    let mut mapper = mapper();
    let mut said = lines(
        &mut mapper,
        [event(server(7), 900, What::Task(Box::new(task(1, 0))))],
    );
    mapper.lost(us(1000));
    said.extend(lines(
        &mut mapper,
        [
            event(server(7), 1500, What::Task(Box::new(task(2, 950)))),
            event(server(7), 2500, What::Task(Box::new(task(3, 2000)))),
            event(server(7), 2600, What::Connection(connection())),
        ],
    ));
    let has_lost: Vec<_> = said
        .iter()
        .map(|line| line.contains(" capture_loss=true "))
        .collect();
    assert_eq!(has_lost, [false, true, false, true]);
    assert!(!said.iter().any(|line| line.contains("capture_loss=false")));
}

#[test]
fn any_events_give_the_same_records_twice_and_no_panic() {
    fn run() -> (Vec<String>, Counts) {
        let mut state = 7_u64;
        let mut next = move |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut mapper = Mapper::new(Settings {
            pending_attempts: 8,
            protocols: Protocol::ALL.to_vec(),
            first_frames: vec![1, 0, u32::MAX],
            ..Settings::default()
        });
        let mut out = Records::default();
        for _ in 0..20_000 {
            let socket = Socket {
                cookie: next(20),
                remote: ("192.0.2.7".parse().unwrap(), next(20) as u16),
                role: [Role::Server, Role::Client][next(2) as usize],
                began: us(next(1000) as i64 - 500),
                is_adopted: next(2) == 0,
                ..server(0)
            };
            let mut time = || (next(4) > 0).then(|| Timestamp(next(3_000_000) as i64));
            let times = [time(), time(), time(), time(), time()];
            let what = match next(3) {
                0 => What::Task(Box::new(Task {
                    end: [
                        TaskEnd::Answered,
                        TaskEnd::ClosedSending,
                        TaskEnd::ClosedReceiving,
                        TaskEnd::Received,
                        TaskEnd::ClosedWaiting,
                        TaskEnd::Open,
                    ][next(6) as usize],
                    first_request: times[0].unwrap_or(Timestamp::MAX),
                    last_request: times[1],
                    first_response: times[2],
                    last_response: times[3],
                    acknowledged: times[4],
                    next: times[4],
                    request_bytes: next(300),
                    response_bytes: u64::MAX - next(3),
                    mode: [Mode::Default, Mode::Http, Mode::Https][next(3) as usize],
                    head: (0..next(65)).map(|_| (next(30)) as u8).collect(),
                    next_head: (0..next(20)).map(|_| (next(30)) as u8).collect(),
                    first_frames: vec![(next(2) as u32, 3); next(6) as usize],
                    ..task(next(9), 0)
                })),
                1 => What::Connection(Connection {
                    closed: (next(2) == 0).then(|| Closed {
                        fin_sent: next(2) == 0,
                        rst_received: next(2) == 0,
                        error: next(120) as u16,
                        ..Closed::default()
                    }),
                    ..connection()
                }),
                _ => What::Attempt(attempt(match next(6) {
                    0 => AttemptEnd::Established,
                    1 => AttemptEnd::Failed(next(200) as u16),
                    2 => AttemptEnd::Closed,
                    3 => AttemptEnd::RefusedHere,
                    4 => AttemptEnd::SynackAgain(next(6) as u32),
                    _ => AttemptEnd::Open,
                })),
            };
            let at = next(100_000_000) as i64;
            mapper.event(event(socket, at, what), &mut out);
            if next(50) == 0 {
                mapper.tick(us(at), &mut out);
            }
        }
        mapper.begin_end();
        mapper.end(us(200_000_000), &mut out);
        out.sort();
        (shown(&out), mapper.counts())
    }
    let (lines, counts) = run();
    assert_eq!((&lines, counts), (&run().0, run().1));
    assert_eq!(counts.events, 20_000);
    // Every bound was reached but that of tasks, and nothing is lost: an event is a record, or a step of an attempt.
    assert!(counts.early_attempts > 0 && lines.len() > 15_000);
}

#[test]
fn records_are_in_the_order_of_their_events_though_clocks_differ() {
    let mut out = Records::default();
    let mut mapper = mapper();
    for (n, at) in [(1, 500), (2, 400), (3, 600)] {
        mapper.event(
            event(server(n), at, What::Task(Box::new(task(n, 0)))),
            &mut out,
        );
    }
    out.sort();
    let cookies: Vec<_> = shown(&out)
        .iter()
        .map(|line| line.contains("task=2"))
        .collect();
    assert_eq!(cookies, [false, true, false]);
    assert_eq!(mapper.clock(), us(600));
    assert_eq!(out.get(0).map(|(_, record)| matches!(record, AnyRecord::Request(r) if r.row.vantage == Vantage::Kernel)), Some(true));
    let back = Task {
        first_response: Some(us(-5)),
        ..task(4, 0)
    };
    mapper.event(event(server(4), 700, What::Task(Box::new(back))), &mut out);
    assert_eq!(mapper.counts().time_reversals, 1);
}
