//! Destinations made up for tests: the same in every run.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Close, ConnectionId, GroupBy, Peer, Protocol, Status, Vantage};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Series;
use tcplens_core::view::top::{
    ConnectionLine, Detail, RequestLine, RowKey, TopQuery, TopSnapshot, share_of,
};
use tcplens_output::values::{Value, Values, position};

/// When it is: 2026-11-22T01:08:22Z.
pub(super) const AT: Timestamp = Timestamp(1_795_309_702 * SECOND);
const MS: u64 = 1_000_000;

use crate::answer::tests::{made_requests, records as view_records};

/// Numbers that look random.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

fn span(ns: u64) -> Option<Span> {
    Some(Span::from_ns(ns))
}

/// A destination without anything.
pub(super) fn nothing(by: GroupBy) -> Peer {
    Peer {
        time: AT.plus(-60 * SECOND),
        vantage: Vantage::File,
        window_us: span(60_000 * MS),
        by,
        is_sum: false,
        ip: None,
        port: None,
        pid: None,
        comm: None,
        container_id: None,
        attempts: 0,
        syn_acks: 0,
        established: 0,
        failed: 0,
        refused: 0,
        silent: 0,
        syn_retransmits: 0,
        pending: None,
        connections: 0,
        open: 0,
        resets: 0,
        fins_out: 0,
        fins_in: 0,
        connect_p50_us: None,
        connect_p95_us: None,
        connect_p99_us: None,
        requests: 0,
        responses: 0,
        errors: 0,
        unanswered: 0,
        request_p50_us: None,
        request_p95_us: None,
        request_p99_us: None,
        request_max_us: None,
        process_p50_us: None,
        process_p95_us: None,
        process_p99_us: None,
        reuse_p95: None,
        open_reuse_p95: None,
        bytes_out: 0,
        bytes_in: 0,
        data_segments: Some(0),
        retransmits: 0,
        reordered: Some(0),
        zero_windows: Some(0),
        rtt_min_us: None,
        rtt_mean_us: None,
        capture_losses: 0,
        missing_bytes: Some(0),
    }
}

/// Some destination.
fn peer(n: u64) -> (RowKey, Peer) {
    let mut random = Lcg(n.wrapping_add(1).wrapping_mul(0x9e37_79b9));
    let ip = IpAddr::V4(Ipv4Addr::from(0x0a4d_0001 + u32::try_from(n).unwrap()));
    let port = [80, 6379, 5432, 443, 11211][usize::try_from(n % 5).unwrap()];
    let attempts = random.below(400);
    let failed = if n % 7 == 3 { attempts / 4 } else { 0 };
    let requests = if n % 11 == 10 {
        0
    } else {
        random.below(20_000)
    };
    let is_slow = n % 6 == 1;
    let connect = (random.below(3_000) + 80) * 1000 * if n % 9 == 4 { 20 } else { 1 };
    let took = (random.below(30_000) + 200) * 1000 * if is_slow { 9 } else { 1 };
    let some = |is_some: bool, ns: u64| span(ns).filter(|_| is_some);
    let peer = Peer {
        ip: Some(ip),
        port: Some(port),
        attempts,
        syn_acks: attempts - failed,
        established: attempts - failed,
        failed,
        refused: failed / 2,
        silent: failed - failed / 2,
        syn_retransmits: failed,
        connections: attempts - failed,
        open: random.below(30),
        resets: failed / 2 + random.below(3),
        fins_out: (attempts - failed) / 3,
        fins_in: (attempts - failed) / 2,
        connect_p50_us: some(attempts > failed, connect / 3),
        connect_p95_us: some(attempts > failed, connect),
        connect_p99_us: some(attempts > failed, connect * 2),
        requests,
        responses: requests - requests / 1000,
        errors: if n % 8 == 2 { requests / 40 } else { 0 },
        unanswered: if n % 13 == 5 { requests / 1000 } else { 0 },
        request_p50_us: some(requests > 0, took / 4),
        request_p95_us: some(requests > 0, took),
        request_p99_us: some(requests > 0, took * 2),
        request_max_us: some(requests > 0, took * 5),
        process_p50_us: some(requests > 0, took / 5),
        process_p95_us: some(requests > 0, took / 10 * 9),
        process_p99_us: some(requests > 0, took),
        reuse_p95: Some(requests / attempts.max(1)).filter(|reuse| *reuse > 0),
        bytes_out: requests * 180,
        bytes_in: requests * 4200,
        data_segments: Some(requests * 5),
        retransmits: if n % 5 == 3 {
            requests / 9
        } else {
            random.below(2)
        },
        rtt_min_us: some(attempts > failed, connect / 4),
        rtt_mean_us: some(attempts > failed, connect / 3),
        capture_losses: u64::from(n % 17 == 16) * 2,
        ..nothing(GroupBy::Server)
    };
    (RowKey::Server(ip, port), peer)
}

/// So many destinations.
pub(super) fn peers(count: u64) -> Vec<(RowKey, Peer)> {
    (0..count).map(peer).collect()
}

