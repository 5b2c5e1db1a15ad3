//! Text views, as people see them.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::net::IpAddr;

use tcplens_core::record::{Close, Connection, Handshake, HandshakeOutcome, Outcome, Sent};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::text::{ConnectionText, HandshakeText};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

fn handshakes(style: TimeStyle, color: bool, records: &[Handshake]) -> String {
    let mut view = HandshakeText::new(TimeFormat::new(style), color);
    view.set_origin(Timestamp(1_795_223_300 * SECOND));
    let mut out = Vec::new();
    for record in records {
        view.encode(record, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn connections(records: &[Connection]) -> String {
    let mut view = ConnectionText::new(TimeFormat::new(TimeStyle::Relative), false);
    view.set_origin(Timestamp(1_795_223_300 * SECOND));
    let mut out = Vec::new();
    for record in records {
        view.encode(record, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn handshakes_have_the_columns_of_tcpeek_and_finer_results() {
    let failed = |outcome| Handshake {
        outcome,
        handshake_us: None,
        ..sample::handshake(0)
    };
    let records = [
        sample::handshake(0),
        Handshake {
            syn_retransmits: 2,
            wait_us: Some(Span::from_ns(3_102_000_999)),
            ..sample::handshake(1)
        },
        failed(Outcome::Refused),
        Handshake {
            rst_acceptable: Some(false),
            ..failed(Outcome::Refused)
        },
        Handshake {
            icmp_type: Some(3),
            icmp_code: Some(1),
            icmp_from: Some(ip("10.77.0.254")),
            ..failed(Outcome::Unreachable)
        },
        Handshake {
            client_ip: ip("2001:db8:1111:2222:3333:4444:5555:6666"),
            server_ip: ip("2001:db8::2"),
            icmp_type: Some(1),
            icmp_code: Some(3),
            icmp_from: Some(ip("2001:db8::fe")),
            ..failed(Outcome::Unreachable)
        },
        Handshake {
            wait_us: None,
            synack_seen: true,
            ..failed(Outcome::Aborted)
        },
        Handshake {
            capture_loss: true,
            ..failed(Outcome::Unanswered)
        },
        failed(Outcome::TimedOut),
    ];
    assert_eq!(
        handshakes(TimeStyle::Utc, false, &records),
        include_str!("text/handshakes.txt")
    );
}

#[test]
fn colour_marks_outcomes() {
    let refused = Handshake {
        outcome: Outcome::Refused,
        ..sample::handshake(0)
    };
    let text = handshakes(TimeStyle::Epoch, true, &[sample::handshake(0), refused]);
    assert!(text.contains("\x1b[32mestablished\x1b[0m"), "{text}");
    assert!(text.contains("\x1b[31mrefused\x1b[0m"), "{text}");
}

#[test]
fn connections_show_both_directions_and_where_segments_were_lost() {
    let records = [
        sample::connection(0),
        Connection {
            close: Close::RstByServer,
            capture_loss: true,
            duration_us: Some(Span::from_ns(7_500 * SECOND as u64)),
            client: Sent {
                retransmits: 5,
                dsacks: 2,
                fills: 4,
                fills_lost: 1,
                ..sample::connection(1).client
            },
            server: Sent {
                bytes: 3 << 30,
                segments: 1_234_567,
                zero_windows: 2,
                zero_window_us: Span::from_ns(1_200_000_000),
                ..sample::connection(1).server
            },
            ..sample::connection(1)
        },
        Connection {
            client_ip: ip("2001:db8::1"),
            server_ip: ip("2001:db8::2"),
            close: Close::Open,
            part: Some(3),
            duration_us: None,
            handshake: Some(HandshakeOutcome::Missed),
            client: Sent::default(),
            server: Sent::default(),
            ..sample::connection(2)
        },
        Connection {
            close: Close::Failed,
            handshake: None,
            ..sample::connection(3)
        },
    ];
    assert_eq!(connections(&records), include_str!("text/connections.txt"));
}
