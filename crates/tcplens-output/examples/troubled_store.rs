//! A small store with known trouble, for whoever tries the fleet page (dev/page-test, docs/fleet-page.md): four hosts and five servers
//! from 2026-11-21 00:00 to 06:00 UTC. Made by hand, not observed.
//!
//! Trouble: mysql is slow from 03:00 to 03:40; http fails from 04:10 to 04:25; web-3 loses segments from 02:00 to 02:20; nobody
//! listens at 10.0.0.60:9092 from 05:00 on; and one operation and one host are named like markup.
//!
//! ```text
//! cargo run -p tcplens-output --example troubled_store -- DIR [HOURS]
//! ```
#![expect(clippy::unwrap_used, reason = "an example may fail so")]

use std::path::Path;

use tcplens_core::record::*;
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_output::Jsonl;
use tcplens_output::store::{Keep, StoreKind, StoreRecord, StoreSettings, StoreSink, StoreWriter};

#[path = "../../tcplens-core/tests/view_records/mod.rs"]
#[expect(dead_code, reason = "an example needs a few of them")]
mod view_records;
#[path = "../../tcplens-core/tests/view_records/requests.rs"]
#[expect(dead_code, reason = "likewise")]
mod view_requests;

/// 2026-11-21T00:00:00Z.
const START: Timestamp = Timestamp(1_795_219_200 * SECOND);
const MINUTE: i64 = 60 * SECOND;
const HOSTS: [&str; 4] = ["web-1", "web-2", "web-3", "<i>host</i>"];
const MARKUP: &str = "<img src=x onerror=alert(1)>";

