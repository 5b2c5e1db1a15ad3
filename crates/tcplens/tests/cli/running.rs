//! A program that is running: files that grow, signals.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Place;
use crate::capture::Capture;

/// Starts the program; its standard output line by line.
fn start(place: &Place, words: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = place.tcplens(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    (child, reader)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

fn signal(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([signal, &id])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_growing_file_is_followed_until_a_signal() {
    for name in ["-INT", "-TERM"] {
        let place = Place::new(&format!("follow{name}"));
        let whole = Capture::usual(2).bytes;
        let (now, later) = whole.split_at(24 + 9 * 16 + 9 * 54 + 37);
        let path = place.write("a.pcap", now);
        let (mut child, mut reader) = start(&place, &["records", "a.pcap", "--follow"]);
        assert!(line(&mut reader).contains("\"client_port\":40000,"));
        OpenOptions::new()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(later)
            .unwrap();
        // The connection that was there has several records.
        let mut lines = vec![line(&mut reader)];
        while !lines.concat().contains("\"client_port\":40001,") {
            lines.push(line(&mut reader));
        }
        signal(&child, name);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        lines.push(rest);
        let text = lines.concat();
        assert!(text.contains("40001,") && text.contains("50000,"), "{text}");
        assert!(
            text.lines()
                .last()
                .unwrap()
                .starts_with("{\"kind\":\"health\","),
            "{text}"
        );
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_second_signal_ends_the_run_at_once() {
    let place = Place::new("twice");
    Capture::usual(5000).save(place.path("a.pcap"));
    let (mut child, mut reader) = start(&place, &["records", "a.pcap"]);
    // There is more to write than a pipe holds: the program waits for its reader.
    line(&mut reader);
    signal(&child, "-INT");
    let began = Instant::now();
    // Within a second it is the same one (timeout(1) sends two).
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(30), "it does not end");
        signal(&child, "-TERM");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!([Some(130), Some(143)].contains(&status), "{status:?}");
}
