//! `--stats-format` beside what tcpkit's port answered: same keys, same types, numbers by our definitions.

use std::fs;
use std::path::Path;

use crate::json::Json;
use crate::packets::Packets;
use crate::{Place, golden, out};

/// What a document consists of: the type of every value by its path. Names that are data (servers, ports, buckets) are
/// left out of it, and of a list all kinds of elements are told once.
fn shape(json: &Json) -> Vec<String> {
    fn add(json: &Json, path: &str, to: &mut Vec<String>) {
        let is_data = |key: &str| key.starts_with(|c: char| c.is_ascii_digit() || c == '<');
        match json {
            Json::Null => to.push(format!("{path} null")),
            Json::Bool(_) => to.push(format!("{path} true or false")),
            Json::Number(_) => to.push(format!("{path} number")),
            Json::Text(_) => to.push(format!("{path} text")),
            Json::List(values) => {
                to.push(format!("{path} list"));
                values
                    .iter()
                    .for_each(|value| add(value, &format!("{path}[]"), to));
            }
            Json::Object(fields) => {
                to.push(format!("{path} object"));
                for (key, value) in fields {
                    let key = if is_data(key) { "*" } else { key };
                    add(value, &format!("{path}.{key}"), to);
                }
            }
        }
    }
    let mut lines = Vec::new();
    add(json, "", &mut lines);
    let mut seen = Vec::new();
    lines.retain(|line| {
        !seen.contains(line) && {
            seen.push(line.clone());
            true
        }
    });
    lines
}

fn stats(capture: &Path, shape: &str, words: &[&str]) -> Json {
    let words = [&["--stats-format", shape], words].concat();
    Json::of(&out("requests", capture, &words))
}

fn read(path: &Path) -> Json {
    Json::of(&fs::read_to_string(path).unwrap())
}

/// The numbers of a list.
fn numbers(json: &Json) -> Vec<u64> {
    let number = |json: &Json| match json {
        Json::Number(text) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    };
    json.list().iter().map(number).collect()
}

#[test]
fn the_object_of_1_1_has_tcpkits_keys_and_payload_in_place_of_frames() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let theirs = read(&golden.join("stats33333.head.json"));
    let ours = stats(&golden.join("live.pcap"), "tcpkit", &[]);
    assert_eq!(shape(&ours), shape(&theirs));
    assert_eq!(ours.keys(), theirs.keys());
    let (ours, theirs) = (ours.at("127.0.0.1:6379"), theirs.at("127.0.0.1:6379"));
    // K9: theirs counts data packets, 4006, and their frames, 66 bytes of headers each. Two requests share a packet.
    assert_eq!(theirs.word("requests"), "4006");
    for (name, value) in [
        ("requests", 4007),
        ("responses", 4007),
        ("request_bytes", 426_606 - 4006 * 66),
        ("response_bytes", 292_474 - 4006 * 66),
    ] {
        assert_eq!(ours.word(name), value.to_string(), "{name}");
    }
    // The buckets in use are the same; their sums are the requests.
    let buckets = |json: &Json| -> Vec<String> {
        let list = json.at("latency").list().iter();
        list.flat_map(|bucket| {
            bucket
                .keys()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
    };
    assert_eq!(buckets(ours), buckets(theirs));
    let sum: u64 = ours
        .at("latency")
        .list()
        .iter()
        .map(|bucket| bucket.word(bucket.keys()[0]).parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, 4007);
}

#[test]
fn the_object_of_1_0_has_tcpkits_keys_and_its_bytes() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let theirs = read(&golden.join("stats33333.v1.json"));
    let words = ["-p", "6379,6380", "-t", "5", "-m", "redis"];
    let ours = stats(&golden.join("live.pcap"), "tcpkit1", &words);
    // K29: of a file nobody knows the drops.
    let unknown = |line: &String| line.replace(".drops null", ".drops number");
    let known: Vec<_> = shape(&ours).iter().map(unknown).collect();
    assert_eq!(known, shape(&theirs));
    assert_eq!(*ours.at("drops"), Json::Null);
    for name in ["type", "in_bytes", "out_bytes"] {
        assert_eq!(ours.word(name), theirs.word(name), "{name}");
    }
    // Segments with data; theirs also counts those that open and close the connections.
    assert_eq!(
        (ours.word("in_packets"), ours.word("out_packets")),
        ("4006".into(), "4006".into())
    );
    let ports = |json: &Json| -> Vec<Json> { json.at("ports").list().to_vec() };
    let (ours, theirs) = (ports(&ours), ports(&theirs));
    let names: Vec<_> = ours.iter().map(Json::keys).collect();
    assert_eq!(names, theirs.iter().map(Json::keys).collect::<Vec<_>>());
    let (ours, theirs) = (ours[0].at("6379"), theirs[0].at("6379"));
    for (json, requests, costs) in [(ours, "4007", "230589"), (theirs, "4006", "230491")] {
        assert_eq!(json.word("total_reqs"), requests);
        assert_eq!(json.word("total_costs"), costs);
        assert_eq!(json.word("slow_reqs"), "2");
    }
    // A microsecond more or less moves a few over an edge.
    let (ours, theirs) = (
        numbers(ours.at("latencies")),
        numbers(theirs.at("latencies")),
    );
    assert_eq!((ours.len(), ours.iter().sum::<u64>()), (18, 4007));
    assert!(
        ours.iter().zip(theirs).all(|(a, b)| a.abs_diff(b) <= 2),
        "{ours:?}"
    );
}

