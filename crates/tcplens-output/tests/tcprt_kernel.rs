//! TCP-RT's lines from the kernel's events, through the mapper: each kind, each mode, in TCP-RT's columns.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod kernel_events;

use tcplens_core::batch::AnyRecord;
use tcplens_core::kernel::*;
use tcplens_output::tcprt::Tcprt;

use kernel_events::*;

fn lines(settings: Settings, events: Vec<(Socket, i64, What)>) -> String {
    written(Tcprt::new(Vec::new(), false), settings, events)
}

fn written(mut tcprt: Tcprt, settings: Settings, events: Vec<(Socket, i64, What)>) -> String {
    let records = records(settings, events);
    let mut out = String::new();
    for n in 0..records.len() {
        match records.get(n).unwrap().1 {
            AnyRecord::Handshake(handshake) => tcprt.handshake(handshake),
            AnyRecord::Request(request) => tcprt.request(&request.record(), &mut out),
            AnyRecord::Connection(connection) => tcprt.connection(connection, &mut out),
        }
    }
    out
}

fn of(events: Vec<(Socket, i64, What)>) -> String {
    lines(Settings::default(), events)
}

#[test]
fn answered_tasks_are_r_and_the_connection_s_end_is_e() {
    let second = Task {
        retransmits: 3,
        is_reordered: true,
        ..task(2)
    };
    let events = vec![
        (server(80), 200, asked(task(1))),
        (server(80), 300, asked(second)),
        (server(80), 400, What::Connection(closed())),
    ];
    assert_eq!(
        of(events),
        "V6 R 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 240 156 8 0 1 148 0 79 0 32768 \n\
         V6 R 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 240 156 8 3 2 148 0 79 1 32768 \n\
         V6 E 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 2 480 0 158 3 8 \n"
    );
    // Without a task there is nothing to say.
    assert_eq!(of(vec![(server(80), 400, What::Connection(closed()))]), "");
}

#[test]
fn what_was_cut_off_is_w_or_n_by_how_far_it_came() {
    let sending = Task {
        end: TaskEnd::ClosedSending,
        unacked_bytes: 100,
        acknowledged: None,
        ..task(1)
    };
    let state = Connection {
        unacked_bytes: 100,
        ..closed()
    };
    let events = vec![
        (server(80), 399, asked(sending.clone())),
        (server(80), 400, What::Connection(state.clone())),
    ];
    assert_eq!(
        of(events),
        "V6 W 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 240 400 8 0 1 148 0 100 0 32768 \n\
         V6 E 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 1 480 100 158 3 8 \n"
    );
    // All that was sent is acknowledged, but not all was sent.
    let unsent = Task {
        unacked_bytes: 0,
        unsent_bytes: 5000,
        response_bytes: 0,
        ..sending
    };
    let events = vec![
        (server(80), 399, asked(unsent)),
        (server(80), 400, What::Connection(closed())),
    ];
    let said = of(events);
    assert!(
        said.starts_with("V6 W 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 0 400 "),
        "{said}"
    );
    let receiving = Task {
        end: TaskEnd::ClosedReceiving,
        response_bytes: 0,
        first_response: None,
        acknowledged: None,
        is_reordered: true,
        ..task(3)
    };
    let events = vec![
        (server(80), 399, asked(receiving)),
        (server(80), 400, What::Connection(closed())),
    ];
    assert_eq!(
        of(events),
        "V6 N 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 3 400 79 1 32768 \n\
         V6 E 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 3 480 0 158 3 8 \n"
    );
}

#[test]
fn as_the_module_writes_fins_are_bytes_and_a_clean_close_hides_a_half_received_request() {
    let compatible = |events| {
        let tcprt = Tcprt::new(Vec::new(), false).compatible(true);
        written(tcprt, Settings::default(), events)
    };
    let receiving = Task {
        end: TaskEnd::ClosedReceiving,
        response_bytes: 0,
        first_response: None,
        acknowledged: None,
        ..task(3)
    };
    let ended = |closed: Closed| {
        vec![
            (server(80), 399, asked(receiving.clone())),
            (
                server(80),
                400,
                What::Connection(Connection {
                    closed: Some(closed),
                    ..self::closed()
                }),
            ),
        ]
    };
    let both = Closed {
        fin_sent: true,
        fin_received: true,
        ..Closed::default()
    };
    assert_eq!(
        compatible(ended(both)),
        "V6 E 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 3 481 0 159 3 8 \n"
    );
    // Only the peer closed before the reset: the observed end said nothing that could be a response.
    let theirs = Closed {
        fin_received: true,
        rst_sent: true,
        ..Closed::default()
    };
    assert_eq!(
        compatible(ended(theirs)),
        "V6 N 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 3 400 80 0 32768 \n\
         V6 E 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 3 480 0 159 3 8 \n"
    );
    // A FIN behind what was never sent: a response that was cut off, and no byte more.
    let sending = Task {
        end: TaskEnd::ClosedSending,
        unsent_bytes: 5000,
        acknowledged: None,
        ..task(1)
    };
    let state = Connection {
        closed: Some(Closed {
            fin_sent: true,
            rst_received: true,
            ..Closed::default()
        }),
        unsent_bytes: 5000,
        ..closed()
    };
    let said = compatible(vec![
        (server(80), 399, asked(sending)),
        (server(80), 400, What::Connection(state)),
    ]);
    assert!(said.starts_with("V6 W "), "{said}");
    assert!(said.ends_with(" 1 480 0 158 3 8 \n"), "{said}");
    // A client's own FIN is among the bytes that it sent.
    let received = Task {
        end: TaskEnd::Received,
        last_request: Some(us(20)),
        last_response: Some(us(248)),
        acknowledged: None,
        ..task(1)
    };
    let ours = Closed {
        fin_sent: true,
        rst_received: true,
        ..Closed::default()
    };
    let state = Connection {
        closed: Some(ours),
        ..closed()
    };
    let said = compatible(vec![
        (client(5), 300, asked(received)),
        (client(5), 400, What::Connection(state)),
    ]);
    assert!(said.ends_with(" 1 481 0 158 3 8 \n"), "{said}");
}

