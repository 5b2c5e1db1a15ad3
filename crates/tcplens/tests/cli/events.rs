//! `events` against a server that writes what tcp-info and tcplens write.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use crate::{Place, Run};

const OPEN: &str = r#"{"Event":0,"Timestamp":"2026-11-21T01:07:22.384589048Z","UUID":"host_1795222357_unsafe_0000000000001007","ID":{"SPort":5001,"DPort":20001,"SrcIP":"10.10.0.1","DstIP":"10.10.0.2","Interface":0,"Cookie":4103}}"#;
/// As tcp-info writes it.
const CLOSE: &str = r#"{"Event":1,"Timestamp":"2026-11-21T01:07:23.5Z","UUID":"host_1795222357_unsafe_0000000000001007","ID":null}"#;

/// Writes `text` to one client and ends; returns what the client sent, if it sends something.
fn server(place: &Place, text: String, is_asked: bool) -> JoinHandle<String> {
    let listener = UnixListener::bind(place.path("s")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 64];
        let length = match is_asked {
            true => stream.read(&mut asked).unwrap(),
            false => 0,
        };
        // One that has seen enough is gone.
        let _ = stream.write_all(text.as_bytes());
        String::from_utf8_lossy(&asked[..length]).into_owned()
    })
}

#[test]
fn events_are_lines_for_people_until_the_server_ends_also_tcp_infos() {
    let place = Place::new("events-text");
    let server = server(&place, format!("{OPEN}\n{CLOSE}\n"), false);
    let run = place.run(&["events", "s"]);
    run.is_quiet_success();
    server.join().unwrap();
    assert_eq!(
        run.out,
        "01:07:22.384 open  host_1795222357_unsafe_0000000000001007 10.10.0.1:5001 -> 10.10.0.2:20001\n\
         01:07:23.500 close host_1795222357_unsafe_0000000000001007\n"
    );
}

#[test]
fn replay_is_asked_for_and_jsonl_is_as_it_came_as_many_as_wanted() {
    let place = Place::new("events-jsonl");
    let server = server(&place, format!("{OPEN}\n{CLOSE}\n{OPEN}\n"), true);
    let run = place.run(&["events", "s", "--replay", "-f", "jsonl", "-c", "2"]);
    run.is_quiet_success();
    assert_eq!(server.join().unwrap(), "REPLAY\n");
    assert_eq!(run.out, format!("{OPEN}\n{CLOSE}\n"));
}

#[test]
fn what_is_no_event_is_counted_and_told() {
    let place = Place::new("events-odd");
    let long = "x".repeat(100_000);
    let text = format!("{OPEN}\nhello\n{long}\n\n{CLOSE}\n{{\"Event\":1");
    let server = server(&place, text, false);
    let run = place.run(&["events", "s", "-f", "jsonl"]);
    server.join().unwrap();
    assert_eq!(
        (run.status, run.out),
        (Some(3), format!("{OPEN}\n{CLOSE}\n"))
    );
    assert_eq!(
        run.err,
        "tcplens: 3 lines of s were no events that are known; is it the event socket of tcplens or tcp-info?\n"
    );
}

#[test]
fn where_nobody_listens_it_is_said_what_to_do() {
    let place = Place::new("events-nobody");
    let run = place.run(&["events", "s"]);
    let start = "start `tcplens sockets --watch --event-socket`";
    run.ends(
        1,
        &["cannot get events of s", "there is no such socket", start],
    );
    drop(UnixListener::bind(place.path("s")).unwrap());
    let run = place.run(&["events", "s"]);
    run.ends(1, &["nobody listens there any more"]);
}

#[test]
fn it_ends_after_a_while_or_when_it_is_told_to() {
    let place = Place::new("events-end");
    let listener = UnixListener::bind(place.path("s")).unwrap();
    place
        .run(&["events", "s", "--duration", "200ms"])
        .is_quiet_success();
    let mut command = place.tcplens(&["events", "s"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The first is the one before.
    let _before = listener.accept().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(format!("{OPEN}\n").as_bytes()).unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("01:07:22.384 open "), "{line}");
    let id = child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status();
    assert!(told.unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    run.is_quiet_success();
}