#[test]
fn the_array_of_the_readme_has_its_shape() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    // spec/tcpkit.md section 3.5, with 18 slots.
    let theirs = Json::of(
        r#"[{"6379":{"total_reqs": 7,"total_costs":76785, "slow_reqs":7,"latencies":[0,0,0,0,0,0,7,0,0,0,0,0,0,0,0,0,0,0]}}]"#,
    );
    let ours = stats(&golden.join("redis.pcap"), "tcpkit0", &["-t", "20"]);
    assert_eq!(shape(&ours), shape(&theirs));
    let row = ours.list()[0].at("6379");
    // 30.238, 25.154, 20.045, 20.212, 40.238, 1064.130 ms.
    assert_eq!(
        (row.word("total_reqs"), row.word("slow_reqs")),
        ("23".into(), "6".into())
    );
    assert_eq!(numbers(row.at("latencies")).len(), 18);
}

/// K8, K9, K20, K21. By hand, from the names of the keys, which are the microseconds.
#[test]
fn every_edge_is_in_its_bucket_and_what_lasts_over_20_s_has_its_own() {
    let Some(golden) = golden("tcpkit") else {
        return;
    };
    let place = Place::new("edges-buckets");
    let capture = place.path("edges.pcap");
    Packets::read(golden.join("redis-edges.pcap"))
        .renumbered()
        .save(&capture);
    let expected = [
        3, // 0, 99, 100
        7, // 101, 200, five of 150
        3, // 201, 500, 300 of ECHO
        2, // 501, 1000
        2, // 1001, 5000
        2, // 5001, 10000
        2, // 10001, 20000
        1, // 50000
        1, // 100000
        1, // 200000
        2, // 500000, and 201000 of the one that was sent again
        1, // 1000000
        2, // 1000001, 2000000
        1, // 3000000
        1, // 5000000
        1, // 10000000
        2, // 10000001, 20000000
        3, // 20000001, 25000000, 60000000
    ];
    let only = ["-m", "redis", "port", "6379"];
    let array = stats(&capture, "tcpkit0", &only);
    let row = array.list()[0].at("6379");
    assert_eq!(numbers(row.at("latencies")), expected);
    // PING, whose time went back, is a request without a latency.
    assert_eq!(row.word("total_reqs"), "38");
    let object = stats(&capture, "tcpkit", &only);
    let server = object.at("10.77.0.2:6379");
    let theirs = read(&golden.join("head.edges.json"));
    // `+inf`, which tcpkit has a name for and never used, is what lasts over 20 s.
    let known = |line: &String| !line.contains("+inf");
    let ours: Vec<_> = shape(server).into_iter().filter(known).collect();
    assert_eq!(ours, shape(theirs.at("10.77.0.2:6379")));
    let buckets: Vec<_> = server
        .at("latency")
        .list()
        .iter()
        .map(|bucket| (bucket.keys()[0].to_owned(), bucket.word(bucket.keys()[0])))
        .collect();
    let counts: Vec<_> = buckets
        .iter()
        .map(|(_, count)| count.parse::<u64>().unwrap())
        .collect();
    assert_eq!(counts, expected);
    let names: Vec<_> = buckets.iter().map(|(name, _)| name.as_str()).collect();
    let known = |name: &&str| *name != "+inf";
    let theirs = theirs.at("10.77.0.2:6379").at("latency").list();
    let theirs: Vec<_> = theirs.iter().map(|bucket| bucket.keys()[0]).collect();
    assert_eq!(names.into_iter().filter(known).collect::<Vec<_>>(), theirs);
}
