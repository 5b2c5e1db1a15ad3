//! tcpeek's 21 crafted handshakes, row by row: ../shared/golden/tcpeek/handshakes.expected.tsv, the right answers by the RFCs;
//! and what tcpkit's Lua scripts printed.
//! SKIPPED aloud where there is no ../shared beside the workspace.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn tcpeeks_handshakes_are_what_the_rfcs_say_row_by_row() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/tcpeek");
    let Ok(expected) = fs::read_to_string(golden.join("handshakes.expected.tsv")) else {
        println!("SKIPPED: no ../shared/golden/tcpeek beside the workspace");
        return;
    };
    let records = records(&golden.join("handshakes.pcap"));
    let mut rows = expected.lines();
    let names: Vec<&str> = rows.next().unwrap().split('\t').collect();
    let mut wrong = Vec::new();
    let (mut attempts, mut last) = (0, String::new());
    let mut of_same_ends = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('\t').collect();
        let cell = |name: &str| cells[names.iter().position(|n| *n == name).unwrap()];
        let ends = [cell("client"), cell("server")].join(" ");
        // A tuple that comes again is another attempt.
        of_same_ends = if ends == last { of_same_ends + 1 } else { 0 };
        last = ends.clone();
        let of_kind = |kind: &str| {
            let of_ends = |record: &&String| is_of(record, kind, cell("client"), cell("server"));
            records.iter().filter(of_ends).nth(of_same_ends).cloned()
        };
        if cell("outcome") == "missed" {
            let connection = of_kind("connection").unwrap_or_default();
            let is_missed = field(&connection, "handshake") == "missed";
            if of_kind("handshake").is_some() || !is_missed {
                wrong.push(format!("{row}: {connection}"));
            }
            continue;
        }
        attempts += 1;
        let record = of_kind("handshake").unwrap_or_default();
        let synack_seen = match cell("synack_seen") {
            "yes" => "true",
            _ => "false",
        };
        for (name, value) in [
            ("outcome", cell("outcome")),
            ("syn_retransmits", cell("syn_retransmits")),
            ("synack_retransmits", cell("synack_retransmits")),
            ("synack_seen", synack_seen),
            ("handshake_us", cell("handshake_us").trim_start_matches('-')),
            ("direction", cell("direction")),
        ] {
            if field(&record, name) != value {
                let (case, is) = (cell("case"), field(&record, name));
                wrong.push(format!("case {case}: {name} is {is:?}, expected {value:?}"));
            }
        }
    }
    assert!(attempts >= 20, "{attempts}");
    let made = records
        .iter()
        .filter(|record| field(record, "kind") == "handshake");
    assert_eq!(
        made.count(),
        attempts,
        "handshakes beyond those of the table"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// tcpkit's scripts' output on its golden captures, line by line: but for its DNS types from 4 on (K18), its unpadded
/// microseconds (K18), payload that its printing cut at a zero byte, and a word of a heading.
#[test]
fn scripts_that_come_along_print_what_tcpkits_did() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/tcpkit");
    if !golden.is_dir() {
        println!("SKIPPED: no ../shared/golden/tcpkit beside the workspace");
        return;
    }
    for (script, capture, expected) in [
        ("example", "redis.pcap", "head.redis.example.out"),
        ("tcp-connect", "redis.pcap", "head.redis.tcpconnect.out"),
        ("dns", "dns.pcap", "head.dns.lua.out"),
        ("dns", "dns-types.pcap", "head.dnstypes.lua.out"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
            .args(["script", script])
            .arg(golden.join(capture))
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let ours = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = fs::read(golden.join(expected)).unwrap();
        let theirs = String::from_utf8_lossy(&theirs).into_owned();
        let ours = ours
            .replace("Connect Cost", "Conenct Cost")
            .replace("b\0c\r\n", "b");
        let unpadded = |line: &str| -> String {
            let mut words: Vec<_> = line.trim_start().split(' ').map(str::to_owned).collect();
            if let Some((time, fraction)) = words.get(1).and_then(|word| word.split_once('.')) {
                words[1] = format!("{time}.{}", fraction.trim_start_matches('0'));
            }
            words.join(" ")
        };
        let is_type = script == "dns";
        let mut differences = Vec::new();
        for (our, their) in ours.lines().zip(theirs.lines()) {
            if unpadded(our) == unpadded(their)
                || is_type && without_type(our) == without_type(their)
            {
                continue;
            }
            differences.push(format!("{our}\n{their}"));
        }
        assert_eq!(ours.lines().count(), theirs.lines().count(), "{script}");
        assert!(
            differences.is_empty(),
            "{script}: {}",
            differences.join("\n")
        );
    }
}

/// A line of `dns` without the type of the query.
fn without_type(line: &str) -> Vec<&str> {
    let parts = line.split(" | ").enumerate();
    parts
        .filter(|(n, _)| *n != 3)
        .map(|(_, part)| part)
        .collect()
}

/// In the order of first packets.
fn records(capture: &Path) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_tcplens"))
        .args([
            "records",
            "--kind",
            "handshake,connection",
            "--local",
            "10.77.0.2,fd77::2",
        ])
        .arg(capture)
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut records: Vec<String> = text.lines().map(str::to_owned).collect();
    records.sort_by_key(|record| field(record, "first_frame").parse::<u64>().unwrap());
    records
}

fn is_of(record: &str, kind: &str, client: &str, server: &str) -> bool {
    let end = |side: &str| {
        let (ip, port) = (
            field(record, &format!("{side}_ip")),
            field(record, &format!("{side}_port")),
        );
        if ip.contains(':') {
            format!("[{ip}]:{port}")
        } else {
            format!("{ip}:{port}")
        }
    };
    field(record, "kind") == kind && end("client") == client && end("server") == server
}

/// A field's value without quotes; empty if it is absent. No value of these records has a comma in it.
fn field<'r>(record: &'r str, name: &str) -> &'r str {
    let key = format!("\"{name}\":");
    let Some(at) = record.find(&key) else {
        return "";
    };
    let value = &record[at + key.len()..];
    let end = value.find([',', '}']).unwrap();
    value[..end].trim_matches('"')
}
