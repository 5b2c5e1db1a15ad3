//! Against a server that misbehaves: whatever it does, each batch is stored once or told to be dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use super::*;

/// What the server does with an insert.
#[derive(Clone, Copy, Debug)]
enum Act {
    Take,
    /// Closes before it has read the body.
    Lose,
    /// Stores it, and closes without an answer.
    TakeAndClose,
    /// Says no.
    Refuse(u32),
    /// Stores it, and says no: a view failed.
    TakeAndRefuse,
    /// Closes, and goes on storing until it was asked so often.
    TakeLater(u32),
}

#[derive(Default)]
struct Mock {
    acts: VecDeque<Act>,
    /// By id: how often it was stored.
    stored: BTreeMap<String, u32>,
    /// By id: how many questions later it is stored.
    running: BTreeMap<String, u32>,
    is_down: bool,
    /// What it answers to the next questions instead: the status and the words.
    refusals: VecDeque<(u32, &'static str)>,
    /// Its tables, as it lists them.
    tables: &'static str,
    asked: Vec<String>,
}

struct Place {
    mock: Arc<Mutex<Mock>>,
    spool: PathBuf,
    server: Server,
    said: Arc<Mutex<Vec<String>>>,
}

fn place(name: &str, acts: &[Act]) -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mock = Arc::new(Mutex::new(Mock {
        acts: acts.iter().copied().collect(),
        ..Mock::default()
    }));
    let url = format!("clickhouse://joe@{}/net", listener.local_addr().unwrap());
    let served = Arc::clone(&mock);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let served = Arc::clone(&served);
            thread::spawn(move || serve(stream.unwrap(), &served));
        }
    });
    let path = std::env::temp_dir().join(format!("tcplens-sender-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path); // of an earlier run that failed
    Place {
        mock,
        spool: path,
        server: Server::new(&url.parse().unwrap()).unwrap(),
        said: Arc::default(),
    }
}

/// Speaks as much HTTP as is needed, and as much SQL.
fn serve(mut stream: TcpStream, mock: &Mutex<Mock>) {
    let mut from = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut first) = (0, String::new());
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut mock = mock.lock().unwrap();
        if mock.is_down {
            return;
        }
        let id = first
            .split_once("query_id=")
            .map(|(_, rest)| rest.split(['&', ' ']).next().unwrap().to_owned());
        let act = id
            .as_ref()
            .map(|_| mock.acts.pop_front().unwrap_or(Act::Take));
        if let Some(Act::Lose) = act {
            return;
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).unwrap();
        let (status, answer) = match (act, id) {
            (Some(act), Some(id)) => {
                mock.asked.push("insert".into());
                match act {
                    Act::Refuse(code) => (
                        500,
                        format!("Code: {code}, e.displayText() = DB::Exception: no\n"),
                    ),
                    Act::TakeLater(asks) => {
                        mock.running.insert(id, asks);
                        return;
                    }
                    _ => {
                        *mock.stored.entry(id).or_default() += 1;
                        match act {
                            Act::TakeAndClose => return,
                            Act::TakeAndRefuse => (
                                500,
                                "Code: 241, e.displayText() = DB::Exception: view\n".into(),
                            ),
                            _ => (200, String::new()),
                        }
                    }
                }
            }
            _ => match mock.refusals.pop_front() {
                Some((status, why)) => (status, why.into()),
                None => (200, mock.answer(&String::from_utf8(body).unwrap())),
            },
        };
        let reply = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

impl Mock {
    fn answer(&mut self, sql: &str) -> String {
        if sql == "SELECT version()" {
            return "18.16.1\n".into();
        }
        if sql.contains("system.tables") {
            return self.tables.into();
        }
        let id = sql.rsplit('\'').nth(1).unwrap_or_default().to_owned();
        if sql.contains("system.processes") {
            self.asked.push("running".into());
            let Some(left) = self.running.get_mut(&id) else {
                return "0\n".into();
            };
            *left -= 1;
            if *left == 0 {
                self.running.remove(&id);
                *self.stored.entry(id).or_default() += 1;
            }
            return "1\n".into();
        }
        self.asked.push("stored".into());
        format!("{}\n", u32::from(self.stored.contains_key(&id)))
    }
}

fn batch(n: u64) -> Batch {
    let id = format!("tcplens-web-{n:016x}");
    Batch {
        table: "requests".into(),
        rows: 10,
        columns: "host".into(),
        probe: format!("id = '{id}'"),
        id,
        body: vec![7; 1000],
    }
}

impl Place {
    fn start(&self, run: &str, limit: u64, waits: bool) -> Sender {
        self.start_with(run, limit, waits, &[])
    }

    fn start_with(&self, run: &str, limit: u64, waits: bool, tables: &[&'static str]) -> Sender {
        let (spool, found) = Spool::open(&self.spool, self.server.target(), run).unwrap();
        let said = Arc::clone(&self.said);
        let how = How {
            limit,
            files: 5,
            waits,
            say: Arc::new(move |what| said.lock().unwrap().push(what.to_owned())),
            told: None,
            tables: tables.to_vec(),
        };
        Sender::start(self.server.clone(), spool, found, how).unwrap()
    }

    fn stored(&self) -> Vec<u32> {
        self.mock.lock().unwrap().stored.values().copied().collect()
    }

    fn done(self) {
        std::fs::remove_dir_all(&self.spool).unwrap();
    }
}

const MIB: u64 = 1 << 20;
const LONG: Duration = Duration::from_secs(60);

#[test]
fn whatever_the_server_does_with_it_a_batch_is_stored_once() {
    for (n, act) in [
        Act::Lose,
        Act::TakeAndClose,
        Act::Refuse(252),
        Act::TakeAndRefuse,
        Act::TakeLater(2),
        // It runs already, as an attempt that was given up.
        Act::Refuse(216),
    ]
    .into_iter()
    .enumerate()
    {
        let place = place(&format!("once{n}"), &[act]);
        let mut sender = place.start("1", MIB, true);
        sender.submit(batch(1)).unwrap();
        sender.submit(batch(2)).unwrap();
        let counts = sender.finish(LONG);
        assert_eq!(place.stored(), [1, 1], "{act:?}");
        assert_eq!(
            (counts.stored, counts.dropped, counts.waiting),
            (20, 0, 0),
            "{act:?}"
        );
        let asked = place.mock.lock().unwrap().asked.clone();
        let inserts = asked.iter().filter(|what| *what == "insert").count();
        let needless = matches!(
            act,
            Act::TakeAndClose | Act::TakeAndRefuse | Act::TakeLater(_) | Act::Lose
        );
        assert_eq!(inserts, if needless { 2 } else { 3 }, "{act:?}: {asked:?}");
        let said = place.said.lock().unwrap().clone();
        match act {
            Act::Refuse(216) => assert_eq!(said, Vec::<String>::new()),
            _ => {
                assert!(
                    said[0].ends_with("(records are kept and sent when it takes them)"),
                    "{said:?}"
                );
                assert!(
                    said[1].ends_with("takes records again, 1 batches wait"),
                    "{said:?}"
                );
                assert_eq!(said.len(), 2, "{said:?}");
            }
        }
        drop(sender);
        place.done();
    }
}

#[test]
fn what_the_server_calls_no_data_is_dropped_after_three_attempts_and_said() {
    let place = place("bad", &[Act::Refuse(33); 3]);
    let mut sender = place.start("1", MIB, false);
    sender.submit(batch(1)).unwrap();
    sender.submit(batch(2)).unwrap();
    let counts = sender.finish(LONG);
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (10, 10, 0));
    let said = place.said.lock().unwrap().join("\n");
    assert!(
        said.contains("10 records are dropped, for the server cannot take them as requests: "),
        "{said}"
    );
    place.done();
}

#[test]
fn a_full_spool_drops_what_is_new_and_the_next_run_sends_the_rest_asking_first() {
    let place = place("full", &[Act::TakeAndClose]);
    place.mock.lock().unwrap().is_down = true;
    // Room for three batches with their heads.
    let mut sender = place.start("1", 3600, false);
    for n in 1..=5 {
        sender.submit(batch(n)).unwrap();
        sender.spooled();
    }
    let counts = sender.finish(Duration::from_millis(10));
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (0, 20, 3));
    let said = place.said.lock().unwrap().join("\n");
    assert!(said.contains("records are dropped: the spool "), "{said}");
    assert!(said.contains("is full (3600 bytes)"), "{said}");
    drop(sender);
    place.mock.lock().unwrap().is_down = false;
    // The lock goes when the threads have ended.
    let deadline = Instant::now() + LONG;
    let (mut next, mut run) = (place.start("2", MIB, false), 2);
    while next.counts().waiting + next.counts().stored == 0 {
        assert!(Instant::now() < deadline, "what was left is not found");
        next.finish(Duration::from_millis(10));
        run += 1;
        next = place.start(&run.to_string(), MIB, false);
    }
    let counts = next.finish(LONG);
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (30, 0, 0));
    assert_eq!(place.stored(), [1, 1, 1]);
    assert_eq!(place.mock.lock().unwrap().asked[0], "running");
    place.done();
}

