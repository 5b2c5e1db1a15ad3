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
