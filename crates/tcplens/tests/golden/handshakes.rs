//! tcpeek's 21 crafted handshakes, row by row: ../shared/golden/tcpeek/handshakes.expected.tsv, the right answers by the RFCs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::golden;

#[test]
fn tcpeeks_handshakes_are_what_the_rfcs_say_row_by_row() {
    let Some(golden) = golden("tcpeek") else {
        return;
    };
    let expected = fs::read_to_string(golden.join("handshakes.expected.tsv")).unwrap();
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
