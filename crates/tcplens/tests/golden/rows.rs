//! spec/tcpkit.md section 4, "known defects: do not inherit": for each row the right behaviour on the capture that shows
//! the defect. The expectations are the spec's words and what the captures were made to show, not the program's output.
//! One file, long as it is: it is the rows of one table.
//!
//! Not here, for they need live capture, a stats port or privileges, which are not there yet:
//! - K10 `-w` hangs at the end: nothing waits for packets (of a growing file: cli/running.rs, a signal ends it)
//! - K12 a ring of 512 MiB; K24 an interface without IPv4: no interface is opened
//! - K14 stats on 0.0.0.0, open also offline: nothing listens (`invariant_09_*`)
//! - K23 needs uid 0: files need none
//! - of K11 an unknown interface, of K13 and K27 `-s`, `-B`, `-u`: no such option, status 2
//!
//! Elsewhere: that tables are bounded and count what does not fit (K5), `invariant_03_*`; K8, K9, K29 also in [`crate::statistics`]; K18 of the scripts in [`crate::scripts`].

use std::fs;

use crate::packets::Packets;
use crate::{Place, asking, golden, has, lines, out, records, run, said};

/// Lines of tcpkit's, without colours.
fn old(path: impl AsRef<std::path::Path>) -> Vec<String> {
    let text = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text).replace("\x1b[32m", "");
    let lines = text.lines().map(|line| line.replace("\x1b[0m", ""));
    lines.filter(|line| !line.is_empty()).collect()
}

/// redis-edges.pcap with sequence numbers that add up.
fn edges(golden: &std::path::Path, place: &Place) -> std::path::PathBuf {
    let capture = place.path("edges.pcap");
    let packets = Packets::read(golden.join("redis-edges.pcap"));
    packets.renumbered().save(&capture);
    capture
}

#[test]
fn k1_a_filter_is_compiled_first_and_applied_everywhere() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k1");
    let (capture, saved) = (golden.join("redis.pcap"), place.path("saved.pcap"));
    let saved_word = saved.to_str().unwrap();
    let senseless = run(
        "requests",
        &capture,
        &["-w", saved_word, "totally bogus filter (("],
    );
    assert_eq!((senseless.status, senseless.out.as_str()), (Some(2), ""));
    assert!(
        senseless
            .err
            .contains("\n  totally bogus filter ((\n  ^^^^^^^\n"),
        "{senseless:?}"
    );
    assert!(!saved.exists(), "nothing was opened");
    // tcpkit: all 18 lines.
    let none = run("requests", &capture, &["port 1"]);
    assert_eq!(none.out, "no requests\n");
    assert!(
        none.err.contains("the filter takes none of the"),
        "{none:?}"
    );
    let one = lines(&capture, &["-w", saved_word, "port 51410"]);
    assert_eq!(one.len(), 1);
    assert!(one[0].ends_with(" | PUBLISH ch hello"), "{one:?}");
    let packets = out("requests", &capture, &["-m", "raw", "port 51410"]);
    assert_eq!(packets.lines().count(), 10);
    assert_eq!(out("requests", &saved, &["-m", "raw"]), packets);
}

#[test]
fn k2_connections_that_are_open_already_are_taken_up_at_once() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let without_syns = "tcp[tcpflags] & tcp-syn == 0";
    for capture in ["redis.pcap", "memcached.pcap", "http.pcap"] {
        let capture = golden.join(capture);
        let all = said(&capture, &[]);
        assert_eq!(said(&capture, &[without_syns]), all);
        for connection in records("connection", &capture, &[without_syns]) {
            has(&connection, &[("handshake", "missed")]);
        }
        for request in records("request", &capture, &[without_syns]) {
            has(
                &request,
                &[("role_from", "protocol"), ("client_ip", "10.77.0.1")],
            );
        }
    }
    // The capture as it is: its first packet is a request, and tcpkit knows of none before the first SYN.
    let first = &lines(golden.join("redis-edges.pcap"), &["-c", "6"])[0];
    assert_eq!(
        first,
        "2023-11-14 22:13:20.000000Z 10.77.0.1:50000 => 10.77.0.2:6379 | 0.150 ms | GET k0000150"
    );
    // Ports that the user named go before the parser.
    let named = records(
        "request",
        golden.join("redis.pcap"),
        &["-p", "6379", without_syns],
    );
    assert!(named.iter().all(|r| r.word("role_from") == "configured"));
}

