//! Questions and answers.

use tcplens_core::filter::tcpeek::HandshakeFilter;
use tcplens_core::record::Direction;

use super::super::conversation::{Said, understand};
use super::super::{Kinds, Question};
use super::request::request;
use super::*;

/// Two established, one of them with a repeated SYN, one refused, one unreachable; all arrive at port 80.
fn attempts() -> Vec<Handshake> {
    let inbound = |second| Handshake {
        direction: Some(Direction::Inbound),
        ..handshake(second, "192.0.2.7", "10.0.0.1", 80)
    };
    vec![
        inbound(1),
        Handshake {
            syn_retransmits: 2,
            ..inbound(2)
        },
        failed(Outcome::Refused, 1, inbound(3)),
        failed(Outcome::Unreachable, 1, inbound(4)),
    ]
}

fn filtered() -> DeskSettings {
    DeskSettings {
        filters: vec![
            HandshakeFilter::parse("web:RX@%:80:%").unwrap(),
            HandshakeFilter::parse("say \"x\":TX@%:80").unwrap(),
        ],
        is_local_known: true,
        ..settings()
    }
}

const WEB: &str = "{\"success\":{\"total\":2,\"dupsyn\":1,\"dupsynack\":0},\"failure\":{\"total\":2,\"timeout\":0,\"reject\":1,\"unreach\":1}}";
const NONE: &str = "{\"success\":{\"total\":0,\"dupsyn\":0,\"dupsynack\":0},\"failure\":{\"total\":0,\"timeout\":0,\"reject\":0,\"unreach\":0}}";

fn totals(rx: &str, recv: u32, drop: u32) -> String {
    format!(
        "[{{\"RX\":{rx}}},{{\"TX\":{NONE}}},{{\"web\":{rx}}},{{\"say \\\"x\\\"\":{NONE}}},\
         {{\"pcap\":{{\"stats\":{{\"recv\":{recv},\"drop\":{drop},\"ifdrop\":null}}}}}}]\n"
    )
}

#[test]
fn a_question_ends_with_lf_crlf_or_the_end_of_what_is_sent() {
    let instance = Instance::new("ends", filtered());
    instance.handshakes(attempts());
    let expected = totals(WEB, 1000, 7);
    for question in ["GET\n", "GET\r\n", "get\n", "\n", "\r\n"] {
        assert_eq!(instance.ask(question.as_bytes()), expected, "{question:?}");
    }
    for question in ["GET", ""] {
        let mut stream = instance.connect();
        stream.write_all(question.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(&mut stream), expected, "{question:?}");
    }
    // Byte by byte, and with more behind it than is read.
    let mut stream = instance.connect();
    for byte in b"GET\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(&[b'x'; 100_000]).unwrap();
    assert_eq!(text(&mut stream), expected);
    instance.finish();
}

#[test]
fn collectors_with_names_do_not_steal_from_each_other() {
    let instance = Instance::new("names", filtered());
    instance.handshakes(attempts());
    let (all, nothing) = (totals(WEB, 1000, 7), totals(NONE, 0, 0));
    for question in ["REFRESH a\n", "REFRESH b\r\n", "REFRESH\n"] {
        assert_eq!(instance.ask(question.as_bytes()), all, "{question:?}");
        assert_eq!(instance.ask(question.as_bytes()), nothing, "{question:?}");
    }
    instance.handshakes(attempts());
    for question in ["refresh a\n", "REFRESH b\n", "REFRESH\r\n"] {
        assert_eq!(instance.ask(question.as_bytes()), totals(WEB, 0, 0));
    }
    assert_eq!(
        instance
            .ask(b"REFRESH late\n")
            .matches("\"total\":4")
            .count(),
        4
    );
    instance.finish();
}

#[test]
fn what_interfaces_lost_is_a_number_where_they_are_known() {
    let lo = DeskSettings {
        interfaces: vec!["lo".into()],
        ..settings()
    };
    let instance = Instance::new("interfaces", lo);
    let answer = instance.ask(b"GET\n");
    assert!(
        answer.ends_with("\"recv\":1000,\"drop\":7,\"ifdrop\":0}}}]\n"),
        "{answer}"
    );
    instance.finish();
}

