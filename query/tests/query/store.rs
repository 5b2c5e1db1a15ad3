//! A small store, of two hosts and two days, written as `tcplens --store` writes it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tcplens_core::record::{
    Close, Connection, ConnectionId, ConnectionRollup, Direction, EndedBy, Finding, Handshake,
    Health, Outcome, Protocol, Record, Request, RequestRollup, RoleFrom, Rollup, Sent, Side,
    Status, Suspect, Vantage, Verdict,
};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::wire::segment::Tunnel;
use tcplens_output::parquet::ParquetFile;
use tcplens_output::store::{FileName, StoreKind, date_text};

use crate::Place;

/// 2026-11-21.
pub(crate) const DAY: i64 = 20_778;
const DAY_NS: i64 = 86_400 * SECOND;

/// So many minutes after the beginning of that day.
pub(crate) fn minute(n: i64) -> Timestamp {
    Timestamp(DAY * DAY_NS + n * 60 * SECOND)
}

fn micros(us: u64) -> Span {
    Span::from_ns(us * 1000)
}

/// Writes a file of records of that host and day.
pub(crate) fn write<R: Record>(
    place: &Place,
    host: &str,
    day: i64,
    kind: StoreKind,
    records: &[R],
) -> PathBuf {
    let directory = place
        .path("store")
        .join(format!("kind={}", kind.word()))
        .join(format!("date={}", date_text(day)));
    fs::create_dir_all(&directory).unwrap();
    let name = FileName::new(host, Timestamp(day * DAY_NS), 1);
    let path = directory.join(format!("{name}.parquet"));
    let mut file = ParquetFile::create_hosted::<R>(File::create(&path).unwrap(), host).unwrap();
    for record in records {
        file.push(record).unwrap();
    }
    file.finish().unwrap();
    path
}

pub(crate) fn rollup(at: Timestamp, server: &str, port: u64) -> Rollup {
    Rollup {
        time: at,
        vantage: Vantage::Wire,
        server_ip: Some(server.parse().unwrap()),
        server_port: Some(port),
        protocol: None,
        operation: None,
        capture_losses: 0,
        requests: None,
        connections: None,
    }
}

fn gets(at: Timestamp, errors: u64, ns: &[u64], counts: &[u64]) -> Rollup {
    let requests: u64 = counts.iter().sum();
    let sum: u64 = ns.iter().zip(counts).map(|(ns, n)| ns * n).sum();
    Rollup {
        protocol: Some(Protocol::Redis),
        operation: Some("GET".to_owned()),
        requests: Some(Box::new(RequestRollup {
            requests: Some(requests),
            answered: Some(requests),
            errors: Some(errors),
            unanswered: Some(0),
            request_bytes: Some(10 * requests),
            response_bytes: Some(100 * requests),
            total_sum_us: Some(Span::from_ns(sum)),
            budgets: Some(requests),
            in_client_sum_us: Some(Span::from_ns(0)),
            in_queue_sum_us: Some(Span::from_ns(0)),
            in_server_sum_us: Some(Span::from_ns(sum - 500_000)),
            in_network_sum_us: Some(Span::from_ns(500_000)),
            in_loss_sum_us: Some(Span::from_ns(0)),
            in_window_sum_us: Some(Span::from_ns(0)),
            in_transfer_sum_us: Some(Span::from_ns(0)),
            total_ns: ns.to_vec(),
            total_counts: counts.to_vec(),
            ..RequestRollup::default()
        })),
        ..rollup(at, "10.0.0.1", 6379)
    }
}

