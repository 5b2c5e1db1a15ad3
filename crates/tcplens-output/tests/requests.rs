//! Requests as people and other programs see them: lines, summary, histogram, tcpkit's statistics, TCP-RT's lines.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../examples/sample/mod.rs"]
mod sample;

#[path = "../../tcplens-core/tests/view_records/requests.rs"]
mod requests;

/// What the records of requests are made with.
mod view_records {
    use tcplens_core::time::{SECOND, Span, Timestamp};

    /// 2026-11-21T01:08:00Z.
    pub(crate) const START: Timestamp = Timestamp(1_795_223_280 * SECOND);

    pub(crate) fn ms(ms: u64) -> Option<Span> {
        Some(Span::from_ns(ms * 1_000_000))
    }
}

use tcplens_core::record::*;
use tcplens_core::time::Span;
use tcplens_core::view::RequestSummary;
use tcplens_output::hosts::Hosts;
use tcplens_output::tcpkit::{TcpkitExtra, TcpkitShape, document};
use tcplens_output::tcprt::Tcprt;
use tcplens_output::text::{RequestColumn, RequestEnd, RequestText, histograms, summary};
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use requests::*;
use view_records::ms;

const REDIS: &str = "10.0.0.1";
const WEB: &str = "2001:db8::80";

/// One of each fate.
fn fates() -> Vec<Request<'static>> {
    let web = |n, server_ms| Request {
        client_ip: "2001:db8::7".parse().unwrap(),
        protocol: Protocol::Http,
        operation: Some("POST"),
        summary: Some("POST /pay | \\x1b[31m"),
        ..request(n, WEB, 443, server_ms)
    };
    vec![
        request(0, REDIS, 6379, 0),
        Request {
            total_us: Some(Span::from_ns(123_999)),
            operation: Some("BLPOP"),
            summary: None,
            queued: 2,
            ..request(1, REDIS, 6379, 30)
        },
        Request {
            status: Status::Error,
            status_text: Some("-ERR unknown command"),
            ..request(2, REDIS, 6379, 1)
        },
        Request {
            status: Status::Error,
            status_code: Some(404),
            status_text: Some("Not Found"),
            ..web(3, 250)
        },
        Request {
            status: Status::None,
            ..unanswered(EndedBy::Response, request(4, REDIS, 6379, 0))
        },
        unanswered(EndedBy::Reset, request(5, REDIS, 6379, 0)),
        unanswered(EndedBy::Gap, request(6, REDIS, 6379, 0)),
        unanswered(EndedBy::Observation, web(7, 0)),
        Request {
            protocol: Protocol::Turn,
            operation: Some("data"),
            summary: None,
            in_loss_us: ms(20_997),
            total_us: ms(21_001),
            verdict: Some(Verdict::Loss),
            retransmits: 4,
            ..request(8, REDIS, 5000, 0)
        },
        Request {
            total_us: None,
            ..request(9, REDIS, 5000, 0)
        },
    ]
}

