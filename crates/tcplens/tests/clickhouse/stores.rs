//! The same made-up records in a directory and in two shards: `anomalies`, `check` and the fleet page say the same of both.
#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tcplens_core::time::{SECOND, Span, Timestamp};
use tcplens_output::clickhouse::{ClickHouseSink, Server, Settings};
use tcplens_output::store::look::VIEWS;
use tcplens_output::store::{Keep, StoreKind, StoreRecord, StoreSettings, StoreSink, StoreWriter};

use super::{SHOP, Servers, apply, refused, said, tcplens, text};

/// 2026-11-21T01:08:00Z, where the rollups end.
const END: i64 = 1_795_223_280;
/// Three days are needed before anything is judged.
const MINUTES: i64 = 3 * 1440 + 120;
/// Minutes before the end at which a server becomes slow.
const SINCE: i64 = 12;
const SERVERS: i64 = 2;
/// Longer than anything takes that is right.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both stores.
struct Stores {
    directory: String,
    /// Each host's shard, and all of them.
    shards: [String; 2],
    all: String,
    spool: PathBuf,
}

impl Stores {
    /// Writes lines of records of a host to both.
    fn keep(&self, host: &str, shard: usize, lines: &[(StoreKind, String)]) {
        let settings = StoreSettings {
            host: host.to_owned(),
            start: Timestamp(END * SECOND),
            is_live: false,
            interval: Span::from_ns(300 * SECOND as u64),
            keep: None,
            keep_rollups: Keep::parse("400d").unwrap(),
        };
        let directory = StoreWriter::open(Path::new(&self.directory), settings).unwrap();
        let server = Server::new(&self.shards[shard].parse().unwrap()).unwrap();
        let settings = Settings {
            is_live: false,
            ..Settings::new(
                server,
                host.to_owned(),
                Timestamp(END * SECOND),
                self.spool.clone(),
            )
        };
        let server = ClickHouseSink::open(settings).unwrap();
        let sinks: [Box<dyn StoreSink>; 2] = [Box::new(directory), Box::new(server)];
        for mut sink in sinks {
            for (kind, line) in lines {
                let record = StoreRecord::Line(*kind, line.as_bytes());
                sink.write(record, Timestamp(END * SECOND)).unwrap();
            }
            sink.finish().unwrap();
            let counters = sink.counters();
            assert_eq!(
                (counters.dropped, counters.written),
                (0, lines.len() as u64)
            );
        }
    }
}

/// Rollups of `minutes` before the end, in which the last server takes nine times as long from [`SINCE`] on.
fn rollups(minutes: impl Iterator<Item = i64>) -> Vec<(StoreKind, String)> {
    let mut lines = Vec::new();
    // Noise that is the same each time: the high bits of Knuth's generator (MMIX).
    let mut state = 1_u64;
    let mut noise = |below: i64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % below
    };
    for minute in minutes {
        let time = Timestamp((END - minute * 60) * SECOND);
        let time = tcplens_output::anomalies::minute(time).replace(' ', "T");
        for server in 0..SERVERS {
            let is_slow = (1..=SINCE).contains(&minute) && server == SERVERS - 1;
            let process = (1_000_000 + noise(200_000)) * if is_slow { 9 } else { 1 };
            let requests = 300 + noise(60);
            let half = requests / 2;
            let rest = requests - half;
            let (low, high) = (process * 9 / 10, process * 11 / 10);
            let mut line = String::new();
            write!(
                line,
                "{{\"kind\":\"rollup\",\"time\":\"{time}:00.000000000Z\",\"vantage\":\"wire\",\"server_ip\":\"10.0.0.{server}\",\
                 \"server_port\":6379,\"protocol\":\"redis\",\"operation\":\"GET\",\"capture_losses\":0,\
                 \"requests\":{requests},\"answered\":{requests},\"errors\":0,\"unanswered\":0,\"retransmits\":0,\
                 \"request_bytes\":9,\"response_bytes\":9,\"total_sum_us\":{}.25,\
                 \"total_ns\":[{},{}],\"total_counts\":[{half},{rest}],\
                 \"process_ns\":[{low},{high}],\"process_counts\":[{half},{rest}]}}",
                requests * process / 1000,
                low + 100_000,
                high + 100_000,
            )
            .unwrap();
            lines.push((StoreKind::Rollup, line));
        }
    }
    lines
}

/// `tcplens fleet`, until it is dropped.
struct Page(Child, SocketAddr);

impl Page {
    fn start(store: &str) -> Page {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args(["fleet", "--store", store, "--web", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = child.stderr.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let at = line
            .split("http://")
            .nth(1)
            .unwrap_or_else(|| panic!("{line}"));
        let at = at.trim().trim_end_matches('/').parse().unwrap();
        Page(child, at)
    }

    fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.1).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{target}: {answer}");
        body.to_owned()
    }