#[test]
fn k3_pipelined_requests_are_paired_first_in_first_out() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let requests = records("request", golden.join("redis.pcap"), &[]);
    // One segment with three, then a slow one with two behind it.
    for (text, queued, total, process, bytes) in [
        ("GET x1", "0", "45", "45", "5"),
        ("GET x2", "1", "45", "45", "5"),
        ("GET x3", "2", "45", "45", "5"),
        ("DEBUG SLEEP 0.03", "0", "30238", "30238", "5"),
        ("GET p1", "1", "25154", "25154", "5"),
        ("GET p2", "2", "20045", "20045", "5"),
    ] {
        has(
            asking(&requests, text),
            &[
                ("status", "ok"),
                ("ended_by", "response"),
                ("queued", queued),
                ("total_us", total),
                ("process_us", process),
                ("response_bytes", bytes),
            ],
        );
    }
    // What waited behind another has most of its time there.
    for text in ["GET x2", "GET x3", "GET p1", "GET p2"] {
        has(asking(&requests, text), &[("verdict", "queue")]);
    }
    // The last two of the capture of HTTP are a pipeline too; tcpkit shows the first.
    let http = records("request", golden.join("http.pcap"), &[]);
    has(
        asking(&http, "GET a/i.txt"),
        &[("queued", "0"), ("total_us", "85")],
    );
    has(
        asking(&http, "GET b/i.txt"),
        &[("queued", "1"), ("total_us", "108")],
    );
}

#[test]
fn k4_a_request_that_owes_no_reply_waits_for_none() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let requests = records("request", golden.join("memcached.pcap"), &[]);
    has(
        asking(&requests, "set nr 0 0 1 noreply"),
        &[
            ("status", "none"),
            ("total_us", ""),
            ("response_bytes", "0"),
            ("response_frame", ""),
            ("verdict", ""),
        ],
    );
    // tcpkit: 300.224 ms.
    has(
        asking(&requests, "get nr"),
        &[("status", "ok"), ("total_us", "72"), ("queued", "0")],
    );
    // Verbs that v1 takes for ones without reply.
    for (text, total) in [("version", "31"), ("mn", "28"), ("mg foo v", "33")] {
        has(
            asking(&requests, text),
            &[("status", "ok"), ("total_us", total)],
        );
    }
    // A message of a subscription is the response to nothing: 31 bytes of 67 answer SUBSCRIBE.
    let subscriber = ["port 51402"];
    let requests = records("request", golden.join("redis.pcap"), &subscriber);
    assert_eq!(requests.len(), 1);
    has(
        &requests[0],
        &[
            ("summary", "SUBSCRIBE ch"),
            ("response_bytes", "31"),
            ("total_us", "210"),
        ],
    );
    let connections = records("connection", golden.join("redis.pcap"), &subscriber);
    has(&connections[0], &[("server_bytes", "67")]);
}

#[test]
fn k5_the_end_of_a_connection_ends_what_is_pending_on_it() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let reuse = records("request", golden.join("redis-reuse.pcap"), &[]);
    assert_eq!(reuse.len(), 2);
    let (pending, next) = (
        asking(&reuse, "BLPOP nokey2 0"),
        asking(&reuse, "GET after-reuse"),
    );
    has(
        pending,
        &[
            ("status", "unanswered"),
            ("ended_by", "reset"),
            ("total_us", ""),
            ("process_us", ""),
        ],
    );
    // tcpkit: 800.639 ms, BLPOP.
    has(
        next,
        &[
            ("status", "ok"),
            ("total_us", "123"),
            ("task", "1"),
            ("queued", "0"),
        ],
    );
    assert_eq!(pending.word("client_port"), next.word("client_port"));
    assert_ne!(pending.word("connection_id"), next.word("connection_id"));
    // The reset left out: the new handshake on the tuple ends it.
    let no_reset = "tcp[tcpflags] & tcp-rst == 0";
    let superseded = records("request", golden.join("redis-reuse.pcap"), &[no_reset]);
    has(
        asking(&superseded, "BLPOP nokey2 0"),
        &[("status", "unanswered")],
    );
    has(
        asking(&superseded, "GET after-reuse"),
        &[("total_us", "123")],
    );
    let redis = records("request", golden.join("redis.pcap"), &[]);
    has(
        asking(&redis, "BLPOP nokey2 0"),
        &[("status", "unanswered"), ("ended_by", "reset")],
    );
}

