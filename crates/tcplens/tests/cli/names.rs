//! Names of addresses in text: where they come from, and where they do not belong.

#[path = "../mmdb/mod.rs"]
mod mmdb;

use self::mmdb::{Value, database, map};
use crate::capture::Capture;
use crate::{Place, Run};

/// Three connections in `a.pcap`.
fn place(name: &str) -> Place {
    let place = Place::new(name);
    Capture::usual(3).save(place.path("a.pcap"));
    place
}

#[track_caller]
fn quiet(run: Run) -> String {
    run.is_quiet_success();
    run.out
}

#[test]
fn every_command_that_prints_text_takes_labels_and_machines_get_addresses() {
    let place = place("labels");
    let ends = ends(&place);
    place.write(
        "names",
        format!("{} shop-client\n{} shop-web\n", ends[0], ends[1]).as_bytes(),
    );
    for command in ["handshakes", "connections", "report"] {
        let plain = quiet(place.run(&[command, "a.pcap"]));
        let named = quiet(place.run(&[command, "a.pcap", "--names-file", "names"]));
        assert!(
            !plain.contains("shop-") && named.contains("shop-web:80"),
            "{named}"
        );
    }
    let both = quiet(place.run(&["handshakes", "a.pcap", "--names-file", "names"]));
    assert!(
        !both.contains(&ends[0]) && !both.contains(&ends[1]),
        "{both}"
    );
    for command in ["handshakes", "connections", "requests", "report"] {
        let machine = |words: &[&str]| {
            let words: Vec<&str> = [&[command, "a.pcap", "-q", "-f", "jsonl"], words].concat();
            // What a run measures of itself is left out.
            place.run(&words).out
        };
        let plain = machine(&[]);
        assert_eq!(machine(&["--names-file", "names"]), plain);
        assert_eq!(machine(&["--names"]), plain);
    }
}

/// What was asked of name servers is read for names, and is not among what was asked for.
#[test]
fn names_change_no_number() {
    let place = Place::new("names-numbers");
    let case = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/cases/names/input.pcap"
    );
    let table = |words: &[&str]| {
        let words = [&["top", case, "--once", "--by", "port"], words].concat();
        quiet(place.run(&words))
    };
    let asks_dns = table(&[]);
    assert!(asks_dns.contains("\n53 "), "{asks_dns}");
    let plain = table(&["--protocol", "redis"]);
    assert!(!plain.contains("\n53 "), "{plain}");
    assert_eq!(table(&["--protocol", "redis", "--names=seen"]), plain);
    let told = |words: &[&str]| {
        let words = [&["records", "-f", "jsonl", "-q", case], words].concat();
        quiet(place.run(&words))
            .matches("\"kind\":\"request\"")
            .count()
    };
    assert_eq!(told(&["--protocol", "redis"]), 0);
}

/// The addresses of a client and its server.
fn ends(place: &Place) -> [String; 2] {
    let csv = quiet(place.run(&["handshakes", "a.pcap", "-q", "-f", "csv"]));
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    ["client_ip", "server_ip"].map(|name| {
        let at = rows[0].iter().position(|column| *column == name).unwrap();
        rows[1][at].to_owned()
    })
}

#[test]
fn a_label_does_not_shift_what_stands_behind_it() {
    let place = place("align");
    let [_, server] = ends(&place);
    let label = "a-name-that-is-longer-than-any-column-of-addresses";
    place.write("names", format!("{server} {label}\n").as_bytes());
    let text = quiet(place.run(&["handshakes", "a.pcap", "--names-file", "names"]));
    let lines: Vec<_> = text.lines().filter(|line| line.contains(label)).collect();
    let bar = |line: &str| {
        line.match_indices(" | ")
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    assert!(
        lines.len() > 1 && lines.iter().all(|line| bar(line) == bar(lines[0])),
        "{text}"
    );
}

#[test]
fn several_files_of_labels_are_one_and_the_first_counts() {
    let place = place("several-labels");
    let [client, server] = ends(&place);
    place.write("a", format!("{server} first\n").as_bytes());
    place.write("b", format!("{server} second\n{client} other\n").as_bytes());
    let words = [
        "handshakes",
        "a.pcap",
        "--names-file",
        "a",
        "--names-file",
        "b",
    ];
    let text = quiet(place.run(&words));
    assert!(
        text.contains(" first:80 |") && text.contains(" other:"),
        "{text}"
    );
    let mut command = place.tcplens(&["handshakes", "a.pcap"]);
    let output = command.env("TCPLENS_NAMES_FILE", "b").output().unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains(" second:80 |")
    );
}

