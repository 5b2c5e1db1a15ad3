//! kill -9 in the middle of everything: what was written a second ago is readable, and nothing in it is broken.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::namespace::Namespace;
use crate::place::Place;
use crate::records::{number, of};
use crate::tap::{Tap, alone, tcplens, until};
use crate::traffic::Connection;

/// What there is of a file's text: compressed ones end in the middle.
fn beginning(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let mut reader: Box<dyn Read> = if path.extension().is_some_and(|suffix| suffix == "zst") {
        Box::new(zstd::Decoder::new(&bytes[..]).unwrap())
    } else if path.extension().is_some_and(|suffix| suffix == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(&bytes[..]))
    } else {
        Box::new(&bytes[..])
    };
    let mut text = Vec::new();
    let mut some = [0; 4096];
    while let Ok(n @ 1..) = reader.read(&mut some) {
        text.extend_from_slice(&some[..n]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn records_up_to_the_last_flush_are_whole_lines() {
    let Some(lo) = Namespace::new() else { return };
    for name in ["out.jsonl", "out.jsonl.zst", "out.jsonl.gz"] {
        let place = Place::new(&format!("kill-{name}"));
        let path = place.path(name);
        let words = ["records", "-i", "lo", "-o", name];
        let tap = Tap::start(tcplens(&lo, &place, &words));
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        let port = connection.port();
        for _ in 0..200 {
            connection.ping();
        }
        // No packet comes any more: what was shown is on its way to the file.
        until("what was flushed", || {
            of(&beginning(&path), "request", port).len() == 200
        });
        for _ in 0..2000 {
            connection.ping();
        }
        tap.signal("-KILL");
        let ended = tap.end();
        assert_eq!(ended.signal, Some(9));
        let text = beginning(&path);
        // A line may be under way in the moment of the kill; all before it are whole.
        let (whole, _under_way) = text.rsplit_once('\n').unwrap();
        for line in whole.lines() {
            assert!(
                line.starts_with("{\"kind\":\"") && line.ends_with('}'),
                "{line}"
            );
        }
        let requests = of(whole, "request", port);
        assert!(requests.len() >= 200, "{}", requests.len());
        for (n, request) in requests.iter().enumerate() {
            assert_eq!(number(request, "task"), n as u64 + 1);
        }
    }
}

#[test]
fn packets_up_to_the_last_flush_are_readable() {
    let Some(lo) = Namespace::new() else { return };
    for name in ["a.pcap", "a.pcapng", "a.pcap.gz", "a.pcapng.zst"] {
        let place = Place::new(&format!("kill-{name}"));
        let words = ["records", "-i", "lo", "-f", "none", "-w", name];
        let tap = Tap::start(tcplens(&lo, &place, &words));
        let mut connection = Connection::open(&lo, &lo, "127.0.0.1:6379");
        let port = connection.port();
        for _ in 0..200 {
            connection.ping();
        }
        let requests = || {
            let read = alone(&place, &["records", name]).output().unwrap();
            let out = String::from_utf8(read.stdout).unwrap();
            (of(&out, "request", port).len(), read.status.code())
        };
        until("what was flushed", || requests().0 == 200);
        for _ in 0..2000 {
            connection.ping();
        }
        tap.signal("-KILL");
        assert_eq!(tap.end().signal, Some(9));
        let (readable, status) = requests();
        assert!(readable >= 200, "{name}: {readable}");
        // Complete, or told that it ends in the middle.
        assert!([Some(0), Some(3)].contains(&status), "{name}: {status:?}");
    }
}
