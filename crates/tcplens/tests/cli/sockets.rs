//! `sockets` from outside: what it refuses, and how. What it shows of real connections is in the live tests.

use crate::Place;

#[test]
fn what_makes_no_sense_is_refused_with_what_does() {
    let place = Place::new("sockets-usage");
    for (words, said) in [
        (&["-w", "x.pcap"][..], "no packets to save"),
        (&["--rotate", "1h"], "name one with -o"),
        (&["--sort", "speed"], "no field \"speed\""),
        (&["--sort", "rtt:down"], "asc or desc"),
        (&["-e", "-f", "jsonl"], "-e (--extended) is for text"),
        (&["--sort", "rt"], "near it are: rto_us, rtt_us"),
        (
            &["--fields", "local_port,rttt"],
            "no field \"rttt\" in what is shown; near it are: rtt_us",
        ),
        (
            &["--fields", "snapshots"],
            "it is one of socket_summary: write --kind",
        ),
        (
            &[
                "--fields",
                "rtt,inode",
                "-f",
                "csv",
                "--kind",
                "socket_summary",
            ],
            "it is one of socket: write",
        ),
        (&["--fields", "qqqqqq"], "write names of docs/records.md"),
        (
            &["--fields", "rtt", "-f", "parquet", "-o", "x.parquet"],
            "--fields is not for Parquet",
        ),
        (&["--fields", "rtt", "-f", "none"], "nothing is"),
        (&["--fields", "rtt", "-e"], "cannot be used with"),
        (&["--cpu-budget", "0"], "percents from above 0 to 100"),
        (&["--interval", "0"], "it is zero"),
        (&["--interval", "1us"], "below 1ms"),
        (&["dev", "nosuch"], "no interface nosuch (have: "),
        (&["--polls", "0"], "it is zero"),
        (&["-f", "tcprt"], "invalid value"),
        (&["rtt_us", ">"], "expected"),
        (&["--exclude", "speed > 5"], "speed"),
        (&["state", "estab"], "established"),
        (&["-i", "eth0"], "unexpected argument"),
    ] {
        let run = place.run(&[&["sockets"], words].concat());
        assert_eq!(run.status, Some(2), "{words:?}: {}", run.err);
        assert!(run.err.contains(said), "{words:?}: {}", run.err);
        assert_eq!(run.out, "");
    }
}

#[test]
fn a_namespace_that_is_not_there_is_told() {
    let place = Place::new("sockets-netns");
    let run = place.run(&["sockets", "--netns", "no-such-namespace"]);
    assert_eq!(run.status, Some(1));
    assert!(run.err.contains("no such namespace"), "{}", run.err);
}

#[test]
fn once_needs_no_privilege_and_finds_a_socket_of_this_process() {
    let place = Place::new("sockets-own");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let word = format!(":{port}");
    let words = [
        "sockets",
        "-n",
        "--threads",
        "1",
        "state",
        "listening",
        "sport",
        "=",
        &word,
    ];
    let run = place.run(&words);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    assert_eq!(run.out.lines().count(), 3, "{}", run.out);
    assert!(
        run.out.contains(&format!("127.0.0.1:{port}")),
        "{}",
        run.out
    );
    assert!(run.out.ends_with("\n1 socket: 1 listen\n"), "{}", run.out);
}

#[test]
fn fields_that_are_asked_for_are_all_that_is_shown_in_every_format() {
    let place = Place::new("sockets-fields");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shown = |format: &str| {
        let words = ["--fields", "local_port,state,rqueue,local_ip", "-f", format];
        let which = ["state", "listening", "sport", &format!(":{port}")];
        let run = place.run(&[&["sockets"], &words[..], &which].concat());
        let said = if format == "text" { "" } else { "1 socket\n" };
        assert_eq!((run.status, run.err.as_str()), (Some(0), said));
        run.out
    };
    let text = shown("text");
    let lines: Vec<&str> = text.lines().collect();
    let words = |n: usize| lines[n].split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        words(0),
        ["local_port", "state", "rqueue_bytes", "local_ip"]
    );
    assert_eq!(words(1), [&port.to_string(), "listen", "-", "127.0.0.1"]);
    assert_eq!(lines[2..], ["1 socket: 1 listen"]);
    assert_eq!(
        shown("csv"),
        format!("kind,local_port,state,rqueue_bytes,local_ip\nsocket,{port},listen,,127.0.0.1\n")
    );
    let jsonl = shown("jsonl");
    let (first, health) = jsonl.split_once('\n').unwrap();
    assert_eq!(
        first,
        format!(
            "{{\"kind\":\"socket\",\"local_port\":{port},\"state\":\"listen\",\"local_ip\":\"127.0.0.1\"}}"
        )
    );
    // What was lost is told whole.
    assert!(
        health.starts_with("{\"kind\":\"health\",") && health.contains("\"polls\":1"),
        "{health}"
    );
}

#[test]
fn v_says_what_asking_cost() {
    let place = Place::new("sockets-cost");
    let run = place.run(&[
        "sockets",
        "--polls",
        "2",
        "--interval",
        "20ms",
        "-v",
        "-f",
        "none",
    ]);
    assert_eq!((run.status, run.out.as_str()), (Some(0), ""));
    let line = run.err.lines().find(|line| line.contains("asked every "));
    let line = line.unwrap_or_else(|| panic!("{}", run.err));
    // How much of it is the machine's.
    let words: Vec<&str> = line
        .split(|c: char| c.is_ascii_digit() || c == '.')
        .map(str::trim)
        .filter(|words| words.len() > 3)
        .collect();
    let cost = words
        .iter()
        .filter(|words| words.contains("of CPU time each;"));
    assert_eq!(cost.count(), 1, "{line}");
    assert_eq!(
        words[words.len() - 5..],
        [
            "looks were due while another one went on, and left out;",
            "answers were not whole and repeated;",
            "sockets were gone and there again,",
            "ends were told twice;",
            "sockets of other protocols than TCP",
        ],
        "{line}"
    );
}

#[test]
fn a_file_that_cannot_begin_names_is_told() {
    let place = Place::new("sockets-prefix");
    for (text, said) in [
        ("a/b", "cannot begin the names of files"),
        ("", "cannot begin"),
    ] {
        std::fs::write(place.path("prefix"), text).unwrap();
        let words = [
            "sockets",
            "--archive",
            "kept",
            "--uuid-prefix-file",
            "prefix",
            "--polls",
            "1",
        ];
        let run = place.run(&words);
        assert_eq!(run.status, Some(1), "{text:?}: {}", run.err);
        assert!(
            run.err.contains("what is in prefix") && run.err.contains(said),
            "{}",
            run.err
        );
    }
    let run = place.run(&[
        "sockets",
        "--uuid-prefix-file",
        "nosuch",
        "--archive",
        "kept",
    ]);
    assert!(
        run.err.contains("cannot read nosuch (--uuid-prefix-file)"),
        "{}",
        run.err
    );
}
