//! Servers and the desk with real sockets, fed with records made by hand. Every wait has a deadline and none is a claim
//! about speed.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tcplens_core::batch::{AnyRecord, Records};
use tcplens_core::pending::Pending;
use tcplens_core::record::{Handshake, Health, Outcome, Vantage};
use tcplens_core::time::Span;

use self::records::{START, failed, handshake, health};
use super::listen::{Listeners, SOCKET_CLIENTS};
use super::server::Servers;
use super::streams::STREAMS;
use super::{Desk, DeskSettings};
use crate::cli::Answering;

mod asking;
mod binding;
mod request;
mod streaming;
mod web;

#[path = "../../../tcplens-core/tests/view_records/requests.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
pub(crate) mod made_requests;
#[path = "../../../tcplens-core/tests/view_records/mod.rs"]
pub(crate) mod records;

use records as view_records;

/// Far longer than anything takes.
const LONG: Duration = Duration::from_secs(60);

/// What is done to a desk by the thread that has it.
type Work = Box<dyn FnOnce(&mut Desk) + Send>;

/// A run: a desk that is fed and served by a thread of its own, as a run does it.
struct Instance {
    work: Sender<Work>,
    thread: JoinHandle<()>,
    servers: Servers,
    place: Place,
}

impl Instance {
    /// At a socket, and at any free port for statistics.
    fn new(name: &str, settings: DeskSettings) -> Instance {
        let place = Place::new(name);
        let listeners = Listeners::bind(&place.answering()).unwrap();
        Instance::of(listeners, settings, place)
    }

    fn of(listeners: Listeners, settings: DeskSettings, place: Place) -> Instance {
        Instance::seeing(seen, listeners, settings, place)
    }

    /// What is known `now` is told to whoever asks.
    fn seeing(
        now: fn() -> (Health, Pending),
        listeners: Listeners,
        settings: DeskSettings,
        place: Place,
    ) -> Instance {
        let (mut desk, servers) = listeners.start(settings).unwrap();
        let (work, todo) = channel::<Work>();
        let thread = std::thread::spawn(move || {
            loop {
                match todo.recv_timeout(Duration::from_millis(5)) {
                    Ok(work) => work(&mut desk),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return desk.close(now),
                }
                desk.serve(now);
            }
        });
        Instance {
            work,
            thread,
            servers,
            place,
        }
    }

    /// Does something to the desk, and waits until it is done.
    fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Desk) -> T + Send + 'static) -> T {
        let (done, result) = channel();
        self.work
            .send(Box::new(move |desk| done.send(work(desk)).unwrap()))
            .unwrap();
        result.recv_timeout(LONG).unwrap()
    }

    fn handshakes(&self, handshakes: Vec<Handshake>) {
        self.with(move |desk| {
            for handshake in &handshakes {
                desk.record(AnyRecord::Handshake(handshake));
            }
        });
    }

    fn requests(&self, records: Records) {
        self.with(move |desk| {
            for n in 0..records.len() {
                desk.record(records.get(n).unwrap().1);
            }
        });
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.place.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// What is answered to these bytes.
    fn ask(&self, question: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(question).unwrap();
        text(&mut stream)
    }

    /// The statistics of whoever connects.
    fn stats(&self) -> String {
        let mut stream = TcpStream::connect(self.servers.stats_address().unwrap()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        text(&mut stream)
    }

    /// Ends the run, in bounded time.
    fn finish(self) -> Place {
        let begin = Instant::now();
        drop(self.work);
        self.thread.join().unwrap();
        self.servers.finish();
        assert!(begin.elapsed() < LONG / 2);
        self.place
    }
}

/// All that comes until the other end closes.
fn text(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// 1000 packets, of which the kernel dropped 7 more.
fn seen() -> (Health, Pending) {
    let mut pending = Pending::default();
    let server = ([10, 0, 0, 1].into(), 443);
    for seconds in [43, 2] {
        pending.attempt(server, Span::from_ns(seconds * 1_000_000_000));
    }
    let health = Health {
        kernel_drops: Some(7),
        ..health()
    };
    (health, pending)
}

/// The same of a run that asks the kernel.
fn told_by_the_kernel() -> (Health, Pending) {
    let (health, pending) = seen();
    let health = Health {
        vantage: Vantage::Kernel,
        ..health
    };
    (health, pending)
}

fn settings() -> DeskSettings {
    DeskSettings {
        since: START,
        slow_from: records::ms(100),
        ports: vec![(6379, 6379), (6380, 6380), (8000, 8100)],
        ..DeskSettings::default()
    }
}

/// A directory for one test, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("tcplens-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("t.sock")
    }

    fn answering(&self) -> Answering {
        Answering {
            stats_port: Some("127.0.0.1:0".parse().unwrap()),
            stats_shape: "tcpkit".parse().unwrap(),
            socket: Some(self.socket()),
            metrics: None,
            web: None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