#[test]
fn names_are_bounded_and_counted() {
    let instance = Instance::new("many-names", settings());
    for n in 0..super::super::desk::NAMES {
        let answer = instance.ask(format!("REFRESH collector{n}\n").as_bytes());
        assert!(answer.starts_with("[{\"all\":"), "{answer}");
    }
    let refused = "{\"error\":\"64 names ask for what is new already; use one of them, or GET\"}\n";
    assert_eq!(instance.ask(b"REFRESH one-more\n"), refused);
    assert!(instance.ask(b"REFRESH collector7\n").starts_with('['));
    let long = format!("REFRESH {}\n", "x".repeat(128));
    assert_eq!(
        instance.ask(long.as_bytes()),
        "{\"error\":\"a name has at most 127 bytes\"}\n"
    );
    assert_eq!(instance.with(|desk| desk.refused()), [("socket_names", 1)]);
    assert!(
        instance
            .ask(b"health\n")
            .contains("\"limit_hits\":{\"socket_names\":1}")
    );
    instance.finish();
}

#[test]
fn what_is_no_question_is_told_so() {
    let instance = Instance::new("unknown", settings());
    for (question, answer) in [
        (
            &b"SHOW \"me\"\n"[..],
            "\\\"SHOW\\\" is no question; write help",
        ),
        (b"GET it\n", "GET takes no words behind it; write help"),
        (
            b"records food\n",
            "\\\"food\\\" is no kind of record; write handshake, request or connection",
        ),
        (b"\xff\n", "the question is no UTF-8"),
        (&[b'x'; 5000], "a question has at most 4096 bytes"),
    ] {
        let answer = format!("{{\"error\":\"{answer}\"}}\n");
        assert_eq!(instance.ask(question), answer);
    }
    assert!(instance.ask(b"stats food\n").contains("is no shape"));
    assert!(instance.ask(b"help\n").starts_with("GET "));
    instance.finish();
}

#[test]
fn lines_are_understood() {
    let ask = |question| Ok(Said::Ask(question));
    let requests = Kinds {
        requests: true,
        ..Kinds::default()
    };
    for (line, said) in [
        (
            "REFRESH  my name ",
            ask(Question::TotalsSince("my name".into())),
        ),
        ("records", ask(Question::Records(Kinds::ALL))),
        ("records request", ask(Question::Records(requests))),
        (
            "records request,handshake,connection",
            ask(Question::Records(Kinds::ALL)),
        ),
        ("SUMMARY", ask(Question::Summary)),
        ("help", Ok(Said::Help)),
    ] {
        assert_eq!(understand(line), said, "{line}");
    }
}

#[test]
fn statistics_come_unasked_in_the_shape_that_was_chosen() {
    let instance = Instance::new("stats", settings());
    assert_eq!(instance.stats(), "{}\n");
    instance.requests(request(6379, 2));
    instance.requests(request(6379, 25_000));
    let row = "\"errors\":0,\"unanswered\":0,\"p50_us\":";
    let by_server = instance.stats();
    assert_eq!(by_server, instance.ask(b"stats\n"));
    assert!(
        by_server.starts_with(&format!(
            "{{\"10.0.0.1:6379\":{{\"requests\":2,\"request_bytes\":62,\"responses\":2,\"response_bytes\":10,\
             \"latency\":[{{\"1ms~5ms\":1}},{{\"+inf\":1}}],\"total_cost_us\":25002000,\"slow\":1,{row}"
        )),
        "{by_server}"
    );
    assert!(
        by_server.ends_with("\"max_us\":25000000,\"since\":\"2026-11-21T01:08:00.000000000Z\"}}\n"),
        "{by_server}"
    );
    let totals = instance.ask(b"stats tcpkit1\n");
    assert!(
        totals.starts_with(&format!(
            "{{\"type\":\"redis\",\"drops\":7,\"in_packets\":0,\"out_packets\":0,\"in_bytes\":62,\"out_bytes\":10,\
             \"ports\":[{{\"6379\":{{\"total_reqs\":2,\"total_costs\":25002000,\"slow_reqs\":1,\
             \"latencies\":[0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,1],{row}"
        )),
        "{totals}"
    );
    // A port that was named has a row, also without requests.
    assert!(totals.contains("{\"6380\":{\"total_reqs\":0,"), "{totals}");
    assert!(instance.ask(b"stats tcpkit0\n").starts_with("[{\"6379\":"));
    instance.finish();
}

