//! Fills a ClickHouse server with requests of which everybody knows how many there are: `request_frame` counts them. Measures
//! (processor time of this process per record), and is what dev/clickhouse-soak kills and starts again.
//!
//! `cargo run --release -p tcplens-output --example clickhouse clickhouse://default@127.0.0.1:8123/tcplens --rows 1000000`
//!
//! With `--rollups DIR` it copies the rollups of a directory there instead, of each host as its own.
//!
//! With `--ledger FILE` a line is appended whenever all records so far are in the spool or further: `LAST DROPPED`, the number
//! of the last record and how many were dropped. What is beyond the last line when it is killed may be there or not.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tcplens_core::record::{
    ConnectionId, EndedBy, Protocol, Request, RoleFrom, Side, Status, Vantage, Verdict,
};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::wire::segment::Tunnel;
use tcplens_output::clickhouse::schema::Keep;
use tcplens_output::clickhouse::{Server, Settings, Target, Writer};
use tcplens_output::store::StoreReader;

/// Records between two looks at the clock.
const STEP: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let target: Target = words.next().ok_or("no server named")?.parse()?;
    let (mut rows, mut first, mut rate, mut host) = (1_000_000, 1, 0, "load".to_owned());
    let (mut spool, mut ledger) = (PathBuf::from("spool"), None);
    let mut copied: Option<PathBuf> = None;
    let (mut size, mut age, mut patience, mut is_live) = (1 << 30, 5000, 60, false);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--rows" => rows = value()?.parse()?,
            "--first" => first = value()?.parse()?,
            "--rate" => rate = value()?.parse()?,
            "--host" => host = value()?,
            "--spool" => spool = value()?.into(),
            "--spool-size" => size = value()?.parse()?,
            "--age" => age = value()?.parse()?,
            "--patience" => patience = value()?.parse()?,
            "--ledger" => ledger = Some(value()?),
            "--rollups" => copied = Some(value()?.into()),
            "--live" => is_live = true,
            "--apply" => {
                let server = Server::new(&target)?;
                println!("{:?}", server.apply(Keep::default(), Some("tcplens"))?);
            }
            _ => return Err(format!("unknown: {word}").into()),
        }
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let start = Timestamp(i64::try_from(now.as_nanos())?);
    let open = |host: String, spool: PathBuf| -> Opened {
        Ok(Writer::open(Settings {
            spool_bytes: size,
            batch_age: Duration::from_millis(age),
            is_live,
            say: Arc::new(|what| eprintln!("{what}")),
            ..Settings::new(Server::new(&target)?, host, start, spool)
        })?)
    };
    if let Some(from) = copied {
        let open = |host: &str| open(host.to_owned(), spool.join(host));
        return copy(&from, &open, Duration::from_secs(patience));
    }
    let mut writer = open(host, spool)?;
    let mut ledger = ledger
        .map(|path| OpenOptions::new().append(true).create(true).open(path))
        .transpose()?;
    let begun = Instant::now();
    let mut flushed = begun;
    for n in first..first + rows {
        writer.write(&request(n, start))?;
        if !n.is_multiple_of(STEP) {
            continue;
        }
        if rate > 0 {
            let due = Duration::from_secs_f64((n - first) as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        writer.tick(Instant::now())?;
        if let Some(file) = &mut ledger
            && flushed.elapsed() >= Duration::from_millis(age)
        {
            writer.flush()?;
            writer.spooled();
            writeln!(file, "{n} {}", writer.dropped())?;
            flushed = Instant::now();
        }
    }
    let made = begun.elapsed().as_secs_f64();
    let cpu = cpu_ns()?;
    let told = writer.finish(Duration::from_secs(patience))?;
    if let Some(file) = &mut ledger {
        writeln!(file, "{} {}", first + rows - 1, told.counts.dropped)?;
    }
    let (n, took) = (rows as f64, begun.elapsed().as_secs_f64());
    println!(
        "{rows} records: made in {made:.2} s, stored in {took:.2} s ({:.0} per second); {:.0} ns of CPU each, {:.0} until they \
         were made; {:?}",
        n / took,
        cpu_ns()? / n,
        cpu / n,
        told
    );
    Ok(())
}

/// A writer, or why there is none.
type Opened = Result<Writer, Box<dyn Error>>;

/// Copies all rollups of a directory.
fn copy(
    from: &Path,
    open: &dyn Fn(&str) -> Opened,
    patience: Duration,
) -> Result<(), Box<dyn Error>> {
    let mut reader = StoreReader::open(from)?;
    let mut writers: BTreeMap<String, Writer> = BTreeMap::new();
    let (mut rows, mut failed) = (0_u64, None);
    reader.rollups(Timestamp(0)..Timestamp::MAX, &[], &mut |host, rollup| {
        rows += 1;
        if failed.is_none() && !writers.contains_key(host) {
            match open(host) {
                Ok(writer) => drop(writers.insert(host.to_owned(), writer)),
                Err(error) => failed = Some(error),
            }
        }
        let written = writers.get_mut(host).map(|writer| writer.write(&rollup));
        failed = (failed.take()).or_else(|| Some(written?.err()?.into()));
    });
    if let Some(error) = failed {
        return Err(error);
    }
    println!("{rows} rollups of {} hosts", writers.len());
    for (host, writer) in &mut writers {
        println!("{host}: {:?}", writer.finish(patience)?);
    }
    match reader.damages() {
        ([], _) => Ok(()),
        ([first, ..], _) => Err(first.to_string().into()),
    }
}

/// Of this process, all threads.
fn cpu_ns() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat
        .rsplit_once(')')
        .ok_or("no stat")?
        .1
        .split_whitespace()
        .collect();
    // User and system time, in hundredths of a second.
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks * 1e7)
}