/// All together: what can be added is.
fn sum(rows: &[(RowKey, Peer)]) -> Peer {
    let mut all = nothing(GroupBy::Server);
    (all.is_sum, all.comm) = (true, Some("all".into()));
    for (_, peer) in rows {
        all.attempts += peer.attempts;
        all.syn_acks += peer.syn_acks;
        all.established += peer.established;
        all.failed += peer.failed;
        all.connections += peer.connections;
        all.resets += peer.resets;
        all.fins_out += peer.fins_out;
        all.fins_in += peer.fins_in;
        all.open += peer.open;
        all.requests += peer.requests;
        all.responses += peer.responses;
        all.errors += peer.errors;
        all.unanswered += peer.unanswered;
        all.bytes_out += peer.bytes_out;
        all.bytes_in += peer.bytes_in;
        all.retransmits += peer.retransmits;
        all.data_segments = all
            .data_segments
            .zip(peer.data_segments)
            .map(|(a, b)| a + b);
        all.request_p95_us = all.request_p95_us.max(peer.request_p50_us);
        all.connect_p95_us = all.connect_p95_us.max(peer.connect_p50_us);
        all.capture_losses += peer.capture_losses;
    }
    all
}

/// What one is told who asks so, of these.
pub(super) fn answer(all: &[(RowKey, Peer)], query: &TopQuery) -> TopSnapshot {
    let at = position::<Peer>(query.sort).unwrap();
    let mut values = Values::default();
    let mut rows: Vec<(Value, &(RowKey, Peer))> = all
        .iter()
        .filter(|(_, peer)| {
            query
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(peer))
        })
        .map(|row| {
            if query.by_share {
                let share = share_of(&row.1, query.sort);
                return (share.map_or(Value::Absent, Value::Count), row);
            }
            values.read(&row.1);
            (values.at(at).clone(), row)
        })
        .collect();
    rows.sort_by(|(a, a_row), (b, b_row)| {
        let by_value = if query.descending {
            b.order(a)
        } else {
            a.order(b)
        };
        let is_absent = |value: &Value| *value == Value::Absent;
        (is_absent(a).cmp(&is_absent(b)))
            .then(by_value)
            .then_with(|| a_row.0.cmp(&b_row.0))
    });
    let passing: Vec<(RowKey, Peer)> = rows.into_iter().map(|(_, row)| row.clone()).collect();
    let detail = query.detail.as_ref().and_then(|key| {
        let at = all.iter().position(|(known, _)| known == key)?;
        Some(detail(u64::try_from(at).unwrap()))
    });
    TopSnapshot {
        at: Some(AT),
        passing: passing.len(),
        known: all.len(),
        totals: sum(&passing),
        rows: passing
            .into_iter()
            .skip(query.skip)
            .take(query.rows)
            .collect(),
        others: None,
        detail,
    }
}

/// More of one: slow for the last of two minutes if its number says so.
pub(super) fn detail(n: u64) -> Detail {
    let (key, peer) = peer(n);
    let RowKey::Server(ip, port) = key else {
        unreachable!("made so")
    };
    let mut random = Lcg(n);
    let client = |n: u64| (IpAddr::V4(Ipv4Addr::new(10, 77, 0, 200)), 40_000 + n);
    let base = peer.request_p50_us.map_or(MS, Span::ns);
    let line = |n: u64, took: u64| {
        let part = |percent: u64| Span::from_ns(took / 100 * percent);
        RequestLine {
            id: ConnectionId::Packets {
                first: AT,
                flow: u32::try_from(n).unwrap(),
            },
            time: AT.plus(-i64::try_from(n).unwrap() * SECOND * 3),
            client: client(n),
            server: (ip, port),
            protocol: Protocol::Http,
            summary: Arc::from(format!("GET /items/{n}?größe=1")),
            status: if n % 4 == 3 {
                Status::Error
            } else {
                Status::Ok
            },
            took: Span::from_ns(took),
            budget: Some([
                part(1),
                part(0),
                part(90),
                part(2),
                part(0),
                part(0),
                part(7),
            ]),
            frame: Some(1000 + n),
        }
    };
    let slowest = (0..12).map(|n| line(n, base * (40 - n))).collect();
    let connections = (0..8).map(|n| ConnectionLine {
        id: ConnectionId::Packets {
            first: AT,
            flow: u32::try_from(n).unwrap(),
        },
        time: AT.plus(-i64::try_from(n).unwrap() * SECOND * 7),
        client: client(n),
        server: (ip, port),
        close: if n % 5 == 4 {
            Close::RstByServer
        } else {
            Close::Fin
        },
        duration: span((n + 1) * 800 * MS),
        protocol: Some(Protocol::Http),
        requests: Some(n * 3),
        bytes: [n * 700, n * 70_000],
        retransmits: [n % 2, n % 3],
        server_rtt: peer.rtt_mean_us,
        frame: Some(900 + n),
    });
    let connections = connections.collect();
    Detail {
        series: series(&mut random, base, peer.failed > 0),
        key: RowKey::Server(ip, port),
        peer,
        connections,
        slowest,
        remembered_from: None,
    }
}

fn series(random: &mut Lcg, base: u64, fails: bool) -> Series {
    let mut series = Series::default();
    for second in 0..120 {
        let at = AT.plus((second - 120) * SECOND);
        let slower = if second > 80 { 8 } else { 1 };
        for n in 0..random.below(6) + 1 {
            let took = base * slower + random.below(base);
            let mut request = made_requests::request(n, "10.77.0.1", 80, 1);
            (request.time, request.total_us) = (at, span(took));
            if fails && random.below(9) == 0 {
                request.status = Status::Unanswered;
            }
            series.request(&request);
        }
        if second % 4 == 0 {
            let mut handshake = view_records::handshake(0, "10.77.0.200", "10.77.0.1", 80);
            (handshake.time, handshake.handshake_us) = (at, span(base / 10 + random.below(base)));
            series.add(AnyRecord::Handshake(&handshake));
        }
    }
    series
}