#[test]
fn k6_other_headers_around_the_same_segments_change_nothing() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k6");
    let changed = place.path("changed.pcap");
    for capture in ["redis.pcap", "http.pcap", "dns.pcap"] {
        let packets = Packets::read(golden.join(capture));
        let plain = said(golden.join(capture), &[]);
        assert!(!plain.is_empty());
        for (what, packets) in [
            ("Linux cooked v2", packets.cooked()),
            ("VLAN", packets.tagged(&[(0x8100, 100)])),
            ("QinQ", packets.tagged(&[(0x88a8, 7), (0x8100, 100)])),
            ("IPv6", packets.as_ipv6()),
            ("IPv6 in a VLAN", packets.as_ipv6().tagged(&[(0x8100, 100)])),
            ("fragments", packets.fragmented(24)),
        ] {
            packets.save(&changed);
            assert_eq!(said(&changed, &[]), plain, "{capture}: {what}");
        }
    }
    let redis = Packets::read(golden.join("redis.pcap"));
    redis.tagged(&[(0x88a8, 7), (0x8100, 100)]).save(&changed);
    let requests = records("request", &changed, &[]);
    assert!(requests.iter().all(|request| request.word("vlan") == "7"));
    redis.as_ipv6().save(&changed);
    has(
        &records("request", &changed, &[])[0],
        &[("server_ip", "fd77::2")],
    );
    // The capture of `-i any`, of which tcpkit says nothing.
    let attempts = records("handshake", golden.join("sll2.pcap"), &[]);
    assert_eq!(attempts.len(), 2);
    for attempt in &attempts {
        has(attempt, &[("outcome", "refused"), ("server_port", "1")]);
    }
    // What is not decoded is counted by its reason.
    let lldp = redis.each(|data| [&data[..12], &[0x88, 0xcc], &data[14..]].concat());
    lldp.save(&changed);
    let health = &records("health", &changed, &[])[0];
    has(health.at("undecoded"), &[("other_ethertype", "90")]);
}

#[test]
fn k7_and_k17_raw_lines_have_both_ends_and_the_datagrams_own_length() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let tcpeek = golden.join("../tcpeek/handshakes.pcap");
    for (capture, output) in [
        (golden.join("redis.pcap"), "head.redis.raw.out"),
        (golden.join("dns.pcap"), "head.dns.raw.out"),
        (tcpeek, "head.handshakes.raw.out"),
    ] {
        let ours = out("requests", &capture, &["-m", "raw"]);
        // What tcpkit does not see: IPv6, and the connection in a VLAN.
        let mut ours = ours
            .lines()
            .filter(|line| line.contains(" IP ") && !line.contains(".40014"));
        let theirs = old(golden.join(output));
        for their in &theirs {
            let our = ours.next().unwrap();
            let (head, rest) = our.split_once(": ").unwrap();
            let (from, to) = head.split_once(" > ").unwrap();
            let source = from.rsplit(' ').next().unwrap();
            assert_ne!(source, to, "{our}");
            // Theirs has the source twice, no numbers of segments without payload, and no ECN flags; of a datagram the
            // length of its header too, and not that it is UDP.
            let mut rest = rest.replace("Flags [SEW]", "Flags [S]");
            rest = rest.replace("Flags [S.E]", "Flags [S.]");
            let number = rest.split(", ").find(|part| part.starts_with("seq "));
            if let Some(number) = number.filter(|number| !number.contains(':')) {
                rest = rest.replace(&format!("{number}, "), "");
            }
            if let Some(length) = rest.strip_prefix("UDP, length ") {
                rest = format!("length {}", length.parse::<u32>().unwrap() + 8);
            }
            assert_eq!(format!("{from} > {source}: {rest}"), *their);
        }
        assert_eq!(ours.count(), 0, "{output}: more than theirs");
    }
    // The payload is as long as the datagram says, also for scripts.
    let place = Place::new("k17");
    let script = place.path("size.lua");
    fs::write(
        &script,
        "function process(packet) print(packet.size, #packet.payload) end",
    )
    .unwrap();
    let sizes = out(
        "script",
        golden.join("dns.pcap"),
        &[script.to_str().unwrap()],
    );
    assert_eq!(
        sizes,
        "30\t30\n46\t46\n34\t34\n34\t34\n30\t30\n30\t30\n30\t30\n30\t30\n"
    );
    // Every byte, not up to the first NUL.
    let payload = out("requests", golden.join("redis.pcap"), &["-m", "raw", "-A"]);
    assert!(
        payload.contains("\\r\\n$6\\r\\na\\r\\nb\\x00c\\r\\n"),
        "{payload}"
    );
}