fn lines(columns: &[RequestColumn], color: bool, requests: &[Request<'_>]) -> String {
    let time = TimeFormat::new(TimeStyle::Utc);
    let mut text = RequestText::new(time, columns.to_vec(), color);
    let mut out = Vec::new();
    for request in requests {
        text.encode(request, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn counted(slow_from: Option<Span>) -> RequestSummary {
    let mut summary = RequestSummary::new(slow_from);
    fates().iter().for_each(|request| summary.add(request));
    summary
}

#[test]
fn lines_have_tcpkits_shape_and_say_how_it_went() {
    let plain = lines(&[], false, &fates());
    let all = lines(RequestColumn::ALL, false, &fates());
    assert_eq!(
        format!("{plain}\n{all}"),
        include_str!("requests/lines.txt")
    );
}

#[test]
fn colour_marks_what_went_wrong_and_changes_nothing_else() {
    let colored = lines(&[], true, &fates());
    assert!(colored.contains("| \x1b[32m4.000 ms\x1b[0m |"), "{colored}");
    assert!(
        colored.contains("| \x1b[31munanswered (reset)\x1b[0m |"),
        "{colored}"
    );
    let mut plain = colored;
    for sequence in ["\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"] {
        plain = plain.replace(sequence, "");
    }
    assert_eq!(plain, lines(&[], false, &fates()));
}

#[test]
fn what_comes_from_the_network_cannot_move_a_cursor() {
    let hostile = Request {
        summary: Some("a\x1b[2Jb\nc"),
        ..request(0, REDIS, 6379, 0)
    };
    assert!(lines(&[], false, &[hostile]).ends_with("| a?[2Jb?c\n"));
}

#[test]
fn the_summary_counts_and_the_histogram_has_tcpkits_buckets() {
    let end = RequestEnd {
        unparsed: &[("redis bad_length".to_owned(), 3)],
        holes: 2,
        ..RequestEnd::default()
    };
    let counted = counted(ms(100));
    let mut out = Vec::new();
    summary(&counted, &end, &mut out);
    histograms(&counted, &Hosts::default(), false, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, include_str!("requests/summary.txt"));
    let bars = text.lines().filter(|line| line.contains(" % "));
    assert!(bars.clone().count() > 0);
    assert_eq!(bars.filter(|line| line.chars().count() > 80).count(), 0);
}

#[test]
fn without_requests_the_summary_says_so() {
    let mut out = Vec::new();
    summary(&RequestSummary::default(), &RequestEnd::default(), &mut out);
    histograms(
        &RequestSummary::default(),
        &Hosts::default(),
        false,
        &mut out,
    );
    assert_eq!(out, b"no requests\n");
}

#[test]
fn tcpkits_statistics_have_its_three_shapes_and_named_ports_without_requests() {
    let extra = TcpkitExtra {
        ports: vec![(6379, 6379), (6380, 6380), (8000, 8100)],
        drops: None,
        packets: Some([4076, 4048]),
        since: None,
    };
    let while_it_runs = TcpkitExtra {
        since: Some(view_records::START),
        drops: Some(0),
        ..extra.clone()
    };
    let documents: Vec<_> = [extra, while_it_runs]
        .iter()
        .flat_map(|extra| {
            [
                TcpkitShape::Tcpkit0,
                TcpkitShape::Tcpkit1,
                TcpkitShape::Tcpkit,
            ]
            .map(|shape| document(&counted(ms(100)), shape, extra))
        })
        .collect();
    for document in &documents {
        serde_json::from_str::<serde_json::Value>(document).unwrap();
    }
    assert_eq!(
        documents.join("\n") + "\n",
        include_str!("requests/tcpkit.txt")
    );
    let mut redis = RequestSummary::new(None);
    redis.add(&request(0, REDIS, 6379, 0));
    let alone = document(&redis, TcpkitShape::Tcpkit1, &TcpkitExtra::default());
    assert!(
        alone.starts_with(
            r#"{"type":"redis","drops":null,"in_packets":null,"out_packets":null,"in_bytes":31,"out_bytes":500,"#
        ),
        "{alone}"
    );
}

#[test]
fn summaries_add_up_in_any_order() {
    let fates = fates();
    let of = |requests: &[Request<'_>]| {
        let mut summary = RequestSummary::new(ms(100));
        requests.iter().for_each(|request| summary.add(request));
        summary
    };
    let (left, right) = fates.split_at(4);
    let mut merged = of(right);
    merged.merge(&of(left));
    assert_eq!(merged, of(&fates));
}

#[test]
fn tcprt_has_a_line_per_task_and_one_for_the_end_of_the_connection() {
    let mut tcprt = Tcprt::new(vec![(5432, 5433)], true);
    let mut out = String::new();
    let id = request(0, REDIS, 6379, 0).connection_id;
    tcprt.handshake(&Handshake {
        connection_id: id,
        ..sample::handshake(0)
    });
    let cut = |response_bytes| Request {
        response_bytes,
        process_us: ms(7),
        ..unanswered(EndedBy::Reset, request(3, REDIS, 6379, 0))
    };
    let ending = |connection_id| Connection {
        time: at(0),
        connection_id,
        duration_us: ms(9_000),
        client_ip: "192.0.2.7".parse().unwrap(),
        server_ip: REDIS.parse().unwrap(),
        client_port: 40_000,
        server_port: 6379,
        ..sample::connection(0)
    };
    for request in [
        request(0, REDIS, 6379, 0),
        Request {
            delivered_us: None,
            reordered: true,
            ..request(1, REDIS, 6379, 0)
        },
        Request {
            protocol: Protocol::Http,
            client_rtt_us: None,
            server_rtt_us: None,
            ..request(2, WEB, 80, 0)
        },
        Request {
            protocol: Protocol::Tls,
            ..request(2, WEB, 443, 0)
        },
        cut(0),
    ] {
        tcprt.request(&request, &mut out);
    }
    tcprt.connection(&ending(id), &mut out);
    let other = |flow| ConnectionId::Packets {
        first: view_records::START,
        flow,
    };
    tcprt.request(
        &Request {
            connection_id: other(8),
            ..cut(200)
        },
        &mut out,
    );
    tcprt.connection(&ending(other(8)), &mut out);
    tcprt.request(
        &Request {
            connection_id: other(9),
            ..request(4, REDIS, 5432, 0)
        },
        &mut out,
    );
    tcprt.connection(
        &Connection {
            server_port: 5432,
            ..ending(other(9))
        },
        &mut out,
    );
    // Without a task there is no line.
    tcprt.connection(&ending(other(10)), &mut out);
    assert_eq!(out, include_str!("requests/tcprt.txt"));
}
