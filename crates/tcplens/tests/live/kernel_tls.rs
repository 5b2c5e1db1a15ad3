//! The kernel's own view of TLS: nginx with curl and openssl(1), in TCP-RT's lines. Reference: RFC 8446 s2 and RFC 5246 s7.3
//! (flights), RFC 8446 s6.1 (close_notify).

use std::io::{Read, Write};
use std::process::Stdio;

use crate::kernel::namespace;
use crate::lines::{Line, kinds, lines};
use crate::namespace::Namespace;
use crate::place::Place;
use crate::programs::{Program, are_there, certificate, file, nginx, program, run};
use crate::records::{field, of_kind};
use crate::tap::{Tap, tcplens};

const REQUEST: &str = "GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// What `/small` has.
const ANSWER: &str = "ssssssssssssssss";

/// nginx that speaks TLS, and a place for it.
fn server(name: &str) -> Option<(Namespace, Place, Program)> {
    server_with(name, "")
}

/// With more directives.
fn server_with(name: &str, directives: &str) -> Option<(Namespace, Place, Program)> {
    if !are_there(&["nginx", "openssl", "curl"]) {
        return None;
    }
    let lo = namespace()?;
    let place = Place::new(name);
    certificate(&lo, &place);
    let path = |name: &str| place.path(name).display().to_string();
    let block = format!(
        "listen 127.0.0.1:443 ssl;\nssl_certificate {};\nssl_certificate_key {};\n\
         ssl_protocols TLSv1.2 TLSv1.3;\nssl_session_cache none;\nssl_session_tickets on;\nssl_early_data on;\n{directives}",
        path("cert.pem"),
        path("key.pem")
    );
    let nginx = nginx(&lo, &place, 443, &block);
    Some((lo, place, nginx))
}

fn observe(lo: &Namespace, place: &Place, format: &str) -> Tap {
    observe_with(lo, place, format, &[])
}

fn observe_with(lo: &Namespace, place: &Place, format: &str, more: &[&str]) -> Tap {
    let words = [
        "requests",
        "-k",
        "-p",
        "443",
        "--mode",
        "443=https",
        "-f",
        format,
    ];
    Tap::start(tcplens(lo, place, &[&words, more].concat()))
}

/// One connection with a request; the client says goodbye when it has the answer, and waits for the server's.
fn s_client(lo: &Namespace, place: &Place, words: &str, request: &str) {
    let mut all = vec!["openssl", "s_client", "-connect", "127.0.0.1:443"];
    all.extend(words.split_whitespace());
    let mut command = program(lo, place, &all);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut client = command.spawn().unwrap();
    let (mut to, mut from) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    to.write_all(request.as_bytes()).unwrap();
    let mut said = String::new();
    let mut some = [0; 4096];
    while !said.contains(ANSWER) {
        let length = from.read(&mut some).unwrap();
        assert!(length > 0, "no answer: {said}");
        said.push_str(&String::from_utf8_lossy(&some[..length]));
    }
    drop(to);
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    assert!(client.wait().unwrap().success(), "{said}");
}

/// All lines of the first so many connections.
#[track_caller]
fn told(tap: Tap, connections: usize) -> Vec<Vec<Line>> {
    tap.until("the ends of connections", |out| {
        out.matches("V6 E ").count() == connections
    });
    let ended = tap.interrupt();
    ended.is(0, &[", 0 dropped in the ring buffer"]);
    let mut all: Vec<Vec<Line>> = Vec::new();
    for line in lines(&ended.out) {
        match all.iter_mut().find(|one| one[0].ends == line.ends) {
            Some(one) => one.push(line),
            None => all.push(vec![line]),
        }
    }
    all
}

/// What every connection that ends by close_notify ends with: the task of the alert, and the connection.
#[track_caller]
fn says_goodbye(connection: &[Line]) {
    let [.., alert, end] = connection else {
        panic!("too few: {connection:#?}");
    };
    assert!(
        ["V7 R.A", "V7 N.A"].contains(&alert.what().as_str()),
        "{connection:#?}"
    );
    assert_eq!(end.what(), "V6 E");
}

