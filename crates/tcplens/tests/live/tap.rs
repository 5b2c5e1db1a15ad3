//! tcplens while it captures: what it printed so far, signals, its end. Killed when the test is done with it.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::place::Place;

/// How long anything may take. The machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What it says when packets are captured, or the kernel tells.
const READY: [&str; 3] = ["capturing on ", "observing the kernel", "watching sockets"];

/// See the module.
pub(crate) struct Tap {
    child: Child,
    out: Gathered,
    err: Gathered,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub status: Option<i32>,
    pub signal: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program, about to capture in `namespace` with a small ring.
pub(crate) fn tcplens<W: AsRef<OsStr>>(
    namespace: &Namespace,
    place: &Place,
    words: &[W],
) -> Command {
    let mut command = alone(place, words);
    command.args(["--netns", &namespace.name(), "-B", "4MiB"]);
    command
}

/// The program with nothing but these words.
pub(crate) fn alone<W: AsRef<OsStr>>(place: &Place, words: &[W]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcplens"));
    command
        .args(words)
        .current_dir(place.directory())
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// Polls until something holds.
///
/// # Panics
/// It does not hold for too long.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Tap {
    /// Starts it, and waits until it captures.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Tap {
        let tap = Tap::spawn(&mut command);
        tap.wait_until_it_captures();
        tap
    }

    /// The same where it says nothing: privileges are given up when the rings are open.
    #[track_caller]
    pub(crate) fn start_quiet(mut command: Command) -> Tap {
        let tap = Tap::spawn(&mut command);
        let status = format!("/proc/{}/status", tap.id());
        until("privileges are given up", || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            status.contains("\nNoNewPrivs:\t1\n")
        });
        tap
    }

    /// Starts it with a reader that never reads, and waits until it captures.
    #[track_caller]
    pub(crate) fn start_unread(mut command: Command) -> (Tap, ChildStdout) {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let unread = child.stdout.take().unwrap();
        let tap = Tap {
            out: Gathered::default(),
            err: Gathered::from(child.stderr.take().unwrap()),
            child,
        };
        tap.wait_until_it_captures();
        (tap, unread)
    }

    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> Tap {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Tap {
            out: Gathered::from(child.stdout.take().unwrap()),
            err: Gathered::from(child.stderr.take().unwrap()),
            child,
        }
    }

    #[track_caller]
    fn wait_until_it_captures(&self) {
        let end = Instant::now() + DEADLINE;
        while !READY.iter().any(|ready| self.err.text().contains(ready)) {
            let is_over = Instant::now() >= end || self.err.has_ended();
            assert!(!is_over, "it does not capture: {:?}", self.err.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it printed so far.
    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    /// What it said so far.
    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until what it printed is enough.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_enough: impl FnMut(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        loop {
            let has_ended = self.out.has_ended();
            if is_enough(&self.out.text()) {
                return;
            }
            let is_over = has_ended || Instant::now() >= end;
            assert!(!is_over, "{what}: {}\n{}", self.out(), self.err());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal: `-INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it by SIGINT.
    #[track_caller]
    pub(crate) fn interrupt(self) -> Ended {
        self.signal("-INT");
        self.end()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let is_over = Instant::now() >= end;
            assert!(!is_over, "it does not end: {}", self.err());
            std::thread::sleep(Duration::from_millis(5));
        };
        let ended = Ended {
            status: status.code(),
            signal: status.signal(),
            out: self.out.finish(),
            err: self.err.finish(),
        };
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
        ended
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // It has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It ended with this status and said all of this.
    #[track_caller]
    pub(crate) fn is(&self, status: i32, said: &[&str]) {
        assert_eq!(self.status, Some(status), "{}", self.err);
        for words in said {
            assert!(self.err.contains(words), "{words:?} not in: {}", self.err);
        }
    }

    /// The closing line: packets captured and dropped.
    #[track_caller]
    pub(crate) fn counted(&self) -> (u64, u64) {
        let end = " packets dropped by kernel";
        let line = self.err.lines().find(|line| line.ends_with(end)).unwrap();
        let line = line.strip_suffix(end).unwrap();
        let (captured, dropped) = line.split_once(" packets captured, ").unwrap();
        (captured.parse().unwrap(), dropped.parse().unwrap())
    }
}

/// What comes out of a pipe, gathered by a thread.
#[derive(Default)]
struct Gathered {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Gathered {
    fn from(mut pipe: impl Read + Send + 'static) -> Gathered {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut some = [0; 65536];
            while let Ok(n @ 1..) = pipe.read(&mut some) {
                to.lock().unwrap().extend_from_slice(&some[..n]);
            }
        });
        Gathered {
            bytes,
            thread: Some(thread),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.text()
    }
}
