//! What is asked for in parts, and answers that are not whole: from a server that stands in, over a real socket. A real one:
//! tests/clickhouse of the binary.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::super::Target;
use super::super::block::{number, text};
use super::*;

#[test]
fn as_many_stretches_are_read_at_once_as_the_bound_allows() {
    let stretches = |rows: &[u64]| -> Vec<Stretch> {
        let hours = (0..).map(|n| Timestamp(n * HOUR));
        let stretches = hours.zip(rows).map(|(from, &rows)| Stretch {
            time: (from, from.plus(HOUR)),
            rows,
            version: 0,
        });
        stretches.collect()
    };
    let of = |rows: &[u64]| first_part(&stretches(rows));
    assert_eq!(of(&[PART_ROWS / 2, PART_ROWS / 2, 1]), 2);
    assert_eq!(of(&[PART_ROWS + 1, 1]), 1);
    assert_eq!(of(&[1, PART_ROWS]), 1);
    assert_eq!(of(&[1, 2, 3]), 3);
    let mut gap = stretches(&[1, 2, 3]);
    gap.remove(1);
    assert_eq!(first_part(&gap), 1);
}

#[test]
fn a_condition_names_columns_and_a_time_that_tables_can_have() {
    let scope = Scope {
        hosts: vec!["o'h\\".into()],
        server: Some("10.0.0.7:6379".parse().unwrap()),
    };
    let range = within(&(Timestamp(-5)..Timestamp::MAX));
    assert_eq!(
        scope.condition(Some(&range)),
        "time >= 0 AND date >= '1970-01-01' AND time < 4102444800000000000 AND date <= '2100-01-01' AND \
         host IN ('o''h\\\\') AND server_ip = '10.0.0.7' AND server_port = 6379"
    );
    assert_eq!(Scope::default().condition(None), "1");
    let (columns, list) = columns(&fields::<Rollup>()[..6]);
    assert_eq!(columns[1], ("time".to_owned(), Of::Number));
    assert_eq!(
        list,
        "CAST(host, 'String') AS c0, time AS c1, CAST(vantage, 'Nullable(String)') AS c2, \
         CAST(server_ip, 'Nullable(String)') AS c3, server_port AS c4, CAST(protocol, 'Nullable(String)') AS c5, \
         CAST(operation, 'Nullable(String)') AS c6"
    );
}

/// Answers so many questions with these bytes, one after the other, and tells what was asked.
fn server(answers: Vec<Vec<u8>>) -> (ClickHouseReader, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let target: Target = format!("clickhouse://{at}/net").parse().unwrap();
    let asked = thread::spawn(move || {
        let answer = |answer: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let sql = question(&mut stream);
            stream.write_all(&answer).unwrap();
            sql
        };
        answers.into_iter().map(answer).collect()
    });
    (ClickHouseReader::new(Server::new(&target).unwrap()), asked)
}

