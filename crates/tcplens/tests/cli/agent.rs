//! `agent`: its file, its views, its signals.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::{Place, read};

/// Two views of a file.
const TWO: &str = "\
sources:
  - read: a.pcap
views:
  - {kind: handshakes, format: jsonl, output: h.jsonl, outcome: refused}
  - {kind: records, output: r.jsonl, records: [connection, health]}
";

#[test]
fn several_views_of_one_run_are_those_of_several_commands() {
    let place = Place::new("agent-views");
    Capture::usual(3).save(place.path("a.pcap"));
    place.write("a.yaml", TWO.as_bytes());
    place
        .run(&["agent", "--config", "a.yaml"])
        .is_quiet_success();
    let handshakes = read(place.path("h.jsonl"));
    assert_eq!(handshakes.lines().count(), 1, "{handshakes}");
    assert!(handshakes.contains("\"outcome\":\"refused\""));
    let alone = place
        .run(&["records", "a.pcap", "--kind", "connection"])
        .out;
    let records = read(place.path("r.jsonl"));
    let (connections, health) = records.split_at(alone.len());
    assert_eq!(connections, alone);
    assert!(health.starts_with("{\"kind\":\"health\","), "{health}");
    // Once more: behind what is there.
    place
        .run(&["agent", "--config", "a.yaml"])
        .is_quiet_success();
    assert_eq!(read(place.path("h.jsonl")).lines().count(), 2);
}