#[test]
fn batches_come_into_the_spool_while_the_server_is_looked_at_and_stay_there_where_it_refuses() {
    let place = place("look", &[]);
    // It answers nothing as long as this is held.
    let held = place.mock.lock().unwrap();
    let mut sender = place.start_with("1", MIB, false, &["requests"]);
    sender.submit(batch(1)).unwrap();
    sender.spooled();
    assert_eq!((sender.counts().waiting, held.asked.len()), (1, 0));
    assert!(sender.failure().is_none());
    drop(held);
    let counts = sender.finish(LONG);
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (0, 0, 1));
    let failure = sender.failure().unwrap();
    assert_eq!(failure.code(), Some(60));
    let told = failure.to_string();
    assert!(told.contains("there is no table net.requests"), "{told}");
    assert_eq!(place.said.lock().unwrap().len(), 0);
    // The threads have ended, and the spool is closed: the next run has it.
    place.mock.lock().unwrap().tables = "requests\tMergeTree\n";
    let mut next = place.start_with("2", MIB, false, &["requests"]);
    assert_eq!(next.counts().waiting, 1);
    let counts = next.finish(LONG);
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (10, 0, 0));
    assert!(next.failure().is_none());
    // Nothing waits, nothing is left.
    let runs = std::fs::read_dir(&place.spool).unwrap();
    let runs = runs.flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap());
    assert_eq!(runs.count(), 0);
    place.done();
}