#[test]
fn tls_1_2_has_two_lines_for_its_handshake() {
    let Some((lo, place, _nginx)) = server("kernel-tls12") else {
        return;
    };
    let tap = observe(&lo, &place, "tcprt");
    s_client(&lo, &place, "-tls1_2", REQUEST);
    let all = told(tap, 1);
    let of = &all[0];
    assert_eq!(kinds(&of[..3]), ["V7 R.H", "V7 R.H", "V7 R"], "{of:#?}");
    says_goodbye(of);
    assert_eq!(of.len(), 5, "{of:#?}");
    for (n, task) in of[..3].iter().enumerate() {
        // A duration is of TLS 1.3 alone.
        assert_eq!(task.columns.len(), 12, "{task:?}");
        assert_eq!(task.column(5), n as u64 + 1, "{task:?}");
        assert!(
            task.column(2) >= task.column(6) + task.column(7),
            "{task:?}"
        );
        assert!(task.column(11) > 0 && task.column(12) > 0, "{task:?}");
    }
}

#[test]
fn letters_combine_where_first_frames_are_told_too() {
    let Some((lo, place, _nginx)) = server("kernel-tls-frames") else {
        return;
    };
    let tap = observe_with(&lo, &place, "tcprt", &["--first-frame", "20,100000"]);
    s_client(&lo, &place, "-tls1_3", REQUEST);
    let all = told(tap, 1);
    let [hello, .., alert, end] = &all[0][..] else {
        panic!("too few: {all:#?}");
    };
    // 12 columns, how long the handshake took, and a pair for each threshold.
    assert_eq!(
        (hello.what().as_str(), hello.columns.len()),
        ("V7 R.FH", 12 + 1 + 4),
        "{all:#?}"
    );
    // The server's own alert has 20 bytes and more, and not 100,000. Where the client was gone before it, no answer was told.
    match alert.what().as_str() {
        "V7 R.AF" => {
            assert_eq!(alert.columns.len(), 12 + 4, "{all:#?}");
            assert!(alert.columns[12] >= 20, "{all:#?}");
            assert_eq!(alert.columns[14..], [0, 0], "{all:#?}");
        }
        what => assert_eq!(what, "V7 N.A", "{all:#?}"),
    }
    assert_eq!(end.what(), "V6 E");
}

#[test]
fn a_resumed_handshake_of_tls_1_2_has_one() {
    let Some((lo, place, _nginx)) = server("kernel-tls12-again") else {
        return;
    };
    s_client(&lo, &place, "-tls1_2 -sess_out session", REQUEST);
    let tap = observe(&lo, &place, "tcprt");
    s_client(&lo, &place, "-tls1_2 -sess_in session", REQUEST);
    let all = told(tap, 1);
    let of = &all[0];
    // The client's Finished comes with the request: nothing answers it alone.
    assert_eq!(kinds(&of[..2]), ["V7 R.H", "V7 R"], "{of:#?}");
    assert_eq!((of.len(), of[0].columns.len()), (4, 12), "{of:#?}");
    says_goodbye(of);
}

#[test]
fn tls_1_3_has_one_that_tells_how_long_it_took() {
    let Some((lo, place, _nginx)) = server("kernel-tls13") else {
        return;
    };
    let tap = observe(&lo, &place, "tcprt");
    let before = std::time::Instant::now();
    s_client(&lo, &place, "-tls1_3 -sess_out session", REQUEST);
    s_client(&lo, &place, "-tls1_3 -sess_in session", REQUEST);
    let took = before.elapsed().as_micros();
    let all = told(tap, 2);
    for of in &all {
        assert_eq!(of[0].what(), "V7 R.H", "{of:#?}");
        assert_eq!(of[0].columns.len(), 13, "{of:#?}");
        // Until the client's Finished, which is not before the acknowledgment of the server's flight.
        let duration = of[0].column(13);
        assert!(duration + 1 >= of[0].column(2), "{of:#?}");
        assert!(u128::from(duration) < took, "{of:#?}");
        says_goodbye(of);
        // The client's Finished may be answered by tickets before the request comes.
        let requests = &of[1..of.len() - 2];
        assert!((1..=2).contains(&requests.len()), "{of:#?}");
        for task in requests {
            assert_eq!(
                (task.what().as_str(), task.columns.len()),
                ("V7 R", 12),
                "{of:#?}"
            );
        }
    }
    // The second has no certificate.
    let flights = [&all[0][0], &all[1][0]].map(|task| task.column(1));
    assert!(flights[0] > flights[1], "{all:#?}");
}

