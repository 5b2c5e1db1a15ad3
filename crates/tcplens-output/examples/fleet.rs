//! Writes a store of plausible records of many hosts, for measuring: the same ones for the same seed, as `--store DIR` of so many
//! hosts would have left them. Not for claims about networks: what is in it is made up.
//!
//! `cargo run --release -p tcplens-output --example fleet -- --out DIR --records 5000000 --hosts 20 --days 2`
//!
//! Each host has three servers (redis, http, mysql), whose rate follows the hour; durations have heavy tails; on 1 host of 10 the
//! network loses, and 1 server of 20 refuses now and then. `--records` are requests; there is a connection and a handshake for
//! about 20 of them, and all rollups, unless `--kinds request,rollup,...` says otherwise. `--to clickhouse://USER@HOST:PORT/DB`
//! brings the same records there, each host's as its own run (`--out` then has what waits); repeated, hosts take turns.

use std::cell::RefCell;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Error as Failure};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tcplens_core::record::{
    Close, Connection, ConnectionId, Direction, EndedBy, Finding, Handshake, HandshakeOutcome,
    Health, Outcome, Protocol, Record, Request, RoleFrom, Rollup, Sent, Side, Status, Suspect,
    Vantage, Verdict,
};
use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_core::view::Rollups;
use tcplens_core::wire::segment::Tunnel;
use tcplens_output::clickhouse::{Server, Settings, Target, Writer};
use tcplens_output::parquet::ParquetFile;
use tcplens_output::store::{FileName, StoreKind, date_text};

const DAY: i64 = 86_400 * SECOND;
/// 2026-11-01.
const FIRST_DAY: i64 = 20_758;
/// Rows of a file, as a store's writer has them.
const FILE_ROWS: u64 = 1 << 20;
/// Requests of a connection, on average.
const PER_CONNECTION: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::from_words()?;
    let next = AtomicUsize::new(0);
    let work = plan.hosts * plan.days;
    let failed = thread::scope(|scope| {
        let threads = (0..plan.threads).map(|_| {
            scope.spawn(|| -> Result<(), String> {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= work {
                        return Ok(());
                    }
                    let (host, day) = (n % plan.hosts, n / plan.hosts);
                    host_day(&plan, host, day).map_err(|error| error.to_string())?;
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        let mut ends = threads.into_iter().map(|thread| thread.join());
        ends.find_map(|end| end.unwrap_or_else(|_| Err("a thread failed".into())).err())
    });
    match failed {
        Some(why) => Err(why.into()),
        None => Ok(()),
    }
}

struct Plan {
    out: PathBuf,
    records: u64,
    hosts: usize,
    days: usize,
    seed: u64,
    threads: usize,
    kinds: Vec<StoreKind>,
    to: Vec<Target>,
}

impl Plan {
    fn from_words() -> Result<Plan, Box<dyn Error>> {
        let mut plan = Plan {
            out: PathBuf::new(),
            records: 1_000_000,
            hosts: 20,
            days: 1,
            seed: 1,
            threads: thread::available_parallelism().map_or(1, usize::from),
            kinds: StoreKind::ALL.to_vec(),
            to: Vec::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(option) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--out" => plan.out = value.into(),
                "--records" => plan.records = value.parse()?,
                "--hosts" => plan.hosts = value.parse()?,
                "--days" => plan.days = value.parse()?,
                "--to" => plan.to.push(value.parse()?),
                "--seed" => plan.seed = value.parse()?,
                "--threads" => plan.threads = value.parse()?,
                "--kinds" => {
                    let kinds = value.split(',').map(StoreKind::of_word);
                    plan.kinds = kinds.collect::<Option<_>>().ok_or("no such kind")?;
                }
                _ => return Err(format!("{option} is not known").into()),
            }
        }
        if plan.out.as_os_str().is_empty() || plan.hosts == 0 || plan.days == 0 || plan.threads == 0
        {
            return Err("--out DIR is needed, and one host, day and thread at least".into());
        }
        Ok(plan)
    }

    /// Requests of one host and day: the remainder goes to the first ones.
    fn share(&self, n: usize) -> u64 {
        let parts = (self.hosts * self.days) as u64;
        self.records / parts + u64::from((n as u64) < self.records % parts)
    }
}

/// Numbers that look like chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// About normal: four uniform ones.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.share()).sum();
        (sum - 2.0) * 1.732
    }

    /// A duration of that median; one of 200 twenty times as long.
    fn span(&mut self, median_us: f64, spread: f64) -> u64 {
        let tail = if self.one_in(200) { 20.0 } else { 1.0 };
        (median_us * 1e3 * (spread * self.normal()).exp() * tail) as u64
    }
}

