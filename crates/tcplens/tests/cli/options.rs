//! The command line itself: what is refused, with which words; help; environment.

use crate::Place;
use crate::capture::Capture;

#[test]
fn a_source_that_cannot_be_is_told() {
    let place = Place::new("no-source");
    Capture::usual(1).save(place.path("a.pcap"));
    let run = place.run(&["records", "a.pcap", "-i", "lo"]);
    run.ends(2, &["cannot read a.pcap and capture on lo at once"]);
    let run = place.run(&["records", "-i", "nosuch0"]);
    run.ends(
        1,
        &[
            "cannot open nosuch0 for capture: no such interface (have: ",
            "-i",
        ],
    );
    assert_eq!(run.out, "");
    let run = place.run(&["records", "-i", "lo", "-B", "4096"]);
    run.ends(2, &["tcpdump counts KiB here; write -B 4MiB"]);
}

#[test]
fn a_filter_that_takes_nothing_is_told() {
    let place = Place::new("nothing");
    Capture::usual(1).save(place.path("a.pcap"));
    for filter in [&["host", "192.0.2.99"][..], &["--exclude", "tcp"]] {
        let words = [&["report", "a.pcap"], filter].concat();
        let said = "the filter takes none of the ";
        place.run(&words).ends(0, &[said, "nothing was looked at"]);
    }
    place.run(&["report", "a.pcap", "tcp"]).ends(0, &[]);
}

#[test]
fn a_filter_that_cannot_be_understood_is_shown_with_a_mark() {
    let place = Place::new("filter");
    Capture::usual(1).save(place.path("a.pcap"));
    let run = place.run(&["records", "a.pcap", "tcp", "prot", "80"]);
    run.ends(2, &["tcplens: filter: ", "\n  tcp prot 80\n      ^^^^\n"]);
    place
        .run(&["records", "a.pcap", "--exclude", "prot"])
        .ends(2, &["filter: ", "\n  prot\n  ^^^^"]);
    let run = place.run(&["handshakes", "a.pcap", "web:XX@%:80"]);
    run.ends(2, &["the direction is RX", "\n  web:XX@%:80\n      ^^\n"]);
    place
        .run(&["records", "a.pcap", "web:RX@%:80"])
        .ends(2, &["tcplens handshakes FILE web:RX@%:80"]);
    let run = place.run(&["-q", "records", "a.pcap"]);
    run.ends(
        2,
        &["records is a command: write it first (tcplens records ...)"],
    );
    for (words, said) in [
        (
            &["request", "a.pcap"][..],
            "did you mean the command requests? tcplens requests -r FILE",
        ),
        (
            &["handshaks", "a.pcap"],
            "did you mean the command handshakes?",
        ),
        (
            &["requests", "a.pcap", "http"],
            "tcplens requests FILE -m http",
        ),
        (
            &["requests", "a.pcap", "tcp", "and", "Redis"],
            "tcplens requests FILE -m redis",
        ),
        (
            &["requests", "a.pcap", "6379"],
            "port 6379; to say that it is a server's: -p 6379",
        ),
        (
            &["lo", "--duration", "1"],
            "lo is an interface; to capture on it: -i lo",
        ),
        (
            &["captures/shop", "a.pcap"],
            "captures/shop is no file either",
        ),
    ] {
        place.run(words).ends(2, &["tcplens: filter: ", said]);
    }
    // What follows a primitive's name is meant as its value.
    let host = place.run(&["requests", "a.pcap", "host", "redis"]);
    assert!(!host.err.contains("-m redis"), "{host:?}");
}

#[test]
fn values_that_make_no_sense_say_how_to_write_them() {
    let place = Place::new("values");
    Capture::usual(1).save(place.path("a.pcap"));
    for (option, value, said) in [
        ("--port", "http", "80,443,8000-8100"),
        ("--port", "90-80", "80-90"),
        ("--port", "0", "from 1 to 65535"),
        ("--port", "0-80", "from 1 to 65535"),
        ("--local", "10.0.0.0/33", "32 bits"),
        ("--server", "db", "10.0.0.7"),
        ("--side", "left", "client, server, middle"),
        ("--threads", "0", "from 1"),
        ("--limit-memory", "lots", "64MiB"),
        ("--timeout", "soon", "10s"),
        ("--idle", "0", "it is zero"),
        ("--checksum", "udp", "none, ip, tcp, all"),
        ("--time", "now", "utc, local, relative or epoch"),
        ("--color", "red", "auto, always or never"),
        ("--format", "xml", "text, jsonl, csv, parquet, none"),
        ("--format", "text", "connections and report have text"),
        (
            "--kind",
            "packet",
            "handshake, request, connection, finding, peer, health",
        ),
        ("--count", "0", "from 1"),
        ("--rotate", "1h", "--output"),
        ("--nonsense", "1", "--nonsense"),
        ("--metrics", "nonsense", "127.0.0.1:9760"),
        ("--web", "nonsense", "127.0.0.1:9317"),
        ("-P", "nonsense", "127.0.0.1:33333"),
    ] {
        let run = place.run(&["records", "a.pcap", option, value]);
        run.ends(2, &["tcplens: ", said]);
        assert!(!run.err.contains("error: "), "{run:?}");
        assert_eq!(run.out, "", "{option}");
    }
    place
        .run(&["report", "a.pcap", "-f", "csv"])
        .ends(2, &["report has no format csv"]);
}