    /// Without what is of the store and not of its records.
    fn data(&self, target: &str) -> String {
        ["store", "files", "parts", "took_ns", "command"]
            .iter()
            .fold(self.get(target), |json, name| without(json, name))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

/// JSON without the first member of that name, whose value is a text or a number.
fn without(json: String, name: &str) -> String {
    let Some(from) = json.find(&format!("\"{name}\":")) else {
        return json;
    };
    let value = from + name.len() + 3;
    let rest = &json[value..];
    let length = match rest.strip_prefix('"') {
        None => rest.find([',', '}']).unwrap(),
        Some(text) => {
            let mut is_escaped = false;
            let end = text.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            });
            end.unwrap() + 2
        }
    };
    format!("{}{}", &json[..from], &rest[length..])
}

fn stores(servers: &Servers) -> Stores {
    let [one, two] = &servers.urls[..] else {
        panic!("{:?}", servers.urls);
    };
    Stores {
        directory: servers.dir.join("store").display().to_string(),
        shards: [one.clone(), two.clone()],
        all: one.replace("/tcplens", "/tcplens_all"),
        spool: servers.dir.join("spool"),
    }
}

/// What a directory and a server say to the same words.
fn both(stores: &Stores, words: &[&str]) -> [(Option<i32>, String); 2] {
    [&stores.directory, &stores.all].map(|store| {
        let ran = tcplens(&[words, &["--store", store]].concat());
        assert_eq!(text(&ran.stderr), "", "{words:?} of {store}");
        (ran.status.code(), text(&ran.stdout))
    })
}

#[test]
fn a_directory_and_two_shards_with_the_same_records_give_the_same_answers() {
    let Some(servers) = Servers::start("sources", &[]) else {
        return;
    };
    let stores = stores(&servers);
    for store in [&stores.shards[0], &stores.all] {
        let early = refused(&["anomalies", "--store", store]);
        assert!(early.contains("tcplens schema clickhouse --"), "{early}");
    }
    apply(stores.shards.each_ref().map(String::as_str));
    let empty = said(&["anomalies", "--store", &stores.all]);
    assert!(
        empty.starts_with(&format!("{} has no rollups: ", stores.all)),
        "{empty}"
    );

    // Servers that two hosts watch, and a capture file with single records.
    let minutes = || (1..=MINUTES).rev();
    stores.keep("collector", 0, &rollups(minutes()));
    stores.keep(
        "o'th\\er",
        1,
        &rollups(minutes().filter(|minute| minute % 7 == 0)),
    );
    let spool = servers.spool();
    for store in [&stores.directory, &stores.shards[1]] {
        let words = [
            "records", SHOP, "-q", "-f", "none", "--host", "shop", "--spool", &spool, "--store",
            store,
        ];
        said(&words);
    }

    let until = ["--until", "2026-11-21T01:08"];
    let find = |words: &[&str]| {
        let words = [&["anomalies", "-f", "jsonl"][..], &until, words].concat();
        let [here, there] = both(&stores, &words);
        assert_eq!(here, there, "{words:?}");
        assert_eq!(here.0, Some(0), "{words:?}");
        here.1
    };
    let found = find(&[]);
    assert!(found.contains("\"code\":\"abnormal_latency\""), "{found}");
    assert!(found.contains("\"server_ip\":\"10.0.0.1\""), "{found}");
    assert!(find(&["--host", "collector"]).contains("10.0.0.1"));
    let words = [&["check", "--critical", "latency"][..], &until].concat();
    let [here, there] = both(&stores, &words);
    assert_eq!(here, there);
    assert_eq!(here.0, Some(2), "{here:?}");
    assert!(
        here.1.starts_with("TCPLENS CRITICAL - Since 00:5"),
        "{here:?}"
    );
    // What shows it can be asked as it stands.
    let shown = said(&[&["anomalies", "--store", &stores.all][..], &until].concat());
    let query = shown
        .lines()
        .find_map(|line| line.split_once("show: tcplens "));
    let sql = query.unwrap().1.split('"').nth(1).unwrap();
    let rows = said(&["query", "--store", &stores.all, "-f", "csv", sql]);
    assert!(
        rows.lines().count() > 60 && rows.starts_with("time,"),
        "{rows}"
    );

    let findings: Vec<_> = found
        .lines()
        .map(|line| (StoreKind::Finding, line.to_owned()))
        .collect();
    stores.keep("watch", 0, &findings);
    pages(&stores);
    of_one_shard(&stores);
}