struct Service {
    protocol: Protocol,
    port: u64,
    /// Name, weight, median of `process_us`, words of the request.
    operations: &'static [(&'static str, u64, f64, &'static str)],
    error: (u64, Option<u64>, &'static str),
}

const SERVICES: [Service; 3] = [
    Service {
        protocol: Protocol::Redis,
        port: 6379,
        operations: &[
            ("GET", 60, 80.0, "GET user:"),
            ("SET", 20, 110.0, "SET user:"),
            ("HGETALL", 12, 300.0, "HGETALL cart:"),
            ("LRANGE", 5, 900.0, "LRANGE feed:"),
            ("KEYS", 3, 9000.0, "KEYS session:"),
        ],
        error: (
            500,
            None,
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    },
    Service {
        protocol: Protocol::Http,
        port: 8080,
        operations: &[
            ("GET", 70, 4000.0, "GET /item/"),
            ("POST", 20, 12_000.0, "POST /order/"),
            ("PUT", 10, 9000.0, "PUT /cart/"),
        ],
        error: (100, Some(503), "Service Unavailable"),
    },
    Service {
        protocol: Protocol::Mysql,
        port: 3306,
        operations: &[
            ("COM_QUERY", 60, 700.0, "SELECT * FROM items WHERE id = "),
            ("COM_STMT_EXECUTE", 40, 500.0, "EXECUTE "),
        ],
        error: (300, Some(1213), "Deadlock found when trying to get lock"),
    },
];

/// Files of a kind on their way.
struct Files<'a> {
    plan: &'a Plan,
    host: &'a str,
    day: i64,
    kind: StoreKind,
    number: u32,
    open: Option<ParquetFile<BufWriter<File>>>,
    to: Option<&'a RefCell<Writer>>,
}

impl<'a> Files<'a> {
    fn new(
        plan: &'a Plan,
        host: &'a str,
        day: i64,
        kind: StoreKind,
        to: Option<&'a RefCell<Writer>>,
    ) -> Files<'a> {
        Files {
            plan,
            host,
            day,
            kind,
            number: 0,
            open: None,
            to,
        }
    }

