use std::fs;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Connection;

use super::*;
use crate::agent::fan::Fan;
use crate::agent::testing::samples;
use crate::agent::{config, keys};
use crate::kernel::NewPorts;
use crate::observe::View;

/// A running fan, its file and its directory.
struct Running {
    fan: Fan,
    asked: Arc<AtomicBool>,
    directory: PathBuf,
}

impl Running {
    fn begin(name: &str, text: &str) -> Running {
        let directory = std::env::temp_dir().join(format!("tcplens-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let asked = Arc::new(AtomicBool::new(false));
        let config = config::parse(&whole(&directory, text)).unwrap();
        let mut fan = Fan::open(&config, Notify::default()).unwrap();
        let file = directory.join("a.yaml");
        fan.set_reload(Some(Reload::new(
            file,
            config,
            Arc::clone(&asked),
            NewPorts::default(),
        )));
        Running {
            fan,
            asked,
            directory,
        }
    }

    /// The file changes, and the signal comes.
    fn change(&mut self, text: &str) {
        let text = whole(&self.directory, text);
        fs::write(self.directory.join("a.yaml"), text).unwrap();
        self.asked.store(true, Ordering::Relaxed);
    }

    fn connection(&mut self, port: u64) {
        let connection = Connection {
            server_port: port,
            ..samples().connection
        };
        self.fan.clock(Timestamp::MIN).unwrap();
        self.fan.record(AnyRecord::Connection(&connection)).unwrap();
        self.fan.idle().unwrap();
    }

    fn lines(&self, name: &str) -> usize {
        let text = fs::read_to_string(self.directory.join(name));
        text.map_or(0, |text| text.lines().count())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// A whole file; `DIR` is the directory.
fn whole(directory: &std::path::Path, text: &str) -> String {
    let text = text.replace("DIR", &directory.display().to_string());
    format!("sources: [{{read: x, follow: true}}]\n{text}")
}

#[test]
fn views_change_between_two_records_and_what_stays_is_not_opened_again() {
    let both = "views:\n  - {kind: connections, format: jsonl, output: DIR/a}\n  - {kind: connections, format: jsonl, output: DIR/b}\n";
    let mut run = Running::begin("reload", both);
    run.connection(80);
    assert_eq!([run.lines("a"), run.lines("b")], [1, 1]);

    // A filter for a, the end of b, a new one: a goes on in its file.
    run.change("views:\n  - {kind: connections, format: jsonl, output: DIR/a, port: 80}\n  - {kind: connections, format: jsonl, output: DIR/c}\n");
    run.connection(81);
    run.connection(80);
    let lines = ["a", "b", "c"].map(|name| run.lines(name));
    assert_eq!(lines, [2, 1, 2]);

    // A file that is wrong changes nothing.
    run.change("views:\n  - {kind: connection}\n");
    run.connection(80);
    let lines = ["a", "b", "c"].map(|name| run.lines(name));
    assert_eq!(lines, [3, 1, 3]);

    // b comes back: behind what is there.
    run.change(both);
    run.connection(80);
    let lines = ["a", "b", "c"].map(|name| run.lines(name));
    assert_eq!(lines, [4, 2, 3]);
}

#[test]
fn a_file_that_was_moved_away_begins_anew() {
    let text = "views:\n  - {kind: connections, format: jsonl, output: DIR/a}\n";
    let mut run = Running::begin("moved", text);
    run.connection(80);
    let path = |name: &str| run.directory.join(name);
    fs::rename(path("a"), path("a.1")).unwrap();
    run.connection(80);
    assert_eq!([run.lines("a"), run.lines("a.1")], [0, 2]);
    run.change(text);
    run.connection(80);
    assert_eq!([run.lines("a"), run.lines("a.1")], [1, 2]);
}

#[test]
fn a_view_that_was_dropped_comes_back() {
    let text = "views:\n  - {kind: connections, format: jsonl, output: /dev/full}\n  - {kind: connections, format: jsonl, output: DIR/a}\n";
    let mut run = Running::begin("back", text);
    run.connection(80);
    run.connection(80);
    assert_eq!(run.fan.missed(), [("a view of connections", 1)]);
    run.change(&text.replace("/dev/full", "DIR/b"));
    run.connection(80);
    assert_eq!([run.lines("a"), run.lines("b")], [3, 1]);
}

#[test]
fn what_needs_a_restart_is_known() {
    let began = config::parse(
        "sources: [{read: x}]\nviews: [{kind: requests}]\nports: [{port: 80, slower_than: 5}]\n",
    )
    .unwrap();
    for (text, expected) in [
        (
            "sources: [{read: x}]\nviews: [{kind: requests, port: 1}]\nports: [{port: 80, slower_than: 9, role: peer}]\nlog_level: debug\n",
            &[][..],
        ),
        (
            "sources: [{read: y}]\nviews: [{kind: requests}]\nports: [{port: 80}]\n",
            &["sources"],
        ),
        (
            "sources: [{read: x}]\nviews: [{kind: requests}]\nports: [{port: 81}]\nbounds: {idle: 5}\n",
            &["bounds", "ports (port or protocol)"],
        ),
        (
            "sources: [{read: x}]\nviews: [{kind: handshakes}]\nports: [{port: 80}]\nfilter: tcp\n",
            &[
                "filter",
                "views (handshakes were not asked for before, so they are not computed)",
            ],
        ),
    ] {
        let now = config::parse(text).unwrap();
        assert_eq!(needs_restart(&began, &now), expected, "{text}");
    }
    for key in AT_ONCE {
        assert!(
            keys::TOP.keys.iter().any(|known| known.name == key),
            "{key}"
        );
    }
}