#[test]
fn what_the_server_refuses_at_the_start_and_may_pass_is_told_and_what_waits_is_sent_after_a_look() {
    let busy = "Code: 202, e.displayText() = DB::Exception: Too many simultaneous queries\n";
    for (n, (refusal, expected)) in [
        ((500, busy), "refuses: Too many simultaneous queries"),
        (
            (503, "<html>nginx</html>\n"),
            "HTTP status 503: <html>nginx</html>",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let place = place(&format!("passes{n}"), &[]);
        {
            let mut mock = place.mock.lock().unwrap();
            mock.refusals.push_back(refusal);
            mock.tables = "requests\tDistributed\n";
        }
        let mut sender = place.start_with("1", MIB, false, &["requests"]);
        sender.submit(batch(1)).unwrap();
        let said = |n: usize| place.said.lock().unwrap().get(n).cloned();
        let deadline = Instant::now() + LONG;
        while said(1).is_none() {
            assert!(Instant::now() < deadline, "{:?}", said(0));
            thread::sleep(Duration::from_millis(5));
        }
        let first = said(0).unwrap();
        assert!(first.contains(expected), "{first}");
        assert!(
            first.ends_with("(records are kept and sent when it takes them)"),
            "{first}"
        );
        // A table that passes rows on is sent nothing.
        let second = said(1).unwrap();
        assert!(
            second.contains("passes rows on to shards (Distributed)"),
            "{second}"
        );
        assert!(sender.failure().is_none());
        place.mock.lock().unwrap().tables = "requests\tMergeTree\n";
        let counts = sender.finish(LONG);
        assert_eq!((counts.stored, counts.dropped, counts.waiting), (10, 0, 0));
        assert_eq!(place.stored(), [1]);
        assert!(sender.failure().is_none());
        place.done();
    }
}

#[test]
fn a_spool_has_no_more_files_than_it_may() {
    let place = place("files", &[]);
    place.mock.lock().unwrap().is_down = true;
    let mut sender = place.start("1", MIB, false);
    // So many tables have news at once that not all find room at once.
    for n in 1..=7 {
        sender.submit(batch(n)).unwrap();
    }
    sender.spooled();
    let counts = sender.finish(Duration::from_millis(10));
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (0, 20, 5));
    assert_eq!(counts.beyond_files, 2);
    let said = place.said.lock().unwrap().join("\n");
    assert!(said.contains("is full (5 files) and "), "{said}");
    place.done();
}