#[test]
fn a_client_s_tasks_are_p_with_all_ten_columns() {
    let received = Task {
        end: TaskEnd::Received,
        last_request: Some(us(20)),
        last_response: Some(us(248)),
        acknowledged: None,
        ..task(1)
    };
    let events = vec![
        (client(5), 300, asked(received)),
        (client(5), 400, What::Connection(closed())),
    ];
    assert_eq!(
        of(events),
        "V6 P 1795223439 676586 [2001:db8::9]:6379 10.0.0.1:50000 79 248 8 0 1 128 100 240 0 32768 \n\
         V6 E 1795223439 676586 [2001:db8::9]:6379 10.0.0.1:50000 1 480 0 158 3 8 \n"
    );
}

#[test]
fn ports_in_mode_http_or_https_have_v7_lines_with_their_tags() {
    let https = |head: &[u8], request_bytes, response_bytes, next_head: &[u8]| Task {
        mode: Mode::Https,
        head: head.to_vec(),
        next_head: next_head.to_vec(),
        next: (!next_head.is_empty()).then(|| us(1258)),
        request_bytes,
        response_bytes,
        mss: 1448,
        ..task(1)
    };
    let data = b"\x17\x03\x03\x00\x60abcdefghijk";
    let finished = b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x35abcde";
    let hello = b"\x16\x03\x01\x00\xee\x01\0\0\xea\x03\x03abcde";
    let http = Task {
        mode: Mode::Http,
        ..task(1)
    };
    let expects = Task {
        head: b"PUT /x HTTP/1.1\r".to_vec(),
        response_bytes: 25,
        next: Some(us(900)),
        ..http.clone()
    };
    let farewell = Task {
        end: TaskEnd::ClosedReceiving,
        first_response: None,
        ..https(b"\x15\x03\x03\x00\x1a0123", 31, 0, b"")
    };
    let events = vec![
        (server(80), 200, asked(http)),
        (server(80), 200, asked(expects)),
        (server(443), 200, asked(https(hello, 243, 1321, finished))),
        (
            server(443),
            200,
            asked(https(hello, 243 + 6 + 100, 400, data)),
        ),
        (server(443), 200, asked(https(data, 101, 300, data))),
        (server(443), 200, asked(https(data, 101, 31, b""))),
        (server(443), 399, asked(farewell)),
        (server(443), 400, What::Connection(closed())),
    ];
    assert_eq!(
        of(events),
        "V7 R 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 240 156 8 0 1 148 0 79 0 32768 573 14 \n\
         V7 R.C 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 25 156 8 0 1 148 0 79 0 32768 573 14 \n\
         V7 R.H 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 1321 156 8 0 1 148 0 243 0 1448 573 14 1258 \n\
         V7 R.HZ 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 400 156 8 0 1 148 0 349 0 1448 573 14 \n\
         V7 R 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 300 156 8 0 1 148 0 101 0 1448 573 14 \n\
         V7 R.A 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 31 156 8 0 1 148 0 101 0 1448 573 14 \n\
         V7 N.A 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 1 400 31 0 1448 \n\
         V6 E 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 1 480 0 158 3 8 \n"
    );
}

#[test]
fn first_frames_are_pairs_behind_the_twelve_columns_and_the_handshake() {
    let settings = || Settings {
        first_frames: vec![1448, 2896, 20_000, 0],
        ..Settings::default()
    };
    let frames = Task {
        response_bytes: 3000,
        first_frames: vec![(1448, 611), (2896, 640), (0, 0), (0, 0)],
        ..task(4)
    };
    let both = Task {
        mode: Mode::Https,
        head: b"\x16\x03\x01\x00\xee\x01\0\0\xea\x03\x03abcde".to_vec(),
        next_head: b"\x17\x03\x03\x00\x60".to_vec(),
        next: Some(us(1258)),
        request_bytes: 243,
        ..frames.clone()
    };
    let events = vec![
        (server(80), 200, asked(frames)),
        (server(443), 200, asked(both)),
    ];
    assert_eq!(
        lines(settings(), events),
        "V7 R.F 1795223439 676586 10.0.0.7:38824 10.0.0.1:80 3000 156 8 0 4 148 0 79 0 32768 573 14 1448 611 2896 640 0 0 \n\
         V7 R.FH 1795223439 676586 10.0.0.7:38824 10.0.0.1:443 3000 156 8 0 4 148 0 243 0 32768 573 14 1258 1448 611 2896 640 0 0 \n"
    );
}