#[test]
fn k8_what_lasts_over_20_s_has_its_own_bucket() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k8");
    let text = out(
        "requests",
        edges(&golden, &place),
        &["-q", "--histogram", "port 6379"],
    );
    let row = |bucket: &str| -> String {
        let line = text.lines().find(|line| line.trim().starts_with(bucket));
        let words = line.unwrap_or_else(|| panic!("{bucket}: {text}"));
        let count = words.trim()[bucket.len()..].split_whitespace().next();
        count.unwrap().to_owned()
    };
    // 10 s and 1 µs, and 20 s; then 20 s and 1 µs, 25 s, 60 s.
    assert_eq!(
        (row("up to 20 s"), row("above 20 s")),
        ("2".into(), "3".into()),
        "{text}"
    );
    assert_eq!(
        (row("up to 100 µs"), row("up to 200 µs")),
        ("3".into(), "7".into())
    );
}

#[test]
fn k9_requests_are_requests_and_bytes_are_payload() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    // 23 requests in 24 segments with data, of which one is a repeat.
    let stats = out(
        "requests",
        golden.join("redis.pcap"),
        &["--stats-format", "tcpkit"],
    );
    assert!(
        stats.starts_with(
            r#"{"10.77.0.2:6379":{"requests":23,"request_bytes":20609,"responses":22,"#
        ),
        "{stats}"
    );
    let requests = records("request", golden.join("redis.pcap"), &[]);
    let sum = |name: &str| -> u64 {
        let bytes = requests
            .iter()
            .map(|r| r.word(name).parse::<u64>().unwrap());
        bytes.sum()
    };
    let connections = records("connection", golden.join("redis.pcap"), &[]);
    let of_client: u64 = connections
        .iter()
        .map(|c| c.word("client_bytes").parse::<u64>().unwrap())
        .sum();
    assert_eq!((sum("request_bytes"), of_client), (20609, 20609));
    has(
        asking(&requests, "SET foo bar"),
        &[("request_bytes", "31"), ("response_bytes", "5")],
    );
}

#[test]
fn k11_a_file_that_is_not_there_is_one_line_with_what_to_do() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    for (capture, said) in [
        (golden.join("nowhere.pcap"), "No such file or directory"),
        (golden.clone(), "it is a directory"),
    ] {
        let run = run("requests", &capture, &[""; 0]);
        assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
        assert_eq!(run.err.lines().count(), 1, "{run:?}");
        assert!(run.err.contains(said) && run.err.contains(';'), "{run:?}");
    }
}

