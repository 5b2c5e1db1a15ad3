//! TCP-RT's statistics per port, from the kernel's events.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod kernel_events;

use tcplens_core::batch::AnyRecord;
use tcplens_core::kernel::*;
use tcplens_output::port_stats::PortStats;

use kernel_events::*;

fn count(stats: &mut PortStats, events: Vec<(Socket, i64, What)>) {
    let records = records(Settings::default(), events);
    for n in 0..records.len() {
        if let AnyRecord::Request(request) = records.get(n).unwrap().1 {
            stats.request(&request.record());
        }
    }
}

fn lines(stats: &mut PortStats) -> String {
    let mut out = String::new();
    stats.lines(us(1_000_000), &mut out);
    out
}

fn cut(end: TaskEnd) -> What {
    asked(Task {
        end,
        acknowledged: None,
        ..task(9)
    })
}

#[test]
fn a_line_has_the_averages_of_its_interval_and_the_next_begins_at_zero() {
    let mut stats = PortStats::new(vec![(80, 80)], vec![(6379, 6379)]);
    let longer = Task {
        acknowledged: Some(us(255)),
        first_response: Some(us(200)),
        last_request: Some(us(51)),
        request_bytes: 100,
        response_bytes: 40_000,
        retransmits: 1,
        min_rtt_us: Some(11),
        mss: 32_768,
        ..task(2)
    };
    let received = Task {
        end: TaskEnd::Received,
        last_request: Some(us(20)),
        last_response: Some(us(248)),
        acknowledged: None,
        ..task(1)
    };
    let events = vec![
        (server(80), 200, asked(task(1))),
        (server(80), 300, asked(longer)),
        (server(80), 400, cut(TaskEnd::ClosedSending)),
        (server(80), 401, What::Connection(closed())),
        (client(5), 300, asked(received)),
    ];
    count(&mut stats, events);
    // Retransmitted 1 of 1 + 2 segments; one W for two R.
    assert_eq!(
        lines(&mut stats),
        "1795223440 all 80 205 148 333 9 500 20120 25 89 2\n\
         1795223440 all P6379 248 128 0 8 0 79 100 240 1\n"
    );
    assert_eq!(
        lines(&mut stats),
        "1795223440 all 80 0 0 0 0 0 0 0 0 0\n1795223440 all P6379 0 0 0 0 0 0 0 0 0\n"
    );
}

#[test]
fn a_port_of_a_range_has_a_line_only_with_tasks() {
    let mut stats = PortStats::new(vec![(80, 90), (443, 443)], Vec::new());
    let events = || {
        vec![
            (server(81), 200, asked(task(1))),
            (server(8080), 200, asked(task(1))),
            (client(5), 200, asked(task(1))),
        ]
    };
    count(&mut stats, events());
    assert_eq!(
        lines(&mut stats),
        "1795223440 all 81 156 148 0 8 0 240 0 79 1\n1795223440 all 443 0 0 0 0 0 0 0 0 0\n"
    );
    // Without any port all of them count.
    let mut stats = PortStats::new(Vec::new(), Vec::new());
    count(&mut stats, events());
    let said = lines(&mut stats);
    let ports: Vec<_> = said
        .lines()
        .map(|line| line.split(' ').nth(2).unwrap())
        .collect();
    assert_eq!(ports, ["81", "8080", "P6379"]);
    assert_eq!(lines(&mut stats), "");
    // Other ports: what was counted before is told once more.
    count(&mut stats, events());
    stats.set_ports(vec![(443, 443)], Vec::new());
    assert_eq!(lines(&mut stats).lines().count(), 4);
    assert_eq!(lines(&mut stats).lines().count(), 1);
}

#[test]
fn a_farewell_and_a_request_that_was_not_answered_are_no_w() {
    let mut stats = PortStats::new(vec![(443, 443)], Vec::new());
    let farewell = Task {
        end: TaskEnd::ClosedReceiving,
        mode: Mode::Https,
        head: b"\x15\x03\x03\x00\x1a0123".to_vec(),
        response_bytes: 0,
        ..task(1)
    };
    let silent = Task {
        end: TaskEnd::ClosedReceiving,
        response_bytes: 0,
        ..task(1)
    };
    count(
        &mut stats,
        vec![
            (server(443), 200, asked(farewell)),
            (server(443), 201, What::Connection(closed())),
            (server(443), 202, asked(silent)),
            (server(443), 203, What::Connection(closed())),
        ],
    );
    assert_eq!(lines(&mut stats), "1795223440 all 443 0 0 0 0 0 0 0 0 0\n");
}