    fn push<R: Record>(&mut self, record: &R) -> io::Result<()> {
        if !self.plan.kinds.contains(&self.kind) {
            return Ok(());
        }
        if let Some(writer) = self.to {
            let mut writer = writer.borrow_mut();
            writer.write(record).map_err(Failure::other)?;
            return writer.tick(Instant::now()).map_err(Failure::other);
        }
        if self
            .open
            .as_ref()
            .is_some_and(|file| file.count() >= FILE_ROWS)
        {
            self.finish()?;
        }
        if self.open.is_none() {
            self.number += 1;
            let name = FileName::new(self.host, Timestamp(self.day * DAY), self.number);
            let path = place(&self.plan.out, self.kind, self.day);
            fs::create_dir_all(&path)?;
            let file = BufWriter::new(File::create(path.join(format!("{name}.parquet")))?);
            self.open = Some(ParquetFile::create_hosted::<R>(file, self.host)?);
        }
        match &mut self.open {
            Some(file) => file.push(record),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(file) = self.open.take() {
            file.finish()?
                .into_inner()
                .map_err(|error| error.into_error())?;
        }
        Ok(())
    }
}

fn place(out: &Path, kind: StoreKind, day: i64) -> PathBuf {
    out.join(format!("kind={}", kind.word()))
        .join(format!("date={}", date_text(day)))
}

/// What one host saw in one day.
fn host_day(plan: &Plan, host: usize, day: usize) -> io::Result<()> {
    let name = format!("host-{host:03}");
    let number = FIRST_DAY + day as i64;
    let mut chance = Chance(plan.seed ^ ((host as u64) << 40) ^ ((day as u64) << 20));
    let shard = host.checked_rem(plan.to.len());
    let writer = match shard.map(|shard| &plan.to[shard]) {
        Some(target) => Some(RefCell::new(remote(plan, target, &name, number)?)),
        None => None,
    };
    let files = |kind| Files::new(plan, &name, number, kind, writer.as_ref());
    let mut requests = files(StoreKind::Request);
    let mut connections = files(StoreKind::Connection);
    let mut handshakes = files(StoreKind::Handshake);
    let mut rolled = files(StoreKind::Rollup);
    let mut rollups = Rollups::default();
    let mut left = plan.share(day * plan.hosts + host);
    let all = left;
    let mut made = [0_u64; 3];
    let mut summary = String::new();
    while left > 0 {
        // So much of the day has gone by, with twice the rate at noon that midnight has.
        let share = (all - left) as f64 / all as f64;
        let at = number * DAY + (curve(share) * (DAY - 120 * SECOND) as f64) as i64;
        let visit = Visit::new(
            &mut chance,
            host,
            Timestamp(at + chance_ns(&mut Chance(left), SECOND)),
        );
        handshakes.push(&visit.handshake)?;
        rollups.handshake(&visit.handshake, visit.handshake.time);
        made[0] += 1;
        if visit.handshake.outcome == Outcome::Established {
            let count = (1 + chance.below(2 * PER_CONNECTION)).min(left);
            let mut connection = visit.connection();
            let mut at = visit.handshake.time.plus(SECOND / 1000);
            for task in 1..=count {
                let (request, took) = visit.request(&mut chance, at, task, &mut summary);
                connection.client.bytes += request.request_bytes;
                connection.server.bytes += request.response_bytes;
                connection.server.retransmits += request.retransmits;
                rollups.request(&request, at.plus(took));
                requests.push(&request)?;
                at = at.plus(took + chance_ns(&mut chance, SECOND));
            }
            visit.end(&mut connection, at, count);
            rollups.connection(&connection, at);
            connections.push(&connection)?;
            left -= count;
            made[1] += 1;
            made[2] += count;
        }
        let mut result = Ok(());
        rollups.take_until(
            Timestamp(visit.handshake.time.0 - 300 * SECOND),
            &mut |rollup: Rollup| {
                if result.is_ok() && rollup.time.0.div_euclid(DAY) == number {
                    result = rolled.push(&rollup);
                }
            },
        );
        result?;
    }
    let mut result = Ok(());
    rollups.take_until(Timestamp::MAX, &mut |rollup: Rollup| {
        if result.is_ok() && rollup.time.0.div_euclid(DAY) == number {
            result = rolled.push(&rollup);
        }
    });
    result?;
    let end = Timestamp((number + 1) * DAY - SECOND);
    let mut health = files(StoreKind::Health);
    health.push(&the_health(end, made, host))?;
    let mut findings = files(StoreKind::Finding);
    if host % 10 == 3 {
        findings.push(&the_finding(end, host))?;
    }
    for files in [
        &mut requests,
        &mut connections,
        &mut handshakes,
        &mut rolled,
        &mut health,
        &mut findings,
    ] {
        files.finish()?;
    }
    if let Some(writer) = writer {
        let told = writer.into_inner().finish(Duration::from_secs(60));
        let counts = told.map_err(Failure::other)?.counts;
        if counts.dropped > 0 {
            return Err(Failure::other(format!("{} are dropped", counts.dropped)));
        }
    }
    Ok(())
}

/// The way to a server, as a run of that host has it.
fn remote(plan: &Plan, target: &Target, host: &str, day: i64) -> io::Result<Writer> {
    let server = Server::new(target).map_err(Failure::other)?;
    let spool = plan.out.join(format!("spool-{host}-{day}"));
    let settings = Settings {
        // All wait rather than that one is dropped.
        is_live: false,
        ..Settings::new(server, host.into(), Timestamp(day * DAY), spool)
    };
    Writer::open(settings).map_err(Failure::other)
}

/// The share of the day at which so much of its traffic has come.
fn curve(share: f64) -> f64 {
    let turn = std::f64::consts::TAU;
    (share + (turn * share).sin() * 0.33 / turn).clamp(0.0, 1.0)
}

fn chance_ns(chance: &mut Chance, below: i64) -> i64 {
    (chance.share() * below as f64) as i64
}

/// A client that connects to a server of a host.
struct Visit {
    service: usize,
    host: usize,
    handshake: Handshake,
}

impl Visit {
    fn new(chance: &mut Chance, host: usize, at: Timestamp) -> Visit {
        let service = [0, 0, 0, 1, 1, 2][chance.below(6) as usize];
        let is_refused = host % 20 == 7 && service == 1 && chance.one_in(10);
        let is_silent = !is_refused && chance.one_in(500);
        let outcome = match (is_refused, is_silent) {
            (true, _) => Outcome::Refused,
            (_, true) => Outcome::TimedOut,
            _ => Outcome::Established,
        };
        let rtt = Span::from_ns(chance.span(200.0, 0.3));
        let is_open = outcome == Outcome::Established;
        let client = chance.below(4000) as u32;
        let handshake = Handshake {
            time: at,
            vantage: Vantage::Wire,
            connection_id: ConnectionId::Packets {
                first: at,
                flow: chance.next() as u32,
            },
            client_ip: IpAddr::V4(Ipv4Addr::from(0x0a09_0000 + client)),
            client_port: 32_768 + chance.below(28_000),
            server_ip: IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + host as u32)),
            server_port: SERVICES[service].port,
            role_from: RoleFrom::Syn,
            direction: Some(Direction::Inbound),
            tap_side: Side::Server,
            vlan: None,
            tunnel: Tunnel::None,
            first_frame: None,
            last_frame: None,
            capture_loss: false,
            outcome,
            handshake_us: is_open.then_some(rtt),
            syn_to_synack_us: is_open.then(|| Span::from_ns(20_000)),
            first_syn_to_synack_us: is_open.then(|| Span::from_ns(20_000)),
            synack_to_ack_us: is_open.then(|| Span::from_ns(rtt.ns().saturating_sub(20_000))),
            wait_us: Some(match outcome {
                Outcome::Established => rtt,
                Outcome::Refused => Span::from_ns(40_000),
                _ => Span::from_ns(60_000_000_000),
            }),
            syn_retransmits: if is_silent {
                5
            } else {
                u64::from(chance.one_in(300))
            },
            synack_retransmits: 0,
            synack_seen: is_open,
            rst_acceptable: is_refused.then_some(true),
            icmp_type: None,
            icmp_code: None,
            icmp_from: None,
            error: match outcome {
                Outcome::Refused => Some("ECONNREFUSED"),
                Outcome::Established => None,
                _ => Some("ETIMEDOUT"),
            },
            client_mss: Some(1460),
            server_mss: is_open.then_some(1460),
            client_wscale: Some(7),
            server_wscale: is_open.then_some(7),
            sack: is_open.then_some(true),
            timestamps: is_open.then_some(true),
            ecn: is_open.then_some(false),
            fast_open: Some(false),
            mptcp: is_open.then_some(false),
            owner: None,
        };
        Visit {
            service,
            host,
            handshake,
        }
    }

    /// A request that begins then, and how long it takes until it is over.
    fn request<'a>(
        &self,
        chance: &mut Chance,
        at: Timestamp,
        task: u64,
        summary: &'a mut String,
    ) -> (Request<'a>, i64) {
        let service = &SERVICES[self.service];
        let all: u64 = service.operations.iter().map(|operation| operation.1).sum();
        let mut drawn = chance.below(all);
        let mut chosen = &service.operations[0];
        for operation in service.operations {
            chosen = operation;
            if drawn < operation.1 {
                break;
            }
            drawn -= operation.1;
        }
        let (operation, _, median, words) = *chosen;
        summary.clear();
        summary.push_str(words);
        summary.push_str(&chance.below(50_000).to_string());
        // Some servers are slower than others.
        let slow = 1.0 + (self.host % 7) as f64 / 10.0;
        let process = chance.span(median * slow, 0.5);
        let (upload, transfer) = (chance.below(3000), chance.span(40.0, 0.8));
        let is_lossy = self.host % 10 == 3;
        let retransmits = u64::from(chance.one_in(if is_lossy { 60 } else { 2000 }));
        let in_loss = retransmits * 200_000_000;
        let (client, server) = (chance.span(180.0, 0.2), 8_000.min(process));
        let total = upload + process + transfer + in_loss;
        let is_lost = chance.one_in(4000);
        let is_error = !is_lost && chance.one_in(service.error.0);
        let budget = [upload, 0, process - server, server, in_loss, 0, transfer];
        let verdict = (0..7).max_by_key(|&n| (budget[n], 7 - n)).unwrap_or(0);
        let known = |ns: u64| (!is_lost).then(|| Span::from_ns(ns));
        let request = Request {
            time: at,
            vantage: Vantage::Wire,
            connection_id: self.handshake.connection_id,
            client_ip: self.handshake.client_ip,
            client_port: self.handshake.client_port,
            server_ip: self.handshake.server_ip,
            server_port: self.handshake.server_port,
            role_from: RoleFrom::Syn,
            direction: Some(Direction::Inbound),
            tap_side: Side::Server,
            vlan: None,
            tunnel: Tunnel::None,
            capture_loss: false,
            protocol: service.protocol,
            operation: Some(operation),
            summary: Some(summary.as_str()),
            status: match (is_lost, is_error) {
                (true, _) => Status::Unanswered,
                (_, true) => Status::Error,
                _ => Status::Ok,
            },
            status_code: match is_error {
                true => service.error.1,
                false if service.protocol == Protocol::Http && !is_lost => Some(200),
                false => None,
            },
            status_text: is_error.then_some(service.error.2),
            ended_by: if is_lost {
                EndedBy::ClientClose
            } else {
                EndedBy::Response
            },
            request_bytes: 40 + chance.below(200),
            response_bytes: if is_lost { 0 } else { 5 + chance.below(4000) },
            upload_us: Some(Span::from_ns(upload)),
            process_us: known(process),
            transfer_us: known(transfer),
            total_us: known(total),
            delivered_us: known(total + client),
            queued: 0,
            task,
            retransmits,
            reordered: false,
            cut: false,
            gap: false,
            early: false,
            client_rtt_us: Some(Span::from_ns(client)),
            server_rtt_us: Some(Span::from_ns(server)),
            in_client_us: known(budget[0]),
            in_queue_us: known(budget[1]),
            in_server_us: known(budget[2]),
            in_network_us: known(budget[3]),
            in_loss_us: known(budget[4]),
            in_window_us: known(budget[5]),
            in_transfer_us: known(budget[6]),
            verdict: (!is_lost).then(|| Verdict::ALL[verdict]),
            request_frame: None,
            response_frame: None,
            window_limit_bytes: None,
            owner: None,
            path: None,
            marks: None,
            answers: None,
        };
        (request, i64::try_from(total).unwrap_or(0))
    }

    fn connection(&self) -> Connection {
        let it = &self.handshake;
        Connection {
            time: it.time,
            vantage: it.vantage,
            connection_id: it.connection_id,
            client_ip: it.client_ip,
            client_port: it.client_port,
            server_ip: it.server_ip,
            server_port: it.server_port,
            role_from: it.role_from,
            direction: it.direction,
            tap_side: it.tap_side,
            vlan: None,
            tunnel: Tunnel::None,
            first_frame: None,
            last_frame: None,
            capture_loss: false,
            duration_us: None,
            handshake: Some(HandshakeOutcome::Established),
            late: false,
            close: Close::Fin,
            part: None,
            is_final: true,
            protocol: Some(SERVICES[self.service].protocol),
            requests: Some(0),
            duplicates: 0,
            client: Sent::default(),
            server: Sent::default(),
            first_fin: None,
            last_fin: None,
            owner: None,
            path: None,
        }
    }

    fn end(&self, connection: &mut Connection, at: Timestamp, requests: u64) {
        connection.duration_us = at.since(self.handshake.time);
        connection.requests = Some(requests);
        for sent in [&mut connection.client, &mut connection.server] {
            sent.data_segments = requests + sent.bytes / 1448 + sent.retransmits;
            sent.segments = sent.data_segments + requests + 3;
            sent.rtt_min_us = self.handshake.handshake_us;
            sent.rtt_mean_us = self.handshake.handshake_us;
            sent.rtt_max_us = self.handshake.handshake_us;
            sent.rtt_samples = requests;
        }
    }
}

fn the_health(at: Timestamp, [attempts, connections, requests]: [u64; 3], host: usize) -> Health {
    Health {
        time: Some(at),
        packets: requests * 4 + connections * 7,
        bytes: requests * 3000,
        tcp_segments: requests * 4 + connections * 7,
        kernel_drops: Some(if host % 10 == 5 { 12 } else { 0 }),
        connections: attempts,
        records: vec![
            ("handshake", attempts),
            ("request", requests),
            ("connection", connections),
        ],
        cpu_us: Some(Span::from_ns(requests * 1500)),
        peak_rss_bytes: Some(64 << 20),
        ..Health::new(Vantage::Wire)
    }
}

fn the_finding(at: Timestamp, host: usize) -> Finding {
    Finding {
        time: Some(at.plus(-3600 * SECOND)),
        until: Some(at),
        text: Some(format!(
            "Segments to and from host-{host:03} were sent again."
        )),
        server_ip: Some(IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + host as u32))),
        ..Finding::new(1, "retransmissions", 10, Suspect::Network)
    }
}
