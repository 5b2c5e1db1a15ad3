//! Signals while it goes on: SIGHUP and files that were moved, SIGUSR1.

use std::fs;

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::of;
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::Connection;

/// Requests of a connection in what several files hold, and whether every line of them is whole.
fn tasks(texts: &[String], port: u16) -> Vec<u64> {
    let mut tasks = Vec::new();
    for text in texts {
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        let requests = of(text, "request", port);
        tasks.extend(
            requests
                .iter()
                .map(|line| crate::records::number(line, "task")),
        );
    }
    tasks
}

#[test]
fn sighup_goes_on_in_a_new_file_and_loses_nothing() {
    let Some(lo) = Namespace::new() else { return };
    for name in ["out.jsonl", "out.jsonl.zst", "out.jsonl.gz"] {
        let place = Place::new(&format!("hup-{name}"));
        let words = ["records", "-i", "lo", "-o", name];
        let tap = Tap::start(tcplens(&lo, &place, &words));
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        let path = place.path(name);
        let moved = ["first", "second"].map(|which| place.path(&format!("{which}.{name}")));
        for to in &moved {
            for _ in 0..500 {
                connection.ping();
            }
            fs::rename(&path, to).unwrap();
            tap.signal("-HUP");
            until("the new file", || {
                // Requests go on meanwhile.
                connection.ping();
                path.exists()
            });
        }
        connection.ping();
        let port = connection.close();
        tap.interrupt().is(0, &[]);
        let files = [&moved[0], &moved[1], &path].map(|path| text(path));
        let tasks = tasks(&files, port);
        let all: Vec<u64> = (1..=tasks.len() as u64).collect();
        assert_eq!(tasks, all, "each once, in order");
        assert!(tasks.len() > 1000, "{}", tasks.len());
        assert!(
            files.iter().all(|file| file.contains("\"request\"")),
            "{name}"
        );
    }
}

#[test]
fn sighup_goes_on_in_a_new_capture_file() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("hup-w");
    for name in ["a.pcap", "a.pcapng"] {
        let words = ["records", "-i", "lo", "-f", "none", "-w", name];
        let tap = Tap::start(tcplens(&lo, &place, &words));
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        connection.ping();
        let moved = format!("moved.{name}");
        fs::rename(place.path(name), place.path(&moved)).unwrap();
        tap.signal("-HUP");
        until("the new file", || place.path(name).exists());
        for _ in 0..10 {
            connection.ping();
        }
        let port = connection.close();
        let ended = tap.interrupt();
        ended.is(0, &[]);
        let read = alone(&place, &["records", &moved, name]).output().unwrap();
        assert!(read.status.success(), "{read:?}");
        let out = String::from_utf8(read.stdout).unwrap();
        assert_eq!(of(&out, "request", port).len(), 11, "{out}");
        let packets = format!("\"packets\":{},", ended.counted().0);
        assert!(out.contains(&packets), "{packets} {out}");
    }
}

#[test]
fn sigusr1_tells_what_there_is_and_goes_on() {
    let Some(lo) = Namespace::new() else { return };
    let place = Place::new("usr1");
    for command in ["records", "requests", "handshakes", "report"] {
        let tap = Tap::start(tcplens(&lo, &place, &[command, "-i", "lo"]));
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        connection.ping();
        until("what was counted", || {
            tap.signal("-USR1");
            // Its figures are half a second old at most.
            tap.err().contains("; 1 connections; 1 ")
        });
        connection.ping();
        let ended = tap.interrupt();
        ended.is(0, &["so far ", " packets captured, 0 dropped by kernel; "]);
        assert!(ended.counted().0 >= 7, "{ended:?}");
    }
}

/// The text of a file, whatever its name says about compression.
fn text(path: &std::path::Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    let name = path.to_string_lossy();
    let mut reader: Box<dyn std::io::Read> = if name.ends_with(".zst") {
        Box::new(zstd::Decoder::new(&bytes[..]).unwrap())
    } else if name.ends_with(".gz") {
        Box::new(flate2::read::MultiGzDecoder::new(&bytes[..]))
    } else {
        Box::new(&bytes[..])
    };
    reader.read_to_string(&mut text).unwrap();
    text
}