#[test]
fn summary_and_health_are_one_line_each() {
    let instance = Instance::new("summary", filtered());
    instance.handshakes(attempts());
    instance.requests(request(6379, 2));
    instance.with(|desk| {
        let connection = records::connection(1, "192.0.2.7", "10.0.0.1", 6379);
        desk.record(AnyRecord::Connection(&connection));
    });
    let times = |count, us| {
        let at = ["min", "mean", "p50", "p90", "p99", "max"].map(|name| format!("\"{name}\":{us}"));
        format!("{{\"count\":{count},{}}}", at.join(","))
    };
    let half = format!(
        "\"syn_to_synack_us\":{},\"synack_to_ack_us\":{}",
        times(2, 8000),
        times(2, 12000)
    );
    let web = format!(
        "\"attempts\":4,\"established\":2,\"refused\":1,\"unreachable\":1,\"syn_retransmits\":2,\
         \"synack_retransmits\":0,\"handshake_us\":{},{half}",
        times(2, 20000)
    );
    let none = "\"attempts\":0,\"syn_retransmits\":0,\"synack_retransmits\":0";
    assert_eq!(
        instance.ask(b"summary\n"),
        format!(
            "{{\"kind\":\"summary\",\"since\":\"2026-11-21T01:08:00.000000000Z\",\
             \"time\":\"2026-11-21T01:09:00.000000000Z\",\"packets\":1000,\"kernel_drops\":7,\
             \"handshakes\":[{{\"filter\":\"RX\",{web}}},{{\"filter\":\"TX\",{none}}},{{\"filter\":\"web\",{web}}},\
             {{\"filter\":\"say \\\"x\\\"\",{none}}}],\
             \"requests\":[{{\"server\":\"10.0.0.1:6379\",\"protocols\":[\"redis\"],\"requests\":1,\"errors\":0,\
             \"unanswered\":0,\"slow\":0,\"request_bytes\":31,\"response_bytes\":5,\"retransmits\":0,\"total_us\":{},\
             \"budget_us\":{{\"client\":0,\"queue\":0,\"server\":1999,\"network\":1,\"loss\":0,\"window\":0,\
             \"transfer\":0}}}}],\
             \"connections\":{{\"ended\":1,\"fin\":1,\"client_bytes\":100000,\"client_data_segments\":100,\
             \"client_retransmits\":0,\"server_bytes\":100000,\"server_data_segments\":100,\
             \"server_retransmits\":0}},\
             \"pending\":{{\"attempts\":2,\"oldest_us\":43000000,\"servers\":[{{\"server\":\"10.0.0.1:443\",\
             \"attempts\":2,\"oldest_us\":43000000}}]}}}}\n",
            times(1, 2000)
        )
    );
    let text = instance.ask(b"summary text\r\n");
    for words in [
        "since 2026-11-21T01:08:00.000000000Z: 1,000 packets, 7 dropped by kernel\n",
        "RX        refused          |         1\n",
        "no answer yet to 2 connection attempts, the oldest 43 s ago: 2 to 10.0.0.1:443\n",
        "10.0.0.1:6379",
        "\nconnections that ended: 1 fin\nclients sent 97.7 KiB in 100 segments with data; 0 segments came again\n",
    ] {
        assert!(text.contains(words), "{words:?} not in:\n{text}");
    }
    let health = instance.ask(b"health\n");
    assert!(health.starts_with("{\"kind\":\"health\",") && health.ends_with("}\n"));
    assert_eq!(health.lines().count(), 1);
    instance.finish();
}

