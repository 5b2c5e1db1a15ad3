//! The event socket against real clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};

use tcplens_output::events::{EventLine, read};

use super::*;
use crate::answer::listen::Listeners;

/// Far longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let name = format!("tcplens-{}-events-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn bind(&self) -> Result<Listeners> {
        Listeners::of_sockets(Some(&self.socket()), None)
    }

    fn start(&self, patience: Patience) -> EventSocket {
        let (bound, _) = self.bind().unwrap().into_parts();
        EventSocket::start(bound.unwrap(), "h_1_unsafe", patience).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ends(cookie: u64) -> SocketEnds {
    SocketEnds {
        local: ([10, 0, 0, 1].into(), 80),
        remote: ([10, 0, 0, 2].into(), 40_000),
        interface: 0,
        cookie,
    }
}

fn open(socket: &mut EventSocket, cookie: u64) {
    let time = Timestamp(cookie.cast_signed());
    socket.event(EventKind::Open, time, ends(cookie));
}

fn close(socket: &mut EventSocket, cookie: u64) {
    socket.event(EventKind::Close, Timestamp(1_000_000), ends(cookie));
}

/// A round of the collector, with these connections open.
fn serve(socket: &mut EventSocket, all: &[u64]) {
    socket.serve(|each| {
        for &cookie in all {
            each(Timestamp(cookie.cast_signed()), ends(cookie));
        }
    });
}

/// A client's lines, as they come.
struct Lines(Receiver<String>, UnixStream);

impl Lines {
    fn of(place: &Place) -> Lines {
        let stream = UnixStream::connect(place.socket()).unwrap();
        let (send, lines) = channel();
        let reader = BufReader::new(stream.try_clone().unwrap());
        std::thread::spawn(move || {
            for line in reader.lines() {
                if send.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Lines(lines, stream)
    }

    fn next(&self) -> EventLine {
        let line = self.0.recv_timeout(LONG).unwrap();
        read(&line).unwrap_or_else(|| panic!("{line}"))
    }

    /// What comes next: whether it opened, and its cookie.
    fn take(&self, count: usize) -> Vec<(bool, u64)> {
        let lines = (0..count).map(|_| self.next());
        let said = lines.map(|line| {
            let cookie = line.uuid.rsplit_once('_').unwrap().1;
            let cookie = u64::from_str_radix(cookie, 16).unwrap();
            (line.kind == EventKind::Open, cookie)
        });
        said.collect()
    }
}

/// Waits until something is so, serving all the while.
fn until(socket: &mut EventSocket, all: &[u64], is_so: impl Fn(EventCounts) -> bool) {
    let begin = Instant::now();
    while !is_so(socket.counts()) {
        assert!(begin.elapsed() < LONG, "{:?}", socket.counts());
        serve(socket, all);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn clients_are_told_of_what_comes_in_lines_of_tcp_info_until_the_end() {
    let place = Place::new("two");
    let mut socket = place.start(Patience::default());
    open(&mut socket, 1);
    serve(&mut socket, &[1]);
    let first = Lines::of(&place);
    until(&mut socket, &[1], |counts| counts.clients == 1);
    open(&mut socket, 2);
    serve(&mut socket, &[1, 2]);
    assert_eq!(
        first.0.recv_timeout(LONG).unwrap(),
        "{\"Event\":0,\"Timestamp\":\"1970-01-01T00:00:00.000000002Z\",\"UUID\":\"h_1_unsafe_0000000000000002\",\
         \"ID\":{\"SPort\":80,\"DPort\":40000,\"SrcIP\":\"10.0.0.1\",\"DstIP\":\"10.0.0.2\",\"Interface\":0,\"Cookie\":2}}"
    );
    let second = Lines::of(&place);
    until(&mut socket, &[1, 2], |counts| counts.clients == 2);
    close(&mut socket, 1);
    open(&mut socket, 3);
    serve(&mut socket, &[2, 3]);
    for lines in [&first, &second] {
        assert_eq!(lines.take(2), [(false, 1), (true, 3)]);
    }
    // What was told last is written, also when the end comes at once.
    close(&mut socket, 3);
    let counts = socket.finish();
    assert_eq!((counts.refused, counts.dropped), (0, 0));
    for lines in [first, second] {
        assert_eq!(lines.take(1), [(false, 3)]);
        assert!(lines.0.recv_timeout(LONG).is_err());
    }
    assert!(!place.socket().exists());
}

#[test]
fn who_asks_at_once_is_told_of_all_that_is_open_and_then_of_what_comes_nothing_twice() {
    let place = Place::new("replay");
    let mut socket = place.start(Patience::default());
    let mut lines = Lines::of(&place);
    lines.1.write_all(b"REPLAY\r\n").unwrap();
    until(&mut socket, &[], |counts| counts.clients == 1);
    // Handed over before the replay is given, or after: both are so in some runs.
    for cookie in 1..=1000 {
        open(&mut socket, cookie);
    }
    let all: Vec<u64> = (1..=1000).collect();
    serve(&mut socket, &all);
    let expected: Vec<_> = all.iter().map(|cookie| (true, *cookie)).collect();
    assert_eq!(lines.take(1000), expected);
    close(&mut socket, 7);
    open(&mut socket, 1001);
    serve(&mut socket, &[]);
    assert_eq!(lines.take(2), [(false, 7), (true, 1001)]);
    // Once more, in the midst: what is open is told again.
    lines.1.write_all(b"what\nreplay\n").unwrap();
    let begin = Instant::now();
    let again = loop {
        serve(&mut socket, &[5, 6]);
        if let Ok(line) = lines.0.recv_timeout(Duration::from_millis(5)) {
            break line;
        }
        assert!(begin.elapsed() < LONG);
    };
    assert!(again.contains("_0000000000000005\""), "{again}");
    assert_eq!(lines.take(1), [(true, 6)]);
}

#[test]
fn a_client_that_shuts_its_end_down_after_asking_is_told_all_the_same() {
    let place = Place::new("half");
    let mut socket = place.start(Patience::default());
    let mut lines = Lines::of(&place);
    lines.1.write_all(b"REPLAY").unwrap();
    lines.1.shutdown(std::net::Shutdown::Write).unwrap();
    until(&mut socket, &[4], |counts| counts.clients == 1);
    let begin = Instant::now();
    let told = loop {
        serve(&mut socket, &[4]);
        if let Ok(line) = lines.0.recv_timeout(Duration::from_millis(5)) {
            break line;
        }
        assert!(begin.elapsed() < LONG);
    };
    assert!(told.contains("_0000000000000004\""), "{told}");
    open(&mut socket, 5);
    serve(&mut socket, &[]);
    assert_eq!(lines.take(1), [(true, 5)]);
}

#[test]
fn one_that_never_reads_is_dropped_and_counted_and_ten_thousand_events_are_none_the_slower() {
    let place = Place::new("deaf");
    let mut socket = place.start(Patience {
        behind: 2000,
        ..Patience::default()
    });
    let deaf = UnixStream::connect(place.socket()).unwrap();
    let lines = Lines::of(&place);
    until(&mut socket, &[], |counts| counts.clients == 2);
    let mut slowest = Duration::ZERO;
    for round in 0..100 {
        let begin = Instant::now();
        for cookie in 0..100 {
            open(&mut socket, 100 * round + cookie);
        }
        serve(&mut socket, &[]);
        slowest = slowest.max(begin.elapsed());
        let first = lines.take(100)[0];
        assert_eq!(first, (true, 100 * round));
    }
    // It was never waited for: not for as long as a client has for reading.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    until(&mut socket, &[], |counts| counts.dropped == 1);
    let counts = socket.counts();
    assert_eq!((counts.clients, counts.dropped), (1, 1));
    assert_eq!(counts.limit_hits(), [("event_clients_behind", 1)]);
    // The ring is no longer than it must be.
    assert!(socket.hub.waiting() == 0);
    // What was written before is there yet, in whole or broken lines, and then it ends.
    let mut rest = Vec::new();
    let mut deaf = deaf;
    deaf.set_read_timeout(Some(LONG)).unwrap();
    deaf.read_to_end(&mut rest).unwrap();
    assert!(rest.starts_with(b"{\"Event\":0,"));
    assert!(rest.len() < 3000 * 200, "{}", rest.len());
}

#[test]
fn one_that_takes_nothing_for_too_long_is_dropped_also_when_little_happens() {
    let place = Place::new("slow");
    let mut socket = place.start(Patience {
        silence: Duration::from_millis(200),
        ..Patience::default()
    });
    let _deaf = UnixStream::connect(place.socket()).unwrap();
    until(&mut socket, &[], |counts| counts.clients == 1);
    // More than a unix socket takes; far fewer than it may be behind.
    for cookie in 0..20_000 {
        open(&mut socket, cookie);
    }
    until(&mut socket, &[], |counts| counts.dropped == 1);
    assert_eq!((socket.counts().clients, socket.hub.waiting()), (0, 0));
}

#[test]
fn only_so_many_are_told_and_who_leaves_makes_room() {
    let place = Place::new("many");
    let mut socket = place.start(Patience::default());
    let mut all: Vec<_> = (0..CLIENTS).map(|_| Lines::of(&place)).collect();
    until(&mut socket, &[], |counts| counts.clients == CLIENTS as u64);
    let refused = Lines::of(&place);
    assert!(refused.0.recv_timeout(LONG).is_err());
    until(&mut socket, &[], |counts| counts.refused == 1);
    let left = all.pop().unwrap();
    left.1.shutdown(std::net::Shutdown::Both).unwrap();
    until(&mut socket, &[], |counts| counts.clients < CLIENTS as u64);
    // Its thread ends a moment later.
    let begin = Instant::now();
    let _late = loop {
        let late = Lines::of(&place);
        until(&mut socket, &[], |counts| counts.clients > 0);
        open(&mut socket, 9);
        serve(&mut socket, &[]);
        match late.0.recv_timeout(Duration::from_millis(300)) {
            Ok(_) => break late,
            Err(_) => assert!(begin.elapsed() < LONG),
        }
    };
}

#[test]
fn only_a_socket_that_nobody_listens_at_is_replaced_and_its_group_may_connect() {
    let place = Place::new("file");
    let socket = place.start(Patience::default());
    let mode = std::fs::metadata(place.socket()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o660);
    let error = place.bind().err().unwrap().to_string();
    assert!(
        error.contains(
            "another program answers there; stop it or choose another path with --event-socket"
        ),
        "{error}"
    );
    socket.finish();
    // Left by one that was killed.
    drop(UnixListener::bind(place.socket()).unwrap());
    assert!(place.socket().exists());
    place.start(Patience::default()).finish();
    std::fs::write(place.socket(), "mine").unwrap();
    let error = place.bind().err().unwrap().to_string();
    assert!(
        error.contains("there is a file that is no socket"),
        "{error}"
    );
}