fn pages(stores: &Stores) {
    let (here, there) = (Page::start(&stores.directory), Page::start(&stores.all));
    let same = |target: &str| {
        let [here, there] = [here.data(target), there.data(target)];
        equal(target, &here, &there);
        here
    };
    let range = format!("from={}&to={}", END - 7200, END + 60);
    let all = same("/fleet.json?last=all");
    assert!(all.contains("abnormal_latency"), "{all}");
    assert!(all.contains("\"server\":\"10.0.0.1:6379\""), "{all}");
    for filter in [
        "",
        "&host=shop",
        "&host=o%27th%5Cer",
        "&server=10.0.0.1:6379",
        "&protocol=redis&operation=GET",
        "&protocol=http",
    ] {
        same(&format!("/fleet.json?{range}{filter}"));
        for view in VIEWS.iter().filter(|_| !filter.starts_with("&protocol")) {
            let target = format!("/records.json?view={}&last=all{filter}", view.name);
            let rows = same(&target);
            if filter.is_empty() && view.name != "reset-connections" {
                assert!(!rows.contains("\"rows\":[]"), "{target}: {rows}");
            }
        }
    }
    let whole = there.get("/fleet.json?last=all");
    assert!(whole.contains("\"parts\":\"hours\""), "{whole}");
    assert!(!whole.contains("could not"), "{whole}");
    let slow = there.get("/records.json?view=slow-requests&last=1d");
    assert!(slow.contains("FROM requests WHERE time >= 17"), "{slow}");
    // Queries need no other program.
    assert!(there.get("/queries.json").ends_with("\"how\":null}"));
    for named in tcplens_output::named::ALL {
        let answer = there.get(&format!("/query.json?name={}&last=all", named.name));
        assert!(answer.contains("\"more\":false,"), "{answer}");
    }
    // What comes is taken up: in an hour that was read already, and in a new one.
    let target = format!("/fleet.json?from={}&to={}", END - 7200, END + 7200);
    let before = same(&target);
    stores.keep("late", 0, &rollups([0, 40, -60].into_iter()));
    let start = Instant::now();
    loop {
        let [here, there] = [here.data(&target), there.data(&target)];
        if here == there && here != before {
            assert!(here.contains("\"host\":\"late\""), "{here}");
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{here}\n{there}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let file = servers_file(stores);
    said(&["fleet", "--store", &stores.all, "--html", &file]);
    let html = std::fs::read_to_string(&file).unwrap();
    assert!(html.contains("10.0.0.1:6379"), "{} bytes", html.len());
}

/// Says where they differ, for they are long.
fn equal(target: &str, here: &str, there: &str) {
    let pairs = here.bytes().zip(there.bytes());
    let at = pairs.take_while(|(here, there)| here == there).count();
    let around = |text: &str| {
        let part = text
            .as_bytes()
            .iter()
            .skip(at.saturating_sub(200))
            .take(400);
        super::text(&part.copied().collect::<Vec<_>>())
    };
    assert!(
        here == there,
        "{target} differs:\n{}\n{}",
        around(here),
        around(there)
    );
}

fn servers_file(stores: &Stores) -> String {
    stores
        .spool
        .with_file_name("fleet.html")
        .display()
        .to_string()
}

/// Errors, and a table of an earlier version.
fn of_one_shard(stores: &Stores) {
    let two = &stores.shards[1];
    let nobody = "clickhouse://default@127.0.0.1:1/tcplens";
    let away = refused(&["anomalies", "--store", nobody]);
    assert!(
        away.contains("cannot reach http://127.0.0.1:1/: ") && away.contains("start the server"),
        "{away}"
    );
    let away = tcplens(&["check", "--store", nobody]);
    assert_eq!(away.status.code(), Some(3));
    let line = text(&away.stdout);
    assert!(
        line.starts_with("TCPLENS UNKNOWN - cannot reach ") && line.lines().count() == 1,
        "{line}"
    );
    assert_eq!(line.matches("cannot reach").count(), 1, "{line}");
    let away = refused(&["fleet", "--store", nobody]);
    assert!(away.contains("start the server"), "{away}");
    let nowhere = refused(&["fleet", "--store", &two.replace("/tcplens", "/nowhere")]);
    assert!(
        nowhere.contains("make it, with its tables: tcplens schema"),
        "{nowhere}"
    );
    let other = refused(&["anomalies", "--store", "spark://x"]);
    assert!(other.contains("spark:// is not known"), "{other}");
    let at = two.split('@').nth(1).unwrap().split('/').next().unwrap();
    let alter = |sql: &str| {
        let mut stream = TcpStream::connect(at).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{sql}",
            sql.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    // Rollups are shown without findings, and that is said, until these can be read.
    let page = Page::start(two);
    alter("ALTER TABLE tcplens.findings DROP COLUMN evidence");
    let shown = page.get("/fleet.json?last=all");
    assert!(shown.contains("\"server\":\"10.0.0.1:6379\""), "{shown}");
    let says = format!("\"damages\":[\"findings: {two} refuses: ");
    assert!(shown.contains(&says), "{says}: {shown}");
    apply(stores.shards.each_ref().map(String::as_str));
    let shown = page.get("/fleet.json?last=all");
    assert!(shown.contains("\"damages\":[],"), "{shown}");
    drop(page);
    alter("ALTER TABLE tcplens.rollups DROP COLUMN zero_windows");
    let old = refused(&["anomalies", "--store", two]);
    assert!(
        old.contains("the tables of this version are not there: tcplens schema clickhouse --apply"),
        "{old}"
    );
    apply(stores.shards.each_ref().map(String::as_str));
    said(&["anomalies", "--store", two]);
}