/// As requests of a web server look. `n` varies what varies in a capture.
fn request(n: u64, start: Timestamp) -> Request<'static> {
    const OPERATIONS: [&str; 4] = ["GET /", "GET /cart", "POST /order", "GET /item"];
    let micros = |us: u64| Some(Span::from_ns(us * 1000 + n % 1000));
    let time = start.plus(i64::try_from(n % 1_000_000_000).unwrap_or_default() * 1000);
    Request {
        time,
        vantage: Vantage::Wire,
        connection_id: ConnectionId::Packets {
            first: time,
            flow: (n as u32).wrapping_mul(0x9E37_79B9),
        },
        client_ip: IpAddr::from([10, 77, (n >> 8) as u8, n as u8]),
        client_port: 32_768 + n * 7 % 28_000,
        server_ip: IpAddr::from([10, 77, 0, (n % 5) as u8]),
        server_port: 443,
        role_from: RoleFrom::Syn,
        direction: None,
        tap_side: Side::Server,
        vlan: None,
        tunnel: Tunnel::None,
        capture_loss: false,
        protocol: Protocol::Http,
        operation: Some(OPERATIONS[(n % 4) as usize]),
        summary: Some("/cart/12345"),
        status: if n.is_multiple_of(50) {
            Status::Error
        } else {
            Status::Ok
        },
        status_code: Some(if n.is_multiple_of(50) { 503 } else { 200 }),
        status_text: None,
        ended_by: EndedBy::Response,
        request_bytes: 300 + n % 50,
        response_bytes: 1000 + n % 5000,
        upload_us: micros(20),
        process_us: micros(1000 + n % 4000),
        transfer_us: micros(200 + n % 100),
        total_us: micros(1220 + n % 4100),
        delivered_us: micros(1300 + n % 4100),
        queued: 0,
        task: 1 + n % 10,
        retransmits: 0,
        reordered: false,
        cut: false,
        gap: false,
        early: false,
        client_rtt_us: micros(300),
        server_rtt_us: micros(20),
        in_client_us: micros(0),
        in_queue_us: micros(0),
        in_server_us: micros(1000 + n % 4000),
        in_network_us: micros(200),
        in_loss_us: micros(0),
        in_window_us: micros(0),
        in_transfer_us: micros(20),
        verdict: Some(Verdict::Server),
        request_frame: Some(n),
        response_frame: Some(n + 1),
        window_limit_bytes: None,
        owner: None,
        path: None,
        marks: None,
        answers: None,
    }
}
