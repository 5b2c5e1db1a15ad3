//! The server over real sockets, with a desk that stands in for the one that has the records; at the end a real Prometheus.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{CLIENTS, Http};
use crate::answer::{Asked, Question};

/// A page with something of everything.
const PAGE: &str = include_str!("../../../../tcplens-output/tests/prometheus/page.txt");

/// Longer than anything takes that is right.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of the loopback, and the thread that answers for the desk until the server is gone.
struct Served {
    http: Http,
    at: SocketAddr,
    desk: JoinHandle<()>,
}

fn serve(answer: impl Fn(Asked) + Send + 'static) -> Served {
    // Fewer may ask than there are clients.
    let (asks, asked): (_, Receiver<Asked>) = sync_channel(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    Served {
        http: Http::start(listener, vec![asks]).unwrap(),
        at,
        desk: thread::spawn(move || asked.into_iter().for_each(answer)),
    }
}

impl Served {
    /// Stops the server; that the desk's thread ends says that nobody can ask any more.
    fn stop(self) {
        let start = Instant::now();
        drop(self.http);
        self.desk.join().unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }
}

fn says(page: &'static [u8]) -> impl Fn(Asked) + Send {
    move |asked| {
        assert_eq!(asked.question, Question::Metrics);
        // Who asked may be gone.
        let _ = asked.reply.send(page.to_vec());
    }
}

/// Everything that comes for a request.
fn fetch(at: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8(response).unwrap()
}

fn get(at: SocketAddr, target: &str) -> String {
    fetch(
        at,
        format!("GET {target} HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes(),
    )
}

#[test]
fn the_page_is_what_the_desk_says_and_everything_else_is_refused() {
    let served = serve(says(b"up 1\n"));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 5\r\n\
        Connection: close\r\n\r\n";
    assert_eq!(get(served.at, "/metrics"), format!("{head}up 1\n"));
    assert_eq!(fetch(served.at, b"HEAD /metrics HTTP/1.1\r\n\r\n"), head);
    let welcome = get(served.at, "/");
    assert!(
        welcome.starts_with("HTTP/1.1 200 OK\r\n") && welcome.contains("/metrics\n"),
        "{welcome}"
    );
    for (request, status) in [
        (&b"GET /other HTTP/1.1\r\n\r\n"[..], "404 Not Found"),
        (
            b"PUT /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "405 Method Not Allowed",
        ),
        (b"no http\r\n\r\n", "400 Bad Request"),
        (&[b'x'; 9000], "431 Request Header Fields Too Large"),
    ] {
        let response = fetch(served.at, request);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert_eq!(
            response.contains("\r\nAllow: GET, HEAD\r\n"),
            status.starts_with("405")
        );
    }
    served.stop();
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let served = serve(says(b"up 1\n"));
    let mut stream = TcpStream::connect(served.at).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /metrics HTTP/1.1\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nup 1\n"), "{response}");
    served.stop();
}

#[test]
fn clients_that_say_nothing_or_read_nothing_harm_nobody() {
    static LARGE: [u8; 8 << 20] = [b'#'; 8 << 20];
    let served = serve(says(&LARGE));
    // More than fits into the buffers of the sockets, and nobody who reads it.
    let deaf: Vec<_> = (0..2 * CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(served.at).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let mute: Vec<_> = (0..2 * CLIENTS)
        .map(|_| TcpStream::connect(served.at).unwrap())
        .collect();
    let start = Instant::now();
    let response = get(served.at, "/metrics");
    assert!(response.len() > LARGE.len());
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    served.stop();
    drop((deaf, mute));
}

#[test]
fn where_the_desk_does_not_answer_the_client_is_told() {
    let served = serve(|asked| drop(asked.reply));
    let response = get(served.at, "/metrics");
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    served.stop();
}
/// A Prometheus that scrapes one address every second and evaluates the shipped alert rules; it ends, and its data goes,
/// with this.
struct Prometheus {
    process: Child,
    at: SocketAddr,
    directory: PathBuf,
}

impl Prometheus {
    /// Nothing, said aloud, where it is not installed.
    fn start(target: SocketAddr) -> Option<Prometheus> {
        let name = format!("tcplens-prometheus-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let rules = root()
            .join("monitoring/alerts.yaml")
            .canonicalize()
            .unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n- job_name: tcplens\n  \
             static_configs: [{{targets: ['{target}']}}]\n",
            rules.display()
        );
        std::fs::write(directory.join("prometheus.yml"), config).unwrap();
        // Free when this is dropped; should somebody else be quicker, Prometheus ends, and says why.
        let at = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let started = Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                directory.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address={at}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let process = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("SKIPPED: no prometheus here (Debian: prometheus)");
                std::fs::remove_dir_all(&directory).unwrap();
                return None;
            }
            started => started.unwrap(),
        };
        Some(Prometheus {
            process,
            at,
            directory,
        })
    }

    /// Asks until the answer is as wanted.
    fn until(&mut self, target: &str, is_wanted: impl Fn(&str) -> bool) {
        let start = Instant::now();
        let mut answer = String::new();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap();
                panic!("prometheus ended: {status}\n{log}");
            }
            // It does not listen yet, or it does.
            if TcpStream::connect(self.at).is_ok() {
                answer = self.ask(target);
                if is_wanted(&answer) {
                    return;
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{target}: {answer}");
    }

    fn ask(&self, target: &str) -> String {
        // One answer per connection.
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        fetch(self.at, request.as_bytes())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; and what is left of a failed test is of use.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

#[test]
fn a_real_prometheus_scrapes_the_page_and_takes_the_shipped_rules_and_the_dashboard() {
    let served = serve(says(PAGE.as_bytes()));
    let Some(mut prometheus) = Prometheus::start(served.at) else {
        return served.stop();
    };
    let query = |query: &str| format!("/api/v1/query?query={}", percent(query));
    prometheus.until(
        &query(
            "tcplens_handshakes_total{server='10.0.0.1:80', outcome='established', job='tcplens'}",
        ),
        |answer| answer.contains(",\"4\"]"),
    );
    // Three of four took 20 ms: between 10 and 25 ms.
    prometheus.until(
        &query("histogram_quantile(0.75, tcplens_handshake_duration_seconds_bucket{server='10.0.0.1:80'})"),
        |answer| answer.contains(",\"0.025\"]"),
    );
    prometheus.until(&query("up{job='tcplens'}"), |answer| {
        answer.contains(",\"1\"]")
    });
    let alerts = std::fs::read_to_string(root().join("monitoring/alerts.yaml")).unwrap();
    let alerts = alerts.matches("- alert: ").count();
    prometheus.until("/api/v1/rules", |answer| {
        answer.matches("\"health\":\"ok\"").count() == alerts
    });
    let dashboard = std::fs::read_to_string(root().join("monitoring/dashboard.json")).unwrap();
    let expressions = dashboard
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"expr\": \""));
    let mut asked = 0;
    for expression in expressions {
        let expression = expression.trim_end_matches("\",").replace("\\\"", "\"");
        let expression = expression.replace("$__rate_interval", "1m");
        let expression = expression
            .replace("$instance", ".*")
            .replace("$server", ".*");
        let answer = prometheus.ask(&query(&expression));
        assert!(
            answer.contains("\"status\":\"success\""),
            "{expression}: {answer}"
        );
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
    drop(prometheus);
    served.stop();
}

/// Any text as a part of a URL.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn several_desks_make_one_page_and_one_that_is_gone_takes_nothing_away() {
    let desk = |page: &'static str| {
        let (asks, asked) = sync_channel::<Asked>(2);
        let answers = thread::spawn(move || {
            let answer = |asked: Asked| asked.reply.send(page.into());
            // Who asked may be gone.
            asked.into_iter().for_each(|asked| drop(answer(asked)));
        });
        (asks, answers)
    };
    let (first, one) = desk("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\n");
    let (second, two) =
        desk("# HELP b B.\n# TYPE b gauge\nb 2\n# HELP a A.\n# TYPE a gauge\na{x=\"2\"} 3\n");
    let (gone, nobody) = sync_channel(1);
    drop(nobody);
    let page = |desks| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let _http = Http::start(listener, desks).unwrap();
        let mut client = TcpStream::connect(at).unwrap();
        client
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    };
    let both = "# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 3\n# HELP b B.\n# TYPE b gauge\nb 2\n";
    let whole = page(vec![first, gone.clone(), second]);
    assert_eq!(whole, ("HTTP/1.1 200 OK".to_owned(), both.to_owned()));
    let (status, _) = page(vec![gone]);
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    one.join().unwrap();
    two.join().unwrap();
}