#[test]
fn a_hundred_clients_at_once_are_all_answered() {
    let instance = Instance::new("hundred", filtered());
    instance.handshakes(attempts());
    let mut clients: Vec<_> = (0..100).map(|_| instance.connect()).collect();
    for client in &mut clients {
        client.write_all(b"GET\n").unwrap();
    }
    for client in &mut clients {
        assert_eq!(text(client), totals(WEB, 1000, 7));
    }
    assert_eq!(instance.with(|desk| desk.refused()), []);
    instance.finish();
}

#[test]
fn a_large_answer_that_nobody_reads_holds_nobody_up_and_servers_beyond_the_limit_are_one() {
    const SERVERS: u16 = 1100;
    let instance = Instance::new("large", settings());
    for port in 0..SERVERS {
        instance.requests(request(1000 + port, 2));
    }
    let connect = || TcpStream::connect(instance.servers.stats_address().unwrap()).unwrap();
    let asleep: Vec<_> = (0..10).map(|_| connect()).collect();
    let document = instance.stats();
    assert!(document.len() > 200_000 && document.ends_with("}}\n"));
    assert_eq!(document.matches("\"requests\":1,").count(), 1024);
    let other = format!("\"other\":{{\"requests\":{},", SERVERS - 1024);
    assert!(document.contains(&other), "{document}");
    let summary = instance.ask(b"summary\n");
    assert!(summary.contains("{\"server\":\"other\",\"protocols\":[\"redis\"],\"requests\":76,"));
    // One who wakes up gets all of it.
    let mut stream = &asleep[0];
    stream.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(text(&mut stream), document);
    instance.finish();
}

#[test]
fn silent_clients_hold_nobody_up_and_are_told_to_ask() {
    let instance = Instance::new("silent", filtered());
    let mut silent = instance.connect();
    let mut half = instance.connect();
    half.write_all(b"GE").unwrap();
    let statistics = TcpStream::connect(instance.servers.stats_address().unwrap()).unwrap();
    assert!(instance.ask(b"GET\n").starts_with("[{\"RX\":"));
    assert_eq!(instance.stats(), "{}\n");
    let told = "{\"error\":\"no question within 5 s; write help\"}\n";
    assert_eq!(text(&mut silent), told);
    assert_eq!(text(&mut half), told);
    drop(statistics);
    instance.finish();
}

#[test]
fn who_asks_when_the_run_has_ended_is_told_so() {
    let Instance {
        work,
        thread,
        servers,
        place,
    } = Instance::new("late", settings());
    drop(work);
    thread.join().unwrap();
    for question in [&b"GET\n"[..], b"records\n"] {
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(question).unwrap();
        assert_eq!(text(&mut stream), "{\"error\":\"the run has ended\"}\n");
    }
    servers.finish();
}

#[test]
fn who_comes_when_all_places_are_taken_is_turned_away_and_counted() {
    let instance = Instance::new("full", filtered());
    let inside: Vec<_> = (0..SOCKET_CLIENTS).map(|_| instance.connect()).collect();
    let mut refused = instance.connect();
    // Nothing comes; whether as an end or as a reset depends on when it is turned away.
    let mut bytes = Vec::new();
    match refused.read_to_end(&mut bytes) {
        Ok(_) => assert_eq!(bytes, b""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(
        instance.with(|desk| desk.refused()),
        [("socket_clients", 1)]
    );
    drop(inside);
    // Their places become free, one after the other.
    let begin = Instant::now();
    loop {
        let mut stream = instance.connect();
        let mut answer = String::new();
        let asked = stream.write_all(b"GET\n");
        if asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
            assert!(answer.starts_with("[{\"RX\":"), "{answer}");
            break;
        }
        assert!(begin.elapsed() < LONG);
    }
    instance.finish();
}
