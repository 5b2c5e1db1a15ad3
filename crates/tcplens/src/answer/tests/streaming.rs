//! Streams of records.

use super::super::Kinds;
use super::request::request;
use super::*;

/// The lines of a stream, and the records that it says are missing.
fn received(stream: UnixStream) -> (usize, u64) {
    let (mut records, mut missing) = (0, 0);
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        match line.strip_prefix("{\"kind\":\"dropped\",\"records\":") {
            Some(rest) => missing += rest.trim_end_matches('}').parse::<u64>().unwrap(),
            None => {
                assert!(
                    line.starts_with("{\"kind\":\"") && line.ends_with('}'),
                    "{line}"
                );
                records += 1;
            }
        }
    }
    (records, missing)
}

/// A stream that the desk knows of.
fn subscribe(instance: &Instance, question: &str) -> UnixStream {
    let before = instance.with(|desk| desk.streams());
    let mut stream = instance.connect();
    stream.write_all(question.as_bytes()).unwrap();
    let begin = Instant::now();
    while instance.with(|desk| desk.streams()) == before {
        assert!(begin.elapsed() < LONG);
    }
    stream
}

#[test]
fn records_come_as_they_become_final_until_the_run_ends() {
    let instance = Instance::new("stream", settings());
    let mut all = BufReader::new(subscribe(&instance, "records\n"));
    // One who sends no more still listens.
    let requests = subscribe(&instance, "records request\n");
    requests.shutdown(Shutdown::Write).unwrap();
    let mut requests = BufReader::new(requests);
    instance.handshakes(vec![handshake(1, "192.0.2.7", "10.0.0.1", 80)]);
    instance.requests(request(6379, 2));
    let mut line = String::new();
    all.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"kind\":\"handshake\","), "{line}");
    line.clear();
    all.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"kind\":\"request\","), "{line}");
    let mut other = String::new();
    requests.read_line(&mut other).unwrap();
    assert_eq!(other, line);
    instance.with(|desk| {
        let connection = records::connection(1, "192.0.2.7", "10.0.0.1", 6379);
        desk.record(AnyRecord::Connection(&connection));
    });
    instance.finish();
    let rest = text(&mut all);
    assert!(rest.starts_with("{\"kind\":\"connection\",") && rest.lines().count() == 1);
    assert_eq!(text(&mut requests), "");
}

#[test]
fn one_who_does_not_read_misses_records_that_are_counted_and_holds_nobody_up() {
    const RECORDS: usize = 50_000;
    let instance = Instance::new("unread", settings());
    let asleep = subscribe(&instance, "records\n");
    let awake = subscribe(&instance, "records handshake\n");
    let reader = std::thread::spawn(move || received(awake));
    let one = handshake(1, "192.0.2.7", "10.0.0.1", 80);
    for _ in 0..RECORDS / 1000 {
        instance.handshakes(vec![one.clone(); 1000]);
    }
    // 20 MB have passed, and everybody else is answered.
    assert!(
        instance
            .ask(b"GET\n")
            .contains(&format!("\"total\":{RECORDS}"))
    );
    assert_eq!(instance.stats(), "{}\n");
    let dropped = instance.with(|desk| desk.dropped());
    let [("socket", dropped)] = dropped[..] else {
        panic!("{dropped:?}");
    };
    // It wakes up.
    let late = std::thread::spawn(move || received(asleep));
    let begin = Instant::now();
    while instance.with(|desk| desk.owes()) {
        assert!(begin.elapsed() < LONG);
    }
    assert_eq!(instance.with(|desk| desk.dropped()), [("socket", dropped)]);
    instance.finish();
    let (awake, asleep) = (reader.join().unwrap(), late.join().unwrap());
    for (records, missing) in [awake, asleep] {
        assert_eq!(records as u64 + missing, RECORDS as u64);
    }
    assert_eq!(awake.1 + asleep.1, dropped);
    assert!(asleep.1 > 0, "{asleep:?}");
}

#[test]
fn streams_are_bounded_and_those_whose_readers_leave_make_room() {
    let instance = Instance::new("streams", settings());
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| subscribe(&instance, "records connection\n"))
        .collect();
    assert_eq!(
        instance.ask(b"records\n"),
        "{\"error\":\"16 streams are open already; ask again later\"}\n"
    );
    assert_eq!(
        instance.with(|desk| desk.refused()),
        [("socket_streams", 1)]
    );
    drop(streams);
    // Though no record told them that nobody reads.
    let begin = Instant::now();
    while !gets_a_record(&instance) {
        assert!(begin.elapsed() < LONG);
    }
    instance.finish();
}

/// Whether a new stream is let in.
fn gets_a_record(instance: &Instance) -> bool {
    let mut stream = instance.connect();
    stream.write_all(b"records handshake\n").unwrap();
    let pace = Duration::from_millis(20);
    stream.set_read_timeout(Some(pace)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let begin = Instant::now();
    // The first records may come before the desk knows of the stream.
    while reader.read_line(&mut line).is_err() {
        assert!(begin.elapsed() < LONG);
        instance.handshakes(vec![handshake(1, "192.0.2.7", "10.0.0.1", 80)]);
    }
    line.starts_with("{\"kind\":\"handshake\"")
}

#[test]
fn the_end_comes_soon_whoever_is_there() {
    let instance = Instance::new("end", settings());
    let asleep = subscribe(&instance, "records\n");
    let silent = instance.connect();
    let statistics = TcpStream::connect(instance.servers.stats_address().unwrap()).unwrap();
    let one = handshake(1, "192.0.2.7", "10.0.0.1", 80);
    instance.handshakes(vec![one; 20_000]);
    let place = instance.finish();
    assert!(!place.socket().exists());
    drop((asleep, silent, statistics));
}

#[test]
fn without_a_socket_nothing_is_counted() {
    let place = Place::new("none");
    let answering = Answering {
        stats_port: None,
        socket: None,
        ..place.answering()
    };
    let listeners = Listeners::bind(&answering).unwrap();
    assert_eq!(listeners.wanted(), Kinds::default());
    let instance = Instance::of(listeners, settings(), place);
    assert!(instance.servers.stats_address().is_none());
    assert!(instance.servers.socket_path().is_none());
    instance.handshakes(vec![handshake(1, "192.0.2.7", "10.0.0.1", 80)]);
    instance.finish();
}