#[test]
fn what_cannot_be_read_is_said_with_its_line_before_anything_is() {
    let place = place("wrong-labels");
    place.write("names", b"10.0.0.1 a\n\n10.0.0.300 b\n");
    place.write("binary", b"10.0.0.1 \xff\n");
    for (words, said) in [
        (
            ["--names-file", "names"],
            "cannot understand names: line 3: \"10.0.0.300\" is no address; write 10.0.0.1, 10.0.0.0/8, 10.0.0.1:6379, 2001:db8::1 or [2001:db8::1]:443",
        ),
        (
            ["--names-file", "binary"],
            "cannot read labels from binary; name a text file like /etc/hosts with --names-file: stream did not contain valid UTF-8",
        ),
        (
            ["--names-file", "missing"],
            "cannot read labels from missing; name a text file like /etc/hosts with --names-file: No such file or directory",
        ),
        (
            ["--geoip", "names"],
            "cannot understand the database names; name a file in MaxMind's format (.mmdb) with --geoip",
        ),
    ] {
        let run = place.run(&[&["handshakes", "a.pcap"], &words[..]].concat());
        run.ends(1, &[said]);
        assert_eq!(run.out, "");
    }
    for (words, said) in [
        (
            &["handshakes", "a.pcap", "--names=all"][..],
            "invalid value 'all' for '--names[=<FROM>]'",
        ),
        (
            &["requests", "-m", "raw", "a.pcap", "--names=seen"],
            "--names is about requests, -m raw prints packets; leave one of them out",
        ),
    ] {
        place.run(words).ends(2, &[said]);
    }
}

#[test]
fn places_stand_behind_addresses_and_names() {
    let place = place("geoip");
    let [_, server] = ends(&place);
    let text = |text: &str| Value::Text(text.to_owned());
    let network = format!("{server}/32");
    let country = map(&[("country", map(&[("iso_code", text("DE"))]))]);
    let owner = map(&[
        ("autonomous_system_number", Value::Number(64500)),
        ("autonomous_system_organization", text("Example")),
    ]);
    place.write("country.mmdb", &database(&[(&network, country)]));
    place.write("owner.mmdb", &database(&[(&network, owner)]));
    let geoip = ["--geoip", "country.mmdb", "--geoip", "owner.mmdb"];
    let shown = quiet(place.run(&[&["handshakes", "a.pcap"], &geoip[..]].concat()));
    let expected = format!(" {server}:80 (DE, AS64500 Example) |");
    assert!(shown.contains(&expected), "{shown}");
    place.write("names", format!("{server} web\n").as_bytes());
    let words = [
        &["handshakes", "a.pcap", "--names-file", "names"],
        &geoip[..],
    ]
    .concat();
    let named = quiet(place.run(&words));
    assert!(named.contains(" web:80 (DE, AS64500 Example) |"), "{named}");
}

#[test]
fn sockets_take_labels_too() {
    let place = Place::new("socket-labels");
    place.write("names", b"127.0.0.0/8 here\n::1 here6\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let expression = format!("sport = :{port}");
    let run = place.run(&["sockets", "--names-file", "names", &expression]);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(
        run.out.contains(&format!("here/127.0.0.1:{port}")),
        "{run:?}"
    );
}