#[test]
fn what_cannot_be_read_now_stays_and_is_sent_later_and_what_is_not_whole_is_counted() {
    let place = place("unread", &[]);
    let (mut spool, _) = Spool::open(&place.spool, place.server.target(), "1").unwrap();
    let left: Vec<_> = (1..=3).map(|n| spool.put(&batch(n)).unwrap()).collect();
    drop(spool);
    // A directory is there and cannot be read; unlike a mode, that holds for root, too.
    let (first, aside) = (&left[0].path, left[0].path.with_extension("aside"));
    std::fs::rename(first, &aside).unwrap();
    std::fs::create_dir(first).unwrap();
    let whole = std::fs::read(&left[1].path).unwrap();
    std::fs::write(&left[1].path, &whole[..whole.len() - 1]).unwrap();
    let mut sender = place.start("2", MIB, true);
    let deadline = Instant::now() + LONG;
    while sender.counts().waiting != 1 {
        assert!(Instant::now() < deadline, "{:?}", sender.counts());
        thread::sleep(Duration::from_millis(5));
    }
    let counts = sender.counts();
    assert_eq!(
        (counts.stored, counts.dropped, counts.unreadable),
        (10, 10, 1)
    );
    let why = sender.trouble().unwrap();
    assert!(
        why.starts_with("cannot read records that wait in "),
        "{why}"
    );
    std::fs::remove_dir(first).unwrap();
    std::fs::rename(&aside, first).unwrap();
    let counts = sender.finish(LONG);
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (20, 10, 0));
    assert_eq!(place.stored(), [1, 1]);
    assert_eq!(sender.trouble(), None);
    let said = place.said.lock().unwrap().clone();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].ends_with("(they are kept, and it is tried again)"),
        "{said:?}"
    );
    assert!(
        said[1].contains("left out, 10 records are dropped: it is not whole"),
        "{said:?}"
    );
    place.done();
}

#[test]
fn a_spool_that_cannot_take_the_last_batch_of_a_files_run_is_a_failure() {
    let place = place("last", &[]);
    let mut sender = place.start("1", MIB, true);
    std::fs::remove_dir_all(&place.spool).unwrap();
    // Whoever waits for the disk may know it at once.
    let at_once = sender.submit(batch(1)).err();
    let counts = sender.finish(LONG);
    assert_eq!((counts.stored, counts.dropped), (0, 10));
    let failure = at_once.or_else(|| sender.failure()).unwrap().to_string();
    assert!(
        failure.starts_with("cannot keep records in the spool "),
        "{failure}"
    );
}