pub(crate) fn request(
    at: Timestamp,
    server: &str,
    operation: &'static str,
    total: Option<u64>,
) -> Request<'static> {
    let total = total.map(micros);
    Request {
        time: at,
        vantage: Vantage::Wire,
        connection_id: ConnectionId::Packets { first: at, flow: 7 },
        client_ip: "10.9.0.1".parse().unwrap(),
        client_port: 40_000,
        server_ip: server.parse().unwrap(),
        server_port: 6379,
        role_from: RoleFrom::Syn,
        direction: Some(Direction::Inbound),
        tap_side: Side::Server,
        vlan: None,
        tunnel: Tunnel::None,
        capture_loss: false,
        protocol: Protocol::Redis,
        operation: Some(operation),
        summary: Some("it's, \"odd\""),
        status: if total.is_some() {
            Status::Ok
        } else {
            Status::Unanswered
        },
        status_code: None,
        status_text: None,
        ended_by: EndedBy::Response,
        request_bytes: 10,
        response_bytes: 100,
        upload_us: Some(micros(1)),
        process_us: total,
        transfer_us: Some(micros(1)),
        total_us: total,
        delivered_us: None,
        queued: 0,
        task: 1,
        retransmits: 0,
        reordered: false,
        cut: false,
        gap: false,
        early: false,
        client_rtt_us: None,
        server_rtt_us: None,
        in_client_us: None,
        in_queue_us: None,
        in_server_us: total,
        in_network_us: None,
        in_loss_us: None,
        in_window_us: None,
        in_transfer_us: None,
        verdict: total.map(|_| Verdict::Server),
        request_frame: None,
        response_frame: None,
        window_limit_bytes: None,
        owner: None,
        path: None,
        marks: None,
        answers: None,
    }
}

fn handshake(at: Timestamp, outcome: Outcome, client: &str) -> Handshake {
    let is_open = outcome == Outcome::Established;
    Handshake {
        time: at,
        vantage: Vantage::Wire,
        connection_id: ConnectionId::Packets { first: at, flow: 8 },
        client_ip: client.parse().unwrap(),
        client_port: 40_000,
        server_ip: "10.0.0.1".parse().unwrap(),
        server_port: 6379,
        role_from: RoleFrom::Syn,
        direction: Some(Direction::Inbound),
        tap_side: Side::Server,
        vlan: None,
        tunnel: Tunnel::None,
        first_frame: None,
        last_frame: None,
        capture_loss: false,
        outcome,
        handshake_us: is_open.then(|| micros(200)),
        syn_to_synack_us: None,
        first_syn_to_synack_us: None,
        synack_to_ack_us: None,
        wait_us: Some(micros(if is_open { 200 } else { 50 })),
        syn_retransmits: 1,
        synack_retransmits: 0,
        synack_seen: is_open,
        rst_acceptable: None,
        icmp_type: None,
        icmp_code: None,
        icmp_from: None,
        error: (!is_open).then_some("ECONNREFUSED"),
        client_mss: None,
        server_mss: None,
        client_wscale: None,
        server_wscale: None,
        sack: None,
        timestamps: None,
        ecn: None,
        fast_open: None,
        mptcp: None,
        owner: None,
    }
}

fn connection(at: Timestamp, is_final: bool, retransmits: u64) -> Connection {
    let sent = |data_segments, retransmits, rtt| Sent {
        data_segments,
        retransmits,
        rtt_min_us: Some(micros(rtt)),
        rtt_max_us: Some(micros(rtt + 5)),
        rtt_samples: 1,
        ..Sent::default()
    };
    Connection {
        time: at,
        vantage: Vantage::Wire,
        connection_id: ConnectionId::Packets { first: at, flow: 9 },
        client_ip: "10.9.0.1".parse().unwrap(),
        client_port: 40_000,
        server_ip: "10.0.0.1".parse().unwrap(),
        server_port: 6379,
        role_from: RoleFrom::Syn,
        direction: Some(Direction::Inbound),
        tap_side: Side::Server,
        vlan: None,
        tunnel: Tunnel::None,
        first_frame: None,
        last_frame: None,
        capture_loss: false,
        duration_us: Some(micros(1_000_000)),
        handshake: None,
        late: false,
        close: if is_final { Close::Fin } else { Close::Open },
        part: None,
        is_final,
        protocol: Some(Protocol::Redis),
        requests: Some(4),
        duplicates: 0,
        client: sent(20, 0, 300),
        server: sent(30, retransmits, 10),
        first_fin: None,
        last_fin: None,
        owner: None,
        path: None,
    }
}