#[test]
fn k13_a_protocol_cuts_no_packet() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k13");
    let (capture, saved) = (golden.join("redis.pcap"), place.path("saved.pcap"));
    let requests = records("request", &capture, &[]);
    let big = requests
        .iter()
        .find(|r| r.word("summary").starts_with("SET big v"));
    has(
        big.unwrap(),
        &[("request_bytes", "20032"), ("cut", "false")],
    );
    has(
        asking(&requests, "GET big"),
        &[("response_bytes", "20010"), ("cut", "false")],
    );
    lines(&capture, &["-m", "redis", "-w", saved.to_str().unwrap()]);
    let raw = ["-m", "raw", "-A"];
    assert_eq!(
        out("requests", &saved, &raw),
        out("requests", &capture, &raw)
    );
    // What the capture itself cut is marked on the requests that it touched, and on no other.
    Packets::read(&capture).cut(256).save(&saved);
    let requests = records("request", &saved, &[]);
    let cut: Vec<_> = requests
        .iter()
        .filter(|r| r.word("cut") == "true")
        .collect();
    assert_eq!(cut.len(), 2);
    has(
        cut[1],
        &[
            ("summary", "GET big"),
            ("response_bytes", "20010"),
            ("total_us", "142"),
        ],
    );
    has(
        cut[0],
        &[
            ("operation", "SET"),
            ("request_bytes", "20032"),
            ("total_us", "168"),
        ],
    );
}

#[test]
fn k15_no_colour_in_pipes_and_errors_on_stderr() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let capture = golden.join("redis.pcap");
    for (command, words) in [
        ("report", &[][..]),
        ("handshakes", &[]),
        (
            "requests",
            &["--histogram", "--columns", "status,budget,verdict"],
        ),
        ("requests", &["-m", "raw", "-A"]),
        ("connections", &[]),
        ("script", &["example"]),
    ] {
        assert!(!out(command, &capture, words).contains('\x1b'), "{command}");
    }
    // Asked for, there is.
    assert!(out("requests", &capture, &["--color", "always"]).contains('\x1b'));
}

#[test]
fn k16_a_file_has_a_summary_too() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let text = out(
        "requests",
        golden.join("redis.pcap"),
        &["-q", "--histogram", "-t", "20"],
    );
    for words in [
        "23 requests: 21 ok, 1 with errors, 1 unanswered; 6 slow (20 ms or more)\n",
        "\n10.77.0.2:6379        |       23      1           1     6 |",
        "\n10.77.0.2:6379: 22 answered, p50 ",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    // v1's README: a count per bucket; here the edges are named by their upper end.
    assert!(text.contains("up to 100 µs           10 "), "{text}");
}

#[test]
fn k18_types_have_ianas_names_and_fractions_a_fixed_width() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let names = [
        "A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA", "SRV", "HTTPS",
    ];
    let capture = golden.join("dns-types.pcap");
    let requests = records("request", &capture, &[]);
    let operations: Vec<_> = requests.iter().map(|r| r.word("operation")).collect();
    assert_eq!(operations, names);
    let script = out("script", &capture, &["dns"]);
    let types: Vec<_> = script
        .lines()
        .map(|line| line.split(" | ").nth(3).unwrap())
        .collect();
    assert_eq!(types, names);
    // Type 123 is nobody's: the question's type follows `a.test.`.
    let place = Place::new("k18");
    let unknown = place.path("unknown.pcap");
    Packets::read(&capture)
        .each(|data| {
            let at = 42 + 12 + b"\x01a\x04test\0".len();
            [&data[..at], &[0, 123], &data[at + 2..]].concat()
        })
        .save(&unknown);
    for request in records("request", &unknown, &[]) {
        has(
            &request,
            &[("operation", "TYPE123"), ("summary", "TYPE123 a.test.")],
        );
    }
    // 27.037133 s: tcpkit's scripts print .37133.
    for (command, words) in [
        ("script", &["tcp-connect"][..]),
        ("script", &["example"]),
        ("requests", &["-m", "raw"]),
        ("requests", &[]),
    ] {
        let text = out(command, golden.join("redis.pcap"), words);
        assert!(
            text.contains(":27.0374") || text.contains(":27.0371"),
            "{text}"
        );
        assert!(!text.contains(":27.37"), "{text}");
    }
}