#[test]
fn a_hello_that_is_asked_for_again_is_part_of_the_handshake() {
    // The client's first guess of a group is none that the server takes: HelloRetryRequest (RFC 8446 s4.1.4).
    let Some((lo, place, _nginx)) = server_with("kernel-tls-retry", "ssl_ecdh_curve secp384r1;")
    else {
        return;
    };
    let tap = observe(&lo, &place, "tcprt");
    s_client(&lo, &place, "-tls1_3 -groups X25519:P-384", REQUEST);
    let all = told(tap, 1);
    let of = &all[0];
    assert_eq!(kinds(&of[..3]), ["V7 R.H", "V7 R.H", "V7 R"], "{of:#?}");
    // The retry is answered with a hello and no certificate.
    assert!(of[0].column(1) < 300 && of[1].column(1) > 500, "{of:#?}");
    says_goodbye(of);
}

#[test]
fn early_data_is_told() {
    let Some((lo, place, _nginx)) = server("kernel-tls-early") else {
        return;
    };
    s_client(&lo, &place, "-tls1_3 -sess_out session", REQUEST);
    let early = file(&place, "early", REQUEST.as_bytes());
    let tap = observe(&lo, &place, "tcprt");
    s_client(
        &lo,
        &place,
        &format!("-tls1_3 -sess_in session -early_data {early}"),
        "",
    );
    let all = told(tap, 1);
    let of = &all[0];
    assert_eq!(of[0].what(), "V7 R.HZ", "{of:#?}");
    assert_eq!(of[0].columns.len(), 12, "{of:#?}");
    assert!(
        of[1..].iter().all(|line| !line.kind.contains('Z')),
        "{of:#?}"
    );
    // The alert may come before anything answers the client's Finished: then it is no task of its own.
    assert_eq!(of[of.len() - 1].what(), "V6 E");
}

#[test]
fn curl_leaves_with_an_alert_that_is_no_request() {
    let Some((lo, place, _nginx)) = server("kernel-tls-curl") else {
        return;
    };
    let tap = observe(&lo, &place, "tcprt");
    for version in ["--tls-max 1.2", "--tlsv1.3"] {
        let mut words = vec!["curl", "-sSk"];
        words.extend(version.split(' '));
        // Both in one connection.
        words.extend(["https://127.0.0.1/small", "https://127.0.0.1/large"]);
        words.extend(["-o", "/dev/null", "-o", "/dev/null"]);
        run(&lo, &place, &words);
    }
    let all = told(tap, 2);
    for (of, handshakes) in all.iter().zip([2, 1]) {
        let kinds = kinds(of);
        let count = |what: &str| kinds.iter().filter(|kind| *kind == what).count();
        assert_eq!(count("V7 R.H"), handshakes, "{of:#?}");
        let large = of
            .iter()
            .find(|line| line.kind == "R" && line.column(1) > 300_000);
        assert!(large.is_some(), "{of:#?}");
        // The server's own alert may find nobody there: it was cut off, then.
        let farewell = of[of.len() - 2].what();
        println!("curl ends with {farewell}");
        assert!(
            ["V7 R.A", "V7 N.A", "V6 W"].contains(&farewell.as_str()),
            "{of:#?}"
        );
    }
}

#[test]
fn records_have_names_for_it() {
    let Some((lo, place, _nginx)) = server("kernel-tls-records") else {
        return;
    };
    let tap = observe(&lo, &place, "jsonl");
    s_client(&lo, &place, "-tls1_3", REQUEST);
    tap.until("the alert", |out| out.contains("\"tags\":\"A\""));
    let ended = tap.interrupt();
    ended.is(0, &[]);
    let requests = of_kind(&ended.out, "request");
    let hello = requests[0];
    for (name, value) in [
        ("tags", "\"H\""),
        ("tags_from", "\"payload\""),
        ("protocol", "\"tls\""),
        ("mode", "\"https\""),
    ] {
        assert_eq!(field(hello, name), Some(value), "{hello}");
    }
    assert!(field(hello, "handshake_us").is_some(), "{hello}");
    let rest = &requests[1..];
    assert!(
        rest.iter()
            .all(|line| field(line, "handshake_us").is_none()),
        "{rest:#?}"
    );
    // Nobody counts a goodbye among requests without an answer.
    assert!(
        !ended.out.contains("\"status\":\"unanswered\""),
        "{}",
        ended.out
    );
}
