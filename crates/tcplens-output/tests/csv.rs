//! CSV, byte for byte.
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "../examples/sample/mod.rs"]
mod sample;

use tcplens_core::record::{Connection, Finding, Record, Suspect};
use tcplens_output::Csv;

fn text(csv: &Csv) -> String {
    String::from_utf8(csv.bytes().to_vec()).unwrap()
}

fn finding(text: &str) -> Finding {
    Finding {
        text: Some(text.into()),
        frames: vec![4, 5],
        ..Finding::new(1, "refused", 3, Suspect::Server)
    }
}

#[test]
fn a_finding_is_a_header_and_a_line() {
    let mut csv = Csv::new();
    csv.encode(&finding("said \"no\", twice"));
    csv.encode(&finding("two\nlines"));
    csv.encode(&finding("plain"));
    csv.encode(&finding(""));
    let expected = "kind,time,until,rank,code,harm,suspect,text,evidence,filter,frames,advice,server_ip,server_port,protocol,operation,metric,\
        component,p_value\n\
        finding,,,1,refused,3,server,\"said \"\"no\"\", twice\",,,4;5,,,,,,,,\n\
        finding,,,1,refused,3,server,\"two\nlines\",,,4;5,,,,,,,,\n\
        finding,,,1,refused,3,server,plain,,,4;5,,,,,,,,\n\
        finding,,,1,refused,3,server,\"\",,,4;5,,,,,,,,\n";
    assert_eq!(text(&csv), expected);
}

#[test]
fn each_kind_has_its_header_before_its_first_record() {
    let mut csv = Csv::new();
    csv.encode(&sample::handshake(0));
    csv.encode(&sample::connection(0));
    csv.encode(&sample::handshake(1));
    csv.encode(&sample::connection(1));
    let text = text(&csv);
    let first: Vec<_> = text
        .lines()
        .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(","))
        .collect();
    assert_eq!(
        first,
        [
            "kind,time",
            "handshake,2026-11-21T01:08:22.384589048Z",
            "kind,time",
            "connection,2026-11-21T01:08:22.384589048Z",
            "handshake,2026-11-21T01:08:22.385302259Z",
            "connection,2026-11-21T01:08:22.385302259Z",
        ]
    );
    csv.clear();
    csv.forget_headers();
    csv.encode(&sample::handshake(0));
    assert!(csv.bytes().starts_with(b"kind,time,"));
}

#[test]
fn every_line_has_as_many_columns_as_its_header() {
    let mut csv = Csv::new();
    csv.encode(&sample::connection(3));
    let mut fields = 1;
    Connection::fields(&mut |_| fields += 1);
    let text = text(&csv);
    assert!(
        text.lines().all(|line| line.split(',').count() == fields),
        "{text}"
    );
    assert!(text.contains(
        ",10.77.0.3,32789,10.77.0.2,443,syn,,client,,,37,48,false,183415,established,false,fin,,"
    ));
}
