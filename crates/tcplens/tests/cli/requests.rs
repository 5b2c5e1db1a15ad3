//! `requests`: lines, filters, statistics, packets.

use std::path::Path;

use crate::capture::{ACK, Capture, End, FIN, RST, SYN};
use crate::{Place, Run, read};

const CLIENT: End = End([10, 0, 0, 1], 40000);
const SERVER: End = End([10, 0, 0, 2], 80);

/// Three requests on one connection, each answered after 10 ms but the second, which has an error after 50 ms; the third
/// has no answer.
fn web() -> Capture {
    let mut capture = Capture::new();
    capture.segment(CLIENT, SERVER, SYN, 100, 0, b"");
    capture.segment(SERVER, CLIENT, SYN | ACK, 500, 101, b"");
    capture.segment(CLIENT, SERVER, ACK, 101, 501, b"");
    let (mut asked, mut answered) = (101, 501);
    let exchange: [(&[u8], u64, &[u8]); 3] = [
        (
            b"GET /basket?n=1 HTTP/1.1\r\nHost: shop\r\n\r\n",
            0,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        (
            b"POST /pay HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\ncash",
            40_000,
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        ),
        (b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n", 0, b""),
    ];
    for (request, pause, response) in exchange {
        capture.segment(CLIENT, SERVER, ACK, asked, answered, request);
        asked += request.len() as u32;
        capture.now += pause;
        if !response.is_empty() {
            capture.segment(SERVER, CLIENT, ACK, answered, asked, response);
            answered += response.len() as u32;
        }
    }
    capture.segment(SERVER, CLIENT, FIN | ACK, answered, asked, b"");
    capture.segment(CLIENT, SERVER, FIN | ACK, asked, answered + 1, b"");
    capture.segment(SERVER, CLIENT, ACK, answered + 1, asked + 1, b"");
    capture
}

fn place(name: &str) -> Place {
    let place = Place::new(name);
    web().save(place.path("web.pcap"));
    place
}

fn run(place: &Place, words: &[&str]) -> Run {
    place.run(&[&["requests", "web.pcap"], words].concat())
}

/// What was asked for in each line.
fn asked(run: &Run) -> Vec<&str> {
    let lines = run.out.lines().filter(|line| line.contains(" => "));
    lines.filter_map(|line| line.rsplit(" | ").next()).collect()
}

#[test]
fn requests_have_a_line_each_and_a_summary() {
    let all = run(&place("requests"), &[]);
    all.is_quiet_success();
    let expected = "\
2026-11-21 01:08:22.030000Z 10.0.0.1:40000 => 10.0.0.2:80 | 10.000 ms | GET shop/basket?n=1
2026-11-21 01:08:22.050000Z 10.0.0.1:40000 => 10.0.0.2:80 | 50.000 ms, error 404 Not Found | POST shop/pay
2026-11-21 01:08:22.110000Z 10.0.0.1:40000 => 10.0.0.2:80 | unanswered (server_close) | GET shop/slow

3 requests: 1 ok, 1 with errors, 1 unanswered

SERVER                | REQUESTS  ERROR  UNANSWERED |     P50      P99      MAX |    TIME
10.0.0.2:80           |        3      1           1 |   10 ms    50 ms    50 ms |   60 ms

OPERATION             | REQUESTS  ERROR  UNANSWERED |     P50      P99      MAX |    TIME
http POST             |        1      1           0 |   50 ms    50 ms    50 ms |   50 ms
http GET              |        2      0           1 |   10 ms    10 ms    10 ms |   10 ms
";
    assert_eq!(all.out, expected);
}

#[test]
fn the_threshold_chooses_lines_and_the_summary_counts_all() {
    let place = place("threshold");
    let slow = run(
        &place,
        &[
            "-t",
            "50",
            "--time",
            "relative",
            "--columns",
            "status,bytes",
        ],
    );
    slow.is_quiet_success();
    assert!(
        slow.out.starts_with(
            "0.050000 10.0.0.1:40000 => 10.0.0.2:80 | 50.000 ms | error 404 Not Found | 57 > 45 B | POST shop/pay\n\n\
             3 requests: 1 ok, 1 with errors, 1 unanswered; 1 slow (50 ms or more)\n"
        ),
        "{}",
        slow.out
    );
    let slower = run(&place, &["-t", "50.001"]);
    assert_eq!(asked(&slower), Vec::<&str>::new());
    assert!(
        slower.out.contains("; 0 slow (50.001 ms or more)\n"),
        "{}",
        slower.out
    );
    assert_eq!(asked(&run(&place, &["-t", "0"])).len(), 3);
    let quiet = run(&place, &["-q", "-t", "10"]);
    assert!(quiet.out.starts_with("3 requests"), "{}", quiet.out);
    assert!(
        quiet.out.contains("2 slow (10 ms or more)"),
        "{}",
        quiet.out
    );
}

#[test]
fn filters_choose_what_counts() {
    let place = place("choice");
    for (words, expected) in [
        (&["--operation", "post"][..], &["POST shop/pay"][..]),
        (&["--operation", "put,POST"], &["POST shop/pay"]),
        (
            &["--status", "error,unanswered"],
            &["POST shop/pay", "GET shop/slow"],
        ),
        (&["--status", "ok"], &["GET shop/basket?n=1"]),
        (
            &["--status", "Error,UNANSWERED"],
            &["POST shop/pay", "GET shop/slow"],
        ),
        (&["--status", "404"], &["POST shop/pay"]),
        (&["--status", "4xx,5xx"], &["POST shop/pay"]),
        (&["--status", "40"], &[]),
        (&["--status", "not"], &["POST shop/pay"]),
        (&["--grep", "^404 Not"], &["POST shop/pay"]),
        // What has no answer has no status: none is not an empty one.
        (&["--grep", "^$"], &[]),
        (&["--grep", "^GET .*[0-9]$"], &["GET shop/basket?n=1"]),
        (&["--request-bytes", "50-"], &["POST shop/pay"]),
        (&["--response-bytes", "-0"], &["GET shop/slow"]),
        (
            &["-m", "Redis,HTTP", "--response-bytes", "1-"],
            &["GET shop/basket?n=1", "POST shop/pay"],
        ),
        (&["--summary-bytes", "4", "--status", "ok"], &["GET "]),
        (&["port", "81"], &[]),
    ] {
        let run = run(&place, words);
        let mut lines = asked(&run);
        if expected.is_empty() {
            lines.clear();
        }
        assert_eq!(lines, expected, "{words:?}");
        // An expression leaves packets out; the options leave out what there is.
        let left_out = match words[0] {
            "port" => String::new(),
            _ => format!("; {} others left out (", 3 - expected.len()),
        };
        let said = match expected {
            [] => format!("no requests{left_out}"),
            _ => left_out,
        };
        assert!(run.out.contains(&said), "{said}: {}", run.out);
    }
}

#[test]
fn a_status_that_no_request_had_is_told() {
    let place = place("statuses");
    let said = run(&place, &["--status", "eror,not,teapot,504"]);
    assert_eq!(asked(&said), ["POST shop/pay"]);
    assert_eq!(said.status, Some(0));
    assert!(
        said.err.contains(
            "no request had the status EROR or TEAPOT; known words are ok, error, none, unanswered, "
        ),
        "{said:?}"
    );
    // Whatever else leaves the request out.
    for words in [
        &["--status", "Not"][..],
        &["--status", "not", "--operation", "get"],
        &["--status", "5xx"],
    ] {
        run(&place, words).is_quiet_success();
    }
}

/// The summary may be cut shorter than the verb that it begins with.
#[test]
fn operations_are_whole_however_short_the_text_is_cut() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/shop.pcap");
    let shop = shop.to_str().unwrap();
    let place = Place::new("short");
    let operations = |bytes: &str| {
        let run = place.run(&["requests", "--summary-bytes", bytes, "-q", shop]);
        let (_, table) = run.out.split_once("\nOPERATION ").unwrap();
        table.to_owned()
    };
    let whole = operations("128");
    for operation in ["\nredis GET ", "\nredis SETEX ", "\nredis INCR "] {
        assert!(whole.contains(operation), "{whole}");
    }
    assert_eq!(operations("2"), whole);
    assert_eq!(operations("1"), whole);
}

#[test]
fn machines_get_records_and_the_summary_goes_to_stderr() {
    let place = place("machines");
    let json = run(&place, &["-f", "jsonl", "-t", "50"]);
    assert_eq!((json.status, json.records("request")), (Some(0), 1));
    assert!(json.err.starts_with("3 requests: "), "{json:?}");
    let records = place.run(&["records", "web.pcap", "--kind", "request"]);
    let quiet = run(&place, &["-f", "jsonl", "-q"]);
    quiet.is_quiet_success();
    assert_eq!(quiet.out, records.out);
    let csv = run(&place, &["-f", "csv", "-q"]);
    assert_eq!(csv.out.lines().count(), 4);
    // Quiet leaves the summary out, and not what was asked for beside it.
    let quiet = run(&place, &["-f", "jsonl", "-q", "--histogram"]);
    assert!(
        quiet.err.starts_with("10.0.0.2:80: 2 answered, "),
        "{quiet:?}"
    );
    run(&place, &["-f", "none", "-q"]).is_quiet_success();
    let none = run(&place, &["-f", "none"]);
    assert_eq!(none.out, "");
    assert!(none.err.starts_with("3 requests: "), "{none:?}");
}

#[test]
fn tcprt_has_a_line_per_task_and_per_connection() {
    let place = place("tcprt");
    let lines = run(&place, &["-f", "tcprt", "-q"]);
    lines.is_quiet_success();
    let expected = "\
V6 R 1795223302 30000 10.0.0.1:40000 10.0.0.2:80 43 20000 20000 0 1 10000 0 40 0 0 \n\
V6 R 1795223302 50000 10.0.0.1:40000 10.0.0.2:80 45 60000 20000 0 2 50000 0 57 0 0 \n\
V6 N 1795223302 110000 10.0.0.1:40000 10.0.0.2:80 3 30000 34 0 0 \n\
V6 E 1795223302 110000 10.0.0.1:40000 10.0.0.2:80 3 88 0 131 0 20000 \n";
    assert_eq!(lines.out, expected);
    // The server closed, and the client then: a FIN each, and TCP-RT takes the server's for a response.
    let compatible = run(&place, &["-f", "tcprt", "-q", "--compat"]);
    let mut lines: Vec<&str> = expected.lines().collect();
    lines[2] = "V6 E 1795223302 110000 10.0.0.1:40000 10.0.0.2:80 3 89 0 132 0 20000 ";
    assert_eq!(compatible.out.lines().collect::<Vec<_>>(), lines[..3]);
    let peer = run(&place, &["-f", "tcprt", "-q", "--peer-port", "80"]);
    assert!(
        peer.out.starts_with(
            "V6 P 1795223302 30000 10.0.0.2:80 10.0.0.1:40000 40 10000 20000 0 1 10000 0 43 0 0 \n"
        ),
        "{}",
        peer.out
    );
    assert_eq!(
        run(&place, &["-f", "tcprt", "-q", "--local", "10.0.0.1"]).out,
        peer.out
    );
    let http = run(&place, &["-f", "tcprt", "-q", "-m", "http"]);
    assert!(http.out.starts_with("V7 R "), "{}", http.out);
}

#[test]
fn tcprt_statistics_are_lines_of_their_own_or_among_the_others() {
    let place = place("tcprt-stats");
    let alone = run(&place, &["-f", "tcprt-stats", "-q", "-p", "80,81"]);
    alone.is_quiet_success();
    let lines: Vec<Vec<&str>> = alone
        .out
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    // Two were answered; a port that is named has a line also without requests.
    let ports: Vec<_> = lines
        .iter()
        .map(|line| (line[1], line[2], line[11]))
        .collect();
    assert_eq!(
        ports,
        [("all", "80", "2"), ("all", "81", "0")],
        "{}",
        alone.out
    );
    let both = run(
        &place,
        &["-f", "tcprt", "-q", "-p", "80", "--stats-interval", "10ms"],
    );
    assert!(
        both.out.starts_with("V6 R ") || both.out.contains("\nV6 R "),
        "{}",
        both.out
    );
    let counted = both.out.lines().filter(|line| line.contains(" all 80 "));
    let tasks = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert_eq!(tasks.sum::<u64>(), 2, "{}", both.out);
}

#[test]
fn tcpkits_statistics_take_the_place_of_lines() {
    let place = place("stats");
    for (shape, expected) in [
        (
            "tcpkit0",
            r#"[{"80":{"total_reqs":3,"total_costs":60000,"slow_reqs":1,"latencies":[0,0,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0]}},{"81":{"total_reqs":0,"total_costs":0,"slow_reqs":0,"latencies":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}}]"#,
        ),
        (
            "tcpkit1",
            r#"{"type":"http","drops":null,"in_packets":3,"out_packets":2,"in_bytes":131,"out_bytes":88,"ports":[{"80":{"total_reqs":3,"total_costs":60000,"slow_reqs":1,"latencies":[0,0,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0]}},{"81":{"total_reqs":0,"total_costs":0,"slow_reqs":0,"latencies":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}}]}"#,
        ),
        (
            "tcpkit",
            r#"{"10.0.0.2:80":{"requests":3,"request_bytes":131,"responses":2,"response_bytes":88,"latency":[{"5ms~10ms":1},{"20ms~50ms":1}]}}"#,
        ),
    ] {
        let run = run(
            &place,
            &["--stats-format", shape, "-t", "20", "-p", "80,81"],
        );
        run.is_quiet_success();
        assert_eq!(run.out, format!("{expected}\n"), "{shape}");
    }
    let file = run(&place, &["--stats-format", "tcpkit", "-o", "stats.json"]);
    assert_eq!(file.out, "");
    assert!(read(place.path("stats.json")).starts_with("{\"10.0.0.2:80\""));
}

#[test]
fn the_histogram_is_by_server_and_by_operation() {
    let run = run(&place("histogram"), &["-q", "--histogram"]);
    run.is_quiet_success();
    for words in [
        "\n10.0.0.2:80: 2 answered, p50 10 ms, p90 50 ms, p99 50 ms, p99.9 50 ms, max 50 ms\n",
        "\n     up to 10 ms            1  50.0 % ████████████████████████████████████\n",
        "\nhttp POST: 1 answered, ",
    ] {
        assert!(run.out.contains(words), "{words:?}: {}", run.out);
    }
}

#[test]
fn raw_prints_packets_with_both_addresses_and_every_byte() {
    let place = place("raw");
    let raw = run(&place, &["-m", "raw", "-A"]);
    raw.is_quiet_success();
    let lines: Vec<_> = raw.out.lines().collect();
    assert_eq!(lines.len(), 11);
    assert_eq!(
        lines[0],
        "01:08:22.000000 IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 100, window 32768, length 0"
    );
    assert_eq!(
        lines[4],
        "01:08:22.040000 IP 10.0.0.2.80 > 10.0.0.1.40000: Flags [.], seq 501:544, ack 141, window 32768, length 43 \
         HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello"
    );
    let counted = run(
        &place,
        &[
            "-m", "raw", "-c", "2", "--time", "relative", "-w", "two.pcap",
        ],
    );
    assert_eq!(counted.out.lines().count(), 2);
    assert!(counted.out.starts_with("0.000000 IP "), "{}", counted.out);
    let saved = place.run(&["requests", "two.pcap", "-m", "raw", "--time", "relative"]);
    assert_eq!(saved.out, counted.out);
}

#[test]
fn slow_requests_are_saved_with_their_handshake_and_a_comment() {
    let place = place("save");
    let run = run(&place, &["-q", "-t", "50", "--save-slow", "slow"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    let mut files: Vec<_> = std::fs::read_dir(place.path("slow"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let [file] = files.as_slice() else {
        panic!("one file: {files:?}");
    };
    assert!(
        file.starts_with("20261121T010822.050000-10.0.0.2_80-50.000ms-18e9ea14e836bc00-")
            && file.ends_with("-2.pcapng"),
        "{file}"
    );
    let path = format!("slow/{file}");
    let bytes = std::fs::read(place.path(&path)).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for words in [
        "http POST: 50.000 ms, error\nPOST shop/pay\n",
        "10.0.0.1:40000 => 10.0.0.2:80, connection 18e9ea14e836bc00-",
    ] {
        assert!(text.contains(words), "{words:?}");
    }
    // All of this short connection: what is before and after it are neighbours.
    let packets = place.run(&["requests", "-m", "raw", "-A", &path]);
    let whole = place.run(&["requests", "-m", "raw", "-A", "web.pcap"]);
    assert_eq!(packets.out, whole.out);
    assert_eq!(asked(&place.run(&["requests", &path])).len(), 3);
    let said = place.run(&["requests", "web.pcap", "-t", "9", "--save-slow", "all"]);
    said.ends(0, &["saved the packets of 2 slow requests in all"]);
    // What is there already would look like this run's.
    let again = place.run(&["requests", "web.pcap", "-t", "9", "--save-slow", "all"]);
    again.ends(
        2,
        &[
            "cannot save slow requests in all: it has captures of an earlier run (2026",
            "name another directory",
        ],
    );
    assert_eq!(again.out, "");
    // Other captures are not, be they the input.
    std::fs::create_dir(place.path("mixed")).unwrap();
    std::fs::copy(place.path(&path), place.path("mixed/shop.pcapng")).unwrap();
    let mixed = place.run(&[
        "requests",
        "mixed/shop.pcapng",
        "-t",
        "9",
        "--save-slow",
        "mixed",
    ]);
    mixed.ends(0, &["saved the packets of 2 slow requests in mixed"]);
    assert_eq!(
        std::fs::read(place.path("mixed/shop.pcapng")).unwrap(),
        bytes
    );
}

#[test]
fn what_makes_no_sense_together_is_refused_with_what_to_do() {
    let place = place("senseless");
    for (words, said) in [
        (&["-m", "raw,redis"][..], "-m raw prints packets"),
        (&["-m", "raw", "-t", "5"], "-t is about requests"),
        (&["-A"], "write -m raw -A"),
        (&["-m", "radish"], "possible values: auto, turn, redis"),
        (&["-t", "fast"], "cannot read \"fast\" as a time"),
        (&["--grep", "("], "write a regular expression"),
        (&["--columns", "colour"], "no column is called"),
        (
            &["--status", "not found"],
            "write ok, error, none or unanswered, a code such as 404",
        ),
        (&["--request-bytes", "9-8"], "write 8-9"),
        (&["--stats-format", "tcpkit2"], "write tcpkit0"),
        (&["--stats-format", "tcpkit", "-f", "csv"], "leave -f out"),
        (
            &["--stats-format", "tcpkit", "--histogram"],
            "leave --histogram out",
        ),
        (
            &["--columns", "status", "-f", "csv"],
            "--columns is about lines of text",
        ),
        (
            &["--columns", "status", "-f", "tcprt"],
            "--columns is about lines of text",
        ),
        (
            &["--columns", "status", "--stats-format", "tcpkit"],
            "--columns is about lines of text",
        ),
        (&["--peer-port", "80"], "write -f tcprt"),
        (&["--compat"], "write -f tcprt"),
        (
            &["--stats-interval", "10"],
            "write -f tcprt (among its lines)",
        ),
        (&["--save-slow", "x"], "--slower-than"),
        (
            &["--follow", "-t", "1", "--save-slow", "x"],
            "leave --follow out",
        ),
    ] {
        run(&place, words).ends(2, &[said]);
    }
    let stream = place.run_with_stdin(
        &["requests", "-", "-t", "1", "--save-slow", "x"],
        &web().bytes,
    );
    stream.ends(2, &["cannot save slow requests of standard input"]);
    assert!(!place.path("x").exists());
}

#[test]
fn whose_fin_came_first_and_whose_last_is_told_of_those_that_were_seen() {
    type Closing = (End, End, u8, u32, u32);
    type Case<'c> = (&'c [Closing], &'c str, [Option<&'c str>; 2]);
    let fin = |from, to, seq, ack| -> Closing { (from, to, FIN | ACK, seq, ack) };
    let reset = |from, to, seq, ack| -> Closing { (from, to, RST | ACK, seq, ack) };
    let cases: [Case<'_>; 4] = [
        (
            &[fin(SERVER, CLIENT, 501, 101), fin(CLIENT, SERVER, 101, 502)],
            "fin",
            [Some("server"), Some("client")],
        ),
        (
            &[
                fin(CLIENT, SERVER, 101, 501),
                reset(SERVER, CLIENT, 501, 102),
            ],
            "rst_by_server",
            [Some("client"), None],
        ),
        // It crossed the RST on the way.
        (
            &[
                reset(CLIENT, SERVER, 101, 501),
                fin(SERVER, CLIENT, 501, 101),
            ],
            "rst_by_client",
            [Some("server"), None],
        ),
        (
            &[reset(CLIENT, SERVER, 101, 501)],
            "rst_by_client",
            [None, None],
        ),
    ];
    for (closing, close, fins) in cases {
        let mut capture = Capture::new();
        capture.segment(CLIENT, SERVER, SYN, 100, 0, b"");
        capture.segment(SERVER, CLIENT, SYN | ACK, 500, 101, b"");
        capture.segment(CLIENT, SERVER, ACK, 101, 501, b"");
        for &(from, to, flags, seq, ack) in closing {
            capture.segment(from, to, flags, seq, ack, b"");
        }
        let place = Place::new("fins");
        capture.save(place.path("a.pcap"));
        let run = place.run(&[
            "records",
            "a.pcap",
            "-q",
            "-f",
            "jsonl",
            "--kind",
            "connection",
        ]);
        let line = run.out.lines().next().unwrap();
        assert!(line.contains(&format!("\"close\":\"{close}\"")), "{line}");
        for (name, end) in ["first_fin", "last_fin"].into_iter().zip(fins) {
            let said = end.map(|end| format!("\"{name}\":\"{end}\""));
            match said {
                Some(said) => assert!(line.contains(&said), "{line}"),
                None => assert!(!line.contains(name), "{line}"),
            }
        }
    }
}

#[test]
fn text_in_a_file_with_another_format_s_name_is_said() {
    let place = place("named");
    for (name, said) in [
        ("a.csv", "a.csv gets text; write -f csv for that"),
        (
            "a.jsonl.zst",
            "a.jsonl.zst gets text; write -f jsonl for that",
        ),
    ] {
        let run = run(&place, &["-o", name]);
        assert_eq!(
            (run.status, run.err.trim_end()),
            (Some(0), &*format!("tcplens: {said}"))
        );
    }
    run(&place, &["-o", "b.csv", "-f", "csv", "-q"]).is_quiet_success();
    run(&place, &["-o", "b.txt"]).is_quiet_success();
}