fn health(at: Timestamp, packets: u64) -> Health {
    Health {
        time: Some(at),
        packets,
        tcp_segments: packets,
        kernel_drops: Some(3),
        connections: 1,
        limit_hits: vec![("holes", 2)],
        cpu_us: Some(micros(1500)),
        peak_rss_bytes: Some(64 << 20),
        ..Health::new(Vantage::Wire)
    }
}

/// Host `web-1` on both days; host `db 2`, whose name is none of a file, on the first.
pub(crate) fn fill(place: &Place) {
    let refused = Rollup {
        connections: Some(Box::new(ConnectionRollup {
            attempts: Some(5),
            established: Some(4),
            failed: Some(1),
            refused: Some(1),
            silent: Some(0),
            syn_retransmits: Some(2),
            ended: Some(4),
            resets: Some(0),
            client_bytes: Some(70),
            server_bytes: Some(700),
            data_segments: Some(100),
            repeated_segments: Some(3),
            zero_windows: Some(0),
            rtt_sum_us: Some(micros(600)),
            rtt_samples: Some(4),
            ..ConnectionRollup::default()
        })),
        ..rollup(minute(60), "10.0.0.1", 6379)
    };
    let first = [
        refused,
        gets(minute(60), 1, &[1_000_000, 3_000_000], &[3, 1]),
        gets(minute(61), 0, &[3_000_000, 9_000_000], &[1, 1]),
    ];
    write(place, "web-1", DAY, StoreKind::Rollup, &first);
    write(
        place,
        "web-1",
        DAY + 1,
        StoreKind::Rollup,
        &[gets(minute(1440), 0, &[2_000_000], &[1])],
    );
    let unanswered = Rollup {
        protocol: Some(Protocol::Mysql),
        requests: Some(Box::new(RequestRollup {
            requests: Some(1),
            answered: Some(0),
            errors: Some(0),
            unanswered: Some(1),
            ..RequestRollup::default()
        })),
        ..rollup(minute(60), "10.0.0.2", 3306)
    };
    write(place, "db 2", DAY, StoreKind::Rollup, &[unanswered]);

    let at = |n: i64| minute(60).plus(n * SECOND + 123_456_789);
    let error = |n| Request {
        status: Status::Error,
        status_text: Some("WRONGTYPE"),
        client_ip: format!("10.9.0.{n}").parse().unwrap(),
        ..request(at(n), "10.0.0.1", "LPUSH", Some(50))
    };
    let requests = [
        request(at(0), "10.0.0.1", "GET", Some(900)),
        request(at(1), "10.0.0.1", "GET", Some(3000)),
        error(2),
        error(3),
    ];
    write(place, "web-1", DAY, StoreKind::Request, &requests);
    write(
        place,
        "web-1",
        DAY + 1,
        StoreKind::Request,
        &[request(minute(1441), "10.0.0.1", "GET", Some(2000))],
    );
    write(
        place,
        "db 2",
        DAY,
        StoreKind::Request,
        &[request(at(5), "10.0.0.2", "SET", None)],
    );

    let handshakes = [
        handshake(at(0), Outcome::Established, "10.9.0.1"),
        handshake(at(1), Outcome::Refused, "10.9.0.1"),
        handshake(at(2), Outcome::Refused, "10.9.0.2"),
    ];
    write(place, "web-1", DAY, StoreKind::Handshake, &handshakes);
    let connections = [
        connection(at(0), false, 1),
        connection(at(0), true, 2),
        connection(at(9), true, 0),
    ];
    write(place, "web-1", DAY, StoreKind::Connection, &connections);
    let healths = [health(at(10), 50), health(at(70), 90)];
    write(place, "web-1", DAY, StoreKind::Health, &healths);
    let finding = Finding {
        time: Some(minute(60)),
        text: Some("1 attempt was refused.".to_owned()),
        frames: vec![3, 9],
        ..Finding::new(1, "refused", 1, Suspect::Server)
    };
    write(place, "web-1", DAY, StoreKind::Finding, &[finding]);
}

/// Cuts a file's end off.
pub(crate) fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 20]).unwrap();
}