/// The body of a request.
fn question(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    let head = String::from_utf8(read).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// As a server sends what it does not know the length of. `is_whole`: with the end that says so.
fn chunked(body: &[u8], is_whole: bool) -> Vec<u8> {
    let mut out =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    out.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(if is_whole { b"\r\n0\r\n\r\n" } else { b"\r\n" });
    out
}

/// As a proxy may: it ends where the connection ends.
fn until_closed(body: &[u8]) -> Vec<u8> {
    let mut out = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
    out.extend_from_slice(body);
    out
}

/// One row of three numbers.
fn three(numbers: [i64; 3]) -> Vec<u8> {
    threes(&[numbers])
}

/// Rows of three numbers.
fn threes(rows: &[[i64; 3]]) -> Vec<u8> {
    let mut out = vec![3];
    number(&mut out, rows.len() as u64);
    for n in 0..3 {
        text(&mut out, format!("c{n}").as_bytes());
        text(&mut out, b"Int64");
        let column = rows.iter().map(|row| row[n].to_le_bytes());
        column.for_each(|value| out.extend_from_slice(&value));
    }
    out
}

/// Rollups of these minutes, of host `a`, with nothing in them.
fn rollups(minutes: &[i64]) -> Vec<u8> {
    let rows = minutes.len();
    let (columns, _) = columns(&fields::<Rollup>());
    let mut out = Vec::new();
    number(&mut out, columns.len() as u64);
    number(&mut out, rows as u64);
    for (n, (name, of)) in columns.iter().enumerate() {
        text(&mut out, format!("c{n}").as_bytes());
        match (name.as_str(), of) {
            ("host" | "vantage", _) => {
                text(&mut out, b"String");
                let word: &[u8] = if n == 0 { b"a" } else { b"wire" };
                (0..rows).for_each(|_| text(&mut out, word));
            }
            ("time", _) => {
                text(&mut out, b"Int64");
                let times = minutes.iter().map(|minute| minute * MINUTE);
                times.for_each(|time| out.extend_from_slice(&time.to_le_bytes()));
            }
            (_, Of::List) => {
                text(&mut out, b"Array(Int64)");
                out.extend(std::iter::repeat_n(0, rows * 8));
            }
            (_, of) => {
                let (name, bytes): (&[u8], _) = match of {
                    Of::Text => (b"Nullable(String)", 1),
                    _ => (b"Nullable(Int64)", 8),
                };
                text(&mut out, name);
                out.extend(std::iter::repeat_n(1, rows));
                out.extend(std::iter::repeat_n(0, rows * bytes));
            }
        }
    }
    out
}

/// The minutes that are given of minute 0 to 9, of which the server says that it has four rows.
fn read(answer: Vec<u8>) -> (Vec<i64>, Result<u64, String>, Vec<String>) {
    let (reader, asked) = server(vec![chunked(&three([0, 4, 7]), true), answer]);
    let range = Timestamp(0)..Timestamp(10 * MINUTE);
    let scope = Scope::default();
    let stretches = reader.stretches(&range, &scope).unwrap();
    let expected = Stretch {
        time: (Timestamp(0), Timestamp(10 * MINUTE)),
        rows: 4,
        version: 7,
    };
    assert_eq!(stretches, [expected]);
    let mut minutes = Vec::new();
    let mut each = |host: &str, rollup: Rollup| {
        assert_eq!(host, "a");
        minutes.push(rollup.time.0 / MINUTE);
    };
    let unknown = reader.rollups(&stretches, &scope, &mut each, &mut |_| (), &|| false);
    let unknown = unknown.map_err(|error| error.to_string());
    (minutes, unknown, asked.join().unwrap())
}

#[test]
fn rollups_are_asked_for_by_time_and_host_and_come_in_blocks() {
    let body = [rollups(&[0, 0, 3]), rollups(&[9])].concat();
    let (minutes, unknown, asked) = read(chunked(&body, true));
    assert_eq!((minutes, unknown), (vec![0, 0, 3, 9], Ok(0)));
    assert_eq!(
        asked[0],
        "SELECT intDiv(time, 3600000000000) AS c0, count() AS c1, sum(batch) AS c2 FROM rollups WHERE time >= 0 AND \
         date >= '1970-01-01' AND time < 600000000000 AND date <= '1970-01-01' GROUP BY c0 ORDER BY c0 FORMAT Native"
    );
    assert!(
        asked[1].ends_with(
            " FROM rollups WHERE time >= 0 AND date >= '1970-01-01' AND time < 600000000000 AND date <= '1970-01-01' \
             ORDER BY time, host, batch FORMAT Native"
        ),
        "{}",
        asked[1]
    );
    // Rows may have come since they were counted.
    let (minutes, ..) = read(until_closed(&rollups(&[0, 1, 2, 3, 4])));
    assert_eq!(minutes.len(), 5);
}

#[test]
fn hours_with_many_rollups_cost_one_more_question_however_many_they_are() {
    let large = PART_ROWS.cast_signed() + 1;
    let hours: Vec<_> = (1..500)
        .map(|hour| [hour, if hour % 3 == 0 { large } else { 7 }, hour])
        .collect();
    let minutes: Vec<_> = (180..499 * 60)
        .map(|minute| [minute, if minute % 60 == 5 { large } else { 0 }, minute])
        .filter(|[_, rows, _]| *rows > 0)
        .collect();
    let answers =
        |minutes: &[_]| [threes(&hours), threes(minutes)].map(|body| chunked(&body, true));
    let (reader, asked) = server(answers(&minutes).into());
    let range = Timestamp(HOUR + MINUTE)..Timestamp(500 * HOUR - MINUTE);
    let found = reader.stretches(&range, &Scope::default()).unwrap();
    let asked = asked.join().unwrap();
    assert_eq!(asked.len(), 2);
    // From the first of these hours to the end of the last.
    assert!(
        asked[1].starts_with("SELECT intDiv(time, 60000000000) AS c0,")
            && asked[1].contains(" WHERE time >= 10800000000000 AND ")
            && asked[1].contains(" AND time < 1796400000000000 AND "),
        "{}",
        asked[1]
    );
    let stretch = |from: i64, to: i64, rows: i64, version: i64| Stretch {
        time: (Timestamp(from), Timestamp(to)),
        rows: rows.unsigned_abs(),
        version: version.unsigned_abs(),
    };
    let expected: Vec<_> = (1..500)
        .map(|hour| match hour % 3 {
            0 => {
                let minute = hour * 60 + 5;
                stretch(minute * MINUTE, (minute + 1) * MINUTE, large, minute)
            }
            _ => {
                let (from, to) = (hour * HOUR, (hour + 1) * HOUR);
                stretch(from.max(range.start.0), to.min(range.end.0), 7, hour)
            }
        })
        .collect();
    assert_eq!(found, expected);
    // Minutes that have less than their hour had are not all of them.
    let (reader, asked) = server(answers(&minutes[..minutes.len() - 3]).into());
    let error = reader.stretches(&range, &Scope::default()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("it ended after 0 of 100001 rows"), "{error}");
    asked.join().unwrap();
}

#[test]
fn a_part_is_read_even_if_there_is_no_time_left() {
    let (reader, asked) = server(vec![chunked(&rollups(&[0]), true)]);
    let stretches = [0, 2].map(|hour| Stretch {
        time: (Timestamp(hour * HOUR), Timestamp((hour + 1) * HOUR)),
        rows: 1,
        version: 1,
    });
    let (mut read, mut done) = (0, Vec::new());
    let unknown = reader.rollups(
        &stretches,
        &Scope::default(),
        &mut |_, _| read += 1,
        &mut |part| done.extend_from_slice(part),
        &|| true,
    );
    assert_eq!((unknown.unwrap(), read), (0, 1));
    assert_eq!(done, stretches[..1]);
    assert_eq!(asked.join().unwrap().len(), 1);
}

#[test]
fn an_answer_that_is_cut_is_an_error_wherever_it_ends() {
    let whole = [rollups(&[0, 0, 3]), rollups(&[9])].concat();
    let ends = [
        0,
        1,
        whole.len() / 3,
        rollups(&[0, 0, 3]).len(),
        whole.len() - 1,
    ];
    for end in ends {
        for answer in [chunked(&whole[..end], false), until_closed(&whole[..end])] {
            let (minutes, unknown, _) = read(answer);
            let error = unknown.unwrap_err();
            assert!(
                error.starts_with("cannot read what clickhouse://default@127.0.0.1:"),
                "{end}: {error}"
            );
            assert!(error.contains("; ask again"), "{end}: {error}");
            assert!(minutes.len() < 4, "{end}");
        }
    }
    let (_, unknown, _) = read(until_closed(&rollups(&[0, 0, 3])));
    let error = unknown.unwrap_err();
    assert!(error.contains(": it ended after 3 of 4 rows"), "{error}");
    // Even a whole one, of HTTP; and one that goes on with what the server has to complain of.
    let (_, unknown, _) = read(chunked(&rollups(&[0]), true));
    assert!(unknown.unwrap_err().contains("it ended after 1 of 4 rows"));
    let complaint =
        b"Code: 241, e.displayText() = DB::Exception: Memory limit (for query) exceeded";
    let (_, unknown, _) = read(chunked(&[&rollups(&[0])[..], complaint].concat(), true));
    assert!(
        unknown
            .unwrap_err()
            .contains("it is not what was asked for")
    );
}

#[test]
fn what_a_server_refuses_says_what_to_do() {
    let refused = |body: &str| {
        let head = "HTTP/1.1 404 Not Found\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (reader, asked) = server(vec![answer.into_bytes()]);
        let error = reader.extent(&[]).unwrap_err().to_string();
        asked.join().unwrap();
        error
    };
    let table = refused(
        "Code: 60, e.displayText() = DB::Exception: Table net.rollups doesn't exist., e.what() = DB::Exception",
    );
    assert!(
        table.contains("refuses: Table net.rollups doesn't exist; the tables of this version are not there: tcplens schema clickhouse --apply"),
        "{table}"
    );
    let column = refused(
        "Code: 47. DB::Exception: Missing columns: 'zero_windows' while processing query. (UNKNOWN_IDENTIFIER) (version 24.8.1.1 (official build))",
    );
    assert!(
        column.contains("the tables of this version are not there"),
        "{column}"
    );
}
