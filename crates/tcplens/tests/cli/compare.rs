//! `report --compare` and `--ascii`: what they take, and what they say when it makes no sense. What is told of a change is in
//! tests/cases/what-changed.

use std::path::PathBuf;

use crate::Place;

/// A file of tests/cases/what-changed.
fn case(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/what-changed");
    path.join(name)
        .canonicalize()
        .unwrap()
        .display()
        .to_string()
}

#[test]
fn a_baseline_is_a_period_or_files_that_are_there() {
    let place = Place::new("compare-words");
    let input = case("input.pcap");
    let kernel = format!(
        "tcplens: cannot compare what the kernel tells with {input}: one is of sockets, the other of packets; capture (-i), or compare \
         periods (--compare 300s)\n"
    );
    for (words, expected) in [
        (
            &["report", "--compare", "nothing.pcap", &input][..],
            "tcplens: cannot compare with nothing.pcap: there is no such file, and \"nothing.pcap\" is no period; write 300s (the \
             first 300 s), 5m..10m (since the first packet), 10:00..10:05 (UTC) or 2026-11-21T10:00..2026-11-21T10:05\n"
                .to_owned(),
        ),
        (
            &["report", "--compare", "30s", "--compare", &input, &input],
            "tcplens: cannot compare with 30s and other baselines at once; name one period, or files (a file with such a name as \
             ./30s)\n"
                .to_owned(),
        ),
        (
            &["report", "--compare", "1h..2h", &input],
            format!("tcplens: the period 1h..2h holds nothing of {input}; choose one that lies within it\n"),
        ),
        (
            &["report", "--compare", "2h", &input],
            format!(
                "tcplens: the period 2h is all of {input}: there is no rest to compare it with; choose a shorter one\n"
            ),
        ),
        (&["report", "-k", "--compare", &input], kernel),
    ] {
        let run = place.run(words);
        assert_eq!((run.out.as_str(), run.err, run.status), ("", expected, Some(2)), "{words:?}");
    }
}

#[test]
fn what_changed_does_not_depend_on_threads_or_on_how_files_are_named() {
    let place = Place::new("compare-threads");
    let (before, input) = (case("before.pcap"), case("input.pcap"));
    let one = place.run(&[
        "report",
        "--compare",
        &before,
        "-r",
        &input,
        "--threads",
        "1",
    ]);
    one.is_quiet_success();
    assert!(
        one.out.contains("\n1. more_failed_connects\n"),
        "{}",
        one.out
    );
    let two = place.run(&["report", &input, "--compare", &before, "--threads", "2"]);
    assert_eq!(one, two);
    let records = place.run(&["report", &input, "--compare", &before, "-f", "jsonl"]);
    records.is_quiet_success();
    assert_eq!(records.records("health"), 1);
    assert_eq!(records.records("change"), 19);
}

/// The locale decides, and `--ascii` or its variable decide against it.
#[test]
fn plots_are_of_ascii_where_the_locale_is_not_utf_8() {
    let place = Place::new("ascii");
    let input = case("input.pcap");
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.tcplens(&["report", &input]);
        command.args(words).envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let utf8 = run(&[], &[("LANG", "C.UTF-8")]);
    assert!(utf8.contains('█') && utf8.contains('┤'), "{utf8}");
    assert_eq!(run(&[], &[("LC_ALL", "de_DE.utf8"), ("LANG", "C")]), utf8);
    let ascii = run(&[], &[]);
    assert!(ascii.is_ascii() && ascii.contains("##"), "{ascii}");
    for (words, variables) in [
        (&["--ascii"][..], &[("LANG", "C.UTF-8")][..]),
        (&[], &[("LANG", "C.UTF-8"), ("TCPLENS_ASCII", "1")]),
        (&[], &[("LC_ALL", "C"), ("LANG", "C.UTF-8")]),
    ] {
        assert_eq!(run(words, variables), ascii, "{words:?} {variables:?}");
    }
}