#[test]
fn text_and_tcprt_lines_are_those_of_the_commands() {
    let place = Place::new("agent-text");
    Capture::usual(2).save(place.path("a.pcap"));
    for (view, words) in [
        ("kind: requests", &["requests", "a.pcap"][..]),
        (
            "kind: requests, format: tcprt",
            &["requests", "a.pcap", "-q", "-f", "tcprt"],
        ),
        ("kind: connections", &["connections", "a.pcap"]),
        ("kind: handshakes", &["handshakes", "a.pcap"]),
        ("kind: report", &["report", "a.pcap"]),
        (
            "kind: report, format: jsonl",
            &["report", "a.pcap", "-f", "jsonl"],
        ),
        (
            "kind: requests, format: csv",
            &["requests", "a.pcap", "-q", "-f", "csv"],
        ),
    ] {
        let text = format!("sources: [{{read: a.pcap}}]\nviews: [{{{view}}}]\n");
        place.write("a.yaml", text.as_bytes());
        let run = place.run(&["agent", "--config", "a.yaml"]);
        run.ends(0, &[]);
        let alone = crate::without_own_measures(&place.run(words).out);
        let out = crate::without_own_measures(&run.out);
        // What a command says at its end is not among the lines of a view.
        let (lines, _) = match words[0] {
            "requests" | "handshakes" if words.len() == 2 => alone.split_once("\n\n").unwrap(),
            _ => (alone.as_str(), ""),
        };
        assert_eq!(out.trim_end(), lines.trim_end(), "{view}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_by_line_and_ends_with_2() {
    let place = Place::new("agent-wrong");
    place.write(
        "a.yaml",
        b"sources:\n  - raed: x\nviews:\n  - kind: requests\n    status: 4O4!\n",
    );
    for words in [
        &["agent", "--config", "a.yaml", "--check"][..],
        &["agent", "--config", "a.yaml"],
    ] {
        let run = place.run(words);
        run.ends(
            2,
            &[
                "a.yaml:2:5: sources[1]: neither read nor interface",
                "a.yaml:2:5: there is no key \"raed\" in sources[1]; did you mean read?",
                "a.yaml:5:13: views[1].status: \"4O4!\" is no status",
            ],
        );
        assert_eq!(run.out, "");
    }
    let run = place.run(&["agent", "--config", "none.yaml"]);
    run.ends(
        1,
        &["cannot read none.yaml as a configuration", "No such file"],
    );
    // A file that cannot be written, told before anything is read.
    place.write(
        "b.yaml",
        b"sources: [{read: b.yaml}]\nviews: [{kind: requests, output: /nonexistent/x}]\n",
    );
    place
        .run(&["agent", "--config", "b.yaml"])
        .ends(1, &["b.yaml"]);
}

#[test]
fn a_tcprt_yaml_becomes_an_agent_s_file() {
    let place = Place::new("agent-tcprt");
    place.write(
        "tcprt.yaml",
        b"global:\n  stats: enable\nper-port:\n  - port: 80\n    mode: http\n",
    );
    let run = place.run(&["agent", "--config", "tcprt.yaml", "--check"]);
    // Whether its directory is there is this machine's.
    run.ends(0, &[]);
    for line in [
        "format: tcprt\n",
        "format: tcprt-stats\n",
        "kernel: true\n",
        "mode: http\n",
    ] {
        assert!(
            run.out.contains(&format!("    {line}")),
            "{line}: {}",
            run.out
        );
    }
    // What it becomes is a file like any other.
    place.write("b.yaml", run.out.as_bytes());
    let again = place.run(&["agent", "--config", "b.yaml", "--check"]);
    again.ends(0, &[]);
    assert_eq!(again.out, run.out);
}

/// A followed agent that tells a supervisor what it does.
struct Running {
    child: Child,
    said: UnixDatagram,
}

impl Running {
    fn start(place: &Place) -> Running {
        let said = UnixDatagram::bind(place.path("notify")).unwrap();
        said.set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut command = place.tcplens(&["agent", "--config", "a.yaml"]);
        command
            .env("NOTIFY_SOCKET", place.path("notify"))
            .env("WATCHDOG_USEC", "200000")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        Running { child, said }
    }

    /// Waits until it says something that begins so.
    fn says(&self, start: &str) {
        let mut buffer = [0; 1024];
        loop {
            let n = self.said.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..n]).starts_with(start) {
                return;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended by itself, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until a file has so many lines.
fn wait_for(place: &Place, name: &str, lines: usize) {
    let until = Instant::now() + Duration::from_secs(30);
    let count = || std::fs::read_to_string(place.path(name)).map_or(0, |text| text.lines().count());
    while count() < lines {
        assert!(Instant::now() < until, "{name}: {} lines", count());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_running_agent_reads_its_file_again_and_tells_its_supervisor() {
    let place = Place::new("agent-reload");
    let whole = Capture::usual(3).bytes;
    // A connection is nine packets of 16 and 54 bytes, and 37 bytes of payload; a refusal ends the capture.
    let (now, later) = whole.split_at(24 + 2 * (9 * 70 + 37));
    let path = place.write("a.pcap", now);
    let file = |views: &str| format!("sources: [{{read: a.pcap, follow: true}}]\nviews:\n{views}");
    place.write(
        "a.yaml",
        file("  - {kind: handshakes, format: jsonl, output: a.jsonl}\n").as_bytes(),
    );
    let mut run = Running::start(&place);
    run.says("READY=1");
    wait_for(&place, "a.jsonl", 2);
    run.says("WATCHDOG=1");
    let views = "  - {kind: handshakes, format: jsonl, output: a.jsonl, outcome: established}\n  \
                 - {kind: handshakes, format: jsonl, output: b.jsonl, outcome: refused}\n";
    place.write("a.yaml", file(views).as_bytes());
    run.signal("-HUP");
    run.says("RELOADING=1\nMONOTONIC_USEC=");
    run.says("READY=1");
    let mut capture = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    capture.write_all(later).unwrap();
    wait_for(&place, "a.jsonl", 3);
    run.signal("-TERM");
    run.says("STOPPING=1");
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    let lines = ["a.jsonl", "b.jsonl"].map(|name| read(place.path(name)).lines().count());
    assert_eq!(lines, [3, 1]);
    let said: Vec<_> = BufReader::new(run.child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .collect();
    assert_eq!(
        said,
        [
            "tcplens: configuration read again: 1 views go on (1 of them with other thresholds or selections), 0 ended, 1 opened"
        ]
    );
}

#[test]
fn a_view_without_room_is_told_and_the_others_go_on() {
    let place = Place::new("agent-full");
    Capture::usual(2).save(place.path("a.pcap"));
    let text = "sources: [{read: a.pcap}]\nviews:\n  - {kind: records, output: /dev/full}\n  - {kind: records, output: r.jsonl}\n";
    place.write("a.yaml", text.as_bytes());
    let run = place.run(&["agent", "--config", "a.yaml"]);
    run.ends(
        1,
        &["view of records: cannot write output to /dev/full: no space left on device"],
    );
    assert!(
        read(place.path("r.jsonl"))
            .lines()
            .last()
            .unwrap()
            .starts_with("{\"kind\":\"health\",")
    );
}