#[test]
fn k19_text_is_made_of_parsed_fields_and_shows_every_byte() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let memcached = records("request", golden.join("memcached.pcap"), &[]);
    let texts: Vec<_> = memcached.iter().map(|r| r.word("summary")).collect();
    assert_eq!(
        texts,
        [
            "set foo 0 0 3",
            "get foo",
            "get foo foo2 foo3",
            "set nr 0 0 1 noreply",
            "get nr",
            "version",
            "set bin 0 0 4",
            "mn",
            "mg foo v"
        ]
    );
    let http = records("request", golden.join("http.pcap"), &[]);
    let texts: Vec<_> = http.iter().map(|r| r.word("summary")).collect();
    assert_eq!(
        texts,
        [
            "GET x.test/i.txt",
            "GET x.test/big.txt",
            "GET x.test/missing",
            "GET a/i.txt",
            "GET b/i.txt"
        ]
    );
    let redis = records("request", golden.join("redis.pcap"), &[]);
    asking(&redis, "SET bin a\\r\\nb\\x00c");
    // Hostile captures: packets that end anywhere, and bytes that are something else.
    let place = Place::new("k19");
    let hostile = place.path("hostile.pcap");
    for capture in ["redis.pcap", "memcached.pcap", "http.pcap", "dns.pcap"] {
        let packets = Packets::read(golden.join(capture));
        let cuts = (0..100).step_by(3).map(|most| packets.cut(most));
        let noise = (0..12_usize).map(|n| {
            packets.each(|data| {
                let mut data = data.to_vec();
                let byte = data.len() * (n + 1) / 13;
                data[byte] = data[byte].wrapping_mul(31).wrapping_add(n as u8);
                data
            })
        });
        for packets in cuts.chain(noise) {
            packets.save(&hostile);
            let run = run("requests", &hostile, &["--columns", "status"]);
            assert!(matches!(run.status, Some(0 | 3)), "{run:?}");
            let is_plain = |c: char| c == '\n' || c == 'µ' || c.is_ascii() && !c.is_ascii_control();
            assert!(run.out.chars().all(is_plain), "{run:?}");
        }
    }
}

#[test]
fn k20_a_keepalive_of_one_byte_is_no_request() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k20");
    let capture = edges(&golden, &place);
    let requests = records("request", &capture, &["port 50001"]);
    // tcpkit: 45000.300 ms, without text.
    has(
        asking(&requests, "ECHO"),
        &[
            ("total_us", "300"),
            ("request_bytes", "14"),
            ("request_frame", "86"),
        ],
    );
    assert!(requests.iter().all(|r| r.word("request_frame") != "85"));
    let connections = records("connection", &capture, &["port 50001"]);
    has(
        &connections[0],
        &[
            ("client_keepalives", "1"),
            ("client_retransmits", "1"),
            ("client_bytes", "859"),
        ],
    );
}

#[test]
fn k21_a_time_that_would_be_negative_is_absent_and_counted() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k21");
    let capture = edges(&golden, &place);
    let requests = records("request", &capture, &[]);
    // tcpkit: -0.050 ms, in the buckets 0.
    has(
        asking(&requests, "PING"),
        &[
            ("status", "ok"),
            ("process_us", ""),
            ("total_us", ""),
            ("in_server_us", ""),
            ("verdict", ""),
        ],
    );
    let ping = said(&capture, &["--grep", "^PING$"]);
    assert_eq!(ping, ["- | PING"]);
    let health = &records("health", &capture, &["--kind", "request,health"]);
    assert_eq!(health.last().unwrap().word("time_reversals"), "1");
    // Of no record any duration is negative.
    for capture in [capture, golden.join("redis-edges.pcap")] {
        let text = out("records", &capture, &[]);
        assert!(!text.contains("_us\":-"), "{text}");
    }
}