/// Address and port, protocol, operations with their usual ms.
type Server = (&'static str, u64, Protocol, &'static [(&'static str, f64)]);
const SERVERS: [Server; 4] = [
    (
        "10.0.0.20",
        6379,
        Protocol::Redis,
        &[("GET", 0.4), ("SET", 0.5), ("HGETALL", 2.0)],
    ),
    (
        "10.0.0.30",
        3306,
        Protocol::Mysql,
        &[("SELECT", 6.0), ("UPDATE", 14.0), ("login", 9.0)],
    ),
    (
        "10.0.0.40",
        8080,
        Protocol::Http,
        &[("GET", 18.0), ("POST", 35.0), (MARKUP, 50.0)],
    ),
    ("2001:db8::50", 443, Protocol::Tls, &[("handshake", 28.0)]),
];

fn main() {
    let mut words = std::env::args().skip(1);
    let place = words.next().expect("a directory to write to");
    let hours = words.next().map_or(6, |hours| hours.parse().unwrap());
    for (n, host) in HOSTS.iter().enumerate() {
        one_host(Path::new(&place), n, host, hours * 60);
    }
    println!("{place}: {hours} hours of {} hosts", HOSTS.len());
}

struct Made {
    store: StoreWriter,
    rollups: Rollups,
    random: u64,
}

impl Made {
    /// 0 to 1, always the same ones.
    fn chance(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Heavy-tailed around 1.
    fn spread(&mut self) -> f64 {
        let chance = self.chance();
        0.6 + 0.25 / (1.0 - chance * 0.9985)
    }

    fn keep<R: Record>(&mut self, kind: StoreKind, record: &R) {
        let mut jsonl = Jsonl::new();
        jsonl.encode(record);
        let line = StoreRecord::Line(kind, jsonl.bytes());
        self.store.write(line, START).unwrap();
    }
}

fn one_host(place: &Path, n: usize, host: &str, minutes: i64) {
    let settings = StoreSettings {
        host: host.to_owned(),
        start: START.plus(n as i64),
        is_live: false,
        interval: Span::from_ns(300 * 1_000_000_000),
        keep: None,
        keep_rollups: Keep::parse_days("400d").unwrap(),
    };
    let mut made = Made {
        store: StoreWriter::open(place, settings).unwrap(),
        rollups: Rollups::default(),
        random: n as u64 + 1,
    };
    for minute in 0..minutes {
        for server in &SERVERS {
            requests(&mut made, n, minute, server);
            connections(&mut made, n, minute, server);
        }
        if minute >= 300 {
            for second in 0..4 {
                attempt(&mut made, n, minute, ("10.0.0.60", 9092), second, true);
            }
        }
        let mut all = Vec::new();
        let done = START.plus((minute + 1) * MINUTE);
        made.rollups
            .take_until(done, &mut |rollup| all.push(rollup));
        all.iter()
            .for_each(|rollup| made.keep(StoreKind::Rollup, rollup));
    }
    let mut all = Vec::new();
    made.rollups
        .take_until(Timestamp::MAX, &mut |rollup| all.push(rollup));
    all.iter()
        .for_each(|rollup| made.keep(StoreKind::Rollup, rollup));
    if n == 0 {
        findings()
            .iter()
            .for_each(|finding| made.keep(StoreKind::Finding, finding));
    }
    made.store.finish().unwrap();
}

fn requests(made: &mut Made, n: usize, minute: i64, (ip, port, protocol, operations): &Server) {
    let load = 1.0 + 0.5 * (minute as f64 / 60.0).sin();
    for (operation, usual) in *operations {
        let many = (load * 4.0 * (0.5 + made.chance())) as u64 + u64::from(*operation == "GET") * 6;
        for task in 0..many {
            let is_slow = *port == 3306 && (180..220).contains(&minute);
            let has_failed = *port == 8080 && (250..265).contains(&minute) && made.chance() < 0.4;
            let is_lossy = n == 2 && (120..140).contains(&minute) && made.chance() < 0.3;
            let ms = usual * made.spread() * if is_slow { 12.0 } else { 1.0 };
            let ns = (ms * 1e6) as u64;
            let lost = if is_lossy { 220_000_000 } else { 0 };
            let span = |ns: u64| Some(Span::from_ns(ns));
            let time = START.plus(minute * MINUTE + (made.chance() * 6e10) as i64);
            let base = view_requests::request(task, ip, *port, 1);
            let request = Request {
                time,
                vantage: Vantage::Wire,
                connection_id: ConnectionId::Packets {
                    first: time,
                    flow: n as u32,
                },
                client_ip: format!("10.1.0.{}", n + 1).parse().unwrap(),
                protocol: *protocol,
                operation: Some(operation),
                summary: Some(operation),
                status: if has_failed {
                    Status::Error
                } else {
                    Status::Ok
                },
                status_text: has_failed.then_some("503 Service Unavailable"),
                upload_us: span(50_000),
                process_us: span(ns + lost),
                transfer_us: span(100_000),
                total_us: span(ns + lost + 150_000),
                delivered_us: None,
                retransmits: u64::from(is_lossy),
                in_client_us: span(50_000),
                in_queue_us: span(0),
                in_server_us: span(ns * 9 / 10),
                in_network_us: span(ns - ns * 9 / 10),
                in_loss_us: span(lost),
                in_window_us: span(0),
                in_transfer_us: span(100_000),
                verdict: Some(if is_lossy {
                    Verdict::Loss
                } else {
                    Verdict::Server
                }),
                request_frame: None,
                response_frame: None,
                ..base
            };
            let done = time.plus((ns + lost) as i64);
            made.rollups.request(&request, done);
            // Records are sampled, for the sake of whoever waits for this.
            if task % 8 == 0 || is_lossy || has_failed {
                made.keep(StoreKind::Request, &request);
            }
        }
    }
}

fn attempt(
    made: &mut Made,
    n: usize,
    minute: i64,
    (ip, port): (&str, u64),
    second: i64,
    fails: bool,
) -> Handshake {
    let time = START.plus(minute * MINUTE + second * SECOND + (made.chance() * 1e9) as i64);
    let connect = (made.spread() * 400_000.0) as u64;
    let handshake = Handshake {
        time,
        vantage: Vantage::Wire,
        connection_id: ConnectionId::Packets {
            first: time,
            flow: n as u32,
        },
        first_frame: None,
        last_frame: None,
        handshake_us: Some(Span::from_ns(connect)),
        ..view_records::handshake(second, &format!("10.1.0.{}", n + 1), ip, port)
    };
    let handshake = match fails {
        true => view_records::failed(Outcome::Refused, 1, handshake),
        false => handshake,
    };
    made.rollups
        .handshake(&handshake, time.plus(connect as i64));
    made.keep(StoreKind::Handshake, &handshake);
    handshake
}

fn connections(made: &mut Made, n: usize, minute: i64, (ip, port, protocol, _): &Server) {
    let handshake = attempt(made, n, minute, (*ip, *port), 7, false);
    let is_lossy = n == 2 && (120..140).contains(&minute);
    let mut connection = Connection {
        vantage: Vantage::Wire,
        time: handshake.time,
        connection_id: handshake.connection_id,
        first_frame: None,
        last_frame: None,
        protocol: Some(*protocol),
        ..view_records::connection(7, &format!("10.1.0.{}", n + 1), ip, *port)
    };
    connection.client.retransmits = if is_lossy { 9 } else { 0 };
    connection.server.retransmits = if is_lossy {
        14
    } else {
        u64::from(minute % 37 == 0)
    };
    if minute % 53 == 0 {
        connection.close = Close::RstByServer;
    }
    made.rollups
        .connection(&connection, handshake.time.plus(SECOND));
    made.keep(StoreKind::Connection, &connection);
}

/// What a watch over these would have found.
fn findings() -> [Finding; 4] {
    let at = |minute: i64| Some(START.plus(minute * MINUTE));
    let of = |rank, code, harm, suspect, text: &str| Finding {
        text: Some(text.to_owned()),
        ..Finding::new(rank, code, harm, suspect)
    };
    [
        Finding {
            time: at(301),
            server_ip: "10.0.0.60".parse().ok(),
            server_port: Some(9092),
            metric: Some("failed"),
            evidence: Some("all of 24 attempts a minute were refused; usual: none".into()),
            ..of(
                1,
                "abnormal",
                1440,
                Suspect::Server,
                "10.0.0.60:9092 refuses every connection",
            )
        },
        Finding {
            time: at(181),
            until: at(220),
            server_ip: "10.0.0.30".parse().ok(),
            server_port: Some(3306),
            protocol: Some(Protocol::Mysql),
            metric: Some("process"),
            component: Some("rack=r17".into()),
            p_value: Some("1.2e-9".into()),
            evidence: Some("median 74 ms a minute; usual: 5.1 to 8.8 ms at this hour".into()),
            ..of(
                2,
                "abnormal",
                9000,
                Suspect::Server,
                "10.0.0.30:3306 takes 12 times as long as usual",
            )
        },
        Finding {
            time: at(250),
            until: at(265),
            server_ip: "10.0.0.40".parse().ok(),
            server_port: Some(8080),
            protocol: Some(Protocol::Http),
            operation: Some(MARKUP.into()),
            metric: Some("errors"),
            evidence: Some("39 % of requests failed; usual: below 0.1 %".into()),
            ..of(
                3,
                "abnormal",
                700,
                Suspect::Server,
                "10.0.0.40:8080 answers with errors: <script>alert(2)</script>",
            )
        },
        Finding {
            time: at(120),
            until: at(140),
            metric: Some("retransmits"),
            component: Some("host=web-3".into()),
            evidence: Some("11.5 % of segments were repeated; usual: 0.1 %".into()),
            ..of(
                4,
                "abnormal",
                240,
                Suspect::Network,
                "the path of web-3 loses segments",
            )
        },
    ]
}
