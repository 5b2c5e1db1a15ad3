//! Records of the kernel as people and machines see them: requests, connections, attempts.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod kernel_events;

use tcplens_core::batch::AnyRecord;
use tcplens_core::kernel::*;
use tcplens_output::csv::Csv;
use tcplens_output::jsonl::Jsonl;
use tcplens_output::text::{ConnectionText, HandshakeText, RequestColumn, RequestText};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use kernel_events::*;

/// A server's socket of a known process.
fn nginx() -> Socket {
    let mut comm = [0; 16];
    comm[..5].copy_from_slice(b"nginx");
    Socket {
        process: Some(Process {
            pid: 4242,
            uid: 33,
            comm,
            cgroup: 0,
        }),
        ..server(80)
    }
}

fn lines(columns: &[RequestColumn], events: Vec<(Socket, i64, What)>) -> String {
    let time = || TimeFormat::new(TimeStyle::Epoch);
    let mut requests = RequestText::new(time(), columns.to_vec(), false);
    let mut connections = ConnectionText::new(time(), false);
    let mut handshakes = HandshakeText::new(time(), false);
    let records = records(Settings::default(), events);
    let mut out = Vec::new();
    for n in 0..records.len() {
        match records.get(n).unwrap().1 {
            AnyRecord::Handshake(handshake) => handshakes.encode(handshake, &mut out),
            AnyRecord::Request(request) => requests.encode(&request.record(), &mut out),
            AnyRecord::Connection(connection) => connections.encode(connection, &mut out),
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn a_server_s_request_took_as_long_as_until_its_response_began() {
    let said = lines(&[], vec![(nginx(), 200, asked(task(1)))]);
    assert_eq!(
        said,
        "1795223439.676586 10.0.0.7:38824 => 10.0.0.1:80 | 0.148 ms | nginx[4242] | turn: 79 > 240 bytes\n"
    );
    let columns = [
        RequestColumn::Phases,
        RequestColumn::Process,
        RequestColumn::Frames,
    ];
    let said = lines(&columns, vec![(nginx(), 200, asked(task(1)))]);
    assert!(
        said.ends_with(
            " | 0.148 ms | upload 0.000 process 0.148 delivered 0.156 ms | nginx[4242] | - | turn: 79 > 240 bytes\n"
        ),
        "{said}"
    );
    let said = lines(
        &[RequestColumn::Process],
        vec![(server(80), 200, asked(task(1)))],
    );
    assert!(
        said.ends_with(" | 0.148 ms | - | turn: 79 > 240 bytes\n"),
        "{said}"
    );
}

#[test]
fn connections_have_the_columns_that_the_kernel_knows() {
    let state = Connection {
        unacked_bytes: 100,
        ..closed()
    };
    let said = lines(&[], vec![(nginx(), 900, What::Connection(state))]);
    let table: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(
        table,
        [
            "        TIMESTAMP |                CLIENT                 SERVER | DURATION  CLOSE          HANDSHAKE    \
             REQUESTS |   BYTES>    BYTES< | RETR      RTT | UNSENT  UNACKED | PROCESS",
            "1795223439.676486 |        10.0.0.7:38824            10.0.0.1:80 |     1 ms  fin            established         2 \
             |    158 B     480 B |    3     8 µs |    0 B    100 B | nginx[4242]",
        ]
    );
}

#[test]
fn attempts_show_the_kernel_s_reason_and_no_count_that_it_does_not_know() {
    let attempt = |end| {
        What::Attempt(Attempt {
            end,
            syn_retransmits: 1,
            synack_retransmits: 0,
            rtt_us: None,
            mss: None,
        })
    };
    let said = lines(
        &[],
        vec![
            (client(5), 900, attempt(AttemptEnd::Failed(113))),
            (nginx(), 900, attempt(AttemptEnd::Established)),
        ],
    );
    // A failed attempt has a connection record beside it.
    let line = |what: &str| -> Vec<&str> {
        let found = said.lines().find(|line| line.contains(what));
        found.expect(what).split_whitespace().collect()
    };
    assert!(
        line("EHOSTUNREACH").ends_with(&["unreachable", "(EHOSTUNREACH)", "|", "1", "-"]),
        "{said}"
    );
    let established = line("established (nginx[4242])");
    assert_eq!(established[0], "-", "{said}");
    assert!(
        established.ends_with(&["established", "(nginx[4242])", "|", "-", "0"]),
        "{said}"
    );
}

#[test]
fn first_frames_are_a_list_in_json_and_one_cell_in_csv() {
    let settings = Settings {
        first_frames: vec![1448, 20_000],
        ..Settings::default()
    };
    let framed = Task {
        first_frames: vec![(1448, 611), (0, 0)],
        ..task(1)
    };
    let records = records(settings, vec![(nginx(), 200, asked(framed))]);
    let Some((_, AnyRecord::Request(request))) = records.get(0) else {
        panic!("a request")
    };
    let request = request.record();
    let (mut jsonl, mut csv) = (Jsonl::new(), Csv::new());
    jsonl.encode(&request);
    csv.encode(&request);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (json, csv) = (text(jsonl.bytes()), text(csv.bytes()));
    assert!(
        json.ends_with(
            ",\"tags\":\"F\",\"first_frames\":[{\"threshold_bytes\":1448,\"bytes\":1448,\"us\":611},\
             {\"threshold_bytes\":20000}]}\n"
        ),
        "{json}"
    );
    assert!(
        json.contains("\"connection_id\":\"00000000_0000000000000050\""),
        "{json}"
    );
    assert!(csv.ends_with(",F,,,,1448:1448:611;20000::,\n"), "{csv}");
    let columns = |line: &str| line.matches(',').count();
    let mut lines = csv.lines();
    assert_eq!(lines.next().map(columns), lines.next().map(columns));
}