#[test]
fn k22_responses_are_read() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let http = records("request", golden.join("http.pcap"), &[]);
    has(
        asking(&http, "GET x.test/missing"),
        &[
            ("status", "error"),
            ("status_code", "404"),
            ("status_text", "Not Found"),
            ("request_bytes", "73"),
            ("response_bytes", "308"),
            ("process_us", "111"),
            ("transfer_us", "0"),
            ("retransmits", "0"),
            ("verdict", "server"),
        ],
    );
    // tcpkit says 0.148 ms of it: service. The rest is transfer: 300 kB to a client that was slow to read.
    let big = asking(&http, "GET x.test/big.txt");
    has(
        big,
        &[
            ("status_code", "200"),
            ("process_us", "148"),
            ("transfer_us", "50166"),
            ("total_us", "50314"),
            ("retransmits", "1"),
            ("server_rtt_us", "3"),
            // Frames 23 to 24: its window is zero from .140719 to .150523.
            ("in_window_us", "9804"),
            // Frames 21 to 22: the same bytes at .100669 and at .108715.
            ("in_loss_us", "8046"),
        ],
    );
    for request in &http {
        let parts = [
            "client", "queue", "server", "network", "loss", "window", "transfer",
        ];
        let parts = parts.map(|part| request.thousandths(&format!("in_{part}_us")).unwrap());
        let total = request.thousandths("total_us").unwrap();
        assert_eq!(parts.iter().sum::<i64>(), total, "{request:?}");
    }
    let redis = records("request", golden.join("redis.pcap"), &[]);
    has(
        asking(&redis, "NOSUCHCMD a"),
        &[
            ("status", "error"),
            (
                "status_text",
                "-ERR unknown command 'NOSUCHCMD', with args beginning with: 'a' ",
            ),
        ],
    );
    let dns = records("request", golden.join("dns.pcap"), &[]);
    has(
        asking(&dns, "A example.test."),
        &[
            ("status", "ok"),
            ("status_code", "0"),
            ("status_text", "NOERROR"),
        ],
    );
    has(
        asking(&dns, "A nope.invalid."),
        &[
            ("status", "error"),
            ("status_code", "5"),
            ("status_text", "REFUSED"),
        ],
    );
}

#[test]
fn k25_one_run_reads_many_protocols() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let more = ["memcached.pcap", "http.pcap", "dns.pcap"].map(|name| golden.join(name));
    let mut words = vec!["-r"; 6];
    for (n, capture) in more.iter().enumerate() {
        words[2 * n + 1] = capture.to_str().unwrap();
    }
    let requests = records("request", golden.join("redis.pcap"), &words);
    for (protocol, count) in [("redis", 23), ("memcached", 9), ("http", 5), ("dns", 4)] {
        let of_it = requests.iter().filter(|r| r.word("protocol") == protocol);
        assert_eq!(of_it.count(), count, "{protocol}");
    }
    assert_eq!(requests.len(), 41);
    words.extend(["-m", "http,dns"]);
    let some = lines(golden.join("redis.pcap"), &words);
    assert_eq!(some.len(), 9, "{some:?}");
}

#[test]
fn k26_thresholds_have_fractions_and_include_what_equals_them() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let slow = |ms: &str| said(golden.join("redis.pcap"), &["-t", ms]).len();
    // By the list of tcpkit's lines and the sums of K3; 0 and nothing are all 23.
    assert_eq!(
        (slow("0"), said(golden.join("redis.pcap"), &[]).len()),
        (23, 23)
    );
    // 0.124 is SET foo bar; then 0.125, 0.142, 0.168, 0.210 and six from 20 ms on.
    assert_eq!(
        (slow("0.124"), slow("0.124001"), slow("0.125")),
        (11, 10, 10)
    );
    assert_eq!((slow("0.5"), slow("20.045"), slow("20.046")), (6, 6, 5));
    assert_eq!((slow("1s"), slow("1064.13"), slow("1064.131")), (1, 1, 0));
}

#[test]
fn k27_an_accepted_option_has_its_effect() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k27");
    let (capture, saved) = (golden.join("redis.pcap"), place.path("saved.pcap"));
    // -w with -r.
    lines(&capture, &["-w", saved.to_str().unwrap()]);
    let packets = out("requests", &saved, &["-m", "raw"]);
    assert_eq!(packets.lines().count(), 90);
    assert_eq!(out("requests", &saved, &[]), out("requests", &capture, &[]));
    let version = out("requests", &capture, &["-V"]);
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let verbose = run("requests", &capture, &["-v"]);
    assert!(verbose.err.contains("90 packets"), "{verbose:?}");
    for option in ["-u", "-B", "-d", "-s"] {
        let run = run("requests", &capture, &[option]);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{option}");
    }
}

