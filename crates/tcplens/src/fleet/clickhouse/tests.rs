//! How a reading gets on at a server that stands in, over a real socket. A real one: tests/clickhouse.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use tcplens_core::view::fleet::FleetRange;

use super::*;

/// 2026-11-21T00:00:00Z, in hours.
const DAY: i64 = 498_672;
const HOUR: i64 = 3600 * SECOND;

/// Hours that have rollups, each with what tells its rows from others.
type Hours = [(i64, u64)];

/// What is told of hours. They have no rows, so that an answer without any is whole.
fn counted(hours: &Hours) -> Vec<u8> {
    let mut out = vec![3, u8::try_from(hours.len()).unwrap()];
    let column = |&(hour, version): &(i64, u64), n| match n {
        b'0' => DAY + hour,
        b'1' => 0,
        _ => version.cast_signed(),
    };
    for n in b'0'..b'3' {
        out.extend_from_slice(&[2, b'c', n, 5]);
        out.extend_from_slice(b"Int64");
        let values = hours.iter().map(|hour| column(hour, n).to_le_bytes());
        values.for_each(|value| out.extend_from_slice(&value));
    }
    out
}

/// The SQL of a request.
fn question(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// Brings a reading up to date with these hours when there is no time at all; the hours that were asked for then.
fn bring(reading: &mut Reading, hours: &Hours) -> Vec<i64> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let counted = counted(hours);
    let asked = thread::spawn(move || {
        let mut asked = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let sql = question(&mut stream);
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
            if sql == "no more" {
                return asked;
            }
            if sql.starts_with("SELECT intDiv(time, 3600000000000) ") {
                stream.write_all(&counted).unwrap();
                continue;
            }
            let from = sql.split("time >= ").nth(1).unwrap();
            let from: i64 = from.split(' ').next().unwrap().parse().unwrap();
            asked.push(from / HOUR - DAY);
        }
    });
    let target: Target = format!("clickhouse://{at}/net").parse().unwrap();
    let source = ClickHouse {
        reader: ClickHouseReader::new(Server::new(&target).unwrap()),
        name: target.to_string(),
    };
    source.bring(reading, &|| true).unwrap();
    let mut last = TcpStream::connect(at).unwrap();
    last.write_all(b"POST / HTTP/1.0\r\nContent-Length: 7\r\n\r\nno more")
        .unwrap();
    asked.join().unwrap()
}

#[test]
fn a_reading_without_time_gets_on_by_a_part_each_time_and_to_what_may_change_last() {
    let [from, until] = [DAY, DAY + 8].map(|hour| Timestamp(hour * HOUR));
    let mut reading = Reading::new(FleetRange::of(from, until), FleetFilter::default());
    // With gaps, so that none is read together with another.
    let mut hours = [(0, 1), (2, 1), (4, 1), (6, 1)];
    for (hour, unread) in [(0, 3), (2, 2), (4, 1), (6, 0)] {
        assert_eq!(bring(&mut reading, &hours), [hour]);
        assert_eq!(reading.unread, unread, "{hour}");
    }
    assert_eq!(bring(&mut reading, &hours), []);
    // Only what changed is read again: the newest hour, and one that is new.
    hours[3] = (6, 2);
    assert_eq!(bring(&mut reading, &hours), [6]);
    let more = [&hours[..], &[(7, 1)]].concat();
    assert_eq!(bring(&mut reading, &more), [7]);
    assert_eq!((reading.parts(), reading.unread), (5, 0));
    // What came late for an earlier one has all of it read again.
    hours[0] = (0, 2);
    assert_eq!(bring(&mut reading, &hours), [0]);
    assert_eq!((reading.parts(), reading.unread), (1, 3));
}
