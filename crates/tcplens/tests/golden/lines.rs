//! tcpkit's request lines, one by one: where it was right, there is a request of ours with the same ends and text, whose
//! response begins at the time of its line, after its milliseconds. (Its time is the response's, ours the request's; its
//! milliseconds end at the first byte of the response, those of our lines at the last.)

use std::collections::BTreeMap;
use std::fs;

use crate::json::Json;
use crate::packets::Packets;
use crate::{Place, golden, records};

/// A line of tcpkit.
struct Line {
    time: String,
    client: String,
    server: String,
    ms: String,
    text: String,
}

/// Lines of a golden output, without colours; other lines are left out.
fn lines(text: &str) -> Vec<Line> {
    let text = text.replace("\x1b[32m", "").replace("\x1b[0m", "");
    let line = |line: &str| {
        let (head, rest) = line.split_once(" | ")?;
        let (ms, text) = rest.split_once(" ms | ")?;
        let [day, time, client, "=>", server] = head.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Line {
            time: format!("{day}T{time}"),
            client: client.to_owned(),
            server: server.to_owned(),
            ms: ms.to_owned(),
            text: text.to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// ns of a time of day, whatever the day.
fn of_day(time: &str) -> i64 {
    let (_, clock) = time.trim_end_matches('Z').split_once('T').unwrap();
    let (clock, fraction) = clock.split_once('.').unwrap();
    let seconds = clock
        .split(':')
        .fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    seconds * 1_000_000_000 + format!("{fraction:0<9}").parse::<i64>().unwrap()
}

fn ends(record: &Json) -> (String, String) {
    let end = |side: &str| {
        let (ip, port) = (format!("{side}_ip"), format!("{side}_port"));
        format!("{}:{}", record.word(&ip), record.word(&port))
    };
    (end("client"), end("server"))
}

/// Until the first byte of the response, in ns.
fn to_first_byte(record: &Json) -> Option<i64> {
    Some(record.thousandths("upload_us")? + record.thousandths("process_us")?)
}

/// Whether a request is what a line tells, but for the text, `off` ns up or down.
fn is(record: &Json, line: &Line, off: i64) -> bool {
    let Some(took) = to_first_byte(record) else {
        return false;
    };
    let began = of_day(&record.word("time"));
    let ms = (line.ms.parse::<f64>().unwrap() * 1e6).round() as i64;
    ends(record) == (line.client.clone(), line.server.clone())
        && (took - ms).abs() <= off
        && (began + took - of_day(&line.time)).abs() <= off
}

/// What is wrong in tcpkit's lines of a capture, its text for ours, or `None` where the line is no request at all.
type Mangled<'m> = &'m [(&'m str, Option<&'m str>)];

#[track_caller]
fn compare(requests: &[Json], theirs: &[Line], mangled: Mangled<'_>) {
    let mut missing = Vec::new();
    for line in theirs {
        let known = mangled.iter().find(|(text, _)| *text == line.text);
        let text = match known {
            Some((_, None)) => continue,
            Some((_, Some(text))) => text,
            None => line.text.as_str(),
        };
        let is_it = |r: &&Json| is(r, line, 0) && r.word("summary") == text;
        if requests.iter().filter(is_it).count() != 1 {
            missing.push(format!("{} {} ms {text}", line.time, line.ms));
        }
    }
    assert!(missing.is_empty(), "not there once: {missing:#?}");
}

#[test]
fn where_tcpkits_lines_are_right_ours_tell_the_same() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let big = format!("SET big {}", "v".repeat(120));
    for (capture, output, count, mangled) in [
        (
            "redis.pcap",
            "head.redis.out",
            18,
            &[
                // K3: of a pipeline the first.
                ("GET x1 $3 $2 *2 GET x3", Some("GET x1")),
                // 3.8: a value with a line end, one that goes on in the next segment, a request in two segments.
                ("SET bin a", Some("SET bin a\\r\\nb\\x00c")),
                ("SET big", Some(big.as_str())),
                ("SET", Some("SET split 0123456789")),
            ][..],
        ),
        (
            "memcached.pcap",
            "head.memcached.out",
            8,
            // K4: `get nr` with another's text and time.
            &[("set nr 0 0 1 noreply1z", None)],
        ),
        ("memcached.pcap", "v1.memcached.out", 5, &[]),
        (
            "http.pcap",
            "head.http.out",
            4,
            // K19: no blank between the lines. Ours has method and host, no version.
            &[
                (
                    "GET /big.txt HTTP/1.1VHost: x.test",
                    Some("GET x.test/big.txt"),
                ),
                (
                    "GET /missing HTTP/1.1VHost: x.test",
                    Some("GET x.test/missing"),
                ),
                ("GET /i.txt HTTP/1.1", None),
            ],
        ),
    ] {
        let requests = records("request", golden.join(capture), &[]);
        let theirs = fs::read(golden.join(output)).unwrap();
        let theirs = lines(&String::from_utf8_lossy(&theirs));
        assert_eq!(theirs.len(), count, "{output}");
        compare(&requests, &theirs, mangled);
    }
    // Twice the same text, for different hosts.
    let http = records("request", golden.join("http.pcap"), &[]);
    let theirs = fs::read(golden.join("head.http.out")).unwrap();
    let theirs = lines(&String::from_utf8_lossy(&theirs));
    for (line, text) in [(0, "GET x.test/i.txt"), (3, "GET a/i.txt")] {
        assert!(is(crate::asking(&http, text), &theirs[line], 0), "{text}");
    }
}

#[test]
fn every_bucket_edge_is_the_millisecond_that_tcpkit_printed() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("edges-lines");
    let capture = place.path("edges.pcap");
    Packets::read(golden.join("redis-edges.pcap"))
        .renumbered()
        .save(&capture);
    let requests = records("request", &capture, &[]);
    let theirs = fs::read_to_string(golden.join("head.edges.out")).unwrap();
    let theirs = lines(&theirs);
    assert_eq!(theirs.len(), 36);
    let known: Vec<_> = theirs
        .into_iter()
        // K21 negative, K20 a keepalive's.
        .filter(|line| line.ms.parse::<f64>().unwrap() >= 0.0 && !line.text.is_empty())
        .collect();
    assert_eq!(known.len(), 34);
    // Keys of nine bytes in values that say eight: redis reads as many as they say, and so do we.
    let keys = [
        "10000000", "10000001", "20000000", "20000001", "25000000", "60000000",
    ];
    let keys = keys.map(|key| (format!("GET k{key}"), format!("GET k{}", &key[..7])));
    let shorter = keys
        .iter()
        .map(|(theirs, ours)| (theirs.as_str(), Some(ours.as_str())));
    // The server that speaks first: of its login tcpkit shows the first byte; to us it is a turn, without text.
    let login = ("\u{5}", Some(""));
    let mangled: Vec<_> = shorter.chain([login]).collect();
    compare(&requests, &known, &mangled);
}

/// The old program had a socket of its own on lo: most of its times are those of the capture to the microsecond, the others
/// nearly. So each client's lines are compared in their order.
#[test]
fn a_live_runs_requests_are_those_that_tcpkit_saw_live() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let requests = records("request", golden.join("live.pcap"), &[]);
    let theirs = fs::read_to_string(golden.join("live.head.out")).unwrap();
    let theirs = lines(&theirs);
    assert_eq!((requests.len(), theirs.len()), (4007, 4006));
    let mut ours = BTreeMap::<String, Vec<&Json>>::new();
    for record in &requests {
        ours.entry(ends(record).0).or_default().push(record);
    }
    for requests in ours.values_mut() {
        requests.sort_by_key(|r| r.word("task").parse::<u64>().unwrap());
        requests.reverse();
    }
    let (mut mangled, mut exact) = (Vec::new(), 0);
    for line in &theirs {
        let record = ours.get_mut(&line.client).unwrap().pop().unwrap();
        assert!(
            is(record, line, 50_000),
            "{} {} {}",
            line.time,
            line.client,
            line.ms
        );
        exact += usize::from(is(record, line, 1_000));
        if record.word("summary") != line.text {
            mangled.push((line.text.as_str(), record.word("summary")));
        }
    }
    assert!(exact > 3900, "{exact} of 4006 to the microsecond");
    // K3: two in one segment were one.
    let first = ("CONFIG GET save $6 $3 $10", "CONFIG GET save".to_owned());
    assert_eq!(mangled, [first]);
    let left = ours.values().flatten().map(|r| r.word("summary"));
    assert_eq!(left.collect::<Vec<_>>(), ["CONFIG GET appendonly"]);
}