#[test]
fn k28_a_request_begins_with_its_first_byte_whatever_comes_again() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k28");
    let edges = records("request", edges(&golden, &place), &[]);
    // v1: 1.000 ms.
    has(
        asking(&edges, "GET retx"),
        &[
            ("total_us", "201000"),
            ("retransmits", "1"),
            ("in_loss_us", "200000"),
            ("verdict", "loss"),
        ],
    );
    let redis = records("request", golden.join("redis.pcap"), &[]);
    // v1: 15.287 and 0.095 ms.
    has(asking(&redis, "DEBUG SLEEP 0.03"), &[("total_us", "30238")]);
    has(
        asking(&redis, "SET split 0123456789"),
        &[
            ("total_us", "40238"),
            ("upload_us", "40143"),
            ("verdict", "client"),
        ],
    );
    // Of a 20 kB request in two segments: v1 0.120 ms.
    let big = redis
        .iter()
        .find(|r| r.word("summary").starts_with("SET big v"));
    has(big.unwrap(), &[("total_us", "168"), ("upload_us", "48")]);
}

#[test]
fn k29_what_is_unknown_of_a_file_is_absent() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let health = &records("health", golden.join("redis.pcap"), &[])[0];
    has(
        health,
        &[
            ("kernel_drops", ""),
            ("packets", "90"),
            ("bad_checksums", ""),
        ],
    );
    let text = out("requests", golden.join("redis.pcap"), &["-q"]);
    assert!(!text.contains("drop"), "{text}");
    let stats = out(
        "requests",
        golden.join("redis.pcap"),
        &["--stats-format", "tcpkit1"],
    );
    assert!(stats.contains(r#""drops":null,"#), "{stats}");
}

#[test]
fn k30_lists_are_exact() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let capture = golden.join("redis.pcap");
    let ports = |list: &str| -> Vec<String> {
        let json = out(
            "requests",
            &capture,
            &["--stats-format", "tcpkit0", "-p", list],
        );
        let json = crate::json::Json::of(&json);
        let rows = json.list().iter();
        rows.map(|row| row.keys()[0].to_owned()).collect()
    };
    assert_eq!(ports("6379,7"), ["7", "6379"]);
    assert_eq!(ports("6379,65535"), ["6379", "65535"]);
    for list in ["65536", "6379,,7", "63 79", "-1"] {
        let run = run("requests", &capture, &[&format!("--port={list}")]);
        assert_eq!(run.status, Some(2), "{list}");
    }
    let servers = "--server=10.77.0.9,10.77.0.2";
    let named = records(
        "request",
        &capture,
        &[servers, "tcp[tcpflags] & tcp-syn == 0"],
    );
    assert!(named.iter().all(|r| r.word("role_from") == "configured"));
}

#[test]
fn k31_an_error_in_a_script_is_counted_and_the_run_goes_on() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("k31");
    let script = place.path("wrong.lua");
    fs::write(
        &script,
        "local n, ticks, asked = 0, 0, 0
function process(p)
  n = n + 1
  if n < 5 then error('no') end
end
function on_tick() ticks = ticks + 1 end
function on_request() asked = asked + 1 end
function on_exit() print(n, ticks, asked) end
",
    )
    .unwrap();
    let name = script.to_str().unwrap();
    let wrong = run("script", golden.join("redis.pcap"), &[name]);
    // All packets, the one whole second that passes, all requests.
    assert_eq!((wrong.status, wrong.out.as_str()), (Some(3), "90\t1\t23\n"));
    assert!(wrong.err.contains("wrong.lua:4: no\n"), "{wrong:?}");
    assert!(wrong.err.contains("4 of 115 calls of "), "{wrong:?}");
    let strict = run("script", golden.join("redis.pcap"), &[name, "--strict"]);
    assert_eq!(strict.status, Some(1), "{strict:?}");
    assert!(strict.err.contains("wrong.lua:4: no"), "{strict:?}");
}