#[test]
fn habits_of_others_change_nothing() {
    let place = Place::new("habits");
    Capture::usual(2).save(place.path("a.pcap"));
    let plain = place.run(&["records", "a.pcap"]);
    plain.is_quiet_success();
    let words = [
        "records",
        "-nn",
        "-l",
        "-n",
        "--promisc",
        "--icmp",
        "--promiscuous",
        "a.pcap",
    ];
    assert_eq!(place.run(&words), plain);
    assert_eq!(
        place.run(&["records", "-r", "a.pcap", "--checksum", "0"]),
        plain
    );
}

#[test]
fn the_environment_sets_options_and_the_command_line_wins() {
    let place = Place::new("environment");
    Capture::usual(2).save(place.path("a.pcap"));
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.tcplens(words);
        command.envs(variables.iter().copied());
        crate::Run::of(command.output().unwrap())
    };
    let by_name = run(
        &["records"],
        &[("TCPLENS_READ", "a.pcap"), ("TCPLENS_FORMAT", "csv")],
    );
    assert_eq!(
        by_name,
        place.run(&["records", "-r", "a.pcap", "-f", "csv"])
    );
    by_name.is_quiet_success();
    let both = run(
        &["records", "a.pcap", "-f", "jsonl"],
        &[("TCPLENS_FORMAT", "csv")],
    );
    assert_eq!(both, place.run(&["records", "a.pcap"]));
    let quiet = ["handshakes", "a.pcap"];
    assert_eq!(run(&quiet, &[("TCPLENS_QUIET", "0")]), place.run(&quiet));
    assert_eq!(
        run(&quiet, &[("TCPLENS_QUIET", "1")]),
        place.run(&["handshakes", "a.pcap", "-q"])
    );
    run(&["records", "a.pcap"], &[("TCPLENS_TIMEOUT", "x")]).ends(2, &["--timeout"]);
}

#[test]
fn help_is_short_and_has_examples() {
    let place = Place::new("help");
    let top = place.run(&["--help"]);
    top.is_quiet_success();
    for command in [
        "report",
        "handshakes",
        "connections",
        "records",
        "convert",
        "doctor",
        "completions",
        "man",
    ] {
        assert!(top.out.contains(&format!("  {command} ")), "{top:?}");
        let help = place.run(&[command, "--help"]);
        help.is_quiet_success();
        assert!(
            help.out
                .contains(&format!("Examples:\n  tcplens {command}"))
                || command == "report"
        );
        assert!(
            help.out.lines().count() <= 90,
            "{command}: {}",
            help.out.lines().count()
        );
        assert_eq!(place.run(&["help", command]), help);
    }
    let version = place.run(&["-V"]);
    version.is_quiet_success();
    assert_eq!(
        version.out,
        concat!("tcplens ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_and_manual_pages_know_the_options() {
    let place = Place::new("generated");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = place.run(&["completions", shell]);
        run.is_quiet_success();
        assert!(run.out.contains("limit-memory"), "{shell}");
    }
    let page = place.run(&["man"]);
    page.is_quiet_success();
    assert!(page.out.contains(".TH tcplens 1"), "{page:?}");
    let page = place.run(&["man", "requests"]);
    page.is_quiet_success();
    assert!(
        page.out.contains(".TH tcplens\\-requests") || page.out.contains(".TH tcplens-requests"),
        "{}",
        page.out
    );
    assert_eq!(place.run(&["man", "tcplens-requests"]), page);
    assert!(!place.path("requests").exists());
    place.run(&["man", "pages"]).is_quiet_success();
    let records = crate::read(place.path("pages/tcplens-records.1"));
    assert!(records.contains("limit\\-memory"), "{records}");
    place.write("file", b"");
    place
        .run(&["man", "file/pages"])
        .ends(1, &["cannot write manual pages to file/pages"]);
}
